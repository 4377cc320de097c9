/*
 * config/build.c: scalars, collections and aliases in the order of the text become a tree.
 *
 * Knows keys, anchors and merges ("<<"); does not know libyaml nor directives. What a YAML parser
 * leaves to its caller is done here: duplicate keys, aliases, and caps on depth and number of
 * nodes. Aliases are expanded into copies, which count as nodes, so that a document of a kilobyte
 * cannot become a gigabyte. What is wrong with one value is reported and building goes on; what
 * makes the rest unreadable ends it.
 */
#include "config/build.h"

#include <stdio.h>
#include "config/errors.h"

enum { MAX_NODES = 100000 };

/* A key of a mapping, or an anchor, by (scope, name). */
struct name {
	struct sl_hnode link;
	const struct conf_node *scope; /* the mapping; NULL: an anchor */
	struct sl_str text;
	struct conf_node *node;
	struct conf_place at;
};

/* ---- where we are, as the operator would say it: "listen[1].port" */

/* The last level counts only once its key is known; the others are inside of their value. */
static const char *path_here(const struct build *b, char dst[256])
{
	size_t len = 0;

	dst[0] = '\0';
	for (unsigned i = 0; i < b->depth && len < 255; i++) {
		const struct build_level *l = &b->levels[i];
		bool inner = i + 1 == b->depth; /* its value is still to come */

		if (l->node->kind == CONF_SEQUENCE)
			len += (size_t)snprintf(dst + len, 256 - len, "[%u]",
						l->node->n_children - !inner);
		else if (!inner || l->have_key)
			len += (size_t)snprintf(dst + len, 256 - len, "%s%.*s", i ? "." : "",
						SL_FMT(l->key));
	}
	return dst;
}

static void report(struct build *b, const struct conf_place *at, const char *fmt, va_list args)
{
	char path[256];

	conf_vreport(b->errors, false, at, path_here(b, path), fmt, args);
}

int build_refuse(struct build *b, const struct conf_place *at, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(b, at, fmt, args);
	va_end(args);
	return -SL_EPARSE;
}

/* For what does not end the document. */
static void SL_PRINTF(3, 4)
	complain(struct build *b, const struct conf_place *at, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(b, at, fmt, args);
	va_end(args);
}

static int out_of_memory(struct build *b)
{
	complain(b, &(struct conf_place){.file = b->file}, "%s", sl_strerror(-SL_ENOMEM));
	return -SL_ENOMEM;
}

/* ---- nodes; NULL: an error was reported */

/* Every node passes here, copies and keys included, so that the cap bounds the memory. */
static struct conf_node *new_node(struct build *b, enum conf_node_kind kind,
				  const struct conf_place *at)
{
	struct conf_node *node;

	if (++b->n_nodes > MAX_NODES) {
		complain(b, at, "more than 100000 keys and values, aliases expanded");
		return NULL;
	}
	node = conf_node_new(b->pool, kind, at);
	if (!node)
		(void)out_of_memory(b);
	return node;
}

/* Recurses at most CONF_MAX_DEPTH deep: depth is that of the copy. */
static struct conf_node *copy_tree(struct build *b, const struct conf_node *from, unsigned depth)
{
	struct conf_node *copy, **tail;

	if (from->kind != CONF_SCALAR && depth >= CONF_MAX_DEPTH) {
		complain(b, &from->at, "an alias makes the document deeper than 64 levels");
		return NULL;
	}
	copy = new_node(b, from->kind, &from->at);
	if (!copy)
		return NULL;
	*copy = *from;
	copy->next = copy->child = NULL;
	tail = &copy->child;
	for (const struct conf_node *c = from->child; c; c = c->next) {
		*tail = copy_tree(b, c, depth + 1);
		if (!*tail)
			return NULL;
		tail = &(*tail)->next;
	}
	return copy;
}

/* ---- names: keys and anchors */

struct name_key {
	const struct conf_node *scope;
	struct sl_str text;
};

/* Scope and name both count: "port" may be a key of many mappings. */
static bool name_eq(const struct sl_hnode *link, const void *key)
{
	const struct name *n = SL_CONTAINER(link, struct name, link);
	const struct name_key *k = key;

	return n->scope == k->scope && sl_str_eq(n->text, k->text);
}

