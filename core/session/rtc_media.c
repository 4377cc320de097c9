/*
 * session/rtc_media.c: the sections of a connection: made and ended as descriptions say, and what
 * callers ask of them.
 *
 * A section lives as long as its place in the descriptions (core/proto/jsep*.c), which outlives a
 * description that is rolled back; so what it sends and its caller's data hang here, and only
 * agreements (rtc_sdp.c) change what comes.
 */
#include "session/rtc_impl.h"

#include <stdlib.h>
#include <sluice/crypto.h>

/* ---- sections */

static struct sl_rtc_media *need_section(struct sl_rtc *c, struct jsep_media *j)
{
	struct sl_rtc_media *m = j->user, **grown;

	if (m)
		return m;
	grown = realloc(c->media, (c->n_media + 1) * sizeof *grown);
	if (!grown)
		return NULL;
	c->media = grown;
	m = calloc(1, sizeof *m);
	if (!m)
		return NULL;
	m->c = c;
	m->j = j;
	j->user = m;
	c->media[c->n_media++] = m;
	return m;
}

static void begin_sending(struct sl_rtc_media *m)
{
	m->ours = true;
	rtc_send_free(m);
	m->out = (struct rtc_out){.rtx_seq = 1};
}

static void free_section(struct sl_rtc *c, struct sl_rtc_media *m)
{
	unsigned i = 0;

	while (c->media[i] != m)
		i++;
	memmove(&c->media[i], &c->media[i + 1], (--c->n_media - i) * sizeof *c->media);
	rtc_send_forget(c, m);
	rtc_send_free(m);
	free(m);
}

/* A rejected section's place has been given away: it is no more. */
static void drop_sections(struct sl_rtc *c)
{
	for (unsigned i = 0; i < c->n_media; i++)
		c->media[i]->gone = true;
	for (unsigned i = 0; i < jsep_count(c->jsep); i++) {
		struct sl_rtc_media *m = jsep_at(c->jsep, i)->user;

		if (m)
			m->gone = false;
	}
	for (unsigned i = c->n_media; i-- > 0;)
		if (c->media[i]->gone)
			free_section(c, c->media[i]);
}

static void learn_codecs(struct sl_rtc_media *m)
{
	memset(m->codec_of_pt, 0, sizeof m->codec_of_pt);
	for (unsigned i = 0; i < m->j->n_codecs; i++) {
		m->codec_of_pt[m->j->codecs[i].pt & 127] = (uint8_t)(i + 1);
		if (m->j->codecs[i].rtx_pt)
			m->codec_of_pt[m->j->codecs[i].rtx_pt & 127] = (uint8_t)(i + 1);
	}
}

static void need_feedback(struct sl_rtc *c, const struct jsep_media *j)
{
	if (!c->twcc && j->ext.id[SL_RTP_EXT_TWCC] && (j->direction & JSEP_RECV))
		(void)twcc_recv_new(&c->twcc); /* without, the peer estimates by loss alone */
	rtc_limit_need(c, j);
}

/* Clients that number each section by itself make this a guess; where a stream's section is known,
 * its own ids count. */
static void learn_extensions(struct sl_rtc *c, const struct jsep_media *j)
{
	for (unsigned i = 0; i < SL_N_RTP_EXT; i++)
		if (j->ext.id[i])
			c->ext_in.id[i] = j->ext.id[i];
}

/* Whether the peer sends there now. */
static bool brings_media(const struct jsep_media *j)
{
	return !j->rejected && (j->direction & JSEP_RECV) && j->kind != SL_MEDIA_DATA;
}

/* Section by section, as far as the caller lets the connection live. */
int rtc_sections_agree(struct sl_rtc *c)
{
	rtc_streams_renew(c);
	drop_sections(c);
	for (unsigned i = 0; i < jsep_count(c->jsep) && !c->closing; i++) {
		struct jsep_media *j = jsep_at(c->jsep, i);
		struct sl_rtc_media *m = need_section(c, j);
		bool sends = brings_media(j);

		if (!m)
			return -SL_ENOMEM;
		if (c->two_way && !m->ours && j->ours.media)
			begin_sending(m);
		learn_codecs(m);
		learn_extensions(c, j);
		need_feedback(c, j);
		if (m->sends == sends)
			continue;
		m->sends = sends;
		if (c->handler->track)
			c->handler->track(c->arg, m, sends);
	}
	if (!c->closing)
		rtc_streams_renew(c);
	return 0;
}

