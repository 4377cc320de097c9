/*
 * tests/unit/test_coturn_convert.c: what becomes of a coturn configuration. That the documents are good
 * configurations is shown by integration/test_import_coturn, that they serve clients by interop/.
 */
#include "../lib/test.h"

#include "lib/coturn.h"

/* What every file of these tests has, so that nothing is said about its absence. */
#define BASE "realm=example.org\nuser=ann:secret\n"

static struct imported now;

static void convert(const char *text)
{
	if (now.pool)
		imported_free(&now);
	now = imported(sl_str_c(text));
}

static bool yaml_has(const char *text)
{
	return buf_has(&now.yaml, text);
}

static unsigned lost(void)
{
	return coturn_n_remarks(&now.file, COTURN_LOST);
}

static unsigned nearly(void)
{
	return coturn_n_remarks(&now.file, COTURN_NEAR);
}

TEST(a_plain_file_is_carried_over_whole)
{
	convert("listening-port=3478\nmin-port=50000\nmax-port=50999\nfingerprint\nmobility\n" BASE);
	CHECK_STR(sl_buf_view(&now.report), "");
	CHECK_STR(sl_buf_view(&now.yaml),
		  "# Made by `sluice import-coturn` from t.conf.\n"
		  "# Unlike coturn, and whatever its file says: peers in private and special networks are closed\n"
		  "# unless allow_peers opens them, TLS begins with 1.2, and RFC 3489 is not served.\n"
		  "\n"
		  "modules: [stun, turn-relay]\n"
		  "\n"
		  "listen:\n"
		  "  - name: turn\n"
		  "    udp: [\"*:3478\"]\n"
		  "    tcp: [\"*:3478\"]\n"
		  "\n"
		  "# t.conf:4: fingerprint: not needed: goes to whoever sent one, as RFC 8489 section 7 says\n"
		  "turn-relay:\n"
		  "  realm: \"example.org\"\n"
		  "  users:\n"
		  "    - {name: \"ann\", password: \"secret\"}\n"
		  "  ports: 50000-50999\n"
		  "  nonce_lifetime: 10m\n"
		  "  mobility: on\n");
}

TEST(what_is_on_here_by_default_is_off_where_the_file_does_not_ask)
{
	convert(BASE);
	CHECK(yaml_has("  mobility: off\n") && lost() == 0);
	convert(BASE "mobility\nmobility=no\n");
	CHECK(yaml_has("  mobility: off\n"));
}

/* ---- who may use it */

TEST(an_open_relay_is_made_only_when_asked_for)
{
	convert("realm=a\n");
	CHECK(!yaml_has("\n  auth:") && lost() == 1);
	convert("no-auth\n");
	CHECK(yaml_has("  auth: off\n") && lost() == 0);
	convert("no-auth=0\nrealm=a\n");
	CHECK(!yaml_has("\n  auth:") && lost() == 1);
	convert("no-auth\nlt-cred-mech\n" BASE);
	CHECK(!yaml_has("\n  auth:") && lost() == 1);
	convert("no-auth\nstatic-auth-secret=s\nrealm=a\n");
	CHECK(!yaml_has("\n  auth:") && lost() == 1);
}

TEST(beside_secrets_there_are_no_users)
{
	convert(BASE "static-auth-secret=north\nstatic-auth-secret=south\nstatic-auth-secret=north\n");
	CHECK(yaml_has("  secrets:\n    - \"north\"\n    - \"south\"\n  nonce"));
	CHECK(!yaml_has("\n  users:") && !yaml_has("ann"));
	CHECK_INT(lost(), 0);
}

TEST(what_is_in_a_database_is_told)
{
	convert("realm=a\nuse-auth-secret\n");
	CHECK(lost() == 1 && !yaml_has("secrets:"));
	convert("realm=a\nlt-cred-mech\n");
	CHECK(lost() == 1 && !yaml_has("users:"));
	convert(BASE "redis-userdb=\"ip=1.2.3.4 password=hush\"\n");
	CHECK(lost() == 1 && !yaml_has("hush") && !buf_has(&now.report, "hush"));
}

