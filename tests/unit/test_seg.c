/*
 * test_seg.c: a set of segments explains itself, and what is not of the set is refused.
 */
#include "../lib/test.h"
#include "os/os.h"
#include "shm/shm.h"

#include <sys/mman.h>
#include <unistd.h>

static const struct shm_sizes sizes = {
	.n_slots = 5, .n_sessions = 100, .n_limits = 60, .metric_bytes = 5000, .n_trace = 16};

static void close_all(int fds[SHM_SEGMENTS])
{
	for (unsigned i = 0; i < SHM_SEGMENTS; i++)
		close(fds[i]);
}

TEST(a_new_set_is_empty_and_tells_its_sizes)
{
	struct shm *s = NULL;
	int fds[SHM_SEGMENTS];

	CHECK_INT(shm_create(&sizes, fds), 0);
	CHECK_INT(shm_attach(fds, true, &s), 0);
	close_all(fds);
	/* word by word: padding need not be equal */
	CHECK_INT(shm_sizes(s)->n_slots, sizes.n_slots);
	CHECK_INT(shm_sizes(s)->n_sessions, sizes.n_sessions);
	CHECK_INT(shm_sizes(s)->n_limits, sizes.n_limits);
	CHECK_INT(shm_sizes(s)->metric_bytes, sizes.metric_bytes);
	CHECK_INT(shm_sizes(s)->n_trace, sizes.n_trace);
	CHECK_INT(shm_audit(s), 0);
	CHECK_INT(shm_sessions_live(s), 0);
	CHECK(shm_worker(s, 4) && !shm_worker(s, 5));
	shm_detach(s);
	shm_detach(NULL);
}

TEST(two_mappings_show_the_same_words)
{
	struct shm *a = NULL, *b = NULL;
	int fds[SHM_SEGMENTS];

	CHECK_INT(shm_create(&sizes, fds), 0);
	CHECK_INT(shm_attach(fds, true, &a), 0);
	CHECK_INT(shm_attach(fds, false, &b), 0);
	shm_set_generation(a, 7);
	CHECK_INT(shm_generation(b), 7);
	shm_detach(a);
	shm_detach(b);
	close_all(fds);
}

TEST(impossible_sizes_are_refused)
{
	struct shm_sizes z;
	int fds[SHM_SEGMENTS];

	z = sizes, z.n_slots = 0;
	CHECK_INT(shm_create(&z, fds), -SL_EINVAL);
	z = sizes, z.n_slots = 4097;
	CHECK_INT(shm_create(&z, fds), -SL_EINVAL);
	z = sizes, z.n_trace = 12;
	CHECK_INT(shm_create(&z, fds), -SL_EINVAL);
	z = sizes, z.n_sessions = 0;
	CHECK_INT(shm_create(&z, fds), -SL_EINVAL);
	z = sizes, z.metric_bytes = 10;
	CHECK_INT(shm_create(&z, fds), -SL_EINVAL);
}

TEST(segments_of_two_sets_do_not_mix)
{
	struct shm *s = NULL;
	int a[SHM_SEGMENTS], b[SHM_SEGMENTS], mixed[SHM_SEGMENTS];

	CHECK_INT(shm_create(&sizes, a), 0);
	CHECK_INT(shm_create(&sizes, b), 0);
	for (unsigned i = 0; i < SHM_SEGMENTS; i++) {
		memcpy(mixed, a, sizeof mixed);
		mixed[i] = b[i];
		CHECK_INT(shm_attach(mixed, true, &s), -SL_EABI);
		mixed[i] = a[(i + 1) % SHM_SEGMENTS];
		CHECK_INT(shm_attach(mixed, true, &s), -SL_EABI);
	}
	CHECK(!s);
	close_all(a);
	close_all(b);
}

TEST(another_layout_is_refused)
{
	for (unsigned byte = 0; byte < 40; byte++) {
		struct shm *s = NULL;
		int fds[SHM_SEGMENTS];
		size_t bytes;
		void *p;

		CHECK_INT(shm_create(&sizes, fds), 0);
		CHECK_INT(shmem_map(fds[SHM_SESSIONS], true, &p, &bytes), 0);
		((uint8_t *)p)[byte] ^= 0x10;
		shmem_unmap(p, bytes);
		CHECK_INT(shm_attach(fds, false, &s), -SL_EABI);
		close_all(fds);
	}
}

TEST(a_short_segment_is_refused)
{
	struct shm *s = NULL;
	int fds[SHM_SEGMENTS], small;

	CHECK_INT(shm_create(&sizes, fds), 0);
	CHECK_INT(shmem_create("small", 16, &small), 0);
	close(fds[SHM_LIMITS]);
	fds[SHM_LIMITS] = small;
	CHECK_INT(shm_attach(fds, true, &s), -SL_EABI);
	close_all(fds);
	fds[SHM_WORKERS] = -1;
	CHECK(shm_attach(fds, true, &s) < 0);
}

TEST_MAIN()
