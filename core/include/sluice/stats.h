/*
 * sluice/stats.h: what the node counts and who runs on it, read from shared memory by anybody.
 *
 * All of it belongs to other processes and may change while it is read; each word is whole. Nothing
 * here allocates.
 */
#ifndef SLUICE_STATS_H
#define SLUICE_STATS_H

#include <sluice/metric.h>
#include <sluice/session.h>

struct sl_stats_worker {
	uint16_t slot;
	bool aux;	   /* an aux process, not a worker */
	bool serving;	   /* takes work, new (of the current generation) or old */
	bool draining;	   /* finishes what it has */
	const char *state; /* "starting", "serving", "draining" */
	char name[16];
	uint32_t pid, generation;
	uint32_t load_permille; /* busy share of the last second */
	uint32_t n_sessions;
	uint64_t cpu_ns;
	uint64_t started_ms, heartbeat_ms; /* CLOCK_MONOTONIC */
};
/* The live processes, by slot; returns their number, at most max. */
SL_API unsigned sl_stats_workers(const struct sl_worker *w, struct sl_stats_worker *ret_workers,
				 unsigned max);
/* The generation that new work goes to. */
SL_API uint32_t sl_stats_generation(const struct sl_worker *w);

struct sl_stats_metric {
	uint16_t slot;
	const char *module, *name, *unit,
		*help; /* borrowed for the call; a worker that starts may lay them out anew */
	uint8_t kind;  /* enum sl_metric_kind */
	const uint64_t *bounds; /* histogram: n_words - 2 */
	unsigned n_words;	/* 1; histogram: one per bound, one for the rest, the sum */
	const uint64_t *words;	/* read each once, relaxed */
};
typedef void sl_stats_metric_fn(void *arg, const struct sl_stats_metric *m);
/* Every counter of every slot ever used, so that sums over slots never go back; gauges of live
 * processes only. */
SL_API void sl_stats_metrics(const struct sl_worker *w, sl_stats_metric_fn *fn, void *arg);

/* Live sessions of the node by enum sl_session_kind. Costs a memory access per entry of the table.
 */
SL_API void sl_stats_sessions(const struct sl_worker *w, uint32_t ret_counts[SL_N_KINDS]);

#endif
