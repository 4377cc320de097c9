/*
 * config/yaml.c: YAML text to a tree in which every node knows its place. The one seam of libyaml.
 *
 * Knows events, anchors, aliases and merges ("<<"); does not know directives: every scalar stays
 * text. What libyaml leaves to its caller is done here: duplicate keys, aliases, and caps on size,
 * depth and number of nodes. Aliases are expanded into copies, which count as nodes, so that a
 * document of a kilobyte cannot become a gigabyte.
 *
 * Called by the checker, the workers, -g overrides and for the defaults in directive tables. What
 * is wrong with one value is reported and parsing goes on; what makes the rest unreadable ends it.
 */
#include "config/tree.h"

#include <stdio.h>
#include <yaml.h>
#include <sluice/hash.h>
#include "config/errors.h"

enum { MAX_TEXT = 4 << 20, MAX_NODES = 100000 };

/* A key of a mapping, or an anchor, by (scope, name). */
struct name {
	struct sl_hnode link;
	const struct conf_node *scope; /* the mapping; NULL: an anchor */
	struct sl_str text;
	struct conf_node *node;
	struct conf_place at;
};

/* A collection that is still open. */
struct level {
	struct conf_node *node;
	struct conf_node **tail;
	struct conf_node *merges, **merges_tail; /* values of "<<" */
	bool have_key, merge, drop; /* of the value to come: drop after a duplicate key */
	struct sl_str key;
	struct conf_place key_at;
};

struct reader {
	struct sl_pool *pool;
	struct conf_errors *errors;
	const char *file;
	struct sl_str text;
	yaml_parser_t yaml;
	struct level levels[CONF_MAX_DEPTH];
	unsigned depth;
	struct conf_node *root;
	unsigned n_nodes;
	struct sl_htab names;
	bool ended;
};

static struct conf_place place_of(const struct reader *r, const yaml_mark_t *mark)
{
	return (struct conf_place){r->file, (unsigned)mark->line + 1, (unsigned)mark->column + 1};
}

/* ---- where we are, as the operator would say it: "listen[1].port" */

static const char *path_here(const struct reader *r, char dst[256])
{
	size_t len = 0;

	dst[0] = '\0';
	for (unsigned i = 0; i < r->depth && len < 255; i++) {
		const struct level *l = &r->levels[i];
		bool inner = i + 1 == r->depth; /* its value is still to come */

		if (l->node->kind == CONF_SEQUENCE)
			len += (size_t)snprintf(dst + len, 256 - len, "[%u]",
						l->node->n_children - !inner);
		else if (!inner || l->have_key)
			len += (size_t)snprintf(dst + len, 256 - len, "%s%.*s", i ? "." : "",
						SL_FMT(l->key));
	}
	return dst;
}

/* For what cannot be parsed on from. */
static int refuse(struct reader *r, const struct conf_place *at, const char *sentence)
{
	char path[256];

	conf_report(r->errors, false, at, path_here(r, path), "%s", sentence);
	return -SL_EPARSE;
}

static int out_of_memory(struct reader *r)
{
	(void)refuse(r, &(struct conf_place){.file = r->file}, sl_strerror(-SL_ENOMEM));
	return -SL_ENOMEM;
}

/* ---- nodes */

static int new_node(struct reader *r, enum conf_node_kind kind, const struct conf_place *at,
		    struct conf_node **ret_node)
{
	struct conf_node *node;

	if (++r->n_nodes > MAX_NODES)
		return refuse(r, at, "more than 100000 keys and values, aliases expanded");
	node = conf_node_new(r->pool, kind, at);
	if (!node)
		return out_of_memory(r);
	*ret_node = node;
	return 0;
}

/* Recurses at most CONF_MAX_DEPTH deep: depth is that of the copy. */
static int copy_tree(struct reader *r, const struct conf_node *from, unsigned depth,
		     struct conf_node **ret_copy)
{
	struct conf_node *copy, *child, **tail;
	int rc;

