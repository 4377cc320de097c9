/*
 * tests/unit/test_together.c: the sockets of modules, written and read by one call where the kernel
 * has io_uring: what arrives is the same, and the calls are few.
 */
#include "lib/test.h"

#include "lib/net.h"
#include "net/engine.h"
#include "os/uring.h"

#include <errno.h>

enum { PAIRS = 20 };

struct pair {
	struct bed *bed;
	struct sl_udp *from, *to;
	unsigned n; /* came, in order */
};

struct bed {
	struct test_net t;
	struct pair pairs[PAIRS];
	unsigned n;
	bool closes; /* the first that hears anything closes the others */
};

static void on_nothing(void *arg, struct sl_packet *p)
{
	(void)arg;
	(void)p;
}

static void on_packet(void *arg, struct sl_packet *p)
{
	struct pair *me = arg;
	struct bed *b = me->bed;

	sl_assert(p->len >= 4 && sl_get32(p->data) == me->n);
	sl_assert(sl_addr_eq(&p->from, sl_udp_local(me->from)));
	me->n++;
	b->n++;
	for (unsigned i = 0; b->closes && i < PAIRS; i++) {
		if (&b->pairs[i] == me)
			continue;
		sl_udp_close(b->pairs[i].to);
		b->pairs[i].to = NULL;
	}
	b->closes = false;
}

static struct sl_udp *open_socket(struct bed *b, sl_udp_recv_fn *recv, struct pair *p)
{
	const struct sl_udp_opts o = {.local = test_addr("127.0.0.1"), .recv = recv, .arg = p};
	struct sl_udp *u = NULL;

	sl_assert(sl_udp_open(&b->t.worker, &o, &u) == 0);
	return u;
}

static void open_as(struct bed *b, bool io_uring)
{
	memset(b, 0, sizeof *b);
	b->t.conf.io_uring = io_uring;
	b->t.conf.gso = true;
	test_net_open(&b->t);
	for (unsigned i = 0; i < PAIRS; i++) {
		b->pairs[i].bed = b;
		b->pairs[i].from = open_socket(b, on_nothing, NULL);
		b->pairs[i].to = open_socket(b, on_packet, &b->pairs[i]);
	}
}

/* False: there is no io_uring here. */
static bool open_bed(struct bed *b)
{
	open_as(b, true);
	if (!b->t.net->uring)
		test_skip("no io_uring here");
	return b->t.net->uring != NULL;
}

static void push(struct bed *b, struct pair *pair, uint32_t number, size_t len)
{
	struct sl_packet *p = sl_packet_new(&b->t.worker);

	sl_put32(sl_packet_append(p, len), number);
	sl_assert(sl_udp_send(pair->from, p, sl_udp_local(pair->to)) == 0);
	sl_packet_unref(p);
}

static void push_all(struct bed *b, uint32_t number)
{
	for (unsigned i = 0; i < PAIRS; i++)
		push(b, &b->pairs[i], number, 20 + i);
}

TEST(one_datagram_of_each_leaves_and_comes_by_one_call)
{
	struct bed b;

	if (open_bed(&b)) {
		push_all(&b, 0);
		test_tick(&b.t);
		CHECK_INT(test_count(&b.t, NET_send_calls), 1);
		CHECK_INT(test_count(&b.t, NET_datagrams_out), PAIRS);
		NET_UNTIL(&b.t, b.n == PAIRS);
		CHECK_INT(test_count(&b.t, NET_datagrams_in), PAIRS);
		CHECK_INT(test_count(&b.t, NET_datagram_bytes_in),
			  test_count(&b.t, NET_datagram_bytes_out));
		CHECK(test_count(&b.t, NET_receive_calls) <= 3);
	}
	test_net_close(&b.t);
}

TEST(who_turns_it_off_has_a_call_for_each)
{
	struct bed b;

	open_as(&b, false);
	push_all(&b, 0);
	test_tick(&b.t);
	CHECK_INT(test_count(&b.t, NET_send_calls), PAIRS);
	NET_UNTIL(&b.t, b.n == PAIRS);
	CHECK(test_count(&b.t, NET_receive_calls) >= PAIRS);
	test_net_close(&b.t);
}

TEST(what_a_socket_sends_stays_in_order)
{
	struct bed b;

	if (open_bed(&b)) {
		for (unsigned n = 0; n < 12; n++)
			push_all(&b, n);
		NET_UNTIL(&b.t, b.n == 12 * PAIRS);
		for (unsigned i = 0; i < PAIRS; i++)
			CHECK_INT(b.pairs[i].n, 12);
	}
	test_net_close(&b.t);
}

TEST(a_run_of_one_socket_is_still_one_message)
{
	struct bed b;

	if (open_bed(&b)) {
		for (unsigned n = 0; n < 5; n++)
			push(&b, &b.pairs[0], n, 200);
		push(&b, &b.pairs[1], 0, 200);
		test_tick(&b.t);
		CHECK_INT(test_count(&b.t, NET_send_calls), 1);
		CHECK_INT(test_count(&b.t, NET_segmented_sends), 1);
		NET_UNTIL(&b.t, b.n == 6);
	}
	test_net_close(&b.t);
}

TEST(a_handler_may_close_those_that_are_read_with_it)
{
	struct bed b;

	if (open_bed(&b)) {
		b.closes = true;
		push_all(&b, 0);
		NET_UNTIL(&b.t, b.n == 1);
		test_tick(&b.t);
		CHECK_INT(b.n, 1);
		CHECK_INT(test_count(&b.t, NET_sockets), PAIRS + 1);
	}
	test_net_close(&b.t);
}

TEST(what_cannot_be_sent_costs_the_others_nothing)
{
	struct bed b;

	if (open_bed(&b)) {
		const struct sl_addr nowhere = test_addr("[2001:db8::1]:9");
		struct sl_packet *p = sl_packet_new(&b.t.worker);

		(void)sl_packet_append(p, 20);
		sl_assert(sl_udp_send(b.pairs[3].from, p, &nowhere) == 0);
		sl_packet_unref(p);
		push_all(&b, 0);
		NET_UNTIL(&b.t, b.n == PAIRS);
		CHECK_INT(test_count(&b.t, NET_dropped_send_error), 1);
	}
	test_net_close(&b.t);
}

TEST(a_datagram_that_is_too_long_is_dropped_among_others)
{
	static uint8_t bytes[4000];
	struct bed b;

	if (open_bed(&b)) {
		int fd = test_client(SOCK_DGRAM, sl_udp_local(b.pairs[5].to));

		sl_assert(send(fd, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes);
		close(fd);
		push_all(&b, 0);
		NET_UNTIL(&b.t, b.n == PAIRS);
		CHECK_INT(test_count(&b.t, NET_dropped_too_long), 1);
	}
	test_net_close(&b.t);
}

TEST(a_socket_that_is_gone_has_a_result_of_its_own)
{
	struct msghdr h = {0};
	struct uring_message m[2] = {{.fd = -1, .h = &h}, {.fd = -1, .h = &h}};
	struct uring *r;

	if (uring_open(2, &r) < 0) {
		test_skip("no io_uring here");
		return;
	}
	m[1].fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK(uring_receive(r, m, 2));
	CHECK_INT(m[0].result, -EBADF);
	CHECK_INT(m[1].result, -EAGAIN);
	close(m[1].fd);
	uring_close(r);
}

TEST_MAIN()
