/*
 * tests/lib/shm.h: a small set of shared segments for a test, with slots that live and die on
 * demand.
 */
#ifndef TESTS_LIB_SHM_H
#define TESTS_LIB_SHM_H

#include "shm/shm.h"

#include <unistd.h>

static inline struct shm *test_shm(const struct shm_sizes *sizes)
{
	int fds[SHM_SEGMENTS];
	struct shm *s = NULL;

	sl_assert(shm_create(sizes, fds) == 0);
	sl_assert(shm_attach(fds, true, &s) == 0);
	for (unsigned i = 0; i < SHM_SEGMENTS; i++)
		close(fds[i]);
	return s;
}

/* A new process of this slot, as the master would announce it; returns its owner word. */
static inline uint32_t test_slot_start(struct shm *s, unsigned slot)
{
	struct worker_slot *w = shm_worker(s, slot);

	__atomic_store_n(&w->epoch, (uint16_t)(w->epoch + 1), __ATOMIC_RELEASE);
	__atomic_store_n(&w->state, WORKER_SERVING, __ATOMIC_RELEASE);
	return shm_owner(s, slot);
}

static inline void test_slot_end(struct shm *s, unsigned slot)
{
	__atomic_store_n(&shm_worker(s, slot)->state, WORKER_GONE, __ATOMIC_RELEASE);
}

#endif
