/*
 * sluice/metric.h: counters that describe themselves.
 *
 * A module declares a const table; each worker gets a row of 64-bit words in shared memory (one
 * writer: this worker), which outlives crashes and reloads of the worker. The pages, `sluice top`
 * and tests read the same words.
 */
#ifndef SLUICE_METRIC_H
#define SLUICE_METRIC_H

#include <sluice/err.h>

enum sl_metric_kind { SL_M_COUNTER, SL_M_GAUGE, SL_M_HISTOGRAM };

struct sl_metric {
	const char *name; /* snake_case without prefix: "requests"; NULL ends the table. Exported as
			     sluice_<module>_<name>[_total] */
	const char *unit; /* "bytes", "seconds"; NULL or "": none */
	const char *help;
	uint8_t kind;
	const uint64_t *bounds; /* histogram: ascending upper bounds in microseconds for unit
				   seconds, else plain; 0 ends */
};

#define SL_COUNTER(n, h, ...)                                                                      \
	{                                                                                          \
		.name = #n, .help = h, .kind = SL_M_COUNTER, __VA_ARGS__                           \
	}
#define SL_GAUGE(n, h, ...)                                                                        \
	{                                                                                          \
		.name = #n, .help = h, .kind = SL_M_GAUGE, __VA_ARGS__                             \
	}
#define SL_HISTOGRAM(n, u, h, b)                                                                   \
	{                                                                                          \
		.name = #n, .unit = u, .help = h, .kind = SL_M_HISTOGRAM, .bounds = b              \
	}
#define SL_METRICS_END                                                                             \
	{                                                                                          \
		.name = NULL                                                                       \
	}

/* A module's counters in this worker: one handle per table row, by index. */
struct sl_meter {
	uint64_t *word; /* counter, gauge: one word. Histogram: buckets.., +Inf, sum */
	const uint64_t *bounds;
};

static inline void sl_count_n(const struct sl_meter *m, uint64_t n)
{
	__atomic_store_n(m->word, *m->word + n, __ATOMIC_RELAXED);
}
static inline void sl_count(const struct sl_meter *m)
{
	sl_count_n(m, 1);
}
static inline void sl_gauge_set(const struct sl_meter *m, int64_t v)
{
	__atomic_store_n(m->word, (uint64_t)v, __ATOMIC_RELAXED);
}
static inline void sl_gauge_add(const struct sl_meter *m, int64_t n)
{
	sl_count_n(m, (uint64_t)n);
}
SL_API void sl_histogram_add(const struct sl_meter *m, uint64_t value);

#endif
