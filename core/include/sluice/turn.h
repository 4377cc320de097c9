/*
 * sluice/turn.h: the TURN server engine (RFC 8656, TCP relays of RFC 6062, mobility of RFC 8016),
 * sans-I/O.
 *
 * (state, bytes, now) -> (bytes, calls of struct sl_turn_io, next timeout). It owns allocations,
 * permissions, channels, credentials, quotas and peer policy; it knows no socket, no clock and no
 * session table. The module turn-relay gives it sockets; tests give it a virtual network. Transport
 * towards the client is the caller's business: an engine client is one 5-tuple, of UDP, TCP or TLS.
 *
 * Data path: sl_turn_channel_out() and sl_turn_peer_in() look up and account; they neither copy nor
 * allocate, and say what the caller has to send where.
 */
#ifndef SLUICE_TURN_H
#define SLUICE_TURN_H

#include <sluice/addr.h>
#include <sluice/stun.h>

struct sl_turn;	      /* one engine: one per worker */
struct sl_turn_alloc; /* one allocation; the caller may keep the pointer until io.released */
struct sl_turn_conn;  /* one connection between a TCP relay and a peer */

/* What an allocation needs from a relay socket (RFC 8656 section 7.2). */
struct sl_turn_want {
	uint8_t family;
	bool tcp;  /* a port to listen on and to connect from, for TCP; then none of the others */
	bool even; /* an even port */
	bool reserve; /* and the next higher one, bound and kept for a later allocation */
	const struct sl_addr
		*reserved; /* not NULL: take the socket kept under this relayed address */
};

/* Towards the world. ctx is the engine's io_ctx. */
struct sl_turn_io {
	/* Bind a relay socket near the client's server address; *ret_relayed is what the peer sees
	 * (external). */
	int (*open_relay)(void *ctx, struct sl_turn_alloc *a, const struct sl_turn_want *want,
			  struct sl_addr *ret_relayed);
	/* One of the two relay sockets of a dual allocation is not wanted any more. */
	void (*close_relay)(void *ctx, struct sl_turn_alloc *a, uint8_t family);
	/* A reserved socket was not claimed in time. */
	void (*unreserve)(void *ctx, const struct sl_addr *relayed);
	/* The allocation is granted: time to publish it (session entry, flow). A negative result
	 * refuses with 486 (LIMIT) or 508. */
	int (*granted)(void *ctx, struct sl_turn_alloc *a);
	/* Its expiry has moved. */
	void (*refreshed)(void *ctx, struct sl_turn_alloc *a);
	/* Its client is at another 5-tuple from now on (sl_turn_alloc_client), from which the
	 * request came that is being served. A negative result refuses: 508, and it stays where it
	 * was. */
	int (*moved)(void *ctx, struct sl_turn_alloc *a);
	/*
	 * Connect to c's peer from its relayed address. sl_turn_connected tells what came of it,
	 * some time after this has returned, and within 30 s (RFC 6062 section 5.2). Negative:
	 * cannot be.
	 */
	int (*connect)(void *ctx, struct sl_turn_conn *c);
	/* c ends: was not bound in time, or its allocation ends. The pointer is dead after the
	 * call. */
	void (*disconnect)(void *ctx, struct sl_turn_conn *c);
	/* The number of its permissions or channels is another now; NULL: of no concern. */
	void (*counted)(void *ctx, struct sl_turn_alloc *a);
	/* It ended (also after a refused grant); why is a word for the log (expired, refreshed to
	 * 0, drained, killed). The pointer is dead after the call. */
	void (*released)(void *ctx, struct sl_turn_alloc *a, const char *why);
	/*
	 * For a caller that can have channels relayed elsewhere (the kernel); NULL: it cannot.
	 * busy: the engine has relayed SL_TURN_BUSY packets of a channel in one direction since it
	 * said so last. The others concern channels with data only (sl_turn_channel_data): retimed:
	 * the time until which it holds is another; unbound: it ends, or its client has moved, and
	 * the data are forgotten.
	 */
	void (*busy)(void *ctx, struct sl_turn_alloc *a, uint16_t number, bool to_peer);
	void (*retimed)(void *ctx, struct sl_turn_alloc *a, uint16_t number);
	void (*unbound)(void *ctx, struct sl_turn_alloc *a, uint16_t number);
};
#define SL_TURN_BUSY 32

