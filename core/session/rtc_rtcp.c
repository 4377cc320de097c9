/*
 * session/rtc_rtcp.c: RTCP both ways: reports about every stream, requests for lost packets and key
 * frames, and transport-wide feedback.
 *
 * Reports go once a second, as compounds with CNAME (RFC 3550 section 6.1); feedback goes when it
 * is due, reduced in size (RFC 5506). Sender reports carry the source's clock, so that a receiver
 * lines up the audio and video of one person whatever path they took. Who only receives has no
 * reports to measure the round trip by, and sends its time instead where that is agreed upon
 * (RFC 3611); ours is given back to anybody. A stream that its sender ends (BYE) is not reported
 * on, nor is anything of it asked for, until it goes on.
 */
#include "session/rtc_impl.h"

enum {
	MAX_RTCP = 1200,
	MAX_REPORTS = 31, /* blocks in one report */
	MAX_NACKS = 128,  /* asked for in one message */
};

/* ---- in */

struct sl_rtc_media *rtc_sent_as(struct sl_rtc *c, uint32_t ssrc)
{
	for (unsigned i = 0; i < c->n_media; i++)
		if (c->media[i]->ours && c->media[i]->j->ours.media == ssrc)
			return c->media[i];
	return NULL;
}

static void on_sender_report(struct sl_rtc *c, const struct sl_rtcp_block *b)
{
	struct sl_rtc_clock clock;
	struct rtc_stream *s;
	struct sl_rtcp_sr sr;

	if (sl_rtcp_read_sr(b, &sr) < 0)
		return;
	s = rtc_stream_find(c, sr.ssrc);
	if (!s || s->rtx)
		return;
	rtp_recv_sr(s->recv, &sr, rtc_now_ns(c));
	clock = (struct sl_rtc_clock){.ntp = sr.ntp, .ts = sr.ts};
	if (c->handler->clock)
		c->handler->clock(c->arg, s->media, s->encoding, &clock);
}

/* Of what left then, and was held at the peer for so long, in 1/65536 s */
static void measure_rtt(struct sl_rtc *c, uint64_t left_ns, uint32_t held)
{
	uint64_t held_ns = (uint64_t)held * SL_NS_PER_S / 65536, now = rtc_now_ns(c);

	if (now > left_ns + held_ns)
		c->rtt_us = (uint32_t)((now - left_ns - held_ns) / 1000);
	c->session->stats->rtt_us = c->rtt_us;
}

/* By our own notes of when which report left: the clock in it is somebody else's. */
static void rtt_by_report(struct sl_rtc *c, const struct rtc_out *out,
			  const struct sl_rtcp_report *r)
{
	for (unsigned i = 0; r->lsr != 0 && i < SL_ARRAY_LEN(out->sr_sent); i++)
		if (out->sr_sent[i] == r->lsr)
			measure_rtt(c, out->sr_sent_ns[i], r->dlsr);
}

static void on_extended_report(struct sl_rtc *c, const struct sl_rtcp_block *b)
{
	uint32_t ssrc, lrr, dlrr;
	uint64_t ntp;

	if (sl_rtcp_read_xr_rrtr(b, &ssrc, &ntp) == 0)
		c->asked = (struct rtc_reference){
			.ssrc = ssrc, .middle = (uint32_t)(ntp >> 16), .at_ns = rtc_now_ns(c)};
	if (sl_rtcp_read_xr_dlrr(b, c->ssrc, &lrr, &dlrr) == 0 && c->told.at_ns != 0 &&
	    lrr == c->told.middle)
		measure_rtt(c, c->told.at_ns, dlrr);
}

static void on_reports(struct sl_rtc *c, const struct sl_rtcp_block *b)
{
	struct sl_rtcp_report r;

	for (unsigned i = 0; sl_rtcp_read_report(b, i, &r) == 0; i++) {
		struct sl_rtc_media *m = rtc_sent_as(c, r.ssrc);

		if (!m)
			continue;
		m->out.lost = r.lost > 0 ? (uint32_t)r.lost : 0;
		m->out.fraction_lost = r.fraction_lost;
		m->out.jitter = r.jitter;
		rtt_by_report(c, &m->out, &r);
		if (!m->j->ext_out.id[SL_RTP_EXT_TWCC])
			bwe_report(c->bwe, r.fraction_lost, c->rtt_us, rtc_now_ns(c));
	}
}

