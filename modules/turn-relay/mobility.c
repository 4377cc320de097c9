/*
 * turn-relay/mobility.c: allocations that follow their client to another 5-tuple (RFC 8016).
 *
 * A Refresh with a valid ticket has moved it there. From now on it has two ways to its client, and
 * what peers send goes where the client was heard last: at the new place, unless something still
 * comes from the old one. Nothing is lost by a client that has both for a while, nor by one whose
 * old way is dead already. The first word from the new place that is no repetition of the Refresh
 * settles it: the old way ends.
 *
 * A way over a connection may break at any time; without any way an allocation that has a ticket
 * waits for its client for as long as an idle connection would be waited for.
 */
#include "relay.h"

static struct relay_way current(const struct relay *r)
{
	return (struct relay_way){r->flow, r->stream};
}

static void set_current(struct relay *r, struct relay_way way)
{
	r->flow = way.flow;
	r->stream = way.stream;
	offload_recall(r);
	show_relay(r);
}

static void swap_ways(struct relay *r)
{
	struct relay_way way = current(r);

	set_current(r, r->other);
	r->other = way;
	r->at_new = !r->at_new;
}

/* An old connection may serve its client for something else. */
static void close_other(struct relay *r)
{
	sl_flow_close(r->other.flow);
	if (r->other.stream)
		stream_adopt(r->other.stream, NULL);
	r->other = (struct relay_way){0};
}

/* ---- in the session table */

/* The entry stays at the old place while that is good; the new one has an entry beside it, so that
 * workers that get a stray of either know whose it is. */
static int open_entry(struct relay *r, const struct sl_packet *p)
{
	const struct sl_session_opts opts = {
		.kind = SL_KIND_NONE,
		.listener = sl_udp_listener(p->udp),
		.remote = p->from,
		.label = SL_STR("turn, moving"),
		.expires_ms = sl_turn_alloc_expires_ms(r->alloc),
	};

	return sl_session_open(r->module->worker, &opts, &r->moving_session);
}

static void close_entry(struct relay *r, const char *why)
{
	sl_session_close(r->moving_session, why);
	r->moving_session = NULL;
}

/* ---- moving */

static int open_way(struct relay *r, struct relay_way *ret_way)
{
	struct turn_relay *m = r->module;
	struct sl_packet *p = m->packet;
	int err;

	*ret_way = (struct relay_way){.stream = m->stream};
	if (!p)
		return 0;
	err = open_entry(r, p);
	if (err < 0)
		return err;
	err = sl_flow_open(p->udp, &p->from, r->moving_session, datagram_flow, r, &ret_way->flow);
	if (err == 0)
		sl_flow_set_share(ret_way->flow, r->share);
	if (err < 0)
		close_entry(r, "refused");
	return err;
}

/* A place that it has moved to, and was not heard at before it moves again, is given up. */
static void forget_unsettled(struct relay *r)
{
	if (!r->moving)
		return;
	if (r->at_new)
		swap_ways(r);
	close_other(r);
	close_entry(r, "moved on");
}

int relay_moved(void *ctx, struct sl_turn_alloc *a)
{
	struct relay *r = sl_turn_data(a);
	struct relay_way way;
	int err;

	(void)ctx;
	forget_unsettled(r);
	err = open_way(r, &way);
	if (err < 0)
		return err;
	r->other = current(r);
	r->moving = r->at_new = true;
	set_current(r, way);
	if (way.stream)
		stream_adopt(way.stream, r);
	return 0;
}

/* Where the new tuple was taken meanwhile, only this worker's flow and the steering know it. */
static void move_session(struct relay *r)
{
	const struct sl_listener *l = r->flow ? sl_udp_listener(sl_flow_udp(r->flow)) : NULL;

	close_entry(r, "settled");
	if (sl_session_move(r->session, l, &sl_turn_alloc_client(r->alloc)->remote) < 0)
		sl_log(SL_LOG_INFO, "turn-relay",
		       "an allocation has moved, but its new address is another session's");
}

static void settle(struct relay *r)
{
	close_other(r);
	move_session(r);
	r->moving = false;
	sl_turn_settled(r->alloc);
}

void relay_heard(struct relay *r, struct relay_way from, bool settles)
{
	bool here = from.flow == r->flow && from.stream == r->stream;

	if (!here)
		swap_ways(r);
	if (r->at_new && settles)
		settle(r);
}

/* ---- ways that end */

void relay_way_lost(struct relay *r, struct relay_way way)
{
	struct turn_relay *m = r->module;
	bool here = way.flow == r->flow && way.stream == r->stream;

	if (r->moving && here)
		swap_ways(r);
	if (r->moving) {
		close_other(r);
		if (r->flow || r->stream)
			return;
	}
	sl_flow_close(r->flow);
	set_current(r, (struct relay_way){0});
	sl_turn_client_lost(r->alloc, module_now_ms(m), m->conf->idle_timeout);
	module_arm(m);
	meters_touch(m);
}

void relay_ways_close(struct relay *r)
{
	close_other(r);
	sl_session_close(r->moving_session, "the allocation ended");
	if (r->stream)
		stream_adopt(r->stream, NULL);
	sl_flow_close(r->flow);
}
