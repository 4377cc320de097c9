/*
 * voice-agent/speech.c: sound and marks, in the order in which they came.
 */
#include "speech.h"

#include <stdlib.h>
#include <string.h>

struct speech_piece {
	struct speech_piece *next;
	size_t len, used;
	bool is_mark;
	uint8_t bytes[];
};

void speech_init(struct speech *s, size_t max)
{
	*s = (struct speech){.max = max};
	s->tail = &s->first;
}

static void drop_first(struct speech *s)
{
	struct speech_piece *p = s->first;

	s->first = p->next;
	if (!s->first)
		s->tail = &s->first;
	free(p);
}

void speech_free(struct speech *s)
{
	while (s->first)
		drop_first(s);
}

static int append(struct speech *s, struct sl_str bytes, bool is_mark)
{
	struct speech_piece *p = malloc(sizeof *p + bytes.len);

	if (!p)
		return -SL_ENOMEM;
	*p = (struct speech_piece){.len = bytes.len, .is_mark = is_mark};
	memcpy(p->bytes, bytes.p, bytes.len);
	*s->tail = p;
	s->tail = &p->next;
	return 0;
}

int speech_put(struct speech *s, struct sl_str sound)
{
	int err;

	if (sound.len == 0)
		return 0;
	if (sound.len > s->max - s->held)
		return -SL_EFULL;
	err = append(s, sound, false);
	if (err == 0)
		s->held += sound.len;
	return err;
}

int speech_mark(struct speech *s, struct sl_str name)
{
	int err;

	if (name.len == 0 || name.len > SPEECH_MARK_MAX)
		return -SL_EINVAL;
	if (s->n_marks == SPEECH_MARKS_MAX)
		return -SL_EFULL;
	err = append(s, name, true);
	if (err == 0)
		s->n_marks++;
	return err;
}

static size_t take_some(struct speech *s, uint8_t *dst, size_t n)
{
	struct speech_piece *p = s->first;
	size_t left = p->len - p->used;
	size_t some = left < n ? left : n;

	memcpy(dst, p->bytes + p->used, some);
	p->used += some;
	s->held -= some;
	if (p->used == p->len)
		drop_first(s);
	return some;
}

size_t speech_take(struct speech *s, uint8_t *dst, size_t n)
{
	size_t got = 0;

	while (got < n && s->first && !s->first->is_mark)
		got += take_some(s, dst + got, n - got);
	return got;
}

size_t speech_take_piece(struct speech *s, uint8_t *dst, size_t cap)
{
	const struct speech_piece *p = s->first;

	if (!p || p->is_mark)
		return 0;
	if (p->len <= cap)
		return take_some(s, dst, p->len);
	s->held -= p->len;
	drop_first(s);
	return 0;
}

bool speech_reached(struct speech *s, char ret_name[SPEECH_MARK_MAX + 1])
{
	const struct speech_piece *p = s->first;

	if (!p || !p->is_mark)
		return false;
	memcpy(ret_name, p->bytes, p->len);
	ret_name[p->len] = '\0';
	s->n_marks--;
	drop_first(s);
	return true;
}

size_t speech_clear(struct speech *s)
{
	struct speech_piece *marks = NULL, **tail = &marks;
	const size_t dropped = s->held;

	while (s->first) {
		struct speech_piece *p = s->first;

		if (!p->is_mark) {
			drop_first(s);
			continue;
		}
		s->first = p->next;
		p->next = NULL;
		*tail = p;
		tail = &p->next;
	}
	s->first = marks;
	s->tail = marks ? tail : &s->first;
	s->held = 0;
	return dropped;
}
