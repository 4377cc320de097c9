/*
 * http/route.c: the table of routes and WebSocket endpoints, and the search in it.
 *
 * There are a dozen entries at most, so the search walks them all; no handler is called here.
 */
#include <stdlib.h>
#include "route.h"

static bool same_pattern(const struct route *a, const struct route *b)
{
	return a->kind == b->kind && a->prefix == b->prefix && sl_str_eq(a->pattern, b->pattern);
}

static bool matches(const struct route *r, struct sl_str path)
{
	return r->prefix ? sl_str_starts(path, r->pattern) : sl_str_eq(path, r->pattern);
}

static bool better(const struct route *r, const struct route *than)
{
	if (!than || r->pattern.len != than->pattern.len)
		return !than || r->pattern.len > than->pattern.len;
	return than->prefix && !r->prefix;
}

static int grow(struct routes *rs)
{
	size_t cap = rs->cap ? rs->cap * 2 : 16;
	struct route *items = reallocarray(rs->items, cap, sizeof *items);

	if (!items)
		return -SL_ENOMEM;
	rs->items = items;
	rs->cap = cap;
	return 0;
}

int routes_add(struct routes *rs, const struct route *r, const char *path)
{
	struct route new = *r;

	if (path[0] != '/')
		return -SL_EINVAL;
	new.pattern = sl_str_c(path);
	new.prefix = path[new.pattern.len - 1] == '*';
	new.pattern.len -= new.prefix;
	for (size_t i = 0; i < rs->n; i++) {
		const struct route *old = &rs->items[i];

		if (same_pattern(old, &new) &&
		    (r->kind == ROUTE_WEBSOCKET || strcmp(old->method, r->method) == 0))
			return -SL_EEXIST;
	}
	if (rs->n == rs->cap && grow(rs) < 0)
		return -SL_ENOMEM;
	rs->items[rs->n++] = new;
	return 0;
}

void routes_free(struct routes *rs)
{
	free(rs->items);
	*rs = (struct routes){0};
}

const struct route *routes_match(const struct routes *rs, enum route_kind kind, struct sl_str path)
{
	const struct route *best = NULL;

	for (size_t i = 0; i < rs->n; i++) {
		const struct route *r = &rs->items[i];

		if (r->kind == kind && matches(r, path) && better(r, best))
			best = r;
	}
	return best;
}

static const struct route *with_method(const struct routes *rs, const struct route *at,
				       struct sl_str method)
{
	for (size_t i = 0; i < rs->n; i++)
		if (same_pattern(&rs->items[i], at) &&
		    sl_str_eq(sl_str_c(rs->items[i].method), method))
			return &rs->items[i];
	return NULL;
}

const struct route *routes_method(const struct routes *rs, const struct route *at,
				  struct sl_str method)
{
	const struct route *r = with_method(rs, at, method);

	if (!r && sl_str_eq(method, SL_STR("HEAD")))
		r = with_method(rs, at, SL_STR("GET"));
	return r;
}

void routes_allow(const struct routes *rs, const struct route *at, struct sl_buf *out)
{
	const char *sep = "";

	for (size_t i = 0; i < rs->n; i++) {
		const struct route *r = &rs->items[i];

		if (!same_pattern(r, at))
			continue;
		sl_buf_printf(out, "%s%s", sep, r->method);
		sep = ", ";
		if (strcmp(r->method, "GET") == 0 && !with_method(rs, at, SL_STR("HEAD")))
			sl_buf_str(out, SL_STR(", HEAD"));
	}
}
