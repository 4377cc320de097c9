/*
 * signaling-ws/signaling.c: rooms over WebSocket: the module's tables, and the hub's hands in this
 * process.
 *
 * What the hub wants done (send, tell other workers, open a session) is done here; what happens
 * around it (time, events of the bus, messages of the channel, a kick) is told to it from here. The
 * protocol stands in README.md and schema.json.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sluice/clock.h>
#include <sluice/crypto.h>
#include "endpoint.h"

#define TICK_MS 500
#define HS256_KEY_MIN 32 /* RFC 7518 section 3.2 */

static const char *const auth_names[] = {"open", "jwt", NULL};

static const struct sl_directive key_fields[] = {
	SL_FIELD(struct token_key, kid, SL_T_STR,
		 .doc = "Tokens name their key by this; may be left out when there is only one."),
	SL_FIELD(struct token_key, alg, SL_T_ENUM, .names = token_alg_names, .required = true,
		 .doc = "The only algorithm this key is used with, whatever a token claims."),
	SL_FIELD(struct token_key, key, SL_T_SECRET, .required = true, .min = 1, .max = 65536,
		 .doc = "HS256: the shared secret, at least 32 bytes. RS256, ES256: the public key "
			"in PEM; best given as !file."),
	SL_DIRS_END,
};

static const struct sl_directive ice_fields[] = {
	SL_FIELD(struct ice_server, urls, SL_T_STR, .list = true, .required = true,
		 .doc = "stun:, turn: or turns: URLs."),
	SL_FIELD(struct ice_server, username, SL_T_STR, .doc = "For turn: and turns:."),
	SL_FIELD(struct ice_server, credential, SL_T_SECRET, .doc = "For turn: and turns:."),
	SL_DIRS_END,
};

