/*
 * ICE agents against each other over networks of many kinds, in virtual time, over many seeds: both must agree on a path
 * that works, soon, and keep it through restarts, losses and changes of address.
 */
#include "lib/test.h"
#include "sim/ice_net.h"

enum { SEEDS = 25 };

static struct iworld world;
static struct inode *a = &world.nodes[0], *b = &world.nodes[1];

struct setting {
	bool a_lite, a_controlling, b_controlling;
	enum inat a_nat, b_nat;
	unsigned loss_percent, delay_ms;
};

static void begin(const struct setting *s, uint64_t seed)
{
	iworld_init(&world, seed);
	world.loss_percent = s->loss_percent;
	world.delay_ms = s->delay_ms ? s->delay_ms : 20;
	world.jitter_ms = world.delay_ms / 2;
	inode_init(&world, 0, s->a_nat ? "10.0.0.1:3478" : "192.0.2.1:3478", s->a_controlling, s->a_lite);
	inode_init(&world, 1, s->b_nat ? "10.0.1.1:5000" : "198.51.100.1:5000", s->b_controlling, false);
	a->nat = s->a_nat, a->outside = iaddr("192.0.2.100");
	b->nat = s->b_nat, b->outside = iaddr("198.51.100.100");
	if (seed % 3 == 1)
		inode_base(a, "192.0.2.1:443"), inode_base(a, "[2001:db8::1]:3478");
	if (seed % 3 == 2)
		inode_base(b, "[2001:db8::2]:5000"), inode_base(b, "198.51.100.2:5001");
	inode_start(a);
	inode_start(b);
}

/* Trickled with delays, as signalling does. */
static void exchange(void)
{
	inode_describe(b, a);
	inet_pass(&world, inet_pick(&world, 60));
	inode_trickle(b, a);
	inet_pass(&world, inet_pick(&world, 60));
	inode_describe(a, b);
	inode_trickle(a, b);
}

/* Rounds of media: lost packets apart, all of it arrives */
static bool media_flows(void)
{
	unsigned a_in = a->n_media_in, b_in = b->n_media_in;

	for (int i = 0; i < 50; i++) {
		inode_media(a);
		inode_media(b);
		inet_pass(&world, 20);
	}
	inet_pass(&world, 500 + 2 * world.delay_ms);
	return a->n_media_in - a_in >= 20 && b->n_media_in - b_in >= 20 &&
	       (world.loss_percent || a->n_media_in - a_in == 50) && (world.loss_percent || b->n_media_in - b_in == 50);
}

static bool fails(const struct setting *s, unsigned seed, const char *what)
{
	printf("# seed %u, lite %d, controlling %d %d, nat %d %d, loss %u %%, delay %u ms: %s\n", seed, s->a_lite,
	       s->a_controlling, s->b_controlling, s->a_nat, s->b_nat, s->loss_percent, world.delay_ms, what);
	return false;
}

static bool connects(const struct setting *s, unsigned seed, uint64_t within_ms)
{
	uint64_t took;

	begin(s, seed);
	exchange();
	took = iworld_connect_ms(&world, within_ms);
	if (took >= within_ms)
		return fails(s, seed, "not connected");
	inet_pass(&world, 3000);
	for (unsigned i = 0; i < 200 && !iworld_agrees(&world); i++)
		inet_pass(&world, s->loss_percent + world.delay_ms / 4);
	if (!iworld_agrees(&world))
		return fails(s, seed, "both send along different paths");
	if (a->agent->controlling == b->agent->controlling)
		return fails(s, seed, "both have one role");
	if (!media_flows())
		return fails(s, seed, "media does not flow");
	if (world.wrong)
		return fails(s, seed, "an invariant is broken");
	return true;
}

static bool all_connect(struct setting s, uint64_t within_ms)
{
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		bool good = connects(&s, seed, within_ms);

		iworld_stop(&world);
		if (!good)
			return false;
	}
	return true;
}

