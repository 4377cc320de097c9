/*
 * sip-gateway/locate.c: NAPTR says which transports there are, SRV which hosts and ports, A and
 * AAAA which addresses; each step that has no answer falls back to the next (RFC 3263 section 4.1
 * and 4.2).
 *
 * Without a transport that is wished for, and without NAPTR, SRV records say which there are: UDP,
 * TCP, and last TLS, so that a domain that offers nothing else is found, and no call of one that
 * does waits for a certificate. NAPTR puts TLS where the domain wants it, which is first as a rule.
 */
#include "locate.h"

#include <sluice/crypto.h>

#include <stdio.h>

enum { PORT = 5060, TLS_PORT = 5061, DEFAULT_TTL_S = 60 };

static uint16_t default_port(unsigned transport)
{
	return transport == SIP_TLS ? TLS_PORT : PORT;
}

/* A name is passed on as a C string: one that is none asks nothing. */
static bool keep_name(char dst[LOCATE_NAME], struct sl_str name)
{
	return name.len > 0 && !memchr(name.p, 0, name.len) &&
	       sl_str_copy(dst, LOCATE_NAME, name) < LOCATE_NAME;
}

int locate_read(struct locate_want *ret_want, struct sl_str server)
{
	struct locate_want w = {.transport = -1};
	struct sl_str host = server, rest;
	struct sl_addr a;
	uint64_t port = 0;

	if (sl_addr_parse(&a, server) == 0) {
		w.port = a.port;
		(void)sl_addr_format_ip(w.host, &a);
		*ret_want = w;
		return 0;
	}
	rest = server;
	host = sl_str_split(&rest, ':');
	if (rest.len > 0 && (sl_str_u64(rest, &port) < 0 || port == 0 || port > UINT16_MAX))
		return -SL_EPARSE;
	if (!keep_name(w.host, host))
		return -SL_EPARSE;
	w.port = (uint16_t)port;
	*ret_want = w;
	return 0;
}

/* ---- what is asked next */

static void add_hop(struct locate *l, unsigned transport, const struct sl_addr *addr, uint16_t port)
{
	struct sip_hop *h = &l->hops.hop[l->hops.n];

	if (l->hops.n == LOCATE_MAX_HOPS)
		return;
	*h = (struct sip_hop){.transport = (uint8_t)transport, .addr = *addr};
	h->addr.port = port;
	for (unsigned i = 0; i < l->hops.n; i++)
		if (l->hops.hop[i].transport == h->transport &&
		    sl_addr_eq(&l->hops.hop[i].addr, &h->addr))
			return; /* two names of one server */
	l->hops.n++;
}

static unsigned plain_transport(const struct locate_want *w)
{
	if (w->secure)
		return SIP_TLS;
	return w->transport < 0 ? SIP_UDP : (unsigned)w->transport;
}

static void add_target(struct locate *l, unsigned transport, struct sl_str host, uint16_t port)
{
	struct locate_target *t = &l->targets[l->n_targets];

	if (l->n_targets == LOCATE_MAX_HOPS)
		return;
	*t = (struct locate_target){.transport = (uint8_t)transport, .port = port};
	if (keep_name(t->host, host))
		l->n_targets++;
}

static void add_set(struct locate *l, unsigned transport, struct sl_str name)
{
	struct locate_set *s = &l->sets[l->n_sets];

	if (l->n_sets == SL_ARRAY_LEN(l->sets))
		return;
	s->transport = (uint8_t)transport;
	if (keep_name(s->name, name))
		l->n_sets++;
}

static void add_default_set(struct locate *l, unsigned transport)
{
	static const char *const prefixes[] = {"_sip._udp.", "_sip._tcp.", "_sips._tcp."};
	char name[LOCATE_NAME + 16];

	(void)snprintf(name, sizeof name, "%s%s", prefixes[transport], l->want.host);
	add_set(l, transport, sl_str_c(name));
}

/* Which of our questions is open now */
static void look_further(struct locate *l)
{
	if (l->n_asked >= LOCATE_MAX_QUESTIONS || l->hops.n == LOCATE_MAX_HOPS) {
		l->asks = LOCATE_DONE;
		return;
	}
	if (l->target < l->n_targets) {
		l->asks = LOCATE_ADDRESSES;
	} else if (l->set < l->n_sets) {
		l->asks = LOCATE_SRV;
	} else if (l->n_sets > 0 && !l->srv_found && l->n_targets == 0) {
		unsigned transport = plain_transport(&l->want);

		add_target(l, transport, sl_str_c(l->want.host), default_port(transport));
		l->asks = LOCATE_ADDRESSES;
	} else {
		l->asks = LOCATE_DONE;
	}
}

void locate_begin(struct locate *l, const struct locate_want *want)
{
	struct sl_addr literal;
	unsigned transport = plain_transport(want);
	uint16_t port = want->port ? want->port : default_port(transport);

	*l = (struct locate){.want = *want};
	if (sl_addr_parse(&literal, sl_str_c(want->host)) == 0) {
		add_hop(l, transport, &literal, port);
		return;
	}
	if (want->port) {
		add_target(l, transport, sl_str_c(want->host), port);
	} else if (want->transport < 0) {
		l->asks = LOCATE_NAPTR;
		return;
	} else {
		add_default_set(l, transport);
	}
	look_further(l);
}

