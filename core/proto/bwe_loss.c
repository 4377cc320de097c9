/*
 * proto/bwe_loss.c: is loss ours, or of the path's nature.
 *
 * A radio link loses a share of packets whatever is sent; a full queue or a policer loses what is
 * too much. Only an experiment tells them apart: send less by what was lost. If the loss goes, it
 * was ours, and what arrives now is what the path carries. If it stays, it is nature up to
 * NATURE_MOST, and the rate may come back; from then on only loss beyond it counts. So random loss
 * costs one short dip, and does not add up to a collapse (draft-ietf-rmcat-gcc-02 section 6 cuts
 * for good above ten per cent). While a queue stands, loss is its doing, and none is nature.
 *
 * Shares are taken over windows with enough packets to mean something, and compared with what
 * chance makes of them.
 */
#include "proto/bwe_impl.h"

#include <math.h>

enum { WINDOW_US = 300000, WINDOW_LONG_US = 1500000, WINDOW_PACKETS = 40, FEW_PACKETS = 12 };

static const double nature_most = 0.2, margin = 0.02, sigmas = 2.5;
static const double cut_least = 0.5, learn_up = 0.05, learn_down = 0.25;

void bwe_loss_init(struct bwe_loss *l)
{
	*l = (struct bwe_loss){0};
}

void bwe_loss_restart(struct bwe_loss *l, uint64_t now_us)
{
	l->n = l->n_lost = 0;
	l->window_us = l->since_us = now_us;
	l->experiment = false;
	l->started = true;
}

void bwe_loss_packet(struct bwe_loss *l, uint64_t sent_us, bool lost)
{
	if (sent_us < l->since_us)
		return;
	l->n++;
	l->n_lost += lost;
}

void bwe_loss_undo(struct bwe_loss *l, uint64_t sent_us)
{
	if (sent_us >= l->since_us && l->n_lost > 0)
		l->n_lost--;
}

static bool window_full(const struct bwe_loss *l, uint64_t now_us)
{
	uint64_t age_us = now_us - l->window_us;

	if (age_us < WINDOW_US)
		return false;
	return l->n >= WINDOW_PACKETS || (age_us >= WINDOW_LONG_US && l->n >= FEW_PACKETS);
}

static bool beyond_nature(const struct bwe_loss *l, double share)
{
	double p = fmax(l->nature, 0.01);

	return share > l->nature + margin + sigmas * sqrt(p * (1 - p) / l->n);
}

static enum bwe_loss_verdict conclude(struct bwe_loss *l, double share, bool full)
{
	l->experiment = false;
	if (share < l->nature + (l->before - l->nature) / 2)
		return BWE_LOSS_OURS;
	if (full || share > nature_most)
		return BWE_LOSS_EXCESS;
	l->nature = share;
	return BWE_LOSS_NATURE;
}

enum bwe_loss_verdict bwe_loss_judge(struct bwe_loss *l, bool full, uint64_t now_us)
{
	enum bwe_loss_verdict verdict = BWE_LOSS_FINE;
	double share;

	if (!l->started)
		bwe_loss_restart(l, now_us);
	if (!window_full(l, now_us))
		return BWE_LOSS_FINE;
	share = (double)l->n_lost / l->n;
	l->last = share;
	if (l->experiment)
		verdict = conclude(l, share, full);
	else if (beyond_nature(l, share))
		verdict = BWE_LOSS_EXCESS;
	else if (!full)
		l->nature += (share > l->nature ? learn_up : learn_down) * (share - l->nature);
	l->n = l->n_lost = 0;
	l->window_us = now_us;
	return verdict;
}

double bwe_loss_cut(struct bwe_loss *l, uint64_t now_us)
{
	bwe_loss_restart(l, now_us);
	l->before = l->last;
	l->experiment = true;
	return fmax(1 - (l->last - l->nature), cut_least);
}
