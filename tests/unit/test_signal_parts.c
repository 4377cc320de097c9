/*
 * test_signal_parts.c: the pure parts of signalling: mailbox, pairs, sources, names, patterns,
 * bucket, tokens of resumes.
 */
#include "lib/test.h"

#include <sluice/json.h>
#include "modules/signaling-ws/limits.h"
#include "modules/signaling-ws/mailbox.h"
#include "modules/signaling-ws/pair.h"
#include "modules/signaling-ws/protocol.h"
#include "modules/signaling-ws/source.h"

static struct sl_str text_of(const struct letter *l)
{
	return (struct sl_str){l->text, l->len};
}

/* ---- mailbox */

TEST(letters_are_numbered_and_kept_until_acknowledged)
{
	const struct letter *l;
	struct mailbox box;

	mailbox_init(&box, 10, 1000);
	CHECK_INT(mailbox_put(&box, SL_STR("{\"a\":1}"), &l), 0);
	CHECK_STR(text_of(l), "{\"seq\":1,\"a\":1}");
	CHECK_INT(mailbox_put(&box, SL_STR("{\"b\":2}"), &l), 0);
	CHECK_INT(mailbox_put(&box, SL_STR("{\"c\":3}"), &l), 0);
	CHECK_INT(mailbox_ack(&box, 2), 0);
	CHECK_INT(box.n, 1);
	CHECK_INT(box.first->seq, 3);
	CHECK_INT(mailbox_ack(&box, 2), 0); /* again is fine */
	CHECK_INT(mailbox_ack(&box, 4), -SL_EINVAL);
	CHECK_INT(mailbox_ack(&box, 3), 0);
	CHECK_INT(box.bytes, 0);
	mailbox_free(&box);
}

TEST(a_mailbox_is_bounded_in_letters_and_bytes)
{
	const struct letter *l;
	struct mailbox box;
	char long_body[200];

	mailbox_init(&box, 2, 1000);
	CHECK_INT(mailbox_put(&box, SL_STR("{\"a\":1}"), &l), 0);
	CHECK_INT(mailbox_put(&box, SL_STR("{\"a\":1}"), &l), 0);
	CHECK_INT(mailbox_put(&box, SL_STR("{\"a\":1}"), &l), -SL_EFULL);
	mailbox_free(&box);
	mailbox_init(&box, 10, 150);
	memset(long_body, ' ', sizeof long_body);
	long_body[0] = '{';
	CHECK_INT(mailbox_put(&box, (struct sl_str){long_body, sizeof long_body}, &l), -SL_EFULL);
	CHECK_INT(box.next_seq, 1);
	CHECK_INT(mailbox_put(&box, SL_STR("x"), &l), -SL_EINVAL);
	mailbox_free(&box);
}

TEST(letters_move_to_another_mailbox_with_their_numbers)
{
	const struct letter *l;
	struct mailbox box;

	mailbox_init(&box, 10, 1000);
	CHECK_INT(mailbox_restore(&box, 7, SL_STR("{\"seq\":7}")), 0);
	CHECK_INT(mailbox_restore(&box, 7, SL_STR("{\"seq\":7}")), -SL_EINVAL);
	CHECK_INT(mailbox_restore(&box, 8, SL_STR_NULL), -SL_EINVAL);
	CHECK_INT(mailbox_put(&box, SL_STR("{\"a\":1}"), &l), 0);
	CHECK_INT(l->seq, 8);
	mailbox_free(&box);
}

/* ---- pairs */

TEST(a_candidate_passes_after_the_description_with_its_fragment)
{
	struct pair *list = NULL, *p = pair_get(&list, 1);
	uint64_t one = ufrag_hash(SL_STR("one")), two = ufrag_hash(SL_STR("two"));

	CHECK(p && pair_get(&list, 1) == p && pair_find(list, 2) == NULL);
	CHECK(!pair_lets_pass(p, one) && !pair_lets_pass(p, 0));
	pair_description(p, SL_STR("v=0\r\nm=audio 9\r\na=ice-ufrag:one\r\na=ice-pwd:x\r\n"));
	CHECK(pair_lets_pass(p, one) && pair_lets_pass(p, 0) && !pair_lets_pass(p, two));
	pair_description(p, SL_STR("a=ice-ufrag:two"));
	CHECK(pair_lets_pass(p, two) &&
	      pair_lets_pass(p, one)); /* late ones of before harm nobody */
	pair_forget(list, 1);
	CHECK(!pair_lets_pass(p, one));
	pair_description(p, SL_STR("of no known form"));
	CHECK(pair_lets_pass(p, two));
	pairs_free(&list);
}

