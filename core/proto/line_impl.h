/*
 * proto/line_impl.h: a line, for its files.
 *
 *     line.c           its life, packets in and out, reports
 *     line_feedback.c  what both ask of one another by RTCP: key frames, packets, limits
 */
#ifndef PROTO_LINE_IMPL_H
#define PROTO_LINE_IMPL_H

#include <sluice/line.h>
#include <sluice/rtcp.h>
#include "proto/latch.h"
#include "proto/rtp_recv.h"
#include "proto/srtp.h"

enum { LINE_N_PTS = 128, LINE_MAX_CNAME = 63 };

struct sl_line {
	struct sl_line_opts o;
	char cname[LINE_MAX_CNAME + 1];
	struct latch latch;
	struct sl_addr rtcp_described, rtcp_heard;
	bool mux;
	uint32_t clock_of[LINE_N_PTS]; /* 0: not agreed */

	struct sl_sdes local, remote; /* secret */
	struct srtp_in *in;
	struct srtp_out *out;
	struct srtp_out_stream out_stream;

	struct rtp_recv *recv; /* of the SSRC that is heard; NULL: none yet */
	uint32_t heard_ssrc, heard_clock;
	uint64_t lost_before; /* of SSRCs that have gone */
	uint64_t sr_ntp;
	uint32_t sr_ts;

	uint32_t out_ts, out_clock;
	uint64_t out_ns;
	uint64_t lag_ns; /* from capture to when it goes out */
	uint8_t fir_out, fir_in; /* numbers of requests (RFC 5104 section 4.3.1.1) */
	bool fir_heard;
	unsigned feedback;    /* enum sl_plain_feedback */
	uint32_t tmmbr_from;  /* who bounds us; 0: nobody has said so */
	uint64_t tmmbr_bps;
	struct sl_line_stats stats;
};

/* ---- line.c: RTCP begins with a report, as all of it does (RFC 3550 section 6.1). */
void line_begin_report(struct sl_line *l, struct sl_rtcp_writer *w, uint64_t now_ns, uint8_t *dst);
/* Bytes, sealed */
int line_end_report(struct sl_line *l, struct sl_rtcp_writer *w, uint8_t *dst);

/* ---- line_feedback.c */
void line_read_feedback(struct sl_line *l, const struct sl_rtcp_block *b, struct sl_line_in *in);

#endif
