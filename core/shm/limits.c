/*
 * shm/limits.c: how many of something a key has, over all processes of the node: allocations of a
 * user, sessions in all.
 *
 * A count is kept in parts: each process that holds some of a key has a cell of its own for it,
 * claimed by CAS and then written by nobody else; the count is the sum over the cells of living
 * owners. So what a killed process held is gone with it, exactly, wherever the kill fell. The
 * cells of a key lie in one window of the table, which is always looked at whole: nothing is lost
 * to tombstones, and a cell is free again when its count is 0.
 *
 * Taking adds first and counts afterwards, in one total order: of two that take the last unit at
 * least one sees the other, so the maximum is never passed.
 */
#include "shm/shm_impl.h"

#define TAKE_TRIES 4 /* when another taker, also refused, stood in the way */

size_t limits_bytes(const struct shm_sizes *z)
{
	return z->n_limits * sizeof(struct limit_cell);
}

void limits_bind(struct shm *s, uint8_t *body)
{
	s->limits = (struct limit_cell *)(void *)body;
}

/* Every slot may hold a part of the same key, and other keys live beside it. */
static unsigned window(const struct shm *s)
{
	unsigned n = 32 + 2 * s->sizes.n_slots;

	return n < s->sizes.n_limits ? n : s->sizes.n_limits;
}

static unsigned window_start(const struct shm *s, uint64_t key)
{
	return (unsigned)(sl_siphash13(s->hash_key, &key, sizeof key) % s->sizes.n_limits);
}

static struct limit_cell *cell_at(const struct shm *s, unsigned start, unsigned i)
{
	return &s->limits[(start + i) % s->sizes.n_limits];
}

static uint32_t cell_owner(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static uint32_t cell_count(uint64_t word)
{
	return (uint32_t)word;
}

/* A cell without a count is nobody's. */
static void cell_set(struct limit_cell *c, uint32_t owner, uint32_t count)
{
	uint64_t word = count ? (uint64_t)owner << 32 | count : 0;

	__atomic_store_n(&c->word, word, __ATOMIC_SEQ_CST);
}

static struct limit_cell *find_own(const struct shm *s, uint32_t owner, uint64_t key)
{
	unsigned start = window_start(s, key), n = window(s);

	for (unsigned i = 0; i < n; i++) {
		struct limit_cell *c = cell_at(s, start, i);

		uint64_t word = __atomic_load_n(&c->word, __ATOMIC_RELAXED);

		/* The key of an own cell is nobody else's to change. */
		if (cell_owner(word) == owner && c->key == key)
			return c;
	}
	return NULL;
}

/* The key is written while the count is still 0, so that nobody counts it for another key. */
static struct limit_cell *claim(struct shm *s, uint32_t owner, uint64_t key)
{
	unsigned start = window_start(s, key), n = window(s);

	for (unsigned i = 0; i < n; i++) {
		struct limit_cell *c = cell_at(s, start, i);
		uint64_t empty = 0;

		if (__atomic_load_n(&c->word, __ATOMIC_RELAXED) != 0)
			continue;
		if (!__atomic_compare_exchange_n(&c->word, &empty, (uint64_t)owner << 32, false,
						 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			continue;
		__atomic_store_n(&c->key, key, __ATOMIC_RELEASE);
		return c;
	}
	return NULL;
}

/* What this cell adds to the count of a key; read again when it changed hands meanwhile. */
static uint32_t cell_part(const struct shm *s, const struct limit_cell *c, uint64_t key)
{
	uint64_t word, found;

	do {
		word = __atomic_load_n(&c->word, __ATOMIC_SEQ_CST);
		if (cell_count(word) == 0)
			return 0;
		found = __atomic_load_n(&c->key, __ATOMIC_ACQUIRE);
	} while (__atomic_load_n(&c->word, __ATOMIC_SEQ_CST) != word);
	return found == key && shm_owner_alive(s, cell_owner(word)) ? cell_count(word) : 0;
}

uint32_t shm_limit_count(const struct shm *s, uint64_t key)
{
	unsigned start = window_start(s, key), n = window(s);
	uint32_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += cell_part(s, cell_at(s, start, i), key);
	return sum;
}

int shm_limit_take(struct shm *s, uint32_t self_owner, uint64_t key, uint32_t max)
{
	struct limit_cell *c;
	uint32_t mine;

	if (!sl_check(self_owner != 0))
		return -SL_EBUG;
	if (shm_limit_count(s, key) >= max)
		return -SL_ELIMIT;
	c = find_own(s, self_owner, key);
	if (!c)
		c = claim(s, self_owner, key);
	if (!c)
		return -SL_EFULL;
	mine = cell_count(c->word);
	for (unsigned i = 0; i < TAKE_TRIES; i++) {
		cell_set(c, self_owner, mine + 1);
		if (shm_limit_count(s, key) <= max)
			return 0;
		__atomic_store_n(&c->word, (uint64_t)self_owner << 32 | mine, __ATOMIC_SEQ_CST);
		if (shm_limit_count(s, key) >= max)
			break;
	}
	cell_set(c, self_owner, mine);
	return -SL_ELIMIT;
}

void shm_limit_give(struct shm *s, uint32_t self_owner, uint64_t key)
{
	struct limit_cell *c = find_own(s, self_owner, key);

	if (!sl_check(c && cell_count(c->word) > 0))
		return;
	cell_set(c, self_owner, cell_count(c->word) - 1);
}

void limits_remove_dead(struct shm *s, uint32_t dead_owner)
{
	for (unsigned i = 0; i < s->sizes.n_limits; i++) {
		struct limit_cell *c = &s->limits[i];

		if (cell_owner(__atomic_load_n(&c->word, __ATOMIC_ACQUIRE)) == dead_owner)
			cell_set(c, 0, 0);
	}
}

/* For the audit: what the entries of an owner say they hold. */
static uint32_t held_by_entries(const struct shm *s, uint32_t owner, uint64_t key)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->sizes.n_sessions; i++)
		for (unsigned k = 0; k < SESSION_LIMITS; k++)
			n += entry_owner(s, i) == owner && s->sessions[i].e.limits[k] == key;
	return n;
}

unsigned limits_audit(const struct shm *s)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < s->sizes.n_limits; i++) {
		const struct limit_cell *c = &s->limits[i];
		uint32_t owner = cell_owner(c->word);

		if (c->word == 0)
			continue;
		wrong += !shm_owner_alive(s, owner) ||
			 held_by_entries(s, owner, c->key) != cell_count(c->word);
	}
	for (uint32_t i = 0; i < s->sizes.n_sessions; i++) {
		const struct session_entry *e = &s->sessions[i].e;

		for (unsigned k = 0; k < SESSION_LIMITS; k++)
			wrong += e->limits[k] != 0 && !find_own(s, e->owner, e->limits[k]);
	}
	return wrong;
}
