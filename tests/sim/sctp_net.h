/*
 * tests/sim/sctp_net.h: two SCTP associations on a virtual network in virtual time, with loss, delay and reordering. Used by
 * test_sctp.c, test_sctp_world.c and fuzz_sctp.c.
 *
 * The library is one per process and its clock only goes forward, so the world's does, too, from one test to the next. It
 * asks gettimeofday() for the age of what it has sent; the one below puts itself in front of the C library's. A node notes
 * what it has been told; the last message is copied.
 */
#ifndef TESTS_SIM_SCTP_NET_H
#define TESTS_SIM_SCTP_NET_H

#include <stdio.h>
#include <stdlib.h>
#include <sluice/buf.h>

#include "proto/sctp_impl.h"

#include <sys/time.h>

enum { SNET_QUEUE = 4096, SNET_BYTES = 1300, SNET_NAME = 64 };

struct snode {
	struct sworld *world;
	struct sctp *s;
	struct sctp_opts opts;
	struct sctp_counters counters;
	bool up, silent, cut; /* silent: takes nothing; cut: sends nothing */
	const char *down;
	unsigned n_opened, n_closed, n_messages, n_writable;
	uint64_t n_bytes;
	uint16_t opened, closed, stream, writable; /* of the last */
	bool text;
	struct sctp_channel channel;
	char label[SNET_NAME], protocol[SNET_NAME];
	uint8_t *last; /* SCTP_MAX_MESSAGE; owned */
	size_t last_len;
	unsigned n_sent;
	uint8_t newest[SNET_BYTES]; /* packet sent last */
	uint32_t acknowledged;	    /* TSN of the last SACK */
	void (*on_message)(struct snode *n, uint16_t stream, const uint8_t *data, size_t len);
};

struct spacket {
	uint64_t at_ms, order;
	struct snode *to;
	size_t len;
	uint8_t bytes[SNET_BYTES];
};

struct sworld {
	struct snode nodes[2];
	struct spacket *queue[SNET_QUEUE]; /* a heap by time */
	unsigned n_queued;
	uint64_t order, random;
	unsigned loss_percent, delay_ms, jitter_ms, n_lost;
};

static uint64_t snet_now_ms = 1000;

__attribute__((visibility("default"))) int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	static unsigned calls; /* no two moments are the same */
	uint64_t us = snet_now_ms * 1000 + ++calls % 1000;

	(void)zone;
	tv->tv_sec = (time_t)(1000000 + us / 1000000);
	tv->tv_usec = (suseconds_t)(us % 1000000);
	return 0;
}

static inline unsigned snet_pick(struct sworld *w, unsigned n)
{
	w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(w->random >> 33) % n;
}

/* ---- the network */

static inline bool spacket_before(const struct spacket *a, const struct spacket *b)
{
	return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->order < b->order);
}

