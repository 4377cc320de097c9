/*
 * base/addr.h: what the readers of addresses and of address blocks share.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <sluice/addr.h>

/*
 * A bare IP address: no port, no brackets; "%n" with link-local IPv6 only. Mapped IPv4 comes out as
 * IPv4.
 */
int addr_parse_ip(struct sl_addr *ret_addr, struct sl_str s);

/* True when the first `bits` bits of both are the same. */
bool addr_prefix_eq(const uint8_t *a, const uint8_t *b, unsigned bits);

#endif
