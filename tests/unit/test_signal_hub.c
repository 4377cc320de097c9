/*
 * test_signal_hub.c: rooms on one worker and over several: joins, addressing, candidates, limits,
 * ends.
 */
#include "lib/test.h"
#include "signal_world.h"

#define SDP(ufrag) "v=0\\r\\na=ice-ufrag:" ufrag "\\r\\n"

static struct world world;
static struct client a, b, c;

static void setup(unsigned n_workers)
{
	world_init(&world, n_workers);
	client_open(&world, &a, 0);
	client_open(&world, &b, n_workers - 1);
	client_open(&world, &c, n_workers - 1);
}

static void teardown(void)
{
	client_free(&a);
	client_free(&b);
	client_free(&c);
	world_free(&world);
}

/* Two in one room, and what they were told so far is read. */
static void setup_pair(unsigned n_workers)
{
	setup(n_workers);
	client_join(&a, "tea", "ann");
	world_run(&world);
	client_join(&b, "tea", "bob");
	world_run(&world);
	CHECK(client_gets(&a, "joined"));
}

static bool nothing_for(struct client *x)
{
	return x->n_read == x->n_texts;
}

static bool member_is(struct client *x, const char *key, const char *want)
{
	json_t *json = client_next(x);
	bool same = json && sl_str_eq(sl_json_get_str(json, key), sl_str_c(want));

	json_decref(json);
	return same;
}

TEST(peers_of_two_workers_see_each_other_and_have_opposite_roles)
{
	json_t *welcome, *joined, *peer;
	bool polite_a, polite_b;

	setup(2);
	client_join(&a, "tea", "ann");
	world_run(&world);
	client_send(&b, "{\"type\":\"hello\",\"version\":1}");
	client_send(&b, "{\"type\":\"join\",\"room\":\"tea\",\"name\":\"bob\",\"id\":7}");
	world_run(&world);
	CHECK(client_gets(&b, "hello"));
	welcome = client_next(&b);
	peer = json_array_get(json_object_get(welcome, "peers"), 0);
	CHECK_STR(sl_json_get_str(peer, "name"), "ann");
	polite_b = json_is_true(json_object_get(peer, "polite"));
	json_decref(welcome);
	CHECK(client_gets(&b, "ack"));
	joined = client_next(&a);
	peer = json_object_get(joined, "peer");
	CHECK_STR(sl_json_get_str(peer, "name"), "bob");
	polite_a = json_is_true(json_object_get(peer, "polite"));
	json_decref(joined);
	CHECK(polite_a != polite_b);
	teardown();
}

TEST(both_hear_of_each_other_when_they_join_at_once)
{
	setup(2);
	client_join(&a, "tea", "ann");
	client_join(&b, "tea", "bob"); /* nothing has been delivered between the workers */
	world_run(&world);
	CHECK(client_gets(&a, "joined"));
	CHECK(client_gets(&b, "joined"));
	CHECK(nothing_for(&a) && nothing_for(&b));
	teardown();
}

TEST(a_message_to_one_is_heard_by_one_and_one_to_all_by_all_in_the_room)
{
	char id[ID_STRLEN];

	setup_pair(2);
	client_join(&c, "tea", "cid");
	world_run(&world);
	CHECK(client_gets(&a, "joined") && client_gets(&b, "joined"));
	client_send(&a, "{\"type\":\"message\",\"to\":\"%s\",\"data\":1,\"id\":1}",
		    id_format(id, b.id));
	client_send(&a, "{\"type\":\"message\",\"data\":2,\"id\":2}");
	world_run(&world);
	CHECK(client_gets(&a, "ack") && client_gets(&a, "ack") && nothing_for(&a));
	CHECK(client_gets(&b, "message") && client_gets(&b, "message") && nothing_for(&b));
	CHECK(client_gets(&c, "message") && nothing_for(&c));
	teardown();
}

