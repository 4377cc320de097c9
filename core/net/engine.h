/*
 * net/engine.h: struct net, the state of the packet and connection path in one worker.
 *
 * Each part stands in its own header and file and gets at its neighbours through this struct.
 * Nothing outside core/net includes it.
 */
#ifndef NET_ENGINE_H
#define NET_ENGINE_H

#include "net/arena.h"
#include "net/assoc.h"
#include "net/dgram.h"
#include "net/flow.h"
#include "net/handshake.h"
#include "net/meters.h"
#include "net/net.h"
#include "net/offload.h"
#include "net/stream.h"
#include "net/txq.h"
#include "os/uring.h"

struct net {
	struct sl_worker *worker;
	struct net_listener *listeners; /* borrowed */
	unsigned n_listeners;
	const struct sl_listener **public_listeners; /* the same, as modules see them */
	struct sl_udp **listener_sockets;	     /* by position; NULL for TCP */
	const struct sl_meter *meters;
	bool gso;
	enum net_gro gro;
	struct uring *uring; /* NULL: each socket by calls of its own */
	struct arena arena;
	struct rx rx;
	struct txq txq;
	struct shares shares;
	struct flows flows;
	struct assocs assocs;
	struct sl_slab *sockets;      /* of struct sl_udp */
	struct sl_udp *first_socket;  /* all that are open */
	struct sl_udp *closed_socket; /* to be freed when the tick ends */
	struct sl_post free_closed;
	struct sl_packet *current; /* the listener packet being handled, for sl_flow_open */
	bool leaving;		   /* what still arrives is passed on: net_close */
	bool current_forwarded;	   /* it came by another worker */
	int (*check)(void *arg, struct sl_packet *p); /* net_on_check */
	void *check_arg;
	int (*stray)(void *arg, struct sl_packet *p); /* net_on_stray */
	void *stray_arg;
	int (*check_conn)(void *arg, struct sl_conn *c); /* net_on_conn_check */
	void *check_conn_arg;
	struct streams streams;
	struct handshakes handshakes;
	struct offload *offload; /* NULL: the kernel relays nothing here */
};

/* From now on each socket by itself */
void net_drop_uring(struct net *n);

static inline const struct sl_meter *net_meter(const struct net *n, enum net_meter m)
{
	return &n->meters[m];
}

#endif
