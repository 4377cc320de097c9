/*
 * tests/lib/kid.h: child processes that work until they are killed, and tell how far they are.
 *
 * The parent kills by count of what the child has done, not by time: no sleeps, and the kill
 * falls anywhere in the next operation.
 */
#ifndef TESTS_LIB_KID_H
#define TESTS_LIB_KID_H

#include <sluice/err.h>

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct kid {
	pid_t pid;
	uint64_t *n_done; /* shared. W: the child */
};

/* Shared by this process and its children. */
static inline void *kid_memory(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	sl_assert(p != MAP_FAILED);
	return p;
}

static inline void kid_done(uint64_t *n_done)
{
	__atomic_store_n(n_done, *n_done + 1, __ATOMIC_RELEASE);
}

/* Returns true in the child, which dies with its parent at the latest. */
static inline bool kid_start(struct kid *k)
{
	if (!k->n_done)
		k->n_done = kid_memory(sizeof *k->n_done);
	*k->n_done = 0;
	k->pid = fork();
	sl_assert(k->pid >= 0);
	if (k->pid == 0)
		sl_assert(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
	return k->pid == 0;
}

/* Waits until the child has done n; false when it ended before. */
static inline bool kid_wait_done(const struct kid *k, uint64_t n)
{
	while (__atomic_load_n(k->n_done, __ATOMIC_ACQUIRE) < n) {
		int status;

		if (waitpid(k->pid, &status, WNOHANG) != 0)
			return false;
		sched_yield();
	}
	return true;
}

static inline void kid_kill(struct kid *k)
{
	int status;

	sl_assert(kill(k->pid, SIGKILL) == 0 && waitpid(k->pid, &status, 0) == k->pid);
	sl_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* The child's exit status; -1 when a signal ended it. */
static inline int kid_wait(const struct kid *k)
{
	int status;

	sl_assert(waitpid(k->pid, &status, 0) == k->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* SplitMix64. */
static inline uint64_t kid_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

#endif
