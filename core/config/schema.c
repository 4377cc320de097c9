/*
 * config/schema.c: fills conf structs from the tree, as directive tables say.
 *
 * Knows tables, scopes and inheritance; does not know what a directive means nor which tables
 * exist. The order of trust for each directive: what the operator wrote in this block, else the
 * value of the enclosing scope, else the default of its row, else zero. A mistake is reported and
 * the next best value taken, so that one run finds every mistake.
 */
#include "config/schema.h"

#include <stdio.h>
#include "config/errors.h"
#include "config/suggest.h"
#include "config/tree.h"
#include "config/value.h"

/* One mapping that is read by one table: a block, or a record in it. */
struct table_read {
	const struct conf_eval *ev;
	const struct sl_directive *table;
	enum sl_scope scope;
	struct conf_node *node; /* as written; NULL: nothing was */
	const char *base;	/* the enclosing scope's struct, or NULL */
	const char *path;
	const char *const *also;
};

/* Each row once, in the order of the table; then the keys that no row has. */
static void read_table(const struct table_read *t, char *conf);

/* Garbage on purpose: paths live in the pool, and only errors keep them. */
static const char *join(const struct conf_eval *ev, const char *path, struct sl_str key)
{
	const char *joined =
		sl_pool_printf(ev->pool, "%s%s%.*s", path, *path ? "." : "", SL_FMT(key));

	return joined ? joined : path;
}

/* ---- kinds */

static const char *kind_name(const struct conf_node *node)
{
	static const char *const names[] = {"a single value", "a list", "a mapping"};

	return names[node->kind];
}

/* Says what is wanted with the directive's own words, since the operator mistook it. */
static int wrong_kind(const struct conf_eval *ev, const struct sl_directive *d,
		      const struct conf_node *node, const char *path)
{
	if (conf_node_is_empty(node))
		conf_report(ev->errors, false, &node->at, path, "has no value; wants %s (%s)",
			    value_types[d->type].wanted, d->doc);
	else
		conf_report(ev->errors, false, &node->at, path, "wants %s, not %s (%s)",
			    value_types[d->type].wanted, kind_name(node), d->doc);
	return -SL_EPARSE;
}

/* Whether a block can be read: a mapping, or nothing at all, as in "stun:". */
static bool is_block(const struct table_read *t)
{
	const struct conf_node *node = t->node;

	if (!node || node->bad)
		return false;
	if (node->kind == CONF_MAPPING || conf_node_is_empty(node))
		return true;
	conf_report(t->ev->errors, false, &node->at, t->path,
		    "wants directives, \"name: value\", not %s", kind_name(node));
	return false;
}

/* ---- values */

/* v.why has no place: adding it is the business of whoever knows the node. */
static int read_scalar(const struct conf_eval *ev, const struct sl_directive *d,
		       const struct conf_node *node, const char *path, void *member)
{
	struct value v = {.pool = ev->pool, .prefix = ev->prefix, .d = d, .text = node->value};

	if (node->kind != CONF_SCALAR || conf_node_is_empty(node))
		return wrong_kind(ev, d, node, path);
	v.secret = node->secret;
	if (!value_parse(&v, member))
		return 0;
	conf_report(ev->errors, false, &node->at, path, "%s", v.why);
	return -SL_EPARSE;
}

/* Errors inside leave the record complete, with defaults, so it counts as read. */
static int read_record(const struct conf_eval *ev, const struct sl_directive *d,
		       struct conf_node *node, const char *path, void *member)
{
	struct table_read t = {
		.ev = ev, .table = d->fields, .scope = SL_S_RECORD, .node = node, .path = path};

	if (node->kind != CONF_MAPPING)
		return wrong_kind(ev, d, node, path);
	read_table(&t, member);
	return 0;
}

static int read_item(const struct conf_eval *ev, const struct sl_directive *d,
		     struct conf_node *node, const char *path, void *member)
{
	node->used = true;
	if (node->bad)
		return -SL_EPARSE;
	if (d->type == SL_T_RECORD)
		return read_record(ev, d, node, path, member);
	return read_scalar(ev, d, node, path, member);
}

/* min and max of a list bound its count. */
static int check_count(const struct conf_eval *ev, const struct sl_directive *d,
		       const struct conf_node *node, size_t n, const char *path)
{
	if (d->max <= d->min || ((int64_t)n >= d->min && (int64_t)n <= d->max))
		return 0;
	conf_report(ev->errors, false, &node->at, path, "has %zu items; %lld..%lld are allowed", n,
		    (long long)d->min, (long long)d->max);
	return -SL_EPARSE;
}

