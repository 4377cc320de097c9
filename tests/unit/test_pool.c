/*
 * test_pool.c: arenas: zeroed, aligned, freed at once, clean-ups in reverse.
 */
#include "../lib/test.h"

#include <sluice/pool.h>

static bool is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

TEST(memory_is_zeroed_aligned_and_apart)
{
	struct sl_pool *pool = sl_pool_new(0);
	uint8_t *last = NULL;

	for (size_t n = 0; n < 3000; n += 7) {
		uint8_t *p = sl_pool_alloc(pool, n);

		CHECK(p != NULL && p != last);
		CHECK_INT((uintptr_t)p % 16, 0);
		CHECK(is_zero(p, n));
		memset(p, 0xa5, n);
		last = p;
	}
	sl_pool_destroy(pool);
}

TEST(what_was_written_stays)
{
	struct sl_pool *pool = sl_pool_new(64);
	uint32_t *kept[500];

	for (uint32_t i = 0; i < SL_ARRAY_LEN(kept); i++) {
		kept[i] = sl_pool_alloc(pool, sizeof *kept[i] + i % 97);
		*kept[i] = i;
	}
	for (uint32_t i = 0; i < SL_ARRAY_LEN(kept); i++)
		CHECK_INT(*kept[i], i);
	sl_pool_destroy(pool);
}

TEST(a_big_piece_gets_its_own_block_and_leaves_the_room_in_use)
{
	struct sl_pool *pool = sl_pool_new(1024);
	uint8_t *before = sl_pool_alloc(pool, 16), *big, *after;
	size_t held = sl_pool_bytes(pool);

	big = sl_pool_alloc(pool, 1 << 20);
	after = sl_pool_alloc(pool, 16);
	CHECK(big != NULL && is_zero(big, 1 << 20));
	CHECK(after == before + 16);
	CHECK(sl_pool_bytes(pool) >= held + (1 << 20));
	CHECK(sl_pool_bytes(pool) < held + (1 << 20) + 256);
	sl_pool_destroy(pool);
}

TEST(a_small_life_costs_one_block)
{
	struct sl_pool *pool = sl_pool_new(4096);
	size_t held = sl_pool_bytes(pool);

	for (unsigned i = 0; i < 4096 / 32; i++)
		CHECK(sl_pool_alloc(pool, 32) != NULL);
	CHECK_INT(sl_pool_bytes(pool), held);
	CHECK(sl_pool_alloc(pool, 32) != NULL);
	CHECK(sl_pool_bytes(pool) > held);
	sl_pool_destroy(pool);
}

TEST(sizes_that_overflow_are_out_of_memory)
{
	struct sl_pool *pool = sl_pool_new(0);

	CHECK(sl_pool_alloc(pool, SIZE_MAX) == NULL);
	CHECK(sl_pool_alloc(pool, SIZE_MAX - 8) == NULL);
	CHECK(sl_pool_array(pool, SIZE_MAX / 4, 8) == NULL);
	CHECK(sl_pool_array(pool, 1 << 10, 3) != NULL);
	CHECK(sl_pool_new(SIZE_MAX) == NULL);
	sl_pool_destroy(pool);
}

TEST(strings_are_copied_with_a_nul_behind)
{
	struct sl_pool *pool = sl_pool_new(0);
	struct sl_str s = sl_pool_str(pool, (struct sl_str){"abcdef", 3});

	CHECK_STR(s, "abc");
	CHECK_INT(s.p[3], 0);
	CHECK_STR(sl_str_c(sl_pool_cstr(pool, SL_STR("xyz"))), "xyz");
	s = sl_pool_str(pool, SL_STR_NULL);
	CHECK(s.p != NULL && s.len == 0);
	sl_pool_destroy(pool);
}

TEST(printf_makes_room_for_any_length)
{
	struct sl_pool *pool = sl_pool_new(0);
	char *text = sl_pool_printf(pool, "%s-%05d", "a", 42);

	CHECK_STR(sl_str_c(text), "a-00042");
	text = sl_pool_printf(pool, "%5000s", "x");
	CHECK_INT(strlen(text), 5000);
	sl_pool_destroy(pool);
}

static struct {
	struct sl_pool *pool;
	char order[8];
	unsigned n;
} seen;

static void note(void *arg)
{
	seen.order[seen.n++] = *(char *)arg;
}

static void note_and_register(void *arg)
{
	char *late = sl_pool_alloc(seen.pool, 2);

	note(arg);
	*late = 'z';
	if (sl_pool_on_destroy(seen.pool, note, late) < 0)
		seen.n = 99;
}

TEST(clean_ups_run_last_first_and_may_use_the_pool)
{
	struct sl_pool *pool = sl_pool_new(0);
	char *names = sl_pool_cstr(pool, SL_STR("abc"));

	seen.pool = pool;
	seen.n = 0;
	CHECK_INT(sl_pool_on_destroy(pool, note, &names[0]), 0);
	CHECK_INT(sl_pool_on_destroy(pool, note_and_register, &names[1]), 0);
	CHECK_INT(sl_pool_on_destroy(pool, note, &names[2]), 0);
	sl_pool_destroy(pool);
	CHECK_STR(((struct sl_str){seen.order, seen.n}), "cbza");
	sl_pool_destroy(NULL);
}

TEST_MAIN()
