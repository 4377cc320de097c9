/*
 * The TURN engine, request by request and packet by packet (RFC 8656), in virtual time.
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

/* ---- form */

TEST(unknown_required_attributes_are_named)
{
	struct sl_str list;

	setup();
	sl_stun_put_u32(&alice.w, 0x7fff, 1);
	sl_stun_put_u32(&alice.w, 0x0010, 1);
	CHECK_INT(tc_ask_allocate(&alice), 420);
	list = sl_stun_find_str(&alice.msg, SL_STUN_UNKNOWN_ATTRIBUTES);
	CHECK_INT(list.len, 4);
	CHECK_INT(sl_get16(list.p), 0x7fff);
	CHECK_INT(sl_get16(list.p + 2), 0x0010);
	CHECK(tnet_stop(&net));
}

TEST(fingerprint_is_checked_and_returned)
{
	setup();
	alice.fingerprint = true;
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(sl_stun_check_fingerprint(&alice.msg), 0);
	alice.wire[alice.wire_len - 1] ^= 1;
	CHECK_INT(tc_input(&alice), -1);
	CHECK_INT(alice.rc, SL_DROP);
	CHECK(tnet_stop(&net));
}

TEST(what_is_not_turn_is_declined)
{
	setup();
	CHECK_INT(tc_send(&alice, SL_STUN_BINDING), -1);
	CHECK_INT(alice.rc, SL_DECLINED);
	CHECK_INT(tc_send(&alice, SL_TURN_CONNECTION_ATTEMPT), -1);
	CHECK_INT(alice.rc, SL_DECLINED);
	CHECK(tnet_stop(&net));
}

/* ---- Allocate */

TEST(only_udp_and_tcp_are_relayed)
{
	setup();
	CHECK_INT(tc_ask(&alice, SL_TURN_ALLOCATE), 400);
	sl_stun_put_u32(&alice.w, SL_TURN_REQUESTED_TRANSPORT, 132u << 24);
	CHECK_INT(tc_ask(&alice, SL_TURN_ALLOCATE), 442);
	CHECK_INT(COUNTER(transport_refusals), 1);
	CHECK(tnet_stop(&net));
}

TEST(a_retransmission_gets_the_same_answer_and_another_request_437)
{
	uint8_t first[sizeof alice.reply];
	size_t len;

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	len = alice.out.reply_len;
	memcpy(first, alice.reply, len);
	CHECK_INT(tc_input(&alice), 0);
	CHECK_INT(alice.out.reply_len, len);
	CHECK_MEM(alice.reply, first, len);
	CHECK_INT(tc_ask_allocate(&alice), 437);
	CHECK_INT(sl_turn_allocations(net.turn), 1);
	CHECK_INT(COUNTER(mismatches), 1);
	CHECK(tnet_stop(&net));
}

static void ask_family(struct tclient *c, uint16_t type, uint32_t family)
{
	sl_stun_put_u32(&c->w, type, family << 24);
}

TEST(families_are_given_as_asked)
{
	struct sl_addr got;

	tnet_init(&net);
	net.conf.relay_v6 = false;
	start();
	ask_family(&alice, SL_TURN_REQUESTED_ADDRESS_FAMILY, 2);
	CHECK_INT(tc_ask_allocate(&alice), 440);
	ask_family(&alice, SL_TURN_REQUESTED_ADDRESS_FAMILY, 3);
	CHECK_INT(tc_ask_allocate(&alice), 440);
	net.conf.relay_v6 = true;
	ask_family(&alice, SL_TURN_REQUESTED_ADDRESS_FAMILY, 2);
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK(tc_reply_addr(&alice, SL_TURN_XOR_RELAYED_ADDRESS, &got));
	CHECK_INT(got.family, 6);
	CHECK(!sl_turn_alloc_relayed(alice.alloc, 4));
	CHECK(tnet_stop(&net));
}

static unsigned count_attrs(const struct sl_stun_msg *m, uint16_t type)
{
	struct sl_stun_attr a = {0};
	unsigned n = 0;

	while (sl_stun_next(m, &a))
		n += a.type == type;
	return n;
}

TEST(a_dual_allocation_has_both_families_and_gives_one_back)
{
	const struct sl_addr peer4 = taddr("192.0.2.1:5"), peer6 = taddr("[2001:db8::5]:5");

	setup();
	ask_family(&alice, SL_TURN_ADDITIONAL_ADDRESS_FAMILY, 2);
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(count_attrs(&alice.msg, SL_TURN_XOR_RELAYED_ADDRESS), 2);
	CHECK_INT(net.n_open, 2);
	CHECK_INT(tc_ask_permission(&alice, &peer4), 0);
	CHECK_INT(tc_ask_permission(&alice, &peer6), 0);
	ask_family(&alice, SL_TURN_REQUESTED_ADDRESS_FAMILY, 1);
	CHECK_INT(tc_ask_refresh(&alice, 0), 0);
	CHECK_INT(net.n_open, 1);
	CHECK_INT(tc_ask_permission(&alice, &peer4), 443);
	ask_family(&alice, SL_TURN_REQUESTED_ADDRESS_FAMILY, 1);
	CHECK_INT(tc_ask_refresh(&alice, 0), 443);
	ask_family(&alice, SL_TURN_REQUESTED_ADDRESS_FAMILY, 2);
	CHECK_INT(tc_ask_refresh(&alice, 0), 0);
	CHECK_INT(sl_turn_allocations(net.turn), 0);
	CHECK(tnet_stop(&net));
}

