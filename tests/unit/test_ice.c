/*
 * One ICE agent against a peer made of bare messages: what it accepts, what it answers, what it counts, what it stays silent
 * about. Two agents against each other are in sim/test_ice_world.c.
 */
#include "lib/test.h"
#include "sim/ice_net.h"

#define PEER_UFRAG "peer"
#define PEER_PASSWORD "a-password-of-the-peer"

static struct iworld world;
static struct inode *n = &world.nodes[0];
static const struct sl_addr remote = {.family = 4, .port = 5000, .ip = {198, 51, 100, 1}};
static struct ice_path path;
static uint8_t txid[12], wire[1200];
static struct sl_stun_writer w;
static size_t len;

/* ---- the peer */

static void start(bool lite, bool controlling)
{
	iworld_init(&world, 1);
	inode_init(&world, 0, "192.0.2.1:3478", controlling, lite);
	inode_start(n);
	path = (struct ice_path){.local = n->bases[0], .remote = remote};
	memset(txid, 1, sizeof txid);
}

static void start_knowing_peer(bool lite, bool controlling)
{
	start(lite, controlling);
	sl_assert(ice_set_remote(n->agent, SL_STR(PEER_UFRAG), SL_STR(PEER_PASSWORD), false, world.now_ms) == 0);
}

static void stop(void)
{
	iworld_stop(&world);
}

static void put_user(const char *ours, const char *theirs)
{
	char user[600];

	snprintf(user, sizeof user, "%s:%s", ours, theirs);
	sl_stun_put_str(&w, SL_STUN_USERNAME, sl_str_c(user));
}

/* A check as far as its PRIORITY; txid moves on. */
static void begin(void)
{
	txid[0]++;
	sl_stun_begin(&w, wire, sizeof wire, SL_STUN_REQUEST, SL_STUN_BINDING, txid);
	put_user(ice_ufrag(n->agent), PEER_UFRAG);
	sl_stun_put_u32(&w, SL_STUN_PRIORITY, 110u << 24 | 255);
}

static int finish(const char *key)
{
	struct sl_stun_msg msg;

	sl_stun_put_integrity(&w, sl_str_c(key));
	sl_stun_put_fingerprint(&w);
	sl_assert(sl_stun_finish(&w, &len) == 0 && sl_stun_parse(&msg, wire, len) == 0);
	return ice_input(n->agent, &path, &msg, world.now_ms);
}

static int check(void)
{
	begin();
	return finish(ice_password(n->agent));
}

static int nominate(void)
{
	begin();
	sl_stun_put(&w, SL_STUN_USE_CANDIDATE, NULL, 0);
	return finish(ice_password(n->agent));
}

static int put_role(uint16_t type, uint64_t tie_breaker)
{
	uint8_t bytes[8];

	sl_put64(bytes, tie_breaker);
	sl_stun_put(&w, type, bytes, sizeof bytes);
	return finish(ice_password(n->agent));
}

/* The newest datagram that the agent has sent; NULL: none since it was last taken. Clears all. */
static const struct sl_stun_msg *taken(struct sl_addr *ret_to)
{
	static uint8_t bytes[INET_BYTES];
	static struct sl_stun_msg msg;
	struct idatagram *last = NULL;

	for (unsigned i = 0; i < INET_QUEUE; i++) {
		struct idatagram *d = &world.queue[i];

		if (d->used && (!last || d->order > last->order))
			last = d;
		d->used = false;
	}
	if (!last)
		return NULL;
	memcpy(bytes, last->bytes, last->len);
	sl_assert(sl_stun_parse(&msg, bytes, last->len) == 0);
	if (ret_to)
		*ret_to = last->to;
	return &msg;
}

static unsigned code_of(const struct sl_stun_msg *msg)
{
	struct sl_stun_attr e;

	if (!msg || msg->class_ != SL_STUN_ERROR || !sl_stun_find(msg, SL_STUN_ERROR_CODE, &e))
		return 0;
	return e.data[2] * 100u + e.data[3];
}

/* Answers the agent's newest check: with success, or with an error. */
static int answer(unsigned code, const char *key)
{
	const struct sl_stun_msg *msg = taken(NULL);
	struct sl_stun_msg reply;

	sl_assert(msg && msg->class_ == SL_STUN_REQUEST);
	sl_stun_begin(&w, wire, sizeof wire, code ? SL_STUN_ERROR : SL_STUN_SUCCESS, SL_STUN_BINDING, msg->txid);
	if (code)
		sl_stun_put_error(&w, code, SL_STR(""));
	else
		sl_stun_put_xor_addr(&w, SL_STUN_XOR_MAPPED_ADDRESS, &n->bases[0]);
	sl_stun_put_integrity(&w, sl_str_c(key));
	sl_stun_put_fingerprint(&w);
	sl_assert(sl_stun_finish(&w, &len) == 0 && sl_stun_parse(&reply, wire, len) == 0);
	return ice_input(n->agent, &path, &reply, world.now_ms);
}

