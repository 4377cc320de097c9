/*
 * proto/audio_conceal.c: speech where none came: the last pitch period again and again (the idea of
 * G.711 Appendix I), and speech made shorter or longer by whole periods, so that a jitter buffer
 * can change its delay without being heard.
 *
 * Works at any rate. The period is found by normalised cross-correlation at about 8 kHz, whatever
 * the rate: five times cheaper, and exact enough for a blend of milliseconds.
 */
#include <sluice/audio.h>

#include <math.h>
#include <stdlib.h>

enum {
	PERIOD_MIN_US = 2500,  /* 400 Hz */
	PERIOD_MAX_US = 15000, /* 66 Hz */
	THIN_HZ = 8000,	       /* a period is looked for at */
	THIN_WINDOW = THIN_HZ / 1000 * PERIOD_MAX_US / 1000,
	THIN_PEAK = 4095, /* its square times THIN_WINDOW is less than 2^31 */
	HISTORY_MS = 45,  /* two periods and the window that is compared */
	BLEND_MS = 4,
	HOLD_MS = 10,	  /* of made-up speech at full level */
	FADE_MS = 50,	  /* then to nothing in so long */
	ALIKE = 180,	  /* of 256: periods that can stand for each other */
	QUIET_DBOV = -50, /* where nobody hears a seam */
};

struct sl_concealer {
	unsigned hz;
	size_t n_past, max_past;
	int16_t *past;	   /* newest last */
	int16_t *cycle;	   /* the period that is repeated */
	size_t period, at; /* of it; the next sample */
	size_t made;	   /* samples since the last good one */
};

static size_t samples_of_us(unsigned hz, unsigned us)
{
	return (size_t)((uint64_t)hz * us / 1000000);
}

int sl_concealer_new(struct sl_concealer **ret_concealer, unsigned hz)
{
	struct sl_concealer *c = calloc(1, sizeof *c);

	if (!c)
		return -SL_ENOMEM;
	c->hz = hz;
	c->max_past = hz * HISTORY_MS / 1000;
	c->past = calloc(c->max_past, sizeof *c->past);
	c->cycle = calloc(samples_of_us(hz, PERIOD_MAX_US) + 1, sizeof *c->cycle);
	if (!c->past || !c->cycle) {
		sl_concealer_free(c);
		return -SL_ENOMEM;
	}
	*ret_concealer = c;
	return 0;
}

void sl_concealer_free(struct sl_concealer *c)
{
	if (!c)
		return;
	free(c->past);
	free(c->cycle);
	free(c);
}

/* ---- the period of a voice */

struct match {
	double like; /* -1 .. 1 */
	size_t lag;
};

/* How alike are the last `window` samples and those `lag` before them? */
static double likeness(const int16_t *end, size_t window, size_t lag, unsigned step)
{
	double product = 0, energy = 0, shifted = 0;

	for (size_t i = 0; i < window; i += step) {
		double a = *(end - window + i), b = *(end - window + i - lag);

		product += a * b;
		energy += a * a;
		shifted += b * b;
	}
	return energy == 0 || shifted == 0 ? 0 : product / sqrt(energy * shifted);
}

/* Every step-th sample, so quiet that a sum of THIN_WINDOW products has 31 bits. */
static void thin_out(const int16_t *end, unsigned step, int16_t *thin)
{
	int peak = 0, shift = 0;

	for (size_t i = 0; i < 2 * THIN_WINDOW; i++) {
		thin[i] = *(end - (2 * THIN_WINDOW - i) * step);
		peak |= abs(thin[i]);
	}
	while (peak >> shift > THIN_PEAK)
		shift++;
	for (size_t i = 0; shift > 0 && i < 2 * THIN_WINDOW; i++)
		thin[i] = (int16_t)(thin[i] >> shift);
}

/* A constant number of whole numbers, so that compilers make eight products at once. */
static int32_t dot(const int16_t *a, const int16_t *b)
{
	int32_t sum = 0;

	for (size_t i = 0; i < THIN_WINDOW; i++)
		sum += a[i] * b[i];
	return sum;
}

/* The energy of the earlier window is what it was a lag before, with one sample more and one less;
 * of two lags the better is known without a root. */
static struct match best_match(const int16_t *pcm, size_t n, unsigned hz)
{
	unsigned step = hz > THIN_HZ ? hz / THIN_HZ : 1;
	size_t lag = THIN_HZ / 1000 * PERIOD_MIN_US / 1000;
	struct match best = {-1, lag * step};
	int16_t thin[2 * THIN_WINDOW];
	const int16_t *last = thin + THIN_WINDOW, *earlier;
	double product, shifted, best_product = 0, best_shifted = 1;

	if (n < (size_t)2 * THIN_WINDOW * step)
		return best;
	thin_out(pcm + n, step, thin);
	shifted = dot(last - lag, last - lag);
	for (; lag <= THIN_WINDOW; lag++) {
		earlier = last - lag;
		product = dot(last, earlier);
		if (product > 0 &&
		    product * product * best_shifted > best_product * best_product * shifted) {
			best_product = product;
			best_shifted = shifted;
			best.lag = lag * step;
		}
		if (lag < THIN_WINDOW)
			shifted += earlier[-1] * earlier[-1] -
				   earlier[THIN_WINDOW - 1] * earlier[THIN_WINDOW - 1];
	}
	if (best_product > 0) /* else nothing is like it, or it is silent */
		best.like = best_product / sqrt((double)dot(last, last) * best_shifted);
	return best;
}

