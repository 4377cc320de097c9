/*
 * recorder/compose_canvas.c: the picture of one moment: the pictures of who is there and their
 * names, at their places.
 *
 * A tile is a track of pictures, or a person without one. What has not changed since the moment
 * before is not drawn again. Colours are those of BT.601, as cameras in calls give them.
 */
#include "compose.h"

#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>
#include <stdlib.h>

enum {
	GROUND = 24, /* luma */
	CARD = 52,   /* of who has no picture */
	GREY = 128,  /* chroma */
	WHITE = 235,
	MAX_LETTERS = 40,
};

struct picture { /* of a track */
	struct track_reader *reader;
	AVFrame *now, *next;
	int64_t next_us;
	uint64_t serial; /* of now; 0: there was none */
	bool ended;
	struct SwsContext *sws;
};

struct tile {
	const struct cast_track *track; /* NULL: a person alone */
	struct picture *picture;
	unsigned person;
	uint64_t serial; /* 0: a card with the name */
	struct place place;
};

struct label {
	unsigned height;
	bool tried;
	struct text_mask mask;
};

struct canvas {
	const struct compose_opts *o;
	const struct cast *cast;
	struct picture *pictures;  /* one for each track; those of sound are empty */
	struct label (*labels)[2]; /* of each person: small, large */
	AVFrame *frame;
	struct tile tiles[MAX_TILES];
	unsigned n_tiles;
	uint64_t serials;
};

/* ---- time */

/* The newest picture that is not later than at_us */
static void advance(struct canvas *c, struct picture *p, int64_t at_us)
{
	while (!p->ended) {
		if (!p->next->buf[0] && !reader_next(p->reader, p->next, &p->next_us)) {
			p->ended = true;
			return;
		}
		if (p->next_us > at_us)
			return;
		av_frame_unref(p->now);
		av_frame_move_ref(p->now, p->next);
		p->serial = ++c->serials;
	}
}

/* ---- who is seen */

static void add_tile(struct canvas *c, const struct cast_track *t, unsigned person, int64_t at_us)
{
	struct tile *tile = &c->tiles[c->n_tiles];
	struct picture *p = t ? &c->pictures[t - c->cast->tracks] : NULL;

	if (c->n_tiles == MAX_TILES)
		return;
	c->n_tiles++;
	*tile = (struct tile){.track = t, .picture = p, .person = person};
	if (p && !cast_is_muted(t, at_us))
		tile->serial = p->serial;
}

static void add_person(struct canvas *c, unsigned person, int64_t at_us)
{
	const struct cast *cast = c->cast;
	bool there = false, seen = false;

	for (unsigned i = 0; i < cast->n_tracks; i++) {
		const struct cast_track *t = &cast->tracks[i];

		if (t->person != person || !cast_is_there(t, at_us))
			continue;
		there = true;
		seen = seen || t->video;
		if (t->video)
			add_tile(c, t, person, at_us);
	}
	if (there && !seen)
		add_tile(c, NULL, person, at_us);
}

/* Which tile is large: a screen that is shown, else who speaks */
static unsigned big_tile(const struct canvas *c, int speaker)
{
	unsigned best = 0;

	for (unsigned i = c->n_tiles; i-- > 0;)
		if ((int)c->tiles[i].person == speaker)
			best = i;
	for (unsigned i = 0; i < c->n_tiles; i++)
		if (c->tiles[i].track && c->tiles[i].track->screen)
			best = i;
	return best;
}

static void place_tiles(struct canvas *c, int speaker)
{
	struct place places[MAX_TILES];
	const struct compose_opts *o = c->o;

	if (o->layout == LAYOUT_SPEAKER)
		layout_speaker(c->n_tiles, big_tile(c, speaker), o->width, o->height, places);
	else
		layout_grid(c->n_tiles, o->width, o->height, places);
	for (unsigned i = 0; i < c->n_tiles; i++)
		c->tiles[i].place = places[i];
}

static bool same_places(const struct canvas *c, const struct tile *before, unsigned n)
{
	for (unsigned i = 0; i < n && n == c->n_tiles; i++)
		if (c->tiles[i].track != before[i].track ||
		    c->tiles[i].person != before[i].person ||
		    memcmp(&c->tiles[i].place, &before[i].place, sizeof before[i].place) != 0)
			return false;
	return n == c->n_tiles;
}

/* ---- drawing */

static void fill(AVFrame *f, struct place p, int luma)
{
	for (unsigned y = p.y; y < p.y + p.h; y++)
		memset(f->data[0] + (size_t)y * (size_t)f->linesize[0] + p.x, luma, p.w);
	for (unsigned k = 1; k < 3; k++)
		for (unsigned y = p.y / 2; y < (p.y + p.h) / 2; y++)
			memset(f->data[k] + (size_t)y * (size_t)f->linesize[k] + p.x / 2, GREY,
			       p.w / 2);
}

