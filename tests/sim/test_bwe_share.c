/*
 * Several flows over one bottleneck: who shares with whom, who harms nobody. Twenty seeds each.
 * Prints the figures.
 */
#include "lib/test.h"
#include "sim/bwe_world.h"

static const struct bw_path megabit = {.rate_bps = 1e6, .queue_ms = 300, .delay_ms = 50};

TEST(a_second_flow_gets_its_half)
{
	double mean = 0, least = 1, standing = 0;

	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct bw_world *w = bw_new(seed, megabit, 2);
		double first, second;

		w->flows[1].starts_us = 10000000;
		bw_start(w);
		bw_run(w, 70);
		first = bw_got(w, 0, 30, 70);
		second = bw_got(w, 1, 30, 70);
		mean += second / (first + second) / bw_seeds();
		if (second / (first + second) < least)
			least = second / (first + second);
		if (bw_standing_ms(w, 0.95, 20, 70) > standing)
			standing = bw_standing_ms(w, 0.95, 20, 70);
		CHECK(first + second > 0.85e6);
		bw_free(w);
	}
	printf("# the later of two gets %.0f %%, at least %.0f %%; standing at worst %.0f ms\n",
	       100 * mean, 100 * least, standing);
	CHECK(mean > 0.35 && mean < 0.6);
	CHECK(least > 0.25);
	CHECK(standing < 50);
}

TEST(beside_a_tcp_that_fills_the_queue_it_is_not_starved_and_comes_back)
{
	double mean = 0, least = 1;

	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct bw_world *w = bw_new(seed, megabit, 2);
		double ours, theirs;

		w->flows[1].tcp = true;
		w->flows[1].starts_us = 10000000;
		w->flows[1].stops_us = 50000000;
		bw_start(w);
		bw_run(w, 80);
		ours = bw_got(w, 0, 15, 50);
		theirs = bw_got(w, 1, 15, 50);
		mean += ours / (ours + theirs) / bw_seeds();
		if (ours / (ours + theirs) < least)
			least = ours / (ours + theirs);
		CHECK(theirs > 150e3);
		CHECK(bw_got(w, 0, 65, 80) > 0.8e6);
		CHECK(bw_standing_ms(w, 0.9, 65, 80) < 50);
		bw_free(w);
	}
	printf("# beside a TCP: %.0f %%, at least %.0f %%\n", 100 * mean, 100 * least);
	CHECK(mean > 0.25 && least > 0.15);
}

TEST(traffic_that_comes_and_goes_is_made_room_for)
{
	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct bw_world *w = bw_new(seed, megabit, 1);

		bw_start(w);
		bw_run(w, 10);
		w->path.cross_bps = 500e3;
		bw_run(w, 20);
		w->path.cross_bps = 0;
		bw_run(w, 15);
		CHECK(bw_got(w, 0, 15, 30) > 0.85 * 500e3);
		CHECK(bw_standing_ms(w, 0.9, 15, 30) < 60);
		CHECK(bw_got(w, 0, 38, 45) > 0.85e6);
		bw_free(w);
	}
}

/* As in a room: each has a path of its own, and one of them is broken. */
TEST(another_participants_loss_changes_nothing)
{
	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct bw_path wide = megabit;
		struct bw_world *w;
		double alone;

		wide.rate_bps = 10e6; /* no bottleneck between them */
		w = bw_new(seed, wide, 2);
		w->flows[0].wanted_bps = w->flows[1].wanted_bps = 2e6;
		bw_start(w);
		bw_run(w, 15);
		alone = bw_got(w, 0, 10, 15);
		w->flows[1].extra_loss = 0.5;
		bw_run(w, 15);
		CHECK(alone > 1.8e6);
		CHECK(bw_got(w, 0, 16, 30) > 0.95 * alone);
		CHECK(w->flows[1].state.target_bps < 1e6);
		bw_free(w);
	}
}

TEST_MAIN()
