/*
 * The receiver's estimator: when the peer is told, and of which rate; its clock's 24 bits come round
 * and may lie. What it makes of a bottleneck is tests/sim/test_remb.c's.
 */
#include "proto/remb.h"
#include "lib/test.h"

#define MS UINT64_C(1000000) /* ns */

enum { BYTES = 1000, PAYLOAD = 900 };

static struct remb *r;
static uint64_t now_ns, late_ns; /* late: how much later packets come than at first */
static struct remb_say said;
static unsigned n_said;

static void begin(void)
{
	remb_free(r);
	r = NULL;
	now_ns = 5000 * MS;
	late_ns = 0;
	n_said = 0;
	sl_assert(remb_new(&r) == 0);
}

static void packet(void)
{
	const struct remb_packet p = {
		.send_time = (uint32_t)(((now_ns - late_ns) / 1000 << 18) / 1000000) & 0xffffff,
		.bytes = BYTES,
		.payload_bytes = PAYLOAD,
	};

	remb_packet(r, &p, now_ns);
}

/* One packet in so many milliseconds: 8000 / every_ms kbit/s */
static void come(unsigned ms, unsigned every_ms)
{
	for (unsigned i = 0; i < ms; i++, now_ns += MS) {
		if (i % every_ms == 0)
			packet();
		n_said += remb_next_ns(r) <= now_ns && remb_tick(r, 20000, now_ns, &said);
	}
}

TEST(nothing_is_said_before_anything_is_known)
{
	begin();
	CHECK(remb_next_ns(r) == UINT64_MAX);
	CHECK(!remb_tick(r, 0, now_ns, &said));
	come(400, 10);
	CHECK_INT(n_said, 0);
	CHECK(remb_bps(r) == 0);
}

TEST(a_free_way_is_told_once_a_second_and_rises_above_what_comes)
{
	begin();
	come(6000, 10); /* 800 kbit/s */
	CHECK(n_said >= 5 && n_said <= 7);
	CHECK(said.bps > 1300000 && said.bps < 1500000);
	CHECK_INT(said.overhead, BYTES - PAYLOAD);
	CHECK(said.media_bps > said.bps * 89 / 100 && said.media_bps < said.bps * 91 / 100);
}

TEST(who_sends_little_may_send_the_start_rate)
{
	begin();
	come(3000, 100); /* 80 kbit/s */
	CHECK(said.bps == 300000);
}

TEST(a_growing_queue_is_told_at_once)
{
	unsigned before;

	begin();
	come(5000, 10);
	before = n_said;
	for (unsigned i = 0; i < 40; i++) { /* 100 ms of queue in 400 ms */
		late_ns += 5 * MS / 2;
		come(10, 10);
	}
	CHECK(n_said > before);
	CHECK(said.bps < 800000);
	CHECK(said.bps > 300000);
}

TEST(a_queue_that_goes_is_forgotten)
{
	begin();
	come(5000, 10);
	late_ns = 100 * MS;
	come(300, 10);
	CHECK(remb_bps(r) < 800000);
	late_ns = 0;
	come(10000, 10);
	CHECK(remb_bps(r) > 850000);
}

TEST(the_senders_clock_comes_round_after_64_seconds)
{
	uint64_t before;

	begin();
	come(10000, 10);
	before = remb_bps(r);
	come(130000, 10);
	CHECK(remb_bps(r) >= before * 9 / 10);
}

TEST(silence_ends_the_ticks_and_is_no_queue)
{
	begin();
	come(3000, 10);
	for (unsigned i = 0; i < 3000; i++, now_ns += MS)
		(void)(remb_next_ns(r) <= now_ns && remb_tick(r, 20000, now_ns, &said));
	CHECK(remb_next_ns(r) == UINT64_MAX);
	now_ns += 100000 * MS;
	come(3000, 10);
	CHECK(remb_bps(r) > 1000000);
}

TEST(a_clock_that_lies_leads_within_the_bounds)
{
	begin();
	for (unsigned i = 0; i < 3000; i++) {
		const struct remb_packet p = {.send_time = i * 2654435761u, .bytes = BYTES};

		now_ns += 7 * MS;
		remb_packet(r, &p, now_ns);
		if (remb_tick(r, 20000, now_ns, &said))
			CHECK(said.bps >= 30000 && said.bps <= 100000000);
	}
	remb_free(r);
}

TEST_MAIN()
