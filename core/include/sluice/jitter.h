/*
 * sluice/jitter.h: the jitter buffer: packets come when they come, and go out by the clock of who
 * plays them, in order, late by no more than the network asks for.
 *
 * Sans-I/O, in virtual time. The delay it aims at is what nearly all packets of the last seconds
 * needed over the fastest ones; it grows at once and shrinks slowly. Packets are the caller's
 * handles; memory is fixed.
 */
#ifndef SLUICE_JITTER_H
#define SLUICE_JITTER_H

#include <sluice/str.h>

enum { SL_JITTER_SLOTS = 64 }; /* packets that wait at most; a power of two */

struct sl_jitter;
struct sl_jitter_opts {
	uint32_t clock_hz;
	uint32_t max_ms; /* of delay; 0: 200 */
	uint32_t pull_ms; /* how much is taken out at a time; 0: 20 */
	/* A packet is of no use any more: played, late, or dropped. */
	void (*release)(void *arg, void *packet);
	void *arg;
};
SL_API SL_MUST_CHECK int sl_jitter_new(struct sl_jitter **ret_jitter,
				       const struct sl_jitter_opts *o);
SL_API void sl_jitter_free(struct sl_jitter *j); /* accepts NULL */

struct sl_jitter_packet {
	void *packet; /* released once, unless NULL */
	struct sl_str payload; /* borrowed from the packet */
	uint32_t ts;
	uint16_t seq;
	uint8_t codec; /* the caller's */
	bool redundant; /* it has something of the packet before it: that is worth waiting for */
	bool untimed;  /* this process stood still: when the network brought it is not known */
};
enum sl_jitter_verdict {
	SL_JITTER_TAKEN,
	SL_JITTER_DUPLICATE,
	SL_JITTER_LATE,	     /* its time has passed */
	SL_JITTER_RESTARTED, /* taken; the stream jumped, and begins anew with it */
};
/* Released also when it is not taken. */
SL_API enum sl_jitter_verdict sl_jitter_put(struct sl_jitter *j, const struct sl_jitter_packet *p,
					    uint64_t now_ns);
/* This number was taken by something that is not played (a digit's event): it is not missing. */
SL_API void sl_jitter_note(struct sl_jitter *j, uint16_t seq);
/* Another source: what waits is dropped, what was learnt of the network stays. */
SL_API void sl_jitter_restart(struct sl_jitter *j, uint32_t clock_hz);

enum sl_jitter_what {
	SL_JITTER_PLAY,	  /* the packet */
	SL_JITTER_LOST,	  /* `duration` is missing; payload: of the next packet, if it is there */
	SL_JITTER_WAIT,	  /* nothing has come so far: bridge over */
	SL_JITTER_SILENCE, /* nothing is expected: not begun, or a pause of the talker's */
};
struct sl_jitter_out {
	enum sl_jitter_what what;
	struct sl_jitter_packet packet; /* PLAY: borrowed until the next call. LOST: codec, payload */
	uint32_t duration; /* LOST and SILENCE: how much, in units of the clock; SILENCE: 0 is any */
	int adjust; /* PLAY: -1 the delay is too long, shorten what is played; 1: lengthen it */
};
/* The next piece, to be heard at now_ns + pending_ns (what was taken out before and not yet played). */
SL_API void sl_jitter_get(struct sl_jitter *j, uint64_t now_ns, uint64_t pending_ns,
			  struct sl_jitter_out *ret_out);
/* When something was made up for WAIT: how much, in units of the clock. */
SL_API void sl_jitter_waited(struct sl_jitter *j, uint32_t duration);

struct sl_jitter_stats {
	uint64_t played, late, lost, duplicates, restarts, dropped;
	uint32_t target_ms, delay_ms; /* of the newest packet that was played */
	unsigned waiting;
};
SL_API void sl_jitter_get_stats(const struct sl_jitter *j, struct sl_jitter_stats *ret_stats);

#endif
