/*
 * sip-gateway/siprec.c: the recorder of a call: which one, its streams, what it is told.
 *
 * The recorders of the configuration are tried in turn, each with all its servers. When none takes
 * the call, it goes on without, and they are tried again after a while; a call that must not be
 * without is not answered, or ends. Whatever changes of the call is told as a whole, by a
 * re-INVITE.
 */
#include "siprec_impl.h"

#include <stdio.h>
#include <stdlib.h>

enum { AGAIN_MS = 15 * 1000 };

static void try_next(struct siprec *r);

/* ---- which calls */

static int wish_of(const struct party *p)
{
	if (p && p->user)
		return p->user->conf->siprec;
	return p && p->trunk ? p->trunk->conf->siprec : SIPREC_AUTO;
}

bool siprec_is_wanted(const struct call *c)
{
	const struct siprec_conf *conf = &c->stack->conf->siprec;
	int a = wish_of(c->a), b = wish_of(c->b);

	if (conf->trunks.n == 0)
		return false;
	if (c->plan.route && c->plan.route->siprec != SIPREC_AUTO)
		return c->plan.route->siprec == SIPREC_ON;
	if (a == SIPREC_OFF || b == SIPREC_OFF)
		return false;
	return a == SIPREC_ON || b == SIPREC_ON || conf->when == SIPREC_ALWAYS;
}

static struct trunk *recorder(const struct stack *s, size_t i)
{
	struct trunk *t = trunk_by_name(s, *SL_LIST_AT(s->conf->siprec.trunks, struct sl_str, i));

	return t && trunk_is_usable(t) && !trunk_is_full(t) ? t : NULL;
}

bool siprec_refuses(const struct call *c)
{
	const struct siprec_conf *conf = &c->stack->conf->siprec;

	if (!conf->required || !siprec_is_wanted(c))
		return false;
	for (size_t i = 0; i < conf->trunks.n; i++)
		if (recorder(c->stack, i))
			return false;
	return true;
}

/* ---- a recorder more */

/* Parties of recorders that have failed long ago */
static void sweep(struct call *c)
{
	struct party **at = &c->parties, *p;

	while ((p = *at)) {
		if (p->kind != PARTY_RECORDER || p->state != PARTY_ENDED || p->leg || p->inviting) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		party_free(p);
	}
}

static struct party *new_leg(struct siprec *r, struct trunk *t)
{
	struct party *p = party_new(r->call, PARTY_RECORDER);

	if (!p)
		return NULL;
	p->trunk = t;
	party_reach(p, &t->flow);
	p->profile = (enum sip_profile)t->conf->profile;
	(void)sl_str_copy(p->name, sizeof p->name, r->call->stack->conf->siprec.to);
	return p;
}

static int begin_dialog(struct siprec *r, struct trunk *t)
{
	struct sl_buf uri, type;
	int rc;

	sl_buf_init(&uri, 1024);
	sl_buf_init(&type, 256);
	sl_buf_u8(&uri, '<');
	trunk_put_uri(t, &uri, r->call->stack->conf->siprec.to);
	sl_buf_u8(&uri, '>');
	siprec_write_type(&type, sl_str_c(r->boundary));
	rc = sl_buf_ok(&uri);
	if (rc == 0 && !keep_text(&r->leg[0]->body_type, sl_buf_view(&type)))
		rc = -SL_ENOMEM;
	if (rc == 0)
		rc = party_sip_begin(r->leg[0], (struct sl_str){(char *)uri.p + 1, uri.len - 2},
				     sl_buf_view(&uri));
	sl_buf_free(&uri);
	sl_buf_free(&type);
	return rc;
}

static void let_go(struct siprec *r)
{
	for (unsigned i = 0; i < SIPREC_STREAMS; i++) {
		struct party *p = r->leg[i];

		r->leg[i] = NULL;
		r->source[i] = (struct siprec_source){0};
		if (!p)
			continue;
		party_end(p, 200);
		p->state = PARTY_ENDED;
		party_discharge(p);
		party_leg_close(p, "the recorder has left");
	}
	if (r->up)
		sl_gauge_add(&r->call->stack->m[M_RECORDERS], -1);
	r->up = r->answering = r->unwritten = false;
	r->asks = 0;
	r->view.n_people = 0;
	siprec_forget_texts(r);
}

/* The codecs of the party that has agreed to some already come first. */
static void prefer_codecs(struct siprec *r)
{
	const struct call *c = r->call;
	uint32_t best = c->b && c->b->has_media ? c->b->leg : c->a->leg;

	for (unsigned i = 0; i < SIPREC_STREAMS && r->leg[0]->trunk->conf->codecs.n == 0; i++)
		party_leg_tell(r->leg[i], WIRE_LEG_PREFER, best, SL_STR_NULL);
}

static int start(struct siprec *r, struct trunk *t)
{
	int rc = 0;

	sweep(r->call);
	for (unsigned i = 0; i < SIPREC_STREAMS && rc == 0; i++) {
		r->leg[i] = new_leg(r, t);
		rc = r->leg[i] ? 0 : -SL_ENOMEM;
	}
	if (rc == 0) {
		party_charge(r->leg[0]);
		rc = begin_dialog(r, t);
	}
	if (rc == 0)
		rc = party_leg_open(r->leg[1]);
	if (rc < 0) {
		let_go(r);
		return rc;
	}
	(void)siprec_take_sources(r);
	prefer_codecs(r);
	siprec_command_legs(r);
	r->stale = false;
	siprec_ask_offers(r);
	return 0;
}

