/*
 * turn-relay/relay.h: what the files of this module share.
 *
 * The TURN protocol is <sluice/turn.h>; this module gives the engine sockets, clients and a place
 * in the world:
 *
 *     turn_relay.c  descriptor, start and stop, the engine's clock
 *     conf.c        directives, and the engine's configuration made from them
 *     realm.c       realms: their directives, and which one a client has come to
 *     policy.c      peers that a later generation denies
 *     host.c        addresses of this host: which one a relay uses, which are denied as peers
 *     socket.c      relay sockets: ports, even ports, reservations
 *     relay.c       one allocation: its sockets, session, flow or connection; packets from peers
 *     unproven.c    how much is answered to those who have proven nothing
 *     datagram.c    clients over UDP
 *     stream.c      clients over TCP and TLS
 *     frame.c       TURN on a stream of bytes
 *     claim.c       reserved ports that another worker keeps
 *     offload.c     channels that the kernel relays by itself
 *     mobility.c    allocations that follow their client to another 5-tuple
 *     transfer.c    connections of clients that belong to another worker,
 *     bridge.c      and DTLS associations
 *     peers.c       TCP relays: listening, connecting, peers that wait for their client
 *     pump.c        bytes between two connections
 *     credentials.c credentials that this node gives out
 *     handout.c     the same for applications, over HTTP
 *     meters.c      the engine's counters as metrics
 *     show.c        what tools and other modules learn of an allocation
 *
 * An allocation is one struct relay, made with its first socket and freed when the engine releases
 * it.
 */
#ifndef TURN_RELAY_RELAY_H
#define TURN_RELAY_RELAY_H

#include <netinet/in.h>
#include <sluice/bus.h>
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

struct relay_token_key {	/* a record of `token_keys` */
	struct sl_str kid, key; /* key: in base64 */
};

struct relay_limit { /* 0: none */
	int64_t allocations, permissions, channels, bps;
};

struct relay_realm { /* a record of `realms`; what it shares with the main block has its name */
	struct sl_str realm;
	struct sl_list server_names; /* struct sl_str */
	struct sl_list secrets;	     /* struct sl_str */
	struct sl_list users;	     /* struct relay_user */
	struct sl_list token_keys;   /* struct relay_token_key */
	struct sl_str token_server;
	struct sl_list password_algorithms;	 /* int32_t: of algorithm_names */
	struct sl_list allow_peers, deny_peers;	 /* struct sl_cidr */
	uint64_t default_lifetime, max_lifetime; /* ms */
	int64_t user_quota, max_permissions, max_channels, allocation_bps;
	struct relay_limit user_limits, source_limits, realm_limits;
	bool auth, userhash;
};

struct relay_conf {
	struct sl_str realm, software, public_host, credentials_path;
	struct sl_list realms;	   /* struct relay_realm */
	struct sl_list secrets;	   /* struct sl_str */
	struct sl_list users;	   /* struct relay_user */
	struct sl_list token_keys; /* struct relay_token_key */
	struct sl_str token_server;
	struct sl_list password_algorithms; /* int32_t: of algorithm_names */
	struct sl_ports ports;
	struct sl_list external, relay_addresses, alternates; /* struct sl_addr */
	struct sl_str alternate_domain;
	struct sl_list allow_peers, deny_peers; /* struct sl_cidr */
	uint64_t default_lifetime, max_lifetime, nonce_lifetime, idle_timeout, credential_lifetime,
		alternate_probe; /* ms; alternate_probe 0: never */
	uint64_t buffer;	 /* bytes */
	int64_t user_quota, max_allocations, alternate_above, max_permissions, max_channels,
		challenge_rate, allocation_bps;
	struct relay_limit user_limits, source_limits, realm_limits, total_limits;
	int32_t offload; /* enum sl_offload_mode */
	int64_t max_connections;
	bool auth, userhash, ipv4, ipv6, tcp_relays, mobility, carry_dscp, carry_ttl, recheck_peers;
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
	M_ANSWERS_LIMITED,
	M_CREDENTIALS_GIVEN,
	M_CREDENTIALS_REFUSED,
	M_ALTERNATES_FOUND,
	M_ALTERNATES_LOST,
	M_FORWARDED,
	M_CLIENT_QUEUE_FULL,
	M_PEER_QUEUE_FULL,
	M_TOO_LONG,
	M_TTL_EXPIRED,
	M_CONNECTIONS,
	M_STREAM_ERRORS,
};

