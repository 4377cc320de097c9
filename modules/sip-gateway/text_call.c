/*
 * sip-gateway/text_call.c: texts within calls, from one party to the other: in that one's own
 * dialog, and its answer is the sender's.
 */
#include "text.h"

#include <stdlib.h>

struct relayed {
	struct stack *stack;
	struct strans *asked;
};

static void on_event(void *arg, struct strans *t, enum strans_event event)
{
	struct relayed *r = arg;

	if (event == STRANS_GONE && r->asked == t)
		r->asked = NULL;
}

static void on_answer(void *arg, struct ctrans *t, const struct sip_msg *resp, unsigned status)
{
	struct relayed *r = arg;

	(void)t;
	if (resp && status < 200)
		return;
	if (r->asked) {
		r->asked->fn = NULL;
		strans_answer(r->asked, status);
	}
	free(r);
}

void text_call_abandon(struct ctrans *t)
{
	struct relayed *r = t->arg;

	if (t->fn != on_answer)
		return;
	t->fn = NULL;
	if (r->asked)
		r->asked->fn = NULL;
	free(r);
}

/* In the dialog of who hears it */
static int put_to_party(struct party *to, struct relayed *r, struct sl_str text)
{
	char branch[SIP_NAME_LEN + 1];
	struct ctrans *t;
	struct sl_buf b;
	int rc;

	sl_buf_init(&b, SIP_MAX_MESSAGE);
	party_begin(to, &b, "MESSAGE", ++to->cseq, branch);
	message_end(&b, "text/plain;charset=UTF-8", text);
	rc = sl_buf_ok(&b);
	if (rc == 0)
		rc = ctrans_new(to->call->stack, &to->flow, branch, &b, &t);
	sl_buf_free(&b);
	if (rc == 0 && r)
		ctrans_on(t, on_answer, r);
	return rc;
}

static void relay(struct party *to, struct strans *t, struct sl_str text)
{
	struct relayed *r = calloc(1, sizeof *r);

	if (!r || put_to_party(to, r, text) < 0) {
		free(r);
		strans_answer(t, 500);
		return;
	}
	r->stack = to->call->stack;
	r->asked = t;
	t->fn = on_event;
	t->arg = r;
}

static void tell_browser(const struct party *from, struct party *to, struct sl_str text)
{
	json_t *json = browser_with(browser_message("text", to->tag), "from", from->name);

	if (from->display[0])
		json = browser_with(json, "display", from->display);
	if (json)
		(void)json_object_set_new(json, "text", json_stringn(text.p, text.len));
	browser_say(to, json);
}

static bool is_echo(const struct call *c)
{
	return c->builtin && c->next_target > 0 &&
	       c->plan.targets[c->next_target - 1].kind == DIAL_ECHO;
}

void texts_in_call(struct party *p, struct strans *t, const struct sip_msg *m)
{
	struct party *other = call_other(p->call, p);
	unsigned status = text_check(p->call->stack, m);

	if (status) {
		strans_reply(t,
			     &(struct strans_reply){.status = status,
						    .headers = status == 415 ? SL_STR(TEXT_ACCEPT)
									     : SL_STR_NULL});
		return;
	}
	if (other && other->kind == PARTY_SIP && other->state == PARTY_UP) {
		relay(other, t, m->body);
		return;
	}
	if (other && other->kind == PARTY_BROWSER)
		tell_browser(p, other, m->body);
	else if (is_echo(p->call) && p->allows_message)
		(void)put_to_party(p, NULL, m->body); /* an echo that does not come is no harm */
	strans_answer(t, other || is_echo(p->call) ? 200 : 480);
}
