/*
 * test_slab.c: slabs of equal objects.
 */
#include "../lib/test.h"

#include <sluice/pool.h>

TEST(objects_are_zeroed_aligned_and_apart)
{
	struct sl_slab *slab = sl_slab_new(40, 8);
	uint8_t *got[100];

	for (unsigned i = 0; i < SL_ARRAY_LEN(got); i++) {
		got[i] = sl_slab_get(slab);
		CHECK(got[i] != NULL);
		CHECK_INT((uintptr_t)got[i] % 16, 0);
		for (unsigned b = 0; b < 40; b++)
			CHECK_INT(got[i][b], 0);
		memset(got[i], (int)i, 40);
	}
	for (unsigned i = 0; i < SL_ARRAY_LEN(got); i++)
		CHECK_INT(got[i][39], i);
	CHECK_INT(sl_slab_live(slab), 100);
	sl_slab_destroy(slab);
}

TEST(what_is_given_back_is_used_next_and_zero_again)
{
	struct sl_slab *slab = sl_slab_new(24, 4);
	uint8_t *a = sl_slab_get(slab), *b = sl_slab_get(slab);

	memset(a, 0xff, 24);
	memset(b, 0xff, 24);
	sl_slab_put(slab, a);
	sl_slab_put(slab, b);
	CHECK_INT(sl_slab_live(slab), 0);
	CHECK(sl_slab_get(slab) == b);
	CHECK(sl_slab_get(slab) == a);
	for (unsigned i = 0; i < 24; i++)
		CHECK_INT(a[i], 0);
	CHECK_INT(sl_slab_live(slab), 2);
	sl_slab_destroy(slab);
}

TEST(the_smallest_object_holds_the_free_list)
{
	struct sl_slab *slab = sl_slab_new(1, 1);
	void *got[10];

	for (unsigned i = 0; i < 10; i++)
		got[i] = sl_slab_get(slab);
	for (unsigned i = 0; i < 10; i++)
		sl_slab_put(slab, got[i]);
	for (unsigned i = 10; i > 0; i--)
		CHECK(sl_slab_get(slab) == got[i - 1]);
	sl_slab_destroy(slab);
}

TEST(impossible_slabs_are_refused)
{
	CHECK(sl_slab_new(0, 4) == NULL);
	CHECK(sl_slab_new(16, 0) == NULL);
	CHECK(sl_slab_new(SIZE_MAX / 2, 4) == NULL);
	CHECK(sl_slab_new(SIZE_MAX, 1) == NULL);
	sl_slab_destroy(NULL);
}

TEST_MAIN()
