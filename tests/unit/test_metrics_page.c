/*
 * The OpenMetrics text, letter by letter, and the sentence of readiness.
 */
#include "../../modules/metrics/families.c"
#include "../../modules/metrics/health.c"
#include "../../modules/metrics/openmetrics.c"
#include "lib/test.h"

static const uint64_t bounds[] = {1000, 2500000, 0};

static void add(struct samples *s, unsigned slot, const char *name, uint8_t kind,
		const uint64_t *words)
{
	const struct sl_stats_metric m = {
		.slot = (uint16_t)slot,
		.module = "turn-relay",
		.name = name,
		.unit = kind == SL_M_HISTOGRAM ? "seconds" : "",
		.help = "A \"help\"\\text.",
		.kind = kind,
		.bounds = kind == SL_M_HISTOGRAM ? bounds : NULL,
		.n_words = kind == SL_M_HISTOGRAM ? 4 : 1,
		.words = words,
	};

	samples_add(s, &m);
}

static void add_all(struct samples *s)
{
	static const uint64_t five[] = {5}, seven[] = {7}, minus[] = {(uint64_t)-2},
			      times[] = {3, 2, 1, 6000001};

	samples_init(s);
	add(s, 1, "packets", SL_M_COUNTER, seven);
	add(s, 1, "setup_seconds", SL_M_HISTOGRAM, times);
	add(s, 0, "setup_seconds", SL_M_HISTOGRAM, times);
	add(s, 0, "packets", SL_M_COUNTER, five);
	add(s, 0, "level", SL_M_GAUGE, minus);
	samples_sort(s);
}

static struct sl_buf page(bool per_worker)
{
	struct samples s;
	struct sl_buf out;

	sl_buf_init(&out, 0);
	add_all(&s);
	om_samples(&out, &s, per_worker);
	samples_free(&s);
	return out;
}

#define HELP(name) "# HELP sluice_turn_relay_" name " A \\\"help\\\"\\\\text.\n"

TEST(families_stand_in_one_run_with_a_series_per_slot)
{
	struct sl_buf out = page(true);

	CHECK_STR(
		sl_buf_view(&out),
		"# TYPE sluice_turn_relay_level gauge\n" HELP(
			"level") "sluice_turn_relay_level{slot=\"0\"} -2\n"
				 "# TYPE sluice_turn_relay_packets counter\n" HELP(
					 "packets") "sluice_turn_relay_packets_total{slot=\"0\"} "
						    "5\n"
						    "sluice_turn_relay_packets_total{slot=\"1\"} "
						    "7\n"
						    "# TYPE sluice_turn_relay_setup_seconds "
						    "histogram\n# UNIT "
						    "sluice_turn_relay_setup_seconds "
						    "seconds\n" HELP(
							    "setup_seconds") "sluice_turn_relay_"
									     "setup_seconds_bucket{"
									     "le=\"0.001000\",slot="
									     "\"0\"} 3\n"
									     "sluice_turn_relay_"
									     "setup_seconds_bucket{"
									     "le=\"2.500000\",slot="
									     "\"0\"} 5\n"
									     "sluice_turn_relay_"
									     "setup_seconds_bucket{"
									     "le=\"+Inf\",slot="
									     "\"0\"} 6\n"
									     "sluice_turn_relay_"
									     "setup_seconds_count{"
									     "slot=\"0\"} 6\n"
									     "sluice_turn_relay_"
									     "setup_seconds_sum{"
									     "slot=\"0\"} "
									     "6.000001\n"
									     "sluice_turn_relay_"
									     "setup_seconds_bucket{"
									     "le=\"0.001000\",slot="
									     "\"1\"} 3\n"
									     "sluice_turn_relay_"
									     "setup_seconds_bucket{"
									     "le=\"2.500000\",slot="
									     "\"1\"} 5\n"
									     "sluice_turn_relay_"
									     "setup_seconds_bucket{"
									     "le=\"+Inf\",slot="
									     "\"1\"} 6\n"
									     "sluice_turn_relay_"
									     "setup_seconds_count{"
									     "slot=\"1\"} 6\n"
									     "sluice_turn_relay_"
									     "setup_seconds_sum{"
									     "slot=\"1\"} "
									     "6.000001\n");
	sl_buf_free(&out);
}

TEST(sums_have_no_slot)
{
	struct sl_buf out = page(false);

	CHECK(memmem(out.p, out.len, "sluice_turn_relay_packets_total 12\n", 35));
	CHECK(memmem(out.p, out.len, "_bucket{le=\"+Inf\"} 12\n", 22));
	CHECK(memmem(out.p, out.len, "_sum 12.000002\n", 15));
	CHECK(!memmem(out.p, out.len, "slot", 4));
	sl_buf_free(&out);
}

TEST(other_meanings_of_a_name_are_not_mixed_in)
{
	static const uint64_t one[] = {1}, times[] = {1, 1, 1, 1};
	struct samples s;
	struct sl_buf out;

	sl_buf_init(&out, 0);
	samples_init(&s);
	add(&s, 0, "x", SL_M_COUNTER, one);
	add(&s, 1, "x", SL_M_HISTOGRAM, times);
	samples_sort(&s);
	om_samples(&out, &s, true);
	CHECK_STR(sl_buf_view(&out), "# TYPE sluice_turn_relay_x counter\n" HELP(
					     "x") "sluice_turn_relay_x_total{slot=\"0\"} 1\n");
	sl_buf_free(&out);
	samples_free(&s);
}

static bool ready(const struct sl_stats_worker *workers, unsigned n, char sentence[96])
{
	const struct node_state node = {
		.workers = workers, .n = n, .generation = 2, .now_ms = 100000};

	return health_is_ready(&node, sentence, 96);
}

TEST(ready_is_a_whole_generation_that_turns)
{
	struct sl_stats_worker w[] = {
		{.slot = 0,
		 .generation = 1,
		 .draining = true,
		 .state = "draining",
		 .heartbeat_ms = 1},
		{.slot = 1,
		 .generation = 2,
		 .serving = true,
		 .state = "serving",
		 .heartbeat_ms = 99000},
		{.slot = 2,
		 .generation = 2,
		 .serving = true,
		 .state = "serving",
		 .heartbeat_ms = 99900},
	};
	char why[96];

	CHECK(ready(w, 3, why));
	CHECK_STR(sl_str_c(why), "2 workers serve");
	w[2].heartbeat_ms = 90000;
	CHECK(!ready(w, 3, why));
	CHECK_STR(sl_str_c(why), "the worker in slot 2 is hanging");
	w[1].serving = false;
	w[1].state = "starting";
	CHECK(!ready(w, 3, why));
	CHECK_STR(sl_str_c(why), "the worker in slot 1 is starting");
	CHECK(!ready(w, 1, why));
	CHECK_STR(sl_str_c(why), "no worker of the current generation runs");
}

TEST_MAIN()
