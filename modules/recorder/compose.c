/*
 * recorder/compose.c: see compose.h: the command.
 */
#include "compose.h"

#include <errno.h>
#include <getopt.h>
#include <sluice/clock.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PART_S = 10, MAX_SIDE = 7680, MAX_FPS = 60, BAR = 30 };

struct compose {
	struct compose_opts o;
	struct film_kind kind;
	const struct recorded *r;
	const struct envelope_key *key;
	struct cast cast;
	struct plan plan;
	struct canvas *canvas; /* NULL: sound alone */
	struct sound *sound;
	float *samples, *levels;
	int64_t n_frames; /* of the whole film */
	unsigned n_parts, part_frames;
	/* progress */
	uint64_t begun_ns;
	int64_t begun_at; /* frame */
	int percent;
};

/* ---- progress */

static void print_clock(int64_t seconds)
{
	fprintf(stderr, "%lld:%02lld:%02lld", (long long)(seconds / 3600),
		(long long)(seconds / 60 % 60), (long long)(seconds % 60));
}

static void print_bar(const struct compose *c, int64_t frame, int percent)
{
	double spent = (double)(sl_clock_ns() - c->begun_ns) / SL_NS_PER_S;
	double speed = (double)(frame - c->begun_at) / (spent > 0.1 ? spent : 0.1);
	int full = percent * BAR / 100;

	fprintf(stderr, "\r[%.*s%*s] %3d %%  ", full, "##############################", BAR - full,
		"", percent);
	print_clock(frame / c->o.fps);
	fputs(" of ", stderr);
	print_clock(c->n_frames / c->o.fps);
	fprintf(stderr, ", %.1f times as fast as it was, ", speed / c->o.fps);
	print_clock((int64_t)((double)(c->n_frames - frame) / (speed > 0 ? speed : 1)));
	fputs(" left ", stderr);
}

/* A bar on a terminal, and a line for each tenth elsewhere */
static void show(struct compose *c, int64_t frame)
{
	int percent = (int)(frame * 100 / c->n_frames);

	if (percent == c->percent)
		return;
	if (isatty(STDERR_FILENO))
		print_bar(c, frame, percent);
	else if (percent / 10 != c->percent / 10)
		fprintf(stderr, "sluice: %d %%\n", percent);
	c->percent = percent;
}

/* ---- one picture with its sound */

static void hear(struct compose *c, int64_t at_us)
{
	for (unsigned i = 0; i < c->cast.n_people; i++)
		c->levels[i] = -1;
	for (unsigned i = 0; i < c->cast.n_tracks; i++) {
		const struct cast_track *t = &c->cast.tracks[i];

		if (cast_is_there(t, at_us))
			c->levels[t->person] = sound_level(c->sound, t->person);
	}
	speaker_hear(&c->plan.speaker, c->levels, c->cast.n_people, at_us);
}

static int64_t samples_until(const struct compose *c, int64_t frame)
{
	return frame * COMPOSE_HZ / c->o.fps;
}

static int compose_frame(struct compose *c, struct film *f, int64_t frame, int64_t first)
{
	int64_t film_us = frame * US_PER_S / c->o.fps, at_us = cast_time(&c->cast, film_us);
	int64_t from = samples_until(c, frame) + av_rescale(at_us - film_us, COMPOSE_HZ, US_PER_S);
	unsigned n = (unsigned)(samples_until(c, frame + 1) - samples_until(c, frame));
	AVFrame *picture;
	int rc = sound_mix(c->sound, from, n, c->samples);

	if (rc == 0)
		rc = film_sound(f, c->samples, n);
	hear(c, at_us);
	if (rc < 0 || !c->canvas)
		return rc;
	rc = canvas_draw(c->canvas, at_us, c->plan.speaker.person, &picture);
	return rc < 0 ? rc : film_picture(f, picture, frame - first);
}

/* ---- parts */

static int open_part(const struct compose *c, struct film *f, const char *path)
{
	int rc = film_open(f, path, "matroska");

	if (rc == 0 && c->canvas)
		rc = film_add_picture(f, &c->o, &c->kind);
	if (rc == 0)
		rc = film_add_sound(f, AV_CODEC_ID_FLAC);
	return rc < 0 ? rc : film_begin(f);
}

