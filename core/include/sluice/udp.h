/*
 * sluice/udp.h: UDP sockets of a worker and the flows on listeners.
 *
 * Received packets come in batches: listener sockets go through DGRAM_GUARD, then to the flow of
 * their sender, if one is known here, then to its owner in another process, if the session table
 * knows one, then through DGRAM_CONTENT. A module's own sockets (relays) deliver to the callback.
 * DTLS on a listener with certificates is the core's business where no flow claims it (a flow of
 * WebRTC speaks DTLS itself): a packet with `assoc` was decrypted, and answers to it and its flow's
 * packets are encrypted. What is sent is queued and leaves at the end of the tick, in order per
 * socket, packets of equal size to the same address joined by UDP_SEGMENT.
 */
#ifndef SLUICE_UDP_H
#define SLUICE_UDP_H

#include <sluice/packet.h>
#include <sluice/worker.h>

struct sl_listener; /* <sluice/conn.h> */

typedef void sl_udp_recv_fn(void *arg, struct sl_packet *p);
/* The kernel reported an ICMP error for a datagram sent to `to`: type and code of the family. mtu:
 * of the next hop, when the datagram was too long for it; else 0. */
typedef void sl_udp_error_fn(void *arg, const struct sl_addr *to, uint8_t icmp_type,
			     uint8_t icmp_code, uint32_t mtu);

struct sl_udp_opts {
	struct sl_addr local; /* port 0: the kernel chooses */
	sl_udp_recv_fn *recv;
	sl_udp_error_fn *error; /* NULL: not asked for */
	void *arg;
	int buffer_bytes; /* both directions; 0: system default */
	uint8_t tos;	  /* of packets whose own is 0: saying it with each costs a tenth of sending */
};

/* -SL_EEXIST: port in use; -SL_ELIMIT: out of descriptors */
SL_API SL_MUST_CHECK int sl_udp_open(struct sl_worker *w, const struct sl_udp_opts *o,
				     struct sl_udp **ret_udp);
/* Queued packets are flushed first; accepts NULL */
SL_API void sl_udp_close(struct sl_udp *u);
/* The address it is bound to, with the port that the kernel chose */
SL_API const struct sl_addr *sl_udp_local(const struct sl_udp *u);
/* This worker's socket on a listener; NULL for TCP */
SL_API struct sl_udp *sl_listener_udp(const struct sl_worker *w, const struct sl_listener *l);
/* NULL for a module's own socket */
SL_API const struct sl_listener *sl_udp_listener(const struct sl_udp *u);

/* Queues p->data .. p->len to `to`, with p->tos and p->ttl; takes its own reference; the bytes must
 * not change until the tick ends. -SL_EFULL: queue full, dropped and counted. */
SL_API SL_MUST_CHECK int sl_udp_send(struct sl_udp *u, struct sl_packet *p,
				     const struct sl_addr *to);
/* At once, and never in fragments: -SL_ELIMIT: longer than the way is known to
 * take; the error function is told of it, with the MTU, as of an ICMP error. Not on a wildcard
 * socket. */
SL_API SL_MUST_CHECK int sl_udp_send_whole(struct sl_udp *u, const struct sl_packet *p,
					   const struct sl_addr *to);
/*
 * Datagrams that do not fit into a packet. Who has taken them is told of each, whole, before any
 * phase: no guard has seen it, and flows and associations do not apply. Costs a module nothing
 * until one comes; the buffers (16 KiB for each of a batch) are mapped when the first socket asks.
 */
#define SL_LONG_MAX (16 * 1024)
/* data: for the call; local: the address it was sent to. False: not ours, dropped and counted */
typedef bool sl_udp_long_fn(void *arg, struct sl_udp *u, struct sl_str data,
			    const struct sl_addr *from, const struct sl_addr *local);
SL_API SL_MUST_CHECK int sl_udp_take_long(struct sl_udp *u, sl_udp_long_fn *fn, void *arg);
/* At once, past the queue, in fragments where the way takes no more. from: as of
 * sl_udp_send_from, or NULL. -SL_EFULL: the kernel takes none now; -SL_ELIMIT: no datagram is so
 * long */
