/*
 * proto/codec_impl.h: what the payload readers share.
 *
 * Each reader fills what its format says of one packet into a zeroed info; frames without layers
 * need nothing more. codec.c calls them and lets the dependency descriptor have the last word.
 */
#ifndef PROTO_CODEC_IMPL_H
#define PROTO_CODEC_IMPL_H

#include <sluice/codec.h>

struct dd_template {
	uint8_t layers; /* spatial << 4 | temporal */
	uint8_t n_refs;
	uint16_t refs[SL_DD_MAX_REFS];
	uint64_t dtis; /* two bits for each decode target, the first lowest */
};
enum { DD_MAX_TEMPLATES = 64 };

struct dd_structure { /* of the newest key frame */
	uint8_t first_id, n_templates, n_targets, n_chains, n_spatial;
	bool known, has_key_frame;
	uint32_t active;	       /* decode targets, as said last */
	uint16_t key_frame;	       /* its frame number */
	uint8_t targets[SL_DD_MAX_TARGETS]; /* spatial << 4 | temporal */
	uint16_t width[SL_MAX_SPATIAL], height[SL_MAX_SPATIAL];
	struct dd_template templates[DD_MAX_TEMPLATES];
};

struct sl_codec_state {
	struct dd_structure dd;
	bool has_key_ts;
	uint32_t key_ts; /* of the newest key frame: only its first packet tells */
	bool has_sets;	 /* H.264, H.265: parameter sets come in band, so a key frame begins there */
	uint8_t n_spatial; /* VP9: layers, and their sizes */
	uint16_t width[SL_MAX_SPATIAL], height[SL_MAX_SPATIAL];
};

int dd_read(struct dd_structure *s, struct sl_str value, struct sl_frame_info *info);
int vp8_read(struct sl_str payload, struct sl_frame_info *info);
int vp9_read(struct sl_codec_state *s, struct sl_str payload, struct sl_frame_info *info);
/* H.264, H.265: is this the first packet of an access unit that decoding can begin with? That ends
 * in info->key; the caller spreads it over the frame. */
int h264_read(struct sl_codec_state *s, struct sl_str payload, struct sl_frame_info *info);
int h265_read(struct sl_codec_state *s, struct sl_str payload, struct sl_frame_info *info);
int av1_read(struct sl_str payload, struct sl_frame_info *info);

/* Copies a NAL unit without its emulation prevention bytes; at most cap bytes. */
size_t nal_unescape(uint8_t *dst, size_t cap, const uint8_t *p, size_t len);

#endif
