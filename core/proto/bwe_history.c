/*
 * proto/bwe_history.c: the packets sent to one peer, by transport-wide number, until feedback has
 * told their fate.
 *
 * A ring of eight bytes per packet. It doubles when a packet would be overwritten that may still be
 * in flight, up to a bound, so a peer that gets audio alone costs one kilobyte, and one that has
 * got nothing yet none. When memory is short the oldest are forgotten, or nothing is noted: less is
 * known, nothing breaks.
 */
#include "proto/bwe_impl.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 128, MAX_SIZE = 8192 };

#define FLIGHT_US UINT64_C(3000000) /* what flies longer is not waited for */

static bool have_ring(struct bwe_history *h)
{
	if (h->ring)
		return true;
	h->ring = calloc(FIRST_SIZE, sizeof *h->ring);
	if (h->ring)
		h->size = FIRST_SIZE;
	return h->ring != NULL;
}

void bwe_history_free(struct bwe_history *h)
{
	free(h->ring);
	h->ring = NULL;
}

void bwe_history_forget(struct bwe_history *h)
{
	if (h->ring)
		memset(h->ring, 0, h->size * sizeof *h->ring);
	h->told = h->next;
}

static struct bwe_packet *slot_of(const struct bwe_history *h, uint64_t number)
{
	return &h->ring[number & (h->size - 1)];
}

uint64_t bwe_sent_us(const struct bwe_packet *p, uint64_t now_us)
{
	return now_us - (uint32_t)((uint32_t)now_us - p->sent_us);
}

static void grow(struct bwe_history *h)
{
	struct bwe_history wider = {.size = h->size * 2};

	wider.ring = calloc(wider.size, sizeof *wider.ring);
	if (!wider.ring)
		return;
	for (uint64_t n = h->next - h->size; n != h->next; n++)
		*slot_of(&wider, n) = *slot_of(h, n);
	free(h->ring);
	h->ring = wider.ring;
	h->size = wider.size;
}

static bool must_grow(const struct bwe_history *h, uint64_t now_us)
{
	const struct bwe_packet *p = slot_of(h, h->next);

	return p->fate == BWE_FLYING && h->size < MAX_SIZE &&
	       now_us - bwe_sent_us(p, now_us) < FLIGHT_US;
}

static void append(struct bwe_history *h, struct bwe_packet p, uint64_t now_us)
{
	if (must_grow(h, now_us))
		grow(h);
	*slot_of(h, h->next++) = p;
}

/* Numbers in between were not used; a caller that begins again elsewhere pays one turn at most. */
static void skip_to(struct bwe_history *h, uint16_t seq)
{
	uint16_t gap = (uint16_t)(seq - (uint16_t)h->next);

	if (gap >= h->size) {
		memset(h->ring, 0, h->size * sizeof *h->ring);
		h->next += gap;
		return;
	}
	for (; gap > 0; gap--)
		*slot_of(h, h->next++) = (struct bwe_packet){0};
}

void bwe_history_add(struct bwe_history *h, uint16_t seq, struct bwe_packet p, uint64_t now_us)
{
	if (!have_ring(h))
		return;
	if (!h->started) {
		h->started = true;
		h->next = h->told = UINT64_C(65536) + seq;
	}
	skip_to(h, seq);
	p.fate = BWE_FLYING;
	append(h, p, now_us);
}

uint64_t bwe_history_unwrap(const struct bwe_history *h, uint16_t seq)
{
	return h->next - (uint16_t)((uint16_t)h->next - seq);
}

struct bwe_packet *bwe_history_find(struct bwe_history *h, uint64_t number)
{
	struct bwe_packet *p;

	if (number >= h->next || h->next - number > h->size)
		return NULL;
	p = slot_of(h, number);
	return p->fate == BWE_UNUSED ? NULL : p;
}
