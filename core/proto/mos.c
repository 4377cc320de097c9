/*
 * proto/mos.c: how good a call sounds, from what is known of its packets: the E-model (ITU-T
 * G.107), cut down to its terms for delay (Id), for the codec (Ie) and for loss (Bpl).
 *
 * Bpl values: G.113 appendix I for G.711 with concealment; those of Opus and G.722 are taken near
 * it, since their tables (G.113 amendment) are for other scales. The scale is the narrow-band one.
 */
#include <sluice/line.h>

static double impairment(enum sl_codec_id codec, double percent)
{
	double bpl = codec == SL_CODEC_OPUS ? 30 : codec == SL_CODEC_G722 ? 20 : 25.1;

	return 95 * percent / (percent + bpl);
}

/* G.107 (B-4) for delays without echo, as commonly simplified: it bends at 177 ms. */
static double delay_impairment(double ms)
{
	return 0.024 * ms + (ms > 177.3 ? 0.11 * (ms - 177.3) : 0);
}

unsigned sl_mos_estimate(enum sl_codec_id codec, unsigned loss_permille, unsigned delay_ms)
{
	double r = 93.2 - delay_impairment(delay_ms) - impairment(codec, loss_permille / 10.0);
	double mos;

	if (r <= 0)
		return 100;
	mos = 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6;
	return (unsigned)(100 * mos + 0.5);
}
