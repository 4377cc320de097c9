/*
 * Channels that somebody else relays: when the engine offers them, and what it says about their
 * time, in virtual time.
 */
#include "lib/test.h"
#include "proto/turn_impl.h"
#include "sim/turn_net.h"

static struct tnet net;
static struct tclient alice;
static struct sl_addr peer;

static void begin(void)
{
	tnet_start(&net);
	tclient_init(&alice, &net, "198.51.100.1:1000", "alice", "wonder");
	peer = taddr("192.0.2.1:5");
	sl_assert(tc_ask_allocate(&alice) == 0);
	sl_assert(tc_ask_channel(&alice, 0x4000, &peer) == 0);
}

static void setup(void)
{
	tnet_init(&net);
	begin();
}

static uint64_t holds_s(void)
{
	return (sl_turn_channel_holds_ms(alice.alloc, 0x4000) - net.now_ms) / 1000;
}

static void carry(unsigned n)
{
	while (n-- > 0)
		sl_assert(tc_channel_data(&alice, 0x4000, 10));
}

TEST(a_direction_is_offered_each_time_it_has_carried_enough)
{
	setup();
	carry(SL_TURN_BUSY - 1);
	CHECK_INT(net.n_busy[true], 0);
	carry(1);
	CHECK_INT(net.n_busy[true], 1);
	CHECK_INT(net.n_busy[false], 0);
	for (unsigned i = 0; i < 2 * SL_TURN_BUSY; i++)
		CHECK_INT(tc_peer_data(&alice, &peer), 0x4000);
	CHECK_INT(net.n_busy[true], 1);
	CHECK_INT(net.n_busy[false], 2);
	CHECK(tnet_stop(&net));
	CHECK_INT(net.n_unbound, 1);
}

TEST(channels_of_allocations_with_a_rate_are_not_offered)
{
	tnet_init(&net);
	net.realm.limits[SL_TURN_PER_ALLOCATION].bps = 100000000;
	begin();
	carry(4 * SL_TURN_BUSY);
	CHECK_INT(net.n_busy[true], 0);
	CHECK(tnet_stop(&net));
}

TEST(a_channel_holds_until_the_first_of_its_three_expiries)
{
	setup();
	CHECK_INT(holds_s(), 300); /* the permission's */
	tnet_pass(&net, 250 * 1000);
	CHECK_INT(tc_ask_permission(&alice, &peer), 0);
	CHECK_INT(holds_s(), 300);
	tnet_pass(&net, 200 * 1000);
	CHECK_INT(tc_ask_permission(&alice, &peer), 0);
	CHECK_INT(holds_s(), 150); /* channel and allocation */
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &peer), 0);
	CHECK_INT(holds_s(), 150); /* the allocation's */
	CHECK_INT(tc_ask_refresh(&alice, 3600), 0);
	CHECK_INT(holds_s(), 300);
	CHECK_INT(tc_ask_refresh(&alice, 600), 0);
	CHECK_INT(holds_s(), 300);
	CHECK_INT(sl_turn_channel_holds_ms(alice.alloc, 0x4001), 0);
	CHECK(!sl_turn_channel_data(alice.alloc, 0x4001));
	CHECK(tnet_stop(&net));
}

TEST(each_change_of_its_time_and_its_end_are_told_once_it_is_relayed_elsewhere)
{
	setup();
	CHECK_INT(tc_ask_refresh(&alice, 3600), 0);
	CHECK_INT(net.n_retimed, 0);
	carry(SL_TURN_BUSY);
	CHECK_INT(tc_ask_refresh(&alice, 3600), 0);
	CHECK_INT(net.n_retimed, 1);
	CHECK_INT(tc_ask_permission(&alice, &peer), 0);
	CHECK_INT(net.n_retimed, 2);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &peer), 0);
	CHECK(net.n_retimed > 2);
	CHECK_INT(net.n_unbound, 0);
	tnet_pass(&net, 600 * 1000);
	CHECK_INT(net.n_unbound, 1);
	CHECK(tnet_stop(&net));
	CHECK_INT(net.n_unbound, 1);
}

TEST(a_client_that_moves_takes_its_channels_back_with_it)
{
	setup();
	carry(SL_TURN_BUSY);
	turn_channels_unbound(alice.alloc);
	CHECK_INT(net.n_unbound, 1);
	CHECK(!*sl_turn_channel_data(alice.alloc, 0x4000));
	carry(SL_TURN_BUSY);
	CHECK_INT(net.n_busy[true], 2);
	CHECK(tnet_stop(&net));
	CHECK_INT(net.n_unbound, 2);
}

TEST(what_was_relayed_elsewhere_counts)
{
	setup();
	carry(1);
	sl_turn_count(alice.alloc, true, 10, 1000);
	sl_turn_count(alice.alloc, false, 20, 3000);
	CHECK_INT(sl_turn_counters(net.turn)->to_peer_packets, 11);
	CHECK_INT(sl_turn_counters(net.turn)->to_peer_bytes, 1010);
	CHECK_INT(sl_turn_counters(net.turn)->to_client_packets, 20);
	CHECK_INT(sl_turn_counters(net.turn)->to_client_bytes, 3000);
	CHECK(tnet_stop(&net));
}

TEST_MAIN()
