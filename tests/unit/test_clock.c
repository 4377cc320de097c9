/*
 * test_clock.c: the clocks run forward and count nanoseconds.
 */
#include "../lib/test.h"

#include <sluice/clock.h>
#include <time.h>

TEST(monotonic_time_does_not_go_back)
{
	uint64_t last = sl_clock_ns();

	for (int i = 0; i < 10000; i++) {
		uint64_t now = sl_clock_ns();

		CHECK(now >= last);
		last = now;
	}
}

TEST(unix_time_is_that_of_the_calendar)
{
	time_t before = time(NULL);
	uint64_t now_s = sl_clock_unix_ns() / SL_NS_PER_S;

	CHECK(now_s + 1 >= (uint64_t)before && now_s <= (uint64_t)time(NULL) + 1);
}

TEST(cpu_time_grows_by_work)
{
	uint64_t before = sl_clock_cpu_ns();
	volatile unsigned n = 0;

	while (n < 3000000)
		n = n + 1;
	CHECK(sl_clock_cpu_ns() > before);
}

TEST_MAIN()
