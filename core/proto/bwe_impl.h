/*
 * proto/bwe_impl.h: the parts of the bandwidth estimator, known to bwe*.c and their tests.
 *
 * Each part answers one question and knows nothing of the others; bwe.c asks them and decides. Two
 * clocks are at work: times of sending are ours, times of arrival the receiver's, in another epoch.
 * Only differences between the two mean something.
 */
#ifndef PROTO_BWE_IMPL_H
#define PROTO_BWE_IMPL_H

#include "proto/bwe.h"

/* ---- bwe_history.c: what was sent and what has become of it */

enum bwe_fate {
	BWE_UNUSED,  /* a number that no packet had */
	BWE_FLYING,  /* no feedback has spoken of it */
	BWE_UNTOLD,  /* the feedback that did was lost itself */
	BWE_LOST,    /* may still turn out to be late */
	BWE_ARRIVED,
};
struct bwe_packet {
	uint32_t sent_us; /* low bits */
	uint16_t bytes;
	uint8_t probe; /* low bits of the cluster id; 0: none */
	uint8_t fate;
};
struct bwe_history { /* zeroed at first */
	struct bwe_packet *ring; /* owned; grows with what is in flight; NULL: nothing was sent */
	uint32_t size;		 /* a power of two */
	uint64_t next;		 /* number of the next packet */
	uint64_t told;		 /* below it feedback has spoken */
	bool started;
};
void bwe_history_free(struct bwe_history *h);
void bwe_history_forget(struct bwe_history *h); /* all but the numbering */
void bwe_history_add(struct bwe_history *h, uint16_t seq, struct bwe_packet p, uint64_t now_us);
/* The number with these low bits, next or before it */
uint64_t bwe_history_unwrap(const struct bwe_history *h, uint16_t seq);
/* NULL: not sent, or forgotten */
struct bwe_packet *bwe_history_find(struct bwe_history *h, uint64_t number);
uint64_t bwe_sent_us(const struct bwe_packet *p, uint64_t now_us); /* in full */

/* ---- bwe_acked.c: how fast things arrive */

enum { BWE_ACKED_BUCKETS = 64, BWE_ACKED_BUCKET_US = 25000 };
struct bwe_acked {
	uint32_t bytes[BWE_ACKED_BUCKETS], packets[BWE_ACKED_BUCKETS];
	int64_t first_us, last_us; /* of arrivals */
	bool started;
};
void bwe_acked_add(struct bwe_acked *a, int64_t arrived_us, uint32_t bytes);
/* Over the last window_ms of arrivals; 0: not known */
double bwe_acked_bps(const struct bwe_acked *a, unsigned window_ms);

/* ---- bwe_delay.c: is a queue growing, and does one stand */

struct bwe_arrival {
	uint64_t sent_us;
	int64_t arrived_us;
	uint32_t bytes;
	uint8_t probe;
};
enum { BWE_MINIMA = 8 };
struct bwe_minimum { /* over a sliding window of time */
	int64_t min[BWE_MINIMA];
	uint64_t bucket, width_us;
	bool started;
};
struct bwe_group { /* packets sent together */
	uint64_t first_sent_us, last_sent_us;
	int64_t last_arrived_us;
	bool used;
};
enum { BWE_TREND_WINDOW = 20, BWE_SIZES = 2 };
struct bwe_delay {
	struct bwe_group group, before;
	double x_ms[BWE_TREND_WINDOW], y_ms[BWE_TREND_WINDOW];
	unsigned n_trend, n_deltas;
	int64_t trend_from_us; /* x is since then */
	double sum_ms, smooth_ms;
	double trend, threshold, over_ms;
	unsigned n_over;
	bool growing; /* the queue, as of the last group */
	double jitter_ms;

	/* Short packets and long ones take different times over the same queue, so each kind has its
	 * own floor. */
	struct bwe_minimum floor[BWE_SIZES], recent[BWE_SIZES], since[BWE_SIZES];
	uint64_t since_us; /* packets sent before say nothing about the present rate */
};
void bwe_delay_init(struct bwe_delay *d);
void bwe_delay_arrival(struct bwe_delay *d, const struct bwe_arrival *a);
/* The rate was changed for good now: forget what earlier packets said. */
void bwe_delay_restart(struct bwe_delay *d, uint64_t now_us);
/* The way has become longer: the floor is what was measured since the restart. */
void bwe_delay_rebase(struct bwe_delay *d);
/* Least queueing delay of what was sent of late; -SL_ENOENT: nothing yet. The second: of what was
 * sent since the restart. */
int bwe_delay_queue(const struct bwe_delay *d, int64_t *ret_queue_us);
int bwe_delay_queue_since(const struct bwe_delay *d, int64_t *ret_queue_us);
/* The queue behind a one-way time of packets of this size */
int64_t bwe_delay_above_floor(const struct bwe_delay *d, int64_t way_us, uint32_t bytes);

/* ---- bwe_loss.c: is loss ours, or of the path's nature */

