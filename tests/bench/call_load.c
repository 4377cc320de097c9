/*
 * call_load.c: the media of many telephones: each sends a packet every 20 ms and counts what comes.
 *
 *     call_load SECONDS PT:STEP:FILE... < lines of "OUR-PORT THEIR-IP THEIR-PORT KIND"
 *
 * FILE is what a kind of telephone says, again and again: payloads, each behind its length in two bytes;
 * STEP is what its RTP times grow by. At the end a line of JSON: packets sent, received, and missing
 * by the numbers of what was received.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PHONES = 4000, MAX_KINDS = 8, MAX_FRAMES = 600, SLICES = 10, FRAME_MS = 20 };

struct kind {
	unsigned pt, step, n;
	struct {
		uint16_t len;
		uint8_t data[400];
	} frames[MAX_FRAMES];
};

struct phone {
	int fd;
	struct sockaddr_in to;
	const struct kind *kind;
	uint16_t seq, expected;
	uint32_t ts;
	unsigned at;
	bool heard;
};

static struct kind kinds[MAX_KINDS];
static struct phone phones[MAX_PHONES];
static unsigned n_phones;
static uint64_t sent, received, missing;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void read_kind(struct kind *k, const char *spec)
{
	char name[256];
	uint8_t head[2];
	FILE *f;

	if (sscanf(spec, "%u:%u:%255s", &k->pt, &k->step, name) != 3 || !(f = fopen(name, "rb")))
		die(spec);
	while (k->n < MAX_FRAMES && fread(head, 1, 2, f) == 2) {
		unsigned len = (unsigned)head[0] << 8 | head[1];

		if (len > sizeof k->frames[0].data || fread(k->frames[k->n].data, 1, len, f) != len)
			die(name);
		k->frames[k->n++].len = (uint16_t)len;
	}
	fclose(f);
}

static void open_phone(unsigned port, const char *ip, unsigned to, unsigned kind)
{
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct phone *p = &phones[n_phones++];

	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	p->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&here, sizeof here) < 0)
		die("bind");
	p->to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)to)};
	if (inet_pton(AF_INET, ip, &p->to.sin_addr) != 1)
		die(ip);
	if (connect(p->fd, (struct sockaddr *)&p->to, sizeof p->to) < 0)
		die("connect");
	p->kind = &kinds[kind];
	p->seq = (uint16_t)(n_phones * 7);
	p->ts = n_phones * 1000;
	p->at = n_phones % p->kind->n;
}

static void say(struct phone *p)
{
	uint8_t packet[12 + 400] = {0x80, (uint8_t)p->kind->pt};
	uint32_t ssrc = htonl((uint32_t)(p - phones) + 1), ts = htonl(p->ts);
	uint16_t seq = htons(p->seq);
	unsigned len = p->kind->frames[p->at].len;

	memcpy(packet + 2, &seq, 2);
	memcpy(packet + 4, &ts, 4);
	memcpy(packet + 8, &ssrc, 4);
	memcpy(packet + 12, p->kind->frames[p->at].data, len);
	if (len > 0 && send(p->fd, packet, 12 + len, 0) > 0)
		sent++;
	p->seq++;
	p->ts += p->kind->step;
	p->at = (p->at + 1) % p->kind->n;
}

/* One packet; what else waits is told of again. */
static void hear(struct phone *p)
{
	uint8_t data[2048];
	ssize_t n = recv(p->fd, data, sizeof data, 0);
	uint16_t seq = (uint16_t)(data[2] << 8 | data[3]);

	if (n < 12 || (data[1] >= 192 && data[1] <= 223)) /* nothing, or a report */
		return;
	received++;
	if (p->heard && (uint16_t)(seq - p->expected) < 1000)
		missing += (uint16_t)(seq - p->expected);
	p->heard = true;
	p->expected = (uint16_t)(seq + 1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* It sleeps, then reads all that has come: who wakes for each packet takes the CPU from the one that is measured. */
static void listen_until(int ep, uint64_t end_ns)
{
	const struct timespec end = {.tv_sec = (time_t)(end_ns / 1000000000u), .tv_nsec = (long)(end_ns % 1000000000u)};
	struct epoll_event events[256];
	int n;

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR)
		;
	while ((n = epoll_wait(ep, events, 256, 0)) > 0)
		for (int i = 0; i < n; i++)
			hear(events[i].data.ptr);
}

static int watch_all(void)
{
	int ep = epoll_create1(0);

	for (unsigned i = 0; i < n_phones; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = &phones[i]};

		if (epoll_ctl(ep, EPOLL_CTL_ADD, phones[i].fd, &e) < 0)
			die("epoll");
	}
	return ep;
}

int main(int argc, char **argv)
{
	unsigned port, to, kind;
	uint64_t at, end;
	char ip[64];
	int ep;

	for (int i = 2; i < argc && i < 2 + MAX_KINDS; i++)
		read_kind(&kinds[i - 2], argv[i]);
	while (n_phones < MAX_PHONES && scanf("%u %63s %u %u", &port, ip, &to, &kind) == 4)
		open_phone(port, ip, to, kind % MAX_KINDS);
	ep = watch_all();
	at = now_ns();
	end = at + (uint64_t)(atof(argv[1]) * 1e9);
	for (unsigned slice = 0; at < end; slice = (slice + 1) % SLICES) {
		for (unsigned i = slice; i < n_phones; i += SLICES)
			say(&phones[i]);
		at += FRAME_MS * 1000000u / SLICES;
		listen_until(ep, at);
	}
	listen_until(ep, now_ns() + 100000000u);
	printf("{\"sent\": %llu, \"received\": %llu, \"missing\": %llu}\n", (unsigned long long)sent, (unsigned long long)received,
	       (unsigned long long)missing);
	return 0;
}
