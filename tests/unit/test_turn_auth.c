/*
 * Who may use the TURN engine: challenges, nonces, long-term credentials of RFC 5389 and what RFC
 * 8489 adds to them.
 */
#include "lib/test.h"
#include "proto/turn_impl.h"
#include "sim/turn_net.h"

static struct tnet net;
static struct tclient alice, bob;

static void start(void)
{
	tnet_start(&net);
	tclient_init(&alice, &net, "198.51.100.1:1000", "alice", "wonder");
	tclient_init(&bob, &net, "198.51.100.2:2000", "bob", "builder");
}

static void setup(void)
{
	tnet_init(&net);
	start();
}

#define COUNTER(name) sl_turn_counters(net.turn)->name

TEST(a_stranger_is_challenged_in_few_bytes)
{
	setup();
	sl_stun_put_u32(&alice.w, SL_TURN_REQUESTED_TRANSPORT, 17u << 24);
	CHECK_INT(tc_send(&alice, SL_TURN_ALLOCATE), 401);
	CHECK_STR(sl_stun_find_str(&alice.msg, SL_STUN_REALM), "example.org");
	CHECK_INT(sl_stun_find_str(&alice.msg, SL_STUN_NONCE).len, TURN_NONCE_CHARS);
	CHECK_INT(alice.out.reply_len, 20 + 8 + 16 + 20);
	CHECK_INT(COUNTER(challenges), 1);
	CHECK_INT(COUNTER(auth_failures), 0);
	CHECK(tnet_stop(&net));
}

TEST(an_allocation_is_granted_with_all_its_attributes)
{
	const struct sl_addr relayed = taddr("203.0.113.1:40001");
	struct sl_addr got;
	uint8_t key[32];

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK(tc_reply_addr(&alice, SL_TURN_XOR_RELAYED_ADDRESS, &got));
	CHECK(sl_addr_eq(&got, &relayed));
	CHECK(tc_reply_addr(&alice, SL_STUN_XOR_MAPPED_ADDRESS, &got));
	CHECK(sl_addr_eq(&got, &alice.at.remote));
	CHECK_INT(tc_reply_lifetime(&alice), 600);
	CHECK_STR(sl_stun_find_str(&alice.msg, SL_STUN_SOFTWARE), "test");
	tc_key(&alice, key);
	CHECK_INT(sl_stun_check_integrity(&alice.msg, (struct sl_str){(char *)key, 16}), 0);
	CHECK_INT(sl_stun_check_fingerprint(&alice.msg), -SL_ENOENT);
	CHECK_STR(sl_turn_alloc_user(net.last), "alice");
	CHECK_INT(sl_turn_allocations(net.turn), 1);
	CHECK(tnet_stop(&net));
	CHECK_STR(sl_str_c(net.why), "stopped");
}

TEST(wrong_credentials_are_refused)
{
	setup();
	sl_str_copy(alice.password, sizeof alice.password, SL_STR("blunder"));
	CHECK_INT(tc_ask_allocate(&alice), 401);
	CHECK(sl_stun_find_str(&alice.msg, SL_STUN_NONCE).len > 0);
	sl_str_copy(bob.user, sizeof bob.user, SL_STR("nobody"));
	CHECK_INT(tc_ask_allocate(&bob), 401);
	CHECK_INT(COUNTER(auth_failures), 2);
	CHECK_INT(net.n_granted, 0);
	CHECK(tnet_stop(&net));
}

TEST(integrity_without_name_realm_or_nonce_is_a_bad_request)
{
	static const uint16_t needed[] = {SL_STUN_USERNAME, SL_STUN_REALM, SL_STUN_NONCE};
	uint8_t key[32];

	setup();
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 401);
	tc_learn_nonce(&alice);
	tc_key(&alice, key);
	for (size_t missing = 0; missing < SL_ARRAY_LEN(needed); missing++) {
		struct sl_stun_writer w;

		sl_stun_begin(&w, alice.wire, sizeof alice.wire, SL_STUN_REQUEST, SL_TURN_REFRESH,
			      alice.txid);
		for (size_t i = 0; i < SL_ARRAY_LEN(needed); i++)
			if (i != missing)
				sl_stun_put_str(&w, needed[i],
						sl_str_c(i == 2 ? alice.nonce : "alice"));
		sl_stun_put_integrity(&w, (struct sl_str){(char *)key, 16});
		CHECK_INT(sl_stun_finish(&w, &alice.wire_len), 0);
		CHECK_INT(tc_input(&alice), 400);
	}
	CHECK(tnet_stop(&net));
}

