/*
 * sip-gateway/leg_rtc.c: a leg whose party is a browser, or anybody who speaks WebRTC: one audio
 * section both ways, and one of video where leg_video_rtc.c has any. ICE, DTLS and SRTP are the
 * core's.
 */
#include "leg_impl.h"

static void learn_formats(struct leg *l)
{
	struct sl_rtc_format list[MAX_FORMATS];
	unsigned n = l->media ? sl_rtc_media_formats(l->media, list, MAX_FORMATS) : 0;

	for (unsigned i = 0; i < n; i++)
		l->in.list[i] = (struct leg_format){.codec = list[i].codec,
						    .pt = list[i].pt,
						    .clock_hz = list[i].clock_hz,
						    .max_bps = leg_max_bps(list[i].params)};
	l->in.n = n;
	l->out_formats = l->in;
	l->ptime_ms = l->o.ptime_ms ? l->o.ptime_ms : FRAME_MS;
}

static void learn(struct leg *l)
{
	learn_formats(l);
	leg_video_rtc_learn(l);
	if (!l->media)
		return;
	l->direction = sl_rtc_get_direction(l->media);
	/* What they would say: all that we want, as far as they agreed to it */
	l->theirs = (enum sl_sdp_direction)(sl_sdp_turn(l->direction) |
					    (sl_sdp_turn(l->wanted) ^ SL_SDP_SENDRECV));
}

/* ---- callbacks of the connection */

static void on_state(void *arg, struct sl_rtc *c, enum sl_rtc_state state, const char *why)
{
	struct leg *l = arg;

	(void)c;
	if (state == SL_RTC_CONNECTED) {
		leg_tell_state(l, LEG_CONNECTED, "");
		leg_video_wanted(l); /* what was sent before has not come */
	} else if (state == SL_RTC_DISCONNECTED) {
		leg_tell_state(l, LEG_SILENT, why);
	} else if (state == SL_RTC_FAILED || state == SL_RTC_CLOSED) {
		leg_tell_state(l, LEG_FAILED, why);
	}
}

static void on_track(void *arg, struct sl_rtc_media *m, bool sends)
{
	struct leg *l = arg;

	if (sends && !l->media && sl_rtc_media_kind(m) == SL_MEDIA_AUDIO)
		l->media = m;
}

static void see(struct leg *l, const struct sl_rtc_in *in)
{
	struct leg_video *v = l->video;

	if (in->rtp->ssrc != v->their_ssrc)
		leg_video_hear_restart(l);
	v->their_ssrc = in->rtp->ssrc;
	leg_video_hear(l, in->rtp, in->seq);
}

static void on_rtp(void *arg, const struct sl_rtc_in *in)
{
	struct leg *l = arg;
	const struct leg_format *f = leg_format_by_pt(&l->in, in->rtp->pt);

	if (l->video && in->media == l->video->media) {
		see(l, in);
		return;
	}
	if (!f || l->closed || in->media != l->media)
		return;
	if (in->rtp->ssrc != l->their_ssrc)
		leg_hear_restart(l);
	l->their_ssrc = in->rtp->ssrc;
	leg_hear(l, in->rtp, in->seq, f);
}

static void on_clock(void *arg, struct sl_rtc_media *m, unsigned encoding,
		     const struct sl_rtc_clock *clock)
{
	struct leg *l = arg;

	bool picture = l->video && m == l->video->media;

	if (m != l->media && !picture)
		return;
	leg_sync_report(l, picture, clock);
	if (picture)
		leg_video_clock(l, clock);
	else if (encoding == 0)
		leg_track_clock(l, clock);
}

/* What is in the jitter buffer is still heard; what comes one day is another stream. */
static void tell_over(struct leg *l, const struct sl_rtc_media *m, bool over)
{
	if (l->video && m == l->video->media) {
		leg_video_over(l, over);
		return;
	}
	if (l->closed || m != l->media)
		return;
	if (!over)
		leg_hear_restart(l);
	leg_track_over(l, over);
}

