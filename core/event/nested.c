/*
 * event/nested.c: foreign loops that live inside ours, with their own poll descriptor and their
 * own timers.
 *
 * A nested loop tells a time-out relative to a clock that it may only read while it runs (libuv
 * does), so that asking it again and again would move its deadline away for ever. Therefore a
 * deadline once heard is kept until the loop has run; a run too many costs nothing.
 */
#include "event/loop_impl.h"

static void run(struct sl_nested *n)
{
	n->due_ns = LOOP_NEVER;
	n->run(n->arg);
}

static void on_ready(struct sl_event *ev, unsigned ready)
{
	(void)ready; /* the nested loop asks its own descriptor */
	run(ev->arg);
}

int sl_nested_add(struct sl_loop *l, struct sl_nested *n)
{
	int ret;

	n->ev.fn = on_ready;
	n->ev.arg = n;
	ret = sl_event_add(l, &n->ev, SL_READ);
	if (ret < 0)
		return ret;
	n->due_ns = LOOP_NEVER;
	n->next = l->nested;
	l->nested = n;
	return 0;
}

void sl_nested_del(struct sl_loop *l, struct sl_nested *n)
{
	struct sl_nested **at = &l->nested;

	while (*at && *at != n)
		at = &(*at)->next;
	if (!*at)
		return;
	if (l->next_nested == n)
		l->next_nested = n->next;
	*at = n->next;
	n->next = NULL;
	sl_event_del(l, &n->ev);
}

uint64_t nested_due_ns(struct sl_loop *l, uint64_t now_ns)
{
	uint64_t due_ns = LOOP_NEVER;

	for (struct sl_nested *n = l->nested; n; n = n->next) {
		int ms = n->timeout_ms(n->arg);

		if (ms >= 0 && now_ns + (uint64_t)ms * SL_NS_PER_MS < n->due_ns)
			n->due_ns = now_ns + (uint64_t)ms * SL_NS_PER_MS;
		if (n->due_ns < due_ns)
			due_ns = n->due_ns;
	}
	return due_ns;
}

void nested_run_due(struct sl_loop *l)
{
	for (struct sl_nested *n = l->nested; n; n = l->next_nested) {
		l->next_nested = n->next;
		if (n->due_ns <= l->now_ns)
			run(n);
	}
}
