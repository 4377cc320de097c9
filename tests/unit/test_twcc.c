/*
 * Transport-wide feedback: bytes as the draft lays them out, in both directions, and a writer that
 * tells each arrival at least once whatever order, gaps and jumps the numbers have.
 */
#include "lib/test.h"
#include "proto/bwe.h"
#include "proto/twcc.h"

#define MS UINT64_C(1000000)

static uint8_t packet[1200];
static struct sl_rtcp_block block;

static struct sl_rtcp_block block_of(const uint8_t *data, size_t len)
{
	struct sl_rtcp_block b = {.type = data[1], .count = data[0] & 31, .data = data};

	b.len = (uint32_t)(len - (data[0] & 0x20 ? data[len - 1] : 0));
	return b;
}

static size_t told(struct twcc_recv *t, size_t cap, uint64_t now_ns)
{
	size_t len = twcc_recv_feedback(t, 0x11223344, 0x55667788, packet, cap, now_ns);

	if (len > 0)
		block = block_of(packet, len);
	return len;
}

TEST(a_feedback_is_laid_out_as_the_draft_says)
{
	/* Written by hand: 3 came (+16 ms, +1 ms, one late by 2 ms), one did not */
	static const uint8_t want[] = {
		0xaf, 0xcd, 0x00, 0x06, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x00, 0x64,
		0x00, 0x04, 0x00, 0x00, 0x02, 0x00, 0xd4, 0x80, 0x40, 0x04, 0xff, 0xf8, 0x00, 0x02,
	};
	struct twcc_recv *t;

	CHECK_INT(twcc_recv_new(&t), 0);
	twcc_recv_packet(t, 100, 144 * MS);
	twcc_recv_packet(t, 101, 145 * MS);
	twcc_recv_packet(t, 103, 143 * MS);
	CHECK_INT(told(t, 1200, 143 * MS), 0); /* not yet */
	CHECK_INT(told(t, 1200, 250 * MS), sizeof want);
	CHECK_MEM(packet, want, sizeof want);
	CHECK_INT(told(t, 1200, 250 * MS), 0); /* nothing new */
	CHECK(twcc_recv_next_ns(t) == UINT64_MAX);
	twcc_recv_free(t);
}

TEST(each_kind_of_chunk_is_read)
{
	static const uint8_t data[] = {
		0x8f, 0xcd, 0x00, 0x08, 0,    0,    0,	  1,	0,    0,    0, 2,
		0xff, 0xff, 0x00, 0x19, 0xff, 0xff, 0xff, 0x07, 0x20, 0x02, /* a run of 2 small */
		0xa0, 0x00,				     /* one bit: the first of 14 */
		0xd8, 0x00,				     /* two bits: small, large, 5 missing */
		0x00, 0x02,				     /* a run of 2 missing */
		4,    8,    12,	  16,	0xff, 0xfc, 0,	  0, /* and padding as if of the message */
	};
	struct sl_rtcp_block b = block_of(data, sizeof data);
	struct twcc_feedback fb;
	struct twcc_walk w = {0};
	unsigned n_received = 0;

	CHECK_INT(twcc_parse(&fb, &b), 0);
	CHECK_INT(fb.base, 0xffff);
	CHECK_INT(fb.count, 25);
	CHECK_INT(fb.reference, 0xffffff);
	CHECK_INT(fb.number, 7);
	while (twcc_next(&fb, &w))
		n_received += w.received;
	CHECK_INT(w.i, 25);
	CHECK_INT(n_received, 5);
	CHECK_INT(w.ticks, 4 + 8 + 12 + 16 - 4);
}

TEST(what_is_cut_short_is_refused)
{
	struct twcc_recv *t;
	struct twcc_feedback fb;
	size_t len;

	CHECK_INT(twcc_recv_new(&t), 0);
	for (unsigned i = 0; i < 50; i++)
		twcc_recv_packet(t, (uint16_t)(i * i), i * MS);
	len = told(t, 1200, 1000 * MS);
	CHECK(len > 40);
	CHECK_INT(twcc_parse(&fb, &block), 0);
	for (uint32_t n = block.len; n-- > 0;) {
		struct sl_rtcp_block cut = {.type = block.type, .count = block.count};
		uint8_t *copy = malloc(n ? n : 1); /* the sanitizer sees a byte too far */

		memcpy(copy, packet, n);
		cut.data = copy;
		cut.len = n;
		CHECK_INT(twcc_parse(&fb, &cut), -SL_EPARSE);
		free(copy);
	}
	twcc_recv_free(t);
}

TEST(reserved_symbols_and_other_messages_are_refused)
{
	uint8_t data[24] = {0x8f, 0xcd, 0, 5, [15] = 1, [20] = 0x60, [21] = 1};
	struct sl_rtcp_block b = block_of(data, sizeof data);
	struct twcc_feedback fb;

	CHECK_INT(twcc_parse(&fb, &b), -SL_EPARSE);
	data[20] = 0x20;
	CHECK_INT(twcc_parse(&fb, &b), 0);
	b.count = SL_RTCP_NACK;
	CHECK_INT(twcc_parse(&fb, &b), -SL_EPARSE);
}

