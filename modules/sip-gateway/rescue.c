/*
 * sip-gateway/rescue.c: calls whose media has died with its worker go on at another one.
 *
 * Signalling is here and lives, so the parties' dialogs do. Each party that has lost its leg gets
 * another, which is told what the party has said of itself last, as if that were being offered: so
 * it has the places, numbers and keys of the session, and knows where to send. What it then offers
 * goes to the party by a re-INVITE (RFC 3264 section 8), or by `renew` to a client without SIP. A
 * browser takes it for a restart of ICE and, since each worker has a certificate of its own, of
 * DTLS.
 *
 * Hundreds of calls may be lost in one moment, and take their turns: PACE_MS apart. What cannot be
 * rescued ends as media without a worker always has: 503, cause 41. That is a call nobody has
 * answered yet, a party that refuses the new offer or does not answer it in time, and a node
 * without workers. An attended recorder is called anew; a transfer under way fails.
 */
#include "call_impl.h"
#include "siprec.h"

#include <sluice/crypto.h>

#include <stdio.h>
#include <string.h>

enum {
	PACE_MS = 5,
	WORKER_MS = 50,	       /* until it is looked for a worker again */
	SETTLE_MS = 300,       /* until one that has come serves */
	LATE_MS = 1500,	       /* an answer comes twice in that, unless the offer was lost */
	GIVE_UP_MS = 20 * 1000 /* 491 may have asked for patience a few times */
};

/* ---- lost */

static void fail_asks(struct party *p)
{
	const struct sl_str why = SL_STR("its media has to be made anew");

	for (unsigned i = 0; i < LEG_ASKS; i++) {
		leg_then_fn *then = p->asks[i].then;

		if (!p->asks[i].seq)
			continue;
		p->asks[i].seq = 0;
		then(p, -SL_EAGAIN, why);
	}
	if (p->waiting)
		p->waiting(p, -SL_EAGAIN, why);
}

/* What is under way with the dead leg will not be answered; who has asked for it may ask again. */
static void lose_leg(struct party *p)
{
	sl_htab_remove(&p->call->stack->legs, &p->by_leg);
	p->leg = 0;
	p->has_media = false;
	if (p->state == PARTY_UP)
		fail_asks(p);
	memset(p->asks, 0, sizeof p->asks);
	video_stop(p);
	p->worker = 0;
	p->answers = p->offers = p->offer_in_ok = p->waits_for_stats = false;
	p->moving = p->state == PARTY_UP;
}

static bool is_at(const struct party *p, uint32_t worker)
{
	return p->leg && party_worker(p) == worker;
}

static bool is_between_two(const struct party *p)
{
	return p->kind == PARTY_SIP || p->kind == PARTY_BROWSER;
}

static bool is_there(const struct party *p)
{
	return p && p->state == PARTY_UP;
}

/* Nobody waits for an answer, and whoever talks can be asked for another description. */
static bool can_go_on(const struct call *c)
{
	if (!c->answered || !is_there(c->a) || !(c->builtin || is_there(c->b)))
		return false;
	for (const struct party *p = c->parties; p; p = p->next)
		if (p->moving && !p->described)
			return false;
	return true;
}

/* Who is called right now has been offered media that is not there any more. */
static void end_transfer(struct call *c)
{
	for (struct party *p = c->parties; p; p = p->next) {
		if (!party_is_tried(p))
			continue;
		party_end(p, 503);
		party_leg_close(p, "its media has died");
	}
	if (c->transfer.by)
		transfer_progress(c, 503);
}

/* Each in its turn: a party's answer costs as much as its call did at first. */
static uint64_t wait_ms(struct stack *s)
{
	uint64_t now = stack_now(s);

	s->next_rescue_ms = s->next_rescue_ms < now ? now : s->next_rescue_ms + PACE_MS;
	return s->next_rescue_ms - now;
}

void call_lost(struct call *c, uint32_t worker)
{
	bool all = c->worker == worker;

	if (all || c->span.leg[0])
		span_end(c); /* its legs are known by their ends */
	for (struct party *p = c->parties; p; p = p->next)
		if (is_between_two(p) && is_at(p, worker))
			lose_leg(p);
	if (all) {
		siprec_lost(c);
		c->worker = 0;
		c->kept_key = 0; /* it has kept it */
	}
	if (c->answered && !c->over)
		end_transfer(c);
	if (c->over)
		return;
	if (!can_go_on(c)) {
		call_end(c, "node", 503);
		return;
	}
	c->joined = c->rescuing = false;
	c->lost_ms = stack_now(c->stack);
	call_arm(c, &c->rescue, wait_ms(c->stack));
}

static bool has_media_at(const struct call *c, uint32_t worker)
{
	if (c->worker == worker)
		return true;
	for (const struct party *p = c->parties; p; p = p->next)
		if (is_at(p, worker))
			return true;
	return false;
}

void calls_worker_gone(struct stack *s, uint32_t worker)
{
	for (struct call *c = s->first_call; c; c = c->next)
		if (!c->over && worker && has_media_at(c, worker))
			call_lost(c, worker);
		else if (!c->over && worker && c->spare.worker == worker)
			call_keep(c); /* with another one */
}

static bool had_slot_of(uint32_t before, uint32_t worker)
{
	return before && before != worker && before >> 16 == worker >> 16;
}

