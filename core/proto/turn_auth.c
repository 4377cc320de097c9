/*
 * proto/turn_auth.c: who sent a TURN request: nonces and long-term credentials.
 *
 * RFC 8489 section 9.2.4 with SHA-1 integrity, and time-limited names (username "expiry[:id]",
 * password base64(HMAC-SHA1(secret, username))). A nonce is 4 bytes of time and a 64-bit
 * SipHash-2-4 over it and the client's transport address, in base64: nothing is kept per source,
 * any worker and generation can check it, and a flood of unproven requests costs 20 ns each here.
 * All keys are derived with our own realm, whatever REALM says: a client that believes in another
 * realm fails the integrity check. The key of a live allocation is tried first, so that a Refresh
 * costs one HMAC; and a session that outlives its time-limited name can still be refreshed.
 */
#include "proto/turn_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sluice/buf.h>

enum { MAX_USERNAME = 508, NONCE_BYTES = 12, SHA1_BYTES = 20, PASSWORD_CHARS = 28 };

/* ---- nonces */

static uint64_t nonce_mac(const struct sl_turn *t, const struct sl_turn_client *c, uint32_t time)
{
	uint8_t text[4 + 2 + 2 + 16];

	sl_put32(text, time);
	text[4] = c->transport;
	text[5] = c->remote.family;
	sl_put16(text + 6, c->remote.port);
	memcpy(text + 8, c->remote.ip, 16);
	return sl_siphash24(t->nonce_key, text, sizeof text);
}

void turn_nonce(const struct sl_turn *t, const struct sl_turn_client *c, uint64_t unix_s,
		char ret_nonce[TURN_NONCE_CHARS + 1])
{
	uint8_t raw[NONCE_BYTES];

	sl_put32(raw, (uint32_t)unix_s);
	sl_put64(raw + 4, nonce_mac(t, c, (uint32_t)unix_s));
	(void)sl_base64_encode(ret_nonce, raw, sizeof raw); /* 12 bytes are always 16 characters */
}

static bool nonce_is_fresh(const struct turn_req *r, struct sl_str nonce)
{
	uint8_t raw[NONCE_BYTES], mac[8];
	uint32_t time;
	size_t len;

	if (nonce.len != TURN_NONCE_CHARS)
		return false;
	if (sl_base64_decode(raw, sizeof raw, nonce, &len) < 0 || len != sizeof raw)
		return false;
	time = sl_get32(raw);
	sl_put64(mac, nonce_mac(r->t, r->client, time));
	if (!sl_mem_eq(mac, raw + 4, sizeof mac))
		return false;
	/* A time in the future wraps and is stale too. */
	return (uint32_t)r->unix_s - time <= r->t->conf->nonce_lifetime_s;
}

/* ---- credentials */

static bool is_static_name(const struct sl_hnode *node, const void *key)
{
	const struct turn_static *s = SL_CONTAINER(node, struct turn_static, node);

	return sl_str_eq(s->user->name, *(const struct sl_str *)key);
}

int turn_index_statics(struct sl_turn *t)
{
	const struct sl_turn_conf *conf = t->conf;
	int err;

	if (conf->n_users == 0)
		return 0;
	t->static_users = calloc(conf->n_users, sizeof *t->static_users);
	if (!t->static_users)
		return -SL_ENOMEM;
	for (unsigned i = 0; i < conf->n_users; i++) {
		struct turn_static *s = &t->static_users[i];

		s->user = &conf->users[i];
		err = sl_htab_insert(&t->statics, &s->node,
				     sl_hash(s->user->name.p, s->user->name.len));
		if (err < 0)
			return err;
	}
	return 0;
}

static const struct sl_turn_user *find_static(const struct sl_turn *t, struct sl_str name,
					      uint64_t hash)
{
	struct sl_hnode *node = sl_htab_find(&t->statics, hash, is_static_name, &name);

	return node ? SL_CONTAINER(node, struct turn_static, node)->user : NULL;
}

