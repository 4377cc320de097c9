/*
 * proto/bwe.c: how much can be sent to one peer: asks the parts of the estimator and decides.
 *
 * One rate, moved by few rules. It grows while nothing speaks against it: by a share per second
 * where the limit is unknown, by about a packet per round trip where it has been met (GCC section
 * 5.5). When the queue grows and stands it is cut to what really arrives, and for a moment below
 * that, until the queue is gone; the floor of the delay is measured anew by that, too. Packets sent
 * before a cut say nothing about the rate after it and are not asked. A queue that stays although
 * we drained it is others', and then only loss slows us, as it does them. Loss without such cause
 * is tried, not believed (bwe_loss.c). Probes find what became free.
 *
 * Everything here is of one peer: no state is shared, so nobody suffers from another's path.
 */
#include "proto/bwe_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/twcc.h"

#define MS UINT64_C(1000) /* us */
#define S UINT64_C(1000000)

static const double grow_per_s = 1.08, packet_bits = 9600, grow_least_bps = 4000;
static const double keep = 0.95;       /* of what the path carries, after a drain */
static const double share_cut = 0.85;  /* among others that fill the queue */
static const double limited_cut = 0.7; /* at most, when we did not fill the path ourselves */
static const double drain_least = 0.1, drain_most = 0.6, drained_less = 0.85;
static const double probe_first = 3, probe_again = 2, probe_goes_on = 0.7, probe_beyond = 1.2,
		    probe_late = 0.15;
static const int64_t empty_us = 8000, hold_us = 10000, stands_least_us = 15000;
static const double stands_jitter_ms = 20;

enum {
	DRAIN_US = 400000,
	DRAINS = 3,
	ACKED_MS = 500,
	ACKED_SHORT_MS = 200,
	CLUSTER_MS = 2,
	IDLE_MS = 50
};

/* ---- life */

static void begin(struct bwe *b, uint64_t now_us)
{
	bwe_delay_init(&b->delay);
	bwe_loss_init(&b->loss);
	b->acked.started = false;
	b->mode = BWE_GROW;
	b->rate = b->opts.start_bps;
	b->near = b->near_dev = 0;
	b->queue_us = 0;
	b->others = b->heard = false;
	b->grown_us = b->probe_at_us = now_us;
	b->sent_us = b->rtt_us = b->rtt_floor_us = 0;
	b->silent_us = UINT64_MAX;
	b->before_silence = b->probe_hint = b->remb = 0;
	b->probe_patience = 0;
	b->probe.active = false;
}

static void defaults(struct bwe_opts *o)
{
	o->min_bps = o->min_bps ? o->min_bps : 30000;
	o->max_bps = o->max_bps ? o->max_bps : 20000000;
	o->start_bps = o->start_bps ? o->start_bps : 300000;
	if (o->max_bps < o->min_bps)
		o->max_bps = o->min_bps;
	if (o->start_bps < o->min_bps)
		o->start_bps = o->min_bps;
	if (o->start_bps > o->max_bps)
		o->start_bps = o->max_bps;
}

int bwe_new(struct bwe **ret_b, const struct bwe_opts *o, uint64_t now_ns)
{
	struct bwe *b = calloc(1, sizeof *b);

	if (!b)
		return -SL_ENOMEM;
	if (bwe_history_init(&b->history) < 0) {
		free(b);
		return -SL_ENOMEM;
	}
	b->opts = *o;
	defaults(&b->opts);
	b->wanted = INFINITY;
	begin(b, now_ns / 1000);
	*ret_b = b;
	return 0;
}

void bwe_free(struct bwe *b)
{
	if (!b)
		return;
	bwe_history_free(&b->history);
	free(b);
}

void bwe_path_changed(struct bwe *b, uint64_t now_ns)
{
	bwe_history_forget(&b->history);
	begin(b, now_ns / 1000);
}

static void bound(struct bwe *b)
{
	b->rate = fmin(fmax(b->rate, b->opts.min_bps), b->opts.max_bps);
}

/* What the path carries of what is sent, with what it loses by nature. 0: not known */
static double carried(const struct bwe *b, unsigned window_ms)
{
	return bwe_acked_bps(&b->acked, window_ms) / (1 - b->loss.nature);
}

/* ---- down */

