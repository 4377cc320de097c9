/*
 * sip-gateway/people.c: who is in the rooms of legs, for the stack's process, which has no rooms.
 *
 * Each time the whole list, so that one that was lost costs nothing. The leg's own place in the
 * room is left out, and everybody while that has not been given yet (a PIN is asked for first).
 */
#include "edge.h"

#include <stdlib.h>

enum { MAX_LIST = 16 * 1024 }; /* some 200 people; a recorder is told of fewer */

#define EAR_NAME "(mixer)" /* a listener of the mixer's, whom nobody sees */

struct listing {
	const struct edge_leg *l;
	struct sl_buf text;
};

static bool is_shown(const struct edge_leg *l, const struct sl_signal_peer *p)
{
	return p->id != leg_room_peer(l->leg) && !(p->grants & SL_IS_HIDDEN) &&
	       !sl_str_eq(p->name, SL_STR(EAR_NAME));
}

static void list_peer(void *arg, const struct sl_signal_peer *p)
{
	struct listing *list = arg;
	char id[17];
	uint8_t raw[8];

	if (!is_shown(list->l, p) || list->text.len + p->name.len + sizeof id + 1 > MAX_LIST)
		return;
	sl_put64(raw, p->id);
	sl_hex_encode(id, raw, sizeof raw);
	sl_buf_printf(&list->text, "%s ", id);
	for (size_t i = 0; i < p->name.len; i++) /* a line is one person */
		sl_buf_u8(&list->text, p->name.p[i] == '\n' ? ' ' : (uint8_t)p->name.p[i]);
	sl_buf_u8(&list->text, '\n');
}

static void tell(struct edge_leg *l)
{
	struct listing list = {.l = l};
	struct edge *e = l->edge;

	l->room_changed = false;
	sl_buf_init(&list.text, MAX_LIST);
	if (leg_room_peer(l->leg))
		e->rooms->each(e->rooms_self, sl_str_c(l->room), list_peer, &list);
	if (sl_buf_ok(&list.text) == 0)
		media_event(l, &(struct wire_leg_event){.leg = l->id,
							.kind = WIRE_EV_PEOPLE,
							.text = sl_buf_view(&list.text)});
	sl_buf_free(&list.text);
}

/* When everybody knows who they are, which a leg that enters right now does not yet. */
static void on_tell(struct sl_post *post)
{
	struct edge *e = SL_CONTAINER(post, struct edge, tell_people);

	for (struct edge_leg *l = e->watching; l; l = l->watch_next)
		if (l->room_changed)
			tell(l);
}

static void changed(struct edge *e, const struct sl_signal_peer *p)
{
	for (struct edge_leg *l = e->watching; l; l = l->watch_next) {
		if (!sl_str_eq(sl_str_c(l->room), p->room))
			continue;
		l->room_changed = true;
		sl_post(e->w->loop, &e->tell_people);
	}
}

static void on_joined(void *arg, const struct sl_signal_peer *p)
{
	changed(arg, p);
}

static void on_left(void *arg, const struct sl_signal_peer *p, const char *reason)
{
	(void)reason;
	changed(arg, p);
}

/* ---- life */

static const struct sl_signal_handler handler = {.joined = on_joined, .left = on_left};

/* Only a node that records rooms listens. */
static int begin(struct edge *e)
{
	static const char *const no_types[] = {NULL};
	int rc;

	if (e->rooms)
		return 0;
	e->rooms = sl_iface_get(e->w, SL_SIGNAL_IFACE, 1, &e->rooms_self);
	if (!e->rooms)
		return -SL_EUNSUPP;
	e->tell_people.fn = on_tell;
	rc = e->rooms->listen(e->rooms_self, no_types, SL_STR("{}"), &handler, e);
	if (rc < 0)
		e->rooms = NULL;
	return rc;
}

int people_watch(struct edge_leg *l, struct sl_str room)
{
	struct edge *e = l->edge;
	int rc = begin(e);

	if (rc < 0)
		return rc;
	people_unwatch(l);
	l->room = sl_str_dup(room);
	if (!l->room)
		return -SL_ENOMEM;
	l->watch_next = e->watching;
	e->watching = l;
	tell(l);
	return 0;
}

void people_unwatch(struct edge_leg *l)
{
	struct edge_leg **at = &l->edge->watching;

	if (!l->room)
		return;
	while (*at != l)
		at = &(*at)->watch_next;
	*at = l->watch_next;
	free(l->room);
	l->room = NULL;
	l->room_changed = false;
}

void people_close(struct edge *e)
{
	sl_post_cancel(e->w->loop, &e->tell_people);
	if (e->rooms)
		e->rooms->unlisten(e->rooms_self, e);
	e->rooms = NULL;
}
