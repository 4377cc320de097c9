/*
 * proto/bwe_report.c: peers without transport-wide feedback: receiver reports tell loss and round
 * trip, REMB caps.
 *
 * A report comes once a second or less and is about everything sent since, so it counts for itself.
 * What comes in is not known; the round trip shows the queue, late. So growth stops sooner than
 * with feedback, and nothing is probed.
 */
#include "proto/bwe_impl.h"

#include <math.h>

static const double grow_per_s = 1.08, queue_cut = 0.85;
static const double loss_much = 0.05, loss_too_much = 0.2; /* much: when there is a queue, too */
static const int64_t stands_us = 60000;

void bwe_remb(struct bwe *b, uint64_t bps, uint64_t now_ns)
{
	b->remb = (double)bps;
	b->remb_us = now_ns / 1000;
}

double bwe_ceiling(const struct bwe *b)
{
	return b->remb > 0 ? fmax(b->remb, b->opts.min_bps) : INFINITY;
}

static void note_round(struct bwe *b, uint32_t rtt_us)
{
	if (rtt_us == 0)
		return;
	b->rtt_us = rtt_us;
	if (b->rtt_floor_us == 0 || rtt_us < b->rtt_floor_us)
		b->rtt_floor_us = rtt_us;
	b->queue_us = (int64_t)(b->rtt_us - b->rtt_floor_us);
}

static void decide_by_report(struct bwe *b, double share, double elapsed_s)
{
	if (share > (b->queue_us > BWE_HOLD_US ? loss_much : loss_too_much))
		b->rate *= 1 - share / 2;
	else if (b->queue_us > stands_us)
		b->rate *= queue_cut;
	else if (!b->limited && b->queue_us < stands_us / 2)
		b->rate *= pow(grow_per_s, fmin(elapsed_s, 5));
	b->rate = fmin(b->rate, 1.1 * bwe_ceiling(b));
	bwe_bound(b);
}

void bwe_report_step(struct bwe *b, uint64_t now_us)
{
	double elapsed_s = (double)(now_us - b->grown_us) / 1e6;

	if (b->n_reports == 0)
		return;
	decide_by_report(b, b->report_share / b->n_reports, elapsed_s);
	b->loss_permille = (unsigned)(1000 * b->report_share / b->n_reports);
	b->grown_us = now_us;
	b->report_share = 0;
	b->n_reports = 0;
}

void bwe_report(struct bwe *b, uint8_t fraction_lost, uint32_t rtt_us, uint64_t now_ns)
{
	(void)now_ns; /* the tick decides */
	if (b->heard)
		return;
	b->reported = true;
	note_round(b, rtt_us);
	b->report_share += fraction_lost / 256.0;
	b->n_reports++;
}
