/*
 * test_channel.c: channels keep the order of a sender through full rings, skip the dead, and end
 * somewhere.
 */
#include "../lib/test.h"
#include "../lib/process.h"
#include <sluice/clock.h>

#define MANY 2000

struct heard {
	unsigned n, n_wrong;
	uint32_t from;
};

static void on_number(void *arg, const struct sl_channel_msg *m)
{
	struct heard *h = arg;
	uint32_t number;

	memcpy(&number, m->data.p, sizeof number);
	h->n_wrong += number != h->n || m->type != 5;
	h->from = m->from;
	h->n++;
}

static int send_number(struct sl_channel *c, uint32_t to, uint32_t number)
{
	const struct iovec parts[] = {{&number, sizeof number}, {"some bytes behind it", 20}};

	return sl_channel_send(c, to, 5, parts, 2);
}

struct pair {
	struct test_node node;
	struct sl_worker *a, *b;
	struct sl_channel *from, *to;
	struct heard heard;
};

static void pair_new(struct pair *p)
{
	test_node_new(&p->node);
	p->a = test_worker(&p->node, 0);
	p->b = test_worker(&p->node, 1);
	p->heard = (struct heard){0};
	sl_assert(sl_channel_open(p->a, "test", on_number, &p->heard, &p->from) == 0);
	sl_assert(sl_channel_open(p->b, "test", on_number, &p->heard, &p->to) == 0);
}

static void turn(struct pair *p)
{
	sl_assert(loop_tick(p->a->loop, 0) == 0 && loop_tick(p->b->loop, 0) == 0);
}

static bool turn_until(struct pair *p, unsigned n)
{
	uint64_t end = sl_clock_ns() + 30 * SL_NS_PER_S;

	while (p->heard.n < n && sl_clock_ns() < end)
		turn(p);
	return p->heard.n == n;
}

TEST(a_message_arrives_whole_with_its_sender)
{
	struct pair p;

	pair_new(&p);
	CHECK_INT(send_number(p.from, sl_worker_owner(p.b), 0), 0);
	CHECK(turn_until(&p, 1));
	CHECK_INT(p.heard.n_wrong, 0);
	CHECK_INT(p.heard.from, sl_worker_owner(p.a));
	test_node_free(&p.node);
}

TEST(a_full_ring_delays_and_keeps_the_order)
{
	struct pair p;

	pair_new(&p);
	for (uint32_t i = 0; i < MANY; i++) /* fifty times what the ring takes */
		CHECK_INT(send_number(p.from, sl_worker_owner(p.b), i), 0);
	CHECK(turn_until(&p, MANY));
	CHECK_INT(p.heard.n_wrong, 0);
	CHECK_INT(send_number(p.from, sl_worker_owner(p.b), MANY), 0);
	CHECK(turn_until(&p, MANY + 1));
	CHECK_INT(p.heard.n_wrong, 0);
	test_node_free(&p.node);
}

TEST(what_waits_for_a_full_ring_holds_back_what_is_for_others)
{
	struct heard third = {0};
	struct sl_channel *c;
	struct sl_worker *w;
	struct pair p;

	pair_new(&p);
	w = test_worker(&p.node, 2);
	CHECK_INT(sl_channel_open(w, "test", on_number, &third, &c), 0);
	for (uint32_t i = 0; i < MANY; i++)
		CHECK_INT(send_number(p.from, sl_worker_owner(p.b), i), 0);
	CHECK_INT(send_number(p.from, sl_worker_owner(w), 0), 0);
	CHECK_INT(loop_tick(w->loop, 0), 0);
	CHECK_INT(third.n, 0); /* said last, heard last */
	CHECK(turn_until(&p, MANY));
	for (unsigned i = 0; i < 1000 && third.n == 0; i++) {
		CHECK_INT(loop_tick(p.a->loop, 5), 0);
		CHECK_INT(loop_tick(w->loop, 0), 0);
	}
	CHECK_INT(third.n, 1);
	test_node_free(&p.node);
}

