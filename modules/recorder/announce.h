/*
 * recorder/announce.h: the room hears that it is recorded. In workers.
 */
#ifndef RECORDER_ANNOUNCE_H
#define RECORDER_ANNOUNCE_H

#include "recorder.h"

struct announcer;
/* *ret_announcer NULL: nothing is to be said */
int announce_open(struct sl_worker *w, const struct recorder_conf *conf,
		  struct announcer **ret_announcer);
void announce_close(struct announcer *a); /* accepts NULL */
/* Once in each room that begins to be recorded; every worker is asked, and one does it. Accepts NULL */
void announce_room(struct announcer *a, struct sl_str room);
/* Samples of a WAV file, little-endian: 16 bit, mono. -SL_EPARSE, -SL_EUNSUPP */
SL_MUST_CHECK int announce_wav(struct sl_str file, unsigned *ret_hz, struct sl_str *ret_samples);

#endif
