/*
 * mixer/mix.c: sums of voices, and the limiter.
 *
 * A frame is at hand as a whole, so the gain can fall before the peak comes: each of its ten blocks
 * has a gain at its end that suits the block and the next one, and goes there in a straight line.
 * Only where a frame begins too loud does it have to jump.
 */
#include "mix.h"

enum { BLOCKS = 10 };
#define RELEASE 1.02f /* a block of 2 ms: 8 dB in 100 ms */

void mix_add(int32_t *sum, const int16_t *pcm, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum[i] += pcm[i];
}

void mix_without(int32_t *dst, const int32_t *sum, const int16_t *own, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = sum[i] - own[i];
}

static float gain_for(const int32_t *sum, size_t n)
{
	int32_t peak = 0;

	for (size_t i = 0; i < n; i++) {
		int32_t m = sum[i] < 0 ? -sum[i] : sum[i];

		peak = m > peak ? m : peak;
	}
	return peak > MIX_CEILING ? (float)MIX_CEILING / (float)peak : 1.0f;
}

static float lesser(float a, float b)
{
	return a < b ? a : b;
}

static void scale(const int32_t *sum, int16_t *pcm, size_t n, float from, float to)
{
	float step = (to - from) / (float)n, gain = from;

	for (size_t i = 0; i < n; i++) {
		gain += step;
		pcm[i] = (int16_t)((float)sum[i] * gain);
	}
}

void limiter_run(struct limiter *l, const int32_t *sum, int16_t *pcm, size_t n)
{
	float need[BLOCKS + 1], gain = l->gain > 0 ? l->gain : 1.0f;
	size_t block = n / BLOCKS;

	for (unsigned i = 0; i < BLOCKS; i++)
		need[i] = gain_for(sum + i * block, block);
	need[BLOCKS] = 1.0f;
	gain = lesser(gain, need[0]);
	for (unsigned i = 0; i < BLOCKS; i++) {
		float to = lesser(lesser(gain * RELEASE, 1.0f), lesser(need[i], need[i + 1]));

		scale(sum + i * block, pcm + i * block, block, gain, to);
		gain = to;
	}
	l->gain = gain;
}