/* Between the coarse steps */
static struct match refine(const int16_t *pcm, size_t n, unsigned hz, struct match coarse)
{
	unsigned step = hz > THIN_HZ ? hz / THIN_HZ : 1;
	size_t window = samples_of_us(hz, PERIOD_MAX_US);
	struct match best = coarse;

	for (size_t lag = coarse.lag - step + 1; step > 1 && lag < coarse.lag + step; lag++) {
		double like;

		if (n < window + lag)
			break;
		like = likeness(pcm + n, window, lag, step);
		if (like > best.like)
			best = (struct match){like, lag};
	}
	return best;
}

size_t sl_audio_pitch(const int16_t *pcm, size_t n, unsigned hz, unsigned *ret_like)
{
	struct match m = refine(pcm, n, hz, best_match(pcm, n, hz));

	*ret_like = m.like <= 0 ? 0 : (unsigned)(m.like * 256);
	return m.lag;
}

/* ---- concealment */

static int16_t mix(int from, int to, size_t i, size_t n)
{
	return (int16_t)(from + (to - from) * (int)i / (int)n);
}

static void remember(struct sl_concealer *c, const int16_t *pcm, size_t n)
{
	size_t keep;

	if (n >= c->max_past) {
		memcpy(c->past, pcm + n - c->max_past, c->max_past * sizeof *pcm);
		c->n_past = c->max_past;
		return;
	}
	keep = c->n_past + n > c->max_past ? c->max_past - n : c->n_past;
	memmove(c->past, c->past + c->n_past - keep, keep * sizeof *pcm);
	memcpy(c->past + keep, pcm, n * sizeof *pcm);
	c->n_past = keep + n;
}

/* The last period, its end led over into its beginning. */
static void begin(struct sl_concealer *c)
{
	unsigned like;
	size_t blend;

	c->at = c->made = 0;
	c->period = 0;
	if (c->n_past < c->max_past)
		return; /* too young to know a voice: silence */
	c->period = sl_audio_pitch(c->past, c->n_past, c->hz, &like);
	blend = c->period / 4;
	memcpy(c->cycle, c->past + c->n_past - c->period, c->period * sizeof *c->cycle);
	for (size_t i = 0; i < blend; i++) {
		const int16_t *before = c->past + c->n_past - c->period - blend + i;

		c->cycle[c->period - blend + i] =
			mix(c->cycle[c->period - blend + i], *before, i, blend);
	}
}

/* Of 256 */
static int gain_at(const struct sl_concealer *c, size_t made)
{
	size_t hold = c->hz * HOLD_MS / 1000, fade = c->hz * FADE_MS / 1000;

	if (made < hold)
		return 256;
	return made >= hold + fade ? 0 : 256 - (int)((made - hold) * 256 / fade);
}

static int16_t next_made(struct sl_concealer *c)
{
	int sample;

	if (c->period == 0)
		return 0;
	sample = c->cycle[c->at] * gain_at(c, c->made++) / 256;
	c->at = c->at + 1 == c->period ? 0 : c->at + 1;
	return (int16_t)sample;
}

void sl_concealer_make(struct sl_concealer *c, int16_t *pcm, size_t n)
{
	if (c->made == 0)
		begin(c);
	for (size_t i = 0; i < n; i++)
		pcm[i] = next_made(c);
	if (c->made == 0)
		c->made = 1; /* of silence: the next good samples are faded in all the same */
}

void sl_concealer_good(struct sl_concealer *c, int16_t *pcm, size_t n)
{
	size_t blend = c->hz * BLEND_MS / 1000;

	if (c->made > 0) {
		blend = blend > n ? n : blend;
		for (size_t i = 0; i < blend; i++)
			pcm[i] = mix(next_made(c), pcm[i], i, blend);
		c->made = 0;
	}
	remember(c, pcm, n);
}

/* ---- shorter and longer */

/* The period to take out or put in, where that is not heard; 0: it would be. */
static size_t seam_of(const int16_t *pcm, size_t n, unsigned hz)
{
	size_t window = samples_of_us(hz, PERIOD_MAX_US);
	unsigned like;
	size_t period;

	if (n < 2 * window)
		return 0;
	if (sl_audio_level(pcm + n - 2 * window, 2 * window) < QUIET_DBOV)
		return hz / 200;
	period = sl_audio_pitch(pcm, n, hz, &like);
	return like >= ALIKE ? period : 0;
}

size_t sl_audio_shrink(int16_t *pcm, size_t past, size_t n, unsigned hz)
{
	size_t period = seam_of(pcm, n, hz), from;

	if (period == 0 || n < past + 2 * period)
		return n;
	from = n - 2 * period;
	for (size_t i = 0; i < period; i++)
		pcm[from + i] = mix(pcm[from + i], pcm[from + period + i], i, period);
	return n - period;
}

size_t sl_audio_grow(int16_t *pcm, size_t past, size_t n, unsigned hz)
{
	size_t period = seam_of(pcm, n, hz), last;

	if (period == 0 || n < past + period || n < 2 * period)
		return n;
	last = n - period;
	memmove(pcm + n, pcm + last, period * sizeof *pcm);
	for (size_t i = 0; i < period; i++)
		pcm[last + i] = mix(pcm[last + i], pcm[last - period + i], i, period);
	return n + period;
}
