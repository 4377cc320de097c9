/*
 * recorder/mix.h: what a room sounds like as a whole, mixed by the module mixer while it is recorded:
 * one more track for the writer. In workers; one of them does it for a room.
 */
#ifndef RECORDER_MIX_H
#define RECORDER_MIX_H

#include "recorder.h"

struct mixes;
/* *ret_mixes NULL: none are wanted */
int mix_open(struct sl_worker *w, const struct recorder_conf *conf, struct tap *tap,
	     struct mixes **ret_mixes);
void mix_close(struct mixes *m); /* accepts NULL */
/* What the writer says of a room, each time it does. Accepts NULL */
void mix_follow(struct mixes *m, struct sl_str room, enum record_state state);
/* This worker is about to leave: a newer one does it. Accepts NULL */
void mix_drain(struct mixes *m);

/* tap.c: a track that the module itself brings; no other module sees it */
void tap_bring(struct tap *t, struct sl_track *k);
void tap_media(struct tap *t, const struct sl_media *m);
void tap_take_away(struct tap *t, struct sl_track *k);

#endif
