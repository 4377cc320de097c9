/*
 * import/coturn_remark.c: what has to be said about lines of the file, for its operator: as
 * comments above the block they concern, and as a report.
 */
#include "import/coturn_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "config/quote.h"

static const char *const prefixes[COTURN_N_FATES] = {
	[COTURN_SAME] = "",
	[COTURN_NEAR] = "nearly: ",
	[COTURN_NEEDLESS] = "not needed: ",
	[COTURN_LOST] = "not carried over: ",
};

/* Room for one more. NULL: out of memory, which f remembers. */
static struct coturn_remark *more(struct coturn_file *f)
{
	size_t cap = f->cap_remarks ? 2 * f->cap_remarks : 32;
	struct coturn_remark *bigger;

	if (f->n_remarks < f->cap_remarks)
		return &f->remarks[f->n_remarks++];
	bigger = sl_pool_array(f->pool, cap, sizeof *bigger);
	if (!bigger) {
		f->failed = true;
		return NULL;
	}
	if (f->n_remarks)
		memcpy(bigger, f->remarks, f->n_remarks * sizeof *bigger);
	f->remarks = bigger;
	f->cap_remarks = cap;
	return &f->remarks[f->n_remarks++];
}

static void add(struct coturn_file *f, struct coturn_remark *remark)
{
	struct coturn_remark *at = more(f);

	if (!at)
		return;
	remark->order = (unsigned)f->n_remarks;
	*at = *remark;
	f->sorted = false;
	f->failed |= !remark->text;
}

/* By line, then as they were said. */
static int compare(const void *a, const void *b)
{
	const struct coturn_remark *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static void sort(struct coturn_file *f)
{
	if (!f->sorted && f->n_remarks > 0)
		qsort(f->remarks, f->n_remarks, sizeof *f->remarks, compare);
	f->sorted = true;
}

static const char *sentence(struct coturn_file *f, const char *prefix, const char *fmt, va_list ap)
{
	char text[400];

	vsnprintf(text, sizeof text, fmt, ap);
	return sl_pool_printf(f->pool, "%s%s", prefix, text);
}

void coturn_say_at(struct coturn_file *f, unsigned line, enum coturn_block block,
		   enum coturn_fate fate, const char *fmt, ...)
{
	struct coturn_remark r = {.line = line, .block = block, .fate = fate};
	va_list ap;

	va_start(ap, fmt);
	r.text = sentence(f, "", fmt, ap);
	va_end(ap);
	add(f, &r);
}

void coturn_say(struct coturn_file *f, const struct coturn_line *line, enum coturn_fate fate,
		const char *fmt, ...)
{
	struct coturn_remark r = {.line = line->number, .block = line->option->block, .fate = fate};
	char prefix[80];
	va_list ap;

	snprintf(prefix, sizeof prefix, "%s: %s", line->option->name, prefixes[fate]);
	va_start(ap, fmt);
	r.text = sentence(f, prefix, fmt, ap);
	va_end(ap);
	add(f, &r);
}

/* "turnserver.conf:12: realm: ..." */
static void write_one(const struct coturn_file *f, const struct coturn_remark *r,
		      struct sl_buf *out)
{
	quote_yaml(out, sl_str_c(f->name));
	if (r->line)
		sl_buf_printf(out, ":%u", r->line);
	sl_buf_printf(out, ": %s\n", r->text ? r->text : "");
}

void coturn_write_remarks(struct coturn_file *f, enum coturn_block block, struct sl_buf *out)
{
	sort(f);
	for (size_t i = 0; i < f->n_remarks; i++) {
		if (f->remarks[i].block != block)
			continue;
		sl_buf_str(out, SL_STR("# "));
		write_one(f, &f->remarks[i], out);
	}
}

unsigned coturn_n_remarks(const struct coturn_file *f, enum coturn_fate fate)
{
	unsigned n = 0;

	for (size_t i = 0; i < f->n_remarks; i++)
		n += f->remarks[i].fate == fate;
	return n;
}

void coturn_report(struct coturn_file *f, struct sl_buf *out)
{
	sort(f);
	for (size_t i = 0; i < f->n_remarks; i++)
		if (f->remarks[i].fate != COTURN_NEEDLESS)
			write_one(f, &f->remarks[i], out);
}
