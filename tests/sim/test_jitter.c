/*
 * tests/sim/test_jitter.c: a talker and a listener in virtual time, over ways that delay, reorder,
 * lose and stall, and clocks that drift: how much is made up, and how late it is heard.
 *
 * Figures are the worst of 20 seeds.
 */
#include <math.h>
#include "lib/test.h"

#include <sluice/audio.h>
#include <sluice/jitter.h>
#include <sluice/clock.h>

enum { SEEDS = 20, SECONDS = 40, PACKET_MS = 20, MAX_IN_FLIGHT = 4096 };

struct way {
	double jitter_ms; /* mean of an exponential delay */
	double loss;	  /* share of packets */
	double skew_ppm;  /* of the talker's clock */
	double spike; /* share of packets that come 120 ms late, with all that follow meanwhile */
	double pause; /* share of seconds in which nothing is sent */
	uint64_t stand_ms; /* once in 7 s this process stands still for so long */
};

struct flight {
	uint64_t at_ns;
	uint16_t seq;
	uint32_t ts;
};

struct result {
	double concealed; /* of 1 */
	double late;
	uint32_t delay_ms, max_delay_ms;
	uint64_t released, sent;
};

static uint64_t seed_state;

static double random01(void)
{
	seed_state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = seed_state;

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

static void on_release(void *arg, void *packet)
{
	(void)packet;
	++*(uint64_t *)arg;
}

/* All packets of the talker, with the time at which each arrives. */
static unsigned fly(const struct way *w, struct flight *f)
{
	uint64_t stalled_until = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < SECONDS * 1000 / PACKET_MS; i++) {
		double sent_ms = i * PACKET_MS * (1 - w->skew_ppm / 1e6);
		double way_ms = 30 - w->jitter_ms * log(1 - random01());
		uint64_t at = (uint64_t)((sent_ms + way_ms) * 1e6);

		if (random01() < w->spike)
			stalled_until = at + 120 * SL_NS_PER_MS;
		if (random01() < w->loss || fmod(sent_ms / 1000 * 0.37, 1) < w->pause)
			continue;
		f[n++] = (struct flight){at > stalled_until ? at : stalled_until,
					 (uint16_t)(i + 65000), i * 160 + 0xfffff000u};
	}
	return n;
}

static int by_time(const void *a, const void *b)
{
	const struct flight *x = a, *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	return x->seq < y->seq ? -1 : 1;
}

struct run {
	const struct way *way;
	struct sl_audio_source *source;
	struct flight flights[MAX_IN_FLIGHT];
	unsigned at, n; /* of those */
	char payload[160];
	struct result result;
};

/* What has come by now; untimed: some while ago. */
static bool read_all(struct run *r, uint64_t now_ns, bool untimed)
{
	for (; r->at < r->n && r->flights[r->at].at_ns <= now_ns; r->at++) {
		const struct flight *f = &r->flights[r->at];
		const struct sl_audio_packet p = {.codec = SL_CODEC_PCMU,
						  .clock_hz = 8000,
						  .ts = f->ts,
						  .seq = f->seq,
						  .payload = {r->payload, sizeof r->payload},
						  .packet = r->payload,
						  .untimed = untimed};

		if (sl_audio_source_put(r->source, &p, untimed ? now_ns : f->at_ns) < 0)
			return false;
		r->result.sent++;
	}
	return true;
}

static void pull(struct run *r, uint64_t now_ns)
{
	struct sl_audio_source_stats stats;
	int16_t pcm[160];

	(void)sl_audio_source_pull(r->source, now_ns, pcm, 160);
	sl_audio_source_get_stats(r->source, &stats);
	if (now_ns > 10 * SL_NS_PER_S && stats.delay_ms > r->result.max_delay_ms)
		r->result.max_delay_ms = stats.delay_ms;
}

static bool stands_still(const struct way *w, uint64_t now_ns)
{
	return now_ns / SL_NS_PER_S % 7 == 3 && now_ns % SL_NS_PER_S < w->stand_ms * SL_NS_PER_MS;
}

/* A listener that stood still makes up for it, a piece for each that was due. */
static bool listen(struct run *r)
{
	const uint64_t step_ns = PACKET_MS * SL_NS_PER_MS;
	uint64_t missed = 0;

	for (uint64_t now = 0; now < SECONDS * SL_NS_PER_S; now += step_ns) {
		if (stands_still(r->way, now)) {
			missed++;
			continue;
		}
		if (!read_all(r, now, missed > 0))
			return false;
		for (; missed > 0; missed--)
			pull(r, now - missed * step_ns);
		pull(r, now);
	}
	return true;
}

static struct result run(const struct way *w, uint64_t seed)
{
	static struct run r;
	const struct sl_audio_source_opts o = {
		.hz = 8000, .release = on_release, .arg = &r.result.released};
	struct sl_audio_source_stats stats;

