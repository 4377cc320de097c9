/*
 * recorder/compose_sound.c: samples of all tracks into one sound, each at its time, gaps as
 * silence; and how loud everybody is.
 *
 * A frame follows the one before when its time is nearly that at which the other ended: times in
 * files are rounded to milliseconds, and clocks drift. What the difference grows to is made up for
 * by a few samples more or less a second, inaudibly; where it is large there was a gap. The sum is
 * kept below full scale by turning it down where it would not be.
 */
#include "compose.h"

#include <libavutil/opt.h>
#include <libswresample/swresample.h>
#include <math.h>
#include <stdlib.h>

enum {
	GAP = COMPOSE_HZ / 1000 * 40,  /* samples: further off is a gap */
	NEAR = COMPOSE_HZ / 1000 * 4,  /* nearer is rounding */
	CORRECT_OVER = COMPOSE_HZ * 4, /* the largest correction is 1 % */
	RAMP = COMPOSE_HZ / 1000 * 3,  /* after a gap, instead of a click */
	LEVEL_OVER = COMPOSE_HZ / 10,
};

struct voice {
	unsigned person;
	struct track_reader *reader;
	SwrContext *swr;
	int hz, channels, format; /* of what swr takes */
	float *block;		  /* decoded; interleaved */
	size_t cap;		  /* floats */
	int64_t at;		  /* of the block's first sample */
	unsigned n, used;	  /* samples of a channel */
	int64_t correcting;	  /* samples until the next correction */
	bool begun, ended;
	float sum; /* squares of what was mixed lately */
};

struct sound {
	struct voice *voices;
	unsigned n_voices, n_people;
	float *levels;
	AVFrame *frame;
	float gain;
	unsigned n_measured;
};

/* ---- one track */

static int set_rates(struct voice *v, AVFrame *f)
{
	AVChannelLayout stereo = AV_CHANNEL_LAYOUT_STEREO;

	if (v->swr && v->hz == f->sample_rate && v->channels == f->ch_layout.nb_channels &&
	    v->format == f->format)
		return 0;
	swr_free(&v->swr);
	v->hz = f->sample_rate;
	v->channels = f->ch_layout.nb_channels;
	v->format = f->format;
	v->correcting = 0;
	if (swr_alloc_set_opts2(&v->swr, &stereo, AV_SAMPLE_FMT_FLT, COMPOSE_HZ, &f->ch_layout,
				f->format, f->sample_rate, 0, NULL) < 0 ||
	    /* Whoever is heard on one channel is as loud on both. */
	    av_opt_set_double(v->swr, "center_mix_level", 1, 0) < 0 ||
	    av_opt_set_double(v->swr, "rematrix_maxval", 2, 0) < 0 || swr_init(v->swr) < 0)
		return -SL_EUNSUPP;
	return 0;
}

static int convert(struct voice *v, const AVFrame *f)
{
	int room = swr_get_out_samples(v->swr, f->nb_samples), n;
	size_t need = (size_t)(room < 0 ? 0 : room) * COMPOSE_CHANNELS;
	uint8_t *out;

	if (need > v->cap) {
		float *more = realloc(v->block, need * sizeof *more);

		if (!more)
			return -SL_ENOMEM;
		v->block = more;
		v->cap = need;
	}
	out = (uint8_t *)v->block;
	n = swr_convert(v->swr, &out, room, (const uint8_t **)f->extended_data, f->nb_samples);
	v->n = n < 0 ? 0 : (unsigned)n;
	v->used = 0;
	return n < 0 ? -SL_EPARSE : 0;
}

static void ramp_up(struct voice *v)
{
	for (unsigned i = 0; i < v->n && i < RAMP; i++)
		for (unsigned c = 0; c < COMPOSE_CHANNELS; c++)
			v->block[i * COMPOSE_CHANNELS + c] *= (float)i / RAMP;
}

/* Where the block belongs: behind the one before, or at its own time. */
static void set_time(struct voice *v, int64_t told, int64_t expected)
{
	int64_t off = told - expected;

	v->correcting -= v->n;
	if (!v->begun || off > GAP || off < -GAP) {
		v->at = told;
		if (v->begun && told < expected) /* what was heard is not heard twice */
			v->used = (unsigned)(expected - told < v->n ? expected - told : v->n);
		v->begun = true;
		ramp_up(v);
		return;
	}
	v->at = expected;
	if (v->correcting > 0 || (off < NEAR && off > -NEAR))
		return;
	if (swr_set_compensation(v->swr, (int)off, CORRECT_OVER) == 0)
		v->correcting = CORRECT_OVER;
}

