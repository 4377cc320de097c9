/*
 * sip-gateway/call.c: the life of a call and of the list of them: made, with its parties; ended,
 * after which the record is written and everything goes.
 *
 * Who is called for it is call_route.c's, what becomes of that call_progress.c's. A call is freed
 * from a timer of its own, never from within what one of its parties does.
 */
#include "call_impl.h"
#include "siprec.h"

#include <sluice/crypto.h>

#include <stdlib.h>

enum { STATS_MS = 3000 };

void call_arm(struct call *c, struct alarm *a, uint64_t ms)
{
	if (alarm_set(&c->stack->alarms, a, ms) < 0)
		sl_log(SL_LOG_ERROR, "sip-gateway", "out of memory for a timer");
}

void call_users_changed(const struct call *c)
{
	for (const struct party *p = c->parties; p; p = p->next)
		user_changed(p->user, CHANGED_PRESENCE | CHANGED_DIALOGS);
}

static void on_ring(struct alarm *a)
{
	struct call *c = a->arg;

	if (!c->answered)
		call_end(c, "node", 408);
	else if (c->transfer.by)
		transfer_progress(c, 408);
}

static void on_longest(struct alarm *a)
{
	call_end(a->arg, "node", 200);
}

static void on_linger(struct alarm *a);

struct call *call_restored(struct stack *s)
{
	struct call *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	if (sl_random(c->id, sizeof c->id) < 0) {
		free(c);
		return NULL;
	}
	c->stack = s;
	c->ring = (struct alarm){.fn = on_ring, .arg = c};
	c->longest = (struct alarm){.fn = on_longest, .arg = c};
	c->linger = (struct alarm){.fn = on_linger, .arg = c};
	keep_init(c);
	rescue_init(c);
	c->begun_ms = stack_now(s);
	c->begun_unix_ms = s->io->unix_ms(s->io->arg);
	c->next = s->first_call;
	if (c->next)
		c->next->prev = c;
	s->first_call = c;
	s->n_calls++;
	sl_gauge_add(&s->m[M_CALLS], 1);
	return c;
}

struct call *call_new(struct stack *s)
{
	struct call *c = call_restored(s);

	if (!c)
		return NULL;
	s->n_in_second++;
	sl_count(&s->m[M_CALLS_TOTAL]);
	return c;
}

struct party *party_new(struct call *c, enum party_kind kind)
{
	struct party *p = calloc(1, sizeof *p), **at = &c->parties;

	if (!p)
		return NULL;
	p->call = c;
	p->kind = kind;
	p->pointed_by = c->pointing;
	p->begun_ms = stack_now(c->stack);
	session_init(p);
	video_init(p);
	while (*at)
		at = &(*at)->next;
	*at = p;
	return p;
}

static void call_free(struct call *c)
{
	struct stack *s = c->stack;

	while (c->parties) {
		struct party *p = c->parties;

		c->parties = p->next;
		party_free(p);
	}
	alarm_cancel(&s->alarms, &c->ring);
	alarm_cancel(&s->alarms, &c->longest);
	alarm_cancel(&s->alarms, &c->linger);
	alarm_cancel(&s->alarms, &c->keep);
	alarm_cancel(&s->alarms, &c->rescue);
	if (c->prev)
		c->prev->next = c->next;
	else
		s->first_call = c->next;
	if (c->next)
		c->next->prev = c->prev;
	siprec_free(c);
	free(c->plan_header);
	free(c);
}

static bool waits(const struct call *c, bool for_stats)
{
	for (const struct party *p = c->parties; p; p = p->next)
		if (for_stats ? p->waits_for_stats
			      : p->inviting && p->inviting->state < CTRANS_COMPLETED)
			return true;
	return false;
}

/* Statistics that do not come in time are done without; an INVITE that is being cancelled is not.
 */
static void on_linger(struct alarm *a)
{
	struct call *c = a->arg;

	if (!c->recorded)
		cdr_write(c);
	c->recorded = true;
	if (waits(c, false)) {
		call_arm(c, &c->linger, STATS_MS);
		return;
	}
	call_free(c);
}

void call_settle(struct call *c)
{
	if (c->over && !waits(c, true))
		call_arm(c, &c->linger, 0);
}

void call_end(struct call *c, const char *by, unsigned status)
{
	if (c->over)
		return;
	call_forget(c);
	call_hide(c);
	siprec_end(c);
	c->over = true;
	c->ended_by = by;
	c->end_status = status;
	alarm_cancel(&c->stack->alarms, &c->ring);
	alarm_cancel(&c->stack->alarms, &c->longest);
	for (struct party *p = c->parties; p; p = p->next) {
		party_end(p, status);
		party_leg_close(p, "the call has ended");
	}
	c->stack->n_calls--;
	sl_gauge_add(&c->stack->m[M_CALLS], -1);
	call_arm(c, &c->linger, STATS_MS);
	call_settle(c);
}

void call_leave(struct call *c)
{
	call_forget(c);
	call_hide(c);
	siprec_end(c);
	for (struct party *p = c->parties; p; p = p->next) {
		p->state = PARTY_ENDED;
		party_discharge(p);
	}
	c->stack->n_calls--;
	sl_gauge_add(&c->stack->m[M_CALLS], -1);
	call_free(c);
}

void calls_end_all(struct stack *s)
{
	struct call *next;

	for (struct call *c = s->first_call; c; c = next) {
		next = c->next;
		call_end(c, "node", 503);
		call_free(c);
	}
}

struct party *call_other(const struct call *c, const struct party *p)
{
	return p == c->a ? c->b : p == c->b ? c->a : NULL;
}
