/*
 * proto/audio_sink.c: samples become payloads of one packet time, whatever the pieces and the rate
 * in which they come.
 */
#include "proto/audio_impl.h"

#include <stdlib.h>

enum { PUSH_MS = 60 };

struct sl_audio_sink {
	struct sl_audio_sink_opts o;
	struct sl_audio_encoder *encoder;
	struct sl_resampler *resampler; /* NULL: the rates are equal */
	unsigned hz;			/* of the encoder */
	uint32_t clock_hz;		/* of its packets */
	size_t frame;			/* samples of a packet */
	size_t n, cap;
	int16_t *buf;
	uint32_t ts;
	bool paused;
};

/* Opus takes the caller's rate; others want their own. */
static unsigned encoder_hz(const struct sl_audio_sink_opts *o)
{
	return o->encoder.codec == SL_CODEC_OPUS
		       ? o->hz
		       : sl_audio_codec_hz(o->encoder.codec, o->encoder.clock_hz);
}

static uint32_t clock_of(const struct sl_audio_sink_opts *o)
{
	switch (o->encoder.codec) {
	case SL_CODEC_OPUS:
		return 48000;
	case SL_CODEC_L16:
		return o->encoder.clock_hz;
	default:
		return 8000;
	}
}

static int fill(struct sl_audio_sink *s)
{
	struct sl_audio_encoder_opts encoder = s->o.encoder;
	int err;

	encoder.hz = s->hz;
	err = sl_audio_encoder_new(&s->encoder, &encoder);
	if (err == 0 && s->hz != s->o.hz)
		err = sl_resampler_new(&s->resampler, s->o.hz, s->hz);
	if (err < 0)
		return err;
	s->frame = s->hz / 1000 * s->o.ptime_ms;
	s->cap = s->frame + s->hz / 1000 * (PUSH_MS + 1);
	s->buf = calloc(s->cap, sizeof *s->buf);
	return s->buf ? 0 : -SL_ENOMEM;
}

int sl_audio_sink_new(struct sl_audio_sink **ret_sink, const struct sl_audio_sink_opts *o)
{
	struct sl_audio_sink *s;
	int err;

	if (o->ptime_ms < 10 || o->ptime_ms > 60 || o->ptime_ms % 10 ||
	    (o->encoder.codec == SL_CODEC_OPUS && (o->ptime_ms == 30 || o->ptime_ms == 50)))
		return -SL_EINVAL;
	if (encoder_hz(o) == 0)
		return -SL_EUNSUPP;
	s = calloc(1, sizeof *s);
	if (!s)
		return -SL_ENOMEM;
	s->o = *o;
	s->hz = encoder_hz(o);
	s->clock_hz = clock_of(o);
	s->paused = true;
	err = fill(s);
	if (err < 0) {
		sl_audio_sink_free(s);
		return err;
	}
	*ret_sink = s;
	return 0;
}

void sl_audio_sink_free(struct sl_audio_sink *s)
{
	if (!s)
		return;
	sl_audio_encoder_free(s->encoder);
	sl_resampler_free(s->resampler);
	free(s->buf);
	free(s);
}

struct sl_audio_encoder *sl_audio_sink_encoder(struct sl_audio_sink *s)
{
	return s->encoder;
}

void sl_audio_sink_push(struct sl_audio_sink *s, const int16_t *pcm, size_t n)
{
	size_t room = s->cap - s->n;

	if (s->resampler) {
		s->n += sl_resample(s->resampler, pcm, n, s->buf + s->n, room);
		return;
	}
	n = n < room ? n : room;
	memcpy(s->buf + s->n, pcm, n * sizeof *pcm);
	s->n += n;
}

bool sl_audio_sink_next(struct sl_audio_sink *s, uint8_t *dst, size_t cap,
			struct sl_audio_out *ret_out)
{
	int len;

	if (s->n < s->frame)
		return false;
	len = sl_audio_encode(s->encoder, s->buf, s->frame, dst, cap);
	s->n -= s->frame;
	memmove(s->buf, s->buf + s->frame, s->n * sizeof *s->buf);
	*ret_out = (struct sl_audio_out){.len = len > 0 ? (size_t)len : 0,
					 .ts = s->ts,
					 .duration = s->clock_hz / 1000 * s->o.ptime_ms,
					 .marker = s->paused && len > 0};
	s->ts += ret_out->duration;
	s->paused = len <= 0;
	return true;
}
