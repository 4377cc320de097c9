/*
 * bench/signal_load.c: WebSocket signalling load: rooms of two, one talks, the other listens.
 *
 * Speaks what any signalling server understands: {"type":"join","room":…}, answered by a "welcome",
 * then offers, which come out at the other peer of the room. A closed loop: each offer that arrives
 * lets the room's talker send the next. It knows nothing of the server's process: it prints "ready"
 * when all have joined, "start" and "end" around the measured time, and what it counted; whoever
 * runs it reads CPU and memory at these moments.
 *
 *     signal_load PORT ROOMS BYTES WINDOW SECONDS     SECONDS 0: joins, then idles until stdin ends
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX 4096
#define WARMUP_NS UINT64_C(500000000)

struct peer {
	int fd;
	unsigned number; /* its room is number / 2; the even one talks */
	size_t len;
	uint8_t in[16384]; /* not yet a whole frame */
};

static struct {
	unsigned port, rooms, bytes, window, seconds;
	int epoll_fd;
	struct peer *peers;
	uint8_t offer[TEXT_MAX + 8]; /* a frame */
	size_t offer_len;
	uint64_t received;
} load;

static void die(const char *what)
{
	fprintf(stderr, "signal_load: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- frames (RFC 6455 section 5.2); masked with zeros, which is masked and costs nothing here */

static size_t frame(uint8_t *dst, const char *text, size_t len)
{
	size_t head = len < 126 ? 2 : 4;

	dst[0] = 0x81;
	dst[1] = (uint8_t)(0x80 | (len < 126 ? len : 126));
	if (head == 4) {
		dst[2] = (uint8_t)(len >> 8);
		dst[3] = (uint8_t)len;
	}
	memset(dst + head, 0, 4);
	memcpy(dst + head + 4, text, len);
	return head + 4 + len;
}

/* Length of the whole frame at p, 0: not all of it is there. A server's frames are not masked. */
static size_t frame_at(const uint8_t *p, size_t len, size_t *ret_head)
{
	size_t head = 2, body;

	if (len < head)
		return 0;
	body = p[1] & 127;
	if (body == 127)
		die("frame too long");
	if (body == 126) {
		head = 4;
		if (len < head)
			return 0;
		body = (size_t)p[2] << 8 | p[3];
	}
	*ret_head = head;
	return head + body <= len ? head + body : 0;
}

static bool says(const uint8_t *text, size_t len, const char *word)
{
	return memmem(text, len, word, strlen(word)) != NULL;
}

static void send_all(const struct peer *p, const void *data, size_t len)
{
	if (send(p->fd, data, len, MSG_NOSIGNAL) != (ssize_t)len)
		die("send");
}

/* Reads once; calls on_text for each text frame. */
static void read_frames(struct peer *p, int flags,
			void (*on_text)(struct peer *p, const uint8_t *text, size_t len))
{
	ssize_t got = recv(p->fd, p->in + p->len, sizeof p->in - p->len, flags);
	size_t at = 0, head, n;

	if (got == 0)
		die("closed by the server");
	if (got < 0)
		return;
	p->len += (size_t)got;
	while ((n = frame_at(p->in + at, p->len - at, &head)) > 0) {
		if ((p->in[at] & 15) == 1)
			on_text(p, p->in + at + head, n - head);
		at += n;
	}
	memmove(p->in, p->in + at, p->len - at);
	p->len -= at;
}

/* ---- joining, one after the other */

static void upgrade(struct peer *p)
{
	static const char request[] =
		"GET /signal HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		"Sec-WebSocket-Version: 13\r\n\r\n";
	char answer[1024];
	size_t len = 0;

	send_all(p, request, sizeof request - 1);
	do {
		ssize_t got = recv(p->fd, answer + len, sizeof answer - 1 - len, 0);

		if (got <= 0)
			die("upgrade");
		len += (size_t)got;
		answer[len] = '\0';
	} while (!strstr(answer, "\r\n\r\n"));
	if (strncmp(answer, "HTTP/1.1 101", 12) != 0)
		die("no upgrade");
}

static bool welcomed;

static void on_welcome(struct peer *p, const uint8_t *text, size_t len)
{
	(void)p;
	welcomed = welcomed || says(text, len, "\"welcome\"");
}

static void join(struct peer *p)
{
	uint8_t out[128];
	char text[96];
	int len =
		snprintf(text, sizeof text, "{\"type\":\"join\",\"room\":\"r%u\"}", p->number / 2);

	send_all(p, out, frame(out, text, (size_t)len));
	welcomed = false;
	while (!welcomed)
		read_frames(p, 0, on_welcome);
}

static void open_peer(struct peer *p)
{
	const struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)load.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = p};
	int on = 1;

	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->fd < 0 || connect(p->fd, (const struct sockaddr *)&to, sizeof to) < 0)
		die("connect");
	(void)setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* slower without */
	upgrade(p);
	join(p);
	if (epoll_ctl(load.epoll_fd, EPOLL_CTL_ADD, p->fd, &e) < 0)
		die("epoll_ctl");
}

