/*
 * test_workers.c: who is alive, and who takes new work.
 */
#include "../lib/test.h"
#include "../lib/shm.h"

static const struct shm_sizes sizes = {
	.n_slots = 4, .n_sessions = 8, .n_limits = 8, .metric_bytes = 1024, .n_trace = 8};

TEST(an_owner_lives_from_its_start_to_its_end_and_no_epoch_longer)
{
	struct shm *s = test_shm(&sizes);
	uint32_t first, second;

	CHECK(!shm_owner_alive(s, 0));
	CHECK(!shm_owner_alive(s, shm_owner(s, 2)));
	first = test_slot_start(s, 2);
	CHECK_INT(first, 2 << 16 | 1);
	CHECK_INT(owner_slot(first), 2);
	CHECK(shm_owner_alive(s, first));
	test_slot_end(s, 2);
	CHECK(!shm_owner_alive(s, first));
	second = test_slot_start(s, 2);
	CHECK(shm_owner_alive(s, second) && !shm_owner_alive(s, first));
	CHECK(!shm_owner_alive(s, 99 << 16 | 1));
	CHECK_INT(shm_owner(s, 99), 0);
	shm_detach(s);
}

TEST(new_work_goes_to_serving_workers_of_the_current_generation)
{
	struct shm *s = test_shm(&sizes);
	uint16_t slots[4];

	for (unsigned i = 0; i < 4; i++) {
		test_slot_start(s, i);
		shm_worker(s, i)->generation = 5;
	}
	shm_set_generation(s, 5);
	CHECK_INT(shm_current_slots(s, slots, 4), 4);
	shm_worker(s, 0)->generation = 4;
	shm_worker(s, 1)->kind = 1;
	CHECK_INT(shm_current_slots(s, slots, 4), 2);
	CHECK(slots[0] == 2 && slots[1] == 3);
	CHECK_INT(shm_current_slots(s, slots, 1), 1);
	shm_worker(s, 3)->state = WORKER_DRAINING;
	CHECK_INT(shm_current_slots(s, slots, 4), 1);
	shm_detach(s);
}

TEST_MAIN()
