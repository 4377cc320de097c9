/*
 * sip-gateway/alarm.c: a binary heap of timers. Each knows its place, so that moving one and taking
 * one out cost a logarithm; most timers of SIP are cancelled before they are due.
 */
#include "alarm.h"

#include <stdlib.h>

static void put(struct alarms *t, size_t i, struct alarm *a)
{
	t->heap[i] = a;
	a->place = i;
}

static void rise(struct alarms *t, size_t i, struct alarm *a)
{
	while (i > 1 && t->heap[i / 2]->at_ms > a->at_ms) {
		put(t, i, t->heap[i / 2]);
		i /= 2;
	}
	put(t, i, a);
}

static void sink(struct alarms *t, size_t i, struct alarm *a)
{
	size_t child;

	while ((child = 2 * i) <= t->n) {
		if (child < t->n && t->heap[child + 1]->at_ms < t->heap[child]->at_ms)
			child++;
		if (t->heap[child]->at_ms >= a->at_ms)
			break;
		put(t, i, t->heap[child]);
		i = child;
	}
	put(t, i, a);
}

static int grow(struct alarms *t)
{
	size_t cap = t->cap ? 2 * t->cap : 64;
	struct alarm **heap = realloc(t->heap, cap * sizeof(struct alarm *));

	if (!heap)
		return -SL_ENOMEM;
	t->heap = heap;
	t->cap = cap;
	return 0;
}

int alarm_set(struct alarms *t, struct alarm *a, uint64_t delay_ms)
{
	alarm_cancel(t, a);
	if (t->n + 1 >= t->cap && grow(t) < 0)
		return -SL_ENOMEM;
	a->at_ms = t->now_ms + delay_ms;
	rise(t, ++t->n, a);
	return 0;
}

void alarm_cancel(struct alarms *t, struct alarm *a)
{
	size_t i = a->place;
	struct alarm *last;

	if (i == 0)
		return;
	a->place = 0;
	last = t->heap[t->n--];
	if (last == a)
		return;
	if (i > 1 && t->heap[i / 2]->at_ms > last->at_ms)
		rise(t, i, last);
	else
		sink(t, i, last);
}

uint64_t alarms_next(const struct alarms *t)
{
	return t->n > 0 ? t->heap[1]->at_ms : UINT64_MAX;
}

uint64_t alarms_run(struct alarms *t, uint64_t now_ms)
{
	if (now_ms > t->now_ms)
		t->now_ms = now_ms;
	while (t->n > 0 && t->heap[1]->at_ms <= t->now_ms) {
		struct alarm *a = t->heap[1];

		alarm_cancel(t, a);
		a->fn(a);
	}
	return alarms_next(t);
}

void alarms_free(struct alarms *t)
{
	for (size_t i = 1; i <= t->n; i++)
		t->heap[i]->place = 0;
	free(t->heap);
	*t = (struct alarms){0};
}
