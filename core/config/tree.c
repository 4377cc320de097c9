/*
 * config/tree.c: finding and replacing values in the tree that yaml.c made.
 *
 * Knows dotted paths ("listen[1].port") and how one document is laid over another for -g; does not
 * know what a key means.
 */
#include "config/tree.h"

struct conf_node *conf_node_new(struct sl_pool *pool, enum conf_node_kind kind,
				const struct conf_place *at)
{
	struct conf_node *node = sl_pool_alloc(pool, sizeof *node);

	if (!node)
		return NULL;
	node->kind = (uint8_t)kind;
	node->at = *at;
	return node;
}

/* "key:" and nothing behind it; an empty text is written "". */
bool conf_node_is_empty(const struct conf_node *node)
{
	return node->kind == CONF_SCALAR && !node->quoted && !node->secret && node->value.len == 0;
}

struct conf_node *conf_node_empty_mapping(struct sl_pool *pool, const char *file)
{
	return conf_node_new(pool, CONF_MAPPING, &(struct conf_place){file, 1, 1});
}

/* Linear: blocks are small, and a large list is walked, not searched. */
static struct conf_node *find(const struct conf_node *mapping, struct sl_str key)
{
	if (!mapping || mapping->kind != CONF_MAPPING)
		return NULL;
	for (struct conf_node *c = mapping->child; c; c = c->next) {
		if (sl_str_eq(c->key, key))
			return c;
	}
	return NULL;
}

struct conf_node *conf_yaml_get(const struct conf_node *mapping, const char *key)
{
	return find(mapping, sl_str_c(key));
}

/* ---- paths */

/* What follows the first n bytes of a path; the dot between is eaten. */
static struct sl_str after(struct sl_str path, size_t n)
{
	if (n < path.len && path.p[n] == '.')
		n++;
	return (struct sl_str){path.p + n, path.len - n};
}

/* Bytes of the first step, "name" or "[index]". */
static size_t step_len(struct sl_str path)
{
	size_t n = path.len && path.p[0] == '[' ? 1 : 0;

	while (n < path.len && path.p[n] != '.' && path.p[n] != '[')
		n++;
	return n;
}

/* A key may have dots in it: the longest one that the path begins with. */
static struct conf_node *walk_key(const struct conf_node *node, struct sl_str path,
				  struct sl_str *ret_rest)
{
	struct conf_node *best = NULL;

	for (struct conf_node *c = node->kind == CONF_MAPPING ? node->child : NULL; c;
	     c = c->next) {
		size_t n = c->key.len;

		if (!n || !sl_str_starts(path, c->key) || (best && n <= best->key.len))
			continue;
		if (n == path.len || path.p[n] == '.' || path.p[n] == '[')
			best = c;
	}
	if (best)
		*ret_rest = after(path, best->key.len);
	return best;
}

/* A value that is no list counts as a list of one, as it does in evaluation. */
static struct conf_node *walk_index(struct conf_node *node, struct sl_str path,
				    struct sl_str *ret_rest)
{
	struct conf_node *c = node->kind == CONF_SEQUENCE ? node->child : node;
	size_t n = step_len(path);
	uint64_t index;

	if (n < 3 || path.p[0] != '[' || path.p[n - 1] != ']' ||
	    sl_str_u64((struct sl_str){path.p + 1, n - 2}, &index))
		return NULL;
	if (node->kind != CONF_SEQUENCE && index)
		return NULL;
	for (; c && index; c = c->next)
		index--;
	if (c)
		*ret_rest = after(path, n);
	return c;
}

struct conf_node *conf_node_walk(struct conf_node *node, struct sl_str path,
				 struct sl_str *ret_rest)
{
	while (path.len) {
		struct conf_node *child = path.p[0] == '[' ? walk_index(node, path, &path)
							   : walk_key(node, path, &path);

		if (!child)
			break;
		node = child;
	}
	*ret_rest = path;
	return node;
}

/* ---- -g: one document over another */

static void append(struct conf_node *mapping, struct conf_node *node)
{
	struct conf_node **tail = &mapping->child;

	while (*tail)
		tail = &(*tail)->next;
	*tail = node;
	node->next = NULL;
	mapping->n_children++;
}

/* from gets the place of to in its parent; to's own memory stays where it is, since its parent
 * points at it. */
static void replace(struct conf_node *to, const struct conf_node *from)
{
	struct conf_node kept = *to;

	*to = *from;
	to->next = kept.next;
	to->key = kept.key;
	to->key_at = from->key_at;
}

/* Mappings merge key by key, everything else is replaced. Recurses at most CONF_MAX_DEPTH deep. */
static void lay_over(struct conf_node *to, struct conf_node *from)
{
	struct conf_node *next, *old;

	if (to->kind != CONF_MAPPING || from->kind != CONF_MAPPING) {
		replace(to, from);
		return;
	}
	for (struct conf_node *c = from->child; c; c = next) {
		next = c->next;
		old = find(to, c->key);
		if (old)
			lay_over(old, c);
		else
			append(to, c);
	}
}

/* Makes the mappings that "a.b.c" still lacks below node, with from as the innermost value. */
static int grow(struct sl_pool *pool, struct conf_node *node, struct sl_str rest,
		struct conf_node *from)
{
	for (unsigned depth = 0; depth < CONF_MAX_DEPTH; depth++) {
		struct sl_str step = {rest.p, step_len(rest)};
		struct conf_node *child = from;

		if (conf_node_is_empty(node))
			node->kind = CONF_MAPPING; /* "stun:" and then stun.software */
		if (node->kind != CONF_MAPPING || !step.len || step.p[0] == '[')
			return -SL_ENOENT;
		rest = after(rest, step.len);
		if (rest.len)
			child = conf_node_new(pool, CONF_MAPPING, &from->at);
		if (!child)
			return -SL_ENOMEM;
		child->key = step;
		child->key_at = from->key_at;
		append(node, child);
		if (!rest.len)
			return 0;
		node = child;
	}
	return -SL_ELIMIT;
}

/* The path as far as it goes exists already; the rest of it is made. */
static int override_one(struct sl_pool *pool, struct conf_node *root, struct conf_node *from)
{
	struct sl_str rest;
	struct conf_node *at = conf_node_walk(root, from->key, &rest);

	if (rest.len)
		return grow(pool, at, rest, from);
	if (at == root)
		return -SL_ENOENT; /* an empty key */
	lay_over(at, from);
	return 0;
}

int conf_yaml_override(struct sl_pool *pool, struct conf_errors *e, struct conf_node *root,
		       unsigned i, struct sl_str text)
{
	const char *file = sl_pool_printf(pool, "-g %u", i);
	struct conf_node *doc = file ? conf_yaml_parse(pool, e, file, text) : NULL, *next;
	int rc = 0;

	if (!doc)
		return -SL_EPARSE;
	if (doc->kind != CONF_MAPPING) {
		conf_report(e, false, &doc->at, NULL,
			    "write 'directive: value', with a space after the colon");
		return -SL_EPARSE;
	}
	for (struct conf_node *c = doc->child; c; c = next) {
		next = c->next;
		rc = override_one(pool, root, c);
		if (!rc)
			continue;
		conf_report(e, false, &c->key_at, sl_pool_cstr(pool, c->key),
			    "there is no such place in the configuration");
		return rc;
	}
	return 0;
}
