/*
 * sfu/speakers.h: who speaks in a room, and which voices are worth forwarding. Pure.
 *
 * Fed with audio levels (RFC 6464); tells the active speakers, loudest first, steady over pauses
 * between words, and the N tracks that are audible in a big room, with hysteresis.
 */
#ifndef SFU_SPEAKERS_H
#define SFU_SPEAKERS_H

#include <sluice/err.h>

struct speakers;
/* n_audible: how many tracks are forwarded; 0: all */
int speakers_new(struct speakers **ret_s, unsigned n_audible);
void speakers_free(struct speakers *s); /* accepts NULL */
/* One packet's level: 0 loudest .. 127 silence, in -dBov; voice: the sender's V bit. id: of the
 * track. An unknown id is entered. */
void speakers_heard(struct speakers *s, uint64_t id, unsigned level, bool voice, uint64_t now_ms);
void speakers_remove(struct speakers *s, uint64_t id);
/* Decides anew, a few times a second; true: the active speakers have changed. */
bool speakers_tick(struct speakers *s, uint64_t now_ms);
/* Active speakers, loudest first; returns their number. */
unsigned speakers_active(const struct speakers *s, uint64_t *ret_ids, unsigned max);
bool speakers_audible(const struct speakers *s, uint64_t id);

#endif
