/*
 * modules/sip-gateway/strand.c: when what comes was captured, by our clock.
 */
#include "lib/test.h"
#include "modules/sip-gateway/strand.h"

#define MS SL_NS_PER_MS
#define S SL_NS_PER_S

static const uint64_t epoch_ns = 1000 * S; /* ours, when RTP time was first_ts */
static const uint32_t first_ts = UINT32_MAX - 5 * 8000; /* comes round after five seconds */

static uint32_t sound_at(uint64_t ms)
{
	return first_ts + (uint32_t)(8 * ms);
}

/* A packet of 20 ms each, on a way of 30 ms that jitters */
static void hear(struct strand *s, unsigned from_ms, unsigned to_ms)
{
	for (unsigned ms = from_ms; ms < to_ms; ms += 20)
		strand_packet(s, sound_at(ms), 8000, epoch_ns + (ms + 30 + ms / 20 * 7 % 40) * MS);
}

static void see(struct strand *s, unsigned to_ms, unsigned way_ms)
{
	for (unsigned ms = 0; ms < to_ms; ms += 50)
		strand_packet(s, 90 * ms, 90000, epoch_ns + (ms + way_ms) * MS);
}

static void report(struct strand *s, uint32_t ts, uint64_t sender_ns)
{
	const struct sl_rtc_clock clock = {.ntp = sl_ntp_of_ns(sender_ns), .ts = ts};

	strand_report(s, &clock);
}

TEST(the_fastest_packet_tells_when_a_time_comes)
{
	struct strand s = {0};
	int64_t ns;

	CHECK(!strand_time(&s, 0, &ns));
	hear(&s, 0, 10000);
	CHECK(strand_time(&s, sound_at(9000), &ns));
	CHECK_INT(ns, (int64_t)(epoch_ns + 9030 * MS));
	strand_packet(&s, sound_at(9000), 8000, epoch_ns + 9900 * MS); /* sent again, say */
	CHECK(strand_time(&s, sound_at(9980), &ns));
	CHECK_INT(ns, (int64_t)(epoch_ns + 10010 * MS));
}

TEST(a_longer_way_is_learnt_and_times_that_begin_anew_are)
{
	struct strand s = {0};
	int64_t ns;

	hear(&s, 0, 1000);
	for (unsigned ms = 1000; ms < 24000; ms += 20)
		strand_packet(&s, sound_at(ms), 8000, epoch_ns + (ms + 90) * MS);
	CHECK(strand_time(&s, sound_at(24000), &ns) && ns == (int64_t)(epoch_ns + 24090 * MS));
	strand_packet(&s, 17, 8000, epoch_ns + 25000 * MS);
	CHECK(strand_time(&s, 17, &ns) && ns == (int64_t)(epoch_ns + 25000 * MS));
	strand_packet(&s, 18, 0, epoch_ns);
	strand_restart(&s);
	CHECK(!strand_time(&s, 17, &ns));
}

TEST(reports_tell_how_much_later_pictures_leave)
{
	struct strand sound = {0}, picture = {0};

	hear(&sound, 0, 4000);
	see(&picture, 4000, 280);
	CHECK_INT(strand_behind(&picture, &sound), 0);
	report(&picture, 90 * 3000, 77 * S + 3000 * MS);
	CHECK_INT(strand_behind(&picture, &sound), 0); /* one of both alone tells nothing */
	report(&sound, sound_at(2500), 77 * S + 2500 * MS);
	CHECK(llabs(strand_behind(&picture, &sound) - (int64_t)(250 * MS)) < 1000);
}

TEST(what_makes_no_sense_is_not_believed)
{
	struct strand sound = {0}, picture = {0};

	hear(&sound, 0, 4000);
	see(&picture, 4000, 280);
	report(&sound, sound_at(2500), 77 * S + 2500 * MS);
	report(&picture, 90 * 3000, 400 * S); /* two clocks */
	CHECK_INT(strand_behind(&picture, &sound), 0);
	report(&picture, 90 * 3000 + (1u << 30), 80 * S); /* a time that has nothing to do with it */
	CHECK_INT(strand_behind(&picture, &sound), 0);
	report(&picture, 90 * 3000, UINT64_MAX / 2);
	CHECK_INT(strand_behind(&picture, &sound), 0);
}

TEST_MAIN()
