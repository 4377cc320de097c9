/*
 * tests/unit/test_assoc.c: DTLS on a listener: clients that prove their address, packets that
 * modules see decrypted, flows that live on an association, and the end.
 */
#include "lib/test.h"

#include "lib/net.h"
#include "lib/tls_client.h"
#include "net/engine.h"

#include <errno.h>
#include <sluice/dtls.h>

static uint64_t fake_ns = 1000 * SL_NS_PER_S;

static uint64_t fake_now(void *arg)
{
	(void)arg;
	return fake_ns;
}

struct world {
	struct test_net t;
	struct net_listener *listener;
	struct ssl_ctx_st *tls;
	struct hook_call content_call;
	bool opens_flow, keeps;
	struct sl_flow *flow;
	struct sl_packet *kept;
	unsigned n_content, n_flow, n_plain, n_ended;
	char text[64];
};

/* What a module does: echoes, or opens a flow for the sender. */
static int on_flow(void *arg, struct sl_flow *f, struct sl_packet *p)
{
	struct world *w = arg;

	if (!p) {
		w->n_ended++;
		sl_flow_close(f);
		w->flow = NULL;
		return SL_DONE;
	}
	w->n_flow++;
	sl_assert(sl_flow_send(f, p) == 0);
	return SL_OK;
}

static int on_content(void *ctx, struct sl_packet *p)
{
	struct world *w = ctx;

	w->n_content++;
	w->n_plain += !p->assoc;
	(void)sl_str_copy(w->text, sizeof w->text, (struct sl_str){(const char *)p->data, p->len});
	if (w->keeps && !w->kept) {
		sl_packet_ref(p);
		w->kept = p;
		return SL_DONE;
	}
	if (w->opens_flow && !w->flow)
		sl_assert(sl_flow_open(p->udp, &p->from, NULL, on_flow, w, &w->flow) == 0);
	sl_assert(sl_udp_reply(p, p->data, p->len) == 0);
	return SL_DONE;
}

static void open_world(struct world *w, const char *addr)
{
	struct tls_cert cert = test_cert("turn.example");
	const struct tls_opts o = {.certs = &cert, .n_certs = 1, .dtls = true};
	char err[256];

	memset(w, 0, sizeof *w);
	sl_assert(tls_context_new(&o, &w->tls, err, sizeof err) == 0);
	test_cert_free(&cert);
	w->listener = test_net_listen(&w->t, true, addr);
	w->content_call = (struct hook_call){.fn.dgram = on_content, .ctx = w};
	w->listener->content = (struct hook_chain){1, &w->content_call};
	w->listener->pub.tls = w->tls;
	sl_assert(loop_new(&w->t.worker.loop) == 0);
	loop_fake_clock(w->t.worker.loop, fake_now, NULL);
	test_net_open(&w->t);
}

static void close_world(struct world *w)
{
	sl_flow_close(w->flow);
	test_net_close(&w->t);
	tls_context_free(w->tls);
}

/* ---- a client: the engine of our own over a socket */

struct client {
	struct world *w;
	int fd;
	struct sl_dtls_ctx *ctx;
	struct sl_dtls *s;
	char text[2048];
	size_t len;
	unsigned n_data;
};

static void client_send(void *arg, const uint8_t *data, size_t len)
{
	struct client *c = arg;

	sl_assert(send(c->fd, data, len, 0) == (ssize_t)len);
}

static void client_data(void *arg, const uint8_t *data, size_t len)
{
	struct client *c = arg;

	memcpy(c->text, data, len);
	c->len = len;
	c->n_data++;
}

static const struct sl_dtls_io client_io = {.send = client_send, .data = client_data};

static uint64_t now_ms(void)
{
	return fake_ns / SL_NS_PER_MS;
}

static void hello(struct client *c)
{
	const struct sl_dtls_opts o = {.role = SL_DTLS_ACTIVE, .io = &client_io, .arg = c};

	sl_assert(sl_dtls_new(c->ctx, &o, now_ms(), &c->s) == 0);
	sl_dtls_start(c->s, now_ms());
}

