/*
 * sip-gateway/sound.c: sounds from files: the seam of libsndfile.
 *
 * Everything becomes mono at 16 kHz, or stays at 8 kHz, so that nothing is left to do for a call
 * but to encode. Files are read while a worker starts, which may block, and never afterwards.
 */
#include "sound.h"

#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <sluice/audio.h>
#include "conf.h"
#include "dialplan.h"

enum { PIECE = 4096, MAX_CHANNELS = 8, RATE = 16000, MAX_SOUNDS = 256 };

struct sounds {
	struct sound list[MAX_SOUNDS];
	unsigned n;
	struct sound music;
};

/* ---- a file */

struct reading {
	SNDFILE *file;
	SF_INFO info;
	struct sl_resampler *resampler; /* NULL: the rate stays */
	struct sound *to;
	size_t cap;
};

static int need(struct reading *r, size_t more)
{
	size_t wanted = r->to->n + more, cap = r->cap ? r->cap : 16 * PIECE;
	int16_t *pcm;

	while (cap < wanted)
		cap *= 2;
	if (cap == r->cap)
		return 0;
	pcm = realloc(r->to->pcm, cap * sizeof *pcm);
	if (!pcm)
		return -SL_ENOMEM;
	r->to->pcm = pcm;
	r->cap = cap;
	return 0;
}

static void down_to_mono(const short *in, size_t frames, unsigned channels, int16_t *out)
{
	for (size_t i = 0; i < frames; i++) {
		int32_t sum = 0;

		for (unsigned c = 0; c < channels; c++)
			sum += in[i * channels + c];
		out[i] = (int16_t)(sum / (int32_t)channels);
	}
}

/* A piece more; 0: that was all */
static int read_piece(struct reading *r)
{
	short in[PIECE * MAX_CHANNELS];
	int16_t mono[PIECE];
	sf_count_t got = sf_readf_short(r->file, in, PIECE);
	size_t room = (size_t)((uint64_t)PIECE * r->to->hz / (unsigned)r->info.samplerate) + 64;
	int rc;

	if (got <= 0)
		return 0;
	down_to_mono(in, (size_t)got, (unsigned)r->info.channels, mono);
	rc = need(r, room > PIECE ? room : PIECE);
	if (rc < 0)
		return rc;
	if (r->resampler) {
		r->to->n +=
			sl_resample(r->resampler, mono, (size_t)got, r->to->pcm + r->to->n, room);
	} else {
		memcpy(r->to->pcm + r->to->n, mono, (size_t)got * sizeof *mono);
		r->to->n += (size_t)got;
	}
	return 1;
}

static int read_all(struct reading *r)
{
	unsigned hz = (unsigned)r->info.samplerate;
	int rc = 1;

	if (r->info.channels < 1 || r->info.channels > MAX_CHANNELS || hz < 4000 || hz > 384000)
		return -SL_EPARSE;
	(void)sf_command(r->file, SFC_SET_SCALE_FLOAT_INT_READ, NULL, SF_TRUE); /* if it is float */
	r->to->hz = hz == 8000 ? 8000 : RATE;
	if (hz != r->to->hz)
		rc = sl_resampler_new(&r->resampler, hz, r->to->hz);
	while (rc >= 0 && r->to->n < (size_t)r->to->hz * SOUND_MAX_S) {
		rc = read_piece(r);
		if (rc == 0)
			break;
	}
	sl_resampler_free(r->resampler);
	return rc < 0 ? rc : r->to->n > 0 ? 0 : -SL_EPARSE;
}

int sound_read(const char *path, struct sound *ret_sound, char *err, size_t err_len)
{
	struct sound s = {.name = ret_sound->name};
	struct reading r = {.to = &s};
	int rc;

	r.file = sf_open(path, SFM_READ, &r.info);
	if (!r.file) {
		(void)snprintf(err, err_len, "%s cannot be read: %s", path, sf_strerror(NULL));
		return -SL_ENOENT;
	}
	rc = read_all(&r);
	(void)sf_close(r.file); /* only read from */
	if (rc < 0) {
		(void)snprintf(err, err_len, "%s has no sound that can be played: %s", path,
			       sl_strerror(rc));
		sound_free(&s);
		return rc;
	}
	*ret_sound = s;
	return 0;
}

void sound_free(struct sound *s)
{
	free(s->pcm);
	s->pcm = NULL;
	s->n = 0;
}

/* ---- all of a configuration */

void sound_path(const struct sip_conf *conf, struct sl_str name, char *dst, size_t len)
{
	(void)snprintf(dst, len, "%.*s/%.*s", SL_FMT(conf->sounds), SL_FMT(name));
}

static int load(struct sound *s, const char *path)
{
	char err[512] = "";
	int rc = sound_read(path, s, err, sizeof err);

	if (rc < 0)
		sl_log(SL_LOG_ERROR, "sip-gateway", "%s", err);
	return rc;
}

struct opening {
	const struct sip_conf *conf;
	struct sounds *all;
	int rc;
};

static void open_one(void *arg, struct sl_str name)
{
	struct opening *o = arg;
	struct sound *s = &o->all->list[o->all->n];
	char path[4096];

	if (o->rc < 0 || sounds_find(o->all, name))
		return;
	if (o->all->n == MAX_SOUNDS) {
		sl_log(SL_LOG_ERROR, "sip-gateway", "routes name more than %d files", MAX_SOUNDS);
		o->rc = -SL_ELIMIT;
		return;
	}
	sound_path(o->conf, name, path, sizeof path);
	s->name = name;
	o->rc = load(s, path);
	o->all->n += o->rc == 0;
}

int sounds_open(const struct sip_conf *conf, struct sounds **ret_sounds)
{
	struct opening o = {.conf = conf, .all = calloc(1, sizeof *o.all)};

	if (!o.all)
		return -SL_ENOMEM;
	dialplan_each_sound(conf, open_one, &o);
	if (o.rc == 0 && conf->music.len > 0)
		o.rc = load(&o.all->music, conf->music.p);
	if (o.rc < 0) {
		sounds_close(o.all);
		return o.rc;
	}
	*ret_sounds = o.all;
	return 0;
}

void sounds_close(struct sounds *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->n; i++)
		sound_free(&s->list[i]);
	sound_free(&s->music);
	free(s);
}

const struct sound *sounds_find(const struct sounds *s, struct sl_str name)
{
	for (unsigned i = 0; i < s->n; i++)
		if (sl_str_eq(s->list[i].name, name))
			return &s->list[i];
	return NULL;
}

const struct sound *sounds_music(const struct sounds *s)
{
	return s->music.n > 0 ? &s->music : NULL;
}