void calls_worker_up(struct stack *s, uint32_t worker)
{
	for (struct call *c = s->first_call; c; c = c->next) {
		uint32_t before = 0;

		if (had_slot_of(c->worker, worker))
			before = c->worker;
		for (const struct party *p = c->parties; p; p = p->next)
			if (had_slot_of(p->worker, worker))
				before = p->worker;
		if (!c->over && before)
			stack_worker_gone(s, before);
		if (!c->over && c->spare.key == 0 && !c->keep.place)
			call_arm(c, &c->keep, SETTLE_MS); /* it may keep one */
	}
}

/* ---- told */

static bool is_moving(const struct call *c)
{
	for (const struct party *p = c->parties; p; p = p->next)
		if (p->moving && p->state == PARTY_UP)
			return true;
	return false;
}

void rescue_told(struct party *p)
{
	if (!p->moving)
		return;
	p->moving = false;
	if (!is_moving(p->call))
		alarm_cancel(&p->call->stack->alarms, &p->call->rescue);
}

/* The process before us has offered, and died: the answer comes to us (calls_late_answer), or who
 * has not heard of it is asked again. */
void rescue_go_on(struct call *c)
{
	if (!is_moving(c))
		return;
	c->rescuing = true;
	call_arm(c, &c->rescue, GIVE_UP_MS);
	for (struct party *p = c->parties; p && !c->over; p = p->next)
		if (p->moving && alarm_set(&c->stack->alarms, &p->reoffer, LATE_MS) < 0)
			call_end(c, "node", 503);
}

/* RFC 3261 section 14.1: who has named the call waits for longer, so that one of the two is first.
 */
static uint64_t patience_ms(const struct party *p)
{
	uint16_t chance = 0;

	(void)!sl_random(&chance, sizeof chance); /* then with none */
	return 10 * (p->caller ? chance % 200u : 210 + chance % 190u);
}

bool rescue_refused(struct party *p, unsigned status)
{
	struct call *c = p->call;

	if (!p->moving || c->over)
		return false;
	/* Out of reach: its connection was the dead worker's, too, and it comes back by another. */
	if (status == 0 || status == 491 || status == 500) {
		if (alarm_set(&c->stack->alarms, &p->reoffer, patience_ms(p)) == 0)
			return true;
	}
	p->status = status;
	call_end(c, "node", 503);
	return true;
}

static void on_known(struct party *p, int rc, struct sl_str text)
{
	struct call *c = p->call;

	if (p->state != PARTY_UP || c->over)
		return;
	if (rc < 0) {
		sl_log(SL_LOG_WARN, "sip-gateway", "the media of %s cannot be made anew: %.*s",
		       p->name, SL_FMT(text));
		call_end(c, "node", 503);
		return;
	}
	p->has_media = true;
	call_join(c);
	video_changed(p); /* offers, now or when what is under way is over */
}

/* What it answers at first is said to nobody, and has no version of its own. */
static void tell_origin(struct party *p)
{
	char text[48];

	if (p->origin.id == 0 || p->origin.version == 0)
		return;
	(void)snprintf(text, sizeof text, "%llu %llu", (unsigned long long)p->origin.id,
		       (unsigned long long)p->origin.version - 1);
	party_leg_tell(p, WIRE_LEG_ORIGIN, 0, sl_str_c(text));
}

static int open_again(struct party *p)
{
	const struct party *other = call_other(p->call, p);
	struct sl_str described = sl_str_c(p->described);
	int rc = party_leg_open(p);

	if (rc < 0)
		return rc;
	tell_origin(p);
	if (other && other->leg) {
		party_leg_tell(p, WIRE_LEG_PREFER, span_leg(p, other), SL_STR_NULL);
	} else if (other && other->described) {
		party_leg_tell(p, WIRE_LEG_HEARD_BY, 0, sl_str_c(other->described));
		party_leg_tell(p, WIRE_LEG_VIDEO, 0, sl_str_c(other->described));
	}
	video_want_builtin(p, described);
	party_leg_ask(p, WIRE_LEG_ANSWER, 0, described, on_known);
	return 0;
}

/* Where somebody of it still is; else anywhere. 0: there is no worker now */
static uint32_t find_worker(struct call *c)
{
	if (c->worker)
		return c->worker;
	for (const struct party *p = c->parties; p; p = p->next)
		if (is_between_two(p) && p->leg && p->worker && p->state == PARTY_UP)
			return p->worker;
	call_place(c, 0);
	return c->worker;
}

static void begin(struct call *c)
{
	c->rescuing = true;
	c->n_restarts++;
	sl_count(&c->stack->m[M_MEDIA_RESTARTS]);
	call_arm(c, &c->rescue, GIVE_UP_MS);
	for (struct party *p = c->parties; p && !c->over; p = p->next)
		if (p->moving && p->state == PARTY_UP && open_again(p) < 0)
			call_end(c, "node", 503);
	if (!c->over)
		siprec_found(c);
}

static void on_rescue(struct alarm *a)
{
	struct call *c = a->arg;

	if (c->over)
		return;
	if (!c->rescuing && (c->worker = find_worker(c))) {
		begin(c);
		return;
	}
	if (c->rescuing || stack_now(c->stack) - c->lost_ms > GIVE_UP_MS)
		call_end(c, "node", 503);
	else
		call_arm(c, &c->rescue, WORKER_MS);
}

void rescue_init(struct call *c)
{
	c->rescue = (struct alarm){.fn = on_rescue, .arg = c};
}
