/*
 * proto/layers_refs.c: which frames of VP9 in flexible mode go to the subscriber.
 *
 * Each frame names the pictures that it refers to in its own spatial layer (RFC 9628 section 4.2),
 * and whether it needs the layer below. So the rule is exact: only frames go out of which all that
 * they refer to has gone out. A layer is joined with a frame that needs nothing but what was sent;
 * its marks (U, P) are not asked. A picture of a higher temporal layer that cannot be decoded is
 * left out, and its layer is left until it can be joined again; without a frame of the lowest one
 * nothing goes on but by a key frame.
 *
 * What has not arrived yet will be judged by the selection of its time. It is taken for sent by
 * frames of layers that were selected then already.
 */
#include "proto/layers_impl.h"

enum fate { SENT, AWAITED, GONE };

static uint8_t bit(unsigned spatial)
{
	return (uint8_t)(1u << spatial);
}

static void advance(struct refs *r, uint64_t picture)
{
	if (picture - r->newest >= REFS_PICTURES) {
		memset(r->sent, 0, sizeof r->sent);
		memset(r->dropped, 0, sizeof r->dropped);
	} else {
		for (uint64_t n = r->newest + 1; n <= picture; n++)
			r->sent[n % REFS_PICTURES] = r->dropped[n % REFS_PICTURES] = 0;
	}
	r->newest = picture;
}

static enum fate fate_of(const struct refs *r, uint64_t picture, unsigned spatial)
{
	if (picture < r->first || picture + REFS_PICTURES <= r->newest)
		return GONE;
	if (r->sent[picture % REFS_PICTURES] & bit(spatial))
		return SENT;
	return r->dropped[picture % REFS_PICTURES] & bit(spatial) ? GONE : AWAITED;
}

/* Of what is awaited from before a layer was joined, nobody knows whether it will be sent. */
static enum fate fate_for(const struct refs *r, const struct sl_frame_info *i, uint64_t picture)
{
	enum fate fate = fate_of(r, picture, i->spatial);
	bool before = (i->temporal > 0 && picture < r->joined_temporal) ||
		      (i->spatial > 0 && picture < r->joined_spatial);

	return fate == AWAITED && before ? GONE : fate;
}

/* The worst of what the frame refers to */
static enum fate needs(const struct refs *r, const struct sl_frame_info *i, uint64_t picture)
{
	enum fate worst = SENT, fate;

	if (i->inter_layer && i->spatial > 0)
		worst = fate_of(r, picture, i->spatial - 1u);
	for (unsigned k = 0; k < i->n_refs; k++) {
		fate = fate_for(r, i, picture - i->refs[k]);
		worst = fate > worst ? fate : worst;
	}
	return worst;
}

/* A layer above those selected: with a frame that rests on what was sent, and while the picture can
 * still grow. A picture's temporal layer is decided on with its lowest frame. */
static bool join(struct run *run, const struct sl_layers_target *t, const struct sl_frame_info *i,
		 uint64_t picture)
{
	struct selection *sel = &run->sel;

	if (i->spatial > t->spatial || i->temporal > t->temporal ||
	    needs(&run->refs, i, picture) != SENT)
		return false;
	if (i->spatial == 0 && i->temporal == sel->temporal + 1) {
		sel->temporal = i->temporal;
		run->refs.joined_temporal = picture;
		return true;
	}
	if (i->temporal > sel->temporal || i->spatial != sel->spatial + 1 || !i->begins ||
	    run->marker_sent || fate_of(&run->refs, picture, sel->spatial) != SENT)
		return false;
	sel->spatial = i->spatial;
	run->refs.joined_spatial = picture;
	return true;
}

static bool decide(struct sl_layers *l, const struct sl_frame_info *i, uint64_t picture)
{
	struct run *run = &l->now->run;

	if (i->spatial > run->sel.spatial || i->temporal > run->sel.temporal)
		return join(run, &l->target, i, picture);
	if (needs(&run->refs, i, picture) != GONE)
		return true;
	if (i->temporal > 0 && run->refs.sent[picture % REFS_PICTURES] == 0)
		run->sel.temporal = i->temporal - 1;
	else
		l->broken = true;
	return false;
}

static bool account(struct refs *r, const struct sl_frame_info *i, uint64_t picture, bool forward)
{
	uint8_t *marks = forward ? r->sent : r->dropped;

	if (picture + REFS_PICTURES > r->newest)
		marks[picture % REFS_PICTURES] |= bit(i->spatial);
	return forward;
}

void refs_begin(struct refs *r, uint64_t picture)
{
	*r = (struct refs){.first = picture,
			   .newest = picture,
			   .joined_temporal = picture,
			   .joined_spatial = picture};
}

void refs_key(struct refs *r, const struct sl_frame_info *i, uint64_t picture)
{
	if (picture > r->newest)
		advance(r, picture);
	r->joined_temporal = r->joined_spatial = picture;
	(void)account(r, i, picture, true);
}

bool refs_pick(struct sl_layers *l, const struct sl_frame_info *i, uint64_t picture)
{
	struct refs *r = &l->now->run.refs;

	if (picture > r->newest)
		advance(r, picture);
	return account(r, i, picture, decide(l, i, picture));
}

bool refs_pick_late(struct refs *r, const struct sl_frame_info *i, uint64_t picture, bool selected)
{
	if (picture > r->newest)
		advance(r, picture);
	return account(r, i, picture, selected && needs(r, i, picture) != GONE);
}
