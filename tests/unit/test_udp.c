/*
 * tests/unit/test_udp.c: sockets and their queues on loopback: what comes in, in what order, and
 * what leaves.
 */
#include "lib/test.h"

#include "lib/net.h"
#include "net/engine.h"

struct sink {
	unsigned n;
	uint64_t bytes;
	bool in_order, keep;
	struct sl_packet *kept[256];
	struct sl_packet last;
	uint8_t data[64];
	struct sl_udp *close; /* at the first datagram */
};

static void on_packet(void *arg, struct sl_packet *p)
{
	struct sink *s = arg;

	if (p->len >= 4)
		s->in_order = (s->n == 0 || s->in_order) && sl_get32(p->data) == s->n;
	s->last = *p;
	memcpy(s->data, p->data, p->len < sizeof s->data ? p->len : sizeof s->data);
	s->bytes += p->len;
	if (s->keep && s->n < SL_ARRAY_LEN(s->kept)) {
		sl_packet_ref(p);
		s->kept[s->n] = p;
	}
	s->n++;
	if (s->close) {
		sl_udp_close(s->close);
		s->close = NULL;
	}
}

static struct sl_udp *open_socket(struct test_net *t, const char *addr, struct sink *sink)
{
	const struct sl_udp_opts o = {
		.local = test_addr(addr), .recv = on_packet, .arg = sink, .buffer_bytes = 4 << 20};
	struct sl_udp *u = NULL;

	sl_assert(sl_udp_open(&t->worker, &o, &u) == 0);
	return u;
}

/* A packet that begins with its number. */
static struct sl_packet *numbered(struct test_net *t, uint32_t number, size_t len)
{
	struct sl_packet *p = sl_packet_new(&t->worker);
	uint8_t *data = sl_packet_append(p, len);

	memset(data, 'x', len);
	sl_put32(data, number);
	return p;
}

static void send_numbered(struct test_net *t, struct sl_udp *from, const struct sl_addr *to,
			  unsigned first, unsigned n, size_t len)
{
	for (unsigned i = 0; i < n; i++) {
		struct sl_packet *p = numbered(t, first + i, len);

		sl_assert(sl_udp_send(from, p, to) == 0);
		sl_packet_unref(p);
	}
}

static void between_two_sockets(const char *addr, bool gso)
{
	struct test_net t = {.conf.gso = gso};
	struct sink got = {0}, none = {0};
	struct sl_udp *a, *b;

	test_net_open(&t);
	a = open_socket(&t, addr, &none);
	b = open_socket(&t, addr, &got);
	for (unsigned round = 0; round < 50; round++)
		send_numbered(&t, a, sl_udp_local(b), round * 40, 40, 100);
	NET_UNTIL(&t, got.n == 2000);
	CHECK(got.in_order);
	CHECK_INT(got.bytes, 200000);
	CHECK(sl_addr_eq(&got.last.from, sl_udp_local(a)));
	CHECK(got.last.udp == b);
	CHECK_INT(test_count(&t, NET_datagrams_out), 2000);
	CHECK_INT(test_count(&t, NET_datagrams_in), 2000);
	CHECK_INT(test_count(&t, NET_datagram_bytes_in), 200000);
	CHECK(gso == (test_count(&t, NET_segmented_sends) > 0));
	CHECK(test_count(&t, NET_send_calls) <= 2000 / 10);
	CHECK_INT(test_count(&t, NET_sockets), 2);
	sl_udp_close(a);
	sl_udp_close(b);
	CHECK_INT(test_count(&t, NET_sockets), 0);
	test_net_close(&t);
}

TEST(two_thousand_datagrams_arrive_in_order)
{
	between_two_sockets("127.0.0.1", false);
}

TEST(runs_of_equal_size_leave_as_one)
{
	between_two_sockets("127.0.0.1", true);
}

TEST(the_same_over_ipv6)
{
	between_two_sockets("::1", true);
}

