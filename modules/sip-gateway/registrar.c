/*
 * sip-gateway/registrar.c: REGISTER (RFC 3261 section 10.3, RFC 3327 Path, basics of RFC 5626).
 *
 * A user may register its own address only, by whatever name its credentials are. A request is
 * judged whole before anything of it is done.
 */
#include "stack.h"

#include <stdio.h>

enum { MAX_CONTACTS = 16, SECOND = 1000 };

struct wanted {
	struct binding_text text;
	uint64_t life_ms;     /* 0: remove */
	struct binding *made; /* owned until it is entered */
};

struct registration {
	struct stack *s;
	struct user *user;
	const struct sip_msg *m;
	struct wanted contacts[MAX_CONTACTS];
	unsigned n;
	bool star, too_brief;
	struct sl_buf path; /* Path values, as Route lines will carry them */
	struct sl_buf keys; /* instances with their reg-id */
};

static uint64_t clamp_life(struct registration *r, uint64_t seconds)
{
	const struct sip_conf *c = r->s->conf;
	uint64_t ms = seconds > UINT32_MAX ? c->max_expires : seconds * SECOND;

	if (ms == 0)
		return 0;
	if (ms < c->min_expires)
		r->too_brief = true;
	return ms > c->max_expires ? c->max_expires : ms;
}

static uint64_t default_seconds(const struct registration *r)
{
	const sip_expires_t *e = r->m->sip->sip_expires;

	return e ? e->ex_delta : r->s->conf->max_expires / SECOND;
}

/* An instance is one device; with a reg-id it has several flows. */
static struct sl_str put_key(struct registration *r, struct sl_str item)
{
	struct sl_str instance = SL_STR_NULL, reg = SL_STR_NULL;
	size_t begin = r->keys.len;

	if (!sip_param(item, "+sip.instance", &instance) || instance.len == 0)
		return SL_STR_NULL;
	(void)sip_param(item, "reg-id", &reg); /* none is a flow, too */
	sl_buf_printf(&r->keys, "%.*s#%.*s", SL_FMT(instance), SL_FMT(reg));
	if (sl_buf_ok(&r->keys) < 0)
		return SL_STR_NULL;
	return (struct sl_str){(char *)r->keys.p + begin, r->keys.len - begin};
}

static int add_contact(struct registration *r, struct sl_str item)
{
	struct wanted *w = &r->contacts[r->n];
	struct sl_str expires;
	uint64_t seconds = default_seconds(r);

	if (sl_str_eq(item, SL_STR("*"))) {
		r->star = true;
		return 0;
	}
	if (r->n == MAX_CONTACTS)
		return -SL_ELIMIT;
	if (sip_param(item, "expires", &expires) && sl_str_u64(expires, &seconds) < 0)
		seconds = default_seconds(r);
	*w = (struct wanted){.text.contact = sip_uri_of(item)};
	if (sip_hostport_of(w->text.contact).len == 0)
		return -SL_EPARSE;
	w->life_ms = clamp_life(r, seconds);
	w->text.instance = put_key(r, item);
	r->n++;
	return 0;
}

static int read_contacts(struct registration *r)
{
	struct sl_str rest = {r->m->raw.p, r->m->peek.head_len}, n, v, item;
	int rc = 0;

	while (rc == 0 && sip_header_next(&rest, &n, &v)) {
		if (sl_str_eq_nocase(n, SL_STR("Path")))
			sl_buf_printf(&r->path, "Route: %.*s\r\n", SL_FMT(v));
		if (!sip_header_is(n, "Contact"))
			continue;
		while (rc == 0 && sip_list_next(&v, &item))
			rc = add_contact(r, item);
	}
	if (r->star && (r->n > 0 || default_seconds(r) != 0))
		return -SL_EPARSE; /* "*" removes all, and stands alone */
	if (rc == 0 && (sl_buf_ok(&r->path) < 0 || sl_buf_ok(&r->keys) < 0))
		return -SL_EPARSE; /* longer than anything that could be sent there */
	return rc;
}

/* A delayed or repeated REGISTER of the same device changes nothing (section 10.3, step 7). */
static bool is_old(const struct registration *r, const struct binding *b)
{
	return sl_str_eq(b->call_id, r->m->peek.call_id) && b->cseq >= r->m->peek.cseq;
}

static int check_order(const struct registration *r)
{
	for (const struct binding *b = r->star ? r->user->bindings : NULL; b; b = b->next)
		if (is_old(r, b))
			return -SL_EEXIST;
	for (unsigned i = 0; i < r->n; i++) {
		const struct binding *b = binding_find(r->user, &r->contacts[i].text);

		if (b && is_old(r, b))
			return -SL_EEXIST;
	}
	return 0;
}

static bool is_named_again(const struct registration *r, unsigned i)
{
	for (unsigned k = i + 1; k < r->n; k++)
		if (binding_is_same(&r->contacts[i].text, &r->contacts[k].text))
			return true;
	return false;
}

