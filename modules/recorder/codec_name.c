/*
 * recorder/codec_name.c: see codec_name.h. Players decide by this name alone whether they can play,
 * so it is read from the very record that the decoder is set up with.
 */
#include "codec_name.h"

/* What is in the first box of this type; shorter than least: there is none */
static struct sl_str find_box(struct sl_str head, const char type[4], size_t least)
{
	const uint8_t *at = head.len > 0 ? memmem(head.p, head.len, type, 4) : NULL, *box;
	size_t left, size;

	if (!at || at - (const uint8_t *)head.p < 4)
		return SL_STR_NULL;
	box = at - 4;
	left = (size_t)((const uint8_t *)head.p + head.len - box);
	size = sl_get32(box);
	if (size < 8 + least || size > left)
		return SL_STR_NULL;
	return (struct sl_str){(const char *)box + 8, size - 8};
}

/* ISO/IEC 14496-15 section 5.3.3.1: version, profile, constraints, level */
static bool name_h264(struct sl_str head, struct sl_buf *out)
{
	struct sl_str box = find_box(head, "avcC", 4);
	const uint8_t *p = (const uint8_t *)box.p;

	if (!p)
		return false;
	sl_buf_printf(out, "avc1.%02x%02x%02x", p[1], p[2], p[3]);
	return true;
}

static uint32_t reversed(uint32_t v)
{
	uint32_t r = 0;

	for (unsigned i = 0; i < 32; i++, v >>= 1)
		r = r << 1 | (v & 1);
	return r;
}

/* The same, annex E.3: space and profile, compatibility from the last bit, tier and level, and the
 * constraints up to the last one that is not 0 */
static bool name_h265(struct sl_str head, struct sl_buf *out)
{
	static const char *const spaces[] = {"", "A", "B", "C"};
	struct sl_str box = find_box(head, "hvcC", 13);
	const uint8_t *p = (const uint8_t *)box.p;
	unsigned n = 6;

	if (!p)
		return false;
	sl_buf_printf(out, "hvc1.%s%u.%X.%c%u", spaces[p[1] >> 6], p[1] & 0x1fu,
		      reversed(sl_get32(p + 2)), p[1] & 0x20 ? 'H' : 'L', p[12]);
	while (n > 0 && p[5 + n] == 0)
		n--;
	for (unsigned i = 0; i < n; i++)
		sl_buf_printf(out, ".%X", p[6 + i]);
	return true;
}

/* VP codec ISO media file format binding: version and flags, profile, level, depth */
static bool name_vp9(struct sl_str head, struct sl_buf *out)
{
	struct sl_str box = find_box(head, "vpcC", 7);
	const uint8_t *p = (const uint8_t *)box.p;

	if (!p)
		return false;
	sl_buf_printf(out, "vp09.%02u.%02u.%02u", p[4], p[5], p[6] >> 4);
	return true;
}

/* AV1 codec ISO media file format binding, section 2.3 and 5 */
static bool name_av1(struct sl_str head, struct sl_buf *out)
{
	struct sl_str box = find_box(head, "av1C", 4);
	const uint8_t *p = (const uint8_t *)box.p;

	if (!p)
		return false;
	sl_buf_printf(out, "av01.%u.%02u%c.%02u", p[1] >> 5, p[1] & 0x1fu, p[2] & 0x80 ? 'H' : 'M',
		      p[2] & 0x40 ? p[2] & 0x20 ? 12u : 10u : 8u);
	return true;
}

void codec_name(enum sl_codec_id codec, struct sl_str head, struct sl_buf *out)
{
	if (codec == SL_CODEC_H264 && !name_h264(head, out))
		sl_buf_str(out, SL_STR("avc1.42e01f"));
	else if (codec == SL_CODEC_H265 && !name_h265(head, out))
		sl_buf_str(out, SL_STR("hvc1.1.6.L93.B0"));
	else if (codec == SL_CODEC_VP9 && !name_vp9(head, out))
		sl_buf_str(out, SL_STR("vp09.00.31.08"));
	else if (codec == SL_CODEC_AV1 && !name_av1(head, out))
		sl_buf_str(out, SL_STR("av01.0.05M.08"));
	else if (codec == SL_CODEC_OPUS)
		sl_buf_str(out, SL_STR("Opus"));
}
