/*
 * sluice/line.h: a line: plain RTP with one party (RFC 3550), whatever it is: a desk phone, a PBX, a
 * carrier. Whose packets are believed, SRTP with keys of the description, RTCP, and what is known
 * of loss, jitter and round trip.
 *
 * Sans-I/O and without a clock. Symmetric (RFC 4961): media goes to where media comes from, once a
 * source has proven itself; nobody else takes a line over afterwards. WebRTC is <sluice/rtc.h>.
 */
#ifndef SLUICE_LINE_H
#define SLUICE_LINE_H

#include <sluice/rtp.h>
#include <sluice/sdp_plain.h>

enum {
	SL_LINE_OVERHEAD = SL_RTP_HEADER + 20, /* what a sent payload grows by, at most */
	SL_LINE_RTCP_MAX = 256,
	SL_LINE_MISSED = 64, /* of one packet of RTCP; a peer that misses more is asked in the next */
};

struct sl_line;
struct sl_line_opts {
	uint32_t ssrc; /* ours; random */
	struct sl_str cname; /* at most 63 bytes are kept */
};
SL_API SL_MUST_CHECK int sl_line_new(struct sl_line **ret_line, const struct sl_line_opts *o);
SL_API void sl_line_free(struct sl_line *l); /* accepts NULL */

/* Lines of one party have one, so that their reports are known to belong together */
SL_API struct sl_str sl_line_cname(const struct sl_line *l);

/* ---- what was described */
struct sl_line_remote {
	struct sl_addr rtp, rtcp; /* family 0: not known, wait for packets */
	bool mux;
	bool strict; /* media comes from there and from nowhere else */
};
/* Another address than before lets a new source prove itself. */
SL_API void sl_line_set_remote(struct sl_line *l, const struct sl_line_remote *r);
/* What the peer may send: the clock of a payload type; 0: not agreed, packets are dropped. */
SL_API void sl_line_set_format(struct sl_line *l, uint8_t pt, uint32_t clock_hz);
SL_API void sl_line_clear_formats(struct sl_line *l);
/* enum sl_plain_feedback: of which RTCP feedback both sides know. With NACK, what is missing of what
 * is heard from now on is kept, to be asked for. */
SL_API void sl_line_set_feedback(struct sl_line *l, unsigned feedback);
/* local protects what we send; both NULL: plain. Equal keys change nothing. -SL_EUNSUPP */
SL_API SL_MUST_CHECK int sl_line_set_keys(struct sl_line *l, const struct sl_sdes *local,
					  const struct sl_sdes *remote);

/* ---- in */
enum sl_line_verdict {
	SL_LINE_RTP,  /* *ret_in is filled */
	SL_LINE_RTCP, /* read */
	SL_LINE_DROP  /* counted */
};
struct sl_line_in {
	struct sl_rtp rtp; /* over data; packet NULL */
	uint64_t seq;	   /* unwrapped */
	bool restarted;	   /* another SSRC, or the numbers jumped */
	bool latched;	   /* with this packet, the way back became known or another one */
	bool key_frame;	   /* of RTCP: the peer asks for a key frame of what we send */
	/* of RTCP, where it was agreed on: what the peer has not got of what we send, */
	uint16_t missed[SL_LINE_MISSED];
	unsigned n_missed;
	bool limited; /* and that we shall send no more than limit_bps */
	uint64_t limit_bps;
	struct sl_str rtcp; /* the compound as it was read: checked, over data */
};
/* data is opened in place. on_rtcp_port: it came there. */
SL_API enum sl_line_verdict sl_line_receive(struct sl_line *l, struct sl_line_in *ret_in,
					    uint8_t *data, size_t len, const struct sl_addr *from,
					    bool on_rtcp_port, uint64_t now_ns);

