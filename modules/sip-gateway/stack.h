/*
 * sip-gateway/stack.h: the half that has dialogs: one process, told what comes in and what time it
 * is.
 *
 * It acts through struct stack_io alone, so that tests drive it by texts in virtual time.
 *
 *     stack.c      life, users, messages of workers        incoming.c   SIP, and to whom it goes
 *     alarm.c      timers                                  tie.c        what hangs on connections
 *     strans.c     server transactions (RFC 3261 s. 17.2)  ctrans.c     client transactions (17.1)
 *     auth.c       who asks                                nonce.c      how often, and when
 *     registrar.c  REGISTER
 *     location.c   bindings                                trunk.c      PBXs and carriers
 *     locate.c     servers of a name (RFC 3263)            hops.c       which of a trunk's is used
 *     ring.c       INVITEs that outlive this process       move.c       calls that go to another
 */
#ifndef SIP_STACK_H
#define SIP_STACK_H

#include <sluice/hash.h>
#include <sluice/session.h>
#include "alarm.h"
#include "conf.h"
#include "digest.h"
#include "locate.h"
#include "message.h"
#include "nonce.h"
#include "tie.h"
#include "wire.h"

struct browser;
struct call;
struct ctrans;
struct party;
struct stack;
struct strans;
struct trunk;

/* Times of RFC 3261 section 17, in ms */
enum { SIP_T1 = 500, SIP_T2 = 4000, SIP_T4 = 5000, SIP_PATIENCE = 64 * SIP_T1 };

struct stack_io {
	/* To a worker (its owner word; 0: any). -SL_ENOENT: it is gone */
	int (*tell)(void *arg, uint32_t worker, enum wire_type type, const struct sl_buf *msg);
	/* Is it one that new media goes to? 0: any such worker, or 0 */
	uint32_t (*worker)(void *arg, uint32_t wanted);
	/* One for media that belongs together: the same for equal keys, while workers stay. 0: none
	 */
	uint32_t (*worker_for)(void *arg, uint64_t key);
	/* The address of this host towards remote, with the port of a listener of the transport,
	 * or, without one, of a UDP listener; for flows that nobody has used before. */
	int (*local)(void *arg, unsigned transport, const struct sl_addr *remote,
		     struct sl_addr *ret_local);
	/* fn is called once, perhaps within, unless the stack is freed before. */
	void (*resolve)(void *arg, const struct locate_want *want, locate_fn *fn, void *fn_arg);
	void (*record)(void *arg, struct sl_str json); /* of a call that is over */
	uint64_t (*unix_ms)(void *arg);
	/* What people see of a call, until it is closed; NULL: there is no room for more. It is
	 * told to calls_evict when it shall end. */
	struct sl_session *(*show)(void *arg, struct call *c, struct sl_str label,
				   const struct sl_addr *remote);
	/* The process that new work goes to; 0: this one, or none */
	uint32_t (*newest)(void *arg);
	void *arg;
};

struct stack {
	const struct sip_conf *conf;
	const struct stack_io *io;
	const struct sl_meter *m;
	uint32_t owner; /* our owner word: in names */
	struct nonces nonces;
	struct alarms alarms;
	struct sl_htab strans, ctrans; /* by key, by branch name */
	/* strans.c: those that only wait for repetitions, the oldest first */
	struct strans *done, **done_last;
	uint32_t n_done;
	size_t done_bytes;
	struct sl_htab dialogs;	       /* by our tag */
	struct sl_htab legs;	       /* parties by leg */
	struct sl_htab users;	       /* struct user by name */
	struct user *all_users;
	struct sl_htab ties;  /* what hangs on connections and clients: tie.h */
	uint32_t n_bindings;
	struct trunk *trunks;	 /* conf->trunks.n */
	struct sl_htab browsers; /* by peer: browsers.c */
	struct sl_htab accounts; /* by contact: account.c */
	struct sl_htab watches;	 /* by our tag: watch.c */
	struct sl_htab follows;	 /* by our tag: follow.c */
	uint32_t n_watches;
	uint64_t last_kept;	 /* number of what workers keep */
	struct call *first_call;
	uint32_t n_calls, last_leg, last_seq;
	uint64_t next_rescue_ms; /* when the newest of those who wait has its turn: rescue.c */
	uint32_t n_unfinished; /* INVITEs and BYEs of ours without a final answer */
	uint64_t second;	/* now_s of n_in_second */
	uint32_t n_in_second;	/* calls begun in it */
	struct sl_buf out;	/* scratch: one message to a worker */
	uint64_t late_until_ms; /* messages wait so long here that no new calls are taken */
	bool draining;
	uint64_t begun_ms;     /* stack time */
	struct parked *parked; /* owned: browser_pass.c */
	uint32_t n_parked;
	struct alarm unpark;
	struct wanted *wanted; /* owned: move.c */
	uint32_t n_wanted;
	uint64_t last_wanted;
	bool wants_no_more; /* what is being done has asked for calls already */
};

