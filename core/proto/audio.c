/*
 * proto/audio.c: one way to decode and one to encode, whatever the codec: Opus and G.722 are
 * libraries' (audio_opus.c, audio_spandsp.c), G.711 and L16 are here.
 *
 * What has no concealment of its own gets the one of audio_conceal.c.
 */
#include "proto/audio_impl.h"

#include <math.h>
#include <stdlib.h>

unsigned sl_audio_codec_hz(enum sl_codec_id codec, unsigned clock_hz)
{
	switch (codec) {
	case SL_CODEC_OPUS:
		return 48000;
	case SL_CODEC_PCMU:
	case SL_CODEC_PCMA:
		return 8000;
	case SL_CODEC_G722:
		return 16000; /* although its clock says 8000 (RFC 3551 section 4.5.2) */
	case SL_CODEC_L16:
		return clock_hz == 8000 || clock_hz == 16000 || clock_hz == 48000 ? clock_hz : 0;
	default:
		return 0;
	}
}

int sl_audio_level(const int16_t *pcm, size_t n)
{
	uint64_t sum = 0;
	double level;

	for (size_t i = 0; i < n; i++)
		sum += (uint64_t)((int32_t)pcm[i] * pcm[i]);
	if (n == 0 || sum == 0)
		return SL_AUDIO_SILENT;
	level = 10 * log10((double)sum / (double)n / (32768.0 * 32768.0));
	return level < SL_AUDIO_SILENT ? SL_AUDIO_SILENT : (int)lround(level);
}

/*
 * ---- G.711: segments of a logarithm, sign and magnitude. Nothing is branched upon: a processor
 * guesses the segments of speech wrong.
 */

enum { ULAW_BIAS = 0x84, ULAW_CLIP = 32635 };

/* 0 below 256, and one more for each doubling */
static unsigned segment_of(unsigned magnitude)
{
	return 31 - (unsigned)__builtin_clz(magnitude >> 7 | 1);
}

/* All ones of what is below zero, else 0 */
static unsigned sign_of(int16_t sample)
{
	return (unsigned)(sample >> 15);
}

uint8_t audio_to_ulaw(int16_t sample)
{
	unsigned sign = sign_of(sample);
	unsigned m = ((unsigned)sample ^ sign) - sign; /* 32768 at most */
	unsigned segment;

	m = (m > ULAW_CLIP ? ULAW_CLIP : m) + ULAW_BIAS;
	segment = segment_of(m);
	return (uint8_t) ~((sign & 0x80) | segment << 4 | ((m >> (segment + 3)) & 15));
}

int16_t audio_from_ulaw(uint8_t code)
{
	unsigned u = (uint8_t)~code;
	int m = ((int)(((u & 15) << 3) + ULAW_BIAS) << ((u >> 4) & 7)) - ULAW_BIAS;
	int sign = -(int)(u >> 7);

	return (int16_t)((m ^ sign) - sign);
}

uint8_t audio_to_alaw(int16_t sample)
{
	unsigned sign = sign_of(sample);
	unsigned m = ((unsigned)sample ^ sign) & 0x7fff; /* of what is negative one less */
	unsigned segment = segment_of(m);
	unsigned shift = segment + 3 + (segment == 0);

	return (uint8_t)((segment << 4 | ((m >> shift) & 15)) ^ (0xd5 ^ (sign & 0x80)));
}

int16_t audio_from_alaw(uint8_t code)
{
	unsigned a = code ^ 0x55u, segment = (a >> 4) & 7;
	unsigned begun = segment > 0;
	int m = (int)(((a & 15) << 4) + 8 + (begun << 8)) << (segment - begun);
	int sign = (int)(a >> 7) - 1;

	return (int16_t)((m ^ sign) - sign);
}

/* ---- decoding */

int sl_audio_decoder_new(struct sl_audio_decoder **ret_decoder, enum sl_codec_id codec,
			 unsigned clock_hz, unsigned hz)
{
	unsigned own = sl_audio_codec_hz(codec, clock_hz);
	struct sl_audio_decoder *d;
	int err = 0;

	if (own == 0 || hz == 0 || hz > SL_AUDIO_MAX_HZ)
		return -SL_EUNSUPP;
	d = calloc(1, sizeof *d);
	if (!d)
		return -SL_ENOMEM;
	d->codec = codec;
	d->hz = codec == SL_CODEC_OPUS ? hz : own;
	if (codec == SL_CODEC_OPUS)
		err = audio_opus_decoder_new(&d->opus, hz);
	else
		err = sl_concealer_new(&d->concealer, d->hz);
	if (err == 0 && codec == SL_CODEC_G722)
		err = audio_g722_decoder_new(&d->g722);
	if (err < 0) {
		sl_audio_decoder_free(d);
		return err;
	}
	*ret_decoder = d;
	return 0;
}

