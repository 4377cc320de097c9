/*
 * test_inbox.c: messages between slots of one process: whole, in order, to whom they are meant
 * for, and never waiting.
 */
#include "../lib/test.h"
#include "../lib/kid.h"
#include "event/inbox.h"
#include "event/loop.h"
#include "os/os.h"

#include <sluice/clock.h>
#include <unistd.h>

#define N_SLOTS 3
#define RING 4096

struct node {
	void *segment;
	size_t bytes;
	int wake_fds[N_SLOTS];
	struct inbox *in[N_SLOTS];
	struct sl_loop *loop[N_SLOTS];
};

struct heard {
	unsigned n;
	struct inbox_msg last;
	uint64_t numbers[1000]; /* first eight bytes of each */
	struct inbox *answers;	/* sends to itself while it is below 3 */
};

static uint32_t owner(unsigned slot, unsigned epoch)
{
	return slot << 16 | epoch;
}

static void node_open(struct node *n, unsigned slot, unsigned epoch)
{
	sl_assert(inbox_open(&n->in[slot], n->segment, n->bytes, N_SLOTS, RING, n->wake_fds,
			     owner(slot, epoch)) == 0);
	sl_assert(loop_new(&n->loop[slot]) == 0);
}

static void node_close(struct node *n, unsigned slot)
{
	inbox_close(n->in[slot]);
	loop_free(n->loop[slot]);
	n->in[slot] = NULL;
	n->loop[slot] = NULL;
}

static void node_new(struct node *n)
{
	n->bytes = inbox_segment_bytes(N_SLOTS, RING);
	n->segment = kid_memory(n->bytes);
	for (unsigned i = 0; i < N_SLOTS; i++)
		sl_assert(sock_eventfd(&n->wake_fds[i]) == 0);
	for (unsigned i = 0; i < N_SLOTS; i++)
		node_open(n, i, 1);
}

static void node_free(struct node *n)
{
	for (unsigned i = 0; i < N_SLOTS; i++) {
		node_close(n, i);
		close(n->wake_fds[i]);
	}
	munmap(n->segment, n->bytes);
}

static int send_number(struct node *n, unsigned from, uint32_t to, uint64_t number)
{
	struct iovec iov = {&number, sizeof number};

	return inbox_send(n->in[from], to, 7, 3, &iov, 1);
}

static void on_message(void *arg, const struct inbox_msg *msg)
{
	struct heard *h = arg;

	h->last = *msg;
	if (msg->len >= 8 && h->n < SL_ARRAY_LEN(h->numbers))
		memcpy(&h->numbers[h->n], msg->data, 8);
	h->n++;
	if (h->answers && h->n < 3)
		sl_assert(inbox_send(h->answers, owner(0, 1), 7, 3, NULL, 0) == 0);
}

static void listen_at(struct node *n, unsigned slot, struct heard *h)
{
	memset(h, 0, sizeof *h);
	sl_assert(inbox_listen(n->in[slot], n->loop[slot], on_message, h) == 0);
	sl_assert(loop_tick(n->loop[slot], 0) == 0);
}

TEST(a_message_arrives_with_its_sender_channel_and_type)
{
	struct iovec iov[3] = {{"he", 2}, {NULL, 0}, {"llo", 3}};
	struct heard h;
	struct node n;

	node_new(&n);
	listen_at(&n, 1, &h);
	CHECK_INT(inbox_send(n.in[0], owner(1, 1), 0xabcd, 9, iov, 3), 0);
	CHECK_INT(loop_tick(n.loop[1], -1), 0); /* does not wait: it was woken */
	CHECK_INT(h.n, 1);
	CHECK_INT(h.last.channel, 0xabcd);
	CHECK_INT(h.last.type, 9);
	CHECK_INT(h.last.from, owner(0, 1));
	CHECK_INT(h.last.len, 5);
	CHECK_MEM(h.last.data, "hello", 5);
	CHECK_INT(loop_tick(n.loop[1], 0), 0);
	CHECK_INT(h.n, 1);
	node_free(&n);
}

TEST(messages_of_several_senders_come_in_the_order_of_sending)
{
	struct heard h;
	struct node n;

	node_new(&n);
	for (uint64_t i = 0; i < 60; i++)
		CHECK_INT(send_number(&n, i * i % N_SLOTS, owner(2, 1), i), 0);
	listen_at(&n, 2, &h);
	CHECK_INT(h.n, 60);
	for (uint64_t i = 0; i < 60; i++)
		CHECK_INT(h.numbers[i], i);
	node_free(&n);
}

