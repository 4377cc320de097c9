/*
 * proto/ice.c: the life of an ICE agent: credentials, candidates, restart, state, time (RFC 8445,
 * RFC 8838).
 *
 * Everything due hangs on one time, next_ms, which calls only bring forward and a tick finds anew,
 * so that an agent costs nothing between. Memory: the agent, and a pair for each path in question,
 * bounded; nothing is allocated for a message of a known pair.
 */
#include "proto/ice_impl.h"

#include <sluice/crypto.h>

#include <stdlib.h>

enum {
	DISCONNECTED_MS = 5000,
	LITE_DISCONNECTED_MS = 8000, /* peers may ask every 6 s only (RFC 7675 section 5.1) */
	CONSENT_MS = 30000,
	FAIL_MS = 30000,
	MIN_UFRAG = 4,
	MIN_PASSWORD = 22,
	UFRAG_BYTES = 6, /* 8 characters of base64 */
	PASSWORD_BYTES = 18,
};

uint64_t ice_draw(struct ice_agent *a)
{
	a->n_drawn++;
	return sl_siphash24(a->key, &a->n_drawn, sizeof a->n_drawn);
}

/* ---- credentials */

static const struct ice_creds no_creds = {.peer_ufrag = "", .peer_password = ""};

static void forget_peer(struct ice_creds *c)
{
	if (c->peer)
		sl_wipe(c->peer, strlen(c->peer_ufrag) + 1 + strlen(c->peer_password));
	free(c->peer);
	c->peer = NULL;
	c->peer_ufrag = c->peer_password = "";
}

static int note_peer(char **ret_peer, struct sl_str ufrag, struct sl_str password)
{
	char *peer = malloc(ufrag.len + password.len + 2);

	if (!peer)
		return -SL_ENOMEM;
	(void)sl_str_copy(peer, ufrag.len + 1, ufrag);
	(void)sl_str_copy(peer + ufrag.len + 1, password.len + 1, password);
	*ret_peer = peer;
	return 0;
}

/* The slot's 12 bits become the first two characters, by which the kernel steers. */
static int draw_creds(struct ice_creds *c, uint16_t slot)
{
	uint8_t bytes[UFRAG_BYTES], secret[PASSWORD_BYTES];
	int err;

	err = sl_random(bytes, sizeof bytes);
	if (err == 0)
		err = sl_random(secret, sizeof secret);
	if (err < 0)
		return err;
	bytes[0] = (uint8_t)(slot >> 4);
	bytes[1] = (uint8_t)((slot & 15) << 4 | (bytes[1] & 15));
	*c = no_creds;
	(void)sl_base64_encode(c->ufrag, bytes, sizeof bytes);
	(void)sl_base64_encode(c->password, secret, sizeof secret);
	sl_wipe(secret, sizeof secret);
	return 0;
}

const char *ice_ufrag(const struct ice_agent *a)
{
	return a->creds[0].ufrag;
}

const char *ice_password(const struct ice_agent *a)
{
	return a->creds[0].password;
}

static void drop_old_pairs(struct ice_agent *a)
{
	struct ice_pair *p = a->pairs, *next;

	for (; p; p = next) {
		next = p->next;
		if (p->old)
			ice_pair_remove(a, p);
	}
}

void ice_retire_old(struct ice_agent *a)
{
	a->retire_ms = UINT64_MAX;
	if (a->selected && a->selected->old)
		return;
	drop_old_pairs(a);
	a->has_old = false;
	forget_peer(&a->creds[1]);
	sl_wipe(&a->creds[1], sizeof a->creds[1]);
	a->creds[1] = no_creds;
}

/* What is open stays as the old generation, the rest goes. When the selected pair is of an even
 * older one, it is that one that stays: it is what works. */
