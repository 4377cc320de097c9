/*
 * net/stream.c: accepting connections, and taking them apart.
 *
 * All workers wait on one listening socket (EPOLLEXCLUSIVE wakes few of them). A tick accepts a
 * bounded number. A connection is never freed inside a handler: whatever ends it marks it, and the
 * post at the end of the tick does the rest, so that handlers may close any connection, their own
 * included.
 */
#include "net/stream.h"

#include <sluice/trace.h>
#include "net/engine.h"
#include "net/tls_connect.h"
#include "net/tls_stream.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define ACCEPT_BATCH 64
#define ACCEPT_PAUSE_MS 100

static void on_acceptable(struct sl_event *ev, unsigned ready);
static void on_pause_over(struct sl_timer *t);
static void on_settle(struct sl_post *post);

/* ---- ends */

/* Both counts: the listener's limit is its own, the process's tells when draining is over. */
static void unlink_conn(struct sl_conn *c)
{
	struct streams *s = &conn_net(c)->streams;

	if (c->prev)
		c->prev->next = c->next;
	else
		s->first = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->n_conns--;
	c->acceptor->n_conns--;
	sl_gauge_set(net_meter(conn_net(c), NET_connections), s->n_conns);
}

/* Tells everybody who was told of its beginning. */
static void announce_end(struct sl_conn *c)
{
	const struct net_listener *l = c->acceptor->listener;

	sl_trace(0, SL_TRACE_CONN_CLOSE, c->why, c->io ? c->io->n_bytes : 0);
	if (c->io && c->io->taken && c->io->ops.closed)
		c->io->ops.closed(c->io->arg, c, c->why);
	if (c->untold)
		return;
	(void)hook_run_conn(&l->closing, c); /* nothing is left to decide */
	(void)hook_run_conn(&l->log, c);
}

/* A stolen connection lives on elsewhere: its end is not ours to announce. */
static void destroy(struct sl_conn *c)
{
	struct net *n = conn_net(c);

	sl_event_del(n->worker->loop, &c->ev);
	sl_timer_cancel(n->worker->loop, &c->timer);
	handshake_over(c);
	if (c->state != CONN_STOLEN)
		announce_end(c);
	tls_stream_free(c->tls);
	conn_io_free(c);
	if (c->ev.fd >= 0)
		close(c->ev.fd);
	unlink_conn(c);
	sl_slab_put(n->streams.slab, c);
}

/* Once per tick however often: the list is intrusive and costs no memory. */
void conn_mark(struct sl_conn *c)
{
	struct net *n = conn_net(c);

	if (c->dirty)
		return;
	c->dirty = true;
	c->next_dirty = n->streams.dirty;
	n->streams.dirty = c;
	sl_post(n->worker->loop, &n->streams.settle);
}

void conn_fail(struct sl_conn *c, enum sl_close_reason why)
{
	if (c->state == CONN_DEAD || c->state == CONN_STOLEN)
		return;
	if (c->state < CONN_FLUSHING)
		c->why = (uint8_t)why;
	c->state = CONN_DEAD;
	sl_event_del(conn_net(c)->worker->loop, &c->ev); /* it may be ready for ever */
	conn_mark(c);
}

/* Settling one may mark others, or itself again: they wait for the next tick. */
static void on_settle(struct sl_post *post)
{
	struct net *n = post->arg;
	struct sl_conn *c = n->streams.dirty, *next;

	n->streams.dirty = NULL;
	for (; c; c = next) {
		next = c->next_dirty;
		c->dirty = false;
		if (c->state < CONN_STOLEN)
			conn_settle(c);
		if (c->state >= CONN_STOLEN && !c->dirty)
			destroy(c);
	}
}

/* ---- events */

/* Without kernel memory for the change it would never be heard of again, so it ends. */
void conn_want(struct sl_conn *c, unsigned wanted)
{
	if (sl_event_set(conn_net(c)->worker->loop, &c->ev, wanted) < 0)
		conn_fail(c, SL_CLOSE_ERROR);
}

/* What readiness means depends on how far the connection has come. */
static void on_ready(struct sl_event *ev, unsigned ready)
{
	struct sl_conn *c = ev->arg;

	switch (c->state) {
	case CONN_PROXIED:
		proxied_ready(c);
		break;
	case CONN_PREREAD:
		preread_ready(c);
		break;
	case CONN_HANDSHAKE:
		preread_handshake(c);
		break;
	case CONN_DECRYPTED:
		preread_decrypted(c);
		break;
	default:
		conn_ready(c, ready);
	}
}

/* One timer serves all ages: half-open, idle and closing connections wait for one thing each. */
static void on_timer(struct sl_timer *t)
{
	struct sl_conn *c = t->arg;

	if (c->state >= CONN_OPEN) {
		conn_timeout(c);
		return;
	}
	sl_count(net_meter(conn_net(c), NET_preread_timeouts));
	conn_fail(c, SL_CLOSE_TIMEOUT);
}

