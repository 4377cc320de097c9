/*
 * sip-gateway/call.h: calls: parties, each with signalling of its own and a media leg, joined in
 * pairs.
 *
 * A back-to-back user agent: every party negotiates with us and knows nothing of the others. Media
 * is agreed on each side apart, so hold, transfer, and a codec that one side does not have, stay on
 * the side where they are.
 *
 *     call.c     its life, the list, the end          call_admit.c  how many there may be
 *     call_route.c  targets one after the other       call_progress.c  what callees do
 *     call_join.c   who hears whom
 *     party.c    a party's SIP dialog, and its end    party_caller.c, party_callee.c  its INVITE
 *     party_renew.c  refreshes and new offers of ours
 *     dialog.c   what comes within a dialog           leg_ctl.c  its media, commanded
 *     transfer.c REFER and Replaces                   browser_call.c  parties without SIP
 *     timers.c   session timers                       cdr.c      the record
 *     video.c    video of its parties              span.c  media on two workers
 *     redirect.c callees that point elsewhere         keep.c     what outlives this process
 *     siprec*.c  a recorder beside it              rescue.c   media whose worker has died
 */
#ifndef SIP_CALL_H
#define SIP_CALL_H

#include "dialplan.h"
#include "stack.h"

struct call;
struct party;

enum party_kind { PARTY_SIP, PARTY_BROWSER, PARTY_RECORDER, PARTY_SPAN };
enum party_state {
	PARTY_NEW,     /* nothing said yet */
	PARTY_CALLING, /* its INVITE, or ours, is open */
	PARTY_RINGING,
	PARTY_UP,
	PARTY_ENDED
};

/* What to do when the worker has answered. rc and text as in struct wire_reply. */
typedef void leg_then_fn(struct party *p, int rc, struct sl_str text);
enum { LEG_ASKS = 6 };

struct party {
	struct party *next;
	struct call *call;
	enum party_kind kind;
	enum party_state state;
	bool caller;  /* it called us */
	bool charged; /* counts for its user and trunk */
	struct user *user;
	struct trunk *trunk;	    /* at most one of them counts */
	struct account *account;    /* referenced; by which a browser calls, or its call goes on */
	char name[64], display[64]; /* who it is, for the others and the record */

	/* media */
	struct sl_hnode by_leg;
	uint32_t leg;	 /* 0: none yet */
	uint32_t worker; /* that has it; 0: the call's */
	bool moving;	 /* its leg has died, and of the new one it has not been told */
	struct {
		uint64_t id, version; /* of our newest description (o=); id 0: not known */
	} origin;
	uint32_t prefer; /* the leg whose codecs it would like */
	enum sip_profile profile;
	struct {
		uint32_t seq;
		leg_then_fn *then;
		bool answers, accepts_video; /* is it for an answer of ours; does theirs have video */
		bool describes;		     /* for a description of ours */
	} asks[LEG_ASKS];
	bool has_video;	   /* as the newest description has it */
	bool offers;	   /* an offer of ours to a browser is open */
	bool without_video; /* it refused the call for it */
	bool no_fast_update; /* INFO means nothing to it */
	uint64_t fast_update_ms; /* newest INFO that asked for a key frame */
	leg_then_fn *waiting;  /* its offer adds video, of which the other party is asked first */
	struct alarm reoffer;  /* ... for so long; or our own offer is tried again */
	bool has_media; /* a description was agreed */
	bool held;	/* by itself */
	struct rate texts; /* that it says within the call */
	struct strans *texting; /* its text that waits for the room; NULL: none */
	char *stats;	/* owned: JSON, when its leg is closed */
	bool waits_for_stats;

