/*
 * http/route.h: which handler answers a path. Pure: knows neither sockets nor libwebsockets.
 *
 * A pattern is an exact path, or a prefix when it ends in '*'. The longest pattern that matches
 * wins, an exact one over a prefix of the same length. Several methods may share a pattern. Filled
 * at worker start, then only read.
 */
#ifndef HTTP_ROUTE_H
#define HTTP_ROUTE_H

#include <sluice/buf.h>
#include <sluice/http.h>

enum route_kind { ROUTE_HTTP, ROUTE_WEBSOCKET };

struct route {
	enum route_kind kind;
	const char *method;    /* ROUTE_HTTP; borrowed */
	struct sl_str pattern; /* without the '*'; borrowed */
	bool prefix;
	sl_http_fn *fn;		     /* ROUTE_HTTP */
	const struct sl_ws_ops *ops; /* ROUTE_WEBSOCKET */
	void *arg;
};

struct routes {
	struct route *items; /* owned */
	size_t n, cap;
};

/* -SL_EEXIST: method and pattern are taken. -SL_EINVAL: the path does not begin with '/'. */
int routes_add(struct routes *rs, const struct route *r, const char *path);
void routes_free(struct routes *rs);
/* The best pattern of this kind for a path (any of its methods), or NULL. */
const struct route *routes_match(const struct routes *rs, enum route_kind kind, struct sl_str path);
/* The route of the pattern of `at` for a method, HEAD falling back to GET; NULL: not allowed. */
const struct route *routes_method(const struct routes *rs, const struct route *at,
				  struct sl_str method);
/* What an Allow header says about the pattern of `at`. */
void routes_allow(const struct routes *rs, const struct route *at, struct sl_buf *out);

#endif
