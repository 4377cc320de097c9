/*
 * net/receive.c: datagrams from sockets into arena packets.
 *
 * How a socket is read follows what it brings (measured per datagram on loopback, ns): one recvfrom
 * 700, of which the "nothing more" that ends a loop would cost 300; recvmmsg of 64 535, but of a
 * single one 1 200. So a quiet socket gets one recvfrom per wake-up and leaves "is there more?" to
 * epoll; a socket that keeps using its quota up gets a larger one, and a large quota is read by
 * recvmmsg. Wildcard sockets need recvmsg, since each datagram says its local address; TOS comes
 * along.
 *
 * A listener that brings one datagram after the other has what became of each sent at once, and is
 * then looked at again: what came meanwhile costs no wake-up (epoll_wait and the rest of a tick,
 * 500 ns). Looking in vain costs 300, so it is done while at least every third look finds
 * something.
 *
 * Of modules' sockets, of which a relay or a call has one for each peer, many are ready at once
 * with one datagram each: those of one wake-up are read by one call of io_uring (os/uring.h), where
 * there is one.
 */
#include "net/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define SINGLY_MAX 3  /* up to this quota, one call per datagram */
#define LOOKS_MAX 32  /* in one wake-up: others wait */
#define LUCK_MAX 64   /* a find counts two, a look in vain one; looking pays above the half */
#define LUCK_PAUSE 16 /* wake-ups before it is tried again */
#define PATIENCE 4    /* full wake-ups before a quota of one grows: a wrong guess costs a call */
#define COMPANY 8     /* sockets read together: more of one is as cheap at the next wait */
#define CONTROL_BYTES 104 /* IP_PKTINFO or IPV6_PKTINFO, TOS or traffic class, TTL */

int rx_open(struct net *n)
{
	n->rx.controls = calloc(RX_BATCH, CONTROL_BYTES);
	if (!n->rx.controls)
		return -SL_ENOMEM;
	if (n->gro)
		n->rx.trains = malloc(gro_bytes());
	return n->gro && !n->rx.trains ? -SL_ENOMEM : 0;
}

/* The packets themselves belong to the arena, which is closed later. */
void rx_close(struct net *n)
{
	for (unsigned i = 0; i < RX_BATCH; i++)
		if (n->rx.packets[i])
			sl_packet_unref(n->rx.packets[i]);
	free(n->rx.controls);
	free(n->rx.trains);
	free(n->rx.longs);
	n->rx = (struct rx){0};
}

/* ---- packets to receive into */

/* Readies place i; false when the arena is at its limit. */
static bool ready_packet(struct net *n, unsigned i)
{
	struct sl_packet **p = &n->rx.packets[i];

	if (!*p) {
		struct packet *fresh = arena_get(&n->arena);

		*p = fresh ? &fresh->pub : NULL;
	}
	return *p != NULL;
}

/* A packet that somebody kept is replaced, one that nobody kept is used again where it is. */
static void done_packet(struct net *n, unsigned i)
{
	struct sl_packet *p = n->rx.packets[i];

	if (p->refs == 1) {
		packet_reset(packet_of(p));
		return;
	}
	sl_packet_unref(p);
	n->rx.packets[i] = NULL;
}

/* Unread datagrams would wake the loop for ever; one byte of each is enough to take it out. */
static void discard(struct sl_udp *u)
{
	char byte;

	for (unsigned i = 0; i < RX_BATCH && recv(u->ev.fd, &byte, 1, MSG_DONTWAIT) >= 0; i++) {
		sl_count(net_meter(u->net, NET_datagrams_in));
		sl_count(net_meter(u->net, NET_dropped_no_packet));
	}
}

/* ---- what a datagram says about itself */

/* The kernel says the address but not the port, which is the socket's. */
static void local_address(struct packet *p, const struct sl_udp *u, const struct cmsghdr *c)
{
	p->to = (struct sl_addr){.family = u->local.family, .port = u->local.port};
	if (u->local.family == 4) {
		struct in_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof info);
		memcpy(p->to.ip, &info.ipi_addr, sizeof info.ipi_addr);
	} else {
		struct in6_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof info);
		memcpy(p->to.ip, &info.ipi6_addr, sizeof info.ipi6_addr);
		if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
			p->to.scope = info.ipi6_ifindex;
	}
	p->pub.local = &p->to;
}

