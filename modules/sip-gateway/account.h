/*
 * sip-gateway/account.h: a client without SIP as a subscriber of a PBX: its registration there.
 *
 * The PBX sees one contact for each device, whose user part is a name of ours, so that a call for
 * it finds the device without a look at anything else.
 */
#ifndef SIP_ACCOUNT_H
#define SIP_ACCOUNT_H

#include "stack.h"

struct call;
struct dial_target;

struct account {
	struct sl_hnode node; /* by contact */
	struct stack *stack;
	struct trunk *trunk;
	uint64_t peer;	 /* the client; 0: it has gone */
	unsigned n_refs; /* of the client, of parties, of an open transaction */
	char user[64], auth_user[64], password[128], display[64];
	char contact[SIP_NAME_LEN + 1], call_id[SIP_NAME_LEN + 1], tag[SIP_NAME_LEN + 1];
	uint32_t cseq;
	uint64_t expires_ms; /* asked for */
	struct alarm renew;
	struct ctrans *asking;
	bool registered, answered, leaving, moved;
	unsigned n_failed, failure; /* failure: the status that was told last */
};

struct account_conf {
	struct sl_str pbx, user, auth_user, password, display;
};

/* Begins to register; what becomes of it is told to the client. -SL_ENOENT: no such trunk, or not
 * one that has accounts; -SL_EINVAL: something is missing or too long; -SL_ENOMEM */
SL_MUST_CHECK int account_open(struct stack *s, uint64_t peer, const struct account_conf *conf,
			       struct account **ret_account);
/* Now, and its outcome is told, whether or not it is a change. */
void account_renew(struct account *a);
/* The client's: takes the registration back. Accepts NULL */
void account_close(struct account *a);
/* Another one who keeps it; accepts NULL, returns a */
struct account *account_ref(struct account *a);
void account_unref(struct account *a);
/* NULL: nobody's contact */
struct account *account_find(const struct stack *s, struct sl_str contact);
/* The account by which a call goes to a trunk; NULL: as the trunk itself */
struct account *account_for(const struct call *c, const struct trunk *t);
/* To the PBX, whatever the number is */
void account_target(const struct account *a, struct sl_str number, struct dial_target *ret_target);
void account_route(struct call *c, const struct account *a, struct sl_str number);
/* A call of some trunk for this contact is for a client: its plan is made. */
bool account_takes(struct call *c, struct sl_str called, const struct trunk *trunk);
/* As trunk_put_credentials */
SL_MUST_CHECK int account_put_credentials(const struct account *a, struct sl_buf *b,
					  const struct sip_msg *resp, const char *method,
					  struct sl_str uri);
/* For the process that follows: it registers on, this one does not any more. */
void account_export(struct account *a, struct sl_buf *b);
/* NULL: it could not be taken over, and the client registers anew. */
struct account *account_import(struct stack *s, uint64_t peer, struct sl_reader *r);
void accounts_free(struct stack *s);

#endif
