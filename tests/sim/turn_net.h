/*
 * tests/sim/turn_net.h: a TURN server's world in virtual time: relay sockets that are numbers, clients that are structs.
 *
 * A tnet holds one engine and its clock; tnet_pass() moves the time and runs what is due. A tclient signs what it
 * sends, answers challenges and keeps the last reply. Used by test_turn.c, sim_turn.c and fuzz_turn.c.
 */
#ifndef TESTS_SIM_TURN_NET_H
#define TESTS_SIM_TURN_NET_H

#include <stdio.h>
#include <stdlib.h>
#include <sluice/buf.h>
#include <sluice/crypto.h>
#include <sluice/turn.h>

#define TNET_UNIX_S UINT64_C(1790000000) /* the wall clock at now_ms == 0 */

struct tnet {
	struct sl_turn *turn;
	struct sl_turn_conf conf;
	struct sl_turn_realm realm; /* the only one, unless conf.realms is changed */
	uint64_t now_ms, wake_ms;
	uint16_t next_port;
	unsigned n_open, n_reserved, n_granted, n_refreshed, n_released; /* sockets in use, sockets kept, calls */
	int open_error, grant_error; /* what the world answers next */
	uint8_t open_error_family;   /* 0: any */
	unsigned n_connects, n_disconnects, n_moved;
	int connect_error, move_error;
	struct sl_turn_conn *conn;   /* the last that was to be made */
	const char *why;	     /* of the last release */
	struct sl_turn_alloc *last;  /* granted last */
	unsigned n_busy[2], n_retimed, n_unbound; /* to the client, to the peer; of channels with data */
};

static const struct sl_turn_user tnet_users[] = {
	{SL_STR_INIT("alice"), SL_STR_INIT("wonder")},
	{SL_STR_INIT("bob"), SL_STR_INIT("builder")},
};
static const struct sl_str tnet_secrets[] = {SL_STR_INIT("new secret"), SL_STR_INIT("old secret")};

static inline struct sl_addr taddr(const char *text)
{
	struct sl_addr a = {0};

	sl_assert(sl_addr_parse(&a, sl_str_c(text)) == 0);
	return a;
}

static inline int tnet_open(void *ctx, struct sl_turn_alloc *a, const struct sl_turn_want *want,
			    struct sl_addr *ret_relayed)
{
	struct tnet *n = ctx;

	(void)a;
	if (n->open_error && (!n->open_error_family || n->open_error_family == want->family))
		return n->open_error;
	n->n_open++;
	if (want->reserved) {
		sl_assert(n->n_reserved > 0);
		n->n_reserved--;
		*ret_relayed = *want->reserved;
		return 0;
	}
	*ret_relayed = taddr(want->family == 4 ? "203.0.113.1" : "2001:db8::1");
	if (want->even && n->next_port % 2)
		n->next_port++;
	ret_relayed->port = n->next_port++;
	if (want->reserve) {
		n->next_port++;
		n->n_reserved++;
	}
	return 0;
}

static inline void tnet_close(void *ctx, struct sl_turn_alloc *a, uint8_t family)
{
	(void)a;
	(void)family;
	((struct tnet *)ctx)->n_open--;
}

static inline void tnet_unreserve(void *ctx, const struct sl_addr *relayed)
{
	(void)relayed;
	((struct tnet *)ctx)->n_reserved--;
}

static inline int tnet_granted(void *ctx, struct sl_turn_alloc *a)
{
	struct tnet *n = ctx;

	if (n->grant_error)
		return n->grant_error;
	n->n_granted++;
	n->last = a;
	return 0;
}

static inline void tnet_refreshed(void *ctx, struct sl_turn_alloc *a)
{
	sl_assert(sl_turn_alloc_expires_ms(a) > ((struct tnet *)ctx)->now_ms);
	((struct tnet *)ctx)->n_refreshed++;
}

static inline void tnet_released(void *ctx, struct sl_turn_alloc *a, const char *why)
{
	struct tnet *n = ctx;

	n->n_open -= !!sl_turn_alloc_relayed(a, 4) + !!sl_turn_alloc_relayed(a, 6);
	n->n_released++;
	n->why = why;
	if (n->last == a)
		n->last = NULL;
}

static inline int tnet_connect(void *ctx, struct sl_turn_conn *c)
{
	struct tnet *n = ctx;

	if (n->connect_error)
		return n->connect_error;
	n->n_connects++;
	n->conn = c;
	return 0;
}

static inline void tnet_disconnect(void *ctx, struct sl_turn_conn *c)
{
	struct tnet *n = ctx;

	n->n_disconnects++;
	if (n->conn == c)
		n->conn = NULL;
}

static inline int tnet_moved(void *ctx, struct sl_turn_alloc *a)
{
	struct tnet *n = ctx;

	(void)a;
	n->n_moved += n->move_error == 0;
	return n->move_error;
}

