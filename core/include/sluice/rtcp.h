/*
 * sluice/rtcp.h: RTCP (RFC 3550, 4585, 5104, 5506, 3611; REMB; transport-wide feedback).
 *
 * Sans-I/O. A compound is checked once (sl_rtcp_check), then walked block by block; each reader
 * checks its own block. The writer fills a caller's buffer and never writes past its end.
 */
#ifndef SLUICE_RTCP_H
#define SLUICE_RTCP_H

#include <sluice/buf.h>

enum sl_rtcp_type {
	SL_RTCP_SR = 200,
	SL_RTCP_RR = 201,
	SL_RTCP_SDES = 202,
	SL_RTCP_BYE = 203,
	SL_RTCP_APP = 204,
	SL_RTCP_RTPFB = 205, /* fmt: 1 NACK, 3 TMMBR, 4 TMMBN, 15 transport-wide */
	SL_RTCP_PSFB = 206,  /* fmt: 1 PLI, 4 FIR, 15 application (REMB) */
	SL_RTCP_XR = 207,
};
enum sl_rtcp_fmt {
	SL_RTCP_NACK = 1,
	SL_RTCP_TMMBR = 3,
	SL_RTCP_TMMBN = 4,
	SL_RTCP_TWCC = 15,
	SL_RTCP_PLI = 1,
	SL_RTCP_FIR = 4,
	SL_RTCP_AFB = 15
};

struct sl_rtcp_block { /* one packet of a compound */
	uint8_t type, count; /* count: reports, or fmt */
	const uint8_t *data; /* header included; borrowed */
	uint32_t len;	     /* padding left out */
};
/* -SL_EPARSE unless data is whole packets, each with version 2 (reduced-size allowed). */
SL_API SL_MUST_CHECK int sl_rtcp_check(const void *data, size_t len);
/* block zeroed before the first call; false at the end */
SL_API bool sl_rtcp_next(const void *data, size_t len, struct sl_rtcp_block *block);

struct sl_rtcp_sr {
	uint32_t ssrc;
	uint64_t ntp; /* 32.32 */
	uint32_t ts, packets, bytes;
};
struct sl_rtcp_report { /* section 6.4.1 */
	uint32_t ssrc;
	uint8_t fraction_lost; /* of 256 */
	int32_t lost;	       /* cumulative */
	uint32_t highest_seq;  /* extended */
	uint32_t jitter;       /* in units of the clock */
	uint32_t lsr, dlsr;    /* middle bits of the last SR's NTP; delay since, 1/65536 s */
};
SL_API SL_MUST_CHECK int sl_rtcp_read_sr(const struct sl_rtcp_block *b, struct sl_rtcp_sr *ret_sr);
/* i-th report of an SR or RR; -SL_ENOENT behind the last */
SL_API SL_MUST_CHECK int sl_rtcp_read_report(const struct sl_rtcp_block *b, unsigned i,
					     struct sl_rtcp_report *ret_report);
/* Feedback: who speaks and of which stream; then per message. -SL_EPARSE */
SL_API SL_MUST_CHECK int sl_rtcp_read_feedback(const struct sl_rtcp_block *b, uint32_t *ret_sender,
					       uint32_t *ret_media);
/* Lost sequence numbers of a NACK, BLP unfolded; at most max; returns their number. */
SL_API unsigned sl_rtcp_read_nack(const struct sl_rtcp_block *b, uint16_t *ret_seqs, unsigned max);
/* i-th entry of a FIR */
SL_API SL_MUST_CHECK int sl_rtcp_read_fir(const struct sl_rtcp_block *b, unsigned i,
					  uint32_t *ret_ssrc, uint8_t *ret_seq);
/* i-th entry of a TMMBR or TMMBN (RFC 5104 section 4.2): the stream, of a TMMBN whoever bounds it,
 * and bits per second with the headers below RTP. -SL_ENOENT behind the last */
SL_API SL_MUST_CHECK int sl_rtcp_read_tmmb(const struct sl_rtcp_block *b, unsigned i,
					   uint32_t *ret_ssrc, uint64_t *ret_bps);
