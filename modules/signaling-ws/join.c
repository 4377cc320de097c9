/*
 * signaling-ws/join.c: a connection becomes a peer of a room: hello, join, resume, leave.
 *
 * A peer's id is known to its room mates; the resume token, the id under the node's key, is known
 * to its client alone. A resume is for the same subject: a token of somebody else does not open
 * another's mailbox (compared in constant time).
 */
#include "hub.h"

#include <inttypes.h>
#include <sluice/crypto.h>

#define NAME_OF_NOBODY SL_STR("guest")

/* The version is settled once per connection, before anything depends on it. */
enum verdict join_hello(struct conn *c, const struct message *m)
{
	const json_t *version = json_object_get(m->json, "version");
	struct sl_buf b;

	if (c->state != CONN_NEW)
		return conn_refuse(c, CLIENT_E_ALREADY_JOINED, "hello comes first", m);
	if (!json_is_integer(version) || json_integer_value(version) != PROTOCOL_VERSION) {
		(void)conn_refuse(c, CLIENT_E_BAD_VERSION, "this server speaks version 1", m);
		conn_close(c, CLOSE_BAD_VERSION, CLIENT_E_BAD_VERSION);
		return REFUSED;
	}
	c->version = PROTOCOL_VERSION;
	sl_buf_init(&b, 0);
	say_hello(&b, c->hub->conf->max_message, c->hub->conf->resume_timeout,
		  sl_str_c(c->hub->hello));
	conn_say(c, &b);
	return ACCEPTED;
}

/* ---- welcome */

/* Roles are per pair, so that each entry says how the receiver behaves towards that peer. */
static void add_peers(struct sl_buf *b, const struct member *self)
{
	struct peer_info info;
	bool first = true;

	sl_buf_str(b, SL_STR(",\"peers\":["));
	for (const struct member *m = self->room->first; m; m = m->next) {
		if (m == self)
			continue;
		if (!first)
			sl_buf_u8(b, ',');
		first = false;
		peer_info(self, m, &info);
		say_peer(b, &info);
	}
	sl_buf_u8(b, ']');
}

/* The token is the only secret in a message; it is not kept in the buffer of anybody else. */
static void add_self(struct sl_buf *b, const struct member *self, const struct peer *p)
{
	char id[ID_STRLEN], token[TOKEN_STRLEN];

	sl_buf_printf(b, "{\"type\":\"welcome\",\"version\":%d,\"self\":{\"id\":\"%s\",\"name\":",
		      PROTOCOL_VERSION, id_format(id, self->id));
	sl_buf_json(b, self->name);
	sl_buf_str(b, SL_STR("},\"room\":"));
	sl_buf_json(b, self->room->name);
	token_format(token, self->id, p->hub->token_key);
	sl_buf_printf(b, ",\"token\":\"%s\"", token);
	sl_wipe(token, sizeof token);
}

/* The credentials are bound to the peer's id, and name the server as this client knows it. */
static void add_ice(struct sl_buf *b, struct peer *p)
{
	struct hub *hub = p->hub;
	char id[ID_STRLEN];
	uint64_t ttl_s = 0;

	sl_buf_str(b, SL_STR(",\"iceServers\":"));
	if (hub->io->ice_servers(hub->io_arg, sl_str_c(p->conn->host),
				 sl_str_c(id_format(id, p->member->id)), b, &ttl_s) < 0)
		b->failed = true;
	sl_buf_printf(b, ",\"ttl\":%" PRIu64, ttl_s);
	p->deadline_ms = peer_ice_deadline(hub, ttl_s);
}

/* Not numbered: after a resume it has to come before what the mailbox holds. */
static void welcome(struct peer *p, bool resumed)
{
	struct sl_buf b;

	sl_buf_init(&b, 0);
	add_self(&b, p->member, p);
	sl_buf_printf(&b, ",\"resumed\":%s,\"last\":%" PRIu64, resumed ? "true" : "false",
		      p->last_number);
	add_peers(&b, p->member);
	add_ice(&b, p);
	guest_welcome(p->hub, p->member, &b);
	sl_buf_u8(&b, '}');
	conn_say(p->conn, &b);
}

