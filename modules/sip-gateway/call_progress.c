/*
 * sip-gateway/call_progress.c: what becomes of those who are called: they ring, answer, fail,
 * leave; and what the caller hears of it.
 *
 * Of several that are called at once the first to answer has the call, the others are let go; only
 * when the last has failed, and nobody else that it pointed to is left, is the next target tried. A
 * transfer hears of the same in its place.
 */
#include "call_impl.h"
#include "siprec.h"

#include "leg.h"

void call_answer_caller(struct call *c)
{
	if (c->a->state == PARTY_UP)
		call_join(c);
	else
		party_answer(c->a);
}

void call_ringing(struct call *c, struct party *callee)
{
	call_users_changed(c);
	if (callee->ringing_ms == 0)
		callee->ringing_ms = stack_now(c->stack);
	if (c->transfer.by) {
		transfer_progress(c, 180);
		return;
	}
	if (c->answered || c->over)
		return;
	if (c->ringing_ms == 0)
		c->ringing_ms = stack_now(c->stack);
	call_show(c);
	if (c->a->state == PARTY_UP)
		party_leg_tell(c->a, WIRE_LEG_PLAY, LEG_TONE_RINGBACK, SL_STR_NULL);
	else if (!c->early)
		party_ring(c->a);
}

void call_early_media(struct call *c, struct party *callee)
{
	if (c->answered || c->over || c->early || c->transfer.by)
		return;
	if (c->ringing_ms == 0)
		c->ringing_ms = stack_now(c->stack);
	c->early = callee;
	c->a->prefer = callee->leg;
	if (c->a->state == PARTY_UP)
		call_join(c);
	else
		party_early(c->a);
}

bool party_is_tried(const struct party *p)
{
	return !p->caller && p->kind != PARTY_RECORDER && p->kind != PARTY_SPAN &&
	       (p->state == PARTY_NEW || p->state == PARTY_CALLING || p->state == PARTY_RINGING);
}

static void let_others_go(struct call *c, const struct party *winner)
{
	for (struct party *p = c->parties; p; p = p->next) {
		if (p == winner || !party_is_tried(p))
			continue;
		party_end(p, 200); /* answered elsewhere */
		party_leg_close(p, "answered elsewhere");
	}
}

static void transfer_answered(struct call *c, struct party *callee)
{
	let_others_go(c, callee);
	c->a = c->transfer.other;
	c->b = callee;
	alarm_cancel(&c->stack->alarms, &c->ring);
	call_join(c);
	transfer_progress(c, 200);
}

void call_answered(struct call *c, struct party *callee)
{
	callee->answered_ms = stack_now(c->stack);
	if (c->transfer.by && !c->over) {
		transfer_answered(c, callee);
		return;
	}
	if (c->answered || c->over) { /* two picked up at once: the first has it */
		party_end(callee, 200);
		party_leg_close(callee, "answered elsewhere");
		return;
	}
	c->answered = true;
	c->answered_ms = stack_now(c->stack);
	c->b = callee;
	sl_count(&c->stack->m[M_CALLS_ANSWERED]);
	let_others_go(c, callee);
	alarm_cancel(&c->stack->alarms, &c->ring);
	if (c->stack->conf->max_duration)
		call_arm(c, &c->longest, c->stack->conf->max_duration);
	c->a->prefer = callee->leg;
	if (!siprec_comes_first(c))
		call_answer_caller(c);
}

void call_go_on(struct call *c)
{
	call_answer_caller(c);
}

/* Which of two failures says more to the caller (RFC 3261 section 16.7, step 6) */
static unsigned better(unsigned a, unsigned b)
{
	if (a == 0 || b >= 600)
		return b;
	if (a >= 600)
		return a;
	if (a == 408 || a == 480 || a == 487 || a >= 500)
		return b;
	return a;
}

static bool others_are_tried(const struct call *c)
{
	for (const struct party *p = c->parties; p; p = p->next)
		if (party_is_tried(p))
			return true;
	return false;
}

static bool is_final_for_all(const struct party *p, unsigned status)
{
	if (status >= 600)
		return true;
	return p->trunk && status != 408 && status < 500; /* the number is busy, not the trunk */
}

void call_failed(struct call *c, struct party *p, unsigned status)
{
	p->state = PARTY_ENDED;
	p->ended_ms = stack_now(c->stack);
	p->status = status;
	party_discharge(p);
	party_leg_close(p, "not answered");
	if (c->early == p)
		c->early = NULL;
	if (c->over) {
		call_settle(c);
		return;
	}
	if (c->answered && !c->transfer.by)
		return;
	if (!c->transfer.by)
		c->best_status = better(c->best_status, status);
	if (status < 600 && (redirect_next(p) || others_are_tried(c)))
		return;
	if (c->transfer.by) {
		transfer_progress(c, status);
		return;
	}
	if (is_final_for_all(p, status))
		call_end(c, "callee", c->best_status);
	else
		call_proceed(c);
}

void call_left(struct call *c, struct party *p, unsigned status)
{
	const char *by = p->caller ? "caller" : "callee";
	bool talks = p == c->a || p == c->b;

	p->state = PARTY_ENDED;
	if (p->kind == PARTY_RECORDER) {
		siprec_failed(p, status);
		return;
	}
	p->ended_ms = stack_now(c->stack);
	session_stop(p);
	party_discharge(p);
	party_leg_close(p, "has left");
	if (c->over) {
		call_settle(c);
		return;
	}
	if (p == c->transfer.by) { /* as it should; the rest goes on without it */
		c->transfer.subscribed = false;
		party_leg_tell(c->transfer.other, WIRE_LEG_PLAY, LEG_TONE_RINGBACK, SL_STR_NULL);
		return;
	}
	if (talks || p == c->transfer.other)
		call_end(c, by, status);
}