static void open_client(struct client *c, struct world *w)
{
	memset(c, 0, sizeof *c);
	c->w = w;
	c->fd = test_client(SOCK_DGRAM, &w->listener->pub.local);
	sl_assert(sl_dtls_ctx_new(SL_DTLS_DATA, &c->ctx) == 0);
	hello(c);
}

static void close_client(struct client *c)
{
	sl_dtls_free(c->s);
	sl_dtls_ctx_free(c->ctx);
	close(c->fd);
}

/* One tick of the server, and whatever came from it. */
static bool pump(struct client *c)
{
	uint8_t datagram[2048];
	ssize_t n;

	test_tick(&c->w->t);
	while ((n = recv(c->fd, datagram, sizeof datagram, MSG_DONTWAIT)) > 0)
		(void)sl_dtls_input(c->s, datagram, (size_t)n, now_ms());
	return true;
}

#define UNTIL(c, cond) NET_UNTIL(&(c)->w->t, pump(c) && (cond))

static unsigned n_assocs(const struct world *w)
{
	return (unsigned)test_count(&w->t, NET_associations);
}

TEST(a_client_over_dtls_is_answered_through_it)
{
	static struct world w;
	struct client c;

	open_world(&w, "127.0.0.1:0");
	open_client(&c, &w);
	UNTIL(&c, sl_dtls_state(c.s) == SL_DTLS_OPEN);
	CHECK_INT(test_count(&w.t, NET_dtls_cookies), 1);
	CHECK_INT(n_assocs(&w), 1);
	CHECK_INT(sl_dtls_write(c.s, "binding", 7), 0);
	UNTIL(&c, c.n_data == 1);
	CHECK_INT(c.len, 7);
	CHECK(strcmp(w.text, "binding") == 0);
	CHECK_INT(w.n_plain, 0);
	CHECK_INT(test_count(&w.t, NET_dtls_handshakes), 1);
	close_client(&c);
	close_world(&w);
}

TEST(plain_datagrams_are_served_on_the_same_port)
{
	static struct world w;
	struct client c;

	open_world(&w, "127.0.0.1:0");
	open_client(&c, &w);
	UNTIL(&c, sl_dtls_state(c.s) == SL_DTLS_OPEN);
	CHECK_INT(send(c.fd, "\0plain", 6, 0), 6);
	NET_UNTIL(&w.t, w.n_plain == 1);
	test_tick(&w.t);
	CHECK_INT(recv(c.fd, w.text, sizeof w.text, MSG_DONTWAIT), 6); /* and answered plainly */
	close_client(&c);
	close_world(&w);
}

TEST(a_flow_over_dtls_does_not_take_plain_packets)
{
	static struct world w;
	struct client c;

	open_world(&w, "127.0.0.1:0");
	w.opens_flow = true;
	open_client(&c, &w);
	UNTIL(&c, sl_dtls_state(c.s) == SL_DTLS_OPEN);
	CHECK_INT(sl_dtls_write(c.s, "allocate", 8), 0);
	UNTIL(&c, c.n_data == 1);
	CHECK(w.flow && sl_flow_is_dtls(w.flow));
	CHECK_INT(sl_dtls_write(c.s, "data", 4), 0);
	UNTIL(&c, c.n_data == 2);
	CHECK_INT(w.n_flow, 1);
	CHECK_INT(send(c.fd, "\0spoofed", 8, 0), 8);
	NET_UNTIL(&w.t, w.n_plain == 1);
	CHECK_INT(w.n_flow, 1);
	close_client(&c);
	close_world(&w);
}

TEST(a_goodbye_ends_the_flow_that_lived_on_it)
{
	static struct world w;
	struct client c;

	open_world(&w, "127.0.0.1:0");
	w.opens_flow = true;
	open_client(&c, &w);
	UNTIL(&c, sl_dtls_state(c.s) == SL_DTLS_OPEN);
	CHECK_INT(sl_dtls_write(c.s, "allocate", 8), 0);
	UNTIL(&c, c.n_data == 1);
	sl_dtls_close(c.s);
	NET_UNTIL(&w.t, n_assocs(&w) == 0);
	CHECK_INT(w.n_ended, 1);
	close_client(&c);
	close_world(&w);
}