enum locate_question locate_next(const struct locate *l, const char **ret_name)
{
	switch (l->asks) {
	case LOCATE_NAPTR:
		*ret_name = l->want.host;
		break;
	case LOCATE_SRV:
		*ret_name = l->sets[l->set].name;
		break;
	case LOCATE_ADDRESSES:
		*ret_name = l->targets[l->target].host;
		break;
	case LOCATE_DONE:
		break;
	}
	return l->asks;
}

/* ---- answers */

static int transport_of(struct sl_str service, bool secure)
{
	if (sl_str_eq_nocase(service, SL_STR("SIPS+D2T")))
		return SIP_TLS;
	if (secure)
		return -1;
	if (sl_str_eq_nocase(service, SL_STR("SIP+D2U")))
		return SIP_UDP;
	return sl_str_eq_nocase(service, SL_STR("SIP+D2T")) ? SIP_TCP : -1;
}

static bool comes_before(const struct locate_naptr *a, const struct locate_naptr *b)
{
	return a->order < b->order || (a->order == b->order && a->preference < b->preference);
}

/* The next one behind `last` in their order; NULL: none */
static const struct locate_naptr *naptr_behind(const struct locate_naptr *records, unsigned n,
					       const struct locate_naptr *last)
{
	const struct locate_naptr *best = NULL;

	for (unsigned i = 0; i < n; i++) {
		const struct locate_naptr *r = &records[i];
		bool behind =
			!last || comes_before(last, r) || (r > last && !comes_before(r, last));

		if (behind && (!best || comes_before(r, best)))
			best = r;
	}
	return best;
}

void locate_naptr(struct locate *l, const struct locate_naptr *records, unsigned n)
{
	const struct locate_naptr *r = NULL;

	l->n_asked++;
	while ((r = naptr_behind(records, n, r))) {
		int transport = transport_of(r->service, l->want.secure);

		if (transport >= 0 && sl_str_eq_nocase(r->flags, SL_STR("s")))
			add_set(l, (unsigned)transport, r->replacement);
	}
	if (l->n_sets == 0 && !l->want.secure) {
		add_default_set(l, SIP_UDP);
		add_default_set(l, SIP_TCP);
		add_default_set(l, SIP_TLS);
	}
	if (l->n_sets == 0)
		add_default_set(l, SIP_TLS);
	look_further(l);
}

static unsigned random_below(unsigned n)
{
	uint32_t r = 0;

	if (sl_random(&r, sizeof r) < 0)
		return 0; /* then the first has it */
	return r % n;
}

/* RFC 2782: among those of one priority, each is next as often as its weight says; those without
 * one stand in front, and have their turn now and then. */
static unsigned pick(const struct locate_target *t, unsigned n)
{
	unsigned sum = 0, at;

	for (unsigned i = 0; i < n; i++)
		sum += t[i].weight;
	at = random_below(sum + 1);
	for (unsigned i = 0; i < n; i++) {
		if (at <= t[i].weight && (t[i].weight > 0 || at == 0))
			return i;
		at -= t[i].weight;
	}
	return 0;
}

static bool is_before(const struct locate_target *a, const struct locate_target *b)
{
	if (a->priority != b->priority)
		return a->priority < b->priority;
	return a->weight == 0 && b->weight > 0;
}

static void sort_by_priority(struct locate_target *t, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		for (unsigned j = i; j > 0 && is_before(&t[j], &t[j - 1]); j--) {
			struct locate_target x = t[j];

			t[j] = t[j - 1];
			t[j - 1] = x;
		}
	}
}

static void order(struct locate_target *t, unsigned n)
{
	sort_by_priority(t, n);
	for (unsigned i = 0; i < n; i++) {
		unsigned same = 1, chosen;
		struct locate_target x;

		while (i + same < n && t[i + same].priority == t[i].priority)
			same++;
		chosen = i + pick(&t[i], same);
		x = t[i];
		t[i] = t[chosen];
		t[chosen] = x;
	}
}

/* A target of "." says that the service is not there. */
static bool is_nobody(struct sl_str target)
{
	return target.len == 0 || sl_str_eq(target, SL_STR("."));
}

void locate_srv(struct locate *l, const struct locate_srv *records, unsigned n)
{
	const struct locate_set *s = &l->sets[l->set];
	unsigned first = l->n_targets;

	l->n_asked++;
	l->set++;
	for (unsigned i = 0; i < n; i++) {
		unsigned before = l->n_targets;

		l->srv_found = true;
		if (is_nobody(records[i].target))
			continue;
		add_target(l, s->transport, records[i].target, records[i].port);
		if (l->n_targets > before) {
			l->targets[before].priority = records[i].priority;
			l->targets[before].weight = records[i].weight;
		}
	}
	order(&l->targets[first], l->n_targets - first);
	look_further(l);
}

void locate_addresses(struct locate *l, const struct sl_addr *addrs, unsigned n, uint32_t ttl_s)
{
	const struct locate_target *t = &l->targets[l->target++];

	l->n_asked++;
	for (unsigned i = 0; i < n; i++)
		add_hop(l, t->transport, &addrs[i], t->port);
	if (ttl_s == 0)
		ttl_s = DEFAULT_TTL_S;
	if (l->hops.ttl_s == 0 || ttl_s < l->hops.ttl_s)
		l->hops.ttl_s = ttl_s;
	look_further(l);
}
