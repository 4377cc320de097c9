/*
 * recorder/tap_writers.c: what writers say, and that they come and go. When one dies its rooms stay
 * recorded, and their packets wait: its successor is told of all tracks, and of the recordings that
 * were.
 */
#include "tap_impl.h"

#include <stdlib.h>

/* ---- where packets go */

/* That of the writer; else one whose writer died is handed to this one; else a new one. NULL: more
 * writers than places, or out of memory */
static struct spool *spool_for(struct tap *t, uint32_t owner)
{
	struct spool **place = NULL, *orphan = NULL;

	for (unsigned i = 0; i < MAX_SPOOLS; i++) {
		struct spool *s = t->spools[i];

		if (s && spool_owner(s) == owner)
			return s;
		if (s && spool_owner(s) == 0)
			orphan = s;
		if (!s)
			place = &t->spools[i];
	}
	if (orphan) {
		spool_adopt(orphan, owner);
		return orphan;
	}
	if (!place || spool_open(t->channel, t->m, t->conf->memory, place) < 0)
		return NULL;
	spool_adopt(*place, owner);
	return *place;
}

/* Of writers that are gone for good, once nobody's packets go there */
static void drop_spool(struct tap *t, unsigned i)
{
	for (const struct tap_room *r = t->rooms; r; r = r->next)
		if (r->spool == t->spools[i])
			return;
	ended_forget(&t->ended, SL_STR_NULL, t->spools[i]);
	spool_free(t->spools[i]);
	t->spools[i] = NULL;
}

/* ---- the writer's word */

static struct tap_room *make_room(struct tap *t, struct sl_str name)
{
	struct tap_room *r = calloc(1, sizeof *r + name.len + 1);

	if (!r)
		return NULL;
	r->name_len = name.len;
	if (name.len > 0)
		memcpy(r->name, name.p, name.len);
	r->next = t->rooms;
	t->rooms = r;
	return r;
}

/* Where tracks of the room send their packets now */
static void apply(struct tap *t, struct tap_room *room)
{
	struct sl_str name = {room->name, room->name_len};

	for (struct sl_hnode *n = sl_htab_first(&t->tracks); n; n = sl_htab_next(&t->tracks, n)) {
		struct tap_track *tt = SL_CONTAINER(n, struct tap_track, node);

		if (!sl_str_eq(tt->track->room, name))
			continue;
		tt->track->wants_all = room->state == STATE_ON;
		if (room->state == STATE_OFF)
			tt->room = NULL;
		else
			tap_track_flow(t, tt, room);
	}
}

/* A spool that goes to a writer has packets of all that its predecessor knew: whose track it had
 * not heard of before, it would drop. Another worker's announcement may have made it speak before
 * this one has seen it come up. */
static void tell_untold(struct tap *t, uint32_t owner)
{
	for (struct sl_hnode *n = sl_htab_first(&t->tracks); n; n = sl_htab_next(&t->tracks, n)) {
		struct tap_track *tt = SL_CONTAINER(n, struct tap_track, node);
		const struct tap_room *room = tap_room_find(t, tt->track->room);

		if (tt->told || !room || (room->owner && room->owner != owner))
			continue;
		tap_track_tell_to(t, tt, owner);
		if (tt->room)
			tap_track_tell_clocks(t, tt);
	}
	for (struct ended *e = t->ended; e; e = e->next) {
		const struct tap_room *room = tap_room_find(t, ended_room(e));

		if (!e->told && room && (!room->owner || room->owner == owner))
			ended_tell(e, t->channel, owner);
	}
}

static void on_state(struct tap *t, uint32_t from, struct sl_reader *r)
{
	enum record_state state = sl_read_u8(r);
	struct sl_str name = sl_read_lstr(r), id = sl_read_lstr(r), reason = sl_read_lstr(r);
	struct tap_room *room = tap_room_find(t, name);
	bool changed = !room || room->state != state,
	     begins = !room && sl_str_eq(reason, SL_STR("started"));

	if (r->failed || (!room && state == STATE_OFF))
		return;
	if (room && room->owner && room->owner != from) /* another generation's has it */
		return;
	if (!room)
		room = make_room(t, name);
	if (!room)
		return;
	if (state != STATE_ON)
		for (struct sl_hnode *n = sl_htab_first(&t->tracks); n;
		     n = sl_htab_next(&t->tracks, n)) {
			struct tap_track *tt = SL_CONTAINER(n, struct tap_track, node);

			if (tt->room == room)
				tt->room = NULL;
		}
	room->owner = from;
	tell_untold(t, from);
	room->spool = spool_for(t, from);
	room->state = state;
	(void)sl_str_copy(room->id, sizeof room->id, id);
	apply(t, room);
	mix_follow(t->mixes, name, state);
	if (changed)
		control_tell(t->control, name, state, reason);
	if (begins)
		announce_room(t->announcer, name);
	if (state == STATE_OFF) {
		ended_forget(&t->ended, name, NULL);
		tap_room_remove(t, room);
	}
}

