/*
 * unit/test_speech.c: what an agent has said: sound and marks in their order, bounded.
 */
#include "lib/test.h"
#include "modules/voice-agent/speech.h"

static struct speech s;

static void put(const char *text)
{
	CHECK_INT(speech_put(&s, sl_str_c(text)), 0);
}

static const char *take(size_t n)
{
	static char got[64];

	got[speech_take(&s, (uint8_t *)got, n)] = '\0';
	return got;
}

TEST(sound_comes_out_in_other_portions_than_it_went_in)
{
	speech_init(&s, 100);
	put("abc");
	put("");
	put("defgh");
	CHECK_INT(s.held, 8);
	CHECK(strcmp(take(4), "abcd") == 0);
	CHECK(strcmp(take(2), "ef") == 0);
	CHECK(strcmp(take(10), "gh") == 0);
	CHECK(strcmp(take(10), "") == 0);
	put("i");
	CHECK(strcmp(take(10), "i") == 0);
	CHECK_INT(s.held, 0);
	speech_free(&s);
}

TEST(a_mark_is_reached_when_all_before_it_is_taken)
{
	char name[SPEECH_MARK_MAX + 1];

	speech_init(&s, 100);
	put("abc");
	CHECK_INT(speech_mark(&s, SL_STR("one")), 0);
	CHECK_INT(speech_mark(&s, SL_STR("two")), 0);
	put("def");
	CHECK(!speech_reached(&s, name));
	CHECK(strcmp(take(2), "ab") == 0);
	CHECK(!speech_reached(&s, name));
	CHECK(strcmp(take(5), "c") == 0);
	CHECK(strcmp(take(5), "") == 0);
	CHECK(speech_reached(&s, name));
	CHECK(strcmp(name, "one") == 0);
	CHECK(speech_reached(&s, name));
	CHECK(strcmp(name, "two") == 0);
	CHECK(!speech_reached(&s, name));
	CHECK(strcmp(take(5), "def") == 0);
	speech_free(&s);
}

TEST(what_is_cleared_is_not_heard_and_its_marks_are_reached)
{
	char name[SPEECH_MARK_MAX + 1];

	speech_init(&s, 100);
	put("abc");
	CHECK_INT(speech_mark(&s, SL_STR("one")), 0);
	put("def");
	CHECK_INT(speech_mark(&s, SL_STR("two")), 0);
	put("ghi");
	CHECK(strcmp(take(2), "ab") == 0);
	CHECK_INT(speech_clear(&s), 7);
	CHECK(speech_reached(&s, name));
	CHECK(strcmp(name, "one") == 0);
	CHECK(speech_reached(&s, name));
	CHECK(strcmp(name, "two") == 0);
	put("new");
	CHECK(strcmp(take(5), "new") == 0);
	CHECK_INT(speech_clear(&s), 0);
	put("x");
	CHECK_INT(speech_clear(&s), 1);
	put("y");
	CHECK(strcmp(take(5), "y") == 0);
	speech_free(&s);
}

TEST(packets_come_out_as_they_went_in)
{
	uint8_t packet[8];

	speech_init(&s, 100);
	put("abc");
	put("longer than there is room");
	CHECK_INT(speech_mark(&s, SL_STR("m")), 0);
	put("de");
	CHECK_INT(speech_take_piece(&s, packet, sizeof packet), 3);
	CHECK(memcmp(packet, "abc", 3) == 0);
	CHECK_INT(speech_take_piece(&s, packet, sizeof packet), 0);
	CHECK_INT(s.held, 2);
	CHECK_INT(speech_take_piece(&s, packet, sizeof packet), 0); /* the mark is next */
	speech_free(&s);
}

TEST(it_is_bounded)
{
	char name[SPEECH_MARK_MAX + 1], longer[SPEECH_MARK_MAX + 1];

	speech_init(&s, 4);
	put("abc");
	CHECK_INT(speech_put(&s, SL_STR("de")), -SL_EFULL);
	put("d");
	CHECK_INT(speech_put(&s, SL_STR("e")), -SL_EFULL);
	memset(longer, 'x', sizeof longer);
	CHECK_INT(speech_mark(&s, (struct sl_str){longer, sizeof longer}), -SL_EINVAL);
	CHECK_INT(speech_mark(&s, SL_STR("")), -SL_EINVAL);
	for (int i = 0; i < SPEECH_MARKS_MAX; i++)
		CHECK_INT(speech_mark(&s, (struct sl_str){longer, SPEECH_MARK_MAX}), 0);
	CHECK_INT(speech_mark(&s, SL_STR("m")), -SL_EFULL);
	CHECK(strcmp(take(4), "abcd") == 0);
	CHECK(speech_reached(&s, name));
	CHECK_INT(speech_mark(&s, SL_STR("m")), 0);
	speech_free(&s);
}

TEST_MAIN()
