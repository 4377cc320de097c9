/*
 * turn-relay/credentials.c: credentials that this node gives out, as the named interface
 * "ice-servers".
 *
 * Time-limited credentials under the operator's newest secret; without one, under a secret of the
 * node itself, which all its processes derive from the node's key: a relay that nobody has
 * configured serves the clients of its own signalling and nobody else. The URLs name the host as
 * the client knows it and the first port of each transport.
 *
 * Over UDP they give public addresses of ours instead of a name, where we have any: for a name
 * Chromium asks the DNS alone (it appends the final dot, which neither /etc/hosts nor mDNS answer),
 * though the page itself came from that name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sluice/http.h>
#include "relay.h"

enum { OWN_SECRET_BYTES = 32, MAX_USERNAME = 256 };

/* Ports that clients are told of; 0: none. */
struct offered_ports {
	uint16_t udp, tcp, tls, dtls;
	struct sl_addr udp_public[2]; /* IPv4, IPv6; unset: none known */
};

int credentials_open(struct turn_relay *m)
{
	const struct sl_str node_key = {(const char *)m->worker->node_key, 32};
	size_t n = m->conf->secrets.n;
	struct sl_str *all = calloc(n + 1, sizeof *all);

	if (!all)
		return -SL_ENOMEM;
	sl_hmac_sha256(m->own_secret, node_key, "turn secret", 11);
	for (size_t i = 0; i < n; i++)
		all[i] = *SL_LIST_AT(m->conf->secrets, struct sl_str, i);
	all[n] = (struct sl_str){(const char *)m->own_secret, OWN_SECRET_BYTES};
	m->secrets = all;
	m->n_secrets = (unsigned)n + 1;
	return 0;
}

void credentials_close(struct turn_relay *m)
{
	sl_wipe(m->own_secret, sizeof m->own_secret);
	free(m->secrets);
	m->secrets = NULL;
}

static void note_public(const struct turn_relay *m, struct offered_ports *p,
			const struct sl_addr *local)
{
	struct sl_addr a = host_external(m, local);
	struct sl_addr *slot = &p->udp_public[a.family == 6];

	if (slot->family == 0 && host_is_public(&a))
		*slot = a;
}

static struct offered_ports find_ports(const struct turn_relay *m)
{
	const struct sl_listener *const *listeners;
	unsigned n = sl_listeners(m->worker, &listeners);
	struct offered_ports p = {0};

	for (unsigned i = 0; i < n; i++) {
		const struct sl_listener *l = listeners[i];
		uint16_t *port = l->udp ? &p.udp : l->tls ? &p.tls : &p.tcp;

		if (!sl_listener_conf(m->worker, l, "turn-relay"))
			continue;
		if (*port == 0)
			*port = l->local.port;
		if (l->udp && l->tls && p.dtls == 0)
			p.dtls = l->local.port;
		if (l->udp)
			note_public(m, &p, &l->local);
	}
	return p;
}

static void put_url(struct sl_buf *json, const char *scheme, struct sl_str host, uint16_t port,
		    const char *transport)
{
	bool bare_v6 = memchr(host.p, ':', host.len) && host.p[0] != '[';
	char url[320];

	snprintf(url, sizeof url, "%s:%s%.*s%s:%u%s%s", scheme, bare_v6 ? "[" : "", SL_FMT(host),
		 bare_v6 ? "]" : "", port, transport ? "?transport=" : "",
		 transport ? transport : "");
	sl_buf_json(json, sl_str_c(url));
}

static bool is_name(struct sl_str host)
{
	struct sl_addr a;

	return host.p[0] != '[' && sl_addr_parse(&a, host) < 0;
}

/* One for each public address, or one for the host. */
static void put_udp_urls(struct sl_buf *json, const struct offered_ports *p, struct sl_str host,
			 const char *scheme, const char *transport)
{
	char text[SL_ADDR_STRLEN];
	const char *comma = "";

	for (unsigned i = 0; is_name(host) && i < 2; i++) {
		const struct sl_addr *a = &p->udp_public[i];

		if (a->family == 0)
			continue;
		sl_buf_printf(json, "%s", comma);
		put_url(json, scheme, sl_str_c(sl_addr_format_ip(text, a)), a->port, transport);
		comma = ",";
	}
	if (comma[0] == '\0')
		put_url(json, scheme, host, p->udp, transport);
}

