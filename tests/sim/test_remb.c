/*
 * The receiver's estimator: a sender that makes what it is told, over paths of several kinds, twenty
 * seeds each. The worst seed counts. Prints the figures.
 */
#include "lib/test.h"
#include "sim/bwe_world.h"

#include <math.h>

static const struct bw_path megabit = {.rate_bps = 1e6, .queue_ms = 300, .delay_ms = 50};

struct worst { /* of all seeds */
	double use, least_second, standing_ms;
	int reached_s;
};

static struct bw_world *world(uint64_t seed, struct bw_path path, unsigned n_flows)
{
	struct bw_world *w = bw_new(seed, path, n_flows);

	w->flows[0].by_remb = true;
	w->flows[0].clock_ppm = seed % 2 ? 100 : -100;
	bw_start(w);
	return w;
}

static void add(struct worst *a, const struct bw_world *w, double bps, unsigned from_s, unsigned to_s)
{
	int reached_s = bw_reached(w, 0, 0.85 * bps, from_s);

	reached_s = reached_s < 0 ? 1000 : reached_s - (int)from_s;
	if (reached_s > a->reached_s)
		a->reached_s = reached_s;
	a->use = fmin(a->use, bw_got(w, 0, from_s + 5, to_s) / bps);
	for (unsigned s = from_s + 5; s < to_s; s++)
		a->least_second = fmin(a->least_second, bw_got(w, 0, s, s + 1) / bps);
	a->standing_ms = fmax(a->standing_ms, bw_standing_ms(w, 0.95, from_s + 5, to_s));
}

static void print(const char *name, const struct worst *a)
{
	printf("# %-28s used %3.0f %%, in the worst second %3.0f %%; standing %3.0f ms; reached after "
	       "%d s\n",
	       name, 100 * a->use, 100 * a->least_second, a->standing_ms, a->reached_s);
}

#define NOTHING (struct worst){.use = 9, .least_second = 9}

static struct worst over(const char *name, struct bw_path path)
{
	struct worst a = NOTHING;

	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct bw_world *w = world(seed, path, 1);

		bw_run(w, 120);
		add(&a, w, path.rate_bps * (1 - path.loss), 0, 120);
		bw_free(w);
	}
	print(name, &a);
	return a;
}

TEST(a_megabit_is_reached_within_five_seconds_and_kept)
{
	struct worst a = over("1 Mbit/s, 100 ms", megabit);

	CHECK(a.reached_s <= 5);
	CHECK(a.use >= 0.8);
	CHECK(a.least_second >= 0.5);
	CHECK(a.standing_ms < 100);
}

static unsigned followed_ms(struct bw_world *w, double below_bps)
{
	uint64_t from_us = w->now_us;

	while (w->flows[0].remb_bps > below_bps && w->now_us < from_us + 10000000)
		bw_run(w, 0.01);
	return (unsigned)((w->now_us - from_us) / 1000);
}

TEST(a_drop_is_followed_within_two_seconds_and_its_end_found)
{
	struct worst low = NOTHING, after = NOTHING;
	unsigned slowest_ms = 0;

	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct bw_world *w = world(seed, megabit, 1);
		unsigned ms;

		bw_run(w, 30);
		w->path.rate_bps = 400e3;
		ms = followed_ms(w, 400e3);
		slowest_ms = ms > slowest_ms ? ms : slowest_ms;
		bw_run(w, 30 - ms / 1000.0);
		w->path.rate_bps = 1e6;
		bw_run(w, 40);
		add(&low, w, 400e3, 30, 60);
		add(&after, w, 1e6, 60, 100);
		bw_free(w);
	}
	print("at 400 kbit/s", &low);
	print("at 1 Mbit/s again", &after);
	printf("# the drop was followed after %u ms at worst\n", slowest_ms);
	CHECK(slowest_ms <= 2000);
	CHECK(low.use >= 0.75 && low.least_second >= 0.4 && low.standing_ms < 120);
	CHECK(after.reached_s <= 15 && after.use >= 0.7);
}

TEST(jitter_distance_and_random_loss_do_not_bring_it_down)
{
	struct bw_path jitter = megabit, far = megabit, lossy = megabit, radio = megabit;
	struct worst j, f, l, r;

	jitter.jitter_ms = 30;
	far.delay_ms = 150;
	lossy.loss = 0.05;
	lossy.feedback_loss = 0.1;
	radio.lump_ms = 8;
	radio.stall = 0.01;
	j = over("30 ms of jitter", jitter);
	f = over("300 ms", far);
	l = over("5 % loss, 10 % of REMB lost", lossy);
	r = over("a radio with stalls of 150 ms", radio);
	CHECK(j.use >= 0.7 && j.least_second >= 0.4);
	CHECK(f.use >= 0.7 && f.least_second >= 0.3);
	CHECK(l.use >= 0.7 && l.least_second >= 0.3);
	CHECK(r.use >= 0.7 && r.least_second >= 0.3);
}

TEST(who_sends_little_keeps_what_it_was_allowed)
{
	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct bw_world *w = world(seed, megabit, 1);
		double before;

		bw_run(w, 20);
		before = w->flows[0].remb_bps;
		w->flows[0].wanted_bps = 100e3;
		bw_run(w, 30);
		CHECK(w->flows[0].remb_bps >= 0.6 * before);
		bw_free(w);
	}
}

TEST(a_queue_that_somebody_else_fills_does_not_starve_it)
{
	double least = INFINITY, after = INFINITY;

	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct bw_world *w = bw_new(seed, megabit, 2);

		w->flows[0].by_remb = w->flows[1].tcp = true;
		w->flows[1].starts_us = 20000000;
		w->flows[1].stops_us = 60000000;
		bw_start(w);
		bw_run(w, 90);
		least = fmin(least, bw_got(w, 0, 25, 60));
		after = fmin(after, bw_got(w, 0, 75, 90));
		bw_free(w);
	}
	printf("# beside a TCP %.0f kbit/s, after it %.0f\n", least / 1000, after / 1000);
	CHECK(least > 100e3);
	CHECK(after > 700e3);
}

TEST(a_clock_that_is_set_is_no_queue_for_long)
{
	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct bw_world *w = world(seed, megabit, 1);

		bw_run(w, 30);
		w->flows[0].clock_ppm -= 30000; /* 2.4 s back, and behind from then on */
		bw_run(w, 1);
		w->flows[0].clock_ppm += 30000; /* and forth */
		bw_run(w, 60);
		CHECK(bw_got(w, 0, 61, 91) > 0.7e6);
		bw_free(w);
	}
}

TEST_MAIN()
