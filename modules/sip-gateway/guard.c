/*
 * sip-gateway/guard.c: who is not worth an answer. An answer of any kind tells a scanner that there
 * is somebody, so what is refused here is dropped in silence, and counted.
 *
 * Three judgements, cheapest first: a source that guessed passwords is blocked for a while;
 * programs that scan mostly say their name; and a source may send only so many requests a second
 * before the stack has looked at one of them. What claims to belong to a dialog or a transaction
 * may be all of an office's calls, so there may be more of it, but not any number: a tag is
 * invented as fast as a Call-ID.
 */
#include "edge.h"

enum {
	N_SOURCES = 16384,
	SECONDS = 1000,
	FURTHER = 20, /* so many times what a source may begin, within dialogs and as responses */
};

int guard_open(struct edge *e)
{
	const struct sip_conf *c = e->conf;
	int rc = 0;

	if (c->rate > 0)
		rc = sl_rate_new((unsigned)c->rate, (unsigned)c->burst, N_SOURCES, &e->requests);
	if (rc == 0 && c->rate > 0)
		rc = sl_rate_new((unsigned)c->rate * FURTHER, (unsigned)c->burst * FURTHER,
				 N_SOURCES, &e->further);
	if (rc == 0 && c->auth_failures > 0) /* one a second is forgiven */
		rc = sl_rate_new(1, (unsigned)c->auth_failures, N_SOURCES, &e->failures);
	return rc;
}

void guard_close(struct edge *e)
{
	sl_rate_free(e->requests);
	sl_rate_free(e->further);
	sl_rate_free(e->failures);
}

/* A source is an address without port; of IPv6 its /64. */
static struct sl_addr source_of(const struct sl_addr *a)
{
	struct sl_addr s = *a;

	s.port = 0;
	s.scope = 0;
	if (s.family == 6)
		memset(s.ip + 8, 0, 8);
	return s;
}

void guard_know(struct edge *e, const struct sl_addr *trunk)
{
	const struct sl_addr source = source_of(trunk);

	e->known[sl_addr_hash(&source) % EDGE_KNOWN] = source;
}

bool guard_is_blocked(const struct edge *e, const struct sl_addr *remote)
{
	const struct sl_addr source = source_of(remote);
	const struct edge_block *b = &e->blocked[sl_addr_hash(&source) % EDGE_BLOCKED];

	return b->until_ms > sl_loop_ms(e->w->loop) && sl_addr_eq(&b->source, &source);
}

void guard_suspect(struct edge *e, const struct sl_addr *remote)
{
	const struct sl_addr source = source_of(remote);
	uint64_t now = sl_loop_ms(e->w->loop);
	char text[SL_ADDR_STRLEN];

	sl_count(&e->m[M_AUTH_FAILURES]);
	if (!e->failures || sl_rate_allow(e->failures, &source, now))
		return;
	if (guard_is_blocked(e, remote))
		return;
	e->blocked[sl_addr_hash(&source) % EDGE_BLOCKED] =
		(struct edge_block){source, now + e->conf->block_time};
	sl_count(&e->m[M_BLOCKED]);
	sl_log(SL_LOG_NOTICE, "sip-gateway",
	       "%s has failed to authenticate too often and gets no answer for %llu s",
	       sl_addr_format_ip(text, &source),
	       (unsigned long long)(e->conf->block_time / SECONDS));
}

static bool is_scanner(const struct edge *e, const struct sip_peek *m)
{
	return e->conf->scanners && m->user_agent.len > 0 &&
	       sl_regex_match(e->conf->scanners, m->user_agent);
}

/* Trunks send many requests from one address, and are known by it. */
static bool is_trunk(const struct edge *e, const struct sl_addr *remote)
{
	const struct sl_addr source = source_of(remote);

	if (sl_addr_eq(&e->known[sl_addr_hash(&source) % EDGE_KNOWN], &source))
		return true;
	for (size_t i = 0; i < e->conf->trunks.n; i++)
		if (trunk_conf_has(SL_LIST_AT(e->conf->trunks, struct trunk_conf, i), remote))
			return true;
	return false;
}

bool guard_allows(struct edge *e, const struct sip_flow *flow, const struct sip_peek *m)
{
	if (guard_is_blocked(e, &flow->remote) || is_scanner(e, m)) {
		sl_count(&e->m[M_SCANNERS]);
		return false;
	}
	if (!e->requests || is_trunk(e, &flow->remote))
		return true;
	if (sl_rate_allow(m->status || m->to_tag.len > 0 ? e->further : e->requests, &flow->remote,
			  sl_loop_ms(e->w->loop)))
		return true;
	sl_count(&e->m[M_RATE_LIMITED]);
	return false;
}
