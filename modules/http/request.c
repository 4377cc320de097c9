/*
 * http/request.c: one request: what it says, its body, and who answers it.
 *
 * A request is answered by the best route, else by a file, else with an error. It lives until its
 * response has been written, or, when the connection dies first, until its handler responds into
 * the void. What handlers read is copied out of the library's header table, which may be gone by
 * then.
 *
 * Framing as in RFC 9112: a body has a Content-Length; Transfer-Encoding in requests is refused,
 * because the library does not read it and would take the body for the next request.
 */
#include <stdlib.h>
#include "http.h"

static const struct {
	enum lws_token_indexes token;
	struct sl_str name;
} methods[] = {
	{WSI_TOKEN_GET_URI, SL_STR_INIT("GET")},
	{WSI_TOKEN_HEAD_URI, SL_STR_INIT("HEAD")},
	{WSI_TOKEN_POST_URI, SL_STR_INIT("POST")},
	{WSI_TOKEN_PUT_URI, SL_STR_INIT("PUT")},
	{WSI_TOKEN_PATCH_URI, SL_STR_INIT("PATCH")},
	{WSI_TOKEN_DELETE_URI, SL_STR_INIT("DELETE")},
	{WSI_TOKEN_OPTIONS_URI, SL_STR_INIT("OPTIONS")},
};

static struct sl_str method_of(struct lws *wsi)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(methods); i++)
		if (lws_hdr_total_length(wsi, methods[i].token) > 0)
			return methods[i].name;
	return SL_STR("");
}

/* Whether a header that is a list of tokens names this one, in any case. */
static bool has_token(struct sl_str list, struct sl_str token)
{
	while (list.len > 0)
		if (sl_str_eq_nocase(sl_str_trim(sl_str_split(&list, ',')), token))
			return true;
	return false;
}

/* HTTP/1.0 keeps the connection only when asked to, as the library sees it. */
static bool is_last(struct sl_http_req *r)
{
	char version[16] = "";
	struct sl_str connection = request_header(r, "connection");

	/* What is too long to be copied is not 1.1. */
	(void)lws_hdr_copy(r->client->wsi, version, sizeof version, WSI_TOKEN_HTTP);
	if (strcmp(version, "HTTP/1.1") == 0)
		return has_token(connection, SL_STR("close"));
	return !sl_str_eq_nocase(connection, SL_STR("keep-alive"));
}

struct sl_http_req *request_new(struct client *c, struct sl_str path)
{
	struct sl_http_req *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	r->pool = sl_pool_new(1024);
	r->path = r->pool ? sl_pool_str(r->pool, path) : SL_STR_NULL;
	if (!r->path.p) {
		sl_pool_destroy(r->pool);
		free(r);
		return NULL;
	}
	r->http = c->http;
	r->client = c;
	r->remote = c->remote;
	r->secure = c->secure;
	r->method = method_of(c->wsi);
	r->head_only = sl_str_eq(r->method, SL_STR("HEAD"));
	r->begun_ms = sl_loop_ms(c->http->w->loop);
	r->response.file = -1;
	sl_buf_init(&r->body, c->conf->max_body);
	sl_buf_init(&r->response.head, 0);
	sl_buf_init(&r->response.copy, 0);
	r->last = is_last(r) || c->bridged || c->http->draining;
	c->req = r;
	return r;
}

void request_free(struct sl_http_req *r)
{
	if (r->client)
		r->client->req = NULL;
	response_free(&r->response);
	sl_buf_free(&r->body);
	sl_pool_destroy(r->pool);
	free(r);
}

void request_abandon(struct sl_http_req *r)
{
	if (r->responded || !r->dispatched) {
		request_free(r);
		return;
	}
	r->client->req = NULL;
	r->client = NULL; /* its handler still has it, and will respond */
}