static void darken(AVFrame *f, struct place p)
{
	for (unsigned y = p.y; y < p.y + p.h; y++) {
		uint8_t *row = f->data[0] + (size_t)y * (size_t)f->linesize[0];

		for (unsigned x = p.x; x < p.x + p.w; x++)
			row[x] = (uint8_t)(row[x] / 3 + 11);
	}
	for (unsigned k = 1; k < 3; k++)
		for (unsigned y = p.y / 2; y < (p.y + p.h) / 2; y++) {
			uint8_t *row = f->data[k] + (size_t)y * (size_t)f->linesize[k];

			for (unsigned x = p.x / 2; x < (p.x + p.w) / 2; x++)
				row[x] = (uint8_t)((row[x] + 2 * GREY) / 3);
		}
}

static void ink(AVFrame *f, struct place p, const struct text_mask *m)
{
	for (unsigned y = 0; y < m->h && y < p.h; y++) {
		uint8_t *row = f->data[0] + (size_t)(p.y + y) * (size_t)f->linesize[0] + p.x;

		for (unsigned x = 0; x < m->w && x < p.w; x++) {
			unsigned a = m->ink[(size_t)y * m->w + x];

			row[x] = (uint8_t)((row[x] * (255 - a) + WHITE * a) / 255);
		}
	}
}

static int scale(struct picture *p, AVFrame *to, struct place at)
{
	const AVFrame *f = p->now;
	uint8_t *planes[4] = {NULL};

	/* For all but the first time it returns what is there, if nothing has changed. */
	p->sws = sws_getCachedContext(p->sws, f->width, f->height, f->format, (int)at.w, (int)at.h,
				      AV_PIX_FMT_YUV420P, SWS_BILINEAR, NULL, NULL, NULL);
	if (!p->sws)
		return -SL_EUNSUPP;
	for (unsigned k = 0; k < 3; k++)
		planes[k] = to->data[k] + (size_t)(k ? at.y / 2 : at.y) * (size_t)to->linesize[k] +
			    (k ? at.x / 2 : at.x);
	return sws_scale(p->sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height, planes,
			 to->linesize) < 0
		       ? -SL_EUNSUPP
		       : 0;
}

/* ---- names */

/* What can be drawn: no control characters, whole characters, not too many */
static void clean(char dst[MAX_NAME + 4], const char *name)
{
	size_t n = 0, letters = 0;
	const unsigned char *p = (const unsigned char *)name;

	for (; *p && n < MAX_NAME; p++) {
		bool begins = (*p & 0xc0) != 0x80;

		if (begins && letters++ == MAX_LETTERS)
			break;
		dst[n++] = (char)(*p < 0x20 || *p == 0x7f ? ' ' : *p);
	}
	dst[n] = 0;
	while (n > 0 && !sl_str_is_utf8((struct sl_str){dst, n}))
		dst[--n] = 0;
	if (*p)
		memcpy(dst + n, "\xe2\x80\xa6", 4); /* … */
}

static const struct text_mask *label_of(struct canvas *c, unsigned person, bool large,
					unsigned height)
{
	struct label *l = &c->labels[person][large];
	char text[MAX_NAME + 4];

	if (l->height == height && l->tried)
		return &l->mask;
	text_free(&l->mask);
	l->height = height;
	l->tried = true;
	clean(text, c->cast->people[person].name);
	if (text[0] && text_render(text, height, &l->mask) < 0)
		l->mask = (struct text_mask){0};
	return &l->mask;
}

static unsigned between(unsigned v, unsigned low, unsigned high)
{
	return (v < low ? low : v > high ? high : v) & ~1u;
}

static void draw_name(struct canvas *c, const struct tile *t, struct place on)
{
	unsigned h = between(t->place.h / 16, 14, 36), w;
	const struct text_mask *m = label_of(c, t->person, false, h);
	struct place bar;

	if (m->w == 0 || on.w < 2 * h || on.h < 2 * h)
		return;
	w = between(m->w + h, 2, on.w);
	bar = (struct place){on.x, on.y + on.h - h, w, h};
	darken(c->frame, bar);
	bar.x += h / 2;
	bar.w -= h / 2;
	ink(c->frame, bar, m);
}

static void draw_card(struct canvas *c, const struct tile *t)
{
	struct place p = {t->place.x + 2, t->place.y + 2, t->place.w - 4, t->place.h - 4};
	unsigned h = between(t->place.h / 8, 14, 96);
	const struct text_mask *m = label_of(c, t->person, true, h);

	if (t->place.w < 8 || t->place.h < h)
		return;
	fill(c->frame, p, CARD);
	if (m->w < p.w)
		p.x += ((p.w - m->w) / 2) & ~1u;
	p.w = t->place.x + t->place.w - 2 - p.x;
	p.y += (p.h - h) / 2;
	p.h = h;
	ink(c->frame, p, m);
}

