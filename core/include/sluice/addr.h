/*
 * sluice/addr.h: transport addresses and address blocks.
 *
 * One compact form for IPv4 and IPv6, comparable by bytes: unused bytes are always zero.
 * IPv4-mapped IPv6 addresses are turned into IPv4 wherever an address enters
 * (sl_addr_from_sockaddr, parsers).
 */
#ifndef SLUICE_ADDR_H
#define SLUICE_ADDR_H

#include <sluice/hash.h>
#include <sluice/str.h>

struct sockaddr;
struct sockaddr_storage;
struct sl_pool;

struct sl_addr {
	uint8_t family; /* 0 (unset), 4 or 6 */
	uint8_t pad_;
	uint16_t port;	/* host order */
	uint32_t scope; /* IPv6 link-local zone index, else 0 */
	uint8_t ip[16]; /* IPv4 in the first 4 */
};

#define SL_ADDR_STRLEN 64 /* "[ffff:...:ffff%4294967295]:65535" and NUL */

/* IP, IP:port, [IP6]:port, IP6 */
SL_API SL_MUST_CHECK int sl_addr_parse(struct sl_addr *ret_addr, struct sl_str s);
/* With port unless it is 0; returns dst */
SL_API const char *sl_addr_format(char dst[SL_ADDR_STRLEN], const struct sl_addr *a);
/* Without port; "-" for an unset address. Returns dst */
SL_API const char *sl_addr_format_ip(char dst[SL_ADDR_STRLEN], const struct sl_addr *a);
/* sa as the kernel wrote it, aligned or not. -SL_EUNSUPP: neither IPv4 nor IPv6 */
SL_API SL_MUST_CHECK int sl_addr_from_sockaddr(struct sl_addr *ret_addr, const struct sockaddr *sa);
/* Returns the length of the sockaddr, 0 for an unset address. */
SL_API unsigned sl_addr_to_sockaddr(struct sockaddr_storage *ret_sa, const struct sl_addr *a);

static inline bool sl_addr_eq(const struct sl_addr *a, const struct sl_addr *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}
static inline bool sl_addr_same_ip(const struct sl_addr *a, const struct sl_addr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}
static inline uint64_t sl_addr_hash(const struct sl_addr *a)
{
	return sl_hash(a, sizeof *a);
}

/* What kind of place an address is: RFC 6890 and its companions. */
enum sl_addr_class {
	SL_ADDR_GLOBAL,
	SL_ADDR_UNSPECIFIED, /* 0.0.0.0/8, :: */
	SL_ADDR_LOOPBACK,
	SL_ADDR_LINK_LOCAL,
	SL_ADDR_PRIVATE, /* RFC 1918, RFC 4193, 100.64/10 (RFC 6598) */
	SL_ADDR_MULTICAST,
	SL_ADDR_BROADCAST,
	SL_ADDR_DOCUMENTATION,
	SL_ADDR_RESERVED,
};
/* By the address alone; the port does not matter */
SL_API enum sl_addr_class sl_addr_classify(const struct sl_addr *a);

struct sl_cidr {
	struct sl_addr base; /* port 0, host bits zero */
	uint8_t bits;
};
/* "10.0.0.0/8", "::1"; host bits must be zero */
SL_API SL_MUST_CHECK int sl_cidr_parse(struct sl_cidr *ret_cidr, struct sl_str s);
/* False for another family; port and zone do not matter */
SL_API bool sl_cidr_has(const struct sl_cidr *c, const struct sl_addr *a);
/* "10.0.0.0/8"; returns dst */
SL_API const char *sl_cidr_format(char dst[SL_ADDR_STRLEN], const struct sl_cidr *c);

#endif
