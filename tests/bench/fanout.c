/*
 * tests/bench/fanout.c: what one packet costs that goes to many: sealed with each one's key and
 * sent to each one's socket, in a saturated loop without anything around it. The least that
 * forwarding can cost on this machine.
 *
 *     fanout LIBRARY BURST RECEIVERS SOCKETS BYTES SECONDS CPU
 *
 * LIBRARY is libcrypto or libipsec-mb, BURST how many packets of a receiver leave as one segmented
 * message (1: singly), SOCKETS how many sockets the receivers share, BYTES an RTP packet with its
 * header and without its tag, CPU where another process empties the sockets. Prints microseconds of
 * this process' CPU per packet; nothing where the library is not there.
 */
#include <arpa/inet.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <sluice/buf.h>
#include "proto/gcm.h"

enum { MAX_RECEIVERS = 1024, MAX_BURST = 16, ROOM = 1600, HEADER = 12, WARM_ROUNDS = 50 };

struct receiver {
	struct gcm *key;
	struct sockaddr_in to;
	uint32_t ssrc;
	uint16_t seq;
	uint8_t salt[GCM_IV];
	struct iovec packets[MAX_BURST];
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))];
};

static struct receiver receivers[MAX_RECEIVERS];
static struct mmsghdr messages[MAX_RECEIVERS];
static uint8_t sealed[MAX_RECEIVERS][MAX_BURST][ROOM], plain[MAX_BURST][ROOM];
static int sinks[MAX_RECEIVERS];

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static unsigned number(const char *text, unsigned min, unsigned max)
{
	unsigned long n = strtoul(text, NULL, 10);

	if (n >= min && n <= max)
		return (unsigned)n;
	fprintf(stderr, "fanout: %s is not from %u to %u\n", text, min, max);
	exit(2);
}

static void pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof set, &set); /* a machine with one CPU does without */
}

static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* More than everybody may have, where we are let. */
static void make_room(int fd, int force, int option)
{
	const int room = 64 << 20;

	if (setsockopt(fd, SOL_SOCKET, force, &room, sizeof room) < 0)
		(void)setsockopt(fd, SOL_SOCKET, option, &room, sizeof room);
}

/* ---- receivers */

static void open_sink(unsigned i, struct sockaddr_in *ret_address)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof a;

	sinks[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(sinks[i] >= 0 && bind(sinks[i], (struct sockaddr *)&a, len) == 0 &&
		     getsockname(sinks[i], (struct sockaddr *)&a, &len) == 0,
	     "socket");
	make_room(sinks[i], SO_RCVBUFFORCE, SO_RCVBUF);
	*ret_address = a;
}

static void open_receivers(const struct gcm_ops *library, unsigned n, unsigned n_sinks)
{
	for (unsigned i = 0; i < n; i++) {
		struct receiver *r = &receivers[i];
		uint8_t key[16] = {(uint8_t)i, (uint8_t)(i >> 8)};

		must(gcm_new_by(library, &r->key, key, sizeof key) == 0, "key");
		r->ssrc = 1000 + i;
		if (i < n_sinks)
			open_sink(i, &r->to);
		else
			r->to = receivers[i % n_sinks].to;
	}
}

/* In turn, so that no send wakes anybody. Ends with its parent. */
static void empty_sinks(unsigned n, unsigned cpu)
{
	static uint8_t bytes[64];
	struct iovec v = {bytes, 1};
	struct mmsghdr m[64] = {0};

	pin(cpu);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned i = 0; i < 64; i++)
		m[i].msg_hdr = (struct msghdr){.msg_iov = &v, .msg_iovlen = 1};
	for (;;)
		for (unsigned i = 0; i < n; i++)
			(void)recvmmsg(sinks[i], m, 64, MSG_DONTWAIT | MSG_TRUNC, NULL);
}

/* ---- packets */

static size_t seal(struct receiver *r, const uint8_t *from, uint8_t *to, size_t len)
{
	uint8_t iv[GCM_IV] = {0};

	memcpy(to, from, HEADER);
	sl_put16(to + 2, ++r->seq);
	sl_put32(to + 8, r->ssrc);
	memcpy(iv + 2, to + 8, 4);
	memcpy(iv + 10, to + 2, 2);
	for (unsigned i = 0; i < GCM_IV; i++)
		iv[i] ^= r->salt[i];
	gcm_seal(r->key, &(struct gcm_job){.iv = iv,
					   .aad = {(const char *)to, HEADER},
					   .plain = {(const char *)from + HEADER, len - HEADER},
					   .dst = to + HEADER,
					   .tag = to + len});
	return len + GCM_TAG;
}

static void make_message(unsigned i, unsigned burst, size_t len)
{
	struct receiver *r = &receivers[i];
	struct msghdr *h = &messages[i].msg_hdr;
	uint16_t segment;

	for (unsigned b = 0; b < burst; b++)
		r->packets[b] = (struct iovec){sealed[i][b], seal(r, plain[b], sealed[i][b], len)};
	*h = (struct msghdr){.msg_name = &r->to,
			     .msg_namelen = sizeof r->to,
			     .msg_iov = r->packets,
			     .msg_iovlen = burst};
	if (burst == 1)
		return;
	h->msg_control = r->control;
	h->msg_controllen = sizeof r->control;
	segment = (uint16_t)(len + GCM_TAG);
	*CMSG_FIRSTHDR(h) = (struct cmsghdr){
		.cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(2)};
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(h)), &segment, sizeof segment);
}

static void send_round(int fd, unsigned n, unsigned burst, size_t len)
{
	for (unsigned i = 0; i < n; i++)
		make_message(i, burst, len);
	for (unsigned done = 0; done < n;) {
		int sent = sendmmsg(fd, messages + done, n - done, 0);

		must(sent > 0, "sendmmsg");
		done += (unsigned)sent;
	}
}

static double measure(unsigned n, unsigned burst, size_t len, double seconds)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	double begin = 0, now = 0;
	unsigned rounds = 0;

	must(fd >= 0, "socket");
	make_room(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	for (; rounds <= WARM_ROUNDS || now - begin < seconds * 1e6; rounds++) {
		if (rounds == WARM_ROUNDS)
			begin = cpu_us();
		send_round(fd, n, burst, len);
		now = cpu_us();
	}
	close(fd);
	return (now - begin) / ((double)(rounds - WARM_ROUNDS) * n * burst);
}

static const struct gcm_ops *library(const char *name)
{
	if (strcmp(name, "libcrypto") == 0)
		return gcm_evp();
	return strcmp(name, "libipsec-mb") == 0 ? gcm_mb() : NULL;
}

int main(int argc, char **argv)
{
	const struct gcm_ops *ops = argc == 8 ? library(argv[1]) : NULL;
	unsigned burst, n, n_sinks, len;
	pid_t child;

	if (argc != 8) {
		fputs("usage: fanout LIBRARY BURST RECEIVERS SOCKETS BYTES SECONDS CPU\n", stderr);
		return 2;
	}
	if (!ops)
		return 0;
	burst = number(argv[2], 1, MAX_BURST);
	n = number(argv[3], 1, MAX_RECEIVERS);
	n_sinks = number(argv[4], 1, n);
	len = number(argv[5], HEADER + 1, ROOM - GCM_TAG);
	open_receivers(ops, n, n_sinks);
	child = fork();
	must(child >= 0, "fork");
	if (child == 0)
		empty_sinks(n_sinks, number(argv[7], 0, CPU_SETSIZE - 1));
	printf("%.3f\n", measure(n, burst, len, strtod(argv[6], NULL)));
	kill(child, SIGKILL);
	return 0;
}
