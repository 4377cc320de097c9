/*
 * recorder/digest.c: see digest.h. On the seam of libcrypto.
 */
#include "digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

enum { STEP = 1 << 17 };

static void *begin(const EVP_MD *kind)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx && EVP_DigestInit_ex(ctx, kind, NULL) == 1)
		return ctx;
	EVP_MD_CTX_free(ctx);
	return NULL;
}

int digest_begin(struct digest *d)
{
	d->sha256 = begin(EVP_sha256());
	d->md5 = begin(EVP_md5());
	if (d->sha256)
		return 0;
	EVP_MD_CTX_free(d->md5);
	return -SL_ENOMEM;
}

void digest_add(struct digest *d, const void *p, size_t n)
{
	(void)EVP_DigestUpdate(d->sha256, p, n); /* cannot fail once begun */
	if (d->md5)
		(void)EVP_DigestUpdate(d->md5, p, n);
}

void digest_end(struct digest *d, struct digests *ret_digests)
{
	*ret_digests = (struct digests){.has_md5 = d->md5 != NULL};
	(void)EVP_DigestFinal_ex(d->sha256, ret_digests->sha256, NULL); /* as above */
	if (d->md5)
		(void)EVP_DigestFinal_ex(d->md5, ret_digests->md5, NULL);
	EVP_MD_CTX_free(d->sha256);
	EVP_MD_CTX_free(d->md5);
}

int digest_file(int fd, uint64_t at, uint64_t len, struct digests *ret_digests)
{
	uint8_t *step = malloc(STEP);
	struct digest d;
	ssize_t n = 1;

	if (!step || digest_begin(&d) < 0) {
		free(step);
		errno = ENOMEM;
		return -SL_ESYS;
	}
	while (len > 0 && (n = pread(fd, step, len < STEP ? len : STEP, (off_t)at)) > 0) {
		digest_add(&d, step, (size_t)n);
		at += (uint64_t)n;
		len -= (uint64_t)n;
	}
	digest_end(&d, ret_digests);
	free(step);
	if (n == 0)
		errno = EIO;
	return len > 0 ? -SL_ESYS : 0;
}