/* A secret for time-limited credentials (username "expiry[:id]", password base64(HMAC-SHA1(secret,
 * username))), or a static user. */
struct sl_turn_user {
	struct sl_str name, password;
};

/* A key that an authorization server and this one share, for access tokens (RFC 7635). */
struct sl_turn_token_key {
	struct sl_str kid; /* the USERNAME of those who bear a token made with it */
	struct sl_str key; /* 16 or 32 bytes: AES-128-GCM, AES-256-GCM */
};

/*
 * Whom a limit counts: all allocations of a user, of a source address, of a realm, of the engine;
 * and each allocation by itself.
 */
enum sl_turn_scope {
	SL_TURN_PER_ALLOCATION,
	SL_TURN_PER_USER,
	SL_TURN_PER_SOURCE, /* an IPv4 address, an IPv6 /64 */
	SL_TURN_PER_REALM,
	SL_TURN_IN_TOTAL,
	SL_TURN_SCOPES
};

/* What one of them may have in this engine; 0: no limit. */
struct sl_turn_limit {
	uint32_t allocations; /* not of SL_TURN_PER_ALLOCATION */
	uint32_t permissions, channels;
	uint64_t bps; /* bits of payload a second, in each direction */
};

/* Who may use the server, and how: each listener or server name is of one realm, and credentials
 * are good in their own only. */
struct sl_turn_realm {
	struct sl_str name;	      /* REALM; part of the clients' keys */
	const struct sl_str *secrets; /* newest first */
	unsigned n_secrets;
	const struct sl_turn_user *users;
	unsigned n_users;
	const struct sl_turn_token_key *token_keys; /* none: no third-party authorization */
	unsigned n_token_keys;
	struct sl_str token_server; /* what this server is called in tokens */
	bool auth;		    /* false: open relay, for tests and closed networks */
	/*
	 * PASSWORD-ALGORITHMS in order of preference (RFC 8489 section 9.2); none: challenges
	 * without it, as RFC 5389 knows them, and MD5. userhash: clients that can shall send
	 * USERHASH, which only static users are found by.
	 */
	uint8_t algorithms[2]; /* enum sl_stun_algorithm */
	unsigned n_algorithms;
	bool userhash;
	uint32_t default_lifetime_s, max_lifetime_s;
	struct sl_turn_limit limits[SL_TURN_IN_TOTAL];	/* by enum sl_turn_scope */
	const struct sl_cidr *deny_peers, *allow_peers; /* allow opens what deny closes */
	unsigned n_deny, n_allow;
};

enum { SL_TURN_OWN_MEDIA = 16 };

struct sl_turn_conf {
	const struct sl_turn_realm *realms; /* at least one; sl_turn_client.realm counts them */
	unsigned n_realms;
	struct sl_turn_limit total;
	uint32_t permission_lifetime_s, channel_lifetime_s;
	uint32_t nonce_lifetime_s; /* then 438 */
	/*
	 * Other servers, told with 300 (RFC 8489 section 10) when this one has no room, drains, or
	 * has so many allocations (0: no such number). domain: the name in their certificates.
	 */
	const struct sl_addr *alternates;
	unsigned n_alternates; /* at most 64 */
	uint32_t alternate_above;
	struct sl_str alternate_domain;
	/*
	 * Addresses of this node. As peers they are denied unless allowed, but for ports in
	 * own_ports_lo..hi, where other allocations live: two clients that only have relays reach
	 * each other through them. hi 0: no such ports. Never on loopback. own_media: where this
	 * node's own media are, in SL_TURN_OWN_MEDIA places that may change, 0: none; NULL: none.
	 */
	const struct sl_addr *own;
	unsigned n_own;
	uint16_t own_ports_lo, own_ports_hi;
	const uint16_t *own_media;
	bool relay_v4, relay_v6;  /* families offered */
	bool tcp;		  /* TCP relays are offered, to clients over TCP and TLS */
	uint32_t max_connections; /* of one TCP relay with peers, waiting or bound; 0: no limit */
	bool mobility;		  /* tickets are given out and taken */
	uint16_t slot;		  /* the worker's: stands in its reservation tokens */
	struct sl_str software;	  /* SOFTWARE attribute; empty: none */
};

