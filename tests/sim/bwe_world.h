/*
 * tests/sim/bwe_world.h: senders with estimators over one bottleneck, in virtual time.
 *
 * The bottleneck is a rate and a drop-tail queue; behind it a delay, jitter or the lumps of a
 * radio, and random loss; feedback comes back over a delay and may be lost. A flow is the whole
 * chain: a source of audio and video frames, pacer, estimator, and the peer's feedback writer; a
 * sender that has no estimator and obeys its receiver's; or a window that grows and halves as a TCP
 * does. Time moves in steps of a millisecond, packets in
 * microseconds.
 */
#ifndef TESTS_SIM_BWE_WORLD_H
#define TESTS_SIM_BWE_WORLD_H

#include "proto/bwe_impl.h"
#include "proto/pacer.h"
#include "proto/remb.h"

enum { BW_FLOWS = 4, BW_RING = 4096, BW_STEP_US = 1000, BW_OVERHEAD = 60, BW_SECONDS = 240 };

struct bw_path { /* may be changed while the world turns */
	double rate_bps, queue_ms; /* queue_ms: of the first rate */
	double delay_ms;	   /* one way */
	double jitter_ms;	   /* uniform, order is kept */
	double lump_ms;		   /* mean time between the moments at which a radio sends; 0: none */
	double stall;		   /* share of those that take 50 to 150 ms */
	double loss, feedback_loss;
	double cross_bps; /* constant traffic of somebody else */
};

struct bw_packet {
	uint64_t at_us, sent_us;
	uint32_t bytes; /* or what a REMB says, in bit/s */
	uint16_t seq;
	uint16_t flow;
};

struct bw_second { /* what it brought */
	double bytes, target_bps;
};

struct bw_flow {
	/* to be set before bw_start */
	bool tcp;
	double wanted_bps; /* 0: whatever is allowed */
	double audio_bps, extra_loss;
	uint64_t starts_us, stops_us; /* 0: never */
	bool no_padding;
	bool by_reports; /* the peer gives receiver reports once a second, no more */
	bool by_remb;	 /* it sends what the peer's estimate says */
	double clock_ppm; /* how much faster than the peer's its clock is; with by_remb */
	/* Bits per second of video for the next frame; NULL: as much as is allowed */
	double (*source)(void *arg, const struct bwe_state *state, uint64_t now_us);
	void *source_arg;

	struct bwe *bwe;
	struct twcc_recv *recv;
	struct remb *remb;
	double remb_bps; /* as told last; 0: not yet */
	struct pacer pacer;
	struct bwe_state state;
	struct pacer_item items[BW_RING];
	unsigned n_items;
	uint16_t seq;
	double frame_debt, video_bps;
	uint64_t next_frame_us, next_audio_us, tick_us;
	double window, flying;		 /* of a TCP, in packets */
	uint64_t halved_us, next_expected, acked_us;
	uint64_t n_sent, n_got; /* packets, since the last report */
	uint64_t report_us;
	struct bw_packet back[BW_RING]; /* feedback or acknowledgements under way */
	unsigned back_first, back_last;
	uint8_t feedback[256][1200];
	unsigned n_feedback;
	struct bw_second seconds[BW_SECONDS];
};

struct bw_world {
	struct bw_path path;
	struct bw_flow flows[BW_FLOWS];
	unsigned n_flows;
	uint64_t now_us, chance;

	double free_us; /* when the link will be */
	double cross_debt, lump_us;
	uint64_t last_us; /* arrival before, for order */
	struct bw_packet under_way[BW_RING];
	unsigned first, last;
	double queue_ms[BW_SECONDS * 1000];
	unsigned n_queue;
};

/* Seeds to try; fewer where each step is checked by sanitizers */
unsigned bw_seeds(void);
struct bw_world *bw_new(uint64_t seed, struct bw_path path, unsigned n_flows);
void bw_free(struct bw_world *w);
void bw_start(struct bw_world *w);
void bw_run(struct bw_world *w, double seconds);
double bw_random(struct bw_world *w); /* 0 .. 1 */

/* Bits per second that flow i delivered between two moments */
double bw_got(const struct bw_world *w, unsigned i, unsigned from_s, unsigned to_s);
/* Queueing delay at the bottleneck between two moments: share of time (0 .. 1) below what is told */
double bw_queue_ms(const struct bw_world *w, double share, unsigned from_s, unsigned to_s);
/* The same of the standing queue: the least of each RTT, as what comes and goes with frames is no
 * delay that one is stuck with */
double bw_standing_ms(const struct bw_world *w, double share, unsigned from_s, unsigned to_s);
/* First second from which on the mean of three seconds stays over bps; -1: never */
int bw_reached(const struct bw_world *w, unsigned i, double bps, unsigned from_s);

#endif
