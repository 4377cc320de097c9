/*
 * proto/turn_conn.c: connections between TCP relays and their peers (RFC 6062).
 *
 * A client asks for one (Connect) or a peer makes one (ConnectionAttempt); either way it gets a
 * CONNECTION-ID, under which the client binds a new connection of its own to it within 30 s. From
 * then on bytes are none of this engine's business; it only knows that the connection is there: no
 * second one to the same peer (446), and an end with its allocation.
 *
 * An id is the worker's slot and 20 bits of chance, so that the ConnectionBind finds its way. It is
 * no secret: a bind must be proven by the allocation's user. Sockets are the caller's (struct
 * sl_turn_io); turn_request.c dispatches.
 */
#include "proto/turn_impl.h"

#include <sluice/buf.h>

enum { ID_BITS = 20, FINGERPRINT_BYTES = 8 };

/* ---- the table of ids */

static uint64_t id_hash(uint32_t id)
{
	return sl_hash(&id, sizeof id);
}

static bool has_id(const struct sl_hnode *node, const void *key)
{
	return SL_CONTAINER(node, struct sl_turn_conn, node)->id == *(const uint32_t *)key;
}

static struct sl_turn_conn *find_id(const struct sl_turn *t, uint32_t id)
{
	struct sl_hnode *node = sl_htab_find(&t->conns, id_hash(id), has_id, &id);

	return node ? SL_CONTAINER(node, struct sl_turn_conn, node) : NULL;
}

static int draw_id(const struct sl_turn *t, uint32_t *ret_id)
{
	uint32_t id;

	do {
		if (sl_random(&id, sizeof id) < 0)
			return -SL_ESYS;
		id = (uint32_t)t->conf->slot << ID_BITS | (id & ((1u << ID_BITS) - 1));
	} while (find_id(t, id));
	*ret_id = id;
	return 0;
}

/* Few: a walk finds them. */
static struct sl_turn_conn *find_peer(const struct sl_turn_alloc *a, const struct sl_addr *peer)
{
	struct sl_turn_conn *c = a->conns;

	while (c && !sl_addr_eq(&c->peer, peer))
		c = c->next;
	return c;
}

/* ---- life */

static void conn_free(struct sl_turn_conn *c)
{
	struct sl_turn *t = c->owner->turn;
	struct sl_turn_conn **link = &c->owner->conns;

	while (*link != c)
		link = &(*link)->next;
	*link = c->next;
	c->owner->n_conns--;
	wheel_del(&t->wheel, &c->timer.node);
	sl_htab_remove(&t->conns, &c->node);
	sl_wipe(&c->key, sizeof c->key);
	sl_slab_put(t->conn_slab, c);
}

static void conn_drop(struct sl_turn_conn *c)
{
	struct sl_turn *t = c->owner->turn;

	t->io->disconnect(t->io_ctx, c);
	conn_free(c);
}

static void on_conn_timer(struct sl_turn *t, struct turn_timer *timer, uint64_t now_ms)
{
	(void)now_ms;
	t->counters.connection_timeouts++;
	conn_drop(SL_CONTAINER(timer, struct sl_turn_conn, timer));
}

static void await_bind(struct sl_turn_conn *c, uint64_t now_ms)
{
	c->state = CONN_WAITING;
	wheel_add(&c->owner->turn->wheel, &c->timer.node, now_ms + TURN_BIND_MS);
}

static int conn_new(struct sl_turn_alloc *a, const struct sl_addr *peer,
		    struct sl_turn_conn **ret_conn)
{
	struct sl_turn *t = a->turn;
	const uint32_t max = t->conf->max_connections;
	struct sl_turn_conn *c;

	if (max > 0 && a->n_conns >= max)
		return -SL_ELIMIT;
	c = sl_slab_get(t->conn_slab);
	if (!c)
		return -SL_ENOMEM;
	c->owner = a;
	c->peer = *peer;
	c->timer.fn = on_conn_timer;
	if (draw_id(t, &c->id) < 0 || sl_htab_insert(&t->conns, &c->node, id_hash(c->id)) < 0) {
		sl_slab_put(t->conn_slab, c);
		return -SL_ENOMEM;
	}
	c->next = a->conns;
	a->conns = c;
	a->n_conns++;
	*ret_conn = c;
	return 0;
}

