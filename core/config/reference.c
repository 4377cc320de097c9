/*
 * config/reference.c: tables as Markdown, for conf/README.md and the modules' manuals.
 *
 * Knows tables only, so that the reference cannot say anything else than what the loader does. A
 * record's fields follow its own row as "tls.cert", those of a list as "users[].name".
 */
#include "config/schema.h"
#include "config/value.h"

static void add_rows(struct sl_buf *out, const struct conf_block *b, const char *prefix);

/* A '|' would end the cell. */
static void add_cell(struct sl_buf *out, struct sl_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '|')
			sl_buf_u8(out, '\\');
		sl_buf_u8(out, s.p[i] == '\n' ? ' ' : (uint8_t)s.p[i]);
	}
}

/* Bounds in the units that the operator writes; lengths and counts say so. */
static void add_range(struct sl_buf *out, const struct sl_directive *d)
{
	bool length = !d->list && !value_types[d->type].number;

	if (d->max <= d->min)
		return;
	sl_buf_str(out, SL_STR(", "));
	if (d->list) {
		sl_buf_printf(out, "%lld to %lld of them", (long long)d->min, (long long)d->max);
		return;
	}
	value_format_number(out, d, d->min);
	sl_buf_str(out, SL_STR(" to "));
	value_format_number(out, d, d->max);
	if (length)
		sl_buf_str(out, SL_STR(" bytes"));
}

/* A word lists its names instead of a type. */
static void add_takes(struct sl_buf *out, const struct sl_directive *d)
{
	if (d->list)
		sl_buf_str(out, SL_STR("list of: "));
	sl_buf_str(out, sl_str_c(d->type == SL_T_ENUM ? "" : value_types[d->type].name));
	for (unsigned i = 0; d->type == SL_T_ENUM && d->names[i]; i++)
		sl_buf_printf(out, "%s`%s`", i ? ", " : "", d->names[i]);
	add_range(out, d);
}

static void add_values(struct sl_buf *out, const struct sl_directive *d, const char *member)
{
	const struct sl_list *list = (const struct sl_list *)member;
	const char *items = d->list ? list->items : member;
	size_t n = d->list ? list->n : 1;

	for (size_t i = 0; i < n; i++) {
		if (i)
			sl_buf_str(out, SL_STR(", "));
		value_types[d->type].format(out, d, items + i * value_item_bytes(d));
	}
}

/* Through the member and back, so that the reference shows what is really in force. */
static void add_default(struct sl_buf *out, const struct sl_directive *d, const char *member)
{
	struct sl_buf text;

	if (d->required)
		sl_buf_str(out, SL_STR("*required*"));
	if (!d->dflt)
		return;
	sl_buf_init(&text, 0);
	if (d->type == SL_T_RECORD)
		sl_buf_str(&text, sl_str_c(d->dflt));
	else
		add_values(&text, d, member);
	sl_buf_u8(out, '`');
	add_cell(out, text.len ? sl_buf_view(&text) : sl_str_c(d->list ? "[]" : "\"\""));
	sl_buf_u8(out, '`');
	out->failed |= text.failed;
	sl_buf_free(&text);
}

static void add_row(struct sl_buf *out, const struct sl_directive *d, const char *member,
		    const char *prefix)
{
	char where[64];

	sl_buf_printf(out, "| `%s%s` | ", prefix, d->name);
	add_takes(out, d);
	sl_buf_str(out, SL_STR(" | "));
	add_default(out, d, member);
	sl_buf_printf(out, " | %s | ",
		      d->scopes == SL_S_RECORD ? "" : schema_scope_names(d->scopes, where));
	add_cell(out, sl_str_c(d->doc));
	sl_buf_str(out, SL_STR(" |\n"));
}

/* One level further into a record, with its name before those of the fields. */
static void add_fields(struct sl_buf *out, const struct sl_directive *d, const char *prefix)
{
	struct conf_block fields = {d->name, d->fields, value_item_bytes(d)};
	struct sl_buf inner;

	sl_buf_init(&inner, 0);
	sl_buf_printf(&inner, "%s%s%s.", prefix, d->name, d->list ? "[]" : "");
	sl_buf_u8(&inner, '\0');
	if (!sl_buf_ok(&inner))
		add_rows(out, &fields, (const char *)inner.p);
	out->failed |= inner.failed;
	sl_buf_free(&inner);
}

static void add_rows(struct sl_buf *out, const struct conf_block *b, const char *prefix)
{
	struct sl_pool *pool = sl_pool_new(0);
	const char *conf = pool ? schema_defaults(pool, b) : NULL;

	for (const struct sl_directive *d = conf ? b->table : NULL; d && d->name; d++) {
		add_row(out, d, conf + d->offset, prefix);
		if (d->type == SL_T_RECORD)
			add_fields(out, d, prefix);
	}
	out->failed |= !conf;
	sl_pool_destroy(pool);
}

void conf_reference_md(struct sl_buf *out, const struct conf_block *b)
{
	sl_buf_str(out, SL_STR("| Directive | Takes | Default | Where | Meaning |\n"
			       "|---|---|---|---|---|\n"));
	add_rows(out, b, "");
}

static const char intro[] =
	"- The file is YAML: UTF-8, one document, at most 4 MiB, 64 levels deep.\n"
	"- A value gets its type from the tables below, never from YAML: `realm: 007`\n"
	"  is text.\n"
	"- Where a list is taken, a single value is a list of one.\n"
	"- What a `listen` or `services` block leaves out has its value from the main\n"
	"  block, else its default. A mapping or list is inherited as a whole.\n"
	"- `!env NAME` is the value of an environment variable; `!env NAME:-default`\n"
	"  may be unset.\n"
	"- `!file PATH` is the content of a file without its last newline. A relative\n"
	"  path starts at the folder of the configuration file.\n"
	"- Anchors (`&a`), aliases (`*a`) and merges (`<<: *a`) work. A key that\n"
	"  stands twice is an error.\n"
	"- `-g 'log.level: debug'` overrides one directive, and one in a list with\n"
	"  `-g 'listen[0].name: media'`. A mapping is merged, the rest replaced.\n"
	"- All errors are told at once, each as `file:line:column: place: sentence`.\n"
	"\n"
	"| Type | Written as |\n"
	"|---|---|\n";

void conf_reference_intro_md(struct sl_buf *out)
{
	sl_buf_str(out, sl_str_c(intro));
	for (unsigned i = 0; i < value_n_types; i++)
		sl_buf_printf(out, "| %s | %s |\n", value_types[i].name, value_types[i].syntax);
}
