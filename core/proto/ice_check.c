/*
 * proto/ice_check.c: our own checks (RFC 8445 sections 6.1.4 and 7.2): when they leave, how they
 * are repeated, what their answers mean.
 *
 * A pair's newest transaction is repeated under its id until it is answered or given up; answers to
 * some older ones still count, since an answer may take longer than our patience. New transactions
 * are paced by Ta, with a small burst. Nothing here decides which pair carries media.
 */
#include "proto/ice_impl.h"

#include <sluice/buf.h>

enum { MAX_CHECK = 700, BURST_MS = ICE_BURST * ICE_TA_MS };

/* ---- writing */

static void new_ask(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	struct ice_ask *ask = &p->asks[0];
	uint64_t first = ice_draw(a), second = ice_draw(a);

	memmove(p->asks + 1, p->asks, sizeof p->asks - sizeof p->asks[0]);
	*ask = (struct ice_ask){
		.live = true,
		.nominating = p->nominating && a->controlling,
		.controlling = a->controlling,
		.sent_ms = now_ms,
	};
	memcpy(ask->txid, &first, 8);
	memcpy(ask->txid + 8, &second, 4);
}

/* "theirs:ours" (section 7.2.2). */
static void put_username(struct sl_stun_writer *w, const struct ice_creds *c)
{
	char name[ICE_MAX_UFRAG + ICE_UFRAG_CHARS + 2];
	size_t n = strlen(c->peer_ufrag);

	memcpy(name, c->peer_ufrag, n);
	name[n++] = ':';
	memcpy(name + n, c->ufrag, ICE_UFRAG_CHARS);
	sl_stun_put(w, SL_STUN_USERNAME, name, n + ICE_UFRAG_CHARS);
}

static void put_role(struct sl_stun_writer *w, const struct ice_agent *a, bool controlling)
{
	uint8_t tie_breaker[8];

	sl_put64(tie_breaker, a->opts.tie_breaker);
	sl_stun_put(w, controlling ? SL_STUN_ICE_CONTROLLING : SL_STUN_ICE_CONTROLLED, tie_breaker,
		    sizeof tie_breaker);
}

static void transmit(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	const struct ice_creds *c = ice_creds_of(a, p);
	struct ice_ask *ask = &p->asks[0];
	uint8_t wire[MAX_CHECK];
	struct sl_stun_writer w;
	size_t len;

	sl_stun_begin(&w, wire, sizeof wire, SL_STUN_REQUEST, SL_STUN_BINDING, ask->txid);
	put_username(&w, c);
	sl_stun_put_u32(&w, SL_STUN_PRIORITY, ice_prflx_priority(p->local_priority));
	put_role(&w, a, ask->controlling);
	if (ask->nominating)
		sl_stun_put(&w, SL_STUN_USE_CANDIDATE, NULL, 0);
	sl_stun_put_integrity(&w, sl_str_c(c->peer_password));
	sl_stun_put_fingerprint(&w);
	if (sl_stun_finish(&w, &len) < 0)
		return; /* the longest ufrag fits */
	ask->n_sent++;
	p->sent_ms = p->checked_ms = now_ms;
	a->count->checks++;
	a->io->send(a->ctx, &p->path, wire, len);
}

/* ---- the check list at work */

bool ice_may_check(const struct ice_agent *a)
{
	return !a->opts.lite && ice_knows_peer(a) && a->state < ICE_FAILED;
}

static unsigned n_to_check(const struct ice_agent *a)
{
	unsigned n = 0;

	for (const struct ice_pair *p = a->pairs; p; p = p->next)
		n += p->state <= ICE_PAIR_CHECKING && !p->old;
	return n;
}

/* Section 14.3, doubled with each repetition up to a bound; but not where the peer has been heard:
 * it is there and wants to talk, so a missing answer is plain loss; nor towards a lite peer, whose
 * own checks will not help. */
static uint64_t wait_after(const struct ice_agent *a, const struct ice_pair *p)
{
	uint64_t ms = (uint64_t)n_to_check(a) * ICE_TA_MS;

	if (ms < ICE_RTO_MS)
		ms = ICE_RTO_MS;
	if (p->open || a->peer_lite)
		return ms;
	for (unsigned i = 1; i < p->asks[0].n_sent && ms < ICE_RTO_MAX_MS; i++)
		ms *= 2;
	return ms < ICE_RTO_MAX_MS ? ms : ICE_RTO_MAX_MS;
}