static inline void tnet_busy(void *ctx, struct sl_turn_alloc *a, uint16_t number, bool to_peer)
{
	struct tnet *n = ctx;

	n->n_busy[to_peer]++;
	*sl_turn_channel_data(a, number) = n;
}

static inline void tnet_retimed(void *ctx, struct sl_turn_alloc *a, uint16_t number)
{
	struct tnet *n = ctx;

	sl_assert(*sl_turn_channel_data(a, number) == n);
	n->n_retimed++;
}

static inline void tnet_unbound(void *ctx, struct sl_turn_alloc *a, uint16_t number)
{
	struct tnet *n = ctx;

	sl_assert(*sl_turn_channel_data(a, number) == n);
	n->n_unbound++;
}

static const struct sl_turn_io tnet_io = {
	.open_relay = tnet_open,
	.close_relay = tnet_close,
	.unreserve = tnet_unreserve,
	.granted = tnet_granted,
	.refreshed = tnet_refreshed,
	.moved = tnet_moved,
	.connect = tnet_connect,
	.disconnect = tnet_disconnect,
	.released = tnet_released,
	.busy = tnet_busy,
	.retimed = tnet_retimed,
	.unbound = tnet_unbound,
};

static inline void tnet_conf(struct tnet *n)
{
	n->realm = (struct sl_turn_realm){
		.name = SL_STR("example.org"),
		.secrets = tnet_secrets,
		.n_secrets = SL_ARRAY_LEN(tnet_secrets),
		.users = tnet_users,
		.n_users = SL_ARRAY_LEN(tnet_users),
		.auth = true,
		.default_lifetime_s = 600,
		.max_lifetime_s = 3600,
	};
	n->conf = (struct sl_turn_conf){
		.realms = &n->realm,
		.n_realms = 1,
		.permission_lifetime_s = 300,
		.channel_lifetime_s = 600,
		.nonce_lifetime_s = 3600,
		.relay_v4 = true,
		.relay_v6 = true,
		.tcp = true,
		.mobility = true,
		.slot = 7,
		.software = SL_STR("test"),
	};
}

/* n->conf may be changed between the two. */
static inline void tnet_init(struct tnet *n)
{
	*n = (struct tnet){.next_port = 40001, .wake_ms = UINT64_MAX};
	tnet_conf(n);
}

static inline void tnet_start(struct tnet *n)
{
	static const uint8_t key[16] = "0123456789abcdef";

	sl_hash_seed(key);
	sl_assert(sl_turn_new(&n->turn, &n->conf, key, &tnet_io, n) == 0);
}

/* Everything that was opened must be closed again. */
static inline bool tnet_stop(struct tnet *n)
{
	sl_turn_free(n->turn);
	n->turn = NULL;
	return n->n_open == 0 && n->n_reserved == 0;
}

/* Like a loop: wakes the engine when it asked for it, and then once at the end. */
static inline void tnet_pass(struct tnet *n, uint64_t ms)
{
	uint64_t end = n->now_ms + ms;

	while ((n->wake_ms = sl_turn_tick(n->turn, n->now_ms)) <= end)
		n->now_ms = n->wake_ms;
	n->now_ms = end;
	(void)sl_turn_tick(n->turn, end);
}

/* ---- clients */

struct tclient {
	struct tnet *net;
	struct sl_turn_client at;
	char user[128], password[64];
	char nonce[128];
	uint8_t txid[12];
	bool fixed_txid, fingerprint;
	bool sha256, userhash; /* integrity and name of the next requests */
	uint16_t algorithm;    /* PASSWORD-ALGORITHM; 0: none named, MD5 */
	uint8_t offered[8];    /* PASSWORD-ALGORITHMS of the last challenge */
	size_t offered_len;
	uint8_t attrs[512], wire[2048], reply[1280];
	struct sl_stun_writer w; /* attributes of the next request */
	struct sl_turn_out out;
	struct sl_stun_msg msg;	 /* the last reply, when there was one */
	size_t wire_len;
	int rc;			 /* of sl_turn_input */
	struct sl_turn_alloc *alloc;
};

static inline struct sl_stun_writer *tc_attrs(struct tclient *c)
{
	sl_stun_begin(&c->w, c->attrs, sizeof c->attrs, SL_STUN_REQUEST, 0, c->txid);
	return &c->w;
}

static inline void tclient_init(struct tclient *c, struct tnet *n, const char *remote, const char *user,
				const char *password)
{
	*c = (struct tclient){.net = n};
	c->at = (struct sl_turn_client){
		.remote = taddr(remote), .local = taddr("203.0.113.1:3478"), .transport = 17};
	sl_str_copy(c->user, sizeof c->user, sl_str_c(user));
	sl_str_copy(c->password, sizeof c->password, sl_str_c(password));
	tc_attrs(c);
}

