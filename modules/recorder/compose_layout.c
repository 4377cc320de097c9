/*
 * recorder/compose_layout.c: rectangles for pictures, and who is shown large. Pure.
 *
 * Places are even, since chroma has half the resolution.
 */
#include "compose.h"

enum { MAX_IN_ROW = 8 };
#define HEARD 0.006f /* -44 dBFS: less is noise */
#define LOUDER 1.6f  /* 4 dB */
#define STAYS_US (2 * US_PER_S)
#define TAKES_US 600000

static unsigned even(unsigned v)
{
	return v & ~1u;
}

struct place layout_fit(struct place p, unsigned width, unsigned height)
{
	struct place out = p;

	if (width == 0 || height == 0)
		return p;
	if ((uint64_t)p.w * height > (uint64_t)p.h * width)
		out.w = even((unsigned)((uint64_t)p.h * width / height));
	else
		out.h = even((unsigned)((uint64_t)p.w * height / width));
	out.w = out.w < 2 ? 2 : out.w;
	out.h = out.h < 2 ? 2 : out.h;
	out.x = p.x + even((p.w - out.w) / 2);
	out.y = p.y + even((p.h - out.h) / 2);
	return out;
}

/* How many columns make pictures of 16:9 largest? */
static unsigned best_columns(unsigned n, unsigned width, unsigned height)
{
	unsigned best = 1;
	uint64_t most = 0;

	for (unsigned columns = 1; columns <= n; columns++) {
		unsigned rows = (n + columns - 1) / columns;
		struct place p =
			layout_fit((struct place){0, 0, width / columns, height / rows}, 16, 9);

		if ((uint64_t)p.w * p.h >= most) { /* of two that are alike the wider */
			most = (uint64_t)p.w * p.h;
			best = columns;
		}
	}
	return best;
}

void layout_grid(unsigned n, unsigned width, unsigned height, struct place *places)
{
	unsigned columns = best_columns(n, width, height), rows = (n + columns - 1) / columns;
	unsigned w = even(width / columns), h = even(height / (rows ? rows : 1));

	for (unsigned i = 0; i < n; i++) {
		unsigned row = i / columns;
		unsigned in_row = row == rows - 1 ? n - row * columns : columns;

		places[i] = (struct place){even((width - in_row * w) / 2) + i % columns * w,
					   even((height - rows * h) / 2) + row * h, w, h};
	}
}

void layout_speaker(unsigned n, unsigned big, unsigned width, unsigned height, struct place *places)
{
	unsigned h = n > 1 ? even(height / 5) : 0, w = even(h * 16 / 9), at = 0;
	unsigned in_row = n > 0 ? n - 1 : 0;

	if (in_row > MAX_IN_ROW)
		in_row = MAX_IN_ROW;
	if (in_row * w > width)
		w = even(width / in_row);
	for (unsigned i = 0; i < n; i++) {
		places[i] = (struct place){0};
		if (i == big)
			places[i] = (struct place){0, 0, width, height - h};
		else if (at < in_row)
			places[i] = (struct place){even((width - in_row * w) / 2) + at++ * w,
						   height - h, w, h};
	}
}

/* ---- who speaks */

static int loudest(const float *levels, unsigned n)
{
	int best = -1;

	for (unsigned i = 0; i < n; i++)
		if (levels[i] >= 0 && (best < 0 || levels[i] > levels[best]))
			best = (int)i;
	return best;
}

void speaker_hear(struct speaker *s, const float *levels, unsigned n, int64_t at_us)
{
	int best = loudest(levels, n);
	bool gone = s->person < 0 || (unsigned)s->person >= n || levels[s->person] < 0;

	if (gone) {
		*s = (struct speaker){best, -1, at_us, at_us};
		return;
	}
	if (best == s->person || levels[best] < HEARD ||
	    levels[best] < levels[s->person] * LOUDER) {
		s->next = -1;
		return;
	}
	if (s->next != best) {
		s->next = best;
		s->next_since_us = at_us;
	}
	if (at_us - s->next_since_us >= TAKES_US && at_us - s->since_us >= STAYS_US)
		*s = (struct speaker){best, -1, at_us, at_us};
}
