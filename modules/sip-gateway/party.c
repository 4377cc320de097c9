/*
 * sip-gateway/party.c: a party that speaks SIP: its dialog, the INVITE that makes it, and its end.
 *
 * Toward a caller: provisional answers, one reliable one at a time, and a final one with what our
 * media offers or answers. Toward a callee: an INVITE with our offer, its answers, ACK and PRACK.
 */
#include "account.h"
#include "call.h"
#include "siprec.h"

#include <stdio.h>
#include <stdlib.h>

#define ALLOWED                                                                                    \
	"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY, "           \
	"MESSAGE\r\n"

bool keep_text(char **field, struct sl_str s)
{
	char *copy = sl_str_dup(s);

	if (!copy)
		return false;
	free(*field);
	*field = copy;
	return true;
}

/* ---- the dialog */

static bool has_tag(const struct sl_hnode *n, const void *key)
{
	return sl_str_eq(sl_str_c(SL_CONTAINER(n, struct party, by_tag)->tag),
			 *(const struct sl_str *)key);
}

struct party *party_by_tag(const struct stack *s, struct sl_str tag)
{
	struct sl_hnode *n = sl_htab_find(&s->dialogs, sl_hash(tag.p, tag.len), has_tag, &tag);

	return n ? SL_CONTAINER(n, struct party, by_tag) : NULL;
}

int party_enter_table(struct party *p)
{
	int rc = sl_htab_insert(&p->call->stack->dialogs, &p->by_tag,
				sl_hash(p->tag, strlen(p->tag)));

	p->in_table = rc == 0;
	return rc;
}

/* The value of From or To without its tag, which we write ourselves */
static struct sl_str without_tag(struct sl_str value)
{
	struct sl_str tag;

	if (!sip_param(value, "tag", &tag) || tag.len == 0)
		return value;
	return sl_str_trim((struct sl_str){value.p, (size_t)(tag.p - value.p) - strlen(";tag=")});
}

int party_dialog_from_request(struct party *p, const struct sip_msg *m)
{
	struct sl_buf routes;
	bool ok;

	sl_buf_init(&routes, 16 * 1024);
	message_route_set(&routes, m);
	ok = keep_text(&p->call_id, m->peek.call_id) &&
	     keep_text(&p->remote_tag, m->peek.from_tag) &&
	     keep_text(&p->remote, without_tag(m->peek.from)) && keep_text(&p->local, m->peek.to) &&
	     keep_text(&p->target, message_contact(m)) &&
	     keep_text(&p->routes, sl_buf_view(&routes));
	sl_buf_free(&routes);
	p->flow = m->flow;
	p->remote_cseq = m->peek.cseq;
	p->cseq = 1;
	p->allows_update = message_allows(m, "UPDATE");
	p->allows_message = message_allows(m, "MESSAGE");
	return ok ? party_enter_table(p) : -SL_ENOMEM;
}

void party_refresh_target(struct party *p, const struct sip_msg *m)
{
	struct sl_str contact = message_contact(m);

	if (contact.len > 0)
		(void)keep_text(&p->target, contact);
	if (message_header(m, "Allow").len == 0)
		return;
	p->allows_update = message_allows(m, "UPDATE");
	p->allows_message = message_allows(m, "MESSAGE");
}

/* From a response: the peer's tag, where it is, and the way there */
static void dialog_from_response(struct party *p, const struct sip_msg *m)
{
	struct sl_buf routes;

	if (m->peek.to_tag.len > 0)
		(void)keep_text(&p->remote_tag, m->peek.to_tag);
	party_refresh_target(p, m);
	sl_buf_init(&routes, 16 * 1024);
	message_route_set(&routes, m);
	if (m->peek.status >= 200)
		(void)keep_text(&p->routes, sl_buf_view(&routes));
	sl_buf_free(&routes);
	p->flow = m->flow;
}

void party_put_contact(struct party *p, struct sl_buf *b)
{
	struct sl_str user = p->trunk ? p->trunk->conf->user : SL_STR_NULL;

	if (p->account)
		user = sl_str_c(p->account->contact);
	sl_buf_str(b, SL_STR("Contact: <sip:"));
	if (user.len > 0)
		sl_buf_printf(b, "%.*s@", SL_FMT(user));
	stack_put_here(p->call->stack, b, &p->flow);
	sl_buf_str(b, sl_str_c(sip_transport_param(p->flow.transport)));
	sl_buf_u8(b, '>');
	if (p->kind == PARTY_RECORDER)
		sl_buf_str(b, SL_STR(";+sip.src"));
	sl_buf_str(b, SL_STR("\r\n" ALLOWED "Supported: timer, replaces, 100rel\r\n"));
}