static int add_remote(const char *text)
{
	struct ice_candidate c;

	sl_assert(ice_candidate_parse(&c, sl_str_c(text)) == 0);
	return ice_add_remote(n->agent, &c, world.now_ms);
}

/* ---- credentials and candidates */

TEST(a_ufrag_names_the_slot_in_its_first_two_characters)
{
	struct ice_opts o = {.slot = 0};
	struct ice_agent *a;
	char first[3];

	iworld_init(&world, 1);
	for (unsigned slot = 0; slot < 4096; slot += 117) {
		static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

		o.slot = (uint16_t)slot;
		CHECK_INT(ice_new(&a, &o, &inode_io, n), 0);
		snprintf(first, sizeof first, "%c%c", digits[slot >> 6], digits[slot & 63]);
		CHECK(strncmp(ice_ufrag(a), first, 2) == 0);
		CHECK_INT(strlen(ice_ufrag(a)), ICE_UFRAG_CHARS);
		CHECK_INT(strlen(ice_password(a)), ICE_PASSWORD_CHARS);
		ice_free(a);
	}
	ice_free(NULL);
}

TEST(local_candidates_tell_external_addresses_in_order_of_preference)
{
	const struct sl_addr inside = iaddr("10.0.0.5:3478"), told = iaddr("203.0.113.5:3478"), tcp = iaddr("10.0.0.5:443");
	struct ice_candidate c[8];
	char text[ICE_CANDIDATE_TEXT];

	start(true, false);
	CHECK_INT(ice_add_local(n->agent, &inside, &told, 7, ICE_UDP), 0);
	CHECK_INT(ice_add_local(n->agent, &tcp, NULL, 8, ICE_TCP_PASSIVE), 0);
	CHECK_INT(ice_local_candidates(n->agent, c, 8), 3);
	CHECK(c[0].priority > c[1].priority && c[1].priority > c[2].priority);
	CHECK(sl_addr_eq(&c[1].addr, &told));
	CHECK(strcmp(c[0].foundation, c[1].foundation) != 0);
	ice_candidate_format(text, &c[2]);
	CHECK_STR(sl_str_c(text), "C 1 tcp 1520304127 10.0.0.5 443 typ host tcptype passive");
	for (unsigned i = 3; i < ICE_MAX_LOCAL; i++)
		CHECK_INT(ice_add_local(n->agent, &inside, NULL, i, ICE_UDP), 0);
	CHECK_INT(ice_add_local(n->agent, &inside, NULL, 99, ICE_UDP), -SL_ELIMIT);
	stop();
}

TEST(remote_credentials_have_the_lengths_of_rfc_8839)
{
	char longest[ICE_MAX_UFRAG + 2];

	start(false, true);
	memset(longest, 'x', sizeof longest);
	CHECK_INT(ice_set_remote(n->agent, SL_STR("abc"), SL_STR(PEER_PASSWORD), false, 1000), -SL_EINVAL);
	CHECK_INT(ice_set_remote(n->agent, SL_STR("abcd"), SL_STR("21-characters-of-text"), false, 1000), -SL_EINVAL);
	CHECK_INT(ice_set_remote(n->agent, (struct sl_str){longest, 257}, SL_STR(PEER_PASSWORD), false, 1000), -SL_EINVAL);
	CHECK_INT(ice_set_remote(n->agent, SL_STR("ab:d"), SL_STR(PEER_PASSWORD), false, 1000), -SL_EINVAL);
	CHECK_INT(ice_get_state(n->agent), ICE_NEW);
	CHECK_INT(ice_set_remote(n->agent, (struct sl_str){longest, 256}, (struct sl_str){longest, 256}, false, 1000), 0);
	CHECK_INT(ice_get_state(n->agent), ICE_CHECKING);
	CHECK_INT(add_remote("1 1 udp 1 198.51.100.1 5000 typ host"), 0);
	ice_tick(n->agent, world.now_ms);
	CHECK(taken(NULL) != NULL); /* the longest USERNAME fits */
	stop();
}

TEST(two_lite_sides_are_refused)
{
	start(true, false);
	CHECK_INT(ice_set_remote(n->agent, SL_STR(PEER_UFRAG), SL_STR(PEER_PASSWORD), true, 1000), -SL_EUNSUPP);
	stop();
}