/* The limit has been met at this rate: from now on growth near it is careful. */
static void learn_limit(struct bwe *b, double bps)
{
	double error = bps - b->near;

	if (b->near == 0 || fabs(error) > 3 * b->near_dev) {
		b->near = bps;
		b->near_dev = 0.05 * bps;
		return;
	}
	b->near += 0.1 * error;
	b->near_dev = fmax(0.9 * b->near_dev + 0.1 * fabs(error), 0.03 * b->near);
}

static double drain_share(const struct bwe *b)
{
	double share = fmax((double)b->cut_queue_us / DRAIN_US, drain_least);

	return fmin(share * (1 + b->n_drains), drain_most);
}

/* What passes while the queue is full is what the path has for us; the shorter look sees a drop of
 * it sooner. 0: not known */
static double passing(const struct bwe *b)
{
	double bps = carried(b, ACKED_MS), soon = carried(b, ACKED_SHORT_MS);

	return bps == 0 || (soon > 0 && soon < bps && b->queue_us > 3 * stands_least_us) ? soon
											 : bps;
}

/* While we drain, what arrives is what we send, unless the path carries even less. */
static void set_drain(struct bwe *b)
{
	double bps = passing(b);

	if (bps == 0 || bps > b->rate)
		bps = b->rate;
	if (b->limited)
		bps = fmax(bps, limited_cut * b->rate);
	if (b->mode == BWE_GROW || bps < drained_less * b->rate) {
		b->resume = keep * bps;
		b->cut_bps = bps;
	}
	b->rate = (1 - drain_share(b)) * b->cut_bps;
	bound(b);
}

/* How long the queue should take once it begins to fall */
static uint64_t drain_us(const struct bwe *b)
{
	return (uint64_t)((double)b->cut_queue_us / drain_share(b)) + 250 * MS;
}

static void start_drain(struct bwe *b, uint64_t now_us)
{
	b->cut_queue_us = b->queue_us;
	set_drain(b);
	b->mode = BWE_DRAIN;
	b->drain_until_us = now_us + drain_us(b) + b->rtt_us;
	bwe_delay_restart(&b->delay, now_us);
	bwe_loss_restart(&b->loss, now_us);
}

static void cut(struct bwe *b, uint64_t now_us)
{
	if (now_us < b->raised_us + 2 * S && b->probe_patience < 3)
		b->probe_patience++;
	b->n_drains = 0;
	b->before_cut = b->rate;
	b->probe.active = false;
	b->probe_at_us = now_us + 3 * S;
	start_drain(b, now_us);
	if (!b->limited)
		learn_limit(b, b->cut_bps);
}

static void end_drain(struct bwe *b, uint64_t now_us)
{
	b->mode = BWE_GROW;
	b->rate = fmax(b->resume, b->rate);
	b->grown_us = now_us;
	bound(b);
}

/* The queue should be gone by now. Sending ever less proves in the end that it is not ours. */
static void drain_again(struct bwe *b, uint64_t now_us)
{
	if (++b->n_drains < DRAINS) {
		start_drain(b, now_us);
		return;
	}
	b->others = true;
	b->others_check_us = now_us + 8 * S;
	b->resume = fmax(b->resume, b->before_cut); /* what we left, they took */
	end_drain(b, now_us);
}

/* Until packets sent since the cut come in, the queue still grows, and what was measured when the
 * path became narrower is of before and after. */
static void tighten(struct bwe *b, uint64_t now_us)
{
	double bps = passing(b);

	if (b->queue_us > b->cut_queue_us)
		b->cut_queue_us = b->queue_us;
	if (now_us + drain_us(b) > b->drain_until_us)
		b->drain_until_us = now_us + drain_us(b);
	if (b->limited || b->queue_us <= 2 * stands_least_us || bps == 0 || bps >= b->cut_bps)
		return;
	b->cut_bps = bps;
	b->resume = keep * bps;
	b->rate = fmin(b->rate, (1 - drain_share(b)) * bps);
	bound(b);
}

static void drain(struct bwe *b, uint64_t now_us)
{
	int64_t queue_us;

	if (bwe_delay_queue_since(&b->delay, &queue_us) < 0) {
		tighten(b, now_us);
	} else if (queue_us <= empty_us) {
		if (b->others) /* they were slowed too: what arrived was no measure */
			b->resume = fmax(b->resume, share_cut * b->before_cut);
		b->others = false;
		end_drain(b, now_us);
	} else if (now_us >= b->drain_until_us) {
		drain_again(b, now_us);
	}
}

/* A path that jitters shows small queues that are none. */
static int64_t stands_us(const struct bwe *b)
{
	return stands_least_us + (int64_t)(1000 * fmin(b->delay.jitter_ms, stands_jitter_ms));
}

