/*
 * proto/nack.h: the packets of one stream that are missing, and when to ask for each (RFC 4585
 * section 6.2.1).
 *
 * Constant memory: what does not fit, or was asked for in vain, is given up, oldest first. Numbers
 * are unwrapped. Internal to rtp_recv.c.
 */
#ifndef PROTO_NACK_H
#define PROTO_NACK_H

#include <sluice/err.h>

enum { NACK_MAX = 256, NACK_TRIES = 10 };

struct nack_entry {
	uint64_t seq : 56, tries : 8; /* tries: so far */
	uint64_t due_ns;
};
struct nack_list {
	struct nack_entry entries[NACK_MAX]; /* ascending by seq */
	unsigned n;
	bool gave_up; /* since nack_take said so last */
};

/* from .. to - 1 are missing, all above what was missing before. */
void nack_missing(struct nack_list *l, uint64_t from, uint64_t to, uint64_t now_ns);
void nack_arrived(struct nack_list *l, uint64_t seq);
/* What lies below is not wanted any more: given up, if it counts as a loss. */
void nack_give_up_below(struct nack_list *l, uint64_t seq);
void nack_skip_below(struct nack_list *l, uint64_t seq);
/* The low bits of what is due, ascending; rtt_us 0: not known */
unsigned nack_take(struct nack_list *l, uint64_t now_ns, uint32_t rtt_us, uint16_t *ret_seqs,
		   unsigned max);
uint64_t nack_next_ns(const struct nack_list *l);

#endif
