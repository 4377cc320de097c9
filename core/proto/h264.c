/*
 * proto/h264.c: NAL units of H.264 in RTP (RFC 6184): single, aggregated (STAP-A), fragmented
 * (FU-A).
 *
 * There is no frame header: a picture begins with a parameter set, a delimiter or a slice of
 * macroblock 0. Decoding begins at an IDR picture; where the encoder repeats its parameter sets, at
 * those before it, for a decoder that has not seen them yet can do nothing without. The temporal
 * layer stands in a prefix NAL unit (annex G), if the encoder makes them.
 */
#include <sluice/buf.h>
#include "proto/bits.h"
#include "proto/codec_impl.h"

enum {
	SLICE = 1,
	IDR = 5,
	SEI = 6,
	SPS = 7,
	PPS = 8,
	DELIMITER = 9,
	PREFIX = 14,
	STAP_A = 24,
	FU_A = 28,
	FU_START = 0x80,
	SPS_MAX = 256, /* bytes read of one, more than any needs before its size */
};

size_t nal_unescape(uint8_t *dst, size_t cap, const uint8_t *p, size_t len)
{
	unsigned zeros = 0;
	size_t n = 0;

	for (size_t i = 0; i < len && n < cap; i++) {
		if (zeros >= 2 && p[i] == 3) {
			zeros = 0;
			continue;
		}
		zeros = p[i] == 0 ? zeros + 1 : 0;
		dst[n++] = p[i];
	}
	return n;
}

static void skip_scaling_list(struct bits *b, unsigned n)
{
	int32_t last = 8, next = 8;

	for (unsigned i = 0; i < n && !b->failed; i++) {
		if (next != 0)
			next = (int32_t)(((uint32_t)last + (uint32_t)bits_golomb_signed(b)) & 0xff);
		if (next != 0)
			last = next;
	}
}

static bool has_chroma_info(unsigned profile)
{
	static const uint8_t profiles[] = {100, 110, 122, 244, 44,  83, 86,
					   118, 128, 138, 139, 134, 135};

	return memchr(profiles, (int)profile, sizeof profiles) != NULL;
}

/* Section 7.3.2.1.1; the chroma format, which cropping is measured in */
static uint32_t read_chroma(struct bits *b)
{
	uint32_t format = bits_golomb(b);

	if (format == 3)
		(void)bits_flag(b);
	(void)bits_golomb(b); /* bit depths */
	(void)bits_golomb(b);
	(void)bits_flag(b);
	if (bits_flag(b))
		for (unsigned i = 0; i < (format == 3 ? 12 : 8) && !b->failed; i++)
			if (bits_flag(b))
				skip_scaling_list(b, i < 6 ? 16 : 64);
	return format;
}

static void skip_order_count(struct bits *b)
{
	uint32_t type = bits_golomb(b), n;

	if (type == 0)
		(void)bits_golomb(b);
	if (type != 1)
		return;
	(void)bits_flag(b);
	(void)bits_golomb(b);
	(void)bits_golomb(b);
	n = bits_golomb(b);
	for (uint32_t i = 0; i < n && !b->failed; i++)
		(void)bits_golomb(b);
}

static void read_size(struct bits *b, uint32_t chroma, struct sl_frame_info *info)
{
	uint32_t width = 16 * (bits_golomb(b) + 1), map_units = bits_golomb(b) + 1;
	bool frames_only = bits_flag(b);
	uint32_t height = 16 * map_units * (frames_only ? 1 : 2), x, y;

	if (!frames_only)
		(void)bits_flag(b);
	(void)bits_flag(b);
	if (bits_flag(b)) { /* cropping, in units of chroma samples */
		x = chroma == 1 || chroma == 2 ? 2 : 1;
		y = (chroma == 1 ? 2 : 1) * (frames_only ? 1 : 2);
		width -= x * (bits_golomb(b) + bits_golomb(b));
		height -= y * (bits_golomb(b) + bits_golomb(b));
	}
	if (b->failed || width > UINT16_MAX || height > UINT16_MAX)
		return;
	info->width = (uint16_t)width;
	info->height = (uint16_t)height;
}

static void read_sps(const uint8_t *p, size_t len, struct sl_frame_info *info)
{
	uint8_t plain[SPS_MAX];
	struct bits b = bits_of(plain, nal_unescape(plain, sizeof plain, p + 1, len - 1));
	uint32_t profile = bits_read(&b, 8), chroma = 1;

	(void)bits_read(&b, 16); /* constraints, level */
	(void)bits_golomb(&b);
	if (has_chroma_info(profile))
		chroma = read_chroma(&b);
	(void)bits_golomb(&b); /* bits of the frame number */
	skip_order_count(&b);
	(void)bits_golomb(&b); /* reference frames */
	(void)bits_flag(&b);
	read_size(&b, chroma, info);
}

/* Section G.7.3.1.1: temporal_id lies in the last of three bytes. */
static void read_prefix(const uint8_t *p, size_t len, struct sl_frame_info *info)
{
	if (len < 4 || !(p[1] & 0x80))
		return;
	info->temporal = p[3] >> 5;
	info->discardable = p[3] & 0x08;
}

/* A unit's first bytes. header: of the unit; in a fragment it is put together from two. */
static void read_unit(struct sl_codec_state *s, uint8_t header, const uint8_t *p, size_t len,
		      struct sl_frame_info *info)
{
	uint8_t type = header & 0x1f;
	bool first_slice = len > 1 && (p[1] & 0x80); /* first_mb_in_slice is ue(0) */

	if (type == SPS && len > 4) {
		s->has_sets = true;
		info->key = info->begins = true;
		read_sps(p, len, info);
	} else if (type == PREFIX) {
		read_prefix(p, len, info);
	} else if (type == PPS || type == SEI || type == DELIMITER) {
		info->begins = true;
	} else if (type >= SLICE && type <= IDR) {
		info->begins = info->begins || first_slice;
		info->key = info->key || (type == IDR && first_slice && !s->has_sets);
		info->discardable = (header & 0x60) == 0;
	}
}

static int read_aggregate(struct sl_codec_state *s, struct sl_str payload,
			  struct sl_frame_info *info)
{
	struct sl_reader r = sl_reader(payload.p + 1, payload.len - 1);

	while (r.p < r.end) {
		struct sl_str unit = sl_read_bytes(&r, sl_read_u16(&r));

		if (r.failed || unit.len == 0)
			return -SL_EPARSE;
		read_unit(s, (uint8_t)unit.p[0], (const uint8_t *)unit.p, unit.len, info);
	}
	return 0;
}

int h264_read(struct sl_codec_state *s, struct sl_str payload, struct sl_frame_info *info)
{
	const uint8_t *p = (const uint8_t *)payload.p;
	uint8_t type = p[0] & 0x1f;

	if (type == STAP_A)
		return read_aggregate(s, payload, info);
	if (type == FU_A) {
		if (payload.len < 2)
			return -SL_EPARSE;
		if (p[1] & FU_START)
			read_unit(s, (uint8_t)((p[0] & 0xe0) | (p[1] & 0x1f)), p + 1,
				  payload.len - 1, info);
		else
			info->discardable = (p[0] & 0x60) == 0;
		return 0;
	}
	if (type == 0 || type > STAP_A)
		return -SL_EPARSE;
	read_unit(s, p[0], p, payload.len, info);
	return 0;
}
