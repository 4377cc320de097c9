/*
 * net/assoc.c: DTLS associations of UDP listeners: TURN and STUN over DTLS (RFC 7350).
 *
 * The datagram side of what net/tls_stream.c is for connections: modules see packets that were
 * decrypted, and their answers are encrypted, without knowing how. An association is made when its
 * client has proven its address; it is steered to this worker from then on. It ends with either
 * side's goodbye, and when nothing lives on it and it has been quiet.
 *
 * The plain text goes into the slot of the datagram it came in: nothing is allocated per packet.
 */
#include "net/assoc.h"

#include <sluice/crypto.h>
#include <sluice/stun.h>
#include "net/engine.h"
#include "net/listener.h"

#define QUIET_MS                                                                                   \
	60000 /* without a flow: long enough for a client to think about its allocation            \
	       */
#define TRIM_MS 5000

struct assoc_key {
	const struct sl_udp *udp;
	const struct sl_addr *remote, *local;
};

static bool assoc_is(const struct sl_hnode *node, const void *key)
{
	const struct sl_assoc *a = SL_CONTAINER(node, const struct sl_assoc, node);
	const struct assoc_key *k = key;

	return a->udp == k->udp && sl_addr_eq(&a->remote, k->remote) &&
	       sl_addr_same_ip(&a->local, k->local);
}

static struct sl_assoc *find(const struct net *n, const struct sl_packet *p)
{
	const struct assoc_key key = {p->udp, &p->from, p->local};
	const struct sl_hnode *node;

	if (n->assocs.table.count == 0)
		return NULL;
	node = sl_htab_find(&n->assocs.table, sl_addr_hash(&p->from), assoc_is, &key);
	return node ? SL_CONTAINER(node, struct sl_assoc, node) : NULL;
}

uint32_t assoc_share(const struct net *n, const struct sl_packet *p)
{
	const struct sl_assoc *a = find(n, p);

	if (!a)
		return 0;
	return a->flow ? a->flow->share : (uint32_t)sl_addr_hash(&p->from) | 1;
}

static uint64_t now_ms(const struct net *n)
{
	return sl_loop_ms(n->worker->loop);
}

/* ---- out */

static void on_send(void *arg, const uint8_t *data, size_t len)
{
	struct sl_assoc *a = arg;
	struct packet *p = len <= SL_PACKET_MAX ? arena_get(&a->net->arena) : NULL;

	if (!p) {
		sl_count(net_meter(a->net, NET_dropped_no_packet));
		return;
	}
	memcpy(p->pub.data, data, len);
	p->pub.len = (uint32_t)len;
	p->pub.tos = a->tos;
	p->pub.ttl = a->ttl;
	(void)txq_push(a->udp, &p->pub, &a->remote, a->udp->wildcard ? &a->local : NULL,
		       a->flow ? a->flow->share : 0); /* counted */
	sl_packet_unref(&p->pub);
}

int assoc_write_packet(struct sl_assoc *a, const struct sl_packet *p)
{
	int rc;

	a->ttl = p->ttl;
	rc = assoc_write(a, p->data, p->len, p->tos);
	a->ttl = 0;
	return rc;
}

int assoc_write(struct sl_assoc *a, const void *data, size_t len, uint8_t tos)
{
	int rc;

	a->tos = tos;
	a->trimmed = false;
	rc = sl_dtls_write(a->dtls, data, len);
	a->tos = 0;
	return rc;
}

/* ---- in */

/* The slot of the datagram for its first record, another one for each further. */
static struct sl_packet *take_slot(struct sl_assoc *a)
{
	struct sl_packet *p = a->packet;
	struct packet *more;

	a->packet = NULL;
	if (p && p->refs == 1) {
		sl_packet_ref(p);
		return p;
	}
	more = arena_get(&a->net->arena);
	return more ? &more->pub : NULL;
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
	struct sl_assoc *a = arg;
	struct sl_packet *p = len <= SL_PACKET_MAX ? take_slot(a) : NULL;

	if (!p) {
		sl_count(net_meter(a->net, NET_dropped_no_packet));
		return;
	}
	memcpy(p->data, data, len);
	p->len = (uint32_t)len;
	p->udp = a->udp;
	p->from = a->remote;
	SL_CONTAINER(p, struct packet, pub)->to = a->local;
	p->local = &SL_CONTAINER(p, struct packet, pub)->to;
	p->time_ns = sl_loop_ns(a->net->worker->loop);
	p->assoc = a;
	path_take_decrypted(a->net, p);
	p->assoc = NULL; /* whoever has kept the packet finds it again by sl_udp_replay */
	sl_packet_unref(p);
}

