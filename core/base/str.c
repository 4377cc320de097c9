/*
 * base/str.c: comparing, cutting and reading borrowed strings.
 *
 * Total functions over (pointer, length): nothing looks behind the last byte and nothing depends on
 * the locale. UTF-8 stands in utf8.c, hex and base64 in base64.c.
 */
#include <sluice/str.h>

#include <math.h>
#include <stdlib.h>

#define DISTANCE_MAX_LEN 64
#define NUMBER_MAX_LEN 64

/* The functions of <ctype.h> ask the locale, and are undefined for bytes over 127 in a char. */
static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool sl_str_eq_nocase(struct sl_str a, struct sl_str b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

bool sl_str_starts(struct sl_str s, struct sl_str prefix)
{
	return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.p, prefix.p, prefix.len) == 0);
}

int sl_str_cmp(struct sl_str a, struct sl_str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

struct sl_str sl_str_trim(struct sl_str s)
{
	while (s.len > 0 && is_space(s.p[0])) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && is_space(s.p[s.len - 1]))
		s.len--;
	return s;
}

struct sl_str sl_str_split(struct sl_str *s, char sep)
{
	const char *at = s->len > 0 ? memchr(s->p, sep, s->len) : NULL;
	struct sl_str part = *s;

	if (!at) {
		*s = SL_STR_NULL;
		return part;
	}
	part.len = (size_t)(at - s->p);
	s->p = at + 1;
	s->len -= part.len + 1;
	return part;
}

int sl_str_u64(struct sl_str s, uint64_t *ret_value)
{
	uint64_t v = 0;

	if (s.len == 0)
		return -SL_EPARSE;
	for (size_t i = 0; i < s.len; i++) {
		if (!is_digit(s.p[i]))
			return -SL_EPARSE;
		/* Leading zeros make a number long, not large: only the value is bounded. */
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return -SL_EPARSE;
	}
	*ret_value = v;
	return 0;
}

int sl_str_i64(struct sl_str s, int64_t *ret_value)
{
	bool negative = s.len > 0 && s.p[0] == '-';
	uint64_t v;

	if (negative) {
		s.p++;
		s.len--;
	}
	/* There is one more negative number than there are positive ones. */
	if (sl_str_u64(s, &v) < 0 || v > (uint64_t)INT64_MAX + negative)
		return -SL_EPARSE;
	/* Negated while unsigned: -INT64_MIN is not an int64_t. */
	*ret_value = (int64_t)(negative ? 0 - v : v);
	return 0;
}

/* Steps over the digits at *s; returns how many. */
static size_t skip_digits(struct sl_str *s)
{
	size_t n = 0;

	while (n < s->len && is_digit(s->p[n]))
		n++;
	s->p += n;
	s->len -= n;
	return n;
}

static bool skip_one_of(struct sl_str *s, char a, char b)
{
	if (s->len == 0 || (s->p[0] != a && s->p[0] != b))
		return false;
	s->p++;
	s->len--;
	return true;
}

/*
 * [-]digits[.digits][e[+-]digits]: strtod() alone would take hexadecimal, "nan" and leading blanks.
 * /
 */
static bool is_decimal(struct sl_str s)
{
	(void)skip_one_of(&s, '-', '-'); /* the sign is optional */
	if (skip_digits(&s) == 0)
		return false;
	if (skip_one_of(&s, '.', '.') && skip_digits(&s) == 0)
		return false;
	if (skip_one_of(&s, 'e', 'E')) {
		(void)skip_one_of(&s, '+', '-'); /* so is this one */
		if (skip_digits(&s) == 0)
			return false;
	}
	return s.len == 0;
}

int sl_str_f64(struct sl_str s, double *ret_value)
{
	char text[NUMBER_MAX_LEN + 1], *end;
	double v;

	if (s.len == 0 || s.len > NUMBER_MAX_LEN || !is_decimal(s))
		return -SL_EPARSE;
	sl_str_copy(text, sizeof text, s);
	v = strtod(text, &end);
	/*
	 * Under a locale with a decimal comma strtod() stops at the point: refuse, never misread. /
	 */
	if (*end != '\0' || !isfinite(v))
		return -SL_EPARSE;
	*ret_value = v;
	return 0;
}

size_t sl_str_copy(char *dst, size_t dst_len, struct sl_str s)
{
	size_t n = s.len;

	if (dst_len == 0)
		return s.len;
	if (n > dst_len - 1)
		n = dst_len - 1;
	if (n > 0)
		memcpy(dst, s.p, n);
	dst[n] = '\0';
	return s.len;
}

char *sl_str_dup(struct sl_str s)
{
	char *copy = malloc(s.len + 1);

	if (copy)
		(void)sl_str_copy(copy, s.len + 1, s); /* it fits */
	return copy;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/*
 * Optimal string alignment: three rows of the matrix are enough, the third for transpositions.
 * rows[i % 3] holds the distances of a's first i characters to every prefix of b.
 */
static unsigned distance(struct sl_str a, struct sl_str b)
{
	unsigned rows[3][DISTANCE_MAX_LEN + 1];

	for (unsigned j = 0; j <= b.len; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a.len; i++) {
		unsigned *row = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];

		row[0] = i;
		for (unsigned j = 1; j <= b.len; j++) {
			bool same = a.p[i - 1] == b.p[j - 1];

			/* One is inserted, deleted or replaced ... */
			row[j] = min3(up[j] + 1, row[j - 1] + 1, up[j - 1] + !same);
			/* ... or two stand in the wrong order. */
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] &&
			    a.p[i - 2] == b.p[j - 1] && up2[j - 2] + 1 < row[j])
				row[j] = up2[j - 2] + 1;
		}
	}
	return rows[a.len % 3][b.len];
}

unsigned sl_str_distance(struct sl_str a, struct sl_str b, unsigned max)
{
	unsigned d;

	if (a.len > DISTANCE_MAX_LEN || b.len > DISTANCE_MAX_LEN)
		return max + 1;
	d = distance(a, b);
	return d > max ? max + 1 : d;
}
