/*
 * sip-gateway/follow.c: what a client without SIP wants to know at its PBX: subscriptions in its
 * name (RFC 6665 section 4.1), each renewed while the client is there.
 *
 * Its mailbox is asked about by itself, once it has registered, and a PBX without one is not asked
 * again before the next registration. A subscription that the PBX has lost is made anew.
 */
#include "event.h"

#include <stdlib.h>

enum { SECOND = 1000, EXPIRES_S = 600, RETRY_MS = 30 * SECOND, MAX_PER_CLIENT = 64 };

struct follow {
	struct sl_hnode node; /* by path.tag */
	struct stack *stack;
	struct account *account; /* referenced */
	enum event_package package;
	char number[EVENT_TEXT];
	struct event_path path;
	uint64_t expires_s;
	struct alarm renew;
	struct ctrans *asking;
	struct event_dialogs *calls; /* owned: as far as they have been told */
	bool answered;		     /* a challenge */
	bool known;		     /* a 2xx has come */
	bool leaving;
};

static void ask(struct follow *f, const struct sip_msg *challenge);

/* ---- life */

static bool has_tag(const struct sl_hnode *n, const void *key)
{
	return sl_str_eq(sl_str_c(SL_CONTAINER(n, struct follow, node)->path.tag),
			 *(const struct sl_str *)key);
}

static void follow_free(struct follow *f)
{
	ctrans_release(f->asking);
	alarm_cancel(&f->stack->alarms, &f->renew);
	sl_htab_remove(&f->stack->follows, &f->node);
	account_unref(f->account);
	event_path_free(&f->path);
	free(f->calls);
	free(f);
}

static void arm(struct follow *f, uint64_t ms)
{
	if (alarm_set(&f->stack->alarms, &f->renew, ms) < 0)
		sl_log(SL_LOG_WARN, "sip-gateway", "a subscription is not renewed: out of memory");
}

static void on_renew(struct alarm *a)
{
	struct follow *f = a->arg;

	if (f->asking)
		return;
	f->answered = false;
	ask(f, NULL);
}

static bool set_address(char **field, const struct trunk *t, const char *user, bool bracketed)
{
	struct sl_buf b;
	bool ok;

	sl_buf_init(&b, 1024);
	sl_buf_str(&b, sl_str_c(bracketed ? "<" : ""));
	trunk_put_uri(t, &b, sl_str_c(user));
	sl_buf_str(&b, sl_str_c(bracketed ? ">" : ""));
	ok = sl_buf_ok(&b) == 0 && keep_text(field, sl_buf_view(&b));
	sl_buf_free(&b);
	return ok;
}

/* A dialog that the PBX does not know yet */
static int begin_dialog(struct follow *f)
{
	struct event_path *p = &f->path;
	const struct trunk *t = f->account->trunk;
	char call_id[SIP_NAME_LEN + 1];
	int rc = sip_name_new(p->tag, f->stack->owner);

	if (rc == 0)
		rc = sip_name_new(call_id, f->stack->owner);
	if (rc == 0 && !(keep_text(&p->call_id, sl_str_c(call_id)) &&
			 set_address(&p->local, t, f->account->user, true) &&
			 set_address(&p->remote, t, f->number, true) &&
			 set_address(&p->target, t, f->number, false)))
		rc = -SL_ENOMEM;
	p->flow = t->flow;
	return rc;
}

static int follow_new(struct account *a, enum event_package package, const char *number,
		      struct follow **ret_follow)
{
	struct follow *f = calloc(1, sizeof *f);
	int rc;

	if (!f)
		return -SL_ENOMEM;
	f->stack = a->stack;
	f->account = a;
	f->package = package;
	f->expires_s = EXPIRES_S;
	f->renew = (struct alarm){.fn = on_renew, .arg = f};
	event_copy(f->number, sizeof f->number, sl_str_c(number));
	rc = begin_dialog(f);
	if (rc == 0)
		rc = sl_htab_insert(&a->stack->follows, &f->node,
				    sl_hash(f->path.tag, strlen(f->path.tag)));
	if (rc < 0) {
		event_path_free(&f->path);
		free(f);
		return rc;
	}
	(void)account_ref(a);
	*ret_follow = f;
	return 0;
}

static struct follow *find(const struct account *a, enum event_package package, const char *number)
{
	const struct sl_htab *all = &a->stack->follows;

