/*
 * mixer/red.h: redundant audio (RFC 2198) taken apart: what browsers send in place of plain Opus.
 */
#ifndef MIXER_RED_H
#define MIXER_RED_H

#include <sluice/str.h>

enum { RED_BLOCKS = 8 };

struct red_block {
	uint32_t age; /* of its time, before the packet's; 0 of the last, the packet's own */
	struct sl_str data;
};

/* Returns how many, oldest first, at least one; data is borrowed. -SL_EPARSE */
SL_MUST_CHECK int red_read(struct sl_str payload, struct red_block ret_blocks[RED_BLOCKS]);

#endif
