/*
 * net/gro.c: receiving trains: neighbouring datagrams of one flow that the kernel hands over as one
 * (UDP_GRO).
 *
 * Used on listeners when the configuration says `gro: on`. Trains of 32 cost a seventh of 32
 * datagrams, but single ones cost 4 to 5 % more, because they are copied once: a train lands in a
 * large buffer and is cut into arena packets here.
 */
#include "net/engine.h"

#include <netinet/udp.h>

#define TRAINS 8
#define TRAIN_BYTES 65536
#define CONTROL_BYTES 104 /* addresses and TOS as in receive.c, and the segment size */

/* The control buffers stand behind the trains, so that one allocation serves both. */
size_t gro_bytes(void)
{
	return (size_t)TRAINS * (TRAIN_BYTES + CONTROL_BYTES);
}

static uint8_t *train_data(struct net *n, unsigned i)
{
	return n->rx.trains + (size_t)i * TRAIN_BYTES;
}

/* recvmmsg shortens name and control lengths, so each round begins anew. */
static void prepare(struct net *n, unsigned i)
{
	n->rx.iov[i] = (struct iovec){train_data(n, i), TRAIN_BYTES};
	n->rx.msgs[i].msg_hdr = (struct msghdr){
		.msg_name = &n->rx.names[i],
		.msg_namelen = sizeof n->rx.names[i],
		.msg_iov = &n->rx.iov[i],
		.msg_iovlen = 1,
		.msg_control = train_data(n, TRAINS) + (size_t)i * CONTROL_BYTES,
		.msg_controllen = CONTROL_BYTES,
	};
}

/* Without the kernel's word it is one datagram. */
static size_t segment_size(struct msghdr *h, size_t len)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		int size;

		if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO)
			continue;
		memcpy(&size, CMSG_DATA(c), sizeof size);
		return size > 0 ? (size_t)size : len;
	}
	return len;
}

/*
 * A copy into a packet of its own: modules move headers in place, and segments have no room
 * between them.
 */
static void take_segment(struct sl_udp *u, struct msghdr *h, const uint8_t *data, size_t len)
{
	struct net *n = u->net;
	struct packet *p;

	sl_count(net_meter(n, NET_datagrams_in));
	sl_count_n(net_meter(n, NET_datagram_bytes_in), len);
	if (len > SL_PACKET_MAX) {
		sl_count(net_meter(n, NET_dropped_too_long));
		return;
	}
	p = arena_get(&n->arena);
	if (!p) {
		sl_count(net_meter(n, NET_dropped_no_packet));
		return;
	}
	memcpy(p->pub.data, data, len);
	p->pub.len = (uint32_t)len;
	if (rx_fill(u, &p->pub, h))
		udp_consume(u, &p->pub);
	sl_packet_unref(&p->pub);
}

/* The last segment may be shorter; an empty datagram is one segment of no bytes. */
static void take_train(struct sl_udp *u, unsigned i)
{
	struct mmsghdr *m = &u->net->rx.msgs[i];
	const uint8_t *data = train_data(u->net, i);
	size_t left = m->msg_len, size = segment_size(&m->msg_hdr, left);

	do {
		size_t len = left < size ? left : size;

		take_segment(u, &m->msg_hdr, data, len);
		data += len;
		left -= len;
	} while (left > 0);
}

/*
 * Eight trains are up to 512 segments, enough for one turn: the loop comes back if there are more.
 */
void gro_receive(struct sl_udp *u)
{
	struct net *n = u->net;
	int got;

	for (unsigned i = 0; i < TRAINS; i++)
		prepare(n, i);
	got = recvmmsg(u->ev.fd, n->rx.msgs, TRAINS, MSG_DONTWAIT, NULL);
	sl_count(net_meter(n, NET_receive_calls));
	for (int i = 0; i < got; i++)
		take_train(u, (unsigned)i);
}