/* ---- talking */

static void on_offer(struct peer *p, const uint8_t *text, size_t len)
{
	if (!says(text, len < 256 ? len : 256, "\"offer\""))
		return;
	load.received++;
	send_all(&load.peers[p->number - p->number % 2], load.offer, load.offer_len);
}

static void pump_until(uint64_t end_ns)
{
	while (now_ns() < end_ns) {
		struct epoll_event ready[256];
		int n = epoll_wait(load.epoll_fd, ready, 256, 20);

		for (int i = 0; i < n; i++)
			read_frames(ready[i].data.ptr, MSG_DONTWAIT, on_offer);
	}
}

static void make_offer(void)
{
	char text[TEXT_MAX];
	int head = snprintf(text, sizeof text, "{\"type\":\"offer\",\"sdp\":\"");

	memset(text + head, 'x', load.bytes);
	memcpy(text + head + load.bytes, "\"}", 2);
	load.offer_len = frame(load.offer, text, (size_t)head + load.bytes + 2);
}

static void talk(void)
{
	uint64_t start_ns, end_ns, before;

	make_offer();
	for (unsigned i = 0; i < 2 * load.rooms; i += 2)
		for (unsigned w = 0; w < load.window; w++)
			send_all(&load.peers[i], load.offer, load.offer_len);
	pump_until(now_ns() + WARMUP_NS);
	before = load.received;
	puts("start");
	start_ns = now_ns();
	pump_until(start_ns + load.seconds * UINT64_C(1000000000));
	end_ns = now_ns();
	puts("end");
	printf("{\"messages\":%" PRIu64 ",\"seconds\":%.3f}\n", load.received - before,
	       (double)(end_ns - start_ns) / 1e9);
}

/* Says nothing and reads nothing: what a joined peer is told while nothing happens fits a buffer.
 */
static void idle(void)
{
	char c;

	while (read(STDIN_FILENO, &c, 1) > 0)
		continue;
}

static unsigned number(const char *text, unsigned min, unsigned max)
{
	unsigned long n = strtoul(text, NULL, 10);

	errno = EINVAL;
	if (n < min || n > max)
		die(text);
	return (unsigned)n;
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fputs("usage: signal_load PORT ROOMS BYTES WINDOW SECONDS\n", stderr);
		return 2;
	}
	load.port = number(argv[1], 1, 65535);
	load.rooms = number(argv[2], 1, 100000);
	load.bytes = number(argv[3], 0, TEXT_MAX - 64);
	load.window = number(argv[4], 1, 1000);
	load.seconds = number(argv[5], 0, 3600);
	setvbuf(stdout, NULL, _IOLBF, 0);
	load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	load.peers = calloc(2 * (size_t)load.rooms, sizeof *load.peers);
	if (load.epoll_fd < 0 || !load.peers)
		die("start");
	for (unsigned i = 0; i < 2 * load.rooms; i++) {
		load.peers[i].number = i;
		open_peer(&load.peers[i]);
	}
	puts("ready");
	if (load.seconds > 0)
		talk();
	else
		idle();
	return 0;
}