/* What there would be more than there is; of a contact that is named twice the last word counts. */
static int check_room(const struct registration *r)
{
	int more = 0;

	for (unsigned i = 0; i < r->n; i++) {
		bool is_there = binding_find(r->user, &r->contacts[i].text) != NULL;

		if (!is_named_again(r, i))
			more += (r->contacts[i].life_ms > 0) - is_there;
	}
	if (more > 0 && !bindings_have_room(r->s, r->user, (unsigned)more))
		return -SL_ELIMIT;
	return 0;
}

static int make_all(struct registration *r)
{
	struct binding_opts o = {.flow = &r->m->flow, .cseq = r->m->peek.cseq};
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < r->n; i++) {
		struct wanted *w = &r->contacts[i];

		if (w->life_ms == 0)
			continue;
		o.life_ms = w->life_ms;
		o.text = w->text;
		o.text.call_id = r->m->peek.call_id;
		o.text.path = sl_buf_view(&r->path);
		o.text.agent = r->m->peek.user_agent;
		rc = binding_new(r->s, r->user, &o, &w->made);
	}
	return rc;
}

static void enter_all(struct registration *r)
{
	while (r->star && r->user->bindings)
		binding_free(r->user->bindings);
	for (unsigned i = 0; i < r->n; i++) {
		struct wanted *w = &r->contacts[i];

		if (w->made)
			binding_enter(w->made);
		else
			binding_free(binding_find(r->user, &w->text));
	}
}

/* All of it or nothing (section 10.3, step 7): first whatever can fail. */
static int apply(struct registration *r)
{
	int rc = check_order(r);

	if (rc == 0)
		rc = check_room(r);
	if (rc == 0)
		rc = make_all(r);
	if (rc == 0) {
		enter_all(r);
		return 0;
	}
	for (unsigned i = 0; i < r->n; i++)
		binding_drop(r->contacts[i].made);
	return rc;
}

static void put_bindings(const struct registration *r, struct sl_buf *b)
{
	bool gruu = message_supports(r->m, "gruu");
	uint64_t now = stack_now(r->s);

	for (const struct binding *x = r->user->bindings; x; x = x->next) {
		sl_buf_printf(b, "Contact: <%.*s>;expires=%llu", SL_FMT(x->contact),
			      (unsigned long long)((x->expires_ms - now + SECOND - 1) / SECOND));
		if (gruu)
			gruu_put(b, x);
		sl_buf_str(b, SL_STR("\r\n"));
	}
	for (struct sl_str rest = sl_buf_view(&r->path); rest.len > 0;) {
		struct sl_str line = sl_str_split(&rest, '\n'); /* "Route: ...\r" */

		sl_buf_printf(b, "Path%.*s\n", SL_FMT(((struct sl_str){line.p + 5, line.len - 5})));
	}
	if (r->n > 0 && r->contacts[0].text.instance.len > 0 && message_supports(r->m, "outbound"))
		sl_buf_str(b, SL_STR("Require: outbound\r\n"));
}

static unsigned status_of(int rc)
{
	switch (rc) {
	case 0:
		return 200;
	case -SL_EPARSE:
		return 400;
	case -SL_ELIMIT:
		return 403; /* this user has no more; the node's own bound is wide */
	default:
		return 500;
	}
}

static void answer(struct registration *r, struct strans *t)
{
	struct sl_buf headers;
	int rc = read_contacts(r);
	unsigned status;

	sl_buf_init(&headers, 32 * 1024);
	if (rc == 0 && r->too_brief) {
		status = 423;
		sl_buf_printf(&headers, "Min-Expires: %llu\r\n",
			      (unsigned long long)(r->s->conf->min_expires / SECOND));
	} else {
		status = status_of(rc < 0 ? rc : apply(r));
	}
	if (status == 200) {
		sl_count(&r->s->m[M_REGISTRATIONS]);
		put_bindings(r, &headers);
	}
	strans_reply(t, &(struct strans_reply){.status = status, .headers = sl_buf_view(&headers)});
	sl_buf_free(&headers);
}

void registrar_request(struct stack *s, const struct sip_msg *m)
{
	struct registration r = {.s = s, .m = m};
	struct auth_who who;
	struct strans *t;

	if (strans_new(s, m, &t) < 0 || auth_request(t, m, &who) != AUTH_OK)
		return;
	if (!sl_str_eq(m->peek.to_user, who.user->conf->name)) {
		strans_answer(t, 403); /* somebody else's address */
		return;
	}
	r.user = who.user;
	sl_buf_init(&r.path, 8192);
	sl_buf_init(&r.keys, 4096);
	/* Views into keys hold only as long as it does not move. */
	if (sl_buf_reserve(&r.keys, 4096))
		answer(&r, t);
	sl_buf_free(&r.path);
	sl_buf_free(&r.keys);
}
