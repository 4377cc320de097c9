/*
 * sip-gateway/leg_sync.c: lip sync: when what a party says and shows was captured, and of what goes
 * out how long ago that is.
 *
 * Sound that is decoded here, for another codec or a room, waits in a jitter buffer; pictures go on
 * as they come. And a party's own pictures mostly leave it later than the sound that belongs to
 * them. Reports that call what leaves at one moment simultaneous would be off by both, so they say
 * when it was captured, all by this worker's clock, whatever clock the party has.
 */
#include "leg_impl.h"

#define LAG_MAX_NS (2 * (int64_t)SL_NS_PER_S)

enum { VIDEO_HZ = 90000 };

/* ---- what comes */

static uint64_t arrival_of(const struct leg *l, const struct sl_rtp *rtp)
{
	return rtp->packet && rtp->packet->time_ns ? rtp->packet->time_ns : leg_now_ns(l);
}

void leg_sync_sound(struct leg *l, const struct sl_rtp *rtp, const struct leg_format *f)
{
	l->heard_ts = rtp->ts;
	strand_packet(&l->strand, rtp->ts, f->clock_hz, arrival_of(l, rtp));
}

void leg_sync_picture(struct leg *l, const struct sl_rtp *rtp)
{
	if (rtp->payload_len == 0) /* it probes the way, under any time */
		return;
	l->video->heard_ts = rtp->ts;
	strand_packet(&l->video->strand, rtp->ts, VIDEO_HZ, arrival_of(l, rtp));
}

void leg_sync_report(struct leg *l, bool picture, const struct sl_rtc_clock *clock)
{
	strand_report(picture ? &l->video->strand : &l->strand, clock);
}

/* Those of plain RTP are asked for. */
static void read_reports(struct leg *l)
{
	struct sl_rtc_clock clock;

	if (!l->line)
		return;
	sl_line_clock(l->line, &clock.ntp, &clock.ts);
	leg_sync_report(l, false, &clock);
	if (!l->video || !l->video->line)
		return;
	sl_line_clock(l->video->line, &clock.ntp, &clock.ts);
	leg_sync_report(l, true, &clock);
}

/* Sound is what pictures are measured against. */
static bool captured(const struct leg *l, bool picture, uint32_t ts, int64_t *ret_ns)
{
	const struct strand *s = picture ? &l->video->strand : &l->strand;

	if (!strand_time(s, ts, ret_ns))
		return false;
	if (picture)
		*ret_ns -= strand_behind(s, &l->strand);
	return true;
}

/* ---- a room is told */

static void tell_room(struct leg *l, bool picture, uint32_t ts)
{
	int64_t ns;

	if (captured(l, picture, ts, &ns) && ns > 0)
		l->all->mixer->clock(l->phone, picture ? SL_MEDIA_VIDEO : SL_MEDIA_AUDIO, ts,
				     (uint64_t)ns);
}

/* ---- who gets what goes out is told */

static int64_t since(uint64_t sent_ns, int64_t captured_ns)
{
	int64_t lag = (int64_t)sent_ns - captured_ns;

	return lag > 0 && lag < LAG_MAX_NS ? lag : 0;
}

/* Of what is decoded here: what the jitter buffer keeps, and a packet that is longer than a frame
 */
static int64_t made_lag(const struct leg *l)
{
	struct sl_audio_source_stats s;

	if (!l->transcodes || !l->peer || !l->peer->source)
		return 0;
	sl_audio_source_get_stats(l->peer->source, &s);
	return ((int64_t)s.delay_ms + l->sink_ptime_ms - FRAME_MS) * (int64_t)SL_NS_PER_MS;
}

static int64_t sound_lag(const struct leg *l)
{
	int64_t ns;

	if (l->phone)
		return (int64_t)l->all->mixer->delay_ms(l->phone) * (int64_t)SL_NS_PER_MS;
	if (l->out.encoded)
		return made_lag(l);
	if (!l->peer || !captured(l->peer, false, l->out.ts - l->out.ts_offset, &ns))
		return 0;
	return since(l->out.sent_ns, ns);
}

static int64_t picture_lag(const struct leg *l)
{
	const struct leg_video_out *o = &l->video->out_stream;
	const struct leg *from = l->peer;
	int64_t ns;

	if (!from || !from->video || o->feed != (uintptr_t)from->video + from->video->stream ||
	    !captured(from, true, o->ts - o->ts_offset, &ns))
		return 0;
	return since(o->sent_ns, ns);
}

static void tell_browser(struct sl_rtc_media *m, uint64_t sent_ns, uint32_t ts, int64_t lag_ns)
{
	const struct sl_rtc_clock clock = {.ntp = sl_ntp_of_ns(sent_ns - (uint64_t)lag_ns),
					   .ts = ts};

	if (m && sent_ns)
		sl_rtc_set_clock(m, &clock);
}

void leg_sync_second(struct leg *l)
{
	struct leg_video *v = l->video && l->video->on ? l->video : NULL;

	read_reports(l);
	if (l->phone && l->heard_ns)
		tell_room(l, false, l->heard_ts);
	if (l->phone && v && v->heard_ns)
		tell_room(l, true, v->heard_ts);
	if (l->line)
		sl_line_set_lag(l->line, (uint64_t)sound_lag(l));
	else
		tell_browser(l->media, l->out.sent_ns, l->out.ts, sound_lag(l));
	if (!v)
		return;
	if (v->line)
		sl_line_set_lag(v->line, (uint64_t)picture_lag(l));
	else
		tell_browser(v->media, v->out_stream.sent_ns, v->out_stream.ts, picture_lag(l));
}
