/*
 * http/client.c: the life of a connection that libwebsockets serves, and the callback through which
 * the library speaks.
 *
 * A client is made for an adoption, found again as the wsi's opaque pointer, and freed when the
 * library destroys its wsi, which with libuv is a turn after the close. Knows which part answers
 * which callback, but not what they do.
 */
#include <stdlib.h>
#include <unistd.h>
#include "http.h"
#include "socket.h"

#define SWEEP_MS 1000

static void on_deadline(struct sl_timer *t)
{
	struct client *c = t->arg;

	if (c->ws) {
		ws_tick(c);
		return;
	}
	if (c->req || c->n_requests == 0) /* else it only waited for a next request */
		sl_count(&c->http->m[M_TIMEOUTS]);
	client_kill(c);
}

static void on_writable(struct sl_event *ev, unsigned ready)
{
	struct client *c = ev->arg;

	(void)ready; /* an error shows in the write */
	if (response_pump(c) < 0)
		client_kill(c);
}

static void link_client(struct client *c)
{
	struct http *h = c->http;

	c->next = h->clients;
	if (c->next)
		c->next->prev = c;
	h->clients = c;
	if (!sl_timer_pending(&h->sweep))
		sl_timer_set(h->w->loop, &h->sweep, SWEEP_MS);
}

static void unlink_client(struct client *c)
{
	*(c->prev ? &c->prev->next : &c->http->clients) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->prev = c->next = NULL;
}

static struct client *client_new(struct http *h, const struct client_from *from)
{
	struct client *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->http = h;
	c->conf = sl_listener_conf(h->w, from->listener, "http");
	if (!c->conf)
		c->conf = h->conf;
	c->remote = *from->remote;
	c->secure = from->secure;
	c->bridged = from->bridged;
	c->deadline = (struct sl_timer){.fn = on_deadline, .arg = c};
	c->writable = (struct sl_event){.fd = -1, .fn = on_writable, .arg = c};
	link_client(c);
	h->n_clients++;
	h->w->n_holds++;
	sl_gauge_set(&h->m[M_CONNECTIONS], h->n_clients);
	return c;
}

static void client_free(struct client *c)
{
	struct http *h = c->http;

	if (c->ws)
		ws_gone(c);
	if (c->req)
		request_abandon(c->req);
	sl_event_del(h->w->loop, &c->writable);
	sl_timer_cancel(h->w->loop, &c->deadline);
	if (!c->unlinked)
		unlink_client(c);
	h->n_clients--;
	h->w->n_holds--;
	sl_gauge_set(&h->m[M_CONNECTIONS], h->n_clients);
	free(c);
}

/* The library always closes the descriptor, but frees the client only if it made a wsi of it. */
static int adopt(struct client *c, struct lws_vhost *vhost, int fd)
{
	struct http *h = c->http;
	lws_adopt_desc_t what = {
		.vh = vhost ? vhost : h->plain,
		.type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP | LWS_ADOPT_ALLOW_SSL,
		.fd.sockfd = fd,
		.opaque = c,
	};
	struct lws *wsi;
	bool known;

	h->adopting = c;
	wsi = lws_adopt_descriptor_vhost_via_info(&what);
	known = h->adopting == NULL;
	h->adopting = NULL;
	host_kick(h);
	if (wsi) {
		client_expect(c, c->conf->request_timeout);
		return 0;
	}
	if (!known)
		client_free(c);
	return -SL_ENOMEM;
}

int client_adopt(struct http *h, const struct client_from *from, int fd)
{
	struct client *c = client_new(h, from);

	if (!c) {
		close(fd);
		return -SL_ENOMEM;
	}
	c->writable.fd = fd;
	if (!from->bridged)
		socket_set_nodelay(fd);
	return adopt(c, from->vhost, fd);
}

void client_kill(struct client *c)
{
	if (c->killed)
		return;
	c->killed = true;
	sl_event_del(c->http->w->loop, &c->writable);
	sl_timer_cancel(c->http->w->loop, &c->deadline);
	lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
	lws_cancel_service(c->http->lws); /* the library looks at its timers after a wake-up only */
}

void client_becomes_websocket(struct client *c)
{
	unlink_client(c);
	c->unlinked = true;
}

