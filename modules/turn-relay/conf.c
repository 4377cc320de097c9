/*
 * turn-relay/conf.c: the directives, and the engine's configuration made from them.
 */
#include "relay.h"

#include <stdio.h>
#include <sluice/rtc.h>

const struct sl_directive user_fields[] = {
	SL_FIELD(struct relay_user, name, SL_T_STR, .required = true, .min = 1, .max = 256,
		 .doc = "USERNAME."),
	SL_FIELD(struct relay_user, password, SL_T_SECRET, .required = true, .min = 1, .max = 256,
		 .doc = "Password of the long-term credential."),
	SL_DIRS_END,
};

/* In the order of enum sl_stun_algorithm, which begins at 1. */
const char *const algorithm_names[] = {"md5", "sha256", NULL};

/* In the order of enum sl_offload_mode. */
static const char *const offload_names[] = {"auto", "tc", "xdp", "off", NULL};

const struct sl_directive relay_directives[] = {
	SL_DIR(struct relay_conf, realm, SL_T_STR, SL_S_MAIN | SL_S_LISTEN, .dflt = "sluice",
	       .min = 1, .max = 127,
	       .doc = "REALM that clients are told; part of their keys. In a listener: which of "
		      "realms its clients come to; unset: this one."),
	SL_DIR(struct relay_conf, realms, SL_T_RECORD, SL_S_MAIN, .list = true, .max = 1024,
	       .fields = realm_fields, .record_bytes = sizeof(struct relay_realm),
	       .doc = "Further realms on this node, each with its own credentials and limits."),
	SL_DIR(struct relay_conf, secrets, SL_T_SECRET, SL_S_MAIN, .list = true, .max = 16,
	       .doc = "Secrets for time-limited credentials: username \"expiry[:id]\", password "
		      "base64(HMAC-SHA1(secret, username)). Several at once, so that they can be "
		      "exchanged while old credentials live."),
	SL_DIR(struct relay_conf, users, SL_T_RECORD, SL_S_MAIN, .list = true,
	       .fields = user_fields, .record_bytes = sizeof(struct relay_user),
	       .doc = "Static users."),
	SL_DIR(struct relay_conf, token_keys, SL_T_RECORD, SL_S_MAIN, .list = true, .max = 16,
	       .fields = token_key_fields, .record_bytes = sizeof(struct relay_token_key),
	       .doc = "Keys of access tokens (RFC 7635), shared with the authorization servers "
		      "that make them. Several at once, so that they can be exchanged."),
	SL_DIR(struct relay_conf, token_server, SL_T_STR, SL_S_MAIN, .max = 255,
	       .doc = "What this server is called in access tokens, and in "
		      "THIRD-PARTY-AUTHORIZATION. Unset: the realm."),
	SL_DIR(struct relay_conf, auth, SL_T_BOOL, SL_S_MAIN, .dflt = "on",
	       .doc = "Off makes an open relay: everybody may use it. For tests and closed "
		      "networks."),
	SL_DIR(struct relay_conf, password_algorithms, SL_T_ENUM, SL_S_MAIN, .list = true,
	       .names = algorithm_names, .dflt = "[sha256, md5]", .min = 1, .max = 2,
	       .doc = "How a client's key may be made, best first (RFC 8489 section 9.2). Clients "
		      "of RFC 5389, browsers among them, know md5 only and need it in the list; "
		      "md5 "
		      "alone keeps challenges 28 bytes shorter."),
	SL_DIR(struct relay_conf, userhash, SL_T_BOOL, SL_S_MAIN, .dflt = "off",
	       .doc = "Ask clients of RFC 8489 to send a hash in place of their name. Works for "
		      "static users only."),
	SL_DIR(struct relay_conf, ports, SL_T_PORTS, SL_S_MAIN, .dflt = "49152-65535",
	       .doc = "Ports of relay sockets."),
	SL_DIR(struct relay_conf, external, SL_T_ADDR, SL_S_MAIN, .list = true, .max = 8,
	       .doc = "Public address, at most one per family, of a host behind 1:1 NAT: what "
		      "clients are told instead of the relay's own."),
	SL_DIR(struct relay_conf, relay_addresses, SL_T_ADDR, SL_S_MAIN, .list = true, .max = 8,
	       .doc = "Local addresses of relay sockets, the first of each family counts. Unset: "
		      "the address that the client came to, or one of this host in the family "
		      "asked for."),
	SL_DIR(struct relay_conf, ipv4, SL_T_BOOL, SL_S_MAIN, .dflt = "on",
	       .doc = "Offer IPv4 relays."),
	SL_DIR(struct relay_conf, ipv6, SL_T_BOOL, SL_S_MAIN, .dflt = "on",
	       .doc = "Offer IPv6 relays, where this host has an address."),
	SL_DIR(struct relay_conf, deny_peers, SL_T_CIDR, SL_S_MAIN, .list = true, .max = 1024,
	       .dflt = "[0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, "
		       "172.16.0.0/12, 192.0.0.0/24, 192.168.0.0/16, 224.0.0.0/4, 240.0.0.0/4, "
		       "\"::/96\", \"64:ff9b::/96\", \"64:ff9b:1::/48\", \"2001::/32\", "
		       "\"2002::/16\", \"fc00::/7\", \"fe80::/10\", \"ff00::/8\"]",
	       .doc = "Peers nobody may talk to. The default closes loopback, link-local, private, "
		      "multicast and reserved blocks and the IPv6 forms in which IPv4 addresses "
		      "hide. Of the node's own addresses only relay ports are open; addresses of "
		      "cloud metadata are closed whatever stands here."),
	SL_DIR(struct relay_conf, allow_peers, SL_T_CIDR, SL_S_MAIN, .list = true, .max = 1024,
	       .doc = "Exceptions from deny_peers and from the denial of the node's own "
		      "addresses. An address of cloud metadata is opened by an entry for itself "
		      "only."),
	SL_DIR(struct relay_conf, recheck_peers, SL_T_BOOL, SL_S_MAIN, .dflt = "off",
	       .doc = "With the reload that brings other lists of peers, end standing permissions "
		      "and channels to peers that these deny, in generations that drain as well. "
		      "Off: they end within five minutes, since they are not renewed."),
	SL_DIR(struct relay_conf, default_lifetime, SL_T_MSEC, SL_S_MAIN, .dflt = "10m",
	       .min = 60000, .max = 86400000,
	       .doc = "Life of an allocation whose client does not ask for more."),
	SL_DIR(struct relay_conf, max_lifetime, SL_T_MSEC, SL_S_MAIN, .dflt = "1h", .min = 60000,
	       .max = 86400000, .doc = "The most a client can ask for; then it has to refresh."),
	SL_DIR(struct relay_conf, nonce_lifetime, SL_T_MSEC, SL_S_MAIN, .dflt = "1h", .min = 30000,
	       .max = 86400000,
	       .doc = "After this a client's nonce is stale (438) and it is given a new one."),
	SL_DIR(struct relay_conf, user_quota, SL_T_INT, SL_S_MAIN, .dflt = "0", .min = 0,
	       .max = 1000000,
	       .doc = "Allocations of one user on this node (486 beyond). Of a time-limited name "
		      "the part behind the expiry counts. 0: no limit."),
	SL_DIR(struct relay_conf, max_allocations, SL_T_INT, SL_S_MAIN, .dflt = "0", .min = 0,
	       .max = 10000000,
	       .doc = "Allocations in total (508 beyond), in equal shares for the workers. 0: no "
		      "limit but max_sessions."),
	SL_DIR(struct relay_conf, alternates, SL_T_ADDR, SL_S_MAIN, .list = true, .max = 64,
	       .doc = "Other servers (address and port) that clients are sent to in turn (300) "
		      "when "
		      "this one drains, is full, or has alternate_above allocations. The list may "
		      "name this server too; it is left out."),
	SL_DIR(struct relay_conf, alternate_above, SL_T_INT, SL_S_MAIN, .dflt = "0", .min = 0,
	       .max = 10000000,
	       .doc = "Allocations, in equal shares for the workers, above which clients are sent "
		      "to the alternates. 0: only when draining or full."),
	SL_DIR(struct relay_conf, alternate_domain, SL_T_STR, SL_S_MAIN, .max = 253,
	       .doc = "Name in the certificates of the alternates, for clients over TLS."),
	SL_DIR(struct relay_conf, alternate_probe, SL_T_MSEC, SL_S_MAIN, .dflt = "5s", .min = 0,
	       .max = 3600000,
	       .doc = "Alternates are asked this often (STUN Binding over UDP), and clients are "
		      "sent to those only that answer. One that does not is asked up to 16 times "
		      "less often. 0: never asked, and all are used."),
	SL_DIR(struct relay_conf, max_permissions, SL_T_INT, SL_S_MAIN, .dflt = "256", .min = 1,
	       .max = 65536, .doc = "Permissions of one allocation."),
	SL_DIR(struct relay_conf, max_channels, SL_T_INT, SL_S_MAIN, .dflt = "256", .min = 1,
	       .max = 4096, .doc = "Channels of one allocation."),
	SL_DIR(struct relay_conf, allocation_bps, SL_T_INT, SL_S_MAIN, .dflt = "0", .min = 0,
	       .max = INT64_C(1000000000000),
	       .doc = "Bits of payload a second of one allocation, in each direction; what is "
		      "over is dropped. 0: no limit."),
	SL_DIR(struct relay_conf, user_limits, SL_T_RECORD, SL_S_MAIN, .fields = limit_fields,
	       .doc = "What one user may have. Its allocations are user_quota, unless given here; "
		      "they count over the whole node, the rest in each worker."),
	SL_DIR(struct relay_conf, source_limits, SL_T_RECORD, SL_S_MAIN, .fields = limit_fields,
	       .doc = "What one source address may have (IPv6: a /64), counted in the same way."),
	SL_DIR(struct relay_conf, realm_limits, SL_T_RECORD, SL_S_MAIN, .fields = limit_fields,
	       .doc = "What a realm may have: allocations over the whole node (508 beyond), the "
		      "rest in equal shares for the workers."),
	SL_DIR(struct relay_conf, total_limits, SL_T_RECORD, SL_S_MAIN, .fields = limit_fields,
	       .doc = "What all may have together, in equal shares for the workers. Its "
		      "allocations are max_allocations, unless given here."),
	SL_DIR(struct relay_conf, tcp_relays, SL_T_BOOL, SL_S_MAIN, .dflt = "on",
	       .doc = "Relay TCP, too, for clients over TCP and TLS that ask for it (RFC 6062)."),
	SL_DIR(struct relay_conf, max_connections, SL_T_INT, SL_S_MAIN, .dflt = "32", .min = 1,
	       .max = 65536,
	       .doc = "Connections of one TCP relay with its peers, those included that wait for "
		      "their client (508 beyond; those of peers are closed)."),
	SL_DIR(struct relay_conf, mobility, SL_T_BOOL, SL_S_MAIN, .dflt = "on",
	       .doc = "Give tickets to clients that ask for one, by which an allocation follows "
		      "them to another address (RFC 8016). Off: 405."),
	SL_DIR(struct relay_conf, carry_dscp, SL_T_BOOL, SL_S_MAIN, .dflt = "on",
	       .doc = "Carry DSCP and ECN of every packet on to the other side, as RFC 8656 "
		      "section 14 prefers. Off saves some 200 ns a packet: only those of clients "
		      "on "
		      "listeners with a wildcard address are carried then, where it costs "
		      "nothing."),
	SL_DIR(struct relay_conf, carry_ttl, SL_T_BOOL, SL_S_MAIN, .dflt = "off",
	       .doc = "Send packets on with the TTL or hop limit that they came with, less one, "
		      "and drop those that have none left; some 300 ns a packet. Off: TTLs begin "
		      "anew, which RFC 8656 allows."),
	SL_DIR(struct relay_conf, challenge_rate, SL_T_INT, SL_S_MAIN, .dflt = "300", .min = 0,
	       .max = 1000000,
	       .doc = "Requests without valid credentials that a worker answers a second to one "
		      "prefix (IPv4 /24, IPv6 /56) over UDP; the answer to a spoofed one goes to "
		      "somebody else. All such answers together are also kept below what was "
		      "received, but for 16 KiB a second. 0: no limit, of either kind."),
	SL_DIR(struct relay_conf, credential_lifetime, SL_T_MSEC, SL_S_MAIN, .dflt = "1h",
	       .min = 60000, .max = 86400000,
	       .doc = "Validity of the credentials that this node gives to clients of its own "
		      "signalling."),
	SL_DIR(struct relay_conf, credentials_path, SL_T_STR, SL_S_MAIN, .max = 255,
	       .doc = "Where applications get such credentials by POST with a token that "
		      "signaling-ws takes (auth: jwt), for instance /turn/credentials. Needs the "
		      "module http before this one. Empty: nowhere."),
	SL_DIR(struct relay_conf, public_host, SL_T_STR, SL_S_MAIN, .max = 255,
	       .doc = "Name or address of this node in the URLs given to those clients. Unset: "
		      "what they connected to."),
	SL_DIR(struct relay_conf, idle_timeout, SL_T_MSEC, SL_S_MAIN, .dflt = "60s", .min = 1000,
	       .max = 3600000,
	       .doc = "A connection without an allocation is closed after this silence."),
	SL_DIR(struct relay_conf, buffer, SL_T_SIZE, SL_S_MAIN, .dflt = "0", .max = 16 << 20,
	       .doc = "Kernel buffers of a relay socket, each direction. 0: the system's default."),
	SL_DIR(struct relay_conf, offload, SL_T_ENUM, SL_S_MAIN, .names = offload_names,
	       .dflt = "auto",
	       .doc = "Whether the kernel relays established channels by itself: tc by a program "
		      "at the ingress of interfaces (Linux 6.6), xdp by one in their drivers, auto "
		      "as tc where that is possible. What is relayed so passes no packet filter of "
		      "the host."),
	SL_DIR(struct relay_conf, software, SL_T_STR, SL_S_MAIN, .max = 127,
	       .doc = "SOFTWARE attribute for clients that have authenticated. Empty: none."),
	SL_DIRS_END,
};

