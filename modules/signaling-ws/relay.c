/*
 * signaling-ws/relay.c: what one peer says to another, or to all others in its room.
 *
 * The text is passed on as it came, but for what was meant for the server, and with the sender's
 * id. A candidate waits in the sender's pair until the description that it belongs to has passed
 * the same way.
 */
#include "hub.h"

#include <stdlib.h>

#define BODY_MAX 65000 /* what the channel between workers takes, with its head and a number */

struct outgoing {
	struct peer *from;
	const struct message *m;
	struct sl_str sdp;
	uint64_t ufrag; /* hash; 0: none */
	struct sl_str body;
};

/* To say it to all takes one permission more. */
static uint8_t permission_for(const struct message *m)
{
	uint8_t bit = m->type == CLIENT_MESSAGE ? MAY_MESSAGE : MAY_SIGNAL;

	return m->to ? bit : bit | MAY_BROADCAST;
}

/* The description first, then what waited for it. */
static enum client_error relay_description(const struct outgoing *o, struct member *to)
{
	struct pair *pair = pair_get(&o->from->pairs, to->id);
	struct held *h;

	if (!pair)
		return CLIENT_E_SERVER_ERROR;
	if (spread_deliver(o->from, to, o->body) < 0)
		return CLIENT_E_BUSY;
	pair_description(pair, o->sdp);
	while ((h = pair_take(pair)) != NULL) {
		int rc = spread_deliver(o->from, to, (struct sl_str){h->body, h->len});

		free(h);
		if (rc < 0)
			return CLIENT_E_BUSY;
	}
	return CLIENT_FINE;
}

static enum client_error relay_candidate(const struct outgoing *o, struct member *to)
{
	struct hub *hub = o->from->hub;
	struct pair *pair = pair_get(&o->from->pairs, to->id);

	if (!pair)
		return CLIENT_E_SERVER_ERROR;
	if (pair_lets_pass(pair, o->ufrag))
		return spread_deliver(o->from, to, o->body) < 0 ? CLIENT_E_BUSY : CLIENT_FINE;
	if (pair_hold(pair, o->ufrag, o->body, (size_t)hub->conf->max_candidates) < 0)
		return CLIENT_E_TOO_MANY_CANDIDATES;
	sl_count(&hub->m[M_CANDIDATES_HELD]);
	return CLIENT_FINE;
}

/* How long a call takes to begin: from joining to the first offer or answer. */
static void count_setup(struct peer *p)
{
	if (p->joined_ms == 0)
		return;
	sl_histogram_add(&p->hub->m[M_SETUP_TIME], (p->hub->now_ms - p->joined_ms) * 1000);
	p->joined_ms = 0;
}

/* What is neither description nor candidate has no order to wait for but its own. */
static enum client_error relay_to(const struct outgoing *o, struct member *to)
{
	switch (o->m->type) {
	case CLIENT_OFFER:
	case CLIENT_ANSWER:
		count_setup(o->from);
		return relay_description(o, to);
	case CLIENT_CANDIDATE:
		return relay_candidate(o, to);
	case CLIENT_BYE:
		pair_forget(o->from->pairs, to->id);
		break;
	default:
		break;
	}
	return spread_deliver(o->from, to, o->body) < 0 ? CLIENT_E_BUSY : CLIENT_FINE;
}

/* To all: one who cannot be reached does not keep the others from hearing it. */
static enum client_error relay(const struct outgoing *o)
{
	const struct member *self = o->from->member;
	enum client_error e = CLIENT_FINE;
	struct member *to;

	if (o->m->to) {
		to = roster_find(&o->from->hub->roster, o->m->to);
		return to && to != self && to->room == self->room ? relay_to(o, to)
								  : CLIENT_E_NO_SUCH_PEER;
	}
	for (to = self->room->first; to; to = to->next) {
		enum client_error e_to = to == self ? CLIENT_FINE : relay_to(o, to);

		if (e_to)
			e = e_to;
	}
	return e;
}

static const char *sentence_of(enum client_error e)
{
	switch (e) {
	case CLIENT_E_NO_SUCH_PEER:
		return "nobody in this room has this id";
	case CLIENT_E_TOO_MANY_CANDIDATES:
		return "too many candidates wait for their description";
	case CLIENT_E_BUSY:
		return "the message could not be passed on; try again";
	default:
		return "the message could not be passed on";
	}
}

/* For the session table. */
static void count_in(struct peer *p, size_t len)
{
	if (!p->session)
		return;
	p->session->stats->packets_in++;
	p->session->stats->bytes_in += len;
	p->session->stats->last_receive_ms = p->hub->now_ms;
}

/* What the server looks into is read before the message is changed. */
enum verdict relay_message(struct conn *c, struct message *m)
{
	struct outgoing o = {.from = c->peer, .m = m, .sdp = message_sdp(m)};
	struct sl_str ufrag = message_ufrag(m);
	enum client_error e = CLIENT_E_SERVER_ERROR;
	struct sl_buf body;

	if (!c->peer)
		return conn_refuse(c, CLIENT_E_NOT_JOINED, "join a room first", m);
	if ((permission_for(m) & ~c->peer->may) != 0)
		return conn_refuse(c, CLIENT_E_FORBIDDEN, "the token does not permit this", m);
	if (c->version > 0 && !message_is_whole(m))
		return conn_refuse(c, CLIENT_E_BAD_MESSAGE,
				   "sdp or candidate is not what it should be", m);
	if (ufrag.len > 0)
		o.ufrag = ufrag_hash(ufrag);
	sl_buf_init(&body, 0);
	message_relayed(m, c->peer->member->id, &body);
	o.body = sl_buf_view(&body);
	count_in(c->peer, body.len);
	if (body.len > BODY_MAX)
		e = CLIENT_E_BAD_MESSAGE;
	else if (sl_buf_ok(&body) == 0)
		e = relay(&o);
	sl_buf_free(&body);
	return e ? conn_refuse(c, e, sentence_of(e), m) : ACCEPTED;
}
