/*
 * Mobility of the TURN engine (RFC 8016), in virtual time: tickets, and allocations that follow
 * their clients.
 */
#include "lib/test.h"
#include "proto/turn_impl.h"
#include "sim/turn_net.h"

static struct tnet net;
static struct tclient alice, moved, bob;
static struct sl_str ticket; /* the last that was told */
static char ticket_text[64];

static void setup(void)
{
	tnet_init(&net);
	tnet_start(&net);
	tclient_init(&alice, &net, "198.51.100.1:1000", "alice", "wonder");
	tclient_init(&moved, &net, "203.0.113.50:5", "alice", "wonder");
	tclient_init(&bob, &net, "198.51.100.2:2000", "bob", "builder");
}

#define COUNTER(name) sl_turn_counters(net.turn)->name

static bool learn_ticket(const struct tclient *c)
{
	struct sl_str told = sl_stun_find_str(&c->msg, SL_TURN_MOBILITY_TICKET);

	if (!told.p || told.len > sizeof ticket_text)
		return false;
	memcpy(ticket_text, told.p, told.len);
	ticket = (struct sl_str){ticket_text, told.len};
	return true;
}

static int allocate_mobile(struct tclient *c)
{
	sl_stun_put(&c->w, SL_TURN_MOBILITY_TICKET, NULL, 0);
	return tc_ask_allocate(c);
}

static int refresh_with(struct tclient *c, struct sl_str with, uint32_t lifetime_s)
{
	sl_stun_put_str(&c->w, SL_TURN_MOBILITY_TICKET, with);
	return tc_ask_refresh(c, lifetime_s);
}

TEST(who_asks_for_a_ticket_gets_a_sealed_one)
{
	struct sl_str first;
	char text[64];

	setup();
	CHECK_INT(tc_ask_allocate(&bob), 0);
	CHECK(!learn_ticket(&bob));
	CHECK_INT(allocate_mobile(&alice), 0);
	CHECK(learn_ticket(&alice));
	CHECK_INT(ticket.len, 32);
	memcpy(text, ticket.p, 32);
	first = (struct sl_str){text, 32};
	CHECK_INT(tc_input(&alice), 0); /* a retransmission */
	CHECK(learn_ticket(&alice));
	CHECK(sl_str_eq(ticket, first));
	CHECK(tnet_stop(&net));
}

TEST(no_byte_of_a_ticket_is_zero)
{
	struct tclient more;

	setup();
	for (uint16_t i = 0; i < 200; i++) {
		tclient_init(&more, &net, "198.51.100.9:1", "alice", "wonder");
		more.at.remote.port = i;
		CHECK_INT(allocate_mobile(&more), 0);
		CHECK(learn_ticket(&more));
		CHECK(!memchr(ticket.p, 0, ticket.len));
	}
	CHECK(tnet_stop(&net));
}

TEST(a_ticket_moves_the_allocation_to_where_the_refresh_came_from)
{
	struct sl_turn_alloc *a;
	uint16_t slot;

	setup();
	CHECK_INT(allocate_mobile(&alice), 0);
	a = alice.alloc;
	CHECK(learn_ticket(&alice));
	CHECK_INT(refresh_with(&moved, ticket, 600), 0);
	CHECK_INT(net.n_moved, 1);
	CHECK_INT(COUNTER(moves), 1);
	CHECK_INT(sl_turn_allocations(net.turn), 1);
	CHECK(sl_addr_eq(&sl_turn_alloc_client(a)->remote, &moved.at.remote));
	CHECK(turn_alloc_find(net.turn, &moved.at) == a);
	CHECK(!turn_alloc_find(net.turn, &alice.at));
	CHECK_INT(sl_stun_parse(&moved.msg, moved.wire, moved.wire_len), 0);
	CHECK(sl_turn_ticket_slot(net.turn, &moved.msg, &slot));
	CHECK_INT(slot, 7);
	CHECK(sl_turn_ticket_is_old(a, &moved.msg));
	CHECK_INT(tc_ask_refresh(&moved, 600), 0);
	alice.alloc = NULL;
	CHECK_INT(tc_ask_refresh(&alice, 600), 437);
	CHECK(tnet_stop(&net));
}

