/*
 * proto/twcc_recv.c: tells a sender when its packets came: the receiver's part of transport-wide
 * feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01).
 *
 * A ring holds the arrival times of the newest RING numbers. Each feedback goes on where the last
 * one ended; a packet that comes late, after it was told missing, draws the next one back to it, so
 * that the sender can take its loss back (telling a number twice is harmless). Numbers that jump
 * forward over the ring start it anew, backward only when two in a row do so (a sender that has
 * begun again). Memory is constant whatever the numbers do.
 */
#include "proto/bwe.h"
#include "proto/twcc.h"

#include <stdlib.h>
#include <string.h>

enum {
	RING = 1024,
	MAX_STATUSES = 1024,
	MANY_WAITING = 256, /* told at once */
	FEW_WAITING = 5,    /* may wait longer: feedback should not outweigh what it is about */
};

#define FAST_NS UINT64_C(50000000)
#define SLOW_NS UINT64_C(100000000)

struct twcc_recv {
	uint32_t at[RING];   /* by number; ticks + 1, 0: not here */
	uint64_t first, end; /* numbers to be told; unwrapped; equal: none */
	uint64_t last_ticks; /* of the latest arrival, in full; at[] has the low bits */
	uint64_t waiting_ns; /* since when something waits */
	uint32_t n_waiting;  /* arrivals not told yet */
	uint16_t stray;	     /* the number that continues one far behind */
	bool has_stray;
	uint8_t number; /* of the next feedback */
	bool started;
};

int twcc_recv_new(struct twcc_recv **ret_t)
{
	struct twcc_recv *t = calloc(1, sizeof *t);

	if (!t)
		return -SL_ENOMEM;
	*ret_t = t;
	return 0;
}

void twcc_recv_free(struct twcc_recv *t)
{
	free(t);
}

static uint32_t *slot_of(struct twcc_recv *t, uint64_t seq)
{
	return &t->at[seq % RING];
}

static void start_at(struct twcc_recv *t, uint64_t seq)
{
	memset(t->at, 0, sizeof t->at);
	t->first = t->end = seq;
	t->n_waiting = 0;
	t->started = true;
}

/* Makes room up to and including seq; what falls out of the ring untold stays untold. */
static void advance(struct twcc_recv *t, uint64_t seq)
{
	if (seq - t->end >= RING) {
		start_at(t, seq);
		t->end = seq + 1;
		return;
	}
	for (; t->end <= seq; t->end++)
		*slot_of(t, t->end) = 0;
	if (t->end - t->first > RING)
		t->first = t->end - RING;
}

/* The number nearest to the newest. A first one has room below it for what was overtaken. */
static uint64_t unwrap(struct twcc_recv *t, uint16_t seq)
{
	if (!t->started)
		start_at(t, UINT64_C(65536) + seq);
	return t->end + (uint64_t)(int64_t)(int16_t)(seq - (uint16_t)t->end);
}

/* A number from before the ring: a straggler, or the second of a sender that has begun again. */
static bool begins_anew(struct twcc_recv *t, uint16_t seq)
{
	bool follows = t->has_stray && seq == t->stray;

	t->stray = (uint16_t)(seq + 1);
	t->has_stray = !follows;
	return follows;
}

static void remember(struct twcc_recv *t, uint64_t seq, uint64_t now_ns)
{
	t->last_ticks = now_ns / (1000 * TWCC_TICK_US);
	*slot_of(t, seq) = (uint32_t)t->last_ticks + 1;
	if (*slot_of(t, seq) == 0) /* which says "not here"; one tick in 2^32 is told late */
		*slot_of(t, seq) = 1;
	if (t->n_waiting++ == 0)
		t->waiting_ns = now_ns;
}

void twcc_recv_packet(struct twcc_recv *t, uint16_t twcc_seq, uint64_t now_ns)
{
	uint64_t seq = unwrap(t, twcc_seq);

	if (t->end > seq && t->end - seq > RING) {
		if (!begins_anew(t, twcc_seq))
			return;
		seq = ((t->end >> 16) + 1) << 16 | twcc_seq;
	}
	if (seq >= t->end)
		advance(t, seq);
	else if (*slot_of(t, seq) != 0)
		return; /* doubled */
	else if (seq < t->first)
		t->first = seq;
	remember(t, seq, now_ns);
}

uint64_t twcc_recv_next_ns(const struct twcc_recv *t)
{
	if (t->n_waiting == 0)
		return UINT64_MAX;
	if (t->n_waiting >= MANY_WAITING)
		return t->waiting_ns;
	return t->waiting_ns + (t->n_waiting >= FEW_WAITING ? FAST_NS : SLOW_NS);
}

/* ---- writing */

struct draft { /* of one feedback */
	uint8_t symbols[MAX_STATUSES];
	int16_t deltas[MAX_STATUSES]; /* of those received */
	unsigned n, n_deltas, delta_bytes;
	uint64_t reference; /* in 64 ms, in full */
	uint64_t last;	    /* ticks of the last one received */
};

static uint64_t ticks_of(struct twcc_recv *t, uint64_t seq)
{
	uint32_t low = *slot_of(t, seq) - 1;

	return t->last_ticks + (uint64_t)(int64_t)(int32_t)(low - (uint32_t)t->last_ticks);
}

/* Vectors of seven are the longest way to say it. */
static size_t longest(const struct draft *d)
{
	return TWCC_HEADER + 2 * ((d->n + 6) / 7) + d->delta_bytes;
}

