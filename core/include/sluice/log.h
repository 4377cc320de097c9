/*
 * sluice/log.h: one line per decision, as logfmt or JSON.
 *
 * time, level, slot, generation, module, [sid, room,] sentence. User data belongs into the sentence
 * through SL_FMT; the writer escapes control characters and cuts at 1 KiB. Each call site is
 * limited to 20 lines a second; what was left out is told by the next line. base, proto and os
 * never log.
 */
#ifndef SLUICE_LOG_H
#define SLUICE_LOG_H

#include <sluice/str.h>

enum sl_log_level {
	SL_LOG_ALERT,
	SL_LOG_CRIT,
	SL_LOG_ERROR,
	SL_LOG_WARN,
	SL_LOG_NOTICE,
	SL_LOG_INFO,
	SL_LOG_DEBUG
};

/* State of one call site. W: the process it is in. */
struct sl_log_place {
	uint64_t window_ns; /* start of the current second */
	uint32_t n, skipped;
};

/* Whom a line is about; members may be empty. */
struct sl_log_who {
	struct sl_str sid, room;
};

SL_API extern enum sl_log_level sl_log_level; /* lines above it are not formatted */

#define sl_log(level, module, ...) sl_log_who(level, module, NULL, __VA_ARGS__)
#define sl_log_who(level, module, who, ...)                                                        \
	do {                                                                                       \
		static struct sl_log_place place_;                                                 \
		if ((level) <= sl_log_level)                                                       \
			sl_log_at(&place_, level, module, who, __VA_ARGS__);                       \
	} while (0)

SL_API void sl_log_at(struct sl_log_place *place, enum sl_log_level level, const char *module,
		      const struct sl_log_who *who, const char *fmt, ...) SL_PRINTF(5, 6);

#endif
