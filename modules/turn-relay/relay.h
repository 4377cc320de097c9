/*
 * turn-relay/relay.h: what the files of this module share.
 *
 * The TURN protocol is <sluice/turn.h>; this module gives the engine sockets, clients and a place
 * in the world:
 *
 *     turn_relay.c  descriptor, start and stop, the engine's clock
 *     conf.c        directives, and the engine's configuration made from them
 *     realm.c       realms: their directives, and which one a client has come to
 *     host.c        addresses of this host: which one a relay uses, which are denied as peers
 *     socket.c      relay sockets: ports, even ports, reservations
 *     relay.c       one allocation: its sockets, session, flow or connection; packets from peers
 *     datagram.c    clients over UDP
 *     stream.c      clients over TCP and TLS
 *     claim.c       reserved ports that another worker keeps
 *     offload.c     channels that the kernel relays by itself
 *     meters.c      the engine's counters as metrics
 *
 * An allocation is one struct relay, made with its first socket and freed when the engine releases
 * it.
 */
#ifndef TURN_RELAY_RELAY_H
#define TURN_RELAY_RELAY_H

#include <netinet/in.h>
#include <sluice/crypto.h>
#include <sluice/module.h>
#include <sluice/offload.h>
#include <sluice/pool.h>
#include <sluice/rate.h>
#include <sluice/turn.h>

enum { CHANNEL_HEADER = 4, REPLY_BYTES = 1280, MAX_HOST_ADDRS = 64, MAX_HELD = 16 };

struct relay_user { /* a record of `users` */
	struct sl_str name, password;
};

struct relay_limit { /* 0: none */
	int64_t allocations, permissions, channels, bps;
};

struct relay_realm { /* a record of `realms`; what it shares with the main block has its name */
	struct sl_str realm;
	struct sl_list server_names;		 /* struct sl_str */
	struct sl_list secrets;			 /* struct sl_str */
	struct sl_list users;			 /* struct relay_user */
	struct sl_list password_algorithms;	 /* int32_t: of algorithm_names */
	struct sl_list allow_peers, deny_peers;	 /* struct sl_cidr */
	uint64_t default_lifetime, max_lifetime; /* ms */
	int64_t user_quota, max_permissions, max_channels, allocation_bps;
	struct relay_limit user_limits, source_limits, realm_limits;
	bool auth, userhash;
};

struct relay_conf {
	struct sl_str realm, software, public_host;
	struct sl_list realms;		    /* struct relay_realm */
	struct sl_list secrets;		    /* struct sl_str */
	struct sl_list users;		    /* struct relay_user */
	struct sl_list password_algorithms; /* int32_t: of algorithm_names */
	struct sl_ports ports;
	struct sl_list external, relay_addresses, alternates; /* struct sl_addr */
	struct sl_str alternate_domain;
	struct sl_list allow_peers, deny_peers; /* struct sl_cidr */
	uint64_t default_lifetime, max_lifetime, nonce_lifetime, idle_timeout,
		credential_lifetime; /* ms */
	uint64_t buffer;	     /* bytes */
	int64_t user_quota, max_allocations, alternate_above, max_permissions, max_channels,
		challenge_rate, allocation_bps;
	struct relay_limit user_limits, source_limits, realm_limits, total_limits;
	int32_t offload; /* enum sl_offload_mode */
	bool auth, userhash, ipv4, ipv6;
};

/* Rows of the metric table behind those of the engine, in its order. */
enum relay_meter {
#define X(name, help) M_TURN_##name,
	SL_TURN_COUNTERS(X)
#undef X
		M_LIVE,
	M_NO_PORT,
	M_USER_QUOTA, /* as enum relay_session_limit */
	M_SOURCE_QUOTA,
	M_REALM_QUOTA,
	M_CHALLENGES_LIMITED,
	M_FORWARDED,
	M_CLIENT_QUEUE_FULL,
	M_PEER_QUEUE_FULL,
	M_TOO_LONG,
	M_CONNECTIONS,
	M_STREAM_ERRORS,
};

/* A relay socket. owner NULL: reserved, waiting for its allocation. */
struct relay_socket {
	struct relay *owner;
	struct sl_udp *udp;
	struct sl_addr relayed;	   /* as peers see it */
	struct relay_socket *next; /* in turn_relay.reserved */
	struct turn_relay *module;
};

struct relay {
	struct turn_relay *module;
	struct sl_turn_alloc *alloc;
	struct relay_socket *sockets[2]; /* IPv4, IPv6 */
	struct sl_session *session;
	struct sl_flow *flow;  /* client over UDP, or */
	struct stream *stream; /* over TCP */
	struct pair *pairs;    /* channels that the kernel relays */
};

struct turn_relay {
	struct sl_worker *worker;
	const struct relay_conf *conf;
	struct sl_turn_conf engine_conf;
	struct relay_realm *realms; /* n_realms, the main block's first */
	struct sl_turn_realm *engine_realms;
	unsigned n_realms;
	struct sl_str *secrets; /* the operator's, newest first, then the node's own */
	unsigned n_secrets;
	uint8_t own_secret[32];
	struct sl_turn *engine;
	const struct sl_meter *m;
	struct sl_turn_counters exported; /* what the meters have of the engine's counters */
	struct sl_timer timer;
	struct sl_post post;		  /* exports counters at the end of a tick */
	struct sl_rate *challenges;	  /* NULL: no limit */
	const struct sl_stun_iface *stun; /* NULL: module stun is not loaded */
	void *stun_self;
	struct sl_channel *channel;
	struct sl_packet *held[MAX_HELD]; /* W: claim.c; the oldest is overwritten */
	unsigned next_held;
	bool replaying;
	struct sl_slab *relays, *sockets, *pairs;
	struct pair *first_pair; /* of all relays */
	struct sl_timer read_pairs;
	struct relay_socket *reserved;
	struct stream *first_stream;
	struct sl_addr host[MAX_HOST_ADDRS]; /* of this host and external, ports 0 */
	unsigned n_host;
	uint64_t n_ports_tried;
	/* Whose request the engine is serving, for io.granted. W: datagram.c, stream.c */
	struct sl_packet *packet;
	struct stream *stream;
};

