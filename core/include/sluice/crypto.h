/*
 * sluice/crypto.h: digests, MACs, random bytes, sealing. The one seam of libcrypto for protocol
 * code.
 */
#ifndef SLUICE_CRYPTO_H
#define SLUICE_CRYPTO_H

#include <sluice/str.h>

SL_API SL_MUST_CHECK int sl_random(void *dst, size_t n);
/* Deterministic random for tests: while set, sl_random comes from this SplitMix64 state. NULL: the
 * system's. */
void sl_random_fake(uint64_t *state);

SL_API void sl_md5(uint8_t out[16], const void *data, size_t n);
SL_API void sl_sha1(uint8_t out[20], const void *data, size_t n);
SL_API void sl_sha256(uint8_t out[32], const void *data, size_t n);
SL_API void sl_hmac_sha1(uint8_t out[20], struct sl_str key, const void *data, size_t n);
/* Over several pieces, as if they were one. */
SL_API void sl_md5_parts(uint8_t out[16], const struct sl_str *parts, unsigned n_parts);
SL_API void sl_hmac_sha1_parts(uint8_t out[20], struct sl_str key, const struct sl_str *parts,
			       unsigned n_parts);
SL_API void sl_sha256_parts(uint8_t out[32], const struct sl_str *parts, unsigned n_parts);
SL_API void sl_hmac_sha256_parts(uint8_t out[32], struct sl_str key, const struct sl_str *parts,
				 unsigned n_parts);
SL_API void sl_hmac_sha256(uint8_t out[32], struct sl_str key, const void *data, size_t n);
/* Constant time. */
SL_API bool sl_mem_eq(const void *a, const void *b, size_t n);
/* A clear that the compiler keeps. */
SL_API void sl_wipe(void *p, size_t n);
/* CRC-32 (ISO 3309), as FINGERPRINT uses it. */
SL_API uint32_t sl_crc32(const void *data, size_t n);

#endif
