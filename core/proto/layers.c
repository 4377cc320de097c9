/*
 * proto/layers.c: one subscriber's stream made of a track's encodings.
 *
 * It is a chain of runs. A run begins with a key frame of the wanted encoding whose first packet is
 * the newest of its encoding, so that nothing of the frame has been passed over; numbers and
 * timestamps go on where the run before it ended. Which frames of a run are taken is told by
 * layers_pick.c, their numbers by layers_numbers.c, their descriptors by layers_write.c.
 *
 * Timestamps of encodings have nothing in common but the sender's reports. With them a moment keeps
 * its place in what goes out; without, or where they make no sense, arrival times serve.
 */
#include "proto/layers_impl.h"

#include <stdlib.h>

#define NS_PER_S UINT64_C(1000000000)

static const struct stretch unused;

static void stretch_free(struct stretch *st)
{
	if (st != &unused)
		free(st);
}

/* The place of the next run: the older of the two; NULL: out of memory */
static struct stretch *next_stretch(const struct sl_layers *l)
{
	struct stretch *st = l->before;

	if (st != &unused)
		return st;
	st = calloc(1, sizeof *st);
	if (!st)
		return NULL;
	st->seqs = (struct numbers){.size = NUMBERS_SEQS, .slots = st->seq_slots};
	st->pictures = (struct numbers){.size = NUMBERS_PICTURES, .slots = st->picture_slots};
	return st;
}

int sl_layers_new(struct sl_layers **ret_l, uint32_t clock_hz)
{
	struct sl_layers *l = calloc(1, sizeof *l);

	if (!l)
		return -SL_ENOMEM;
	l->clock_hz = clock_hz > 0 ? clock_hz : 90000;
	l->now = l->before = (struct stretch *)(uintptr_t)&unused;
	*ret_l = l;
	return 0;
}

void sl_layers_free(struct sl_layers *l)
{
	if (!l)
		return;
	stretch_free(l->now);
	stretch_free(l->before);
	free(l);
}

void sl_layers_set_target(struct sl_layers *l, const struct sl_layers_target *t)
{
	l->target = *t;
	if (t->paused)
		l->running = false;
}

void sl_layers_current(const struct sl_layers *l, struct sl_layers_target *ret_current)
{
	*ret_current = (struct sl_layers_target){
		.paused = !l->running,
		.encoding = l->now->run.encoding,
		.spatial = l->now->run.sel.spatial,
		.temporal = l->now->run.sel.temporal,
	};
}

/* A spatial layer is waited for only if it is made. */
bool sl_layers_wants_key(const struct sl_layers *l, unsigned *ret_encoding)
{
	const struct run *run = &l->now->run;
	bool higher = run->made_spatial > run->sel.spatial && l->target.spatial > run->sel.spatial;
	bool lower = run->stuck && l->target.spatial < run->sel.spatial;

	if (l->target.paused)
		return false;
	*ret_encoding = l->target.encoding;
	return !l->running || l->broken || run->encoding != l->target.encoding || higher || lower;
}

/* ---- timestamps */

static uint32_t ticks_of_ns(const struct sl_layers *l, uint64_t ns)
{
	return (uint32_t)(ns / NS_PER_S * l->clock_hz + ns % NS_PER_S * l->clock_hz / NS_PER_S);
}

static uint32_t ticks_of_ntp(const struct sl_layers *l, uint64_t distance)
{
	return (uint32_t)((distance >> 32) * l->clock_hz +
			  ((distance & UINT32_MAX) * l->clock_hz >> 32));
}

/* Where a timestamp of the encoding lies in what goes out, by the sender's reports */
static uint32_t by_clock(const struct sl_layers *l, unsigned encoding, uint32_t ts)
{
	const struct sl_rtc_clock *c = &l->clocks[encoding];

	return l->anchor.ts + ticks_of_ntp(l, c->ntp - l->anchor.ntp) + (ts - c->ts);
}

static uint32_t distance(uint32_t a, uint32_t b)
{
	return sl_ts_after(a, b) ? a - b : b - a;
}

