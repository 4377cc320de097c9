/*
 * shm/sessions.c: the table of session entries: claimed, written, read, released.
 *
 * An entry belongs to the process whose word stands in `owner`, and only that one writes it. The
 * order of writes:
 *
 *	claim	 bit in the bitmap by fetch_or, then owner by CAS from 0; what is free is all zero
 *	write	 change odd, fields, change even; readers copy, and accept when change was even
 *		 and the same before and after
 *	release	 index words, limit, fields to zero (again within change), owner 0, bit off
 *
 * kill -9 between any two of them leaves an entry of a dead owner (swept), or a bit without an
 * owner (given back by the next sweep). The bitmap is a hint that keeps claiming fast in a nearly
 * full table: a bit too many hides an entry until the sweep, a bit too few costs a failed CAS.
 * change goes on over lives, so that no reader mixes two of them.
 */
#include "shm/shm_impl.h"

#define READ_TRIES 64 /* a write takes tens of nanoseconds; a preempted owner is not waited for */

/* Entries are read as words, whatever type their writer gave them. */
typedef uint64_t __attribute__((may_alias)) entry_word;

_Static_assert(ENTRY_IDENTITY_BYTES % sizeof(entry_word) == 0 &&
		       sizeof(struct session_entry) % sizeof(entry_word) == 0,
	       "entries are copied by words");

static size_t bitmap_words(const struct shm_sizes *z)
{
	return (z->n_sessions + 63) / 64;
}

static size_t bitmap_bytes(const struct shm_sizes *z)
{
	return shm_align(bitmap_words(z) * sizeof(uint64_t));
}

size_t sessions_bytes(const struct shm_sizes *z)
{
	return bitmap_bytes(z) + N_INDEXES * index_bytes(z) +
	       z->n_sessions * sizeof(struct session_cell);
}

void sessions_bind(struct shm *s, uint8_t *body)
{
	s->taken = (uint64_t *)(void *)body;
	body = index_bind(s, body + bitmap_bytes(&s->sizes));
	s->sessions = (struct session_cell *)(void *)body;
}

/* The bits of bitmap word w that stand for entries. */
static uint64_t word_mask(const struct shm *s, size_t w)
{
	unsigned rest = s->sizes.n_sessions % 64;

	return w + 1 == bitmap_words(&s->sizes) && rest ? (UINT64_C(1) << rest) - 1 : UINT64_MAX;
}

bool entry_marked(const struct shm *s, uint32_t index)
{
	return __atomic_load_n(&s->taken[index / 64], __ATOMIC_RELAXED) >> (index % 64) & 1;
}

void entry_unmark(struct shm *s, uint32_t index)
{
	(void)__atomic_fetch_and(&s->taken[index / 64], ~(UINT64_C(1) << (index % 64)),
				 __ATOMIC_RELEASE);
}

/* Sets a bit of word w that was off; false when all are on. */
static bool take_bit(struct shm *s, size_t w, uint32_t *ret_index)
{
	for (;;) {
		uint64_t old = __atomic_load_n(&s->taken[w], __ATOMIC_RELAXED);
		uint64_t off = ~old & word_mask(s, w);
		unsigned bit;

		if (!off)
			return false;
		bit = (unsigned)__builtin_ctzll(off);
		old = __atomic_fetch_or(&s->taken[w], UINT64_C(1) << bit, __ATOMIC_ACQUIRE);
		if (old >> bit & 1)
			continue; /* somebody was faster */
		*ret_index = (uint32_t)(w * 64 + bit);
		return true;
	}
}

