/*
 * sip-gateway/leg_sdp.c: descriptions of a plain leg (RFC 3264): one audio section, and one of
 * video where leg_video_sdp.c has any; others that a party offers are refused, and kept in their
 * places.
 *
 * What may come in goes by the numbers of our description, what goes out by those of theirs.
 */
#include "leg_impl.h"

#include <stdio.h>
#include <sluice/crypto.h>

enum { MIN_PTIME = 10, MAX_PTIME = 60, OPUS_PARAMS = 48 + SL_SDP_OPUS_LIMIT };

static const struct {
	enum sl_codec_id codec;
	struct sl_sdp_format format;
} own[] = {
#define F(id, pt_, channels_, clock, name_, params_)                                               \
	{                                                                                          \
		SL_CODEC_##id,                                                                     \
		{                                                                                  \
			.pt = pt_, .channels = channels_, .clock_hz = clock,                       \
			.name = SL_STR_INIT(name_), .params = SL_STR_INIT(params_)                 \
		}                                                                                  \
	}
	F(OPUS, 111, 2, 48000, "opus", ""),
	F(G722, 9, 1, 8000, "G722", ""),
	F(PCMA, 8, 1, 8000, "PCMA", ""),
	F(PCMU, 0, 1, 8000, "PCMU", ""),
	F(L16, 118, 1, 16000, "L16", ""),
	F(L16, 119, 1, 8000, "L16", ""),
	F(L16, 117, 1, 48000, "L16", ""),
	F(CN, 13, 1, 8000, "CN", ""),
	F(DTMF, 101, 1, 8000, "telephone-event", "0-15"),
	F(DTMF, 102, 1, 48000, "telephone-event", "0-15"),
	F(DTMF, 103, 1, 16000, "telephone-event", "0-15"),
#undef F
};

/* Best first; a call to an old telephone still ends at G.711. */
static const enum sl_codec_id default_order[] = {SL_CODEC_OPUS, SL_CODEC_G722, SL_CODEC_PCMA,
						 SL_CODEC_PCMU};

unsigned leg_wanted_codecs(const struct leg *l, enum sl_codec_id ret_codecs[LEG_MAX_CODECS])
{
	unsigned n = l->o.n_codecs ? l->o.n_codecs : SL_ARRAY_LEN(default_order);
	const enum sl_codec_id *from = l->o.n_codecs ? l->o.codecs : default_order;

	for (unsigned i = 0; i < n; i++)
		ret_codecs[i] = from[i];
	return n;
}

/* ---- what we can */

static unsigned add_codec(struct sl_sdp_format *list, unsigned n, enum sl_codec_id codec)
{
	for (unsigned i = 0; i < SL_ARRAY_LEN(own) && n < MAX_FORMATS; i++)
		if (own[i].codec == codec)
			list[n++] = own[i].format;
	return n;
}

static bool has_clock(const struct sl_sdp_format *list, unsigned n, uint32_t clock_hz)
{
	for (unsigned i = 0; i < n; i++)
		if (list[i].clock_hz == clock_hz)
			return true;
	return false;
}

/* In the order wanted; behind them what goes with their clocks. */
static unsigned own_formats(const struct leg *l, struct sl_sdp_format list[MAX_FORMATS])
{
	enum sl_codec_id codecs[LEG_MAX_CODECS];
	unsigned n_codecs = leg_wanted_codecs(l, codecs), n = 0, n_speech;

	for (unsigned i = 0; i < n_codecs; i++)
		n = add_codec(list, n, codecs[i]);
	n_speech = n;
	for (unsigned i = 0; i < SL_ARRAY_LEN(own) && n < MAX_FORMATS; i++)
		if ((own[i].codec == SL_CODEC_CN || own[i].codec == SL_CODEC_DTMF) &&
		    has_clock(list, n_speech, own[i].format.clock_hz))
			list[n++] = own[i].format;
	return n;
}

static void keep_formats(struct leg_formats *f, const struct sl_sdp_format *list, unsigned n)
{
	f->n = 0;
	for (unsigned i = 0; i < n && f->n < MAX_FORMATS; i++)
		f->list[f->n++] = (struct leg_format){.codec = sl_codec_by_name(list[i].name),
						      .pt = list[i].pt,
						      .clock_hz = list[i].clock_hz};
}

