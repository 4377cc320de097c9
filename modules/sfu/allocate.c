/*
 * sfu/allocate.c: divides what there is to one subscriber among its video tracks.
 *
 * Each track is a ladder whose rungs are the layers worth having: in order of cost, never to a
 * smaller picture nor to a jerking one, up to the smallest one that covers the size shown. First
 * everybody gets the lowest rung, in order of importance; who gets none is starved. Then the most
 * important climb first, and among equals whoever has the least of what he wishes.
 *
 * What a track has, it keeps as long as it can be paid. A rung that it did not have must leave a
 * reserve, must wait after the last change, and goes one picture size at a time; so an estimate or
 * a bitrate that wavers moves nothing, and going down is never delayed. With a larger budget never
 * less is used: a rung that is refused costs more than all that is taken instead of it.
 */
#include "allocate.h"

enum {
	UP_AGAIN_MS = 1000,	 /* after a step up: let the estimator see it */
	UP_AFTER_DOWN_MS = 3000, /* what has just failed is not tried at once */
	RESERVE_PERCENT = 15,	 /* of the budget, for what is new */
	COVERS_PERCENT = 80,	 /* of the size shown: a little scaling up is not seen */
};

/* ---- ladders */

static bool same_picture(const struct allocate_layer *a, const struct allocate_layer *b)
{
	return a->encoding == b->encoding && a->spatial == b->spatial;
}

/*
 * How large the picture of a layer is. One of which nothing has been seen yet is taken for just
 * larger than those that cost less.
 */
static uint64_t size_of(const struct allocate_track *t, unsigned i)
{
	const struct allocate_layer *l = &t->layers[i];
	uint64_t size = (uint64_t)l->width * l->height;

	for (unsigned k = 0; k < i && l->width * l->height == 0; k++) {
		const struct allocate_layer *other = &t->layers[k];
		uint64_t above = (uint64_t)other->width * other->height + 1;

		if (!same_picture(other, l) && above > size)
			size = above;
	}
	return size;
}

static bool is_first_of_picture(const struct allocate_track *t, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (same_picture(&t->layers[k], &t->layers[i]))
			return false;
	return true;
}

/* Encodings come in any order, and what a publisher makes of a large picture, with few frames, may
 * cost less than a small one: it counts how many pictures are smaller. Of equal ones the dearer is
 * taken for the better. */
static unsigned rank_of(const struct allocate_track *t, const uint64_t *sizes, unsigned i,
			unsigned n)
{
	unsigned rank = 0, first = i;

	while (!is_first_of_picture(t, first) || !same_picture(&t->layers[first], &t->layers[i]))
		first--;
	for (unsigned k = 0; k < n; k++)
		if (is_first_of_picture(t, k) &&
		    (sizes[k] < sizes[first] || (sizes[k] == sizes[first] && k < first)))
			rank++;
	return rank;
}

static bool covers(const struct allocate_track *t, const struct allocate_layer *l)
{
	if (t->width == 0 || t->height == 0 || l->width == 0 || l->height == 0)
		return false;
	return l->width * 100u >= t->width * (unsigned)COVERS_PERCENT ||
	       l->height * 100u >= t->height * (unsigned)COVERS_PERCENT;
}

/* Pictures that are not in the ladder are no steps of it. */
static void add_rung(struct allocate_ladder *l, unsigned layer, bool next_picture)
{
	l->layer[l->n] = (uint8_t)layer;
	l->rank[l->n] = (uint8_t)(l->n == 0 ? 0 : l->rank[l->n - 1] + next_picture);
	l->n++;
}

static void rank_all(const struct allocate_track *t, unsigned n, uint8_t *ret_ranks)
{
	uint64_t sizes[ALLOCATE_MAX_LAYERS];

	for (unsigned i = 0; i < n; i++)
		sizes[i] = size_of(t, i);
	for (unsigned i = 0; i < n; i++)
		ret_ranks[i] = (uint8_t)rank_of(t, sizes, i, n);
}

/* A quarter of the frames: of a larger picture that is less than the smaller one with all of them,
 * unless what matters is to read it. */
