/*
 * Fuzz target: the datagram classifier. What the STUN reader accepts from a multiplexed port, the
 * classifier calls STUN; and no answer depends on more than the first eight bytes and the length.
 */
#include <sluice/stun.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum sl_demux kind = sl_demux(data, size);
	struct sl_stun_msg m;
	uint8_t head[64] = {0};

	if (size > 0 && data[0] < 4 && sl_stun_parse(&m, data, size) == 0)
		sl_assert(kind == SL_DEMUX_STUN);
	if (size <= sizeof head) {
		memcpy(head, data, size < 8 ? size : 8);
		sl_assert(sl_demux(head, size) == kind);
	}
	return 0;
}