TEST(the_old_ticket_holds_until_the_client_has_settled)
{
	char text[64];
	struct sl_str old;
	struct tclient third;

	setup();
	CHECK_INT(allocate_mobile(&alice), 0);
	CHECK(learn_ticket(&alice));
	memcpy(text, ticket.p, ticket.len);
	old = (struct sl_str){text, ticket.len};
	CHECK_INT(refresh_with(&moved, old, 600), 0);
	CHECK(learn_ticket(&moved));
	CHECK(!sl_str_eq(ticket, old));
	CHECK_INT(refresh_with(&moved, old, 600), 0); /* its answer was lost */
	CHECK_INT(net.n_moved, 1);
	CHECK(sl_str_eq(ticket, sl_stun_find_str(&moved.msg, SL_TURN_MOBILITY_TICKET)));
	sl_turn_settled(alice.alloc);
	CHECK_INT(refresh_with(&moved, old, 600), 0);
	CHECK(sl_str_eq(ticket, sl_stun_find_str(&moved.msg, SL_TURN_MOBILITY_TICKET)));
	tclient_init(&third, &net, "203.0.113.51:5", "alice", "wonder");
	CHECK_INT(refresh_with(&third, old, 600), 437);
	CHECK_INT(refresh_with(&third, ticket, 600), 0);
	CHECK(tnet_stop(&net));
}

TEST(a_ticket_is_its_users_own)
{
	char text[64];

	setup();
	CHECK_INT(allocate_mobile(&alice), 0);
	CHECK(learn_ticket(&alice));
	CHECK_INT(refresh_with(&bob, ticket, 600), 441);
	for (size_t i = 0; i < ticket.len; i++) {
		memcpy(text, ticket.p, ticket.len);
		text[i] ^= 1;
		CHECK_INT(refresh_with(&moved, (struct sl_str){text, ticket.len}, 600), 400);
	}
	CHECK_INT(refresh_with(&moved, (struct sl_str){ticket.p, ticket.len - 1}, 600), 400);
	CHECK_INT(refresh_with(&alice, SL_STR(""), 600), 400);
	CHECK_INT(net.n_moved, 0);
	CHECK(tnet_stop(&net));
}

TEST(a_ticket_of_what_has_ended_moves_nothing)
{
	setup();
	CHECK_INT(allocate_mobile(&alice), 0);
	CHECK(learn_ticket(&alice));
	CHECK_INT(tc_ask_allocate(&bob), 0);
	CHECK_INT(tc_ask_refresh(&alice, 0), 0);
	CHECK_INT(refresh_with(&moved, ticket, 600), 437);
	CHECK(tnet_stop(&net));
}

TEST(a_ticket_holds_in_its_realm)
{
	struct sl_turn_realm realms[2];

	setup();
	realms[0] = realms[1] = net.realm;
	sl_turn_free(net.turn);
	net.conf.realms = realms;
	net.conf.n_realms = 2;
	tnet_start(&net);
	CHECK_INT(allocate_mobile(&alice), 0);
	CHECK(learn_ticket(&alice));
	moved.at.realm = 1;
	CHECK_INT(refresh_with(&moved, ticket, 600), 437);
	CHECK(tnet_stop(&net));
}

TEST(a_ticket_may_be_used_to_end)
{
	setup();
	CHECK_INT(allocate_mobile(&alice), 0);
	CHECK(learn_ticket(&alice));
	CHECK_INT(refresh_with(&moved, ticket, 0), 0);
	CHECK_INT(sl_turn_allocations(net.turn), 0);
	CHECK(tnet_stop(&net));
}

