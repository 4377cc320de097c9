/*
 * proto/turn_limit.c: what a user, a source address, a realm and all together may have:
 * allocations, permissions, channels, and bits a second.
 *
 * An allocation points at the shares that it counts in, one for each scope (enum sl_turn_scope).
 * Those of users and sources are made with their first allocation and go with their last; a user
 * counts by the part of the name that stays when a time-limited name is renewed, a source by its
 * IPv4 address or IPv6 /64.
 *
 * A rate is a bucket for each direction, kept as the moment up to which its bits are spent (a
 * virtual clock): nothing to refill, no timer. A packet goes when all of its buckets let it, and is
 * charged to all or to none. Allocations without any rate are told apart by one flag.
 */
#include "proto/turn_impl.h"

#include <stdlib.h>

enum {
	TICKS_PER_MS = 16000000, /* of virtual clocks: 1/16 ns, for rates of many Gbit/s */
	BURST_MS = 250,
	MIN_BURST_BYTES = 32768, /* a video frame, whatever the rate */
	SOURCE_BYTES = 9,
};

/* ---- parties: users and sources */

struct party_key {
	const struct turn_realm *realm;
	enum sl_turn_scope scope;
	struct sl_str name;
};

static bool is_party(const struct sl_hnode *node, const void *arg)
{
	const struct turn_party *p = SL_CONTAINER(node, struct turn_party, node);
	const struct party_key *key = arg;

	return p->realm == key->realm && p->scope == key->scope &&
	       sl_str_eq((struct sl_str){p->name, p->len}, key->name);
}

static uint64_t party_hash(const struct party_key *key)
{
	const uint64_t who[2] = {(uintptr_t)key->realm, key->scope};

	return sl_hash(key->name.p, key->name.len) ^ sl_hash(who, sizeof who);
}

static struct turn_party *party_find(const struct sl_turn *t, const struct party_key *key)
{
	struct sl_hnode *node = sl_htab_find(&t->parties, party_hash(key), is_party, key);

	return node ? SL_CONTAINER(node, struct turn_party, node) : NULL;
}

static struct turn_party *party_new(struct sl_turn *t, const struct party_key *key)
{
	struct turn_party *p = malloc(sizeof *p + key->name.len);

	if (!p)
		return NULL;
	*p = (struct turn_party){
		.share = {.limit = &key->realm->conf->limits[key->scope]},
		.realm = key->realm,
		.scope = key->scope,
		.len = (uint32_t)key->name.len,
	};
	if (key->name.len > 0)
		memcpy(p->name, key->name.p, key->name.len);
	if (sl_htab_insert(&t->parties, &p->node, party_hash(key)) < 0) {
		free(p);
		return NULL;
	}
	return p;
}

static void party_release(struct sl_turn *t, struct turn_party *p)
{
	if (!p || p->share.n_allocs > 0)
		return;
	sl_htab_remove(&t->parties, &p->node);
	free(p);
}

/* 0, 486 or 508. The caller counts the allocation, or releases. */
static unsigned party_get(struct sl_turn *t, const struct party_key *key, struct turn_party **ret_p)
{
	const uint32_t max = key->realm->conf->limits[key->scope].allocations;
	struct turn_party *p = party_find(t, key);

	if (p && max > 0 && p->share.n_allocs >= max)
		return 486;
	if (!p)
		p = party_new(t, key);
	if (!p)
		return 508;
	*ret_p = p;
	return 0;
}

static struct sl_str source_name(const struct sl_addr *a, uint8_t dst[SOURCE_BYTES])
{
	size_t n = a->family == 4 ? 4 : 8;

	dst[0] = a->family;
	memcpy(dst + 1, a->ip, n);
	return (struct sl_str){(const char *)dst, n + 1};
}

static bool is_limited(const struct sl_turn_limit *l)
{
	return l->allocations > 0 || l->permissions > 0 || l->channels > 0 || l->bps > 0;
}

/* ---- allocations */

static unsigned get_user(struct turn_req *r, struct sl_turn_alloc *a)
{
	const struct party_key key = {r->realm, SL_TURN_PER_USER, turn_quota_name(r->username)};

	return r->proven ? party_get(r->t, &key, &a->user) : 0;
}

/* Only where a limit asks for it. */
static unsigned get_source(struct turn_req *r, struct sl_turn_alloc *a)
{
	uint8_t name[SOURCE_BYTES];
	const struct party_key key = {r->realm, SL_TURN_PER_SOURCE,
				      source_name(&r->client->remote, name)};
	unsigned code;

	if (!is_limited(&r->realm->conf->limits[SL_TURN_PER_SOURCE]))
		return 0;
	code = party_get(r->t, &key, &a->source);
	r->t->counters.source_refusals += code == 486;
	return code;
}

static void join(struct sl_turn_alloc *a, enum sl_turn_scope scope, struct turn_share *s)
{
	if (!s)
		return;
	a->shares[scope] = s;
	s->n_allocs++;
	a->shaped = a->shaped || s->limit->bps > 0;
}

