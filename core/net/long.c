/*
 * net/long.c: datagrams that do not fit into a packet, for those who take them (SIP over UDP, whose
 * INVITEs with many codecs are three or four kilobytes).
 *
 * The slots of the arena are sized for media. So only the sockets that ask are read with a second
 * piece behind the packet, of memory that stays untouched, and therefore not there, until a long
 * datagram comes; it is handed over at once, whole, and kept by nobody.
 */
#include "net/dgram.h"
#include "net/engine.h"

#include <errno.h>
#include <stdlib.h>

static uint8_t *piece(const struct net *n, unsigned i)
{
	return n->rx.longs + (size_t)i * SL_LONG_MAX;
}

/* The rest lands behind the place of what will be copied in front of it. */
unsigned long_prepare(struct sl_udp *u, unsigned i)
{
	struct rx *rx = &u->net->rx;

	if (SL_LIKELY(!u->long_fn))
		return 1;
	rx->iov[i][1] =
		(struct iovec){piece(u->net, i) + SL_PACKET_MAX, SL_LONG_MAX - SL_PACKET_MAX};
	return 2;
}

void long_offer(struct sl_udp *u, const struct sl_packet *p, struct sl_str data)
{
	const struct sl_addr from = p->from, local = *p->local;

	if (!u->long_fn || data.len > SL_LONG_MAX ||
	    !u->long_fn(u->long_arg, u, data, &from, &local))
		sl_count(net_meter(u->net, NET_dropped_too_long));
}

void long_take(struct sl_udp *u, unsigned i, size_t len)
{
	const struct sl_packet *p = u->net->rx.packets[i];
	uint8_t *whole;

	if (!u->long_fn || len > SL_LONG_MAX) {
		sl_count(net_meter(u->net, NET_dropped_too_long));
		return;
	}
	whole = piece(u->net, i);
	memcpy(whole, p->data, SL_PACKET_MAX);
	long_offer(u, p, (struct sl_str){(const char *)whole, len});
}

int sl_udp_take_long(struct sl_udp *u, sl_udp_long_fn *fn, void *arg)
{
	struct rx *rx = &u->net->rx;

	if (!rx->longs)
		rx->longs = malloc((size_t)RX_BATCH * SL_LONG_MAX);
	if (!rx->longs)
		return -SL_ENOMEM;
	u->long_fn = fn;
	u->long_arg = arg;
	return 0;
}

/* What is queued is older and goes first. */
int sl_udp_send_long(struct sl_udp *u, struct sl_str data, const struct sl_addr *from,
		     const struct sl_addr *to)
{
	ssize_t n;

	if (u->closed)
		return -SL_ECLOSED;
	txq_flush_socket(u);
	n = txq_send_long(u, data, u->wildcard ? from : NULL, to);
	if (n < 0)
		return errno == EMSGSIZE ? -SL_ELIMIT : -SL_EFULL;
	sl_count(net_meter(u->net, NET_datagrams_out));
	sl_count_n(net_meter(u->net, NET_datagram_bytes_out), (uint64_t)n);
	return 0;
}
