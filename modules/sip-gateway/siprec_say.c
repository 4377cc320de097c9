/*
 * sip-gateway/siprec_say.c: what is said to the recorder of a call and what it says: descriptions
 * of both streams with the metadata beside them (RFC 7866 sections 7 and 9), one exchange at a
 * time.
 *
 * Each stream has a media leg of its own that knows nothing of the other: two descriptions are
 * asked for, joined, and what comes back is taken apart again. Whatever changes while an exchange
 * is under way makes what was said stale, and everything is said once more when that is over.
 */
#include "siprec_impl.h"

#include <stdlib.h>

/* ---- our descriptions, of both legs */

void siprec_forget_texts(struct siprec *r)
{
	for (unsigned i = 0; i < SIPREC_STREAMS; i++) {
		free(r->sdp[i]);
		r->sdp[i] = NULL;
	}
}

struct siprec *siprec_of(const struct party *p, unsigned *ret_stream)
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

	siprec_forget_texts(r);
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

	r->unwritten = false;
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
		siprec_forget_texts(r);
}

void siprec_ask_offers(struct siprec *r)
{
	struct party *const legs[SIPREC_STREAMS] = {r->leg[0], r->leg[1]};

	r->asks = SIPREC_STREAMS;
	r->unwritten = !r->answering;
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
	siprec_command_legs(r);
	siprec_ask_offers(r);
}

/* ---- what the recorder says */

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
	if (siprec_take_sources(r) || r->stale)
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
		siprec_ask_offers(r);
	} else {
		party_answer_asking(p, siprec_asks(type, m->body) || m->body.len == 0 ? 200 : 415,
				    SL_STR_NULL);
	}
	if (siprec_asks(type, m->body))
		siprec_say(r);
}
