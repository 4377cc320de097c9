/*
 * Fuzz target: the TURN engine with a live allocation table.
 *
 * The input is a list of records {what, client, length, bytes}: raw messages, attributes that are
 * sent signed with the client's right credentials (so that what lies behind authentication is
 * reached), ChannelData, peers' datagrams and connections, moves, access tokens, and time. Whatever
 * happens, all relay sockets must be closed and all tables empty at the end.
 */
#include "proto/turn_impl.h"
#include "sim/turn_net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CLIENTS = 3, MAX_ATTRS = 480 };

static struct tnet net;
static struct tclient clients[CLIENTS];

static const struct sl_turn_token_key token_key = {SL_STR_INIT("north"),
						   SL_STR_INIT("0123456789012345")};

static void world_start(void)
{
	static const char *const remotes[CLIENTS] = {"198.51.100.1:1", "198.51.100.2:2",
						     "[2001:db8::3]:3"};
	static const struct sl_cidr deny = {.base = {.family = 4, .ip = {10}}, .bits = 8};
	static const struct sl_addr other = {.family = 4, .ip = {192, 0, 2, 8}, .port = 3478};
	static const struct sl_addr own = {.family = 4, .ip = {192, 0, 2, 7}};

	tnet_init(&net);
	net.realm.limits[SL_TURN_PER_USER].allocations = 2;
	net.realm.limits[SL_TURN_PER_ALLOCATION].permissions = 6;
	net.realm.limits[SL_TURN_PER_ALLOCATION].channels = 6;
	net.realm.deny_peers = &deny;
	net.realm.n_deny = 1;
	net.conf.own = &own;
	net.conf.n_own = 1;
	net.conf.own_ports_lo = 100;
	net.conf.own_ports_hi = 200;
	net.conf.alternates = &other;
	net.conf.n_alternates = 1;
	net.conf.alternate_above = 2;
	net.realm.algorithms[0] = SL_STUN_SHA256;
	net.realm.algorithms[1] = SL_STUN_MD5;
	net.realm.n_algorithms = 2;
	net.realm.userhash = true;
	net.conf.max_connections = 4;
	net.realm.token_keys = &token_key;
	net.realm.n_token_keys = 1;
	net.realm.token_server = SL_STR("server");
	tnet_start(&net);
	for (int i = 0; i < CLIENTS; i++) {
		tclient_init(&clients[i], &net, remotes[i], i == 1 ? "bob" : "alice",
			     i == 1 ? "builder" : "wonder");
		turn_nonce(net.turn, &clients[i].at, TNET_UNIX_S, clients[i].nonce);
	}
	clients[2].sha256 = clients[2].userhash = true;
	clients[2].algorithm = SL_STUN_SHA256;
	clients[2].offered_len = turn_algorithms(&net.realm, clients[2].offered);
}

static void send_raw(struct tclient *c, const uint8_t *p, size_t len)
{
	memcpy(c->wire, p, len);
	c->wire_len = len;
	(void)tc_input(c);
}

static void send_signed(struct tclient *c, uint8_t method, const uint8_t *attrs, size_t len)
{
	size_t whole = (len < MAX_ATTRS ? len : MAX_ATTRS) & ~(size_t)3;
	struct sl_stun_writer *w = tc_attrs(c);

	memcpy(w->p + w->len, attrs, whole);
	w->len += whole;
	turn_nonce(net.turn, &c->at, TNET_UNIX_S + net.now_ms / 1000, c->nonce);
	(void)tc_send(c, method);
}

