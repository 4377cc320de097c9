/*
 * proto/ice_input.c: the peer's checks (RFC 8445 section 7.3): whose they are, whether they are
 * authentic, and what they show.
 *
 * Nothing is remembered of a message before its MESSAGE-INTEGRITY is found right, and what is not
 * authentic gets no answer: a forged source must not be made a target. A replayed request would
 * show an address that the peer does not have, so requests that were seen from elsewhere are
 * dropped.
 */
#include "proto/ice_impl.h"

#include <sluice/buf.h>

enum { MAX_REPLY = 192, MAX_UNKNOWN = 8 };

/* ---- whose */

/* Of "ours:theirs", the generation; -1: nobody's. A peer whose restart we have not seen yet is
 * known by our half alone. */
static int generation_of(const struct ice_agent *a, struct sl_str user)
{
	struct sl_str ours = sl_str_split(&user, ':');

	if (!user.p)
		return -1;
	for (int g = 0; g <= (int)a->has_old; g++)
		if (sl_str_eq(ours, sl_str_c(a->creds[g].ufrag)) &&
		    sl_str_eq(user, sl_str_c(a->creds[g].peer_ufrag)))
			return g;
	for (int g = 0; g <= (int)a->has_old; g++)
		if (sl_str_eq(ours, sl_str_c(a->creds[g].ufrag)))
			return g;
	return -1;
}

bool ice_is_for(const struct ice_agent *a, const struct sl_stun_msg *msg)
{
	return msg->method == SL_STUN_BINDING && msg->class_ == SL_STUN_REQUEST &&
	       generation_of(a, sl_stun_find_str(msg, SL_STUN_USERNAME)) >= 0;
}

/* ---- answering */

struct reply {
	struct sl_stun_writer w;
	uint8_t wire[MAX_REPLY];
};

static void reply_begin(struct reply *r, const struct sl_stun_msg *msg, enum sl_stun_class class_)
{
	sl_stun_begin(&r->w, r->wire, sizeof r->wire, class_, SL_STUN_BINDING, msg->txid);
}

static void reply_send(struct ice_agent *a, struct reply *r, const struct ice_path *path, int g)
{
	size_t len;

	sl_stun_put_integrity(&r->w, sl_str_c(a->creds[g].password));
	sl_stun_put_fingerprint(&r->w);
	if (sl_stun_finish(&r->w, &len) == 0) /* all that is put here fits */
		a->io->send(a->ctx, path, r->wire, len);
}

static void reply_success(struct ice_agent *a, const struct ice_path *path,
			  const struct sl_stun_msg *msg, int g)
{
	struct reply r;

	reply_begin(&r, msg, SL_STUN_SUCCESS);
	sl_stun_put_xor_addr(&r.w, SL_STUN_XOR_MAPPED_ADDRESS, &path->remote);
	reply_send(a, &r, path, g);
}

static void reply_error(struct ice_agent *a, const struct ice_path *path,
			const struct sl_stun_msg *msg, int g, unsigned code)
{
	struct reply r;

	reply_begin(&r, msg, SL_STUN_ERROR);
	sl_stun_put_error(&r.w, code, sl_str_c(sl_stun_reason(code)));
	reply_send(a, &r, path, g);
}

static void reply_unknown(struct ice_agent *a, const struct ice_path *path,
			  const struct sl_stun_msg *msg, int g, const uint16_t *types, unsigned n)
{
	uint8_t list[2 * MAX_UNKNOWN];
	struct reply r;

	for (unsigned i = 0; i < n; i++)
		sl_put16(list + (size_t)i * 2, types[i]);
	reply_begin(&r, msg, SL_STUN_ERROR);
	sl_stun_put_error(&r.w, 420, sl_str_c(sl_stun_reason(420)));
	sl_stun_put(&r.w, SL_STUN_UNKNOWN_ATTRIBUTES, list, (size_t)n * 2);
	reply_send(a, &r, path, g);
}

/* ---- whether authentic, and whether it can be understood */

static bool is_authentic(struct ice_agent *a, const struct sl_stun_msg *msg, int g)
{
	if (sl_stun_check_fingerprint(msg) != -SL_EAUTH && /* absent is no harm */
	    sl_stun_check_integrity(msg, sl_str_c(a->creds[g].password)) == 0)
		return true;
	a->count->bad_key++;
	return false;
}

/* Seen before from another address. New ones are remembered, for some minutes at the usual rate. */
static bool is_replay(struct ice_agent *a, const struct ice_path *path,
		      const struct sl_stun_msg *msg)
{
	const struct ice_seen seen = {
		.txid = (uint32_t)sl_siphash13(a->key, msg->txid, ICE_TXID),
		.from = (uint32_t)sl_siphash13(a->key, &path->remote, sizeof path->remote),
	};

	for (unsigned i = 0; i < ICE_N_RECENT; i++)
		if (a->recent[i].txid == seen.txid)
			return a->recent[i].from != seen.from;
	a->recent[a->n_recent++ % ICE_N_RECENT] = seen;
	return false;
}

