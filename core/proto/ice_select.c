/*
 * proto/ice_select.c: which pair carries media, by whose nomination, and whether the peer still
 * consents (RFC 8445 sections 8 and 12.1, RFC 7675).
 *
 * Media may go along the best validated pair before the nomination. A peer that nominates again
 * (Chromium does when a better path comes up) is followed; one that nominates every pair
 * (aggressive nomination of RFC 5245) is held to the pair of highest priority. What media shows
 * keeps a path alive, but consent comes only from answers to our checks; in a lite agent, from the
 * peer's checks.
 */
#include "proto/ice_impl.h"

enum {
	FAST_MS = 500,
	DEAD_AFTER = 4,
	ALIVE_MS = 3000,
	LEFT_MS = 250, /* silence of a pair while the peer shows that it is elsewhere */
	LITE_DEAD_MS = 6500, /* longer than any peer's interval of checks */
};

bool ice_usable(const struct ice_pair *p)
{
	return !p->old && p->open && p->valid;
}

static uint64_t consent_since(const struct ice_agent *a, const struct ice_pair *p)
{
	return a->opts.lite ? p->request_ms : p->answer_ms;
}

static uint64_t silence(const struct ice_pair *p, uint64_t now_ms)
{
	return now_ms - p->heard_ms;
}

static uint64_t consent_interval(struct ice_agent *a)
{
	return ICE_CONSENT_MIN_MS + ice_draw(a) % ICE_CONSENT_SPAN_MS;
}

static void choose(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms, const char *why)
{
	bool same = a->selected && ice_path_eq(&a->selected->path, &p->path);

	if (a->selected == p)
		return;
	a->selected = p;
	p->unanswered = 0;
	p->followed = false;
	a->rechecked = false;
	a->alive_ms = now_ms - consent_since(a, p) < ICE_SILENT_MS ? now_ms + consent_interval(a)
								   : now_ms;
	if (a->has_old && !p->old)
		a->retire_ms = now_ms + ICE_RETIRE_MS;
	ice_due(a, now_ms);
	if (!same)
		a->io->selected(a->ctx, &p->path);
	ice_set_state(a, ICE_CONNECTED, why);
}

void ice_heard(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	p->heard_ms = now_ms;
	if (p == a->selected && a->state == ICE_DISCONNECTED)
		ice_set_state(a, ICE_CONNECTED, "the peer is heard again");
}

/* ---- validation and nomination */

/* Back to where the peer is, after its path seemed dead. */
static void return_to_picked(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	if (p->picked && p != a->selected && a->selected && !a->selected->picked && ice_usable(p))
		choose(a, p, now_ms, "the peer is heard on the nominated pair again");
}

/* Media goes where the peer is; who controls nominates anew, which RFC 8445 leaves to a restart,
 * but peers that cannot follow lose nothing. */
static void move_to(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	struct ice_pair *dead = a->selected;

	choose(a, p, now_ms, "the peer is heard on another pair only");
	if (!dead || dead->old)
		return;
	dead->valid = false;
	dead->state = ICE_PAIR_FAILED;
	if (a->controlling)
		a->nominated = dead->nominating = false;
}

/* A peer with a new address asks from there, and is not heard where it was. Two pairs that both
 * work would have been validated at the beginning. A question may come along any of them, media
 * only along the one that the peer uses: that needs no silence. */
static bool has_left_for(const struct ice_agent *a, const struct ice_pair *p, uint64_t now_ms)
{
	const struct ice_pair *s = a->selected;

	return !a->opts.lite && !s->old && p->request_ms > s->heard_ms &&
	       (p->followed || (a->nominated && silence(s, now_ms) >= LEFT_MS));
}

/* Type preferences of relays are 0 to 2 in all browsers (RFC 8445 section 5.1.2.2 says 0). */
static bool is_relayed(const struct ice_agent *a, const struct ice_pair *p)
{
	for (unsigned i = 0; i < a->n_remotes; i++)
		if (sl_addr_eq(&a->remotes[i].addr, &p->path.remote))
			return a->remotes[i].priority >> 24 <= 2;
	return false;
}

/* A direct pair that works later than a relay's is worth a second nomination, which browsers
 * follow. */
static bool saves_a_relay(const struct ice_agent *a, const struct ice_pair *p)
{
	const struct ice_pair *s = a->selected;

	return a->controlling && a->nominated && !s->old && is_relayed(a, s) && !is_relayed(a, p);
}

