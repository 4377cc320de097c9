/*
 * tests/unit/test_rtp_event.c: digits as events: each is told once, whatever is lost or sent again.
 */
#include "lib/test.h"

#include <sluice/audio.h>
#include <sluice/clock.h>

static struct sl_event_in in;
static char digit;
static uint32_t duration;
static uint64_t now_ns;

static bool hear(unsigned event, bool end, unsigned units, uint32_t ts)
{
	const struct sl_event_payload e = {
		.event = (uint8_t)event, .end = end, .duration = (uint16_t)units, .volume = 10};

	now_ns += 20 * SL_NS_PER_MS;
	return sl_event_hear(&in, &e, ts, now_ns, &digit, &duration);
}

static void begin(void)
{
	in = (struct sl_event_in){0};
	now_ns = SL_NS_PER_S;
}

TEST(an_event_is_written_as_it_is_read)
{
	const struct sl_event_payload e = {
		.event = 11, .volume = 10, .end = true, .duration = 1600};
	struct sl_event_payload got;
	uint8_t bytes[4];

	sl_event_write(bytes, &e);
	CHECK(memcmp(bytes, "\x0b\x8a\x06\x40", 4) == 0); /* RFC 4733 section 2.3 */
	CHECK_INT(sl_event_read(&got, (struct sl_str){(char *)bytes, 4}), 0);
	CHECK_INT(got.event, 11);
	CHECK(got.end && got.volume == 10 && got.duration == 1600);
	CHECK_INT(sl_event_read(&got, (struct sl_str){(char *)bytes, 3}), -SL_EPARSE);
	CHECK_INT(sl_event_of_digit('#'), 11);
	CHECK_INT(sl_event_of_digit('x'), -1);
	CHECK_INT(sl_event_digit(16), 0);
}

TEST(a_digit_whose_end_comes_three_times_is_told_once)
{
	begin();
	for (unsigned i = 1; i <= 5; i++)
		CHECK(!hear(5, false, 160 * i, 8000));
	CHECK(hear(5, true, 960, 8000));
	CHECK_INT(digit, '5');
	CHECK_INT(duration, 960);
	CHECK(!hear(5, true, 960, 8000));
	CHECK(!hear(5, true, 960, 8000));
}

TEST(the_same_digit_twice_is_two_digits)
{
	begin();
	CHECK(hear(7, true, 800, 1000));
	CHECK(!hear(7, true, 800, 1000));
	CHECK(hear(7, true, 800, 5000));
	CHECK_INT(digit, '7');
}

TEST(a_lost_end_is_told_by_the_next_digit)
{
	begin();
	CHECK(!hear(1, false, 160, 1000));
	CHECK(hear(2, false, 160, 9000));
	CHECK_INT(digit, '1');
	CHECK(hear(2, true, 480, 9000));
	CHECK_INT(digit, '2');
}

TEST(a_lost_end_before_a_digit_that_is_over_tells_both)
{
	begin();
	CHECK(!hear(1, false, 160, 1000));
	CHECK(hear(2, true, 480, 9000));
	CHECK_INT(digit, '1');
	CHECK(hear(2, true, 480, 9000)); /* its end is repeated */
	CHECK_INT(digit, '2');
}

TEST(a_lost_end_is_told_after_a_while)
{
	begin();
	CHECK(!hear(9, false, 160, 1000));
	CHECK(!sl_event_time(&in, now_ns + 100 * SL_NS_PER_MS, &digit, &duration));
	CHECK(sl_event_time(&in, now_ns + 300 * SL_NS_PER_MS, &digit, &duration));
	CHECK_INT(digit, '9');
	CHECK(!sl_event_time(&in, now_ns + 600 * SL_NS_PER_MS, &digit, &duration));
	CHECK(!hear(9, true, 160, 1000)); /* late repetition */
}

TEST(an_old_packet_of_the_digit_before_is_nothing)
{
	begin();
	CHECK(hear(1, true, 160, 9000));
	CHECK(!hear(4, false, 160, 12000));
	CHECK(!hear(1, true, 160, 9000));
	CHECK(hear(4, true, 320, 12000));
	CHECK_INT(digit, '4');
}

TEST(fax_tones_are_no_digits)
{
	begin();
	CHECK(!hear(32, true, 160, 1000));
	CHECK(!in.open);
}

TEST_MAIN()
