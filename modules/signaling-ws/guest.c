/*
 * signaling-ws/guest.c: a module that takes part in the rooms (sluice/signal.h): it hears of peers
 * and the messages that are for it, and speaks to peers.
 *
 * What it says goes the way of peers' messages: to the owner, numbered per worker, so that it
 * arrives in order while the peer moves; then into the mailbox. Its types are unknown to
 * protocol.c.
 */
#include "hub.h"

#include <sluice/signal.h>

static struct sl_signal_peer describe(const struct hub *hub, const struct member *m)
{
	(void)hub;
	return (struct sl_signal_peer){
		.id = m->id,
		.room = m->room->name,
		.name = m->name,
		.grants = m->peer ? m->peer->grants : 0,
		.here = m->peer != NULL,
	};
}

void guest_joined(struct hub *hub, const struct member *m)
{
	const struct guest *g = &hub->guest;
	const struct sl_signal_peer p = describe(hub, m);

	if (g->handler && g->handler->joined)
		g->handler->joined(g->arg, &p);
}

void guest_welcome(struct hub *hub, const struct member *m, struct sl_buf *members)
{
	const struct guest *g = &hub->guest;
	const struct sl_signal_peer p = describe(hub, m);

	if (g->handler && g->handler->welcome)
		g->handler->welcome(g->arg, &p, members);
}

void guest_left(struct hub *hub, const struct member *m, const char *reason)
{
	const struct guest *g = &hub->guest;
	const struct sl_signal_peer p = describe(hub, m);

	if (g->handler && g->handler->left)
		g->handler->left(g->arg, &p, reason);
}

static bool is_for_guest(const struct guest *g, struct sl_str type)
{
	for (const char *const *t = g->types; t && *t; t++)
		if (sl_str_eq(type, sl_str_c(*t)))
			return true;
	return false;
}

enum verdict guest_message(struct conn *c, const struct message *m)
{
	const struct guest *g = &c->hub->guest;
	struct sl_str type = sl_json_get_str(m->json, "type");
	const char *sentence = "the message was refused";
	struct sl_signal_peer p;

	if (!is_for_guest(g, type))
		return conn_refuse(c, CLIENT_E_UNKNOWN_TYPE, "no message of this type is known", m);
	if (!c->peer)
		return conn_refuse(c, CLIENT_E_NOT_JOINED, "join a room first", m);
	p = describe(c->hub, c->peer->member);
	if (g->handler->message(g->arg, &p, type, m->json, &sentence) < 0)
		return conn_refuse(c, CLIENT_E_REFUSED, sentence, m);
	return ACCEPTED;
}

/* ---- the interface; self: struct hub */

static int guest_listen(void *self, const char *const *types, struct sl_str hello,
			const struct sl_signal_handler *h, void *arg)
{
	struct guest *g = &((struct hub *)self)->guest;

	if (g->handler)
		return -SL_EEXIST;
	if (hello.len < 2 || hello.len - 2 >= sizeof g->hello)
		return -SL_EINVAL;
	*g = (struct guest){.types = types, .handler = h, .arg = arg};
	/* The members without braces, behind those of our own messages. */
	(void)sl_str_copy(g->hello, sizeof g->hello, (struct sl_str){hello.p + 1, hello.len - 2});
	return 0;
}

static int guest_send(void *self, uint64_t peer, struct sl_str json)
{
	struct hub *hub = self;
	struct member *m = roster_find(&hub->roster, peer);

	return m ? spread_serve(hub, m, json) : -SL_ENOENT;
}

static bool guest_find(void *self, uint64_t peer, struct sl_signal_peer *ret_peer)
{
	struct hub *hub = self;
	const struct member *m = roster_find(&hub->roster, peer);

	if (m)
		*ret_peer = describe(hub, m);
	return m != NULL;
}

static void guest_each(void *self, struct sl_str room,
		       void (*fn)(void *arg, const struct sl_signal_peer *p), void *arg)
{
	struct hub *hub = self;
	const struct room *r = roster_room(&hub->roster, room);

	for (const struct member *m = r ? r->first : NULL, *next; m; m = next) {
		const struct sl_signal_peer p = describe(hub, m);

		next = m->next;
		fn(arg, &p);
	}
}

static int guest_end(void *self, uint64_t peer, const char *reason)
{
	struct hub *hub = self;
	struct member *m = roster_find(&hub->roster, peer);

	(void)reason; /* "kicked" is the only one there is */
	if (!m)
		return -SL_ENOENT;
	if (m->peer) {
		peer_doom(m->peer, CLIENT_E_KICKED); /* ends with the next call into the hub */
		return 0;
	}
	return spread_end(hub, m);
}

const struct sl_signal_iface guest_iface = {
	.listen = guest_listen,
	.send = guest_send,
	.find = guest_find,
	.each = guest_each,
	.end = guest_end,
};
