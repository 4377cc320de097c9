/*
 * proto/ice_candidate.c: candidates as text (RFC 8839 section 5.1, RFC 6544 section 4.5) and their
 * priorities (RFC 8445 section 5.1.2, RFC 6544 section 4.2).
 *
 * The parser takes what browsers and servers send: extensions in any order, unknown ones skipped in
 * pairs. A name instead of an address is kept as it is; nothing here resolves it.
 */
#include "proto/ice_impl.h"

#include <stdio.h>

enum { MAX_FOUNDATION = 32, MAX_TOKENS = 64 };

static const char *const type_names[] = {"host", "srflx", "prflx", "relay"};
static const char *const tcp_names[] = {NULL, "passive", "active", "so"};

/* The next word; empty at the end. */
static struct sl_str word(struct sl_str *rest)
{
	struct sl_str w;

	*rest = sl_str_trim(*rest);
	w = sl_str_split(rest, ' ');
	return sl_str_trim(w);
}

static int number(struct sl_str s, uint64_t max, uint64_t *ret_value)
{
	uint64_t v;

	if (sl_str_u64(s, &v) < 0 || v > max)
		return -SL_EPARSE;
	*ret_value = v;
	return 0;
}

static bool is_ice_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '+' || c == '/';
}

static bool is_ice_chars(struct sl_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_ice_char(s.p[i]))
			return false;
	return s.len > 0;
}

static bool is_name(struct sl_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_ice_char(s.p[i]) && s.p[i] != '.' && s.p[i] != '-' && s.p[i] != '_')
			return false;
	return s.len > 0 && s.p[0] != '.';
}

/* An IP without a port; the zone of a link-local address means nothing to us. */
static int plain_ip(struct sl_str s, struct sl_addr *ret_addr)
{
	struct sl_addr a;
	const char *zone = s.len ? memchr(s.p, '%', s.len) : NULL;

	if (zone)
		s.len = (size_t)(zone - s.p);
	if (s.len == 0 || s.p[0] == '[' || sl_addr_parse(&a, s) < 0 || a.port != 0)
		return -SL_EPARSE;
	*ret_addr = a;
	return 0;
}

static int read_place(struct ice_candidate *c, struct sl_str host, struct sl_str port)
{
	uint64_t v;

	if (number(port, UINT16_MAX, &v) < 0)
		return -SL_EPARSE;
	if (plain_ip(host, &c->addr) == 0) {
		c->addr.port = (uint16_t)v;
		return 0;
	}
	c->addr.port = (uint16_t)v;
	/* A wrong address is no name: names end in something other than a digit. */
	if (!is_name(host) || host.len >= sizeof c->name ||
	    (host.p[host.len - 1] >= '0' && host.p[host.len - 1] <= '9'))
		return -SL_EPARSE;
	(void)sl_str_copy(c->name, sizeof c->name, host); /* fits */
	return 0;
}

static int read_transport(struct ice_candidate *c, struct sl_str s)
{
	if (sl_str_eq_nocase(s, SL_STR("udp"))) {
		c->transport = ICE_UDP;
		return 0;
	}
	if (!sl_str_eq_nocase(s, SL_STR("tcp")))
		return -SL_EPARSE;
	c->transport = ICE_TCP_ACTIVE; /* until tcptype says more */
	return 0;
}

static int read_type(struct ice_candidate *c, struct sl_str key, struct sl_str value)
{
	if (!sl_str_eq(key, SL_STR("typ")))
		return -SL_EPARSE;
	for (unsigned i = 0; i < SL_ARRAY_LEN(type_names); i++) {
		if (sl_str_eq_nocase(value, sl_str_c(type_names[i]))) {
			c->type = (uint8_t)i;
			return 0;
		}
	}
	return -SL_EPARSE;
}

static int read_tcp_type(struct ice_candidate *c, struct sl_str value)
{
	if (c->transport == ICE_UDP)
		return 0; /* means nothing there */
	for (unsigned i = ICE_TCP_PASSIVE; i < SL_ARRAY_LEN(tcp_names); i++) {
		if (sl_str_eq_nocase(value, sl_str_c(tcp_names[i]))) {
			c->transport = (uint8_t)i;
			return 0;
		}
	}
	return -SL_EPARSE;
}

