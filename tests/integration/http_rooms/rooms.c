/*
 * rooms.c: a module for the tests of http: routes that show what a request looked like, and
 * WebSocket rooms of two by URL.
 *
 * /rooms/<number>: what one says, the other hears; alone, oneself. A text of "close" is answered by
 * a close, "flood" by more messages than a queue holds, and ?deny=1 refuses the upgrade. Built by
 * the test against the public headers alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sluice/buf.h>
#include <sluice/http.h>
#include <sluice/module.h>

#define N_ROOMS 65536

struct rooms_conf {
	uint64_t ping, pong, delay; /* ms */
	uint64_t queue, message;    /* bytes */
	struct sl_str until;
};

struct rooms {
	struct sl_worker *w;
	const struct rooms_conf *conf;
	const struct sl_http_iface *http;
	struct sl_ws_ops ops;
	struct sl_ws *peers[N_ROOMS][2];
};

struct peer {
	unsigned room;
};

struct late { /* a response that takes its time */
	struct sl_timer timer;
	struct rooms *rooms;
	struct sl_http_req *req;
};

static const struct sl_directive directives[] = {
	SL_DIR(struct rooms_conf, ping, SL_T_MSEC, SL_S_MAIN, .dflt = "30s",
	       .doc = "Time between pings."),
	SL_DIR(struct rooms_conf, pong, SL_T_MSEC, SL_S_MAIN, .dflt = "10s",
	       .doc = "Time for an answer."),
	SL_DIR(struct rooms_conf, delay, SL_T_MSEC, SL_S_MAIN, .dflt = "300ms",
	       .doc = "Time that /late takes."),
	SL_DIR(struct rooms_conf, until, SL_T_STR, SL_S_MAIN,
	       .doc = "A file that /late waits for, too."),
	SL_DIR(struct rooms_conf, queue, SL_T_SIZE, SL_S_MAIN, .dflt = "1m",
	       .doc = "Bytes that may wait for a reader."),
	SL_DIR(struct rooms_conf, message, SL_T_SIZE, SL_S_MAIN, .dflt = "64k",
	       .doc = "Longest message."),
	SL_DIRS_END,
};

static const char *const needs[] = {"http", NULL};

/* ---- routes */

static void on_echo(void *arg, struct sl_http_req *r)
{
	struct rooms *rs = arg;

	(void)rs->http->respond(r, 200, "application/octet-stream", SL_STR("X-Rooms: yes\r\n"),
				rs->http->body(r));
}

static void add_member(struct sl_buf *out, const char *sep, const char *name, struct sl_str value)
{
	sl_buf_printf(out, "%s\"%s\":", sep, name);
	if (value.p)
		sl_buf_json(out, value);
	else
		sl_buf_str(out, SL_STR("null"));
}

static void on_show(void *arg, struct sl_http_req *r)
{
	struct rooms *rs = arg;
	const struct sl_http_iface *http = rs->http;
	char from[SL_ADDR_STRLEN];
	struct sl_buf out;

	sl_buf_init(&out, 0);
	add_member(&out, "{", "method", http->method(r));
	add_member(&out, ",", "path", http->path(r));
	add_member(&out, ",", "a", http->query(r, "a"));
	add_member(&out, ",", "b", http->query(r, "b"));
	add_member(&out, ",", "agent", http->header(r, "user-agent"));
	add_member(&out, ",", "custom", http->header(r, "x-custom"));
	add_member(&out, ",", "remote", sl_str_c(sl_addr_format_ip(from, http->remote(r))));
	sl_buf_printf(&out, ",\"secure\":%s}", http->secure(r) ? "true" : "false");
	(void)http->respond(r, 200, "application/json", SL_STR_NULL, sl_buf_view(&out));
	sl_buf_free(&out);
}

static void on_time(struct sl_timer *t)
{
	struct late *l = t->arg;
	const struct rooms_conf *conf = l->rooms->conf;

	if (conf->until.p && access(conf->until.p, F_OK) < 0) {
		sl_timer_set(l->rooms->w->loop, &l->timer, conf->delay);
		return;
	}
	(void)l->rooms->http->respond(l->req, 200, "text/plain", SL_STR_NULL, SL_STR("late\n"));
	free(l);
}

