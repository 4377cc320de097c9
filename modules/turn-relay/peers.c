/*
 * turn-relay/peers.c: TCP relays towards their peers (RFC 6062): a port that is listened on and
 * connected from, and peer connections until their client binds them.
 *
 * The listening socket binds alone, so that no other worker gets the same port, and allows sharing
 * it only then: the sockets that connect from this port want to be bound to it as well. A peer's
 * connection that waits for its client is not read: what the peer says stays in the kernel. It is
 * bounded by the engine, in number and in time; connecting is bounded here.
 */
#include "relay.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

enum { BACKLOG = 64, ACCEPT_BATCH = 16, CONNECT_MS = 30000 };

struct peer {
	struct relay *relay;
	struct sl_turn_conn *conn;
	struct sl_event ev;    /* fd -1: the pump's; in the loop while it connects */
	struct sl_timer timer; /* while it connects */
	struct pump *pump;     /* NULL: not bound */
};

/* ---- sockets */

static int set_option(int fd, int level, int name)
{
	const int on = 1;

	return setsockopt(fd, level, name, &on, sizeof on) < 0 ? -SL_ESYS : 0;
}

static int bind_to(int fd, const struct sl_addr *local)
{
	struct sockaddr_storage sa;
	unsigned len = sl_addr_to_sockaddr(&sa, local);

	if (bind(fd, (struct sockaddr *)&sa, len) == 0)
		return 0;
	return errno == EADDRINUSE ? -SL_EEXIST : -SL_ESYS;
}

/* Connections of an earlier allocation may still be dying on the port: that is no obstacle. */
static int open_stream(uint8_t family)
{
	int fd = socket(family == 6 ? AF_INET6 : AF_INET,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno == EMFILE || errno == ENFILE ? -SL_ELIMIT : -SL_ESYS;
	if (set_option(fd, SOL_SOCKET, SO_REUSEADDR) < 0 ||
	    (family == 6 && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) < 0)) {
		close(fd);
		return -SL_ESYS;
	}
	return fd;
}

/* ---- listening */

static void accept_peer(struct relay_socket *s, int fd, const struct sl_addr *from);

static void on_acceptable(struct sl_event *ev, unsigned ready)
{
	struct relay_socket *s = ev->arg;
	struct sockaddr_storage sa;
	struct sl_addr from;

	(void)ready;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		socklen_t len = sizeof sa;
		int fd =
			accept4(ev->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		if (sl_addr_from_sockaddr(&from, (struct sockaddr *)&sa) < 0)
			close(fd);
		else
			accept_peer(s, fd, &from);
	}
}

static int listen_on(struct relay_socket *s, int fd, const struct sl_addr *local)
{
	int err;

	err = bind_to(fd, local);
	if (err < 0)
		return err;
	if (listen(fd, BACKLOG) < 0) /* somebody else bound it, too, and was faster */
		return errno == EADDRINUSE ? -SL_EEXIST : -SL_ESYS;
	if (set_option(fd, SOL_SOCKET, SO_REUSEPORT) < 0)
		return -SL_ESYS;
	s->listening = (struct sl_event){.fd = fd, .fn = on_acceptable, .arg = s};
	return sl_event_add(s->module->worker->loop, &s->listening, SL_READ);
}

int peers_listen(struct relay_socket *s, const struct sl_addr *local)
{
	int fd = open_stream(local->family), err;

	if (fd < 0)
		return fd;
	err = listen_on(s, fd, local);
	if (err < 0) {
		close(fd);
		return err;
	}
	s->local = *local;
	return 0;
}

void peers_stop_listening(struct relay_socket *s)
{
	sl_event_del(s->module->worker->loop, &s->listening);
	close(s->listening.fd);
}

/* ---- one peer */

static struct peer *peer_new(struct relay *r, int fd)
{
	struct peer *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->relay = r;
	p->ev = (struct sl_event){.fd = fd, .arg = p};
	p->timer = (struct sl_timer){.arg = p};
	return p;
}

static void peer_free(struct peer *p)
{
	struct sl_loop *loop = p->relay->module->worker->loop;

	sl_timer_cancel(loop, &p->timer);
	sl_event_del(loop, &p->ev);
	if (p->ev.fd >= 0)
		close(p->ev.fd);
	free(p);
}

static void attach(struct peer *p, struct sl_turn_conn *c)
{
	p->conn = c;
	sl_turn_conn_set_data(c, p);
}

/* ---- peers that connect */

static struct peer *take_peer(struct relay_socket *s, int fd, const struct sl_addr *from,
			      uint8_t told[64], size_t *ret_len)
{
	struct relay *r = s->owner;
	struct sl_turn_conn *c;
	struct peer *p;

	if (sl_turn_accepted(r->alloc, from, module_now_ms(s->module), &c, told, ret_len) < 0)
		return NULL;
	p = peer_new(r, fd);
	if (!p) {
		sl_turn_conn_ended(c);
		return NULL;
	}
	attach(p, c);
	return p;
}

