/*
 * sip-gateway/leg_track.c: what a leg's party says, as a track (<sluice/track.h>), so that a call
 * can be recorded: one for each party, in the room of the call.
 *
 * It begins with the first packet that another party may hear, and ends with the leg. In a room it
 * is the room's track that others meet.
 */
#include <sluice/crypto.h>
#include "leg_impl.h"

static void begin(struct leg *l, const struct leg_format *f)
{
	uint64_t id;

	if (sl_random(&id, sizeof id) < 0)
		return;
	l->track = (struct sl_track){
		.worker = l->all->w,
		.session = l->rtc ? sl_rtc_session(l->rtc) : NULL,
		.id = id,
		.room = sl_str_c(l->room),
		.peer_name = sl_str_c(l->name),
		.source = "microphone",
		.kind = SL_MEDIA_AUDIO,
		.codec = (uint8_t)f->codec,
		.clock_hz = f->clock_hz,
		.n_encodings = 1,
		.arg = l,
	};
	l->shown = true;
	sl_track_begin(&l->track);
}

void leg_track_end(struct leg *l)
{
	if (!l->shown)
		return;
	l->shown = false;
	sl_track_end(&l->track);
}

/* Times of another clock are another track. */
static bool need_track(struct leg *l, const struct leg_format *f)
{
	if (l->shown && l->track.clock_hz == f->clock_hz)
		return true;
	if (f->codec == SL_CODEC_DTMF || f->codec == SL_CODEC_CN || !l->peer || l->phone ||
	    l->room[0] == '\0')
		return false;
	leg_track_end(l);
	begin(l, f);
	return l->shown;
}

int leg_track_media(struct leg *l, const struct sl_rtp *rtp, uint64_t seq,
		    const struct leg_format *f)
{
	const struct sl_media m = {
		.track = &l->track, .rtp = rtp, .seq = seq, .codec = (uint8_t)f->codec};

	if (!need_track(l, f))
		return SL_OK;
	if (l->track.codec != f->codec && f->codec != SL_CODEC_DTMF && f->codec != SL_CODEC_CN) {
		l->track.codec = (uint8_t)f->codec;
		sl_track_changed(&l->track);
	}
	return sl_track_media(&m);
}

void leg_track_clock(struct leg *l, const struct sl_rtc_clock *clock)
{
	if (l->shown && clock->ntp && clock->ntp != l->track.clock[0].ntp)
		sl_track_clock(&l->track, 0, clock);
}

void leg_track_over(struct leg *l, bool over)
{
	if (!l->shown || l->track.over == over)
		return;
	l->track.over = over;
	sl_track_changed(&l->track);
}

/* Sender reports of plain RTP are asked for. */
void leg_track_second(struct leg *l)
{
	struct sl_rtc_clock clock;

	if (!l->shown || !l->line)
		return;
	sl_line_clock(l->line, &clock.ntp, &clock.ts);
	leg_track_clock(l, &clock);
}
