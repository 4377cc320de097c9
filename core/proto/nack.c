/*
 * proto/nack.c: which missing packets to ask for now.
 *
 * A packet is missing as soon as a later one comes, but it may only have been overtaken: it is
 * asked for after an allowance, and again each time that its retransmission should have arrived.
 * Called by rtp_recv.c, which knows what arrives.
 */
#include "proto/nack.h"

#include <string.h>

#define MS UINT64_C(1000000)

/* Networks reorder within a few milliseconds; a longer wait would only delay the repair. */
static const uint64_t reordering_ns = 10 * MS;
static const uint64_t min_repeat_ns = 20 * MS;
static const uint32_t unknown_rtt_us = 100000;

static void drop_first(struct nack_list *l, unsigned n)
{
	l->n -= n;
	memmove(l->entries, l->entries + n, l->n * sizeof l->entries[0]);
}

void nack_missing(struct nack_list *l, uint64_t from, uint64_t to, uint64_t now_ns)
{
	uint64_t n = to - from;

	if (n > NACK_MAX) {
		from = to - NACK_MAX;
		n = NACK_MAX;
		l->gave_up = true;
	}
	if (l->n + n > NACK_MAX) {
		drop_first(l, (unsigned)(l->n + n - NACK_MAX));
		l->gave_up = true;
	}
	for (; from < to; from++)
		l->entries[l->n++] =
			(struct nack_entry){.seq = from, .due_ns = now_ns + reordering_ns};
}

/* Index of the first entry that is not below seq */
static unsigned lower_bound(const struct nack_list *l, uint64_t seq)
{
	unsigned low = 0, high = l->n;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (l->entries[mid].seq < seq)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void nack_arrived(struct nack_list *l, uint64_t seq)
{
	unsigned i = lower_bound(l, seq);

	if (i == l->n || l->entries[i].seq != seq)
		return;
	l->n--;
	memmove(l->entries + i, l->entries + i + 1, (l->n - i) * sizeof l->entries[0]);
}

void nack_skip_below(struct nack_list *l, uint64_t seq)
{
	unsigned n = lower_bound(l, seq);

	if (n > 0)
		drop_first(l, n);
}

void nack_give_up_below(struct nack_list *l, uint64_t seq)
{
	if (l->n > 0 && l->entries[0].seq < seq) {
		l->gave_up = true;
		nack_skip_below(l, seq);
	}
}

/* A retransmission takes a round trip and waits in the sender's pacer. */
static uint64_t repeat_ns(uint32_t rtt_us)
{
	uint64_t rtt = (rtt_us > 0 ? rtt_us : unknown_rtt_us) * UINT64_C(1000);
	uint64_t wait = rtt + rtt / 4;

	return wait > min_repeat_ns ? wait : min_repeat_ns;
}

unsigned nack_take(struct nack_list *l, uint64_t now_ns, uint32_t rtt_us, uint16_t *ret_seqs,
		   unsigned max)
{
	unsigned n = 0, kept = 0;

	for (unsigned i = 0; i < l->n; i++) {
		struct nack_entry *e = &l->entries[i];
		bool due = e->due_ns <= now_ns && n < max;

		if (due && e->tries == NACK_TRIES) {
			l->gave_up = true;
			continue;
		}
		if (due) {
			ret_seqs[n++] = (uint16_t)e->seq;
			e->tries++;
			e->due_ns = now_ns + repeat_ns(rtt_us);
		}
		l->entries[kept++] = *e;
	}
	l->n = kept;
	return n;
}

uint64_t nack_next_ns(const struct nack_list *l)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < l->n; i++)
		if (l->entries[i].due_ns < next)
			next = l->entries[i].due_ns;
	return next;
}
