/*
 * proto/gcm_evp.c: AES-GCM by libcrypto, and the choice between the libraries. A key schedule is
 * made once; a packet sets the IV. Nothing is allocated per packet.
 */
#include "proto/gcm.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct gcm_evp {
	struct gcm gcm;
	EVP_CIPHER_CTX *cipher;
};

static int new_evp(struct gcm **ret_gcm, const uint8_t *key, size_t key_len)
{
	const EVP_CIPHER *type = key_len == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
	struct gcm_evp *g = calloc(1, sizeof *g);

	if (!g)
		return -SL_ENOMEM;
	g->cipher = EVP_CIPHER_CTX_new();
	if (!g->cipher || EVP_EncryptInit_ex2(g->cipher, type, key, NULL, NULL) != 1) {
		EVP_CIPHER_CTX_free(g->cipher);
		free(g);
		return -SL_ENOMEM;
	}
	*ret_gcm = &g->gcm;
	return 0;
}

static void free_evp(struct gcm *gcm)
{
	struct gcm_evp *g = SL_CONTAINER(gcm, struct gcm_evp, gcm);

	EVP_CIPHER_CTX_free(g->cipher); /* clears what it held */
	free(g);
}

/* False: libcrypto is broken. */
static bool seal(EVP_CIPHER_CTX *c, const struct gcm_job *j)
{
	int n;

	return EVP_EncryptInit_ex2(c, NULL, NULL, j->iv, NULL) == 1 &&
	       EVP_EncryptUpdate(c, NULL, &n, (const uint8_t *)j->aad.p, (int)j->aad.len) == 1 &&
	       (j->plain.len == 0 || EVP_EncryptUpdate(c, j->dst, &n, (const uint8_t *)j->plain.p,
						       (int)j->plain.len) == 1) &&
	       EVP_EncryptFinal_ex(c, j->tag, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, GCM_TAG, j->tag) == 1;
}

static void seal_evp(struct gcm *gcm, const struct gcm_job *job)
{
	sl_assert(seal(SL_CONTAINER(gcm, struct gcm_evp, gcm)->cipher, job));
}

/* The same key schedule serves both ways. */
static bool open_evp(struct gcm *gcm, const struct gcm_sealed *s)
{
	EVP_CIPHER_CTX *c = SL_CONTAINER(gcm, struct gcm_evp, gcm)->cipher;
	void *tag = (void *)(uintptr_t)s->tag; /* which is only read */
	int n;

	sl_assert(EVP_DecryptInit_ex2(c, NULL, NULL, s->iv, NULL) == 1 &&
		  EVP_DecryptUpdate(c, NULL, &n, (const uint8_t *)s->aad.p, (int)s->aad.len) == 1 &&
		  (s->len == 0 || EVP_DecryptUpdate(c, s->data, &n, s->data, (int)s->len) == 1) &&
		  EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, GCM_TAG, tag) == 1);
	return EVP_DecryptFinal_ex(c, s->data + s->len, &n) == 1;
}

static const struct gcm_ops evp = {"libcrypto", new_evp, free_evp, seal_evp, open_evp};

const struct gcm_ops *gcm_evp(void)
{
	return &evp;
}

/* ---- whichever is there */

static const struct gcm_ops *best(void)
{
	const struct gcm_ops *mb = gcm_mb();

	return mb ? mb : &evp;
}

int gcm_new_by(const struct gcm_ops *ops, struct gcm **ret_gcm, const uint8_t *key, size_t key_len)
{
	struct gcm *g;
	int rc;

	if (!sl_check(key_len == 16 || key_len == 32))
		return -SL_EBUG;
	rc = ops->new_(&g, key, key_len);
	if (rc < 0)
		return rc;
	g->ops = ops;
	*ret_gcm = g;
	return 0;
}

int gcm_new(struct gcm **ret_gcm, const uint8_t *key, size_t key_len)
{
	return gcm_new_by(best(), ret_gcm, key, key_len);
}

void gcm_free(struct gcm *g)
{
	if (g)
		g->ops->free_(g);
}

void gcm_seal(struct gcm *g, const struct gcm_job *job)
{
	g->ops->seal(g, job);
}

bool gcm_open(struct gcm *g, const struct gcm_sealed *sealed)
{
	return g->ops->open(g, sealed);
}
