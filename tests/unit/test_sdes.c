/*
 * Keys in a description: which are taken, and that ours are read again.
 */
#include <sluice/sdp_plain.h>
#include "lib/test.h"

#define KEY30 "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz" /* of RFC 4568 section 6.1 */
#define KEY28 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw=="
#define KEY44 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKis="

TEST(a_key_is_read_with_its_suite)
{
	struct sl_sdes k;

	CHECK_INT(
		sl_sdes_parse(&k, SL_STR("1 AES_CM_128_HMAC_SHA1_80 inline:" KEY30 "|2^20 WSH=64")),
		0);
	CHECK_INT(k.tag, 1);
	CHECK_INT(k.profile, SL_SRTP_AES128_CM_SHA1_80);
	CHECK_INT(k.key_len, 16);
	CHECK_INT(k.salt_len, 14);
	CHECK_MEM(k.key, "YS___semctl () {", 16);
	CHECK_MEM(k.salt, "\t220;}\n}\nunles", 14);
	CHECK_INT(sl_sdes_parse(&k, SL_STR("7 AEAD_AES_128_GCM inline:" KEY28)), 0);
	CHECK_INT(k.salt_len, 12);
	CHECK_INT(k.salt[11], 27);
	CHECK_INT(sl_sdes_parse(&k, SL_STR("7 AEAD_AES_256_GCM inline:" KEY44 " -X=y")), 0);
	CHECK_INT(k.key_len, 32);
}

static const struct {
	const char *value;
	int err;
} refused[] = {
	{"", -SL_EPARSE},
	{"x AES_CM_128_HMAC_SHA1_80 inline:" KEY30, -SL_EPARSE},
	{"4294967296 AES_CM_128_HMAC_SHA1_80 inline:" KEY30, -SL_EPARSE},
	{"1 AES_CM_128_HMAC_SHA1_80", -SL_EPARSE},
	{"1 AES_CM_128_HMAC_SHA1_80 inline:" KEY28, -SL_EPARSE},
	{"1 AES_CM_128_HMAC_SHA1_80 inline:" KEY30 KEY30 KEY30, -SL_EPARSE},
	{"1 AES_CM_128_HMAC_SHA1_80 inline:" KEY30 "|", -SL_EPARSE},
	{"1 AES_CM_128_HMAC_SHA1_80 inline:***", -SL_EPARSE},
	{"1 F8_128_HMAC_SHA1_80 inline:" KEY30, -SL_EUNSUPP},
	{"1 AES_CM_128_HMAC_SHA1_80 uri:" KEY30, -SL_EUNSUPP},
	{"1 AES_CM_128_HMAC_SHA1_80 inline:" KEY30 "|1:4", -SL_EUNSUPP},
	{"1 AES_CM_128_HMAC_SHA1_80 inline:" KEY30 "|2^20|1:4;inline:" KEY30, -SL_EUNSUPP},
	{"1 AES_CM_128_HMAC_SHA1_80 inline:" KEY30 " UNENCRYPTED_SRTCP", -SL_EUNSUPP},
	{"1 AES_CM_128_HMAC_SHA1_80 inline:" KEY30 " KDR=4", -SL_EUNSUPP},
};

TEST(what_would_protect_otherwise_is_refused)
{
	for (unsigned i = 0; i < SL_ARRAY_LEN(refused); i++) {
		struct sl_sdes k = {.tag = 99};
		int err = sl_sdes_parse(&k, sl_str_c(refused[i].value));

		if (err != refused[i].err || k.tag != 99)
			TEST_FAIL("\"%s\": %d", refused[i].value, err);
	}
}

TEST(a_drawn_key_is_written_and_read_again)
{
	static const enum sl_srtp_profile profiles[] = {
		SL_SRTP_AES128_CM_SHA1_80, SL_SRTP_AES128_CM_SHA1_32, SL_SRTP_AEAD_AES_128_GCM,
		SL_SRTP_AEAD_AES_256_GCM};
	char text[SL_SDES_STRLEN];

	for (unsigned i = 0; i < SL_ARRAY_LEN(profiles); i++) {
		struct sl_sdes a, b;

		CHECK_INT(sl_sdes_draw(&a, UINT32_MAX, profiles[i]), 0);
		CHECK_INT(sl_sdes_format(text, &a), strlen(text));
		CHECK_INT(sl_sdes_parse(&b, sl_str_c(text)), 0);
		CHECK_MEM(&a, &b, sizeof a);
		CHECK_INT(sl_sdes_draw(&b, 1, profiles[i]), 0);
		CHECK(memcmp(a.key, b.key, a.key_len) != 0);
	}
	CHECK_INT(sl_sdes_draw(&(struct sl_sdes){0}, 1, SL_SRTP_NONE), -SL_EUNSUPP);
}

TEST_MAIN()
