/*
 * signaling-ws/handover.c: a peer moves to the worker where its client has come back.
 *
 * The taker has seen a right token and sends TAKE with who the client is; the owner checks that,
 * tells everybody the new owner, sends the state (GIVE, its parts one by one, then GIVEN), and from
 * then on passes on what still comes for the peer. The announcement goes first, so that nobody can
 * hear of the peer's end before its move. From TAKE to GIVEN the taker keeps what comes for the
 * peer. If one of both dies in between, the peer is lost, and the taker says so to all.
 */
#include "hub.h"

#include <sluice/crypto.h>

#define TAKE_TIMEOUT_MS 5000

/* ---- the taker asks */

/* Asked twice is harmless: who has it here already ignores the question. */
void handover_ask_again(struct hub *hub, struct member *m)
{
	struct sl_buf b;

	spread_begin(&b, m->id);
	sl_buf_u32(&b, hub->self);
	sl_buf_add(&b, m->hold->subject, SUBJECT_BYTES);
	spread_post(hub, m->owner, SPREAD_TAKE, &b);
}

/* The client is told nothing until it is decided. */
static void wait_for(struct conn *c, struct member *m, uint64_t seen)
{
	m->hold->taker = c;
	m->hold->seen = seen;
	c->taking = m;
	c->state = CONN_TAKING;
	c->deadline_ms = c->hub->now_ms + TAKE_TIMEOUT_MS;
}

/* Somebody asks for this peer already. The same client again takes his place; of another one
 * nothing is known until it is decided. */
static enum verdict join_taking(struct conn *c, struct member *m, uint64_t seen)
{
	struct conn *before = m->hold->taker;

	if (!sl_mem_eq(c->claims.subject, m->hold->subject, SUBJECT_BYTES))
		return LATER;
	if (before) {
		join_resume_failed(before, "another connection resumes this peer");
		conn_close(before, CLOSE_REPLACED, CLIENT_E_REPLACED);
	}
	wait_for(c, m, seen);
	return ACCEPTED;
}

/* Only the owner knows the secret, so that a wrong token is found there, not here. */
enum verdict handover_ask(struct conn *c, struct member *m, uint64_t seen)
{
	struct hold *h;

	if (m->hold)
		return join_taking(c, m, seen);
	h = hold_new(m);
	if (!h) {
		join_resume_failed(c, "out of memory");
		return REFUSED;
	}
	memcpy(h->subject, c->claims.subject, SUBJECT_BYTES);
	wait_for(c, m, seen);
	handover_ask_again(c->hub, m);
	return ACCEPTED;
}

/* Once the giver has spoken there is nothing to refuse any more. */
void handover_refused(struct hub *hub, struct member *m)
{
	struct conn *taker;

	if (!m || !m->hold || m->hold->giver || m->hold->coming)
		return;
	taker = m->hold->taker;
	spread_release(hub, m);
	if (!taker)
		return;
	join_resume_failed(taker, "the token does not fit");
	turns_hear_again(taker);
}

struct conn *handover_give_up(struct member *m)
{
	struct conn *taker;

	if (!m->hold)
		return NULL;
	taker = m->hold->taker;
	m->hold->taker = NULL;
	peer_free(m->hold->coming);
	m->hold->coming = NULL;
	return taker;
}

/* ---- the owner gives */

/* With their numbers: the client knows how far it has read. */
static void give_letters(struct hub *hub, uint32_t to, const struct peer *p)
{
	struct sl_buf b;

	for (const struct letter *l = p->box.first; l; l = l->next) {
		spread_begin(&b, p->member->id);
		sl_buf_u64(&b, l->seq);
		sl_buf_add(&b, l->text, l->len);
		spread_post(hub, to, SPREAD_LETTER, &b);
	}
}

/* What has passed, and the candidates that wait. */
static void give_pair(struct hub *hub, uint32_t to, const struct peer *p, const struct pair *pair)
{
	struct sl_buf b;

	spread_begin(&b, p->member->id);
	sl_buf_u64(&b, pair->to);
	sl_buf_u32(&b, pair->sent);
	sl_buf_u8(&b, pair->any);
	sl_buf_u8(&b, pair->n_ufrags);
	for (unsigned i = 0; i < pair->n_ufrags; i++)
		sl_buf_u64(&b, pair->ufrags[i]);
	spread_post(hub, to, SPREAD_PAIR, &b);
	for (const struct held *h = pair->first; h; h = h->next) {
		spread_begin(&b, p->member->id);
		sl_buf_u64(&b, pair->to);
		sl_buf_u64(&b, h->ufrag);
		sl_buf_add(&b, h->body, h->len);
		spread_post(hub, to, SPREAD_HELD, &b);
	}
}