int sl_udp_replay(struct sl_packet *p)
{
	struct sl_assoc *a = find(p->udp->net, p);

	if (!a || !a->open)
		return -SL_ENOENT;
	p->assoc = a;
	path_take_decrypted(a->net, p);
	p->assoc = NULL;
	return 0;
}

static const struct sl_dtls_io io = {.send = on_send, .data = on_data};

/* ---- the end */

/* No step of the map's entry fails in a way that matters: losing it costs a forwarded datagram. */
static void steer(const struct sl_assoc *a, bool here)
{
	const struct net_listener *l = a->udp->listener;

	if (l->flow_map < 0)
		return;
	if (!here)
		(void)steer_flow_del(l->flow_map, l->pub.index, &a->remote);
	else if (steer_flow_add(l->flow_map, l->pub.index, &a->remote, a->net->worker->slot) < 0)
		sl_count(net_meter(a->net, NET_steering_failures));
}

/* The flow's owner closes it when told. */
static void end(struct sl_assoc *a)
{
	struct net *n = a->net;

	if (!a->open) {
		sl_count(net_meter(n, NET_dtls_failures));
		handshake_end(n);
	}
	sl_dtls_close(a->dtls);
	if (a->flow)
		(void)a->flow->fn(a->flow->arg, a->flow, NULL);
	if (!sl_check(!a->flow))
		a->flow->assoc = NULL;
	sl_timer_cancel(n->worker->loop, &a->timer);
	steer(a, false);
	sl_htab_remove(&n->assocs.table, &a->node);
	sl_gauge_set(net_meter(n, NET_associations), n->assocs.table.count);
	sl_dtls_free(a->dtls);
	sl_slab_put(n->assocs.slab, a);
}

/* ---- time */

static void arm(struct sl_assoc *a)
{
	struct sl_loop *loop = a->net->worker->loop;
	uint64_t due = sl_dtls_timeout_ms(a->dtls), now = now_ms(a->net);

	if (sl_dtls_state(a->dtls) == SL_DTLS_SHAKING)
		sl_timer_set(loop, &a->timer, due > now ? due - now : 0);
	else if (!sl_timer_pending(&a->timer))
		sl_timer_set(loop, &a->timer, a->trimmed ? QUIET_MS : TRIM_MS);
}

/* What a datagram or the time has led to; the association may be gone afterwards. */
static void look_after(struct sl_assoc *a)
{
	enum sl_dtls_state state = sl_dtls_state(a->dtls);

	if (state >= SL_DTLS_CLOSED) {
		end(a);
		return;
	}
	if (state == SL_DTLS_OPEN && !a->open) {
		a->open = true;
		handshake_end(a->net);
		sl_count(net_meter(a->net, NET_dtls_handshakes));
		sl_timer_cancel(a->net->worker->loop, &a->timer);
	}
	arm(a);
}

/* A quiet association gives its buffers back, and goes if nothing lives on it. */
static void check_quiet(struct sl_assoc *a)
{
	uint64_t quiet = now_ms(a->net) - a->active_ms;

	if (!a->flow && quiet >= QUIET_MS) {
		end(a);
		return;
	}
	if (quiet >= TRIM_MS && !a->trimmed) {
		sl_dtls_trim(a->dtls);
		a->trimmed = true;
	}
	arm(a);
}

static void on_timer(struct sl_timer *t)
{
	struct sl_assoc *a = t->arg;

	if (sl_dtls_tick(a->dtls, now_ms(a->net)) == SL_DTLS_OPEN)
		check_quiet(a);
	else
		look_after(a);
}

/* ---- beginnings */

static struct sl_assoc *new_assoc(struct net *n, const struct sl_packet *p)
{
	struct sl_assoc *a = sl_slab_get(n->assocs.slab);
	const struct net_listener *l = p->udp->listener;
	const struct sl_dtls_opts o = {
		.role = SL_DTLS_PASSIVE,
		.proven = true,
		.io = &io,
		.arg = a,
		.give_up_ms = (uint32_t)l->preread_timeout_ms,
	};

