/*
 * sip-gateway/text.c: where a text goes, and what its sender is told.
 *
 * The dial plan decides as for a call: targets one after the other, all devices of a user at once;
 * `echo` sends it back. What cannot be told by text (music, announcements) is passed over.
 */
#include "text.h"

#include <stdlib.h>

/* ---- the end */

void text_free(struct text *x)
{
	x->stack->n_unfinished--;
	account_unref(x->account);
	if (x->asked)
		x->asked->fn = NULL;
	free(x->body);
	free(x);
}

void text_abandoned(struct text *x)
{
	if (--x->n_open == 0)
		text_free(x);
}

void texts_free(struct stack *s)
{
	for (struct sl_hnode *h = sl_htab_first(&s->ctrans); h; h = sl_htab_next(&s->ctrans, h)) {
		struct ctrans *t = SL_CONTAINER(h, struct ctrans, node);

		text_abandon(t);
		text_call_abandon(t);
	}
}

static const char *sentence_of(unsigned status)
{
	static const struct {
		uint16_t status;
		const char *sentence;
	} known[] = {
		{202, "The message is on its way."},
		{405, "The other side takes no messages."},
		{408, "The other side did not answer."},
		{413, "The message is too long."},
		{415, "The other side does not take such messages."},
		{480, "Nobody can be reached there now."},
		{501, "The other side takes no messages."},
		{513, "The message is too long for that telephone."},
		{603, "The message was refused."},
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(known); i++)
		if (known[i].status == status)
			return known[i].sentence;
	return status < 300 ? NULL : browser_sentence(status);
}

void text_tell_client(const struct stack *s, uint64_t peer, const char *ref, unsigned status)
{
	json_t *json = json_pack("{s:s, s:b}", "type", "text_sent", "ok", (int)(status < 300));

	json = browser_with(json, "ref", ref[0] ? ref : NULL);
	browser_tell((struct stack *)s, peer,
		     browser_with_status(json, status, sentence_of(status)));
}

static void answer(struct text *x, unsigned status)
{
	struct strans *t = x->asked;

	sl_count(&x->stack->m[status < 300 ? M_TEXTS : M_TEXTS_REFUSED]);
	if (x->peer)
		text_tell_client(x->stack, x->peer, x->ref, status);
	if (!t)
		return;
	x->asked = NULL;
	t->fn = NULL;
	strans_answer(t, status);
}

/* ---- targets */

static unsigned clients_take(const struct text *x, const struct user *u)
{
	unsigned n = 0;

	for (const struct browser *b = u->browsers; b; b = b->next_of_user) {
		if (b->peer == x->peer)
			continue;
		text_to_client(x, b->peer);
		n++;
	}
	return n;
}

static void note(struct text *x, int rc)
{
	if (x->status == 0 || x->status == 480)
		x->status = rc == -SL_ELIMIT ? 513 : 480;
}

static void to_user(struct text *x, struct user *u, const char *device)
{
	bool own = x->user == u;

	if (!u) {
		x->status = 404;
		return;
	}
	x->delivered |= !device[0] && clients_take(x, u) > 0;
	for (const struct binding *b = u->bindings; b; b = b->next) {
		int rc;

		if (binding_is_spare(b) || !gruu_is(b, device) ||
		    (own && sip_flow_same(&b->flow, &x->flow)))
			continue;
		rc = text_to_binding(x, u, b);
		if (rc < 0)
			note(x, rc);
	}
	if (x->n_open == 0 && !x->delivered)
		note(x, 0);
}

static void to_trunk(struct text *x, const struct dial_target *t)
{
	struct trunk *trunk = trunk_by_name(x->stack, sl_str_c(t->name));
	const char *number = t->number[0] ? t->number : x->called;

	if (!trunk || !trunk_is_usable(trunk) || text_to_trunk(x, trunk, sl_str_c(number)) < 0)
		x->status = 503;
}

/* To the device that has said it */
static void to_sender(struct text *x)
{
	const struct user *u = x->user;

	if (x->peer) {
		text_to_client(x, x->peer);
		x->delivered = true;
		return;
	}
	for (const struct binding *b = u ? u->bindings : NULL; b; b = b->next)
		if (sip_flow_same(&b->flow, &x->flow) && text_to_binding(x, u, b) < 0)
			note(x, 0);
	x->delivered = true; /* it has come, whether or not there is a way back */
}

static void try_target(struct text *x, const struct dial_target *t)
{
	const struct account *a;

	switch (t->kind) {
	case DIAL_USER:
		to_user(x, stack_user(x->stack, sl_str_c(t->name)), t->device);
		break;
	case DIAL_TRUNK:
		to_trunk(x, t);
		break;
	case DIAL_CONTACT:
		a = account_find(x->stack, sl_str_c(t->name));
		x->delivered = a && a->peer;
		if (x->delivered)
			text_to_client(x, a->peer);
		break;
	case DIAL_ECHO:
		to_sender(x);
		break;
	case DIAL_ROOM:
		x->delivered = text_to_room(x, t->name);
		break;
	case DIAL_REJECT:
		x->status = t->status;
		break;
	default:
		break;
	}
}

void text_proceed(struct text *x)
{
	while (!x->delivered && x->n_open == 0 && x->next_target < x->plan.n_targets)
		try_target(x, &x->plan.targets[x->next_target++]);
	if (x->delivered)
		answer(x, 200);
	else if (x->n_open == 0)
		answer(x, x->status ? x->status : 480);
	if (x->n_open == 0)
		text_free(x);
}

static bool is_final_for_all(const struct trunk *trunk, unsigned status)
{
	return status >= 600 || (trunk && status != 408 && status < 500);
}

void text_answered(struct text *x, const struct trunk *trunk, unsigned status)
{
	x->n_open--;
	if (status < 300 && !x->delivered) {
		x->delivered = true;
		answer(x, status);
	} else if (status >= 300 && (x->status == 0 || x->status == 480 || x->status == 408)) {
		x->status = status;
	}
	if (status >= 300 && is_final_for_all(trunk, status))
		x->next_target = x->plan.n_targets;
	if (x->n_open > 0)
		return;
	if (x->delivered)
		text_free(x);
	else
		text_proceed(x);
}
