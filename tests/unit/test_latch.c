/*
 * From where the media of a line is believed to come: the described address, one that has proven
 * itself, and nobody else. In virtual time; addresses are of documentation (RFC 5737).
 */
#include "proto/latch.h"

#include <sluice/clock.h>
#include "lib/test.h"

static const struct sl_addr described = {.family = 4, .port = 4000, .ip = {192, 0, 2, 1}};
static const struct sl_addr behind_nat = {.family = 4, .port = 6000, .ip = {198, 51, 100, 7}};
static const struct sl_addr other_port = {.family = 4, .port = 6002, .ip = {198, 51, 100, 7}};
static const struct sl_addr attacker = {.family = 4, .port = 6000, .ip = {203, 0, 113, 9}};

static struct latch latch;
static uint64_t now_ns;
static uint16_t seq;

static void begin(void)
{
	latch = (struct latch){0};
	now_ns = 100 * SL_NS_PER_S;
	seq = 65530; /* numbers begin anew within the tests */
	latch_describe(&latch, &described, false);
}

static enum latch_verdict packet_of(const struct sl_addr *from, uint32_t ssrc, bool authentic)
{
	const struct latch_packet p = {
		.from = from, .ssrc = ssrc, .seq = ++seq, .authentic = authentic};

	now_ns += 20 * SL_NS_PER_MS;
	return latch_packet(&latch, &p, now_ns);
}

static enum latch_verdict packet(const struct sl_addr *from)
{
	return packet_of(from, 7, false);
}

static bool sends_to(const struct sl_addr *a)
{
	return sl_addr_eq(latch_to(&latch), a);
}

/* A telephone behind a NAT, believed by its four packets. */
static void lock_behind_nat(void)
{
	begin();
	for (unsigned i = 0; i < 4; i++)
		packet(&behind_nat);
}

TEST(until_somebody_speaks_media_goes_where_was_said)
{
	begin();
	CHECK(sends_to(&described));
}

TEST(the_described_address_is_believed_at_its_first_packet)
{
	begin();
	CHECK_INT(packet(&described), LATCH_MOVED);
	CHECK_INT(packet(&described), LATCH_TAKE);
	CHECK(sends_to(&described));
}

TEST(another_address_is_heard_at_once_and_believed_after_four_packets)
{
	begin();
	for (unsigned i = 0; i < 3; i++) {
		CHECK_INT(packet(&behind_nat), LATCH_TAKE);
		CHECK(sends_to(&described));
	}
	CHECK_INT(packet(&behind_nat), LATCH_MOVED);
	CHECK(sends_to(&behind_nat));
}

TEST(two_who_race_both_lose)
{
	begin();
	for (unsigned i = 0; i < 50; i++)
		CHECK_INT(packet(i % 2 ? &attacker : &behind_nat), LATCH_TAKE);
	CHECK(sends_to(&described));
}

TEST(four_streams_from_one_place_are_no_proof)
{
	begin();
	for (uint32_t ssrc = 1; ssrc <= 20; ssrc++)
		CHECK_INT(packet_of(&behind_nat, ssrc, false), LATCH_TAKE);
	CHECK(sends_to(&described));
}

TEST(a_repeated_packet_is_no_proof)
{
	begin();
	for (unsigned i = 0; i < 20; i++) {
		seq = 100;
		CHECK_INT(packet(&behind_nat), LATCH_TAKE);
	}
	CHECK(sends_to(&described));
}

TEST(an_authentic_packet_is_proof_enough)
{
	begin();
	CHECK_INT(packet_of(&behind_nat, 7, true), LATCH_MOVED);
	CHECK(sends_to(&behind_nat));
}

TEST(who_was_described_takes_over_from_a_stranger_who_was_faster)
{
	begin();
	for (unsigned i = 0; i < 4; i++)
		(void)packet(&attacker);
	CHECK(sends_to(&attacker));
	CHECK_INT(packet(&described), LATCH_MOVED);
	CHECK(sends_to(&described));
	CHECK_INT(packet(&attacker), LATCH_STRANGER);
}

TEST(once_locked_nobody_else_is_heard)
{
	lock_behind_nat();
	for (unsigned i = 0; i < 10; i++) {
		CHECK_INT(packet_of(&attacker, 99, false), LATCH_STRANGER);
		CHECK_INT(packet(&behind_nat), LATCH_TAKE);
	}
	now_ns += 60 * SL_NS_PER_S;
	CHECK_INT(packet_of(&attacker, 7, false), LATCH_STRANGER);
	CHECK(sends_to(&behind_nat));
}

TEST(a_nat_may_choose_another_port_once_the_old_one_is_silent)
{
	lock_behind_nat();
	CHECK_INT(packet(&other_port), LATCH_STRANGER);
	now_ns += 3 * SL_NS_PER_S;
	CHECK_INT(packet_of(&other_port, 99, false), LATCH_STRANGER); /* of another stream */
	CHECK_INT(packet(&other_port), LATCH_MOVED);
	CHECK(sends_to(&other_port));
}

TEST(a_port_that_goes_on_far_from_where_the_stream_was_is_a_stranger)
{
	lock_behind_nat();
	now_ns += 3 * SL_NS_PER_S;
	seq = (uint16_t)(seq + 1000);
	CHECK_INT(packet(&other_port), LATCH_STRANGER);
}

TEST(who_has_the_keys_may_move_anywhere_but_not_by_a_replay)
{
	lock_behind_nat();
	CHECK_INT(packet_of(&attacker, 7, true), LATCH_MOVED);
	seq = (uint16_t)(seq - 5);
	CHECK_INT(packet_of(&behind_nat, 7, true), LATCH_STRANGER);
}

TEST(a_strict_line_hears_the_described_address_only)
{
	begin();
	latch_describe(&latch, &described, true);
	for (unsigned i = 0; i < 10; i++)
		CHECK_INT(packet(&behind_nat), LATCH_STRANGER);
	CHECK_INT(packet_of(&behind_nat, 7, true), LATCH_STRANGER);
	CHECK_INT(packet(&described), LATCH_MOVED);
}

TEST(another_description_opens_the_lock_and_the_same_one_does_not)
{
	lock_behind_nat();
	latch_describe(&latch, &described, false);
	CHECK(sends_to(&behind_nat));
	latch_describe(&latch, &attacker, false);
	CHECK(sends_to(&attacker));
	CHECK_INT(packet(&behind_nat), LATCH_TAKE);
}

TEST(without_a_description_the_candidate_is_answered)
{
	latch = (struct latch){0};
	CHECK_INT(packet(&behind_nat), LATCH_TAKE);
	CHECK(sends_to(&behind_nat));
}

TEST_MAIN()
