/*
 * turn-relay/realm.c: realms: their directives, what each takes over from the main block, and which
 * one a client has come to.
 *
 * The main block is realm 0; `realms` are the others. Settings that a realm leaves out are those of
 * the main block, credentials never: who is known in one realm is a stranger in the next. A
 * listener names its realm, and over TLS the name that the client asked for goes first.
 */
#include "relay.h"

#include <stdio.h>
#include <stdlib.h>

#define LIMIT_MAX 10000000

const struct sl_directive limit_fields[] = {
	SL_FIELD(struct relay_limit, allocations, SL_T_INT, .dflt = "0", .min = 0, .max = LIMIT_MAX,
		 .doc = "Allocations at a time; 0: no limit."),
	SL_FIELD(struct relay_limit, permissions, SL_T_INT, .dflt = "0", .min = 0, .max = LIMIT_MAX,
		 .doc = "Permissions of all of its allocations; 0: no limit."),
	SL_FIELD(struct relay_limit, channels, SL_T_INT, .dflt = "0", .min = 0, .max = LIMIT_MAX,
		 .doc = "Channels of all of its allocations; 0: no limit."),
	SL_FIELD(struct relay_limit, bps, SL_T_INT, .dflt = "0", .min = 0,
		 .max = INT64_C(1000000000000),
		 .doc = "Bits of payload a second in each direction; what is over is dropped. 0: "
			"no limit."),
	SL_DIRS_END,
};

const struct sl_directive token_key_fields[] = {
	SL_FIELD(struct relay_token_key, kid, SL_T_STR, .required = true, .min = 1, .max = 64,
		 .doc = "Id of the key: the USERNAME of those who bear a token made with it."),
	SL_FIELD(struct relay_token_key, key, SL_T_SECRET, .required = true, .min = 1, .max = 64,
		 .doc = "The key in base64: 32 bytes for AES-256-GCM, 16 for AES-128-GCM."),
	SL_DIRS_END,
};

/* Names are those of the main block's directives, so that inheritance is a matter of names. */
const struct sl_directive realm_fields[] = {
	SL_FIELD(struct relay_realm, realm, SL_T_STR, .required = true, .min = 1, .max = 127,
		 .doc = "REALM that its clients are told."),
	SL_FIELD(struct relay_realm, server_names, SL_T_STR, .list = true, .max = 64,
		 .doc = "Names in TLS hellos that choose this realm, on any listener; \"*.\" in "
			"front: every name below."),
	SL_FIELD(struct relay_realm, secrets, SL_T_SECRET, .list = true, .max = 16,
		 .doc = "As in the main block, not inherited."),
	SL_FIELD(struct relay_realm, users, SL_T_RECORD, .list = true, .fields = user_fields,
		 .record_bytes = sizeof(struct relay_user),
		 .doc = "As in the main block, not inherited."),
	SL_FIELD(struct relay_realm, token_keys, SL_T_RECORD, .list = true, .max = 16,
		 .fields = token_key_fields, .record_bytes = sizeof(struct relay_token_key),
		 .doc = "As in the main block, not inherited."),
	SL_FIELD(struct relay_realm, token_server, SL_T_STR, .max = 255,
		 .doc = "As in the main block, not inherited; unset: the name of this realm."),
	SL_FIELD(struct relay_realm, password_algorithms, SL_T_ENUM, .list = true,
		 .names = algorithm_names, .min = 1, .max = 2,
		 .doc = "Unset, as all that follows: as in the main block."),
	SL_FIELD(struct relay_realm, userhash, SL_T_BOOL, .doc = "Ask for USERHASH."),
	SL_FIELD(struct relay_realm, deny_peers, SL_T_CIDR, .list = true, .max = 1024,
		 .doc = "Instead of the main block's."),
	SL_FIELD(struct relay_realm, allow_peers, SL_T_CIDR, .list = true, .max = 1024,
		 .doc = "Instead of the main block's."),
	SL_FIELD(struct relay_realm, default_lifetime, SL_T_MSEC, .min = 60000, .max = 86400000,
		 .doc = "Life of an allocation whose client does not ask for more."),
	SL_FIELD(struct relay_realm, max_lifetime, SL_T_MSEC, .min = 60000, .max = 86400000,
		 .doc = "The most a client can ask for."),
	SL_FIELD(struct relay_realm, user_quota, SL_T_INT, .min = 0, .max = 1000000,
		 .doc = "Allocations of one user."),
	SL_FIELD(struct relay_realm, max_permissions, SL_T_INT, .min = 1, .max = 65536,
		 .doc = "Permissions of one allocation."),
	SL_FIELD(struct relay_realm, max_channels, SL_T_INT, .min = 1, .max = 4096,
		 .doc = "Channels of one allocation."),
	SL_FIELD(struct relay_realm, allocation_bps, SL_T_INT, .min = 0,
		 .max = INT64_C(1000000000000), .doc = "Bits a second of one allocation."),
	SL_FIELD(struct relay_realm, user_limits, SL_T_RECORD, .fields = limit_fields,
		 .doc = "Of one user."),
	SL_FIELD(struct relay_realm, source_limits, SL_T_RECORD, .fields = limit_fields,
		 .doc = "Of one source address."),
	SL_FIELD(struct relay_realm, realm_limits, SL_T_RECORD, .fields = limit_fields,
		 .doc = "Of the realm."),
	SL_DIRS_END,
};

