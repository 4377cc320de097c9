/*
 * os/proc.c: starting processes, and what a process may do and use.
 *
 * A child begins as a service manager would start it: known descriptors, default signals, nothing
 * blocked. Its end is read from a pidfd, which names this child for ever, where a pid may be
 * another process by now. A child does not die with its parent: workers outlive a master that
 * crashed.
 *
 * Not for processes with threads of their own in the parent: the child works between fork and exec.
 */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_FD 3

/* ---- starting */

static void reset_signals(void)
{
	sigset_t none;

	/* Fails for those that nobody can change, which is as good. */
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Out of the way of the final numbers, before any of them is overwritten. */
static int lift(int fd, unsigned floor, int *ret_fd)
{
	int lifted = fcntl(fd, F_DUPFD_CLOEXEC, (int)floor);

	if (lifted < 0)
		return -SL_ESYS;
	*ret_fd = lifted;
	return 0;
}

/*
 * lifted has room for n_fds + 3: the caller's descriptors, then stdout, stderr and the report pipe.
 * /
 */
static int arrange_fds(const struct proc_spawn *s, int *lifted)
{
	unsigned n = s->n_fds, floor = FIRST_FD + n;
	int out = s->stdout_fd >= 0 ? s->stdout_fd : STDOUT_FILENO;
	int err = s->stderr_fd >= 0 ? s->stderr_fd : STDERR_FILENO;

	for (unsigned i = 0; i < n; i++)
		if (lift(s->fds[i], floor, &lifted[i]) < 0)
			return -SL_ESYS;
	if (lift(out, floor, &lifted[n]) < 0 || lift(err, floor, &lifted[n + 1]) < 0)
		return -SL_ESYS;
	for (unsigned i = 0; i < n; i++)
		if (dup2(lifted[i], (int)(FIRST_FD + i)) < 0)
			return -SL_ESYS;
	if (dup2(lifted[n], STDOUT_FILENO) < 0 || dup2(lifted[n + 1], STDERR_FILENO) < 0)
		return -SL_ESYS;
	/*
	 * What a library left open goes at exec; so does the report pipe, and not a moment earlier.
	 * /
	 */
	return close_range(floor, ~0u, CLOSE_RANGE_CLOEXEC) < 0 ? -SL_ESYS : 0;
}

/* Runs in the child. When there is no exec the reason goes up the pipe. */
static _Noreturn void become(const struct proc_spawn *s, int *lifted, int report)
{
	int *pipe_fd = &lifted[s->n_fds + 2], reason;

	reset_signals();
	if (lift(report, FIRST_FD + s->n_fds, pipe_fd) < 0)
		*pipe_fd = report;
	else if (arrange_fds(s, lifted) == 0)
		execve(s->path, s->argv, s->envp ? s->envp : environ);
	reason = errno;
	(void)fd_write_all(*pipe_fd, &reason, sizeof reason); /* the parent may be gone */
	_exit(127);
}

static pid_t fork_child(const struct proc_spawn *s, int report)
{
	int *lifted = calloc((size_t)s->n_fds + 3, sizeof *lifted);
	sigset_t all, before;
	pid_t pid;

	if (!lifted)
		return -1;
	/* No handler of the parent's may run in the child before its signals are reset. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		become(s, lifted, report);
	sigprocmask(SIG_SETMASK, &before, NULL);
	free(lifted);
	return pid;
}

/* Of a child that never became a program: nobody else knows its pid. */
static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* 0 once the child has become the program; else errno is what kept it. */
static int await_exec(int report)
{
	int reason = 0;
	size_t len;

	if (fd_read_all(report, &reason, sizeof reason, &len) < 0)
		return -SL_ESYS;
	if (len == 0)
		return 0;
	errno = len == sizeof reason ? reason : EIO;
	return -SL_ESYS;
}

int proc_spawn(const struct proc_spawn *s, pid_t *ret_pid, int *ret_pidfd)
{
	int ends[2], pidfd, saved_errno;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -SL_ESYS;
	pid = fork_child(s, ends[1]);
	fd_close(&ends[1]);
	if (pid < 0) {
		fd_close(&ends[0]);
		return -SL_ESYS;
	}
	/* Ours and not waited for, so the number is still this child's, even when it has ended. */
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0 || await_exec(ends[0]) < 0) {
		saved_errno = errno;
		kill(pid, SIGKILL);
		reap(pid);
		fd_close(&pidfd);
		fd_close(&ends[0]);
		errno = saved_errno;
		return -SL_ESYS;
	}
	fd_close(&ends[0]);
	*ret_pid = pid;
	*ret_pidfd = pidfd;
	return 0;
}

/* After an upgrade the running file is "(deleted)"; its path is where the new one lies. */
int proc_self_exe(char *dst, size_t cap)
{
	static const char deleted[] = " (deleted)";
	const size_t n_deleted = sizeof deleted - 1;
	ssize_t n = readlink("/proc/self/exe", dst, cap);

	if (n < 0)
		return -SL_ESYS;
	if ((size_t)n >= cap)
		return -SL_ELIMIT;
	if ((size_t)n > n_deleted && memcmp(dst + n - n_deleted, deleted, n_deleted) == 0)
		n -= (ssize_t)n_deleted;
	dst[n] = '\0';
	return 0;
}

/* ---- privileges */

/* Names first; plain numbers work where there is no user database, as in small containers. */
static int find_user(const char *name, uid_t *ret_uid, gid_t *ret_gid)
{
	const struct passwd *user = getpwnam(name);
	uint64_t id;

	if (!user && (sl_str_u64(sl_str_c(name), &id) < 0 || id >= UINT32_MAX))
		return -SL_ENOENT;
	*ret_uid = user ? user->pw_uid : (uid_t)id;
	*ret_gid = user ? user->pw_gid : (gid_t)id;
	return 0;
}

static int find_group(const char *name, gid_t *ret_gid)
{
	const struct group *group = getgrnam(name);
	uint64_t id;

	if (!group && (sl_str_u64(sl_str_c(name), &id) < 0 || id >= UINT32_MAX))
		return -SL_ENOENT;
	*ret_gid = group ? group->gr_gid : (gid_t)id;
	return 0;
}

static int set_ids(const char *user, const char *group)
{
	uid_t uid = getuid();
	gid_t gid = getgid();

	if (user && find_user(user, &uid, &gid) < 0)
		return -SL_ENOENT;
	if (group && find_group(group, &gid) < 0)
		return -SL_ENOENT;
	/*
	 * Groups while still root, the user last: the other way round the first step takes the
	 * right to the next.
	 */
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -SL_ESYS;
	return 0;
}

/* All capabilities go but those in keep, as far as this process has them. */
static int limit_caps(uint32_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, caps) < 0)
		return -SL_ESYS;
	keep &= caps[0].permitted;
	memset(caps, 0, sizeof caps);
	caps[0].permitted = caps[0].effective = keep;
	if (syscall(SYS_capset, &header, caps) < 0)
		return -SL_ESYS;
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ? -SL_ESYS : 0;
}