TEST(half_a_dual_allocation_is_granted_with_the_others_error)
{
	struct sl_str error;

	setup();
	net.open_error = -SL_EFULL;
	net.open_error_family = 6;
	ask_family(&alice, SL_TURN_ADDITIONAL_ADDRESS_FAMILY, 2);
	CHECK_INT(tc_ask_allocate(&alice), 0);
	error = sl_stun_find_str(&alice.msg, SL_TURN_ADDRESS_ERROR_CODE);
	CHECK_INT(error.len, 4);
	CHECK_MEM(error.p, "\x02\x00\x05\x08", 4);
	net.open_error_family = 0;
	ask_family(&bob, SL_TURN_ADDITIONAL_ADDRESS_FAMILY, 2);
	CHECK_INT(tc_ask_allocate(&bob), 508);
	CHECK(tnet_stop(&net));
}

TEST(contradictory_wishes_are_bad_requests)
{
	setup();
	ask_family(&alice, SL_TURN_ADDITIONAL_ADDRESS_FAMILY, 1);
	CHECK_INT(tc_ask_allocate(&alice), 400);
	ask_family(&alice, SL_TURN_ADDITIONAL_ADDRESS_FAMILY, 2);
	ask_family(&alice, SL_TURN_REQUESTED_ADDRESS_FAMILY, 1);
	CHECK_INT(tc_ask_allocate(&alice), 400);
	ask_family(&alice, SL_TURN_ADDITIONAL_ADDRESS_FAMILY, 2);
	sl_stun_put(&alice.w, SL_TURN_EVEN_PORT, "\x80", 1);
	CHECK_INT(tc_ask_allocate(&alice), 400);
	sl_stun_put(&alice.w, SL_TURN_EVEN_PORT, "\x80", 1);
	sl_stun_put(&alice.w, SL_TURN_RESERVATION_TOKEN, "12345678", 8);
	CHECK_INT(tc_ask_allocate(&alice), 400);
	sl_stun_put(&alice.w, SL_TURN_LIFETIME, "12", 2);
	CHECK_INT(tc_ask_allocate(&alice), 400);
	CHECK_INT(net.n_open, 0);
	CHECK(tnet_stop(&net));
}

TEST(an_even_port_and_the_next_one_can_be_had)
{
	struct sl_addr first, second;
	uint8_t token_bytes[8];
	struct sl_str token;
	uint16_t slot;

	setup();
	sl_stun_put(&alice.w, SL_TURN_EVEN_PORT, "\x80", 1);
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK(tc_reply_addr(&alice, SL_TURN_XOR_RELAYED_ADDRESS, &first));
	CHECK_INT(first.port % 2, 0);
	CHECK_INT(net.n_reserved, 1);
	token = sl_stun_find_str(&alice.msg, SL_TURN_RESERVATION_TOKEN);
	CHECK_INT(token.len, 8);
	memcpy(token_bytes, token.p, 8);
	sl_stun_put_str(&bob.w, SL_TURN_RESERVATION_TOKEN, token);
	CHECK_INT(tc_ask_allocate(&bob), 0);
	CHECK(tc_reply_addr(&bob, SL_TURN_XOR_RELAYED_ADDRESS, &second));
	CHECK_INT(second.port, first.port + 1);
	CHECK_INT(net.n_reserved, 0);
	CHECK_INT(sl_stun_parse(&bob.msg, bob.wire, bob.wire_len), 0);
	CHECK_MEM(sl_turn_token(&bob.msg, &slot), token_bytes, 8);
	CHECK_INT(slot, 7);
	CHECK(tnet_stop(&net));
}

TEST(a_reservation_ends_after_thirty_seconds)
{
	char token[8];

	setup();
	sl_stun_put(&alice.w, SL_TURN_EVEN_PORT, "\x80", 1);
	CHECK_INT(tc_ask_allocate(&alice), 0);
	memcpy(token, sl_stun_find_str(&alice.msg, SL_TURN_RESERVATION_TOKEN).p, 8);
	tnet_pass(&net, 29999);
	CHECK_INT(net.n_reserved, 1);
	tnet_pass(&net, 1);
	CHECK_INT(net.n_reserved, 0);
	sl_stun_put(&bob.w, SL_TURN_RESERVATION_TOKEN, token, 8);
	CHECK_INT(tc_ask_allocate(&bob), 508);
	CHECK(tnet_stop(&net));
}

