/*
 * tests/lib/stream_app.h: a module that takes stream connections as a test tells it, and remembers
 * what it saw. Timeouts run by a clock that the test moves.
 */
#ifndef TESTS_LIB_STREAM_APP_H
#define TESTS_LIB_STREAM_APP_H

#include "lib/net.h"
#include "net/engine.h"
#include "net/tls.h"

#include <errno.h>

static uint64_t fake_ns = 1000 * SL_NS_PER_S;

static inline uint64_t fake_now(void *arg)
{
	(void)arg;
	return fake_ns;
}

/* What a module does with connections, and what it saw. */
struct app {
	struct test_net t;
	struct hook_call accept_call, preread_call, closing_call, log_call;
	struct sl_conn_ops ops;

	/* preread */
	int answer; /* SL_DONE: take; or what to return */
	unsigned n_preread;
	size_t want; /* bytes before it decides; 0: any */
	size_t last_peek;
	char peeked[32];
	bool steal;
	int stolen;
	bool peek_was_tls;
	struct sl_client_hello hello;
	char hello_name[64];

	/* connection */
	struct sl_conn *conn;
	bool echo;
	ptrdiff_t uses; /* < 0: all; else at most so many bytes per call */
	int input_fails;
	unsigned n_inputs, n_drained, n_closed, n_closing, n_logged;
	size_t n_bytes, last_len;
	enum sl_close_reason why;
	bool close_in_input;
};

static inline ptrdiff_t on_input(void *arg, struct sl_conn *c, const uint8_t *data, size_t len)
{
	struct app *a = arg;
	size_t use = a->uses >= 0 && (size_t)a->uses < len ? (size_t)a->uses : len;

	a->n_inputs++;
	a->last_len = len;
	if (a->input_fails)
		return -SL_EPARSE;
	a->n_bytes += use;
	if (a->echo && use > 0)
		sl_assert(sl_conn_write(c, data, use) == 0);
	if (a->close_in_input)
		sl_conn_close(c, SL_CLOSE_OURS);
	return (ptrdiff_t)use;
}

static inline void on_drained(void *arg, struct sl_conn *c)
{
	struct app *a = arg;

	(void)c;
	a->n_drained++;
}

static inline void on_closed(void *arg, struct sl_conn *c, enum sl_close_reason why)
{
	struct app *a = arg;

	sl_assert(c == a->conn);
	a->conn = NULL;
	a->n_closed++;
	a->why = why;
}

static inline int take(struct app *a, struct sl_conn *c)
{
	if (a->steal) {
		a->stolen = sl_conn_steal_fd(c);
		return SL_DONE;
	}
	a->conn = c;
	sl_conn_take(c, &a->ops, a);
	return SL_DONE;
}

static inline int on_preread(void *ctx, struct sl_conn *c)
{
	struct app *a = ctx;
	struct sl_str s = sl_conn_peek(c);
	const struct sl_client_hello *h = sl_conn_hello(c);

	a->n_preread++;
	a->last_peek = s.len;
	a->peek_was_tls = sl_conn_is_tls(c);
	(void)sl_str_copy(a->peeked, sizeof a->peeked, s);
	if (h) {
		a->hello = *h;
		(void)sl_str_copy(a->hello_name, sizeof a->hello_name, h->server_name);
		return h->complete ? SL_DECLINED : SL_AGAIN;
	}
	if (s.len < a->want)
		return SL_AGAIN;
	return a->answer == SL_DONE ? take(a, c) : a->answer;
}

static inline int on_closing(void *ctx, struct sl_conn *c)
{
	struct app *a = ctx;

	(void)sl_conn_remote(c);
	a->n_closing++;
	return SL_OK;
}

static inline int on_log(void *ctx, struct sl_conn *c)
{
	struct app *a = ctx;

	(void)c;
	a->n_logged++;
	return SL_OK;
}

static inline void open_app_tls(struct app *a, struct ssl_ctx_st *tls)
{
	struct net_listener *l = test_net_listen(&a->t, false, "127.0.0.1:0");

	a->preread_call = (struct hook_call){.fn.conn = on_preread, .ctx = a};
	a->closing_call = (struct hook_call){.fn.conn = on_closing, .ctx = a};
	a->log_call = (struct hook_call){.fn.conn = on_log, .ctx = a};
	l->preread = (struct hook_chain){1, &a->preread_call};
	l->closing = (struct hook_chain){1, &a->closing_call};
	l->log = (struct hook_chain){1, &a->log_call};
	l->pub.tls = tls;
	a->answer = SL_DONE;
	a->uses = -1;
	a->stolen = -1;
	a->ops.input = on_input;
	a->ops.drained = on_drained;
	a->ops.closed = on_closed;
	sl_assert(loop_new(&a->t.worker.loop) == 0);
	loop_fake_clock(a->t.worker.loop, fake_now, NULL);
	test_net_open(&a->t);
}

static inline void open_app(struct app *a)
{
	open_app_tls(a, NULL);
}

static inline void pass_ms(struct app *a, uint64_t ms)
{
	fake_ns += ms * SL_NS_PER_MS;
	test_tick(&a->t);
	test_tick(&a->t);
}

static inline int connect_app(const struct app *a)
{
	return test_client(SOCK_STREAM, &a->t.listeners[0].pub.local);
}

static inline void say(int fd, const char *text)
{
	sl_assert(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

static inline bool ended(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	return n == 0 || (n < 0 && errno != EAGAIN);
}

static inline void settle(struct app *a)
{
	for (unsigned i = 0; i < 5; i++)
		test_tick(&a->t);
}

#endif
