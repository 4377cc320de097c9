/*
 * http/preread.c: which connections of a shared port are ours, by their first bytes.
 *
 * A plain request begins with a method that we know. A ClientHello is ours when its ALPN offers
 * http/1.1; without ALPN it may be anything (TURN over TLS, curl), so the core's TLS answers it,
 * and when HTTP comes out of that, a bridge carries it over. Nothing has been read from a socket
 * that we take, so libwebsockets starts from its first byte.
 */
#include "http.h"

enum verdict { NOT_HTTP, MAYBE_HTTP, IS_HTTP };

static enum verdict judge(struct sl_str bytes)
{
	static const struct sl_str methods[] = {
		SL_STR_INIT("GET "),	 SL_STR_INIT("HEAD "),	SL_STR_INIT("POST "),
		SL_STR_INIT("PUT "),	 SL_STR_INIT("PATCH "), SL_STR_INIT("DELETE "),
		SL_STR_INIT("OPTIONS "),
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(methods); i++) {
		size_t n = bytes.len < methods[i].len ? bytes.len : methods[i].len;

		if (memcmp(bytes.p, methods[i].p, n) == 0)
			return n == methods[i].len ? IS_HTTP : MAYBE_HTTP;
	}
	return NOT_HTTP;
}

static int refuse(struct http *h)
{
	sl_count(&h->m[M_REFUSED]);
	return SL_DROP;
}

static int steal(struct http *h, struct sl_conn *conn, struct lws_vhost *vhost)
{
	struct sl_addr remote = *sl_conn_remote(conn); /* the conn is gone after the steal */
	const struct client_from from = {
		.listener = sl_conn_listener(conn),
		.remote = &remote,
		.vhost = vhost,
		.secure = vhost != NULL,
	};
	int fd;

	if (h->n_clients >= h->conf->max_connections)
		return refuse(h);
	fd = sl_conn_steal_fd(conn);
	if (fd < 0)
		return fd;
	sl_count(&h->m[vhost ? M_ACCEPTED_TLS : M_ACCEPTED_PLAIN]);
	if (client_adopt(h, &from, fd) < 0)
		sl_count(&h->m[M_REFUSED]);
	return SL_DONE;
}

static int choose_tls(struct http *h, struct sl_conn *conn, const struct sl_client_hello *hello)
{
	struct lws_vhost *vhost = host_vhost(h, sl_conn_listener(conn));

	if (!vhost)
		return SL_DECLINED;
	if (!hello->complete)
		return SL_AGAIN;
	if (!sl_client_hello_offers(hello, SL_STR("http/1.1")))
		return SL_DECLINED;
	return steal(h, conn, vhost);
}

int preread_choose(void *ctx, struct sl_conn *conn)
{
	struct http *h = ctx;
	const struct sl_client_hello *hello = sl_conn_hello(conn);
	enum verdict v;

	if (hello)
		return choose_tls(h, conn, hello);
	v = judge(sl_conn_peek(conn));
	if (v != IS_HTTP)
		return v == MAYBE_HTTP ? SL_AGAIN : SL_DECLINED;
	if (!sl_conn_is_tls(conn))
		return steal(h, conn, NULL);
	if (h->n_clients >= h->conf->max_connections || bridge_open(h, conn) < 0)
		return refuse(h);
	return SL_DONE;
}
