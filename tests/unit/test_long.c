/*
 * tests/unit/test_long.c: datagrams that no packet holds: whole for who takes them, however the
 * socket is read, and dropped where nobody does.
 */
#include "lib/test.h"

#include "lib/net.h"
#include "net/engine.h"

struct bed {
	struct test_net t;
	struct hook_call call;
	unsigned n_short, n_long;
	size_t last_len;
	bool good; /* as it was sent, and from whom */
	bool refuses;
	int fd;
};

static int on_dgram(void *ctx, struct sl_packet *p)
{
	struct bed *b = ctx;

	(void)p;
	b->n_short++;
	return SL_DONE;
}

static bool is_pattern(struct sl_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((uint8_t)s.p[i] != (uint8_t)(i * 7 + i / 256))
			return false;
	return true;
}

static bool on_long(void *arg, struct sl_udp *u, struct sl_str data, const struct sl_addr *from,
		    const struct sl_addr *local)
{
	struct bed *b = arg;
	struct sl_addr client = test_local(b->fd);

	b->n_long++;
	b->last_len = data.len;
	b->good = is_pattern(data) && sl_addr_eq(from, &client) && local->port == u->local.port;
	return !b->refuses;
}

static struct sl_udp *open_bed(struct bed *b, const char *addr, enum net_gro gro)
{
	struct net_listener *l;

	memset(b, 0, sizeof *b);
	b->t.conf.gro = gro;
	l = test_net_listen(&b->t, true, addr);
	b->call = (struct hook_call){.fn.dgram = on_dgram, .ctx = b};
	l->content = (struct hook_chain){1, &b->call};
	test_net_open(&b->t);
	l->pub.local =
		(struct sl_addr){.family = 4, .ip = {127, 0, 0, 1}, .port = l->pub.local.port};
	b->fd = test_client(SOCK_DGRAM, &l->pub.local);
	return b->t.net->listener_sockets[0];
}

static void close_bed(struct bed *b)
{
	close(b->fd);
	test_net_close(&b->t);
}

static void say(struct bed *b, size_t n)
{
	static uint8_t bytes[20000];

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	sl_assert(send(b->fd, bytes, n, 0) == (ssize_t)n);
}

static void try_lengths(struct bed *b)
{
	static const size_t lengths[] = {SL_PACKET_MAX + 1, 4000, SL_LONG_MAX};

	for (unsigned i = 0; i < SL_ARRAY_LEN(lengths); i++) {
		say(b, lengths[i]);
		NET_UNTIL(&b->t, b->n_long == i + 1);
		CHECK_INT(b->last_len, lengths[i]);
		CHECK(b->good);
	}
	say(b, SL_PACKET_MAX);
	NET_UNTIL(&b->t, b->n_short == 1);
	CHECK_INT(b->n_long, SL_ARRAY_LEN(lengths));
	CHECK_INT(test_count(&b->t, NET_dropped_too_long), 0);
}

TEST(who_takes_long_datagrams_gets_them_whole)
{
	static struct bed b;
	struct sl_udp *u = open_bed(&b, "127.0.0.1:0", NET_GRO_OFF);

	CHECK_INT(sl_udp_take_long(u, on_long, &b), 0);
	try_lengths(&b);
	close_bed(&b);
}

TEST(on_a_wildcard_socket_too)
{
	static struct bed b;
	struct sl_udp *u = open_bed(&b, "0.0.0.0:0", NET_GRO_OFF);

	CHECK_INT(sl_udp_take_long(u, on_long, &b), 0);
	try_lengths(&b);
	close_bed(&b);
}

/* So many at once are read by one call. */
TEST(among_many_short_ones_they_are_found)
{
	static struct bed b;
	struct sl_udp *u = open_bed(&b, "127.0.0.1:0", NET_GRO_OFF);

	CHECK_INT(sl_udp_take_long(u, on_long, &b), 0);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 20; i++)
			say(&b, i % 5 == 0 ? 3000 + i : 100 + i);
		NET_UNTIL(&b.t, b.n_short + b.n_long == (round + 1) * 20);
		CHECK(b.good);
	}
	CHECK_INT(b.n_long, 80);
	CHECK(u->quota > 3); /* or they were read one by one */
	close_bed(&b);
}

TEST(where_they_come_in_trains_too)
{
	static struct bed b;
	struct sl_udp *u = open_bed(&b, "127.0.0.1:0", NET_GRO_ON);

	CHECK_INT(sl_udp_take_long(u, on_long, &b), 0);
	try_lengths(&b);
	close_bed(&b);
}

TEST(longer_ones_and_those_that_nobody_takes_are_dropped_and_counted)
{
	static struct bed b;
	struct sl_udp *u = open_bed(&b, "127.0.0.1:0", NET_GRO_OFF);

	say(&b, 3000);
	NET_UNTIL(&b.t, test_count(&b.t, NET_dropped_too_long) == 1);
	CHECK_INT(sl_udp_take_long(u, on_long, &b), 0);
	say(&b, SL_LONG_MAX + 1);
	NET_UNTIL(&b.t, test_count(&b.t, NET_dropped_too_long) == 2);
	CHECK_INT(b.n_long, 0);
	b.refuses = true;
	say(&b, 3000);
	NET_UNTIL(&b.t, test_count(&b.t, NET_dropped_too_long) == 3);
	CHECK_INT(b.n_long, 1);
	close_bed(&b);
}

TEST(long_answers_leave_behind_what_is_queued)
{
	static struct bed b;
	static char bytes[70000], got[6000];
	struct sl_udp *u = open_bed(&b, "0.0.0.0:0", NET_GRO_OFF);
	const struct sl_addr to = test_local(b.fd), from = b.t.listeners[0].pub.local;
	struct sl_packet *p = sl_packet_new(&b.t.worker);

	memcpy(sl_packet_append(p, 5), "first", 5);
	CHECK_INT(sl_udp_send_from(u, p, &from, &to), 0);
	sl_packet_unref(p);
	CHECK_INT(sl_udp_send_long(u, (struct sl_str){bytes, 5000}, &from, &to), 0);
	CHECK_INT(recv(b.fd, got, sizeof got, 0), 5);
	CHECK_INT(recv(b.fd, got, sizeof got, 0), 5000);
	CHECK_INT(sl_udp_send_long(u, (struct sl_str){bytes, 70000}, &from, &to), -SL_ELIMIT);
	close_bed(&b);
}

TEST_MAIN()