static bool jerks(const struct allocate_track *t, unsigned i, unsigned n)
{
	if (t->screen || t->layers[i].temporal > 0)
		return false;
	for (unsigned k = 0; k < n; k++)
		if (same_picture(&t->layers[k], &t->layers[i]) && t->layers[k].temporal >= 2)
			return true;
	return false;
}

/* Of the smallest picture that covers what is shown */
static unsigned find_enough(const struct allocate_track *t, const uint8_t *ranks, unsigned n)
{
	unsigned enough = UINT8_MAX;

	for (unsigned i = 0; i < n; i++)
		if (ranks[i] < enough && covers(t, &t->layers[i]))
			enough = ranks[i];
	return enough;
}

static void build_ladder(struct allocate_track *t)
{
	unsigned n = t->n_layers < ALLOCATE_MAX_LAYERS ? t->n_layers : ALLOCATE_MAX_LAYERS;
	unsigned highest = 0, enough;
	uint8_t ranks[ALLOCATE_MAX_LAYERS];

	t->ladder = (struct allocate_ladder){0};
	if (t->hidden)
		return;
	rank_all(t, n, ranks);
	enough = find_enough(t, ranks, n);
	for (unsigned i = 0; i < n; i++) {
		if (ranks[i] < highest || ranks[i] > enough ||
		    (ranks[i] > 0 && jerks(t, i, n)))
			continue;
		add_rung(&t->ladder, i, ranks[i] > highest);
		highest = ranks[i];
	}
}

/* Rungs are counted from 1; 0 is nothing. */
static const struct allocate_layer *layer_at(const struct allocate_track *t, unsigned rung)
{
	return &t->layers[t->ladder.layer[rung - 1]];
}

static uint32_t bps_at(const struct allocate_track *t, unsigned rung)
{
	return rung > 0 ? layer_at(t, rung)->bps : 0;
}

/* The rung of the target before; the nearest below when that is gone. */
static unsigned find_held(const struct allocate_track *t)
{
	const struct sl_layers_target *had = &t->state->target;
	unsigned held = 0;

	if (!t->state->given || had->paused)
		return 0;
	for (unsigned i = 1; i <= t->ladder.n; i++) {
		const struct allocate_layer *l = layer_at(t, i);

		if (l->encoding == had->encoding && l->spatial == had->spatial &&
		    l->temporal <= had->temporal)
			held = i;
	}
	return held > 0 ? held : t->ladder.n > 0;
}

static unsigned find_limit(const struct allocate_track *t, uint64_t now_ms)
{
	const struct allocate_ladder *l = &t->ladder;
	unsigned limit = l->held;

	if (!t->state->given)
		return l->n;
	if (now_ms < t->state->up_ms)
		return l->held;
	while (limit < l->n && (l->held == 0 ? l->rank[limit] == l->rank[0]
					     : l->rank[limit] <= l->rank[l->held - 1] + 1))
		limit++;
	return limit;
}

/* ---- order */

static unsigned importance(const struct allocate_track *t)
{
	return (t->speaker || t->screen ? 256u : 0) + t->priority;
}

static uint64_t area(const struct allocate_track *t)
{
	return (uint64_t)t->width * t->height;
}

/* For the lowest rung: who is served first when not all can be. What is shown stays. */
static bool goes_before(const struct allocate_track *a, const struct allocate_track *b)
{
	if (importance(a) != importance(b))
		return importance(a) > importance(b);
	if (area(a) != area(b))
		return area(a) > area(b);
	return a->ladder.held > 0 && b->ladder.held == 0;
}

static bool below_held(const struct allocate_track *t)
{
	return t->ladder.got < t->ladder.held;
}

/* For the next rung, among equally important: who has less of what he wishes. Who had it already
 * keeps it when the difference is small, else bitrates that waver would move it to and fro. */
static bool has_less(const struct allocate_track *a, const struct allocate_track *b)
{
	uint64_t x = (uint64_t)bps_at(a, a->ladder.got) * bps_at(b, b->ladder.n);
	uint64_t y = (uint64_t)bps_at(b, b->ladder.got) * bps_at(a, a->ladder.n);

	if (below_held(a) != below_held(b) && x < y + y / 2 && y < x + x / 2)
		return below_held(a);
	return x < y;
}

