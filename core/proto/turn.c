/*
 * proto/turn.c: the TURN server engine: its life, what comes in, its time, and what its owner may
 * ask.
 *
 * RFC 8656, with TCP relays and mobility; clients come over any transport. Sans-I/O: it is told the
 * time and calls struct sl_turn_io for sockets and publication. One engine per worker, one thread;
 * tables and slabs are its own and go with it. The wheel starts at the first time it hears, so that
 * engines need no clock to be made.
 */
#include "proto/turn_impl.h"

#include <stdlib.h>
#include <sluice/buf.h>

enum { OBJECTS_PER_BLOCK = 64 };

/* ---- life */

static int realms_init(struct sl_turn *t)
{
	int err = 0;

	t->realms = calloc(t->conf->n_realms, sizeof *t->realms);
	if (!t->realms)
		return -SL_ENOMEM;
	for (unsigned i = 0; i < t->conf->n_realms && err == 0; i++) {
		struct turn_realm *realm = &t->realms[i];

		realm->conf = &t->conf->realms[i];
		realm->peers = (struct sl_turn_peers){.deny = realm->conf->deny_peers,
						      .allow = realm->conf->allow_peers,
						      .n_deny = realm->conf->n_deny,
						      .n_allow = realm->conf->n_allow};
		realm->share.limit = &realm->conf->limits[SL_TURN_PER_REALM];
		err = turn_index_statics(realm);
	}
	t->total.limit = &t->conf->total;
	return err;
}

static void realms_free(struct sl_turn *t)
{
	for (unsigned i = 0; t->realms && i < t->conf->n_realms; i++) {
		sl_htab_free(&t->realms[i].statics);
		sl_htab_free(&t->realms[i].userhashes);
		free(t->realms[i].static_users);
	}
	free(t->realms);
}

static int engine_init(struct sl_turn *t)
{
	t->alloc_slab = sl_slab_new(sizeof(struct sl_turn_alloc), OBJECTS_PER_BLOCK);
	t->perm_slab = sl_slab_new(sizeof(struct turn_perm), OBJECTS_PER_BLOCK);
	t->channel_slab = sl_slab_new(sizeof(struct turn_channel), OBJECTS_PER_BLOCK);
	t->conn_slab = sl_slab_new(sizeof(struct sl_turn_conn), OBJECTS_PER_BLOCK);
	if (!t->alloc_slab || !t->perm_slab || !t->channel_slab || !t->conn_slab)
		return -SL_ENOMEM;
	return realms_init(t);
}

int sl_turn_new(struct sl_turn **ret_turn, const struct sl_turn_conf *conf,
		const uint8_t nonce_key[16], const struct sl_turn_io *io, void *io_ctx)
{
	struct sl_turn *t = calloc(1, sizeof *t);
	int err;

	if (!t)
		return -SL_ENOMEM;
	t->conf = conf;
	t->io = io;
	t->io_ctx = io_ctx;
	t->alternates = UINT64_MAX;
	memcpy(t->nonce_key, nonce_key, sizeof t->nonce_key);
	turn_ticket_keys(t);
	err = engine_init(t);
	if (err < 0) {
		sl_turn_free(t);
		return err;
	}
	*ret_turn = t;
	return 0;
}

static void end_all(struct sl_turn *t)
{
	struct sl_hnode *node;

	while ((node = sl_htab_first(&t->allocs)))
		turn_alloc_end(SL_CONTAINER(node, struct sl_turn_alloc, node), "stopped");
	while ((node = sl_htab_first(&t->tickets))) /* those that wait for their client */
		turn_alloc_end(SL_CONTAINER(node, struct sl_turn_alloc, by_ticket), "stopped");
	while ((node = sl_htab_first(&t->reservations)))
		turn_reservation_cancel(t, SL_CONTAINER(node, struct turn_reservation, node));
}

void sl_turn_free(struct sl_turn *t)
{
	struct sl_htab *tables[8];

	if (!t)
		return;
	end_all(t);
	tables[0] = &t->allocs;
	tables[1] = &t->parties;
	tables[2] = &t->perms;
	tables[3] = &t->by_number;
	tables[4] = &t->by_peer;
	tables[5] = &t->reservations;
	tables[6] = &t->conns;
	tables[7] = &t->tickets;
	for (size_t i = 0; i < SL_ARRAY_LEN(tables); i++)
		sl_htab_free(tables[i]);
	sl_slab_destroy(t->alloc_slab);
	sl_slab_destroy(t->perm_slab);
	sl_slab_destroy(t->channel_slab);
	sl_slab_destroy(t->conn_slab);
	realms_free(t);
	sl_wipe(t->nonce_key, sizeof t->nonce_key);
	sl_wipe(t->ticket_keys, sizeof t->ticket_keys);
	free(t);
}

void sl_turn_drain(struct sl_turn *t)
{
	t->draining = true;
}

void sl_turn_set_alternates(struct sl_turn *t, uint64_t usable)
{
	t->alternates = usable;
}

/* ---- policy */

void sl_turn_set_peers(struct sl_turn *t, unsigned realm, const struct sl_turn_peers *peers)
{
	sl_assert(realm < t->conf->n_realms);
	t->realms[realm].peers = *peers;
}

