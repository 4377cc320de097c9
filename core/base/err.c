/*
 * base/err.c: the sentences of results, and what follows a failed assertion.
 *
 * Knows nothing of logs or of the flight recorder: the process hangs those in with sl_bug_hook().
 * Before that, and in tests, a line goes to standard error, because an abort without a reason helps
 * nobody; it is the one place of this layer that writes anything. Nothing here allocates, so it may
 * run when memory is gone.
 */
#include <sluice/err.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const sentences[] = {[SL_E_NONE] = "success",
#define X(name, text) [SL_E##name] = text,
					SL_ERRORS(X)
#undef X
};

static sl_bug_fn *bug_fn; /* NULL: standard error. W: process start */
static uint64_t n_bugs;	  /* CAS: libraries may call us from threads of theirs */

const char *sl_strerror(int err)
{
	unsigned n = err < 0 ? 0u - (unsigned)err : (unsigned)err;

	return n < SL_ARRAY_LEN(sentences) ? sentences[n] : "unknown error";
}

static void print_bug(const char *cond, const char *file, int line, bool fatal)
{
	char text[512];
	int n = snprintf(text, sizeof text, "%s:%d: %s failed: %s\n", file, line,
			 fatal ? "assertion" : "check", cond);

	if (n <= 0)
		return;
	if ((size_t)n >= sizeof text)
		n = sizeof text - 1;
	/* Nobody is left to be told when this write fails. */
	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		return;
}

/* A hook that fails an assertion itself must not come back here for ever. */
static void report(const char *cond, const char *file, int line, bool fatal)
{
	static _Thread_local bool inside;

	if (inside || !bug_fn) {
		print_bug(cond, file, line, fatal);
		return;
	}
	inside = true;
	bug_fn(cond, file, line, fatal);
	inside = false;
}

_Noreturn void sl_assert_failed(const char *cond, const char *file, int line)
{
	report(cond, file, line, true);
	abort();
}

void sl_check_failed(const char *cond, const char *file, int line, bool *seen)
{
	bool strict = getenv("SLUICE_STRICT") != NULL;

	__atomic_add_fetch(&n_bugs, 1, __ATOMIC_RELAXED);
	if (!*seen || strict) {
		*seen = true;
		report(cond, file, line, strict);
	}
	if (strict)
		abort();
}

void sl_bug_hook(sl_bug_fn *fn)
{
	bug_fn = fn;
}

uint64_t sl_bugs_total(void)
{
	return __atomic_load_n(&n_bugs, __ATOMIC_RELAXED);
}
