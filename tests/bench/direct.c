/*
 * tests/bench/direct.c: what datagrams cost their sender and receiver alone: 100 flows over a veth,
 * from one namespace to the other, and nobody in between.
 *
 *     direct FROM-PID LOCAL REMOTE BYTES SECONDS      addresses; FROM-PID names the sender's
 * namespace
 *
 * As turnload does it: one send() a packet, recvmmsg() where epoll says that there is something.
 * Prints microseconds of CPU (its own, which the kernel's on both ends is part of) per packet that
 * arrived. One packet is one crossing of the veth, where a relay makes it two.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

enum { FLOWS = 100, BATCH = 64, MAX_BYTES = 1472 };

static int senders[FLOWS], receivers[FLOWS];
static char payload[MAX_BYTES];

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static int bound(const char *address)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), room = 1 << 20;

	must(fd >= 0 && inet_pton(AF_INET, address, &a.sin_addr) == 1, "socket");
	must(bind(fd, (struct sockaddr *)&a, sizeof a) == 0, address);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room); /* less is as good */
	return fd;
}

static void enter(const char *pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof path, "/proc/%.20s/ns/net", pid);
	fd = open(path, O_RDONLY);
	must(fd >= 0 && setns(fd, CLONE_NEWNET) == 0, path);
	close(fd);
}

/* Sockets stay in the namespace that they were made in. */
static int make_flows(const char *pid, const char *local, const char *remote)
{
	int epoll = epoll_create1(0);
	struct sockaddr_in to;
	socklen_t len = sizeof to;

	for (int i = 0; i < FLOWS; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.fd = receivers[i] = bound(remote)};

		must(epoll_ctl(epoll, EPOLL_CTL_ADD, receivers[i], &e) == 0, "epoll");
	}
	enter(pid);
	for (int i = 0; i < FLOWS; i++) {
		must(getsockname(receivers[i], (struct sockaddr *)&to, &len) == 0, "getsockname");
		senders[i] = bound(local);
		must(connect(senders[i], (struct sockaddr *)&to, len) == 0, "connect");
	}
	return epoll;
}

static unsigned take(int fd)
{
	static char room[BATCH][MAX_BYTES + 4];
	struct mmsghdr m[BATCH] = {0};
	struct iovec v[BATCH];
	int n;

	for (int i = 0; i < BATCH; i++) {
		v[i] = (struct iovec){room[i], sizeof room[i]};
		m[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1};
	}
	n = recvmmsg(fd, m, BATCH, MSG_DONTWAIT, NULL);
	return n > 0 ? (unsigned)n : 0;
}

static unsigned take_all(int epoll)
{
	struct epoll_event e[BATCH];
	unsigned taken = 0;
	int n = epoll_wait(epoll, e, BATCH, 0);

	for (int i = 0; i < n; i++)
		taken += take(e[i].data.fd);
	return taken;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
	size_t len = argc == 6 ? strtoul(argv[4], NULL, 10) : 0;
	double begin, end;
	unsigned long taken = 0;
	int epoll;

	if (len == 0 || len > MAX_BYTES) {
		fprintf(stderr, "usage: direct FROM-PID LOCAL REMOTE BYTES SECONDS\n");
		return 2;
	}
	epoll = make_flows(argv[1], argv[2], argv[3]);
	begin = cpu_us();
	end = now_s() + strtod(argv[5], NULL);
	for (unsigned i = 0; now_s() < end; i++) {
		(void)send(senders[i % FLOWS], payload, len, 0); /* what is full loses it */
		if (i % 8 == 7)
			taken += take_all(epoll);
	}
	printf("%.3f\n", (cpu_us() - begin) / (double)(taken ? taken : 1));
	return 0;
}
