/*
 * TCP relays of the TURN engine (RFC 6062), in virtual time: what may be asked, by whom, and for
 * how long it is waited.
 */
#include "lib/test.h"
#include "proto/turn_impl.h"
#include "sim/turn_net.h"

static struct tnet net;
static struct tclient alice, bob, data;
static struct sl_addr peer;

static void setup(void)
{
	tnet_init(&net);
	net.conf.max_connections = 3;
	tnet_start(&net);
	tclient_init(&alice, &net, "198.51.100.1:1000", "alice", "wonder");
	tclient_init(&bob, &net, "198.51.100.2:2000", "bob", "builder");
	tclient_init(&data, &net, "198.51.100.1:1001", "alice", "wonder");
	data.at.transport = 6;
	peer = taddr("192.0.2.9:5000");
}

#define COUNTER(name) sl_turn_counters(net.turn)->name

static int connected(struct tclient *c, int err)
{
	return tc_hear(c, sl_turn_connected(net.conn, err, net.now_ms, c->reply, sizeof c->reply));
}

/* A connection of alice's with the peer, waiting to be bound; 0: something failed. */
static uint32_t make_one(void)
{
	if (tc_ask_allocate_tcp(&alice) != 0 || tc_ask_connect(&alice, &peer) != -1 ||
	    connected(&alice, 0) != 0)
		return 0;
	return tc_reply_id(&alice);
}

/* ---- Allocate */

TEST(a_tcp_relay_is_for_clients_over_streams)
{
	setup();
	sl_stun_put_u32(&alice.w, SL_TURN_REQUESTED_TRANSPORT, 6u << 24);
	CHECK_INT(tc_ask(&alice, SL_TURN_ALLOCATE), 400);
	CHECK_INT(tc_ask_allocate_tcp(&bob), 0);
	CHECK(bob.alloc->tcp);
	CHECK(tnet_stop(&net));
}

TEST(a_tcp_relay_has_nothing_of_datagrams)
{
	static const uint16_t types[] = {SL_TURN_DONT_FRAGMENT, SL_TURN_EVEN_PORT,
					 SL_TURN_RESERVATION_TOKEN};

	setup();
	for (size_t i = 0; i < SL_ARRAY_LEN(types); i++) {
		sl_stun_put(&alice.w, types[i], "\0\0\0\0\0\0\0\0", i == 0 ? 0 : i == 1 ? 1 : 8);
		CHECK_INT(tc_ask_allocate_tcp(&alice), 400);
	}
	CHECK_INT(tc_ask_allocate_tcp(&alice), 0);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &peer), 403);
	CHECK_INT(tc_ask_permission(&alice, &peer), 0);
	sl_stun_begin(&alice.w, alice.wire, sizeof alice.wire, SL_STUN_INDICATION, SL_TURN_SEND,
		      alice.txid);
	sl_stun_put_xor_addr(&alice.w, SL_TURN_XOR_PEER_ADDRESS, &peer);
	sl_stun_put_str(&alice.w, SL_TURN_DATA_ATTR, SL_STR("x"));
	CHECK_INT(sl_stun_finish(&alice.w, &alice.wire_len), 0);
	CHECK_INT(tc_input(&alice), -1);
	CHECK_INT(alice.rc, SL_DROP);
	CHECK(tnet_stop(&net));
}

TEST(where_tcp_relays_are_off_their_transport_is_unknown)
{
	setup();
	net.conf.tcp = false;
	CHECK_INT(tc_ask_allocate_tcp(&alice), 442);
	CHECK(tnet_stop(&net));
}

/* ---- Connect */

TEST(a_connect_is_answered_when_the_peer_has_answered)
{
	uint8_t key[32];
	uint16_t slot;

	setup();
	alice.fingerprint = true;
	CHECK(make_one() != 0);
	CHECK_INT(tc_reply_id(&alice) >> 20, 7);
	CHECK_MEM(alice.msg.txid, alice.txid, 12);
	CHECK_INT(alice.msg.method, SL_TURN_CONNECT);
	tc_key(&alice, key);
	CHECK_INT(sl_stun_check_integrity(&alice.msg, (struct sl_str){(char *)key, 16}), 0);
	CHECK_INT(sl_stun_check_fingerprint(&alice.msg), 0);
	CHECK(!sl_turn_connection_slot(&alice.msg, &slot));
	CHECK_INT(COUNTER(connects), 1);
	CHECK(tnet_stop(&net));
	CHECK_INT(net.n_disconnects, 1);
}