TEST(sizes_that_differ_stay_apart_and_in_order)
{
	static const size_t lens[] = {500, 500, 500,  200,  500,  500,	600,
				      4,   4,	1400, 1400, 1900, 1900, 100};
	struct test_net t = {.conf.gso = true};
	struct sink got = {0}, none = {0};
	struct sl_udp *a, *b;
	uint64_t bytes = 0;

	test_net_open(&t);
	a = open_socket(&t, "127.0.0.1", &none);
	b = open_socket(&t, "127.0.0.1", &got);
	for (unsigned i = 0; i < SL_ARRAY_LEN(lens); i++) {
		send_numbered(&t, a, sl_udp_local(b), i, 1, lens[i]);
		bytes += lens[i];
	}
	NET_UNTIL(&t, got.n == SL_ARRAY_LEN(lens));
	CHECK(got.in_order);
	CHECK_INT(got.bytes, bytes);
	/* 500 500 500 200 | 500 500 | 600 4 | 4 | 1400 1400 | 1900 | 1900 | 100: one call, four of
	 * them joined. */
	CHECK_INT(test_count(&t, NET_segmented_sends), 4);
	CHECK_INT(test_count(&t, NET_send_calls), 1);
	test_net_close(&t);
}

TEST(several_receivers_of_one_socket_share_a_call)
{
	struct test_net t = {0};
	struct sink got[8] = {0}, none = {0};
	struct sl_udp *a, *b[8];

	test_net_open(&t);
	a = open_socket(&t, "127.0.0.1", &none);
	for (unsigned i = 0; i < 8; i++)
		b[i] = open_socket(&t, "127.0.0.1", &got[i]);
	for (unsigned i = 0; i < 8; i++)
		send_numbered(&t, a, sl_udp_local(b[i]), 0, 1, 10 + i);
	for (unsigned i = 0; i < 8; i++)
		NET_UNTIL(&t, got[i].n == 1);
	CHECK_INT(test_count(&t, NET_send_calls), 1);
	CHECK_INT(got[7].bytes, 17);
	test_net_close(&t);
}

TEST(a_packet_that_was_kept_keeps_its_bytes)
{
	struct test_net t = {0};
	struct sink got = {.keep = true}, none = {0};
	struct sl_udp *a, *b;

	test_net_open(&t);
	a = open_socket(&t, "127.0.0.1", &none);
	b = open_socket(&t, "127.0.0.1", &got);
	send_numbered(&t, a, sl_udp_local(b), 0, 200, 64);
	NET_UNTIL(&t, got.n == 200);
	for (unsigned i = 0; i < 200; i++) {
		CHECK_INT(sl_get32(got.kept[i]->data), i);
		CHECK_INT(got.kept[i]->refs, 1);
		sl_packet_unref(got.kept[i]);
	}
	test_net_close(&t);
}

TEST(a_datagram_longer_than_a_slot_is_dropped_and_counted)
{
	struct test_net t = {0};
	struct sink got = {0};
	struct sl_udp *b;
	uint8_t big[4000] = {0};
	int fd;

	test_net_open(&t);
	b = open_socket(&t, "127.0.0.1", &got);
	fd = test_client(SOCK_DGRAM, sl_udp_local(b));
	CHECK(send(fd, big, SL_PACKET_MAX + 1, 0) > 0);
	CHECK(send(fd, big, SL_PACKET_MAX, 0) > 0);
	CHECK(send(fd, big, 0, 0) == 0);
	NET_UNTIL(&t, got.n == 2);
	CHECK_INT(test_count(&t, NET_dropped_too_long), 1);
	CHECK_INT(got.bytes, SL_PACKET_MAX);
	close(fd);
	test_net_close(&t);
}

TEST(without_packets_datagrams_are_lost_and_the_loop_is_not)
{
	struct test_net t = {.conf.max_packets = 64};
	struct sink got = {.keep = true};
	struct sl_udp *b;
	int fd;

	test_net_open(&t);
	b = open_socket(&t, "127.0.0.1", &got);
	fd = test_client(SOCK_DGRAM, sl_udp_local(b));
	for (unsigned i = 0; i < 100; i++)
		CHECK(send(fd, "0123456789", 10, 0) == 10);
	NET_UNTIL(&t, test_count(&t, NET_datagrams_in) == 100);
	CHECK_INT(got.n, 64);
	CHECK_INT(test_count(&t, NET_dropped_no_packet), 36);
	for (unsigned i = 0; i < got.n; i++)
		sl_packet_unref(got.kept[i]);
	got.keep = false;
	CHECK(send(fd, "0123456789", 10, 0) == 10);
	NET_UNTIL(&t, got.n == 65);
	close(fd);
	test_net_close(&t);
}

