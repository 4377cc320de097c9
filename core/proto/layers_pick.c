/*
 * proto/layers_pick.c: which frames of a run go to the subscriber.
 *
 * A frame is decided on with its first packet that arrives, and its other packets follow. With a
 * dependency descriptor the rule is exact: a decode target is *intact* when nothing of it has been
 * dropped since a frame that lets one switch to it, and only intact targets are taken. Without, the
 * formats' own marks serve: key pictures, switching points of temporal layers, and spatial layers
 * that refer to no earlier picture. Where frames of VP9 name what they refer to, layers_refs.c
 * decides.
 *
 * The selection changes with the newest packets only; late ones are judged by what holds.
 */
#include "proto/layers_impl.h"

/* ---- decisions remembered */

static uint64_t frame_id(const struct sl_layers_packet *p)
{
	if (p->info->dd.present)
		return UINT64_C(1) << 40 | p->info->dd.frame_number;
	return (uint64_t)p->rtp->ts << 8 | p->info->spatial;
}

static const struct pick_frame *find_frame(const struct run *run, uint64_t id)
{
	for (unsigned i = 1; i <= PICK_FRAMES; i++) {
		const struct pick_frame *f =
			&run->frames[(run->next_frame - i) & (PICK_FRAMES - 1)];

		if (f->known && f->id == id)
			return f;
	}
	return NULL;
}

static void remember(struct run *run, uint64_t id, bool forward)
{
	run->frames[run->next_frame++ & (PICK_FRAMES - 1)] =
		(struct pick_frame){.id = id, .known = true, .forward = forward};
}

/* ---- selections remembered */

static void note_selection(struct run *run, const struct sl_layers_packet *p)
{
	const struct selection *last = &run->history[(run->n_history - 1) % PICK_HISTORY];

	if (run->n_history > 0 && last->spatial == run->sel.spatial &&
	    last->temporal == run->sel.temporal && last->target == run->sel.target)
		return;
	run->sel.seq = p->seq;
	run->sel.ts = p->rtp->ts;
	run->history[run->n_history++ % PICK_HISTORY] = run->sel;
}

/* NULL: too long ago to tell */
static const struct selection *selection_at(const struct run *run, const struct sl_layers_packet *p)
{
	for (unsigned i = 1; i <= PICK_HISTORY && i <= run->n_history; i++) {
		const struct selection *s = &run->history[(run->n_history - i) % PICK_HISTORY];

		if (s->seq <= p->seq || s->ts == p->rtp->ts)
			return s;
	}
	return NULL;
}

/* ---- pictures */

static void turn_page(struct run *run, const struct sl_layers_packet *p)
{
	if (!run->in_picture || p->rtp->ts != run->ts) {
		run->made_spatial = run->in_picture ? run->seen_spatial : 0;
		run->seen_spatial = 0;
		run->marker_sent = false;
		run->in_picture = true;
		run->ts = p->rtp->ts;
	}
	if (p->info->spatial > run->seen_spatial)
		run->seen_spatial = p->info->spatial;
	if (run->seen_spatial > run->made_spatial)
		run->made_spatial = run->seen_spatial;
}

bool pick_ends(const struct run *run, const struct sl_layers_packet *p)
{
	const struct selection *sel = selection_at(run, p);
	const struct sl_frame_info *i = p->info;

	if (p->rtp->marker)
		return true;
	if (!sel || !i->ends || i->spatial != sel->spatial)
		return false;
	/* Layers above this one are dropped: seen of late, or announced for this picture */
	return run->made_spatial > sel->spatial ||
	       ((i->key || i->dd.present) && i->n_spatial > sel->spatial + 1);
}

/* ---- by the marks of the format */

/* A picture is forwarded in whole or not at all, so layers go away between pictures only. */
static void go_down(struct selection *sel, const struct sl_layers_target *t)
{
	if (t->spatial < sel->spatial)
		sel->spatial = t->spatial;
	if (t->temporal < sel->temporal)
		sel->temporal = t->temporal;
}

static void go_up_in_time(struct selection *sel, const struct sl_layers_target *t,
			  const struct sl_frame_info *i)
{
	if (!i->switch_up || i->spatial > 0 || i->temporal > sel->temporal + 1 ||
	    t->temporal <= sel->temporal)
		return;
	if (i->switch_above)
		sel->temporal = t->temporal;
	else if (i->temporal == sel->temporal + 1)
		sel->temporal = i->temporal;
}

/* A layer that refers to the one below alone may be joined, unless the picture has been ended. */
static void go_up_in_space(struct run *run, const struct sl_layers_target *t,
			   const struct sl_frame_info *i)
{
	if (i->spatial == run->sel.spatial + 1 && i->spatial <= t->spatial && i->independent &&
	    i->begins && !run->marker_sent)
		run->sel.spatial = i->spatial;
}

static bool is_within(const struct sl_frame_info *i, const struct selection *sel)
{
	return i->spatial <= sel->spatial && i->temporal <= sel->temporal;
}

