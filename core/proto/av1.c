/*
 * proto/av1.c: AV1 in RTP: the aggregation header, the headers of OBUs that begin in a packet, and
 * the sequence header's size (AV1 RTP specification section 4; AV1 specification section 5).
 *
 * What a forwarder needs for layers stands in the dependency descriptor; this reader serves senders
 * without it: N marks a coded video sequence's beginning, and OBU extensions tell the layer.
 */
#include "proto/bits.h"
#include "proto/codec_impl.h"

enum {
	Z_BIT = 0x80, /* goes on with an OBU of the packet before */
	N_BIT = 0x08,
	SEQUENCE_HEADER = 1,
	TILE_GROUP = 4,
	MAX_OBUS = 16, /* looked at in one packet */
};

/* leb128 of at most four bytes: nothing in a packet is longer */
static uint32_t read_length(struct bits *b)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < 4; i++) {
		uint32_t byte = bits_read(b, 8);

		v |= (byte & 0x7f) << (7 * i);
		if (!(byte & 0x80))
			return v;
	}
	b->failed = true;
	return 0;
}

static unsigned skip_decoder_model(struct bits *b)
{
	unsigned delay_bits = bits_read(b, 5) + 1;

	(void)bits_read(b, 32);
	(void)bits_read(b, 10);
	return delay_bits;
}

/* 0: no decoder model; else bits of its delays (section 5.5.1) */
static unsigned skip_timing(struct bits *b)
{
	if (!bits_flag(b))
		return 0;
	(void)bits_read(b, 32);
	(void)bits_read(b, 32);
	if (bits_flag(b))
		(void)bits_golomb(b);
	return bits_flag(b) ? skip_decoder_model(b) : 0;
}

static void skip_operating_points(struct bits *b, unsigned delay_bits)
{
	bool display_delay = bits_flag(b);
	unsigned n = bits_read(b, 5) + 1;

	for (unsigned i = 0; i < n && !b->failed; i++) {
		(void)bits_read(b, 12);
		if (bits_read(b, 5) > 7)
			(void)bits_flag(b);
		if (delay_bits > 0 && bits_flag(b)) {
			(void)bits_read(b, delay_bits);
			(void)bits_read(b, delay_bits);
			(void)bits_flag(b);
		}
		if (display_delay && bits_flag(b))
			(void)bits_read(b, 4);
	}
}

static void read_sequence(struct bits b, struct sl_frame_info *info)
{
	unsigned width_bits, height_bits;
	uint32_t width, height;

	(void)bits_read(&b, 4); /* profile, still picture */
	if (bits_flag(&b))	/* reduced header */
		(void)bits_read(&b, 5);
	else
		skip_operating_points(&b, skip_timing(&b));
	width_bits = bits_read(&b, 4) + 1;
	height_bits = bits_read(&b, 4) + 1;
	width = bits_read(&b, width_bits) + 1;
	height = bits_read(&b, height_bits) + 1;
	if (b.failed || width > UINT16_MAX || height > UINT16_MAX)
		return;
	info->width = (uint16_t)width;
	info->height = (uint16_t)height;
}

/* b: one OBU element, from its header on */
static void read_obu(struct bits b, bool first, struct sl_frame_info *info)
{
	unsigned type;
	bool extended, sized;

	(void)bits_flag(&b);
	type = bits_read(&b, 4);
	extended = bits_flag(&b);
	sized = bits_flag(&b);
	(void)bits_flag(&b);
	if (extended) {
		info->temporal = (uint8_t)bits_read(&b, 3);
		info->spatial = (uint8_t)bits_read(&b, 2);
		(void)bits_read(&b, 3);
	}
	if (sized)
		(void)read_length(&b);
	if (first)
		info->begins = type != TILE_GROUP;
	if (type == SEQUENCE_HEADER)
		read_sequence(b, info);
}

int av1_read(struct sl_str payload, struct sl_frame_info *info)
{
	struct bits b = bits_of(payload.p, payload.len);
	uint8_t head = (uint8_t)bits_read(&b, 8);
	unsigned n = head >> 4 & 3;

	for (unsigned i = 0; i < MAX_OBUS && b.at < b.end && (n == 0 || i < n); i++) {
		bool to_the_end = n != 0 && i + 1 == n;
		size_t len = to_the_end ? (b.end - b.at) / 8 : read_length(&b);
		struct bits obu = {.p = b.p, .at = b.at, .end = b.at + 8 * len};

		if (b.failed || obu.end > b.end)
			return -SL_EPARSE;
		if (len > 0 && (i > 0 || !(head & Z_BIT)))
			read_obu(obu, i == 0, info);
		b.at = obu.end;
	}
	info->key = head & N_BIT;
	info->begins = info->begins || info->key;
	return 0;
}