TEST(a_peer_that_cannot_be_reached_is_447)
{
	setup();
	CHECK_INT(tc_ask_allocate_tcp(&alice), 0);
	CHECK_INT(tc_ask_connect(&alice, &peer), -1);
	CHECK_INT(connected(&alice, -SL_ECLOSED), 447);
	net.connect_error = -SL_ESYS;
	CHECK_INT(tc_ask_connect(&alice, &peer), 447);
	CHECK_INT(COUNTER(connect_failures), 2);
	CHECK_INT(net.turn->conns.count, 0);
	CHECK_INT(net.n_disconnects, 0);
	CHECK(tnet_stop(&net));
}

TEST(where_nobody_has_to_prove_anything_connects_are_answered_too)
{
	setup();
	net.realm.auth = false;
	CHECK(make_one() != 0);
	CHECK_INT(tc_ask_connect(&alice, &peer), 446);
	CHECK(tnet_stop(&net));
}

TEST(there_is_one_connection_to_a_peer)
{
	setup();
	CHECK(make_one() != 0);
	CHECK_INT(tc_ask_connect(&alice, &peer), 446);
	peer.port++;
	CHECK_INT(tc_ask_connect(&alice, &peer), -1);
	CHECK_INT(tc_ask_connect(&alice, &peer), 446);
	CHECK(tnet_stop(&net));
}

TEST(connects_obey_policy_form_and_limit)
{
	const struct sl_cidr deny = {.base = {.family = 4, .ip = {10}}, .bits = 8};
	const struct sl_addr denied = taddr("10.0.0.1:5"), six = taddr("[2001:db8::9]:5");
	struct sl_addr self;

	setup();
	sl_turn_set_peers(net.turn, 0, &(struct sl_turn_peers){.deny = &deny, .n_deny = 1});
	CHECK_INT(tc_ask_connect(&bob, &peer), 437);
	CHECK_INT(tc_ask_allocate(&bob), 0);
	CHECK_INT(tc_ask_connect(&bob, &peer), 403);
	CHECK_INT(tc_ask_allocate_tcp(&alice), 0);
	self = *sl_turn_alloc_relayed(alice.alloc, 4);
	CHECK_INT(tc_ask(&alice, SL_TURN_CONNECT), 400);
	CHECK_INT(tc_ask_connect(&alice, &denied), 403);
	CHECK_INT(tc_ask_connect(&alice, &six), 443);
	CHECK_INT(tc_ask_connect(&alice, &self), 403);
	for (int i = 0; i < 3; i++) {
		peer.port++;
		CHECK_INT(tc_ask_connect(&alice, &peer), -1);
	}
	peer.port++;
	CHECK_INT(tc_ask_connect(&alice, &peer), 508);
	CHECK(tnet_stop(&net));
}

/* ---- ConnectionBind */

TEST(a_bind_gives_the_peers_connection_to_the_new_one)
{
	uint32_t id;

	setup();
	id = make_one();
	CHECK_INT(tc_ask_bind(&data, id), 0);
	CHECK(data.out.bound == net.conn);
	CHECK(sl_addr_eq(sl_turn_conn_peer(data.out.bound), &peer));
	CHECK(sl_turn_conn_alloc(data.out.bound) == alice.alloc);
	CHECK_INT(tc_ask_bind(&data, id), 400);
	CHECK(!data.out.bound);
	tnet_pass(&net, 31000);
	CHECK_INT(net.n_disconnects, 0);
	sl_turn_conn_ended(net.conn);
	CHECK_INT(net.turn->conns.count, 0);
	CHECK_INT(tc_ask_connect(&alice, &peer), -1);
	CHECK(tnet_stop(&net));
}

TEST(who_may_bind)
{
	struct tclient other;
	uint32_t id;

	setup();
	id = make_one();
	tclient_init(&other, &net, "198.51.100.1:1002", "bob", "builder");
	CHECK_INT(tc_ask_bind(&other, id), 400); /* over UDP */
	other.at.transport = 6;
	CHECK_INT(tc_ask_bind(&other, id), 441);
	CHECK_INT(tc_ask_bind(&data, id ^ 1), 400);
	CHECK_INT(tc_ask(&data, SL_TURN_CONNECTION_BIND), 400);
	CHECK_INT(tc_ask_bind(&alice, id), 400); /* a control connection */
	CHECK_INT(tc_ask_bind(&data, id), 0);
	CHECK(tnet_stop(&net));
}