static bool pick_plain(struct sl_layers *l, const struct sl_layers_packet *p, bool new_picture)
{
	const struct sl_frame_info *i = p->info;
	struct run *run = &l->now->run;

	if (i->key && i->begins && i->spatial == 0) {
		run->sel.spatial = l->target.spatial;
		run->sel.temporal = l->target.temporal;
		if (i->refs_told)
			refs_key(&run->refs, i, picture_of(run, i));
	} else {
		if (new_picture)
			go_down(&run->sel, &l->target);
		if (i->refs_told)
			return refs_pick(l, i, picture_of(run, i));
		go_up_in_time(&run->sel, &l->target, i);
		go_up_in_space(run, &l->target, i);
	}
	return is_within(i, &run->sel);
}

/* ---- by the dependency descriptor */

static uint64_t unwrap_number(const struct run *run, uint16_t number)
{
	return run->highest_number +
	       (uint64_t)(int64_t)(int16_t)(uint16_t)(number - (uint16_t)run->highest_number);
}

static void mark(uint64_t *bits, uint64_t number)
{
	bits[number % PICK_DROPPED / 64] |= UINT64_C(1) << number % 64;
}

static bool is_marked(const uint64_t *bits, uint64_t number)
{
	return bits[number % PICK_DROPPED / 64] >> number % 64 & 1;
}

/* What the window has left behind is taken for sent: who refers that far back knows it arrived. */
static bool is_dropped(const struct run *run, uint64_t number)
{
	if (number < run->first_number)
		return true;
	if (number + PICK_DROPPED <= run->highest_number)
		return false;
	return is_marked(run->dropped, number);
}

static void forget_numbers(struct run *run)
{
	memset(run->dropped, 0, sizeof run->dropped);
	memset(run->sent, 0, sizeof run->sent);
}

static void advance_number(struct run *run, uint64_t number)
{
	if (number - run->highest_number >= PICK_DROPPED)
		forget_numbers(run);
	else
		for (uint64_t n = run->highest_number + 1; n <= number; n++) {
			run->dropped[n % PICK_DROPPED / 64] &= ~(UINT64_C(1) << n % 64);
			run->sent[n % PICK_DROPPED / 64] &= ~(UINT64_C(1) << n % 64);
		}
	run->highest_number = number;
}

static bool has_all_it_needs(const struct run *run, const struct sl_dd *dd, uint64_t number)
{
	for (unsigned i = 0; i < dd->n_refs; i++)
		if (is_dropped(run, number - dd->refs[i]))
			return false;
	return true;
}

/* Targets for which the frame is one of these two kinds at least */
static uint32_t targets_with(const struct sl_dd *dd, enum sl_dti a, enum sl_dti b)
{
	uint32_t mask = 0;

	for (unsigned i = 0; i < dd->n_targets; i++)
		if (sl_dd_dti(dd, i) == a || sl_dd_dti(dd, i) == b)
			mask |= UINT32_C(1) << i;
	return mask;
}

static bool within(uint8_t layers, const struct sl_layers_target *t)
{
	return layers >> 4 <= t->spatial && (layers & 15) <= t->temporal;
}

/* The best of these targets that the subscriber may have; or, else: the one it has */
static uint8_t best_target(const struct sl_dd *dd, uint32_t mask, const struct sl_layers_target *t,
			   uint8_t otherwise)
{
	int best = -1;

	for (unsigned i = 0; i < dd->n_targets; i++)
		if ((mask >> i & 1) && within(dd->targets[i], t) &&
		    (best < 0 || dd->targets[i] > dd->targets[best]))
			best = (int)i;
	return best < 0 ? otherwise : (uint8_t)best;
}

static void use_target(struct selection *sel, const struct sl_dd *dd, uint8_t target)
{
	sel->target = target;
	sel->spatial = dd->targets[target] >> 4;
	sel->temporal = dd->targets[target] & 15;
}

/* Has all that the frame needs been sent for sure? What is late would be judged by the selection
 * of its time, so nothing new can rest on it. */
static bool is_sure(const struct run *run, const struct sl_dd *dd, uint64_t number)
{
	for (unsigned i = 0; i < dd->n_refs; i++)
		if (is_dropped(run, number - dd->refs[i]) ||
		    !is_marked(run->sent, number - dd->refs[i]))
			return false;
	return !dd->more_refs;
}

/* Targets that can be gone to with this frame, if it is sent */
static uint32_t switches_of(const struct run *run, const struct sl_dd *dd, uint64_t number)
{
	return is_sure(run, dd, number) ? targets_with(dd, SL_DTI_SWITCH, SL_DTI_SWITCH) : 0;
}

/* To another target, where that cannot be seen: a picture begun is finished, and none grows that
 * has been ended. */
