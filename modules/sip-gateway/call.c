/*
 * sip-gateway/call.c: who is joined with whom; targets tried one after the other, contacts of a
 * user all at once; and the end, after which the record is written and everything goes.
 *
 * A call is freed from a timer of its own, never from within what one of its parties does.
 */
#include "account.h"
#include "call.h"
#include "siprec.h"

#include <sluice/crypto.h>

#include <stdio.h>
#include <stdlib.h>

#include "leg.h"

enum { STATS_MS = 3000, SECOND = 1000 };
static const uint8_t room_key[16]; /* places are no secret, and equal in all generations */

/* ---- limits */

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

/* What watchers see of them */
static void users_changed(const struct call *c)
{
	for (const struct party *p = c->parties; p; p = p->next)
		user_changed(p->user, CHANGED_PRESENCE | CHANGED_DIALOGS);
}

/* ---- life */

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

static void arm(struct call *c, struct alarm *a, uint64_t ms)
{
	if (alarm_set(&c->stack->alarms, a, ms) < 0)
		sl_log(SL_LOG_ERROR, "sip-gateway", "out of memory for a timer");
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
		arm(c, &c->linger, STATS_MS);
		return;
	}
	call_free(c);
}

void call_settle(struct call *c)
{
	if (c->over && !waits(c, true))
		arm(c, &c->linger, 0);
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
	arm(c, &c->linger, STATS_MS);
	call_settle(c);
}

void calls_worker_gone(struct stack *s, uint32_t worker)
{
	for (struct call *c = s->first_call; c; c = c->next)
		if (c->worker == worker)
			call_end(c, "node", 503);
}

static void find_other_way(struct call *c, const struct sip_flow *gone)
{
	for (struct party *p = c->parties; p; p = p->next)
		if (p->kind != PARTY_BROWSER && p->trunk && sip_flow_same(&p->flow, gone))
			p->flow = p->trunk->flow;
}

