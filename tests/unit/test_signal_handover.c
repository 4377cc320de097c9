/*
 * test_signal_handover.c: resumes, here and on other workers: every message arrives in order and
 * once, whatever interleaves.
 */
#include "lib/test.h"
#include <sluice/crypto.h>
#include "signal_world.h"

static struct world world;
static struct client a, b, b2, b3;

static void setup(unsigned n_workers)
{
	world_init(&world, n_workers);
	client_open(&world, &a, 0);
	client_open(&world, &b, 0);
	client_join(&a, "tea", "ann");
	client_join(&b, "tea", "bob");
	world_run(&world);
	CHECK(client_gets(&a, "joined"));
}

static void teardown(void)
{
	client_free(&a);
	client_free(&b);
	client_free(&b2);
	client_free(&b3);
	world_free(&world);
}

static bool nothing_for(struct client *x)
{
	return x->n_read == x->n_texts;
}

/* The `data` of the next message, or -1. */
static int next_data(struct client *x)
{
	json_t *json = client_next(x);
	int data = json && json_object_get(json, "data")
			   ? (int)json_integer_value(json_object_get(json, "data"))
			   : -1;

	json_decref(json);
	return data;
}

static void say(struct client *from, int data)
{
	client_send(from, "{\"type\":\"message\",\"data\":%d}", data);
}

static bool resumed(struct client *x)
{
	json_t *welcome;
	bool yes;

	if (!client_gets(x, "hello"))
		return false;
	welcome = client_next(x);
	yes = welcome && json_is_true(json_object_get(welcome, "resumed"));
	json_decref(welcome);
	return yes;
}

TEST(what_was_missed_comes_after_a_resume_at_the_same_worker)
{
	setup(1);
	say(&a, 1);
	CHECK_INT(next_data(&b), 1);
	client_close(&b, 1006);
	say(&a, 2);
	say(&a, 3);
	client_resume(&b, &b2, 0);
	CHECK(resumed(&b2));
	CHECK_INT(next_data(&b2), 2);
	CHECK_INT(next_data(&b2), 3);
	say(&a, 4);
	CHECK_INT(next_data(&b2), 4);
	CHECK(nothing_for(&a) && nothing_for(&b2));
	teardown();
}

TEST(what_was_missed_comes_as_the_socket_takes_it)
{
	setup(1);
	world.conf.max_queue = 400;
	client_close(&b, 1006);
	for (int i = 1; i <= 20; i++)
		say(&a, i);
	client_open(&world, &b2, 0);
	b2.stuck = true;
	client_send(&b2, "{\"type\":\"hello\",\"version\":1}");
	b2.queued = 0; /* it has read the answer */
	client_send(&b2, "{\"type\":\"resume\",\"token\":\"%s\",\"seq\":0}", b.token);
	CHECK(resumed(&b2));
	say(&a, 21);
	CHECK(b2.n_texts - b2.n_read < 5);
	for (int i = 1; i <= 21; i++) {
		b2.queued = 0;
		client_send(&b2, "{\"type\":\"ack\",\"seq\":%d}", i - 1);
		CHECK_INT(next_data(&b2), i);
	}
	b2.stuck = false;
	say(&a, 22);
	CHECK_INT(next_data(&b2), 22);
	teardown();
}

TEST(and_at_another_worker_as_the_same_peer)
{
	uint64_t id;

	setup(3);
	id = b.id;
	client_close(&b, 1006);
	say(&a, 1);
	client_resume(&b, &b2, 2);
	say(&a, 2);
	world_run(&world);
	say(&a, 3);
	world_run(&world);
	CHECK(resumed(&b2));
	CHECK_INT(b2.id, id);
	for (int i = 1; i <= 3; i++)
		CHECK_INT(next_data(&b2), i);
	say(&b2, 9);
	world_run(&world);
	CHECK_INT(next_data(&a), 9);
	CHECK(nothing_for(&a)); /* nobody left, nobody joined */
	CHECK_INT(world_count(&world, M_HANDOVERS), 1);
	CHECK_INT(world_count(&world, M_PEERS), 2);
	CHECK_INT(world.n_open, 2);
	teardown();
}

TEST(a_live_old_socket_is_replaced)
{
	setup(2);
	client_resume(&b, &b2, 1);
	world_run(&world);
	CHECK(client_gets_error(&b, "replaced"));
	CHECK_INT(b.close_code, CLOSE_REPLACED);
	CHECK(resumed(&b2));
	client_close(&b, 4001);
	say(&a, 1);
	world_run(&world);
	CHECK_INT(next_data(&b2), 1);
	teardown();
}

