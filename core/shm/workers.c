/*
 * shm/workers.c: who runs: the process slots, and the generation that new work goes to.
 *
 * Every other area asks here whether an owner still lives. The master raises a slot's epoch
 * before each start and sets its state to gone after each end, so that an owner word is dead from
 * the moment its process is known to be, without a write to anything it owned.
 */
#include "shm/shm_impl.h"

_Static_assert(sizeof(struct worker_slot) == 64, "a worker slot is one cache line");

size_t workers_bytes(const struct shm_sizes *z)
{
	return SHM_LINE + z->n_slots * sizeof(struct worker_slot);
}

void workers_bind(struct shm *s, uint8_t *body)
{
	s->generation = (uint32_t *)(void *)body;
	s->workers = (struct worker_slot *)(void *)(body + SHM_LINE);
}

struct worker_slot *shm_worker(struct shm *s, unsigned slot)
{
	return slot < s->sizes.n_slots ? &s->workers[slot] : NULL;
}

uint32_t shm_owner(const struct shm *s, unsigned slot)
{
	if (slot >= s->sizes.n_slots)
		return 0;
	return slot << 16 | __atomic_load_n(&s->workers[slot].epoch, __ATOMIC_ACQUIRE);
}

bool shm_owner_alive(const struct shm *s, uint32_t owner)
{
	unsigned slot = owner_slot(owner);
	uint32_t state;

	if (owner == 0 || shm_owner(s, slot) != owner)
		return false;
	state = __atomic_load_n(&s->workers[slot].state, __ATOMIC_ACQUIRE);
	return state != WORKER_FREE && state != WORKER_GONE;
}

uint32_t shm_generation(const struct shm *s)
{
	return __atomic_load_n(s->generation, __ATOMIC_ACQUIRE);
}

void shm_set_generation(struct shm *s, uint32_t generation)
{
	__atomic_store_n(s->generation, generation, __ATOMIC_RELEASE);
}

static bool serves(const struct worker_slot *w, uint32_t generation)
{
	return __atomic_load_n(&w->state, __ATOMIC_ACQUIRE) == WORKER_SERVING && w->kind == 0 &&
	       __atomic_load_n(&w->generation, __ATOMIC_RELAXED) == generation;
}

unsigned shm_current_slots(const struct shm *s, uint16_t *ret_slots, unsigned max)
{
	uint32_t generation = shm_generation(s);
	unsigned n = 0;

	for (unsigned slot = 0; slot < s->sizes.n_slots && n < max; slot++)
		if (serves(&s->workers[slot], generation))
			ret_slots[n++] = (uint16_t)slot;
	return n;
}
