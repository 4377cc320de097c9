/*
 * sfu/publish.c: a participant's media coming in: one connection, offered by the client, so that
 * glare cannot happen. Sections that begin to bring media become tracks; those that cease, or whose
 * connection ends, take their tracks with them.
 */
#include "sfu.h"

#include <stdio.h>
#include <sluice/crypto.h>
#include <sluice/track.h>

enum { MAX_FORMATS = 16 }; /* of a section, that are looked at */

/* ---- tracks out of sections */

/* What the client says of a section: {"mid", "source", "name"}; NULL: nothing. */
static const json_t *said_of(const struct participant *p, struct sl_str mid)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)p->announced, i,
			   item) if (sl_str_eq(sl_json_get_str(item, "mid"), mid)) return item;
	return NULL;
}

static void learn(struct track *t, const json_t *said)
{
	struct sl_str source = sl_json_get_str(said, "source");
	json_t *muted = json_object_get(said, "muted");

	if (source.p)
		t->source = (uint8_t)source_by_name(source);
	(void)sl_str_copy(t->name, sizeof t->name, sl_json_get_str(said, "name"));
	t->muted = json_is_true(muted);
}

static void learn_encodings(struct track *t, const struct sl_rtc_media *m)
{
	unsigned n = sl_rtc_media_encodings(m);

	t->n_encodings = n < SL_RTC_MAX_ENCODINGS ? n : SL_RTC_MAX_ENCODINGS;
	for (unsigned i = 0; i < t->n_encodings; i++)
		(void)sl_str_copy(t->rids[i], sizeof t->rids[i], sl_rtc_media_rid(m, i));
	sl_rtc_media_extensions(m, &t->ext);
}

/* The codec that packets are in, or will be, with what was agreed on about it. RTP counts in its
 * clock: G.711 in 8000 a second where Opus has 48000. */
static void learn_codec(struct track *t, const struct sl_rtc_media *m, enum sl_codec_id codec)
{
	struct sl_rtc_format list[MAX_FORMATS];
	unsigned n = sl_rtc_media_formats(m, list, MAX_FORMATS);

	t->codec = (uint8_t)codec;
	(void)sl_str_copy(t->params, sizeof t->params, sl_rtc_media_params(m, codec));
	for (unsigned i = 0; i < n; i++) {
		if (list[i].codec != codec || list[i].clock_hz == 0)
			continue;
		t->clock_hz = list[i].clock_hz;
		return;
	}
}

static uint32_t grant_for(const struct track *t)
{
	switch (t->source) {
	case SOURCE_SCREEN:
	case SOURCE_SCREEN_AUDIO:
		return SL_MAY_PUBLISH_SCREEN;
	default:
		return t->kind == SL_MEDIA_AUDIO ? SL_MAY_PUBLISH_AUDIO : SL_MAY_PUBLISH_VIDEO;
	}
}

void publish_announce(struct track *t)
{
	struct participant *p = t->publisher;

	trunk_track(t);
	for (struct participant *other = p->room->participants; other; other = other->next) {
		if (!other->here || other == p || (p->grants & SL_IS_HIDDEN))
			continue;
		say_track(other, t);
		subscribe_all(other);
	}
}

static int begin_track(struct participant *p, struct sl_rtc_media *m)
{
	struct sfu *s = p->room->sfu;
	struct track *t;
	uint64_t id;
	int rc;

	if (p->n_tracks >= (unsigned)s->conf->max_tracks)
		return -SL_ELIMIT;
	rc = sl_random(&id, sizeof id);
	if (rc == 0)
		rc = track_add(p, id, sl_rtc_media_kind(m), &t);
	if (rc < 0)
		return rc;
	learn(t, said_of(p, sl_rtc_media_mid(m)));
	if (!(p->grants & grant_for(t))) {
		track_remove(t);
		return -SL_EDENIED;
	}
	t->in = m;
	learn_encodings(t, m);
	learn_codec(t, m, sl_rtc_media_codec(m));
	rc = shown_begin(t);
	if (rc < 0) {
		track_remove(t);
		return rc;
	}
	sl_rtc_media_set_data(m, t);
	publish_announce(t);
	return 0;
}

/* ---- the connection's events */

static void on_track(void *arg, struct sl_rtc_media *m, bool sends)
{
	struct participant *p = arg;
	struct track *t = sl_rtc_media_data(m);
	int rc;

	if (!sends) {
		if (t)
			track_remove(t);
		return;
	}
	rc = t ? 0 : begin_track(p, m);
	if (rc < 0)
		say_error(p->room->sfu, p->id, "publish",
			  rc == -SL_EDENIED ? "the token does not permit this source"
					    : "too many tracks, or no room for another");
}

