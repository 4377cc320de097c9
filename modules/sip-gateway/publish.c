/*
 * sip-gateway/publish.c: what users say of themselves: PUBLISH (RFC 3903) of presence, and the same
 * from clients without SIP. Each device has its own, under an entity-tag that changes each time.
 */
#include "event.h"

#include <stdio.h>
#include <stdlib.h>

enum { SECOND = 1000, DEFAULT_S = 3600, MAX_PER_USER = 16 };

/* ---- life */

void publication_free(struct publication *p)
{
	struct publication **at = &p->user->said;
	struct stack *s = p->stack;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	stack_forget(s, &p->kept);
	alarm_cancel(&s->alarms, &p->expiry);
	user_changed(p->user, CHANGED_PRESENCE);
	free(p);
}

static void on_expiry(struct alarm *a)
{
	publication_free(a->arg);
}

static struct publication *publication_new(struct stack *s, struct user *u)
{
	struct publication *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->stack = s;
	p->user = u;
	p->expiry = (struct alarm){.fn = on_expiry, .arg = p};
	p->next = u->said;
	u->said = p;
	return p;
}

static void put(const struct publication *p, struct sl_buf *b)
{
	uint64_t now = stack_now(p->stack);

	sl_buf_lstr(b, p->user->conf->name);
	sl_buf_lstr(b, sl_str_c(p->etag));
	sl_buf_u64(b, p->peer);
	sl_buf_u64(b, p->expires_ms > now ? p->expires_ms - now : 0);
	sl_buf_u8(b, p->said.said);
	sl_buf_u8(b, p->said.open);
	sl_buf_lstr(b, sl_str_c(p->said.activity));
	sl_buf_lstr(b, sl_str_c(p->said.note));
}

/* flow: the way it came */
static void keep(struct publication *p, uint32_t worker)
{
	stack_keep_begin(p->stack, &p->kept, worker, KEPT_PUBLICATION);
	put(p, &p->stack->out);
	stack_keep_end(p->stack, &p->kept);
}

/* Anew, for so long */
static int renew(struct publication *p, uint64_t ms)
{
	p->expires_ms = stack_now(p->stack) + ms;
	if (sip_name_new(p->etag, p->stack->owner) < 0)
		return -SL_ESYS;
	return alarm_set(&p->stack->alarms, &p->expiry, ms);
}

static struct publication *find(const struct user *u, struct sl_str etag)
{
	for (struct publication *p = u->said; p; p = p->next)
		if (!p->peer && sl_str_eq(sl_str_c(p->etag), etag))
			return p;
	return NULL;
}

static unsigned count(const struct user *u)
{
	unsigned n = 0;

	for (const struct publication *p = u->said; p; p = p->next)
		n++;
	return n;
}

/* ---- PUBLISH */

static void refuse(struct strans *t, unsigned status)
{
	char line[64] = "";
	struct sl_str headers;

	if (status == 423)
		(void)snprintf(line, sizeof line, "Min-Expires: %llu\r\n",
			       (unsigned long long)(t->stack->conf->min_expires / SECOND));
	headers = sl_str_c(line);
	if (status == 489)
		headers = SL_STR("Allow-Events: presence\r\n");
	else if (status == 415)
		headers = SL_STR("Accept: application/pidf+xml\r\n");
	strans_reply(t, &(struct strans_reply){.status = status, .headers = headers});
}

static bool is_pidf(const struct sip_msg *m)
{
	struct sl_str type = message_header(m, "Content-Type");

	return sl_str_eq_nocase(sl_str_trim(sl_str_split(&type, ';')),
				sl_str_c(event_type(EVENT_PRESENCE)));
}

static unsigned check(const struct stack *s, const struct sip_msg *m, uint64_t *ret_ms)
{
	const sip_expires_t *e = m->sip->sip_expires;
	uint64_t ms = (uint64_t)(e ? e->ex_delta : DEFAULT_S) * SECOND;
	enum event_package package;
	struct sl_str id;

	if (event_of(m, &package, &id) < 0 || package != EVENT_PRESENCE)
		return 489;
	if (ms > 0 && ms < s->conf->min_expires)
		return 423;
	if (m->body.len > 0 && !is_pidf(m))
		return 415;
	*ret_ms = ms < s->conf->max_expires ? ms : s->conf->max_expires;
	return 0;
}

static void answer(struct strans *t, const char *etag, uint64_t ms)
{
	char lines[128];
	int n = snprintf(lines, sizeof lines, "SIP-ETag: %s\r\nExpires: %llu\r\n", etag,
			 (unsigned long long)(ms / SECOND));

	strans_reply(t, &(struct strans_reply){.status = 200, .headers = {lines, (size_t)n}});
}

static unsigned change(struct publication *p, const struct sip_msg *m, uint64_t ms)
{
	struct event_presence said;

	if (m->body.len > 0) {
		if (event_presence_parse(m->body, &said) < 0)
			return 400;
		p->said = said;
	}
	return renew(p, ms) < 0 ? 500 : 0;
}

