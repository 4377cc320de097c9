/*
 * sip-gateway/siprec.h: a call that is recorded elsewhere (RFC 7866): this node is the client,
 * which calls a recorder beside the call and sends it a copy of what either side says; of a call
 * with a room or anything else of this node's, of what its caller says and hears.
 *
 * The recorder is a party of the call that nobody hears, of kind PARTY_RECORDER: its dialog is that
 * of any party, its two streams are media legs, the second of which has a party without a dialog.
 */
#ifndef SIP_SIPREC_H
#define SIP_SIPREC_H

#include "call.h"
#include "siprec_body.h"

struct siprec_source {
	const struct party *party; /* NULL: nobody yet */
	bool heard;		   /* what it hears of this node; else what it says */
	uint64_t what;		   /* of the two: tells echo from room, and rooms apart */
};

struct siprec {
	struct call *call;
	struct party *leg[SIPREC_STREAMS]; /* the first has the dialog; NULL: no recorder now */
	struct siprec_source source[SIPREC_STREAMS];
	struct siprec_view view;
	char *sdp[SIPREC_STREAMS]; /* owned: ours, while both are asked for */
	char boundary[2 * SIPREC_ID];
	unsigned n_tried;      /* recorders of the configuration */
	unsigned asks, n_good; /* of legs that are being told the recorder's description */
	bool up, caller_waits, stale, over;
	bool answering; /* what our legs say answers the recorder's offer */
	bool unwritten; /* an offer is under way whose metadata will have what changes now */
	uint64_t up_ms; /* stack time */
	struct alarm again;
};

/* Shall this call be recorded, and wait for the recorder? */
bool siprec_is_wanted(const struct call *c);
/* No recorder can be had for a call that must not be without; true: the call cannot be. */
bool siprec_refuses(const struct call *c);
/* The call is answered: true: its caller waits until a recorder has, siprec_go_on goes on. */
bool siprec_comes_first(struct call *c);
/* Who talks with whom, or whether they do, has changed. */
void siprec_follow(struct call *c);
/* Who is in the room of its caller, but that one: "id name", one a line; all of them */
void siprec_people(struct call *c, struct sl_str list);
/* It is over: its parties end as all do. */
void siprec_end(struct call *c);
/* Its legs have died with their worker: the recorder is let go, and another session begins when the
 * call has media again. */
void siprec_lost(struct call *c);
void siprec_found(struct call *c);
void siprec_free(struct call *c);

/* One that a process which has died had with a recorder: its parties are the call's already. */
struct siprec_taken {
	struct party *leg[SIPREC_STREAMS];
	struct siprec_source source[SIPREC_STREAMS];
	struct siprec_view view;
	struct sl_str boundary;
};
SL_MUST_CHECK int siprec_restore(struct call *c, const struct siprec_taken *t);

/* ---- of its dialog */
/* An answer of the recorder's, to our first INVITE or a later one */
void siprec_answered(struct party *p, const struct sip_msg *m);
/* No recorder there, or not any more */
void siprec_failed(struct party *p, unsigned status);
/* A re-INVITE or UPDATE of the recorder's */
void siprec_asked(struct party *p, struct strans *t, const struct sip_msg *m);
/* Our re-INVITE was refused. */
void siprec_refused(struct party *p);
/* We say everything again, as in a re-INVITE to refresh the session. */
void siprec_say(struct siprec *r);

#endif
