/*
 * sip-gateway/siprec_body.h: what is said to a recorder (RFC 7865, RFC 7866), as text. No state.
 */
#ifndef SIP_SIPREC_BODY_H
#define SIP_SIPREC_BODY_H

#include <sluice/buf.h>

enum { SIPREC_STREAMS = 2, SIPREC_PEOPLE = 32, SIPREC_ID = 24 };

struct siprec_person {
	char id[SIPREC_ID + 1]; /* of base64 */
	char aor[192], name[64];
	unsigned stream;	 /* what it says */
	uint64_t member;	 /* of a room: its peer; 0: a party of the call */
	uint64_t from_ms, to_ms; /* Unix time; to_ms 0: it is there */
};

/* What the metadata tells: who talks in which stream, and since when. */
struct siprec_view {
	char session[SIPREC_ID + 1], stream[SIPREC_STREAMS][SIPREC_ID + 1];
	uint64_t from_ms;
	struct siprec_person people[SIPREC_PEOPLE];
	unsigned n_people;
	bool held; /* nobody hears anybody */
};

/* A snapshot of everything, as XML of RFC 7865 */
void siprec_write_metadata(struct sl_buf *out, const struct siprec_view *v);
/* Two descriptions of one section each as one, their streams labelled "1" and "2". -SL_EPARSE: one
 * has no section */
SL_MUST_CHECK int siprec_join(struct sl_buf *out, const struct sl_str sdp[SIPREC_STREAMS]);
/* The description with section `at` alone. -SL_ENOENT: there is no such section */
SL_MUST_CHECK int siprec_part(struct sl_buf *out, struct sl_str sdp, unsigned at);
/* The value of Content-Type for a body of siprec_write_body, without its name */
void siprec_write_type(struct sl_buf *out, struct sl_str boundary);
void siprec_write_body(struct sl_buf *out, struct sl_str boundary, struct sl_str sdp,
		       struct sl_str metadata);
/* The description in a body of this Content-Type, which may be one part of several; empty: none */
struct sl_str siprec_find_sdp(struct sl_str type, struct sl_str body);
/* Does it ask for the metadata (RFC 7866 section 9.2)? */
bool siprec_asks(struct sl_str type, struct sl_str body);

#endif
