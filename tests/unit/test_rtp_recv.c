/*
 * One received stream: verdicts over wraps and jumps, the figures of its reports, the sender's clock,
 * and what it asks for again.
 */
#include "lib/test.h"
#include "proto/rtp_recv.h"

#define MS UINT64_C(1000000)

static struct rtp_recv *r;
static uint64_t now_ns, seq64;

static void begin(void)
{
	rtp_recv_free(r);
	now_ns = 5000 * MS;
	sl_assert(rtp_recv_new(&r, 77, 90000, true) == 0);
}

static enum rtp_recv_verdict in_at(uint16_t seq, uint32_t ts)
{
	struct sl_rtp rtp = {.seq = seq, .ts = ts, .len = 100};

	return rtp_recv_packet(r, &rtp, false, now_ns, &seq64);
}

static enum rtp_recv_verdict in(uint16_t seq)
{
	return in_at(seq, 0);
}

static enum rtp_recv_verdict recovered(uint16_t seq)
{
	struct sl_rtp rtp = {.seq = seq, .len = 100};

	return rtp_recv_packet(r, &rtp, true, now_ns, &seq64);
}

static struct sl_rtcp_report report(void)
{
	struct sl_rtcp_report rep;

	rtp_recv_report(r, now_ns, &rep);
	return rep;
}

static struct rtp_recv_stats stats(void)
{
	struct rtp_recv_stats s;

	rtp_recv_get_stats(r, &s);
	return s;
}

static unsigned nacks(uint16_t *seqs, bool *gave_up)
{
	return rtp_recv_nacks(r, now_ns, 50000, seqs, 300, gave_up);
}

TEST(numbers_go_on_over_a_wrap)
{
	begin();
	CHECK_INT(in(65534), RTP_NEW);
	CHECK_INT(seq64, 65536 + 65534);
	CHECK_INT(in(65535), RTP_NEW);
	CHECK_INT(in(1), RTP_NEW);
	CHECK_INT(in(0), RTP_NEW);
	CHECK_INT(seq64, 2 * 65536);
	CHECK_INT(in(0), RTP_DUPLICATE);
	CHECK_INT(in(65535), RTP_DUPLICATE);
	CHECK_INT(report().highest_seq, 65536 + 1);
	CHECK_INT(stats().lost, 0);
	CHECK_INT(stats().duplicates, 2);
}

TEST(what_was_overtaken_by_the_first_packet_is_taken)
{
	begin();
	CHECK_INT(in(10), RTP_NEW);
	CHECK_INT(in(8), RTP_NEW);
	CHECK_INT(stats().lost, 1);
	CHECK_INT(in(9), RTP_NEW);
	CHECK_INT(stats().lost, 0);
}

TEST(a_packet_behind_the_window_is_too_old)
{
	begin();
	in(1000);
	for (uint16_t s = 1002; s < 3000; s++)
		CHECK_INT(in(s), RTP_NEW);
	CHECK_INT(in(2999 - RTP_RECV_WINDOW), RTP_TOO_OLD);
	CHECK_INT(recovered(1001), RTP_TOO_OLD);
	CHECK_INT(in(2999 - RTP_RECV_WINDOW + 1), RTP_DUPLICATE);
}

TEST(a_jump_is_followed_after_two_packets_in_a_row)
{
	uint64_t before;

	begin();
	in(1000);
	before = seq64;
	CHECK_INT(in(20000), RTP_TOO_OLD);
	CHECK_INT(in(1001), RTP_NEW); /* a stray packet changes nothing */
	CHECK_INT(in(30000), RTP_TOO_OLD);
	CHECK_INT(in(30001), RTP_JUMPED);
	CHECK(seq64 > before + 65536);
	CHECK_INT(seq64 % 65536, 30001);
	CHECK_INT(in(30002), RTP_NEW);
	CHECK_INT(report().highest_seq, 30002);
	CHECK_INT(stats().jumps, 1);
}

TEST(a_jump_backwards_is_followed_too_and_loses_no_count)
{
	begin();
	in(50000);
	in(50010); /* nine lost */
	in(7);
	CHECK_INT(in(8), RTP_JUMPED);
	CHECK_INT(stats().lost, 9);
	CHECK_INT(report().lost, 9);
}

TEST(retransmissions_from_afar_are_no_jump)
{
	begin();
	in(50000);
	CHECK_INT(recovered(10000), RTP_TOO_OLD);
	CHECK_INT(recovered(10001), RTP_TOO_OLD);
	CHECK_INT(in(50001), RTP_NEW);
}

TEST(a_report_tells_the_loss_since_the_last_one)
{
	begin();
	for (uint16_t s = 0; s < 100; s++)
		if (s % 4 != 1)
			in(s);
	CHECK_INT(report().fraction_lost, 64);
	for (uint16_t s = 100; s < 200; s++)
		in(s);
	CHECK_INT(report().fraction_lost, 0);
	CHECK_INT(report().lost, 25);
	CHECK_INT(report().fraction_lost, 0); /* nothing was expected since */
	in(10200 - 9000 + 99);
	CHECK_INT(report().fraction_lost, 255);
}

TEST(what_a_retransmission_repairs_was_lost_all_the_same)
{
	begin();
	in(1);
	in(3);
	CHECK_INT(recovered(2), RTP_NEW);
	CHECK_INT(report().lost, 1);
	CHECK_INT(stats().recovered, 1);
	CHECK_INT(stats().packets, 3);
}