TEST(candidates_that_must_not_be_checked_are_refused)
{
	start_knowing_peer(false, true);
	CHECK_INT(add_remote("1 1 udp 1 127.0.0.1 5000 typ host"), -SL_EDENIED);
	CHECK_INT(add_remote("1 1 udp 1 0.0.0.0 5000 typ host"), -SL_EDENIED);
	CHECK_INT(add_remote("1 1 udp 1 224.0.0.1 5000 typ host"), -SL_EDENIED);
	CHECK_INT(add_remote("1 1 udp 1 255.255.255.255 5000 typ host"), -SL_EDENIED);
	CHECK_INT(add_remote("1 1 udp 1 198.51.100.1 0 typ host"), -SL_EDENIED);
	CHECK_INT(add_remote("1 1 udp 1 192.0.2.1 3478 typ host"), -SL_EDENIED); /* ours */
	CHECK_INT(n->counters.denied, 6);
	CHECK_INT(add_remote("1 1 udp 1 some-name.local 5000 typ host"), 0);
	CHECK_INT(n->counters.names, 1);
	CHECK_INT(add_remote("1 1 tcp 1 198.51.100.1 9 typ host tcptype active"), 0);
	CHECK_INT(add_remote("1 2 udp 1 198.51.100.1 5000 typ host"), 0);
	CHECK_INT(n->agent->n_pairs, 0);
	stop();
}

TEST(a_flood_of_candidates_ends_at_the_limits)
{
	char text[100];

	start_knowing_peer(false, true);
	for (unsigned i = 1; i < 10; i++) {
		struct sl_addr base = n->bases[0];

		base.ip[3] = (uint8_t)(100 + i);
		CHECK_INT(ice_add_local(n->agent, &base, NULL, i, ICE_UDP), 0);
	}
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(text, sizeof text, "1 1 udp %u 198.51.100.%u %u typ host", i, i % 250, 1000 + i);
		CHECK_INT(add_remote(text), i < ICE_MAX_REMOTE ? 0 : -SL_ELIMIT);
	}
	CHECK_INT(n->agent->n_pairs, ICE_MAX_PAIRS);
	CHECK(n->counters.crowded > 900);
	stop();
}

TEST(address_families_are_not_mixed)
{
	start_knowing_peer(false, true);
	CHECK_INT(add_remote("1 1 udp 1 2001:db8::1 5000 typ host"), 0);
	CHECK_INT(n->agent->n_pairs, 0);
	stop();
}

/* ---- the peer's checks */

TEST(an_authentic_check_is_answered_with_the_address_it_came_from)
{
	const struct sl_stun_msg *msg;
	struct sl_stun_attr attr;
	struct sl_addr to, mapped;

	start_knowing_peer(true, false);
	CHECK_INT(check(), SL_DONE);
	msg = taken(&to);
	CHECK(msg && msg->class_ == SL_STUN_SUCCESS && sl_addr_eq(&to, &remote));
	CHECK(memcmp(msg->txid, txid, sizeof txid) == 0);
	CHECK(sl_stun_find(msg, SL_STUN_XOR_MAPPED_ADDRESS, &attr));
	CHECK(sl_stun_get_xor_addr(msg, &attr, &mapped) == 0 && sl_addr_eq(&mapped, &remote));
	CHECK_INT(sl_stun_check_integrity(msg, sl_str_c(ice_password(n->agent))), 0);
	CHECK_INT(sl_stun_check_fingerprint(msg), 0);
	CHECK_INT(n->n_open, 1);
	CHECK(ice_may_receive(n->agent, &path, world.now_ms));
	path.remote.port++;
	CHECK(!ice_may_receive(n->agent, &path, world.now_ms));
	stop();
}

TEST(a_wrong_key_gets_no_answer_and_leaves_nothing)
{
	start_knowing_peer(true, false);
	begin();
	CHECK_INT(finish("not the password at all!"), SL_DROP);
	CHECK(!taken(NULL));
	CHECK_INT(n->counters.bad_key, 1);
	CHECK_INT(n->agent->n_pairs, 0);
	begin();
	put_user("xx", "yy"); /* the first one counts */
	CHECK_INT(finish(ice_password(n->agent)), SL_DONE);
	stop();
}

