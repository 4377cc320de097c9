/*
 * Fuzz target: the stream of a client that comes by TCP. However it is cut, the same frames come out; none goes beyond what
 * has arrived; and bytes that begin no check never become one.
 */
#include "proto/ice_tcp.h"

#include <sluice/buf.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Frames in the first n bytes, in a block of just that size; their end in *ret_used. */
static unsigned frames_in(const uint8_t *data, size_t n, size_t *ret_used)
{
	uint8_t *copy = malloc(n + 1);
	unsigned count = 0;
	size_t used = 0, frame;

	sl_assert(copy);
	memcpy(copy + 1, data, n);
	while ((frame = ice_tcp_frame(copy + 1 + used, n - used)) > 0) {
		sl_assert(frame == (size_t)ICE_TCP_HEADER + sl_get16(data + used));
		used += frame;
		sl_assert(used <= n);
		count++;
	}
	(void)ice_tcp_too_long(copy + 1 + used, n - used);
	free(copy);
	*ret_used = used;
	return count;
}

static void cut_anywhere(const uint8_t *data, size_t size)
{
	size_t used, rest;
	unsigned whole = frames_in(data, size, &used);

	for (size_t n = 0; n <= size && size <= 512; n++) {
		size_t first;
		unsigned before = frames_in(data, n, &first);

		sl_assert(before + frames_in(data + first, size - first, &rest) == whole);
		sl_assert(first + rest == used);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool may = true;

	cut_anywhere(data, size);
	for (size_t n = 1; n <= size && n <= 64; n++) {
		bool now = ice_tcp_may_be_check(data, n);

		sl_assert(may || !now);
		may = now;
	}
	if (size >= ICE_TCP_COOKIE_END && may)
		sl_assert(data[3] == SL_STUN_BINDING && ice_tcp_frame(data, size) != ICE_TCP_HEADER);
	return 0;
}