/* ---- out */
struct sl_line_out {
	uint16_t seq; /* the caller's: a gap tells the peer that something is missing */
	uint8_t pt;
	bool marker;
	uint32_t ts;
	struct sl_str payload; /* may stand in dst at SL_RTP_HEADER */
};
/* Where to; family 0: not known yet */
SL_API const struct sl_addr *sl_line_rtp_to(const struct sl_line *l);
SL_API const struct sl_addr *sl_line_rtcp_to(const struct sl_line *l);
/* RTCP leaves from the media's port. */
SL_API bool sl_line_is_mux(const struct sl_line *l);
/* Seals; dst has room for the payload and SL_LINE_OVERHEAD. Returns bytes. */
SL_API SL_MUST_CHECK int sl_line_send(struct sl_line *l, const struct sl_line_out *out,
				      uint64_t now_ns, uint8_t *dst);
/* How long ago what goes out was captured when it does: reports heed it, so that a listener lines up
 * what comes on different lines. */
SL_API void sl_line_set_lag(struct sl_line *l, uint64_t ns);
/* A report, every five seconds; bye: the last. Its NTP time is now_ns. dst: SL_LINE_RTCP_MAX. */
SL_API SL_MUST_CHECK int sl_line_report(struct sl_line *l, uint64_t now_ns, bool bye, uint8_t *dst);
/* The same in two steps, for who looks at it in between: plain bytes, and these as they are sent.
 * Each draft is a report: what it says of losses is since the one before. */
SL_API SL_MUST_CHECK int sl_line_draft_report(struct sl_line *l, uint64_t now_ns, bool bye,
					      uint8_t *dst);
SL_API SL_MUST_CHECK int sl_line_seal_report(struct sl_line *l, uint8_t *dst, size_t len);

/* Asks for a key frame of what is heard, by PLI or, instead, FIR (RFC 4585, 5104); behind a report,
 * as all RTCP. dst: SL_LINE_RTCP_MAX. -SL_ENOENT: nothing is heard so far */
SL_API SL_MUST_CHECK int sl_line_ask_key_frame(struct sl_line *l, bool fir, uint64_t now_ns,
					       uint8_t *dst);

/* Asks for what is missing and due (NACK). Returns bytes; 0: nothing is. *ret_gave_up: something was
 * asked for in vain, and only a key frame helps. dst: SL_LINE_RTCP_MAX */
SL_API SL_MUST_CHECK int sl_line_ask_again(struct sl_line *l, uint64_t now_ns, uint8_t *dst,
					   bool *ret_gave_up);
/* When there is something to ask for; UINT64_MAX: not so far */
SL_API uint64_t sl_line_next_ns(const struct sl_line *l);
/* What the peer shall send at most, by REMB or TMMBR, whichever was agreed on. -SL_EUNSUPP: neither;
 * -SL_ENOENT: nothing is heard so far */
SL_API SL_MUST_CHECK int sl_line_limit(struct sl_line *l, uint64_t bps, uint64_t now_ns,
				       uint8_t *dst);
/* The answer to a TMMBR: that its sender bounds us (RFC 5104 section 4.2.2). -SL_ENOENT: none came */
SL_API SL_MUST_CHECK int sl_line_notify_limit(struct sl_line *l, uint64_t now_ns, uint8_t *dst);

/* ---- statistics */
struct sl_line_stats {
	uint64_t packets_in, bytes_in, packets_out, bytes_out;
	uint64_t lost_in, duplicates;
	uint64_t strangers; /* from elsewhere */
	uint64_t malformed; /* no RTP, or not opened by the keys, or of no agreed format */
	uint32_t jitter_in_us;
	bool reported; /* the peer has told: */
	uint32_t lost_out, jitter_out_us, rtt_us;
	uint8_t fraction_lost_out; /* of 256, newest report */
	uint64_t last_in_ns;
	uint32_t key_frames_asked_in, key_frames_asked_out; /* by the peer, and by us */
	uint64_t packets_asked_in, packets_asked_out;	    /* to be sent again; the same */
};
SL_API void sl_line_get_stats(const struct sl_line *l, struct sl_line_stats *ret_stats);
/* The peer's newest sender report; ntp 0: none */
SL_API void sl_line_clock(const struct sl_line *l, uint64_t *ret_ntp, uint32_t *ret_ts);

/* What a listener would say of it, of 500 (MOS), by the E-model (G.107): loss and delay of one way,
 * with concealment. */
SL_API unsigned sl_mos_estimate(enum sl_codec_id codec, unsigned loss_permille, unsigned delay_ms);

#endif
