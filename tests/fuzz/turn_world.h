/*
 * tests/fuzz/turn_world.h: the world of fuzz_turn: a server whose rules the input chooses, its
 * clients, and what has to hold whatever they say.
 */
#ifndef TESTS_FUZZ_TURN_WORLD_H
#define TESTS_FUZZ_TURN_WORLD_H

#include "fuzz/turn_attrs.h"
#include "proto/turn_impl.h"
#include "sim/turn_net.h"

/* Bits of the input's first two bytes. 0: authentication with both algorithms, no rates, everything
 * offered. */
enum rule {
	RULE_OPEN = 1 << 0,	    /* nobody is asked who he is */
	RULE_OLD = 1 << 1,	    /* no algorithms are offered, as RFC 5389 has it */
	RULE_SHA256 = 1 << 2,	    /* MD5 is not good enough */
	RULE_SOURCES = 1 << 3,	    /* sources are limited */
	RULE_NO_ALTERNATE = 1 << 4, /* there is no other server */
	RULE_CROWDED = 1 << 5,	    /* realm and server have little room */
	RULE_PLAIN = 1 << 6,	    /* neither TCP relays, nor mobility, nor tokens */
	RULE_V4 = 1 << 7,
	RULE_RATES = 1 << 8, /* and four bits for the scopes above an allocation */
	RULE_OWN = 1 << 13,  /* no peers on this node, not even relays */
	RULE_ALLOW = 1 << 14,
	RULE_NAMELESS = 1 << 15, /* the alternate has a domain */
};

enum who { ALICE, BOB, ALICE_OF_IPV6, CAROL, MALLORY, ALICE_ELSEWHERE, CLIENTS };

static struct tnet net;
static struct tclient clients[CLIENTS];
static struct told told;

static const struct sl_turn_token_key token_key = {SL_STR_INIT("north"),
						   SL_STR_INIT("0123456789012345")};
static struct sl_turn_realm realms[2];

static inline void realm_rules(struct sl_turn_realm *r, unsigned rules)
{
	static const struct sl_cidr deny = {.base = {.family = 4, .ip = {10}}, .bits = 8};
	static const struct sl_cidr allow[] = {
		{.base = {.family = 4, .ip = {10, 0, 2}}, .bits = 32},
		{.base = {.family = 4, .ip = {169, 254, 169, 254}}, .bits = 32}};

	r->auth = !(rules & RULE_OPEN);
	r->deny_peers = &deny;
	r->n_deny = 1;
	r->allow_peers = allow;
	r->n_allow = rules & RULE_ALLOW ? 2 : 0;
	r->n_algorithms = rules & RULE_OLD ? 0 : rules & RULE_SHA256 ? 1 : 2;
	r->algorithms[0] = SL_STUN_SHA256;
	r->algorithms[1] = SL_STUN_MD5;
	r->userhash = !(rules & RULE_OLD);
	r->token_keys = &token_key;
	r->n_token_keys = !(rules & RULE_PLAIN);
	r->token_server = SL_STR("server");
	r->limits[SL_TURN_PER_USER].allocations = 2;
	r->limits[SL_TURN_PER_ALLOCATION].permissions = 6;
	r->limits[SL_TURN_PER_ALLOCATION].channels = 6;
	r->limits[SL_TURN_PER_SOURCE].allocations = rules & RULE_SOURCES ? 1 : 0;
	r->limits[SL_TURN_PER_REALM].allocations = rules & RULE_CROWDED ? 2 : 0;
	for (int i = 0; i < SL_TURN_IN_TOTAL; i++)
		if (rules & RULE_RATES && (i == 0 || rules & RULE_RATES << i))
			r->limits[i].bps = 20000;
}

static inline void world_rules(unsigned rules)
{
	static const struct sl_addr others[] = {{.family = 4, .ip = {192, 0, 2, 8}, .port = 3478},
						{.family = 6, .ip = {0x20, 1}, .port = 3478}};
	static const struct sl_addr own = {.family = 4, .ip = {192, 0, 2, 7}};
	struct sl_turn_conf *c = &net.conf;

	for (int i = 0; i < 2; i++) {
		realms[i] = net.realm;
		realm_rules(&realms[i], rules);
	}
	realms[1].name = SL_STR("elsewhere");
	c->realms = realms;
	c->n_realms = 2;
	c->total = (struct sl_turn_limit){
		.allocations = rules & RULE_CROWDED ? 3 : 0,
		.bps = rules & RULE_RATES && rules & RULE_RATES << 4 ? 30000 : 0};
	c->own = &own;
	c->n_own = 1;
	c->own_ports_lo = 100;
	c->own_ports_hi = rules & RULE_OWN ? 0 : 200;
	c->alternates = others;
	c->n_alternates = rules & RULE_NO_ALTERNATE ? 0 : 2;
	c->alternate_above = 2;
	c->alternate_domain = rules & RULE_NAMELESS ? SL_STR("turn.example.net") : SL_STR_NULL;
	c->tcp = c->mobility = !(rules & RULE_PLAIN);
	c->relay_v6 = !(rules & RULE_V4);
	c->max_connections = 4;
}