static void check_addresses(struct sl_conf *c, const char *path, const struct sl_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (SL_LIST_AT(*list, struct sl_addr, i)->port != 0)
			sl_conf_error(
				c, path,
				"an address without port is wanted; ports are given by \"ports\"");
}

/* path: of the list, with what precedes it. */
static void check_token_keys(struct sl_conf *c, const char *path, const struct sl_list *keys)
{
	uint8_t key[32];
	char where[96];

	for (size_t i = 0; i < keys->n; i++) {
		const struct relay_token_key *k = SL_LIST_AT(*keys, struct relay_token_key, i);

		if (realm_token_key(k->key, key) > 0)
			continue;
		snprintf(where, sizeof where, "%s[%zu].key", path, i);
		sl_conf_error(
			c, where,
			"is not 16 or 32 bytes in base64; `openssl rand -base64 32` makes one");
	}
	sl_wipe(key, sizeof key);
}

static void check_credentials(struct sl_conf *c, const struct relay_conf *rc)
{
	const struct sl_list *algorithms = &rc->password_algorithms;

	check_token_keys(c, "token_keys", &rc->token_keys);
	if (algorithms->n == 2 &&
	    *SL_LIST_AT(*algorithms, int32_t, 0) == *SL_LIST_AT(*algorithms, int32_t, 1))
		sl_conf_error(c, "password_algorithms", "names the same algorithm twice");
	if (rc->userhash && rc->users.n == 0)
		sl_conf_error(c, "userhash", "there are no users to be found by their hash");
	else if (rc->userhash && rc->secrets.n > 0)
		sl_conf_warn(c, "userhash",
			     "clients that send a hash cannot use time-limited names");
}