void turn_conns_drop(struct sl_turn_alloc *a)
{
	while (a->conns)
		conn_drop(a->conns);
}

void turn_conns_revoke(struct sl_turn_alloc *a)
{
	struct sl_turn_conn *next;

	for (struct sl_turn_conn *c = a->conns; c; c = next) {
		next = c->next;
		if (turn_peer_check(a, &c->peer) != 0)
			conn_drop(c);
	}
}

void sl_turn_conn_ended(struct sl_turn_conn *c)
{
	conn_free(c);
}

/* ---- Connect (section 5.2) */

/* Its own relay as a peer would be a connection of a port with itself. */
static unsigned check_peer(const struct turn_req *r, struct sl_addr *ret_peer)
{
	struct sl_stun_attr attr;
	unsigned code;

	if (!sl_stun_find(r->msg, SL_TURN_XOR_PEER_ADDRESS, &attr) ||
	    sl_stun_get_xor_addr(r->msg, &attr, ret_peer) < 0 || ret_peer->port == 0)
		return 400;
	code = turn_channel_peer_check(r->a, ret_peer);
	if (code)
		return code;
	if (sl_addr_eq(ret_peer, sl_turn_alloc_relayed(r->a, ret_peer->family)))
		return 403;
	return find_peer(r->a, ret_peer) ? 446 : 0;
}

/* The answer comes when nothing of the request but this is left. */
static void keep_request(struct sl_turn_conn *c, const struct turn_req *r)
{
	struct sl_stun_attr fingerprint;

	memcpy(c->asked, r->msg->raw, SL_STUN_HEADER);
	c->asked_len = SL_STUN_HEADER;
	if (sl_stun_find(r->msg, SL_STUN_FINGERPRINT, &fingerprint)) {
		memcpy(c->asked + SL_STUN_HEADER, fingerprint.data - 4, FINGERPRINT_BYTES);
		c->asked_len += FINGERPRINT_BYTES;
	}
	sl_put16(c->asked + 2, (uint16_t)(c->asked_len - SL_STUN_HEADER));
	c->sha256 = r->sha256;
	c->proven = r->proven;
	c->key = r->key;
}

unsigned turn_on_connect(struct turn_req *r)
{
	struct sl_turn_conn *c;
	struct sl_addr peer;
	unsigned code;

	if (!r->a->tcp)
		return 403;
	code = check_peer(r, &peer);
	if (code)
		return code;
	if (conn_new(r->a, &peer, &c) < 0)
		return 508;
	keep_request(c, r);
	if (r->t->io->connect(r->t->io_ctx, c) == 0)
		return 0;
	conn_free(c);
	return 447;
}

size_t sl_turn_connected(struct sl_turn_conn *c, int err, uint64_t now_ms, uint8_t *dst, size_t cap)
{
	struct sl_turn *t = c->owner->turn;
	struct sl_turn_out out = {.reply = dst, .reply_cap = cap};
	struct sl_stun_msg asked;
	struct turn_req r = {
		.t = t,
		.realm = &t->realms[c->owner->client.realm],
		.msg = &asked,
		.out = &out,
		.key = c->key,
		.proven = c->proven,
		.sha256 = c->sha256,
	};

	if (!sl_check(sl_stun_parse(&asked, c->asked, c->asked_len) == 0))
		err = -SL_EBUG;
	if (err < 0) {
		turn_reply_error(&r, 447);
		conn_free(c);
	} else {
		t->counters.connects++;
		await_bind(c, now_ms);
		turn_reply_begin(&r, SL_STUN_SUCCESS);
		sl_stun_put_u32(&r.w, SL_TURN_CONNECTION_ID, c->id);
		turn_reply_end(&r);
	}
	sl_wipe(&r.key, sizeof r.key);
	return out.reply_len;
}

/* ---- peers that connect (section 5.3) */

static size_t write_attempt(const struct sl_turn_conn *c, uint64_t now_ms, uint8_t dst[64])
{
	struct sl_stun_writer w;
	uint8_t txid[12] = {0};
	size_t len;

	sl_put64(txid, now_ms);
	sl_put32(txid + 8, c->id);
	sl_stun_begin(&w, dst, 64, SL_STUN_INDICATION, SL_TURN_CONNECTION_ATTEMPT, txid);
	sl_stun_put_u32(&w, SL_TURN_CONNECTION_ID, c->id);
	sl_stun_put_xor_addr(&w, SL_TURN_XOR_PEER_ADDRESS, &c->peer);
	return sl_check(sl_stun_finish(&w, &len) == 0) ? len : 0; /* at most 52 bytes */
}

