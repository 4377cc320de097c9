/*
 * mixer/red.c: heads first, of four bytes with a length and one of one byte; then the blocks.
 */
#include "red.h"

#include <sluice/buf.h>

static int read_heads(struct sl_reader *r, uint32_t ages[RED_BLOCKS], size_t lens[RED_BLOCKS])
{
	for (int n = 0; n < RED_BLOCKS; n++) {
		uint8_t first = sl_read_u8(r);
		uint32_t rest;

		ages[n] = 0;
		if (!(first & 0x80))
			return r->failed ? -SL_EPARSE : n;
		rest = (uint32_t)sl_read_u16(r) << 8;
		rest |= sl_read_u8(r);
		ages[n] = rest >> 10;
		lens[n] = rest & 0x3ff;
	}
	return -SL_EPARSE;
}

int red_read(struct sl_str payload, struct red_block ret_blocks[RED_BLOCKS])
{
	struct sl_reader r = sl_reader(payload.p, payload.len);
	uint32_t ages[RED_BLOCKS];
	size_t lens[RED_BLOCKS];
	int n = read_heads(&r, ages, lens);

	if (n < 0)
		return n;
	for (int i = 0; i <= n; i++) {
		size_t len = i < n ? lens[i] : (size_t)(r.end - r.p);

		ret_blocks[i].age = ages[i];
		ret_blocks[i].data = sl_read_bytes(&r, len);
	}
	return r.failed ? -SL_EPARSE : n + 1;
}
