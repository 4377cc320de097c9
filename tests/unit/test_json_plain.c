/*
 * test_json_plain.c: what the quick reader takes is what jansson reads; what it does not know it
 * leaves alone.
 */
#include "../lib/test.h"

#include "base/json_plain.h"

TEST(plain_documents_are_read_as_jansson_reads_them)
{
	static const char *const plain[] = {
		"{}",
		"[]",
		" { } \n",
		"{\"type\":\"offer\",\"sdp\":\"v=0\\r\\na=ice-ufrag:x\\r\\n\"}",
		"{\"a\":{\"b\":[1,-2,0,{\"c\":[]}]},\"d\":true,\"e\":false,\"f\":null}",
		"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"\",\"\xc3\xa4\xe2\x82\xac\"]",
		"[123456789012345678,-123456789012345678,-0]",
		"\t[ 1 ,\r\n2 ]",
		"{\"\":1}",
		"[\"\x7f\"]",
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(plain); i++) {
		struct sl_str text = sl_str_c(plain[i]);
		struct json_t *json = json_read_plain(text, 8);
		struct json_t *other = json_loadb(text.p, text.len, JSON_REJECT_DUPLICATES, NULL);

		if (!json || !other || !json_equal(json, other))
			TEST_FAIL("%s was read otherwise", plain[i]);
		json_decref(json);
		json_decref(other);
	}
}

TEST(everything_else_is_left_alone)
{
	static const char *const other[] = {
		"",	      " ",
		"{",	      "}",
		"[",	      "[1",
		"[1,",	      "[1,]",
		"[,1]",	      "[1 2]",
		"[01]",	      "[-]",
		"[1.5]",      "[1e3]",
		"[1E3]",      "[1234567890123456789]",
		"{\"a\"}",    "{\"a\":}",
		"{\"a\":1,}", "{\"a\":1,\"a\":2}",
		"{a:1}",      "{\"a\":1}{}",
		"[truex]",    "[tru]",
		"[\"a\nb\"]", "[\"\\u0041\"]",
		"[\"\\x\"]",  "[\"\\",
		"[\"a",	      "[\"\xff\"]",
		"[\"\xc3\"]", "\"text\"",
		"1",	      "null",
		"[}",	      "{]",
		"[1]]",	      "[[[[[[[[[1]]]]]]]]]",
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(other); i++)
		if (json_read_plain(sl_str_c(other[i]), 8))
			TEST_FAIL("%s was taken", other[i]);
	CHECK(!json_read_plain(SL_STR("[\"a\0b\"]"), 8));
	CHECK(!json_read_plain(SL_STR("[1]\0"), 8));
	CHECK(!json_read_plain(SL_STR_NULL, 8));
}

TEST(depth_counts_every_container)
{
	struct json_t *json = json_read_plain(SL_STR("{\"a\":[{}]}"), 3);

	CHECK(json);
	json_decref(json);
	CHECK(!json_read_plain(SL_STR("{\"a\":[{}]}"), 2));
	CHECK(!json_read_plain(SL_STR("[]"), 0));
}

TEST(a_key_too_long_for_the_buffer_is_left_alone)
{
	char text[80];
	struct json_t *json;

	snprintf(text, sizeof text, "{\"%063d\":1}", 0);
	json = json_read_plain(sl_str_c(text), 8);
	CHECK(json);
	json_decref(json);
	snprintf(text, sizeof text, "{\"%064d\":1}", 0);
	CHECK(!json_read_plain(sl_str_c(text), 8));
}

TEST_MAIN()
