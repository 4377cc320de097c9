/*
 * net/assoc.h: DTLS associations of UDP listeners (RFC 7350).
 */
#ifndef NET_ASSOC_H
#define NET_ASSOC_H

#include <sluice/dtls.h>
#include <sluice/hash.h>
#include <sluice/pool.h>
#include <sluice/udp.h>

struct net;
struct sl_flow;

struct sl_assoc {
	struct sl_hnode node;
	struct sl_timer timer; /* the handshake's next step, or a look at how long it was quiet */
	struct net *net;
	struct sl_udp *udp;
	struct sl_addr remote, local;
	struct sl_dtls *dtls;
	struct sl_flow *flow;	  /* NULL: none lives on it */
	struct sl_packet *packet; /* the datagram being read: its slot takes the plain text */
	uint64_t active_ms;
	uint8_t tos, ttl; /* of what is being written */
	bool open, trimmed;
};

struct assocs {
	struct sl_htab table;
	struct sl_slab *slab;
};

int assocs_open(struct net *n);
/* Says goodbye to all; flows on them are told */
void assocs_close(struct net *n);
/* Whose datagrams these are: of the flow on the sender's association, or its own; 0: it has none */
uint32_t assoc_share(const struct net *n, const struct sl_packet *p);
/* A datagram of DTLS; false: its sender has no association here. */
bool assoc_input(struct net *n, struct sl_packet *p);
/* From a sender without association */
void assoc_listen(struct net *n, const struct sl_packet *p);
/* Encrypts and queues; results as those of sl_udp_send. */
int assoc_write(struct sl_assoc *a, const void *data, size_t len, uint8_t tos);
/* With its TOS and TTL */
int assoc_write_packet(struct sl_assoc *a, const struct sl_packet *p);

#endif
