/*
 * sip-gateway/redirect.c: a callee that says where else to look (3xx; RFC 3261 section 8.1.3.4).
 *
 * Whoever redirects decides what this node dials, and who pays for it. So a contact is read as a
 * number, dialled with the rights of the one who gave it: a user's by the routes of users, a
 * trunk's at that trunk, or, where the contact names this node, by the routes of calls from the
 * trunk. Other hosts are not called. A call follows a few in all, and none twice.
 *
 * Several contacts are called one after the other, the best first. A contact that redirects in its
 * turn has failed only when its own contacts have; then the next one follows.
 */
#include "call.h"

#include <stdlib.h>
#include <string.h>

enum { Q_MAX = 1000 };

/* Where a party has pointed to, best first; from .next on they wait. */
struct redirect {
	unsigned n, next;
	struct contact {
		unsigned q;
		bool at_trunk; /* else by the routes */
		char number[64];
	} contacts[SIP_MAX_REDIRECTS];
};

/* "0.75" in thousandths; without one, a contact is as good as can be. */
static unsigned q_of(struct sl_str contact)
{
	struct sl_str v;
	unsigned q = 0, unit = 100;

	if (!sip_param(contact, "q", &v) || v.len < 2 || v.p[0] != '0')
		return Q_MAX;
	for (size_t i = 2; i < v.len && unit > 0; i++, unit /= 10)
		if (v.p[i] >= '0' && v.p[i] <= '9')
			q += (unsigned)(v.p[i] - '0') * unit;
	return q;
}

static struct sl_str host_of(struct sl_str uri)
{
	struct sl_str host = sip_hostport_of(uri);

	if (host.len > 0 && host.p[0] == '[') {
		(void)sl_str_split(&host, '[');
		return sl_str_split(&host, ']');
	}
	return sl_str_split(&host, ':');
}

static bool is_here(const struct party *p, struct sl_str host)
{
	struct sl_addr a;

	if (sl_str_eq_nocase(host, p->call->stack->conf->realm))
		return true;
	return sl_addr_parse(&a, host) == 0 && sl_addr_same_ip(&a, &p->flow.local);
}

static bool is_at(const struct trunk *t, struct sl_str host)
{
	struct sl_addr a;

	if (sl_addr_parse(&a, host) == 0 && hops_has(t, &a))
		return true;
	return sl_str_eq_nocase(host, t->conf->domain) ||
	       sl_str_eq_nocase(host, trunk_conf_host(t->conf));
}

/* Equal ones stay in the order in which they came; what has no room is the worst. */
static void put_by_q(struct redirect *r, const struct contact *one)
{
	unsigned at = r->n, n_after;

	while (at > 0 && r->contacts[at - 1].q < one->q)
		at--;
	if (at == SL_ARRAY_LEN(r->contacts))
		return;
	if (r->n < SL_ARRAY_LEN(r->contacts))
		r->n++;
	n_after = r->n - 1 - at;
	memmove(&r->contacts[at + 1], &r->contacts[at], n_after * sizeof r->contacts[0]);
	r->contacts[at] = *one;
}

static void take_contact(struct redirect *r, const struct party *p, struct sl_str item)
{
	struct contact one = {.q = q_of(item)};
	struct sl_str uri = sip_uri_of(item), host = host_of(uri), number = sip_user_of(uri);

	one.at_trunk = p->trunk && is_at(p->trunk, host);
	if (number.len > 0 && number.len < sizeof one.number &&
	    (one.at_trunk || is_here(p, host))) {
		(void)sl_str_copy(one.number, sizeof one.number, number);
		put_by_q(r, &one);
		return;
	}
	sl_log(SL_LOG_INFO, "sip-gateway", "%s redirects to %.*s, which is not followed", p->name,
	       SL_FMT(uri));
}

/* Each number once: two phones that forward to each other would ring for ever. */
static bool may_follow(struct call *c, struct sl_str number)
{
	if (c->n_redirected >= c->stack->conf->max_redirects)
		return false;
	for (unsigned i = 0; i < c->n_redirected; i++)
		if (sl_str_eq(sl_str_c(c->redirected[i]), number))
			return false;
	(void)sl_str_copy(c->redirected[c->n_redirected++], sizeof c->redirected[0], number);
	return true;
}

