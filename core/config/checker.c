/*
 * config/checker.c: what a module's check() says, put at its place in the operator's file.
 *
 * Knows one block and the node that it was read from; finds the place of "secrets[2]" below it.
 * What was inherited or a default has no node of its own: then the block is the place.
 */
#include "config/errors.h"
#include "config/tree.h"

/* What <sluice/conf.h> hands to a module's check(). */
struct sl_conf {
	const struct conf_eval *ev;
	struct conf_node *node; /* NULL: the block was not written */
	const char *path;
	bool below; /* of a listener or service, not the main block */
};

void sl_conf_want_offload(struct sl_conf *c, enum sl_offload_mode mode)
{
	enum sl_offload_mode *wish = c->ev->offload;

	if (wish && (*wish == SL_OFFLOAD_OFF || *wish == SL_OFFLOAD_AUTO))
		*wish = mode == SL_OFFLOAD_OFF ? *wish : mode;
}

struct sl_conf *conf_checker(const struct conf_eval *ev, const struct conf_block *b,
			     struct conf_node *node, const char *path)
{
	struct sl_conf *c = sl_pool_alloc(ev->pool, sizeof *c);

	if (!c)
		return NULL;
	c->ev = ev;
	c->node = node;
	c->path = path && *path ? path : b->name;
	c->below = strcmp(c->path, b->name) != 0;
	return c;
}

/* The nearest node above the path is the place, so that a missing one still has a line. */
static void report(struct sl_conf *c, bool warning, const char *path, const char *fmt, va_list args)
{
	struct sl_str rest;
	const struct conf_node *node =
		c->node ? conf_node_walk(c->node, sl_str_c(path), &rest) : NULL;
	bool whole_block = node && node == c->node && node->key.len;
	const char *dot = *path && *path != '[' ? "." : "";
	const char *full = sl_pool_printf(c->ev->pool, "%s%s%s", c->path, dot, path);

	conf_vreport(c->ev->errors, warning,
		     !node	   ? NULL
		     : whole_block ? &node->key_at
				   : &node->at,
		     full ? full : c->path, fmt, args);
}

void sl_conf_error(struct sl_conf *c, const char *path, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(c, false, path, fmt, args);
	va_end(args);
}

void sl_conf_warn(struct sl_conf *c, const char *path, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(c, true, path, fmt, args);
	va_end(args);
}

struct sl_pool *sl_conf_pool(struct sl_conf *c)
{
	return c->ev->pool;
}

bool sl_conf_is_below(const struct sl_conf *c)
{
	return c->below;
}

bool sl_conf_is_set(const struct sl_conf *c, const char *path)
{
	struct sl_str rest;

	if (!c->node)
		return false;
	(void)conf_node_walk(c->node, sl_str_c(path), &rest);
	return rest.len == 0;
}
