/*
 * base/htab.c: the intrusive hash table: chains of nodes that live in the caller's objects.
 *
 * Doubles when there are more nodes than buckets. When memory for doubling is lacking the chains
 * grow instead: only the first insertion of all can fail.
 */
#include <sluice/hash.h>

#include <stdlib.h>

#define BUCKETS_MIN 16

/* In front: what was inserted last is often asked for next. */
static void link_node(struct sl_htab *t, struct sl_hnode *node)
{
	struct sl_hnode **bucket = &t->buckets[node->hash & t->mask];

	node->next = *bucket;
	*bucket = node;
}

/* On failure the table is as it was. Nodes keep their hash, so no key is looked at. */
static int resize(struct sl_htab *t, size_t n_buckets)
{
	struct sl_htab bigger = {
		.buckets = calloc(n_buckets, sizeof *t->buckets),
		.mask = n_buckets - 1,
		.count = t->count,
	};
	struct sl_hnode *next;

	if (!bigger.buckets)
		return -SL_ENOMEM;
	for (size_t i = 0; t->buckets && i <= t->mask; i++) {
		for (struct sl_hnode *n = t->buckets[i]; n; n = next) {
			next = n->next;
			link_node(&bigger, n);
		}
	}
	free(t->buckets);
	*t = bigger;
	return 0;
}

int sl_htab_insert(struct sl_htab *t, struct sl_hnode *node, uint64_t hash)
{
	if (!t->buckets && resize(t, BUCKETS_MIN) < 0)
		return -SL_ENOMEM;
	if (t->count > t->mask)
		(void)resize(t, (t->mask + 1) * 2); /* longer chains are still right */
	node->hash = hash;
	link_node(t, node);
	t->count++;
	return 0;
}

/* A node that is not in this table is a bug that would corrupt another one: not survived. */
void sl_htab_remove(struct sl_htab *t, struct sl_hnode *node)
{
	struct sl_hnode **at;

	sl_assert(t->buckets);
	at = &t->buckets[node->hash & t->mask];
	while (*at && *at != node)
		at = &(*at)->next;
	sl_assert(*at);
	*at = node->next;
	node->next = NULL;
	t->count--;
}

struct sl_hnode *sl_htab_find(const struct sl_htab *t, uint64_t hash, sl_hnode_eq_fn *eq,
			      const void *key)
{
	struct sl_hnode *n = t->buckets ? t->buckets[hash & t->mask] : NULL;

	while (n && (n->hash != hash || !eq(n, key)))
		n = n->next;
	return n;
}

/* The first node in this bucket or a later one. */
static struct sl_hnode *first_from(const struct sl_htab *t, size_t bucket)
{
	for (; bucket <= t->mask; bucket++)
		if (t->buckets[bucket])
			return t->buckets[bucket];
	return NULL;
}

struct sl_hnode *sl_htab_first(const struct sl_htab *t)
{
	return t->buckets ? first_from(t, 0) : NULL;
}

struct sl_hnode *sl_htab_next(const struct sl_htab *t, const struct sl_hnode *node)
{
	return node->next ? node->next : first_from(t, (node->hash & t->mask) + 1);
}

void sl_htab_free(struct sl_htab *t)
{
	free(t->buckets);
	*t = (struct sl_htab){.buckets = NULL};
}