TEST(users_are_read_as_coturn_reads_them)
{
	convert("realm=a\nuser=ann:old\nuser=bob:0xbc807ee29df3c9ffa736523fb2c4e8ee\nuser=:x\nuser=eve\nuser=ann: n:e:w\n");
	CHECK(yaml_has("  users:\n    - {name: \"ann\", password: \"n:e:w\"}\n  nonce"));
	CHECK_INT(lost(), 3);
	CHECK(!buf_has(&now.report, "old") && !buf_has(&now.report, "bc807"));
}

TEST(no_text_of_the_file_becomes_yaml)
{
	convert("realm=a\"\\: {b: [*x\nuser=!file /etc/shadow:&x <<\nuser=007:~\n");
	CHECK(yaml_has("  realm: \"a\\\"\\\\: {b: [*x\"\n"));
	CHECK(yaml_has("    - {name: \"!file /etc/shadow\", password: \"&x <<\"}\n    - {name: \"007\", password: \"~\"}\n"));
	convert("realm=\xff\nuser=a:\xc3\x28\n");
	CHECK(lost() == 2 && !yaml_has("\n  realm:") && !yaml_has("\n  users:"));
}

/* ---- sockets */

TEST(addresses_and_ports_make_listeners)
{
	convert(BASE "listening-ip=192.0.2.1\nlistening-ip=2001:db8::1\nlistening-port=3480\naux-server=192.0.2.1:80\n"
		     "aux-server=[2001:db8::1]:80\naux-server=192.0.2.1:3480\n");
	CHECK(yaml_has("  - name: turn\n    udp: [\"192.0.2.1:3480\", \"[2001:db8::1]:3480\"]\n"
		       "    tcp: [\"192.0.2.1:3480\", \"[2001:db8::1]:3480\"]\n"
		       "  - name: aux\n    udp: [\"192.0.2.1:80\", \"[2001:db8::1]:80\"]\n"
		       "    tcp: [\"192.0.2.1:80\", \"[2001:db8::1]:80\"]\n\n"));
	CHECK(lost() + nearly() == 0);
	convert(BASE "listening-ip=eth0\nlistening-port=70000\nrelay-ip=10.0.0.1:80\n");
	CHECK(yaml_has("[\"*:3478\"]") && !yaml_has("relay_addresses") && lost() == 3);
}

TEST(a_certificate_brings_tls_to_every_port)
{
	convert(BASE "cert=/c.pem\npkey=/k.pem\n");
	CHECK(yaml_has("  - name: turn\n    udp: [\"*:3478\"]\n    tcp: [\"*:3478\"]\n    tls: {cert: \"/c.pem\", key: \"/k.pem\"}\n"
		       "  - name: turns\n    udp: [\"*:5349\"]\n    tcp: [\"*:5349\"]\n    tls: {cert: \"/c.pem\", key: \"/k.pem\"}\n"));
	CHECK(lost() + nearly() == 0);
	convert(BASE "cert=/c.pem\npkey=/k.pem\ntls-listening-port=3478\n");
	CHECK(!yaml_has("turns") && lost() == 0);
	convert(BASE "cert=/c.pem\n");
	CHECK(!yaml_has("tls:") && lost() == 1);
	convert(BASE "tls-listening-port=443\n");
	CHECK(!yaml_has("tls:") && lost() == 1);
}

TEST(transports_can_differ_in_tls)
{
	convert(BASE "cert=/c\npkey=/k\nno-dtls\n");
	CHECK(yaml_has("  - name: turn-udp\n    udp: [\"*:3478\"]\n  - name: turn-tcp\n    tcp: [\"*:3478\"]\n    tls: {"));
	CHECK(yaml_has("  - name: turns\n    tcp: [\"*:5349\"]\n    tls: {") && lost() == 0);
	convert(BASE "cert=/c\npkey=/k\nno-tls\n");
	CHECK(yaml_has("  - name: turns\n    udp: [\"*:5349\"]\n    tls: {") && lost() == 0);
	convert(BASE "cert=/c\npkey=/k\nno-tlsv1_2\n");
	CHECK(yaml_has("min_version: \"1.3\"}") && yaml_has("  - name: turns\n    tcp") && nearly() == 1);
	convert(BASE "cert=/c\npkey=/k\ndtls=0\n");
	CHECK(yaml_has("  - name: turns\n    tcp"));
}

