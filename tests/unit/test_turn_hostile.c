/*
 * tests/unit/test_turn_hostile.c: well-formed messages that mean mischief: attributes twice, in any
 * order and behind the integrity, names out of all time, ports and channels that are none, and a
 * thousand permissions.
 */
#include "lib/test.h"
#include "proto/turn_impl.h"
#include "sim/turn_net.h"

static struct tnet net;
static struct tclient alice, carol;

#define COUNTER(name) sl_turn_counters(net.turn)->name

static void setup(void)
{
	tnet_init(&net);
	tnet_start(&net);
	tclient_init(&alice, &net, "198.51.100.1:1000", "alice", "wonder");
	tclient_init(&carol, &net, "198.51.100.3:3000", "", "");
}

/* ---- attributes */

TEST(of_an_attribute_that_stands_twice_the_first_counts)
{
	const struct sl_addr a = taddr("192.0.2.1:5"), b = taddr("192.0.2.2:6");
	struct sl_stun_attr lifetime;
	uint32_t seconds;

	setup();
	sl_stun_put_u32(&alice.w, SL_TURN_LIFETIME, 900);
	sl_stun_put_u32(&alice.w, SL_TURN_LIFETIME, 0);
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK(sl_stun_find(&alice.msg, SL_TURN_LIFETIME, &lifetime));
	CHECK_INT(sl_stun_get_u32(&lifetime, &seconds), 0);
	CHECK_INT(seconds, 900);
	sl_stun_put_u32(&alice.w, SL_TURN_CHANNEL_NUMBER, 0x4000u << 16);
	sl_stun_put_u32(&alice.w, SL_TURN_CHANNEL_NUMBER, 0x4001u << 16);
	sl_stun_put_xor_addr(&alice.w, SL_TURN_XOR_PEER_ADDRESS, &a);
	sl_stun_put_xor_addr(&alice.w, SL_TURN_XOR_PEER_ADDRESS, &b);
	CHECK_INT(tc_ask(&alice, SL_TURN_CHANNEL_BIND), 0);
	CHECK(sl_addr_eq(sl_turn_channel_peer(alice.alloc, 0x4000), &a));
	CHECK(sl_turn_channel_peer(alice.alloc, 0x4001) == NULL);
	sl_stun_put_u32(&alice.w, SL_TURN_LIFETIME, 600);
	sl_stun_put_u32(&alice.w, SL_TURN_LIFETIME, 0);
	CHECK_INT(tc_ask(&alice, SL_TURN_REFRESH), 0);
	CHECK_INT(sl_turn_allocations(net.turn), 1); /* the second was not heard */
	CHECK(tnet_stop(&net));
}

static void begin_send(struct sl_stun_writer *w)
{
	sl_stun_begin(w, alice.wire, sizeof alice.wire, SL_STUN_INDICATION, SL_TURN_SEND,
		      alice.txid);
}

static bool is_sent(struct sl_stun_writer *w)
{
	sl_assert(sl_stun_finish(w, &alice.wire_len) == 0);
	(void)tc_input(&alice);
	return alice.out.to_peer_via != NULL;
}

TEST(of_a_send_indication_as_well)
{
	const struct sl_addr a = taddr("192.0.2.1:5"), b = taddr("192.0.2.2:6");
	struct sl_stun_writer w;

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_permission(&alice, &a), 0);
	begin_send(&w);
	sl_stun_put_str(&w, SL_TURN_DATA_ATTR, SL_STR("first")); /* and in any order */
	sl_stun_put_xor_addr(&w, SL_TURN_XOR_PEER_ADDRESS, &a);
	sl_stun_put_str(&w, SL_TURN_DATA_ATTR, SL_STR("second one"));
	sl_stun_put_xor_addr(&w, SL_TURN_XOR_PEER_ADDRESS, &b);
	CHECK(is_sent(&w));
	CHECK(sl_addr_eq(&alice.out.peer, &a));
	CHECK(sl_str_eq((struct sl_str){(const char *)alice.out.data, alice.out.data_len},
			SL_STR("first")));
	CHECK(tnet_stop(&net));
}

