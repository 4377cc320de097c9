/*
 * turn-relay/pump.c: bytes between a client's connection and another one: its peer's, or the pipe
 * to the worker that serves it.
 *
 * Nothing is lost and little is held: what one side says is queued at the other, and the one waits
 * while the other's queue is long, or while a rate says so. The end of one direction is passed on
 * behind the last byte, the other goes on; a side that breaks takes the other with it.
 *
 * The stream's connection is stream.c's, which calls in here with what happens to it; the other one
 * is the pump's. A pump goes when both are gone, which may be after the module's stop.
 */
#include "relay.h"

#include <stdlib.h>
#include <unistd.h>

enum { QUEUE_HIGH = 64 * 1024, MAX_QUEUE = 512 * 1024, PIECE = 16 * 1024, RATE_PAUSE_MS = 10 };

struct pump {
	struct turn_relay *module; /* NULL: it has stopped */
	struct sl_conn *side[2];   /* by enum pump_side; NULL: gone */
	struct peer *peer;	   /* whose connection it is; NULL: of none, or told to stop */
	struct sl_timer later;	   /* a rate let no more pass */
	struct pump *prev, *next;  /* in turn_relay.first_pump */
};

/* ---- life */

static void forget_module(struct pump *p)
{
	struct turn_relay *m = p->module;

	if (!m)
		return;
	sl_timer_cancel(m->worker->loop, &p->later);
	if (p->prev)
		p->prev->next = p->next;
	else
		m->first_pump = p->next;
	if (p->next)
		p->next->prev = p->prev;
	p->module = NULL;
}

static void end_if_over(struct pump *p)
{
	struct turn_relay *m = p->module;

	if (p->side[PUMP_STREAM] || p->side[PUMP_OTHER])
		return;
	if (p->peer) {
		peer_ended(p->peer);
		module_arm(m);
	}
	forget_module(p);
	free(p);
}

/* One that closed because both of its directions had ended leaves the other to end alike. */
static void side_closed(struct pump *p, enum pump_side side, enum sl_close_reason why)
{
	struct sl_conn *other = p->side[!side];

	p->side[side] = NULL;
	if (other && why != SL_CLOSE_PEER)
		sl_conn_close(other, SL_CLOSE_OURS);
	end_if_over(p);
}

void pump_stop(struct pump *p)
{
	p->peer = NULL;
	for (int i = 0; i < 2; i++)
		if (p->side[i])
			sl_conn_close(p->side[i], SL_CLOSE_OURS);
}

void pumps_stop(struct turn_relay *m)
{
	while (m->first_pump) {
		struct pump *p = m->first_pump;

		pump_stop(p);
		forget_module(p);
	}
}

/* ---- bytes */

static void on_later(struct sl_timer *t)
{
	struct pump *p = t->arg;

	for (int i = 0; i < 2; i++)
		if (p->side[i])
			sl_conn_resume_input(p->side[i]);
}

static void wait_for_rate(struct pump *p, enum pump_side from)
{
	sl_conn_pause_input(p->side[from]);
	if (!sl_timer_pending(&p->later))
		sl_timer_set(p->module->worker->loop, &p->later, RATE_PAUSE_MS);
}

/* To a side that is gone or ends, bytes go nowhere. */
static ptrdiff_t pass_on(struct pump *p, enum pump_side from, const uint8_t *data, size_t len)
{
	struct sl_conn *to = p->side[!from];
	size_t used = 0;

	while (used < len) {
		size_t n = len - used < PIECE ? len - used : PIECE;

		if (p->peer && !peer_may_pass(p->peer, from, n)) {
			wait_for_rate(p, from);
			break;
		}
		if (!to || sl_conn_write(to, data + used, n) < 0)
			return (ptrdiff_t)len;
		used += n;
	}
	if (to && sl_conn_queued(to) > QUEUE_HIGH)
		sl_conn_pause_input(p->side[from]);
	return (ptrdiff_t)used;
}

static void side_drained(struct pump *p, enum pump_side side)
{
	if (p->side[!side] && !sl_timer_pending(&p->later))
		sl_conn_resume_input(p->side[!side]);
}

static void side_ended(struct pump *p, enum pump_side side)
{
	if (p->side[!side])
		sl_conn_end(p->side[!side]);
}

/* ---- the stream's side */

ptrdiff_t pump_input(struct pump *p, const uint8_t *data, size_t len)
{
	return pass_on(p, PUMP_STREAM, data, len);
}

void pump_drained(struct pump *p)
{
	side_drained(p, PUMP_STREAM);
}

void pump_ended(struct pump *p)
{
	side_ended(p, PUMP_STREAM);
}

void pump_closed(struct pump *p, enum sl_close_reason why)
{
	side_closed(p, PUMP_STREAM, why);
}

/* ---- the other side */

static ptrdiff_t on_input(void *arg, struct sl_conn *c, const uint8_t *data, size_t len)
{
	(void)c;
	return pass_on(arg, PUMP_OTHER, data, len);
}

static void on_drained(void *arg, struct sl_conn *c)
{
	(void)c;
	side_drained(arg, PUMP_OTHER);
}

static void on_end(void *arg, struct sl_conn *c)
{
	(void)c;
	side_ended(arg, PUMP_OTHER);
}

static void on_closed(void *arg, struct sl_conn *c, enum sl_close_reason why)
{
	(void)c;
	side_closed(arg, PUMP_OTHER, why);
}

/* max_input: more than one read leaves over when a rate stops it in the middle. */
static const struct sl_conn_ops ops = {
	.input = on_input,
	.drained = on_drained,
	.closed = on_closed,
	.max_input = 2 * QUEUE_HIGH + 1,
	.max_output = MAX_QUEUE,
};

struct pump *pump_start(struct stream *s, const struct sl_conn_source *other, struct peer *peer)
{
	struct turn_relay *m = stream_module(s);
	struct pump *p = calloc(1, sizeof *p);

	if (!p || sl_conn_adopt(m->worker, other, &ops, p, &p->side[PUMP_OTHER]) < 0) {
		close(other->fd);
		free(p);
		return NULL;
	}
	p->module = m;
	p->peer = peer;
	p->side[PUMP_STREAM] = stream_joined(s, p);
	p->later = (struct sl_timer){.fn = on_later, .arg = p};
	p->next = m->first_pump;
	if (p->next)
		p->next->prev = p;
	m->first_pump = p;
	sl_conn_on_end(p->side[PUMP_OTHER], on_end);
	return p;
}