/* A client that has lost its connection and registered anew is reached by the new one. */
static void find_flow(struct party *p)
{
	if (!p->user || !p->flow.conn)
		return;
	for (const struct binding *b = p->user->bindings; b; b = b->next)
		if (sip_flow_same(&b->flow, &p->flow))
			return;
	for (const struct binding *b = p->user->bindings; b; b = b->next)
		if (p->target && sl_str_eq(b->contact, sl_str_c(p->target)))
			p->flow = b->flow;
}

void party_begin(struct party *p, struct sl_buf *b, const char *method, uint32_t cseq,
		 char branch[SIP_NAME_LEN + 1])
{
	struct stack *s = p->call->stack;

	if (sip_name_new(branch, s->owner) < 0)
		b->failed = true;
	if (p->state == PARTY_UP)
		call_keep(p->call);
	find_flow(p);
	request_begin(s, b, method, sl_str_c(p->target), &p->flow, branch);
	sl_buf_printf(b, "%sFrom: %s;tag=%s\r\nTo: %s", p->routes ? p->routes : "", p->local,
		      p->tag, p->remote);
	if (p->remote_tag && p->remote_tag[0])
		sl_buf_printf(b, ";tag=%s", p->remote_tag);
	sl_buf_printf(b, "\r\nCall-ID: %s\r\nCSeq: %u %s\r\n", p->call_id, cseq, method);
}

static void on_update_answer(void *arg, struct ctrans *t, const struct sip_msg *resp,
			     unsigned status);

static void send_request(struct party *p, struct sl_buf *b, const char *branch, ctrans_fn *fn)
{
	struct ctrans *t;

	if (ctrans_new(p->call->stack, &p->flow, branch, b, &t) < 0)
		return; /* out of memory: as if it had been lost for good */
	if (t->invite)
		p->inviting = t;
	if (fn == on_update_answer)
		p->updating = t;
	if (t->invite && p->state == PARTY_CALLING && p->trunk &&
	    (p->trunk->hops.n > 1 || p->kind == PARTY_RECORDER))
		ctrans_hurry(t, p->trunk->conf->failover);
	ctrans_on(t, fn, p);
}

void party_request(struct party *p, const char *method, struct sl_str lines, const char *body_type,
		   struct sl_str body, ctrans_fn *fn)
{
	char branch[SIP_NAME_LEN + 1];
	struct sl_buf b;

	sl_buf_init(&b, SIP_MAX_MESSAGE);
	party_begin(p, &b, method, ++p->cseq, branch);
	sl_buf_str(&b, lines);
	message_end(&b, body_type, body);
	send_request(p, &b, branch, fn);
}

/* ---- toward a caller */

static void reply(struct party *p, unsigned status, struct sl_str sdp)
{
	struct strans *t = p->invite;
	struct sl_buf headers;
	bool reliable;

	if (!t || t->status >= 200 || (status < 200 && t->unacked_provisional))
		return; /* one reliable answer at a time; the next says more */
	reliable = status > 100 && status < 200 && p->reliable;
	sl_buf_init(&headers, 8192);
	if (status < 300)
		party_put_contact(p, &headers);
	if (status == 200 && p->session)
		sl_buf_str(&headers, sl_str_c(p->session));
	if (status >= 300 && p->call->reason[0])
		sl_buf_printf(&headers, "Reason: %s\r\n", p->call->reason);
	if (status == 503)
		sl_buf_str(&headers, SL_STR("Retry-After: 5\r\n"));
	p->prack_is_open = reliable;
	strans_reply(t, &(struct strans_reply){.status = status,
					       .headers = sl_buf_view(&headers),
					       .body_type = "application/sdp",
					       .body = sdp,
					       .reliable = reliable});
	sl_buf_free(&headers);
}

void party_ring(struct party *p)
{
	if (p->kind == PARTY_BROWSER) {
		browser_ring(p);
		return;
	}
	p->state = PARTY_RINGING;
	reply(p, 180, p->answer ? sl_str_c(p->answer) : SL_STR_NULL);
}