static bool queue_speaks(const struct bwe *b, uint64_t now_us)
{
	if (b->others && now_us < b->others_check_us)
		return false;
	return b->queue_us > stands_us(b) || (b->delay.growing && b->queue_us > empty_us);
}

static bool loss_speaks(struct bwe *b, uint64_t now_us)
{
	switch (bwe_loss_judge(&b->loss, now_us)) {
	case BWE_LOSS_EXCESS:
		b->before_cut = b->rate;
		b->rate *= bwe_loss_cut(&b->loss, now_us);
		bound(b);
		return true;
	case BWE_LOSS_NATURE:
		b->rate = fmax(b->rate, b->before_cut);
		return false;
	case BWE_LOSS_OURS:
		learn_limit(b, b->rate);
		return true;
	case BWE_LOSS_FINE:
		return b->loss.experiment;
	}
	return false;
}

/* ---- up */

static double growth(const struct bwe *b, double elapsed_s)
{
	double round_s = (double)(b->rtt_us + 100 * MS) / 1e6;

	if (b->near > 0)
		return fmax(packet_bits / round_s, grow_least_bps) * elapsed_s;
	return b->rate * (pow(grow_per_s, elapsed_s) - 1);
}

static bool proven(const struct bwe *b)
{
	return b->rate < 1.5 * carried(b, ACKED_MS) + 10000;
}

static void grow(struct bwe *b, uint64_t now_us)
{
	double elapsed_s = fmin((double)(now_us - b->grown_us) / 1e6, 1);

	b->grown_us = now_us;
	if (b->limited || !proven(b) || (b->queue_us > hold_us && !b->others))
		return;
	if (b->near > 0 && b->rate > b->near + 3 * b->near_dev)
		b->near = 0; /* the limit is elsewhere now */
	b->rate += growth(b, elapsed_s);
	bound(b);
}

/* ---- probes */

static bool may_probe(const struct bwe *b, uint64_t now_us)
{
	return !b->probe.active && b->mode == BWE_GROW && !b->others && b->queue_us <= hold_us &&
	       now_us >= b->probe_at_us && now_us < b->sent_us + S && !b->loss.experiment &&
	       b->silent_us > now_us;
}

static double probe_rate(const struct bwe *b)
{
	double bps = fmax((b->heard ? probe_again : probe_first) * b->rate, b->probe_hint);

	return fmin(fmin(bps, probe_beyond * b->wanted), b->opts.max_bps);
}

static void probe_if_due(struct bwe *b, uint64_t now_us)
{
	if (may_probe(b, now_us) && probe_rate(b) > 1.05 * b->rate && b->wanted > b->rate)
		bwe_probe_start(&b->probe, probe_rate(b), b->delay.jitter_ms, now_us);
}

/* It seemed to come in as fast as it left, and yet later and later: what came early was held up by
 * something else. */
static bool misled(const struct bwe *b, const struct bwe_probed *r)
{
	double queue_us = (double)bwe_delay_above_floor(&b->delay, r->way_us, r->way_bytes);

	return !r->full && queue_us > probe_late * r->length_us + (double)empty_us;
}

static void raise_by_probe(struct bwe *b, const struct bwe_probed *r, uint64_t now_us)
{
	double bps = fmin(r->bps / (1 - b->loss.nature), b->probe.bps);

	if (r->full) {
		bps *= keep;
		learn_limit(b, bps);
	}
	if (bps <= b->rate)
		return;
	b->rate = bps;
	b->raised_us = now_us;
	bound(b);
}

static void probe_done(struct bwe *b, uint64_t now_us)
{
	struct bwe_probed r;
	int err = bwe_probe_result(&b->probe, now_us, b->rtt_us, &r);

	if (err == -SL_EAGAIN)
		return;
	b->probe_hint = 0;
	b->probe_at_us = now_us + (b->near > 0 ? 3 * S << b->probe_patience : S / 2);
	if (err < 0 || b->mode != BWE_GROW || misled(b, &r))
		return;
	raise_by_probe(b, &r, now_us);
	if (!r.full && r.bps >= probe_goes_on * b->probe.bps)
		b->probe_at_us = now_us;
}

/* ---- what happens */

