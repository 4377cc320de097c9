/*
 * recorder/s3.h: requests to S3 and what speaks like it, signed, and what came of them in one word.
 * Blocks; one struct s3 per thread.
 */
#ifndef RECORDER_S3_H
#define RECORDER_S3_H

#include "digest.h"
#include "fetch.h"
#include "recorder.h"
#include "sigv4.h"

enum { S3_MAX_ID = 1024, S3_MAX_URL = 4096 };

struct s3;
SL_MUST_CHECK int s3_open(const struct upload_conf *conf, const bool *quit, struct s3 **ret_s3);
void s3_close(struct s3 *s); /* accepts NULL */

struct s3_request {
	const char *method;
	struct sl_str key; /* below the bucket, not encoded */
	const struct sigv4_pair *query;
	unsigned n_query;
	struct sl_str body;		/* when fd < 0 */
	int fd;
	uint64_t at, len;
	const uint8_t *sha256;		/* of the body; NULL: it is computed, for bodies in memory */
	const char *type; /* of the object; NULL: bytes */
	bool checksum;			/* have the server compute it, too, and keep it */
	struct sigv4_pair more[3];	/* x-amz-… */
	unsigned n_more;
	void (*sink)(void *arg, const void *p, size_t n);
	void *arg;
};
struct s3_reply {
	unsigned status;
	char code[64];	     /* "NoSuchKey"; what the server calls it */
	char sentence[320];  /* for the log: what went wrong */
	char tag[128];	     /* entity tag, without quotes */
	char checksum[96];   /* x-amz-checksum-sha256, base64, as told */
	int64_t length;	     /* Content-Length; -1: not told */
	uint64_t after_ms;   /* Retry-After; 0: not told */
	struct sl_buf body;  /* the caller's */
};
/* 0: done; -SL_EAGAIN: later, the server or the way to it is not well; -SL_ENOENT; -SL_EDENIED:
 * refused, and so it will be again. reply is filled in any case, and freed by the caller. */
SL_MUST_CHECK int s3_do(struct s3 *s, const struct s3_request *r, struct s3_reply *ret_reply);
void s3_reply_free(struct s3_reply *r);
/* Where anybody may GET the object for so long. Does not block */
SL_MUST_CHECK int s3_url(const struct upload_conf *conf, struct sl_str key, unsigned expires_s,
			 struct sl_buf *url);

#endif