/* Keyed hashing, since keys and anchors are whatever the text says. */
static uint64_t name_hash(const struct name_key *k)
{
	return sl_hash(k->text.p, k->text.len) ^ sl_hash(&k->scope, sizeof k->scope);
}

static struct name *find_name(const struct build *b, const struct conf_node *scope,
			      struct sl_str text)
{
	struct name_key key = {scope, text};
	struct sl_hnode *link = sl_htab_find(&b->names, name_hash(&key), name_eq, &key);

	return link ? SL_CONTAINER(link, struct name, link) : NULL;
}

/* text and at are borrowed from the tree, which lives as long as the pool. */
static int add_name(struct build *b, const struct conf_node *scope, struct sl_str text,
		    struct conf_node *node, const struct conf_place *at)
{
	struct name *n = sl_pool_alloc(b->pool, sizeof *n);
	struct name_key key = {scope, text};

	if (!n)
		return out_of_memory(b);
	n->scope = scope;
	n->text = text;
	n->node = node;
	n->at = *at;
	if (sl_htab_insert(&b->names, &n->link, name_hash(&key)))
		return out_of_memory(b);
	return 0;
}

/* An anchor may be set again; aliases mean the last one before them (YAML 1.1, 3.2.2.2). */
static int set_anchor(struct build *b, struct sl_str text, struct conf_node *node)
{
	struct name *n;

	if (!text.len)
		return 0;
	n = find_name(b, NULL, text);
	if (n) {
		n->node = node;
		return 0;
	}
	text = sl_pool_str(b->pool, text);
	if (!text.p)
		return out_of_memory(b);
	return add_name(b, NULL, text, node, &node->at);
}

/* ---- putting nodes into the open collection */

static struct build_level *top(struct build *b)
{
	return b->depth ? &b->levels[b->depth - 1] : NULL;
}

/* In a mapping, scalars alternate between key and value. */
static bool wants_key(struct build *b)
{
	const struct build_level *l = top(b);

	return l && l->node->kind == CONF_MAPPING && !l->have_key;
}

static void append(struct build_level *l, struct conf_node *node)
{
	*l->tail = node;
	l->tail = &node->next;
	l->node->n_children++;
}

/* A dropped value has been parsed, and is simply not put anywhere. */
static void append_value(struct build_level *l, struct conf_node *node)
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

static void attach(struct build *b, struct conf_node *node)
{
	struct build_level *l = top(b);

	if (!l)
		b->root = node;
	else if (l->node->kind == CONF_MAPPING)
		append_value(l, node);
	else
		append(l, node);
}

/* The first of two equal keys stays; the second's value is read and forgotten. */
static int take_key(struct build *b, const struct conf_node *scalar)
{
	struct build_level *l = top(b);
	const struct name *first = find_name(b, l->node, scalar->value);

	l->have_key = true;
	l->key = scalar->value;
	l->key_at = scalar->at;
	l->merge = !scalar->quoted && sl_str_eq(scalar->value, SL_STR("<<"));
	l->drop = first != NULL;
	if (!first)
		return add_name(b, l->node, l->key, NULL, &l->key_at);
	complain(b, &l->key_at, "duplicate key; the first is at line %u, column %u", first->at.line,
		 first->at.column);
	return 0;
}

/* ---- merges: a mapping takes over the keys of others that it has not itself */

/* The children are already copies of their anchor's, so they may move. */
static int merge_children(struct build *b, struct build_level *l, struct conf_node *from)
{
	struct conf_node *next;
	int rc;

	for (struct conf_node *c = from->child; c; c = next) {
		next = c->next;
		if (find_name(b, l->node, c->key))
			continue;
		rc = add_name(b, l->node, c->key, NULL, &c->key_at);
		if (rc)
			return rc;
		c->next = NULL;
		append(l, c);
	}
	return 0;
}

static int merge_one(struct build *b, struct build_level *l, struct conf_node *from)
{
	if (from->kind == CONF_MAPPING)
		return merge_children(b, l, from);
	if (!from->bad)
		complain(b, &from->at, "\"<<\" takes a mapping, or a list of mappings");
	return 0;
}

