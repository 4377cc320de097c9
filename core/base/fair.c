/*
 * base/fair.c: deficit round robin. See fair.h.
 *
 * Classes with items form a list in the order of their turns. A class that becomes active gets a
 * quantum at once; when what it has left does not pay for its next item, it gets another one and
 * goes to the end. Items are no longer than a quantum, so that a turn pays for at least one.
 */
#include "base/fair.h"

#include <stdlib.h>

enum { QUANTUM = 4096 }; /* bytes; two packet slots */

struct class
{
	struct fair_item *first, *last;
	struct class *next; /* whose turn is after this one's; of active ones */
	uint32_t n;
	int32_t credit; /* bytes */
};

struct fair {
	struct class *head, *tail; /* active classes */
	unsigned n, shift;
	uint32_t seed;
	struct class classes[];
};

struct fair *fair_new(unsigned bits)
{
	struct fair *q = calloc(1, sizeof *q + (sizeof q->classes[0] << bits));

	if (q)
		q->shift = 32 - bits;
	return q;
}

void fair_free(struct fair *q)
{
	free(q);
}

unsigned fair_count(const struct fair *q)
{
	return q->n;
}

static struct class *class_of(struct fair *q, uint32_t key)
{
	return &q->classes[(key ^ q->seed) * 2654435761u >> q->shift];
}

/* ---- turns */

static void activate(struct fair *q, struct class *c)
{
	c->next = NULL;
	if (q->tail)
		q->tail->next = c;
	else
		q->head = c;
	q->tail = c;
}

static void end_turn(struct fair *q)
{
	struct class *c = q->head;

	q->head = c->next;
	if (!q->head)
		q->tail = NULL;
	if (c->n > 0)
		activate(q, c);
}

static void deactivate(struct fair *q, struct class *c)
{
	struct class *before = NULL;

	for (struct class *at = q->head; at != c; at = at->next)
		before = at;
	if (before)
		before->next = c->next;
	else
		q->head = c->next;
	if (q->tail == c)
		q->tail = before;
}

/* ---- items */

void fair_put(struct fair *q, struct fair_item *item)
{
	struct class *c = class_of(q, item->key);

	item->next = NULL;
	if (c->last)
		c->last->next = item;
	else
		c->first = item;
	c->last = item;
	q->n++;
	if (c->n++ == 0) {
		c->credit = QUANTUM;
		activate(q, c);
	}
}

static struct fair_item *take(struct fair *q, struct class *c)
{
	struct fair_item *item = c->first;

	c->first = item->next;
	if (!c->first)
		c->last = NULL;
	c->n--;
	if (--q->n == 0)
		q->seed += 0x9e3779b9u;
	return item;
}

struct fair_item *fair_get(struct fair *q)
{
	struct fair_item *item;
	struct class *c;

	if (q->n == 0)
		return NULL;
	for (c = q->head; c->credit < c->first->len; c = q->head) {
		c->credit += QUANTUM;
		end_turn(q);
	}
	item = take(q, c);
	c->credit -= item->len;
	if (c->n == 0)
		end_turn(q);
	return item;
}

struct fair_item *fair_drop(struct fair *q)
{
	struct class *longest = q->head;
	struct fair_item *item;

	if (!longest)
		return NULL;
	for (struct class *c = longest->next; c; c = c->next)
		if (c->n > longest->n)
			longest = c;
	item = take(q, longest);
	if (longest->n == 0)
		deactivate(q, longest);
	return item;
}
