/*
 * AES-GCM by both libraries: the same bytes, whatever the lengths and wherever the plain text lies.
 */
#include <sluice/crypto.h>
#include "lib/test.h"
#include "proto/gcm.h"

enum { ROOM = 1600, MAX_AAD = 64 };

static struct gcm *new_by(const struct gcm_ops *ops, const uint8_t *key, size_t key_len)
{
	struct gcm *g = NULL;

	sl_assert(gcm_new_by(ops, &g, key, key_len) == 0);
	return g;
}

static void fill(uint8_t *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1103515245 + 12345;
		p[i] = (uint8_t)(seed >> 16);
	}
}

struct sealed {
	uint8_t text[ROOM], tag[GCM_TAG];
};

/* From a text that lies elsewhere, or in place. */
static void seal(struct gcm *g, unsigned seed, size_t aad_len, size_t len, bool in_place,
		 struct sealed *ret)
{
	uint8_t iv[GCM_IV], aad[MAX_AAD], plain[ROOM];

	memset(ret, 0, sizeof *ret);
	fill(iv, sizeof iv, seed + 1);
	fill(aad, sizeof aad, seed + 2);
	fill(plain, sizeof plain, seed + 3);
	if (in_place)
		memcpy(ret->text, plain, len);
	gcm_seal(g, &(struct gcm_job){.iv = iv,
				      .aad = {(char *)aad, aad_len},
				      .plain = {in_place ? (char *)ret->text : (char *)plain, len},
				      .dst = ret->text,
				      .tag = ret->tag});
}

static void check_equal(size_t key_len)
{
	uint8_t key[32];
	struct gcm *a, *b;
	struct sealed x, y, z;

	fill(key, sizeof key, (unsigned)key_len);
	a = new_by(gcm_evp(), key, key_len);
	b = new_by(gcm_mb(), key, key_len);
	for (size_t len = 0; len < ROOM; len += 1 + len / 16) {
		size_t aad_len = 12 + 4 * (len % 12);

		seal(a, (unsigned)len, aad_len, len, false, &x);
		seal(b, (unsigned)len, aad_len, len, false, &y);
		seal(b, (unsigned)len, aad_len, len, true, &z);
		CHECK_MEM(y.text, x.text, len);
		CHECK_MEM(z.text, x.text, len);
		CHECK_MEM(y.tag, x.tag, GCM_TAG);
		CHECK_MEM(z.tag, x.tag, GCM_TAG);
		CHECK(y.text[len] == 0); /* nothing behind */
	}
	gcm_free(a);
	gcm_free(b);
}

TEST(both_libraries_seal_alike)
{
	if (!gcm_mb())
		return; /* one is there: the vectors of test_srtp_out are its test */
	check_equal(16);
	check_equal(32);
}

/* NIST SP 800-38D, as in McGrew and Viega's test case 4: AES-128 with associated data */
TEST(a_known_answer)
{
	static const char *const hex[] = {
		"feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
		"feedfacedeadbeeffeedfacedeadbeefabaddad2",
		"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf"
		"0e2449a6b525b16aedf5aa0de657ba637b39",
		"42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f"
		"6a5aac84aa051ba30b396a0aac973d58e091",
		"5bc94fbc3221a5db94fae95ae7121a47"};
	uint8_t in[6][64], dst[64], tag[GCM_TAG];
	struct gcm *g = NULL;
	size_t n[6];

	for (unsigned i = 0; i < 6; i++)
		sl_assert(sl_hex_decode(in[i], sizeof in[i], sl_str_c(hex[i]), &n[i]) == 0);
	CHECK_INT(gcm_new(&g, in[0], n[0]), 0);
	gcm_seal(g, &(struct gcm_job){.iv = in[1],
				      .aad = {(char *)in[2], n[2]},
				      .plain = {(char *)in[3], n[3]},
				      .dst = dst,
				      .tag = tag});
	CHECK_MEM(dst, in[4], n[4]);
	CHECK_MEM(tag, in[5], n[5]);
	gcm_free(g);
}

static void check_opens(const struct gcm_ops *ops, size_t key_len)
{
	uint8_t key[32];
	struct gcm *g;

	for (unsigned i = 0; i < sizeof key; i++)
		key[i] = (uint8_t)(i * 11);
	g = new_by(ops, key, key_len);
	for (size_t len = 0; len < ROOM; len += 1 + len / 8) {
		uint8_t plain[ROOM], p[ROOM + GCM_TAG], iv[GCM_IV] = {(uint8_t)len}, aad[20] = {7};
		struct gcm_sealed s = {iv, {(char *)aad, sizeof aad}, p, len, p + len};

		for (size_t i = 0; i < len; i++)
			plain[i] = p[i] = (uint8_t)(i * len);
		for (unsigned bent = 0; bent < 4; bent++) {
			memcpy(p, plain, len);
			gcm_seal(g, &(struct gcm_job){.iv = iv,
						      .aad = s.aad,
						      .plain = {(char *)p, len},
						      .dst = p,
						      .tag = p + len});
			if (bent == 1)
				p[len + 15] ^= 1;
			else if (bent == 2)
				aad[3] ^= 1;
			else if (bent == 3)
				p[0] ^= 1; /* of nothing: the tag */
			CHECK(gcm_open(g, &s) == (bent == 0));
			CHECK(bent > 0 || memcmp(p, plain, len) == 0);
			if (bent == 2)
				aad[3] ^= 1;
		}
	}
	gcm_free(g);
}

TEST(what_was_sealed_is_opened_and_what_was_bent_is_not)
{
	check_opens(gcm_evp(), 16);
	check_opens(gcm_evp(), 32);
	if (!gcm_mb())
		return;
	check_opens(gcm_mb(), 16);
	check_opens(gcm_mb(), 32);
}

TEST(nothing_to_free_is_fine)
{
	gcm_free(NULL);
}

TEST_MAIN()
