/*
 * session/session.c: local sessions and their entries in the shared table.
 *
 * The only place that opens and closes entries, so that an entry always has exactly one local
 * object in its owner. Counts per name over the whole node come from the limits segment, held by
 * owner, so that they die with it.
 */
#include <sluice/session.h>

#include <stdlib.h>
#include <sluice/bus.h>
#include <sluice/crypto.h>
#include <sluice/trace.h>
#include "session/registry.h"
#include "shm/shm.h"

struct local_session {
	struct sl_session pub;
	struct local_session *prev, *next;
	void (*evict)(void *arg, struct sl_session *s, const char *why);
	void *arg;
};

/* The shared entry holds the public statistics in place: one layout, checked here. */
_Static_assert(offsetof(struct session_entry, last_receive_ms) -
			       offsetof(struct session_entry, packets_in) ==
		       offsetof(struct sl_session_stats, last_receive_ms),
	       "sl_session_stats mirrors the entry");
_Static_assert(SL_SESSION_LIMITS == SESSION_LIMITS, "an entry names each limit that it holds");

static const char *const kind_names[SL_N_KINDS] = {
	[SL_KIND_NONE] = "none", [SL_KIND_TURN] = "turn", [SL_KIND_SIGNAL] = "signal",
	[SL_KIND_RTC] = "rtc",	 [SL_KIND_SIP] = "sip",	  [SL_KIND_RECORDING] = "recording",
	[SL_KIND_USER] = "user",
};

const char *sl_session_kind_name(unsigned kind)
{
	return kind < SL_N_KINDS ? kind_names[kind] : "unknown";
}

const char *sl_sid_format(char dst[SL_SID_STRLEN], const uint8_t sid[SL_SID_BYTES])
{
	sl_hex_encode(dst, sid, SL_SID_BYTES);
	return dst;
}

int sl_sid_parse(uint8_t ret_sid[SL_SID_BYTES], struct sl_str s)
{
	uint8_t sid[SL_SID_BYTES];
	size_t n;

	if (sl_hex_decode(sid, sizeof sid, s, &n) < 0 || n != sizeof sid)
		return -SL_EPARSE;
	memcpy(ret_sid, sid, sizeof sid);
	return 0;
}

int sl_sid_new(struct sl_worker *w, uint8_t ret_sid[SL_SID_BYTES])
{
	uint8_t sid[SL_SID_BYTES];

	if (sl_random(sid, sizeof sid) < 0)
		return -SL_ESYS;
	sid[0] = (uint8_t)(w->slot >> 4);
	sid[1] = (uint8_t)((w->slot & 15) << 4 | (sid[1] & 15));
	memcpy(ret_sid, sid, sizeof sid);
	return 0;
}

/* A key for counts and comparisons over processes: under the node's key, so that names cannot be
 * chosen to collide. */
static uint64_t node_hash(const struct sl_worker *w, struct sl_str s)
{
	return s.len ? sl_siphash24(w->node_key, s.p, s.len) | 1 : 0;
}

static void fill_entry(struct session_entry *e, struct sl_worker *w,
		       const struct sl_session_opts *o, const uint8_t sid[SL_SID_BYTES])
{
	shm_session_begin(e);
	memcpy(e->sid, sid, SL_SID_BYTES);
	e->kind = (uint8_t)o->kind;
	e->state = SESSION_OPEN;
	e->listener = o->listener ? o->listener->index : 0;
	e->created_ms = sl_loop_ms(w->loop);
	e->expires_ms = o->expires_ms;
	e->room = node_hash(w, o->room);
	e->peer = node_hash(w, o->peer);
	if (o->listener)
		e->remote = o->remote;
	e->packets_in = e->bytes_in = e->packets_out = e->bytes_out = 0;
	e->lost = e->rtt_us = e->jitter_us = 0;
	e->last_receive_ms = 0;
	memset(e->words, 0, sizeof e->words);
	(void)sl_str_copy(e->label, sizeof e->label, o->label); /* cut on purpose */
	shm_session_end(e);
}

