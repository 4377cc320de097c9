/*
 * sfu/mode.c: whether the peers of a room talk directly or through this node.
 *
 * Few peers talk directly: nothing is nearer than the straight way. With more of them, or when two
 * find no way (need-sfu), everybody is told to bring its media here; who has brought some stays.
 * Each worker tells the peers whose sockets it has.
 */
#include "sfu.h"

struct counting {
	struct sfu *s;
	unsigned n;
};

static void count(void *arg, const struct sl_signal_peer *p)
{
	struct counting *c = arg;

	(void)p;
	c->n++;
}

bool mode_is_ours(const struct sfu *s, struct sl_str room)
{
	for (size_t i = 0; i < s->conf->rooms.n; i++)
		if (sl_regex_match(*SL_LIST_AT(s->conf->rooms, struct sl_regex *, i), room))
			return true;
	return s->conf->rooms.n == 0;
}

bool mode_is_sfu(struct sfu *s, struct sl_str room)
{
	struct counting c = {.s = s};

	if (!mode_is_ours(s, room))
		return false;
	if (room_find(s, room))
		return true;
	s->signal->each(s->signal_self, room, count, &c);
	return c.n > (unsigned)s->conf->direct_peers;
}

static void tell_one(void *arg, const struct sl_signal_peer *p)
{
	struct sfu *s = arg;

	if (p->here)
		say_mode(s, p->id);
}

void modes_tell(struct sfu *s, struct sl_str room)
{
	s->signal->each(s->signal_self, room, tell_one, s);
}

void mode_began(struct room *r)
{
	if (r->n_participants == 1)
		modes_tell(r->sfu, (struct sl_str){r->name, r->name_len});
}

void mode_joined(struct sfu *s, const struct sl_signal_peer *p)
{
	if (mode_is_sfu(s, p->room))
		modes_tell(s, p->room);
}
