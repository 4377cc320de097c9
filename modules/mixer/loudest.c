/*
 * mixer/loudest.c: the loudest few of a room.
 */
#include "loudest.h"

#define SMOOTH 0.2f /* of a new level */

static void enter(struct loudest *l, struct voice *v)
{
	v->in = true;
	v->prev = NULL;
	v->next = l->first;
	if (v->next)
		v->next->prev = v;
	l->first = v;
	l->n++;
}

void loudest_remove(struct loudest *l, struct voice *v)
{
	if (!v->in)
		return;
	v->in = false;
	if (v->prev)
		v->prev->next = v->next;
	else
		l->first = v->next;
	if (v->next)
		v->next->prev = v->prev;
	l->n--;
}

/* Who pauses is softer than anybody who speaks. */
static struct voice *softest(const struct loudest *l, uint64_t now_ms, bool *ret_pauses)
{
	struct voice *found = NULL;
	bool found_pauses = false;

	for (struct voice *v = l->first; v; v = v->next) {
		bool pauses = voice_since_ms(now_ms, v->spoke_ms) > VOICE_PAUSE_MS;

		if (!found || (pauses && !found_pauses) ||
		    (pauses == found_pauses && v->level < found->level)) {
			found = v;
			found_pauses = pauses;
		}
	}
	*ret_pauses = found_pauses;
	return found;
}

static void take_level(struct voice *v, int dbov, uint64_t now_ms)
{
	bool anew = voice_since_ms(now_ms, v->spoke_ms) > VOICE_HOLD_MS;

	v->level = anew ? (float)dbov : v->level + SMOOTH * ((float)dbov - v->level);
	v->spoke_ms = now_ms;
}

bool loudest_heard(struct loudest *l, struct voice *v, int dbov, uint64_t now_ms)
{
	struct voice *other;
	bool pauses;

	if (dbov <= VOICE_SPEECH_DBOV)
		return v->in;
	take_level(v, dbov, now_ms);
	if (v->in)
		return true;
	if (l->n < l->max) {
		enter(l, v);
		return true;
	}
	other = softest(l, now_ms, &pauses);
	if (!other || (!pauses && v->level < other->level + VOICE_MARGIN_DB))
		return false;
	loudest_remove(l, other);
	enter(l, v);
	return true;
}

void loudest_time(struct loudest *l, uint64_t now_ms)
{
	struct voice *next;

	for (struct voice *v = l->first; v; v = next) {
		next = v->next;
		if (voice_since_ms(now_ms, v->spoke_ms) > VOICE_HOLD_MS)
			loudest_remove(l, v);
	}
}