TEST(a_few_bytes_do_not_make_much_work)
{
	uint8_t data[36] = {0x8f, 0xcd, 0, 8, [14] = 0xff, [15] = 0xff};
	struct sl_rtcp_block b = block_of(data, sizeof data);
	struct twcc_feedback fb;

	for (unsigned i = 20; i < 36; i += 2)
		sl_put16(data + i, 0x1fff); /* 65 528 lost */
	CHECK_INT(twcc_parse(&fb, &b), -SL_EPARSE);
	sl_put16(data + 14, 8192);
	CHECK_INT(twcc_parse(&fb, &b), 0);
}

/* ---- the writer against a model */

enum { WORLD = 3000 };

static uint64_t chance;

static unsigned pick(unsigned n)
{
	chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(chance >> 33) % n;
}

struct heard {
	int64_t ticks;
	bool received, told;
};

static void hear(struct heard *model, uint16_t first)
{
	struct twcc_feedback fb;
	struct twcc_walk w = {0};
	uint16_t seq;

	sl_assert(twcc_parse(&fb, &block) == 0);
	seq = (uint16_t)(fb.base - first);
	for (; twcc_next(&fb, &w); seq++) {
		sl_assert(seq < WORLD);
		model[seq].told = true;
		if (w.received) {
			model[seq].received = true;
			model[seq].ticks = (int64_t)fb.reference * TWCC_TICKS_PER_REF + w.ticks;
		}
	}
}

static bool agrees(uint64_t seed, size_t cap)
{
	static struct heard model[WORLD];
	static uint64_t at[WORLD];
	uint16_t first = (uint16_t)(65000 + seed);
	uint64_t now_ns = 1000 * MS;
	struct twcc_recv *t;
	unsigned n_wrong = 0;

	memset(model, 0, sizeof model);
	memset(at, 0, sizeof at);
	chance = seed;
	sl_assert(twcc_recv_new(&t) == 0);
	for (unsigned i = 0; i < WORLD; i++) {
		unsigned k = i > 30 && pick(20) == 0 ? i - pick(30) : i;

		now_ns += pick(100) == 0 ? pick(400) * MS : pick(3000000);
		if ((i > 0 && pick(10) == 0) || at[k] != 0)
			continue;
		at[k] = now_ns;
		twcc_recv_packet(t, (uint16_t)(first + k), now_ns);
		while (told(t, cap, now_ns) > 0)
			hear(model, first);
	}
	while (told(t, cap, now_ns + 1000 * MS) > 0)
		hear(model, first);
	for (unsigned i = 0; i < WORLD; i++)
		if (at[i] != 0 && (!model[i].received ||
				   model[i].ticks != (int64_t)(at[i] / (1000 * TWCC_TICK_US))))
			n_wrong++;
		else if (at[i] == 0 && model[i].received)
			n_wrong++;
	twcc_recv_free(t);
	return n_wrong == 0;
}

TEST(every_arrival_is_told_with_its_time_whatever_the_order)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		CHECK(agrees(seed, 1200));
		CHECK(agrees(seed, 40));
	}
}

TEST(a_long_pause_begins_a_new_message)
{
	struct twcc_recv *t;
	unsigned n = 0;

	CHECK_INT(twcc_recv_new(&t), 0);
	twcc_recv_packet(t, 1, 1000 * MS);
	twcc_recv_packet(t, 2, 20000 * MS); /* more than a delta can say */
	while (told(t, 1200, 21000 * MS) > 0)
		n++;
	CHECK_INT(n, 2);
	twcc_recv_free(t);
}

TEST(jumps_are_followed_forward_at_once_and_backward_by_the_second)
{
	struct twcc_recv *t;

	CHECK_INT(twcc_recv_new(&t), 0);
	twcc_recv_packet(t, 10, MS);
	twcc_recv_packet(t, 20000, 2 * MS);
	CHECK(told(t, 1200, 200 * MS) > 0);
	CHECK_INT(sl_get16(packet + 12), 20000);
	twcc_recv_packet(t, 5, 300 * MS);
	CHECK_INT(told(t, 1200, 500 * MS), 0);
	twcc_recv_packet(t, 6, 301 * MS);
	CHECK(told(t, 1200, 500 * MS) > 0);
	CHECK_INT(sl_get16(packet + 12), 6);
	twcc_recv_free(t);
}

TEST(much_is_told_sooner_than_little)
{
	struct twcc_recv *t;

	CHECK_INT(twcc_recv_new(&t), 0);
	twcc_recv_packet(t, 0, 0);
	CHECK_INT(twcc_recv_next_ns(t), 100 * MS);
	for (uint16_t i = 1; i < 10; i++)
		twcc_recv_packet(t, i, 0);
	CHECK_INT(twcc_recv_next_ns(t), 50 * MS);
	for (uint16_t i = 10; i < 300; i++)
		twcc_recv_packet(t, i, 0);
	CHECK_INT(twcc_recv_next_ns(t), 0);
	twcc_recv_free(t);
}

TEST_MAIN()