TEST(a_nonce_grows_stale)
{
	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	tnet_pass(&net, 500 * 1000);
	CHECK_INT(tc_ask_refresh(&alice, 3600), 0);
	tnet_pass(&net, 3101 * 1000);
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 438);
	CHECK_INT(COUNTER(stale_nonces), 1);
	tc_learn_nonce(&alice);
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 0);
	CHECK(tnet_stop(&net));
}

TEST(a_nonce_belongs_to_one_address_and_cannot_be_made_up)
{
	setup();
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 401);
	tc_learn_nonce(&alice);
	alice.at.remote.port++;
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 438);
	alice.at.remote.port--;
	for (size_t i = 0; i < TURN_NONCE_CHARS; i++) {
		char was = alice.nonce[i];

		alice.nonce[i] = was == 'A' ? 'B' : 'A';
		CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 438);
		alice.nonce[i] = was;
	}
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 437);
	CHECK(tnet_stop(&net));
}

TEST(over_streams_a_nonce_holds_for_all_connections_of_an_address)
{
	setup();
	alice.at.transport = 6;
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 401);
	tc_learn_nonce(&alice);
	alice.at.remote.port++;
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 437);
	alice.at.remote.ip[3]++;
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 438);
	alice.at.remote.ip[3]--;
	alice.at.transport = 17;
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 438);
	CHECK(tnet_stop(&net));
}

TEST(a_nonce_holds_in_another_engine_with_the_same_key)
{
	struct tnet other;

	setup();
	tnet_init(&other);
	tnet_start(&other);
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 401);
	tc_learn_nonce(&alice);
	alice.net = &other;
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK(tnet_stop(&other));
	CHECK(tnet_stop(&net));
}

TEST(time_limited_names_work_with_every_secret)
{
	setup();
	tc_use_secret(&alice, SL_STR("new secret"), 100);
	tc_use_secret(&bob, SL_STR("old secret"), 100);
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_allocate(&bob), 0);
	CHECK_STR(sl_turn_alloc_user(net.last), "carol");
	CHECK(tnet_stop(&net));
	setup();
	tc_use_secret(&alice, SL_STR("other secret"), 100);
	CHECK_INT(tc_ask_allocate(&alice), 401);
	CHECK(tnet_stop(&net));
}

TEST(an_expired_name_opens_nothing_but_keeps_what_it_has)
{
	setup();
	tc_use_secret(&alice, SL_STR("new secret"), 100);
	tc_use_secret(&bob, SL_STR("new secret"), 100);
	CHECK_INT(tc_ask_allocate(&alice), 0);
	tnet_pass(&net, 100 * 1000);
	CHECK_INT(tc_ask_allocate(&bob), 401);
	CHECK_INT(tc_ask_refresh(&alice, 600), 0);
	CHECK(tnet_stop(&net));
}

TEST(a_credential_is_what_the_convention_says)
{
	char user[64], password[32];

	/* echo -n 1433895918:foo | openssl dgst -sha1 -hmac secret -binary | base64 */
	CHECK_INT(sl_turn_credential(SL_STR("secret"), SL_STR("foo"), 1433895918, user, sizeof user,
				     password),
		  0);
	CHECK_STR(sl_str_c(user), "1433895918:foo");
	CHECK_STR(sl_str_c(password), "880BqIzbVZvPywSSwSYQWq3736c=");
	CHECK_INT(sl_turn_credential(SL_STR("secret"), SL_STR_NULL, 1, user, sizeof user, password),
		  0);
	CHECK_STR(sl_str_c(user), "1");
	CHECK_INT(
		sl_turn_credential(SL_STR("secret"), SL_STR("foo"), 1433895918, user, 14, password),
		-SL_EFULL);
}