/* Counts are held by owner and die with it; the entry names the key so that releasing it gives one
 * back. */
static int take_limit(struct sl_worker *w, struct session_entry *e, unsigned i,
		      const struct sl_session_limit *limit)
{
	uint64_t key = node_hash(w, limit->name);
	int rc;

	if (!key)
		return 0;
	rc = shm_limit_take(w->shm, sl_worker_owner(w), key, limit->max);
	if (rc < 0)
		return rc;
	shm_session_begin(e);
	e->limits[i] = key;
	shm_session_end(e);
	return 0;
}

/* What was taken before a refusal goes back with the entry. */
static int take_limits(struct sl_worker *w, struct session_entry *e,
		       const struct sl_session_opts *o)
{
	int rc = 0;

	for (unsigned i = 0; i < SL_SESSION_LIMITS && rc == 0; i++) {
		rc = take_limit(w, e, i, &o->limits[i]);
		if (rc == -SL_ELIMIT && o->ret_limit)
			*o->ret_limit = i;
	}
	return rc;
}

static int publish(struct sl_worker *w, const struct sl_session_opts *o, struct sl_session *s)
{
	struct session_entry *e;
	int rc = shm_session_claim(w->shm, sl_worker_owner(w), &s->index);

	if (rc < 0)
		return rc;
	e = shm_session(w->shm, s->index);
	fill_entry(e, w, o, s->sid);
	rc = take_limits(w, e, o);
	if (rc == 0)
		rc = shm_session_index(w->shm, s->index);
	if (rc < 0) {
		shm_session_release(w->shm, s->index);
		return rc;
	}
	s->stats = (struct sl_session_stats *)&e->packets_in;
	s->words = e->words;
	return 0;
}

static void run_phase(struct sl_worker *w, const struct hook_chain *chain, struct sl_session *s)
{
	(void)w;
	for (unsigned i = 0; i < chain->n; i++)
		if (chain->calls[i].fn.session(chain->calls[i].ctx, s) == SL_DONE)
			return;
}

static uint64_t sid_low(const struct sl_session *s)
{
	uint64_t v;

	memcpy(&v, s->sid + 8, sizeof v);
	return v;
}

static void announce(const struct sl_session *s, uint32_t kind, const char *name,
		     struct sl_str text)
{
	const struct sl_bus_event ev = {.kind = kind,
					.name = name,
					.owner = sl_worker_owner(s->worker),
					.sid = s->sid,
					.session_kind = s->kind,
					.text = text};

	sl_bus_publish(s->worker, &ev);
}

int sl_session_open(struct sl_worker *w, const struct sl_session_opts *o,
		    struct sl_session **ret_session)
{
	struct registry *r = w->registry;
	struct local_session *l = calloc(1, sizeof *l);
	int rc;

	if (!l)
		return -SL_ENOMEM;
	l->pub.worker = w;
	l->pub.kind = (uint8_t)o->kind;
	l->evict = o->evict;
	l->arg = o->arg;
	rc = sl_sid_new(w, l->pub.sid);
	if (rc == 0)
		rc = publish(w, o, &l->pub);
	if (rc < 0) {
		free(l);
		return rc;
	}
	l->next = r->local;
	if (l->next)
		l->next->prev = l;
	r->local = l;
	r->n_local++;
	sl_trace(sid_low(&l->pub), SL_TRACE_SESSION_NEW, l->pub.kind, l->pub.index);
	run_phase(w, &r->sessions[SL_SESS_NEW - SL_SESS_NEW], &l->pub);
	announce(&l->pub, SL_EV_SESSION_OPEN, "session.open", SL_STR_NULL);
	*ret_session = &l->pub;
	return 0;
}

