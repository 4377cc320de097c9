/*
 * sip-gateway/browsers.h: what the files about clients without SIP share, in the stack's process.
 *
 *     browsers.c      who is there, what they say     browser_pass.c  the way over a reload
 *     browser_call.c  their parties in calls     browser_say.c  messages to them
 *     account.c       their registrations at PBXs
 */
#ifndef SIP_BROWSERS_H
#define SIP_BROWSERS_H

#include <sluice/json.h>
#include "account.h"
#include "call.h"

/* A call of a client that a process of before has: what concerns it is passed on to there. */
struct elsewhere {
	struct elsewhere *next;
	uint32_t owner;
	char call[SIP_NAME_LEN + 1];
};

struct browser {
	struct sl_hnode node;
	uint64_t peer;
	uint32_t worker;	 /* that has its socket, as far as is known */
	struct user *user;	 /* NULL: no user of this node; W: browser_belongs */
	struct browser *next_of_user, **of_user; /* among its devices; of_user: who points to it */
	struct account *account; /* owned; NULL: registered at no PBX */
	struct elsewhere *calls; /* owned */
	struct sl_addr remote;	 /* of its socket; unset: not known */
	char name[64];		 /* in its room */
	struct rate texts;
};

/* A message of a client. */
struct said {
	struct stack *s;
	struct browser *b;
	const json_t *json, *claims; /* claims: what its token says of telephony, or NULL */
	struct sl_str call;	     /* its name; p NULL: none */
};

/* ---- browsers.c */
struct browser *browser_find(const struct stack *s, uint64_t peer);
/* A call of its that another process had has come over. */
void browser_call_is_here(struct stack *s, uint64_t peer, struct sl_str call);
/* The party that the message is about; NULL: none here */
struct party *browser_party(const struct said *m, struct sl_str call);

/* It is a device of this user from now on; NULL: of none. */
void browser_belongs(struct browser *b, struct user *u);
/* It has given a wrong password, here or at a PBX: its address is told so to the guard. */
void browser_suspect(struct stack *s, uint64_t peer);
struct browser *browser_find_or_make(struct stack *s, const struct wire_signal *m);
/* Carries out what browsers_signal lets through */
void browsers_hear(struct stack *s, struct sl_str data);

/* ---- browser_pass.c: what a client has said too early is heard now */
void browsers_unpark(struct stack *s, uint64_t peer);

/* ---- browser_call.c; each does what the party's state permits */
void browser_on_call(const struct said *m);
void browser_on_verb(struct party *p, const struct said *m, struct sl_str type);
/* What the client may call itself in an address, and what is shown of it */
struct sl_str browser_own_name(const struct browser *b);
struct sl_str browser_own_display(const struct browser *b);
/* Its number, "1002", or the user part of an address; empty: it cannot be called */
struct sl_str browser_number(const struct said *m);
/* May it stand in an address, as it is? Not empty, and none of the characters that end a part. */
bool browser_word_is_good(struct sl_str s);
/* Hangs up, as what it says or because it has left. status: for who called it; 0: declined */
void browser_hang_up(struct party *p, unsigned status);

/* ---- browser_say.c; json is taken, and may be NULL: out of memory, said nothing */
void browser_tell(struct stack *s, uint64_t peer, json_t *json);
/* {"type":type,"call":call} */
json_t *browser_message(const char *type, const char *call);
/* With a member more; without, when value is NULL */
json_t *browser_with(json_t *json, const char *key, const char *value);
json_t *browser_with_status(json_t *json, unsigned status, const char *reason);
void browser_tell_hangup(struct stack *s, uint64_t peer, const char *call, unsigned status);
void browser_say(struct party *p, json_t *json);
void browser_problem(struct party *p, const char *reason);
/* A sentence for people about a final status of SIP */
const char *browser_sentence(unsigned status);

#endif
