/*
 * net/flow.c: flows: what one remote address means on one listener.
 *
 * Looked up for every datagram of a listener: one keyed hash of the address, one chain. On a
 * wildcard socket the local address belongs to the key as well, since one client may use several
 * addresses of this host from one port. A flow is entered into the eBPF map, so that its datagrams
 * come to this worker whatever generation serves new ones; the map is a cache, losing an entry
 * costs a forwarded datagram.
 */
#include "net/flow.h"

#include "net/engine.h"
#include "net/listener.h"

struct flow_key {
	const struct sl_udp *udp;
	const struct sl_addr *remote, *local;
	const struct sl_assoc *assoc;
};

/* A flow opened outside of a datagram's handling has no local address yet and takes any. */
static bool same_local(const struct sl_flow *f, const struct sl_addr *local)
{
	return !f->udp->wildcard || f->local.family == 0 || sl_addr_same_ip(&f->local, local);
}

/* Compared in full: the hash is keyed, but two addresses may still share it. */
static bool flow_is(const struct sl_hnode *node, const void *key)
{
	const struct sl_flow *f = SL_CONTAINER(node, const struct sl_flow, node);
	const struct flow_key *k = key;

	return f->udp == k->udp && f->assoc == k->assoc && sl_addr_eq(&f->remote, k->remote) &&
	       same_local(f, k->local);
}

/* The table holds flows of all listeners; the socket in the key tells them apart. */
static struct sl_flow *find(const struct net *n, uint64_t hash, const struct flow_key *key)
{
	const struct sl_hnode *node = sl_htab_find(&n->flows.table, hash, flow_is, key);

	return node ? SL_CONTAINER(node, struct sl_flow, node) : NULL;
}

/*
 * On the path of every datagram; an empty table, as in a worker that serves streams only, costs
 * nothing.
 */
struct sl_flow *flow_find(const struct net *n, const struct sl_packet *p)
{
	const struct flow_key key = {p->udp, &p->from, p->local, p->assoc};

	if (n->flows.table.count == 0)
		return NULL;
	return find(n, sl_addr_hash(&p->from), &key);
}

/* The table grows with its first flow; only the slab can fail here. */
int flows_open(struct net *n)
{
	n->flows.slab = sl_slab_new(sizeof(struct sl_flow), 64);
	return n->flows.slab ? 0 : -SL_ENOMEM;
}

/* Flows that modules did not close go with the slab; nobody is told, for the modules have ended. */
void flows_close(struct net *n)
{
	sl_htab_free(&n->flows.table);
	sl_slab_destroy(n->flows.slab);
	n->flows = (struct flows){0};
}

/* The datagram being handled, if it is from this peer. */
static const struct sl_packet *current_of(const struct sl_udp *u, const struct sl_addr *remote)
{
	const struct sl_packet *p = u->net->current;

	return p && p->udp == u && sl_addr_eq(&p->from, remote) ? p : NULL;
}

/*
 * A full or forbidden map is counted and no error: the datagram is then forwarded by whoever gets
 * it.
 */
static void steer_here(const struct sl_flow *f)
{
	const struct net *n = f->udp->net;
	const struct net_listener *l = f->udp->listener;

	if (l->flow_map < 0)
		return;
	if (steer_flow_add(l->flow_map, l->pub.index, &f->remote, n->worker->slot) < 0)
		sl_count(net_meter(n, NET_steering_failures));
}

/* The address the peer uses; unset: any */
static struct sl_addr local_of(const struct sl_udp *u, const struct sl_packet *current)
{
	if (!u->wildcard)
		return u->local;
	return current ? *current->local : (struct sl_addr){0};
}

struct sl_flow *flow_at(struct sl_udp *u, const struct sl_addr *remote)
{
	const struct sl_packet *p = current_of(u, remote);
	const struct sl_addr local = local_of(u, p);
	const struct flow_key key = {u, remote, &local, p ? p->assoc : NULL};

	return find(u->net, sl_addr_hash(remote), &key);
}

/* session needs nothing here: sl_session_open has entered its remote address into the shared tuple
 * index. */
int sl_flow_open(struct sl_udp *u, const struct sl_addr *remote, struct sl_session *session,
		 sl_flow_fn *fn, void *arg, struct sl_flow **ret_flow)
{
	struct net *n = u->net;
	const struct sl_packet *p = current_of(u, remote);
	const struct sl_addr local = local_of(u, p);
	struct sl_assoc *assoc = p ? p->assoc : NULL;
	const struct flow_key key = {u, remote, &local, assoc};
	uint64_t hash = sl_addr_hash(remote);
	struct sl_flow *f;

	(void)session;
	if (!sl_check(u->listener))
		return -SL_EBUG;
	if (find(n, hash, &key))
		return -SL_EEXIST;
	f = sl_slab_get(n->flows.slab);
	if (!f)
		return -SL_ENOMEM;
	*f = (struct sl_flow){.udp = u,
			      .remote = *remote,
			      .local = local,
			      .assoc = assoc,
			      .fn = fn,
			      .arg = arg,
			      .share = (uint32_t)hash | 1};
	if (sl_htab_insert(&n->flows.table, &f->node, hash) < 0) {
		sl_slab_put(n->flows.slab, f);
		return -SL_ENOMEM;
	}
	if (assoc)
		assoc->flow = f; /* it is steered here already */
	else
		steer_here(f);
	sl_gauge_add(net_meter(n, NET_flows), 1);
	*ret_flow = f;
	return 0;
}

/*
 * The map's entry goes too, or the next client behind this address and port would be steered here
 * for no reason.
 */
void sl_flow_close(struct sl_flow *f)
{
	struct net *n;

	if (!f)
		return;
	n = f->udp->net;
	if (f->assoc)
		f->assoc->flow = NULL;
	else if (f->udp->listener->flow_map >= 0)
		(void)steer_flow_del(f->udp->listener->flow_map, f->udp->listener->pub.index,
				     &f->remote); /* LRU may have */
	sl_htab_remove(&n->flows.table, &f->node);
	sl_gauge_add(net_meter(n, NET_flows), -1);
	sl_slab_put(n->flows.slab, f);
}

void sl_flow_set_share(struct sl_flow *f, uint32_t share)
{
	f->share = share | 1;
}

struct sl_udp *sl_flow_udp(const struct sl_flow *f)
{
	return f->udp;
}

const struct sl_addr *sl_flow_remote(const struct sl_flow *f)
{
	return &f->remote;
}

const struct sl_addr *sl_flow_local(const struct sl_flow *f)
{
	return &f->local;
}

bool sl_flow_is_dtls(const struct sl_flow *f)
{
	return f->assoc != NULL;
}

int sl_flow_send(struct sl_flow *f, struct sl_packet *p)
{
	if (f->assoc)
		return assoc_write_packet(f->assoc, p);
	return txq_push(f->udp, p, &f->remote, f->udp->wildcard ? &f->local : NULL, f->share);
}
