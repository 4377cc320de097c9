/*
 * base/addr.c: transport addresses as text and as sockaddr.
 *
 * The invariant of struct sl_addr is made here: unused bytes are zero and mapped IPv4
 * (::ffff:0:0/96) is IPv4, so that one peer has one spelling and memcmp() is equality. Names are
 * never resolved; a zone is a number, because turning an interface name into one asks the kernel.
 * Text follows RFC 5952.
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

/* All of the unused bytes are zero by the initialiser, here and in addr_v6(). */
static struct sl_addr addr_v4(const void *ip, uint16_t port)
{
	struct sl_addr a = {.family = 4, .port = port};

	memcpy(a.ip, ip, 4);
	return a;
}

static bool is_link_local(const uint8_t ip[16])
{
	return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

/* A zone means something on link-local addresses only; elsewhere it would make one address two. */
static struct sl_addr addr_v6(const uint8_t ip[16], uint16_t port, uint32_t scope)
{
	struct sl_addr a = {.family = 6, .port = port};

	if (memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0)
		return addr_v4(ip + sizeof mapped_prefix, port);
	memcpy(a.ip, ip, sizeof a.ip);
	a.scope = is_link_local(ip) ? scope : 0;
	return a;
}

bool addr_prefix_eq(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	if (memcmp(a, b, bytes) != 0)
		return false;
	return rest == 0 || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0;
}

/* inet_pton() wants a NUL behind, and must not be fooled by one within. */
static bool parse_with(int family, struct sl_str s, void *dst)
{
	char text[INET6_ADDRSTRLEN];

	if (s.len >= sizeof text || memchr(s.p, '\0', s.len))
		return false;
	sl_str_copy(text, sizeof text, s);
	return inet_pton(family, text, dst) == 1;
}

/* "IP6" or "IP6%zone" */
static int parse_v6(struct sl_addr *ret_addr, struct sl_str s)
{
	struct sl_str ip = sl_str_split(&s, '%');
	uint8_t bytes[16];
	uint64_t scope = 0;

	if (!parse_with(AF_INET6, ip, bytes))
		return -SL_EPARSE;
	if (s.p) {
		if (!is_link_local(bytes) || sl_str_u64(s, &scope) < 0 || scope > UINT32_MAX)
			return -SL_EPARSE;
	}
	*ret_addr = addr_v6(bytes, 0, (uint32_t)scope);
	return 0;
}

int addr_parse_ip(struct sl_addr *ret_addr, struct sl_str s)
{
	uint8_t v4[4];

	if (s.len == 0)
		return -SL_EPARSE;
	if (memchr(s.p, ':', s.len))
		return parse_v6(ret_addr, s);
	if (!parse_with(AF_INET, s, v4))
		return -SL_EPARSE;
	*ret_addr = addr_v4(v4, 0);
	return 0;
}

/* At most 5 digits, so that "000080" is not yet another way to write 80. */
static int parse_port(uint16_t *ret_port, struct sl_str s)
{
	uint64_t port;

	if (s.len > 5 || sl_str_u64(s, &port) < 0 || port > UINT16_MAX)
		return -SL_EPARSE;
	*ret_port = (uint16_t)port;
	return 0;
}

/* "[IP6]" or "[IP6]:port" */
static int parse_bracketed(struct sl_addr *ret_addr, struct sl_str s)
{
	struct sl_str ip = sl_str_split(&s, ']');
	struct sl_addr a;

	/* IPv4 in brackets is nobody's notation; without a colon the rest is no IPv6. */
	if (!s.p || ip.len < 2 || !memchr(ip.p, ':', ip.len))
		return -SL_EPARSE;
	ip.p++;
	ip.len--;
	if (addr_parse_ip(&a, ip) < 0)
		return -SL_EPARSE;
	if (s.len > 0) {
		if (s.p[0] != ':' || parse_port(&a.port, (struct sl_str){s.p + 1, s.len - 1}) < 0)
			return -SL_EPARSE;
	}
	*ret_addr = a;
	return 0;
}

int sl_addr_parse(struct sl_addr *ret_addr, struct sl_str s)
{
	struct sl_str rest = s, ip;
	struct sl_addr a;

	if (s.len > 0 && s.p[0] == '[')
		return parse_bracketed(ret_addr, s);
	ip = sl_str_split(&rest, ':');
	/* One colon parts a port from IPv4; two or more are an IPv6 address without a port. */
	if (!rest.p || memchr(rest.p, ':', rest.len))
		return addr_parse_ip(ret_addr, s);
	if (addr_parse_ip(&a, ip) < 0 || parse_port(&a.port, rest) < 0)
		return -SL_EPARSE;
	*ret_addr = a;
	return 0;
}

const char *sl_addr_format_ip(char dst[SL_ADDR_STRLEN], const struct sl_addr *a)
{
	if (a->family == 0 ||
	    !inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->ip, dst, SL_ADDR_STRLEN)) {
		sl_str_copy(dst, SL_ADDR_STRLEN, SL_STR("-"));
		return dst;
	}
	if (a->scope != 0) {
		size_t len = strlen(dst);

		snprintf(dst + len, SL_ADDR_STRLEN - len, "%%%u", a->scope);
	}
	return dst;
}

const char *sl_addr_format(char dst[SL_ADDR_STRLEN], const struct sl_addr *a)
{
	char ip[SL_ADDR_STRLEN];

	if (a->family == 0 || a->port == 0)
		return sl_addr_format_ip(dst, a);
	sl_addr_format_ip(ip, a);
	/*
	 * 56 bytes hold the longest address with its zone; said so that the compiler knows it fits.
	 * /
	 */
	snprintf(dst, SL_ADDR_STRLEN, a->family == 6 ? "[%.56s]:%u" : "%.56s:%u", ip, a->port);
	return dst;
}

/* Copied out, not cast: the bytes of a cmsg or of a ring need not be aligned as a sockaddr. */
int sl_addr_from_sockaddr(struct sl_addr *ret_addr, const struct sockaddr *sa)
{
	sa_family_t family;

	memcpy(&family, (const char *)sa + offsetof(struct sockaddr, sa_family), sizeof family);
	if (family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof in);
		*ret_addr = addr_v4(&in.sin_addr, ntohs(in.sin_port));
		return 0;
	}
	if (family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof in6);
		*ret_addr = addr_v6(in6.sin6_addr.s6_addr, ntohs(in6.sin6_port), in6.sin6_scope_id);
		return 0;
	}
	return -SL_EUNSUPP;
}

unsigned sl_addr_to_sockaddr(struct sockaddr_storage *ret_sa, const struct sl_addr *a)
{
	if (a->family == 4) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};

		memcpy(&in.sin_addr, a->ip, sizeof in.sin_addr);
		memcpy(ret_sa, &in, sizeof in);
		return sizeof in;
	}
	if (a->family == 6) {
		struct sockaddr_in6 in6 = {
			.sin6_family = AF_INET6,
			.sin6_port = htons(a->port),
			.sin6_scope_id = a->scope,
		};

		memcpy(&in6.sin6_addr, a->ip, sizeof in6.sin6_addr);
		memcpy(ret_sa, &in6, sizeof in6);
		return sizeof in6;
	}
	return 0;
}