TEST(what_is_passed_on_names_its_sender_and_nothing_that_was_for_the_server)
{
	json_t *got;
	char id[ID_STRLEN];

	setup_pair(1);
	client_send(&a, "{\"type\":\"offer\",\"sdp\":\"" SDP(
				"x") "\",\"from\":\"liar\",\"seq\":99,\"id\":\"q\",\"mine\":[1]}");
	got = client_next(&b);
	CHECK_STR(sl_json_get_str(got, "from"), id_format(id, a.id));
	CHECK(json_object_get(got, "mine") && !json_object_get(got, "id") &&
	      !json_object_get(got, "to"));
	CHECK_INT(json_integer_value(json_object_get(got, "seq")), 1);
	json_decref(got);
	teardown();
}

TEST(candidates_wait_for_the_description_with_their_fragment)
{
	setup_pair(2);
	client_send(&a, "{\"type\":\"candidate\",\"candidate\":{\"candidate\":\"c1\","
			"\"usernameFragment\":\"one\"}}");
	client_send(&a, "{\"type\":\"candidate\",\"candidate\":{\"candidate\":\"c2 ufrag two\"}}");
	world_run(&world);
	CHECK(nothing_for(&b));
	client_send(&a, "{\"type\":\"offer\",\"sdp\":\"" SDP("one") "\"}");
	world_run(&world);
	CHECK(client_gets(&b, "offer") && client_gets(&b, "candidate") && nothing_for(&b));
	client_send(&a, "{\"type\":\"candidate\",\"candidate\":{\"candidate\":\"c3\","
			"\"usernameFragment\":\"one\"}}");
	world_run(&world);
	CHECK(client_gets(&b, "candidate"));
	client_send(&a, "{\"type\":\"offer\",\"sdp\":\"" SDP("two") "\"}"); /* an ICE restart */
	world_run(&world);
	CHECK(client_gets(&b, "offer") && client_gets(&b, "candidate") && nothing_for(&b));
	CHECK_INT(world_count(&world, M_CANDIDATES_HELD), 2);
	teardown();
}

TEST(candidates_that_wait_are_bounded)
{
	setup_pair(1);
	for (int i = 0; i < 8; i++)
		client_send(&a, "{\"type\":\"candidate\",\"candidate\":{\"candidate\":\"c%d\"}}",
			    i);
	CHECK(nothing_for(&a));
	client_send(&a, "{\"type\":\"candidate\",\"candidate\":{\"candidate\":\"c9\"}}");
	CHECK(client_gets_error(&a, "too_many_candidates"));
	teardown();
}

TEST(a_client_of_tutorials_needs_no_hello_and_no_addresses)
{
	setup(2);
	client_send(&a, "{\"type\":\"join\",\"room\":\"tea\"}");
	client_send(&b, "{\"type\":\"join\",\"room\":\"tea\"}");
	world_run(&world);
	CHECK(client_gets(&a, "welcome") && client_gets(&a, "joined"));
	CHECK(client_gets(&b, "welcome") && client_gets(&b, "joined"));
	client_send(&a, "{\"type\":\"candidate\",\"candidate\":\"candidate:1 1 udp 1 192.0.2.1 9 "
			"typ host\",\"label\":0}");
	client_send(&a,
		    "{\"type\":\"offer\",\"offer\":{\"type\":\"offer\",\"sdp\":\"" SDP("u") "\"}}");
	client_send(&b, "{\"type\":\"answer\",\"sdp\":{\"type\":\"answer\",\"sdp\":\"no ufrag\"}}");
	world_run(&world);
	CHECK(client_gets(&b, "offer") && client_gets(&b, "candidate"));
	CHECK(client_gets(&a, "answer"));
	client_close(&b, 1006); /* cannot resume */
	world_run(&world);
	CHECK(client_gets(&a, "left"));
	teardown();
}

TEST(the_one_who_knows_roles_is_polite_towards_the_one_who_does_not)
{
	json_t *welcome;

	setup(1);
	client_send(&a, "{\"type\":\"join\",\"room\":\"tea\"}");
	client_send(&b, "{\"type\":\"hello\",\"version\":1}");
	client_send(&b, "{\"type\":\"join\",\"room\":\"tea\"}");
	CHECK(client_gets(&b, "hello"));
	welcome = client_next(&b);
	CHECK(json_is_true(
		json_object_get(json_array_get(json_object_get(welcome, "peers"), 0), "polite")));
	json_decref(welcome);
	teardown();
}

