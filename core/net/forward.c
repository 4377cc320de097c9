/*
 * net/forward.c: handing a datagram to the worker that owns its sender.
 *
 * Needed where eBPF does not steer, and in the moments in which its map does not know a flow. One
 * hop: the receiver treats what it does not know as new. A message carries the listener's index,
 * both addresses and the bytes; it lives in a ring of shared memory that a process of another build
 * may read, so that the layout is fixed and checked.
 */
#include "net/engine.h"

#include <sluice/hash.h>
#include <sluice/stun.h>
#include <sluice/trace.h>

#define DATAGRAM 1 /* type of the message */
#define MAX_SLOTS 1024

struct forwarded {
	uint16_t listener;
	uint8_t tos, ttl;
	uint32_t len; /* bytes behind this header */
	struct sl_addr from, local;
};
_Static_assert(sizeof(struct forwarded) == 56, "no padding goes into shared memory");

/*
 * The low half of an owner word, the epoch, is of no interest: a predecessor's flows are nobody's.
 */
static unsigned own_slot(const struct net *n)
{
	return n->worker->slot;
}

/*
 * Header and bytes go into the ring in one record; nothing is kept here, and nobody waits for an
 * answer.
 */
static int hand_over(struct net *n, const struct sl_packet *p, uint32_t owner)
{
	const struct forwarded head = {
		.listener = p->udp->listener->pub.index,
		.tos = p->tos,
		.ttl = p->ttl,
		.len = p->len,
		.from = p->from,
		.local = *p->local,
	};
	const struct iovec iov[] = {
		{(void *)(uintptr_t)&head, sizeof head},
		{p->data, p->len},
	};

	int rc = inbox_send(n->worker->inbox, owner, NET_CHANNEL, DATAGRAM, iov, SL_ARRAY_LEN(iov));

	if (rc < 0) {
		sl_count(net_meter(n, NET_forward_failures));
		sl_trace(0, SL_TRACE_INBOX_FULL, owner_slot(owner), p->len);
		return rc;
	}
	sl_count(net_meter(n, NET_forwarded_out));
	sl_trace(0, SL_TRACE_FORWARD, owner_slot(owner), p->len);
	return 0;
}

/* With a port for each worker the answer must leave from this worker's. */
static bool may_forward(const struct net *n, const struct sl_packet *p)
{
	return n->worker->inbox && n->worker->shm && !p->udp->own_port;
}

/* The first half of a check's USERNAME is the ufrag of its receiver (RFC 8445 section 7.2.2). */
static bool local_ufrag(const struct sl_packet *p, char ret_ufrag[9])
{
	struct sl_stun_msg msg;
	struct sl_str name, ufrag;

	if (sl_get16(p->data) != SL_STUN_BINDING || sl_stun_parse(&msg, p->data, p->len) < 0)
		return false;
	name = sl_stun_find_str(&msg, SL_STUN_USERNAME);
	ufrag = sl_str_split(&name, ':');
	if (ufrag.len < 4 || ufrag.len > 8 || !name.p)
		return false;
	(void)sl_str_copy(ret_ufrag, 9, ufrag); /* fits */
	return true;
}

/*
 * True also when the inbox was full: the client repeats its check, and here it would only do harm.
 */
bool forward_by_ufrag(struct net *n, struct sl_packet *p)
{
	char ufrag[9];
	uint32_t index, owner;

	if (!may_forward(n, p) || !local_ufrag(p, ufrag))
		return false;
	if (shm_find_ufrag(n->worker->shm, ufrag, &index, &owner) < 0 ||
	    owner_slot(owner) == own_slot(n))
		return false;
	(void)hand_over(n, p, owner); /* a full inbox has lost it, which is counted */
	return true;
}

/* The segment says it before the master's word to drain is read: whoever was told that a reload has
 * succeeded finds the new generation, however busy this worker is. */
bool net_is_superseded(const struct net *n)
{
	const struct sl_worker *w = n->worker;

	return w->draining || (w->shm && w->generation < shm_generation(w->shm));
}

