/*
 * sip-gateway/call_route.c: where a call goes: the targets of its route, one after the other, all
 * contacts of a user at once.
 *
 * A target that cannot be tried leaves its status behind, and the next one follows; when there are
 * no more, the call ends with what says most.
 */
#include "account.h"
#include "call_impl.h"
#include "siprec.h"

#include <sluice/crypto.h>

static const uint8_t room_key[16]; /* places are no secret, and equal in all generations */

static void put_number(struct sl_buf *b, const struct call *c, const struct dial_target *t)
{
	sl_buf_str(b, sl_str_c(t->number[0] ? t->number : c->called));
}

static struct party *new_callee(struct call *c, const char *name, const char *headers)
{
	struct party *p = party_new(c, PARTY_SIP);

	if (!p)
		return NULL;
	(void)sl_str_copy(p->name, sizeof p->name, sl_str_c(name));
	if (headers)
		(void)keep_text(&p->headers, sl_str_c(headers));
	else if (c->plan_header)
		(void)keep_text(&p->headers, sl_str_c(c->plan_header));
	return p;
}

static bool is_webrtc_transport(unsigned transport)
{
	return transport == SIP_WS || transport == SIP_WSS;
}

static int call_binding(struct call *c, struct user *u, const struct binding *b,
			const char *headers)
{
	struct party *p = new_callee(c, u->conf->name.p, headers);
	struct sl_buf to;

	if (!p)
		return -SL_ENOMEM;
	p->user = u;
	party_reach(p, &b->flow);
	p->profile = (enum sip_profile)u->conf->profile;
	if (p->profile == SIP_PROFILE_AUTO && is_webrtc_transport(b->flow.transport))
		p->profile = SIP_PROFILE_WEBRTC;
	(void)keep_text(&p->routes, b->path);
	party_charge(p);
	sl_buf_init(&to, 1024);
	sl_buf_printf(&to, "<sip:%.*s@%.*s>", SL_FMT(u->conf->name), SL_FMT(c->stack->conf->realm));
	party_sip_call(p, b->contact, sl_buf_view(&to));
	sl_buf_free(&to);
	return 0;
}

static int call_user(struct call *c, const struct dial_target *t, const char *headers)
{
	struct user *u = stack_user(c->stack, sl_str_c(t->name));
	unsigned n = t->device[0] ? 0 : browsers_call(c, sl_str_c(t->name));

	if (!u)
		return n > 0 ? 0 : -SL_ENOENT;
	if (u->conf->max_calls && u->n_calls >= u->conf->max_calls) {
		c->best_status = 486;
		return n > 0 ? 0 : -SL_ELIMIT;
	}
	for (const struct binding *b = u->bindings; b; b = b->next)
		if (!binding_is_spare(b) && gruu_is(b, t->device)) /* or one device rings twice */
			n += call_binding(c, u, b, headers) == 0;
	if (n == 0 && c->best_status == 0)
		c->best_status = 480;
	return n > 0 ? 0 : -SL_ENOENT;
}

static int call_trunk(struct call *c, const struct dial_target *t, const char *headers)
{
	struct trunk *trunk = trunk_by_name(c->stack, sl_str_c(t->name));
	struct sl_buf uri, number;
	struct party *p;

	if (!trunk || !trunk_is_usable(trunk) || trunk_is_full(trunk)) {
		c->best_status = 503;
		return -SL_ENOENT;
	}
	p = new_callee(c, t->number[0] ? t->number : c->called, headers);
	if (!p)
		return -SL_ENOMEM;
	p->trunk = trunk;
	p->account = account_ref(account_for(c, trunk));
	party_reach(p, &trunk->flow);
	p->profile = (enum sip_profile)trunk->conf->profile;
	party_charge(p);
	sl_buf_init(&uri, 2048);
	sl_buf_init(&number, 1024);
	put_number(&number, c, t);
	sl_buf_u8(&uri, '<');
	trunk_put_uri(trunk, &uri, sl_buf_view(&number));
	sl_buf_u8(&uri, '>');
	party_sip_call(p, (struct sl_str){(char *)uri.p + 1, uri.len - 2}, sl_buf_view(&uri));
	sl_buf_free(&uri);
	sl_buf_free(&number);
	return 0;
}

