/*
 * net/icmp.c: ICMP errors for datagrams that were sent, from the socket's error queue.
 *
 * Sockets without an error function are not asked (IP_RECVERR is off); for them only the pending
 * error is cleared, so that the loop does not report it for ever. The queue is the network's:
 * everything is checked, at most one batch is read.
 */
#include "net/engine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

/* The kernel puts one such message in front of the datagram it is about. */
static const struct sock_extended_err *find_error(struct msghdr *h)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		bool v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
		bool v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;

		if ((v4 || v6) && c->cmsg_len >= CMSG_LEN(sizeof(struct sock_extended_err)))
			return (const struct sock_extended_err *)CMSG_DATA(c);
	}
	return NULL;
}

/* Local errors were already the result of the send. */
static bool is_icmp(const struct sock_extended_err *e)
{
	return e->ee_origin == SO_EE_ORIGIN_ICMP || e->ee_origin == SO_EE_ORIGIN_ICMP6;
}

static bool is_too_long_here(const struct sock_extended_err *e)
{
	return e->ee_origin == SO_EE_ORIGIN_LOCAL && e->ee_errno == EMSGSIZE;
}

/* What the next router would say. The kernel names the address, but not the port. */
static void tell_too_long(struct sl_udp *u, const struct sl_addr *to, uint32_t mtu)
{
	if (to->family == 4)
		u->error(u->arg, to, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu);
	else
		u->error(u->arg, to, ICMP6_PACKET_TOO_BIG, 0, mtu);
}

/* whole: where something went that must not be fragmented, or NULL. False: the queue is empty. */
static bool read_one(struct sl_udp *u, const struct sl_addr *whole)
{
	_Alignas(struct cmsghdr) uint8_t control[256];
	union net_sockaddr to;
	uint8_t byte;
	struct iovec iov = {&byte, 1}; /* the datagram itself is of no interest */
	struct msghdr h = {
		.msg_name = &to,
		.msg_namelen = sizeof to,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control,
	};
	const struct sock_extended_err *e;
	struct sl_addr addr;

	if (recvmsg(u->ev.fd, &h, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return false;
	e = find_error(&h);
	if (!e || h.msg_namelen == 0 || sl_addr_from_sockaddr(&addr, &to.any) < 0)
		return true;
	if (whole && u->error && is_too_long_here(e))
		tell_too_long(u, whole, e->ee_info);
	if (!is_icmp(e))
		return true;
	sl_count(net_meter(u->net, NET_icmp_errors));
	if (u->error)
		u->error(u->arg, &addr, e->ee_type, e->ee_code,
			 e->ee_errno == EMSGSIZE ? e->ee_info : 0);
	return true;
}

/* The callback may close the socket; then the queue is gone with it. */
void icmp_read(struct sl_udp *u)
{
	socklen_t len = sizeof(int);
	int err;

	for (unsigned i = 0; i < RX_BATCH && !u->closed && read_one(u, NULL); i++)
		;
	if (!u->closed)
		(void)getsockopt(u->ev.fd, SOL_SOCKET, SO_ERROR, &err, &len); /* clears it */
}

void icmp_read_too_long(struct sl_udp *u, const struct sl_addr *to)
{
	for (unsigned i = 0; i < RX_BATCH && !u->closed && read_one(u, to); i++)
		;
}
