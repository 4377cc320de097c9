/*
 * proto/h265.c: NAL units of H.265 in RTP (RFC 7798): single, aggregated (48), fragmented (49).
 *
 * As in h264.c a picture begins with a parameter set, a delimiter or its first slice, and decoding
 * at an intra random access picture, or at the parameter sets before it. Every unit says its
 * temporal layer; the kinds of slices tell where a receiver may go up (TSA, STSA).
 */
#include <sluice/buf.h>
#include "proto/bits.h"
#include "proto/codec_impl.h"

enum {
	TSA_N = 2,
	TSA_R = 3,
	STSA_R = 5,
	LAST_NOT_REFERENCED = 14, /* even numbers up to here */
	BLA = 16,
	CRA = 21,
	LAST_SLICE = 31,
	VPS = 32,
	SPS = 33,
	DELIMITER = 35,
	SEI_PREFIX = 39,
	AGGREGATE = 48,
	FRAGMENT = 49,
	FU_START = 0x80,
	SPS_MAX = 256,
};

static unsigned type_of(const uint8_t *p)
{
	return p[0] >> 1 & 0x3f;
}

/* Section 7.3.3: general profile, then flags and contents for each sub-layer */
static void skip_profile(struct bits *b, unsigned n_sub_layers)
{
	uint32_t flags;

	for (unsigned i = 0; i < 11; i++)
		(void)bits_read(b, 8);
	(void)bits_read(b, 8);
	if (n_sub_layers == 0)
		return;
	flags = bits_read(b, 16);
	for (unsigned i = 0; i < n_sub_layers; i++) {
		uint32_t has = flags >> (14 - 2 * i) & 3;

		for (unsigned k = 0; k < (has & 2 ? 11u : 0u) + (has & 1); k++)
			(void)bits_read(b, 8);
	}
}

static void read_sps(const uint8_t *p, size_t len, struct sl_frame_info *info)
{
	uint8_t plain[SPS_MAX];
	struct bits b = bits_of(plain, nal_unescape(plain, sizeof plain, p + 2, len - 2));
	uint32_t n_sub_layers, chroma, width, height, x, y;

	(void)bits_read(&b, 4);
	n_sub_layers = bits_read(&b, 3);
	(void)bits_flag(&b);
	skip_profile(&b, n_sub_layers);
	(void)bits_golomb(&b);
	chroma = bits_golomb(&b);
	if (chroma == 3)
		(void)bits_flag(&b);
	width = bits_golomb(&b);
	height = bits_golomb(&b);
	if (bits_flag(&b)) { /* conformance window */
		x = chroma == 1 || chroma == 2 ? 2 : 1;
		y = chroma == 1 ? 2 : 1;
		width -= x * (bits_golomb(&b) + bits_golomb(&b));
		height -= y * (bits_golomb(&b) + bits_golomb(&b));
	}
	if (b.failed || width > UINT16_MAX || height > UINT16_MAX)
		return;
	info->width = (uint16_t)width;
	info->height = (uint16_t)height;
}

static void read_slice(struct sl_codec_state *s, unsigned type, bool first_slice,
		       struct sl_frame_info *info)
{
	info->begins = info->begins || first_slice;
	info->key = info->key || (type >= BLA && type <= CRA && first_slice && !s->has_sets);
	info->switch_up = type >= TSA_N && type <= STSA_R;
	info->switch_above = type == TSA_N || type == TSA_R;
	info->discardable = type <= LAST_NOT_REFERENCED && type % 2 == 0;
}

/* p: two bytes of header, then the unit; a fragment's header has the type of the whole. */
static void read_unit(struct sl_codec_state *s, unsigned type, const uint8_t *p, size_t len,
		      struct sl_frame_info *info)
{
	if (type <= LAST_SLICE) {
		read_slice(s, type, len > 2 && (p[2] & 0x80), info);
	} else if (type == VPS) { /* the first of the sets */
		s->has_sets = true;
		info->key = info->begins = true;
	} else if (type == SPS) {
		read_sps(p, len, info);
	} else if (type <= DELIMITER || type == SEI_PREFIX) {
		info->begins = true;
	}
}

static int read_aggregate(struct sl_codec_state *s, struct sl_str payload,
			  struct sl_frame_info *info)
{
	struct sl_reader r = sl_reader(payload.p + 2, payload.len - 2);

	while (r.p < r.end) {
		struct sl_str unit = sl_read_bytes(&r, sl_read_u16(&r));
		const uint8_t *p = (const uint8_t *)unit.p;

		if (r.failed || unit.len < 2)
			return -SL_EPARSE;
		read_unit(s, type_of(p), p, unit.len, info);
	}
	return 0;
}

int h265_read(struct sl_codec_state *s, struct sl_str payload, struct sl_frame_info *info)
{
	const uint8_t *p = (const uint8_t *)payload.p;
	unsigned type;

	if (payload.len < 3 || (p[1] & 7) == 0)
		return -SL_EPARSE;
	type = type_of(p);
	info->temporal = (uint8_t)((p[1] & 7) - 1);
	if (type == AGGREGATE)
		return read_aggregate(s, payload, info);
	if (type != FRAGMENT) {
		read_unit(s, type, p, payload.len, info);
		return type > FRAGMENT ? -SL_EPARSE : 0;
	}
	type = p[2] & 0x3f;
	if (p[2] & FU_START)
		read_unit(s, type, p + 1, payload.len - 1,
			  info); /* its third byte is the slice's first */
	else if (type <= LAST_SLICE)
		read_slice(s, type, false, info);
	return 0;
}
