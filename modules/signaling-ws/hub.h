/*
 * signaling-ws/hub.h: one worker's part of signalling, without sockets and clocks.
 *
 * struct hub is told what clients and other workers say and what time it is; it acts through struct
 * hub_io. struct conn is a WebSocket, struct peer a member of a room that this worker owns: it may
 * be without a socket for a while. In tests several hubs talk over a simulated channel.
 *
 *     hub.c    sockets: opened, text, closed, tick     room.c      the roster
 *     join.c   hello, join, resume, leave              spread.c    the roster over all workers,
 * delivery between them relay.c  offer, answer, candidate, message       handover.c  a peer moves
 * to another worker peer.c   delivery to a client, its end           guest.c     modules in rooms
 *     turns.c  whose message is heard when many speak at once
 *     mailbox.c, pair.c, protocol.c, limits.c, jwt.c: pure parts
 */
#ifndef SIGNALING_HUB_H
#define SIGNALING_HUB_H

#include <sluice/http.h>
#include <sluice/module.h>
#include <sluice/regex.h>
#include <sluice/signal.h>
#include "jwt.h"
#include "limits.h"
#include "mailbox.h"
#include "pair.h"
#include "protocol.h"
#include "room.h"
#include "source.h"

#define MAX_WORKERS 256

/* What the operator sets: directives of the same names. */
struct signal_conf {
	struct sl_str path;
	int32_t auth;	     /* enum auth */
	struct sl_list keys; /* struct token_key */
	uint64_t leeway;     /* ms */
	struct sl_str issuer, audience;
	struct sl_list origins;	    /* struct sl_regex * */
	struct sl_list ice_servers; /* struct ice_server */
	uint64_t max_message, max_queue, mailbox_bytes;
	int64_t mailbox_messages, max_peers, max_name, max_candidates;
	int64_t rate, burst; /* messages a second of one client */
	uint64_t resume_timeout, join_timeout, heartbeat, heartbeat_timeout,
		reconnect_spread; /* ms */
};

enum auth { AUTH_OPEN, AUTH_JWT };

struct ice_server {	     /* one that is not ours */
	struct sl_list urls; /* struct sl_str */
	struct sl_str username, credential;
};

/* Rows of the metric table, in its order. */
enum signal_metric {
	M_PEERS,
	M_CONNECTIONS,
	M_JOINS,
	M_JOINS_REFUSED,
	M_MESSAGES_IN,
	M_MESSAGES_OUT,
	M_MESSAGES_BETWEEN,
	M_BAD_MESSAGES,
	M_RATE_LIMITED,
	M_CANDIDATES_HELD,
	M_RESUMES,
	M_RESUMES_FAILED,
	M_HANDOVERS,
	M_PEERS_LOST,
	M_MAILBOX_OVERFLOWS,
	M_CHANNEL_FAILURES,
	M_ORIGINS_REFUSED,
	M_TOKENS_REFUSED,
	M_ICE_RENEWALS,
	M_MESSAGES_WAITED,
	M_JOIN_TIME,
	M_SETUP_TIME,
	N_SIGNAL_METRICS,
};

/* Upper bounds of the set-up times, in microseconds; ends with 0. */
extern const uint64_t signal_time_bounds[];

/* Close codes of our own (RFC 6455 section 7.4.2), and those of the RFC that we use. */
enum close_code {
	CLOSE_NORMAL = 1000,
	CLOSE_GOING_AWAY = 1001,
	CLOSE_POLICY = 1008,
	CLOSE_RESTART = 1012,
	CLOSE_BAD_VERSION = 4000,
	CLOSE_REPLACED = 4001,
	CLOSE_KICKED = 4002,
	CLOSE_MAILBOX_FULL = 4003,
	CLOSE_IDLE = 4004,
};

enum conn_state {
	CONN_NEW,     /* has not joined */
	CONN_WAITING, /* its join or resume waits for the roster */
	CONN_TAKING,  /* its resume waits for another worker */
	CONN_JOINED,
	CONN_CLOSING, /* nothing it says counts any more */
};

struct spoken { /* text that came while the connection was waiting */
	struct spoken *next;
	size_t len;
	char text[];
};

