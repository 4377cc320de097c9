/*
 * recorder/sigv4.h: requests signed as S3 wants them (AWS Signature Version 4). Pure: is told the
 * time.
 */
#ifndef RECORDER_SIGV4_H
#define RECORDER_SIGV4_H

#include <sluice/buf.h>

enum { SIGV4_MAX_PAIRS = 16 };

struct sigv4_key {
	struct sl_str id, secret, region, service;
};
struct sigv4_pair { /* of a query, not encoded; of headers, the name in lower case */
	struct sl_str name, value;
};
struct sigv4_request {
	struct sl_str method, path; /* path: not encoded, begins with '/' */
	const struct sigv4_pair *query, *headers; /* headers: what is signed, `host` among them */
	unsigned n_query, n_headers;
	struct sl_str payload_hash; /* hexadecimal SHA-256, or UNSIGNED-PAYLOAD */
	struct sl_str date;	    /* 20150830T123600Z, as in x-amz-date */
};

/* Percent-encoding of RFC 3986 section 2.3; a path keeps its slashes. */
void sigv4_encode_path(struct sl_buf *out, struct sl_str path);
/* name=value&…, in the order in which they are signed: to be sent just so. -SL_ELIMIT: too many */
SL_MUST_CHECK int sigv4_encode_query(struct sl_buf *out, const struct sigv4_pair *query, unsigned n);
/* The value of the header Authorization. -SL_ELIMIT; -SL_ENOMEM */
SL_MUST_CHECK int sigv4_authorize(const struct sigv4_key *k, const struct sigv4_request *r,
				  struct sl_buf *out);
/* Instead of headers: the query of a URL that anybody may GET for expires_s from r's date on, behind
 * what r has for one. Of headers host alone is signed; the payload is not. */
SL_MUST_CHECK int sigv4_presign(const struct sigv4_key *k, const struct sigv4_request *r,
				unsigned expires_s, struct sl_buf *out);

#endif