TEST(messages_for_somebody_else_are_not_for_it)
{
	struct sl_stun_msg msg;

	start_knowing_peer(true, false);
	txid[0]++;
	sl_stun_begin(&w, wire, sizeof wire, SL_STUN_REQUEST, SL_STUN_BINDING, txid);
	put_user("other", PEER_UFRAG);
	CHECK_INT(finish(ice_password(n->agent)), SL_DROP);
	CHECK(sl_stun_parse(&msg, wire, len) == 0 && !ice_is_for(n->agent, &msg));
	sl_stun_begin(&w, wire, sizeof wire, SL_STUN_REQUEST, SL_STUN_BINDING, txid);
	sl_stun_put_str(&w, SL_STUN_USERNAME, sl_str_c(ice_ufrag(n->agent))); /* no colon */
	CHECK_INT(finish(ice_password(n->agent)), SL_DROP);
	sl_stun_begin(&w, wire, sizeof wire, SL_STUN_REQUEST, SL_STUN_BINDING, txid);
	CHECK_INT(finish(ice_password(n->agent)), SL_DROP);
	CHECK_INT(n->counters.bad_user, 3);
	sl_stun_begin(&w, wire, sizeof wire, SL_STUN_REQUEST, SL_TURN_ALLOCATE, txid);
	put_user(ice_ufrag(n->agent), PEER_UFRAG);
	CHECK_INT(finish(ice_password(n->agent)), SL_DROP);
	CHECK_INT(n->counters.bad_message, 1);
	CHECK(!taken(NULL));
	begin();
	CHECK_INT(finish(ice_password(n->agent)), SL_DONE);
	CHECK(sl_stun_parse(&msg, wire, len) == 0 && ice_is_for(n->agent, &msg));
	stop();
}

TEST(an_attribute_that_must_be_understood_is_answered_420)
{
	const struct sl_stun_msg *msg;
	struct sl_stun_attr attr;

	start_knowing_peer(true, false);
	begin();
	sl_stun_put_u32(&w, 0x7001, 1);
	sl_stun_put_u32(&w, 0xc001, 1); /* need not */
	CHECK_INT(finish(ice_password(n->agent)), SL_DONE);
	msg = taken(NULL);
	CHECK_INT(code_of(msg), 420);
	CHECK(sl_stun_find(msg, SL_STUN_UNKNOWN_ATTRIBUTES, &attr));
	CHECK(attr.len == 2 && sl_get16(attr.data) == 0x7001);
	CHECK_INT(n->agent->n_pairs, 0);
	stop();
}

TEST(a_check_without_priority_is_answered_400)
{
	start_knowing_peer(true, false);
	txid[0]++;
	sl_stun_begin(&w, wire, sizeof wire, SL_STUN_REQUEST, SL_STUN_BINDING, txid);
	put_user(ice_ufrag(n->agent), PEER_UFRAG);
	CHECK_INT(finish(ice_password(n->agent)), SL_DONE);
	CHECK_INT(code_of(taken(NULL)), 400);
	CHECK_INT(n->counters.bad_request, 1);
	stop();
}

TEST(a_replayed_check_from_another_address_is_dropped)
{
	struct sl_stun_msg msg;

	start_knowing_peer(true, false);
	CHECK_INT(nominate(), SL_DONE);
	CHECK(n->has_selected && taken(NULL));
	CHECK(sl_stun_parse(&msg, wire, len) == 0);
	CHECK_INT(ice_input(n->agent, &path, &msg, world.now_ms), SL_DONE); /* repeated by the peer */
	CHECK(taken(NULL));
	path.remote.ip[3]++;
	CHECK_INT(ice_input(n->agent, &path, &msg, world.now_ms), SL_DROP);
	CHECK(!taken(NULL));
	CHECK_INT(n->counters.replays, 1);
	CHECK_INT(n->agent->n_pairs, 1);
	CHECK(sl_addr_eq(&n->selected.remote, &remote));
	stop();
}

TEST(checks_from_everywhere_leave_a_bounded_number_of_pairs)
{
	start_knowing_peer(true, false);
	CHECK_INT(nominate(), SL_DONE);
	for (unsigned i = 0; i < 3000; i++) {
		path.remote.port = (uint16_t)(10000 + i);
		txid[1] = (uint8_t)(i >> 8);
		CHECK_INT(check(), SL_DONE);
		(void)taken(NULL);
	}
	CHECK_INT(n->agent->n_pairs, ICE_MAX_PAIRS);
	CHECK_INT(n->n_open, ICE_MAX_PAIRS);
	CHECK(sl_addr_eq(&ice_selected(n->agent)->remote, &remote));
	stop();
}

/* ---- roles */