TEST(a_connection_of_another_realm_is_no_connection)
{
	struct sl_turn_realm realms[2];
	uint32_t id;

	setup();
	realms[0] = realms[1] = net.realm;
	sl_turn_free(net.turn);
	net.conf.realms = realms;
	net.conf.n_realms = 2;
	tnet_start(&net);
	id = make_one();
	data.at.realm = 1;
	CHECK_INT(tc_ask_bind(&data, id), 400);
	data.at.realm = 0;
	CHECK_INT(tc_ask_bind(&data, id), 0);
	CHECK(tnet_stop(&net));
}

TEST(bytes_obey_the_rate_of_the_allocation)
{
	setup();
	net.realm.limits[SL_TURN_PER_ALLOCATION].bps = 8 * 65536;
	CHECK_INT(tc_ask_bind(&data, make_one()), 0);
	CHECK(sl_turn_conn_to_peer(net.conn, 16384, 0));
	CHECK(sl_turn_conn_to_peer(net.conn, 16384, 0));
	CHECK(!sl_turn_conn_to_peer(net.conn, 16384, 0));
	CHECK(sl_turn_conn_to_client(net.conn, 16384, 0));
	CHECK(sl_turn_conn_to_peer(net.conn, 16384, 250));
	CHECK_INT(COUNTER(to_peer_bytes), 3 * 16384);
	CHECK_INT(COUNTER(to_client_bytes), 16384);
	CHECK(tnet_stop(&net));
}

TEST(what_is_not_bound_in_thirty_seconds_is_closed)
{
	uint32_t id;

	setup();
	id = make_one();
	tnet_pass(&net, 29999);
	CHECK_INT(net.n_disconnects, 0);
	tnet_pass(&net, 1);
	CHECK_INT(net.n_disconnects, 1);
	CHECK_INT(COUNTER(connection_timeouts), 1);
	CHECK_INT(tc_ask_bind(&data, id), 400);
	CHECK(tnet_stop(&net));
}

TEST(connections_end_with_their_allocation)
{
	setup();
	CHECK(tc_ask_bind(&data, make_one()) == 0);
	CHECK_INT(tc_ask_refresh(&alice, 0), 0);
	CHECK_INT(net.n_disconnects, 1);
	CHECK_INT(net.turn->conns.count, 0);
	CHECK(tnet_stop(&net));
}

/* ---- peers that connect */

TEST(a_permitted_peer_is_told_to_the_client)
{
	struct sl_turn_conn *c;
	struct sl_addr told;
	size_t len;

	setup();
	CHECK_INT(tc_ask_allocate_tcp(&alice), 0);
	CHECK_INT(sl_turn_accepted(alice.alloc, &peer, 0, &c, alice.reply, &len), -SL_EDENIED);
	CHECK_INT(tc_ask_permission(&alice, &peer), 0);
	CHECK_INT(sl_turn_accepted(alice.alloc, &peer, 0, &c, alice.reply, &len), 0);
	CHECK_INT(tc_hear(&alice, len), 0);
	CHECK_INT(alice.msg.class_, SL_STUN_INDICATION);
	CHECK_INT(alice.msg.method, SL_TURN_CONNECTION_ATTEMPT);
	CHECK(tc_reply_addr(&alice, SL_TURN_XOR_PEER_ADDRESS, &told));
	CHECK(sl_addr_eq(&told, &peer));
	CHECK_INT(tc_reply_id(&alice), sl_turn_conn_id(c));
	CHECK_INT(tc_ask_bind(&data, sl_turn_conn_id(c)), 0);
	CHECK(data.out.bound == c);
	CHECK(tnet_stop(&net));
}

TEST(peers_that_connect_are_limited_and_replace_themselves)
{
	struct sl_turn_conn *c;
	size_t len;

	setup();
	CHECK_INT(tc_ask_allocate_tcp(&alice), 0);
	CHECK_INT(tc_ask_permission(&alice, &peer), 0);
	for (int i = 0; i < 3; i++) {
		peer.port++;
		CHECK_INT(sl_turn_accepted(alice.alloc, &peer, 0, &c, alice.reply, &len), 0);
	}
	CHECK_INT(sl_turn_accepted(alice.alloc, &peer, 0, &c, alice.reply, &len), 0);
	CHECK_INT(net.n_disconnects, 1);
	peer.port++;
	CHECK_INT(sl_turn_accepted(alice.alloc, &peer, 0, &c, alice.reply, &len), -SL_ELIMIT);
	CHECK_INT(COUNTER(connection_refusals), 1);
	tnet_pass(&net, 30000);
	CHECK_INT(net.n_disconnects, 4);
	CHECK(tnet_stop(&net));
}

TEST_MAIN()
