/*
 * A subscriber of a room: the estimator and the allocator together over a bottleneck, twenty seeds
 * each. Layers are steps, so what is sent is nearly always less than what may be sent: the estimate
 * has to grow by probes alone. Prints the figures.
 */
#include <math.h>

#include "lib/test.h"
#include "modules/sfu/allocate.h"
#include "sim/bwe_world.h"

enum { TRACKS = 5, LAYERS = 9, ROUND_US = 200000 };

static const struct allocate_layer simulcast[LAYERS] = {
	{0, 0, 0, 320, 180, 40000},   {0, 0, 1, 320, 180, 60000},   {0, 0, 2, 320, 180, 90000},
	{1, 0, 0, 640, 360, 150000},  {1, 0, 1, 640, 360, 220000},  {1, 0, 2, 640, 360, 320000},
	{2, 0, 0, 1280, 720, 500000}, {2, 0, 1, 1280, 720, 800000}, {2, 0, 2, 1280, 720, 1200000},
};

struct subscriber {
	struct bw_world *world;
	struct allocate_track tracks[TRACKS];
	struct allocate_state states[TRACKS];
	struct allocate_layer layers[TRACKS][LAYERS];
	struct allocate_result result;
	double motion[TRACKS]; /* what the scene does to the bitrate */
	uint64_t next_us;
	unsigned n_switches, n_starved, n_rounds;
};

/* Measured bitrates drift with the scene. */
static void measure(struct subscriber *s, unsigned i)
{
	s->motion[i] += 0.1 * (bw_random(s->world) - 0.5);
	s->motion[i] = fmin(fmax(s->motion[i], 0.8), 1.2);
	for (unsigned k = 0; k < LAYERS; k++) {
		s->layers[i][k] = simulcast[k];
		s->layers[i][k].bps = (uint32_t)(simulcast[k].bps * s->motion[i]);
	}
}

static void allocate_round(struct subscriber *s, const struct bwe_state *state, uint64_t now_us)
{
	struct sl_layers_target before[TRACKS];
	double budget = 0.95 * ((double)state->target_bps - 40000);

	for (unsigned i = 0; i < TRACKS; i++) {
		before[i] = s->tracks[i].target;
		measure(s, i);
	}
	allocate(s->tracks, TRACKS, (uint64_t)fmax(budget, 0), now_us / 1000, &s->result);
	for (unsigned i = 0; i < TRACKS; i++) {
		s->n_switches += memcmp(&before[i], &s->tracks[i].target, sizeof before[i]) != 0;
		s->n_starved += s->tracks[i].starved;
	}
	s->n_rounds++;
	bwe_set_wanted(s->world->flows[0].bwe, s->result.wanted_bps + 40000);
}

static double source(void *arg, const struct bwe_state *state, uint64_t now_us)
{
	struct subscriber *s = arg;

	for (; s->next_us <= now_us; s->next_us += ROUND_US)
		allocate_round(s, state, now_us);
	return (double)s->result.used_bps;
}

static struct bw_world *subscribe(struct subscriber *s, uint64_t seed, double rate_bps)
{
	const struct bw_path path = {.rate_bps = rate_bps, .queue_ms = 300, .delay_ms = 50};
	struct bw_world *w = bw_new(seed, path, 1);

	*s = (struct subscriber){.world = w};
	for (unsigned i = 0; i < TRACKS; i++) {
		s->motion[i] = 1;
		s->tracks[i] = (struct allocate_track){
			.state = &s->states[i], .layers = s->layers[i], .n_layers = LAYERS};
	}
	s->tracks[0].speaker = true;
	w->flows[0].source = source;
	w->flows[0].source_arg = s;
	bw_start(w);
	return w;
}

static void forget_counts(struct subscriber *s)
{
	s->n_switches = s->n_starved = s->n_rounds = 0;
}

TEST(a_room_settles_and_layers_do_not_flap)
{
	double use = 0, least = 1, standing = 0, switches = 0;

	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct subscriber s;
		struct bw_world *w = subscribe(&s, seed, 1.5e6);
		double got, stands;

		bw_run(w, 20);
		forget_counts(&s);
		bw_run(w, 60);
		got = bw_got(w, 0, 20, 80) / 1.5e6;
		stands = bw_standing_ms(w, 0.95, 20, 80);
		use += got / bw_seeds();
		least = fmin(least, got);
		standing = fmax(standing, stands);
		switches += (double)s.n_switches / TRACKS / bw_seeds();
		CHECK_INT(s.n_starved, 0);
		CHECK(s.tracks[0].bps > s.tracks[1].bps); /* the speaker is seen best */
		bw_free(w);
	}
	printf("# five tracks over 1.5 Mbit/s: used %.0f %%, worst %.0f %%; standing at worst %.0f "
	       "ms; "
	       "%.1f switches a minute and track\n",
	       100 * use, 100 * least, standing, switches);
	CHECK(use > 0.7 && least > 0.6);
	CHECK(standing < 50);
	CHECK(switches < 10);
}

TEST(a_drop_takes_layers_not_people_and_they_come_back)
{
	double before = 0, low = 0, after = 0, standing = 0;

	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct subscriber s;
		struct bw_world *w = subscribe(&s, seed, 1.5e6);

		bw_run(w, 30);
		before += bw_got(w, 0, 20, 30) / bw_seeds();
		w->path.rate_bps = 500e3;
		bw_run(w, 5);
		forget_counts(&s);
		bw_run(w, 25);
		CHECK(s.n_starved * 20 < s.n_rounds * TRACKS);
		CHECK(!s.tracks[0].target.paused);
		low += bw_got(w, 0, 35, 60) / bw_seeds();
		standing = fmax(standing, bw_standing_ms(w, 0.95, 35, 60));
		w->path.rate_bps = 1.5e6;
		bw_run(w, 30);
		after += bw_got(w, 0, 80, 90) / bw_seeds();
		bw_free(w);
	}
	printf("# before %.0f, at 500 kbit/s %.0f, after %.0f kbit/s; standing at worst %.0f ms\n",
	       before / 1e3, low / 1e3, after / 1e3, standing);
	CHECK(low > 300e3);
	CHECK(after > 0.9 * before);
	CHECK(standing < 50);
}

TEST(enough_for_all_is_found_and_then_left_alone)
{
	for (uint64_t seed = 1; seed <= bw_seeds(); seed++) {
		struct subscriber s;
		struct bw_world *w = subscribe(&s, seed, 20e6);

		bw_run(w, 25);
		for (unsigned i = 0; i < TRACKS; i++)
			CHECK(s.tracks[i].target.encoding == 2 && s.tracks[i].target.temporal == 2);
		forget_counts(&s);
		bw_run(w, 20);
		CHECK_INT(s.n_switches, 0);
		bw_free(w);
	}
}

TEST_MAIN()
