/*
 * One estimator over paths of many kinds, twenty seeds each: how soon it fills them, how much of
 * them it uses, and what stands in the queue. The worst seed counts. Prints the figures.
 */
#include "lib/test.h"
#include "sim/bwe_world.h"

#include <math.h>

enum { SETTLED_S = 5, LONG_S = 40 };

struct figures { /* mean and worst of all seeds */
	double use, use_worst, standing_worst, queue, reached_worst;
};

static double worse_of(double a, double b)
{
	return a > b ? a : b;
}

static void add_reached(struct figures *f, const struct bw_world *w, double bps, unsigned from_s)
{
	int reached_s = bw_reached(w, 0, 0.85 * bps, from_s);

	f->reached_worst =
		worse_of(f->reached_worst, reached_s < 0 ? 1000 : reached_s - (int)from_s);
}

static void add_figures(struct figures *f, const struct bw_world *w, double bps, unsigned from_s,
			unsigned to_s)
{
	double use = bw_got(w, 0, from_s, to_s) / bps;

	f->use += use / bw_seeds();
	f->use_worst = f->use_worst == 0 || use < f->use_worst ? use : f->use_worst;
	f->standing_worst = worse_of(f->standing_worst, bw_standing_ms(w, 0.95, from_s, to_s));
	f->queue += bw_queue_ms(w, 0.5, from_s, to_s) / bw_seeds();
}

static void print(const char *name, const struct figures *f)
{
	printf("# %-28s used %3.0f %%, worst %3.0f %%; queue %3.0f ms, standing at worst %3.0f ms; "
	       "reached after %2.0f s at worst\n",
	       name, 100 * f->use, 100 * f->use_worst, f->queue, f->standing_worst,
	       f->reached_worst);
}

/* Shares are of what the path delivers at best: its rate less its loss. */
static struct figures over(const char *name, struct bw_path path)
{
	struct figures f = {0};

	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct bw_world *w = bw_new(seed, path, 1);
		double bps = path.rate_bps * (1 - path.loss);

		bw_start(w);
		bw_run(w, LONG_S);
		add_reached(&f, w, bps, 0);
		add_figures(&f, w, bps, SETTLED_S, LONG_S);
		bw_free(w);
	}
	print(name, &f);
	return f;
}

static const struct bw_path megabit = {.rate_bps = 1e6, .queue_ms = 300, .delay_ms = 50};

TEST(a_megabit_is_filled_within_five_seconds_without_a_standing_queue)
{
	struct figures f = over("1 Mbit/s, 100 ms", megabit);

	CHECK(f.reached_worst <= 5);
	CHECK(f.use_worst >= 0.85);
	CHECK(f.standing_worst < 50);
}

TEST(ten_megabits_are_found_by_probing)
{
	struct bw_path path = megabit;
	struct figures f;

	path.rate_bps = 10e6;
	f = over("10 Mbit/s, 100 ms", path);
	CHECK(f.reached_worst <= 8);
	CHECK(f.use_worst >= 0.85);
	CHECK(f.standing_worst < 50);
}

TEST(a_drop_is_followed_and_its_end_found)
{
	struct figures before = {0}, low = {0}, after = {0};

	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct bw_world *w = bw_new(seed, megabit, 1);

		bw_start(w);
		bw_run(w, 20);
		w->path.rate_bps = 400e3;
		bw_run(w, 20);
		w->path.rate_bps = 1e6;
		bw_run(w, 20);
		add_reached(&before, w, 1e6, 0);
		add_figures(&before, w, 1e6, SETTLED_S, 20);
		add_reached(&low, w, 400e3, 21);
		add_figures(&low, w, 400e3, 20 + SETTLED_S, 40);
		add_reached(&after, w, 1e6, 40);
		add_figures(&after, w, 1e6, 40 + SETTLED_S, 60);
		bw_free(w);
	}
	print("before the drop", &before);
	print("at 400 kbit/s", &low);
	print("at 1 Mbit/s again", &after);
	CHECK(before.use_worst >= 0.85 && low.use_worst >= 0.85 && after.use_worst >= 0.85);
	CHECK(before.standing_worst < 50 && low.standing_worst < 50 && after.standing_worst < 50);
	CHECK(before.reached_worst <= 5 && low.reached_worst <= 5 && after.reached_worst <= 8);
}

