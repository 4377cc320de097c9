/*
 * proto/bwe_control.c: one rate, moved by few rules.
 *
 * It grows while nothing speaks against it: by a share per second where the limit is unknown, by
 * about a packet per round trip where it has been met (draft-ietf-rmcat-gcc-02 section 5.5). When
 * the queue grows and stands it is cut to what really arrives, and for a moment below that, until
 * the queue is gone; the floor of the delay is measured anew by that, too. Packets sent before a
 * cut say nothing about the rate after it and are not asked. A queue that stays although less was
 * sent into it is others', and then only loss slows us, as it does them; one that does not even
 * sway is a longer way. Loss without such cause is tried, not believed (bwe_loss.c). Probes find
 * what became free.
 */
#include "proto/bwe_impl.h"

#include <math.h>

#define MS UINT64_C(1000) /* us */
#define S UINT64_C(1000000)

static const double grow_per_s = 1.08, packet_bits = 9600, careful_per_s = 0.02;
static const double keep = 0.95;      /* of what the path carries, after a drain */
static const double share_cut = 0.85; /* among others that fill the queue */
static const double little = 0.75, proof = 1.15, nearly = 0.97;
static const double room_for_sent = 1.4;
static const double limited_cut = 0.7; /* at most, when we did not fill the path ourselves */
static const double drain_least = 0.1, drain_most = 0.6, drained_less = 0.85;
static const double overrun = 0.85;     /* of what is sent: less than this arrives */
static const double really_less = 0.85; /* of what the path carries */
static const double probe_first = 3, probe_again = 2, probe_goes_on = 0.7, probe_beyond = 1.2,
		    probe_late = 0.15;
static const int64_t empty_us = 8000, stands_least_us = 15000;
static const double stands_jitter_ms = 20;

enum {
	DRAIN_US = 400000,
	DRAINS = 3,
	DRAINS_UNPROVEN = 6,
	UNHEARD = 3,
	PROBE_MS = 3000,
	ANYHOW_S = 4,
	ACKED_MS = 500,
	ACKED_SHORT_MS = 200
};

/* What the path carries of what is sent, with what it loses by nature. 0: not known */
static double carried(const struct bwe *b, unsigned window_ms)
{
	return bwe_acked_bps(&b->acked, window_ms) / (1 - b->loss.nature);
}

/* ---- down */

static int64_t jitter_us(const struct bwe *b)
{
	return (int64_t)(1000 * fmin(b->delay.jitter_ms, stands_jitter_ms));
}

/* A queue that is no jitter */
static bool is_long(const struct bwe *b)
{
	return b->queue_us > 3 * stands_least_us;
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

	return bps == 0 || (soon > 0 && soon < bps && is_long(b)) ? soon : bps;
}

static double sent_bps(const struct bwe *b)
{
	return bwe_acked_bps(&b->sent, ACKED_MS);
}

/* Who sends little has hardly made the queue, and keeps what he sends until a second look: on a
 * machine with too much to do packets wait for their process, and then there is no queue at all. */
static double left_to_sender(const struct bwe *b)
{
	double bps = sent_bps(b);

	return carried(b, ACKED_MS) < little * bps ? 0 : fmin(b->before_cut, room_for_sent * bps);
}

