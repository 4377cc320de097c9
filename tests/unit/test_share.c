/*
 * tests/unit/test_share.c: what becomes of few datagrams beside a flood on the same socket.
 */
#include "lib/test.h"

#include "lib/net.h"
#include "net/engine.h"

enum { CLIENTS = 12, LOG = 8192 };

struct bed {
	struct test_net t;
	struct sl_udp *u;
	int fds[CLIENTS];
	struct sl_flow *flows[CLIENTS];
	unsigned who[CLIENTS]; /* arguments of the flows */
	unsigned n, heard[CLIENTS], n_strangers;
	uint8_t log[LOG]; /* in the order in which they were served */
	struct hook_call call;
};
static struct bed bed;

static int on_flow(void *arg, struct sl_flow *f, struct sl_packet *p)
{
	const unsigned *who = arg;

	(void)f;
	(void)p;
	bed.heard[*who]++;
	bed.log[bed.n++ % LOG] = (uint8_t)*who;
	return SL_OK;
}

static int on_stranger(void *ctx, struct sl_packet *p)
{
	(void)ctx;
	(void)p;
	bed.n_strangers++;
	return SL_DONE;
}

/* Clients 0 .. n-1 have flows. */
static void open_bed(unsigned n)
{
	struct net_listener *l;
	struct sl_addr local;
	const int room = 16 << 20;

	memset(&bed, 0, sizeof bed);
	l = test_net_listen(&bed.t, true, "127.0.0.1:0");
	bed.call = (struct hook_call){.fn.dgram = on_stranger};
	l->content = (struct hook_chain){1, &bed.call};
	bed.t.conf.max_packets = 4096;
	test_net_open(&bed.t);
	bed.u = bed.t.net->listener_sockets[0];
	(void)setsockopt(bed.u->ev.fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	for (unsigned i = 0; i < CLIENTS; i++) {
		bed.who[i] = i;
		bed.fds[i] = test_client(SOCK_DGRAM, &l->pub.local);
		local = test_local(bed.fds[i]);
		if (i >= n)
			continue;
		sl_assert(sl_flow_open(bed.u, &local, NULL, on_flow, &bed.who[i], &bed.flows[i]) ==
			  0);
		sl_flow_set_share(bed.flows[i], 2 * i); /* never two of one class */
	}
}

static void close_bed(void)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		close(bed.fds[i]);
		sl_flow_close(bed.flows[i]);
	}
	test_net_close(&bed.t);
}

static void say(unsigned client, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		sl_assert(send(bed.fds[client], "datagram", 8, 0) == 8);
}

static unsigned waiting(void)
{
	return bed.t.net->shares.queue ? fair_count(bed.t.net->shares.queue) : 0;
}

static bool has_room(void)
{
	int room = 0;
	socklen_t len = sizeof room;

	return getsockopt(bed.u->ev.fd, SOL_SOCKET, SO_RCVBUF, &room, &len) == 0 &&
	       room >= 16 << 20;
}

/* One floods until that is noticed; returns whether it was. */
static bool flood(unsigned flooder, unsigned other)
{
	for (unsigned i = 0; i < 100 && bed.u->share_mode != SHARE_TURNS; i++) {
		say(flooder, 200);
		say(other, 1);
		test_tick(&bed.t);
	}
	return bed.u->share_mode == SHARE_TURNS;
}

static void settle(void)
{
	for (unsigned i = 0; i < 100 && (waiting() > 0 || i < 20); i++)
		sl_assert(loop_tick(bed.t.worker.loop, 1) == 0);
}

TEST(four_behind_six_hundred_are_served_in_the_next_tick)
{
	unsigned start, lost, last = 0;

	open_bed(CLIENTS);
	if (!has_room()) {
		printf("# skipped: no right to larger buffers here\n");
		close_bed();
		return;
	}
	CHECK(flood(0, 1));
	settle();
	start = bed.n;
	lost = (unsigned)test_count(&bed.t, NET_dropped_over_share);
	memset(bed.heard, 0, sizeof bed.heard);
	say(0, 600);
	say(1, 4);
	for (unsigned i = 0; i < 4 && bed.heard[1] < 4; i++)
		test_tick(&bed.t);
	CHECK_INT(bed.heard[1], 4);
	for (unsigned i = start; i < bed.n; i++)
		if (bed.log[i % LOG] == 1)
			last = i - start;
	printf("# the last of four was number %u\n", last);
	CHECK(last < 256); /* instead of 600: three rounds of reading ahead, and each serves 64 */
	settle();
	CHECK_INT(waiting(), 0);
	lost = (unsigned)test_count(&bed.t, NET_dropped_over_share) - lost;
	CHECK(lost > 0);
	CHECK_INT(bed.heard[0] + lost, 600); /* all that was lost was the flooder's */
	close_bed();
}

