/*
 * proto/audio_opus.c: Opus (RFC 6716, 7587): the seam of libopus.
 *
 * Coder and decoder work at the rate of the other side of a call: a telephone of 8 kHz needs no
 * resampling and a fifth of the CPU that 48 kHz would cost.
 *
 * Two of the codec's modes are used. While nothing is lost it is CELT at its least complexity:
 * speech at 8 kHz and 36 kbit/s takes 0.07 % of a core (SILK at 24 kbit/s and complexity 5: 0.4 %)
 * and comes out at a STOI of 0.999 (0.996); higher complexities of CELT move bits to where music
 * wants them, cost up to three times as much, and score less (0.996 to 0.998). Where packets are
 * lost it is SILK, which alone has redundancy in band.
 */
#include "proto/audio_impl.h"

#include <opus/opus.h>
#include <stdlib.h>

struct audio_opus_decoder {
	OpusDecoder *dec;
	unsigned hz;
};

struct audio_opus_encoder {
	OpusEncoder *enc;
	unsigned hz;
	opus_int32 max_bps; /* 0: no limit */
	bool dtx;
	unsigned percent; /* redundancy is made for; 0: CELT */
	unsigned calm;	  /* reports without loss since */
	unsigned complexity; /* of SILK */
};

enum { CALM = 20 }; /* reports, one a second: browsers' come every five seconds, or so */

int audio_opus_decoder_new(struct audio_opus_decoder **ret_d, unsigned hz)
{
	struct audio_opus_decoder *d = calloc(1, sizeof *d);
	int err = OPUS_OK;

	if (!d)
		return -SL_ENOMEM;
	d->hz = hz;
	d->dec = opus_decoder_create((opus_int32)hz, 1, &err);
	if (!d->dec) {
		free(d);
		return err == OPUS_BAD_ARG ? -SL_EUNSUPP : -SL_ENOMEM;
	}
	*ret_d = d;
	return 0;
}

void audio_opus_decoder_free(struct audio_opus_decoder *d)
{
	if (!d)
		return;
	opus_decoder_destroy(d->dec);
	free(d);
}

int audio_opus_decode(struct audio_opus_decoder *d, struct sl_str payload, int16_t *pcm)
{
	int n;

	if (payload.len == 0 || payload.len > SL_PACKET_MAX)
		return -SL_EPARSE;
	n = opus_decode(d->dec, (const unsigned char *)payload.p, (opus_int32)payload.len, pcm,
			SL_AUDIO_MAX_SAMPLES, 0);
	return n > 0 ? n : -SL_EPARSE;
}

/* The decoder makes whole frames of 2.5 ms, and at once 120 ms at most. */
static size_t whole_frames(const struct audio_opus_decoder *d, size_t n)
{
	size_t unit = d->hz / 400;

	return n - n % unit;
}

int audio_opus_conceal(struct audio_opus_decoder *d, struct sl_str next, int16_t *pcm, size_t n)
{
	size_t whole = whole_frames(d, n);
	int made = -1;

	if (next.len > 0 && next.len <= SL_PACKET_MAX && whole > 0)
		made = opus_decode(d->dec, (const unsigned char *)next.p, (opus_int32)next.len, pcm,
				   (int)whole, 1);
	if (made < 0 && whole > 0)
		made = opus_decode(d->dec, NULL, 0, pcm, (int)whole, 0);
	if (made < 0)
		made = 0;
	for (size_t i = (size_t)made; i < n; i++)
		pcm[i] = 0;
	return (int)n;
}

/* Rates at which speech of that bandwidth is as good as transparent: at 8 kHz CELT has a STOI of
 * 0.9991 at 36 kbit/s and of 0.9994 at 40, which takes 3 % longer. With redundancy more is worth
 * it: of 10 % lost, SILK at 8 kHz and 24 kbit/s makes a STOI of 0.968, at 40 one of 0.983. */
static opus_int32 default_bps(unsigned hz, bool silk)
{
	return hz <= 8000 ? (silk ? 40000 : 36000) : hz <= 16000 ? 56000 : 64000;
}

