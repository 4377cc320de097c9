/*
 * bench/preload/mallocs.c: counts what a process takes from the heap; loaded with LD_PRELOAD.
 *
 * Each process keeps its count in a file named after its pid in the folder that BENCH_MALLOCS
 * names, as one mapped 64-bit word, so that the benchmark can read it while the process runs.
 * Freeing is not counted: what is never taken is never given back.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* glibc's own names of its allocator: no dlsym, which allocates itself. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

static _Atomic uint64_t before_start;
static _Atomic uint64_t *count = &before_start;

__attribute__((constructor)) static void start(void)
{
	const char *folder = getenv("BENCH_MALLOCS");
	char path[256];
	void *word;
	int fd;

	if (!folder)
		return;
	snprintf(path, sizeof path, "%s/%d", folder, (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (ftruncate(fd, sizeof *count) == 0) {
		word = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (word != MAP_FAILED)
			count = word;
	}
	close(fd);
}

static void count_one(void)
{
	atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

void *malloc(size_t n)
{
	count_one();
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	count_one();
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	count_one();
	return __libc_realloc(p, n);
}

void *memalign(size_t alignment, size_t n)
{
	count_one();
	return __libc_memalign(alignment, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
	return memalign(alignment, n);
}

int posix_memalign(void **ret_p, size_t alignment, size_t n)
{
	void *p = memalign(alignment, n);

	if (!p)
		return 12; /* ENOMEM */
	*ret_p = p;
	return 0;
}
