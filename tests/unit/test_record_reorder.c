/*
 * Packets of a recorded stream in order: what is late is waited for, what is lost is told.
 */
#include <sluice/clock.h>
#include "lib/test.h"
#include "modules/recorder/reorder.h"

#define MS SL_NS_PER_MS

static struct reorder r;

static void put(uint64_t seq, uint64_t ms)
{
	const struct rpacket head = {.seq = seq, .arrival_ns = ms * MS, .len = 4};

	if (reorder_put(&r, &head, "data") < 0)
		abort();
}

/* All that is due, as text: "1 2 !3 7", where ! has the lost before it */
static const char *take(uint64_t ms)
{
	static char text[8192];
	struct rpacket *p;
	uint64_t lost;
	size_t n = 0;

	text[0] = '\0';
	while ((p = reorder_take(&r, ms * MS, &lost))) {
		if (lost)
			n += (size_t)snprintf(text + n, sizeof text - n, "!%d ", (int)lost);
		n += (size_t)snprintf(text + n, sizeof text - n, "%d ", (int)p->seq);
		free(p);
	}
	return text;
}
#define TAKES(ms, want) CHECK(strcmp(take(ms), want) == 0)

TEST(what_comes_in_order_goes_at_once)
{
	reorder_init(&r, 500 * MS);
	put(70000, 0);
	put(70001, 1);
	TAKES(1, "70000 70001 ");
	reorder_free(&r);
}

TEST(a_missing_one_is_waited_for_and_taken_when_it_comes)
{
	reorder_init(&r, 500 * MS);
	put(10, 0);
	put(12, 20);
	put(13, 30);
	TAKES(100, "10 ");
	put(11, 300);
	TAKES(300, "11 12 13 ");
	CHECK_INT(r.n_lost, 0);
	reorder_free(&r);
}

TEST(what_never_comes_is_told_after_the_bound)
{
	reorder_init(&r, 500 * MS);
	put(10, 0);
	put(13, 20);
	TAKES(519, "10 ");
	TAKES(520, "!2 13 ");
	put(11, 530);
	TAKES(530, "");
	CHECK_INT(r.n_late, 1);
	CHECK_INT(r.n_lost, 2);
	reorder_free(&r);
}

TEST(what_a_pause_leaves_out_is_not_lost)
{
	reorder_init(&r, 500 * MS);
	put(10, 0);
	TAKES(0, "10 ");
	reorder_pause(&r);
	put(300, 20);
	TAKES(20, "300 ");
	put(302, 40);
	TAKES(540, "!1 302 ");
	CHECK_INT(r.n_lost, 1);
	reorder_free(&r);
}

TEST(what_neither_a_predecessor_nor_this_one_heard_is_lost)
{
	reorder_init(&r, 500 * MS);
	reorder_resume(&r, 10);
	put(13, 0);
	put(14, 20);
	TAKES(499, "");
	put(12, 400);
	TAKES(899, "");
	TAKES(900, "!2 12 13 14 ");
	CHECK_INT(r.n_lost, 2);
	reorder_free(&r);
}

TEST(doubles_are_dropped)
{
	reorder_init(&r, 500 * MS);
	put(10, 0);
	put(12, 1);
	put(12, 2);
	put(11, 3);
	TAKES(3, "10 11 12 ");
	CHECK_INT(r.n_doubled, 1);
	reorder_free(&r);
}

TEST(not_more_than_the_bound_of_packets_wait)
{
	reorder_init(&r, 5000 * MS);
	put(1, 0);
	(void)take(0);
	for (unsigned i = 0; i < REORDER_MAX; i++)
		put(3 + i, 1);
	CHECK(take(2)[0] == '!');
	CHECK_INT(r.n, 0);
	reorder_free(&r);
}

TEST(numbers_that_begin_anew_are_a_new_run)
{
	reorder_init(&r, 100 * MS);
	put(70000, 0);
	put(200000, 10); /* as the endpoint tells a restart: above all before */
	TAKES(10, "70000 ");
	TAKES(110, "!1 200000 ");
	put(5, 200); /* another encoding, or another worker */
	TAKES(200, "5 ");
	reorder_free(&r);
}

TEST(what_waits_can_be_had_at_the_end)
{
	uint64_t lost;
	struct rpacket *p;

	reorder_init(&r, 500 * MS);
	put(1, 0);
	(void)take(0);
	put(4, 1);
	p = reorder_flush(&r, &lost);
	CHECK(p && p->seq == 4 && lost == 2 && memcmp(p->data, "data", 4) == 0);
	free(p);
	CHECK(!reorder_flush(&r, &lost));
	reorder_free(&r);
}

TEST_MAIN()
