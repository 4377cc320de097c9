/*
 * test_utf8.c: which bytes are UTF-8, and how a character is escaped.
 */
#include "../lib/test.h"

#include "base/utf8.h"

TEST(lengths_follow_rfc_3629)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
		{"a", 1},
		{"\x7f", 1},
		{"\x80", 0},		 /* a tail */
		{"\xc1\xbf", 0},	 /* overlong */
		{"\xc2\x80", 2},	 /* U+0080 */
		{"\xdf\xbf", 2},	 /* U+07FF */
		{"\xe0\x9f\xbf", 0},	 /* overlong */
		{"\xe0\xa0\x80", 3},	 /* U+0800 */
		{"\xed\x9f\xbf", 3},	 /* U+D7FF */
		{"\xed\xa0\x80", 0},	 /* a surrogate */
		{"\xee\x80\x80", 3},	 /* U+E000 */
		{"\xef\xbf\xbf", 3},	 /* U+FFFF */
		{"\xf0\x8f\xbf\xbf", 0}, /* overlong */
		{"\xf0\x90\x80\x80", 4}, /* U+10000 */
		{"\xf4\x8f\xbf\xbf", 4}, /* U+10FFFF */
		{"\xf4\x90\x80\x80", 0}, /* over the end */
		{"\xf5\x80\x80\x80", 0},
		{"\xc2", 0}, /* cut short */
		{"\xe2\x82", 0},
		{"\xf0\x9f\x98", 0},
		{"\xe2\x82\x41", 0}, /* a letter for a tail */
		{"\xc2\x41", 0},
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++)
		CHECK_INT(utf8_len(sl_str_c(rows[i].bytes)), rows[i].len);
	CHECK_INT(utf8_len(SL_STR_NULL), 0);
	CHECK_INT(utf8_len(SL_STR("\0")), 1);
}

TEST(a_string_is_valid_when_each_character_is)
{
	CHECK(sl_str_is_utf8(SL_STR_NULL));
	CHECK(sl_str_is_utf8(SL_STR("gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x98\x80")));
	CHECK(!sl_str_is_utf8(SL_STR("abc\xff")));
	CHECK(!sl_str_is_utf8(SL_STR("abc\xe2\x82")));
}

TEST(every_code_point_and_no_other_is_accepted)
{
	for (uint32_t code = 0x800; code <= 0xffff; code++) {
		char bytes[3] = {(char)(0xe0 | code >> 12), (char)(0x80 | (code >> 6 & 63)),
				 (char)(0x80 | (code & 63))};
		bool surrogate = code >= 0xd800 && code <= 0xdfff;

		CHECK_INT(utf8_len((struct sl_str){bytes, 3}), surrogate ? 0 : 3);
	}
}

TEST(escapes_are_those_of_json_strings)
{
	static const struct {
		const char *in;
		size_t in_len;
		const char *out;
		size_t used;
	} rows[] = {
		{"a", 1, "a", 1},
		{"\"", 1, "\\\"", 1},
		{"\\", 1, "\\\\", 1},
		{"\n", 1, "\\n", 1},
		{"\r", 1, "\\r", 1},
		{"\t", 1, "\\t", 1},
		{"\0", 1, "\\u0000", 1},
		{"\x1b[31m", 5, "\\u001b", 1},
		{"\x7f", 1, "\\u007f", 1},
		{"\xc2\x9b", 2, "\\u009b", 2}, /* CSI of terminals with 8-bit controls */
		{"\xc2\xa0", 2, "\xc2\xa0", 2},
		{"\xe2\x82\xac", 3, "\xe2\x82\xac", 3},
		{"\xff", 1, "\xef\xbf\xbd", 1},
		{"\xe2\x82x", 3, "\xef\xbf\xbd", 1},
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
		char out[UTF8_ESCAPE_MAX];
		size_t used, n;

		n = utf8_escape(out, (struct sl_str){rows[i].in, rows[i].in_len}, &used);
		CHECK_STR(((struct sl_str){out, n}), rows[i].out);
		CHECK_INT(used, rows[i].used);
	}
}

TEST_MAIN()