TEST(numbers_are_accepted_once)
{
	setup_pair(1);
	client_send(&a, "{\"type\":\"message\",\"data\":1,\"id\":5}");
	client_send(&a, "{\"type\":\"message\",\"data\":1,\"id\":5}");
	client_send(&a, "{\"type\":\"message\",\"data\":1,\"id\":4}");
	CHECK(client_gets(&a, "ack") && client_gets(&a, "ack") && client_gets(&a, "ack"));
	CHECK(client_gets(&b, "message") && nothing_for(&b));
	teardown();
}

TEST(bad_messages_get_their_error_and_disturb_nothing)
{
	static const char *const bad[][2] = {
		{"", "bad_json"},
		{"[]", "bad_json"},
		{"{\"type\":\"offer\",\"type\":\"bye\"}", "bad_json"},
		{"{}", "unknown_type"},
		{"{\"type\":7}", "unknown_type"},
		{"{\"type\":\"dance\"}", "unknown_type"},
		{"{\"type\":\"bye\",\"id\":-1}", "bad_message"},
		{"{\"type\":\"bye\",\"id\":{}}", "bad_message"},
		{"{\"type\":\"bye\",\"ack\":\"1\"}", "bad_message"},
		{"{\"type\":\"bye\",\"ack\":1000}", "bad_message"},
		{"{\"type\":\"bye\",\"to\":\"nobody\"}", "no_such_peer"},
		{"{\"type\":\"bye\",\"to\":\"0123456789abcdef\"}", "no_such_peer"},
		{"{\"type\":\"offer\"}", "bad_message"},
		{"{\"type\":\"candidate\",\"candidate\":7}", "bad_message"},
		{"{\"type\":\"join\",\"room\":\"other\"}", "already_joined"},
		{"{\"type\":\"hello\",\"version\":1}", "already_joined"},
	};

	setup_pair(1);
	for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
		client_send(&a, "%s", bad[i][0]);
		CHECK(client_gets_error(&a, bad[i][1]));
	}
	CHECK(nothing_for(&b));
	CHECK_INT(world_count(&world, M_BAD_MESSAGES), SL_ARRAY_LEN(bad));
	client_send(&a, "{\"type\":\"message\",\"data\":0}");
	CHECK(client_gets(&b, "message"));
	teardown();
}

TEST(joins_are_refused_with_a_reason)
{
	static const char *const bad[][2] = {
		{"{\"type\":\"join\"}", "bad_room"},
		{"{\"type\":\"join\",\"room\":\"\"}", "bad_room"},
		{"{\"type\":\"join\",\"room\":7}", "bad_room"},
		{"{\"type\":\"join\",\"room\":\"a\\nb\"}", "bad_room"},
		{"{\"type\":\"join\",\"room\":\"a\",\"name\":\"\\u0085\"}", "bad_name"},
		{"{\"type\":\"join\",\"room\":\"a\",\"name\":1}", "bad_name"},
		{"{\"type\":\"leave\"}", "not_joined"},
		{"{\"type\":\"offer\",\"sdp\":\"\"}", "not_joined"},
	};

	setup(1);
	for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
		client_send(&a, "%s", bad[i][0]);
		CHECK(client_gets_error(&a, bad[i][1]));
	}
	world.room_limit = 0;
	client_send(&a, "{\"type\":\"join\",\"room\":\"a\"}");
	CHECK(client_gets_error(&a, "room_full"));
	CHECK_INT(world.workers[0].hub.roster.rooms.count, 0);
	teardown();
}

TEST(another_protocol_version_is_refused)
{
	setup(1);
	client_send(&a, "{\"type\":\"hello\",\"version\":2}");
	CHECK(client_gets_error(&a, "bad_version"));
	CHECK_INT(a.close_code, CLOSE_BAD_VERSION);
	teardown();
}

