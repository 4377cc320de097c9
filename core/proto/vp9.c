/*
 * proto/vp9.c: the payload descriptor of VP9 (RFC 9628 section 4.2).
 *
 * Frames of one picture are its spatial layers; B and E mark a layer's first and last packet. A
 * picture that refers to no earlier one (P clear) at the lowest spatial layer is a key picture; its
 * upper layers have P clear, too, and are told by their timestamp (codec.c). The scalability
 * structure carries the sizes.
 */
#include <sluice/buf.h>
#include "proto/bits.h"
#include "proto/codec_impl.h"

enum {
	I_BIT = 0x80,
	P_BIT = 0x40,
	L_BIT = 0x20,
	F_BIT = 0x10,
	B_BIT = 0x08,
	E_BIT = 0x04,
	V_BIT = 0x02,
};

static void read_picture_id(struct bits *b, struct sl_frame_info *info)
{
	info->picture_bits = bits_flag(b) ? 15 : 7;
	info->picture_id = (uint16_t)bits_read(b, info->picture_bits);
}

static void read_layers(struct bits *b, bool flexible, struct sl_frame_info *info)
{
	info->temporal = (uint8_t)bits_read(b, 3);
	info->switch_up = bits_flag(b);
	info->spatial = (uint8_t)bits_read(b, 3);
	info->inter_layer = bits_flag(b);
	if (!flexible) {
		info->has_tl0 = true;
		info->tl0_picture = (uint8_t)bits_read(b, 8);
	}
}

/* Distances in flexible mode, each followed by whether another comes */
static void read_refs(struct bits *b, struct sl_frame_info *info)
{
	while (info->n_refs < SL_ARRAY_LEN(info->refs)) {
		info->refs[info->n_refs++] = (uint8_t)bits_read(b, 7);
		if (!bits_flag(b))
			return;
	}
	b->failed = true;
}

/* More layers than this node forwards are read past. */
static void read_structure(struct bits *b, struct sl_codec_state *s)
{
	unsigned n_spatial = bits_read(b, 3) + 1;
	bool sizes = bits_flag(b);

	s->n_spatial = (uint8_t)n_spatial;
	(void)bits_read(b, 4); /* a group of pictures follows, which nobody here needs; reserved */
	for (unsigned i = 0; sizes && i < n_spatial; i++) {
		uint16_t width = (uint16_t)bits_read(b, 16), height = (uint16_t)bits_read(b, 16);

		if (i < SL_MAX_SPATIAL && !b->failed) {
			s->width[i] = width;
			s->height[i] = height;
		}
	}
}

int vp9_read(struct sl_codec_state *s, struct sl_str payload, struct sl_frame_info *info)
{
	struct bits b = bits_of(payload.p, payload.len);
	uint8_t first = (uint8_t)bits_read(&b, 8);

	if (first & I_BIT)
		read_picture_id(&b, info);
	if (first & L_BIT)
		read_layers(&b, first & F_BIT, info);
	info->head_len = (uint8_t)(b.at / 8);
	if ((first & F_BIT) && (first & P_BIT))
		read_refs(&b, info);
	if (first & V_BIT)
		read_structure(&b, s);
	if (b.failed || info->spatial >= SL_MAX_SPATIAL)
		return -SL_EPARSE;
	info->n_spatial = s->n_spatial;
	info->begins = first & B_BIT;
	info->ends = first & E_BIT;
	info->independent = !(first & P_BIT);
	info->refs_told = (first & F_BIT) && (first & I_BIT);
	info->key = info->independent && info->spatial == 0 && !info->inter_layer;
	if (info->independent) {
		info->width = s->width[info->spatial];
		info->height = s->height[info->spatial];
	}
	return 0;
}