SL_API SL_MUST_CHECK int sl_udp_send_long(struct sl_udp *u, struct sl_str data,
					  const struct sl_addr *from, const struct sl_addr *to);
/* From now on packets say their DSCP and ECN (p->tos), for some 200 ns each; those of wildcard
 * sockets always do. */
SL_API SL_MUST_CHECK int sl_udp_recv_tos(struct sl_udp *u);
/* From now on packets say their TTL or hop limit (p->ttl), for some 100 ns each. */
SL_API SL_MUST_CHECK int sl_udp_recv_ttl(struct sl_udp *u);
/* From now on datagrams leave without DF, so that IPv4 routers may fragment them. */
SL_API SL_MUST_CHECK int sl_udp_may_fragment(struct sl_udp *u);
/* As sl_udp_send, from this address of the host when the socket is bound to a wildcard. */
SL_API SL_MUST_CHECK int sl_udp_send_from(struct sl_udp *u, struct sl_packet *p,
					  const struct sl_addr *from, const struct sl_addr *to);
/* Turns p into the answer to its sender (from the address it was sent to): copies data in, then
 * queues. */
SL_API SL_MUST_CHECK int sl_udp_reply(const struct sl_packet *p, const void *data, size_t len);

/* Hands a listener's datagram, as it came, to the worker of a slot, whose handlers see it as
 * theirs. -SL_ENOENT: nobody serves there. -SL_EUNSUPP: with a port for each worker, and of what
 * came through DTLS, whose keys are here. */
SL_API SL_MUST_CHECK int sl_udp_forward(const struct sl_packet *p, uint16_t slot);

/* Hands a packet that came through DTLS, and was kept, to its handlers once more. -SL_ENOENT: its
 * association has ended. */
SL_API SL_MUST_CHECK int sl_udp_replay(struct sl_packet *p);
/* The name that the client of an association asked for (SNI); empty: none */
SL_API struct sl_str sl_assoc_server_name(const struct sl_assoc *a);

/*
 * A flow: what one remote address means on one listener. Lookups cost one hash and are made for
 * every packet, so that modules need no table of their own. Opening one makes it known to steering:
 * later packets come to this worker, also after a reload.
 */
struct sl_flow;
/* SL_OK: handled. SL_DECLINED: goes on to DGRAM_CONTENT (a Binding request from a TURN client). */
typedef int sl_flow_fn(void *arg, struct sl_flow *f, struct sl_packet *p);
/* In a flow over DTLS, p is NULL once: the association has ended, nothing can be sent any more. */
struct sl_session;
/* u: a listener's socket. Opened while a packet of this remote is handled that came through DTLS,
 * the flow lives on that association: plain packets are not its. session: owner of the tuple in the
 * shared table, or NULL for a purely local flow. -SL_EEXIST. */
SL_API SL_MUST_CHECK int sl_flow_open(struct sl_udp *u, const struct sl_addr *remote,
				      struct sl_session *session, sl_flow_fn *fn, void *arg,
				      struct sl_flow **ret_flow);
/* Accepts NULL */
SL_API void sl_flow_close(struct sl_flow *f);
/*
 * Whose packets these are, any number. Where a worker or a socket has more to do than it can,
 * shares take turns, and who has most loses first; else nobody looks at it. Without it each flow is
 * a share of its own, and a module's sockets are looked after singly.
 */
SL_API void sl_flow_set_share(struct sl_flow *f, uint32_t share);
SL_API void sl_udp_set_share(struct sl_udp *u, uint32_t share);
/* Borrowed from the flow, as the addresses below */
SL_API struct sl_udp *sl_flow_udp(const struct sl_flow *f);
SL_API const struct sl_addr *sl_flow_remote(const struct sl_flow *f);
/* Server address the flow's packets came to */
SL_API const struct sl_addr *sl_flow_local(const struct sl_flow *f);
/* Its packets come through DTLS and are encrypted again */
SL_API bool sl_flow_is_dtls(const struct sl_flow *f);
/* To the remote, from the flow's local address */
SL_API SL_MUST_CHECK int sl_flow_send(struct sl_flow *f, struct sl_packet *p);

#endif
