/*
 * session/rtc_recv.c: RTP from the peer: opened, parsed, given to its section and encoding;
 * retransmissions become what they repeat.
 *
 * A new SSRC is known by the description, else by the extensions mid and rid (RFC 8843 section 9.2,
 * RFC 8852), else by its payload type where only one section has it. Authenticity comes first, so
 * that nobody outside can make streams; their number is bounded all the same.
 *
 * Ids of header extensions are those of the stream's section. A BUNDLE group should agree on them
 * (RFC 9143 section 9.4), and some clients number each section by itself.
 */
#include "session/rtc_impl.h"

#include <stdlib.h>

/* ---- streams */

struct rtc_stream *rtc_stream_find(struct sl_rtc *c, uint32_t ssrc)
{
	for (unsigned i = 0; i < c->n_streams; i++)
		if (c->streams[i]->ssrc == ssrc)
			return c->streams[i];
	return NULL;
}

/* What SRTP knows of it stays, so that its packets cannot be replayed. */
static void drop_stream(struct sl_rtc *c, unsigned i)
{
	rtp_recv_free(c->streams[i]->recv);
	free(c->streams[i]);
	c->streams[i] = c->streams[--c->n_streams];
}

static void free_stream(struct sl_rtc *c, unsigned i)
{
	if (c->in)
		srtp_in_forget(c->in, c->streams[i]->ssrc);
	drop_stream(c, i);
}

void rtc_streams_free(struct sl_rtc *c)
{
	while (c->n_streams > 0)
		free_stream(c, 0);
	free(c->streams);
	c->streams = NULL;
}

void rtc_streams_renew(struct sl_rtc *c)
{
	for (unsigned i = c->n_streams; i-- > 0;) {
		if (c->streams[i]->media->sends)
			continue;
		c->streams[i]->media->over = 0;
		free_stream(c, i);
	}
}

/* A place for another stream. Who takes a new SSRC again and again has ended those before. */
static bool has_place(struct sl_rtc *c)
{
	unsigned oldest = c->n_streams;

	if (c->n_streams < RTC_MAX_STREAMS)
		return true;
	for (unsigned i = 0; i < c->n_streams; i++)
		if (c->streams[i]->over && (oldest == c->n_streams ||
					    c->streams[i]->over_ms < c->streams[oldest]->over_ms))
			oldest = i;
	if (oldest == c->n_streams)
		return false;
	drop_stream(c, oldest);
	return true;
}

/* ---- whose is a new SSRC? */

struct place {
	struct sl_rtc_media *media;
	unsigned encoding;
	bool rtx;
};

static bool by_signalled(struct sl_rtc *c, uint32_t ssrc, struct place *ret)
{
	for (unsigned i = 0; i < c->n_media; i++) {
		const struct jsep_media *j = c->media[i]->j;

		for (unsigned e = 0; c->media[i]->sends && e < j->n_theirs; e++) {
			if (j->theirs[e].media != ssrc && j->theirs[e].rtx != ssrc)
				continue;
			*ret = (struct place){c->media[i], e, j->theirs[e].rtx == ssrc};
			return true;
		}
	}
	return false;
}

static bool has_rid(const struct jsep_media *j, struct sl_str rid, unsigned *ret_encoding)
{
	for (unsigned e = 0; e < j->n_rids; e++) {
		if (!sl_str_eq(sl_str_c(j->rids[e]), rid))
			continue;
		*ret_encoding = e;
		return true;
	}
	return false;
}

static uint8_t rtx_pt_at(const struct sl_rtc_media *m, uint8_t pt)
{
	unsigned i = m->codec_of_pt[pt & 127];

	return i > 0 ? m->j->codecs[i - 1].rtx_pt : 0;
}

static bool is_rtx(const struct sl_rtc_media *m, uint8_t pt)
{
	return pt != 0 && rtx_pt_at(m, pt) == pt;
}

/* An extension by the ids of one section. They are the same for all as a rule: then the packet is
 * walked once, however many sections a hostile peer has made. */
struct said {
	const struct sl_rtp *rtp;
	uint8_t id; /* 0: of none yet */
	struct sl_str value; /* p NULL: not there */
};

static struct sl_str said_in(struct said *s, const struct sl_rtc_media *m, enum sl_rtp_ext ext)
{
	uint8_t id = m->j->ext.id[ext];

	if (id != s->id)
		*s = (struct said){s->rtp, id, sl_rtp_ext_find(s->rtp, id)};
	return s->value;
}

/* What another section calls otherwise might read as a mid: the payload type has to fit, too. */
static bool names_section(const struct sl_rtc_media *m, struct said *s)
{
	struct sl_str mid;

	if (!m->sends || !m->codec_of_pt[s->rtp->pt & 127])
		return false;
	mid = said_in(s, m, SL_RTP_EXT_MID);
	return mid.len > 0 && sl_str_eq(sl_str_c(m->j->mid), mid);
}

