/*
 * sip-gateway/siprec.c: the recorder of a call: which one, its streams, what it is told.
 *
 * The recorders of the configuration are tried in turn, each with all its servers. When none takes
 * the call, it goes on without, and they are tried again after a while; a call that must not be
 * without is not answered, or ends. Whatever changes of the call is told as a whole, by a
 * re-INVITE.
 */
#include "siprec.h"

#include <sluice/crypto.h>

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

/* ---- who says what */

static int draw_id(char dst[SIPREC_ID + 1])
{
	uint8_t random[16];
	int rc = sl_random(random, sizeof random);

	if (rc == 0)
		dst[sl_base64_encode(dst, random, sizeof random)] = '\0';
	return rc;
}

static uint64_t unix_ms(const struct siprec *r)
{
	const struct stack_io *io = r->call->stack->io;

	return io->unix_ms(io->arg);
}

static struct siprec_person *person_in(struct siprec *r, unsigned stream)
{
	for (unsigned i = r->view.n_people; i-- > 0;)
		if (r->view.people[i].stream == stream && r->view.people[i].to_ms == 0)
			return &r->view.people[i];
	return NULL;
}

/* Those who left first are told of no more when there are too many. */
static struct siprec_person *new_person(struct siprec_view *v)
{
	unsigned at = 0;

	if (v->n_people < SIPREC_PEOPLE)
		return &v->people[v->n_people++];
	while (at < SIPREC_PEOPLE - 1 && v->people[at].to_ms == 0)
		at++;
	memmove(&v->people[at], &v->people[at + 1], (SIPREC_PEOPLE - 1 - at) * sizeof v->people[0]);
	return &v->people[SIPREC_PEOPLE - 1];
}

static void person_comes(struct siprec *r, unsigned stream, const struct party *p)
{
	struct siprec_person *who = new_person(&r->view);
	struct sl_str host = r->call->stack->conf->realm;

	if (p->trunk)
		host = p->trunk->conf->domain.len ? p->trunk->conf->domain : p->trunk->conf->server;
	*who = (struct siprec_person){.stream = stream, .from_ms = unix_ms(r)};
	if (draw_id(who->id) < 0)
		sl_log(SL_LOG_ERROR, "sip-gateway", "no random numbers");
	(void)snprintf(who->aor, sizeof who->aor, "sip:%s@%.*s", p->name, SL_FMT(host));
	(void)sl_str_copy(who->name, sizeof who->name, sl_str_c(p->display));
}

static bool talks(const struct call *c, const struct party *p)
{
	return p && (p == c->a || p == c->b);
}

static bool has_stream(const struct siprec *r, const struct party *p)
{
	return !p || p == r->source[0] || p == r->source[1];
}

static bool come(struct siprec *r, struct party *p)
{
	unsigned i = r->source[0] ? 1 : 0;

	if (has_stream(r, p) || r->source[i])
		return false;
	r->source[i] = p;
	person_comes(r, i, p);
	return true;
}

/* Streams keep their people; who is new takes the place of who has left. */
static bool take_sources(struct siprec *r)
{
	struct call *c = r->call;
	bool held = (c->a && c->a->held) || (c->b && c->b->held), changed = held != r->view.held;

	r->view.held = held;
	for (unsigned i = 0; i < SIPREC_STREAMS; i++) {
		struct siprec_person *who = person_in(r, i);

		if (!r->source[i] || talks(c, r->source[i]))
			continue;
		r->source[i] = NULL;
		if (who)
			who->to_ms = unix_ms(r);
		changed = true;
	}
	changed |= come(r, c->a);
	changed |= come(r, c->b);
	return changed;
}

/* What its legs copy from now on. What nobody hears is not recorded either. */
static void command_legs(struct siprec *r)
{
	for (unsigned i = 0; i < SIPREC_STREAMS; i++) {
		const struct party *from = r->source[i];
		uint32_t leg = from ? span_leg(r->leg[i], from) : 0;
		bool silent = leg == 0 || r->view.held;

		party_leg_tell(r->leg[i], WIRE_LEG_DIRECTION,
			       silent ? SL_SDP_INACTIVE : SL_SDP_SENDONLY, SL_STR_NULL);
		if (leg)
			party_leg_copy(r->leg[i], leg);
	}
}

/* ---- our descriptions, of both legs */

static void forget_texts(struct siprec *r)
{
	for (unsigned i = 0; i < SIPREC_STREAMS; i++) {
		free(r->sdp[i]);
		r->sdp[i] = NULL;
	}
}

static struct siprec *siprec_of(const struct party *p, unsigned *ret_stream)
{
	struct siprec *r = p->call->siprec;

