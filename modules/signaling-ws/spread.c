/*
 * signaling-ws/spread.c: the roster over all workers, and messages to peers wherever they are.
 *
 * The channel delivers in order per sender, and causally over senders. An owner tells all when a
 * peer of its own comes (PEER), moves (PEER with another owner) or leaves (LEAVE). A message goes
 * to the owner that this worker knows; whoever is not the owner any more passes it on by its own
 * roster. Ways of different length are put right at the end, by the numbers of source.c.
 */
#include "hub.h"

#include <stdlib.h>

#define LAYOUT 1 /* of these messages; others are of a generation that we do not understand */
#define HEAD_BYTES 9
#define SYNC_TIMEOUT_MS 3000

/* ---- writing */

void spread_begin(struct sl_buf *b, uint64_t id)
{
	sl_buf_init(b, 0);
	sl_buf_u8(b, LAYOUT);
	sl_buf_u64(b, id);
}

/*
 * The core keeps what a full ring does not take; a failure means that even that is full, or too
 * long.
 */
static int post(struct hub *hub, uint32_t to, uint16_t type, struct sl_str data)
{
	int rc = hub->io->post(hub->io_arg, to, type, data);

	if (rc < 0 &&
	    rc != -SL_ENOENT) /* what was for a dead worker is no failure: its end is told */
		sl_count(&hub->m[M_CHANNEL_FAILURES]);
	return rc;
}

/* For messages that are part of no answer: nobody could act on a failure but the operator. */
void spread_post(struct hub *hub, uint32_t to, uint16_t type, struct sl_buf *b)
{
	if (sl_buf_ok(b) == 0)
		(void)post(hub, to, type, sl_buf_view(b)); /* counted there */
	else
		sl_count(&hub->m[M_CHANNEL_FAILURES]);
	sl_buf_free(b);
}

static void broadcast(struct hub *hub, uint16_t type, struct sl_buf *b)
{
	if (sl_buf_ok(b) == 0)
		hub->io->broadcast(hub->io_arg, type, sl_buf_view(b));
	else
		sl_count(&hub->m[M_CHANNEL_FAILURES]);
	sl_buf_free(b);
}

/* The whole entry each time, so that a worker that missed the beginning can catch up. */
static void put_peer(struct sl_buf *b, const struct member *m, uint32_t owner)
{
	spread_begin(b, m->id);
	sl_buf_u32(b, owner);
	sl_buf_u8(b, m->version);
	sl_buf_lstr(b, m->room->name);
	sl_buf_lstr(b, m->name);
}

void spread_peer(struct hub *hub, const struct member *m, uint32_t owner)
{
	struct sl_buf b;

	put_peer(&b, m, owner);
	broadcast(hub, SPREAD_PEER, &b);
}

/* Only the owner says it. */
void spread_leave(struct hub *hub, uint64_t id, const char *reason)
{
	struct sl_buf b;

	spread_begin(&b, id);
	sl_buf_lstr(&b, sl_str_c(reason));
	broadcast(hub, SPREAD_LEAVE, &b);
}

/* ---- start: the rosters of the others */

/* Those that start at the same time ask each other and have nothing to tell. */
void spread_start(struct hub *hub, const uint32_t *owners, unsigned n)
{
	struct sl_buf b;

	for (unsigned i = 0; i < n && hub->n_awaited < MAX_WORKERS; i++)
		if (owners[i] != hub->self)
			hub->awaited[hub->n_awaited++] = owners[i];
	hub->sync_deadline_ms = hub->now_ms + SYNC_TIMEOUT_MS;
	spread_begin(&b, 0);
	broadcast(hub, SPREAD_ASK, &b);
}

bool spread_is_synced(const struct hub *hub)
{
	return hub->n_awaited == 0;
}

/* In the order of the connections, each in the order of its texts. */
static void hear_waiting(struct hub *hub)
{
	struct conn *c, *next;

	for (c = hub->conns; c; c = next) {
		next = c->next;
		if (c->state == CONN_WAITING)
			turns_hear_again(c);
	}
}

/* It has answered, or it died. */
static void awaited_no_more(struct hub *hub, uint32_t owner)
{
	for (unsigned i = 0; i < hub->n_awaited; i++) {
		if (hub->awaited[i] != owner)
			continue;
		hub->awaited[i] = hub->awaited[--hub->n_awaited];
		if (hub->n_awaited == 0)
			hear_waiting(hub);
		return;
	}
}

