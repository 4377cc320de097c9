/*
 * proto/bwe.h: how much can be sent to one peer: send-side bandwidth estimation over transport-wide
 * feedback, delay-based and loss-based, with probing and with care for senders that have less to
 * send than they may.
 *
 * Sans-I/O. Told of each packet that leaves and of each feedback that comes; says a target rate and
 * when it wants padding for a probe. Deterministic: tests run it against a virtual bottleneck in
 * virtual time.
 */
#ifndef PROTO_BWE_H
#define PROTO_BWE_H

#include <sluice/rtcp.h>

struct bwe_opts {
	uint32_t start_bps, min_bps, max_bps; /* 0: 300 000, 30 000, 20 000 000 */
};
struct bwe;
int bwe_new(struct bwe **ret_b, const struct bwe_opts *o, uint64_t now_ns);
void bwe_free(struct bwe *b);

/* A packet of `bytes` (with its RTP header and IP/UDP overhead, as on the wire) leaves with this
 * transport-wide number. probe: cluster id of the probe that it belongs to, 0: none. */
void bwe_sent(struct bwe *b, uint16_t twcc_seq, uint32_t bytes, unsigned probe, uint64_t now_ns);
/* A transport-wide feedback block (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).
 * -SL_EPARSE */
int bwe_feedback(struct bwe *b, const struct sl_rtcp_block *fb, uint64_t now_ns);
/* Peers without transport-wide feedback: REMB caps, receiver reports tell loss and rtt; blocks about
 * several streams are taken together at the next tick. */
void bwe_remb(struct bwe *b, uint64_t bps, uint64_t now_ns);
void bwe_report(struct bwe *b, uint8_t fraction_lost, uint32_t rtt_us, uint64_t now_ns);
/* What the sender would like to send in all, for deciding whether probing upward is of use. */
void bwe_set_wanted(struct bwe *b, uint64_t bps);
/* Nothing is held back now (application-limited): the estimate is not lowered for want of
 * traffic, nor raised without proof. Who sends much less than the target is taken for limited
 * without being told. */
void bwe_set_app_limited(struct bwe *b, bool limited, uint64_t now_ns);
/* The path has changed (ICE restart, another network): begin again from start_bps, with a probe. */
void bwe_path_changed(struct bwe *b, uint64_t now_ns);

struct bwe_state {
	uint64_t target_bps;
	uint64_t pace_bps; /* at which the pacer should let things leave: evenly, but for frames */
	uint32_t rtt_us;
	uint32_t loss_permille;  /* of the last feedback interval */
	uint64_t n_told, n_missing; /* packets in feedback; those that did not arrive among them */
	int32_t queue_us;	 /* standing delay above the least seen */
	uint64_t sent_bps;	 /* what has left of late, by transport-wide numbers; 0: not known */
	uint64_t acked_bps;	 /* what has arrived of late */
	unsigned probe;		 /* cluster id to send now, 0: none */
	uint64_t probe_bps;	 /* at this rate */
	uint32_t probe_bytes;	 /* and so much of it */
};
void bwe_state(const struct bwe *b, struct bwe_state *ret_state);
/* Runs what is due; returns the next time. */
uint64_t bwe_tick(struct bwe *b, uint64_t now_ns);

/* ---- the receiver's part: feedback about what arrives, for the peer's estimator */
struct twcc_recv;
int twcc_recv_new(struct twcc_recv **ret_t);
void twcc_recv_free(struct twcc_recv *t);
void twcc_recv_packet(struct twcc_recv *t, uint16_t twcc_seq, uint64_t now_ns);
/* Writes one feedback packet of at most cap bytes (1200 fit); its length, 0: nothing to tell now.
 * Call again until 0. Every 50 to 100 ms, sooner at high rates. */
size_t twcc_recv_feedback(struct twcc_recv *t, uint32_t sender_ssrc, uint32_t media_ssrc,
			  uint8_t *dst, size_t cap, uint64_t now_ns);
uint64_t twcc_recv_next_ns(const struct twcc_recv *t);

#endif
