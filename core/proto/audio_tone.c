/*
 * proto/audio_tone.c: tones of one or two frequencies in a pattern: what is heard of a call that is
 * not talking, and digits for who understands no events (Q.23).
 */
#include <sluice/audio.h>

#include <math.h>

/* A quarter of a million steps a turn would be a table; a sine of 64 points between which is
 * interpolated has its harmonics 60 dB down. */
enum { POINTS = 64, FRACTION_BITS = 26 };

static const int16_t sine[POINTS + 1] = {
	0,	3212,	6393,	9512,	12539,	15446,	18204,	20787,	23170,	25329,	27245,
	28898,	30273,	31356,	32137,	32609,	32767,	32609,	32137,	31356,	30273,	28898,
	27245,	25329,	23170,	20787,	18204,	15446,	12539,	9512,	6393,	3212,	0,
	-3212,	-6393,	-9512,	-12539, -15446, -18204, -20787, -23170, -25329, -27245, -28898,
	-30273, -31356, -32137, -32609, -32767, -32609, -32137, -31356, -30273, -28898, -27245,
	-25329, -23170, -20787, -18204, -15446, -12539, -9512,	-6393,	-3212,	0};

static int sine_at(uint32_t phase)
{
	unsigned i = phase >> FRACTION_BITS;
	int64_t fraction = phase & ((1u << FRACTION_BITS) - 1);

	return sine[i] + (int)((sine[i + 1] - sine[i]) * fraction >> FRACTION_BITS);
}

static void enter(struct sl_tone *t)
{
	t->left = t->hz / 100 * t->steps[t->step].ms / 10;
}

void sl_tone_begin(struct sl_tone *t, const struct sl_tone_step *steps, bool once, unsigned hz,
		   int dbov)
{
	/* A sine of full scale has -3 dBov. */
	*t = (struct sl_tone){.steps = steps,
			      .once = once,
			      .hz = hz,
			      .amplitude = (int)(pow(10, (dbov + 3) / 20.0) * 32767)};
	enter(t);
}

/* false: the pattern is over */
static bool next_step(struct sl_tone *t)
{
	t->step++;
	if (t->steps[t->step].ms == 0) {
		t->over = t->once;
		t->step = 0;
	}
	if (!t->over)
		enter(t);
	return !t->over;
}

static int16_t sample(struct sl_tone *t, const uint16_t hz[2])
{
	int v = 0;

	for (unsigned i = 0; i < 2; i++) {
		if (hz[i] == 0)
			continue;
		v += sine_at(t->phase[i]) * t->amplitude / 32767;
		t->phase[i] += (uint32_t)(((uint64_t)hz[i] << 32) / t->hz);
	}
	return (int16_t)(v > INT16_MAX ? INT16_MAX : v < INT16_MIN ? INT16_MIN : v);
}

bool sl_tone_make(struct sl_tone *t, int16_t *pcm, size_t n)
{
	size_t i = 0;

	while (i < n && !t->over) {
		const struct sl_tone_step *s = &t->steps[t->step];

		for (; i < n && t->left > 0; t->left--)
			pcm[i++] = sample(t, s->hz);
		if (t->left == 0 && !next_step(t))
			break;
	}
	memset(pcm + i, 0, (n - i) * sizeof *pcm);
	return !t->over;
}

bool sl_dtmf_tone(char digit, uint16_t ret_hz[2])
{
	static const char keys[] = "123A456B789C*0#D";
	static const uint16_t low[4] = {697, 770, 852, 941}, high[4] = {1209, 1336, 1477, 1633};
	const char *at = digit ? strchr(keys, digit) : NULL;

	if (!at)
		return false;
	ret_hz[0] = low[(at - keys) / 4];
	ret_hz[1] = high[(at - keys) % 4];
	return true;
}
