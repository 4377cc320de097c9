/*
 * sip-gateway/browser_call.c: parties that signal without SIP: calls from them and to them.
 *
 * Descriptions are whole. A client offers when it calls, and is offered when it is called; later it
 * may offer anew at any time, as it has to when its network changes, and the other side of the call
 * is not asked and does not notice.
 */
#include "browsers.h"

#include <stdlib.h>

enum { MAX_DIGITS = 32, DIGIT_MS = 160, MAX_CALLS = 16 };

/* ---- toward one who calls */

static void on_answer(struct party *p, int rc, struct sl_str text)
{
	p->answers = false;
	if (p->state == PARTY_ENDED)
		return;
	if (rc < 0 || !keep_text(&p->answer, text)) {
		p->status = 488;
		(void)sl_str_copy(p->call->reason, sizeof p->call->reason, SL_STR_NULL);
		if (rc < 0)
			browser_problem(p, text.p);
		call_end(p->call, "node", 488);
		return;
	}
	p->has_media = true;
	if (p->answer_is_final) {
		p->state = PARTY_UP;
		p->answered_ms = stack_now(p->call->stack);
	}
	browser_say(p, browser_with(browser_message(p->answer_is_final ? "accepted" : "progress",
						    p->tag),
				    "sdp", p->answer));
	call_join(p->call);
}

static void ask_media(struct party *p)
{
	if (p->answers)
		return;
	p->answers = true;
	video_before_answer(p);
	party_leg_ask(p, WIRE_LEG_ANSWER, 0, sl_str_c(p->offer), on_answer);
}

void browser_early(struct party *p)
{
	if (!p->answer)
		ask_media(p);
}

void browser_answer(struct party *p)
{
	p->answer_is_final = true;
	if (!p->answer) {
		ask_media(p);
		return;
	}
	p->state = PARTY_UP;
	p->answered_ms = stack_now(p->call->stack);
	browser_say(p, browser_message("accepted", p->tag));
	call_join(p->call);
}

/* ---- to a browser */

static void on_offer(struct party *p, int rc, struct sl_str text)
{
	const struct party *from = p->call->transfer.by ? p->call->transfer.other : p->call->a;
	json_t *json;

	if (p->state == PARTY_ENDED)
		return;
	if (rc < 0 || !keep_text(&p->offer, text)) {
		call_failed(p->call, p, 503);
		return;
	}
	json = browser_with(browser_message("incoming", p->tag), "from",
			    from ? from->name : "anonymous");
	if (from && from->display[0])
		json = browser_with(json, "display", from->display);
	json = browser_with(json, "to", p->name);
	browser_say(p, browser_with(json, "sdp", p->offer));
	p->state = PARTY_RINGING;
	call_ringing(p->call, p);
}

bool browser_word_is_good(struct sl_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] <= ' ' || strchr("\"<>@;:\\\x7f", s.p[i]))
			return false;
	return s.len > 0;
}

/* What a guest calls itself could be anybody's number: it is shown, and is no address. */
struct sl_str browser_own_name(const struct browser *b)
{
	if (b->user)
		return b->user->conf->name;
	return b->account ? sl_str_c(b->account->user) : SL_STR("anonymous");
}

struct sl_str browser_own_display(const struct browser *b)
{
	if (b->user)
		return b->user->conf->display;
	return sl_str_c(b->account ? b->account->display : b->name);
}

/* "1002", or the user part of an address; empty: it cannot be called */
struct sl_str browser_number(const struct said *m)
{
	struct sl_str to = sl_json_get_str(m->json, "number"), user = sip_user_of(to);

	if (user.len > 0)
		to = user;
	return to.len < DIAL_TEXT && browser_word_is_good(to) ? to : SL_STR_NULL;
}

static int call_browser(struct call *c, const struct browser *b)
{
	struct party *p = party_new(c, PARTY_BROWSER);

	if (!p || sip_name_new(p->tag, c->stack->owner) < 0)
		return -SL_ENOMEM;
	p->peer = b->peer;
	p->user = b->user;
	p->account = account_ref(b->account);
	p->state = PARTY_CALLING;
	p->profile = SIP_PROFILE_WEBRTC;
	(void)sl_str_copy(p->name, sizeof p->name, browser_own_name(b));
	party_charge(p);
	if (party_leg_open(p) < 0)
		return -SL_ENOMEM;
	party_tell_listener(p);
	video_before_offer(p);
	party_leg_ask(p, WIRE_LEG_OFFER, 0, SL_STR_NULL, on_offer);
	return 0;
}

/* Who calls its own extension reaches its other devices. */
static bool is_caller(const struct call *c, const struct browser *b)
{
	return c->a && c->a->kind == PARTY_BROWSER && c->a->peer == b->peer;
}

unsigned browsers_call(struct call *c, struct sl_str name)
{
	const struct user *u = stack_user(c->stack, name);
	unsigned n = 0;

	for (const struct browser *b = u ? u->browsers : NULL; b; b = b->next_of_user)
		if (!is_caller(c, b))
			n += call_browser(c, b) == 0;
	return n;
}

