/*
 * proto/turn_token.c: access tokens of a third party (RFC 7635).
 *
 * An authorization server, which shares a key with this one, gives the client a token and the key
 * for its integrity; the token says the same to us, sealed by AES-GCM (section 6.2):
 *
 *     nonce length:16 | nonce | sealed: key length:16 | mac_key | timestamp:64 | lifetime:32 | tag
 *
 * The USERNAME names the shared key. Nothing is asked of anybody, and nothing is kept but the end
 * of the token's time, which is that of the allocation. The client may leave the token out of later
 * requests; a new one moves the end. As a user, the bearer is the mac_key: nobody else has it.
 */
#include "proto/turn_impl.h"

#include <stdio.h>
#include <sluice/buf.h>

enum {
	MAX_TOKEN = 512,
	MIN_MAC_KEY = 16,
	TIMES_BYTES = 8 + 4,
	MAX_SKEW_S = 5, /* the RFC's Delta */
};

static const struct sl_turn_token_key *find_key(const struct sl_turn_realm *realm,
						struct sl_str kid)
{
	for (unsigned i = 0; i < realm->n_token_keys; i++)
		if (sl_str_eq(realm->token_keys[i].kid, kid))
			return &realm->token_keys[i];
	return NULL;
}

/* Divides a token at its nonce. */
static int split(const struct sl_stun_attr *attr, struct sl_str *ret_nonce,
		 struct sl_str *ret_sealed)
{
	size_t nonce_len;

	if (attr->len < 2 || attr->len > MAX_TOKEN)
		return -SL_EPARSE;
	nonce_len = sl_get16(attr->data);
	if (nonce_len == 0 || nonce_len > attr->len - 2u)
		return -SL_EPARSE;
	*ret_nonce = (struct sl_str){(const char *)attr->data + 2, nonce_len};
	*ret_sealed = (struct sl_str){(const char *)attr->data + 2 + nonce_len,
				      attr->len - 2u - nonce_len};
	return 0;
}

/* The name under which limits count the bearer. */
static void name_bearer(struct turn_req *r)
{
	uint8_t digest[32];
	char hex[17];
	int n;

	sl_sha256(digest, r->key.bytes, r->key.len);
	sl_hex_encode(hex, digest, 8);
	n = snprintf(r->bearer, sizeof r->bearer, "%.*s/%s",
		     (int)(r->username.len < 64 ? r->username.len : 64), r->username.p, hex);
	r->username = (struct sl_str){r->bearer, (size_t)n};
}

/* What stands in an opened token. */
static int take_content(struct turn_req *r, const uint8_t *p, size_t len)
{
	const size_t key_len = len >= 2 ? sl_get16(p) : 0;
	uint64_t made_s, ends_s;

	if (key_len < MIN_MAC_KEY || key_len > TURN_KEY_BYTES || len != 2 + key_len + TIMES_BYTES)
		return -SL_EPARSE;
	made_s = sl_get64(p + 2 + key_len) >> 16; /* the rest are 1/64000 s */
	ends_s = made_s + sl_get32(p + 2 + key_len + 8);
	if (made_s > r->unix_s + MAX_SKEW_S || ends_s + MAX_SKEW_S <= r->unix_s)
		return -SL_EAUTH;
	memcpy(r->key.bytes, p + 2, key_len);
	r->key.len = (uint8_t)key_len;
	r->token_until_ms =
		r->now_ms + (ends_s > r->unix_s ? (ends_s - r->unix_s) * UINT64_C(1000) : 1000);
	return 0;
}

static int token_open(struct turn_req *r, const struct sl_stun_attr *attr)
{
	const struct sl_turn_realm *realm = r->realm->conf;
	const struct sl_turn_token_key *key = find_key(realm, r->username);
	struct sl_gcm gcm = {.aad = realm->token_server};
	uint8_t content[MAX_TOKEN];
	struct sl_str sealed;
	int err;

	if (!key)
		return -SL_ENOENT;
	err = split(attr, &gcm.nonce, &sealed);
	if (err < 0)
		return err;
	gcm.key = key->key;
	err = sl_gcm_open(&gcm, sealed, content);
	if (err == 0)
		err = take_content(r, content, sealed.len - SL_GCM_TAG);
	sl_wipe(content, sizeof content);
	return err;
}

/* All bearers of a realm are one user in the sense of 441: a new token may name another key. */
static uint64_t bearers_hash(const struct turn_realm *realm)
{
	const uint64_t who[2] = {(uintptr_t)realm, 7635};

	return sl_hash(who, sizeof who);
}

bool turn_bears_token(const struct turn_req *r)
{
	struct sl_stun_attr attr;

	if (r->realm->conf->n_token_keys == 0)
		return false;
	return sl_stun_find(r->msg, SL_STUN_ACCESS_TOKEN, &attr) ||
	       (r->a && r->a->token_until_ms > 0 && find_key(r->realm->conf, r->username));
}

/* Sets the key that the request's integrity is to fit; false: none (counted). */
bool turn_token_key(struct turn_req *r)
{
	struct sl_stun_attr attr;

	if (!sl_stun_find(r->msg, SL_STUN_ACCESS_TOKEN, &attr)) {
		r->key = r->a->key;
	} else if (token_open(r, &attr) < 0) {
		r->t->counters.token_refusals++;
		return false;
	}
	name_bearer(r);
	r->username_hash = bearers_hash(r->realm);
	return true;
}

/* No allocation outlives its token. */
uint32_t turn_token_bound(const struct turn_req *r, uint32_t lifetime_s)
{
	uint64_t until_ms = r->token_until_ms, left_s;

	if (until_ms == 0 && r->a)
		until_ms = r->a->token_until_ms;
	if (until_ms == 0)
		return lifetime_s;
	left_s = until_ms > r->now_ms ? (until_ms - r->now_ms) / 1000 : 0;
	return left_s < lifetime_s ? (uint32_t)left_s : lifetime_s;
}