/* Calls that have begun in a second. */
struct rate {
	uint64_t second;
	int64_t n;
};

/* A user of the configuration, with what it has going on. */
struct user {
	struct sl_hnode node;
	const struct user_conf *conf;
	struct binding *bindings;
	struct browser *browsers; /* its devices without SIP */
	uint32_t n_calls, n_bindings;
	uint32_t worker; /* that has the media of its calls */
	struct rate rate, texts;
	struct watch *watches;	     /* of it: watch.c */
	uint32_t n_watches;	     /* its own, of others */
	struct publication *said;    /* owned: publish.c */
	struct mailbox *mailbox; /* owned; NULL: nothing was said of one */
};

int stack_new(const struct sip_conf *conf, const struct stack_io *io, const struct sl_meter *m,
	      uint32_t owner, const uint8_t node_key[32], struct stack **ret_stack);
void stack_free(struct stack *s);
void stack_input(struct stack *s, uint32_t from, uint16_t type, struct sl_str data);
/* Runs what is due; when to come again, UINT64_MAX: never */
uint64_t stack_run(struct stack *s, uint64_t now_ms);
/* Nothing is going on that would have to end first. */
bool stack_is_idle(const struct stack *s);
/* A newer process takes new work: bindings go to it. */
void stack_drain(struct stack *s, uint32_t successor);
/* A worker has died: what had its media or its connections there. */
void stack_worker_gone(struct stack *s, uint32_t worker);

static inline uint64_t stack_now(const struct stack *s)
{
	return s->alarms.now_ms;
}
struct user *stack_user(const struct stack *s, struct sl_str name);
/* A SIP message on a flow. Negative: it will not arrive. */
int stack_send(struct stack *s, const struct sip_flow *flow, struct sl_str message);
/* ---- incoming.c: raw is a message that the edge has let through */
void incoming_message(struct stack *s, const struct sip_flow *flow, struct sl_str raw);
/* The part of Via and Contact that says where we are on this flow: host:port */
void stack_put_here(struct stack *s, struct sl_buf *b, const struct sip_flow *flow);

/* ---- server transactions */
enum strans_event {
	STRANS_CANCELLED, /* answer it with 487 */
	STRANS_UNACKED,	  /* a 2xx that was never acknowledged */
	STRANS_GONE	  /* forget the pointer */
};
typedef void strans_fn(void *arg, struct strans *t, enum strans_event event);

struct strans {
	struct sl_hnode node;
	struct stack *stack;
	struct sip_flow flow;	       /* of answers */
	char *key;		       /* owned */
	struct sl_buf echo;	       /* lines of every response */
	struct sl_buf routes;	       /* Record-Route lines, of those that make a dialog */
	struct sl_buf last;	       /* the newest response */
	char *to;		       /* owned: value of To as it came */
	char to_tag[SIP_NAME_LEN + 1]; /* ours; empty: To has one */
	struct alarm resend, end;
	struct strans *done_next; /* in stack.done */
	struct strans **done_at;  /* who points to it there; NULL: it is not in it */
	uint32_t interval, cseq;
	uint16_t status; /* of the newest response */
	bool invite, acked, has_tag;
	bool makes_dialog; /* by its answer, though it is no INVITE */
	uint32_t rseq; /* of the newest reliable provisional response */
	bool unacked_provisional;
	strans_fn *fn;
	void *arg;
};
/* The transaction that m belongs to; NULL: none. An ACK finds that of its INVITE. */
struct strans *strans_find(struct stack *s, const struct sip_msg *m);
/* m repeats its request, or acknowledges its failure. */
void strans_again(struct strans *t, const struct sip_msg *m);
SL_MUST_CHECK int strans_new(struct stack *s, const struct sip_msg *m, struct strans **ret_trans);
/* headers: whole lines, or empty */
struct strans_reply {
	unsigned status;
	const char *reason; /* NULL: the RFC's */
	struct sl_str headers;
	const char *body_type;
	struct sl_str body;
	bool reliable; /* a provisional one that wants a PRACK (RFC 3262) */
};
void strans_reply(struct strans *t, const struct strans_reply *r);
/* Without anything else */
void strans_answer(struct strans *t, unsigned status);
/* The ACK of a 2xx has come, in the dialog. */
void strans_acked(struct strans *t);
/* The PRACK of a reliable provisional response */
bool strans_pracked(struct strans *t, uint32_t rseq);
/* No callbacks any more; it ends by itself, answered with 500 if it was not answered at all. */
void strans_release(struct strans *t);
void strans_free(struct strans *t);
/* A response to a request that gets no transaction */
void strans_refuse(struct stack *s, const struct sip_msg *m, unsigned status,
		   struct sl_str headers);

