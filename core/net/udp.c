/*
 * net/udp.c: UDP sockets: those of listeners, made by the master and adopted here, and those that
 * modules open.
 *
 * A closed socket's descriptor goes at once, so that its port is free; its memory stays until the
 * tick ends, because its own handler may be running. Sockets are level-triggered readers for all
 * their life.
 */
#include <sluice/udp.h>

#include <sluice/pool.h>
#include "net/engine.h"
#include "os/os.h"

#include <errno.h>
#include <unistd.h>

/* Errors first: a pending one would be the result of the next call and hide what that call did. */
static void on_ready(struct sl_event *ev, unsigned ready)
{
	struct sl_udp *u = ev->arg;

	if (ready & (SL_ERROR | SL_HANGUP))
		icmp_read(u);
	if (!u->closed && ready & SL_WRITE && u->blocked)
		txq_resume(u);
	if (!u->closed && ready & SL_READ && !udp_defer(u))
		udp_receive(u);
}

/* In the list from the beginning, so that net_close finds sockets that failed half-way. */
static struct sl_udp *new_socket(struct net *n, int fd, const struct sl_addr *local)
{
	struct sl_udp *u = sl_slab_get(n->sockets);

	if (!u)
		return NULL;
	u->ev = (struct sl_event){.fd = fd, .fn = on_ready, .arg = u};
	u->net = n;
	u->local = *local;
	u->quota = 1;
	u->next = n->first_socket;
	if (u->next)
		u->next->prev = u;
	n->first_socket = u;
	return u;
}

/* The list is only walked to close all of them. */
static void unlink_socket(struct sl_udp *u)
{
	if (u->prev)
		u->prev->next = u->next;
	else
		u->net->first_socket = u->next;
	if (u->next)
		u->next->prev = u->prev;
}

static bool shares_port(int fd)
{
	int on = 0;
	socklen_t len = sizeof on;

	return getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, &len) == 0 && on;
}

/* The socket knows best what it is bound to: with steering by ports each slot has its own. */
int udp_adopt(struct net *n, struct net_listener *l, struct sl_udp **ret_udp)
{
	struct sl_udp *u;

	if (sock_local(l->fd, &l->pub.local) < 0)
		return -SL_ESYS;
	u = new_socket(n, l->fd, &l->pub.local);
	if (!u)
		return -SL_ENOMEM;
	u->own_port = !shares_port(l->fd);
	u->listener = l;
	u->wildcard = u->told = l->wildcard;
	*ret_udp = u;
	return 0;
}

/* Level-triggered for the socket's whole life: no epoll_ctl per datagram. */
int udp_start(struct sl_udp *u)
{
	return sl_event_add(u->net->worker->loop, &u->ev, SL_READ);
}

/* 0.0.0.0 and :: */
static bool is_wildcard(const struct sl_addr *a)
{
	return sl_addr_classify(a) == SL_ADDR_UNSPECIFIED;
}

/* Callers try the next port on -SL_EEXIST and give up on the others. */
static int open_error(void)
{
	if (errno == EADDRINUSE)
		return -SL_EEXIST;
	if (errno == EMFILE || errno == ENFILE)
		return -SL_ELIMIT;
	return -SL_ESYS;
}

/* Ready to receive when it returns; nothing can arrive before the next tick. */
int sl_udp_open(struct sl_worker *w, const struct sl_udp_opts *o, struct sl_udp **ret_udp)
{
	FD_AUTO int fd = -1;
	const bool wildcard = is_wildcard(&o->local);
	const struct sock_opts opts = {
		.v6only = true,
		.pktinfo = wildcard,
		.recv_tos = wildcard,
		.recv_err = o->error != NULL,
		.tos = o->tos,
		.rcvbuf = o->buffer_bytes,
		.sndbuf = o->buffer_bytes,
	};
	struct sl_addr local = o->local;
	struct sl_udp *u;

	if (!o->recv)
		return -SL_EINVAL;
	if (sock_udp(&o->local, &opts, &fd) < 0)
		return open_error();
	if (local.port == 0 && sock_local(fd, &local) < 0)
		return -SL_ESYS;
	u = new_socket(w->net, fd, &local);
	if (!u)
		return -SL_ENOMEM;
	u->wildcard = u->told = wildcard;
	u->recv = o->recv;
	u->error = o->error;
	u->arg = o->arg;
	if (udp_start(u) < 0) {
		unlink_socket(u);
		sl_slab_put(w->net->sockets, u);
		return -SL_ESYS;
	}
	fd = -1; /* the socket's now */
	sl_gauge_add(net_meter(w->net, NET_sockets), 1);
	*ret_udp = u;
	return 0;
}

void udp_shut(struct sl_udp *u)
{
	struct net *n = u->net;

	txq_flush_socket(u);
	txq_forget(u);
	sl_event_del(n->worker->loop, &u->ev);
	fd_close(&u->ev.fd);
	u->closed = true;
	unlink_socket(u);
	u->next = n->closed_socket;
	n->closed_socket = u;
	sl_post(n->worker->loop, &n->free_closed);
}

