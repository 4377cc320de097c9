/*
 * sluice/session.h: one peer's transport, as everybody on the node sees it.
 *
 * A session is a local object of its owner (this worker) and an entry in the shared table, which
 * other processes read. When the owner dies, the entry dies with it and SL_EV_SESSION_LOST tells
 * the node.
 */
#ifndef SLUICE_SESSION_H
#define SLUICE_SESSION_H

#include <sluice/addr.h>
#include <sluice/buf.h>
#include <sluice/worker.h>

enum sl_session_kind {
	SL_KIND_NONE,
	SL_KIND_TURN,
	SL_KIND_SIGNAL,
	SL_KIND_RTC,
	SL_KIND_SIP,
	SL_KIND_RECORDING,
	SL_KIND_USER,
	SL_N_KINDS
};
/* "turn", "signal" ... */
SL_API const char *sl_session_kind_name(unsigned kind);

#define SL_SID_BYTES 16
#define SL_SID_STRLEN 33

/* Lives in shared memory; written by the owner only, with plain stores. Shown by `sluice sessions`.
 */
struct sl_session_stats {
	uint64_t packets_in, bytes_in, packets_out, bytes_out;
	uint32_t lost, rtt_us, jitter_us, reserved;
	uint64_t last_receive_ms;
};

struct sl_session {
	struct sl_worker *worker;
	struct sl_session_stats *stats; /* shared */
	uint64_t *words;		/* shared: four words for the module of this kind */
	uint8_t sid[SL_SID_BYTES];
	uint8_t kind;
	uint32_t index; /* of the shared entry */
};

/* Sessions that count under one name, over the whole node: "user:alice". */
struct sl_session_limit {
	struct sl_str name; /* empty: none */
	uint32_t max;
};
#define SL_SESSION_LIMITS 4

/* What the words of a session say, for people and programs. */
struct sl_session_fact {
	const char *name;	   /* a constant: "relayed" */
	char text[SL_ADDR_STRLEN]; /* empty: the number */
	uint64_t number;
};
#define SL_SESSION_FACTS 8 /* of one session, at most */
/* Returns how many: 0 for kinds whose words are their module's own. */
SL_API unsigned sl_session_facts(unsigned kind, const uint64_t words[4],
				 struct sl_session_fact ret_facts[SL_SESSION_FACTS]);
/* Writes "name":value */
SL_API void sl_session_fact_json(struct sl_buf *out, const struct sl_session_fact *f);

/* What the words of SL_KIND_TURN hold: the same for every module and tool that reads them. */
enum sl_relay_transport { SL_RELAY_UDP, SL_RELAY_TCP, SL_RELAY_TLS, SL_RELAY_DTLS };
struct sl_relay_view {
	enum sl_relay_transport transport; /* of the client */
	bool tcp;			   /* the relay is for TCP (RFC 6062) */
	/* offloaded: directions of channels that the kernel relays. All kept to 16 bits. */
	unsigned permissions, channels, offloaded;
	struct sl_addr relayed[2]; /* IPv4, IPv6; unset: none */
};
/* What turn-relay keeps in its session's words, and what a viewer makes of it */
SL_API void sl_relay_view_write(uint64_t words[4], const struct sl_relay_view *v);
SL_API struct sl_relay_view sl_relay_view_read(const uint64_t words[4]);

/* The same of SL_KIND_SIP: a call, whose label says who calls whom. */
enum sl_call_state { SL_CALL_TRYING, SL_CALL_RINGING, SL_CALL_UP, SL_CALL_HELD };
struct sl_call_view {
	enum sl_call_state state;
	uint16_t worker;      /* slot of the one that has its media */
	bool recorded;	      /* somebody gets a copy of it */
	uint64_t answered_ms; /* loop time; 0: not yet */
};
/* What sip-gateway keeps in its session's words, and what a viewer makes of it */
SL_API void sl_call_view_write(uint64_t words[4], const struct sl_call_view *v);
SL_API struct sl_call_view sl_call_view_read(const uint64_t words[4]);

struct sl_session_opts {
	enum sl_session_kind kind;
	const struct sl_listener
		*listener; /* with remote: the tuple that belongs to this session; NULL: none */
	struct sl_addr remote;
	struct sl_str room, peer; /* hashed into the entry; may be empty */
	struct sl_str label;	  /* for people; cut to 23 bytes */
	uint64_t expires_ms;	  /* loop time, 0: none */
	struct sl_session_limit limits[SL_SESSION_LIMITS];
	unsigned *ret_limit; /* of -SL_ELIMIT: which of them; or NULL */
	/* The core wants it gone (kick, drain_timeout): close it. arg is the caller's. */
	void (*evict)(void *arg, struct sl_session *s, const char *why);
	void *arg;
};

/* -SL_EFULL: table full. -SL_ELIMIT: one of the limits reached. -SL_EEXIST: the tuple belongs to a
 * live session. Runs SESS_NEW. */
SL_API SL_MUST_CHECK int sl_session_open(struct sl_worker *w, const struct sl_session_opts *o,
					 struct sl_session **ret_session);
/* Runs SESS_CLOSE and LOG_SESSION; accepts NULL */
SL_API void sl_session_close(struct sl_session *s, const char *why);
/* Loop time, 0: none. For who looks at the table; nothing ends by it */
SL_API void sl_session_set_expiry(struct sl_session *s, uint64_t expires_ms);
/* Its datagrams come from another remote address, or to another listener (NULL: none belong to it).
 * -SL_EEXIST: that tuple is a live session's; -SL_EFULL; then all is as before. */
SL_API SL_MUST_CHECK int sl_session_move(struct sl_session *s, const struct sl_listener *listener,
					 const struct sl_addr *remote);
/* Other workers find the session by its ICE user fragment of at most 8 characters; empty: not. As
 * sl_session_move. */
SL_API SL_MUST_CHECK int sl_session_set_ufrag(struct sl_session *s, struct sl_str ufrag);
/* As given in the options */
SL_API void *sl_session_arg(const struct sl_session *s);
/* 32 hexadecimal digits and a NUL; returns dst */
SL_API const char *sl_sid_format(char dst[SL_SID_STRLEN], const uint8_t sid[SL_SID_BYTES]);
/* -SL_EPARSE: not 32 hexadecimal digits, of either case */
SL_API SL_MUST_CHECK int sl_sid_parse(uint8_t ret_sid[SL_SID_BYTES], struct sl_str s);
/* The live owner of a sid (slot << 16 | epoch), or -SL_ENOENT. */
SL_API SL_MUST_CHECK int sl_session_find_owner(struct sl_worker *w, const uint8_t sid[SL_SID_BYTES],
					       uint32_t *ret_owner);
/* A new random sid of this worker, for things that are named before they are sessions. */
SL_API SL_MUST_CHECK int sl_sid_new(struct sl_worker *w, uint8_t ret_sid[SL_SID_BYTES]);

#endif