/* Counters; the caller exports them. */
#define SL_TURN_COUNTERS(X)                                                                        \
	X(requests, "requests received")                                                           \
	X(bad_requests, "answered 400 or dropped as malformed")                                    \
	X(unknown_attributes, "answered 420")                                                      \
	X(challenges, "answered 401 without credentials")                                          \
	X(stale_nonces, "answered 438")                                                            \
	X(auth_failures, "answered 401 with wrong credentials")                                    \
	X(token_refusals, "access tokens refused: of another key, out of time, or malformed")      \
	X(mismatches, "answered 437")                                                              \
	X(wrong_credentials, "answered 441")                                                       \
	X(redirects, "answered 300: sent to another server")                                       \
	X(quota_refusals, "answered 486")                                                          \
	X(source_refusals, "of those answered 486: the source has its limit of allocations")       \
	X(capacity_refusals, "answered 508")                                                       \
	X(realm_refusals, "Allocate requests that found their realm full (300 or 508)")            \
	X(permission_refusals, "of those answered 508: over a limit of permissions")               \
	X(channel_refusals, "of those answered 508: over a limit of channels")                     \
	X(over_allocation_permissions, "requests refused: permissions of an allocation")           \
	X(over_user_permissions, "requests refused: permissions of a user")                        \
	X(over_source_permissions, "requests refused: permissions of a source")                    \
	X(over_realm_permissions, "requests refused: permissions of a realm")                      \
	X(over_total_permissions, "requests refused: permissions of all")                          \
	X(over_allocation_channels, "requests refused: channels of an allocation")                 \
	X(over_user_channels, "requests refused: channels of a user")                              \
	X(over_source_channels, "requests refused: channels of a source")                          \
	X(over_realm_channels, "requests refused: channels of a realm")                            \
	X(over_total_channels, "requests refused: channels of all")                                \
	X(peer_refusals, "answered 403: peer not permitted")                                       \
	X(family_refusals, "answered 440 or 443")                                                  \
	X(transport_refusals, "answered 442")                                                      \
	X(allocations, "allocations granted")                                                      \
	X(refreshes, "refreshes granted")                                                          \
	X(permissions, "permissions installed or refreshed")                                       \
	X(permissions_revoked, "permissions ended because a reload denies their peers")            \
	X(channels, "channels bound or refreshed")                                                 \
	X(expired, "allocations that expired")                                                     \
	X(to_peer_packets, "packets relayed to peers")                                             \
	X(to_peer_bytes, "payload bytes relayed to peers")                                         \
	X(to_client_packets, "packets relayed to clients")                                         \
	X(to_client_bytes, "payload bytes relayed to clients")                                     \
	X(icmp_errors, "ICMP errors of peers passed on to clients")                                \
	X(connects, "connections made to peers of TCP relays")                                     \
	X(connect_failures, "answered 446 or 447: no connection to the peer")                      \
	X(connection_attempts, "connections of peers to TCP relays told to clients")               \
	X(connection_refusals, "connections of peers closed: no permission, or too many")          \
	X(connection_binds, "peer connections bound by clients")                                   \
	X(connection_timeouts, "peer connections closed: not bound within 30 s")                   \
	X(moves, "allocations that followed their client to another address")                      \
	X(mobility_refusals, "answered 405: mobility is off")                                      \
	X(no_permission, "packets dropped for want of a permission or channel")                    \
	X(over_allocation_rate, "packets dropped: over the bit rate of an allocation")             \
	X(over_user_rate, "packets dropped: over the bit rate of a user")                          \
	X(over_source_rate, "packets dropped: over the bit rate of a source")                      \
	X(over_realm_rate, "packets dropped: over the bit rate of a realm")                        \
	X(over_total_rate, "packets dropped: over the bit rate of all")