void calls_flow_gone(struct stack *s, const struct sip_flow *flow)
{
	for (struct call *c = s->first_call; c && flow->conn; c = c->next)
		find_other_way(c, flow);
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

/* ---- joining */

static void enter_room(struct party *p, const char *room)
{
	char text[DIAL_TEXT + 65];

	(void)snprintf(text, sizeof text, "%s\n%s", room, p->display[0] ? p->display : p->name);
	party_leg_tell(p, WIRE_LEG_ROOM, 0, sl_str_c(text));
}

static void play_builtin(struct call *c)
{
	const struct dial_target *t = &c->plan.targets[c->next_target - 1];

	switch (t->kind) {
	case DIAL_ECHO:
		party_leg_tell(c->a, WIRE_LEG_ECHO, 0, SL_STR_NULL);
		break;
	case DIAL_ROOM:
		enter_room(c->a, t->name);
		break;
	case DIAL_ANNOUNCEMENT:
		party_leg_tell(c->a, WIRE_LEG_SOUND, 0, sl_str_c(t->name));
		break;
	default:
		party_leg_tell(c->a, WIRE_LEG_PLAY, LEG_TONE_MUSIC, SL_STR_NULL);
	}
}

/* Each of two parties with media hears the other, or music while that one holds. */
void call_join(struct call *c)
{
	struct party *a = c->a, *b = c->b ? c->b : c->early;

	users_changed(c);
	if (c->over || !a || !a->has_media)
		return;
	call_keep(c);
	call_show(c);
	if (c->builtin) {
		if (!c->joined)
			play_builtin(c);
		c->joined = true;
		return;
	}
	if (!b || !b->has_media)
		return;
	c->joined = true;
	siprec_follow(c);
	if (a->held)
		party_leg_tell(b, WIRE_LEG_PLAY, LEG_TONE_MUSIC, SL_STR_NULL);
	if (b->held)
		party_leg_tell(a, WIRE_LEG_PLAY, LEG_TONE_MUSIC, SL_STR_NULL);
	if (!a->held && !b->held)
		party_leg_tell(a, WIRE_LEG_BRIDGE, b->leg, SL_STR_NULL);
}

void call_held(struct call *c, struct party *p, bool held)
{
	struct party *other = call_other(c, p);

	if (p->held == held)
		return;
	p->held = held;
	if (c->builtin)
		return; /* its leg knows */
	if (held)
		party_leg_tell(p, WIRE_LEG_UNBRIDGE, 0, SL_STR_NULL);
	if (other && other->kind == PARTY_BROWSER)
		browser_held(other, held);
	call_join(c);
}

/* ---- targets */

static void put_number(struct sl_buf *b, const struct call *c, const struct dial_target *t)
{
	sl_buf_str(b, sl_str_c(t->number[0] ? t->number : c->called));
}

static struct party *new_callee(struct call *c, const char *name, const char *headers)
{
	struct party *p = party_new(c, PARTY_SIP);

	if (!p)
		return NULL;
	(void)sl_str_copy(p->name, sizeof p->name, sl_str_c(name));
	if (headers)
		(void)keep_text(&p->headers, sl_str_c(headers));
	else if (c->plan_header)
		(void)keep_text(&p->headers, sl_str_c(c->plan_header));
	return p;
}

static bool is_webrtc_transport(unsigned transport)
{
	return transport == SIP_WS || transport == SIP_WSS;
}

static int call_binding(struct call *c, struct user *u, const struct binding *b,
			const char *headers)
{
	struct party *p = new_callee(c, u->conf->name.p, headers);
	struct sl_buf to;

	if (!p)
		return -SL_ENOMEM;
	p->user = u;
	p->flow = b->flow;
	p->profile = (enum sip_profile)u->conf->profile;
	if (p->profile == SIP_PROFILE_AUTO && is_webrtc_transport(b->flow.transport))
		p->profile = SIP_PROFILE_WEBRTC;
	(void)keep_text(&p->routes, b->path);
	party_charge(p);
	sl_buf_init(&to, 1024);
	sl_buf_printf(&to, "<sip:%.*s@%.*s>", SL_FMT(u->conf->name), SL_FMT(c->stack->conf->realm));
	party_sip_call(p, b->contact, sl_buf_view(&to));
	sl_buf_free(&to);
	return 0;
}

static int call_user(struct call *c, const struct dial_target *t, const char *headers)
{
	struct user *u = stack_user(c->stack, sl_str_c(t->name));
	unsigned n = t->device[0] ? 0 : browsers_call(c, sl_str_c(t->name));

	if (!u)
		return n > 0 ? 0 : -SL_ENOENT;
	if (u->conf->max_calls && u->n_calls >= u->conf->max_calls) {
		c->best_status = 486;
		return n > 0 ? 0 : -SL_ELIMIT;
	}
	for (const struct binding *b = u->bindings; b; b = b->next)
		if (!binding_is_spare(b) && gruu_is(b, t->device)) /* or one device rings twice */
			n += call_binding(c, u, b, headers) == 0;
	if (n == 0 && c->best_status == 0)
		c->best_status = 480;
	return n > 0 ? 0 : -SL_ENOENT;
}

static int call_trunk(struct call *c, const struct dial_target *t, const char *headers)
{
	struct trunk *trunk = trunk_by_name(c->stack, sl_str_c(t->name));
	struct sl_buf uri, number;
	struct party *p;

	if (!trunk || !trunk_is_usable(trunk) || trunk_is_full(trunk)) {
		c->best_status = 503;
		return -SL_ENOENT;
	}
	p = new_callee(c, t->number[0] ? t->number : c->called, headers);
	if (!p)
		return -SL_ENOMEM;
	p->trunk = trunk;
	p->account = account_ref(account_for(c, trunk));
	p->flow = trunk->flow;
	p->profile = (enum sip_profile)trunk->conf->profile;
	party_charge(p);
	sl_buf_init(&uri, 2048);
	sl_buf_init(&number, 1024);
	put_number(&number, c, t);
	sl_buf_u8(&uri, '<');
	trunk_put_uri(trunk, &uri, sl_buf_view(&number));
	sl_buf_u8(&uri, '>');
	party_sip_call(p, (struct sl_str){(char *)uri.p + 1, uri.len - 2}, sl_buf_view(&uri));
	sl_buf_free(&uri);
	sl_buf_free(&number);
	return 0;
}

int call_add_target(struct call *c, const struct dial_target *t, const char *headers)
{
	switch (t->kind) {
	case DIAL_USER:
		return call_user(c, t, headers);
	case DIAL_TRUNK:
		return call_trunk(c, t, headers);
	case DIAL_CONTACT:
		return browser_call_contact(c, sl_str_c(t->name));
	default:
		return -SL_EUNSUPP;
	}
}

/* Its announcement may have been answered before. */
static void answer_caller(struct call *c)
{
	if (c->a->state == PARTY_UP)
		call_join(c);
	else
		party_answer(c->a);
}

static int answer_builtin(struct call *c)
{
	c->builtin = true;
	c->answered = true;
	if (c->answered_ms == 0) {
		c->answered_ms = stack_now(c->stack);
		sl_count(&c->stack->m[M_CALLS_ANSWERED]);
	}
	answer_caller(c);
	return 0;
}

static int announce(struct call *c)
{
	bool early = c->plan.route && c->plan.route->early_media && c->a->offer;

	c->announcing = true;
	if (!early || c->a->state == PARTY_UP)
		return answer_builtin(c);
	c->builtin = true;
	if (c->a->has_media) /* after another announcement */
		call_join(c);
	else
		party_early(c->a);
	return 0;
}

static int try_target(struct call *c, const struct dial_target *t)
{
	switch (t->kind) {
	case DIAL_REJECT:
		c->best_status = t->status;
		return -SL_ENOENT;
	case DIAL_ANNOUNCEMENT:
		return announce(c);
	case DIAL_ECHO:
	case DIAL_MUSIC:
	case DIAL_ROOM:
		return answer_builtin(c);
	default:
		return call_add_target(c, t, NULL);
	}
}

static unsigned end_status(const struct call *c)
{
	if (c->best_status)
		return c->best_status;
	return c->a && c->a->state == PARTY_UP ? 200 : 480;
}

void call_proceed(struct call *c)
{
	while (c->next_target < c->plan.n_targets && !c->over)
		if (try_target(c, &c->plan.targets[c->next_target++]) == 0)
			return;
	if (!c->over)
		call_end(c, "node", end_status(c));
}

void call_announced(struct call *c, const struct party *p)
{
	if (!c->announcing || p != c->a || c->over)
		return;
	c->announcing = c->builtin = c->joined = c->answered = false;
	arm(c, &c->ring, c->stack->conf->ring_timeout);
	call_proceed(c);
}

void call_room_ended(struct call *c, struct party *p, unsigned end, struct sl_str why)
{
	static const struct {
		uint16_t status;
		uint8_t cause;
	} map[] = {
		[SL_MIXER_LEFT] = {200, 16},	[SL_MIXER_REMOVED] = {603, 21},
		[SL_MIXER_REFUSED] = {403, 21}, [SL_MIXER_FULL] = {486, 17},
		[SL_MIXER_NO_ROOM] = {404, 1},	[SL_MIXER_FAILED] = {503, 41},
	};
	unsigned at = end < SL_ARRAY_LEN(map) ? end : SL_MIXER_FAILED;

	if (!c->builtin || p != c->a)
		return;
	(void)snprintf(c->reason, sizeof c->reason, "Q.850;cause=%u;text=\"%.*s\"", map[at].cause,
		       SL_FMT(why));
	call_end(c, "node", map[at].status);
}

void call_place(struct call *c, uint32_t preferred)
{
	const struct stack_io *io = c->stack->io;
	struct sl_str room;

	for (unsigned i = 0; i < c->plan.n_targets; i++) {
		if (c->plan.targets[i].kind != DIAL_ROOM)
			continue;
		room = sl_str_c(c->plan.targets[i].name);
		preferred = io->worker_for(io->arg, sl_siphash13(room_key, room.p, room.len));
		break;
	}
	c->worker = io->worker(io->arg, preferred);
}

static void put_passed(struct sl_buf *b, const struct route_conf *r, struct sl_str head)
{
	struct sl_str rest = head, n, v;

	while (head.len > 0 && sip_header_next(&rest, &n, &v))
		for (size_t i = 0; i < r->pass.n; i++)
			if (sl_str_eq_nocase(n, *SL_LIST_AT(r->pass, struct sl_str, i)))
				sl_buf_printf(b, "%.*s: %.*s\r\n", SL_FMT(n), SL_FMT(v));
}

static void keep_headers(struct call *c, struct sl_str head)
{
	const struct route_conf *r = c->plan.route;
	struct sl_buf b;

	if (!r || r->headers.n + r->pass.n == 0)
		return;
	sl_buf_init(&b, 16 * 1024);
	for (size_t i = 0; i < r->headers.n; i++)
		sl_buf_printf(&b, "%.*s\r\n", SL_FMT(*SL_LIST_AT(r->headers, struct sl_str, i)));
	put_passed(&b, r, head);
	if (sl_buf_ok(&b) == 0)
		(void)keep_text(&c->plan_header, sl_buf_view(&b));
	sl_buf_free(&b);
}

int call_route(struct call *c, const struct dial_call *dial)
{
	int rc;

	(void)sl_str_copy(c->called, sizeof c->called, dial->called);
	rc = dialplan_route(c->stack->conf, dial, &c->plan);
	if (rc == 0) {
		keep_headers(c, dial->head);
		dial_share(&c->plan);
	}
	return rc;
}

void call_begin(struct call *c, struct party *caller)
{
	c->a = caller;
	call_show(c);
	arm(c, &c->ring, c->stack->conf->ring_timeout);
	call_proceed(c);
}

/* ---- what callees do */

void call_ringing(struct call *c, struct party *callee)
{
	users_changed(c);
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

static bool is_tried(const struct party *p)
{
	return !p->caller && p->kind != PARTY_RECORDER &&
	       (p->state == PARTY_NEW || p->state == PARTY_CALLING || p->state == PARTY_RINGING);
}

static void let_others_go(struct call *c, const struct party *winner)
{
	for (struct party *p = c->parties; p; p = p->next) {
		if (p == winner || !is_tried(p))
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
		arm(c, &c->longest, c->stack->conf->max_duration);
	c->a->prefer = callee->leg;
	if (!siprec_comes_first(c))
		answer_caller(c);
}

void call_go_on(struct call *c)
{
	answer_caller(c);
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
	for (const struct party *q = c->parties; q; q = q->next)
		if (is_tried(q) && status < 600)
			return;
	if (c->transfer.by) {
		transfer_progress(c, status);
		return;
	}
	if (c->answered)
		return;
	c->best_status = better(c->best_status, status);
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