TEST(accepted_numbers_are_known_at_the_new_worker)
{
	setup(2);
	client_send(&b, "{\"type\":\"message\",\"data\":1,\"id\":41}");
	CHECK_INT(next_data(&a), 1);
	client_close(&b, 1006);
	client_resume(&b, &b2, 1);
	world_run(&world);
	CHECK(resumed(&b2));
	client_send(&b2, "{\"type\":\"message\",\"data\":1,\"id\":41}");
	client_send(&b2, "{\"type\":\"message\",\"data\":2,\"id\":42}");
	world_run(&world);
	CHECK_INT(next_data(&a), 2);
	teardown();
}

TEST(held_candidates_and_descriptions_move_along)
{
	setup(2);
	client_send(&b, "{\"type\":\"offer\",\"sdp\":\"a=ice-ufrag:one\"}");
	client_send(&b, "{\"type\":\"candidate\",\"candidate\":{\"usernameFragment\":\"two\"}}");
	CHECK(client_gets(&a, "offer") && nothing_for(&a));
	client_close(&b, 1006);
	client_resume(&b, &b2, 1);
	world_run(&world);
	client_send(&b2, "{\"type\":\"candidate\",\"candidate\":{\"usernameFragment\":\"one\"}}");
	world_run(&world);
	CHECK(client_gets(&a, "candidate"));
	client_send(&b2, "{\"type\":\"offer\",\"sdp\":\"a=ice-ufrag:two\"}");
	world_run(&world);
	CHECK(client_gets(&a, "offer") && client_gets(&a, "candidate") && nothing_for(&a));
	teardown();
}

TEST(a_wrong_secret_opens_no_mailbox_here_or_elsewhere)
{
	setup(2);
	client_close(&b, 1006);
	b.token[TOKEN_STRLEN - 2] ^= 1;
	for (unsigned worker = 0; worker < 2; worker++) {
		client_resume(&b, &b2, worker);
		world_run(&world);
		CHECK(client_gets(&b2, "hello") && client_gets_error(&b2, "resume_failed"));
		client_send(&b2, "{\"type\":\"join\",\"room\":\"tea\"}"); /* may join anew */
		world_run(&world);
		CHECK(client_gets(&b2, "welcome"));
		client_free(&b2);
	}
	b.token[TOKEN_STRLEN - 2] ^= 1;
	client_resume(&b, &b3, 1);
	world_run(&world);
	CHECK(resumed(&b3));
	teardown();
}

TEST(a_token_of_somebody_else_does_not_help)
{
	struct claims claims = {.may = MAY_ALL, .subject = "eve"};

	setup(2);
	client_close(&b, 1006);
	client_open_with(&world, &b2, 1, &claims);
	client_send(&b2, "{\"type\":\"hello\",\"version\":1}");
	client_send(&b2, "{\"type\":\"resume\",\"token\":\"%s\",\"seq\":0}", b.token);
	world_run(&world);
	CHECK(client_gets(&b2, "hello") && client_gets_error(&b2, "resume_failed"));
	teardown();
}

TEST(nonsense_is_no_token)
{
	static const char *const bad[] = {"", "x", "zz",
					  "00000000000000000000000000000000000000000000000z",
					  "000000000000000000000000000000000000000000000001"};

	setup(1);
	client_open(&world, &b2, 0);
	client_send(&b2, "{\"type\":\"resume\",\"token\":\"x\",\"seq\":0}");
	CHECK(client_gets_error(&b2, "bad_message"));
	client_send(&b2, "{\"type\":\"hello\",\"version\":1}");
	CHECK(client_gets(&b2, "hello"));
	for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
		client_send(&b2, "{\"type\":\"resume\",\"token\":\"%s\",\"seq\":0}", bad[i]);
		CHECK(client_gets_error(&b2, "resume_failed"));
	}
	client_send(&b2, "{\"type\":\"resume\",\"token\":\"%s\",\"seq\":1000000}", b.token);
	CHECK(client_gets_error(&b2, "resume_failed"));
	teardown();
}

TEST(what_a_sender_said_before_the_move_is_not_overtaken)
{
	setup(3);
	client_close(&a, 1000); /* the sender sits on worker 2, the receiver moves from 0 to 1 */
	client_free(&a);
	client_open(&world, &a, 2);
	client_join(&a, "tea", "ann");
	world_run(&world);
	client_close(&b, 1006);
	say(&a, 1); /* on its way to worker 0 */
	client_resume(&b, &b2, 1);
	CHECK(world_step(&world, 0)); /* gets 1 */
	say(&a, 2);
	CHECK(world_step(&world, 0)); /* TAKE: gives, announces */
	CHECK(world_step(&world,
			 2)); /* hears of the move while 2 is under way to worker 0: FLUSH */
	say(&a, 3);	      /* held */
	while (world_step(&world, 1))
		;
	say(&a, 4);
	world_run(&world);
	CHECK(resumed(&b2));
	(void)client_gets(&b2, "left"); /* of the first a */
	CHECK(client_gets(&b2, "joined"));
	for (int i = 1; i <= 4; i++)
		CHECK_INT(next_data(&b2), i);
	teardown();
}

