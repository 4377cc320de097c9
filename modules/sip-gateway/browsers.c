/*
 * sip-gateway/browsers.c: parties that signal in JSON over signaling-ws, beside those that speak
 * SIP.
 *
 * A client may call as it is, which reaches what everybody may; with `register` and the password of
 * a user it is that user's device, and is called with its other ones. A client has several calls,
 * each under a name of whoever began it. Descriptions are whole; what the worker's leg says goes
 * through.
 */
#include "call.h"

#include <sluice/crypto.h>
#include <sluice/json.h>

#include <stdio.h>
#include <stdlib.h>

enum { MAX_NAME = 32, MAX_DEPTH = 4 };

struct browser {
	struct sl_hnode node;
	uint64_t peer;
	uint32_t worker;
	struct user *user; /* NULL: nobody's */
	char name[64];	   /* in its room */
};

static bool has_peer(const struct sl_hnode *n, const void *key)
{
	return SL_CONTAINER(n, struct browser, node)->peer == *(const uint64_t *)key;
}

static uint64_t peer_hash(uint64_t peer)
{
	return peer * UINT64_C(0x9e3779b97f4a7c15);
}

static struct browser *find(const struct stack *s, uint64_t peer)
{
	struct sl_hnode *n = sl_htab_find(&s->browsers, peer_hash(peer), has_peer, &peer);

	return n ? SL_CONTAINER(n, struct browser, node) : NULL;
}

static struct browser *find_or_make(struct stack *s, const struct wire_signal *m, uint32_t worker)
{
	struct browser *b = find(s, m->peer);

	if (!b) {
		b = calloc(1, sizeof *b);
		if (!b || sl_htab_insert(&s->browsers, &b->node, peer_hash(m->peer)) < 0) {
			free(b);
			return NULL;
		}
		b->peer = m->peer;
	}
	b->worker = worker;
	(void)sl_str_copy(b->name, sizeof b->name, m->name);
	return b;
}

/* ---- out */

static void send_json(struct stack *s, uint64_t peer, uint32_t worker, json_t *json)
{
	struct sl_buf text;

	sl_buf_init(&text, SIP_MAX_MESSAGE);
	if (json)
		sl_json_dump(json, &text);
	if (json && sl_buf_ok(&text) == 0) {
		sl_buf_reset(&s->out);
		wire_put_signal(&s->out,
				&(struct wire_signal){.peer = peer, .json = sl_buf_view(&text)});
		(void)s->io->tell(s->io->arg, worker, WIRE_SIGNAL_SEND, &s->out); /* it left */
	}
	sl_buf_free(&text);
	json_decref(json);
}

static json_t *message(const char *type, const char *call)
{
	return json_pack("{s:s, s:s}", "type", type, "call", call);
}

static void say(struct party *p, json_t *json)
{
	send_json(p->call->stack, p->peer, p->peer_worker, json);
}

static json_t *with_text(json_t *json, const char *key, const char *value)
{
	if (json && value)
		(void)json_object_set_new(json, key, json_string(value)); /* absent then */
	return json;
}

static void say_hangup(struct stack *s, uint64_t peer, uint32_t worker, const char *call,
		       unsigned status)
{
	json_t *json = message("hangup", call);

	if (json)
		(void)json_object_set_new(json, "status", json_integer(status));
	send_json(s, peer, worker, with_text(json, "reason", sip_status_text(status)));
}

void browser_ring(struct party *p)
{
	p->state = PARTY_RINGING;
	say(p, message("ringing", p->tag));
}

void browser_end(struct party *p, unsigned status)
{
	say_hangup(p->call->stack, p->peer, p->peer_worker, p->tag, status);
}

void browser_held(struct party *p, bool held)
{
	json_t *json = message("held", p->tag);

	if (json)
		(void)json_object_set_new(json, "on", json_boolean(held));
	say(p, json);
}

static void on_answer(struct party *p, int rc, struct sl_str text)
{
	p->answers = false;
	if (p->state == PARTY_ENDED)
		return;
	if (rc < 0 || !keep_text(&p->answer, text)) {
		p->status = 488;
		(void)sl_str_copy(p->call->reason, sizeof p->call->reason, SL_STR_NULL);
		say(p, with_text(message("problem", p->tag), "reason", rc < 0 ? text.p : NULL));
		call_end(p->call, "node", 488);
		return;
	}
	p->has_media = true;
	if (p->answer_is_final) {
		p->state = PARTY_UP;
		p->answered_ms = stack_now(p->call->stack);
	}
	say(p, with_text(message(p->answer_is_final ? "accepted" : "progress", p->tag), "sdp",
			 p->answer));
	call_join(p->call);
}

