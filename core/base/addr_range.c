/*
 * base/addr_range.c: a range of addresses as the blocks that cover it exactly.
 *
 * Each step takes the largest block that begins where the last one ended, is aligned, and does not
 * reach beyond the end. Addresses are numbers of 32 or 128 bits, high byte first.
 */
#include "base/addr.h"

static unsigned width(const struct sl_addr *a)
{
	return a->family == 4 ? 32 : 128;
}

/* The last address of the block of 2^host addresses that begins at ip. */
static void fill(uint8_t last[16], const uint8_t ip[16], unsigned bits, unsigned host)
{
	memcpy(last, ip, 16);
	for (unsigned i = bits - host; i < bits; i++)
		last[i / 8] |= (uint8_t)(0x80 >> i % 8);
}

static bool is_set(const uint8_t ip[16], unsigned bit)
{
	return ip[bit / 8] & 0x80 >> bit % 8;
}

/* Host bits of the largest block from `from` on. */
static unsigned largest(const uint8_t from[16], const uint8_t to[16], unsigned bits)
{
	uint8_t last[16];
	unsigned host = 0;

	while (host < bits && !is_set(from, bits - host - 1)) {
		fill(last, from, bits, host + 1);
		if (memcmp(last, to, 16) > 0)
			break;
		host++;
	}
	return host;
}

/* False after the last address of the family. */
static bool add_one(uint8_t ip[16], unsigned bits)
{
	for (unsigned i = bits / 8; i-- > 0;)
		if (++ip[i] != 0)
			return true;
	return false;
}

int addr_range_blocks(const struct sl_addr *first, const struct sl_addr *last,
		      struct sl_cidr ret_blocks[ADDR_MAX_BLOCKS], size_t *ret_n)
{
	struct sl_addr from = {.family = first->family};
	unsigned bits = width(first), host;
	size_t n = 0;

	if (first->family != last->family || first->family == 0)
		return -SL_EINVAL;
	if (memcmp(first->ip, last->ip, sizeof last->ip) > 0)
		return -SL_ELIMIT;
	memcpy(from.ip, first->ip, sizeof from.ip);
	do {
		host = largest(from.ip, last->ip, bits);
		sl_assert(n < ADDR_MAX_BLOCKS);
		ret_blocks[n++] = (struct sl_cidr){.base = from, .bits = (uint8_t)(bits - host)};
		fill(from.ip, from.ip, bits, host);
	} while (add_one(from.ip, bits) && memcmp(from.ip, last->ip, sizeof from.ip) <= 0);
	*ret_n = n;
	return 0;
}