TEST(a_quiet_association_goes_unless_a_flow_lives_on_it)
{
	static struct world w;
	struct client c;

	open_world(&w, "127.0.0.1:0");
	open_client(&c, &w);
	UNTIL(&c, sl_dtls_state(c.s) == SL_DTLS_OPEN);
	for (unsigned s = 0; s < 30; s++) {
		fake_ns += 4 * SL_NS_PER_S;
		pump(&c);
	}
	UNTIL(&c, n_assocs(&w) == 0);
	UNTIL(&c, sl_dtls_state(c.s) == SL_DTLS_CLOSED); /* it was told */
	close_client(&c);

	w.opens_flow = true;
	open_client(&c, &w);
	UNTIL(&c, sl_dtls_state(c.s) == SL_DTLS_OPEN);
	CHECK_INT(sl_dtls_write(c.s, "allocate", 8), 0);
	UNTIL(&c, c.n_data == 1);
	for (unsigned s = 0; s < 300; s++) {
		fake_ns += 4 * SL_NS_PER_S;
		pump(&c);
	}
	CHECK_INT(n_assocs(&w), 1);
	CHECK_INT(sl_dtls_write(c.s, "data", 4), 0); /* its buffers had been given back */
	UNTIL(&c, c.n_data == 2);
	close_client(&c);
	close_world(&w);
}

TEST(a_handshake_that_stops_is_given_up)
{
	static struct world w;
	struct client c;

	open_world(&w, "127.0.0.1:0");
	w.listener->preread_timeout_ms = 3000;
	open_client(&c, &w);
	pump(&c);
	NET_UNTIL(&w.t, n_assocs(&w) == 1); /* the client hears nothing from here on */
	for (unsigned s = 0; s < 40 && n_assocs(&w) > 0; s++) {
		fake_ns += 100 * SL_NS_PER_MS;
		test_tick(&w.t);
	}
	CHECK_INT(n_assocs(&w), 0);
	CHECK_INT(test_count(&w.t, NET_dtls_failures), 1);
	close_client(&c);
	close_world(&w);
}

TEST(strangers_cost_no_memory)
{
	static struct world w;
	struct client c;
	uint8_t answer[2048], garbage[64];

	open_world(&w, "127.0.0.1:0");
	open_client(&c, &w); /* its hello is answered; it never answers that */
	NET_UNTIL(&w.t, test_count(&w.t, NET_dtls_cookies) == 1);
	test_tick(&w.t);
	CHECK_INT(recv(c.fd, answer, sizeof answer, MSG_DONTWAIT), SL_DTLS_VERIFY_BYTES);
	CHECK_INT(n_assocs(&w), 0);
	memset(garbage, 0x16, sizeof garbage);
	CHECK_INT(send(c.fd, garbage, sizeof garbage, 0), sizeof garbage);
	NET_UNTIL(&w.t, test_count(&w.t, NET_dropped_unclaimed) == 1);
	CHECK_INT(n_assocs(&w), 0);
	close_client(&c);
	close_world(&w);
}

TEST(associations_are_counted_against_the_listeners_limit)
{
	static struct world w;
	struct client a, b;

	open_world(&w, "127.0.0.1:0");
	w.listener->max_conns = 1;
	open_client(&a, &w);
	UNTIL(&a, sl_dtls_state(a.s) == SL_DTLS_OPEN);
	open_client(&b, &w);
	UNTIL(&b, test_count(&w.t, NET_dtls_refused) == 1);
	CHECK_INT(n_assocs(&w), 1);
	close_client(&a);
	close_client(&b);
	close_world(&w);
}

