/*
 * proto/turn_auth.c: who sent a TURN request: long-term credentials.
 *
 * RFC 8489 section 9.2.4 with both kinds of integrity and both password algorithms: what the
 * request names, or MD5 where it names nothing, as clients of RFC 5389 do. Users are static, found
 * by USERNAME or USERHASH, or time-limited names (username "expiry[:id]", password
 * base64(HMAC-SHA1(secret, username))), which no hash leads back to.
 *
 * All keys are derived with the realm that the request came to, whatever REALM says: a client that
 * believes in another realm fails the integrity check. The key of a live allocation is tried first,
 * so that a Refresh costs one HMAC; and a session that outlives its time-limited name can still be
 * refreshed.
 */
#include "proto/turn_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sluice/buf.h>

enum { MAX_USERNAME = 508, SHA1_BYTES = 20, PASSWORD_CHARS = 28, MD5_KEY = 16, SHA256_KEY = 32 };

/* ---- password algorithms */

/* Each is its number and an empty list of parameters (section 14.11). */
size_t turn_algorithms(const struct sl_turn_realm *realm, uint8_t ret_list[8])
{
	for (unsigned i = 0; i < realm->n_algorithms; i++) {
		sl_put16(ret_list + 4 * i, realm->algorithms[i]);
		sl_put16(ret_list + 4 * i + 2, 0);
	}
	return 4 * (size_t)realm->n_algorithms;
}

static bool offers(const struct sl_turn_realm *realm, uint16_t algorithm)
{
	for (unsigned i = 0; i < realm->n_algorithms; i++)
		if (realm->algorithms[i] == algorithm)
			return true;
	return realm->n_algorithms == 0 && algorithm == SL_STUN_MD5;
}

static bool is_our_list(const struct sl_turn_realm *realm, const struct sl_stun_attr *list)
{
	uint8_t ours[8];
	size_t len = turn_algorithms(realm, ours);

	return list->len == len && memcmp(list->data, ours, len) == 0;
}

/*
 * How the sender made its key. A client that knows algorithms repeats the list it was offered and
 * names one of it: a list that somebody has shortened on its way shows here.
 */
static unsigned read_algorithm(struct turn_req *r)
{
	const struct sl_turn_realm *realm = r->realm->conf;
	struct sl_stun_attr list, chosen;
	bool has_list = sl_stun_find(r->msg, SL_STUN_PASSWORD_ALGORITHMS, &list);
	bool has_chosen = sl_stun_find(r->msg, SL_STUN_PASSWORD_ALGORITHM, &chosen);
	uint16_t algorithm = SL_STUN_MD5;

	if (realm->n_algorithms > 0 && (has_list || has_chosen)) {
		if (!has_list || !has_chosen || !is_our_list(realm, &list) || chosen.len < 4)
			return 400;
		algorithm = sl_get16(chosen.data);
		if (!offers(realm, algorithm))
			return 400;
	}
	if (!offers(realm, algorithm))
		return 401;
	r->key.len = algorithm == SL_STUN_MD5 ? MD5_KEY : SHA256_KEY;
	return 0;
}

/* ---- static users */

static bool is_static_name(const struct sl_hnode *node, const void *key)
{
	const struct turn_static *s = SL_CONTAINER(node, struct turn_static, by_name);

	return sl_str_eq(s->user->name, *(const struct sl_str *)key);
}

static bool is_static_hash(const struct sl_hnode *node, const void *key)
{
	const struct turn_static *s = SL_CONTAINER(node, struct turn_static, by_hash);

	return memcmp(s->userhash, key, sizeof s->userhash) == 0;
}

static int index_static(struct turn_realm *realm, struct turn_static *s)
{
	const struct sl_str name = s->user->name;
	int err;

	sl_stun_userhash(s->userhash, name, realm->conf->name);
	err = sl_htab_insert(&realm->statics, &s->by_name, sl_hash(name.p, name.len));
	if (err < 0)
		return err;
	return sl_htab_insert(&realm->userhashes, &s->by_hash,
			      sl_hash(s->userhash, sizeof s->userhash));
}

int turn_index_statics(struct turn_realm *realm)
{
	const struct sl_turn_realm *conf = realm->conf;
	int err = 0;

	if (conf->n_users == 0)
		return 0;
	realm->static_users = calloc(conf->n_users, sizeof *realm->static_users);
	if (!realm->static_users)
		return -SL_ENOMEM;
	for (unsigned i = 0; i < conf->n_users && err == 0; i++) {
		realm->static_users[i].user = &conf->users[i];
		err = index_static(realm, &realm->static_users[i]);
	}
	return err;
}

