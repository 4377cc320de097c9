/*
 * sip-gateway/early.h: what workers send before the stack has begun: kept in order, and given to it
 * then. Without this, whoever calls in the first moments of a stack is told that no trunk is there.
 */
#ifndef SIP_EARLY_H
#define SIP_EARLY_H

#include <sluice/bus.h>

enum { EARLY_MAX_BYTES = 1024 * 1024 };

/* Zero-initialised; used up by early_give(). */
struct early {
	struct early_msg *first, **last;
	size_t bytes;
};

/* Copies it. false: it is none that waits, or there is no room for it */
bool early_keep(struct early *e, const struct sl_channel_msg *m);
/* In the order in which they came; NULL as fn: they are forgotten. */
void early_give(struct early *e, sl_channel_fn *fn, void *arg);

#endif