/* One that does not answer must not keep clients out; what it has comes late. */
void spread_tick(struct hub *hub)
{
	if (hub->n_awaited > 0 && hub->now_ms >= hub->sync_deadline_ms) {
		hub->n_awaited = 0;
		hear_waiting(hub);
	}
}

/* All that is ours, and what somebody is about to give us: its giver does not name it any more. */
static void answer_ask(struct hub *hub, uint32_t asker)
{
	const struct sl_htab *t = &hub->roster.members;
	struct sl_buf b;

	for (struct sl_hnode *n = sl_htab_first(t); n; n = sl_htab_next(t, n)) {
		const struct member *m = SL_CONTAINER(n, struct member, node);

		if (m->owner != hub->self)
			continue;
		put_peer(&b, m, hub->self);
		spread_post(hub, asker, SPREAD_PEER, &b);
	}
	spread_begin(&b, 0);
	spread_post(hub, asker, SPREAD_SYNCED, &b);
}

/*
 * One asks because he knows from a dead worker only that we have this peer. If it was still on its
 * way to us it is lost with its giver; and if we believe that the asker has it, nobody does.
 */
static void answer_about(struct hub *hub, uint32_t asker, uint64_t id)
{
	struct member *m = roster_find(&hub->roster, id);
	struct sl_buf b;

	if (m && m->hold &&
	    m->hold->giver) /* it comes, or its giver's end will be told here, too */
		return;
	if (m && m->peer) {
		put_peer(&b, m, hub->self);
		spread_post(hub, asker, SPREAD_PEER, &b);
		return;
	}
	spread_begin(&b, id);
	sl_buf_lstr(&b, SL_STR("lost"));
	spread_post(hub, asker, SPREAD_LEAVE, &b);
	if (m && m->owner == asker)
		spread_forget(hub, m, "lost");
}

/* The answer is PEER or LEAVE, as if it had been told unasked. */
static void ask_about(struct hub *hub, const struct member *m)
{
	struct sl_buf b;

	spread_begin(&b, m->id);
	spread_post(hub, m->owner, SPREAD_ASK, &b);
}

/* ---- messages towards a member */

/* Workers speak under their owner word; ids of peers are random and longer. */
static bool is_worker(uint64_t id)
{
	return id <= UINT32_MAX;
}

/* With a last word it is moved, without it is out. */
static void end_here(struct peer *p, const struct sl_reader *r)
{
	if (r->p == r->end)
		peer_doom(p, CLIENT_E_KICKED);
	else
		(void)peer_move(p, (struct sl_str){(const char *)r->p, (size_t)(r->end - r->p)});
}

/* To a peer of our own. One that has left meanwhile is not heard any more. */
static void arrive(struct hub *hub, struct member *m, uint16_t type, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p + HEAD_BYTES, data.len - HEAD_BYTES);
	const struct member *from;
	uint32_t number;
	uint64_t id;

	if (type == SPREAD_TAKE) {
		handover_take(hub, m, &r);
		return;
	}
	if (type == SPREAD_END) {
		end_here(m->peer, &r);
		return;
	}
	id = sl_read_u64(&r);
	number = sl_read_u32(&r);
	from = roster_find(&hub->roster, id);
	if (!r.failed && (is_worker(id) || (from && from->room == m->room)))
		peer_hear(m->peer, id, number,
			  (struct sl_str){(const char *)r.p, (size_t)(r.end - r.p)});
}

/* One step towards the owner. While a peer is being taken, everything for it waits here. */
static int route(struct hub *hub, struct member *m, uint16_t type, struct sl_str data)
{
	if (m->hold) {
		if (m->hold->bytes + data.len > hub->conf->mailbox_bytes)
			return -SL_EFULL;
		return hold_add(m->hold, type, data);
	}
	if (m->peer) {
		arrive(hub, m, type, data);
		return 0;
	}
	sl_count(&hub->m[M_MESSAGES_BETWEEN]);
	return post(hub, m->owner, type, data);
}

