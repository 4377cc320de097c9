/*
 * sip-gateway/edge.h: the workers' half: sockets, the first judgement of what comes in, media legs.
 *
 * Nothing here understands a dialog. A message that is one, from a source that behaves, goes to the
 * stack's process whole; what the stack says goes out on the flow it names.
 *
 *     edge.c       life, the channel, whom a message belongs to
 *     guard.c      who is not worth an answer: scanners, floods, guessers of passwords
 *     datagram.c   UDP            stream.c  TCP and TLS, both directions       socket.c  WebSocket
 *     kept.c       what outlives a process of the stack
 *     mirror.c     what is told to a collector (HEP)
 *     media.c      legs at the stack's command        browser.c  rooms' clients that call
 *     people.c     who is in the rooms of legs
 */
#ifndef SIP_EDGE_H
#define SIP_EDGE_H

#include <sluice/http.h>
#include <sluice/module.h>
#include <sluice/rate.h>
#include <sluice/signal.h>
#include "conf.h"
#include "leg.h"
#include "preparse.h"
#include "wire.h"

enum {
	EDGE_STICKY = 8192,  /* calls whose process is remembered */
	EDGE_BLOCKED = 4096, /* sources that get nothing */
	EDGE_KNOWN = 256,    /* servers of trunks that have been written to */
};

struct edge;

/* A stream that carries SIP. */
struct edge_conn {
	struct sl_hnode by_id, by_remote; /* by_remote: of an outgoing one */
	struct edge *edge;
	uint32_t id;
	uint8_t transport;
	uint16_t listener;
	struct sl_conn *conn; /* TCP, TLS */
	struct sl_ws *ws;     /* WS, WSS */
	struct sl_addr remote, local;
	/* Of one that we make: what waits until it is connected */
	struct sl_event connecting;
	struct sl_timer patience;
	struct sl_buf waiting;
	bool outgoing;
	uint32_t peer; /* of an outgoing one over TLS: the trunk that was checked */
};

/* Which process has the transactions of a Call-ID that begin without a name of ours. */
struct edge_sticky {
	uint64_t hash;
	uint32_t owner;
};

struct edge_block {
	struct sl_addr source;
	uint64_t until_ms;
};

/* A leg with the number the stack gave it. */
struct edge_leg {
	struct sl_hnode node;
	struct edge *edge;
	uint32_t owner, id;
	struct leg *leg;
	bool orphan; /* its process has died */
	char *call_id; /* owned; NULL: not known, so far or at all */
	/* people.c: those of a room that its process wants to hear of */
	struct edge_leg *watch_next;
	char *room; /* owned; NULL: it does not */
	bool room_changed;
};

struct edge {
	struct sl_worker *w;
	const struct sip_conf *conf;
	const struct sl_meter *m;
	struct sl_channel *channel;
	struct sl_conn_ops stream_ops;
	const struct sl_http_iface *http;
	struct sl_ws_ops ws_ops;
	const struct sl_signal_iface *signal;
	void *signal_self;
	struct sl_htab clients; /* browser.c: those here that have registered */
	struct sl_htab conns;	/* edge_conn.by_id */
	struct sl_htab outgoing; /* edge_conn.by_remote */
	uint32_t last_id;
	struct sl_rate *requests, *further, *failures; /* guard.c */
	struct edge_block blocked[EDGE_BLOCKED];
	struct sl_addr known[EDGE_KNOWN]; /* by hash of the address without its port */
	struct edge_sticky sticky[EDGE_STICKY];
	uint32_t last_stack; /* the process that new work went to last */
	struct sl_tls_client *tls[2]; /* that checks certificates, and that does not */
	struct sl_tls_client **own_tls; /* by index: of trunks with a certificate for them alone */
	struct legs *legs;
	struct sounds *sounds;
	struct sl_htab leg_table; /* edge_leg.node */
	struct sl_timer orphans;  /* media.c */
	struct edge_leg *watching; /* people.c, as the three below */
	const struct sl_signal_iface *rooms;
	void *rooms_self;
	struct sl_post tell_people;
	struct sl_htab kept;	  /* kept.c, as the next */
	struct sl_timer spares;
	struct sl_udp *hep;	  /* mirror.c; NULL: nobody is told */
	struct sl_buf out;	  /* scratch of one message */
	bool draining;
};