	for (unsigned i = 0; r && i < SIPREC_STREAMS; i++) {
		if (r->leg[i] != p)
			continue;
		*ret_stream = i;
		return r;
	}
	return NULL; /* of a recorder of before */
}

static int join_texts(struct siprec *r, struct sl_buf *out)
{
	const struct sl_str both[SIPREC_STREAMS] = {sl_str_c(r->sdp[0]), sl_str_c(r->sdp[1])};
	int rc = siprec_join(out, both);

	forget_texts(r);
	return rc;
}

static int write_offer(struct siprec *r, struct sl_buf *body)
{
	struct sl_buf sdp, metadata;
	int rc;

	sl_buf_init(&sdp, SIP_MAX_MESSAGE / 2);
	sl_buf_init(&metadata, SIP_MAX_MESSAGE / 2);
	rc = join_texts(r, &sdp);
	siprec_write_metadata(&metadata, &r->view);
	if (rc == 0)
		rc = sl_buf_ok(&metadata);
	if (rc == 0)
		siprec_write_body(body, sl_str_c(r->boundary), sl_buf_view(&sdp),
				  sl_buf_view(&metadata));
	sl_buf_free(&sdp);
	sl_buf_free(&metadata);
	return rc == 0 ? sl_buf_ok(body) : rc;
}

static void send_offer(struct siprec *r)
{
	struct sl_buf body;
	int rc;

	sl_buf_init(&body, SIP_MAX_MESSAGE);
	rc = write_offer(r, &body);
	if (rc == 0)
		rc = r->up ? party_send_reinvite(r->leg[0], sl_buf_view(&body))
			   : party_send_invite(r->leg[0], sl_buf_view(&body));
	sl_buf_free(&body);
	if (rc < 0)
		siprec_failed(r->leg[0], 500);
}

static void answer_offer(struct siprec *r, bool good)
{
	struct sl_buf sdp;

	r->answering = false;
	sl_buf_init(&sdp, SIP_MAX_MESSAGE / 2);
	if (good && join_texts(r, &sdp) == 0)
		party_answer_asking(r->leg[0], 200, sl_buf_view(&sdp));
	else
		party_answer_asking(r->leg[0], 488, SL_STR_NULL);
	sl_buf_free(&sdp);
}

static void on_text(struct party *p, int rc, struct sl_str text)
{
	unsigned i;
	struct siprec *r = siprec_of(p, &i);
	bool good;

	if (!r || r->over)
		return;
	if (rc == 0)
		(void)keep_text(&r->sdp[i], text);
	if (--r->asks > 0)
		return;
	good = r->sdp[0] && r->sdp[1];
	if (r->answering)
		answer_offer(r, good);
	else if (good)
		send_offer(r);
	else
		siprec_failed(r->leg[0], 503);
	if (!good)
		forget_texts(r);
}

static void ask_offers(struct siprec *r)
{
	struct party *const legs[SIPREC_STREAMS] = {r->leg[0], r->leg[1]};

	r->asks = SIPREC_STREAMS;
	for (unsigned i = 0; i < SIPREC_STREAMS; i++)
		party_leg_ask(legs[i], WIRE_LEG_OFFER, 0, SL_STR_NULL, on_text);
}

static bool is_busy(const struct siprec *r)
{
	const struct party *p = r->leg[0];

	return r->asks > 0 || p->answers || p->asking || p->unacked;
}

void siprec_say(struct siprec *r)
{
	if (!r->up || is_busy(r)) {
		r->stale = true;
		return;
	}
	r->stale = false;
	r->leg[0]->answers = true; /* a re-INVITE is under way */
	command_legs(r);
	ask_offers(r);
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
	p->flow = t->flow;
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
		r->source[i] = NULL;
		if (!p)
			continue;
		party_end(p, 200);
		p->state = PARTY_ENDED;
		party_discharge(p);
		party_leg_close(p, "the recorder has left");
	}
	if (r->up)
		sl_gauge_add(&r->call->stack->m[M_RECORDERS], -1);
	r->up = r->answering = false;
	r->asks = 0;
	r->view.n_people = 0;
	forget_texts(r);
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
	(void)take_sources(r);
	prefer_codecs(r);
	command_legs(r);
	r->stale = false;
	ask_offers(r);
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
	if (draw_id(r->view.stream[0]) < 0 || draw_id(r->view.stream[1]) < 0 ||
	    sip_name_new(r->boundary, c->stack->owner) < 0) {
		free(r);
		return NULL;
	}
	c->siprec = r;
	r->view.from_ms = unix_ms(r);
	return r;
}

/* ---- what the call does */

bool siprec_comes_first(struct call *c)
{
	struct siprec *r;

	if (!c->stack->conf->siprec.required || !siprec_is_wanted(c))
		return false;
	r = begin(c);
	if (!r) {
		call_end(c, "node", 503);
		return true;
	}
	r->caller_waits = true;
	try_next(r);
	return true;
}