int call_add_target(struct call *c, const struct dial_target *t, const char *headers)
{
	switch (t->kind) {
	case DIAL_USER:
		return call_user(c, t, headers);
	case DIAL_TRUNK:
		return call_trunk(c, t, headers);
	case DIAL_CONTACT:
		return browser_call_contact(c, sl_str_c(t->name));
	default:
		return -SL_EUNSUPP;
	}
}

static int answer_builtin(struct call *c)
{
	c->builtin = true;
	c->answered = true;
	if (c->answered_ms == 0) {
		c->answered_ms = stack_now(c->stack);
		sl_count(&c->stack->m[M_CALLS_ANSWERED]);
	}
	if (!siprec_comes_first(c))
		call_answer_caller(c);
	return 0;
}

static int announce(struct call *c)
{
	bool early = c->plan.route && c->plan.route->early_media && c->a->offer;

	c->announcing = true;
	if (!early || c->a->state == PARTY_UP)
		return answer_builtin(c);
	c->builtin = true;
	if (c->a->has_media) /* after another announcement */
		call_join(c);
	else
		party_early(c->a);
	return 0;
}

static int try_target(struct call *c, const struct dial_target *t)
{
	switch (t->kind) {
	case DIAL_REJECT:
		c->best_status = t->status;
		return -SL_ENOENT;
	case DIAL_ANNOUNCEMENT:
		return announce(c);
	case DIAL_ECHO:
	case DIAL_MUSIC:
	case DIAL_ROOM:
		return answer_builtin(c);
	default:
		return call_add_target(c, t, NULL);
	}
}

static unsigned end_status(const struct call *c)
{
	if (c->best_status)
		return c->best_status;
	return c->a && c->a->state == PARTY_UP ? 200 : 480;
}

void call_proceed(struct call *c)
{
	while (c->next_target < c->plan.n_targets && !c->over)
		if (try_target(c, &c->plan.targets[c->next_target++]) == 0)
			return;
	if (!c->over)
		call_end(c, "node", end_status(c));
}

void call_announced(struct call *c, const struct party *p)
{
	if (!c->announcing || p != c->a || c->over)
		return;
	c->announcing = c->builtin = c->joined = c->answered = false;
	call_arm(c, &c->ring, c->stack->conf->ring_timeout);
	call_proceed(c);
}

void call_place(struct call *c, uint32_t preferred)
{
	const struct stack_io *io = c->stack->io;
	struct sl_str room;

	for (unsigned i = 0; i < c->plan.n_targets; i++) {
		if (c->plan.targets[i].kind != DIAL_ROOM)
			continue;
		room = sl_str_c(c->plan.targets[i].name);
		preferred = io->worker_for(io->arg, sl_siphash13(room_key, room.p, room.len));
		break;
	}
	c->worker = io->worker(io->arg, preferred);
}

static void put_passed(struct sl_buf *b, const struct route_conf *r, struct sl_str head)
{
	struct sl_str rest = head, n, v;

	while (head.len > 0 && sip_header_next(&rest, &n, &v))
		for (size_t i = 0; i < r->pass.n; i++)
			if (sl_str_eq_nocase(n, *SL_LIST_AT(r->pass, struct sl_str, i)))
				sl_buf_printf(b, "%.*s: %.*s\r\n", SL_FMT(n), SL_FMT(v));
}

static void keep_headers(struct call *c, struct sl_str head)
{
	const struct route_conf *r = c->plan.route;
	struct sl_buf b;

	if (!r || r->headers.n + r->pass.n == 0)
		return;
	sl_buf_init(&b, 16 * 1024);
	for (size_t i = 0; i < r->headers.n; i++)
		sl_buf_printf(&b, "%.*s\r\n", SL_FMT(*SL_LIST_AT(r->headers, struct sl_str, i)));
	put_passed(&b, r, head);
	if (sl_buf_ok(&b) == 0)
		(void)keep_text(&c->plan_header, sl_buf_view(&b));
	sl_buf_free(&b);
}

int call_route(struct call *c, const struct dial_call *dial)
{
	int rc;

	(void)sl_str_copy(c->called, sizeof c->called, dial->called);
	rc = dialplan_route(c->stack->conf, dial, &c->plan);
	if (rc == 0) {
		keep_headers(c, dial->head);
		dial_share(&c->plan);
	}
	return rc;
}

void call_begin(struct call *c, struct party *caller)
{
	c->a = caller;
	call_show(c);
	call_arm(c, &c->ring, c->stack->conf->ring_timeout);
	call_proceed(c);
}
