/*
 * proto/ice.h: an ICE agent for one component (RFC 8445, 8838 trickle, 7675 consent, 6544 passive
 * TCP), full or lite, either role.
 *
 * Sans-I/O: told datagrams and the time, it says datagrams, events and when it wants to be called
 * again. It knows no socket: a *base* is a place that packets can leave from, named by its address
 * and a number of the caller's (a listener's index, or one connection). One component, since media
 * is always multiplexed.
 */
#ifndef PROTO_ICE_H
#define PROTO_ICE_H

#include <sluice/addr.h>
#include <sluice/stun.h>

enum {
	ICE_UFRAG_CHARS = 8,
	ICE_PASSWORD_CHARS = 24,
	ICE_MAX_LOCAL = 16,
	ICE_MAX_REMOTE = 32, /* more are counted and ignored */
	ICE_MAX_PAIRS = 100,
	ICE_MAX_UFRAG = 256,
	ICE_CANDIDATE_TEXT = 256, /* bytes that ice_candidate_format needs at most */
};

enum ice_type { ICE_HOST, ICE_SRFLX, ICE_PRFLX, ICE_RELAY };
enum ice_transport { ICE_UDP, ICE_TCP_PASSIVE, ICE_TCP_ACTIVE, ICE_TCP_SO };

struct ice_candidate {
	char foundation[33];
	uint8_t type, transport; /* enum ice_type, ice_transport */
	uint8_t component;
	uint32_t priority;
	struct sl_addr addr;	/* no family, port alone: name says it (mDNS), which only its peers resolve */
	struct sl_addr related; /* raddr, rport; may be unset */
	char name[64];		/* "….local"; empty: addr */
	char ufrag[33];		/* candidate's ufrag extension; empty: none */
};
/* A candidate-attribute's value, with or without "candidate:" (RFC 8839 section 5.1). -SL_EPARSE;
 * unknown extensions are skipped. */
int ice_candidate_parse(struct ice_candidate *ret_c, struct sl_str text);
/* Without "a=candidate:"; returns the length in dst */
size_t ice_candidate_format(char dst[ICE_CANDIDATE_TEXT], const struct ice_candidate *c);

/* A way that packets can take: from a base to a remote address. */
struct ice_path {
	struct sl_addr local, remote; /* local: the base's address */
	uint32_t via;		      /* the caller's number of the base */
	bool tcp;
};

enum ice_state {
	ICE_NEW,	  /* no remote description */
	ICE_CHECKING,
	ICE_CONNECTED,	  /* a pair is selected */
	ICE_DISCONNECTED, /* no answer for a while; still sending where it went before */
	ICE_FAILED,	  /* nothing works, or consent has expired (RFC 7675) */
	ICE_CLOSED
};
const char *ice_state_name(unsigned state);

/* Called within the functions below; they may read the agent but not change or free it. */
struct ice_io {
	/* A STUN message to send along the path; framing for TCP is the caller's. */
	void (*send)(void *ctx, const struct ice_path *path, const uint8_t *data, size_t len);
	/* Authenticated checks have come or been answered along this path: media may arrive on it
	 * (time for a flow); and: not any more. */
	void (*path_open)(void *ctx, const struct ice_path *path);
	void (*path_close)(void *ctx, const struct ice_path *path);
	/* Where media is to be sent from now on; NULL: nowhere, since what there was has ended. It
	 * may come before the nomination (RFC 8445 section 12.1), and change with it. */
	void (*selected)(void *ctx, const struct ice_path *path);
	/* why: a sentence for people, static */
	void (*state)(void *ctx, enum ice_state state, const char *why);
};

/* May be shared by many agents. */
struct ice_counters {
	uint64_t requests, answers;	/* authentic ones: checks of peers, answers to ours */
	uint64_t checks;		/* ours, repeats included */
	uint64_t bad_message;		/* no request, answer or indication that ICE knows */
	uint64_t bad_user, bad_key;	/* USERNAME of somebody else; MESSAGE-INTEGRITY or FINGERPRINT wrong */
	uint64_t bad_request;		/* authentic, answered with 400 or 420 */
	uint64_t conflicts;		/* of roles, seen by either side */
	uint64_t replays;		/* an old request from another address */
	uint64_t strays;		/* answers to nothing, or along another path */
	uint64_t refused;		/* errors that peers answered, 487 apart */
	uint64_t names, denied, crowded; /* candidates: mDNS; unusable address; beyond a limit */
	uint64_t paths;			/* validated */
	uint64_t consent_lost;
};