static bool is_understood(struct ice_agent *a, const struct ice_path *path,
			  const struct sl_stun_msg *msg, int g)
{
	static const uint16_t known[] = {SL_STUN_USERNAME,
					 SL_STUN_MESSAGE_INTEGRITY,
					 SL_STUN_MESSAGE_INTEGRITY_SHA256,
					 SL_STUN_PRIORITY,
					 SL_STUN_USE_CANDIDATE,
					 SL_STUN_MAPPED_ADDRESS,
					 SL_STUN_XOR_MAPPED_ADDRESS};
	uint16_t types[MAX_UNKNOWN];
	unsigned n = sl_stun_unknown(msg, known, SL_ARRAY_LEN(known), types, MAX_UNKNOWN);

	if (n == 0)
		return true;
	a->count->bad_request++;
	reply_unknown(a, path, msg, g, types, n);
	return false;
}

/* Section 7.3.1.1. true: go on. A lite agent cannot take control, so the peer must. */
static bool roles_agree(struct ice_agent *a, const struct ice_path *path,
			const struct sl_stun_msg *msg, int g)
{
	uint16_t same = a->controlling ? SL_STUN_ICE_CONTROLLING : SL_STUN_ICE_CONTROLLED;
	struct sl_stun_attr claim;
	bool we_win;

	if (!sl_stun_find(msg, same, &claim) || claim.len != 8)
		return true;
	a->count->conflicts++;
	we_win = a->opts.tie_breaker >= sl_get64(claim.data);
	if (a->opts.lite || we_win == a->controlling) {
		reply_error(a, path, msg, g, 487);
		return false;
	}
	ice_switch_role(a, !a->controlling);
	return true;
}

/* ---- what it shows */

/* The pair of this path; a new one for a peer-reflexive candidate (section 7.3.1.3). */
static struct ice_pair *pair_of(struct ice_agent *a, const struct ice_path *path,
				const struct sl_stun_msg *msg, int g)
{
	struct ice_pair *p = ice_pair_find(a, path, g == 1);
	const struct ice_local *l = ice_local_of(a, path);
	struct sl_stun_attr attr;
	uint32_t priority;

	if (p || g == 1 || !l)
		return p;
	if (!sl_stun_find(msg, SL_STUN_PRIORITY, &attr) || sl_stun_get_u32(&attr, &priority) < 0)
		return NULL;
	return ice_pair_add(a, path, l->priority, priority);
}

/* All that a lite agent ever knows of a path (RFC 8445 section 7.3.2). */
static void lite_validates(struct ice_agent *a, struct ice_pair *p, uint64_t now_ms)
{
	bool first = !p->valid;

	p->valid = true;
	if (first && !p->old)
		ice_validated(a, p, now_ms);
}

static void learn(struct ice_agent *a, struct ice_pair *p, const struct sl_stun_msg *msg,
		  uint64_t now_ms)
{
	struct sl_stun_attr attr;

	p->request_ms = now_ms;
	p->sent_ms = now_ms; /* the answer */
	ice_heard(a, p, now_ms);
	ice_pair_open(a, p);
	if (a->opts.lite)
		lite_validates(a, p, now_ms);
	if (p->old)
		return;
	if (!a->opts.lite && !p->valid)
		ice_trigger(a, p, now_ms);
	if (!a->controlling && sl_stun_find(msg, SL_STUN_USE_CANDIDATE, &attr))
		ice_peer_nominates(a, p, now_ms);
	else
		ice_peer_asks(a, p, now_ms);
	if (p != a->selected)
		ice_doubt(a, now_ms);
}

static int take_request(struct ice_agent *a, const struct ice_path *path,
			const struct sl_stun_msg *msg, uint64_t now_ms)
{
	int g = generation_of(a, sl_stun_find_str(msg, SL_STUN_USERNAME));
	struct ice_pair *p;

	if (g < 0) {
		a->count->bad_user++;
		return SL_DROP;
	}
	if (!is_authentic(a, msg, g))
		return SL_DROP;
	if (is_replay(a, path, msg)) {
		a->count->replays++;
		return SL_DROP;
	}
	if (!is_understood(a, path, msg, g) || !roles_agree(a, path, msg, g))
		return SL_DONE;
	p = pair_of(a, path, msg, g);
	if (!p && g == 0) {
		a->count->bad_request++;
		reply_error(a, path, msg, g, 400);
		return SL_DONE;
	}
	a->count->requests++;
	reply_success(a, path, msg, g);
	if (p)
		learn(a, p, msg, now_ms);
	return SL_DONE;
}

int ice_input(struct ice_agent *a, const struct ice_path *path, const struct sl_stun_msg *msg,
	      uint64_t now_ms)
{
	int result = SL_DROP;

	if (a->state >= ICE_FAILED)
		return SL_DROP; /* an answer would say that all is well (RFC 7675 section 5.2) */
	if (msg->method != SL_STUN_BINDING) {
		a->count->bad_message++;
		return SL_DROP;
	}
	if (msg->class_ == SL_STUN_REQUEST)
		result = take_request(a, path, msg, now_ms);
	else if (msg->class_ != SL_STUN_INDICATION)
		result = ice_answer(a, path, msg, now_ms);
	else if (ice_may_receive(a, path, now_ms)) /* a keepalive */
		result = SL_DONE;
	if (a->next_ms <= now_ms)
		(void)ice_tick(a, now_ms);
	return result;
}
