/*
 * tests/lib/coturn.h: a text of coturn's as one of ours, for tests and the fuzz target.
 */
#ifndef TESTS_LIB_COTURN_H
#define TESTS_LIB_COTURN_H

#include <stdio.h>
#include "import/coturn_impl.h"

struct imported {
	struct sl_pool *pool;
	struct coturn_file file;
	struct sl_buf yaml, report;
};

static inline struct imported imported(struct sl_str text)
{
	struct imported i = {.pool = sl_pool_new(0)};

	sl_assert(i.pool);
	sl_buf_init(&i.yaml, 0);
	sl_buf_init(&i.report, 0);
	coturn_file_init(&i.file, i.pool, "t.conf", "/etc");
	coturn_read(&i.file, text);
	coturn_convert(&i.file, &i.yaml);
	coturn_report(&i.file, &i.report);
	return i;
}

static inline void imported_free(struct imported *i)
{
	sl_buf_free(&i->yaml);
	sl_buf_free(&i->report);
	sl_pool_destroy(i->pool);
}

static inline bool buf_has(const struct sl_buf *b, const char *text)
{
	return memmem(b->p, b->len, text, strlen(text));
}

#endif