/* A listener's socket is the net layer's, and closing twice is a bug that would free it twice. */
void sl_udp_close(struct sl_udp *u)
{
	if (!u || !sl_check(!u->listener && !u->closed))
		return;
	sl_gauge_add(net_meter(u->net, NET_sockets), -1);
	udp_shut(u);
}

/* At the end of the tick no handler of these sockets is on the stack any more. */
void udp_free_closed(struct sl_post *post)
{
	struct net *n = post->arg;

	while (n->closed_socket) {
		struct sl_udp *u = n->closed_socket;

		n->closed_socket = u->next;
		sl_slab_put(n->sockets, u);
	}
}

/* The post is run by hand: the loop will not come to it. */
void udp_close_all(struct net *n)
{
	while (n->first_socket)
		udp_shut(n->first_socket);
	sl_post_cancel(n->worker->loop, &n->free_closed);
	udp_free_closed(&n->free_closed);
}

void udp_want_write(struct sl_udp *u, bool wanted)
{
	/* Fails only without kernel memory, and then the queue is tried again with the next
	 * datagram to be sent. */
	if (sl_event_set(u->net->worker->loop, &u->ev, SL_READ | (wanted ? SL_WRITE : 0)) < 0)
		u->blocked = false;
}

const struct sl_addr *sl_udp_local(const struct sl_udp *u)
{
	return &u->local;
}

const struct sl_listener *sl_udp_listener(const struct sl_udp *u)
{
	return u->listener ? &u->listener->pub : NULL;
}

/* An answer leaves from the address that was asked. */
static const struct sl_addr *source_of(const struct sl_udp *u, const struct sl_packet *p)
{
	return u->wildcard && p->udp == u ? p->local : NULL;
}

static int set_option(const struct sl_udp *u, int v4_name, int v6_name, int value)
{
	const bool v6 = u->local.family == 6;

	return setsockopt(u->ev.fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? v6_name : v4_name, &value,
			  sizeof value) < 0
		       ? -SL_ESYS
		       : 0;
}

int sl_udp_recv_ttl(struct sl_udp *u)
{
	if (set_option(u, IP_RECVTTL, IPV6_RECVHOPLIMIT, 1) < 0)
		return -SL_ESYS;
	u->told = true;
	return 0;
}

int sl_udp_may_fragment(struct sl_udp *u)
{
	if (u->local.family == 6) /* where routers never do */
		return 0;
	if (set_option(u, IP_MTU_DISCOVER, 0, IP_PMTUDISC_DONT) < 0)
		return -SL_ESYS;
	u->may_fragment = true;
	return 0;
}

int sl_udp_recv_tos(struct sl_udp *u)
{
	if (set_option(u, IP_RECVTOS, IPV6_RECVTCLASS, 1) < 0)
		return -SL_ESYS;
	u->told = true;
	return 0;
}

/*
 * Past the queue, whose datagrams go first: the option is the socket's, and theirs is the other. A
 * datagram that the kernel refuses for its length stands in the socket's error queue with the MTU.
 */
int sl_udp_send_whole(struct sl_udp *u, const struct sl_packet *p, const struct sl_addr *to)
{
	const int usual = u->may_fragment ? IP_PMTUDISC_DONT : IP_PMTUDISC_WANT;
	ssize_t n;
	int err;

	if (u->closed || u->wildcard)
		return u->closed ? -SL_ECLOSED : -SL_EUNSUPP;
	txq_flush_socket(u);
	if (set_option(u, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, IP_PMTUDISC_DO) < 0)
		return -SL_ESYS;
	n = txq_send_now(u, p, to);
	err = n >= 0 ? 0 : errno == EMSGSIZE ? -SL_ELIMIT : -SL_EFULL;
	if (set_option(u, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, usual) < 0)
		err = -SL_ESYS;
	if (err == -SL_ELIMIT)
		icmp_read_too_long(u, to);
	if (n >= 0) {
		sl_count(net_meter(u->net, NET_datagrams_out));
		sl_count_n(net_meter(u->net, NET_datagram_bytes_out), (uint64_t)n);
	}
	return err;
}

/* The packet may be one that was received: relaying copies nothing. */
int sl_udp_send(struct sl_udp *u, struct sl_packet *p, const struct sl_addr *to)
{
	return txq_push(u, p, to, source_of(u, p), 0);
}

int sl_udp_send_from(struct sl_udp *u, struct sl_packet *p, const struct sl_addr *from,
		     const struct sl_addr *to)
{
	return txq_push(u, p, to, u->wildcard ? from : NULL, 0);
}

/* A fresh packet: the received one may be kept by somebody who still reads it. */
int sl_udp_reply(const struct sl_packet *p, const void *data, size_t len)
{
	struct packet *answer;
	int rc;

	if (!p->udp || len > SL_PACKET_MAX)
		return -SL_EINVAL;
	if (p->assoc)
		return assoc_write(p->assoc, data, len, 0);
	answer = arena_get(&p->udp->net->arena);
	if (!answer)
		return -SL_EFULL;
	memcpy(answer->pub.data, data, len);
	answer->pub.len = (uint32_t)len;
	rc = txq_push(p->udp, &answer->pub, &p->from, source_of(p->udp, p), 0);
	sl_packet_unref(&answer->pub);
	return rc;
}