static void send_ok(struct party *p)
{
	p->state = PARTY_UP;
	p->answered_ms = stack_now(p->call->stack);
	if (p->prack_is_open && p->invite && p->invite->unacked_provisional)
		return; /* goes when the PRACK comes */
	p->unacked = p->invite;
	reply(p, 200, sl_str_c(p->answer));
	call_join(p->call);
}

static void refuse_media(struct party *p, int rc, struct sl_str sentence)
{
	unsigned status = rc == -SL_EUNSUPP ? 488 : rc == -SL_EPARSE ? 400 : 503;

	sl_log(SL_LOG_INFO, "sip-gateway", "media of %s: %.*s", p->name, SL_FMT(sentence));
	p->status = status;
	call_end(p->call, "node", status);
}

static void on_answer(struct party *p, int rc, struct sl_str text)
{
	p->answers = false;
	if (p->state == PARTY_ENDED)
		return;
	if (rc < 0 || !keep_text(&p->answer, text)) {
		refuse_media(p, rc, text);
		return;
	}
	p->has_media = !p->offer_in_ok;
	if (p->answer_is_final) {
		send_ok(p);
		return;
	}
	reply(p, 183, text);
	call_join(p->call);
}

static void ask_media(struct party *p)
{
	if (p->answers)
		return;
	p->answers = true;
	video_before_answer(p);
	if (p->offer) {
		party_leg_ask(p, WIRE_LEG_ANSWER, 0, sl_str_c(p->offer), on_answer);
	} else {
		p->offer_in_ok = true;
		party_leg_ask(p, WIRE_LEG_OFFER, 0, SL_STR_NULL, on_answer);
	}
}

void party_early(struct party *p)
{
	if (p->kind == PARTY_BROWSER)
		browser_early(p);
	else if (p->offer && !p->answer)
		ask_media(p);
	else /* our offer would have to go reliably; its caller hears its own ringing */
		party_ring(p);
}

void party_answer(struct party *p)
{
	if (p->kind == PARTY_BROWSER) {
		browser_answer(p);
		return;
	}
	p->answer_is_final = true;
	if (p->answer)
		send_ok(p);
	else
		ask_media(p);
}

void party_on_invite_event(void *arg, struct strans *t, enum strans_event event)
{
	struct party *p = arg;

	switch (event) {
	case STRANS_GONE:
		if (p->unacked == t)
			p->unacked = NULL;
		p->invite = NULL;
		break;
	case STRANS_CANCELLED:
		p->status = 487;
		strans_answer(t, 487);
		call_left(p->call, p, 487);
		break;
	case STRANS_UNACKED: /* RFC 3261 section 13.3.1.4 */
		p->status = 408;
		call_end(p->call, "node", 408);
		break;
	}
}

/* ---- toward a callee */

static void on_invite_answer(void *arg, struct ctrans *t, const struct sip_msg *resp,
			     unsigned status);

/* Whose call it is, as the callee shall see it */
static void put_from(struct party *p, struct sl_buf *b)
{
	const struct party *from = p->call->transfer.by ? p->call->transfer.other : p->call->a;
	const char *number = from ? from->name : "anonymous";
	struct sl_str host = p->call->stack->conf->realm;

	if (p->trunk)
		host = p->trunk->conf->domain.len ? p->trunk->conf->domain : p->trunk->conf->server;
	if (p->kind == PARTY_RECORDER) { /* the call is told of in the metadata */
		struct sl_str user = p->trunk->conf->user;

		sl_buf_printf(b, "<sip:%.*s@%.*s>", SL_FMT(user.len ? user : SL_STR("sluice")),
			      SL_FMT(host));
		return;
	}
	if (from && from->display[0]) {
		sl_buf_u8(b, '"');
		message_quote(b, sl_str_c(from->display));
		sl_buf_str(b, SL_STR("\" "));
	}
	if (p->account) /* a PBX knows its subscriber only */
		sl_buf_printf(b, "<sip:%s@%.*s>", p->account->user, SL_FMT(host));
	else if (p->trunk && p->trunk->conf->registers) /* a carrier knows its customer only */
		sl_buf_printf(b, "<sip:%.*s@%.*s>", SL_FMT(p->trunk->conf->user), SL_FMT(host));
	else
		sl_buf_printf(b, "<sip:%s@%.*s>", number, SL_FMT(host));
}