	/* SIP */
	struct sl_hnode by_tag;
	bool in_table;
	char tag[SIP_NAME_LEN + 1]; /* ours */
	struct sip_flow flow; /* W: party_reach */
	struct tie way;	      /* to its connection */
	char *call_id, *remote_tag, *local, *remote, *target, *routes; /* owned */
	uint32_t cseq, remote_cseq;
	struct strans *invite;	 /* its INVITE that began the call */
	struct strans *asking;	 /* a re-INVITE or UPDATE of its that waits for media */
	struct strans *unacked;	 /* answered with an offer of ours, or with 200: until its ACK */
	struct ctrans *inviting; /* our INVITE, first or again */
	struct ctrans *updating; /* our UPDATE */
	struct ctrans *informing; /* our newest INFO that asks for a key frame */
	char *offer;		 /* owned: what its INVITE offered, or what ours does */
	char *answer;		 /* owned: what we answered to it */
	char *described;	 /* owned: its newest description; NULL: none, or another process had it */
	char *headers;		 /* owned: more lines for our INVITE */
	char *body_type;	 /* owned: of what our INVITE says; NULL: a description */
	char *session;		 /* owned: lines about session timers for our answer */
	bool offer_in_ok;	 /* its answer comes with the ACK */
	bool reliable;		 /* wants provisional responses acknowledged */
	bool has_answered_challenge, allows_update, allows_message, prack_is_open;
	bool answers;	      /* the media's answer is under way */
	bool answer_is_final; /* ... for a 200 */
	uint32_t rseq;
	struct alarm refresh, expire; /* session timers */
	uint32_t session_s;
	uint32_t session_min_s; /* that its peer asks for; 0: nothing */
	bool we_refresh;
	unsigned status; /* of the last final answer */
	unsigned n_hops; /* servers of its trunk that failed */
	struct redirect *redirect; /* owned: where it has pointed to; NULL: nowhere */
	struct party *pointed_by;  /* borrowed: whose contact it is; NULL: nobody's */

	/* browsers */
	uint64_t peer;

	uint64_t begun_ms, ringing_ms, answered_ms, ended_ms;
};

/* Two legs, one on each worker, when the parties' media is on two: span.c */
enum { SPAN_LEGS = 2 };
struct span {
	struct party *leg[SPAN_LEGS]; /* of kind PARTY_SPAN; NULL: not needed */
	struct party *end[SPAN_LEGS]; /* borrowed: whose leg the first, the second is bridged to */
	bool up, asks;		      /* both are agreed; they are being asked */
};

struct call {
	struct call *prev, *next;
	struct stack *stack;
	uint8_t id[16];
	struct party *parties;
	struct party *a, *b; /* who talk, or are about to: a is the caller at first */
	struct party *early; /* whose early media a hears */
	struct dial_result plan;
	char *plan_header; /* owned: lines that the route adds */
	unsigned next_target;
	unsigned best_status;
	bool answered, over, joined, recorded;
	bool builtin;	 /* the caller is with something of this node's, or about to be */
	bool announcing; /* ... which ends by itself, and the next target follows */
	uint32_t worker; /* where its media is, or is to be; 0: it has died, and has no place yet */
	bool rescuing;	 /* there is media again, and parties are being told (rescue.c) */
	uint64_t lost_ms;
	unsigned n_restarts; /* of its media */
	struct alarm ring, longest, linger, keep, rescue;
	uint64_t kept_key; /* under which a worker keeps it; 0: none does */
	struct kept_place spare; /* for when that worker dies together with this process */
	char called[DIAL_TEXT];
	char reason[128];     /* value of Reason for who is still there; empty: by status */
	const char *ended_by; /* "caller", "callee", "node" */
	unsigned end_status;
	uint64_t begun_unix_ms, begun_ms, ringing_ms, answered_ms;
	char redirected[SIP_MAX_REDIRECTS][64]; /* numbers that callees have pointed to */
	unsigned n_redirected;
	struct party *pointing; /* borrowed: for whose contact parties are made right now, or NULL */
	struct siprec *siprec; /* owned; NULL: it is not recorded elsewhere */
	struct sl_session *shown; /* owned; NULL: not shown */
	struct span span;
	struct transfer {
		struct party *by, *other; /* NULL: none is under way */
		bool subscribed;
	} transfer;
};