int browser_call_contact(struct call *c, struct sl_str contact)
{
	const struct account *a = account_find(c->stack, contact);
	const struct browser *b = a ? browser_find(c->stack, a->peer) : NULL;

	return b ? call_browser(c, b) : -SL_ENOENT;
}

/* ---- from a browser */

static bool name_is_good(struct sl_str name)
{
	return name.len > 0 && name.len <= SIP_NAME_LEN;
}

/* A second call has its media where the first one is, so that the two can be joined. */
static uint32_t preferred_worker(const struct stack *s, const struct browser *b)
{
	for (const struct call *c = s->first_call; c; c = c->next)
		for (const struct party *p = c->parties; p; p = p->next)
			if (p->kind == PARTY_BROWSER && p->peer == b->peer &&
			    p->state != PARTY_ENDED)
				return party_worker(p);
	return b->user && b->user->n_calls ? b->user->worker : b->worker;
}

static struct party *new_caller(struct call *c, const struct said *m, struct sl_str sdp)
{
	const struct browser *b = m->b;
	struct party *p = party_new(c, PARTY_BROWSER);

	if (!p)
		return NULL;
	p->caller = true;
	p->state = PARTY_CALLING;
	p->peer = b->peer;
	p->user = b->user;
	p->account = account_ref(b->account);
	p->profile = SIP_PROFILE_WEBRTC;
	(void)sl_str_copy(p->tag, sizeof p->tag, m->call);
	(void)sl_str_copy(p->name, sizeof p->name, browser_own_name(b));
	(void)sl_str_copy(p->display, sizeof p->display, browser_own_display(b));
	party_charge(p);
	return keep_text(&p->offer, sdp) && party_leg_open(p) == 0 ? p : NULL;
}

/* What the dial plan does not take goes to the PBX that the client is registered at. */
static int route(struct call *c, const struct browser *b, struct sl_str to)
{
	const struct dial_call dial = {
		.called = to,
		.caller = browser_own_name(b),
		.source = b->user ? DIAL_FROM_USER : DIAL_FROM_BROWSER,
	};
	int rc = call_route(c, &dial);

	if (rc == 0 || !b->account)
		return rc;
	account_route(c, b->account, to);
	return 0;
}

static void begin(const struct said *m, struct sl_str to, struct sl_str sdp)
{
	struct call *c = call_new(m->s);
	struct party *p;
	int rc;

	if (!c) {
		browser_tell_hangup(m->s, m->b->peer, m->call.p, 500);
		return;
	}
	c->worker = m->s->io->worker(m->s->io->arg, preferred_worker(m->s, m->b));
	p = new_caller(c, m, sdp);
	rc = route(c, m->b, to);
	if (!p)
		call_end(c, "node", 500);
	else if (rc < 0)
		call_end(c, "node", rc == -SL_EDENIED ? 403 : 404);
	else
		call_begin(c, p);
}

/* Guests are many, and nobody may take all the room. */
static unsigned calls_of(const struct said *m)
{
	unsigned n = 0;

	for (const struct call *c = m->s->first_call; c; c = c->next)
		for (const struct party *p = c->parties; p; p = p->next)
			n += p->kind == PARTY_BROWSER && p->peer == m->b->peer &&
			     p->state != PARTY_ENDED;
	return n;
}

void browser_on_call(const struct said *m)
{
	const struct auth_who who = {.kind = m->b->user ? AUTH_USER : AUTH_STRANGER,
				     .user = m->b->user};
	struct sl_str to = browser_number(m);
	struct sl_str sdp = sl_json_get_str(m->json, "sdp");
	unsigned status = 400;

	if (to.len == 0)
		status = 484;
	else if (name_is_good(m->call) && !browser_party(m, m->call) && sdp.len > 0)
		status = calls_of(m) < MAX_CALLS ? calls_admit(m->s, &who) : 486;
	if (status)
		browser_tell_hangup(m->s, m->b->peer, m->call.p ? m->call.p : "", status);
	else
		begin(m, to, sdp);
}

static void on_accepted(struct party *p, int rc, struct sl_str text)
{
	p->answers = false;
	if (p->state == PARTY_ENDED)
		return;
	if (rc < 0) {
		browser_problem(p, text.p);
		party_end(p, 488);
		call_failed(p->call, p, 488);
		return;
	}
	p->has_media = true;
	p->state = PARTY_UP;
	call_answered(p->call, p);
	call_join(p->call);
}

static void on_accept(struct party *p, const struct said *m)
{
	if (p->caller || p->state != PARTY_RINGING || p->answers)
		return;
	p->answers = true;
	party_leg_ask(p, WIRE_LEG_ACCEPT, 0, sl_json_get_str(m->json, "sdp"), on_accepted);
}

void browser_hang_up(struct party *p, unsigned status)
{
	struct call *c = p->call;

	if (!p->caller && p->state != PARTY_UP) {
		call_failed(c, p, status ? status : 603);
		return;
	}
	p->status = p->state == PARTY_UP ? 200 : 487;
	call_left(c, p, p->status);
}