static const struct sl_directive directives[] = {
	SL_DIR(struct signal_conf, path, SL_T_STR, SL_S_MAIN, .dflt = "/signal", .min = 1,
	       .max = 255, .doc = "Where clients open their WebSocket."),
	SL_DIR(struct signal_conf, auth, SL_T_ENUM, SL_S_MAIN, .dflt = "open", .names = auth_names,
	       .doc = "open: anybody may join any room. jwt: a token is verified before the "
		      "WebSocket opens."),
	SL_DIR(struct signal_conf, keys, SL_T_RECORD, SL_S_MAIN, .list = true, .fields = key_fields,
	       .record_bytes = sizeof(struct token_key),
	       .doc = "Keys that tokens may be signed with."),
	SL_DIR(struct signal_conf, leeway, SL_T_MSEC, SL_S_MAIN, .dflt = "30s", .min = 0,
	       .max = 600000,
	       .doc = "By how much clocks may differ when exp and nbf of a token are compared."),
	SL_DIR(struct signal_conf, issuer, SL_T_STR, SL_S_MAIN,
	       .doc = "What iss of a token must be; unset: anything."),
	SL_DIR(struct signal_conf, audience, SL_T_STR, SL_S_MAIN,
	       .doc = "What aud of a token must contain; unset: anything."),
	SL_DIR(struct signal_conf, origins, SL_T_REGEX, SL_S_MAIN, .list = true,
	       .doc = "Origins of web pages that may connect, as regular expressions; unset: all. "
		      "Anchor them with ^ and $."),
	SL_DIR(struct signal_conf, ice_servers, SL_T_RECORD, SL_S_MAIN, .list = true,
	       .fields = ice_fields, .record_bytes = sizeof(struct ice_server),
	       .doc = "Further ICE servers for the clients, beside those of this node's own relay "
		      "module."),
	SL_DIR(struct signal_conf, max_message, SL_T_SIZE, SL_S_MAIN, .dflt = "60k", .min = 1024,
	       .max = 61440, .doc = "Longest message of a client."),
	SL_DIR(struct signal_conf, max_queue, SL_T_SIZE, SL_S_MAIN, .dflt = "1m", .min = 65536,
	       .max = 67108864,
	       .doc = "Bytes that may wait for a slow reader before its socket is dropped; it may "
		      "resume."),
	SL_DIR(struct signal_conf, mailbox_messages, SL_T_INT, SL_S_MAIN, .dflt = "1000", .min = 16,
	       .max = 100000,
	       .doc = "Messages that a peer may leave unacknowledged before it is ended."),
	SL_DIR(struct signal_conf, mailbox_bytes, SL_T_SIZE, SL_S_MAIN, .dflt = "1m", .min = 65536,
	       .max = 67108864,
	       .doc = "Bytes that a peer may leave unacknowledged before it is ended."),
	SL_DIR(struct signal_conf, max_peers, SL_T_INT, SL_S_MAIN, .dflt = "32", .min = 2,
	       .max = 10000, .doc = "Peers in one room, over all workers."),
	SL_DIR(struct signal_conf, max_name, SL_T_INT, SL_S_MAIN, .dflt = "128", .min = 8,
	       .max = 255, .doc = "Longest name of a room or a peer, in bytes of UTF-8."),
	SL_DIR(struct signal_conf, max_candidates, SL_T_INT, SL_S_MAIN, .dflt = "64", .min = 1,
	       .max = 1000,
	       .doc = "Candidates of one peer for another that may wait for their description."),
	SL_DIR(struct signal_conf, rate, SL_T_INT, SL_S_MAIN, .dflt = "50", .min = 1, .max = 100000,
	       .doc = "Messages a second that a client may send in the long run."),
	SL_DIR(struct signal_conf, burst, SL_T_INT, SL_S_MAIN, .dflt = "200", .min = 1,
	       .max = 100000, .doc = "Messages that a client may send at once."),
	SL_DIR(struct signal_conf, resume_timeout, SL_T_MSEC, SL_S_MAIN, .dflt = "30s", .min = 0,
	       .max = 3600000,
	       .doc = "How long a peer that lost its socket stays in its room and may resume."),
	SL_DIR(struct signal_conf, join_timeout, SL_T_MSEC, SL_S_MAIN, .dflt = "15s", .min = 100,
	       .max = 3600000, .doc = "How long a WebSocket may stay open without having joined."),
	SL_DIR(struct signal_conf, heartbeat, SL_T_MSEC, SL_S_MAIN, .dflt = "20s", .min = 100,
	       .max = 3600000, .doc = "Silence after which a client is pinged."),
	SL_DIR(struct signal_conf, heartbeat_timeout, SL_T_MSEC, SL_S_MAIN, .dflt = "10s",
	       .min = 100, .max = 3600000,
	       .doc = "How long the answer to a ping may take before the socket is dropped."),
	SL_DIR(struct signal_conf, reconnect_spread, SL_T_MSEC, SL_S_MAIN, .dflt = "2s", .min = 0,
	       .max = 3600000,
	       .doc = "Time over which clients are asked to spread when a worker leaves; keep it "
		      "below drain_spread."),
	SL_DIRS_END,
};

static const struct sl_metric metrics[] = {
	[M_PEERS] = SL_GAUGE(peers, "Peers of rooms that belong to this worker."),
	[M_CONNECTIONS] = SL_GAUGE(connections, "WebSockets that are open."),
	[M_JOINS] = SL_COUNTER(joins, "Peers that joined a room."),
	[M_JOINS_REFUSED] =
		SL_COUNTER(joins_refused, "Joins refused: name, permission, or no room left."),
	[M_MESSAGES_IN] = SL_COUNTER(messages_in, "Messages received from clients."),
	[M_MESSAGES_OUT] = SL_COUNTER(messages_out, "Messages sent to clients."),
	[M_MESSAGES_BETWEEN] = SL_COUNTER(messages_between, "Messages passed on to other workers."),
	[M_BAD_MESSAGES] = SL_COUNTER(bad_messages, "Messages answered with an error."),
	[M_RATE_LIMITED] =
		SL_COUNTER(rate_limited, "Messages dropped because a client sent too many."),
	[M_CANDIDATES_HELD] =
		SL_COUNTER(candidates_held,
			   "Candidates that came before their description and waited for it."),
	[M_RESUMES] = SL_COUNTER(resumes, "Peers that came back over another socket."),
	[M_RESUMES_FAILED] =
		SL_COUNTER(resumes_failed, "Resumes refused: peer gone or wrong token."),
	[M_HANDOVERS] = SL_COUNTER(handovers, "Peers given to another worker."),
	[M_PEERS_LOST] = SL_COUNTER(
		peers_lost, "Peers of other workers that were lost with them, as seen here."),
	[M_MAILBOX_OVERFLOWS] =
		SL_COUNTER(mailbox_overflows, "Peers ended because too much was not acknowledged."),
	[M_CHANNEL_FAILURES] = SL_COUNTER(
		channel_failures, "Messages between workers that were lost or not understood."),
	[M_ORIGINS_REFUSED] =
		SL_COUNTER(origins_refused, "WebSockets refused because of their Origin."),
	[M_TOKENS_REFUSED] =
		SL_COUNTER(tokens_refused, "WebSockets refused because of their token."),
	[M_ICE_RENEWALS] = SL_COUNTER(ice_renewals,
				      "ICE servers sent again before their credentials ran out."),
	[M_MESSAGES_WAITED] = SL_COUNTER(
		messages_waited, "Messages that waited for their turn: many had spoken at once."),
	[M_JOIN_TIME] =
		SL_HISTOGRAM(join, "seconds", "From opening the WebSocket to being in a room.",
			     signal_time_bounds),
	[M_SETUP_TIME] = SL_HISTOGRAM(
		setup, "seconds", "From joining to the first offer or answer.", signal_time_bounds),
	SL_METRICS_END,
};