/* A first frame's timestamp: never before what has been sent, and near to when it came. */
static uint32_t first_ts(struct sl_layers *l, const struct sl_layers_packet *p)
{
	uint32_t by_arrival = l->last_ts + ticks_of_ns(l, p->now_ns - l->last_ns);
	uint32_t ts = by_arrival;

	if (!l->started)
		return p->rtp->ts;
	if (l->has_anchor && l->has_clock[p->encoding]) {
		ts = by_clock(l, p->encoding, p->rtp->ts);
		if (distance(ts, by_arrival) > l->clock_hz) {
			l->has_anchor = false; /* a clock has been set */
			ts = by_arrival;
		}
	}
	return sl_ts_after(ts, l->last_ts) ? ts : l->last_ts + l->clock_hz / 1000 + 1;
}

static void drop_anchor_at(struct sl_layers *l)
{
	const struct sl_rtc_clock *c = &l->clocks[l->now->run.encoding];

	if (l->has_anchor || !l->running || !l->has_clock[l->now->run.encoding])
		return;
	l->anchor = (struct sl_rtc_clock){.ntp = c->ntp, .ts = c->ts + l->now->run.ts_offset};
	l->has_anchor = true;
}

void sl_layers_clock(struct sl_layers *l, unsigned encoding, const struct sl_rtc_clock *clock)
{
	if (encoding >= SL_RTC_MAX_ENCODINGS || clock->ntp == 0)
		return;
	l->clocks[encoding] = *clock;
	l->has_clock[encoding] = true;
	drop_anchor_at(l);
}

int sl_layers_clock_out(const struct sl_layers *l, unsigned encoding,
			const struct sl_rtc_clock *clock, struct sl_rtc_clock *ret_out)
{
	if (!l->running || l->now->run.encoding != encoding)
		return -SL_ENOENT;
	*ret_out =
		(struct sl_rtc_clock){.ntp = clock->ntp, .ts = clock->ts + l->now->run.ts_offset};
	return 0;
}

/* ---- runs */

static bool is_key_start(const struct sl_frame_info *i)
{
	if (i->unknown)
		return true;
	return i->key && i->begins && i->spatial == 0 && (!i->dd.present || i->dd.structure);
}

static bool begins_run(const struct sl_layers *l, const struct sl_layers_packet *p, bool newest)
{
	bool goes_on = l->running && !l->broken && l->now->run.encoding == p->encoding &&
		       l->now->run.codec == p->codec;

	return newest && !goes_on && p->encoding == l->target.encoding && is_key_start(p->info);
}

/* false: out of memory; the next key frame is the next chance. */
static bool begin_run(struct sl_layers *l, const struct sl_layers_packet *p)
{
	struct stretch *st = next_stretch(l);
	uint32_t ts;

	if (!st)
		return false;
	ts = first_ts(l, p);
	l->before = l->now;
	l->now = st;
	st->used = true;
	st->run = (struct run){
		.encoding = p->encoding, .codec = p->codec, .ts_offset = ts - p->rtp->ts};
	pick_begin(l, p);
	write_begin(l, p);
	numbers_begin(&st->seqs, p->seq, l->started ? (uint16_t)(l->last_seq + 1) : p->rtp->seq);
	l->last_seq = st->seqs.out;
	l->running = l->started = true;
	l->broken = false;
	drop_anchor_at(l);
	return true;
}

/* ---- packets */

static void note_sent(struct sl_layers *l, const struct sl_layers_packet *p,
		      const struct sl_rtp_out *out)
{
	if (sl_ts_after(l->last_ts, out->ts))
		return;
	l->last_ts = out->ts;
	l->last_ns = p->now_ns;
}

static int fill(struct sl_rtp_out *out, const struct sl_layers_packet *p, const struct stretch *st,
		uint16_t seq)
{
	out->src = NULL;
	out->seq = seq;
	out->ts = p->rtp->ts + st->run.ts_offset;
	return SL_DONE;
}

static int send(struct sl_rtp_out *out, const struct sl_layers_packet *p, const struct stretch *st,
		uint16_t seq)
{
	out->src = p->rtp;
	out->seq = seq;
	out->ts = p->rtp->ts + st->run.ts_offset;
	out->marker = pick_ends(&st->run, p);
	return SL_OK;
}

static bool see(struct sl_layers *l, const struct sl_layers_packet *p)
{
	bool newest = !l->seen[p->encoding] || p->seq > l->highest[p->encoding];

	if (newest)
		l->highest[p->encoding] = p->seq;
	l->seen[p->encoding] = true;
	return newest;
}

static bool belongs(const struct stretch *st, const struct sl_layers_packet *p)
{
	return st->used && st->run.encoding == p->encoding && st->run.codec == p->codec &&
	       p->seq >= st->seqs.first;
}