static void on_rtp(void *arg, const struct sl_rtc_in *in)
{
	struct participant *p = arg;
	struct track *t = sl_rtc_media_data(in->media);
	struct sl_media m = {.rtp = in->rtp,
			     .seq = in->seq,
			     .encoding = in->encoding,
			     .codec = in->codec,
			     .recovered = in->recovered};

	if (!t || t->silenced)
		return;
	sfu_count(p->room->sfu, M_packets_in);
	p->idle_since_ms = 0;
	if (t->codec != in->codec && in->codec != SL_CODEC_RED) {
		learn_codec(t, in->media, in->codec);
		trunk_track(t);
		track_codec_changed(t);
		shown_changed(t);
	}
	if (shown_packet(t, &m) == SL_DROP)
		return;
	forward_packet(t, in->rtp, in->seq, in->encoding, in->codec);
}

void publish_clock(struct track *t, unsigned encoding, const struct sl_rtc_clock *clock)
{
	shown_clock(t, encoding, clock);
	forward_clock(t, encoding, clock);
	trunk_clock(t, encoding, clock);
}

static void on_clock(void *arg, struct sl_rtc_media *m, unsigned encoding,
		     const struct sl_rtc_clock *clock)
{
	struct track *t = sl_rtc_media_data(m);

	(void)arg;
	if (t)
		publish_clock(t, encoding, clock);
}

/* The section's encodings as they are now, told wherever the track is. */
static void tell_ended(struct track *t, uint32_t ended)
{
	bool over = sl_rtc_media_is_over(t->in), changed = over != t->over;

	track_ended(t, ended, over);
	if (changed)
		shown_changed(t);
	trunk_track(t);
}

static void on_ended(void *arg, struct sl_rtc_media *m, unsigned encoding)
{
	struct track *t = sl_rtc_media_data(m);

	(void)arg;
	if (t)
		tell_ended(t, t->ended | 1u << encoding);
}

static void on_resumed(void *arg, struct sl_rtc_media *m, unsigned encoding)
{
	struct track *t = sl_rtc_media_data(m);

	(void)arg;
	if (t)
		tell_ended(t, t->ended & ~(1u << encoding));
}

static void on_state(void *arg, struct sl_rtc *c, enum sl_rtc_state state, const char *why)
{
	struct participant *p = arg;

	(void)c;
	if (state == SL_RTC_FAILED)
		say_restart(p->room->sfu, p->id, "publish", why);
	else if (state == SL_RTC_CLOSED) {
		say_restart(p->room->sfu, p->id, "publish", why);
		publish_close(p, why);
	}
}

static void on_channel(void *arg, struct sl_rtc *c, uint16_t channel, struct sl_str label)
{
	(void)c;
	(void)label;
	data_opened(arg, channel);
}

static void on_channel_closed(void *arg, struct sl_rtc *c, uint16_t channel)
{
	struct participant *p = arg;

	(void)c;
	if (p->data_channel == channel)
		data_closed(p);
}

static void on_channel_writable(void *arg, struct sl_rtc *c, uint16_t channel)
{
	struct participant *p = arg;

	(void)c;
	if (p->data_channel == channel)
		data_drained(p);
}

static void on_message(void *arg, struct sl_rtc *c, uint16_t channel, bool text, struct sl_str data)
{
	(void)c;
	(void)channel;
	data_said(arg, text, data);
}

static const struct sl_rtc_handler handler = {
	.state = on_state,
	.track = on_track,
	.rtp = on_rtp,
	.clock = on_clock,
	.ended = on_ended,
	.resumed = on_resumed,
	.channel = on_channel,
	.channel_closed = on_channel_closed,
	.channel_writable = on_channel_writable,
	.message = on_message,
};

/* ---- life */

static int open_connection(struct participant *p)
{
	struct sfu *s = p->room->sfu;
	char label[ID_CHARS];
	const struct sl_rtc_opts o = {
		.handler = &handler,
		.arg = p,
		.room = {p->room->name, p->room->name_len},
		.peer = sl_str_c(id_text(label, p->id)),
		.label = sl_str_c(label),
		.data = s->conf->data,
		.recv_only = true,
	};

	return sl_rtc_open(s->w, &o, &p->pub);
}

static int answer(struct participant *p, struct sl_str sdp, struct sl_buf *ret_sdp, char *ret_err)
{
	int rc = p->pub ? 0 : open_connection(p);

	if (rc < 0) {
		(void)snprintf(ret_err, 160, "this server cannot take another connection");
		return rc;
	}
	return sl_rtc_answer(p->pub, sdp, ret_sdp, ret_err);
}

/* A client may have made itself a new connection; what it had published over the old one ends. */
int publish_offer(struct participant *p, struct sl_str sdp, const json_t *sources,
		  struct sl_buf *ret_sdp, char *ret_err)
{
	int rc;

	p->announced = sources;
	rc = answer(p, sdp, ret_sdp, ret_err);
	if (rc == -SL_EEXIST) {
		publish_close(p, "replaced");
		sl_buf_reset(ret_sdp);
		rc = answer(p, sdp, ret_sdp, ret_err);
	}
	p->announced = NULL;
	return rc;
}

void publish_close(struct participant *p, const char *why)
{
	struct track *t, *next;

	for (t = p->room->tracks; t; t = next) {
		next = t->next;
		if (t->publisher == p && p->here)
			track_remove(t);
	}
	sl_rtc_close(p->pub, why);
	p->pub = NULL;
	data_closed(p);
}
