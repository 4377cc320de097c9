/*
 * proto/remb.c: the receiver's estimate of the way to it, by how much later packets come than they
 * left.
 *
 * The queue is seen by the same trend filter and the same least delays as in the sender's estimator
 * (bwe_delay.c). What is missing is all that a sender knows: there are no probes, the
 * peer obeys a round trip later, and it may have less to send than it may. So the estimate
 *
 *     grows    up to 1.8 times what comes in, twofold in a second, while no limit was met; then
 *              up to half above what comes in, carefully (draft-ietf-rmcat-gcc-02 section 5.5);
 *     is cut   when a queue stands, to less than what comes through, until packets that left after
 *              the peer could know of it show that the queue is gone;
 *     is kept  when the peer sends less: a quiet picture says nothing about the way.
 *
 * A queue that outlasts three cuts is not the peer's to empty (somebody else fills it, or a clock
 * was set): from then on it counts as the way's length, and for a while nothing that stands counts.
 */
#include "proto/remb.h"

#include <math.h>
#include <stdlib.h>

#include "proto/bwe_impl.h"

#define MS UINT64_C(1000) /* us */
#define S UINT64_C(1000000)

enum {
	TICK_MS = 50,
	KNOWN_MS = 500, /* of arrivals, before anything is said */
	RATE_MS = 500,
	RATE_SOON_MS = 200,
	SILENT_S = 20, /* the 24 bits come round after 64 s */
	FRACTION_BITS = 18,
	TIME_BITS = 24,
	EMPTY_US = 8000,
	STANDS_US = 15000,
	DEEP_US = 45000,
	DRAIN_US = 400000,
	OBEYS_US = 100000, /* an encoder takes so long for another rate */
	DRAINS = 3,
	DEAF_S = 8,
};
/* The first tick: what came earlier than the first packet has a number, too. */
static const uint64_t first_tick = UINT64_C(1) << (TIME_BITS + 2);

static const double start_bps = 300e3, least_bps = 30e3, most_bps = 100e6;
static const double beyond = 1.5, beyond_unknown = 1.8, slack_bps = 10e3; /* of what comes in */
static const double fast_per_s = 2, careful_per_s = 0.02, packet_bits = 9600;
static const double keep = 0.95, limited_cut = 0.7, little = 0.55, share_cut = 0.85;
static const double drain_least = 0.1, drain_most = 0.4;
static const double less = 0.97; /* of what was told: told at once */
static const double stands_jitter_ms = 20;

struct remb {
	struct bwe_delay delay;
	struct bwe_acked came;
	bool started;
	uint64_t sent_ticks;	     /* newest, unwrapped */
	uint64_t first_us, heard_us; /* of arrivals, by our clock */
	uint64_t tick_us;
	double bytes, payload_bytes; /* means of a packet */

	double rate;	       /* 0: nothing known */
	double near, near_dev; /* what the way carried when it was full; 0: not known */
	uint64_t grown_us;
	int64_t queue_us;

	bool draining;
	unsigned n_drains; /* in a row that did not empty it */
	uint64_t drain_until_us;
	double cut_bps, before_cut, resume;
	int64_t cut_queue_us;
	uint64_t deaf_until_us; /* the queue is somebody else's, and says nothing */

	double told;
	uint64_t told_us;
};

static void begin(struct remb *r)
{
	*r = (struct remb){.rate = r->rate, .told = r->told, .told_us = r->told_us};
	bwe_delay_init(&r->delay);
}

int remb_new(struct remb **ret_r)
{
	struct remb *r = calloc(1, sizeof *r);

	if (!r)
		return -SL_ENOMEM;
	begin(r);
	*ret_r = r;
	return 0;
}

void remb_free(struct remb *r)
{
	free(r);
}

/* ---- what comes */

/* The nearest number with these low bits */
static uint64_t unwrap(const struct remb *r, uint32_t send_time)
{
	uint32_t ahead = (send_time - (uint32_t)r->sent_ticks) << (32 - TIME_BITS);

	return r->sent_ticks + (uint64_t)(int64_t)((int32_t)ahead >> (32 - TIME_BITS));
}

static uint64_t sent_us(uint64_t ticks)
{
	return ticks * S >> FRACTION_BITS;
}

static void start(struct remb *r, uint32_t send_time, uint64_t now_us)
{
	begin(r);
	r->started = true;
	r->sent_ticks = first_tick + (send_time & ((1u << TIME_BITS) - 1));
	r->first_us = r->heard_us = r->grown_us = now_us;
	r->tick_us = now_us + KNOWN_MS * MS;
}

