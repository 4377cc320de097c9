/*
 * signaling-ws/hub.c: the WebSockets of one worker: what they say is read here and handed to its
 * part.
 *
 * Every entry from outside ends with hub_settle(): peers that have to go because of what happened
 * (a full mailbox) are only marked while rooms are walked, and leave here. Messages with numbers
 * are accepted once per peer, whatever socket they came by.
 */
#include "hub.h"

#include <stdlib.h>

/* The sentences are for people who look at a console; programs go by the code. */
static const char *sentence_of(enum client_error e)
{
	switch (e) {
	case CLIENT_E_MAILBOX_FULL:
		return "too many messages wait to be acknowledged";
	case CLIENT_E_KICKED:
		return "the operator has ended this session";
	default:
		return "the server cannot go on with this peer";
	}
}

/* What the room mates are told. */
static const char *reason_of(enum client_error e)
{
	switch (e) {
	case CLIENT_E_MAILBOX_FULL:
		return "overflow";
	case CLIENT_E_KICKED:
		return "kicked";
	default:
		return "error";
	}
}

/* The peer goes first, so that its room hears of it before the client can come back. */
static void end_doomed(struct peer *p)
{
	struct conn *c = p->conn;
	enum client_error e = p->doomed;

	if (p->moved) { /* its socket has no peer then, and waits for a join */
		peer_end(p, "moved");
		return;
	}
	peer_end(p, reason_of(e));
	if (!c)
		return;
	conn_error(c, e, sentence_of(e), NULL);
	conn_close(c, e == CLIENT_E_KICKED ? CLOSE_KICKED : CLOSE_MAILBOX_FULL, e);
}

/*
 * Ends of peers are messages to others, which may overflow the next mailbox: until nobody is left.
 */
void hub_settle(struct hub *hub)
{
	while (hub->any_doomed) {
		struct peer *p = hub->peers, *next;

		hub->any_doomed = false;
		for (; p; p = next) {
			next = p->next;
			if (p->doomed)
				end_doomed(p);
		}
	}
}

/* ---- speaking */

/* Out of memory for an answer: a client that waits for it would wait for ever, one without a socket
 * comes back. */
void conn_say(struct conn *c, struct sl_buf *text)
{
	if (sl_buf_ok(text) < 0) {
		conn_close(c, CLOSE_RESTART, CLIENT_E_SERVER_ERROR);
	} else if (c->ws && c->state != CONN_CLOSING) {
		/* A failure closes the socket, and its end is told by hub_conn_closed. */
		(void)c->hub->io->send(c->hub->io_arg, c->ws, sl_buf_view(text));
		sl_count(&c->hub->m[M_MESSAGES_OUT]);
	}
	sl_buf_free(text);
}

void conn_error(struct conn *c, enum client_error e, const char *sentence, const json_t *id)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	say_error(&b, e, sentence, id);
	conn_say(c, &b);
}

/*
 * Every refusal is answered and counted, and none of them ends the connection by itself: a client
 * with one bad message may be of a newer version.
 */
enum verdict conn_refuse(struct conn *c, enum client_error e, const char *sentence,
			 const struct message *m)
{
	sl_count(&c->hub->m[M_BAD_MESSAGES]);
	conn_error(c, e, sentence, m->id);
	return REFUSED;
}

/* What is queued before it still goes out; from now on nothing that the client says counts. */
void conn_close(struct conn *c, unsigned code, enum client_error e)
{
	if (c->state == CONN_CLOSING)
		return;
	c->state = CONN_CLOSING;
	if (c->ws)
		c->hub->io->close(c->hub->io_arg, c->ws, code, sl_str_c(client_error_code(e)));
}

/* ---- hearing */

static const char *read_error(enum client_error e)
{
	switch (e) {
	case CLIENT_E_BAD_JSON:
		return "not one JSON object";
	case CLIENT_E_UNKNOWN_TYPE:
		return "no message of this type is known";
	case CLIENT_E_NO_SUCH_PEER:
		return "\"to\" is not the id of a peer";
	default:
		return "id, ack or seq is not what it should be";
	}
}

/* Of the application: a browser cannot see the WebSocket's own pings, and wants to know, too. */
static enum verdict answer_ping(struct conn *c)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	say_pong(&b);
	conn_say(c, &b);
	return ACCEPTED;
}

/*
 * Joins and resumes need the whole roster: before it is there, a resume would fail for no reason.
 */
