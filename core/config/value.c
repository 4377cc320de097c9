/*
 * config/value.c: from text to the C form of each directive type, and back.
 *
 * Knows the types of <sluice/conf.h>; does not know YAML, scopes or places. Called by schema.c for
 * what the operator wrote and for defaults alike, by dump.c for the way back. Invariant: what
 * format writes, parse reads to the same value.
 */
#include "config/value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sluice/regex.h>
#include "config/errors.h"
#include "config/suggest.h"
#include "config/units.h"

static int SL_PRINTF(2, 3) wrong(struct value *v, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(v->why, sizeof v->why, fmt, args); /* a cut reason is still one */
	va_end(args);
	return -SL_EPARSE;
}

/* What a sentence may quote: nothing that came from outside of the file. */
static struct sl_str shown(const struct value *v)
{
	return v->secret ? SL_STR("***") : v->text;
}

/* The commonest mistake: text that is not of the type at all. */
static int not_a(struct value *v)
{
	return wrong(v, "\"%.*s\" is not %s", CONF_SHOWN(shown(v)), value_types[v->d->type].wanted);
}

/* ---- numbers */

void value_format_number(struct sl_buf *out, const struct sl_directive *d, int64_t n)
{
	if (d->type == SL_T_SIZE)
		units_format_size(out, (uint64_t)n);
	else if (d->type == SL_T_MSEC)
		units_format_time(out, (uint64_t)n);
	else
		sl_buf_printf(out, "%" PRId64, n);
}

/* Bounds are shown in units, as the operator would write them. */
static int out_of_range(struct value *v, int64_t min, int64_t max)
{
	struct sl_buf range;

	sl_buf_init(&range, 0);
	value_format_number(&range, v->d, min);
	sl_buf_str(&range, SL_STR(".."));
	value_format_number(&range, v->d, max);
	(void)wrong(v, "%.*s is not in %.*s", CONF_SHOWN(shown(v)), SL_FMT(sl_buf_view(&range)));
	sl_buf_free(&range);
	return -SL_EPARSE;
}

static int check_bounds(struct value *v, int64_t n)
{
	const struct sl_directive *d = v->d;
	bool bounded = d->max > d->min && !d->list; /* a list's bounds are those of its count */

	return bounded && (n < d->min || n > d->max) ? out_of_range(v, d->min, d->max) : 0;
}

static int parse_int(struct value *v, void *member)
{
	int64_t n;

	if (sl_str_i64(v->text, &n))
		return not_a(v);
	if (check_bounds(v, n))
		return -SL_EPARSE;
	*(int64_t *)member = n;
	return 0;
}

static void format_int(struct sl_buf *out, const struct sl_directive *d, const void *member)
{
	value_format_number(out, d, *(const int64_t *)member);
}

typedef int units_fn(struct sl_str text, int64_t *ret_n);

/* The table's bounds are signed, the member is not; units_parse keeps within both. */
static int parse_units(struct value *v, units_fn *parse, void *member)
{
	int64_t n;
	int rc = parse(v->text, &n);

	if (rc == -SL_ELIMIT)
		return wrong(v, "\"%.*s\" is too large", CONF_SHOWN(shown(v)));
	if (rc)
		return not_a(v);
	if (check_bounds(v, n))
		return -SL_EPARSE;
	*(uint64_t *)member = (uint64_t)n;
	return 0;
}

static int parse_size(struct value *v, void *member)
{
	return parse_units(v, units_parse_size, member);
}

static int parse_msec(struct value *v, void *member)
{
	return parse_units(v, units_parse_time, member);
}

static void format_uint(struct sl_buf *out, const struct sl_directive *d, const void *member)
{
	const uint64_t *n = member;

	value_format_number(out, d, (int64_t)*n);
}

/* ---- words */

static int parse_bool(struct value *v, void *member)
{
	static const char *const yes[] = {"true", "yes", "on"};
	static const char *const no[] = {"false", "no", "off"};

	for (unsigned i = 0; i < SL_ARRAY_LEN(yes); i++) {
		bool on = sl_str_eq_nocase(v->text, sl_str_c(yes[i]));

		if (!on && !sl_str_eq_nocase(v->text, sl_str_c(no[i])))
			continue;
		*(bool *)member = on;
		return 0;
	}
	return not_a(v);
}

static void format_bool(struct sl_buf *out, const struct sl_directive *d, const void *member)
{
	(void)d;
	sl_buf_str(out, *(const bool *)member ? SL_STR("true") : SL_STR("false"));
}

