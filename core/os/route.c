/*
 * os/route.c: questions to the kernel's routing by rtnetlink.
 *
 * The kernel answers within the call that asks, so nothing here waits. What it says holds until
 * routes, rules or interfaces change, which a second descriptor tells. Needs no privileges.
 */
#include "os/os.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct ask {
	struct nlmsghdr head;
	struct rtmsg route;
	uint8_t attrs[64];
};

static int open_netlink(uint32_t groups, int *ret_fd)
{
	struct sockaddr_nl me = {.nl_family = AF_NETLINK, .nl_groups = groups};
	FD_AUTO int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&me, sizeof me) < 0)
		return -SL_ESYS;
	*ret_fd = fd_steal(&fd);
	return 0;
}

int route_open(int *ret_fd)
{
	return open_netlink(0, ret_fd);
}

/* ---- one question */

static void put_addr(struct ask *q, unsigned short type, const struct sl_addr *a)
{
	unsigned len = a->family == 4 ? 4 : 16;
	struct rtattr *attr = (struct rtattr *)((uint8_t *)q + NLMSG_ALIGN(q->head.nlmsg_len));

	attr->rta_type = type;
	attr->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(attr), a->ip, len);
	q->head.nlmsg_len = NLMSG_ALIGN(q->head.nlmsg_len) + RTA_LENGTH(len);
}

static int ask_route(int fd, const struct sl_addr *from, const struct sl_addr *to)
{
	unsigned char bits = from->family == 4 ? 32 : 128;
	struct ask q = {
		.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
			 .nlmsg_type = RTM_GETROUTE,
			 .nlmsg_flags = NLM_F_REQUEST},
		.route = {.rtm_family = from->family == 4 ? AF_INET : AF_INET6,
			  .rtm_src_len = bits,
			  .rtm_dst_len = bits},
	};

	put_addr(&q, RTA_SRC, from);
	put_addr(&q, RTA_DST, to);
	return send(fd, &q, q.head.nlmsg_len, 0) < 0 ? -SL_ESYS : 0;
}

static uint32_t attr_u32(const struct rtattr *a)
{
	uint32_t v = 0;

	if (RTA_PAYLOAD(a) >= sizeof v)
		memcpy(&v, RTA_DATA(a), sizeof v);
	return v;
}

static void read_metrics(const struct rtattr *metrics, struct route *r)
{
	int len = (int)RTA_PAYLOAD(metrics);

	for (const struct rtattr *a = RTA_DATA(metrics); RTA_OK(a, len); a = RTA_NEXT(a, len))
		if (a->rta_type == RTAX_MTU)
			r->mtu = attr_u32(a);
}

/* Anything but a route is the kernel's way to say that there is none. */
static int read_route(const struct nlmsghdr *h, struct route *r)
{
	const struct rtmsg *m = NLMSG_DATA(h);
	int len;

	if (h->nlmsg_type != RTM_NEWROUTE || m->rtm_type != RTN_UNICAST)
		return -SL_ENOENT;
	len = (int)RTM_PAYLOAD(h);
	for (const struct rtattr *a = RTM_RTA(m); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == RTA_OIF)
			r->ifindex = attr_u32(a);
		else if (a->rta_type == RTA_GATEWAY)
			memcpy(r->next_hop.ip, RTA_DATA(a),
			       RTA_PAYLOAD(a) <= 16 ? RTA_PAYLOAD(a) : 16);
		else if (a->rta_type == RTA_VIA) /* of the other family */
			return -SL_ENOENT;
		else if (a->rta_type == RTA_METRICS)
			read_metrics(a, r);
	}
	return r->ifindex ? 0 : -SL_ENOENT;
}

/* ---- interfaces */

static bool ask_interface(unsigned ifindex, unsigned long what, struct ifreq *r)
{
	FD_AUTO int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memset(r, 0, sizeof *r);
	r->ifr_ifindex = (int)ifindex;
	return fd >= 0 && ioctl(fd, SIOCGIFNAME, r) == 0 && (what == 0 || ioctl(fd, what, r) == 0);
}

bool route_is_ethernet(unsigned ifindex)
{
	struct ifreq r;

	return ask_interface(ifindex, SIOCGIFHWADDR, &r) && r.ifr_hwaddr.sa_family == ARPHRD_ETHER;
}

bool route_is_veth(unsigned ifindex)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	FD_AUTO int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {.ifr_ifindex = (int)ifindex};

	if (fd < 0 || ioctl(fd, SIOCGIFNAME, &r) < 0)
		return false;
	r.ifr_data = (void *)&info;
	return ioctl(fd, SIOCETHTOOL, &r) == 0 && strcmp(info.driver, "veth") == 0;
}

const char *route_ifname(unsigned ifindex, char dst[16])
{
	struct ifreq r;
	bool known = ask_interface(ifindex, 0, &r);

	(void)sl_str_copy(dst, 16, sl_str_c(known ? r.ifr_name : "?"));
	return dst;
}

int route_find(int fd, const struct sl_addr *from, const struct sl_addr *to,
	       struct route *ret_route)
{
	_Alignas(struct nlmsghdr) uint8_t answer[4096];
	struct route found = {.next_hop = *to};
	struct ifreq r;
	ssize_t n;

	if (from->family != to->family)
		return -SL_ENOENT;
	if (ask_route(fd, from, to) < 0)
		return -SL_ESYS;
	n = recv(fd, answer, sizeof answer, 0);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct rtmsg)) ||
	    read_route((struct nlmsghdr *)answer, &found) < 0)
		return -SL_ENOENT;
	if (!ask_interface(found.ifindex, SIOCGIFMTU, &r))
		return -SL_ENOENT;
	found.next_hop.port = 0;
	if (found.mtu == 0 || found.mtu > (unsigned)r.ifr_mtu)
		found.mtu = (unsigned)r.ifr_mtu;
	*ret_route = found;
	return 0;
}

/* ---- changes */

int route_watch(int *ret_fd)
{
	return open_netlink(RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE |
				    1u << (RTNLGRP_IPV6_RULE - 1),
			    ret_fd);
}

/* What it was does not matter: whoever asked before asks again. Lost messages are a change too. */
bool route_changed(int watch_fd)
{
	bool changed = false;
	char byte;

	for (;;) {
		if (recv(watch_fd, &byte, 1, MSG_DONTWAIT) >= 0 || errno == ENOBUFS)
			changed = true;
		else if (errno != EINTR)
			return changed;
	}
}
