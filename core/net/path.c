/*
 * net/path.c: whose is a datagram that came to a listener?
 *
 * Guards first; then what a connectivity check names (its ufrag outranks everything learned
 * earlier); then the flow of its sender, if it is known here; then the connection here that a check
 * names; then the worker that the shared table names; then the peer that sends media from a new
 * address; then the modules that take new senders. A datagram that another worker handed over never
 * leaves again, so that two tables that disagree cannot play ping-pong.
 */
#include "net/engine.h"

#include <sluice/stun.h>

/* True: a guard took or refused it. */
static bool guarded(struct net *n, const struct net_listener *l, struct sl_packet *p)
{
	int rc = hook_run_dgram(&l->guard, p);

	if (rc == SL_OK || rc == SL_DECLINED)
		return false;
	if (rc != SL_DONE)
		sl_count(net_meter(n, NET_dropped_by_guard));
	return true;
}

/*
 * SL_OK means that a module looked and somebody may still want it; only SL_DECLINED by all is
 * nobody.
 */
static void offer(struct net *n, const struct net_listener *l, struct sl_packet *p)
{
	int rc = l->content.n > 0 ? hook_run_dgram(&l->content, p) : SL_DECLINED;

	if (rc == SL_DECLINED)
		sl_count(net_meter(n, NET_dropped_unclaimed));
}

/* A connectivity check for a connection of this worker, from wherever it comes. */
static bool checked(const struct net *n, struct sl_packet *p)
{
	return n->check && p->demux == SL_DEMUX_STUN && n->check(n->check_arg, p) == SL_DONE;
}

/* Media from an address that is nobody's: a peer that has moved? */
static bool followed(const struct net *n, struct sl_packet *p)
{
	return n->stray && (p->demux == SL_DEMUX_RTP || p->demux == SL_DEMUX_RTCP) &&
	       n->stray(n->stray_arg, p) == SL_DONE;
}

static bool to_flow(struct net *n, struct sl_packet *p)
{
	struct sl_flow *f = flow_find(n, p);

	if (!f)
		return false;
	if (f->fn(f->arg, f, p) == SL_DECLINED && !checked(n, p))
		offer(n, p->udp->listener, p);
	return true;
}

/* In this order; each step is skipped at the cost of one compare where nothing is configured. */
static void route(struct net *n, struct sl_packet *p, bool forwarded)
{
	const struct net_listener *l = p->udp->listener;

	if (l->guard.n > 0 && guarded(n, l, p))
		return;
	if (SL_UNLIKELY(l->tls_only) && p->demux != SL_DEMUX_DTLS) {
		sl_count(net_meter(n, NET_dropped_plain));
		return;
	}
	if (!forwarded && p->demux == SL_DEMUX_STUN && forward_by_ufrag(n, p))
		return;
	if (to_flow(n, p) || checked(n, p))
		return;
	if (l->dtls && p->demux == SL_DEMUX_DTLS && assoc_input(n, p))
		return;
	if ((!forwarded && forward_stray(n, p)) || followed(n, p))
		return;
	if (l->dtls && p->demux == SL_DEMUX_DTLS)
		assoc_listen(n, p);
	else
		offer(n, l, p);
}

/* What an association has decrypted: nobody forwards it, nobody's guard has seen it differently. */
void path_take_decrypted(struct net *n, struct sl_packet *p)
{
	struct sl_packet *outer = n->current;

	p->demux = (uint8_t)sl_demux(p->data, p->len);
	n->current = p;
	if (p->demux != SL_DEMUX_DTLS && !to_flow(n, p))
		offer(n, p->udp->listener, p);
	n->current = outer;
}

void path_take(struct net *n, struct sl_packet *p, bool forwarded)
{
	if (SL_UNLIKELY(n->leaving)) {
		(void)forward_stray(n, p); /* else it has nowhere to go */
		return;
	}
	p->demux = (uint8_t)sl_demux(p->data, p->len);
	n->current = p;
	n->current_forwarded = forwarded;
	route(n, p, forwarded);
	n->current = NULL;
}
