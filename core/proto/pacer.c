/*
 * proto/pacer.c: lets packets of one peer leave evenly.
 *
 * A budget of bits fills with time and may go into debt: a packet leaves when there is no debt, and
 * is charged whole. Audio leaves at once and is charged too, so that what is paced makes room for
 * it. A rate that would keep a packet longer than max_queue_ms is raised until the queue is empty:
 * the estimator sees what that does to the path, the pacer is no place to hide it. Called by the
 * endpoint; items are its own, and nothing here allocates.
 */
#include "proto/pacer.h"

enum { BURST_MS = 5 /* of budget saved while idle: the grain of a loop's timers */ };

#define NS_PER_S UINT64_C(1000000000)

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t speed(const struct pacer *p)
{
	return max_u64(max_u64(p->rate_bps, p->drain_bps), 1);
}

static int64_t bits_in(const struct pacer *p, uint32_t ms)
{
	return (int64_t)(speed(p) * ms / 1000);
}

/* Time is only used up in whole bits: many short steps fill as much as a long one. */
static void fill(struct pacer *p, uint64_t now_ns)
{
	uint64_t bps = speed(p), elapsed, earned;

	if (now_ns <= p->at_ns)
		return;
	elapsed = now_ns - p->at_ns;
	if (elapsed > NS_PER_S) {
		elapsed = NS_PER_S;
		p->at_ns = now_ns - elapsed;
	}
	earned = elapsed * bps / NS_PER_S;
	p->at_ns += earned * NS_PER_S / bps;
	p->budget_bits += (int64_t)earned;
	if (p->budget_bits > bits_in(p, BURST_MS))
		p->budget_bits = bits_in(p, BURST_MS);
}

static void charge(struct pacer *p, uint32_t bytes)
{
	int64_t floor = -bits_in(p, p->max_queue_ms) - 8 * (int64_t)bytes;

	p->budget_bits -= 8 * (int64_t)bytes;
	if (p->budget_bits < floor) /* audio above the rate does not keep video out for ever */
		p->budget_bits = floor;
}

static bool paced_empty(const struct pacer *p)
{
	return !p->first[PACER_RETRANSMISSION] && !p->first[PACER_VIDEO];
}

static struct pacer_item *take(struct pacer *p, unsigned class_)
{
	struct pacer_item *item = p->first[class_];

	p->first[class_] = item->next;
	if (!p->first[class_])
		p->last[class_] = &p->first[class_];
	item->next = NULL;
	p->queued_bytes -= item->bytes;
	if (paced_empty(p))
		p->drain_bps = 0;
	return item;
}

void pacer_init(struct pacer *p, uint64_t rate_bps, uint32_t max_queue_ms, uint64_t now_ns)
{
	*p = (struct pacer){.rate_bps = rate_bps, .max_queue_ms = max_queue_ms, .at_ns = now_ns};
	for (unsigned i = 0; i < PACER_N_CLASSES; i++)
		p->last[i] = &p->first[i];
}

void pacer_set_rate(struct pacer *p, uint64_t rate_bps, uint64_t now_ns)
{
	fill(p, now_ns);
	p->rate_bps = rate_bps;
}

void pacer_push(struct pacer *p, struct pacer_item *item, uint64_t now_ns)
{
	fill(p, now_ns);
	item->next = NULL;
	item->queued_ns = now_ns;
	*p->last[item->class_] = item;
	p->last[item->class_] = &item->next;
	p->queued_bytes += item->bytes;
	/* At this speed, kept until the queue is empty, all that is ahead of the item and the item
	 * itself leave in time. */
	if (item->class_ != PACER_AUDIO && p->max_queue_ms > 0)
		p->drain_bps =
			max_u64(p->drain_bps, UINT64_C(8000) * p->queued_bytes / p->max_queue_ms);
}

bool pacer_pass(struct pacer *p, uint32_t bytes, uint64_t now_ns)
{
	fill(p, now_ns);
	if (p->queued_bytes > 0 || p->budget_bits < 0)
		return false;
	charge(p, bytes);
	return true;
}

struct pacer_item *pacer_pop(struct pacer *p, uint64_t now_ns)
{
	struct pacer_item *item = NULL;

	fill(p, now_ns);
	if (p->first[PACER_AUDIO])
		item = take(p, PACER_AUDIO);
	else if (p->budget_bits >= 0 && p->first[PACER_RETRANSMISSION])
		item = take(p, PACER_RETRANSMISSION);
	else if (p->budget_bits >= 0 && p->first[PACER_VIDEO])
		item = take(p, PACER_VIDEO);
	if (item)
		charge(p, item->bytes);
	return item;
}

struct pacer_item *pacer_take(struct pacer *p)
{
	for (unsigned i = 0; i < PACER_N_CLASSES; i++)
		if (p->first[i])
			return take(p, i);
	return NULL;
}

uint32_t pacer_padding(struct pacer *p, uint32_t want, uint64_t now_ns)
{
	fill(p, now_ns);
	if (p->queued_bytes > 0 || p->budget_bits <= 0)
		return 0;
	return p->budget_bits / 8 < want ? (uint32_t)(p->budget_bits / 8) : want;
}

void pacer_spent(struct pacer *p, uint32_t bytes)
{
	charge(p, bytes);
}

uint64_t pacer_next_ns(const struct pacer *p)
{
	uint64_t debt = p->budget_bits < 0 ? (uint64_t)-p->budget_bits : 0, bps = speed(p);

	if (p->first[PACER_AUDIO])
		return p->at_ns;
	if (paced_empty(p))
		return UINT64_MAX;
	return p->at_ns + (debt * NS_PER_S + bps - 1) / bps;
}

uint32_t pacer_queue_ms(const struct pacer *p)
{
	return (uint32_t)(UINT64_C(8000) * p->queued_bytes / speed(p));
}