/* The expiry of a time-limited name; false when it is not one. */
static bool name_expiry(struct sl_str name, uint64_t *ret_unix_s)
{
	return sl_str_u64(sl_str_split(&name, ':'), ret_unix_s) == 0;
}

struct sl_str turn_quota_name(struct sl_str username)
{
	struct sl_str rest = username;
	uint64_t expiry;

	(void)sl_str_split(&rest, ':');
	if (rest.len > 0 && name_expiry(username, &expiry))
		return rest;
	return username;
}

static void password_of(struct sl_str secret, struct sl_str name, char ret_password[32])
{
	uint8_t mac[SHA1_BYTES];

	sl_hmac_sha1(mac, secret, name.p, name.len);
	(void)sl_base64_encode(ret_password, mac, sizeof mac);
}

static bool proves(struct turn_req *r, struct sl_str password)
{
	const struct sl_str key = {(const char *)r->key, sizeof r->key};

	sl_stun_long_term_key(r->key, r->username, r->t->conf->realm, password);
	return sl_stun_check_integrity(r->msg, key) == 0;
}

static bool proves_some_secret(struct turn_req *r)
{
	const struct sl_turn_conf *conf = r->t->conf;
	char password[32];
	bool right = false;

	for (unsigned i = 0; i < conf->n_secrets && !right; i++) {
		password_of(conf->secrets[i], r->username, password);
		right = proves(r, (struct sl_str){password, PASSWORD_CHARS});
	}
	sl_wipe(password, sizeof password);
	return right;
}

static bool proves_key_of_allocation(struct turn_req *r)
{
	const struct sl_turn_alloc *a = r->a;
	const struct sl_str key = {(const char *)r->key, sizeof r->key};

	if (!a || a->username_hash != r->username_hash)
		return false;
	memcpy(r->key, a->key, sizeof r->key);
	return sl_stun_check_integrity(r->msg, key) == 0;
}

static bool proves_credentials(struct turn_req *r)
{
	const struct sl_turn_user *user;
	uint64_t expires;

	if (proves_key_of_allocation(r))
		return true;
	user = find_static(r->t, r->username, r->username_hash);
	if (user)
		return proves(r, user->password);
	if (!name_expiry(r->username, &expires) || expires <= r->unix_s)
		return false;
	return proves_some_secret(r);
}

unsigned turn_authenticate(struct turn_req *r)
{
	struct sl_stun_attr mac, realm, nonce, username;

	if (!r->t->conf->auth)
		return 0;
	if (!sl_stun_find(r->msg, SL_STUN_MESSAGE_INTEGRITY, &mac)) {
		r->t->counters.challenges++;
		return 401;
	}
	if (!sl_stun_find(r->msg, SL_STUN_USERNAME, &username) ||
	    !sl_stun_find(r->msg, SL_STUN_REALM, &realm) ||
	    !sl_stun_find(r->msg, SL_STUN_NONCE, &nonce))
		return 400;
	if (!nonce_is_fresh(r, (struct sl_str){(const char *)nonce.data, nonce.len}))
		return 438;
	r->username = (struct sl_str){(const char *)username.data, username.len};
	r->username_hash = sl_hash(r->username.p, r->username.len);
	if (r->username.len > MAX_USERNAME || !proves_credentials(r)) {
		r->t->counters.auth_failures++;
		return 401;
	}
	r->proven = true;
	return 0;
}

int sl_turn_credential(struct sl_str secret, struct sl_str id, uint64_t expires_unix_s,
		       char *ret_user, size_t user_cap, char ret_password[32])
{
	const char *colon = id.len > 0 ? ":" : "";
	char name[MAX_USERNAME + 1];
	int n;

	n = snprintf(name, sizeof name, "%" PRIu64 "%s%.*s", expires_unix_s, colon, SL_FMT(id));
	if (n < 0 || (size_t)n >= sizeof name || (size_t)n >= user_cap)
		return -SL_EFULL;
	memcpy(ret_user, name, (size_t)n + 1);
	password_of(secret, (struct sl_str){ret_user, (size_t)n}, ret_password);
	return 0;
}
