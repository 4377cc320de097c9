/*
 * Digests and MACs against the vectors of RFC 1321, RFC 3174, FIPS 180-4, RFC 2202 and RFC 4231;
 * CRC-32 against its check value and a bitwise computation.
 */
#include <sluice/crypto.h>
#include "lib/test.h"

static bool is_hex(const uint8_t *got, size_t n, const char *want)
{
	char hex[129];

	sl_hex_encode(hex, got, n);
	if (strcmp(hex, want) == 0)
		return true;
	printf("# got %s, want %s\n", hex, want);
	return false;
}

TEST(digests_match_their_standards)
{
	uint8_t out[32];

	sl_md5(out, "message digest", 14);
	CHECK(is_hex(out, 16, "f96b697d7cb7938d525a2f31aaf161d0"));
	sl_md5(out, NULL, 0);
	CHECK(is_hex(out, 16, "d41d8cd98f00b204e9800998ecf8427e"));
	sl_sha1(out, "abc", 3);
	CHECK(is_hex(out, 20, "a9993e364706816aba3e25717850c26c9cd0d89d"));
	sl_sha256(out, "abc", 3);
	CHECK(is_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	sl_sha512_256_parts(out, &SL_STR("abc"), 1);
	CHECK(is_hex(out, 32, "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"));
}

TEST(hmac_matches_rfc_2202_and_4231)
{
	uint8_t out[32], long_key[131];

	memset(long_key, 0xaa, sizeof long_key);
	sl_hmac_sha1(out, SL_STR("Jefe"), "what do ya want for nothing?", 28);
	CHECK(is_hex(out, 20, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"));
	sl_hmac_sha1(out, (struct sl_str){(char *)long_key, 80},
		     "Test Using Larger Than Block-Size Key - Hash Key First", 54);
	CHECK(is_hex(out, 20, "aa4ae5e15272d00e95705637ce8a3b55ed402112"));
	sl_hmac_sha256(out, SL_STR("Jefe"), "what do ya want for nothing?", 28);
	CHECK(is_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
	sl_hmac_sha256(out, (struct sl_str){(char *)long_key, sizeof long_key},
		       "Test Using Larger Than Block-Size Key - Hash Key First", 54);
	CHECK(is_hex(out, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"));
}

TEST(pieces_give_the_same_as_the_whole)
{
	const struct sl_str parts[] = {SL_STR("what do "), SL_STR_NULL,
				       SL_STR("ya want for nothing?")};
	uint8_t pieces[20], whole[20];

	sl_hmac_sha1_parts(pieces, SL_STR("Jefe"), parts, 3);
	sl_hmac_sha1(whole, SL_STR("Jefe"), "what do ya want for nothing?", 28);
	CHECK_MEM(pieces, whole, 20);
	sl_md5_parts(pieces, parts, 3);
	sl_md5(whole, "what do ya want for nothing?", 28);
	CHECK_MEM(pieces, whole, 16);
}

static uint32_t crc_bitwise(const uint8_t *p, size_t n)
{
	uint32_t crc = 0xffffffff;

	while (n-- > 0) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

TEST(crc32_is_right_for_every_length_and_alignment)
{
	uint8_t data[80];

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 37 + 11);
	CHECK(sl_crc32("123456789", 9) == 0xcbf43926u);
	CHECK(sl_crc32(NULL, 0) == 0);
	for (size_t from = 0; from < 8; from++)
		for (size_t n = 0; n + from <= sizeof data; n++)
			CHECK(sl_crc32(data + from, n) == crc_bitwise(data + from, n));
}

TEST(memory_is_compared_and_wiped_whole)
{
	char a[] = "secret", b[] = "secreu";

	CHECK(sl_mem_eq(a, "secret", 6));
	CHECK(!sl_mem_eq(a, b, 6));
	CHECK(sl_mem_eq(a, b, 5));
	CHECK(sl_mem_eq(NULL, NULL, 0));
	sl_wipe(a, sizeof a);
	CHECK_MEM(a, "\0\0\0\0\0\0", 6);
}

TEST(random_is_random_and_the_fake_is_repeatable)
{
	uint8_t a[37], b[37];
	uint64_t state = 7;

	CHECK_INT(sl_random(a, sizeof a), 0);
	CHECK_INT(sl_random(b, sizeof b), 0);
	CHECK(memcmp(a, b, sizeof a) != 0);
	sl_random_fake(&state);
	CHECK_INT(sl_random(a, sizeof a), 0);
	state = 7;
	CHECK_INT(sl_random(b, sizeof b), 0);
	sl_random_fake(NULL);
	CHECK_MEM(a, b, sizeof a);
}

TEST_MAIN()
