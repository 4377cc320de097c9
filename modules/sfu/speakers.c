/*
 * sfu/speakers.c: who speaks in a room, and which voices are worth forwarding.
 *
 * Each voice has an activity between 0 and 1 that rises in a third of a second of speech and falls
 * in one and a half without, so a cough makes nobody a speaker and a pause between words unmakes
 * nobody. It starts above ON and ends below OFF. Speakers are ordered by loudness; who is louder by
 * less than LEAD_DB does not pass, so two who talk at once do not swap at every syllable.
 *
 * Of a big room N voices are forwarded. A place that belongs to somebody silent goes to the next
 * who speaks at the very packet, so the first syllable is heard; a place of somebody who speaks
 * goes only to a clearly louder speaker. Voices are kept sorted by id; nothing is allocated but
 * when one enters.
 */
#include "speakers.h"

#include <stdlib.h>
#include <string.h>

enum {
	RISE_MS = 300,
	FALL_MS = 1500,
	STEP_MS = 100,	   /* a packet speaks for no more than this */
	LOUDNESS_MS = 400, /* smoothing */
	VOICE_DB = 70,	   /* of what the sender calls voice: at least -70 dBov */
	LOUD_DB = 50,	   /* of what it does not: senders without detection set no bit */
	LEAD_DB = 6,
	FIRST_ROOM = 8,
};

static const double on = 0.6, off = 0.1;

struct voice {
	uint64_t id;
	double activity;
	double loudness; /* 127 + dBov, of speech, smoothed */
	uint64_t at_ms;	 /* up to which activity counts */
	uint64_t spoke_ms;
	bool speaks; /* as of now; else it is heard no more than silence */
	bool active, audible;
};

struct speakers {
	struct voice *voices; /* owned; sorted by id */
	uint64_t *order;      /* owned; ids of the active, loudest first */
	unsigned n, room, n_active, n_audible, n_heard;
};

int speakers_new(struct speakers **ret_s, unsigned n_audible)
{
	struct speakers *s = calloc(1, sizeof *s);

	if (!s)
		return -SL_ENOMEM;
	s->n_audible = n_audible;
	*ret_s = s;
	return 0;
}

void speakers_free(struct speakers *s)
{
	if (!s)
		return;
	free(s->voices);
	free(s->order);
	free(s);
}