/* ---- join */

/* Names are compared with the claims as they are: no case is folded, nothing is trimmed. */
static enum client_error read_names(const struct conn *c, const struct message *m,
				    struct sl_str *ret_room, struct sl_str *ret_name)
{
	size_t max = (size_t)c->hub->conf->max_name;
	const json_t *name = json_object_get(m->json, "name");

	*ret_room = sl_json_get_str(m->json, "room");
	*ret_name = name ? sl_json_get_str(m->json, "name") : NAME_OF_NOBODY;
	if (ret_room->len == 0 || !name_is_fair(*ret_room, max))
		return CLIENT_E_BAD_ROOM;
	if (!ret_name->p || !name_is_fair(*ret_name, max))
		return CLIENT_E_BAD_NAME;
	return claims_permit_room(&c->claims, *ret_room) ? CLIENT_FINE : CLIENT_E_FORBIDDEN;
}

/* The session table and the limit of the room are the node's, not this worker's. */
static enum client_error error_of_open(int rc)
{
	switch (rc) {
	case -SL_ELIMIT:
		return CLIENT_E_ROOM_FULL;
	case -SL_EFULL:
		return CLIENT_E_SERVER_FULL;
	default:
		return CLIENT_E_SERVER_ERROR;
	}
}

/* 64 random bits: ids of one node do not collide, and nobody can guess the next. */
static int new_member(struct hub *hub, const struct member_opts *wanted, struct member **ret_member)
{
	struct member_opts o = *wanted;

	o.owner = hub->self;
	if (sl_random(&o.id, sizeof o.id) < 0 || o.id == 0)
		return -SL_ESYS;
	return roster_add(&hub->roster, &o, ret_member);
}

int join_new_peer(struct hub *hub, const struct member_opts *o, struct peer **ret_peer)
{
	struct member *m;
	struct peer *p;
	int rc = new_member(hub, o, &m);

	if (rc < 0)
		return rc;
	p = peer_new(hub, m);
	rc = p ? peer_open(p, true) : -SL_ENOMEM;
	if (rc < 0) {
		peer_free(p);
		roster_remove(&hub->roster, m);
		return rc;
	}
	*ret_peer = p;
	return 0;
}

static int new_peer(struct conn *c, struct sl_str room, struct sl_str name, struct peer **ret_peer)
{
	const struct member_opts o = {.version = c->version, .room = room, .name = name};
	struct peer *p;
	int rc = join_new_peer(c->hub, &o, &p);

	if (rc < 0)
		return rc;
	memcpy(p->subject, c->claims.subject, SUBJECT_BYTES);
	p->may = c->claims.may;
	p->grants = c->claims.grants;
	*ret_peer = p;
	return 0;
}

/* To those that this worker owns; the others hear it from their own worker. */
void join_announce(const struct member *joined)
{
	struct peer_info info;
	struct sl_buf b;

	for (struct member *m = joined->room->first; m; m = m->next) {
		if (m == joined || !m->peer)
			continue;
		peer_info(m, joined, &info);
		sl_buf_init(&b, 0);
		say_joined(&b, &info);
		if (sl_buf_ok(&b) == 0)
			peer_deliver(m->peer, sl_buf_view(&b));
		sl_buf_free(&b);
	}
}

/*
 * The newcomer knows the room before the room knows the newcomer: what they say at once finds its
 * links made.
 */
enum verdict join_room(struct conn *c, const struct message *m)
{
	struct sl_str room, name;
	enum client_error e;
	struct peer *p = NULL;
	int rc;

