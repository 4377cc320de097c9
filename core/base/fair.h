/*
 * base/fair.h: a queue that is fair to whoever stands in it: deficit round robin (Shreedhar and
 * Varghese).
 *
 * Items name their share by a key; those of one key are a class while any of them is queued. Each
 * class is served in its own order and gives up its turn when it has had a quantum of bytes, so
 * that a class with one item waits for a quantum of each other class and not for what these have
 * queued. What has to be dropped comes from the longest class. Keys are compared in full: hashed
 * classes alone would let one in a thousand stand behind a flood now and then. Items are the
 * caller's; nothing is allocated after fair_new.
 */
#ifndef BASE_FAIR_H
#define BASE_FAIR_H

#include <sluice/err.h>

struct fair;

struct fair_item {
	struct fair_item *next; /* W: fair while it is queued, else the owner's */
	uint32_t key;		/* whose it is */
	uint16_t len;		/* bytes */
	uint16_t note;		/* the owner's */
};

/* For 2 to the power of bits keys at a time, of 56 bytes each; more than that share the first
 * class. NULL: no memory */
struct fair *fair_new(unsigned bits);
/* Empty by now; accepts NULL */
void fair_free(struct fair *q);
void fair_put(struct fair *q, struct fair_item *item);
/* The next in turn, NULL: empty */
struct fair_item *fair_get(struct fair *q);
/* The oldest of the longest class, NULL: empty */
struct fair_item *fair_drop(struct fair *q);
unsigned fair_count(const struct fair *q);

/* Is one key more than half of a sequence? Fed key by key (Boyer and Moore): the answer is exact
 * for three quarters and more, and never yes below a half. */
struct fair_vote {
	uint32_t key;
	unsigned votes, n;
	bool mixed; /* there was another key */
};
static inline void fair_cast(struct fair_vote *v, uint32_t key)
{
	v->n++;
	if (v->votes == 0)
		v->key = key;
	v->mixed |= v->key != key;
	v->votes = v->key == key ? v->votes + 1 : v->votes - 1;
}
static inline bool fair_dominated(const struct fair_vote *v)
{
	return v->votes * 2 > v->n;
}

#endif
