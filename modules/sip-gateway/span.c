/*
 * sip-gateway/span.c: a call whose parties have their media on two workers, as after an attended
 * transfer of two calls that were placed apart.
 *
 * Neither party is told to move: a browser's path and keys belong to where they are. Each worker
 * has one leg more, the two talk with each other over this host's own address, with keys, and each
 * stands on its worker for the party at the other end. Whatever one leg does with another, it does
 * with that one: bridges, video, the copy for a recorder.
 */
#include "siprec.h"

#include "leg.h"

uint32_t party_worker(const struct party *p)
{
	return p->worker ? p->worker : p->call->worker;
}

uint32_t span_leg(const struct party *at, const struct party *other)
{
	const struct span *s = &at->call->span;

	if (party_worker(at) == party_worker(other))
		return other->leg;
	for (unsigned i = 0; s->up && i < SPAN_LEGS; i++)
		if (s->end[i] == other && party_worker(s->leg[1 - i]) == party_worker(at))
			return s->leg[1 - i]->leg;
	return 0;
}

void span_end(struct call *c)
{
	struct span *s = &c->span;

	for (unsigned i = 0; i < SPAN_LEGS; i++) {
		if (!s->leg[i])
			continue;
		s->leg[i]->state = PARTY_ENDED;
		party_leg_close(s->leg[i], "it connects nobody any more");
	}
	*s = (struct span){0};
}

/* ---- the two agree */

static struct span *span_of(const struct party *p)
{
	struct span *s = &p->call->span;

	return !p->call->over && (p == s->leg[0] || p == s->leg[1]) ? s : NULL;
}

static void failed(struct party *p, struct sl_str why)
{
	sl_log(SL_LOG_WARN, "sip-gateway", "the media of %s and %s cannot be joined: %.*s",
	       p->call->span.end[0]->name, p->call->span.end[1]->name, SL_FMT(why));
	call_end(p->call, "node", 503);
}

static void on_accepted(struct party *p, int rc, struct sl_str text)
{
	struct span *s = span_of(p);

	if (!s)
		return;
	s->asks = false;
	if (rc < 0) {
		failed(p, text);
		return;
	}
	if (s->up)
		return; /* agreed anew */
	s->up = true;
	if (p->call->siprec)
		p->call->siprec->stale = true; /* the far one can be copied now */
	call_join(p->call);
}

static void on_answer(struct party *p, int rc, struct sl_str text)
{
	struct span *s = span_of(p);

	if (s && rc < 0)
		failed(p, text);
	else if (s)
		party_leg_ask(s->leg[0], WIRE_LEG_ACCEPT, 0, text, on_accepted);
}

static void on_offer(struct party *p, int rc, struct sl_str text)
{
	struct span *s = span_of(p);

	if (s && rc < 0)
		failed(p, text);
	else if (s)
		party_leg_ask(s->leg[1], WIRE_LEG_ANSWER, 0, text, on_answer);
}

/* With the codecs and the video that either end has by now */
static void agree(struct span *s)
{
	for (unsigned i = 0; i < SPAN_LEGS; i++)
		party_leg_tell(s->leg[i], WIRE_LEG_PREFER, s->end[i]->leg, SL_STR_NULL);
	s->asks = true;
	party_leg_ask(s->leg[0], WIRE_LEG_OFFER, 0, SL_STR_NULL, on_offer);
}

/* ---- life */

struct party *span_new_leg(struct call *c, const struct party *end)
{
	struct party *p = party_new(c, PARTY_SPAN);

	if (!p)
		return NULL;
	p->worker = party_worker(end);
	p->profile = SIP_PROFILE_SDES;
	(void)sl_str_copy(p->name, sizeof p->name, sl_str_c(end->name));
	return p;
}

static int begin(struct call *c, struct party *const end[SPAN_LEGS])
{
	struct span *s = &c->span;
	int rc = 0;

	for (unsigned i = 0; i < SPAN_LEGS && rc == 0; i++) {
		s->end[i] = end[i];
		s->leg[i] = span_new_leg(c, end[i]);
		rc = s->leg[i] ? party_leg_open(s->leg[i]) : -SL_ENOMEM;
	}
	if (rc == 0)
		agree(s);
	return rc;
}

static bool is_between(const struct span *s, const struct party *a, const struct party *b)
{
	return (s->end[0] == a && s->end[1] == b) || (s->end[0] == b && s->end[1] == a);
}

void span_join(struct call *c, struct party *a, struct party *b)
{
	struct party *const end[SPAN_LEGS] = {a, b};
	struct span *s = &c->span;

	if (party_worker(a) == party_worker(b)) {
		span_end(c);
		party_leg_tell(a, WIRE_LEG_BRIDGE, b->leg, SL_STR_NULL);
		return;
	}
	if (!is_between(s, a, b)) {
		span_end(c);
		if (begin(c, end) < 0)
			call_end(c, "node", 503);
		return;
	}
	for (unsigned i = 0; s->up && i < SPAN_LEGS; i++)
		party_leg_tell(s->end[i], WIRE_LEG_BRIDGE, s->leg[i]->leg, SL_STR_NULL);
}

void span_event(struct party *p, enum wire_leg_event_kind kind)
{
	struct span *s = span_of(p);

	if (!s || !s->up)
		return;
	if (kind == WIRE_EV_KEY_FRAME)
		party_leg_tell(s->leg[p == s->leg[0]], WIRE_LEG_KEY_FRAME, 0, SL_STR_NULL);
	else if (kind == WIRE_EV_CHANGED && !s->asks)
		agree(s);
}
