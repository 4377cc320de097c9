/*
 * base/addr.h: what the readers of addresses and of address blocks share, and ranges as blocks.
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

/* What a range can need: two blocks for each bit of IPv6, less the first. */
#define ADDR_MAX_BLOCKS 254

/*
 * The fewest blocks that hold the addresses first..last and no other, in their order. Ports are not
 * looked at. -SL_EINVAL: not of one family; -SL_ELIMIT: last is before first.
 */
SL_MUST_CHECK int addr_range_blocks(const struct sl_addr *first, const struct sl_addr *last,
				    struct sl_cidr ret_blocks[ADDR_MAX_BLOCKS], size_t *ret_n);

#endif
