/*
 * net/hooks.h: flat arrays of phase handlers, as the session layer builds them at start and the
 * lower layers run them.
 */
#ifndef NET_HOOKS_H
#define NET_HOOKS_H

#include <sluice/hook.h>

struct hook_call {
	union sl_hook_fn fn;
	void *ctx;
};

struct hook_chain {
	unsigned n;
	const struct hook_call *calls; /* n, in order */
};

/* Runs handlers until one does not say SL_OK or SL_DECLINED. SL_DECLINED when all declined or the
 * chain is empty, SL_OK when one said so. */
static inline int hook_run_dgram(const struct hook_chain *chain, struct sl_packet *p)
{
	int rc = SL_DECLINED;

	for (unsigned i = 0; i < chain->n; i++) {
		int r = chain->calls[i].fn.dgram(chain->calls[i].ctx, p);

		if (r != SL_OK && r != SL_DECLINED)
			return r;
		if (r == SL_OK)
			rc = SL_OK;
	}
	return rc;
}

/* From handler *at on; *at is left at the one that spoke last, which may resume behind itself. */
static inline int hook_run_conn_from(const struct hook_chain *chain, struct sl_conn *c,
				     unsigned *at)
{
	int rc = SL_DECLINED;

	for (; *at < chain->n; (*at)++) {
		int r = chain->calls[*at].fn.conn(chain->calls[*at].ctx, c);

		if (r != SL_OK && r != SL_DECLINED)
			return r;
		if (r == SL_OK)
			rc = SL_OK;
	}
	return rc;
}

static inline int hook_run_conn(const struct hook_chain *chain, struct sl_conn *c)
{
	unsigned at = 0;

	return hook_run_conn_from(chain, c, &at);
}

#endif