static void set_generation_aside(struct ice_agent *a)
{
	bool keep_oldest = a->selected && a->selected->old;
	struct ice_pair *p, *next;

	if (!keep_oldest) {
		drop_old_pairs(a);
		forget_peer(&a->creds[1]);
		a->creds[1] = a->creds[0];
		a->creds[0].peer = NULL; /* it has moved */
		a->has_old = true;
	}
	forget_peer(&a->creds[0]);
	for (p = a->pairs; p; p = next) {
		next = p->next;
		if (p->old)
			continue;
		if (keep_oldest || !p->open) {
			ice_pair_remove(a, p);
			continue;
		}
		p->old = true;
		p->triggered = p->nominating = p->wanted = p->picked = false;
		if (p->valid)
			p->state = ICE_PAIR_SUCCEEDED;
	}
	a->n_remotes = 0;
	a->ended = a->nominated = a->rechecked = false;
	a->first_valid_ms = 0;
	a->retire_ms = UINT64_MAX;
}

/* ---- life */

static void take_defaults(struct ice_opts *o)
{
	if (o->disconnected_ms == 0)
		o->disconnected_ms = o->lite ? LITE_DISCONNECTED_MS : DISCONNECTED_MS;
	if (o->consent_ms == 0)
		o->consent_ms = CONSENT_MS;
	if (o->fail_ms == 0)
		o->fail_ms = FAIL_MS;
}

int ice_new(struct ice_agent **ret_a, const struct ice_opts *o, const struct ice_io *io, void *ctx)
{
	struct ice_agent *a = calloc(1, sizeof *a);
	int err;

	if (!a)
		return -SL_ENOMEM;
	a->opts = *o;
	take_defaults(&a->opts);
	a->io = io;
	a->ctx = ctx;
	a->count = o->counters ? o->counters : &a->own_count;
	a->controlling = o->controlling && !o->lite;
	a->next_ms = a->retire_ms = UINT64_MAX;
	a->creds[1] = no_creds;
	err = draw_creds(&a->creds[0], o->slot);
	if (err == 0)
		err = sl_random(a->key, sizeof a->key);
	if (err < 0) {
		free(a);
		return err;
	}
	*ret_a = a;
	return 0;
}

void ice_free(struct ice_agent *a)
{
	struct ice_pair *p, *next;

	if (!a)
		return;
	for (p = a->pairs; p; p = next) {
		next = p->next;
		free(p);
	}
	forget_peer(&a->creds[0]);
	forget_peer(&a->creds[1]);
	free(a->locals);
	free(a->remotes);
	sl_wipe(a, sizeof *a);
	free(a);
}

/* ---- state */

const char *ice_state_name(unsigned state)
{
	static const char *const names[] = {"new",	    "checking", "connected",
					    "disconnected", "failed",	"closed"};

	return state < SL_ARRAY_LEN(names) ? names[state] : "unknown";
}

void ice_set_state(struct ice_agent *a, enum ice_state state, const char *why)
{
	if (a->state == state)
		return;
	a->state = (uint8_t)state;
	a->io->state(a->ctx, state, why);
}

void ice_fail(struct ice_agent *a, const char *why)
{
	bool sending = a->selected != NULL;

	while (a->pairs)
		ice_pair_remove(a, a->pairs);
	a->next_ms = a->retire_ms = UINT64_MAX;
	if (sending)
		a->io->selected(a->ctx, NULL);
	ice_set_state(a, ICE_FAILED, why);
}

enum ice_state ice_get_state(const struct ice_agent *a)
{
	return a->state;
}

const struct ice_path *ice_selected(const struct ice_agent *a)
{
	return a->selected ? &a->selected->path : NULL;
}

uint32_t ice_rtt_us(const struct ice_agent *a)
{
	return a->selected && !a->selected->rtt_guessed ? a->selected->rtt_us : 0;
}

/* ---- our candidates */

static uint8_t foundation_of(const struct ice_agent *a, const struct ice_local *l)
{
	for (unsigned i = 0; i < a->n_locals; i++) {
		const struct ice_local *known = &a->locals[i];

		if (known->transport == l->transport && sl_addr_same_ip(&known->addr, &l->addr))
			return known->foundation;
	}
	return (uint8_t)(a->n_locals + 1);
}