static void on_nack(struct sl_rtc *c, const struct sl_rtcp_block *b, struct sl_rtc_media *m)
{
	uint16_t seqs[RTC_HISTORY];
	unsigned n = sl_rtcp_read_nack(b, seqs, SL_ARRAY_LEN(seqs));

	m->out.n_nacks += n;
	sl_count_n(&c->host->meters[RTC_nacks_in], n);
	for (unsigned i = 0; i < n; i++)
		rtc_send_again(m, seqs[i]);
}

static void key_frame_wanted(struct sl_rtc *c, struct sl_rtc_media *m)
{
	if (!m)
		return;
	m->out.n_plis++;
	rtc_count(c, RTC_key_frame_requests);
	if (c->handler->key_frame)
		c->handler->key_frame(c->arg, m);
}

static void on_transport_feedback(struct sl_rtc *c, const struct sl_rtcp_block *b)
{
	uint32_t sender, media;
	struct sl_rtc_media *m;

	if (sl_rtcp_read_feedback(b, &sender, &media) < 0)
		return;
	if (b->count == SL_RTCP_TWCC) {
		if (bwe_feedback(c->bwe, b, rtc_now_ns(c)) == 0)
			rtc_tell_estimate(c);
		return;
	}
	if (b->count == SL_RTCP_TMMBR) {
		rtc_limit_bounded(c, b, sender);
		return;
	}
	m = rtc_sent_as(c, media);
	if (b->count == SL_RTCP_NACK && m)
		on_nack(c, b, m);
}

static void on_payload_feedback(struct sl_rtc *c, const struct sl_rtcp_block *b)
{
	uint32_t sender, media, ssrc;
	uint64_t bps;
	uint8_t seq;

	if (sl_rtcp_read_feedback(b, &sender, &media) < 0)
		return;
	if (b->count == SL_RTCP_PLI)
		key_frame_wanted(c, rtc_sent_as(c, media));
	else if (b->count == SL_RTCP_AFB && sl_rtcp_read_remb(b, &bps) == 0)
		bwe_remb(c->bwe, bps, rtc_now_ns(c));
	for (unsigned i = 0;
	     b->count == SL_RTCP_FIR && !c->closing && sl_rtcp_read_fir(b, i, &ssrc, &seq) == 0;
	     i++)
		key_frame_wanted(c, rtc_sent_as(c, ssrc));
}

static void on_block(struct sl_rtc *c, const struct sl_rtcp_block *b)
{
	switch (b->type) {
	case SL_RTCP_SR:
		on_sender_report(c, b);
		on_reports(c, b);
		break;
	case SL_RTCP_RR:
		on_reports(c, b);
		break;
	case SL_RTCP_RTPFB:
		on_transport_feedback(c, b);
		break;
	case SL_RTCP_PSFB:
		on_payload_feedback(c, b);
		break;
	case SL_RTCP_XR:
		on_extended_report(c, b);
		break;
	case SL_RTCP_BYE:
		rtc_bye_take(c, b);
		break;
	default:
		break; /* SDES names nobody we do not know */
	}
}

/* Before it is answered, or sealed. Nobody is told of what comes while there is no way back. */
static void show(struct sl_rtc *c, struct sl_str data, bool ours)
{
	const struct sl_addr *remote, *local;

	if (!c->handler->rtcp || !c->selected)
		return;
	remote = &c->selected->ice.remote;
	local = &c->selected->ice.local;
	c->handler->rtcp(c->arg, c,
			 &(struct sl_rtc_rtcp){.data = data,
					       .from = ours ? local : remote,
					       .to = ours ? remote : local,
					       .over_tcp = c->selected->tcp != NULL});
}

