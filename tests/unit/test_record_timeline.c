/*
 * From RTP times to this node's: sound and picture of one sender together, drift, wrap-around,
 * restarts, and reports that make no sense.
 */
#include <sluice/clock.h>
#include "lib/test.h"
#include "modules/recorder/timeline.h"

#define S ((int64_t)SL_NS_PER_S)
#define MS ((int64_t)SL_NS_PER_MS)
#define NTP_EPOCH UINT64_C(3900000000)

static struct peer_clock clock_of_peer;
static bool restarted;

/* The sender's clock, at ns since it began */
static struct sl_rtc_clock report(int64_t ns, uint32_t ts)
{
	uint64_t seconds = NTP_EPOCH + (uint64_t)(ns / S), rest = (uint64_t)(ns % S);

	return (struct sl_rtc_clock){seconds << 32 | (rest << 32) / (uint64_t)S, ts};
}

static int64_t map(struct timeline *t, uint32_t ts, int64_t arrival)
{
	return timeline_map(t, &clock_of_peer, ts, (uint64_t)arrival, &restarted);
}

static struct timeline begin(uint32_t hz)
{
	struct timeline t;

	clock_of_peer = (struct peer_clock){0};
	timeline_init(&t, hz);
	return t;
}

TEST(without_reports_time_goes_by_the_first_arrival)
{
	struct timeline t = begin(48000);

	CHECK_INT(map(&t, 1000, 10 * S), 10 * S);
	CHECK_INT(map(&t, 1960, 10 * S + 35 * MS), 10 * S + 20 * MS);
	CHECK(!restarted);
}

/* As after a connection has come about: what was waiting comes at once. */
TEST(a_first_packet_that_came_late_is_made_up_for_and_no_frame_lies_on_another)
{
	struct timeline t = begin(48000);
	int64_t before = map(&t, 0, 10 * S + 80 * MS), at;

	for (int64_t n = 1; n < 20; n++, before = at) {
		int64_t arrival = 10 * S + (n < 4 ? 80 : n * 20) * MS;

		at = map(&t, (uint32_t)n * 960, arrival);
		CHECK(at - before >= 13 * MS && at - before <= 20 * MS);
	}
	CHECK_INT(before, 10 * S + 380 * MS);
}

TEST(sound_and_picture_of_one_sender_come_together)
{
	struct timeline sound = begin(48000), picture = begin(90000);
	struct sl_rtc_clock r;
	int64_t a = 0, v = 0;

	/* Pictures need 120 ms more to get here; both clocks begin anywhere. */
	for (int64_t at = 0; at < 20 * S; at += 20 * MS) {
		uint32_t ats = (uint32_t)(4000000000u + at * 48 / MS),
			 vts = (uint32_t)(77 + at * 90 / MS);

		if (at % (2 * S) == 400 * MS) {
			r = report(at, ats);
			timeline_report(&sound, &r);
			r = report(at, vts);
			timeline_report(&picture, &r);
		}
		a = map(&sound, ats, 100 * S + at + 15 * MS + (at / MS * 7 % 9) * MS);
		v = map(&picture, vts, 100 * S + at + 135 * MS + (at / MS * 5 % 30) * MS);
	}
	CHECK(a - v < 2 * MS && v - a < 2 * MS);
}

TEST(a_clock_that_drifts_is_followed)
{
	struct timeline t = begin(90000);
	int64_t last = 0, out = 0;

	/* 500 ppm fast over an hour is 1.8 s; the reports say so */
	for (int64_t at = 0; at < 3600 * S; at += 40 * MS) {
		uint32_t ts = (uint32_t)(at / MS * 90 + at / MS * 90 / 2000);

		if (at % (4 * S) == 0) {
			struct sl_rtc_clock r = report(at, ts);

			timeline_report(&t, &r);
		}
		out = map(&t, ts, 50 * S + at + 10 * MS);
		CHECK(out > last && !restarted);
		last = out;
	}
	out -= 50 * S + 3600 * S - 40 * MS + 10 * MS;
	CHECK(out < 5 * MS && out > -5 * MS);
}

TEST(rtp_time_wraps_and_nobody_notices)
{
	struct timeline t = begin(90000);
	uint32_t ts = UINT32_MAX - 90000;
	int64_t first = map(&t, ts, 5 * S), out = first;

	for (int i = 1; i <= 100; i++)
		out = map(&t, ts + (uint32_t)i * 1800, 5 * S + i * 20 * MS);
	CHECK_INT(out - first, 2 * S);
	CHECK(!restarted && t.n_restarts == 0);
}

