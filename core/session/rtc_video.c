/*
 * session/rtc_video.c: which video a call may have.
 *
 * A call's video is passed on and never encoded here, so that its formats are those of who is at
 * the other end: the caller says them, with their parameters, and both roles of negotiation follow.
 */
#include "session/rtc_impl.h"

#include <stdlib.h>

/* Our entry for a format, which has the numbers that browsers use; NULL: no browser has it */
static const struct jsep_codec *find_own(const struct sl_rtc_video_format *v)
{
	const struct sl_sdp_format f = {.channels = 1,
					.clock_hz = 90000,
					.name = sl_str_c(sl_codec_name(v->codec)),
					.params = v->params};

	for (unsigned i = 0; i < rtc_caps_of_calls.n_video; i++) {
		const struct jsep_codec *own = &rtc_caps_of_calls.video[i];
		const struct sl_sdp_format o = {.channels = own->channels,
						.clock_hz = own->clock_hz,
						.name = sl_str_c(sl_codec_name(own->id)),
						.params = sl_str_c(own->params)};

		if (sl_sdp_same_codec(&o, &f))
			return own;
	}
	return NULL;
}

/* The same format twice would be two numbers for one thing. */
static bool is_listed(const struct jsep_codec *list, unsigned n, const struct jsep_codec *own)
{
	for (unsigned i = 0; i < n; i++)
		if (list[i].pt == own->pt)
			return true;
	return false;
}

int sl_rtc_set_video(struct sl_rtc *c, const struct sl_rtc_video *wanted)
{
	struct jsep_codec *list = calloc(JSEP_MAX_CODECS, sizeof *list);
	unsigned n = 0;

	if (!list)
		return -SL_ENOMEM;
	for (unsigned i = 0; i < wanted->n_formats && n < JSEP_MAX_CODECS; i++) {
		const struct sl_rtc_video_format *f = &wanted->formats[i];
		const struct jsep_codec *own = find_own(f);

		if (!own || is_listed(list, n, own))
			continue;
		list[n] = *own;
		if (f->params.len < sizeof list[n].params) /* half of them would be others */
			(void)sl_str_copy(list[n].params, sizeof list[n].params, f->params);
		n++;
	}
	free(c->video);
	c->video = list;
	c->n_video = n;
	c->video_direction = (uint8_t)wanted->direction;
	c->video_limit_bps = wanted->limit_bps;
	return 0;
}

void rtc_video_apply(struct sl_rtc *c, struct jsep_media *m)
{
	m->limit_bps = c->video_limit_bps;
	m->wanted = c->video_direction;
	if (c->n_video == 0 || jsep_prefer(c->jsep, m, c->video, c->n_video) < 0)
		jsep_stop(c->jsep, m);
}

void rtc_video_apply_all(struct sl_rtc *c)
{
	for (unsigned i = c->two_way ? jsep_count(c->jsep) : 0; i-- > 0;) {
		struct jsep_media *m = jsep_at(c->jsep, i);

		if (m->kind == SL_MEDIA_VIDEO && !m->rejected && (m->mid[0] || c->n_video > 0))
			rtc_video_apply(c, m);
	}
}

struct sl_rtc_media *sl_rtc_find(const struct sl_rtc *c, enum sl_media_kind kind)
{
	for (unsigned i = 0; i < c->n_media; i++)
		if (c->media[i]->j->kind == kind && !c->media[i]->j->rejected &&
		    !c->media[i]->gone)
			return c->media[i];
	return NULL;
}

uint64_t sl_rtc_media_limit(const struct sl_rtc_media *m)
{
	return m->j->their_limit_bps;
}
