/*
 * config/value.h: one row per directive type: how its text is read, shown and described.
 */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "config/config.h"

/* One scalar on its way into the member of a conf struct. */
struct value {
	struct sl_pool *pool;
	const char *prefix; /* for SL_T_PATH */
	const struct sl_directive *d;
	struct sl_str text; /* borrowed, NUL behind it */
	bool secret;	    /* why must not quote it */
	char why[256];	    /* W: value_parse, on failure: a sentence without its end */
};

struct value_type {
	const char *name;    /* "duration" */
	const char *wanted;  /* "a duration such as 300ms or 5s" */
	const char *syntax;  /* for the reference: examples with their meaning */
	const char *pattern; /* for editors: ECMA-262 regular expression of the text, or NULL */
	uint32_t bytes;	     /* of the member; 0: the table says */
	bool number;	     /* min and max bound the value; false: they bound a length */
	int (*parse)(struct value *v, void *member);
	/* The text that parses to the member, unquoted; nothing for an unset member. */
	void (*format)(struct sl_buf *out, const struct sl_directive *d, const void *member);
};

extern const struct value_type value_types[];
extern const unsigned value_n_types;

/* -SL_EPARSE with why */
int value_parse(struct value *v, void *member);
/* Whether the member holds what it has when nobody set it. */
bool value_is_unset(const struct sl_directive *d, const void *member);
/* Bytes of one item: of a list, or the member itself. */
uint32_t value_item_bytes(const struct sl_directive *d);
/* Numbers as the operator writes them: "64k", "300ms". */
void value_format_number(struct sl_buf *out, const struct sl_directive *d, int64_t n);
/* A copy in the pool that is cleared with it; p NULL: out of memory. */
struct sl_str value_secret_copy(struct sl_pool *pool, struct sl_str s);

#endif