	for (struct sl_hnode *n = sl_htab_first(all); n; n = sl_htab_next(all, n)) {
		struct follow *f = SL_CONTAINER(n, struct follow, node);

		if (f->account == a && f->package == package && !f->leaving &&
		    strcmp(f->number, number) == 0)
			return f;
	}
	return NULL;
}

static unsigned count(const struct account *a)
{
	const struct sl_htab *all = &a->stack->follows;
	unsigned c = 0;

	for (struct sl_hnode *n = sl_htab_first(all); n; n = sl_htab_next(all, n))
		c += SL_CONTAINER(n, struct follow, node)->account == a;
	return c;
}

static bool is_own_mailbox(const struct follow *f)
{
	return f->package == EVENT_SUMMARY && strcmp(f->number, f->account->user) == 0;
}

/* The mailbox was not asked for by anybody, so nobody is told. */
static void tell(const struct follow *f, unsigned status)
{
	if (f->account->peer && !is_own_mailbox(f))
		event_say_watching(f->stack, f->account->peer, f->number, event_name(f->package),
				   status);
}

/* ---- SUBSCRIBE */

/* As the PBX has lost it: anew, under another tag */
static void begin_anew(struct follow *f, uint64_t ms)
{
	struct account *a = f->account;
	struct follow *next;

	if (a->peer && follow_new(a, f->package, f->number, &next) == 0) {
		next->known = f->known;
		arm(next, ms);
	}
	follow_free(f);
}

static bool is_passing(unsigned status)
{
	return status == 408 || status == 480 || (status >= 500 && status < 600 && status != 501);
}

static bool accept_longer(struct follow *f, const struct sip_msg *resp)
{
	uint64_t s;

	if (sl_str_u64(message_header(resp, "Min-Expires"), &s) < 0 || s > 7 * 86400 ||
	    s <= f->expires_s)
		return false;
	f->expires_s = s;
	return true;
}

static void on_granted(struct follow *f, const struct sip_msg *resp)
{
	uint64_t s = f->expires_s;

	event_path_refresh(&f->path, resp);
	if (resp->sip->sip_expires)
		s = resp->sip->sip_expires->ex_delta;
	if (!f->known)
		tell(f, 200);
	f->known = true;
	arm(f, s > 4 ? s * SECOND / 2 : 2 * SECOND);
}

static void on_refused(struct follow *f, const struct sip_msg *resp, unsigned status)
{
	if (f->path.remote_tag && (status == 481 || status == 408)) {
		begin_anew(f, SECOND);
	} else if (resp && status == 423 && accept_longer(f, resp)) {
		f->answered = false;
		ask(f, NULL);
	} else if (is_passing(status)) {
		arm(f, RETRY_MS);
	} else {
		tell(f, status);
		follow_free(f);
	}
}

static void on_answer(void *arg, struct ctrans *t, const struct sip_msg *resp, unsigned status)
{
	struct follow *f = arg;

	(void)t;
	if (resp && status < 200)
		return;
	f->asking = NULL;
	if (resp && (status == 401 || status == 407) && !f->answered) {
		f->answered = true;
		ask(f, resp);
	} else if (f->leaving) {
		follow_free(f);
	} else if (resp && status < 300) {
		on_granted(f, resp);
	} else {
		on_refused(f, resp, status);
	}
}

static int put_subscribe(struct follow *f, struct sl_buf *b, const struct sip_msg *challenge,
			 char branch[SIP_NAME_LEN + 1])
{
	int rc = 0;

	event_path_begin(f->stack, &f->path, b, "SUBSCRIBE", branch);
	event_put_contact(f->stack, b, &f->path.flow, f->account->contact);
	sl_buf_printf(b, "Event: %s\r\nAccept: %s\r\nExpires: %llu\r\n", event_name(f->package),
		      event_type(f->package), (unsigned long long)(f->leaving ? 0 : f->expires_s));
	if (challenge)
		rc = account_put_credentials(f->account, b, challenge, "SUBSCRIBE",
					     sl_str_c(f->path.target));
	message_end(b, NULL, SL_STR_NULL);
	return rc < 0 ? rc : sl_buf_ok(b);
}