void rtc_recv_rtcp(struct sl_rtc *c, struct sl_packet *p)
{
	struct sl_rtcp_block b = {0};
	size_t len = p->len;
	int rc;

	if (!c->in) {
		rtc_count(c, RTC_rtp_early);
		return;
	}
	rc = srtp_open_rtcp(c->in, p->data, &len);
	if (rc < 0) {
		rtc_count(c, rc == -SL_EEXIST ? RTC_rtp_replayed : RTC_rtp_unauthentic);
		return;
	}
	if (sl_rtcp_check(p->data, len) < 0) {
		rtc_count(c, RTC_rtp_malformed);
		return;
	}
	show(c, (struct sl_str){(const char *)p->data, len}, false);
	while (!c->closing && sl_rtcp_next(p->data, len, &b))
		on_block(c, &b);
	rtc_touch(c);
}

/* ---- out */

struct sl_packet *rtc_rtcp_begin(struct sl_rtc *c, struct sl_rtcp_writer *w)
{
	struct sl_packet *p = c->out && c->selected ? sl_packet_new(c->host->w) : NULL;

	if (p)
		sl_rtcp_begin(w, p->data, MAX_RTCP);
	return p;
}

void rtc_rtcp_finish(struct sl_rtc *c, struct sl_rtcp_writer *w, struct sl_packet *p)
{
	int len = sl_rtcp_end(w);

	if (sl_check(len >= 0) && len > 0) {
		show(c, (struct sl_str){(const char *)p->data, (size_t)len}, true);
		len = srtp_seal_rtcp(c->out, p->data, (size_t)len);
		if (len > 0) {
			p->len = (uint32_t)len;
			rtc_path_send(c, p);
		}
	}
	sl_packet_unref(p);
}

static unsigned collect_reports(struct sl_rtc *c, struct sl_rtcp_report *reports)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->n_streams && n < MAX_REPORTS; i++)
		if (c->streams[i]->recv && !c->streams[i]->over)
			rtp_recv_report(c->streams[i]->recv, rtc_now_ns(c), &reports[n++]);
	return n;
}

/* Of what is sent now: formats of one section may have several (Opus, G.711). */
static uint32_t clock_hz(const struct sl_rtc_media *m)
{
	unsigned i = m->codec_of_pt[m->out.pt & 127];

	if (i > 0)
		return m->j->codecs[i - 1].clock_hz;
	return m->j->n_codecs > 0 ? m->j->codecs[0].clock_hz : 90000;
}

/* The source's clock, gone on as ours has since it was told. */
static struct sl_rtcp_sr sender_report(const struct sl_rtc_media *m, uint64_t now_ns)
{
	const struct rtc_out *out = &m->out;
	uint64_t since = now_ns - out->clock_ns, whole = since / SL_NS_PER_S;
	uint64_t part = ((since % SL_NS_PER_S) << 32) / SL_NS_PER_S;

	return (struct sl_rtcp_sr){
		.ssrc = m->j->ours.media,
		.ntp = out->clock.ntp + (whole << 32) + part,
		.ts = out->clock.ts + (uint32_t)(since / 1000 * clock_hz(m) / 1000000),
		.packets = (uint32_t)out->packets,
		.bytes = (uint32_t)out->bytes,
	};
}

static void note_report(struct rtc_out *out, const struct sl_rtcp_sr *sr, uint64_t now_ns)
{
	unsigned i = out->n_sr++ % SL_ARRAY_LEN(out->sr_sent);

	out->sr_sent[i] = (uint32_t)(sr->ntp >> 16);
	out->sr_sent_ns[i] = now_ns;
}

/* What the peer's clock was when it asked, and how long ago that is */
static void put_answer(struct sl_rtc *c, struct sl_rtcp_writer *w, uint32_t ssrc)
{
	uint64_t held_ns = rtc_now_ns(c) - c->asked.at_ns;
	struct sl_rtcp_dlrr item = {
		.ssrc = c->asked.ssrc,
		.lrr = c->asked.middle,
		.dlrr = (uint32_t)(held_ns / 1000 * 65536 / 1000000),
	};

	if (c->asked.at_ns == 0)
		return;
	sl_rtcp_put_xr_dlrr(w, ssrc, &item, 1);
	c->asked.at_ns = 0;
}