static bool fits(const struct draft *d, unsigned delta_bytes, size_t cap)
{
	return d->n < MAX_STATUSES && longest(d) + 2 + delta_bytes <= cap;
}

static bool add_received(struct draft *d, uint64_t ticks, size_t cap)
{
	int64_t delta = (int64_t)(ticks - d->last);
	unsigned bytes = delta >= 0 && delta <= UINT8_MAX ? 1 : 2;

	if (delta < INT16_MIN || delta > INT16_MAX || !fits(d, bytes, cap))
		return false;
	d->symbols[d->n++] = (uint8_t)bytes;
	d->deltas[d->n_deltas++] = (int16_t)delta;
	d->delta_bytes += bytes;
	d->last = ticks;
	return true;
}

static bool add_missing(struct draft *d, size_t cap)
{
	if (!fits(d, 0, cap))
		return false;
	d->symbols[d->n++] = 0;
	return true;
}

static uint64_t first_ticks(struct twcc_recv *t)
{
	uint64_t seq = t->first;

	while (seq + 1 < t->end && *slot_of(t, seq) == 0)
		seq++;
	return *slot_of(t, seq) ? ticks_of(t, seq) : t->last_ticks;
}

/* As many numbers from t->first on as fit. */
static void collect(struct twcc_recv *t, struct draft *d, size_t cap)
{
	d->n = d->n_deltas = d->delta_bytes = 0;
	d->reference = first_ticks(t) / TWCC_TICKS_PER_REF;
	d->last = d->reference * TWCC_TICKS_PER_REF;
	for (uint64_t seq = t->first; seq < t->end; seq++) {
		bool ok = *slot_of(t, seq) ? add_received(d, ticks_of(t, seq), cap)
					   : add_missing(d, cap);

		if (!ok)
			break;
	}
}

static unsigned run_at(const struct draft *d, unsigned i)
{
	unsigned n = 1;

	while (i + n < d->n && n < TWCC_RUN_MAX && d->symbols[i + n] == d->symbols[i])
		n++;
	return n;
}

static bool has_large(const struct draft *d, unsigned i, unsigned n)
{
	for (unsigned k = i; k < i + n && k < d->n; k++)
		if (d->symbols[k] == 2)
			return true;
	return false;
}

static uint16_t vector_at(const struct draft *d, unsigned i, unsigned bits)
{
	uint16_t chunk = bits == 2 ? 0xc000 : 0x8000;
	unsigned n = 14 / bits;

	for (unsigned k = 0; k < n && i + k < d->n; k++)
		chunk |= (uint16_t)(d->symbols[i + k] << (14 - bits * (k + 1)));
	return chunk;
}

/* One chunk for what begins at i; returns how many statuses it tells. */
static unsigned put_chunk(const struct draft *d, unsigned i, uint8_t *dst)
{
	unsigned run = run_at(d, i), bits = has_large(d, i, 14) ? 2 : 1, n = 14 / bits;

	if (run >= n || i + run == d->n) {
		sl_put16(dst, (uint16_t)(d->symbols[i] << 13 | run));
		return run;
	}
	sl_put16(dst, vector_at(d, i, bits));
	return i + n < d->n ? n : d->n - i;
}

static uint8_t *put_deltas(const struct draft *d, uint8_t *p)
{
	unsigned at = 0;

	for (unsigned i = 0; i < d->n; i++) {
		if (d->symbols[i] == 1)
			*p++ = (uint8_t)d->deltas[at++];
		if (d->symbols[i] == 2) {
			sl_put16(p, (uint16_t)d->deltas[at++]);
			p += 2;
		}
	}
	return p;
}

/* The length field counts in words; the last byte of padding tells how much of it there is. */
static size_t finish(uint8_t *dst, uint8_t *end)
{
	size_t len = (size_t)(end - dst), padding = -len & 3;

	dst[0] = (uint8_t)(0x80 | (padding ? 0x20 : 0) | SL_RTCP_TWCC);
	dst[1] = SL_RTCP_RTPFB;
	memset(end, 0, padding);
	if (padding)
		end[padding - 1] = (uint8_t)padding;
	sl_put16(dst + 2, (uint16_t)((len + padding) / 4 - 1));
	return len + padding;
}

static size_t put_feedback(struct twcc_recv *t, const struct draft *d, uint8_t *dst)
{
	uint8_t *p = dst + TWCC_HEADER;

	sl_put16(dst + 12, (uint16_t)t->first);
	sl_put16(dst + 14, (uint16_t)d->n);
	sl_put32(dst + 16, (uint32_t)(d->reference << 8) | t->number++);
	for (unsigned i = 0; i < d->n; p += 2)
		i += put_chunk(d, i, p);
	return finish(dst, put_deltas(d, p));
}

size_t twcc_recv_feedback(struct twcc_recv *t, uint32_t sender_ssrc, uint32_t media_ssrc,
			  uint8_t *dst, size_t cap, uint64_t now_ns)
{
	struct draft d;
	size_t len;

	if (now_ns < twcc_recv_next_ns(t) || t->first == t->end)
		return 0;
	collect(t, &d, cap & ~(size_t)3);
	if (d.n == 0)
		return 0; /* cap is too small for anything */
	sl_put32(dst + 4, sender_ssrc);
	sl_put32(dst + 8, media_ssrc);
	len = put_feedback(t, &d, dst);
	t->first += d.n;
	t->n_waiting = t->first == t->end ? 0 : MANY_WAITING; /* the rest is told at once */
	return len;
}
