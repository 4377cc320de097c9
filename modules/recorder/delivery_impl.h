/*
 * recorder/delivery_impl.h: one file on its way into storage, which goes whole (delivery_file.c) or
 * in parts (delivery_parts.c).
 */
#ifndef RECORDER_DELIVERY_IMPL_H
#define RECORDER_DELIVERY_IMPL_H

#include "delivery.h"
#include "digest.h"
#include "s3_reply.h"

enum { B64 = 48 };

struct sending {
	struct delivery *d;
	struct s3 *s;
	const char *name;
	int fd;
	uint64_t len;
	struct digests digests;
	char key[SHELF_PATH + 900];
	/* What the object should be called: */
	char checksum[B64 + 16], tag[B64 + 16];
	/* In parts: */
	uint64_t part_bytes;
	unsigned n_parts;
	char upload[S3_MAX_ID];
	struct digests *part; /* n_parts */
};

/* ---- delivery_file.c: why it is not sent, for who reads the log; what the pass returns */

/* A request about the file, "what", had this reply and failed with rc. */
int sending_failed(struct sending *g, const char *what, const struct s3_reply *r, int rc);
/* It cannot be read here: errno. */
int sending_unread(struct sending *g);
/* The server has, or says that it has, something else. */
int sending_mismatch(struct sending *g, const char *how);

/* ---- delivery_parts.c */

/* The file in parts, from the first that has not arrived, and then what the object of them should
 * be called. Results as of delivery_pass */
int sending_in_parts(struct sending *g);
/* What is known of those that have arrived; NULL: none have */
const json_t *sending_parts(const struct sending *g);
/* The whole upload has to begin again. */
int sending_forget_parts(struct sending *g);

#endif
