/*
 * proto/jsep_write.c: our descriptions as text: what is agreed, and not a line more.
 *
 * Order of attributes as browsers write them. Transport parameters stand in each section, since not
 * everybody looks for them elsewhere; candidates only in the one that stands for the group.
 */
#include "proto/jsep_impl.h"

/* Parameters that are ours to add to what the peer said: a browser sends in-band FEC only when it
 * is asked to. */
static struct sl_str own_params(const struct jsep *j, const struct jsep_codec *c)
{
	for (unsigned i = 0; i < j->caps->n_audio; i++)
		if (c->id == SL_CODEC_OPUS && j->caps->audio[i].id == c->id)
			return sl_str_c(j->caps->audio[i].params);
	return SL_STR_NULL;
}

/* What is sent there has its decoder's parameters said beside it (sprop-parameter-sets), where the
 * caller knows them. */
static void put_sprop(struct sl_buf *b, const struct section *s, const struct jsep_codec *c)
{
	struct sl_str params = SL_STR_NULL, name, value, none;
	char key[JSEP_MAX_PARAMS];

	for (unsigned i = 0; i < s->n_prefs && s->m.kind == SL_MEDIA_VIDEO && !params.p; i++)
		if (codec_is_same(&s->prefs[i], c))
			params = sl_str_c(s->prefs[i].params);
	while (sl_sdp_param_next(&params, &name, &value)) {
		sl_str_copy(key, sizeof key, name);
		if (sl_str_starts(name, SL_STR("sprop-")) &&
		    !sl_sdp_param(sl_str_c(c->params), key, &none))
			sl_buf_printf(b, ";%s=%.*s", key, SL_FMT(value));
	}
}

/* What we can use of Opus goes over what the peer has said of itself. */
static bool is_limited(const struct jsep *j, const struct jsep_codec *c)
{
	return j->sound_hz && c->id == SL_CODEC_OPUS;
}

static bool is_limit(struct sl_str name)
{
	return sl_str_eq(name, SL_STR("maxplaybackrate")) ||
	       sl_str_eq(name, SL_STR("maxaveragebitrate"));
}

static void put_param(struct sl_buf *b, bool *first, struct sl_str name, struct sl_str value)
{
	sl_buf_printf(b, "%s%.*s%s%.*s", *first ? "" : ";", SL_FMT(name), value.p ? "=" : "",
		      SL_FMT(value));
	*first = false;
}

/* What is agreed, then what is ours to add, each name once */
static void put_params(struct sl_buf *b, const struct jsep *j, const struct section *s,
		       const struct jsep_codec *c)
{
	struct sl_str have = sl_str_c(c->params), own = own_params(j, c), name, value, none;
	char key[JSEP_MAX_PARAMS], text[SL_SDP_OPUS_LIMIT];
	struct sl_str left = have, limit = SL_STR_NULL;
	bool first = true;

	if (have.len == 0 && own.len == 0)
		return;
	sl_buf_printf(b, "a=fmtp:%u ", c->pt);
	if (is_limited(j, c))
		limit = sl_sdp_opus_limit(text, j->sound_hz);
	while (sl_sdp_param_next(&left, &name, &value))
		if (!is_limited(j, c) || !is_limit(name))
			put_param(b, &first, name, value);
	while (sl_sdp_param_next(&own, &name, &value)) {
		sl_str_copy(key, sizeof key, name);
		if (!sl_sdp_param(have, key, &none))
			put_param(b, &first, name, value);
	}
	while (sl_sdp_param_next(&limit, &name, &value))
		put_param(b, &first, name, value);
	put_sprop(b, s, c);
	sl_buf_str(b, SL_STR("\r\n"));
}