void rtc_sections_free(struct sl_rtc *c)
{
	while (c->n_media > 0)
		free_section(c, c->media[c->n_media - 1]);
	free(c->media);
	c->media = NULL;
}

/* ---- streams that we send */

static bool is_used(const struct sl_rtc *c, uint32_t ssrc)
{
	for (unsigned i = 0; i < c->n_media; i++)
		if (c->media[i]->j->ours.media == ssrc || c->media[i]->j->ours.rtx == ssrc)
			return true;
	/* Nor one of the peer's, which would take it for a loop (RFC 3550 section 8.2). */
	for (unsigned i = 0; i < c->n_streams; i++)
		if (c->streams[i]->ssrc == ssrc)
			return true;
	return ssrc == 0 || ssrc == c->ssrc;
}

/* Two streams under one SSRC would share a key stream (RFC 3711 section 9.1). */
static int draw_ssrc(const struct sl_rtc *c, uint32_t *ret_ssrc)
{
	uint32_t ssrc;

	do {
		if (sl_random(&ssrc, sizeof ssrc) < 0)
			return -SL_ESYS;
	} while (is_used(c, ssrc));
	*ret_ssrc = ssrc;
	return 0;
}

int rtc_draw_ssrcs(const struct sl_rtc *c, struct jsep_media *j)
{
	int rc;

	j->ours = (struct jsep_ssrc){0};
	rc = draw_ssrc(c, &j->ours.media);
	if (rc == 0 && j->kind == SL_MEDIA_VIDEO)
		rc = draw_ssrc(c, &j->ours.rtx);
	return rc;
}

/* ---- sections that we send on */

int sl_rtc_add(struct sl_rtc *c, enum sl_media_kind kind, struct sl_str stream, struct sl_str track,
	       struct sl_rtc_media **ret_media)
{
	struct sl_rtc_media *m;
	struct jsep_media *j;
	int rc;

	if (c->two_way && kind == SL_MEDIA_VIDEO && c->n_video == 0)
		return -SL_EUNSUPP;
	rc = jsep_add(c->jsep, kind, c->two_way ? JSEP_SENDRECV : JSEP_SEND, &j);

	if (rc < 0)
		return rc;
	m = need_section(c, j);
	if (!m || rtc_draw_ssrcs(c, j) < 0) {
		jsep_stop(c->jsep, j);
		return -SL_ENOMEM;
	}
	(void)sl_str_copy(j->stream, sizeof j->stream, stream);
	(void)sl_str_copy(j->track, sizeof j->track, track);
	(void)sl_str_copy(j->cname, sizeof j->cname, stream);
	m->data = NULL;
	begin_sending(m);
	*ret_media = m;
	rtc_touch(c);
	return 0;
}

int sl_rtc_prefer(struct sl_rtc_media *m, const enum sl_codec_id *codecs, unsigned n)
{
	bool audio = m->j->kind == SL_MEDIA_AUDIO;
	const struct jsep_caps *caps = m->c->two_way ? &rtc_caps_of_calls : &rtc_caps;
	const struct jsep_codec *have = audio ? caps->audio : caps->video;
	unsigned n_have = audio ? caps->n_audio : caps->n_video, n_list = 0;
	struct jsep_codec list[JSEP_MAX_CODECS];

	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < n_have && n_list < JSEP_MAX_CODECS; k++)
			if (have[k].id == codecs[i])
				list[n_list++] = have[k];
	return n_list > 0 ? jsep_prefer(m->c->jsep, m->j, list, n_list) : -SL_EUNSUPP;
}

void sl_rtc_limit_sound(struct sl_rtc *c, uint32_t hz)
{
	jsep_limit_sound(c->jsep, hz);
}