/* What is kept for the process that follows if this one is killed: keep.c */
enum kept_kind { KEPT_CALL = 1, KEPT_BINDING, KEPT_WORDS, KEPT_WATCH, KEPT_PUBLICATION,
		 KEPT_INVITE, KEPT_MAILBOX };
struct kept_place {
	uint64_t key; /* 0: nowhere */
	uint32_t worker;
};

/* ---- client transactions */
/* resp NULL: status says what happened, 408 nobody answered, 503 it could not be sent. 2xx of
 * INVITE come as often as they come. t is gone after a final answer to anything but INVITE. */
typedef void ctrans_fn(void *arg, struct ctrans *t, const struct sip_msg *resp, unsigned status);

struct ctrans {
	struct sl_hnode node;
	struct stack *stack;
	struct sip_flow flow;
	char name[SIP_NAME_LEN + 1]; /* of the branch */
	struct sl_buf request;	     /* owned */
	struct alarm resend, end;
	uint32_t interval;
	uint64_t patience; /* ms until the first answer */
	enum { CTRANS_CALLING, CTRANS_PROCEEDING, CTRANS_COMPLETED, CTRANS_ACCEPTED } state;
	bool invite, cancel_wanted, cancelled;
	bool unfinished; /* counted in stack.n_unfinished */
	bool was_udp; /* went by TCP for its length alone */
	struct tie way; /* to the connection that it went by, or the address */
	struct kept_place kept; /* ring.c */
	ctrans_fn *fn;
	void *arg;
	struct ctrans **held_by; /* borrowed: where fn's user points to it, cleared when it ends by
				    itself; NULL: nowhere */
};
/* request: whole, with the branch z9hG4bK<name>; taken */
SL_MUST_CHECK int ctrans_new(struct stack *s, const struct sip_flow *flow, const char *name,
			     struct sl_buf *request, struct ctrans **ret_trans);
void ctrans_on(struct ctrans *t, ctrans_fn *fn, void *arg);
struct ctrans *ctrans_find(struct stack *s, const struct sip_msg *m);
void ctrans_input(struct ctrans *t, const struct sip_msg *m);
/* An INVITE: a CANCEL goes as soon as it may. */
void ctrans_cancel(struct ctrans *t);
/* Nobody answers for so long: as if for ever */
void ctrans_hurry(struct ctrans *t, uint64_t ms);
void ctrans_release(struct ctrans *t);
void ctrans_free(struct ctrans *t);

/* Begins a request: its first line, Via, Max-Forwards, User-Agent. */
void request_begin(struct stack *s, struct sl_buf *b, const char *method, struct sl_str uri,
		   const struct sip_flow *flow, const char *branch);

/* ---- who asks (auth.c) */
enum auth_verdict {
	AUTH_OK,
	AUTH_ANSWERED, /* challenged or refused */
};
enum auth_kind { AUTH_STRANGER, AUTH_USER, AUTH_TRUNK };
struct auth_who {
	enum auth_kind kind;
	struct user *user;
	struct trunk *trunk;
};
/* A trunk by its address, a user by its credentials, and, where a route takes anybody, a stranger; others
 * are asked for credentials. */
enum auth_verdict calls_identify(struct stack *s, struct strans *t, const struct sip_msg *m,
				 struct auth_who *ret_who);
/* Who is meant: the user part of what was asked for */
struct sl_str called_of(const struct sip_msg *m);
/* Credentials of a user; without any, a challenge is sent. */
enum auth_verdict auth_request(struct strans *t, const struct sip_msg *m, struct auth_who *ret_who);

/* ---- REGISTER (registrar.c), and where users are (location.c) */
void registrar_request(struct stack *s, const struct sip_msg *m);