TEST(two_full_agents_connect_in_a_few_round_trips)
{
	CHECK(all_connect((struct setting){.a_controlling = true}, 200));
	CHECK(all_connect((struct setting){.b_controlling = true}, 200));
}

TEST(a_lite_agent_connects_with_a_full_one)
{
	CHECK(all_connect((struct setting){.a_lite = true, .b_controlling = true}, 200));
	/* It takes control because the other one is lite. */
	CHECK(all_connect((struct setting){.a_lite = true}, 200));
	CHECK(all_connect((struct setting){.a_lite = true, .a_controlling = true}, 200));
}

static bool connects_by_ipv6(uint64_t seed)
{
	bool good;

	iworld_init(&world, seed);
	inode_init(&world, 0, "[2001:db8::1]:3478", seed % 2, false);
	inode_init(&world, 1, "[2001:db8::2]:5000", !(seed % 2), false);
	if (seed % 3 == 1)
		inode_base(a, "192.0.2.1:3478"); /* which the other does not have */
	inode_start(a);
	inode_start(b);
	exchange();
	good = iworld_connect_ms(&world, 200) < 200 && a->selected.remote.family == 6 && media_flows();
	iworld_stop(&world);
	return good && !world.wrong;
}

TEST(ipv6_alone_is_enough)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		CHECK(connects_by_ipv6(seed));
}

TEST(agents_in_one_role_settle_their_conflict)
{
	CHECK(all_connect((struct setting){.a_controlling = true, .b_controlling = true}, 600));
	CHECK(all_connect((struct setting){0}, 600));
}

TEST(loss_delays_and_does_not_prevent)
{
	for (unsigned loss = 10; loss <= 30; loss += 10) {
		CHECK(all_connect((struct setting){.a_controlling = true, .loss_percent = loss}, 8000));
		CHECK(all_connect((struct setting){.b_controlling = true, .loss_percent = loss}, 8000));
		CHECK(all_connect((struct setting){.a_lite = true, .b_controlling = true, .loss_percent = loss}, 8000));
		CHECK(all_connect((struct setting){.loss_percent = loss}, 8000));
	}
}

TEST(long_paths_connect)
{
	CHECK(all_connect((struct setting){.a_controlling = true, .delay_ms = 400}, 4000));
	CHECK(all_connect((struct setting){.b_controlling = true, .delay_ms = 1000}, 9000));
}

TEST(a_peer_behind_any_nat_reaches_a_public_agent)
{
	for (enum inat nat = INAT_FULL_CONE; nat <= INAT_SYMMETRIC; nat++) {
		CHECK(all_connect((struct setting){.a_controlling = true, .b_nat = nat}, 1000));
		CHECK(all_connect((struct setting){.b_controlling = true, .b_nat = nat, .loss_percent = 5}, 5000));
		CHECK(all_connect((struct setting){.a_lite = true, .b_controlling = true, .b_nat = nat}, 1000));
	}
}

TEST(two_agents_behind_nats_connect_where_rfc_4787_lets_them)
{
	for (enum inat nat = INAT_FULL_CONE; nat <= INAT_SYMMETRIC; nat++) {
		for (enum inat other = INAT_FULL_CONE; other <= INAT_SYMMETRIC; other++) {
			struct setting s = {.a_controlling = true, .a_nat = nat, .b_nat = other};

			if (nat + other >= INAT_PORT + INAT_SYMMETRIC)
				continue; /* needs a relay */
			CHECK(all_connect(s, 2000));
		}
	}
}

/* ---- changes */

static bool starts(struct setting s, unsigned seed)
{
	begin(&s, seed);
	exchange();
	if (iworld_connect_ms(&world, 8000) >= 8000)
		return fails(&s, seed, "not connected");
	inet_pass(&world, 2000);
	return true;
}

