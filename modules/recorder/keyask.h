/*
 * recorder/keyask.h: when a key frame may be asked for again. A sender that does not answer is asked
 * ever more rarely, so that one that cannot is not kept busy; whoever gets one begins anew with a
 * zeroed struct.
 */
#ifndef RECORDER_KEYASK_H
#define RECORDER_KEYASK_H

#include <stdbool.h>
#include <stdint.h>

enum { KEYASK_FIRST_MS = 500, KEYASK_MOST_MS = 8000 };

struct keyask {
	uint64_t at_ms; /* when it was asked for; 0: not yet */
	uint32_t wait_ms;
};

/* true: it is to be asked for now, and counts as asked. */
static inline bool keyask_due(struct keyask *k, uint64_t now_ms)
{
	if (k->at_ms != 0 && now_ms < k->at_ms + k->wait_ms)
		return false;
	k->wait_ms = k->at_ms == 0 ? KEYASK_FIRST_MS : 2 * k->wait_ms;
	if (k->wait_ms > KEYASK_MOST_MS)
		k->wait_ms = KEYASK_MOST_MS;
	k->at_ms = now_ms;
	return true;
}

#endif
