/*
 * Access tokens of a third party (RFC 7635): who bears one, and for how long.
 */
#include "lib/test.h"
#include "proto/turn_impl.h"
#include "sim/turn_net.h"

#define KEY_NORTH "01234567890123456789012345678901"
#define KEY_SOUTH "0123456789012345"
#define MAC_KEY "the key of the client, 32 bytes!"

static const struct sl_turn_token_key keys[] = {
	{SL_STR_INIT("north"), SL_STR_INIT(KEY_NORTH)},
	{SL_STR_INIT("south"), SL_STR_INIT(KEY_SOUTH)},
};

static struct tnet net;
static struct tclient c;

/* A token, as an authorization server makes it. */
struct token {
	const char *kid, *key, *mac_key, *server;
	uint64_t made_s;
	uint32_t lifetime_s;
	uint8_t wire[512];
	size_t len;
};

static struct token proper(void)
{
	return (struct token){
		.kid = "north",
		.key = KEY_NORTH,
		.mac_key = MAC_KEY,
		.server = "turn.example.org",
		.made_s = TNET_UNIX_S,
		.lifetime_s = 3600,
	};
}

static void seal(struct token *t)
{
	const size_t key_len = strlen(t->mac_key);
	const struct sl_gcm gcm = {sl_str_c(t->key), SL_STR("abcdefghijkl"), sl_str_c(t->server)};
	uint8_t content[256];

	sl_put16(content, (uint16_t)key_len);
	memcpy(content + 2, t->mac_key, key_len);
	sl_put64(content + 2 + key_len, t->made_s << 16);
	sl_put32(content + 10 + key_len, t->lifetime_s);
	sl_put16(t->wire, 12);
	memcpy(t->wire + 2, "abcdefghijkl", 12);
	sl_assert(sl_gcm_seal(&gcm, (struct sl_str){(char *)content, key_len + 14}, t->wire + 14) ==
		  0);
	t->len = 14 + key_len + 14 + SL_GCM_TAG;
}

static void setup(void)
{
	tnet_init(&net);
	net.realm.token_keys = keys;
	net.realm.n_token_keys = 2;
	net.realm.token_server = SL_STR("turn.example.org");
	tnet_start(&net);
	tclient_init(&c, &net, "198.51.100.1:1000", "", "");
}

/* A request with the token (len 0: without) and integrity by its key. */
static int ask(uint16_t method, const struct token *t, uint32_t lifetime_s)
{
	struct sl_stun_writer w;

	sl_put32(c.txid, sl_get32(c.txid) + 1);
	sl_stun_begin(&w, c.wire, sizeof c.wire, SL_STUN_REQUEST, method, c.txid);
	if (method == SL_TURN_ALLOCATE)
		sl_stun_put_u32(&w, SL_TURN_REQUESTED_TRANSPORT, 17u << 24);
	sl_stun_put_u32(&w, SL_TURN_LIFETIME, lifetime_s);
	sl_stun_put_str(&w, SL_STUN_USERNAME, sl_str_c(t->kid));
	sl_stun_put_str(&w, SL_STUN_REALM, net.realm.name);
	sl_stun_put_str(&w, SL_STUN_NONCE, sl_str_c(c.nonce));
	if (t->len > 0)
		sl_stun_put(&w, SL_STUN_ACCESS_TOKEN, t->wire, t->len);
	sl_stun_put_integrity(&w, sl_str_c(t->mac_key));
	sl_assert(sl_stun_finish(&w, &c.wire_len) == 0);
	return tc_input(&c);
}

static int allocate(struct token t)
{
	int code;

	if (t.len == 0)
		seal(&t);
	if (!c.nonce[0]) {
		sl_assert(tc_send(&c, SL_TURN_ALLOCATE) == 401);
		tc_learn_nonce(&c);
	}
	code = ask(SL_TURN_ALLOCATE, &t, 0);
	if (code == 0)
		c.alloc = net.last;
	return code;
}

#define COUNTER(name) sl_turn_counters(net.turn)->name

TEST(a_challenge_names_the_server_for_the_third_party)
{
	setup();
	CHECK_INT(tc_send(&c, SL_TURN_ALLOCATE), 401);
	CHECK_STR(sl_stun_find_str(&c.msg, SL_STUN_THIRD_PARTY_AUTHORIZATION), "turn.example.org");
	CHECK(tnet_stop(&net));
}

TEST(a_token_opens_and_its_key_signs_both_ways)
{
	setup();
	CHECK_INT(allocate(proper()), 0);
	CHECK_INT(sl_stun_check_integrity(&c.msg, SL_STR(MAC_KEY)), 0);
	CHECK(sl_str_starts(sl_turn_alloc_user(c.alloc), SL_STR("north/")));
	CHECK(tnet_stop(&net));
}

TEST(the_first_16_bytes_of_the_key_will_do)
{
	struct token t = proper();

	setup();
	seal(&t);
	t.mac_key = "the key of the c";
	CHECK_INT(allocate(t), 0);
	CHECK_INT(sl_stun_check_integrity(&c.msg, sl_str_c(t.mac_key)), 0);
	t.mac_key = "the key of the ";
	CHECK_INT(ask(SL_TURN_REFRESH, &t, 0), 401);
	CHECK(tnet_stop(&net));
}

