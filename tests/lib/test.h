/*
 * tests/lib/test.h: the unit-test harness. One program per file, TAP on standard output.
 *
 *     TEST(a_sentence_about_what_holds) { CHECK(x == 1); CHECK_INT(f(), 3); }
 *     TEST_MAIN()
 *
 * A failed check prints place and values and ends that test; the program's exit status is the number of failed tests.
 * An argument selects tests whose name contains it. What cannot be tried here says so with test_skip() and returns: it is counted as
 * skipped, not as passed.
 */
#ifndef TESTS_LIB_TEST_H
#define TESTS_LIB_TEST_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sluice/err.h>
#include <sluice/str.h>

struct test {
	const char *name;
	void (*fn)(void);
	struct test *next;
};

static struct test *test_first, **test_tail = &test_first;
static bool test_failed;
static const char *test_skipped; /* why; set by test_skip() */

#define TEST(name_)                                                                                \
	static void name_(void);                                                                   \
	__attribute__((constructor)) static void reg_##name_(void)                                 \
	{                                                                                          \
		static struct test t_ = {#name_, name_, NULL};                                     \
		*test_tail = &t_;                                                                  \
		test_tail = &t_.next;                                                              \
	}                                                                                          \
	static void name_(void)

#define TEST_FAIL(...)                                                                             \
	do {                                                                                       \
		printf("# %s:%d: ", __FILE__, __LINE__);                                           \
		printf(__VA_ARGS__);                                                               \
		printf("\n");                                                                      \
		test_failed = true;                                                                \
		return;                                                                            \
	} while (0)

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			TEST_FAIL("%s", #cond);                                                    \
	} while (0)

#define CHECK_INT(got, want)                                                                       \
	do {                                                                                       \
		long long got_ = (long long)(got), want_ = (long long)(want);                      \
		if (got_ != want_)                                                                 \
			TEST_FAIL("%s is %lld, not %lld", #got, got_, want_);                      \
	} while (0)

#define CHECK_STR(got, want)                                                                       \
	do {                                                                                       \
		struct sl_str got_ = (got), want_ = sl_str_c(want);                                \
		if (!sl_str_eq(got_, want_))                                                       \
			TEST_FAIL("%s is \"%.*s\", not \"%.*s\"", #got, SL_FMT(got_), SL_FMT(want_)); \
	} while (0)

#define CHECK_MEM(got, want, n)                                                                    \
	do {                                                                                       \
		if (memcmp(got, want, n) != 0)                                                     \
			TEST_FAIL("%s differs from %s in its first %zu bytes", #got, #want, (size_t)(n)); \
	} while (0)

static inline void test_skip(const char *reason)
{
	test_skipped = reason;
}

static inline int test_run(int argc, char **argv)
{
	int n = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (struct test *t = test_first; t; t = t->next) {
		if (argc > 1 && !strstr(t->name, argv[1]))
			continue;
		test_failed = false;
		test_skipped = NULL;
		t->fn();
		failed += test_failed;
		printf("%s %d - %s%s%s\n", test_failed ? "not ok" : "ok", ++n, t->name,
		       test_skipped ? " # SKIP " : "", test_skipped ? test_skipped : "");
	}
	printf("1..%d\n", n);
	return failed;
}

#define TEST_MAIN()                                                                                \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		return test_run(argc, argv);                                                       \
	}

#endif