	if (c->state != CONN_NEW)
		return conn_refuse(c, CLIENT_E_ALREADY_JOINED, "this connection is in a room", m);
	e = read_names(c, m, &room, &name);
	rc = e ? 0 : new_peer(c, room, name, &p);
	if (rc < 0)
		e = error_of_open(rc);
	if (e) {
		sl_count(&c->hub->m[M_JOINS_REFUSED]);
		return conn_refuse(c, e, "the room cannot be joined", m);
	}
	sl_count(&c->hub->m[M_JOINS]);
	p->last_number = m->number;
	p->joined_ms = c->hub->now_ms;
	sl_histogram_add(&c->hub->m[M_JOIN_TIME], (c->hub->now_ms - c->opened_ms) * 1000);
	peer_attach(p, c);
	welcome(p, false);
	spread_peer(c->hub, p->member, c->hub->self);
	join_announce(p->member);
	guest_joined(c->hub, p->member);
	return ACCEPTED;
}

/* ---- resume */

bool join_may_take(const uint8_t subject[SUBJECT_BYTES], const struct peer *p)
{
	return sl_mem_eq(subject, p->subject, SUBJECT_BYTES);
}

/* The connection stays and may join: one round trip less for the client. */
void join_resume_failed(struct conn *c, const char *sentence)
{
	sl_count(&c->hub->m[M_RESUMES_FAILED]);
	c->taking = NULL;
	if (c->state == CONN_TAKING)
		c->state = CONN_NEW;
	c->deadline_ms = c->hub->now_ms + c->hub->conf->join_timeout;
	conn_error(c, CLIENT_E_RESUME_FAILED, sentence, NULL);
}

/* The permissions are those of the token that opened this socket. */
void join_resumed(struct conn *c, struct peer *p, uint64_t seen)
{
	if (mailbox_ack(&p->box, seen) < 0) {
		join_resume_failed(c, "seq was never given out");
		return;
	}
	sl_count(&c->hub->m[M_RESUMES]);
	c->taking = NULL;
	p->may = c->claims.may;
	p->grants = c->claims.grants;
	peer_attach(p, c);
	welcome(p, true);
	peer_replay(p);
}

static enum verdict fail(struct conn *c, const char *sentence)
{
	join_resume_failed(c, sentence);
	return REFUSED;
}

/* The room's permission first: it says nothing about the peer. */
static enum verdict resume_member(struct conn *c, struct member *member, uint64_t seen)
{
	if (!claims_permit_room(&c->claims, member->room->name))
		return fail(c, "this room is not permitted any more");
	if (!member->peer)
		return handover_ask(c, member, seen);
	if (!join_may_take(c->claims.subject, member->peer))
		return fail(c, "the token does not fit");
	if (!turns_hear_peer(member->peer))
		return fail(c, "this peer is gone");
	join_resumed(c, member->peer, seen);
	return ACCEPTED;
}

/* Every way to fail is told in the same code, and an unknown peer like a wrong token. */
enum verdict join_resume(struct conn *c, const struct message *m)
{
	const json_t *seq = json_object_get(m->json, "seq");
	struct member *member;
	uint64_t id;
	int rc;

	if (c->state != CONN_NEW)
		return conn_refuse(c, CLIENT_E_ALREADY_JOINED, "this connection is in a room", m);
	if (c->version == 0)
		return conn_refuse(c, CLIENT_E_BAD_MESSAGE, "say hello before resume", m);
	if (!json_is_integer(seq) || json_integer_value(seq) < 0)
		return conn_refuse(c, CLIENT_E_BAD_MESSAGE, "seq is the last number received", m);
	rc = token_parse(sl_json_get_str(m->json, "token"), c->hub->token_key, &id);
	if (rc < 0)
		return fail(c, rc == -SL_EAUTH ? "the token does not fit" : "this is no token");
	member = roster_find(&c->hub->roster, id);
	if (!member)
		return fail(c, "this peer is gone");
	return resume_member(c, member, (uint64_t)json_integer_value(seq));
}

enum verdict join_leave(struct conn *c, const struct message *m)
{
	if (!c->peer)
		return conn_refuse(c, CLIENT_E_NOT_JOINED, "this connection is in no room", m);
	peer_end(c->peer, "leave");
	return ACCEPTED;
}
