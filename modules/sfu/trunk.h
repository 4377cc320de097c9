/*
 * sfu/trunk.h: the kinds of messages between workers, for those who write them (trunk_tell.c) and
 * those who read them (trunk.c). TRUNK.md has the wire form of each.
 */
#ifndef SFU_TRUNK_H
#define SFU_TRUNK_H

#include "sfu.h"

enum { TRUNK_LAYOUT = 1 }; /* the first byte of each: who knows another one ignores them */

enum trunk_type {		 /* spoken between generations: append only */
		  TRUNK_ASK = 1, /* tell me all */
		  TRUNK_PARTICIPANT,
		  TRUNK_PARTICIPANT_GONE,
		  TRUNK_TRACK,
		  TRUNK_TRACK_GONE,
		  TRUNK_WANT,
		  TRUNK_PACKETS,
		  TRUNK_KEY,
		  TRUNK_CLOCK,
		  TRUNK_DATA,
		  TRUNK_VERB,
		  TRUNK_SILENCE,
		  TRUNK_LEVEL,
		  TRUNK_HOLD,
		  TRUNK_STILL,
		  TRUNK_QUALITY,
};

/* ---- trunk_tell.c */

/* Asks all other workers for what they have: each answers with trunk_tell_all. */
void trunk_ask(struct sfu *s);

/* Tells the asking worker the participants and tracks that are here. */
void trunk_tell_all(struct sfu *s, uint32_t asker);

#endif