TEST(a_socket_may_be_closed_by_its_own_handler)
{
	struct test_net t = {0};
	struct sink got = {0}, other = {0};
	struct sl_udp *b, *again = NULL;
	struct sl_addr addr;
	struct sl_udp_opts o = {.recv = on_packet, .arg = &other};
	int fd;

	test_net_open(&t);
	b = open_socket(&t, "127.0.0.1", &got);
	addr = *sl_udp_local(b);
	got.close = b;
	fd = test_client(SOCK_DGRAM, &addr);
	for (unsigned i = 0; i < 10; i++)
		CHECK(send(fd, "0123456789", 10, 0) == 10);
	NET_UNTIL(&t, got.n == 1);
	o.local = addr;
	CHECK_INT(sl_udp_open(&t.worker, &o, &again), 0); /* the port is free at once */
	CHECK(sl_addr_eq(sl_udp_local(again), &addr));
	test_tick(&t);
	CHECK_INT(got.n, 1);
	close(fd);
	test_net_close(&t);
}

TEST(closing_sends_what_is_queued)
{
	struct test_net t = {0};
	struct sink got = {0}, none = {0};
	struct sl_udp *a, *b;

	test_net_open(&t);
	a = open_socket(&t, "127.0.0.1", &none);
	b = open_socket(&t, "127.0.0.1", &got);
	send_numbered(&t, a, sl_udp_local(b), 0, 5, 100);
	sl_udp_close(a);
	NET_UNTIL(&t, got.n == 5);
	test_net_close(&t);
}

TEST(a_port_in_use_is_said_to_be)
{
	struct test_net t = {0};
	struct sink none = {0};
	struct sl_udp_opts o = {.recv = on_packet, .arg = &none};
	struct sl_udp *a, *b = NULL;

	test_net_open(&t);
	a = open_socket(&t, "127.0.0.1", &none);
	o.local = *sl_udp_local(a);
	CHECK_INT(sl_udp_open(&t.worker, &o, &b), -SL_EEXIST);
	CHECK(!b);
	test_net_close(&t);
}

TEST(a_wildcard_socket_answers_from_the_address_it_was_asked_at)
{
	struct test_net t = {0};
	struct sink got = {0};
	struct sl_udp *u;
	struct sl_addr to;
	char text[64];
	int fd;

	test_net_open(&t);
	u = open_socket(&t, "0.0.0.0", &got);
	to = test_addr("127.0.0.9");
	to.port = sl_udp_local(u)->port;
	got.keep = true;
	fd = test_client(SOCK_DGRAM, &to);
	CHECK(send(fd, "hello", 5, 0) == 5);
	NET_UNTIL(&t, got.n == 1);
	CHECK(sl_addr_eq(got.kept[0]->local, &to));
	CHECK_INT(sl_udp_reply(got.kept[0], "world", 5), 0);
	test_tick(&t);
	CHECK_INT(recv(fd, text, sizeof text, 0),
		  5); /* a connected socket takes it from no other address */
	CHECK_INT(sl_udp_send(u, got.kept[0], &got.kept[0]->from), 0);
	test_tick(&t);
	CHECK_INT(recv(fd, text, sizeof text, 0), 5);
	CHECK_MEM(text, "hello", 5);
	sl_packet_unref(got.kept[0]);
	close(fd);
	test_net_close(&t);
}