struct conn {
	struct conn *prev, *next; /* hub */
	struct hub *hub;
	struct sl_ws *ws;      /* NULL: not open yet */
	struct peer *peer;     /* CONN_JOINED */
	struct member *taking; /* CONN_TAKING */
	enum conn_state state;
	uint8_t version; /* 0: never said hello */
	bool throttled;	 /* was told so */
	struct bucket bucket;
	uint64_t opened_ms;
	uint64_t deadline_ms; /* to have joined, or to be answered; 0: none */
	struct spoken *first, **tail;
	size_t spoken_bytes;
	struct conn *turn_prev, *turn_next; /* hub->turns */
	bool in_turns;			    /* it has spoken, and waits for its turn */
	struct claims claims;
	char *host; /* owned: the Host header without port; may be NULL */
	struct sl_addr remote; /* of its socket; unset in tests */
};

struct peer {
	struct peer *prev, *next; /* hub */
	struct hub *hub;
	struct member *member;
	struct conn *conn;	    /* NULL: it lost its socket and may resume */
	struct sl_session *session; /* NULL in tests */
	struct mailbox box;
	struct pair *pairs;	/* to others */
	struct source *sources; /* from others */
	uint64_t replay_seq;	/* letters from this number on wait to be sent again; 0: none */
	uint64_t last_number;	/* highest message id that was accepted */
	uint64_t joined_ms;	/* until its first description has passed; then 0 */
	uint64_t deadline_ms;	/* without socket: its end. With: when ICE servers are renewed; 0:
				   never */
	uint8_t subject[SUBJECT_BYTES];
	bool hosted;		  /* a module's: it has no client, and is told nothing */
	uint8_t may;		  /* enum permission */
	uint32_t grants;	  /* enum sl_signal_grant */
	enum client_error doomed; /* ends when the hub has settled; the why */
	bool moved;		  /* doomed, and its socket may join another room */
};

struct hub_io {
	int (*send)(void *arg, struct sl_ws *ws, struct sl_str text);
	size_t (*queued)(void *arg, const struct sl_ws *ws); /* bytes */
	void (*close)(void *arg, struct sl_ws *ws, unsigned code, struct sl_str reason);
	int (*post)(void *arg, uint32_t to, uint16_t type, struct sl_str data);
	bool (*is_alive)(void *arg, uint32_t owner);
	void (*broadcast)(void *arg, uint16_t type, struct sl_str data);
	/* counted: refuse with -SL_ELIMIT when the room is full on this node. Sets p->session. */
	int (*session_open)(void *arg, struct peer *p, bool counted);
	void (*session_close)(void *arg, struct peer *p, const char *why);
	/* Appends a JSON array. *ret_ttl_s: 0, they last. */
	int (*ice_servers)(void *arg, struct sl_str host, struct sl_str id, struct sl_buf *json,
			   uint64_t *ret_ttl_s);
	uint64_t (*clock_us)(void *arg); /* goes on within a call: what a message takes */
	void (*go_on)(void *arg);	 /* turns_go_on() shall be called with the end of this tick,
					    or of the next one when that runs */
};

/* A module that takes part in the rooms */
struct guest {
	const char *const *types; /* of messages for it; NULL-terminated */
	const struct sl_signal_handler *handler;
	void *arg;
};
enum { MAX_GUESTS = 8 };

/* Connections that have spoken and are not heard yet, and what this tick has spent on others. */
struct turns {
	struct conn *first, *last;
	uint64_t used_us;
};

struct hub {
	const struct signal_conf *conf;
	const struct hub_io *io;
	void *io_arg;
	const struct sl_meter *m;
	uint32_t self;			    /* owner word of this worker */
	uint8_t token_key[TOKEN_KEY_BYTES]; /* of resume tokens, the same in all workers */
	uint64_t now_ms;		    /* W: caller, before each call */
	struct roster roster;
	struct conn *conns;
	struct turns turns;
	struct peer *peers;
	struct guest guests[MAX_GUESTS];
	unsigned n_guests;
	char hello[1024]; /* the guests' members for hello, without braces */
	bool any_doomed;
	uint32_t awaited[MAX_WORKERS]; /* workers whose rosters are awaited */
	unsigned n_awaited;
	uint64_t sync_deadline_ms;
};

