/*
 * tests/sim/ice_net.h: two ICE agents on a virtual network in virtual time, with loss, delay, NATs, and addresses that
 * change. Used by test_ice_world.c, test_ice.c and fuzz_ice.c.
 *
 * A node is an agent with its bases, behind a NAT or not. Datagrams, TCP ones included, wait in one queue. Media is a
 * byte that is no STUN; what is accepted of it is counted. The world checks what must always hold: a path is opened once
 * and closed once, and media leaves along open paths only.
 */
#ifndef TESTS_SIM_ICE_NET_H
#define TESTS_SIM_ICE_NET_H

#include <stdio.h>
#include <stdlib.h>
#include <sluice/buf.h>
#include <sluice/crypto.h>

#include "proto/ice_impl.h"

enum { INET_QUEUE = 512, INET_BASES = 4, INET_MAPPINGS = 64, INET_OPEN = 128, INET_BYTES = 1400 };

/* What a NAT does (RFC 4787). */
enum inat { INAT_NONE, INAT_FULL_CONE, INAT_ADDRESS, INAT_PORT, INAT_SYMMETRIC };

struct inat_mapping {
	struct sl_addr inside, peer; /* peer: the last; for SYMMETRIC the only one */
	uint16_t port;
};

struct inode {
	struct iworld *world;
	struct ice_agent *agent;
	struct ice_opts opts;
	struct ice_counters counters;
	struct sl_addr bases[INET_BASES];
	unsigned n_bases;
	enum inat nat;
	struct sl_addr outside; /* of the NAT */
	struct inat_mapping map[INET_MAPPINGS];
	unsigned n_map;
	struct sl_addr permitted[INET_MAPPINGS];
	unsigned n_permitted;
	bool cut;	    /* nothing passes in either direction */
	uint8_t dead_bases; /* bits: nor does it by these */
	/* what the agent has said */
	struct ice_path open[INET_OPEN];
	unsigned n_open, n_selected, n_states, n_failed;
	bool has_selected;
	struct ice_path selected;
	const char *why;
	bool follows; /* authentic media from a new address, all of which is */
	unsigned n_media_in, n_media_refused;
	uint64_t selected_ms, media_ms; /* of the last */
	uint32_t sent, sent_bytes;
};

struct idatagram {
	uint64_t at_ms, order;
	struct sl_addr from, to;
	bool tcp, used;
	uint32_t via; /* TCP: at the receiver */
	size_t len;
	uint8_t bytes[INET_BYTES];
};

struct iworld {
	struct inode nodes[2];
	struct idatagram queue[INET_QUEUE];
	uint64_t now_ms, order, random;
	unsigned loss_percent, delay_ms, jitter_ms;
	unsigned n_lost, n_full;
	bool wrong; /* an invariant has been broken; printed */
};

static inline struct sl_addr iaddr(const char *text)
{
	struct sl_addr a = {0};

	sl_assert(sl_addr_parse(&a, sl_str_c(text)) == 0);
	return a;
}

static inline unsigned inet_pick(struct iworld *w, unsigned n)
{
	w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(w->random >> 33) % n;
}

static inline void inet_wrong(struct iworld *w, const char *what)
{
	printf("# at %llu ms: %s\n", (unsigned long long)w->now_ms, what);
	w->wrong = true;
}

/* ---- NAT */

static inline struct sl_addr inat_out(struct inode *n, const struct sl_addr *inside, const struct sl_addr *peer)
{
	struct sl_addr out = n->outside;
	unsigned i;

	if (n->nat == INAT_NONE)
		return *inside;
	for (i = 0; i < n->n_map; i++)
		if (sl_addr_eq(&n->map[i].inside, inside) &&
		    (n->nat != INAT_SYMMETRIC || sl_addr_eq(&n->map[i].peer, peer)))
			break;
	if (i == n->n_map) {
		sl_assert(i < INET_MAPPINGS);
		n->map[n->n_map++] = (struct inat_mapping){*inside, *peer, (uint16_t)(20000 + inet_pick(n->world, 40000))};
	}
	if (n->n_permitted < INET_MAPPINGS)
		n->permitted[n->n_permitted++] = *peer;
	out.port = n->map[i].port;
	return out;
}

