/*
 * test_buf.c: the buffer that grows and the reader that cannot run over.
 */
#include "../lib/test.h"

#include <sluice/buf.h>

TEST(integers_are_big_endian_both_ways)
{
	static const uint8_t want[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
	struct sl_reader r;
	struct sl_buf b;

	sl_buf_init(&b, 0);
	sl_buf_u8(&b, 0x01);
	sl_buf_u16(&b, 0x0203);
	sl_buf_u32(&b, 0x04050607);
	sl_buf_u64(&b, 0x08090a0b0c0d0e0f);
	CHECK_INT(sl_buf_ok(&b), 0);
	CHECK_INT(b.len, sizeof want);
	CHECK_MEM(b.p, want, sizeof want);
	r = sl_reader(b.p, b.len);
	CHECK_INT(sl_read_u8(&r), 0x01);
	CHECK_INT(sl_read_u16(&r), 0x0203);
	CHECK_INT(sl_read_u32(&r), 0x04050607);
	CHECK(sl_read_u64(&r) == 0x08090a0b0c0d0e0f);
	CHECK(!r.failed && r.p == r.end);
	sl_buf_free(&b);
}

TEST(it_grows_to_any_length)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	for (uint32_t i = 0; i < 100000; i++)
		sl_buf_u32(&b, i);
	CHECK_INT(sl_buf_ok(&b), 0);
	CHECK_INT(b.len, 400000);
	for (uint32_t i = 0; i < 100000; i++)
		CHECK_INT(sl_get32(b.p + 4 * (size_t)i), i);
	sl_buf_free(&b);
	CHECK(b.p == NULL && b.len == 0);
}

TEST(the_limit_is_exact_and_its_failure_sticks)
{
	struct sl_buf b;

	sl_buf_init(&b, 100);
	for (unsigned i = 0; i < 100; i++)
		sl_buf_u8(&b, (uint8_t)i);
	CHECK_INT(sl_buf_ok(&b), 0);
	sl_buf_u8(&b, 0);
	CHECK_INT(sl_buf_ok(&b), -SL_ENOMEM);
	CHECK_INT(b.len, 100);
	sl_buf_drop(&b, 50);
	sl_buf_str(&b, SL_STR("x"));
	CHECK_INT(b.len, 50);
	CHECK(sl_buf_reserve(&b, 1) == NULL);
	sl_buf_reset(&b);
	sl_buf_str(&b, SL_STR("x"));
	CHECK_INT(sl_buf_ok(&b), 0);
	CHECK_STR(sl_buf_view(&b), "x");
	sl_buf_free(&b);
	CHECK_INT(b.limit, 100);
}

TEST(reserve_gives_room_behind_the_text)
{
	struct sl_buf b;
	uint8_t *p;

	sl_buf_init(&b, 0);
	sl_buf_str(&b, SL_STR("ab"));
	p = sl_buf_reserve(&b, 1000);
	CHECK(p == b.p + 2);
	memset(p, 'c', 1000);
	b.len += 1000;
	CHECK_INT(sl_buf_view(&b).p[1001], 'c');
	CHECK(sl_buf_reserve(&b, SIZE_MAX) == NULL);
	CHECK_INT(sl_buf_ok(&b), -SL_ENOMEM);
	sl_buf_free(&b);
}

TEST(reserving_nothing_is_no_failure)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	CHECK(sl_buf_reserve(&b, 0) != NULL);
	sl_buf_add(&b, NULL, 0);
	sl_buf_str(&b, SL_STR_NULL);
	CHECK_INT(sl_buf_ok(&b), 0);
	CHECK_INT(b.len, 0);
	sl_buf_free(&b);
}

