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

struct fair_class {
	struct fair_item *first, *last;
	struct fair_class *next;  /* whose turn is after this one's; or the next free one */
	struct fair_class *chain; /* of its bucket */
	uint32_t key, n;
	int32_t credit; /* bytes */
};

struct fair {
	struct fair_class *head, *tail; /* with items, in the order of their turns */
	struct fair_class *free;
	struct fair_class **buckets; /* behind the classes, as many as these */
	unsigned n, shift;
	struct fair_class classes[];
};

struct fair *fair_new(unsigned bits)
{
	const size_t n = (size_t)1 << bits;
	struct fair *q = calloc(
		1, sizeof *q + n * (sizeof(struct fair_class) + sizeof(struct fair_class *)));

	if (!q)
		return NULL;
	q->shift = 32 - bits;
	q->buckets = (struct fair_class **)(void *)&q->classes[n];
	for (size_t i = 0; i < n; i++) {
		q->classes[i].next = q->free;
		q->free = &q->classes[i];
	}
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

/* ---- classes */

static struct fair_class **bucket_of(struct fair *q, uint32_t key)
{
	return &q->buckets[key * 2654435761u >> q->shift];
}

/* Without a free one whose turn is first lends its own. */
static struct fair_class *class_of(struct fair *q, uint32_t key)
{
	struct fair_class **bucket = bucket_of(q, key), *c;

	for (c = *bucket; c; c = c->chain)
		if (c->key == key)
			return c;
	c = q->free;
	if (!c)
		return q->head;
	q->free = c->next;
	*c = (struct fair_class){.key = key, .chain = *bucket};
	*bucket = c;
	return c;
}

static void give_back(struct fair *q, struct fair_class *c)
{
	struct fair_class **link = bucket_of(q, c->key);

	while (*link != c)
		link = &(*link)->chain;
	*link = c->chain;
	c->next = q->free;
	q->free = c;
}

/* ---- turns */

static void activate(struct fair *q, struct fair_class *c)
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
	struct fair_class *c = q->head;

	q->head = c->next;
	if (!q->head)
		q->tail = NULL;
	if (c->n > 0)
		activate(q, c);
	else
		give_back(q, c);
}

static void deactivate(struct fair *q, struct fair_class *c)
{
	struct fair_class *before = NULL;

	for (struct fair_class *at = q->head; at != c; at = at->next)
		before = at;
	if (before)
		before->next = c->next;
	else
		q->head = c->next;
	if (q->tail == c)
		q->tail = before;
	give_back(q, c);
}

/* ---- items */

void fair_put(struct fair *q, struct fair_item *item)
{
	struct fair_class *c = class_of(q, item->key);

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

static struct fair_item *take(struct fair *q, struct fair_class *c)
{
	struct fair_item *item = c->first;

	c->first = item->next;
	if (!c->first)
		c->last = NULL;
	c->n--;
	q->n--;
	return item;
}

struct fair_item *fair_get(struct fair *q)
{
	struct fair_item *item;
	struct fair_class *c;

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
	struct fair_class *longest = q->head;
	struct fair_item *item;

	if (!longest)
		return NULL;
	for (struct fair_class *c = longest->next; c; c = c->next)
		if (c->n > longest->n)
			longest = c;
	item = take(q, longest);
	if (longest->n == 0)
		deactivate(q, longest);
	return item;
}