int ice_add_local(struct ice_agent *a, const struct sl_addr *addr, const struct sl_addr *told,
		  uint32_t via, enum ice_transport transport)
{
	struct ice_local *l;

	if (a->n_locals == ICE_MAX_LOCAL)
		return -SL_ELIMIT;
	l = realloc(a->locals, (a->n_locals + 1u) * sizeof *l);
	if (!l)
		return -SL_ENOMEM;
	a->locals = l;
	l += a->n_locals;
	*l = (struct ice_local){
		.addr = *addr,
		.told = told ? *told : *addr,
		.via = via,
		.priority = ice_host_priority(a->n_locals, transport),
		.transport = (uint8_t)transport,
	};
	l->foundation = foundation_of(a, l);
	a->n_locals++;
	if (!a->opts.lite && a->state < ICE_FAILED)
		ice_pairs_with_local(a, l);
	if (ice_may_check(a))
		a->next_ms = 0;
	return 0;
}

unsigned ice_local_candidates(const struct ice_agent *a, struct ice_candidate *ret_c, unsigned max)
{
	unsigned n = a->n_locals < max ? a->n_locals : max;

	for (unsigned i = 0; i < n; i++) {
		const struct ice_local *l = &a->locals[i];
		struct ice_candidate *c = &ret_c[i];

		*c = (struct ice_candidate){
			.type = ICE_HOST,
			.transport = l->transport,
			.component = 1,
			.priority = l->priority,
			.addr = l->told,
		};
		c->foundation[0] = (char)('A' + l->foundation - 1); /* at most 16 */
	}
	return n;
}

/* ---- the peer */

static bool are_creds(struct sl_str ufrag, struct sl_str password)
{
	return ufrag.len >= MIN_UFRAG && ufrag.len <= ICE_MAX_UFRAG &&
	       password.len >= MIN_PASSWORD && password.len <= ICE_MAX_UFRAG &&
	       !memchr(ufrag.p, '\0', ufrag.len) && !memchr(ufrag.p, ':', ufrag.len) &&
	       !memchr(password.p, '\0', password.len);
}

/* What the peer has shown before we knew its description. */
static void use_early_checks(struct ice_agent *a, uint64_t now_ms)
{
	for (struct ice_pair *p = a->pairs; p; p = p->next) {
		if (p->old || !p->open)
			continue;
		if (ice_usable(p))
			ice_validated(a, p, now_ms);
		else
			ice_trigger(a, p, now_ms);
		if (p->wanted && ice_usable(p)) {
			p->wanted = false;
			ice_peer_nominates(a, p, now_ms);
		}
	}
}

int ice_set_remote(struct ice_agent *a, struct sl_str ufrag, struct sl_str password, bool lite,
		   uint64_t now_ms)
{
	struct ice_creds *c = &a->creds[0];
	char *peer;
	int rc;

	if (!are_creds(ufrag, password))
		return -SL_EINVAL;
	if (lite && a->opts.lite)
		return -SL_EUNSUPP;
	if (sl_str_eq(ufrag, sl_str_c(c->peer_ufrag)) &&
	    sl_str_eq(password, sl_str_c(c->peer_password)))
		return 0;
	rc = note_peer(&peer, ufrag, password);
	if (rc < 0)
		return rc;
	if (ice_knows_peer(a))
		set_generation_aside(a);
	c->peer = peer;
	c->peer_ufrag = peer;
	c->peer_password = peer + ufrag.len + 1;
	a->peer_lite = lite;
	if (lite)
		ice_switch_role(a, true);
	a->begin_ms = now_ms;
	a->next_ms = now_ms;
	if (!a->selected)
		ice_set_state(a, ICE_CHECKING, "checking begins");
	use_early_checks(a, now_ms);
	return 0;
}

static bool is_own(const struct ice_agent *a, const struct sl_addr *addr)
{
	for (unsigned i = 0; i < a->n_locals; i++)
		if (sl_addr_eq(&a->locals[i].addr, addr) || sl_addr_eq(&a->locals[i].told, addr))
			return true;
	return false;
}

static bool has_loopback_base(const struct ice_agent *a)
{
	for (unsigned i = 0; i < a->n_locals; i++)
		if (sl_addr_classify(&a->locals[i].addr) == SL_ADDR_LOOPBACK)
			return true;
	return false;
}

static bool may_be_checked(const struct ice_agent *a, const struct sl_addr *addr)
{
	enum sl_addr_class class_ = sl_addr_classify(addr);

	if (addr->family == 0 || addr->port == 0 || is_own(a, addr))
		return false;
	if (class_ == SL_ADDR_LOOPBACK)
		return has_loopback_base(a);
	return class_ != SL_ADDR_UNSPECIFIED && class_ != SL_ADDR_MULTICAST &&
	       class_ != SL_ADDR_BROADCAST;
}

