/*
 * test_htab.c: the intrusive hash table.
 */
#include "../lib/test.h"

#include <sluice/hash.h>

#define N 5000

struct item {
	struct sl_hnode node;
	uint32_t key;
	bool seen;
};

static struct item items[N];

static bool key_eq(const struct sl_hnode *node, const void *key)
{
	return SL_CONTAINER(node, struct item, node)->key == *(const uint32_t *)key;
}

static struct item *find(const struct sl_htab *t, uint32_t key)
{
	struct sl_hnode *n = sl_htab_find(t, sl_hash(&key, sizeof key), key_eq, &key);

	return n ? SL_CONTAINER(n, struct item, node) : NULL;
}

static int fill(struct sl_htab *t, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		items[i] = (struct item){.key = i};
		if (sl_htab_insert(t, &items[i].node, sl_hash(&i, sizeof i)) < 0)
			return -1;
	}
	return 0;
}

TEST(zero_is_an_empty_table)
{
	struct sl_htab t = {NULL, 0, 0};

	CHECK(find(&t, 1) == NULL);
	CHECK(sl_htab_first(&t) == NULL);
	sl_htab_free(&t);
}

TEST(all_that_was_inserted_is_found_as_it_grows)
{
	struct sl_htab t = {NULL, 0, 0};

	CHECK_INT(fill(&t, N), 0);
	CHECK_INT(t.count, N);
	CHECK(t.mask + 1 >= N);
	for (uint32_t i = 0; i < N; i++)
		CHECK(find(&t, i) == &items[i]);
	CHECK(find(&t, N) == NULL);
	sl_htab_free(&t);
}

TEST(what_was_removed_is_gone_and_the_rest_stays)
{
	struct sl_htab t = {NULL, 0, 0};

	CHECK_INT(fill(&t, N), 0);
	for (uint32_t i = 0; i < N; i += 2)
		sl_htab_remove(&t, &items[i].node);
	CHECK_INT(t.count, N / 2);
	for (uint32_t i = 0; i < N; i++)
		CHECK(find(&t, i) == (i % 2 ? &items[i] : NULL));
	sl_htab_free(&t);
}

TEST(equal_hashes_are_told_apart_by_key)
{
	struct sl_htab t = {NULL, 0, 0};
	uint32_t key = 3;

	for (uint32_t i = 0; i < 40; i++) {
		items[i] = (struct item){.key = i};
		CHECK_INT(sl_htab_insert(&t, &items[i].node, 7), 0);
	}
	CHECK(sl_htab_find(&t, 7, key_eq, &key) == &items[3].node);
	sl_htab_remove(&t, &items[3].node);
	CHECK(sl_htab_find(&t, 7, key_eq, &key) == NULL);
	CHECK(sl_htab_find(&t, 8, key_eq, &key) == NULL);
	sl_htab_free(&t);
}

TEST(iteration_meets_each_node_once_and_may_remove_it)
{
	struct sl_htab t = {NULL, 0, 0};
	struct sl_hnode *next;
	uint32_t n = 0;

	CHECK_INT(fill(&t, N), 0);
	for (struct sl_hnode *node = sl_htab_first(&t); node; node = next) {
		struct item *item = SL_CONTAINER(node, struct item, node);

		next = sl_htab_next(&t, node);
		CHECK(!item->seen);
		item->seen = true;
		n++;
		if (item->key % 3 == 0)
			sl_htab_remove(&t, node);
	}
	CHECK_INT(n, N);
	CHECK_INT(t.count, N - (N + 2) / 3);
	sl_htab_free(&t);
}

TEST_MAIN()