static int add_by_routes(struct party *p, struct sl_str number, const char *headers)
{
	const struct dial_call dial = {
		.called = number,
		.caller = p->user ? p->user->conf->name : sl_str_c(p->name),
		.source = p->user ? DIAL_FROM_USER : DIAL_FROM_TRUNK,
		.trunk = p->trunk ? p->trunk->conf->name : SL_STR_NULL,
	};
	struct dial_result r;
	int rc = dialplan_route(p->call->stack->conf, &dial, &r);

	for (unsigned i = 0; rc == 0 && i < r.n_targets; i++)
		if (call_add_target(p->call, &r.targets[i], headers) == 0)
			return 0;
	return rc < 0 ? rc : -SL_ENOENT;
}

static int add_at_trunk(struct party *p, struct sl_str number, const char *headers)
{
	struct dial_target t = {.kind = DIAL_TRUNK};

	(void)sl_str_copy(t.name, sizeof t.name, p->trunk->conf->name);
	(void)sl_str_copy(t.number, sizeof t.number, number);
	return call_add_target(p->call, &t, headers);
}

/* Who forwards is told to who is called (RFC 5806). */
static void put_headers(struct sl_buf *b, const struct party *p)
{
	const struct call *c = p->call;

	if (c->plan_header)
		sl_buf_str(b, sl_str_c(c->plan_header));
	sl_buf_printf(b, "Diversion: <sip:%s@%.*s>;reason=unconditional;counter=%u\r\n", p->name,
		      SL_FMT(c->stack->conf->realm), c->n_redirected);
	sl_buf_u8(b, 0);
}

static bool follow(struct party *p, const struct contact *one)
{
	struct party *before = p->call->pointing;
	struct sl_str number = sl_str_c(one->number);
	struct sl_buf headers;
	int rc;

	if (!may_follow(p->call, number))
		return false;
	sl_buf_init(&headers, 8192);
	put_headers(&headers, p);
	rc = sl_buf_ok(&headers);
	p->call->pointing = p;
	if (rc == 0)
		rc = one->at_trunk ? add_at_trunk(p, number, (char *)headers.p)
				   : add_by_routes(p, number, (char *)headers.p);
	p->call->pointing = before;
	sl_buf_free(&headers);
	if (rc < 0)
		sl_log(SL_LOG_INFO, "sip-gateway", "%s redirects to %s, where nobody is", p->name,
		       one->number);
	return rc == 0;
}

static bool follow_next(struct party *p)
{
	struct redirect *r = p->redirect;

	while (r && r->next < r->n)
		if (follow(p, &r->contacts[r->next++]))
			return true;
	return false;
}

static bool is_for(const struct party *p, const struct party *by)
{
	while (p && p != by)
		p = p->pointed_by;
	return p == by;
}

/* A contact may be a user with several phones, each of which may point elsewhere. */
static bool is_still_called(const struct party *by)
{
	for (const struct party *p = by->call->parties; p; p = p->next)
		if (party_is_tried(p) && is_for(p, by))
			return true;
	return false;
}

void redirect_take(struct party *p, const struct sip_msg *m)
{
	struct sl_str rest = {m->raw.p, m->peek.head_len}, n, v, item;

	if (p->caller || p->state == PARTY_UP || p->redirect ||
	    (p->trunk && !p->trunk->conf->redirects))
		return;
	p->redirect = calloc(1, sizeof *p->redirect);
	while (p->redirect && sip_header_next(&rest, &n, &v))
		while (sip_header_is(n, "Contact") && sip_list_next(&v, &item))
			take_contact(p->redirect, p, item);
}

bool redirect_next(struct party *p)
{
	for (struct party *by = p; by; by = by->pointed_by) {
		if (is_still_called(by) || follow_next(by))
			return true;
	}
	return false;
}
