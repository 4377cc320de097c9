/*
 * os/sock.c: sockets, made with their options before they are bound, so that no packet arrives that
 * misses them.
 *
 * Internet sockets and listeners are non-blocking; what a command-line tool connects with blocks.
 * An IPv6 socket that is not v6only serves IPv4 too and is therefore told the IPv4 options as well.
 */
#include "os/os.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define DEFER_ACCEPT_S 5 /* a client silent for longer is handed over all the same */

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -SL_ESYS : 0;
}

/* An option with a form for each protocol. */
struct ip_option {
	bool wanted;
	int v4_name, v4_value;
	int v6_name, v6_value;
};

static int set_ip_options(int fd, bool v6, bool v6only, const struct ip_option *opts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct ip_option *o = &opts[i];

		if (!o->wanted)
			continue;
		if (v6 && set_int(fd, IPPROTO_IPV6, o->v6_name, o->v6_value) < 0)
			return -SL_ESYS;
		if (!v6only && set_int(fd, IPPROTO_IP, o->v4_name, o->v4_value) < 0)
			return -SL_ESYS;
	}
	return 0;
}

static int set_ip(int fd, const struct sl_addr *bind_to, const struct sock_opts *o)
{
	const struct ip_option opts[] = {
		{o->pktinfo, IP_PKTINFO, 1, IPV6_RECVPKTINFO, 1},
		{o->recv_tos, IP_RECVTOS, 1, IPV6_RECVTCLASS, 1},
		{o->recv_err, IP_RECVERR, 1, IPV6_RECVERR, 1},
		{o->freebind, IP_FREEBIND, 1, IPV6_FREEBIND, 1},
		{o->dont_fragment, IP_MTU_DISCOVER, IP_PMTUDISC_DO, IPV6_MTU_DISCOVER,
		 IPV6_PMTUDISC_DO},
		{o->tos > 0, IP_TOS, o->tos, IPV6_TCLASS, o->tos},
	};
	bool v6 = bind_to->family == 6, v6only = v6 && o->v6only;

	if (v6 && set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6only) < 0)
		return -SL_ESYS;
	return set_ip_options(fd, v6, v6only, opts, SL_ARRAY_LEN(opts));
}

/*
 * Past net.core.[rw]mem_max when privileged; else as much as the system grants, which is no error.
 * /
 */
static int set_buffer(int fd, int force_name, int name, int bytes)
{
	if (bytes <= 0 || set_int(fd, SOL_SOCKET, force_name, bytes) == 0)
		return 0;
	return set_int(fd, SOL_SOCKET, name, bytes);
}

/* What datagram and stream sockets have in common. */
static int set_common(int fd, const struct sl_addr *bind_to, const struct sock_opts *o)
{
	if (o->reuseport && set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
		return -SL_ESYS;
	if (set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, o->rcvbuf) < 0 ||
	    set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, o->sndbuf) < 0)
		return -SL_ESYS;
	return set_ip(fd, bind_to, o);
}

static int open_inet(const struct sl_addr *bind_to, int type)
{
	int family = bind_to->family == 6 ? AF_INET6 : AF_INET;

	return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int bind_inet(int fd, const struct sl_addr *bind_to)
{
	struct sockaddr_storage sa;
	unsigned len = sl_addr_to_sockaddr(&sa, bind_to);

	return bind(fd, (struct sockaddr *)&sa, len) < 0 ? -SL_ESYS : 0;
}

int sock_udp(const struct sl_addr *bind_to, const struct sock_opts *o, int *ret_fd)
{
	FD_AUTO int fd = -1;

	if (bind_to->family == 0)
		return -SL_EINVAL;
	fd = open_inet(bind_to, SOCK_DGRAM);
	if (fd < 0 || set_common(fd, bind_to, o) < 0)
		return -SL_ESYS;
	if (o->gro)
		(void)set_int(fd, IPPROTO_UDP, UDP_GRO,
			      1); /* an older kernel hands out single packets */
	if (bind_inet(fd, bind_to) < 0)
		return -SL_ESYS;
	*ret_fd = fd_steal(&fd);
	return 0;
}

int sock_tcp_listen(const struct sl_addr *bind_to, const struct sock_opts *o, int *ret_fd)
{
	FD_AUTO int fd = -1;

	if (bind_to->family == 0)
		return -SL_EINVAL;
	fd = open_inet(bind_to, SOCK_STREAM);
	/*
	 * TCP_NODELAY is inherited by what is accepted: real-time messages do not wait for company.
	 * /
	 */
	if (fd < 0 || set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
	    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0 || set_common(fd, bind_to, o) < 0)
		return -SL_ESYS;
	if (o->defer_accept && set_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, DEFER_ACCEPT_S) < 0)
		return -SL_ESYS;
	if (bind_inet(fd, bind_to) < 0 || listen(fd, o->backlog > 0 ? o->backlog : SOMAXCONN) < 0)
		return -SL_ESYS;
	*ret_fd = fd_steal(&fd);
	return 0;
}