/* ---- from the main block */

static const struct sl_directive *main_directive(const char *name)
{
	for (const struct sl_directive *d = relay_directives; d->name; d++)
		if (strcmp(d->name, name) == 0)
			return d;
	return NULL;
}

static bool is_credential(const char *name)
{
	static const char *const names[] = {"secrets", "users", "token_keys", "token_server"};

	for (size_t i = 0; i < SL_ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static void copy_member(struct relay_realm *to, const struct sl_directive *field,
			const struct relay_conf *from)
{
	const struct sl_directive *d = main_directive(field->name);

	if (d && sl_check(d->bytes == field->bytes))
		memcpy((char *)to + field->offset, (const char *)from + d->offset, d->bytes);
}

/* In check(), where it is known what was written. */
void realm_inherit(const struct sl_conf *c, const struct relay_conf *rc, size_t index)
{
	struct relay_realm *realm = SL_LIST_AT(rc->realms, struct relay_realm, index);
	char path[96];

	realm->auth = true;
	for (const struct sl_directive *f = realm_fields; f->name; f++) {
		snprintf(path, sizeof path, "realms[%zu].%s", index, f->name);
		if (!sl_conf_is_set(c, path) && !is_credential(f->name))
			copy_member(realm, f, rc);
	}
}

static struct relay_realm main_realm(const struct relay_conf *rc)
{
	struct relay_realm realm = {.auth = rc->auth};

	for (const struct sl_directive *f = realm_fields; f->name; f++)
		copy_member(&realm, f, rc);
	return realm;
}

/* ---- for the engine */

static int set_users(struct sl_turn_realm *to, const struct sl_list *from)
{
	struct sl_turn_user *users = calloc(from->n + 1, sizeof *users);

	if (!users)
		return -SL_ENOMEM;
	for (size_t i = 0; i < from->n; i++) {
		const struct relay_user *u = SL_LIST_AT(*from, struct relay_user, i);

		users[i] = (struct sl_turn_user){u->name, u->password};
	}
	to->users = users;
	to->n_users = (unsigned)from->n;
	return 0;
}

int realm_token_key(struct sl_str text, uint8_t ret_key[32])
{
	size_t len;

	if (sl_base64_decode(ret_key, 32, sl_str_trim(text), &len) < 0 || (len != 16 && len != 32))
		return -SL_EINVAL;
	return (int)len;
}

/* The keys lie behind their array, and go with it. */
static int set_token_keys(struct sl_turn_realm *to, const struct relay_realm *from)
{
	const size_t n = from->token_keys.n, bytes = n * sizeof *to->token_keys;
	struct sl_turn_token_key *keys = calloc(1, bytes + n * 32 + 1);
	uint8_t *at = (uint8_t *)keys + bytes;

	if (!keys)
		return -SL_ENOMEM;
	to->token_keys = keys;
	to->n_token_keys = (unsigned)n;
	to->token_server = from->token_server.len > 0 ? from->token_server : from->realm;
	for (size_t i = 0; i < n; i++, at += 32) {
		const struct relay_token_key *k =
			SL_LIST_AT(from->token_keys, struct relay_token_key, i);
		int len = realm_token_key(k->key, at);

		if (!sl_check(len > 0)) /* looked at when the configuration was */
			return -SL_EBUG;
		keys[i] = (struct sl_turn_token_key){k->kid, {(const char *)at, (size_t)len}};
	}
	return 0;
}

static void drop_token_keys(struct sl_turn_realm *realm)
{
	const size_t n = realm->n_token_keys;
	void *keys = (void *)(uintptr_t)realm->token_keys;

	if (keys)
		sl_wipe(keys, n * (sizeof *realm->token_keys + 32));
	free(keys);
}

/* MD5 alone is what clients expect that are told nothing. */
static void set_algorithms(struct sl_turn_realm *to, const struct sl_list *from)
{
	for (size_t i = 0; i < from->n; i++)
		to->algorithms[i] = (uint8_t)(*SL_LIST_AT(*from, int32_t, i) + SL_STUN_MD5);
	if (from->n > 1 || to->algorithms[0] != SL_STUN_MD5)
		to->n_algorithms = (unsigned)from->n;
}

/* Allocations are counted over the whole node, with the session table: granted() asks for them. */
static struct sl_turn_limit limit_of(const struct relay_limit *from)
{
	return (struct sl_turn_limit){
		.permissions = (uint32_t)from->permissions,
		.channels = (uint32_t)from->channels,
		.bps = (uint64_t)from->bps,
	};
}

/* An equal part for each worker. */
struct sl_turn_limit limit_share(const struct turn_relay *m, const struct relay_limit *total)
{
	const struct relay_limit part = {
		.permissions = relay_share(m, total->permissions),
		.channels = relay_share(m, total->channels),
		.bps = relay_share(m, total->bps),
	};

	return limit_of(&part);
}

static int realm_set(const struct turn_relay *m, const struct relay_realm *from,
		     struct sl_turn_realm *to)
{
	int err;

	*to = (struct sl_turn_realm){
		.name = from->realm,
		.secrets = from->secrets.items,
		.n_secrets = (unsigned)from->secrets.n,
		.auth = from->auth,
		.userhash = from->userhash,
		.default_lifetime_s = (uint32_t)(from->default_lifetime / 1000),
		.max_lifetime_s = (uint32_t)(from->max_lifetime / 1000),
		.limits =
			{
				[SL_TURN_PER_ALLOCATION] = {.permissions =
								    (uint32_t)from->max_permissions,
							    .channels =
								    (uint32_t)from->max_channels,
							    .bps = (uint64_t)from->allocation_bps},
				[SL_TURN_PER_USER] = limit_of(&from->user_limits),
				[SL_TURN_PER_SOURCE] = limit_of(&from->source_limits),
				[SL_TURN_PER_REALM] = limit_share(m, &from->realm_limits),
			},
		.deny_peers = from->deny_peers.items,
		.n_deny = (unsigned)from->deny_peers.n,
		.allow_peers = from->allow_peers.items,
		.n_allow = (unsigned)from->allow_peers.n,
	};
	set_algorithms(to, &from->password_algorithms);
	err = set_token_keys(to, from);
	return err < 0 ? err : set_users(to, &from->users);
}

int realms_open(struct turn_relay *m)
{
	const struct sl_list *others = &m->conf->realms;
	int err;

	m->n_realms = (unsigned)others->n + 1;
	m->realms = calloc(m->n_realms, sizeof *m->realms);
	m->engine_realms = calloc(m->n_realms, sizeof *m->engine_realms);
	if (!m->realms || !m->engine_realms)
		return -SL_ENOMEM;
	m->realms[0] = main_realm(m->conf);
	for (unsigned i = 1; i < m->n_realms; i++)
		m->realms[i] = *SL_LIST_AT(*others, struct relay_realm, i - 1);
	for (unsigned i = 0; i < m->n_realms; i++) {
		err = realm_set(m, &m->realms[i], &m->engine_realms[i]);
		if (err < 0)
			return err;
	}
	m->engine_realms[0].secrets = m->secrets;
	m->engine_realms[0].n_secrets = m->n_secrets;
	return 0;
}

void realms_close(struct turn_relay *m)
{
	for (unsigned i = 0; m->engine_realms && i < m->n_realms; i++) {
		free((void *)m->engine_realms[i].users); /* ours; const for the engine */
		drop_token_keys(&m->engine_realms[i]);
	}
	free(m->engine_realms);
	free(m->realms);
	m->engine_realms = NULL;
	m->realms = NULL;
}

/* ---- whose client is it? */

static unsigned realm_named(const struct turn_relay *m, struct sl_str name)
{
	for (unsigned i = 1; i < m->n_realms; i++)
		if (sl_str_eq(m->realms[i].realm, name))
			return i;
	return 0;
}

int realm_by_name(const struct turn_relay *m, struct sl_str name, unsigned *ret_realm)
{
	unsigned realm = realm_named(m, name);

	if (!sl_str_eq(m->realms[realm].realm, name))
		return -SL_ENOENT;
	*ret_realm = realm;
	return 0;
}

/* The main realm, unless the listener's block names another. */
static unsigned realm_of_listener(const struct turn_relay *m, const struct sl_listener *l)
{
	const struct relay_conf *conf;

	if (m->n_realms == 1)
		return 0;
	conf = sl_listener_conf(m->worker, l, "turn-relay");
	return conf ? realm_named(m, conf->realm) : 0;
}

/* "turn.example.org", or "*.example.org" for every name below. */
static bool name_fits(struct sl_str pattern, struct sl_str name)
{
	const struct sl_str rest = {pattern.p + 1, pattern.len - 1};

	if (pattern.len < 2 || pattern.p[0] != '*')
		return sl_str_eq_nocase(pattern, name);
	return name.len > rest.len &&
	       sl_str_eq_nocase((struct sl_str){name.p + name.len - rest.len, rest.len}, rest);
}

/* Whose server_names have it; without one, the listener's. */
static unsigned realm_at(const struct turn_relay *m, const struct sl_listener *l,
			 struct sl_str name)
{
	for (unsigned i = 1; name.len > 0 && i < m->n_realms; i++) {
		const struct sl_list *names = &m->realms[i].server_names;

		for (size_t k = 0; k < names->n; k++)
			if (name_fits(*SL_LIST_AT(*names, struct sl_str, k), name))
				return i;
	}
	return realm_of_listener(m, l);
}

unsigned realm_of_conn(const struct turn_relay *m, const struct sl_conn *c)
{
	if (m->n_realms == 1)
		return 0;
	return realm_at(m, sl_conn_listener(c), sl_conn_server_name(c));
}

unsigned realm_of_packet(const struct turn_relay *m, const struct sl_packet *p)
{
	const struct sl_listener *l = sl_udp_listener(p->udp);

	if (m->n_realms == 1)
		return 0;
	return realm_at(m, l, p->assoc ? sl_assoc_server_name(p->assoc) : SL_STR_NULL);
}
