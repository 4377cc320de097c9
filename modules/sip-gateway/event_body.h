/*
 * sip-gateway/event_body.h: what is said of users, as bodies of NOTIFY and PUBLISH: presence (PIDF,
 * RFC 3863 with RFC 4480), calls (dialog-info, RFC 4235) and waiting messages (RFC 3842).
 *
 * Sans-I/O. What is read is bounded and copied; unknown elements are skipped, and a document with a
 * DTD is none.
 */
#ifndef SIP_EVENT_BODY_H
#define SIP_EVENT_BODY_H

#include <sluice/buf.h>

enum event_package { EVENT_PRESENCE, EVENT_DIALOG, EVENT_SUMMARY, EVENT_N };
/* "presence", "dialog", "message-summary" */
const char *event_name(unsigned package);
/* Of its bodies */
const char *event_type(unsigned package);
/* -SL_ENOENT: another one */
SL_MUST_CHECK int event_package_of(struct sl_str name, enum event_package *ret_package);

enum { EVENT_TEXT = 64, EVENT_NOTE = 128, EVENT_MAX_DIALOGS = 16 };

/* RFC 3842: messages of a mailbox */
struct event_summary {
	bool waiting;
	uint32_t fresh, old, urgent_fresh, urgent_old; /* of voice */
	char account[EVENT_TEXT];		       /* its URI; empty: not said */
};
SL_MUST_CHECK int event_summary_parse(struct sl_str body, struct event_summary *ret_summary);
void event_summary_put(struct sl_buf *b, const struct event_summary *s);

struct event_presence {
	bool said, open;	   /* said: there was a status at all */
	char activity[EVENT_TEXT]; /* of RFC 4480: "away", "on-the-phone" ...; empty: none */
	char note[EVENT_NOTE];	   /* for people */
};
SL_MUST_CHECK int event_presence_parse(struct sl_str body, struct event_presence *ret_presence);
/* uri: whose */
void event_presence_put(struct sl_buf *b, struct sl_str uri, const struct event_presence *p);

enum event_dialog_state { DIALOG_TRYING, DIALOG_EARLY, DIALOG_CONFIRMED, DIALOG_TERMINATED };
const char *event_dialog_state_name(unsigned state);
struct event_dialog { /* as the user's telephone has it */
	enum event_dialog_state state;
	bool initiator;			   /* it calls */
	char id[EVENT_TEXT];		   /* unique among those of its user */
	char call_id[2 * EVENT_TEXT];	   /* with the tags: what Replaces of a pick-up says; empty: */
	char local_tag[EVENT_TEXT];	   /* ... not told */
	char remote_tag[2 * EVENT_TEXT];
	char number[EVENT_TEXT], display[EVENT_TEXT]; /* of the other side */
};
struct event_dialogs {
	uint32_t version;
	bool full; /* others than these there are not */
	unsigned n;
	struct event_dialog all[EVENT_MAX_DIALOGS];
};
SL_MUST_CHECK int event_dialogs_parse(struct sl_str body, struct event_dialogs *ret_dialogs);
/* Always in full. host: of the other sides' addresses */
void event_dialogs_put(struct sl_buf *b, struct sl_str uri, struct sl_str host,
		       const struct event_dialogs *d);

/* Cut, where it has to be, between two characters */
void event_copy(char *dst, size_t cap, struct sl_str s);
/* The user part of a SIP URI, or the text as it is */
void event_copy_number(char *dst, size_t cap, struct sl_str uri);

#endif
