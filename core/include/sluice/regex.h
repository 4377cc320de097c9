/*
 * sluice/regex.h: PCRE2 with a match limit, so that no pattern can stall a worker. The one seam of
 * PCRE2.
 */
#ifndef SLUICE_REGEX_H
#define SLUICE_REGEX_H

#include <sluice/str.h>

struct sl_regex;
/* err: a sentence with the offset, for the operator; may be NULL. The regex is owned by the caller.
 */
SL_API SL_MUST_CHECK int sl_regex_new(struct sl_str pattern, struct sl_regex **ret_regex, char *err,
				      size_t err_len);
/* Accepts NULL */
SL_API void sl_regex_free(struct sl_regex *re);
/* Unanchored; over the limit is no match */
SL_API bool sl_regex_match(const struct sl_regex *re, struct sl_str s);
/* As it was given; borrowed from the regex */
SL_API struct sl_str sl_regex_pattern(const struct sl_regex *re);
/* Group g (0: whole) of the last successful match, borrowed from its subject. */
SL_API struct sl_str sl_regex_group(const struct sl_regex *re, unsigned g);

#endif