TEST(even_arrival_has_no_jitter_and_uneven_arrival_converges)
{
	uint32_t ts = 4294900000u; /* wraps on the way */

	begin();
	for (uint16_t s = 0; s < 200; s++, ts += 3000) {
		in_at(s, ts);
		now_ns += 33333333;
	}
	CHECK(stats().jitter_us < 100);
	for (uint16_t s = 200; s < 600; s++, ts += 3000) {
		in_at(s, ts);
		now_ns += s % 2 ? 23333333 : 43333333; /* each is 10 ms off the one before */
	}
	CHECK(stats().jitter_us > 9000 && stats().jitter_us < 11000);
	CHECK(report().jitter > 9 * 90 && report().jitter < 11 * 90);
}

TEST(a_step_of_the_senders_clock_is_not_jitter)
{
	begin();
	for (uint16_t s = 0; s < 50; s++, now_ns += 20 * MS)
		in_at(s, s * 1800u + (s >= 25 ? 90000u * 3600 : 0));
	CHECK(stats().jitter_us < 100);
}

TEST(our_own_clock_far_on_does_not_overflow)
{
	begin();
	now_ns = UINT64_MAX / 2;
	for (uint16_t s = 0; s < 100; s++, now_ns += 20 * MS)
		in_at(s, s * 1800u);
	CHECK(stats().jitter_us < 100);
}

TEST(a_report_echoes_the_senders)
{
	const struct sl_rtcp_sr sr = {.ntp = UINT64_C(0x1122334455667788), .ts = 90000};
	uint64_t ntp;

	begin();
	CHECK_INT(report().lsr, 0);
	CHECK_INT(rtp_recv_ntp(r, 0, &ntp), -SL_ENOENT);
	rtp_recv_sr(r, &sr, now_ns);
	now_ns += 1500 * MS;
	CHECK_INT(report().lsr, 0x33445566);
	CHECK_INT(report().dlsr, 65536 + 32768);
}

TEST(timestamps_have_a_wall_clock_on_both_sides_of_a_report)
{
	struct sl_rtcp_sr sr = {.ntp = UINT64_C(1000) << 32, .ts = 100};
	uint64_t ntp;

	begin();
	rtp_recv_sr(r, &sr, now_ns);
	CHECK_INT(rtp_recv_ntp(r, 100 + 45000, &ntp), 0);
	CHECK(ntp == (UINT64_C(1000) << 32) + (UINT64_C(1) << 31));
	CHECK_INT(rtp_recv_ntp(r, 100 - 90000 * 2, &ntp), 0);
	CHECK(ntp == UINT64_C(998) << 32);
	sr.ntp = 0; /* a sender without a clock */
	rtp_recv_sr(r, &sr, now_ns);
	CHECK_INT(rtp_recv_ntp(r, 100, &ntp), -SL_ENOENT);
}

TEST(gaps_are_asked_for_until_they_are_filled)
{
	uint16_t seqs[300];
	bool gave_up;

	begin();
	in(65530);
	in(2);
	CHECK_INT(nacks(seqs, &gave_up), 0);
	CHECK(rtp_recv_next_ns(r) == now_ns + 10 * MS);
	in(65535);
	now_ns += 10 * MS;
	CHECK_INT(nacks(seqs, &gave_up), 6);
	CHECK_INT(seqs[0], 65531);
	CHECK_INT(seqs[5], 1);
	CHECK(!gave_up);
	for (unsigned i = 0; i < 6; i++)
		CHECK_INT(recovered(seqs[i]), RTP_NEW);
	CHECK(rtp_recv_next_ns(r) == UINT64_MAX);
	CHECK_INT(stats().nacks_sent, 6);
}

TEST(after_an_outage_a_key_frame_is_wanted_at_once)
{
	uint16_t seqs[300];
	bool gave_up;

	begin();
	in(10);
	in(12);
	now_ns += 300 * MS;
	CHECK_INT(in(60), RTP_NEW);
	CHECK_INT(nacks(seqs, &gave_up), 0);
	CHECK(gave_up);
	now_ns += 100 * MS; /* as many lost in less time are asked for */
	in(100);
	now_ns += 10 * MS;
	CHECK_INT(nacks(seqs, &gave_up), 39);
	CHECK(!gave_up);
	begin();
	in(10);
	now_ns += 300 * MS; /* and so is the little that a quiet stream loses */
	in(20);
	now_ns += 10 * MS;
	CHECK_INT(nacks(seqs, &gave_up), 9);
	CHECK(!gave_up);
}

TEST(a_key_frame_ends_the_questions_before_it)
{
	uint16_t seqs[300];
	bool gave_up;

	begin();
	in(10);
	in(20);
	rtp_recv_skip(r, seq64);
	now_ns += 100 * MS;
	CHECK_INT(nacks(seqs, &gave_up), 0);
	CHECK(!gave_up);
}

TEST(what_leaves_the_window_is_given_up)
{
	uint16_t seqs[300];
	bool gave_up;

	begin();
	in(1);
	in(3);
	for (uint16_t s = 4; s < 1026; s++)
		in(s);
	(void)nacks(seqs, &gave_up);
	CHECK(!gave_up);
	in(1026);
	CHECK_INT(nacks(seqs, &gave_up), 0);
	CHECK(gave_up);
	CHECK_INT(nacks(seqs, &gave_up), 0);
	CHECK(!gave_up);
}

TEST(a_jump_asks_for_nothing_but_says_that_something_was_lost)
{
	uint16_t seqs[300];
	bool gave_up;

	begin();
	in(1);
	in(5);
	in(40000);
	in(40001);
	now_ns += 100 * MS;
	CHECK_INT(nacks(seqs, &gave_up), 0);
	CHECK(gave_up);
}

TEST_MAIN()
