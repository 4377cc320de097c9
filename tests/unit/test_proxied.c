/*
 * tests/unit/test_proxied.c: connections from balancers: their clients' addresses, and balancers
 * that do not say what they should.
 */
#include "lib/test.h"

#include "lib/stream_app.h"

static const struct sl_cidr loopback = {.base = {.family = 4, .ip = {127}}, .bits = 8};
static const struct sl_cidr elsewhere = {.base = {.family = 4, .ip = {192, 0, 2}}, .bits = 24};

struct proxied {
	struct app a;
	struct hook_call accept_call;
	unsigned n_accept;
	struct sl_addr remote, local, bound;
	bool is_proxied, refuses;
};

static int on_accept(void *ctx, struct sl_conn *c)
{
	struct proxied *p = ctx;

	p->n_accept++;
	p->remote = *sl_conn_remote(c);
	p->local = *sl_conn_local(c);
	p->bound = sl_conn_bound(c);
	p->is_proxied = sl_conn_is_proxied(c);
	return p->refuses ? SL_DROP : SL_OK;
}

static int open_proxied(struct proxied *p, const struct sl_cidr *from)
{
	struct net_listener *l;

	memset(p, 0, sizeof *p);
	open_app(&p->a);
	l = &p->a.t.listeners[0];
	p->accept_call = (struct hook_call){.fn.conn = on_accept, .ctx = p};
	l->accept = (struct hook_chain){1, &p->accept_call};
	l->balancers = from;
	l->n_balancers = 1;
	return connect_app(&p->a);
}

static void close_proxied(struct proxied *p, int fd)
{
	close(fd);
	test_net_close(&p->a.t);
}

static bool address_is(const struct sl_addr *a, const char *want)
{
	char text[SL_ADDR_STRLEN];

	return strcmp(sl_addr_format(text, a), want) == 0;
}

#define LINE "PROXY TCP4 192.0.2.1 198.51.100.2 4000 443\r\n"

TEST(modules_see_the_client_that_the_balancer_names)
{
	static struct proxied p;
	int fd = open_proxied(&p, &loopback);

	say(fd, LINE "hello");
	NET_UNTIL(&p.a.t, p.a.n_bytes == 5);
	CHECK(address_is(&p.remote, "192.0.2.1:4000"));
	CHECK(address_is(&p.local, "198.51.100.2:443"));
	CHECK(p.is_proxied);
	CHECK(sl_addr_eq(&p.bound, &p.a.t.listeners[0].pub.local));
	CHECK(strcmp(p.a.peeked, "hello") == 0);
	CHECK_INT(test_count(&p.a.t, NET_proxied_connections), 1);
	close_proxied(&p, fd);
}

TEST(a_header_in_pieces_is_waited_for_and_nothing_else_is_taken_from_the_socket)
{
	static const char line[] = LINE "x";
	static struct proxied p;
	int fd = open_proxied(&p, &loopback);

	for (size_t i = 0; i < sizeof line - 1; i++) {
		CHECK_INT(p.n_accept, 0);
		CHECK_INT(send(fd, line + i, 1, 0), 1);
		settle(&p.a);
		if (i == sizeof line - 3)
			break;
	}
	NET_UNTIL(&p.a.t, p.n_accept == 1);
	CHECK_INT(p.a.n_preread, 0);
	CHECK_INT(send(fd, "x", 1, 0), 1);
	NET_UNTIL(&p.a.t, p.a.n_bytes == 1);
	close_proxied(&p, fd);
}

TEST(nobody_else_is_believed)
{
	static struct proxied p;
	int fd = open_proxied(&p, &elsewhere);

	say(fd, LINE "hello");
	NET_UNTIL(&p.a.t, p.a.n_bytes > 0);
	CHECK(strncmp(p.a.peeked, "PROXY", 5) == 0); /* it is what the connection begins with */
	CHECK(!p.is_proxied);
	CHECK(sl_addr_eq(
		&p.remote,
		&(struct sl_addr){.family = 4, .port = test_local(fd).port, .ip = {127, 0, 0, 1}}));
	close_proxied(&p, fd);
}

TEST(a_balancer_that_does_not_say_whose_it_is_is_refused)
{
	static struct proxied p;
	int fd = open_proxied(&p, &loopback);

	say(fd, "GET / HTTP/1.1\r\n\r\n");
	NET_UNTIL(&p.a.t, test_count(&p.a.t, NET_proxy_errors) == 1);
	settle(&p.a);
	CHECK(ended(fd));
	CHECK_INT(p.n_accept, 0);
	CHECK_INT(p.a.n_closing, 0); /* nobody had heard of it */
	CHECK_INT(net_n_conns(p.a.t.net), 0);
	close_proxied(&p, fd);
}

TEST(a_balancer_that_stops_is_closed_in_time)
{
	static struct proxied p;
	int fd = open_proxied(&p, &loopback);

	say(fd, "PROXY TCP4 ");
	settle(&p.a);
	pass_ms(&p.a, 60000);
	CHECK_INT(test_count(&p.a.t, NET_preread_timeouts), 1);
	CHECK(ended(fd));
	close_proxied(&p, fd);
}

TEST(a_health_check_that_only_connects_is_no_error)
{
	static struct proxied p;
	int fd = open_proxied(&p, &loopback);

	settle(&p.a);
	CHECK_INT(shutdown(fd, SHUT_WR), 0);
	NET_UNTIL(&p.a.t, net_n_conns(p.a.t.net) == 0);
	CHECK_INT(test_count(&p.a.t, NET_proxy_errors), 0);
	close_proxied(&p, fd);
}

TEST(a_balancers_own_connection_keeps_its_addresses)
{
	static const char local[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0hello";
	static struct proxied p;
	int fd = open_proxied(&p, &loopback);

	CHECK_INT(send(fd, local, sizeof local - 1, 0), sizeof local - 1);
	NET_UNTIL(&p.a.t, p.a.n_bytes == 5);
	CHECK(!p.is_proxied);
	CHECK_INT(p.remote.port, test_local(fd).port);
	close_proxied(&p, fd);
}

TEST(access_is_decided_about_the_client)
{
	static struct proxied p;
	int fd = open_proxied(&p, &loopback);

	p.refuses = true;
	say(fd, LINE "hello");
	NET_UNTIL(&p.a.t, test_count(&p.a.t, NET_connections_refused) == 1);
	settle(&p.a);
	CHECK(address_is(&p.remote, "192.0.2.1:4000"));
	CHECK_INT(p.a.n_bytes, 0);
	close_proxied(&p, fd);
}

TEST_MAIN()