/* ---- call*.c */
struct call *call_new(struct stack *s);
/* One that has begun in a process that has died */
struct call *call_restored(struct stack *s);
/* What watchers see of its parties' users */
void call_users_changed(const struct call *c);
struct party *party_new(struct call *c, enum party_kind kind);
/* Tries its next targets; ends it when there are none. */
void call_proceed(struct call *c);
void call_ringing(struct call *c, struct party *callee);
/* Its description has been accepted, in a provisional answer */
void call_early_media(struct call *c, struct party *callee);
void call_answered(struct call *c, struct party *callee);
/* It is being called, and has not answered yet. */
bool party_is_tried(const struct party *p);
/* A callee that was being called has failed. */
void call_failed(struct call *c, struct party *callee, unsigned status);
/* A party that talked, or the caller before that, is gone. */
void call_left(struct call *c, struct party *p, unsigned status);
/* Everybody is told; status: for those who still wait for an answer */
void call_end(struct call *c, const char *by, unsigned status);
void call_join(struct call *c);
/* p's media is agreed anew: did it put us on hold? */
void call_held(struct call *c, struct party *p, bool held);
/* p's announcement is over. */
void call_announced(struct call *c, const struct party *p);
/* p is not in its room (any more): end is an enum sl_mixer_end. */
void call_room_ended(struct call *c, struct party *p, unsigned end, struct sl_str why);
/* Where its media shall be: the phones of a room belong together. */
void call_place(struct call *c, uint32_t preferred);
struct party *call_other(const struct call *c, const struct party *p);
/* It is another process' now: nobody is told, and it is gone at once. From the top of the loop only */
void call_leave(struct call *c);
/* Frees it when everything has ended. */
void call_settle(struct call *c);
/* Its callee has answered, and whatever else has to come before its caller hears of it. */
void call_go_on(struct call *c);
/* May one more begin? Else the status to refuse with, counted */
unsigned calls_admit(struct stack *s, const struct auth_who *who);
/* What a request says of where it wants to go, from whom it has proved to come */
struct dial_call dial_of(const struct sip_msg *m, const struct auth_who *who);
int call_route(struct call *c, const struct dial_call *dial);
void call_begin(struct call *c, struct party *caller);
/* Calls a target beside what goes on, for a transfer; -SL_ENOENT: nobody there */
int call_add_target(struct call *c, const struct dial_target *t, const char *headers);
/* One party less that counts for its user and trunk */
void party_discharge(struct party *p);
void party_charge(struct party *p);

/* ---- party*.c: SIP; each does what its state permits */
void party_sip_call(struct party *p, struct sl_str uri, struct sl_str to);
/* The same without a word to it so far: its dialog and its leg */
SL_MUST_CHECK int party_sip_begin(struct party *p, struct sl_str uri, struct sl_str to);
/* Its INVITE, whose body is of body_type */
SL_MUST_CHECK int party_send_invite(struct party *p, struct sl_str body);
SL_MUST_CHECK int party_send_reinvite(struct party *p, struct sl_str body);
void party_ring(struct party *p);
void party_early(struct party *p);
void party_answer(struct party *p);
/* Says goodbye in whatever way fits. */
void party_end(struct party *p, unsigned status);
void party_free(struct party *p);
/* From now on it is found by its tag. */
SL_MUST_CHECK int party_enter_table(struct party *p);
struct party *party_by_tag(const struct stack *s, struct sl_str tag);
/* What both sides of its dialog keep, from a request of its peer's */
int party_dialog_from_request(struct party *p, const struct sip_msg *m);
void party_on_invite_event(void *arg, struct strans *t, enum strans_event event);
void party_put_contact(struct party *p, struct sl_buf *b);
/* From now on it is reached by this flow. */
void party_reach(struct party *p, const struct sip_flow *flow);
/* A request within the dialog: lines up to and without Content-Length. branch is filled. */
void party_begin(struct party *p, struct sl_buf *b, const char *method, uint32_t cseq,
		 char branch[SIP_NAME_LEN + 1]);
/* Sends one; nobody hears the answer but fn (or NULL). NULL: as if it had been lost for good */
struct ctrans *party_request(struct party *p, const char *method, struct sl_str lines,
			     const char *body_type, struct sl_str body, ctrans_fn *fn);
