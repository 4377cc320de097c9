/*
 * Fuzz target: the PROXY header. What is read needs all of its bytes and no more, whatever follows
 * them, and fewer bytes never say anything else than "more".
 */
#include "proto/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header h = {0}, again;
	int rc = proxy_read(data, size, &h);

	if (rc < 0) {
		sl_assert(rc == -SL_EAGAIN || rc == -SL_EPARSE || rc == -SL_ELIMIT);
		return 0;
	}
	sl_assert(h.len <= size && h.len <= PROXY_MAX);
	sl_assert(h.source.family == h.destination.family || h.source.family != 0);
	sl_assert(proxy_read(data, h.len, &again) == 0 && again.len == h.len);
	for (size_t n = 0; n < h.len; n++)
		sl_assert(proxy_read(data, n, &again) == -SL_EAGAIN);
	return 0;
}
