/*
 * config/units.c: numbers with a unit, both ways.
 *
 * Knows sizes (powers of 1024) and durations; does not know ranges or directives. Letters count in
 * either case. Invariant: what format writes, parse reads to the same number.
 */
#include "config/units.h"

#include <inttypes.h>

/* Tables end with a NULL name. */
struct unit {
	const char *name;
	uint64_t factor;
};

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

static const struct unit sizes[] = {
	{"", 1},
	{"k", KIB}, {"kb", KIB}, {"kib", KIB},
	{"m", MIB}, {"mb", MIB}, {"mib", MIB},
	{"g", GIB}, {"gb", GIB}, {"gib", GIB},
	{"t", TIB}, {"tb", TIB}, {"tib", TIB},
	{NULL, 0},
};
static const struct unit times[] = {
	{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
	{NULL, 0},
};

/* What format chooses from, largest first. */
static const struct unit sizes_out[] = {{"g", GIB}, {"m", MIB}, {"k", KIB}, {"", 1}};
static const struct unit times_out[] = {
	{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

static const struct unit *find_unit(const struct unit *units, struct sl_str name)
{
	for (const struct unit *u = units; u->name; u++) {
		if (sl_str_eq_nocase(name, sl_str_c(u->name)))
			return u;
	}
	return NULL;
}

/* Capped at INT64_MAX, so that it compares with a table's bounds. */
static int parse_with(const struct unit *units, struct sl_str text, int64_t *ret_n)
{
	struct sl_str digits = {text.p, 0}, name;
	const struct unit *u;
	uint64_t n;

	while (digits.len < text.len && text.p[digits.len] >= '0' && text.p[digits.len] <= '9')
		digits.len++;
	name = (struct sl_str){text.p + digits.len, text.len - digits.len};
	u = find_unit(units, name);
	if (!u || !digits.len)
		return -SL_EPARSE;
	if (sl_str_u64(digits, &n) || n > (uint64_t)INT64_MAX / u->factor)
		return -SL_ELIMIT;
	*ret_n = (int64_t)(n * u->factor);
	return 0;
}

int units_parse_size(struct sl_str text, int64_t *ret_bytes)
{
	return parse_with(sizes, text, ret_bytes);
}

int units_parse_time(struct sl_str text, int64_t *ret_ms)
{
	return parse_with(times, text, ret_ms);
}

/* The last unit's factor is 1, so the search ends. */
static void format_with(struct sl_buf *out, const struct unit *units, uint64_t n)
{
	while (n % units->factor)
		units++;
	sl_buf_printf(out, "%" PRIu64 "%s", n / units->factor, units->name);
}

void units_format_size(struct sl_buf *out, uint64_t bytes)
{
	if (bytes)
		format_with(out, sizes_out, bytes);
	else
		sl_buf_u8(out, '0');
}

void units_format_time(struct sl_buf *out, uint64_t ms)
{
	if (ms)
		format_with(out, times_out, ms);
	else
		sl_buf_u8(out, '0');
}
