/*
 * net/flow.h: the table of flows of this worker.
 */
#ifndef NET_FLOW_H
#define NET_FLOW_H

#include <sluice/hash.h>
#include <sluice/pool.h>
#include <sluice/udp.h>

struct net;

struct sl_flow {
	struct sl_hnode node;
	struct sl_udp *udp; /* of the listener */
	struct sl_addr remote, local;
	struct sl_assoc *assoc; /* NULL: plain */
	sl_flow_fn *fn;
	void *arg;
	uint32_t share; /* whose packets these are: sl_flow_set_share; never 0 */
};

struct flows {
	struct sl_htab table;
	struct sl_slab *slab;
};

int flows_open(struct net *n);
void flows_close(struct net *n);
struct sl_flow *flow_find(const struct net *n, const struct sl_packet *p);
/* What sl_flow_open finds in its way; NULL */
struct sl_flow *flow_at(struct sl_udp *u, const struct sl_addr *remote);

#endif