/* ---- what the hub wants done */

static int io_send(void *arg, struct sl_ws *ws, struct sl_str text)
{
	const struct signaling *s = arg;

	return s->http->ws_send(ws, text);
}

static size_t io_queued(void *arg, const struct sl_ws *ws)
{
	const struct signaling *s = arg;

	return s->http->ws_queued(ws);
}

static void io_close(void *arg, struct sl_ws *ws, unsigned code, struct sl_str reason)
{
	const struct signaling *s = arg;

	s->http->ws_close(ws, code, reason);
}

static int io_post(void *arg, uint32_t to, uint16_t type, struct sl_str data)
{
	const struct signaling *s = arg;
	const struct iovec iov = {(void *)data.p, data.len};

	return sl_channel_send(s->channel, to, type, &iov, 1);
}

static void io_broadcast(void *arg, uint16_t type, struct sl_str data)
{
	const struct signaling *s = arg;
	const struct iovec iov = {(void *)data.p, data.len};

	(void)sl_channel_broadcast(s->channel, type, &iov,
				   1); /* how many there are is not our concern */
}

/* Asked seldom: at moves and joins of others, not per message. */
static bool io_is_alive(void *arg, uint32_t owner)
{
	const struct signaling *s = arg;
	uint32_t owners[MAX_WORKERS];
	unsigned n = sl_worker_list(s->w, owners, MAX_WORKERS);

	for (unsigned i = 0; i < n; i++)
		if (owners[i] == owner)
			return true;
	return false;
}

static void on_evict(void *arg, struct sl_session *session, const char *why)
{
	(void)session;
	hub_evict(arg, why);
}

/*
 * The limit is counted by the core over all workers, so that two who join at once cannot both be
 * the last.
 */
static int io_session_open(void *arg, struct peer *p, bool counted)
{
	struct signaling *s = arg;
	const struct member *m = p->member;
	char id[ID_STRLEN], limit[SL_SID_STRLEN + 256];
	struct sl_session_opts o = {
		.kind = SL_KIND_SIGNAL,
		.room = m->room->name,
		.peer = sl_str_c(id_format(id, m->id)),
		.label = m->name,
		.evict = on_evict,
		.arg = p,
	};

	if (counted) {
		(void)snprintf(limit, sizeof limit, "signal-room:%.*s", SL_FMT(m->room->name));
		o.limits[0] =
			(struct sl_session_limit){sl_str_c(limit), (uint32_t)s->conf->max_peers};
	}
	return sl_session_open(s->w, &o, &p->session);
}

static void io_session_close(void *arg, struct peer *p, const char *why)
{
	(void)arg;
	sl_session_close(p->session, why);
	p->session = NULL;
}

static int io_ice_servers(void *arg, struct sl_str host, struct sl_str id, struct sl_buf *json,
			  uint64_t *ret_ttl_s)
{
	return endpoint_ice_servers(arg, host, id, json, ret_ttl_s);
}