static void put_trunk_lines(const struct party *p, struct sl_buf *b)
{
	const struct sl_list *list = &p->trunk->conf->headers;
	const struct party *a = p->call->a;

	for (size_t i = 0; i < list->n; i++)
		sl_buf_printf(b, "%.*s\r\n", SL_FMT(*SL_LIST_AT(*list, struct sl_str, i)));
	if (a && !p->account && p->kind != PARTY_RECORDER)
		sl_buf_printf(b, "P-Asserted-Identity: <sip:%s@%.*s>\r\n", a->name,
			      SL_FMT(p->call->stack->conf->realm));
}

/* RFC 7866 section 6.1 */
static void put_recording_lines(const struct party *p, struct sl_buf *b)
{
	if (p->kind == PARTY_RECORDER)
		sl_buf_str(
			b,
			SL_STR("Require: siprec\r\nMIME-Version: 1.0\r\nAccept: application/sdp, "
			       "application/rs-metadata-request\r\n"));
}

static const char *body_type(const struct party *p)
{
	return p->body_type ? p->body_type : "application/sdp";
}

/* challenge: the response whose challenge is answered, or NULL */
static int send_invite(struct party *p, const struct sip_msg *challenge)
{
	char branch[SIP_NAME_LEN + 1];
	struct sl_buf b;
	int rc = 0;

	sl_buf_init(&b, SIP_MAX_MESSAGE);
	party_begin(p, &b, "INVITE", ++p->cseq, branch);
	party_put_contact(p, &b);
	session_put(p, &b);
	if (p->headers)
		sl_buf_str(&b, sl_str_c(p->headers));
	put_recording_lines(p, &b);
	if (p->trunk)
		put_trunk_lines(p, &b);
	if (challenge && p->account)
		rc = account_put_credentials(p->account, &b, challenge, "INVITE",
					     sl_str_c(p->target));
	else if (challenge)
		rc = trunk_put_credentials(p->trunk, &b, challenge, "INVITE", sl_str_c(p->target));
	message_end(&b, body_type(p), sl_str_c(p->offer));
	if (rc == 0)
		rc = sl_buf_ok(&b);
	if (rc == 0)
		send_request(p, &b, branch, on_invite_answer);
	if (rc == 0 && p->inviting)
		ring_keep(p->inviting, p->call->worker);
	sl_buf_free(&b);
	return rc;
}

static void on_own_offer(struct party *p, int rc, struct sl_str text)
{
	if (p->state == PARTY_ENDED)
		return;
	if (rc == 0 && keep_text(&p->offer, text))
		rc = send_invite(p, NULL);
	if (rc == 0)
		return;
	sl_log(SL_LOG_WARN, "sip-gateway", "no media for a call to %s: %.*s", p->name,
	       SL_FMT(text));
	call_failed(p->call, p, 503);
}

int party_send_invite(struct party *p, struct sl_str body)
{
	return keep_text(&p->offer, body) ? send_invite(p, NULL) : -SL_ENOMEM;
}

int party_sip_begin(struct party *p, struct sl_str uri, struct sl_str to)
{
	struct stack *s = p->call->stack;
	char id[SIP_NAME_LEN + 1] = "";
	struct sl_buf from;
	int rc;

	p->state = PARTY_CALLING;
	sl_buf_init(&from, 4096);
	put_from(p, &from);
	rc = sip_name_new(p->tag, s->owner);
	if (rc == 0)
		rc = sip_name_new(id, s->owner);
	if (rc == 0 && !(keep_text(&p->call_id, sl_str_c(id)) && keep_text(&p->target, uri) &&
			 keep_text(&p->remote, to) && keep_text(&p->local, sl_buf_view(&from))))
		rc = -SL_ENOMEM;
	sl_buf_free(&from);
	if (rc == 0)
		rc = party_enter_table(p);
	return rc == 0 ? party_leg_open(p) : rc;
}

void party_sip_call(struct party *p, struct sl_str uri, struct sl_str to)
{
	if (party_sip_begin(p, uri, to) < 0) {
		call_failed(p->call, p, 500);
		return;
	}
	video_before_offer(p);
	party_leg_ask(p, WIRE_LEG_OFFER, 0, SL_STR_NULL, on_own_offer);
}

