/*
 * recorder/simulcast.h: which of a track's encodings is the best one: that with the highest rate in
 * the last whole second, unless it has stalled. One has stalled when others of the same camera have
 * gone on without it: a camera that makes a picture every five seconds stalls in none.
 *
 * Who records may go over to it at a key frame of it only, and asks for one. Sans-I/O.
 */
#ifndef RECORDER_SIMULCAST_H
#define RECORDER_SIMULCAST_H

#include <sluice/rtc.h>

enum { SIMULCAST_NONE = 255, SIMULCAST_STALL_MS = 400 };

/* Zeroed but for chosen to begin with. */
struct simulcast {
	uint8_t chosen;	    /* the one that is recorded; SIMULCAST_NONE: nothing has come */
	uint64_t window_ms; /* when this second began */
	uint64_t
		behind_ms[SL_RTC_MAX_ENCODINGS]; /* others come without it since then; 0: it does */
	uint32_t bytes[SL_RTC_MAX_ENCODINGS];	 /* in this second */
	uint32_t rate[SL_RTC_MAX_ENCODINGS];	 /* in the one before */
};

/* A packet of so many bytes has come of one of them. Returns the best one, which is the chosen one
 * as long as none is better; the first that comes is chosen at once. */
unsigned simulcast_best(struct simulcast *s, unsigned encoding, size_t bytes, uint64_t now_ms);
/* A key frame of it begins: it is the one from here on. */
void simulcast_choose(struct simulcast *s, unsigned encoding);

#endif