/* A session's refresh */
void party_reinvite(struct party *p);
/* A new offer of ours; video_reoffered tells when it is answered. -SL_EAGAIN: not now */
SL_MUST_CHECK int party_reoffer(struct party *p);
/* Our INVITE again, with another offer */
void party_invite_anew(struct party *p);
/* Sets *field to a copy; false: out of memory, as it was */
bool keep_text(char **field, struct sl_str s);
void party_refresh_target(struct party *p, const struct sip_msg *m);

/* ---- leg_ctl.c */
int party_leg_open(struct party *p);
/* One of a process that has died, by that one's number */
SL_MUST_CHECK int party_leg_adopt(struct party *p, uint32_t owner, uint32_t leg);
/* A number for one that has died with its worker: rescue.c finds it, and makes another. */
SL_MUST_CHECK int party_leg_lost(struct party *p);
void party_leg_tell(struct party *p, enum wire_leg_verb verb, uint32_t a, struct sl_str text);
void party_leg_ask(struct party *p, enum wire_leg_verb verb, uint32_t a, struct sl_str text,
		   leg_then_fn *then);
/* Who is going to hear it, before it is offered anything */
void party_tell_listener(struct party *p);
void party_leg_close(struct party *p, const char *why);
/* Its leg says what the party of another leg says, or hears. */
void party_leg_copy(struct party *p, uint32_t from, bool heard);
struct party *party_by_leg(const struct stack *s, uint32_t leg);
enum sip_profile profile_of_sdp(struct sl_str sdp);
bool sdp_is_hold(struct sl_str sdp);

/* ---- dialog.c */
/* Answers its re-INVITE or UPDATE. */
void party_answer_asking(struct party *p, unsigned status, struct sl_str sdp);
void party_on_request(struct party *p, const struct sip_msg *m);

/* ---- transfer.c */
void transfer_refer(struct party *p, struct strans *t, const struct sip_msg *m);
/* The other side of p's call is to be joined with a user or number. uri: that named it, or empty */
void transfer_to(struct party *p, struct sl_str number, struct sl_str uri);
/* p's call and q's become one between their other parties; q NULL: there is no such call. */
void transfer_join(struct party *p, struct party *q);
/* The call's transfer has succeeded (200), failed (others), or rings (180). */
void transfer_progress(struct call *c, unsigned status);
/* Whom a value of Replaces names: our side of that dialog. NULL: none here */
struct party *transfer_find(const struct stack *s, struct sl_str value);
/* That value within a Refer-To, unescaped; NULL: there is none. To be freed */
char *transfer_replaces_in(struct sl_str refer_to);
/* An INVITE that replaces a dialog: true: taken care of */
bool transfer_replaces(struct stack *s, const struct sip_msg *m, struct strans *t,
		       const struct auth_who *who);

/* ---- shown.c: what `sluice sessions` prints of it */
void call_show(struct call *c);
void call_hide(struct call *c);

/* ---- text_call.c: written in its room: name, line feed, what */
void text_from_room(struct party *p, struct sl_str said);
/* Its text is not waited for any more: before p is freed. */
void text_no_more(struct party *p);

/* ---- span.c */
/* The worker that has p's media */
uint32_t party_worker(const struct party *p);
/* The leg that `other` is heard by on the worker of `at`; 0: there is none (yet) */
uint32_t span_leg(const struct party *at, const struct party *other);
/* Each hears the other, wherever their media is; perhaps only when call_join is called again. */
void span_join(struct call *c, struct party *a, struct party *b);
void span_end(struct call *c);
/* One leg more where the media of `end` is; NULL: out of memory */
struct party *span_new_leg(struct call *c, const struct party *end);
/* What a leg of it tells */
void span_event(struct party *p, enum wire_leg_event_kind kind);

