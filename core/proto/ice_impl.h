/*
 * proto/ice_impl.h: what the parts of the ICE agent share. ice.c holds the agent's life and its
 * state; ice_pair.c the check list; ice_check.c our checks and the answers to them; ice_input.c the
 * peer's checks; ice_select.c which pair carries media, and whether it still may.
 *
 * Two generations of credentials exist during a restart. A pair belongs to one of them (`old`); the
 * old one's pairs are only kept, never begun, and go some seconds after a new pair is selected.
 */
#ifndef PROTO_ICE_IMPL_H
#define PROTO_ICE_IMPL_H

#include "proto/ice.h"

enum {
	ICE_TXID = 12,
	ICE_N_TXIDS = 4,   /* transactions of a pair whose answers are still taken */
	ICE_N_RECENT = 64, /* requests that are remembered against replay */
	ICE_TA_MS = 50,	   /* RFC 8445 section 14.2 */
	ICE_BURST = 4,	   /* checks that may leave at once: a server's pairs are few */
	ICE_RTO_MS = 500,  /* section 14.3 */
	ICE_RTO_MAX_MS = 2000,
	ICE_TRANSMISSIONS = 7,
	ICE_PATIENCE_MS = 150,	  /* how long a valid pair waits for a better one before we nominate */
	ICE_CONSENT_MIN_MS = 4000, /* RFC 7675 section 5.1: 5 s, times 0.8 to 1.2 */
	ICE_CONSENT_SPAN_MS = 2000,
	ICE_QUIET_MS = 2500,	 /* silence after which liveness is asked more often */
	ICE_RETIRE_MS = 5000,	 /* the old generation's stay after a new pair is selected */
	ICE_KEEPALIVE_MS = 15000, /* RFC 8445 section 11 */
	ICE_SILENT_MS = 1000, /* the peer is better believed elsewhere */
};

struct ice_local {
	struct sl_addr addr, told;
	uint32_t via, priority;
	uint8_t transport; /* enum ice_transport: UDP or TCP_PASSIVE */
	uint8_t foundation;
};

struct ice_remote {
	struct sl_addr addr;
	uint32_t priority;
};

/* One generation's; NUL-terminated. The peer's may be long and hardly ever are: made to measure. */
struct ice_creds {
	char ufrag[ICE_UFRAG_CHARS + 1], password[ICE_PASSWORD_CHARS + 1]; /* ours */
	char *peer;				/* owned: holds both of the following; NULL */
	const char *peer_ufrag, *peer_password; /* empty: not known */
};

/* A Binding request that we have sent. */
struct ice_ask {
	uint8_t txid[ICE_TXID];
	bool live;	  /* an answer would be taken */
	bool nominating;  /* with USE-CANDIDATE */
	bool controlling; /* our role in it */
	uint8_t n_sent;
	uint64_t sent_ms; /* first */
};

/* No Frozen: with one component it would only delay what can be asked at once. */
enum ice_pair_state { ICE_PAIR_WAITING, ICE_PAIR_CHECKING, ICE_PAIR_SUCCEEDED, ICE_PAIR_FAILED };

struct ice_pair {
	struct ice_pair *next; /* highest priority first */
	struct ice_path path;
	uint64_t priority;
	uint32_t local_priority, remote_priority;
	uint8_t state;	  /* enum ice_pair_state; our checks, so WAITING for ever in a lite agent */
	bool old;	  /* of creds[1] */
	bool open;	  /* path_open has been called */
	bool triggered;	  /* checked before all that merely wait */
	bool nominating;  /* ours: the next check carries USE-CANDIDATE */
	bool wanted;	  /* the peer has nominated it; counts once our check has succeeded */
	bool picked;	  /* nominated last, by either side */
	bool followed;	  /* the peer's media has moved here, and it was not heard elsewhere since */
	bool plain;	  /* the peer's last request was without USE-CANDIDATE */
	bool valid;	  /* there is consent: answered of late; in a lite agent, asked of late */
	uint8_t unanswered; /* checks since the last answer */
	uint64_t resend_ms;  /* CHECKING: repeat or give up then */
	uint64_t heard_ms;   /* anything; 0: nothing */
	uint64_t request_ms, answer_ms; /* authentic request, answer; 0: none */
	uint64_t sent_ms, checked_ms;	/* any STUN by us; a check */
	uint32_t rtt_us;
	bool rtt_guessed; /* nothing but a guess yet */
	struct ice_ask asks[ICE_N_TXIDS]; /* newest first */
};

struct ice_seen {
	uint32_t txid, from; /* hashes */
};

