/*
 * proto/turn_alloc.c: allocations: found by 5-tuple, granted within limits, ended by time; and the
 * ports reserved next to them (EVEN-PORT, RESERVATION-TOKEN).
 *
 * Each allocation has one timer, set to the first moment at which anything of it may expire. A
 * refresh that only postpones leaves the timer alone: it finds out when it fires. What an
 * allocation counts in is turn_limit.c's.
 *
 * RFC 8656 sections 6, 7.2. Asked by turn_request.c and turn.c; relay sockets are the caller's
 * (struct sl_turn_io).
 */
#include "proto/turn_impl.h"

#include <stdlib.h>
#include <sluice/buf.h>

/* ---- the table of 5-tuples */

static uint64_t client_hash(const struct sl_turn_client *c)
{
	uint8_t key[4 + 2 * sizeof c->remote + 1];

	sl_put32(key, c->listener);
	key[4] = c->transport;
	memcpy(key + 5, &c->remote, sizeof c->remote);
	memcpy(key + 5 + sizeof c->remote, &c->local, sizeof c->local);
	return sl_hash(key, sizeof key);
}

static bool is_of_client(const struct sl_hnode *node, const void *key)
{
	const struct sl_turn_client *c = &SL_CONTAINER(node, struct sl_turn_alloc, node)->client;
	const struct sl_turn_client *want = key;

	return c->transport == want->transport && c->listener == want->listener &&
	       sl_addr_eq(&c->remote, &want->remote) && sl_addr_eq(&c->local, &want->local);
}

struct sl_turn_alloc *turn_alloc_find(const struct sl_turn *t, const struct sl_turn_client *c)
{
	struct sl_hnode *node = sl_htab_find(&t->allocs, client_hash(c), is_of_client, c);

	return node ? SL_CONTAINER(node, struct sl_turn_alloc, node) : NULL;
}

/* ---- reservations */

static bool has_token(const struct sl_hnode *node, const void *key)
{
	const struct turn_reservation *res = SL_CONTAINER(node, struct turn_reservation, node);

	return sl_mem_eq(res->token, key, TURN_TOKEN_BYTES);
}

struct turn_reservation *turn_reservation_find(const struct sl_turn *t,
					       const uint8_t token[TURN_TOKEN_BYTES])
{
	struct sl_hnode *node =
		sl_htab_find(&t->reservations, sl_hash(token, TURN_TOKEN_BYTES), has_token, token);

	return node ? SL_CONTAINER(node, struct turn_reservation, node) : NULL;
}

/* Forgets a reservation; its socket has found another owner. */
static void reservation_forget(struct sl_turn *t, struct turn_reservation *res)
{
	wheel_del(&t->wheel, &res->timer.node);
	sl_htab_remove(&t->reservations, &res->node);
	free(res);
}

void turn_reservation_cancel(struct sl_turn *t, struct turn_reservation *res)
{
	const struct sl_addr relayed = res->relayed;

	reservation_forget(t, res);
	t->io->unreserve(t->io_ctx, &relayed);
}

static void on_reservation_timer(struct sl_turn *t, struct turn_timer *timer, uint64_t now_ms)
{
	(void)now_ms;
	turn_reservation_cancel(t, SL_CONTAINER(timer, struct turn_reservation, timer));
}

static int reservation_new(struct sl_turn *t, const uint8_t token[TURN_TOKEN_BYTES],
			   const struct sl_addr *relayed, uint64_t now_ms)
{
	struct turn_reservation *res = calloc(1, sizeof *res);
	int err;

	if (!res)
		return -SL_ENOMEM;
	memcpy(res->token, token, TURN_TOKEN_BYTES);
	res->relayed = *relayed;
	res->timer.fn = on_reservation_timer;
	err = sl_htab_insert(&t->reservations, &res->node, sl_hash(token, TURN_TOKEN_BYTES));
	if (err < 0) {
		free(res);
		return err;
	}
	wheel_add(&t->wheel, &res->timer.node, now_ms + TURN_RESERVATION_MS);
	return 0;
}

/* Two bytes of slot, six of chance: the token finds its worker. */
static int token_new(const struct sl_turn *t, uint8_t ret_token[TURN_TOKEN_BYTES])
{
	sl_put16(ret_token, t->conf->slot);
	return sl_random(ret_token + 2, TURN_TOKEN_BYTES - 2);
}

/* The port above the relayed one, which open_relay has bound too. */
static int reserve_next(struct sl_turn_alloc *a, const struct sl_addr *relayed, uint64_t now_ms)
{
	struct sl_turn *t = a->turn;
	struct sl_addr next = *relayed;
	int err;

	next.port++;
	err = token_new(t, a->token);
	if (err == 0)
		err = reservation_new(t, a->token, &next, now_ms);
	if (err < 0) {
		t->io->unreserve(t->io_ctx, &next);
		return err;
	}
	a->has_token = true;
	return 0;
}

