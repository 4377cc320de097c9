/*
 * config/dump.c: the effective configuration as YAML (-T), after defaults, inheritance and
 * overrides.
 *
 * Knows tables and conf structs; the tree is gone. Invariant: what is written parses to the same
 * struct, except that secrets are stars. So a value that nobody set is left out where no text would
 * give it, and text is quoted wherever YAML could read it otherwise.
 */
#include "config/quote.h"
#include "config/value.h"

/* The text so far, and where the next line begins. */
struct dump {
	struct sl_buf *out;
	unsigned indent;
	bool dash; /* the next line begins a list item */
};

static void dump_table(struct dump *d, const struct sl_directive *table, enum sl_scope scope,
		       const char *conf);

/* The dash of a list item takes the place of the last two columns. */
static void begin_line(struct dump *d)
{
	for (unsigned i = d->dash ? 2 : 0; i < d->indent; i++)
		sl_buf_u8(d->out, ' ');
	if (d->dash)
		sl_buf_str(d->out, SL_STR("- "));
	d->dash = false;
}

/* ---- scalars */

/* Formatted apart first, because quotes depend on the whole text. */
static void dump_scalar(struct sl_buf *out, const struct sl_directive *row, const void *member)
{
	struct sl_buf text;

	sl_buf_init(&text, 0);
	value_types[row->type].format(&text, row, member);
	quote_yaml(out, sl_buf_view(&text));
	out->failed |= text.failed;
	sl_buf_free(&text);
}

/* ---- lists and records */

/* Flow style keeps a list on one line, as an operator would write it. */
static void dump_scalars(struct sl_buf *out, const struct sl_directive *row,
			 const struct sl_list *list)
{
	const char *items = list->items;

	sl_buf_str(out, SL_STR(" ["));
	for (size_t i = 0; i < list->n; i++) {
		if (i)
			sl_buf_str(out, SL_STR(", "));
		dump_scalar(out, row, items + i * value_item_bytes(row));
	}
	sl_buf_str(out, SL_STR("]\n"));
}

static void dump_record(struct dump *d, const struct sl_directive *row, const char *record)
{
	struct dump inner = {d->out, d->indent + 2, false};
	size_t before;

	sl_buf_u8(d->out, '\n');
	before = d->out->len;
	dump_table(&inner, row->fields, SL_S_RECORD, record);
	if (d->out->len == before && before) { /* nothing to say: "tls: {}" */
		d->out->len--;
		sl_buf_str(d->out, SL_STR(" {}\n"));
	}
}

/* Block style, one field a line; a record without any written field is "{}". */
static void dump_records(struct dump *d, const struct sl_directive *row, const struct sl_list *list)
{
	const char *items = list->items;

	sl_buf_str(d->out, list->n ? SL_STR("\n") : SL_STR(" []\n"));
	for (size_t i = 0; i < list->n; i++) {
		struct dump item = {d->out, d->indent + 4, true};

		dump_table(&item, row->fields, SL_S_RECORD, items + i * row->record_bytes);
		if (!item.dash)
			continue;
		begin_line(&item);
		sl_buf_str(d->out, SL_STR("{}\n"));
	}
}

static void dump_value(struct dump *d, const struct sl_directive *row, const char *member)
{
	if (row->list && row->type == SL_T_RECORD) {
		dump_records(d, row, (const struct sl_list *)member);
	} else if (row->list) {
		dump_scalars(d->out, row, (const struct sl_list *)member);
	} else if (row->type == SL_T_RECORD) {
		dump_record(d, row, member);
	} else {
		sl_buf_u8(d->out, ' ');
		dump_scalar(d->out, row, member);
		sl_buf_u8(d->out, '\n');
	}
}

/* No text would read as this value: an empty list counts unless it is too short. */
static bool is_left_out(const struct sl_directive *row, const char *member)
{
	if (row->list)
		return value_is_unset(row, member) && row->max > row->min && row->min > 0;
	return value_is_unset(row, member);
}

static void dump_table(struct dump *d, const struct sl_directive *table, enum sl_scope scope,
		       const char *conf)
{
	for (const struct sl_directive *row = table; row && row->name; row++) {
		if (!(row->scopes & scope) || is_left_out(row, conf + row->offset))
			continue;
		begin_line(d);
		sl_buf_printf(d->out, "%s:", row->name);
		dump_value(d, row, conf + row->offset);
	}
}

void conf_dump(struct sl_buf *out, const struct conf_block *b, enum sl_scope scope,
	       const void *conf, unsigned indent)
{
	struct dump d = {out, indent, false};

	dump_table(&d, b->table, scope, conf);
}
