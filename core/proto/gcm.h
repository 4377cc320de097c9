/*
 * proto/gcm.h: sealing and opening with AES-GCM under one key, as SRTP does it for each packet: an
 * IV of 12 bytes, a tag of 16.
 *
 * Two libraries can do it: libcrypto (gcm_evp.c), always, and Intel's multi-buffer library
 * (gcm_mb.c), where configure has found it and the processor has AES instructions: one call per
 * packet instead of five, and VAES where there is some. The bytes are the same; gcm_new takes the
 * faster one.
 */
#ifndef PROTO_GCM_H
#define PROTO_GCM_H

#include <sluice/str.h>

enum { GCM_IV = 12, GCM_TAG = 16 };

struct gcm;
struct gcm_ops;

struct gcm_job { /* one packet; dst is where plain.p is, or does not overlap it */
	const uint8_t *iv;
	struct sl_str aad, plain;
	uint8_t *dst, *tag;
};

struct gcm_sealed { /* one packet, opened in place */
	const uint8_t *iv;
	struct sl_str aad;
	uint8_t *data;
	size_t len;
	const uint8_t *tag;
};

/* key_len 16 or 32. -SL_ENOMEM */
int gcm_new(struct gcm **ret_gcm, const uint8_t *key, size_t key_len);
/* By this library; NULL: it is not there. */
const struct gcm_ops *gcm_evp(void), *gcm_mb(void);
int gcm_new_by(const struct gcm_ops *ops, struct gcm **ret_gcm, const uint8_t *key, size_t key_len);
/* Clears it; accepts NULL. */
void gcm_free(struct gcm *g);
void gcm_seal(struct gcm *g, const struct gcm_job *job);
/* False: the tag does not fit, and the data are of no use now. */
SL_MUST_CHECK bool gcm_open(struct gcm *g, const struct gcm_sealed *sealed);

/* ---- for gcm_evp.c and gcm_mb.c, whose objects begin with this */
struct gcm {
	const struct gcm_ops *ops;
};
struct gcm_ops {
	const char *name;
	int (*new_)(struct gcm **ret_gcm, const uint8_t *key, size_t key_len);
	void (*free_)(struct gcm *g);
	void (*seal)(struct gcm *g, const struct gcm_job *job);
	bool (*open)(struct gcm *g, const struct gcm_sealed *sealed);
};

#endif
