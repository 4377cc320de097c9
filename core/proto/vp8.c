/*
 * proto/vp8.c: the payload descriptor of VP8 (RFC 7741 section 4.2) and the beginning of its frame
 * header (RFC 6386 section 9.1).
 *
 * A frame's first packet has S set and partition 0; only that one shows whether it is a key frame,
 * and how large.
 */
#include <sluice/buf.h>
#include "proto/codec_impl.h"

enum {
	X_BIT = 0x80,
	N_BIT = 0x20,
	S_BIT = 0x10,
	PARTITION = 0x07,
	I_BIT = 0x80,
	L_BIT = 0x40,
	T_BIT = 0x20,
	K_BIT = 0x10,
	Y_BIT = 0x20,
	INTER_FRAME = 0x01,
	KEY_HEADER = 10, /* frame tag, start code, width, height */
};

static void read_picture_id(struct sl_reader *r, struct sl_frame_info *info)
{
	uint8_t first = sl_read_u8(r);

	info->picture_bits = first & 0x80 ? 15 : 7;
	info->picture_id = first & 0x7f;
	if (first & 0x80)
		info->picture_id = (uint16_t)(info->picture_id << 8 | sl_read_u8(r));
}

static void read_extension(struct sl_reader *r, struct sl_frame_info *info)
{
	uint8_t x = sl_read_u8(r), tid_y_key;

	if (x & I_BIT)
		read_picture_id(r, info);
	if (x & L_BIT) {
		info->has_tl0 = true;
		info->tl0_picture = sl_read_u8(r);
	}
	if (!(x & (T_BIT | K_BIT)))
		return;
	tid_y_key = sl_read_u8(r);
	if (x & T_BIT) {
		info->temporal = tid_y_key >> 6;
		info->switch_up = tid_y_key & Y_BIT;
	}
	if (x & K_BIT) {
		info->has_key_index = true;
		info->key_index = tid_y_key & 0x1f;
	}
}

/* Dimensions are little-endian, 14 bits below two of scaling. */
static void read_frame_header(struct sl_reader *r, struct sl_frame_info *info)
{
	struct sl_str head = sl_read_bytes(r, KEY_HEADER);
	const uint8_t *p = (const uint8_t *)head.p;

	info->key = true;
	if (r->failed || p[3] != 0x9d || p[4] != 0x01 || p[5] != 0x2a)
		return;
	info->width = (uint16_t)((p[7] << 8 | p[6]) & 0x3fff);
	info->height = (uint16_t)((p[9] << 8 | p[8]) & 0x3fff);
}

int vp8_read(struct sl_str payload, struct sl_frame_info *info)
{
	struct sl_reader r = sl_reader(payload.p, payload.len);
	uint8_t first = sl_read_u8(&r);

	if (first & X_BIT)
		read_extension(&r, info);
	if (r.failed || r.p == r.end)
		return -SL_EPARSE;
	info->head_len = (uint8_t)(r.p - (const uint8_t *)payload.p);
	info->begins = (first & (S_BIT | PARTITION)) == S_BIT;
	info->discardable = first & N_BIT;
	if (info->begins && !(*r.p & INTER_FRAME))
		read_frame_header(&r, info);
	info->independent = info->key;
	return 0;
}
