/*
 * Digests and MACs against the vectors of RFC 1321, RFC 3174, FIPS 180-4, RFC 2202 and RFC 4231;
 * CRC-32 against its check value and a bitwise computation; AES-GCM against the cases of its
 * authors.
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

/* ---- AES-GCM */

static struct sl_str bytes_of(uint8_t *dst, size_t cap, const char *hex)
{
	size_t len = 0;

	sl_assert(sl_hex_decode(dst, cap, sl_str_c(hex), &len) == 0);
	return (struct sl_str){(const char *)dst, len};
}

/* Test cases of McGrew and Viega, "The Galois/Counter Mode of Operation": 4, 6 (a long nonce), 13
 * (nothing but the tag) and 14. */
static const struct gcm_case {
	const char *key, *nonce, *aad, *text, *sealed;
} gcm_cases[] = {
	{"feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
	 "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	 "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	 "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
	 "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
	 "5bc94fbc3221a5db94fae95ae7121a47"},
	{"feffe9928665731c6d6a8f9467308308",
	 "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728"
	 "c3c0c95156809539fcf0e2429a6b525416aedbf5a0de6a57a637b39b",
	 "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	 "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	 "8ce24998625615b603a033aca13fb894be9112a5c3a211a8ba262a3cca7e2ca7"
	 "01e4a9a4fba43c90ccdcb281d48c7c6fd62875d2aca417034c34aee5"
	 "619cc5aefffe0bfa462af43c1699d050"},
	{"0000000000000000000000000000000000000000000000000000000000000000",
	 "000000000000000000000000", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
	{"0000000000000000000000000000000000000000000000000000000000000000",
	 "000000000000000000000000", "", "00000000000000000000000000000000",
	 "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
};

struct gcm_bytes {
	uint8_t key[32], nonce[64], aad[32], text[64], sealed[80];
};

static struct sl_gcm read_case(const struct gcm_case *c, struct gcm_bytes *b,
			       struct sl_str *ret_text, struct sl_str *ret_sealed)
{
	*ret_text = bytes_of(b->text, sizeof b->text, c->text);
	*ret_sealed = bytes_of(b->sealed, sizeof b->sealed, c->sealed);
	return (struct sl_gcm){.key = bytes_of(b->key, sizeof b->key, c->key),
			       .nonce = bytes_of(b->nonce, sizeof b->nonce, c->nonce),
			       .aad = bytes_of(b->aad, sizeof b->aad, c->aad)};
}

TEST(gcm_matches_its_test_cases_both_ways)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(gcm_cases); i++) {
		struct sl_str text, sealed;
		struct gcm_bytes b;
		struct sl_gcm g = read_case(&gcm_cases[i], &b, &text, &sealed);
		uint8_t out[80];

		CHECK_INT(sl_gcm_seal(&g, text, out), 0);
		CHECK_INT(text.len + SL_GCM_TAG, sealed.len);
		CHECK_MEM(out, sealed.p, sealed.len);
		memset(out, 1, sizeof out);
		CHECK_INT(sl_gcm_open(&g, sealed, out), 0);
		CHECK_MEM(out, text.p, text.len);
	}
}

TEST(one_bit_anywhere_opens_nothing_and_leaves_nothing)
{
	static const uint8_t zeros[60];
	struct sl_str text, sealed;
	struct gcm_bytes b;
	struct sl_gcm g = read_case(&gcm_cases[0], &b, &text, &sealed);
	struct {
		uint8_t *p;
		size_t len;
	} parts[] = {{b.key, g.key.len},
		     {b.nonce, g.nonce.len},
		     {b.aad, g.aad.len},
		     {b.sealed, sealed.len}};

	for (size_t i = 0; i < SL_ARRAY_LEN(parts); i++) {
		for (size_t bit = 0; bit < parts[i].len * 8; bit++) {
			uint8_t out[80];

			parts[i].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
			CHECK_INT(sl_gcm_open(&g, sealed, out), -SL_EAUTH);
			CHECK_MEM(out, zeros, text.len);
			parts[i].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

TEST(what_is_cut_off_is_not_opened)
{
	struct sl_str text, sealed;
	struct gcm_bytes b;
	struct sl_gcm g = read_case(&gcm_cases[0], &b, &text, &sealed);
	uint8_t out[80];

	for (sealed.len--; sealed.len > 0; sealed.len--)
		CHECK_INT(sl_gcm_open(&g, sealed, out), -SL_EAUTH);
}

TEST(a_key_is_of_sixteen_or_thirty_two_bytes)
{
	uint8_t key[64] = {0}, out[64];

	for (size_t len = 0; len <= sizeof key; len++) {
		const struct sl_gcm g = {.key = {(const char *)key, len}, .nonce = SL_STR("nonce")};

		CHECK_INT(sl_gcm_seal(&g, SL_STR("text"), out),
			  len == 16 || len == 32 ? 0 : -SL_EINVAL);
	}
}

TEST(whatever_can_be_sealed_can_be_opened)
{
	const struct sl_gcm g = {.key = SL_STR("sixteen bytes !!"), .nonce = SL_STR("nonce")};
	const size_t longest = 1 << 20;
	uint8_t *text = calloc(1, longest + 1), *sealed = malloc(longest + 1 + SL_GCM_TAG);

	sl_assert(text && sealed);
	CHECK_INT(sl_gcm_seal(&g, (struct sl_str){(char *)text, longest}, sealed), 0);
	CHECK_INT(sl_gcm_open(&g, (struct sl_str){(char *)sealed, longest + SL_GCM_TAG}, text), 0);
	CHECK_INT(sl_gcm_seal(&g, (struct sl_str){(char *)text, longest + 1}, sealed), -SL_EINVAL);
	free(text);
	free(sealed);
}

TEST_MAIN()