TEST(where_mobility_is_off_it_is_405)
{
	setup();
	CHECK_INT(allocate_mobile(&alice), 0);
	CHECK(learn_ticket(&alice));
	net.conf.mobility = false;
	CHECK_INT(refresh_with(&moved, ticket, 600), 405);
	CHECK_INT(allocate_mobile(&bob), 405);
	CHECK_INT(COUNTER(mobility_refusals), 2);
	CHECK_INT(tc_ask_allocate(&bob), 0);
	net.conf.mobility = true;
	sl_stun_put(&moved.w, SL_TURN_MOBILITY_TICKET, "1234", 4);
	CHECK_INT(tc_ask_allocate(&moved), 400);
	CHECK(tnet_stop(&net));
}

TEST(a_move_that_the_world_refuses_leaves_it_where_it_was)
{
	setup();
	CHECK_INT(allocate_mobile(&alice), 0);
	CHECK(learn_ticket(&alice));
	net.move_error = -SL_EEXIST;
	CHECK_INT(refresh_with(&moved, ticket, 600), 508);
	CHECK(turn_alloc_find(net.turn, &alice.at) == alice.alloc);
	CHECK(!turn_alloc_find(net.turn, &moved.at));
	net.move_error = 0;
	CHECK_INT(refresh_with(&moved, ticket, 600), 0);
	CHECK(tnet_stop(&net));
}

TEST(no_allocation_moves_behind_a_relay_of_this_node)
{
	const struct sl_addr own = taddr("203.0.113.50");

	tnet_init(&net);
	net.conf.own = &own;
	net.conf.n_own = 1;
	net.conf.own_ports_lo = 40000;
	net.conf.own_ports_hi = 50000;
	tnet_start(&net);
	tclient_init(&alice, &net, "198.51.100.1:1000", "alice", "wonder");
	tclient_init(&moved, &net, "203.0.113.50:40000", "alice", "wonder");
	CHECK_INT(allocate_mobile(&alice), 0);
	CHECK(learn_ticket(&alice));
	CHECK_INT(refresh_with(&moved, ticket, 600), 403);
	CHECK(turn_alloc_find(net.turn, &alice.at) == alice.alloc);
	moved.at.remote.port = 39999; /* a client on this host */
	moved.nonce[0] = '\0';
	CHECK_INT(refresh_with(&moved, ticket, 600), 0);
	CHECK(tnet_stop(&net));
}

TEST(a_client_that_is_lost_is_waited_for)
{
	setup();
	CHECK_INT(allocate_mobile(&alice), 0);
	CHECK(learn_ticket(&alice));
	CHECK_INT(tc_ask_allocate(&bob), 0);
	sl_turn_client_lost(bob.alloc, net.now_ms, 60000);
	CHECK_INT(net.n_released, 1);
	sl_turn_client_lost(alice.alloc, net.now_ms, 60000);
	CHECK_INT(net.n_released, 1);
	CHECK(!turn_alloc_find(net.turn, &alice.at));
	tnet_pass(&net, 59000);
	net.move_error = -SL_EEXIST;
	CHECK_INT(refresh_with(&moved, ticket, 600), 508);
	CHECK(!turn_alloc_find(net.turn, &moved.at));
	net.move_error = 0;
	CHECK_INT(refresh_with(&moved, ticket, 600), 0);
	tnet_pass(&net, 599999);
	CHECK(turn_alloc_find(net.turn, &moved.at) == alice.alloc);
	sl_turn_client_lost(alice.alloc, net.now_ms, 60000);
	tnet_pass(&net, 1);
	CHECK_INT(net.n_released, 2);
	CHECK(tnet_stop(&net));
}

TEST(a_tcp_relay_stays_with_clients_over_streams)
{
	setup();
	sl_stun_put(&alice.w, SL_TURN_MOBILITY_TICKET, NULL, 0);
	CHECK_INT(tc_ask_allocate_tcp(&alice), 0);
	CHECK(learn_ticket(&alice));
	CHECK_INT(refresh_with(&moved, ticket, 600), 400);
	moved.at.transport = 6;
	CHECK_INT(refresh_with(&moved, ticket, 600), 0);
	CHECK(tnet_stop(&net));
}

TEST_MAIN()