/* Makes it the bearer of a time-limited name of "carol". */
static inline void tc_use_secret(struct tclient *c, struct sl_str secret, uint64_t seconds)
{
	char password[32];

	sl_assert(sl_turn_credential(secret, SL_STR("carol"), TNET_UNIX_S + seconds, c->user,
				     sizeof c->user, password) == 0);
	sl_str_copy(c->password, sizeof c->password, sl_str_c(password));
}

/* In room for the longer one; returns its length. */
static inline size_t tc_key(const struct tclient *c, uint8_t key[32])
{
	const struct sl_str user = sl_str_c(c->user), password = sl_str_c(c->password);

	if (c->algorithm == SL_STUN_SHA256) {
		sl_stun_long_term_key_sha256(key, user, c->net->conf.realms[c->at.realm].name, password);
		return 32;
	}
	sl_stun_long_term_key(key, user, c->net->conf.realms[c->at.realm].name, password);
	return 16;
}

static inline void tc_name(const struct tclient *c, struct sl_stun_writer *w)
{
	uint8_t hash[32];

	sl_stun_userhash(hash, sl_str_c(c->user), c->net->conf.realms[c->at.realm].name);
	if (c->userhash)
		sl_stun_put(w, SL_STUN_USERHASH, hash, sizeof hash);
	else
		sl_stun_put_str(w, SL_STUN_USERNAME, sl_str_c(c->user));
}

static inline void tc_sign(struct tclient *c, struct sl_stun_writer *w)
{
	uint8_t key[32];
	const struct sl_str k = {(char *)key, tc_key(c, key)};

	tc_name(c, w);
	sl_stun_put_str(w, SL_STUN_REALM, c->net->conf.realms[c->at.realm].name);
	sl_stun_put_str(w, SL_STUN_NONCE, sl_str_c(c->nonce));
	if (c->algorithm) {
		sl_stun_put_u32(w, SL_STUN_PASSWORD_ALGORITHM, (uint32_t)c->algorithm << 16);
		sl_stun_put(w, SL_STUN_PASSWORD_ALGORITHMS, c->offered, c->offered_len);
	}
	if (c->sha256)
		sl_stun_put_integrity_sha256(w, k);
	else
		sl_stun_put_integrity(w, k);
}

/* Whatever is on the wire goes in; returns 0 for success, the error code, or -1 when nothing came back. */
static inline int tc_input(struct tclient *c)
{
	struct tnet *n = c->net;
	struct sl_stun_msg in;
	struct sl_stun_attr err;

	c->out = (struct sl_turn_out){.reply = c->reply, .reply_cap = sizeof c->reply};
	if (sl_stun_parse(&in, c->wire, c->wire_len) < 0)
		return -1;
	c->rc = sl_turn_input(n->turn, c->alloc, &c->at, &in, n->now_ms, TNET_UNIX_S + n->now_ms / 1000,
			      &c->out);
	if (c->out.reply_len == 0)
		return -1;
	sl_assert(sl_stun_parse(&c->msg, c->reply, c->out.reply_len) == 0);
	if (c->msg.class_ == SL_STUN_SUCCESS)
		return 0;
	sl_assert(sl_stun_find(&c->msg, SL_STUN_ERROR_CODE, &err) && err.len >= 4);
	return err.data[2] * 100 + err.data[3];
}

/* One request with the attributes given so far, signed when a nonce is known. They stay for a repetition. */
static inline int tc_send(struct tclient *c, uint16_t method)
{
	struct sl_stun_writer w;

	if (!c->fixed_txid)
		sl_put32(c->txid, sl_get32(c->txid) + 1);
	sl_put16(c->txid + 4, c->at.remote.port);
	sl_stun_begin(&w, c->wire, sizeof c->wire, SL_STUN_REQUEST, method, c->txid);
	memcpy(w.p + w.len, c->attrs + SL_STUN_HEADER, c->w.len - SL_STUN_HEADER);
	w.len += c->w.len - SL_STUN_HEADER;
	if (c->nonce[0])
		tc_sign(c, &w);
	if (c->fingerprint)
		sl_stun_put_fingerprint(&w);
	sl_assert(sl_stun_finish(&w, &c->wire_len) == 0);
	return tc_input(c);
}

static inline void tc_learn_nonce(struct tclient *c)
{
	struct sl_str list = sl_stun_find_str(&c->msg, SL_STUN_PASSWORD_ALGORITHMS);

	sl_str_copy(c->nonce, sizeof c->nonce, sl_stun_find_str(&c->msg, SL_STUN_NONCE));
	c->offered_len = list.len < sizeof c->offered ? list.len : sizeof c->offered;
	if (c->offered_len > 0)
		memcpy(c->offered, list.p, c->offered_len);
}