/* Media each 20 ms while fn's consequences take place; returns the longest gap at a node. */
static uint64_t longest_gap(struct inode *n, uint64_t ms)
{
	uint64_t gap = 0, end = world.now_ms + ms;

	n->media_ms = world.now_ms;
	while (world.now_ms < end) {
		inode_media(a);
		inode_media(b);
		inet_pass(&world, 20);
		if (world.now_ms - n->media_ms > gap)
			gap = world.now_ms - n->media_ms;
	}
	return gap;
}

static bool restarts_without_gap(struct inode *first, struct inode *second)
{
	char ufrag[ICE_UFRAG_CHARS + 1];
	uint64_t gap;

	memcpy(ufrag, ice_ufrag(first->agent), sizeof ufrag);
	if (ice_restart(first->agent, world.now_ms) < 0 || strcmp(ufrag, ice_ufrag(first->agent)) == 0)
		return false;
	gap = longest_gap(second, 100); /* the offer is under way */
	if (ice_restart(second->agent, world.now_ms) < 0)
		return false;
	inode_describe(first, second);
	inode_trickle(first, second);
	if (longest_gap(first, 100) > 80 || gap > 80)
		return false;
	inode_describe(second, first);
	inode_trickle(second, first);
	if (longest_gap(first, 2000) > 80 || longest_gap(second, 8000) > 80)
		return false;
	return !first->agent->has_old && !second->agent->has_old && iworld_agrees(&world) && !world.wrong &&
	       !first->agent->selected->old && !second->agent->selected->old;
}

TEST(a_restart_from_either_side_loses_no_media)
{
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		struct setting s = {.a_lite = seed % 2, .a_controlling = seed % 4 < 2};
		struct inode *first = seed % 3 ? a : b, *second = seed % 3 ? b : a;
		bool good = starts(s, seed) && restarts_without_gap(first, second) && restarts_without_gap(second, first);

		if (!good)
			printf("# seed %u\n", seed);
		iworld_stop(&world);
		CHECK(good);
	}
}

/* Browsers compare pairs of both generations, and may stay with an old one. */
TEST(who_goes_on_along_the_path_of_before_is_heard_there)
{
	static const uint8_t rtp[] = {0x80, 96, 0, 1};
	const struct setting s = {.b_controlling = true};
	struct ice_path before;

	begin(&s, 2);
	exchange();
	CHECK(iworld_connect_ms(&world, 2000) < 2000);
	inet_pass(&world, 2000);
	before = b->selected;
	CHECK_INT(ice_restart(b->agent, world.now_ms), 0);
	CHECK_INT(ice_restart(a->agent, world.now_ms), 0);
	b->bases[2] = iaddr("198.51.100.3:5002"); /* gathered for the restart; the others are not told again */
	b->n_bases = 3;
	ice_base_gone(b->agent, 0, world.now_ms);
	ice_base_gone(b->agent, 1, world.now_ms);
	CHECK_INT(ice_add_local(b->agent, &b->bases[2], NULL, 2, ICE_UDP), 0);
	inode_describe(b, a);
	inode_trickle(b, a);
	inode_describe(a, b);
	inode_trickle(a, b);
	CHECK(longest_gap(b, 1000) <= 80);
	CHECK_INT(a->n_media_refused, 0);
	for (unsigned i = 0; i < 1000; i++) {
		inode_send(b, &before, rtp, sizeof rtp);
		inet_pass(&world, 20);
	}
	CHECK_INT(a->n_media_refused, 0);
	CHECK(a->agent->has_old);
	inet_pass(&world, 10000);
	CHECK(!a->agent->has_old);
	iworld_stop(&world);
}

TEST(a_restart_that_is_never_answered_keeps_the_path)
{
	CHECK(starts((struct setting){.a_controlling = true}, 1));
	CHECK_INT(ice_restart(a->agent, world.now_ms), 0);
	CHECK(longest_gap(b, 60000) <= 80);
	CHECK_INT(ice_get_state(a->agent), ICE_CONNECTED);
	iworld_stop(&world);
}

