/*
 * test_err.c: sentences of results, and what a failed check or assertion does to a process.
 */
#include "../lib/test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
	const char *cond;
	int calls;
	bool fatal;
} hook;

static void on_bug(const char *cond, const char *file, int line, bool fatal)
{
	(void)file;
	(void)line;
	hook.cond = cond;
	hook.fatal = fatal;
	hook.calls++;
}

static int check_positive(int x)
{
	if (!sl_check(x > 0))
		return -SL_EBUG;
	return x;
}

TEST(every_result_has_its_sentence_with_either_sign)
{
	CHECK_STR(sl_str_c(sl_strerror(0)), "success");
	CHECK_STR(sl_str_c(sl_strerror(-SL_ENOMEM)), "out of memory");
	CHECK_STR(sl_str_c(sl_strerror(SL_ENOMEM)), "out of memory");
	CHECK_STR(sl_str_c(sl_strerror(-SL_EBUG)), "internal error");
}

TEST(an_unknown_result_is_called_so)
{
	CHECK_STR(sl_str_c(sl_strerror(-SL_EBUG - 1)), "unknown error");
	CHECK_STR(sl_str_c(sl_strerror(INT32_MIN)), "unknown error");
	CHECK_STR(sl_str_c(sl_strerror(INT32_MAX)), "unknown error");
}

TEST(a_failed_check_is_counted_each_time_and_told_once_per_place)
{
	uint64_t before = sl_bugs_total();

	unsetenv("SLUICE_STRICT");
	sl_bug_hook(on_bug);
	hook.calls = 0;
	CHECK_INT(check_positive(1), 1);
	CHECK_INT(hook.calls, 0);
	CHECK_INT(check_positive(-1), -SL_EBUG);
	CHECK_INT(check_positive(-2), -SL_EBUG);
	sl_bug_hook(NULL);
	CHECK_INT(sl_bugs_total() - before, 2);
	CHECK_INT(hook.calls, 1);
	CHECK(!hook.fatal);
	CHECK_STR(sl_str_c(hook.cond), "x > 0");
}

/* Runs fn in a child; returns the signal that ended it, 0 for none. *ret_line is what it wrote. */
static int signal_of(void (*fn)(void), char *ret_line, size_t cap)
{
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	fflush(stdout);
	if (pipe(ends) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		fn();
		_exit(0);
	}
	close(ends[1]);
	n = read(ends[0], ret_line, cap - 1);
	ret_line[n > 0 ? n : 0] = '\0';
	close(ends[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void fail_assertion(void)
{
	volatile int two = 2;

	sl_assert(two == 3);
}

static void fail_check_strictly(void)
{
	setenv("SLUICE_STRICT", "1", 1);
	(void)check_positive(0);
}

static void fail_in_the_hook(const char *cond, const char *file, int line, bool fatal)
{
	on_bug(cond, file, line, fatal);
	fail_assertion();
}

static void fail_assertion_with_a_bad_hook(void)
{
	sl_bug_hook(fail_in_the_hook);
	fail_assertion();
}

TEST(a_failed_assertion_names_its_place_and_aborts)
{
	char line[512];

	CHECK_INT(signal_of(fail_assertion, line, sizeof line), SIGABRT);
	CHECK(strstr(line, "test_err.c:"));
	CHECK(strstr(line, "two == 3"));
}

TEST(strict_processes_abort_at_a_failed_check)
{
	char line[512];

	CHECK_INT(signal_of(fail_check_strictly, line, sizeof line), SIGABRT);
	CHECK(strstr(line, "x > 0"));
}

TEST(a_hook_that_fails_itself_does_not_come_back)
{
	char line[512];

	CHECK_INT(signal_of(fail_assertion_with_a_bad_hook, line, sizeof line), SIGABRT);
	CHECK(strstr(line, "two == 3"));
}

TEST_MAIN()
