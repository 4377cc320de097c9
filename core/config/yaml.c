/*
 * config/yaml.c: the one seam of libyaml.
 *
 * Knows libyaml's events, marks and errors; build.c makes the tree of them. Called by the checker,
 * the workers, for -g and for the defaults in directive tables. Two traps: libyaml's reader errors
 * carry a byte offset instead of a place, and it nests as deep as the text does, so that the first
 * event too deep must end the parse.
 */
#include <yaml.h>
#include "config/build.h"

enum { MAX_TEXT = 4 << 20 };

/* One parse. */
struct reader {
	struct build build;
	yaml_parser_t yaml;
	struct sl_str text;
	bool ended;
};

static struct conf_place place_of(const struct reader *r, const yaml_mark_t *mark)
{
	return (struct conf_place){r->build.file, (unsigned)mark->line + 1,
				   (unsigned)mark->column + 1};
}

/* ---- events */

/* Anchors and tags: NULL becomes the empty string. */
static struct sl_str text_of(const yaml_char_t *z)
{
	return sl_str_c((const char *)z);
}

static int on_scalar(struct reader *r, const yaml_event_t *ev)
{
	struct build_item item = {
		.at = place_of(r, &ev->start_mark),
		.anchor = text_of(ev->data.scalar.anchor),
		.tag = text_of(ev->data.scalar.tag),
		.value = {(const char *)ev->data.scalar.value, ev->data.scalar.length},
		.quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE,
	};

	return build_scalar(&r->build, &item);
}

static int on_sequence(struct reader *r, const yaml_event_t *ev)
{
	struct build_item item = {
		.at = place_of(r, &ev->start_mark),
		.anchor = text_of(ev->data.sequence_start.anchor),
		.tag = text_of(ev->data.sequence_start.tag),
	};

	return build_open(&r->build, CONF_SEQUENCE, &item);
}

static int on_mapping(struct reader *r, const yaml_event_t *ev)
{
	struct build_item item = {
		.at = place_of(r, &ev->start_mark),
		.anchor = text_of(ev->data.mapping_start.anchor),
		.tag = text_of(ev->data.mapping_start.tag),
	};

	return build_open(&r->build, CONF_MAPPING, &item);
}

static int on_alias(struct reader *r, const yaml_event_t *ev)
{
	struct build_item item = {
		.at = place_of(r, &ev->start_mark),
		.value = text_of(ev->data.alias.anchor),
	};

	return build_alias(&r->build, &item);
}

/* The event of the first document comes with an empty tree. */
static int on_document(struct reader *r, const yaml_event_t *ev)
{
	struct conf_place at = place_of(r, &ev->start_mark);

	if (r->build.root)
		return build_refuse(&r->build, &at, "a second document begins; one file holds one");
	return 0;
}

static int on_event(struct reader *r, const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		return on_scalar(r, ev);
	case YAML_ALIAS_EVENT:
		return on_alias(r, ev);
	case YAML_SEQUENCE_START_EVENT:
		return on_sequence(r, ev);
	case YAML_MAPPING_START_EVENT:
		return on_mapping(r, ev);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return build_close(&r->build);
	case YAML_DOCUMENT_START_EVENT:
		return on_document(r, ev);
	case YAML_STREAM_END_EVENT:
		r->ended = true;
		return 0;
	default: /* stream start, document end: nothing to know */
		return 0;
	}
}

/* ---- what libyaml refuses */

/* The reader's errors (bad UTF-8, control characters) carry a byte offset only. */
static struct conf_place place_of_offset(const struct reader *r, size_t offset)
{
	struct conf_place at = {r->build.file, 1, 1};

	for (size_t i = 0; i < offset && i < r->text.len; i++) {
		unsigned char c = (unsigned char)r->text.p[i];

		if (c == '\n')
			at.line++, at.column = 1;
		else if ((c & 0xc0) != 0x80) /* columns count characters */
			at.column++;
	}
	return at;
}

/* Whether a tab stands at line and column, both from 0. */
static bool is_tab(struct sl_str text, const yaml_mark_t *mark)
{
	struct sl_str line = SL_STR_NULL;

	for (size_t i = 0; i <= mark->line; i++)
		line = sl_str_split(&text, '\n');
	return mark->column < line.len && line.p[mark->column] == '\t';
}

/* Where something began, unless that is the line of the problem anyway. */
static int syntax_error(struct reader *r)
{
	const yaml_parser_t *y = &r->yaml;
	const yaml_mark_t *began = &y->context_mark;
	struct conf_place at = place_of(r, &y->problem_mark);
	const char *problem = y->problem ? y->problem : sl_strerror(-SL_ENOMEM);

	if (y->error == YAML_READER_ERROR)
		at = place_of_offset(r, y->problem_offset);
	else if (is_tab(r->text, &y->problem_mark))
		problem = "a tab cannot indent YAML; use spaces";
	else if (y->context && began->line != y->problem_mark.line)
		return build_refuse(&r->build, &at, "%s %s that began at line %u, column %u",
				    problem, y->context, (unsigned)began->line + 1,
				    (unsigned)began->column + 1);
	return build_refuse(&r->build, &at, "%s", problem);
}

/* Each event is freed here, whatever became of it; the tree has copies. */
static int read_events(struct reader *r)
{
	yaml_event_t event;
	int rc = 0;

	while (!rc && !r->ended) {
		if (!yaml_parser_parse(&r->yaml, &event))
			return syntax_error(r);
		rc = on_event(r, &event);
		yaml_event_delete(&event);
	}
	return rc;
}

struct conf_node *conf_yaml_parse(struct sl_pool *pool, struct conf_errors *e, const char *file,
				  struct sl_str text)
{
	struct reader r = {.build = {.pool = pool, .errors = e, .file = file}, .text = text};
	struct conf_place start = {file, 1, 1};
	int rc;

	if (text.len > MAX_TEXT) {
		conf_report(e, false, &start, NULL, "the text is larger than 4 MiB");
		return NULL;
	}
	if (!yaml_parser_initialize(&r.yaml)) {
		conf_report(e, false, &start, NULL, "%s", sl_strerror(-SL_ENOMEM));
		return NULL;
	}
	yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING); /* no guess from a byte order mark */
	yaml_parser_set_input_string(&r.yaml, (const yaml_char_t *)(text.p ? text.p : ""),
				     text.len);
	rc = read_events(&r);
	yaml_parser_delete(&r.yaml);
	build_end(&r.build);
	if (rc)
		return NULL;
	return r.build.root ? r.build.root : conf_node_empty_mapping(pool, file);
}
