/*
 * signaling-ws/spread.c: the roster over all workers, and messages to peers wherever they are.
 *
 * The channel delivers in order per sender, and causally over senders. An owner tells all when a
 * peer of its own comes (PEER), moves (PEER with another owner) or leaves (LEAVE). A message goes
 * to the owner that this worker knows; whoever is not the owner any more passes it on by its own
 * roster. So that what is sent to a new owner does not overtake what still travels by the old one,
 * a sender that has used the old way first sends a FLUSH along it and holds back its messages until
 * the echo: on each hop FLUSH is treated as the messages are.
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

static int post(struct hub *hub, uint32_t to, uint16_t type, struct sl_str data)
{
	int rc = hub->io->post(hub->io_arg, to, type, data);

	if (rc < 0 &&
	    rc != -SL_ENOENT) /* what was for a dead worker is no failure: its end is told */
		sl_count(&hub->m[M_CHANNEL_FAILURES]);
	return rc;
}

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

void spread_leave(struct hub *hub, uint64_t id, const char *reason)
{
	struct sl_buf b;

	spread_begin(&b, id);
	sl_buf_lstr(&b, sl_str_c(reason));
	broadcast(hub, SPREAD_LEAVE, &b);
}

/* ---- start: the rosters of the others */

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

static void hear_waiting(struct hub *hub)
{
	struct conn *c, *next;

	for (c = hub->conns; c; c = next) {
		next = c->next;
		if (c->state == CONN_WAITING)
			conn_hear_again(c);
	}
}

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

/* ---- messages towards a member */

static void on_flushed(struct hub *hub, struct member *m, struct sl_reader *r)
{
	uint32_t number = sl_read_u32(r);

	if (!m || !m->hold || !(m->hold->why & HOLD_FLUSH) || m->hold->flush_number != number)
		return;
	m->hold->why &= (uint8_t)~HOLD_FLUSH;
	spread_release(hub, m);
}

/* The end of the way: whoever asked may send directly. m NULL: there is nobody to send to any more.
 */
static void echo_flush(struct hub *hub, uint64_t id, struct member *m, struct sl_reader *r)
{
	uint32_t asker = sl_read_u32(r);
	struct sl_buf b;

	if (asker == hub->self) { /* the peer has come to the one who asked */
		on_flushed(hub, m, r);
		return;
	}
	spread_begin(&b, id);
	sl_buf_u32(&b, sl_read_u32(r));
	spread_post(hub, asker, SPREAD_FLUSHED, &b);
}

/* To a peer of our own. */
static void arrive(struct hub *hub, struct member *m, uint16_t type, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p + HEAD_BYTES, data.len - HEAD_BYTES);

	if (type == SPREAD_DELIVER)
		peer_deliver(m->peer, (struct sl_str){(const char *)r.p, data.len - HEAD_BYTES});
	else if (type == SPREAD_FLUSH)
		echo_flush(hub, m->id, m, &r);
	else if (type == SPREAD_TAKE)
		handover_take(hub, m, &r);
}

/* One step on its way, whatever is held. */
static int pass_on(struct hub *hub, struct member *m, uint16_t type, struct sl_str data)
{
	if (m->peer) {
		arrive(hub, m, type, data);
		return 0;
	}
	m->sent = true;
	sl_count(&hub->m[M_MESSAGES_BETWEEN]);
	return post(hub, m->owner, type, data);
}

static int wait_in(struct hub *hub, struct hold *h, struct line *line, uint16_t type,
		   struct sl_str data)
{
	if (h->bytes + data.len > hub->conf->mailbox_bytes)
		return -SL_EFULL;
	return hold_add(h, line, type, data);
}

int spread_deliver(struct hub *hub, struct member *to, struct sl_str body)
{
	struct sl_buf b;
	int rc;

	if (to->peer && !to->hold) {
		peer_deliver(to->peer, body);
		return 0;
	}
	spread_begin(&b, to->id);
	sl_buf_str(&b, body);
	rc = sl_buf_ok(&b);
	if (rc == 0 && to->hold)
		rc = wait_in(hub, to->hold, &to->hold->out, SPREAD_DELIVER, sl_buf_view(&b));
	else if (rc == 0)
		rc = pass_on(hub, to, SPREAD_DELIVER, sl_buf_view(&b));
	sl_buf_free(&b);
	return rc == -SL_ENOENT
		       ? 0
		       : rc; /* its owner died just now: the peer is gone, as will be told */
}

/*
 * From another worker. For a peer that is here it goes straight in, also while our own clients'
 * messages to it are held: those come behind what they have sent the old way, and this is what came
 * that way.
 */
static int route(struct hub *hub, struct member *m, uint16_t type, struct sl_str data)
{
	struct hold *h = m->hold;

	if (m->peer || !h)
		return pass_on(hub, m, type, data);
	return wait_in(hub, h, h->why & HOLD_TAKE ? &h->in : &h->out, type, data);
}

static void empty(struct hub *hub, struct member *m, struct line *line)
{
	struct waiting *w;

	while ((w = hold_take(m->hold, line)) != NULL) {
		(void)pass_on(hub, m, w->type,
			      (struct sl_str){(const char *)w->data, w->len}); /* counted there */
		free(w);
	}
}

/* What comes meanwhile goes to the end of the same line. What is in the first line may release the
 * second. */
void spread_release(struct hub *hub, struct member *m)
{
	struct hold *h = m->hold;

	if (!h || h->releasing)
		return;
	h->releasing = true;
	if (!(h->why & HOLD_TAKE))
		empty(hub, m, &h->in);
	if (!h->why)
		empty(hub, m, &h->out);
	h->releasing = false;
	if (!h->why)
		hold_free(m);
}