/* The numbers of what goes to them are theirs. */
static void keep_limits(struct leg_formats *f, const struct sl_plain *theirs)
{
	for (unsigned i = 0; i < f->n; i++)
		for (unsigned k = 0; k < theirs->n_formats; k++)
			if (f->list[i].codec == SL_CODEC_OPUS &&
			    theirs->formats[k].pt == f->list[i].pt)
				f->list[i].max_bps = leg_max_bps(theirs->formats[k].params);
}

/* Numbers that were good before an exchange stay so until packets under way have come. */
static void take_in(struct leg *l, const struct sl_sdp_format *list, unsigned n)
{
	struct leg_formats before = l->in;

	keep_formats(&l->in, list, n);
	for (unsigned i = 0; i < before.n && l->in.n < MAX_FORMATS; i++)
		if (!leg_format_by_pt(&l->in, before.list[i].pt))
			l->in.list[l->in.n++] = before.list[i];
	sl_line_clear_formats(l->line);
	for (unsigned i = 0; i < l->in.n; i++)
		sl_line_set_format(l->line, l->in.list[i].pt, l->in.list[i].clock_hz);
}

/* Ours first in our order, where one was asked for: a trunk's wish goes over a telephone's. */
static void order(const struct leg *l, struct sl_sdp_format *list, unsigned n)
{
	unsigned at = 0;

	for (unsigned c = 0; c < l->o.n_codecs; c++) {
		for (unsigned i = at; i < n; i++) {
			struct sl_sdp_format f = list[i];

			if (sl_codec_by_name(f.name) != l->o.codecs[c])
				continue;
			memmove(&list[at + 1], &list[at], (i - at) * sizeof f);
			list[at++] = f;
		}
	}
}

/* ---- writing */

/* Each side's are its own (RFC 7587 section 7.1): an answer does not repeat theirs. */
static void put_opus_params(const struct leg *l, struct sl_plain *p, char text[OPUS_PARAMS])
{
	char limit[SL_SDP_OPUS_LIMIT] = "";

	if (l->heard_hz)
		(void)sl_sdp_opus_limit(limit, l->heard_hz);
	(void)snprintf(text, OPUS_PARAMS, "useinbandfec=1;stereo=0;sprop-stereo=0%s%s",
		       limit[0] ? ";" : "", limit);
	for (unsigned i = 0; i < p->n_formats; i++)
		if (sl_codec_by_name(p->formats[i].name) == SL_CODEC_OPUS)
			p->formats[i].params = sl_str_c(text);
}

static void begin_section(const struct leg *l, struct sl_plain *p)
{
	const struct sl_addr *told = leg_port_told(l);

	*p = (struct sl_plain){.kind = SL_MEDIA_AUDIO,
			       .proto = l->secure ? SL_STR("RTP/SAVP") : SL_STR("RTP/AVP"),
			       .rtp = *told,
			       .rtcp = *told,
			       .mux = l->mux,
			       .direction = l->wanted,
			       .ptime_ms = l->o.ptime_ms ? l->o.ptime_ms : FRAME_MS};
	p->rtp.port = sl_udp_local(l->rtp)->port;
	p->rtcp.port = sl_udp_local(l->rtcp)->port;
}

/* video: NULL: there is none */
static void write_all(struct leg *l, struct sl_buf *b, const struct sl_plain *p,
		      const struct sl_plain *video)
{
	struct sl_addr told = *leg_port_told(l);

	told.port = 0;
	sl_sdp_begin(b, l->sdp_id, ++l->sdp_version, &told);
	for (unsigned i = 0; i < l->n_sections; i++) {
		const struct leg_section *s = &l->sections[i];
		const struct sl_str format = sl_str_c(s->format);
		const struct sl_sdp_media refused = {.type = sl_str_c(s->type),
						     .proto = sl_str_c(s->proto),
						     .formats = &format,
						     .n_formats = 1};

		if (i == l->audio_at)
			sl_plain_write(b, p);
		else if (i == l->video_at && video)
			sl_plain_write(b, video);
		else
			sl_plain_reject(b, &refused);
	}
}