static void check_alternates(struct sl_conf *c, const struct relay_conf *rc)
{
	for (size_t i = 0; i < rc->alternates.n; i++)
		if (SL_LIST_AT(rc->alternates, struct sl_addr, i)->port == 0)
			sl_conf_error(c, "alternates", "an address with its port is wanted");
	if (rc->alternates.n == 0 && rc->alternate_above > 0)
		sl_conf_error(c, "alternate_above", "there are no alternates to send clients to");
}

/* In a listener's block. The main realm is known to the main block only. */
static void check_choice(struct sl_conf *c, const struct relay_conf *rc)
{
	for (size_t i = 0; i < rc->realms.n; i++)
		if (sl_str_eq(SL_LIST_AT(rc->realms, struct relay_realm, i)->realm, rc->realm))
			return;
	sl_conf_error(c, "realm",
		      "\"%.*s\" is none of turn-relay.realms; leave it out for the main realm",
		      SL_FMT(rc->realm));
}

static void check_realm(struct sl_conf *c, const struct relay_conf *rc, size_t index)
{
	const struct relay_realm *realm = SL_LIST_AT(rc->realms, struct relay_realm, index);
	char path[64];

	realm_inherit(c, rc, index);
	snprintf(path, sizeof path, "realms[%zu].realm", index);
	if (sl_str_eq(realm->realm, rc->realm))
		sl_conf_error(c, path, "is the name of the main realm");
	for (size_t i = 0; i < index; i++)
		if (sl_str_eq(SL_LIST_AT(rc->realms, struct relay_realm, i)->realm, realm->realm))
			sl_conf_error(c, path, "stands twice");
	snprintf(path, sizeof path, "realms[%zu]", index);
	if (realm->max_lifetime < realm->default_lifetime)
		sl_conf_error(c, path, "max_lifetime is below default_lifetime");
	if (realm->secrets.n + realm->users.n + realm->token_keys.n == 0)
		sl_conf_warn(c, path, "has no users, secrets or token_keys: nobody can use it");
	snprintf(path, sizeof path, "realms[%zu].token_keys", index);
	check_token_keys(c, path, &realm->token_keys);
}

