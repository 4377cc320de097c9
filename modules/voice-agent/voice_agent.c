/*
 * voice-agent/voice_agent.c: descriptor, directives, and who may come: programs that listen and
 * speak in rooms, over a WebSocket.
 *
 *     wss://node/agent?room=team-1&name=Helper&codec=pcm&rate=24000
 */
#include "agent.h"

#include <stdlib.h>
#include <sluice/signal.h>

static const struct sl_directive directives[] = {
	SL_DIR(struct agents_conf, path, SL_T_STR, SL_S_MAIN, .dflt = "/agent", .min = 1,
	       .max = 100, .doc = "Where agents connect, by WebSocket."),
	SL_DIR(struct agents_conf, max_message, SL_T_SIZE, SL_S_MAIN, .dflt = "64k", .min = 1024,
	       .max = 1024 * 1024, .doc = "A longer message closes its connection."),
	SL_DIR(struct agents_conf, max_speech, SL_T_MSEC, SL_S_MAIN, .dflt = "60s", .min = 1000,
	       .max = 600000,
	       .doc = "How much an agent may say ahead of time; what is beyond is dropped, and it "
		      "is told."),
	SL_DIR(struct agents_conf, max_agents, SL_T_INT, SL_S_MAIN, .dflt = "1000", .min = 0,
	       .max = 1000000, .doc = "At once, on all workers; 0: no limit."),
	SL_DIRS_END,
};

static const struct sl_metric metrics[] = {
#define X(n, k, h) {.name = #n, .kind = k, .help = h},
	AGENT_METERS(X)
#undef X
		SL_METRICS_END};

/* ---- who may come */

static struct sl_str token_of(const struct agents *m, struct sl_http_req *r)
{
	struct sl_str token = sl_http_bearer(m->http, r);

	return token.p ? token : m->http->query(r, "token");
}

/* An agent hears and is heard: a token has to permit both. Who asks for none asks none of agents.
 */
static unsigned judge_token(const struct agents *m, struct sl_http_req *r, struct sl_str room,
			    struct sl_str *ret_why)
{
	static const uint32_t needed = SL_MAY_PUBLISH_AUDIO | SL_MAY_SUBSCRIBE;
	const struct sl_tokens_iface *tokens;
	struct sl_token token;
	bool good;
	void *self;
	int err;

	tokens = sl_iface_get(m->w, "tokens", 1, &self);
	err = tokens ? tokens->open(self, token_of(m, r), &token) : -SL_EUNSUPP;
	if (err == -SL_EUNSUPP)
		return 0;
	*ret_why = SL_STR("a valid token is required");
	if (err < 0)
		return 401;
	good = (token.grants & needed) == needed && tokens->permits(&token, room);
	tokens->release(&token);
	*ret_why = SL_STR("the token does not permit to hear and to be heard in this room");
	return good ? 0 : 403;
}

static unsigned admit(struct agents *m, struct sl_http_req *r, struct agent **ret_agent,
		      struct sl_str *ret_why)
{
	const struct sl_str room = m->http->query(r, "room"), name = m->http->query(r, "name");
	struct format f;
	unsigned status;

	*ret_why = SL_STR("room is missing");
	if (room.len == 0)
		return 400;
	if (format_read(&f, m->http->query(r, "codec"), m->http->query(r, "rate"), ret_why) < 0)
		return 400;
	status = judge_token(m, r, room, ret_why);
	if (status)
		return status;
	*ret_why = SL_STR("too many agents");
	if (m->max > 0 && m->n >= m->max)
		return 503;
	*ret_agent = agent_new(m, &f, room, name.len > 0 ? name : SL_STR("agent"));
	*ret_why = SL_STR("out of memory");
	return *ret_agent ? 0 : 503;
}

static int on_authorize(void *arg, struct sl_http_req *r, void **ret_user, struct sl_str *ret_why)
{
	struct agents *m = arg;
	struct agent *a = NULL;
	unsigned status = admit(m, r, &a, ret_why);

	*ret_user = a;
	if (status)
		sl_count(&m->m[M_refused]);
	return (int)status;
}

static void on_opened(void *arg, struct sl_ws *ws, void *user)
{
	(void)arg;
	agent_opened(user, ws);
}

static void on_message(void *arg, struct sl_ws *ws, void *user, struct sl_str data, bool binary)
{
	(void)arg;
	(void)ws;
	agent_message(user, data, binary);
}

static void on_closed(void *arg, struct sl_ws *ws, void *user, unsigned code)
{
	(void)arg;
	(void)ws;
	(void)code;
	agent_free(user);
}

/* ---- life */

struct started {
	struct agents agents;
	struct sl_ws_ops ops;
};

static int open_endpoint(struct started *s)
{
	struct agents *m = &s->agents;

	m->http = sl_iface_get(m->w, "http", 1, &m->http_self);
	if (!m->http || m->http->size < sizeof *m->http) {
		sl_log(SL_LOG_ERROR, "voice-agent",
		       "agents come over WebSockets of the module http: name it before "
		       "voice-agent in modules");
		return -SL_ENOENT;
	}
	s->ops = (struct sl_ws_ops){
		.authorize = on_authorize,
		.opened = on_opened,
		.message = on_message,
		.closed = on_closed,
		.max_message = m->conf->max_message,
		.max_queue = 256 * 1024,
		.ping_interval_ms = 20000,
		.pong_timeout_ms = 10000,
	};
	return m->http->websocket(m->http_self, m->conf->path.p, &s->ops, m);
}

/* A worker's part of a number for all */
static int64_t share_of(const struct sl_worker *w, int64_t total)
{
	const unsigned n = w->n_workers ? w->n_workers : 1;

	return (total + n - 1) / n;
}

static int worker_start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct started *s = calloc(1, sizeof *s);
	struct agents *m;
	int err;

	if (!s)
		return -SL_ENOMEM;
	m = &s->agents;
	m->w = w;
	m->conf = conf;
	m->m = sl_worker_meters(w, "voice-agent");
	m->max = share_of(w, m->conf->max_agents);
	err = open_endpoint(s);
	if (err < 0) {
		free(s);
		return err;
	}
	*ret_ctx = s;
	return 0;
}

static void worker_stop(void *ctx)
{
	struct started *s = ctx;

	agents_close(&s->agents);
	free(s);
}

SL_MODULE(voice_agent, .name = "voice-agent", .version = "1.0",
	  .summary = "voice agents: programs that listen and speak in rooms, over a WebSocket",
	  .directives = directives, .conf_size = sizeof(struct agents_conf), .metrics = metrics,
	  .worker_start = worker_start, .worker_stop = worker_stop);