TEST(sizes_of_all_kinds_go_round_the_ring_unharmed)
{
	static uint8_t text[RING];
	struct heard h;
	struct node n;

	for (unsigned i = 0; i < sizeof text; i++)
		text[i] = (uint8_t)(i * 7);
	node_new(&n);
	listen_at(&n, 1, &h);
	for (unsigned i = 0; i < 3000; i++) {
		struct iovec iov = {text, i * 37 % (RING / 2 - 64)};

		CHECK_INT(inbox_send(n.in[0], owner(1, 1), 7, 3, &iov, 1), 0);
		CHECK_INT(loop_tick(n.loop[1], 0), 0);
		CHECK_INT(h.n, i + 1);
		CHECK_INT(h.last.len, iov.iov_len);
		CHECK_MEM(h.last.data, text, iov.iov_len);
	}
	node_free(&n);
}

TEST(a_full_ring_refuses_and_takes_again_what_was_read)
{
	struct heard h;
	struct node n;
	unsigned sent = 0, again = 0;

	node_new(&n);
	while (send_number(&n, 0, owner(1, 1), sent) == 0)
		sent++;
	CHECK_INT(sent, RING / 64);
	CHECK_INT(send_number(&n, 0, owner(1, 1), 0), -SL_EFULL);
	CHECK_INT(send_number(&n, 2, owner(1, 1), sent), 0);
	listen_at(&n, 1, &h);
	CHECK_INT(h.n, sent + 1);
	while (send_number(&n, 0, owner(1, 1), again) == 0)
		again++;
	CHECK_INT(again, sent);
	node_free(&n);
}

TEST(what_is_too_large_or_goes_nowhere_is_refused)
{
	static uint8_t text[INBOX_MAX_MESSAGE];
	struct iovec iov[2] = {{text, RING / 2}, {text, 0}};
	struct inbox *in = NULL;
	struct node n;

	node_new(&n);
	CHECK_INT(inbox_send(n.in[0], owner(1, 1), 7, 3, iov, 1), -SL_ELIMIT);
	iov[0].iov_len = 1;
	iov[1].iov_len = sizeof text;
	CHECK_INT(inbox_send(n.in[0], owner(1, 1), 7, 3, iov, 2), -SL_ELIMIT);
	iov[1].iov_len = SIZE_MAX;
	CHECK_INT(inbox_send(n.in[0], owner(1, 1), 7, 3, iov, 2), -SL_ELIMIT);
	CHECK_INT(inbox_send(n.in[0], owner(N_SLOTS, 1), 7, 3, NULL, 0), -SL_EINVAL);
	node_close(&n, 0);
	n.bytes--;
	CHECK_INT(inbox_open(&in, n.segment, n.bytes, N_SLOTS, RING, n.wake_fds, 1), -SL_EINVAL);
	n.bytes++;
	CHECK_INT(inbox_open(&in, n.segment, n.bytes, 0, RING, n.wake_fds, 1), -SL_EINVAL);
	node_free(&n);
}

TEST(a_successor_gets_its_own_messages_and_not_its_predecessors)
{
	struct heard h;
	struct node n;

	node_new(&n);
	CHECK_INT(send_number(&n, 0, owner(1, 1), 1), 0);
	CHECK_INT(send_number(&n, 0, owner(1, 2), 2), 0);
	CHECK_INT(send_number(&n, 2, owner(1, 1), 3), 0);
	node_close(&n, 1);
	node_open(&n, 1, 2);
	listen_at(&n, 1, &h);
	CHECK_INT(h.n, 1);
	CHECK_INT(h.numbers[0], 2);
	CHECK_INT(inbox_dropped(n.in[1]), 2);
	node_free(&n);
}

TEST(a_tick_hears_a_bounded_number_and_the_next_one_goes_on)
{
	struct heard h;
	struct node n;
	unsigned sent = 0;

	node_new(&n);
	for (unsigned from = 0; from < N_SLOTS; from++)
		while (send_number(&n, from, owner(0, 1), sent) == 0)
			sent++;
	listen_at(&n, 0, &h);
	CHECK_INT(h.n, sent);
	h.n = sent = 0;
	for (unsigned i = 0; i < 300; i++) {
		unsigned from = i % N_SLOTS;

		if (inbox_send(n.in[from], owner(0, 1), 7, 3, NULL, 0) == 0)
			sent++;
	}
	CHECK_INT(sent, 300);
	CHECK_INT(loop_tick(n.loop[0], -1), 0);
	CHECK_INT(h.n, 256);
	CHECK_INT(loop_tick(n.loop[0], -1), 0);
	CHECK_INT(h.n, 300);
	node_free(&n);
}