void ice_validated(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	const struct ice_pair *s = a->selected;

	if (a->first_valid_ms == 0)
		a->first_valid_ms = now_ms;
	ice_due(a, now_ms);
	if (!ice_knows_peer(a))
		return;
	if (!s || (s->old && silence(s, now_ms) >= LEFT_MS) ||
	    (!s->old && !a->nominated && p->priority > s->priority))
		choose(a, p, now_ms, "a pair of candidates works");
	else if (has_left_for(a, p, now_ms))
		move_to(a, p, now_ms);
	else if (saves_a_relay(a, p))
		a->nominated = false; /* ice_run_nomination takes the best */
	else
		return_to_picked(a, p, now_ms);
}

bool ice_follow(struct ice_agent *a, const struct ice_path *path, uint64_t now_ms)
{
	const struct ice_local *l = ice_local_of(a, path);
	const struct ice_pair *s = a->selected;
	struct ice_pair *p = ice_pair_find(a, path, false);

	if (!l || !s || s->old || a->opts.lite || !ice_may_check(a))
		return false;
	if (!p)
		p = ice_pair_add(a, path, l->priority, s->remote_priority);
	if (!p)
		return false;
	p->followed = true;
	p->valid = false; /* what it was before says nothing */
	p->request_ms = now_ms;
	ice_heard(a, p, now_ms);
	ice_pair_open(a, p);
	ice_trigger(a, p, now_ms);
	if (a->next_ms <= now_ms)
		(void)ice_tick(a, now_ms);
	return true;
}

/* The answer may have come before the last packets from where the peer was. */
void ice_heard_elsewhere(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	if (p->followed) {
		p->request_ms = now_ms;
		if (ice_usable(p) && a->selected && has_left_for(a, p, now_ms))
			move_to(a, p, now_ms);
	} else {
		(void)ice_follow(a, &p->path, now_ms);
	}
}

/* A nominated pair beside a selected one. Under aggressive nomination priority decides; but a pair
 * that the peer has asked about before without nominating it is meant. */
static bool is_meant(const struct ice_agent *a, const struct ice_pair *p, uint64_t now_ms)
{
	const struct ice_pair *s = a->selected;

	return !s || s->old || !a->nominated || p->plain || p->priority > s->priority ||
	       silence(s, now_ms) >= ICE_SILENT_MS;
}

static void pick(struct ice_agent *a, struct ice_pair *picked, uint64_t now_ms, const char *why)
{
	for (struct ice_pair *p = a->pairs; p; p = p->next)
		p->picked = p == picked;
	a->nominated = true;
	choose(a, picked, now_ms, why);
}

void ice_peer_nominates(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	if (!ice_usable(p) || !ice_knows_peer(a)) {
		p->wanted = true;
		return;
	}
	if (p == a->selected || is_meant(a, p, now_ms))
		pick(a, p, now_ms, "the peer has nominated a pair");
	p->plain = false;
}

void ice_peer_asks(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	p->plain = true;
	return_to_picked(a, p, now_ms);
}

void ice_we_nominated(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	if (!p->old)
		pick(a, p, now_ms, "the nomination is answered");
}

static struct ice_pair *best_usable(const struct ice_agent *a)
{
	for (struct ice_pair *p = a->pairs; p; p = p->next)
		if (ice_usable(p))
			return p;
	return NULL;
}

/* A pair that would be better and whose check may still be answered. */
static bool better_is_pending(const struct ice_agent *a, const struct ice_pair *best)
{
	for (const struct ice_pair *p = a->pairs; p != best; p = p->next)
		if (!p->old && p->state <= ICE_PAIR_CHECKING)
			return true;
	return false;
}

static bool is_nominating(const struct ice_agent *a)
{
	for (const struct ice_pair *p = a->pairs; p; p = p->next)
		if (p->nominating)
			return true;
	return false;
}

/* Regular nomination (section 8.1.1): one pair, once the better ones have had their time. */
void ice_run_nomination(struct ice_agent *a, uint64_t now_ms)
{
	struct ice_pair *best;
	uint64_t patient_until = a->first_valid_ms + ICE_PATIENCE_MS;

	if (!a->controlling || a->nominated || !ice_may_check(a) || is_nominating(a))
		return;
	best = best_usable(a);
	if (!best)
		return;
	if (now_ms < patient_until && better_is_pending(a, best)) {
		ice_due(a, patient_until);
		return;
	}
	best->nominating = true;
	ice_trigger(a, best, now_ms);
}

