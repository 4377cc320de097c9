/*
 * http/ws.c: WebSocket endpoints of other modules (RFC 6455), framed by libwebsockets.
 *
 * The upgrade is decided by the endpoint before the 101 goes out. Messages come to it whole and
 * within its bound. What it sends is written at once when nothing is in the way, which costs no
 * change of interest and no further turn; else it queues, in order, up to the endpoint's bound, and
 * beyond that the reader is too slow and loses its socket. The library keeps at most one message
 * itself: nothing is handed to it while it does (lws_partial_buffered).
 */
#include <stdlib.h>
#include "http.h"

#define CLOSE_WAIT_MS 5000 /* for the queue to drain, and again for the peer to agree */
#define WRITES_PER_TURN 32
#define MAX_PROTOCOLS 120 /* bytes of Sec-WebSocket-Protocol that the library can read */
#define MAX_REASON 123	  /* bytes, RFC 6455 section 5.5 */

enum {
	CLOSE_NONE = 1005,
	CLOSE_ABNORMAL = 1006,
	CLOSE_BAD_DATA = 1007,
	CLOSE_TOO_BIG = 1009,
	CLOSE_TRY_LATER = 1013,
};

struct out {
	struct out *next;
	size_t len;
	bool binary;
	uint8_t bytes[]; /* LWS_PRE of headroom, then len */
};

struct sl_ws {
	struct client *client;
	const struct sl_ws_ops *ops;
	void *arg, *user;
	struct out *first, **tail;
	size_t queued;	    /* payload bytes in the list */
	struct sl_buf in;   /* the fragments of a message so far */
	uint64_t heard_ms;  /* when anything came */
	uint64_t pinged_ms; /* 0: no ping is unanswered */
	char *reason;	    /* of our close; NULL: none */
	uint16_t code;	    /* of the close, for both sides */
	bool opened, binary;
	bool closing;	  /* nothing is taken any more */
	bool said_close;  /* our close frame is with the library */
	bool peer_closes; /* the library answers by itself */
	bool named;	  /* the endpoint's subprotocol is agreed */
};

static struct http *http_of(const struct sl_ws *ws)
{
	return ws->client->http;
}

static void drop_queue(struct sl_ws *ws)
{
	for (struct out *o = ws->first, *next; o; o = next) {
		next = o->next;
		free(o);
	}
	ws->first = NULL;
	ws->tail = &ws->first;
	ws->queued = 0;
}

static void ask_writable(struct sl_ws *ws)
{
	lws_callback_on_writable(ws->client->wsi);
	host_kick(http_of(ws));
}

/* ---- the upgrade */

static struct sl_ws *ws_new(struct client *c, const struct route *endpoint, void *user)
{
	struct sl_ws *ws = calloc(1, sizeof *ws);

	if (!ws)
		return NULL;
	ws->client = c;
	ws->ops = endpoint->ops;
	ws->arg = endpoint->arg;
	ws->user = user;
	ws->tail = &ws->first;
	ws->code = CLOSE_ABNORMAL;
	c->ws = ws;
	return ws;
}

/*
 * The library takes the first name of the client's list that is one of its protocols, refuses when
 * there is none, and answers with that name. Which one is right depends on the path here. So its
 * one protocol with a name is called, for this upgrade, as the endpoint's subprotocol; when that is
 * not in the list, as anything that is, and the name is gone again before the answer is written.
 * Such a client then decides whether it goes on without (RFC 6455 section 4.1).
 */
static int choose_subprotocol(struct client *c, struct sl_ws *ws, struct sl_str offered)
{
	struct sl_str ours = ws->ops->subprotocol ? sl_str_c(ws->ops->subprotocol) : SL_STR_NULL;
	struct sl_str first = SL_STR_NULL;

	if (!offered.p)
		return 0;
	while (offered.len > 0 && !ws->named) {
		struct sl_str one = sl_str_trim(sl_str_split(&offered, ','));

		if (first.len == 0)
			first = one;
		ws->named = one.len > 0 && sl_str_eq(one, ours);
	}
	if (first.len == 0)
		return -SL_EPARSE;
	sl_str_copy(c->http->subprotocol, sizeof c->http->subprotocol, ws->named ? ours : first);
	return 0;
}

void ws_forget_subprotocol(struct http *h, const struct client *c)
{
	if (!c->ws->named)
		h->subprotocol[0] = '\0';
}

