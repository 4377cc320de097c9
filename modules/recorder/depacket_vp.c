/*
 * recorder/depacket_vp.c: VP8 and VP9 without their payload descriptors (RFC 7741 section 4.2, RFC
 * 9628 section 4.2); VP9's spatial layers with the index that makes them one superframe (VP9
 * bitstream specification, annex B).
 */
#include "depacket.h"

enum {
	I_BIT = 0x80,
	P_BIT = 0x40,
	L_BIT = 0x20,
	F_BIT = 0x10,
	B_BIT = 0x08,
	V_BIT = 0x02,
	Y_BIT = 0x10, /* of the scalability structure */
	G_BIT = 0x08,
	MAX_REFS = 3,
};

int depacket_vp8(struct depacket *d, struct sl_str payload, const struct sl_frame_info *info)
{
	if (payload.len <= info->head_len)
		return -SL_EPARSE;
	sl_buf_add(&d->data, payload.p + info->head_len, payload.len - info->head_len);
	return 0;
}

static void skip_structure(struct sl_reader *r)
{
	uint8_t head = sl_read_u8(r);

	if (head & Y_BIT)
		(void)sl_read_bytes(r, 4 * ((size_t)(head >> 5) + 1));
	if (!(head & G_BIT))
		return;
	for (unsigned n = sl_read_u8(r); n > 0 && !r->failed; n--)
		(void)sl_read_bytes(r, sl_read_u8(r) >> 2 & 3);
}

static void skip_refs(struct sl_reader *r)
{
	for (unsigned i = 0; i < MAX_REFS; i++)
		if (!(sl_read_u8(r) & 1))
			return;
	r->failed = true;
}

static void skip_descriptor(struct sl_reader *r, uint8_t first)
{
	if ((first & I_BIT) && (sl_read_u8(r) & 0x80))
		(void)sl_read_u8(r);
	if (first & L_BIT) {
		(void)sl_read_u8(r);
		if (!(first & F_BIT))
			(void)sl_read_u8(r);
	}
	if ((first & F_BIT) && (first & P_BIT))
		skip_refs(r);
	if (first & V_BIT)
		skip_structure(r);
}

int depacket_vp9(struct depacket *d, struct sl_str payload, const struct sl_frame_info *info)
{
	struct sl_reader r = sl_reader(payload.p, payload.len);
	uint8_t first = sl_read_u8(&r);

	(void)info;
	skip_descriptor(&r, first);
	if (r.failed || r.p == r.end)
		return -SL_EPARSE;
	if (first & B_BIT) {
		if (d->n_layers == DEPACKET_MAX_LAYERS)
			return -SL_EPARSE;
		d->layer_at[d->n_layers++] = d->data.len;
	} else if (d->n_layers == 0) {
		return -SL_EPARSE;
	}
	sl_buf_add(&d->data, r.p, (size_t)(r.end - r.p));
	return 0;
}

/* Sizes of four bytes each, between two equal markers */
int depacket_vp9_close(struct depacket *d)
{
	uint8_t marker = (uint8_t)(0xc0 | 3 << 3 | (d->n_layers - 1));
	size_t end = d->data.len;

	if (d->n_layers < 2)
		return d->n_layers == 1 ? 0 : -SL_EPARSE;
	sl_buf_u8(&d->data, marker);
	for (unsigned i = 0; i < d->n_layers; i++) {
		size_t len = (i + 1 < d->n_layers ? d->layer_at[i + 1] : end) - d->layer_at[i];

		for (unsigned k = 0; k < 4; k++)
			sl_buf_u8(&d->data, (uint8_t)(len >> 8 * k));
	}
	sl_buf_u8(&d->data, marker);
	return 0;
}
