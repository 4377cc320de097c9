/*
 * signaling-ws/turns.c: what clients say takes turns, so that media goes on while many join.
 *
 * A join of a large room or a description for the media server takes a millisecond, as much as a
 * few hundred packets, and all sockets may be readable in one tick. So a tick spends no more than
 * TURN_US on what they say. The rest waits where it was said, in order, and is heard in the next
 * ticks: one message of each connection, round and round, so that who says much delays itself.
 *
 * What a connection says before its join is answered waits here, too (its state says so); only that
 * may be refused, the rest is never lost: what does not fit is heard at once.
 */
#include "hub.h"

#include <stdlib.h>

enum {
	TURN_US = 2000,
	SPOKEN_MAX_MESSAGES = 4, /* of full length, of one connection */
};

static bool is_ready(const struct conn *c)
{
	return c->state == CONN_NEW || c->state == CONN_JOINED;
}

static bool is_spent(const struct hub *hub)
{
	return hub->turns.used_us >= TURN_US;
}

/* ---- the queue */

static void enlist(struct conn *c)
{
	struct turns *t = &c->hub->turns;

	if (c->in_turns)
		return;
	c->in_turns = true;
	c->turn_prev = t->last;
	c->turn_next = NULL;
	if (t->last)
		t->last->turn_next = c;
	else
		t->first = c;
	t->last = c;
	c->hub->io->go_on(c->hub->io_arg);
}

static void delist(struct conn *c)
{
	struct turns *t = &c->hub->turns;

	if (!c->in_turns)
		return;
	c->in_turns = false;
	if (c->turn_prev)
		c->turn_prev->turn_next = c->turn_next;
	else
		t->first = c->turn_next;
	if (c->turn_next)
		c->turn_next->turn_prev = c->turn_prev;
	else
		t->last = c->turn_prev;
}

/* ---- what waits */

static bool has_room(const struct conn *c, size_t len)
{
	return c->spoken_bytes + len <= SPOKEN_MAX_MESSAGES * c->hub->conf->max_message;
}

static void keep(struct conn *c, struct sl_str text)
{
	struct spoken *s = has_room(c, text.len) ? malloc(sizeof *s + text.len) : NULL;

	if (!s) {
		conn_error(c, CLIENT_E_BUSY, "wait for the welcome before saying more", NULL);
		return;
	}
	s->next = NULL;
	s->len = text.len;
	if (text.len > 0)
		memcpy(s->text, text.p, text.len);
	*c->tail = s;
	c->tail = &s->next;
	c->spoken_bytes += sizeof *s + text.len;
}

/* The oldest, which the caller frees. */
static struct spoken *take_spoken(struct conn *c)
{
	struct spoken *s = c->first;

	c->first = s->next;
	if (!c->first)
		c->tail = &c->first;
	c->spoken_bytes -= sizeof *s + s->len;
	return s;
}

/* ---- hearing */

/* true: to be heard again. The clock of the hub stands still within a tick. */
static bool handle(struct conn *c, struct sl_str text)
{
	const struct hub_io *io = c->hub->io;
	uint64_t begin = io->clock_us(c->hub->io_arg);
	bool later = conn_handle(c, text);

	c->hub->turns.used_us += io->clock_us(c->hub->io_arg) - begin;
	io->go_on(c->hub->io_arg); /* the share begins anew with the next tick */
	return later;
}

/* What has to wait once more stays in front of what came after it. */
static void hear_oldest(struct conn *c)
{
	const struct spoken *s = c->first;

	if (handle(c, (struct sl_str){s->text, s->len}))
		c->state = CONN_WAITING;
	else
		free(take_spoken(c));
}

static void wait(struct conn *c, struct sl_str text)
{
	if (is_ready(c))
		sl_count(&c->hub->m[M_MESSAGES_WAITED]);
	while (c->first && is_ready(c) && !has_room(c, text.len))
		hear_oldest(c);
	keep(c, text);
	if (c->first && is_ready(c))
		enlist(c);
}

void turns_hear(struct conn *c, struct sl_str text)
{
	const struct hub *hub = c->hub;

	if (!is_ready(c) || c->first || hub->turns.first || is_spent(hub)) {
		wait(c, text);
	} else if (handle(c, text)) {
		c->state = CONN_WAITING; /* what follows has to wait behind this text */
		keep(c, text);
	}
}

void turns_hear_again(struct conn *c)
{
	const struct hub *hub = c->hub;

	if (c->state == CONN_WAITING)
		c->state = CONN_NEW;
	while (c->first && is_ready(c) && !hub->turns.first && !is_spent(hub))
		hear_oldest(c);
	if (c->first && is_ready(c))
		enlist(c);
}

void turns_hear_last(struct conn *c)
{
	while (c->first && c->state == CONN_JOINED)
		hear_oldest(c);
}

bool turns_hear_peer(const struct peer *p)
{
	const struct roster *r = &p->hub->roster;
	const struct member *m;
	uint64_t id = p->member->id;

	if (!p->conn)
		return true;
	turns_hear_last(p->conn);
	m = roster_find(r, id);
	return m && m->peer;
}

void turns_forget(struct conn *c)
{
	delist(c);
	while (c->first)
		free(take_spoken(c));
}

void turns_go_on(struct hub *hub)
{
	struct conn *c;

	while ((c = hub->turns.first) != NULL && !is_spent(hub)) {
		delist(c);
		if (c->first && is_ready(c))
			hear_oldest(c);
		if (c->first && is_ready(c))
			enlist(c);
		hub_settle(hub);
	}
	hub->turns.used_us = 0;
	if (hub->turns.first)
		hub->io->go_on(hub->io_arg);
}
