/*
 * proto/turn_impl.h: what the files of the TURN engine share. Private to proto/turn*.c.
 *
 *     turn.c          the engine's life, dispatch, time, accessors
 *     turn_nonce.c    nonces, and what they say about this server (RFC 8489 section 9.2)
 *     turn_auth.c     credentials, who sent a request
 *     turn_token.c    access tokens of a third party (RFC 7635)
 *     turn_alloc.c    allocations, port reservations
 *     turn_limit.c    what users, sources, realms and all may have
 *     turn_peer.c     peer policy, permissions, channels, and the data path over them
 *     turn_offload.c  channels that the caller has relayed elsewhere
 *     turn_request.c  Allocate, Refresh, CreatePermission, ChannelBind
 *     turn_conn.c     connections of TCP relays (RFC 6062)
 *     turn_ticket.c   mobility tickets (RFC 8016)
 *     turn_reply.c    how answers are written
 *
 * Everything belongs to one engine and one thread. Objects point at each other freely; whoever ends
 * an allocation ends its permissions and channels with it.
 */
#ifndef PROTO_TURN_IMPL_H
#define PROTO_TURN_IMPL_H

#include <sluice/crypto.h>
#include <sluice/hash.h>
#include <sluice/pool.h>
#include <sluice/turn.h>
#include "base/wheel.h"

enum {
	TURN_KEY_BYTES = 32,
	TURN_USERHASH_BYTES = 32,
	TURN_TOKEN_BYTES = SL_TURN_TOKEN_BYTES,
	TURN_NONCE_CHARS = 16,	/* without a cookie */
	TURN_COOKIE_CHARS = 13, /* in front of it, when it has something to say */
	TURN_HOT_CHANNELS = 4,
	TURN_RESERVATION_MS = 30000, /* RFC 8656 section 7.2 */
	TURN_MAX_UNKNOWN = 16,
	TURN_PROTO_TCP = 6,
	TURN_BIND_MS = 30000, /* RFC 6062 sections 5.2, 5.3 */
	TURN_TICKET_ID = 9,
	TURN_TICKET_BYTES = 32,
};

struct turn_timer;
typedef void turn_timer_fn(struct sl_turn *t, struct turn_timer *timer, uint64_t now_ms);
struct turn_timer {
	struct wheel_node node;
	turn_timer_fn *fn;
};

/* A long-term key. */
struct turn_key {
	uint8_t bytes[TURN_KEY_BYTES];
	uint8_t len; /* 16: made with MD5, 32: with SHA-256 */
};

enum turn_direction { TURN_TO_PEER, TURN_TO_CLIENT };

/* What is counted against a limit. */
struct turn_share {
	const struct sl_turn_limit *limit;
	uint32_t n_allocs, n_perms, n_channels;
	uint64_t spent_until[2]; /* by enum turn_direction: virtual clocks, see turn_limit.c */
};

/* A user (static, or the id behind the expiry of a time-limited name) or a source address. */
struct turn_party {
	struct sl_hnode node;	 /* in sl_turn.parties */
	struct turn_share share; /* freed at no allocations */
	const struct turn_realm *realm;
	enum sl_turn_scope scope;
	uint32_t len;
	char name[];
};

/* A realm and who is known in it. */
struct turn_realm {
	const struct sl_turn_realm *conf;
	struct sl_turn_peers peers; /* the conf's, or what it was changed to */
	struct turn_share share;
	struct sl_htab statics, userhashes;
	struct turn_static *static_users;
};

/* Peers of this IP may send to the allocation. */
struct turn_perm {
	struct sl_hnode node; /* in sl_turn.perms */
	struct turn_perm *next;
	struct sl_turn_alloc *owner;
	struct sl_addr ip; /* port 0 */
	uint64_t expires_ms;
	uint32_t n_channels; /* that point here; it stays, though expired, while there are any */
	bool relays_only;    /* an address of this node: good for its relay ports alone */
};

