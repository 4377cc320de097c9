/*
 * recorder/reorder.h: the packets of one stream in the order of their numbers. What is missing is
 * waited for, since it may come again by retransmission, but only so long and over so many packets.
 *
 * Sans-I/O.
 */
#ifndef RECORDER_REORDER_H
#define RECORDER_REORDER_H

#include <sluice/rtp.h>

enum { REORDER_MAX = 1024 }; /* packets that wait */

struct rpacket {
	struct rpacket *prev, *next;
	uint64_t seq, arrival_ns;
	uint8_t codec, encoding;
	uint32_t len;
	uint8_t data[]; /* a whole RTP packet */
};

struct reorder {
	struct rpacket *first, *last;
	uint64_t next; /* the number that is due */
	uint64_t wait_ns;
	unsigned n;
	size_t bytes;
	bool started;
	uint64_t n_lost, n_late, n_doubled;
};
void reorder_init(struct reorder *r, uint64_t wait_ns);
/* Goes on where another has ended: numbers from next on that do not come are lost. */
void reorder_resume(struct reorder *r, uint64_t next);
/* What comes next is the first again; what was left out before it is nobody's loss. Nothing waits. */
void reorder_pause(struct reorder *r);
void reorder_free(struct reorder *r); /* what waits, too */
/* A copy. Late and doubled ones are counted and left out: 0 also then. Numbers far below those
 * before begin a new run, once nothing waits. -SL_ENOMEM */
SL_MUST_CHECK int reorder_put(struct reorder *r, const struct rpacket *head, const void *data);
/* The next packet, the caller's to free(); NULL: nothing is due yet. *ret_lost: numbers that are
 * missing before it; 1 where a new run begins, since nobody knows. */
struct rpacket *reorder_take(struct reorder *r, uint64_t now_ns, uint64_t *ret_lost);
/* The same without waiting, for the end. */
struct rpacket *reorder_flush(struct reorder *r, uint64_t *ret_lost);

#endif
