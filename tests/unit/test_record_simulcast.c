/*
 * Which encoding of a camera is recorded: the one with the highest rate, and another as soon as
 * that stalls.
 */
#include <sluice/clock.h>
#include "lib/test.h"
#include "modules/recorder/simulcast.h"

enum { SMALL, MIDDLE, LARGE, N };
enum { FRAME_MS = 40 };

static struct simulcast s;
static uint64_t now;

static void begin(void)
{
	s = (struct simulcast){.chosen = SIMULCAST_NONE};
	now = 100000;
}

/* A frame of each of them; the recorder goes over at once, as if each were a key frame. */
static void frame(const bool comes[N])
{
	static const size_t bytes[N] = {300, 1200, 4000};

	for (unsigned i = 0; i < N; i++)
		if (comes[i])
			simulcast_choose(&s, simulcast_best(&s, i, bytes[i], now));
}

static void frames(bool small, bool middle, bool large, unsigned interval_ms, unsigned ms)
{
	const bool comes[N] = {small, middle, large};

	for (uint64_t end = now + ms; now < end; now += interval_ms)
		frame(comes);
}

TEST(what_comes_first_is_recorded_until_a_second_has_shown_which_is_best)
{
	begin();
	frames(true, true, true, FRAME_MS, FRAME_MS);
	CHECK_INT(s.chosen, SMALL);
	frames(true, true, true, FRAME_MS, 1500);
	CHECK_INT(s.chosen, LARGE);
}

TEST(one_that_stalls_is_left_after_its_time_and_no_sooner)
{
	begin();
	frames(true, true, true, FRAME_MS, 3000);
	frames(true, true, false, FRAME_MS, SIMULCAST_STALL_MS - FRAME_MS);
	CHECK_INT(s.chosen, LARGE);
	frames(true, true, false, FRAME_MS, 3 * FRAME_MS);
	CHECK_INT(s.chosen, MIDDLE);
}

TEST(two_that_stall_together_leave_the_third)
{
	begin();
	frames(true, true, true, FRAME_MS, 3000);
	frames(true, false, false, FRAME_MS, SIMULCAST_STALL_MS + 3 * FRAME_MS);
	CHECK_INT(s.chosen, SMALL);
}

TEST(one_that_comes_back_is_taken_again_when_a_second_has_shown_it)
{
	begin();
	frames(true, true, true, FRAME_MS, 3000);
	frames(true, true, false, FRAME_MS, 3000);
	CHECK_INT(s.chosen, MIDDLE);
	frames(true, true, true, FRAME_MS, 2100);
	CHECK_INT(s.chosen, LARGE);
}

/* As of a screen on which little happens */
TEST(a_camera_that_makes_few_pictures_stalls_in_none)
{
	begin();
	frames(true, true, true, FRAME_MS, 3000);
	for (unsigned i = 0; i < 20; i++) {
		frames(true, true, true, 5000, 5000);
		CHECK_INT(s.chosen, LARGE);
	}
}

TEST(it_is_not_gone_over_to_before_whoever_records_has_a_key_frame)
{
	begin();
	frames(true, true, true, FRAME_MS, 3000);
	for (unsigned i = 0; i < 50; i++, now += FRAME_MS)
		(void)simulcast_best(&s, MIDDLE, 1200, now);
	CHECK_INT(s.chosen, LARGE);
	CHECK_INT(simulcast_best(&s, MIDDLE, 1200, now), MIDDLE);
}

TEST_MAIN()
