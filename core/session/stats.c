/*
 * session/stats.c: shared memory as modules may read it.
 *
 * Translates the layouts of shm/shm.h into the public ones of <sluice/stats.h>, and decides
 * nothing.
 */
#include <sluice/stats.h>
#include "shm/shm.h"

static const char *state_name(uint32_t state)
{
	switch (state) {
	case WORKER_STARTING:
		return "starting";
	case WORKER_SERVING:
		return "serving";
	default:
		return "draining";
	}
}

static void describe(const struct worker_slot *from, unsigned slot, uint32_t state,
		     struct sl_stats_worker *to)
{
	*to = (struct sl_stats_worker){
		.slot = (uint16_t)slot,
		.aux = from->kind != 0,
		.serving = state == WORKER_SERVING,
		.draining = state == WORKER_DRAINING,
		.state = state_name(state),
		.pid = from->pid,
		.generation = __atomic_load_n(&from->generation, __ATOMIC_RELAXED),
		.load_permille = __atomic_load_n(&from->load_permille, __ATOMIC_RELAXED),
		.n_sessions = __atomic_load_n(&from->n_sessions, __ATOMIC_RELAXED),
		.cpu_ns = __atomic_load_n(&from->cpu_ns, __ATOMIC_RELAXED),
		.started_ms = from->started_ms,
		.heartbeat_ms = __atomic_load_n(&from->heartbeat_ms, __ATOMIC_RELAXED),
	};
	memcpy(to->name, from->name, sizeof to->name);
	to->name[sizeof to->name - 1] = '\0';
}

unsigned sl_stats_workers(const struct sl_worker *w, struct sl_stats_worker *ret_workers,
			  unsigned max)
{
	unsigned n_slots = shm_sizes(w->shm)->n_slots, n = 0;

	for (unsigned slot = 0; slot < n_slots && n < max; slot++) {
		const struct worker_slot *from = shm_worker(w->shm, slot);
		uint32_t state = __atomic_load_n(&from->state, __ATOMIC_ACQUIRE);

		if (state != WORKER_FREE && state != WORKER_GONE)
			describe(from, slot, state, &ret_workers[n++]);
	}
	return n;
}

uint32_t sl_stats_generation(const struct sl_worker *w)
{
	return shm_generation(w->shm);
}

struct each {
	sl_stats_metric_fn *fn;
	void *arg;
};

static void one_metric(void *arg, unsigned slot, const struct metric_view *v)
{
	const struct each *e = arg;
	const struct sl_stats_metric m = {
		.slot = (uint16_t)slot,
		.module = v->module,
		.name = v->name,
		.unit = v->unit,
		.help = v->help,
		.kind = v->kind,
		.bounds = v->bounds,
		.n_words = v->n_words,
		.words = v->words,
	};

	e->fn(e->arg, &m);
}

void sl_stats_metrics(const struct sl_worker *w, sl_stats_metric_fn *fn, void *arg)
{
	struct each e = {fn, arg};

	for (unsigned slot = 0; slot < shm_sizes(w->shm)->n_slots; slot++)
		shm_metrics_each(w->shm, slot, one_metric, &e);
}

/* Owner, kind and state lie in the first cache line of an entry; most entries are free and cost
 * only that. */
void sl_stats_sessions(const struct sl_worker *w, uint32_t ret_counts[SL_N_KINDS])
{
	unsigned n = shm_sizes(w->shm)->n_sessions;

	memset(ret_counts, 0, SL_N_KINDS * sizeof *ret_counts);
	for (uint32_t i = 0; i < n; i++) {
		const struct session_entry *e = shm_session(w->shm, i);
		uint32_t owner = __atomic_load_n(&e->owner, __ATOMIC_RELAXED);

		if (owner && e->state != SESSION_FREE && e->kind < SL_N_KINDS &&
		    shm_owner_alive(w->shm, owner))
			ret_counts[e->kind]++;
	}
}