/* ---- liveness of the selected pair */

/* Slower after some without an answer: it may take longer than we think, and answers are taken to
 * the last few checks only. Fast again when consent is about to expire. */
static uint64_t fast_interval(const struct ice_agent *a, const struct ice_pair *p, uint64_t now_ms)
{
	uint64_t ms = (uint64_t)p->rtt_us * 2 / 1000;

	if (ms < FAST_MS || now_ms - p->answer_ms > a->opts.consent_ms / 2)
		ms = FAST_MS;
	if (p->unanswered >= DEAD_AFTER)
		ms *= 2;
	return ms < ICE_CONSENT_MIN_MS ? ms : ICE_CONSENT_MIN_MS;
}

static bool is_dead(const struct ice_agent *a, const struct ice_pair *p, uint64_t now_ms)
{
	return a->opts.lite ? silence(p, now_ms) >= LITE_DEAD_MS
			    : p->unanswered >= DEAD_AFTER && silence(p, now_ms) >= ICE_SILENT_MS;
}

void ice_doubt(struct ice_agent *a, uint64_t now_ms)
{
	struct ice_pair *s = a->selected;

	if (s && is_dead(a, s, now_ms))
		ice_due(a, now_ms); /* whatever shows life may be the rescue */
	if (!s || a->opts.lite || s->state == ICE_PAIR_CHECKING ||
	    silence(s, now_ms) < ICE_SILENT_MS ||
	    now_ms - s->asks[0].sent_ms < fast_interval(a, s, now_ms))
		return;
	ice_ask_alive(a, s, now_ms);
	ice_due(a, now_ms);
}

/* The best of those where the peer has been heard since the selected pair fell silent. */
static struct ice_pair *best_alive(const struct ice_agent *a, uint64_t now_ms)
{
	const struct ice_pair *s = a->selected;

	for (struct ice_pair *p = a->pairs; p; p = p->next)
		if (p != s && ice_usable(p) && silence(p, now_ms) < ALIVE_MS &&
		    (!s || p->heard_ms > s->heard_ms))
			return p;
	return NULL;
}

static void check_all_again(struct ice_agent *a, uint64_t now_ms)
{
	if (a->rechecked || a->opts.lite)
		return;
	a->rechecked = true;
	for (struct ice_pair *p = a->pairs; p; p = p->next)
		if (p != a->selected)
			ice_trigger(a, p, now_ms);
}

static void rescue(struct ice_agent *a, uint64_t now_ms)
{
	struct ice_pair *p;

	if (!is_dead(a, a->selected, now_ms)) {
		if (a->opts.lite)
			ice_due(a, a->selected->heard_ms + LITE_DEAD_MS);
		return;
	}
	check_all_again(a, now_ms);
	p = best_alive(a, now_ms);
	if (p)
		move_to(a, p, now_ms);
}

void ice_reselect(struct ice_agent *a, uint64_t now_ms, const char *why)
{
	struct ice_pair *p = best_usable(a);

	a->begin_ms = now_ms;
	a->nominated = false;
	ice_due(a, now_ms);
	if (p) {
		choose(a, p, now_ms, why);
		return;
	}
	a->io->selected(a->ctx, NULL);
	ice_set_state(a, ICE_DISCONNECTED, why);
	check_all_again(a, now_ms);
}

static void ask_when_due(struct ice_agent *a, struct ice_pair *s, uint64_t now_ms)
{
	uint64_t fast = s->asks[0].sent_ms + fast_interval(a, s, now_ms);
	uint64_t quiet = s->heard_ms + ICE_QUIET_MS;
	uint64_t at;

	if (s->state == ICE_PAIR_CHECKING)
		return; /* is being asked */
	at = s->unanswered > 0 || quiet < fast ? fast : quiet;
	if (a->alive_ms < at)
		at = a->alive_ms;
	if (at <= now_ms) {
		ice_ask_alive(a, s, now_ms);
		a->alive_ms = now_ms + consent_interval(a);
		at = now_ms + fast_interval(a, s, now_ms);
	}
	ice_due(a, at);
}

