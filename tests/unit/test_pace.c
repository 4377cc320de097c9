/* The clock of media: steps in time, made up for after a stall, left out after a long one. */
#include <sluice/pace.h>
#include "lib/test.h"

enum { STEP_MS = 20 };

static const uint64_t ms = SL_NS_PER_MS, begin_ns = 1000 * SL_NS_PER_S;

static struct sl_pace pace(void)
{
	struct sl_pace p;

	sl_pace_begin(&p, STEP_MS, begin_ns);
	return p;
}

static unsigned steps_until(struct sl_pace *p, uint64_t now_ns)
{
	unsigned n = 0;

	for (; sl_pace_is_due(p, now_ns); n++)
		sl_pace_step(p);
	return n;
}

TEST(a_step_is_due_when_its_time_has_come)
{
	struct sl_pace p = pace();

	CHECK_INT(steps_until(&p, begin_ns + 20 * ms - 1), 0);
	CHECK_INT(steps_until(&p, begin_ns + 20 * ms), 1);
	CHECK_INT(steps_until(&p, begin_ns + 1020 * ms), 50);
}

TEST(the_wait_is_never_too_short)
{
	struct sl_pace p = pace();

	CHECK_INT(sl_pace_wait_ms(&p, begin_ns), 20);
	CHECK_INT(sl_pace_wait_ms(&p, begin_ns + 1), 20);
	CHECK_INT(sl_pace_wait_ms(&p, begin_ns + 19 * ms + 1), 1);
	CHECK_INT(sl_pace_wait_ms(&p, begin_ns + 30 * ms), 0);
}

TEST(who_is_a_step_behind_is_late)
{
	struct sl_pace p = pace();

	CHECK(!sl_pace_is_late(&p, begin_ns + 40 * ms));
	CHECK(sl_pace_is_late(&p, begin_ns + 40 * ms + 1));
}

TEST(a_stall_is_made_up_for)
{
	struct sl_pace p = pace();
	const uint64_t now_ns = begin_ns + (20 + SL_PACE_MAKE_UP_MS) * ms;

	CHECK_INT(sl_pace_skip(&p, now_ns), 0);
	CHECK_INT(steps_until(&p, now_ns), 1 + SL_PACE_MAKE_UP_MS / STEP_MS);
}

TEST(of_a_long_stall_the_older_part_is_left_out_and_told)
{
	struct sl_pace p = pace();
	const uint64_t now_ns = begin_ns + 20 * ms + 3 * SL_NS_PER_S;

	CHECK_INT(sl_pace_skip(&p, now_ns), 3000 - SL_PACE_MAKE_UP_MS);
	CHECK_INT(sl_pace_skip(&p, now_ns), 0);
	CHECK_INT(steps_until(&p, now_ns), 1 + SL_PACE_MAKE_UP_MS / STEP_MS);
	CHECK(sl_pace_wait_ms(&p, now_ns) == STEP_MS);
}

TEST_MAIN()
