/*
 * sip-gateway/leg_video.c: video that a party sends, to whoever sees it, as it came; and key
 * frames, which are asked for in the way that a party understands: PLI or FIR, else INFO.
 */
#include "leg_impl.h"

#include <sluice/crypto.h>

#include <stdlib.h>

enum {
	ASK_MS = 500, /* between two requests for a key frame */
	CLOCK_HZ = 90000,
	LEAST_BPS = 200000,
};

/* ---- life */

/* Sound and pictures are one source's (RFC 3550 section 6.5.1). */
static int open_line(const struct leg *l, struct leg_video *v)
{
	struct sl_line_opts o = {.cname = sl_line_cname(l->line)};
	uint8_t random[4];

	if (sl_random(random, sizeof random) < 0)
		return -SL_ESYS;
	o.ssrc = sl_get32(random);
	return sl_line_new(&v->line, &o);
}

int leg_video_need(struct leg *l)
{
	struct leg_video *v;
	uint8_t random[8];
	int rc = 0;

	if (l->video)
		return 0;
	v = calloc(1, sizeof *v);
	if (!v)
		return -SL_ENOMEM;
	if (sl_random(random, sizeof random) < 0)
		rc = -SL_ESYS;
	else if (l->line)
		rc = open_line(l, v);
	if (rc < 0) {
		free(v);
		return rc;
	}
	v->wanted = v->theirs = SL_SDP_SENDRECV;
	/* In the lower half, so that SRTP's roll-over counter is never in doubt */
	v->out_stream.next_seq = sl_get16(random) & 0x3fff;
	v->out_stream.ts = sl_get32(random + 2);
	l->video = v;
	return 0;
}

void leg_video_free(struct leg *l)
{
	struct leg_video *v = l->video;

	if (!v)
		return;
	sl_udp_close(v->rtp);
	sl_udp_close(v->rtcp);
	sl_line_free(v->line);
	leg_keys_wipe(&v->keys);
	leg_video_miss_nothing(l);
	leg_video_forget(v);
	free(v);
	l->video = NULL;
}

/* ---- key frames */

/* By signalling where the party has said nothing of feedback (RFC 5168) */
static void ask_telephone(struct leg *l)
{
	struct leg_video *v = l->video;
	struct sl_packet *p;
	int len;

	if (!(v->feedback & (SL_PLAIN_PLI | SL_PLAIN_FIR))) {
		if (leg_handler_of(l)->key_frame)
			leg_handler_of(l)->key_frame(l->o.arg, l);
		return;
	}
	p = sl_packet_new(l->all->w);
	if (!p)
		return;
	len = sl_line_ask_key_frame(v->line, !(v->feedback & SL_PLAIN_PLI), leg_now_ns(l), p->data);
	if (len > 0) {
		p->len = (uint32_t)len;
		leg_port_send_video(l, p, true);
	}
	sl_packet_unref(p);
}

void leg_video_ask(struct leg *l)
{
	struct leg_video *v = l->video;
	uint64_t now = leg_now_ns(l);

	if (!v || !v->on || !(v->direction & SL_SDP_RECVONLY))
		return;
	v->asks = v->asked_ns && now - v->asked_ns < ASK_MS * SL_NS_PER_MS;
	if (v->asks)
		return;
	v->asked_ns = now;
	v->n_asked_out++;
	if (v->media)
		sl_rtc_ask_key_frame(v->media, 0);
	else if (v->line)
		ask_telephone(l);
}

void leg_video_wanted(struct leg *l)
{
	if (l->video)
		l->video->n_asked_in++;
	leg_video_room_ask(l);
	if (l->peer && !l->peer->closed)
		leg_video_ask(l->peer);
}

/* ---- formats */

static const struct leg_video_format *by_pt(const struct leg_video_formats *f, uint8_t pt)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->list[i].pt == pt)
			return &f->list[i];
	return NULL;
}

static bool same_mode(const struct leg_video_format *a, const struct leg_video_format *b)
{
	struct sl_str mode_a = SL_STR("0"), mode_b = SL_STR("0");

	(void)sl_sdp_param(sl_str_c(a->params), "packetization-mode", &mode_a); /* or default */
	(void)sl_sdp_param(sl_str_c(b->params), "packetization-mode", &mode_b);
	return sl_str_eq(mode_a, mode_b);
}

/* baresip answers with its own profile under the first number, and sends by that: what it sends is
 * what it says, not what was offered there. */
static uint8_t find_h264(const struct leg_video *to, const struct leg_video_format *f)
{
	for (unsigned i = 0; i < to->out.n && f->codec == SL_CODEC_H264; i++)
		if (to->out.list[i].codec == SL_CODEC_H264 && same_mode(&to->out.list[i], f))
			return to->out.list[i].pt;
	return 0;
}

static uint8_t find_out(const struct leg_video *to, const struct leg_video_format *f)
{
	const struct sl_sdp_format wanted = leg_video_sdp_format(f);

	for (unsigned i = 0; i < to->out.n; i++) {
		const struct sl_sdp_format have = leg_video_sdp_format(&to->out.list[i]);

		if (sl_sdp_same_codec(&wanted, &have))
			return to->out.list[i].pt;
	}
	return find_h264(to, f);
}