static bool may_ask_time(const struct sl_rtc *c)
{
	for (unsigned i = 0; i < c->n_media; i++)
		if (c->media[i]->sends && c->media[i]->j->rtcp_xr)
			return true;
	return false;
}

static void put_question(struct sl_rtc *c, struct sl_rtcp_writer *w)
{
	uint64_t now = rtc_now_ns(c);
	uint64_t ntp = sl_ntp_of_ns(now);

	if (!may_ask_time(c))
		return;
	sl_rtcp_put_xr_rrtr(w, c->ssrc, ntp);
	c->told = (struct rtc_reference){
		.ssrc = c->ssrc, .middle = (uint32_t)(ntp >> 16), .at_ns = now};
}

static void send_receiver_report(struct sl_rtc *c, const struct sl_rtcp_report *reports, unsigned n)
{
	struct sl_rtcp_writer w;
	struct sl_packet *p = rtc_rtcp_begin(c, &w);

	if (!p)
		return;
	sl_rtcp_put_report(&w, c->ssrc, NULL, reports, n);
	sl_rtcp_put_cname(&w, c->ssrc, SL_STR("sluice"));
	put_question(c, &w);
	put_answer(c, &w, c->ssrc);
	rtc_rtcp_finish(c, &w, p);
}

/* One datagram for each section that sends; the first, or a receiver's only one, has the blocks. */
static void send_reports(struct sl_rtc *c)
{
	struct sl_rtcp_report reports[MAX_REPORTS];
	unsigned n = collect_reports(c, reports);
	struct sl_rtcp_writer w;
	struct sl_packet *p;
	bool sent = false;

	for (unsigned i = 0; i < c->n_media; i++) {
		struct sl_rtc_media *m = c->media[i];
		struct sl_rtcp_sr sr;

		if (!m->ours || m->out.packets == 0 || m->out.clock_ns == 0)
			continue;
		p = rtc_rtcp_begin(c, &w);
		if (!p)
			return;
		sr = sender_report(m, rtc_now_ns(c));
		sl_rtcp_put_report(&w, sr.ssrc, &sr, reports, sent ? 0 : n);
		sl_rtcp_put_cname(&w, sr.ssrc, sl_str_c(m->j->cname));
		put_answer(c, &w, sr.ssrc);
		rtc_rtcp_finish(c, &w, p);
		note_report(&m->out, &sr, rtc_now_ns(c));
		sent = true;
	}
	if (!sent && (n > 0 || c->asked.at_ns != 0))
		send_receiver_report(c, reports, n);
}

static void send_feedback(struct sl_rtc *c, uint64_t now_ns)
{
	struct sl_rtcp_writer w;
	uint8_t raw[MAX_RTCP];
	struct sl_packet *p;
	size_t len;

	while (c->twcc && c->out && c->selected && twcc_recv_next_ns(c->twcc) <= now_ns) {
		len = twcc_recv_feedback(c->twcc, c->ssrc,
					 c->n_streams > 0 ? c->streams[0]->ssrc : 0, raw,
					 sizeof raw - 40, now_ns);
		p = len > 0 ? rtc_rtcp_begin(c, &w) : NULL;
		if (!p)
			return;
		sl_rtcp_put_raw(&w, raw, len);
		rtc_rtcp_finish(c, &w, p);
	}
}

static void send_nack(struct sl_rtc *c, struct rtc_stream *s, uint64_t now_ns)
{
	uint16_t seqs[MAX_NACKS];
	struct sl_rtcp_writer w;
	struct sl_packet *p;
	bool gave_up = false;
	unsigned n = rtp_recv_nacks(s->recv, now_ns, rtc_rtt_us(c), seqs, MAX_NACKS, &gave_up);

	if (gave_up && s->media->j->kind == SL_MEDIA_VIDEO)
		s->wants_key_frame = true;
	p = n > 0 ? rtc_rtcp_begin(c, &w) : NULL;
	if (!p)
		return;
	sl_rtcp_put_nack(&w, c->ssrc, s->ssrc, seqs, n);
	rtc_rtcp_finish(c, &w, p);
	sl_count_n(&c->host->meters[RTC_nacks_out], n);
}

