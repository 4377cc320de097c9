/*
 * base/wheel.h: hierarchical timer wheel, pure: it is told the time.
 *
 * Millisecond ticks, four levels of 256; add, move and cancel in constant time; no allocation.
 * Timers embed a node. Expiry order within one millisecond is the order of setting. Used by
 * event/timer.c and by simulations.
 */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include <sluice/err.h>

struct wheel_node {
	struct wheel_node *prev, *next; /* NULL: not pending. W: wheel */
	uint64_t at_ms;
};

struct wheel {
	struct wheel_node slots[4][256]; /* list heads */
	uint64_t busy[4][4];		 /* a bit per slot: its list is not empty */
	uint64_t now_ms;
	size_t n_pending;
};

void wheel_init(struct wheel *w, uint64_t now_ms);
/* Re-adding moves it; the past means the next advance */
void wheel_add(struct wheel *w, struct wheel_node *n, uint64_t at_ms);
/* No-op when not pending */
void wheel_del(struct wheel *w, struct wheel_node *n);
/* Moves the time; calls fn for each due node, after taking it out. fn may add and delete any node.
 */
typedef void wheel_fn(struct wheel_node *n, void *arg);
void wheel_advance(struct wheel *w, uint64_t now_ms, wheel_fn *fn, void *arg);
/* When wheel_advance is needed next: at most the earliest expiry (may be earlier, at a level's
 * turn); UINT64_MAX when empty. */
uint64_t wheel_next_ms(const struct wheel *w);

#endif
