/*
 * Fuzz target: transport-wide feedback in both directions. Any bytes go to an estimator that has
 * packets in flight, whose target stays within its bounds; and read as steps of a receiver (number,
 * time) they make a writer whose messages the reader accepts.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/bwe.h"
#include "proto/twcc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MS UINT64_C(1000000)

static void estimate(const uint8_t *data, size_t size)
{
	const struct bwe_opts opts = {0};
	struct sl_rtcp_block block = {.type = SL_RTCP_RTPFB, .count = SL_RTCP_TWCC};
	uint64_t now_ns = 1000 * MS;
	struct bwe_state state;
	struct bwe *b;

	sl_assert(bwe_new(&b, &opts, now_ns) == 0);
	for (unsigned i = 0; i < 400; i++, now_ns += MS)
		bwe_sent(b, (uint16_t)(i + 65400), 1200, 0, now_ns);
	while (size >= 2) {
		size_t len = sl_get16(data) % 1500;

		len = len < size - 2 ? len : size - 2;
		block.data = data + 2;
		block.len = (uint32_t)len;
		(void)bwe_feedback(b, &block, now_ns);
		now_ns = bwe_tick(b, now_ns);
		data += 2 + len;
		size -= 2 + len;
	}
	bwe_state(b, &state);
	sl_assert(state.target_bps >= 30000 && state.target_bps <= 20000000);
	bwe_free(b);
}

static void check_feedback(const uint8_t *packet, size_t len)
{
	struct sl_rtcp_block block = {.type = packet[1], .count = packet[0] & 31, .data = packet};
	struct twcc_feedback fb;

	sl_assert(len % 4 == 0 && len == 4u * (sl_get16(packet + 2) + 1u));
	block.len = (uint32_t)(len - (packet[0] & 0x20 ? packet[len - 1] : 0));
	sl_assert(twcc_parse(&fb, &block) == 0);
}

static void receive(const uint8_t *data, size_t size)
{
	size_t cap = size > 0 ? 24 + data[0] * 5u : 1200, len;
	uint64_t now_ns = 0;
	uint8_t packet[1300];
	struct twcc_recv *t;

	sl_assert(twcc_recv_new(&t) == 0);
	for (; size >= 4; data += 4, size -= 4) {
		now_ns += (uint64_t)data[2] * data[3] * 100000;
		twcc_recv_packet(t, sl_get16(data), now_ns);
		while ((len = twcc_recv_feedback(t, 1, 2, packet, cap, now_ns)) > 0)
			check_feedback(packet, len);
	}
	twcc_recv_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	estimate(data, size);
	receive(data, size);
	return 0;
}
