/*
 * sip-gateway/message.h: SIP messages of the stack: read by sofia-sip's parser, written as text.
 *
 * The one seam of the library. What a message says is asked from its structure; what an answer
 * repeats (Via, From, Call-ID ...) is taken from its bytes as they came.
 */
#ifndef SIP_MESSAGE_H
#define SIP_MESSAGE_H

#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/su_uniqueid.h>
#include <sluice/buf.h>
#include "preparse.h"
#include "wire.h"

struct sip_msg {
	struct sl_str raw; /* borrowed */
	struct sip_peek peek;
	struct sip_flow flow;
	msg_t *msg;	  /* owned */
	const sip_t *sip; /* of it */
	struct sl_str body;
	enum { BODY_NONE, BODY_SDP, BODY_DTMF, BODY_CONTROL, BODY_OTHER } body_kind;
};

/* raw outlives it. -SL_EPARSE: answer a request with 400, drop a response */
SL_MUST_CHECK int message_read(struct sip_msg *ret_msg, const struct sip_flow *flow,
			       struct sl_str raw);
void message_free(struct sip_msg *m);
static inline bool message_is(const struct sip_msg *m, const char *method)
{
	return sl_str_eq(m->peek.method, sl_str_c(method));
}
/* First header of the name; empty: none */
struct sl_str message_header(const struct sip_msg *m, const char *name);
/* Is the feature among those of Supported (or Require)? */
bool message_supports(const struct sip_msg *m, const char *feature);
bool message_requires(const struct sip_msg *m, const char *feature);
/* The URI in the first Contact as text; empty: none */
struct sl_str message_contact(const struct sip_msg *m);
/* Display name of From without quotes; empty: none */
struct sl_str message_display(const struct sip_msg *m);
bool message_allows(const struct sip_msg *m, const char *method);

/* Appends the lines of a response that repeat the request: Via (the first one with where it came
 * from), From, Call-ID, CSeq. */
void message_echo(struct sl_buf *b, const struct sip_msg *m);
/* Record-Route lines, as they are */
void message_record_routes(struct sl_buf *b, const struct sip_msg *m);
/* Route lines for a dialog that begins with m; reversed: of a response (RFC 3261 section 12.1) */
void message_route_set(struct sl_buf *b, const struct sip_msg *m);
/* Where responses go: the flow, or for datagrams without rport the port in Via (section 18.2.2) */
struct sip_flow message_reply_flow(const struct sip_msg *m);

/* The end of any message: what is in body, with its length. */
void message_end(struct sl_buf *b, const char *content_type, struct sl_str body);
/* Of the RFCs; never NULL */
const char *sip_status_text(unsigned status);
/* A string in a quoted-string: quotes and backslashes escaped, control characters left out */
void message_quote(struct sl_buf *b, struct sl_str s);

#endif
