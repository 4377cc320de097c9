/*
 * config/json_schema.c: tables as JSON Schema (draft 2020-12), for editors.
 *
 * Knows how each type looks to a YAML editor, which guesses types where Sluice does not: "2" is a
 * number there, and so is allowed for text. Records nest as tables do. Invariant: the schema
 * refuses nothing that the reference allows (a tag stands for the value it fetches).
 */
#include <inttypes.h>
#include "config/schema.h"
#include "config/value.h"

/* Recurses along the records of the table, which conf_table_check bounds. */
static void add_object(struct sl_buf *out, const struct conf_block *b, enum sl_scope scope);

/* For numbers without a unit; the pattern holds for those with one. */
static void add_range(struct sl_buf *out, const struct sl_directive *d)
{
	int64_t min = d->min, max = d->max;

	if (d->list || max <= min || d->type == SL_T_PORTS)
		return;
	if (d->type == SL_T_MSEC) { /* a bare number counts seconds */
		min = (min + 999) / 1000;
		max = max / 1000;
	}
	sl_buf_printf(out, ",\"minimum\":%" PRId64 ",\"maximum\":%" PRId64, min, max);
}

/* JSON counts characters where the table counts bytes: at most four of them in one. */
static void add_lengths(struct sl_buf *out, const struct sl_directive *d)
{
	if (d->list || d->max <= d->min)
		return;
	sl_buf_printf(out, ",\"minLength\":%" PRId64 ",\"maxLength\":%" PRId64, (d->min + 3) / 4,
		      d->max);
}

/* What an editor makes of a word that looks like a number or boolean, in addition to the word. */
static void add_guess(struct sl_buf *out, const char *name)
{
	static const char *const yes[] = {"true", "yes", "on"};
	static const char *const no[] = {"false", "no", "off"};
	double number;

	if (name[0] >= '1' && name[0] <= '9' && !sl_str_f64(sl_str_c(name), &number))
		sl_buf_printf(out, ",%s", name);
	for (unsigned i = 0; i < SL_ARRAY_LEN(yes); i++) {
		if (strcmp(name, yes[i]) == 0)
			sl_buf_str(out, SL_STR(",true"));
		if (strcmp(name, no[i]) == 0)
			sl_buf_str(out, SL_STR(",false"));
	}
}

static void add_words(struct sl_buf *out, const char *const *names)
{
	sl_buf_str(out, SL_STR("\"enum\":["));
	for (unsigned i = 0; names[i]; i++) {
		if (i)
			sl_buf_u8(out, ',');
		sl_buf_json(out, sl_str_c(names[i]));
		add_guess(out, names[i]);
	}
	sl_buf_u8(out, ']');
}

/* The keywords of one value, without braces. */
static void add_keywords(struct sl_buf *out, const struct sl_directive *d)
{
	const struct value_type *type = &value_types[d->type];

	if (d->type == SL_T_RECORD) {
		add_object(out, &(struct conf_block){d->name, d->fields, value_item_bytes(d)},
			   SL_S_RECORD);
	} else if (d->type == SL_T_BOOL) {
		sl_buf_str(out, SL_STR("\"enum\":[true,false,\"true\",\"false\",\"yes\",\"no\","
				       "\"on\",\"off\"]"));
	} else if (d->type == SL_T_ENUM) {
		add_words(out, d->names);
	} else if (type->number) {
		sl_buf_str(out, SL_STR("\"type\":[\"integer\",\"string\"],\"pattern\":"));
		sl_buf_json(out, sl_str_c(type->pattern));
		add_range(out, d);
	} else {
		sl_buf_str(out, SL_STR("\"type\":[\"string\",\"number\",\"boolean\",\"null\"]"));
		add_lengths(out, d);
	}
	if (d->type == SL_T_SECRET)
		sl_buf_str(out, SL_STR(",\"writeOnly\":true"));
}

