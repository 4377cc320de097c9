/*
 * shm/sweep.c: what a dead process leaves behind, cleared by the master; and the audit that tests
 * hold against it.
 *
 * The order makes a sweep that is itself killed harmless: index words go while the entries still
 * name their dead owner, and an entry's owner is the last thing to go, so the next sweep of the
 * same owner finds what is left. Live processes go on meanwhile; nothing here writes to what they
 * own.
 */
#include "shm/shm_impl.h"

/*
 * Death in the middle of a write leaves fields of which nothing is certain, but the sid: it
 * stands before the first index entry and does not change after it.
 */
static bool tellable(const struct shm *s, uint32_t index, const struct session_entry *e)
{
	static const uint8_t none[16];

	if (e->state == SESSION_FREE || memcmp(e->sid, none, sizeof none) == 0)
		return false;
	return !(e->change & 1) || index_has(s, INDEX_SID, index, e);
}

static void tell_lost(const struct shm *s, uint32_t index, session_sweep_fn *fn, void *arg)
{
	struct session_entry e = s->sessions[index].e;

	if (!tellable(s, index, &e))
		return;
	e.state = SESSION_LOST;
	e.label[sizeof e.label - 1] = '\0';
	fn(arg, &e);
}

unsigned shm_sweep(struct shm *s, uint32_t dead_owner, session_sweep_fn *fn, void *arg)
{
	unsigned n = 0;

	if (!sl_check(dead_owner != 0))
		return 0;
	for (uint32_t i = 0; i < s->sizes.n_sessions; i++) {
		if (entry_owner(s, i) != dead_owner)
			continue;
		n++;
		if (fn)
			tell_lost(s, i, fn, arg);
	}
	if (n > 0)
		index_remove_dead(s, dead_owner);
	limits_remove_dead(s, dead_owner);
	for (uint32_t i = 0; i < s->sizes.n_sessions; i++) {
		uint32_t owner = entry_owner(s, i);

		if (owner == dead_owner)
			entry_free(s, i);
		else if (owner == 0 && entry_marked(s, i))
			entry_unmark(s, i); /* death between bit and owner, or a claim on its way */
	}
	return n;
}

/* A free entry is all zero and unmarked; an open one is in all indexes that it has a key for. */
static unsigned entry_audit(const struct shm *s, uint32_t index)
{
	const struct session_entry *e = &s->sessions[index].e;
	uint32_t owner = entry_owner(s, index);
	unsigned wrong = 0;

	if (owner == 0)
		return entry_marked(s, index) + (e->change & 1) + (e->state != SESSION_FREE);
	if (!shm_owner_alive(s, owner))
		return 1;
	if (e->state != SESSION_OPEN)
		return 0;
	for (unsigned kind = 0; kind < N_INDEXES; kind++)
		wrong += !index_has(s, kind, index, e);
	return wrong;
}

unsigned shm_audit(const struct shm *s)
{
	unsigned wrong = index_audit(s) + limits_audit(s);

	for (uint32_t i = 0; i < s->sizes.n_sessions; i++)
		wrong += entry_audit(s, i);
	return wrong;
}
