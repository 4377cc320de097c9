/*
 * sluice/err.h: results, assertions and compiler attributes.
 *
 * A function that can fail returns int: 0 or -SL_E...; phase handlers may also return the positive
 * values of enum sl_result. Results of work come back in last parameters named ret_x, which are
 * untouched on failure. Nothing here logs or allocates.
 */
#ifndef SLUICE_ERR_H
#define SLUICE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL_API __attribute__((visibility("default")))
#define SL_MUST_CHECK __attribute__((warn_unused_result))
#define SL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define SL_LIKELY(x) __builtin_expect(!!(x), 1)
#define SL_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define SL_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define SL_CONTAINER(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* What a phase handler says. Negative values are errors. */
enum sl_result {
	SL_OK = 0,	 /* go on with the next handler */
	SL_DECLINED = 1, /* not mine */
	SL_DONE = 2,	 /* mine and finished: stop this phase */
	SL_AGAIN = 3,	 /* suspended: I resume it later */
	SL_DROP = 4,	 /* discard the object */
};

/* X(NAME, sentence). The values are part of the ABI: append only. */
#define SL_ERRORS(X)                                                                               \
	X(NOMEM, "out of memory")                                                                  \
	X(INVAL, "invalid argument")                                                               \
	X(PARSE, "malformed input")                                                                \
	X(NOENT, "not found")                                                                      \
	X(EXIST, "already exists")                                                                 \
	X(FULL, "capacity exhausted")                                                              \
	X(AGAIN, "would block")                                                                    \
	X(AUTH, "authentication failed")                                                           \
	X(DENIED, "not permitted")                                                                 \
	X(LIMIT, "over a configured limit")                                                        \
	X(SYS, "system call failed")                                                               \
	X(TIMEOUT, "timed out")                                                                    \
	X(CLOSED, "closed")                                                                        \
	X(UNSUPP, "not supported")                                                                 \
	X(ABI, "incompatible module ABI")                                                          \
	X(CONF, "configuration refused")                                                           \
	X(BUG, "internal error")

enum sl_error {
	SL_E_NONE = 0,
#define X(name, text) SL_E##name,
	SL_ERRORS(X)
#undef X
};

/* The sentence for a result of either sign; never NULL. */
SL_API const char *sl_strerror(int err);

/*
 * sl_assert: cannot be false; writes place and condition to the crash hook, then aborts this
 * process. sl_check: a bug that is survived: counted, reported once per place; aborts when
 * SLUICE_STRICT is set in the environment (tests do). Use as: if (!sl_check(x)) return -SL_EBUG;
 * Neither is ever used on input.
 */
#define sl_assert(cond) (SL_LIKELY(cond) ? (void)0 : sl_assert_failed(#cond, __FILE__, __LINE__))
#define sl_check(cond)                                                                             \
	(SL_LIKELY(cond) || ({                                                                     \
		 static bool seen_;                                                                \
		 sl_check_failed(#cond, __FILE__, __LINE__, &seen_);                               \
		 false;                                                                            \
	 }))

SL_API _Noreturn void sl_assert_failed(const char *cond, const char *file, int line);
SL_API void sl_check_failed(const char *cond, const char *file, int line, bool *seen);

/* Called before abort (fatal) and at the first failure per place; set once per process. */
typedef void sl_bug_fn(const char *cond, const char *file, int line, bool fatal);
void sl_bug_hook(sl_bug_fn *fn);
/* Failures of sl_check so far in this process; exported as the counter process.bugs. */
uint64_t sl_bugs_total(void);

#endif