static void draw_tile(struct canvas *c, struct tile *t)
{
	struct place on;

	if (t->place.w == 0)
		return;
	fill(c->frame, t->place, GROUND);
	if (t->serial == 0) {
		draw_card(c, t);
		return;
	}
	on = layout_fit(t->place, (unsigned)t->picture->now->width,
			(unsigned)t->picture->now->height);
	if (scale(t->picture, c->frame, on) < 0)
		draw_card(c, t);
	else
		draw_name(c, t, on);
}

int canvas_draw(struct canvas *c, int64_t at_us, int speaker, AVFrame **ret_frame)
{
	struct tile before[MAX_TILES];
	unsigned n = c->n_tiles;
	bool same;

	memcpy(before, c->tiles, sizeof before);
	for (unsigned i = 0; i < c->cast->n_tracks; i++)
		if (c->pictures[i].reader)
			advance(c, &c->pictures[i], at_us);
	c->n_tiles = 0;
	for (unsigned i = 0; i < c->cast->n_people; i++)
		add_person(c, i, at_us);
	place_tiles(c, speaker);
	same = same_places(c, before, n) && c->frame->pts != AV_NOPTS_VALUE;
	if (av_frame_make_writable(c->frame) < 0)
		return -SL_ENOMEM;
	if (!same)
		fill(c->frame, (struct place){0, 0, c->o->width, c->o->height}, GROUND);
	for (unsigned i = 0; i < c->n_tiles; i++)
		if (!same || c->tiles[i].serial != before[i].serial)
			draw_tile(c, &c->tiles[i]);
	c->frame->pts = 0;
	*ret_frame = c->frame;
	return 0;
}

/* ---- life */

static int open_picture(struct picture *p, const struct recorded *r, const struct envelope_key *key,
			const struct cast_track *t, int64_t at_us)
{
	p->now = av_frame_alloc();
	p->next = av_frame_alloc();
	return p->now && p->next ? reader_new(&p->reader, r, key, t, at_us) : -SL_ENOMEM;
}

static int open_frame(struct canvas *c)
{
	c->frame = av_frame_alloc();
	if (!c->frame)
		return -SL_ENOMEM;
	c->frame->format = AV_PIX_FMT_YUV420P;
	c->frame->width = (int)c->o->width;
	c->frame->height = (int)c->o->height;
	c->frame->color_range = AVCOL_RANGE_MPEG;
	c->frame->colorspace = AVCOL_SPC_SMPTE170M;
	c->frame->pts = AV_NOPTS_VALUE; /* nothing is drawn yet */
	return av_frame_get_buffer(c->frame, 0) < 0 ? -SL_ENOMEM : 0;
}

int canvas_new(struct canvas **ret_canvas, const struct compose_opts *o, const struct recorded *r,
	       const struct envelope_key *key, const struct cast *cast, int64_t at_us)
{
	struct canvas *c = calloc(1, sizeof *c);
	int rc;

	if (!c)
		return -SL_ENOMEM;
	c->o = o;
	c->cast = cast;
	c->pictures = calloc(cast->n_tracks + 1, sizeof *c->pictures);
	c->labels = calloc(cast->n_people + 1, sizeof *c->labels);
	rc = c->pictures && c->labels ? open_frame(c) : -SL_ENOMEM;
	for (unsigned i = 0; rc == 0 && i < cast->n_tracks; i++)
		if (cast->tracks[i].video)
			rc = open_picture(&c->pictures[i], r, key, &cast->tracks[i], at_us);
	if (rc < 0)
		canvas_free(c);
	else
		*ret_canvas = c;
	return rc;
}

void canvas_free(struct canvas *c)
{
	if (!c)
		return;
	for (unsigned i = 0; c->pictures && i < c->cast->n_tracks; i++) {
		struct picture *p = &c->pictures[i];

		reader_free(p->reader);
		av_frame_free(&p->now);
		av_frame_free(&p->next);
		sws_freeContext(p->sws);
	}
	for (unsigned i = 0; c->labels && i < c->cast->n_people; i++) {
		text_free(&c->labels[i][0].mask);
		text_free(&c->labels[i][1].mask);
	}
	av_frame_free(&c->frame);
	free(c->pictures);
	free(c->labels);
	free(c);
}

unsigned canvas_bad(const struct canvas *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->cast->n_tracks; i++)
		n += c->pictures[i].reader ? reader_bad(c->pictures[i].reader) : 0;
	return n;
}
