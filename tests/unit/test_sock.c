/*
 * test_sock.c: sockets with their options, on the loopback.
 */
#include "../lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/os.h"

static struct sl_addr addr(const char *text)
{
	struct sl_addr a = {.family = 0};

	if (sl_addr_parse(&a, sl_str_c(text)) < 0)
		abort();
	return a;
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	return getsockopt(fd, level, name, &value, &len) < 0 ? -1 : value;
}

static bool readable(int fd)
{
	return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 30000) == 1;
}

TEST(udp_sockets_are_bound_nonblocking_and_close_on_exec)
{
	struct sl_addr want = addr("127.0.0.1"), local;
	FD_AUTO int fd = -1;

	CHECK_INT(sock_udp(&want, &(struct sock_opts){0}, &fd), 0);
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CHECK_INT(sock_local(fd, &local), 0);
	CHECK(sl_addr_same_ip(&local, &want) && local.port != 0);
	CHECK_INT(sock_peer(fd, &local), -SL_ESYS);
}

TEST(udp_options_are_set_for_ipv4)
{
	struct sock_opts o = {
		.reuseport = true,
		.pktinfo = true,
		.recv_tos = true,
		.recv_err = true,
		.freebind = true,
		.dont_fragment = true,
		.gro = true,
		.rcvbuf = 100000,
		.sndbuf = 100000,
	};
	struct sl_addr a = addr("192.0.2.77:40404"); /* not ours: freebind */
	FD_AUTO int fd = -1;

	CHECK_INT(sock_udp(&a, &o, &fd), 0);
	CHECK_INT(option(fd, SOL_SOCKET, SO_REUSEPORT), 1);
	CHECK_INT(option(fd, IPPROTO_IP, IP_PKTINFO), 1);
	CHECK_INT(option(fd, IPPROTO_IP, IP_RECVTOS), 1);
	CHECK_INT(option(fd, IPPROTO_IP, IP_RECVERR), 1);
	CHECK_INT(option(fd, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_DO);
	CHECK(option(fd, SOL_SOCKET, SO_RCVBUF) >= 200000);
	CHECK(option(fd, SOL_SOCKET, SO_SNDBUF) >= 200000);
}

TEST(udp_options_are_set_for_ipv6_and_ipv4_within)
{
	struct sock_opts o = {
		.pktinfo = true, .recv_tos = true, .recv_err = true, .dont_fragment = true};
	struct sl_addr a = addr("::");
	int fd = -1;

	CHECK_INT(sock_udp(&a, &o, &fd), 0);
	CHECK_INT(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 0);
	CHECK_INT(option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO), 1);
	CHECK_INT(option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS), 1);
	CHECK_INT(option(fd, IPPROTO_IPV6, IPV6_RECVERR), 1);
	CHECK_INT(option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER), IPV6_PMTUDISC_DO);
	CHECK_INT(option(fd, IPPROTO_IP, IP_RECVTOS), 1);
	fd_close(&fd);
	o.v6only = true;
	CHECK_INT(sock_udp(&a, &o, &fd), 0);
	CHECK_INT(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	fd_close(&fd);
}

TEST(one_port_serves_both_families_apart)
{
	struct sl_addr v4 = addr("0.0.0.0"), v6 = addr("::"), local;
	FD_AUTO int a = -1, b = -1;

	CHECK_INT(sock_udp(&v4, &(struct sock_opts){0}, &a), 0);
	CHECK_INT(sock_local(a, &local), 0);
	v6.port = local.port;
	CHECK_INT(sock_udp(&v6, &(struct sock_opts){.v6only = true}, &b), 0);
}

TEST(datagrams_pass_and_name_their_sender)
{
	struct sl_addr any = addr("127.0.0.1"), to, from, sender;
	struct sockaddr_storage sa;
	FD_AUTO int a = -1, b = -1;
	socklen_t len = sizeof sa;
	char data[8];

	CHECK_INT(sock_udp(&any, &(struct sock_opts){0}, &a), 0);
	CHECK_INT(sock_udp(&any, &(struct sock_opts){0}, &b), 0);
	CHECK_INT(sock_local(b, &to) | sock_local(a, &from), 0);
	len = sl_addr_to_sockaddr(&sa, &to);
	CHECK(sendto(a, "ping", 4, 0, (struct sockaddr *)&sa, len) == 4);
	CHECK(readable(b));
	len = sizeof sa;
	CHECK(recvfrom(b, data, sizeof data, 0, (struct sockaddr *)&sa, &len) == 4);
	CHECK_INT(sl_addr_from_sockaddr(&sender, (struct sockaddr *)&sa), 0);
	CHECK(sl_addr_eq(&sender, &from));
}

TEST(a_port_in_use_is_refused_unless_shared)
{
	struct sl_addr a = addr("127.0.0.1");
	struct sock_opts shared = {.reuseport = true};
	FD_AUTO int first = -1, second = -1;
	int n;

	CHECK_INT(sock_udp(&a, &shared, &first), 0);
	CHECK_INT(sock_local(first, &a), 0);
	n = fd_count();
	CHECK_INT(sock_udp(&a, &(struct sock_opts){0}, &second), -SL_ESYS);
	CHECK_INT(errno, EADDRINUSE);
	CHECK_INT(fd_count(), n);
	CHECK_INT(second, -1);
	CHECK_INT(sock_udp(&a, &shared, &second), 0);
}