/* How far it has heard each of the others, and what came before its turn. */
static void give_source(struct hub *hub, uint32_t to, const struct peer *p, const struct source *s)
{
	struct sl_buf b;

	spread_begin(&b, p->member->id);
	sl_buf_u64(&b, s->from);
	sl_buf_u32(&b, s->next_number);
	spread_post(hub, to, SPREAD_SOURCE, &b);
	for (const struct late *l = s->first; l; l = l->next) {
		spread_begin(&b, p->member->id);
		sl_buf_u64(&b, s->from);
		sl_buf_u32(&b, l->number);
		sl_buf_add(&b, l->body, l->len);
		spread_post(hub, to, SPREAD_LATE, &b);
	}
}

/* One message per part: no part is longer than what a client may send. */
static void give_state(struct hub *hub, uint32_t to, const struct peer *p)
{
	struct sl_buf b;

	spread_begin(&b, p->member->id);
	sl_buf_u64(&b, p->last_number);
	sl_buf_u8(&b, p->may);
	sl_buf_add(&b, p->subject, SUBJECT_BYTES);
	spread_post(hub, to, SPREAD_GIVE, &b);
	give_letters(hub, to, p);
	for (const struct pair *pair = p->pairs; pair; pair = pair->next)
		give_pair(hub, to, p, pair);
	for (const struct source *source = p->sources; source; source = source->next)
		give_source(hub, to, p, source);
	spread_begin(&b, p->member->id);
	sl_buf_u64(&b, p->box.next_seq);
	spread_post(hub, to, SPREAD_GIVEN, &b);
}

/* The old socket is known to be useless: its client speaks from another one. */
static void let_go(struct peer *p)
{
	struct conn *c = p->conn;

	if (!c)
		return;
	peer_detach(p);
	conn_error(c, CLIENT_E_REPLACED, "this peer goes on over another connection", NULL);
	conn_close(c, CLOSE_REPLACED, CLIENT_E_REPLACED);
}

/* Without a reason: the asker speaks to somebody who may be guessing. */
static void refuse(struct hub *hub, uint32_t asker, uint64_t id)
{
	struct sl_buf b;

	spread_begin(&b, id);
	spread_post(hub, asker, SPREAD_REFUSED, &b);
}

/* After this the peer is somebody else's, and the member shows the way to it. */
void handover_take(struct hub *hub, struct member *m, struct sl_reader *r)
{
	uint32_t asker = sl_read_u32(r);
	struct sl_str subject = sl_read_bytes(r, SUBJECT_BYTES);
	uint64_t id = m->id;

	if (r->failed || asker == hub->self) /* asked twice, and here already */
		return;
	if (!hub->io->is_alive(hub->io_arg, asker))
		return;
	if (!join_may_take((const uint8_t *)subject.p, m->peer) || !turns_hear_peer(m->peer) ||
	    m->peer->doomed) {
		refuse(hub, asker, id);
		return;
	}
	let_go(m->peer);
	spread_peer(hub, m, asker);
	give_state(hub, asker, m->peer);
	peer_close(m->peer, "moved");
	m->owner = asker;
	sl_count(&hub->m[M_HANDOVERS]);
}

/* ---- the taker receives */

/* Into an object of its own: until it is whole, nobody can reach it. */
static int on_give(struct hub *hub, struct member *m, struct sl_reader *r)
{
	struct sl_str subject;
	struct peer *p;

	if (m->hold->coming)
		return -SL_EPARSE;
	p = m->hold->coming = peer_new(hub, m);
	if (!p)
		return -SL_ENOMEM;
	p->last_number = sl_read_u64(r);
	p->may = sl_read_u8(r);
	subject = sl_read_bytes(r, SUBJECT_BYTES);
	if (r->failed)
		return -SL_EPARSE;
	memcpy(p->subject, subject.p, SUBJECT_BYTES);
	return 0;
}

