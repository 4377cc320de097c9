/*
 * proto/audio_spandsp.c: G.722 at 64 kbit/s, and tones of digits in speech (Q.23, Q.24): the seam
 * of spandsp.
 */
#include "proto/audio_impl.h"

#include <spandsp.h>
#include <stdlib.h>

enum { G722_BPS = 64000, MS_SAMPLES = 8 };

/* ---- G.722: the library's states are wrapped, so that its types stay here */

struct audio_g722_decoder {
	g722_decode_state_t *state;
};

struct audio_g722_encoder {
	g722_encode_state_t *state;
};

int audio_g722_decoder_new(struct audio_g722_decoder **ret_d)
{
	struct audio_g722_decoder *d = calloc(1, sizeof *d);

	if (!d)
		return -SL_ENOMEM;
	d->state = g722_decode_init(NULL, G722_BPS, 0);
	if (!d->state) {
		free(d);
		return -SL_ENOMEM;
	}
	*ret_d = d;
	return 0;
}

void audio_g722_decoder_free(struct audio_g722_decoder *d)
{
	if (!d)
		return;
	(void)g722_decode_free(d->state); /* cannot fail */
	free(d);
}

int audio_g722_decode(struct audio_g722_decoder *d, struct sl_str payload, int16_t *pcm)
{
	return g722_decode(d->state, pcm, (const uint8_t *)payload.p, (int)payload.len);
}

int audio_g722_encoder_new(struct audio_g722_encoder **ret_e)
{
	struct audio_g722_encoder *e = calloc(1, sizeof *e);

	if (!e)
		return -SL_ENOMEM;
	e->state = g722_encode_init(NULL, G722_BPS, 0);
	if (!e->state) {
		free(e);
		return -SL_ENOMEM;
	}
	*ret_e = e;
	return 0;
}

void audio_g722_encoder_free(struct audio_g722_encoder *e)
{
	if (!e)
		return;
	(void)g722_encode_free(e->state); /* cannot fail */
	free(e);
}

int audio_g722_encode(struct audio_g722_encoder *e, const int16_t *pcm, size_t n, uint8_t *dst)
{
	return g722_encode(e->state, dst, pcm, (int)n);
}

/* ---- digits in the audio */

struct sl_dtmf_ear {
	dtmf_rx_state_t *state;
	sl_dtmf_fn *fn;
	void *arg;
	char digit; /* that is being held; 0: none */
};

/* code: a digit that has begun, or 0: it has ended; delay: samples since the last change */
static void on_change(void *user, int code, int level, int delay)
{
	struct sl_dtmf_ear *e = user;
	char ended = e->digit;

	(void)level;
	e->digit = (char)code;
	if (ended)
		e->fn(e->arg, ended, delay > 0 ? (unsigned)delay / MS_SAMPLES : 0);
}

int sl_dtmf_ear_new(struct sl_dtmf_ear **ret_ear, sl_dtmf_fn *fn, void *arg)
{
	struct sl_dtmf_ear *e = calloc(1, sizeof *e);

	if (!e)
		return -SL_ENOMEM;
	e->fn = fn;
	e->arg = arg;
	e->state = dtmf_rx_init(NULL, NULL, NULL);
	if (!e->state) {
		free(e);
		return -SL_ENOMEM;
	}
	dtmf_rx_set_realtime_callback(e->state, on_change, e);
	*ret_ear = e;
	return 0;
}

void sl_dtmf_ear_free(struct sl_dtmf_ear *e)
{
	if (!e)
		return;
	(void)dtmf_rx_free(e->state); /* cannot fail */
	free(e);
}

void sl_dtmf_hear(struct sl_dtmf_ear *e, const int16_t *pcm, size_t n)
{
	(void)dtmf_rx(e->state, pcm, (int)n); /* returns samples left over: none */
}
