/*
 * sip-gateway/tie.h: what ends, or has to look for another way, when a connection ends or a client
 * leaves.
 *
 * Connections end by the thousand at once, when a network or a proxy fails. So what hangs on one is
 * found by its name, and not by looking through all there is; it costs the same to tie and to untie
 * whatever else hangs there.
 */
#ifndef SIP_TIE_H
#define SIP_TIE_H

#include <sluice/hash.h>
#include "wire.h"

/* What something is tied to. */
struct tie_to {
	enum { TIE_NOTHING, TIE_CONN, TIE_REMOTE, TIE_PEER } kind;
	uint64_t id;
};
/* A connection that there is; of a datagram's flow, and one to be made: nothing */
struct tie_to tie_to_conn(const struct sip_flow *flow);
/* The address that a connection is made to; of a datagram's flow: nothing */
struct tie_to tie_to_remote(const struct sip_flow *flow);
/* A client without SIP; 0: nothing */
struct tie_to tie_to_peer(uint64_t peer);

struct tied;
/* Lives in what is tied. Zeroed: it is not; fn is its owner's, and stays. */
struct tie {
	struct tie *next, **at; /* at: who points to it */
	struct tied *to;
	void (*fn)(struct tie *t); /* the end has come: t is untied, and its owner may be freed */
};

/* Ties anew. To nothing, or without memory: it hears of no end. */
void tie_set(struct sl_htab *all, struct tie *t, struct tie_to to);
void tie_cut(struct sl_htab *all, struct tie *t);
/* Calls fn of each, once. */
void tie_ended(struct sl_htab *all, struct tie_to to);
/* The same for all connections of a worker. */
void tie_worker_ended(struct sl_htab *all, uint32_t worker);
/* How many are tied there with this fn */
unsigned tie_count(const struct sl_htab *all, struct tie_to to, void (*fn)(struct tie *t));

#endif