TEST(time_that_runs_back_begins_anew_but_pictures_out_of_order_do_not)
{
	struct timeline t = begin(90000);

	(void)map(&t, 900000, 10 * S);
	CHECK_INT(map(&t, 909000, 10 * S + 100 * MS), 10 * S + 100 * MS);
	CHECK_INT(map(&t, 903000, 10 * S + 110 * MS), 10 * S + 33333333);
	CHECK(!restarted);
	CHECK_INT(map(&t, 819000, 10 * S + 200 * MS), 10 * S + 200 * MS); /* a second back */
	CHECK(restarted);
	CHECK_INT(map(&t, 828000, 10 * S + 300 * MS), 10 * S + 300 * MS);
	CHECK(!restarted);
}

TEST(what_is_read_again_behind_a_crash_is_no_time_that_runs_back)
{
	struct timeline t = begin(48000);

	timeline_resume(&t, 96000, 12 * S);
	CHECK_INT(map(&t, 24000, 10 * S + 500 * MS), 10 * S + 500 * MS);
	CHECK(!restarted);
	CHECK_INT(map(&t, 96960, 12 * S + 20 * MS), 12 * S + 20 * MS);
	CHECK(!restarted);
}

enum { N_STEPS = 400, STEP_MS = 20 };

/* A sender of sound on a loaded machine: what it sends in the second from 3 s on comes at its end,
 * all at once; else with up to 9 ms of jitter */
static int64_t arrival_of(int n)
{
	int64_t sent = (int64_t)n * STEP_MS;
	int64_t came = sent >= 3000 && sent < 4000 ? 4000 : sent + n * 7 % 9;

	return (100000 + came) * MS;
}

static uint32_t ts_of(int n)
{
	return 4294900000u + (uint32_t)n * STEP_MS * 48;
}

static void step(struct timeline *t, int n, int64_t *ret_at)
{
	struct sl_rtc_clock r = report((int64_t)n * STEP_MS * MS, ts_of(n));

	if (n % 50 == 25)
		timeline_report(t, &r);
	*ret_at = map(t, ts_of(n), arrival_of(n));
	CHECK(!restarted);
}

/* Whatever of what the first had placed comes to it again. */
TEST(a_process_that_is_killed_at_any_step_leaves_no_hole_behind_it)
{
	for (int kill = 1; kill < N_STEPS - 1; kill++) {
		struct timeline t = begin(48000);
		int64_t at = 0, before = 0;

		for (int n = 0; n <= kill; n++)
			step(&t, n, &at);
		timeline_init(&t, 48000);
		timeline_resume(&t, ts_of(kill), at);
		for (int n = kill > 75 ? kill - 75 : 0; n <= kill; n++)
			before = timeline_past(&t, ts_of(n));
		CHECK_INT(before, at);
		for (int n = kill + 1; n < N_STEPS && n < kill + 100; n++, before = at) {
			step(&t, n, &at);
			CHECK(at - before > 12 * MS && at - before < 28 * MS);
		}
	}
}

TEST(a_picture_out_of_order_that_comes_late_is_no_clock_that_runs_back)
{
	struct timeline t = begin(90000);

	(void)map(&t, 900000, 10 * S);
	(void)map(&t, 906000, 10 * S + 67 * MS);
	CHECK_INT(map(&t, 903000, 10 * S + 700 * MS), 10 * S + 33333333);
	CHECK(!restarted);
}

TEST(a_clock_that_is_learnt_behind_a_crash_was_the_one_before_it)
{
	struct timeline t = begin(48000);

	timeline_resume(&t, 8000, 10 * S);
	timeline_set_clock(&t, 8000);
	CHECK_INT(map(&t, 8160, 10 * S + 300 * MS), 10 * S + 20 * MS);
	CHECK(!restarted);
	timeline_set_clock(&t, 48000);
	(void)map(&t, 9000, 10 * S + 320 * MS);
	CHECK(restarted);
}

TEST(another_stream_begins_at_its_arrival)
{
	struct timeline t = begin(48000);

	(void)map(&t, 1000, 10 * S);
	timeline_restart(&t);
	CHECK_INT(map(&t, 2000, 11 * S), 11 * S);
	CHECK(restarted);
	CHECK_INT(map(&t, 2960, 11 * S + 20 * MS), 11 * S + 20 * MS);
	CHECK(!restarted);
}