TEST(a_reservation_moves_to_another_engine)
{
	struct sl_addr relayed, got;
	struct tnet other;
	uint8_t token[8];

	setup();
	tnet_init(&other);
	tnet_start(&other);
	sl_stun_put(&alice.w, SL_TURN_EVEN_PORT, "\x80", 1);
	CHECK_INT(tc_ask_allocate(&alice), 0);
	memcpy(token, sl_stun_find_str(&alice.msg, SL_TURN_RESERVATION_TOKEN).p, 8);
	CHECK_INT(sl_turn_token_relayed(net.turn, token, &relayed), 0);
	sl_turn_token_cancel(net.turn, token);
	CHECK_INT(net.n_reserved, 0);
	CHECK_INT(sl_turn_token_relayed(net.turn, token, &relayed), -SL_ENOENT);
	other.n_reserved++;
	CHECK_INT(sl_turn_token_adopt(other.turn, token, &relayed, 0), 0);
	CHECK_INT(sl_turn_token_adopt(other.turn, token, &relayed, 0), -SL_EEXIST);
	bob.net = &other;
	sl_stun_put(&bob.w, SL_TURN_RESERVATION_TOKEN, token, 8);
	CHECK_INT(tc_ask_allocate(&bob), 0);
	CHECK(tc_reply_addr(&bob, SL_TURN_XOR_RELAYED_ADDRESS, &got));
	CHECK(sl_addr_eq(&got, &relayed));
	CHECK(tnet_stop(&other));
	CHECK(tnet_stop(&net));
}

TEST(an_open_reservation_ends_with_the_engine)
{
	setup();
	sl_stun_put(&alice.w, SL_TURN_EVEN_PORT, "\x80", 1);
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK(tnet_stop(&net));
}

/* ---- quotas */

TEST(quotas_hold_per_user_and_in_total)
{
	struct tclient more;

	tnet_init(&net);
	net.realm.limits[SL_TURN_PER_USER].allocations = 1;
	net.conf.total.allocations = 2;
	start();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	tclient_init(&more, &net, "198.51.100.3:3", "alice", "wonder");
	CHECK_INT(tc_ask_allocate(&more), 486);
	CHECK_INT(tc_ask_allocate(&bob), 0);
	tclient_init(&more, &net, "198.51.100.3:3", "alice", "wonder");
	CHECK_INT(tc_ask_allocate(&more), 508);
	CHECK_INT(tc_ask_refresh(&alice, 0), 0);
	CHECK_INT(tc_ask_allocate(&more), 0);
	CHECK_INT(COUNTER(quota_refusals), 1);
	CHECK_INT(COUNTER(capacity_refusals), 1);
	CHECK(tnet_stop(&net));
}

TEST(a_renewed_time_limited_name_counts_as_the_same_user)
{
	tnet_init(&net);
	net.realm.limits[SL_TURN_PER_USER].allocations = 1;
	start();
	tc_use_secret(&alice, SL_STR("new secret"), 100);
	tc_use_secret(&bob, SL_STR("new secret"), 200);
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_allocate(&bob), 486);
	CHECK(tnet_stop(&net));
}

TEST(what_the_world_refuses_is_told_and_undone)
{
	setup();
	net.open_error = -SL_EFULL;
	CHECK_INT(tc_ask_allocate(&alice), 508);
	CHECK_INT(net.n_released, 0);
	net.open_error = 0;
	net.grant_error = -SL_ELIMIT;
	CHECK_INT(tc_ask_allocate(&alice), 486);
	CHECK_INT(net.n_released, 1);
	CHECK_STR(sl_str_c(net.why), "refused");
	net.grant_error = -SL_EFULL;
	CHECK_INT(tc_ask_allocate(&alice), 508);
	CHECK_INT(net.n_open, 0);
	net.grant_error = 0;
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK(tnet_stop(&net));
}

TEST(a_draining_engine_serves_what_it_has)
{
	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	sl_turn_drain(net.turn);
	CHECK_INT(tc_ask_allocate(&bob), 508);
	CHECK_INT(tc_ask_refresh(&alice, 600), 0);
	CHECK(tnet_stop(&net));
}

/* ---- other servers */

static void start_with_alternates(const struct sl_addr *list, unsigned n)
{
	tnet_init(&net);
	net.conf.alternates = list;
	net.conf.n_alternates = n;
	net.conf.alternate_domain = SL_STR("relays.example.org");
	start();
}

static bool sent_to(const struct tclient *c, const char *where)
{
	const struct sl_addr want = taddr(where);
	struct sl_stun_attr a;
	struct sl_addr got;

	return sl_stun_find(&c->msg, SL_STUN_ALTERNATE_SERVER, &a) &&
	       sl_stun_get_addr(&c->msg, &a, &got) == 0 && sl_addr_eq(&got, &want);
}

TEST(a_server_without_room_names_the_others_in_turn)
{
	const struct sl_addr list[] = {taddr("203.0.113.1:3478"), taddr("[2001:db8::7]:3478"),
				       taddr("203.0.113.2:3478"), taddr("203.0.113.3:3478")};
	unsigned second = 0, third = 0;

	start_with_alternates(list, SL_ARRAY_LEN(list));
	CHECK_INT(tc_ask_allocate(&bob), 0);
	sl_turn_drain(net.turn);
	for (int i = 0; i < 12; i++) {
		CHECK_INT(tc_ask_allocate(&alice), 300);
		second += sent_to(&alice, "203.0.113.2:3478");
		third += sent_to(&alice, "203.0.113.3:3478");
		CHECK_INT(count_attrs(&alice.msg, SL_STUN_ALTERNATE_SERVER), 2);
	}
	CHECK_INT(second + third, 12);
	CHECK(second > 2 && third > 2);
	CHECK_STR(sl_stun_find_str(&alice.msg, SL_STUN_ALTERNATE_DOMAIN), "relays.example.org");
	CHECK_INT(COUNTER(redirects), 12);
	CHECK_INT(tc_ask_refresh(&bob, 600), 0);
	CHECK(tnet_stop(&net));
}

