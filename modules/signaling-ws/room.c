/*
 * signaling-ws/room.c: the roster: members by id, rooms by name, and what waits for a member that
 * moves.
 *
 * Only the data structure: who changes it and tells others is spread.c. `coming` and `taker` of a
 * hold belong to handover.c, which lets go of them before a member is removed.
 */
#include "room.h"

#include <stdlib.h>

/* Keyed: ids of other nodes' clients come from the network. */
static uint64_t hash_id(uint64_t id)
{
	return sl_hash(&id, sizeof id);
}

static bool member_has_id(const struct sl_hnode *n, const void *key)
{
	return SL_CONTAINER(n, struct member, node)->id == *(const uint64_t *)key;
}

static bool room_has_name(const struct sl_hnode *n, const void *key)
{
	return sl_str_eq(SL_CONTAINER(n, struct room, node)->name, *(const struct sl_str *)key);
}

/* The hot path of every message with a receiver. */
struct member *roster_find(const struct roster *r, uint64_t id)
{
	struct sl_hnode *n = sl_htab_find(&r->members, hash_id(id), member_has_id, &id);

	return n ? SL_CONTAINER(n, struct member, node) : NULL;
}

struct room *roster_room(const struct roster *r, struct sl_str name)
{
	struct sl_hnode *n =
		sl_htab_find(&r->rooms, sl_hash(name.p, name.len), room_has_name, &name);

	return n ? SL_CONTAINER(n, struct room, node) : NULL;
}

/* An object with a copy of a string behind it. */
static void *with_text(size_t bytes, struct sl_str text, struct sl_str *ret_copy)
{
	char *p = calloc(1, bytes + text.len + 1);

	if (!p)
		return NULL;
	(void)sl_str_copy(p + bytes, text.len + 1, text); /* it fits */
	*ret_copy = (struct sl_str){p + bytes, text.len};
	return p;
}

/* Made with its first member. */
static struct room *room_get(struct roster *r, struct sl_str name)
{
	struct room *room = roster_room(r, name);
	struct sl_str copy;

	if (room)
		return room;
	room = with_text(sizeof *room, name, &copy);
	if (!room)
		return NULL;
	room->name = copy;
	if (sl_htab_insert(&r->rooms, &room->node, sl_hash(copy.p, copy.len)) < 0) {
		free(room);
		return NULL;
	}
	return room;
}

/* And gone with its last. */
static void room_drop_empty(struct roster *r, struct room *room)
{
	if (room->n > 0)
		return;
	sl_htab_remove(&r->rooms, &room->node);
	free(room);
}

/* At the head: the order within a room means nothing. */
static void link_member(struct room *room, struct member *m)
{
	m->room = room;
	m->next = room->first;
	if (m->next)
		m->next->prev = m;
	room->first = m;
	room->n++;
}

/* Either all of it or nothing: a member without room would be found by id. */
int roster_add(struct roster *r, const struct member_opts *o, struct member **ret_member)
{
	struct room *room;
	struct member *m;
	struct sl_str name;

	if (roster_find(r, o->id))
		return -SL_EEXIST;
	room = room_get(r, o->room);
	if (!room)
		return -SL_ENOMEM;
	m = with_text(sizeof *m, o->name, &name);
	if (!m || sl_htab_insert(&r->members, &m->node, hash_id(o->id)) < 0) {
		free(m);
		room_drop_empty(r, room);
		return -SL_ENOMEM;
	}
	m->name = name;
	m->id = o->id;
	m->owner = m->told_by = o->owner;
	m->version = o->version;
	link_member(room, m);
	*ret_member = m;
	return 0;
}

void roster_remove(struct roster *r, struct member *m)
{
	struct room *room = m->room;

	if (m->prev)
		m->prev->next = m->next;
	else
		room->first = m->next;
	if (m->next)
		m->next->prev = m->prev;
	room->n--;
	sl_htab_remove(&r->members, &m->node);
	room_drop_empty(r, room);
	hold_free(m->hold);
	free(m);
}

/* Objects of peers are not freed here: they belong to peer.c. */
void roster_free(struct roster *r)
{
	struct sl_hnode *n;

	while ((n = sl_htab_first(&r->members)) != NULL)
		roster_remove(r, SL_CONTAINER(n, struct member, node));
	sl_htab_free(&r->members);
	sl_htab_free(&r->rooms);
}

/* ---- holds */

struct hold *hold_new(struct member *m)
{
	m->hold = calloc(1, sizeof *m->hold);
	if (m->hold)
		m->hold->tail = &m->hold->first;
	return m->hold;
}

int hold_add(struct hold *h, uint16_t type, struct sl_str data)
{
	struct waiting *w = malloc(sizeof *w + data.len);

	if (!w)
		return -SL_ENOMEM;
	*w = (struct waiting){.type = type, .len = data.len};
	memcpy(w->data, data.p, data.len);
	*h->tail = w;
	h->tail = &w->next;
	h->bytes += sizeof *w + w->len;
	return 0;
}

struct waiting *hold_take(struct hold *h)
{
	struct waiting *w = h->first;

	if (!w)
		return NULL;
	h->first = w->next;
	if (!h->first)
		h->tail = &h->first;
	h->bytes -= sizeof *w + w->len;
	return w;
}

void hold_free(struct hold *h)
{
	struct waiting *w;

	if (!h)
		return;
	while ((w = hold_take(h)) != NULL)
		free(w);
	free(h);
}

/* The ids decide, which both owners know: no message is needed to agree. */
bool member_is_polite(const struct member *self, const struct member *towards)
{
	if ((self->version == 0) != (towards->version == 0))
		return towards->version == 0;
	return self->id > towards->id;
}