TEST(the_smaller_tie_breaker_yields)
{
	start_knowing_peer(false, true); /* 1000 */
	begin();
	CHECK_INT(put_role(SL_STUN_ICE_CONTROLLING, 999), SL_DONE);
	CHECK_INT(code_of(taken(NULL)), 487);
	CHECK(n->agent->controlling);
	begin();
	CHECK_INT(put_role(SL_STUN_ICE_CONTROLLING, 1001), SL_DONE);
	CHECK(!n->agent->controlling);
	begin();
	CHECK_INT(put_role(SL_STUN_ICE_CONTROLLED, 1001), SL_DONE); /* we are smaller: it must change */
	CHECK_INT(code_of(taken(NULL)), 487);
	CHECK(!n->agent->controlling);
	begin();
	CHECK_INT(put_role(SL_STUN_ICE_CONTROLLED, 1), SL_DONE);
	CHECK(n->agent->controlling);
	CHECK_INT(n->counters.conflicts, 4);
	stop();
}

TEST(a_lite_agent_stays_controlled)
{
	start_knowing_peer(true, true);
	CHECK(!n->agent->controlling);
	begin();
	CHECK_INT(put_role(SL_STUN_ICE_CONTROLLED, 1), SL_DONE);
	CHECK_INT(code_of(taken(NULL)), 487);
	CHECK(!n->agent->controlling);
	stop();
}

TEST(a_487_of_the_peer_turns_our_role_only_when_it_is_authentic)
{
	start_knowing_peer(false, true);
	CHECK_INT(add_remote("1 1 udp 1 198.51.100.1 5000 typ host"), 0);
	ice_tick(n->agent, world.now_ms);
	CHECK_INT(answer(487, "somebody else's password"), SL_DROP);
	CHECK(n->agent->controlling);
	inet_pass(&world, 600);
	ice_tick(n->agent, world.now_ms);
	CHECK_INT(check(), SL_DONE);
	inet_pass(&world, 510);
	CHECK_INT(answer(487, PEER_PASSWORD), SL_DONE);
	CHECK(!n->agent->controlling);
	stop();
}

/* ---- our checks */

TEST(nothing_is_sent_to_before_its_own_answer_in_full_mode)
{
	start_knowing_peer(false, false);
	CHECK_INT(nominate(), SL_DONE);
	CHECK(ice_may_receive(n->agent, &path, world.now_ms));
	CHECK(!n->has_selected);
	CHECK_INT(answer(0, "not the peer's password"), SL_DROP);
	CHECK(!n->has_selected);
	inet_pass(&world, 510);
	CHECK_INT(answer(0, PEER_PASSWORD), SL_DONE);
	CHECK(n->has_selected);
	CHECK_INT(ice_get_state(n->agent), ICE_CONNECTED);
	CHECK_INT(n->counters.bad_key, 1);
	stop();
}

TEST(an_answer_along_another_path_is_a_stray)
{
	start_knowing_peer(false, true);
	CHECK_INT(add_remote("1 1 udp 1 198.51.100.1 5000 typ host"), 0);
	ice_tick(n->agent, world.now_ms);
	path.remote.port++;
	CHECK_INT(answer(0, PEER_PASSWORD), SL_DROP);
	CHECK_INT(n->counters.strays, 1);
	CHECK(!n->has_selected);
	stop();
}

TEST(refusals_other_than_487_are_waited_out)
{
	start_knowing_peer(false, true);
	CHECK_INT(add_remote("1 1 udp 1 198.51.100.1 5000 typ host"), 0);
	ice_tick(n->agent, world.now_ms);
	CHECK_INT(answer(401, PEER_PASSWORD), SL_DONE);
	CHECK_INT(n->counters.refused, 1);
	inet_pass(&world, 510);
	CHECK_INT(answer(0, PEER_PASSWORD), SL_DONE);
	CHECK(n->has_selected);
	stop();
}

TEST(checks_leave_in_a_small_burst_and_then_each_50_ms)
{
	char text[100];

	start_knowing_peer(false, true);
	for (unsigned i = 0; i < 20; i++) {
		snprintf(text, sizeof text, "1 1 udp %u 198.51.100.%u 5000 typ host", 1000 - i, i + 1);
		CHECK_INT(add_remote(text), 0);
	}
	ice_tick(n->agent, world.now_ms);
	CHECK_INT(n->sent, ICE_BURST);
	inet_pass(&world, 49);
	CHECK_INT(n->sent, ICE_BURST);
	inet_pass(&world, 1);
	CHECK_INT(n->sent, ICE_BURST + 1);
	inet_pass(&world, 300);
	CHECK_INT(n->sent, ICE_BURST + 7);
	stop();
}

