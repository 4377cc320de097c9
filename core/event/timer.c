/*
 * event/timer.c: the loop's timers, on the wheel of base/wheel.h.
 *
 * Knows how the loop's nanoseconds become the wheel's milliseconds: what is set is rounded up and
 * what has passed is rounded down, so that no timer is early. Called by the loop once before and
 * once after each wait.
 */
#include "event/loop_impl.h"

_Static_assert(sizeof(((struct sl_timer *)NULL)->node) == sizeof(struct wheel_node) &&
		       offsetof(struct sl_timer, node.at_ms) == offsetof(struct wheel_node, at_ms),
	       "a timer's node is laid out as the wheel's");

static struct wheel_node *node_of(struct sl_timer *t)
{
	return (struct wheel_node *)(void *)&t->node;
}

void sl_timer_set(struct sl_loop *l, struct sl_timer *t, uint64_t delay_ms)
{
	uint64_t now_ms, at_ms;

	/* Before the first tick and between ticks of a tool the last wake-up may be long ago. */
	if (!l->ticking)
		l->now_ns = loop_clock_ns(l);
	now_ms = (l->now_ns + SL_NS_PER_MS - 1) / SL_NS_PER_MS;
	if (__builtin_add_overflow(now_ms, delay_ms, &at_ms))
		at_ms = UINT64_MAX - 1;
	wheel_add(&l->wheel, node_of(t), at_ms);
}

void sl_timer_cancel(struct sl_loop *l, struct sl_timer *t)
{
	wheel_del(&l->wheel, node_of(t));
}

static void fire(struct wheel_node *n, void *arg)
{
	struct sl_timer *t = SL_CONTAINER(n, struct sl_timer, node);

	(void)arg; /* a timer's handler knows its loop */
	t->fn(t);
}

void timers_run(struct sl_loop *l)
{
	wheel_advance(&l->wheel, sl_loop_ms(l), fire, NULL);
}

uint64_t timers_due_ns(const struct sl_loop *l)
{
	uint64_t at_ms = wheel_next_ms(&l->wheel);

	return at_ms >= LOOP_NEVER / SL_NS_PER_MS ? LOOP_NEVER : at_ms * SL_NS_PER_MS;
}