enum bwe_loss_verdict {
	BWE_LOSS_FINE,	 /* nothing beyond what the path loses anyway, or too little known */
	BWE_LOSS_EXCESS, /* send less, as an experiment: bwe_loss_cut */
	BWE_LOSS_NATURE, /* the experiment has shown that sending less does not help */
	BWE_LOSS_OURS,	 /* it has shown that it does */
};
struct bwe_loss {
	unsigned n, n_lost;	/* of the window at work */
	uint64_t window_us;	/* when it began */
	uint64_t since_us;	/* packets sent before belong to the rate before */
	double nature;		/* share that is lost whatever we do */
	double last;		/* share of the last whole window */
	double before;		/* the experiment: share that led to it */
	bool experiment;
	bool started;
};
void bwe_loss_init(struct bwe_loss *l);
void bwe_loss_packet(struct bwe_loss *l, uint64_t sent_us, bool lost);
/* It came after all. */
void bwe_loss_undo(struct bwe_loss *l, uint64_t sent_us);
/* full: a queue stands, so that nature has nothing to do with it */
enum bwe_loss_verdict bwe_loss_judge(struct bwe_loss *l, bool full, uint64_t now_us);
/* The rate was lowered for it; ret: by which factor it should be */
double bwe_loss_cut(struct bwe_loss *l, uint64_t now_us);
/* The rate was lowered for another reason. */
void bwe_loss_restart(struct bwe_loss *l, uint64_t now_us);

/* ---- bwe_probe.c: a short burst at a higher rate, and what came of it */

struct bwe_probe {
	unsigned id; /* of the cluster at work or the last one */
	bool active;
	double bps;
	uint32_t want_bytes, sent_bytes, arrived_bytes;
	unsigned n_sent, n_arrived;
	uint32_t last_sent_bytes, first_arrived_bytes; /* what an interval does not carry */
	uint64_t begun_us, first_sent_us, last_sent_us;
	uint64_t arrived_first_sent_us, arrived_last_sent_us;
	int64_t first_arrived_us, last_arrived_us;
	int64_t way_us;	    /* least one-way time of the later half */
	uint32_t way_bytes; /* and the size of the packet that took it */
};
void bwe_probe_start(struct bwe_probe *p, double bps, double jitter_ms, uint64_t now_us);
void bwe_probe_sent(struct bwe_probe *p, unsigned id, uint32_t bytes, uint64_t now_us);
void bwe_probe_arrival(struct bwe_probe *p, const struct bwe_arrival *a);
bool bwe_probe_sending(const struct bwe_probe *p);
struct bwe_probed {
	double bps;
	bool full; /* it came in slower than it left: this is all that the path carries */
	int64_t way_us;	    /* least one-way time of its later half */
	uint32_t way_bytes; /* of the packet that took it */
	double length_us;   /* of sending it */
};
/* Once enough has arrived; -SL_EAGAIN: not yet, -SL_ETIMEOUT: it shows nothing */
int bwe_probe_result(struct bwe_probe *p, uint64_t now_us, uint64_t rtt_us,
		     struct bwe_probed *ret_probed);

/* ---- bwe_limit.c: where it was full. The limit has been met at this rate; near 0: it was not
 * known. */
void bwe_limit_learn(double *near, double *near_dev, double bps);

/* ---- bwe.c */

enum { BWE_HOLD_US = 10000 /* a queue with which the rate does not grow */ };

enum bwe_mode {
	BWE_GROW,
	BWE_DRAIN /* below what the path carries, until the queue is gone */
};
struct bwe {
	struct bwe_opts opts;
	struct bwe_history history;
	struct bwe_acked acked, sent; /* sent: by our clock */
	struct bwe_delay delay;
	struct bwe_loss loss;
	struct bwe_probe probe;

	enum bwe_mode mode;
	double rate, resume; /* bit/s; resume: after the drain */
	double near, near_dev; /* what the path carried when it was full; 0: not known */
	double wanted;
	double before_cut, cut_bps; /* the rate; what the path carried then */
	bool limited;	  /* by the application: told */
	bool cut_limited; /* it sent too little for what arrived to be a measure */

	uint64_t grown_us; /* up to which growth has been applied */
	uint64_t drain_until_us;
	int64_t cut_queue_us; /* what stood when it was cut */
	unsigned n_drains;    /* in a row that did not empty it */
	int64_t left_least_us, left_most_us; /* what stood since the first of those */
	int64_t queue_us;
	bool others; /* fill the queue: ours is not what stands in it */
	uint64_t others_check_us;

	uint64_t reference; /* of the last feedback, in full */
	bool heard;	    /* any feedback */
	uint64_t heard_us, sent_us;
	uint64_t silent_us; /* when silence counts next */
	double before_silence;
	uint64_t rtt_us;
	unsigned loss_permille;
	uint64_t n_told, n_missing; /* packets in feedback, those that did not arrive among them */

	uint64_t probe_at_us; /* earliest next */
	double probe_hint;	 /* a rate worth asking for; 0: none */
	uint64_t raised_us;	 /* by a probe */
	unsigned probe_patience; /* doubles the pause after probes that promised too much */

	double remb;
	uint64_t remb_us;
	uint64_t rtt_floor_us; /* by receiver reports */
	bool reported;	       /* by them, and by nothing else yet */
	double report_share;   /* lost, summed over what came since the last decision */
	unsigned n_reports;
	unsigned n_unheard;    /* probes without any feedback */
};

void bwe_bound(struct bwe *b);			/* the rate, to what is allowed */
double bwe_ceiling(const struct bwe *b);	/* that the peer has set; infinite: none */
void bwe_report_step(struct bwe *b, uint64_t now_us);
uint64_t bwe_silence_us(const struct bwe *b);	/* without feedback: something is wrong */
/* ---- bwe_control.c */
void bwe_decide(struct bwe *b, uint64_t now_us); /* after each feedback */
void bwe_probe_step(struct bwe *b, uint64_t now_us);

#endif
