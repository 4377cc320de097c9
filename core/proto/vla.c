/*
 * proto/vla.c: the video layers allocation of <sluice/vla.h>.
 *
 * A byte that names the streams, masks of spatial layers (one for all, or a nibble for each
 * stream), two bits for each layer's temporal layers, rates in LEB128 that add up from temporal
 * layer to temporal layer, and, where there is more, five bytes of size for each layer. All lists
 * go from stream to stream, and within it from layer to layer.
 */
#include <sluice/vla.h>

#include "proto/bits.h"

enum { LEB128_BYTES = 5, SIZE_BYTES = 5 };

static void align(struct bits *b)
{
	b->at = (b->at + 7) / 8 * 8;
}

static uint32_t read_leb128(struct bits *b)
{
	uint64_t value = 0;
	uint32_t byte = 0;

	for (unsigned i = 0; i < LEB128_BYTES; i++) {
		byte = bits_read(b, 8);
		value |= (uint64_t)(byte & 0x7f) << 7 * i;
		if (!(byte & 0x80))
			break;
	}
	if (byte & 0x80 || value > UINT32_MAX)
		b->failed = true;
	return (uint32_t)value;
}

static void read_masks(struct bits *b, struct sl_vla *v)
{
	uint8_t all = (uint8_t)bits_read(b, 4);

	for (unsigned i = 0; i < v->n_streams; i++)
		v->spatial[i] = all ? all : (uint8_t)bits_read(b, 4);
	align(b);
}

typedef void layer_fn(struct bits *b, struct sl_vla_layer *l);

static void each_layer(struct bits *b, struct sl_vla *v, layer_fn *fn)
{
	for (unsigned i = 0; i < v->n_streams; i++)
		for (unsigned s = 0; s < SL_VLA_SPATIAL; s++)
			if (v->spatial[i] & 1u << s)
				fn(b, &v->layers[i][s]);
}

static void read_temporal(struct bits *b, struct sl_vla_layer *l)
{
	l->n_temporal = (uint8_t)(bits_read(b, 2) + 1);
}

static void read_rates(struct bits *b, struct sl_vla_layer *l)
{
	for (unsigned t = 0; t < l->n_temporal; t++)
		l->kbps = read_leb128(b);
}

static void read_size(struct bits *b, struct sl_vla_layer *l)
{
	l->width = bits_read(b, 16) + 1;
	l->height = bits_read(b, 16) + 1;
	l->fps = (uint8_t)bits_read(b, 8);
}

int sl_vla_read(struct sl_str v, struct sl_vla *ret_vla)
{
	struct bits b = bits_of(v.p, v.len);

	*ret_vla = (struct sl_vla){0};
	if (v.len == 1 && v.p[0] == 0)
		return 0;
	ret_vla->own = (uint8_t)bits_read(&b, 2);
	ret_vla->n_streams = (uint8_t)(bits_read(&b, 2) + 1);
	read_masks(&b, ret_vla);
	each_layer(&b, ret_vla, read_temporal);
	align(&b);
	each_layer(&b, ret_vla, read_rates);
	ret_vla->sized = !b.failed && b.end - b.at >= 8 * SIZE_BYTES;
	if (ret_vla->sized)
		each_layer(&b, ret_vla, read_size);
	return b.failed || b.at != b.end || ret_vla->own >= ret_vla->n_streams ? -SL_EPARSE : 0;
}
