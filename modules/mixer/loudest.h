/*
 * mixer/loudest.h: which voices are mixed: the loudest of those who speak, and no more than a few.
 *
 * Whoever speaks is let in at once while there is room; else a voice has to be clearly louder than
 * the softest that is in. Who falls silent stays in for a second, so that the ends of words are
 * heard. Pure, and without memory of its own: voices are linked through the caller's objects.
 */
#ifndef MIXER_LOUDEST_H
#define MIXER_LOUDEST_H

#include <sluice/str.h>

enum {
	VOICE_SPEECH_DBOV = -58, /* softer is no speech */
	VOICE_HOLD_MS = 1000,
	VOICE_PAUSE_MS = 250, /* a place whose voice pauses for so long may be taken */
	VOICE_MARGIN_DB = 6,  /* by so much louder than the softest */
};

/* A frame is made at its own time, which may be a little before that of a packet that is here. */
static inline uint64_t voice_since_ms(uint64_t now_ms, uint64_t then_ms)
{
	return now_ms > then_ms ? now_ms - then_ms : 0;
}

struct voice {
	struct voice *prev, *next; /* W: loudest.c; of those that are in */
	bool in;
	float level; /* dBov, smoothed; of what was speech */
	uint64_t spoke_ms;
};

struct loudest {
	struct voice *first;
	unsigned n, max;
};

/* dbov: of a packet or a frame, now. Returns whether the voice is in. */
bool loudest_heard(struct loudest *l, struct voice *v, int dbov, uint64_t now_ms);
/* Those who have been silent for long go. */
void loudest_time(struct loudest *l, uint64_t now_ms);
void loudest_remove(struct loudest *l, struct voice *v);

#endif
