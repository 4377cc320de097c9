/*
 * net/net.c: the net layer of one worker: its parts opened, started, drained and closed, in order.
 */
#include "net/net.h"

#include <sluice/pool.h>
#include "event/loop.h"
#include "net/engine.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define LAST_READS 1000

/* Positions are the same in all three arrays; a TCP listener has no UDP socket. */
static int adopt_listeners(struct net *n)
{
	n->public_listeners = calloc(n->n_listeners + 1, sizeof *n->public_listeners);
	n->listener_sockets = calloc(n->n_listeners + 1, sizeof *n->listener_sockets);
	if (!n->public_listeners || !n->listener_sockets)
		return -SL_ENOMEM;
	for (unsigned i = 0; i < n->n_listeners; i++) {
		struct net_listener *l = &n->listeners[i];
		int rc = l->pub.udp ? udp_adopt(n, l, &n->listener_sockets[i]) : 0;

		if (rc < 0)
			return rc;
		n->public_listeners[i] = &l->pub;
	}
	return 0;
}

/* It can be done without. */
static void open_offload(struct net *n, const struct offload_conf *conf)
{
	if (offload_open(n, conf, &n->offload) < 0)
		sl_log(SL_LOG_NOTICE, "core",
		       "this worker relays in user space, since the maps of the kernel's relaying "
		       "cannot be used: %m");
}

/* As can this. What the kernel lets do only a few may be new to those who may not. */
static void open_uring(struct net *n, bool wanted)
{
	if (!wanted)
		return;
	if (uring_open(RX_BATCH, &n->uring) == 0)
		loop_on_handled(n->worker->loop, udp_receive_due, n);
	else
		sl_log(SL_LOG_INFO, "core",
		       "this worker reads and writes each socket by itself, since it may not use "
		       "io_uring");
}

void net_drop_uring(struct net *n)
{
	uring_close(n->uring);
	n->uring = NULL;
}

/* Each part copes with being closed half-built, so that one path undoes them all. */
static int open_parts(struct net *n, const struct net_conf *conf)
{
	int rc;

	n->free_closed = (struct sl_post){.fn = udp_free_closed, .arg = n};
	n->sockets = sl_slab_new(sizeof(struct sl_udp), 64);
	if (!n->sockets)
		return -SL_ENOMEM;
	open_uring(n, conf->io_uring);
	rc = rx_open(n);
	if (rc == 0)
		rc = txq_open(&n->txq, n);
	if (rc == 0)
		rc = flows_open(n);
	if (rc == 0)
		rc = adopt_listeners(n);
	if (rc == 0)
		open_offload(n, &conf->offload);
	if (rc == 0)
		rc = handshakes_open(n, &conf->handshakes);
	if (rc == 0)
		rc = assocs_open(n);
	return rc < 0 ? rc : streams_open(n);
}

/* The worker gets its pointer first: the parts find each other through it. */
int net_open(struct sl_worker *w, const struct net_conf *conf, struct net **ret_net)
{
	struct net *n = calloc(1, sizeof *n);
	int rc;

	if (!n)
		return -SL_ENOMEM;
	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
	n->worker = w;
	n->listeners = conf->listeners;
	n->n_listeners = conf->n_listeners;
	n->meters = conf->meters;
	n->gso = conf->gso;
	n->gro = conf->gro;
	arena_open(&n->arena, conf->max_packets, net_meter(n, NET_packets));
	w->net = n;
	rc = open_parts(n, conf);
	if (rc < 0) {
		net_close(n);
		return rc;
	}
	*ret_net = n;
	return 0;
}

static int start_socket(const struct net *n, struct sl_udp *u)
{
	if (n->gro == NET_GRO_ON)
		gro_switch(u, true);
	return udp_start(u);
}

/* Apart from net_open, so that a worker reads nothing before its modules are ready. */
int net_start(struct net *n)
{
	for (unsigned i = 0; i < n->n_listeners; i++) {
		int rc = n->listener_sockets[i] ? start_socket(n, n->listener_sockets[i]) : 0;

		if (rc < 0)
			return rc;
	}
	return streams_start(n);
}

/* Datagrams need nothing: path.c sees worker->draining. */
void net_drain(struct net *n)
{
	streams_stop_accepting(n);
}

void net_look(struct net *n)
{
	streams_look(n);
}

/*
 * Without eBPF the kernel gives a draining worker's sockets their share of new senders to the last
 * moment. What waits is passed on; the modules are gone by now. Bounded: under a flood the rest is
 * lost.
 */
static void pass_on_what_waits(struct net *n)
{
	n->leaving = true;
	shares_end(n);
	for (unsigned i = 0; i < n->n_listeners; i++) {
		struct sl_udp *u = n->listener_sockets[i];
		int bytes = 0;

		for (unsigned turn = 0;
		     u && turn < LAST_READS && ioctl(u->ev.fd, FIONREAD, &bytes) == 0 && bytes > 0;
		     turn++)
			udp_receive(u);
		if (u)
			udp_shut(
				u); /* at once: what comes between the last read and this is lost */
	}
}

/* Streams first, whose callbacks may still send; packets last, because everything holds some. */
void net_close(struct net *n)
{
	if (!n)
		return;
	if (n->worker->draining)
		pass_on_what_waits(n);
	shares_close(n);
	streams_close(n);
	assocs_close(n);
	handshakes_close(n);
	udp_close_all(n);
	flows_close(n);
	offload_close(n->offload);
	if (n->txq.net)
		txq_close(&n->txq);
	rx_close(n);
	loop_on_handled(n->worker->loop, NULL, NULL);
	net_drop_uring(n);
	arena_close(&n->arena);
	sl_slab_destroy(n->sockets);
	free(n->public_listeners);
	free(n->listener_sockets);
	n->worker->net = NULL;
	free(n);
}

unsigned sl_listeners(const struct sl_worker *w, const struct sl_listener *const **ret_listeners)
{
	*ret_listeners = w->net ? w->net->public_listeners : NULL;
	return w->net ? w->net->n_listeners : 0;
}

struct sl_udp *sl_listener_udp(const struct sl_worker *w, const struct sl_listener *l)
{
	const struct net_listener *nl = SL_CONTAINER(l, const struct net_listener, pub);

	return w->net->listener_sockets[nl - w->net->listeners];
}

void net_on_check(struct net *n, int (*check)(void *arg, struct sl_packet *p), void *arg)
{
	n->check = check;
	n->check_arg = arg;
}

void net_on_stray(struct net *n, int (*stray)(void *arg, struct sl_packet *p), void *arg)
{
	n->stray = stray;
	n->stray_arg = arg;
}

void net_on_conn_check(struct net *n, int (*check)(void *arg, struct sl_conn *c), void *arg)
{
	n->check_conn = check;
	n->check_conn_arg = arg;
}
