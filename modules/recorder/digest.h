/*
 * recorder/digest.h: SHA-256 and MD5 over what comes in pieces: MD5 because it is what S3's entity
 * tags are, not because anybody trusts it.
 */
#ifndef RECORDER_DIGEST_H
#define RECORDER_DIGEST_H

#include <sluice/str.h>

struct digest {
	void *sha256, *md5; /* md5 NULL: this system has none */
};
struct digests {
	uint8_t sha256[32], md5[16];
	bool has_md5;
};
/* -SL_ENOMEM. digest_end frees it. */
SL_MUST_CHECK int digest_begin(struct digest *d);
void digest_add(struct digest *d, const void *p, size_t n);
void digest_end(struct digest *d, struct digests *ret_digests);
/* Bytes at..at+len of a file. 0, or -SL_ESYS with errno: EIO when it is shorter */
SL_MUST_CHECK int digest_file(int fd, uint64_t at, uint64_t len, struct digests *ret_digests);

#endif
