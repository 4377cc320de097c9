/*
 * sip-gateway/invite.c: an INVITE that begins a call: who it is from, where it wants to go, and
 * whether there is room.
 *
 * A trunk is known by its address, a user by a password, and who is neither may call only where a
 * route says `anyone`; others are asked for a password, whether or not there is somebody to be
 * called.
 */
#include "account.h"
#include "call.h"
#include "siprec.h"

static bool has_credentials(const struct sip_msg *m)
{
	return m->peek.has_credentials;
}

struct sl_str called_of(const struct sip_msg *m)
{
	struct sl_str user = sip_user_of(m->peek.uri);

	return user.len > 0 ? user : m->peek.to_user;
}

struct dial_call dial_of(const struct sip_msg *m, const struct auth_who *who)
{
	return (struct dial_call){
		.called = called_of(m),
		.caller = who->user ? who->user->conf->name : m->peek.from_user,
		.source = who->user    ? DIAL_FROM_USER
			  : who->trunk ? DIAL_FROM_TRUNK
				       : DIAL_FROM_STRANGER,
		.trunk = who->trunk ? who->trunk->conf->name : SL_STR_NULL,
		.head = {m->raw.p, m->peek.head_len},
	};
}

/* Would a route take this call from anyone? */
static bool is_open_to_all(struct stack *s, const struct sip_msg *m)
{
	const struct auth_who stranger = {.kind = AUTH_STRANGER};
	const struct dial_call dial = dial_of(m, &stranger);
	struct dial_result r;

	return dialplan_route(s->conf, &dial, &r) == 0;
}

/* A phone may stand at a trunk's address: it is known by what it has registered. */
static bool is_own_phone(const struct stack *s, const struct sip_msg *m)
{
	const struct user *u = stack_user(s, m->peek.from_user);

	for (const struct binding *b = u ? u->bindings : NULL; b; b = b->next)
		if (sl_addr_eq(&b->flow.remote, &m->flow.remote))
			return true;
	return false;
}

enum auth_verdict calls_identify(struct stack *s, struct strans *t, const struct sip_msg *m,
				 struct auth_who *ret_who)
{
	*ret_who = (struct auth_who){.trunk = trunk_by_source(s, &m->flow.remote)};
	if (ret_who->trunk && (!has_credentials(m) || !stack_user(s, m->peek.from_user)) &&
	    !is_own_phone(s, m)) {
		ret_who->kind = AUTH_TRUNK;
		return AUTH_OK;
	}
	if (!has_credentials(m) && is_open_to_all(s, m)) {
		*ret_who = (struct auth_who){.kind = AUTH_STRANGER};
		return AUTH_OK;
	}
	return auth_request(t, m, ret_who);
}

static void name_caller(struct party *p, const struct sip_msg *m, const struct auth_who *who)
{
	struct sl_str display = message_display(m);

	if (who->user) { /* what a user says of its number counts nothing */
		(void)sl_str_copy(p->name, sizeof p->name, who->user->conf->name);
		if (who->user->conf->display.len > 0)
			display = who->user->conf->display;
	} else {
		struct sl_str user =
			m->peek.from_user.len ? m->peek.from_user : SL_STR("anonymous");

		(void)sl_str_copy(p->name, sizeof p->name, user);
	}
	(void)sl_str_copy(p->display, sizeof p->display, display);
}

static int begin_dialog(struct party *p, struct strans *t, const struct sip_msg *m)
{
	struct sl_buf headers;
	int rc;

	(void)sl_str_copy(p->tag, sizeof p->tag, sl_str_c(t->to_tag));
	rc = party_dialog_from_request(p, m);
	if (rc < 0)
		return rc;
	if (m->body_kind == BODY_SDP && !keep_text(&p->offer, m->body))
		return -SL_ENOMEM;
	sl_buf_init(&headers, 1024);
	session_from_request(p, m, &headers);
	session_stop(p); /* runs from the answer on; the peer's refresh starts it again */
	(void)keep_text(&p->session, sl_buf_view(&headers));
	sl_buf_free(&headers);
	return party_leg_open(p);
}

