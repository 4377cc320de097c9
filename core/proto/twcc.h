/*
 * proto/twcc.h: the wire form of transport-wide feedback, as its two ends see it
 * (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).
 *
 * Internal to the estimator: the writer is twcc_recv in bwe.h. A feedback covers `count` numbers
 * from `base` on and says of each whether and when it came. Times are ticks of 250 us on the
 * receiver's clock.
 */
#ifndef PROTO_TWCC_H
#define PROTO_TWCC_H

#include <sluice/rtcp.h>

enum {
	TWCC_HEADER = 20,
	TWCC_RUN_MAX = 0x1fff,
	TWCC_MAX_STATUSES = 8192, /* more than a sender remembers; 24 bytes could tell 65 535 */
	TWCC_TICK_US = 250,
	TWCC_TICKS_PER_REF = 256, /* the reference time counts 64 ms */
};

struct twcc_feedback { /* a view; borrows the block */
	uint16_t base, count;
	uint8_t number;	    /* of this feedback, wraps */
	uint32_t reference; /* 24 bits, in 64 ms; wraps */
	const uint8_t *chunks, *deltas, *end;
};
struct twcc_walk { /* zeroed before the first call */
	uint16_t i;	      /* statuses told */
	uint16_t chunk, left; /* the chunk at work, and how many statuses of it are left */
	uint32_t chunk_at, delta_at;
	bool received;
	int64_t ticks; /* since the reference time; of the last one received */
};

/* Checks the whole of it, so that a walk cannot fail. -SL_EPARSE */
SL_MUST_CHECK int twcc_parse(struct twcc_feedback *ret_fb, const struct sl_rtcp_block *block);
/* The status of number base + w->i - 1; false at the end. */
bool twcc_next(const struct twcc_feedback *fb, struct twcc_walk *w);

#endif