struct sl_turn_counters {
#define X(name, text) uint64_t name;
	SL_TURN_COUNTERS(X)
#undef X
};

/* conf is borrowed and must outlive the engine. key: for nonces; the same in all workers and
 * generations. */
SL_API SL_MUST_CHECK int sl_turn_new(struct sl_turn **ret_turn, const struct sl_turn_conf *conf,
				     const uint8_t nonce_key[16], const struct sl_turn_io *io,
				     void *io_ctx);
/* Releases all allocations; accepts NULL */
SL_API void sl_turn_free(struct sl_turn *t);
SL_API const struct sl_turn_counters *sl_turn_counters(const struct sl_turn *t);
/* No new allocations: 508, or 300 with alternates (existing ones are served) */
SL_API void sl_turn_drain(struct sl_turn *t);
/*
 * Another policy for the peers of a realm, in place of the configuration's: borrowed, from now on
 * asked for each new or renewed permission. What stands goes on until it expires, unless it is
 * rechecked: then permissions, channels (io.unbound) and connections to peers that are denied now
 * end, in all realms.
 */
struct sl_turn_peers {
	const struct sl_cidr *deny, *allow; /* allow opens what deny closes */
	unsigned n_deny, n_allow;
};
SL_API void sl_turn_set_peers(struct sl_turn *t, unsigned realm, const struct sl_turn_peers *peers);
SL_API void sl_turn_recheck_peers(struct sl_turn *t);
/* Clients are sent to these only: bit i is alternates[i]. Before it is told, to all. */
SL_API void sl_turn_set_alternates(struct sl_turn *t, uint64_t usable);

/* The client a message came from. */
struct sl_turn_client {
	struct sl_addr remote, local; /* local: the server address it was sent to */
	uint8_t transport;	      /* IPPROTO_UDP or IPPROTO_TCP */
	uint32_t listener;	      /* index: part of the 5-tuple's identity */
	unsigned realm;		      /* index: which of conf.realms it came to */
};

/* What to send where, after sl_turn_input. Each has its own length; 0 means nothing. */
struct sl_turn_out {
	uint8_t *reply; /* in: buffer of at least 1280 bytes; out: answer to the client */
	size_t reply_cap, reply_len;
	struct sl_turn_alloc *to_peer_via; /* Send indication: send `data` to `peer` from this
					      allocation's relay */
	struct sl_addr peer;
	const uint8_t *data; /* borrowed from the input */
	size_t data_len;
	bool dont_fragment;
	/* ConnectionBind: granted. After the reply the sender's connection and the peer's are one.
	 */
	struct sl_turn_conn *bound;
	bool unproven; /* the reply goes to somebody who has proven nothing, maybe not even to have
			  asked */
};

/*
 * A STUN-formatted message from a client. alloc: the client's allocation as the caller's flow knows
 * it, or NULL. Returns SL_DONE (handled; send what out says), SL_DECLINED (not a TURN method),
 * SL_DROP (ignore silently). unix_s: wall clock, for credentials.
 */
SL_API int sl_turn_input(struct sl_turn *t, struct sl_turn_alloc *alloc,
			 const struct sl_turn_client *c, const struct sl_stun_msg *msg,
			 uint64_t now_ms, uint64_t unix_s, struct sl_turn_out *out);

/*
 * Reserved ports (RFC 8656 section 7.2) are known to the worker that made them only. Whose token an
 * Allocate carries and which, for handing the request over; or for moving the reservation: looked
 * up and cancelled there (in io.unreserve), adopted here.
 */
