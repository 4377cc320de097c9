/*
 * test_metrics.c: counters explain themselves and outlive their process; a layout is seen whole
 * or not at all.
 */
#include "../lib/test.h"
#include "../lib/shm.h"
#include "shm/shm_impl.h"

static const struct shm_sizes sizes = {
	.n_slots = 2, .n_sessions = 8, .n_limits = 8, .metric_bytes = 4096, .n_trace = 8};

static const uint64_t bounds[] = {10, 20, 0}, other_bounds[] = {10, 30, 0};

static const struct sl_metric first[] = {
	SL_COUNTER(requests, "Requests answered."),
	SL_GAUGE(sessions, "Sessions now."),
	SL_HISTOGRAM(setup, "seconds", "Set-up time.", bounds),
	SL_METRICS_END,
};
static const struct sl_metric second[] = {
	SL_HISTOGRAM(setup, "seconds", "Set-up time.", bounds),
	SL_COUNTER(errors, "Errors.", .unit = "bytes"),
	SL_GAUGE(sessions, "Sessions now."),
	SL_COUNTER(requests, "Requests answered."),
	SL_METRICS_END,
};

/* What shm_metrics_each told, by name. */
struct told {
	const char *name; /* wanted */
	unsigned n_rows;
	struct metric_view view; /* of the wanted; name NULL: not told */
};

static void on_metric(void *arg, unsigned slot, const struct metric_view *v)
{
	struct told *t = arg;

	(void)slot;
	t->n_rows++;
	if (strcmp(v->name, t->name) == 0)
		t->view = *v;
}

static struct told ask(const struct shm *s, unsigned slot, const char *name)
{
	struct told t = {.name = name};

	shm_metrics_each(s, slot, on_metric, &t);
	return t;
}

static int open_tables(struct shm *s, const struct sl_metric *metrics, struct sl_meter *ret_meters)
{
	struct metric_table table = {"turn", metrics, ret_meters};

	return shm_metrics_open(s, 1, &table, 1);
}

TEST(a_reader_needs_no_module_to_understand_a_counter)
{
	struct shm *s = test_shm(&sizes);
	struct sl_meter m[3];
	struct told t;

	test_slot_start(s, 1);
	CHECK_INT(ask(s, 1, "requests").n_rows, 0);
	CHECK_INT(open_tables(s, first, m), 0);
	sl_count(&m[0]);
	sl_count_n(&m[0], 4);
	sl_gauge_set(&m[1], 7);
	sl_gauge_add(&m[1], -2);
	t = ask(s, 1, "requests");
	CHECK_INT(t.n_rows, 3);
	CHECK_STR(sl_str_c(t.view.module), "turn");
	CHECK_STR(sl_str_c(t.view.help), "Requests answered.");
	CHECK_STR(sl_str_c(t.view.unit), "");
	CHECK_INT(t.view.kind, SL_M_COUNTER);
	CHECK_INT(t.view.n_words, 1);
	CHECK_INT(t.view.words[0], 5);
	CHECK_INT(ask(s, 1, "sessions").view.words[0], 5);
	CHECK_INT(ask(s, 0, "requests").n_rows, 0);
	CHECK_INT(ask(s, 9, "requests").n_rows, 0);
	shm_detach(s);
}

TEST(a_histogram_counts_by_bound_and_sums)
{
	struct shm *s = test_shm(&sizes);
	struct sl_meter m[3];
	struct metric_view v;

	CHECK_INT(open_tables(s, first, m), 0);
	sl_histogram_add(&m[2], 0);
	sl_histogram_add(&m[2], 10);
	sl_histogram_add(&m[2], 11);
	sl_histogram_add(&m[2], 1000);
	v = ask(s, 1, "setup").view;
	CHECK_INT(v.n_words, 4);
	CHECK_MEM(v.bounds, bounds, 2 * sizeof bounds[0]);
	CHECK_INT(v.words[0], 2);
	CHECK_INT(v.words[1], 1);
	CHECK_INT(v.words[2], 1);
	CHECK_INT(v.words[3], 1021);
	shm_detach(s);
}

TEST(totals_go_on_over_a_restart_and_gauges_begin_anew)
{
	struct shm *s = test_shm(&sizes);
	struct sl_meter m[4];

	test_slot_start(s, 1);
	CHECK_INT(open_tables(s, first, m), 0);
	sl_count_n(&m[0], 40);
	sl_gauge_set(&m[1], 3);
	sl_histogram_add(&m[2], 15);
	test_slot_end(s, 1);
	CHECK_INT(ask(s, 1, "requests").view.words[0], 40);
	CHECK(!ask(s, 1, "sessions").view.name);
	test_slot_start(s, 1);
	CHECK_INT(open_tables(s, second, m), 0);
	sl_count_n(&m[3], 2);
	CHECK_INT(ask(s, 1, "requests").view.words[0], 42);
	CHECK_INT(ask(s, 1, "sessions").view.words[0], 0);
	CHECK_INT(ask(s, 1, "errors").view.words[0], 0);
	CHECK_INT(ask(s, 1, "setup").view.words[1], 1);
	CHECK_INT(ask(s, 1, "setup").n_rows, 4);
	shm_detach(s);
}