static uint64_t io_clock_us(void *arg)
{
	(void)arg;
	return sl_clock_ns() / 1000;
}

static void io_go_on(void *arg)
{
	struct signaling *s = arg;

	sl_post(s->w->loop, &s->turn);
}

static const struct hub_io hub_io = {
	.send = io_send,
	.queued = io_queued,
	.close = io_close,
	.post = io_post,
	.broadcast = io_broadcast,
	.is_alive = io_is_alive,
	.session_open = io_session_open,
	.session_close = io_session_close,
	.ice_servers = io_ice_servers,
	.clock_us = io_clock_us,
	.go_on = io_go_on,
};

/* ---- what the hub is told */

static void on_channel(void *arg, const struct sl_channel_msg *msg)
{
	struct signaling *s = arg;

	s->hub.now_ms = sl_loop_ms(s->w->loop);
	spread_receive(&s->hub, msg->from, msg->type, msg->data);
}

static void on_turn(struct sl_post *post)
{
	struct signaling *s = post->arg;

	s->hub.now_ms = sl_loop_ms(s->w->loop);
	turns_go_on(&s->hub);
}

/* Runs always: an idle worker has next to nothing to look at. */
static void on_tick(struct sl_timer *t)
{
	struct signaling *s = t->arg;

	s->hub.now_ms = sl_loop_ms(s->w->loop);
	hub_tick(&s->hub);
	sl_timer_set(s->w->loop, &s->tick, TICK_MS);
}

/* Media sessions name their room by a keyed hash only. */
static void on_session_lost(struct signaling *s, const struct sl_bus_event *ev)
{
	struct sl_hnode *n, *next;

	if (ev->session_kind == SL_KIND_SIGNAL ||
	    ev->room == 0) /* our own are mourned with their worker */
		return;
	for (n = sl_htab_first(&s->hub.roster.rooms); n; n = next) {
		struct room *room = SL_CONTAINER(n, struct room, node);

		next = sl_htab_next(&s->hub.roster.rooms, n);
		if ((sl_siphash24(s->w->node_key, room->name.p, room->name.len) | 1) == ev->room) {
			hub_room_lost(&s->hub, room);
			return;
		}
	}
}

/* Others of the bus are not ours. */
static int on_event(void *ctx, const struct sl_bus_event *ev)
{
	struct signaling *s = ctx;

	s->hub.now_ms = sl_loop_ms(s->w->loop);
	if (ev->kind == SL_EV_WORKER_GONE)
		spread_gone(&s->hub, ev->owner);
	else if (ev->kind == SL_EV_SESSION_LOST)
		on_session_lost(s, ev);
	return SL_OK;
}

static const struct sl_hook hooks[] = {SL_ON_EVENT(SL_NORMAL, on_event), SL_HOOKS_END};

/* ---- life */

/* What the table cannot say: how the fields of one key belong together. */
static void check_key(struct sl_conf *c, const struct token_key *key, size_t i, size_t n)
{
	char path[32];

	(void)snprintf(path, sizeof path, "keys[%zu]", i);
	if (n > 1 && key->kid.len == 0)
		sl_conf_error(c, path,
			      "kid is required: there are several keys, and tokens choose by it");
	if (key->alg == TOKEN_HS256 && key->key.len < HS256_KEY_MIN)
		sl_conf_warn(c, path,
			     "the secret is shorter than %d bytes, as RFC 7518 requires for HS256",
			     HS256_KEY_MIN);
	if (key->alg != TOKEN_HS256 &&
	    !memmem(key->key.p, key->key.len, "-----BEGIN PUBLIC KEY", 21) &&
	    !memmem(key->key.p, key->key.len, "-----BEGIN CERTIFICATE", 22))
		sl_conf_error(c, path, "key is no public key in PEM; for a file write: !file NAME");
}