/* Types that were not asked for do not come; unknown ones are skipped all the same. */
static void read_control(struct sl_udp *u, struct sl_packet *p, const struct cmsghdr *c)
{
	int tclass, ttl;

	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
		p->tos = *CMSG_DATA(c);
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
		memcpy(&tclass, CMSG_DATA(c), sizeof tclass);
		p->tos = (uint8_t)tclass;
	} else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
		   (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) {
		memcpy(&ttl, CMSG_DATA(c), sizeof ttl);
		p->ttl = (uint8_t)ttl;
	} else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) ||
		   (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)) {
		local_address(packet_of(p), u, c);
	}
}

/* False: an address of a family that is none of ours. */
static bool fill_from(struct sl_udp *u, struct sl_packet *p, const struct sockaddr *from)
{
	p->udp = u;
	p->local = &u->local;
	p->time_ns = sl_loop_ns(u->net->worker->loop);
	return sl_addr_from_sockaddr(&p->from, from) == 0;
}

/* Also used by gro.c, whose segments share one header. */
bool rx_fill(struct sl_udp *u, struct sl_packet *p, struct msghdr *h)
{
	if (!fill_from(u, p, h->msg_name))
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c))
		read_control(u, p, c);
	return true;
}

/* Listeners have an owner to find first; a module's socket has one. */
void udp_consume(struct sl_udp *u, struct sl_packet *p)
{
	if (!u->listener)
		u->recv(u->arg, p);
	else if (SL_UNLIKELY(u->share_mode))
		share_take(u, p);
	else
		path_take(u->net, p, false);
}

/* Dropped datagrams count as received: the two counters are compared with the kernel's. */
static void count_in(struct net *n, unsigned datagrams, uint64_t bytes)
{
	sl_count_n(net_meter(n, NET_datagrams_in), datagrams);
	sl_count_n(net_meter(n, NET_datagram_bytes_in), bytes);
}

/* ---- one by one */

/*
 * recvmmsg changes the lengths, so each message is set up anew; 64 of them cost less than one
 * system call.
 */
static void prepare(struct net *n, struct sl_udp *u, unsigned i, struct msghdr *h)
{
	n->rx.iov[i][0] = (struct iovec){n->rx.packets[i]->data, SL_PACKET_MAX};
	*h = (struct msghdr){
		.msg_name = &n->rx.names[i],
		.msg_namelen = sizeof n->rx.names[i],
		.msg_iov = n->rx.iov[i],
		.msg_iovlen = long_prepare(u, i),
		.msg_control = u->told ? n->rx.controls + (size_t)i * CONTROL_BYTES : NULL,
		.msg_controllen = u->told ? CONTROL_BYTES : 0,
	};
}

/* Length of the datagram, also when it was cut; -1: errno. */
static ssize_t receive_plain(struct sl_udp *u, struct sl_packet *p, bool *ret_known)
{
	union net_sockaddr from;
	socklen_t from_len = sizeof from;
	ssize_t len = recvfrom(u->ev.fd, p->data, SL_PACKET_MAX, MSG_DONTWAIT | MSG_TRUNC,
			       &from.any, &from_len);

	if (len >= 0)
		*ret_known = fill_from(u, p, &from.any);
	return len;
}

/* The same with control data. */
static ssize_t receive_told(struct sl_udp *u, struct sl_packet *p, bool *ret_known)
{
	struct net *n = u->net;
	struct msghdr h;
	ssize_t len;

	prepare(n, u, 0, &h);
	len = recvmsg(u->ev.fd, &h, MSG_DONTWAIT | MSG_TRUNC);
	if (len >= 0)
		*ret_known = rx_fill(u, p, &h);
	return len;
}

