/*
 * tests/unit/test_receive.c: how a listener is read follows what it brings: lone datagrams are
 * looked for again within the tick, runs are left together, trains are asked for while they come.
 */
#include "lib/test.h"

#include "lib/net.h"
#include "net/engine.h"

#include <netinet/udp.h>

enum { CLIENTS = 12, WARM = 60 };

struct bed {
	struct test_net t;
	struct hook_call call;
	struct sl_udp *relay;
	struct sl_addr sink;
	unsigned n, n_sent_late; /* handled; with an earlier one's still in the queue */
	int clients[CLIENTS], sink_fd;
};

/* Passes each on, as a relay does. */
static int on_dgram(void *ctx, struct sl_packet *p)
{
	struct bed *b = ctx;

	b->n++;
	b->n_sent_late += b->relay->n_waiting > 0;
	sl_assert(sl_udp_send(b->relay, p, &b->sink) == 0);
	return SL_DONE;
}

static void on_relay(void *arg, struct sl_packet *p)
{
	(void)arg;
	(void)p;
}

static void open_bed(struct bed *b, enum net_gro gro)
{
	struct sl_udp_opts o = {.local = test_addr("127.0.0.1:0"), .recv = on_relay};
	struct net_listener *l;

	memset(b, 0, sizeof *b);
	b->t.conf.gro = gro;
	b->t.conf.gso = true;
	l = test_net_listen(&b->t, true, "127.0.0.1:0");
	b->call = (struct hook_call){.fn.dgram = on_dgram, .ctx = b};
	l->content = (struct hook_chain){1, &b->call};
	test_net_open(&b->t);
	sl_assert(sl_udp_open(&b->t.worker, &o, &b->relay) == 0);
	for (int i = 0; i < CLIENTS; i++)
		b->clients[i] = test_client(SOCK_DGRAM, &l->pub.local);
	b->sink_fd = test_client(SOCK_DGRAM, sl_udp_local(b->relay));
	sl_assert(sock_local(b->sink_fd, &b->sink) == 0);
}

static void close_bed(struct bed *b)
{
	for (int i = 0; i < CLIENTS; i++)
		close(b->clients[i]);
	close(b->sink_fd);
	sl_udp_close(b->relay);
	test_net_close(&b->t);
}

static struct sl_udp *listener(const struct bed *b)
{
	return b->t.net->listener_sockets[0];
}

static void say(int fd, size_t n)
{
	static const uint8_t bytes[2000];

	sl_assert(send(fd, bytes, n, 0) == (ssize_t)n);
}

/* Two at a time, of different clients. */
static void warm(struct bed *b)
{
	for (unsigned i = 0; i < WARM; i++) {
		say(b->clients[i % CLIENTS], 100);
		say(b->clients[(i + 1) % CLIENTS], 100);
		NET_UNTIL(&b->t, b->n == 2 * (i + 1));
	}
}

TEST(a_listener_of_lone_datagrams_is_looked_at_again_and_what_they_lead_to_leaves_at_once)
{
	static struct bed b;

	open_bed(&b, NET_GRO_OFF);
	warm(&b);
	b.n = b.n_sent_late = 0;
	for (int i = 0; i < CLIENTS; i++)
		say(b.clients[i], 100);
	test_tick(&b.t);
	CHECK_INT(b.n, CLIENTS);
	CHECK(b.n_sent_late <= CLIENTS * 2 / 3); /* up to three are read at once */
	close_bed(&b);
}

TEST(one_that_never_has_more_is_hardly_looked_at_again)
{
	static struct bed b;
	uint64_t before;

	open_bed(&b, NET_GRO_OFF);
	warm(&b);
	for (int i = 0; i < 100; i++) {
		say(b.clients[i % CLIENTS], 100);
		test_tick(&b.t);
	}
	before = test_count(&b.t, NET_receive_calls);
	for (int i = 0; i < 160; i++) {
		say(b.clients[i % CLIENTS], 100);
		test_tick(&b.t);
	}
	/* Looks for a larger quota are among them, one in five. */
	CHECK(test_count(&b.t, NET_receive_calls) - before <= 160 + 160 / 5 + 160 / 16 + 2);
	close_bed(&b);
}

TEST(a_run_of_one_sender_leaves_together)
{
	static struct bed b;

	open_bed(&b, NET_GRO_OFF);
	warm(&b);
	b.n = 0;
	for (int i = 0; i < 64; i++)
		say(b.clients[0], 100);
	NET_UNTIL(&b.t, b.n == 64);
	CHECK(test_count(&b.t, NET_segmented_sends) >= 2);
	close_bed(&b);
}

static void send_train(const struct bed *b, unsigned segments)
{
	static const uint8_t bytes[32 * 1200];

	sl_assert(setsockopt(b->clients[0], SOL_UDP, UDP_SEGMENT, &(int){1200}, sizeof(int)) == 0);
	sl_assert(send(b->clients[0], bytes, segments * 1200, 0) == segments * 1200);
}

/* On a busy machine loopback drops a datagram now and then, which is no matter here. */
static void wait_for(struct bed *b, unsigned n)
{
	uint64_t until = sl_clock_ns() + NET_PATIENCE_NS / 20;

	while (b->n < n && sl_clock_ns() < until)
		test_tick(&b->t);
}

TEST(trains_are_asked_for_when_batches_are_runs_and_not_when_they_cease)
{
	static struct bed b;
	uint64_t before;

	open_bed(&b, NET_GRO_AUTO);
	CHECK(!listener(&b)->gro);
	for (unsigned i = 1; i <= 40 && !listener(&b)->gro; i++) {
		b.n = 0;
		send_train(&b, 32);
		wait_for(&b, 32);
	}
	CHECK(listener(&b)->gro);
	b.n = 0;
	before = test_count(&b.t, NET_receive_calls);
	send_train(&b, 32);
	NET_UNTIL(&b.t, b.n > 0);
	CHECK_INT(test_count(&b.t, NET_receive_calls) - before, 1);
	for (unsigned i = 0; i < 1000 && listener(&b)->gro; i++) {
		say(b.clients[i % CLIENTS], 100);
		test_tick(&b.t);
	}
	CHECK(!listener(&b)->gro);
	close_bed(&b);
}

TEST(runs_that_nobody_coalesces_are_tried_ever_more_rarely)
{
	static struct bed b;
	unsigned n_tries = 0;
	bool was = false;

	open_bed(&b, NET_GRO_AUTO);
	for (unsigned i = 0; i < 600; i++) {
		b.n = 0;
		for (int k = 0; k < 32; k++)
			say(b.clients[0], 1200);
		wait_for(&b, 32);
		n_tries += !was && listener(&b)->gro;
		was = listener(&b)->gro;
	}
	CHECK(n_tries >= 1);
	CHECK(n_tries <= 9);
	close_bed(&b);
}

TEST_MAIN()
