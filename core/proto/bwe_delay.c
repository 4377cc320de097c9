/*
 * proto/bwe_delay.c: is a queue growing on the way to the peer, and does one stand there.
 *
 * Growing: packets sent within 5 ms are a group; a line is fitted through the smoothed differences
 * between the groups' arrival and departure, and its slope compared with a threshold that adapts to
 * what the path does anyway (draft-ietf-rmcat-gcc-02 section 5). Early, but fooled by jitter.
 *
 * Standing: the least one-way delay of the last moments above the least of the last half minute. A
 * queue that is empty now and then does no harm and does not count, so bursts, jitter and the
 * lumps of a Wi-Fi do not either. Late, but true. bwe.c believes the first when the second agrees.
 */
#include "proto/bwe_impl.h"

#include <math.h>

enum {
	GROUP_US = 5000,
	SHORT_BYTES = 400,
	RECENT_US = 20000,     /* times BWE_MINIMA */
	FLOOR_US = 4000000,    /* likewise: clocks drift, routes change */
	STRANGE_US = 10000000, /* between two groups: not the network's doing */
};

static const double smoothing = 0.9, gain = 4.0, overuse_ms = 10.0;
static const double threshold_first = 12.5, threshold_least = 6.0, threshold_most = 600.0;
static const double threshold_up = 0.0087, threshold_down = 0.039;
static const double spike = 15.0; /* above the threshold: not learned from */
static const unsigned enough_deltas = 60;

static void init_trend(struct bwe_delay *d)
{
	d->group = d->before = (struct bwe_group){0};
	d->n_trend = d->n_deltas = d->n_over = 0;
	d->sum_ms = d->smooth_ms = d->trend = d->over_ms = 0;
	d->growing = false;
}

void bwe_delay_init(struct bwe_delay *d)
{
	*d = (struct bwe_delay){.threshold = threshold_first};
	for (unsigned i = 0; i < BWE_SIZES; i++) {
		d->floor[i].width_us = FLOOR_US;
		d->recent[i].width_us = d->since[i].width_us = RECENT_US;
	}
}

/* ---- the line */

static double slope(const struct bwe_delay *d)
{
	double x = 0, y = 0, up = 0, down = 0;

	for (unsigned i = 0; i < BWE_TREND_WINDOW; i++) {
		x += d->x_ms[i] / BWE_TREND_WINDOW;
		y += d->y_ms[i] / BWE_TREND_WINDOW;
	}
	for (unsigned i = 0; i < BWE_TREND_WINDOW; i++) {
		up += (d->x_ms[i] - x) * (d->y_ms[i] - y);
		down += (d->x_ms[i] - x) * (d->x_ms[i] - x);
	}
	return down > 0 ? up / down : 0;
}

static void adapt_threshold(struct bwe_delay *d, double trend, double elapsed_ms)
{
	double size = fabs(trend), k = size < d->threshold ? threshold_down : threshold_up;

	if (size > d->threshold + spike)
		return;
	d->threshold += k * (size - d->threshold) * fmin(elapsed_ms, 100);
	d->threshold = fmin(fmax(d->threshold, threshold_least), threshold_most);
}

static void judge(struct bwe_delay *d, double elapsed_ms)
{
	double trend =
		slope(d) * gain * (d->n_deltas < enough_deltas ? d->n_deltas : enough_deltas);

	if (trend > d->threshold) {
		d->over_ms += d->n_over++ == 0 ? elapsed_ms / 2 : elapsed_ms;
		d->growing = d->over_ms > overuse_ms && d->n_over > 1 && trend >= d->trend;
	} else {
		d->over_ms = d->n_over = 0;
		d->growing = false;
	}
	adapt_threshold(d, trend, elapsed_ms);
	d->trend = trend;
}

static void add_delta(struct bwe_delay *d, double delta_ms, const struct bwe_group *g)
{
	unsigned at = d->n_trend++ % BWE_TREND_WINDOW;

	if (d->n_deltas++ == 0)
		d->trend_from_us = g->last_arrived_us;
	d->jitter_ms += (fabs(delta_ms) - d->jitter_ms) / 16;
	d->sum_ms += delta_ms;
	d->smooth_ms = smoothing * d->smooth_ms + (1 - smoothing) * d->sum_ms;
	d->x_ms[at] = (double)(g->last_arrived_us - d->trend_from_us) / 1000;
	d->y_ms[at] = d->smooth_ms;
}

static void end_group(struct bwe_delay *d)
{
	const struct bwe_group *g = &d->group, *b = &d->before;
	double sent_ms = (double)(g->last_sent_us - b->last_sent_us) / 1000;
	double arrived_ms = (double)(g->last_arrived_us - b->last_arrived_us) / 1000;

	if (!b->used)
		return;
	if (arrived_ms < 0)
		return; /* overtaken: says nothing of the queue */
	if (fabs(arrived_ms - sent_ms) * 1000 > STRANGE_US) {
		init_trend(d);
		return;
	}
	add_delta(d, arrived_ms - sent_ms, g);
	if (d->n_trend >= BWE_TREND_WINDOW)
		judge(d, sent_ms);
}