void siprec_follow(struct call *c)
{
	struct siprec *r = c->siprec;

	if (c->over)
		return;
	if (!r) {
		if (c->builtin || !c->answered || !c->a || !c->b || !siprec_is_wanted(c))
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
	if (take_sources(r) || r->stale)
		siprec_say(r);
}

void siprec_free(struct call *c)
{
	struct siprec *r = c->siprec;

	if (!r)
		return;
	alarm_cancel(&c->stack->alarms, &r->again);
	forget_texts(r);
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
	}
	r->view = t->view;
	(void)sl_str_copy(r->boundary, sizeof r->boundary, t->boundary);
	sl_buf_init(&type, 256);
	siprec_write_type(&type, sl_str_c(r->boundary));
	rc = keep_text(&r->leg[0]->body_type, sl_buf_view(&type)) ? 0 : -SL_ENOMEM;
	sl_buf_free(&type);
	r->up = true;
	sl_gauge_add(&c->stack->m[M_RECORDERS], 1);
	return rc;
}

/* ---- what the recorder does */

static void settled(struct siprec *r)
{
	bool first = !r->up;

	r->leg[0]->answers = false;
	if (r->n_good == 0 && first) {
		siprec_failed(r->leg[0], 488);
		return;
	}
	if (first) {
		r->up = true;
		r->up_ms = stack_now(r->call->stack);
		sl_gauge_add(&r->call->stack->m[M_RECORDERS], 1);
		sl_count(&r->call->stack->m[M_RECORDED]);
	}
	call_keep(r->call);
	call_show(r->call);
	if (r->caller_waits) {
		r->caller_waits = false;
		call_go_on(r->call);
	}
	if (take_sources(r) || r->stale)
		siprec_say(r);
}

static void on_told(struct party *p, int rc, struct sl_str text)
{
	unsigned i;
	struct siprec *r = siprec_of(p, &i);

	if (!r || r->over)
		return;
	if (rc < 0)
		sl_log(SL_LOG_INFO, "sip-gateway", "stream %u at the recorder: %.*s", i + 1,
		       SL_FMT(text));
	r->n_good += rc == 0;
	if (--r->asks == 0)
		settled(r);
}

/* Each leg is told the part of its own section. */
static void tell_parts(struct siprec *r, struct sl_str sdp, enum wire_leg_verb verb,
		       leg_then_fn *then)
{
	struct party *const legs[SIPREC_STREAMS] = {r->leg[0], r->leg[1]};

	r->asks = SIPREC_STREAMS;
	r->n_good = 0;
	for (unsigned i = 0; i < SIPREC_STREAMS; i++) {
		struct sl_buf part;
		int rc;

		sl_buf_init(&part, SIP_MAX_MESSAGE);
		rc = siprec_part(&part, sdp, i);
		if (rc == 0)
			party_leg_ask(legs[i], verb, 0, sl_buf_view(&part), then);
		else
			then(legs[i], rc, SL_STR("it has no section"));
		sl_buf_free(&part);
	}
}

void siprec_answered(struct party *p, const struct sip_msg *m)
{
	struct sl_str type = message_header(m, "Content-Type");
	unsigned i;
	struct siprec *r = siprec_of(p, &i);

	if (!r || r->over)
		return;
	r->stale |= siprec_asks(type, m->body);
	tell_parts(r, siprec_find_sdp(type, m->body), WIRE_LEG_ACCEPT, on_told);
}

void siprec_refused(struct party *p)
{
	unsigned i;
	struct siprec *r = siprec_of(p, &i);

	for (i = 0; r && i < SIPREC_STREAMS; i++)
		party_leg_tell(r->leg[i], WIRE_LEG_ROLLBACK, 0, SL_STR_NULL);
}

void siprec_asked(struct party *p, struct strans *t, const struct sip_msg *m)
{
	struct sl_str type = message_header(m, "Content-Type");
	struct sl_str sdp = siprec_find_sdp(type, m->body);
	unsigned i;
	struct siprec *r = siprec_of(p, &i);

	if (!r || !r->up || r->asks > 0) {
		party_answer_asking(p, r ? 491 : 481, SL_STR_NULL);
		return;
	}
	if (sdp.len > 0) {
		r->answering = true;
		tell_parts(r, sdp, WIRE_LEG_ANSWER, on_text);
	} else if (t->invite && m->body.len == 0) {
		r->answering = true;
		p->offer_in_ok = true;
		ask_offers(r);
	} else {
		party_answer_asking(p, siprec_asks(type, m->body) || m->body.len == 0 ? 200 : 415,
				    SL_STR_NULL);
	}
	if (siprec_asks(type, m->body))
		siprec_say(r);
}

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