TEST(what_is_not_to_be_plain_is_encrypted_only)
{
	convert(BASE "cert=/c\npkey=/k\nno-tcp\nno-udp\n");
	CHECK(yaml_has("listen:\n  - name: turns\n    udp: [\"*:5349\"]\n    tcp: [\"*:5349\"]\n"
		       "    tls: {cert: \"/c\", key: \"/k\", only: yes}\n\n"));
	CHECK_INT(lost(), 0);
	convert(BASE "cert=/c\npkey=/k\nno-tcp\naux-server=192.0.2.1:80\n");
	CHECK(yaml_has("  - name: turn\n    udp: [\"*:3478\"]\n    tls: {cert: \"/c\", key: \"/k\"}\n"
		       "  - name: turns-udp\n    udp: [\"*:5349\"]\n    tls: {cert: \"/c\", key: \"/k\"}\n"
		       "  - name: turns-tcp\n    tcp: [\"*:5349\"]\n    tls: {cert: \"/c\", key: \"/k\", only: yes}\n"
		       "  - name: aux-udp\n    udp: [\"192.0.2.1:80\"]\n    tls: {cert: \"/c\", key: \"/k\"}\n"
		       "  - name: aux-tcp\n    tcp: [\"192.0.2.1:80\"]\n    tls: {cert: \"/c\", key: \"/k\", only: yes}\n"));
	convert(BASE "no-tcp\n");
	CHECK(yaml_has("  - name: turn\n    udp: [\"*:3478\"]\n\n") && lost() == 0);
	convert(BASE "no-tcp\nno-udp\n");
	CHECK(yaml_has("listen: []\n"));
}

TEST(balancers_have_to_be_named)
{
	convert(BASE "tcp-proxy-port=5555\ncert=/c\npkey=/k\n");
	CHECK(yaml_has("  # - {name: balanced, tcp: \"*:5555\", proxy_from: ["));
	CHECK(!yaml_has("tcp: [") && lost() == 1);
}

TEST(relative_names_are_beside_the_file)
{
	convert(BASE "cert=c.pem\npkey=sub/k.pem\n");
	CHECK(yaml_has("{cert: \"/etc/c.pem\", key: \"/etc/sub/k.pem\"}") && nearly() == 2);
}

TEST(two_addresses_of_a_family_are_corners)
{
	convert(BASE "listening-ip=192.0.2.1\nlistening-ip=192.0.2.2\nlistening-ip=2001:db8::1\n");
	CHECK(yaml_has("  - name: behaviour\n    udp: [\"192.0.2.1:3479\", \"192.0.2.2:3479\"]\n"));
	CHECK(yaml_has("stun:\n  behaviour:\n    - {primary: \"192.0.2.1:3478\", alternate: \"192.0.2.2:3479\"}\n"));
	CHECK(nearly() == 1 && lost() == 0);
	convert(BASE "listening-ip=192.0.2.1\nlistening-ip=192.0.2.2\nno-rfc5780\n");
	CHECK(!yaml_has("behaviour") && nearly() == 0);
	convert(BASE "listening-ip=192.0.2.1\nlistening-ip=192.0.2.2\nexternal-ip=203.0.113.1\n");
	CHECK(!yaml_has("behaviour") && lost() == 0);
	convert(BASE "listening-ip=192.0.2.1\nlistening-ip=192.0.2.2\nlistening-port=65535\n");
	CHECK(!yaml_has("behaviour"));
	convert(BASE "alt-listening-port=4000\n");
	CHECK(!yaml_has("behaviour") && lost() == 1);
	convert(BASE "rfc5780\n");
	CHECK(lost() == 1);
}

/* ---- relays */

TEST(an_external_address_is_the_relays)
{
	convert(BASE "external-ip=203.0.113.1\n");
	CHECK(yaml_has("  external: [\"203.0.113.1\"]\n") && !yaml_has("relay_addresses"));
	convert(BASE "external-ip=203.0.113.1/10.0.0.1\nexternal-ip=2001:db8::1/fd00::1\n");
	CHECK(yaml_has("  external: [\"203.0.113.1\", \"2001:db8::1\"]\n  relay_addresses: [\"10.0.0.1\", \"fd00::1\"]\n") && lost() == 0);
	convert(BASE "relay-ip=10.0.0.2\nrelay-ip=10.0.0.3\nexternal-ip=203.0.113.1/10.0.0.1\nexternal-ip=203.0.113.2/10.0.0.2\n");
	CHECK(yaml_has("  external: [\"203.0.113.2\"]\n  relay_addresses: [\"10.0.0.2\"]\n") && lost() == 2);
	convert(BASE "external-ip=203.0.113.1\nexternal-ip=203.0.113.2\nexternal-ip=203.0.113.3/fd00::1\nexternal-ip=host.example.org\n");
	CHECK(yaml_has("  external: [\"203.0.113.1\"]\n") && lost() == 3);
}

