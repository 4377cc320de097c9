/*
 * metrics/openmetrics.c: the text format of OpenMetrics 1.0.
 *
 * A family is "# TYPE", "# UNIT" where its name ends in the unit, "# HELP", then its samples. Names
 * are sluice_<module>_<name>; counters get _total, histograms _bucket, _count and _sum. Histograms
 * of seconds are kept in microseconds. Every series of a module carries the slot, or, without
 * per_worker, is the sum over all slots.
 */
#include <inttypes.h>
#include <stdio.h>
#include "metrics.h"

#define NAME_MAX_LEN 192

static void family_name(char dst[NAME_MAX_LEN], const struct sample *s)
{
	size_t n = (size_t)snprintf(dst, NAME_MAX_LEN, "sluice_%s_%s", s->module, s->name);

	for (size_t i = 0; i < n && i < NAME_MAX_LEN; i++)
		if (dst[i] == '-')
			dst[i] = '_';
}

static bool ends_in_unit(const char *name, const char *unit)
{
	size_t n = strlen(name), u = strlen(unit);

	return u > 0 && n > u && name[n - u - 1] == '_' && strcmp(name + n - u, unit) == 0;
}

static void add_escaped(struct sl_buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			sl_buf_str(out, SL_STR("\\n"));
		else if (*text == '\\' || *text == '"')
			sl_buf_printf(out, "\\%c", *text);
		else
			sl_buf_u8(out, (uint8_t)*text);
	}
}

static void add_head(struct sl_buf *out, const char *name, const char *type, const char *unit,
		     const char *help)
{
	sl_buf_printf(out, "# TYPE %s %s\n", name, type);
	if (ends_in_unit(name, unit))
		sl_buf_printf(out, "# UNIT %s %s\n", name, unit);
	sl_buf_printf(out, "# HELP %s ", name);
	add_escaped(out, help);
	sl_buf_u8(out, '\n');
}

static const char *type_name(uint8_t kind)
{
	return kind == SL_M_COUNTER ? "counter" : kind == SL_M_GAUGE ? "gauge" : "histogram";
}

/* {slot="3"}, or with le before it; nothing for a sum. */
struct labels {
	bool sum;
	unsigned slot;
};

static void add_labels(struct sl_buf *out, const struct labels *l, const char *le)
{
	const char *sep = le ? "," : "";

	if (l->sum && !le)
		return;
	sl_buf_u8(out, '{');
	if (le)
		sl_buf_printf(out, "le=\"%s\"", le);
	if (!l->sum)
		sl_buf_printf(out, "%sslot=\"%u\"", sep, l->slot);
	sl_buf_u8(out, '}');
}

static void add_plain(struct sl_buf *out, const char *name, const struct sample *s,
		      const struct labels *l)
{
	sl_buf_printf(out, "%s%s", name, s->kind == SL_M_COUNTER ? "_total" : "");
	add_labels(out, l, NULL);
	if (s->kind == SL_M_GAUGE)
		sl_buf_printf(out, " %" PRId64 "\n", (int64_t)s->words[0]);
	else
		sl_buf_printf(out, " %" PRIu64 "\n", s->words[0]);
}

/* A bound or a sum in the unit of the family; always with a point, as a float is written. */
static void format_value(char *dst, size_t cap, const struct sample *s, uint64_t v)
{
	if (strcmp(s->unit, "seconds") == 0)
		snprintf(dst, cap, "%" PRIu64 ".%06" PRIu64, v / 1000000, v % 1000000);
	else
		snprintf(dst, cap, "%" PRIu64 ".0", v);
}

static void add_histogram(struct sl_buf *out, const char *name, const struct sample *s,
			  const struct labels *l)
{
	unsigned n_bounds = s->n_words - 2;
	uint64_t count = 0;
	char text[48];

	for (unsigned i = 0; i <= n_bounds; i++) {
		count += s->words[i];
		if (i < n_bounds)
			format_value(text, sizeof text, s, s->bounds[i]);
		sl_buf_printf(out, "%s_bucket", name);
		add_labels(out, l, i < n_bounds ? text : "+Inf");
		sl_buf_printf(out, " %" PRIu64 "\n", count);
	}
	sl_buf_printf(out, "%s_count", name);
	add_labels(out, l, NULL);
	sl_buf_printf(out, " %" PRIu64 "\n%s_sum", count, name);
	add_labels(out, l, NULL);
	format_value(text, sizeof text, s, s->words[n_bounds + 1]);
	sl_buf_printf(out, " %s\n", text);
}

static void add_one(struct sl_buf *out, const char *name, const struct sample *s,
		    const struct labels *l)
{
	if (s->kind == SL_M_HISTOGRAM)
		add_histogram(out, name, s, l);
	else
		add_plain(out, name, s, l);
}

/* Slots of an older generation may know the name with another meaning: those are not mixed in. */
static bool same_meaning(const struct sample *a, const struct sample *b)
{
	if (a->kind != b->kind || a->n_words != b->n_words || strcmp(a->unit, b->unit) != 0)
		return false;
	return a->kind != SL_M_HISTOGRAM ||
	       memcmp(a->bounds, b->bounds, (a->n_words - 2) * sizeof *a->bounds) == 0;
}