struct turn_channel {
	struct sl_hnode by_number, by_peer; /* in sl_turn.by_number and sl_turn.by_peer */
	struct turn_channel *next;
	struct sl_turn_alloc *owner;
	struct turn_perm *perm;
	struct sl_addr peer;
	uint64_t expires_ms;
	void *data; /* the caller's, of a channel that is relayed elsewhere */
	uint16_t number;
	uint8_t n_relayed[2]; /* since busy() was told: to the client, to the peer */
};

enum turn_conn_state { CONN_CONNECTING, CONN_WAITING, CONN_BOUND };

struct sl_turn_conn {
	struct sl_hnode node;	 /* in sl_turn.conns */
	struct turn_timer timer; /* while it waits to be bound */
	struct sl_turn_conn *next;
	struct sl_turn_alloc *owner;
	void *data; /* the caller's */
	struct sl_addr peer;
	uint32_t id;
	uint8_t state;
	/* Of the Connect, for its answer: the header, FINGERPRINT if it had one, and the key. */
	uint8_t asked[SL_STUN_HEADER + 8];
	uint8_t asked_len;
	bool sha256, proven;
	struct turn_key key;
};

struct sl_turn_alloc {
	struct sl_turn *turn;
	void *data; /* the caller's */
	struct turn_channel
		*hot[TURN_HOT_CHANNELS]; /* any n_channels - n_cold of them, in no order */
	uint32_t n_cold;		 /* channels that only the hash tables know */
	struct turn_perm *perms;
	struct turn_channel *channels;
	struct sl_turn_client client;
	struct sl_addr relayed[2]; /* IPv4, IPv6; unset when not allocated */
	uint64_t expires_ms;
	struct turn_timer timer; /* at or before the first expiry of anything in here */
	struct sl_hnode node;	 /* in sl_turn.allocs */
	const struct turn_realm *realm;
	struct turn_share own;
	struct turn_share *shares[SL_TURN_SCOPES]; /* what it counts in, own among them; or NULL */
	struct turn_party *user;		   /* NULL without authentication */
	struct turn_party *source;		   /* NULL without limits for sources */
	bool shaped;				   /* one of the shares limits its rate */
	uint64_t username_hash;
	uint64_t token_until_ms;	 /* end of the access token; 0: of other credentials */
	struct turn_key key;		 /* proven by the last request */
	uint8_t txid[12];		 /* of the Allocate, to answer its retransmissions alike */
	uint8_t token[TURN_TOKEN_BYTES]; /* of the port reserved with it */
	bool has_token;
	bool tcp; /* its relays are for TCP */
	struct sl_turn_conn *conns;
	uint32_t n_conns;
	bool mobile, moving;	   /* has a ticket; has moved, and the ticket before holds too */
	bool homeless;		   /* its 5-tuple is no more, it is not in sl_turn.allocs */
	uint32_t ticket_serial;	   /* one more with each move */
	struct sl_hnode by_ticket; /* in sl_turn.tickets */
	uint8_t ticket_id[TURN_TICKET_ID];
	uint16_t additional_error; /* why the second family is missing, or 0 */
};

struct turn_reservation {
	struct sl_hnode node; /* in sl_turn.reservations */
	struct turn_timer timer;
	uint8_t token[TURN_TOKEN_BYTES];
	struct sl_addr relayed;
};

/* A static user, by name and by the hash of it. */
struct turn_static {
	struct sl_hnode by_name, by_hash; /* in turn_realm.statics and turn_realm.userhashes */
	const struct sl_turn_user *user;
	uint8_t userhash[TURN_USERHASH_BYTES];
};

struct sl_turn {
	const struct sl_turn_conf *conf;
	const struct sl_turn_io *io;
	void *io_ctx;
	uint8_t nonce_key[16];
	uint8_t ticket_keys[2][32]; /* for integrity, for secrecy */
	bool draining, started;
	struct sl_turn_counters counters;
	struct sl_htab allocs, parties, perms, by_number, by_peer, reservations, conns, tickets;
	struct sl_slab *alloc_slab, *perm_slab, *channel_slab, *conn_slab;
	struct turn_realm *realms; /* as many as conf->n_realms */
	struct turn_share total;
	unsigned n_redirected; /* whose turn it is among the alternates */
	uint64_t alternates;   /* bits of those that are usable */
	struct wheel wheel;
};

