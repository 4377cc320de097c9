/*
 * proto/turn_request.c: the four requests of RFC 8656 (sections 7, 8, 10, 12), each a short
 * story: check, do, answer.
 *
 * Every function named on_* gives 0 after it has answered success, or the error code to answer. The
 * order of the checks is the RFC's: authentication, unknown attributes, the allocation, then the
 * request's own.
 */
#include "proto/turn_impl.h"

#include <sluice/buf.h>

enum { PROTO_UDP = 17, FAMILY_IPV4 = 1, FAMILY_IPV6 = 2 };

/*
 * RFC 8656 section 12 ends the range at 0x4fff, RFC 5766 at 0x7fff, and clients of its time bind at
 * random in all of it. On a client's own 5-tuple nothing else begins with these bits, so they are
 * served.
 */
enum { MIN_CHANNEL = 0x4000, MAX_CHANNEL = 0x7fff };

/* ---- shared */

/* RFC 8656 section 7.2: the client's wish counts between our default and our maximum. */
static unsigned ask_lifetime(const struct turn_req *r, uint32_t *ret_seconds)
{
	const struct sl_turn_realm *conf = r->realm->conf;
	struct sl_stun_attr attr;
	uint32_t want = 0;

	if (sl_stun_find(r->msg, SL_TURN_LIFETIME, &attr) && sl_stun_get_u32(&attr, &want) < 0)
		return 400;
	if (want > conf->max_lifetime_s)
		want = conf->max_lifetime_s;
	want = want > conf->default_lifetime_s ? want : conf->default_lifetime_s;
	*ret_seconds = turn_token_bound(r, want);
	return 0;
}

/* A family attribute: *ret_family is 4, 6, or 0 when absent. */
static unsigned ask_family(const struct turn_req *r, uint16_t type, uint8_t *ret_family)
{
	struct sl_stun_attr attr;

	*ret_family = 0;
	if (!sl_stun_find(r->msg, type, &attr))
		return 0;
	if (attr.len != 4)
		return 400;
	if (attr.data[0] != FAMILY_IPV4 && attr.data[0] != FAMILY_IPV6)
		return 440;
	*ret_family = attr.data[0] == FAMILY_IPV4 ? 4 : 6;
	return 0;
}

/* ---- Allocate */

static bool has(const struct turn_req *r, uint16_t type)
{
	struct sl_stun_attr attr;

	return sl_stun_find(r->msg, type, &attr);
}

/* RFC 6062 section 5.1: clients over streams, and nothing that only datagrams have. */
static unsigned check_tcp(const struct turn_req *r)
{
	if (r->client->transport != TURN_PROTO_TCP || has(r, SL_TURN_DONT_FRAGMENT) ||
	    has(r, SL_TURN_EVEN_PORT) || has(r, SL_TURN_RESERVATION_TOKEN))
		return 400;
	return 0;
}

static unsigned ask_transport(const struct turn_req *r, struct turn_ask *ask)
{
	struct sl_stun_attr attr;

	if (!sl_stun_find(r->msg, SL_TURN_REQUESTED_TRANSPORT, &attr) || attr.len != 4)
		return 400;
	if (attr.data[0] == PROTO_UDP)
		return 0;
	ask->tcp = attr.data[0] == TURN_PROTO_TCP && r->t->conf->tcp;
	return ask->tcp ? check_tcp(r) : 442;
}

static unsigned ask_families(const struct turn_req *r, struct turn_ask *ask)
{
	uint8_t requested, additional;
	unsigned code;

	code = ask_family(r, SL_TURN_REQUESTED_ADDRESS_FAMILY, &requested);
	if (code == 0)
		code = ask_family(r, SL_TURN_ADDITIONAL_ADDRESS_FAMILY, &additional);
	if (code == 0 && !additional)
		code = ask_family(r, SL_TURN_ADDITIONAL_ADDRESS_FAMILY_DRAFT, &additional);
	if (code)
		return code;
	if (additional == 4 || (additional && requested))
		return 400;
	ask->v4 = requested != 6;
	ask->v6 = requested == 6 || additional == 6;
	return 0;
}

