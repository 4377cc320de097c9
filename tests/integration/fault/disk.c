/*
 * tests/integration/fault/disk.c: a disk that fails, for the process that it is preloaded into.
 *
 * The test says through a small shared file, named by DISK_FILE, with which errno calls fail, and
 * which; it concerns files whose path has "/recordings" in it. All of a kind fail until it is told
 * otherwise, as they do on a device that is gone or was mounted anew, read-only. DIE fails nothing:
 * the process is killed once it has made a file of media, before anything is in it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum kind { WRITE = 1, SYNC = 2, NAME = 4, OPEN = 8, DIE = 16 };

/* W: the test. The same layout stands in test_record_disk. */
struct order {
	uint32_t error, kinds;
};

static const struct order *order;

__attribute__((constructor)) static void begin(void)
{
	const char *name = getenv("DISK_FILE");
	int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
	void *p;

	if (fd < 0)
		return;
	p = mmap(NULL, sizeof *order, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	order = p == MAP_FAILED ? NULL : p;
}

static bool fails(enum kind kind, const char *path)
{
	if (!order || !(__atomic_load_n(&order->kinds, __ATOMIC_ACQUIRE) & kind) ||
	    !strstr(path, "/recordings"))
		return false;
	errno = (int)order->error;
	return true;
}

static bool fails_at(enum kind kind, int fd)
{
	char link[40], path[1024];
	ssize_t n;

	if (!order || !order->kinds)
		return false;
	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path - 1);
	path[n > 0 ? n : 0] = '\0';
	return fails(kind, path);
}

/* X(kind, how it is found, what is asked, result, name, parameters, arguments) */
#define WRAPPED(X)                                                                                 \
	X(WRITE, fails_at, fd, ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at),       \
	  (fd, p, n, at))                                                                          \
	X(WRITE, fails_at, fd, ssize_t, pwrite64, (int fd, const void *p, size_t n, off_t at),     \
	  (fd, p, n, at))                                                                          \
	X(WRITE, fails_at, fd, int, ftruncate, (int fd, off_t n), (fd, n))                         \
	X(WRITE, fails_at, fd, int, ftruncate64, (int fd, off_t n), (fd, n))                       \
	X(SYNC, fails_at, fd, int, fdatasync, (int fd), (fd))                                      \
	X(SYNC, fails_at, fd, int, fsync, (int fd), (fd))                                          \
	X(NAME, fails, from, int, rename, (const char *from, const char *to), (from, to))          \
	X(NAME, fails, path, int, unlink, (const char *path), (path))

#define X(kind, found, what, type, name, parameters, arguments)                                    \
	EXPORT type name parameters                                                                \
	{                                                                                          \
		type(*next) parameters = (type(*) parameters)dlsym(RTLD_NEXT, #name);              \
                                                                                                   \
		return found(kind, what) ? -1 : next arguments;                                    \
	}
WRAPPED(X)
#undef X

static int opened(int fd, const char *path, int flags)
{
	const char *dot = strrchr(path, '.');

	if (fd >= 0 && flags & O_EXCL && dot && strcmp(dot, ".part") == 0 && fails(DIE, path))
		(void)kill(getpid(), SIGKILL);
	return fd;
}

/* Both names of it: glibc has two */
#define OPENED(name)                                                                               \
	EXPORT int name(const char *path, int flags, ...)                                          \
	{                                                                                          \
		int (*next)(const char *, int, ...) =                                              \
			(int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name);                  \
		mode_t mode;                                                                       \
		va_list ap;                                                                        \
                                                                                                   \
		va_start(ap, flags);                                                               \
		mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;                                   \
		va_end(ap);                                                                        \
		if (flags & (O_CREAT | O_WRONLY | O_RDWR) && fails(OPEN, path))                    \
			return -1;                                                                 \
		return opened(next(path, flags, mode), path, flags);                               \
	}
OPENED(open)
OPENED(open64)
