/*
 * The estimator's parts, and what it answers to single events. How it fares over paths is in
 * tests/sim/test_bwe_*.
 */
#include "lib/test.h"
#include "proto/bwe_impl.h"

#define S_NS UINT64_C(1000000000)

static struct bwe *estimator(void)
{
	struct bwe *b;

	sl_assert(bwe_new(&b, &(struct bwe_opts){0}, S_NS) == 0);
	return b;
}

static uint64_t target(const struct bwe *b)
{
	struct bwe_state s;

	bwe_state(b, &s);
	return s.target_bps;
}

TEST(it_begins_at_the_start_rate_with_a_probe)
{
	struct bwe *b = estimator();
	struct bwe_state s;

	CHECK_INT(target(b), 300000);
	(void)bwe_tick(b, S_NS);
	bwe_state(b, &s);
	CHECK_INT(s.probe, 0); /* nothing to measure with before the first packet */
	bwe_sent(b, 1, 1200, 0, S_NS);
	(void)bwe_tick(b, S_NS);
	bwe_state(b, &s);
	CHECK(s.probe != 0);
	CHECK_INT(s.probe_bps, 900000);
	CHECK(s.probe_bytes >= 1500);
	bwe_free(b);
}

TEST(who_wants_no_more_is_not_probed)
{
	struct bwe *b = estimator();
	struct bwe_state s;

	bwe_set_wanted(b, 250000);
	bwe_sent(b, 1, 1200, 0, S_NS);
	(void)bwe_tick(b, S_NS);
	bwe_state(b, &s);
	CHECK_INT(s.probe, 0);
	bwe_free(b);
}

TEST(a_cluster_is_asked_for_until_it_is_sent)
{
	struct bwe *b = estimator();
	struct bwe_state s;
	unsigned n = 0;

	bwe_sent(b, 1, 1200, 0, S_NS);
	(void)bwe_tick(b, S_NS);
	bwe_state(b, &s);
	while (s.probe && n < 100) {
		bwe_sent(b, (uint16_t)(2 + n++), 300, s.probe, S_NS);
		bwe_state(b, &s);
	}
	CHECK(n >= 5 && n < 10);
	bwe_free(b);
}

TEST(silence_after_feedback_halves_the_rate_down_to_the_least)
{
	struct bwe *b = estimator();
	uint64_t now_ns = S_NS;
	uint8_t fb[24] = {0x8f, 0xcd, 0, 5, [13] = 1, [15] = 1, [20] = 0x20, [21] = 1};
	struct sl_rtcp_block block = {SL_RTCP_RTPFB, SL_RTCP_TWCC, fb, sizeof fb};

	bwe_set_wanted(b, 100000);
	bwe_sent(b, 1, 1200, 0, now_ns);
	CHECK_INT(bwe_feedback(b, &block, now_ns + S_NS / 10), 0);
	for (unsigned i = 0; i < 20; i++) {
		now_ns += S_NS / 10;
		bwe_sent(b, (uint16_t)(2 + i), 1200, 0, now_ns);
		(void)bwe_tick(b, now_ns);
	}
	CHECK(target(b) < 200000);
	for (unsigned i = 0; i < 200; i++) {
		now_ns += S_NS / 10;
		bwe_sent(b, (uint16_t)(30 + i), 1200, 0, now_ns);
		(void)bwe_tick(b, now_ns);
	}
	CHECK_INT(target(b), 30000);
	bwe_path_changed(b, now_ns);
	CHECK_INT(target(b), 300000);
	bwe_free(b);
}

TEST(nothing_sent_is_no_silence)
{
	struct bwe *b = estimator();
	uint64_t now_ns = S_NS;
	uint8_t fb[24] = {0x8f, 0xcd, 0, 5, [13] = 1, [15] = 1, [20] = 0x20, [21] = 1};
	struct sl_rtcp_block block = {SL_RTCP_RTPFB, SL_RTCP_TWCC, fb, sizeof fb};

	bwe_sent(b, 1, 1200, 0, now_ns);
	CHECK_INT(bwe_feedback(b, &block, now_ns + S_NS / 10), 0);
	for (unsigned i = 0; i < 100; i++)
		(void)bwe_tick(b, now_ns += S_NS / 10);
	CHECK_INT(target(b), 300000);
	bwe_free(b);
}

TEST(peers_without_feedback_are_judged_by_their_reports)
{
	struct bwe *b = estimator();
	uint64_t now_ns = S_NS;

	for (unsigned i = 0; i < 20; i++) {
		bwe_report(b, 0, 50000, now_ns += S_NS);
		(void)bwe_tick(b, now_ns);
	}
	CHECK(target(b) > 1000000);
	for (unsigned i = 0; i < 5; i++) /* of as many streams: one decision */
		bwe_report(b, 128, 50000, now_ns += 1000);
	(void)bwe_tick(b, now_ns);
	CHECK(target(b) < 1100000 && target(b) > 500000);
	bwe_remb(b, 200000, now_ns);
	CHECK_INT(target(b), 200000);
	bwe_free(b);
}

TEST(who_tells_nothing_of_clusters_is_sent_none)
{
	struct bwe *b = estimator();
	struct bwe_state s;
	unsigned n = 0;

	for (unsigned i = 0; i < 400; i++) {
		uint64_t now_ns = S_NS + i * S_NS / 20;

		bwe_sent(b, (uint16_t)i, 1200, 0, now_ns);
		(void)bwe_tick(b, now_ns);
		bwe_state(b, &s);
		n += s.probe > n;
	}
	CHECK_INT(n, 3);
	bwe_path_changed(b, 30 * S_NS);
	bwe_report(b, 0, 50000, 30 * S_NS);
	bwe_sent(b, 1000, 1200, 0, 30 * S_NS);
	(void)bwe_tick(b, 30 * S_NS);
	bwe_state(b, &s);
	CHECK_INT(s.probe, 0);
	bwe_free(b);
}

