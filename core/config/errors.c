/*
 * config/errors.c: what is wrong with a configuration, collected and told at once.
 *
 * Knows places and sentences; does not know YAML or tables. Every other file of config/ reports
 * here. What is shown may quote the operator's bytes, so control characters are escaped when the
 * lines are printed. At most MAX_KEPT errors and as many warnings are kept; the rest is only
 * counted.
 */
#include "config/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_KEPT = 100, MAX_SENTENCE = 1024, MAX_PATH_SHOWN = 200 };

/* One line to be told. */
struct problem {
	struct problem *next;
	struct conf_place at;
	const char *path, *sentence; /* owned by the pool */
	bool warning;
	unsigned seq;
};

/* In the order of reporting; sorted when printed. */
struct conf_errors {
	struct sl_pool *pool;
	struct problem *first, **tail;
	unsigned n_errors, n_warnings, n_kept;
};

struct conf_errors *conf_errors_new(struct sl_pool *pool)
{
	struct conf_errors *e = sl_pool_alloc(pool, sizeof *e);

	if (!e)
		return NULL;
	e->pool = pool;
	e->tail = &e->first;
	return e;
}

unsigned conf_n_errors(const struct conf_errors *e)
{
	return e->n_errors;
}

unsigned conf_n_warnings(const struct conf_errors *e)
{
	return e->n_warnings;
}

bool conf_errors_full(const struct conf_errors *e)
{
	return e->n_errors >= MAX_KEPT;
}

static void keep(struct conf_errors *e, bool warning, const struct conf_place *at, const char *path,
		 const char *sentence)
{
	struct problem *p = sl_pool_alloc(e->pool, sizeof *p);

	if (!p)
		return; /* counted all the same */
	p->warning = warning;
	p->seq = e->n_kept++;
	if (at)
		p->at = *at;
	p->path = sl_pool_cstr(e->pool, sl_str_c(path));
	p->sentence = sl_pool_cstr(e->pool, sl_str_c(sentence));
	*e->tail = p;
	e->tail = &p->next;
}

void conf_vreport(struct conf_errors *e, bool warning, const struct conf_place *at,
		  const char *path, const char *fmt, va_list args)
{
	unsigned *count = warning ? &e->n_warnings : &e->n_errors;
	char sentence[MAX_SENTENCE];

	if (++*count > MAX_KEPT)
		return;
	(void)vsnprintf(sentence, sizeof sentence, fmt, args); /* a cut sentence is still one */
	keep(e, warning, at, path, sentence);
}

void conf_report(struct conf_errors *e, bool warning, const struct conf_place *at, const char *path,
		 const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	conf_vreport(e, warning, at, path, fmt, args);
	va_end(args);
}

/* By place; the order of reporting decides among equals, since qsort is not stable. */
static int compare(const void *a, const void *b)
{
	const struct problem *x = *(struct problem *const *)a, *y = *(struct problem *const *)b;
	/* strverscmp puts "-g 2" before "-g 10". */
	int by_file = strverscmp(x->at.file ? x->at.file : "", y->at.file ? y->at.file : "");

	if (by_file)
		return by_file;
	if (x->at.line != y->at.line)
		return x->at.line < y->at.line ? -1 : 1;
	if (x->at.column != y->at.column)
		return x->at.column < y->at.column ? -1 : 1;
	return x->seq < y->seq ? -1 : 1;
}

/* At most max bytes of z, without what a terminal or a log line would obey. */
static void add_clean(struct sl_buf *out, const char *z, size_t max)
{
	size_t n = 0;

	for (; z && *z && n < max; z++, n++) {
		if ((unsigned char)*z < 0x20 || *z == 0x7f)
			sl_buf_printf(out, "\\x%02x", (unsigned char)*z);
		else
			sl_buf_u8(out, (uint8_t)*z);
	}
	if (z && *z)
		sl_buf_str(out, SL_STR("..."));
}

/* "file:line:column: warning: path: sentence", leaving out what is unknown. */
static void print_one(struct sl_buf *out, const struct problem *p)
{
	if (p->at.file) {
		add_clean(out, p->at.file, MAX_PATH_SHOWN);
		if (p->at.line)
			sl_buf_printf(out, ":%u:%u", p->at.line, p->at.column);
		sl_buf_str(out, SL_STR(": "));
	}
	if (p->warning)
		sl_buf_str(out, SL_STR("warning: "));
	if (p->path && *p->path) {
		add_clean(out, p->path, MAX_PATH_SHOWN);
		sl_buf_str(out, SL_STR(": "));
	}
	add_clean(out, p->sentence ? p->sentence : sl_strerror(-SL_ENOMEM), MAX_SENTENCE);
	sl_buf_u8(out, '\n');
}

static const char *plural(unsigned n)
{
	return n == 1 ? "" : "s";
}

/* The line that says whether the configuration is taken. */
static void print_summary(const struct conf_errors *e, struct sl_buf *out)
{
	unsigned left_out = e->n_errors + e->n_warnings - e->n_kept;

	if (left_out)
		sl_buf_printf(out, "... and %u more\n", left_out);
	if (e->n_errors)
		sl_buf_printf(out, "%u error%s", e->n_errors, plural(e->n_errors));
	if (e->n_errors && e->n_warnings)
		sl_buf_str(out, SL_STR(", "));
	if (e->n_warnings)
		sl_buf_printf(out, "%u warning%s", e->n_warnings, plural(e->n_warnings));
	if (e->n_errors)
		sl_buf_str(out, SL_STR("; configuration not loaded\n"));
	else if (e->n_warnings)
		sl_buf_str(out, SL_STR("; configuration valid\n"));
}

void conf_errors_print(struct conf_errors *e, struct sl_buf *out)
{
	struct problem **sorted = sl_pool_array(e->pool, e->n_kept + 1, sizeof(struct problem *));
	unsigned n = 0;

	for (struct problem *p = e->first; p && sorted; p = p->next)
		sorted[n++] = p;
	if (sorted)
		qsort(sorted, n, sizeof(struct problem *), compare);
	for (unsigned i = 0; i < n; i++)
		print_one(out, sorted[i]);
	print_summary(e, out);
}