TEST(relays_are_of_the_families_that_the_file_names)
{
	convert(BASE "listening-ip=192.0.2.1\n");
	CHECK(yaml_has("  ipv6: off\n") && !yaml_has("  ipv4:") && lost() + nearly() == 0);
	convert(BASE "listening-ip=2001:db8::1\n");
	CHECK(yaml_has("  ipv4: off\n") && !yaml_has("  ipv6:"));
	convert(BASE "listening-ip=192.0.2.1\nlistening-ip=2001:db8::1\n");
	CHECK(!yaml_has("  ipv4:") && !yaml_has("  ipv6:"));
	convert(BASE "listening-ip=192.0.2.1\nrelay-ip=2001:db8::1\n");
	CHECK(yaml_has("  ipv4: off\n") && !yaml_has("  ipv6:"));
	convert(BASE "external-ip=203.0.113.1\nlistening-ip=host\n");
	CHECK(!yaml_has("  ipv4:") && !yaml_has("  ipv6:"));
}

TEST(ports_are_a_range)
{
	convert(BASE "min-port=60000\n");
	CHECK(yaml_has("  ports: 60000-65535\n"));
	convert(BASE "max-port=50000\n");
	CHECK(yaml_has("  ports: 49152-50000\n"));
	convert(BASE "min-port=60000\nmax-port=50000\n");
	CHECK(!yaml_has("ports:") && lost() == 1);
}

TEST(rates_are_bits_and_do_not_overflow)
{
	convert(BASE "max-bps=64000\nbps-capacity=1000000\ntotal-quota=7\nuser-quota=3\n");
	CHECK(yaml_has("  allocation_bps: 512000\n") && yaml_has("  total_limits: {bps: 8000000}\n"));
	CHECK(yaml_has("  realm_limits: {allocations: 7}\n") && yaml_has("  user_quota: 3\n"));
	CHECK(lost() == 0 && nearly() == 1);
	convert(BASE "max-bps=9223372036854775807\nbps-capacity=4611686018427387904\n");
	CHECK(yaml_has("  allocation_bps: 1000000000000\n") && yaml_has("{bps: 1000000000000}"));
	convert(BASE "max-bps=0\nbps-capacity=0\ntotal-quota=0\nuser-quota=0\n");
	CHECK(!yaml_has("bps") && !yaml_has("limits") && !yaml_has("quota") && nearly() == 0);
}

TEST(lifetimes_keep_within_what_there_is)
{
	convert(BASE "stale-nonce=0\n");
	CHECK(yaml_has("  nonce_lifetime: 1d\n") && nearly() == 1);
	convert(BASE "stale-nonce=5\nmax-allocate-lifetime=300\n");
	CHECK(yaml_has("  nonce_lifetime: 30s\n  max_lifetime: 5m\n  default_lifetime: 5m\n") && nearly() == 1);
	convert(BASE "stale-nonce=1200\nmax-allocate-lifetime=7200\n");
	CHECK(yaml_has("  nonce_lifetime: 20m\n  max_lifetime: 2h\n") && !yaml_has("default_lifetime") && nearly() == 0);
	convert(BASE "channel-lifetime=600\npermission-lifetime=300\nmax-allocate-lifetime=3600\n");
	CHECK(lost() == 0 && !yaml_has("max_lifetime"));
	convert(BASE "channel-lifetime=601\npermission-lifetime=299\n");
	CHECK(lost() == 2);
}

TEST(denied_ranges_are_added_to_the_default)
{
	convert(BASE "denied-peer-ip=203.0.113.1-203.0.113.4\ndenied-peer-ip=10.1.2.3\ndenied-peer-ip=198.51.100.0/24\n");
	CHECK(yaml_has("  deny_peers:\n    - 0.0.0.0/8\n"));
	CHECK(yaml_has("    - \"ff00::/8\"\n    - 198.51.100.0/24\n    - 203.0.113.1/32\n    - 203.0.113.2/31\n"
		       "    - 203.0.113.4/32\n  nonce"));
	CHECK(lost() == 0 && nearly() == 1);
	convert(BASE "no-multicast-peers\n");
	CHECK(!yaml_has("deny_peers") && lost() + nearly() == 0);
}