	if (from->kind != CONF_SCALAR && depth >= CONF_MAX_DEPTH)
		return refuse(r, &from->at, "an alias makes the document deeper than 64 levels");
	rc = new_node(r, from->kind, &from->at, &copy);
	if (rc)
		return rc;
	*copy = *from;
	copy->next = copy->child = NULL;
	tail = &copy->child;
	for (const struct conf_node *c = from->child; c; c = c->next) {
		rc = copy_tree(r, c, depth + 1, &child);
		if (rc)
			return rc;
		*tail = child;
		tail = &child->next;
	}
	*ret_copy = copy;
	return 0;
}

/* ---- names: keys and anchors */

struct name_key {
	const struct conf_node *scope;
	struct sl_str text;
};

static bool name_eq(const struct sl_hnode *link, const void *key)
{
	const struct name *n = SL_CONTAINER(link, struct name, link);
	const struct name_key *k = key;

	return n->scope == k->scope && sl_str_eq(n->text, k->text);
}

static uint64_t name_hash(const struct name_key *k)
{
	return sl_hash(k->text.p, k->text.len) ^ sl_hash(&k->scope, sizeof k->scope);
}

static struct name *find_name(const struct reader *r, const struct conf_node *scope,
			      struct sl_str text)
{
	struct name_key key = {scope, text};
	struct sl_hnode *link = sl_htab_find(&r->names, name_hash(&key), name_eq, &key);

	return link ? SL_CONTAINER(link, struct name, link) : NULL;
}

static int add_name(struct reader *r, const struct conf_node *scope, struct sl_str text,
		    struct conf_node *node, const struct conf_place *at)
{
	struct name *n = sl_pool_alloc(r->pool, sizeof *n);
	struct name_key key = {scope, text};

	if (!n)
		return out_of_memory(r);
	n->scope = scope;
	n->text = text;
	n->node = node;
	n->at = *at;
	if (sl_htab_insert(&r->names, &n->link, name_hash(&key)))
		return out_of_memory(r);
	return 0;
}

/* An anchor may be set again; aliases mean the last one before them (YAML 1.1, 3.2.2.2). */
static int set_anchor(struct reader *r, const yaml_char_t *anchor, struct conf_node *node)
{
	struct sl_str text = sl_str_c((const char *)anchor);
	struct name *n;

	if (!anchor)
		return 0;
	n = find_name(r, NULL, text);
	if (n) {
		n->node = node;
		return 0;
	}
	text = sl_pool_str(r->pool, text);
	if (!text.p)
		return out_of_memory(r);
	return add_name(r, NULL, text, node, &node->at);
}

/* ---- putting nodes into the open collection */

static struct level *top(struct reader *r)
{
	return r->depth ? &r->levels[r->depth - 1] : NULL;
}

static bool wants_key(struct reader *r)
{
	const struct level *l = top(r);

	return l && l->node->kind == CONF_MAPPING && !l->have_key;
}

static void append(struct level *l, struct conf_node *node)
{
	*l->tail = node;
	l->tail = &node->next;
	l->node->n_children++;
}

static void append_value(struct level *l, struct conf_node *node)
{
	node->key = l->key;
	node->key_at = l->key_at;
	l->have_key = false;
	if (l->drop)
		return;
	if (!l->merge) {
		append(l, node);
		return;
	}
	*l->merges_tail = node;
	l->merges_tail = &node->next;
}

static void attach(struct reader *r, struct conf_node *node)
{
	struct level *l = top(r);

	if (!l)
		r->root = node;
	else if (l->node->kind == CONF_MAPPING)
		append_value(l, node);
	else
		append(l, node);
}

static int take_key(struct reader *r, const struct conf_node *scalar)
{
	struct level *l = top(r);
	const struct name *first = find_name(r, l->node, scalar->value);
	char path[256];

	l->have_key = true;
	l->key = scalar->value;
	l->key_at = scalar->at;
	l->merge = !scalar->quoted && sl_str_eq(scalar->value, SL_STR("<<"));
	l->drop = first != NULL;
	if (!first)
		return add_name(r, l->node, l->key, NULL, &l->key_at);
	conf_report(r->errors, false, &l->key_at, path_here(r, path),
		    "duplicate key; the first is at line %u, column %u", first->at.line,
		    first->at.column);
	return 0;
}

