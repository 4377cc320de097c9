/*
 * recorder/parameters.c: what the header of a file says of a stream, found in its key frames or in
 * the parameters of its description.
 */
#include "depacket.h"

#include <sluice/sdp.h>

enum {
	H264_SPS = 7,
	H264_PPS = 8,
	H265_VPS = 32,
	H265_PPS = 34,
	AV1_SEQUENCE = 1,
	MAX_SET = 4096, /* bytes of one parameter set in a description */
};

static const uint8_t start_code[4] = {0, 0, 0, 1};

/* ---- NAL units */

static bool is_set(enum sl_codec_id codec, struct sl_str unit)
{
	uint8_t first = unit.len > 0 ? (uint8_t)unit.p[0] : 0, type = first >> 1 & 0x3f;

	if (codec == SL_CODEC_H264)
		return (first & 0x1f) == H264_SPS || (first & 0x1f) == H264_PPS;
	return type >= H265_VPS && type <= H265_PPS;
}

static const char *find_start(const char *p, const char *end)
{
	for (; end - p >= 4; p++)
		if (memcmp(p, start_code, 4) == 0)
			return p;
	return end;
}

static void add_unit(struct sl_buf *out, struct sl_str unit)
{
	sl_buf_add(out, start_code, sizeof start_code);
	sl_buf_str(out, unit);
}

static void add_sets(enum sl_codec_id codec, struct sl_str data, struct sl_buf *out)
{
	const char *end = data.p + data.len, *p = find_start(data.p, end);

	while (p < end) {
		const char *next = find_start(p + 4, end);
		struct sl_str unit = {p + 4, (size_t)(next - p - 4)};

		if (is_set(codec, unit))
			add_unit(out, unit);
		p = next;
	}
}

void without_sets(enum sl_codec_id codec, struct sl_str data, struct sl_buf *out)
{
	const char *end = data.p + data.len, *p = find_start(data.p, end);

	while (p < end) {
		const char *next = find_start(p + 4, end);
		struct sl_str unit = {p + 4, (size_t)(next - p - 4)};

		if (!is_set(codec, unit))
			add_unit(out, unit);
		p = next;
	}
}

static void add_sprop(struct sl_str list, struct sl_buf *out)
{
	while (list.len > 0) {
		struct sl_str text = sl_str_split(&list, ',');
		uint8_t set[MAX_SET];
		size_t len;

		if (sl_base64_decode(set, sizeof set, text, &len) == 0 && len > 0)
			add_unit(out, (struct sl_str){(const char *)set, len});
	}
}

void sdp_parameters(enum sl_codec_id codec, struct sl_str params, struct sl_buf *out)
{
	static const char *const h264[] = {"sprop-parameter-sets", NULL};
	static const char *const h265[] = {"sprop-vps", "sprop-sps", "sprop-pps", NULL};
	struct sl_str value;

	if (codec != SL_CODEC_H264 && codec != SL_CODEC_H265)
		return;
	for (const char *const *name = codec == SL_CODEC_H264 ? h264 : h265; *name; name++)
		if (sl_sdp_param(params, *name, &value))
			add_sprop(value, out);
}

bool parameters_learn(const struct frame *f, struct sl_str described, struct sl_buf *known)
{
	struct sl_buf now;
	bool changed;

	sl_buf_init(&now, 0);
	if (!frame_parameters(f, &now))
		sdp_parameters(f->codec, described, &now);
	changed = now.len > 0 && sl_buf_ok(&now) == 0 &&
		  !sl_str_eq(sl_buf_view(&now), sl_buf_view(known));
	if (changed) {
		sl_buf_free(known);
		*known = now;
	} else {
		sl_buf_free(&now);
	}
	return changed;
}

/* The core reads the size out of a packet. */
static bool unit_size(struct sl_codec_state *s, enum sl_codec_id codec, struct sl_str unit,
		      struct sl_frame_info *info)
{
	uint8_t packet[SL_RTP_HEADER + MAX_SET] = {0x80};
	struct sl_rtp rtp = {0};

	if (unit.len == 0 || unit.len > MAX_SET)
		return false;
	memcpy(packet + SL_RTP_HEADER, unit.p, unit.len);
	return sl_rtp_parse(&rtp, packet, SL_RTP_HEADER + unit.len) == 0 &&
	       sl_codec_inspect(s, codec, &rtp, info) == 0 && info->width > 0;
}

bool sets_size(enum sl_codec_id codec, struct sl_str sets, uint16_t *ret_width,
	       uint16_t *ret_height)
{
	const char *end = sets.p + sets.len, *p;
	struct sl_frame_info info = {0};
	struct sl_codec_state *s;
	bool found = false;

	if ((codec != SL_CODEC_H264 && codec != SL_CODEC_H265) || sl_codec_state_new(&s) < 0)
		return false;
	for (p = find_start(sets.p, end); p < end && !found;) {
		const char *next = find_start(p + 4, end);
		struct sl_str unit = {p + 4, (size_t)(next - p - 4)};

		found = unit_size(s, codec, unit, &info);
		p = next;
	}
	sl_codec_state_free(s);
	if (found) {
		*ret_width = info.width;
		*ret_height = info.height;
	}
	return found;
}