static void on_dear_message(void *arg, const struct inbox_msg *msg)
{
	uint64_t end = sl_clock_ns() + SL_NS_PER_MS;
	struct heard *h = arg;

	while (sl_clock_ns() < end)
		;
	h->numbers[h->n++] = msg->type;
}

TEST(messages_that_take_long_are_spread_over_ticks_in_their_order)
{
	struct heard h = {0};
	struct node n;

	node_new(&n);
	for (uint16_t i = 0; i < 20; i++)
		CHECK_INT(inbox_send(n.in[1], owner(0, 1), 7, i, NULL, 0), 0);
	CHECK_INT(inbox_listen(n.in[0], n.loop[0], on_dear_message, &h), 0);
	CHECK_INT(loop_tick(n.loop[0], -1), 0);
	CHECK(h.n >= 1 && h.n <= 3);
	while (h.n < 20)
		CHECK_INT(loop_tick(n.loop[0], -1), 0);
	for (unsigned i = 0; i < 20; i++)
		CHECK_INT(h.numbers[i], i);
	node_free(&n);
}

TEST(a_handler_may_send_to_itself)
{
	struct heard h;
	struct node n;

	node_new(&n);
	listen_at(&n, 0, &h);
	h.answers = n.in[0];
	CHECK_INT(inbox_send(n.in[0], owner(0, 1), 7, 3, NULL, 0), 0);
	CHECK_INT(loop_tick(n.loop[0], -1), 0);
	CHECK_INT(h.n, 3);
	node_free(&n);
}

TEST(a_sleeper_is_woken_once_and_again_after_its_next_sleep)
{
	struct heard h;
	struct node n;
	uint64_t wakes;

	node_new(&n);
	listen_at(&n, 1, &h);
	CHECK(read(n.wake_fds[1], &wakes, sizeof wakes) < 0);
	for (unsigned round = 1; round <= 3; round++) {
		CHECK_INT(send_number(&n, 0, owner(1, 1), 1), 0);
		CHECK_INT(send_number(&n, 0, owner(1, 1), 2), 0);
		CHECK_INT(read(n.wake_fds[1], &wakes, sizeof wakes), sizeof wakes);
		CHECK_INT(wakes, 1);
		sock_eventfd_signal(n.wake_fds[1]);
		CHECK_INT(loop_tick(n.loop[1], -1), 0);
		CHECK_INT(h.n, 2 * round);
	}
	node_free(&n);
}

TEST(a_ring_written_over_is_skipped_and_the_others_go_on)
{
	struct heard h;
	struct node n;
	uint32_t seed = 5;

	node_new(&n);
	listen_at(&n, 2, &h);
	for (unsigned round = 0; round < 300; round++) {
		/* The data of the last receiver's rings are the last of the segment. */
		uint8_t *first = (uint8_t *)n.segment + n.bytes - N_SLOTS * RING;

		h.n = 0;
		for (unsigned i = 0; i < 5; i++)
			CHECK_INT(send_number(&n, 0, owner(2, 1), i), 0);
		for (unsigned i = 0; i < RING; i += 1 + seed % 32) {
			seed = seed * 1664525 + 1013904223;
			first[i] = (uint8_t)(seed >> 24);
		}
		CHECK_INT(send_number(&n, 1, owner(2, 1), 1), 0);
		CHECK_INT(loop_tick(n.loop[2], -1), 0);
		CHECK(h.n >= 1 && h.n <= 6);
		CHECK_INT(send_number(&n, 0, owner(2, 1), 1), 0);
		CHECK_INT(loop_tick(n.loop[2], -1), 0);
		CHECK(h.n >= 2);
	}
	CHECK(inbox_dropped(n.in[2]) > 0);
	node_free(&n);
}

TEST(who_leaves_reads_what_was_sent_before_without_waiting_to_be_woken)
{
	struct heard h;
	struct node n;

	node_new(&n);
	inbox_read(n.in[1]); /* nobody listens yet */
	listen_at(&n, 1, &h);
	for (unsigned i = 0; i < 10; i++) {
		CHECK_INT(send_number(&n, 0, owner(1, 1), i), 0);
		CHECK_INT(send_number(&n, 2, owner(1, 1), i), 0);
	}
	inbox_read(n.in[1]);
	CHECK_INT(h.n, 20);
	inbox_read(n.in[1]);
	CHECK_INT(h.n, 20);
	node_free(&n);
}

TEST_MAIN()