/* Where video stood once, or behind all. False: there is no room. */
static bool place_video(struct leg *l)
{
	unsigned at = l->video_at;

	for (unsigned i = 0; i < l->n_sections && at == MAX_SECTIONS; i++)
		if (i != l->audio_at && strcmp(l->sections[i].type, "video") == 0)
			at = i;
	if (at == MAX_SECTIONS && l->n_sections < MAX_SECTIONS)
		at = l->n_sections++;
	if (at == MAX_SECTIONS)
		return false;
	l->sections[at] = (struct leg_section){"video", "RTP/AVP", "96"};
	l->video_at = at;
	return true;
}

int leg_plain_offer(struct leg *l, struct sl_buf *ret_sdp)
{
	struct sl_sdp_format formats[MAX_FORMATS];
	struct sl_plain p, video;
	char params[OPUS_PARAMS];
	bool has_video;
	int err;

	if (l->offer_open)
		return -SL_EAGAIN;
	err = leg_port_open(l, 0);
	if (err < 0)
		return err;
	if (l->n_sections == 0) {
		l->n_sections = 1;
		l->secure = l->o.profile == LEG_SDES;
		l->mux = !l->o.no_mux;
	}
	if (l->secure && leg_keys_draw(&l->keys) < 0)
		return -SL_ESYS;
	begin_section(l, &p);
	p.n_formats = own_formats(l, formats);
	memcpy(p.formats, formats, p.n_formats * sizeof *formats);
	leg_heard_describe(l);
	put_opus_params(l, &p, params);
	if (l->secure)
		leg_keys_put(&l->keys, &p);
	has_video = leg_video_offer(l, &video) && place_video(l);
	write_all(l, ret_sdp, &p, has_video ? &video : NULL);
	sl_wipe(p.keys, sizeof p.keys);
	if (has_video)
		sl_wipe(video.keys, sizeof video.keys);
	take_in(l, formats, p.n_formats);
	l->offer_open = true;
	return sl_buf_ok(ret_sdp);
}

/* ---- reading */

struct theirs {
	struct sl_pool *pool;
	struct sl_sdp sdp;
	struct sl_plain audio, video;
	unsigned at, video_at; /* of their sections; video_at MAX_SECTIONS: none */
	char *err;   /* LEG_ERR bytes */
};

static int refuse(struct theirs *t, int rc, const char *sentence)
{
	(void)snprintf(t->err, LEG_ERR, "%s", sentence);
	return rc;
}

static int parse(struct theirs *t, struct sl_str text)
{
	struct sl_sdp_error e = {0};
	struct sl_str copy;
	int rc;

	t->pool = sl_pool_new(0);
	copy = t->pool && text.len <= SL_SDP_MAX_BYTES ? sl_pool_str(t->pool, text) : text;
	if (!t->pool || (text.len > 0 && !copy.p))
		return -SL_ENOMEM;
	rc = sl_sdp_parse(&t->sdp, t->pool, copy, &e);
	if (rc < 0)
		(void)snprintf(t->err, LEG_ERR, "line %u: %s", e.line, e.text);
	return rc;
}

static int find_audio(struct theirs *t)
{
	for (unsigned i = 0; i < t->sdp.n_media; i++) {
		if (sl_plain_read(&t->audio, &t->sdp, i) < 0)
			continue;
		t->at = i;
		if (t->audio.kind == SL_MEDIA_AUDIO && !t->audio.rejected)
			return 0;
	}
	return refuse(t, -SL_EUNSUPP, "there is no audio over RTP in it");
}

/* At a place where there may be some, or anywhere: at MAX_SECTIONS. */
static void find_video(struct theirs *t, unsigned at)
{
	t->video_at = MAX_SECTIONS;
	for (unsigned i = 0; i < t->sdp.n_media && i < MAX_SECTIONS; i++) {
		if (i == t->at || (at != MAX_SECTIONS && i != at) ||
		    sl_plain_read(&t->video, &t->sdp, i) < 0 || t->video.rejected ||
		    t->video.kind != SL_MEDIA_VIDEO)
			continue;
		t->video_at = i;
		return;
	}
}