static int read_extension(struct ice_candidate *c, struct sl_str key, struct sl_str value)
{
	uint64_t port;

	if (sl_str_eq(key, SL_STR("raddr"))) {
		/* Browsers hide it: 0.0.0.0, ::, or a name. */
		uint16_t kept = c->related.port;
		if (plain_ip(value, &c->related) == 0)
			c->related.port = kept;
		return 0;
	}
	if (sl_str_eq(key, SL_STR("rport"))) {
		if (number(value, UINT16_MAX, &port) < 0)
			return -SL_EPARSE;
		c->related.port = (uint16_t)port;
		return 0;
	}
	if (sl_str_eq(key, SL_STR("tcptype")))
		return read_tcp_type(c, value);
	if (sl_str_eq(key, SL_STR("ufrag")) && value.len < sizeof c->ufrag && is_ice_chars(value))
		(void)sl_str_copy(c->ufrag, sizeof c->ufrag, value); /* fits */
	return 0;
}

int ice_candidate_parse(struct ice_candidate *ret_c, struct sl_str text)
{
	struct ice_candidate c = {0};
	struct sl_str foundation, host, key;
	uint64_t component, priority;

	text = sl_str_trim(text);
	if (sl_str_starts(text, SL_STR("a=")))
		text = (struct sl_str){text.p + 2, text.len - 2};
	if (sl_str_starts(text, SL_STR("candidate:")))
		text = (struct sl_str){text.p + 10, text.len - 10};
	foundation = word(&text);
	if (foundation.len > MAX_FOUNDATION || !is_ice_chars(foundation) ||
	    number(word(&text), UINT8_MAX, &component) < 0 || component == 0 ||
	    read_transport(&c, word(&text)) < 0 || number(word(&text), UINT32_MAX, &priority) < 0)
		return -SL_EPARSE;
	(void)sl_str_copy(c.foundation, sizeof c.foundation, foundation); /* fits */
	c.component = (uint8_t)component;
	c.priority = (uint32_t)priority;
	host = word(&text);
	if (read_place(&c, host, word(&text)) < 0)
		return -SL_EPARSE;
	key = word(&text);
	if (read_type(&c, key, word(&text)) < 0)
		return -SL_EPARSE;
	for (unsigned i = 0; i < MAX_TOKENS && (key = word(&text)).len > 0; i++)
		if (read_extension(&c, key, word(&text)) < 0)
			return -SL_EPARSE;
	if (c.related.family == 0)
		c.related = (struct sl_addr){0};
	*ret_c = c;
	return 0;
}

size_t ice_candidate_format(char dst[ICE_CANDIDATE_TEXT], const struct ice_candidate *c)
{
	char ip[SL_ADDR_STRLEN], related[SL_ADDR_STRLEN];
	const char *type = c->type < SL_ARRAY_LEN(type_names) ? type_names[c->type] : "host";
	bool tcp = c->transport != ICE_UDP && c->transport < SL_ARRAY_LEN(tcp_names);
	char extra[SL_ADDR_STRLEN + 64] = "";
	int n = 0;

	if (c->related.family != 0)
		n = snprintf(extra, sizeof extra, " raddr %s rport %u",
			     sl_addr_format_ip(related, &c->related), (unsigned)c->related.port);
	if (tcp)
		(void)snprintf(extra + n, sizeof extra - (size_t)n, " tcptype %s",
			       tcp_names[c->transport]);
	n = snprintf(dst, ICE_CANDIDATE_TEXT, "%s %u %s %u %s %u typ %s%s%s%s", c->foundation,
		     (unsigned)c->component, tcp ? "tcp" : "udp", (unsigned)c->priority,
		     c->name[0] ? c->name : sl_addr_format_ip(ip, &c->addr), (unsigned)c->addr.port,
		     type, extra, c->ufrag[0] ? " ufrag " : "", c->ufrag);
	return n < ICE_CANDIDATE_TEXT ? (size_t)n : ICE_CANDIDATE_TEXT - 1;
}

/* ---- priorities */

enum { TYPE_HOST = 126, TYPE_PRFLX = 110, TYPE_TCP_HOST = 90, TCP_PASSIVE_DIRECTION = 4 };

uint32_t ice_host_priority(unsigned n_before, enum ice_transport transport)
{
	uint32_t type = TYPE_HOST, preference = 65535 - n_before * 256;

	if (transport != ICE_UDP) { /* below any UDP candidate (RFC 6544 section 4.2) */
		type = TYPE_TCP_HOST;
		preference = TCP_PASSIVE_DIRECTION << 13 | (8191 - n_before * 256);
	}
	return type << 24 | preference << 8 | 255; /* component 1 */
}

uint32_t ice_prflx_priority(uint32_t host_priority)
{
	uint32_t type = host_priority >> 24 == TYPE_HOST ? TYPE_PRFLX : TYPE_TCP_HOST - 1;

	return type << 24 | (host_priority & 0xffffff);
}