/* Where it is, or where it belongs */
static unsigned place_of(const struct speakers *s, uint64_t id)
{
	unsigned lo = 0, hi = s->n;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (s->voices[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct voice *find(const struct speakers *s, uint64_t id)
{
	unsigned i = place_of(s, id);

	return i < s->n && s->voices[i].id == id ? &s->voices[i] : NULL;
}

static bool make_room(struct speakers *s)
{
	unsigned room = s->room ? 2 * s->room : FIRST_ROOM;
	struct voice *voices;
	uint64_t *order;

	if (s->n < s->room)
		return true;
	voices = realloc(s->voices, room * sizeof *voices);
	if (voices)
		s->voices = voices;
	order = realloc(s->order, room * sizeof *order);
	if (order)
		s->order = order;
	if (!voices || !order)
		return false;
	s->room = room;
	return true;
}

/* NULL: out of memory; it is entered with a later packet */
static struct voice *enter(struct speakers *s, uint64_t id, uint64_t now_ms)
{
	unsigned i = place_of(s, id);

	if (!make_room(s))
		return NULL;
	memmove(&s->voices[i + 1], &s->voices[i], (s->n - i) * sizeof *s->voices);
	s->n++;
	s->voices[i] = (struct voice){.id = id, .at_ms = now_ms, .spoke_ms = now_ms};
	return &s->voices[i];
}

/* ---- one voice */

static double least(double a, double b)
{
	return a < b ? a : b;
}

/* A packet speaks for the time until the next, but not for long: senders go silent without a word.
 */
static void pass_time(struct voice *v, uint64_t now_ms)
{
	uint64_t until_ms = v->at_ms;

	if (now_ms <= v->at_ms)
		return;
	if (v->speaks)
		until_ms = now_ms < v->spoke_ms + STEP_MS ? now_ms : v->spoke_ms + STEP_MS;
	if (until_ms > v->at_ms)
		v->activity += (double)(until_ms - v->at_ms) / RISE_MS;
	else
		until_ms = v->at_ms;
	v->activity = least(v->activity, 1) - (double)(now_ms - until_ms) / FALL_MS;
	if (v->activity < 0)
		v->activity = 0;
	v->speaks = v->speaks && until_ms == now_ms;
	v->at_ms = now_ms;
}

static bool is_speech(unsigned level, bool voice)
{
	return level <= (voice ? VOICE_DB : LOUD_DB);
}

static void take_level(struct voice *v, unsigned level, uint64_t now_ms)
{
	double db = 127 - (double)(level > 127 ? 127 : level);
	double ms = least((double)(now_ms - v->spoke_ms), STEP_MS);

	if (v->activity == 0)
		v->loudness = db;
	v->loudness += (db - v->loudness) * ms / LOUDNESS_MS;
	v->spoke_ms = now_ms;
}

/* ---- who is heard */

static void set_audible(struct speakers *s, struct voice *v, bool audible)
{
	s->n_heard += audible - v->audible;
	v->audible = audible;
}

/* Whose place can be had most easily: silent for longest, else the most quiet. */
static bool yields_before(const struct voice *a, const struct voice *b)
{
	if (a->active != b->active)
		return b->active;
	return a->active ? a->loudness < b->loudness : a->spoke_ms < b->spoke_ms;
}

static struct voice *weakest(const struct speakers *s)
{
	struct voice *weak = NULL;

	for (unsigned i = 0; i < s->n; i++)
		if (s->voices[i].audible && (!weak || yields_before(&s->voices[i], weak)))
			weak = &s->voices[i];
	return weak;
}

static bool may_replace(const struct voice *v, const struct voice *weak)
{
	if (!weak->active)
		return v->active || !weak->speaks;
	return v->active && v->loudness >= weak->loudness + LEAD_DB;
}

static void let_in(struct speakers *s, struct voice *v)
{
	struct voice *weak;

	if (v->audible || s->n_audible == 0)
		return;
	if (s->n_heard < s->n_audible) {
		set_audible(s, v, true);
		return;
	}
	weak = v->speaks ? weakest(s) : NULL;
	if (!weak || !may_replace(v, weak))
		return;
	set_audible(s, weak, false);
	set_audible(s, v, true);
}

void speakers_heard(struct speakers *s, uint64_t id, unsigned level, bool voice, uint64_t now_ms)
{
	struct voice *v = find(s, id);

	if (!v)
		v = enter(s, id, now_ms);
	if (!v)
		return;
	pass_time(v, now_ms);
	v->speaks = is_speech(level, voice);
	if (v->speaks)
		take_level(v, level, now_ms);
	let_in(s, v);
}

bool speakers_audible(const struct speakers *s, uint64_t id)
{
	const struct voice *v = find(s, id);

	return s->n_audible == 0 || (v ? v->audible : s->n_heard < s->n_audible);
}

/* ---- who is active */

static bool drop_from_order(struct speakers *s, uint64_t id)
{
	for (unsigned i = 0; i < s->n_active; i++) {
		if (s->order[i] != id)
			continue;
		s->n_active--;
		memmove(&s->order[i], &s->order[i + 1], (s->n_active - i) * sizeof *s->order);
		return true;
	}
	return false;
}

static bool update(struct speakers *s, struct voice *v)
{
	bool was = v->active;

	v->active = v->activity >= on || (was && v->activity > off);
	if (v->active && !was)
		s->order[s->n_active++] = v->id;
	if (!v->active && was)
		(void)drop_from_order(s, v->id); /* it is in there */
	return v->active != was;
}

/* Whoever is clearly louder passes; one round of neighbours a tick settles soon enough. */
static bool reorder(struct speakers *s)
{
	bool changed = false;

	for (unsigned i = s->n_active; i-- > 1;) {
		const struct voice *ahead = find(s, s->order[i - 1]), *v = find(s, s->order[i]);

		if (v->loudness < ahead->loudness + LEAD_DB)
			continue;
		s->order[i] = ahead->id;
		s->order[i - 1] = v->id;
		changed = true;
	}
	return changed;
}

bool speakers_tick(struct speakers *s, uint64_t now_ms)
{
	bool changed = false;

	for (unsigned i = 0; i < s->n; i++) {
		pass_time(&s->voices[i], now_ms);
		changed |= update(s, &s->voices[i]);
	}
	for (unsigned i = 0; i < s->n; i++)
		let_in(s, &s->voices[i]);
	return reorder(s) || changed;
}

void speakers_remove(struct speakers *s, uint64_t id)
{
	struct voice *v = find(s, id);

	if (!v)
		return;
	set_audible(s, v, false);
	(void)drop_from_order(s, id); /* only the active are in there */
	s->n--;
	memmove(v, v + 1, (size_t)(&s->voices[s->n] - v) * sizeof *v);
}

unsigned speakers_active(const struct speakers *s, uint64_t *ret_ids, unsigned max)
{
	unsigned n = s->n_active < max ? s->n_active : max;

	if (n > 0)
		memcpy(ret_ids, s->order, n * sizeof *ret_ids);
	return n;
}