TEST(a_range_means_what_it_means_to_coturn)
{
	convert(BASE "denied-peer-ip=0.0.0.0\n");
	CHECK(yaml_has("    - 0.0.0.0/0\n    - \"::/0\"\n") && nearly() == 1 && lost() == 0);
	convert(BASE "denied-peer-ip=0.0.0.0-255.255.255.255\n");
	CHECK(yaml_has("    - 0.0.0.0/0\n  nonce") && nearly() == 0);
	convert(BASE "denied-peer-ip=::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n");
	CHECK(yaml_has("    - 0.0.0.0/0\n    - \"::/0\"\n") && nearly() == 1);
	convert(BASE "denied-peer-ip=10.0.0.9-10.0.0.1\ndenied-peer-ip=10.0.0.1-::1\ndenied-peer-ip=host-a\ndenied-peer-ip=1.2.3.4-\n");
	CHECK(lost() == 4);
	convert(BASE "allowed-peer-ip=::\nallowed-peer-ip=10.0.0.0/8\nallowed-peer-ip=::-::ff\n");
	CHECK(yaml_has("  allow_peers:\n    - \"::2/127\"\n    - \"::4/126\"\n") && yaml_has("    - \"::80/121\"\n  nonce") && lost() == 3);
}

TEST(what_coturn_never_opens_stays_closed)
{
	convert(BASE "allowed-peer-ip=127.0.0.1\nallowed-peer-ip=::1\nallowed-peer-ip=0.0.0.5-0.255.255.255\n");
	CHECK(!yaml_has("allow_peers:"));
	convert(BASE "allowed-peer-ip=126.255.255.255-128.0.0.0\nallowed-peer-ip=::1-::2\nno-multicast-peers\n"
		     "allowed-peer-ip=223.255.255.254-239.0.0.1\nallowed-peer-ip=feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff-ff00::5\n");
	CHECK(yaml_has("  allow_peers:\n    - 126.255.255.255/32\n    - 128.0.0.0/32\n    - 223.255.255.254/31\n"
		       "    - \"::2/128\"\n    - \"feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128\"\n  nonce"));
	convert(BASE "allowed-peer-ip=239.0.0.1\n");
	CHECK(yaml_has("  allow_peers:\n    - 239.0.0.1/32\n"));
}

TEST(loopback_is_open_but_for_what_is_denied)
{
	convert(BASE "allow-loopback-peers\ndenied-peer-ip=127.0.0.1\ndenied-peer-ip=::1\n");
	CHECK(yaml_has("  allow_peers:\n    - 127.0.0.0/32\n    - 127.0.0.2/31\n    - 127.0.0.4/30\n    - 127.0.0.8/29\n"));
	CHECK(!yaml_has("    - \"::1"));
	convert(BASE "allow-loopback-peers\ndenied-peer-ip=0.0.0.0\n");
	CHECK(!yaml_has("allow_peers:") && yaml_has("    - 0.0.0.0/0\n    - \"::/0\"\n"));
	convert(BASE "allow-loopback-peers\ndenied-peer-ip=127.0.0.1\nallowed-peer-ip=127.0.0.1\n");
	CHECK(yaml_has("    - 127.0.0.1/32\n"));
}

TEST(loopback_and_allowed_ranges_are_exceptions)
{
	convert(BASE "allow-loopback-peers\nallowed-peer-ip=192.168.1.5\nallowed-peer-ip=127.0.0.1\n");
	CHECK(yaml_has("  allow_peers:\n    - 127.0.0.0/8\n    - 192.168.1.5/32\n    - \"::1/128\"\n  nonce") && lost() == 0);
	convert(BASE "allow-loopback-peers=no\n");
	CHECK(!yaml_has("allow_peers:"));
}

