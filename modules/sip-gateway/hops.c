/*
 * sip-gateway/hops.c: the servers of a trunk, and which of them is used (RFC 3263 section 4.3).
 *
 * They are tried in the order that DNS gives. One that fails is shunned for a while; calls go to
 * the next, and back when a probe says that an earlier one answers again. What DNS says is asked
 * anew when its time is over.
 */
#include "stack.h"

#include <stdio.h>

enum { SHUN_MS = 60 * 1000, MIN_TTL_S = 30, MAX_TTL_S = 3600, AGAIN_MS = 5000 };

struct sip_flow hops_flow(const struct trunk *t, unsigned hop)
{
	const struct sip_hop *h = &t->hops.hop[hop];
	const struct stack_io *io = t->stack->io;
	struct sip_flow f = {
		.transport = h->transport,
		.remote = h->addr,
		.peer = wire_peer(t->conf->name),
		.tcp_when_large = stack_now(t->stack) >= t->no_tcp_until_ms,
	};

	if (io->local(io->arg, h->transport, &h->addr, &f.local) < 0)
		f.local = (struct sl_addr){.family = h->addr.family};
	return f;
}

unsigned hops_best(const struct trunk *t)
{
	uint64_t now = stack_now(t->stack);
	unsigned best = 0;

	for (unsigned i = 0; i < t->hops.n; i++) {
		if (t->shunned_until_ms[i] <= now)
			return i;
		if (t->shunned_until_ms[i] < t->shunned_until_ms[best])
			best = i;
	}
	return best;
}

bool hops_is_hopeful(const struct trunk *t)
{
	uint64_t now = stack_now(t->stack);

	for (unsigned i = 0; i < t->hops.n; i++)
		if (t->shunned_until_ms[i] <= now)
			return true;
	return false;
}

void hops_use(struct trunk *t, unsigned hop)
{
	char text[SL_ADDR_STRLEN];

	if (hop != t->hop && t->hops.n > 1)
		sl_log(SL_LOG_NOTICE, "sip-gateway", "trunk %.*s: calls go to %s",
		       SL_FMT(t->conf->name), sl_addr_format(text, &t->hops.hop[hop].addr));
	t->hop = hop;
	t->flow = hops_flow(t, hop);
}

static int find_hop(const struct trunk *t, const struct sl_addr *remote)
{
	for (unsigned i = 0; i < t->hops.n; i++)
		if (sl_addr_eq(&t->hops.hop[i].addr, remote))
			return (int)i;
	return -1;
}

void hops_shun(struct trunk *t, const struct sl_addr *remote)
{
	int i = find_hop(t, remote);

	if (i < 0)
		return;
	t->shunned_until_ms[i] = stack_now(t->stack) + SHUN_MS;
	if ((unsigned)i == t->hop && t->hops.n > 1)
		hops_use(t, hops_best(t));
}

bool hops_has(const struct trunk *t, const struct sl_addr *remote)
{
	for (unsigned i = 0; i < t->hops.n; i++)
		if (sl_addr_same_ip(&t->hops.hop[i].addr, remote))
			return true;
	return false;
}

/* ---- what DNS says */

/* Where no datagram can leave for, there is no way. */
static bool is_reachable(const struct trunk *t, const struct sip_hop *h)
{
	const struct stack_io *io = t->stack->io;
	struct sl_addr local;

	return h->transport != SIP_UDP || io->local(io->arg, SIP_UDP, &h->addr, &local) == 0;
}

static void take_hops(struct trunk *t, const struct sip_hops *hops)
{
	const struct sl_addr used = t->hops.n ? t->hops.hop[t->hop].addr : (struct sl_addr){0};
	int again;

	t->hops = (struct sip_hops){.ttl_s = hops->ttl_s};
	for (unsigned i = 0; i < hops->n; i++)
		if (is_reachable(t, &hops->hop[i]))
			t->hops.hop[t->hops.n++] = hops->hop[i];
	memset(t->shunned_until_ms, 0, sizeof t->shunned_until_ms);
	again = find_hop(t, &used);
	t->hop = again >= 0 ? (unsigned)again : 0;
	if (t->hops.n > 0)
		t->flow = hops_flow(t, t->hop);
}

static uint64_t life_ms(const struct sip_hops *hops)
{
	uint32_t s = hops->ttl_s;

	if (s < MIN_TTL_S)
		s = MIN_TTL_S;
	return (s > MAX_TTL_S ? MAX_TTL_S : s) * UINT64_C(1000);
}

static void on_found(void *arg, const struct sip_hops *hops)
{
	struct trunk *t = arg;
	struct sip_hops before = t->hops;

	t->finding = false;
	take_hops(t, hops);
	if (t->hops.n == 0 && before.n > 0) { /* DNS is away: what it said last may still do */
		t->hops = before;
		t->hop = t->hop < before.n ? t->hop : 0;
	}
	if (hops->n == 0 || hops->ttl_s > 0)
		if (alarm_set(&t->stack->alarms, &t->find, hops->n ? life_ms(hops) : AGAIN_MS) < 0)
			sl_log(SL_LOG_ERROR, "sip-gateway", "out of memory for a timer");
	if (t->hops.n > 0)
		trunk_found(t);
}

void hops_find(struct trunk *t)
{
	static const int transports[] = {-1, SIP_UDP, SIP_TCP, SIP_TLS};
	const struct stack_io *io = t->stack->io;
	struct locate_want want;

	if (t->finding || locate_read(&want, t->conf->server) < 0)
		return; /* the configuration was checked */
	want.transport = transports[t->conf->transport];
	want.secure = want.transport == SIP_TLS;
	t->finding = true;
	io->resolve(io->arg, &want, on_found, t);
}