TEST(when_the_giver_dies_the_peer_is_lost_for_all)
{
	setup(3);
	client_close(&b, 1006);
	client_resume(&b, &b2, 1);
	CHECK(world_step(&world, 0)); /* gives */
	CHECK(world_step(&world, 1)); /* hears that it comes */
	CHECK(world_step(&world, 2)); /* and worker 2 believes it is there */
	world_kill(&world, 0);
	world_run(&world);
	CHECK(client_gets(&b2, "hello") && client_gets_error(&b2, "resume_failed"));
	CHECK(!roster_find(&world.workers[1].hub.roster, b.id));
	CHECK(!roster_find(&world.workers[2].hub.roster, b.id));
	client_send(&b2, "{\"type\":\"join\",\"room\":\"tea\"}");
	CHECK(client_gets(&b2, "welcome"));
	teardown();
}

TEST(when_the_taker_dies_the_peer_is_lost_for_all)
{
	setup(3);
	client_close(&b, 1006);
	client_resume(&b, &b2, 1);
	CHECK(world_step(&world, 0)); /* gives */
	world_kill(&world, 1);
	world_run(&world);
	CHECK(client_gets(&a, "left"));
	for (unsigned i = 0; i < 3; i += 2)
		CHECK(!roster_find(&world.workers[i].hub.roster, b.id));
	teardown();
}

TEST(two_resumes_at_two_workers_end_with_one_peer)
{
	setup(3);
	client_close(&b, 1006);
	client_resume(&b, &b2, 1);
	client_resume(&b, &b3, 2);
	world_run(&world);
	CHECK(resumed(&b2) && resumed(&b3));
	CHECK(b2.close_code == CLOSE_REPLACED || b3.close_code == CLOSE_REPLACED);
	CHECK_INT(world_count(&world, M_PEERS), 2);
	teardown();
}

/* ---- chance: movers lose their sockets and come back anywhere, while everybody speaks to
 * everybody */

#define MOVERS 4
#define ROUNDS 1500

static struct client movers[MOVERS];
static int said[MOVERS], heard[MOVERS][MOVERS];

static unsigned chance(unsigned n)
{
	uint32_t v;

	if (sl_random(&v, sizeof v) < 0)
		abort();
	return v % n;
}

static int index_of(const char *from)
{
	uint64_t id;

	if (id_parse(sl_str_c(from), &id) < 0)
		return -1;
	for (int i = 0; i < MOVERS; i++)
		if (movers[i].id == id)
			return i;
	return -1;
}

/* Everything that mover i was told; false when something is missing, doubled or out of order. */
static bool listen_to_all(int i)
{
	json_t *json;
	bool good = true;

	while (good && (json = client_next(&movers[i])) != NULL) {
		struct sl_str type = sl_json_get_str(json, "type");
		int data = (int)json_integer_value(json_object_get(json, "data"));

		if (sl_str_eq(type, SL_STR("message"))) {
			int from = index_of(sl_json_get_str(json, "from").p);

			good = from >= 0 && data == heard[i][from] + 1;
			if (!good)
				printf("# %d heard %d from %d after %d\n", i, data, from,
				       from < 0 ? -1 : heard[i][from]);
			else
				heard[i][from] = data;
		} else if (sl_str_eq(type, SL_STR("left")) || sl_str_eq(type, SL_STR("error"))) {
			good = sl_str_eq(sl_json_get_str(json, "code"), SL_STR("replaced"));
		}
		json_decref(json);
	}
	return good;
}

static void move(int i)
{
	static struct client old;
	unsigned to = chance(world.n);
	bool clean = chance(2);

	if (movers[i].conn && movers[i].conn->state == CONN_TAKING && chance(2))
		return;
	old = movers[i];
	if (clean || old.close_code) { /* else the server has to find out */
		client_close(&movers[i], 1006);
	} else if (movers[i].conn) {
		movers[i].conn->ws = NULL; /* a dead socket: what is sent is lost */
	}
	while (old.n_texts > 0)
		free(old.texts[--old.n_texts]);
	client_resume(&old, &movers[i], to);
}

static bool may_speak(const struct client *x)
{
	return x->conn && x->conn->peer && x->conn->ws;
}

