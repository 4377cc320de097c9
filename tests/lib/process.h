/*
 * tests/lib/process.h: workers without processes: segments, inbox, loop and registry, as a worker
 * gets them.
 *
 * Several live side by side in one test program; what is one per process in the product (the
 * backlog of channels) is shared by them, so only one of them may send into full rings.
 */
#ifndef TESTS_LIB_PROCESS_H
#define TESTS_LIB_PROCESS_H

#include "event/inbox.h"
#include "event/loop.h"
#include "os/os.h"
#include "session/registry.h"
#include "shm.h"

#include <sys/mman.h>
#include <sluice/worker.h>

#define TEST_SLOTS 4
#define TEST_RING 4096

static const uint8_t test_key[32] = "node key of the tests";

struct test_node {
	struct shm *shm;
	int wake_fds[TEST_SLOTS], segment_fd;
	void *segment;
	size_t bytes;
	struct sl_worker workers[TEST_SLOTS];
	struct sl_pool *pool;
};

static inline void test_node_new(struct test_node *n)
{
	static const struct shm_sizes sizes = {.n_slots = TEST_SLOTS,
					       .n_sessions = 64,
					       .n_limits = 64,
					       .metric_bytes = 1024,
					       .n_trace = 64};

	*n = (struct test_node){.shm = test_shm(&sizes), .pool = sl_pool_new(0)};
	sl_assert(shmem_create("inbox", inbox_segment_bytes(TEST_SLOTS, TEST_RING),
			       &n->segment_fd) == 0);
	sl_assert(shmem_map(n->segment_fd, true, &n->segment, &n->bytes) == 0);
	for (unsigned i = 0; i < TEST_SLOTS; i++)
		sl_assert(sock_eventfd(&n->wake_fds[i]) == 0);
}

static inline void test_on_inbox(void *arg, const struct inbox_msg *msg)
{
	channels_inbox(arg, msg);
}

static inline struct sl_worker *test_worker(struct test_node *n, unsigned slot)
{
	struct sl_worker *w = &n->workers[slot];
	uint32_t owner = test_slot_start(n->shm, slot);

	*w = (struct sl_worker){.size = sizeof *w,
				.slot = (uint16_t)slot,
				.epoch = (uint16_t)owner,
				.prefix = "/",
				.shm = n->shm,
				.node_key = test_key};
	sl_assert(loop_new(&w->loop) == 0 && registry_new(n->pool, &w->registry) == 0);
	sl_assert(inbox_open(&w->inbox, n->segment, n->bytes, TEST_SLOTS, TEST_RING, n->wake_fds,
			     owner) == 0);
	sl_assert(inbox_listen(w->inbox, w->loop, test_on_inbox, w) == 0);
	return w;
}

/* In order or not: its slot is free, what it said is still in the rings. */
static inline void test_worker_end(struct test_node *n, struct sl_worker *w)
{
	channels_close(w->registry);
	inbox_close(w->inbox);
	loop_free(w->loop);
	test_slot_end(n->shm, w->slot);
	w->loop = NULL;
}

static inline void test_node_free(struct test_node *n)
{
	for (unsigned i = 0; i < TEST_SLOTS; i++) {
		if (n->workers[i].loop)
			test_worker_end(n, &n->workers[i]);
		close(n->wake_fds[i]);
	}
	munmap(n->segment, n->bytes);
	close(n->segment_fd);
	shm_detach(n->shm);
	sl_pool_destroy(n->pool);
}

/* A module that never was a file. */
static inline struct module *test_module(struct registry *r, const struct sl_module *def)
{
	struct module *m = &r->modules[r->n_modules++];

	*m = (struct module){.def = *def, .origin = "test", .started = true, .conf = m};
	return m;
}

#endif
