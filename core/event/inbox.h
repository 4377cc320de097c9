/*
 * event/inbox.h: messages between the processes of a node, through shared memory.
 *
 * One segment, n_slots * n_slots rings with one writer and one reader each (ring [to][from]), and
 * one eventfd per slot to wake its reader. Delivery is in order per sender and respects causality
 * over senders: each record carries a ticket from the receiver's counter, and the reader merges the
 * rings by ticket (first look at all heads, then look again: all that caused what the first look
 * saw is visible in the second). kill -9 leaves a ring valid: a record exists when the writer's
 * position has been published, and is gone when the reader's has. A record names the owner (slot
 * and epoch) it was meant for; one for a predecessor is dropped and counted. Nothing waits: a full
 * ring is -SL_EFULL.
 */
#ifndef EVENT_INBOX_H
#define EVENT_INBOX_H

#include <sys/uio.h>
#include <sluice/loop.h>

struct inbox;

#define INBOX_MAX_MESSAGE 65536

struct inbox_msg {
	uint32_t channel; /* whose message: hash of a name */
	uint32_t from;	  /* owner word of the sender: slot << 16 | epoch */
	uint16_t type;
	const uint8_t *data; /* in the ring; valid during the call */
	size_t len;
};
typedef void inbox_fn(void *arg, const struct inbox_msg *msg);

size_t inbox_segment_bytes(unsigned n_slots, size_t ring_bytes);
/* segment: zeroed by its maker, mapped by the caller, which keeps it; wake_fds[n_slots]: borrowed
 * eventfds. */
int inbox_open(struct inbox **ret_inbox, void *segment, size_t bytes, unsigned n_slots,
	       size_t ring_bytes, const int *wake_fds, uint32_t self_owner);
void inbox_close(struct inbox *in);
/* Reader side: what was sent to predecessors of this slot is skipped; then fn is called from the
 * loop, at most 256 messages a tick, and none once they have taken 2 ms. */
int inbox_listen(struct inbox *in, struct sl_loop *l, inbox_fn *fn, void *arg);
/* Hands out now what was sent before, for a reader that is about to leave. Not from within fn. */
void inbox_read(struct inbox *in);
/* -SL_EFULL: ring full; -SL_ELIMIT: over INBOX_MAX_MESSAGE or half a ring. Wakes the reader unless
 * it is known to be awake. */
int inbox_send(struct inbox *in, uint32_t to_owner, uint32_t channel, uint16_t type,
	       const struct iovec *iov, unsigned n_iov);
/* Records for predecessors, skipped by this reader */
uint64_t inbox_dropped(const struct inbox *in);

#endif
