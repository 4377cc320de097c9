/*
 * tests/unit/test_handshake.c: how many TLS handshakes begin, and when: in a tick, in a second,
 * from one source, and at once; and who waits for his turn.
 */
#include "lib/test.h"

#include "lib/stream_app.h"
#include "lib/tls_client.h"

enum { MANY = 40 };

struct crowd {
	struct app a;
	SSL_CTX *server, *client;
	SSL *ssl[MANY];
	int fds[MANY];
	unsigned n;
};

static SSL_CTX *server_ctx(void)
{
	struct tls_cert cert = test_cert("a.example");
	const struct tls_opts o = {.certs = &cert, .n_certs = 1};
	SSL_CTX *ctx = NULL;
	char err[256];

	sl_assert(tls_context_new(&o, &ctx, err, sizeof err) == 0);
	test_cert_free(&cert);
	return ctx;
}

static void open_crowd(struct crowd *c, const struct handshake_limits *limits)
{
	memset(c, 0, sizeof *c);
	c->server = server_ctx();
	c->client = SSL_CTX_new(TLS_client_method());
	c->a.t.conf.handshakes = *limits;
	open_app_tls(&c->a, c->server);
	c->a.ops.closed = NULL; /* of many, this app knows one */
}

static void come(struct crowd *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++, c->n++) {
		c->fds[c->n] = connect_app(&c->a);
		c->ssl[c->n] = test_tls_client(c->client, c->fds[c->n], NULL, NULL);
		(void)SSL_do_handshake(c->ssl[c->n]);
	}
}

static void leave(struct crowd *c, unsigned i)
{
	SSL_free(c->ssl[i]);
	close(c->fds[i]);
	c->ssl[i] = NULL;
}

static void close_crowd(struct crowd *c)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->ssl[i])
			leave(c, i);
	test_net_close(&c->a.t);
	SSL_CTX_free(c->client);
	tls_context_free(c->server);
}

static unsigned n_done(struct crowd *c)
{
	unsigned done = 0;

	for (unsigned i = 0; i < c->n; i++) {
		if (c->ssl[i] && !SSL_is_init_finished(c->ssl[i]))
			(void)SSL_do_handshake(c->ssl[i]);
		done += c->ssl[i] && SSL_is_init_finished(c->ssl[i]);
	}
	return done;
}

static uint64_t count(const struct crowd *c, enum net_meter m)
{
	return test_count(&c->a.t, m);
}

TEST(few_begin_in_one_tick_and_all_have_their_turn)
{
	static struct crowd c;

	open_crowd(&c, &(struct handshake_limits){0});
	come(&c, MANY);
	for (uint64_t begun = 0, before; begun < MANY;) {
		test_tick(&c.a.t);
		before = begun;
		begun = count(&c, NET_handshakes); /* none finishes: the clients do not read */
		CHECK(begun - before <=
		      (before == 0 ? 4 : 2)); /* at first at both ends of a tick */
	}
	CHECK(count(&c, NET_handshakes_delayed) >= MANY - 4);
	NET_UNTIL(&c.a.t, n_done(&c) == MANY);
	NET_UNTIL(&c.a.t, count(&c, NET_handshakes) == 0);
	CHECK_INT(count(&c, NET_tls_handshakes), MANY);
	CHECK_INT(count(&c, NET_handshakes_refused), 0);
	close_crowd(&c);
}

TEST(beyond_the_rate_they_wait_for_the_next_second)
{
	static struct crowd c;

	open_crowd(&c, &(struct handshake_limits){.per_second = 10}); /* a burst of three */
	come(&c, 20);
	for (unsigned i = 0; i < 50; i++) {
		test_tick(&c.a.t);
		(void)n_done(&c);
	}
	CHECK_INT(count(&c, NET_tls_handshakes), 3);
	for (unsigned ms = 0; ms < 1000; ms += 20) {
		pass_ms(&c.a, 20);
		(void)n_done(&c);
	}
	CHECK(count(&c, NET_tls_handshakes) >= 12 && count(&c, NET_tls_handshakes) <= 14);
	for (unsigned ms = 0; ms < 1000; ms += 20) {
		pass_ms(&c.a, 20);
		(void)n_done(&c);
	}
	CHECK_INT(count(&c, NET_tls_handshakes), 20);
	close_crowd(&c);
}