/* "<<: *a" or "<<: [*a, *b]", where the earlier one wins (yaml.org/type/merge). */
static int merge_all(struct build *b, struct build_level *l)
{
	struct conf_node *next, *first;
	int rc = 0;

	for (struct conf_node *m = l->merges; m && !rc; m = next) {
		next = m->next;
		first = m->kind == CONF_SEQUENCE ? m->child : NULL;
		if (m->kind != CONF_SEQUENCE)
			rc = merge_one(b, l, m);
		for (struct conf_node *c = first; c && !rc; c = c->next)
			rc = merge_one(b, l, c);
	}
	return rc;
}

/* ---- events */

/* A tag is resolved at once, so that an anchor on it keeps the value and not the tag. */
int build_scalar(struct build *b, const struct build_item *item)
{
	struct conf_node *node = new_node(b, CONF_SCALAR, &item->at);
	char path[256];
	int rc;

	if (!node)
		return -SL_EPARSE;
	if (memchr(item->value.p, '\0', item->value.len))
		return build_refuse(b, &item->at,
				    "a NUL character has no place in a configuration");
	node->quoted = item->quoted;
	node->value = sl_pool_str(b->pool, item->value);
	if (!node->value.p)
		return out_of_memory(b);
	if (item->tag.len)
		conf_tag_resolve(b->pool, b->errors, node, item->tag, path_here(b, path));
	rc = set_anchor(b, item->anchor, node);
	if (rc)
		return rc;
	if (wants_key(b))
		return take_key(b, node);
	attach(b, node);
	return 0;
}

/* The depth is checked before anything of the collection is kept. */
int build_open(struct build *b, enum conf_node_kind kind, const struct build_item *item)
{
	struct conf_node *node;
	struct build_level *l;
	int rc;

	if (wants_key(b))
		return build_refuse(b, &item->at, "a key is a single word, not a list or mapping");
	if (item->tag.len)
		return build_refuse(b, &item->at, "a list or mapping takes no tag");
	if (b->depth == CONF_MAX_DEPTH)
		return build_refuse(b, &item->at, "the document is deeper than 64 levels");
	node = new_node(b, kind, &item->at);
	if (!node)
		return -SL_EPARSE;
	rc = set_anchor(b, item->anchor, node);
	if (rc)
		return rc;
	attach(b, node);
	l = &b->levels[b->depth++];
	*l = (struct build_level){.node = node, .tail = &node->child};
	l->merges_tail = &l->merges;
	return 0;
}

/* Merges wait for the end, because the mapping's own keys win wherever they stand. */
int build_close(struct build *b)
{
	int rc = merge_all(b, top(b));

	b->depth--;
	return rc;
}

/* True for an alias inside of what it names, which would never end. */
static bool is_open(const struct build *b, const struct conf_node *node)
{
	for (unsigned i = 0; i < b->depth; i++) {
		if (b->levels[i].node == node)
			return true;
	}
	return false;
}

/* An alias without a meaning becomes a bad scalar, so that the rest is still checked. */
static struct conf_node *missing_alias(struct build *b, const struct build_item *item,
				       const char *why)
{
	struct conf_node *node = new_node(b, CONF_SCALAR, &item->at);

	if (!node)
		return NULL;
	node->bad = true;
	complain(b, &item->at, "alias *%.*s %s", CONF_SHOWN(item->value), why);
	return node;
}

int build_alias(struct build *b, const struct build_item *item)
{
	const struct name *n = find_name(b, NULL, item->value);
	struct conf_node *node;

	if (!n)
		node = missing_alias(b, item, "has no anchor before it");
	else if (is_open(b, n->node))
		node = missing_alias(b, item, "stands inside of its own anchor");
	else
		node = copy_tree(b, n->node, b->depth);
	if (!node)
		return -SL_EPARSE;
	node->key = SL_STR_NULL; /* a copy has that of its anchor */
	node->key_at = (struct conf_place){NULL, 0, 0};
	if (!wants_key(b)) {
		attach(b, node);
		return 0;
	}
	if (node->kind != CONF_SCALAR)
		return build_refuse(b, &item->at, "a key is a single word, not a list or mapping");
	return take_key(b, node);
}

void build_end(struct build *b)
{
	sl_htab_free(&b->names);
}
