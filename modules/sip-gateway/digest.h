/*
 * sip-gateway/digest.h: HTTP digest as SIP uses it (RFC 8760 over RFC 7616 and RFC 2617), both
 * sides.
 *
 * Sans-I/O. Which nonces are good is said in nonce.h.
 */
#ifndef SIP_DIGEST_H
#define SIP_DIGEST_H

#include <sluice/buf.h>
#include "conf.h"

/* What stands in an Authorization or a WWW-Authenticate; empty: absent. Views, quotes removed. */
struct digest {
	struct sl_str username, realm, nonce, uri, response, algorithm, qop, nc, cnonce, opaque;
	struct sl_str stale;
};
/* value: of the header, with its scheme. -SL_EPARSE: no digest */
SL_MUST_CHECK int digest_parse(struct digest *ret_digest, struct sl_str value);
/* -SL_EUNSUPP: not one of ours */
SL_MUST_CHECK int digest_algorithm(const struct digest *d, enum sip_algorithm *ret_algorithm);

enum { DIGEST_HEX = 65 };
/* The response for what d says (qop, nc, cnonce when they are there), in hexadecimal. */
void digest_response(char ret_hex[DIGEST_HEX], const struct digest *d, enum sip_algorithm a,
		     struct sl_str password, struct sl_str method);

/* Are these credentials those of the password? Constant time. */
bool digest_matches(const struct digest *d, struct sl_str password, struct sl_str method);

/* Appends the value of a challenge. */
void digest_challenge(struct sl_buf *b, struct sl_str realm, const char *nonce,
		      enum sip_algorithm a, bool stale);
/* As a client: appends the value of an Authorization that answers the challenge. n: how often this
 * nonce was used, from 1. -SL_EUNSUPP: an algorithm or a protection that we do not have */
struct digest_answer {
	struct sl_str username, password, method, uri;
	unsigned n;
};
SL_MUST_CHECK int digest_answer(struct sl_buf *b, const struct digest *challenge,
				const struct digest_answer *a);

#endif