/* As JSON where JSON has the type, as the operator would write it elsewhere. */
static void add_json_value(struct sl_buf *out, const struct sl_directive *d, const void *member)
{
	struct sl_buf text;

	sl_buf_init(&text, 0);
	value_types[d->type].format(&text, d, member);
	if (d->type == SL_T_BOOL || d->type == SL_T_INT)
		sl_buf_str(out, sl_buf_view(&text));
	else
		sl_buf_json(out, sl_buf_view(&text));
	out->failed |= text.failed;
	sl_buf_free(&text);
}

/* Not for records, whose fields say theirs, nor for secrets. */
static void add_default(struct sl_buf *out, const struct sl_directive *d, const char *member)
{
	const struct sl_list *list = (const struct sl_list *)member;
	const char *items;

	if (!d->dflt || d->type == SL_T_RECORD || d->type == SL_T_SECRET)
		return;
	sl_buf_str(out, SL_STR(",\"default\":"));
	if (!d->list) {
		add_json_value(out, d, member);
		return;
	}
	items = list->items;
	sl_buf_u8(out, '[');
	for (size_t i = 0; i < list->n; i++) {
		sl_buf_str(out, i ? SL_STR(",") : SL_STR(""));
		add_json_value(out, d, items + i * value_item_bytes(d));
	}
	sl_buf_u8(out, ']');
}

/* One item or a list of them, since a single value is a list of one. */
static void add_list_keywords(struct sl_buf *out, const struct sl_directive *d)
{
	sl_buf_str(out, SL_STR("\"anyOf\":[{"));
	add_keywords(out, d);
	sl_buf_str(out, SL_STR("},{\"type\":\"array\",\"items\":{"));
	add_keywords(out, d);
	sl_buf_u8(out, '}');
	if (d->max > d->min)
		sl_buf_printf(out, ",\"minItems\":%" PRId64 ",\"maxItems\":%" PRId64, d->min,
			      d->max);
	sl_buf_str(out, SL_STR("}]"));
}

static void add_directive(struct sl_buf *out, const struct sl_directive *d, const char *member)
{
	sl_buf_json(out, sl_str_c(d->name));
	sl_buf_str(out, SL_STR(":{\"description\":"));
	sl_buf_json(out, sl_str_c(d->doc));
	add_default(out, d, member);
	sl_buf_u8(out, ',');
	if (d->list)
		add_list_keywords(out, d);
	else
		add_keywords(out, d);
	sl_buf_u8(out, '}');
}

/* What an enclosing scope may have set is not required here. */
static bool is_required(const struct sl_directive *d, enum sl_scope scope)
{
	return d->required && d->scopes == scope;
}

static void add_object(struct sl_buf *out, const struct conf_block *b, enum sl_scope scope)
{
	const char *comma = "";

	sl_buf_printf(out, "\"type\":%s,\"properties\":{",
		      scope == SL_S_RECORD ? "\"object\"" : "[\"object\",\"null\"]");
	(void)conf_schema_members(out, b, scope); /* an empty object is fine */
	sl_buf_str(out, SL_STR("},\"required\":["));
	for (const struct sl_directive *d = b->table; d && d->name; d++) {
		if (!is_required(d, scope))
			continue;
		sl_buf_printf(out, "%s\"%s\"", comma, d->name);
		comma = ",";
	}
	sl_buf_str(out, SL_STR("],\"additionalProperties\":false"));
}

unsigned conf_schema_members(struct sl_buf *out, const struct conf_block *b, enum sl_scope scope)
{
	struct sl_pool *pool = sl_pool_new(0);
	const char *conf = pool ? schema_defaults(pool, b) : NULL;
	unsigned n = 0;

	for (const struct sl_directive *d = conf ? b->table : NULL; d && d->name; d++) {
		if (!(d->scopes & scope))
			continue;
		if (n++)
			sl_buf_u8(out, ',');
		add_directive(out, d, conf + d->offset);
	}
	out->failed |= !conf;
	sl_pool_destroy(pool);
	return n;
}

void conf_schema_json(struct sl_buf *out, const struct conf_block *b, enum sl_scope scope)
{
	sl_buf_u8(out, '{');
	add_object(out, b, scope);
	sl_buf_u8(out, '}');
}
