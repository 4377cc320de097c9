/*
 * recorder/compose_cast.c: who is there when, and which files have it: from the manifest and the
 * journal.
 *
 * A track has files of its own, or else is taken out of the room's. It is there from the moment at
 * which it was announced to that at which it ended, whether or not frames came.
 */
#include "compose.h"

#include <stdlib.h>

enum { MAX_CAST = 4096, END_SLACK_US = 2 * US_PER_S };

static int64_t us_of(const json_t *o, const char *key, int64_t otherwise)
{
	const json_t *v = json_object_get(o, key);

	return json_is_integer(v) ? (int64_t)json_integer_value(v) * 1000 : otherwise;
}

/* ---- people */

static unsigned person_of(const struct cast *c, struct sl_str id)
{
	unsigned i = 0;

	while (i < c->n_people && !sl_str_eq(sl_str_c(c->people[i].id), id))
		i++;
	return i;
}

static int read_people(struct cast *c, const json_t *manifest)
{
	const json_t *people = json_object_get(manifest, "participants");
	size_t i, n = json_array_size(people);
	const json_t *p;

	c->people = calloc(n + 1, sizeof *c->people);
	if (!c->people || n > MAX_CAST)
		return -SL_ELIMIT;
	json_array_foreach(people, i, p)
	{
		struct cast_person *to = &c->people[c->n_people];

		if (person_of(c, sl_json_get_str(p, "id")) < c->n_people)
			continue;
		(void)sl_str_copy(to->id, sizeof to->id, sl_json_get_str(p, "id"));
		(void)sl_str_copy(to->name, sizeof to->name, sl_json_get_str(p, "name"));
		c->n_people++;
	}
	return 0;
}

/* ---- tracks */

static struct cast_track *track_of(const struct cast *c, struct sl_str id)
{
	for (unsigned i = 0; i < c->n_tracks; i++)
		if (sl_str_eq(sl_str_c(c->tracks[i].id), id))
			return &c->tracks[i];
	return NULL;
}

static int read_tracks(struct cast *c, const json_t *manifest)
{
	const json_t *tracks = json_object_get(manifest, "tracks");
	size_t i, n = json_array_size(tracks);
	const json_t *t;

	c->tracks = calloc(n + 1, sizeof *c->tracks);
	if (!c->tracks || n > MAX_CAST)
		return -SL_ELIMIT;
	json_array_foreach(tracks, i, t)
	{
		struct cast_track *to = &c->tracks[c->n_tracks];
		unsigned person = person_of(c, sl_json_get_str(t, "participant"));

		if (person == c->n_people || track_of(c, sl_json_get_str(t, "id")))
			continue;
		(void)sl_str_copy(to->id, sizeof to->id, sl_json_get_str(t, "id"));
		to->person = person;
		to->video = sl_str_eq(sl_json_get_str(t, "kind"), SL_STR("video"));
		to->screen = sl_str_eq(sl_json_get_str(t, "source"), SL_STR("screen"));
		to->there.from_us = us_of(t, "start_ms", INT64_MAX);
		to->there.to_us = us_of(t, "end_ms", 0);
		c->n_tracks++;
	}
	return 0;
}

/* ---- what the journal tells */

static int add_span(struct span **spans, unsigned *n, int64_t from_us)
{
	struct span *more = realloc(*spans, (*n + 1) * sizeof **spans);

	if (!more)
		return -SL_ENOMEM;
	*spans = more;
	more[(*n)++] = (struct span){from_us, INT64_MAX};
	return 0;
}

static void end_span(struct span *spans, unsigned n, int64_t to_us)
{
	if (n > 0 && spans[n - 1].to_us == INT64_MAX)
		spans[n - 1].to_us = to_us;
}

static int read_note(struct cast *c, const json_t *note)
{
	struct sl_str type = sl_json_get_str(note, "type");
	int64_t at_us = us_of(note, "at_ms", 0);
	struct cast_track *t = track_of(c, sl_json_get_str(note, "id"));

	if (sl_str_eq(type, SL_STR("pause")))
		return add_span(&c->pauses, &c->n_pauses, at_us);
	if (sl_str_eq(type, SL_STR("resume")))
		end_span(c->pauses, c->n_pauses, at_us);
	if (sl_str_eq(type, SL_STR("track")))
		t = track_of(c, sl_json_get_str(json_object_get(note, "track"), "id"));
	if (!t)
		return 0;
	if (sl_str_eq(type, SL_STR("mute")))
		return add_span(&t->muted, &t->n_muted, at_us);
	if (sl_str_eq(type, SL_STR("unmute")))
		end_span(t->muted, t->n_muted, at_us);
	else if (sl_str_eq(type, SL_STR("track")) && at_us < t->there.from_us)
		t->there.from_us = at_us;
	/* It is told a little after the last frame, which may have been long before, too. */
	else if (sl_str_eq(type, SL_STR("track-end")) && at_us > t->there.to_us + END_SLACK_US)
		t->there.to_us = at_us;
	return 0;
}

