/*
 * signaling-ws/peer.c: a peer that this worker owns: what it is told, and how it ends.
 *
 * Everything said to a peer goes through peer_deliver(), so that numbers, mailbox and socket agree.
 * A peer without socket keeps collecting until resume_timeout. Clients of protocol version 0 cannot
 * acknowledge: nothing is kept for them.
 */
#include "hub.h"

#include <stdlib.h>

struct peer *peer_new(struct hub *hub, struct member *m)
{
	struct peer *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->hub = hub;
	p->member = m;
	mailbox_init(&p->box, (size_t)hub->conf->mailbox_messages, hub->conf->mailbox_bytes);
	return p;
}

void peer_free(struct peer *p)
{
	if (!p)
		return;
	mailbox_free(&p->box);
	pairs_free(&p->pairs);
	sources_free(&p->sources);
	free(p);
}

/*
 * From here on others may be told: the entry in the shared table is what `sluice sessions` shows.
 */
int peer_open(struct peer *p, bool counted)
{
	struct hub *hub = p->hub;
	int rc = hub->io->session_open(hub->io_arg, p, counted);

	if (rc < 0)
		return rc;
	p->next = hub->peers;
	if (p->next)
		p->next->prev = p;
	hub->peers = p;
	p->member->peer = p;
	p->member->owner = hub->self;
	sl_gauge_add(&hub->m[M_PEERS], 1);
	return 0;
}

/* The member stays in the roster, for it may belong to another worker now. */
void peer_close(struct peer *p, const char *why)
{
	struct hub *hub = p->hub;

	hub->io->session_close(hub->io_arg, p, why);
	peer_detach(p);
	if (p->prev)
		p->prev->next = p->next;
	else
		hub->peers = p->next;
	if (p->next)
		p->next->prev = p->prev;
	p->member->peer = NULL;
	sl_gauge_add(&hub->m[M_PEERS], -1);
	peer_free(p);
}

/* ---- its socket */

/* A second socket with the right token wins: the first one is mostly dead without knowing. */
void peer_attach(struct peer *p, struct conn *c)
{
	struct conn *old = p->conn;

	if (old) {
		peer_detach(p);
		conn_error(old, CLIENT_E_REPLACED, "this peer goes on over another connection",
			   NULL);
		conn_close(old, CLOSE_REPLACED, CLIENT_E_REPLACED);
	}
	p->conn = c;
	p->deadline_ms = 0;
	c->peer = p;
	c->state = CONN_JOINED;
	c->deadline_ms = 0;
}

/*
 * Without socket it lives on; with the connection nothing has happened that it would have to know.
 */
void peer_detach(struct peer *p)
{
	const struct hub *hub = p->hub;
	struct conn *c = p->conn;

	p->conn = NULL;
	p->deadline_ms = hub->now_ms + hub->conf->resume_timeout;
	if (!c)
		return;
	c->peer = NULL;
	if (c->state == CONN_JOINED)
		c->state = CONN_NEW;
	c->deadline_ms = hub->now_ms + hub->conf->join_timeout;
}

/* ---- what it is told */

/* Not at once: whoever walks a room must find it as it was. */
void peer_doom(struct peer *p, enum client_error why)
{
	if (!p->doomed)
		p->doomed = why;
	p->hub->any_doomed = true;
}

/* One that a module has brought has no client that could follow. */
int peer_move(struct peer *p, struct sl_str word)
{
	if (p->hosted)
		return -SL_EUNSUPP;
	if (p->doomed)
		return -SL_ENOENT;
	peer_deliver(p, word);
	if (p->doomed) /* by an overflow: that comes first */
		return -SL_ENOENT;
	p->moved = true;
	peer_doom(p, CLIENT_E_KICKED);
	return 0;
}

/* Bytes are counted for the session table, as the relay counts its own. */
static void send_text(struct peer *p, struct sl_str text)
{
	struct hub *hub = p->hub;

	if (!p->conn || !p->conn->ws || p->conn->state == CONN_CLOSING)
		return;
	/* A failure closes the socket; the letter stays and waits for a resume. */
	(void)hub->io->send(hub->io_arg, p->conn->ws, text);
	sl_count(&hub->m[M_MESSAGES_OUT]);
	if (p->session) {
		p->session->stats->packets_out++;
		p->session->stats->bytes_out += text.len;
	}
}