TEST(tcp_listeners_accept)
{
	static const char *const texts[] = {"127.0.0.1", "::1"};

	for (size_t i = 0; i < SL_ARRAY_LEN(texts); i++) {
		struct sl_addr a = addr(texts[i]), peer, local;
		FD_AUTO int listener = -1, client = -1, conn = -1;
		struct sockaddr_storage sa;
		unsigned len;

		CHECK_INT(sock_tcp_listen(&a, &(struct sock_opts){.backlog = 8}, &listener), 0);
		CHECK_INT(sock_local(listener, &a), 0);
		len = sl_addr_to_sockaddr(&sa, &a);
		client = socket(a.family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
		CHECK_INT(connect(client, (struct sockaddr *)&sa, len), 0);
		CHECK(readable(listener));
		conn = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		CHECK(conn >= 0);
		CHECK_INT(option(conn, IPPROTO_TCP, TCP_NODELAY), 1);
		CHECK_INT(sock_peer(conn, &peer) | sock_local(client, &local), 0);
		CHECK(sl_addr_eq(&peer, &local));
	}
}

TEST(tcp_options_are_set)
{
	struct sock_opts o = {.defer_accept = true, .reuseport = true, .rcvbuf = 50000};
	struct sl_addr a = addr("127.0.0.1");
	FD_AUTO int fd = -1;

	CHECK_INT(sock_tcp_listen(&a, &o, &fd), 0);
	CHECK(option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0);
	CHECK_INT(option(fd, SOL_SOCKET, SO_REUSEADDR), 1);
	CHECK_INT(option(fd, SOL_SOCKET, SO_REUSEPORT), 1);
}

TEST(unset_addresses_are_refused)
{
	struct sl_addr unset = {.family = 0};
	int fd = -7;

	CHECK_INT(sock_udp(&unset, &(struct sock_opts){0}, &fd), -SL_EINVAL);
	CHECK_INT(sock_tcp_listen(&unset, &(struct sock_opts){0}, &fd), -SL_EINVAL);
	CHECK_INT(fd, -7);
}

TEST(a_unix_listener_has_its_mode_and_replaces_a_dead_one_only)
{
	char dir[] = "/tmp/test_sock.XXXXXX", path[64];
	int fd = -1, second = -1, client = -1, conn;
	struct stat st;

	CHECK(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/control", dir);
	CHECK_INT(sock_unix_listen(path, 0660, &fd), 0);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0660);
	CHECK_INT(sock_unix_connect(path, &client), 0);
	conn = accept4(fd, NULL, NULL, 0);
	CHECK(conn >= 0);
	CHECK_INT(fd_write_all(client, "x", 1), 0);
	CHECK(readable(conn));
	fd_close(&client);
	fd_close(&conn);
	CHECK_INT(sock_unix_listen(path, 0600, &second), -SL_ESYS);
	CHECK_INT(errno, EADDRINUSE);
	fd_close(&fd);
	CHECK_INT(sock_unix_connect(path, &client), -SL_ESYS);
	CHECK_INT(sock_unix_listen(path, 0600, &second), 0);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
	fd_close(&second);
	CHECK_INT(unlink(path) | rmdir(dir), 0);
}

TEST(a_file_that_is_no_socket_is_never_removed)
{
	char path[] = "/tmp/test_sock.XXXXXX";
	FD_AUTO int fd = mkstemp(path);
	int listener = -1;

	CHECK(fd >= 0);
	CHECK_INT(sock_unix_listen(path, 0600, &listener), -SL_ESYS);
	CHECK_INT(access(path, F_OK), 0);
	CHECK_INT(unlink(path), 0);
}

TEST(unix_paths_that_are_too_long_are_refused)
{
	char path[200];
	int fd = -1;

	memset(path, 'a', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	CHECK_INT(sock_unix_listen(path, 0600, &fd), -SL_ELIMIT);
	CHECK_INT(sock_unix_connect(path, &fd), -SL_ELIMIT);
}

TEST(the_host_has_its_loopback_address)
{
	struct sl_addr all[256], loopback = addr("127.0.0.1");
	unsigned n = 0, found = 0;

	CHECK_INT(sock_host_addrs(all, SL_ARRAY_LEN(all), &n), 0);
	for (unsigned i = 0; i < n; i++) {
		CHECK_INT(all[i].port, 0);
		found += sl_addr_eq(&all[i], &loopback);
	}
	CHECK_INT(found, 1);
	CHECK_INT(sock_host_addrs(all, 1, &n), 0);
	CHECK_INT(n, 1);
	CHECK_INT(sock_host_addrs(all, 0, &n), 0);
	CHECK_INT(n, 0);
}

TEST(an_eventfd_is_readable_from_signal_to_clear)
{
	struct pollfd p = {.events = POLLIN};
	FD_AUTO int fd = -1;

	CHECK_INT(sock_eventfd(&fd), 0);
	p.fd = fd;
	CHECK_INT(poll(&p, 1, 0), 0);
	sock_eventfd_signal(fd);
	sock_eventfd_signal(fd);
	CHECK_INT(poll(&p, 1, 0), 1);
	sock_eventfd_clear(fd);
	CHECK_INT(poll(&p, 1, 0), 0);
	sock_eventfd_clear(fd);
}

TEST_MAIN()