/* 0, or the status to refuse with: RFC 6455 section 4.2.1. The library would just hang up. */
static unsigned check_handshake(struct sl_http_req *r, struct sl_str upgrade)
{
	struct sl_str key = request_header(r, "sec-websocket-key");
	uint8_t nonce[24];
	size_t n;

	if (!sl_str_eq_nocase(upgrade, SL_STR("websocket")))
		return 501;
	if (!sl_str_eq(r->method, SL_STR("GET")) || !request_header(r, "host").p)
		return 400;
	if (!sl_str_eq(request_header(r, "sec-websocket-version"), SL_STR("13")))
		return 426;
	if (sl_base64_decode(nonce, sizeof nonce, key, &n) < 0 || n != 16)
		return 400;
	if (lws_hdr_total_length(r->client->wsi, WSI_TOKEN_PROTOCOL) > MAX_PROTOCOLS)
		return 431;
	return 0;
}

static int refuse(struct client *c, unsigned status, struct sl_str reason)
{
	struct sl_http_req *r = c->req;
	struct sl_str headers = SL_STR_NULL;
	int rc;

	if (status == 426)
		headers = SL_STR("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
	sl_count(&c->http->m[M_UPGRADES_REFUSED]);
	r->last = true;
	r->in_call = true;
	if (reason.len > 0)
		rc = respond(r, status, "text/plain; charset=utf-8", headers, reason);
	else
		rc = respond_error(r, status, headers);
	if (rc == 0)
		(void)response_pump(c); /* closes in any case */
	return -1;
}

static int authorize(struct client *c, const struct route *endpoint)
{
	struct sl_str offered = request_header(c->req, "sec-websocket-protocol");
	const struct sl_ws_ops *ops = endpoint->ops;
	struct sl_str reason = SL_STR_NULL;
	void *user = NULL;
	struct sl_ws *ws;
	int status = 0;

	if (ops->authorize)
		status = ops->authorize(endpoint->arg, c->req, &user, &reason);
	if (status != 0)
		return refuse(c, (unsigned)status, reason);
	ws = ws_new(c, endpoint, user);
	if (!ws) {
		if (ops->closed)
			ops->closed(endpoint->arg, NULL, user, CLOSE_ABNORMAL);
		return -1;
	}
	return choose_subprotocol(c, ws, offered);
}

int ws_upgrade(struct client *c, struct sl_str upgrade)
{
	const struct route *endpoint;
	struct sl_http_req *r;
	char *path;
	int len;
	unsigned status;

	if (c->req || c->ws || client_is_pipelined(c) ||
	    lws_http_get_uri_and_method(c->wsi, &path, &len) < 0)
		return -1;
	r = request_new(c, sl_str_c(path));
	if (!r)
		return -1;
	sl_count(&c->http->m[M_REQUESTS]);
	endpoint = routes_match(&c->http->routes, ROUTE_WEBSOCKET, r->path);
	if (!endpoint)
		return refuse(c, 404, SL_STR_NULL);
	status = check_handshake(r, upgrade);
	if (status != 0)
		return refuse(c, status, SL_STR_NULL);
	if (authorize(c, endpoint) < 0)
		return -1;
	request_free(r);
	return 0;
}

/* ---- life */

static uint64_t now_ms(const struct sl_ws *ws)
{
	return sl_loop_ms(http_of(ws)->w->loop);
}

static void set_timer(struct sl_ws *ws, uint64_t ms)
{
	sl_timer_set(http_of(ws)->w->loop, &ws->client->deadline, ms);
}

int ws_opened(struct client *c)
{
	struct sl_ws *ws = c->ws;

	sl_count(&c->http->m[M_UPGRADES]);
	sl_gauge_add(&c->http->m[M_WEBSOCKETS], 1);
	client_becomes_websocket(c);
	ws->opened = true;
	ws->heard_ms = now_ms(ws);
	sl_buf_init(&ws->in, 0);
	sl_timer_cancel(c->http->w->loop, &c->deadline);
	if (ws->ops->ping_interval_ms > 0)
		set_timer(ws, ws->ops->ping_interval_ms);
	if (ws->ops->opened)
		ws->ops->opened(ws->arg, ws, ws->user);
	return 0;
}

void ws_gone(struct client *c)
{
	struct sl_ws *ws = c->ws;

	c->ws = NULL; /* whoever is told must not find it */
	sl_timer_cancel(c->http->w->loop, &c->deadline);
	if (ws->opened)
		sl_gauge_add(&c->http->m[M_WEBSOCKETS], -1);
	ws->closing = true;
	if (!c->http->stopping && ws->ops->closed) /* when we stop, the table is gone, too */
		ws->ops->closed(ws->arg, ws->opened ? ws : NULL, ws->user, ws->code);
	drop_queue(ws);
	sl_buf_free(&ws->in);
	free(ws->reason);
	free(ws);
}

static bool is_drained(const struct sl_ws *ws)
{
	return !ws->first && !lws_partial_buffered(ws->client->wsi);
}

static void begin_close(struct sl_ws *ws, unsigned code, struct sl_str reason)
{
	size_t len = reason.len < MAX_REASON ? reason.len : MAX_REASON;

	ws->closing = true;
	ws->code = (uint16_t)code;
	/* Without memory: without a reason */
	ws->reason = len > 0 ? sl_str_dup((struct sl_str){reason.p, len}) : NULL;
	set_timer(ws, is_drained(ws) ? 0 : CLOSE_WAIT_MS);
	ask_writable(ws);
}

/* Nothing more can be sent: the library takes the socket down from its own turn. */
static void fail(struct sl_ws *ws, unsigned code)
{
	ws->closing = true;
	ws->code = (uint16_t)code;
	drop_queue(ws);
	client_kill(ws->client);
}

static void set_close_frame(struct sl_ws *ws)
{
	unsigned char *reason = (unsigned char *)ws->reason;

	lws_close_reason(ws->client->wsi, (enum lws_close_status)ws->code, reason,
			 reason ? strlen(ws->reason) : 0);
}

/*
 * The closing handshake begins. Only from our timer: a library built with its debug checks, as
 * Debian's is, closes twice when the writeable callback asks for it, and the second time drops the
 * frame.
 */
static void say_close(struct sl_ws *ws)
{
	ws->said_close = true;
	set_timer(ws, CLOSE_WAIT_MS);
	set_close_frame(ws);
	/* Not as rude as it sounds: the frame, its answer, then the end. */
	lws_set_timeout(ws->client->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

/* With a payload, because the library keeps pongs without one to itself. */
static int write_ping(struct sl_ws *ws)
{
	uint8_t *payload = http_of(ws)->scratch + LWS_PRE;

	payload[0] = '.';
	return lws_write(ws->client->wsi, payload, 1, LWS_WRITE_PING);
}

static void ping(struct sl_ws *ws)
{
	uint64_t pong_ms = ws->ops->pong_timeout_ms;

	/* A full socket needs no ping to be found dead: its data waits for the same answer. */
	if (!lws_partial_buffered(ws->client->wsi) && write_ping(ws) < 0) {
		fail(ws, CLOSE_ABNORMAL);
		return;
	}
	ws->pinged_ms = now_ms(ws);
	set_timer(ws, pong_ms > 0 ? pong_ms : ws->ops->ping_interval_ms);
}

void ws_tick(struct client *c)
{
	struct sl_ws *ws = c->ws;
	uint64_t silent_ms = now_ms(ws) - ws->heard_ms;

	if (ws->closing) {
		if (!ws->said_close && !ws->peer_closes && is_drained(ws)) {
			host_kick(c->http); /* the next line may free ws */
			say_close(ws);
		} else {
			client_kill(c);
		}
		return;
	}
	if (ws->pinged_ms > ws->heard_ms && ws->ops->pong_timeout_ms > 0) {
		sl_count(&c->http->m[M_PONGS_MISSED]);
		fail(ws, CLOSE_ABNORMAL);
	} else if (silent_ms < ws->ops->ping_interval_ms) {
		set_timer(ws, ws->ops->ping_interval_ms - silent_ms);
	} else {
		ping(ws);
	}
}

void ws_heard(struct client *c)
{
	c->ws->heard_ms = now_ms(c->ws);
}

/* ---- in */

static int violate(struct sl_ws *ws, unsigned code)
{
	if (code == CLOSE_TOO_BIG)
		sl_count(&http_of(ws)->m[M_TOO_LONG]);
	ws->closing = true;
	ws->code = (uint16_t)code;
	drop_queue(ws);
	ws->said_close = true;
	set_timer(ws, CLOSE_WAIT_MS);
	set_close_frame(ws);
	return -1;
}

static size_t max_message(const struct sl_ws *ws)
{
	size_t theirs = ws->ops->max_message, ours = (size_t)ws->client->conf->max_message;

	return theirs > 0 && theirs < ours ? theirs : ours;
}

static int deliver(struct sl_ws *ws, struct sl_str message)
{
	struct http *h = http_of(ws);

	if (!ws->binary && !sl_str_is_utf8(message))
		return violate(ws, CLOSE_BAD_DATA);
	sl_count(&h->m[M_MESSAGES_IN]);
	sl_count_n(&h->m[M_MESSAGE_BYTES_IN], message.len);
	ws->ops->message(ws->arg, ws, ws->user, message, ws->binary);
	return 0;
}

static int deliver_assembled(struct sl_ws *ws)
{
	struct sl_buf whole = ws->in;
	int rc;

	sl_buf_init(&ws->in, 0); /* the memory is held for the call only */
	rc = deliver(ws, sl_buf_view(&whole));
	sl_buf_free(&whole);
	return rc;
}

int ws_received(struct client *c, const uint8_t *data, size_t len)
{
	struct sl_ws *ws = c->ws;
	struct lws *wsi = c->wsi;

	ws->heard_ms = now_ms(ws);
	if (ws->closing)
		return 0;
	if (lws_is_first_fragment(wsi))
		ws->binary = lws_frame_is_binary(wsi);
	if (ws->in.len + len + lws_remaining_packet_payload(wsi) > max_message(ws))
		return violate(ws, CLOSE_TOO_BIG);
	if (ws->in.len == 0 && lws_is_final_fragment(wsi))
		return deliver(ws, (struct sl_str){(const char *)data, len});
	sl_buf_add(&ws->in, data, len);
	if (sl_buf_ok(&ws->in) < 0)
		return violate(ws, CLOSE_TOO_BIG);
	return lws_is_final_fragment(wsi) ? deliver_assembled(ws) : 0;
}

void ws_peer_closes(struct client *c, const uint8_t *data, size_t len)
{
	struct sl_ws *ws = c->ws;

	if (!ws->closing)
		ws->code = len >= 2 ? (uint16_t)(data[0] << 8 | data[1]) : CLOSE_NONE;
	ws->closing = true;
	ws->peer_closes = true;
	drop_queue(ws);
	set_timer(ws, CLOSE_WAIT_MS);
}

/* ---- out */

static int write_now(struct sl_ws *ws, uint8_t *bytes, size_t len, bool binary)
{
	if (lws_write(ws->client->wsi, bytes, len, binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT) < 0)
		return -SL_ECLOSED;
	sl_count(&http_of(ws)->m[M_MESSAGES_OUT]);
	sl_count_n(&http_of(ws)->m[M_MESSAGE_BYTES_OUT], len);
	return 0;
}

static int send_direct(struct sl_ws *ws, struct sl_str data, bool binary)
{
	uint8_t *bytes = http_of(ws)->scratch + LWS_PRE;

	memcpy(bytes, data.p, data.len);
	if (write_now(ws, bytes, data.len, binary) < 0) {
		fail(ws, CLOSE_ABNORMAL);
		return -SL_ECLOSED;
	}
	if (lws_partial_buffered(ws->client->wsi))
		host_kick(http_of(ws)); /* the library waits for room */
	return 0;
}

static int enqueue(struct sl_ws *ws, struct sl_str data, bool binary)
{
	struct out *o;

	if (ws->ops->max_queue > 0 && ws->queued + data.len > ws->ops->max_queue) {
		sl_count(&http_of(ws)->m[M_SLOW_READERS]);
		drop_queue(ws);
		begin_close(ws, CLOSE_TRY_LATER, SL_STR("too slow"));
		return -SL_EFULL;
	}
	o = malloc(sizeof *o + LWS_PRE + data.len);
	if (!o) {
		begin_close(ws, CLOSE_TRY_LATER, SL_STR("out of memory"));
		return -SL_ENOMEM;
	}
	o->next = NULL;
	o->len = data.len;
	o->binary = binary;
	memcpy(o->bytes + LWS_PRE, data.p, data.len);
	*ws->tail = o;
	ws->tail = &o->next;
	ws->queued += data.len;
	ask_writable(ws);
	return 0;
}

static int send_message(struct sl_ws *ws, struct sl_str data, bool binary)
{
	if (ws->closing)
		return -SL_ECLOSED;
	if (ws->opened && !ws->first && data.len > 0 && data.len <= SCRATCH_BYTES &&
	    !lws_partial_buffered(ws->client->wsi))
		return send_direct(ws, data, binary);
	return enqueue(ws, data, binary);
}

int ws_send(struct sl_ws *ws, struct sl_str text)
{
	return send_message(ws, text, false);
}

int ws_send_binary(struct sl_ws *ws, struct sl_str data)
{
	return send_message(ws, data, true);
}

/* 0: go on or wait, < 0: close. */
static int write_first(struct sl_ws *ws)
{
	struct out *o = ws->first;
	int rc;

	ws->first = o->next;
	if (!ws->first)
		ws->tail = &ws->first;
	ws->queued -= o->len;
	rc = write_now(ws, o->bytes + LWS_PRE, o->len, o->binary);
	free(o);
	return rc;
}

int ws_writable(struct client *c)
{
	struct sl_ws *ws = c->ws;

	if (ws->peer_closes || ws->said_close)
		return 0;
	for (int i = 0; ws->first && i < WRITES_PER_TURN && !lws_partial_buffered(c->wsi); i++)
		if (write_first(ws) < 0)
			return -1;
	if (ws->first)
		ask_writable(ws);
	else if (ws->closing && is_drained(ws))
		set_timer(ws, 0);
	return 0;
}

void ws_close(struct sl_ws *ws, unsigned code, struct sl_str reason)
{
	if (!ws->closing)
		begin_close(ws, code, reason);
}

size_t ws_queued(const struct sl_ws *ws)
{
	return ws->queued;
}

const struct sl_addr *ws_remote(const struct sl_ws *ws)
{
	return &ws->client->remote;
}