TEST(a_token_limits_rooms_and_what_may_be_said)
{
	struct claims claims = {.may = MAY_SIGNAL, .rooms = strdup("tea\nteam-*")};
	char id[ID_STRLEN];

	setup(1);
	client_free(&c);
	client_open_with(&world, &c, 0, &claims);
	client_send(&c, "{\"type\":\"join\",\"room\":\"coffee\"}");
	CHECK(client_gets_error(&c, "forbidden"));
	client_join(&c, "team-red", "cid");
	client_join(&a, "team-red", "ann");
	CHECK(client_gets(&c, "joined"));
	client_send(&c, "{\"type\":\"message\",\"data\":0}");
	CHECK(client_gets_error(&c, "forbidden"));
	client_send(&c, "{\"type\":\"bye\"}"); /* to all */
	CHECK(client_gets_error(&c, "forbidden"));
	client_send(&c, "{\"type\":\"bye\",\"to\":\"%s\"}", id_format(id, a.id));
	CHECK(client_gets(&a, "bye"));
	teardown();
}

TEST(a_flood_is_dropped_and_told_once)
{
	setup_pair(1);
	world.conf.rate = 10;
	world.conf.burst = 5;
	bucket_fill(&a.conn->bucket, 5, world.now_ms);
	for (int i = 0; i < 100; i++)
		client_send(&a, "{\"type\":\"message\",\"data\":%d}", i);
	CHECK(client_gets_error(&a, "rate_limited") && nothing_for(&a));
	CHECK_INT(b.n_texts - b.n_read, 5);
	CHECK_INT(world_count(&world, M_RATE_LIMITED), 95);
	world.now_ms += 200;
	client_send(&a, "{\"type\":\"message\",\"data\":0}");
	CHECK_INT(b.n_texts - b.n_read, 6);
	teardown();
}

TEST(a_peer_that_never_acknowledges_is_ended_and_its_mates_are_told)
{
	json_t *left;

	setup_pair(1);
	world.conf.mailbox_messages = 20;
	b.conn->peer->box.max_n = 20;
	for (int i = 0; i < 21; i++)
		client_send(&a, "{\"type\":\"message\",\"data\":%d}", i);
	CHECK_INT(b.close_code, CLOSE_MAILBOX_FULL);
	CHECK_INT(world_count(&world, M_MAILBOX_OVERFLOWS), 1);
	left = client_next_of(&a, "left");
	CHECK_STR(sl_json_get_str(left, "reason"), "overflow");
	json_decref(left);
	teardown();
}

TEST(acknowledged_numbers_leave_the_mailbox)
{
	setup_pair(1);
	b.conn->peer->box.max_n = 3;
	for (int i = 1; i <= 50; i++) {
		client_send(&a, "{\"type\":\"message\",\"data\":%d}", i);
		CHECK(client_gets(&b, "message"));
		if (i % 2) {
			client_send(&b, "{\"type\":\"ack\",\"seq\":%d}", i);
			continue;
		}
		client_send(&b, "{\"type\":\"ping\",\"ack\":%d}", i);
		CHECK(client_gets(&b, "pong"));
	}
	CHECK_INT(b.conn->peer->box.n, 0);
	teardown();
}

TEST(leave_ends_the_peer_and_not_the_connection)
{
	setup_pair(2);
	client_send(&b, "{\"type\":\"leave\",\"id\":9}");
	CHECK(client_gets(&b, "ack"));
	world_run(&world);
	CHECK(member_is(&a, "reason", "leave"));
	client_send(&b, "{\"type\":\"join\",\"room\":\"tea\"}");
	world_run(&world);
	CHECK(client_gets(&b, "welcome") && client_gets(&a, "joined"));
	teardown();
}

