/*
 * Packets leave at the rate, by priority, in time; audio at once; padding only when nothing waits.
 */
#include "lib/test.h"
#include "proto/pacer.h"

#define MS UINT64_C(1000000)

static struct pacer p;
static struct pacer_item items[1000];
static unsigned n_items;

static struct pacer_item *push(unsigned class_, uint32_t bytes, uint64_t now_ns)
{
	struct pacer_item *item = &items[n_items++];

	*item = (struct pacer_item){.bytes = bytes, .class_ = (uint8_t)class_};
	pacer_push(&p, item, now_ns);
	return item;
}

static void start(uint64_t bps)
{
	n_items = 0;
	pacer_init(&p, bps, 250, 0);
}

/* Sleeps exactly as long as it is told; returns when the queue is empty. */
static uint64_t drain(uint64_t now_ns)
{
	while (pacer_next_ns(&p) != UINT64_MAX) {
		if (pacer_next_ns(&p) > now_ns)
			now_ns = pacer_next_ns(&p);
		if (!pacer_pop(&p, now_ns))
			return 0;
	}
	return now_ns;
}

TEST(what_finds_nothing_in_front_of_it_passes_and_is_charged)
{
	start(8000000);
	CHECK(pacer_pass(&p, 1000, 0));
	CHECK(!pacer_pass(&p, 1000, 0)); /* in debt */
	CHECK(pacer_pass(&p, 1000, MS));
	push(PACER_VIDEO, 1000, MS);
	CHECK(!pacer_pass(&p, 1000, 100 * MS)); /* something waits */
	CHECK(pacer_pop(&p, 100 * MS) != NULL);
	CHECK(pacer_pass(&p, 1000, 100 * MS));
}

TEST(packets_leave_at_the_rate)
{
	uint64_t end_ns;

	start(1000000);
	for (unsigned i = 0; i < 11; i++)
		push(PACER_VIDEO, 1250, 0);
	end_ns = drain(0);
	CHECK(end_ns >= 99 * MS && end_ns <= 101 * MS); /* ten gaps of 10 ms */
}

TEST(retransmissions_go_before_video_and_audio_before_both)
{
	struct pacer_item *v, *r, *a;

	start(1000000);
	v = push(PACER_VIDEO, 1000, 0);
	r = push(PACER_RETRANSMISSION, 1000, 0);
	a = push(PACER_AUDIO, 100, 0);
	CHECK(pacer_pop(&p, 0) == a);
	CHECK(pacer_pop(&p, 0) == NULL); /* audio was charged */
	CHECK(pacer_pop(&p, MS) == r);
	CHECK(pacer_pop(&p, 20 * MS) == v);
	CHECK(pacer_pop(&p, 40 * MS) == NULL);
	CHECK_INT(p.queued_bytes, 0);
}

TEST(audio_leaves_whatever_the_debt)
{
	struct pacer_item *a;

	start(100000);
	push(PACER_VIDEO, 1200, 0);
	CHECK(pacer_pop(&p, 0) != NULL);
	a = push(PACER_AUDIO, 100, 0);
	CHECK(pacer_next_ns(&p) == 0);
	CHECK(pacer_pop(&p, 0) == a);
}

TEST(nothing_waits_longer_than_it_may)
{
	uint64_t end_ns;

	start(100000);
	for (unsigned i = 0; i < 100; i++) /* ten seconds' worth */
		push(PACER_VIDEO, 1250, 0);
	end_ns = drain(0);
	CHECK(end_ns > 200 * MS && end_ns <= 250 * MS);
	CHECK_INT(p.drain_bps, 0);
}

TEST(many_short_steps_fill_as_much_as_a_long_one)
{
	unsigned n = 0;

	start(30000);
	for (unsigned i = 0; i < 20; i++)
		push(PACER_VIDEO, 10, 0);
	for (uint64_t now_ns = 0; now_ns <= 40 * MS; now_ns += 1000) /* a thirtieth of a bit */
		n += pacer_pop(&p, now_ns) != NULL;
	CHECK_INT(n, 16);
}

TEST(idle_time_is_not_saved_up)
{
	unsigned n = 0;

	start(1000000);
	for (unsigned i = 0; i < 100; i++)
		push(PACER_VIDEO, 125, 3600 * 1000 * MS);
	while (pacer_pop(&p, 3600 * 1000 * MS))
		n++;
	CHECK_INT(n, 6); /* 5 ms and the one that makes the debt */
}

TEST(a_new_rate_counts_from_now_on)
{
	start(100000);
	push(PACER_VIDEO, 1250, 0);
	CHECK(pacer_pop(&p, 0) != NULL);
	push(PACER_VIDEO, 1250, 0);
	CHECK_INT(pacer_next_ns(&p), 100 * MS);
	pacer_set_rate(&p, 1000000, 50 * MS);
	CHECK(pacer_next_ns(&p) <= 55 * MS);
}

TEST(padding_leaves_when_nothing_else_would)
{
	start(1000000);
	CHECK_INT(pacer_padding(&p, 5000, 5 * MS), 625);
	CHECK_INT(pacer_padding(&p, 100, 5 * MS), 100);
	pacer_spent(&p, 625);
	CHECK_INT(pacer_padding(&p, 5000, 5 * MS), 0);
	push(PACER_VIDEO, 100, 10 * MS);
	CHECK_INT(pacer_padding(&p, 5000, 20 * MS), 0);
}

TEST(a_queue_can_be_taken_down)
{
	start(1000000);
	push(PACER_VIDEO, 100, 0);
	push(PACER_AUDIO, 100, 0);
	push(PACER_RETRANSMISSION, 100, 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK(pacer_take(&p) != NULL);
	CHECK(pacer_take(&p) == NULL);
	CHECK(pacer_next_ns(&p) == UINT64_MAX);
	push(PACER_VIDEO, 100, 0); /* and used again */
	CHECK(pacer_pop(&p, 0) != NULL);
}

TEST(the_queue_is_told_in_time)
{
	start(1000000);
	push(PACER_VIDEO, 1250, 0);
	push(PACER_VIDEO, 1250, 0);
	CHECK_INT(pacer_queue_ms(&p), 20);
}

TEST_MAIN()
