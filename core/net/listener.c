/*
 * net/listener.c: sockets of listeners, made by the master.
 *
 * Only makes them; the master keeps them over generations, workers adopt them. What goes wrong here
 * is the operator's to repair, so each error is a sentence with the address and what to do.
 */
#include "net/listener.h"

#include <errno.h>
#include <stdio.h>

/* What an operator can do about it, for the errors that operators meet. */
static const char *remedy(int err)
{
	switch (err) {
	case EADDRINUSE:
		return "; another program listens there (`ss -lnptu` names it)";
	case EACCES:
	case EPERM:
		return "; ports below net.ipv4.ip_unprivileged_port_start need root or "
		       "CAP_NET_BIND_SERVICE";
	case EADDRNOTAVAIL:
		return "; no interface has this address";
	case EAFNOSUPPORT:
		return "; this kernel has no IPv6, leave out that address";
	case EMFILE:
	case ENFILE:
		return "; raise the limit of open files";
	default:
		return "";
	}
}

/* errno is kept for callers that decide by it. */
static void explain(const struct listener_spec *spec, const struct sl_addr *addr, char *err,
		    size_t cap)
{
	char text[SL_ADDR_STRLEN];
	int code = errno;

	snprintf(err, cap, "cannot listen on %s %s: %s%s", spec->udp ? "udp" : "tcp",
		 sl_addr_format(text, addr), strerror(code), remedy(code));
	errno = code;
}

/* 0.0.0.0 and :: */
static bool is_wildcard(const struct sl_addr *a)
{
	return sl_addr_classify(a) == SL_ADDR_UNSPECIFIED;
}

/* An IPv6 socket never takes IPv4: each family has its own socket, and its own form of addresses in
 * replies. */
static int open_udp(const struct listener_spec *spec, const struct sl_addr *addr, int *ret_fd)
{
	const struct sock_opts opts = {
		.reuseport = spec->steering != STEER_PORTS,
		.v6only = true,
		.pktinfo = is_wildcard(addr),
		.recv_tos = is_wildcard(addr), /* comes with the local address at little cost; else
						  it would take 250 ns */
		.rcvbuf = spec->buffer_bytes,
		.sndbuf = spec->buffer_bytes,
	};

	return sock_udp(addr, &opts, ret_fd);
}

/* One socket for all workers and generations: connections that wait in it outlive every reload. */
static int open_tcp(const struct listener_spec *spec, int *ret_fd)
{
	const struct sock_opts opts = {.v6only = true, .backlog = spec->backlog};

	return sock_tcp_listen(&spec->addr, &opts, ret_fd);
}

/* Nothing is retried: an address that is missing now is the operator's decision, not ours. */
int listener_socket(const struct listener_spec *spec, unsigned slot, int *ret_fd, char *err,
		    size_t err_cap)
{
	struct sl_addr addr = spec->addr;
	int rc;

	if (spec->udp && spec->steering == STEER_PORTS) {
		if (slot > 65535u - addr.port) {
			snprintf(err, err_cap,
				 "steering: ports needs a port per worker from %u on, and slot %u "
				 "is beyond 65535",
				 addr.port, slot);
			return -SL_EINVAL;
		}
		addr.port = (uint16_t)(addr.port + slot);
	}
	rc = spec->udp ? open_udp(spec, &addr, ret_fd) : open_tcp(spec, ret_fd);
	if (rc < 0)
		explain(spec, &addr, err, err_cap);
	return rc;
}