/* ---- conf.c */
extern const struct sl_directive relay_directives[], user_fields[];
extern const char *const algorithm_names[];
/* A worker's part of a number for all */
int64_t relay_share(const struct turn_relay *m, int64_t total);
int relay_check(struct sl_conf *c, void *conf);
int relay_engine_conf(struct turn_relay *m);
void relay_engine_conf_free(struct turn_relay *m);

/* ---- realm.c */
extern const struct sl_directive limit_fields[], realm_fields[];
void realm_inherit(const struct sl_conf *c, const struct relay_conf *rc, size_t index);
int realms_open(struct turn_relay *m);
void realms_close(struct turn_relay *m);
struct sl_turn_limit limit_share(const struct turn_relay *m, const struct relay_limit *total);
unsigned realm_of_packet(const struct turn_relay *m, const struct sl_packet *p);
/* Of a connection whose TLS, if any, has shaken hands */
unsigned realm_of_conn(const struct turn_relay *m, const struct sl_conn *c);

/* ---- host.c */
int host_read(struct turn_relay *m);
bool host_is_public(const struct sl_addr *a);
bool host_has_family(const struct turn_relay *m, uint8_t family);
/* Where a relay of the family binds for a client that came to `server`. -SL_ENOENT: this host has
 * no such address. */
int host_choose(const struct turn_relay *m, uint8_t family, const struct sl_addr *server,
		struct sl_addr *ret_local);
struct sl_addr host_external(const struct turn_relay *m, const struct sl_addr *local);

/* ---- socket.c */
int socket_open(struct relay *r, const struct sl_turn_want *want, struct relay_socket **ret_socket);
/* Accepts NULL */
void socket_close(struct relay_socket *s);
void socket_unreserve(struct turn_relay *m, const struct sl_addr *relayed);
/* unset: none such */
struct sl_addr socket_reserved_local(const struct turn_relay *m, const struct sl_addr *relayed);
int socket_reserve(struct turn_relay *m, const struct sl_addr *local, struct sl_addr *ret_relayed);

/* ---- relay.c */
extern const struct sl_turn_io relay_io;
/* arg: struct relay_socket */
void relay_from_peer(void *arg, struct sl_packet *p);
sl_udp_error_fn relay_peer_error;
/* Sends what p holds to the peer; from a relay socket of its family. */
void relay_to_peer(struct relay *r, struct sl_packet *p, const struct sl_addr *peer);

/* ---- datagram.c */
sl_dgram_fn datagram_content;
sl_flow_fn datagram_flow;

/* ---- stream.c */
struct stream;
sl_conn_fn stream_preread;
/* Pads to 4; drops when the client does not read */
void stream_send(struct stream *s, struct sl_packet *p);
/* NULL: its allocation ended */
void stream_adopt(struct stream *s, struct relay *r);
void streams_close(struct turn_relay *m);
/* Serves the request that waited for it */
void streams_claimed(struct turn_relay *m, const uint8_t *token);

/* ---- claim.c */
int claim_open(struct turn_relay *m);
/* An Allocate that came through DTLS and cannot be handed over: kept until its port is here. false:
 * to be served as it is. */
bool claim_for(struct turn_relay *m, struct sl_packet *p, const struct sl_stun_msg *msg);
void claim_close(struct turn_relay *m);
/* Answered by streams_claimed */
int claim_ask(struct turn_relay *m, uint16_t slot, const uint8_t *token);

/* ---- offload.c: parts of relay_io */
void offload_busy(void *ctx, struct sl_turn_alloc *a, uint16_t number, bool to_peer);
void offload_retimed(void *ctx, struct sl_turn_alloc *a, uint16_t number);
void offload_unbound(void *ctx, struct sl_turn_alloc *a, uint16_t number);
int offload_begin(struct turn_relay *m);
/* For all of them, at the end */
void offload_end(struct turn_relay *m);
/* What the kernel relays of the allocation comes here again; to be asked for anew. */
void offload_recall(struct relay *r);
/* The same, for one peer, and not to be asked for before its channel is refreshed */
void offload_refuse(struct relay *r, const struct sl_addr *peer);

/* ---- credentials.c */
struct sl_ice_servers_iface;
extern const struct sl_ice_servers_iface credentials_iface; /* self: struct turn_relay */
int credentials_open(struct turn_relay *m);
void credentials_close(struct turn_relay *m);

/* ---- turn_relay.c */
void module_arm(struct turn_relay *m);
static inline uint64_t module_now_ms(const struct turn_relay *m)
{
	return sl_loop_ms(m->worker->loop);
}

/* ---- meters.c */
extern const struct sl_metric relay_metrics[];
void meters_export(struct sl_post *post);
static inline void meters_touch(struct turn_relay *m)
{
	sl_post(m->worker->loop, &m->post);
}

#endif
