/*
 * recorder/tap_impl.h: what the files of the workers' half share: tap.c its life, tap_tracks.c the
 * tracks and their packets, tap_writers.c what writers say, and that they come and go.
 */
#ifndef RECORDER_TAP_IMPL_H
#define RECORDER_TAP_IMPL_H

#include "announce.h"
#include "api.h"
#include "ended.h"
#include "keyask.h"
#include "mix.h"
#include "simulcast.h"
#include "spool.h"

#include <sluice/codec.h>
#include <sluice/hash.h>

enum {
	MAX_SPOOLS = 4, /* writers at a time: of this generation, and those before */
	MAX_ID = 160,
	ANNOUNCE_MS = 200, /* until a writer is there */
};

struct tap_room { /* that is recorded */
	struct tap_room *next;
	uint32_t owner;	     /* the writer; 0: it died, and its successor is not there yet */
	struct spool *spool; /* where packets go; NULL: none could be made */
	enum record_state state;
	char id[MAX_ID];
	size_t name_len;
	char name[];
};

struct tap_track {
	struct sl_hnode node;
	struct sl_track *track;
	struct tap_room *room; /* NULL: not recorded */
	uint32_t told;	       /* the writer that knows it */
	bool mixed;	       /* by the mixer, out of the others */
	bool over;	       /* as sl_track.over, at the newest change */
	struct simulcast simulcast;
	struct keyask ask; /* of the encoding that is waited for */
	struct sl_codec_state *state; /* of the encoding that is waited for */
	uint8_t state_of;
};

struct tap {
	struct sl_worker *w;
	const struct recorder_conf *conf;
	const struct sl_meter *m;
	struct sl_channel *channel;
	struct control *control;
	struct api *api;
	struct announcer *announcer;
	struct mixes *mixes; /* NULL: none are wanted */
	struct sl_htab tracks;
	struct tap_track *newest; /* of the packet before */
	struct tap_room *rooms;
	struct spool *spools[MAX_SPOOLS];
	struct ended *ended;
	struct sl_timer flush, announce;
	uint32_t flush_ms;
};

/* ---- tap.c */
struct tap_room *tap_room_find(const struct tap *t, struct sl_str name);
void tap_room_remove(struct tap *t, struct tap_room *room);
/* Frees b; what finds no room is told again by who would miss it. */
void tap_send(struct tap *t, uint32_t owner, enum record_message type, struct sl_buf *b);

/* ---- tap_tracks.c */
struct tap_track *tap_track_find(const struct tap *t, uint64_t id);
/* To the writer of its room, or to this one; 0: once there is one */
void tap_track_tell(struct tap *t, struct tap_track *tt);
void tap_track_tell_to(struct tap *t, struct tap_track *tt, uint32_t owner);
void tap_track_tell_clocks(struct tap *t, const struct tap_track *tt);
void tap_track_ask_key(struct tap_track *tt);
/* Its packets begin to flow: with a clock and a key frame, if there are such. */
void tap_track_flow(struct tap *t, struct tap_track *tt, struct tap_room *room);
void tap_track_drop(struct tap *t, struct tap_track *tt);
int tap_on_new(void *ctx, struct sl_track *k);
int tap_on_change(void *ctx, struct sl_track *k);
int tap_on_clock(void *ctx, struct sl_track *k);
int tap_on_close(void *ctx, struct sl_track *k);
int tap_on_media(void *ctx, const struct sl_media *m);

/* ---- tap_writers.c */
void tap_on_message(void *arg, const struct sl_channel_msg *m);
int tap_on_event(void *ctx, const struct sl_bus_event *ev);
/* Tracks that no living writer knows */
void tap_announce_tracks(struct tap *t);

#endif
