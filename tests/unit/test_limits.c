/*
 * test_limits.c: counts per key over several processes, which die with who holds them.
 */
#include "../lib/test.h"
#include "../lib/shm.h"

static const struct shm_sizes sizes = {
	.n_slots = 4, .n_sessions = 64, .n_limits = 100, .metric_bytes = 1024, .n_trace = 8};

#define ALICE UINT64_C(0xa11ce)
#define BOB UINT64_C(0xb0b)

TEST(units_are_taken_up_to_the_maximum_over_all_owners)
{
	struct shm *s = test_shm(&sizes);
	uint32_t a = test_slot_start(s, 0), b = test_slot_start(s, 1);

	CHECK_INT(shm_limit_take(s, a, ALICE, 3), 0);
	CHECK_INT(shm_limit_take(s, b, ALICE, 3), 0);
	CHECK_INT(shm_limit_take(s, a, ALICE, 3), 0);
	CHECK_INT(shm_limit_take(s, a, ALICE, 3), -SL_ELIMIT);
	CHECK_INT(shm_limit_take(s, b, ALICE, 3), -SL_ELIMIT);
	CHECK_INT(shm_limit_take(s, b, BOB, 3), 0);
	CHECK_INT(shm_limit_count(s, ALICE), 3);
	shm_limit_give(s, b, ALICE);
	CHECK_INT(shm_limit_count(s, ALICE), 2);
	CHECK_INT(shm_limit_take(s, a, ALICE, 3), 0);
	CHECK_INT(shm_limit_take(s, a, BOB, 0), -SL_ELIMIT);
	shm_detach(s);
}

TEST(what_a_dead_owner_held_counts_no_more)
{
	struct shm *s = test_shm(&sizes);
	uint32_t a = test_slot_start(s, 0), b = test_slot_start(s, 1);

	for (unsigned i = 0; i < 5; i++)
		CHECK_INT(shm_limit_take(s, a, ALICE, 6), 0);
	CHECK_INT(shm_limit_take(s, b, ALICE, 6), 0);
	test_slot_end(s, 0);
	CHECK_INT(shm_limit_count(s, ALICE), 1);
	CHECK_INT(shm_sweep(s, a, NULL, NULL), 0);
	a = test_slot_start(s, 0);
	CHECK_INT(shm_limit_take(s, a, ALICE, 2), 0);
	CHECK_INT(shm_limit_take(s, a, ALICE, 2), -SL_ELIMIT);
	shm_detach(s);
}

TEST(too_many_keys_are_refused_until_some_are_given_back)
{
	struct shm *s = test_shm(&sizes);
	uint32_t a = test_slot_start(s, 0);
	uint64_t key = 1;

	while (key < 1000 && shm_limit_take(s, a, key, 1) == 0)
		key++;
	CHECK(key > 40 && key <= sizes.n_limits + 1);
	CHECK_INT(shm_limit_take(s, a, key, 1), -SL_EFULL);
	CHECK_INT(shm_limit_count(s, key), 0);
	for (uint64_t k = 1; k < key; k++)
		shm_limit_give(s, a, k);
	CHECK_INT(shm_audit(s), 0);
	CHECK_INT(shm_limit_take(s, a, key, 1), 0);
	shm_detach(s);
}

TEST(a_released_session_gives_its_unit_back)
{
	struct shm *s = test_shm(&sizes);
	uint32_t a = test_slot_start(s, 0), index;
	struct session_entry *e;

	CHECK_INT(shm_session_claim(s, a, &index), 0);
	CHECK_INT(shm_limit_take(s, a, BOB, 1), 0);
	CHECK(shm_audit(s) > 0); /* a unit that no session has */
	e = shm_session(s, index);
	shm_session_begin(e);
	e->limits[0] = BOB;
	shm_session_end(e);
	CHECK_INT(shm_audit(s), 0);
	shm_session_release(s, index);
	CHECK_INT(shm_limit_count(s, BOB), 0);
	CHECK_INT(shm_audit(s), 0);
	shm_detach(s);
}

TEST_MAIN()
