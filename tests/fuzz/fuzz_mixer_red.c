/*
 * Fuzz target: any payload as redundant audio: what is taken lies within it, in order, and the last
 * block has no age.
 */
#include <sluice/err.h>
#include "modules/mixer/red.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct red_block blocks[RED_BLOCKS];
	struct sl_str payload = {(const char *)data, size};
	const char *at = payload.p;
	int n = red_read(payload, blocks);

	if (n < 0)
		return 0;
	sl_assert(n >= 1 && n <= RED_BLOCKS);
	for (int i = 0; i < n; i++) {
		sl_assert(blocks[i].data.p >= at || blocks[i].data.len == 0);
		at = blocks[i].data.p ? blocks[i].data.p + blocks[i].data.len : at;
		sl_assert(at <= payload.p + payload.len);
	}
	sl_assert(blocks[n - 1].age == 0);
	return 0;
}
