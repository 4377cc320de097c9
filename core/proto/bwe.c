/*
 * proto/bwe.c: how much can be sent to one peer: the life of an estimator, and what it is told and
 * asked but for feedback (bwe_feedback.c) and reports (bwe_report.c).
 *
 * bwe_control.c decides; the other parts answer one question each. Everything here is of one peer:
 * no state is shared, so nobody suffers from another's path.
 */
#include "proto/bwe_impl.h"

#include <math.h>
#include <stdlib.h>

#define MS UINT64_C(1000) /* us */
#define S UINT64_C(1000000)

/* Frames leave in most of their interval; at twice the target the bottleneck would queue them. */
static const double pacing = 1.25;

enum { ACKED_MS = 500, CLUSTER_MS = 2, BUSY_MS = 50, IDLE_MS = 500, REMB_S = 10 };

static void begin(struct bwe *b, uint64_t now_us)
{
	bwe_delay_init(&b->delay);
	bwe_loss_init(&b->loss);
	b->acked.started = b->sent.started = false;
	b->mode = BWE_GROW;
	b->rate = b->opts.start_bps;
	b->near = b->near_dev = 0;
	b->queue_us = 0;
	b->others = b->heard = b->reported = false;
	b->n_unheard = b->n_reports = 0;
	b->report_share = 0;
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

void bwe_bound(struct bwe *b)
{
	b->rate = fmin(fmax(b->rate, b->opts.min_bps), b->opts.max_bps);
}

void bwe_sent(struct bwe *b, uint16_t twcc_seq, uint32_t bytes, unsigned probe, uint64_t now_ns)
{
	uint64_t now_us = now_ns / 1000;
	struct bwe_packet p = {.sent_us = (uint32_t)now_us,
			       .bytes = (uint16_t)(bytes < UINT16_MAX ? bytes : UINT16_MAX),
			       .probe = (uint8_t)probe};

	bwe_history_add(&b->history, twcc_seq, p, now_us);
	bwe_probe_sent(&b->probe, probe, bytes, now_us);
	bwe_acked_add(&b->sent, (int64_t)now_us, bytes);
	b->sent_us = now_us;
}

uint64_t bwe_silence_us(const struct bwe *b)
{
	return S + 3 * b->rtt_us;
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
	bwe_bound(b);
	b->silent_us = now_us + bwe_silence_us(b);
}

uint64_t bwe_tick(struct bwe *b, uint64_t now_ns)
{
	uint64_t now_us = now_ns / 1000, pause_us = BUSY_MS * MS;

	if (b->remb > 0 && now_us > b->remb_us + REMB_S * S)
		b->remb = 0;
	mind_silence(b, now_us);
	bwe_report_step(b, now_us);
	bwe_probe_step(b, now_us);
	if (bwe_probe_sending(&b->probe))
		pause_us = CLUSTER_MS * MS;
	else if (now_us > b->sent_us + S)
		pause_us = IDLE_MS * MS;
	return (now_us + pause_us) * 1000;
}

void bwe_state(const struct bwe *b, struct bwe_state *ret_state)
{
	double target = fmin(b->rate, bwe_ceiling(b));

	*ret_state = (struct bwe_state){.target_bps = (uint64_t)target,
					.pace_bps = (uint64_t)(pacing * target),
					.rtt_us = (uint32_t)b->rtt_us,
					.loss_permille = b->loss_permille,
					.n_told = b->n_told,
					.n_missing = b->n_missing,
					.queue_us = (int32_t)b->queue_us,
					.sent_bps = (uint64_t)bwe_acked_bps(&b->sent, ACKED_MS),
					.acked_bps = (uint64_t)bwe_acked_bps(&b->acked, ACKED_MS)};
	if (!bwe_probe_sending(&b->probe))
		return;
	ret_state->probe = b->probe.id;
	ret_state->probe_bps = ret_state->pace_bps = (uint64_t)b->probe.bps;
	ret_state->probe_bytes = b->probe.want_bytes - b->probe.sent_bytes;
}