static const struct sl_turn_user *find_static(const struct turn_realm *realm, struct sl_str name,
					      uint64_t hash)
{
	struct sl_hnode *node = sl_htab_find(&realm->statics, hash, is_static_name, &name);

	return node ? SL_CONTAINER(node, struct turn_static, by_name)->user : NULL;
}

static struct sl_str name_of_hash(const struct turn_realm *realm, const struct sl_stun_attr *hash)
{
	struct sl_hnode *node;

	if (hash->len != TURN_USERHASH_BYTES)
		return SL_STR_NULL;
	node = sl_htab_find(&realm->userhashes, sl_hash(hash->data, hash->len), is_static_hash,
			    hash->data);
	return node ? SL_CONTAINER(node, struct turn_static, by_hash)->user->name : SL_STR_NULL;
}

/* ---- time-limited names */

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

/* ---- proof */

static bool key_fits(const struct turn_req *r)
{
	const struct sl_str key = {(const char *)r->key.bytes, r->key.len};

	if (r->sha256)
		return sl_stun_check_integrity_sha256(r->msg, key) == 0;
	return sl_stun_check_integrity(r->msg, key) == 0;
}

static bool proves(struct turn_req *r, struct sl_str password)
{
	const struct sl_str realm = r->realm->conf->name;

	if (r->key.len == MD5_KEY)
		sl_stun_long_term_key(r->key.bytes, r->username, realm, password);
	else
		sl_stun_long_term_key_sha256(r->key.bytes, r->username, realm, password);
	return key_fits(r);
}

static bool proves_some_secret(struct turn_req *r)
{
	const struct sl_turn_realm *conf = r->realm->conf;
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

	if (!a || a->username_hash != r->username_hash || a->key.len != r->key.len)
		return false;
	r->key = a->key;
	return key_fits(r);
}

/*
 * The key of a token as it is (RFC 7635 section 4), or its first 16 bytes, which is what coturn's
 * server and clients take for one; 128 bits prove no less.
 */
static bool token_key_fits(struct turn_req *r)
{
	if (key_fits(r))
		return true;
	r->key.len = MD5_KEY;
	return key_fits(r);
}

static bool proves_credentials(struct turn_req *r)
{
	const struct sl_turn_user *user;
	uint64_t expires;

	if (turn_bears_token(r))
		return turn_token_key(r) && token_key_fits(r);
	if (proves_key_of_allocation(r))
		return true;
	user = find_static(r->realm, r->username, r->username_hash);
	if (user)
		return proves(r, user->password);
	if (!name_expiry(r->username, &expires) || expires <= r->unix_s)
		return false;
	return proves_some_secret(r);
}

/* ---- the request */

/* Without a name, r->username stays empty: a hash that is nobody's. */
static unsigned read_user(struct turn_req *r)
{
	struct sl_stun_attr name, hash, realm, nonce;
	bool has_name = sl_stun_find(r->msg, SL_STUN_USERNAME, &name);
	bool has_hash = sl_stun_find(r->msg, SL_STUN_USERHASH, &hash);

	if (has_name == has_hash || !sl_stun_find(r->msg, SL_STUN_REALM, &realm) ||
	    !sl_stun_find(r->msg, SL_STUN_NONCE, &nonce))
		return 400;
	if (!turn_nonce_is_fresh(r, (struct sl_str){(const char *)nonce.data, nonce.len}))
		return 438;
	r->username = has_name ? (struct sl_str){(const char *)name.data, name.len}
			       : name_of_hash(r->realm, &hash);
	r->username_hash = sl_hash(r->username.p, r->username.len);
	return turn_bears_token(r) ? 0 : read_algorithm(r);
}

unsigned turn_authenticate(struct turn_req *r)
{
	struct sl_stun_attr mac;
	unsigned code;

	if (!r->realm->conf->auth)
		return 0;
	if (!sl_stun_is_signed(r->msg)) {
		r->t->counters.challenges++;
		return 401;
	}
	r->sha256 = sl_stun_find(r->msg, SL_STUN_MESSAGE_INTEGRITY_SHA256, &mac);
	code = read_user(r);
	if (code == 0 && (r->username.len > MAX_USERNAME || !proves_credentials(r)))
		code = 401;
	if (code == 401)
		r->t->counters.auth_failures++;
	r->proven = code == 0;
	return code;
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
