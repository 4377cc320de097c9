/*
 * Realms of the TURN engine, and what users, sources, realms and all may have in it.
 */
#include "lib/test.h"
#include "proto/turn_impl.h"
#include "sim/turn_net.h"

static struct tnet net;
static struct tclient alice, bob, stranger;
static struct sl_turn_realm realms[2];

static const struct sl_turn_user others[] = {{SL_STR_INIT("alice"), SL_STR_INIT("other")}};

/* Two realms; limits are set between this and start(). */
static void setup(void)
{
	tnet_init(&net);
	realms[0] = realms[1] = net.realm;
	realms[1].name = SL_STR("tenant.example");
	realms[1].users = others;
	realms[1].n_users = 1;
	realms[1].n_secrets = 0;
	net.conf.realms = realms;
	net.conf.n_realms = 2;
}

static void start(void)
{
	tnet_start(&net);
	tclient_init(&alice, &net, "198.51.100.1:1000", "alice", "wonder");
	tclient_init(&bob, &net, "198.51.100.2:2000", "bob", "builder");
	tclient_init(&stranger, &net, "198.51.100.3:3000", "alice", "other");
	stranger.at.realm = 1;
}

#define COUNTER(name) sl_turn_counters(net.turn)->name

/* ---- realms */

TEST(each_realm_challenges_by_its_name)
{
	setup();
	start();
	CHECK_INT(tc_send(&alice, SL_TURN_ALLOCATE), 401);
	CHECK_STR(sl_stun_find_str(&alice.msg, SL_STUN_REALM), "example.org");
	CHECK_INT(tc_send(&stranger, SL_TURN_ALLOCATE), 401);
	CHECK_STR(sl_stun_find_str(&stranger.msg, SL_STUN_REALM), "tenant.example");
	CHECK(tnet_stop(&net));
}

TEST(credentials_of_another_realm_are_refused)
{
	setup();
	start();
	CHECK_INT(tc_ask_allocate(&stranger), 0);
	CHECK_INT(tc_ask_refresh(&stranger, 0), 0);
	alice.at.realm = 1; /* the right name, with the password of the first realm */
	CHECK_INT(tc_ask_allocate(&alice), 401);
	bob.at.realm = 1;
	CHECK_INT(tc_ask_allocate(&bob), 401);
	tc_use_secret(&bob, tnet_secrets[0], 60);
	CHECK_INT(tc_ask_allocate(&bob), 401);
	bob.at.realm = 0;
	CHECK_INT(tc_ask_allocate(&bob), 0);
	CHECK_INT(COUNTER(auth_failures), 3);
	CHECK(tnet_stop(&net));
}

TEST(a_user_hash_is_known_in_its_own_realm)
{
	setup();
	realms[0].userhash = realms[1].userhash = true;
	start();
	bob.userhash = true;
	CHECK_INT(tc_ask_allocate(&bob), 0);
	alice.userhash = true;
	alice.at.realm = 1;
	CHECK_INT(tc_ask_allocate(&alice), 401);
	CHECK(tnet_stop(&net));
}

TEST(peers_lifetimes_and_quotas_are_the_realms_own)
{
	static const struct sl_cidr deny = {.base = {.family = 4, .ip = {192, 0, 2}}, .bits = 24};
	const struct sl_addr peer = taddr("192.0.2.9:9");

	setup();
	realms[1].deny_peers = &deny;
	realms[1].n_deny = 1;
	realms[1].default_lifetime_s = 120;
	realms[1].limits[SL_TURN_PER_USER].allocations = 1;
	start();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_reply_lifetime(&alice), 600);
	CHECK_INT(tc_ask_permission(&alice, &peer), 0);
	CHECK_INT(tc_ask_allocate(&stranger), 0); /* of the same name, but somebody else */
	CHECK_INT(tc_reply_lifetime(&stranger), 120);
	CHECK_INT(tc_ask_permission(&stranger, &peer), 403);
	stranger.at.remote.port++;
	stranger.alloc = NULL;
	stranger.nonce[0] = '\0';
	CHECK_INT(tc_ask_allocate(&stranger), 486);
	CHECK(tnet_stop(&net));
}

