/*
 * tests/lib/dtls_pair.h: two DTLS sessions and the network between them, in virtual time.
 *
 * Each datagram arrives after DELAY_MS, later by up to `jitter_ms`, twice, or not at all, as a
 * seeded generator says; a filter sees it first.
 */
#ifndef TESTS_LIB_DTLS_PAIR_H
#define TESTS_LIB_DTLS_PAIR_H

#include <sluice/buf.h>
#include <sluice/dtls.h>

#include <stdlib.h>
#include <string.h>

enum { ACTIVE, PASSIVE, DELAY_MS = 10, MAX_WIRE = 256, MAX_TEXT = 4096 };

struct dtls_wire { /* one datagram on its way */
	uint64_t at_ms;
	unsigned to; /* which end */
	size_t len;
	uint8_t data[2048];
};

struct dtls_pair;

struct dtls_end {
	struct dtls_pair *pair;
	struct sl_dtls_ctx *ctx;
	struct sl_dtls *s;
	unsigned me;
	unsigned n_sent, n_records;
	size_t longest;
	char text[MAX_TEXT];
	size_t text_len;
};

struct dtls_pair {
	struct dtls_end ends[2];
	uint64_t now_ms, random;
	unsigned loss_percent, twice_percent, jitter_ms;
	/* true: lost */
	bool (*filter)(struct dtls_pair *p, unsigned to, const uint8_t *data, size_t len);
	unsigned n_filtered; /* for the filter's own use */
	struct dtls_wire wire[MAX_WIRE];
	unsigned n_wire;
};

static inline unsigned pair_random(struct dtls_pair *p, unsigned below)
{
	uint64_t z = (p->random += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return below ? (unsigned)((z ^ (z >> 31)) % below) : 0;
}

static inline void pair_post(struct dtls_pair *p, unsigned to, const uint8_t *data, size_t len)
{
	struct dtls_wire *w = &p->wire[p->n_wire];

	if (p->n_wire == MAX_WIRE)
		return;
	p->n_wire++;
	w->at_ms = p->now_ms + DELAY_MS + pair_random(p, p->jitter_ms + 1);
	w->to = to;
	w->len = len;
	memcpy(w->data, data, len);
}

static inline void pair_on_send(void *arg, const uint8_t *data, size_t len)
{
	struct dtls_end *e = arg;
	struct dtls_pair *p = e->pair;
	unsigned to = !e->me;

	e->n_sent++;
	if (len > e->longest)
		e->longest = len;
	if (p->filter && p->filter(p, to, data, len))
		return;
	if (pair_random(p, 100) < p->loss_percent)
		return;
	pair_post(p, to, data, len);
	if (pair_random(p, 100) < p->twice_percent)
		pair_post(p, to, data, len);
}

static inline void pair_on_data(void *arg, const uint8_t *data, size_t len)
{
	struct dtls_end *e = arg;

	e->n_records++;
	sl_assert(len <= MAX_TEXT);
	memcpy(e->text, data, len);
	e->text_len = len;
}

static const struct sl_dtls_io pair_io = {.send = pair_on_send, .data = pair_on_data};

static inline struct sl_dtls_opts pair_opts(struct dtls_pair *p, unsigned who)
{
	struct sl_dtls_opts o = {
		.role = who == ACTIVE ? SL_DTLS_ACTIVE : SL_DTLS_PASSIVE,
		.io = &pair_io,
		.arg = &p->ends[who],
		.hash = sl_str_c("sha-256"),
		.fingerprint = sl_str_c(sl_dtls_fingerprint(p->ends[!who].ctx)),
	};

	return o;
}

/* Both ends with SRTP, each expecting the other's certificate. */
static inline void pair_open(struct dtls_pair *p, uint64_t seed)
{
	p->random = seed;
	p->now_ms = 1000;
	for (unsigned i = 0; i < 2; i++) {
		p->ends[i].pair = p;
		p->ends[i].me = i;
		if (!p->ends[i].ctx)
			sl_assert(sl_dtls_ctx_new(SL_DTLS_SRTP, &p->ends[i].ctx) == 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		const struct sl_dtls_opts o = pair_opts(p, i);

		if (!p->ends[i].s)
			sl_assert(sl_dtls_new(p->ends[i].ctx, &o, p->now_ms, &p->ends[i].s) == 0);
	}
	sl_dtls_start(p->ends[ACTIVE].s, p->now_ms);
}

static inline void pair_close(struct dtls_pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		sl_dtls_free(p->ends[i].s);
		sl_dtls_ctx_free(p->ends[i].ctx);
	}
}

static inline uint64_t pair_next_ms(const struct dtls_pair *p)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < 2; i++)
		if (p->ends[i].s && sl_dtls_timeout_ms(p->ends[i].s) < next)
			next = sl_dtls_timeout_ms(p->ends[i].s);
	for (unsigned i = 0; i < p->n_wire; i++)
		if (p->wire[i].at_ms < next)
			next = p->wire[i].at_ms;
	return next;
}

static inline void pair_deliver(struct dtls_pair *p)
{
	for (unsigned i = 0; i < p->n_wire;) {
		struct dtls_wire w = p->wire[i];

		if (w.at_ms > p->now_ms) {
			i++;
			continue;
		}
		memmove(&p->wire[i], &p->wire[i + 1], (p->n_wire - i - 1) * sizeof w);
		p->n_wire--;
		if (p->ends[w.to].s)
			(void)sl_dtls_input(p->ends[w.to].s, w.data, w.len, p->now_ms);
	}
}

/* One moment further; false: nothing will ever happen again. */
static inline bool pair_step(struct dtls_pair *p)
{
	uint64_t next = pair_next_ms(p);

	if (next == UINT64_MAX)
		return false;
	if (next > p->now_ms)
		p->now_ms = next;
	pair_deliver(p);
	for (unsigned i = 0; i < 2; i++)
		if (p->ends[i].s)
			(void)sl_dtls_tick(p->ends[i].s, p->now_ms);
	return true;
}

static inline enum sl_dtls_state pair_state(const struct dtls_pair *p, unsigned who)
{
	return sl_dtls_state(p->ends[who].s);
}

/* Until both ends have done shaking hands, or nothing moves any more. */
static inline void pair_shake(struct dtls_pair *p)
{
	while ((pair_state(p, 0) == SL_DTLS_SHAKING || pair_state(p, 1) == SL_DTLS_SHAKING) &&
	       pair_step(p))
		;
}

/* What is on its way arrives, and what comes of it. */
static inline void pair_settle(struct dtls_pair *p)
{
	for (unsigned i = 0; i < 1000 && p->n_wire > 0; i++)
		(void)pair_step(p);
}

static inline bool pair_is_open(const struct dtls_pair *p)
{
	return pair_state(p, 0) == SL_DTLS_OPEN && pair_state(p, 1) == SL_DTLS_OPEN;
}

#endif
