/*
 * sip-gateway/party_callee.c: toward a callee: an INVITE with our offer, its answers, ACK and
 * PRACK.
 */
#include "account.h"
#include "party_impl.h"
#include "siprec.h"

#include <stdlib.h>

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
void party_put_recording_lines(const struct party *p, struct sl_buf *b)
{
	if (p->kind == PARTY_RECORDER)
		sl_buf_str(
			b,
			SL_STR("Require: siprec\r\nMIME-Version: 1.0\r\nAccept: application/sdp, "
			       "application/rs-metadata-request\r\n"));
}

const char *party_body_type(const struct party *p)
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
	party_put_recording_lines(p, &b);
	if (p->trunk)
		put_trunk_lines(p, &b);
	if (challenge && p->account)
		rc = account_put_credentials(p->account, &b, challenge, "INVITE",
					     sl_str_c(p->target));
	else if (challenge)
		rc = trunk_put_credentials(p->trunk, &b, challenge, "INVITE", sl_str_c(p->target));
	message_end(&b, party_body_type(p), sl_str_c(p->offer));
	if (rc == 0)
		rc = sl_buf_ok(&b);
	if (rc == 0)
		party_send(p, &b, branch, on_invite_answer);
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
	party_tell_listener(p);
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
	party_dialog_from_response(p, m);
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

void party_send_ack(struct party *p, uint32_t cseq)
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

void party_say_bye(struct party *p, unsigned status)
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
		party_send_ack(p, m->peek.cseq);
		party_say_bye(p, 200);
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
		party_dialog_from_response(p, m);
	party_send_ack(p, m->peek.cseq);
	if (again)
		return;
	if (p->state == PARTY_ENDED) { /* it picked up while our CANCEL was under way */
		party_say_bye(p, 200);
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
	party_reach(p, &trunk->flow);
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
		redirect_take(p, resp);
	keep_reason(p->call, resp);
	call_failed(p->call, p, status < 400 ? 480 : status);
}
