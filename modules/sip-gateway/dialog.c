/*
 * sip-gateway/dialog.c: what comes within a dialog: new descriptions, digits, transfers, the end.
 *
 * An offer is answered by the party's own media leg; the other side hears music or is joined again,
 * and is not asked. Two offers at once, one of each side, are glare: 491 (RFC 3261 section 14.2).
 */
#include "siprec.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEPT_MS = 1500 };

/* ---- offers */

void party_answer_asking(struct party *p, unsigned status, struct sl_str sdp)
{
	struct strans *t = p->asking;
	struct sl_buf headers;

	if (!t)
		return;
	p->asking = NULL;
	sl_buf_init(&headers, 4096);
	party_put_contact(p, &headers);
	if (p->session && status == 200)
		sl_buf_str(&headers, sl_str_c(p->session));
	if (t->invite && status == 200)
		p->unacked = t;
	else
		t->fn = NULL;
	strans_reply(t, &(struct strans_reply){.status = status,
					       .headers = sl_buf_view(&headers),
					       .body_type = "application/sdp",
					       .body = sdp});
	sl_buf_free(&headers);
}

static unsigned status_of(int rc)
{
	return rc == 0		   ? 200
	       : rc == -SL_EAGAIN  ? 491
	       : rc == -SL_EUNSUPP ? 488
	       : rc == -SL_EPARSE  ? 400
				   : 500;
}

static void on_answered(struct party *p, int rc, struct sl_str text)
{
	party_answer_asking(p, status_of(rc), rc == 0 ? text : SL_STR_NULL);
	if (rc < 0)
		return;
	p->has_media = true;
	rescue_told(p);
	call_held(p->call, p, p->offer && sdp_is_hold(sl_str_c(p->offer)));
	call_join(p->call);
}

static void on_offered(struct party *p, int rc, struct sl_str text)
{
	p->offer_in_ok = rc == 0;
	party_answer_asking(p, status_of(rc), rc == 0 ? text : SL_STR_NULL);
}

static void on_asking_event(void *arg, struct strans *t, enum strans_event event)
{
	struct party *p = arg;

	if (event == STRANS_GONE) {
		if (p->asking == t)
			p->asking = NULL;
		if (p->unacked == t)
			p->unacked = NULL;
	} else if (event == STRANS_CANCELLED) {
		if (p->asking == t)
			party_answer_asking(p, 487, SL_STR_NULL);
	} else if (event == STRANS_UNACKED) {
		p->status = 408;
		if (p->state == PARTY_UP)
			call_end(p->call, "node", 408);
	}
}

/* Its offer is not answered yet, by a response that it has acknowledged. */
static bool has_offer_open(const struct party *p)
{
	const struct strans *t = p->invite;

	if (p->asking)
		return true;
	return t && t->status < 200 && (!p->answer || !p->reliable || t->unacked_provisional);
}

/* Two of its offers at once are its mistake (RFC 3261 section 14.2, RFC 3311 section 5.2), one of
 * each side nobody's. */
static bool refuse_clash(const struct party *p, struct strans *t)
{
	if (has_offer_open(p)) {
		strans_reply(t, &(struct strans_reply){.status = 500,
						       .headers = SL_STR("Retry-After: 1\r\n")});
		return true;
	}
	if (!p->unacked && !(p->inviting && p->inviting->state <= CTRANS_PROCEEDING))
		return false;
	strans_answer(t, 491);
	return true;
}

static void keep_session(struct party *p, const struct sip_msg *m)
{
	struct sl_buf headers;

	sl_buf_init(&headers, 1024);
	session_from_request(p, m, &headers);
	(void)keep_text(&p->session, sl_buf_view(&headers));
	sl_buf_free(&headers);
}

static void on_offer(struct party *p, struct strans *t, const struct sip_msg *m)
{
	bool invite = t->invite;

	if ((invite || m->body_kind == BODY_SDP) && refuse_clash(p, t))
		return;
	if (m->body_kind != BODY_SDP && m->body_kind != BODY_NONE &&
	    !(m->body_kind == BODY_OTHER && p->kind == PARTY_RECORDER)) {
		strans_answer(t, 415);
		return;
	}
	if (session_refuses(t, m))
		return;
	party_refresh_target(p, m);
	keep_session(p, m);
	t->fn = on_asking_event;
	t->arg = p;
	p->asking = t;
	if (p->kind == PARTY_RECORDER) {
		siprec_asked(p, t, m);
	} else if (m->body_kind == BODY_SDP) {
		(void)keep_text(&p->offer, m->body);
		video_take_offer(p, m->body, on_answered);
	} else if (invite) {
		party_leg_ask(p, WIRE_LEG_OFFER, 0, SL_STR_NULL, on_offered);
	} else {
		party_answer_asking(p, 200, SL_STR_NULL);
	}
}

