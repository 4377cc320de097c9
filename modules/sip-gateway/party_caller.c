/*
 * sip-gateway/party_caller.c: toward a caller: provisional answers, one reliable one at a time, and
 * a final one with what our media offers or answers.
 */
#include "party_impl.h"

void party_reply(struct party *p, unsigned status, struct sl_str sdp)
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
	party_reply(p, 180, p->answer ? sl_str_c(p->answer) : SL_STR_NULL);
}

static void send_ok(struct party *p)
{
	p->state = PARTY_UP;
	p->answered_ms = stack_now(p->call->stack);
	if (p->prack_is_open && p->invite && p->invite->unacked_provisional)
		return; /* goes when the PRACK comes */
	p->unacked = p->invite;
	party_reply(p, 200, sl_str_c(p->answer));
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
	party_reply(p, 183, text);
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
