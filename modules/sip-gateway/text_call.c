/*
 * sip-gateway/text_call.c: texts within calls, from one party to the other: in that one's own
 * dialog, and its answer is the sender's; or to and from the room that the party is in.
 */
#include "text.h"

#include <stdlib.h>

enum { ROOM_TEXT = 800 };

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

static bool is_with(const struct call *c, enum dial_kind kind)
{
	return c->builtin && c->next_target > 0 &&
	       c->plan.targets[c->next_target - 1].kind == kind;
}

/* ---- rooms */

static void on_texting(void *arg, struct strans *t, enum strans_event event)
{
	struct party *p = arg;

	if (event == STRANS_GONE && p->texting == t)
		p->texting = NULL;
}

static void on_said(struct party *p, int rc, struct sl_str text)
{
	struct strans *t = p->texting;

	(void)text;
	p->texting = NULL;
	if (!t)
		return;
	t->fn = NULL;
	strans_answer(t, rc == 0 ? 200 : 480);
}

static void say_to_room(struct party *p, struct strans *t, struct sl_str text)
{
	if (p->texting) { /* it does not wait for an answer, as it should */
		strans_answer(t, 491);
		return;
	}
	p->texting = t;
	t->fn = on_texting;
	t->arg = p;
	party_leg_ask(p, WIRE_LEG_SAY, 0, text, on_said);
}

static void ignore(struct party *p, int rc, struct sl_str text)
{
	(void)p;
	(void)rc;
	(void)text;
}

bool text_to_room(const struct text *x, const char *room)
{
	for (struct call *c = x->stack->first_call; c; c = c->next) {
		struct party *p = c->a;

		if (!p || p->state != PARTY_UP || !is_with(c, DIAL_ROOM) ||
		    strcmp(c->plan.targets[c->next_target - 1].name, room) != 0 ||
		    !(x->user ? p->user == x->user : sip_flow_same(&p->flow, &x->flow)))
			continue;
		party_leg_ask(p, WIRE_LEG_SAY, 0, sl_str_c(x->body), ignore);
		return true;
	}
	return false;
}

void text_no_more(struct party *p)
{
	strans_release(p->texting);
	p->texting = NULL;
}

/* What had better not be longer than a datagram (RFC 3428 section 8): cut between characters */
static struct sl_str cut(struct sl_str s)
{
	if (s.len <= ROOM_TEXT)
		return s;
	s.len = ROOM_TEXT;
	while (s.len > 0 && !sl_str_is_utf8(s))
		s.len--;
	return s;
}

void text_from_room(struct party *p, struct sl_str said)
{
	struct sl_str text = said, name = sl_str_split(&text, '\n'), part = cut(text);
	struct sl_buf b;

	if (p->state != PARTY_UP || p->kind != PARTY_SIP || !p->allows_message ||
	    !is_with(p->call, DIAL_ROOM))
		return;
	sl_buf_init(&b, SIP_MAX_MESSAGE / 2);
	if (name.len > 0)
		sl_buf_printf(&b, "%.*s: ", SL_FMT(name));
	sl_buf_printf(&b, "%.*s%s", SL_FMT(part), part.len < text.len ? "\xe2\x80\xa6" : "");
	if (sl_buf_ok(&b) == 0)
		(void)put_to_party(p, NULL, sl_buf_view(&b)); /* lost, as if on the way */
	sl_buf_free(&b);
}

static bool is_echo(const struct call *c)
{
	return is_with(c, DIAL_ECHO);
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
	if (text_is_too_fast(p->call->stack, &p->texts)) {
		strans_reply(t, &(struct strans_reply){.status = 503,
						       .headers = SL_STR("Retry-After: 1\r\n")});
		return;
	}
	if (is_with(p->call, DIAL_ROOM)) {
		say_to_room(p, t, m->body);
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
