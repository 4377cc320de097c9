/*
 * http/socket.c: TCP options and counters. A file of its own because the kernel's <linux/tcp.h>,
 * which alone has the counter, and the C library's <netinet/tcp.h>, which libwebsockets includes,
 * define the same names.
 */
#include "socket.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

void socket_set_nodelay(int fd)
{
	int on = 1;

	/* Without it messages come late, but they come. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int bytes_received(int fd, uint64_t *ret_bytes)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof info;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return -1;
	*ret_bytes = info.tcpi_bytes_received;
	return 0;
}

/* Asked again until nothing arrives between the two questions. */
uint64_t socket_bytes_read(int fd)
{
	uint64_t before, after;
	int waiting = 0;

	do {
		if (bytes_received(fd, &before) < 0 || ioctl(fd, FIONREAD, &waiting) < 0 ||
		    bytes_received(fd, &after) < 0)
			return 0;
	} while (before != after);
	return after - (uint64_t)waiting;
}
