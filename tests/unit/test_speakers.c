/*
 * Who counts as a speaker, in which order, and whose voice is forwarded.
 */
#include "lib/test.h"
#include "modules/sfu/speakers.h"

enum { SPEECH = 30, LOUD = 15, SILENCE = 110, PACKET_MS = 20, TICK_MS = 200 };

static struct speakers *s;
static uint64_t now_ms;
static unsigned level_of[600]; /* by id; 0: sends nothing */
static unsigned n_changes;

static void begin(unsigned n_audible)
{
	sl_assert(speakers_new(&s, n_audible) == 0);
	memset(level_of, 0, sizeof level_of);
	now_ms = 1000;
	n_changes = 0;
}

static void pass(unsigned ms)
{
	for (uint64_t end_ms = now_ms + ms; now_ms < end_ms; now_ms += PACKET_MS) {
		for (unsigned id = 1; id < SL_ARRAY_LEN(level_of); id++)
			if (level_of[id])
				speakers_heard(s, id, level_of[id], level_of[id] < 60, now_ms);
		if (now_ms % TICK_MS == 0)
			n_changes += speakers_tick(s, now_ms);
	}
}

static uint64_t first(void)
{
	uint64_t id = 0;

	(void)speakers_active(s, &id, 1);
	return id;
}

static unsigned n_active(void)
{
	uint64_t ids[16];

	return speakers_active(s, ids, 16);
}

TEST(who_speaks_becomes_a_speaker_within_half_a_second)
{
	begin(0);
	level_of[1] = SILENCE;
	level_of[2] = SILENCE;
	pass(1000);
	CHECK_INT(n_active(), 0);
	level_of[2] = SPEECH;
	pass(400);
	CHECK_INT(n_active(), 1);
	CHECK_INT(first(), 2);
	speakers_free(s);
}

TEST(a_cough_makes_no_speaker)
{
	begin(0);
	level_of[1] = LOUD;
	pass(120);
	level_of[1] = SILENCE;
	pass(1000);
	CHECK_INT(n_changes, 0);
	speakers_free(s);
}

TEST(pauses_between_words_are_bridged_and_silence_ends_it)
{
	begin(0);
	for (unsigned i = 0; i < 20; i++) {
		level_of[1] = SPEECH;
		pass(400);
		level_of[1] = SILENCE;
		pass(600);
	}
	CHECK_INT(n_active(), 1);
	CHECK_INT(n_changes, 1);
	pass(2000);
	CHECK_INT(n_active(), 0);
	speakers_free(s);
}

TEST(a_sender_that_stops_sending_falls_silent)
{
	begin(0);
	level_of[1] = SPEECH;
	pass(1000);
	CHECK_INT(n_active(), 1);
	level_of[1] = 0;
	pass(2000);
	CHECK_INT(n_active(), 0);
	speakers_free(s);
}

TEST(the_louder_comes_first_but_not_by_a_hair)
{
	begin(0);
	level_of[1] = SPEECH;
	pass(1000);
	level_of[2] = SPEECH - 3;
	pass(2000);
	CHECK_INT(n_active(), 2);
	CHECK_INT(first(), 1);
	level_of[2] = SPEECH - 12;
	pass(2000);
	CHECK_INT(first(), 2);
	n_changes = 0;
	for (unsigned i = 0; i < 50; i++) { /* both waver */
		level_of[1] = SPEECH + i % 3;
		level_of[2] = SPEECH - i % 2;
		pass(200);
	}
	CHECK_INT(n_changes, 0);
	speakers_free(s);
}

TEST(in_a_small_room_all_are_heard)
{
	begin(0);
	level_of[1] = SILENCE;
	pass(200);
	CHECK(speakers_audible(s, 1));
	CHECK(speakers_audible(s, 77)); /* not heard of yet */
	speakers_free(s);
}

static unsigned n_audible(void)
{
	unsigned n = 0;

	for (unsigned id = 1; id < SL_ARRAY_LEN(level_of); id++)
		n += level_of[id] && speakers_audible(s, id);
	return n;
}

TEST(in_a_big_room_few_are_heard_and_a_newcomer_from_the_first_packet)
{
	begin(3);
	for (unsigned id = 1; id < 500; id++)
		level_of[id] = SILENCE;
	pass(2000);
	CHECK_INT(n_audible(), 3);
	CHECK(!speakers_audible(s, 400));
	speakers_heard(s, 400, SPEECH, true, now_ms);
	CHECK(speakers_audible(s, 400));
	CHECK_INT(n_audible(), 3);
	speakers_free(s);
}

TEST(who_speaks_is_not_cut_off_by_who_begins)
{
	begin(2);
	level_of[1] = level_of[2] = SPEECH;
	level_of[3] = SILENCE;
	pass(2000);
	level_of[3] = SPEECH;
	pass(2000);
	CHECK(speakers_audible(s, 1) && speakers_audible(s, 2) && !speakers_audible(s, 3));
	level_of[3] = LOUD;
	pass(2000);
	CHECK(speakers_audible(s, 3));
	CHECK_INT(n_audible(), 2);
	speakers_free(s);
}

TEST(a_place_falls_to_others_when_its_owner_leaves)
{
	begin(1);
	level_of[1] = SPEECH;
	level_of[2] = SILENCE;
	pass(1000);
	CHECK(!speakers_audible(s, 2));
	speakers_remove(s, 1);
	level_of[1] = 0;
	pass(200);
	CHECK(speakers_audible(s, 2));
	CHECK_INT(n_active(), 0);
	speakers_remove(s, 1); /* again is fine */
	speakers_free(s);
}

TEST(whatever_comes_the_numbers_hold)
{
	uint64_t chance = 1, ids[600];
	bool is_in[41] = {0};

	begin(5);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned id, n;

		chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		id = 1 + (unsigned)(chance >> 33) % 40;
		is_in[id] = chance >> 60 != 0;
		if (!is_in[id])
			speakers_remove(s, id);
		else
			speakers_heard(s, id, (unsigned)(chance >> 40) % 200, chance >> 63,
				       now_ms += chance >> 62);
		if (i % 50 == 0)
			(void)speakers_tick(s, now_ms);
		n = speakers_active(s, ids, 600);
		CHECK(n <= 40);
		for (unsigned k = 0; k < n; k++)
			CHECK(ids[k] >= 1 && ids[k] <= 40);
		for (unsigned k = n = 0; k < 41; k++)
			n += is_in[k] && speakers_audible(s, k);
		CHECK(n <= 5);
	}
	speakers_free(s);
}

TEST_MAIN()
