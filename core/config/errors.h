/*
 * config/errors.h: what the files of config/ share about reporting, beside config.h.
 */
#ifndef CONFIG_ERRORS_H
#define CONFIG_ERRORS_H

#include <stdarg.h>
#include "config/config.h"

void conf_vreport(struct conf_errors *e, bool warning, const struct conf_place *at,
		  const char *path, const char *fmt, va_list args);
/* No further error is kept: spend no effort on hints. */
bool conf_errors_full(const struct conf_errors *e);

/* printf("%.*s", CONF_SHOWN(s)): the operator's value in a sentence, cut before a broken UTF-8
 * character. */
#define CONF_SHOWN(s) (int)conf_shown_len(s), (s).p ? (s).p : ""
static inline size_t conf_shown_len(struct sl_str s)
{
	size_t n = s.len < 60 ? s.len : 60;

	while (n && n < s.len && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return n;
}

#endif