TEST(flows_of_one_share_are_one)
{
	open_bed(CLIENTS);
	if (has_room()) {
		for (unsigned i = 0; i < CLIENTS - 1; i++)
			sl_flow_set_share(bed.flows[i], 4711);
		for (unsigned i = 0; i < 100 && bed.u->share_mode != SHARE_TURNS; i++) {
			for (unsigned k = 0; k < CLIENTS - 1; k++)
				say(k, 20);
			say(CLIENTS - 1, 1);
			test_tick(&bed.t);
		}
		CHECK_INT(bed.u->share_mode, SHARE_TURNS);
	}
	close_bed();
}

TEST(strangers_are_one_share_together)
{
	open_bed(1);
	if (has_room()) {
		for (unsigned i = 0; i < 100 && bed.u->share_mode != SHARE_TURNS; i++) {
			for (unsigned k = 1; k < CLIENTS; k++)
				say(k, 20);
			say(0, 1);
			test_tick(&bed.t);
		}
		CHECK_INT(bed.u->share_mode, SHARE_TURNS);
		settle();
		bed.heard[0] = bed.n_strangers = 0;
		for (unsigned i = 0; i < 10; i++) {
			for (unsigned k = 1; k < CLIENTS; k++)
				say(k, 60);
			say(0, 3);
			test_tick(&bed.t);
		}
		settle();
		CHECK_INT(bed.heard[0], 30);
		CHECK(bed.n_strangers < 6600);
	}
	close_bed();
}

TEST(where_nobody_has_most_or_nobody_else_is_there_nothing_is_queued)
{
	open_bed(CLIENTS);
	for (unsigned i = 0; i < 100; i++) { /* all the same */
		for (unsigned k = 0; k < CLIENTS; k++)
			say(k, 12);
		test_tick(&bed.t);
		CHECK(bed.u->share_mode != SHARE_TURNS);
	}
	settle();
	for (unsigned i = 0; i < 100; i++) { /* alone, once the others are forgotten */
		bed.t.net->shares.mixed_ns = 0;
		say(0, 150);
		test_tick(&bed.t);
		CHECK(bed.u->share_mode != SHARE_TURNS);
	}
	CHECK_INT(test_count(&bed.t, NET_dropped_over_share), 0);
	close_bed();
}

TEST(when_the_flood_is_over_so_is_the_queueing)
{
	open_bed(CLIENTS);
	if (has_room()) {
		CHECK(flood(0, 1));
		settle();
		for (unsigned i = 0; i < 200 && bed.u->share_mode != SHARE_OFF; i++) {
			say(i % CLIENTS, 1);
			test_tick(&bed.t);
		}
		CHECK_INT(bed.u->share_mode, SHARE_OFF);
	}
	close_bed();
}

TEST(what_is_queued_at_the_end_is_given_back)
{
	open_bed(CLIENTS);
	if (has_room()) {
		CHECK(flood(0, 1));
		say(0, 256 * 3);
		test_tick(&bed.t);
		CHECK(waiting() > 0);
	}
	close_bed(); /* the arena would say if one were missing */
}

static void on_peer(void *arg, struct sl_packet *p)
{
	unsigned *n = arg;

	(void)p;
	++*n;
}

TEST(sockets_of_one_share_read_together_what_one_may)
{
	struct sl_udp *relays[8];
	unsigned heard[8] = {0}, sum = 0, tick = 0;
	int fds[8];

	open_bed(0);
	for (unsigned i = 0; i < 8; i++) {
		const struct sl_udp_opts o = {.local = test_addr("127.0.0.1:0"),
					      .recv = on_peer,
					      .arg = &heard[i],
					      .buffer_bytes = 4 << 20};

		sl_assert(sl_udp_open(&bed.t.worker, &o, &relays[i]) == 0);
		sl_udp_set_share(relays[i], 7);
		fds[i] = test_client(SOCK_DGRAM, sl_udp_local(relays[i]));
		relays[i]->quota = RX_BATCH; /* as after a while */
		for (unsigned k = 0; k < 100; k++)
			sl_assert(send(fds[i], "datagram", 8, 0) == 8);
	}
	test_tick(&bed.t);
	for (unsigned i = 0; i < 8; i++)
		sum += heard[i];
	CHECK(sum >= 64 && sum <= 128 + 6 * 2);
	for (tick = 0; tick < 200 && sum < 800; tick++) {
		test_tick(&bed.t);
		sum = 0;
		for (unsigned i = 0; i < 8; i++)
			sum += heard[i];
	}
	CHECK_INT(sum, 800);
	for (unsigned i = 0; i < 8; i++) {
		sl_udp_close(relays[i]);
		close(fds[i]);
	}
	close_bed();
}

TEST_MAIN()