static void ask_media(struct party *p)
{
	if (p->answers)
		return;
	p->answers = true;
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
	say(p, message("accepted", p->tag));
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
	json = with_text(message("incoming", p->tag), "from", from ? from->name : "anonymous");
	if (from && from->display[0])
		json = with_text(json, "display", from->display);
	say(p, with_text(json, "sdp", p->offer));
	p->state = PARTY_RINGING;
	call_ringing(p->call, p);
}

static int call_browser(struct call *c, const struct browser *b)
{
	struct party *p = party_new(c, PARTY_BROWSER);

	if (!p || sip_name_new(p->tag, c->stack->owner) < 0)
		return -SL_ENOMEM;
	p->peer = b->peer;
	p->peer_worker = b->worker;
	p->user = b->user;
	p->state = PARTY_CALLING;
	p->profile = SIP_PROFILE_WEBRTC;
	(void)sl_str_copy(p->name, sizeof p->name, b->user->conf->name);
	party_charge(p);
	if (party_leg_open(p) < 0)
		return -SL_ENOMEM;
	party_leg_ask(p, WIRE_LEG_OFFER, 0, SL_STR_NULL, on_offer);
	return 0;
}

unsigned browsers_call(struct call *c, struct sl_str name)
{
	struct sl_htab *all = &c->stack->browsers;
	unsigned n = 0;

	for (struct sl_hnode *h = sl_htab_first(all); h; h = sl_htab_next(all, h)) {
		const struct browser *b = SL_CONTAINER(h, struct browser, node);

		if (b->user && sl_str_eq(b->user->conf->name, name))
			n += call_browser(c, b) == 0;
	}
	return n;
}

/* ---- from a browser */

struct said {
	struct stack *s;
	struct browser *b;
	const json_t *json;
	struct sl_str call; /* its name */
};

static struct party *party_of(const struct said *m)
{
	for (struct call *c = m->s->first_call; c; c = c->next)
		for (struct party *p = c->parties; p; p = p->next)
			if (p->kind == PARTY_BROWSER && p->peer == m->b->peer &&
			    p->state != PARTY_ENDED && sl_str_eq(sl_str_c(p->tag), m->call))
				return p;
	return NULL;
}

static void on_register(const struct said *m)
{
	struct sl_str name = sl_json_get_str(m->json, "user");
	struct sl_str password = sl_json_get_str(m->json, "password");
	struct user *u = stack_user(m->s, name);
	json_t *json;
	bool ok;

	if (name.len == 0) { /* not any more */
		m->b->user = NULL;
		ok = true;
	} else {
		struct sl_str right = u ? u->conf->password : SL_STR("there is no such user");

		ok = u && right.len == password.len && sl_mem_eq(right.p, password.p, right.len);
		if (ok)
			m->b->user = u;
	}
	sl_count(&m->s->m[ok ? M_REGISTRATIONS : M_AUTH_FAILURES]);
	json = json_pack("{s:s, s:b}", "type", "registered", "ok", (int)ok);
	if (!ok)
		json = with_text(json, "reason", "wrong user or password");
	send_json(m->s, m->b->peer, m->b->worker, json);
}

static bool name_is_good(struct sl_str name)
{
	return name.len > 0 && name.len <= SIP_NAME_LEN;
}

static struct party *new_caller(struct call *c, const struct said *m, struct sl_str sdp)
{
	struct party *p = party_new(c, PARTY_BROWSER);

	if (!p)
		return NULL;
	p->caller = true;
	p->state = PARTY_CALLING;
	p->peer = m->b->peer;
	p->peer_worker = m->b->worker;
	p->user = m->b->user;
	p->profile = SIP_PROFILE_WEBRTC;
	(void)sl_str_copy(p->tag, sizeof p->tag, m->call);
	(void)sl_str_copy(p->name, sizeof p->name,
			  p->user ? p->user->conf->name : sl_str_c(m->b->name));
	if (p->user)
		(void)sl_str_copy(p->display, sizeof p->display, p->user->conf->display);
	party_charge(p);
	return keep_text(&p->offer, sdp) && party_leg_open(p) == 0 ? p : NULL;
}

static void begin(const struct said *m, struct sl_str to, struct sl_str sdp)
{
	const struct dial_call dial = {
		.called = to,
		.caller = m->b->user ? m->b->user->conf->name : sl_str_c(m->b->name),
		.source = m->b->user ? DIAL_FROM_USER : DIAL_FROM_BROWSER,
	};
	struct call *c = call_new(m->s);
	struct party *p;
	int rc;

	if (!c) {
		say_hangup(m->s, m->b->peer, m->b->worker, m->call.p, 500);
		return;
	}
	c->worker = m->s->io->worker(m->s->io->arg, m->b->user && m->b->user->n_calls
							    ? m->b->user->worker
							    : m->b->worker);
	p = new_caller(c, m, sdp);
	rc = call_route(c, &dial);
	if (!p)
		call_end(c, "node", 500);
	else if (rc < 0)
		call_end(c, "node", rc == -SL_EDENIED ? 403 : 404);
	else
		call_begin(c, p);
}