static void note_sizes(struct remb *r, const struct remb_packet *p)
{
	if (r->bytes == 0) {
		r->bytes = p->bytes;
		r->payload_bytes = p->payload_bytes;
	}
	r->bytes += (p->bytes - r->bytes) / 64;
	r->payload_bytes += (p->payload_bytes - r->payload_bytes) / 64;
}

void remb_packet(struct remb *r, const struct remb_packet *p, uint64_t now_ns)
{
	uint64_t now_us = now_ns / 1000, ticks;
	struct bwe_arrival a = {.arrived_us = (int64_t)now_us, .bytes = p->bytes};

	if (!r->started || now_us > r->heard_us + SILENT_S * S)
		start(r, p->send_time, now_us);
	if (r->tick_us < now_us) /* it was silent */
		r->tick_us = now_us + TICK_MS * MS;
	r->heard_us = now_us;
	ticks = unwrap(r, p->send_time);
	if (ticks > r->sent_ticks)
		r->sent_ticks = ticks;
	a.sent_us = sent_us(ticks);
	bwe_delay_arrival(&r->delay, &a);
	bwe_acked_add(&r->came, a.arrived_us, p->bytes);
	note_sizes(r, p);
}

/* ---- down */

/* While a queue stands, what comes through is what the way carries; the shorter look sees a drop of
 * it sooner. */
static double passing(const struct remb *r)
{
	double bps = bwe_acked_bps(&r->came, RATE_MS), soon = bwe_acked_bps(&r->came, RATE_SOON_MS);

	return soon > 0 && soon < bps && r->queue_us > DEEP_US ? soon : bps;
}

static void bound(struct remb *r)
{
	r->rate = fmin(fmax(r->rate, least_bps), most_bps);
}

/* The deeper the queue, the further below what the way carries. */
static double drain_share(const struct remb *r)
{
	double share = fmax((double)r->cut_queue_us / DRAIN_US, drain_least);

	return fmin(share * (1 + r->n_drains), drain_most);
}

/* Packets count that left when the peer knew. */
static void watch_drain(struct remb *r, uint32_t rtt_us, uint64_t now_us)
{
	uint64_t obeys_us = (uint64_t)rtt_us + (uint64_t)r->cut_queue_us + OBEYS_US;

	bwe_delay_restart(&r->delay, sent_us(r->sent_ticks) + obeys_us);
	r->drain_until_us = now_us + obeys_us + 250 * MS +
			    (uint64_t)((double)r->cut_queue_us / drain_share(r));
}

/* Who sent little has hardly made the queue; what came in is no measure of the way. */
static void drain(struct remb *r, bool limited, uint32_t rtt_us, uint64_t now_us)
{
	r->cut_queue_us = r->queue_us;
	r->cut_bps = fmin(passing(r), r->rate);
	r->resume = keep * r->cut_bps;
	r->rate = (1 - drain_share(r)) * r->cut_bps;
	if (limited) {
		r->rate = fmax(r->rate, limited_cut * r->before_cut);
		r->resume = fmax(r->resume, r->rate);
	}
	bound(r);
	r->draining = true;
	watch_drain(r, rtt_us, now_us);
}

static void cut(struct remb *r, uint32_t rtt_us, uint64_t now_us)
{
	bool limited = passing(r) < little * r->rate;

	r->n_drains = 0;
	r->before_cut = r->rate;
	drain(r, limited, rtt_us, now_us);
	if (!limited)
		bwe_limit_learn(&r->near, &r->near_dev, r->cut_bps);
}

static void end_drain(struct remb *r, uint64_t now_us)
{
	r->draining = false;
	r->rate = fmax(r->rate, r->resume);
	bound(r);
	r->grown_us = now_us;
}

static void drain_again(struct remb *r, uint32_t rtt_us, uint64_t now_us)
{
	if (++r->n_drains < DRAINS) {
		drain(r, false, rtt_us, now_us);
		return;
	}
	r->resume = fmax(r->resume, share_cut * r->before_cut);
	r->deaf_until_us = now_us + DEAF_S * S;
	bwe_delay_init(&r->delay);
	end_drain(r, now_us);
}

