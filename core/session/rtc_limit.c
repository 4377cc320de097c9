/*
 * session/rtc_limit.c: how much the peer may send, told to one that has no transport-wide feedback
 * to find it out by itself.
 *
 * Such a peer says in each packet when it left (abs-send-time), and takes REMB
 * (draft-alvestrand-rmcat-remb-03): one rate for all its video, whose SSRCs are listed; or TMMBR
 * (RFC 5104 section 4.2.1): a rate for each, headers included. A peer with transport-wide numbers
 * estimates better than we could, since it knows what it sends, and is left alone.
 *
 * The same of the peer's about what we send: a TMMBR bounds our estimate as a REMB does, and is
 * answered (section 4.2.2), for who is not may repeat it for ever.
 */
#include "session/rtc_impl.h"

/* What each packet of the section says of the way is its codec's to agree upon; in practice all
 * codecs of a section have the same. */
static uint8_t feedback_of(const struct jsep_media *j)
{
	return j->n_codecs > 0 ? j->codecs[0].feedback : 0;
}

static bool needs_estimate(const struct jsep_media *j)
{
	if (j->kind != SL_MEDIA_VIDEO || j->rejected || !(j->direction & JSEP_RECV))
		return false;
	if (j->ext.id[SL_RTP_EXT_TWCC] || !j->ext.id[SL_RTP_EXT_ABS_SEND_TIME])
		return false;
	return feedback_of(j) & (JSEP_FB_REMB | JSEP_FB_TMMBR);
}

void rtc_limit_need(struct sl_rtc *c, const struct jsep_media *j)
{
	if (!c->remb && needs_estimate(j))
		(void)remb_new(&c->remb); /* without, the peer goes by reports of loss */
}

void rtc_limit_packet(struct sl_rtc *c, const struct sl_rtp *rtp, uint32_t wire_bytes)
{
	struct sl_str v = sl_rtp_ext_value(rtp, SL_RTP_EXT_ABS_SEND_TIME);
	struct remb_packet p = {.bytes = wire_bytes, .payload_bytes = rtp->payload_len};

	if (v.len != 3)
		return;
	p.send_time = (uint32_t)sl_get16(v.p) << 8 | (uint8_t)v.p[2];
	remb_packet(c->remb, &p, rtc_now_ns(c));
}

/* The SSRCs that it is about; *ret_tmmbr: there is one that takes nothing else. */
static unsigned limited_streams(const struct sl_rtc *c, uint32_t ssrcs[RTC_MAX_STREAMS],
				bool *ret_tmmbr)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->n_streams; i++) {
		const struct rtc_stream *s = c->streams[i];

		if (s->rtx || s->over || !needs_estimate(s->media->j))
			continue;
		ssrcs[n++] = s->ssrc;
		*ret_tmmbr |= !(feedback_of(s->media->j) & JSEP_FB_REMB);
	}
	return n;
}

enum { MAX_TMMBRS = 32 }; /* of 20 bytes each, so that all fit one packet */

/* Equal parts: which stream has how much to show, the peer knows, but has no way to divide one sum
 * by. */
static void put_tmmbrs(struct sl_rtc *c, struct sl_rtcp_writer *w, const struct remb_say *say,
		       const uint32_t *ssrcs, unsigned n)
{
	for (unsigned i = 0; i < n && i < MAX_TMMBRS; i++)
		sl_rtcp_put_tmmb(w, SL_RTCP_TMMBR, c->ssrc, ssrcs[i], say->bps / n, say->overhead);
}

static void tell(struct sl_rtc *c, const struct remb_say *say)
{
	uint32_t ssrcs[RTC_MAX_STREAMS];
	bool tmmbr = false;
	unsigned n = limited_streams(c, ssrcs, &tmmbr);
	struct sl_rtcp_writer w;
	struct sl_packet *p = n > 0 ? rtc_rtcp_begin(c, &w) : NULL;

	if (!p)
		return;
	if (tmmbr)
		put_tmmbrs(c, &w, say, ssrcs, n);
	else
		sl_rtcp_put_remb(&w, c->ssrc, say->media_bps, ssrcs, n);
	rtc_rtcp_finish(c, &w, p);
	rtc_count(c, RTC_rembs_out);
}

/* One answer to one message, however often it names a stream. */
void rtc_limit_bounded(struct sl_rtc *c, const struct sl_rtcp_block *b, uint32_t sender)
{
	struct sl_rtcp_writer w;
	struct sl_packet *p;
	uint32_t ssrc;
	uint64_t bps;

	for (unsigned i = 0; sl_rtcp_read_tmmb(b, i, &ssrc, &bps) == 0; i++) {
		const struct sl_rtc_media *m = rtc_sent_as(c, ssrc);

		if (!m || !(feedback_of(m->j) & JSEP_FB_TMMBR))
			continue;
		bwe_remb(c->bwe, bps, rtc_now_ns(c));
		p = rtc_rtcp_begin(c, &w);
		if (!p)
			return;
		sl_rtcp_put_tmmb(&w, SL_RTCP_TMMBN, ssrc, sender, bps, SL_RTC_OVERHEAD);
		rtc_rtcp_finish(c, &w, p);
		return;
	}
}

void rtc_limit_tick(struct sl_rtc *c)
{
	struct remb_say say;

	if (c->remb && remb_tick(c->remb, rtc_rtt_us(c), rtc_now_ns(c), &say))
		tell(c, &say);
}

uint64_t rtc_limit_next_ns(const struct sl_rtc *c)
{
	return c->remb ? remb_next_ns(c->remb) : UINT64_MAX;
}