/* 0, 486 or 508; undone by turn_limits_leave in any case. */
unsigned turn_limits_join(struct turn_req *r, struct sl_turn_alloc *a)
{
	unsigned code;

	a->own.limit = &r->realm->conf->limits[SL_TURN_PER_ALLOCATION];
	code = get_user(r, a);
	if (code == 0)
		code = get_source(r, a);
	if (code)
		return code;
	join(a, SL_TURN_PER_ALLOCATION, &a->own);
	join(a, SL_TURN_PER_USER, a->user ? &a->user->share : NULL);
	join(a, SL_TURN_PER_SOURCE, a->source ? &a->source->share : NULL);
	join(a, SL_TURN_PER_REALM, &r->realm->share);
	join(a, SL_TURN_IN_TOTAL, &r->t->total);
	return 0;
}

void turn_limits_leave(struct sl_turn_alloc *a)
{
	for (int i = 0; i < SL_TURN_SCOPES; i++)
		if (a->shares[i])
			a->shares[i]->n_allocs--;
	party_release(a->turn, a->user);
	party_release(a->turn, a->source);
}

bool turn_realm_is_full(const struct turn_realm *realm)
{
	const uint32_t max = realm->share.limit->allocations;

	return max > 0 && realm->share.n_allocs >= max;
}

/* ---- permissions and channels */

/* By scope, as enum sl_turn_scope. */
static void count_permissions(struct sl_turn_counters *n, int scope)
{
	uint64_t *const counters[SL_TURN_SCOPES] = {
		&n->over_allocation_permissions, &n->over_user_permissions,
		&n->over_source_permissions,	 &n->over_realm_permissions,
		&n->over_total_permissions,
	};

	n->permission_refusals++;
	(*counters[scope])++;
}

static void count_channels(struct sl_turn_counters *n, int scope)
{
	uint64_t *const counters[SL_TURN_SCOPES] = {
		&n->over_allocation_channels, &n->over_user_channels,  &n->over_source_channels,
		&n->over_realm_channels,      &n->over_total_channels,
	};

	n->channel_refusals++;
	(*counters[scope])++;
}

bool turn_may_permit(const struct sl_turn_alloc *a, uint32_t n_new)
{
	for (int i = 0; i < SL_TURN_SCOPES; i++) {
		const struct turn_share *s = a->shares[i];

		if (s && s->limit->permissions > 0 && s->n_perms + n_new > s->limit->permissions) {
			count_permissions(&a->turn->counters, i);
			return false;
		}
	}
	return true;
}

bool turn_may_bind(const struct sl_turn_alloc *a)
{
	for (int i = 0; i < SL_TURN_SCOPES; i++) {
		const struct turn_share *s = a->shares[i];

		if (s && s->limit->channels > 0 && s->n_channels >= s->limit->channels) {
			count_channels(&a->turn->counters, i);
			return false;
		}
	}
	return true;
}

static void tell_counts(struct sl_turn_alloc *a)
{
	const struct sl_turn *t = a->turn;

	if (t->io->counted)
		t->io->counted(t->io_ctx, a);
}

void turn_count_perm(struct sl_turn_alloc *a, int change)
{
	for (int i = 0; i < SL_TURN_SCOPES; i++)
		if (a->shares[i])
			a->shares[i]->n_perms += (uint32_t)change;
	tell_counts(a);
}

void turn_count_channel(struct sl_turn_alloc *a, int change)
{
	for (int i = 0; i < SL_TURN_SCOPES; i++)
		if (a->shares[i])
			a->shares[i]->n_channels += (uint32_t)change;
	tell_counts(a);
}

/* ---- bits a second */

static uint64_t ticks_for(uint64_t bps, size_t len)
{
	return (uint64_t)len * 8 * (UINT64_C(1000) * TICKS_PER_MS) / bps;
}

static uint64_t burst_of(uint64_t bps)
{
	const uint64_t by_time = UINT64_C(1) * BURST_MS * TICKS_PER_MS,
		       by_size = ticks_for(bps, MIN_BURST_BYTES);

	return by_time > by_size ? by_time : by_size;
}

static bool has_room(struct turn_share *s, enum turn_direction to, size_t len, uint64_t now)
{
	const uint64_t bps = s->limit->bps;

	if (s->spent_until[to] < now)
		s->spent_until[to] = now;
	return s->spent_until[to] + ticks_for(bps, len) <= now + burst_of(bps);
}

static void count_drop(struct sl_turn_counters *n, int scope)
{
	uint64_t *const counters[SL_TURN_SCOPES] = {
		&n->over_allocation_rate, &n->over_user_rate,  &n->over_source_rate,
		&n->over_realm_rate,	  &n->over_total_rate,
	};

	(*counters[scope])++;
}

bool turn_has_rate_left(struct sl_turn_alloc *a, enum turn_direction to, size_t len,
			uint64_t now_ms)
{
	const uint64_t now = now_ms * TICKS_PER_MS;

	for (int i = 0; i < SL_TURN_SCOPES; i++)
		if (a->shares[i] && a->shares[i]->limit->bps > 0 &&
		    !has_room(a->shares[i], to, len, now)) {
			count_drop(&a->turn->counters, i);
			return false;
		}
	for (int i = 0; i < SL_TURN_SCOPES; i++)
		if (a->shares[i] && a->shares[i]->limit->bps > 0)
			a->shares[i]->spent_until[to] += ticks_for(a->shares[i]->limit->bps, len);
	return true;
}
