/*
 * tests/lib/scarce.h: tells a story again and again, with memory missing at another place each time.
 *
 *     static int make_a_thing(void) { ...; return err; }
 *     CHECK_SCARCE(make_a_thing);
 *
 * The story is told once with enough memory, then with its first allocation failing, its second, and so on, until one telling
 * asks for less than that. Each must return 0 or an error, clean up after itself, and leave nothing that the program's own code
 * had allocated: what libraries keep for later is theirs. Only the one call fails, so that what follows shows whether
 * everything was left in order.
 *
 * The allocator's functions are defined here, in the program, which puts them before the C library's and the sanitizer's for
 * libraries, too; one file of a program may include this.
 */
#ifndef TESTS_LIB_SCARCE_H
#define TESTS_LIB_SCARCE_H

#include "lib/test.h"
#include "base/asan.h"

#include <errno.h>

#ifdef BASE_ASAN
#define SCARCE_REAL(name_) __interceptor_##name_
#else
#define SCARCE_REAL(name_) __libc_##name_
#endif

/* Their names are the C library's and the sanitizer's. */
extern void *SCARCE_REAL(malloc)(size_t n);
extern void *SCARCE_REAL(calloc)(size_t n, size_t size);
extern void *SCARCE_REAL(realloc)(void *p, size_t n);
extern void *SCARCE_REAL(memalign)(size_t align, size_t n);
extern void SCARCE_REAL(free)(void *p);
extern const char __executable_start, etext;

enum { SCARCE_OWNED = 8192, SCARCE_MOST = 5000 };

static struct {
	bool on;
	bool libraries;	    /* theirs fail, too */
	unsigned at, count; /* the call that fails, from 1; 0: none */
	bool fired;
	unsigned n_owned;
	void *owned[SCARCE_OWNED]; /* by the program's own code, since the story began */
} scarce;

static inline bool scarce_is_ours(const void *caller)
{
	return (const char *)caller >= &__executable_start && (const char *)caller < &etext;
}

static inline bool scarce_fails(bool ours)
{
	if (!scarce.on || (!ours && !scarce.libraries) || ++scarce.count != scarce.at)
		return false;
	scarce.fired = true;
	errno = ENOMEM;
	return true;
}

static inline void *scarce_own(bool ours, void *p)
{
	if (scarce.on && ours && p && scarce.n_owned < SCARCE_OWNED)
		scarce.owned[scarce.n_owned++] = p;
	return p;
}

static inline void scarce_disown(void *p)
{
	for (unsigned i = scarce.n_owned; p && i-- > 0;) {
		if (scarce.owned[i] != p)
			continue;
		scarce.owned[i] = scarce.owned[--scarce.n_owned];
		return;
	}
}

#define SCARCE_CALL __attribute__((visibility("default"), noinline))

#ifdef BASE_ASAN
/* Knows the dynamic linker's own allocations by who called the allocator, and that is us. */
SCARCE_CALL const char *__lsan_default_suppressions(void);
SCARCE_CALL const char *__lsan_default_suppressions(void)
{
	return "leak:ld-linux\n";
}
#endif

#define SCARCE_OURS scarce_is_ours(__builtin_return_address(0))

SCARCE_CALL void *malloc(size_t n)
{
	bool ours = SCARCE_OURS;

	return scarce_fails(ours) ? NULL : scarce_own(ours, SCARCE_REAL(malloc)(n));
}

SCARCE_CALL void *calloc(size_t n, size_t size)
{
	bool ours = SCARCE_OURS;

	return scarce_fails(ours) ? NULL : scarce_own(ours, SCARCE_REAL(calloc)(n, size));
}

SCARCE_CALL void *realloc(void *p, size_t n)
{
	bool ours = SCARCE_OURS;

	if (scarce_fails(ours))
		return NULL;
	scarce_disown(p);
	return scarce_own(ours, SCARCE_REAL(realloc)(p, n));
}

SCARCE_CALL void *aligned_alloc(size_t align, size_t n)
{
	bool ours = SCARCE_OURS;

	return scarce_fails(ours) ? NULL : scarce_own(ours, SCARCE_REAL(memalign)(align, n));
}

SCARCE_CALL void free(void *p)
{
	scarce_disown(p);
	SCARCE_REAL(free)(p);
}

/* Around what a story's own stage allocates, which is not what is tried. Returns what it was. */
static inline bool scarce_set(bool on)
{
	bool was = scarce.on;

	scarce.on = on;
	return was;
}

/* One telling with the at-th allocation failing; false: it did what it must not. */
static inline bool scarce_tell(const char *name, int (*story)(void), unsigned at)
{
	int err;

	scarce.n_owned = scarce.count = 0;
	scarce.fired = false;
	scarce.at = at;
	scarce.on = true;
	err = story();
	scarce.on = false;
	if (err != 0 && !scarce.fired)
		printf("# %s: error %d with all memory it wanted\n", name, err);
	else if (err > 0 || err == -SL_EBUG)
		printf("# %s: error %d at allocation %u\n", name, err, at);
	else if (scarce.n_owned > 0)
		printf("# %s: %u left over at allocation %u\n", name, scarce.n_owned, at);
	else
		return true;
	return false;
}

/* What is made once per process is made by then, and left over from no telling. */
static inline void scarce_warm(int (*story)(void))
{
	scarce.at = 0;
	scarce.on = true;
	(void)story();
	scarce.on = false;
}

/* With allocation 1, 1 + step, 1 + 2 * step ... failing. Returns how many tellings failed one; 0: something was wrong, and has
 * been printed. */
static inline unsigned scarce_tell_all(const char *name, int (*story)(void), bool libraries, unsigned step)
{
	unsigned n = 0;

#ifdef BASE_ASAN
	if (libraries)
		return 1; /* what they lose themselves, the loader of OpenSSL's providers above all, would be reported as ours */
#endif
	scarce.libraries = libraries;
	scarce_warm(story);
	if (!scarce_tell(name, story, 0))
		return 0;
	do {
		if (n > SCARCE_MOST || !scarce_tell(name, story, 1 + step * n))
			return 0;
		n += scarce.fired;
	} while (scarce.fired);
	return n;
}

#define CHECK_SCARCE(story_) CHECK(scarce_tell_all(#story_, story_, false, 1) > 0)
/* The same with the allocations of libraries, which name their errors as they like; each step_-th only, where the story takes
 * long and they make many */
#define CHECK_SCARCE_LIBRARIES(story_, step_) CHECK(scarce_tell_all(#story_, story_, true, step_) > 0)

#endif