TEST(another_clock_begins_at_its_arrival_and_counts_in_its_own)
{
	struct timeline t = begin(48000);
	struct sl_rtc_clock sent = report(8 * S, 960);

	map(&t, 0, 10 * S);
	timeline_report(&t, &sent);
	CHECK_INT(map(&t, 960, 10 * S + 20 * MS), 10 * S + 20 * MS);
	timeline_set_clock(&t, 8000);
	CHECK_INT(map(&t, 1000000, 10 * S + 40 * MS), 10 * S + 40 * MS);
	CHECK(restarted);
	CHECK_INT(map(&t, 1000160, 10 * S + 65 * MS), 10 * S + 60 * MS);
	CHECK(!restarted);
}

TEST(a_clock_set_before_anything_came_is_no_restart)
{
	struct timeline t = begin(48000);

	timeline_set_clock(&t, 8000);
	CHECK_INT(map(&t, 160, 10 * S), 10 * S);
	CHECK_INT(map(&t, 320, 10 * S + 20 * MS), 10 * S + 20 * MS);
	CHECK(!restarted);
}

TEST(thirty_hours_of_pictures_keep_their_time_over_two_wraps)
{
	struct timeline t = begin(90000);

	for (int64_t i = 0; i < 30 * 3600 * 10; i++) {
		uint32_t ts = (uint32_t)(4000000000u + (uint64_t)i * 9000);

		CHECK_INT(map(&t, ts, S + i * 100 * MS), S + i * 100 * MS);
		CHECK(!restarted);
	}
}

TEST(a_successor_goes_on_where_the_first_had_been)
{
	struct timeline t = begin(48000);

	timeline_resume(&t, 4294967000u, 10 * S);
	/* Sent on time, come late: it is where it was said, not where it came. */
	CHECK_INT(map(&t, 4294967000u + 960, 10 * S + 700 * MS), 10 * S + 20 * MS);
	CHECK(!restarted);
	CHECK_INT(map(&t, 4294967000u - 960, 10 * S + 700 * MS), 10 * S - 20 * MS);
	CHECK(!restarted);
}

TEST(a_restarted_clock_begins_at_its_arrival_and_is_told)
{
	struct timeline t = begin(48000);

	(void)map(&t, 1000, 10 * S);
	CHECK_INT(map(&t, 900000000, 11 * S), 11 * S);
	CHECK(restarted);
	CHECK_INT(map(&t, 900000960, 11 * S + 20 * MS), 11 * S + 20 * MS);
	CHECK(!restarted && t.n_restarts == 1);
	CHECK_INT(map(&t, 900000960 - 48000 * 10, 11 * S + 40 * MS), 11 * S + 40 * MS);
	CHECK(restarted);
}

TEST(a_long_silence_with_a_running_clock_is_no_restart)
{
	struct timeline t = begin(48000);

	(void)map(&t, 0, 10 * S);
	CHECK_INT(map(&t, 48000 * 3600u, (10 + 3600) * S), (10 + 3600) * S);
	CHECK(!restarted);
}

TEST(what_a_stalled_sender_sends_all_at_once_keeps_its_times)
{
	struct timeline t = begin(48000);
	int64_t first = map(&t, 0, 10 * S), out = 0;

	for (int i = 1; i <= 200; i++) {
		out = map(&t, (uint32_t)i * 960, 14 * S + i * MS / 10);
		CHECK(!restarted);
	}
	CHECK_INT(out - first, 4 * S);
}

TEST(a_clock_that_stood_while_nothing_was_sent_goes_on_now)
{
	struct timeline t = begin(48000);

	(void)map(&t, 0, 10 * S);
	CHECK_INT(map(&t, 960, 60 * S), 60 * S);
	CHECK_INT(map(&t, 1920, 60 * S + 20 * MS), 60 * S + 20 * MS);
}

TEST(a_report_from_nowhere_is_left_out)
{
	struct timeline t = begin(48000);
	struct sl_rtc_clock far_ts = report(0, 48000u * 4000), mad = report(0, 960);

	(void)map(&t, 0, 10 * S);
	timeline_report(&t, &far_ts);
	CHECK_INT(t.n_reports, 0);
	timeline_report(&t, &mad);
	CHECK_INT(map(&t, 960, 10 * S + 20 * MS) / MS, (10 * S + 20 * MS) / MS);
	mad.ntp += UINT64_C(9000) << 32; /* two and a half hours later, says the next */
	timeline_report(&t, &mad);
	for (int i = 2; i < 200; i++)
		CHECK(map(&t, (uint32_t)i * 960, 10 * S + i * 20 * MS) / MS <=
		      (10 * S + i * 20 * MS) / MS + 1);
}

/* ---- reports that are not all right */

enum { REPORT_MS = 4000 };