void peer_deliver(struct peer *p, struct sl_str body)
{
	const struct letter *letter;

	if (p->doomed)
		return;
	if (p->hosted) {
		guest_delivered(p->hub, p->member, body);
		return;
	}
	if (p->member->version == 0) {
		send_text(p, body);
		return;
	}
	if (mailbox_put(&p->box, body, &letter) < 0) {
		sl_count(&p->hub->m[M_MAILBOX_OVERFLOWS]);
		peer_doom(p, CLIENT_E_MAILBOX_FULL);
		return;
	}
	if (!p->replay_seq) /* else it comes behind what waits */
		send_text(p, (struct sl_str){letter->text, letter->len});
}

/* Usually none. */
static void deliver_late(struct peer *p, struct source *s)
{
	struct late *l;

	while ((l = source_take(s, p->hub->now_ms)) != NULL) {
		peer_deliver(p, (struct sl_str){l->body, l->len});
		free(l);
	}
}

/*
 * In order per sender. What two senders say to one has no order among each other that anybody could
 * know.
 */
void peer_hear(struct peer *p, uint64_t from, uint32_t number, struct sl_str body)
{
	struct source *s = source_get(&p->sources, from);

	if (!s) { /* out of memory: a gap in what it hears must not go unnoticed */
		peer_doom(p, CLIENT_E_SERVER_ERROR);
		return;
	}
	if (source_accept(s, number, body, p->hub->now_ms) == 0)
		peer_deliver(p, body);
	deliver_late(p, s);
}

void peer_hear_late(struct peer *p)
{
	for (struct source *s = p->sources; s; s = s->next)
		deliver_late(p, s);
}

void peer_replay(struct peer *p)
{
	p->replay_seq = p->box.first ? p->box.first->seq : 0;
	peer_pump(p);
}

/* Half of the queue at most: a whole mailbox at once would look like a slow reader. */
void peer_pump(struct peer *p)
{
	const struct hub *hub = p->hub;
	const struct letter *l = p->box.first;

	if (!p->replay_seq || !p->conn || !p->conn->ws)
		return;
	while (l && l->seq < p->replay_seq)
		l = l->next;
	for (; l; l = l->next) {
		size_t queued = hub->io->queued(hub->io_arg, p->conn->ws);

		if (queued > 0 && queued + l->len > hub->conf->max_queue / 2) {
			p->replay_seq = l->seq;
			return;
		}
		send_text(p, (struct sl_str){l->text, l->len});
	}
	p->replay_seq = 0;
}

uint64_t peer_ice_deadline(const struct hub *hub, uint64_t ttl_s)
{
	return ttl_s > 0 ? hub->now_ms + ttl_s * 750 : 0; /* three quarters of the life */
}

void peer_send_ice(struct peer *p)
{
	struct hub *hub = p->hub;
	struct sl_buf servers, b;
	char id[ID_STRLEN];
	uint64_t ttl_s = 0;
	int rc;

	sl_buf_init(&servers, 0);
	sl_buf_init(&b, 0);
	rc = hub->io->ice_servers(hub->io_arg, sl_str_c(p->conn->host),
				  sl_str_c(id_format(id, p->member->id)), &servers, &ttl_s);
	p->deadline_ms =
		peer_ice_deadline(hub, rc < 0 ? 1 : ttl_s); /* after a failure soon again */
	say_ice(&b, sl_buf_view(&servers), ttl_s);
	if (rc == 0 && sl_buf_ok(&servers) == 0 && sl_buf_ok(&b) == 0) {
		sl_count(&hub->m[M_ICE_RENEWALS]);
		peer_deliver(p, sl_buf_view(&b));
	}
	sl_buf_free(&servers);
	sl_buf_free(&b);
}

/* ---- its end */

/* Others hear it once, from the owner. */
void peer_end(struct peer *p, const char *reason)
{
	struct hub *hub = p->hub;
	struct member *m = p->member;

	peer_close(p, reason);
	spread_leave(hub, m->id, reason);
	spread_forget(hub, m, reason);
}

void peer_info(const struct member *self, const struct member *other, struct peer_info *ret_info)
{
	*ret_info = (struct peer_info){
		.id = other->id,
		.name = other->name,
		.version = other->version,
		.polite = member_is_polite(self, other),
	};
}
