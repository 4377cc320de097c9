/*
 * net/share.c: whose turn it is when more comes in than can be done.
 *
 * Clients share a listener's socket, where a flood of one fills the kernel's buffer for all. So a
 * socket that brings full batches is looked at now and then: whose are they? When one share
 * (sl_flow_set_share) has most and others are there, the socket is read ahead, since reading a
 * datagram costs a tenth of relaying it: the kernel's buffer is emptied, shares take turns in being
 * served, and what is too much is dropped from whoever has most. Those without a flow here are one
 * share together, so that forged addresses gain nothing. It ends when reads leave nothing behind.
 *
 * Sockets of modules belong to one share each; together they read so much in a tick and no more.
 * Outside of such times a busy socket costs one compare for a datagram and one for a batch.
 */
#include <stdlib.h>
#include "net/engine.h"

#define LOOK_EVERY 8	      /* full batches */
#define SAMPLE_MIN 48	      /* datagrams that say something */
#define OTHERS_NS SL_NS_PER_S /* so long ago somebody else was there */
#define QUEUE_BITS 10	      /* of the number of shares at a time */
#define QUEUE_MAX 256	/* datagrams that wait for their turn; four times what is served in a tick \
			 */
#define PACKET_COST 400 /* bytes: what a datagram costs whatever its length */
#define SERVED RX_BATCH /* in one tick, when there is more */
#define CALM 64		/* reads in a row that left nothing */
#define TICK_SHARE 128	/* datagrams that the sockets of one share may read in a tick */
#define TICK_LEAST 2	/* and each of them beyond that */

static uint32_t share_of(const struct net *n, const struct sl_packet *p)
{
	const struct sl_flow *f = flow_find(n, p);

	return f ? f->share : assoc_share(n, p);
}

/* ---- is it time? */

void share_consider(struct sl_udp *u)
{
	if (!u->listener || ++u->n_full < LOOK_EVERY)
		return;
	u->n_full = 0;
	u->share_mode = SHARE_SAMPLE;
}

static void on_later(struct sl_timer *t);

static bool others_were_there(struct shares *s, uint64_t now_ns)
{
	if (s->sample.mixed)
		s->mixed_ns = now_ns;
	return s->mixed_ns > 0 && now_ns - s->mixed_ns < OTHERS_NS;
}

static void judge(struct sl_udp *u)
{
	struct shares *s = &u->net->shares;
	bool others = others_were_there(s, sl_loop_ns(u->net->worker->loop));

	u->share_mode = SHARE_OFF;
	if (s->sample.n < SAMPLE_MIN || !fair_dominated(&s->sample) || !others)
		return;
	if (!s->queue)
		s->queue = fair_new(QUEUE_BITS);
	if (!s->queue) /* then as without it */
		return;
	s->later.fn = on_later;
	s->later.arg = u->net;
	u->share_mode = SHARE_TURNS;
	u->n_calm = 0;
}

static void sample(struct sl_udp *u)
{
	unsigned n;

	u->net->shares.sample = (struct fair_vote){0};
	(void)udp_read(u, &n); /* which adapts nothing: the next read does */
	judge(u);
}

/* ---- turns */

static struct packet *packet_in_turn(struct fair_item *item)
{
	return SL_CONTAINER(item, struct packet, turn);
}

static void drop_one(struct net *n)
{
	sl_count(net_meter(n, NET_dropped_over_share));
	sl_packet_unref(&packet_in_turn(fair_drop(n->shares.queue))->pub);
}

void share_take(struct sl_udp *u, struct sl_packet *p)
{
	struct net *n = u->net;
	struct packet *own = packet_of(p);
	const uint32_t share = share_of(n, p);

	if (u->share_mode == SHARE_SAMPLE) {
		fair_cast(&n->shares.sample, share);
		path_take(n, p, false);
		return;
	}
	own->turn = (struct fair_item){.key = share, .len = (uint16_t)(p->len + PACKET_COST)};
	sl_packet_ref(p);
	fair_put(n->shares.queue, &own->turn);
	if (fair_count(n->shares.queue) > QUEUE_MAX)
		drop_one(n);
}

static void serve(struct net *n, unsigned max)
{
	struct fair_item *item;

	n->shares.served_ns = sl_loop_ns(n->worker->loop);
	while (max-- > 0 && (item = fair_get(n->shares.queue))) {
		struct sl_packet *p = &packet_in_turn(item)->pub;

		path_take(n, p, false);
		sl_packet_unref(p);
	}
}

/* The socket wakes the loop only if there is more in it. */
static void serve_later(struct net *n)
{
	if (fair_count(n->shares.queue) > 0)
		sl_timer_set(n->worker->loop, &n->shares.later, 0);
}

static void on_later(struct sl_timer *t)
{
	struct net *n = t->arg;

	if (n->shares.served_ns != sl_loop_ns(n->worker->loop))
		serve(n, SERVED);
	serve_later(n);
}

static void receive_in_turns(struct sl_udp *u)
{
	unsigned n, n_read = 0;
	bool more = true;

	while (more && n_read < QUEUE_MAX) {
		more = udp_read(u, &n);
		n_read += n;
	}
	serve(u->net, more ? SERVED : QUEUE_MAX);
	serve_later(u->net);
	u->n_calm = more ? 0 : (uint8_t)(u->n_calm + 1);
	if (u->n_calm == CALM)
		u->share_mode = SHARE_OFF;
}

void share_receive(struct sl_udp *u)
{
	if (u->share_mode == SHARE_SAMPLE)
		sample(u);
	else
		receive_in_turns(u);
}

/* ---- sockets of modules */

void sl_udp_set_share(struct sl_udp *u, uint32_t share)
{
	u->share = share;
}

unsigned share_allow(struct sl_udp *u, unsigned wanted)
{
	const uint64_t tick_ns = sl_loop_ns(u->net->worker->loop);
	struct spent *s = &u->net->shares.spent[u->share % SL_ARRAY_LEN(u->net->shares.spent)];
	unsigned allowed;

	if (u->share == 0)
		return wanted;
	if (s->tick_ns != tick_ns)
		*s = (struct spent){.tick_ns = tick_ns};
	allowed = s->n < TICK_SHARE ? TICK_SHARE - s->n : TICK_LEAST;
	allowed = allowed < wanted ? allowed : wanted;
	s->n += allowed;
	return allowed;
}

/* ---- end */

void shares_end(struct net *n)
{
	for (unsigned i = 0; i < n->n_listeners; i++)
		if (n->listener_sockets[i])
			n->listener_sockets[i]->share_mode = SHARE_OFF;
	if (n->shares.queue)
		serve(n, QUEUE_MAX);
}

void shares_close(struct net *n)
{
	struct fair_item *item;

	sl_timer_cancel(n->worker->loop, &n->shares.later);
	while (n->shares.queue && (item = fair_get(n->shares.queue)))
		sl_packet_unref(&packet_in_turn(item)->pub);
	fair_free(n->shares.queue);
	n->shares.queue = NULL;
}