/* A slot that takes new work, the same one for this sender whichever worker asks. */
static bool current_owner(const struct net *n, const struct sl_addr *remote, uint32_t *ret_owner)
{
	uint16_t slots[MAX_SLOTS];
	unsigned n_slots = shm_current_slots(n->worker->shm, slots, MAX_SLOTS);
	uint64_t hash;

	if (n_slots == 0)
		return false;
	hash = sl_siphash13(n->worker->node_key, remote, sizeof *remote);
	*ret_owner = shm_owner(n->worker->shm, slots[hash % n_slots]);
	return owner_slot(*ret_owner) != own_slot(n);
}

/*
 * A sender without a flow here. What still reaches an older generation as new goes to the current
 * one, by every kind of steering: the kernel may have queued it before the switch.
 */
bool forward_stray(struct net *n, struct sl_packet *p)
{
	const uint16_t listener = p->udp->listener->pub.index;
	uint32_t index, owner;

	if (!may_forward(n, p))
		return false;
	if (shm_find_tuple(n->worker->shm, listener, &p->from, &index, &owner) == 0) {
		if (owner_slot(owner) == own_slot(n))
			return false;
	} else if (!net_is_superseded(n) || !current_owner(n, &p->from, &owner)) {
		return false;
	}
	(void)hand_over(n, p, owner); /* a full inbox has lost it, which is counted */
	return true;
}

/* One hop for these as well: who got it by a forward keeps it. */
int sl_udp_forward(const struct sl_packet *p, uint16_t slot)
{
	struct net *n = p->udp->net;
	uint32_t owner;

	if (!p->udp->listener || p->assoc || !may_forward(n, p))
		return -SL_EUNSUPP;
	if (n->current_forwarded || slot == own_slot(n) ||
	    slot >= shm_sizes(n->worker->shm)->n_slots)
		return -SL_ENOENT;
	owner = shm_owner(n->worker->shm, slot);
	if (!shm_owner_alive(n->worker->shm, owner))
		return -SL_ENOENT;
	return hand_over(n, p, owner);
}

/* Few listeners, and only for datagrams that are forwarded: a walk is cheaper than a table. */
static struct sl_udp *socket_of(const struct net *n, unsigned index)
{
	for (unsigned i = 0; i < n->n_listeners; i++)
		if (n->listener_sockets[i] && n->listeners[i].pub.index == index)
			return n->listener_sockets[i];
	return NULL;
}

/*
 * As if it had been read here: it leaves from this worker's socket, which is bound to the same
 * address.
 */
static void take_over(struct net *n, struct sl_udp *u, const struct forwarded *head,
		      const uint8_t *data)
{
	struct packet *p = arena_get(&n->arena);

	if (!p) {
		sl_count(net_meter(n, NET_dropped_no_packet));
		return;
	}
	memcpy(p->pub.data, data, head->len);
	p->pub.len = head->len;
	p->pub.tos = head->tos;
	p->pub.ttl = head->ttl;
	p->pub.from = head->from;
	p->pub.udp = u;
	p->pub.time_ns = sl_loop_ns(n->worker->loop);
	p->to = head->local;
	p->pub.local = &p->to;
	sl_count(net_meter(n, NET_forwarded_in));
	path_take(n, &p->pub, true);
	sl_packet_unref(&p->pub);
}

/*
 * A record that does not fit its header is a bug of ours, since only processes of this node write
 * there.
 */
void net_inbox(struct net *n, const struct inbox_msg *msg)
{
	struct forwarded head;
	struct sl_udp *u;

	if (!sl_check(msg->type == DATAGRAM && msg->len >= sizeof head))
		return;
	memcpy(&head, msg->data, sizeof head);
	if (!sl_check(head.len == msg->len - sizeof head && head.len <= SL_PACKET_MAX))
		return;
	u = socket_of(n, head.listener);
	if (u)
		take_over(n, u, &head, msg->data + sizeof head);
	else
		sl_count(net_meter(
			n,
			NET_dropped_unclaimed)); /* a listener that this generation does not have */
}
