/*
 * proto/crypto.c: digests, MACs, random bytes and CRC-32 for protocol code; the seam of libcrypto.
 *
 * Algorithms are fetched once per thread and their contexts reused, because a fetch walks the
 * provider tables under a lock and costs more than the digest itself. HMAC (RFC 2104) is built here
 * from two digests: EVP_MAC would allocate a context per key, and a TURN server has one key per
 * client. A failing digest of libcrypto means that the process is broken (memory, provider):
 * sl_assert.
 *
 * Called by everything that speaks STUN, TURN, ICE and credentials. Keeps no keys.
 */
#include <sluice/crypto.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

enum { BLOCK_BYTES = 64, MAX_DIGEST_BYTES = 32 };

/* One digest algorithm with its reusable context. */
struct digest {
	const char *name;
	unsigned bytes;
	EVP_MD *md;
	EVP_MD_CTX *ctx;
};

static _Thread_local struct digest md5 = {.name = "MD5", .bytes = 16};
static _Thread_local struct digest sha1 = {.name = "SHA1", .bytes = 20};
static _Thread_local struct digest sha256 = {.name = "SHA256", .bytes = 32};
static _Thread_local struct digest sha512_256 = {.name = "SHA512-256", .bytes = 32};

static uint64_t *fake_state;

static void digest_begin(struct digest *d)
{
	if (!d->ctx) {
		d->md = EVP_MD_fetch(NULL, d->name, NULL);
		d->ctx = EVP_MD_CTX_new();
		sl_assert(d->md && d->ctx);
	}
	sl_assert(EVP_DigestInit_ex2(d->ctx, d->md, NULL) == 1);
}

static void digest_add(struct digest *d, const void *data, size_t n)
{
	if (n > 0)
		sl_assert(EVP_DigestUpdate(d->ctx, data, n) == 1);
}

static void digest_end(struct digest *d, uint8_t *out)
{
	sl_assert(EVP_DigestFinal_ex(d->ctx, out, NULL) == 1);
}

static void digest_once(struct digest *d, uint8_t *out, const void *data, size_t n)
{
	digest_begin(d);
	digest_add(d, data, n);
	digest_end(d, out);
}

static void digest_free(struct digest *d)
{
	EVP_MD_CTX_free(d->ctx);
	EVP_MD_free(d->md);
	d->ctx = NULL;
	d->md = NULL;
}

void sl_crypto_thread_end(void)
{
	digest_free(&md5);
	digest_free(&sha1);
	digest_free(&sha256);
	digest_free(&sha512_256);
}

/* RFC 2104: a key longer than a block is replaced by its digest. */
static void hmac_pad_key(struct digest *d, uint8_t block[BLOCK_BYTES], struct sl_str key)
{
	memset(block, 0, BLOCK_BYTES);
	if (key.len > BLOCK_BYTES)
		digest_once(d, block, key.p, key.len);
	else if (key.len > 0)
		memcpy(block, key.p, key.len);
}

static void hmac(struct digest *d, uint8_t *out, struct sl_str key, const struct sl_str *parts,
		 unsigned n_parts)
{
	uint8_t block[BLOCK_BYTES], inner[MAX_DIGEST_BYTES];

	hmac_pad_key(d, block, key);
	for (size_t i = 0; i < sizeof block; i++)
		block[i] ^= 0x36;
	digest_begin(d);
	digest_add(d, block, sizeof block);
	for (unsigned i = 0; i < n_parts; i++)
		digest_add(d, parts[i].p, parts[i].len);
	digest_end(d, inner);

	for (size_t i = 0; i < sizeof block; i++)
		block[i] ^= 0x36 ^ 0x5c;
	digest_begin(d);
	digest_add(d, block, sizeof block);
	digest_add(d, inner, d->bytes);
	digest_end(d, out);
	OPENSSL_cleanse(block, sizeof block);
}

void sl_md5(uint8_t out[16], const void *data, size_t n)
{
	digest_once(&md5, out, data, n);
}

static void digest_parts(struct digest *d, uint8_t *out, const struct sl_str *parts,
			 unsigned n_parts)
{
	digest_begin(d);
	for (unsigned i = 0; i < n_parts; i++)
		digest_add(d, parts[i].p, parts[i].len);
	digest_end(d, out);
}

void sl_md5_parts(uint8_t out[16], const struct sl_str *parts, unsigned n_parts)
{
	digest_parts(&md5, out, parts, n_parts);
}

void sl_sha1(uint8_t out[20], const void *data, size_t n)
{
	digest_once(&sha1, out, data, n);
}

void sl_sha256(uint8_t out[32], const void *data, size_t n)
{
	digest_once(&sha256, out, data, n);
}

void sl_sha256_parts(uint8_t out[32], const struct sl_str *parts, unsigned n_parts)
{
	digest_parts(&sha256, out, parts, n_parts);
}

void sl_sha512_256_parts(uint8_t out[32], const struct sl_str *parts, unsigned n_parts)
{
	digest_parts(&sha512_256, out, parts, n_parts);
}

void sl_hmac_sha1(uint8_t out[20], struct sl_str key, const void *data, size_t n)
{
	hmac(&sha1, out, key, &(struct sl_str){data, n}, 1);
}

void sl_hmac_sha1_parts(uint8_t out[20], struct sl_str key, const struct sl_str *parts,
			unsigned n_parts)
{
	hmac(&sha1, out, key, parts, n_parts);
}

void sl_hmac_sha256(uint8_t out[32], struct sl_str key, const void *data, size_t n)
{
	hmac(&sha256, out, key, &(struct sl_str){data, n}, 1);
}