/*
 * The library keeps its time-outs in one sorted list, and walks it for each new one: ten thousand
 * connections that wait would stop the next. So they wait on our wheel; the library's own time-outs
 * are taken back where we see them set, and where we do not (after a TLS handshake, at the first
 * byte of a next request) by a sweep.
 */
void client_expect(struct client *c, uint64_t ms)
{
	lws_set_timeout(c->wsi, NO_PENDING_TIMEOUT, 0);
	sl_timer_set(c->http->w->loop, &c->deadline, ms);
}

void clients_sweep(struct sl_timer *t)
{
	struct http *h = t->arg;

	for (struct client *c = h->clients; c; c = c->next)
		if (!c->killed && c->wsi)
			lws_set_timeout(c->wsi, NO_PENDING_TIMEOUT, 0);
	if (h->clients)
		sl_timer_set(h->w->loop, t, SWEEP_MS);
}

/*
 * While a response is due nothing more is read: in that state the library leaves input in the
 * socket without taking back its interest, and the loop would spin.
 */
void client_hold(struct client *c, bool on)
{
	if (c->held == on)
		return;
	c->held = on;
	(void)lws_rx_flow_control(c->wsi, !on); /* fails on a dead socket: a close will tell */
	host_kick(c->http);
}

void client_mark(struct client *c)
{
	c->read_mark = socket_bytes_read(lws_get_socket_fd(c->wsi));
}

/*
 * The library reads a request with a body wrong, and for ever, when it had its first bytes already
 * while the one before was answered. So pipelined requests are not served; RFC 9112 section 9.3.2
 * has clients send them again. Such a request is known by this: since the last response was out,
 * nothing more has been read.
 */
bool client_is_pipelined(const struct client *c)
{
	return c->n_requests > 0 && socket_bytes_read(lws_get_socket_fd(c->wsi)) <= c->read_mark;
}

void clients_drain(struct http *h)
{
	for (struct client *c = h->clients; c; c = c->next)
		if (!c->req && !c->ws && c->n_requests > 0)
			client_kill(c);
}

static int on_http(struct client *c, enum lws_callback_reasons why, void *in, size_t len)
{
	switch (why) {
	case LWS_CALLBACK_HTTP:
		/* len counts all of a path, in is what the library left of it before a ';' */
		return request_begin(c, sl_str_c(in));
	case LWS_CALLBACK_HTTP_BODY:
		return request_body(c, in, len);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return request_body_end(c);
	case LWS_CALLBACK_RAW_ADOPT: /* CONNECT */
	case LWS_CALLBACK_RAW_RX:
		return -1;
	default:
		return 0;
	}
}

static int on_websocket(struct client *c, enum lws_callback_reasons why, void *in, size_t len)
{
	switch (why) {
	case LWS_CALLBACK_ESTABLISHED:
		return ws_opened(c);
	case LWS_CALLBACK_RECEIVE:
		return ws_received(c, in, len);
	case LWS_CALLBACK_RECEIVE_PONG:
		ws_heard(c);
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return ws_writable(c);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		ws_peer_closes(c, in, len);
		return 0;
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
		ws_forget_subprotocol(c->http, c);
		return 0;
	case LWS_CALLBACK_CLOSED:
		ws_gone(c);
		return 0;
	default:
		return 0;
	}
}

int client_callback(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in,
		    size_t len)
{
	struct client *c;
	struct http *h;

	switch (why) {
	case LWS_CALLBACK_EVENT_WAIT_CANCELLED: /* these come with a wsi that is none */
	case LWS_CALLBACK_PROTOCOL_INIT:
	case LWS_CALLBACK_PROTOCOL_DESTROY:
		return 0;
	case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
		return tls_prepare(user, lws_vhost_user(in));
	case LWS_CALLBACK_WSI_CREATE:
		h = lws_context_user(lws_get_context(wsi));
		if (h->adopting)
			h->adopting->wsi = wsi;
		h->adopting = NULL;
		return 0;
	default:
		break;
	}
	c = lws_get_opaque_user_data(wsi);
	if (!c)
		return 0;
	if (why == LWS_CALLBACK_WSI_DESTROY)
		client_free(c);
	else if (why == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE)
		return ws_upgrade(c, sl_str_c(in));
	else if (c->ws)
		return on_websocket(c, why, in, len);
	else
		return on_http(c, why, in, len);
	return 0;
}