/* What an Allocate request asks for. */
struct turn_ask {
	bool v4, v6; /* both: a dual allocation */
	bool tcp, mobile;
	bool even, reserve;
	struct turn_reservation *reservation;
	uint32_t lifetime_s;
};

/* One request while it is served. */
struct turn_req {
	struct sl_turn *t;
	struct turn_realm *realm;
	struct sl_turn_alloc *a; /* of the client's 5-tuple, or named by a ticket or CONNECTION-ID,
				  * or NULL */
	struct sl_turn_conn *conn; /* named by CONNECTION-ID */
	bool moves;		   /* a was named by a ticket, its 5-tuple is another */
	const struct sl_turn_client *client;
	const struct sl_stun_msg *msg;
	uint64_t now_ms, unix_s;
	struct sl_turn_out *out;
	struct sl_str username;
	uint64_t username_hash;
	uint64_t token_until_ms; /* end of the access token that came with it; 0: none */
	char bearer[96];	 /* username of whoever has one */
	struct turn_key key;
	bool proven; /* key is the sender's */
	bool sha256; /* MESSAGE-INTEGRITY-SHA256, in the request and so in the answer */
	struct sl_stun_writer w;
};

/* turn.c */
/* Starts the wheel; before anything is timed */
void turn_hear_time(struct sl_turn *t, uint64_t now_ms);

/* turn_nonce.c */
void turn_nonce(const struct sl_turn *t, const struct sl_turn_client *c, uint64_t unix_s,
		char ret_nonce[TURN_COOKIE_CHARS + TURN_NONCE_CHARS + 1]);
bool turn_nonce_is_fresh(const struct turn_req *r, struct sl_str nonce);

/* turn_auth.c */
/* 0 or the error code */
unsigned turn_authenticate(struct turn_req *r);
/* PASSWORD-ALGORITHMS; its length, 0: not offered */
size_t turn_algorithms(const struct sl_turn_realm *realm, uint8_t ret_list[8]);
struct sl_str turn_quota_name(struct sl_str username);
int turn_index_statics(struct turn_realm *realm);

/* turn_token.c */
/* Its integrity is to fit a key from an access token */
bool turn_bears_token(const struct turn_req *r);
bool turn_token_key(struct turn_req *r);
uint32_t turn_token_bound(const struct turn_req *r, uint32_t lifetime_s);

/* turn_limit.c */
/* Counts one more allocation; 0, 486 or 508 */
unsigned turn_limits_join(struct turn_req *r, struct sl_turn_alloc *a);
void turn_limits_leave(struct sl_turn_alloc *a);
bool turn_realm_is_full(const struct turn_realm *realm);
bool turn_may_permit(const struct sl_turn_alloc *a, uint32_t n_new);
bool turn_may_bind(const struct sl_turn_alloc *a);
void turn_count_perm(struct sl_turn_alloc *a, int change);
void turn_count_channel(struct sl_turn_alloc *a, int change);
/* Charges the packet; false: over a rate, to be dropped (counted). Only for shaped allocations */
bool turn_has_rate_left(struct sl_turn_alloc *a, enum turn_direction to, size_t len,
			uint64_t now_ms);

/* turn_alloc.c */
struct sl_turn_alloc *turn_alloc_find(const struct sl_turn *t, const struct sl_turn_client *c);
/* The next other server of the family, in turn; NULL: none */
const struct sl_addr *turn_alternate(const struct turn_req *r, uint8_t family);
/* Sets r->a; 0 or the error code */
unsigned turn_alloc_new(struct turn_req *r, const struct turn_ask *ask);
void turn_alloc_set_expiry(struct sl_turn_alloc *a, uint64_t expires_ms);
/* Sees to something that expires then */
void turn_alloc_wake_by(struct sl_turn_alloc *a, uint64_t at_ms);
void turn_alloc_close_family(struct sl_turn_alloc *a, uint8_t family);
void turn_alloc_end(struct sl_turn_alloc *a, const char *why);
/* To the sender's 5-tuple; 0 or the error code */
unsigned turn_alloc_move(struct turn_req *r);
struct turn_reservation *turn_reservation_find(const struct sl_turn *t,
					       const uint8_t token[TURN_TOKEN_BYTES]);
