/*
 * mixer/mix.h: voices added up, and kept from clipping; pure.
 */
#ifndef MIXER_MIX_H
#define MIXER_MIX_H

#include <sluice/str.h>

enum {
	MIX_MS = 20,
	MIX_SAMPLES = 48 * MIX_MS, /* at most: of a frame at 48 kHz */
	MIX_CEILING = 30000,	   /* the loudest sample that comes out */
};

/* An acoustic sum: more than 16 bits. */
void mix_add(int32_t *sum, const int16_t *pcm, size_t n);
/* everybody without one: what the one hears */
void mix_without(int32_t *dst, const int32_t *sum, const int16_t *own, size_t n);

/*
 * Turns the sum down before it is too loud, at once, and up again slowly: what is steady keeps its
 * shape, where clipping would add its harmonics. Zeroed at first.
 */
struct limiter {
	float gain; /* at the end of the frame before; 0: not begun, as 1 */
};
/* n: 20 ms of any of the three rates */
void limiter_run(struct limiter *l, const int32_t *sum, int16_t *pcm, size_t n);

#endif