static inline void snet_put(struct sworld *w, struct spacket *p)
{
	unsigned i = w->n_queued++;

	while (i > 0 && spacket_before(p, w->queue[(i - 1) / 2])) {
		w->queue[i] = w->queue[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->queue[i] = p;
}

static inline struct spacket *snet_take(struct sworld *w)
{
	struct spacket *first = w->queue[0], *p = w->queue[--w->n_queued];
	unsigned i = 0, next;

	while ((next = 2 * i + 1) < w->n_queued) {
		if (next + 1 < w->n_queued && spacket_before(w->queue[next + 1], w->queue[next]))
			next++;
		if (!spacket_before(w->queue[next], p))
			break;
		w->queue[i] = w->queue[next];
		i = next;
	}
	w->queue[i] = p;
	return first;
}

static inline void snode_note(struct snode *n, const uint8_t *packet, size_t len)
{
	memcpy(n->newest, packet, len);
	for (size_t at = 12; at + 8 <= len; at += (sl_get16(packet + at + 2) + 3) & ~3)
		if (packet[at] == 3)
			n->acknowledged = sl_get32(packet + at + 4);
}

static inline void snode_send(void *ctx, const uint8_t *packet, size_t len)
{
	struct snode *n = ctx;
	struct sworld *w = n->world;
	struct spacket *p;

	sl_assert(len <= SCTP_MAX_PACKET);
	n->n_sent++;
	snode_note(n, packet, len);
	if (n->cut || w->n_queued == SNET_QUEUE || snet_pick(w, 100) < w->loss_percent) {
		w->n_lost++;
		return;
	}
	p = malloc(sizeof *p);
	sl_assert(p);
	p->at_ms = snet_now_ms + w->delay_ms + (w->jitter_ms ? snet_pick(w, w->jitter_ms) : 0);
	p->order = w->order++;
	p->to = n == &w->nodes[0] ? &w->nodes[1] : &w->nodes[0];
	p->len = len;
	memcpy(p->bytes, packet, len);
	snet_put(w, p);
}

/* Lets ms pass */
static inline void snet_pass(struct sworld *w, uint64_t ms)
{
	uint64_t end = snet_now_ms + ms;

	for (; snet_now_ms < end; snet_now_ms++) {
		if (snet_now_ms % 10 == 0)
			(void)sctp_tick(snet_now_ms);
		while (w->n_queued > 0 && w->queue[0]->at_ms <= snet_now_ms) {
			struct spacket *p = snet_take(w);

			if (p->to->s && !p->to->silent)
				sctp_input(p->to->s, p->bytes, p->len);
			free(p);
		}
	}
}

/* ---- nodes */

static inline void snode_up(void *ctx)
{
	struct snode *n = ctx;

	n->up = true;
}

static inline void snode_down(void *ctx, const char *why)
{
	struct snode *n = ctx;

	n->up = false;
	n->down = why;
}

static inline void snode_opened(void *ctx, const struct sctp_channel *c)
{
	struct snode *n = ctx;

	n->n_opened++;
	n->opened = c->stream;
	n->channel = *c;
	(void)sl_str_copy(n->label, sizeof n->label, c->label);
	(void)sl_str_copy(n->protocol, sizeof n->protocol, c->protocol);
}

static inline void snode_closed(void *ctx, uint16_t stream)
{
	struct snode *n = ctx;

	n->n_closed++;
	n->closed = stream;
}

static inline void snode_message(void *ctx, uint16_t stream, bool text, const uint8_t *data, size_t len)
{
	struct snode *n = ctx;

	n->n_messages++;
	n->n_bytes += len;
	n->stream = stream;
	n->text = text;
	sl_assert(len <= SCTP_MAX_MESSAGE);
	if (len > 0)
		memcpy(n->last, data, len);
	n->last_len = len;
	if (n->on_message)
		n->on_message(n, stream, data, len);
}

static inline void snode_writable(void *ctx, uint16_t stream)
{
	struct snode *n = ctx;

	n->n_writable++;
	n->writable = stream;
}

static const struct sctp_io snode_io = {snode_send,   snode_up,	     snode_down,    snode_opened,
					snode_closed, snode_message, snode_writable};

static inline void sworld_init(struct sworld *w, uint64_t seed)
{
	memset(w, 0, sizeof *w);
	w->random = seed * 7919 + 1;
	w->delay_ms = 10;
	sl_assert(sctp_start() == 0);
	for (unsigned i = 0; i < 2; i++) {
		struct snode *n = &w->nodes[i];

		n->world = w;
		n->last = malloc(SCTP_MAX_MESSAGE);
		sl_assert(n->last);
		n->opts = (struct sctp_opts){.client = i == 0, .max_message = SCTP_MAX_MESSAGE, .counters = &n->counters};
	}
}

static inline void snode_start(struct snode *n)
{
	(void)sctp_tick(snet_now_ms);
	sl_assert(sctp_new(&n->s, &n->opts, &snode_io, n) == 0);
}

static inline void sworld_start(struct sworld *w)
{
	snode_start(&w->nodes[0]);
	snode_start(&w->nodes[1]);
}

static inline void sworld_stop(struct sworld *w)
{
	for (unsigned i = 0; i < 2; i++) {
		sctp_free(w->nodes[i].s);
		w->nodes[i].s = NULL;
		free(w->nodes[i].last);
	}
	while (w->n_queued > 0)
		free(snet_take(w));
}

/* Ports, verification tag and checksum (CRC-32c, bit by bit) that make chunks a packet of n's peer. */
static inline void snode_forge(struct snode *n, const void *chunks, size_t len)
{
	struct snode *peer = n == &n->world->nodes[0] ? &n->world->nodes[1] : &n->world->nodes[0];
	uint8_t packet[SNET_BYTES] = {0};
	uint32_t crc = UINT32_MAX;

	sl_assert(12 + len <= sizeof packet);
	memcpy(packet, peer->newest, 8);
	memcpy(packet + 12, chunks, len);
	for (size_t i = 0; i < 12 + len; i++) {
		crc ^= packet[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	for (int i = 0; i < 4; i++)
		packet[8 + i] = (uint8_t)(~crc >> 8 * i);
	sctp_input(n->s, packet, 12 + len);
}

#endif
