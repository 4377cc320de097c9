/*
 * os/log.h: where the lines of <sluice/log.h> go. Each process sets this up once, early; before
 * that, lines of level notice and above go to standard error as logfmt.
 */
#ifndef OS_LOG_H
#define OS_LOG_H

#include <sluice/log.h>

enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_conf {
	enum sl_log_level level;
	enum log_format format;
	const char *path; /* file to append to, copied; NULL: fd is used */
	int fd;		  /* borrowed; standard error is 2 */
	int slot;	  /* of this worker; -1: none, as in the master */
	uint32_t generation;
};

/* W: this process. */
struct log_counts {
	uint64_t lines;	     /* written */
	uint64_t suppressed; /* left out by the limit per place */
	uint64_t lost;	     /* refused by the file or pipe */
};

/* On failure (-SL_ESYS, -SL_ELIMIT for a path that is too long) the log stays as it was. */
SL_MUST_CHECK int log_init(const struct log_conf *conf);
/* Opens the path again, after rotation; on failure the old file stays. No-op without a path. */
SL_MUST_CHECK int log_reopen(void);
/* Back to standard error */
void log_close(void);
void log_counts(struct log_counts *ret_counts);

/* "alert" .. "debug" */
const char *log_level_name(enum sl_log_level level);
/* Tests set the clock that limits lines; NULL: the real one. */
void log_set_clock(uint64_t (*now_ns)(void));

#endif