void sl_audio_decoder_free(struct sl_audio_decoder *d)
{
	if (!d)
		return;
	audio_opus_decoder_free(d->opus);
	audio_g722_decoder_free(d->g722);
	sl_concealer_free(d->concealer);
	free(d);
}

unsigned sl_audio_decoder_hz(const struct sl_audio_decoder *d)
{
	return d->hz;
}

static int decode_bytes(const struct sl_audio_decoder *d, struct sl_str payload, int16_t *pcm)
{
	const uint8_t *p = (const uint8_t *)payload.p;
	size_t n = payload.len;

	if (d->codec == SL_CODEC_L16) {
		n /= 2;
		for (size_t i = 0; i < n; i++)
			pcm[i] = (int16_t)sl_get16(p + 2 * i);
	} else if (d->codec == SL_CODEC_PCMU) {
		for (size_t i = 0; i < n; i++)
			pcm[i] = audio_from_ulaw(p[i]);
	} else {
		for (size_t i = 0; i < n; i++)
			pcm[i] = audio_from_alaw(p[i]);
	}
	return (int)n;
}

int sl_audio_decode(struct sl_audio_decoder *d, struct sl_str payload, int16_t *pcm)
{
	int n;

	if (d->opus)
		return audio_opus_decode(d->opus, payload, pcm);
	if (payload.len == 0 || payload.len > SL_PACKET_MAX)
		return -SL_EPARSE;
	if (d->g722)
		n = audio_g722_decode(d->g722, payload, pcm);
	else
		n = decode_bytes(d, payload, pcm);
	sl_concealer_good(d->concealer, pcm, (size_t)n);
	return n;
}

int sl_audio_conceal(struct sl_audio_decoder *d, struct sl_str next, int16_t *pcm, size_t n)
{
	if (n > SL_AUDIO_MAX_SAMPLES)
		n = SL_AUDIO_MAX_SAMPLES;
	if (d->opus)
		return audio_opus_conceal(d->opus, next, pcm, n);
	sl_concealer_make(d->concealer, pcm, n);
	return (int)n;
}

/* ---- encoding */

int sl_audio_encoder_new(struct sl_audio_encoder **ret_encoder,
			 const struct sl_audio_encoder_opts *o)
{
	unsigned own = sl_audio_codec_hz(o->codec, o->clock_hz);
	struct sl_audio_encoder *e;
	int err = 0;

	if (own == 0 || (o->codec != SL_CODEC_OPUS && o->hz != own))
		return -SL_EUNSUPP;
	e = calloc(1, sizeof *e);
	if (!e)
		return -SL_ENOMEM;
	e->codec = o->codec;
	if (o->codec == SL_CODEC_OPUS)
		err = audio_opus_encoder_new(&e->opus, o);
	else if (o->codec == SL_CODEC_G722)
		err = audio_g722_encoder_new(&e->g722);
	if (err < 0) {
		sl_audio_encoder_free(e);
		return err;
	}
	*ret_encoder = e;
	return 0;
}

void sl_audio_encoder_free(struct sl_audio_encoder *e)
{
	if (!e)
		return;
	audio_opus_encoder_free(e->opus);
	audio_g722_encoder_free(e->g722);
	free(e);
}

static int encode_bytes(const struct sl_audio_encoder *e, const int16_t *pcm, size_t n,
			uint8_t *dst)
{
	for (size_t i = 0; i < n; i++) {
		if (e->codec == SL_CODEC_L16)
			sl_put16(dst + 2 * i, (uint16_t)pcm[i]);
		else if (e->codec == SL_CODEC_PCMU)
			dst[i] = audio_to_ulaw(pcm[i]);
		else
			dst[i] = audio_to_alaw(pcm[i]);
	}
	return (int)(e->codec == SL_CODEC_L16 ? 2 * n : n);
}

int sl_audio_encode(struct sl_audio_encoder *e, const int16_t *pcm, size_t n, uint8_t *dst,
		    size_t cap)
{
	if (n == 0 || n > SL_AUDIO_MAX_SAMPLES)
		return -SL_EINVAL;
	if (e->opus)
		return audio_opus_encode(e->opus, pcm, n, dst, cap);
	if ((e->codec == SL_CODEC_L16 ? 2 * n : n) > cap)
		return -SL_EFULL;
	if (e->g722)
		return n % 2 ? -SL_EINVAL : audio_g722_encode(e->g722, pcm, n, dst);
	return encode_bytes(e, pcm, n, dst);
}

void sl_audio_encoder_set_loss(struct sl_audio_encoder *e, unsigned percent)
{
	if (e->opus)
		audio_opus_set_loss(e->opus, percent);
}

void sl_audio_encoder_set_complexity(struct sl_audio_encoder *e, unsigned complexity)
{
	if (e->opus)
		audio_opus_set_complexity(e->opus, complexity);
}
