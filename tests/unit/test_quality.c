/*
 * A line's quality over virtual time: which word it gets, when it is told and when it is not.
 */
#include "lib/test.h"
#include "modules/sfu/quality.h"

struct line { /* what each second brings */
	unsigned packets, loss_permille, jitter_ms, rtt_ms;
	uint64_t wanted_bps, got_bps;
	bool gone;
};

static struct quality q;
static struct quality_sample up, down;
static uint64_t now_ms;
static unsigned n_told;

static void begin(void)
{
	memset(&q, 0, sizeof q);
	up = (struct quality_sample){.there = true};
	down = (struct quality_sample){.there = true};
	now_ms = 10000;
	n_told = 0;
}

static void second(struct quality_sample *s, const struct line *l)
{
	s->packets += l->packets;
	s->lost_packets += l->packets * l->loss_permille / 1000;
	s->jitter_us = l->jitter_ms * 1000;
	s->rtt_us = l->rtt_ms * 1000;
	s->wanted_bps = l->wanted_bps;
	s->got_bps = l->got_bps;
	s->lost = l->gone;
}

static void pass(unsigned seconds, struct line from, struct line to)
{
	for (unsigned i = 0; i < seconds; i++) {
		second(&up, &from);
		second(&down, &to);
		now_ms += QUALITY_LOOK_MS;
		n_told += quality_look(&q, &up, &down, now_ms);
	}
}

static const struct line fine = {.packets = 200, .jitter_ms = 3, .rtt_ms = 30};

static struct line lossy(unsigned permille)
{
	struct line l = fine;

	l.loss_permille = permille;
	return l;
}

static struct line narrow(uint64_t wanted_bps, uint64_t got_bps)
{
	struct line l = fine;

	l.wanted_bps = wanted_bps;
	l.got_bps = got_bps;
	return l;
}

TEST(a_fine_line_is_excellent_and_told_once)
{
	begin();
	pass(3, fine, fine);
	CHECK_INT(n_told, 0);
	pass(60, fine, fine);
	CHECK_INT(n_told, 1);
	CHECK_INT(q.told.word, QUALITY_EXCELLENT);
	CHECK(q.told.score >= 95);
	CHECK(q.told.up.known && q.told.down.known);
	CHECK_INT(q.told.up.rtt_ms, 30);
}

TEST(loss_either_way_makes_it_good_then_poor)
{
	for (unsigned way = 0; way < 2; way++) {
		begin();
		pass(10, fine, fine);
		pass(10, way ? lossy(60) : fine, way ? fine : lossy(60));
		CHECK_INT(q.told.word, QUALITY_GOOD);
		pass(10, way ? lossy(200) : fine, way ? fine : lossy(200));
		CHECK_INT(q.told.word, QUALITY_POOR);
		CHECK_INT(n_told, 3);
		pass(30, fine, fine);
		CHECK_INT(q.told.word, QUALITY_EXCELLENT);
	}
}

TEST(two_percent_are_still_excellent_and_a_third_of_a_second_of_delay_is_not)
{
	struct line far = fine;

	begin();
	pass(20, lossy(20), fine);
	CHECK_INT(q.told.word, QUALITY_EXCELLENT);
	begin();
	far.rtt_ms = 600;
	pass(20, fine, far);
	CHECK_INT(q.told.word, QUALITY_GOOD);
}

TEST(a_burst_within_one_second_changes_no_word)
{
	begin();
	pass(10, fine, fine);
	pass(1, lossy(80), fine);
	for (unsigned i = 0; i < 10; i++) {
		pass(1, fine, fine);
		CHECK_INT(q.told.word, QUALITY_EXCELLENT);
	}
	CHECK(n_told <= 2);
}

TEST(what_cannot_be_carried_counts_after_six_seconds_only)
{
	begin();
	pass(10, fine, narrow(2000000, 2000000));
	pass(6, fine, narrow(2000000, 500000));
	CHECK_INT(q.told.word, QUALITY_EXCELLENT);
	pass(6, fine, narrow(2000000, 500000));
	CHECK_INT(q.told.word, QUALITY_POOR);
	CHECK_INT(q.told.down.wanted_kbps, 2000);
	CHECK_INT(q.told.down.got_kbps, 500);
	begin();
	pass(20, narrow(2350000, 1400000), fine); /* the largest encoding has ceased */
	CHECK_INT(q.told.word, QUALITY_GOOD);
}

TEST(who_is_not_heard_is_lost_at_once_and_back_when_it_is_known)
{
	struct line gone = fine;

	begin();
	gone.gone = true;
	gone.packets = 0;
	pass(10, fine, fine);
	pass(1, gone, fine);
	CHECK_INT(q.told.word, QUALITY_LOST);
	CHECK(!q.told.up.known && q.told.score == 0);
	pass(20, gone, fine);
	CHECK_INT(n_told, 2);
	pass(5, fine, fine);
	CHECK_INT(q.told.word, QUALITY_EXCELLENT);
	CHECK_INT(n_told, 3);
}

TEST(wavering_about_a_limit_is_told_seldom)
{
	begin();
	for (unsigned i = 0; i < 60; i++)
		pass(2, i % 2 ? lossy(25) : lossy(45), fine);
	CHECK(n_told <= 6);
	begin();
	for (unsigned i = 0; i < 120; i++) /* from nothing to a quarter, every second */
		pass(1, i % 2 ? fine : lossy(250), fine);
	CHECK(n_told <= 12);
}

TEST(nobody_is_judged_by_what_it_does_not_have)
{
	begin();
	up.there = false;
	pass(20, (struct line){0}, fine);
	CHECK_INT(q.told.word, QUALITY_EXCELLENT);
	CHECK(!q.told.up.known);
	begin();
	up.there = down.there = false;
	pass(20, (struct line){0}, (struct line){0});
	CHECK_INT(n_told, 0);
}

/* A stream that ends takes its packets out of the sum; late packets lower what was lost. */
TEST(sums_may_fall)
{
	begin();
	pass(10, fine, fine);
	up.packets /= 2;
	up.lost_packets = 0;
	pass(10, fine, fine);
	CHECK_INT(n_told, 1);
	up.lost_packets += 30;
	pass(1, fine, fine);
	up.lost_packets -= 30;
	pass(10, fine, fine);
	CHECK_INT(q.told.word, QUALITY_EXCELLENT);
	CHECK_STR(sl_str_c(quality_name(q.told.word)), "excellent");
	CHECK_STR(sl_str_c(quality_name(99)), "unknown");
}

TEST_MAIN()