TEST(metadata_of_clouds_is_opened_by_its_own_address_only)
{
	static const struct sl_cidr wide[] = {
		{.base = {.family = 4, .ip = {100, 64}}, .bits = 10},
		{.base = {.family = 6, .ip = {0xfd}}, .bits = 8},
	};
	static const struct sl_cidr exact = {.base = {.family = 4, .ip = {100, 100, 100, 200}},
					     .bits = 32};
	const struct sl_addr v4 = taddr("100.100.100.200:80"), v6 = taddr("[fd00:ec2::254]:80"),
			     near = taddr("100.100.100.201:80"), link = taddr("169.254.169.254:80");

	setup();
	realms[0].allow_peers = wide;
	realms[0].n_allow = 2;
	realms[1].allow_peers = &exact;
	realms[1].n_allow = 1;
	start();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_permission(&alice, &near), 0);
	CHECK_INT(tc_ask_permission(&alice, &v4), 403);
	CHECK_INT(tc_ask_permission(&alice, &link), 403); /* though nothing denies it here */
	sl_stun_put_u32(&bob.w, SL_TURN_REQUESTED_ADDRESS_FAMILY, 2u << 24);
	CHECK_INT(tc_ask_allocate(&bob), 0);
	bob.fixed_txid = true; /* part of how IPv6 addresses are written */
	sl_put16(bob.txid + 4, bob.at.remote.port);
	CHECK_INT(tc_ask_permission(&bob, &v6), 403);
	CHECK_INT(tc_ask_allocate(&stranger), 0);
	CHECK_INT(tc_ask_permission(&stranger, &v4), 0);
	CHECK(tnet_stop(&net));
}

/* ---- allocations */

TEST(a_source_has_its_allocations_whoever_its_users_are)
{
	setup();
	realms[0].limits[SL_TURN_PER_SOURCE].allocations = 1;
	start();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	bob.at.remote = alice.at.remote;
	bob.at.remote.port++;
	CHECK_INT(tc_ask_allocate(&bob), 486);
	CHECK_INT(COUNTER(source_refusals), 1);
	CHECK_INT(tc_ask_refresh(&alice, 0), 0);
	CHECK_INT(tc_ask_allocate(&bob), 0);
	CHECK(tnet_stop(&net));
	CHECK_INT(net.n_granted, 2);
}

TEST(a_source_of_ipv6_is_a_64)
{
	setup();
	realms[0].limits[SL_TURN_PER_SOURCE].allocations = 1;
	start();
	alice.at.remote = taddr("[2001:db8:0:1::1]:1000");
	bob.at.remote = taddr("[2001:db8:0:1:ffff::2]:1000");
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_allocate(&bob), 486);
	bob.at.remote = taddr("[2001:db8:0:2::2]:1000");
	bob.nonce[0] = '\0';
	CHECK_INT(tc_ask_allocate(&bob), 0);
	CHECK(tnet_stop(&net));
}

TEST(a_full_realm_leaves_the_others_alone)
{
	setup();
	realms[0].limits[SL_TURN_PER_REALM].allocations = 1;
	start();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_allocate(&bob), 508);
	CHECK_INT(COUNTER(realm_refusals), 1);
	CHECK_INT(tc_ask_allocate(&stranger), 0);
	CHECK_INT(tc_ask_refresh(&alice, 0), 0);
	CHECK_INT(tc_ask_allocate(&bob), 0);
	CHECK(tnet_stop(&net));
}

/* ---- permissions and channels */

TEST(permissions_and_channels_of_a_user_count_over_its_allocations)
{
	const struct sl_addr one = taddr("192.0.2.1:1"), two = taddr("192.0.2.2:2"),
			     three = taddr("192.0.2.3:3");

	setup();
	realms[0].limits[SL_TURN_PER_USER].permissions = 2;
	realms[0].limits[SL_TURN_PER_USER].channels = 1;
	start();
	sl_str_copy(bob.user, sizeof bob.user, SL_STR("alice"));
	sl_str_copy(bob.password, sizeof bob.password, SL_STR("wonder"));
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_allocate(&bob), 0);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &one), 0);
	CHECK_INT(tc_ask_channel(&bob, 0x4000, &one), 508);
	CHECK_INT(COUNTER(channel_refusals), 1);
	CHECK_INT(tc_ask_permission(&bob, &two), 0);
	CHECK_INT(tc_ask_permission(&bob, &three), 508);
	CHECK_INT(COUNTER(permission_refusals), 1);
	CHECK_INT(tc_ask_refresh(&alice, 0), 0);
	CHECK_INT(tc_ask_channel(&bob, 0x4000, &one), 0);
	CHECK(tnet_stop(&net));
}

