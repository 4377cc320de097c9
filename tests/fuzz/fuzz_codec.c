/*
 * Fuzz target: payload formats and dependency descriptors. First byte: the codec; then records of a
 * descriptor and a payload, each behind its length, read with one state. What is told lies within
 * its limits, a descriptor written anew says the same but for number and mask, and a subscriber's
 * stream of it all names nothing that is not there.
 */
#include <sluice/layers.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t packet[1200];

static struct sl_rtp make(struct sl_str dd, struct sl_str payload, uint32_t ts)
{
	const struct sl_rtp_ext_map map = {{[SL_RTP_EXT_DEPENDENCY_DESCRIPTOR] = 1}};
	struct sl_rtp_ext_writer w;
	struct sl_rtp rtp = {0};
	int ext;

	memset(packet, 0, SL_RTP_HEADER);
	sl_rtp_ext_begin(&w, packet + SL_RTP_HEADER, 600);
	if (dd.len > 0)
		sl_rtp_ext_put(&w, 1, dd.p, dd.len);
	ext = sl_rtp_ext_end(&w);
	sl_assert(ext >= 0);
	packet[0] = ext > 0 ? 0x90 : 0x80;
	sl_put32(packet + 4, ts);
	if (payload.len > 0)
		memcpy(packet + SL_RTP_HEADER + ext, payload.p, payload.len);
	sl_assert(sl_rtp_parse(&rtp, packet, SL_RTP_HEADER + (size_t)ext + payload.len) == 0);
	sl_rtp_ext_index(&rtp, &map);
	return rtp;
}

static void rewrite(struct sl_codec_state *s, const struct sl_rtp *rtp,
		    const struct sl_frame_info *info)
{
	struct sl_rtp_out out = {.src = rtp,
				 .dd_rewrite = true,
				 .dd_frame = 4711,
				 .dd_has_mask = info->dd.has_mask,
				 .dd_n_targets = info->dd.n_targets,
				 .dd_mask_at = info->dd.mask_at,
				 .dd_mask = 1};
	struct sl_frame_info again;
	uint8_t dd[SL_RTP_MAX_DD];
	size_t n = sl_rtp_out_dd(&out, dd);
	struct sl_rtp copy;

	sl_assert(n <= SL_RTP_MAX_DD);
	copy = make((struct sl_str){(const char *)dd, n}, SL_STR("x"), 1);
	if (sl_codec_inspect(s, SL_CODEC_NONE, &copy, &again) < 0)
		sl_assert(!"what was written cannot be read");
	if (again.dd.present) {
		sl_assert(again.dd.frame_number == 4711 && again.dd.dtis == info->dd.dtis);
		sl_assert(again.dd.n_refs == info->dd.n_refs);
		sl_assert(memcmp(again.dd.refs, info->dd.refs, 2u * info->dd.n_refs) == 0);
	}
}

/* The target and what is lost come from the payload's last byte. */
static void forward(struct sl_layers *l, const struct sl_rtp *rtp, const struct sl_frame_info *info,
		    enum sl_codec_id codec, uint64_t n)
{
	uint8_t chance = rtp->data[rtp->len - 1], dd[SL_RTP_MAX_DD];
	struct sl_layers_packet p = {.rtp = rtp,
				     .info = info,
				     .seq = 65536 + n + (chance & 3),
				     .encoding = chance >> 7,
				     .codec = (uint8_t)codec,
				     .now_ns = n * 10000000};
	struct sl_rtp_out out;

	if (chance % 7 == 0)
		sl_layers_set_target(l, &(struct sl_layers_target){.paused = chance == 0,
								   .encoding = chance >> 7,
								   .spatial = chance >> 2 & 3,
								   .temporal = chance >> 4 & 7});
	if (sl_layers_take(l, &p, &out) != SL_OK)
		return;
	sl_assert(out.src == rtp && out.cut <= rtp->payload_len);
	sl_assert(out.patch_len <= sizeof out.patch);
	sl_assert(sl_rtp_out_dd(&out, dd) <= SL_RTP_MAX_DD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum sl_codec_id codecs[] = {SL_CODEC_VP8, SL_CODEC_VP9, SL_CODEC_H264,
						  SL_CODEC_H265, SL_CODEC_AV1, SL_CODEC_NONE};
	struct sl_reader r = sl_reader(data, size);
	enum sl_codec_id codec = codecs[sl_read_u8(&r) % SL_ARRAY_LEN(codecs)];
	struct sl_codec_state *s;
	struct sl_layers *l;
	uint32_t ts = 0;

	sl_assert(sl_codec_state_new(&s) == 0 && sl_layers_new(&l, 90000) == 0);
	while (r.p < r.end && !r.failed) {
		struct sl_str dd = sl_read_bytes(&r, sl_read_u8(&r));
		struct sl_str payload = sl_read_bytes(&r, sl_read_u8(&r));
		struct sl_frame_info info;
		struct sl_rtp rtp = make(dd, payload, ts++ / 2);

		if (r.failed || sl_codec_inspect(s, codec, &rtp, &info) < 0)
			continue;
		sl_assert(info.spatial < SL_MAX_SPATIAL && info.temporal < SL_MAX_TEMPORAL);
		sl_assert(info.head_len <= payload.len && info.dd.n_refs <= SL_DD_MAX_REFS);
		forward(l, &rtp, &info, codec, ts);
		if (info.dd.present)
			rewrite(s, &rtp, &info);
	}
	sl_layers_free(l);
	sl_codec_state_free(s);
	return 0;
}
