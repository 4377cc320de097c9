/*
 * http/bridge.c: carries HTTP that came out of the core's TLS over to libwebsockets, through a
 * socket pair.
 *
 * The way of clients that offer no ALPN, three times dearer per message than the direct one.
 * Bounded in both directions: what the library does not want to read ends the connection, what the
 * client does not read stops our reading, so that the library sees a full socket and its own bounds
 * hold.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "http.h"

#define MAX_TO_LIBRARY ((size_t)256 << 10)
#define MAX_RUNS 64
#define MAX_TO_CLIENT ((size_t)256 << 10) /* reading stops there; one chunk may come on top */

struct bridge {
	struct bridge *prev, *next;
	struct http *http;
	struct sl_conn *conn; /* NULL: gone */
	struct sl_event ev;   /* our end of the pair; owned */
	struct sl_buf in;     /* for the library, when the pair is full */
};

static void bridge_free(struct bridge *b)
{
	sl_event_del(b->http->w->loop, &b->ev);
	if (b->ev.fd >= 0)
		close(b->ev.fd);
	*(b->prev ? &b->prev->next : &b->http->bridges) = b->next;
	if (b->next)
		b->next->prev = b->prev;
	sl_buf_free(&b->in);
	free(b);
}

/* The library closed its end: what it said still goes to the client. on_conn_closed frees. */
static void finish(struct bridge *b, enum sl_close_reason why)
{
	sl_event_del(b->http->w->loop, &b->ev);
	sl_conn_close(b->conn, why);
}

static void want(struct bridge *b)
{
	unsigned wanted = 0;

	if (sl_conn_queued(b->conn) < MAX_TO_CLIENT)
		wanted |= SL_READ;
	if (b->in.len > 0)
		wanted |= SL_WRITE;
	if (sl_event_set(b->http->w->loop, &b->ev, wanted) < 0)
		finish(b, SL_CLOSE_ERROR);
}

/* Bytes written, or -1: the pair is closed. */
static ptrdiff_t put(struct bridge *b, const void *p, size_t n)
{
	ssize_t done = send(b->ev.fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (done < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	return done;
}

/*
 * The core reads faster than the library, which takes one buffer in each of its turns. So it gets
 * turns from here while the pair is full; what is left then is more than it wants to read now.
 */
static ptrdiff_t feed(struct bridge *b, const uint8_t *data, size_t len)
{
	size_t at = 0;

	for (int runs = 0; at < len && runs < MAX_RUNS; runs++) {
		ptrdiff_t done = put(b, data + at, len - at);

		if (done < 0)
			return -1;
		at += (size_t)done;
		if (at < len)
			host_run(b->http);
	}
	return (ptrdiff_t)at;
}

static ptrdiff_t on_input(void *arg, struct sl_conn *conn, const uint8_t *data, size_t len)
{
	struct bridge *b = arg;
	ptrdiff_t done = b->in.len == 0 ? feed(b, data, len) : 0;

	(void)conn;
	if (done < 0)
		return -SL_ECLOSED;
	if ((size_t)done == len)
		return done;
	sl_buf_add(&b->in, data + done, len - (size_t)done);
	if (sl_buf_ok(&b->in) < 0)
		return -SL_ELIMIT;
	want(b);
	return (ptrdiff_t)len;
}

static void on_drained(void *arg, struct sl_conn *conn)
{
	(void)conn;
	want(arg);
}

static void on_conn_closed(void *arg, struct sl_conn *conn, enum sl_close_reason why)
{
	(void)conn, (void)why;
	bridge_free(arg);
}

static const struct sl_conn_ops ops = {
	.input = on_input,
	.drained = on_drained,
	.closed = on_conn_closed,
	.max_input = 65536,
	.max_output = MAX_TO_CLIENT + SCRATCH_BYTES + 1,
};

static int to_client(struct bridge *b)
{
	uint8_t *buf = b->http->scratch;
	ssize_t n = recv(b->ev.fd, buf, SCRATCH_BYTES, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -SL_ECLOSED;
	if (n == 0)
		return -SL_ECLOSED;
	return sl_conn_write(b->conn, buf, (size_t)n);
}

static int to_library(struct bridge *b)
{
	ptrdiff_t done = put(b, b->in.p, b->in.len);

	if (done < 0)
		return -SL_ECLOSED;
	sl_buf_drop(&b->in, (size_t)done);
	return 0;
}

static void on_pair(struct sl_event *ev, unsigned ready)
{
	struct bridge *b = ev->arg;
	int rc = 0;

	if ((ready & SL_WRITE) && b->in.len > 0)
		rc = to_library(b);
	if (rc == 0 && (ready & (SL_READ | SL_HANGUP | SL_ERROR)))
		rc = to_client(b);
	if (rc < 0)
		finish(b, SL_CLOSE_OURS);
	else
		want(b);
}

static struct bridge *bridge_new(struct http *h, struct sl_conn *conn, int fd)
{
	struct bridge *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	b->http = h;
	b->conn = conn;
	b->ev = (struct sl_event){.fd = fd, .fn = on_pair, .arg = b};
	sl_buf_init(&b->in, MAX_TO_LIBRARY);
	b->next = h->bridges;
	if (b->next)
		b->next->prev = b;
	h->bridges = b;
	return b;
}

int bridge_open(struct http *h, struct sl_conn *conn)
{
	const struct client_from from = {.listener = sl_conn_listener(conn),
					 .remote = sl_conn_remote(conn),
					 .secure = true,
					 .bridged = true};
	struct bridge *b;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -SL_ESYS;
	b = bridge_new(h, conn, pair[0]);
	if (!b) {
		close(pair[0]);
		close(pair[1]);
		return -SL_ENOMEM;
	}
	if (sl_event_add(h->w->loop, &b->ev, SL_READ) < 0) {
		close(pair[1]);
		bridge_free(b);
		return -SL_ESYS;
	}
	if (client_adopt(h, &from, pair[1]) < 0) {
		bridge_free(b);
		return -SL_ENOMEM;
	}
	sl_count(&h->m[M_ACCEPTED_BRIDGED]);
	sl_conn_take(conn, &ops, b);
	return 0;
}

void bridges_close(struct http *h)
{
	for (struct bridge *b = h->bridges, *next; b; b = next) {
		next = b->next;
		finish(b, SL_CLOSE_DRAIN);
	}
}