#define SL_TURN_TOKEN_BYTES 8
/* Borrowed; NULL: it carries none */
SL_API const uint8_t *sl_turn_token(const struct sl_stun_msg *msg, uint16_t *ret_slot);
/* -SL_ENOENT */
SL_API SL_MUST_CHECK int sl_turn_token_relayed(const struct sl_turn *t, const uint8_t *token,
					       struct sl_addr *ret_relayed);
SL_API void sl_turn_token_cancel(struct sl_turn *t, const uint8_t *token);
SL_API SL_MUST_CHECK int sl_turn_token_adopt(struct sl_turn *t, const uint8_t *token,
					     const struct sl_addr *relayed, uint64_t now_ms);

/* ChannelData from the client: payload = data + 4 .. *ret_len. NULL: no such channel or lying
 * length (counted). */
SL_API const struct sl_addr *sl_turn_channel_out(struct sl_turn_alloc *a, const uint8_t *data,
						 size_t len, uint64_t now_ms, size_t *ret_len);

/*
 * Channels that somebody else relays. It holds until its own, its permission's and its allocation's
 * expiry; 0: no such channel. data: the caller's, NULL at first; NULL: no such channel. count: what
 * was relayed elsewhere, for the counters.
 */
SL_API const struct sl_addr *sl_turn_channel_peer(struct sl_turn_alloc *a, uint16_t number);
SL_API uint64_t sl_turn_channel_holds_ms(struct sl_turn_alloc *a, uint16_t number);
SL_API void **sl_turn_channel_data(struct sl_turn_alloc *a, uint16_t number);
SL_API void sl_turn_count(struct sl_turn_alloc *a, bool to_peer, uint64_t packets, uint64_t bytes);

/*
 * A datagram of `len` bytes from a peer to the relay: how it goes to the client. Returns the
 * channel number (prepend 4 bytes: number, length), 0 for a Data indication (write it with
 * sl_turn_data_header), or -SL_EDENIED (drop).
 */
SL_API int sl_turn_peer_in(struct sl_turn_alloc *a, const struct sl_addr *peer, size_t len,
			   uint64_t now_ms);
/* Writes the part of a Data indication that precedes the payload (header, XOR-PEER-ADDRESS, DATA
 * header) into dst (room: 64) and returns its length; the message must end with (4 - len % 4) % 4
 * zero bytes of padding behind the payload. */
SL_API size_t sl_turn_data_header(uint8_t dst[64], const struct sl_addr *peer, size_t len,
				  const uint8_t txid[12]);

/*
 * The network's ICMP error for a packet that was relayed to the peer (RFC 8656 section 11.5):
 * writes the Data indication that tells the client, ready to send, and returns its length, at most
 * 64. 0: of no concern to it. mtu: of the next hop, or 0.
 */
struct sl_turn_icmp {
	uint8_t type, code;
	uint32_t mtu;
};
SL_API size_t sl_turn_peer_error(struct sl_turn_alloc *a, const struct sl_addr *peer,
				 const struct sl_turn_icmp *icmp, uint64_t now_ms, uint8_t dst[64]);

/*
 * TCP relays (RFC 6062). A connection begins with io.connect or sl_turn_accepted, waits for its
 * ConnectionBind, which gives it to sl_turn_out.bound, and ends with sl_turn_conn_ended or
 * io.disconnect. What is read from a peer before that is the caller's to hold back.
 */
/* What came of io.connect (0 or negative): writes the answer to the client into dst (room: 1280)
 * and returns its length. After a failure c is dead. */
SL_API size_t sl_turn_connected(struct sl_turn_conn *c, int err, uint64_t now_ms, uint8_t *dst,
				size_t cap);
/* A peer has connected to the relay: makes c, and the ConnectionAttempt indication for the client
 * in dst (its length in *ret_len). -SL_EDENIED: no permission; -SL_ELIMIT: too many; -SL_ENOMEM. */
SL_API SL_MUST_CHECK int sl_turn_accepted(struct sl_turn_alloc *a, const struct sl_addr *peer,
					  uint64_t now_ms, struct sl_turn_conn **ret_conn,
					  uint8_t dst[64], size_t *ret_len);
