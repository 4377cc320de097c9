/*
 * sip-gateway/stream.c: SIP over TCP, and over TLS that the core has decrypted: messages cut by
 * their Content-Length (RFC 3261 section 18.3), pings answered by pongs (RFC 5626).
 *
 * Connections come in, or are made when the stack wants to reach a trunk over TCP. A stream that is
 * out of step ends.
 */
#include "edge.h"
#include "locate.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECT_MS = 4000 };

static ptrdiff_t take_next(struct edge_conn *c, struct sl_str rest)
{
	const struct sip_flow flow = edge_conn_flow(c);
	enum sip_frame_kind kind;
	size_t n;
	int err = sip_frame(rest, &kind, &n);

	if (err < 0) {
		sl_count(&c->edge->m[M_MALFORMED]);
		return err;
	}
	if (kind == SIP_FRAME_PING && sl_conn_write(c->conn, "\r\n", 2) < 0)
		return -SL_ELIMIT;
	if (kind == SIP_FRAME_MESSAGE && !edge_receive(c->edge, &flow, (struct sl_str){rest.p, n}))
		return -SL_EPARSE;
	return (ptrdiff_t)n;
}

static ptrdiff_t on_input(void *arg, struct sl_conn *conn, const uint8_t *data, size_t len)
{
	struct edge_conn *c = arg;
	size_t used = 0;

	(void)conn;
	if (guard_is_blocked(c->edge, &c->remote))
		return -SL_EDENIED;
	while (used < len) {
		ptrdiff_t n = take_next(c, (struct sl_str){(const char *)data + used, len - used});

		if (n < 0)
			return n;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	return (ptrdiff_t)used;
}

static void tell_doubt(const struct edge_conn *c, const char *doubt)
{
	char text[SL_ADDR_STRLEN];

	sl_log(SL_LOG_WARN, "sip-gateway", "no TLS with %s: %s", sl_addr_format(text, &c->remote),
	       doubt ? doubt : "the handshake failed");
}

static void on_closed(void *arg, struct sl_conn *conn, enum sl_close_reason why)
{
	struct edge_conn *c = arg;
	struct sip_flow flow;

	if (!c->edge) { /* this half has stopped before */
		free(c);
		return;
	}
	if (c->outgoing && why == SL_CLOSE_TLS)
		tell_doubt(c, sl_conn_tls_doubt(conn));
	flow = edge_conn_flow(c);
	edge_flow_gone(c->edge, &flow);
	edge_conn_free(c);
}

static int new_client(const struct sl_tls_client_opts *o, struct sl_tls_client **ret_client)
{
	char err[256];
	int rc = sl_tls_client_new(o, ret_client, err, sizeof err);

	if (rc < 0) /* it was read when the configuration was checked */
		sl_log(SL_LOG_ERROR, "sip-gateway", "TLS to trunks: %s", err);
	return rc;
}

/* Those of all trunks that have no certificate of ours for them alone */
static int new_common(struct edge *e, bool unchecked)
{
	const struct tls_conf *t = &e->conf->tls;
	const struct sl_tls_client_opts o = {.authorities = t->authorities,
					     .cert = t->cert,
					     .key = t->key,
					     .unchecked = unchecked};

	return new_client(&o, &e->tls[unchecked]);
}

static int new_own(struct edge *e)
{
	const struct sl_list *trunks = &e->conf->trunks;
	int rc = 0;

	e->own_tls = calloc(trunks->n + 1, sizeof(struct sl_tls_client *));
	if (!e->own_tls)
		return -SL_ENOMEM;
	for (size_t i = 0; rc == 0 && i < trunks->n; i++) {
		const struct trunk_conf *t = SL_LIST_AT(*trunks, struct trunk_conf, i);
		const struct sl_tls_client_opts o = {.authorities = e->conf->tls.authorities,
						     .cert = t->cert,
						     .key = t->key,
						     .unchecked = !t->verify};

		if (t->cert.len > 0)
			rc = new_client(&o, &e->own_tls[i]);
	}
	return rc;
}

/* Is any trunk perhaps reached by TLS? */
static bool needs_tls(const struct sip_conf *c)
{
	for (size_t i = 0; i < c->trunks.n; i++) {
		int32_t t = SL_LIST_AT(c->trunks, struct trunk_conf, i)->transport;

		if (t == TRUNK_TLS || t == TRUNK_AUTO)
			return true;
	}
	return false;
}

int stream_init(struct edge *e)
{
	e->stream_ops = (struct sl_conn_ops){
		.input = on_input,
		.closed = on_closed,
		.max_input = SIP_MAX_MESSAGE + 4,
		.max_output = 8 * (size_t)SIP_MAX_MESSAGE,
		.idle_timeout_ms = e->conf->idle_timeout,
	};
	if (!needs_tls(e->conf))
		return 0;
	if (new_common(e, false) < 0 || new_common(e, true) < 0 || new_own(e) < 0)
		return -SL_ECONF;
	return 0;
}

int stream_preread(void *ctx, struct sl_conn *conn)
{
	struct edge *e = ctx;
	int verdict = sip_judge(sl_conn_peek(conn));
	struct edge_conn *c;

	if (sl_conn_hello(conn) || verdict < 0)
		return SL_DECLINED;
	if (verdict == 0)
		return SL_AGAIN;
	if (guard_is_blocked(e, sl_conn_remote(conn)))
		return SL_DROP;
	c = edge_conn_new(e, sl_conn_is_tls(conn) ? SIP_TLS : SIP_TCP);
	if (!c)
		return -SL_ENOMEM;
	c->conn = conn;
	c->listener = sl_conn_listener(conn)->index;
	c->remote = *sl_conn_remote(conn);
	c->local = *sl_conn_local(conn);
	sl_conn_take(conn, &e->stream_ops, c);
	return SL_DONE;
}

/* ---- connections that we make */

/* One is used for all requests there. Over TLS, those of one trunk: another has another name to be
 * checked. */
static bool leads_there(const struct sl_hnode *n, const void *key)
{
	const struct edge_conn *c = SL_CONTAINER(n, struct edge_conn, by_remote);
	const struct sip_flow *flow = key;

	return c->transport == flow->transport && sl_addr_eq(&c->remote, &flow->remote) &&
	       (c->transport != SIP_TLS || c->peer == flow->peer);
}

static uint64_t remote_hash(const struct sl_addr *a)
{
	return sl_hash(a->ip, a->family == 6 ? 16 : 4) + a->port;
}

static struct edge_conn *find_outgoing(struct edge *e, const struct sip_flow *flow)
{
	struct sl_hnode *n =
		sl_htab_find(&e->outgoing, remote_hash(&flow->remote), leads_there, flow);

	return n ? SL_CONTAINER(n, struct edge_conn, by_remote) : NULL;
}

static struct edge_conn *new_outgoing(struct edge *e, const struct sip_flow *flow)
{
	struct edge_conn *c = edge_conn_new(e, flow->transport);

	if (!c)
		return NULL;
	c->peer = flow->peer;
	c->remote = flow->remote;
	c->local = flow->local; /* where we listen, not where this one leaves from: for Contact */
	if (sl_htab_insert(&e->outgoing, &c->by_remote, remote_hash(&c->remote)) < 0) {
		edge_conn_free(c);
		return NULL;
	}
	c->outgoing = true;
	return c;
}

static const struct trunk_conf *find_trunk(const struct edge *e, uint32_t peer, size_t *ret_index)
{
	for (size_t i = 0; peer && i < e->conf->trunks.n; i++) {
		const struct trunk_conf *t = SL_LIST_AT(e->conf->trunks, struct trunk_conf, i);

		if (wire_peer(t->name) != peer)
			continue;
		*ret_index = i;
		return t;
	}
	return NULL;
}

/* NULL: of a trunk that is not in this configuration any more, or not one for TLS */
static const struct sl_tls_client *client_of(const struct edge *e, const struct trunk_conf *t,
					     size_t index)
{
	if (!t || !e->own_tls)
		return NULL;
	return e->own_tls[index] ? e->own_tls[index] : e->tls[!t->verify];
}

static void give_up(struct edge_conn *c)
{
	const struct sip_flow flow = edge_conn_flow(c);

	if (c->connecting.wanted)
		close(c->connecting.fd);
	edge_flow_gone(c->edge, &flow);
	edge_conn_free(c);
}

static void on_patience(struct sl_timer *t)
{
	give_up(t->arg);
}

/* The name before it was looked up is what counts (RFC 5922 section 4). */
static int adopt(struct edge_conn *c, int fd)
{
	struct sl_conn_source from = {.remote = c->remote, .local = c->local, .fd = fd};
	const struct trunk_conf *t;
	char host[LOCATE_NAME];
	size_t index;

	if (c->transport == SIP_TLS) {
		t = find_trunk(c->edge, c->peer, &index);
		from.tls = client_of(c->edge, t, t ? index : 0);
		if (!from.tls)
			return -SL_ENOENT;
		(void)sl_str_copy(host, sizeof host, trunk_conf_host(t));
		from.tls_name = host;
	}
	return sl_conn_adopt(c->edge->w, &from, &c->edge->stream_ops, c, &c->conn);
}

static void on_connected(struct sl_event *ev, unsigned ready)
{
	struct edge_conn *c = ev->arg;
	socklen_t len = sizeof(int);
	int err = 0;

	(void)ready;
	if (getsockopt(ev->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err != 0) {
		give_up(c);
		return;
	}
	sl_event_del(c->edge->w->loop, ev);
	sl_timer_cancel(c->edge->w->loop, &c->patience);
	if (adopt(c, ev->fd) < 0) {
		close(ev->fd);
		give_up(c);
		return;
	}
	if (sl_conn_write(c->conn, c->waiting.p, c->waiting.len) < 0)
		sl_conn_close(c->conn, SL_CLOSE_ERROR);
	sl_buf_free(&c->waiting);
}

static int begin_connect(struct edge_conn *c)
{
	struct sockaddr_storage sa;
	socklen_t len = sl_addr_to_sockaddr(&sa, &c->remote);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -SL_ESYS;
	if (connect(fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS) {
		close(fd);
		return -SL_ESYS;
	}
	c->connecting = (struct sl_event){.fd = fd, .fn = on_connected, .arg = c};
	c->patience = (struct sl_timer){.fn = on_patience, .arg = c};
	sl_timer_set(c->edge->w->loop, &c->patience, CONNECT_MS);
	if (sl_event_add(c->edge->w->loop, &c->connecting, SL_WRITE) < 0) {
		close(fd);
		return -SL_ESYS;
	}
	return 0;
}

int stream_send(struct edge *e, const struct sip_flow *flow, struct sl_str message)
{
	struct edge_conn *c = find_outgoing(e, flow);
	int rc;

	if (flow->transport != SIP_TCP && flow->transport != SIP_TLS)
		return -SL_EUNSUPP;
	if (c)
		return edge_conn_send(c, message);
	c = new_outgoing(e, flow);
	if (!c)
		return -SL_ENOMEM;
	rc = begin_connect(c);
	if (rc == 0)
		return edge_conn_send(c, message);
	edge_conn_free(c);
	return rc;
}

/* A connection that is closed says so later, when there is no edge any more. */
static void detach(struct edge_conn *c)
{
	edge_conn_forget(c);
	sl_buf_free(&c->waiting);
	c->edge = NULL;
	sl_conn_close(c->conn, SL_CLOSE_OURS);
}

void stream_stop(struct edge *e)
{
	struct sl_hnode *next;

	for (struct sl_hnode *n = sl_htab_first(&e->conns); n; n = next) {
		struct edge_conn *c = SL_CONTAINER(n, struct edge_conn, by_id);

		next = sl_htab_next(&e->conns, n);
		if (c->conn) {
			detach(c);
			continue;
		}
		if (c->outgoing)
			close(c->connecting.fd);
		edge_conn_free(c);
	}
	for (size_t i = 0; e->own_tls && i < e->conf->trunks.n; i++)
		sl_tls_client_free(e->own_tls[i]);
	free(e->own_tls);
	sl_tls_client_free(e->tls[0]);
	sl_tls_client_free(e->tls[1]);
}
