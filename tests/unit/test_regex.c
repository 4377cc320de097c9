/*
 * test_regex.c: patterns of the operator on text of the network.
 */
#include "../lib/test.h"

#include <sluice/regex.h>

static struct sl_regex *compiled(const char *pattern)
{
	struct sl_regex *re = NULL;

	if (sl_regex_new(sl_str_c(pattern), &re, NULL, 0) < 0)
		return NULL;
	return re;
}

TEST(it_matches_anywhere_unless_anchored)
{
	struct sl_regex *any = compiled("room"), *whole = compiled("^room-[a-z0-9]+$");

	CHECK(any && whole);
	CHECK(sl_regex_match(any, SL_STR("my room 1")));
	CHECK(!sl_regex_match(any, SL_STR("my loft")));
	CHECK(sl_regex_match(whole, SL_STR("room-7a")));
	CHECK(!sl_regex_match(whole, SL_STR("a room-7a")));
	CHECK(!sl_regex_match(whole, SL_STR("room-7A")));
	CHECK(!sl_regex_match(whole, SL_STR_NULL));
	sl_regex_free(any);
	sl_regex_free(whole);
}

TEST(groups_are_those_of_the_last_match)
{
	struct sl_regex *re = compiled("^(\\w+)-(\\d+)?(x)?");

	CHECK(re);
	CHECK_INT(sl_regex_group(re, 0).len, 0);
	CHECK(sl_regex_match(re, SL_STR("meet-42!")));
	CHECK_STR(sl_regex_group(re, 0), "meet-42");
	CHECK_STR(sl_regex_group(re, 1), "meet");
	CHECK_STR(sl_regex_group(re, 2), "42");
	CHECK(sl_regex_group(re, 3).p == NULL);
	CHECK(sl_regex_group(re, 4).p == NULL);
	CHECK(sl_regex_group(re, UINT32_MAX).p == NULL);
	CHECK(sl_regex_match(re, SL_STR("a-")));
	CHECK_STR(sl_regex_group(re, 0), "a-");
	CHECK(sl_regex_group(re, 2).p == NULL);
	CHECK(!sl_regex_match(re, SL_STR("?")));
	CHECK(sl_regex_group(re, 0).p == NULL);
	sl_regex_free(re);
}

TEST(the_pattern_can_be_asked_for)
{
	struct sl_regex *re = compiled("^a.c$"), *empty = NULL;

	CHECK(re);
	CHECK_STR(sl_regex_pattern(re), "^a.c$");
	CHECK_INT(sl_regex_new(SL_STR_NULL, &empty, NULL, 0), 0);
	CHECK_INT(sl_regex_pattern(empty).len, 0);
	CHECK(sl_regex_match(empty, SL_STR_NULL));
	sl_regex_free(re);
	sl_regex_free(empty);
}

TEST(a_wrong_pattern_is_explained)
{
	struct sl_regex *re = (struct sl_regex *)&re;
	char err[128] = "";

	CHECK_INT(sl_regex_new(SL_STR("room-[a-z"), &re, err, sizeof err), -SL_EPARSE);
	CHECK(re == (struct sl_regex *)&re);
	CHECK(strstr(err, "offset 9"));
	CHECK(strstr(err, "]"));
	CHECK_INT(sl_regex_new(SL_STR("(a"), &re, err, 4), -SL_EPARSE);
	CHECK_INT(strlen(err), 3);
	CHECK_INT(sl_regex_new(SL_STR("a\\C"), &re, NULL, 0), -SL_EPARSE);
	CHECK_INT(sl_regex_new(SL_STR("\xff"), &re, NULL, 0), -SL_EPARSE);
}

TEST(a_pattern_that_explodes_is_given_up)
{
	struct sl_regex *re = compiled("^(a+)+$");
	char text[4000];

	CHECK(re);
	memset(text, 'a', sizeof text);
	text[sizeof text - 1] = 'b';
	CHECK(!sl_regex_match(re, (struct sl_str){text, sizeof text}));
	CHECK(sl_regex_group(re, 0).p == NULL);
	CHECK(sl_regex_match(re, SL_STR("aaa")));
	sl_regex_free(re);
}

TEST(subjects_need_not_be_utf_8)
{
	struct sl_regex *re = compiled("^.$"), *word = compiled("abc");

	CHECK(re && word);
	CHECK(sl_regex_match(re, SL_STR("\xf0\x9f\x98\x80")));
	CHECK(!sl_regex_match(re, SL_STR("\xff")));
	CHECK(!sl_regex_match(re, SL_STR("\xf0\x9f")));
	CHECK(sl_regex_match(word, SL_STR("\xff\xfe\x61\x62\x63")));
	CHECK(!sl_regex_match(re, SL_STR("ab")));
	sl_regex_free(re);
	sl_regex_free(word);
	sl_regex_free(NULL);
}

TEST_MAIN()