void party_invite_anew(struct party *p)
{
	p->inviting = NULL;
	p->has_answered_challenge = false;
	party_leg_tell(p, WIRE_LEG_ROLLBACK, 0, SL_STR_NULL);
	party_leg_ask(p, WIRE_LEG_OFFER, 0, SL_STR_NULL, on_own_offer);
}

/* RFC 3262 */
static void acknowledge_provisional(struct party *p, const struct sip_msg *m)
{
	const sip_rseq_t *rseq = m->sip->sip_rseq;
	struct sl_buf line;

	if (!message_requires(m, "100rel") || !rseq || rseq->rs_response <= p->rseq)
		return;
	p->rseq = (uint32_t)rseq->rs_response;
	sl_buf_init(&line, 128);
	sl_buf_printf(&line, "RAck: %u %u INVITE\r\n", p->rseq, m->peek.cseq);
	party_request(p, "PRACK", sl_buf_view(&line), NULL, SL_STR_NULL, NULL);
	sl_buf_free(&line);
}

static void on_early_accepted(struct party *p, int rc, struct sl_str text)
{
	(void)text;
	if (rc < 0 || p->state == PARTY_ENDED)
		return; /* the final answer will tell */
	p->has_media = true;
	call_early_media(p->call, p);
}

static void on_provisional(struct party *p, const struct sip_msg *m)
{
	if (m->peek.status == 100 || p->state == PARTY_ENDED || p->state == PARTY_UP)
		return;
	dialog_from_response(p, m);
	acknowledge_provisional(p, m);
	if (p->kind == PARTY_RECORDER)
		return;
	if (m->body_kind == BODY_SDP && !p->has_media)
		party_leg_ask(p, WIRE_LEG_ACCEPT, 0, m->body, on_early_accepted);
	if (m->peek.status == 180 || m->peek.status == 182) {
		p->state = PARTY_RINGING;
		call_ringing(p->call, p);
	}
}

static void send_ack(struct party *p, uint32_t cseq)
{
	char branch[SIP_NAME_LEN + 1];
	struct sl_buf b;

	sl_buf_init(&b, SIP_MAX_MESSAGE);
	party_begin(p, &b, "ACK", cseq, branch);
	message_end(&b, NULL, SL_STR_NULL);
	if (sl_buf_ok(&b) == 0)
		(void)stack_send(p->call->stack, &p->flow,
				 sl_buf_view(&b)); /* the 200 comes again */
	sl_buf_free(&b);
}

static void on_accepted(struct party *p, int rc, struct sl_str text)
{
	if (p->state == PARTY_ENDED)
		return;
	if (rc < 0) {
		sl_log(SL_LOG_INFO, "sip-gateway", "media of %s: %.*s", p->name, SL_FMT(text));
		party_end(p, 488);
		call_failed(p->call, p, 488);
		return;
	}
	p->has_media = true;
	call_answered(p->call, p);
	call_join(p->call);
}

static void say_bye(struct party *p, unsigned status)
{
	struct sl_buf b;
	unsigned cause = cause_of(status);

	sl_buf_init(&b, 512);
	if (p->call->reason[0])
		sl_buf_printf(&b, "Reason: %s\r\n", p->call->reason);
	else
		sl_buf_printf(&b, "Reason: Q.850;cause=%u;text=\"%s\"\r\n", cause,
			      cause_text(cause));
	party_request(p, "BYE", sl_buf_view(&b), NULL, SL_STR_NULL, NULL);
	sl_buf_free(&b);
}

/* Another phone behind the same address has answered, too. */
static void refuse_fork(struct party *p, const struct sip_msg *m)
{
	char *tag = p->remote_tag, *target = p->target;

	p->remote_tag = p->target = NULL;
	if (keep_text(&p->remote_tag, m->peek.to_tag) &&
	    keep_text(&p->target, message_contact(m))) {
		send_ack(p, m->peek.cseq);
		say_bye(p, 200);
	}
	free(p->remote_tag);
	free(p->target);
	p->remote_tag = tag;
	p->target = target;
}