TEST(random_loss_does_not_bring_it_down)
{
	struct bw_path path = megabit;
	struct figures three, ten;

	path.loss = 0.03;
	three = over("3 % random loss", path);
	path.loss = 0.10;
	ten = over("10 % random loss", path);
	CHECK(three.use_worst >= 0.85 && three.standing_worst < 50);
	CHECK(ten.use_worst >= 0.80 && ten.standing_worst < 50);
}

TEST(a_queue_too_short_to_be_seen_is_told_by_its_loss)
{
	struct bw_path path = megabit;
	struct figures f;

	path.queue_ms = 20;
	f = over("a queue of 20 ms", path);
	CHECK(f.use_worst >= 0.85);
}

TEST(jitter_and_the_lumps_of_a_radio_are_no_queue)
{
	struct bw_path jitter = megabit, radio = megabit;
	struct figures j, r;

	jitter.jitter_ms = 30;
	j = over("30 ms of jitter", jitter);
	radio.lump_ms = 8;
	radio.stall = 0.01;
	r = over("a radio with stalls of 150 ms", radio);
	CHECK(j.use_worst >= 0.70 && j.standing_worst < 50);
	CHECK(r.use_worst >= 0.85 && r.standing_worst < 50);
	CHECK(r.reached_worst <= 5);
}

TEST(lost_feedback_is_not_taken_for_lost_packets)
{
	struct bw_path path = megabit;
	struct figures f;

	path.feedback_loss = 0.3;
	f = over("30 % of the feedback lost", path);
	CHECK(f.use_worst >= 0.85);
	CHECK(f.standing_worst < 50);
	CHECK(f.reached_worst <= 5);
}

TEST(distances)
{
	struct bw_path near = megabit, far = megabit;
	struct figures n, f;

	near.delay_ms = 5;
	n = over("10 ms", near);
	far.delay_ms = 150;
	f = over("300 ms", far);
	CHECK(n.use_worst >= 0.85 && n.standing_worst < 50 && n.reached_worst <= 5);
	CHECK(f.use_worst >= 0.85 && f.standing_worst < 50 && f.reached_worst <= 5);
}

TEST(who_cannot_pad_still_gets_there)
{
	struct figures f = {0};

	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct bw_world *w = bw_new(seed, megabit, 1);

		w->flows[0].no_padding = true;
		bw_start(w);
		bw_run(w, LONG_S);
		add_reached(&f, w, 1e6, 0);
		add_figures(&f, w, 1e6, 15, LONG_S);
		bw_free(w);
	}
	print("no padding", &f);
	CHECK(f.reached_worst <= 15);
	CHECK(f.use_worst >= 0.85);
}

TEST(reports_alone_lead_there_slowly_and_hold_it)
{
	struct figures f = {0};

	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct bw_world *w = bw_new(seed, megabit, 1);

		w->flows[0].by_reports = true;
		bw_start(w);
		bw_run(w, 80);
		add_reached(&f, w, 1e6, 0);
		add_figures(&f, w, 1e6, 30, 80);
		bw_free(w);
	}
	print("receiver reports alone", &f);
	CHECK(f.reached_worst <= 25);
	CHECK(f.use_worst >= 0.7);
}

TEST(a_longer_way_is_no_queue_and_a_queue_on_it_is)
{
	struct figures longer = {0}, low = {0};

	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct bw_path path = megabit;
		struct bw_world *w;

		path.delay_ms = 5;
		w = bw_new(seed, path, 1);
		bw_start(w);
		bw_run(w, 20);
		w->path.delay_ms = 55;
		bw_run(w, 30);
		w->path.rate_bps = 400e3;
		bw_run(w, 20);
		add_reached(&longer, w, 1e6, 20);
		add_figures(&longer, w, 1e6, 35, 50); /* who is just draining errs for 8 s */
		add_reached(&low, w, 400e3, 51);
		add_figures(&low, w, 400e3, 50 + SETTLED_S, 70);
		bw_free(w);
	}
	print("50 ms longer", &longer);
	print("and at 400 kbit/s", &low);
	CHECK(longer.use_worst >= 0.75 && low.use_worst >= 0.75);
	CHECK(longer.standing_worst < 60 && low.standing_worst < 50);
	CHECK(longer.reached_worst <= 8 && low.reached_worst <= 5);
}

/* ---- who has less to send than he may */

enum { OBEYS_US = 200000 };

struct slow { /* an allocator: looks five times a second, and has no more than that */
	uint64_t next_us;
	double most_bps, bps;
};

