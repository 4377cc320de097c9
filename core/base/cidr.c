/*
 * base/cidr.c: address blocks, and what kind of place an address is.
 *
 * The tables follow the IANA special-purpose registries (RFC 6890, RFC 8190). An IPv6 address
 * through which a translator reaches IPv4 (RFC 6052, RFC 3056) is of the class of the IPv4 address
 * in it: else 64:ff9b::7f00:1 would be a public name of the loopback.
 */
#include "base/addr.h"

#include <stdio.h>

struct special {
	uint8_t ip[16];
	uint8_t bits;
	uint8_t class;
};

/* First match wins. */
static const struct special special_v4[] = {
	{{0}, 8, SL_ADDR_UNSPECIFIED},
	{{10}, 8, SL_ADDR_PRIVATE},
	{{100, 64}, 10, SL_ADDR_PRIVATE}, /* carrier-grade NAT, RFC 6598 */
	{{127}, 8, SL_ADDR_LOOPBACK},
	{{169, 254}, 16, SL_ADDR_LINK_LOCAL},
	{{172, 16}, 12, SL_ADDR_PRIVATE},
	{{192, 0, 0}, 24, SL_ADDR_RESERVED},
	{{192, 0, 2}, 24, SL_ADDR_DOCUMENTATION},
	{{192, 88, 99}, 24, SL_ADDR_RESERVED}, /* 6to4 relays, RFC 7526 */
	{{192, 168}, 16, SL_ADDR_PRIVATE},
	{{198, 18}, 15, SL_ADDR_RESERVED}, /* benchmarks, RFC 2544 */
	{{198, 51, 100}, 24, SL_ADDR_DOCUMENTATION},
	{{203, 0, 113}, 24, SL_ADDR_DOCUMENTATION},
	{{224}, 4, SL_ADDR_MULTICAST},
	{{255, 255, 255, 255}, 32, SL_ADDR_BROADCAST},
	{{240}, 4, SL_ADDR_RESERVED},
	{{0}, 0, SL_ADDR_GLOBAL},
};

/* Outside of 2000::/3 nothing is routed on the Internet (RFC 4291 section 2.4). */
static const struct special special_v6[] = {
	{{0}, 128, SL_ADDR_UNSPECIFIED},
	{{[15] = 1}, 128, SL_ADDR_LOOPBACK},
	{{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, SL_ADDR_PRIVATE}, /* RFC 8215 */
	{{0x20, 0x01, 0x0d, 0xb8}, 32, SL_ADDR_DOCUMENTATION},
	{{0x20, 0x01, 0x00}, 23, SL_ADDR_RESERVED}, /* Teredo, ORCHID, benchmarks */
	{{0x3f, 0xff}, 20, SL_ADDR_DOCUMENTATION},  /* RFC 9637 */
	{{0x20}, 3, SL_ADDR_GLOBAL},
	{{0xfc}, 7, SL_ADDR_PRIVATE},
	{{0xfe, 0x80}, 10, SL_ADDR_LINK_LOCAL},
	{{0xfe, 0xc0}, 10, SL_ADDR_PRIVATE}, /* site-local of old, RFC 3879 */
	{{0xff}, 8, SL_ADDR_MULTICAST},
	{{0}, 0, SL_ADDR_RESERVED},
};

/* Both tables end in a row that matches everything. */
static enum sl_addr_class look_up(const struct special *row, const uint8_t *ip)
{
	while (!addr_prefix_eq(row->ip, ip, row->bits))
		row++;
	return (enum sl_addr_class)row->class;
}

/* The IPv4 address in an IPv6 one that a translator or tunnel would take out; NULL: none. */
static const uint8_t *embedded_v4(const uint8_t ip[16])
{
	static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b}, sixto4[2] = {0x20, 0x02};

	if (memcmp(ip, nat64, sizeof nat64) == 0)
		return ip + 12;
	if (memcmp(ip, sixto4, sizeof sixto4) == 0)
		return ip + 2;
	return NULL;
}

enum sl_addr_class sl_addr_classify(const struct sl_addr *a)
{
	const uint8_t *v4 = a->family == 4 ? a->ip : NULL;

	if (a->family == 0)
		return SL_ADDR_UNSPECIFIED;
	if (a->family == 6)
		v4 = embedded_v4(a->ip);
	return v4 ? look_up(special_v4, v4) : look_up(special_v6, a->ip);
}

static unsigned family_bits(const struct sl_addr *a)
{
	return a->family == 4 ? 32 : 128;
}

static bool host_bits_zero(const struct sl_addr *a, unsigned bits)
{
	struct sl_addr net = *a;

	for (unsigned i = bits; i < family_bits(a); i++)
		net.ip[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	return sl_addr_same_ip(&net, a);
}

/*
 * "::ffff:10.0.0.0/104" is 10.0.0.0/8: the base was mapped, so its 96 bits go from the length as
 * well.
 */
static int parse_bits(unsigned *ret_bits, struct sl_str s, bool mapped)
{
	unsigned skipped = mapped ? 96 : 0;
	uint64_t bits;

	if (s.len > 3 || sl_str_u64(s, &bits) < 0 || bits > 128 || bits < skipped)
		return -SL_EPARSE;
	*ret_bits = (unsigned)bits - skipped;
	return 0;
}

int sl_cidr_parse(struct sl_cidr *ret_cidr, struct sl_str s)
{
	struct sl_str ip = sl_str_split(&s, '/');
	struct sl_addr base;
	unsigned bits;
	bool mapped;

	if (addr_parse_ip(&base, ip) < 0 || base.scope != 0)
		return -SL_EPARSE;
	mapped = base.family == 4 && memchr(ip.p, ':', ip.len);
	bits = family_bits(&base);
	if (s.p && parse_bits(&bits, s, mapped) < 0)
		return -SL_EPARSE;
	if (bits > family_bits(&base) || !host_bits_zero(&base, bits))
		return -SL_EPARSE;
	*ret_cidr = (struct sl_cidr){.base = base, .bits = (uint8_t)bits};
	return 0;
}

bool sl_cidr_has(const struct sl_cidr *c, const struct sl_addr *a)
{
	return c->base.family != 0 && c->base.family == a->family &&
	       addr_prefix_eq(c->base.ip, a->ip, c->bits);
}

const char *sl_cidr_format(char dst[SL_ADDR_STRLEN], const struct sl_cidr *c)
{
	char ip[SL_ADDR_STRLEN];

	snprintf(dst, SL_ADDR_STRLEN, "%.56s/%u", sl_addr_format_ip(ip, &c->base), c->bits);
	return dst;
}