/* While we drain, what arrives is what we send, unless the path carries even less. */
static void set_drain(struct bwe *b)
{
	double bps = passing(b);

	if (bps == 0 || bps > b->rate)
		bps = b->rate;
	if (b->cut_limited)
		bps = fmax(bps, limited_cut * b->rate);
	if (b->mode == BWE_GROW || bps < drained_less * b->rate) {
		b->resume = keep * bps;
		b->cut_bps = bps;
	}
	b->rate = (1 - drain_share(b)) * b->cut_bps;
	if (b->cut_limited && b->n_drains == 0)
		b->rate = fmax(b->rate, left_to_sender(b));
	bwe_bound(b);
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

static bool sends_little(const struct bwe *b)
{
	return b->limited || sent_bps(b) < little * b->rate;
}

static void cut(struct bwe *b, uint64_t now_us)
{
	if (now_us < b->raised_us + 2 * S && b->probe_patience < 3)
		b->probe_patience++;
	b->n_drains = 0;
	b->cut_limited = sends_little(b);
	b->before_cut = b->cut_limited ? fmin(b->rate, room_for_sent * sent_bps(b)) : b->rate;
	b->probe.active = false;
	b->probe_at_us = now_us + PROBE_MS * MS;
	start_drain(b, now_us);
	if (!b->cut_limited)
		bwe_limit_learn(&b->near, &b->near_dev, b->cut_bps);
}

static void end_drain(struct bwe *b, uint64_t now_us)
{
	b->mode = BWE_GROW;
	b->rate = fmax(b->resume, b->rate);
	b->grown_us = now_us;
	bwe_bound(b);
}

/* A queue changes when less is sent into it, and others' queues change anyway. */
static void note_left(struct bwe *b)
{
	if (b->n_drains > 0 && b->queue_us < b->left_least_us)
		b->left_least_us = b->queue_us;
	if (b->n_drains > 0 && b->queue_us > b->left_most_us)
		b->left_most_us = b->queue_us;
}

static bool is_longer_way(const struct bwe *b)
{
	return b->left_most_us - b->left_least_us < empty_us + jitter_us(b);
}

static bool has_sent_less(const struct bwe *b)
{
	return sent_bps(b) < really_less * b->cut_bps;
}

/* The queue should be gone by now. Sending ever less proves in the end that it is not ours, if that
 * is what has been done: who sends takes his time to obey, and some is not his to hold back. */
static void drain_again(struct bwe *b, uint64_t now_us)
{
	unsigned n = ++b->n_drains;
	bool less = has_sent_less(b);

	if (n == 1)
		b->left_least_us = b->left_most_us = b->queue_us;
	if (n < DRAINS || (!less && n < DRAINS_UNPROVEN)) {
		start_drain(b, now_us);
		return;
	}
	if (less && is_longer_way(b)) {
		bwe_delay_rebase(&b->delay);
		b->queue_us = 0;
	} else {
		b->others = true;
		b->others_check_us = now_us + 8 * S;
	}
	if (less)
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
	if (b->cut_limited || b->queue_us <= 2 * stands_least_us || bps == 0 || bps >= b->cut_bps)
		return;
	b->cut_bps = bps;
	b->resume = keep * bps;
	b->rate = fmin(b->rate, (1 - drain_share(b)) * bps);
	bwe_bound(b);
}

/* Less arrives than leaves: the queue is one, and ours. */
static bool is_overrun(const struct bwe *b)
{
	double bps = carried(b, ACKED_MS);

	return is_long(b) && bps > 0 && bps < overrun * sent_bps(b);
}

static void drain(struct bwe *b, uint64_t now_us)
{
	int64_t queue_us;

	note_left(b);
	if (b->cut_limited && is_overrun(b)) {
		b->cut_limited = false;
		start_drain(b, now_us);
	} else if (bwe_delay_queue_since(&b->delay, &queue_us) < 0) {
		tighten(b, now_us);
	} else if (queue_us <= empty_us) {
		if (b->cut_limited && b->n_drains == 0) /* gone by itself: it was none */
			b->resume = fmax(b->resume, left_to_sender(b));
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
	return stands_least_us + jitter_us(b);
}

static bool queue_speaks(const struct bwe *b, uint64_t now_us)
{
	if (b->others && now_us < b->others_check_us)
		return false;
	return b->queue_us > stands_us(b) || (b->delay.growing && b->queue_us > empty_us);
}

static bool loss_speaks(struct bwe *b, uint64_t now_us)
{
	switch (bwe_loss_judge(&b->loss, is_long(b), now_us)) {
	case BWE_LOSS_EXCESS:
		b->before_cut = b->rate;
		b->rate *= bwe_loss_cut(&b->loss, now_us);
		bwe_bound(b);
		return true;
	case BWE_LOSS_NATURE:
		b->rate = fmax(b->rate, b->before_cut);
		return false;
	case BWE_LOSS_OURS:
		bwe_limit_learn(&b->near, &b->near_dev, b->rate);
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
		return fmax(packet_bits / round_s, careful_per_s * b->rate) * elapsed_s;
	return b->rate * (pow(grow_per_s, elapsed_s) - 1);
}

static bool proven(const struct bwe *b)
{
	return b->rate < proof * carried(b, ACKED_MS) + 10000;
}

static void grow(struct bwe *b, uint64_t now_us)
{
	double elapsed_s = fmin((double)(now_us - b->grown_us) / 1e6, 1);

	b->grown_us = now_us;
	if (b->limited || !proven(b) || (b->queue_us > BWE_HOLD_US && !b->others))
		return;
	if (b->near > 0 && b->rate > b->near + 3 * b->near_dev) {
		b->near = 0; /* the limit is elsewhere now */
		b->probe_at_us = now_us;
	}
	b->rate += growth(b, elapsed_s);
	bwe_bound(b);
}

/* ---- probes */

/* A cluster of which nobody tells is a burden on the path and no more. */
static bool is_told(const struct bwe *b)
{
	return b->heard || (!b->reported && b->n_unheard < UNHEARD);
}

/* Where the limit was met of late, growth itself shows whether it is still there, and a cluster
 * would only add to the queue that growth is about to make. */
static bool at_limit(const struct bwe *b, uint64_t now_us)
{
	return b->near > 0 && b->rate > nearly * b->near && !sends_little(b) &&
	       now_us < b->probe.begun_us + ANYHOW_S * S;
}

static bool may_probe(const struct bwe *b, uint64_t now_us)
{
	if (b->probe.active || b->mode != BWE_GROW || b->others || b->loss.experiment)
		return false;
	if (now_us < b->probe_at_us || now_us >= b->sent_us + S || now_us >= b->silent_us)
		return false;
	return b->queue_us <= BWE_HOLD_US && is_told(b) && !at_limit(b, now_us);
}

static double probe_rate(const struct bwe *b)
{
	double bps = fmax((b->heard ? probe_again : probe_first) * b->rate, b->probe_hint);

	return fmin(fmin(bps, probe_beyond * b->wanted), b->opts.max_bps);
}

static void probe_if_due(struct bwe *b, uint64_t now_us)
{
	if (!may_probe(b, now_us) || probe_rate(b) <= 1.05 * b->rate || b->wanted <= b->rate)
		return;
	bwe_probe_start(&b->probe, probe_rate(b), b->delay.jitter_ms, now_us);
	b->n_unheard += !b->heard;
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
		bwe_limit_learn(&b->near, &b->near_dev, bps);
	}
	if (bps <= b->rate)
		return;
	b->rate = bps;
	b->raised_us = now_us;
	bwe_bound(b);
}

static void probe_done(struct bwe *b, uint64_t now_us)
{
	struct bwe_probed r;
	int err = bwe_probe_result(&b->probe, now_us, b->rtt_us, &r);

	if (err == -SL_EAGAIN)
		return;
	b->probe_hint = 0;
	b->probe_at_us = now_us + (b->near > 0 ? PROBE_MS * MS << b->probe_patience : S / 2);
	if (err < 0 || b->mode != BWE_GROW || misled(b, &r))
		return;
	raise_by_probe(b, &r, now_us);
	if (!r.full && r.bps >= probe_goes_on * b->probe.bps)
		b->probe_at_us = now_us;
}

void bwe_probe_step(struct bwe *b, uint64_t now_us)
{
	probe_done(b, now_us);
	probe_if_due(b, now_us);
}

void bwe_decide(struct bwe *b, uint64_t now_us)
{
	if (b->mode == BWE_DRAIN)
		drain(b, now_us);
	else if (queue_speaks(b, now_us))
		cut(b, now_us);
	else if (!loss_speaks(b, now_us))
		grow(b, now_us);
	probe_done(b, now_us);
}
