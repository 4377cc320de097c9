/*
 * sip-gateway/call_join.c: who hears whom: the other party, music while that one holds, or what
 * this node has of its own: an echo, a room, an announcement.
 *
 * It knows nothing of SIP: legs are told, and only those whose media has been agreed.
 */
#include "call_impl.h"
#include "siprec.h"

#include <stdio.h>

#include "leg.h"

static void enter_room(struct party *p, const char *room)
{
	char text[DIAL_TEXT + 65];

	(void)snprintf(text, sizeof text, "%s\n%s", room, p->display[0] ? p->display : p->name);
	party_leg_tell(p, WIRE_LEG_ROOM, 0, sl_str_c(text));
}

static void play_builtin(struct call *c)
{
	const struct dial_target *t = &c->plan.targets[c->next_target - 1];

	switch (t->kind) {
	case DIAL_ECHO:
		party_leg_tell(c->a, WIRE_LEG_ECHO, 0, SL_STR_NULL);
		break;
	case DIAL_ROOM:
		enter_room(c->a, t->name);
		break;
	case DIAL_ANNOUNCEMENT:
		party_leg_tell(c->a, WIRE_LEG_SOUND, 0, sl_str_c(t->name));
		break;
	default:
		party_leg_tell(c->a, WIRE_LEG_PLAY, LEG_TONE_MUSIC, SL_STR_NULL);
	}
}

/* Each of two parties with media hears the other, or music while that one holds. */
void call_join(struct call *c)
{
	struct party *a = c->a, *b = c->b ? c->b : c->early;

	call_users_changed(c);
	if (c->over || !a || !a->has_media)
		return;
	call_keep(c);
	call_show(c);
	if (c->builtin) {
		span_end(c);
		if (!c->joined)
			play_builtin(c);
		c->joined = true;
		siprec_follow(c);
		return;
	}
	if (!b || !b->has_media)
		return;
	c->joined = true;
	siprec_follow(c);
	if (a->held)
		party_leg_tell(b, WIRE_LEG_PLAY, LEG_TONE_MUSIC, SL_STR_NULL);
	if (b->held)
		party_leg_tell(a, WIRE_LEG_PLAY, LEG_TONE_MUSIC, SL_STR_NULL);
	if (!a->held && !b->held)
		span_join(c, a, b);
}

void call_held(struct call *c, struct party *p, bool held)
{
	struct party *other = call_other(c, p);

	if (p->held == held)
		return;
	p->held = held;
	if (c->builtin) { /* its leg knows */
		siprec_follow(c);
		return;
	}
	if (held)
		party_leg_tell(p, WIRE_LEG_UNBRIDGE, 0, SL_STR_NULL);
	if (other && other->kind == PARTY_BROWSER)
		browser_held(other, held);
	call_join(c);
}

void call_room_ended(struct call *c, struct party *p, unsigned end, struct sl_str why)
{
	static const struct {
		uint16_t status;
		uint8_t cause;
	} map[] = {
		[SL_MIXER_LEFT] = {200, 16},	[SL_MIXER_REMOVED] = {603, 21},
		[SL_MIXER_REFUSED] = {403, 21}, [SL_MIXER_FULL] = {486, 17},
		[SL_MIXER_NO_ROOM] = {404, 1},	[SL_MIXER_FAILED] = {503, 41},
	};
	unsigned at = end < SL_ARRAY_LEN(map) ? end : SL_MIXER_FAILED;

	if (!c->builtin || p != c->a)
		return;
	(void)snprintf(c->reason, sizeof c->reason, "Q.850;cause=%u;text=\"%.*s\"", map[at].cause,
		       SL_FMT(why));
	call_end(c, "node", map[at].status);
}