static bool take_entry(struct shm *s, uint32_t index, uint32_t self_owner)
{
	uint32_t nobody = 0;

	return __atomic_compare_exchange_n(&s->sessions[index].e.owner, &nobody, self_owner, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

int shm_session_claim(struct shm *s, uint32_t self_owner, uint32_t *ret_index)
{
	size_t n = bitmap_words(&s->sizes);

	if (!sl_check(self_owner != 0))
		return -SL_EBUG;
	if (!s->claimed) {
		/*
		 * Each slot starts in a region of its own, so that workers seldom meet on a cache
		 * line.
		 */
		s->claim_at = (uint32_t)(owner_slot(self_owner) * n / s->sizes.n_slots % n);
		s->claimed = true;
	}
	for (size_t i = 0; i < n; i++) {
		size_t w = (s->claim_at + i) % n;
		uint32_t index;

		while (take_bit(s, w, &index)) {
			if (!take_entry(s, index, self_owner))
				continue; /* the sweep gave back the bit of a claim on its way */
			s->claim_at = (uint32_t)w;
			*ret_index = index;
			return 0;
		}
	}
	return -SL_EFULL;
}

struct session_entry *shm_session(struct shm *s, uint32_t index)
{
	return index < s->sizes.n_sessions ? &s->sessions[index].e : NULL;
}

/* Also over a write that death has interrupted, where change is odd already. */
static void write_begin(struct session_entry *e)
{
	__atomic_store_n(&e->change, e->change | 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

void shm_session_begin(struct session_entry *e)
{
	if (!sl_check(!(e->change & 1)))
		return;
	write_begin(e);
}

void shm_session_end(struct session_entry *e)
{
	if (!sl_check(e->change & 1))
		return;
	__atomic_store_n(&e->change, e->change + 1, __ATOMIC_RELEASE);
}

void entry_free(struct shm *s, uint32_t index)
{
	struct session_entry *e = &s->sessions[index].e;

	write_begin(e);
	memset(e->sid, 0, sizeof *e - offsetof(struct session_entry, sid));
	shm_session_end(e);
	__atomic_store_n(&e->owner, 0, __ATOMIC_RELEASE);
	entry_unmark(s, index);
}

void shm_session_release(struct shm *s, uint32_t index)
{
	struct session_entry *e = shm_session(s, index);

	if (!sl_check(e && e->owner))
		return;
	shm_session_unindex(s, index);
	for (unsigned i = 0; i < SESSION_LIMITS; i++)
		if (e->limits[i])
			shm_limit_give(s, e->owner, e->limits[i]);
	entry_free(s, index);
	s->claim_at = index / 64; /* known to have room, however full the rest is */
}

uint32_t entry_owner(const struct shm *s, uint32_t index)
{
	return __atomic_load_n(&s->sessions[index].e.owner, __ATOMIC_ACQUIRE);
}

static bool try_copy(const struct session_entry *e, struct session_entry *ret_copy, size_t bytes)
{
	const entry_word *from = (const entry_word *)e;
	entry_word *to = (entry_word *)ret_copy;
	uint32_t change = __atomic_load_n(&e->change, __ATOMIC_ACQUIRE);

	if (change & 1)
		return false;
	for (size_t i = 0; i < bytes / sizeof *from; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&e->change, __ATOMIC_RELAXED) == change;
}

int entry_copy(const struct shm *s, uint32_t index, struct session_entry *ret_copy, size_t bytes)
{
	for (unsigned i = 0; i < READ_TRIES; i++)
		if (try_copy(&s->sessions[index].e, ret_copy, bytes))
			return 0;
	return -SL_ENOENT;
}

int shm_session_read(const struct shm *s, uint32_t index, struct session_entry *ret_copy)
{
	struct session_entry copy;

	if (index >= s->sizes.n_sessions || entry_copy(s, index, &copy, sizeof copy) < 0)
		return -SL_ENOENT;
	if (copy.state == SESSION_FREE || !shm_owner_alive(s, copy.owner))
		return -SL_ENOENT;
	*ret_copy = copy;
	return 0;
}

unsigned shm_sessions_live(const struct shm *s)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < s->sizes.n_sessions; i++)
		n += shm_owner_alive(s, entry_owner(s, i));
	return n;
}