TEST(printf_appends_at_every_length)
{
	struct sl_buf b;
	size_t want = 0;

	sl_buf_init(&b, 0);
	for (int n = 0; n < 300; n++) {
		sl_buf_printf(&b, "%*s", n, "");
		want += (size_t)n;
		CHECK_INT(b.len, want);
	}
	sl_buf_reset(&b);
	sl_buf_printf(&b, "%s=%d", "a", 1);
	sl_buf_printf(&b, ";%s", "b");
	CHECK_STR(sl_buf_view(&b), "a=1;b");
	CHECK_INT(sl_buf_ok(&b), 0);
	sl_buf_free(&b);
}

TEST(printf_fills_a_limit_to_its_last_byte)
{
	struct sl_buf b;

	sl_buf_init(&b, 5);
	sl_buf_printf(&b, "%s", "12345");
	CHECK_INT(sl_buf_ok(&b), 0);
	CHECK_STR(sl_buf_view(&b), "12345");
	sl_buf_printf(&b, "%s", "6");
	CHECK_INT(sl_buf_ok(&b), -SL_ENOMEM);
	CHECK_STR(sl_buf_view(&b), "12345");
	sl_buf_free(&b);
}

TEST(json_strings_are_quoted_and_escaped)
{
	static const struct {
		struct sl_str in;
		const char *out;
	} rows[] = {
		{SL_STR_INIT(""), "\"\""},
		{SL_STR_INIT("plain"), "\"plain\""},
		{SL_STR_INIT("a\"b\\c"), "\"a\\\"b\\\\c\""},
		{SL_STR_INIT("\n\x01\0"), "\"\\n\\u0001\\u0000\""},
		{SL_STR_INIT("gr\xc3\xbc\xc3\x9f"), "\"gr\xc3\xbc\xc3\x9f\""},
		{SL_STR_INIT("a\xff\x62"), "\"a\xef\xbf\xbd\x62\""},
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
		struct sl_buf b;

		sl_buf_init(&b, 0);
		sl_buf_json(&b, rows[i].in);
		CHECK_STR(sl_buf_view(&b), rows[i].out);
		sl_buf_free(&b);
	}
}

TEST(drop_takes_from_the_front)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	sl_buf_drop(&b, 3);
	sl_buf_str(&b, SL_STR("abcdef"));
	sl_buf_drop(&b, 2);
	CHECK_STR(sl_buf_view(&b), "cdef");
	sl_buf_drop(&b, 0);
	CHECK_STR(sl_buf_view(&b), "cdef");
	sl_buf_drop(&b, 99);
	CHECK_INT(b.len, 0);
	sl_buf_free(&b);
}

TEST(length_strings_come_back)
{
	struct sl_reader r;
	struct sl_buf b;

	sl_buf_init(&b, 0);
	sl_buf_lstr(&b, SL_STR("room"));
	sl_buf_lstr(&b, SL_STR_NULL);
	r = sl_reader(b.p, b.len);
	CHECK_STR(sl_read_lstr(&r), "room");
	CHECK_INT(sl_read_lstr(&r).len, 0);
	CHECK(!r.failed);
	sl_buf_free(&b);
}

TEST(reading_past_the_end_gives_zeros_for_good)
{
	static const uint8_t bytes[] = {0, 0, 0, 9, 1, 2};
	struct sl_reader r = sl_reader(bytes, sizeof bytes), none = sl_reader(NULL, 0);

	CHECK(sl_read_lstr(&r).p == NULL);
	CHECK(r.failed);
	CHECK_INT(sl_read_u8(&r), 0);
	r = sl_reader(bytes, 3);
	CHECK_INT(sl_read_u32(&r), 0);
	CHECK(r.failed);
	r = sl_reader(bytes, sizeof bytes);
	CHECK_INT(sl_read_bytes(&r, SIZE_MAX).len, 0);
	CHECK(r.failed);
	CHECK_INT(sl_read_bytes(&none, 0).len, 0);
	CHECK(!none.failed);
	CHECK_INT(sl_read_u64(&none), 0);
	CHECK(none.failed);
}

TEST_MAIN()