/* ---- hub.c: called by endpoint.c and signaling.c */
void hub_free(struct hub *hub); /* with its connections; says nothing to anybody */
/* claims and host are taken over. NULL: out of memory, they are still the caller's. */
struct conn *hub_conn_new(struct hub *hub, struct claims *claims, char *host);
void hub_conn_opened(struct conn *c, struct sl_ws *ws);
void hub_conn_text(struct conn *c, struct sl_str text, bool binary);
void hub_conn_closed(struct conn *c, unsigned code); /* frees it */
void hub_tick(struct hub *hub);			     /* about once a second */
void hub_evict(struct peer *p, const char *why);
void hub_room_lost(struct hub *hub, struct room *room); /* media of this room died elsewhere */

/* ---- hub.c: for the parts */
void hub_settle(
	struct hub *hub); /* ends those that are doomed; at the end of every call from outside */
void conn_say(struct conn *c, struct sl_buf *text); /* frees text */
enum verdict conn_refuse(struct conn *c, enum client_error e, const char *sentence,
			 const struct message *m);
void conn_error(struct conn *c, enum client_error e, const char *sentence, const json_t *id);
void conn_close(struct conn *c, unsigned code, enum client_error e);
bool conn_handle(struct conn *c, struct sl_str text); /* true: to be heard again */

/* What became of a message: refused ones have been answered with an error. */
enum verdict { ACCEPTED, REFUSED, LATER /* hear it again when the connection is heard again */ };

/* ---- turns.c */
void turns_hear(struct conn *c, struct sl_str text); /* at once, or when it is its turn */
void turns_hear_again(struct conn *c);		     /* what it said while it waited */
void turns_hear_last(struct conn *c); /* its socket is closed: what it said before that counts */
/* The same of one that goes on over another socket. false: it has left by that, and is freed. */
bool turns_hear_peer(const struct peer *p);
void turns_forget(struct conn *c);
void turns_go_on(struct hub *hub); /* at the end of a tick, when io->go_on has asked for it */

/* ---- join.c */
enum verdict join_hello(struct conn *c, const struct message *m);
enum verdict join_room(struct conn *c, const struct message *m);
enum verdict join_resume(struct conn *c, const struct message *m);
enum verdict join_leave(struct conn *c, const struct message *m);
void join_announce(const struct member *joined); /* to its room mates here */
/* The peer is this connection's now; seen: what it says to have. */
void join_resumed(struct conn *c, struct peer *p, uint64_t seen);
void join_resume_failed(struct conn *c, const char *sentence);
/* A member with an open peer, which nobody knows yet; o->id and o->owner are set here. */
int join_new_peer(struct hub *hub, const struct member_opts *o, struct peer **ret_peer);
/* A right token is not enough where clients prove who they are. */
bool join_may_take(const uint8_t subject[SUBJECT_BYTES], const struct peer *p);

/* ---- relay.c */
enum verdict relay_message(struct conn *c, struct message *m);

/* ---- guest.c */
extern const struct sl_signal_iface guest_iface; /* self: struct hub */
void guest_joined(struct hub *hub, const struct member *m);
void guest_welcome(struct hub *hub, const struct member *m, struct sl_buf *members);
void guest_left(struct hub *hub, const struct member *m, const char *reason);
void guest_delivered(struct hub *hub, const struct member *m, struct sl_str json);
enum verdict guest_message(struct conn *c, const struct message *m);

/* ---- peer.c */
struct peer *peer_new(struct hub *hub, struct member *m);
/* The member is ours from now on. counted: -SL_ELIMIT when the room is full on this node. */
int peer_open(struct peer *p, bool counted);
void peer_close(struct peer *p,
		const char *why); /* and no longer; frees it. Its room is not told */
