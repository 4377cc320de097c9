/*
 * proto/codec.c: one view of a packet's payload for all codecs.
 *
 * The format's own reader goes first, then the dependency descriptor, whose word counts where there
 * is one: behind it the payload may be encrypted end to end, and what the reader made of it is
 * nothing. VP8 and VP9 keep their payload descriptors readable even then, since forwarders have to
 * write them anew.
 */
#include "proto/codec_impl.h"

#include <stdlib.h>

int sl_codec_state_new(struct sl_codec_state **ret_state)
{
	struct sl_codec_state *s = calloc(1, sizeof *s);

	if (!s)
		return -SL_ENOMEM;
	*ret_state = s;
	return 0;
}

void sl_codec_state_free(struct sl_codec_state *s)
{
	free(s);
}

static int read_payload(struct sl_codec_state *s, enum sl_codec_id codec, struct sl_str payload,
			struct sl_frame_info *info)
{
	switch (codec) {
	case SL_CODEC_VP8:
		return vp8_read(payload, info);
	case SL_CODEC_VP9:
		return vp9_read(s, payload, info);
	case SL_CODEC_H264:
		return h264_read(s, payload, info);
	case SL_CODEC_H265:
		return h265_read(s, payload, info);
	case SL_CODEC_AV1:
		return av1_read(payload, info);
	default:
		info->unknown = true;
		return 0;
	}
}

/* Later packets of a key frame do not say so themselves; they share its timestamp. Those of H.264
 * and H.265 that could be a picture's first are not: a parameter set has gone before. */
static void spread_key(struct sl_codec_state *s, enum sl_codec_id codec, uint32_t ts,
		       struct sl_frame_info *info)
{
	bool own = info->key;

	if (own) {
		s->key_ts = ts;
		s->has_key_ts = true;
	}
	info->key = s->has_key_ts && s->key_ts == ts;
	if (info->key && !own && (codec == SL_CODEC_H264 || codec == SL_CODEC_H265))
		info->begins = false;
}

int sl_codec_inspect(struct sl_codec_state *s, enum sl_codec_id codec, const struct sl_rtp *rtp,
		     struct sl_frame_info *ret_info)
{
	struct sl_str payload = {(const char *)sl_rtp_payload(rtp), rtp->payload_len};
	struct sl_str dd = sl_rtp_ext_value(rtp, SL_RTP_EXT_DEPENDENCY_DESCRIPTOR);
	bool has_head = codec == SL_CODEC_VP8 || codec == SL_CODEC_VP9;
	struct sl_frame_info info = {0};
	int err;

	if (payload.len == 0) {
		*ret_info = info;
		return 0;
	}
	err = read_payload(s, codec, payload, &info);
	if (err < 0 && (has_head || !dd.p))
		return err;
	if (!info.unknown && codec != SL_CODEC_VP9)
		info.ends = rtp->marker;
	info.picture_ends = rtp->marker;
	spread_key(s, codec, rtp->ts, &info);
	if (dd.p) {
		err = dd_read(&s->dd, dd, &info);
		if (err < 0)
			return err;
		info.unknown = info.unknown && !info.dd.present;
		info.key = info.key && info.dd.present;
	}
	*ret_info = info;
	return 0;
}
