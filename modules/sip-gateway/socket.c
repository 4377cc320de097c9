/*
 * sip-gateway/socket.c: SIP over WebSocket (RFC 7118): one message in one WebSocket message, under
 * the subprotocol "sip", at a path of the module http.
 *
 * A client that does not name the subprotocol is taken, too; what it sends has to be SIP. CRLF
 * keep-alives (RFC 7118 section 6 by way of RFC 5626) are answered.
 */
#include "edge.h"

#include <stdlib.h>

static int on_authorize(void *arg, struct sl_http_req *r, void **ret_user, struct sl_str *reason)
{
	struct edge *e = arg;
	struct edge_conn *c;

	if (guard_is_blocked(e, e->http->remote(r))) {
		*reason = SL_STR("not permitted");
		return 403;
	}
	c = edge_conn_new(e, e->http->secure(r) ? SIP_WSS : SIP_WS);
	if (!c) {
		*reason = SL_STR("out of memory");
		return 503;
	}
	c->remote = *e->http->remote(r);
	*ret_user = c;
	return 0;
}

static void on_opened(void *arg, struct sl_ws *ws, void *user)
{
	struct edge_conn *c = user;

	(void)arg;
	c->ws = ws;
}

static bool is_blank(struct sl_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] != '\r' && s.p[i] != '\n')
			return false;
	return true;
}

static void on_message(void *arg, struct sl_ws *ws, void *user, struct sl_str data, bool binary)
{
	struct edge *e = arg;
	const struct sip_flow flow = edge_conn_flow(user);

	(void)binary; /* both kinds are permitted (section 5) */
	if (is_blank(data)) {
		if (sl_str_eq(data, SL_STR("\r\n\r\n")))
			(void)e->http->ws_send(ws, SL_STR("\r\n")); /* lost: it asks again */
		return;
	}
	if (!edge_receive(e, &flow, data))
		e->http->ws_close(ws, 1008, SL_STR("this was not SIP"));
}

static void on_closed(void *arg, struct sl_ws *ws, void *user, unsigned code)
{
	struct edge_conn *c = user;
	struct sip_flow flow;

	(void)ws;
	(void)code;
	if (!c)
		return;
	flow = edge_conn_flow(c);
	edge_flow_gone(arg, &flow);
	edge_conn_free(c);
}

int socket_open(struct edge *e)
{
	void *self;

	e->http = sl_iface_get(e->w, "http", 1, &self);
	if (!e->http || e->conf->websocket.len == 0)
		return 0;
	e->ws_ops = (struct sl_ws_ops){
		.authorize = on_authorize,
		.opened = on_opened,
		.message = on_message,
		.closed = on_closed,
		.max_message = SIP_MAX_MESSAGE,
		.max_queue = 8 * (size_t)SIP_MAX_MESSAGE,
		.ping_interval_ms = 30000,
		.pong_timeout_ms = 20000,
		.subprotocol = "sip",
	};
	return e->http->websocket(self, e->conf->websocket.p, &e->ws_ops, e);
}