static void begin_check(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	bool again = p->state == ICE_PAIR_CHECKING && p->asks[0].live &&
		     p->asks[0].controlling == a->controlling &&
		     p->asks[0].nominating == (p->nominating && a->controlling);

	if (!again)
		new_ask(a, p, now_ms);
	p->triggered = false;
	p->state = ICE_PAIR_CHECKING;
	transmit(a, p, now_ms);
	p->resend_ms = now_ms + wait_after(a, p);
	ice_due(a, p->resend_ms);
}

/* A triggered check (section 7.3.1.4). While one is under way it is repeated sooner, but a peer
 * that asks often does not make us ask more often than Ta. */
void ice_trigger(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	if (p->old || p->triggered)
		return;
	if (p->state == ICE_PAIR_CHECKING && now_ms - p->checked_ms < ICE_TA_MS)
		return;
	p->triggered = true;
	if (ice_may_check(a))
		ice_due(a, now_ms);
}

static struct ice_pair *next_to_check(const struct ice_agent *a)
{
	struct ice_pair *waiting = NULL;

	for (struct ice_pair *p = a->pairs; p; p = p->next) {
		if (p->old)
			continue;
		if (p->triggered)
			return p;
		/* Once a pair is nominated, only what the peer shows is of interest. */
		if (p->state == ICE_PAIR_WAITING && !waiting && !a->nominated)
			waiting = p;
	}
	return waiting;
}

/* pace_ms moves by Ta with each new check, and never lags further behind than the burst. What the
 * peer has just shown to work does not wait behind what only might: there is one such check for an
 * authentic request. */
static bool pace_allows(struct ice_agent *a, uint64_t now_ms)
{
	if (a->pace_ms + BURST_MS < now_ms + ICE_TA_MS)
		a->pace_ms = now_ms + ICE_TA_MS - BURST_MS;
	return a->pace_ms <= now_ms;
}

static void begin_checks(struct ice_agent *a, uint64_t now_ms)
{
	struct ice_pair *p;

	while ((p = next_to_check(a)) != NULL) {
		if (!pace_allows(a, now_ms) && !p->triggered) {
			ice_due(a, a->pace_ms);
			return;
		}
		a->pace_ms += ICE_TA_MS;
		begin_check(a, p, now_ms);
	}
}

static void give_up(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	p->state = ICE_PAIR_FAILED;
	p->nominating = p->wanted = false;
	p->valid = false;
	for (unsigned i = 0; i < ICE_N_TXIDS; i++)
		p->asks[i].live = false;
	ice_due(a, now_ms); /* the nomination may wait for it */
}

static void repeat_or_give_up(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	if (p->resend_ms > now_ms) {
		ice_due(a, p->resend_ms);
		return;
	}
	/* After the nomination only those are pursued that the peer has asked about. */
	if (p->asks[0].n_sent >=
		    (p->open || a->peer_lite ? 2 * ICE_TRANSMISSIONS : ICE_TRANSMISSIONS) ||
	    (a->nominated && !p->nominating && p->request_ms == 0)) {
		give_up(a, p, now_ms);
		return;
	}
	begin_check(a, p, now_ms);
}

void ice_run_checks(struct ice_agent *a, uint64_t now_ms)
{
	if (!ice_may_check(a))
		return;
	for (struct ice_pair *p = a->pairs; p; p = p->next)
		if (p->state == ICE_PAIR_CHECKING && !p->old)
			repeat_or_give_up(a, p, now_ms);
	begin_checks(a, now_ms);
}

void ice_ask_alive(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	new_ask(a, p, now_ms);
	transmit(a, p, now_ms);
	if (p->unanswered < UINT8_MAX)
		p->unanswered++;
}

/* An indication is neither signed nor answered (RFC 8445 section 11). */
void ice_keep_alive(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	uint64_t txid[2] = {ice_draw(a), ice_draw(a)};
	uint8_t wire[64];
	struct sl_stun_writer w;
	size_t len;

	sl_stun_begin(&w, wire, sizeof wire, SL_STUN_INDICATION, SL_STUN_BINDING,
		      (const uint8_t *)txid);
	sl_stun_put_fingerprint(&w);
	if (sl_stun_finish(&w, &len) < 0)
		return; /* 28 bytes */
	p->sent_ms = now_ms;
	a->io->send(a->ctx, &p->path, wire, len);
}