/* The peer's NAT gives it another port, and it does not know. */
TEST(a_rebinding_is_followed_within_seconds)
{
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		struct setting s = {.a_lite = seed % 2, .a_controlling = seed % 4 < 2, .b_nat = INAT_PORT};
		uint64_t gap;

		CHECK(starts(s, seed));
		inat_rebind(b);
		gap = longest_gap(b, 20000);
		if (gap > (s.a_lite ? 6000 : 5000) || !iworld_connected(&world) || world.wrong)
			printf("# seed %u: %llu ms\n", seed, (unsigned long long)gap);
		CHECK(gap <= (s.a_lite ? 6000 : 5000));
		CHECK(iworld_connected(&world));
		CHECK(!world.wrong);
		iworld_stop(&world);
	}
}

/* A browser with a new address asks from there, and who sends to it follows with the answer to one check. */
TEST(a_peer_that_asks_from_a_new_address_is_followed_at_once)
{
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		struct setting s = {.a_controlling = seed % 2, .b_controlling = !(seed % 2), .b_nat = INAT_PORT};
		struct ice_pair *p;
		uint64_t gap;

		CHECK(starts(s, seed));
		CHECK(longest_gap(a, 500) <= 80);
		inat_rebind(b);
		CHECK(longest_gap(a, 400) >= 300);
		p = b->agent->selected;
		ice_ask_alive(b->agent, p, world.now_ms);
		b->media_ms = world.now_ms;
		gap = longest_gap(b, 1000);
		if (gap > 260)
			printf("# seed %u: %llu ms\n", seed, (unsigned long long)gap);
		CHECK(gap <= 260);
		CHECK(iworld_agrees(&world));
		CHECK(!world.wrong);
		iworld_stop(&world);
	}
}

/* Nobody asks, no candidate is told: media that comes from a new address is enough, and again on the way back. */
TEST(a_peer_whose_media_comes_from_a_new_address_is_followed)
{
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		struct setting s = {.a_controlling = seed % 2, .b_controlling = !(seed % 2), .b_nat = INAT_PORT};

		CHECK(starts(s, seed));
		a->follows = true;
		CHECK(longest_gap(a, 1000) <= 80);
		for (unsigned i = 0; i < 3; i++) {
			inat_rebind(b);
			CHECK(longest_gap(b, 1000) <= 120); /* round trips, and late packets from the old address */
			CHECK(longest_gap(a, 1000) <= 80);
			CHECK(iworld_agrees(&world));
		}
		CHECK(!world.wrong);
		iworld_stop(&world);
	}
}

/* It has come along the old path since: a packet was held back and sent from elsewhere. */
TEST(media_from_elsewhere_moves_nothing_while_the_peer_is_where_it_was)
{
	const struct setting s = {.a_controlling = true};
	struct ice_path elsewhere, before;

	CHECK(starts(s, 1));
	CHECK(longest_gap(a, 500) <= 80);
	before = elsewhere = *ice_selected(a->agent);
	elsewhere.remote.port++;
	CHECK(!ice_may_receive(a->agent, &elsewhere, world.now_ms));
	CHECK(ice_follow(a->agent, &elsewhere, world.now_ms));
	CHECK(longest_gap(b, 3000) <= 80);
	CHECK(sl_addr_eq(&ice_selected(a->agent)->remote, &before.remote));
	iworld_stop(&world);
}