static void accept_peer(struct relay_socket *s, int fd, const struct sl_addr *from)
{
	uint8_t told[64];
	size_t len;

	meters_touch(s->module);
	if (!take_peer(s, fd, from, told, &len)) {
		close(fd);
		return;
	}
	module_arm(s->module);
	relay_tell(s->owner, told, len);
}

/* ---- peers to connect to */

/* Tells the client. After a failure the engine has forgotten the connection. */
static void connected(struct peer *p, int err)
{
	struct relay *r = p->relay;
	struct turn_relay *m = r->module;
	uint8_t reply[REPLY_BYTES];
	size_t len;

	sl_timer_cancel(m->worker->loop, &p->timer);
	sl_event_del(m->worker->loop, &p->ev);
	len = sl_turn_connected(p->conn, err, module_now_ms(m), reply, sizeof reply);
	if (err < 0)
		peer_free(p);
	meters_touch(m);
	module_arm(m);
	relay_tell(r, reply, len);
}

static void on_connected(struct sl_event *ev, unsigned ready)
{
	struct peer *p = ev->arg;
	socklen_t len = sizeof(int);
	int err = 0;

	(void)ready;
	if (getsockopt(ev->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err != 0)
		connected(p, -SL_ECLOSED);
	else
		connected(p, 0);
}

static void on_connect_timeout(struct sl_timer *t)
{
	connected(t->arg, -SL_ETIMEOUT);
}

/* From the relayed address and port, which the listening socket shares by now. */
static int connect_from(const struct relay_socket *s, int fd, const struct sl_addr *to)
{
	struct sockaddr_storage sa;
	unsigned len = sl_addr_to_sockaddr(&sa, to);

	if (set_option(fd, SOL_SOCKET, SO_REUSEPORT) < 0 ||
	    set_option(fd, IPPROTO_TCP, TCP_NODELAY) < 0 || bind_to(fd, &s->local) < 0)
		return -SL_ESYS;
	if (connect(fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS)
		return -SL_ESYS;
	return 0;
}

static int await_connection(struct peer *p)
{
	struct sl_loop *loop = p->relay->module->worker->loop;

	p->ev.fn = on_connected;
	p->timer.fn = on_connect_timeout;
	sl_timer_set(loop, &p->timer, CONNECT_MS);
	return sl_event_add(loop, &p->ev, SL_WRITE);
}

int peers_connect(void *ctx, struct sl_turn_conn *c)
{
	struct relay *r = sl_turn_data(sl_turn_conn_alloc(c));
	const struct sl_addr *to = sl_turn_conn_peer(c);
	struct peer *p;
	int fd, err;

	(void)ctx;
	fd = open_stream(to->family);
	if (fd < 0)
		return fd;
	p = peer_new(r, fd);
	if (!p) {
		close(fd);
		return -SL_ENOMEM;
	}
	err = connect_from(r->sockets[to->family == 6], fd, to);
	if (err == 0)
		err = await_connection(p);
	if (err < 0)
		peer_free(p);
	else
		attach(p, c);
	return err;
}

/* ---- bound */

int peers_bind(struct sl_turn_conn *c, struct stream *s)
{
	struct peer *p = sl_turn_conn_data(c);
	const struct sl_conn_source from = {.remote = *sl_turn_conn_peer(c), .fd = p->ev.fd};

	p->ev.fd = -1; /* the pump's, whatever comes of it */
	p->pump = pump_start(s, &from, p);
	if (p->pump)
		return 0;
	peer_free(p);
	sl_turn_conn_ended(c);
	return -SL_ENOMEM;
}

bool peer_may_pass(struct peer *p, enum pump_side from, size_t len)
{
	struct sl_session_stats *stats = p->relay->session->stats;
	uint64_t now = module_now_ms(p->relay->module);

	meters_touch(p->relay->module);
	if (from == PUMP_STREAM ? !sl_turn_conn_to_peer(p->conn, len, now)
				: !sl_turn_conn_to_client(p->conn, len, now))
		return false;
	*(from == PUMP_STREAM ? &stats->bytes_in : &stats->bytes_out) += len;
	stats->last_receive_ms = now;
	return true;
}

/* Both of its ends have. */
void peer_ended(struct peer *p)
{
	sl_turn_conn_ended(p->conn);
	peer_free(p);
}

void peers_disconnect(void *ctx, struct sl_turn_conn *c)
{
	struct peer *p = sl_turn_conn_data(c);

	(void)ctx;
	if (!p)
		return;
	if (p->pump)
		pump_stop(p->pump);
	peer_free(p);
}