/* The number counts only when the message is on its way: a gap would hold up what follows. */
int spread_deliver(struct peer *from, struct member *to, struct sl_str body)
{
	struct hub *hub = from->hub;
	struct pair *pair = pair_get(&from->pairs, to->id);
	struct sl_buf b;
	int rc;

	if (!pair)
		return -SL_ENOMEM;
	if (to->peer) {
		peer_hear(to->peer, from->member->id, ++pair->sent, body);
		return 0;
	}
	spread_begin(&b, to->id);
	sl_buf_u64(&b, from->member->id);
	sl_buf_u32(&b, pair->sent + 1);
	sl_buf_str(&b, body);
	rc = sl_buf_ok(&b);
	if (rc == 0)
		rc = route(hub, to, SPREAD_DELIVER, sl_buf_view(&b));
	sl_buf_free(&b);
	if (rc == 0)
		pair->sent++;
	return rc == -SL_ENOENT ? 0 : rc; /* its owner died: the peer is gone, as will be told */
}

/* As spread_deliver, for what the node itself says through a module of this worker. */
int spread_serve(struct hub *hub, struct member *to, struct sl_str body)
{
	struct sl_buf b;
	int rc;

	if (to->peer) {
		peer_hear(to->peer, hub->self, ++to->n_served, body);
		return 0;
	}
	spread_begin(&b, to->id);
	sl_buf_u64(&b, hub->self);
	sl_buf_u32(&b, to->n_served + 1);
	sl_buf_str(&b, body);
	rc = sl_buf_ok(&b);
	if (rc == 0)
		rc = route(hub, to, SPREAD_DELIVER, sl_buf_view(&b));
	sl_buf_free(&b);
	if (rc == 0)
		to->n_served++;
	return rc;
}

int spread_end(struct hub *hub, struct member *m)
{
	return spread_move(hub, m, (struct sl_str){NULL, 0});
}

int spread_move(struct hub *hub, struct member *m, struct sl_str word)
{
	struct sl_buf b;
	int rc;

	spread_begin(&b, m->id);
	sl_buf_str(&b, word);
	rc = sl_buf_ok(&b);
	if (rc == 0)
		rc = route(hub, m, SPREAD_END, sl_buf_view(&b));
	sl_buf_free(&b);
	return rc;
}

/* The hold is taken off first: what is routed now must not come to wait in it again. */
void spread_release(struct hub *hub, struct member *m)
{
	struct hold *h = m->hold;
	struct waiting *w;

	m->hold = NULL;
	while ((w = hold_take(h)) != NULL) {
		(void)route(hub, m, w->type, (struct sl_str){(const char *)w->data, w->len});
		free(w);
	}
	hold_free(h);
}

/* ---- what others say */

/*
 * Whoever is given a peer takes it, asked for (still) or not: its giver does not have it any more,
 * and everybody is being told that it is here.
 */
static void on_given_to_us(struct hub *hub, struct member *m, uint32_t giver)
{
	if (m->hold || hold_new(m)) {
		m->hold->giver = giver;
		return;
	}
	spread_leave(hub, m->id, "error"); /* no memory even for this */
	spread_forget(hub, m, "error");
}

/* The first news of a peer and the news that it moved are the same message. */
static void on_peer(struct hub *hub, uint32_t from, uint64_t id, struct sl_reader *r)
{
	struct member_opts o = {.id = id, .owner = sl_read_u32(r), .version = sl_read_u8(r)};
	struct member *m;

	o.room = sl_read_lstr(r);
	o.name = sl_read_lstr(r);
	if (r->failed || o.room.len == 0)
		return;
	m = roster_find(&hub->roster, id);
	if (!hub->io->is_alive(hub->io_arg, o.owner)) { /* its end may have been told before this */
		if (m && !m->peer)
			spread_forget(hub, m, "lost");
		return;
	}
	if (!m && roster_add(&hub->roster, &o, &m) == 0) {
		join_announce(m);
		guest_joined(hub, m);
	}
	if (!m || m->peer) /* only we can give away what is ours */
		return;
	m->owner = o.owner;
	m->told_by = from;
	if (o.owner == hub->self)
		on_given_to_us(hub, m, from);
}

/* Only who has a peer can tell its end: one that hoped to get it may be mistaken. */
static void on_leave(struct hub *hub, uint32_t from, uint64_t id, struct sl_reader *r)
{
	static const char *const reasons[] = {"leave",	  "lost",   "timeout",
					      "overflow", "kicked", "moved", "error"};
	struct member *m = roster_find(&hub->roster, id);
	struct sl_str said = sl_read_lstr(r);
	const char *reason = "leave";

	for (size_t i = 0; i < SL_ARRAY_LEN(reasons); i++)
		if (sl_str_eq(said, sl_str_c(reasons[i])))
			reason = reasons[i];
	if (m && !m->peer && m->owner == from)
		spread_forget(hub, m, reason);
}