/* ---- AV1: OBUs with sizes */

static size_t read_size(struct sl_reader *r)
{
	size_t v = 0;

	for (unsigned i = 0; i < 5; i++) {
		uint8_t byte = sl_read_u8(r);

		v |= (size_t)(byte & 0x7f) << (7 * i);
		if (!(byte & 0x80))
			return v;
	}
	r->failed = true;
	return 0;
}

static void add_sequence(struct sl_str data, struct sl_buf *out)
{
	struct sl_reader r = sl_reader(data.p, data.len);

	while (r.p < r.end && !r.failed) {
		const uint8_t *obu = r.p;
		uint8_t head = sl_read_u8(&r);

		if (head & 0x04)
			(void)sl_read_u8(&r);
		(void)sl_read_bytes(&r, head & 0x02 ? read_size(&r) : (size_t)(r.end - r.p));
		if ((head >> 3 & 0xf) == AV1_SEQUENCE && !r.failed) {
			sl_buf_add(out, obu, (size_t)(r.p - obu));
			return;
		}
	}
}

static bool vp9_profile(struct sl_str frame, uint8_t *ret_profile);

bool frame_parameters(const struct frame *f, struct sl_buf *out)
{
	size_t before = out->len;
	uint8_t profile;

	if (f->codec == SL_CODEC_H264 || f->codec == SL_CODEC_H265)
		add_sets(f->codec, f->data, out);
	else if (f->codec == SL_CODEC_AV1)
		add_sequence(f->data, out);
	else if (f->codec == SL_CODEC_VP9 && vp9_profile(f->data, &profile))
		sl_buf_u8(out, profile);
	return out->len > before;
}

/* ---- VP9: the uncompressed header (section 6.2), bit by bit */

struct bit_reader {
	struct sl_str data;
	size_t at;
};

static unsigned take(struct bit_reader *b, unsigned n)
{
	unsigned v = 0;

	for (; n > 0; n--, b->at++) {
		unsigned byte = b->at / 8 < b->data.len ? (uint8_t)b->data.p[b->at / 8] : 0;

		v = v << 1 | (byte >> (7 - b->at % 8) & 1);
	}
	return v;
}

/* Section 6.2.2; 7 is sRGB */
static void skip_color(struct bit_reader *b, unsigned profile)
{
	if (profile >= 2)
		(void)take(b, 1);
	if (take(b, 3) != 7) {
		(void)take(b, 1);
		if (profile & 1)
			(void)take(b, 3);
	} else if (profile & 1) {
		(void)take(b, 1);
	}
}

static bool vp9_profile(struct sl_str frame, uint8_t *ret_profile)
{
	struct bit_reader b = {.data = frame};
	unsigned profile;

	if (frame.len == 0 || take(&b, 2) != 2)
		return false;
	profile = take(&b, 1);
	*ret_profile = (uint8_t)(profile | take(&b, 1) << 1);
	return true;
}

bool vp9_frame_size(struct sl_str frame, uint16_t *ret_width, uint16_t *ret_height)
{
	struct bit_reader b = {.data = frame};
	unsigned profile, width, height;

	if (take(&b, 2) != 2)
		return false;
	profile = take(&b, 1);
	profile |= take(&b, 1) << 1;
	if (profile == 3)
		(void)take(&b, 1);
	if (take(&b, 1) || take(&b, 1)) /* shows an old frame; is no key frame */
		return false;
	(void)take(&b, 2);
	if (take(&b, 24) != 0x498342)
		return false;
	skip_color(&b, profile);
	width = take(&b, 16) + 1;
	height = take(&b, 16) + 1;
	if (b.at > 8 * frame.len || width > UINT16_MAX || height > UINT16_MAX)
		return false;
	*ret_width = (uint16_t)width;
	*ret_height = (uint16_t)height;
	return true;
}

/* ---- Opus */

unsigned opus_samples(struct sl_str packet)
{
	static const uint16_t silk[] = {480, 960, 1920, 2880}, hybrid[] = {480, 960},
			      celt[] = {120, 240, 480, 960};
	uint8_t toc = packet.len > 0 ? (uint8_t)packet.p[0] : 0, config = toc >> 3;
	unsigned samples = config < 12	 ? silk[config & 3]
			   : config < 16 ? hybrid[config & 1]
					 : celt[config & 3];

	if (packet.len == 0)
		return 0;
	if ((toc & 3) == 0)
		return samples;
	if ((toc & 3) < 3)
		return 2 * samples;
	return packet.len < 2 ? 0 : samples * ((uint8_t)packet.p[1] & 0x3f);
}
