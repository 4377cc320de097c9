/*
 * net/packet.c: the packet arena, and moving the ends of a packet's data.
 *
 * Knows memory only. Headers and slots are kept apart, so that walking headers does not touch
 * payload pages. Under AddressSanitizer the slot of a free packet is poisoned: a handler that keeps
 * bytes without a reference is caught.
 */
#include "net/arena.h"

#include "base/asan.h"
#include "net/engine.h"

#include <stdlib.h>

#define SLOT_BYTES 2048
#define BLOCK_PACKETS 64

struct packet_block {
	struct packet_block *next;
	uint8_t *slots;
	struct packet packets[BLOCK_PACKETS];
};

/* No memory yet: an auxiliary process may never see a packet. */
void arena_open(struct arena *a, unsigned max_packets, const struct sl_meter *size)
{
	*a = (struct arena){.max_packets = max_packets, .size = size};
}

/* Packets that are still referenced go as well: their holders have ended. */
void arena_close(struct arena *a)
{
	while (a->blocks) {
		struct packet_block *b = a->blocks;

		a->blocks = b->next;
		asan_unpoison(b->slots, (size_t)SLOT_BYTES * BLOCK_PACKETS);
		free(b->slots);
		free(b);
	}
	*a = (struct arena){0};
}

/*
 * First in, first out would walk through all memory; this way a quiet worker lives in a few slots.
 */
static void put_free(struct arena *a, struct packet *p)
{
	asan_poison(p->slot, SLOT_BYTES);
	p->next = a->free;
	a->free = p;
}

/* A block at a time: 64 packets are 135 KB. */
static int grow(struct arena *a)
{
	struct packet_block *b;

	if (a->n_packets >= a->max_packets)
		return -SL_ELIMIT;
	b = calloc(1, sizeof *b);
	if (!b)
		return -SL_ENOMEM;
	b->slots = aligned_alloc(64, (size_t)SLOT_BYTES * BLOCK_PACKETS);
	if (!b->slots) {
		free(b);
		return -SL_ENOMEM;
	}
	b->next = a->blocks;
	a->blocks = b;
	for (unsigned i = BLOCK_PACKETS; i-- > 0;) {
		b->packets[i].arena = a;
		b->packets[i].slot = b->slots + (size_t)i * SLOT_BYTES;
		put_free(a, &b->packets[i]);
	}
	a->n_packets += BLOCK_PACKETS;
	sl_gauge_set(a->size, a->n_packets);
	return 0;
}

/*
 * The slot's bytes stay as they are: length says what is valid, and clearing 2 KB would cost more
 * than a system call saves.
 */
void packet_reset(struct packet *p)
{
	p->pub = (struct sl_packet){.data = p->slot + SL_PACKET_HEADROOM, .refs = 1};
}

/*
 * The path of every datagram that somebody kept; no system call, no malloc once the arena has
 * grown.
 */
struct packet *arena_get(struct arena *a)
{
	struct packet *p;

	if (!a->free && grow(a) < 0)
		return NULL;
	p = a->free;
	a->free = p->next;
	asan_unpoison(p->slot, SLOT_BYTES);
	packet_reset(p);
	return p;
}

struct sl_packet *sl_packet_new(struct sl_worker *w)
{
	struct packet *p = arena_get(&w->net->arena);

	if (!p)
		return NULL;
	p->pub.time_ns = sl_loop_ns(w->loop);
	return &p->pub;
}

struct sl_rtp *sl_packet_rtp(struct sl_packet *p)
{
	return &packet_of(p)->rtp;
}

/*
 * One reference too few is a bug that would corrupt the free list: survived by leaking the packet.
 */
void sl_packet_unref(struct sl_packet *p)
{
	struct packet *own = packet_of(p);

	if (!sl_check(p->refs > 0))
		return;
	if (--p->refs == 0)
		put_free(own->arena, own);
}

/* Bytes between the slot's beginning and the data. */
static size_t room_before(struct sl_packet *p)
{
	return (size_t)(p->data - packet_of(p)->slot);
}

uint8_t *sl_packet_push(struct sl_packet *p, size_t n)
{
	if (!sl_check(n <= room_before(p)))
		return NULL;
	p->data -= n;
	p->len += (uint32_t)n;
	return p->data;
}

uint8_t *sl_packet_pull(struct sl_packet *p, size_t n)
{
	if (!sl_check(n <= p->len))
		return NULL;
	p->data += n;
	p->len -= (uint32_t)n;
	return p->data;
}

uint8_t *sl_packet_append(struct sl_packet *p, size_t n)
{
	uint8_t *end = p->data + p->len;

	if (!sl_check(n <= SLOT_BYTES - room_before(p) - p->len))
		return NULL;
	p->len += (uint32_t)n;
	return end;
}