static void nobody_records(struct siprec *r)
{
	struct call *c = r->call;

	r->n_tried = 0;
	sl_count(&c->stack->m[M_UNRECORDED]);
	sl_log(SL_LOG_WARN, "sip-gateway", "no recorder takes the call of %s to %s",
	       c->a ? c->a->name : "?", c->called);
	if (c->stack->conf->siprec.required) {
		(void)snprintf(c->reason, sizeof c->reason,
			       "Q.850;cause=41;text=\"The call cannot be recorded\"");
		call_end(c, "node", 503);
	} else if (alarm_set(&c->stack->alarms, &r->again, AGAIN_MS) < 0) {
		sl_log(SL_LOG_ERROR, "sip-gateway", "out of memory for a timer");
	}
}

static void try_next(struct siprec *r)
{
	const struct stack *s = r->call->stack;

	while (r->n_tried < s->conf->siprec.trunks.n) {
		struct trunk *t = recorder(s, r->n_tried++);

		if (t && start(r, t) == 0)
			return;
	}
	nobody_records(r);
}

static void on_again(struct alarm *a)
{
	try_next(a->arg);
}

static struct siprec *begin(struct call *c)
{
	struct siprec *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	r->call = c;
	r->again = (struct alarm){.fn = on_again, .arg = r};
	r->view.session[sl_base64_encode(r->view.session, c->id, sizeof c->id)] = '\0';
	if (siprec_draw_id(r->view.stream[0]) < 0 || siprec_draw_id(r->view.stream[1]) < 0 ||
	    sip_name_new(r->boundary, c->stack->owner) < 0) {
		free(r);
		return NULL;
	}
	c->siprec = r;
	r->view.from_ms = siprec_unix_ms(r);
	return r;
}

/* ---- what the call does */

/* There may be one already, since an announcement that came before. */
bool siprec_comes_first(struct call *c)
{
	struct siprec *r = c->siprec;
	bool is_new = !r;

	if (!c->stack->conf->siprec.required || !siprec_is_wanted(c) || (r && r->up))
		return false;
	if (is_new)
		r = begin(c);
	if (!r) {
		call_end(c, "node", 503);
		return true;
	}
	r->caller_waits = true;
	if (is_new)
		try_next(r);
	return true;
}

/* Nobody is recorded before somebody has answered, be it this node. */
static bool has_begun(const struct call *c)
{
	return c->answered && c->a && (c->b || c->builtin);
}

void siprec_follow(struct call *c)
{
	struct siprec *r = c->siprec;

	if (c->over)
		return;
	if (!r) {
		if (!has_begun(c) || !siprec_is_wanted(c))
			return;
		r = begin(c);
		if (r)
			try_next(r);
		return;
	}
	if (!r->up) {
		r->stale = true;
		return;
	}
	if (siprec_take_sources(r) || r->stale)
		siprec_say(r);
}

void siprec_lost(struct call *c)
{
	struct siprec *r = c->siprec;

	if (!r || r->over)
		return;
	let_go(r);
	r->n_tried = 0;
}

void siprec_found(struct call *c)
{
	struct siprec *r = c->siprec;

	if (!r || r->over)
		return;
	r->stale = true; /* its sources are other legs */
	if (!r->leg[0] && !r->again.place)
		try_next(r);
}

void siprec_free(struct call *c)
{
	struct siprec *r = c->siprec;

	if (!r)
		return;
	alarm_cancel(&c->stack->alarms, &r->again);
	siprec_forget_texts(r);
	free(r);
	c->siprec = NULL;
}

void siprec_end(struct call *c)
{
	struct siprec *r = c->siprec;

	if (!r)
		return;
	r->over = true;
	alarm_cancel(&c->stack->alarms, &r->again);
	if (r->up)
		sl_gauge_add(&c->stack->m[M_RECORDERS], -1);
	r->up = false;
}

int siprec_restore(struct call *c, const struct siprec_taken *t)
{
	struct siprec *r = begin(c);
	struct sl_buf type;
	int rc;

	if (!r)
		return -SL_ENOMEM;
	for (unsigned i = 0; i < SIPREC_STREAMS; i++) {
		r->leg[i] = t->leg[i];
		r->source[i] = t->source[i];
		if (r->source[i].heard)
			r->source[i].what = siprec_what_is_heard(c);
	}
	r->view = t->view;
	(void)sl_str_copy(r->boundary, sizeof r->boundary, t->boundary);
	sl_buf_init(&type, 256);
	siprec_write_type(&type, sl_str_c(r->boundary));
	rc = keep_text(&r->leg[0]->body_type, sl_buf_view(&type)) ? 0 : -SL_ENOMEM;
	sl_buf_free(&type);
	r->up = true;
	sl_gauge_add(&c->stack->m[M_RECORDERS], 1);
	siprec_watch_room(r); /* who came or went while nobody listened */
	return rc;
}

/* ---- when it fails */

void siprec_failed(struct party *p, unsigned status)
{
	struct call *c = p->call;
	unsigned i;
	struct siprec *r = siprec_of(p, &i);
	bool flaps;

	p->status = status;
	if (p->inviting == NULL && p->state != PARTY_UP)
		p->state = PARTY_ENDED; /* its dialog is over, or never was */
	session_stop(p);
	if (!r || r->over || c->over) {
		party_discharge(p);
		call_settle(c);
		return;
	}
	flaps = r->up && stack_now(c->stack) - r->up_ms < AGAIN_MS;
	if (r->up)
		r->n_tried = 0;
	let_go(r);
	if (flaps) /* not as fast as it can */
		nobody_records(r);
	else
		try_next(r);
}