static void keep_when_due(struct ice_agent *a, struct ice_pair *s, uint64_t now_ms)
{
	if (now_ms - s->sent_ms >= ICE_KEEPALIVE_MS)
		ice_keep_alive(a, s, now_ms);
	ice_due(a, s->sent_ms + ICE_KEEPALIVE_MS);
}

static void watch_silence(struct ice_agent *a, const struct ice_pair *s, uint64_t now_ms)
{
	uint64_t at = s->heard_ms + a->opts.disconnected_ms;

	if (at > now_ms)
		ice_due(a, at);
	else if (a->state == ICE_CONNECTED)
		ice_set_state(a, ICE_DISCONNECTED, "nothing is heard from the peer");
}

static uint64_t consent_until(const struct ice_agent *a, const struct ice_pair *p)
{
	return consent_since(a, p) + a->opts.consent_ms;
}

/* During a restart the old path's consent may run out while the new one is being checked. */
static void lose_consent(struct ice_agent *a, uint64_t now_ms)
{
	struct ice_pair *s = a->selected;

	a->count->consent_lost++;
	if (!s->old) {
		ice_fail(a, "the peer has not consented to receive for too long");
		return;
	}
	ice_pair_remove(a, s);
	ice_reselect(a, now_ms, "the path from before the restart has ended");
}

static void run_selected(struct ice_agent *a, struct ice_pair *s, uint64_t now_ms)
{
	if (consent_until(a, s) <= now_ms) {
		lose_consent(a, now_ms);
		return;
	}
	ice_due(a, consent_until(a, s));
	watch_silence(a, s, now_ms);
	if (a->opts.lite)
		keep_when_due(a, s, now_ms);
	else
		ask_when_due(a, s, now_ms);
	rescue(a, now_ms);
}

/* A peer may still come from where we do not know: RFC 8863 wants patience. A lite one never does.
 */
static bool is_hopeless(const struct ice_agent *a)
{
	if (!a->peer_lite || !a->ended)
		return false;
	for (const struct ice_pair *p = a->pairs; p; p = p->next)
		if (p->state != ICE_PAIR_FAILED)
			return false;
	return true;
}

static void run_without(struct ice_agent *a, uint64_t now_ms)
{
	if (a->state != ICE_CHECKING && a->state != ICE_DISCONNECTED)
		return;
	if (now_ms - a->begin_ms >= a->opts.fail_ms || is_hopeless(a))
		ice_fail(a, "no pair of candidates works");
	else
		ice_due(a, a->begin_ms + a->opts.fail_ms);
}

/* What was valid long ago has to show it again before media moves there. */
static void let_age(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	uint64_t until = consent_since(a, p) + a->opts.consent_ms / 2;

	if (until > now_ms)
		ice_due(a, until);
	else
		p->valid = false;
}

/* Nothing has been heard there for as long as consent lasts. */
static void close_silent(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	if (silence(p, now_ms) < a->opts.consent_ms) {
		ice_due(a, p->heard_ms + a->opts.consent_ms);
		return;
	}
	ice_pair_close(a, p);
	p->wanted = p->nominating = p->picked = false;
	p->state = ICE_PAIR_FAILED;
}

static void run_others(struct ice_agent *a, uint64_t now_ms)
{
	for (struct ice_pair *p = a->pairs; p; p = p->next) {
		if (p == a->selected || !p->open)
			continue;
		if (p->valid)
			let_age(a, p, now_ms);
		close_silent(a, p, now_ms);
	}
}

/* A peer may go on along a path of before, and is not cut off there: browsers compare pairs of both
 * generations. */
static bool old_is_in_use(const struct ice_agent *a, uint64_t now_ms)
{
	for (const struct ice_pair *p = a->pairs; p; p = p->next)
		if (p->old && p->open && silence(p, now_ms) < ICE_QUIET_MS)
			return true;
	return false;
}

static void retire_if_due(struct ice_agent *a, uint64_t now_ms)
{
	if (a->retire_ms > now_ms)
		return;
	if (old_is_in_use(a, now_ms))
		a->retire_ms = now_ms + ICE_RETIRE_MS;
	else
		ice_retire_old(a);
}

void ice_run_consent(struct ice_agent *a, uint64_t now_ms)
{
	retire_if_due(a, now_ms);
	ice_due(a, a->retire_ms);
	if (a->selected)
		run_selected(a, a->selected, now_ms);
	else
		run_without(a, now_ms);
	if (a->state < ICE_FAILED)
		run_others(a, now_ms);
}