/* The peer's or the client's side is gone; c is dead, io.disconnect is not called. */
SL_API void sl_turn_conn_ended(struct sl_turn_conn *c);
/* Before bytes of a bound connection are passed on, at most 16 KiB at a time: counts and charges
 * them. false: over a rate; they have to wait. */
SL_API bool sl_turn_conn_to_peer(struct sl_turn_conn *c, size_t len, uint64_t now_ms);
SL_API bool sl_turn_conn_to_client(struct sl_turn_conn *c, size_t len, uint64_t now_ms);
SL_API struct sl_turn_alloc *sl_turn_conn_alloc(const struct sl_turn_conn *c);
SL_API const struct sl_addr *sl_turn_conn_peer(const struct sl_turn_conn *c);
SL_API uint32_t sl_turn_conn_id(const struct sl_turn_conn *c);
SL_API void sl_turn_conn_set_data(struct sl_turn_conn *c, void *data);
SL_API void *sl_turn_conn_data(const struct sl_turn_conn *c);
/* Whose connection a ConnectionBind names; false: none */
SL_API bool sl_turn_connection_slot(const struct sl_stun_msg *msg, uint16_t *ret_slot);

/*
 * Mobility (RFC 8016). A Refresh with a ticket from a 5-tuple without allocation moves it there
 * (io.moved). The old ticket holds, for a repeated request, until the caller has heard the client
 * use the new 5-tuple and says so.
 */
/* Whose allocation the sealed ticket of a Refresh names; false: it has none, or no valid one */
SL_API bool sl_turn_ticket_slot(const struct sl_turn *t, const struct sl_stun_msg *msg,
				uint16_t *ret_slot);
/* Is the ticket of this Refresh one that its next use makes void? */
SL_API bool sl_turn_ticket_is_old(const struct sl_turn_alloc *a, const struct sl_stun_msg *msg);
SL_API void sl_turn_settled(struct sl_turn_alloc *a);
/* Its 5-tuple is no more: ends it; one with a ticket waits so long for its client, if it has so
 * much of its life left. */
SL_API void sl_turn_client_lost(struct sl_turn_alloc *a, uint64_t now_ms, uint64_t wait_ms);

/* Runs what is due; returns the next time it wants to be called, UINT64_MAX for never. */
SL_API uint64_t sl_turn_tick(struct sl_turn *t, uint64_t now_ms);

/* Ends in io.released */
SL_API void sl_turn_kill(struct sl_turn_alloc *a, const char *why);
/* Opaque for the caller: where it keeps its relay socket, session and flow. */
SL_API void sl_turn_set_data(struct sl_turn_alloc *a, void *data);
SL_API void *sl_turn_data(const struct sl_turn_alloc *a);
SL_API const struct sl_turn_client *sl_turn_alloc_client(const struct sl_turn_alloc *a);
/* Without the expiry of a time-limited name */
SL_API struct sl_str sl_turn_alloc_user(const struct sl_turn_alloc *a);
/* NULL: not of this family */
SL_API const struct sl_addr *sl_turn_alloc_relayed(const struct sl_turn_alloc *a, uint8_t family);
SL_API bool sl_turn_alloc_is_tcp(const struct sl_turn_alloc *a);
/* Those that have expired count until they are swept, soon after. */
SL_API uint32_t sl_turn_alloc_permissions(const struct sl_turn_alloc *a);
SL_API uint32_t sl_turn_alloc_channels(const struct sl_turn_alloc *a);
SL_API uint64_t sl_turn_alloc_expires_ms(const struct sl_turn_alloc *a);
SL_API size_t sl_turn_allocations(const struct sl_turn *t);

/* Time-limited credentials for a client: "expiry:id" and its password in base64. dst sizes in
 * bytes, NUL included. */
SL_API SL_MUST_CHECK int sl_turn_credential(struct sl_str secret, struct sl_str id,
					    uint64_t expires_unix_s, char *ret_user,
					    size_t user_cap, char ret_password[32]);

#endif