TEST(the_backlog_is_bounded)
{
	static char big[60000];
	const struct iovec iov = {big, sizeof big};
	struct test_node n;
	struct sl_worker *a, *b;
	struct sl_channel *c;
	unsigned sent = 0;
	int rc = 0;

	test_node_new(&n);
	a = test_worker(&n, 0);
	b = test_worker(&n, 1);
	CHECK_INT(sl_channel_open(a, "test", on_number, NULL, &c), 0);
	for (uint32_t i = 0; i < 400; i++) /* the ring is full from here on */
		CHECK_INT(send_number(c, sl_worker_owner(b), i), 0);
	while (rc == 0 && sent++ < 1000)
		rc = sl_channel_send(c, sl_worker_owner(b), 5, &iov, 1);
	CHECK_INT(rc, -SL_EFULL);
	CHECK(sent > 100 && sent < 200); /* 8 MiB */
	test_node_free(&n);
}

TEST(the_dead_are_skipped_and_told_apart)
{
	struct heard third = {0};
	struct sl_channel *c;
	struct sl_worker *w;
	struct pair p;
	uint32_t dead;

	pair_new(&p);
	w = test_worker(&p.node, 2);
	CHECK_INT(sl_channel_open(w, "test", on_number, &third, &c), 0);
	dead = sl_worker_owner(p.b);
	for (uint32_t i = 0; i < MANY; i++)
		CHECK_INT(send_number(p.from, dead, i), 0);
	CHECK_INT(send_number(p.from, sl_worker_owner(w), 0), 0);
	(void)test_slot_start(p.node.shm, 1); /* another process in its slot */
	CHECK_INT(send_number(p.from, dead, MANY), -SL_ENOENT);
	for (unsigned i = 0; i < 1000 && third.n == 0; i++) {
		CHECK_INT(loop_tick(p.a->loop, 5), 0);
		CHECK_INT(loop_tick(w->loop, 0), 0);
	}
	CHECK_INT(third.n, 1);
	test_node_free(&p.node);
}

TEST(what_a_crashed_sender_said_last_is_not_heard)
{
	struct pair p;

	pair_new(&p);
	CHECK_INT(send_number(p.from, sl_worker_owner(p.b), 0), 0);
	(void)test_slot_start(p.node.shm, 0); /* the master's answer to a crash: a new epoch */
	for (unsigned i = 0; i < 10; i++)
		CHECK_INT(loop_tick(p.b->loop, 0), 0);
	CHECK_INT(p.heard.n, 0);
	test_node_free(&p.node);
}

TEST(a_name_is_taken_once_and_a_closed_channel_hears_nothing)
{
	struct sl_channel *again;
	struct pair p;

	pair_new(&p);
	CHECK_INT(sl_channel_open(p.a, "test", on_number, NULL, &again), -SL_EEXIST);
	CHECK_INT(sl_channel_open(p.a, "other", on_number, NULL, &again), 0);
	CHECK_INT(send_number(again, sl_worker_owner(p.b), 0), 0); /* nobody has it there */
	sl_channel_close(p.to);
	sl_channel_close(NULL);
	CHECK_INT(send_number(p.from, sl_worker_owner(p.b), 0), 0);
	for (unsigned i = 0; i < 10; i++)
		turn(&p);
	CHECK_INT(p.heard.n, 0);
	test_node_free(&p.node);
}

TEST(a_broadcast_reaches_every_live_worker_but_the_sender)
{
	const uint32_t number = 0;
	const struct iovec iov = {(void *)&number, sizeof number};
	uint32_t owners[TEST_SLOTS];
	struct heard third = {0};
	struct sl_channel *c;
	struct sl_worker *w;
	struct pair p;

	pair_new(&p);
	w = test_worker(&p.node, 3);
	CHECK_INT(sl_channel_open(w, "test", on_number, &third, &c), 0);
	shm_worker(p.node.shm, 3)->state = WORKER_DRAINING;
	CHECK_INT(sl_worker_list(p.a, owners, TEST_SLOTS), 3);
	CHECK_INT(sl_channel_broadcast(p.from, 5, &iov, 1), 2);
	CHECK(turn_until(&p, 1));
	CHECK_INT(loop_tick(w->loop, 0), 0);
	CHECK_INT(third.n, 1);
	test_node_free(&p.node);
}

TEST_MAIN()
