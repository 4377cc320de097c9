/*
 * sfu/allocate.h: divides what there is to one subscriber among its video tracks. Pure.
 *
 * Told what each layer of each track costs and how much the client wants of it; says which layers
 * it gets. Audio is subtracted before. Speakers first, then by priority and wished size, fairly
 * among equals; down at once, up slowly and one step at a time, so that nothing flaps; what is hidden
 * or stopped costs nothing.
 */
#ifndef SFU_ALLOCATE_H
#define SFU_ALLOCATE_H

#include <sluice/layers.h>

enum {
	ALLOCATE_MAX_LAYERS = 16, /* of one track: encodings x spatial x temporal, those that exist */
};

struct allocate_layer {
	uint8_t encoding, spatial, temporal;
	uint16_t width, height; /* 0: not known */
	uint32_t bps;		/* of everything up to it: what the subscriber would get */
};

/* State between rounds, zeroed at first; one per subscription. */
struct allocate_state {
	struct sl_layers_target target; /* the newest result */
	bool given;			/* it was shown in the round before, or starved */
	uint64_t up_ms;			/* not up again before */
};

/* Of one round; nobody else's */
struct allocate_ladder {
	uint8_t layer[ALLOCATE_MAX_LAYERS], rank[ALLOCATE_MAX_LAYERS];
	uint8_t n, got, held, limit; /* rungs: that exist; taken; had before; at most now */
	bool tried;
};

struct allocate_track {
	struct allocate_state *state;
	const struct allocate_layer *layers; /* ascending bps; n 0: nothing arrives now */
	unsigned n_layers;
	uint16_t width, height; /* shown at this size; 0: any */
	uint8_t priority;	/* 0 lowest */
	bool speaker, hidden, screen;
	/* Result */
	struct sl_layers_target target;
	bool starved; /* paused for want of bandwidth, not by wish */
	uint32_t bps; /* that it costs */
	struct allocate_ladder ladder;
};

struct allocate_result {
	uint64_t used_bps;   /* of the video tracks */
	uint64_t all_bps;    /* that all of them would take in their wished size */
	uint64_t wanted_bps; /* a budget with which everything would have its wished size: what
				the estimator should look for */
};

/* budget_bps: of the estimate, with audio and retransmissions taken off. used_bps never exceeds it. */
void allocate(struct allocate_track *tracks, unsigned n, uint64_t budget_bps, uint64_t now_ms,
	      struct allocate_result *ret_result);

#endif