/* ---- what others say */

static void begin_flush(struct hub *hub, struct member *m, uint32_t via)
{
	struct hold *h = hold_get(m);
	struct sl_buf b;

	if (!h) /* out of memory: better out of order than silent */
		return;
	h->why |= HOLD_FLUSH;
	h->flush_number = ++hub->flush_number;
	h->flush_via = via;
	spread_begin(&b, m->id);
	sl_buf_u32(&b, hub->self);
	sl_buf_u32(&b, h->flush_number);
	spread_post(hub, via, SPREAD_FLUSH, &b);
}

static void on_moved(struct hub *hub, struct member *m, uint32_t from, uint32_t owner)
{
	uint32_t old = m->owner;
	bool sent = m->sent;

	if (m->peer) /* only we can give it away */
		return;
	if (owner == hub->self) { /* it is about to come, if we asked for it */
		if (m->hold && m->hold->why & HOLD_TAKE) {
			m->hold->giver = from;
			m->owner = owner;
		}
		return;
	}
	m->owner = owner;
	m->sent = false;
	if (sent && old != owner && old != hub->self)
		begin_flush(hub, m, old);
}

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
	if (m)
		on_moved(hub, m, from, o.owner);
	else if (o.owner != hub->self && roster_add(&hub->roster, &o, &m) == 0)
		join_announce(m);
}

static void on_leave(struct hub *hub, uint64_t id, struct sl_reader *r)
{
	static const char *const reasons[] = {"leave",	  "lost",   "timeout",
					      "overflow", "kicked", "error"};
	struct member *m = roster_find(&hub->roster, id);
	struct sl_str said = sl_read_lstr(r);
	const char *reason = "leave";

	for (size_t i = 0; i < SL_ARRAY_LEN(reasons); i++)
		if (sl_str_eq(said, sl_str_c(reasons[i])))
			reason = reasons[i];
	if (m && !m->peer)
		spread_forget(hub, m, reason);
}

/* Travels towards a member; for one that is gone only the askers wait. */
static void on_routed(struct hub *hub, struct member *m, uint16_t type, struct sl_str data)
{
	struct sl_reader r = sl_reader(data.p, data.len);
	uint64_t id;
	struct sl_buf b;

	if (m) {
		if (route(hub, m, type, data) < 0)
			sl_count(&hub->m[M_CHANNEL_FAILURES]);
		return;
	}
	(void)sl_read_u8(&r);
	id = sl_read_u64(&r);
	if (type == SPREAD_FLUSH) {
		echo_flush(hub, id, NULL, &r);
	} else if (type == SPREAD_TAKE) {
		spread_begin(&b, id);
		spread_post(hub, sl_read_u32(&r), SPREAD_REFUSED, &b);
	}
}

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
		answer_ask(hub, from);
		return;
	case SPREAD_SYNCED:
		awaited_no_more(hub, from);
		return;
	case SPREAD_PEER:
		on_peer(hub, from, id, &r);
		return;
	case SPREAD_LEAVE:
		on_leave(hub, id, &r);
		return;
	case SPREAD_DELIVER:
	case SPREAD_FLUSH:
	case SPREAD_TAKE:
		on_routed(hub, m, type, data);
		return;
	case SPREAD_FLUSHED:
		on_flushed(hub, m, &r);
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

void spread_forget(struct hub *hub, struct member *m, const char *reason)
{
	struct peer_info info;
	struct sl_buf b;

	for (struct member *mate = m->room->first; mate; mate = mate->next) {
		if (mate == m || !mate->peer)
			continue;
		pair_drop(&mate->peer->pairs, m->id);
		peer_info(mate, m, &info);
		sl_buf_init(&b, 0);
		say_left(&b, &info, reason);
		if (sl_buf_ok(&b) == 0)
			peer_deliver(mate->peer, sl_buf_view(&b));
		sl_buf_free(&b);
	}
	handover_give_up(hub, m);
	roster_remove(&hub->roster, m);
}

/* The way of a FLUSH or a TAKE may have led through the dead worker. */
static void mend_hold(struct hub *hub, struct member *m, uint32_t dead)
{
	struct hold *h = m->hold;

	if (h->why & HOLD_FLUSH) {
		uint32_t via = h->flush_via;

		h->why &= (uint8_t)~HOLD_FLUSH;
		if (via != dead)
			begin_flush(hub, m, via);
	}
	if (h->why & HOLD_TAKE && !h->giver)
		handover_ask_again(hub, m);
	spread_release(hub, m);
}

/* Its peers are gone, and so is one that it was giving to us: others may believe that we have it.
 */
static void mourn(struct hub *hub, struct member *m, uint32_t dead)
{
	bool was_coming =
		m->hold && m->hold->why & HOLD_TAKE && (m->owner == dead || m->hold->giver == dead);

	if (m->peer || (m->owner != dead && !was_coming)) {
		if (m->hold)
			mend_hold(hub, m, dead);
		return;
	}
	if (was_coming)
		spread_leave(hub, m->id, "lost");
	sl_count(&hub->m[M_PEERS_LOST]);
	spread_forget(hub, m, "lost");
}

void spread_gone(struct hub *hub, uint32_t owner)
{
	const struct sl_htab *t = &hub->roster.members;
	struct sl_hnode *n, *next;

	for (n = sl_htab_first(t); n; n = next) {
		next = sl_htab_next(t, n);
		mourn(hub, SL_CONTAINER(n, struct member, node), owner);
	}
	awaited_no_more(hub, owner);
	hub_settle(hub);
}
