/*
 * test_base64.c: hex and base64, with the vectors of RFC 4648 section 10.
 */
#include "../lib/test.h"

TEST(rfc_4648_vectors_go_both_ways)
{
	static const struct {
		const char *plain, *text, *url;
	} rows[] = {
		{"", "", ""},
		{"f", "Zg==", "Zg"},
		{"fo", "Zm8=", "Zm8"},
		{"foo", "Zm9v", "Zm9v"},
		{"foob", "Zm9vYg==", "Zm9vYg"},
		{"fooba", "Zm9vYmE=", "Zm9vYmE"},
		{"foobar", "Zm9vYmFy", "Zm9vYmFy"},
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
		size_t n = strlen(rows[i].plain), len = 99;
		char text[16];
		uint8_t back[16];

		CHECK_INT(sl_base64_encode(text, rows[i].plain, n), strlen(rows[i].text));
		CHECK_STR(sl_str_c(text), rows[i].text);
		CHECK_INT(sl_base64url_encode(text, rows[i].plain, n), strlen(rows[i].url));
		CHECK_STR(sl_str_c(text), rows[i].url);
		CHECK_INT(sl_base64_decode(back, n, sl_str_c(rows[i].text), &len), 0);
		CHECK_STR(((struct sl_str){(char *)back, len}), rows[i].plain);
		CHECK_INT(sl_base64_decode(back, n, sl_str_c(rows[i].url), &len), 0);
		CHECK_STR(((struct sl_str){(char *)back, len}), rows[i].plain);
	}
}

TEST(both_alphabets_decode)
{
	static const uint8_t bytes[] = {0xfb, 0xff, 0xbf};
	uint8_t back[3];
	char text[8];
	size_t len;

	sl_base64_encode(text, bytes, sizeof bytes);
	CHECK_STR(sl_str_c(text), "+/+/");
	sl_base64url_encode(text, bytes, sizeof bytes);
	CHECK_STR(sl_str_c(text), "-_-_");
	CHECK_INT(sl_base64_decode(back, sizeof back, SL_STR("+/+/"), &len), 0);
	CHECK_MEM(back, bytes, sizeof bytes);
	CHECK_INT(sl_base64_decode(back, sizeof back, SL_STR("-_-_"), &len), 0);
	CHECK_MEM(back, bytes, sizeof bytes);
}

TEST(one_spelling_only)
{
	static const char *const bad[] = {
		"Z",	 /* 6 bits are no byte */
		"Zg=",	 /* half of the padding */
		"Zg===", /* too much */
		"Zm9v=",
		"Zm9vY===",
		"=",
		"==",
		"====",
		"Zg==Zg==",
		"Zh==" /* spare bits set */,
		"Zm9=", /* the same, of two bits */
		"Zm 9v",
		"Zm9v\n",
		"Zm.v",
		"\xc3\xa9\xc3\xa9",
	};
	uint8_t back[16];
	size_t len;

	for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++)
		CHECK_INT(sl_base64_decode(back, sizeof back, sl_str_c(bad[i]), &len), -SL_EPARSE);
}

TEST(what_does_not_fit_is_refused_whole)
{
	uint8_t back[2] = {7, 7};
	size_t len = 99;

	CHECK_INT(sl_base64_decode(back, sizeof back, SL_STR("Zm9v"), &len), -SL_EFULL);
	CHECK_INT(sl_hex_decode(back, sizeof back, SL_STR("010203"), &len), -SL_EFULL);
	CHECK_INT(len, 99);
	CHECK_INT(back[0], 7);
	CHECK_INT(sl_base64_decode(back, sizeof back, SL_STR("Zm8"), &len), 0);
	CHECK_INT(len, 2);
}

TEST(all_lengths_come_back)
{
	uint8_t bytes[64], back[64];
	char text[4 * 66 / 3 + 1];
	size_t len;

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 37 + 11);
	for (size_t n = 0; n <= sizeof bytes; n++) {
		size_t text_len = sl_base64url_encode(text, bytes, n);

		CHECK_INT(sl_base64_decode(back, n, (struct sl_str){text, text_len}, &len), 0);
		CHECK_INT(len, n);
		CHECK_MEM(back, bytes, n);
	}
}

TEST(hex_is_written_small_and_read_in_any_case)
{
	static const uint8_t bytes[] = {0x00, 0x9f, 0xAB, 0xff};
	uint8_t back[4];
	char text[9];
	size_t len;

	sl_hex_encode(text, bytes, sizeof bytes);
	CHECK_STR(sl_str_c(text), "009fabff");
	CHECK_INT(sl_hex_decode(back, sizeof back, SL_STR("009FabFf"), &len), 0);
	CHECK_INT(len, 4);
	CHECK_MEM(back, bytes, 4);
	CHECK_INT(sl_hex_decode(back, sizeof back, SL_STR_NULL, &len), 0);
	CHECK_INT(len, 0);
	CHECK_INT(sl_hex_decode(back, sizeof back, SL_STR("0"), &len), -SL_EPARSE);
	CHECK_INT(sl_hex_decode(back, sizeof back, SL_STR("0g"), &len), -SL_EPARSE);
	CHECK_INT(sl_hex_decode(back, sizeof back, SL_STR("0x00"), &len), -SL_EPARSE);
}

TEST_MAIN()