static void start_movers(uint64_t seed)
{
	world_init(&world, 4);
	world.random = seed;
	world.conf.mailbox_messages = 100000;
	world.conf.mailbox_bytes = 64 << 20;
	world.conf.rate = world.conf.burst = 1000000;
	world.message_us = 400; /* so that some wait for their turn */
	memset(said, 0, sizeof said);
	memset(heard, 0, sizeof heard);
	for (int i = 0; i < MOVERS; i++) {
		client_open(&world, &movers[i], (unsigned)i);
		client_join(&movers[i], "tea", "m");
		world_run(&world);
	}
}

static void stop_movers(void)
{
	for (int i = 0; i < MOVERS; i++)
		client_free(&movers[i]);
	world_free(&world);
}

static void one_round(int i)
{
	unsigned what = chance(100);

	if (what < 45 && may_speak(&movers[i]))
		say(&movers[i], ++said[i]);
	else if (what < 50)
		move(i);
	else if (what < 70)
		(void)world_turn(&world, chance(world.n));
	else
		(void)world_step(&world, chance(world.n));
	world.now_ms++;
}

static void acknowledge(struct client *x)
{
	if (may_speak(x))
		client_send(x, "{\"type\":\"ack\",\"seq\":%llu}", (unsigned long long)x->seq);
}

static void come_to_rest(void)
{
	static struct client old;

	world_run(&world);
	for (int i = 0; i < MOVERS; i++) {
		old = movers[i];
		while (old.n_texts > old.n_read)
			free(old.texts[--old.n_texts]);
		while (old.n_texts > 0)
			free(old.texts[--old.n_texts]);
		if (old.conn)
			client_close(&old, 1006);
		client_resume(&old, &movers[i], 0);
		world_run(&world);
	}
}

TEST(nothing_is_lost_doubled_or_overtaken_under_random_moves)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		start_movers(seed);
		for (int round = 0; round < ROUNDS; round++) {
			int i = (int)chance(MOVERS);

			one_round(i);
			CHECK(listen_to_all(i));
			if (chance(20) == 0)
				acknowledge(&movers[i]);
		}
		come_to_rest();
		for (int i = 0; i < MOVERS; i++) {
			CHECK(listen_to_all(i));
			for (int from = 0; from < MOVERS; from++)
				CHECK_INT(heard[i][from], i == from ? 0 : said[from]);
		}
		CHECK(world_count(&world, M_HANDOVERS) > 20);
		CHECK_INT(world_count(&world, M_CHANNEL_FAILURES), 0);
		CHECK_INT(world_count(&world, M_PEERS), MOVERS);
		for (unsigned i = 0; i < world.n; i++)
			CHECK_INT(world.workers[i].hub.roster.members.count, MOVERS);
		stop_movers();
	}
}

/* Every member that a live worker knows has a live owner that has it, and all know the same. */
static bool rosters_agree(void)
{
	size_t count = SIZE_MAX;

	for (unsigned i = 0; i < world.n; i++) {
		const struct roster *r = &world.workers[i].hub.roster;

		if (!world.workers[i].alive)
			continue;
		if (count != SIZE_MAX && r->members.count != count)
			return false;
		count = r->members.count;
		for (struct sl_hnode *n = sl_htab_first(&r->members); n;
		     n = sl_htab_next(&r->members, n)) {
			const struct member *m = SL_CONTAINER(n, struct member, node), *there;
			unsigned slot = (m->owner >> 16) - 1;

			if (world.workers[slot].hub.self != m->owner ||
			    !world.workers[slot].alive || m->hold)
				return false;
			there = roster_find(&world.workers[slot].hub.roster, m->id);
			if (!there || !there->peer)
				return false;
		}
	}
	return true;
}

/* Clients whose worker dies, or whose resume fails, join anew. */
static void revive(int i)
{
	if (movers[i].conn && movers[i].conn->peer)
		return;
	if (movers[i].conn &&
	    (movers[i].conn->state == CONN_TAKING || movers[i].conn->state == CONN_WAITING))
		return;
	client_free(&movers[i]);
	client_open(&world, &movers[i], chance(world.n));
	client_send(&movers[i], "{\"type\":\"hello\",\"version\":1}");
	client_send(&movers[i], "{\"type\":\"join\",\"room\":\"tea\"}");
	json_decref(client_next_of(&movers[i], "welcome"));
}

TEST(rosters_agree_after_random_moves_and_crashes)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		start_movers(seed);
		for (int round = 0; round < ROUNDS; round++) {
			int i = (int)chance(MOVERS);

			one_round(i);
			if (chance(100) == 0) {
				unsigned victim = chance(world.n);

				world_kill(&world, victim);
				world_start(&world, victim);
			}
			json_decref(client_next_of(&movers[i], "welcome"));
			revive(i);
		}
		world_run(&world);
		world_pass(&world, 31000); /* those without a socket leave */
		CHECK(rosters_agree());
		stop_movers();
	}
}

TEST_MAIN()
