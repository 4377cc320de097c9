/*
 * net/preread.c: what is this connection? The first bytes decide, and are only looked at.
 *
 * Plain connections are peeked: the bytes stay in the socket for whoever takes it. When a handler
 * wants to see more, SO_RCVLOWAT is raised by one byte above what is there, because epoll would
 * report the same bytes again and again. A ClientHello that nobody steals is answered by the core's
 * TLS, and the handlers look again at what was decrypted. Everything ends by preread_timeout.
 */
#include "net/stream.h"

#include "net/engine.h"
#include "net/tls.h"
#include "net/tls_stream.h"

#include <errno.h>

#define TLS_RECORD_HANDSHAKE 0x16

enum hello_part { HELLO_NOT, HELLO_BAD, HELLO_PART, HELLO_WHOLE };

void conn_set_low(struct sl_conn *c, unsigned bytes)
{
	int value = (int)bytes;

	c->waits_at_low = bytes > 0;
	/* Without it the loop would be woken too often, until the time is over. */
	(void)setsockopt(c->ev.fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof value);
}

/* Decrypted bytes need no mark: they have left the socket, which reports new ones only. */
static void wait_for_more(struct sl_conn *c, size_t len)
{
	if (len >= PEEK_MAX)
		conn_fail(c, SL_CLOSE_LIMIT);
	else if (c->state == CONN_PREREAD)
		conn_set_low(c, (unsigned)len + 1);
}

/* What begins like one and is none is OpenSSL's to refuse. */
static enum hello_part hello_of(struct sl_str bytes)
{
	struct sl_client_hello h;

	if (bytes.p[0] != TLS_RECORD_HANDSHAKE)
		return HELLO_NOT;
	if (tls_read_hello((const uint8_t *)bytes.p, bytes.len, &h) < 0)
		return HELLO_BAD;
	return h.complete ? HELLO_WHOLE : HELLO_PART;
}

/* The hello is still in the socket, where OpenSSL reads it again. */
static void begin_tls(struct sl_conn *c)
{
	struct ssl_ctx_st *ctx = c->acceptor->listener->pub.tls;

	if (tls_stream_new(ctx, c->ev.fd, &c->tls) < 0) {
		conn_fail(c, SL_CLOSE_ERROR);
		return;
	}
	if (c->waits_at_low)
		conn_set_low(c, 0);
	c->state = CONN_HANDSHAKE;
	c->seen = 0;
	preread_handshake(c);
}

/* A hello goes to the core's TLS once, and whole, so that half of one costs no memory; decrypted
 * bytes that nobody wants are the end. */
static void unclaimed(struct sl_conn *c, struct sl_str bytes)
{
	enum hello_part hello = HELLO_NOT;

	if (c->state == CONN_PREREAD && c->acceptor->listener->pub.tls)
		hello = hello_of(bytes);
	if (hello == HELLO_PART) {
		wait_for_more(c, bytes.len);
		return;
	}
	if (hello != HELLO_NOT) {
		begin_tls(c);
		return;
	}
	sl_count(net_meter(conn_net(c), NET_connections_unclaimed));
	conn_fail(c, SL_CLOSE_OURS);
}

/* What the handlers decided while c was still nobody's. */
static void decided(struct sl_conn *c, int rc, struct sl_str bytes)
{
	if (rc == SL_AGAIN) {
		wait_for_more(c, bytes.len);
	} else if (rc == SL_OK || rc == SL_DECLINED) {
		unclaimed(c, bytes);
	} else {
		sl_count(net_meter(conn_net(c), NET_connections_refused));
		conn_fail(c, SL_CLOSE_OURS);
	}
}

/* Checks of ICE are the core's, as among datagrams: nothing else begins like them. */
static int ask(struct sl_conn *c)
{
	const struct net *n = conn_net(c);
	int rc = SL_DECLINED;

	if (n->check_conn && c->state == CONN_PREREAD)
		rc = n->check_conn(n->check_conn_arg, c);
	return rc == SL_DECLINED ? hook_run_conn(&c->acceptor->listener->preread, c) : rc;
}

/* The view lives during the call only. A handler that took or stole has changed the state. */
static void offer(struct sl_conn *c, struct sl_str bytes)
{
	struct streams *s = &conn_net(c)->streams;
	int rc;

	if (!c->io && conn_io_new(c) < 0) {
		conn_fail(c, SL_CLOSE_ERROR);
		return;
	}
	c->seen = (uint32_t)bytes.len;
	s->peek = bytes;
	s->hello_is = c->tls ? HELLO_NONE : HELLO_UNREAD;
	rc = ask(c);
	s->peek = SL_STR_NULL;
	if (c->state < CONN_OPEN)
		decided(c, rc, bytes);
	else if (c->state == CONN_OPEN)
		conn_begin(c);
}