static struct sl_turn_limit *limit_of(int scope)
{
	return scope < SL_TURN_IN_TOTAL ? &realms[0].limits[scope] : &net.conf.total;
}

static uint64_t n_permissions_over(int scope)
{
	const uint64_t n[SL_TURN_SCOPES] = {
		COUNTER(over_allocation_permissions), COUNTER(over_user_permissions),
		COUNTER(over_source_permissions), COUNTER(over_realm_permissions),
		COUNTER(over_total_permissions)};

	return n[scope];
}

static uint64_t n_channels_over(int scope)
{
	const uint64_t n[SL_TURN_SCOPES] = {
		COUNTER(over_allocation_channels), COUNTER(over_user_channels),
		COUNTER(over_source_channels), COUNTER(over_realm_channels),
		COUNTER(over_total_channels)};

	return n[scope];
}

TEST(each_scope_limits_permissions_and_channels_in_its_own_counter)
{
	const struct sl_addr one = taddr("192.0.2.1:1"), two = taddr("192.0.2.2:2");

	for (int scope = 0; scope < SL_TURN_SCOPES; scope++) {
		setup();
		limit_of(scope)->permissions = 1;
		start();
		CHECK_INT(tc_ask_allocate(&alice), 0);
		CHECK_INT(tc_ask_permission(&alice, &one), 0);
		CHECK_INT(tc_ask_permission(&alice, &one), 0); /* renewed */
		CHECK_INT(tc_ask_permission(&alice, &two), 508);
		CHECK_INT(n_permissions_over(scope), 1);
		CHECK_INT(COUNTER(permission_refusals), 1);
		CHECK(tnet_stop(&net));
		setup();
		limit_of(scope)->channels = 1;
		start();
		CHECK_INT(tc_ask_allocate(&alice), 0);
		CHECK_INT(tc_ask_channel(&alice, 0x4000, &one), 0);
		CHECK_INT(tc_ask_channel(&alice, 0x4000, &one), 0);
		CHECK_INT(tc_ask_channel(&alice, 0x4001, &two), 508);
		CHECK_INT(n_channels_over(scope), 1);
		CHECK_INT(COUNTER(channel_refusals), 1);
		CHECK(tnet_stop(&net));
	}
}

TEST(each_scope_limits_allocations_with_its_own_answer)
{
	static const unsigned codes[SL_TURN_SCOPES] = {[SL_TURN_PER_USER] = 486,
						       [SL_TURN_PER_SOURCE] = 486,
						       [SL_TURN_PER_REALM] = 508,
						       [SL_TURN_IN_TOTAL] = 508};

	for (int scope = SL_TURN_PER_USER; scope < SL_TURN_SCOPES; scope++) {
		setup();
		limit_of(scope)->allocations = 1;
		start();
		sl_str_copy(bob.user, sizeof bob.user, SL_STR("alice"));
		sl_str_copy(bob.password, sizeof bob.password, SL_STR("wonder"));
		bob.at.remote = alice.at.remote;
		bob.at.remote.port++;
		CHECK_INT(tc_ask_allocate(&alice), 0);
		CHECK_INT(tc_ask_allocate(&bob), codes[scope]);
		CHECK_INT(COUNTER(quota_refusals), codes[scope] == 486);
		CHECK_INT(COUNTER(source_refusals), scope == SL_TURN_PER_SOURCE);
		CHECK_INT(COUNTER(realm_refusals), scope == SL_TURN_PER_REALM);
		CHECK_INT(COUNTER(capacity_refusals), codes[scope] == 508);
		CHECK_INT(tc_ask_refresh(&alice, 0), 0);
		CHECK_INT(tc_ask_allocate(&bob), 0);
		CHECK(tnet_stop(&net));
	}
}

/* ---- bits a second */

static unsigned pass_channel_data(struct tclient *c, unsigned n)
{
	unsigned passed = 0;

	for (unsigned i = 0; i < n; i++)
		passed += tc_channel_data(c, 0x4000, 250) != NULL;
	return passed;
}

