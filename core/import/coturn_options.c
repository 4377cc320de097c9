/*
 * import/coturn_options.c: each option of coturn, and the directive that does the same, or the
 * reason why there is none. The importer goes by this table, and turn-relay's README shows it.
 *
 * Options are those of coturn 4.6.1 and what was added up to 4.17, in the order of its help.
 */
#include "import/coturn.h"

#include <stdio.h>

/* What every row of a file's option says first. */
#define OPT(name_, arg_, fate_, block_)                                                            \
	.name = (name_), .arg = COTURN_##arg_, .fate = COTURN_##fate_, .block = COTURN_##block_

const struct coturn_option coturn_options[] = {
	{OPT("listening-device", TEXT, LOST, LISTEN), .letter = "d",
	 .note = "listeners are chosen by address: `listening-ip`"},
	{OPT("listening-port", NUMBER, SAME, LISTEN), .letter = "p", .directives = "udp tcp",
	 .note = "`udp: \"*:3478\"` in a listener; TLS and DTLS come to this port, too"},
	{OPT("tls-listening-port", NUMBER, SAME, LISTEN), .directives = "udp tcp tls",
	 .note = "a listener with `tls`; takes plain clients as well, as in coturn, unless it has "
		 "`only`"},
	{OPT("alt-listening-port", NUMBER, SAME, STUN), .dflt = "0", .directives = "behaviour",
	 .note = "of the module stun: port of `alternate`; each corner is a listener"},
	{OPT("alt-tls-listening-port", NUMBER, NEEDLESS, LISTEN),
	 .note = "discovery over TLS does not exist in RFC 5780"},
	{OPT("tcp-proxy-port", NUMBER, LOST, LISTEN), .directives = "proxy_from",
	 .note = "the balancers' addresses have to be listed; a header from anywhere else is not "
		 "believed"},
	{OPT("listening-ip", TEXT, SAME, LISTEN), .letter = "L", .directives = "udp tcp ipv4 ipv6",
	 .note = "the address before the port; several in a list; relays are of their families "
		 "only"},
	{OPT("aux-server", TEXT, SAME, LISTEN), .directives = "udp tcp",
	 .note = "one more listener"},
	{OPT("udp-self-balance", FLAG, NEEDLESS, LISTEN), .directives = "processes",
	 .note = "the kernel spreads clients over workers, with one port"},
	{OPT("relay-device", TEXT, LOST, RELAY), .letter = "i", .directives = "relay_addresses",
	 .note = "an address of that device takes its place"},
	{OPT("relay-ip", TEXT, SAME, RELAY), .letter = "E",
	 .directives = "relay_addresses ipv4 ipv6",
	 .note = "the first of each family; a family without one is off"},
	{OPT("external-ip", TEXT, SAME, RELAY), .letter = "X",
	 .directives = "external relay_addresses",
	 .note = "the public address, one for each family; a private one behind it is the relays'"},
	{OPT("allow-loopback-peers", FLAG, SAME, RELAY), .directives = "allow_peers",
	 .note = "`[127.0.0.0/8, \"::1\"]`; for tests"},
	{OPT("no-multicast-peers", FLAG, SAME, RELAY), .directives = "deny_peers",
	 .note = "closed by default"},
	{OPT("relay-threads", NUMBER, SAME, CORE), .letter = "m", .directives = "processes",
	 .note = "unset: one for each core; 0 there is 1 here"},
	{OPT("cpus", NUMBER, NEAR, CORE), .directives = "processes",
	 .note = "there is one number only, that of the workers"},
	{OPT("min-port", NUMBER, SAME, RELAY), .directives = "ports", .note = "`49152-65535`"},
	{OPT("max-port", NUMBER, SAME, RELAY), .directives = "ports", .note = "its end"},
	{OPT("sock-buf-size", NUMBER, NEAR, RELAY), .form = COTURN_AS_NUMBER, .min = 4096,
	 .max = 16 << 20, .directives = "buffer",
	 .note = "of relays; that of a listener is its own `buffer`"},
	{OPT("verbose", FLAG, SAME, CORE), .letter = "v", .directives = "log.level",
	 .note = "`info`"},
	{OPT("Verbose", FLAG, SAME, CORE), .letter = "V", .directives = "log.level",
	 .note = "`debug`"},
	{OPT("daemon", FLAG, NEEDLESS, CORE), .letter = "o",
	 .note = "it runs in the foreground; systemd keeps it"},
	{OPT("no-software-attribute", FLAG, SAME, RELAY), .also = "prod", .directives = "software",
	 .note = "empty by default"},
	{OPT("software-attribute", FLAG, LOST, RELAY), .directives = "software",
	 .note = "whatever text it should be has to be given"},
	{OPT("fingerprint", FLAG, NEEDLESS, RELAY), .letter = "f",
	 .note = "goes to whoever sent one, as RFC 8489 section 7 says"},
	{OPT("lt-cred-mech", FLAG, SAME, RELAY), .letter = "a", .directives = "auth",
	 .note = "the default"},
	{OPT("no-auth", FLAG, SAME, RELAY), .letter = "z", .directives = "auth",
	 .note = "`off`; never off by itself"},
	{OPT("user", SECRET, SAME, RELAY), .letter = "u", .directives = "users",
	 .note = "`{name, password}`; of keys (0x...) the password is needed"},
	{OPT("realm", TEXT, SAME, RELAY), .letter = "r", .directives = "realm",
	 .note = "unset: sluice, not the host's domain; further ones: `realms`"},
	{OPT("check-origin-consistency", FLAG, LOST, RELAY),
	 .note = "no RFC came of ORIGIN; realms are chosen by listener or TLS name"},
	{OPT("user-quota", NUMBER, SAME, RELAY), .letter = "q", .dflt = "0",
	 .form = COTURN_AS_NUMBER, .max = 1000000, .directives = "user_quota",
	 .note = "counted over the whole node"},
	{OPT("total-quota", NUMBER, SAME, RELAY), .letter = "Q", .dflt = "0",
	 .directives = "realm_limits.allocations",
	 .note = "counted over the whole node; beyond it 508 instead of 486"},
	{OPT("max-bps", NUMBER, SAME, RELAY), .letter = "s", .dflt = "0", .form = COTURN_AS_BITS,
	 .max = INT64_C(1000000000000), .directives = "allocation_bps",
	 .note = "bits instead of bytes: times 8"},
	{OPT("bps-capacity", NUMBER, NEAR, RELAY), .letter = "B", .dflt = "0",
	 .directives = "total_limits.bps",
	 .note = "times 8; limits what flows, in equal shares for the workers, instead of the sum "
		 "of what allocations may"},
	{.letter = "c", .arg = COTURN_COMMAND, .note = "`sluice -c FILE`"},
	{OPT("userdb", TEXT, LOST, RELAY), .letter = "b", .also = "db",
	 .directives = "users secrets",
	 .note = "there is no database: what is in it becomes `!file`, and a reload"},
	{OPT("psql-userdb", SECRET, LOST, RELAY), .letter = "e", .also = "sql-userdb",
	 .directives = "users secrets",
	 .note = "there is no database: `!file`, and a reload; or `token_keys`, which need no list "
		 "of users"},
	{OPT("mysql-userdb", SECRET, LOST, RELAY), .letter = "M", .directives = "users secrets",
	 .note = "there is no database: `!file`, and a reload; or `token_keys`"},
	{OPT("secret-key-file", TEXT, NEEDLESS, RELAY), .note = "no database, no password of one"},
	{OPT("mongo-userdb", SECRET, LOST, RELAY), .letter = "J", .directives = "users secrets",
	 .note = "there is no database: `!file`, and a reload; or `token_keys`"},
	{OPT("redis-userdb", SECRET, LOST, RELAY), .letter = "N", .directives = "users secrets",
	 .note = "there is no database: `!file`, and a reload; or `token_keys`"},
	{OPT("redis-statsdb", SECRET, LOST, RELAY), .letter = "O",
	 .note = "the module metrics, `sluice sessions` and events of the bus take its place"},
	{OPT("prometheus", SWITCH, NEAR, METRICS), .directives = "modules",
	 .note = "the modules http and metrics; its counters have names of their own"},
	{OPT("prometheus-port", NUMBER, SAME, METRICS), .directives = "tcp",
	 .note = "a listener with `http`; 9641 where coturn has it"},
	{OPT("prometheus-address", TEXT, SAME, METRICS), .directives = "tcp",
	 .note = "the address before that port"},
	{OPT("prometheus-path", TEXT, SAME, METRICS), .form = COTURN_AS_TEXT, .max = 255,
	 .dflt = "/metrics", .directives = "path", .note = "of the module metrics"},
	{OPT("prometheus-username-labels", SWITCH, LOST, METRICS),
	 .note = "counters of users are in `sluice sessions` and events of the bus"},
	{OPT("prometheus-tls", FLAG, SAME, METRICS), .directives = "tls",
	 .note = "of that listener"},
	{OPT("prometheus-cert", TEXT, SAME, METRICS), .directives = "tls.cert",
	 .note = "of that listener; unset: `cert`"},
	{OPT("prometheus-key", TEXT, SAME, METRICS), .directives = "tls.key",
	 .note = "of that listener; unset: `pkey`"},
	{OPT("use-auth-secret", SWITCH, SAME, RELAY), .directives = "secrets",
	 .note = "is on where there are secrets; then coturn takes no `user`"},
	{OPT("static-auth-secret", SECRET, SAME, RELAY), .directives = "secrets",
	 .note = "up to 16 at once"},
	{OPT("no-auth-pings", SWITCH, NEEDLESS, RELAY), .note = "no database"},
	{OPT("no-dynamic-ip-list", SWITCH, NEEDLESS, RELAY), .directives = "deny_peers allow_peers",
	 .note = "change with a reload"},
	{OPT("no-dynamic-realms", SWITCH, NEEDLESS, RELAY), .directives = "realms",
	 .note = "change with a reload"},
	{OPT("secret-ts-exp-time", FLAG, NEEDLESS, RELAY), .note = "does nothing in coturn either"},
	{OPT("server-name", TEXT, SAME, RELAY), .form = COTURN_AS_TEXT, .max = 255,
	 .directives = "token_server", .note = "unset: the realm, in both"},
	{OPT("oauth", FLAG, LOST, RELAY), .directives = "token_keys",
	 .note = "the keys are in coturn's database; it is on where there are keys"},
	{.letter = "n",
	 .arg = COTURN_COMMAND,
	 .note = "`sluice -g 'directive: value'` lays directives over the file"},
	{OPT("cert", TEXT, SAME, LISTEN), .directives = "tls.cert", .note = "of each listener"},
	{OPT("pkey", TEXT, SAME, LISTEN), .directives = "tls.key", .note = "of each listener"},
	{OPT("pkey-pwd", SECRET, LOST, LISTEN),
	 .note = "keys are read without a password: `openssl pkey -in OLD -out NEW`; the file's "
		 "mode protects it"},
	{OPT("cipher-list", TEXT, LOST, LISTEN), .dflt = "DEFAULT",
	 .note = "only authenticated ciphers with forward secrecy are offered; the choice ends "
		 "there"},
	{OPT("CA-file", TEXT, LOST, LISTEN),
	 .note = "clients prove themselves by TURN's credentials; certificates are not asked for"},
	{OPT("ec-curve-name", TEXT, NEEDLESS, LISTEN),
	 .note = "X25519 or P-256, as the client prefers"},
	{OPT("dh566", FLAG, NEEDLESS, LISTEN), .note = "no finite-field Diffie-Hellman"},
	{OPT("dh1066", FLAG, NEEDLESS, LISTEN), .note = "no finite-field Diffie-Hellman"},
	{OPT("dh-file", TEXT, NEEDLESS, LISTEN), .note = "no finite-field Diffie-Hellman"},
	{OPT("raw-public-keys", FLAG, LOST, LISTEN), .note = "certificates only"},
	{OPT("no-sslv2", FLAG, SAME, LISTEN), .also = "no-sslv3", .directives = "tls.min_version",
	 .note = "1.2 is the least"},
	{OPT("no-tlsv1", FLAG, SAME, LISTEN), .directives = "tls.min_version",
	 .note = "1.2 is the least"},
	{OPT("no-tlsv1_1", FLAG, SAME, LISTEN), .directives = "tls.min_version",
	 .note = "1.2 is the least"},
	{OPT("no-tlsv1_2", FLAG, SAME, LISTEN), .directives = "tls.min_version",
	 .note = "`\"1.3\"`"},
	{OPT("tlsv1", FLAG, LOST, LISTEN), .directives = "tls.min_version",
	 .note = "1.2 is the least"},
	{OPT("tlsv1_1", FLAG, LOST, LISTEN), .directives = "tls.min_version",
	 .note = "1.2 is the least"},
	{OPT("no-udp", FLAG, SAME, LISTEN), .directives = "udp tls.only",
	 .note = "name no such listener; the one for DTLS has `only`"},
	{OPT("no-tcp", FLAG, SAME, LISTEN), .directives = "tcp tls.only",
	 .note = "name no such listener; the one for TLS has `only`"},
	{OPT("no-tls", FLAG, SAME, LISTEN), .directives = "tls",
	 .note = "no `tls` in the listener with `tcp`"},
	{OPT("no-dtls", FLAG, SAME, LISTEN), .directives = "tls",
	 .note = "no `tls` in the listener with `udp`"},
	{OPT("dtls", FLAG, SAME, LISTEN), .directives = "tls",
	 .note = "is on where a listener with `udp` has `tls`"},
	{OPT("no-udp-relay", FLAG, LOST, RELAY), .note = "UDP relays are what the module is for"},
	{OPT("no-tcp-relay", FLAG, SAME, RELAY), .form = COTURN_AS_OFF, .directives = "tcp_relays",
	 .note = "`off`"},
	{OPT("log-file", TEXT, SAME, CORE), .letter = "l", .dflt = "stdout - syslog",
	 .directives = "log.file", .note = "the name is as it stands, without date and process id"},
	{OPT("no-stdout-log", FLAG, NEEDLESS, CORE), .directives = "log.file",
	 .note = "the log has one place"},
	{OPT("syslog", FLAG, NEEDLESS, CORE), .note = "standard error goes to the journal"},
	{OPT("syslog-facility", TEXT, NEEDLESS, CORE),
	 .note = "standard error goes to the journal"},
	{OPT("simple-log", FLAG, NEEDLESS, CORE), .directives = "log.file",
	 .note = "the name is as it stands; `sluice -s reopen` after rotation"},
	{OPT("log-min-level", TEXT, SAME, CORE), .directives = "log.level",
	 .note = "`debug`, `info`, `warn`, `error`"},
	{OPT("new-log-timestamp", SWITCH, NEEDLESS, CORE), .directives = "log.format",
	 .note = "always ISO 8601"},
	{OPT("new-log-timestamp-format", TEXT, NEEDLESS, CORE), .directives = "log.format",
	 .note = "always ISO 8601"},
	{OPT("log-binding", FLAG, NEEDLESS, STUN), .note = "the counters of the module stun tell"},
	{OPT("stale-nonce", NUMBER, SAME, RELAY), .dflt = "", .directives = "nonce_lifetime",
	 .note = "600 unless given, and 1h here; 30s to 1d"},
	{OPT("stateless-nonce", FLAG, NEEDLESS, RELAY), .note = "nonces always are"},
	{OPT("stateless-nonce-secret", SECRET, NEEDLESS, RELAY),
	 .note = "the key is the node's own; a client that changes servers is told a new nonce"},
	{OPT("unauthorized-ratelimit", FLAG, NEAR, RELAY), .directives = "challenge_rate",
	 .note = "on by default, 300 a second for each /24 or /56"},
	{OPT("unauthorized-ratelimit-rps", NUMBER, NEAR, RELAY), .form = COTURN_AS_NUMBER, .min = 1,
	 .max = 1000000, .directives = "challenge_rate",
	 .note = "for each /24 or /56 instead of each address, and in each worker"},
	{OPT("max-allocate-lifetime", NUMBER, SAME, RELAY), .dflt = "3600",
	 .directives = "max_lifetime", .note = "1m to 1d; below 10m `default_lifetime` goes along"},
	{OPT("channel-lifetime", NUMBER, LOST, RELAY), .dflt = "600",
	 .note = "10 minutes, as RFC 8656 fixes it"},
	{OPT("permission-lifetime", NUMBER, LOST, RELAY), .dflt = "300",
	 .note = "5 minutes, as RFC 8656 fixes it"},
	{OPT("stun-only", FLAG, SAME, CORE), .letter = "S", .directives = "modules",
	 .note = "`[stun]`"},
	{OPT("no-stun", FLAG, SAME, CORE), .directives = "modules", .note = "`[turn-relay]`"},
	{OPT("alternate-server", TEXT, LOST, RELAY), .directives = "alternates alternate_probe",
	 .note = "used only when this server drains, is full, or has `alternate_above`; coturn "
		 "sends every client away"},
	{OPT("tls-alternate-server", TEXT, LOST, RELAY),
	 .directives = "alternates alternate_domain",
	 .note = "one list for all transports, and only when this server has no room"},
	{OPT("udp-alternate-server", TEXT, LOST, RELAY), .directives = "alternates",
	 .note = "one list for all transports, and only when this server has no room"},
	{OPT("tcp-alternate-server", TEXT, LOST, RELAY), .directives = "alternates",
	 .note = "one list for all transports, and only when this server has no room"},
	{OPT("rest-api-separator", TEXT, LOST, RELAY), .letter = "C", .dflt = ":",
	 .note = "`:`, as every other server has it"},
	{OPT("max-allocate-timeout", NUMBER, NEAR, RELAY), .dflt = "60", .form = COTURN_AS_SECONDS,
	 .min = 1, .max = 3600, .directives = "idle_timeout",
	 .note = "of connections; over UDP nothing is kept before"},
	{OPT("drain-min-allocations", NUMBER, LOST, CORE), .dflt = "0",
	 .directives = "drain_timeout",
	 .note = "draining ends with the last allocation, or with `drain_timeout`"},
	{OPT("allowed-peer-ip", TEXT, SAME, RELAY), .directives = "allow_peers",
	 .note = "blocks instead of ranges"},
	{OPT("denied-peer-ip", TEXT, SAME, RELAY), .directives = "deny_peers",
	 .note = "blocks instead of ranges; the list replaces the default, so it begins with that"},
	{OPT("pidfile", TEXT, SAME, CORE), .form = COTURN_AS_TEXT, .max = 4095, .directives = "pid",
	 .note = "unset: `sluice.pid` under the prefix"},
	{OPT("acme-redirect", TEXT, LOST, LISTEN), .directives = "root",
	 .note = "the module http on the same port serves such files itself"},
	{OPT("respond-http-unsupported", FLAG, NEEDLESS, LISTEN),
	 .note = "a listener without `http` closes such connections"},
	{OPT("secure-stun", FLAG, LOST, STUN),
	 .note = "Binding without credentials is what ICE asks for"},
	{OPT("proc-user", TEXT, SAME, CORE), .form = COTURN_AS_TEXT, .max = 255,
	 .directives = "user", .note = "unset: nobody, when started as root"},
	{OPT("proc-group", TEXT, SAME, CORE), .form = COTURN_AS_TEXT, .max = 255,
	 .directives = "group", .note = "unset: the user's"},
	{OPT("mobility", FLAG, SAME, RELAY), .directives = "mobility", .note = "on by default"},
	{OPT("keep-address-family", FLAG, LOST, RELAY), .letter = "K",
	 .note = "IPv4 unless the client asks, as RFC 8656 says"},
	{OPT("allocation-default-address-family", TEXT, LOST, RELAY), .letter = "A", .dflt = "ipv4",
	 .directives = "ipv4 ipv6",
	 .note = "IPv4 unless the client asks, as RFC 8656 says; either family can be switched "
		 "off"},
	{OPT("no-cli", FLAG, NEEDLESS, CORE), .directives = "control",
	 .note = "a socket of the file system instead, for root and the server's user"},
	{OPT("cli", FLAG, NEEDLESS, CORE), .directives = "control",
	 .note = "`sluice top`, `sessions`, `kick` over a socket of the file system"},
	{OPT("cli-ip", TEXT, NEEDLESS, CORE), .directives = "control",
	 .note = "a socket of the file system"},
	{OPT("cli-port", NUMBER, NEEDLESS, CORE), .directives = "control",
	 .note = "a socket of the file system"},
	{OPT("cli-password", SECRET, NEEDLESS, CORE), .directives = "control",
	 .note = "a socket of the file system, whose mode protects it"},
	{OPT("web-admin", FLAG, LOST, CORE),
	 .note = "`sluice top`, `sluice sessions` and the module metrics take its place"},
	{OPT("web-admin-ip", TEXT, NEEDLESS, CORE), .note = "there is no such page"},
	{OPT("web-admin-port", NUMBER, NEEDLESS, CORE), .note = "there is no such page"},
	{OPT("web-admin-listen-on-workers", FLAG, NEEDLESS, CORE), .note = "there is no such page"},
	{OPT("server-relay", FLAG, LOST, RELAY),
	 .note = "packets without a permission are never relayed"},
	{OPT("cli-max-output-sessions", NUMBER, NEEDLESS, CORE),
	 .note = "`sluice sessions` prints all"},
	{OPT("ne", NUMBER, NEEDLESS, CORE), .note = "there is one engine"},
	{OPT("udp-recvmmsg", FLAG, NEEDLESS, CORE),
	 .note = "datagrams always come and go in batches"},
	{OPT("udp-recvmmsg-log", FLAG, NEEDLESS, CORE), .note = "the core's counters tell"},
	{OPT("udp-sendmmsg-log", FLAG, NEEDLESS, CORE), .note = "the core's counters tell"},
	{OPT("udp-gso", FLAG, SAME, CORE), .directives = "gso", .note = "on by default"},
	{OPT("multiplex-peer", SWITCH, LOST, RELAY), .directives = "ports",
	 .note = "an allocation has a port of its own, as RFC 8656 says"},
	{OPT("multiplex-peer-port", NUMBER, NEEDLESS, RELAY), .note = "goes with `multiplex-peer`"},
	{OPT("multiplex-peer-max-peers", NUMBER, NEEDLESS, RELAY),
	 .note = "goes with `multiplex-peer`"},
	{OPT("drop-invalid-packets", FLAG, NEEDLESS, LISTEN),
	 .note = "what is no STUN or TURN gets no answer"},
	{OPT("drop-invalid-packets-log", FLAG, NEEDLESS, LISTEN), .note = "counted, not logged"},
	{OPT("include-reason-string", FLAG, NEEDLESS, RELAY),
	 .note = "only the phrases of the RFCs"},
	{OPT("no-rfc5780", SWITCH, SAME, STUN), .directives = "behaviour",
	 .note = "off unless configured"},
	{OPT("rfc5780", FLAG, SAME, STUN), .directives = "behaviour",
	 .note = "of the module stun; wants two addresses of a family, as there"},
	{OPT("no-stun-backward-compatibility", FLAG, NEEDLESS, STUN),
	 .note = "RFC 3489 is not served"},
	{OPT("stun-backward-compatibility", FLAG, LOST, STUN),
	 .note = "answers have XOR-MAPPED-ADDRESS only"},
	{OPT("rfc3489-compatibility", FLAG, LOST, STUN), .note = "RFC 3489 is not served"},
	{OPT("rfc5766-channel-numbers", FLAG, NEEDLESS, RELAY),
	 .note = "channels up to 0x7fff are always taken"},
	{OPT("response-origin-only-with-rfc5780", FLAG, NEEDLESS, STUN), .directives = "behaviour",
	 .note = "so it is"},
	{OPT("version", COMMAND, NEEDLESS, CORE), .note = "`sluice -V`"},
	{.letter = "h", .arg = COTURN_COMMAND, .note = "`sluice -h`"},
	{.letter = NULL},
};

