/*
 * proto/bwe_probe.c: a short burst at a higher rate than the present one, and what came of it.
 *
 * What a cluster shows is the lesser of the rates at which it left and at which it came in. It is
 * long enough for jitter to average out and short enough to be drained at once when it was too
 * fast. A cluster that arrives in much less time than it was sent was lumped on the way (Wi-Fi
 * aggregates) and shows nothing.
 */
#include "proto/bwe_impl.h"

#include <math.h>

enum { MIN_PACKETS = 4, MIN_BYTES = 1500, GIVE_UP_US = 1000000, SETTLE_US = 300000 };

static const double least_ms = 15, most_ms = 60, enough = 0.8, lumped = 0.6, slower = 0.9;

void bwe_probe_start(struct bwe_probe *p, double bps, double jitter_ms, uint64_t now_us)
{
	double ms = fmin(least_ms + 4 * jitter_ms, most_ms), bytes = bps * ms / 8000;
	unsigned id = p->id + 1;

	*p = (struct bwe_probe){.id = (id & 0xff) ? id : id + 1, /* low bits go with the packets */
				.active = true,
				.bps = bps,
				.want_bytes = (uint32_t)fmax(bytes, MIN_BYTES),
				.begun_us = now_us};
}

bool bwe_probe_sending(const struct bwe_probe *p)
{
	return p->active && p->sent_bytes < p->want_bytes;
}

void bwe_probe_sent(struct bwe_probe *p, unsigned id, uint32_t bytes, uint64_t now_us)
{
	if (!p->active || id != p->id)
		return;
	if (p->n_sent++ == 0)
		p->first_sent_us = now_us;
	p->last_sent_us = now_us;
	p->sent_bytes += bytes;
}

static void note_way(struct bwe_probe *p, const struct bwe_arrival *a)
{
	int64_t way_us = a->arrived_us - (int64_t)a->sent_us;

	if (2 * p->arrived_bytes < p->want_bytes || (p->way_bytes > 0 && way_us >= p->way_us))
		return;
	p->way_us = way_us;
	p->way_bytes = a->bytes;
}

void bwe_probe_arrival(struct bwe_probe *p, const struct bwe_arrival *a)
{
	if (!p->active || a->probe != (uint8_t)p->id)
		return;
	if (p->n_arrived == 0 || a->sent_us < p->arrived_first_sent_us)
		p->arrived_first_sent_us = a->sent_us;
	if (p->n_arrived == 0 || a->sent_us >= p->arrived_last_sent_us) {
		p->arrived_last_sent_us = a->sent_us;
		p->last_sent_bytes = a->bytes;
	}
	if (p->n_arrived == 0 || a->arrived_us < p->first_arrived_us) {
		p->first_arrived_us = a->arrived_us;
		p->first_arrived_bytes = a->bytes;
	}
	if (p->n_arrived++ == 0 || a->arrived_us > p->last_arrived_us)
		p->last_arrived_us = a->arrived_us;
	p->arrived_bytes += a->bytes;
	note_way(p, a);
}

static bool whole(const struct bwe_probe *p)
{
	return p->n_arrived >= MIN_PACKETS && p->arrived_bytes >= enough * p->want_bytes;
}

/* An interval carries all but the packet that ends or begins it. */
static int measure(const struct bwe_probe *p, struct bwe_probed *ret_probed)
{
	double sent_us = (double)(p->arrived_last_sent_us - p->arrived_first_sent_us);
	double arrived_us = (double)(p->last_arrived_us - p->first_arrived_us), left, came;

	if (sent_us <= 0 || arrived_us < lumped * sent_us)
		return -SL_ETIMEOUT;
	left = 8e6 * (p->arrived_bytes - p->last_sent_bytes) / sent_us;
	came = 8e6 * (p->arrived_bytes - p->first_arrived_bytes) / arrived_us;
	ret_probed->bps = fmin(fmin(left, came), p->bps);
	ret_probed->full = came < slower * left;
	ret_probed->way_us = p->way_us;
	ret_probed->way_bytes = p->way_bytes;
	ret_probed->length_us = sent_us;
	return 0;
}

static bool all_told(const struct bwe_probe *p)
{
	return !bwe_probe_sending(p) && p->arrived_bytes >= p->sent_bytes;
}

int bwe_probe_result(struct bwe_probe *p, uint64_t now_us, uint64_t rtt_us,
		     struct bwe_probed *ret_probed)
{
	bool late;

	if (!p->active)
		return -SL_EAGAIN;
	late = bwe_probe_sending(p) ? now_us > p->begun_us + GIVE_UP_US
				    : now_us > p->last_sent_us + rtt_us + SETTLE_US;
	if (!late && !all_told(p))
		return -SL_EAGAIN;
	p->active = false;
	return whole(p) ? measure(p, ret_probed) : -SL_ETIMEOUT;
}