/* ---- video.c */
bool sdp_has_video(struct sl_str sdp);
void video_init(struct party *p);
void video_stop(struct party *p);
/* Before our offer to p: what there is to offer */
void video_before_offer(struct party *p);
/* Before p's first offer is answered */
void video_before_answer(struct party *p);
/* Before an offer of p's is answered that is not its first: what this node's own things show */
void video_want_builtin(struct party *p, struct sl_str offer);
/* p offers anew: its leg is asked for the answer, when the other party has been asked for the video
 * that is added. */
void video_take_offer(struct party *p, struct sl_str offer, leg_then_fn *then);
/* p has answered our new offer, or refused it. */
void video_reoffered(struct party *p);
/* The other party's video is not what p was told. */
void video_changed(struct party *p);
/* p shall send a key frame. */
void video_ask_by_info(struct party *p);
/* An INFO with application/media_control+xml */
void video_control(struct party *p, struct strans *t, struct sl_str body);
/* p refuses the call for its video: called again without; false: that was not it */
bool video_retries_without(struct party *p, unsigned status);

/* ---- keep.c */
void keep_init(struct call *c);
/* Something that a process after this one has to know has changed. */
void call_keep(struct call *c);
void call_forget(struct call *c);
/* To another process, which takes it over as it is */
SL_MUST_CHECK int call_give(struct call *c, uint32_t to);
/* Until it is answered, its caller is told by the process that follows that nothing came of it. */
void keep_words(struct call *c, const struct strans *t);

/* ---- rescue.c */
void rescue_init(struct call *c);
/* Media that it had at this worker is not there any more. */
void call_lost(struct call *c, uint32_t worker);
/* After another process: parties have been offered media that they may not have agreed to. */
void rescue_go_on(struct call *c);
/* p has agreed to a description of the leg that it has now. */
void rescue_told(struct party *p);
/* p has refused our new offer; status 0: it could not be reached. False: it is none that has to
 * be told of a new leg */
bool rescue_refused(struct party *p, unsigned status);

/* ---- redirect.c */
/* m is a 3xx of p: its contacts wait until p is told to have failed. */
void redirect_take(struct party *p, const struct sip_msg *m);
/* p has failed. True: somebody is called, or still being called, in its place */
bool redirect_next(struct party *p);

/* ---- invite.c */
/* m's sender takes q's place: q is ended, its other side is joined with the new one. */
void invite_replace(struct party *q, const struct sip_msg *m, struct strans *t,
		    const struct auth_who *who);

/* ---- timers.c */
/* A shorter interval than we accept: refused with 422, true */
bool session_refuses(struct strans *t, const struct sip_msg *m);
/* Reads what m says of session timers, appends our lines to its answer, and arms. */
void session_from_request(struct party *p, const struct sip_msg *m, struct sl_buf *headers);
void session_from_response(struct party *p, const struct sip_msg *m);
void session_put(struct party *p, struct sl_buf *b);
/* m is a 422: true: what session_put says from now on may be taken. */
bool session_accepts_longer(struct party *p, const struct sip_msg *m);
void session_stop(struct party *p);
/* With what was agreed */
void session_start(struct party *p);
void session_init(struct party *p);

/* ---- browser_say.c, browser_call.c */
void browser_ring(struct party *p);
void browser_early(struct party *p);
void browser_answer(struct party *p);
void browser_end(struct party *p, unsigned status);
/* Calls the clients that have registered the name; returns how many. */
unsigned browsers_call(struct call *c, struct sl_str name);
/* Calls the client whose contact at a PBX it is; -SL_ENOENT: it has gone */
int browser_call_contact(struct call *c, struct sl_str contact);
void browser_held(struct party *p, bool held);
/* A new offer of ours, as party_reoffer */
SL_MUST_CHECK int browser_reoffer(struct party *p);
/* A digit that the other side has pressed */
void browser_digit(struct party *p, char digit, uint32_t ms);
/* How a transfer that it asked for goes on: 100, 180, 200, or why not */
void browser_transferred(struct party *p, unsigned status);

/* ---- cdr.c */
void cdr_write(struct call *c);
/* Q.850 cause for a final status */
unsigned cause_of(unsigned status);
const char *cause_text(unsigned cause);

#endif