TEST(a_closed_tab_leaves_at_once_and_a_lost_socket_after_the_timeout)
{
	setup_pair(2);
	client_join(&c, "tea", "cid");
	world_run(&world);
	CHECK(client_gets(&a, "joined"));
	client_close(&c, 1001);
	world_run(&world);
	CHECK(member_is(&a, "reason", "leave"));
	client_close(&b, 1006);
	world_pass(&world, 29000);
	CHECK(nothing_for(&a));
	world_pass(&world, 1000);
	CHECK(member_is(&a, "reason", "timeout"));
	teardown();
}

TEST(who_does_not_join_is_shown_out)
{
	setup(1);
	world_pass(&world, 15000);
	CHECK(client_gets_error(&a, "idle"));
	CHECK_INT(a.close_code, CLOSE_IDLE);
	teardown();
}

TEST(ice_servers_are_renewed_before_they_expire)
{
	json_t *ice;

	setup(1);
	world.ice_ttl_s = 60;
	client_join(&a, "tea", "ann");
	world_pass(&world, 44000);
	CHECK(nothing_for(&a));
	world_pass(&world, 1000);
	ice = client_next(&a);
	CHECK_STR(sl_json_get_str(ice, "type"), "ice");
	CHECK_INT(json_array_size(json_object_get(ice, "iceServers")), 1);
	json_decref(ice);
	world_pass(&world, 45000);
	CHECK(client_gets(&a, "ice"));
	teardown();
}

TEST(the_peers_of_a_dead_worker_are_lost_to_the_others)
{
	setup_pair(3);
	world_kill(&world, 2);
	CHECK(member_is(&a, "reason", "lost"));
	CHECK_INT(world.workers[0].hub.roster.members.count, 1);
	CHECK_INT(world.workers[1].hub.roster.members.count, 1);
	teardown();
}

TEST(a_worker_that_starts_learns_the_rosters_before_it_admits_anybody)
{
	json_t *welcome;

	setup_pair(3);
	world_kill(&world, 1);
	world_start(&world, 1);
	client_free(&c);
	client_open(&world, &c, 1);
	client_send(&c, "{\"type\":\"join\",\"room\":\"tea\",\"id\":1}");
	client_send(&c, "{\"type\":\"message\",\"data\":0}");
	CHECK(nothing_for(&c));
	world_run(&world);
	welcome = client_next(&c);
	CHECK_STR(sl_json_get_str(welcome, "type"), "welcome");
	CHECK_INT(json_array_size(json_object_get(welcome, "peers")), 2);
	json_decref(welcome);
	CHECK(client_gets(&a, "joined") && client_gets(&a, "message"));
	CHECK(client_gets(&b, "joined") && client_gets(&b, "message"));
	teardown();
}

TEST(a_worker_that_does_not_answer_holds_joins_up_for_three_seconds_only)
{
	setup(2);
	world.workers[1].hub.awaited[world.workers[1].hub.n_awaited++] = 0x00090001;
	world.workers[1].hub.sync_deadline_ms = world.now_ms + 3000;
	client_send(&b, "{\"type\":\"join\",\"room\":\"tea\"}");
	world_pass(&world, 2999);
	CHECK(nothing_for(&b));
	world_pass(&world, 1);
	CHECK(client_gets(&b, "welcome"));
	teardown();
}

TEST(a_kick_ends_the_peer_and_a_drain_asks_it_to_move)
{
	setup_pair(1);
	hub_evict(a.conn->peer, "drain");
	CHECK(client_gets(&a, "reconnect"));
	hub_evict(a.conn->peer, "kick");
	world_pass(&world, 500);
	CHECK(client_gets_error(&a, "kicked"));
	CHECK_INT(a.close_code, CLOSE_KICKED);
	CHECK(member_is(&b, "reason", "kicked"));
	teardown();
}

TEST(lost_media_asks_the_room_to_restart)
{
	setup_pair(1);
	hub_room_lost(&world.workers[0].hub,
		      roster_room(&world.workers[0].hub.roster, SL_STR("tea")));
	CHECK(client_gets(&a, "restart") && client_gets(&b, "restart"));
	teardown();
}

/* ---- turns: a message takes half of what a tick may spend */

static void setup_slow_pair(void)
{
	setup_pair(1);
	world.message_us = 1000;
}