/* All items are read even after a wrong one: their errors belong to the same run. */
static int read_list(const struct conf_eval *ev, const struct sl_directive *d,
		     struct conf_node *node, const char *path, struct sl_list *list)
{
	bool single = node->kind != CONF_SEQUENCE;
	size_t n = single ? 1 : node->n_children, bytes = value_item_bytes(d), i = 0;
	char *items = sl_pool_array(ev->pool, n + 1, bytes);
	int rc = check_count(ev, d, node, n, path);

	if (!items) {
		conf_report(ev->errors, false, &node->at, path, "%s", sl_strerror(-SL_ENOMEM));
		return -SL_ENOMEM;
	}
	for (struct conf_node *c = single ? node : node->child; c;
	     c = single ? NULL : c->next, i++) {
		const char *place = single ? path : sl_pool_printf(ev->pool, "%s[%zu]", path, i);

		if (read_item(ev, d, c, place ? place : path, items + i * bytes))
			rc = -SL_EPARSE;
	}
	node->used = true;
	if (rc)
		return rc;
	*list = (struct sl_list){items, n};
	return 0;
}

static int read_value(const struct conf_eval *ev, const struct sl_directive *d,
		      struct conf_node *node, const char *path, void *member)
{
	node->used = true;
	if (node->bad)
		return -SL_EPARSE;
	return d->list ? read_list(ev, d, node, path, member)
		       : read_item(ev, d, node, path, member);
}

/* ---- defaults */

/* Spares libyaml for a plain word, as most defaults are. */
static bool is_plain_word(const char *z)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_/.";

	return *z && strspn(z, plain) == strlen(z);
}

/* Without a place in a file: the directive's name stands in for the file's. */
static struct conf_node *default_node(const struct conf_eval *ev, const struct sl_directive *d)
{
	struct conf_place at = {d->name, 1, 1};
	struct conf_node *node;

	if (!is_plain_word(d->dflt))
		return conf_yaml_parse(ev->pool, ev->errors, d->name, sl_str_c(d->dflt));
	node = conf_node_new(ev->pool, CONF_SCALAR, &at);
	if (node)
		node->value = sl_str_c(d->dflt);
	return node;
}

/* path: of the table. A default that does not parse is a mistake in the table; conf_table_check
 * finds it before an operator can. */
static void take_default(const struct conf_eval *ev, const struct sl_directive *d, const char *path,
			 void *member)
{
	struct table_read fields = {.ev = ev, .table = d->fields, .scope = SL_S_RECORD};
	struct conf_node *node;

	if (d->dflt) {
		path = join(ev, path, sl_str_c(d->name));
		node = default_node(ev, d);
		if (node)
			(void)read_value(ev, d, node, path, member); /* reported */
	} else if (d->type == SL_T_RECORD && !d->list) {
		fields.path = join(ev, path, sl_str_c(d->name));
		read_table(&fields, member);
	}
}

/* ---- tables */

static const struct sl_directive *find_directive(const struct sl_directive *table,
						 struct sl_str name)
{
	for (const struct sl_directive *d = table; d && d->name; d++) {
		if (sl_str_eq(name, sl_str_c(d->name)))
			return d;
	}
	return NULL;
}

const char *schema_scope_names(uint8_t scopes, char dst[64])
{
	static const char *const names[] = {"main", "listen", "service", "record"};
	int len = 0;

	dst[0] = '\0';
	for (unsigned i = 0; i < SL_ARRAY_LEN(names); i++) {
		if (scopes & 1u << i)
			len += snprintf(dst + len, 64 - (size_t)len, "%s%s", len ? ", " : "",
					names[i]);
	}
	return dst;
}

/* True: the operator's value is in the struct. */
static bool read_written(const struct table_read *t, const struct sl_directive *d, char *conf)
{
	struct conf_node *node = conf_yaml_get(t->node, d->name);
	const char *path;
	char where[64];

	if (!node)
		return false;
	path = join(t->ev, t->path, sl_str_c(d->name));
	if (d->scopes & t->scope)
		return !read_value(t->ev, d, node, path, conf + d->offset);
	node->used = true;
	conf_report(t->ev->errors, false, &node->key_at, path, "has no place here, but in: %s",
		    schema_scope_names(d->scopes, where));
	return false;
}