static bool joins_group(const struct bwe_group *g, const struct bwe_arrival *a)
{
	return g->used && a->sent_us - g->first_sent_us <= GROUP_US;
}

static void trend_arrival(struct bwe_delay *d, const struct bwe_arrival *a)
{
	struct bwe_group *g = &d->group;

	if (g->used && a->sent_us < g->first_sent_us)
		return; /* of a group that is closed */
	if (!joins_group(g, a)) {
		if (g->used) {
			end_group(d);
			d->before = *g;
		}
		*g = (struct bwe_group){.first_sent_us = a->sent_us,
					.last_arrived_us = a->arrived_us,
					.used = true};
	}
	if (a->sent_us > g->last_sent_us)
		g->last_sent_us = a->sent_us;
	if (a->arrived_us > g->last_arrived_us)
		g->last_arrived_us = a->arrived_us;
}

/* ---- minima */

static void minimum_reset(struct bwe_minimum *m)
{
	*m = (struct bwe_minimum){.width_us = m->width_us};
}

static void minimum_start(struct bwe_minimum *m, uint64_t bucket)
{
	for (unsigned i = 0; i < BWE_MINIMA; i++)
		m->min[i] = INT64_MAX;
	m->bucket = bucket;
	m->started = true;
}

/* Most packets fall into the newest bucket; dividing for each would be the dearest thing here. */
static uint64_t bucket_of(const struct bwe_minimum *m, uint64_t at_us)
{
	if (m->started && at_us - m->bucket * m->width_us < m->width_us)
		return m->bucket;
	return at_us / m->width_us;
}

static void minimum_add(struct bwe_minimum *m, uint64_t at_us, int64_t v)
{
	uint64_t bucket = bucket_of(m, at_us);
	int64_t *least = &m->min[bucket % BWE_MINIMA];

	if (!m->started || bucket >= m->bucket + BWE_MINIMA)
		minimum_start(m, bucket);
	if (bucket + BWE_MINIMA <= m->bucket)
		return;
	while (m->bucket < bucket)
		m->min[++m->bucket % BWE_MINIMA] = INT64_MAX;
	if (v < *least)
		*least = v;
}

static int64_t minimum_of(const struct bwe_minimum *m)
{
	int64_t least = INT64_MAX;

	for (unsigned i = 0; m->started && i < BWE_MINIMA; i++)
		if (m->min[i] < least)
			least = m->min[i];
	return least;
}

void bwe_delay_arrival(struct bwe_delay *d, const struct bwe_arrival *a)
{
	int64_t way_us = a->arrived_us - (int64_t)a->sent_us;
	unsigned size = a->bytes >= SHORT_BYTES;

	trend_arrival(d, a);
	minimum_add(&d->floor[size], a->sent_us, way_us);
	minimum_add(&d->recent[size], a->sent_us, way_us);
	if (a->sent_us >= d->since_us)
		minimum_add(&d->since[size], a->sent_us, way_us);
}

void bwe_delay_restart(struct bwe_delay *d, uint64_t now_us)
{
	d->since_us = now_us;
	for (unsigned i = 0; i < BWE_SIZES; i++)
		minimum_reset(&d->since[i]);
}

void bwe_delay_rebase(struct bwe_delay *d)
{
	for (unsigned i = 0; i < BWE_SIZES; i++) {
		int64_t least = minimum_of(&d->since[i]);

		if (least == INT64_MAX)
			continue; /* none of this size came: it has what it had */
		minimum_reset(&d->floor[i]);
		minimum_add(&d->floor[i], d->since[i].bucket * d->since[i].width_us, least);
	}
}

static int queue_of(const struct bwe_delay *d, const struct bwe_minimum *of, int64_t *ret_queue_us)
{
	int64_t queue = INT64_MAX;

	for (unsigned i = 0; i < BWE_SIZES; i++) {
		int64_t least = minimum_of(&of[i]);

		if (least != INT64_MAX && least - minimum_of(&d->floor[i]) < queue)
			queue = least - minimum_of(&d->floor[i]);
	}
	if (queue == INT64_MAX)
		return -SL_ENOENT;
	*ret_queue_us = queue;
	return 0;
}

int bwe_delay_queue(const struct bwe_delay *d, int64_t *ret_queue_us)
{
	return queue_of(d, d->recent, ret_queue_us);
}

int bwe_delay_queue_since(const struct bwe_delay *d, int64_t *ret_queue_us)
{
	return queue_of(d, d->since, ret_queue_us);
}

int64_t bwe_delay_above_floor(const struct bwe_delay *d, int64_t way_us, uint32_t bytes)
{
	int64_t least = minimum_of(&d->floor[bytes >= SHORT_BYTES]);

	return least == INT64_MAX ? 0 : way_us - least;
}