static inline bool inat_permits(const struct inode *n, const struct inat_mapping *m, const struct sl_addr *from)
{
	if (n->nat == INAT_FULL_CONE)
		return true;
	if (n->nat == INAT_SYMMETRIC)
		return sl_addr_eq(&m->peer, from);
	for (unsigned i = 0; i < n->n_permitted; i++)
		if (n->nat == INAT_ADDRESS ? sl_addr_same_ip(&n->permitted[i], from) : sl_addr_eq(&n->permitted[i], from))
			return true;
	return false;
}

/* Where a datagram goes inside; false: nowhere */
static inline bool inat_in(const struct inode *n, const struct sl_addr *from, struct sl_addr *to)
{
	if (n->nat == INAT_NONE)
		return true;
	if (!sl_addr_same_ip(to, &n->outside))
		return false; /* inside addresses are not reached from outside */
	for (unsigned i = 0; i < n->n_map; i++) {
		if (n->map[i].port == to->port && inat_permits(n, &n->map[i], from)) {
			*to = n->map[i].inside;
			return true;
		}
	}
	return false;
}

/* The mapping is forgotten, as after a change of network: later packets come from other ports. */
static inline void inat_rebind(struct inode *n)
{
	n->n_map = n->n_permitted = 0;
}

/* ---- the network */

static inline void inet_put(struct iworld *w, const struct sl_addr *from, const struct sl_addr *to, bool tcp, uint32_t via,
			    const void *data, size_t len)
{
	struct idatagram *d = NULL;

	if (!tcp && inet_pick(w, 100) < w->loss_percent) {
		w->n_lost++;
		return;
	}
	for (unsigned i = 0; i < INET_QUEUE && !d; i++)
		if (!w->queue[i].used)
			d = &w->queue[i];
	if (!d || len > INET_BYTES) {
		w->n_full++;
		return;
	}
	d->at_ms = w->now_ms + w->delay_ms + (w->jitter_ms && !tcp ? inet_pick(w, w->jitter_ms) : 0);
	d->order = w->order++;
	d->from = *from, d->to = *to, d->tcp = tcp, d->via = via, d->len = len, d->used = true;
	memcpy(d->bytes, data, len);
}

static inline bool inode_has_open(const struct inode *n, const struct ice_path *path)
{
	for (unsigned i = 0; i < n->n_open; i++)
		if (ice_path_eq(&n->open[i], path))
			return true;
	return false;
}

static inline bool inode_is_dead(const struct inode *n, const struct sl_addr *base)
{
	for (unsigned i = 0; i < n->n_bases; i++)
		if (sl_addr_eq(&n->bases[i], base))
			return n->dead_bases >> i & 1;
	return false;
}

static inline void inode_send(void *ctx, const struct ice_path *path, const uint8_t *data, size_t len)
{
	struct inode *n = ctx;
	struct sl_addr from;

	n->sent++;
	n->sent_bytes += (uint32_t)len;
	if (n->cut || inode_is_dead(n, &path->local))
		return;
	from = path->tcp ? path->local : inat_out(n, &path->local, &path->remote);
	inet_put(n->world, &from, &path->remote, path->tcp, path->via, data, len);
}

static inline void inode_path_open(void *ctx, const struct ice_path *path)
{
	struct inode *n = ctx;

	if (inode_has_open(n, path))
		inet_wrong(n->world, "a path is opened twice");
	sl_assert(n->n_open < INET_OPEN);
	n->open[n->n_open++] = *path;
}

static inline void inode_path_close(void *ctx, const struct ice_path *path)
{
	struct inode *n = ctx;

	for (unsigned i = 0; i < n->n_open; i++) {
		if (ice_path_eq(&n->open[i], path)) {
			n->open[i] = n->open[--n->n_open];
			return;
		}
	}
	inet_wrong(n->world, "a path is closed that is not open");
}