static unsigned publish(struct stack *s, struct user *u, const struct sip_msg *m, uint64_t ms,
			struct publication **ret_publication)
{
	struct sl_str etag = message_header(m, "SIP-If-Match");
	struct publication *p = etag.len > 0 ? find(u, etag) : NULL;
	bool fresh = etag.len == 0;
	unsigned status;

	if (!fresh && !p)
		return 412;
	if (fresh && m->body.len == 0)
		return 400;
	if (fresh && count(u) >= MAX_PER_USER)
		return 503;
	if (fresh)
		p = publication_new(s, u);
	if (!p)
		return 500;
	status = change(p, m, ms ? ms : SECOND);
	if (status && fresh)
		publication_free(p);
	*ret_publication = p;
	return status;
}

void publish_request(struct stack *s, const struct sip_msg *m)
{
	struct publication *p;
	struct auth_who who;
	struct strans *t;
	unsigned status;
	uint64_t ms;

	if (strans_new(s, m, &t) < 0)
		return;
	status = check(s, m, &ms);
	if (status) {
		refuse(t, status);
		return;
	}
	if (auth_request(t, m, &who) != AUTH_OK)
		return;
	if (!sl_str_eq(called_of(m), who.user->conf->name)) {
		strans_answer(t, 403);
		return;
	}
	status = publish(s, who.user, m, ms, &p);
	if (status) {
		refuse(t, status);
		return;
	}
	answer(t, p->etag, ms);
	if (ms == 0) {
		publication_free(p);
		return;
	}
	keep(p, m->flow.worker);
	user_changed(who.user, CHANGED_PRESENCE);
}

/* ---- clients */

static struct publication *find_client(const struct user *u, uint64_t peer)
{
	for (struct publication *p = u->said; p; p = p->next)
		if (p->peer == peer)
			return p;
	return NULL;
}

void publications_client_left(struct stack *s, struct user *u, uint64_t peer)
{
	struct publication *p = u ? find_client(u, peer) : NULL;

	(void)s;
	if (p)
		publication_free(p);
}

static bool is_activity(struct sl_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || s.p[i] == '-'))
			return false;
	return s.len < EVENT_TEXT;
}

/* Without anything in it, it is taken back. */
void publish_said(const struct said *m)
{
	const json_t *open = json_object_get(m->json, "open");
	struct sl_str activity = sl_json_get_str(m->json, "activity");
	struct sl_str note = sl_json_get_str(m->json, "note");
	struct user *u = m->b->user;
	struct publication *p = u ? find_client(u, m->b->peer) : NULL;

	if (!u || !is_activity(activity) || (!p && count(u) >= MAX_PER_USER)) {
		event_say_watching(m->s, m->b->peer, u ? u->conf->name.p : NULL, "presence",
				   u ? 400 : 403);
		return;
	}
	if (!open && activity.len == 0 && note.len == 0) {
		publications_client_left(m->s, u, m->b->peer);
		return;
	}
	if (!p)
		p = publication_new(m->s, u);
	if (!p)
		return; /* as if it had not been said; the next one may be luckier */
	p->peer = m->b->peer;
	p->said = (struct event_presence){.said = open != NULL, .open = json_is_true(open)};
	event_copy(p->said.activity, sizeof p->said.activity, activity);
	event_copy(p->said.note, sizeof p->said.note, note);
	user_changed(u, CHANGED_PRESENCE);
}

/* ---- from process to process */

void publication_take(struct stack *s, struct sl_reader *r, uint64_t ago_ms)
{
	struct user *u = stack_user(s, sl_read_lstr(r));
	struct sl_str etag = sl_read_lstr(r);
	uint64_t peer = sl_read_u64(r), life = sl_read_u64(r);
	struct event_presence said = {.said = sl_read_u8(r)};
	struct publication *p;

	said.open = sl_read_u8(r);
	event_copy(said.activity, sizeof said.activity, sl_read_lstr(r));
	event_copy(said.note, sizeof said.note, sl_read_lstr(r));
	if (r->failed || !u || (!peer && (life <= ago_ms || find(u, etag))) ||
	    (peer && find_client(u, peer)))
		return;
	p = publication_new(s, u);
	if (!p)
		return;
	p->peer = peer;
	p->said = said;
	(void)sl_str_copy(p->etag, sizeof p->etag, etag);
	p->expires_ms = stack_now(s) + life - ago_ms;
	if (!peer && alarm_set(&s->alarms, &p->expiry, life - ago_ms) < 0)
		publication_free(p);
	else if (!peer)
		keep(p, 0);
	user_changed(u, CHANGED_PRESENCE);
}

static void export_one(struct stack *s, uint32_t to, struct publication *p)
{
	sl_buf_reset(&s->out);
	put(p, &s->out);
	if (sl_buf_ok(&s->out) == 0)
		(void)s->io->tell(s->io->arg, to, WIRE_PUBLICATION,
				  &s->out); /* lost: 412, and the device says it anew */
	publication_free(p);
}

/* From now on they are the other's. */
void publications_export(struct stack *s, uint32_t to)
{
	for (size_t i = 0; i < s->conf->users.n; i++)
		while (s->all_users[i].said)
			export_one(s, to, s->all_users[i].said);
}