/* The path and its NUL: 108 bytes on Linux. */
static int unix_addr(struct sockaddr_un *ret_un, const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	if (sl_str_copy(un.sun_path, sizeof un.sun_path, sl_str_c(path)) >= sizeof un.sun_path)
		return -SL_ELIMIT;
	*ret_un = un;
	return 0;
}

static int connect_unix(const char *path, int type, int *ret_fd)
{
	FD_AUTO int fd = -1;
	struct sockaddr_un un;

	if (unix_addr(&un, path) < 0)
		return -SL_ELIMIT;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof un) < 0)
		return -SL_ESYS;
	*ret_fd = fd_steal(&fd);
	return 0;
}

/*
 * A socket file that nobody listens on is left over from a crash and goes; one in use stays, and
 * bind fails. Asked without blocking, for a listener with a full queue would keep us waiting.
 */
static void remove_stale(const char *path)
{
	FD_AUTO int fd = -1;
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    connect_unix(path, SOCK_STREAM | SOCK_NONBLOCK, &fd) < 0 && errno == ECONNREFUSED)
		(void)unlink(path); /* bind tells when this failed */
}

int sock_unix_listen(const char *path, mode_t mode, int *ret_fd)
{
	FD_AUTO int fd = -1;
	struct sockaddr_un un;

	if (unix_addr(&un, path) < 0)
		return -SL_ELIMIT;
	remove_stale(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/*
	 * The mode of the unbound socket bounds that of the file, so that it is never open wider
	 * than asked.
	 */
	if (fd < 0 || fchmod(fd, mode) < 0 || bind(fd, (struct sockaddr *)&un, sizeof un) < 0)
		return -SL_ESYS;
	if (chmod(path, mode) < 0 || listen(fd, SOMAXCONN) < 0)
		return -SL_ESYS;
	*ret_fd = fd_steal(&fd);
	return 0;
}

int sock_unix_connect(const char *path, int *ret_fd)
{
	return connect_unix(path, SOCK_STREAM, ret_fd);
}

/* Bound to nothing but the family, a socket gets a free abstract name: NUL and five digits. */
int sock_unix_place(int *ret_fd, char ret_name[15], size_t *ret_len)
{
	FD_AUTO int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	socklen_t len = sizeof un;

	if (fd < 0 || bind(fd, (struct sockaddr *)&un, sizeof un.sun_family) < 0 ||
	    getsockname(fd, (struct sockaddr *)&un, &len) < 0)
		return -SL_ESYS;
	len -= (socklen_t)offsetof(struct sockaddr_un, sun_path);
	if (len > 15)
		return -SL_ELIMIT;
	memcpy(ret_name, un.sun_path, len);
	*ret_len = len;
	*ret_fd = fd_steal(&fd);
	return 0;
}

int sock_unix_to_place(const char *name, size_t len, int *ret_fd)
{
	FD_AUTO int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	if (len > sizeof un.sun_path)
		return -SL_ELIMIT;
	memcpy(un.sun_path, name, len);
	len += offsetof(struct sockaddr_un, sun_path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&un, (socklen_t)len) < 0)
		return -SL_ESYS;
	*ret_fd = fd_steal(&fd);
	return 0;
}

int sock_local(int fd, struct sl_addr *ret_addr)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return -SL_ESYS;
	return sl_addr_from_sockaddr(ret_addr, (struct sockaddr *)&sa);
}

int sock_peer(int fd, struct sl_addr *ret_addr)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;

	if (getpeername(fd, (struct sockaddr *)&sa, &len) < 0)
		return -SL_ESYS;
	return sl_addr_from_sockaddr(ret_addr, (struct sockaddr *)&sa);
}

int sock_pair_seqpacket(int ret_fds[2])
{
	int type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;

	return socketpair(AF_UNIX, type, 0, ret_fds) < 0 ? -SL_ESYS : 0;
}

/* An interface has one entry for each of its addresses. */
int sock_host_addrs(struct sl_addr *ret_addrs, unsigned max, unsigned *ret_n)
{
	struct ifaddrs *all;
	unsigned n = 0;

	if (getifaddrs(&all) < 0)
		return -SL_ESYS;
	for (const struct ifaddrs *i = all; i && n < max; i = i->ifa_next) {
		if (!i->ifa_addr || (i->ifa_flags & IFF_UP) == 0)
			continue;
		/* Link-layer entries are of another family and stay out. */
		if (sl_addr_from_sockaddr(&ret_addrs[n], i->ifa_addr) == 0)
			n++;
	}
	freeifaddrs(all);
	*ret_n = n;
	return 0;
}

int sock_eventfd(int *ret_fd)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return -SL_ESYS;
	*ret_fd = fd;
	return 0;
}

/* EAGAIN: the counter is full, so it is readable, which is all that was wanted. */
void sock_eventfd_signal(int fd)
{
	const uint64_t one = 1;

	(void)!write(fd, &one, sizeof one);
}

/* EAGAIN: it was clear. */
void sock_eventfd_clear(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof count);
}
