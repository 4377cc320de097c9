/*
 * sfu/data.c: what participants say on their data channels: to everybody else in the room who has
 * one, and no faster than they read it.
 *
 * When more waits for somebody than its connection's own buffer holds, the room is held: nothing is
 * read of anybody's channels, here and at the other workers, until that is sent. The windows of the
 * speakers' associations close then, and their clients see it in bufferedAmount. Who does not read
 * for a while is not waited for: the others go on, and it loses what has no room.
 */
#include "sfu.h"

enum {
	MUCH = 128 * 1024, /* bytes waiting for one participant; its connection takes more */
	PATIENCE_MS = 2000,
	HELD_AWAY_MS = 5 * TICK_MS, /* another worker repeats with each tick that it is full */
};

/* ---- holding */

static void hold(struct room *r)
{
	bool held = r->data_full || sfu_now_ms(r->sfu) < r->data_full_away_ms;

	if (held == r->data_held)
		return;
	r->data_held = held;
	if (held)
		sfu_count(r->sfu, M_data_holds);
	for (struct participant *p = r->participants; p; p = p->next)
		if (p->here && p->pub)
			sl_rtc_hold_data(p->pub, r->data_held); /* what is read may end it */
}

static bool is_waited_for(const struct participant *p, uint64_t now_ms)
{
	return p->here && p->data_full && now_ms - p->data_full_ms < PATIENCE_MS;
}

static void look(struct room *r)
{
	bool full = false;

	for (const struct participant *p = r->participants; p && !full; p = p->next)
		full = is_waited_for(p, sfu_now_ms(r->sfu));
	if (full != r->data_full)
		trunk_hold(r, full);
	r->data_full = full;
	hold(r);
}

static void note_full(struct participant *p)
{
	if (p->data_full)
		return;
	p->data_full = true;
	p->data_full_ms = sfu_now_ms(p->room->sfu);
	steward_wake(p->room);
	look(p->room);
}

void data_drained(struct participant *p)
{
	if (!p->data_full)
		return;
	p->data_full = false;
	look(p->room);
}

void data_opened(struct participant *p, uint16_t channel)
{
	p->data_channel = channel;
	p->has_data = true;
	if (p->room->data_held)
		sl_rtc_hold_data(p->pub, true);
}

void data_closed(struct participant *p)
{
	p->has_data = false;
	data_drained(p);
}

void data_held_away(struct room *r, bool held)
{
	r->data_full_away_ms = held ? sfu_now_ms(r->sfu) + HELD_AWAY_MS : 0;
	steward_wake(r);
	hold(r);
}

void data_tick(struct room *r)
{
	if (!r->data_full && !r->data_held)
		return;
	look(r);
	if (r->data_full)
		trunk_hold(r, true);
}

/* ---- messages */

static void say(struct participant *p, bool text, struct sl_str data)
{
	if (sl_rtc_channel_send(p->pub, p->data_channel, text, data) < 0)
		sfu_count(p->room->sfu, M_data_lost);
	if (p->pub && sl_rtc_channel_buffered(p->pub, p->data_channel) > MUCH)
		note_full(p);
}

void data_distribute(struct room *r, uint64_t from, bool text, struct sl_str data)
{
	for (struct participant *p = r->participants; p; p = p->next)
		if (p->here && p->id != from && p->pub && p->has_data)
			say(p, text, data);
}

void data_said(struct participant *p, bool text, struct sl_str data)
{
	if (!(p->grants & SL_MAY_DATA))
		return;
	sfu_count(p->room->sfu, M_data_messages);
	trunk_data(p->room, p->id, text, data);
	data_distribute(p->room, p->id, text, data);
}