/* The well-formed requests, so that the state space is reached soon. */
static void send_proper(struct tclient *c, const uint8_t *p, size_t len)
{
	uint8_t v[4] = {0};
	struct sl_addr peer;

	memcpy(v, p, len < sizeof v ? len : sizeof v);
	peer = (struct sl_addr){
		.family = v[1] & 64 ? 6 : 4, .port = v[2], .ip = {192, 0, 2, v[3] & 15}};
	tc_attrs(c);
	turn_nonce(net.turn, &c->at, TNET_UNIX_S + net.now_ms / 1000, c->nonce);
	switch (v[0] % 5) {
	case 0:
		if (v[1] & 1)
			sl_stun_put(&c->w, SL_TURN_EVEN_PORT, v + 2, 1);
		if (v[1] & 2)
			sl_stun_put_u32(&c->w, SL_TURN_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
		(void)tc_ask_allocate(c);
		c->alloc = NULL;
		break;
	case 1:
		(void)tc_ask_refresh(c, (uint32_t)v[1] * 16);
		break;
	case 2:
		(void)tc_ask_permission(c, &peer);
		break;
	case 3:
		(void)tc_ask_channel(c, (uint16_t)(0x4000 + v[0] / 5), &peer);
		break;
	default:
		peer.ip[3] = v[3];
		c->alloc = turn_alloc_find(net.turn, &c->at);
		if (c->alloc) {
			const struct sl_turn_icmp icmp = {v[0], v[1], v[2]};
			uint8_t told[64];

			(void)tc_peer_data(c, &peer);
			(void)sl_turn_peer_error(c->alloc, &peer, &icmp, net.now_ms, told);
		}
		c->alloc = NULL;
	}
}

/* Connections of a TCP relay: what becomes of the first of them. */
static void fate(struct sl_turn_alloc *a, uint8_t what, const struct sl_addr *peer)
{
	struct sl_turn_conn *c = a->conns;
	uint8_t told[1280];
	size_t len;

	if (what == 0 && a->tcp && sl_turn_accepted(a, peer, net.now_ms, &c, told, &len) == 0)
		sl_assert(len > 0 && c->state == CONN_WAITING);
	else if (c && c->state == CONN_CONNECTING)
		(void)sl_turn_connected(c, what & 1 ? -SL_ECLOSED : 0, net.now_ms, told,
					sizeof told);
	else if (c && c->state == CONN_BOUND && sl_turn_conn_to_peer(c, what, net.now_ms))
		sl_turn_conn_ended(c);
	else if (what == 1)
		sl_turn_client_lost(a, net.now_ms, 60000);
	else if (what == 2)
		sl_turn_settled(a);
}

/* The last ticket that anybody was told. */
static uint8_t ticket[64];
static size_t ticket_len;

static void ask_mobile(struct tclient *c, bool tcp)
{
	struct sl_str told;

	c->out.reply_len = 0;
	if (tcp)
		(void)tc_ask_allocate_tcp(c);
	else
		(void)tc_ask_allocate(c);
	c->alloc = NULL;
	if (c->out.reply_len == 0)
		return;
	told = sl_stun_find_str(&c->msg, SL_TURN_MOBILITY_TICKET);
	ticket_len = told.len < sizeof ticket ? told.len : sizeof ticket;
	if (ticket_len > 0)
		memcpy(ticket, told.p, ticket_len);
}

/* TCP relays and mobility. */
static void send_newer(struct tclient *c, const uint8_t *p, size_t len)
{
	struct sl_turn_alloc *a;
	uint8_t v[4] = {0};
	struct sl_addr peer;

	memcpy(v, p, len < sizeof v ? len : sizeof v);
	peer = (struct sl_addr){.family = 4, .port = v[2], .ip = {192, 0, 2, v[3] & 15}};
	tc_attrs(c);
	turn_nonce(net.turn, &c->at, TNET_UNIX_S + net.now_ms / 1000, c->nonce);
	a = turn_alloc_find(net.turn, &c->at);
	switch (v[0] % 6) {
	case 0: /* another place */
		c->at.transport = v[1] & 1 ? 6 : 17;
		c->at.remote.port = v[2];
		break;
	case 1:
		if (v[1] & 2)
			sl_stun_put(&c->w, SL_TURN_MOBILITY_TICKET, NULL, 0);
		ask_mobile(c, v[1] & 1);
		break;
	case 2:
		(void)tc_ask_connect(c, &peer);
		break;
	case 3:
		if (net.turn->conns.count > 0)
			(void)tc_ask_bind(c, SL_CONTAINER(sl_htab_first(&net.turn->conns),
							  struct sl_turn_conn, node)
						     ->id);
		break;
	case 4:
		net.move_error = v[2] & 1 ? -SL_EEXIST : 0;
		sl_stun_put(&c->w, SL_TURN_MOBILITY_TICKET, ticket, ticket_len);
		(void)tc_ask_refresh(c, v[1]);
		break;
	default:
		if (a)
			fate(a, v[1] & 3, &peer);
	}
	tc_attrs(c);
}

static void channel_data(struct tclient *c, const uint8_t *p, size_t len)
{
	struct sl_turn_alloc *a = turn_alloc_find(net.turn, &c->at);
	const struct sl_addr *to;
	size_t payload = 0;

	if (!a)
		return;
	to = sl_turn_channel_out(a, p, len, net.now_ms, &payload);
	if (to)
		sl_assert(payload + 4 <= len && to->port != 0);
}

/* An access token whose seal is right, whatever it holds; signed by the key that it begins with. */
static void send_token(struct tclient *c, const uint8_t *p, size_t len)
{
	const struct sl_gcm gcm = {token_key.key, SL_STR("abcdefghijkl"), SL_STR("server")};
	uint8_t token[14 + 128 + SL_GCM_TAG] = {0, 12};
	struct sl_stun_writer w;

	len = len < 128 ? len : 128;
	memcpy(token + 2, gcm.nonce.p, gcm.nonce.len);
	sl_assert(sl_gcm_seal(&gcm, (struct sl_str){(const char *)p, len}, token + 14) == 0);
	turn_nonce(net.turn, &c->at, TNET_UNIX_S + net.now_ms / 1000, c->nonce);
	sl_put32(c->txid, sl_get32(c->txid) + 1);
	sl_stun_begin(&w, c->wire, sizeof c->wire, SL_STUN_REQUEST, SL_TURN_ALLOCATE, c->txid);
	sl_stun_put_u32(&w, SL_TURN_REQUESTED_TRANSPORT, 17u << 24);
	sl_stun_put_str(&w, SL_STUN_USERNAME, token_key.kid);
	sl_stun_put_str(&w, SL_STUN_REALM, net.realm.name);
	sl_stun_put_str(&w, SL_STUN_NONCE, sl_str_c(c->nonce));
	sl_stun_put(&w, SL_STUN_ACCESS_TOKEN, token, 14 + len + SL_GCM_TAG);
	sl_stun_put_integrity(&w,
			      len > 34 ? (struct sl_str){(const char *)p + 2, 32} : SL_STR("none"));
	sl_assert(sl_stun_finish(&w, &c->wire_len) == 0);
	(void)tc_input(c);
}

static void record(uint8_t what, struct tclient *c, const uint8_t *p, size_t len)
{
	if (what >= 250) {
		send_token(c, p, len);
		return;
	}
	switch (what % 6) {
	case 0:
		send_raw(c, p, len);
		break;
	case 1:
		if (len > 0)
			send_signed(c, p[0] & 15, p + 1, len - 1);
		break;
	case 2:
		send_proper(c, p, len);
		break;
	case 3:
		channel_data(c, p, len);
		break;
	case 5:
		send_newer(c, p, len);
		break;
	default:
		tnet_pass(&net, len > 0 ? (uint64_t)p[0] * 5000 : 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t fake = 1;

	sl_random_fake(&fake);
	ticket_len = 0;
	world_start();
	while (size >= 4) {
		size_t len = sl_get16(data + 2) % 1500;

		if (len > size - 4)
			len = size - 4;
		record(data[0], &clients[data[1] % CLIENTS], data + 4, len);
		data += 4 + len;
		size -= 4 + len;
	}
	tnet_pass(&net, 3600 * 1000 + 1);
	sl_assert(sl_turn_allocations(net.turn) == 0);
	sl_assert(net.turn->perms.count + net.turn->by_number.count + net.turn->by_peer.count == 0);
	sl_assert(net.turn->conns.count + net.turn->tickets.count == 0);
	sl_assert(net.turn->parties.count == 0 && net.turn->reservations.count == 0);
	sl_assert(tnet_stop(&net));
	return 0;
}