/* Travels towards a member. Who asks for one that is gone waits for an answer. */
static void on_routed(struct hub *hub, struct member *m, uint16_t type, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	struct sl_buf b;

	if (m) {
		if (route(hub, m, type, data) < 0)
			sl_count(&hub->m[M_CHANNEL_FAILURES]);
		return;
	}
	if (type != SPREAD_TAKE)
		return;
	(void)sl_read_u8(&r);
	spread_begin(&b, sl_read_u64(&r));
	spread_post(hub, sl_read_u32(&r), SPREAD_REFUSED, &b);
}

/*
 * Messages of other workers are trusted in what they say, not in their form: generations may
 * differ.
 */
static void receive(struct hub *hub, uint32_t from, uint16_t type, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	bool known = sl_read_u8(&r) == LAYOUT;
	uint64_t id = sl_read_u64(&r);
	struct member *m = roster_find(&hub->roster, id);

	if (!known || r.failed) {
		sl_count(&hub->m[M_CHANNEL_FAILURES]);
		return;
	}
	switch (type) {
	case SPREAD_ASK:
		if (id != 0)
			answer_about(hub, from, id);
		else
			answer_ask(hub, from);
		return;
	case SPREAD_SYNCED:
		awaited_no_more(hub, from);
		return;
	case SPREAD_PEER:
		on_peer(hub, from, id, &r);
		return;
	case SPREAD_LEAVE:
		on_leave(hub, from, id, &r);
		return;
	case SPREAD_DELIVER:
	case SPREAD_TAKE:
	case SPREAD_END:
		on_routed(hub, m, type, data);
		return;
	case SPREAD_REFUSED:
		handover_refused(hub, m);
		return;
	default: /* of a newer generation, or the state of a peer */
		handover_state(hub, m, type, &r);
		return;
	}
}

void spread_receive(struct hub *hub, uint32_t from, uint16_t type, struct sl_str data)
{
	receive(hub, from, type, data);
	hub_settle(hub);
}

/* ---- ends */

/* Its room mates are told by their own worker; nothing of it stays in their pairs and sources. */
void spread_forget(struct hub *hub, struct member *m, const char *reason)
{
	struct conn *taker = handover_give_up(m);
	struct peer_info info;
	struct sl_buf b;

	for (struct member *mate = m->room->first; mate; mate = mate->next) {
		if (mate == m || !mate->peer)
			continue;
		pair_drop(&mate->peer->pairs, m->id);
		source_drop(&mate->peer->sources, m->id);
		peer_info(mate, m, &info);
		sl_buf_init(&b, 0);
		say_left(&b, &info, reason);
		if (sl_buf_ok(&b) == 0)
			peer_deliver(mate->peer, sl_buf_view(&b));
		sl_buf_free(&b);
	}
	guest_left(hub, m, reason);
	roster_remove(&hub->roster, m);
	if (!taker)
		return;
	join_resume_failed(taker, "this peer is gone");
	turns_hear_again(taker);
}

/*
 * Its peers are gone, and so is one that it was giving to us: others may believe that we have it.
 * For one that we take from somebody else the dead one may have carried our question.
 */
static void mourn(struct hub *hub, struct member *m, uint32_t dead)
{
	bool with_it = m->owner == dead || (m->hold && m->hold->giver == dead);

	if (m->peer)
		return;
	if (!with_it) {
		if (m->told_by == dead)
			ask_about(hub, m);
		if (m->hold && !m->hold->giver)
			handover_ask_again(hub, m);
		return;
	}
	if (m->hold)
		spread_leave(hub, m->id, "lost");
	sl_count(&hub->m[M_PEERS_LOST]);
	spread_forget(hub, m, "lost");
}

/*
 * Nothing comes from that worker any more: the core has seen to it that this is the last of it.
 */
void spread_gone(struct hub *hub, uint32_t owner)
{
	const struct sl_htab *t = &hub->roster.members;
	struct sl_hnode *n, *next;

	for (n = sl_htab_first(t); n; n = next) {
		next = sl_htab_next(t, n);
		mourn(hub, SL_CONTAINER(n, struct member, node), owner);
	}
	for (struct peer *p = hub->peers; p; p = p->next)
		source_drop(&p->sources, owner); /* what it said itself */
	awaited_no_more(hub, owner);
	hub_settle(hub);
}