TEST(type_of_service_arrives_and_is_sent)
{
	struct test_net t = {0};
	struct sink got = {0}, none = {0};
	struct sl_udp *a, *b;
	struct sl_addr to;
	struct sl_packet *p;

	test_net_open(&t);
	a = open_socket(&t, "127.0.0.1", &none);
	b = open_socket(&t, "0.0.0.0", &got);
	to = test_addr("127.0.0.1");
	to.port = sl_udp_local(b)->port;
	p = numbered(&t, 0, 20);
	p->tos = 0xb9;
	CHECK_INT(sl_udp_send(a, p, &to), 0);
	sl_packet_unref(p);
	NET_UNTIL(&t, got.n == 1);
	CHECK_INT(got.last.tos, 0xb9);
	test_net_close(&t);
}

TEST(a_socket_has_a_type_of_service_for_packets_without)
{
	struct test_net t = {0};
	struct sink got = {0}, none = {0};
	struct sl_udp_opts o = {
		.local = test_addr("127.0.0.1"), .recv = on_packet, .arg = &none, .tos = 0xb8};
	struct sl_udp *a, *b;
	struct sl_addr to;
	struct sl_packet *p;

	test_net_open(&t);
	sl_assert(sl_udp_open(&t.worker, &o, &a) == 0);
	b = open_socket(&t, "0.0.0.0", &got);
	to = test_addr("127.0.0.1");
	to.port = sl_udp_local(b)->port;
	for (unsigned i = 0; i < 2; i++) {
		p = numbered(&t, i, 20);
		p->tos = i ? 0x88 : 0;
		CHECK_INT(sl_udp_send(a, p, &to), 0);
		sl_packet_unref(p);
		NET_UNTIL(&t, got.n == i + 1);
		CHECK_INT(got.last.tos, i ? 0x88 : 0xb8);
	}
	test_net_close(&t);
}

struct icmp {
	unsigned n;
	struct sl_addr to;
	uint8_t type, code;
	uint32_t mtu;
};

static void on_icmp(void *arg, const struct sl_addr *to, uint8_t type, uint8_t code, uint32_t mtu)
{
	struct icmp *e = arg;

	*e = (struct icmp){e->n + 1, *to, type, code, mtu};
}

static void on_nothing(void *arg, struct sl_packet *p)
{
	(void)arg, (void)p;
}

TEST(an_icmp_error_names_the_destination)
{
	struct test_net t = {0};
	struct icmp error = {0};
	struct sink none = {0};
	struct sl_udp_opts o = {.local = test_addr("127.0.0.1"),
				.recv = on_nothing,
				.error = on_icmp,
				.arg = &error};
	struct sl_udp *a = NULL, *gone;
	struct sl_addr dead;

	test_net_open(&t);
	gone = open_socket(&t, "127.0.0.1", &none);
	dead = *sl_udp_local(gone);
	sl_udp_close(gone);
	CHECK_INT(sl_udp_open(&t.worker, &o, &a), 0);
	send_numbered(&t, a, &dead, 0, 1, 30);
	NET_UNTIL(&t, error.n == 1);
	CHECK(sl_addr_eq(&error.to, &dead));
	CHECK_INT(error.type, 3); /* destination unreachable: port */
	CHECK_INT(error.code, 3);
	CHECK_INT(error.mtu, 0);
	CHECK_INT(test_count(&t, NET_icmp_errors), 1);
	test_net_close(&t);
}

TEST(a_quiet_socket_is_read_by_one_call_and_a_busy_one_by_few)
{
	struct test_net t = {0};
	struct sink got = {0}, none = {0};
	struct sl_udp *a, *b;
	uint64_t calls;

	test_net_open(&t);
	a = open_socket(&t, "127.0.0.1", &none);
	b = open_socket(&t, "127.0.0.1", &got);
	for (unsigned i = 0; i < 3; i++) {
		send_numbered(&t, a, sl_udp_local(b), i, 1, 50);
		NET_UNTIL(&t, got.n == i + 1);
	}
	CHECK_INT(test_count(&t, NET_receive_calls), 3);
	for (unsigned round = 0; round < 10; round++) {
		send_numbered(&t, a, sl_udp_local(b), 0, 100, 50);
		NET_UNTIL(&t, got.n == 3 + (round + 1) * 100);
	}
	calls = test_count(&t, NET_receive_calls);
	CHECK(calls < 250);
	test_net_close(&t);
}

TEST_MAIN()