/* challenge: the response to answer, or NULL */
static void ask(struct follow *f, const struct sip_msg *challenge)
{
	char branch[SIP_NAME_LEN + 1];
	struct sl_buf b;
	int rc;

	if (!f->path.remote_tag)
		f->path.flow = f->account->trunk->flow;
	sl_buf_init(&b, SIP_MAX_MESSAGE);
	rc = put_subscribe(f, &b, challenge, branch);
	if (rc == 0)
		rc = ctrans_new(f->stack, &f->path.flow, branch, &b, &f->asking);
	sl_buf_free(&b);
	if (rc == 0) {
		ctrans_on(f->asking, on_answer, f);
	} else {
		tell(f, challenge ? challenge->peek.status : 503);
		follow_free(f);
	}
}

static void leave(struct follow *f)
{
	if (f->leaving)
		return;
	f->leaving = true;
	f->answered = false;
	alarm_cancel(&f->stack->alarms, &f->renew);
	ctrans_release(f->asking);
	f->asking = NULL;
	if (f->path.remote_tag)
		ask(f, NULL);
	else
		follow_free(f);
}

/* ---- what the PBX tells */

static void merge_dialog(struct event_dialogs *all, const struct event_dialog *d)
{
	unsigned i = 0;

	while (i < all->n && strcmp(all->all[i].id, d->id) != 0)
		i++;
	if (i == all->n && (all->n == EVENT_MAX_DIALOGS || d->state == DIALOG_TERMINATED))
		return;
	if (i == all->n)
		all->n++;
	all->all[i] = *d;
	if (d->state == DIALOG_TERMINATED)
		all->all[i] = all->all[--all->n];
}

static unsigned hear_dialogs(struct follow *f, struct sl_str body)
{
	struct event_dialogs d;

	if (event_dialogs_parse(body, &d) < 0)
		return 400;
	if (!f->calls)
		f->calls = calloc(1, sizeof *f->calls);
	if (!f->calls)
		return 500;
	if (d.full)
		f->calls->n = 0;
	for (unsigned i = 0; i < d.n; i++)
		merge_dialog(f->calls, &d.all[i]);
	event_say_dialogs(f->stack, f->account->peer, f->number, f->calls);
	return 200;
}

static unsigned hear_body(struct follow *f, struct sl_str body)
{
	struct event_presence presence;
	struct event_summary summary;

	if (body.len == 0 || !f->account->peer)
		return 200; /* nothing is known there, or nobody is here */
	if (f->package == EVENT_DIALOG)
		return hear_dialogs(f, body);
	if (f->package == EVENT_PRESENCE) {
		if (event_presence_parse(body, &presence) < 0)
			return 400;
		event_say_presence(f->stack, f->account->peer, f->number, &presence);
		return 200;
	}
	if (event_summary_parse(body, &summary) < 0)
		return 400;
	event_say_summary(f->stack, f->account->peer, f->number, &summary);
	return 200;
}

/* Why it has ended tells whether to begin anew (RFC 6665 section 4.1.3). */
static void on_terminated(struct follow *f, struct sl_str state)
{
	struct sl_str reason = SL_STR_NULL;

	(void)sip_param(state, "reason", &reason); /* none: it may be tried again */
	if (f->leaving)
		return; /* the answer to our SUBSCRIBE follows */
	if (sl_str_eq(reason, SL_STR("rejected")) || sl_str_eq(reason, SL_STR("noresource"))) {
		tell(f, sl_str_eq(reason, SL_STR("rejected")) ? 403 : 404);
		follow_free(f);
	} else {
		begin_anew(f, sl_str_eq(reason, SL_STR("deactivated")) ? SECOND : RETRY_MS);
	}
}

static bool type_is_right(const struct follow *f, const struct sip_msg *m)
{
	struct sl_str type = message_header(m, "Content-Type");

	return m->body.len == 0 || sl_str_eq_nocase(sl_str_trim(sl_str_split(&type, ';')),
						    sl_str_c(event_type(f->package)));
}

static void hear(struct follow *f, struct strans *t, const struct sip_msg *m)
{
	struct sl_str state = message_header(m, "Subscription-State"), rest = state;
	enum event_package package;
	struct sl_str id;

	if (event_of(m, &package, &id) < 0 || package != f->package) {
		strans_answer(t, 489);
		return;
	}
	if (m->peek.cseq <= f->path.remote_cseq) {
		strans_answer(t, 500);
		return;
	}
	f->path.remote_cseq = m->peek.cseq;
	event_path_refresh(&f->path, m);
	if (!type_is_right(f, m))
		strans_answer(t, 415);
	else
		strans_answer(t, hear_body(f, m->body));
	if (sl_str_eq_nocase(sl_str_trim(sl_str_split(&rest, ';')), SL_STR("terminated")))
		on_terminated(f, state);
}

