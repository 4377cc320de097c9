/*
 * metrics/metrics.h: the parts of this module: collected families, the OpenMetrics text, and the
 * health pages.
 */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include <sluice/buf.h>
#include <sluice/http.h>
#include <sluice/module.h>
#include <sluice/stats.h>

struct metrics_conf {
	struct sl_str path, health_path, ready_path;
	struct sl_list allow; /* struct sl_cidr */
	bool per_worker;
};

struct metrics {
	struct sl_worker *w;
	const struct metrics_conf *conf;
	const struct sl_http_iface *http;
	const struct sl_meter *m;
};

/* ---- families.c: one counter of one slot, copied; families are runs of equal module and name */
struct sample {
	const char *module, *name, *unit, *help; /* in the pool */
	uint16_t slot;
	uint8_t kind;
	unsigned n_words;
	const uint64_t *bounds, *words; /* in the pool */
};
struct samples {
	struct sl_pool *pool;
	struct sample *items; /* sorted by module, name, slot */
	size_t n, cap;
	bool failed; /* out of memory */
};
void samples_init(struct samples *s);
void samples_free(struct samples *s);
sl_stats_metric_fn samples_add; /* arg: struct samples */
void samples_sort(struct samples *s);
/* Index behind the last sample of the family that begins at i. */
size_t samples_family_end(const struct samples *s, size_t i);

/* ---- openmetrics.c */
void om_samples(struct sl_buf *out, const struct samples *s, bool per_worker);
/* The node itself: processes and sessions. */
struct node_state {
	const struct sl_stats_worker *workers; /* n, borrowed */
	unsigned n;
	uint32_t generation;
	uint64_t now_ms;
};
void om_workers(struct sl_buf *out, const struct node_state *node);
void om_sessions(struct sl_buf *out, const uint32_t counts[SL_N_KINDS]);

/* ---- health.c */
/* Whether the current generation serves as a whole; the sentence tells why not. */
bool health_is_ready(const struct node_state *node, char *sentence, size_t cap);
void health_json(struct sl_buf *out, const struct node_state *node, bool ready,
		 struct sl_str sentence);

#endif