/* The way became narrower while the peer did not know yet. */
static void tighten(struct remb *r)
{
	double bps = passing(r);

	if (r->queue_us <= r->cut_queue_us || r->queue_us < DEEP_US || bps == 0 ||
	    bps > 0.9 * r->cut_bps || r->rate > r->cut_bps)
		return;
	r->cut_bps = bps;
	r->resume = keep * bps;
	r->rate = fmin(r->rate, (1 - drain_share(r)) * bps);
	bound(r);
}

static void go_on_draining(struct remb *r, uint32_t rtt_us, uint64_t now_us)
{
	int64_t queue_us;

	if (bwe_delay_queue_since(&r->delay, &queue_us) < 0)
		tighten(r);
	else if (queue_us <= EMPTY_US)
		end_drain(r, now_us);
	if (r->draining && now_us >= r->drain_until_us)
		drain_again(r, rtt_us, now_us);
}

/* A way that jitters shows small queues that are none. */
static bool queue_speaks(const struct remb *r, uint64_t now_us)
{
	int64_t jitter_us = (int64_t)(1000 * fmin(r->delay.jitter_ms, stands_jitter_ms));

	if (now_us < r->deaf_until_us)
		return false;
	return r->queue_us > jitter_us + (r->delay.growing ? EMPTY_US : STANDS_US);
}

/* ---- up */

static double growth(const struct remb *r, uint32_t rtt_us, double elapsed_s)
{
	double round_s = (double)(rtt_us + OBEYS_US) / 1e6;

	if (r->near > 0)
		return fmax(packet_bits / round_s, careful_per_s * r->rate) * elapsed_s;
	return r->rate * (pow(fast_per_s, elapsed_s) - 1);
}

static void grow(struct remb *r, uint32_t rtt_us, uint64_t now_us)
{
	double elapsed_s = fmin((double)(now_us - r->grown_us) / 1e6, 1), proven;

	r->grown_us = now_us;
	proven = (r->near > 0 ? beyond : beyond_unknown) * bwe_acked_bps(&r->came, RATE_MS) +
		 slack_bps;
	if (r->rate >= proven || (r->queue_us > BWE_HOLD_US && now_us >= r->deaf_until_us))
		return;
	if (r->near > 0 && r->rate > r->near + 3 * r->near_dev)
		r->near = 0; /* the limit is elsewhere now */
	r->rate = fmin(r->rate + growth(r, rtt_us, elapsed_s), proven);
	bound(r);
}

static void first_estimate(struct remb *r, uint64_t now_us)
{
	double bps = bwe_acked_bps(&r->came, RATE_MS);

	if (bps == 0)
		return;
	r->rate = fmax(start_bps, beyond_unknown * bps);
	bound(r);
	r->grown_us = now_us;
}

static void decide(struct remb *r, uint32_t rtt_us, uint64_t now_us)
{
	if (bwe_delay_queue(&r->delay, &r->queue_us) < 0)
		r->queue_us = 0;
	if (r->rate == 0)
		first_estimate(r, now_us);
	else if (r->draining)
		go_on_draining(r, rtt_us, now_us);
	else if (queue_speaks(r, now_us))
		cut(r, rtt_us, now_us);
	else
		grow(r, rtt_us, now_us);
}

/* ---- what is told */

static bool is_due(const struct remb *r, uint64_t now_us)
{
	if (r->rate == 0)
		return false;
	return r->told == 0 || r->rate < less * r->told || now_us >= r->told_us + S;
}

bool remb_tick(struct remb *r, uint32_t rtt_us, uint64_t now_ns, struct remb_say *ret_say)
{
	uint64_t now_us = now_ns / 1000;

	if (!r->started || now_us < r->tick_us)
		return false;
	r->tick_us = now_us > r->heard_us + S ? UINT64_MAX / 1000 : now_us + TICK_MS * MS;
	decide(r, rtt_us, now_us);
	if (!is_due(r, now_us))
		return false;
	r->told = r->rate;
	r->told_us = now_us;
	*ret_say = (struct remb_say){
		.bps = (uint64_t)r->rate,
		.media_bps = (uint64_t)(r->rate * fmin(r->payload_bytes / r->bytes, 1)),
		.overhead = (uint32_t)fmax(r->bytes - r->payload_bytes, 0),
	};
	return true;
}

uint64_t remb_next_ns(const struct remb *r)
{
	if (!r->started || r->tick_us >= UINT64_MAX / 1000)
		return UINT64_MAX;
	return r->tick_us * 1000;
}

uint64_t remb_bps(const struct remb *r)
{
	return (uint64_t)r->rate;
}
