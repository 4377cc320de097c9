/*
 * sip-gateway/text_in.c: texts as they come, by MESSAGE or from a client: what is taken, how often,
 * and from whom. Who the sender is, is what was proved of it and not what it says.
 */
#include "text.h"

#include <stdlib.h>

enum { MAX_PER_CLIENT = 5 }; /* a second, of one that is no user */

/* ---- a request */

static void on_event(void *arg, struct strans *t, enum strans_event event)
{
	struct text *x = arg;

	if (event == STRANS_GONE && x->asked == t)
		x->asked = NULL;
}

/* Line ends and tabs are all of the control characters that a text has. */
static bool is_plain(struct sl_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < ' ' && !strchr("\t\r\n", s.p[i]))
			return false;
	return memchr(s.len ? s.p : "", 0, s.len) == NULL && sl_str_is_utf8(s);
}

static bool is_plain_type(const struct sip_msg *m)
{
	struct sl_str type = message_header(m, "Content-Type"), charset;
	struct sl_str rest = type, bare = sl_str_trim(sl_str_split(&rest, ';'));

	if (!sl_str_eq_nocase(bare, SL_STR("text/plain")) ||
	    message_header(m, "Content-Encoding").len > 0)
		return false;
	if (!sip_param(type, "charset", &charset))
		return true;
	if (charset.len >= 2 && charset.p[0] == '"')
		charset = (struct sl_str){charset.p + 1, charset.len - 2};
	return sl_str_eq_nocase(charset, SL_STR("utf-8")) ||
	       sl_str_eq_nocase(charset, SL_STR("us-ascii"));
}

unsigned text_check(const struct stack *s, const struct sip_msg *m)
{
	if (m->body.len == 0)
		return 400;
	if (!is_plain_type(m))
		return 415;
	if (m->body.len > (size_t)s->conf->max_text)
		return 413;
	return is_plain(m->body) ? 0 : 400;
}

static bool is_too_fast(const struct stack *s, struct rate *r, int64_t limit)
{
	uint64_t second = stack_now(s) / 1000;

	if (r->second != second)
		*r = (struct rate){.second = second};
	return limit > 0 && r->n++ >= limit;
}

bool text_is_too_fast(const struct stack *s, struct rate *r)
{
	return is_too_fast(s, r, s->conf->max_texts);
}

static unsigned admit(struct stack *s, const struct auth_who *who)
{
	if (who->user && is_too_fast(s, &who->user->texts, s->conf->max_texts))
		return 503;
	if (who->trunk && is_too_fast(s, &who->trunk->texts, s->conf->max_texts))
		return 503;
	return 0;
}

static struct text *text_new(struct stack *s, struct sl_str body, struct sl_str called)
{
	struct text *x = calloc(1, sizeof *x);

	if (!x)
		return NULL;
	x->stack = s;
	x->body = sl_str_dup(body);
	(void)sl_str_copy(x->called, sizeof x->called, called);
	s->n_unfinished++;
	if (x->body)
		return x;
	text_free(x);
	return NULL;
}

static int route_text(struct text *x, const struct dial_call *dial)
{
	const struct account *a =
		dial->source == DIAL_FROM_TRUNK ? account_find(x->stack, dial->called) : NULL;
	int rc;

	if (a) {
		x->plan = (struct dial_result){.n_targets = 1};
		x->plan.targets[0].kind = DIAL_CONTACT;
		(void)sl_str_copy(x->plan.targets[0].name, DIAL_TEXT, dial->called);
		return 0;
	}
	rc = dialplan_route(x->stack->conf, dial, &x->plan);
	if (rc == 0)
		dial_share(&x->plan);
	else
		x->plan.n_targets = 0; /* somebody may be there who is not for this one */
	return rc;
}

static void name_sender(struct text *x, const struct sip_msg *m, const struct auth_who *who)
{
	struct sl_str user = m->peek.from_user, display = message_display(m);

	if (who->user) {
		user = who->user->conf->name;
		if (who->user->conf->display.len > 0)
			display = who->user->conf->display;
	}
	if (!browser_word_is_good(user))
		user = SL_STR("anonymous");
	(void)sl_str_copy(x->from, sizeof x->from, user);
	if (sl_str_is_utf8(display))
		(void)sl_str_copy(x->display, sizeof x->display, display);
}

