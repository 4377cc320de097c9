/*
 * sip-gateway/text.c: where a text goes, and what its sender is told.
 *
 * The dial plan decides as for a call: targets one after the other, all devices of a user at once;
 * `echo` sends it back. What cannot be told by text (music, announcements) is passed over. Who the
 * sender is, is what was proved of it and not what it says.
 */
#include "text.h"

#include <stdlib.h>

enum { MAX_PER_CLIENT = 5 }; /* a second, of one that is no user */

/* ---- the end */

static void text_free(struct text *x)
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

static void tell_client(const struct stack *s, uint64_t peer, const char *ref, unsigned status)
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
		tell_client(x->stack, x->peer, x->ref, status);
	if (!t)
		return;
	x->asked = NULL;
	t->fn = NULL;
	strans_answer(t, status);
}

/* ---- targets */

static unsigned clients_take(const struct text *x, const struct user *u)
{
	struct sl_htab *all = &x->stack->browsers;
	unsigned n = 0;

	for (struct sl_hnode *h = sl_htab_first(all); h; h = sl_htab_next(all, h)) {
		const struct browser *b = SL_CONTAINER(h, struct browser, node);

		if (b->user != u || b->peer == x->peer)
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

static void proceed(struct text *x)
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
		proceed(x);
}

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
	struct sl_str called = called_of(m);
	struct text *x = text_new(s, m->body, called);
	const struct dial_call dial = {
		.called = called,
		.caller = who->user ? who->user->conf->name : m->peek.from_user,
		.source = who->user    ? DIAL_FROM_USER
			  : who->trunk ? DIAL_FROM_TRUNK
				       : DIAL_FROM_STRANGER,
		.trunk = who->trunk ? who->trunk->conf->name : SL_STR_NULL,
		.head = {m->raw.p, m->peek.head_len},
	};
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
	proceed(x);
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
		tell_client(m->s, m->b->peer, name, status ? status : 500);
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
	proceed(x);
}