const struct coturn_option *coturn_option_find(struct sl_str name)
{
	for (const struct coturn_option *o = coturn_options; o->name || o->letter; o++)
		if (o->name && (sl_str_eq(name, sl_str_c(o->name)) ||
				(o->also && sl_str_eq(name, sl_str_c(o->also)))))
			return o;
	return NULL;
}

/* ---- as Markdown */

static void names_md(struct sl_buf *out, const struct coturn_option *o)
{
	const char *before = "| ";

	if (o->letter) {
		sl_buf_printf(out, "%s`-%s`", before, o->letter);
		before = ", ";
	}
	if (o->name) {
		sl_buf_printf(out, "%s`--%s`", before, o->name);
		before = ", ";
	}
	if (o->also)
		sl_buf_printf(out, "%s`--%s`", before, o->also);
}

static void directives_md(struct sl_buf *out, const struct coturn_option *o)
{
	struct sl_str rest = sl_str_c(o->directives), one;

	sl_buf_str(out, SL_STR(" | "));
	for (const char *before = ""; rest.len > 0; before = ", ") {
		one = sl_str_split(&rest, ' ');
		sl_buf_printf(out, "%s`%.*s`", before, SL_FMT(one));
	}
}

void coturn_options_md(struct sl_buf *out)
{
	static const char *const fates[COTURN_N_FATES] = {"yes", "nearly", "not needed", "no"};

	sl_buf_str(out, SL_STR("| coturn | directive | imported | |\n|---|---|---|---|\n"));
	for (const struct coturn_option *o = coturn_options; o->name || o->letter; o++) {
		names_md(out, o);
		directives_md(out, o);
		sl_buf_printf(out, " | %s | %s |\n", o->arg == COTURN_COMMAND ? "" : fates[o->fate],
			      o->note);
	}
}
