/*
 * sip-gateway/preparse.h: what the edge needs to know of a SIP message before anybody parses it:
 * where it ends, whether it is one, and the few fields by which it is judged and routed between
 * processes.
 *
 * Sans-I/O; views over the bytes; nothing is allocated. The stack parses the whole message later.
 */
#ifndef SIP_PREPARSE_H
#define SIP_PREPARSE_H

#include "syntax.h"

enum {
	SIP_MAX_MESSAGE = 60 * 1024, /* with what the channel puts before it, below its 64 KiB */
	SIP_MAX_HEADERS = 256,
	SIP_MAX_START_LINE = 4096,
	SIP_MAX_METHOD = 64,
};

/* Fields that are absent are empty, and come from the first header of their name. */
struct sip_peek {
	struct sl_str method; /* of a request, else of CSeq */
	struct sl_str uri;    /* of a request */
	unsigned status;      /* of a response; 0: a request */
	struct sl_str call_id, branch, user_agent;
	struct sl_str from, to, contact; /* values as they stand */
	struct sl_str from_tag, to_tag, from_user, to_user;
	bool has_credentials; /* Authorization or Proxy-Authorization */
	uint32_t cseq;
	size_t head_len; /* up to and with the empty line */
	size_t body_len; /* Content-Length, or what follows in a datagram */
};

/* One whole message: a datagram, a WebSocket message, or what sip_frame has cut. -SL_EPARSE: not
 * SIP, or without the six fields that RFC 3261 section 8.1.1 wants; -SL_ELIMIT: over a bound. */
SL_MUST_CHECK int sip_peek(struct sip_peek *ret_peek, struct sl_str message);

enum sip_frame_kind {
	SIP_FRAME_NEED_MORE,
	SIP_FRAME_MESSAGE,
	SIP_FRAME_PING,	 /* a double CRLF that wants a pong (RFC 5626 section 4.4.1) */
	SIP_FRAME_BLANK, /* a single CRLF: a pong, or nothing */
};
/* The next thing in a stream: *ret_len bytes of it are used up. -SL_EPARSE: out of step, nothing
 * can come of this connection any more; -SL_ELIMIT: longer than we take. */
SL_MUST_CHECK int sip_frame(struct sl_str stream, enum sip_frame_kind *ret_kind, size_t *ret_len);

/* Do the first bytes begin a SIP message? 1: yes; 0: may be, more would tell; -1: no. */
int sip_judge(struct sl_str first);

#endif