static void put_feedback(struct sl_buf *b, const struct jsep_codec *c)
{
	static const struct {
		uint8_t bit;
		const char *text;
	} table[] = {
		{JSEP_FB_REMB, "goog-remb"}, {JSEP_FB_TWCC, "transport-cc"},
		{JSEP_FB_FIR, "ccm fir"},    {JSEP_FB_NACK, "nack"},
		{JSEP_FB_PLI, "nack pli"},   {JSEP_FB_TMMBR, "ccm tmmbr"},
	};

	for (unsigned i = 0; i < SL_ARRAY_LEN(table); i++)
		if (c->feedback & table[i].bit)
			sl_sdp_putf(b, "rtcp-fb", "%u %s", c->pt, table[i].text);
}

static void put_rtpmap(struct sl_buf *b, const struct jsep_codec *c)
{
	const char *name = sl_codec_name(c->id);

	if (c->channels > 1)
		sl_sdp_putf(b, "rtpmap", "%u %s/%u/%u", c->pt, name, c->clock_hz, c->channels);
	else
		sl_sdp_putf(b, "rtpmap", "%u %s/%u", c->pt, name, c->clock_hz);
}

static void put_codec(struct sl_buf *b, const struct jsep *j, const struct section *s,
		      const struct jsep_codec *c)
{
	put_rtpmap(b, c);
	put_feedback(b, c);
	put_params(b, j, s, c);
	if (!c->rtx_pt)
		return;
	sl_sdp_putf(b, "rtpmap", "%u rtx/%u", c->rtx_pt, c->clock_hz);
	sl_sdp_putf(b, "fmtp", "%u apt=%u", c->rtx_pt, c->pt);
}

/* Numbers, each behind its codec; a rejected section needs one number, of whatever. */
static void put_formats(struct sl_buf *b, const struct jsep_media *m)
{
	for (unsigned i = 0; i < m->n_codecs; i++) {
		sl_sdp_put_format(b, m->codecs[i].pt);
		if (m->rejected)
			return;
		if (m->codecs[i].rtx_pt)
			sl_sdp_put_format(b, m->codecs[i].rtx_pt);
	}
	if (m->n_codecs == 0)
		sl_sdp_put_format(b, 0);
}

/* As the peer has offered it, word for word */
static void put_their_format(const struct writing *w, unsigned i)
{
	sl_buf_printf(w->b, " %.*s", SL_FMT(w->j->offer.media[i].formats[0]));
}

static uint16_t sctp_port(const struct writing *w)
{
	return w->local->sctp_port ? w->local->sctp_port : 5000;
}

static void put_m_line(const struct writing *w, unsigned i)
{
	const struct section *s = w->j->sections[i];
	bool answer = w->j->state == JSEP_HAVE_REMOTE_OFFER;

	sl_sdp_begin_media(w->b, sl_str_c(s->type), s->m.rejected ? 0 : 9, sl_str_c(s->proto));
	if (s->m.rejected && answer)
		put_their_format(w, i);
	else if (s->m.kind != SL_MEDIA_DATA)
		put_formats(w->b, &s->m);
	else if (s->old_sctp)
		sl_sdp_put_format(w->b, sctp_port(w));
	else
		sl_buf_str(w->b, SL_STR(" webrtc-datachannel"));
	sl_sdp_end_media(w->b, NULL);
}

static void put_extensions(struct sl_buf *b, const struct jsep_media *m)
{
	for (unsigned ext = 0; ext < SL_N_RTP_EXT; ext++) {
		uint8_t in = m->ext.id[ext], out = m->ext_out.id[ext];
		const char *way = in && out ? "" : in ? "/recvonly" : "/sendonly";

		if (in || out)
			sl_sdp_putf(b, "extmap", "%u%s %s", in ? in : out, way,
				    sl_rtp_ext_uri(ext));
	}
	if (m->ext_mixed)
		sl_sdp_put(b, "extmap-allow-mixed");
}

/* Restrictions of the offer stay as they were (RFC 8851 section 6.3), the formats included: those
 * that were not agreed do no harm. */
static struct sl_str restrictions(const struct writing *w, unsigned i, const char *rid)
{
	const struct sl_sdp_media *m;

