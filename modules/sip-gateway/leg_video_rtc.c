/*
 * sip-gateway/leg_video_rtc.c: the video section of a browser's connection.
 */
#include "leg_impl.h"

static int tell_wanted(struct leg *l)
{
	struct sl_rtc_video_format formats[LEG_VIDEO_FORMATS];
	const struct leg_video *v = l->video;
	const struct sl_rtc_video wanted = {
		.formats = formats,
		.n_formats = v->want.n,
		.direction = (enum sl_sdp_direction)(v->wanted & l->wanted),
		.limit_bps = v->limit_bps};

	for (unsigned i = 0; i < v->want.n; i++)
		formats[i] = (struct sl_rtc_video_format){v->want.list[i].codec,
							  sl_str_c(v->want.list[i].params)};
	return sl_rtc_set_video(l->rtc, &wanted);
}

int leg_video_rtc_prepare(struct leg *l, bool offering)
{
	struct sl_rtc_media *m;
	int rc;

	if (!l->video)
		return 0;
	rc = tell_wanted(l);
	if (rc < 0 || !offering || l->video->want.n == 0 || sl_rtc_find(l->rtc, SL_MEDIA_VIDEO))
		return rc;
	rc = sl_rtc_add(l->rtc, SL_MEDIA_VIDEO, SL_STR("call"), SL_STR("video"), &m);
	return rc == -SL_EUNSUPP ? 0 : rc; /* formats that no browser has: a call without */
}

static void learn_formats(struct leg_video *v)
{
	struct sl_rtc_format list[LEG_VIDEO_FORMATS];
	unsigned n = sl_rtc_media_formats(v->media, list, LEG_VIDEO_FORMATS);

	v->out.n = 0;
	for (unsigned i = 0; i < n; i++) {
		struct leg_video_format *f = &v->out.list[v->out.n++];

		*f = (struct leg_video_format){.codec = list[i].codec, .pt = list[i].pt};
		(void)sl_str_copy(f->params, sizeof f->params, list[i].params);
	}
	v->in = v->out;
}

void leg_video_rtc_learn(struct leg *l)
{
	struct leg_video *v = l->video;

	if (!v)
		return;
	v->media = v->want.n > 0 ? sl_rtc_find(l->rtc, SL_MEDIA_VIDEO) : NULL;
	v->in.n = v->out.n = 0;
	if (v->media)
		learn_formats(v);
	v->their_limit_bps = v->media ? sl_rtc_media_limit(v->media) : 0;
	leg_video_agreed(l, v->out.n > 0,
			 v->media ? sl_rtc_get_direction(v->media) : SL_SDP_INACTIVE);
}