TEST(a_peer_that_asks_without_end_is_not_asked_more_often_than_ta)
{
	start_knowing_peer(false, false);
	for (unsigned i = 0; i < 1000; i++) {
		CHECK_INT(check(), SL_DONE);
		inet_pass(&world, 1);
		(void)taken(NULL);
	}
	CHECK(n->counters.checks <= 22);
	stop();
}

/* ---- who nominates what */

static void prove(uint16_t port)
{
	path.remote.port = port;
	sl_assert(check() == SL_DONE);
	sl_assert(answer(0, PEER_PASSWORD) == SL_DONE);
}

TEST(a_peer_that_nominates_again_is_followed)
{
	start_knowing_peer(false, false);
	prove(5000);
	inet_pass(&world, 100);
	prove(5001);
	path.remote.port = 5000;
	CHECK_INT(nominate(), SL_DONE);
	CHECK_INT(n->selected.remote.port, 5000);
	path.remote.port = 5001;
	CHECK_INT(nominate(), SL_DONE);
	CHECK_INT(n->selected.remote.port, 5001);
	path.remote.port = 5000;
	CHECK_INT(nominate(), SL_DONE); /* as before, no change of mind */
	CHECK_INT(n->selected.remote.port, 5001);
	CHECK_INT(check(), SL_DONE);
	CHECK_INT(nominate(), SL_DONE);
	CHECK_INT(n->selected.remote.port, 5000);
	stop();
}

TEST(aggressive_nomination_stays_with_the_highest_priority)
{
	start_knowing_peer(true, false);
	for (unsigned i = 0; i < 9; i++) {
		path.remote.port = (uint16_t)(5000 + i % 3);
		begin();
		w.p[w.len - 4] = (uint8_t)(100 + i % 3); /* PRIORITY */
		sl_stun_put(&w, SL_STUN_USE_CANDIDATE, NULL, 0);
		CHECK_INT(finish(ice_password(n->agent)), SL_DONE);
		inet_pass(&world, 20);
	}
	CHECK_INT(n->selected.remote.port, 5002);
	CHECK_INT(n->n_selected, 3);
	stop();
}

TEST(we_nominate_one_pair_once)
{
	struct sl_stun_attr attr;
	const struct sl_stun_msg *msg;

	start_knowing_peer(false, true);
	prove(5000);
	CHECK(n->has_selected);
	msg = taken(NULL);
	CHECK(msg && sl_stun_find(msg, SL_STUN_USE_CANDIDATE, &attr));
	CHECK(sl_stun_find(msg, SL_STUN_ICE_CONTROLLING, &attr) && sl_get64(attr.data) == 1000);
	inet_pass(&world, 510);
	CHECK_INT(answer(0, PEER_PASSWORD), SL_DONE);
	CHECK(n->agent->nominated);
	path.remote.port = 5001;
	CHECK_INT(check(), SL_DONE);
	msg = taken(NULL);
	CHECK(msg && !sl_stun_find(msg, SL_STUN_USE_CANDIDATE, &attr));
	stop();
}

TEST(what_the_peer_nominates_before_we_know_it_counts_when_we_do)
{
	start(true, false);
	CHECK_INT(nominate(), SL_DONE);
	CHECK(!n->has_selected);
	CHECK_INT(ice_set_remote(n->agent, SL_STR(PEER_UFRAG), SL_STR(PEER_PASSWORD), false, world.now_ms), 0);
	CHECK(n->has_selected && n->agent->nominated);
	CHECK_INT(ice_get_state(n->agent), ICE_CONNECTED);
	stop();
}

/* A browser may send through a relay while we send directly. */
TEST(media_is_taken_on_any_validated_pair_and_moves_nothing)
{
	start_knowing_peer(true, false);
	path.remote.port = 5001;
	CHECK_INT(check(), SL_DONE);
	path.remote.port = 5000;
	CHECK_INT(check(), SL_DONE);
	CHECK_INT(nominate(), SL_DONE);
	for (unsigned i = 0; i < 600; i++) {
		path.remote.port = i % 50 ? 5001 : 5000;
		if (i % 50 == 0)
			CHECK_INT(check(), SL_DONE); /* each 5 s */
		CHECK(ice_may_receive(n->agent, &path, world.now_ms));
		inet_pass(&world, 100);
	}
	CHECK_INT(n->selected.remote.port, 5000);
	CHECK_INT(ice_get_state(n->agent), ICE_CONNECTED);
	stop();
}