	r = (struct run){.way = w};
	seed_state = seed * 7919;
	r.n = fly(w, r.flights);
	qsort(r.flights, r.n, sizeof *r.flights, by_time);
	for (unsigned i = 0; i < sizeof r.payload; i++)
		r.payload[i] = (char)(i % 40 < 20 ? 0x20 : 0xa0); /* 200 Hz */
	if (sl_audio_source_new(&r.source, &o) < 0 || !listen(&r))
		return r.result;
	sl_audio_source_get_stats(r.source, &stats);
	r.result.concealed = (double)stats.concealed_ms / (SECONDS * 1000.0);
	r.result.late = (double)stats.late / (double)r.result.sent;
	r.result.delay_ms = stats.delay_ms;
	sl_audio_source_free(r.source);
	return r.result;
}

static struct result worst(const char *name, const struct way *w)
{
	struct result all = {0};

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct result r = run(w, seed);

		all.concealed = fmax(all.concealed, r.concealed);
		all.late = fmax(all.late, r.late);
		if (r.max_delay_ms > all.max_delay_ms)
			all.max_delay_ms = r.max_delay_ms;
		if (r.delay_ms > all.delay_ms)
			all.delay_ms = r.delay_ms;
		if (r.released != r.sent)
			printf("# seed %d: %d of %d packets released\n", (int)seed, (int)r.released,
			       (int)r.sent);
		all.released += r.released;
		all.sent += r.sent;
	}
	printf("# %-28s made up %5.2f %%  late %5.2f %%  delay at the end %3u ms, at most %3u ms\n",
	       name, all.concealed * 100, all.late * 100, all.delay_ms, all.max_delay_ms);
	return all;
}

TEST(a_clean_way_adds_no_more_than_a_packet_and_a_half)
{
	struct result r = worst("clean", &(struct way){.jitter_ms = 0.2});

	CHECK(r.concealed < 0.001);
	CHECK(r.max_delay_ms <= 30);
	CHECK_INT(r.released, r.sent);
}

TEST(jitter_is_waited_for)
{
	struct result r = worst("jitter of 10 ms", &(struct way){.jitter_ms = 10});

	CHECK(r.concealed < 0.03);
	CHECK(r.max_delay_ms < 90);
	CHECK_INT(r.released, r.sent);
}

TEST(wild_jitter_costs_delay_within_the_limit)
{
	struct result r = worst("jitter of 40 ms", &(struct way){.jitter_ms = 40});

	CHECK(r.concealed < 0.06);
	CHECK(r.max_delay_ms < 260);
	CHECK_INT(r.released, r.sent);
}

TEST(loss_is_made_up_for_and_costs_no_delay)
{
	struct result r = worst("loss of 10 %", &(struct way){.jitter_ms = 1, .loss = 0.1});

	CHECK(r.concealed < 0.14);
	CHECK(r.max_delay_ms <= 60);
	CHECK_INT(r.released, r.sent);
}

static uint32_t target_with(bool redundant, unsigned lost_every)
{
	const struct sl_jitter_opts o = {.clock_hz = 8000};
	struct sl_jitter_stats stats;
	struct sl_jitter *j;

	if (sl_jitter_new(&j, &o) < 0)
		return 0;
	for (uint64_t i = 1; i < 500; i++) {
		const uint64_t now_ns = i * PACKET_MS * SL_NS_PER_MS;
		struct sl_jitter_out out;

		if (i % lost_every)
			(void)sl_jitter_put(j,
					    &(struct sl_jitter_packet){.ts = (uint32_t)i * 160,
								       .seq = (uint16_t)i,
								       .redundant = redundant},
					    now_ns);
		sl_jitter_get(j, now_ns, 0, &out);
	}
	sl_jitter_get_stats(j, &stats);
	sl_jitter_free(j);
	return stats.target_ms;
}

TEST(what_brings_the_lost_back_is_waited_for)
{
	CHECK(target_with(false, 10) <= 10);
	CHECK(target_with(true, 10) > PACKET_MS);
	CHECK(target_with(true, 1000) <= 10);
}

TEST(a_clock_that_is_fast_or_slow_is_followed)
{
	struct result fast =
		worst("clock 500 ppm fast", &(struct way){.jitter_ms = 1, .skew_ppm = 500});
	struct result slow =
		worst("clock 500 ppm slow", &(struct way){.jitter_ms = 1, .skew_ppm = -500});

	CHECK(fast.max_delay_ms <= 50 && slow.max_delay_ms <= 50);
	CHECK(fast.concealed < 0.002 && slow.concealed < 0.005);
}

TEST(a_stall_is_caught_up_with)
{
	struct result r = worst("stalls of 120 ms", &(struct way){.jitter_ms = 2, .spike = 0.002});

	CHECK(r.concealed < 0.03);
	CHECK(r.max_delay_ms < 220);
	CHECK_INT(r.released, r.sent);
}

TEST(a_stall_of_our_own_costs_nothing)
{
	struct result r = worst("standing still for 400 ms",
				&(struct way){.jitter_ms = 0.2, .stand_ms = 400});

	CHECK(r.concealed < 0.001);
	CHECK(r.late == 0);
	CHECK(r.max_delay_ms <= 30);
	CHECK_INT(r.released, r.sent);
}

TEST(a_talker_may_pause)
{
	struct result r = worst("pauses", &(struct way){.jitter_ms = 5, .pause = 0.4});

	CHECK(r.max_delay_ms < 90);
	CHECK_INT(r.released, r.sent);
}

TEST_MAIN()
