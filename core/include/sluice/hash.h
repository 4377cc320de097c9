/*
 * sluice/hash.h: keyed hashing and an intrusive hash table.
 *
 * Everything keyed by what the network says is hashed with SipHash-1-3 under a key drawn at process
 * start, so that nobody can choose collisions.
 */
#ifndef SLUICE_HASH_H
#define SLUICE_HASH_H

#include <sluice/str.h>

/* SipHash-2-4 (the reference function, for tests and long-lived values) and SipHash-1-3 with an
 * explicit key. */
SL_API uint64_t sl_siphash24(const uint8_t key[16], const void *data, size_t n);
SL_API uint64_t sl_siphash13(const uint8_t key[16], const void *data, size_t n);
/* SipHash-1-3 under the process key; sl_hash_seed is called once at start (tests pass a fixed key).
 */
SL_API void sl_hash_seed(const uint8_t key[16]);
/* Differs from process to process: never in a file, a message or shared memory */
SL_API uint64_t sl_hash(const void *data, size_t n);

struct sl_hnode {
	struct sl_hnode *next; /* W: table */
	uint64_t hash;
};

/*
 * Intrusive, chained, grows by doubling; never shrinks. Embeds a node in the caller's object and
 * owns no object. Zero-initialised is a valid empty table.
 */
struct sl_htab {
	struct sl_hnode **buckets;
	size_t mask, count; /* mask + 1 buckets; buckets NULL: none yet */
};

typedef bool sl_hnode_eq_fn(const struct sl_hnode *node, const void *key);

/* Does not look for duplicates */
SL_API SL_MUST_CHECK int sl_htab_insert(struct sl_htab *t, struct sl_hnode *node, uint64_t hash);
/* Must be in it */
SL_API void sl_htab_remove(struct sl_htab *t, struct sl_hnode *node);
/* The node of this hash that eq says is key's; NULL: none */
SL_API struct sl_hnode *sl_htab_find(const struct sl_htab *t, uint64_t hash, sl_hnode_eq_fn *eq,
				     const void *key);
/* Iteration: for (n = sl_htab_first(t); n; n = next) { next = sl_htab_next(t, n); ... n may be
 * removed ... } */
SL_API struct sl_hnode *sl_htab_first(const struct sl_htab *t);
/* NULL behind the last; the order means nothing */
SL_API struct sl_hnode *sl_htab_next(const struct sl_htab *t, const struct sl_hnode *node);
/* The bucket array only */
SL_API void sl_htab_free(struct sl_htab *t);

#endif
