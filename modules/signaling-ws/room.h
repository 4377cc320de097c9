/*
 * signaling-ws/room.h: who is in which room, on the whole node. Every worker holds the same roster.
 *
 * A member has exactly one owner: the worker that holds its mailbox. A room exists as long as it
 * has members. Pure.
 */
#ifndef SIGNALING_ROOM_H
#define SIGNALING_ROOM_H

#include <sluice/hash.h>

struct peer;
struct conn;

/* A message between workers that has to wait. */
struct waiting {
	struct waiting *next;
	uint16_t type;
	size_t len;
	uint8_t data[];
};

/* A member on its way to this worker; the fields are handover.c's. */
struct hold {
	struct waiting *first, **tail; /* what came for it meanwhile */
	size_t bytes;
	struct conn *taker;  /* whose resume it is; NULL: gone meanwhile */
	uint8_t subject[16]; /* of the taker */
	uint64_t seen;	     /* the sequence number that the taker has */
	uint32_t giver;	     /* owner that said it sends the state; 0: none yet */
	struct peer *coming; /* state that has arrived so far */
};

struct member {
	struct sl_hnode node;	    /* in the roster */
	struct member *prev, *next; /* in the room */
	struct room *room;
	uint64_t id;
	uint32_t owner, told_by; /* the owner, and which worker said so */
	uint8_t version;	 /* of the client's protocol */
	struct peer *peer;	 /* owned here; NULL: elsewhere */
	struct hold *hold;	 /* it is being taken; NULL: messages go straight */
	uint32_t n_served;	 /* messages that this worker itself has sent it */
	struct sl_str name;	 /* stands behind the struct */
};

struct room {
	struct sl_hnode node;
	struct member *first;
	unsigned n;
	struct sl_str name; /* stands behind the struct */
};

struct roster {
	struct sl_htab members, rooms;
};

struct member *roster_find(const struct roster *r, uint64_t id);
struct room *roster_room(const struct roster *r, struct sl_str name); /* NULL: nobody is in it */
/* A new member of a room, which comes to be when it is the first. -SL_EEXIST: the id is taken. */
struct member_opts {
	uint64_t id;
	uint32_t owner;
	uint8_t version;
	struct sl_str room, name;
};
int roster_add(struct roster *r, const struct member_opts *o, struct member **ret_member);
/* Frees it, its hold and what waits there. */
void roster_remove(struct roster *r, struct member *m);
void roster_free(struct roster *r);

/* A member's hold, new; NULL: out of memory. */
struct hold *hold_new(struct member *m);
int hold_add(struct hold *h, uint16_t type, struct sl_str data);
/* The first that waits, for the caller to free; NULL: none. */
struct waiting *hold_take(struct hold *h);
void hold_free(struct hold *h); /* accepts NULL */

/*
 * Of each two, exactly one is polite (it yields when two offers cross). Towards a client that does
 * not know roles the other one is.
 */
bool member_is_polite(const struct member *self, const struct member *towards);

#endif
