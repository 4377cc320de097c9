/*
 * sip-gateway/hep_rtcp.c: reports of RTCP as collectors read them: not the packet but JSON, with
 * the names that Homer's agents have given to the fields of RFC 3550 section 6.4.
 *
 * One object for each SR or RR of a compound. What else is in it is left out: names of people
 * (SDES) are nobody's business here, and feedback says nothing of how it sounded.
 */
#include "hep.h"

static void put_sender(struct sl_buf *out, const struct sl_rtcp_sr *sr)
{
	sl_buf_printf(out,
		      "\"sender_information\":{\"ntp_timestamp_sec\":%u,\"ntp_timestamp_usec\":%u,"
		      "\"rtp_timestamp\":%u,\"packets\":%u,\"octets\":%u},",
		      (unsigned)(sr->ntp >> 32),
		      (unsigned)(((sr->ntp & UINT32_MAX) * 1000000) >> 32), (unsigned)sr->ts,
		      (unsigned)sr->packets, (unsigned)sr->bytes);
}

/* Cumulative loss may be negative, by duplicates; to collectors that is none. */
static void put_block(struct sl_buf *out, const struct sl_rtcp_report *r)
{
	sl_buf_printf(out,
		      "{\"source_ssrc\":%u,\"fraction_lost\":%u,\"packets_lost\":%u,"
		      "\"highest_seq_no\":%u,\"ia_jitter\":%u,\"lsr\":%u,\"dlsr\":%u}",
		      (unsigned)r->ssrc, (unsigned)r->fraction_lost,
		      r->lost > 0 ? (unsigned)r->lost : 0, (unsigned)r->highest_seq,
		      (unsigned)r->jitter, (unsigned)r->lsr, (unsigned)r->dlsr);
}

static unsigned put_blocks(struct sl_buf *out, const struct sl_rtcp_block *b)
{
	struct sl_rtcp_report r;
	unsigned n = 0;

	for (; sl_rtcp_read_report(b, n, &r) == 0; n++) {
		if (n > 0)
			sl_buf_u8(out, ',');
		put_block(out, &r);
	}
	return n;
}

/* -SL_EPARSE: it is too short to say who speaks */
static int put_report(struct sl_buf *out, const struct sl_rtcp_block *b)
{
	struct sl_rtcp_sr sr;
	unsigned n;

	if (b->len < 8 || (b->type == SL_RTCP_SR && sl_rtcp_read_sr(b, &sr) < 0))
		return -SL_EPARSE;
	sl_buf_u8(out, '{');
	if (b->type == SL_RTCP_SR)
		put_sender(out, &sr);
	sl_buf_printf(out, "\"ssrc\":%u,\"type\":%u,\"report_blocks\":[",
		      (unsigned)sl_get32(b->data + 4), (unsigned)b->type);
	n = put_blocks(out, b);
	sl_buf_printf(out, "],\"report_count\":%u}", n);
	return 0;
}

bool hep_rtcp_next(struct sl_buf *out, struct sl_str compound, struct sl_rtcp_block *at)
{
	while (sl_rtcp_next(compound.p, compound.len, at)) {
		if (at->type != SL_RTCP_SR && at->type != SL_RTCP_RR)
			continue;
		sl_buf_reset(out);
		if (put_report(out, at) == 0)
			return true;
	}
	return false;
}