static void add_sum(struct sl_buf *out, const char *name, const struct sample *first,
		    const struct sample *end)
{
	const struct labels l = {.sum = true};
	uint64_t words[256] = {0};
	struct sample sum = *first;

	if (first->n_words > SL_ARRAY_LEN(words))
		return;
	for (const struct sample *s = first; s < end; s++)
		for (unsigned i = 0; same_meaning(first, s) && i < s->n_words; i++)
			words[i] += s->words[i];
	sum.words = words;
	add_one(out, name, &sum, &l);
}

static void add_family(struct sl_buf *out, const struct sample *first, const struct sample *end,
		       bool per_worker)
{
	char name[NAME_MAX_LEN];

	family_name(name, first);
	add_head(out, name, type_name(first->kind), first->unit, first->help);
	if (!per_worker) {
		add_sum(out, name, first, end);
		return;
	}
	for (const struct sample *s = first; s < end; s++) {
		const struct labels l = {.slot = s->slot};

		if (same_meaning(first, s))
			add_one(out, name, s, &l);
	}
}

void om_samples(struct sl_buf *out, const struct samples *s, bool per_worker)
{
	for (size_t i = 0, end; i < s->n; i = end) {
		end = samples_family_end(s, i);
		add_family(out, &s->items[i], &s->items[end - 1] + 1, per_worker);
	}
}

static void add_worker_labels(struct sl_buf *out, const struct sl_stats_worker *w)
{
	sl_buf_printf(out, "{slot=\"%u\",name=\"", w->slot);
	add_escaped(out, w->name);
	sl_buf_printf(out, "\",generation=\"%u\"}", w->generation);
}

typedef void worker_value_fn(struct sl_buf *out, const struct sl_stats_worker *w, uint64_t now_ms);

static void value_cpu(struct sl_buf *out, const struct sl_stats_worker *w, uint64_t now_ms)
{
	(void)now_ms;
	sl_buf_printf(out, "%.6f", (double)w->cpu_ns / 1e9);
}

static void value_load(struct sl_buf *out, const struct sl_stats_worker *w, uint64_t now_ms)
{
	(void)now_ms;
	sl_buf_printf(out, "%.3f", w->load_permille / 1000.0);
}

static void value_sessions(struct sl_buf *out, const struct sl_stats_worker *w, uint64_t now_ms)
{
	(void)now_ms;
	sl_buf_printf(out, "%u", w->n_sessions);
}

static void value_draining(struct sl_buf *out, const struct sl_stats_worker *w, uint64_t now_ms)
{
	(void)now_ms;
	sl_buf_printf(out, "%d", w->draining);
}

static void value_age(struct sl_buf *out, const struct sl_stats_worker *w, uint64_t now_ms)
{
	uint64_t age_ms = now_ms > w->heartbeat_ms ? now_ms - w->heartbeat_ms : 0;

	sl_buf_printf(out, "%.3f", (double)age_ms / 1000.0);
}

static const struct {
	const char *name, *type, *unit, *help;
	worker_value_fn *value;
} worker_families[] = {
	{"sluice_worker_cpu_seconds", "counter", "seconds", "CPU time of the process.", value_cpu},
	{"sluice_worker_load_ratio", "gauge", "ratio", "Busy share of the last second.",
	 value_load},
	{"sluice_worker_sessions", "gauge", "", "Sessions that the process owns.", value_sessions},
	{"sluice_worker_draining", "gauge", "", "1 while the process only finishes what it has.",
	 value_draining},
	{"sluice_worker_heartbeat_age_seconds", "gauge", "seconds",
	 "Time since the process last showed that it runs.", value_age},
};

void om_workers(struct sl_buf *out, const struct node_state *node)
{
	for (size_t f = 0; f < SL_ARRAY_LEN(worker_families); f++) {
		bool counter = strcmp(worker_families[f].type, "counter") == 0;

		add_head(out, worker_families[f].name, worker_families[f].type,
			 worker_families[f].unit, worker_families[f].help);
		for (unsigned i = 0; i < node->n; i++) {
			sl_buf_printf(out, "%s%s", worker_families[f].name,
				      counter ? "_total" : "");
			add_worker_labels(out, &node->workers[i]);
			sl_buf_u8(out, ' ');
			worker_families[f].value(out, &node->workers[i], node->now_ms);
			sl_buf_u8(out, '\n');
		}
	}
	add_head(out, "sluice_generation", "gauge", "", "The generation that new work goes to.");
	sl_buf_printf(out, "sluice_generation %u\n", node->generation);
}

void om_sessions(struct sl_buf *out, const uint32_t counts[SL_N_KINDS])
{
	add_head(out, "sluice_sessions", "gauge", "", "Live sessions of the node.");
	for (unsigned kind = SL_KIND_NONE + 1; kind < SL_N_KINDS; kind++)
		sl_buf_printf(out, "sluice_sessions{kind=\"%s\"} %u\n", sl_session_kind_name(kind),
			      counts[kind]);
}