TEST(a_cap_that_is_not_repeated_is_lifted)
{
	struct bwe *b = estimator();

	bwe_remb(b, 100000, S_NS);
	CHECK_INT(target(b), 100000);
	(void)bwe_tick(b, 5 * S_NS);
	CHECK_INT(target(b), 100000);
	(void)bwe_tick(b, 20 * S_NS);
	CHECK_INT(target(b), 300000);
	bwe_free(b);
}

/* ---- history */

TEST(the_history_grows_with_what_is_in_flight_and_forgets_the_rest)
{
	struct bwe_history h = {0};
	const struct bwe_packet p = {.bytes = 1};

	bwe_history_forget(&h); /* of nothing */
	CHECK(bwe_history_find(&h, bwe_history_unwrap(&h, 65000)) == NULL);
	for (unsigned i = 0; i < 1000; i++)
		bwe_history_add(&h, (uint16_t)(65000 + i), p, 1000);
	CHECK_INT(h.size, 1024);
	CHECK(bwe_history_find(&h, bwe_history_unwrap(&h, 65000)) != NULL);
	CHECK(bwe_history_find(&h, h.next) == NULL);
	for (unsigned i = 0; i < 100000; i++)
		bwe_history_add(&h, (uint16_t)h.next, p, 1000);
	CHECK_INT(h.size, 8192);
	CHECK(bwe_history_find(&h, h.next - 8193) == NULL);
	bwe_history_free(&h);
}

TEST(numbers_that_were_skipped_are_nobodys)
{
	struct bwe_history h = {0};
	const struct bwe_packet p = {.bytes = 1};

	bwe_history_add(&h, 10, p, 0);
	bwe_history_add(&h, 13, p, 0);
	CHECK(bwe_history_find(&h, bwe_history_unwrap(&h, 10)) != NULL);
	CHECK(bwe_history_find(&h, bwe_history_unwrap(&h, 11)) == NULL);
	CHECK(bwe_history_find(&h, bwe_history_unwrap(&h, 13)) != NULL);
	bwe_history_add(&h, 9, p, 0); /* a caller that began again */
	CHECK(bwe_history_find(&h, bwe_history_unwrap(&h, 13)) == NULL);
	bwe_history_free(&h);
}

/* ---- arrival rate */

TEST(arrival_is_measured_over_a_window)
{
	struct bwe_acked a = {0};

	CHECK(bwe_acked_bps(&a, 500) == 0);
	for (int64_t us = 5000000; us < 7000000; us += 10000)
		bwe_acked_add(&a, us, 1250);
	CHECK(bwe_acked_bps(&a, 500) > 950000 && bwe_acked_bps(&a, 500) < 1050000);
	for (int64_t us = 7000000; us < 7200000; us += 20000)
		bwe_acked_add(&a, us, 1250);
	CHECK(bwe_acked_bps(&a, 150) < 600000);
	CHECK(bwe_acked_bps(&a, 1000) > 800000);
	bwe_acked_add(&a, 90000000, 1250); /* a pause begins anew */
	CHECK(bwe_acked_bps(&a, 500) == 0);
}

/* ---- loss */

static enum bwe_loss_verdict lose(struct bwe_loss *l, uint64_t *now_us, unsigned every)
{
	for (unsigned i = 0; i < 99; i++)
		bwe_loss_packet(l, *now_us + i, i % every == 0);
	*now_us += 1000000;
	return bwe_loss_judge(l, false, *now_us);
}

TEST(loss_that_stays_when_less_is_sent_is_nature)
{
	struct bwe_loss l;
	uint64_t now_us = 1000000;

	bwe_loss_init(&l);
	CHECK_INT(lose(&l, &now_us, 1000), BWE_LOSS_FINE);
	CHECK_INT(lose(&l, &now_us, 10), BWE_LOSS_EXCESS);
	CHECK(bwe_loss_cut(&l, now_us) < 0.92);
	CHECK_INT(lose(&l, &now_us, 10), BWE_LOSS_NATURE);
	CHECK_INT(lose(&l, &now_us, 10), BWE_LOSS_FINE);
	CHECK_INT(lose(&l, &now_us, 3), BWE_LOSS_EXCESS); /* more than nature */
}

TEST(loss_that_goes_was_ours)
{
	struct bwe_loss l;
	uint64_t now_us = 1000000;

	bwe_loss_init(&l);
	CHECK_INT(lose(&l, &now_us, 1000), BWE_LOSS_FINE);
	CHECK_INT(lose(&l, &now_us, 5), BWE_LOSS_EXCESS);
	(void)bwe_loss_cut(&l, now_us);
	CHECK_INT(lose(&l, &now_us, 100), BWE_LOSS_OURS);
	CHECK_INT(lose(&l, &now_us, 5), BWE_LOSS_EXCESS);
}

TEST(what_nobody_can_use_is_never_nature)
{
	struct bwe_loss l;
	uint64_t now_us = 1000000;

	bwe_loss_init(&l);
	(void)lose(&l, &now_us, 1000);
	for (unsigned i = 0; i < 5; i++) {
		CHECK_INT(lose(&l, &now_us, 2), BWE_LOSS_EXCESS);
		(void)bwe_loss_cut(&l, now_us);
	}
}

TEST_MAIN()