void sl_rtc_set_direction(struct sl_rtc_media *m, enum sl_sdp_direction direction)
{
	m->j->wanted = (uint8_t)direction; /* enum jsep_direction has the same values */
	rtc_touch(m->c);
}

enum sl_sdp_direction sl_rtc_get_direction(const struct sl_rtc_media *m)
{
	return m->j->rejected ? SL_SDP_INACTIVE : (enum sl_sdp_direction)m->j->direction;
}

void sl_rtc_remove(struct sl_rtc_media *m)
{
	struct sl_rtc *c = m->c;
	bool known = m->j->mid[0] != '\0'; /* to the peer; else it is forgotten at once */

	m->ours = false;
	m->data = NULL;
	jsep_stop(c->jsep, m->j);
	if (known) {
		rtc_send_forget(c, m);
		rtc_send_free(m);
	} else {
		free_section(c, m);
	}
	rtc_touch(c);
}

/* ---- what callers ask */

struct sl_rtc *sl_rtc_media_rtc(const struct sl_rtc_media *m)
{
	return m->c;
}

enum sl_media_kind sl_rtc_media_kind(const struct sl_rtc_media *m)
{
	return m->j->kind;
}

struct sl_str sl_rtc_media_mid(const struct sl_rtc_media *m)
{
	return sl_str_c(m->j->mid);
}

unsigned sl_rtc_media_encodings(const struct sl_rtc_media *m)
{
	unsigned n = m->j->n_rids > 0 ? m->j->n_rids : m->j->n_theirs;

	return n > 0 ? n : 1;
}

struct sl_str sl_rtc_media_rid(const struct sl_rtc_media *m, unsigned encoding)
{
	return encoding < m->j->n_rids ? sl_str_c(m->j->rids[encoding]) : SL_STR_NULL;
}

void sl_rtc_media_set_data(struct sl_rtc_media *m, void *data)
{
	m->data = data;
}

void *sl_rtc_media_data(const struct sl_rtc_media *m)
{
	return m->data;
}

void sl_rtc_media_extensions(const struct sl_rtc_media *m, struct sl_rtp_ext_map *ret_map)
{
	*ret_map = m->j->ext;
}

enum sl_codec_id sl_rtc_media_codec(const struct sl_rtc_media *m)
{
	for (unsigned i = 0; i < m->j->n_codecs; i++)
		if (m->j->codecs[i].id != SL_CODEC_RED)
			return m->j->codecs[i].id;
	return SL_CODEC_NONE;
}

struct sl_str sl_rtc_media_params(const struct sl_rtc_media *m, enum sl_codec_id codec)
{
	for (unsigned i = 0; i < m->j->n_codecs; i++)
		if (m->j->codecs[i].id == codec)
			return sl_str_c(m->j->codecs[i].params);
	return SL_STR_NULL;
}

/* Variants of one codec (H.264 profiles) are told apart by their parameters, as far as these were
 * the ones that we offered; else the first of the codec is as good as any. */
unsigned sl_rtc_media_formats(const struct sl_rtc_media *m, struct sl_rtc_format *ret_formats,
			      unsigned max)
{
	unsigned n = 0;

	for (; !m->j->rejected && n < m->j->n_codecs && n < max; n++)
		ret_formats[n] = (struct sl_rtc_format){.codec = m->j->codecs[n].id,
							.pt = m->j->codecs[n].pt,
							.clock_hz = m->j->codecs[n].clock_hz,
							.params = sl_str_c(m->j->codecs[n].params)};
	return n;
}

uint8_t sl_rtc_media_pt(const struct sl_rtc_media *m, enum sl_codec_id codec, struct sl_str params)
{
	uint8_t pt = 0;

	if (m->j->rejected || !(m->j->direction & JSEP_SEND))
		return 0;
	for (unsigned i = 0; i < m->j->n_codecs; i++) {
		const struct jsep_codec *have = &m->j->codecs[i];

		if (have->id != codec)
			continue;
		if (sl_str_eq(sl_str_c(have->params), params))
			return have->pt;
		if (!pt)
			pt = have->pt;
	}
	return pt;
}