TEST(nobody_is_followed_during_a_restart_or_by_a_lite_agent)
{
	const struct setting full = {.a_controlling = true};
	struct setting lite = full;
	struct ice_path elsewhere;

	CHECK(starts(full, 1));
	elsewhere = *ice_selected(a->agent);
	elsewhere.remote.port++;
	CHECK_INT(ice_restart(a->agent, world.now_ms), 0);
	CHECK(!ice_follow(a->agent, &elsewhere, world.now_ms));
	iworld_stop(&world);
	lite.a_lite = true;
	CHECK(starts(lite, 2));
	elsewhere = *ice_selected(a->agent);
	elsewhere.remote.port++;
	CHECK(!ice_follow(a->agent, &elsewhere, world.now_ms));
	iworld_stop(&world);
}

/* The relay answers first; what is direct comes when its packets pass at last. */
TEST(a_direct_path_replaces_a_relay)
{
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		const struct setting s = {.a_controlling = true};
		struct ice_candidate c[INET_BASES];

		begin(&s, seed * 3);
		inode_base(b, "203.0.113.77:50000");
		CHECK_INT(ice_add_local(b->agent, &b->bases[1], NULL, 1, ICE_UDP), 0);
		b->dead_bases = 1;
		inode_describe(b, a);
		inode_describe(a, b);
		inode_trickle(a, b);
		CHECK_INT(ice_local_candidates(b->agent, c, INET_BASES), 2);
		c[1].type = ICE_RELAY;
		c[1].priority = 2u << 24 | 255;
		CHECK_INT(ice_add_remote(a->agent, &c[0], world.now_ms), 0);
		CHECK_INT(ice_add_remote(a->agent, &c[1], world.now_ms), 0);
		CHECK(iworld_connect_ms(&world, 3000) < 3000);
		inet_pass(&world, 1500);
		CHECK(sl_addr_eq(&a->selected.remote, &b->bases[1]));
		b->dead_bases = 0;
		for (struct ice_pair *p = b->agent->pairs; p; p = p->next) /* as browsers go on asking */
			if (p->path.via == 0)
				ice_trigger(b->agent, p, world.now_ms);
		inet_pass(&world, 2000);
		CHECK(sl_addr_eq(&a->selected.remote, &b->bases[0]));
		CHECK(iworld_agrees(&world));
		CHECK(media_flows());
		CHECK(!world.wrong);
		iworld_stop(&world);
	}
}

/* Another network, and a restart as a client does that watches its network. */
TEST(a_roaming_peer_is_back_within_a_second_of_its_restart)
{
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		struct setting s = {.a_lite = seed % 2, .a_controlling = seed % 4 < 2};
		uint64_t gap;

		CHECK(starts(s, seed * 3));
		b->bases[0] = iaddr("203.0.113.9:6000");
		ice_base_gone(b->agent, 0, world.now_ms);
		CHECK_INT(ice_add_local(b->agent, &b->bases[0], NULL, 0, ICE_UDP), 0);
		CHECK_INT(ice_restart(b->agent, world.now_ms), 0);
		CHECK_INT(ice_restart(a->agent, world.now_ms), 0);
		inet_pass(&world, 40);
		inode_describe(b, a);
		inode_trickle(b, a);
		inode_describe(a, b);
		inode_trickle(a, b);
		gap = longest_gap(a, 10000);
		CHECK(gap < 1000);
		CHECK(iworld_agrees(&world));
		CHECK(!world.wrong);
		iworld_stop(&world);
	}
}

/* One of the peer's two networks goes, and nobody says so: what else works takes over, without a restart. */
TEST(a_dead_path_gives_way_to_one_that_works)
{
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		struct setting s = {.a_lite = seed % 4 == 0, .a_controlling = seed % 2, .b_controlling = !(seed % 2)};
		uint64_t gap;

		begin(&s, seed * 3);
		inode_base(b, "198.51.100.2:5001");
		CHECK_INT(ice_add_local(b->agent, &b->bases[1], NULL, 1, ICE_UDP), 0);
		exchange();
		CHECK(iworld_connect_ms(&world, 1000) < 1000);
		inet_pass(&world, 2000);
		b->dead_bases = 1u << b->selected.via;
		gap = longest_gap(a, 20000);
		if (gap > 4000 || !iworld_agrees(&world) || world.wrong)
			printf("# seed %u: %llu ms\n", seed, (unsigned long long)gap);
		CHECK(gap <= 4000);
		CHECK(iworld_agrees(&world));
		CHECK(iworld_connected(&world));
		CHECK(!world.wrong);
		iworld_stop(&world);
	}
}