/* A pattern that matches anywhere lets https://example.org.evil.net in: the classic mistake. */
static void check_origins(struct sl_conf *c, const struct signal_conf *conf)
{
	char path[32];

	for (size_t i = 0; i < conf->origins.n; i++) {
		struct sl_str p =
			sl_regex_pattern(*SL_LIST_AT(conf->origins, struct sl_regex *, i));

		if (p.len >= 2 && p.p[0] == '^' && p.p[p.len - 1] == '$')
			continue;
		(void)snprintf(path, sizeof path, "origins[%zu]", i);
		sl_conf_warn(c, path,
			     "matches any part of an origin; write ^...$ to match the whole");
	}
}

static int check(struct sl_conf *c, void *arg)
{
	const struct signal_conf *conf = arg;

	if (conf->auth == AUTH_JWT && conf->keys.n == 0)
		sl_conf_error(c, "auth", "jwt needs at least one entry in keys");
	if (conf->auth == AUTH_OPEN && conf->keys.n > 0)
		sl_conf_warn(c, "keys", "are not used: auth is open");
	for (size_t i = 0; i < conf->keys.n; i++)
		check_key(c, SL_LIST_AT(conf->keys, struct token_key, i), i, conf->keys.n);
	if (conf->path.len > 0 && conf->path.p[0] != '/')
		sl_conf_error(c, "path", "must begin with /");
	check_origins(c, conf);
	return 0;
}

/* No part has started yet; nothing here can fail. */
static void init(struct signaling *s, struct sl_worker *w, const struct signal_conf *conf)
{
	s->w = w;
	s->conf = conf;
	s->rules = (struct token_rules){
		.keys = conf->keys.items,
		.n_keys = conf->keys.n,
		.leeway_s = conf->leeway / 1000,
		.issuer = conf->issuer,
		.audience = conf->audience,
	};
	s->tick = (struct sl_timer){.fn = on_tick, .arg = s};
	s->turn = (struct sl_post){.fn = on_turn, .arg = s};
	s->hub = (struct hub){
		.conf = conf,
		.io = &hub_io,
		.io_arg = s,
		.m = sl_worker_meters(w, "signaling-ws"),
		.self = sl_worker_owner(w),
		.now_ms = sl_loop_ms(w->loop),
	};
}

/* The channel before the endpoint: others may speak to this worker before any client does. */
/* Tokens hold in every process of the node and in the next generation: their key comes from the
 * node's. */
static void set_token_key(struct signaling *s)
{
	const struct sl_str node_key = {(const char *)s->w->node_key, 32};

	sl_hmac_sha256(s->hub.token_key, node_key, "resume token", 12);
}

static int worker_start(struct sl_worker *w, void *conf, void **ret_ctx)
{
	struct signaling *s = calloc(1, sizeof *s);
	uint32_t owners[MAX_WORKERS];
	int rc;

	if (!s)
		return -SL_ENOMEM;
	init(s, w, conf);
	rc = sl_channel_open(w, "signaling-ws", on_channel, s, &s->channel);
	if (rc == 0)
		rc = endpoint_open(s);
	if (rc == 0)
		rc = sl_iface_provide(w, SL_SIGNAL_IFACE, 1, &guest_iface, &s->hub);
	if (rc == 0)
		rc = sl_iface_provide(w, "tokens", 1, &endpoint_tokens, s);
	if (rc < 0) {
		sl_channel_close(s->channel);
		free(s);
		return rc;
	}
	set_token_key(s);
	spread_start(&s->hub, owners, sl_worker_list(w, owners, MAX_WORKERS));
	sl_timer_set(w->loop, &s->tick, TICK_MS);
	*ret_ctx = s;
	return 0;
}

/* The http module stops after this one, and tells nobody of the sockets that it closes then. */
static void worker_stop(void *ctx)
{
	struct signaling *s = ctx;

	sl_timer_cancel(s->w->loop, &s->tick);
	sl_channel_close(s->channel);
	hub_free(&s->hub);
	sl_post_cancel(s->w->loop, &s->turn);
	free(s);
}

static const char *const needs[] = {"http", NULL};

SL_MODULE(signaling_ws, .name = "signaling-ws", .version = "1.0",
	  .summary = "Rooms over WebSocket: joins, offers, answers, candidates.", .needs = needs,
	  .directives = directives, .conf_size = sizeof(struct signal_conf), .hooks = hooks,
	  .metrics = metrics, .check = check, .worker_start = worker_start,
	  .worker_stop = worker_stop);