static bool next_block(struct sound *s, struct voice *v)
{
	int64_t at_us, expected = v->at + v->n;

	if (!reader_next(v->reader, s->frame, &at_us)) {
		v->ended = true;
		return false;
	}
	v->n = v->used = 0;
	if (set_rates(v, s->frame) == 0 && convert(v, s->frame) == 0)
		set_time(v, av_rescale(at_us, COMPOSE_HZ, US_PER_S), expected);
	av_frame_unref(s->frame);
	return true;
}

static void add(struct voice *v, unsigned n, float *out)
{
	const float *in = v->block + (size_t)v->used * COMPOSE_CHANNELS;

	for (unsigned i = 0; i < n * COMPOSE_CHANNELS; i++) {
		out[i] += in[i];
		v->sum += in[i] * in[i];
	}
	v->used += n;
}

static void mix_voice(struct sound *s, struct voice *v, int64_t from, unsigned n, float *out)
{
	while (!v->ended) {
		int64_t at = v->at + v->used;
		unsigned left = v->n - v->used, skip = 0;

		if (left == 0) {
			(void)next_block(s, v);
			continue;
		}
		if (at >= from + n)
			return;
		if (at < from) {
			skip = from - at < left ? (unsigned)(from - at) : left;
			v->used += skip;
			continue;
		}
		if (left > from + n - at)
			left = (unsigned)(from + n - at);
		add(v, left, out + (at - from) * COMPOSE_CHANNELS);
	}
}

/* ---- all */

/* Down at once where it must be, and up again within a second. */
static void limit(struct sound *s, float *out, unsigned n)
{
	float peak = 0, from = s->gain, to;

	for (unsigned i = 0; i < n * COMPOSE_CHANNELS; i++)
		peak = fmaxf(peak, fabsf(out[i]));
	to = fminf(1, from + (float)n / COMPOSE_HZ);
	if (peak * to > 0.98f)
		to = 0.98f / peak;
	if (peak * from > 0.98f)
		from = to;
	for (unsigned i = 0; i < n; i++)
		for (unsigned c = 0; c < COMPOSE_CHANNELS; c++)
			out[i * COMPOSE_CHANNELS + c] *= from + (to - from) * (float)i / (float)n;
	s->gain = to;
}

static void measure(struct sound *s, unsigned n)
{
	s->n_measured += n;
	if (s->n_measured < LEVEL_OVER)
		return;
	for (unsigned i = 0; i < s->n_people; i++)
		s->levels[i] = 0;
	for (unsigned i = 0; i < s->n_voices; i++) {
		struct voice *v = &s->voices[i];
		float level = sqrtf(v->sum / (float)(s->n_measured * COMPOSE_CHANNELS));

		s->levels[v->person] = fmaxf(s->levels[v->person], level);
		v->sum = 0;
	}
	s->n_measured = 0;
}

int sound_mix(struct sound *s, int64_t from, unsigned n, float *out)
{
	memset(out, 0, (size_t)n * COMPOSE_CHANNELS * sizeof *out);
	for (unsigned i = 0; i < s->n_voices; i++)
		mix_voice(s, &s->voices[i], from, n, out);
	limit(s, out, n);
	measure(s, n);
	return 0;
}

float sound_level(const struct sound *s, unsigned person)
{
	return s->levels[person];
}

unsigned sound_bad(const struct sound *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n_voices; i++)
		n += reader_bad(s->voices[i].reader);
	return n;
}

int sound_new(struct sound **ret_sound, const struct recorded *r, const struct envelope_key *key,
	      const struct cast *c, int64_t at_us)
{
	struct sound *s = calloc(1, sizeof *s);
	int rc = 0;

	if (!s)
		return -SL_ENOMEM;
	s->gain = 1;
	s->n_people = c->n_people;
	s->frame = av_frame_alloc();
	s->levels = calloc(c->n_people + 1, sizeof *s->levels);
	s->voices = calloc(c->n_tracks + 1, sizeof *s->voices);
	if (!s->frame || !s->levels || !s->voices)
		rc = -SL_ENOMEM;
	for (unsigned i = 0; rc == 0 && i < c->n_tracks; i++) {
		if (c->tracks[i].video)
			continue;
		s->voices[s->n_voices].person = c->tracks[i].person;
		rc = reader_new(&s->voices[s->n_voices].reader, r, key, &c->tracks[i], at_us);
		s->n_voices += rc == 0;
	}
	if (rc < 0)
		sound_free(s);
	else
		*ret_sound = s;
	return rc;
}

void sound_free(struct sound *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->n_voices; i++) {
		reader_free(s->voices[i].reader);
		swr_free(&s->voices[i].swr);
		free(s->voices[i].block);
	}
	av_frame_free(&s->frame);
	free(s->levels);
	free(s->voices);
	free(s);
}
