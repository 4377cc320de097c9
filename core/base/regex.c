/*
 * base/regex.c: the seam of PCRE2.
 *
 * Patterns come from the operator, subjects from the network. UTF mode, so that "." is a character;
 * subjects need not be valid UTF-8: a bad sequence is matched by nothing. Matching is bounded by
 * steps and by memory; over a bound there is no match. Compiled to machine code where the system
 * permits (3 times faster).
 */
#include <sluice/regex.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#define STEPS_MAX 100000 /* some milliseconds */
#define HEAP_MAX_KIB 1024
#define OPTIONS (PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C)

/* What a match leaves behind, apart from the pattern, which matching does not change. */
struct outcome {
	pcre2_match_data *groups;
	struct sl_str subject;
	bool matched;
};

struct sl_regex {
	struct sl_str pattern; /* owned, for dumps */
	pcre2_code *code;
	pcre2_match_context *limits;
	struct outcome *last;
};

static void describe(char *err, size_t err_len, int code, size_t offset)
{
	char text[128] = "";

	if (!err)
		return;
	/* A message that is too long comes cut, which is good enough. */
	(void)pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
	snprintf(err, err_len, "%s at offset %zu", text, offset);
}

/* Everything apart from the code that can fail for lack of memory only. */
static int allocate(struct sl_regex *re, struct sl_str pattern)
{
	char *copy = malloc(pattern.len + 1);

	if (!copy)
		return -SL_ENOMEM;
	sl_str_copy(copy, pattern.len + 1, pattern);
	re->pattern = (struct sl_str){copy, pattern.len};
	re->limits = pcre2_match_context_create(NULL);
	re->last = calloc(1, sizeof *re->last);
	if (!re->limits || !re->last)
		return -SL_ENOMEM;
	re->last->groups = pcre2_match_data_create_from_pattern(re->code, NULL);
	if (!re->last->groups)
		return -SL_ENOMEM;
	pcre2_set_match_limit(re->limits, STEPS_MAX);
	pcre2_set_depth_limit(re->limits, STEPS_MAX);
	pcre2_set_heap_limit(re->limits, HEAP_MAX_KIB);
	return 0;
}

int sl_regex_new(struct sl_str pattern, struct sl_regex **ret_regex, char *err, size_t err_len)
{
	PCRE2_SPTR text = (PCRE2_SPTR)(pattern.p ? pattern.p : "");
	struct sl_regex *re = calloc(1, sizeof *re);
	PCRE2_SIZE offset;
	int code;

	if (!re)
		goto out;
	re->code = pcre2_compile(text, pattern.len, OPTIONS, &code, &offset, NULL);
	if (!re->code) {
		describe(err, err_len, code, offset);
		sl_regex_free(re);
		return -SL_EPARSE;
	}
	/* Without JIT, as where the kernel forbids writable code, the interpreter matches. */
	(void)pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE);
	if (allocate(re, pattern) < 0)
		goto out;
	*ret_regex = re;
	return 0;
out:
	if (err)
		snprintf(err, err_len, "%s", sl_strerror(-SL_ENOMEM));
	sl_regex_free(re);
	return -SL_ENOMEM;
}

void sl_regex_free(struct sl_regex *re)
{
	if (!re)
		return;
	if (re->last)
		pcre2_match_data_free(re->last->groups);
	free(re->last);
	pcre2_match_context_free(re->limits);
	pcre2_code_free(re->code);
	free((char *)re->pattern.p);
	free(re);
}

struct sl_str sl_regex_pattern(const struct sl_regex *re)
{
	return re->pattern;
}

/* Every failure, a bound among them, is "no": who asks decides what a stranger may do. */
bool sl_regex_match(const struct sl_regex *re, struct sl_str s)
{
	PCRE2_SPTR text = (PCRE2_SPTR)(s.p ? s.p : "");
	int n = pcre2_match(re->code, text, s.len, 0, 0, re->last->groups, re->limits);

	re->last->matched = n > 0;
	re->last->subject = (struct sl_str){(const char *)text, s.len};
	return n > 0;
}

struct sl_str sl_regex_group(const struct sl_regex *re, unsigned g)
{
	/* Pairs of start and end. \K may put the start behind the end: no text, then. */
	const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(re->last->groups);

	if (!re->last->matched || g >= pcre2_get_ovector_count(re->last->groups) ||
	    ends[2 * g] == PCRE2_UNSET || ends[2 * g] > ends[2 * g + 1])
		return SL_STR_NULL;
	return (struct sl_str){re->last->subject.p + ends[2 * g], ends[2 * g + 1] - ends[2 * g]};
}
