/*
 * net/handshake.h: how many handshakes of TLS and DTLS this worker begins, and when.
 */
#ifndef NET_HANDSHAKE_H
#define NET_HANDSHAKE_H

#include <sluice/loop.h>
#include <sluice/rate.h>

struct net;
struct sl_conn;

struct handshake_limits { /* of one worker; 0: none */
	unsigned in_flight;   /* begun and not finished */
	unsigned per_second;
	unsigned per_source; /* a second, by address or /64 */
};

struct handshakes {
	struct handshake_limits limits;
	struct sl_rate *sources, *all; /* NULL: no limit */
	unsigned n_in_flight, n_this_tick, n_waiting;
	struct sl_conn *first, *last; /* waiting, in order */
	struct sl_post post;	      /* the end of a tick in which one began, or waits */
	struct sl_timer timer;	      /* until there is a token again */
};

int handshakes_open(struct net *n, const struct handshake_limits *limits);
void handshakes_close(struct net *n);

/* What becomes of a connection that shows a ClientHello. SL_OK: it may go on. SL_AGAIN: it waits,
 * and preread_ready is called when it is its turn. SL_DROP: there are too many. */
int handshake_ask(struct sl_conn *c);
/* Finished, or gone elsewhere, or dead; also for those that never began. */
void handshake_over(struct sl_conn *c);

/* The same for a client over DTLS, who cannot wait but repeats its hello. */
bool handshake_begin(struct net *n, const struct sl_addr *remote);
void handshake_end(struct net *n);

#endif
