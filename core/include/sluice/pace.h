/*
 * sluice/pace.h: the clock by which media is made: steps of one length, counted from a beginning.
 *
 * Streams keep the time of the clock: what a stall of the process has held up is made up for, a
 * step for each turn of the loop, so that what waits in the sockets is read before it would be
 * taken for lost. Hosts that share their CPUs stand still for a tenth of a second often enough.
 * What is older than SL_PACE_MAKE_UP_MS nobody waits for any more: it is left out, and that is
 * said.
 *
 * Knows no timer: its owner sets one for sl_pace_wait_ms(), and when that fires calls
 * sl_pace_skip(), makes one step if sl_pace_is_due(), and sets it again.
 */
#ifndef SLUICE_PACE_H
#define SLUICE_PACE_H

#include <sluice/clock.h>

enum {
	SL_PACE_MAKE_UP_MS = 500,
	SL_PACE_STALL_MS = 40,
};

struct sl_pace {
	uint64_t step_ns;
	uint64_t due_ns; /* the time of the next step */
};

static inline void sl_pace_begin(struct sl_pace *p, unsigned step_ms, uint64_t now_ns)
{
	p->step_ns = step_ms * SL_NS_PER_MS;
	p->due_ns = now_ns + p->step_ns;
}

/* A step or more behind: somebody else has the CPU, or this is too much work. */
static inline bool sl_pace_is_late(const struct sl_pace *p, uint64_t now_ns)
{
	return now_ns > p->due_ns + p->step_ns;
}

/* So far behind that what is read now may have come at any time, which says nothing of the
 * network. */
static inline bool sl_pace_is_stalled(const struct sl_pace *p, uint64_t now_ns)
{
	return now_ns > p->due_ns + SL_PACE_STALL_MS * SL_NS_PER_MS;
}

/* Leaves out what is too old; how much, in ms. */
static inline uint64_t sl_pace_skip(struct sl_pace *p, uint64_t now_ns)
{
	const uint64_t oldest_ns = now_ns - SL_PACE_MAKE_UP_MS * SL_NS_PER_MS;
	uint64_t skipped_ns;

	if (now_ns <= p->due_ns + SL_PACE_MAKE_UP_MS * SL_NS_PER_MS)
		return 0;
	skipped_ns = oldest_ns - p->due_ns;
	p->due_ns = oldest_ns;
	return skipped_ns / SL_NS_PER_MS;
}

static inline bool sl_pace_is_due(const struct sl_pace *p, uint64_t now_ns)
{
	return p->due_ns <= now_ns;
}

static inline void sl_pace_step(struct sl_pace *p)
{
	p->due_ns += p->step_ns;
}

/* Until the next step; never too short */
static inline uint64_t sl_pace_wait_ms(const struct sl_pace *p, uint64_t now_ns)
{
	const uint64_t left_ns = p->due_ns > now_ns ? p->due_ns - now_ns : 0;

	return (left_ns + SL_NS_PER_MS - 1) / SL_NS_PER_MS;
}

#endif
