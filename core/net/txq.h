/*
 * net/txq.h: datagrams waiting for the end of the tick.
 */
#ifndef NET_TXQ_H
#define NET_TXQ_H

#include "base/fair.h"
#include "net/dgram.h"
#include "os/uring.h"

#define TXQ_BATCH 64

struct sl_slab;

struct tx_control {
	_Alignas(struct cmsghdr) uint8_t bytes[120]; /* source address, TOS, TTL and segment size */
};

struct txq {
	struct net *net;
	struct sl_slab *slab; /* of struct tx */
	struct fair *turns;   /* empty outside of take_turns; NULL: not needed yet */
	struct sl_udp
		*dirty[TXQ_BATCH]; /* sockets with something to send, in order of their first */
	unsigned n_dirty, n_queued;
	bool gso;
	struct sl_post post;
	struct mmsghdr
		msgs[TXQ_BATCH]; /* of the sendmmsg being built, and what its messages point at */
	struct iovec iov[TXQ_BATCH];
	union net_sockaddr names[TXQ_BATCH];
	struct tx_control controls[TXQ_BATCH];
	uint8_t runs[TXQ_BATCH]; /* datagrams in each message */
	struct uring_message together[TXQ_BATCH]; /* the same messages, of as many sockets */
};

int txq_open(struct txq *q, struct net *n);
void txq_close(struct txq *q);
/* from: source address for a wildcard socket, NULL or unset: the kernel's choice. share: whose it
 * is among those who share the socket; 0: the receiver's. As sl_udp_send. */
int txq_push(struct sl_udp *u, struct sl_packet *p, const struct sl_addr *to,
	     const struct sl_addr *from, uint32_t share);
/* Past the queue; as sendto, with what p says of the header */
ssize_t txq_send_now(const struct sl_udp *u, const struct sl_packet *p, const struct sl_addr *to);
/* Bytes that no packet holds. from: NULL, or the source, of a wildcard socket */
ssize_t txq_send_long(const struct sl_udp *u, struct sl_str data, const struct sl_addr *from,
		      const struct sl_addr *to);
/* The socket takes datagrams again */
void txq_resume(struct sl_udp *u);
void txq_flush_socket(struct sl_udp *u);
/* Sends what modules' sockets have, before the tick ends; answers of listeners wait for company. */
void txq_flush_relays(struct txq *q);
/* Drops what waits */
void txq_forget(struct sl_udp *u);

#endif
