/*
 * sluice/crypto.h: digests, MACs, random bytes, sealing. The one seam of libcrypto for protocol
 * code.
 */
#ifndef SLUICE_CRYPTO_H
#define SLUICE_CRYPTO_H

#include <sluice/str.h>

/* A thread that has used any of these gives back what was kept for it, before it ends. */
SL_API void sl_crypto_thread_end(void);

/* From the system, fit for keys. -SL_ESYS: there is none; dst must not be used */
SL_API SL_MUST_CHECK int sl_random(void *dst, size_t n);
/* Deterministic random for tests: while set, sl_random comes from this SplitMix64 state. NULL: the
 * system's. */
void sl_random_fake(uint64_t *state);

/* Digests of n bytes. MD5 and SHA-1 for what RFCs ask of old protocols, and for nothing else */
SL_API void sl_md5(uint8_t out[16], const void *data, size_t n);
SL_API void sl_sha1(uint8_t out[20], const void *data, size_t n);
SL_API void sl_sha256(uint8_t out[32], const void *data, size_t n);
/* RFC 2104; a key of any length */
SL_API void sl_hmac_sha1(uint8_t out[20], struct sl_str key, const void *data, size_t n);
/* Over several pieces, as if they were one. */
SL_API void sl_md5_parts(uint8_t out[16], const struct sl_str *parts, unsigned n_parts);
SL_API void sl_hmac_sha1_parts(uint8_t out[20], struct sl_str key, const struct sl_str *parts,
			       unsigned n_parts);
SL_API void sl_sha256_parts(uint8_t out[32], const struct sl_str *parts, unsigned n_parts);
/* SHA-512/256 (FIPS 180-4), which is not the first half of SHA-512 */
SL_API void sl_sha512_256_parts(uint8_t out[32], const struct sl_str *parts, unsigned n_parts);
SL_API void sl_hmac_sha256_parts(uint8_t out[32], struct sl_str key, const struct sl_str *parts,
				 unsigned n_parts);
SL_API void sl_hmac_sha256(uint8_t out[32], struct sl_str key, const void *data, size_t n);
/*
 * AES-GCM with a key of 16 or 32 bytes, a nonce of 1 to 255, and a tag of 16 behind the text. out:
 * as long as the text. aad is authenticated with it. -SL_EAUTH: it was not sealed so, and out is
 * wiped; -SL_EINVAL: no such key.
 */
#define SL_GCM_TAG 16
struct sl_gcm {
	struct sl_str key, nonce, aad;
};
/* out: text.len + SL_GCM_TAG bytes; text of at most 1 MiB */
SL_API SL_MUST_CHECK int sl_gcm_seal(const struct sl_gcm *g, struct sl_str text, uint8_t *out);
/* out: sealed.len - SL_GCM_TAG bytes */
SL_API SL_MUST_CHECK int sl_gcm_open(const struct sl_gcm *g, struct sl_str sealed, uint8_t *out);
/* Constant time. */
SL_API bool sl_mem_eq(const void *a, const void *b, size_t n);
/* A clear that the compiler keeps. */
SL_API void sl_wipe(void *p, size_t n);
/* CRC-32 (ISO 3309), as FINGERPRINT uses it. */
SL_API uint32_t sl_crc32(const void *data, size_t n);

#endif
