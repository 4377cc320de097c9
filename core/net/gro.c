/*
 * net/gro.c: receiving trains: neighbouring datagrams of one flow that the kernel hands over as one
 * (UDP_GRO).
 *
 * Trains of 32 cost a seventh of 32 datagrams, but single ones cost 4 to 5 % more, because they are
 * copied once: a train lands in a large buffer and is cut into arena packets here. So with `gro:
 * auto` a listener asks for them after some batches that were mostly runs of one sender, and leaves
 * it when what comes is no trains after all (nothing between the sender and us coalesced them);
 * each time that happens it waits longer before it asks again.
 */
#include "net/engine.h"

#include <netinet/udp.h>

#define TRAINS 8
#define BATCH_MIN 16   /* smaller ones say little */
#define RUN_MIN 8      /* datagrams of one sender in a row, on average */
#define RUNNY 4	       /* such batches in a row */
#define JUDGED 32      /* trains by which it is judged */
#define WORTH 4	       /* segments in one, on average */
#define PAUSE_FIRST 16 /* batches */
#define PAUSE_MAX 256
#define TRAIN_BYTES 65536
#define CONTROL_BYTES 128 /* addresses, TOS and TTL as in receive.c, and the segment size */

/* A kernel without it hands out single datagrams. */
void gro_switch(struct sl_udp *u, bool on)
{
	const int value = on;

	(void)setsockopt(u->ev.fd, IPPROTO_UDP, UDP_GRO, &value, sizeof value);
	u->gro = on;
	u->n_runny = 0;
	u->n_trains = u->n_segments = 0;
}

/* ---- whether it pays */

static unsigned count_runs(const struct net *n, unsigned got)
{
	unsigned runs = 1;

	for (unsigned i = 1; i < got; i++)
		runs += n->rx.msgs[i].msg_len != n->rx.msgs[i - 1].msg_len ||
			memcmp(&n->rx.names[i], &n->rx.names[i - 1],
			       n->rx.msgs[i].msg_hdr.msg_namelen) != 0;
	return runs;
}

void gro_consider(struct sl_udp *u, unsigned got)
{
	if (u->net->gro != NET_GRO_AUTO || !u->listener || got < BATCH_MIN)
		return;
	if (u->pause > 0) {
		u->pause--;
		return;
	}
	if (got < RUN_MIN * count_runs(u->net, got))
		u->n_runny = 0;
	else if (++u->n_runny == RUNNY)
		gro_switch(u, true);
}

static void judge(struct sl_udp *u)
{
	bool worth = u->n_segments >= WORTH * u->n_trains;

	if (u->net->gro != NET_GRO_AUTO || u->n_trains < JUDGED)
		return;
	u->n_trains = u->n_segments = 0;
	if (worth) {
		u->last_pause = 0;
		return;
	}
	gro_switch(u, false);
	u->last_pause = u->last_pause ? (uint16_t)(u->last_pause * 2) : PAUSE_FIRST;
	if (u->last_pause > PAUSE_MAX)
		u->last_pause = PAUSE_MAX;
	u->pause = u->last_pause;
}

/* ---- trains */

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
	n->rx.iov[i][0] = (struct iovec){train_data(n, i), TRAIN_BYTES};
	n->rx.msgs[i].msg_hdr = (struct msghdr){
		.msg_name = &n->rx.names[i],
		.msg_namelen = sizeof n->rx.names[i],
		.msg_iov = n->rx.iov[i],
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
	p = arena_get(&n->arena);
	if (!p) {
		sl_count(net_meter(n, NET_dropped_no_packet));
		return;
	}
	if (!rx_fill(u, &p->pub, h)) {
		sl_packet_unref(&p->pub);
		return;
	}
	if (len > SL_PACKET_MAX) {
		long_offer(u, &p->pub, (struct sl_str){(const char *)data, len});
	} else {
		memcpy(p->pub.data, data, len);
		p->pub.len = (uint32_t)len;
		udp_consume(u, &p->pub);
	}
	sl_packet_unref(&p->pub);
}

/* The last segment may be shorter; an empty datagram is one segment of no bytes. */
static void take_train(struct sl_udp *u, unsigned i)
{
	struct mmsghdr *m = &u->net->rx.msgs[i];
	const uint8_t *data = train_data(u->net, i);
	size_t left = m->msg_len, size = segment_size(&m->msg_hdr, left);

	u->n_trains++;
	do {
		size_t len = left < size ? left : size;

		u->n_segments++;
		take_segment(u, &m->msg_hdr, data, len);
		data += len;
		left -= len;
	} while (left > 0);
}

/*
 * Eight trains are up to 512 segments, enough for one turn: the loop comes back if there are more.
 */
bool gro_receive(struct sl_udp *u, unsigned *ret_n)
{
	struct net *n = u->net;
	unsigned before = u->n_segments;
	int got;

	for (unsigned i = 0; i < TRAINS; i++)
		prepare(n, i);
	got = recvmmsg(u->ev.fd, n->rx.msgs, TRAINS, MSG_DONTWAIT, NULL);
	sl_count(net_meter(n, NET_receive_calls));
	for (int i = 0; i < got; i++)
		take_train(u, (unsigned)i);
	*ret_n = (uint16_t)(u->n_segments - before);
	judge(u);
	return got == TRAINS;
}