/* Whoever answers it, us or a module: a whole hello means work. */
static bool has_its_turn(struct sl_conn *c, struct sl_str bytes)
{
	int rc;

	if (!c->acceptor->listener->pub.tls || hello_of(bytes) != HELLO_WHOLE)
		return true;
	rc = handshake_ask(c);
	if (rc == SL_DROP)
		conn_fail(c, SL_CLOSE_LIMIT);
	return rc == SL_OK;
}

/* Not for an address that has nothing for it. */
static bool is_plain_in_vain(const struct sl_conn *c, uint8_t first)
{
	if (!c->acceptor->listener->tls_only || first == TLS_RECORD_HANDSHAKE)
		return false;
	sl_count(net_meter(conn_net(c), NET_connections_plain));
	return true;
}

/* What is looked at lies in the common scratch buffer: half-open connections own none. */
void preread_ready(struct sl_conn *c)
{
	uint8_t *scratch = conn_net(c)->streams.scratch;
	ssize_t n = recv(c->ev.fd, scratch, PEEK_MAX, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		conn_fail(c, SL_CLOSE_ERROR);
	else if ((size_t)n <= c->seen) /* woken, but not by more bytes: this is the peer's end */
		conn_fail(c, SL_CLOSE_PEER);
	else if (is_plain_in_vain(c, scratch[0]))
		conn_fail(c, SL_CLOSE_OURS);
	else if (has_its_turn(c, (struct sl_str){(const char *)scratch, (size_t)n}))
		offer(c, (struct sl_str){(const char *)scratch, (size_t)n});
}

/* May take several turns, for which OpenSSL says the direction. */
void preread_handshake(struct sl_conn *c)
{
	struct net *n = conn_net(c);
	int rc = tls_stream_handshake(c->tls);

	if (rc == -SL_EAGAIN) {
		conn_want(c, tls_stream_wants_write(c->tls) ? SL_WRITE : SL_READ);
		return;
	}
	if (rc < 0) {
		sl_count(net_meter(n, NET_tls_failures));
		conn_fail(c, SL_CLOSE_TLS);
		return;
	}
	handshake_over(c);
	sl_count(net_meter(n, NET_tls_handshakes));
	if (tls_stream_resumed(c->tls))
		sl_count(net_meter(n, NET_tls_resumptions));
	c->state = CONN_DECRYPTED;
	conn_want(c, SL_READ);
	if (c->state == CONN_DECRYPTED)
		preread_decrypted(c);
}

/* Decrypted bytes cannot stay in the socket: they wait in the input buffer. */
void preread_decrypted(struct sl_conn *c)
{
	struct sl_buf *in = &c->io->in;
	ptrdiff_t got = 1;

	while (got > 0 && in->len < PEEK_MAX) {
		uint8_t *to = sl_buf_reserve(in, PEEK_MAX - in->len);

		got = to ? conn_receive(c, to, PEEK_MAX - in->len) : -SL_ENOMEM;
		if (got > 0)
			in->len += (size_t)got;
	}
	if (in->len > c->seen)
		offer(c, sl_buf_view(in));
	else if (got == 0)
		conn_fail(c, SL_CLOSE_PEER);
	else if (got != -SL_EAGAIN)
		conn_fail(c, SL_CLOSE_ERROR);
}

/* ---- what a handler may ask and do */

struct sl_str sl_conn_peek(const struct sl_conn *c)
{
	return conn_net(c)->streams.peek;
}

/* Read when first asked for: most listeners have no TLS to divide. */
const struct sl_client_hello *sl_conn_hello(const struct sl_conn *c)
{
	struct streams *s = &conn_net(c)->streams;

	if (s->hello_is == HELLO_UNREAD) {
		int rc = tls_read_hello((const uint8_t *)s->peek.p, s->peek.len, &s->hello);

		s->hello_is = rc < 0 ? HELLO_NONE : HELLO_READ;
	}
	return s->hello_is == HELLO_READ ? &s->hello : NULL;
}

/* Bytes arrive after the handler has returned, never inside this call. */
void sl_conn_take(struct sl_conn *c, const struct sl_conn_ops *ops, void *arg)
{
	if (!sl_check(c->state == CONN_PREREAD || c->state == CONN_DECRYPTED))
		return;
	if (c->waits_at_low)
		conn_set_low(c, 0);
	c->io->ops = *ops;
	c->io->arg = arg;
	c->io->taken = true;
	queue_prepare(c);
	c->state = CONN_OPEN;
}

/* The struct goes at the end of the tick; the descriptor is the caller's from now on. */
int sl_conn_steal_fd(struct sl_conn *c)
{
	int fd = c->ev.fd;

	if (!sl_check(c->state == CONN_PREREAD))
		return -SL_EINVAL;
	if (c->waits_at_low)
		conn_set_low(c, 0);
	sl_event_del(conn_net(c)->worker->loop, &c->ev);
	c->ev.fd = -1;
	c->state = CONN_STOLEN;
	sl_count(net_meter(conn_net(c), NET_connections_stolen));
	conn_mark(c);
	return fd;
}
