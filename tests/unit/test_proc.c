/*
 * test_proc.c: what a child is born with, and what a process may do and use.
 */
#include "../lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"

/*
 * Runs a shell script in a spawned child and gives what it printed; the exit status comes in
 * *ret_status.
 */
static char *run_script(const char *script, const struct proc_spawn *with, int *ret_status)
{
	static char out[4096];
	char *argv[] = {"sh", "-c", (char *)script, NULL};
	struct proc_spawn s = *with;
	int ends[2], pidfd = -1;
	size_t len = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return "(no pipe)";
	s.path = "/bin/sh";
	s.argv = argv;
	s.stdout_fd = ends[1];
	if (proc_spawn(&s, &pid, &pidfd) < 0)
		return "(no child)";
	fd_close(&ends[1]);
	if (fd_read_all(ends[0], out, sizeof out - 1, &len) < 0)
		return "(no output)";
	out[len] = '\0';
	fd_close(&ends[0]);
	if (poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, 30000) != 1)
		return "(no end)";
	fd_close(&pidfd);
	if (waitpid(pid, ret_status, 0) != pid)
		return "(no status)";
	return out;
}

static const struct proc_spawn plain = {.stdout_fd = -1, .stderr_fd = -1};

TEST(a_child_runs_and_its_end_is_read_from_the_pidfd)
{
	int status = -1, n = fd_count();

	CHECK_STR(sl_str_c(run_script("echo hello; exit 7", &plain, &status)), "hello\n");
	CHECK_INT(WEXITSTATUS(status), 7);
	CHECK_INT(fd_count(), n);
}

static int file_with(const char *text)
{
	int fd = -1;

	if (shmem_create_text("file", text, strlen(text), &fd) < 0)
		return -1;
	return fd;
}

/* Given in an order that overwrites the sources, if they were not lifted out of the way first. */
TEST(descriptors_arrive_in_order_from_3_and_nothing_else)
{
	int a = file_with("a"), b = file_with("b"), leak = dup(a), status = -1;
	int low = fcntl(b, F_DUPFD, 0), fds[4] = {b, a, low, a};
	struct proc_spawn s = {.fds = fds, .n_fds = 4, .stdout_fd = -1, .stderr_fd = -1};
	char *out;

	CHECK(a >= 0 && b >= 0 && leak >= 0);
	CHECK_INT(fd_set_cloexec(leak, false), 0);
	out = run_script("for i in 3 4 5 6; do cat /proc/self/fd/$i; done; echo;"
			 "ls -m /proc/$$/fd; exit 0",
			 &s, &status);
	fd_close(&a);
	fd_close(&b);
	fd_close(&leak);
	fd_close(&low);
	CHECK_STR(sl_str_c(out), "baba\n0, 1, 2, 3, 4, 5, 6\n");
}

TEST(standard_error_can_be_given)
{
	struct proc_spawn s = plain;
	int ends[2], status = -1;
	char text[16] = "";

	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	s.stderr_fd = ends[1];
	CHECK_STR(sl_str_c(run_script("echo out; echo err >&2", &s, &status)), "out\n");
	CHECK(read(ends[0], text, sizeof text - 1) == 4);
	CHECK_STR(sl_str_c(text), "err\n");
	fd_close(&ends[0]);
	fd_close(&ends[1]);
}

TEST(the_environment_is_inherited_or_given)
{
	char *const env[] = {"SLUICE_TEST=given", NULL};
	struct proc_spawn s = plain;
	int status;

	setenv("SLUICE_TEST", "inherited", 1);
	CHECK_STR(sl_str_c(run_script("echo $SLUICE_TEST", &s, &status)), "inherited\n");
	s.envp = env;
	CHECK_STR(sl_str_c(run_script("echo $SLUICE_TEST", &s, &status)), "given\n");
}