/* A minute and a half of sound, with a report every four seconds, the n-th of which is off by what
 * error_of says. All times are when it was said. */
static void check_times(int64_t (*error_of)(int64_t n))
{
	struct timeline t = begin(48000);
	int64_t off = 0;

	for (int64_t at = 0; at < 90 * S; at += 20 * MS) {
		uint32_t ts = (uint32_t)(at * 48 / MS);

		if (at % (REPORT_MS * MS) == 1000 * MS) {
			int64_t n = at / (REPORT_MS * MS);
			struct sl_rtc_clock r = report(100 * S + at + error_of(n), ts);

			timeline_report(&t, &r);
			timeline_report(&t, &r); /* as when another encoding has one */
		}
		off = map(&t, ts, 50 * S + at) - 50 * S - at;
		CHECK(!restarted && off < MS / 1000 && off > -MS / 1000);
	}
}

static int64_t late_once(int64_t n)
{
	return n == 5 ? 90 * MS : 0;
}

static int64_t early_once(int64_t n)
{
	return n == 5 ? -90 * MS : 0;
}

static int64_t now_and_then(int64_t n)
{
	return n % 3 == 2 ? (n % 2 ? 90 : -400) * MS : 0;
}

static int64_t from_another_year(int64_t n)
{
	return n == 7 ? 86400 * 365 * S : 0;
}

TEST(a_report_that_is_wrong_moves_nothing)
{
	static int64_t (*const errors[])(int64_t n) = {late_once, early_once, now_and_then,
						       from_another_year};

	for (size_t i = 0; i < SL_ARRAY_LEN(errors); i++)
		check_times(errors[i]);
}

static int64_t set_forward(int64_t n)
{
	return n >= 5 ? 5 * S : 0;
}

static int64_t set_back(int64_t n)
{
	return n >= 5 ? -5 * S : 0;
}

/* Which says nothing of what is heard when: its ways here are as long as they were. */
TEST(a_sender_whose_clock_is_set_keeps_its_times)
{
	check_times(set_forward);
	check_times(set_back);
}

/* Sound that stood still for 90 ms without counting them; and the picture goes on */
TEST(a_track_that_falls_behind_is_followed_with_the_second_report_that_says_so)
{
	struct timeline sound = begin(48000), picture = begin(90000);
	int64_t behind = 0, a = 0, v = 0, followed = 0;

	for (int64_t at = 0; at < 60 * S; at += 20 * MS) {
		uint32_t ats, vts = (uint32_t)(at * 90 / MS);
		struct sl_rtc_clock r;

		behind = at >= 20 * S ? 90 * MS : 0;
		ats = (uint32_t)((at - behind) * 48 / MS);
		if (at % (REPORT_MS * MS) == 1000 * MS) {
			r = report(100 * S + at, ats);
			timeline_report(&sound, &r);
			r = report(100 * S + at, vts);
			timeline_report(&picture, &r);
		}
		a = map(&sound, ats, 50 * S + at);
		v = map(&picture, vts, 50 * S + at + 30 * MS);
		if (behind && !followed && v - a < 5 * MS)
			followed = at;
	}
	/* Reports come at 21 and 25 s; a fiftieth of the time that passes makes it up. */
	CHECK(followed > 25 * S && followed <= 31 * S);
	CHECK(v - a < MS && a - v < MS);
}

TEST(a_report_from_before_a_long_silence_has_no_say_in_what_follows)
{
	struct timeline t = begin(48000);
	struct sl_rtc_clock r;

	for (int64_t at = 0; at < 10 * S; at += 20 * MS) {
		r = report(100 * S + at, (uint32_t)(at * 48 / MS));
		if (at % (4 * S) == 0)
			timeline_report(&t, &r);
		(void)map(&t, (uint32_t)(at * 48 / MS), 50 * S + at);
	}
	/* An hour later its clocks are half a second apart. */
	(void)map(&t, 48u * 3600000, 50 * S + 3600 * S + 500 * MS);
	r = report(100 * S + 3600 * S + 500 * MS, 48u * 3600000);
	timeline_report(&t, &r);
	CHECK_INT(t.n_reports, 1);
	CHECK_INT(t.sender.ts & UINT32_MAX, 48u * 3600000);
}

TEST(an_early_report_counts_once_media_comes)
{
	struct timeline t = begin(48000);
	struct sl_rtc_clock r = report(7 * S, 4800);

	timeline_report(&t, &r);
	(void)map(&t, 0, 10 * S);
	CHECK_INT(t.n_reports, 1);
	CHECK_INT(t.sender.ts, 65536ull * 65536 + 4800);
}

TEST_MAIN()