int relay_check(struct sl_conf *c, void *conf)
{
	const struct relay_conf *rc = conf;

	if (sl_conf_is_below(c)) {
		if (sl_conf_is_set(c, "realm"))
			check_choice(c, rc);
		return 0;
	}
	for (size_t i = 0; i < rc->realms.n; i++)
		check_realm(c, rc, i);
	sl_conf_want_offload(c, (enum sl_offload_mode)rc->offload);
	check_credentials(c, rc);
	check_alternates(c, rc);
	if (!rc->auth)
		sl_conf_warn(c, "auth",
			     "off: everybody who reaches a listener can relay through this host");
	if (rc->max_lifetime < rc->default_lifetime)
		sl_conf_error(c, "max_lifetime", "is below default_lifetime");
	if (!rc->ipv4 && !rc->ipv6)
		sl_conf_error(c, "ipv4", "ipv4 and ipv6 are both off: there is nothing to relay");
	if (rc->ports.lo < 1024)
		sl_conf_warn(c, "ports", "reaches below 1024, where workers may not bind");
	check_addresses(c, "external", &rc->external);
	check_addresses(c, "relay_addresses", &rc->relay_addresses);
	return 0;
}

int64_t relay_share(const struct turn_relay *m, int64_t total)
{
	unsigned n = m->worker->n_workers ? m->worker->n_workers : 1;

	return (total + n - 1) / n;
}