static const struct sl_plain *video_of(const struct theirs *t)
{
	return t->video_at == MAX_SECTIONS ? NULL : &t->video;
}

static void forget_theirs(struct theirs *t)
{
	sl_wipe(t->video.keys, sizeof t->video.keys);
	sl_wipe(t->audio.keys, sizeof t->audio.keys);
	sl_pool_destroy(t->pool);
}

static unsigned sane_ptime(const struct leg *l, const struct sl_plain *p)
{
	unsigned ms = p->ptime_ms ? p->ptime_ms : l->o.ptime_ms ? l->o.ptime_ms : FRAME_MS;

	if (p->maxptime_ms && ms > p->maxptime_ms)
		ms = p->maxptime_ms;
	ms -= ms % MIN_PTIME;
	return ms < MIN_PTIME ? MIN_PTIME : ms > MAX_PTIME ? MAX_PTIME : ms;
}

static void take_remote(struct leg *l, const struct sl_plain *p, bool mux)
{
	const struct sl_line_remote r = {
		.rtp = p->rtp, .rtcp = mux ? p->rtp : p->rtcp, .mux = mux, .strict = l->o.strict};
	struct sl_line_remote unknown = r;

	/* Held in the old way, by an address of zeros: media does not go there. */
	if (sl_addr_classify(&p->rtp) == SL_ADDR_UNSPECIFIED)
		unknown.rtp = unknown.rtcp = (struct sl_addr){0};
	sl_line_set_remote(l->line, &unknown);
	l->mux = mux;
	l->theirs = p->direction;
	l->ptime_ms = sane_ptime(l, p);
}

/* ---- our answer */

static int check_sections(const struct leg *l, struct theirs *t)
{
	if (t->sdp.n_media > MAX_SECTIONS)
		return refuse(t, -SL_EUNSUPP, "there are more than 8 sections");
	if (t->sdp.n_media < l->n_sections)
		return refuse(t, -SL_EPARSE, "there are fewer sections than before");
	return 0;
}

static void keep_sections(struct leg *l, const struct theirs *t)
{
	for (unsigned i = 0; i < t->sdp.n_media; i++) {
		const struct sl_sdp_media *m = &t->sdp.media[i];
		struct leg_section *s = &l->sections[i];

		(void)sl_str_copy(s->type, sizeof s->type, m->type); /* odd ones are cut */
		(void)sl_str_copy(s->proto, sizeof s->proto, m->proto);
		(void)sl_str_copy(s->format, sizeof s->format, m->formats[0]);
	}
	l->n_sections = t->sdp.n_media;
	l->audio_at = t->at;
	l->video_at = t->video_at;
}

/* Keys of the offer are taken where they must be, or where encryption is wanted. What is refused
 * changes nothing: the session goes on with the keys that it has (RFC 3264 section 8). */
static int answer_keys(struct leg *l, struct theirs *t, struct sl_plain *p)
{
	bool wants = l->o.profile == LEG_SDES;
	bool secure = sl_str_starts(t->audio.proto, SL_STR("RTP/SAVP")) ||
		      (wants && t->audio.n_keys > 0);
	const struct sl_sdes *remote;
	struct sl_sdes local;
	int rc;

	if (!secure && wants)
		return refuse(t, -SL_EUNSUPP, "media must be encrypted (RFC 4568)");
	if (!secure) {
		l->secure = false;
		return sl_line_set_keys(l->line, NULL, NULL);
	}
	if (leg_keys_draw(&l->keys) < 0)
		return -SL_ESYS;
	remote = leg_keys_match(&l->keys, &t->audio, &local);
	if (!remote)
		return refuse(t, -SL_EUNSUPP, "there is no a=crypto with a suite of ours");
	rc = sl_line_set_keys(l->line, &local, remote);
	l->secure = true;
	p->keys[0] = local;
	p->n_keys = 1;
	sl_wipe(&local, sizeof local);
	return rc;
}