static unsigned ask_ports(const struct turn_req *r, struct turn_ask *ask)
{
	struct sl_stun_attr even, token, family;
	bool has_even = sl_stun_find(r->msg, SL_TURN_EVEN_PORT, &even);
	bool has_token = sl_stun_find(r->msg, SL_TURN_RESERVATION_TOKEN, &token);

	if (has_even && even.len != 1)
		return 400;
	ask->even = has_even;
	ask->reserve = has_even && (even.data[0] & 0x80);
	if (ask->reserve && ask->v4 && ask->v6)
		return 400;
	if (!has_token)
		return 0;
	if (has_even || token.len != TURN_TOKEN_BYTES || (ask->v4 && ask->v6) ||
	    sl_stun_find(r->msg, SL_TURN_REQUESTED_ADDRESS_FAMILY, &family))
		return 400;
	ask->reservation = turn_reservation_find(r->t, token.data);
	if (!ask->reservation)
		return 508;
	ask->v4 = ask->reservation->relayed.family == 4;
	ask->v6 = !ask->v4;
	return 0;
}

/* The family that could not be had (RFC 8656 section 18.12). */
static void put_missing_family(struct turn_req *r)
{
	const struct sl_turn_alloc *a = r->a;
	uint8_t value[4] = {0};

	value[0] = a->relayed[0].family ? FAMILY_IPV6 : FAMILY_IPV4;
	value[2] = (uint8_t)(a->additional_error / 100);
	value[3] = (uint8_t)(a->additional_error % 100);
	sl_stun_put(&r->w, SL_TURN_ADDRESS_ERROR_CODE, value, sizeof value);
}

static uint32_t seconds_left(const struct sl_turn_alloc *a, uint64_t now_ms)
{
	return a->expires_ms > now_ms ? (uint32_t)((a->expires_ms - now_ms) / 1000) : 0;
}

static void reply_allocated(struct turn_req *r)
{
	const struct sl_turn_alloc *a = r->a;

	turn_reply_begin(r, SL_STUN_SUCCESS);
	for (int i = 0; i < 2; i++)
		if (a->relayed[i].family)
			sl_stun_put_xor_addr(&r->w, SL_TURN_XOR_RELAYED_ADDRESS, &a->relayed[i]);
	sl_stun_put_u32(&r->w, SL_TURN_LIFETIME, seconds_left(a, r->now_ms));
	if (a->has_token)
		sl_stun_put(&r->w, SL_TURN_RESERVATION_TOKEN, a->token, sizeof a->token);
	sl_stun_put_xor_addr(&r->w, SL_STUN_XOR_MAPPED_ADDRESS, &r->client->remote);
	if (a->additional_error)
		put_missing_family(r);
	if (a->mobile)
		turn_put_ticket(r);
	turn_reply_end(r);
}

static bool is_retransmission(const struct turn_req *r)
{
	return memcmp(r->a->txid, r->msg->txid, sizeof r->a->txid) == 0 &&
	       r->a->username_hash == r->username_hash;
}

static unsigned on_allocate(struct turn_req *r)
{
	struct turn_ask ask = {0};
	unsigned code;

	if (r->a && !is_retransmission(r))
		return 437;
	if (!r->a) {
		code = ask_transport(r, &ask);
		if (code == 0)
			code = ask_families(r, &ask);
		if (code == 0)
			code = ask_ports(r, &ask);
		if (code == 0)
			code = ask_lifetime(r, &ask.lifetime_s);
		if (code == 0)
			code = turn_ask_ticket(r, &ask.mobile);
		if (code == 0)
			code = turn_alloc_new(r, &ask);
		if (code)
			return code;
	}
	reply_allocated(r);
	return 0;
}

/* ---- Refresh */

static bool asks_to_end(const struct turn_req *r)
{
	struct sl_stun_attr attr;
	uint32_t lifetime;

	return sl_stun_find(r->msg, SL_TURN_LIFETIME, &attr) &&
	       sl_stun_get_u32(&attr, &lifetime) == 0 && lifetime == 0;
}

static void end_by_request(struct turn_req *r, uint8_t family)
{
	struct sl_turn_alloc *a = r->a;

	if (family && sl_turn_alloc_relayed(a, family == 4 ? 6 : 4)) {
		turn_alloc_close_family(a, family);
		return;
	}
	r->a = NULL;
	turn_alloc_end(a, "refreshed to 0");
}

