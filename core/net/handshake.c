/*
 * net/handshake.c: the budget of handshakes, so that a flood of them delays nobody's media.
 *
 * A handshake costs 400 us of CPU with an ECDSA key and twice that with RSA: as much as a hundred
 * packets. So few begin in one tick, so that packets come in between; no more than so many in a
 * second; and one source gets a share only. TCP clients wait their turn, in order, as long as
 * preread_timeout lets them, without a place in OpenSSL's memory; DTLS clients repeat their hello.
 */
#include "net/handshake.h"

#include "net/engine.h"

#define PER_TICK 2
#define PER_TICK_DTLS 8 /* who cannot wait is lost for a second */
#define WAITING_MAX 4096
#define SOURCES 16384
#define RETRY_MS 20 /* without a token, or with all places taken by handshakes that stall */

static void on_tick_end(struct sl_post *post);
static void on_timer(struct sl_timer *t);

/* ---- the budget */

/* All share one bucket: that of nobody's address. */
static bool take_token(struct net *n)
{
	static const struct sl_addr everybody = {.family = 4};
	struct handshakes *h = &n->handshakes;

	return !h->all || sl_rate_allow(h->all, &everybody, sl_loop_ms(n->worker->loop));
}

static bool has_place(const struct handshakes *h, unsigned per_tick)
{
	return h->n_this_tick < per_tick &&
	       (h->limits.in_flight == 0 || h->n_in_flight < h->limits.in_flight);
}

static bool source_may(struct net *n, const struct sl_addr *remote)
{
	struct handshakes *h = &n->handshakes;

	return !h->sources || sl_rate_allow(h->sources, remote, sl_loop_ms(n->worker->loop));
}

static bool begin(struct net *n, unsigned per_tick)
{
	struct handshakes *h = &n->handshakes;

	if (!has_place(h, per_tick) || !take_token(n))
		return false;
	h->n_this_tick++;
	h->n_in_flight++;
	sl_gauge_set(net_meter(n, NET_handshakes), h->n_in_flight);
	sl_post(n->worker->loop, &h->post);
	return true;
}

static void end(struct net *n)
{
	struct handshakes *h = &n->handshakes;

	h->n_in_flight--;
	sl_gauge_set(net_meter(n, NET_handshakes), h->n_in_flight);
}

/* ---- who waits */

static void push(struct sl_conn *c)
{
	struct handshakes *h = &conn_net(c)->handshakes;

	c->prev_waiting = h->last;
	c->next_waiting = NULL;
	if (h->last)
		h->last->next_waiting = c;
	else
		h->first = c;
	h->last = c;
	h->n_waiting++;
	c->handshake = HANDSHAKE_WAITS;
}

static void pull(struct sl_conn *c)
{
	struct handshakes *h = &conn_net(c)->handshakes;

	if (c->prev_waiting)
		c->prev_waiting->next_waiting = c->next_waiting;
	else
		h->first = c->next_waiting;
	if (c->next_waiting)
		c->next_waiting->prev_waiting = c->prev_waiting;
	else
		h->last = c->prev_waiting;
	h->n_waiting--;
	c->handshake = HANDSHAKE_NONE;
}

/* The hello is looked at again, now as one that may go on. */
static void let_in(struct sl_conn *c)
{
	pull(c);
	c->handshake = HANDSHAKE_RUNS;
	c->seen = 0;
	conn_want(c, SL_READ);
	if (c->state == CONN_PREREAD)
		preread_ready(c);
}

static void next_ones(struct net *n)
{
	struct handshakes *h = &n->handshakes;

	while (h->first && begin(n, PER_TICK))
		let_in(h->first);
	if (!h->first)
		return;
	if (h->n_this_tick >= PER_TICK)
		sl_post(n->worker->loop, &h->post);
	else if (!sl_timer_pending(&h->timer))
		sl_timer_set(n->worker->loop, &h->timer, RETRY_MS);
}

/* A post runs once a tick, so the tick's share begins anew here. */
static void on_tick_end(struct sl_post *post)
{
	struct net *n = post->arg;

	n->handshakes.n_this_tick = 0;
	next_ones(n);
}

static void on_timer(struct sl_timer *t)
{
	next_ones(t->arg);
}

/* ---- who asks */

int handshake_ask(struct sl_conn *c)
{
	struct net *n = conn_net(c);
	struct handshakes *h = &n->handshakes;

	if (c->handshake == HANDSHAKE_RUNS)
		return SL_OK;
	if (!source_may(n, &c->remote) || h->n_waiting >= WAITING_MAX) {
		sl_count(net_meter(n, NET_handshakes_refused));
		return SL_DROP;
	}
	if (!h->first && begin(n, PER_TICK)) {
		c->handshake = HANDSHAKE_RUNS;
		return SL_OK;
	}
	sl_count(net_meter(n, NET_handshakes_delayed));
	push(c);
	conn_want(c, 0);
	next_ones(n);
	return SL_AGAIN;
}

void handshake_over(struct sl_conn *c)
{
	if (c->handshake == HANDSHAKE_WAITS)
		pull(c);
	else if (c->handshake == HANDSHAKE_RUNS)
		end(conn_net(c));
	c->handshake = HANDSHAKE_DONE;
}

bool handshake_begin(struct net *n, const struct sl_addr *remote)
{
	if (source_may(n, remote) && begin(n, PER_TICK_DTLS))
		return true;
	sl_count(net_meter(n, NET_handshakes_refused));
	return false;
}

void handshake_end(struct net *n)
{
	end(n);
}

/* ---- life */

int handshakes_open(struct net *n, const struct handshake_limits *limits)
{
	struct handshakes *h = &n->handshakes;
	int rc = 0;

	h->limits = *limits;
	h->post = (struct sl_post){.fn = on_tick_end, .arg = n};
	h->timer.fn = on_timer;
	h->timer.arg = n;
	/* A burst of a fifth of a second: longer ones are what the limit is for. */
	if (limits->per_second > 0)
		rc = sl_rate_new(limits->per_second, limits->per_second / 5 + 1, 1, &h->all);
	if (rc == 0 && limits->per_source > 0)
		rc = sl_rate_new(limits->per_source, 2 * limits->per_source, SOURCES, &h->sources);
	return rc;
}

void handshakes_close(struct net *n)
{
	struct handshakes *h = &n->handshakes;

	sl_post_cancel(n->worker->loop, &h->post);
	sl_timer_cancel(n->worker->loop, &h->timer);
	sl_rate_free(h->all);
	sl_rate_free(h->sources);
	*h = (struct handshakes){0};
}
