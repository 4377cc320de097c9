/*
 * proto/proxy.c: reads the PROXY protocol's header ("The PROXY protocol", HAProxy, versions 1
 * and 2).
 *
 * Version 1 is a line of text, version 2 binary, with further values behind the addresses, which
 * are skipped. Both are read from the first bytes of a stream, of which any number may be there.
 * Only TCP is taken: nothing else can have come over a connection.
 */
#include "proto/proxy.h"

#include <sluice/buf.h>

enum v2_command { V2_LOCAL = 0x20, V2_PROXY = 0x21 };
enum v2_family { V2_UNSPEC = 0x00, V2_TCP4 = 0x11, V2_TCP6 = 0x21, V2_UNIX = 0x31 };
enum { TCP4_BYTES = 12, TCP6_BYTES = 36 };

static const uint8_t v2_signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
					 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

/* Do the bytes so far begin like it? */
static bool begins_like(const uint8_t *p, size_t len, const void *what, size_t n)
{
	return memcmp(p, what, len < n ? len : n) == 0;
}

/* ---- version 1 */

/* A number as the protocol writes it: no sign, no leading zero. */
static int read_port(struct sl_str s, uint16_t *ret_port)
{
	uint64_t n;

	if (s.len < 1 || s.len > 5 || (s.p[0] == '0' && s.len > 1) || sl_str_u64(s, &n) < 0 ||
	    n > 65535)
		return -SL_EPARSE;
	*ret_port = (uint16_t)n;
	return 0;
}

static bool has(struct sl_str s, char c)
{
	return s.len > 0 && memchr(s.p, c, s.len);
}

/* The address parser takes ports, brackets and zones as well, which have no place here. An IPv4
 * address in the form of IPv6 becomes IPv4, as everywhere. */
static int read_ip(struct sl_str s, bool v6, struct sl_addr *ret_addr)
{
	if (has(s, '[') || has(s, '%') || has(s, ':') != v6 || sl_addr_parse(ret_addr, s) < 0 ||
	    ret_addr->port != 0)
		return -SL_EPARSE;
	return 0;
}

/* "TCP4 192.0.2.1 192.0.2.2 4000 443" */
static int read_v1_fields(struct sl_str line, struct proxy_header *h)
{
	struct sl_str kind = sl_str_split(&line, ' ');
	struct sl_str source = sl_str_split(&line, ' '), destination = sl_str_split(&line, ' ');
	struct sl_str source_port = sl_str_split(&line, ' ');
	bool v6 = sl_str_eq(kind, SL_STR("TCP6"));

	if (sl_str_eq(kind, SL_STR("UNKNOWN")))
		return 0; /* whatever follows */
	if (!v6 && !sl_str_eq(kind, SL_STR("TCP4")))
		return -SL_EPARSE;
	if (read_ip(source, v6, &h->source) < 0 || read_ip(destination, v6, &h->destination) < 0 ||
	    read_port(source_port, &h->source.port) < 0)
		return -SL_EPARSE;
	return read_port(line, &h->destination.port);
}

static int read_v1(const uint8_t *p, size_t len, struct proxy_header *ret_header)
{
	const uint8_t *end = memchr(p, '\n', len < PROXY_V1_MAX ? len : PROXY_V1_MAX);
	struct proxy_header h = {0};

	if (!end)
		return len < PROXY_V1_MAX ? -SL_EAGAIN : -SL_EPARSE;
	h.len = (size_t)(end - p) + 1;
	if (h.len < 8 || end[-1] != '\r' ||
	    read_v1_fields((struct sl_str){(const char *)p + 6, h.len - 8}, &h) < 0)
		return -SL_EPARSE;
	*ret_header = h;
	return 0;
}

/* ---- version 2 */

static struct sl_addr read_addr(struct sl_reader *r, unsigned ip_bytes)
{
	struct sl_str ip = sl_read_bytes(r, ip_bytes);
	struct sl_addr a = {.family = ip_bytes == 4 ? 4 : 6};

	if (!r->failed)
		memcpy(a.ip, ip.p, ip_bytes);
	return a;
}

/* One form for one address: ::ffff:192.0.2.1 is 192.0.2.1. */
static void unmap(struct sl_addr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (a->family != 6 || memcmp(a->ip, mapped, sizeof mapped) != 0)
		return;
	a->family = 4;
	memcpy(a->ip, a->ip + 12, 4);
	memset(a->ip + 4, 0, 12);
}

static int read_addresses(const uint8_t *p, size_t len, unsigned ip_bytes, struct proxy_header *h)
{
	struct sl_reader r = sl_reader(p, len);

	h->source = read_addr(&r, ip_bytes);
	h->destination = read_addr(&r, ip_bytes);
	h->source.port = sl_read_u16(&r);
	h->destination.port = sl_read_u16(&r);
	unmap(&h->source);
	unmap(&h->destination);
	return r.failed ? -SL_EPARSE : 0;
}

/* A receiver must take LOCAL with any family, and families that have no addresses for it. */
static int read_v2_body(uint8_t command, uint8_t family, const uint8_t *p, size_t len,
			struct proxy_header *h)
{
	if (command == V2_LOCAL)
		return 0;
	if (command != V2_PROXY)
		return -SL_EPARSE;
	switch (family) {
	case V2_UNSPEC:
	case V2_UNIX:
		return 0;
	case V2_TCP4:
		return len < TCP4_BYTES ? -SL_EPARSE : read_addresses(p, TCP4_BYTES, 4, h);
	case V2_TCP6:
		return len < TCP6_BYTES ? -SL_EPARSE : read_addresses(p, TCP6_BYTES, 16, h);
	default:
		return -SL_EPARSE;
	}
}

static int read_v2(const uint8_t *p, size_t len, struct proxy_header *ret_header)
{
	struct proxy_header h = {0};
	size_t body;

	if (len < PROXY_V2_HEADER)
		return -SL_EAGAIN;
	body = sl_get16(p + 14);
	h.len = PROXY_V2_HEADER + body;
	if (h.len > PROXY_MAX)
		return -SL_ELIMIT;
	if (len < h.len)
		return -SL_EAGAIN;
	if (read_v2_body(p[12], p[13], p + PROXY_V2_HEADER, body, &h) < 0)
		return -SL_EPARSE;
	*ret_header = h;
	return 0;
}

int proxy_read(const void *data, size_t len, struct proxy_header *ret_header)
{
	if (len == 0)
		return -SL_EAGAIN;
	if (begins_like(data, len, v2_signature, sizeof v2_signature))
		return read_v2(data, len, ret_header);
	if (begins_like(data, len, "PROXY ", 6))
		return read_v1(data, len, ret_header);
	return -SL_EPARSE;
}