static int remember(struct ice_agent *a, const struct ice_remote *r)
{
	struct ice_remote *wider;

	for (unsigned i = 0; i < a->n_remotes; i++)
		if (sl_addr_eq(&a->remotes[i].addr, &r->addr))
			return 0;
	if (a->n_remotes == ICE_MAX_REMOTE) {
		a->count->crowded++;
		return -SL_ELIMIT;
	}
	wider = realloc(a->remotes, (a->n_remotes + 1u) * sizeof *wider);
	if (!wider)
		return -SL_ENOMEM;
	a->remotes = wider;
	a->remotes[a->n_remotes++] = *r;
	return 0;
}

int ice_add_remote(struct ice_agent *a, const struct ice_candidate *c, uint64_t now_ms)
{
	const struct ice_remote r = {.addr = c->addr, .priority = c->priority};
	int err;

	if (c->name[0]) {
		a->count->names++;
		return 0;
	}
	if (c->transport != ICE_UDP || c->component != 1)
		return 0;
	if (!may_be_checked(a, &r.addr)) {
		a->count->denied++;
		return -SL_EDENIED;
	}
	err = remember(a, &r);
	if (err < 0 || a->opts.lite || a->state >= ICE_FAILED)
		return err;
	ice_pairs_with_remote(a, &r);
	if (ice_may_check(a))
		ice_due(a, now_ms);
	return 0;
}

void ice_end_of_candidates(struct ice_agent *a, uint64_t now_ms)
{
	a->ended = true;
	ice_due(a, now_ms);
}

int ice_restart(struct ice_agent *a, uint64_t now_ms)
{
	struct ice_creds fresh;
	int err = draw_creds(&fresh, a->opts.slot);

	if (err < 0)
		return err;
	set_generation_aside(a);
	a->creds[0] = fresh;
	sl_wipe(&fresh, sizeof fresh);
	a->begin_ms = now_ms;
	ice_due(a, now_ms);
	if (!a->selected) {
		ice_retire_old(a);
		ice_set_state(a, ICE_NEW, "restarted");
	}
	return 0;
}

/* ---- paths */

bool ice_may_receive(struct ice_agent *a, const struct ice_path *path, uint64_t now_ms)
{
	struct ice_pair *p = a->selected;

	if (!p || !ice_path_eq(&p->path, path))
		for (p = a->pairs; p; p = p->next)
			if (p->open && ice_path_eq(&p->path, path))
				break;
	if (!p)
		return false;
	ice_heard(a, p, now_ms);
	if (SL_UNLIKELY((p->followed || p->state == ICE_PAIR_FAILED) && p != a->selected))
		ice_heard_elsewhere(a, p, now_ms);
	return true;
}

void ice_base_gone(struct ice_agent *a, uint32_t via, uint64_t now_ms)
{
	bool had = a->selected != NULL;
	struct ice_pair *p, *next;
	unsigned kept = 0;

	for (unsigned i = 0; i < a->n_locals; i++)
		if (a->locals[i].via != via)
			a->locals[kept++] = a->locals[i];
	a->n_locals = (uint8_t)kept;
	for (p = a->pairs; p; p = next) {
		next = p->next;
		if (p->path.via == via)
			ice_pair_remove(a, p);
	}
	if (had && !a->selected)
		ice_reselect(a, now_ms, "the base of the selected pair has gone");
}

/* ---- time */

uint64_t ice_next_ms(const struct ice_agent *a)
{
	return a->next_ms;
}

uint64_t ice_tick(struct ice_agent *a, uint64_t now_ms)
{
	if (now_ms < a->next_ms)
		return a->next_ms;
	a->next_ms = UINT64_MAX;
	if (a->state >= ICE_FAILED)
		return a->next_ms;
	ice_run_consent(a, now_ms);
	if (a->state >= ICE_FAILED)
		return a->next_ms;
	ice_run_nomination(a, now_ms);
	ice_run_checks(a, now_ms);
	return a->next_ms;
}
