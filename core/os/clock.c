/*
 * os/clock.c: the clocks of the kernel, in nanoseconds.
 *
 * CLOCK_MONOTONIC counts from boot for all processes alike, so its values may stand in shared
 * memory. These calls cannot fail for the clocks named here.
 */
#include <sluice/clock.h>

#include <time.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * SL_NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t sl_clock_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t sl_clock_unix_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

uint64_t sl_clock_cpu_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}
