/*
 * sip-gateway/party_renew.c: our re-INVITE or UPDATE in a dialog that is up: a refresh (RFC 4028),
 * or a new offer.
 */
#include "party_impl.h"
#include "siprec.h"

static void on_reaccepted(struct party *p, int rc, struct sl_str text)
{
	(void)text;
	if (rc == 0) {
		rescue_told(p);
		call_join(p->call);
	} else if (rescue_refused(p, 488)) {
		return;
	}
	video_reoffered(p);
}

static void on_reinvite_answer(void *arg, struct ctrans *t, const struct sip_msg *resp,
			       unsigned status)
{
	struct party *p = arg;

	if (resp && status < 200)
		return;
	if (resp && status < 300) {
		party_send_ack(p, resp->peek.cseq);
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
	if (rescue_refused(p, resp ? status : 0))
		return;
	if (status == 408 || status == 481) { /* it is not there any more (section 12.2.1.2) */
		p->status = status;
		call_left(p->call, p, status);
	} else if (alarm_set(&p->call->stack->alarms, &p->refresh, 3000) < 0) {
		session_stop(p);
	}
}

static void on_late_accepted(struct party *p, int rc, struct sl_str text)
{
	(void)text;
	if (rc < 0) {
		if (p->moving) /* it was of another offer; the same answer may also come twice */
			video_changed(p);
		return;
	}
	rescue_told(p);
	call_join(p->call);
}

void calls_late_answer(struct stack *s, const struct sip_msg *m)
{
	struct party *p = message_is(m, "INVITE") ? party_by_tag(s, m->peek.from_tag) : NULL;
	uint32_t owner = sip_name_owner(sip_branch_name(m->peek.branch));

	if (!p || owner == s->owner || m->peek.status < 200 || m->peek.status > 299 ||
	    !p->remote_tag || !sl_str_eq(sl_str_c(p->remote_tag), m->peek.to_tag) ||
	    !sl_str_eq(sl_str_c(p->call_id), m->peek.call_id))
		return;
	party_send_ack(p, m->peek.cseq);
	if (p->state != PARTY_UP || !p->moving || p->answers || m->body_kind != BODY_SDP)
		return;
	alarm_cancel(&s->alarms, &p->reoffer);
	party_leg_ask(p, WIRE_LEG_ACCEPT, 0, m->body, on_late_accepted);
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
	party_put_recording_lines(p, &b);
	message_end(&b, party_body_type(p), body);
	rc = sl_buf_ok(&b);
	(void)party_send(p, &b, branch, on_reinvite_answer);
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
	if (p->moving) /* a process before us may have offered, too */
		party_leg_tell(p, WIRE_LEG_ROLLBACK, 0, SL_STR_NULL);
	party_leg_ask(p, WIRE_LEG_OFFER, p->moving, SL_STR_NULL, on_new_offer);
	return 0;
}

void party_reinvite(struct party *p)
{
	struct sl_buf b;

	if (p->state != PARTY_UP || p->asking || p->answers || p->updating)
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
	p->updating = party_request(p, "UPDATE", sl_buf_view(&b), NULL, SL_STR_NULL,
				    on_update_answer);
	sl_buf_free(&b);
}