static unsigned n_pongs(struct client *x)
{
	json_t *json;
	unsigned n = 0;

	while ((json = client_next_of(x, "pong")) != NULL) {
		json_decref(json);
		n++;
	}
	return n;
}

static void say_pings(struct client *x, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		client_send(x, "{\"type\":\"ping\"}");
}

TEST(a_tick_hears_so_much_and_the_rest_in_the_next_ones)
{
	setup_slow_pair();
	say_pings(&a, 7);
	CHECK_INT(n_pongs(&a), 2);
	CHECK_INT(world_count(&world, M_MESSAGES_WAITED), 5);
	world_turn(&world, 0); /* the end of the tick that is spent */
	CHECK_INT(n_pongs(&a), 0);
	world_turn(&world, 0);
	CHECK_INT(n_pongs(&a), 2);
	world_turn(&world, 0);
	CHECK_INT(n_pongs(&a), 2);
	world_turn(&world, 0);
	CHECK_INT(n_pongs(&a), 1);
	world_turn(&world, 0);
	CHECK(!world.workers[0].turn_due);
	teardown();
}

TEST(who_says_much_delays_itself)
{
	setup_slow_pair();
	say_pings(&a, 20);
	say_pings(&b, 1);
	world_turn(&world, 0);
	world_turn(&world, 0);
	CHECK_INT(n_pongs(&b), 1);
	CHECK_INT(n_pongs(&a), 3);
	teardown();
}

TEST(a_message_does_not_overtake_what_its_sender_said_before)
{
	setup_slow_pair();
	for (unsigned i = 0; i < 6; i++) {
		client_send(&a, "{\"type\":\"message\",\"data\":\"%u\"}", i);
		if (i == 3) {
			world_turn(&world, 0);
			world_turn(&world, 0);
		}
	}
	world_run(&world);
	for (unsigned i = 0; i < 6; i++) {
		char want[] = {(char)('0' + i), '\0'};

		CHECK(member_is(&b, "data", want));
	}
	CHECK(nothing_for(&b));
	teardown();
}

TEST(what_does_not_fit_while_it_waits_is_heard_at_once)
{
	enum { LEN = 15000 };
	static char text[LEN + 1];

	setup_slow_pair();
	memset(text, 'x', LEN);
	for (unsigned i = 0; i < 20; i++)
		client_send(&a, "{\"type\":\"message\",\"data\":\"%s\"}", text);
	world_run(&world);
	for (unsigned i = 0; i < 20; i++)
		CHECK(client_gets(&b, "message"));
	CHECK(nothing_for(&a));
	teardown();
}

TEST(what_was_said_before_the_socket_closed_counts)
{
	setup_slow_pair();
	say_pings(&a, 2);
	client_send(&a, "{\"type\":\"message\",\"data\":\"bye\"}");
	CHECK(nothing_for(&b));
	client_close(&a, 1000);
	CHECK(member_is(&b, "data", "bye"));
	CHECK(client_gets(&b, "left"));
	world_run(&world);
	teardown();
}

TEST(a_storm_of_joins_completes_over_the_ticks)
{
	enum { N = 60 };
	static struct client crowd[N];
	unsigned n_ticks = 0, n_in = 0;

	setup_slow_pair();
	for (unsigned i = 0; i < N; i++) {
		client_open(&world, &crowd[i], 0);
		client_send(&crowd[i], "{\"type\":\"hello\",\"version\":1}");
		client_send(&crowd[i], "{\"type\":\"join\",\"room\":\"tea\",\"name\":\"%u\"}", i);
	}
	while (world_turn(&world, 0))
		n_ticks++;
	for (unsigned i = 0; i < N; i++) {
		json_t *welcome = client_next_of(&crowd[i], "welcome");

		n_in += welcome != NULL;
		json_decref(welcome);
	}
	CHECK_INT(n_in, N);
	CHECK(n_ticks >= N); /* two messages each, two a tick; the first two at once */
	for (unsigned i = 0; i < N; i++)
		client_free(&crowd[i]);
	teardown();
}

TEST_MAIN()
