/*
 * base/rate.c: token buckets per source address, in a table that never grows.
 *
 * Four buckets stand side by side in one cache line; a source's keyed hash chooses the line, its
 * upper half is the tag. A bucket keeps the moment up to which its tokens are spent (a virtual
 * clock), so there is nothing to refill: a request moves the clock by one token's time, and is
 * refused when the clock would run more than a burst ahead.
 */
#include <sluice/rate.h>

#include <stdatomic.h>
#include <stdlib.h>

enum { WAYS = 4, SCALE = 1024 /* virtual time in 1/1024 ms, for rates over 1000/s */ };

struct bucket {
	uint64_t spent_until; /* 1/1024 ms */
	uint64_t tag;
};

struct line {
	_Alignas(64) struct bucket ways[WAYS];
};

struct sl_rate {
	uint64_t token, burst; /* 1/1024 ms */
	size_t mask;
	struct line *lines;
	uint8_t bits_v4, bits_v6; /* of an address that tell sources apart */
};

static size_t lines_for(unsigned n_sources)
{
	size_t n = 1;

	while (n * WAYS < n_sources)
		n *= 2;
	return n;
}

int sl_rate_new(unsigned per_second, unsigned burst, unsigned n_sources, struct sl_rate **ret_rate)
{
	size_t n = lines_for(n_sources);
	struct sl_rate *r;

	if (per_second == 0 || burst == 0)
		return -SL_EINVAL;
	r = calloc(1, sizeof *r);
	if (!r)
		return -SL_ENOMEM;
	r->lines = aligned_alloc(64, n * sizeof *r->lines);
	if (!r->lines) {
		free(r);
		return -SL_ENOMEM;
	}
	memset(r->lines, 0, n * sizeof *r->lines);
	r->mask = n - 1;
	r->token = UINT64_C(1000) * SCALE / per_second;
	r->burst = r->token * burst;
	r->bits_v4 = 32;
	r->bits_v6 = 64;
	*ret_rate = r;
	return 0;
}

void sl_rate_free(struct sl_rate *r)
{
	if (!r)
		return;
	free(r->lines);
	free(r);
}

void sl_rate_set_prefixes(struct sl_rate *r, unsigned bits_v4, unsigned bits_v6)
{
	r->bits_v4 = (uint8_t)(bits_v4 < 32 ? bits_v4 : 32);
	r->bits_v6 = (uint8_t)(bits_v6 < 64 ? bits_v6 : 64);
}

static uint64_t source_hash(const struct sl_rate *r, const struct sl_addr *a)
{
	unsigned bits = a->family == 4 ? r->bits_v4 : r->bits_v6;
	uint8_t key[9] = {a->family};

	memcpy(key + 1, a->ip, bits / 8);
	if (bits % 8)
		key[1 + bits / 8] = a->ip[bits / 8] & (uint8_t)(0xff00 >> bits % 8);
	return sl_hash(key, sizeof key);
}

/* The source's bucket, or the one that has been quiet longest, made its own. */
static struct bucket *bucket_of(struct line *line, uint64_t tag)
{
	struct bucket *quiet = &line->ways[0];

	for (int i = 0; i < WAYS; i++) {
		struct bucket *b = &line->ways[i];

		if (b->tag == tag)
			return b;
		if (b->spent_until < quiet->spent_until)
			quiet = b;
	}
	*quiet = (struct bucket){.tag = tag};
	return quiet;
}

bool sl_rate_allow(struct sl_rate *r, const struct sl_addr *source, uint64_t now_ms)
{
	uint64_t hash = source_hash(r, source), now = now_ms * SCALE;
	struct bucket *b = bucket_of(&r->lines[hash & r->mask], hash | 1); /* 0 is nobody's */

	if (b->spent_until < now)
		b->spent_until = now;
	if (b->spent_until + r->token > now + r->burst)
		return false;
	b->spent_until += r->token;
	return true;
}

/* No more than spread in time: the process key differs from node to node, the count from call to
 * call. */
static uint64_t chance(uint64_t below)
{
	static atomic_uint n_calls;
	unsigned n = atomic_fetch_add_explicit(&n_calls, 1, memory_order_relaxed);

	return sl_hash(&n, sizeof n) % below;
}

uint64_t sl_backoff_ms(unsigned n_failed, uint64_t first_ms, uint64_t longest_ms)
{
	uint64_t ms = first_ms;

	while (n_failed-- && ms < longest_ms)
		ms *= 2;
	ms = ms < longest_ms ? ms : longest_ms;
	return ms - ms / 8 + chance(ms / 4 + 1);
}