TEST(a_lost_peer_is_told_and_given_up_when_consent_expires)
{
	for (unsigned lite = 0; lite < 2; lite++) {
		CHECK(starts((struct setting){.a_lite = lite, .a_controlling = !lite}, 2));
		b->cut = true;
		inet_pass(&world, 3000);
		CHECK_INT(ice_get_state(a->agent), ICE_CONNECTED);
		inet_pass(&world, 8000);
		CHECK_INT(ice_get_state(a->agent), ICE_DISCONNECTED);
		CHECK(a->has_selected);
		inet_pass(&world, 35000);
		CHECK_INT(ice_get_state(a->agent), ICE_FAILED);
		CHECK(!a->has_selected && !ice_selected(a->agent));
		CHECK_INT(a->n_open, 0);
		CHECK_INT(a->counters.consent_lost, 1);
		CHECK(ice_next_ms(a->agent) == UINT64_MAX);
		iworld_stop(&world);
	}
}

TEST(a_peer_that_comes_back_in_time_is_connected_again)
{
	CHECK(starts((struct setting){.b_controlling = true}, 3));
	b->cut = true;
	inet_pass(&world, 12000);
	CHECK_INT(ice_get_state(a->agent), ICE_DISCONNECTED);
	b->cut = false;
	inet_pass(&world, 2000);
	CHECK_INT(ice_get_state(a->agent), ICE_CONNECTED);
	CHECK(media_flows());
	iworld_stop(&world);
}

TEST(a_failed_agent_begins_again_by_a_restart)
{
	CHECK(starts((struct setting){.b_controlling = true}, 3));
	b->cut = true;
	inet_pass(&world, 60000);
	CHECK_INT(ice_get_state(a->agent), ICE_FAILED);
	CHECK_INT(ice_get_state(b->agent), ICE_FAILED);
	b->cut = false;
	CHECK_INT(ice_restart(a->agent, world.now_ms), 0);
	CHECK_INT(ice_restart(b->agent, world.now_ms), 0);
	exchange();
	CHECK(iworld_connect_ms(&world, 500) < 500);
	CHECK(media_flows());
	iworld_stop(&world);
}

TEST(agents_that_cannot_reach_each_other_fail_in_time)
{
	const struct setting s = {.a_controlling = true};

	begin(&s, 1);
	b->cut = true;
	exchange();
	inet_pass(&world, 29000);
	CHECK_INT(ice_get_state(a->agent), ICE_CHECKING);
	inet_pass(&world, 2000);
	CHECK_INT(ice_get_state(a->agent), ICE_FAILED);
	CHECK(!a->has_selected);
	iworld_stop(&world);
}

TEST(an_hour_of_quiet_keeps_a_path_by_few_checks)
{
	CHECK(starts((struct setting){.a_controlling = true}, 4));
	a->sent = b->sent = 0;
	inet_pass(&world, 3600 * 1000);
	CHECK(iworld_connected(&world));
	/* Each asks every few seconds and answers the other. */
	CHECK(a->sent < 3600 && b->sent < 3600);
	CHECK_INT(a->n_failed, 0);
	CHECK(!world.wrong);
	iworld_stop(&world);
}

TEST(consent_survives_heavy_loss)
{
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		CHECK(starts((struct setting){.a_lite = seed % 2, .a_controlling = true, .loss_percent = 30}, seed));
		inet_pass(&world, 600 * 1000);
		CHECK_INT(a->n_failed + b->n_failed, 0);
		iworld_stop(&world);
	}
}

TEST_MAIN()