/* ---- answers (section 7.2.5) */

static struct ice_pair *pair_of_answer(struct ice_agent *a, const struct ice_path *path,
				       const uint8_t *txid, struct ice_ask **ret_ask)
{
	for (struct ice_pair *p = a->pairs; p; p = p->next) {
		for (unsigned i = 0; i < ICE_N_TXIDS; i++) {
			if (!p->asks[i].live || memcmp(p->asks[i].txid, txid, ICE_TXID) != 0)
				continue;
			*ret_ask = &p->asks[i];
			/* It must come from where the check went to (section 7.2.5.2.1). */
			return ice_path_eq(&p->path, path) ? p : NULL;
		}
	}
	return NULL;
}

static void measure(struct ice_pair *p, const struct ice_ask *ask, uint64_t now_ms)
{
	bool guess = ask->n_sent != 1;
	uint32_t us;

	/* Which of the repeated ones is answered? Nobody knows (Karn's rule), but as the first
	 * guess the longest is safe, until one is known. */
	if ((guess && p->rtt_us != 0) || now_ms - ask->sent_ms > UINT32_MAX / 1000)
		return;
	us = (uint32_t)(now_ms - ask->sent_ms) * 1000;
	if (p->rtt_us == 0 || p->rtt_guessed)
		p->rtt_us = us;
	else
		p->rtt_us = (uint32_t)(((uint64_t)p->rtt_us * 7 + us) / 8);
	p->rtt_guessed = guess;
}

static void succeeded(struct ice_agent *a, struct ice_pair *p, struct ice_ask *ask, uint64_t now_ms)
{
	bool nominating = ask->nominating && a->controlling;
	bool first = !p->valid;

	measure(p, ask, now_ms);
	ask->live = false;
	p->state = ICE_PAIR_SUCCEEDED;
	p->valid = true;
	p->answer_ms = now_ms;
	p->unanswered = 0;
	ice_heard(a, p, now_ms);
	ice_pair_open(a, p);
	if (first && !p->old)
		ice_validated(a, p, now_ms);
	if (p->wanted && !a->controlling) {
		p->wanted = false;
		ice_peer_nominates(a, p, now_ms);
	}
	if (nominating) {
		p->nominating = false;
		ice_we_nominated(a, p, now_ms);
	}
}

void ice_switch_role(struct ice_agent *a, bool controlling)
{
	if (a->controlling == controlling)
		return;
	a->controlling = controlling;
	for (struct ice_pair *p = a->pairs; p; p = p->next)
		p->nominating = p->wanted = false;
	ice_pairs_reorder(a);
}

static unsigned error_code(const struct sl_stun_msg *msg)
{
	struct sl_stun_attr e;

	if (!sl_stun_find(msg, SL_STUN_ERROR_CODE, &e) || e.len < 4)
		return 0;
	return (e.data[2] & 7) * 100u + e.data[3];
}

/* Other errors than 487 are no verdict: 401 comes while the peer does not know our password yet.
 * The check is repeated until it is given up. */
static void refused(struct ice_agent *a, struct ice_pair *p, struct ice_ask *ask, unsigned code,
		    uint64_t now_ms)
{
	if (code != 487) {
		a->count->refused++;
		return;
	}
	a->count->conflicts++;
	ask->live = false;
	ice_switch_role(a, !ask->controlling);
	ice_trigger(a, p, now_ms);
}

int ice_answer(struct ice_agent *a, const struct ice_path *path, const struct sl_stun_msg *msg,
	       uint64_t now_ms)
{
	struct ice_ask *ask;
	struct ice_pair *p = pair_of_answer(a, path, msg->txid, &ask);
	unsigned code = msg->class_ == SL_STUN_ERROR ? error_code(msg) : 0;

	if (!p) {
		a->count->strays++;
		return SL_DROP;
	}
	if (msg->class_ == SL_STUN_ERROR && code != 487) {
		refused(a, p, ask, code, now_ms); /* may be unsigned, and changes nothing */
		return SL_DONE;
	}
	if (sl_stun_check_integrity(msg, sl_str_c(ice_creds_of(a, p)->peer_password)) < 0) {
		a->count->bad_key++;
		return SL_DROP;
	}
	a->count->answers++;
	if (code == 487)
		refused(a, p, ask, code, now_ms);
	else
		succeeded(a, p, ask, now_ms);
	return SL_DONE;
}
