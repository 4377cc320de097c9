/*
 * config/check.c: whether a directive table is itself right, before anybody's configuration is read
 * by it.
 *
 * Knows what a row must be: a name, a type, a member of the type's size, a default that parses and
 * lies in its range, a sentence of documentation. Called by the module loader for every module and
 * by the tests for every built-in table.
 */
#include <stdarg.h>
#include <stdio.h>
#include "config/tree.h"
#include "config/value.h"

enum { MAX_RECORD_DEPTH = 8 };

/* What is being checked, and where its fault is told. */
struct table_check {
	const char *block;
	char *err;
	size_t err_cap;
	const struct sl_directive *d; /* the row at hand */
};

/* The sentence is for a module's author: block, row, and what is wrong with it. */
static int SL_PRINTF(2, 3) fault(const struct table_check *c, const char *fmt, ...)
{
	char what[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(what, sizeof what, fmt, args);
	va_end(args);
	(void)snprintf(c->err, c->err_cap, "%s: directive \"%s\" %s", c->block, c->d->name, what);
	return -SL_EINVAL;
}

/* Names that need no quotes in YAML and have no dot, which separates paths. */
static bool is_name(const char *z)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

	return *z >= 'a' && *z <= 'z' && strspn(z, allowed) == strlen(z);
}

/* The one thing that the compiler cannot check: the row's type against the struct's. */
static int check_member(const struct table_check *c, uint32_t bytes)
{
	const struct sl_directive *d = c->d;
	uint32_t wanted = d->list ? (uint32_t)sizeof(struct sl_list) : value_item_bytes(d);

	if (d->bytes != wanted)
		return fault(c, "fills a member of %u bytes, but its type has %u", d->bytes,
			     wanted);
	if (d->offset > bytes || d->bytes > bytes - d->offset)
		return fault(c, "lies outside of its struct of %u bytes", bytes);
	return 0;
}

/* What a row must say by itself. */
static int check_row(const struct table_check *c, uint8_t allowed_scopes)
{
	const struct sl_directive *d = c->d;

	if (!is_name(d->name))
		return fault(c,
			     "has a name that is not of lower case letters, digits, '_' and '-'");
	if (d->type >= value_n_types)
		return fault(c, "has an unknown type");
	if (!d->scopes || (d->scopes & ~allowed_scopes))
		return fault(c, "has no scope, or one that does not fit its table");
	if (!d->doc || !*d->doc || d->doc[strlen(d->doc) - 1] != '.')
		return fault(c, "has no sentence of documentation that ends with a full stop");
	if (d->required && d->dflt)
		return fault(c, "is required and has a default");
	if (d->type == SL_T_ENUM && (!d->names || !d->names[0]))
		return fault(c, "is a word without names");
	if (d->type == SL_T_RECORD && (!d->fields || (d->list && !d->record_bytes)))
		return fault(c, "is a mapping without fields or size");
	return 0;
}

/* A required number that may be inherited must tell "unset" from 0; records do not inherit. */
static int check_required(const struct table_check *c)
{
	const struct sl_directive *d = c->d;
	bool one_scope = (d->scopes & (d->scopes - 1)) == 0;
	bool zero_unset = d->max > d->min && (d->min > 0 || d->max < 0);

	if (!d->required || one_scope || d->list)
		return 0;
	if (d->type == SL_T_BOOL || d->type == SL_T_ENUM)
		return fault(c, "is required in several scopes: give it a default instead");
	if (value_types[d->type].number && d->type != SL_T_PORTS && !zero_unset)
		return fault(c, "is required in several scopes: its range must exclude 0");
	return 0;
}

/* Two rows for one member would overwrite each other's value with a default. */
static int check_names(const struct table_check *c, const struct sl_directive *table)
{
	for (const struct sl_directive *other = table; other != c->d; other++) {
		if (strcmp(other->name, c->d->name) == 0)
			return fault(c, "stands twice in its table");
		if (other->offset < c->d->offset + c->d->bytes &&
		    c->d->offset < other->offset + other->bytes)
			return fault(c, "shares its member with \"%s\"", other->name);
	}
	return 0;
}

/* Evaluating nothing parses every default outside of lists; what it reports is the table's fault.
 */
static int check_defaults(const struct table_check *c, const struct conf_block *b)
{
	struct sl_pool *pool = sl_pool_new(0);
	struct conf_errors *errors = pool ? conf_errors_new(pool) : NULL;
	struct conf_eval ev = {.pool = pool, .errors = errors, .prefix = "/"};
	struct sl_buf text;
	struct sl_str line;
	int rc = -SL_ENOMEM;

	sl_buf_init(&text, 0);
	(void)snprintf(c->err, c->err_cap, "%s: %s", b->name, sl_strerror(rc));
	if (!errors)
		goto out;
	if (!conf_evaluate(&ev, b, SL_S_MAIN, NULL, NULL, b->name, NULL))
		goto out;
	conf_errors_print(errors, &text);
	rc = conf_n_errors(errors) ? -SL_EINVAL : 0;
	line = sl_buf_view(&text);
	line = sl_str_split(&line, '\n');
	if (rc)
		(void)snprintf(c->err, c->err_cap, "default of %.*s", SL_FMT(line));
out:
	sl_buf_free(&text);
	sl_pool_destroy(pool);
	return rc;
}

/* Recurses along records of the table, MAX_RECORD_DEPTH at most. */
static int check_table(struct table_check *c, const struct sl_directive *table, uint32_t bytes,
		       unsigned depth)
{
	uint8_t scopes = depth ? SL_S_RECORD : SL_S_MAIN | SL_S_LISTEN | SL_S_SERVICE;
	int rc = 0;

	for (const struct sl_directive *d = table; d && d->name && !rc; d++) {
		c->d = d;
		rc = check_row(c, scopes);
		if (!rc)
			rc = check_member(c, bytes);
		if (!rc)
			rc = check_required(c);
		if (!rc)
			rc = check_names(c, table);
		if (!rc && d->type == SL_T_RECORD && depth + 1 == MAX_RECORD_DEPTH)
			rc = fault(c, "nests mappings deeper than 8");
		else if (!rc && d->type == SL_T_RECORD)
			rc = check_table(c, d->fields, value_item_bytes(d), depth + 1);
		if (!rc && d->type == SL_T_RECORD && d->list)
			rc = check_defaults(
				c, &(struct conf_block){d->name, d->fields, d->record_bytes});
	}
	return rc;
}

int conf_table_check(const struct conf_block *b, char *err, size_t err_cap)
{
	struct table_check c = {.block = b->name, .err = err, .err_cap = err_cap};
	int rc = check_table(&c, b->table, b->size, 0);

	return rc ? rc : check_defaults(&c, b);
}