int relay_engine_conf(struct turn_relay *m)
{
	const struct relay_conf *rc = m->conf;
	int64_t allocations =
		rc->total_limits.allocations ? rc->total_limits.allocations : rc->max_allocations;
	int err = realms_open(m);

	if (err < 0)
		return err;
	m->engine_conf = (struct sl_turn_conf){
		.realms = m->engine_realms,
		.n_realms = m->n_realms,
		.total = limit_share(m, &rc->total_limits),
		.permission_lifetime_s = 300, /* RFC 8656 section 9: fixed */
		.channel_lifetime_s = 600,    /* section 12: fixed */
		.nonce_lifetime_s = (uint32_t)(rc->nonce_lifetime / 1000),
		.alternates = rc->alternates.items,
		.n_alternates = (unsigned)rc->alternates.n,
		.alternate_above = (uint32_t)relay_share(m, rc->alternate_above),
		.alternate_domain = rc->alternate_domain,
		.own = m->host,
		.n_own = m->n_host,
		.own_ports_lo = rc->ports.lo,
		.own_ports_hi = rc->ports.hi,
		.own_media = sl_rtc_ports(m->worker),
		.relay_v4 = rc->ipv4 && host_has_family(m, 4),
		.relay_v6 = rc->ipv6 && host_has_family(m, 6),
		.tcp = rc->tcp_relays,
		.max_connections = (uint32_t)rc->max_connections,
		.mobility = rc->mobility,
		.slot = m->worker->slot,
		.software = rc->software,
	};
	m->engine_conf.total.allocations = (uint32_t)relay_share(m, allocations);
	return 0;
}

void relay_engine_conf_free(struct turn_relay *m)
{
	realms_close(m);
}