TEST(held_candidates_come_out_in_order)
{
	struct pair *list = NULL, *p = pair_get(&list, 1);
	uint64_t a = ufrag_hash(SL_STR("a")), b = ufrag_hash(SL_STR("b"));
	struct held *h;

	CHECK_INT(pair_hold(p, a, SL_STR("1"), 4), 0);
	CHECK_INT(pair_hold(p, b, SL_STR("2"), 4), 0);
	CHECK_INT(pair_hold(p, a, SL_STR("3"), 4), 0);
	CHECK_INT(pair_hold(p, 0, SL_STR("4"), 4), 0);
	CHECK_INT(pair_hold(p, a, SL_STR("5"), 4), -SL_EFULL);
	pair_description(p, SL_STR("a=ice-ufrag:a\n"));
	for (const char *want = "134"; *want; want++) {
		h = pair_take(p);
		CHECK(h && h->body[0] == *want);
		free(h);
	}
	CHECK(!pair_take(p));
	CHECK_INT(p->n_held, 1);
	CHECK_INT(pair_hold(p, b, SL_STR("6"), 4),
		  0); /* the end of the list is right after taking from its middle */
	pair_drop(&list, 1);
	CHECK(!list);
}

/* ---- sources */

TEST(messages_of_one_sender_are_put_in_order_and_doubles_dropped)
{
	struct source *list = NULL, *s = source_get(&list, 5);
	struct late *l;

	CHECK_INT(source_accept(s, 1, SL_STR("1"), 0), 0);
	CHECK_INT(source_accept(s, 1, SL_STR("1"), 0), -SL_EEXIST);
	CHECK_INT(source_accept(s, 4, SL_STR("4"), 0), -SL_EAGAIN);
	CHECK_INT(source_accept(s, 3, SL_STR("3"), 0), -SL_EAGAIN);
	CHECK_INT(source_accept(s, 4, SL_STR("4"), 0), -SL_EEXIST);
	CHECK(!source_take(s, 0));
	CHECK_INT(source_accept(s, 2, SL_STR("2"), 0), 0);
	for (const char *want = "34"; *want; want++) {
		l = source_take(s, 0);
		CHECK(l && l->body[0] == *want);
		free(l);
	}
	CHECK(!source_take(s, 0));
	CHECK_INT(s->next_number, 5);
	sources_free(&list);
}

TEST(a_gap_is_given_up_after_a_while)
{
	struct source *list = NULL, *s = source_get(&list, 5);
	struct late *l;

	CHECK_INT(source_accept(s, 3, SL_STR("3"), 100), -SL_EAGAIN);
	CHECK(!source_take(s, 100 + SOURCE_PATIENCE_MS - 1));
	l = source_take(s, 100 + SOURCE_PATIENCE_MS);
	CHECK(l && l->number == 3);
	free(l);
	CHECK_INT(source_accept(s, 2, SL_STR("2"), 0), -SL_EEXIST);
	source_drop(&list, 5);
	CHECK(!list);
}

/* ---- limits */

TEST(a_bucket_fills_at_its_rate_and_holds_its_burst)
{
	struct bucket b;

	bucket_fill(&b, 2, 0);
	CHECK(bucket_take(&b, 10, 2, 0) && bucket_take(&b, 10, 2, 0) && !bucket_take(&b, 10, 2, 0));
	CHECK(!bucket_take(&b, 10, 2, 99) && bucket_take(&b, 10, 2, 100));
	CHECK(bucket_take(&b, 10, 2, UINT64_MAX) && bucket_take(&b, 10, 2, UINT64_MAX) &&
	      !bucket_take(&b, 10, 2, UINT64_MAX));
}

