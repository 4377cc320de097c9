/*
 * net/arena.h: the worker's packets.
 *
 * Blocks of packets grow up to a limit and stay until the worker ends. The most recently freed
 * packet is the next one handed out, since its bytes are still in the cache.
 */
#ifndef NET_ARENA_H
#define NET_ARENA_H

#include <sluice/metric.h>
#include <sluice/rtp.h>
#include "base/fair.h"

struct packet_block;

struct packet {
	struct sl_packet pub;
	struct sl_addr to; /* what pub.local points at when the socket's address does not say it */
	struct arena *arena;
	struct sl_rtp rtp; /* of whoever reads the packet as RTP */
	struct fair_item turn; /* while it is queued. W: share.c */
	struct packet *next; /* free list */
	uint8_t *slot;	     /* 2 048 bytes */
};

struct arena {
	struct packet *free;
	struct packet_block *blocks;
	unsigned n_packets, max_packets;
	const struct sl_meter *size; /* gauge: n_packets */
};

void arena_open(struct arena *a, unsigned max_packets, const struct sl_meter *size);
void arena_close(struct arena *a);
/* As sl_packet_new */
struct packet *arena_get(struct arena *a);
/* Makes a packet with one reference as empty as a new one. */
void packet_reset(struct packet *p);

static inline struct packet *packet_of(struct sl_packet *p)
{
	return SL_CONTAINER(p, struct packet, pub);
}

#endif