static int compose_part(struct compose *c, unsigned part)
{
	char making[LIBRARY_MAX_PATH + 40], path[LIBRARY_MAX_PATH + 40];
	int64_t first = (int64_t)part * c->part_frames, end = first + c->part_frames;
	struct film f;
	int rc;

	plan_part(&c->plan, part, ".making", making, sizeof making);
	plan_part(&c->plan, part, "", path, sizeof path);
	rc = open_part(c, &f, making);
	for (int64_t k = first; rc == 0 && k < end && k < c->n_frames; k++) {
		rc = compose_frame(c, &f, k, first);
		show(c, k);
	}
	if (rc == 0)
		rc = film_end(&f);
	film_close(&f);
	if (rc == 0 && rename(making, path) < 0)
		rc = -SL_ESYS;
	c->plan.n_done = part + 1;
	return rc < 0 ? rc : plan_save(&c->plan);
}

static int open_sources(struct compose *c)
{
	int64_t first = (int64_t)c->plan.n_done * c->part_frames;
	int64_t at_us = cast_time(&c->cast, first * US_PER_S / c->o.fps);
	int rc = sound_new(&c->sound, c->r, c->key, &c->cast, at_us);

	if (rc == 0 && c->kind.picture != AV_CODEC_ID_NONE)
		rc = canvas_new(&c->canvas, &c->o, c->r, c->key, &c->cast, at_us);
	c->samples =
		calloc((size_t)(COMPOSE_HZ / c->o.fps + 1) * COMPOSE_CHANNELS, sizeof *c->samples);
	c->levels = calloc(c->cast.n_people + 1, sizeof *c->levels);
	return rc < 0 ? rc : c->samples && c->levels ? 0 : -SL_ENOMEM;
}

static int compose_parts(struct compose *c)
{
	int rc = open_sources(c);

	if (c->plan.n_done > 0)
		fprintf(stderr, "sluice: goes on: %u of %u parts are there\n", c->plan.n_done,
			c->n_parts);
	c->begun_ns = sl_clock_ns();
	c->begun_at = (int64_t)c->plan.n_done * c->part_frames;
	while (rc == 0 && c->plan.n_done < c->n_parts)
		rc = compose_part(c, c->plan.n_done);
	if (rc < 0 && rc != -SL_ESYS)
		fprintf(stderr, "sluice: %s\n", sl_strerror(rc));
	else if (rc < 0)
		fprintf(stderr, "sluice: %s: %s\n", c->plan.dir, strerror(errno));
	return rc;
}

/* ---- the whole */

/* The film gets its name when it is whole, and nothing is written over. */
static int finish(struct compose *c)
{
	char film[LIBRARY_MAX_PATH + 40];
	int rc;

	(void)snprintf(film, sizeof film, "%s/film", c->plan.dir);
	rc = compose_join(c->plan.dir, c->n_parts, c->part_frames, &c->o, &c->kind, film);
	if (rc < 0)
		return rc;
	if (link(film, c->o.to) < 0 && (errno == EEXIST || rename(film, c->o.to) < 0)) {
		fprintf(stderr, "sluice: %s: %s\n", c->o.to, strerror(errno));
		return -SL_ESYS;
	}
	plan_remove(&c->plan);
	return 0;
}

static void count(struct compose *c)
{
	c->part_frames = PART_S * c->o.fps;
	c->n_frames = (c->cast.length_us * c->o.fps + US_PER_S - 1) / US_PER_S;
	c->n_parts = (unsigned)((c->n_frames + c->part_frames - 1) / c->part_frames);
	c->percent = -1;
}

static int compose_all(struct compose *c)
{
	int rc = cast_read(&c->cast, c->r);
	unsigned n_bad;

	if (rc < 0) {
		fprintf(stderr, "sluice: %s: %s\n", c->r->path,
			rc == -SL_ENOENT ? "nothing was recorded" : sl_strerror(rc));
		return rc;
	}
	count(c);
	rc = plan_open(&c->plan, &c->o, c->r);
	if (rc < 0) {
		fprintf(stderr, "sluice: %s: %s\n", c->plan.dir,
			rc == -SL_EAGAIN ? "another command is at it" : strerror(errno));
		return rc;
	}
	rc = compose_parts(c);
	if (rc == 0) {
		show(c, c->n_frames);
		rc = finish(c);
	}
	if (isatty(STDERR_FILENO))
		fputc('\n', stderr);
	n_bad = (c->sound ? sound_bad(c->sound) : 0) + (c->canvas ? canvas_bad(c->canvas) : 0);
	if (n_bad > 0)
		fprintf(stderr, "sluice: %u files could not be read as a whole\n", n_bad);
	return rc < 0 ? rc : n_bad > 0 ? -SL_EPARSE : 0;
}