static void send_nacks(struct sl_rtc *c, uint64_t now_ns)
{
	for (unsigned i = 0; i < c->n_streams; i++)
		if (c->streams[i]->recv && !c->streams[i]->over &&
		    rtp_recv_next_ns(c->streams[i]->recv) <= now_ns)
			send_nack(c, c->streams[i], now_ns);
}

static bool may_ask(const struct sl_rtc *c, const struct rtc_stream *s)
{
	return s->asked_ms == 0 || rtc_now_ms(c) - s->asked_ms >= RTC_KEY_FRAME_MS;
}

static void ask_key_frame(struct sl_rtc *c, struct rtc_stream *s)
{
	const struct jsep_media *j = s->media->j;
	struct sl_rtcp_writer w;
	struct sl_packet *p = rtc_rtcp_begin(c, &w);

	if (!p)
		return;
	if (j->n_codecs > 0 && !(j->codecs[0].feedback & JSEP_FB_PLI) &&
	    (j->codecs[0].feedback & JSEP_FB_FIR))
		sl_rtcp_put_fir(&w, c->ssrc, s->ssrc, s->fir_seq++);
	else
		sl_rtcp_put_pli(&w, c->ssrc, s->ssrc);
	rtc_rtcp_finish(c, &w, p);
	s->wants_key_frame = false;
	s->asked_ms = rtc_now_ms(c);
	s->n_plis++;
	rtc_count(c, RTC_key_frames_asked);
}

void sl_rtc_ask_key_frame(struct sl_rtc_media *m, unsigned encoding)
{
	struct sl_rtc *c = m->c;

	for (unsigned i = 0; i < c->n_streams; i++) {
		struct rtc_stream *s = c->streams[i];

		if (s->rtx || s->over || s->media != m || s->encoding != encoding)
			continue;
		s->wants_key_frame = true;
		if (may_ask(c, s))
			ask_key_frame(c, s);
	}
	rtc_touch(c);
}

/* ---- time */

static void ask_what_waits(struct sl_rtc *c)
{
	for (unsigned i = 0; i < c->n_streams; i++)
		if (c->streams[i]->wants_key_frame && may_ask(c, c->streams[i]))
			ask_key_frame(c, c->streams[i]);
}

void rtc_rtcp_tick(struct sl_rtc *c)
{
	uint64_t now_ns = rtc_now_ns(c);

	if (!c->out || !c->selected)
		return;
	send_feedback(c, now_ns);
	rtc_limit_tick(c);
	send_nacks(c, now_ns);
	ask_what_waits(c);
	if (c->report_ms > rtc_now_ms(c))
		return;
	send_reports(c);
	c->report_ms = rtc_now_ms(c) + RTC_REPORT_MS;
}

static uint64_t earlier_ms(uint64_t ms, uint64_t ns)
{
	uint64_t other = ns == UINT64_MAX ? ns : (ns + SL_NS_PER_MS - 1) / SL_NS_PER_MS;

	return other < ms ? other : ms;
}

uint64_t rtc_rtcp_next_ms(const struct sl_rtc *c)
{
	uint64_t due = c->report_ms;

	if (!c->out || !c->selected)
		return UINT64_MAX;
	if (c->twcc)
		due = earlier_ms(due, twcc_recv_next_ns(c->twcc));
	due = earlier_ms(due, rtc_limit_next_ns(c));
	for (unsigned i = 0; i < c->n_streams; i++) {
		const struct rtc_stream *s = c->streams[i];

		if (s->recv && !s->over)
			due = earlier_ms(due, rtp_recv_next_ns(s->recv));
		if (s->wants_key_frame && s->asked_ms + RTC_KEY_FRAME_MS < due)
			due = s->asked_ms + RTC_KEY_FRAME_MS;
	}
	return due;
}