/* A preflight of the Fetch standard (CORS); the head of the response says which origins may. */
static bool is_preflight(struct sl_http_req *r)
{
	return sl_str_eq(r->method, SL_STR("OPTIONS")) && r->client->conf->cors_origins.n > 0 &&
	       request_header(r, "origin").p &&
	       request_header(r, "access-control-request-method").p;
}

static void answer_not_allowed(struct sl_http_req *r, const struct route *at)
{
	struct sl_buf allow;

	sl_buf_init(&allow, 0);
	sl_buf_str(&allow, SL_STR("Allow: "));
	routes_allow(&r->http->routes, at, &allow);
	sl_buf_str(&allow, SL_STR("\r\n"));
	(void)respond_error(r, 405, sl_buf_view(&allow)); /* fails only with the connection */
	sl_buf_free(&allow);
}

/* A respond that fails has lost its connection, so its result is not looked at. */
static void answer_without_route(struct sl_http_req *r)
{
	if (files_serve(r))
		return;
	if (routes_match(&r->http->routes, ROUTE_WEBSOCKET, r->path))
		(void)respond_error(r, 426, SL_STR("Upgrade: websocket\r\n"));
	else
		(void)respond_error(r, 404, SL_STR_NULL);
}

static void answer(struct sl_http_req *r)
{
	const struct route *at = routes_match(&r->http->routes, ROUTE_HTTP, r->path);
	const struct route *route = at ? routes_method(&r->http->routes, at, r->method) : NULL;

	if (is_preflight(r))
		(void)respond(r, 204, NULL, SL_STR_NULL, SL_STR_NULL); /* as above */
	else if (!at)
		answer_without_route(r);
	else if (!route)
		answer_not_allowed(r, at);
	else
		route->fn(route->arg, r);
}

int request_settle(struct client *c)
{
	if (c->req->responded)
		return response_pump(c);
	client_hold(c, true);
	return 0;
}

static int dispatch(struct sl_http_req *r)
{
	struct client *c = r->client;

	client_expect(c, c->conf->response_timeout);
	r->dispatched = true;
	r->in_call = true;
	answer(r);
	r->in_call = false;
	return request_settle(c);
}

/* An error before the handler was asked. */
static int reject(struct sl_http_req *r, unsigned status)
{
	r->in_call = true;
	(void)respond_error(r, status, SL_STR_NULL); /* without a response we close */
	r->in_call = false;
	return r->responded ? response_pump(r->client) : -1;
}

static bool expects_continue(struct sl_http_req *r)
{
	return sl_str_eq_nocase(request_header(r, "expect"), SL_STR("100-continue"));
}

/*
 * 0, or the status to refuse with. A POST without a length is an endless one to the library, so the
 * connection ends with it.
 */
static unsigned read_framing(struct sl_http_req *r)
{
	struct sl_str length = request_header(r, "content-length");

	if (request_header(r, "transfer-encoding").p) {
		r->last = true;
		return 411;
	}
	if (!length.p) {
		r->last |= sl_str_eq(r->method, SL_STR("POST")) ||
			   sl_str_eq(r->method, SL_STR("PUT")) ||
			   sl_str_eq(r->method, SL_STR("PATCH"));
		return 0;
	}
	if (sl_str_u64(length, &r->body_len) < 0) {
		r->last = true;
		return 400;
	}
	if (r->body_len <= r->client->conf->max_body)
		return 0;
	/* A bit too long is read first: a client that still writes would miss the answer. */
	r->too_long = r->body_len / 8 <= r->client->conf->max_body && !expects_continue(r);
	r->last |= !r->too_long;
	return r->too_long ? 0 : 413;
}

int request_begin(struct client *c, struct sl_str path)
{
	struct sl_http_req *r;
	unsigned status;

	if (c->req || client_is_pipelined(c))
		return -1;
	r = request_new(c, path);
	if (!r)
		return -1;
	c->n_requests++;
	sl_count(&c->http->m[M_REQUESTS]);
	client_expect(c, c->conf->request_timeout);
	status = read_framing(r);
	if (status != 0)
		return reject(r, status);
	if (r->body_len == 0)
		return dispatch(r);
	return expects_continue(r) ? response_continue(c) : 0;
}