/* ---- merges: a mapping takes over the keys of others that it has not itself */

static int merge_children(struct reader *r, struct level *l, struct conf_node *from)
{
	struct conf_node *next;
	int rc;

	for (struct conf_node *c = from->child; c; c = next) {
		next = c->next;
		if (find_name(r, l->node, c->key))
			continue;
		rc = add_name(r, l->node, c->key, NULL, &c->key_at);
		if (rc)
			return rc;
		c->next = NULL;
		append(l, c);
	}
	return 0;
}

static int merge_one(struct reader *r, struct level *l, struct conf_node *from)
{
	char path[256];

	if (from->kind == CONF_MAPPING)
		return merge_children(r, l, from);
	if (!from->bad)
		conf_report(r->errors, false, &from->at, path_here(r, path),
			    "\"<<\" takes a mapping, or a list of mappings");
	return 0;
}

static int merge_all(struct reader *r, struct level *l)
{
	struct conf_node *next, *first;
	int rc = 0;

	for (struct conf_node *m = l->merges; m && !rc; m = next) {
		next = m->next;
		first = m->kind == CONF_SEQUENCE ? m->child : NULL;
		if (m->kind != CONF_SEQUENCE)
			rc = merge_one(r, l, m);
		for (struct conf_node *c = first; c && !rc; c = c->next)
			rc = merge_one(r, l, c);
	}
	return rc;
}

/* ---- events */

static int on_scalar(struct reader *r, const yaml_event_t *ev)
{
	struct sl_str value = {(const char *)ev->data.scalar.value, ev->data.scalar.length};
	struct sl_str tag = sl_str_c((const char *)ev->data.scalar.tag);
	struct conf_place at = place_of(r, &ev->start_mark);
	struct conf_node *node;
	char path[256];
	int rc = new_node(r, CONF_SCALAR, &at, &node);

	if (rc)
		return rc;
	if (memchr(value.p, '\0', value.len))
		return refuse(r, &at, "a NUL character has no place in a configuration");
	node->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	node->value = sl_pool_str(r->pool, value);
	if (!node->value.p)
		return out_of_memory(r);
	if (tag.len)
		conf_tag_resolve(r->pool, r->errors, node, tag, path_here(r, path));
	rc = set_anchor(r, ev->data.scalar.anchor, node);
	if (rc)
		return rc;
	if (wants_key(r))
		return take_key(r, node);
	attach(r, node);
	return 0;
}

static int open_collection(struct reader *r, enum conf_node_kind kind, const yaml_event_t *ev)
{
	bool mapping = kind == CONF_MAPPING;
	const yaml_char_t *anchor =
		mapping ? ev->data.mapping_start.anchor : ev->data.sequence_start.anchor;
	const yaml_char_t *tag = mapping ? ev->data.mapping_start.tag : ev->data.sequence_start.tag;
	struct conf_place at = place_of(r, &ev->start_mark);
	struct conf_node *node;
	struct level *l;
	int rc;

	if (wants_key(r))
		return refuse(r, &at, "a key is a single word, not a list or mapping");
	if (tag)
		return refuse(r, &at, "a list or mapping takes no tag");
	if (r->depth == CONF_MAX_DEPTH)
		return refuse(r, &at, "the document is deeper than 64 levels");
	rc = new_node(r, kind, &at, &node);
	if (!rc)
		rc = set_anchor(r, anchor, node);
	if (rc)
		return rc;
	attach(r, node);
	l = &r->levels[r->depth++];
	*l = (struct level){.node = node, .tail = &node->child};
	l->merges_tail = &l->merges;
	return 0;
}

static int close_collection(struct reader *r)
{
	int rc = merge_all(r, top(r));

	r->depth--;
	return rc;
}

