/*
 * tests/integration/fault/shim.c: makes one chosen library call fail, in one chosen kind of
 * process, at its n-th use.
 *
 * Preloaded into a server under test; the test steers it through a small shared file named by
 * FAULT_FILE. Only calls made by the server's own code and modules count, found by the return
 * address: what third-party libraries do when memory is short is theirs. One call fails per order,
 * so that what follows shows whether the rest was left in order.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define HERE __builtin_return_address(0)

enum call {
	NONE,
	MEMORY,
	MMAP,
	RECVMMSG,
	RECVFROM,
	SENDMMSG,
	SENDTO,
	SENDMSG,
	ACCEPT,
	BPF,
	SOCKET,
	EPOLL
};
enum role { TOOL, MASTER = 1, CHECKER = 2, WORKER = 4 };

/* W: the test, but for count and fired. The same layout stands in test_fault. */
struct order {
	uint32_t call, roles;
	uint32_t now, since; /* only processes that began at this time or later */
	uint64_t at, count, fired;
};

static struct order *order;
static enum role role;
static uint32_t born;
static const void *program;

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

static enum role role_of(int argc, char **argv)
{
	static const char *const tools[] = {"-s", "top", "sessions", "trace", "kick", "-t", "-T"};

	if (strncmp(argv[0], "sluice: checker", 15) == 0)
		return CHECKER;
	if (strncmp(argv[0], "sluice: worker", 14) == 0)
		return WORKER;
	for (int i = 1; i < argc; i++)
		for (size_t k = 0; k < sizeof tools / sizeof *tools; k++)
			if (strcmp(argv[i], tools[k]) == 0)
				return TOOL;
	return MASTER;
}

__attribute__((constructor)) static void begin(int argc, char **argv)
{
	const char *name = getenv("FAULT_FILE");
	int fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
	Dl_info info;
	void *p;

	if (fd < 0 || argc < 1)
		return;
	p = mmap(NULL, sizeof *order, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED || !dladdr((void *)getauxval(AT_ENTRY), &info))
		return;
	program = info.dli_fbase;
	role = role_of(argc, argv);
	born = ((struct order *)p)->now;
	order = p;
}

static bool is_ours(const void *caller)
{
	Dl_info info;

	return dladdr(caller, &info) && (info.dli_fbase == program ||
					 (info.dli_fname && strstr(info.dli_fname, "/modules/")));
}

static bool fails(enum call call, const void *caller, int error)
{
	if (!order || __atomic_load_n(&order->call, __ATOMIC_ACQUIRE) != call ||
	    !(order->roles & role))
		return false;
	if (born < order->since || !is_ours(caller))
		return false;
	if (__atomic_add_fetch(&order->count, 1, __ATOMIC_RELAXED) != order->at)
		return false;
	__atomic_store_n(&order->fired, 1, __ATOMIC_RELEASE);
	errno = error;
	return true;
}

EXPORT void *malloc(size_t n)
{
	return fails(MEMORY, HERE, ENOMEM) ? NULL : __libc_malloc(n);
}

EXPORT void *calloc(size_t n, size_t size)
{
	return fails(MEMORY, HERE, ENOMEM) ? NULL : __libc_calloc(n, size);
}

EXPORT void *realloc(void *p, size_t n)
{
	return fails(MEMORY, HERE, ENOMEM) ? NULL : __libc_realloc(p, n);
}

/* X(call, errno, result, name, parameters, arguments) */
#define WRAPPED(X)                                                                                 \
	X(MMAP, ENOMEM, void *, mmap, (void *a, size_t n, int prot, int flags, int fd, off_t at),  \
	  (a, n, prot, flags, fd, at))                                                             \
	X(RECVMMSG, ENOMEM, int, recvmmsg,                                                         \
	  (int fd, struct mmsghdr *v, unsigned n, int flags, struct timespec *t),                  \
	  (fd, v, n, flags, t))                                                                    \
	X(RECVFROM, ENOMEM, ssize_t, recvfrom,                                                     \
	  (int fd, void *p, size_t n, int flags, __SOCKADDR_ARG a, socklen_t *len),                \
	  (fd, p, n, flags, a, len))                                                               \
	X(SENDMMSG, ENOBUFS, int, sendmmsg, (int fd, struct mmsghdr *v, unsigned n, int flags),    \
	  (fd, v, n, flags))                                                                       \
	X(SENDTO, ENOBUFS, ssize_t, sendto,                                                        \
	  (int fd, const void *p, size_t n, int flags, __CONST_SOCKADDR_ARG a, socklen_t len),     \
	  (fd, p, n, flags, a, len))                                                               \
	X(SENDMSG, ENOBUFS, ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags),         \
	  (fd, m, flags))                                                                          \
	X(ACCEPT, ENOMEM, int, accept4, (int fd, __SOCKADDR_ARG a, socklen_t *len, int flags),     \
	  (fd, a, len, flags))                                                                     \
	X(SOCKET, ENFILE, int, socket, (int domain, int type, int protocol),                       \
	  (domain, type, protocol))

#define X(call, error, result, name, parameters, arguments)                                        \
	EXPORT result name parameters                                                              \
	{                                                                                          \
		static result(*real) parameters;                                                   \
		if (!real)                                                                         \
			*(void **)&real = dlsym(RTLD_NEXT, #name);                                 \
		return fails(call, HERE, error) ? (result)-1 : real arguments;                     \
	}
WRAPPED(X)
#undef X

/* Taking a descriptor out needs nothing and does not fail. */
EXPORT int epoll_ctl(int fd, int op, int of, struct epoll_event *e)
{
	static int (*real)(int, int, int, struct epoll_event *);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "epoll_ctl");
	return op == EPOLL_CTL_ADD && fails(EPOLL, HERE, ENOSPC) ? -1 : real(fd, op, of, e);
}

/* bpf(2) has no function of its own. */
EXPORT long syscall(long number, ...)
{
	static long (*real)(long, ...);
	long a[6];
	va_list ap;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_bpf && fails(BPF, HERE, ENOMEM))
		return -1;
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
