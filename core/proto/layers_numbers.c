/*
 * proto/layers_numbers.c: a series of numbers made anew, with gaps only where something is missing.
 *
 * What is dropped takes no number, and those after it move up. What is missing when a later one
 * comes keeps a place, since it may yet arrive and be wanted. A window of slots remembers which
 * number went where, so that late ones get theirs.
 */
#include "proto/layers_impl.h"

enum state { UNSEEN, KEPT, GIVEN, DROPPED };

static uint32_t *slot(const struct numbers *n, uint64_t in)
{
	return &n->slots[in & (n->size - 1)];
}

static void set(struct numbers *n, uint64_t in, enum state state, uint16_t out)
{
	*slot(n, in) = (uint32_t)state << 16 | out;
}

void numbers_begin(struct numbers *n, uint64_t in, uint16_t out)
{
	memset(n->slots, 0, n->size * sizeof n->slots[0]);
	n->first = n->highest = in;
	n->out = out;
	set(n, in, GIVEN, out);
}

static int take_newest(struct numbers *n, uint64_t in, bool wanted, uint16_t *ret_out)
{
	if (in - n->highest >= n->size)
		return -SL_ELIMIT;
	while (++n->highest < in)
		set(n, n->highest, KEPT, ++n->out);
	set(n, in, wanted ? GIVEN : DROPPED, wanted ? ++n->out : 0);
	*ret_out = n->out;
	return wanted ? SL_OK : SL_DROP;
}

int numbers_take(struct numbers *n, uint64_t in, bool wanted, uint16_t *ret_out)
{
	if (in > n->highest)
		return take_newest(n, in, wanted, ret_out);
	if (in < n->first || n->highest - in >= n->size)
		return -SL_ENOENT;
	*ret_out = (uint16_t)*slot(n, in);
	switch (*slot(n, in) >> 16) {
	case KEPT:
		set(n, in, wanted ? GIVEN : DROPPED, *ret_out);
		return wanted ? SL_OK : SL_AGAIN;
	case GIVEN:
		return SL_DONE;
	default:
		return SL_DROP;
	}
}
