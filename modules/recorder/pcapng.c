/*
 * recorder/pcapng.c: see pcapng.h. Numbers of blocks are in this machine's order, which the first
 * block tells; those of IP and UDP in the network's.
 */
#include "pcapng.h"

enum {
	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET = 6,
	LINKTYPE_IPV4 = 228,
	IP_UDP = 28,
	MAX_PACKET = UINT16_MAX - IP_UDP, /* IP's own length has no more */
};

static void put_host32(struct sl_buf *b, uint32_t v)
{
	sl_buf_add(b, &v, sizeof v);
}

void pcapng_begin(struct sl_buf *b)
{
	/* The section's length is unknown: all bits are set. */
	static const uint32_t section[] = {BLOCK_SECTION, 28,	      0x1a2b3c4d, 1,
					   UINT32_MAX,	  UINT32_MAX, 28};
	static const uint32_t interface[] = {BLOCK_INTERFACE, 32, LINKTYPE_IPV4, 0};
	/* Times in nanoseconds: option 9, one byte of value 9 */
	static const uint8_t resolution[12] = {9, 0, 1, 0, 9};

	sl_buf_add(b, section, sizeof section);
	sl_buf_add(b, interface, sizeof interface);
	sl_buf_add(b, resolution, sizeof resolution);
	put_host32(b, 32);
}

void pcapng_packet(struct sl_buf *b, uint64_t unix_ns, struct sl_str packet)
{
	uint32_t len = IP_UDP + (uint32_t)packet.len, padded = (len + 3) & ~3u;
	uint8_t head[IP_UDP] = {0x45, 0, 0,   0, 0, 0, 0x40, 0, 64, 17,
				0,    0, 127, 0, 0, 1, 127,  0, 0,  1};

	if (packet.len > MAX_PACKET)
		return; /* none that came by UDP */
	sl_put16(head + 2, (uint16_t)len);
	sl_put16(head + 20, 5004);
	sl_put16(head + 22, 5004);
	sl_put16(head + 24, (uint16_t)(8 + packet.len));
	put_host32(b, BLOCK_PACKET);
	put_host32(b, 32 + padded);
	put_host32(b, 0);
	put_host32(b, (uint32_t)(unix_ns >> 32));
	put_host32(b, (uint32_t)unix_ns);
	put_host32(b, len);
	put_host32(b, len);
	sl_buf_add(b, head, sizeof head);
	sl_buf_add(b, packet.p, packet.len);
	sl_buf_add(b, "\0\0\0", padded - len);
	put_host32(b, 32 + padded);
}
