/*
 * Fuzz target: a recorded stream. First byte: the codec; then packets behind their lengths, with
 * time, marker and loss from a byte each. Frames stay within their limits, and what is found in
 * them for headers lies within them.
 */
#include "modules/recorder/depacket.h"
#include "modules/recorder/reorder.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_frame(void *arg, const struct frame *f)
{
	struct sl_buf sets;
	uint16_t width, height;

	(void)arg;
	sl_assert(f->data.len > 0 && f->data.len <= DEPACKET_MAX_FRAME);
	sl_buf_init(&sets, 0);
	if (frame_parameters(f, &sets))
		sl_assert(sets.len <= f->data.len);
	sl_buf_free(&sets);
	if (vp9_frame_size(f->data, &width, &height))
		sl_assert(width > 0);
	(void)opus_samples(f->data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum sl_codec_id codecs[] = {SL_CODEC_VP8,	 SL_CODEC_VP9, SL_CODEC_H264,
						  SL_CODEC_H265, SL_CODEC_AV1, SL_CODEC_RED};
	struct sl_reader r = sl_reader(data, size);
	enum sl_codec_id codec = codecs[sl_read_u8(&r) % SL_ARRAY_LEN(codecs)];
	struct reorder order;
	struct depacket d;
	uint64_t seq = 65536, lost;
	uint32_t ts = 0;
	struct rpacket *p;

	reorder_init(&order, 100);
	sl_assert(depacket_init(&d, on_frame, NULL) == 0);
	for (uint64_t now = 0; r.p < r.end && !r.failed; now += 20) {
		uint8_t how = sl_read_u8(&r), packet[12 + 255] = {0x80, how & 0x80};
		struct sl_str payload = sl_read_bytes(&r, sl_read_u8(&r));
		struct rpacket head = {.seq = seq + (how & 3),
				       .arrival_ns = now,
				       .len = (uint32_t)(12 + payload.len)};

		seq += how >> 2 & 3;
		ts += how >> 4 & 3;
		sl_put32(packet + 4, ts);
		if (payload.len > 0)
			memcpy(packet + 12, payload.p, payload.len);
		sl_assert(reorder_put(&order, &head, packet) == 0);
		while ((p = reorder_take(&order, now, &lost))) {
			struct sl_rtp rtp = {0};

			if (sl_rtp_parse(&rtp, p->data, p->len) == 0)
				depacket_put(&d, codec, &rtp, now, lost);
			free(p);
		}
	}
	depacket_end(&d);
	depacket_free(&d);
	reorder_free(&order);
	return 0;
}