TEST(who_names_two_users_is_the_first)
{
	struct sl_stun_writer w;
	uint8_t key[32];

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	sl_stun_begin(&w, alice.wire, sizeof alice.wire, SL_STUN_REQUEST, SL_TURN_REFRESH,
		      (const uint8_t *)"another one.");
	sl_stun_put_str(&w, SL_STUN_USERNAME, SL_STR("bob")); /* bob's allocation it is not */
	tc_name(&alice, &w);
	sl_stun_put_str(&w, SL_STUN_REALM, net.conf.realms[0].name);
	sl_stun_put_str(&w, SL_STUN_NONCE, sl_str_c(alice.nonce));
	sl_stun_put_integrity(&w, (struct sl_str){(char *)key, tc_key(&alice, key)});
	CHECK_INT(sl_stun_finish(&w, &alice.wire_len), 0);
	CHECK_INT(tc_input(&alice), 401);
	CHECK(tnet_stop(&net));
}

TEST(credentials_may_stand_in_any_order_but_before_the_integrity)
{
	struct sl_stun_writer w;
	uint8_t key[32];

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	sl_stun_begin(&w, alice.wire, sizeof alice.wire, SL_STUN_REQUEST, SL_TURN_REFRESH,
		      (const uint8_t *)"another one.");
	sl_stun_put_str(&w, SL_STUN_NONCE, sl_str_c(alice.nonce));
	sl_stun_put_str(&w, SL_STUN_REALM, net.conf.realms[0].name);
	tc_name(&alice, &w);
	sl_stun_put_u32(&w, SL_TURN_LIFETIME, 700);
	sl_stun_put_integrity(&w, (struct sl_str){(char *)key, tc_key(&alice, key)});
	sl_stun_put_u32(&w, SL_TURN_LIFETIME, 0); /* nobody has signed this */
	CHECK_INT(sl_stun_finish(&w, &alice.wire_len), 0);
	CHECK_INT(tc_input(&alice), 0);
	CHECK_INT(sl_turn_allocations(net.turn), 1);
	CHECK_INT(sl_turn_alloc_expires_ms(alice.alloc), 700 * 1000);
	sl_stun_begin(&w, alice.wire, sizeof alice.wire, SL_STUN_REQUEST, SL_TURN_REFRESH,
		      (const uint8_t *)"another two.");
	sl_stun_put_integrity(&w, (struct sl_str){(char *)key, tc_key(&alice, key)});
	tc_name(&alice, &w);
	sl_stun_put_str(&w, SL_STUN_REALM, net.conf.realms[0].name);
	sl_stun_put_str(&w, SL_STUN_NONCE, sl_str_c(alice.nonce));
	CHECK_INT(sl_stun_finish(&w, &alice.wire_len), 0);
	CHECK_INT(tc_input(&alice), 400);
	CHECK(tnet_stop(&net));
}

/* ---- names */

static int ask_as(const char *user)
{
	uint8_t mac[20];

	tclient_init(&carol, &net, "198.51.100.3:3000", user, "");
	sl_hmac_sha1(mac, tnet_secrets[0], user, strlen(user));
	(void)sl_base64_encode(carol.password, mac, sizeof mac); /* of 20 bytes: fits */
	return tc_ask_allocate(&carol);
}

TEST(names_out_of_all_time_are_refused_or_good_as_long_as_they_say)
{
	setup();
	CHECK_INT(ask_as("1:carol"), 401);
	CHECK_INT(ask_as("1790000000:carol"), 401); /* this very second */
	CHECK_INT(ask_as("-1:carol"), 401);
	CHECK_INT(ask_as("+1890000000:carol"), 401);
	CHECK_INT(ask_as(" 1890000000:carol"), 401);
	CHECK_INT(ask_as("0x7fffffff:carol"), 401);
	CHECK_INT(ask_as("18446744073709551616:carol"), 401); /* one more than there is */
	CHECK_INT(ask_as("99999999999999999999999:carol"), 401);
	CHECK_INT(ask_as(":carol"), 401);
	CHECK_INT(ask_as(""), 401);
	CHECK_INT(net.n_granted, 0);
	CHECK_INT(ask_as("18446744073709551615:carol"), 0); /* who has the secret says how long */
	CHECK_INT(tc_ask_refresh(&carol, UINT32_MAX), 0);   /* and we, what is the most */
	CHECK_INT(sl_turn_alloc_expires_ms(carol.alloc), net.conf.realms[0].max_lifetime_s * 1000);
	CHECK(tnet_stop(&net));
}

