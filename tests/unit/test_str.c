/*
 * test_str.c: borrowed strings: comparing, cutting, numbers, distance.
 */
#include "../lib/test.h"

#include <float.h>

#define EMPTY SL_STR_NULL

TEST(equality_without_case_is_for_ascii_only)
{
	CHECK(sl_str_eq_nocase(SL_STR("Content-Type"), SL_STR("cONTENT-tYPE")));
	CHECK(!sl_str_eq_nocase(SL_STR("a"), SL_STR("ab")));
	CHECK(!sl_str_eq_nocase(SL_STR("["), SL_STR("{")));
	CHECK(!sl_str_eq_nocase(SL_STR("@"), SL_STR("`")));
	CHECK(!sl_str_eq_nocase(SL_STR("\xc3\x84"), SL_STR("\xc3\xa4")));
	CHECK(sl_str_eq_nocase(EMPTY, SL_STR("")));
}

TEST(a_prefix_may_be_empty_or_the_whole)
{
	CHECK(sl_str_starts(SL_STR("room-1"), SL_STR("room-")));
	CHECK(sl_str_starts(SL_STR("room"), SL_STR("room")));
	CHECK(sl_str_starts(SL_STR("room"), EMPTY));
	CHECK(sl_str_starts(EMPTY, EMPTY));
	CHECK(!sl_str_starts(SL_STR("roo"), SL_STR("room")));
	CHECK(!sl_str_starts(EMPTY, SL_STR("r")));
}

TEST(order_is_by_bytes_then_by_length)
{
	CHECK(sl_str_cmp(SL_STR("a"), SL_STR("b")) < 0);
	CHECK(sl_str_cmp(SL_STR("b"), SL_STR("a")) > 0);
	CHECK(sl_str_cmp(SL_STR("a"), SL_STR("ab")) < 0);
	CHECK(sl_str_cmp(SL_STR("ab"), SL_STR("a")) > 0);
	CHECK(sl_str_cmp(SL_STR("\xff"), SL_STR("a")) > 0);
	CHECK_INT(sl_str_cmp(SL_STR("ab"), SL_STR("ab")), 0);
	CHECK_INT(sl_str_cmp(EMPTY, SL_STR("")), 0);
}

TEST(trim_takes_white_space_from_both_ends)
{
	CHECK_STR(sl_str_trim(SL_STR(" \t a b\r\n\v\f")), "a b");
	CHECK_STR(sl_str_trim(SL_STR("ab")), "ab");
	CHECK_INT(sl_str_trim(SL_STR(" \n ")).len, 0);
	CHECK_INT(sl_str_trim(EMPTY).len, 0);
}

TEST(split_yields_each_part_then_leaves_null)
{
	struct sl_str s = SL_STR("a,,bc,");

	CHECK_STR(sl_str_split(&s, ','), "a");
	CHECK_STR(sl_str_split(&s, ','), "");
	CHECK_STR(sl_str_split(&s, ','), "bc");
	CHECK(s.p != NULL && s.len == 0); /* a separator stood last: one empty part is to come */
	CHECK_STR(sl_str_split(&s, ','), "");
	CHECK(s.p == NULL);
}

TEST(split_without_separator_yields_all)
{
	struct sl_str s = SL_STR("abc"), none = EMPTY;

	CHECK_STR(sl_str_split(&s, ','), "abc");
	CHECK(s.p == NULL && s.len == 0);
	CHECK_INT(sl_str_split(&none, ',').len, 0);
}

TEST(unsigned_numbers_are_whole_and_bounded)
{
	static const struct {
		const char *text;
		int err;
		uint64_t value;
	} rows[] = {
		{"0", 0, 0},
		{"42", 0, 42},
		{"007", 0, 7},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -SL_EPARSE, 0},
		{"99999999999999999999", -SL_EPARSE, 0},
		{"184467440737095516150", -SL_EPARSE, 0},
		{"", -SL_EPARSE, 0},
		{"-1", -SL_EPARSE, 0},
		{"+1", -SL_EPARSE, 0},
		{" 1", -SL_EPARSE, 0},
		{"1 ", -SL_EPARSE, 0},
		{"0x10", -SL_EPARSE, 0},
		{"1.0", -SL_EPARSE, 0},
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
		uint64_t v = 0;

		CHECK_INT(sl_str_u64(sl_str_c(rows[i].text), &v), rows[i].err);
		CHECK(v == rows[i].value);
	}
}