/* ---- ACK */

static void on_late_answer(struct party *p, int rc, struct sl_str text)
{
	(void)text;
	if (rc < 0) { /* nothing in common, and it is too late to say so */
		p->status = 488;
		call_end(p->call, "node", 488);
		return;
	}
	p->has_media = true;
	rescue_told(p);
	call_join(p->call);
}

static void on_ack(struct party *p, const struct sip_msg *m)
{
	struct strans *t = p->unacked;

	if (!t || t->cseq != m->peek.cseq)
		return;
	p->unacked = NULL;
	strans_acked(t);
	if (t != p->invite)
		t->fn = NULL; /* it outlives the party */
	session_start(p);
	if (p->kind == PARTY_RECORDER && !p->offer_in_ok)
		siprec_follow(p->call); /* what has waited for its offer to be over */
	if (!p->offer_in_ok)
		return;
	p->offer_in_ok = false;
	if (p->kind == PARTY_RECORDER)
		siprec_answered(p, m);
	else if (m->body_kind == BODY_SDP)
		party_leg_ask(p, WIRE_LEG_ACCEPT, 0, m->body, on_late_answer);
	else
		on_late_answer(p, -SL_EPARSE, SL_STR_NULL);
}

/* ---- digits (application/dtmf-relay: "Signal=5\r\nDuration=160") */

static void on_info(struct party *p, struct strans *t, const struct sip_msg *m)
{
	struct party *other = call_other(p->call, p);
	struct sl_str rest = m->body, signal = SL_STR_NULL;
	uint64_t ms = 160;

	if (m->body_kind == BODY_CONTROL) {
		video_control(p, t, m->body);
		return;
	}
	if (m->body_kind != BODY_DTMF) {
		strans_answer(t, m->body_kind == BODY_NONE ? 200 : 415);
		return;
	}
	while (rest.len > 0) {
		struct sl_str line = sl_str_split(&rest, '\n'), name = sl_str_split(&line, '=');

		if (line.p == NULL && signal.p == NULL)
			signal = sl_str_trim(name); /* application/dtmf: the digit alone */
		else if (sl_str_eq_nocase(sl_str_trim(name), SL_STR("Signal")))
			signal = sl_str_trim(line);
		else if (sl_str_eq_nocase(sl_str_trim(name), SL_STR("Duration")))
			(void)!sl_str_u64(sl_str_trim(line), &ms); /* 160 then */
	}
	if (signal.len != 1 || !strchr("0123456789*#ABCDabcd", signal.p[0])) {
		strans_answer(t, 400);
		return;
	}
	ms = ms > 40 && ms < 5000 ? ms : 160;
	if (other)
		party_leg_tell(other, WIRE_LEG_DTMF, (uint32_t)ms, signal);
	else if (p->call->builtin)
		party_leg_tell(p, WIRE_LEG_HEARD, (uint32_t)ms, signal);
	strans_answer(t, 200);
}

/* ---- the end */

static void on_bye(struct party *p, struct strans *t, const struct sip_msg *m)
{
	struct sl_str reason = message_header(m, "Reason");

	strans_answer(t, 200);
	if (p->state == PARTY_ENDED)
		return;
	if (p->invite && p->invite->status < 200) /* a caller may end an early dialog so */
		strans_answer(p->invite, 487);
	if (reason.len > 0 && p->kind != PARTY_RECORDER)
		(void)sl_str_copy(p->call->reason, sizeof p->call->reason, reason);
	p->status = 200;
	call_left(p->call, p, 200);
}

static void on_prack(struct party *p, struct strans *t, const struct sip_msg *m)
{
	const sip_rack_t *rack = m->sip->sip_rack;
	bool known = rack && p->invite && strans_pracked(p->invite, rack->ra_response);

	strans_answer(t, known ? 200 : 481);
	if (!known)
		return;
	p->prack_is_open = false;
	if (p->state == PARTY_UP && p->invite && p->invite->status < 200)
		party_answer(p); /* the final answer has waited for it (RFC 3262 section 3) */
}