/* The move is the last thing that can fail. */
static unsigned prolong(struct turn_req *r, uint32_t *ret_lifetime_s)
{
	uint32_t lifetime_s;
	unsigned code;

	code = ask_lifetime(r, &lifetime_s);
	if (code == 0 && r->moves)
		code = turn_alloc_move(r);
	if (code)
		return code;
	turn_alloc_set_expiry(r->a, r->now_ms + lifetime_s * UINT64_C(1000));
	r->t->io->refreshed(r->t->io_ctx, r->a);
	*ret_lifetime_s = lifetime_s;
	return 0;
}

static unsigned on_refresh(struct turn_req *r)
{
	uint32_t lifetime_s = 0;
	uint8_t family;
	unsigned code;

	code = turn_check_ticket(r);
	if (code == 0)
		code = ask_family(r, SL_TURN_REQUESTED_ADDRESS_FAMILY, &family);
	if (code)
		return code;
	if (family && !sl_turn_alloc_relayed(r->a, family))
		return 443;
	if (asks_to_end(r)) {
		end_by_request(r, family);
	} else {
		code = prolong(r, &lifetime_s);
		if (code)
			return code;
	}
	r->t->counters.refreshes++;
	turn_reply_begin(r, SL_STUN_SUCCESS);
	sl_stun_put_u32(&r->w, SL_TURN_LIFETIME, lifetime_s);
	if (r->a && has(r, SL_TURN_MOBILITY_TICKET))
		turn_put_ticket(r);
	turn_reply_end(r);
	return 0;
}

/* ---- CreatePermission */

static void reply_plain(struct turn_req *r)
{
	turn_reply_begin(r, SL_STUN_SUCCESS);
	turn_reply_end(r);
}

/* The next XOR-PEER-ADDRESS that integrity covers. */
static bool next_peer(const struct sl_stun_msg *msg, struct sl_stun_attr *attr)
{
	while (sl_stun_next(msg, attr)) {
		if (attr->type == SL_STUN_MESSAGE_INTEGRITY ||
		    attr->type == SL_STUN_MESSAGE_INTEGRITY_SHA256)
			return false;
		if (attr->type == SL_TURN_XOR_PEER_ADDRESS)
			return true;
	}
	return false;
}

/* All peers or none (section 10.2): the first pass only looks. */
static unsigned check_peers(const struct turn_req *r)
{
	struct sl_stun_attr attr = {0};
	struct sl_addr peer;
	uint32_t n_new = 0, n = 0;
	unsigned code;

	for (; next_peer(r->msg, &attr); n++) {
		if (sl_stun_get_xor_addr(r->msg, &attr, &peer) < 0)
			return 400;
		code = turn_peer_check(r->a, &peer);
		if (code)
			return code;
		n_new += !turn_perm_find(r->a, &peer);
	}
	if (n == 0)
		return 400;
	return turn_may_permit(r->a, n_new) ? 0 : 508;
}

static unsigned on_create_permission(struct turn_req *r)
{
	struct sl_stun_attr attr = {0};
	struct turn_perm *perm;
	struct sl_addr peer;
	unsigned code;

	turn_alloc_wake_by(r->a, turn_peers_sweep(r->a, r->now_ms));
	code = check_peers(r);
	if (code)
		return code;
	while (next_peer(r->msg, &attr)) {
		if (sl_stun_get_xor_addr(r->msg, &attr, &peer) < 0)
			return 400;
		if (turn_perm_install(r->a, &peer, r->now_ms, &perm) < 0)
			return 508;
	}
	reply_plain(r);
	return 0;
}

/* ---- ChannelBind */

static unsigned ask_channel(const struct turn_req *r, uint16_t *ret_number,
			    struct sl_addr *ret_peer)
{
	struct sl_stun_attr number, peer;
	uint32_t value;

	if (!sl_stun_find(r->msg, SL_TURN_CHANNEL_NUMBER, &number) ||
	    !sl_stun_find(r->msg, SL_TURN_XOR_PEER_ADDRESS, &peer))
		return 400;
	if (sl_stun_get_u32(&number, &value) < 0 ||
	    sl_stun_get_xor_addr(r->msg, &peer, ret_peer) < 0)
		return 400;
	value >>= 16; /* the rest is reserved and ignored */
	if (value < MIN_CHANNEL || value > MAX_CHANNEL || ret_peer->port == 0)
		return 400;
	*ret_number = (uint16_t)value;
	return turn_channel_peer_check(r->a, ret_peer);
}