static void revoke(struct sl_turn_alloc *a)
{
	turn_conns_revoke(a);
	turn_peers_revoke(a);
}

/* Nothing here ends an allocation, so that the tables stay as they are. */
void sl_turn_recheck_peers(struct sl_turn *t)
{
	struct sl_hnode *node;

	for (node = sl_htab_first(&t->allocs); node; node = sl_htab_next(&t->allocs, node))
		revoke(SL_CONTAINER(node, struct sl_turn_alloc, node));
	for (node = sl_htab_first(&t->tickets); node; node = sl_htab_next(&t->tickets, node)) {
		struct sl_turn_alloc *a = SL_CONTAINER(node, struct sl_turn_alloc, by_ticket);

		if (a->homeless)
			revoke(a);
	}
}

/* ---- time */

void turn_hear_time(struct sl_turn *t, uint64_t now_ms)
{
	if (t->started)
		return;
	wheel_init(&t->wheel, now_ms);
	t->started = true;
}

static void on_wheel(struct wheel_node *node, void *arg)
{
	struct turn_timer *timer = SL_CONTAINER(node, struct turn_timer, node);
	struct sl_turn *t = arg;

	timer->fn(t, timer, t->wheel.now_ms);
}

uint64_t sl_turn_tick(struct sl_turn *t, uint64_t now_ms)
{
	turn_hear_time(t, now_ms);
	wheel_advance(&t->wheel, now_ms, on_wheel, t);
	return wheel_next_ms(&t->wheel);
}

/* ---- input */

static bool is_request_method(uint16_t method)
{
	return method == SL_TURN_ALLOCATE || method == SL_TURN_REFRESH ||
	       method == SL_TURN_CREATE_PERMISSION || method == SL_TURN_CHANNEL_BIND ||
	       method == SL_TURN_CONNECT || method == SL_TURN_CONNECTION_BIND;
}

static bool fingerprint_lies(const struct sl_stun_msg *msg)
{
	return sl_stun_check_fingerprint(msg) == -SL_EAUTH;
}

int sl_turn_input(struct sl_turn *t, struct sl_turn_alloc *alloc, const struct sl_turn_client *c,
		  const struct sl_stun_msg *msg, uint64_t now_ms, uint64_t unix_s,
		  struct sl_turn_out *out)
{
	bool request = msg->class_ == SL_STUN_REQUEST && is_request_method(msg->method);
	bool send = msg->class_ == SL_STUN_INDICATION && msg->method == SL_TURN_SEND;
	struct turn_req r = {
		.t = t,
		.realm = &t->realms[c->realm],
		.a = alloc,
		.client = c,
		.msg = msg,
		.now_ms = now_ms,
		.unix_s = unix_s,
		.out = out,
	};

	out->reply_len = 0;
	out->to_peer_via = NULL;
	out->data_len = 0;
	out->bound = NULL;
	out->unproven = false;
	if (!request && !send)
		return SL_DECLINED;
	sl_assert(c->realm < t->conf->n_realms);
	turn_hear_time(t, now_ms);
	if (fingerprint_lies(msg)) {
		t->counters.bad_requests++;
		return SL_DROP;
	}
	if (!r.a)
		r.a = turn_alloc_find(t, c);
	if (send) {
		turn_send_indication(&r);
		return out->to_peer_via ? SL_DONE : SL_DROP;
	}
	t->counters.requests++;
	turn_find_conn(&r);
	turn_find_ticket(&r);
	turn_request(&r);
	sl_wipe(&r.key, sizeof r.key);
	return SL_DONE;
}

/* ---- what the owner may ask */

void sl_turn_kill(struct sl_turn_alloc *a, const char *why)
{
	turn_alloc_end(a, why);
}

void sl_turn_set_data(struct sl_turn_alloc *a, void *data)
{
	a->data = data;
}

void *sl_turn_data(const struct sl_turn_alloc *a)
{
	return a->data;
}

const struct sl_turn_client *sl_turn_alloc_client(const struct sl_turn_alloc *a)
{
	return &a->client;
}

struct sl_str sl_turn_alloc_user(const struct sl_turn_alloc *a)
{
	return a->user ? (struct sl_str){a->user->name, a->user->len} : SL_STR_NULL;
}

const struct sl_addr *sl_turn_alloc_relayed(const struct sl_turn_alloc *a, uint8_t family)
{
	const struct sl_addr *relayed = &a->relayed[family == 6];

	return relayed->family ? relayed : NULL;
}

bool sl_turn_alloc_is_tcp(const struct sl_turn_alloc *a)
{
	return a->tcp;
}

uint32_t sl_turn_alloc_permissions(const struct sl_turn_alloc *a)
{
	return a->own.n_perms;
}

uint32_t sl_turn_alloc_channels(const struct sl_turn_alloc *a)
{
	return a->own.n_channels;
}

uint64_t sl_turn_alloc_expires_ms(const struct sl_turn_alloc *a)
{
	return a->expires_ms;
}

size_t sl_turn_allocations(const struct sl_turn *t)
{
	return t->allocs.count;
}

const struct sl_turn_counters *sl_turn_counters(const struct sl_turn *t)
{
	return &t->counters;
}