static bool climbs_before(const struct allocate_track *a, const struct allocate_track *b)
{
	if (importance(a) != importance(b))
		return importance(a) > importance(b);
	return has_less(a, b);
}

/* ---- rounds */

struct purse {
	uint64_t budget_bps, used_bps;
};

static bool affordable(const struct purse *p, const struct allocate_track *t, unsigned rung)
{
	uint64_t cost = p->used_bps - bps_at(t, t->ladder.got) + bps_at(t, rung);

	if (rung > t->ladder.held)
		return cost <= p->budget_bps - p->budget_bps / 100 * RESERVE_PERCENT;
	return cost <= p->budget_bps;
}

static void take_rung(struct purse *p, struct allocate_track *t, unsigned rung)
{
	p->used_bps += bps_at(t, rung) - bps_at(t, t->ladder.got);
	t->ladder.got = (uint8_t)rung;
}

static void give_lowest(struct allocate_track *tracks, unsigned n, struct purse *p)
{
	for (;;) {
		struct allocate_track *next = NULL;

		for (unsigned i = 0; i < n; i++)
			if (!tracks[i].ladder.tried && (!next || goes_before(&tracks[i], next)))
				next = &tracks[i];
		if (!next)
			return;
		next->ladder.tried = true;
		if (next->ladder.limit > 0 && affordable(p, next, 1))
			take_rung(p, next, 1);
	}
}

static bool may_climb(const struct allocate_track *t)
{
	return t->ladder.got > 0 && !t->ladder.tried && t->ladder.got < t->ladder.limit;
}

static void climb(struct allocate_track *tracks, unsigned n, struct purse *p)
{
	for (unsigned i = 0; i < n; i++)
		tracks[i].ladder.tried = false;
	for (;;) {
		struct allocate_track *next = NULL;

		for (unsigned i = 0; i < n; i++)
			if (may_climb(&tracks[i]) && (!next || climbs_before(&tracks[i], next)))
				next = &tracks[i];
		if (!next)
			return;
		if (affordable(p, next, next->ladder.got + 1u))
			take_rung(p, next, next->ladder.got + 1u);
		else
			next->ladder.tried = true;
	}
}

static void remember(struct allocate_track *t, uint64_t now_ms)
{
	const struct allocate_ladder *l = &t->ladder;
	struct allocate_state *s = t->state;

	if (s->given && l->n > 0 && l->got < l->held)
		s->up_ms = now_ms + UP_AFTER_DOWN_MS;
	else if (l->got > l->held)
		s->up_ms = now_ms + UP_AGAIN_MS;
	s->given = l->n > 0;
	s->target = t->target;
}

static void conclude(struct allocate_track *t, uint64_t now_ms)
{
	const struct allocate_ladder *l = &t->ladder;

	t->target = (struct sl_layers_target){.paused = l->got == 0};
	if (l->got > 0) {
		t->target.encoding = layer_at(t, l->got)->encoding;
		t->target.spatial = layer_at(t, l->got)->spatial;
		t->target.temporal = layer_at(t, l->got)->temporal;
	}
	t->starved = l->got == 0 && l->n > 0;
	t->bps = bps_at(t, l->got);
	remember(t, now_ms);
}

void allocate(struct allocate_track *tracks, unsigned n, uint64_t budget_bps, uint64_t now_ms,
	      struct allocate_result *ret_result)
{
	struct purse purse = {.budget_bps = budget_bps};
	uint64_t wanted_bps = 0;

	for (unsigned i = 0; i < n; i++) {
		build_ladder(&tracks[i]);
		tracks[i].ladder.held = (uint8_t)find_held(&tracks[i]);
		tracks[i].ladder.limit = (uint8_t)find_limit(&tracks[i], now_ms);
		wanted_bps += bps_at(&tracks[i], tracks[i].ladder.n);
	}
	give_lowest(tracks, n, &purse);
	climb(tracks, n, &purse);
	for (unsigned i = 0; i < n; i++)
		conclude(&tracks[i], now_ms);
	ret_result->used_bps = purse.used_bps;
	ret_result->all_bps = wanted_bps;
	ret_result->wanted_bps = wanted_bps * 100 / (100 - RESERVE_PERCENT);
}