const uint8_t *sl_turn_token(const struct sl_stun_msg *msg, uint16_t *ret_slot)
{
	struct sl_stun_attr token;

	if (msg->class_ != SL_STUN_REQUEST || msg->method != SL_TURN_ALLOCATE)
		return NULL;
	if (!sl_stun_find(msg, SL_TURN_RESERVATION_TOKEN, &token) || token.len != TURN_TOKEN_BYTES)
		return NULL;
	*ret_slot = sl_get16(token.data);
	return token.data;
}

int sl_turn_token_relayed(const struct sl_turn *t, const uint8_t *token,
			  struct sl_addr *ret_relayed)
{
	const struct turn_reservation *res = turn_reservation_find(t, token);

	if (!res)
		return -SL_ENOENT;
	*ret_relayed = res->relayed;
	return 0;
}

void sl_turn_token_cancel(struct sl_turn *t, const uint8_t *token)
{
	struct turn_reservation *res = turn_reservation_find(t, token);

	if (res)
		turn_reservation_cancel(t, res);
}

int sl_turn_token_adopt(struct sl_turn *t, const uint8_t *token, const struct sl_addr *relayed,
			uint64_t now_ms)
{
	if (turn_reservation_find(t, token))
		return -SL_EEXIST;
	turn_hear_time(t, now_ms);
	return reservation_new(t, token, relayed, now_ms);
}

/* ---- relay sockets */

/* 0 or the error code. */
static unsigned open_family(struct sl_turn_alloc *a, const struct turn_ask *ask, uint8_t family,
			    uint64_t now_ms)
{
	struct sl_turn *t = a->turn;
	struct sl_addr relayed = {0};
	const struct sl_turn_want want = {
		.family = family,
		.tcp = ask->tcp,
		.even = ask->even,
		.reserve = ask->reserve,
		.reserved = ask->reservation ? &ask->reservation->relayed : NULL,
	};

	if (family == 4 ? !t->conf->relay_v4 : !t->conf->relay_v6)
		return 440;
	if (t->io->open_relay(t->io_ctx, a, &want, &relayed) < 0)
		return 508;
	a->relayed[family == 6] = relayed;
	if (ask->reservation)
		reservation_forget(t, ask->reservation);
	if (ask->reserve && reserve_next(a, &relayed, now_ms) < 0)
		return 508;
	return 0;
}

/* One family is enough for a dual allocation; the other's error is told (section 7.2). */
static unsigned open_relays(struct sl_turn_alloc *a, const struct turn_ask *ask, uint64_t now_ms)
{
	unsigned e4 = ask->v4 ? open_family(a, ask, 4, now_ms) : 0;
	unsigned e6 = ask->v6 ? open_family(a, ask, 6, now_ms) : 0;

	if (!ask->v4 || !ask->v6)
		return e4 ? e4 : e6;
	if (e4 && e6)
		return e4;
	a->additional_error = (uint16_t)(e4 ? e4 : e6);
	return 0;
}

void turn_alloc_close_family(struct sl_turn_alloc *a, uint8_t family)
{
	a->relayed[family == 6] = (struct sl_addr){0};
	a->turn->io->close_relay(a->turn->io_ctx, a, family);
}

/* ---- life */

void turn_alloc_wake_by(struct sl_turn_alloc *a, uint64_t at_ms)
{
	if (!a->timer.node.next || at_ms < a->timer.node.at_ms)
		wheel_add(&a->turn->wheel, &a->timer.node, at_ms);
}

void turn_alloc_set_expiry(struct sl_turn_alloc *a, uint64_t expires_ms)
{
	a->expires_ms = expires_ms;
	turn_channels_retimed(a);
	turn_alloc_wake_by(a, expires_ms);
}

static void on_alloc_timer(struct sl_turn *t, struct turn_timer *timer, uint64_t now_ms)
{
	struct sl_turn_alloc *a = SL_CONTAINER(timer, struct sl_turn_alloc, timer);

	if (now_ms >= a->expires_ms) {
		t->counters.expired++;
		turn_alloc_end(a, "expired");
		return;
	}
	turn_alloc_wake_by(a, a->expires_ms);
	turn_alloc_wake_by(a, turn_peers_sweep(a, now_ms));
}

/* The end of an allocation that is in no table. Its relay sockets, if any, go with released(). */
static void alloc_free(struct sl_turn_alloc *a, const char *why)
{
	struct sl_turn *t = a->turn;

	if (a->relayed[0].family || a->relayed[1].family)
		t->io->released(t->io_ctx, a, why);
	turn_limits_leave(a);
	sl_wipe(&a->key, sizeof a->key);
	sl_slab_put(t->alloc_slab, a);
}

void turn_alloc_end(struct sl_turn_alloc *a, const char *why)
{
	struct sl_turn *t = a->turn;

	wheel_del(&t->wheel, &a->timer.node);
	if (!a->homeless)
		sl_htab_remove(&t->allocs, &a->node);
	turn_ticket_forget(a);
	turn_conns_drop(a);
	turn_peers_drop(a);
	alloc_free(a, why);
}

static struct sl_turn_alloc *alloc_init(struct turn_req *r, const struct turn_ask *ask)
{
	struct sl_turn_alloc *a = sl_slab_get(r->t->alloc_slab);

