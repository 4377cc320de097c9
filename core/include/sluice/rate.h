/*
 * sluice/rate.h: how often one source may do something, and how soon we try again what failed.
 *
 * Token buckets stand in a table of fixed size, keyed by IP, without port, and by /64 for IPv6, or
 * by shorter prefixes. When a source finds no bucket, it takes over that of whoever has been quiet
 * longest in its neighbourhood, so a flood from more sources than there are buckets is not stopped,
 * but costs nothing either.
 */
#ifndef SLUICE_RATE_H
#define SLUICE_RATE_H

#include <sluice/addr.h>

struct sl_rate;

/* per_second: refill; burst: size of a bucket, at least 1; n_sources is rounded up to a power of
 * two. */
SL_API SL_MUST_CHECK int sl_rate_new(unsigned per_second, unsigned burst, unsigned n_sources,
				     struct sl_rate **ret_rate);
/* Before the first use: addresses alike in so many bits, at most 32 and 64, are one source. */
SL_API void sl_rate_set_prefixes(struct sl_rate *r, unsigned bits_v4, unsigned bits_v6);
/* Accepts NULL */
SL_API void sl_rate_free(struct sl_rate *r);
/* Takes a token; false: the source has none left. */
SL_API bool sl_rate_allow(struct sl_rate *r, const struct sl_addr *source, uint64_t now_ms);

/* How long to wait after so many failures in a row: first_ms (at least 1), twice as long each time, longest_ms
 * at most; an eighth more or less, by chance, so that many who failed together do not come back
 * together. */
SL_API uint64_t sl_backoff_ms(unsigned n_failed, uint64_t first_ms, uint64_t longest_ms);

#endif
