/*
 * ICE, DTLS and SCTP parameters of a description, wherever they stand.
 */
#include "lib/jsep.h"

static struct jsep_side a;

static int hear(const char *session, const char *section)
{
	char text[8192];

	jsep_side_free(&a);
	a = jsep_side("aaaa", &rtc_caps);
	snprintf(text, sizeof text, JSEP_HEAD "%s" JSEP_OPUS("0") "%s", session, section);
	return jsep_side_hear(&a, sl_str_c(text));
}

#define ALL "a=ice-ufrag:s\r\na=ice-pwd:sp\r\na=fingerprint:sha-256 SS\r\na=setup:active\r\n"

TEST(the_sessions_parameters_hold_where_the_section_has_none)
{
	CHECK_INT(hear(ALL, ""), 0);
	CHECK_STR(sl_str_c(a.remote.ufrag), "s");
	CHECK_STR(sl_str_c(a.remote.fingerprint), "sha-256 SS");
	CHECK_STR(sl_str_c(a.remote.setup), "active");
	CHECK_INT(hear(ALL, "a=ice-ufrag:m\r\na=fingerprint:SHA-256 MM\r\na=setup:passive\r\n"), 0);
	CHECK_STR(sl_str_c(a.remote.ufrag), "m");
	CHECK_STR(sl_str_c(a.remote.password), "sp");
	CHECK_STR(sl_str_c(a.remote.fingerprint), "SHA-256 MM");
	CHECK_STR(sl_str_c(a.remote.setup), "passive");
}

TEST(of_several_fingerprints_the_one_that_everybody_can_check_is_taken)
{
	CHECK_INT(hear(ALL, "a=fingerprint:sha-512 55\r\na=fingerprint:sha-1 11\r\n"
			    "a=fingerprint:sha-256 22\r\na=fingerprint:sha-256 33\r\n"),
		  0);
	CHECK_STR(sl_str_c(a.remote.fingerprint), "sha-256 22");
	CHECK_INT(hear(ALL, "a=fingerprint:sha-512 55\r\n"), 0);
	CHECK_STR(sl_str_c(a.remote.fingerprint), "sha-512 55");
}

TEST(candidates_are_handed_on_up_to_the_bound)
{
	char many[2048] = "";

	for (int i = 0; i < JSEP_MAX_CANDIDATES + 5; i++)
		snprintf(many + strlen(many), sizeof many - strlen(many),
			 "a=candidate:%d 1 udp\r\n", i);
	CHECK_INT(hear(ALL, many), 0);
	CHECK_INT(a.remote.n_candidates, JSEP_MAX_CANDIDATES);
	CHECK_STR(sl_str_c(a.remote.candidates[2]), "2 1 udp");
	CHECK(!a.remote.end_of_candidates);
	CHECK_INT(hear(ALL "a=candidate:s\r\na=end-of-candidates\r\n", ""), 0);
	CHECK_INT(a.remote.n_candidates, 1);
	CHECK(a.remote.end_of_candidates);
}

TEST(options_are_words_of_either_level)
{
	CHECK_INT(hear(ALL "a=ice-options:ice2 trickle\r\n", ""), 0);
	CHECK(a.remote.trickle && !a.remote.lite);
	CHECK_INT(hear(ALL "a=ice-lite\r\n", "a=ice-options:trickle\r\n"), 0);
	CHECK(a.remote.trickle && a.remote.lite);
	CHECK_INT(hear(ALL, "a=ice-options:trickles\r\n"), 0);
	CHECK(!a.remote.trickle);
}

TEST(what_is_written_is_ours_and_stands_in_each_section)
{
	const char *text, *second;

	CHECK_INT(hear("a=group:BUNDLE 0 1\r\n" ALL, JSEP_VP8("1")), 0);
	a.local.lite = a.local.trickle = a.local.end_of_candidates = true;
	a.local.n_candidates = 2;
	snprintf(a.local.candidates[0], sizeof a.local.candidates[0], "one");
	snprintf(a.local.candidates[1], sizeof a.local.candidates[1], "two");
	CHECK_INT(jsep_side_answer(&a), 0);
	text = jsep_text(&a);
	second = strstr(text, "m=video");
	CHECK(strstr(text, "a=ice-lite\r\na=ice-options:trickle\r\nm="));
	CHECK(strstr(text, "a=candidate:one\r\na=candidate:two\r\na=end-of-candidates\r\nm=video"));
	CHECK(strstr(second, "a=ice-ufrag:aaaa\r\n") && strstr(second, "a=setup:passive\r\n"));
	CHECK(strstr(second, "a=fingerprint:sha-256 AA:BB\r\n") && !strstr(second, "a=candidate"));
}

TEST(the_role_in_dtls_answers_the_offers)
{
	CHECK_INT(hear(ALL, "a=setup:actpass\r\n"), 0);
	snprintf(a.local.setup, sizeof a.local.setup, "active");
	CHECK_INT(jsep_side_answer(&a), 0);
	CHECK(strstr(jsep_text(&a), "a=setup:active\r\n"));
	CHECK_INT(hear(ALL, "a=setup:active\r\n"), 0);
	snprintf(a.local.setup, sizeof a.local.setup, "active");
	CHECK_INT(jsep_side_answer(&a), 0);
	CHECK(strstr(jsep_text(&a), "a=setup:passive\r\n"));
}

TEST(a_message_without_limit_is_said_as_0)
{
	const char *data = "a=ice-options:x\r\n" JSEP_DATA("1") "a=max-message-size:0\r\n";

	CHECK_INT(hear("a=group:BUNDLE 1 0\r\n" ALL, data), 0);
	CHECK(a.remote.max_message == SIZE_MAX);
	a.local.max_message = SIZE_MAX;
	CHECK_INT(jsep_side_answer(&a), 0);
	CHECK(strstr(jsep_text(&a), "a=max-message-size:0\r\n"));
	CHECK_INT(hear("a=group:BUNDLE 1 0\r\n" ALL, JSEP_DATA("1")), 0);
	CHECK_INT(a.remote.max_message, 65536);
	CHECK_INT(hear("a=group:BUNDLE 1 0\r\n" ALL, JSEP_DATA("1") JSEP_DATA("2")), 0);
	CHECK(jsep_at(a.j, 2)->rejected);
}

TEST_MAIN()