static unsigned on_channel_bind(struct turn_req *r)
{
	struct turn_channel *by_number, *by_peer;
	struct sl_addr peer;
	uint16_t number;
	unsigned code;

	if (r->a->tcp)
		return 403;
	turn_alloc_wake_by(r->a, turn_peers_sweep(r->a, r->now_ms));
	code = ask_channel(r, &number, &peer);
	if (code)
		return code;
	by_number = turn_channel_by_number(r->a, number);
	by_peer = turn_channel_by_peer(r->a, &peer);
	if (by_number != by_peer) /* one of them is bound to something else (section 12.2) */
		return 400;
	if (turn_channel_install(r->a, number, &peer, r->now_ms) < 0)
		return 508;
	reply_plain(r);
	return 0;
}

/* ---- dispatch */

/* What this server understands; everything else below 0x8000 is answered 420. */
static const uint16_t known[] = {
	SL_STUN_MAPPED_ADDRESS,
	SL_STUN_USERNAME,
	SL_STUN_MESSAGE_INTEGRITY,
	SL_STUN_ERROR_CODE,
	SL_STUN_UNKNOWN_ATTRIBUTES,
	SL_TURN_CHANNEL_NUMBER,
	SL_TURN_LIFETIME,
	SL_TURN_XOR_PEER_ADDRESS,
	SL_TURN_DATA_ATTR,
	SL_STUN_REALM,
	SL_STUN_NONCE,
	SL_TURN_XOR_RELAYED_ADDRESS,
	SL_TURN_REQUESTED_ADDRESS_FAMILY,
	SL_TURN_EVEN_PORT,
	SL_TURN_REQUESTED_TRANSPORT,
	SL_TURN_DONT_FRAGMENT,
	SL_STUN_ACCESS_TOKEN,
	SL_STUN_MESSAGE_INTEGRITY_SHA256,
	SL_STUN_PASSWORD_ALGORITHM,
	SL_STUN_USERHASH,
	SL_STUN_XOR_MAPPED_ADDRESS,
	SL_TURN_RESERVATION_TOKEN,
	SL_TURN_CONNECTION_ID,
};

/* No allocation: a ticket may say why. */
static unsigned mismatch(const struct turn_req *r)
{
	unsigned code = r->msg->method == SL_TURN_REFRESH ? turn_check_ticket(r) : 0;

	return code ? code : 437;
}

static unsigned serve(struct turn_req *r)
{
	if (r->msg->method == SL_TURN_ALLOCATE)
		return on_allocate(r);
	if (r->msg->method == SL_TURN_CONNECTION_BIND)
		return turn_on_connection_bind(r);
	if (!r->a)
		return mismatch(r);
	if (r->a->username_hash != r->username_hash)
		return 441;
	if (r->proven) /* a renewed password of the same name: the next request shall find it first
			*/
		r->a->key = r->key;
	if (r->token_until_ms > 0)
		r->a->token_until_ms = r->token_until_ms;
	switch (r->msg->method) {
	case SL_TURN_REFRESH:
		return on_refresh(r);
	case SL_TURN_CREATE_PERMISSION:
		return on_create_permission(r);
	case SL_TURN_CONNECT:
		return turn_on_connect(r);
	default:
		return on_channel_bind(r);
	}
}

void turn_request(struct turn_req *r)
{
	uint16_t unknown[TURN_MAX_UNKNOWN];
	unsigned code, n_unknown;

	code = turn_authenticate(r);
	if (code == 401 || code == 438) {
		turn_reply_challenge(r, code);
		return;
	}
	if (code == 0) {
		n_unknown = sl_stun_unknown(r->msg, known, SL_ARRAY_LEN(known), unknown,
					    TURN_MAX_UNKNOWN);
		if (n_unknown > 0) {
			turn_reply_unknown(r, unknown, n_unknown);
			return;
		}
		code = serve(r);
	}
	if (code == 300)
		turn_reply_alternate(r);
	else if (code)
		turn_reply_error(r, code);
}