static bool by_extensions(struct sl_rtc *c, const struct sl_rtp *rtp, struct place *ret)
{
	struct said said = {.rtp = rtp};

	for (unsigned i = 0; i < c->n_media; i++) {
		struct sl_rtc_media *m = c->media[i];
		struct sl_str rid, repaired;

		if (!names_section(m, &said))
			continue;
		repaired = said_in(&said, m, SL_RTP_EXT_REPAIRED_RID);
		rid = repaired.len > 0 ? repaired : said_in(&said, m, SL_RTP_EXT_RID);
		*ret = (struct place){m, 0, repaired.len > 0 || is_rtx(m, rtp->pt)};
		return m->j->n_rids == 0 || has_rid(m->j, rid, &ret->encoding);
	}
	return false;
}

/* Last, and for one-stream sections only. */
static bool by_payload_type(struct sl_rtc *c, uint8_t pt, struct place *ret)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->n_media; i++) {
		struct sl_rtc_media *m = c->media[i];

		if (!m->sends || !m->codec_of_pt[pt & 127] || m->j->n_rids > 0 ||
		    m->j->n_theirs > 0)
			continue;
		*ret = (struct place){m, 0, is_rtx(m, pt)};
		n++;
	}
	return n == 1;
}

static bool enlist(struct sl_rtc *c, struct rtc_stream *s)
{
	struct rtc_stream **wider = realloc(c->streams, (c->n_streams + 1u) * sizeof *wider);

	if (!wider)
		return false;
	c->streams = wider;
	c->streams[c->n_streams++] = s;
	return true;
}

/* The newest stream of an encoding, one that is not over before one that is; NULL: none yet */
static struct rtc_stream *stream_of(struct sl_rtc *c, const struct sl_rtc_media *m,
				    unsigned encoding)
{
	struct rtc_stream *best = NULL;

	for (unsigned i = 0; i < c->n_streams; i++) {
		struct rtc_stream *s = c->streams[i];

		if (s->rtx || s->media != m || s->encoding != encoding)
			continue;
		if (!best || (best->over && !s->over) ||
		    (best->over == s->over && s->seq_top > best->seq_top))
			best = s;
	}
	return best;
}

/* A sender that takes another SSRC counts from anywhere (RFC 3550 section 8.2): for who sees
 * encodings only, its numbers go on above those before, and its pictures begin anew. */
static void go_on_numbering(struct sl_rtc *c, struct rtc_stream *s)
{
	const struct rtc_stream *before = s->rtx ? NULL : stream_of(c, s->media, s->encoding);

	if (!before)
		return;
	s->seq_base = (before->seq_top | 0xffff) + 1;
	s->wants_key_frame = s->media->j->kind == SL_MEDIA_VIDEO;
}

static struct rtc_stream *add_stream(struct sl_rtc *c, const struct sl_rtp *rtp)
{
	struct rtc_stream *s;
	struct place at;
	unsigned codec;

	if (!by_signalled(c, rtp->ssrc, &at) && !by_extensions(c, rtp, &at) &&
	    !by_payload_type(c, rtp->pt, &at))
		return NULL;
	codec = at.media->codec_of_pt[rtp->pt & 127];
	if (codec == 0 || !has_place(c))
		return NULL;
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	*s = (struct rtc_stream){.ssrc = rtp->ssrc,
				 .encoding = (uint8_t)at.encoding,
				 .rtx = at.rtx,
				 .media = at.media};
	if (!s->rtx && rtp_recv_new(&s->recv, s->ssrc, at.media->j->codecs[codec - 1].clock_hz,
				    at.media->j->codecs[codec - 1].feedback & JSEP_FB_NACK) < 0) {
		free(s);
		return NULL;
	}
	go_on_numbering(c, s);
	if (!enlist(c, s)) {
		rtp_recv_free(s->recv);
		free(s);
		return NULL;
	}
	return s;
}

/* ---- retransmissions (RFC 4588 section 4) */

static uint8_t original_pt(const struct sl_rtc_media *m, uint8_t rtx_pt)
{
	unsigned i = m->codec_of_pt[rtx_pt & 127];

	return i > 0 ? m->j->codecs[i - 1].pt : rtx_pt;
}

/*
 * Header and extensions move two bytes towards the payload, over the original number. False: it
 * repeats nothing (padding that probes the way).
 */
