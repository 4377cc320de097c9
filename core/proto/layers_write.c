/*
 * proto/layers_write.c: ids in payload descriptors that continue over dropped frames and changed
 * encodings.
 *
 * VP8: picture ids count what is received (RFC 7741 section 4.2), so they close up over dropped
 * frames. VP9 names its references by distances of picture ids, and the dependency descriptor by
 * distances of frame numbers: these only move by an offset with each run. Picture ids are written
 * with 15 bits, whatever they came with.
 */
#include <sluice/buf.h>
#include "proto/layers_impl.h"

enum {
	PICTURE_MASK = 0x7fff,
	LONG_ID = 0x8000,
	KEY_MASK = 0x1f,
	MASK_FRAMES = 8, /* frames that repeat a new mask: some may be lost */
};

uint64_t picture_of(const struct run *run, const struct sl_frame_info *info)
{
	unsigned shift = 16u - info->picture_bits;
	int16_t distance = (int16_t)(uint16_t)((info->picture_id - run->picture) << shift);

	return run->picture + (uint64_t)(int64_t)(distance >> shift);
}

void write_begin(struct sl_layers *l, const struct sl_layers_packet *p)
{
	const struct sl_frame_info *i = p->info;
	struct run *run = &l->now->run;
	const struct stretch *old = l->before;
	uint16_t next = (uint16_t)(old->run.codec == SL_CODEC_VP8
					   ? old->pictures.out
					   : old->run.picture + old->run.picture_offset) +
			1;

	run->picture = (UINT64_C(1) << 16) + i->picture_id;
	refs_begin(&run->refs, run->picture);
	run->picture_offset = l->started ? (uint16_t)(next - i->picture_id) : 0;
	numbers_begin(&l->now->pictures, run->picture, l->started ? next : i->picture_id);
	if (!l->started)
		return;
	run->tl0_offset = (uint8_t)(l->last_tl0 + 1 - i->tl0_picture);
	run->key_offset = (uint8_t)(l->last_key + 1 - i->key_index);
	run->number_offset = (uint16_t)(l->last_number + 1 - i->dd.frame_number);
}

static uint8_t tl0_of(struct sl_layers *l, const struct run *run, const struct sl_frame_info *i)
{
	uint8_t tl0 = (uint8_t)(i->tl0_picture + run->tl0_offset);

	if ((uint8_t)(tl0 - l->last_tl0) < 0x80)
		l->last_tl0 = tl0;
	return tl0;
}

/* The first two bytes say which others follow; all that do are written anew. */
static void write_vp8(struct sl_layers *l, const struct run *run, const struct sl_layers_packet *p,
		      uint16_t picture, struct sl_rtp_out *out)
{
	const uint8_t *from = sl_rtp_payload(p->rtp);
	const struct sl_frame_info *i = p->info;
	uint8_t *to = out->patch;

	*to++ = from[0];
	*to++ = from[1];
	if (i->picture_bits) {
		sl_put16(to, LONG_ID | (picture & PICTURE_MASK));
		to += 2;
	}
	if (i->has_tl0)
		*to++ = tl0_of(l, run, i);
	if (from[1] & 0x30) { /* T, K */
		*to = from[i->head_len - 1];
		if (i->has_key_index) {
			l->last_key = (uint8_t)((i->key_index + run->key_offset) & KEY_MASK);
			*to = (uint8_t)((*to & ~KEY_MASK) | l->last_key);
		}
		to++;
	}
	out->cut = i->head_len;
	out->patch_len = (uint8_t)(to - out->patch);
}

static void write_vp9(struct sl_layers *l, const struct run *run, const struct sl_layers_packet *p,
		      uint16_t picture, struct sl_rtp_out *out)
{
	const uint8_t *from = sl_rtp_payload(p->rtp);
	const struct sl_frame_info *i = p->info;
	unsigned at = 1 + (i->picture_bits + 1) / 8;
	uint8_t *to = out->patch;

	*to++ = from[0];
	sl_put16(to, LONG_ID | (picture & PICTURE_MASK));
	to += 2;
	if (from[0] & 0x20) /* L */
		*to++ = from[at];
	if (i->has_tl0)
		*to++ = tl0_of(l, run, i);
	out->cut = i->head_len;
	out->patch_len = (uint8_t)(to - out->patch);
}

/* The targets that are left when all above the selection are dropped */
static uint32_t mask_of(const struct run *run, const struct sl_dd *dd)
{
	uint32_t mask = 0;

	for (unsigned i = 0; i < dd->n_targets; i++)
		if (dd->targets[i] >> 4 <= run->sel.spatial &&
		    (dd->targets[i] & 15) <= run->sel.temporal)
			mask |= UINT32_C(1) << i;
	return mask & dd->active;
}

static void write_descriptor(struct sl_layers *l, struct run *run, const struct sl_layers_packet *p,
			     struct sl_rtp_out *out)
{
	const struct sl_dd *dd = &p->info->dd;
	uint32_t mask = mask_of(run, dd);

	out->dd_rewrite = true;
	out->dd_frame = (uint16_t)(dd->frame_number + run->number_offset);
	out->dd_has_mask = dd->has_mask;
	out->dd_mask_at = dd->mask_at;
	if ((int16_t)(uint16_t)(out->dd_frame - l->last_number) > 0)
		l->last_number = out->dd_frame;
	if (mask != run->mask_told) { /* after a structure all are active, unless it is said */
		run->mask_left = run->mask_told == 0 && mask == dd->active ? 0 : MASK_FRAMES;
		run->mask_told = mask;
	}
	if (!dd->has_mask && (!p->info->begins || run->mask_left == 0))
		return;
	out->dd_n_targets = dd->n_targets;
	out->dd_mask = mask;
	if (run->mask_left > 0)
		run->mask_left--;
}

/* Picture ids of VP8 close up, so that every picture counts, the dropped as well. */
static int number_picture(struct stretch *st, const struct sl_layers_packet *p, bool forward,
			  uint16_t *ret_picture)
{
	uint64_t picture = picture_of(&st->run, p->info);

	if (picture > st->run.picture)
		st->run.picture = picture;
	if (p->codec == SL_CODEC_VP8)
		return numbers_take(&st->pictures, picture, forward, ret_picture);
	*ret_picture = (uint16_t)(picture + st->run.picture_offset);
	return 0;
}

bool write_ids(struct sl_layers *l, struct stretch *st, const struct sl_layers_packet *p,
	       bool forward, struct sl_rtp_out *out)
{
	uint16_t picture = 0;

	if (p->info->picture_bits && number_picture(st, p, forward, &picture) < 0)
		return false;
	if (!forward)
		return true;
	if (p->codec == SL_CODEC_VP8 && p->info->head_len > 1)
		write_vp8(l, &st->run, p, picture, out);
	if (p->codec == SL_CODEC_VP9 && p->info->picture_bits)
		write_vp9(l, &st->run, p, picture, out);
	if (p->info->dd.present)
		write_descriptor(l, &st->run, p, out);
	return true;
}