/* Of a run that is over nothing new is taken, but what was missing gets the place kept for it. */
static int take_late(struct sl_layers *l, struct stretch *st, const struct sl_layers_packet *p,
		     struct sl_rtp_out *out)
{
	uint16_t seq;
	bool forward;

	if (!belongs(st, p) || p->seq > st->seqs.highest)
		return SL_DROP;
	forward = p->rtp->payload_len > 0 && pick_late(&st->run, p);
	switch (numbers_take(&st->seqs, p->seq, forward, &seq)) {
	case SL_OK:
		if (!write_ids(l, st, p, true, out))
			return fill(out, p, st, seq);
		return send(out, p, st, seq);
	case SL_AGAIN:
		return fill(out, p, st, seq);
	default:
		return SL_DROP;
	}
}

static int take(struct sl_layers *l, const struct sl_layers_packet *p, bool newest, bool first,
		struct sl_rtp_out *out)
{
	bool media = p->rtp->payload_len > 0, forward = media && pick(l, p, newest);
	struct stretch *st = l->now;
	uint16_t seq;
	int found;

	found = numbers_take(&st->seqs, p->seq, forward, &seq);
	l->last_seq = st->seqs.out;
	if (first && found == SL_DONE)
		found = SL_OK;	 /* given as the run began */
	if (found == -SL_ELIMIT) /* the encoding has begun anew somewhere else */
		l->broken = true;
	if (found < 0 || found == SL_DONE)
		return SL_DROP;
	if (media && !write_ids(l, st, p, forward, out)) {
		l->broken = l->broken || newest;
		return found == SL_DROP ? SL_DROP : fill(out, p, st, seq);
	}
	if (found == SL_DROP)
		return SL_DROP;
	if (found == SL_AGAIN)
		return fill(out, p, st, seq);
	(void)send(out, p, st, seq);
	if (out->marker && p->rtp->ts == st->run.ts)
		st->run.marker_sent = true;
	note_sent(l, p, out);
	return SL_OK;
}

void sl_layers_take_soon(const struct sl_layers *l)
{
	const struct stretch *st = l->now;

	__builtin_prefetch(st);
	__builtin_prefetch(&st->run.in_picture);
	__builtin_prefetch(&st->run.picture);
	__builtin_prefetch(&st->seqs);
	__builtin_prefetch(&st->seq_slots[(st->seqs.highest + 1) & (NUMBERS_SEQS - 1)], 1);
	__builtin_prefetch(
		&st->picture_slots[(st->pictures.highest + 1) & (NUMBERS_PICTURES - 1)], 1);
	__builtin_prefetch(&l->last_seq);
}

int sl_layers_take(struct sl_layers *l, const struct sl_layers_packet *p,
		   struct sl_rtp_out *ret_out)
{
	bool newest, first;

	if (p->encoding >= SL_RTC_MAX_ENCODINGS)
		return SL_DROP;
	*ret_out = (struct sl_rtp_out){0};
	newest = see(l, p);
	first = !l->target.paused && begins_run(l, p, newest) && begin_run(l, p);
	if (l->running && !l->broken && belongs(l->now, p))
		return take(l, p, newest, first, ret_out);
	if (l->running && l->now->run.encoding == p->encoding && l->now->run.codec != p->codec)
		l->broken = true; /* and goes on with a key frame of the other codec */
	if (take_late(l, l->now, p, ret_out) == SL_DROP)
		return take_late(l, l->before, p, ret_out);
	return ret_out->src ? SL_OK : SL_DONE;
}

/* A run of its own. Its moment is long past, so no clock lines up what follows. */
int sl_layers_still(struct sl_layers *l, const struct sl_layers_packet *p,
		    struct sl_rtp_out *ret_out)
{
	bool first = is_key_start(p->info);
	int rc;

	if (p->encoding >= SL_RTC_MAX_ENCODINGS || l->target.paused || (l->running && !l->broken))
		return SL_DROP;
	*ret_out = (struct sl_rtp_out){0};
	(void)see(l, p);
	if (first && !begin_run(l, p))
		return SL_DROP;
	if (!l->running || !belongs(l->now, p))
		return SL_DROP;
	l->broken = false;
	rc = take(l, p, true, first, ret_out);
	l->broken = true;
	l->has_anchor = false;
	return rc;
}