void bwe_sent(struct bwe *b, uint16_t twcc_seq, uint32_t bytes, unsigned probe, uint64_t now_ns)
{
	uint64_t now_us = now_ns / 1000;
	struct bwe_packet p = {.sent_us = (uint32_t)now_us,
			       .bytes = (uint16_t)(bytes < UINT16_MAX ? bytes : UINT16_MAX),
			       .probe = (uint8_t)probe};

	bwe_history_add(&b->history, twcc_seq, p, now_us);
	bwe_probe_sent(&b->probe, probe, bytes, now_us);
	b->sent_us = now_us;
}

static uint64_t silence_us(const struct bwe *b)
{
	return S + 3 * b->rtt_us;
}

/* Of packets whose feedback was lost nothing is known but that they left: they count as carried,
 * else each lost feedback would look like a narrower path. */
static void credit_untold(struct bwe *b, uint64_t upto, int64_t arrived_us)
{
	for (; b->history.told < upto; b->history.told++) {
		struct bwe_packet *p = bwe_history_find(&b->history, b->history.told);

		if (!p || p->fate != BWE_FLYING)
			continue;
		p->fate = BWE_UNTOLD;
		bwe_acked_add(&b->acked, arrived_us, p->bytes);
	}
}

struct reading { /* of one feedback */
	uint64_t now_us;
	unsigned n, n_lost;
	uint64_t rtt_us; /* the least seen */
};

static void arrived(struct bwe *b, struct bwe_packet *p, int64_t arrived_us, struct reading *r)
{
	struct bwe_arrival a = {.sent_us = bwe_sent_us(p, r->now_us),
				.arrived_us = arrived_us,
				.bytes = p->bytes,
				.probe = p->probe};
	uint8_t was = p->fate;

	p->fate = BWE_ARRIVED;
	if (was == BWE_UNTOLD || was == BWE_ARRIVED)
		return; /* counted before */
	if (was == BWE_LOST)
		bwe_loss_undo(&b->loss, a.sent_us);
	else
		bwe_loss_packet(&b->loss, a.sent_us, false);
	bwe_acked_add(&b->acked, arrived_us, p->bytes);
	bwe_delay_arrival(&b->delay, &a);
	bwe_probe_arrival(&b->probe, &a);
	r->n++;
	if (r->now_us - a.sent_us < r->rtt_us)
		r->rtt_us = r->now_us - a.sent_us;
}

static void missing(struct bwe *b, struct bwe_packet *p, struct reading *r)
{
	if (p->fate != BWE_FLYING)
		return;
	p->fate = BWE_LOST;
	bwe_loss_packet(&b->loss, bwe_sent_us(p, r->now_us), true);
	r->n++;
	r->n_lost++;
}

static int64_t reference_us(struct bwe *b, uint32_t reference)
{
	uint32_t ahead = (reference - (uint32_t)b->reference) & 0xffffff;

	if (!b->heard)
		b->reference = reference;
	else
		b->reference += (uint64_t)((int64_t)(ahead ^ 0x800000) - 0x800000);
	return (int64_t)b->reference * TWCC_TICKS_PER_REF * TWCC_TICK_US;
}

static void read_statuses(struct bwe *b, const struct twcc_feedback *fb, struct reading *r)
{
	uint64_t number = bwe_history_unwrap(&b->history, fb->base);
	int64_t from_us = reference_us(b, fb->reference);
	struct twcc_walk w = {0};

	credit_untold(b, number, from_us);
	for (; twcc_next(fb, &w); number++) {
		struct bwe_packet *p = bwe_history_find(&b->history, number);

		if (p && w.received)
			arrived(b, p, from_us + w.ticks * TWCC_TICK_US, r);
		else if (p)
			missing(b, p, r);
	}
	if (number > b->history.told && number <= b->history.next)
		b->history.told = number;
}

static void note(struct bwe *b, const struct reading *r)
{
	b->heard = true;
	b->heard_us = r->now_us;
	b->silent_us = r->now_us + silence_us(b);
	if (r->n > 0)
		b->loss_permille = 1000 * r->n_lost / r->n;
	if (r->rtt_us != UINT64_MAX)
		b->rtt_us = b->rtt_us ? (7 * b->rtt_us + r->rtt_us) / 8 : r->rtt_us;
	if (bwe_delay_queue(&b->delay, &b->queue_us) == 0 && b->queue_us <= hold_us &&
	    b->mode == BWE_GROW)
		b->others = false;
}

static void decide(struct bwe *b, uint64_t now_us)
{
	if (b->mode == BWE_DRAIN)
		drain(b, now_us);
	else if (queue_speaks(b, now_us))
		cut(b, now_us);
	else if (!loss_speaks(b, now_us))
		grow(b, now_us);
	probe_done(b, now_us);
}

