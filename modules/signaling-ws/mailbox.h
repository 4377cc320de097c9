/*
 * signaling-ws/mailbox.h: what has been said to one peer and is not yet acknowledged, in order.
 * Pure.
 *
 * Each message gets the next sequence number and is kept as the text that goes over the wire, until
 * the client acknowledges the number or one above it. A client that lost its socket says what it
 * has and gets the rest.
 */
#ifndef SIGNALING_MAILBOX_H
#define SIGNALING_MAILBOX_H

#include <sluice/str.h>

struct letter {
	struct letter *next;
	uint64_t seq;
	size_t len;
	char text[]; /* {"seq":7,... */
};

struct mailbox {
	struct letter *first, **tail;
	uint64_t next_seq; /* from 1 */
	size_t n, bytes, max_n, max_bytes;
};

void mailbox_init(struct mailbox *box, size_t max_n, size_t max_bytes);
void mailbox_free(struct mailbox *box);
/* body: a JSON object with at least one member. *ret_letter is valid until acknowledged. -SL_EFULL:
 * over a bound. */
int mailbox_put(struct mailbox *box, struct sl_str body, const struct letter **ret_letter);
/* A letter from another mailbox, with its number, which must not be below next_seq. */
int mailbox_restore(struct mailbox *box, uint64_t seq, struct sl_str text);
/* Forgets all up to seq. -SL_EINVAL: that number was never given out. */
int mailbox_ack(struct mailbox *box, uint64_t seq);

#endif
