/*
 * net/proxied.c: connections from balancers, which say first whose they are (PROXY protocol).
 *
 * Nobody hears of such a connection before its header has been read: access, limits and logs are
 * about the client. Only listed balancers are asked, so that nobody else can claim an address; one
 * of them that says nothing of the kind is refused. The header alone is taken from the socket; what
 * follows is peeked like any first bytes.
 */
#include "net/stream.h"

#include "net/engine.h"
#include "os/os.h"
#include "proto/proxy.h"

#include <errno.h>

bool proxied_is(const struct net_listener *l, const struct sl_addr *remote)
{
	for (unsigned i = 0; i < l->n_balancers; i++)
		if (sl_cidr_has(&l->balancers[i], remote))
			return true;
	return false;
}

void proxied_begin(struct sl_conn *c)
{
	c->state = CONN_PROXIED;
	c->untold = true;
	conn_want(c, SL_READ);
}

static void refuse(struct sl_conn *c)
{
	sl_count(net_meter(conn_net(c), NET_proxy_errors));
	conn_fail(c, SL_CLOSE_ERROR);
}

static void introduce(struct sl_conn *c, const struct proxy_header *h)
{
	uint8_t *scratch = conn_net(c)->streams.scratch;

	if (recv(c->ev.fd, scratch, h->len, MSG_DONTWAIT) != (ssize_t)h->len) {
		conn_fail(c, SL_CLOSE_ERROR);
		return;
	}
	conn_set_low(c, 0);
	c->seen = 0;
	if (h->source.family != 0) {
		c->remote = h->source;
		c->local = h->destination;
		c->proxied = true;
	}
	sl_count(net_meter(conn_net(c), NET_proxied_connections));
	sl_event_del(conn_net(c)->worker->loop, &c->ev); /* until access is granted */
	c->untold = false;
	conn_welcome(c);
}

void proxied_ready(struct sl_conn *c)
{
	uint8_t *scratch = conn_net(c)->streams.scratch;
	ssize_t n = recv(c->ev.fd, scratch, PROXY_MAX, MSG_PEEK | MSG_DONTWAIT);
	struct proxy_header h;
	int rc;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || (size_t)n <= c->seen) { /* a health check looks and leaves */
		conn_fail(c, n < 0 ? SL_CLOSE_ERROR : SL_CLOSE_PEER);
		return;
	}
	c->seen = (uint32_t)n;
	rc = proxy_read(scratch, (size_t)n, &h);
	if (rc == 0)
		introduce(c, &h);
	else if (rc == -SL_EAGAIN)
		conn_set_low(c, (unsigned)n + 1);
	else
		refuse(c);
}

bool sl_conn_is_proxied(const struct sl_conn *c)
{
	return c->proxied;
}

/* Asked seldom: where it is not what is known already, the kernel says it. */
struct sl_addr sl_conn_bound(const struct sl_conn *c)
{
	struct sl_addr a = c->local;

	if (c->proxied)
		(void)sock_local(c->ev.fd, &a); /* a connected socket has one */
	return a;
}