	if (!a)
		return NULL;
	a->net = n;
	a->udp = p->udp;
	a->remote = p->from;
	a->local = *p->local;
	a->timer.fn = on_timer;
	a->timer.arg = a;
	if (sl_dtls_new(l->dtls, &o, now_ms(n), &a->dtls) == 0) {
		if (sl_htab_insert(&n->assocs.table, &a->node, sl_addr_hash(&a->remote)) == 0)
			return a;
		sl_dtls_free(a->dtls);
	}
	sl_slab_put(n->assocs.slab, a);
	return NULL;
}

static void begin(struct net *n, const struct sl_packet *p)
{
	const struct net_listener *l = p->udp->listener;
	struct sl_assoc *a = NULL;

	if (!handshake_begin(n, &p->from))
		return;
	if (l->max_conns == 0 || n->assocs.table.count < l->max_conns)
		a = new_assoc(n, p);
	if (!a) {
		sl_count(net_meter(n, NET_dtls_refused));
		handshake_end(n);
		return;
	}
	sl_gauge_set(net_meter(n, NET_associations), n->assocs.table.count);
	steer(a, true);
	a->active_ms = now_ms(n);
	(void)sl_dtls_input(a->dtls, p->data, p->len, a->active_ms);
	look_after(a);
}

static int listen_to(struct net *n, const struct sl_packet *p)
{
	uint8_t reply[SL_DTLS_VERIFY_BYTES];
	size_t len;
	int rc = sl_dtls_listen(p->udp->listener->dtls, p->data, p->len, &p->from, now_ms(n), reply,
				&len);

	if (rc != SL_AGAIN)
		return rc;
	sl_count(net_meter(n, NET_dtls_cookies));
	if (sl_udp_reply(p, reply, len) < 0)
		return SL_DROP;
	return rc;
}

void assoc_listen(struct net *n, const struct sl_packet *p)
{
	int rc = listen_to(n, p);

	if (rc == SL_DONE)
		begin(n, p);
	else if (rc == SL_DROP)
		sl_count(net_meter(n, NET_dropped_unclaimed));
}

/* A client that has lost its association begins anew from the same address; once it has proven
 * that, the old one goes. */
static bool restarted(struct sl_assoc *a, const struct sl_packet *p)
{
	struct net *n = a->net;

	if (!sl_dtls_restarts(a->dtls, p->data, p->len))
		return false;
	if (listen_to(n, p) == SL_DONE) {
		end(a);
		begin(n, p);
	}
	return true;
}

bool assoc_input(struct net *n, struct sl_packet *p)
{
	struct sl_assoc *a = find(n, p);

	if (!a)
		return false;
	if (a->open && restarted(a, p))
		return true;
	a->active_ms = now_ms(n);
	a->trimmed = false;
	a->packet = p;
	(void)sl_dtls_input(a->dtls, p->data, p->len, a->active_ms);
	a->packet = NULL;
	look_after(a);
	return true;
}

/* ---- all of them */

/* Cookies hold in every process of the node and in the next generation. */
int assocs_open(struct net *n)
{
	const struct sl_str node_key = {(const char *)n->worker->node_key, 32};
	uint8_t key[32];
	int rc = 0;

	n->assocs.slab = sl_slab_new(sizeof(struct sl_assoc), 64);
	if (!n->assocs.slab)
		return -SL_ENOMEM;
	for (unsigned i = 0; rc == 0 && i < n->n_listeners; i++) {
		struct net_listener *l = &n->listeners[i];

		if (!l->pub.udp || !l->pub.tls)
			continue;
		sl_hmac_sha256(key, node_key, "dtls cookie", 11);
		rc = sl_dtls_ctx_new_server(l->pub.tls, key, &l->dtls);
	}
	sl_wipe(key, sizeof key);
	return rc;
}

void assocs_close(struct net *n)
{
	struct sl_hnode *node, *next;

	for (node = sl_htab_first(&n->assocs.table); node; node = next) {
		next = sl_htab_next(&n->assocs.table, node);
		end(SL_CONTAINER(node, struct sl_assoc, node));
	}
	sl_htab_free(&n->assocs.table);
	sl_slab_destroy(n->assocs.slab);
	n->assocs = (struct assocs){0};
	for (unsigned i = 0; i < n->n_listeners; i++) {
		sl_dtls_ctx_free(n->listeners[i].dtls);
		n->listeners[i].dtls = NULL;
	}
}

struct sl_str sl_assoc_server_name(const struct sl_assoc *a)
{
	return sl_dtls_server_name(a->dtls);
}
