/*
 * signaling-ws/endpoint.c: WebSockets of the http module: who may open one, and the hub behind it.
 *
 * Before the upgrade completes the Origin is compared with the operator's expressions (RFC 6455
 * section 10.2; a client that is no browser sends none and is not kept out by this) and a token is
 * verified. It may come as `?token=`, since browsers cannot set headers on WebSockets, or in an
 * Authorization header. Why a token is refused is for the log, not for the client.
 */
#include "endpoint.h"

#include <stdlib.h>

#define ICE_RETRY_S 60

/*
 * Pages in browsers cannot lie about their origin; everything else can, and is kept out by tokens
 * only.
 */
static bool origin_is_allowed(const struct signal_conf *conf, struct sl_str origin)
{
	if (conf->origins.n == 0 || !origin.p)
		return true;
	for (size_t i = 0; i < conf->origins.n; i++)
		if (sl_regex_match(*SL_LIST_AT(conf->origins, struct sl_regex *, i), origin))
			return true;
	return false;
}

/* The URL first: a proxy may set the header for reasons of its own. */
static struct sl_str bearer(const struct signaling *s, struct sl_http_req *r)
{
	struct sl_str token = s->http->query(r, "token");

	return token.p ? token : sl_http_bearer(s->http, r);
}

/* The one place that looks at the clock on the wall. */
static int check_token(struct signaling *s, struct sl_http_req *r, struct claims *ret_claims)
{
	uint64_t now_s = sl_clock_unix_ns() / SL_NS_PER_S;
	const char *why;

	if (s->conf->auth == AUTH_OPEN) {
		*ret_claims = (struct claims){.may = MAY_ALL, .grants = GRANT_USUAL};
		return 0;
	}
	if (token_verify(&s->rules, bearer(s, r), now_s, ret_claims, &why) == 0)
		return 0;
	sl_count(&s->hub.m[M_TOKENS_REFUSED]);
	sl_log(SL_LOG_NOTICE, "signaling-ws", "token refused: %s", why);
	return -SL_EAUTH;
}

/* For modules that serve the same clients. */
static int open_token(void *self, struct sl_str token, struct sl_token *ret_token)
{
	static const uint8_t nobody[SUBJECT_BYTES];
	struct signaling *s = self;
	struct claims claims;
	const char *why;

	if (s->conf->auth == AUTH_OPEN)
		return -SL_EUNSUPP;
	if (token_verify(&s->rules, token, sl_clock_unix_ns() / SL_NS_PER_S, &claims, &why) < 0) {
		sl_count(&s->hub.m[M_TOKENS_REFUSED]);
		sl_log(SL_LOG_NOTICE, "signaling-ws", "token refused: %s", why);
		return -SL_EAUTH;
	}
	*ret_token = (struct sl_token){.grants = claims.grants, .rooms = claims.rooms};
	if (memcmp(claims.subject, nobody, sizeof nobody) != 0)
		sl_hex_encode(ret_token->subject, claims.subject, SUBJECT_BYTES);
	return 0;
}

static bool token_permits(const struct sl_token *t, struct sl_str room)
{
	const struct claims claims = {.rooms = t->rooms};

	return claims_permit_room(&claims, room);
}

static void release_token(struct sl_token *t)
{
	free(t->rooms);
	*t = (struct sl_token){0};
}

static int verify_token(void *self, struct sl_str token, char ret_subject[33])
{
	struct sl_token t;
	int rc = open_token(self, token, &t);

	if (rc < 0)
		return rc;
	memcpy(ret_subject, t.subject, sizeof t.subject);
	release_token(&t);
	return 0;
}

const struct sl_tokens_iface endpoint_tokens = {.size = sizeof endpoint_tokens,
						.verify = verify_token,
						.open = open_token,
						.permits = token_permits,
						.release = release_token};

/* "example.org:8080", "[2001:db8::1]:443" -> what stands before the port. NULL: out of memory. */
static char *host_of(struct sl_str host)
{
	const char *end = host.len > 0 && host.p[0] == '[' ? memchr(host.p, ']', host.len) : NULL;

	if (end)
		return sl_str_dup((struct sl_str){host.p, (size_t)(end + 1 - host.p)});
	host = sl_str_split(&host, ':');
	return sl_str_dup(host);
}

/* The cheap check first; what is refused here never becomes a WebSocket. */
static int authorize(void *arg, struct sl_http_req *r, void **ret_user, struct sl_str *ret_reason)
{
	struct signaling *s = arg;
	struct claims claims;
	struct conn *c;
	char *host;

	if (!origin_is_allowed(s->conf, s->http->header(r, "origin"))) {
		sl_count(&s->hub.m[M_ORIGINS_REFUSED]);
		*ret_reason = SL_STR("this origin is not allowed\n");
		return 403;
	}
	if (check_token(s, r, &claims) < 0) {
		*ret_reason = SL_STR("a valid token is required\n");
		return 401;
	}
	s->hub.now_ms = sl_loop_ms(s->w->loop);
	host = host_of(s->http->header(r, "host"));
	c = host ? hub_conn_new(&s->hub, &claims, host) : NULL;
	if (!c) {
		claims_free(&claims);
		free(host);
		return 503;
	}
	*ret_user = c;
	return 0;
}

