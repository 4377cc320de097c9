/*
 * session/hook.c: turns the modules' hook tables into flat arrays, one per phase and scope.
 *
 * A module's handler is in a listener's chain when the module is active there (it has a
 * listen-scope or a main conf). Sorted by priority, then by the order of `modules:`. Built once per
 * process; nothing is looked up while packets flow.
 */
#include "session/registry.h"

struct wanted {
	const struct registry *registry;
	const struct sl_listener *listener; /* NULL: main scope */
};

const char *sl_phase_name(unsigned phase)
{
	static const char *const names[] = {
#define X(name, family) #name,
		SL_PHASES(X)
#undef X
	};

	return phase < SL_ARRAY_LEN(names) ? names[phase] : "?";
}

/* A module that is active on some listener takes part in the phases that belong to none. */
static bool active(const struct wanted *want, unsigned module)
{
	return want->registry->modules[module].started &&
	       (!want->listener || want->listener->confs[module]);
}

static unsigned count(const struct wanted *want, unsigned phase)
{
	unsigned n = 0;

	for (unsigned i = 0; i < want->registry->n_modules; i++)
		for (const struct sl_hook *h = want->registry->modules[i].def.hooks;
		     h && h->phase != SL_N_PHASES; h++)
			n += h->phase == phase && active(want, i);
	return n;
}

/* Inserts behind all of the same or a smaller priority, which keeps the order of modules. */
static void insert(struct hook_call *calls, int16_t *priorities, unsigned n,
		   const struct sl_hook *h, void *ctx)
{
	unsigned at = n;

	while (at > 0 && priorities[at - 1] > h->priority) {
		calls[at] = calls[at - 1];
		priorities[at] = priorities[at - 1];
		at--;
	}
	calls[at].fn = h->fn;
	calls[at].ctx = ctx;
	priorities[at] = h->priority;
}

static int build(const struct wanted *want, unsigned phase, struct hook_chain *ret_chain)
{
	const struct registry *r = want->registry;
	unsigned n = count(want, phase), at = 0;
	struct hook_call *calls = sl_pool_array(r->pool, n + 1, sizeof *calls);
	int16_t *priorities = sl_pool_array(r->pool, n + 1, sizeof *priorities);

	if (!calls || !priorities)
		return -SL_ENOMEM;
	for (unsigned i = 0; i < r->n_modules; i++)
		for (const struct sl_hook *h = r->modules[i].def.hooks;
		     h && h->phase != SL_N_PHASES; h++)
			if (h->phase == phase && active(want, i))
				insert(calls, priorities, at++, h, r->modules[i].ctx);
	*ret_chain = (struct hook_chain){n, calls};
	return 0;
}

struct part {
	unsigned phase;
	struct hook_chain *chain;
};
#define N_PARTS 7

static void parts_of(struct net_listener *l, struct part parts[N_PARTS])
{
	const struct part all[N_PARTS] = {
		{SL_DGRAM_GUARD, &l->guard},	{SL_DGRAM_CONTENT, &l->content},
		{SL_CONN_ACCEPT, &l->accept},	{SL_CONN_ACCESS, &l->access},
		{SL_CONN_PREREAD, &l->preread}, {SL_CONN_CLOSE, &l->closing},
		{SL_LOG_CONN, &l->log},
	};

	memcpy(parts, all, sizeof all);
}

static int build_listener(const struct registry *r, struct net_listener *l)
{
	const struct wanted want = {r, &l->pub};
	struct part parts[N_PARTS];

	parts_of(l, parts);
	for (unsigned i = 0; i < N_PARTS; i++) {
		int rc = build(&want, parts[i].phase, parts[i].chain);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* What belongs to no listener: a run of phases, or one. */
struct range {
	unsigned first, last;
	struct hook_chain *chains; /* one for each */
};
#define N_RANGES 5

static void ranges_of(struct registry *r, struct range ranges[N_RANGES])
{
	const struct range all[N_RANGES] = {
		{SL_SESS_NEW, SL_SESS_CLOSE, r->sessions},
		{SL_LOG_SESSION, SL_LOG_SESSION, &r->log_session},
		{SL_EVENT, SL_EVENT, &r->events},
		{SL_RTP_IN, SL_RTP_TAP, r->media},
		{SL_TRACK_NEW, SL_TRACK_CLOSE, r->tracks},
	};

	memcpy(ranges, all, sizeof all);
}

static int build_range(struct registry *r, const struct range *range)
{
	const struct wanted main_scope = {r, NULL};

	for (unsigned phase = range->first; phase <= range->last; phase++) {
		int rc = build(&main_scope, phase, &range->chains[phase - range->first]);

		if (rc < 0)
			return rc;
	}
	return 0;
}

int hooks_build(struct registry *r, struct net_listener *listeners, unsigned n_listeners)
{
	struct range ranges[N_RANGES];

	for (unsigned i = 0; i < n_listeners; i++) {
		int rc = build_listener(r, &listeners[i]);

		if (rc < 0)
			return rc;
	}
	ranges_of(r, ranges);
	for (unsigned i = 0; i < N_RANGES; i++) {
		int rc = build_range(r, &ranges[i]);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static void forget(struct hook_chain *chain, const void *ctx)
{
	struct hook_call *calls =
		(struct hook_call *)chain->calls; /* made here, const for others */
	unsigned n = 0;

	for (unsigned i = 0; i < chain->n; i++)
		if (calls[i].ctx != ctx)
			calls[n++] = calls[i];
	chain->n = n;
}

void hooks_forget(struct registry *r, struct net_listener *listeners, unsigned n_listeners,
		  const void *ctx)
{
	struct part parts[N_PARTS];
	struct range ranges[N_RANGES];

	for (unsigned i = 0; i < n_listeners; i++) {
		parts_of(&listeners[i], parts);
		for (unsigned k = 0; k < N_PARTS; k++)
			forget(parts[k].chain, ctx);
	}
	ranges_of(r, ranges);
	for (unsigned i = 0; i < N_RANGES; i++)
		for (unsigned k = 0; k <= ranges[i].last - ranges[i].first; k++)
			forget(&ranges[i].chains[k], ctx);
}