/* ---- files */

static bool is_of_room(struct sl_str file)
{
	const char *dash = file.p ? strchr(file.p, '-') : NULL;

	return dash && strncmp(dash, "-room.", 6) == 0;
}

static int add_piece(struct cast_track *t, const struct piece *p)
{
	struct piece *more = realloc(t->pieces, (t->n_pieces + 1) * sizeof *more);
	unsigned i = t->n_pieces;

	if (!more)
		return -SL_ENOMEM;
	t->pieces = more;
	for (; i > 0 && more[i - 1].at.from_us > p->at.from_us; i--)
		more[i] = more[i - 1];
	more[i] = *p;
	t->n_pieces++;
	return 0;
}

static int read_segment(struct cast *c, const json_t *segment, size_t index)
{
	const json_t *tracks = json_object_get(segment, "tracks");
	bool room = is_of_room(sl_json_get_str(segment, "file"));
	const json_t *k;
	size_t i;
	int rc = 0;

	if (sl_str_eq(sl_json_get_str(segment, "container"), SL_STR("pcapng")))
		return 0;
	json_array_foreach(tracks, i, k)
	{
		struct cast_track *t = track_of(c, sl_json_get_str(k, "id"));
		struct piece p = {.segment = index, .stream = (unsigned)i, .room = room};

		p.at.from_us = us_of(segment, "start_ms", 0);
		p.at.to_us = us_of(segment, "end_ms", p.at.from_us);
		if (t && rc == 0)
			rc = add_piece(t, &p);
	}
	return rc;
}

static void choose_pieces(struct cast_track *t)
{
	unsigned n = 0;
	bool own = false;

	for (unsigned i = 0; i < t->n_pieces; i++)
		own = own || !t->pieces[i].room;
	for (unsigned i = 0; i < t->n_pieces; i++)
		if (t->pieces[i].room != own)
			t->pieces[n++] = t->pieces[i];
	t->n_pieces = n;
	/* Of a recording that runs the manifest does not know the end. */
	for (unsigned i = 0; i < n; i++) {
		if (t->pieces[i].at.from_us < t->there.from_us)
			t->there.from_us = t->pieces[i].at.from_us;
		if (t->pieces[i].at.to_us > t->there.to_us)
			t->there.to_us = t->pieces[i].at.to_us;
	}
}

/* ---- */

static void measure(struct cast *c)
{
	for (unsigned i = 0; i < c->n_tracks; i++)
		if (c->tracks[i].there.to_us > c->length_us)
			c->length_us = c->tracks[i].there.to_us;
	for (unsigned i = c->n_pauses; i-- > 0;) {
		struct span *p = &c->pauses[i];

		if (p->to_us > c->length_us)
			p->to_us = c->length_us > p->from_us ? c->length_us : p->from_us;
		c->length_us -= p->to_us - p->from_us;
	}
}

int cast_read(struct cast *c, const struct recorded *r)
{
	const json_t *o;
	size_t i;
	int rc;

	*c = (struct cast){0};
	rc = read_people(c, r->manifest);
	if (rc == 0)
		rc = read_tracks(c, r->manifest);
	json_array_foreach(r->notes, i, o) rc = rc < 0 ? rc : read_note(c, o);
	json_array_foreach(r->segments, i, o) rc = rc < 0 ? rc : read_segment(c, o, i);
	for (unsigned k = 0; k < c->n_tracks; k++)
		choose_pieces(&c->tracks[k]);
	measure(c);
	return rc < 0 ? rc : c->length_us > 0 ? 0 : -SL_ENOENT;
}

void cast_free(struct cast *c)
{
	for (unsigned i = 0; i < c->n_tracks; i++) {
		free(c->tracks[i].muted);
		free(c->tracks[i].pieces);
	}
	free(c->tracks);
	free(c->people);
	free(c->pauses);
	*c = (struct cast){0};
}

int64_t cast_time(const struct cast *c, int64_t film_us)
{
	for (unsigned i = 0; i < c->n_pauses && c->pauses[i].from_us <= film_us; i++)
		film_us += c->pauses[i].to_us - c->pauses[i].from_us;
	return film_us;
}

bool cast_is_there(const struct cast_track *t, int64_t at_us)
{
	return at_us >= t->there.from_us && at_us < t->there.to_us;
}

bool cast_is_muted(const struct cast_track *t, int64_t at_us)
{
	for (unsigned i = 0; i < t->n_muted; i++)
		if (at_us >= t->muted[i].from_us && at_us < t->muted[i].to_us)
			return true;
	return false;
}