static inline void inode_selected(void *ctx, const struct ice_path *path)
{
	struct inode *n = ctx;

	n->n_selected++;
	n->has_selected = path != NULL;
	n->selected_ms = n->world->now_ms;
	if (!path)
		return;
	n->selected = *path;
	if (!inode_has_open(n, path))
		inet_wrong(n->world, "a path is selected that is not open");
}

static inline void inode_state(void *ctx, enum ice_state state, const char *why)
{
	struct inode *n = ctx;

	n->n_states++;
	n->n_failed += state == ICE_FAILED;
	n->why = why;
}

static const struct ice_io inode_io = {inode_send, inode_path_open, inode_path_close, inode_selected, inode_state};

static inline void inode_receive(struct inode *n, const struct idatagram *d, const struct sl_addr *to)
{
	struct ice_path path = {.local = *to, .remote = d->from, .via = d->via, .tcp = d->tcp};
	struct sl_stun_msg msg;

	for (unsigned i = 0; i < n->n_bases && !d->tcp; i++)
		if (sl_addr_eq(&n->bases[i], to))
			path.via = i;
	if (sl_stun_parse(&msg, d->bytes, d->len) == 0) {
		if (msg.class_ != SL_STUN_REQUEST || ice_is_for(n->agent, &msg))
			(void)ice_input(n->agent, &path, &msg, n->world->now_ms);
		return;
	}
	if (!ice_may_receive(n->agent, &path, n->world->now_ms) &&
	    !(n->follows && ice_follow(n->agent, &path, n->world->now_ms))) {
		n->n_media_refused++;
		return;
	}
	n->n_media_in++;
	n->media_ms = n->world->now_ms;
}

static inline bool inode_owns(const struct inode *n, const struct sl_addr *a)
{
	for (unsigned i = 0; i < n->n_bases; i++)
		if (sl_addr_eq(&n->bases[i], a))
			return true;
	return false;
}

static inline void inet_deliver(struct iworld *w, struct idatagram *d)
{
	for (unsigned i = 0; i < 2; i++) {
		struct inode *n = &w->nodes[i];
		struct sl_addr to = d->to;

		if (n->agent && !n->cut && inat_in(n, &d->from, &to) && inode_owns(n, &to) && !inode_is_dead(n, &to))
			inode_receive(n, d, &to);
	}
}

static inline struct idatagram *inet_next(struct iworld *w)
{
	struct idatagram *next = NULL;

	for (unsigned i = 0; i < INET_QUEUE; i++) {
		struct idatagram *d = &w->queue[i];

		if (d->used && (!next || d->at_ms < next->at_ms || (d->at_ms == next->at_ms && d->order < next->order)))
			next = d;
	}
	return next;
}

/* Lets ms pass: deliveries and ticks, each at its time. */
static inline void inet_pass(struct iworld *w, uint64_t ms)
{
	uint64_t end = w->now_ms + ms;

	for (;;) {
		struct idatagram *d = inet_next(w);
		uint64_t at = d ? d->at_ms : UINT64_MAX;

		for (unsigned i = 0; i < 2; i++)
			if (w->nodes[i].agent && ice_next_ms(w->nodes[i].agent) < at)
				at = ice_next_ms(w->nodes[i].agent);
		if (at > end)
			break;
		if (at > w->now_ms)
			w->now_ms = at;
		for (unsigned i = 0; i < 2; i++)
			if (w->nodes[i].agent)
				(void)ice_tick(w->nodes[i].agent, w->now_ms);
		if (d && d->at_ms <= w->now_ms) {
			inet_deliver(w, d);
			d->used = false; /* not before: answers take free places */
		}
	}
	w->now_ms = end;
}

/* ---- nodes */