static bool undo_rtx(struct sl_packet *p, struct sl_rtp *rtp, const struct rtc_stream *s,
		     uint8_t pt)
{
	uint16_t seq;

	if (rtp->payload_len < 2)
		return false;
	seq = sl_get16(sl_rtp_payload(rtp));
	memmove(p->data + 2, p->data, rtp->payload_at);
	if (!sl_packet_pull(p, 2))
		return false;
	p->data[1] = (uint8_t)((p->data[1] & 0x80) | pt);
	sl_put16(p->data + 2, seq);
	sl_put32(p->data + 8, s->ssrc);
	return sl_rtp_parse(rtp, p->data, p->len) == 0;
}

/* ---- delivery */

static void ask_again(struct sl_rtc *c, struct rtc_stream *s)
{
	s->wants_key_frame = true;
	sl_rtc_ask_key_frame(s->media, s->encoding);
	rtc_touch(c);
}

static void deliver(struct sl_rtc *c, struct rtc_stream *s, const struct sl_rtp *rtp,
		    bool recovered)
{
	struct sl_rtc_media *m = s->media;
	unsigned codec = m->codec_of_pt[rtp->pt & 127];
	struct sl_rtc_in in = {
		.media = m, .rtp = rtp, .encoding = s->encoding, .recovered = recovered};
	enum rtp_recv_verdict verdict;

	verdict = rtp_recv_packet(s->recv, rtp, recovered, rtc_now_ns(c), &in.seq);
	if (verdict == RTP_DUPLICATE || verdict == RTP_TOO_OLD || codec == 0)
		return;
	in.seq += s->seq_base;
	if (in.seq > s->seq_top)
		s->seq_top = in.seq;
	in.codec = (uint8_t)m->j->codecs[codec - 1].id;
	if (recovered)
		rtc_count(c, RTC_recovered);
	if (c->handler->rtp)
		c->handler->rtp(c->arg, &in);
	if (verdict == RTP_JUMPED && m->j->kind == SL_MEDIA_VIDEO)
		ask_again(c, s);
}

static void count_open_error(struct sl_rtc *c, int rc)
{
	rtc_count(c, rc == -SL_EEXIST	? RTC_rtp_replayed
		     : rc == -SL_EPARSE ? RTC_rtp_malformed
					: RTC_rtp_unauthentic);
}

/* Decrypted in place and parsed with its extensions. */
static bool open_rtp(struct sl_rtc *c, struct sl_packet *p, struct sl_rtp *rtp)
{
	size_t len = p->len;
	int rc;

	if (!c->in) {
		rtc_count(c, RTC_rtp_early);
		return false;
	}
	rc = srtp_open_rtp(c->in, p->data, &len);
	if (rc < 0) {
		count_open_error(c, rc);
		return false;
	}
	p->len = (uint32_t)len;
	if (sl_rtp_parse(rtp, p->data, p->len) < 0) {
		rtc_count(c, RTC_rtp_malformed);
		return false;
	}
	sl_count(&c->host->meters[RTC_rtp_in]);
	sl_count_n(&c->host->meters[RTC_rtp_in_bytes], p->len);
	c->session->stats->packets_in++;
	c->session->stats->bytes_in += p->len;
	return true;
}

/* For one of the two estimators: the peer's, or ours. */
static void note_arrival(struct sl_rtc *c, const struct sl_rtp *rtp, uint32_t wire_bytes)
{
	struct sl_str value = sl_rtp_ext_value(rtp, SL_RTP_EXT_TWCC);

	if (c->twcc && value.len == 2)
		twcc_recv_packet(c->twcc, sl_get16(value.p), rtc_now_ns(c));
	else if (c->remb)
		rtc_limit_packet(c, rtp, wire_bytes);
}

void rtc_recv_rtp(struct sl_rtc *c, struct sl_packet *p)
{
	struct sl_rtp *rtp = sl_packet_rtp(p);
	uint32_t sealed_bytes = p->len;
	struct rtc_stream *s, *original;

	if (!open_rtp(c, p, rtp))
		return;
	rtp->packet = p;
	s = rtc_stream_find(c, rtp->ssrc);
	if (!s)
		s = add_stream(c, rtp);
	sl_rtp_ext_index(rtp, s ? &s->media->j->ext : &c->ext_in);
	note_arrival(c, rtp, sealed_bytes + RTC_IP_OVERHEAD);
	rtc_touch(c);
	if (!s) {
		rtc_count(c, RTC_rtp_unknown);
		return;
	}
	if (s->over || s->media->over)
		rtc_bye_packet(c, s);
	if (c->closing)
		return;
	if (!s->rtx) {
		deliver(c, s, rtp, false);
		return;
	}
	original = stream_of(c, s->media, s->encoding);
	if (!original || !undo_rtx(p, rtp, original, original_pt(s->media, rtp->pt)))
		return;
	rtp->packet = p;
	sl_rtp_ext_index(rtp, &s->media->j->ext);
	deliver(c, original, rtp, true);
}
