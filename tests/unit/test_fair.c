/*
 * tests/unit/test_fair.c: whose turn it is when many wait.
 */
#include "lib/test.h"

#include "base/fair.h"

#include <stdlib.h>

enum { MANY = 2000 };
static struct fair_item items[MANY];
static unsigned n_items;

static void put(struct fair *q, uint32_t key, unsigned n, uint16_t len)
{
	for (unsigned i = 0; i < n; i++) {
		struct fair_item *item = &items[n_items++];

		*item = (struct fair_item){.key = key, .len = len, .note = (uint16_t)i};
		fair_put(q, item);
	}
}

static struct fair *new_queue(void)
{
	n_items = 0;
	return fair_new(10);
}

TEST(one_of_few_does_not_wait_for_what_another_has_queued)
{
	struct fair *q = new_queue();
	unsigned last = 0, expect = 0;
	struct fair_item *item;

	put(q, 'A', 60, 1200);
	put(q, 'B', 4, 160);
	for (unsigned i = 1; (item = fair_get(q)); i++)
		if (item->key == 'B') {
			CHECK_INT(item->note, expect++); /* in order */
			last = i;
		}
	CHECK_INT(expect, 4);
	CHECK_INT(last, 7); /* behind one quantum of A: three of 1200 bytes */
	CHECK_INT(fair_count(q), 0);
	fair_free(q);
}

TEST(each_key_keeps_its_order_and_nothing_is_lost)
{
	struct fair *q = new_queue();
	unsigned expect[40] = {0}, n = 0;
	struct fair_item *item;

	for (unsigned k = 0; k < 40; k++)
		put(q, k * 77, 1 + k, (uint16_t)(1 + 50 * k));
	while ((item = fair_get(q))) {
		CHECK_INT(item->note, expect[item->key / 77]++);
		n++;
	}
	CHECK_INT(n, n_items);
	fair_free(q);
}

TEST(two_who_want_all_get_the_same_number_of_bytes)
{
	struct fair *q = new_queue();
	long bytes[2] = {0};

	put(q, 'A', 1000, 200);
	put(q, 'B', 200, 1400);
	for (unsigned i = 0; i < 400; i++) {
		const struct fair_item *item = fair_get(q);

		bytes[item->key == 'B'] += item->len;
	}
	CHECK(labs(bytes[0] - bytes[1]) <= 4096 + 1400);
	while (fair_get(q))
		continue;
	fair_free(q);
}

TEST(what_has_to_go_is_the_oldest_of_the_longest)
{
	struct fair *q = new_queue();
	struct fair_item *item;

	put(q, 'A', 10, 100);
	put(q, 'B', 3, 100);
	put(q, 'C', 5, 100);
	for (unsigned i = 0; i < 5; i++) {
		item = fair_drop(q);
		CHECK_INT(item->key, 'A');
		CHECK_INT(item->note, i);
	}
	for (unsigned i = 0; i < 4; i++) /* A and C in turn: B is never the longest */
		CHECK(fair_drop(q)->key != 'B');
	CHECK_INT(fair_count(q), 9);
	for (unsigned i = 0; i < 9; i++)
		CHECK(fair_drop(q) != NULL);
	CHECK(fair_drop(q) == NULL);
	CHECK(fair_get(q) == NULL);
	put(q, 'D', 1, 100);
	CHECK_INT(fair_get(q)->key, 'D');
	fair_free(q);
}

TEST(nobody_shares_a_class_with_who_floods)
{
	struct fair *q = new_queue();
	unsigned n = 0, turn[1000] = {0};
	struct fair_item *item;

	put(q, 5000, 900, 1000);
	for (uint32_t key = 0; key < 1000; key++)
		put(q, key, 1, 100);
	while ((item = fair_get(q))) {
		n++;
		if (item->key < 1000)
			turn[item->key] = n;
	}
	CHECK_INT(n, 1900);
	for (uint32_t key = 0; key < 1000; key++)
		CHECK_INT(turn[key], key + 5); /* behind four of the first */
	fair_free(q);
}

TEST(more_keys_than_there_is_room_for_share_and_lose_nothing)
{
	struct fair *q = fair_new(1); /* for two */
	unsigned n[5] = {0};
	struct fair_item *item;

	n_items = 0;
	for (uint32_t key = 0; key < 5; key++)
		put(q, key, 10, 1000);
	while ((item = fair_get(q)))
		CHECK_INT(item->note, n[item->key]++); /* each in its order */
	for (uint32_t key = 0; key < 5; key++)
		CHECK_INT(n[key], 10);
	fair_free(q);
}

TEST(a_vote_finds_who_dominates)
{
	struct fair_vote v = {0};

	for (unsigned i = 0; i < 64; i++)
		fair_cast(&v, i % 16 == 0 ? i : 7);
	CHECK(fair_dominated(&v) && v.key == 7 && v.mixed);
	v = (struct fair_vote){0};
	for (unsigned i = 0; i < 64; i++)
		fair_cast(&v, i % 2);
	CHECK(!fair_dominated(&v));
	v = (struct fair_vote){0};
	for (unsigned i = 0; i < 64; i++)
		fair_cast(&v, 9);
	CHECK(fair_dominated(&v) && !v.mixed);
}

TEST_MAIN()