/* Busy keeps other devices ringing; what a client may not say is taken as declined. */
static void on_hangup(struct party *p, const struct said *m)
{
	const json_t *v = json_object_get(m->json, "status");
	json_int_t status = json_is_integer(v) ? json_integer_value(v) : 0;

	browser_hang_up(p, status == 480 || status == 486 ? (unsigned)status : 0);
}

static void on_dtmf(struct party *p, const struct said *m)
{
	struct party *other = call_other(p->call, p);
	struct sl_str digits = sl_json_get_str(m->json, "digits");

	if (other && digits.len > 0 && digits.len <= MAX_DIGITS)
		party_leg_tell(other, WIRE_LEG_DTMF, DIGIT_MS, digits);
}

static void on_hold(struct party *p, const struct said *m)
{
	bool on = json_is_true(json_object_get(m->json, "on"));
	json_t *json;

	if (p->state != PARTY_UP) {
		browser_problem(p, "The call is not up yet.");
		return;
	}
	call_held(p->call, p, on);
	json = browser_message("holding", p->tag);
	if (json)
		(void)json_object_set_new(json, "on", json_boolean(on));
	browser_say(p, json);
}

/* ---- a new description of a call that has media */

/* ---- a new offer of ours */

static void on_new_offer(struct party *p, int rc, struct sl_str text)
{
	if (rc < 0 || p->state != PARTY_UP) {
		p->offers = false;
		video_reoffered(p);
		return;
	}
	browser_say(p, browser_with(browser_message("renew", p->tag), "sdp", text.p));
}

int browser_reoffer(struct party *p)
{
	if (p->state != PARTY_UP || p->answers || p->offers || p->waiting)
		return -SL_EAGAIN;
	p->offers = true;
	party_leg_ask(p, WIRE_LEG_OFFER, p->moving, SL_STR_NULL, on_new_offer);
	return 0;
}

static void on_reaccepted(struct party *p, int rc, struct sl_str text)
{
	if (p->state == PARTY_ENDED)
		return;
	if (rc < 0) {
		party_leg_tell(p, WIRE_LEG_ROLLBACK, 0, SL_STR_NULL);
		browser_problem(p, text.p);
		(void)rescue_refused(p, 491); /* it may have answered the offer before */
	} else {
		rescue_told(p);
	}
	call_join(p->call);
	video_reoffered(p);
}

static void on_answer_to_offer(struct party *p, const struct said *m)
{
	if (!p->offers)
		return; /* its own offer came in between, and counts */
	p->offers = false;
	party_leg_ask(p, WIRE_LEG_ACCEPT, 0, sl_json_get_str(m->json, "sdp"), on_reaccepted);
}

/* ---- ... and of its */

static void on_renewed(struct party *p, int rc, struct sl_str text)
{
	if (p->state == PARTY_ENDED)
		return;
	if (rc < 0) {
		browser_problem(p, text.p);
		return;
	}
	rescue_told(p);
	browser_say(p, browser_with(browser_message("renewed", p->tag), "sdp", text.p));
}

/* Of two offers at once its own counts. */
static void on_renew(struct party *p, const struct said *m)
{
	bool glare = p->offers;

	if (!p->has_media) {
		browser_problem(p, "The call has no sound yet that could be renewed.");
		return;
	}
	if (p->waiting) {
		browser_problem(p, "The offer before is not answered yet.");
		return;
	}
	p->offers = false;
	if (glare)
		party_leg_tell(p, WIRE_LEG_ROLLBACK, 0, SL_STR_NULL);
	video_take_offer(p, sl_json_get_str(m->json, "sdp"), on_renewed);
	if (glare)
		video_reoffered(p);
}

/* ---- transfers */

static void on_transfer(struct party *p, const struct said *m)
{
	struct sl_str to = browser_number(m);
	struct sl_str to_call = sl_json_get_str(m->json, "to_call");
	struct party *q = to_call.len > 0 ? browser_party(m, to_call) : NULL;

	if (p->state != PARTY_UP || !call_other(p->call, p))
		browser_transferred(p, 481);
	else if (p->call->transfer.by)
		browser_transferred(p, 491);
	else if (to_call.len > 0)
		transfer_join(p, q);
	else if (to.len > 0)
		transfer_to(p, to, SL_STR_NULL);
	else
		browser_transferred(p, 484);
}

void browser_on_verb(struct party *p, const struct said *m, struct sl_str type)
{
	static const struct {
		const char *type;
		void (*fn)(struct party *p, const struct said *m);
	} verbs[] = {{"accept", on_accept},  {"hangup", on_hangup}, {"dtmf", on_dtmf},
		     {"hold_call", on_hold}, {"renew", on_renew},   {"transfer", on_transfer},
		     {"renewed", on_answer_to_offer}};

	for (size_t i = 0; i < SL_ARRAY_LEN(verbs); i++)
		if (sl_str_eq(type, sl_str_c(verbs[i].type)))
			verbs[i].fn(p, m);
}