void sl_hmac_sha256_parts(uint8_t out[32], struct sl_str key, const struct sl_str *parts,
			  unsigned n_parts)
{
	hmac(&sha256, out, key, parts, n_parts);
}

/* ---- AES-GCM: for what comes once per client, so that a context is made each time */

/* libcrypto counts in int; what is longer is sealed in pieces. */
#define GCM_TEXT_MAX ((size_t)1 << 20)

static EVP_CIPHER_CTX *gcm_begin(const struct sl_gcm *g, int encrypt)
{
	const EVP_CIPHER *cipher = g->key.len == 16   ? EVP_aes_128_gcm()
				   : g->key.len == 32 ? EVP_aes_256_gcm()
						      : NULL;
	const uint8_t *key = (const uint8_t *)g->key.p, *nonce = (const uint8_t *)g->nonce.p;
	EVP_CIPHER_CTX *ctx;
	int n;

	if (!cipher || g->nonce.len == 0 || g->nonce.len > 255 || g->aad.len > 65535)
		return NULL;
	ctx = EVP_CIPHER_CTX_new();
	sl_assert(ctx);
	if (EVP_CipherInit_ex(ctx, cipher, NULL, NULL, NULL, encrypt) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_IVLEN, (int)g->nonce.len, NULL) == 1 &&
	    EVP_CipherInit_ex(ctx, NULL, NULL, key, nonce, encrypt) == 1 &&
	    (g->aad.len == 0 ||
	     EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)g->aad.p, (int)g->aad.len) == 1))
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

int sl_gcm_seal(const struct sl_gcm *g, struct sl_str text, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = text.len <= GCM_TEXT_MAX ? gcm_begin(g, 1) : NULL;
	int n = 0, last = 0;
	bool ok;

	if (!ctx)
		return -SL_EINVAL;
	ok = EVP_CipherUpdate(ctx, out, &n, (const uint8_t *)text.p, (int)text.len) == 1 &&
	     EVP_CipherFinal_ex(ctx, out + n, &last) == 1 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, SL_GCM_TAG, out + text.len) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : -SL_EINVAL;
}

int sl_gcm_open(const struct sl_gcm *g, struct sl_str sealed, uint8_t *out)
{
	const uint8_t *p = (const uint8_t *)sealed.p;
	EVP_CIPHER_CTX *ctx;
	int n = 0, last = 0;
	size_t len;
	bool ok;

	if (sealed.len < SL_GCM_TAG || sealed.len - SL_GCM_TAG > GCM_TEXT_MAX)
		return -SL_EAUTH;
	len = sealed.len - SL_GCM_TAG;
	ctx = gcm_begin(g, 0);
	if (!ctx)
		return -SL_EINVAL;
	ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, SL_GCM_TAG,
				 (void *)(uintptr_t)(p + len)) == 1 &&
	     EVP_CipherUpdate(ctx, out, &n, p, (int)len) == 1 &&
	     EVP_CipherFinal_ex(ctx, out + n, &last) == 1;
	EVP_CIPHER_CTX_free(ctx);
	if (!ok)
		OPENSSL_cleanse(out, len);
	return ok ? 0 : -SL_EAUTH;
}

bool sl_mem_eq(const void *a, const void *b, size_t n)
{
	return n == 0 || CRYPTO_memcmp(a, b, n) == 0;
}

void sl_wipe(void *p, size_t n)
{
	if (n > 0)
		OPENSSL_cleanse(p, n);
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t fake_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void fake_fill(uint8_t *dst, size_t n)
{
	while (n > 0) {
		uint64_t word = fake_next(fake_state);
		size_t take = n < sizeof word ? n : sizeof word;

		memcpy(dst, &word, take);
		dst += take;
		n -= take;
	}
}

void sl_random_fake(uint64_t *state)
{
	fake_state = state;
}

int sl_random(void *dst, size_t n)
{
	if (fake_state) {
		fake_fill(dst, n);
		return 0;
	}
	while (n > 0) { /* RAND_bytes counts in int */
		int take = n > 1 << 20 ? 1 << 20 : (int)n;

		if (RAND_bytes(dst, take) != 1)
			return -SL_ESYS;
		dst = (uint8_t *)dst + take;
		n -= (size_t)take;
	}
	return 0;
}

/*
 * CRC-32, reflected polynomial 0xedb88320, eight bytes a step: ICE puts a FINGERPRINT on every
 * check, so this runs for each STUN packet. tables[k] advances a byte over k further bytes.
 */
static uint32_t crc_tables[8][256];

__attribute__((constructor)) static void crc_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
		crc_tables[0][i] = c;
	}
	for (int k = 1; k < 8; k++)
		for (int i = 0; i < 256; i++) {
			uint32_t c = crc_tables[k - 1][i];

			crc_tables[k][i] = c >> 8 ^ crc_tables[0][c & 0xff];
		}
}

static uint32_t crc_step8(uint32_t crc, const uint8_t *p)
{
	uint32_t lo = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
			     (uint32_t)p[3] << 24);

	return crc_tables[7][lo & 0xff] ^ crc_tables[6][lo >> 8 & 0xff] ^
	       crc_tables[5][lo >> 16 & 0xff] ^ crc_tables[4][lo >> 24] ^ crc_tables[3][p[4]] ^
	       crc_tables[2][p[5]] ^ crc_tables[1][p[6]] ^ crc_tables[0][p[7]];
}

uint32_t sl_crc32(const void *data, size_t n)
{
	const uint8_t *p = data;
	uint32_t crc = 0xffffffff;

	for (; n >= 8; p += 8, n -= 8)
		crc = crc_step8(crc, p);
	for (; n > 0; p++, n--)
		crc = crc >> 8 ^ crc_tables[0][(crc ^ *p) & 0xff];
	return ~crc;
}