/* False: nothing there. */
static bool receive_one(struct sl_udp *u)
{
	struct net *n = u->net;
	struct sl_packet *p = n->rx.packets[0];
	bool known = false;
	ssize_t len = u->told || u->long_fn ? receive_told(u, p, &known)
					    : receive_plain(u, p, &known);

	sl_count(net_meter(n, NET_receive_calls));
	if (len < 0)
		return false;
	count_in(n, 1, (uint64_t)len);
	if (len > SL_PACKET_MAX && known) {
		long_take(u, 0, (size_t)len);
	} else if (known) {
		n->rx.same_sender = sl_addr_eq(&n->rx.sender, &p->from);
		n->rx.sender = p->from;
		p->len = (uint32_t)len;
		udp_consume(u, p);
	}
	done_packet(n, 0);
	return true;
}

/* The handler may close the socket at any datagram. */
static unsigned receive_singly(struct sl_udp *u)
{
	unsigned n = 0;

	while (n < u->quota && !u->closed) {
		if (!ready_packet(u->net, 0)) {
			discard(u);
			break;
		}
		if (!receive_one(u))
			break;
		n++;
	}
	return n;
}

/* ---- many at once */

/*
 * After a close in mid-batch the rest is read already and lost, as it would be in the kernel's
 * buffer.
 */
static void take_received(struct sl_udp *u, unsigned i)
{
	struct net *n = u->net;
	struct sl_packet *p = n->rx.packets[i];
	struct mmsghdr *m = &n->rx.msgs[i];

	if (u->closed || !rx_fill(u, p, &m->msg_hdr)) {
		done_packet(n, i);
		return;
	}
	if (m->msg_hdr.msg_flags & MSG_TRUNC || m->msg_len > SL_PACKET_MAX) {
		long_take(u, i, m->msg_hdr.msg_flags & MSG_TRUNC ? SIZE_MAX : m->msg_len);
	} else {
		p->len = m->msg_len;
		udp_consume(u, p);
	}
	done_packet(n, i);
}

/*
 * Packets that could be had decide how many are asked for, so that no datagram is read without a
 * place.
 */
static unsigned receive_batch(struct sl_udp *u, unsigned quota)
{
	struct net *n = u->net;
	unsigned n_ready = 0;
	uint64_t bytes = 0;
	int got;

	while (n_ready < quota && ready_packet(n, n_ready)) {
		prepare(n, u, n_ready, &n->rx.msgs[n_ready].msg_hdr);
		n_ready++;
	}
	if (n_ready == 0) {
		discard(u);
		return 0;
	}
	got = recvmmsg(u->ev.fd, n->rx.msgs, n_ready, MSG_DONTWAIT, NULL);
	sl_count(net_meter(n, NET_receive_calls));
	for (int i = 0; i < got; i++) {
		bytes += n->rx.msgs[i].msg_len;
		take_received(u, (unsigned)i);
	}
	if (got <= 0)
		return 0;
	count_in(n, (unsigned)got, bytes);
	gro_consider(u, (unsigned)got);
	return (unsigned)got;
}

/* A quota that was not used up told how much there is; one that was, wants to be larger. */
static void adapt(struct sl_udp *u, unsigned got)
{
	if (got < u->quota) {
		u->quota = got > 0 ? (uint8_t)got : 1;
		u->n_filled = 0;
	} else if (u->quota > 1 || ++u->n_filled >= PATIENCE) {
		u->quota = u->quota * 2 < RX_BATCH ? (uint8_t)(u->quota * 2) : RX_BATCH;
	}
	if (got == RX_BATCH)
		share_consider(u);
}

/* ---- one of each of many sockets */

static unsigned prepare_due(struct net *n, unsigned n_due)
{
	struct rx *rx = &n->rx;
	unsigned i;

	for (i = 0; i < n_due && ready_packet(n, i); i++) {
		struct msghdr *h = &rx->msgs[i].msg_hdr;

		prepare(n, rx->due[i], i, h);
		rx->together[i] = (struct uring_message){.fd = rx->due[i]->ev.fd, .h = h};
	}
	return i;
}

