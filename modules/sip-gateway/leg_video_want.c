/*
 * sip-gateway/leg_video_want.c: which video a leg's next description may have: that of the other
 * party, as it offers it or as it has agreed to it.
 *
 * A direction is the other party's, too: who sends only is told to be received from only. What a
 * party would do by itself (`theirs`) is kept apart from what is agreed, or two who narrow each
 * other would never open again.
 */
#include "leg_impl.h"

#include <stdio.h>

enum { H264_VARIANTS = 4 }; /* profiles and modes that are offered to a telephone at most */

struct sl_sdp_format leg_video_sdp_format(const struct leg_video_format *f)
{
	return (struct sl_sdp_format){.pt = f->pt,
				      .channels = 1,
				      .clock_hz = 90000,
				      .name = sl_str_c(sl_codec_name(f->codec)),
				      .params = sl_str_c(f->params)};
}

static bool is_listed(const struct leg_video_formats *list, const struct sl_sdp_format *f)
{
	for (unsigned i = 0; i < list->n; i++) {
		const struct sl_sdp_format have = leg_video_sdp_format(&list->list[i]);

		if (sl_sdp_same_codec(&have, f))
			return true;
	}
	return false;
}

/* sprop-parameter-sets is what may be long; a decoder finds them in the stream, too, mostly. */
static void put_params(struct leg_video_format *to, struct sl_str params)
{
	struct sl_str name, value;
	size_t at = 0;

	if (params.len < sizeof to->params) {
		(void)sl_str_copy(to->params, sizeof to->params, params);
		return;
	}
	to->params[0] = '\0';
	while (sl_sdp_param_next(&params, &name, &value)) {
		size_t need = name.len + 1 + value.len + (at > 0);

		if (need >= sizeof to->params - at || !value.p)
			continue;
		at += (size_t)snprintf(to->params + at, sizeof to->params - at, "%s%.*s=%.*s",
				       at ? ";" : "", SL_FMT(name), SL_FMT(value));
	}
}

bool leg_video_add_format(struct leg_video_formats *to, const struct sl_sdp_format *f)
{
	enum sl_codec_id codec = sl_codec_by_name(f->name);
	struct leg_video_format *added = &to->list[to->n];

	if (to->n == LEG_VIDEO_FORMATS || codec == SL_CODEC_RTX || f->clock_hz != 90000 ||
	    sl_codec_kind(codec) != SL_MEDIA_VIDEO || is_listed(to, f))
		return false;
	*added = (struct leg_video_format){.codec = codec, .pt = f->pt};
	put_params(added, f->params);
	to->n++;
	return true;
}

static unsigned count(const struct leg_video_formats *f, enum sl_codec_id codec)
{
	unsigned n = 0;

	for (unsigned i = 0; i < f->n; i++)
		n += f->list[i].codec == codec;
	return n;
}

/* A browser's list of variants is longer than what a datagram holds; telephones take the first. */
static bool has_enough(const struct leg *l, const struct sl_sdp_format *f)
{
	enum sl_codec_id codec = sl_codec_by_name(f->name);

	return l->o.profile != LEG_WEBRTC &&
	       count(&l->video->want, codec) >= (codec == SL_CODEC_H264 ? H264_VARIANTS : 1);
}

/* Who says nothing of what it can take is a telephone for which a browser's is too much. */
static uint64_t limit_for(const struct leg *l, uint64_t said_bps, bool by_browser)
{
	uint64_t ours = by_browser ? 0 : (uint64_t)l->all->conf->video_kbps * 1000;

	return said_bps ? said_bps : ours;
}

static void want_section(struct leg *l, const struct sl_sdp *sdp, const struct sl_sdp_media *m)
{
	struct sl_sdp_format formats[SL_SDP_MAX_FORMATS];
	unsigned n = sl_sdp_formats(m, formats);
	struct leg_video *v = l->video;
	struct sl_str ufrag;

	for (unsigned i = 0; i < n; i++)
		if (!has_enough(l, &formats[i]))
			(void)leg_video_add_format(&v->want, &formats[i]); /* others may do */
	v->wanted = sl_sdp_get_direction(sdp, m);
	/* Telephones say it for the whole session, too (RFC 4566 section 5.8). */
	v->limit_bps = limit_for(l, m->limit_bps ? m->limit_bps : sdp->limit_bps,
				 sl_sdp_attr_or_session(sdp, m, "ice-ufrag", &ufrag));
}

static bool is_video(const struct sl_sdp *sdp, const struct sl_sdp_media *m)
{
	struct sl_str v;

	return sl_str_eq(m->type, SL_STR("video")) &&
	       (m->port > 0 || sl_sdp_attr(sdp, m, "bundle-only", &v));
}

int leg_want_video(struct leg *l, struct sl_str offer)
{
	struct sl_pool *pool;
	struct sl_sdp_error e;
	struct sl_sdp sdp;
	int rc;

	if (offer.len == 0 && !l->video)
		return 0;
	rc = leg_video_need(l);
	if (rc < 0)
		return rc;
	l->video->want.n = 0;
	pool = offer.len > 0 ? sl_pool_new(0) : NULL;
	if (!pool)
		return offer.len > 0 ? -SL_ENOMEM : 0;
	rc = sl_sdp_parse(&sdp, pool, offer, &e);
	for (unsigned i = 0; rc == 0 && i < sdp.n_media && l->video->want.n == 0; i++)
		if (is_video(&sdp, &sdp.media[i]))
			want_section(l, &sdp, &sdp.media[i]);
	sl_pool_destroy(pool);
	return rc;
}

int leg_want_video_of(struct leg *l, const struct leg *other)
{
	const struct leg_video *from = other->video;
	int rc;

	if (!l->video && !(from && from->on))
		return 0;
	rc = leg_video_need(l);
	if (rc < 0)
		return rc;
	l->video->want.n = 0;
	if (!from || !from->on)
		return 0;
	l->video->want = from->out;
	l->video->wanted = from->theirs;
	l->video->limit_bps =
		limit_for(l, from->their_limit_bps, other->o.profile == LEG_WEBRTC);
	return 0;
}

bool leg_has_video(const struct leg *l)
{
	return l->video && l->video->on;
}

/* ---- agreed */

void leg_video_agreed(struct leg *l, bool on, enum sl_sdp_direction direction)
{
	struct leg_video *v = l->video;
	unsigned asked = sl_sdp_turn(v->wanted);

	v->on = on;
	v->version++;
	v->map.to = NULL;
	v->direction = on ? direction : SL_SDP_INACTIVE;
	if (on)
		v->theirs = (enum sl_sdp_direction)(sl_sdp_turn(direction) | (v->theirs & ~asked));
	else
		v->theirs = SL_SDP_SENDRECV;
}

void leg_video_sync(struct leg *l)
{
	struct leg *peer = l->peer;
	struct leg_video *v = peer ? peer->video : NULL;
	bool on = leg_has_video(l);

	if (!v || peer == l || !v->on || (on && v->wanted == l->video->theirs))
		return;
	if (!on)
		v->want.n = 0;
	else
		v->wanted = l->video->theirs;
	if (leg_handler_of(peer)->changed)
		leg_handler_of(peer)->changed(peer->o.arg, peer);
}
