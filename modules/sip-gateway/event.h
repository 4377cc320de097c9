/*
 * sip-gateway/event.h: who wants to know what of whom (RFC 6665), in the stack's process.
 *
 *     event_path.c   the dialog of a subscription, of ours and of others
 *     watch.c        subscriptions to our users           notify.c   what they are told
 *     watch_pass.c   the same over reloads and crashes
 *     presence.c     what there is to tell of a user      publish.c  what users say of themselves
 *     follow.c       subscriptions of clients at PBXs     event_say.c  messages to clients
 */
#ifndef SIP_EVENT_H
#define SIP_EVENT_H

#include "browsers.h"
#include "event_body.h"

#define EVENT_ALLOWED "Allow-Events: presence, dialog, message-summary\r\n"

/* ---- event_path.c: a dialog without a call */
struct event_path {
	char tag[SIP_NAME_LEN + 1]; /* ours */
	struct sip_flow flow;
	char *call_id, *remote_tag, *local, *remote, *target, *routes; /* owned */
	uint32_t cseq, remote_cseq;
};
/* tag: of our answer to it */
SL_MUST_CHECK int event_path_from_request(struct event_path *p, const struct sip_msg *m,
					  const char *tag);
/* The other side's tag, address and route, of a response or a NOTIFY */
void event_path_refresh(struct event_path *p, const struct sip_msg *m);
/* A request within it: lines up to and without Content-Length; branch is filled. */
void event_path_begin(struct stack *s, struct event_path *p, struct sl_buf *b, const char *method,
		      char branch[SIP_NAME_LEN + 1]);
bool event_path_has(const struct event_path *p, const struct sip_msg *m);
void event_path_put(const struct event_path *p, struct sl_buf *b);
SL_MUST_CHECK int event_path_get(struct event_path *p, struct sl_reader *r);
void event_path_free(struct event_path *p);
void event_put_contact(struct stack *s, struct sl_buf *b, const struct sip_flow *flow,
		       const char *user);
/* Of Event; id: its parameter, empty: none. -SL_ENOENT: none that we know */
SL_MUST_CHECK int event_of(const struct sip_msg *m, enum event_package *ret_package,
			   struct sl_str *ret_id);

/* ---- watch.c */
struct watch {
	struct sl_hnode node;	    /* by path.tag */
	struct watch *next, **at;   /* of the user's, while it has not ended; at: who points to it */
	struct tie way;		    /* to its client, or its connection */
	struct stack *stack;
	struct user *of;	    /* NULL: of nobody any more */
	enum event_package package;
	char id[EVENT_TEXT];	    /* of Event */
	struct user *by;	    /* NULL: a trunk's, or a client's */
	uint64_t peer;		    /* a client's; 0: by SIP */
	struct event_path path;
	uint64_t expires_ms;
	struct kept_place kept;
	struct alarm expiry, say;
	uint32_t version;
	struct ctrans *asking;	    /* a NOTIFY that is not answered */
	bool again;		    /* something has changed since */
	const char *reason;	    /* it ends: why; NULL: it lives */
};
void watch_request(struct stack *s, const struct sip_msg *m);
/* Within a dialog; false: none of ours */
bool watch_refresh(struct stack *s, const struct sip_msg *m);
/* Its last NOTIFY says so; then it is gone. */
void watch_end(struct watch *w, const char *reason);
void watch_free(struct watch *w);
/* A client's; package's state is told at once and after each change. Status: 200, or why not */
unsigned watch_by_client(struct browser *b, struct stack *s, struct user *u,
			 enum event_package package, bool on);
void watches_client_left(struct stack *s, uint64_t peer);
void watches_free(struct stack *s);
/* For watch_pass.c. One that nobody knows yet; of: NULL: of nobody any more; NULL: no memory */
struct watch *watch_new(struct stack *s, struct user *of, enum event_package package);
/* From here on it is watch_free's, and it has been freed when this fails. */
SL_MUST_CHECK int watch_enter(struct watch *w, struct user *by);
SL_MUST_CHECK int watch_set_expiry(struct watch *w, uint64_t ms);
struct watch *watch_by_tag(const struct stack *s, struct sl_str tag);

/* ---- watch_pass.c */
void watch_keep(struct watch *w);
void watch_take(struct stack *s, struct sl_reader *r, uint64_t ago_ms);
void watches_export(struct stack *s, uint32_t to);

/* ---- notify.c: soon; what changes meanwhile is told with it */
void watch_tell(struct watch *w);
void watch_init_alarms(struct watch *w);

/* ---- presence.c */
void user_presence(const struct stack *s, const struct user *u, struct event_presence *ret_presence);
void user_dialogs(const struct stack *s, const struct user *u, struct event_dialogs *ret_dialogs);
/* m is a NOTIFY outside of any dialog: a mailbox of a user or of a client at a PBX. */
void mailbox_notified(struct stack *s, const struct sip_msg *m);
struct mailbox {
	struct event_summary said;
	struct kept_place kept;
};
void mailbox_take(struct stack *s, struct sl_reader *r, uint64_t ago_ms);
void mailboxes_export(struct stack *s, uint32_t to);
void mailbox_free(struct stack *s, struct user *u);

/* ---- publish.c */
struct publication {
	struct publication *next; /* of its user, the newest first */
	struct stack *stack;
	struct user *user;
	char etag[SIP_NAME_LEN + 1];
	uint64_t peer; /* of a client; 0: by SIP */
	struct event_presence said;
	uint64_t expires_ms;
	struct kept_place kept;
	struct alarm expiry;
};
void publish_request(struct stack *s, const struct sip_msg *m);
void publication_free(struct publication *p);
/* {"type":"presence","open":bool,"activity":...,"note":...} */
void publish_said(const struct said *m);
void publications_client_left(struct stack *s, struct user *u, uint64_t peer);
void publication_take(struct stack *s, struct sl_reader *r, uint64_t ago_ms);
void publications_export(struct stack *s, uint32_t to);

/* ---- follow.c: what a client wants to know at its PBX */
/* Its mailbox is asked about when it has registered. */
void follow_registered(struct account *a);
/* {"type":"watch","number":...,"package":...,"on":bool} */
void watch_said(const struct said *m);
/* A NOTIFY within a dialog; false: none of ours */
bool follow_notified(struct stack *s, const struct sip_msg *m);
/* Its registration has ended. */
void follow_account_left(struct account *a);
/* For the process that follows */
void follows_export(struct stack *s, uint32_t to);
void follows_import(struct stack *s, struct sl_str data);
void follows_free(struct stack *s);

/* ---- event_say.c: {"type":"presence"|"lamp"|"voicemail", "user":...} */
void event_say_presence(struct stack *s, uint64_t peer, const char *user,
			const struct event_presence *p);
void event_say_dialogs(struct stack *s, uint64_t peer, const char *user,
		       const struct event_dialogs *d);
void event_say_summary(struct stack *s, uint64_t peer, const char *user,
		       const struct event_summary *m);
/* {"type":"watching"} */
void event_say_watching(struct stack *s, uint64_t peer, const char *user, const char *package,
			unsigned status);

#endif
