/*
 * proto/audio_noise.c: comfort noise (RFC 3389): white noise of a level, shaped by the lattice
 * filter of the reflection coefficients where the payload has them.
 */
#include <sluice/audio.h>

#include <math.h>

enum { MIN_LEVEL = -127, SEED = 0x2545f491 };

void sl_noise_read(struct sl_noise *n, struct sl_str payload)
{
	const uint8_t *p = (const uint8_t *)payload.p;

	*n = (struct sl_noise){.level = MIN_LEVEL, .random = n->random ? n->random : SEED};
	if (payload.len == 0)
		return;
	n->level = -(p[0] & 127);
	for (size_t i = 1; i < payload.len && n->n_coefs < SL_ARRAY_LEN(n->coefs); i++)
		n->coefs[n->n_coefs++] = (int16_t)((p[i] - 127) * 258); /* section 3.2: over 127 */
}

static int32_t draw(struct sl_noise *n)
{
	n->random ^= n->random << 13; /* xorshift: nobody has to be surprised by it */
	n->random ^= n->random >> 17;
	n->random ^= n->random << 5;
	return (int32_t)(n->random >> 16) - 32768;
}

/* The all-pole lattice of RFC 3389 section 3.2's coefficients; its gain is undone by `scale`. */
static int32_t shape(struct sl_noise *n, int32_t in)
{
	int64_t f = in;

	for (unsigned i = n->n_coefs; i-- > 0;) {
		f -= (int64_t)n->coefs[i] * n->state[i] / 32768;
		f = f > INT16_MAX * 64 ? INT16_MAX * 64 : f < INT16_MIN * 64 ? INT16_MIN * 64 : f;
		n->state[i + 1] = n->state[i] + (int32_t)((int64_t)n->coefs[i] * f / 32768);
	}
	n->state[0] = (int32_t)f;
	return (int32_t)f;
}

/* Power that the filter takes away beforehand: the product of 1 - k^2 */
static double gain_of(const struct sl_noise *n)
{
	double power = 1;

	for (unsigned i = 0; i < n->n_coefs; i++) {
		double k = n->coefs[i] / 32768.0;

		power *= 1 - k * k;
	}
	return sqrt(power < 0.01 ? 0.01 : power);
}

void sl_noise_make(struct sl_noise *n, int16_t *pcm, size_t count)
{
	/* The root of the mean square of even noise is its peak over the root of three. */
	double peak = pow(10, n->level / 20.0) * sqrt(3) * gain_of(n);

	n->random = n->random ? n->random : SEED;
	for (size_t i = 0; i < count; i++) {
		int32_t v = shape(n, (int32_t)(draw(n) * peak));

		pcm[i] = (int16_t)(v > INT16_MAX ? INT16_MAX : v < INT16_MIN ? INT16_MIN : v);
	}
	if (n->level <= MIN_LEVEL)
		memset(pcm, 0, count * sizeof *pcm);
}
