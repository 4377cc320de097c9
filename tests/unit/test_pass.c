/*
 * test_pass.c: descriptors reach the place that was named, whoever else sends there, and wait for a
 * receiver that is slow.
 */
#include "../lib/test.h"
#include "../lib/process.h"
#include <sluice/clock.h>

#include <sys/socket.h>

#define MANY 300

struct got {
	unsigned n, n_wrong;
	int last;
};

static struct test_node node;
static struct sl_worker *a, *b;
static struct sl_pass *from, *to;
static struct got got;

static void on_pass(void *arg, struct sl_str data, int fd)
{
	struct got *g = arg;
	uint32_t number;

	memcpy(&number, data.p, sizeof number);
	g->n_wrong += data.len != sizeof number || number != g->n;
	g->n++;
	if (g->last >= 0)
		close(g->last);
	g->last = fd;
}

static void setup(void)
{
	test_node_new(&node);
	a = test_worker(&node, 0);
	b = test_worker(&node, 1);
	got = (struct got){.last = -1};
	sl_assert(sl_pass_open(a, on_pass, &got, &from) == 0);
	sl_assert(sl_pass_open(b, on_pass, &got, &to) == 0);
}

static void teardown(void)
{
	sl_pass_close(from);
	sl_pass_close(to);
	if (got.last >= 0)
		close(got.last);
	test_node_free(&node);
}

static void turn_until(unsigned n)
{
	uint64_t end = sl_clock_ns() + 30 * SL_NS_PER_S;

	while (got.n < n && sl_clock_ns() < end)
		sl_assert(loop_tick(a->loop, 1) == 0 && loop_tick(b->loop, 1) == 0);
}

static int pass_one(uint32_t number, int fd)
{
	return sl_pass_send(from, sl_pass_place(to), &number, sizeof number, fd);
}

TEST(a_descriptor_arrives_with_its_words)
{
	int pair[2], open_before;
	char byte;

	setup();
	open_before = fd_count();
	sl_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	CHECK_INT(pass_one(0, pair[0]), 0);
	turn_until(1);
	CHECK_INT(got.n_wrong, 0);
	CHECK_INT(write(got.last, "x", 1), 1);
	CHECK_INT(read(pair[1], &byte, 1), 1);
	close(pair[1]);
	close(got.last);
	got.last = -1;
	CHECK_INT(fd_count(), open_before);
	teardown();
}

TEST(a_slow_receiver_gets_all_in_order_later)
{
	setup();
	for (uint32_t i = 0; i < MANY; i++)
		CHECK_INT(pass_one(i, dup(0)), 0);
	turn_until(MANY);
	CHECK_INT(got.n, MANY);
	CHECK_INT(got.n_wrong, 0);
	teardown();
}

TEST(who_does_not_know_the_key_is_not_heard)
{
	struct sl_pass_place guess;
	uint32_t number = 0;
	int open_before;

	setup();
	guess = *sl_pass_place(to);
	guess.key[15] ^= 1;
	open_before = fd_count();
	CHECK_INT(sl_pass_send(from, &guess, &number, sizeof number, dup(0)), 0);
	CHECK_INT(pass_one(0, dup(0)), 0);
	turn_until(1);
	CHECK_INT(got.n, 1);
	CHECK_INT(got.n_wrong, 0);
	CHECK_INT(fd_count(), open_before + 1);
	teardown();
}

TEST(nobody_is_behind_a_place_that_was_given_up)
{
	struct sl_pass_place gone;
	uint32_t number = 0;
	int open_before;

	setup();
	gone = *sl_pass_place(to);
	sl_pass_close(to);
	to = NULL;
	open_before = fd_count();
	CHECK_INT(sl_pass_send(from, &gone, &number, sizeof number, dup(0)), -SL_ENOENT);
	CHECK_INT(fd_count(), open_before);
	teardown();
}

TEST_MAIN()
