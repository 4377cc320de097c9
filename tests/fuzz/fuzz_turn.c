/*
 * Fuzz target: the TURN engine with a live allocation table.
 *
 * The input is two bytes of rules for the server, and a list of records {what, client, length,
 * bytes}: raw messages, requests of any attributes, signed with the client's right credentials (so
 * that what lies behind authentication is reached), ChannelData, peers' datagrams and connections,
 * moves, access tokens, calls of the engine's owner, failures of its world, and time. Answers and
 * tables are checked after each; at the end all relay sockets must be closed and all tables empty.
 */
#include "fuzz/turn_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fresh_nonce(struct tclient *c)
{
	turn_nonce(net.turn, &c->at, TNET_UNIX_S + net.now_ms / 1000, c->nonce);
}

static void send_raw(struct tclient *c, struct bytes *in)
{
	c->wire_len = in->len;
	memcpy(c->wire, in->p, in->len);
	if (tc_input(c) >= 0)
		check_reply(c);
	check_relayed(c);
}

/* ---- requests of any attributes */

enum { KEEP_TXID = 16, OLD_NONCE = 32, UNSIGNED = 64, FLOW = 128 };

/* Indications have no tc_send: nobody signs them. */
static void send_indication(struct tclient *c, uint16_t method)
{
	struct sl_stun_writer w;

	sl_stun_begin(&w, c->wire, sizeof c->wire, SL_STUN_INDICATION, method, c->txid);
	memcpy(w.p + w.len, c->attrs + SL_STUN_HEADER, c->w.len - SL_STUN_HEADER);
	w.len += c->w.len - SL_STUN_HEADER;
	sl_assert(sl_stun_finish(&w, &c->wire_len) == 0);
	(void)tc_input(c);
}

static void send_composed(struct tclient *c, struct bytes *in)
{
	const uint8_t how = take(in), more = take(in);
	struct sl_turn_conn *conn = first_conn();
	char nonce[sizeof c->nonce];

	told.connection = conn ? conn->id : 0;
	tc_attrs(c);
	if (!(how & OLD_NONCE))
		fresh_nonce(c);
	memcpy(nonce, c->nonce, sizeof nonce);
	if (how & UNSIGNED)
		c->nonce[0] = 0;
	c->fixed_txid = how & KEEP_TXID;
	c->fingerprint = more & 1;
	c->alloc = how & FLOW ? turn_alloc_find(net.turn, &c->at) : NULL;
	while (in->len > 0 && !c->w.failed)
		put_any(&c->w, in, &told);
	if ((how & 15) == SL_TURN_SEND || (how & 15) == SL_TURN_DATA)
		send_indication(c, how & 15);
	else if (tc_send(c, how & 15) >= 0)
		check_reply(c);
	check_relayed(c);
	memcpy(c->nonce, nonce, sizeof nonce);
	c->fixed_txid = c->fingerprint = false;
	c->alloc = NULL;
}