TEST(clients_are_sent_only_to_servers_that_can_be_used)
{
	const struct sl_addr list[] = {taddr("203.0.113.2:3478"), taddr("203.0.113.3:3478")};

	start_with_alternates(list, SL_ARRAY_LEN(list));
	sl_turn_drain(net.turn);
	sl_turn_set_alternates(net.turn, 1u << 1);
	for (int i = 0; i < 4; i++) {
		CHECK_INT(tc_ask_allocate(&alice), 300);
		CHECK(sent_to(&alice, "203.0.113.3:3478"));
	}
	sl_turn_set_alternates(net.turn, 0);
	CHECK_INT(tc_ask_allocate(&alice), 508);
	CHECK(tnet_stop(&net));
}

TEST(a_redirection_is_signed_and_for_the_proven_only)
{
	const struct sl_addr list[] = {taddr("203.0.113.2:3478")};
	uint8_t key[32];

	start_with_alternates(list, 1);
	sl_turn_drain(net.turn);
	sl_stun_put_u32(&alice.w, SL_TURN_REQUESTED_TRANSPORT, 17u << 24);
	CHECK_INT(tc_send(&alice, SL_TURN_ALLOCATE), 401);
	CHECK_INT(tc_ask_allocate(&alice), 300);
	tc_key(&alice, key);
	CHECK_INT(sl_stun_check_integrity(&alice.msg, (struct sl_str){(char *)key, 16}), 0);
	CHECK(tnet_stop(&net));
}

TEST(a_busy_server_redirects_before_it_is_full)
{
	const struct sl_addr list[] = {taddr("203.0.113.2:3478")};
	struct tclient six;

	start_with_alternates(list, 1);
	net.conf.alternate_above = 1;
	net.conf.total.allocations = 2;
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_allocate(&bob), 300);
	tclient_init(&six, &net, "[2001:db8::3]:3", "bob", "builder");
	CHECK_INT(tc_ask_allocate(&six), 0); /* nowhere to send it */
	six.at.remote.port++;
	six.alloc = NULL;
	six.nonce[0] = '\0';
	CHECK_INT(tc_ask_allocate(&six), 508);
	CHECK(tnet_stop(&net));
}

/* ---- lifetimes */

TEST(lifetimes_lie_between_default_and_maximum)
{
	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_refresh(&alice, 1), 0);
	CHECK_INT(tc_reply_lifetime(&alice), 600);
	CHECK_INT(tc_ask_refresh(&alice, 1200), 0);
	CHECK_INT(tc_reply_lifetime(&alice), 1200);
	CHECK_INT(tc_ask_refresh(&alice, 86400), 0);
	CHECK_INT(tc_reply_lifetime(&alice), 3600);
	CHECK(tnet_stop(&net));
}

TEST(an_allocation_expires_to_the_millisecond)
{
	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	tnet_pass(&net, 599999);
	CHECK_INT(sl_turn_allocations(net.turn), 1);
	tnet_pass(&net, 1);
	CHECK_INT(sl_turn_allocations(net.turn), 0);
	CHECK_STR(sl_str_c(net.why), "expired");
	CHECK_INT(COUNTER(expired), 1);
	CHECK(tnet_stop(&net));
}

TEST(a_refresh_prolongs_and_shortens)
{
	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_refresh(&alice, 3600), 0);
	tnet_pass(&net, 1000 * 1000);
	CHECK_INT(tc_ask_refresh(&alice, 600), 0);
	tnet_pass(&net, 599999);
	CHECK_INT(sl_turn_allocations(net.turn), 1);
	tnet_pass(&net, 1);
	CHECK_INT(sl_turn_allocations(net.turn), 0);
	CHECK(tnet_stop(&net));
}

TEST(a_refresh_to_zero_ends_it)
{
	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_refresh(&alice, 0), 0);
	CHECK_INT(tc_reply_lifetime(&alice), 0);
	CHECK_STR(sl_str_c(net.why), "refreshed to 0");
	CHECK_INT(net.n_open, 0);
	alice.alloc = NULL;
	CHECK_INT(tc_ask_refresh(&alice, 0), 437);
	CHECK(tnet_stop(&net));
}

TEST(another_user_may_not_touch_an_allocation)
{
	const struct sl_addr peer = taddr("192.0.2.1:5");

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	sl_str_copy(alice.user, sizeof alice.user, SL_STR("bob"));
	sl_str_copy(alice.password, sizeof alice.password, SL_STR("builder"));
	CHECK_INT(tc_ask_refresh(&alice, 0), 441);
	CHECK_INT(tc_ask_permission(&alice, &peer), 441);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &peer), 441);
	CHECK_INT(COUNTER(wrong_credentials), 3);
	CHECK(tnet_stop(&net));
}