static bool is_open(const struct reader *r, const struct conf_node *node)
{
	for (unsigned i = 0; i < r->depth; i++) {
		if (r->levels[i].node == node)
			return true;
	}
	return false;
}

/* An alias without a meaning becomes a bad scalar, so that the rest is still checked. */
static int on_alias(struct reader *r, const yaml_event_t *ev)
{
	struct sl_str text = sl_str_c((const char *)ev->data.alias.anchor);
	const struct name *n = find_name(r, NULL, text);
	struct conf_place at = place_of(r, &ev->start_mark);
	struct conf_node *node;
	char path[256];
	int rc;

	if (n && !is_open(r, n->node)) {
		rc = copy_tree(r, n->node, r->depth, &node);
	} else {
		conf_report(r->errors, false, &at, path_here(r, path), "alias *%.*s %s",
			    CONF_SHOWN(text),
			    n ? "stands inside of its own anchor" : "has no anchor before it");
		rc = new_node(r, CONF_SCALAR, &at, &node);
		if (!rc)
			node->bad = true;
	}
	if (rc)
		return rc;
	node->key = SL_STR_NULL; /* a copy has that of its anchor */
	node->key_at = (struct conf_place){NULL, 0, 0};
	if (!wants_key(r)) {
		attach(r, node);
		return 0;
	}
	if (node->kind != CONF_SCALAR)
		return refuse(r, &at, "a key is a single word, not a list or mapping");
	return take_key(r, node);
}

static int on_event(struct reader *r, const yaml_event_t *ev)
{
	struct conf_place at = place_of(r, &ev->start_mark);

	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		return on_scalar(r, ev);
	case YAML_ALIAS_EVENT:
		return on_alias(r, ev);
	case YAML_SEQUENCE_START_EVENT:
		return open_collection(r, CONF_SEQUENCE, ev);
	case YAML_MAPPING_START_EVENT:
		return open_collection(r, CONF_MAPPING, ev);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_collection(r);
	case YAML_DOCUMENT_START_EVENT:
		return r->root ? refuse(r, &at, "a second document begins; one file holds one") : 0;
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
	struct conf_place at = {r->file, 1, 1};

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

static int syntax_error(struct reader *r)
{
	const yaml_parser_t *y = &r->yaml;
	struct conf_place at = place_of(r, &y->problem_mark);
	const char *problem = y->problem ? y->problem : "unreadable";
	char path[256];

	if (y->error == YAML_MEMORY_ERROR)
		return out_of_memory(r);
	if (y->error == YAML_READER_ERROR) {
		at = place_of_offset(r, y->problem_offset);
		return refuse(r, &at, problem);
	}
	if (is_tab(r->text, &y->problem_mark))
		return refuse(r, &at, "a tab cannot indent YAML; use spaces");
	if (!y->context || y->context_mark.line == y->problem_mark.line)
		return refuse(r, &at, problem);
	conf_report(r->errors, false, &at, path_here(r, path),
		    "%s %s that began at line %u, column %u", problem, y->context,
		    (unsigned)y->context_mark.line + 1, (unsigned)y->context_mark.column + 1);
	return -SL_EPARSE;
}

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
	struct reader r = {.pool = pool, .errors = e, .file = file, .text = text};
	int rc;

	if (text.len > MAX_TEXT) {
		(void)refuse(&r, &(struct conf_place){file, 1, 1}, "the text is larger than 4 MiB");
		return NULL;
	}
	if (!yaml_parser_initialize(&r.yaml)) {
		(void)out_of_memory(&r);
		return NULL;
	}
	yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING); /* no guess from a byte order mark */
	yaml_parser_set_input_string(&r.yaml, (const yaml_char_t *)(text.p ? text.p : ""),
				     text.len);
	rc = read_events(&r);
	yaml_parser_delete(&r.yaml);
	sl_htab_free(&r.names);
	if (rc)
		return NULL;
	return r.root ? r.root : conf_node_empty_mapping(pool, file);
}