static void opened(void *arg, struct sl_ws *ws, void *user)
{
	const struct signaling *s = arg;

	((struct conn *)user)->remote = *s->http->ws_remote(ws);
	hub_conn_opened(user, ws);
}

static void message(void *arg, struct sl_ws *ws, void *user, struct sl_str data, bool binary)
{
	struct signaling *s = arg;

	(void)ws;
	s->hub.now_ms = sl_loop_ms(s->w->loop);
	hub_conn_text(user, data, binary);
}

/* The last call about this socket. */
static void closed(void *arg, struct sl_ws *ws, void *user, unsigned code)
{
	struct signaling *s = arg;

	(void)ws;
	s->hub.now_ms = sl_loop_ms(s->w->loop);
	hub_conn_closed(user, code);
}

int endpoint_open(struct signaling *s)
{
	const struct signal_conf *conf = s->conf;
	int rc;

	s->http = sl_iface_get(s->w, "http", 1, &s->http_self);
	if (!s->http) {
		sl_log(SL_LOG_ERROR, "signaling-ws",
		       "the module http is needed: name it in modules: before signaling-ws");
		return -SL_ENOENT;
	}
	s->ops = (struct sl_ws_ops){
		.authorize = authorize,
		.opened = opened,
		.message = message,
		.closed = closed,
		.max_message = conf->max_message,
		.max_queue = conf->max_queue,
		.ping_interval_ms = conf->heartbeat,
		.pong_timeout_ms = conf->heartbeat_timeout,
	};
	rc = s->http->websocket(s->http_self, conf->path.p, &s->ops, s);
	if (rc < 0)
		sl_log(SL_LOG_ERROR, "signaling-ws", "no endpoint at %s: %s", conf->path.p,
		       sl_strerror(rc));
	return rc;
}

/* ---- ICE servers */

/* As an RTCIceServer, ready for RTCPeerConnection. */
static void add_server(struct sl_buf *json, const struct ice_server *server)
{
	sl_buf_str(json, SL_STR("{\"urls\":["));
	for (size_t i = 0; i < server->urls.n; i++) {
		if (i > 0)
			sl_buf_u8(json, ',');
		sl_buf_json(json, *SL_LIST_AT(server->urls, struct sl_str, i));
	}
	sl_buf_u8(json, ']');
	if (server->username.len > 0) {
		sl_buf_str(json, SL_STR(",\"username\":"));
		sl_buf_json(json, server->username);
		sl_buf_str(json, SL_STR(",\"credential\":"));
		sl_buf_json(json, server->credential);
	}
	sl_buf_u8(json, '}');
}

/*
 * The relay module writes an array of its own: its brackets are taken off. Without its servers a
 * call may still succeed, so that a failure there only means to ask again soon.
 */
static void add_relay(struct signaling *s, struct sl_str host, struct sl_str id,
		      struct sl_buf *json, uint64_t *ret_ttl_s)
{
	const struct sl_ice_servers_iface *relay;
	struct sl_buf own;
	struct sl_str view;
	void *self;

	/* Looked up each time: that module may start after this one, or not be there. */
	relay = sl_iface_get(s->w, "ice-servers", 1, &self);
	if (!relay)
		return;
	sl_buf_init(&own, 0);
	if (relay->append(self, host, id, &own, ret_ttl_s) < 0 || sl_buf_ok(&own) < 0) {
		sl_log(SL_LOG_WARN, "signaling-ws", "the relay module gave no ICE servers");
		*ret_ttl_s = ICE_RETRY_S;
		sl_buf_reset(&own);
	}
	view = sl_buf_view(&own);
	if (view.len > 2) {
		if (s->conf->ice_servers.n > 0)
			sl_buf_u8(json, ',');
		sl_buf_add(json, view.p + 1, view.len - 2);
	}
	sl_buf_free(&own);
}

int endpoint_ice_servers(struct signaling *s, struct sl_str host, struct sl_str id,
			 struct sl_buf *json, uint64_t *ret_ttl_s)
{
	sl_buf_u8(json, '[');
	for (size_t i = 0; i < s->conf->ice_servers.n; i++) {
		if (i > 0)
			sl_buf_u8(json, ',');
		add_server(json, SL_LIST_AT(s->conf->ice_servers, struct ice_server, i));
	}
	add_relay(s, host, id, json, ret_ttl_s);
	sl_buf_u8(json, ']');
	return sl_buf_ok(json);
}
