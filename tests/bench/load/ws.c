/*
 * bench/load/ws.c: frames of a WebSocket client. Masked with zeros, which is masked and costs
 * nothing here.
 */
#include "bench/load/ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void die(const char *what)
{
	fprintf(stderr, "WebSocket: %s: %s\n", what, strerror(errno));
	exit(2);
}

void ws_send(const struct ws *w, const void *frame, size_t len)
{
	if (send(w->fd, frame, len, MSG_NOSIGNAL) != (ssize_t)len)
		die("send");
}

static void ask(const struct ws *w, const char *path, const char *protocol)
{
	char text[512];
	int len = snprintf(text, sizeof text,
			   "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
			   "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
			   "Sec-WebSocket-Version: 13\r\n%s%s%s\r\n",
			   path, protocol ? "Sec-WebSocket-Protocol: " : "",
			   protocol ? protocol : "", protocol ? "\r\n" : "");

	if (len < 0 || (size_t)len >= sizeof text)
		die("path");
	ws_send(w, text, (size_t)len);
}

void ws_connect(struct ws *w, unsigned port, const char *path, const char *protocol, size_t cap)
{
	const struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int on = 1;

	w->cap = cap;
	w->in = malloc(cap); /* touched only as far as messages are long */
	w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!w->in || w->fd < 0 || connect(w->fd, (const struct sockaddr *)&to, sizeof to) < 0)
		die("connect");
	(void)setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* slower without */
	ask(w, path, protocol);
}

/* Length of the whole frame at p, 0: not all of it is there. A server's frames are not masked. */
static size_t frame_at(const uint8_t *p, size_t len, size_t *ret_head)
{
	size_t head, body = 0;

	if (len < 2)
		return 0;
	body = p[1] & 127;
	head = body == 127 ? 10 : body == 126 ? 4 : 2;
	if (len < head)
		return 0;
	for (size_t i = 2, n = body < 126 ? 2 : head; i < n; i++)
		body = i == 2 ? p[i] : body << 8 | p[i];
	*ret_head = head;
	return body <= len - head ? head + body : 0;
}

static size_t take_upgrade(struct ws *w)
{
	const uint8_t *end = memmem(w->in, w->len, "\r\n\r\n", 4);

	if (!end)
		return 0;
	if (w->len < 12 || memcmp(w->in, "HTTP/1.1 101", 12) != 0)
		die("no upgrade");
	w->open = true;
	return (size_t)(end - w->in) + 4;
}

bool ws_read(struct ws *w, int flags, ws_text_fn *on_text)
{
	ssize_t got = recv(w->fd, w->in + w->len, w->cap - w->len, flags);
	bool was_open = w->open;
	size_t at = 0, head, n;

	if (got == 0)
		die(w->len < w->cap ? "closed by the server" : "message too long");
	if (got < 0)
		return false;
	w->len += (size_t)got;
	if (!was_open)
		at = take_upgrade(w);
	while (w->open && (n = frame_at(w->in + at, w->len - at, &head)) > 0) {
		if ((w->in[at] & 15) == 1)
			on_text(w, w->in + at + head, n - head);
		at += n;
	}
	memmove(w->in, w->in + at, w->len - at);
	w->len -= at;
	return w->open && !was_open;
}

static size_t put_head(uint8_t *dst, size_t len)
{
	size_t head = len < 126 ? 2 : 4;

	if (len > UINT16_MAX)
		die("text too long");
	dst[0] = 0x81;
	dst[1] = (uint8_t)(0x80 | (len < 126 ? len : 126));
	if (head == 4) {
		dst[2] = (uint8_t)(len >> 8);
		dst[3] = (uint8_t)len;
	}
	memset(dst + head, 0, 4);
	return head + 4;
}

size_t ws_frame(uint8_t *dst, const char *text, size_t len)
{
	size_t head = put_head(dst, len);

	memcpy(dst + head, text, len);
	return head + len;
}

void ws_say(const struct ws *w, const char *text, size_t len)
{
	uint8_t head[WS_HEAD];

	if (send(w->fd, head, put_head(head, len), MSG_NOSIGNAL | MSG_MORE) < 0)
		die("send");
	ws_send(w, text, len);
}