/* A relay socket. owner NULL: reserved, waiting for its allocation. */
struct relay_socket {
	struct relay *owner;
	struct sl_udp *udp;	   /* NULL: for TCP */
	struct sl_event listening; /* for TCP; fd is the socket's own */
	struct sl_addr local;	   /* for TCP */
	struct sl_addr relayed;	   /* as peers see it */
	struct relay_socket *next; /* in turn_relay.reserved */
	struct turn_relay *module;
};

/* To the client: a flow, or a stream. */
struct relay_way {
	struct sl_flow *flow;
	struct stream *stream;
};

struct relay {
	struct turn_relay *module;
	struct sl_turn_alloc *alloc;
	struct relay_socket *sockets[2]; /* IPv4, IPv6 */
	struct sl_session *session;
	struct sl_flow *flow;  /* client over UDP, or */
	struct stream *stream; /* over TCP; neither: it is waited for */
	struct pair *pairs;    /* channels that the kernel relays, */
	unsigned n_offloaded;  /* in so many directions. W: offload.c */
	uint32_t share;	       /* its user's, among those who share a socket or the worker */
	bool live;	       /* was granted, at: */
	uint64_t granted_ms;
	/* W: mobility.c. While it moves there is another way: flow and stream are the new one, or
	 * the old one, if that was heard last. */
	bool moving, at_new;
	struct relay_way other;
	struct sl_session *moving_session; /* of the new place, for strays; NULL: none */
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
	struct sl_post post;	      /* exports counters at the end of a tick */
	struct {		      /* unproven.c */
		struct sl_rate *rate; /* NULL: no limit */
		int64_t balance;      /* bytes that may be answered beyond what is received */
		uint64_t allowed_ms;  /* when the allowance was last added to it */
	} unproven;
	const struct sl_stun_iface *stun; /* NULL: module stun is not loaded */
	void *stun_self;
	const struct sl_http_iface *http; /* NULL: no credentials_path */
	void *http_self;
	struct sl_channel *channel;
	struct alternates *alternates;	  /* W: alternates.c; NULL: this worker does not ask */
	uint64_t answering;		  /* bits of the alternates that do */
	struct sl_packet *held[MAX_HELD]; /* W: claim.c; the oldest is overwritten */
	unsigned next_held;
	bool replaying;
	struct sl_slab *relays, *sockets, *pairs;
	struct sl_cidr **later_peers; /* by realm: a later generation's. W: policy.c */
	uint32_t later_generation;    /* whose they are */
	struct pair *first_pair;      /* of all relays */
	struct sl_timer read_pairs;
	struct sl_pass *pass;
	uint32_t n_transfers; /* number of the last question */
	struct pump *first_pump;
	struct bridge *first_bridge;
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
extern const struct sl_directive limit_fields[], token_key_fields[], realm_fields[];
void realm_inherit(const struct sl_conf *c, const struct relay_conf *rc, size_t index);
/* Decodes a key of base64 into 32 bytes of room; its length, 16 or 32, or -SL_EINVAL */
int realm_token_key(struct sl_str text, uint8_t ret_key[32]);
int realms_open(struct turn_relay *m);
void realms_close(struct turn_relay *m);
struct sl_turn_limit limit_share(const struct turn_relay *m, const struct relay_limit *total);
/* -SL_ENOENT */
int realm_by_name(const struct turn_relay *m, struct sl_str name, unsigned *ret_realm);
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
/* In one piece or not at all (DONT-FRAGMENT). */
void relay_to_peer_whole(struct relay *r, struct sl_packet *p, const struct sl_addr *peer);

/* A control message, which is never dropped: a client that does not read is closed. */
void relay_tell(struct relay *r, const uint8_t *text, size_t len);

/* ---- unproven.c */
int unproven_open(struct turn_relay *m);
void unproven_close(struct turn_relay *m);
/* False: the source is over its rate (counted) */
bool unproven_may_ask(struct turn_relay *m, const struct sl_addr *from, uint64_t now_ms);
/* False: it would be more than what was received (counted) */
bool unproven_may_answer(struct turn_relay *m, size_t asked, size_t answer, uint64_t now_ms);

/* ---- datagram.c */
sl_dgram_fn datagram_content;
sl_flow_fn datagram_flow;

/* ---- mobility.c */
/* Of struct sl_turn_io */
int relay_moved(void *ctx, struct sl_turn_alloc *a);
/* While it moves: something came this way. settles: no repetition of the Refresh that moved it */
void relay_heard(struct relay *r, struct relay_way from, bool settles);
/* This way has ended by itself */
void relay_way_lost(struct relay *r, struct relay_way way);
void relay_ways_close(struct relay *r);

/* ---- frame.c */
enum { FRAME_MAX = 65540 };
/* The frame's whole length once its header is there, else 0; -SL_EPARSE: no frame begins so. */
ptrdiff_t frame_length(const uint8_t *p, size_t len);
/* Of a frame whose header is there: something from a peer, in either form */
bool frame_is_media(const uint8_t *frame);
/* To four bytes; -SL_EFULL: no room */
int frame_pad(struct sl_packet *p);

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
void stream_tell(struct stream *s, const uint8_t *text, size_t len);
struct turn_relay *stream_module(const struct stream *s);
struct sl_conn *stream_conn(const struct stream *s);
/* Where a client came in; read as long as the worker lives. */
struct stream_place {
	const struct sl_listener *listener;
	unsigned realm;
	bool datagrams; /* through DTLS, else a connection */
};
struct stream_place stream_place(const struct stream *s);
/* From now on its bytes are the pump's; returns its connection */
struct pump;
struct sl_conn *stream_joined(struct stream *s, struct pump *p);
/* That asked this question; it has its answer now. NULL: gone */
struct stream *stream_that_waits(struct turn_relay *m, uint32_t number);
/* Of a client that another worker has let in; the descriptor is taken only by success. */
int stream_visit(struct turn_relay *m, const struct sl_conn_source *from,
		 const struct stream_place *at);

/* ---- claim.c */
enum claim_type {
	CLAIM_ASK = 1,
	CLAIM_ANSWER,
	TRANSFER_ASK,
	TRANSFER_ANSWER,
	ALTERNATES_ASK,
	ALTERNATES_ARE,
	PEERS_ASK,
	PEERS_ARE,
	PEERS_CHANGED,
};
int claim_open(struct turn_relay *m);
/* An Allocate that came through DTLS and cannot be handed over: kept until its port is here. false:
 * to be served as it is. */
bool claim_for(struct turn_relay *m, struct sl_packet *p, const struct sl_stun_msg *msg);
void claim_close(struct turn_relay *m);
int claim_owner(const struct turn_relay *m, uint16_t slot, uint32_t *ret_owner);
/* Is this Allocate with a token more than the question for a challenge? */
bool claim_is_due(const struct turn_relay *m, unsigned realm, const struct sl_stun_msg *msg);
/* Answered by streams_claimed */
int claim_ask(struct turn_relay *m, uint16_t slot, const uint8_t *token);

/* ---- transfer.c */
int transfer_open(struct turn_relay *m);
/* May the stream go to the worker of this slot? The answer finds it by the number. */
int transfer_ask(struct turn_relay *m, uint16_t slot, uint32_t *ret_number);
void transfer_on_ask(struct turn_relay *m, uint32_t from, struct sl_str data);
void transfer_on_answer(struct turn_relay *m, struct sl_str data);
/* fd: our end of a client's pipe, gone in any case */
int transfer_pass(struct turn_relay *m, const struct sl_pass_place *to,
		  const struct sl_conn_source *client, const struct stream_place *at, int fd);

/* ---- bridge.c */
/* A request through DTLS that is for the worker of this slot; -SL_ENOENT: nobody is there. */
int bridge_ask(struct turn_relay *m, struct sl_packet *p, uint16_t slot);
/* Is the question of this number its? Then the place is where it goes. */
bool bridge_answered(struct turn_relay *m, uint32_t number, const struct sl_pass_place *to);
void bridges_stop(struct turn_relay *m);

/* ---- alternates.c */
struct sl_channel_msg;
/* After the engine and the channel */
int alternates_open(struct turn_relay *m);
void alternates_close(struct turn_relay *m);
void alternates_on_message(struct turn_relay *m, const struct sl_channel_msg *msg);

/* ---- policy.c */
/* A newer generation serves: its lists of peers are asked for, and all who drain are told to */
void policy_drain(struct turn_relay *m);
void policy_on_message(struct turn_relay *m, const struct sl_channel_msg *msg);
void policy_close(struct turn_relay *m);

/* ---- pump.c */
enum pump_side { PUMP_STREAM, PUMP_OTHER };
struct peer;
/* other.fd is the pump's in any case; peer: whose connection that is, or NULL. NULL: no memory */
struct pump *pump_start(struct stream *s, const struct sl_conn_source *other, struct peer *peer);
/* Closes both sides; says nothing to the peer's struct any more */
void pump_stop(struct pump *p);
void pumps_stop(struct turn_relay *m);
/* What happens to the stream's connection */
ptrdiff_t pump_input(struct pump *p, const uint8_t *data, size_t len);
void pump_drained(struct pump *p);
void pump_ended(struct pump *p);
void pump_closed(struct pump *p, enum sl_close_reason why);

/* ---- peers.c */
int peers_listen(struct relay_socket *s, const struct sl_addr *local);
void peers_stop_listening(struct relay_socket *s);
/* Of struct sl_turn_io */
int peers_connect(void *ctx, struct sl_turn_conn *c);
void peers_disconnect(void *ctx, struct sl_turn_conn *c);
/* Joins the peer's connection with the stream's; after a failure the peer's is gone */
int peers_bind(struct sl_turn_conn *c, struct stream *s);
/* Counts; false: over a rate, later */
bool peer_may_pass(struct peer *p, enum pump_side from, size_t len);
void peer_ended(struct peer *p);

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

/* ---- show.c */
/* Something that `sluice sessions` shows is another now */
void show_relay(struct relay *r);
/* Of struct sl_turn_io */
void show_counted(void *ctx, struct sl_turn_alloc *a);
/* name: of the event. why: of the end, or NULL */
void show_event(struct relay *r, const char *name, const char *why);

/* ---- credentials.c */
struct sl_ice_servers_iface;
extern const struct sl_ice_servers_iface credentials_iface; /* self: struct turn_relay */
int credentials_open(struct turn_relay *m);
void credentials_close(struct turn_relay *m);
struct sl_buf;
int credentials_write(const struct turn_relay *m, struct sl_str host, struct sl_str id,
		      struct sl_buf *json);

/* ---- handout.c */
struct sl_http_iface;
int handout_open(struct turn_relay *m);

/* ---- turn_relay.c */
void module_arm(struct turn_relay *m);
/* What the module wants to know of the header of datagrams there, and how they leave */
int module_hear_header(const struct turn_relay *m, struct sl_udp *u);
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