TEST(one_source_is_refused_beyond_its_share)
{
	static struct crowd c;

	open_crowd(&c, &(struct handshake_limits){.per_source = 5}); /* ten at once */
	come(&c, 25);
	NET_UNTIL(&c.a.t, count(&c, NET_handshakes_refused) == 15);
	NET_UNTIL(&c.a.t, n_done(&c) == 10);
	settle(&c.a);
	CHECK_INT(net_n_conns(c.a.t.net), 10);
	fake_ns += SL_NS_PER_S;
	come(&c, 5);
	NET_UNTIL(&c.a.t, n_done(&c) == 15);
	close_crowd(&c);
}

TEST(places_taken_by_handshakes_that_stall_are_free_again_in_time)
{
	static struct crowd c;

	open_crowd(&c, &(struct handshake_limits){.in_flight = 3});
	come(&c, 3);
	NET_UNTIL(&c.a.t, count(&c, NET_handshakes) == 3);
	pass_ms(&c.a, 30000);
	come(&c, 2);
	NET_UNTIL(&c.a.t, c.a.t.net->handshakes.n_waiting == 2);
	pass_ms(&c.a, 29000);
	CHECK_INT(count(&c, NET_handshakes), 3);
	CHECK_INT(count(&c, NET_preread_timeouts), 0);
	pass_ms(&c.a, 1500); /* preread_timeout of these tests is a minute */
	CHECK_INT(count(&c, NET_preread_timeouts), 3);
	for (unsigned i = 0; i < 3; i++)
		leave(&c, i);
	for (unsigned i = 0; i < 20 && n_done(&c) < 2; i++)
		pass_ms(&c.a, 21);
	CHECK_INT(n_done(&c), 2);
	close_crowd(&c);
}

TEST(whoever_leaves_while_he_waits_is_forgotten)
{
	static struct crowd c;

	open_crowd(&c, &(struct handshake_limits){.in_flight = 1});
	come(&c, 5);
	NET_UNTIL(&c.a.t, c.a.t.net->handshakes.n_waiting == 4);
	pass_ms(&c.a, 61000);
	NET_UNTIL(&c.a.t, net_n_conns(c.a.t.net) == 0);
	CHECK_INT(count(&c, NET_handshakes), 0);
	CHECK_INT(c.a.t.net->handshakes.n_waiting, 0);
	come(&c, 1);
	NET_UNTIL(&c.a.t, n_done(&c) == 1);
	close_crowd(&c);
}

TEST(half_a_hello_takes_nobodys_place)
{
	static struct crowd c;
	int fds[10];

	open_crowd(&c, &(struct handshake_limits){.in_flight = 1, .per_source = 1});
	for (unsigned i = 0; i < 10; i++) {
		fds[i] = connect_app(&c.a);
		CHECK_INT(send(fds[i], "\x16\3\1\2", 4, 0), 4);
	}
	NET_UNTIL(&c.a.t, c.a.n_preread == 10);
	CHECK_INT(count(&c, NET_handshakes), 0);
	come(&c, 1);
	NET_UNTIL(&c.a.t, n_done(&c) == 1);
	for (unsigned i = 0; i < 10; i++)
		close(fds[i]);
	close_crowd(&c);
}

TEST(plain_connections_are_none_of_its_business)
{
	static struct crowd c;
	int fd;

	open_crowd(&c, &(struct handshake_limits){.in_flight = 1, .per_second = 1});
	come(&c, 3);
	NET_UNTIL(&c.a.t, c.a.t.net->handshakes.n_waiting == 2);
	fd = connect_app(&c.a);
	say(fd, "plain");
	NET_UNTIL(&c.a.t, c.a.n_bytes == 5);
	close(fd);
	close_crowd(&c);
}

TEST_MAIN()
