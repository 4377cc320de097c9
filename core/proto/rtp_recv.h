/*
 * proto/rtp_recv.h: what a receiver knows of one RTP stream: loss and jitter for reports (RFC 3550
 * section 6.4, appendices A.1, A.3, A.8), and which packets to ask for again (RFC 4585 section
 * 6.2.1).
 *
 * Sans-I/O, constant memory per stream. A stream that restarts (another SSRC is another object; the
 * same SSRC may jump) is followed after two packets in a row, as A.1 says.
 */
#ifndef PROTO_RTP_RECV_H
#define PROTO_RTP_RECV_H

#include <sluice/rtcp.h>
#include <sluice/rtp.h>

enum {
	RTP_RECV_NACKS = 256,	  /* missing packets remembered at once; older ones are given up */
	RTP_RECV_WINDOW = 1024,	  /* packets back within which a duplicate is known */
	RTP_RECV_NACK_TRIES = 10, /* then given up; a key frame may be due */
};

enum rtp_recv_verdict {
	RTP_NEW,       /* in order, or fills a gap */
	RTP_DUPLICATE, /* seen before: retransmitted twice, or replayed */
	RTP_TOO_OLD,
	RTP_JUMPED /* numbers jumped; the stream starts anew with this packet */
};

struct rtp_recv;
/* clock_hz of the payload's timestamps; nack: collect missing packets */
int rtp_recv_new(struct rtp_recv **ret_r, uint32_t ssrc, uint32_t clock_hz, bool nack);
void rtp_recv_free(struct rtp_recv *r);
/* Missing packets are collected from now on, or no longer. */
void rtp_recv_set_nack(struct rtp_recv *r, bool nack);
/* ret_seq: unwrapped, of what is RTP_NEW or RTP_JUMPED; numbers after a jump lie above all before it.
 * recovered: came as RTX or FEC, which does not count for jitter, nor for reports as received. */
enum rtp_recv_verdict rtp_recv_packet(struct rtp_recv *r, const struct sl_rtp *rtp, bool recovered,
				      uint64_t now_ns, uint64_t *ret_seq);
void rtp_recv_sr(struct rtp_recv *r, const struct sl_rtcp_sr *sr, uint64_t now_ns);
/* The report block since the last call. */
void rtp_recv_report(struct rtp_recv *r, uint64_t now_ns, struct sl_rtcp_report *ret_report);
/*
 * Sequence numbers to ask for now, ascending; at most max. A number is asked for when a small
 * reordering allowance has passed, then once per rtt, and not more often than tries allow.
 * *ret_gave_up: some were given up since the last call (a decoder needs a key frame).
 */
unsigned rtp_recv_nacks(struct rtp_recv *r, uint64_t now_ns, uint32_t rtt_us, uint16_t *ret_seqs,
			unsigned max, bool *ret_gave_up);
/* When rtp_recv_nacks has something next; UINT64_MAX: nothing */
uint64_t rtp_recv_next_ns(const struct rtp_recv *r);
/* What is missing below seq is of no use any more (a key frame begins there): asks no further. */
void rtp_recv_skip(struct rtp_recv *r, uint64_t seq);
/* NTP time (32.32) of a timestamp by the sender's reports; -SL_ENOENT before the first */
int rtp_recv_ntp(const struct rtp_recv *r, uint32_t ts, uint64_t *ret_ntp);

struct rtp_recv_stats {
	uint64_t packets, bytes, lost, duplicates, recovered, nacks_sent, jumps;
	uint32_t jitter_us;
};
void rtp_recv_get_stats(const struct rtp_recv *r, struct rtp_recv_stats *ret_stats);

#endif