void sl_session_close(struct sl_session *s, const char *why)
{
	struct local_session *l = SL_CONTAINER(s, struct local_session, pub);
	struct registry *r;

	if (!s)
		return;
	r = s->worker->registry;
	run_phase(s->worker, &r->sessions[SL_SESS_CLOSE - SL_SESS_NEW], s);
	run_phase(s->worker, &r->log_session, s);
	announce(s, SL_EV_SESSION_CLOSE, "session.close", sl_str_c(why));
	sl_trace(sid_low(s), SL_TRACE_SESSION_CLOSE, s->kind, 0);
	shm_session_release(s->worker->shm, s->index);
	if (l->prev)
		l->prev->next = l->next;
	else
		r->local = l->next;
	if (l->next)
		l->next->prev = l->prev;
	r->n_local--;
	free(l);
}

void sl_session_set_expiry(struct sl_session *s, uint64_t expires_ms)
{
	struct session_entry *e = shm_session(s->worker->shm, s->index);

	shm_session_begin(e);
	e->expires_ms = expires_ms;
	shm_session_end(e);
}

/* What an entry is found by. */
struct entry_keys {
	uint16_t listener;
	struct sl_addr remote;
	char ufrag[8];
};

static struct entry_keys keys_of(const struct session_entry *e)
{
	struct entry_keys k = {.listener = e->listener, .remote = e->remote};

	memcpy(k.ufrag, e->ufrag, sizeof k.ufrag);
	return k;
}

/* For a moment it is found by nothing, as a new one is: its datagrams go the way of new senders. */
static int enter_as(struct sl_session *s, const struct entry_keys *k)
{
	struct session_entry *e = shm_session(s->worker->shm, s->index);

	shm_session_unindex(s->worker->shm, s->index);
	shm_session_begin(e);
	e->listener = k->listener;
	e->remote = k->remote;
	memcpy(e->ufrag, k->ufrag, sizeof e->ufrag);
	shm_session_end(e);
	return shm_session_index(s->worker->shm, s->index);
}

static int rekey(struct sl_session *s, const struct entry_keys *k)
{
	const struct entry_keys old = keys_of(shm_session(s->worker->shm, s->index));
	int rc = enter_as(s, k);

	if (rc < 0)
		(void)enter_as(s, &old); /* its places have just become free */
	return rc;
}

int sl_session_move(struct sl_session *s, const struct sl_listener *listener,
		    const struct sl_addr *remote)
{
	struct entry_keys k = keys_of(shm_session(s->worker->shm, s->index));

	k.listener = listener ? listener->index : 0;
	k.remote = listener ? *remote : (struct sl_addr){0};
	return rekey(s, &k);
}

int sl_session_set_ufrag(struct sl_session *s, struct sl_str ufrag)
{
	struct entry_keys k = keys_of(shm_session(s->worker->shm, s->index));

	if (ufrag.len > sizeof k.ufrag)
		return -SL_EINVAL;
	memset(k.ufrag, 0, sizeof k.ufrag);
	if (ufrag.len > 0)
		memcpy(k.ufrag, ufrag.p, ufrag.len);
	return rekey(s, &k);
}

void *sl_session_arg(const struct sl_session *s)
{
	return SL_CONTAINER(s, struct local_session, pub)->arg;
}

int sl_session_find_owner(struct sl_worker *w, const uint8_t sid[SL_SID_BYTES], uint32_t *ret_owner)
{
	uint32_t index;

	return shm_find_sid(w->shm, sid, &index, ret_owner);
}

void sessions_evict_all(struct sl_worker *w, const char *why)
{
	struct local_session *l = w->registry->local;

	while (l) { /* evict may close this one, and nothing but this one */
		struct local_session *next = l->next;

		if (l->evict)
			l->evict(l->arg, &l->pub, why);
		l = next;
	}
}

bool sessions_evict(struct sl_worker *w, const uint8_t sid[SL_SID_BYTES], const char *why)
{
	for (struct local_session *l = w->registry->local; l; l = l->next) {
		if (memcmp(l->pub.sid, sid, SL_SID_BYTES) != 0)
			continue;
		if (!l->evict)
			return false;
		l->evict(l->arg, &l->pub, why); /* l may be gone now */
		return true;
	}
	return false;
}