/* ---- beginnings */

/* From a slab: ten thousand half-open connections are two and a half megabytes. */
struct sl_conn *conn_new(struct acceptor *a, int fd, const struct sl_addr *remote,
			 const struct sl_addr *local)
{
	struct streams *s = &a->net->streams;
	struct sl_conn *c = sl_slab_get(s->slab);

	if (!c)
		return NULL;
	c->ev = (struct sl_event){.fd = fd, .fn = on_ready, .arg = c};
	c->timer.fn = on_timer;
	c->timer.arg = c;
	c->acceptor = a;
	c->remote = *remote;
	c->local = *local;
	c->next = s->first;
	if (c->next)
		c->next->prev = c;
	s->first = c;
	s->n_conns++;
	a->n_conns++;
	sl_gauge_set(net_meter(a->net, NET_connections), s->n_conns);
	return c;
}

static void refuse(struct sl_conn *c)
{
	sl_count(net_meter(conn_net(c), NET_connections_refused));
	conn_fail(c, SL_CLOSE_OURS);
}

/* rc: what the handler at access_at said. A suspended connection is not in the loop; its time goes
 * on. */
static void access_said(struct sl_conn *c, int rc)
{
	if (rc == SL_AGAIN)
		return;
	if (rc < 0 || rc == SL_DROP) {
		refuse(c);
		return;
	}
	c->state = CONN_PREREAD;
	conn_want(c, SL_READ);
}

static void ask_access(struct sl_conn *c)
{
	unsigned at = c->access_at;
	int rc = hook_run_conn_from(&c->acceptor->listener->access, c, &at);

	c->access_at = (uint8_t)at;
	access_said(c, rc);
}

void sl_conn_resume(struct sl_conn *c, int rc)
{
	if (!sl_check(c->state == CONN_ASKING))
		return;
	if (rc != SL_OK && rc != SL_DECLINED) {
		access_said(c, rc);
		return;
	}
	c->access_at++;
	ask_access(c);
}

void conn_welcome(struct sl_conn *c)
{
	int rc;

	c->state = CONN_ASKING;
	rc = hook_run_conn(&c->acceptor->listener->accept, c);
	if (rc < 0 || rc == SL_DROP || rc == SL_AGAIN) /* nothing would resume it here */
		refuse(c);
	else
		ask_access(c);
}

/*
 * The limit is checked before anything is allocated, so that a flood costs two system calls each.
 */
static void begin(struct acceptor *a, int fd, const struct sl_addr *remote)
{
	const struct net_listener *l = a->listener;
	struct sl_addr local = l->pub.local;
	struct sl_conn *c;

	sl_count(net_meter(a->net, NET_connections_accepted));
	if (l->max_conns > 0 && a->n_conns >= l->max_conns) {
		sl_count(net_meter(a->net, NET_connections_over_limit));
		close(fd);
		return;
	}
	if (l->wildcard) /* where it cannot be had: a name for logs, nothing depends on it */
		(void)sock_local(fd, &local);
	c = conn_new(a, fd, remote, &local);
	if (!c) {
		close(fd);
		return;
	}
	sl_trace(0, SL_TRACE_CONN_ACCEPT, l->pub.index, (uint64_t)fd);
	sl_timer_set(a->net->worker->loop, &c->timer, l->preread_timeout_ms);
	if (proxied_is(l, remote))
		proxied_begin(c);
	else
		conn_welcome(c);
}