/* What was may be again: the first probe asks for it. */
static void after_silence(struct bwe *b, uint64_t now_us)
{
	if (b->before_silence == 0)
		return;
	b->probe_hint = b->before_silence;
	b->before_silence = 0;
	b->near = 0;
	b->probe_patience = 0;
	b->probe_at_us = now_us;
	bwe_delay_restart(&b->delay, now_us);
	bwe_loss_restart(&b->loss, now_us);
}

int bwe_feedback(struct bwe *b, const struct sl_rtcp_block *block, uint64_t now_ns)
{
	struct reading r = {.now_us = now_ns / 1000, .rtt_us = UINT64_MAX};
	struct twcc_feedback fb;
	int err = twcc_parse(&fb, block);

	if (err < 0)
		return err;
	if (!b->history.started)
		return 0; /* about nothing of ours */
	read_statuses(b, &fb, &r);
	note(b, &r);
	after_silence(b, r.now_us);
	decide(b, r.now_us);
	return 0;
}

/* ---- peers that give no transport-wide feedback */

void bwe_remb(struct bwe *b, uint64_t bps, uint64_t now_ns)
{
	b->remb = (double)bps;
	b->remb_us = now_ns / 1000;
}

static double ceiling(const struct bwe *b)
{
	return b->remb > 0 ? fmax(b->remb, b->opts.min_bps) : INFINITY;
}

void bwe_report(struct bwe *b, uint8_t fraction_lost, uint32_t rtt_us, uint64_t now_ns)
{
	uint64_t now_us = now_ns / 1000;
	double share = fraction_lost / 256.0, elapsed_s = (double)(now_us - b->grown_us) / 1e6;

	if (b->heard)
		return;
	if (rtt_us > 0) {
		b->rtt_us = rtt_us;
		if (b->rtt_floor_us == 0 || rtt_us < b->rtt_floor_us)
			b->rtt_floor_us = rtt_us;
	}
	b->queue_us = (int64_t)(b->rtt_us - b->rtt_floor_us);
	b->loss_permille = 1000u * fraction_lost / 256;
	b->grown_us = now_us;
	if (share > 0.1)
		b->rate *= 1 - share / 2;
	else if (share < 0.02 && !b->limited)
		b->rate *= pow(grow_per_s, fmin(elapsed_s, 5));
	b->rate = fmin(b->rate, ceiling(b) * 1.1);
	bound(b);
}

void bwe_set_wanted(struct bwe *b, uint64_t bps)
{
	b->wanted = (double)bps;
}

void bwe_set_app_limited(struct bwe *b, bool limited, uint64_t now_ns)
{
	if (b->limited && !limited)
		b->grown_us = now_ns / 1000;
	b->limited = limited;
}

/* Feedback has stopped though we send: the path is worse than anything it could say. */
static void mind_silence(struct bwe *b, uint64_t now_us)
{
	if (now_us < b->silent_us || b->sent_us < b->heard_us)
		return;
	if (b->before_silence == 0)
		b->before_silence = b->rate;
	b->rate /= 2;
	bound(b);
	b->silent_us = now_us + silence_us(b);
}

uint64_t bwe_tick(struct bwe *b, uint64_t now_ns)
{
	uint64_t now_us = now_ns / 1000;

	if (b->remb > 0 && now_us > b->remb_us + 10 * S)
		b->remb = 0;
	mind_silence(b, now_us);
	probe_done(b, now_us);
	probe_if_due(b, now_us);
	return (now_us + (bwe_probe_sending(&b->probe) ? CLUSTER_MS : IDLE_MS) * MS) * 1000;
}

void bwe_state(const struct bwe *b, struct bwe_state *ret_state)
{
	double target = fmin(b->rate, ceiling(b));

	*ret_state = (struct bwe_state){.target_bps = (uint64_t)target,
					.rtt_us = (uint32_t)b->rtt_us,
					.loss_permille = b->loss_permille,
					.queue_us = (int32_t)b->queue_us,
					.acked_bps = (uint64_t)bwe_acked_bps(&b->acked, ACKED_MS)};
	if (!bwe_probe_sending(&b->probe))
		return;
	ret_state->probe = b->probe.id;
	ret_state->probe_bps = (uint64_t)b->probe.bps;
	ret_state->probe_bytes = b->probe.want_bytes - b->probe.sent_bytes;
}