/* A contact of a user. */
struct binding {
	struct binding *next; /* of the user */
	struct tie way; /* it ends with its connection */
	struct stack *stack;
	struct user *user;
	struct sip_flow flow;
	struct alarm expiry;
	uint64_t expires_ms; /* stack time */
	uint64_t kept_key;   /* under which a worker keeps it; 0: none does */
	uint32_t cseq;
	struct sl_str contact, call_id, path, instance, agent; /* in text */
	char text[];
};
struct binding_text {
	struct sl_str contact, call_id, path, instance, agent;
};
/* Do they name one device, or one flow of it (RFC 5626)? By instance, else by contact */
bool binding_is_same(const struct binding_text *a, const struct binding_text *b);
/* The one that is the same; NULL: none */
struct binding *binding_find(const struct user *u, const struct binding_text *t);
/* Made, and not known to anybody before binding_enter, which replaces the same one and does not
 * fail; binding_drop: it is not wanted, or NULL. -SL_ENOMEM */
struct binding_opts {
	struct binding_text text;
	const struct sip_flow *flow;
	uint32_t cseq;
	uint64_t life_ms;
};
SL_MUST_CHECK int binding_new(struct stack *s, struct user *u, const struct binding_opts *o,
			      struct binding **ret_binding);
void binding_enter(struct binding *b);
void binding_drop(struct binding *b);
/* Is there room for n more of this user? */
bool bindings_have_room(const struct stack *s, const struct user *u, unsigned n);
/* One that has been entered */
void binding_free(struct binding *b);
/* Another flow to the same device has been registered since: that one is used. */
bool binding_is_spare(const struct binding *b);
/* For the process that follows, one message each */
void bindings_export(struct stack *s, uint32_t to);
void bindings_import(struct stack *s, struct sl_str data);
/* As they go there */
void binding_put(const struct binding *b, struct sl_buf *out);
/* What was written so long ago */
void binding_take(struct stack *s, struct sl_reader *r, uint64_t ago_ms);

/* ---- what the operator asks (shown_bindings.c): "page text|json PLACE [USER]", "end USER [CONTACT]".
 * -SL_ENOENT: refused, and answer says why */
int registrations_asked(struct stack *s, struct sl_str words, struct sl_buf *answer);

/* ---- addresses of one device (gruu.c) */
struct dial_result;
/* The parameters of a Contact that tell it */
void gruu_put(struct sl_buf *b, const struct binding *x);
/* Of a user that `uri` names, its one device is meant when the URI says so. */
void gruu_aim(struct dial_result *r, struct sl_str uri);
/* device: as a target has it */
bool gruu_is(const struct binding *b, const char *device);

/* ---- PBXs and carriers (trunk.c) */
struct trunk {
	struct stack *stack;
	const struct trunk_conf *conf;
	struct sip_hops hops; /* n 0: not looked up yet */
	unsigned hop, probed; /* the one that calls go to; the one that is being asked */
	uint64_t shunned_until_ms[LOCATE_MAX_HOPS]; /* it did not answer */
	uint64_t no_tcp_until_ms;		    /* large requests go by UDP */
	struct sip_flow flow;			    /* to `hop` */
	bool up, registered, finding, started;
	uint32_t n_calls, n_silent, cseq, n_failed;
	struct rate rate, texts;
	uint32_t failure; /* status of the newest registration that failed; 0: none */
	unsigned n_tries; /* hops that this registration has tried */
	struct alarm renew, probe, find;
	struct ctrans *registering, *probing;
	char call_id[SIP_NAME_LEN + 1], tag[SIP_NAME_LEN + 1];
	bool answered; /* the REGISTER under way answers a challenge */
};
/* For the process that follows: which ones live, so that calls go on at once */
void trunks_export(struct stack *s, uint32_t to);
void trunks_import(struct stack *s, struct sl_str data);
int trunks_open(struct stack *s);
/* Once there is a socket to send from: they are asked, and registered at. */
void trunks_start(struct stack *s);
void trunks_close(struct stack *s);
/* Nothing is known against it. */
bool trunk_is_usable(const struct trunk *t);
/* It has as many calls as it may have, or as many have begun as may in a second. */
bool trunk_is_full(const struct trunk *t);
struct trunk *trunk_by_name(const struct stack *s, struct sl_str name);
struct trunk *trunk_by_peer(const struct stack *s, uint32_t peer);
/* Whose calls come from there; NULL: nobody's */
struct trunk *trunk_by_source(const struct stack *s, const struct sl_addr *remote);
/* Its servers are known, or known anew. */
void trunk_found(struct trunk *t);

