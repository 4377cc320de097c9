/*
 * sip-gateway/leg_heard.c: how much of a party's sound the other one hears (RFC 7587 section 6.1).
 *
 * Of the 20 kHz that a browser says in Opus a telephone hears four. Who is told so spends its bits
 * on these, by SILK, which alone has redundancy in band; and a frame is decoded in 9 to 12 us where
 * one of the whole band takes 28 to 38, which is most of what a transcoded call costs.
 *
 * Nothing is agreed by it, so that it may be wrong at any time. But where a call is transferred to
 * somebody who hears more, its party is told anew.
 */
#include "leg_impl.h"

enum { OPUS_HZ = 48000 };

static uint32_t wider(uint32_t hz, enum sl_codec_id codec, uint32_t clock_hz)
{
	uint32_t own = sl_audio_codec_hz(codec, clock_hz);

	return own > hz ? own : hz;
}

static void heard_at(struct leg *l, uint32_t hz)
{
	l->heard_hz = hz < OPUS_HZ ? hz : 0;
}

void leg_heard_by_leg(struct leg *l, const struct leg *other)
{
	uint32_t hz = 0;

	for (unsigned i = 0; i < other->out_formats.n; i++)
		hz = wider(hz, other->out_formats.list[i].codec,
			   other->out_formats.list[i].clock_hz);
	heard_at(l, hz);
}

static uint32_t widest(const struct sl_sdp_media *m)
{
	struct sl_sdp_format formats[SL_SDP_MAX_FORMATS];
	unsigned n = sl_sdp_formats(m, formats);
	uint32_t hz = 0;

	for (unsigned i = 0; i < n; i++)
		hz = wider(hz, sl_codec_by_name(formats[i].name), formats[i].clock_hz);
	return hz;
}

int leg_heard_by(struct leg *l, struct sl_str offer)
{
	struct sl_pool *pool = sl_pool_new(0);
	struct sl_sdp_error e;
	struct sl_sdp sdp;
	uint32_t hz = 0;
	int rc;

	if (!pool)
		return -SL_ENOMEM;
	rc = sl_sdp_parse(&sdp, pool, offer, &e);
	for (unsigned i = 0; rc == 0 && i < sdp.n_media && hz == 0; i++)
		if (sl_str_eq(sdp.media[i].type, SL_STR("audio")))
			hz = widest(&sdp.media[i]);
	sl_pool_destroy(pool);
	heard_at(l, hz);
	return rc;
}

/* Whoever is bridged to it hears it; else what was said of that before holds. */
void leg_heard_describe(struct leg *l)
{
	if (l->peer && l->peer != l && l->peer->agreed_ns)
		leg_heard_by_leg(l, l->peer);
	else if (l->peer || l->phone)
		l->heard_hz = 0;
	l->told_hz = l->heard_hz;
	if (l->rtc)
		sl_rtc_limit_sound(l->rtc, l->heard_hz);
}

static bool has_opus(const struct leg *l)
{
	return leg_format_of(&l->out_formats, SL_CODEC_OPUS, OPUS_HZ) != NULL;
}

void leg_heard_sync(struct leg *l)
{
	uint32_t told = l->told_hz;

	if (!told || !has_opus(l) || (!l->peer && !l->phone))
		return;
	leg_heard_describe(l);
	l->told_hz = told;
	if ((l->heard_hz == 0 || l->heard_hz > told) && leg_handler_of(l)->changed)
		leg_handler_of(l)->changed(l->o.arg, l);
}