static void on_late(void *arg, struct sl_http_req *r)
{
	struct rooms *rs = arg;
	struct late *l = calloc(1, sizeof *l);

	if (!l) {
		(void)rs->http->respond(r, 503, "text/plain", SL_STR_NULL, SL_STR("no memory\n"));
		return;
	}
	*l = (struct late){.timer.fn = on_time, .timer.arg = l, .rooms = rs, .req = r};
	sl_timer_set(rs->w->loop, &l->timer, rs->conf->delay);
}

/* ---- rooms */

static int authorize(void *arg, struct sl_http_req *r, void **ret_user, struct sl_str *ret_reason)
{
	struct rooms *rs = arg;
	struct sl_str path = rs->http->path(r);
	const char *slash = memrchr(path.p, '/', path.len);
	uint64_t room;
	struct peer *p;

	if (rs->http->query(r, "deny").p) {
		*ret_reason = SL_STR("denied as asked\n");
		return 403;
	}
	if (!slash || sl_str_u64(sl_str_c(slash + 1), &room) < 0 || room >= N_ROOMS)
		return 404;
	p = calloc(1, sizeof *p);
	if (!p)
		return 503;
	p->room = (unsigned)room;
	*ret_user = p;
	return 0;
}

static void opened(void *arg, struct sl_ws *ws, void *user)
{
	struct rooms *rs = arg;
	struct peer *p = user;

	rs->peers[p->room][rs->peers[p->room][0] ? 1 : 0] = ws;
}

static void flood(struct rooms *rs, struct sl_ws *ws)
{
	static char text[60000];
	int rc = 0;

	memset(text, 'f', sizeof text);
	for (int i = 0; i < 10000 && rc == 0; i++)
		rc = rs->http->ws_send(ws, (struct sl_str){text, sizeof text});
}

static void message(void *arg, struct sl_ws *ws, void *user, struct sl_str data, bool binary)
{
	struct rooms *rs = arg;
	struct peer *p = user;
	struct sl_ws **room = rs->peers[p->room], *to = room[room[0] == ws];

	(void)binary;
	if (sl_str_eq(data, SL_STR("close")))
		rs->http->ws_close(ws, 4001, SL_STR("as you wish"));
	else if (sl_str_eq(data, SL_STR("flood")))
		flood(rs, ws);
	else
		(void)rs->http->ws_send(to ? to : ws, data);
}

static void closed(void *arg, struct sl_ws *ws, void *user, unsigned code)
{
	struct rooms *rs = arg;
	struct peer *p = user;

	(void)code;
	for (int i = 0; ws && i < 2; i++)
		if (rs->peers[p->room][i] == ws)
			rs->peers[p->room][i] = NULL;
	free(p);
}

static int start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct rooms *rs = calloc(1, sizeof *rs);
	void *self;

	if (!rs)
		return -SL_ENOMEM;
	rs->w = w;
	rs->conf = conf;
	rs->http = sl_iface_get(w, "http", 1, &self);
	rs->ops = (struct sl_ws_ops){
		.authorize = authorize,
		.opened = opened,
		.message = message,
		.closed = closed,
		.max_message = rs->conf->message,
		.max_queue = rs->conf->queue,
		.ping_interval_ms = rs->conf->ping,
		.pong_timeout_ms = rs->conf->pong,
		.subprotocol = "rooms",
	};
	if (rs->http->route(self, "POST", "/echo", on_echo, rs) < 0 ||
	    rs->http->route(self, "GET", "/show*", on_show, rs) < 0 ||
	    rs->http->route(self, "GET", "/late", on_late, rs) < 0 ||
	    rs->http->websocket(self, "/rooms/*", &rs->ops, rs) < 0)
		return -SL_EEXIST;
	*ret_ctx = rs;
	return 0;
}

SL_MODULE(rooms, .name = "rooms", .version = "1.0", .summary = "WebSocket rooms of two, for tests",
	  .needs = needs, .directives = directives, .conf_size = sizeof(struct rooms_conf),
	  .worker_start = start, .worker_stop = free);