/* What an enclosing scope has set is not missing here. */
static bool is_missing(const struct table_read *t, const struct sl_directive *d)
{
	return t->node && d->required && (d->scopes & t->scope) &&
	       !conf_yaml_get(t->node, d->name) &&
	       (!t->base || value_is_unset(d, t->base + d->offset));
}

/* At the block's key, or at the item in a list. */
static void report_missing(const struct table_read *t, const struct sl_directive *d)
{
	const struct conf_place *at = t->node->key.len ? &t->node->key_at : &t->node->at;

	conf_report(t->ev->errors, false, at, t->path, "needs \"%s\": %s (%s)", d->name,
		    value_types[d->type].wanted, d->doc);
}

static bool is_listed(const char *const *names, struct sl_str name)
{
	for (; names && *names; names++) {
		if (sl_str_eq(name, sl_str_c(*names)))
			return true;
	}
	return false;
}

static void offer_all(struct suggest *s, const char *const *names)
{
	for (; names && *names; names++)
		suggest_offer(s, *names);
}

/* Over the cap nobody reads the hint, and a broken file may have many such keys. */
static struct suggest nearest(const struct table_read *t, struct sl_str word)
{
	struct suggest s = suggest_for(word);

	if (conf_errors_full(t->ev->errors))
		return s;
	for (const struct sl_directive *d = t->table; d && d->name; d++) {
		if (d->scopes & t->scope)
			suggest_offer(&s, d->name);
	}
	offer_all(&s, t->also);
	return s;
}

/* Where others' blocks may stand, one that looks like a block may be of a module that is not
 * loaded. */
static void report_unknown(const struct table_read *t, const struct conf_node *node)
{
	struct suggest s = nearest(t, node->key);
	bool block = t->also && !s.name && (node->kind == CONF_MAPPING || conf_node_is_empty(node));

	conf_report(t->ev->errors, false, &node->key_at, join(t->ev, t->path, node->key),
		    "unknown directive%s%s%s%s", SUGGEST_FMT(s),
		    block ? "; a module's block needs its name in \"modules\"" : "");
}

static void check_keys(const struct table_read *t)
{
	for (const struct conf_node *c = t->node ? t->node->child : NULL; c; c = c->next) {
		if (!find_directive(t->table, c->key) && !is_listed(t->also, c->key))
			report_unknown(t, c);
	}
}

static void read_table(const struct table_read *original, char *conf)
{
	struct table_read t = *original;

	if (!is_block(&t))
		t.node = NULL;
	for (const struct sl_directive *d = t.table; d && d->name; d++) {
		char *member = conf + d->offset;

		if (read_written(&t, d, conf))
			continue;
		if (is_missing(&t, d))
			report_missing(&t, d);
		if (t.base)
			memcpy(member, t.base + d->offset, d->bytes);
		else
			take_default(t.ev, d, t.path, member);
	}
	check_keys(&t);
}

void *conf_evaluate(const struct conf_eval *ev, const struct conf_block *b, enum sl_scope scope,
		    struct conf_node *node, const void *base, const char *path,
		    const char *const *also)
{
	struct table_read t = {ev, b->table, scope, node, base, path, also};
	char *conf = sl_pool_alloc(ev->pool, b->size ? b->size : 1);

	if (!conf) {
		conf_report(ev->errors, false, NULL, path, "%s", sl_strerror(-SL_ENOMEM));
		return NULL;
	}
	if (node)
		node->used = true;
	read_table(&t, conf);
	return conf;
}

const void *schema_defaults(struct sl_pool *pool, const struct conf_block *b)
{
	struct conf_eval ev = {.pool = pool, .errors = conf_errors_new(pool)};

	return ev.errors ? conf_evaluate(&ev, b, SL_S_RECORD, NULL, NULL, b->name, NULL) : NULL;
}

void conf_unknown_key(const struct conf_eval *ev, const struct conf_node *node, const char *path,
		      const char *const *candidates, const char *what)
{
	struct suggest s = suggest_for(node->key);

	if (!conf_errors_full(ev->errors))
		offer_all(&s, candidates);
	conf_report(ev->errors, false, &node->key_at, join(ev, path, node->key), "unknown %s%s%s%s",
		    what, SUGGEST_FMT(s));
}