static struct party *new_caller(struct call *c, struct strans *t, const struct sip_msg *m,
				const struct auth_who *who)
{
	struct party *p = party_new(c, PARTY_SIP);

	if (!p)
		return NULL;
	p->caller = true;
	p->state = PARTY_CALLING;
	p->user = who->user;
	p->trunk = who->trunk;
	party_charge(p);
	name_caller(p, m, who);
	p->reliable = message_requires(m, "100rel");
	p->profile = m->body_kind == BODY_SDP ? profile_of_sdp(m->body) : SIP_PROFILE_RTP;
	if (m->body_kind == BODY_NONE &&
	    (m->flow.transport == SIP_WS || m->flow.transport == SIP_WSS))
		p->profile = SIP_PROFILE_WEBRTC;
	party_reach(p, &m->flow);
	return begin_dialog(p, t, m) == 0 ? p : NULL;
}

static unsigned status_of_route(int rc)
{
	return rc == -SL_EDENIED ? 403 : 404;
}

static void refuse(struct strans *t, unsigned status)
{
	strans_reply(t,
		     &(struct strans_reply){.status = status,
					    .headers = status == 503 ? SL_STR("Retry-After: 5\r\n")
								     : SL_STR_NULL});
}

/* A second call of a user has its media where the first has it, so that they can be joined. All
 * others by turns: what comes of a trunk may come to one worker for ever. */
static uint32_t preferred_worker(const struct auth_who *who)
{
	return who->user && who->user->n_calls ? who->user->worker : 0;
}

static void begin(struct stack *s, struct strans *t, const struct sip_msg *m,
		  const struct auth_who *who)
{
	const struct dial_call dial = dial_of(m, who);
	struct call *c = call_new(s);
	struct party *p;
	int rc;

	if (!c) {
		strans_answer(t, 500);
		return;
	}
	rc = account_takes(c, dial.called, who->trunk) ? 0 : call_route(c, &dial);
	gruu_aim(&c->plan, m->peek.uri);
	call_place(c, preferred_worker(who));
	p = new_caller(c, t, m, who);
	if (!p) {
		strans_answer(t, 500);
		call_end(c, "node", 500);
		return;
	}
	p->invite = t;
	t->fn = party_on_invite_event;
	t->arg = p;
	strans_answer(t, 100);
	if (rc < 0) {
		call_end(c, "node", status_of_route(rc));
		return;
	}
	keep_words(c, t);
	c->a = p;
	if (siprec_refuses(c))
		call_end(c, "node", 503);
	else
		call_begin(c, p);
}

/* A ringing callee that is replaced is picked up elsewhere; one that talks is let go. */
void invite_replace(struct party *q, const struct sip_msg *m, struct strans *t,
		    const struct auth_who *who)
{
	struct call *c = q->call;
	struct party *p;
	bool early = q->state != PARTY_UP;

	if (early && q->caller) {
		strans_answer(t, 481); /* RFC 3891 section 3: only what we have called */
		return;
	}
	p = new_caller(c, t, m, who);
	if (!p) {
		strans_answer(t, 500);
		return;
	}
	p->invite = t;
	t->fn = party_on_invite_event;
	t->arg = p;
	p->caller = false;
	strans_answer(t, 100);
	if (early) {
		call_answered(c, p);
	} else if (q == c->a) {
		c->a = p;
	} else {
		c->b = p;
	}
	if (!early) {
		party_end(q, 200);
		party_leg_close(q, "replaced");
	}
	party_answer(p);
}

void calls_invite(struct stack *s, const struct sip_msg *m)
{
	struct auth_who who;
	struct strans *t;
	unsigned status;

	if (strans_new(s, m, &t) < 0)
		return;
	if (calls_identify(s, t, m, &who) != AUTH_OK)
		return;
	if (m->body_kind != BODY_SDP && m->body_kind != BODY_NONE) {
		strans_reply(t, &(struct strans_reply){
					.status = 415,
					.headers = SL_STR("Accept: application/sdp\r\n")});
		return;
	}
	if (message_contact(m).len == 0) {
		strans_answer(t, 400);
		return;
	}
	if (session_refuses(t, m))
		return;
	if (transfer_replaces(s, m, t, &who))
		return;
	status = calls_admit(s, &who);
	if (status)
		refuse(t, status);
	else
		begin(s, t, m, &who);
}