/* Well-formed requests, so that the state space is reached soon. */
static void send_proper(struct tclient *c, struct bytes *in)
{
	const uint8_t what = take(in), how = take(in);
	const struct sl_addr peer = take_addr(in);

	tc_attrs(c);
	fresh_nonce(c);
	switch (what % 4) {
	case 0:
		if (how & 1)
			sl_stun_put(&c->w, SL_TURN_EVEN_PORT, &how, 1);
		if (how & 2)
			sl_stun_put_u32(&c->w, SL_TURN_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
		if (how & 4)
			sl_stun_put(&c->w, SL_TURN_MOBILITY_TICKET, NULL, 0);
		(void)(how & 8 ? tc_ask_allocate_tcp(c) : tc_ask_allocate(c));
		break;
	case 1:
		(void)tc_ask_refresh(c, (uint32_t)how * 16);
		break;
	case 2:
		(void)tc_ask_permission(c, &peer);
		break;
	default:
		(void)tc_ask_channel(c, (uint16_t)(0x4000 + how % 16), &peer);
	}
	check_reply(c);
	c->alloc = NULL;
	tc_attrs(c);
}

/* ---- TCP relays and mobility */

/* Connections of a TCP relay: what becomes of the first of them. */
static void fate(struct sl_turn_alloc *a, uint8_t what, const struct sl_addr *peer)
{
	struct sl_turn_conn *c = a->conns;
	uint8_t out[1280];
	size_t len;

	if (what == 0 && a->tcp && sl_turn_accepted(a, peer, net.now_ms, &c, out, &len) == 0) {
		sl_assert(len > 0 && c->state == CONN_WAITING && sl_turn_conn_alloc(c) == a);
		sl_assert(sl_addr_eq(sl_turn_conn_peer(c), peer));
	} else if (c && c->state == CONN_CONNECTING)
		sl_assert(sl_turn_connected(c, what & 1 ? -SL_ECLOSED : 0, net.now_ms, out,
					    sizeof out) > 0);
	else if (c && c->state == CONN_BOUND &&
		 !sl_turn_conn_to_client(c, what * 4096u, net.now_ms))
		sl_assert(a->shaped);
	else if (c && c->state == CONN_BOUND && sl_turn_conn_to_peer(c, what, net.now_ms))
		sl_turn_conn_ended(c);
	else if (what == 1)
		sl_turn_client_lost(a, net.now_ms, 60000);
	else
		sl_turn_settled(a);
}

static void send_newer(struct tclient *c, struct bytes *in)
{
	const uint8_t what = take(in), how = take(in);
	struct sl_turn_alloc *a = turn_alloc_find(net.turn, &c->at);
	const struct sl_addr peer = take_addr(in);
	struct sl_turn_conn *conn = first_conn();

	tc_attrs(c);
	fresh_nonce(c);
	switch (what % 5) {
	case 0: /* another place */
		c->at.transport = how & 1 ? 6 : 17;
		c->at.remote.port = peer.port;
		break;
	case 1:
		(void)tc_ask_connect(c, &peer);
		break;
	case 2:
		if (conn && tc_ask_bind(c, conn->id) == 0)
			sl_assert(c->out.bound && sl_turn_conn_id(c->out.bound) == conn->id);
		break;
	case 3:
		sl_stun_put(&c->w, SL_TURN_MOBILITY_TICKET, told.ticket, told.ticket_len);
		if (tc_ask_refresh(c, how) == 0)
			check_reply(c);
		break;
	default:
		if (a)
			fate(a, how & 3, &peer);
	}
	tc_attrs(c);
}

/* An access token whose seal is right, whatever it holds; signed by the key that it begins with. */
static void send_token(struct tclient *c, struct bytes *in)
{
	const struct sl_gcm gcm = {token_key.key, SL_STR("abcdefghijkl"), SL_STR("server")};
	const uint8_t how = take(in);
	const struct sl_str content = take_some(in, 128);
	const struct sl_str key = {content.p + 2,
				   how & 2 ? 16 : 32}; /* coturn's clients halve it */
	uint8_t token[14 + 128 + SL_GCM_TAG] = {0, 12};
	struct sl_stun_writer w;

	memcpy(token + 2, gcm.nonce.p, gcm.nonce.len);
	sl_assert(sl_gcm_seal(&gcm, content, token + 14) == 0);
	fresh_nonce(c);
	sl_put32(c->txid, sl_get32(c->txid) + 1);
	sl_stun_begin(&w, c->wire, sizeof c->wire, SL_STUN_REQUEST,
		      how & 1 ? SL_TURN_REFRESH : SL_TURN_ALLOCATE, c->txid);
	sl_stun_put_u32(&w, SL_TURN_REQUESTED_TRANSPORT, 17u << 24);
	sl_stun_put_str(&w, SL_STUN_USERNAME, token_key.kid);
	sl_stun_put_str(&w, SL_STUN_REALM, realms[c->at.realm].name);
	sl_stun_put_str(&w, SL_STUN_NONCE, sl_str_c(c->nonce));
	if (!(how & 4))
		sl_stun_put(&w, SL_STUN_ACCESS_TOKEN, token, 14 + content.len + SL_GCM_TAG);
	sl_stun_put_integrity(&w, content.len > 34 ? key : SL_STR("none"));
	sl_assert(sl_stun_finish(&w, &c->wire_len) == 0);
	(void)tc_input(c);
}

/* ---- data */

static void channel_data(struct tclient *c, struct bytes *in)
{
	struct sl_turn_alloc *a = turn_alloc_find(net.turn, &c->at);
	const size_t len = in->len;
	const struct sl_addr *to;
	size_t payload = 0;

	if (!a)
		return;
	for (int i = 0; i <= SL_TURN_BUSY; i++) { /* so that the caller is told that it is busy */
		to = sl_turn_channel_out(a, in->p, len, net.now_ms, &payload);
		if (!to)
			return;
		sl_assert(payload + 4 <= len && to->port != 0);
	}
}

static void peer_data(struct tclient *c, struct bytes *in)
{
	struct sl_turn_alloc *a = turn_alloc_find(net.turn, &c->at);
	const uint8_t type = take(in), code = take(in);
	const struct sl_turn_icmp icmp = {type, code, take16(in)};
	const struct sl_addr peer = take_addr(in);
	uint8_t out[64 + 100] = {0}, txid[12] = {0};
	struct sl_stun_msg m;
	size_t len;
	int channel;

	if (!a)
		return;
	channel = sl_turn_peer_in(a, &peer, 100, net.now_ms);
	if (channel > 0)
		sl_assert(sl_addr_eq(sl_turn_channel_peer(a, (uint16_t)channel), &peer));
	if (channel == 0) {
		len = sl_turn_data_header(out, &peer, 100, txid);
		sl_assert(len <= 64 && sl_stun_parse(&m, out, len + 100) == 0);
		sl_assert(sl_stun_find_str(&m, SL_TURN_DATA_ATTR).len == 100);
	}
	len = sl_turn_peer_error(a, &peer, &icmp, net.now_ms, out);
	sl_assert(len == 0 || (len <= 64 && sl_stun_parse(&m, out, len) == 0));
}

/* ---- the engine's owner and its world */

static void reservation(struct tclient *c, const struct sl_stun_msg *m, uint8_t how)
{
	const struct sl_addr relayed = {
		.family = how & 2 ? 6 : 4, .ip = {192, 0, 2, 1}, .port = how};
	uint16_t slot = 0;
	const uint8_t *token = sl_turn_token(m, &slot);
	struct sl_addr known;

	(void)c;
	if (!token)
		return;
	if (sl_turn_token_relayed(net.turn, token, &known) == 0)
		sl_turn_token_cancel(net.turn, token);
	else if (sl_turn_token_adopt(net.turn, token, &relayed, net.now_ms) == 0)
		net.n_reserved++;
	memcpy(told.token, token, sizeof told.token);
	told.token_len = sizeof told.token;
}

/* What a worker asks of a message before it knows whose it is. */
static void look_up(struct tclient *c, uint8_t how)
{
	struct sl_turn_alloc *a = turn_alloc_find(net.turn, &c->at);
	struct sl_stun_msg m;
	uint16_t slot;

	if (sl_stun_parse(&m, c->wire, c->wire_len) < 0)
		return;
	reservation(c, &m, how);
	if (sl_turn_ticket_slot(net.turn, &m, &slot))
		sl_assert(slot == net.conf.slot);
	(void)sl_turn_connection_slot(&m, &slot);
	if (a)
		(void)sl_turn_ticket_is_old(a, &m);
}

static void ask_allocation(struct sl_turn_alloc *a, uint8_t how)
{
	const uint16_t number = (uint16_t)(0x4000 + how % 16);
	const struct sl_addr *peer = sl_turn_channel_peer(a, number);

	sl_assert(!peer == !sl_turn_channel_data(a, number));
	sl_assert(!peer == (sl_turn_channel_holds_ms(a, number) == 0));
	sl_turn_count(a, how & 1, 1, how);
	sl_turn_set_data(a, a);
	sl_assert(sl_turn_data(a) == a && sl_turn_alloc_client(a) == &a->client);
	sl_assert(sl_turn_alloc_is_tcp(a) == a->tcp && sl_turn_alloc_user(a).len < 512);
	sl_assert(sl_turn_alloc_channels(a) <= 6 && sl_turn_alloc_permissions(a) <= 12);
}

static void owner(struct tclient *c, struct bytes *in)
{
	struct sl_turn_alloc *a = turn_alloc_find(net.turn, &c->at);
	const uint8_t what = take(in), how = take(in);

	switch (what % 8) {
	case 0: /* seldom: it ends all that is interesting */
		if (how == 255)
			sl_turn_drain(net.turn);
		break;
	case 1:
		sl_turn_set_alternates(net.turn, how);
		break;
	case 2:
		if (a && how < 16)
			sl_turn_kill(a, "killed");
		break;
	case 3:
		if (a)
			ask_allocation(a, how);
		break;
	default:
		look_up(c, how);
	}
}

static void failures(struct tclient *c, struct bytes *in)
{
	static const int errors[] = {0, -SL_ELIMIT, -SL_EFULL, -SL_EEXIST};

	(void)c;
	net.open_error = errors[take(in) % 4];
	net.open_error_family = "\0\4\6\6"[take(in) % 4];
	net.grant_error = errors[take(in) % 4];
	net.connect_error = errors[take(in) % 4];
	net.move_error = errors[take(in) % 4];
}

static void pass(struct tclient *c, struct bytes *in)
{
	(void)c;
	tnet_pass(&net, 1 + (uint64_t)take(in) * 5000);
}

static void record(uint8_t what, struct tclient *c, struct bytes in)
{
	static void (*const kinds[])(struct tclient *, struct bytes *) = {
		send_raw,   send_composed, send_proper, channel_data, pass,
		send_newer, send_token,	   peer_data,	owner,	      failures,
	};

	kinds[what % SL_ARRAY_LEN(kinds)](c, &in);
	check_tables();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = {data, size};
	uint64_t fake = 1;
	uint8_t head[4];

	sl_random_fake(&fake);
	world_start(take16(&in));
	while (in.len > sizeof head) {
		for (size_t i = 0; i < sizeof head; i++)
			head[i] = take(&in);
		struct sl_str some = take_some(&in, sl_get16(head + 2) % 1500);
		record(head[0], &clients[head[1] % CLIENTS],
		       (struct bytes){(const uint8_t *)some.p, some.len});
	}
	world_end();
	return 0;
}