	if (w->j->state != JSEP_HAVE_REMOTE_OFFER)
		return SL_STR_NULL;
	m = &w->j->offer.media[i];
	for (unsigned k = 0; k < m->n_attrs; k++) {
		struct sl_str v = m->attrs[k].value, id = sl_str_split(&v, ' ');

		(void)sl_str_split(&v, ' '); /* "send" */
		if (sl_str_eq(m->attrs[k].name, SL_STR("rid")) && sl_str_eq(id, sl_str_c(rid)))
			return sl_str_trim(v);
	}
	return SL_STR_NULL;
}

static void put_rids(const struct writing *w, unsigned i)
{
	const struct section *s = w->j->sections[i];

	if (!(s->said & JSEP_RECV))
		return;
	/* Without this, who grouped its SSRCs as simulcast sends the first of them only. */
	if (s->m.n_theirs > 1)
		sl_sdp_putf(w->b, "x-google-flag", "%s", "conference");
	if (s->m.n_rids == 0)
		return;
	for (unsigned k = 0; k < s->m.n_rids; k++) {
		struct sl_str rest = restrictions(w, i, s->m.rids[k]);

		sl_sdp_putf(w->b, "rid", "%s recv%s%.*s", s->m.rids[k], rest.len ? " " : "",
			    SL_FMT(rest));
	}
	if (!s->simulcast)
		return;
	sl_buf_str(w->b, SL_STR("a=simulcast:recv "));
	for (unsigned k = 0; k < s->m.n_rids; k++)
		sl_buf_printf(w->b, "%s%s", k ? ";" : "", s->m.rids[k]);
	sl_buf_str(w->b, SL_STR("\r\n"));
}

static bool has_rtx(const struct jsep_media *m)
{
	for (unsigned i = 0; i < m->n_codecs; i++)
		if (m->codecs[i].rtx_pt)
			return true;
	return false;
}

/* The caller's names come from other peers: what would end a word or a line is replaced. */
static void put_name(struct sl_buf *b, const char *name)
{
	if (!name[0])
		sl_buf_u8(b, '-');
	for (; *name; name++)
		sl_buf_u8(b, *name > ' ' && *name <= '~' ? (uint8_t)*name : '_');
}

static void put_msid(struct sl_buf *b, const struct jsep_media *m)
{
	sl_buf_str(b, SL_STR("a=msid:"));
	put_name(b, m->stream);
	if (m->track[0]) {
		sl_buf_u8(b, ' ');
		put_name(b, m->track);
	}
	sl_buf_str(b, SL_STR("\r\n"));
}

static void put_ssrc(struct sl_buf *b, uint32_t ssrc, const char *cname)
{
	sl_buf_printf(b, "a=ssrc:%u cname:", ssrc);
	put_name(b, cname);
	sl_buf_str(b, SL_STR("\r\n"));
}

static void put_ssrcs(struct sl_buf *b, const struct jsep_media *m)
{
	bool rtx = m->ours.rtx && has_rtx(m);

	if (!m->ours.media)
		return;
	if (rtx)
		sl_sdp_putf(b, "ssrc-group", "FID %u %u", m->ours.media, m->ours.rtx);
	put_ssrc(b, m->ours.media, m->cname);
	if (rtx)
		put_ssrc(b, m->ours.rtx, m->cname);
}

static void put_rtp(const struct writing *w, unsigned i)
{
	const struct section *s = w->j->sections[i];

	if (s->said & JSEP_SEND)
		put_msid(w->b, &s->m);
	sl_sdp_put(w->b, "rtcp-mux");
	if (s->m.rtcp_rsize)
		sl_sdp_put(w->b, "rtcp-rsize");
	if (s->m.rtcp_xr)
		sl_sdp_putf(w->b, "rtcp-xr", "%s", "rcvr-rtt=all");
	for (unsigned k = 0; k < s->m.n_codecs; k++)
		put_codec(w->b, w->j, s, &s->m.codecs[k]);
	put_extensions(w->b, &s->m);
	put_rids(w, i);
	if (s->said & JSEP_SEND)
		put_ssrcs(w->b, &s->m);
}

/* This and the transport mean nothing in a rejected section, but aiortc reads them in every one;
 * Chromium refuses numbers that the m-line does not have. */
