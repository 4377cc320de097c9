/*
 * mixer/lips.c: lip sync of phones: by which times sound and pictures belong together.
 *
 * A phone's camera is passed on as it comes, and so is Opus. Speech that is encoded here has waited
 * in a jitter buffer before, and is later than the picture by that. Both tracks' clocks are this
 * worker's, so that whoever sees and hears them can line them up (RFC 3550 section 6.4.1).
 */
#include "mixer.h"

/* Since the frame that was pulled last begins with what the buffer had kept for so long */
static unsigned kept_ms(const struct source *s)
{
	struct sl_audio_source_stats stats = {0};

	if (s->audio)
		sl_audio_source_get_stats(s->audio, &stats);
	return stats.delay_ms;
}

static void tell(struct phone *p, struct sl_room_source *track, uint32_t ts, uint64_t ns)
{
	const struct sl_rtc_clock clock = {.ntp = sl_ntp_of_ns(ns), .ts = ts};

	p->mixer->rooms->set_clock(track, &clock);
}

static void tell_speech(struct phone *p)
{
	uint64_t kept_ns = kept_ms(&p->source) * SL_NS_PER_MS;

	if (p->voice_ns > kept_ns)
		tell(p, p->track, p->voice_ts, p->voice_ns - kept_ns);
}

void phone_clock(struct sl_mixer_phone *self, enum sl_media_kind kind, uint32_t ts, uint64_t ns)
{
	struct phone *p = (struct phone *)self;
	struct sl_room_source *camera;

	if (p->state != PHONE_IN || p->listens || !p->member)
		return;
	if (kind == SL_MEDIA_VIDEO) {
		camera = picture_camera(p, &ts);
		if (camera)
			tell(p, camera, ts, ns);
	} else if (p->track && p->codec == SL_CODEC_OPUS) {
		tell(p, p->track, ts, ns);
	} else if (p->track) {
		tell_speech(p);
	}
}

unsigned phone_delay_ms(const struct sl_mixer_phone *self)
{
	const struct phone *p = (const struct phone *)self;
	const struct voice *loudest = NULL;

	if (!p->room)
		return 0;
	for (const struct voice *v = p->room->loudest.first; v; v = v->next)
		if (v != &p->source.voice && (!loudest || v->level > loudest->level))
			loudest = v;
	return loudest ? kept_ms(SL_CONTAINER(loudest, struct source, voice)) : 0;
}