static enum verdict dispatch(struct conn *c, struct message *m)
{
	switch (m->type) {
	case CLIENT_HELLO:
		return join_hello(c, m);
	case CLIENT_JOIN:
		return spread_is_synced(c->hub) ? join_room(c, m) : LATER;
	case CLIENT_RESUME:
		return spread_is_synced(c->hub) ? join_resume(c, m) : LATER;
	case CLIENT_LEAVE:
		return join_leave(c, m);
	case CLIENT_PING:
		return answer_ping(c);
	case CLIENT_ACK:
		return ACCEPTED;
	case CLIENT_OTHER:
		return guest_message(c, m);
	default:
		return relay_message(c, m);
	}
}

static void say_accepted(struct conn *c, const struct message *m)
{
	struct sl_buf b;

	if (!m->id)
		return;
	sl_buf_init(&b, 0);
	say_ack(&b, m->id);
	conn_say(c, &b);
}

/* A number that was there before: the answer got lost with a socket, and the message is not done
 * twice. */
static bool is_repeated(const struct conn *c, const struct message *m)
{
	return m->number && c->version > 0 && c->peer && m->number <= c->peer->last_number;
}

/* Also of a refused message: to send the same again would be refused again. */
static void remember_number(struct conn *c, const struct message *m)
{
	if (c->peer && m->number > c->peer->last_number)
		c->peer->last_number = m->number;
}

bool conn_handle(struct conn *c, struct sl_str text)
{
	struct message m;
	enum client_error e = message_read(&m, text);
	enum verdict v = REFUSED;

	if (e)
		(void)conn_refuse(c, e, read_error(e), &m);
	else if (c->peer && m.ack && mailbox_ack(&c->peer->box, m.ack) < 0)
		(void)conn_refuse(c, CLIENT_E_BAD_MESSAGE, "no such number was given out", &m);
	else
		v = is_repeated(c, &m) ? ACCEPTED : dispatch(c, &m);
	if (v != LATER)
		remember_number(c, &m);
	if (v == ACCEPTED)
		say_accepted(c, &m);
	message_free(&m);
	if (c->peer)
		peer_pump(c->peer);
	return v == LATER;
}

/* ---- life of a connection */

const uint64_t signal_time_bounds[] = {1000,   5000,	10000,	 25000,	  50000,    100000, 250000,
				       500000, 1000000, 2500000, 5000000, 10000000, 0};

struct conn *hub_conn_new(struct hub *hub, struct claims *claims, char *host)
{
	struct conn *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->hub = hub;
	c->tail = &c->first;
	c->claims = *claims;
	c->host = host;
	c->opened_ms = hub->now_ms;
	c->deadline_ms = hub->now_ms + hub->conf->join_timeout;
	bucket_fill(&c->bucket, (uint32_t)hub->conf->burst, hub->now_ms);
	c->next = hub->conns;
	if (c->next)
		c->next->prev = c;
	hub->conns = c;
	sl_gauge_add(&hub->m[M_CONNECTIONS], 1);
	return c;
}

/*
 * Nothing is said before the client has spoken: clients of version 0 may be puzzled by a greeting.
 */
void hub_conn_opened(struct conn *c, struct sl_ws *ws)
{
	c->ws = ws;
}

static bool is_throttled(struct conn *c)
{
	const struct signal_conf *conf = c->hub->conf;

	if (bucket_take(&c->bucket, (uint32_t)conf->rate, (uint32_t)conf->burst, c->hub->now_ms)) {
		c->throttled = false;
		return false;
	}
	sl_count(&c->hub->m[M_RATE_LIMITED]);
	if (!c->throttled) /* told once: an answer to each would be a flood of our own */
		conn_error(c, CLIENT_E_RATE_LIMITED, "too many messages; they are dropped for now",
			   NULL);
	c->throttled = true;
	return true;
}

/*
 * The one entry for what clients say. Flood first, for the bucket is the cheapest check there is.
 */
void hub_conn_text(struct conn *c, struct sl_str text, bool binary)
{
	if (c->state == CONN_CLOSING)
		return;
	sl_count(&c->hub->m[M_MESSAGES_IN]);
	if (is_throttled(c))
		return;
	if (binary)
		conn_error(c, CLIENT_E_BAD_MESSAGE, "messages are text", NULL);
	else
		turns_hear(c, text);
	hub_settle(c->hub);
}