int request_body(struct client *c, const void *data, size_t len)
{
	if (!c->req || c->req->dispatched || c->req->too_long)
		return 0;
	sl_buf_add(&c->req->body, data, len);
	return sl_buf_ok(&c->req->body) < 0 ? -1 : 0;
}

int request_body_end(struct client *c)
{
	if (!c->req || c->req->dispatched)
		return 0; /* answered before: the library tells of the empty body of a POST, too */
	return c->req->too_long ? reject(c->req, 413) : dispatch(c->req);
}

struct sl_str request_method(struct sl_http_req *r)
{
	return r->method;
}

struct sl_str request_path(struct sl_http_req *r)
{
	return r->path;
}

struct sl_str request_content(struct sl_http_req *r)
{
	return sl_buf_view(&r->body);
}

const struct sl_addr *request_remote(struct sl_http_req *r)
{
	return &r->remote;
}

bool request_secure(struct sl_http_req *r)
{
	return r->secure;
}

/* One "name=value" of the query, decoded by the library; -1: there is no such one. */
static int query_item(struct sl_http_req *r, int i, struct sl_str *ret_item)
{
	struct lws *wsi = r->client->wsi;
	int len = lws_hdr_fragment_length(wsi, WSI_TOKEN_HTTP_URI_ARGS, i);
	char *copy = sl_pool_alloc(r->pool, (size_t)len + 1);

	if (!copy || lws_hdr_copy_fragment(wsi, copy, len + 1, WSI_TOKEN_HTTP_URI_ARGS, i) < 0)
		return -1;
	*ret_item = (struct sl_str){copy, (size_t)len};
	return 0;
}

struct sl_str request_query(struct sl_http_req *r, const char *name)
{
	struct sl_str item;

	for (int i = 0; r->client && query_item(r, i, &item) == 0; i++) {
		struct sl_str value = item;

		if (!sl_str_eq(sl_str_split(&value, '='), sl_str_c(name)))
			continue;
		return value.p ? value : SL_STR("");
	}
	return SL_STR_NULL;
}

/* The library's token for a header that it knows, else -1. */
static int known_token(const char *name)
{
	size_t len = strlen(name);

	for (int t = 0;; t++) {
		const char *text = (const char *)lws_token_to_string((enum lws_token_indexes)t);

		if (!text)
			return -1;
		if (strncmp(text, name, len) == 0 && text[len] == ':' && text[len + 1] == '\0')
			return t;
	}
}

static struct sl_str known_header(struct sl_http_req *r, enum lws_token_indexes token)
{
	int len = lws_hdr_total_length(r->client->wsi, token);
	char *copy = len > 0 ? sl_pool_alloc(r->pool, (size_t)len + 1) : NULL;

	if (!copy || lws_hdr_copy(r->client->wsi, copy, len + 1, token) < 0)
		return SL_STR_NULL;
	return sl_str_trim((struct sl_str){copy, (size_t)len});
}

static struct sl_str other_header(struct sl_http_req *r, const char *name)
{
	const char *key = sl_pool_printf(r->pool, "%s:", name);
	int key_len = key ? (int)strlen(key) : 0;
	int len = key ? lws_hdr_custom_length(r->client->wsi, key, key_len) : -1;
	char *copy = len >= 0 ? sl_pool_alloc(r->pool, (size_t)len + 1) : NULL;

	if (!copy || lws_hdr_custom_copy(r->client->wsi, copy, len + 1, key, key_len) < 0)
		return SL_STR_NULL;
	return sl_str_trim((struct sl_str){copy, (size_t)len});
}

struct sl_str request_header(struct sl_http_req *r, const char *name)
{
	int token;

	if (!r->client)
		return SL_STR_NULL;
	token = known_token(name);
	return token >= 0 ? known_header(r, (enum lws_token_indexes)token) : other_header(r, name);
}