static inline void world_start(unsigned rules)
{
	static const char *const remotes[CLIENTS] = {"198.51.100.1:1",	"198.51.100.2:2",
						     "[2001:db8::3]:3", "198.51.100.2:4",
						     "198.51.100.5:5",	"198.51.100.6:6"};

	told = (struct told){0};
	tnet_init(&net);
	world_rules(rules);
	tnet_start(&net);
	for (int i = 0; i < CLIENTS; i++) {
		tclient_init(&clients[i], &net, remotes[i], i == BOB ? "bob" : "alice",
			     i == BOB	    ? "builder"
			     : i == MALLORY ? "guess"
					    : "wonder");
		clients[i].at.realm = i == ALICE_ELSEWHERE;
		turn_nonce(net.turn, &clients[i].at, TNET_UNIX_S, clients[i].nonce);
	}
	clients[CAROL].at.transport = 6;
	tc_use_secret(&clients[CAROL], tnet_secrets[1], 900);
	clients[ALICE_OF_IPV6].sha256 = clients[ALICE_OF_IPV6].userhash = true;
	clients[ALICE_OF_IPV6].algorithm = SL_STUN_SHA256;
	clients[ALICE_OF_IPV6].offered_len =
		turn_algorithms(&realms[0], clients[ALICE_OF_IPV6].offered);
}

/* ---- what has to hold */

static inline struct sl_turn_conn *first_conn(void)
{
	struct sl_hnode *node = sl_htab_first(&net.turn->conns);

	return node ? SL_CONTAINER(node, struct sl_turn_conn, node) : NULL;
}

/* What clients may repeat to the server, in its words. */
static inline void remember(const struct sl_stun_msg *reply)
{
	const struct sl_str ticket = sl_stun_find_str(reply, SL_TURN_MOBILITY_TICKET),
			    token = sl_stun_find_str(reply, SL_TURN_RESERVATION_TOKEN);

	if (ticket.len > 0 && ticket.len <= sizeof told.ticket) {
		memcpy(told.ticket, ticket.p, ticket.len);
		told.ticket_len = ticket.len;
	}
	if (token.len == sizeof told.token) {
		memcpy(told.token, token.p, token.len);
		told.token_len = token.len;
	}
}

/* An answer is to this request, whole, and vouched for by the key of whoever is told anything but
 * an error. */
static inline void check_reply(const struct tclient *c)
{
	const struct sl_stun_msg *m = &c->msg;
	uint16_t none[1];

	if (c->out.reply_len == 0)
		return;
	sl_assert(c->out.reply_len <= c->out.reply_cap && c->out.reply_len % 4 == 0);
	sl_assert(m->class_ == SL_STUN_SUCCESS || m->class_ == SL_STUN_ERROR);
	sl_assert(memcmp(m->txid, c->wire + 8, 12) == 0);
	sl_assert(m->method == (sl_get16(c->wire) & 0xf));
	sl_assert(sl_stun_check_fingerprint(m) != -SL_EAUTH);
	sl_assert(sl_stun_unknown(m, (const uint16_t[]){0}, 0, none, 0) == 0);
	if (m->class_ == SL_STUN_SUCCESS && realms[c->at.realm].auth)
		sl_assert(sl_stun_is_signed(m));
	remember(m);
}

/* What is to be relayed lies within what came in, and goes where a permission is. */
static inline void check_relayed(const struct tclient *c)
{
	const struct sl_turn_out *out = &c->out;

	if (!out->to_peer_via)
		return;
	sl_assert(out->reply_len == 0 && out->peer.port != 0);
	sl_assert(out->data >= c->wire && out->data + out->data_len <= c->wire + c->wire_len);
	sl_assert(turn_perm_covers(turn_perm_find(out->to_peer_via, &out->peer), out->peer.port,
				   net.now_ms));
}

/* Counts that are kept in several places agree. */
static inline void check_tables(void)
{
	const struct sl_turn *t = net.turn;
	uint32_t homed = 0, perms = 0, channels = 0;

	for (const struct sl_hnode *n = sl_htab_first(&t->allocs); n;
	     n = sl_htab_next(&t->allocs, n), homed++) {
		const struct sl_turn_alloc *a = SL_CONTAINER(n, struct sl_turn_alloc, node);

		sl_assert(!a->homeless && turn_alloc_find(t, &a->client) == a);
		perms += a->own.n_perms;
		channels += a->own.n_channels;
	}
	sl_assert(homed == t->allocs.count && t->total.n_allocs >= homed);
	sl_assert(t->total.n_perms == t->perms.count && perms <= t->perms.count);
	sl_assert(t->total.n_channels == t->by_number.count && channels <= t->by_number.count);
	sl_assert(t->by_number.count == t->by_peer.count);
	sl_assert(net.n_reserved == t->reservations.count);
	sl_assert(realms[0].limits[SL_TURN_PER_REALM].allocations == 0 ||
		  t->realms[0].share.n_allocs <= 2);
}

static inline void world_end(void)
{
	const struct sl_turn *t = net.turn;

	tnet_pass(&net, 3600 * 1000 + 1);
	sl_assert(sl_turn_allocations(t) == 0);
	sl_assert(t->perms.count + t->by_number.count + t->by_peer.count == 0);
	sl_assert(t->conns.count + t->tickets.count == 0);
	sl_assert(t->parties.count == 0 && t->reservations.count == 0);
	sl_assert(tnet_stop(&net));
}

#endif