TEST(without_authentication_everybody_is_served)
{
	tnet_init(&net);
	net.realm.auth = false;
	start();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(sl_stun_check_integrity(&alice.msg, SL_STR("")), -SL_ENOENT);
	CHECK_INT(sl_turn_alloc_user(net.last).len, 0);
	CHECK_INT(tc_ask_refresh(&alice, 0), 0);
	CHECK(tnet_stop(&net));
}

/* ---- what RFC 8489 adds */

static void offer(enum sl_stun_algorithm first, enum sl_stun_algorithm second, bool userhash)
{
	tnet_init(&net);
	net.realm.algorithms[0] = (uint8_t)first;
	net.realm.algorithms[1] = (uint8_t)second;
	net.realm.n_algorithms = second ? 2 : first ? 1 : 0;
	net.realm.userhash = userhash;
	start();
}

static void use_sha256(struct tclient *c)
{
	c->algorithm = SL_STUN_SHA256;
	c->sha256 = true;
}

TEST(a_challenge_offers_algorithms_and_says_so_in_its_nonce)
{
	offer(SL_STUN_SHA256, SL_STUN_MD5, false);
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 401);
	tc_learn_nonce(&alice);
	CHECK_INT(alice.offered_len, 8);
	CHECK_MEM(alice.offered, "\0\2\0\0\0\1\0\0", 8);
	CHECK(strncmp(alice.nonce, "obMatJos2AAAB", 13) == 0);
	CHECK_INT(strlen(alice.nonce), TURN_COOKIE_CHARS + TURN_NONCE_CHARS);
	CHECK_INT(alice.out.reply_len, 64 + 16 + 12);
	CHECK(tnet_stop(&net));
	offer(0, 0, true);
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 401);
	tc_learn_nonce(&alice);
	CHECK_INT(alice.offered_len, 0);
	CHECK(strncmp(alice.nonce, "obMatJos2AAAC", 13) == 0);
	CHECK(tnet_stop(&net));
	offer(SL_STUN_SHA256, SL_STUN_MD5, true);
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 401);
	tc_learn_nonce(&alice);
	CHECK(strncmp(alice.nonce, "obMatJos2AAAD", 13) == 0);
	CHECK(tnet_stop(&net));
}

TEST(an_answer_has_the_integrity_of_its_request)
{
	static const struct {
		uint16_t algorithm;
		bool sha256;
	} ways[] = {{0, false},
		    {0, true},
		    {SL_STUN_MD5, false},
		    {SL_STUN_MD5, true},
		    {SL_STUN_SHA256, true}};
	uint8_t key[32];

	for (size_t i = 0; i < SL_ARRAY_LEN(ways); i++) {
		struct sl_str k = {(char *)key, 0};

		offer(SL_STUN_SHA256, SL_STUN_MD5, false);
		alice.algorithm = ways[i].algorithm;
		alice.sha256 = ways[i].sha256;
		CHECK_INT(tc_ask_allocate(&alice), 0);
		k.len = tc_key(&alice, key);
		CHECK_INT(sl_stun_check_integrity(&alice.msg, k), alice.sha256 ? -SL_ENOENT : 0);
		CHECK_INT(sl_stun_check_integrity_sha256(&alice.msg, k),
			  alice.sha256 ? 0 : -SL_ENOENT);
		CHECK_INT(tc_ask_refresh(&alice, 600), 0);
		CHECK(tnet_stop(&net));
	}
}

TEST(a_list_that_was_tampered_with_is_a_bad_request)
{
	offer(SL_STUN_SHA256, SL_STUN_MD5, false);
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 401);
	tc_learn_nonce(&alice);
	alice.algorithm = SL_STUN_MD5;
	memcpy(alice.offered, "\0\1\0\0", 4);
	alice.offered_len = 4;
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 400);
	alice.offered_len = 0;
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 400);
	memcpy(alice.offered, "\0\2\0\0\0\1\0\0", 8);
	alice.offered_len = 8;
	alice.algorithm = 3;
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 400);
	alice.algorithm = SL_STUN_MD5;
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 437);
	CHECK(tnet_stop(&net));
}