/* Gives the socket back */
void turn_reservation_cancel(struct sl_turn *t, struct turn_reservation *res);

/* turn_peer.c */
/* Relays of this node, not of this worker alone, have such addresses */
bool turn_may_be_own_relay(const struct sl_turn_conf *conf, const struct sl_addr *a);
unsigned turn_peer_check(const struct sl_turn_alloc *a, const struct sl_addr *peer);
unsigned turn_channel_peer_check(const struct sl_turn_alloc *a, const struct sl_addr *peer);
struct turn_perm *turn_perm_find(const struct sl_turn_alloc *a, const struct sl_addr *peer);
/* May packets go to and come from this port of the permission's address now? */
bool turn_perm_covers(const struct turn_perm *p, uint16_t port, uint64_t now_ms);
int turn_perm_install(struct sl_turn_alloc *a, const struct sl_addr *peer, uint64_t now_ms,
		      struct turn_perm **ret_perm);
struct turn_channel *turn_channel_by_number(struct sl_turn_alloc *a, uint16_t number);
struct turn_channel *turn_channel_by_peer(struct sl_turn_alloc *a, const struct sl_addr *peer);
int turn_channel_install(struct sl_turn_alloc *a, uint16_t number, const struct sl_addr *peer,
			 uint64_t now_ms);
/* Drops the expired; next expiry */
uint64_t turn_peers_sweep(struct sl_turn_alloc *a, uint64_t now_ms);
void turn_peers_drop(struct sl_turn_alloc *a);
/* Ends permissions and channels that the policy of now would refuse */
void turn_peers_revoke(struct sl_turn_alloc *a);
void turn_send_indication(struct turn_req *r);

/* turn_conn.c: each answers, or gives the error code. */
unsigned turn_on_connect(struct turn_req *r);
unsigned turn_on_connection_bind(struct turn_req *r);
/* Sets r->conn and r->a from CONNECTION-ID */
void turn_find_conn(struct turn_req *r);
/* With io.disconnect */
void turn_conns_drop(struct sl_turn_alloc *a);
/* Likewise, those whose peers would be refused now */
void turn_conns_revoke(struct sl_turn_alloc *a);

/* turn_ticket.c */
void turn_ticket_keys(struct sl_turn *t);
int turn_ticket_new(struct sl_turn_alloc *a);
/* Accepts one without */
void turn_ticket_forget(struct sl_turn_alloc *a);
/* Sets r->a and r->moves when the request comes with a ticket from elsewhere */
void turn_find_ticket(struct turn_req *r);
/* Of an Allocate: does it want one? 0 or the error code */
unsigned turn_ask_ticket(const struct turn_req *r, bool *ret_wanted);
/* Of a Refresh; 0 or the error code */
unsigned turn_check_ticket(const struct turn_req *r);
void turn_put_ticket(struct turn_req *r);

/* turn_offload.c */
/* The engine has relayed one more packet */
void turn_channel_busy(struct turn_channel *c, bool to_peer);
/* Tells the caller what became of channels that it relays */
void turn_channel_retimed(const struct turn_channel *c);
void turn_channels_retimed(const struct sl_turn_alloc *a);
void turn_channel_unbound(struct turn_channel *c);
void turn_channels_unbound(const struct sl_turn_alloc *a);

/* turn_request.c: each answers. */
void turn_request(struct turn_req *r);

/* turn_reply.c */
void turn_reply_begin(struct turn_req *r, enum sl_stun_class class_);
void turn_reply_end(struct turn_req *r);
void turn_reply_error(struct turn_req *r, unsigned code);
/* 401 or 438 */
void turn_reply_challenge(struct turn_req *r, unsigned code);
/* 300 */
void turn_reply_alternate(struct turn_req *r);
void turn_reply_unknown(struct turn_req *r, const uint16_t *types, unsigned n);

#endif