/* All names, since the operator may not know any; and the nearest. */
static int wrong_name(struct value *v)
{
	struct suggest s = suggest_for(v->text);
	struct sl_buf list;

	sl_buf_init(&list, 0);
	for (const char *const *name = v->d->names; *name; name++) {
		suggest_offer(&s, *name);
		sl_buf_printf(&list, "%s%s", name == v->d->names ? "" : ", ", *name);
	}
	(void)wrong(v, "\"%.*s\" is not one of %.*s%s%s%s", CONF_SHOWN(shown(v)),
		    SL_FMT(sl_buf_view(&list)), SUGGEST_FMT(s));
	sl_buf_free(&list);
	return -SL_EPARSE;
}

static int parse_enum(struct value *v, void *member)
{
	for (int32_t i = 0; v->d->names[i]; i++) {
		if (!sl_str_eq(v->text, sl_str_c(v->d->names[i])))
			continue;
		*(int32_t *)member = i;
		return 0;
	}
	return wrong_name(v);
}

static void format_enum(struct sl_buf *out, const struct sl_directive *d, const void *member)
{
	sl_buf_str(out, sl_str_c(d->names[*(const int32_t *)member]));
}

/* ---- text */

/* min and max of a list bound its count instead. */
static int check_length(struct value *v)
{
	const struct sl_directive *d = v->d;
	int64_t n = (int64_t)v->text.len;

	if (d->list || d->max <= d->min || (n >= d->min && n <= d->max))
		return 0;
	return wrong(v, "its length %" PRId64 " is not in %" PRId64 "..%" PRId64 " bytes", n,
		     d->min, d->max);
}

/* The copy has a NUL behind it, for libraries that want one. */
static int keep(struct value *v, struct sl_str copy, void *member)
{
	if (!copy.p)
		return wrong(v, "%s", sl_strerror(-SL_ENOMEM));
	*(struct sl_str *)member = copy;
	return 0;
}

static int parse_str(struct value *v, void *member)
{
	if (check_length(v))
		return -SL_EPARSE;
	return keep(v, sl_pool_str(v->pool, v->text), member);
}

static void format_str(struct sl_buf *out, const struct sl_directive *d, const void *member)
{
	(void)d;
	sl_buf_str(out, *(const struct sl_str *)member);
}

static void wipe(void *arg)
{
	struct sl_str *s = arg;

	explicit_bzero((char *)s->p, s->len);
}

struct sl_str value_secret_copy(struct sl_pool *pool, struct sl_str s)
{
	struct sl_str *kept = sl_pool_alloc(pool, sizeof *kept);

	if (!kept)
		return SL_STR_NULL;
	*kept = sl_pool_str(pool, s);
	if (!kept->p || sl_pool_on_destroy(pool, wipe, kept))
		return SL_STR_NULL;
	return *kept;
}

static int parse_secret(struct value *v, void *member)
{
	v->secret = true;
	if (check_length(v))
		return -SL_EPARSE;
	return keep(v, value_secret_copy(v->pool, v->text), member);
}

/* Three stars, or as many as the bounds on its length demand, so that a dump can be read again. */
static void format_secret(struct sl_buf *out, const struct sl_directive *d, const void *member)
{
	bool bounded = d->max > d->min && !d->list;
	int64_t n = bounded && d->min > 3 ? d->min : bounded && d->max < 3 ? d->max : 3;

	(void)member;
	while (n-- > 0)
		sl_buf_u8(out, '*');
}

/* Made absolute here, because the master, workers and tools have other folders. */
static int parse_path(struct value *v, void *member)
{
	const char *joined;

	if (!v->text.len)
		return wrong(v, "a file name cannot be empty");
	if (v->text.p[0] == '/' || !v->prefix || !v->prefix[0])
		return parse_str(v, member);
	joined =
		sl_pool_printf(v->pool, "%s%s%.*s", v->prefix,
			       v->prefix[strlen(v->prefix) - 1] == '/' ? "" : "/", SL_FMT(v->text));
	return keep(v, sl_str_c(joined), member);
}

static void free_regex(void *arg)
{
	sl_regex_free(arg);
}