static void put_relay_urls(struct sl_buf *json, const struct offered_ports *p, struct sl_str host)
{
	const char *comma = "";

	if (p->udp) {
		put_udp_urls(json, p, host, "turn", "udp");
		comma = ",";
	}
	if (p->tcp) {
		sl_buf_printf(json, "%s", comma);
		put_url(json, "turn", host, p->tcp, "tcp");
		comma = ",";
	}
	if (p->tls) {
		sl_buf_printf(json, "%s", comma);
		put_url(json, "turns", host, p->tls, "tcp");
		comma = ",";
	}
	if (p->dtls) {
		sl_buf_printf(json, "%s", comma);
		put_url(json, "turns", host, p->dtls, "udp");
	}
}

static int put_servers(const struct turn_relay *m, struct sl_str host, struct sl_str id,
		       struct sl_buf *json)
{
	const struct offered_ports p = find_ports(m);
	uint64_t expires = sl_clock_unix_ns() / SL_NS_PER_S + m->conf->credential_lifetime / 1000;
	char user[MAX_USERNAME], password[32];
	int rc = sl_turn_credential(m->secrets[0], id, expires, user, sizeof user, password);

	if (rc < 0)
		return rc;
	sl_buf_printf(json, "[");
	if (p.udp) {
		sl_buf_printf(json, "{\"urls\":[");
		put_udp_urls(json, &p, host, "stun", NULL);
		sl_buf_printf(json, "]}");
	}
	if (p.udp || p.tcp || p.tls) {
		sl_buf_printf(json, "%s{\"urls\":[", p.udp ? "," : "");
		put_relay_urls(json, &p, host);
		sl_buf_printf(json, "],\"username\":");
		sl_buf_json(json, sl_str_c(user));
		sl_buf_printf(json, ",\"credential\":");
		sl_buf_json(json, sl_str_c(password));
		sl_buf_printf(json, "}");
	}
	sl_buf_printf(json, "]");
	sl_wipe(password, sizeof password);
	return sl_buf_ok(json);
}

static int append(void *self, struct sl_str host, struct sl_str id, struct sl_buf *json,
		  uint64_t *ret_ttl_s)
{
	const struct turn_relay *m = self;
	int rc;

	if (m->conf->public_host.len)
		host = m->conf->public_host;
	if (host.len == 0 || host.len > 255)
		return -SL_EINVAL;
	rc = put_servers(m, host, id, json);
	if (rc == 0)
		*ret_ttl_s = m->conf->credential_lifetime / 1000;
	return rc;
}

/* The object of draft-uberti-behave-turn-rest, and the same as RTCIceServers. */
int credentials_write(const struct turn_relay *m, struct sl_str host, struct sl_str id,
		      struct sl_buf *json)
{
	const struct offered_ports p = find_ports(m);
	uint64_t ttl = m->conf->credential_lifetime / 1000;
	char user[MAX_USERNAME], password[32];
	int rc = sl_turn_credential(m->secrets[0], id, sl_clock_unix_ns() / SL_NS_PER_S + ttl, user,
				    sizeof user, password);

	if (rc < 0)
		return rc;
	sl_buf_printf(json, "{\"username\":");
	sl_buf_json(json, sl_str_c(user));
	sl_buf_printf(json, ",\"password\":");
	sl_buf_json(json, sl_str_c(password));
	sl_buf_printf(json, ",\"ttl\":%llu,\"uris\":[", (unsigned long long)ttl);
	if (m->conf->public_host.len)
		host = m->conf->public_host;
	put_relay_urls(json, &p, host);
	sl_buf_printf(json, "],\"iceServers\":");
	sl_wipe(password, sizeof password);
	rc = put_servers(m, host, id, json);
	sl_buf_printf(json, "}");
	return rc < 0 ? rc : sl_buf_ok(json);
}

const struct sl_ice_servers_iface credentials_iface = {.size = sizeof credentials_iface,
						       .append = append};