/* ---- all of them */

static bool is_in_order(struct party *p, const struct sip_msg *m)
{
	if (message_is(m, "ACK"))
		return true;
	if (m->peek.cseq < p->remote_cseq)
		return false;
	p->remote_cseq = m->peek.cseq;
	return true;
}

static void dispatch(struct party *p, struct strans *t, const struct sip_msg *m)
{
	if (message_is(m, "BYE"))
		on_bye(p, t, m);
	else if (p->state == PARTY_ENDED)
		strans_answer(t, 481);
	else if (message_is(m, "PRACK"))
		on_prack(p, t, m);
	else if (message_is(m, "INVITE") || message_is(m, "UPDATE"))
		on_offer(p, t, m);
	else if (message_is(m, "INFO"))
		on_info(p, t, m);
	else if (message_is(m, "MESSAGE"))
		texts_in_call(p, t, m);
	else if (message_is(m, "REFER"))
		transfer_refer(p, t, m);
	else if (message_is(m, "OPTIONS") || message_is(m, "NOTIFY"))
		strans_answer(t, 200);
	else if (message_is(m, "SUBSCRIBE"))
		strans_answer(t, 489);
	else
		strans_answer(t, 405);
}

void party_on_request(struct party *p, const struct sip_msg *m)
{
	struct strans *t;

	if (message_is(m, "ACK")) {
		on_ack(p, m);
		return;
	}
	if (strans_new(p->call->stack, m, &t) < 0)
		return;
	if (!is_in_order(p, m)) {
		strans_answer(t, 500);
		return;
	}
	party_reach(p, &m->flow); /* the newest way to it: its address may have changed */
	call_keep(p->call);
	dispatch(p, t, m);
}

static bool is_its_dialog(const struct party *p, const struct sip_msg *m)
{
	if (!p->call_id || !sl_str_eq(sl_str_c(p->call_id), m->peek.call_id))
		return false;
	return !p->remote_tag || sl_str_eq(sl_str_c(p->remote_tag), m->peek.from_tag);
}

/* After another process has died, its dialogs are given to us one by one. A request over UDP comes
 * again. */
static bool waits_for_kept(const struct stack *s, const struct sip_msg *m)
{
	uint32_t owner = sip_name_owner(m->peek.to_tag);

	return owner && owner != s->owner && m->flow.transport == SIP_UDP &&
	       stack_now(s) - s->begun_ms < KEPT_MS;
}

void calls_request(struct stack *s, const struct sip_msg *m)
{
	struct party *p = party_by_tag(s, m->peek.to_tag);

	if (!p && waits_for_kept(s, m))
		return;
	if (!p || !is_its_dialog(p, m)) {
		strans_refuse(s, m, 481, SL_STR_NULL);
		return;
	}
	party_on_request(p, m);
}

/* ---- what media tells */

/* Digits go from leg to leg by themselves; a browser is told of them, too, which cannot hear them
 * in its media. What else there is to tell is for people. */
void calls_leg_event(struct stack *s, struct sl_str data)
{
	struct wire_leg_event e;
	struct party *p, *other;

	if (wire_get_leg_event(data, &e) < 0)
		return;
	p = party_by_leg(s, e.leg);
	if (!p || p->state == PARTY_ENDED)
		return;
	if (p->kind == PARTY_SPAN) {
		span_event(p, (enum wire_leg_event_kind)e.kind);
		return;
	}
	other = e.kind == WIRE_EV_DTMF ? call_other(p->call, p) : NULL;
	if (other && other->kind == PARTY_BROWSER)
		browser_digit(other, (char)e.value, e.ms);
	if (e.kind == WIRE_EV_ROOM_ENDED)
		call_room_ended(p->call, p, e.value, e.text);
	else if (e.kind == WIRE_EV_PLAYED)
		call_announced(p->call, p);
	else if (e.kind == WIRE_EV_CHANGED)
		video_changed(p);
	else if (e.kind == WIRE_EV_KEY_FRAME)
		video_ask_by_info(p);
	else if (e.kind == WIRE_EV_TEXT)
		text_from_room(p, e.text);
	else if (e.kind == WIRE_EV_PEOPLE)
		siprec_people(p->call, e.text);
	else if (e.kind == WIRE_EV_STATE && e.text.len > 0)
		sl_log(SL_LOG_INFO, "sip-gateway", "media of %s: %.*s", p->name, SL_FMT(e.text));
}