static void bind_all(const struct sl_addr *peer)
{
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_allocate(&bob), 0);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, peer), 0);
	CHECK_INT(tc_ask_channel(&bob, 0x4000, peer), 0);
}

TEST(a_user_gets_its_burst_and_then_its_rate_in_each_direction)
{
	const struct sl_addr peer = taddr("192.0.2.1:1");
	unsigned n = 0;

	setup();
	realms[0].limits[SL_TURN_PER_USER].bps = 2000000; /* 62 500 bytes in 250 ms */
	start();
	bind_all(&peer);
	CHECK_INT(pass_channel_data(&alice, 1000), 250);
	CHECK_INT(COUNTER(over_user_rate), 750);
	CHECK_INT(COUNTER(to_peer_packets), 250);
	CHECK_INT(pass_channel_data(&bob, 100), 100); /* is another user */
	for (unsigned i = 0; i < 1000; i++)
		n += tc_peer_data(&alice, &peer) >= 0; /* 100 bytes each, and its own bucket */
	CHECK_INT(n, 625);
	tnet_pass(&net, 100);
	CHECK_INT(pass_channel_data(&alice, 1000), 100); /* 25 000 bytes */
	CHECK(tnet_stop(&net));
}

TEST(what_the_realm_refuses_is_not_charged_to_the_user)
{
	const struct sl_addr peer = taddr("192.0.2.1:1");

	setup();
	realms[0].limits[SL_TURN_PER_USER].bps = 4000000;
	realms[0].limits[SL_TURN_PER_REALM].bps = 2000000;
	start();
	bind_all(&peer);
	CHECK_INT(pass_channel_data(&alice, 1000), 250);
	CHECK_INT(pass_channel_data(&bob, 10), 0);
	CHECK_INT(COUNTER(over_realm_rate), 760);
	CHECK_INT(COUNTER(over_user_rate), 0);
	CHECK_INT(alice.alloc->user->share.spent_until[TURN_TO_PEER] -
			  net.now_ms * UINT64_C(16000000),
		  UINT64_C(125) * 16000000); /* 250 packets of 250 bytes at 4 Mbit/s */
	CHECK(tnet_stop(&net));
}

static bool sends_indication(struct tclient *c, const struct sl_addr *peer)
{
	static const uint8_t data[1200];
	struct sl_stun_writer w;

	sl_stun_begin(&w, c->wire, sizeof c->wire, SL_STUN_INDICATION, SL_TURN_SEND, c->txid);
	sl_stun_put_xor_addr(&w, SL_TURN_XOR_PEER_ADDRESS, peer);
	sl_stun_put(&w, SL_TURN_DATA_ATTR, data, sizeof data);
	sl_assert(sl_stun_finish(&w, &c->wire_len) == 0);
	(void)tc_input(c);
	return c->out.to_peer_via != NULL;
}

static uint64_t n_over(int scope)
{
	const uint64_t n[SL_TURN_SCOPES] = {COUNTER(over_allocation_rate), COUNTER(over_user_rate),
					    COUNTER(over_source_rate), COUNTER(over_realm_rate),
					    COUNTER(over_total_rate)};

	return n[scope];
}

TEST(send_indications_count_too_and_each_scope_has_its_counter)
{
	const struct sl_addr peer = taddr("192.0.2.1:1");

	for (int scope = 0; scope < SL_TURN_SCOPES; scope++) {
		unsigned n = 0;

		setup();
		limit_of(scope)->bps = 1000;
		start();
		CHECK_INT(tc_ask_allocate(&alice), 0);
		CHECK(alice.alloc->shaped);
		CHECK_INT(tc_ask_permission(&alice, &peer), 0);
		for (int i = 0; i < 30; i++)
			n += sends_indication(&alice, &peer);
		CHECK_INT(n, 27); /* a burst of 32 KiB */
		CHECK_INT(n_over(scope), 3);
		n = 0;
		for (int i = 0; i < 1000; i++)
			n += tc_peer_data(&alice, &peer) >= 0; /* 100 bytes; its own bucket */
		CHECK_INT(n, 32768 / 100);
		CHECK_INT(n_over(scope), 3 + 1000 - n);
		CHECK(tnet_stop(&net));
	}
}

TEST(without_rates_nothing_is_looked_at)
{
	setup();
	start();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK(!alice.alloc->shaped);
	CHECK(tnet_stop(&net));
}

TEST_MAIN()