void peer_free(struct peer *p);	  /* one that is not open */
void peer_doom(struct peer *p, enum client_error why);
int peer_move(struct peer *p, struct sl_str word); /* doomed, and told so; its socket may join again */
void peer_attach(struct peer *p, struct conn *c);
void peer_detach(struct peer *p);
/* Number, keep, send. A mailbox that is full dooms the peer. */
void peer_deliver(struct peer *p, struct sl_str body);
/* The same for a message of another peer, in that one's order. */
void peer_hear(struct peer *p, uint64_t from, uint32_t number, struct sl_str body);
void peer_hear_late(struct peer *p); /* gives up what is missing for too long */
/* Sends again what is not acknowledged, as its socket takes it. */
void peer_replay(struct peer *p);
void peer_pump(struct peer *p); /* goes on with it */
void peer_send_ice(struct peer *p);
uint64_t
peer_ice_deadline(const struct hub *hub,
		  uint64_t ttl_s); /* when credentials of this life are renewed; 0: never */
/* Out of the room, with all that hangs on it; the socket stays. reason: for its room mates. */
void peer_end(struct peer *p, const char *reason);
void peer_info(const struct member *self, const struct member *other, struct peer_info *ret_info);

/* ---- spread.c */
enum spread_type {		   /* numbers are spoken between generations: append only */
		   SPREAD_ASK = 1, /* tell me your peers */
		   SPREAD_SYNCED,  /* that was all */
		   SPREAD_PEER,	   /* id, owner, version, room, name */
		   SPREAD_LEAVE,   /* id, reason */
		   SPREAD_DELIVER, /* id, from, number, body */
		   SPREAD_TAKE,	   /* id, asker, subject */
		   SPREAD_REFUSED, /* id */
		   SPREAD_GIVE,	   /* id, state of the peer */
		   SPREAD_LETTER,  /* id, seq, text */
		   SPREAD_PAIR,	   /* id, to, state */
		   SPREAD_HELD,	   /* id, to, ufrag, body */
		   SPREAD_SOURCE,  /* id, from, next number */
		   SPREAD_LATE,	   /* id, from, number, body */
		   SPREAD_GIVEN,   /* id, next seq: that was all */
		   SPREAD_END,	   /* id; and the last word, of one that is moved */
};
/* Asks the others for their peers; until they have answered, joins wait. */
void spread_start(struct hub *hub, const uint32_t *owners, unsigned n);
bool spread_is_synced(const struct hub *hub);
void spread_receive(struct hub *hub, uint32_t from, uint16_t type, struct sl_str data);
void spread_gone(struct hub *hub, uint32_t owner);
void spread_tick(struct hub *hub);
/* Tells everybody about a peer that is ours now. */
void spread_peer(struct hub *hub, const struct member *m, uint32_t owner);
void spread_leave(struct hub *hub, uint64_t id, const char *reason);
/* A message of our peer to a member, wherever that is. */
int spread_deliver(struct peer *from, struct member *to, struct sl_str body);
/* The same for what this node itself says; and: its owner shall end it. */
int spread_serve(struct hub *hub, struct member *to, struct sl_str body);
int spread_end(struct hub *hub, struct member *m);
int spread_move(struct hub *hub, struct member *m, struct sl_str word);
/* The member is here now, or will not come: what waited for it goes its way. */
void spread_release(struct hub *hub, struct member *m);
/* A member vanishes from this worker's roster; its room mates here are told. */
void spread_forget(struct hub *hub, struct member *m, const char *reason);
/* Begins a message: layout version and id. */
void spread_begin(struct sl_buf *b, uint64_t id);
void spread_post(struct hub *hub, uint32_t to, uint16_t type, struct sl_buf *b); /* frees b */

/* ---- handover.c */
enum verdict handover_ask(struct conn *c, struct member *m, uint64_t seen);
void handover_ask_again(struct hub *hub, struct member *m);
void handover_take(struct hub *hub, struct member *m, struct sl_reader *r);
void handover_refused(struct hub *hub, struct member *m);
void handover_state(struct hub *hub, struct member *m, uint16_t type, struct sl_reader *r);
/* The peer will not come: what had arrived is freed. Returns who waits for it, to be told; NULL:
 * nobody. */
struct conn *handover_give_up(struct member *m);

#endif
