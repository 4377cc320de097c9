/*
 * tests/unit/test_turn_peer.c: a policy for peers that changes while allocations stand.
 */
#include "lib/test.h"
#include "proto/turn_impl.h"
#include "sim/turn_net.h"

static struct tnet net;
static struct tclient alice;

#define COUNTER(name) sl_turn_counters(net.turn)->name

static void setup(void)
{
	tnet_init(&net);
	net.conf.tcp = true;
	tnet_start(&net);
	tclient_init(&alice, &net, "198.51.100.1:1000", "alice", "wonder");
}

/* Denies one address. */
static void deny(const char *text)
{
	static struct sl_cidr cidr;

	sl_assert(sl_cidr_parse(&cidr, sl_str_c(text)) == 0);
	sl_turn_set_peers(net.turn, 0, &(struct sl_turn_peers){.deny = &cidr, .n_deny = 1});
}

TEST(another_policy_holds_for_what_is_new_or_renewed)
{
	const struct sl_addr a = taddr("192.0.2.1:5"), b = taddr("192.0.2.2:5");

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &a), 0);
	CHECK_INT(tc_ask_channel(&alice, 0x4001, &b), 0);
	deny("192.0.2.2/32");
	CHECK_INT(sl_turn_alloc_permissions(alice.alloc), 2); /* they stand, */
	CHECK(sl_turn_peer_in(alice.alloc, &b, 10, net.now_ms) == 0x4001);
	CHECK_INT(tc_ask_permission(&alice, &b), 403); /* but end */
	CHECK_INT(tc_ask_channel(&alice, 0x4001, &b), 403);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &a), 0);
	tnet_pass(&net, 300 * 1000);
	CHECK_INT(sl_turn_peer_in(alice.alloc, &b, 10, net.now_ms), -SL_EDENIED);
	CHECK_INT(COUNTER(permissions_revoked), 0);
	CHECK(tnet_stop(&net));
}

TEST(what_stands_ends_when_it_is_rechecked)
{
	const struct sl_addr a = taddr("192.0.2.1:5"), b = taddr("192.0.2.2:5"),
			     c = taddr("192.0.2.3:5");

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &a), 0);
	CHECK_INT(tc_ask_channel(&alice, 0x4001, &b), 0);
	CHECK_INT(tc_ask_permission(&alice, &c), 0);
	*sl_turn_channel_data(alice.alloc, 0x4001) = &net; /* the kernel relays both */
	*sl_turn_channel_data(alice.alloc, 0x4000) = &net;
	deny("192.0.2.2/31");
	sl_turn_recheck_peers(net.turn);
	CHECK_INT(sl_turn_alloc_permissions(alice.alloc), 1);
	CHECK_INT(sl_turn_alloc_channels(alice.alloc), 1);
	CHECK_INT(COUNTER(permissions_revoked), 2);
	CHECK_INT(net.n_unbound, 1); /* taken back from the kernel */
	CHECK_INT(sl_turn_peer_in(alice.alloc, &b, 10, net.now_ms), -SL_EDENIED);
	CHECK_INT(sl_turn_peer_in(alice.alloc, &c, 10, net.now_ms), -SL_EDENIED);
	CHECK_INT(sl_turn_peer_in(alice.alloc, &a, 10, net.now_ms), 0x4000);
	sl_turn_recheck_peers(net.turn);
	CHECK_INT(COUNTER(permissions_revoked), 2);
	sl_turn_set_peers(net.turn, 0, &(struct sl_turn_peers){0});
	CHECK_INT(tc_ask_channel(&alice, 0x4001, &b), 0); /* opened again */
	CHECK(tnet_stop(&net));
}

TEST(connections_of_tcp_relays_end_as_well)
{
	const struct sl_addr a = taddr("192.0.2.1:5"), b = taddr("192.0.2.2:5");
	struct sl_turn_conn *c, *d;
	size_t len;

	setup();
	alice.at.transport = TURN_PROTO_TCP;
	CHECK_INT(tc_ask_allocate_tcp(&alice), 0);
	CHECK_INT(tc_ask_permission(&alice, &a), 0);
	CHECK_INT(tc_ask_permission(&alice, &b), 0);
	CHECK_INT(sl_turn_accepted(alice.alloc, &a, 0, &c, alice.reply, &len), 0);
	CHECK_INT(sl_turn_accepted(alice.alloc, &b, 0, &d, alice.reply, &len), 0);
	deny("192.0.2.2/32");
	sl_turn_recheck_peers(net.turn);
	CHECK_INT(net.n_disconnects, 1);
	CHECK_INT(alice.alloc->n_conns, 1);
	CHECK(alice.alloc->conns == c);
	CHECK_INT(sl_turn_alloc_permissions(alice.alloc), 1);
	CHECK(tnet_stop(&net));
}

TEST_MAIN()