TEST(a_killed_allocation_is_released)
{
	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	sl_turn_kill(alice.alloc, "kicked");
	CHECK_STR(sl_str_c(net.why), "kicked");
	CHECK(tnet_stop(&net));
}

/* ---- permissions */

TEST(a_peer_without_permission_is_not_heard)
{
	const struct sl_addr peer = taddr("192.0.2.1:5"), same_host = taddr("192.0.2.1:6"),
			     other = taddr("192.0.2.2:5");

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_peer_data(&alice, &peer), -SL_EDENIED);
	CHECK_INT(tc_ask_permission(&alice, &peer), 0);
	CHECK_INT(tc_peer_data(&alice, &peer), 0);
	CHECK_INT(tc_peer_data(&alice, &same_host), 0);
	CHECK_INT(tc_peer_data(&alice, &other), -SL_EDENIED);
	CHECK_INT(COUNTER(no_permission), 2);
	CHECK_INT(COUNTER(to_client_packets), 2);
	CHECK_INT(COUNTER(to_client_bytes), 200);
	CHECK(tnet_stop(&net));
}

TEST(a_permission_lasts_five_minutes_from_its_last_request)
{
	const struct sl_addr peer = taddr("192.0.2.1:5");

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_permission(&alice, &peer), 0);
	tnet_pass(&net, 200 * 1000);
	CHECK_INT(tc_ask_permission(&alice, &peer), 0);
	tnet_pass(&net, 299999);
	CHECK_INT(tc_peer_data(&alice, &peer), 0);
	CHECK_INT(alice.alloc->own.n_perms, 1);
	tnet_pass(&net, 1);
	CHECK_INT(tc_peer_data(&alice, &peer), -SL_EDENIED);
	CHECK_INT(alice.alloc->own.n_perms, 0);
	CHECK(tnet_stop(&net));
}

TEST(several_peers_are_permitted_all_or_none)
{
	static const struct sl_cidr deny[] = {{.base = {.family = 4, .ip = {10}}, .bits = 8}};
	const struct sl_addr good = taddr("192.0.2.1:5"), also = taddr("192.0.2.2:5"),
			     bad = taddr("10.1.1.1:5");

	tnet_init(&net);
	net.realm.deny_peers = deny;
	net.realm.n_deny = 1;
	start();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask(&alice, SL_TURN_CREATE_PERMISSION), 400);
	sl_stun_put_xor_addr(&alice.w, SL_TURN_XOR_PEER_ADDRESS, &good);
	CHECK_INT(tc_ask_permission(&alice, &bad), 403);
	CHECK_INT(tc_peer_data(&alice, &good), -SL_EDENIED);
	sl_stun_put_xor_addr(&alice.w, SL_TURN_XOR_PEER_ADDRESS, &good);
	CHECK_INT(tc_ask_permission(&alice, &also), 0);
	CHECK_INT(tc_peer_data(&alice, &good), 0);
	CHECK_INT(tc_peer_data(&alice, &also), 0);
	CHECK(tnet_stop(&net));
}

TEST(on_this_node_only_the_ports_of_relays_are_reachable)
{
	const struct sl_addr own = taddr("203.0.113.1"), relay = taddr("203.0.113.1:50000"),
			     listener = taddr("203.0.113.1:3478"), loopback = taddr("127.0.0.1"),
			     inside = taddr("127.0.0.1:50000");
	const struct sl_addr both[] = {own, loopback};

	tnet_init(&net);
	net.conf.own = both;
	net.conf.n_own = 2;
	net.conf.own_ports_lo = 49152;
	net.conf.own_ports_hi = 65535;
	start();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &listener), 403);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &inside), 403);
	CHECK_INT(tc_ask_permission(&alice, &inside), 403);
	CHECK_INT(tc_ask_permission(&alice, &relay), 0);
	CHECK_INT(tc_peer_data(&alice, &relay), 0);
	CHECK_INT(tc_peer_data(&alice, &listener), -SL_EDENIED);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &relay), 0);
	CHECK(tnet_stop(&net));
}

/* A client that reaches this node by a relay of it only takes part in its group calls. */
TEST(the_port_of_this_nodes_media_is_reachable_and_no_other)
{
	const struct sl_addr own = taddr("203.0.113.1"), media = taddr("203.0.113.1:443"),
			     other = taddr("203.0.113.1:22"), none = taddr("203.0.113.1:0"),
			     inside = taddr("127.0.0.1:443");
	const struct sl_addr both[] = {own, taddr("127.0.0.1")};
	uint16_t ports[SL_TURN_OWN_MEDIA] = {0};

	tnet_init(&net);
	net.conf.own = both;
	net.conf.n_own = 2;
	net.conf.own_ports_lo = 49152;
	net.conf.own_ports_hi = 65535;
	net.conf.own_media = ports;
	start();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &media), 403);
	ports[1] = 443;
	CHECK_INT(tc_ask_permission(&alice, &own), 0);
	CHECK_INT(tc_peer_data(&alice, &media), 0);
	CHECK_INT(tc_peer_data(&alice, &other), -SL_EDENIED);
	CHECK_INT(tc_peer_data(&alice, &none), -SL_EDENIED);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &media), 0);
	CHECK_INT(tc_ask_channel(&alice, 0x4001, &other), 403);
	CHECK_INT(tc_ask_channel(&alice, 0x4001, &inside), 403);
	CHECK(tnet_stop(&net));
}