TEST(names_are_text_without_controls)
{
	CHECK(name_is_fair(SL_STR("tea"), 3) && name_is_fair(SL_STR("Zo\xc3\xab"), 8) &&
	      name_is_fair(SL_STR_NULL, 3));
	CHECK(!name_is_fair(SL_STR("teas"), 3));
	CHECK(!name_is_fair(SL_STR("a\nb"), 9) && !name_is_fair(SL_STR("a\x7f"), 9) &&
	      !name_is_fair(SL_STR("\xc2\x85"), 9));
	CHECK(!name_is_fair(SL_STR("\xff"), 9));
}

TEST(patterns_know_the_star)
{
	CHECK(glob_match(SL_STR("team-*"), SL_STR("team-")) &&
	      glob_match(SL_STR("*"), SL_STR_NULL));
	CHECK(glob_match(SL_STR("a*b*c"), SL_STR("aXbXbc")) &&
	      !glob_match(SL_STR("a*b*c"), SL_STR("aXbXb")));
	CHECK(!glob_match(SL_STR("tea"), SL_STR("teas")) &&
	      !glob_match(SL_STR("teas"), SL_STR("tea")));
	CHECK(glob_match(SL_STR("***"), SL_STR("x")) && !glob_match(SL_STR_NULL, SL_STR("x")));
	CHECK(glob_match_any(SL_STR("one\ntwo-*"), SL_STR("two-2")) &&
	      !glob_match_any(SL_STR_NULL, SL_STR("x")));
}

/* ---- protocol */

TEST(a_token_is_good_for_one_peer_of_this_node)
{
	const uint8_t key[TOKEN_KEY_BYTES] = {1, 2, 3}, other_node[TOKEN_KEY_BYTES] = {4};
	char token[TOKEN_STRLEN];
	uint64_t id = 0;

	token_format(token, 0x1234, key);
	CHECK_INT(strlen(token), TOKEN_STRLEN - 1);
	CHECK_INT(token_parse(sl_str_c(token), key, &id), 0);
	CHECK_INT(id, 0x1234);
	CHECK_INT(token_parse(sl_str_c(token), other_node, &id), -SL_EAUTH);
	CHECK_INT(token_parse((struct sl_str){token, TOKEN_STRLEN - 2}, key, &id), -SL_EPARSE);
	token[ID_STRLEN - 2] ^= 1; /* another peer's id with this MAC */
	CHECK_INT(token_parse(sl_str_c(token), key, &id), -SL_EAUTH);
	token[0] = 'x';
	CHECK_INT(token_parse(sl_str_c(token), key, &id), -SL_EPARSE);
}

TEST(an_sdp_and_a_fragment_are_found_in_every_usual_form)
{
	static const char *const sdp[] = {
		"{\"type\":\"offer\",\"sdp\":\"S\"}",
		"{\"type\":\"offer\",\"sdp\":{\"type\":\"offer\",\"sdp\":\"S\"}}",
		"{\"type\":\"offer\",\"offer\":{\"sdp\":\"S\"}}",
		"{\"type\":\"answer\",\"answer\":{\"sdp\":\"S\"}}",
		"{\"type\":\"answer\",\"description\":{\"sdp\":\"S\"}}"};
	static const char *const ufrag[] = {
		"{\"type\":\"candidate\",\"candidate\":{\"usernameFragment\":\"U\"}}",
		"{\"type\":\"candidate\",\"candidate\":{\"candidate\":\"candidate:1 ufrag U x\"}}",
		"{\"type\":\"candidate\",\"candidate\":\"candidate:1 typ host ufrag U\"}"};
	struct message m;

	for (size_t i = 0; i < SL_ARRAY_LEN(sdp); i++) {
		CHECK_INT(message_read(&m, sl_str_c(sdp[i])), CLIENT_FINE);
		CHECK_STR(message_sdp(&m), "S");
		message_free(&m);
	}
	for (size_t i = 0; i < SL_ARRAY_LEN(ufrag); i++) {
		CHECK_INT(message_read(&m, sl_str_c(ufrag[i])), CLIENT_FINE);
		CHECK_STR(message_ufrag(&m), "U");
		message_free(&m);
	}
	CHECK_INT(message_read(&m, SL_STR("{\"type\":\"candidate\",\"candidate\":null}")),
		  CLIENT_FINE);
	CHECK(!message_ufrag(&m).p && message_is_whole(&m));
	message_free(&m);
}

TEST_MAIN()