/* ---- hops.c */
void hops_find(struct trunk *t);
/* The way to one of its servers */
struct sip_flow hops_flow(const struct trunk *t, unsigned hop);
/* The first that is not shunned, or the one that was shunned first */
unsigned hops_best(const struct trunk *t);
/* A server that did not answer, or wants no more: others are tried first for a while. */
void hops_shun(struct trunk *t, const struct sl_addr *remote);
/* From now on calls go there. */
void hops_use(struct trunk *t, unsigned hop);
bool hops_has(const struct trunk *t, const struct sl_addr *remote);
/* There is one that has not failed lately. */
bool hops_is_hopeful(const struct trunk *t);

/* sip:user@domain, or the server's address */
void trunk_put_uri(const struct trunk *t, struct sl_buf *b, struct sl_str user);
/* Appends the header that answers the challenge in resp. -SL_EUNSUPP: there is none we can answer
 */
SL_MUST_CHECK int trunk_answer_challenge(struct sl_buf *b, const struct sip_msg *resp,
					 const struct digest_answer *answer);
/* The same with the trunk's own user and password */
SL_MUST_CHECK int trunk_put_credentials(struct trunk *t, struct sl_buf *b,
					const struct sip_msg *resp, const char *method,
					struct sl_str uri);

/* ---- keep.c: what outlives this process if it is killed */
/* What is put into s->out between the two is kept, instead of what was before. */
void stack_keep_begin(struct stack *s, struct kept_place *k, uint32_t worker, enum kept_kind kind);
void stack_keep_end(struct stack *s, struct kept_place *k);
void stack_forget(struct stack *s, struct kept_place *k);
void stack_kept(struct stack *s, struct sl_str data);
/* The same of a call whose worker has died with that process */
void stack_kept_spare(struct stack *s, struct sl_str data);
/* The same of a process that lives, and has given the call away */
void stack_given(struct stack *s, struct sl_str data);
/* ring.c: an INVITE that has to be cancelled then */
void ring_keep(struct ctrans *t, uint32_t worker);
void ring_take(struct stack *s, struct sl_reader *r);
void binding_keep(struct binding *b);
void binding_forget(struct binding *b);

/* ---- move.c: calls that go to another process */
/* m wants two calls to become one, and another process has one of them, or is to have both: it is
 * taken care of, now or when that is here. */
bool move_for_request(struct stack *s, const struct sip_msg *m);
/* The same of what a client without SIP says: owner has its call of that name. */
bool move_for_signal(struct stack *s, uint32_t owner, uint64_t peer, struct sl_str call,
		     struct sl_str signal);
/* m is said to the process that follows; false: there is none */
bool move_pass_on(struct stack *s, const struct sip_msg *m);
void move_asked(struct stack *s, uint32_t from, struct sl_str data);
void move_answered(struct stack *s, struct sl_str data);
void move_free(struct stack *s);

/* ---- calls */
void calls_invite(struct stack *s, const struct sip_msg *m);
void calls_request(struct stack *s, const struct sip_msg *m); /* within a dialog */
/* A response to no request of ours. A 2xx of a re-INVITE that a process before us has sent, and died,
 * is acknowledged (RFC 3261 section 13.2.2.4), and may be what the leg still waits for. */
void calls_late_answer(struct stack *s, const struct sip_msg *m);
void calls_reply(struct stack *s, struct sl_str data);	      /* WIRE_LEG_REPLY */
void calls_leg_event(struct stack *s, struct sl_str data);
/* Media that was there is made anew elsewhere, or its call ends. */
void calls_worker_gone(struct stack *s, uint32_t worker);
/* The same of whoever had its slot before, of which nobody may have been left to tell */
void calls_worker_up(struct stack *s, uint32_t worker);
void calls_end_all(struct stack *s);
void calls_evict(struct call *c);

/* ---- presence.c, for whoever changes something that watchers of a user see; u may be NULL */
enum { CHANGED_PRESENCE = 1, CHANGED_DIALOGS = 2, CHANGED_MAILBOX = 4 };
void user_changed(struct user *u, unsigned what);

/* ---- text.c */
void texts_request(struct stack *s, const struct sip_msg *m);

/* ---- browsers.c, browser_pass.c */
void browsers_signal(struct stack *s, struct sl_str data);
void browsers_left(struct stack *s, struct sl_str data);
/* For the process that follows, one message each */
void browsers_export(struct stack *s, uint32_t to);
void browsers_import(struct stack *s, struct sl_str data);
void browsers_begin(struct stack *s);
void browsers_end(struct stack *s);
void browsers_free(struct stack *s);

#endif
