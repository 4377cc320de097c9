/*
 * http: pages, routes and WebSocket endpoints on libwebsockets.
 *
 * This file is the module's face: its directives, counters and phases, and the interface "http"
 * that other modules use. They register in their worker_start, which runs after ours, and are
 * called in the worker that has the connection.
 */
#include <stdlib.h>
#include "http.h"

static const struct sl_directive header_fields[] = {
	SL_FIELD(struct http_header, name, SL_T_STR, .required = true, .min = 1, .max = 64,
		 .doc = "Name of the header."),
	SL_FIELD(struct http_header, value, SL_T_STR, .max = 2048, .doc = "Its value."),
	SL_DIRS_END,
};

static const struct sl_directive directives[] = {
	SL_DIR(struct http_conf, root, SL_T_PATH, SL_S_MAIN | SL_S_LISTEN,
	       .doc = "Directory of static files, readable by the workers' user. They win over "
		      "embedded files of the same name."),
	SL_DIR(struct http_conf, index, SL_T_STR, SL_S_MAIN | SL_S_LISTEN, .dflt = "index.html",
	       .min = 1, .max = 255, .doc = "File that answers for a path that ends in '/'."),
	SL_DIR(struct http_conf, embedded, SL_T_BOOL, SL_S_MAIN | SL_S_LISTEN, .dflt = "yes",
	       .doc = "Serve the pages and the client library that are part of the binary."),
	SL_DIR(struct http_conf, cache, SL_T_MSEC, SL_S_MAIN | SL_S_LISTEN, .dflt = "0s", .min = 0,
	       .max = INT64_C(31536000000),
	       .doc = "How long clients may use a static file without asking again; 0s: they ask "
		      "each time and get a 304."),
	SL_DIR(struct http_conf, max_body, SL_T_SIZE, SL_S_MAIN | SL_S_LISTEN, .dflt = "1m",
	       .min = 0, .max = 1 << 30,
	       .doc = "Longest request body; a longer one is answered with 413."),
	SL_DIR(struct http_conf, max_header, SL_T_SIZE, SL_S_MAIN, .dflt = "16k", .min = 2048,
	       .max = 65535, .doc = "Longest request line and headers together."),
	SL_DIR(struct http_conf, max_message, SL_T_SIZE, SL_S_MAIN | SL_S_LISTEN, .dflt = "1m",
	       .min = 1024, .max = 1 << 30,
	       .doc = "Longest WebSocket message, whatever an endpoint allows; a longer one closes "
		      "the socket with 1009."),
	SL_DIR(struct http_conf, max_connections, SL_T_INT, SL_S_MAIN, .dflt = "65536", .min = 1,
	       .max = 10000000,
	       .doc = "HTTP and WebSocket connections per worker; more are closed at once."),
	SL_DIR(struct http_conf, request_timeout, SL_T_MSEC, SL_S_MAIN, .dflt = "10s", .min = 1000,
	       .max = 600000,
	       .doc = "For the TLS handshake, for the headers and for the body of a request."),
	SL_DIR(struct http_conf, keepalive_timeout, SL_T_MSEC, SL_S_MAIN, .dflt = "60s",
	       .min = 1000, .max = 3600000,
	       .doc = "How long a connection may wait for its next request."),
	SL_DIR(struct http_conf, response_timeout, SL_T_MSEC, SL_S_MAIN | SL_S_LISTEN,
	       .dflt = "30s", .min = 1000, .max = 3600000,
	       .doc = "For a handler to respond, and for a client to take the next part of a "
		      "response."),
	SL_DIR(struct http_conf, cors_origins, SL_T_STR, SL_S_MAIN | SL_S_LISTEN, .list = true,
	       .dflt = "[]", .max = 64,
	       .doc = "Origins whose pages may read our responses (CORS), like "
		      "https://example.org, or * for all."),
	SL_DIR(struct http_conf, headers, SL_T_RECORD, SL_S_MAIN | SL_S_LISTEN, .list = true,
	       .fields = header_fields, .record_bytes = sizeof(struct http_header), .max = 32,
	       .doc = "Headers added to every response."),
	SL_DIR(struct http_conf, access_log, SL_T_BOOL, SL_S_MAIN | SL_S_LISTEN, .dflt = "no",
	       .doc = "Log each response at level info."),
	SL_DIRS_END,
};