static void on_ok(struct party *p, const struct sip_msg *m)
{
	bool again = p->state == PARTY_UP;

	if (again && p->remote_tag && !sl_str_eq(m->peek.to_tag, sl_str_c(p->remote_tag))) {
		refuse_fork(p, m);
		return;
	}
	if (!again)
		dialog_from_response(p, m);
	send_ack(p, m->peek.cseq);
	if (again)
		return;
	if (p->state == PARTY_ENDED) { /* it picked up while our CANCEL was under way */
		say_bye(p, 200);
		return;
	}
	p->state = PARTY_UP;
	session_from_response(p, m);
	if (p->kind == PARTY_RECORDER) {
		p->answered_ms = stack_now(p->call->stack);
		siprec_answered(p, m);
		return;
	}
	if (m->body_kind == BODY_SDP)
		party_leg_ask(p, WIRE_LEG_ACCEPT, 0, m->body, on_accepted);
	else
		on_accepted(p, p->has_media ? 0 : -SL_EPARSE, SL_STR("an answer without media"));
}

/* A trunk's next server, when one says nothing or wants no calls (RFC 3263 section 4.3) */
static bool try_next_hop(struct party *p, const struct ctrans *t)
{
	struct trunk *trunk = p->trunk;

	if (!trunk || p->state != PARTY_CALLING)
		return false;
	hops_shun(trunk, &t->flow.remote);
	if (++p->n_hops >= trunk->hops.n || sl_addr_eq(&trunk->flow.remote, &t->flow.remote))
		return false;
	p->flow = trunk->flow;
	p->has_answered_challenge = false;
	p->inviting = NULL;
	return send_invite(p, NULL) == 0;
}

static bool answer_challenge(struct party *p, const struct sip_msg *m)
{
	if (!p->trunk || p->has_answered_challenge || p->state == PARTY_ENDED)
		return false;
	p->has_answered_challenge = true;
	p->inviting = NULL;
	return send_invite(p, m) == 0;
}

static void keep_reason(struct call *c, const struct sip_msg *m)
{
	struct sl_str reason = m ? message_header(m, "Reason") : SL_STR_NULL;

	if (reason.len > 0)
		(void)sl_str_copy(c->reason, sizeof c->reason, reason);
}

static void on_invite_answer(void *arg, struct ctrans *t, const struct sip_msg *resp,
			     unsigned status)
{
	struct party *p = arg;

	if (resp && status < 200) {
		on_provisional(p, resp);
		return;
	}
	if (resp && status < 300) {
		on_ok(p, resp);
		return;
	}
	if (p->inviting == t)
		p->inviting = NULL;
	if (resp && (status == 401 || status == 407) && answer_challenge(p, resp))
		return;
	if ((!resp || status == 503) && try_next_hop(p, t))
		return;
	if (p->state == PARTY_ENDED) {
		call_settle(p->call);
		return;
	}
	if (resp && status == 422 && session_accepts_longer(p, resp)) {
		p->inviting = NULL;
		if (send_invite(p, NULL) == 0)
			return;
	}
	if (p->kind == PARTY_RECORDER) {
		siprec_failed(p, status);
		return;
	}
	if (resp && video_retries_without(p, status))
		return;
	if (resp && status < 400)
		(void)redirect_follow(p, resp); /* who is called then counts as tried */
	keep_reason(p->call, resp);
	call_failed(p->call, p, status < 400 ? 480 : status);
}

/* ---- our re-INVITE: a refresh, or a new offer */

static void on_reaccepted(struct party *p, int rc, struct sl_str text)
{
	(void)text;
	if (rc == 0)
		call_join(p->call);
	video_reoffered(p);
}

static void on_reinvite_answer(void *arg, struct ctrans *t, const struct sip_msg *resp,
			       unsigned status)
{
	struct party *p = arg;

	if (resp && status < 200)
		return;
	if (resp && status < 300) {
		send_ack(p, resp->peek.cseq);
		if (t->state == CTRANS_ACCEPTED && p->answers) {
			session_from_response(p, resp);
			if (p->kind == PARTY_RECORDER) {
				siprec_answered(p, resp);
				return;
			}
			p->answers = false;
			party_leg_ask(p, WIRE_LEG_ACCEPT, 0, resp->body, on_reaccepted);
		}
		return;
	}
	p->inviting = NULL;
	p->answers = false;
	if (p->state == PARTY_ENDED) {
		call_settle(p->call);
		return;
	}
	if (p->kind == PARTY_RECORDER)
		siprec_refused(p);
	else
		party_leg_tell(p, WIRE_LEG_ROLLBACK, 0, SL_STR_NULL);
	video_reoffered(p);
	if (status == 408 || status == 481) { /* it is not there any more (section 12.2.1.2) */
		p->status = status;
		call_left(p->call, p, status);
	} else if (alarm_set(&p->call->stack->alarms, &p->refresh, 3000) < 0) {
		session_stop(p);
	}
}