static void put_rejected_rtp(const struct writing *w, const struct section *s)
{
	sl_sdp_put(w->b, "rtcp-mux");
	if (s->m.n_codecs > 0 && w->j->state != JSEP_HAVE_REMOTE_OFFER)
		put_rtpmap(w->b, &s->m.codecs[0]);
}

static void put_data(const struct writing *w, const struct section *s)
{
	size_t max = w->local->max_message ? w->local->max_message : w->j->caps->max_message;

	if (s->old_sctp)
		sl_sdp_putf(w->b, "sctpmap", "%u webrtc-datachannel 1024", sctp_port(w));
	else
		sl_sdp_putf(w->b, "sctp-port", "%u", sctp_port(w));
	sl_sdp_putf(w->b, "max-message-size", "%zu", max == SIZE_MAX ? 0 : max);
}

static void put_limit(struct sl_buf *b, const struct jsep_media *m)
{
	if (m->limit_bps == 0)
		return;
	sl_buf_printf(b, "b=AS:%llu\r\nb=TIAS:%llu\r\n",
		      (unsigned long long)((m->limit_bps + 999) / 1000),
		      (unsigned long long)m->limit_bps);
}

static void put_section(const struct writing *w, unsigned i, bool tagged)
{
	const struct section *s = w->j->sections[i];
	bool rtp = s->m.kind != SL_MEDIA_DATA;

	put_m_line(w, i);
	if (rtp && !s->m.rejected)
		put_limit(w->b, &s->m);
	if (s->m.mid[0])
		sl_sdp_putf(w->b, "mid", "%s", s->m.mid);
	if (rtp || s->m.rejected)
		sl_sdp_put(w->b, sl_sdp_direction_name(s->m.rejected ? SL_SDP_INACTIVE : s->said));
	if (rtp && !s->m.rejected)
		put_rtp(w, i);
	else if (rtp)
		put_rejected_rtp(w, s);
	else if (!s->m.rejected)
		put_data(w, s);
	jsep_write_transport(w->b, w->local, w->setup);
	if (tagged)
		jsep_write_candidates(w->b, w->local);
}

/* The k-th section of the group, as the description that is being written lists it: an answer keeps
 * the offer's order, for the first of it stands for the transport (RFC 8843 section 7.3.2).
 * Negative: there are no more. */
static int group_at(const struct writing *w, unsigned k)
{
	const struct jsep *j = w->j;

	if (j->state == JSEP_HAVE_REMOTE_OFFER && j->their_group)
		return k < j->n_group ? (int)j->group[k] : -1;
	return k < j->n_placed ? (int)k : -1;
}

static int find_tagged(const struct writing *w)
{
	int i;

	for (unsigned k = 0; (i = group_at(w, k)) >= 0; k++)
		if (!w->j->sections[i]->m.rejected)
			return i;
	return -1;
}

static void put_group(const struct writing *w)
{
	int i;

	if (w->j->state == JSEP_HAVE_REMOTE_OFFER && !w->j->their_group)
		return;
	if (find_tagged(w) < 0)
		return;
	sl_buf_str(w->b, SL_STR("a=group:BUNDLE"));
	for (unsigned k = 0; (i = group_at(w, k)) >= 0; k++)
		if (!w->j->sections[i]->m.rejected)
			sl_buf_printf(w->b, " %s", w->j->sections[i]->m.mid);
	sl_buf_str(w->b, SL_STR("\r\n"));
}

int jsep_write(const struct writing *w)
{
	int tagged = find_tagged(w);

	sl_sdp_begin(w->b, w->j->id, w->j->version, NULL);
	put_group(w);
	if (w->local->lite)
		sl_sdp_put(w->b, "ice-lite");
	if (w->local->trickle)
		sl_sdp_put(w->b, "ice-options:trickle");
	for (unsigned i = 0; i < w->j->n_placed; i++)
		put_section(w, i, (int)i == tagged);
	return sl_buf_ok(w->b);
}