/* ---- peers */

TEST(port_0_is_nobodys)
{
	const struct sl_addr peer = taddr("192.0.2.1:5"), none = taddr("192.0.2.1");
	struct sl_stun_writer w;

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_permission(&alice, &none), 0); /* ports of permissions mean nothing */
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &none), 400);
	begin_send(&w);
	sl_stun_put_xor_addr(&w, SL_TURN_XOR_PEER_ADDRESS, &none);
	sl_stun_put_str(&w, SL_TURN_DATA_ATTR, SL_STR("data"));
	CHECK(!is_sent(&w));
	CHECK_INT(COUNTER(no_permission), 1);
	begin_send(&w);
	sl_stun_put_xor_addr(&w, SL_TURN_XOR_PEER_ADDRESS, &peer);
	sl_stun_put_str(&w, SL_TURN_DATA_ATTR, SL_STR("data"));
	CHECK(is_sent(&w));
	CHECK(tnet_stop(&net));
}

TEST(channels_out_of_range_are_none)
{
	static const uint16_t numbers[] = {0, 1, 0x3fff, 0x8000, 0xc000, 0xffff};
	const struct sl_addr peer = taddr("192.0.2.1:5");
	uint8_t data[8] = {0};
	size_t len;

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	for (size_t i = 0; i < SL_ARRAY_LEN(numbers); i++) {
		CHECK_INT(tc_ask_channel(&alice, numbers[i], &peer), 400);
		sl_put16(data, numbers[i]);
		sl_put16(data + 2, 4);
		CHECK(sl_turn_channel_out(alice.alloc, data, sizeof data, 0, &len) == NULL);
	}
	CHECK_INT(sl_turn_alloc_channels(alice.alloc), 0);
	CHECK_INT(sl_turn_alloc_permissions(alice.alloc), 0);
	CHECK(tnet_stop(&net));
}

TEST(a_thousand_permissions_are_had_and_given_back)
{
	struct sl_addr peer = taddr("192.0.2.1:5");
	const uint64_t first = 1;

	setup();
	net.realm.limits[SL_TURN_PER_ALLOCATION].permissions = 1000;
	CHECK_INT(tc_ask_allocate(&alice), 0);
	for (unsigned i = 0; i < 1000;) { /* thirty in a request */
		for (unsigned k = 0; k < 30 && i < 1000; k++, i++) {
			sl_put32(peer.ip, 0xc6336400u + i);
			sl_stun_put_xor_addr(&alice.w, SL_TURN_XOR_PEER_ADDRESS, &peer);
		}
		CHECK_INT(tc_ask(&alice, SL_TURN_CREATE_PERMISSION), 0);
	}
	CHECK_INT(sl_turn_alloc_permissions(alice.alloc), 1000);
	sl_put32(peer.ip, 0xcb007101u);
	CHECK_INT(tc_ask_permission(&alice, &peer), 508);
	CHECK_INT(COUNTER(over_allocation_permissions), first);
	for (unsigned i = 0; i < 1000; i++) {
		sl_put32(peer.ip, 0xc6336400u + i);
		CHECK_INT(sl_turn_peer_in(alice.alloc, &peer, 10, net.now_ms), 0);
	}
	tnet_pass(&net, 300 * 1000);
	CHECK_INT(sl_turn_alloc_permissions(alice.alloc), 0);
	CHECK_INT(net.turn->perms.count, 0);
	CHECK(tnet_stop(&net));
}

TEST_MAIN()
