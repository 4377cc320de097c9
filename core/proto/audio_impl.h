/*
 * proto/audio_impl.h: what the files of <sluice/audio.h> share: the seams of the codec libraries,
 * and the laws of G.711.
 */
#ifndef PROTO_AUDIO_IMPL_H
#define PROTO_AUDIO_IMPL_H

#include <sluice/audio.h>

struct audio_opus_decoder;
struct audio_opus_encoder;
struct audio_g722_decoder;
struct audio_g722_encoder;

struct sl_audio_decoder {
	enum sl_codec_id codec;
	unsigned hz; /* of what comes out */
	struct audio_opus_decoder *opus;
	struct audio_g722_decoder *g722;
	struct sl_concealer *concealer; /* of what has none of its own */
};

struct sl_audio_encoder {
	enum sl_codec_id codec;
	struct audio_opus_encoder *opus;
	struct audio_g722_encoder *g722;
};

/* ---- audio_opus.c, the seam of libopus */
int audio_opus_decoder_new(struct audio_opus_decoder **ret_d, unsigned hz);
void audio_opus_decoder_free(struct audio_opus_decoder *d); /* accepts NULL */
int audio_opus_decode(struct audio_opus_decoder *d, struct sl_str payload, int16_t *pcm);
int audio_opus_conceal(struct audio_opus_decoder *d, struct sl_str next, int16_t *pcm, size_t n);
/* Does it have something of the packet before it? */
bool audio_opus_is_redundant(struct sl_str payload);
int audio_opus_encoder_new(struct audio_opus_encoder **ret_e,
			   const struct sl_audio_encoder_opts *o);
void audio_opus_encoder_free(struct audio_opus_encoder *e); /* accepts NULL */
int audio_opus_encode(struct audio_opus_encoder *e, const int16_t *pcm, size_t n, uint8_t *dst,
		      size_t cap);
void audio_opus_set_loss(struct audio_opus_encoder *e, unsigned percent);
void audio_opus_set_complexity(struct audio_opus_encoder *e, unsigned complexity);

/* ---- audio_spandsp.c, the seam of spandsp */
int audio_g722_decoder_new(struct audio_g722_decoder **ret_d);
void audio_g722_decoder_free(struct audio_g722_decoder *d); /* accepts NULL */
int audio_g722_decode(struct audio_g722_decoder *d, struct sl_str payload, int16_t *pcm);
int audio_g722_encoder_new(struct audio_g722_encoder **ret_e);
void audio_g722_encoder_free(struct audio_g722_encoder *e); /* accepts NULL */
int audio_g722_encode(struct audio_g722_encoder *e, const int16_t *pcm, size_t n, uint8_t *dst);

/* ---- G.711 */
uint8_t audio_to_ulaw(int16_t sample);
int16_t audio_from_ulaw(uint8_t code);
uint8_t audio_to_alaw(int16_t sample);
int16_t audio_from_alaw(uint8_t code);

#endif
