/*
 * sip-gateway/redirect.c: a callee that says where else to look (3xx; RFC 3261 section 8.1.3.4).
 *
 * Whoever redirects decides what this node dials, and who pays for it. So a contact is read as a
 * number, dialled with the rights of the one who gave it: a user's by the routes of users, a
 * trunk's at that trunk, or, where the contact names this node, by the routes of calls from the
 * trunk. Other hosts are not called. A call follows a few in all, and none twice.
 */
#include "call.h"

#include <stdio.h>

enum { Q_MAX = 1000 };

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

static struct sl_str best_contact(const struct sip_msg *m)
{
	struct sl_str rest = {m->raw.p, m->peek.head_len}, n, v, item, best = SL_STR_NULL;
	unsigned best_q = 0;

	while (sip_header_next(&rest, &n, &v)) {
		if (!sip_header_is(n, "Contact"))
			continue;
		while (sip_list_next(&v, &item)) {
			if (best.len > 0 && q_of(item) <= best_q)
				continue;
			best = sip_uri_of(item);
			best_q = q_of(item);
		}
	}
	return best;
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

/* Each number once: two phones that forward to each other would ring for ever. */
static bool may_follow(struct call *c, struct sl_str number)
{
	if (number.len == 0 || number.len >= sizeof c->redirected[0] ||
	    c->n_redirected >= c->stack->conf->max_redirects)
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

bool redirect_follow(struct party *p, const struct sip_msg *m)
{
	struct sl_str contact = best_contact(m), host = host_of(contact);
	struct sl_str number = sip_user_of(contact);
	struct sl_buf headers;
	int rc = -SL_EDENIED;

	if (p->caller || p->call->over || p->state == PARTY_UP || p->state == PARTY_ENDED ||
	    (p->trunk && !p->trunk->conf->redirects) || !may_follow(p->call, number))
		return false;
	sl_buf_init(&headers, 8192);
	put_headers(&headers, p);
	if (sl_buf_ok(&headers) == 0) {
		if (p->trunk && is_at(p->trunk, host))
			rc = add_at_trunk(p, number, (char *)headers.p);
		else if (is_here(p, host))
			rc = add_by_routes(p, number, (char *)headers.p);
	}
	sl_buf_free(&headers);
	if (rc < 0)
		sl_log(SL_LOG_INFO, "sip-gateway", "%s redirects to %.*s, which is not followed",
		       p->name, SL_FMT(contact));
	return rc == 0;
}