TEST(a_hello_over_the_budget_of_handshakes_is_dropped_and_repeated)
{
	static struct world w;
	struct client a, b;

	open_world(&w, "127.0.0.1:0");
	w.t.net->handshakes.limits.in_flight = 1;
	open_client(&a, &w);
	pump(&a);
	NET_UNTIL(&w.t, test_count(&w.t, NET_handshakes) == 1); /* and stalls */
	open_client(&b, &w);
	UNTIL(&b, test_count(&w.t, NET_handshakes_refused) == 1);
	CHECK_INT(n_assocs(&w), 1);
	UNTIL(&a, sl_dtls_state(a.s) == SL_DTLS_OPEN);
	NET_UNTIL(&w.t, test_count(&w.t, NET_handshakes) == 0);
	for (unsigned i = 0; i < 50 && sl_dtls_state(b.s) != SL_DTLS_OPEN; i++) {
		fake_ns += 100 * SL_NS_PER_MS;
		(void)sl_dtls_tick(b.s, now_ms());
		pump(&b);
		pump(&b);
	}
	CHECK_INT(sl_dtls_state(b.s), SL_DTLS_OPEN);
	CHECK_INT(test_count(&w.t, NET_handshakes), 0);
	close_client(&a);
	close_client(&b);
	close_world(&w);
}

TEST(a_client_that_lost_its_association_gets_another_from_the_same_port)
{
	static struct world w;
	struct client c;

	open_world(&w, "127.0.0.1:0");
	w.opens_flow = true;
	open_client(&c, &w);
	UNTIL(&c, sl_dtls_state(c.s) == SL_DTLS_OPEN);
	CHECK_INT(sl_dtls_write(c.s, "allocate", 8), 0);
	UNTIL(&c, c.n_data == 1);
	sl_dtls_free(c.s);
	hello(&c);
	UNTIL(&c, sl_dtls_state(c.s) == SL_DTLS_OPEN);
	CHECK_INT(w.n_ended, 1); /* whoever began anew has no claim to the old one's flow */
	CHECK_INT(n_assocs(&w), 1);
	CHECK_INT(sl_dtls_write(c.s, "again", 5), 0);
	UNTIL(&c, c.n_data == 2);
	close_client(&c);
	close_world(&w);
}

TEST(a_packet_that_was_kept_is_handled_again)
{
	static struct world w;
	struct client c;

	open_world(&w, "127.0.0.1:0");
	w.keeps = true;
	open_client(&c, &w);
	UNTIL(&c, sl_dtls_state(c.s) == SL_DTLS_OPEN);
	CHECK_INT(sl_dtls_write(c.s, "later", 5), 0);
	NET_UNTIL(&w.t, w.kept != NULL);
	CHECK(!w.kept->assoc);
	CHECK_INT(sl_udp_replay(w.kept), 0);
	UNTIL(&c, c.n_data == 1);
	CHECK_INT(c.len, 5);
	sl_dtls_close(c.s);
	NET_UNTIL(&w.t, n_assocs(&w) == 0);
	CHECK_INT(sl_udp_replay(w.kept), -SL_ENOENT);
	sl_packet_unref(w.kept);
	close_client(&c);
	close_world(&w);
}

TEST(two_records_in_a_datagram_are_two_packets)
{
	static struct world w;
	struct client c, *joined = &c;
	static uint8_t both[4096];
	size_t len = 0;

	open_world(&w, "[::]:0");
	memset(&c, 0, sizeof c);
	c.w = &w;
	c.fd = test_client(SOCK_DGRAM, &(struct sl_addr){.family = 6,
							 .port = w.listener->pub.local.port,
							 .ip = {[15] = 1}});
	CHECK_INT(sl_dtls_ctx_new(SL_DTLS_DATA, &c.ctx), 0);
	hello(&c);
	UNTIL(&c, sl_dtls_state(c.s) == SL_DTLS_OPEN);
	/* Written to a socket pair, and from there into one datagram. */
	{
		int pair[2], real = c.fd;

		CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
		c.fd = pair[0];
		CHECK_INT(sl_dtls_write(joined->s, "first", 5), 0);
		CHECK_INT(sl_dtls_write(joined->s, "second", 6), 0);
		c.fd = real;
		for (unsigned i = 0; i < 2; i++)
			len += (size_t)recv(pair[1], both + len, sizeof both - len, 0);
		close(pair[0]);
		close(pair[1]);
	}
	CHECK_INT(send(c.fd, both, len, 0), (ssize_t)len);
	UNTIL(&c, c.n_data == 2);
	CHECK_INT(w.n_content, 2);
	CHECK_INT(c.len, 6);
	close_client(&c);
	close_world(&w);
}

TEST_MAIN()
