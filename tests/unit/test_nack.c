/*
 * Asking for missing packets: the allowance for reordering, one question per round trip, and what is
 * given up.
 */
#include "lib/test.h"
#include "proto/nack.h"

#define MS UINT64_C(1000000)

static struct nack_list l;
static uint16_t seqs[NACK_MAX];

static void begin(void)
{
	memset(&l, 0, sizeof l);
}

static unsigned take(uint64_t now_ms)
{
	return nack_take(&l, now_ms * MS, 100000, seqs, NACK_MAX);
}

TEST(what_was_only_overtaken_is_not_asked_for)
{
	begin();
	nack_missing(&l, 65540, 65543, 0);
	CHECK_INT(take(9), 0);
	nack_arrived(&l, 65541);
	nack_arrived(&l, 65541);
	CHECK_INT(nack_next_ns(&l), 10 * MS);
	CHECK_INT(take(10), 2);
	CHECK_INT(seqs[0], 4);
	CHECK_INT(seqs[1], 6);
}

TEST(a_number_is_asked_for_once_per_round_trip)
{
	begin();
	nack_missing(&l, 7, 8, 0);
	CHECK_INT(take(10), 1);
	CHECK_INT(take(11), 0);
	CHECK_INT(take(134), 0);
	CHECK_INT(take(135), 1);
	CHECK_INT(nack_next_ns(&l), 260 * MS);
}

TEST(very_short_round_trips_do_not_make_a_storm)
{
	begin();
	nack_missing(&l, 7, 8, 0);
	CHECK_INT(nack_take(&l, 10 * MS, 500, seqs, 9), 1);
	CHECK_INT(nack_take(&l, 29 * MS, 500, seqs, 9), 0);
	CHECK_INT(nack_take(&l, 30 * MS, 500, seqs, 9), 1);
}

TEST(after_ten_questions_it_is_given_up)
{
	unsigned asked = 0;

	begin();
	nack_missing(&l, 7, 8, 0);
	for (uint64_t ms = 10; ms < 1000 * 10 && l.n > 0; ms += 125)
		asked += take(ms);
	CHECK_INT(asked, NACK_TRIES);
	CHECK(l.gave_up);
	CHECK(nack_next_ns(&l) == UINT64_MAX);
}

TEST(the_oldest_go_when_too_many_are_missing)
{
	begin();
	nack_missing(&l, 0, 200, 0);
	CHECK(!l.gave_up);
	nack_missing(&l, 300, 400, 0);
	CHECK(l.gave_up);
	CHECK_INT(l.n, NACK_MAX);
	CHECK_INT(l.entries[0].seq, 44);
	nack_missing(&l, 1000, 3000, 0);
	CHECK_INT(l.entries[0].seq, 3000 - NACK_MAX);
	CHECK_INT(l.n, NACK_MAX);
}

TEST(what_is_too_old_is_given_up_and_what_is_of_no_use_is_skipped)
{
	begin();
	nack_missing(&l, 10, 20, 0);
	nack_give_up_below(&l, 10);
	CHECK(!l.gave_up);
	nack_skip_below(&l, 15);
	CHECK(!l.gave_up);
	CHECK_INT(l.n, 5);
	nack_give_up_below(&l, 16);
	CHECK(l.gave_up);
	CHECK_INT(l.n, 4);
}

TEST(no_more_is_told_than_there_is_room_for)
{
	begin();
	nack_missing(&l, 0, 100, 0);
	CHECK_INT(nack_take(&l, 10 * MS, 0, seqs, 30), 30);
	CHECK_INT(nack_take(&l, 10 * MS, 0, seqs, 100), 70);
	CHECK_INT(seqs[0], 30);
	CHECK_INT(nack_take(&l, 10 * MS, 0, seqs, 100), 0);
}

TEST_MAIN()
