/*
 * test_fact.c: what the words of an entry mean.
 */
#include "../lib/test.h"
#include <sluice/session.h>

static const char *fact_text(const struct sl_session_fact *facts, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(facts[i].name, name) == 0)
			return facts[i].text;
	return NULL;
}

TEST(a_relay_is_read_from_its_words_as_it_was_written)
{
	struct sl_relay_view v = {.transport = SL_RELAY_DTLS,
				  .tcp = true,
				  .permissions = 1,
				  .channels = 65535,
				  .offloaded = 7},
			     got;
	uint64_t words[4];

	CHECK(sl_addr_parse(&v.relayed[0], SL_STR("255.2.3.4:65535")) == 0);
	CHECK(sl_addr_parse(&v.relayed[1], SL_STR("[2001:db8::ffff]:49152")) == 0);
	sl_relay_view_write(words, &v);
	got = sl_relay_view_read(words);
	CHECK(got.transport == SL_RELAY_DTLS && got.tcp);
	CHECK(got.permissions == 1 && got.channels == 65535 && got.offloaded == 7);
	CHECK(sl_addr_eq(&got.relayed[0], &v.relayed[0]));
	CHECK(sl_addr_eq(&got.relayed[1], &v.relayed[1]));
}

TEST(what_does_not_fit_is_shown_as_the_most_and_spoils_nothing)
{
	const struct sl_relay_view v = {
		.permissions = 65536, .channels = 1u << 31, .offloaded = 65537};
	struct sl_relay_view got;
	uint64_t words[4];

	sl_relay_view_write(words, &v);
	got = sl_relay_view_read(words);
	CHECK(got.transport == SL_RELAY_UDP && !got.tcp);
	CHECK(got.permissions == 65535 && got.channels == 65535 && got.offloaded == 65535);
	CHECK(got.relayed[0].family == 0 && got.relayed[1].family == 0);
}

TEST(facts_name_the_families_that_are_relayed)
{
	struct sl_session_fact facts[SL_SESSION_FACTS];
	struct sl_relay_view v = {.transport = SL_RELAY_TLS};
	uint64_t words[4];
	unsigned n;

	CHECK(sl_addr_parse(&v.relayed[1], SL_STR("[2001:db8::1]:50000")) == 0);
	sl_relay_view_write(words, &v);
	n = sl_session_facts(SL_KIND_TURN, words, facts);
	CHECK_STR(sl_str_c(fact_text(facts, n, "transport")), "tls");
	CHECK_STR(sl_str_c(fact_text(facts, n, "relay")), "udp");
	CHECK_STR(sl_str_c(fact_text(facts, n, "relayed_ipv6")), "[2001:db8::1]:50000");
	CHECK(!fact_text(facts, n, "relayed"));
}

TEST(words_of_other_kinds_and_of_another_generation_do_no_harm)
{
	struct sl_session_fact facts[SL_SESSION_FACTS];
	uint64_t words[4];
	unsigned n;

	memset(words, 0xff, sizeof words);
	CHECK(sl_session_facts(SL_KIND_SIGNAL, words, facts) == 0);
	n = sl_session_facts(SL_KIND_TURN, words, facts);
	CHECK(n <= SL_SESSION_FACTS);
	CHECK_STR(sl_str_c(fact_text(facts, n, "transport")), "unknown");
}

TEST(a_fact_is_a_member_of_json)
{
	const struct sl_session_fact text = {.name = "relayed", .text = "a\"b"},
				     number = {.name = "channels", .number = UINT64_MAX};
	struct sl_buf out;

	sl_buf_init(&out, 0);
	sl_session_fact_json(&out, &text);
	sl_session_fact_json(&out, &number);
	CHECK_STR(((struct sl_str){(const char *)out.p, out.len}),
		  "\"relayed\":\"a\\\"b\"\"channels\":18446744073709551615");
	sl_buf_free(&out);
}

TEST(a_call_says_whether_they_talk_and_where)
{
	const struct sl_call_view v = {
		.state = SL_CALL_HELD, .worker = 3, .recorded = true, .answered_ms = 1};
	struct sl_session_fact f[SL_SESSION_FACTS];
	uint64_t words[4] = {0};
	struct sl_call_view back;

	sl_call_view_write(words, &v);
	back = sl_call_view_read(words);
	CHECK(back.state == v.state && back.worker == 3 && back.recorded && back.answered_ms == 1);
	CHECK_INT(sl_session_facts(SL_KIND_SIP, words, f), 4);
	CHECK(strcmp(f[0].name, "state") == 0 && strcmp(f[0].text, "held") == 0);
	CHECK(strcmp(f[1].name, "talk_s") == 0);
	CHECK(f[2].number == 3 && f[3].number == 1);
	words[0] = UINT64_MAX; /* torn or foreign */
	CHECK(strcmp((sl_session_facts(SL_KIND_SIP, words, f), f[0].text), "?") == 0);
}

TEST_MAIN()