int sl_turn_accepted(struct sl_turn_alloc *a, const struct sl_addr *peer, uint64_t now_ms,
		     struct sl_turn_conn **ret_conn, uint8_t dst[64], size_t *ret_len)
{
	struct sl_turn_counters *n = &a->turn->counters;
	struct sl_turn_conn *c;
	int err;

	if (!turn_perm_covers(turn_perm_find(a, peer), peer->port, now_ms)) {
		n->connection_refusals++;
		return -SL_EDENIED;
	}
	c = find_peer(a, peer); /* whose port is in use again: the connection of before is dead */
	if (c)
		conn_drop(c);
	err = conn_new(a, peer, &c);
	if (err < 0) {
		n->connection_refusals++;
		return err;
	}
	n->connection_attempts++;
	await_bind(c, now_ms);
	*ret_conn = c;
	*ret_len = write_attempt(c, now_ms, dst);
	return 0;
}

/* ---- ConnectionBind (section 5.4) */

static bool read_id(const struct sl_stun_msg *msg, uint32_t *ret_id)
{
	struct sl_stun_attr attr;

	return msg->class_ == SL_STUN_REQUEST && msg->method == SL_TURN_CONNECTION_BIND &&
	       sl_stun_find(msg, SL_TURN_CONNECTION_ID, &attr) &&
	       sl_stun_get_u32(&attr, ret_id) == 0;
}

bool sl_turn_connection_slot(const struct sl_stun_msg *msg, uint16_t *ret_slot)
{
	uint32_t id;

	if (!read_id(msg, &id))
		return false;
	*ret_slot = (uint16_t)(id >> ID_BITS);
	return true;
}

/* Before authentication, so that the allocation's key is tried first. A connection with an
 * allocation of its own is a control connection and cannot be bound. */
void turn_find_conn(struct turn_req *r)
{
	uint32_t id;

	if (r->a || r->client->transport != TURN_PROTO_TCP || !read_id(r->msg, &id))
		return;
	r->conn = find_id(r->t, id);
	if (r->conn && r->conn->owner->realm == r->realm)
		r->a = r->conn->owner;
	else
		r->conn = NULL;
}

unsigned turn_on_connection_bind(struct turn_req *r)
{
	struct sl_turn_conn *c = r->conn;

	if (!c || c->state != CONN_WAITING)
		return 400;
	if (r->a->username_hash != r->username_hash)
		return 441;
	c->state = CONN_BOUND;
	wheel_del(&r->t->wheel, &c->timer.node);
	r->t->counters.connection_binds++;
	r->out->bound = c;
	turn_reply_begin(r, SL_STUN_SUCCESS);
	turn_reply_end(r);
	return 0;
}

/* ---- what the owner may ask */

struct sl_turn_alloc *sl_turn_conn_alloc(const struct sl_turn_conn *c)
{
	return c->owner;
}

const struct sl_addr *sl_turn_conn_peer(const struct sl_turn_conn *c)
{
	return &c->peer;
}

uint32_t sl_turn_conn_id(const struct sl_turn_conn *c)
{
	return c->id;
}

void sl_turn_conn_set_data(struct sl_turn_conn *c, void *data)
{
	c->data = data;
}

void *sl_turn_conn_data(const struct sl_turn_conn *c)
{
	return c->data;
}

/* ---- bytes */

bool sl_turn_conn_to_peer(struct sl_turn_conn *c, size_t len, uint64_t now_ms)
{
	struct sl_turn_alloc *a = c->owner;

	if (a->shaped && !turn_has_rate_left(a, TURN_TO_PEER, len, now_ms))
		return false;
	a->turn->counters.to_peer_bytes += len;
	return true;
}

bool sl_turn_conn_to_client(struct sl_turn_conn *c, size_t len, uint64_t now_ms)
{
	struct sl_turn_alloc *a = c->owner;

	if (a->shaped && !turn_has_rate_left(a, TURN_TO_CLIENT, len, now_ms))
		return false;
	a->turn->counters.to_client_bytes += len;
	return true;
}
