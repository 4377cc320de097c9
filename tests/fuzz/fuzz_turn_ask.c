/*
 * Fuzz target: what a TURN server tells a client, any bytes. A challenge that is kept stays within
 * its room and fits the next request.
 */
#include "proto/turn_ask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct turn_ask ask = {.method = SL_TURN_ALLOCATE, .lifetime_s = -1};
	struct turn_asker c = {.user = SL_STR("ann"), .password = SL_STR("pass")};
	uint8_t request[TURN_ASK_MAX];
	static const uint8_t any[12];
	const uint8_t *txid = size >= SL_STUN_HEADER ? data + 8 : any;
	struct turn_told t;

	if (turn_told_read(&c, data, size, txid, &t) == 0) {
		sl_assert((c.realm[0] == '\0') == (c.nonce[0] == '\0') || t.error);
		sl_assert(turn_ask_write(&c, &ask, any, request) > 0);
	}
	if (turn_data_read(data, size, &t) == 0)
		sl_assert(t.peer.family && t.data.len < size);
	return 0;
}