/*
 * Who is not root cannot change its ids, and loses its capabilities only. The kernel takes them all
 * from a root that becomes another user, unless it was asked to keep them until they are limited
 * here.
 */
int proc_drop_privileges(const char *user, const char *group, bool keep_net_bind)
{
	uint32_t keep = keep_net_bind ? UINT32_C(1) << CAP_NET_BIND_SERVICE : 0;
	int err;

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return -SL_ESYS;
	if (geteuid() == 0) {
		err = set_ids(user, group);
		if (err < 0)
			return err;
	}
	if (limit_caps(keep) < 0 || prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -SL_ESYS;
	return 0;
}

/* ---- resources */

/* A limit that is larger already stays. */
int proc_set_nofile(uint64_t want, uint64_t *ret_got)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -SL_ESYS;
	if (want > limit.rlim_max)
		want = limit.rlim_max;
	if (want > limit.rlim_cur) {
		limit.rlim_cur = want;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			return -SL_ESYS;
	}
	*ret_got = limit.rlim_cur;
	return 0;
}

/* O_NOFOLLOW: a link that somebody laid in the run directory is not written through. */
static int write_number(const char *path, pid_t pid)
{
	FD_AUTO int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	char text[16];
	int n = snprintf(text, sizeof text, "%d\n", (int)pid);

	return fd < 0 || fd_write_all(fd, text, (size_t)n) < 0 ? -SL_ESYS : 0;
}

/* Renamed into place: who reads the file finds a whole number, always. */
int proc_write_pidfile(const char *path, pid_t pid)
{
	char temporary[PATH_MAX];
	int n = snprintf(temporary, sizeof temporary, "%s.new", path);

	if (n < 0 || (size_t)n >= sizeof temporary)
		return -SL_ELIMIT;
	if (write_number(temporary, pid) < 0)
		return -SL_ESYS;
	if (rename(temporary, path) < 0) {
		(void)unlink(temporary); /* errno of rename is the one that matters */
		return -SL_ESYS;
	}
	return 0;
}

int proc_cpu_count(void)
{
	cpu_set_t usable;

	if (sched_getaffinity(0, sizeof usable, &usable) == 0)
		return CPU_COUNT(&usable);
	return 1; /* more CPUs than a cpu_set_t can name */
}

/* cpu counts the usable ones from 0: a service that was given CPUs 8..11 pins to 0..3. */
int proc_pin_cpu(int cpu)
{
	cpu_set_t usable, one;

	if (sched_getaffinity(0, sizeof usable, &usable) < 0)
		return -SL_ESYS;
	if (cpu < 0 || cpu >= CPU_COUNT(&usable))
		return -SL_EINVAL;
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &usable) || cpu-- > 0)
			continue;
		CPU_SET(i, &one);
		break;
	}
	return sched_setaffinity(0, sizeof one, &one) < 0 ? -SL_ESYS : 0;
}

/* 0 when the process is gone. statm: total and resident size in pages. */
uint64_t proc_rss_bytes(pid_t pid)
{
	char path[64], *text;
	struct sl_str rest;
	uint64_t pages = 0;
	size_t len;

	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	if (fd_slurp(path, 4096, &text, &len) < 0)
		return 0;
	rest = (struct sl_str){text, len};
	(void)sl_str_split(&rest, ' ');
	if (sl_str_u64(sl_str_split(&rest, ' '), &pages) < 0)
		pages = 0;
	free(text);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