/* The last part of a message has no length of its own. */
static struct sl_str rest(struct sl_reader *r)
{
	return sl_read_bytes(r, (size_t)(r->end - r->p));
}

static int on_letter(struct peer *p, struct sl_reader *r)
{
	uint64_t seq = sl_read_u64(r);

	return mailbox_restore(&p->box, seq, rest(r));
}

/*
 * Where the next user fragment goes is not told: the oldest of a full list is a guess that costs
 * nothing.
 */
static int on_pair(struct peer *p, struct sl_reader *r)
{
	struct pair *pair = pair_get(&p->pairs, sl_read_u64(r));
	unsigned n;

	if (!pair)
		return -SL_ENOMEM;
	pair->sent = sl_read_u32(r);
	pair->any = sl_read_u8(r);
	n = sl_read_u8(r);
	if (n > PAIR_UFRAGS)
		return -SL_EPARSE;
	for (unsigned i = 0; i < n; i++)
		pair->ufrags[i] = sl_read_u64(r);
	pair->n_ufrags = (uint8_t)n;
	pair->at = (uint8_t)(n % PAIR_UFRAGS);
	return 0;
}

static int on_held(struct peer *p, struct sl_reader *r)
{
	struct pair *pair = pair_get(&p->pairs, sl_read_u64(r));
	uint64_t ufrag = sl_read_u64(r);

	if (!pair)
		return -SL_ENOMEM;
	return pair_hold(pair, ufrag, rest(r), (size_t)p->hub->conf->max_candidates);
}

static int on_source(struct peer *p, struct sl_reader *r)
{
	struct source *s = source_get(&p->sources, sl_read_u64(r));

	if (!s)
		return -SL_ENOMEM;
	s->next_number = sl_read_u32(r);
	return 0;
}

static int on_late(struct peer *p, struct sl_reader *r)
{
	struct source *s = source_get(&p->sources, sl_read_u64(r));
	uint32_t number = sl_read_u32(r);
	int rc = s ? source_accept(s, number, rest(r), p->hub->now_ms) : -SL_ENOMEM;

	return rc == -SL_EAGAIN ? 0 : rc;
}

/* Its room may have filled up while it was nobody's: it was in before. */
static int open_moved(struct peer *p)
{
	int rc = peer_open(p, true);

	return rc == -SL_ELIMIT ? peer_open(p, false) : rc;
}

static int on_given(struct hub *hub, struct member *m, struct sl_reader *r)
{
	struct hold *h = m->hold;
	struct peer *p = h->coming;
	struct conn *taker = h->taker;
	uint64_t next_seq = sl_read_u64(r);
	int rc;

	if (r->failed || next_seq < p->box.next_seq)
		return -SL_EPARSE;
	p->box.next_seq = next_seq;
	rc = open_moved(p);
	if (rc < 0)
		return rc;
	h->coming = NULL;
	h->taker = NULL;
	p->deadline_ms = hub->now_ms + hub->conf->resume_timeout;
	spread_peer(hub, m, hub->self);
	if (taker)
		join_resumed(taker, p, h->seen);
	spread_release(hub, m);
	if (taker)
		turns_hear_again(taker);
	return 0;
}

/* Any part that does not fit ends the peer. */
static int take_in(struct hub *hub, struct member *m, uint16_t type, struct sl_reader *r)
{
	struct peer *p = m->hold->coming;

	if (type == SPREAD_GIVE)
		return on_give(hub, m, r);
	if (!p)
		return -SL_EPARSE;
	switch (type) {
	case SPREAD_LETTER:
		return on_letter(p, r);
	case SPREAD_PAIR:
		return on_pair(p, r);
	case SPREAD_HELD:
		return on_held(p, r);
	case SPREAD_SOURCE:
		return on_source(p, r);
	case SPREAD_LATE:
		return on_late(p, r);
	case SPREAD_GIVEN:
		return on_given(hub, m, r);
	default: /* of a generation that knows more */
		return 0;
	}
}

/* A peer that cannot be taken in whole is ended: half a mailbox would be a lie. */
void handover_state(struct hub *hub, struct member *m, uint16_t type, struct sl_reader *r)
{
	if (!m || !m->hold)
		return;
	if (take_in(hub, m, type, r) == 0)
		return;
	spread_leave(hub, m->id, "error");
	spread_forget(hub, m, "error");
}