struct ice_opts {
	/* lite: never sends checks (RFC 8445 section 2.5), and is controlled. Full beside a lite
	 * peer: controlling, whatever stands here (section 6.1.1). */
	bool lite, controlling;
	uint16_t slot;		/* stands in the ufrag's first two base64 characters */
	uint64_t tie_breaker;
	uint32_t disconnected_ms; /* silence until DISCONNECTED; 0: 5000, lite 8000 */
	uint32_t consent_ms;	  /* until FAILED; 0: 30000 (RFC 7675 section 5.1) */
	uint32_t fail_ms;	  /* checking without success until FAILED; 0: 30000 */
	struct ice_counters *counters; /* borrowed; NULL: not counted */
};

struct ice_agent;
/* Draws ufrag and password. */
int ice_new(struct ice_agent **ret_a, const struct ice_opts *o, const struct ice_io *io, void *ctx);
/* No calls of io any more; accepts NULL */
void ice_free(struct ice_agent *a);

/* Current local credentials; NUL-terminated. After ice_restart new ones. */
const char *ice_ufrag(const struct ice_agent *a);
const char *ice_password(const struct ice_agent *a);

/* addr: the base. told: as peers shall know it (an external address); NULL: the same. Its candidate
 * is a host candidate with told's address. A TCP base is the listener; a connection to it comes in
 * as a path with a number of its own. The order of adding is the order of preference. -SL_ELIMIT */
int ice_add_local(struct ice_agent *a, const struct sl_addr *addr, const struct sl_addr *told,
		  uint32_t via, enum ice_transport transport);
unsigned ice_local_candidates(const struct ice_agent *a, struct ice_candidate *ret_c, unsigned max);

/* Remote credentials; begins checking. Other credentials than before are the peer's restart: the
 * selected path stays until a new one is nominated (section 2.4). To answer a restart as RFC 8839
 * section 4.4.1.1.1 wants it: ice_restart, then this. lite: the peer is. -SL_EINVAL: shorter or
 * longer than RFC 8839 section 5.4 allows. -SL_EUNSUPP: both sides are lite. */
int ice_set_remote(struct ice_agent *a, struct sl_str ufrag, struct sl_str password, bool lite,
		   uint64_t now_ms);
/* Names (mDNS) are ignored and counted: the peer's checks will show its address. So are TCP
 * candidates, since it is peers who connect. -SL_ELIMIT; -SL_EDENIED: an address that must not be
 * checked: no unicast address, one of ours, or loopback while no base is */
int ice_add_remote(struct ice_agent *a, const struct ice_candidate *c, uint64_t now_ms);
void ice_end_of_candidates(struct ice_agent *a, uint64_t now_ms);
/* Ours: new credentials; the remote's are forgotten until ice_set_remote. A restart, by either side,
 * is the way out of ICE_FAILED. */
int ice_restart(struct ice_agent *a, uint64_t now_ms);

/* Does a Binding request's USERNAME name this agent (current or, during a restart, previous
 * ufrag)? */
bool ice_is_for(const struct ice_agent *a, const struct sl_stun_msg *msg);
/* A STUN message that came along the path. SL_DONE: taken; SL_DROP: not authentic or not for it
 * (counted). */
int ice_input(struct ice_agent *a, const struct ice_path *path, const struct sl_stun_msg *msg,
	      uint64_t now_ms);
/* Media or DTLS came along the path: false unless it may (validated). Cheap: called per packet. */
bool ice_may_receive(struct ice_agent *a, const struct ice_path *path, uint64_t now_ms);
/*
 * Authentic media, newer than all before, came along a path that ice_may_receive does not know: the
 * peer is there, and may not know of it itself. The path is open from now on, as after a check of the
 * peer's, and is asked; with the answer it is selected. false: no such path can be, or a lite agent or
 * a restart under way has to wait for a check.
 */
bool ice_follow(struct ice_agent *a, const struct ice_path *path, uint64_t now_ms);
/* A connection has ended, or the host's address has gone. */
void ice_base_gone(struct ice_agent *a, uint32_t via, uint64_t now_ms);

/* Runs what is due; returns the next time, UINT64_MAX for never. */
uint64_t ice_tick(struct ice_agent *a, uint64_t now_ms);
/* That time; any of the calls above may bring it forward. */
uint64_t ice_next_ms(const struct ice_agent *a);
/* NULL: none selected */
const struct ice_path *ice_selected(const struct ice_agent *a);
enum ice_state ice_get_state(const struct ice_agent *a);
/* Of the selected pair, smoothed; 0: not known */
uint32_t ice_rtt_us(const struct ice_agent *a);

#endif