TEST(peers_are_denied_by_list_and_as_own_address_and_allowed_by_exception)
{
	static const struct sl_cidr deny[] = {{.base = {.family = 4, .ip = {10}}, .bits = 8}};
	static const struct sl_cidr allow[] = {{.base = {.family = 4, .ip = {10, 1}}, .bits = 16}};
	const struct sl_addr own = taddr("203.0.113.1"), own_peer = taddr("203.0.113.1:7"),
			     denied = taddr("10.2.0.1:7"), allowed = taddr("10.1.0.1:7"),
			     six = taddr("[2001:db8::1]:7");

	tnet_init(&net);
	net.realm.deny_peers = deny;
	net.realm.n_deny = 1;
	net.realm.allow_peers = allow;
	net.realm.n_allow = 1;
	net.conf.own = &own;
	net.conf.n_own = 1;
	start();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_permission(&alice, &own_peer), 403);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &denied), 403);
	CHECK_INT(tc_ask_permission(&alice, &allowed), 0);
	CHECK_INT(tc_ask_permission(&alice, &six), 443);
	CHECK_INT(COUNTER(peer_refusals), 2);
	CHECK_INT(COUNTER(family_refusals), 1);
	CHECK(tnet_stop(&net));
}

TEST(permissions_and_channels_have_limits)
{
	const struct sl_addr a = taddr("192.0.2.1:5"), b = taddr("192.0.2.2:5"),
			     c = taddr("192.0.2.2:6");

	tnet_init(&net);
	net.realm.limits[SL_TURN_PER_ALLOCATION].permissions = 2;
	net.realm.limits[SL_TURN_PER_ALLOCATION].channels = 1;
	start();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &a), 0);
	CHECK_INT(tc_ask_channel(&alice, 0x4001, &b), 508);
	CHECK_INT(alice.alloc->own.n_perms, 1);
	CHECK_INT(tc_ask_permission(&alice, &b), 0);
	CHECK_INT(tc_ask_permission(&alice, &c), 0);
	sl_stun_put_xor_addr(&alice.w, SL_TURN_XOR_PEER_ADDRESS, &b);
	CHECK_INT(tc_ask_permission(&alice, &(struct sl_addr){.family = 4, .ip = {1, 2, 3, 4}}),
		  508);
	CHECK(tnet_stop(&net));
}

/* ---- channels */

TEST(channel_data_flows_both_ways)
{
	const struct sl_addr peer = taddr("192.0.2.1:5"), same_host = taddr("192.0.2.1:6");
	const struct sl_addr *to;

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK(!tc_channel_data(&alice, 0x4000, 10));
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &peer), 0);
	to = tc_channel_data(&alice, 0x4000, 10);
	CHECK(to && sl_addr_eq(to, &peer));
	CHECK_INT(tc_peer_data(&alice, &peer), 0x4000);
	CHECK_INT(tc_peer_data(&alice, &same_host), 0);
	CHECK(!tc_channel_data(&alice, 0x4001, 10));
	CHECK_INT(COUNTER(to_peer_packets), 1);
	CHECK_INT(COUNTER(to_peer_bytes), 10);
	CHECK(tnet_stop(&net));
}

TEST(a_lying_length_is_dropped_and_padding_is_not)
{
	const struct sl_addr peer = taddr("192.0.2.1:5");
	uint8_t data[16] = {0x40, 0x00, 0x00, 9};
	size_t len;

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &peer), 0);
	for (size_t n = 0; n < 13; n++)
		CHECK(!sl_turn_channel_out(alice.alloc, data, n, net.now_ms, &len));
	CHECK(sl_turn_channel_out(alice.alloc, data, 16, net.now_ms, &len));
	CHECK_INT(len, 9);
	CHECK(tnet_stop(&net));
}

TEST(a_channel_cannot_be_bound_to_something_else)
{
	const struct sl_addr a = taddr("192.0.2.1:5"), b = taddr("192.0.2.2:5");

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_channel(&alice, 0x3fff, &a), 400);
	CHECK_INT(tc_ask_channel(&alice, 0x8000, &a), 400);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &a), 0);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &b), 400);
	CHECK_INT(tc_ask_channel(&alice, 0x4001, &a), 400);
	CHECK_INT(tc_ask_channel(&alice, 0x7fff, &b), 0);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &b), 400); /* both bound, crosswise */
	CHECK_INT(tc_ask_refresh(&alice, 3600), 0);
	tnet_pass(&net, 599999);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &b), 400);
	tnet_pass(&net, 1);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &b), 0); /* both have expired */
	CHECK(tnet_stop(&net));
}

