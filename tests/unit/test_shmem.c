/*
 * test_shmem.c: segments that are shared, and texts that nobody can change.
 */
#include "../lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/os.h"

TEST(a_segment_is_zeroed_shared_and_fixed_in_size)
{
	FD_AUTO int fd = -1;
	uint8_t *a, *b;
	void *p;
	size_t n;

	CHECK_INT(shmem_create("workers", 8192, &fd), 0);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CHECK_INT(shmem_map(fd, true, &p, &n), 0);
	CHECK_INT(n, 8192);
	a = p;
	CHECK_INT(a[0] | a[8191], 0);
	CHECK_INT(shmem_map(fd, false, &p, &n), 0);
	b = p;
	a[5000] = 42;
	CHECK_INT(b[5000], 42);
	CHECK(ftruncate(fd, 4096) < 0 && errno == EPERM);
	CHECK(ftruncate(fd, 16384) < 0 && errno == EPERM);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0);
	shmem_unmap(a, n);
	shmem_unmap(b, n);
}

TEST(a_text_reads_the_same_for_ever)
{
	FD_AUTO int fd = -1;
	char text[8] = "";
	size_t n, len;
	void *p;

	CHECK_INT(shmem_create_text("plan", "listen:", 7, &fd), 0);
	CHECK_INT(shmem_map(fd, false, &p, &n), 0);
	CHECK_STR(((struct sl_str){p, n}), "listen:");
	CHECK_INT(fd_read_all(fd, text, sizeof text, &len), 0);
	CHECK_STR(((struct sl_str){text, len}), "listen:");
	CHECK(pwrite(fd, "x", 1, 0) < 0 && errno == EPERM);
	CHECK(ftruncate(fd, 0) < 0);
	shmem_unmap(p, n);
	CHECK_INT(shmem_map(fd, true, &p, &n), -SL_ESYS);
}

TEST(an_empty_text_maps_to_nothing)
{
	FD_AUTO int fd = -1;
	size_t n = 9;
	void *p = &n;

	CHECK_INT(shmem_create_text("empty", NULL, 0, &fd), 0);
	CHECK_INT(shmem_map(fd, false, &p, &n), 0);
	CHECK(p == NULL && n == 0);
	shmem_unmap(p, n);
}

TEST(impossible_segments_are_refused)
{
	int fd = -7, n = fd_count();
	size_t bytes;
	void *p;

	CHECK_INT(shmem_create("none", 0, &fd), -SL_EINVAL);
	CHECK_INT(shmem_create("huge", SIZE_MAX, &fd), -SL_EINVAL);
	CHECK_INT(shmem_map(-1, false, &p, &bytes), -SL_ESYS);
	CHECK_INT(fd, -7);
	CHECK_INT(fd_count(), n);
}

TEST_MAIN()