static void on_ended(void *arg, struct sl_rtc_media *m, unsigned encoding)
{
	(void)encoding; /* there is one */
	tell_over(arg, m, true);
}

static void on_resumed(void *arg, struct sl_rtc_media *m, unsigned encoding)
{
	(void)encoding;
	tell_over(arg, m, false);
}

static void on_key_frame(void *arg, struct sl_rtc_media *m)
{
	struct leg *l = arg;

	if (l->video && m == l->video->media && !l->closed)
		leg_video_wanted(l);
}

static void on_rtcp(void *arg, struct sl_rtc *c, const struct sl_rtc_rtcp *rtcp)
{
	struct leg *l = arg;

	(void)c;
	if (leg_handler_of(l)->report)
		leg_handler_of(l)->report(l->o.arg, l,
					  &(struct leg_report){.data = rtcp->data,
							       .from = *rtcp->from,
							       .to = *rtcp->to,
							       .over_tcp = rtcp->over_tcp});
}

static void on_negotiate(void *arg, struct sl_rtc *c)
{
	struct leg *l = arg;

	(void)c;
	if (l->agreed_ns && leg_handler_of(l)->negotiate)
		leg_handler_of(l)->negotiate(l->o.arg, l);
}

static const struct sl_rtc_handler handler = {
	.state = on_state,
	.track = on_track,
	.rtp = on_rtp,
	.clock = on_clock,
	.rtcp = on_rtcp,
	.ended = on_ended,
	.resumed = on_resumed,
	.key_frame = on_key_frame,
	.negotiate = on_negotiate};

/* ---- descriptions */

/* Who offers controls ICE, so that the connection is made with the first description. */
static int need_rtc(struct leg *l, bool offering)
{
	const struct sl_rtc_opts o = {.handler = &handler,
				      .arg = l,
				      .room = l->o.room,
				      .peer = l->o.peer,
				      .label = l->o.peer,
				      .two_way = true,
				      .recv_only = !offering};

	return l->rtc ? 0 : sl_rtc_open(l->all->w, &o, &l->rtc);
}

static int need_media(struct leg *l)
{
	enum sl_codec_id codecs[LEG_MAX_CODECS + 1];
	unsigned n = leg_wanted_codecs(l, codecs);
	int err;

	if (l->media)
		return 0;
	err = sl_rtc_add(l->rtc, SL_MEDIA_AUDIO, SL_STR("call"), SL_STR("audio"), &l->media);
	if (err < 0)
		return err;
	codecs[n++] = SL_CODEC_DTMF;
	sl_rtc_set_direction(l->media, l->wanted);
	return sl_rtc_prefer(l->media, codecs, n);
}

int leg_rtc_offer(struct leg *l, bool restart, struct sl_buf *ret_sdp)
{
	int err = need_rtc(l, true);

	if (err == 0)
		leg_heard_describe(l);
	if (err == 0)
		err = need_media(l);
	if (err == 0)
		err = leg_video_rtc_prepare(l, true);
	if (err == 0)
		err = sl_rtc_offer(l->rtc, restart, ret_sdp);
	return err;
}

int leg_rtc_accept(struct leg *l, struct sl_str answer, char *ret_err)
{
	int err;

	ret_err[0] = '\0';
	if (!l->rtc)
		return -SL_EINVAL;
	err = sl_rtc_accept(l->rtc, answer, ret_err);
	if (err == 0)
		learn(l);
	return err;
}

int leg_rtc_answer(struct leg *l, struct sl_str offer, struct sl_buf *ret_sdp, char *ret_err)
{
	int err;

	ret_err[0] = '\0';
	err = need_rtc(l, false);
	if (err == 0)
		leg_heard_describe(l);
	if (err == 0)
		err = leg_video_rtc_prepare(l, false);
	if (err == 0)
		err = sl_rtc_answer(l->rtc, offer, ret_sdp, ret_err);
	if (err == 0)
		learn(l);
	if (err == 0 && l->out_formats.n == 0) {
		(void)sl_str_copy(ret_err, LEG_ERR, SL_STR("there is no audio in it"));
		err = -SL_EUNSUPP;
	}
	return err;
}