TEST(a_counter_that_nobody_knows_any_more_keeps_its_total)
{
	static const struct sl_metric none[] = {SL_METRICS_END};
	struct shm *s = test_shm(&sizes);
	struct sl_meter m[4];
	struct told t;

	test_slot_start(s, 1);
	CHECK_INT(open_tables(s, second, m), 0);
	sl_count_n(&m[1], 8);
	CHECK_INT(open_tables(s, none, NULL), 0);
	CHECK_INT(open_tables(s, none, NULL), 0);
	t = ask(s, 1, "errors");
	CHECK_INT(t.view.words[0], 8);
	CHECK_STR(sl_str_c(t.view.unit), "bytes");
	CHECK_INT(t.n_rows, 3);
	CHECK_INT(open_tables(s, second, m), 0);
	CHECK_INT(*m[1].word, 8);
	CHECK_INT(ask(s, 1, "errors").n_rows, 4);
	shm_detach(s);
}

TEST(another_meaning_under_the_same_name_starts_at_zero)
{
	static const struct sl_metric changed[] = {
		SL_GAUGE(requests, "Now a gauge."),
		SL_HISTOGRAM(setup, "seconds", "Other bounds.", other_bounds),
		SL_METRICS_END,
	};
	struct shm *s = test_shm(&sizes);
	struct sl_meter m[4];

	test_slot_start(s, 1);
	CHECK_INT(open_tables(s, first, m), 0);
	sl_count(&m[0]);
	sl_histogram_add(&m[2], 15);
	CHECK_INT(open_tables(s, changed, m), 0);
	CHECK_INT(ask(s, 1, "requests").view.words[0], 0);
	CHECK_INT(ask(s, 1, "setup").view.words[1], 0);
	CHECK_INT(ask(s, 1, "setup").n_rows, 2);
	shm_detach(s);
}

TEST(a_layout_that_was_not_finished_leaves_the_former_one)
{
	struct shm *s = test_shm(&sizes);
	struct sl_meter m[4];
	struct told t;
	uint64_t *n_layouts = (uint64_t *)(void *)(s->metrics + metrics_bytes(&sizes) / 2);

	test_slot_start(s, 1);
	CHECK_INT(open_tables(s, first, m), 0);
	sl_count_n(&m[0], 6);
	CHECK_INT(open_tables(s, second, m), 0);
	CHECK_INT(*n_layouts, 2);
	*n_layouts = 1; /* as if killed before the last store */
	t = ask(s, 1, "requests");
	CHECK_INT(t.view.words[0], 6);
	CHECK_INT(t.n_rows, 3);
	shm_detach(s);
}

TEST(what_does_not_fit_is_refused_and_the_former_layout_stays)
{
	static struct sl_metric many[200];
	static struct sl_meter meters[200];
	const struct sl_metric one = SL_COUNTER(name, "A help text of some length.");
	struct shm *s = test_shm(&sizes);
	struct sl_meter m[4];

	for (unsigned i = 0; i + 1 < SL_ARRAY_LEN(many); i++)
		many[i] = one;
	test_slot_start(s, 1);
	CHECK_INT(open_tables(s, first, m), 0);
	sl_count(&m[0]);
	CHECK_INT(open_tables(s, many, meters), -SL_EFULL);
	CHECK(!meters[0].word);
	CHECK_INT(ask(s, 1, "requests").view.words[0], 1);
	shm_detach(s);
}

TEST(retired_counters_give_way_when_there_is_no_room)
{
	static struct sl_metric many[60];
	static struct sl_meter meters[60];
	struct shm *s = test_shm(&sizes);
	char names[60][8];

	test_slot_start(s, 1);
	for (char round = 'a'; round <= 'c'; round++) {
		for (unsigned i = 0; i + 1 < SL_ARRAY_LEN(many); i++) {
			(void)snprintf(names[i], sizeof names[i], "%c%u", round, i);
			many[i] = (struct sl_metric){names[i], "", "Help.", SL_M_COUNTER, NULL};
		}
		CHECK_INT(open_tables(s, many, meters), 0);
	}
	CHECK_INT(ask(s, 1, "c0").n_rows, 59);
	shm_detach(s);
}

/* Breaks some bytes of a half, but not its last, which is never written. */
static void scribble(uint8_t *half, size_t bytes, uint32_t *seed)
{
	for (size_t i = 0; i + 1 < bytes; i += 1 + (*seed >> 24) % 64) {
		*seed = *seed * 1664525 + 1013904223;
		half[i] = (uint8_t)(*seed >> 16);
	}
}

TEST(a_reader_survives_whatever_stands_in_the_area)
{
	struct shm *s = test_shm(&sizes);
	uint8_t *half = s->metrics + metrics_bytes(&sizes) / 2 + SHM_LINE;
	struct sl_meter m[4];
	uint32_t seed = 1;

	test_slot_start(s, 1);
	for (unsigned round = 0; round < 500; round++) {
		CHECK_INT(open_tables(s, first, m), 0);
		scribble(half, sizes.metric_bytes, &seed);
		scribble(half + sizes.metric_bytes, sizes.metric_bytes, &seed);
		(void)ask(s, 1, "requests");
	}
	shm_detach(s);
}

TEST_MAIN()