/* A request as a client makes it: an answer to a challenge included. Uses the attributes up. */
static inline int tc_ask(struct tclient *c, uint16_t method)
{
	int code = tc_send(c, method);

	if ((code == 401 && !c->nonce[0]) || code == 438) {
		tc_learn_nonce(c);
		code = tc_send(c, method);
	}
	tc_attrs(c);
	return code;
}

static inline int tc_ask_allocate(struct tclient *c)
{
	int code;

	sl_stun_put_u32(&c->w, SL_TURN_REQUESTED_TRANSPORT, 17u << 24);
	code = tc_ask(c, SL_TURN_ALLOCATE);
	if (code == 0)
		c->alloc = c->net->last;
	return code;
}

/* Of a client over TCP */
static inline int tc_ask_allocate_tcp(struct tclient *c)
{
	int code;

	c->at.transport = 6;
	sl_stun_put_u32(&c->w, SL_TURN_REQUESTED_TRANSPORT, 6u << 24);
	code = tc_ask(c, SL_TURN_ALLOCATE);
	if (code == 0)
		c->alloc = c->net->last;
	return code;
}

/* -1: no answer yet */
static inline int tc_ask_connect(struct tclient *c, const struct sl_addr *peer)
{
	sl_stun_put_xor_addr(&c->w, SL_TURN_XOR_PEER_ADDRESS, peer);
	return tc_ask(c, SL_TURN_CONNECT);
}

static inline int tc_ask_bind(struct tclient *c, uint32_t id)
{
	sl_stun_put_u32(&c->w, SL_TURN_CONNECTION_ID, id);
	return tc_ask(c, SL_TURN_CONNECTION_BIND);
}

/* A later answer has been written into c->reply. */
static inline int tc_hear(struct tclient *c, size_t len)
{
	struct sl_stun_attr err;

	sl_assert(sl_stun_parse(&c->msg, c->reply, len) == 0);
	if (c->msg.class_ != SL_STUN_ERROR)
		return 0;
	sl_assert(sl_stun_find(&c->msg, SL_STUN_ERROR_CODE, &err) && err.len >= 4);
	return err.data[2] * 100 + err.data[3];
}

static inline uint32_t tc_reply_id(const struct tclient *c)
{
	struct sl_stun_attr a;
	uint32_t v = 0;

	if (!sl_stun_find(&c->msg, SL_TURN_CONNECTION_ID, &a) || sl_stun_get_u32(&a, &v) < 0)
		return 0;
	return v;
}

static inline int tc_ask_refresh(struct tclient *c, uint32_t lifetime_s)
{
	sl_stun_put_u32(&c->w, SL_TURN_LIFETIME, lifetime_s);
	return tc_ask(c, SL_TURN_REFRESH);
}

static inline int tc_ask_permission(struct tclient *c, const struct sl_addr *peer)
{
	sl_stun_put_xor_addr(&c->w, SL_TURN_XOR_PEER_ADDRESS, peer);
	return tc_ask(c, SL_TURN_CREATE_PERMISSION);
}

static inline int tc_ask_channel(struct tclient *c, uint16_t number, const struct sl_addr *peer)
{
	sl_stun_put_u32(&c->w, SL_TURN_CHANNEL_NUMBER, (uint32_t)number << 16);
	sl_stun_put_xor_addr(&c->w, SL_TURN_XOR_PEER_ADDRESS, peer);
	return tc_ask(c, SL_TURN_CHANNEL_BIND);
}

/* Where ChannelData of `len` payload bytes goes; NULL: nowhere. */
static inline const struct sl_addr *tc_channel_data(struct tclient *c, uint16_t number, uint16_t len)
{
	uint8_t head[4 + 256] = {0};
	size_t out_len = 0;

	sl_put16(head, number);
	sl_put16(head + 2, len);
	return sl_turn_channel_out(c->alloc, head, 4 + (size_t)len, c->net->now_ms, &out_len);
}

static inline int tc_peer_data(struct tclient *c, const struct sl_addr *peer)
{
	return sl_turn_peer_in(c->alloc, peer, 100, c->net->now_ms);
}

static inline bool tc_reply_addr(const struct tclient *c, uint16_t type, struct sl_addr *ret_addr)
{
	struct sl_stun_attr a;

	return sl_stun_find(&c->msg, type, &a) && sl_stun_get_xor_addr(&c->msg, &a, ret_addr) == 0;
}

static inline uint32_t tc_reply_lifetime(const struct tclient *c)
{
	struct sl_stun_attr a;
	uint32_t v = 0;

	if (!sl_stun_find(&c->msg, SL_TURN_LIFETIME, &a) || sl_stun_get_u32(&a, &v) < 0)
		return UINT32_MAX;
	return v;
}

#endif
