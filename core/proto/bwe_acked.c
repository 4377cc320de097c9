/*
 * proto/bwe_acked.c: how many bits per second arrive at the peer, by the peer's clock.
 *
 * Buckets of 25 ms, 1.6 s back. The bucket at work counts as far as it has come, so that the answer
 * does not saw up and down with its filling.
 */
#include "proto/bwe_impl.h"

#include <string.h>

enum { MIN_WINDOW_US = 100000, MIN_PACKETS = 4 };

static int64_t bucket_of(int64_t us)
{
	return us / BWE_ACKED_BUCKET_US;
}

static unsigned index_of(int64_t bucket)
{
	return (unsigned)((uint64_t)bucket % BWE_ACKED_BUCKETS);
}

static void begin(struct bwe_acked *a, int64_t us)
{
	*a = (struct bwe_acked){.first_us = us, .last_us = us, .started = true};
}

static void clear_between(struct bwe_acked *a, int64_t from, int64_t to)
{
	for (int64_t b = from; b <= to; b++)
		a->bytes[index_of(b)] = a->packets[index_of(b)] = 0;
}

void bwe_acked_add(struct bwe_acked *a, int64_t us, uint32_t bytes)
{
	int64_t ahead = a->started ? bucket_of(us) - bucket_of(a->last_us) : BWE_ACKED_BUCKETS;

	if (ahead <= -BWE_ACKED_BUCKETS)
		return;
	if (ahead >= BWE_ACKED_BUCKETS) {
		begin(a, us);
		return; /* what came before the first instant took no time that we know */
	}
	if (ahead > 0)
		clear_between(a, bucket_of(a->last_us) + 1, bucket_of(us));
	if (us > a->last_us)
		a->last_us = us;
	if (us < a->first_us)
		a->first_us = us;
	a->bytes[index_of(bucket_of(us))] += bytes;
	a->packets[index_of(bucket_of(us))]++;
}

double bwe_acked_bps(const struct bwe_acked *a, unsigned window_ms)
{
	int64_t last = bucket_of(a->last_us), n = window_ms * 1000 / BWE_ACKED_BUCKET_US;
	int64_t from_us = (last - n) * BWE_ACKED_BUCKET_US;
	uint32_t bytes = 0, packets = 0;

	if (from_us < a->first_us)
		from_us = a->first_us;
	if (!a->started || a->last_us - from_us < MIN_WINDOW_US)
		return 0;
	for (int64_t b = last - n; b <= last; b++) {
		bytes += a->bytes[index_of(b)];
		packets += a->packets[index_of(b)];
	}
	return packets < MIN_PACKETS ? 0 : 8e6 * bytes / (double)(a->last_us - from_us);
}