TEST(a_nonce_without_its_cookie_or_of_another_offer_is_stale)
{
	char nonce[sizeof alice.nonce];

	offer(SL_STUN_SHA256, SL_STUN_MD5, false);
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 401);
	tc_learn_nonce(&alice);
	sl_str_copy(nonce, sizeof nonce, sl_str_c(alice.nonce));
	alice.nonce[12] = 'A';
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 438);
	sl_str_copy(alice.nonce, sizeof alice.nonce, sl_str_c(nonce + TURN_COOKIE_CHARS));
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 438);
	sl_str_copy(alice.nonce, sizeof alice.nonce, sl_str_c(nonce));
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 437);
	net.realm.algorithms[0] = SL_STUN_MD5; /* as after a reload */
	net.realm.algorithms[1] = SL_STUN_SHA256;
	CHECK_INT(tc_send(&alice, SL_TURN_REFRESH), 438);
	CHECK(sl_stun_find_str(&alice.msg, SL_STUN_PASSWORD_ALGORITHMS).len == 8);
	CHECK(tnet_stop(&net));
}

TEST(where_only_sha256_is_offered_nothing_else_opens)
{
	offer(SL_STUN_SHA256, 0, false);
	CHECK_INT(tc_ask_allocate(&alice), 401);
	CHECK_INT(COUNTER(auth_failures), 1);
	use_sha256(&bob);
	CHECK_INT(tc_ask_allocate(&bob), 0);
	CHECK(tnet_stop(&net));
}

TEST(a_key_of_one_algorithm_proves_nothing_under_the_other)
{
	offer(SL_STUN_SHA256, SL_STUN_MD5, false);
	use_sha256(&alice);
	CHECK_INT(tc_ask_allocate(&alice), 0);
	alice.algorithm = 0; /* another key, of the same password: right as well */
	CHECK_INT(tc_ask_refresh(&alice, 600), 0);
	alice.algorithm = SL_STUN_SHA256;
	sl_str_copy(alice.password, sizeof alice.password, SL_STR("blunder"));
	CHECK_INT(tc_ask_refresh(&alice, 600), 401);
	CHECK(tnet_stop(&net));
}

TEST(time_limited_names_work_with_sha256)
{
	offer(SL_STUN_SHA256, SL_STUN_MD5, false);
	use_sha256(&alice);
	tc_use_secret(&alice, SL_STR("old secret"), 100);
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK(tnet_stop(&net));
}

TEST(a_static_user_is_found_by_the_hash_of_the_name)
{
	offer(SL_STUN_SHA256, SL_STUN_MD5, true);
	use_sha256(&alice);
	alice.userhash = true;
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_STR(sl_turn_alloc_user(net.last), "alice");
	alice.userhash = false; /* the same user */
	CHECK_INT(tc_ask_refresh(&alice, 600), 0);
	bob.userhash = true;
	sl_str_copy(bob.user, sizeof bob.user, SL_STR("nobody"));
	CHECK_INT(tc_ask_allocate(&bob), 401);
	tc_use_secret(&bob, SL_STR("new secret"), 100);
	CHECK_INT(tc_ask_allocate(&bob), 401);
	CHECK(tnet_stop(&net));
}

TEST(name_and_hash_together_are_a_bad_request)
{
	offer(SL_STUN_SHA256, SL_STUN_MD5, true);
	sl_stun_put(&alice.w, SL_STUN_USERHASH, "short", 5);
	CHECK_INT(tc_ask_allocate(&alice), 400);
	CHECK(tnet_stop(&net));
}

TEST(what_follows_the_integrity_is_not_heard)
{
	const struct sl_addr peer = taddr("192.0.2.1:5");
	struct sl_stun_writer w;

	offer(SL_STUN_SHA256, SL_STUN_MD5, false);
	use_sha256(&alice);
	CHECK_INT(tc_ask_allocate(&alice), 0);
	sl_stun_begin(&w, alice.wire, sizeof alice.wire, SL_STUN_REQUEST, SL_TURN_CREATE_PERMISSION,
		      alice.txid);
	tc_sign(&alice, &w);
	sl_stun_put_xor_addr(&w, SL_TURN_XOR_PEER_ADDRESS, &peer);
	CHECK_INT(sl_stun_finish(&w, &alice.wire_len), 0);
	CHECK_INT(tc_input(&alice), 400);
	CHECK_INT(alice.alloc->own.n_perms, 0);
	CHECK(tnet_stop(&net));
}

TEST_MAIN()