static void on_key(struct tap *t, struct sl_reader *r)
{
	struct tap_track *tt = tap_track_find(t, sl_read_u64(r));
	unsigned encoding = sl_read_u8(r);

	if (tt && !r->failed)
		sl_track_ask_key_frame(tt->track, encoding);
}

static void on_saved(struct tap *t, uint32_t from, struct sl_reader *r)
{
	uint64_t taken = sl_read_u64(r), saved = sl_read_u64(r), saved_ns = sl_read_u64(r);

	for (unsigned i = 0; i < MAX_SPOOLS && !r->failed; i++)
		if (t->spools[i] && spool_owner(t->spools[i]) == from)
			spool_saved(t->spools[i], taken, saved, saved_ns);
	ended_tidy(&t->ended);
}

void tap_on_message(void *arg, const struct sl_channel_msg *m)
{
	struct sl_reader r = sl_reader(m->data.p, m->data.len);
	struct tap *t = arg;
	uint64_t peer;
	struct sl_str sentence;

	switch (m->type) {
	case MSG_STATE:
		on_state(t, m->from, &r);
		break;
	case MSG_KEY:
		on_key(t, &r);
		break;
	case MSG_REFUSED:
		peer = sl_read_u64(&r);
		sentence = sl_read_lstr(&r);
		if (!r.failed)
			control_refused(t->control, peer, sentence);
		break;
	case MSG_SAVED:
		on_saved(t, m->from, &r);
		break;
	case MSG_ANSWER:
		api_answered(t->api, &r);
		break;
	default:
		break; /* of a newer generation */
	}
}

/* ---- writers that come and go */

void tap_announce_tracks(struct tap *t)
{
	for (struct sl_hnode *n = sl_htab_first(&t->tracks); n; n = sl_htab_next(&t->tracks, n)) {
		struct tap_track *tt = SL_CONTAINER(n, struct tap_track, node);

		if (tt->told)
			continue;
		tap_track_tell(t, tt);
		if (tt->room) /* what waits for a writer comes with its clock */
			tap_track_tell_clocks(t, tt);
	}
	for (struct ended *e = t->ended; e; e = e->next) {
		uint32_t owner = e->told ? 0 : tap_writer(t, ended_room(e));

		if (owner)
			ended_tell(e, t->channel, owner);
	}
}

static void on_gone(struct tap *t, uint32_t owner)
{
	for (struct tap_room *r = t->rooms; r; r = r->next)
		if (r->owner == owner)
			r->owner = 0;
	for (struct sl_hnode *n = sl_htab_first(&t->tracks); n; n = sl_htab_next(&t->tracks, n)) {
		struct tap_track *tt = SL_CONTAINER(n, struct tap_track, node);

		if (tt->told == owner) {
			tt->told = 0;
			if (tt->room)
				tap_track_ask_key(tt); /* its successor begins new files */
		}
	}
	for (struct ended *e = t->ended; e; e = e->next)
		if (e->told == owner)
			e->told = 0;
	for (unsigned i = 0; i < MAX_SPOOLS; i++) {
		if (!t->spools[i] || spool_owner(t->spools[i]) != owner)
			continue;
		spool_orphan(t->spools[i]);
		drop_spool(t, i);
	}
	api_lost(t->api, owner);
	tap_announce_tracks(t);
}

int tap_on_event(void *ctx, const struct sl_bus_event *ev)
{
	if (ev->kind == SL_EV_WORKER_GONE)
		on_gone(ctx, ev->owner);
	else if (ev->kind == SL_EV_WORKER_UP)
		tap_announce_tracks(ctx);
	return SL_OK;
}