static void change_target(struct sl_layers *l, const struct sl_dd *dd, uint64_t number,
			  bool new_picture)
{
	struct run *run = &l->now->run;
	uint32_t possible = (run->intact | switches_of(run, dd, number)) & dd->active;
	uint8_t best = best_target(dd, possible, &l->target, run->sel.target);
	unsigned spatial = dd->targets[best] >> 4, temporal = dd->targets[best] & 15;

	if (dd->targets[best] > dd->targets[run->sel.target] && !is_sure(run, dd, number))
		return;
	if ((spatial < run->sel.spatial || temporal < run->sel.temporal) && !new_picture)
		return;
	if (spatial > run->sel.spatial && run->marker_sent)
		return;
	use_target(&run->sel, dd, best);
}

/* Where layers above refer to the lowest at key frames alone, it is not sent with them in between,
 * and there is no way down to it but by the next key frame. */
static bool is_stuck(const struct sl_layers *l, const struct sl_dd *dd)
{
	const struct selection *sel = &l->now->run.sel;

	if (sel->spatial <= l->target.spatial)
		return false;
	return dd->targets[best_target(dd, dd->active, &l->target, sel->target)] >> 4 <
	       sel->spatial;
}

static void begin_structure(struct sl_layers *l, const struct sl_dd *dd, uint64_t number)
{
	struct run *run = &l->now->run;

	run->first_number = number;
	run->intact = UINT32_MAX;
	run->mask_told = 0;
	use_target(&run->sel, dd, best_target(dd, dd->active, &l->target, 0));
}

static bool is_wanted(const struct sl_dd *dd, const struct selection *sel)
{
	return sel->target < dd->n_targets && sl_dd_dti(dd, sel->target) != SL_DTI_NOT_PRESENT;
}

/* What the decision means for targets and for frames that refer to this one */
static bool account(struct run *run, const struct sl_dd *dd, uint64_t number, bool forward)
{
	if (forward) {
		run->intact |= switches_of(run, dd, number);
		mark(run->sent, number);
		return true;
	}
	run->intact &= ~targets_with(dd, SL_DTI_DISCARDABLE, SL_DTI_SWITCH) &
		       ~targets_with(dd, SL_DTI_REQUIRED, SL_DTI_REQUIRED);
	mark(run->dropped, number);
	return false;
}

static bool pick_described(struct sl_layers *l, const struct sl_layers_packet *p, bool new_picture)
{
	const struct sl_dd *dd = &p->info->dd;
	struct run *run = &l->now->run;
	uint64_t number = unwrap_number(run, dd->frame_number);
	bool wanted, whole;

	if (number > run->highest_number)
		advance_number(run, number);
	if (dd->structure)
		begin_structure(l, dd, number);
	change_target(l, dd, number, new_picture);
	if (new_picture)
		run->stuck = is_stuck(l, dd);
	whole = has_all_it_needs(run, dd, number);
	wanted = is_wanted(dd, &run->sel);
	l->broken = l->broken || (wanted && !whole); /* it needs what was not sent */
	return account(run, dd, number, wanted && whole);
}

/* ---- both */

void pick_begin(struct sl_layers *l, const struct sl_layers_packet *p)
{
	struct run *run = &l->now->run;

	run->sel.spatial = l->target.spatial;
	run->sel.temporal = l->target.temporal;
	run->described = p->info->dd.present;
	run->first_number = run->highest_number = (UINT64_C(1) << 16) + p->info->dd.frame_number;
}

static bool pick_unseen(struct run *run, const struct sl_layers_packet *p)
{
	const struct selection *sel = selection_at(run, p);
	const struct sl_dd *dd = &p->info->dd;
	uint64_t number;

	if (!sel || run->described != dd->present)
		return false;
	if (!dd->present && p->info->refs_told)
		return refs_pick_late(&run->refs, p->info, picture_of(run, p->info),
				      is_within(p->info, sel));
	if (!dd->present)
		return is_within(p->info, sel);
	number = unwrap_number(run, dd->frame_number);
	if (number > run->highest_number)
		advance_number(run, number);
	return account(run, dd, number,
		       number >= run->first_number && is_wanted(dd, sel) &&
			       has_all_it_needs(run, dd, number));
}

bool pick_late(struct run *run, const struct sl_layers_packet *p)
{
	const struct pick_frame *f = find_frame(run, frame_id(p));
	bool forward = f ? f->forward : pick_unseen(run, p);

	if (!f)
		remember(run, frame_id(p), forward);
	return forward;
}

bool pick(struct sl_layers *l, const struct sl_layers_packet *p, bool newest)
{
	struct run *run = &l->now->run;
	bool new_picture = !run->in_picture || p->rtp->ts != run->ts, forward;
	const struct pick_frame *f;

	if (!newest)
		return pick_late(run, p);
	/* Of a picture's first packet there is nothing to be found, and it would be looked for in
	 * cold memory. */
	f = new_picture ? NULL : find_frame(run, frame_id(p));
	turn_page(run, p);
	if (f)
		return f->forward;
	if (run->described && !p->info->dd.present) {
		l->broken = true; /* its structure was lost */
		return false;
	}
	forward = p->info->dd.present ? pick_described(l, p, new_picture)
				      : pick_plain(l, p, new_picture);
	note_selection(run, p);
	remember(run, frame_id(p), forward);
	return forward;
}