/* What more a socket has is told with the next wait; in company that costs it nothing. */
static void take_due(struct net *n, unsigned i, bool alone)
{
	struct sl_udp *u = n->rx.due[i];
	const int len = n->rx.together[i].result;

	if (len < 0) {
		done_packet(n, i);
		return;
	}
	count_in(n, 1, (uint64_t)len);
	n->rx.msgs[i].msg_len = (unsigned)len;
	take_received(u, i);
	if (alone && !u->closed)
		adapt(u, 1);
}

/* A handler may close any of them: its descriptor is gone then, or what came is dropped. */
static void receive_together(struct net *n, unsigned n_due)
{
	unsigned n_ready = prepare_due(n, n_due);

	if (n_ready > 0 && !uring_receive(n->uring, n->rx.together, n_ready))
		net_drop_uring(n);
	sl_count(net_meter(n, NET_receive_calls));
	for (unsigned i = 0; i < n_ready; i++)
		take_due(n, i, n_due < COMPANY);
	for (unsigned i = n_ready; i < n_due; i++)
		if (!n->rx.due[i]->closed)
			discard(n->rx.due[i]);
}

void udp_receive_due(void *arg)
{
	struct net *n = arg;
	unsigned n_due = n->rx.n_due;

	n->rx.n_due = 0;
	if (n_due == 1 && !n->rx.due[0]->closed)
		udp_receive(n->rx.due[0]);
	else if (n_due > 1)
		receive_together(n, n_due);
}

/* What needs to be asked with it, or brings runs, is read by itself; so is a socket whose quota has
 * grown. */
bool udp_defer(struct sl_udp *u)
{
	struct net *n = u->net;

	if (!n->uring || u->listener || u->told || u->long_fn || u->gro || u->quota > 1)
		return false;
	n->rx.due[n->rx.n_due++] = u;
	if (n->rx.n_due == RX_BATCH)
		udp_receive_due(n);
	return true;
}

/* ---- looking again */

static bool is_lucky(const struct sl_udp *u)
{
	return u->luck > LUCK_MAX / 2;
}

static void learn(struct sl_udp *u, bool found)
{
	if (found)
		u->luck = u->luck + 2 < LUCK_MAX ? u->luck + 2 : LUCK_MAX;
	else if (--u->luck <= LUCK_MAX / 2)
		u->luck = LUCK_MAX / 2 - LUCK_PAUSE;
}

/* Returns what the last look found: a quota that is used up then, wants to be larger. */
static unsigned receive_again(struct sl_udp *u)
{
	unsigned got = receive_singly(u);

	if (!is_lucky(u)) {
		u->luck++;
		return got;
	}
	for (unsigned i = 0; i < LOOKS_MAX && got == u->quota && is_lucky(u); i++) {
		txq_flush_relays(&u->net->txq);
		got = receive_singly(u);
		learn(u, got > 0);
		if (got > 0 && u->net->rx.same_sender) {
			u->n_filled = PATIENCE; /* a run leaves best together */
			return u->quota;
		}
	}
	return got;
}

/*
 * An error instead of a datagram (ICMP for an earlier send) needs no handling here: the call
 * cleared it, and the socket stays readable if there is more.
 */
void udp_receive(struct sl_udp *u)
{
	unsigned got;

	if (SL_UNLIKELY(u->share_mode)) {
		share_receive(u);
	} else if (u->gro) {
		if (gro_receive(u, &got))
			share_consider(u);
	} else if (u->quota > SINGLY_MAX) {
		got = u->listener ? u->quota : share_allow(u, u->quota);
		adapt(u, receive_batch(u, got));
	} else {
		adapt(u, u->listener ? receive_again(u) : receive_singly(u));
	}
}

bool udp_read(struct sl_udp *u, unsigned *ret_n)
{
	if (u->gro)
		return gro_receive(u, ret_n);
	*ret_n = receive_batch(u, RX_BATCH);
	return *ret_n == RX_BATCH;
}
