/*
 * proto/bwe_feedback.c: what transport-wide feedback tells of each packet, given to the parts that
 * can use it.
 *
 * A feedback may come twice, late, or never. A packet counts once for each part, whatever is said
 * again; what was told lost and comes after all takes its loss back.
 */
#include "proto/bwe_impl.h"
#include "proto/twcc.h"

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
	b->silent_us = r->now_us + bwe_silence_us(b);
	b->n_told += r->n;
	b->n_missing += r->n_lost;
	if (r->n > 0)
		b->loss_permille = 1000 * r->n_lost / r->n;
	if (r->rtt_us != UINT64_MAX)
		b->rtt_us = b->rtt_us ? (7 * b->rtt_us + r->rtt_us) / 8 : r->rtt_us;
	if (bwe_delay_queue(&b->delay, &b->queue_us) == 0 && b->queue_us <= BWE_HOLD_US &&
	    b->mode == BWE_GROW)
		b->others = false;
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
	bwe_decide(b, r.now_us);
	return 0;
}