/* Of silence it sends nothing, and below 24 kbit/s it is the better one whatever happens. */
static bool wants_silk(const struct audio_opus_encoder *e)
{
	return e->percent > 0 || e->dtx || (e->max_bps > 0 && e->max_bps < 24000);
}

/* The library chooses the mode by what it takes the signal for; it changes without a click. */
static void choose_mode(struct audio_opus_encoder *e)
{
	bool silk = wants_silk(e);
	opus_int32 bps = default_bps(e->hz, silk);

	if (e->max_bps > 0 && e->max_bps < bps)
		bps = e->max_bps;
	opus_encoder_ctl(e->enc, OPUS_SET_BITRATE(bps));
	opus_encoder_ctl(e->enc, OPUS_SET_SIGNAL(silk ? OPUS_SIGNAL_VOICE : OPUS_SIGNAL_MUSIC));
	opus_encoder_ctl(e->enc, OPUS_SET_COMPLEXITY(silk ? (opus_int32)e->complexity : 0));
	opus_encoder_ctl(e->enc, OPUS_SET_INBAND_FEC(e->percent > 0 ? 1 : 0));
	opus_encoder_ctl(e->enc, OPUS_SET_PACKET_LOSS_PERC((opus_int32)e->percent));
}

/* RFC 6716 sections 3.1 and 4.2.3: one frame of SILK begins with a flag for each 20 ms in which
 * somebody speaks, and one for redundancy. */
bool audio_opus_is_redundant(struct sl_str payload)
{
	static const uint8_t n_voice[] = {1, 1, 2, 3}; /* of 10, 20, 40 and 60 ms */
	unsigned config, hybrid = 12, celt = 16;

	if (payload.len < 2 || ((uint8_t)payload.p[0] & 3) != 0)
		return false;
	config = (uint8_t)payload.p[0] >> 3;
	if (config >= celt)
		return false;
	config %= config < hybrid ? 4 : 2;
	return (uint8_t)payload.p[1] >> (7 - n_voice[config]) & 1;
}

int audio_opus_encoder_new(struct audio_opus_encoder **ret_e, const struct sl_audio_encoder_opts *o)
{
	struct audio_opus_encoder *e = calloc(1, sizeof *e);
	int err = OPUS_OK;

	if (!e)
		return -SL_ENOMEM;
	e->enc = opus_encoder_create((opus_int32)o->hz, 1, OPUS_APPLICATION_AUDIO, &err);
	if (!e->enc) {
		free(e);
		return err == OPUS_BAD_ARG ? -SL_EUNSUPP : -SL_ENOMEM;
	}
	e->hz = o->hz;
	e->max_bps = (opus_int32)o->max_bps;
	e->dtx = o->dtx;
	e->complexity = o->complexity > 10 ? 10 : o->complexity;
	opus_encoder_ctl(e->enc, OPUS_SET_DTX(e->dtx ? 1 : 0));
	choose_mode(e);
	*ret_e = e;
	return 0;
}

void audio_opus_encoder_free(struct audio_opus_encoder *e)
{
	if (!e)
		return;
	opus_encoder_destroy(e->enc);
	free(e);
}

int audio_opus_encode(struct audio_opus_encoder *e, const int16_t *pcm, size_t n, uint8_t *dst,
		      size_t cap)
{
	int len = opus_encode(e->enc, pcm, (int)n, dst, (opus_int32)cap);

	if (len == OPUS_BAD_ARG)
		return -SL_EINVAL;
	if (len < 0)
		return -SL_EFULL;
	return len <= 2 ? 0 : len; /* one or two bytes: DTX (opus_encode's documentation) */
}

/* A report without loss may only say that none fell into it: redundancy stays for a while. */
void audio_opus_set_loss(struct audio_opus_encoder *e, unsigned percent)
{
	percent = percent > 50 ? 50 : percent;
	if (percent > 0)
		e->calm = 0;
	else if (e->percent > 0 && ++e->calm < CALM)
		return;
	if (percent == e->percent)
		return;
	e->percent = percent;
	choose_mode(e);
}

void audio_opus_set_complexity(struct audio_opus_encoder *e, unsigned complexity)
{
	complexity = complexity > 10 ? 10 : complexity;
	if (complexity == e->complexity)
		return;
	e->complexity = complexity;
	choose_mode(e);
}
