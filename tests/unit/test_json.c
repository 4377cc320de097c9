/*
 * test_json.c: the bounds around the JSON library.
 */
#include "../lib/test.h"

#include <sluice/json.h>

TEST(an_object_is_read_and_written_again)
{
	struct json_t *json =
		sl_json_parse(SL_STR(" {\"type\":\"join\", \"n\": [1, 2.5, null]} "), 4, NULL, 0);
	struct sl_buf b;

	CHECK(json);
	CHECK_STR(sl_json_get_str(json, "type"), "join");
	sl_buf_init(&b, 0);
	sl_buf_str(&b, SL_STR("> "));
	sl_json_dump(json, &b);
	CHECK_INT(sl_buf_ok(&b), 0);
	CHECK_STR(sl_buf_view(&b), "> {\"type\":\"join\",\"n\":[1,2.5,null]}");
	sl_buf_free(&b);
	json_decref(json);
}

TEST(what_is_refused_has_a_reason)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"}",
		"{\"a\":1,}",
		"{\"a\":1}{}",
		"{a:1}",
		"{'a':1}",
		"[1 2]",
		"[01]",
		"[1e999]",
		"[\"\\u0000\"]",
		"[\"\\ud800\"]",
		"[\"\xff\"]",
		"[\"a\nb\"]",
		"\"text\"",
		"1",
		"null",
		"{\"a\":1,\"a\":2}",
		"[{\"b\":{\"a\":1,\"\\u0061\":2}}]",
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
		char err[160] = "";

		if (sl_json_parse(sl_str_c(bad[i]), 8, err, sizeof err))
			TEST_FAIL("%s was taken", bad[i]);
		CHECK(strstr(err, "at byte"));
		CHECK(!sl_json_parse(sl_str_c(bad[i]), 8, NULL, 0));
	}
	CHECK(!sl_json_parse(SL_STR_NULL, 8, NULL, 0));
}

TEST(the_text_ends_at_its_length)
{
	struct json_t *json = sl_json_parse((struct sl_str){"[1]]]]", 3}, 1, NULL, 0);

	CHECK(json);
	json_decref(json);
	CHECK(!sl_json_parse(SL_STR("[1]\0"), 1, NULL, 0));
}

TEST(depth_is_bounded_exactly)
{
	char err[80];
	struct json_t *json = sl_json_parse(SL_STR("{\"a\":[[]]}"), 3, NULL, 0);

	CHECK(json);
	json_decref(json);
	CHECK(!sl_json_parse(SL_STR("{\"a\":[[]]}"), 2, err, sizeof err));
	CHECK_STR(sl_str_c(err), "nested deeper than 2");
}

TEST(brackets_in_strings_do_not_nest)
{
	struct json_t *json =
		sl_json_parse(SL_STR("[\"[[[{{{\", \"\\\"[[[\", \"\\\\\", []]"), 2, NULL, 0);

	CHECK(json);
	json_decref(json);
	json = sl_json_parse(SL_STR("[[],[],[],{},{}]"), 2, NULL, 0);
	CHECK(json);
	json_decref(json);
}

TEST(a_million_brackets_cost_nothing)
{
	size_t n = 1000000;
	char *text = malloc(n);

	CHECK(text);
	memset(text, '[', n);
	CHECK(!sl_json_parse((struct sl_str){text, n}, 32, NULL, 0));
	free(text);
}

TEST(members_that_are_no_strings_are_null)
{
	struct json_t *json = sl_json_parse(SL_STR("{\"n\":1,\"e\":\"\",\"o\":{}}"), 4, NULL, 0);

	CHECK(json);
	CHECK(sl_json_get_str(json, "n").p == NULL);
	CHECK(sl_json_get_str(json, "absent").p == NULL);
	CHECK(sl_json_get_str(json, "o").p == NULL);
	CHECK(sl_json_get_str(NULL, "n").p == NULL);
	CHECK(sl_json_get_str(json_object_get(json, "n"), "n").p == NULL);
	CHECK(sl_json_get_str(json, "e").p != NULL);
	CHECK_INT(sl_json_get_str(json, "e").len, 0);
	json_decref(json);
}

TEST(a_dump_that_does_not_fit_fails_the_buffer)
{
	struct json_t *json = sl_json_parse(SL_STR("[\"0123456789\"]"), 1, NULL, 0);
	struct sl_buf b;

	CHECK(json);
	sl_buf_init(&b, 8);
	sl_json_dump(json, &b);
	CHECK_INT(sl_buf_ok(&b), -SL_ENOMEM);
	sl_buf_free(&b);
	sl_json_dump(NULL, &b);
	CHECK_INT(sl_buf_ok(&b), -SL_ENOMEM);
	json_decref(json);
}

TEST_MAIN()