static double obeys_slowly(void *arg, const struct bwe_state *state, uint64_t now_us)
{
	struct slow *s = arg;

	if (now_us >= s->next_us) {
		s->next_us = now_us + OBEYS_US;
		s->bps = fmin(fmax((double)state->target_bps - 40000, 0), s->most_bps);
	}
	return s->bps;
}

TEST(who_might_send_more_than_he_does_meets_a_narrow_path)
{
	struct figures f = {0};
	double full_ms = 0;

	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct slow slow = {.most_bps = 1.6e6};
		struct bw_world *w = bw_new(seed, megabit, 1);

		w->path.rate_bps = 20e6;
		w->path.queue_ms = 400;
		w->flows[0].source = obeys_slowly;
		w->flows[0].source_arg = &slow;
		bw_start(w);
		bw_run(w, 20);
		w->path.rate_bps = 1e6;
		bw_run(w, 20);
		full_ms = worse_of(full_ms, bw_queue_ms(w, 0.95, 20, 25));
		add_reached(&f, w, 1e6, 21);
		add_figures(&f, w, 1e6, 20 + SETTLED_S, 40);
		bw_free(w);
	}
	print("from 1.6 of 20 to 1 Mbit/s", &f);
	printf("# its queue in the first five seconds: %.0f ms\n", full_ms);
	CHECK(f.use_worst >= 0.75 && f.standing_worst < 50);
	CHECK(f.reached_worst <= 5);
}

TEST(an_estimate_is_kept_while_little_is_sent_and_raised_by_proof_alone)
{
	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct bw_world *w = bw_new(seed, megabit, 1);
		uint64_t before, idle;

		w->flows[0].wanted_bps = 900e3;
		bw_start(w);
		bw_run(w, 10);
		before = w->flows[0].state.target_bps;
		w->flows[0].wanted_bps = 60e3;
		bw_run(w, 30);
		idle = w->flows[0].state.target_bps;
		CHECK(before > 700e3 && idle > 0.8 * (double)before && idle < 1.5e6);
		w->flows[0].wanted_bps = 900e3;
		bw_run(w, 10);
		CHECK(bw_got(w, 0, 43, 50) > 0.8 * 900e3);
		bw_free(w);
	}
}

/*
 * A machine with too much to do: packets wait for its processes, often for a tenth of a second, and
 * none is lost. The way is wide, and little is sent of what is allowed: that little must stay.
 */
static double least_target(uint64_t seed, double sent_bps, bool by_reports)
{
	static const struct bw_path busy = {.rate_bps = 100e6,
					    .queue_ms = 300,
					    .delay_ms = 1,
					    .jitter_ms = 5,
					    .lump_ms = 10,
					    .stall = 0.05};
	struct bw_world *w = bw_new(seed, busy, 1);
	double least = 1e9;

	w->flows[0].wanted_bps = sent_bps;
	w->flows[0].by_reports = by_reports;
	bw_start(w);
	bw_run(w, LONG_S);
	for (unsigned s = 1; s < LONG_S; s++)
		if (w->flows[0].seconds[s].target_bps < least)
			least = w->flows[0].seconds[s].target_bps;
	bw_free(w);
	return least;
}

TEST(on_a_busy_machine_the_little_that_is_sent_is_not_cut)
{
	double least[2] = {1e9, 1e9};

	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		for (unsigned by_reports = 0; by_reports < 2; by_reports++) {
			double target = least_target(seed, 150e3, by_reports);

			if (target < least[by_reports])
				least[by_reports] = target;
		}
	}
	printf("# 150 kbit/s sent on a busy machine: %.0f allowed at least, %.0f by reports\n",
	       least[0] / 1000, least[1] / 1000);
	CHECK(least[0] >= 1.3 * 150e3);
	CHECK(least[1] >= 1.3 * 150e3);
}

TEST(a_path_that_stops_for_a_while_is_filled_again)
{
	double worst = 0;

	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct bw_world *w = bw_new(seed, megabit, 1);
		int reached_s;

		bw_start(w);
		bw_run(w, 10);
		w->path.loss = w->path.feedback_loss = 1;
		bw_run(w, 5);
		CHECK(w->flows[0].state.target_bps < 200e3);
		w->path.loss = w->path.feedback_loss = 0;
		bw_run(w, 20);
		reached_s = bw_reached(w, 0, 850e3, 15);
		worst = worse_of(worst, reached_s < 0 ? 1000 : reached_s - 15);
		bw_free(w);
	}
	printf("# after an outage: reached after %.0f s at worst\n", worst);
	CHECK(worst <= 8);
}

TEST_MAIN()