TEST(signed_numbers_reach_both_ends)
{
	static const struct {
		const char *text;
		int err;
		int64_t value;
	} rows[] = {
		{"-0", 0, 0},
		{"-42", 0, -42},
		{"9223372036854775807", 0, INT64_MAX},
		{"-9223372036854775808", 0, INT64_MIN},
		{"9223372036854775808", -SL_EPARSE, 0},
		{"-9223372036854775809", -SL_EPARSE, 0},
		{"-", -SL_EPARSE, 0},
		{"--1", -SL_EPARSE, 0},
		{"", -SL_EPARSE, 0},
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
		int64_t v = 0;

		CHECK_INT(sl_str_i64(sl_str_c(rows[i].text), &v), rows[i].err);
		CHECK(v == rows[i].value);
	}
}

TEST(fractions_are_decimal_and_finite)
{
	static const struct {
		const char *text;
		int err;
		double value;
	} rows[] = {
		{"0", 0, 0},
		{"-1.5", 0, -1.5},
		{"2e3", 0, 2000},
		{"25E-2", 0, 0.25},
		{"1e+2", 0, 100},
		{"1.7976931348623157e308", 0, DBL_MAX},
		{"1e309", -SL_EPARSE, 0},
		{".5", -SL_EPARSE, 0},
		{"5.", -SL_EPARSE, 0},
		{"1e", -SL_EPARSE, 0},
		{"1e+", -SL_EPARSE, 0},
		{"--1", -SL_EPARSE, 0},
		{"0x1p3", -SL_EPARSE, 0},
		{"inf", -SL_EPARSE, 0},
		{"nan", -SL_EPARSE, 0},
		{" 1", -SL_EPARSE, 0},
		{"1,5", -SL_EPARSE, 0},
		{"", -SL_EPARSE, 0},
		{"-", -SL_EPARSE, 0},
	};
	double v = 0;

	for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
		v = 0;
		CHECK_INT(sl_str_f64(sl_str_c(rows[i].text), &v), rows[i].err);
		CHECK(v == rows[i].value);
	}
	CHECK_INT(sl_str_f64(EMPTY, &v), -SL_EPARSE);
}

TEST(a_copy_ends_where_the_string_does)
{
	struct sl_str part = {"teapot", 3};
	char *copy = sl_str_dup(part), *empty = sl_str_dup(SL_STR_NULL);

	CHECK(copy && empty);
	CHECK_STR(sl_str_c(copy), "tea");
	CHECK_STR(sl_str_c(empty), "");
	free(copy);
	free(empty);
}

TEST(numbers_stop_at_the_length_not_at_a_nul)
{
	struct sl_str s = {"123456", 3};
	uint64_t u;
	double f;

	CHECK_INT(sl_str_u64(s, &u), 0);
	CHECK_INT(u, 123);
	CHECK_INT(sl_str_f64(s, &f), 0);
	CHECK(f == 123);
	CHECK_INT(sl_str_u64(SL_STR("1\0002"), &u), -SL_EPARSE);
}

TEST(copy_cuts_and_always_ends_in_nul)
{
	char dst[4] = "xxx";

	CHECK_INT(sl_str_copy(dst, sizeof dst, SL_STR("abcdef")), 6);
	CHECK_STR(sl_str_c(dst), "abc");
	CHECK_INT(sl_str_copy(dst, sizeof dst, EMPTY), 0);
	CHECK_STR(sl_str_c(dst), "");
	CHECK_INT(sl_str_copy(dst, 0, SL_STR("ab")), 2);
	CHECK_STR(sl_str_c(dst), "");
}

TEST(distance_counts_edits_and_swaps)
{
	static const struct {
		const char *a, *b;
		unsigned distance;
	} rows[] = {
		{"", "", 0},
		{"realm", "realm", 0},
		{"realm", "realn", 1},
		{"realm", "relam", 1},
		{"realm", "ream", 1},
		{"realm", "realms", 1},
		{"kitten", "sitting", 3},
		{"", "abc", 3},
		{"abc", "", 3},
		{"ca", "abc", 3}, /* no edits between swapped letters */
		{"listen", "silent", 4},
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++)
		CHECK_INT(sl_str_distance(sl_str_c(rows[i].a), sl_str_c(rows[i].b), 10),
			  rows[i].distance);
}

TEST(distance_is_capped)
{
	char longest[65];

	memset(longest, 'a', sizeof longest);
	CHECK_INT(sl_str_distance(SL_STR("abc"), SL_STR("xyz"), 2), 3);
	CHECK_INT(sl_str_distance((struct sl_str){longest, 64}, EMPTY, 100), 64);
	CHECK_INT(sl_str_distance((struct sl_str){longest, 65}, SL_STR("a"), 2), 3);
	CHECK_INT(sl_str_distance(EMPTY, EMPTY, 0), 0);
}

TEST_MAIN()