TEST(signals_are_reset_and_unblocked)
{
	sigset_t set, before;
	int status;
	char *out;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &before);
	signal(SIGPIPE, SIG_IGN);
	/* Number 32 is the C library's own: its posix_spawn (make uses it) leaves it ignored, and nobody may change it. */
	out = run_script("grep -E '^Sig(Blk|Ign)' /proc/self/status | sed 's/80000000$/00000000/'", &plain, &status);
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGPIPE, SIG_DFL);
	CHECK_STR(sl_str_c(out), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST(what_cannot_be_executed_is_told_and_leaves_nothing)
{
	char *argv[] = {"x", NULL};
	struct proc_spawn s = {
		.path = "/nonexistent", .argv = argv, .stdout_fd = -1, .stderr_fd = -1};
	int pidfd = -7, n = fd_count(), bad = 999;
	pid_t pid = -7;

	CHECK_INT(proc_spawn(&s, &pid, &pidfd), -SL_ESYS);
	CHECK_INT(errno, ENOENT);
	s.path = "/bin/true";
	s.fds = &bad;
	s.n_fds = 1;
	CHECK_INT(proc_spawn(&s, &pid, &pidfd), -SL_ESYS);
	CHECK_INT(errno, EBADF);
	CHECK(pid == -7 && pidfd == -7);
	CHECK_INT(fd_count(), n);
	CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

TEST(the_own_program_is_found)
{
	char path[4096], small[4];
	struct stat a, b;

	CHECK_INT(proc_self_exe(path, sizeof path), 0);
	CHECK(stat(path, &a) == 0 && stat("/proc/self/exe", &b) == 0);
	CHECK(a.st_ino == b.st_ino);
	CHECK_INT(proc_self_exe(small, sizeof small), -SL_ELIMIT);
}

/* Runs fn in a child of its own, which may spoil itself; 0 when it returned true. */
static int in_child(bool (*fn)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(fn() ? 0 : 1);
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

/* A member of /proc/self/status, as a number of this base. */
static uint64_t status_value(const char *name, int base)
{
	uint64_t value = UINT64_MAX;
	char *text, *at;
	size_t len;

	if (fd_slurp("/proc/self/status", 1 << 20, &text, &len) < 0)
		return value;
	at = strstr(text, name);
	if (at)
		value = strtoull(at + strlen(name), NULL, base);
	free(text);
	return value;
}

static bool drops_to_nobody(void)
{
	gid_t groups[8];

	return proc_drop_privileges("nobody", NULL, false) == 0 && getuid() == 65534 &&
	       getegid() == 65534 && getgroups(8, groups) == 0 && setuid(0) < 0 &&
	       status_value("CapPrm:", 16) == 0 && status_value("CapEff:", 16) == 0 &&
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

static bool keeps_net_bind(void)
{
	return proc_drop_privileges("65534", "65534", true) == 0 && getuid() == 65534 &&
	       status_value("CapEff:", 16) == 1 << 10 && status_value("CapPrm:", 16) == 1 << 10;
}

static bool refuses_unknown_names(void)
{
	return proc_drop_privileges("no-such-user", NULL, false) == -SL_ENOENT &&
	       proc_drop_privileges("nobody", "no-such-group", false) == -SL_ENOENT &&
	       getuid() == 0;
}

static bool works_without_root(void)
{
	return setresuid(65534, 65534, 65534) == 0 &&
	       proc_drop_privileges("root", NULL, true) == 0 && getuid() == 65534 &&
	       status_value("CapEff:", 16) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

TEST(privileges_are_dropped_for_good)
{
	if (geteuid() != 0)
		return; /* there is nothing to drop */
	CHECK_INT(in_child(drops_to_nobody), 0);
	CHECK_INT(in_child(keeps_net_bind), 0);
	CHECK_INT(in_child(refuses_unknown_names), 0);
	CHECK_INT(in_child(works_without_root), 0);
}

static bool raises_the_limit(void)
{
	struct rlimit limit = {.rlim_cur = 100, .rlim_max = 200};
	uint64_t got = 0;

	return setrlimit(RLIMIT_NOFILE, &limit) == 0 && proc_set_nofile(150, &got) == 0 &&
	       got == 150 && proc_set_nofile(120, &got) == 0 && got == 150 &&
	       proc_set_nofile(UINT64_MAX, &got) == 0 && got == 200 &&
	       getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 200;
}

TEST(the_descriptor_limit_rises_to_the_hard_one)
{
	CHECK_INT(in_child(raises_the_limit), 0);
}

TEST(a_pid_file_is_replaced_whole)
{
	char dir[] = "/tmp/test_proc.XXXXXX", path[64], *text;
	size_t len;

	CHECK(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/pid", dir);
	CHECK_INT(proc_write_pidfile(path, 123456), 0);
	CHECK_INT(proc_write_pidfile(path, 42), 0);
	CHECK_INT(fd_slurp(path, 100, &text, &len), 0);
	CHECK_STR(sl_str_c(text), "42\n");
	free(text);
	CHECK_INT(unlink(path), 0);
	CHECK_INT(rmdir(dir), 0); /* no temporary file was left */
	CHECK_INT(proc_write_pidfile("/nonexistent/dir/pid", 1), -SL_ESYS);
}

static bool pins(void)
{
	int n = proc_cpu_count();

	return proc_pin_cpu(n) == -SL_EINVAL && proc_pin_cpu(-1) == -SL_EINVAL &&
	       proc_pin_cpu(n - 1) == 0 && proc_cpu_count() == 1 && proc_pin_cpu(0) == 0;
}

TEST(cpus_are_counted_and_pinned_among_the_usable)
{
	CHECK(proc_cpu_count() >= 1);
	CHECK_INT(in_child(pins), 0);
}

TEST(memory_of_a_process_is_known_while_it_lives)
{
	CHECK(proc_rss_bytes(getpid()) > 100000);
	CHECK_INT(proc_rss_bytes(0x3fffffff), 0);
}

TEST_MAIN()
