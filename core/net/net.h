/*
 * net/net.h: the packet and connection path of one worker, and what the layers above give it.
 *
 * Knows listeners, sockets, batches, flows, streams and TLS; does not know modules: phases come as
 * flat arrays. Sockets of listeners are made by the master (net/listener.h) and adopted here.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <sluice/conn.h>
#include <sluice/udp.h>
#include "event/inbox.h"
#include "net/handshake.h"
#include "net/hooks.h"
#include "net/offload.h"
#include "shm/shm.h"

struct net_listener {
	struct sl_listener pub;
	int fd; /* UDP: this slot's socket; TCP: the shared listening socket; owned by net from
		   net_open on */
	bool wildcard; /* bound to 0.0.0.0 or ::, so that each packet says its local address
			  (IP_PKTINFO) */
	int flow_map;  /* eBPF flow map shared by all listeners; -1: steering by forwarding */
	struct sl_dtls_ctx *dtls; /* of pub.tls. W: net */
	bool tls_only;		  /* nothing plain is taken */
	uint64_t preread_timeout_ms;
	unsigned max_conns; /* per worker; accepted and closed at once beyond it, counted */
	const struct sl_cidr *balancers; /* n_balancers; their connections begin with PROXY; borrowed */
	unsigned n_balancers;
	struct hook_chain guard, content;			 /* UDP */
	struct hook_chain accept, access, preread, closing, log; /* TCP: CONN_ACCEPT .. LOG_CONN */
};

/* Counters of the net layer, in this order in its metric table; module name "core". */
extern const struct sl_metric net_metrics[];

enum net_gro { NET_GRO_OFF, NET_GRO_ON, NET_GRO_AUTO };

struct net_conf {
	struct net_listener *listeners; /* borrowed, outlives net */
	unsigned n_listeners;
	unsigned max_packets; /* arena limit */
	bool gso;
	enum net_gro gro;
	bool io_uring; /* where there is one */
	struct offload_conf offload;
	struct handshake_limits handshakes;
	const struct sl_meter *meters; /* one per row of net_metrics */
};

#define NET_CHANNEL 0x6e657400u /* inbox channel of forwarded datagrams */

/* Sets w->net; starts nothing */
int net_open(struct sl_worker *w, const struct net_conf *conf, struct net **ret_net);
/* Begins to read and accept */
int net_start(struct net *n);
/* Who is asked about Binding requests of unknown senders before the modules are: SL_DONE takes one. */
void net_on_check(struct net *n, int (*check)(void *arg, struct sl_packet *p), void *arg);
/* Who is asked about RTP and RTCP of unknown senders; as above. */
void net_on_stray(struct net *n, int (*stray)(void *arg, struct sl_packet *p), void *arg);
/* Who is asked about a plain connection's first bytes before the modules are; answers as a handler of
 * CONN_PREREAD. */
void net_on_conn_check(struct net *n, int (*check)(void *arg, struct sl_conn *c), void *arg);
/* Stops accepting; UDP flows go on; new ones that still arrive are forwarded to the current
 * generation. */
void net_drain(struct net *n);
/* A few times a second: connections whose wake-up went to a worker that left */
void net_look(struct net *n);
void net_close(struct net *n);
/* A datagram forwarded by another worker */
void net_inbox(struct net *n, const struct inbox_msg *msg);
unsigned net_n_conns(const struct net *n);

#endif