static void begin(struct stack *s, struct strans *t, const struct sip_msg *m,
		  const struct auth_who *who)
{
	const struct dial_call dial = dial_of(m, who);
	struct text *x = text_new(s, m->body, dial.called);
	int rc;

	if (!x) {
		strans_answer(t, 500);
		return;
	}
	x->user = who->user;
	x->flow = m->flow;
	name_sender(x, m, who);
	x->asked = t;
	t->fn = on_event;
	t->arg = x;
	rc = route_text(x, &dial);
	gruu_aim(&x->plan, m->peek.uri);
	x->status = rc == -SL_EDENIED ? 403 : rc < 0 ? 404 : 0;
	text_proceed(x);
}

static void refuse(struct strans *t, unsigned status)
{
	struct sl_str headers = SL_STR_NULL;

	sl_count(&t->stack->m[M_TEXTS_REFUSED]);
	if (status == 415)
		headers = SL_STR(TEXT_ACCEPT);
	else if (status == 503)
		headers = SL_STR("Retry-After: 1\r\n");
	strans_reply(t, &(struct strans_reply){.status = status, .headers = headers});
}

void texts_request(struct stack *s, const struct sip_msg *m)
{
	struct auth_who who;
	struct strans *t;
	unsigned status;

	if (strans_new(s, m, &t) < 0 || calls_identify(s, t, m, &who) != AUTH_OK)
		return;
	status = text_check(s, m);
	if (status == 0)
		status = admit(s, &who);
	if (status)
		refuse(t, status);
	else
		begin(s, t, m, &who);
}

/* ---- from a client */

static unsigned check_said(const struct said *m, struct sl_str to, struct sl_str text)
{
	struct user *u = m->b->user;
	bool too_fast;

	if (to.len == 0)
		return 484;
	if (text.len == 0 || !is_plain(text))
		return 400;
	if (text.len > (size_t)m->s->conf->max_text)
		return 413;
	too_fast = u ? is_too_fast(m->s, &u->texts, m->s->conf->max_texts)
		     : is_too_fast(m->s, &m->b->texts, MAX_PER_CLIENT);
	return too_fast ? 503 : 0;
}

/* What the dial plan does not take goes to the PBX that the client is registered at. */
static int route_said(struct text *x, const struct browser *b, struct sl_str to)
{
	const struct dial_call dial = {
		.called = to,
		.caller = sl_str_c(x->from),
		.source = b->user ? DIAL_FROM_USER : DIAL_FROM_BROWSER,
	};
	int rc = route_text(x, &dial);

	if (rc == 0 || !b->account)
		return rc;
	x->plan = (struct dial_result){.n_targets = 1};
	account_target(b->account, to, &x->plan.targets[0]);
	return 0;
}

void texts_said(const struct said *m)
{
	struct sl_str to = browser_number(m), text = sl_json_get_str(m->json, "text");
	struct sl_str ref = sl_json_get_str(m->json, "ref");
	unsigned status = check_said(m, to, text);
	struct text *x = status ? NULL : text_new(m->s, text, to);
	char name[SIP_NAME_LEN + 1] = "";
	int rc;

	if (ref.len <= SIP_NAME_LEN)
		(void)sl_str_copy(name, sizeof name, ref);
	if (!x) {
		sl_count(&m->s->m[M_TEXTS_REFUSED]);
		text_tell_client(m->s, m->b->peer, name, status ? status : 500);
		return;
	}
	x->peer = m->b->peer;
	x->user = m->b->user;
	x->account = account_ref(m->b->account);
	(void)sl_str_copy(x->ref, sizeof x->ref, sl_str_c(name));
	(void)sl_str_copy(x->from, sizeof x->from, browser_own_name(m->b));
	(void)sl_str_copy(x->display, sizeof x->display, browser_own_display(m->b));
	rc = route_said(x, m->b, to);
	x->status = rc == -SL_EDENIED ? 403 : rc < 0 ? 404 : 0;
	text_proceed(x);
}