bool follow_notified(struct stack *s, const struct sip_msg *m)
{
	struct sl_str tag = m->peek.to_tag;
	struct sl_hnode *n = sl_htab_find(&s->follows, sl_hash(tag.p, tag.len), has_tag, &tag);
	struct follow *f = n ? SL_CONTAINER(n, struct follow, node) : NULL;
	struct strans *t;

	if (!f || !event_path_has(&f->path, m))
		return false;
	if (strans_new(s, m, &t) == 0)
		hear(f, t, m);
	return true;
}

/* ---- what clients want */

static unsigned follow(struct account *a, enum event_package package, const char *number)
{
	struct follow *f = find(a, package, number);

	if (f) {
		arm(f, 0); /* it may have forgotten: a refresh brings the whole state */
		return 200;
	}
	if (count(a) >= MAX_PER_CLIENT)
		return 503;
	if (follow_new(a, package, number, &f) < 0)
		return 500;
	arm(f, 0);
	return 0; /* what becomes of it is told later */
}

void follow_registered(struct account *a)
{
	if (a->peer && !find(a, EVENT_SUMMARY, a->user))
		(void)follow(a, EVENT_SUMMARY, a->user); /* without it, all else works */
}

static unsigned watch_or_not(const struct said *m, const char *number, enum event_package package)
{
	bool on = !json_is_false(json_object_get(m->json, "on"));
	struct user *u = stack_user(m->s, sl_str_c(number));
	struct account *a = m->b->account;
	struct follow *f;

	if (u && m->b->user)
		return watch_by_client(m->b, m->s, u, package, on);
	if (!a)
		return m->b->user ? 404 : 403;
	if (on)
		return follow(a, package, number);
	f = find(a, package, number);
	if (f)
		leave(f);
	return 200;
}

void watch_said(const struct said *m)
{
	struct sl_str number = browser_number(m), name = sl_json_get_str(m->json, "package");
	char text[EVENT_TEXT] = "";
	enum event_package package;
	unsigned status = 489;

	if (number.len > 0 && number.len < sizeof text)
		(void)sl_str_copy(text, sizeof text, number);
	if (!text[0])
		status = 484;
	else if (event_package_of(name, &package) == 0)
		status = watch_or_not(m, text, package);
	if (status)
		event_say_watching(m->s, m->b->peer, text, name.p ? name.p : "", status);
}

void follow_account_left(struct account *a)
{
	struct sl_hnode *next;

	for (struct sl_hnode *n = sl_htab_first(&a->stack->follows); n; n = next) {
		struct follow *f = SL_CONTAINER(n, struct follow, node);

		next = sl_htab_next(&a->stack->follows, n);
		if (f->account == a)
			leave(f);
	}
}

/* ---- from process to process: what is wanted; the next one subscribes by itself */

static void export_one(struct stack *s, uint32_t to, struct follow *f)
{
	sl_buf_reset(&s->out);
	sl_buf_u64(&s->out, f->account->peer);
	sl_buf_u8(&s->out, (uint8_t)f->package);
	sl_buf_lstr(&s->out, sl_str_c(f->number));
	if (sl_buf_ok(&s->out) == 0)
		(void)s->io->tell(s->io->arg, to, WIRE_FOLLOW, &s->out); /* lost: asked for again */
}

void follows_export(struct stack *s, uint32_t to)
{
	struct sl_hnode *n;

	while ((n = sl_htab_first(&s->follows))) {
		struct follow *f = SL_CONTAINER(n, struct follow, node);

		if (f->account->peer && !f->leaving)
			export_one(s, to, f);
		follow_free(f);
	}
}

void follows_import(struct stack *s, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	const struct browser *b = browser_find(s, sl_read_u64(&r));
	unsigned package = sl_read_u8(&r);
	char number[EVENT_TEXT];
	struct follow *f;

	(void)sl_str_copy(number, sizeof number, sl_read_lstr(&r));
	if (r.failed || package >= EVENT_N || !b || !b->account ||
	    find(b->account, (enum event_package)package, number) ||
	    follow_new(b->account, (enum event_package)package, number, &f) < 0)
		return;
	f->known = true;
	arm(f, SECOND); /* its registration goes first */
}

void follows_free(struct stack *s)
{
	struct sl_hnode *n;

	while ((n = sl_htab_first(&s->follows)))
		follow_free(SL_CONTAINER(n, struct follow, node));
	sl_htab_free(&s->follows);
}