TEST(a_lite_agent_follows_a_peer_whose_checks_come_from_elsewhere_only)
{
	start_knowing_peer(true, false);
	CHECK_INT(nominate(), SL_DONE);
	path.remote.port = 5001; /* its NAT has changed its mind */
	for (unsigned i = 0; i < 2; i++) {
		inet_pass(&world, 5900);
		CHECK_INT(check(), SL_DONE);
	}
	CHECK_INT(n->selected.remote.port, 5001);
	CHECK_INT(ice_get_state(n->agent), ICE_CONNECTED);
	stop();
}

TEST(a_dead_path_is_told_by_its_silence_and_a_lite_agent_waits_for_slow_peers)
{
	for (unsigned lite = 0; lite < 2; lite++) {
		start_knowing_peer(lite, false);
		CHECK_INT(nominate(), SL_DONE);
		if (!lite)
			CHECK_INT(answer(0, PEER_PASSWORD), SL_DONE);
		inet_pass(&world, lite ? 7900 : 4900);
		CHECK_INT(ice_get_state(n->agent), ICE_CONNECTED);
		inet_pass(&world, 200);
		CHECK_INT(ice_get_state(n->agent), ICE_DISCONNECTED);
		CHECK_INT(check(), SL_DONE);
		CHECK_INT(ice_get_state(n->agent), ICE_CONNECTED);
		stop();
	}
}

/* ---- TCP */

TEST(a_connection_is_a_path_until_it_ends)
{
	const struct sl_addr listener = iaddr("192.0.2.1:443");

	start(true, false);
	CHECK_INT(ice_add_local(n->agent, &listener, NULL, 5, ICE_TCP_PASSIVE), 0);
	CHECK_INT(ice_set_remote(n->agent, SL_STR(PEER_UFRAG), SL_STR(PEER_PASSWORD), false, world.now_ms), 0);
	path = (struct ice_path){.local = listener, .remote = remote, .via = 1234, .tcp = true};
	CHECK_INT(nominate(), SL_DONE);
	CHECK(n->has_selected && n->selected.tcp && n->selected.via == 1234);
	path.via = 1235; /* the next connection from the same port */
	CHECK(!ice_may_receive(n->agent, &path, world.now_ms));
	path.via = 1234;
	ice_base_gone(n->agent, 1234, world.now_ms);
	CHECK(!n->has_selected);
	CHECK_INT(n->n_open, 0);
	CHECK_INT(ice_get_state(n->agent), ICE_DISCONNECTED);
	path.via = 1235;
	CHECK_INT(nominate(), SL_DONE);
	CHECK(n->has_selected);
	CHECK_INT(ice_get_state(n->agent), ICE_CONNECTED);
	stop();
}

TEST(a_full_agent_checks_back_along_the_connection_and_keeps_it_through_a_restart)
{
	const struct sl_addr listener = iaddr("192.0.2.1:443");
	struct ice_path first;

	start(false, true);
	CHECK_INT(ice_add_local(n->agent, &listener, NULL, 5, ICE_TCP_PASSIVE), 0);
	CHECK_INT(ice_set_remote(n->agent, SL_STR(PEER_UFRAG), SL_STR(PEER_PASSWORD), false, world.now_ms), 0);
	CHECK_INT(add_remote("1 1 tcp 1518280447 198.51.100.1 9 typ host tcptype active"), 0);
	path = first = (struct ice_path){.local = listener, .remote = remote, .via = 1234, .tcp = true};
	CHECK_INT(check(), SL_DONE);
	CHECK(!n->has_selected);
	CHECK_INT(answer(0, PEER_PASSWORD), SL_DONE);
	CHECK(n->has_selected && ice_path_eq(&n->selected, &first));
	CHECK_INT(answer(0, PEER_PASSWORD), SL_DONE); /* to the nomination */
	CHECK(n->agent->nominated);

	CHECK_INT(ice_restart(n->agent, world.now_ms), 0);
	CHECK_INT(ice_set_remote(n->agent, SL_STR("peer2"), SL_STR(PEER_PASSWORD), false, world.now_ms), 0);
	path.via = 1235; /* another connection */
	begin();
	sl_stun_begin(&w, wire, sizeof wire, SL_STUN_REQUEST, SL_STUN_BINDING, txid);
	put_user(ice_ufrag(n->agent), "peer2");
	sl_stun_put_u32(&w, SL_STUN_PRIORITY, 1);
	CHECK_INT(finish(ice_password(n->agent)), SL_DONE);
	CHECK_INT(answer(0, PEER_PASSWORD), SL_DONE);
	CHECK(ice_path_eq(ice_selected(n->agent), &first)); /* until the nomination is answered */
	CHECK_INT(answer(0, PEER_PASSWORD), SL_DONE);
	CHECK_INT(ice_selected(n->agent)->via, 1235);
	CHECK(ice_may_receive(n->agent, &first, world.now_ms)); /* what is under way */
	inet_pass(&world, 5100);
	CHECK(!ice_may_receive(n->agent, &first, world.now_ms));
	CHECK_INT(n->n_open, 1);
	stop();
}