/* The number of f at the other leg; remembered, since every packet asks. 0: none */
static uint8_t map_pt(struct leg_video *v, const struct leg_video *to,
		      const struct leg_video_format *f)
{
	if (v->map.to == to && v->map.in_pt == f->pt && v->map.version == v->version &&
	    v->map.to_version == to->version)
		return v->map.out_pt;
	v->map.to = to;
	v->map.version = v->version;
	v->map.to_version = to->version;
	v->map.in_pt = f->pt;
	v->map.out_pt = find_out(to, f);
	return v->map.out_pt;
}

/* ---- as a track, for who looks on */

static void ask_for_track(struct sl_track *t, unsigned encoding)
{
	(void)encoding; /* there is one */
	leg_video_ask(t->arg);
}

static void begin_track(struct leg *l, const struct leg_video_format *f)
{
	struct leg_video *v = l->video;
	uint64_t id;

	if (sl_random(&id, sizeof id) < 0)
		return;
	v->track = (struct sl_track){
		.worker = l->all->w,
		.session = l->rtc ? sl_rtc_session(l->rtc) : NULL,
		.id = id,
		.room = sl_str_c(l->room),
		.peer_name = sl_str_c(l->name),
		.source = "camera",
		.kind = SL_MEDIA_VIDEO,
		.codec = (uint8_t)f->codec,
		.clock_hz = CLOCK_HZ,
		.n_encodings = 1,
		.ask_key_frame = ask_for_track,
		.arg = l,
	};
	v->shown = true;
	sl_track_begin(&v->track);
}

void leg_video_end(struct leg *l)
{
	leg_video_miss_nothing(l);
	if (!l->video || !l->video->shown)
		return;
	l->video->shown = false;
	sl_track_end(&l->video->track);
}

void leg_video_clock(struct leg *l, const struct sl_rtc_clock *clock)
{
	struct leg_video *v = l->video;

	if (v && v->shown && clock->ntp && clock->ntp != v->track.clock[0].ntp)
		sl_track_clock(&v->track, 0, clock);
}

void leg_video_over(struct leg *l, bool over)
{
	struct leg_video *v = l->video;

	if (!over)
		l->video->stream++; /* what comes now is another */
	if (!v->shown || v->track.over == over)
		return;
	v->track.over = over;
	sl_track_changed(&v->track);
}

static int show(struct leg *l, const struct sl_rtp *rtp, uint64_t seq,
		const struct leg_video_format *f)
{
	struct leg_video *v = l->video;
	const struct sl_media m = {
		.track = &v->track, .rtp = rtp, .seq = seq, .codec = (uint8_t)f->codec};

	if (!v->shown && l->peer && l->room[0])
		begin_track(l, f);
	if (!v->shown)
		return SL_OK;
	if (v->track.codec != f->codec) {
		v->track.codec = (uint8_t)f->codec;
		sl_track_changed(&v->track);
	}
	return sl_track_media(&m);
}

/* ---- heard */

void leg_video_hear(struct leg *l, const struct sl_rtp *rtp, uint64_t seq)
{
	struct leg_video *v = l->video;
	const struct leg_video_format *f = by_pt(&v->in, rtp->pt);
	struct leg *to = l->peer;
	uint8_t pt;

	if (!f || l->closed || !v->on || !(v->direction & SL_SDP_RECVONLY))
		return;
	v->heard_ns = leg_now_ns(l);
	v->codec_in = f->codec;
	leg_sync_picture(l, rtp);
	if (rtp->payload_len > 0 && show(l, rtp, seq, f) == SL_DROP)
		return;
	if (l->phone) {
		leg_video_room_hear(l, rtp, seq, f);
		return;
	}
	if (!to || to->closed || !to->video || !to->video->on ||
	    !(to->video->direction & SL_SDP_SENDONLY))
		return;
	pt = map_pt(v, to->video, f);
	if (pt)
		leg_video_relay(l, to, rtp, seq, pt);
}

void leg_video_hear_restart(struct leg *l)
{
	l->video->stream++;
	strand_restart(&l->video->strand);
}

/* ---- once a second */

/* The way to a browser is probed for what the other party sends, and for no more. */
static void tell_wanted(struct leg *l)
{
	struct leg_video *v = l->video;
	uint64_t bps = (v->out_stream.bytes - v->out_stream.bytes_before) * 8;

	v->out_stream.bytes_before = v->out_stream.bytes;
	v->out_stream.bps = bps;
	sl_rtc_set_wanted(l->rtc, bps + bps / 2 + LEAST_BPS);
}

void leg_video_second(struct leg *l)
{
	struct leg_video *v = l->video;
	struct sl_rtc_clock clock;

	if (!v || !v->on)
		return;
	if (v->asks)
		leg_video_ask(l);
	leg_video_room_second(l);
	if (l->rtc) {
		tell_wanted(l);
	} else if (v->line) {
		sl_line_clock(v->line, &clock.ntp, &clock.ts);
		leg_video_clock(l, &clock);
		leg_video_rate_second(l);
	}
}
