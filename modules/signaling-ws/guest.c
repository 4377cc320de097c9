/*
 * signaling-ws/guest.c: modules that take part in the rooms (sluice/signal.h): they hear of peers
 * and the messages that are for them, speak to peers, and bring peers of their own.
 *
 * What they say goes the way of peers' messages: to the owner, numbered per worker, so that it
 * arrives in order while the peer moves; then into the mailbox. Their types are unknown to
 * protocol.c; a type belongs to one of them.
 */
#include "hub.h"

#include <sluice/signal.h>

/* Of the token that opened the socket which it has now */
static struct sl_str phone_of(const struct member *m)
{
	const struct conn *c = m->peer ? m->peer->conn : NULL;

	return c && c->claims.phone ? sl_str_c(c->claims.phone) : SL_STR_NULL;
}

static const struct sl_addr *remote_of(const struct member *m)
{
	const struct conn *c = m->peer ? m->peer->conn : NULL;

	return c && c->remote.family ? &c->remote : NULL;
}

static struct sl_signal_peer describe(const struct hub *hub, const struct member *m)
{
	return (struct sl_signal_peer){
		.id = m->id,
		.room = m->room->name,
		.name = m->name,
		.grants = m->peer ? m->peer->grants : 0,
		.phone = phone_of(m),
		.remote = remote_of(m),
		.here = m->owner == hub->self,
	};
}

void guest_joined(struct hub *hub, const struct member *m)
{
	const struct sl_signal_peer p = describe(hub, m);

	for (const struct guest *g = hub->guests; g < hub->guests + hub->n_guests; g++)
		if (g->handler->joined)
			g->handler->joined(g->arg, &p);
}

void guest_welcome(struct hub *hub, const struct member *m, struct sl_buf *members)
{
	const struct sl_signal_peer p = describe(hub, m);

	for (const struct guest *g = hub->guests; g < hub->guests + hub->n_guests; g++)
		if (g->handler->welcome)
			g->handler->welcome(g->arg, &p, members);
}

void guest_left(struct hub *hub, const struct member *m, const char *reason)
{
	const struct sl_signal_peer p = describe(hub, m);

	for (const struct guest *g = hub->guests; g < hub->guests + hub->n_guests; g++)
		if (g->handler->left)
			g->handler->left(g->arg, &p, reason);
}

/* Most of what a peer is told is of no use without a client: that is not looked into. */
void guest_delivered(struct hub *hub, const struct member *m, struct sl_str json)
{
	static const char type[] = "\"message\"";
	const struct sl_signal_peer p = describe(hub, m);

	if (!memmem(json.p, json.len, type, sizeof type - 1))
		return;
	for (const struct guest *g = hub->guests; g < hub->guests + hub->n_guests; g++)
		if (g->handler->delivered)
			g->handler->delivered(g->arg, &p, json);
}

static const struct guest *find_guest(const struct hub *hub, struct sl_str type)
{
	for (const struct guest *g = hub->guests; g < hub->guests + hub->n_guests; g++)
		for (const char *const *t = g->types; t && *t; t++)
			if (sl_str_eq(type, sl_str_c(*t)))
				return g;
	return NULL;
}

enum verdict guest_message(struct conn *c, const struct message *m)
{
	struct sl_str type = sl_json_get_str(m->json, "type");
	const struct guest *g = find_guest(c->hub, type);
	const char *sentence = "the message was refused";
	struct sl_signal_peer p;

	if (!g)
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
	struct hub *hub = self;
	size_t used = strlen(hub->hello);

	for (const char *const *t = types; t && *t; t++)
		if (find_guest(hub, sl_str_c(*t)))
			return -SL_EEXIST;
	if (hub->n_guests == MAX_GUESTS)
		return -SL_EFULL;
	if (hello.len < 2)
		return -SL_EINVAL;
	if (used + hello.len >= sizeof hub->hello)
		return -SL_EFULL;
	hub->guests[hub->n_guests++] = (struct guest){.types = types, .handler = h, .arg = arg};
	/* The members without braces, behind those of our own messages. */
	if (used > 0 && hello.len > 2)
		hub->hello[used++] = ',';
	(void)sl_str_copy(hub->hello + used, sizeof hub->hello - used,
			  (struct sl_str){hello.p + 1, hello.len - 2});
	return 0;
}

/* Peers that other modules have brought leave after it. */
static void guest_unlisten(void *self, const void *arg)
{
	struct hub *hub = self;
	unsigned n = 0;

	for (unsigned i = 0; i < hub->n_guests; i++)
		if (hub->guests[i].arg != arg)
			hub->guests[n++] = hub->guests[i];
	hub->n_guests = n;
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

static int guest_move(void *self, uint64_t peer, struct sl_str word)
{
	struct hub *hub = self;
	struct member *m = roster_find(&hub->roster, peer);

	if (!m)
		return -SL_ENOENT;
	return m->peer ? peer_move(m->peer, word) : spread_move(hub, m, word);
}

/* ---- peers of modules */

static int guest_enter(void *self, const struct sl_signal_entry *e, uint64_t *ret_peer)
{
	const struct member_opts o = {
		.version = PROTOCOL_VERSION, .room = e->room, .name = e->name};
	struct hub *hub = self;
	size_t max = (size_t)hub->conf->max_name;
	struct peer *p;
	int rc;

	if (e->room.len == 0 || !name_is_fair(e->room, max) || !name_is_fair(e->name, max))
		return -SL_EINVAL;
	rc = join_new_peer(hub, &o, &p);
	if (rc < 0)
		return rc;
	p->hosted = true;
	p->grants = e->grants;
	*ret_peer = p->member->id;
	sl_count(&hub->m[M_JOINS]);
	spread_peer(hub, p->member, hub->self);
	join_announce(p->member);
	guest_joined(hub, p->member);
	hub_settle(hub);
	return 0;
}

static int guest_leave(void *self, uint64_t peer)
{
	struct hub *hub = self;
	struct member *m = roster_find(&hub->roster, peer);

	if (!m || !m->peer || !m->peer->hosted)
		return -SL_ENOENT;
	peer_end(m->peer, "leave");
	hub_settle(hub);
	return 0;
}

const struct sl_signal_iface guest_iface = {
	.listen = guest_listen,
	.send = guest_send,
	.find = guest_find,
	.each = guest_each,
	.end = guest_end,
	.enter = guest_enter,
	.leave = guest_leave,
	.unlisten = guest_unlisten,
	.move = guest_move,
};