/* The last of it: nobody refers to it any more. */
static void conn_free(struct conn *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		c->hub->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	turns_forget(c);
	sl_gauge_add(&c->hub->m[M_CONNECTIONS], -1);
	claims_free(&c->claims);
	free(c->host);
	free(c);
}

/*
 * A browser that leaves the page says 1001 and one that hangs up 1000; a network that went away
 * says nothing (1006), and its peer waits for a resume. Our own codes leave the peer, too.
 */
void hub_conn_closed(struct conn *c, unsigned code)
{
	struct hub *hub = c->hub;
	bool on_purpose = code == CLOSE_NORMAL || code == CLOSE_GOING_AWAY || c->version == 0;

	c->ws = NULL;
	turns_hear_last(c);
	if (c->taking && c->taking->hold)
		c->taking->hold->taker = NULL;
	if (c->peer && on_purpose)
		peer_end(c->peer, "leave");
	else if (c->peer)
		peer_detach(c->peer);
	conn_free(c);
	hub_settle(hub);
}

/* ---- time and the operator */

/*
 * A connection that waits for the roster is asked again; one that waits for another worker, or for
 * its client to join, has its time.
 */
static void conn_tick(struct conn *c)
{
	bool late = c->deadline_ms && c->hub->now_ms >= c->deadline_ms;

	if (c->state == CONN_WAITING && spread_is_synced(c->hub)) {
		turns_hear_again(c);
	} else if (c->state == CONN_TAKING && late) {
		if (c->taking->hold)
			c->taking->hold->taker = NULL;
		join_resume_failed(c, "the worker of this peer does not answer");
		turns_hear_again(c);
	} else if (c->state == CONN_NEW && late && !c->first) {
		conn_error(c, CLIENT_E_IDLE, "nobody joined in time", NULL);
		conn_close(c, CLOSE_IDLE, CLIENT_E_IDLE);
	}
}

/*
 * The deadline means two things: with a socket the renewal of ICE servers, without one the end.
 */
static void peer_tick(struct peer *p)
{
	peer_hear_late(p);
	peer_pump(p);
	if (!p->deadline_ms || p->hub->now_ms < p->deadline_ms)
		return;
	if (p->conn)
		peer_send_ice(p);
	else
		peer_end(p, "timeout");
}

/* A scan of all: at 100 000 peers a few milliseconds a second, and no timer in each of them. */
void hub_tick(struct hub *hub)
{
	struct conn *c, *next_conn;
	struct peer *p, *next_peer;

	spread_tick(hub);
	for (c = hub->conns; c; c = next_conn) {
		next_conn = c->next;
		conn_tick(c);
	}
	for (p = hub->peers; p; p = next_peer) {
		next_peer = p->next;
		peer_tick(p);
	}
	hub_settle(hub);
}

/* Called while the core walks its sessions: nobody else may go now, and so the peer itself goes
 * with the next tick. */
void hub_evict(struct peer *p, const char *why)
{
	struct sl_buf b;

	if (strcmp(why, "drain") != 0) {
		peer_doom(p, CLIENT_E_KICKED);
		return;
	}
	if (!p->conn || p->conn->version == 0)
		return;
	sl_buf_init(&b, 0);
	say_reconnect(&b, p->hub->conf->reconnect_spread);
	conn_say(p->conn, &b);
}

/* Only its own peers: every worker hears of the dead one by itself. */
void hub_room_lost(struct hub *hub, struct room *room)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	say_restart(&b, "lost");
	for (struct member *m = room->first; m && sl_buf_ok(&b) == 0; m = m->next)
		if (m->peer)
			peer_deliver(m->peer, sl_buf_view(&b));
	sl_buf_free(&b);
	hub_settle(hub);
}

/* The process ends: other workers hear that from the core, clients from their sockets. */
void hub_free(struct hub *hub)
{
	const struct sl_htab *t = &hub->roster.members;

	while (hub->peers)
		peer_close(hub->peers, "stop");
	while (hub->conns)
		conn_free(hub->conns);
	for (struct sl_hnode *n = sl_htab_first(t); n; n = sl_htab_next(t, n)) {
		struct member *m = SL_CONTAINER(n, struct member, node);

		if (m->hold)
			peer_free(m->hold->coming);
	}
	roster_free(&hub->roster);
	hub->roster = (struct roster){0};
}
