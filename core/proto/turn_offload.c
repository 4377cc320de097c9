/*
 * proto/turn_offload.c: channels whose packets the caller has relayed elsewhere, in the kernel:
 * when it is worth it, how long they hold, and what was carried there.
 *
 * The engine goes on to judge every packet that still comes to it; what is relayed elsewhere it
 * only hears of in numbers. So the caller must stop by the time that it is told, and each change of
 * that time is told at once. RFC 8656 sections 7, 9 and 12 for the three expiries.
 */
#include "proto/turn_impl.h"

void turn_channel_busy(struct turn_channel *c, bool to_peer)
{
	struct sl_turn *t = c->owner->turn;

	if (++c->n_relayed[to_peer] < SL_TURN_BUSY)
		return;
	c->n_relayed[to_peer] = 0;
	if (t->io->busy && !c->owner->shaped) /* a rate is kept here */
		t->io->busy(t->io_ctx, c->owner, c->number, to_peer);
}

void turn_channel_retimed(const struct turn_channel *c)
{
	struct sl_turn *t = c->owner->turn;

	if (c->data && t->io->retimed)
		t->io->retimed(t->io_ctx, c->owner, c->number);
}

/* The permission of some or the allocation has another expiry; those that it does not concern are
 * told what they know. */
void turn_channels_retimed(const struct sl_turn_alloc *a)
{
	for (const struct turn_channel *c = a->channels; c; c = c->next)
		turn_channel_retimed(c);
}

void turn_channel_unbound(struct turn_channel *c)
{
	struct sl_turn *t = c->owner->turn;

	if (c->data && t->io->unbound)
		t->io->unbound(t->io_ctx, c->owner, c->number);
	c->data = NULL;
}

/* Whoever relays them does so for the 5-tuple that the client has left. */
void turn_channels_unbound(const struct sl_turn_alloc *a)
{
	for (struct turn_channel *c = a->channels; c; c = c->next)
		turn_channel_unbound(c);
}

/* ---- what the caller asks */

const struct sl_addr *sl_turn_channel_peer(struct sl_turn_alloc *a, uint16_t number)
{
	const struct turn_channel *c = turn_channel_by_number(a, number);

	return c ? &c->peer : NULL;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t sl_turn_channel_holds_ms(struct sl_turn_alloc *a, uint16_t number)
{
	const struct turn_channel *c = turn_channel_by_number(a, number);

	if (!c)
		return 0;
	return earlier(a->expires_ms, earlier(c->expires_ms, c->perm->expires_ms));
}

void **sl_turn_channel_data(struct sl_turn_alloc *a, uint16_t number)
{
	struct turn_channel *c = turn_channel_by_number(a, number);

	return c ? &c->data : NULL;
}

void sl_turn_count(struct sl_turn_alloc *a, bool to_peer, uint64_t packets, uint64_t bytes)
{
	struct sl_turn_counters *n = &a->turn->counters;

	if (to_peer) {
		n->to_peer_packets += packets;
		n->to_peer_bytes += bytes;
	} else {
		n->to_client_packets += packets;
		n->to_client_bytes += bytes;
	}
}
