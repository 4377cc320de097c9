/*
 * net/stream_half.c: what a relay between two connections needs of each: pausing its input, and the
 * end of one direction without the other; and connections that were never accepted here.
 *
 * A paused connection leaves its bytes in the kernel, so that the window closes and the sender
 * waits. One direction ends by on_end, the other by sl_conn_end; when both have, nothing is left to
 * relay and the connection closes. stream_io.c does the reading and writing.
 */
#include "net/stream.h"

#include "net/engine.h"
#include "net/tls_connect.h"
#include "net/tls_stream.h"

#include <sys/socket.h>

/* ---- pausing */

void sl_conn_pause_input(struct sl_conn *c)
{
	if (c->state != CONN_OPEN || c->io->paused)
		return;
	c->io->paused = true;
	conn_want(c, conn_interest(c));
}

/* What OpenSSL holds is not announced by the socket, so it is read whether or not the loop says
 * so. */
void sl_conn_resume_input(struct sl_conn *c)
{
	if (c->state != CONN_OPEN || !c->io->paused)
		return;
	c->io->paused = false;
	c->io->resumed = true;
	conn_want(c, conn_interest(c));
	conn_mark(c);
}

/* ---- directions */

static void close_when_over(struct sl_conn *c)
{
	if (c->state == CONN_OPEN && c->io->in_ended && c->io->out_ended)
		conn_fail(c, SL_CLOSE_PEER);
}

void conn_input_ended(struct sl_conn *c)
{
	struct conn_io *io = c->io;

	if (!io->on_end) {
		sl_conn_close(c, SL_CLOSE_PEER);
		return;
	}
	io->in_ended = true;
	conn_want(c, conn_interest(c));
	io->on_end(io->arg, c);
	close_when_over(c);
}

/* A peer that has gone altogether shows by the error of the socket, or already has. */
void conn_end_output(struct sl_conn *c)
{
	struct conn_io *io = c->io;

	if (io->out_ended || io->out.len > 0)
		return;
	io->out_ended = true;
	if (c->tls)
		tls_stream_shutdown(c->tls);
	(void)shutdown(c->ev.fd, SHUT_WR);
	close_when_over(c);
}

void sl_conn_on_end(struct sl_conn *c, sl_conn_end_fn *fn)
{
	c->io->on_end = fn;
}

void sl_conn_end(struct sl_conn *c)
{
	if (c->state != CONN_OPEN || c->io->ending)
		return;
	c->io->ending = true;
	conn_mark(c);
}

/* ---- connections from elsewhere */

static struct acceptor *acceptor_of(struct net *n, const struct sl_listener *l)
{
	for (unsigned i = 0; i < n->n_listeners; i++)
		if (&n->listeners[i].pub == l)
			return &n->streams.acceptors[i];
	return &n->streams.nobody;
}

static int open_adopted(struct sl_conn *c, const struct sl_conn_ops *ops, void *arg)
{
	if (conn_io_new(c) < 0)
		return -SL_ENOMEM;
	c->io->ops = *ops;
	c->io->arg = arg;
	c->state = CONN_OPEN;
	c->io->active_ms = sl_loop_ms(conn_net(c)->worker->loop);
	if (ops->idle_timeout_ms > 0)
		sl_timer_set(conn_net(c)->worker->loop, &c->timer, ops->idle_timeout_ms);
	return sl_event_add(conn_net(c)->worker->loop, &c->ev, SL_READ);
}

/* Failing, it leaves no trace but a struct that goes when the tick ends; nobody is told of that. */
int sl_conn_adopt(struct sl_worker *w, const struct sl_conn_source *from,
		  const struct sl_conn_ops *ops, void *arg, struct sl_conn **ret_conn)
{
	struct sl_conn *c;
	int rc;

	c = conn_new(acceptor_of(w->net, from->listener), from->fd, &from->remote, &from->local);
	if (!c)
		return -SL_ENOMEM;
	c->untold = true;
	rc = from->tls ? tls_connect_new(from->tls, from->tls_name, from->fd, &c->tls) : 0;
	if (rc == 0)
		rc = open_adopted(c, ops, arg);
	if (rc < 0) {
		c->ev.fd = -1;
		conn_fail(c, SL_CLOSE_ERROR);
		return rc;
	}
	c->io->taken = true;
	*ret_conn = c;
	return 0;
}
