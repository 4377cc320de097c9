/*
 * sip-gateway/leg_video_room.c: video of a leg that is in a room: its camera is a track there, and
 * it is shown the picture of whoever speaks, as the room chooses. Nothing is encoded here.
 *
 * A room has no formats that could be agreed on: who is there comes and goes. So a party is
 * answered with what browsers have, those formats first in which pictures of the room come now.
 */
#include "leg_impl.h"

#define H264(profile, mode)                                                                        \
	SL_STR_INIT("level-asymmetry-allowed=1;packetization-mode=" mode ";profile-level-id="      \
		    profile)

/* Of what every browser decodes (RFC 7742), and what most of them do beside */
static const struct sl_room_format usual[] = {
	{SL_CODEC_VP8, SL_STR_INIT("")},
	{SL_CODEC_H264, H264("42e01f", "1")},
	{SL_CODEC_H264, H264("42001f", "1")},
	{SL_CODEC_H264, H264("42e01f", "0")},
	{SL_CODEC_H264, H264("42001f", "0")},
	{SL_CODEC_H264, H264("4d001f", "1")},
	{SL_CODEC_H264, H264("64001f", "1")},
	{SL_CODEC_VP9, SL_STR_INIT("profile-id=0")},
	{SL_CODEC_AV1, SL_STR_INIT("")},
};

/* ---- what is agreed on */

static void want(struct leg_video *v, const struct sl_room_format *f)
{
	const struct sl_sdp_format format = {.name = sl_str_c(sl_codec_name(f->codec)),
					     .clock_hz = 90000,
					     .channels = 1,
					     .params = f->params};

	(void)leg_video_add_format(&v->want, &format); /* one that is there is not added again */
}

int leg_want_video_of_room(struct leg *l, struct sl_str room)
{
	enum sl_codec_id there[SL_ARRAY_LEN(usual)];
	unsigned n = 0;
	int rc = leg_video_need(l);

	if (rc < 0)
		return rc;
	l->video->want.n = 0;
	if (!leg_room_mixer(l->all))
		return -SL_EUNSUPP;
	n = l->all->mixer->cameras(l->all->mixer_self, room, there, SL_ARRAY_LEN(there));
	for (unsigned i = 0; i < n; i++)
		for (size_t k = 0; k < SL_ARRAY_LEN(usual); k++)
			if (usual[k].codec == there[i])
				want(l->video, &usual[k]);
	for (size_t k = 0; k < SL_ARRAY_LEN(usual); k++)
		want(l->video, &usual[k]);
	l->video->wanted = SL_SDP_SENDRECV;
	l->video->limit_bps = (uint64_t)l->all->conf->video_kbps * 1000;
	return 0;
}

/* ---- what it is shown */

/* In mode 1 of H.264 may come what is of mode 0, too, not the other way round. */
static uint8_t number_of(const struct leg_video *v, enum sl_codec_id codec)
{
	uint8_t pt = 0;

	for (unsigned i = 0; i < v->out.n; i++) {
		struct sl_str mode = SL_STR("0");

		if (v->out.list[i].codec != codec)
			continue;
		(void)sl_sdp_param(sl_str_c(v->out.list[i].params), "packetization-mode", &mode);
		if (pt == 0 || sl_str_eq(mode, SL_STR("1")))
			pt = v->out.list[i].pt;
		if (sl_str_eq(mode, SL_STR("1")))
			break;
	}
	return pt;
}

void leg_video_room_play(struct leg *l, const struct sl_room_picture *picture)
{
	const struct leg_video *v = l->video;
	uint8_t pt;

	if (!v || !v->on || l->closed || !(v->direction & SL_SDP_SENDONLY))
		return;
	pt = number_of(v, picture->codec);
	if (pt)
		leg_video_play(l, picture, pt);
}

/* A browser's way is measured; of a telephone's nothing is known but what it says. */
static void limit(struct leg *l, struct sl_room_watch *w)
{
	struct sl_rtc_estimate e;

	w->max_bps = l->video->their_limit_bps;
	if (l->video->bound_bps > 0 && (w->max_bps == 0 || l->video->bound_bps < w->max_bps))
		w->max_bps = l->video->bound_bps;
	w->usual_bps = l->all->conf->video_kbps ? (uint64_t)l->all->conf->video_kbps * 1000
						: UINT64_MAX; /* no limit */
	if (!l->rtc)
		return;
	sl_rtc_get_estimate(l->rtc, &e);
	if (e.target_bps > 0 && (w->max_bps == 0 || e.target_bps < w->max_bps))
		w->max_bps = e.target_bps;
}

static void tell_watch(struct leg *l)
{
	struct sl_room_format formats[LEG_VIDEO_FORMATS];
	struct sl_room_watch w = {.formats = formats};
	const struct leg_video *v = l->video;

	if (v && v->on && (v->direction & SL_SDP_SENDONLY)) {
		limit(l, &w);
		for (unsigned i = 0; i < v->out.n; i++)
			formats[w.n_formats++] = (struct sl_room_format){
				v->out.list[i].codec, sl_str_c(v->out.list[i].params)};
	}
	if (l->all->mixer->watch(l->phone, &w) < 0)
		sl_log(SL_LOG_WARN, "sip-gateway", "out of memory: no pictures for a phone");
}

void leg_video_room_ask(struct leg *l)
{
	if (l->phone)
		l->all->mixer->ask_picture(l->phone);
}

/* ---- its camera */

static bool is_covered(const struct leg *l)
{
	return leg_is_held(l) || !(l->video->direction & SL_SDP_RECVONLY);
}

void leg_video_room_sync(struct leg *l)
{
	struct leg_video *v = l->video;

	if (!l->phone)
		return;
	tell_watch(l);
	if (!v || !v->on) {
		l->all->mixer->show(l->phone, NULL);
		return;
	}
	l->all->mixer->cover(l->phone, is_covered(l));
	if (!is_covered(l))
		leg_video_ask(l);
}

void leg_video_room_hear(struct leg *l, const struct sl_rtp *rtp, uint64_t seq,
			 const struct leg_video_format *f)
{
	const struct sl_mixer_shot shot = {.codec = f->codec,
					   .params = sl_str_c(f->params),
					   .rtp = rtp,
					   .seq = seq,
					   .stream = (uintptr_t)l->video + l->video->stream};

	if (!is_covered(l))
		l->all->mixer->show(l->phone, &shot);
}

void leg_video_room_bound(struct leg *l)
{
	if (l->phone)
		tell_watch(l);
}

void leg_video_room_second(struct leg *l)
{
	if (l->phone && l->rtc && leg_has_video(l))
		tell_watch(l);
}
