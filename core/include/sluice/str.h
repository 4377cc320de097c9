/*
 * sluice/str.h: borrowed strings with a length.
 *
 * struct sl_str never owns its bytes and is not NUL-terminated unless a function says so. All
 * functions are total: an empty string may have p == NULL.
 */
#ifndef SLUICE_STR_H
#define SLUICE_STR_H

#include <string.h>
#include <sluice/err.h>

struct sl_str {
	const char *p; /* borrowed; may be NULL when len is 0 */
	size_t len;    /* bytes */
};

#define SL_STR(lit) ((struct sl_str){"" lit, sizeof(lit) - 1})
#define SL_STR_INIT(lit)                                                                           \
	{                                                                                          \
		"" lit, sizeof(lit) - 1                                                            \
	} /* for static tables */
#define SL_STR_NULL ((struct sl_str){NULL, 0})
/* printf("%.*s", SL_FMT(s)) */
#define SL_FMT(s) (int)(s).len, (s).p ? (s).p : ""

static inline struct sl_str sl_str_c(const char *z)
{
	return (struct sl_str){z, z ? strlen(z) : 0};
}

static inline bool sl_str_eq(struct sl_str a, struct sl_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* ASCII only */
SL_API bool sl_str_eq_nocase(struct sl_str a, struct sl_str b);
/* True for an empty prefix */
SL_API bool sl_str_starts(struct sl_str s, struct sl_str prefix);
/* As memcmp, by bytes; of two that begin alike the shorter one is less */
SL_API int sl_str_cmp(struct sl_str a, struct sl_str b);
/* ASCII white space, both ends */
SL_API struct sl_str sl_str_trim(struct sl_str s);
/* The part of *s before the first sep; *s moves past it. When there is no sep: all, and *s is empty
 * with p NULL. */
SL_API struct sl_str sl_str_split(struct sl_str *s, char sep);

/* Whole-string numbers, decimal; -SL_EPARSE on anything else, overflow included. */
SL_API SL_MUST_CHECK int sl_str_u64(struct sl_str s, uint64_t *ret_value);
/* The same with one "-" before it */
SL_API SL_MUST_CHECK int sl_str_i64(struct sl_str s, int64_t *ret_value);
/* [-]digits[.digits][e[+-]digits], at most 64 characters, finite */
SL_API SL_MUST_CHECK int sl_str_f64(struct sl_str s, double *ret_value);

/* Copies to dst with NUL; cuts at dst_len - 1. Returns the full length of s. */
SL_API size_t sl_str_copy(char *dst, size_t dst_len, struct sl_str s);
/* A copy with NUL, for free(); NULL: out of memory */
SL_API SL_MUST_CHECK char *sl_str_dup(struct sl_str s);
/* Damerau-Levenshtein distance, capped at max + 1; for "did you mean". Strings over 64 bytes are
 * max + 1. */
SL_API unsigned sl_str_distance(struct sl_str a, struct sl_str b, unsigned max);
/* Valid UTF-8 (RFC 3629), no surrogates, no overlong forms. */
SL_API bool sl_str_is_utf8(struct sl_str s);

/* Hex and base64 (RFC 4648 section 4, and 5 for _url without padding). dst sizes: 2n+1;
 * 4*((n+2)/3)+1. */
SL_API void sl_hex_encode(char *dst, const void *src, size_t n);
/* Either case. -SL_EPARSE: no hexadecimal, or an odd number of digits; -SL_EFULL: more than dst_len
 * */
SL_API SL_MUST_CHECK int sl_hex_decode(uint8_t *dst, size_t dst_len, struct sl_str s,
				       size_t *ret_len);
/* RFC 4648 section 4, with padding and a NUL behind: dst has room for (n + 2) / 3 * 4 + 1. Returns
 * the length */
SL_API size_t sl_base64_encode(char *dst, const void *src, size_t n);
/* Section 5, without padding; the room is the same */
SL_API size_t sl_base64url_encode(char *dst, const void *src, size_t n);
/* Either alphabet, padding all there or not at all; a second spelling of the same bytes is refused
 * (section 3.5). -SL_EPARSE; -SL_EFULL: more than dst_len */
SL_API SL_MUST_CHECK int sl_base64_decode(uint8_t *dst, size_t dst_len, struct sl_str s,
					  size_t *ret_len);

#endif
