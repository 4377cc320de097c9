/*
 * turn-relay/offload.c: channels of UDP clients that the kernel relays by itself
 * (<sluice/offload.h>).
 *
 * A direction is handed over once it has carried some packets through here, so that the packet
 * filters of this host have let them pass, and idle channels cost nothing. It comes back when its
 * channel, permission or allocation ends, and when the network reports an error for the peer. What
 * the kernel has carried is read once a second, and at the end, into the session's entry and the
 * engine's counters.
 */
#include "relay.h"

enum { TO_CLIENT, TO_PEER, N_WAYS };
enum { READ_MS = 1000 };

/* The data of a channel. */
struct pair {
	struct relay *relay;
	struct pair *prev, *next; /* of all */
	struct pair *sibling;	  /* of relay->pairs */
	uint16_t number;
	bool refused[N_WAYS]; /* not asked for again before the channel is refreshed */
	struct sl_offload *ways[N_WAYS];
};

/* ---- counting */

static void count(struct pair *pair, int way, struct sl_offload_counts n)
{
	struct relay *r = pair->relay;
	struct sl_session_stats *stats = r->session->stats;

	if (n.packets == 0)
		return;
	if (way == TO_PEER) {
		stats->packets_in += n.packets;
		stats->bytes_in += n.bytes;
		stats->last_receive_ms = module_now_ms(r->module);
	} else {
		stats->packets_out += n.packets;
		stats->bytes_out += n.bytes;
	}
	sl_turn_count(r->alloc, way == TO_PEER, n.packets, n.bytes);
	meters_touch(r->module);
}

static void on_read(struct sl_timer *t)
{
	struct turn_relay *m = t->arg;

	for (struct pair *p = m->first_pair; p; p = p->next)
		for (int way = 0; way < N_WAYS; way++)
			if (p->ways[way])
				count(p, way, sl_offload_read(p->ways[way]));
	if (m->first_pair)
		sl_timer_set(m->worker->loop, t, READ_MS);
}

static void end_way(struct pair *pair, int way)
{
	if (!pair->ways[way])
		return;
	count(pair, way, sl_offload_end(pair->ways[way]));
	pair->ways[way] = NULL;
	pair->relay->n_offloaded--;
	show_relay(pair->relay);
}

/* ---- pairs */

static struct pair *pair_of(struct relay *r, uint16_t number)
{
	void **data = sl_turn_channel_data(r->alloc, number);

	return data ? *data : NULL;
}

static struct pair *new_pair(struct relay *r, uint16_t number)
{
	struct turn_relay *m = r->module;
	void **data = sl_turn_channel_data(r->alloc, number);
	struct pair *p = data ? sl_slab_get(m->pairs) : NULL;

	if (!p)
		return NULL;
	*p = (struct pair){
		.relay = r, .number = number, .next = m->first_pair, .sibling = r->pairs};
	if (p->next)
		p->next->prev = p;
	m->first_pair = p;
	r->pairs = p;
	*data = p;
	if (!sl_timer_pending(&m->read_pairs))
		sl_timer_set(m->worker->loop, &m->read_pairs, READ_MS);
	return p;
}

static void free_pair(struct pair *p)
{
	struct turn_relay *m = p->relay->module;
	struct pair **link = &p->relay->pairs;

	end_way(p, TO_CLIENT);
	end_way(p, TO_PEER);
	while (*link != p)
		link = &(*link)->sibling;
	*link = p->sibling;
	if (p->prev)
		p->prev->next = p->next;
	else
		m->first_pair = p->next;
	if (p->next)
		p->next->prev = p->prev;
	sl_slab_put(m->pairs, p);
}

/* ---- handing over */

static int begin(struct pair *pair, int way)
{
	struct relay *r = pair->relay;
	const struct sl_addr *peer = sl_turn_channel_peer(r->alloc, pair->number);
	const struct relay_socket *s = r->sockets[peer->family == 6];
	const struct sl_turn_client *client = sl_turn_alloc_client(r->alloc);
	struct sl_offload_opts o = {
		.channel = pair->number,
		.strip = way == TO_PEER,
		.expires_ms = sl_turn_channel_holds_ms(r->alloc, pair->number),
	};

	if (!s)
		return -SL_EUNSUPP;
	if (way == TO_PEER) {
		o.from = client->remote;
		o.at = client->local;
		o.via = *sl_udp_local(s->udp);
		o.to = *peer;
	} else {
		o.from = *peer;
		o.at = *sl_udp_local(s->udp);
		o.via = client->local;
		o.to = client->remote;
	}
	return sl_offload_begin(r->module->worker, &o, &pair->ways[way]);
}

/* Called from within a packet's handling: the rule is for those that follow. The kernel has no keys
 * of DTLS. */
void offload_busy(void *ctx, struct sl_turn_alloc *a, uint16_t number, bool to_peer)
{
	const int way = to_peer ? TO_PEER : TO_CLIENT;
	struct turn_relay *m = ctx;
	struct relay *r = sl_turn_data(a);
	struct pair *pair;

	if (!m->pairs || !r->flow || r->moving || !r->session || sl_flow_is_dtls(r->flow))
		return;
	pair = pair_of(r, number);
	if (!pair)
		pair = new_pair(r, number);
	if (!pair || pair->refused[way])
		return;
	if (pair->ways[way] && sl_offload_stands(pair->ways[way]))
		return; /* what comes here is what the kernel leaves to us */
	end_way(pair, way);
	pair->refused[way] = begin(pair, way) < 0;
	r->n_offloaded += !pair->refused[way];
	show_relay(r);
}

void offload_retimed(void *ctx, struct sl_turn_alloc *a, uint16_t number)
{
	struct pair *pair = pair_of(sl_turn_data(a), number);

	(void)ctx;
	for (int way = 0; way < N_WAYS; way++) {
		pair->refused[way] = false;
		if (pair->ways[way])
			sl_offload_set_expiry(pair->ways[way], sl_turn_channel_holds_ms(a, number));
	}
}

void offload_unbound(void *ctx, struct sl_turn_alloc *a, uint16_t number)
{
	(void)ctx;
	free_pair(pair_of(sl_turn_data(a), number));
}

void offload_recall(struct relay *r)
{
	for (struct pair *p = r->pairs; p; p = p->sibling) {
		end_way(p, TO_CLIENT);
		end_way(p, TO_PEER);
	}
}

void offload_refuse(struct relay *r, const struct sl_addr *peer)
{
	for (struct pair *p = r->pairs; p; p = p->sibling) {
		if (!sl_addr_eq(sl_turn_channel_peer(r->alloc, p->number), peer))
			continue;
		end_way(p, TO_PEER);
		p->refused[TO_PEER] = true;
	}
}

void offload_end(struct turn_relay *m)
{
	for (struct pair *p = m->first_pair; p; p = p->next) {
		end_way(p, TO_CLIENT);
		end_way(p, TO_PEER);
	}
}

int offload_begin(struct turn_relay *m)
{
	m->read_pairs = (struct sl_timer){.fn = on_read, .arg = m};
	if (m->conf->offload == SL_OFFLOAD_OFF || !sl_offload_usable(m->worker))
		return 0;
	m->pairs = sl_slab_new(sizeof(struct pair), 64);
	return m->pairs ? 0 : -SL_ENOMEM;
}
