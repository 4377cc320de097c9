/*
 * signaling-ws/pair.h: the way from one peer to another: which descriptions have passed, and which
 * candidates wait for theirs.
 *
 * A candidate is of use only after the description with its ICE user fragment (RFC 8839
 * section 5.4). What comes too early waits here, at the sender's side and bounded, until that
 * description goes by. Pure.
 */
#ifndef SIGNALING_PAIR_H
#define SIGNALING_PAIR_H

#include <sluice/str.h>

#define PAIR_UFRAGS 8 /* a few media sections and the generation before */

struct held {
	struct held *next;
	uint64_t ufrag; /* hash; 0: the candidate names none */
	size_t len;
	char body[]; /* the message as the receiver gets it, without a number */
};

struct pair {
	struct pair *next;
	uint64_t to;		      /* peer */
	uint32_t sent;		      /* messages so far: their numbers, see source.h */
	uint64_t ufrags[PAIR_UFRAGS]; /* hashes of those that passed, the oldest is replaced */
	uint8_t n_ufrags, at;
	bool any; /* a description without user fragments passed: let all through */
	struct held *first, **tail;
	size_t n_held;
};

/* The pair towards `to`; made when missing. NULL: out of memory. */
struct pair *pair_get(struct pair **list, uint64_t to);
struct pair *pair_find(struct pair *list, uint64_t to);
/* What has passed and what waits; the numbers go on. */
void pair_forget(struct pair *list, uint64_t to);
void pair_drop(struct pair **list, uint64_t to);
void pairs_free(struct pair **list);

/* A value for a user fragment that is the same in every process; never 0. */
uint64_t ufrag_hash(struct sl_str ufrag);
/* A description passes: remembers the user fragments in its SDP (p NULL: unknown form). */
void pair_description(struct pair *p, struct sl_str sdp);
bool pair_lets_pass(const struct pair *p, uint64_t ufrag);
/* -SL_EFULL: max are waiting. */
int pair_hold(struct pair *p, uint64_t ufrag, struct sl_str body, size_t max);
/* Takes out the next held candidate that may pass now, in order; NULL: none. The caller frees it.
 */
struct held *pair_take(struct pair *p);

#endif
