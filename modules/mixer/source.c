/*
 * mixer/source.c: a voice: jitter buffer and decoder, made when it is first heard, and how loud it
 * is.
 *
 * Browsers say how loud a packet is (RFC 6464), G.711 shows it, and of Opus a packet of silence is
 * tiny. What is silent is not decoded, and nothing is made for it.
 */
#include "mixer.h"

#include <stdlib.h>

enum {
	G711_SAMPLES = 8 * SL_AUDIO_MAX_MS,
	OPUS_SILENT_LEN = 3, /* what encoders make of digital silence */
	UNKNOWN = 1,
};

/* ---- how loud it is, without decoding */

static int16_t ulaw(uint8_t byte)
{
	unsigned low = byte & 15, segment = byte >> 4 & 7;

	return (int16_t)((((low << 3) + 0x84) << segment) - 0x84);
}

static int16_t alaw(uint8_t byte)
{
	unsigned low = byte & 15, segment = byte >> 4 & 7;

	return (int16_t)(segment ? ((low << 4) + 0x108) << (segment - 1) : (low << 4) + 8);
}

/* By magnitudes: signs do not matter. */
static int g711_level(struct sl_str payload, uint8_t flip, int16_t (*magnitude)(uint8_t))
{
	int16_t pcm[G711_SAMPLES];
	size_t n = 0;

	for (size_t i = 0; i < payload.len && n < G711_SAMPLES; i++)
		pcm[n++] = magnitude((uint8_t)payload.p[i] ^ flip);
	return sl_audio_level(pcm, n);
}

int source_hint(const struct sl_audio_packet *p)
{
	switch (p->codec) {
	case SL_CODEC_PCMU:
		return g711_level(p->payload, 0xff, ulaw);
	case SL_CODEC_PCMA:
		return g711_level(p->payload, 0x55, alaw);
	case SL_CODEC_OPUS:
		return p->payload.len <= OPUS_SILENT_LEN ? SL_AUDIO_SILENT : UNKNOWN;
	case SL_CODEC_CN:
		return SL_AUDIO_SILENT;
	default:
		return UNKNOWN;
	}
}

bool source_is_alive(const struct source *s, uint64_t now_ms)
{
	return s->heard_ms && voice_since_ms(now_ms, s->heard_ms) < ALIVE_MS;
}

bool source_speaks(const struct source *s, uint64_t now_ms)
{
	return s->voice.spoke_ms && voice_since_ms(now_ms, s->voice.spoke_ms) <= VOICE_HOLD_MS;
}

/* ---- packets */

static void on_release(void *arg, void *packet)
{
	(void)arg;
	sl_packet_unref(packet);
}

static bool need_audio(struct source *s, unsigned hz)
{
	const struct sl_audio_source_opts o = {
		.hz = hz,
		.max_delay_ms = (uint32_t)s->mixer->conf->delay_max,
		.release = on_release,
	};

	if (s->audio && s->hz == hz)
		return true;
	sl_audio_source_free(s->audio);
	s->audio = NULL;
	if (sl_audio_source_new(&s->audio, &o) < 0)
		return false;
	s->hz = hz;
	return true;
}

void source_skip(struct source *s)
{
	s->skips = true;
	mixer_count(s->mixer, M_skipped);
}

void source_restart(struct source *s)
{
	if (s->audio)
		sl_audio_source_restart(s->audio);
}

void source_put(struct source *s, unsigned hz, const struct sl_audio_packet *p, uint64_t now_ns)
{
	struct sl_audio_packet packet = *p;

	if (!need_audio(s, hz))
		return;
	packet.untimed = mixer_is_stalled(s->mixer, now_ns);
	if (s->skips)
		sl_audio_source_restart(s->audio);
	s->skips = false;
	if (p->packet)
		sl_packet_ref(p->packet);
	if (sl_audio_source_put(s->audio, &packet, now_ns) < 0)
		return; /* released all the same */
}

/* ---- samples */

bool source_pull(struct source *s, uint64_t now_ns, int16_t *pcm)
{
	size_t n = s->hz / 1000 * MIX_MS;
	bool any;

	s->level = SL_AUDIO_SILENT;
	if (!s->audio)
		return false;
	any = sl_audio_source_pull(s->audio, now_ns, pcm, n);
	mixer_count(s->mixer, M_decoded);
	if (any)
		s->level = sl_audio_level(pcm, n);
	return any;
}

void source_convert(struct source *s, const int16_t *pcm, unsigned hz, int16_t *to)
{
	size_t n = hz / 1000 * MIX_MS, made = 0;

	if (s->hz == hz) {
		memcpy(to, pcm, n * sizeof *to);
		return;
	}
	if (s->resampler && s->resampled_hz != hz) {
		sl_resampler_free(s->resampler);
		s->resampler = NULL;
	}
	if (!s->resampler && sl_resampler_new(&s->resampler, s->hz, hz) < 0)
		s->resampler = NULL;
	s->resampled_hz = hz;
	if (s->resampler)
		made = sl_resample(s->resampler, pcm, s->hz / 1000 * MIX_MS, to, n);
	memset(to + made, 0, (n - made) * sizeof *to);
}

void source_free(struct source *s)
{
	sl_audio_source_free(s->audio);
	sl_resampler_free(s->resampler);
	s->audio = NULL;
	s->resampler = NULL;
}