TEST(each_key_has_its_id_and_length)
{
	struct token t = proper();

	setup();
	t.kid = "south";
	t.key = KEY_SOUTH;
	CHECK_INT(allocate(t), 0);
	CHECK(tnet_stop(&net));
}

/* Made by another implementation: turnutils_oauth of coturn 4.6.1. */
TEST(a_foreign_token_is_understood)
{
	static const char text[] = "AAxhYmNkZWZnaGlqa2wniUAKxGMGIp83w4xJ32j4SRV04oo7w0+Rt9I/"
				   "6Etk0cWTcP28JsG/VhRzPyNnwTC7xBeM3ihSqOtgECVtrA==";
	struct token t = proper();

	setup();
	CHECK_INT(sl_base64_decode(t.wire, sizeof t.wire, sl_str_c(text), &t.len), 0);
	CHECK_INT(allocate(t), 0);
	CHECK_INT(tc_reply_lifetime(&c), 600);
	CHECK(tnet_stop(&net));
}

TEST(what_is_wrong_with_a_token_is_401)
{
	struct token bad[9];

	for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++)
		bad[i] = proper();
	bad[0].kid = "west";
	bad[1].key = "another key, of as many bytes as";
	bad[2].server = "other.example.org";
	bad[3].made_s = TNET_UNIX_S - 3606; /* has been over for more than 5 s */
	bad[4].made_s = TNET_UNIX_S + 6;
	bad[5].mac_key = "short";
	bad[6].mac_key = "longer than any key that a digest of STUN makes use of";
	seal(&bad[7]);
	bad[7].wire[20] ^= 1;
	seal(&bad[8]);
	bad[8].len = 13;
	setup();
	for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++)
		CHECK_INT(allocate(bad[i]), 401);
	CHECK_INT(COUNTER(token_refusals), 9);
	CHECK_INT(COUNTER(auth_failures), 9);
	CHECK(tnet_stop(&net));
}

TEST(a_good_token_needs_its_own_key)
{
	struct token t = proper();

	setup();
	seal(&t);
	t.mac_key = "another key of the same length!!";
	CHECK_INT(allocate(t), 401);
	CHECK_INT(COUNTER(token_refusals), 0);
	CHECK(tnet_stop(&net));
}

TEST(the_allocation_ends_with_the_token)
{
	struct token t = proper();

	setup();
	t.lifetime_s = 100;
	CHECK_INT(allocate(t), 0);
	CHECK_INT(tc_reply_lifetime(&c), 100);
	tnet_pass(&net, 40 * 1000);
	CHECK_INT(ask(SL_TURN_REFRESH, &t, 3600), 0); /* the token need not be repeated */
	CHECK_INT(tc_reply_lifetime(&c), 60);
	tnet_pass(&net, 60 * 1000);
	CHECK_INT(net.n_released, 1);
	CHECK_STR(sl_str_c(net.why), "expired");
	CHECK(tnet_stop(&net));
}

TEST(a_new_token_of_another_key_goes_on)
{
	struct token t = proper(), next = proper();

	setup();
	t.lifetime_s = 100;
	CHECK_INT(allocate(t), 0);
	next.kid = "south";
	next.key = KEY_SOUTH;
	next.mac_key = "a newer key, of 32 bytes as well";
	seal(&next);
	CHECK_INT(ask(SL_TURN_REFRESH, &next, 1800), 0);
	CHECK_INT(tc_reply_lifetime(&c), 1800);
	next.len = 0;
	CHECK_INT(ask(SL_TURN_REFRESH, &next, 600), 0);
	CHECK_INT(ask(SL_TURN_REFRESH, &t, 600), 401); /* by the old key */
	CHECK(tnet_stop(&net));
}

TEST(bearers_are_users_of_their_own)
{
	struct token other = proper();

	tnet_init(&net);
	net.realm.limits[SL_TURN_PER_USER].allocations = 1;
	net.realm.token_keys = keys;
	net.realm.n_token_keys = 1;
	net.realm.token_server = SL_STR("turn.example.org");
	tnet_start(&net);
	tclient_init(&c, &net, "198.51.100.1:1000", "", "");
	CHECK_INT(allocate(proper()), 0);
	c.alloc = NULL;
	c.at.remote.port++;
	c.nonce[0] = '\0';
	CHECK_INT(allocate(proper()), 486);
	other.mac_key = "a newer key, of 32 bytes as well";
	CHECK_INT(allocate(other), 0);
	CHECK(tnet_stop(&net));
}

TEST(other_users_do_not_get_at_a_bearers_allocation)
{
	setup();
	CHECK_INT(allocate(proper()), 0);
	sl_str_copy(c.user, sizeof c.user, SL_STR("alice"));
	sl_str_copy(c.password, sizeof c.password, SL_STR("wonder"));
	CHECK_INT(tc_ask_refresh(&c, 0), 441);
	CHECK(tnet_stop(&net));
}

TEST(without_keys_a_token_is_nothing)
{
	setup();
	net.realm.n_token_keys = 0;
	CHECK_INT(allocate(proper()), 401);
	CHECK_INT(COUNTER(token_refusals), 0);
	CHECK(tnet_stop(&net));
}

TEST_MAIN()