static int write_answer(struct leg *l, struct theirs *t, struct sl_buf *ret_sdp)
{
	struct sl_sdp_format can[MAX_FORMATS];
	unsigned n_can = own_formats(l, can);
	struct sl_plain p, video;
	char params[OPUS_PARAMS];
	bool has_video;
	int rc;

	begin_section(l, &p);
	p.proto = t->audio.proto;
	p.mux = t->audio.mux;
	p.direction = sl_sdp_turn(t->audio.direction) & l->wanted;
	p.n_formats = sl_plain_agree(p.formats, &t->audio, can, n_can);
	order(l, p.formats, p.n_formats);
	if (p.n_formats > MAX_FORMATS)
		p.n_formats = MAX_FORMATS;
	if (p.n_formats == 0)
		return refuse(t, -SL_EUNSUPP, "there is no codec in it that both sides have");
	rc = check_sections(l, t);
	if (rc == 0)
		rc = answer_keys(l, t, &p);
	if (rc < 0)
		return rc;
	keep_sections(l, t);
	take_in(l, p.formats, p.n_formats);
	keep_formats(&l->out_formats, p.formats, p.n_formats);
	keep_limits(&l->out_formats, &t->audio);
	take_remote(l, &t->audio, t->audio.mux);
	l->direction = p.direction;
	p.ptime_ms = l->ptime_ms;
	leg_heard_describe(l);
	put_opus_params(l, &p, params);
	has_video = leg_video_answer(l, video_of(t), &video);
	write_all(l, ret_sdp, &p, has_video ? &video : NULL);
	sl_wipe(p.keys, sizeof p.keys);
	if (has_video)
		sl_wipe(video.keys, sizeof video.keys);
	return sl_buf_ok(ret_sdp);
}

int leg_plain_answer(struct leg *l, struct sl_str offer, struct sl_buf *ret_sdp, char *ret_err)
{
	struct theirs t = {.err = ret_err};
	int rc;

	ret_err[0] = '\0';
	if (l->offer_open)
		return -SL_EAGAIN;
	rc = parse(&t, offer);
	if (rc == 0)
		rc = find_audio(&t);
	if (rc == 0)
		rc = leg_port_open(l, t.audio.rtp.family);
	if (rc == 0)
		find_video(&t, MAX_SECTIONS);
	if (rc == 0)
		rc = write_answer(l, &t, ret_sdp);
	forget_theirs(&t);
	return rc;
}

/* ---- theirs */

static int accept_keys(struct leg *l, struct theirs *t)
{
	const struct sl_sdes *remote;
	struct sl_sdes local;
	int rc;

	if (!l->secure)
		return 0;
	remote = leg_keys_match(&l->keys, &t->audio, &local);
	if (!remote)
		return refuse(t, -SL_EUNSUPP, "the answer has no key of a suite that was offered");
	rc = sl_line_set_keys(l->line, &local, remote);
	sl_wipe(&local, sizeof local);
	return rc;
}

static int take_answer(struct leg *l, struct theirs *t)
{
	struct sl_sdp_format can[MAX_FORMATS], both[SL_PLAIN_MAX_FORMATS];
	unsigned n = sl_plain_agree(both, &t->audio, can, own_formats(l, can));
	int rc;

	if (n == 0)
		return refuse(t, -SL_EUNSUPP, "the answer has no codec that was offered");
	rc = accept_keys(l, t);
	if (rc < 0)
		return rc;
	keep_formats(&l->out_formats, both, n);
	keep_limits(&l->out_formats, &t->audio);
	take_remote(l, &t->audio, l->mux && t->audio.mux);
	l->direction = sl_sdp_turn(t->audio.direction) & l->wanted;
	l->offer_open = false;
	find_video(t, l->video_at);
	leg_video_accept(l, l->video_at == MAX_SECTIONS ? NULL : video_of(t));
	return 0;
}

int leg_plain_accept(struct leg *l, struct sl_str answer, char *ret_err)
{
	struct theirs t = {.err = ret_err};
	int rc;

	ret_err[0] = '\0';
	if (!l->rtp)
		return -SL_EINVAL;
	rc = parse(&t, answer);
	if (rc == 0)
		rc = find_audio(&t);
	if (rc == 0)
		rc = take_answer(l, &t);
	forget_theirs(&t);
	return rc;
}