TEST(udp_is_taken_when_it_works_beside_tcp)
{
	const struct sl_addr listener = iaddr("192.0.2.1:443");
	const struct ice_path udp = {.local = iaddr("192.0.2.1:3478"), .remote = remote};

	start(true, false);
	CHECK_INT(ice_add_local(n->agent, &listener, NULL, 5, ICE_TCP_PASSIVE), 0);
	CHECK_INT(ice_set_remote(n->agent, SL_STR(PEER_UFRAG), SL_STR(PEER_PASSWORD), false, world.now_ms), 0);
	path = (struct ice_path){.local = listener, .remote = remote, .via = 1234, .tcp = true};
	CHECK_INT(check(), SL_DONE);
	CHECK(n->selected.tcp);
	path = udp;
	CHECK_INT(check(), SL_DONE);
	CHECK(!n->selected.tcp);
	stop();
}

TEST(a_path_from_no_base_of_ours_is_refused)
{
	start_knowing_peer(true, false);
	path.via = 77;
	CHECK_INT(check(), SL_DONE);
	CHECK_INT(code_of(taken(NULL)), 400);
	CHECK_INT(n->n_open, 0);
	stop();
}

/* ---- the end */

TEST(a_failed_agent_is_silent)
{
	start_knowing_peer(false, true);
	inet_pass(&world, 31000);
	CHECK_INT(ice_get_state(n->agent), ICE_FAILED);
	CHECK_INT(check(), SL_DROP);
	CHECK(!taken(NULL));
	CHECK_INT(ice_restart(n->agent, world.now_ms), 0);
	CHECK_INT(ice_get_state(n->agent), ICE_NEW);
	CHECK_INT(check(), SL_DONE);
	stop();
}

TEST(a_lite_peer_whose_candidates_all_failed_is_given_up_at_once)
{
	start(false, true);
	CHECK_INT(ice_set_remote(n->agent, SL_STR(PEER_UFRAG), SL_STR(PEER_PASSWORD), true, world.now_ms), 0);
	CHECK_INT(add_remote("1 1 udp 1 198.51.100.1 5000 typ host"), 0);
	ice_end_of_candidates(n->agent, world.now_ms);
	inet_pass(&world, 12000);
	CHECK_INT(ice_get_state(n->agent), ICE_FAILED);
	stop();
}

TEST(a_quiet_lite_agent_sends_keepalives)
{
	const struct sl_stun_msg *msg;

	start_knowing_peer(true, false);
	CHECK_INT(nominate(), SL_DONE);
	(void)taken(NULL);
	inet_pass(&world, 14000);
	CHECK(!taken(NULL));
	inet_pass(&world, 1000);
	msg = taken(NULL);
	CHECK(msg && msg->class_ == SL_STUN_INDICATION);
	stop();
}

TEST(a_keepalive_of_the_peer_is_taken_on_open_paths_only)
{
	struct sl_stun_msg msg;

	start_knowing_peer(true, false);
	CHECK_INT(nominate(), SL_DONE);
	(void)taken(NULL);
	sl_stun_begin(&w, wire, sizeof wire, SL_STUN_INDICATION, SL_STUN_BINDING, txid);
	CHECK(sl_stun_finish(&w, &len) == 0 && sl_stun_parse(&msg, wire, len) == 0);
	CHECK_INT(ice_input(n->agent, &path, &msg, world.now_ms), SL_DONE);
	path.remote.port++;
	CHECK_INT(ice_input(n->agent, &path, &msg, world.now_ms), SL_DROP);
	CHECK(!taken(NULL));
	stop();
}

TEST(an_agent_with_nothing_due_asks_for_no_tick)
{
	start(true, false);
	CHECK(ice_next_ms(n->agent) == UINT64_MAX);
	CHECK(ice_tick(n->agent, 5) == UINT64_MAX);
	CHECK_INT(ice_rtt_us(n->agent), 0);
	CHECK(!ice_selected(n->agent));
	stop();
}

TEST(states_have_names)
{
	CHECK_STR(sl_str_c(ice_state_name(ICE_NEW)), "new");
	CHECK_STR(sl_str_c(ice_state_name(ICE_CLOSED)), "closed");
	CHECK_STR(sl_str_c(ice_state_name(99)), "unknown");
}

TEST_MAIN()