	if (!a)
		return NULL;
	a->turn = r->t;
	a->realm = r->realm;
	a->client = *r->client;
	a->timer.fn = on_alloc_timer;
	a->tcp = ask->tcp;
	a->username_hash = r->username_hash;
	a->token_until_ms = r->token_until_ms;
	a->key = r->key;
	memcpy(a->txid, r->msg->txid, sizeof a->txid);
	return a;
}

static unsigned alloc_open(struct sl_turn_alloc *a, struct turn_req *r, const struct turn_ask *ask)
{
	unsigned code = turn_limits_join(r, a);
	int err;

	if (code == 0)
		code = open_relays(a, ask, r->now_ms);
	if (code)
		return code;
	a->expires_ms = r->now_ms + ask->lifetime_s * UINT64_C(1000);
	err = r->t->io->granted(r->t->io_ctx, a);
	if (err < 0)
		return err == -SL_ELIMIT ? 486 : 508;
	return 0;
}

/* The list may be the same for all servers: this one is left out. */
const struct sl_addr *turn_alternate(const struct turn_req *r, uint8_t family)
{
	const struct sl_turn_conf *conf = r->t->conf;

	for (unsigned i = 0; i < conf->n_alternates; i++) {
		unsigned at = (r->t->n_redirected + i) % conf->n_alternates;
		const struct sl_addr *a = &conf->alternates[at];
		bool usable = r->t->alternates >> at & 1;

		if (usable && a->family == family && !sl_addr_eq(a, &r->client->local))
			return a;
	}
	return NULL;
}

/* Is there room for one more? 0 or the error code. */
static unsigned check_room(const struct turn_req *r)
{
	const struct sl_turn_conf *conf = r->t->conf;
	size_t n = r->t->allocs.count;
	bool realm_full = turn_realm_is_full(r->realm);
	bool full = r->t->draining || realm_full ||
		    (conf->total.allocations > 0 && n >= conf->total.allocations);
	bool busy = conf->alternate_above > 0 && n >= conf->alternate_above;

	r->t->counters.realm_refusals += realm_full;
	if ((full || busy) && turn_alternate(r, r->client->remote.family))
		return 300;
	return full ? 508 : 0;
}

unsigned turn_alloc_new(struct turn_req *r, const struct turn_ask *ask)
{
	struct sl_turn *t = r->t;
	struct sl_turn_alloc *a;
	unsigned code;

	code = check_room(r);
	if (code)
		return code;
	a = alloc_init(r, ask);
	if (!a)
		return 508;
	code = alloc_open(a, r, ask);
	if (code == 0 && ask->mobile && turn_ticket_new(a) < 0)
		code = 508;
	if (code == 0 && sl_htab_insert(&t->allocs, &a->node, client_hash(&a->client)) < 0)
		code = 508;
	if (code) {
		turn_ticket_forget(a);
		alloc_free(a, "refused");
		return code;
	}
	turn_alloc_wake_by(a, a->expires_ms);
	t->counters.allocations++;
	r->a = a;
	return 0;
}

/* ---- mobility */

/* A table that cannot grow leaves it homeless where it was, for its client to come again. */
static void set_client(struct sl_turn_alloc *a, const struct sl_turn_client *c)
{
	struct sl_turn *t = a->turn;

	if (!a->homeless)
		sl_htab_remove(&t->allocs, &a->node);
	a->client = *c;
	a->homeless = sl_htab_insert(&t->allocs, &a->node, client_hash(c)) < 0;
}

/* Not to where a relay of this node may be: of two allocations each could become the other's client
 * so, and what a peer sends to one would go round between them. */
unsigned turn_alloc_move(struct turn_req *r)
{
	struct sl_turn_alloc *a = r->a;
	const struct sl_turn_client before = a->client;
	const bool was_homeless = a->homeless;

	if (a->tcp && r->client->transport != TURN_PROTO_TCP)
		return 400;
	if (turn_may_be_own_relay(r->t->conf, &r->client->remote))
		return 403;
	set_client(a, r->client);
	if (a->homeless || r->t->io->moved(r->t->io_ctx, a) < 0) {
		if (was_homeless && !a->homeless)
			sl_htab_remove(&r->t->allocs, &a->node);
		if (!was_homeless)
			set_client(a, &before);
		a->homeless |= was_homeless;
		return 508;
	}
	turn_channels_unbound(a);
	a->ticket_serial += !a->moving;
	a->moving = true;
	r->t->counters.moves++;
	return 0;
}

void sl_turn_client_lost(struct sl_turn_alloc *a, uint64_t now_ms, uint64_t wait_ms)
{
	if (!a->mobile) {
		turn_alloc_end(a, "connection closed");
		return;
	}
	if (!a->homeless)
		sl_htab_remove(&a->turn->allocs, &a->node);
	a->homeless = true;
	if (a->expires_ms > now_ms + wait_ms)
		turn_alloc_set_expiry(a, now_ms + wait_ms);
}
