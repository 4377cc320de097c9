/*
 * proto/turn_ask.c: TURN from the client's side (RFC 8656), as much as a probe needs: Allocate,
 * Refresh, CreatePermission, Send and Data, with long-term credentials (RFC 8489 section 9.2.5).
 *
 * Sans-I/O. A request is signed once a challenge has told realm and nonce; so the first one goes
 * out bare, and the tool that asks repeats what is answered 401 or 438.
 */
#include "proto/turn_ask.h"

#include <sluice/crypto.h>

enum { UDP_PROTOCOL = 17, KEY_BYTES = 16 };

static void key_of(const struct turn_asker *c, uint8_t ret_key[KEY_BYTES])
{
	sl_stun_long_term_key(ret_key, c->user, sl_str_c(c->realm), c->password);
}

static void sign(struct sl_stun_writer *w, const struct turn_asker *c)
{
	uint8_t key[KEY_BYTES];

	if (c->nonce[0] == '\0')
		return;
	sl_stun_put_str(w, SL_STUN_USERNAME, c->user);
	sl_stun_put_str(w, SL_STUN_REALM, sl_str_c(c->realm));
	sl_stun_put_str(w, SL_STUN_NONCE, sl_str_c(c->nonce));
	key_of(c, key);
	sl_stun_put_integrity(w, (struct sl_str){(const char *)key, sizeof key});
	sl_wipe(key, sizeof key);
}

size_t turn_ask_write(const struct turn_asker *c, const struct turn_ask *ask,
		      const uint8_t txid[12], uint8_t dst[TURN_ASK_MAX])
{
	const bool indication = ask->method == SL_TURN_SEND;
	struct sl_stun_writer w;
	size_t len;

	sl_stun_begin(&w, dst, TURN_ASK_MAX, indication ? SL_STUN_INDICATION : SL_STUN_REQUEST,
		      ask->method, txid);
	if (ask->method == SL_TURN_ALLOCATE)
		sl_stun_put_u32(&w, SL_TURN_REQUESTED_TRANSPORT, (uint32_t)UDP_PROTOCOL << 24);
	if (ask->lifetime_s >= 0 && ask->method == SL_TURN_REFRESH)
		sl_stun_put_u32(&w, SL_TURN_LIFETIME, (uint32_t)ask->lifetime_s);
	if (ask->peer)
		sl_stun_put_xor_addr(&w, SL_TURN_XOR_PEER_ADDRESS, ask->peer);
	if (indication)
		sl_stun_put_str(&w, SL_TURN_DATA_ATTR, ask->data);
	else if (ask->method != SL_STUN_BINDING)
		sign(&w, c);
	return sl_stun_finish(&w, &len) < 0 ? 0 : len;
}

/* ---- answers */

static struct sl_addr address(const struct sl_stun_msg *msg, uint16_t type)
{
	struct sl_addr a = {0};
	struct sl_stun_attr attr;

	/* Malformed is as good as absent. */
	if (!sl_stun_find(msg, type, &attr) || sl_stun_get_xor_addr(msg, &attr, &a) < 0)
		return (struct sl_addr){0};
	return a;
}

/* An error without a code that the RFC permits is an answer all the same. */
static unsigned error_code(const struct sl_stun_msg *msg)
{
	struct sl_stun_attr a;

	if (!sl_stun_find(msg, SL_STUN_ERROR_CODE, &a) || a.len < 4)
		return 500;
	return (a.data[2] & 7) * 100u + a.data[3] % 100u;
}

/* Both or none, and neither cut: a signature with half a nonce would only be refused. */
static void keep_challenge(struct turn_asker *c, const struct sl_stun_msg *msg)
{
	struct sl_str realm = sl_stun_find_str(msg, SL_STUN_REALM);
	struct sl_str nonce = sl_stun_find_str(msg, SL_STUN_NONCE);

	if (realm.len == 0 || realm.len >= sizeof c->realm || nonce.len == 0 ||
	    nonce.len >= sizeof c->nonce)
		return;
	(void)sl_str_copy(c->realm, sizeof c->realm, realm);
	(void)sl_str_copy(c->nonce, sizeof c->nonce, nonce);
}

static bool forged(const struct turn_asker *c, const struct sl_stun_msg *msg)
{
	uint8_t key[KEY_BYTES];
	int rc;

	if (c->nonce[0] == '\0')
		return false;
	key_of(c, key);
	rc = sl_stun_check_integrity(msg, (struct sl_str){(const char *)key, sizeof key});
	sl_wipe(key, sizeof key);
	return rc == -SL_EAUTH;
}

int turn_told_read(struct turn_asker *c, const void *data, size_t len, const uint8_t txid[12],
		   struct turn_told *ret_told)
{
	struct turn_told t = {0};
	struct sl_stun_msg msg;

	if (sl_stun_parse(&msg, data, len) < 0 || msg.class_ < SL_STUN_SUCCESS ||
	    memcmp(msg.txid, txid, 12) != 0 || forged(c, &msg))
		return -SL_ENOENT;
	if (msg.class_ == SL_STUN_ERROR) {
		t.error = error_code(&msg);
		if (t.error == 401 || t.error == 438)
			keep_challenge(c, &msg);
	} else {
		t.mapped = address(&msg, SL_STUN_XOR_MAPPED_ADDRESS);
		t.relayed = address(&msg, SL_TURN_XOR_RELAYED_ADDRESS);
	}
	*ret_told = t;
	return 0;
}

int turn_data_read(const void *data, size_t len, struct turn_told *ret_told)
{
	struct turn_told t = {0};
	struct sl_stun_msg msg;

	if (sl_stun_parse(&msg, data, len) < 0 || msg.class_ != SL_STUN_INDICATION ||
	    msg.method != SL_TURN_DATA)
		return -SL_ENOENT;
	t.peer = address(&msg, SL_TURN_XOR_PEER_ADDRESS);
	t.data = sl_stun_find_str(&msg, SL_TURN_DATA_ATTR);
	if (t.peer.family == 0 || !t.data.p)
		return -SL_ENOENT;
	*ret_told = t;
	return 0;
}
