/*
 * config/tree.c: finding and replacing values in the tree that yaml.c made.
 *
 * Knows dotted paths ("listen[1].port") and how one document is laid over another for -g; does not know what a key means.
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

bool conf_node_is_empty(const struct conf_node *node)
{
	return node->kind == CONF_SCALAR && !node->quoted && !node->secret && node->value.len == 0;
}

struct conf_node *conf_node_empty_mapping(struct sl_pool *pool, const char *file)
{
	return conf_node_new(pool, CONF_MAPPING, &(struct conf_place){file, 1, 1});
}

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

/* Takes "name" or "[index]" off the front of *path; the dot between is eaten. */
static struct sl_str next_step(struct sl_str *path)
{
	struct sl_str step = *path;
	size_t n = path->len && path->p[0] == '[' ? 1 : 0;

	while (n < path->len && path->p[n] != '.' && path->p[n] != '[')
		n++;
	step.len = n;
	if (n < path->len && path->p[n] == '.')
		n++;
	path->p += n;
	path->len -= n;
	return step;
}

static bool is_index(struct sl_str step, uint64_t *ret_index)
{
	return step.len > 2 && step.p[0] == '[' && step.p[step.len - 1] == ']' &&
	       !sl_str_u64((struct sl_str){step.p + 1, step.len - 2}, ret_index);
}

static struct conf_node *walk_step(struct conf_node *node, struct sl_str step)
{
	struct conf_node *c;
	uint64_t index;

	if (!is_index(step, &index))
		return find(node, step);
	if (node->kind != CONF_SEQUENCE)
		return index ? NULL : node;
	for (c = node->child; c && index; c = c->next)
		index--;
	return c;
}

struct conf_node *conf_node_walk(struct conf_node *node, struct sl_str path, struct sl_str *ret_rest)
{
	while (path.len) {
		struct sl_str rest = path;
		struct conf_node *child = find(node, path); /* a key may have dots in it */

		if (child)
			rest = SL_STR("");
		else
			child = walk_step(node, next_step(&rest));
		if (!child)
			break;
		node = child;
		path = rest;
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

/* from gets the place of to in its parent; to's own memory stays where it is, since its parent points at it. */
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
static int grow(struct sl_pool *pool, struct conf_node *node, struct sl_str rest, struct conf_node *from)
{
	for (unsigned depth = 0; depth < CONF_MAX_DEPTH; depth++) {
		struct sl_str step = next_step(&rest);
		struct conf_node *child = from;

		if (conf_node_is_empty(node))
			node->kind = CONF_MAPPING; /* "stun:" and then stun.software */
		if (node->kind != CONF_MAPPING || !step.len || step.p[0] == '[')
			return -SL_ENOENT;
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

int conf_yaml_override(struct sl_pool *pool, struct conf_errors *e, struct conf_node *root, unsigned i,
		       struct sl_str text)
{
	const char *file = sl_pool_printf(pool, "-g %u", i);
	struct conf_node *doc = conf_yaml_parse(pool, e, file, text), *next;
	int rc = 0;

	if (!doc)
		return -SL_EPARSE;
	if (doc->kind != CONF_MAPPING) {
		conf_report(e, false, &doc->at, NULL, "write 'directive: value', with a space after the colon");
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