/* Of this process or of the system; retrying at once would fail again. */
static bool is_shortage(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

/* The listening socket stays readable while descriptors are short: without a pause the loop would
 * spin. */
static void pause_accepting(struct acceptor *a)
{
	sl_count(net_meter(a->net, NET_accept_pauses));
	sl_event_del(a->net->worker->loop, &a->ev);
	sl_timer_set(a->net->worker->loop, &a->pause, ACCEPT_PAUSE_MS);
}

/* Exclusive: one worker is woken per connection, not all of them. */
static int start_accepting(struct acceptor *a)
{
	return sl_event_add(a->net->worker->loop, &a->ev, SL_READ | SL_EXCLUSIVE);
}

static void on_pause_over(struct sl_timer *t)
{
	struct acceptor *a = t->arg;

	if (start_accepting(a) < 0)
		sl_timer_set(a->net->worker->loop, t, ACCEPT_PAUSE_MS);
}

/* The kernel wakes the first idle worker of its list, and keeps the list in order: without this one
 * worker would get nearly all connections. */
static void queue_behind_others(struct acceptor *a)
{
	sl_event_del(a->net->worker->loop, &a->ev);
	if (start_accepting(a) < 0)
		sl_timer_set(a->net->worker->loop, &a->pause, ACCEPT_PAUSE_MS);
}

/* false: there is nothing to accept, or no way to. */
static bool accept_one(struct acceptor *a)
{
	union net_sockaddr from;
	socklen_t len = sizeof from;
	struct sl_addr remote;
	int fd = accept4(a->ev.fd, &from.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0 && is_shortage(errno)) {
		pause_accepting(a);
		return false;
	}
	if (fd < 0)
		return errno == ECONNABORTED || errno == EINTR;
	if (sl_addr_from_sockaddr(&remote, &from.any) < 0)
		close(fd);
	else
		begin(a, fd, &remote);
	return true;
}

/* Bounded, so that a flood of connections cannot starve the datagrams of this tick. */
static void on_acceptable(struct sl_event *ev, unsigned ready)
{
	struct acceptor *a = ev->arg;
	unsigned n = 0;

	(void)ready;
	if (net_is_superseded(a->net)) {
		streams_stop_accepting(a->net);
		return;
	}
	while (n < ACCEPT_BATCH && accept_one(a))
		n++;
	if (n > 0 && !sl_timer_pending(&a->pause))
		queue_behind_others(a);
}

/* ---- all of them */

/* Acceptors of UDP listeners stay unused: positions are those of the listeners. */
int streams_open(struct net *n)
{
	static const struct net_listener nobody = {.pub = {.name = "none"}};
	struct streams *s = &n->streams;

	s->settle = (struct sl_post){.fn = on_settle, .arg = n};
	s->nobody = (struct acceptor){.net = n, .listener = &nobody};
	s->slab = sl_slab_new(sizeof(struct sl_conn), 64);
	s->scratch = malloc(STREAM_SCRATCH);
	s->acceptors = calloc(n->n_listeners + 1, sizeof *s->acceptors);
	if (!s->slab || !s->scratch || !s->acceptors)
		return -SL_ENOMEM;
	for (unsigned i = 0; i < n->n_listeners; i++) {
		struct acceptor *a = &s->acceptors[i];

		a->net = n;
		a->listener = &n->listeners[i];
		a->ev = (struct sl_event){.fd = n->listeners[i].fd, .fn = on_acceptable, .arg = a};
		a->pause.fn = on_pause_over;
		a->pause.arg = a;
	}
	return 0;
}

/* Fails only when the kernel has no memory for the event. */
int streams_start(struct net *n)
{
	for (unsigned i = 0; i < n->n_listeners; i++) {
		int rc = n->listeners[i].pub.udp ? 0 : start_accepting(&n->streams.acceptors[i]);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The kernel wakes one worker for a connection; one that stops accepting at this moment leaves it
 * unannounced to the others. */
void streams_look(struct net *n)
{
	for (unsigned i = 0; i < n->n_listeners; i++) {
		struct acceptor *a = &n->streams.acceptors[i];

		if (a->ev.fd >= 0 && !n->listeners[i].pub.udp && !sl_timer_pending(&a->pause))
			on_acceptable(&a->ev, SL_READ);
	}
}

/* Other workers share the sockets: what waits in their queues is not lost by closing ours. */
void streams_stop_accepting(struct net *n)
{
	for (unsigned i = 0; i < n->n_listeners && n->streams.acceptors; i++) {
		struct acceptor *a = &n->streams.acceptors[i];

		if (n->listeners[i].pub.udp)
			continue;
		sl_event_del(n->worker->loop, &a->ev);
		sl_timer_cancel(n->worker->loop, &a->pause);
		fd_close(&a->ev.fd);
		n->listeners[i].fd = -1;
	}
}

/* At once, without goodbyes: draining has had its time, or there is an error to leave by. */
void streams_close(struct net *n)
{
	struct streams *s = &n->streams;

	streams_stop_accepting(n);
	while (s->first) {
		if (s->first->state < CONN_FLUSHING)
			s->first->why = SL_CLOSE_DRAIN;
		destroy(s->first);
	}
	sl_post_cancel(n->worker->loop, &s->settle);
	sl_slab_destroy(s->slab);
	free(s->scratch);
	free(s->acceptors);
	*s = (struct streams){0};
}

unsigned net_n_conns(const struct net *n)
{
	return n->streams.n_conns;
}

/* ---- what modules ask */

const struct sl_listener *sl_conn_listener(const struct sl_conn *c)
{
	return &c->acceptor->listener->pub;
}

const struct sl_addr *sl_conn_remote(const struct sl_conn *c)
{
	return &c->remote;
}

const struct sl_addr *sl_conn_local(const struct sl_conn *c)
{
	return &c->local;
}

const char *sl_conn_tls_doubt(const struct sl_conn *c)
{
	return c->tls ? tls_connect_doubt(c->tls) : NULL;
}

bool sl_conn_is_tls(const struct sl_conn *c)
{
	return c->tls != NULL;
}

struct sl_str sl_conn_server_name(const struct sl_conn *c)
{
	return c->tls ? tls_stream_server_name(c->tls) : SL_STR_NULL;
}
