/*
 * sip-gateway/text.h: texts between people (MESSAGE, RFC 3428), whatever each of them speaks.
 *
 * A text is routed as a call would be, goes to all devices of who is found, and is answered when
 * one of them has taken it, or none can.
 */
#ifndef SIP_TEXT_H
#define SIP_TEXT_H

#include "account.h"
#include "browsers.h"

/* Where one was refused for its form */
#define TEXT_ACCEPT "Accept: text/plain\r\n"

/* A text that is on its way. */
struct text {
	struct stack *stack;
	struct strans *asked; /* the request that brought it; NULL: gone, or a client's */
	uint64_t peer;	      /* the client that said it; 0: none */
	char ref[SIP_NAME_LEN + 1];
	char from[64], display[64];
	struct user *user;	 /* who says it; NULL: no user of this node */
	struct account *account; /* referenced; by which a client says it */
	struct sip_flow flow;	 /* of the request: its sender is not told its own text */
	char *body;		 /* owned: UTF-8 */
	char called[DIAL_TEXT];
	struct dial_result plan;
	unsigned next_target;
	unsigned n_open; /* requests without an answer */
	unsigned status; /* the best failure so far */
	bool delivered;
};

/* ---- text.c */
void text_free(struct text *x);
/* Tries its next targets. With none left, and none waited for, its sender is told, and it is freed.
 */
void text_proceed(struct text *x);
/* What came of a text of its that it calls ref */
void text_tell_client(const struct stack *s, uint64_t peer, const char *ref, unsigned status);
/* Forgets what waits for an answer, before accounts and transactions are freed. */
void texts_free(struct stack *s);
/* One of its requests will have no answer */
void text_abandoned(struct text *x);
/* One of its requests has an answer: a final status */
void text_answered(struct text *x, const struct trunk *trunk, unsigned status);

/* ---- text_call.c */
/* Outside of any call, to a room that its sender is in by one; false: it is not */
bool text_to_room(const struct text *x, const char *room);
/* Within a call: for who is at the other end of it */
void texts_in_call(struct party *p, struct strans *t, const struct sip_msg *m);

/* ---- text_in.c */
/* {"type":"text","number":...,"text":...,"ref":...} */
void texts_said(const struct said *m);
/* 0, or the status to refuse it with: not plain text, or longer than this node takes */
unsigned text_check(const struct stack *s, const struct sip_msg *m);
/* One more in this second, of one that counts them? */
bool text_is_too_fast(const struct stack *s, struct rate *r);

/* ---- text_out.c: one more request for x; negative: it cannot be sent, and nothing is told */
SL_MUST_CHECK int text_to_binding(struct text *x, const struct user *u, const struct binding *b);
SL_MUST_CHECK int text_to_trunk(struct text *x, struct trunk *t, struct sl_str number);
/* t is a request of a text, or within a call: it is not waited for any more. */
void text_abandon(struct ctrans *t);
void text_call_abandon(struct ctrans *t);
/* The client hears it. */
void text_to_client(const struct text *x, uint64_t peer);

#endif