TEST(a_channel_outlives_its_permission_but_is_silent_then)
{
	const struct sl_addr peer = taddr("192.0.2.1:5");

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_refresh(&alice, 3600), 0);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &peer), 0);
	tnet_pass(&net, 300 * 1000);
	CHECK_INT(tc_peer_data(&alice, &peer), -SL_EDENIED);
	CHECK(tc_channel_data(&alice, 0x4000, 1));
	CHECK_INT(tc_ask_permission(&alice, &peer), 0);
	CHECK_INT(tc_peer_data(&alice, &peer), 0x4000);
	tnet_pass(&net, 300 * 1000);
	CHECK(!tc_channel_data(&alice, 0x4000, 1));
	CHECK_INT(alice.alloc->own.n_channels, 0);
	CHECK_INT(alice.alloc->own.n_perms, 0);
	CHECK(tnet_stop(&net));
}

TEST(a_channel_refresh_renews_the_permission_too)
{
	const struct sl_addr peer = taddr("192.0.2.1:5");

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_refresh(&alice, 3600), 0);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &peer), 0);
	tnet_pass(&net, 299 * 1000);
	CHECK_INT(tc_ask_channel(&alice, 0x4000, &peer), 0);
	tnet_pass(&net, 299 * 1000);
	CHECK_INT(tc_peer_data(&alice, &peer), 0x4000);
	CHECK(tnet_stop(&net));
}

TEST(hundreds_of_channels_are_all_found_and_all_go)
{
	struct sl_addr peer = taddr("192.0.2.1:1000");
	const struct sl_addr *to;

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_refresh(&alice, 3600), 0);
	for (uint16_t i = 0; i < 500; i++) {
		peer.ip[3] = (uint8_t)(i % 7);
		peer.port = (uint16_t)(1000 + i);
		CHECK_INT(tc_ask_channel(&alice, (uint16_t)(0x4000 + i), &peer), 0);
	}
	CHECK_INT(alice.alloc->own.n_perms, 7);
	for (uint16_t i = 0; i < 500; i++) {
		uint16_t k = (uint16_t)(i * 211 % 500);

		peer.ip[3] = (uint8_t)(k % 7);
		peer.port = (uint16_t)(1000 + k);
		to = tc_channel_data(&alice, (uint16_t)(0x4000 + k), 1);
		CHECK(to && sl_addr_eq(to, &peer));
		CHECK_INT(tc_peer_data(&alice, &peer), 0x4000 + k);
	}
	tnet_pass(&net, 600 * 1000);
	CHECK_INT(alice.alloc->own.n_channels, 0);
	CHECK_INT(alice.alloc->n_cold, 0);
	CHECK_INT(net.turn->by_number.count + net.turn->by_peer.count + net.turn->perms.count, 0);
	CHECK(tnet_stop(&net));
}

/* ---- indications */

static int send_indication(struct tclient *c, const struct sl_addr *peer, struct sl_str data,
			   bool df)
{
	struct sl_stun_writer w;

	sl_stun_begin(&w, c->wire, sizeof c->wire, SL_STUN_INDICATION, SL_TURN_SEND, c->txid);
	sl_stun_put_xor_addr(&w, SL_TURN_XOR_PEER_ADDRESS, peer);
	if (df)
		sl_stun_put(&w, SL_TURN_DONT_FRAGMENT, NULL, 0);
	sl_stun_put_str(&w, SL_TURN_DATA_ATTR, data);
	sl_assert(sl_stun_finish(&w, &c->wire_len) == 0);
	return tc_input(c);
}

TEST(a_send_indication_reaches_a_permitted_peer)
{
	const struct sl_addr peer = taddr("192.0.2.1:5");

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(send_indication(&alice, &peer, SL_STR("hello"), false), -1);
	CHECK_INT(alice.rc, SL_DROP);
	CHECK(!alice.out.to_peer_via);
	CHECK_INT(tc_ask_permission(&alice, &peer), 0);
	CHECK_INT(send_indication(&alice, &peer, SL_STR("hello"), true), -1);
	CHECK_INT(alice.rc, SL_DONE);
	CHECK(alice.out.to_peer_via == alice.alloc);
	CHECK(sl_addr_eq(&alice.out.peer, &peer));
	CHECK(alice.out.dont_fragment);
	CHECK_STR(((struct sl_str){(char *)alice.out.data, alice.out.data_len}), "hello");
	CHECK_INT(send_indication(&bob, &peer, SL_STR("hello"), false), -1);
	CHECK_INT(bob.rc, SL_DROP);
	CHECK(tnet_stop(&net));
}

TEST(an_empty_send_indication_is_still_a_datagram)
{
	const struct sl_addr peer = taddr("192.0.2.1:5");

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_permission(&alice, &peer), 0);
	CHECK_INT(send_indication(&alice, &peer, SL_STR(""), false), -1);
	CHECK_INT(alice.rc, SL_DONE);
	CHECK(alice.out.to_peer_via == alice.alloc);
	CHECK_INT(alice.out.data_len, 0);
	CHECK(tnet_stop(&net));
}

