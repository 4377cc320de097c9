/*
 * sip-gateway/call_admit.c: how many calls there may be: of the node, of a user, of a trunk; at a
 * time, and begun in one second.
 *
 * A party counts for whom it belongs to from party_charge to party_discharge, once however often
 * these are called; the rate counts what has begun, and is never given back.
 */
#include "call.h"

enum { SECOND = 1000 };

static bool is_full(struct stack *s)
{
	uint64_t second = stack_now(s) / SECOND;

	if (second != s->second) {
		s->second = second;
		s->n_in_second = 0;
	}
	return stack_now(s) < s->late_until_ms || s->n_calls >= s->conf->max_calls ||
	       s->n_in_second >= s->conf->max_cps;
}

/* So many have begun in this second, and one more would be too many. */
static bool is_too_fast(const struct stack *s, const struct rate *r, int64_t max)
{
	return max && r->second == stack_now(s) / SECOND && r->n >= max;
}

static void count_begin(const struct stack *s, struct rate *r)
{
	uint64_t second = stack_now(s) / SECOND;

	r->n = r->second == second ? r->n + 1 : 1;
	r->second = second;
}

bool trunk_is_full(const struct trunk *t)
{
	return (t->conf->max_calls && t->n_calls >= t->conf->max_calls) ||
	       is_too_fast(t->stack, &t->rate, t->conf->max_cps);
}

unsigned calls_admit(struct stack *s, const struct auth_who *who)
{
	unsigned status = 0;

	if (s->draining || is_full(s))
		status = 503;
	else if (who->user && who->user->conf->max_calls &&
		 who->user->n_calls >= who->user->conf->max_calls)
		status = 486;
	else if (who->user && is_too_fast(s, &who->user->rate, who->user->conf->max_cps))
		status = 503;
	else if (who->trunk && trunk_is_full(who->trunk))
		status = 503;
	if (status)
		sl_count(&s->m[M_CALLS_REFUSED]);
	return status;
}

void party_charge(struct party *p)
{
	p->charged = true;
	user_changed(p->user, CHANGED_PRESENCE | CHANGED_DIALOGS);
	if (p->user) {
		p->user->n_calls++;
		if (p->caller)
			count_begin(p->call->stack, &p->user->rate);
		p->user->worker = p->call->worker;
	}
	if (p->trunk) {
		p->trunk->n_calls++;
		count_begin(p->call->stack, &p->trunk->rate);
	}
}

void party_discharge(struct party *p)
{
	if (!p->charged)
		return;
	p->charged = false;
	user_changed(p->user, CHANGED_PRESENCE | CHANGED_DIALOGS);
	if (p->user)
		p->user->n_calls--;
	if (p->trunk)
		p->trunk->n_calls--;
}
