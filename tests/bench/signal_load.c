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
#include "bench/load/ws.h"

#include <errno.h>
#include <inttypes.h>
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
	struct ws ws;
	unsigned number; /* its room is number / 2; the even one talks */
};

static struct {
	unsigned port, rooms, bytes, window, seconds;
	int epoll_fd;
	struct peer *peers;
	uint8_t offer[TEXT_MAX + WS_HEAD]; /* a frame */
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

static bool says(const uint8_t *text, size_t len, const char *word)
{
	return memmem(text, len, word, strlen(word)) != NULL;
}

/* ---- joining, one after the other */

static bool welcomed;

static void on_welcome(struct ws *w, const uint8_t *text, size_t len)
{
	(void)w;
	welcomed = welcomed || says(text, len, "\"welcome\"");
}

static void join(struct peer *p)
{
	char text[96];
	int len =
		snprintf(text, sizeof text, "{\"type\":\"join\",\"room\":\"r%u\"}", p->number / 2);

	ws_say(&p->ws, text, (size_t)len);
	welcomed = false;
	while (!welcomed)
		(void)ws_read(&p->ws, 0, on_welcome);
}

static void open_peer(struct peer *p)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = p};

	p->ws.arg = p;
	ws_connect(&p->ws, load.port, "/signal", NULL, 16384);
	while (!ws_read(&p->ws, 0, on_welcome))
		continue;
	join(p);
	if (epoll_ctl(load.epoll_fd, EPOLL_CTL_ADD, p->ws.fd, &e) < 0)
		die("epoll_ctl");
}

/* ---- talking */

static void on_offer(struct ws *w, const uint8_t *text, size_t len)
{
	const struct peer *p = w->arg;

	if (!says(text, len < 256 ? len : 256, "\"offer\""))
		return;
	load.received++;
	ws_send(&load.peers[p->number - p->number % 2].ws, load.offer, load.offer_len);
}

static void pump_until(uint64_t end_ns)
{
	while (now_ns() < end_ns) {
		struct epoll_event ready[256];
		int n = epoll_wait(load.epoll_fd, ready, 256, 20);

		for (int i = 0; i < n; i++)
			(void)ws_read(&((struct peer *)ready[i].data.ptr)->ws, MSG_DONTWAIT,
				      on_offer);
	}
}

static void make_offer(void)
{
	char text[TEXT_MAX];
	int head = snprintf(text, sizeof text, "{\"type\":\"offer\",\"sdp\":\"");

	memset(text + head, 'x', load.bytes);
	memcpy(text + head + load.bytes, "\"}", 2);
	load.offer_len = ws_frame(load.offer, text, (size_t)head + load.bytes + 2);
}

static void talk(void)
{
	uint64_t start_ns, end_ns, before;

	make_offer();
	for (unsigned i = 0; i < 2 * load.rooms; i += 2)
		for (unsigned w = 0; w < load.window; w++)
			ws_send(&load.peers[i].ws, load.offer, load.offer_len);
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
