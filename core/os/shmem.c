/*
 * os/shmem.c: memory shared by descriptor.
 *
 * Segments are memfds whose size is sealed when they are made: a mapping can never lose its pages
 * (SIGBUS) because some process shortened the file. Text is sealed wholly, so that what the checker
 * approved is what a worker reads.
 */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEAL_SIZE (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

int shmem_create(const char *name, size_t bytes, int *ret_fd)
{
	FD_AUTO int fd = -1;

	if (bytes == 0 || bytes > INT64_MAX)
		return -SL_EINVAL;
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0 || fcntl(fd, F_ADD_SEALS, SEAL_SIZE) < 0)
		return -SL_ESYS;
	*ret_fd = fd_steal(&fd);
	return 0;
}

int shmem_create_text(const char *name, const void *src, size_t n, int *ret_fd)
{
	FD_AUTO int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || fd_write_all(fd, src, n) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
	    fcntl(fd, F_ADD_SEALS, SEAL_SIZE | F_SEAL_WRITE) < 0)
		return -SL_ESYS;
	*ret_fd = fd_steal(&fd);
	return 0;
}

/*
 * Before Linux 6.7 a shared mapping of a write-sealed file is refused even for reading. A private
 * one shows the same bytes, for nobody can change them any more.
 */
static void *map(int fd, bool writable, size_t bytes)
{
	int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	void *p = mmap(NULL, bytes, prot, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED && errno == EPERM && !writable)
		p = mmap(NULL, bytes, prot, MAP_PRIVATE, fd, 0);
	return p;
}

int shmem_map(int fd, bool writable, void **ret_p, size_t *ret_bytes)
{
	struct stat st;
	void *p = NULL;

	if (fstat(fd, &st) < 0)
		return -SL_ESYS;
	/* The kernel maps nothing of length 0; an empty text is still a text. */
	if (st.st_size > 0)
		p = map(fd, writable, (size_t)st.st_size);
	if (p == MAP_FAILED)
		return -SL_ESYS;
	*ret_p = p;
	*ret_bytes = (size_t)st.st_size;
	return 0;
}

void shmem_unmap(void *p, size_t bytes)
{
	if (p)
		munmap(p, bytes);
}