/* The pool owns the compiled pattern, too. */
static int parse_regex(struct value *v, void *member)
{
	struct sl_regex *re;
	char err[160];

	if (sl_regex_new(v->text, &re, err, sizeof err))
		return wrong(v, "%s", err);
	if (sl_pool_on_destroy(v->pool, free_regex, re)) {
		sl_regex_free(re);
		return wrong(v, "%s", sl_strerror(-SL_ENOMEM));
	}
	*(struct sl_regex **)member = re;
	return 0;
}

static void format_regex(struct sl_buf *out, const struct sl_directive *d, const void *member)
{
	(void)d;
	sl_buf_str(out, sl_regex_pattern(*(struct sl_regex *const *)member));
}

/* ---- the network */

static int parse_addr(struct value *v, void *member)
{
	struct sl_addr addr;

	if (sl_addr_parse(&addr, v->text))
		return not_a(v);
	*(struct sl_addr *)member = addr;
	return 0;
}

static void format_addr(struct sl_buf *out, const struct sl_directive *d, const void *member)
{
	char text[SL_ADDR_STRLEN];

	(void)d;
	sl_buf_str(out, sl_str_c(sl_addr_format(text, member)));
}

static int parse_cidr(struct value *v, void *member)
{
	struct sl_cidr cidr;

	if (sl_cidr_parse(&cidr, v->text))
		return not_a(v);
	*(struct sl_cidr *)member = cidr;
	return 0;
}

static void format_cidr(struct sl_buf *out, const struct sl_directive *d, const void *member)
{
	char text[SL_ADDR_STRLEN];

	(void)d;
	sl_buf_str(out, sl_str_c(sl_cidr_format(text, member)));
}

/* Port 0 is refused unless the bounds allow it: it means "any", and nothing asks for that. */
static int parse_ports(struct value *v, void *member)
{
	bool bounded = v->d->max > v->d->min && !v->d->list;
	int64_t min = bounded ? v->d->min : 1, max = bounded ? v->d->max : 65535;
	struct sl_str rest = v->text, first = sl_str_trim(sl_str_split(&rest, '-'));
	uint64_t lo, hi;

	if (sl_str_u64(first, &lo))
		return not_a(v);
	hi = lo;
	if (rest.p && sl_str_u64(sl_str_trim(rest), &hi))
		return not_a(v);
	if (lo > 65535 || hi > 65535 || (int64_t)lo < min || (int64_t)hi > max)
		return out_of_range(v, min, max);
	if (lo > hi)
		return wrong(v, "%.*s ends before it begins", CONF_SHOWN(shown(v)));
	*(struct sl_ports *)member = (struct sl_ports){(uint16_t)lo, (uint16_t)hi};
	return 0;
}

static void format_ports(struct sl_buf *out, const struct sl_directive *d, const void *member)
{
	const struct sl_ports *ports = member;

	(void)d;
	sl_buf_printf(out, "%u", ports->lo);
	if (ports->hi != ports->lo)
		sl_buf_printf(out, "-%u", ports->hi);
}

/* ---- the table */