TEST(lists_end_where_the_directive_ends)
{
	struct sl_buf text;

	sl_buf_init(&text, 0);
	sl_buf_str(&text, SL_STR(BASE));
	for (unsigned i = 0; i < 1100; i++)
		sl_buf_printf(&text, "allowed-peer-ip=8.%u.%u.2\n", i / 256, i % 256);
	sl_buf_u8(&text, '\0');
	convert((const char *)text.p);
	CHECK_INT(lost(), 1100 - 1024);
	sl_buf_free(&text);
	convert(BASE "static-auth-secret=1\nstatic-auth-secret=2\nstatic-auth-secret=3\nstatic-auth-secret=4\nstatic-auth-secret=5\n"
		     "static-auth-secret=6\nstatic-auth-secret=7\nstatic-auth-secret=8\nstatic-auth-secret=9\nstatic-auth-secret=10\n"
		     "static-auth-secret=11\nstatic-auth-secret=12\nstatic-auth-secret=13\nstatic-auth-secret=14\n"
		     "static-auth-secret=15\nstatic-auth-secret=16\nstatic-auth-secret=17\n");
	CHECK(yaml_has("    - \"16\"\n  nonce") && lost() == 1);
}

TEST(other_servers_are_listed_and_told)
{
	convert(BASE "alternate-server=192.0.2.9\nalternate-server=[2001:db8::9]:99\ntls-alternate-server=192.0.2.9\n");
	CHECK(yaml_has("  alternates: [\"192.0.2.9:3478\", \"[2001:db8::9]:99\"]\n") && lost() == 2);
	convert(BASE "tls-alternate-server=192.0.2.9\n");
	CHECK(yaml_has("  alternates: [\"192.0.2.9:5349\"]\n"));
}

/* ---- the process */

TEST(modules_are_what_the_file_leaves)
{
	convert(BASE "stun-only\nno-udp-relay\n");
	CHECK(yaml_has("modules: [stun]\n") && !yaml_has("\nturn-relay:") && lost() == 0);
	convert(BASE "no-stun\n");
	CHECK(yaml_has("modules: [turn-relay]\n"));
	convert(BASE "prometheus\nprometheus-path=/m\nprometheus-address=127.0.0.1\n");
	CHECK(yaml_has("modules: [http, stun, turn-relay, metrics]\n") && yaml_has("metrics:\n  path: \"/m\"\n"));
	CHECK(yaml_has("  - name: metrics\n    tcp: [\"127.0.0.1:9641\"]\n    http: {embedded: no}\n"));
}

TEST(workers_log_and_user_are_carried_over)
{
	convert(BASE "relay-threads=0\nverbose\nproc-user=turn\nproc-group=turn\npidfile=/run/t.pid\nlog-file=/l\nsimple-log\n");
	CHECK(yaml_has("processes: 1\n") && yaml_has("user: \"turn\"\n") && yaml_has("group: \"turn\"\n"));
	CHECK(yaml_has("pid: \"/run/t.pid\"\n") && yaml_has("log:\n  level: info\n  file: \"/l\"\n") && nearly() == 0);
	convert(BASE "Verbose\nverbose=0\nrelay-threads=400\nlog-file=stdout\n");
	CHECK(yaml_has("  level: debug\n") && yaml_has("processes: 32\n") && !yaml_has("file:"));
	convert(BASE "log-min-level=WARNING\nlog-file=/l\n");
	CHECK(yaml_has("  level: warn\n") && nearly() == 1);
}

/* ---- what is said */

TEST(remarks_stand_in_the_order_of_lines)
{
	convert("secure-stun\nuser=a:0x1\nnonsense\nrealm=x\nno-udp-relay\nCA-file=/ca\n");
	CHECK_STR(sl_buf_view(&now.report),
		  "t.conf:1: secure-stun: not carried over: Binding without credentials is what ICE asks for\n"
		  "t.conf:2: user: not carried over: has a key in place of the password, and the password is needed\n"
		  "t.conf:3: \"nonsense\" is not an option of coturn's files, which skips this line\n"
		  "t.conf:5: no-udp-relay: not carried over: UDP relays are what the module is for\n"
		  "t.conf:6: CA-file: not carried over: clients prove themselves by TURN's credentials; certificates are not asked for\n");
}

TEST(the_comment_of_a_line_stands_in_the_document)
{
	convert(BASE "no-udp-relay\n");
	CHECK(yaml_has("# t.conf:3: no-udp-relay: not carried over: UDP relays are what the module is for\nturn-relay:\n"));
}

TEST_MAIN()