static int compose_recording(struct compose *c, const char *dir)
{
	struct recorded r;
	int rc = recorded_open(&r, dir);

	c->r = &r;
	if (rc < 0)
		fprintf(stderr, "sluice: %s is no recording\n", dir);
	else if (r.open)
		fprintf(stderr, "sluice: %s is not finished: what is there so far is taken\n", dir);
	if (rc == 0) {
		c->o.title = sl_json_get_str(r.manifest, "room").p;
		c->o.created = sl_json_get_str(r.manifest, "started").p;
		rc = compose_all(c);
	}
	canvas_free(c->canvas);
	sound_free(c->sound);
	cast_free(&c->cast);
	plan_close(&c->plan);
	free(c->samples);
	free(c->levels);
	recorded_close(&r);
	return rc < 0 ? 1 : 0;
}

/* ---- options */

static bool read_number(struct sl_str s, unsigned low, unsigned high, unsigned *ret_value)
{
	uint64_t v;

	if (sl_str_u64(s, &v) < 0 || v < low || v > high)
		return false;
	*ret_value = (unsigned)v;
	return true;
}

static bool read_size(struct compose_opts *o, const char *text)
{
	struct sl_str s = sl_str_c(text), w = sl_str_split(&s, 'x');

	if (read_number(w, 64, MAX_SIDE, &o->width) && read_number(s, 64, MAX_SIDE, &o->height) &&
	    o->width % 2 == 0 && o->height % 2 == 0)
		return true;
	fputs("sluice: --size takes even numbers from 64 to 7680, as 1280x720\n", stderr);
	return false;
}

static bool read_option(struct compose_opts *o, const char **key, int opt, const char *value)
{
	switch (opt) {
	case 'o':
		o->to = value;
		return true;
	case 'k':
		*key = value;
		return true;
	case 's':
		return read_size(o, value);
	case 'c':
		o->codec = value;
		return true;
	case 'f':
		if (read_number(sl_str_c(value), 1, MAX_FPS, &o->fps))
			return true;
		fputs("sluice: --fps takes 1 to 60\n", stderr);
		return false;
	case 'l':
		o->layout = strcmp(value, "speaker") == 0 ? LAYOUT_SPEAKER : LAYOUT_GRID;
		if (o->layout == LAYOUT_SPEAKER || strcmp(value, "grid") == 0)
			return true;
		fputs("sluice: --layout takes grid or speaker\n", stderr);
		return false;
	default:
		return false;
	}
}

static bool read_options(struct compose_opts *o, const char **key, int argc, char **argv)
{
	static const struct option options[] = {
		{"key", required_argument, NULL, 'k'},	 {"layout", required_argument, NULL, 'l'},
		{"size", required_argument, NULL, 's'},	 {"fps", required_argument, NULL, 'f'},
		{"codec", required_argument, NULL, 'c'}, {NULL, 0, NULL, 0}};
	int opt;

	optind = 0;
	while ((opt = getopt_long(argc, argv, "o:", options, NULL)) != -1)
		if (!read_option(o, key, opt, optarg))
			return false;
	if (argc - optind == 1 && o->to)
		return true;
	fputs("usage:\n       sluice record compose DIR -o FILE [--layout grid|speaker] [--size "
	      "1280x720]\n            [--fps 25] [--codec vp8|vp9|h264] [--key PRIVATE.pem]\n",
	      stderr);
	return false;
}

int compose_run(int argc, char **argv)
{
	struct compose c = {.o = {.width = 1280, .height = 720, .fps = 25}, .plan = {.lock = -1}};
	const char *key_file = NULL;
	struct envelope_key *key = NULL;
	struct stat st;
	int status;

	if (!read_options(&c.o, &key_file, argc, argv) || !film_kind_of(&c.o, &c.kind))
		return 2;
	if (lstat(c.o.to, &st) == 0) {
		fprintf(stderr, "sluice: %s is there already\n", c.o.to);
		return 1;
	}
	if (key_file && !(key = library_key(key_file)))
		return 1;
	av_log_set_level(AV_LOG_QUIET);
	c.key = key;
	status = compose_recording(&c, argv[optind]);
	envelope_key_free(key);
	return status;
}