const struct value_type value_types[] = {
	[SL_T_BOOL] = {
		.name = "boolean",
		.wanted = "true or false",
		.syntax = "`true` or `false`; also `yes`, `no`, `on`, `off`",
		.bytes = sizeof(bool),
		.parse = parse_bool,
		.format = format_bool,
	},
	[SL_T_INT] = {
		.name = "number",
		.wanted = "a whole number",
		.syntax = "`42`",
		.pattern = "^-?[0-9]+$",
		.bytes = sizeof(int64_t),
		.number = true,
		.parse = parse_int,
		.format = format_int,
	},
	[SL_T_SIZE] = {
		.name = "size",
		.wanted = "a size such as 64k, 2MiB or 1g",
		.syntax = "bytes: `512`, `64k`, `2MiB`, `1g` (powers of 1024)",
		.pattern = "^[0-9]+([kKmMgGtT]([iI]?[bB])?)?$",
		.bytes = sizeof(uint64_t),
		.number = true,
		.parse = parse_size,
		.format = format_uint,
	},
	[SL_T_MSEC] = {
		.name = "duration",
		.wanted = "a duration such as 300ms, 5s, 10m, 2h or 1d",
		.syntax = "`300ms`, `5s`, `10m`, `2h`, `1d`; a bare number counts seconds",
		.pattern = "^[0-9]+([mM][sS]|[sSmMhHdD])?$",
		.bytes = sizeof(uint64_t),
		.number = true,
		.parse = parse_msec,
		.format = format_uint,
	},
	[SL_T_STR] = {
		.name = "text",
		.wanted = "text",
		.syntax = "any text; in quotes where YAML has a meaning for it",
		.bytes = sizeof(struct sl_str),
		.parse = parse_str,
		.format = format_str,
	},
	[SL_T_SECRET] = {
		.name = "secret",
		.wanted = "a secret",
		.syntax = "text that no dump and no message shows; best as `!file PATH`",
		.bytes = sizeof(struct sl_str),
		.parse = parse_secret,
		.format = format_secret,
	},
	[SL_T_PATH] = {
		.name = "path",
		.wanted = "a file name",
		.syntax = "a file name, relative to the prefix (`-p`)",
		.bytes = sizeof(struct sl_str),
		.parse = parse_path,
		.format = format_str,
	},
	[SL_T_ENUM] = {
		.name = "word",
		.wanted = "a word",
		.syntax = "one of the words that are listed",
		.bytes = sizeof(int32_t),
		.parse = parse_enum,
		.format = format_enum,
	},
	[SL_T_REGEX] = {
		.name = "pattern",
		.wanted = "a regular expression",
		.syntax = "a regular expression (PCRE2), unanchored",
		.bytes = sizeof(struct sl_regex *),
		.parse = parse_regex,
		.format = format_regex,
	},
	[SL_T_ADDR] = {
		.name = "address",
		.wanted = "an address such as 192.0.2.1 or [2001:db8::1]:3478",
		.syntax = "`192.0.2.1`, `192.0.2.1:3478`, `2001:db8::1`, `[2001:db8::1]:3478`",
		.bytes = sizeof(struct sl_addr),
		.parse = parse_addr,
		.format = format_addr,
	},
	[SL_T_CIDR] = {
		.name = "network",
		.wanted = "a network such as 10.0.0.0/8, without host bits",
		.syntax = "`10.0.0.0/8`, `2001:db8::/32`, or one address",
		.bytes = sizeof(struct sl_cidr),
		.parse = parse_cidr,
		.format = format_cidr,
	},
	[SL_T_PORTS] = {
		.name = "ports",
		.wanted = "a port, or a range such as 40000-49999",
		.syntax = "`3478` or `40000-49999`",
		.pattern = "^[0-9]{1,5}( *- *[0-9]{1,5})?$",
		.bytes = sizeof(struct sl_ports),
		.number = true,
		.parse = parse_ports,
		.format = format_ports,
	},
	[SL_T_RECORD] = {
		.name = "mapping",
		.wanted = "a mapping",
		.syntax = "a mapping with the directives listed below it",
	},
};
const unsigned value_n_types = SL_ARRAY_LEN(value_types);

int value_parse(struct value *v, void *member)
{
	return value_types[v->d->type].parse(v, member);
}

uint32_t value_item_bytes(const struct sl_directive *d)
{
	if (d->type != SL_T_RECORD)
		return value_types[d->type].bytes;
	return d->list ? d->record_bytes : d->bytes;
}

/* A record that lacks a required field has not been written. */
static bool record_is_unset(const struct sl_directive *d, const char *record)
{
	for (const struct sl_directive *f = d->fields; f->name; f++) {
		if (f->required && value_is_unset(f, record + f->offset))
			return true;
	}
	return false;
}

/* Zero that nobody could have written. */
static bool number_is_unset(const struct sl_directive *d, int64_t n)
{
	return n == 0 && !d->dflt && d->max > d->min && (d->min > 0 || d->max < 0);
}

bool value_is_unset(const struct sl_directive *d, const void *member)
{
	if (d->list)
		return ((const struct sl_list *)member)->n == 0 && !d->dflt;
	switch (d->type) {
	case SL_T_INT:
	case SL_T_SIZE:
	case SL_T_MSEC:
		return number_is_unset(d, *(const int64_t *)member);
	case SL_T_STR:
	case SL_T_SECRET:
	case SL_T_PATH:
		return !((const struct sl_str *)member)->p;
	case SL_T_REGEX:
		return !*(struct sl_regex *const *)member;
	case SL_T_ADDR:
		return !((const struct sl_addr *)member)->family;
	case SL_T_CIDR:
		return !((const struct sl_cidr *)member)->base.family;
	case SL_T_PORTS:
		return !((const struct sl_ports *)member)->hi;
	case SL_T_RECORD:
		return record_is_unset(d, member);
	default: /* a boolean or word always has a value */
		return false;
	}
}
