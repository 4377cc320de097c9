/*
 * TURN from the client's side: bare at first, signed after a challenge, and whom it believes.
 */
#include <sluice/crypto.h>
#include "lib/test.h"
#include "proto/turn_ask.h"

static const uint8_t txid[12] = "abcdefghijkl";
static uint8_t text[TURN_ASK_MAX];
static const struct sl_addr peer = {.family = 4, .port = 9, .ip = {192, 0, 2, 1}};

static struct turn_asker asker(const char *nonce)
{
	struct turn_asker c = {.user = SL_STR("ann"), .password = SL_STR("pass")};

	snprintf(c.realm, sizeof c.realm, "%s", nonce[0] ? "example.org" : "");
	snprintf(c.nonce, sizeof c.nonce, "%s", nonce);
	return c;
}

static struct sl_stun_msg written(const struct turn_asker *c, const struct turn_ask *ask)
{
	struct sl_stun_msg msg;

	sl_assert(sl_stun_parse(&msg, text, turn_ask_write(c, ask, txid, text)) == 0);
	return msg;
}

static struct sl_str key(const char *password)
{
	static uint8_t k[16];

	sl_stun_long_term_key(k, SL_STR("ann"), SL_STR("example.org"), sl_str_c(password));
	return (struct sl_str){(const char *)k, sizeof k};
}

static size_t answer(enum sl_stun_class class_, unsigned code, const char *password)
{
	struct sl_stun_writer w;
	size_t len = 0;

	sl_stun_begin(&w, text, sizeof text, class_, SL_TURN_ALLOCATE, txid);
	if (code) {
		sl_stun_put_error(&w, code, SL_STR_NULL);
		sl_stun_put_str(&w, SL_STUN_REALM, SL_STR("example.org"));
		sl_stun_put_str(&w, SL_STUN_NONCE, SL_STR("fresh"));
	} else {
		sl_stun_put_xor_addr(&w, SL_TURN_XOR_RELAYED_ADDRESS, &peer);
	}
	if (password)
		sl_stun_put_integrity(&w, key(password));
	sl_assert(sl_stun_finish(&w, &len) == 0);
	return len;
}

TEST(the_first_request_is_bare)
{
	struct turn_asker c = asker("");
	const struct turn_ask ask = {.method = SL_TURN_ALLOCATE, .lifetime_s = -1};
	struct sl_stun_msg msg = written(&c, &ask);
	struct sl_stun_attr a;

	CHECK(sl_stun_find(&msg, SL_TURN_REQUESTED_TRANSPORT, &a));
	CHECK_INT(a.data[0], 17);
	CHECK(!sl_stun_find(&msg, SL_STUN_USERNAME, &a));
}

TEST(after_a_challenge_it_is_signed)
{
	struct turn_asker c = asker("");
	const struct turn_ask ask = {.method = SL_TURN_REFRESH, .lifetime_s = 0};
	struct turn_told told;
	struct sl_stun_msg msg;

	CHECK_INT(turn_told_read(&c, text, answer(SL_STUN_ERROR, 401, NULL), txid, &told), 0);
	CHECK_INT(told.error, 401);
	msg = written(&c, &ask);
	CHECK_STR(sl_stun_find_str(&msg, SL_STUN_NONCE), "fresh");
	CHECK_INT(sl_stun_check_integrity(&msg, key("pass")), 0);
}

TEST(indications_are_never_signed)
{
	struct turn_asker c = asker("n");
	const struct turn_ask ask = {
		.method = SL_TURN_SEND, .peer = &peer, .data = SL_STR("hello"), .lifetime_s = -1};
	struct sl_stun_msg msg = written(&c, &ask);

	CHECK_INT(msg.class_, SL_STUN_INDICATION);
	CHECK_STR(sl_stun_find_str(&msg, SL_TURN_DATA_ATTR), "hello");
	CHECK(!sl_stun_find_str(&msg, SL_STUN_USERNAME).p);
}

TEST(a_success_tells_the_relay)
{
	struct turn_asker c = asker("n");
	struct turn_told told;

	CHECK_INT(turn_told_read(&c, text, answer(SL_STUN_SUCCESS, 0, "pass"), txid, &told), 0);
	CHECK_INT(told.error, 0);
	CHECK(sl_addr_eq(&told.relayed, &peer));
	CHECK_INT(told.mapped.family, 0);
}

TEST(an_answer_signed_by_another_is_none)
{
	struct turn_asker c = asker("n");
	struct turn_told told;

	CHECK_INT(turn_told_read(&c, text, answer(SL_STUN_SUCCESS, 0, "guess"), txid, &told),
		  -SL_ENOENT);
	CHECK_INT(turn_told_read(&c, text, answer(SL_STUN_SUCCESS, 0, "pass"),
				 (const uint8_t *)"another one.", &told),
		  -SL_ENOENT);
}

TEST(a_stale_nonce_is_replaced)
{
	struct turn_asker c = asker("old");
	struct turn_told told;

	CHECK_INT(turn_told_read(&c, text, answer(SL_STUN_ERROR, 438, NULL), txid, &told), 0);
	CHECK_STR(sl_str_c(c.nonce), "fresh");
}

TEST(data_comes_with_its_peer)
{
	struct sl_stun_writer w;
	struct turn_told told;
	size_t len = 0;

	sl_stun_begin(&w, text, sizeof text, SL_STUN_INDICATION, SL_TURN_DATA, txid);
	sl_stun_put_xor_addr(&w, SL_TURN_XOR_PEER_ADDRESS, &peer);
	CHECK_INT(sl_stun_finish(&w, &len), 0);
	CHECK_INT(turn_data_read(text, len, &told), -SL_ENOENT);
	sl_stun_put_str(&w, SL_TURN_DATA_ATTR, SL_STR("hello"));
	CHECK_INT(sl_stun_finish(&w, &len), 0);
	CHECK_INT(turn_data_read(text, len, &told), 0);
	CHECK_STR(told.data, "hello");
	CHECK(sl_addr_eq(&told.peer, &peer));
}

TEST(what_does_not_fit_is_not_written)
{
	static char name[TURN_ASK_MAX];
	struct turn_asker c = asker("n");
	const struct turn_ask ask = {.method = SL_TURN_ALLOCATE, .lifetime_s = -1};

	c.user = (struct sl_str){name, sizeof name};
	CHECK_INT(turn_ask_write(&c, &ask, txid, text), 0);
}

TEST_MAIN()