/* In the order of enum http_metric. */
static const struct sl_metric metrics[] = {
	SL_COUNTER(requests, "Requests, upgrades included."),
	SL_COUNTER(responses_2xx, "Responses of class 2xx."),
	SL_COUNTER(responses_3xx, "Responses of class 3xx."),
	SL_COUNTER(responses_4xx, "Responses of class 4xx."),
	SL_COUNTER(responses_5xx, "Responses of class 5xx."),
	SL_COUNTER(response_bytes, "Bytes of responses, heads included.", .unit = "bytes"),
	SL_COUNTER(timeouts, "Connections closed because a request or a response took too long."),
	SL_GAUGE(connections, "Open connections, WebSockets included."),
	SL_COUNTER(accepted_plain, "Connections accepted without TLS."),
	SL_COUNTER(accepted_tls, "Connections accepted for TLS, by ALPN."),
	SL_COUNTER(accepted_bridged,
		   "Connections whose TLS the core answered, because they offered no ALPN."),
	SL_COUNTER(refused, "Connections refused, over max_connections or for lack of memory."),
	SL_GAUGE(websockets, "Open WebSockets."),
	SL_COUNTER(upgrades, "WebSockets opened."),
	SL_COUNTER(upgrades_refused, "Upgrades refused, by an endpoint or as malformed."),
	SL_COUNTER(messages_in, "WebSocket messages received."),
	SL_COUNTER(messages_out, "WebSocket messages sent."),
	SL_COUNTER(message_in_bytes, "Payload of WebSocket messages received.", .unit = "bytes"),
	SL_COUNTER(message_out_bytes, "Payload of WebSocket messages sent.", .unit = "bytes"),
	SL_COUNTER(messages_too_long, "WebSockets closed with 1009."),
	SL_COUNTER(slow_readers, "WebSockets closed with 1013, because their queue was full."),
	SL_COUNTER(pongs_missed, "WebSockets closed because a ping got no answer."),
	SL_METRICS_END,
};

static const struct sl_hook hooks[] = {
	SL_ON_CONN(SL_CONN_PREREAD, SL_NORMAL, preread_choose),
	SL_HOOKS_END,
};

static int add_route(void *self, const char *method, const char *path, sl_http_fn *fn, void *arg)
{
	const struct route r = {.kind = ROUTE_HTTP, .method = method, .fn = fn, .arg = arg};
	struct http *h = self;

	return routes_add(&h->routes, &r, path);
}

static int add_websocket(void *self, const char *path, const struct sl_ws_ops *ops, void *arg)
{
	const struct route r = {.kind = ROUTE_WEBSOCKET, .ops = ops, .arg = arg};
	struct http *h = self;

	return routes_add(&h->routes, &r, path);
}

static const struct sl_http_iface iface = {
	.size = sizeof iface,
	.route = add_route,
	.websocket = add_websocket,
	.method = request_method,
	.path = request_path,
	.query = request_query,
	.header = request_header,
	.body = request_content,
	.remote = request_remote,
	.secure = request_secure,
	.respond = respond,
	.ws_send = ws_send,
	.ws_close = ws_close,
	.ws_queued = ws_queued,
	.ws_remote = ws_remote,
	.respond_file = respond_file,
	.ws_send_binary = ws_send_binary,
};

static bool is_token(struct sl_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!strchr("!#$%&'*+-.^_`|~", s.p[i]) && !(s.p[i] >= '0' && s.p[i] <= '9') &&
		    !((s.p[i] | 32) >= 'a' && (s.p[i] | 32) <= 'z'))
			return false;
	return s.len > 0;
}

static bool has_control(struct sl_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return true;
	return false;
}

static int check(struct sl_conf *c, void *conf)
{
	const struct http_conf *hc = conf;

	for (size_t i = 0; i < hc->headers.n; i++) {
		const struct http_header *one = SL_LIST_AT(hc->headers, struct http_header, i);
		char path[32];

		snprintf(path, sizeof path, "headers[%zu]", i);
		if (!is_token(one->name))
			sl_conf_error(c, path, "\"%.*s\" is not the name of a header",
				      SL_FMT(one->name));
		if (has_control(one->value))
			sl_conf_error(c, path,
				      "the value must not have control characters or line ends");
	}
	return 0;
}

static void worker_stop(void *ctx)
{
	struct http *h = ctx;

	if (!h)
		return;
	h->draining = h->stopping = true;
	bridges_close(h);
	host_close(h);
	routes_free(&h->routes);
	free(h);
}

static void worker_drain(void *ctx)
{
	struct http *h = ctx;

	h->draining = true;
	clients_drain(h);
}

static int worker_start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct http *h = calloc(1, sizeof *h);
	int rc;

	if (!h)
		return -SL_ENOMEM;
	h->w = w;
	h->conf = conf;
	h->m = sl_worker_meters(w, "http");
	rc = host_open(h, client_callback);
	if (rc == 0)
		rc = sl_iface_provide(w, "http", 1, &iface, h);
	if (rc < 0) {
		worker_stop(h);
		return rc;
	}
	*ret_ctx = h;
	return 0;
}

SL_MODULE(http, .name = "http", .version = "1.0",
	  .summary = "pages, routes and WebSocket endpoints", .flags = SL_M_WEB,
	  .directives = directives, .conf_size = sizeof(struct http_conf), .hooks = hooks,
	  .metrics = metrics, .check = check, .worker_start = worker_start,
	  .worker_drain = worker_drain, .worker_stop = worker_stop);