struct ice_agent {
	struct ice_opts opts;
	const struct ice_io *io;
	void *ctx;
	struct ice_counters *count, own_count;
	bool controlling, peer_lite, ended; /* ended: no more remote candidates */
	bool nominated;			    /* a pair of this generation has been */
	uint8_t state;
	bool has_old;	/* creds[1] is in use */
	bool rechecked; /* all pairs, since the selected one went silent */
	struct ice_creds creds[2];
	struct ice_local *locals;   /* owned */
	struct ice_remote *remotes; /* owned */
	uint8_t n_locals, n_remotes;
	struct ice_pair *pairs; /* owned */
	unsigned n_pairs;
	struct ice_pair *selected;
	uint64_t begin_ms;	 /* checking, or without a selected pair, since */
	uint64_t first_valid_ms; /* 0: none in this generation */
	uint64_t alive_ms;	 /* next regular check of the selected pair */
	uint64_t pace_ms;	 /* when the budget of checks would be whole again */
	uint64_t retire_ms;	 /* the old generation goes; UINT64_MAX: not yet */
	uint64_t next_ms;
	uint8_t key[16]; /* of transaction ids and jitter */
	uint64_t n_drawn;
	struct ice_seen recent[ICE_N_RECENT];
	unsigned n_recent;
};

static inline const struct ice_creds *ice_creds_of(const struct ice_agent *a,
						   const struct ice_pair *p)
{
	return &a->creds[p->old];
}
static inline bool ice_knows_peer(const struct ice_agent *a)
{
	return a->creds[0].peer_ufrag[0] != '\0';
}
static inline bool ice_path_eq(const struct ice_path *a, const struct ice_path *b)
{
	return a->via == b->via && a->tcp == b->tcp && sl_addr_eq(&a->remote, &b->remote) &&
	       sl_addr_eq(&a->local, &b->local);
}
/* At or before */
static inline void ice_due(struct ice_agent *a, uint64_t at_ms)
{
	if (at_ms < a->next_ms)
		a->next_ms = at_ms;
}
/* Unpredictable and never twice; without a call into the system per check */
uint64_t ice_draw(struct ice_agent *a);
void ice_set_state(struct ice_agent *a, enum ice_state state, const char *why);
/* Consent is gone or nothing works: closes all paths. */
void ice_fail(struct ice_agent *a, const char *why);
/* The rest of a generation that has been replaced. */
void ice_retire_old(struct ice_agent *a);

/* ice_candidate.c */
uint32_t ice_host_priority(unsigned n_before, enum ice_transport transport);
/* The priority that a peer-reflexive candidate of this base would have (RFC 8445 section 7.1.1). */
uint32_t ice_prflx_priority(uint32_t host_priority);

/* ice_pair.c */
const struct ice_local *ice_local_of(const struct ice_agent *a, const struct ice_path *path);
struct ice_pair *ice_pair_find(const struct ice_agent *a, const struct ice_path *path, bool old);
/* NULL: no room, and nothing that is worth less */
struct ice_pair *ice_pair_add(struct ice_agent *a, const struct ice_path *path,
			      uint32_t local_priority, uint32_t remote_priority);
/* May be the selected one: then nothing is selected. */
void ice_pair_remove(struct ice_agent *a, struct ice_pair *p);
void ice_pair_reprioritize(struct ice_agent *a, struct ice_pair *p, uint32_t remote_priority);
void ice_pairs_reorder(struct ice_agent *a); /* the role has changed */
void ice_pairs_with_local(struct ice_agent *a, const struct ice_local *l);
void ice_pairs_with_remote(struct ice_agent *a, const struct ice_remote *r);
void ice_pair_open(struct ice_agent *a, struct ice_pair *p);
void ice_pair_close(struct ice_agent *a, struct ice_pair *p);

/* ice_check.c */
bool ice_may_check(const struct ice_agent *a);
void ice_trigger(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms);
/* Sends what may leave, repeats what is due, gives up what has had no answer. */
void ice_run_checks(struct ice_agent *a, uint64_t now_ms);
/* One check of a pair that has succeeded before, in a transaction of its own */
void ice_ask_alive(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms);
void ice_keep_alive(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms);
int ice_answer(struct ice_agent *a, const struct ice_path *path, const struct sl_stun_msg *msg,
	       uint64_t now_ms);
void ice_switch_role(struct ice_agent *a, bool controlling);

/* ice_select.c */
bool ice_usable(const struct ice_pair *p);
void ice_heard(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms);
/* Media came along a pair that the peer seems to have moved to, or had left. */
void ice_heard_elsewhere(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms);
/* A pair has become usable. */
void ice_validated(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms);
/* By the peer: a request with USE-CANDIDATE; any other. By us: such a request was answered. */
void ice_peer_nominates(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms);
void ice_peer_asks(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms);
void ice_we_nominated(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms);
/* The selected pair has been removed: another, or none. */
void ice_reselect(struct ice_agent *a, uint64_t now_ms, const char *why);
/* The peer shows life elsewhere: is the selected pair alive? */
void ice_doubt(struct ice_agent *a, uint64_t now_ms);
void ice_run_consent(struct ice_agent *a, uint64_t now_ms);
void ice_run_nomination(struct ice_agent *a, uint64_t now_ms);

#endif
