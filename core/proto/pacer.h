/*
 * proto/pacer.h: lets packets of one peer leave evenly: a budget that fills at the pacing rate, and
 * queues by priority in front of it.
 *
 * Sans-I/O. Knows items, sizes and time; an item is the caller's, linked by its node. Audio passes
 * unpaced but is counted; retransmissions go before new video; probes and padding are asked for
 * when there is nothing else. What waits too long is drained faster (max_queue_ms), so that the
 * pacer never becomes the bottleneck's queue.
 */
#ifndef PROTO_PACER_H
#define PROTO_PACER_H

#include <sluice/err.h>

enum pacer_class { PACER_AUDIO, PACER_RETRANSMISSION, PACER_VIDEO, PACER_N_CLASSES };

struct pacer_item { /* in the caller's object; in at most one pacer */
	struct pacer_item *next;
	uint32_t bytes; /* on the wire */
	uint8_t class_;
	uint64_t queued_ns; /* W: pacer */
};

struct pacer {
	struct pacer_item *first[PACER_N_CLASSES], **last[PACER_N_CLASSES];
	uint64_t rate_bps;
	uint64_t drain_bps;  /* what empties the queue in time; 0 whenever it is empty */
	int64_t budget_bits; /* may be in debt */
	uint64_t at_ns;	     /* up to which the budget has been filled */
	uint32_t queued_bytes;
	uint32_t max_queue_ms;
};

void pacer_init(struct pacer *p, uint64_t rate_bps, uint32_t max_queue_ms, uint64_t now_ns);
void pacer_set_rate(struct pacer *p, uint64_t rate_bps, uint64_t now_ns);
void pacer_push(struct pacer *p, struct pacer_item *item, uint64_t now_ns);
/* Whether a packet of so many bytes may leave now without having been queued: nothing waits, and
 * there is no debt. It is charged then. */
bool pacer_pass(struct pacer *p, uint32_t bytes, uint64_t now_ns);
/* The next item that may leave now; NULL: none. Call until NULL. */
struct pacer_item *pacer_pop(struct pacer *p, uint64_t now_ns);
/* Any item, for taking a queue down; NULL: empty */
struct pacer_item *pacer_take(struct pacer *p);
/* Bytes of padding that could leave now without delaying anything, at most want. Tell what was sent
 * of it with pacer_spent. */
uint32_t pacer_padding(struct pacer *p, uint32_t want, uint64_t now_ns);
void pacer_spent(struct pacer *p, uint32_t bytes); /* sent past the queue */
uint64_t pacer_next_ns(const struct pacer *p); /* when pacer_pop has something; UINT64_MAX: empty */
uint32_t pacer_queue_ms(const struct pacer *p); /* at the present rate */

#endif