/* Bits per second. -SL_ENOENT: not a REMB */
SL_API SL_MUST_CHECK int sl_rtcp_read_remb(const struct sl_rtcp_block *b, uint64_t *ret_bps);
/* i-th SSRC of a BYE */
SL_API SL_MUST_CHECK int sl_rtcp_read_bye(const struct sl_rtcp_block *b, unsigned i,
					  uint32_t *ret_ssrc);
/* XR (RFC 3611): who asks for its round trip with which reference time (section 4.4), and what is
 * answered to ssrc (4.5): the middle bits of its reference, and the delay since in 1/65536 s.
 * -SL_ENOENT: no such report */
SL_API SL_MUST_CHECK int sl_rtcp_read_xr_rrtr(const struct sl_rtcp_block *b, uint32_t *ret_ssrc,
					      uint64_t *ret_ntp);
SL_API SL_MUST_CHECK int sl_rtcp_read_xr_dlrr(const struct sl_rtcp_block *b, uint32_t ssrc,
					      uint32_t *ret_lrr, uint32_t *ret_dlrr);

struct sl_rtcp_writer {
	uint8_t *p;
	size_t len, cap;
	bool failed;
};
SL_API void sl_rtcp_begin(struct sl_rtcp_writer *w, void *dst, size_t cap);
/* An SR when sr is not NULL, else an RR from ssrc; at most 31 reports */
SL_API void sl_rtcp_put_report(struct sl_rtcp_writer *w, uint32_t ssrc, const struct sl_rtcp_sr *sr,
			       const struct sl_rtcp_report *reports, unsigned n_reports);
SL_API void sl_rtcp_put_cname(struct sl_rtcp_writer *w, uint32_t ssrc, struct sl_str cname);
/* seqs in ascending order (RFC 1982); folds them into PID and BLP */
SL_API void sl_rtcp_put_nack(struct sl_rtcp_writer *w, uint32_t sender, uint32_t media,
			     const uint16_t *seqs, unsigned n);
SL_API void sl_rtcp_put_pli(struct sl_rtcp_writer *w, uint32_t sender, uint32_t media);
SL_API void sl_rtcp_put_fir(struct sl_rtcp_writer *w, uint32_t sender, uint32_t media, uint8_t seq);
SL_API void sl_rtcp_put_remb(struct sl_rtcp_writer *w, uint32_t sender, uint64_t bps,
			     const uint32_t *ssrcs, unsigned n);
/* overhead: bytes of the headers below RTP in each packet. fmt: TMMBR of media, or TMMBN, where ssrc
 * is who bounds it; an ssrc of 0 there: nobody does. */
SL_API void sl_rtcp_put_tmmb(struct sl_rtcp_writer *w, unsigned fmt, uint32_t sender, uint32_t ssrc,
			     uint64_t bps, unsigned overhead);
SL_API void sl_rtcp_put_bye(struct sl_rtcp_writer *w, const uint32_t *ssrcs, unsigned n);
/* XR with a receiver reference time (RFC 3611 section 4.4), or the answers to such (4.5). */
SL_API void sl_rtcp_put_xr_rrtr(struct sl_rtcp_writer *w, uint32_t ssrc, uint64_t ntp);
struct sl_rtcp_dlrr {
	uint32_t ssrc;	    /* who had asked */
	uint32_t lrr, dlrr; /* as LSR and DLSR of a report */
};
SL_API void sl_rtcp_put_xr_dlrr(struct sl_rtcp_writer *w, uint32_t ssrc,
				const struct sl_rtcp_dlrr *items, unsigned n);
/* Already formed (transport-wide feedback) */
SL_API void sl_rtcp_put_raw(struct sl_rtcp_writer *w, const void *packet, size_t len);
/* Bytes written; -SL_EFULL */
SL_API SL_MUST_CHECK int sl_rtcp_end(const struct sl_rtcp_writer *w);

#endif