/* ---- edge.c */
/* To the process that new work goes to; false: there is none. */
bool edge_tell(struct edge *e, uint32_t owner, enum wire_type type, const struct sl_buf *msg);
/* One whole message of a flow. False: not SIP; a stream is out of step then. */
bool edge_receive(struct edge *e, const struct sip_flow *flow, struct sl_str message);
void edge_flow_gone(struct edge *e, const struct sip_flow *flow);
struct edge_conn *edge_conn_new(struct edge *e, unsigned transport);
struct edge_conn *edge_conn_find(struct edge *e, uint32_t id);
void edge_conn_free(struct edge_conn *c);
/* Out of the tables: nothing is sent there any more. */
void edge_conn_forget(struct edge_conn *c);
struct sip_flow edge_conn_flow(const struct edge_conn *c);
int edge_conn_send(struct edge_conn *c, struct sl_str bytes);

/* ---- guard.c */
int guard_open(struct edge *e);
void guard_close(struct edge *e);
/* Is this message to be looked at? Counts why not. */
bool guard_allows(struct edge *e, const struct sip_flow *flow, const struct sip_peek *peek);
/* A trunk's: its requests are not counted. */
void guard_know(struct edge *e, const struct sl_addr *trunk);
/* Its sender has failed to authenticate. */
void guard_suspect(struct edge *e, const struct sl_addr *source);
bool guard_is_blocked(const struct edge *e, const struct sl_addr *source);

/* ---- transports */
int datagram_hook(void *ctx, struct sl_packet *p);
int datagram_send(struct edge *e, const struct sip_flow *flow, struct sl_str message);
int datagram_open(struct edge *e);
int stream_init(struct edge *e);
int stream_preread(void *ctx, struct sl_conn *c);
/* To the address of the flow, over a connection that is there or is made. */
int stream_send(struct edge *e, const struct sip_flow *flow, struct sl_str message);
void stream_stop(struct edge *e);
int socket_open(struct edge *e);

/* ---- mirror.c */
int mirror_open(struct edge *e);
void mirror_close(struct edge *e);
void mirror_in(struct edge *e, const struct sip_flow *flow, struct sl_str message);
void mirror_out(struct edge *e, const struct sip_flow *flow, struct sl_str message);
/* RTCP of a leg whose party has this Call-ID; empty: nobody could tell whose it is */
void mirror_report(struct edge *e, struct sl_str call_id, const struct leg_report *r);
bool mirror_wants_reports(const struct edge *e);
/* The record of a call that is over */
void mirror_record(struct edge *e, struct sl_str json);

/* ---- kept.c */
void kept_open(struct edge *e);
void kept_put(struct edge *e, uint32_t owner, struct sl_str data);
/* What another worker keeps, too: for when that one dies as well. */
void kept_put_spare(struct edge *e, uint32_t owner, struct sl_str data);
void kept_forget(struct edge *e, uint32_t owner, struct sl_str data);
/* A process of the stack, or another worker, has died. */
void kept_orphan(struct edge *e, uint32_t owner);
/* Gives a process what the dead have left. */
void kept_offer(struct edge *e, uint32_t to);
void kept_close(struct edge *e);

/* ---- media.c */
int media_open(struct edge *e);
void media_close(struct edge *e);
void media_command(struct edge *e, uint32_t owner, struct sl_str data);
/* A process of the stack has ended: its legs go on until they fall silent. */
void media_orphan(struct edge *e, uint32_t owner);
/* Processes of the stack that have legs here, but for the current one */
void media_tell_owners(struct edge *e, enum wire_type type, const struct sl_buf *msg);

/* To the process that commands it */
void media_event(const struct edge_leg *l, const struct wire_leg_event *ev);

/* ---- people.c */
/* The leg's process is told who is in this room, now and whenever that changes. -SL_EUNSUPP: there
 * is no signalling here */
SL_MUST_CHECK int people_watch(struct edge_leg *l, struct sl_str room);
void people_unwatch(struct edge_leg *l);
void people_close(struct edge *e);

/* ---- browser.c */
int browser_open(struct edge *e);
void browser_close(struct edge *e);
/* from: the process of the stack that says it */
void browser_send(struct edge *e, uint32_t from, struct sl_str data);
/* A process has died: those that had registered there are told when there is another. */
void browser_stack_gone(struct edge *e, uint32_t owner);
void browser_stack_up(struct edge *e, uint32_t owner);

#endif