int party_send_reinvite(struct party *p, struct sl_str body)
{
	char branch[SIP_NAME_LEN + 1];
	struct sl_buf b;
	int rc;

	sl_buf_init(&b, SIP_MAX_MESSAGE);
	party_begin(p, &b, "INVITE", ++p->cseq, branch);
	party_put_contact(p, &b);
	session_put(p, &b);
	put_recording_lines(p, &b);
	message_end(&b, body_type(p), body);
	rc = sl_buf_ok(&b);
	send_request(p, &b, branch, on_reinvite_answer);
	return rc;
}

static void on_new_offer(struct party *p, int rc, struct sl_str text)
{
	if (rc == 0 && p->state == PARTY_UP && party_send_reinvite(p, text) == 0)
		return;
	p->answers = false;
	video_reoffered(p);
}

static void on_update_answer(void *arg, struct ctrans *t, const struct sip_msg *resp,
			     unsigned status)
{
	struct party *p = arg;

	if (resp && status < 200)
		return;
	if (p->updating == t)
		p->updating = NULL;
	if (p->state == PARTY_ENDED)
		return;
	if (resp && status < 300) {
		session_from_response(p, resp);
	} else if (status == 408 || status == 481) {
		p->status = status;
		call_left(p->call, p, status);
	} else if (alarm_set(&p->call->stack->alarms, &p->refresh, 3000) < 0) {
		session_stop(p);
	}
}

static bool is_busy(const struct party *p)
{
	return p->asking || p->answers || p->unacked ||
	       (p->inviting && p->inviting->state <= CTRANS_PROCEEDING);
}

int party_reoffer(struct party *p)
{
	if (p->state != PARTY_UP || is_busy(p))
		return -SL_EAGAIN;
	p->answers = true;
	party_leg_ask(p, WIRE_LEG_OFFER, 0, SL_STR_NULL, on_new_offer);
	return 0;
}

void party_reinvite(struct party *p)
{
	struct sl_buf b;

	if (p->state != PARTY_UP || p->asking || p->answers)
		return;
	if (!p->allows_update && p->kind == PARTY_RECORDER) {
		siprec_say(p->call->siprec);
		return;
	}
	if (!p->allows_update) {
		(void)!party_reoffer(p); /* else something newer is under way */
		return;
	}
	sl_buf_init(&b, 4096);
	party_put_contact(p, &b);
	session_put(p, &b);
	party_request(p, "UPDATE", sl_buf_view(&b), NULL, SL_STR_NULL, on_update_answer);
	sl_buf_free(&b);
}

/* ---- the end */

static void end_sip(struct party *p, unsigned status)
{
	if (p->invite && p->invite->status < 200)
		reply(p, status < 300 ? 487 : status, SL_STR_NULL);
	else if (p->state == PARTY_UP)
		say_bye(p, status);
	else if (p->inviting)
		ctrans_cancel(p->inviting);
}

void party_end(struct party *p, unsigned status)
{
	if (p->state == PARTY_ENDED)
		return;
	session_stop(p);
	video_stop(p);
	if (p->kind == PARTY_BROWSER)
		browser_end(p, status);
	else
		end_sip(p, status);
	p->state = PARTY_ENDED;
	p->ended_ms = stack_now(p->call->stack);
	if (p->status == 0)
		p->status = status;
	party_discharge(p);
}

void party_free(struct party *p)
{
	char *const texts[] = {p->call_id, p->remote_tag, p->local, p->remote,
			       p->target,  p->routes,	  p->offer, p->answer,
			       p->headers, p->session,	  p->stats, p->body_type};
	struct stack *s = p->call->stack;

	session_stop(p);
	video_stop(p);
	if (p->in_table)
		sl_htab_remove(&s->dialogs, &p->by_tag);
	if (p->leg)
		sl_htab_remove(&s->legs, &p->by_leg);
	strans_release(p->invite);
	if (p->asking && p->asking != p->invite)
		strans_release(p->asking);
	if (p->unacked && p->unacked != p->invite)
		strans_release(p->unacked);
	ctrans_release(p->inviting);
	ctrans_release(p->updating);
	account_unref(p->account);
	for (size_t i = 0; i < SL_ARRAY_LEN(texts); i++)
		free(texts[i]);
	free(p);
}
