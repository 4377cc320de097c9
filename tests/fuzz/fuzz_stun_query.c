/*
 * Fuzz target: answers to a client's Binding request, any bytes. What is taken has an address of
 * the client or an error code.
 */
#include "proto/stun_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t any[12];
	struct stun_report r;
	const uint8_t *txid = size >= SL_STUN_HEADER ? data + 8 : any;

	if (stun_report_read(data, size, txid, &r) < 0)
		return 0;
	sl_assert(r.error || r.mapped.family == 4 || r.mapped.family == 6);
	sl_assert(r.error == 0 || (r.error >= 300 && r.error < 700));
	return 0;
}