TEST(a_data_indication_is_well_formed_at_every_length)
{
	static const char *const peers[] = {"192.0.2.1:5", "[2001:db8::9]:5"};
	uint8_t p[256];
	struct sl_stun_msg m;
	struct sl_stun_attr a;
	struct sl_addr got;

	for (size_t k = 0; k < 2; k++)
		for (size_t len = 0; len < 100; len++) {
			const struct sl_addr peer = taddr(peers[k]);
			size_t head =
				sl_turn_data_header(p, &peer, len, (const uint8_t *)"transaction!");
			size_t pad = (4 - len % 4) % 4;

			CHECK(head <= 64);
			memset(p + head, 0, len + pad);
			CHECK_INT(sl_stun_parse(&m, p, head + len + pad), 0);
			CHECK_INT(m.method, SL_TURN_DATA);
			CHECK_INT(m.class_, SL_STUN_INDICATION);
			CHECK(sl_stun_find(&m, SL_TURN_XOR_PEER_ADDRESS, &a));
			CHECK_INT(sl_stun_get_xor_addr(&m, &a, &got), 0);
			CHECK(sl_addr_eq(&got, &peer));
			CHECK(sl_stun_find(&m, SL_TURN_DATA_ATTR, &a));
			CHECK_INT(a.len, len);
			CHECK(a.data == p + head);
		}
}

/* ---- ICMP errors */

static size_t peer_error(const char *peer, uint8_t type, uint8_t code, uint32_t mtu, uint8_t *dst)
{
	const struct sl_addr to = taddr(peer);
	const struct sl_turn_icmp icmp = {type, code, mtu};

	return sl_turn_peer_error(alice.alloc, &to, &icmp, net.now_ms, dst);
}

TEST(an_icmp_error_is_told_with_its_type_code_and_mtu)
{
	static const struct {
		const char *peer;
		uint8_t type, code;
		uint32_t mtu;
		const char *value;
	} cases[] = {
		{"192.0.2.1:5", 3, 3, 0, "\0\0\x06\x03\0\0\0"},
		{"192.0.2.1:5", 3, 4, 1280, "\0\0\x06\x04\0\0\x05"},
		{"192.0.2.1:5", 11, 0, 9, "\0\0\x16\0\0\0\0"},
		{"[2001:db8::9]:5", 2, 0, 1280, "\0\0\x04\0\0\0\x05"},
		{"[2001:db8::9]:5", 1, 4, 0, "\0\0\x02\x04\0\0\0"},
	};
	struct sl_addr got;
	struct sl_stun_attr a;
	struct sl_stun_msg m;
	uint8_t p[64];

	setup();
	ask_family(&alice, SL_TURN_ADDITIONAL_ADDRESS_FAMILY, 2);
	CHECK_INT(tc_ask_allocate(&alice), 0);
	alice.fixed_txid = true; /* IPv6 addresses are masked with it */
	for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
		const struct sl_addr peer = taddr(cases[i].peer);
		size_t len;

		CHECK_INT(tc_ask_permission(&alice, &peer), 0);
		len = peer_error(cases[i].peer, cases[i].type, cases[i].code, cases[i].mtu, p);
		CHECK_INT(sl_stun_parse(&m, p, len), 0);
		CHECK_INT(m.method, SL_TURN_DATA);
		CHECK_INT(m.class_, SL_STUN_INDICATION);
		CHECK(sl_stun_find(&m, SL_TURN_XOR_PEER_ADDRESS, &a));
		CHECK_INT(sl_stun_get_xor_addr(&m, &a, &got), 0);
		CHECK(sl_addr_eq(&got, &peer));
		CHECK(sl_stun_find(&m, SL_TURN_ICMP, &a));
		CHECK_INT(a.len, 8);
		CHECK_MEM(a.data, cases[i].value, 7);
		CHECK(!sl_stun_find(&m, SL_TURN_DATA_ATTR, &a));
	}
	CHECK_INT(COUNTER(icmp_errors), SL_ARRAY_LEN(cases));
	CHECK(tnet_stop(&net));
}

TEST(icmp_errors_of_strangers_and_of_other_kinds_are_not_told)
{
	const struct sl_addr peer = taddr("192.0.2.1:5");
	uint8_t p[64];

	setup();
	CHECK_INT(tc_ask_allocate(&alice), 0);
	CHECK_INT(tc_ask_permission(&alice, &peer), 0);
	CHECK_INT(peer_error("192.0.2.2:5", 3, 3, 0, p), 0);
	CHECK_INT(peer_error("192.0.2.1:5", 5, 1, 0, p), 0);
	CHECK_INT(peer_error("[2001:db8::9]:5", 1, 4, 0, p), 0);
	CHECK(peer_error("192.0.2.1:5", 3, 3, 0, p) > 0);
	tnet_pass(&net, 300 * 1000);
	CHECK_INT(peer_error("192.0.2.1:5", 3, 3, 0, p), 0);
	CHECK(tnet_stop(&net));
}

/* ---- cost */

TEST(an_allocation_with_permission_and_channel_fits_in_1536_bytes)
{
	size_t bytes = sizeof(struct sl_turn_alloc) + sizeof(struct turn_perm) +
		       sizeof(struct turn_channel) + sizeof(struct turn_party) +
		       64 /* a long name */ + 5 * 2 * sizeof(void *) /* buckets */;

	CHECK(bytes <= 1536);
	printf("# %zu bytes\n", bytes);
}

TEST_MAIN()