static inline struct inode *inode_init(struct iworld *w, unsigned i, const char *addr, bool controlling, bool lite)
{
	struct inode *n = &w->nodes[i];

	*n = (struct inode){.world = w};
	n->opts = (struct ice_opts){
		.lite = lite,
		.controlling = controlling,
		.slot = (uint16_t)(i + 1),
		.tie_breaker = 1000 + i,
		.counters = &n->counters,
	};
	n->bases[n->n_bases++] = iaddr(addr);
	return n;
}

static inline void inode_base(struct inode *n, const char *addr)
{
	sl_assert(n->n_bases < INET_BASES);
	n->bases[n->n_bases++] = iaddr(addr);
}

static inline void inode_start(struct inode *n)
{
	sl_assert(ice_new(&n->agent, &n->opts, &inode_io, n) == 0);
	for (unsigned i = 0; i < n->n_bases; i++)
		sl_assert(ice_add_local(n->agent, &n->bases[i], NULL, i, ICE_UDP) == 0);
}

/* What signalling does: n's credentials to the other. */
static inline void inode_describe(struct inode *n, struct inode *to)
{
	sl_assert(ice_set_remote(to->agent, sl_str_c(ice_ufrag(n->agent)), sl_str_c(ice_password(n->agent)),
				 n->opts.lite, n->world->now_ms) == 0);
}

/* And its candidates: host ones and, behind a NAT that keeps ports, the reflexive ones. */
static inline void inode_trickle(struct inode *n, struct inode *to)
{
	const struct sl_addr server = {.family = 4, .port = 3478, .ip = {203, 0, 113, 200}};
	struct ice_candidate c[INET_BASES];
	unsigned k = ice_local_candidates(n->agent, c, INET_BASES);

	for (unsigned i = 0; i < k; i++) {
		(void)ice_add_remote(to->agent, &c[i], n->world->now_ms);
		if (n->nat == INAT_NONE)
			continue;
		c[i].addr = inat_out(n, &n->bases[i], &server);
		c[i].type = ICE_SRFLX;
		c[i].priority = 100u << 24 | 255;
		(void)ice_add_remote(to->agent, &c[i], n->world->now_ms);
	}
}

static inline void inode_media(struct inode *n)
{
	static const uint8_t rtp[] = {0x80, 96, 0, 1};

	if (n->has_selected)
		inode_send(n, &n->selected, rtp, sizeof rtp);
}

static inline void iworld_init(struct iworld *w, uint64_t seed)
{
	static uint64_t fake;

	memset(w, 0, sizeof *w);
	w->random = fake = seed * 7919 + 1;
	w->delay_ms = 20;
	w->now_ms = 1000;
	sl_random_fake(&fake);
}

static inline void iworld_stop(struct iworld *w)
{
	for (unsigned i = 0; i < 2; i++) {
		ice_free(w->nodes[i].agent);
		w->nodes[i].agent = NULL;
	}
}

/* Both send to where the other one listens. */
static inline bool iworld_agrees(struct iworld *w)
{
	struct inode *a = &w->nodes[0], *b = &w->nodes[1];
	struct sl_addr a_out, b_out;

	if (!a->has_selected || !b->has_selected)
		return false;
	a_out = a->selected.tcp ? a->selected.local : inat_out(a, &a->selected.local, &a->selected.remote);
	b_out = b->selected.tcp ? b->selected.local : inat_out(b, &b->selected.local, &b->selected.remote);
	return sl_addr_eq(&a_out, &b->selected.remote) && sl_addr_eq(&b_out, &a->selected.remote);
}

static inline bool iworld_connected(const struct iworld *w)
{
	return ice_get_state(w->nodes[0].agent) == ICE_CONNECTED && ice_get_state(w->nodes[1].agent) == ICE_CONNECTED;
}

/* ms until both are connected; limit_ms: not within it */
static inline uint64_t iworld_connect_ms(struct iworld *w, uint64_t limit_ms)
{
	uint64_t begin = w->now_ms;

	while (!iworld_connected(w) && w->now_ms - begin < limit_ms)
		inet_pass(w, 5);
	return w->now_ms - begin;
}

#endif