static void on_call(const struct said *m)
{
	const struct auth_who who = {.kind = m->b->user ? AUTH_USER : AUTH_STRANGER,
				     .user = m->b->user};
	struct sl_str to = sl_json_get_str(m->json, "number");
	struct sl_str sdp = sl_json_get_str(m->json, "sdp");
	struct sl_str user = sip_user_of(to);
	unsigned status = 400;

	if (name_is_good(m->call) && !party_of(m) && to.len > 0 && sdp.len > 0)
		status = calls_admit(m->s, &who);
	if (status)
		say_hangup(m->s, m->b->peer, m->b->worker, m->call.p ? m->call.p : "", status);
	else
		begin(m, user.len ? user : to, sdp);
}

static void on_accepted(struct party *p, int rc, struct sl_str text)
{
	if (p->state == PARTY_ENDED)
		return;
	if (rc < 0) {
		say(p, with_text(message("problem", p->tag), "reason", text.p));
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
	if (!p->caller && p->state == PARTY_RINGING)
		party_leg_ask(p, WIRE_LEG_ACCEPT, 0, sl_json_get_str(m->json, "sdp"), on_accepted);
}

static void on_hangup(struct party *p)
{
	struct call *c = p->call;

	p->status = p->state == PARTY_UP ? 200 : p->caller ? 487 : 603;
	if (!p->caller && p->state != PARTY_UP)
		call_failed(c, p, 603);
	else
		call_left(c, p, p->status);
}

static void on_dtmf(struct party *p, const struct said *m)
{
	struct party *other = call_other(p->call, p);
	struct sl_str digits = sl_json_get_str(m->json, "digits");

	if (other && digits.len > 0 && digits.len <= MAX_NAME)
		party_leg_tell(other, WIRE_LEG_DTMF, 160, digits);
}

static void on_transfer(struct party *p, const struct said *m)
{
	struct sl_str to = sl_json_get_str(m->json, "number");

	if (p->state == PARTY_UP && to.len > 0 && to.len < DIAL_TEXT && call_other(p->call, p) &&
	    !p->call->transfer.by)
		transfer_to(p, to);
}

static void dispatch(const struct said *m, struct sl_str type)
{
	struct party *p;

	if (sl_str_eq(type, SL_STR("register"))) {
		on_register(m);
		return;
	}
	if (sl_str_eq(type, SL_STR("call"))) {
		on_call(m);
		return;
	}
	p = party_of(m);
	if (!p)
		say_hangup(m->s, m->b->peer, m->b->worker, m->call.p ? m->call.p : "", 481);
	else if (sl_str_eq(type, SL_STR("accept")))
		on_accept(p, m);
	else if (sl_str_eq(type, SL_STR("hangup")))
		on_hangup(p);
	else if (sl_str_eq(type, SL_STR("dtmf")))
		on_dtmf(p, m);
	else if (sl_str_eq(type, SL_STR("hold_call")))
		call_held(p->call, p, json_is_true(json_object_get(m->json, "on")));
	else if (sl_str_eq(type, SL_STR("transfer")))
		on_transfer(p, m);
}

void browsers_signal(struct stack *s, uint32_t worker, struct sl_str data)
{
	struct wire_signal w;
	struct said m = {.s = s};
	json_t *json;

	if (wire_get_signal(data, &w) < 0)
		return;
	json = sl_json_parse(w.json, MAX_DEPTH, NULL, 0);
	m.b = json ? find_or_make(s, &w, worker) : NULL;
	m.json = json;
	m.call = sl_json_get_str(json, "call");
	if (m.b)
		dispatch(&m, sl_json_get_str(json, "type"));
	json_decref(json);
}

/* ---- the end */

static void forget(struct stack *s, struct browser *b)
{
	sl_htab_remove(&s->browsers, &b->node);
	free(b);
}

void browsers_left(struct stack *s, struct sl_str data)
{
	struct wire_signal w;
	struct browser *b;

	if (wire_get_signal(data, &w) < 0)
		return;
	b = find(s, w.peer);
	if (!b)
		return;
	forget(s, b);
	for (struct call *c = s->first_call, *next; c; c = next) {
		next = c->next; /* calls are freed from the clock only */
		for (struct party *p = c->parties; p; p = p->next)
			if (p->kind == PARTY_BROWSER && p->peer == w.peer &&
			    p->state != PARTY_ENDED)
				on_hangup(p);
	}
}

void browsers_free(struct stack *s)
{
	struct sl_hnode *n;

	while ((n = sl_htab_first(&s->browsers)))
		forget(s, SL_CONTAINER(n, struct browser, node));
}
