/*
 * sfu/offer.h: what a video track offers its subscribers: its layers, and what each would cost. Pure.
 *
 * Costs are measured where packets come. Where none do, because nobody has wanted an encoding so
 * far, they are what they used to be, or what the publisher says that it aims at (video layers
 * allocation), or a guess: something must be offered so that wanting it can begin.
 */
#ifndef SFU_OFFER_H
#define SFU_OFFER_H

#include <sluice/codec.h>
#include <sluice/rtc.h>
#include <sluice/vla.h>

#include "allocate.h"

/* What one encoding of a track has cost of late; zeroed at first. */
struct encoding_rate {
	uint64_t bytes[SL_MAX_SPATIAL][SL_MAX_TEMPORAL]; /* since the last look */
	uint32_t bps[SL_MAX_SPATIAL][SL_MAX_TEMPORAL];
	uint16_t width, height; /* of its largest picture; 0: not known */
	uint64_t begun_ms, last_ms; /* first packet since it was away; newest, 0: none */
	uint64_t asked_ms;	    /* when its publisher or home was asked to bring it */
	uint32_t usual_bps;	    /* of all its layers, when it was steady last; 0: never */
	uint32_t told_bps;	    /* what its publisher aims at; 0: it does not say */
};

/* A packet has come. true: it tells another size */
bool encoding_count(struct encoding_rate *r, const struct sl_frame_info *info, uint32_t bytes,
		    uint64_t now_ms);
/* The publisher says of encoding e what it makes. true: it tells another size */
bool encoding_told(struct encoding_rate *r, const struct sl_vla *v, unsigned e);
/* Rates of what has been counted in the last elapsed_ms, smoothed over about four such looks */
void encoding_measure(struct encoding_rate *r, uint64_t now_ms, uint64_t elapsed_ms);
/* Of all layers, in bit/s */
uint64_t encoding_bps(const struct encoding_rate *r);

struct offer {
	const struct encoding_rate *rates; /* borrowed */
	unsigned n_encodings;
	uint32_t asked; /* encodings that the publisher, or the track's home, was asked for */
	uint64_t now_ms;
};

/* Bit e: packets of encoding e come. */
uint32_t offer_arriving(const struct offer *o);
/* At most ALLOCATE_MAX_LAYERS, ascending by bps; returns how many. */
unsigned offer_layers(const struct offer *o, struct allocate_layer *ret_layers);

#endif
