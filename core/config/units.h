/*
 * config/units.h: numbers with a unit: "64k", "300ms".
 */
#ifndef CONFIG_UNITS_H
#define CONFIG_UNITS_H

#include <sluice/buf.h>

/* -SL_EPARSE: not a number with one of the units; -SL_ELIMIT: over INT64_MAX. */
/* bare: bytes */
int units_parse_size(struct sl_str text, int64_t *ret_bytes);
/* bare: seconds */
int units_parse_time(struct sl_str text, int64_t *ret_ms);
/* In the largest unit that divides n. */
void units_format_size(struct sl_buf *out, uint64_t bytes);
void units_format_time(struct sl_buf *out, uint64_t ms);

#endif
