/*
 * proto/dd.c: the dependency descriptor (AV1 RTP specification, appendix A): read with the
 * structure of its encoding, and written anew for a subscriber.
 *
 * A key frame's first packet brings a structure: templates of layers, of what a frame is for each
 * decode target, and of the frames it depends on. Every other packet names a template and may say
 * otherwise. Bits are walked once; where the mask of active decode targets belongs is remembered,
 * so that a forwarder can put its own there without reading the structure again.
 */
#include <sluice/buf.h>
#include "proto/bits.h"
#include "proto/codec_impl.h"

enum {
	MANDATORY_BITS = 24,
	FLAGS_BITS = 5,
	MASK_FLAG_AT = 25, /* active_decode_targets_present_flag */
	DTI_BITS = 2,
	MANY_FRAMES = 0x4000,
};

struct flags {
	bool structure, mask, dtis, refs, chains;
};

/* ---- the structure */

static void read_template_layers(struct bits *b, struct dd_structure *s)
{
	unsigned spatial = 0, temporal = 0, next;

	do {
		if (s->n_templates == DD_MAX_TEMPLATES || spatial >= SL_MAX_SPATIAL ||
		    temporal >= SL_MAX_TEMPORAL) {
			b->failed = true;
			return;
		}
		s->templates[s->n_templates++].layers = (uint8_t)(spatial << 4 | temporal);
		next = bits_read(b, 2);
		if (next == 1)
			temporal++;
		if (next == 2) {
			spatial++;
			temporal = 0;
		}
	} while (next != 3 && !b->failed);
	s->n_spatial = (uint8_t)(spatial + 1);
}

static uint64_t read_dtis(struct bits *b, unsigned n_targets)
{
	uint64_t dtis = 0;

	for (unsigned i = 0; i < n_targets; i++)
		dtis |= (uint64_t)bits_read(b, DTI_BITS) << (DTI_BITS * i);
	return dtis;
}

static void add_ref(uint16_t *refs, uint8_t *n, uint32_t distance)
{
	if (*n < SL_DD_MAX_REFS)
		refs[*n] = (uint16_t)distance;
	if (*n <= SL_DD_MAX_REFS)
		++*n; /* one more than fit says that there are more */
}

static void read_template_refs(struct bits *b, struct dd_template *t)
{
	while (!b->failed && bits_flag(b))
		add_ref(t->refs, &t->n_refs, bits_read(b, 4) + 1);
}

/* Chains protect targets against loss; a forwarder only has to know how many there are. */
static void skip_chains(struct bits *b, struct dd_structure *s)
{
	s->n_chains = (uint8_t)bits_below(b, s->n_targets + 1u);
	if (s->n_chains == 0)
		return;
	for (unsigned i = 0; i < s->n_targets; i++)
		(void)bits_below(b, s->n_chains);
	for (unsigned i = 0; i < (unsigned)s->n_templates * s->n_chains && !b->failed; i++)
		(void)bits_read(b, 4);
}

/* A target has the layers of all frames that are present in it. */
static void find_target_layers(struct dd_structure *s)
{
	for (unsigned i = 0; i < s->n_targets; i++) {
		unsigned spatial = 0, temporal = 0;

		for (unsigned k = 0; k < s->n_templates; k++) {
			const struct dd_template *t = &s->templates[k];

			if ((t->dtis >> (DTI_BITS * i) & 3) == SL_DTI_NOT_PRESENT)
				continue;
			spatial = t->layers >> 4 > spatial ? t->layers >> 4 : spatial;
			temporal = (t->layers & 15) > temporal ? t->layers & 15 : temporal;
		}
		s->targets[i] = (uint8_t)(spatial << 4 | temporal);
	}
}

static uint32_t all_targets(unsigned n)
{
	return n < 32 ? (UINT32_C(1) << n) - 1 : UINT32_MAX;
}

static void read_structure(struct bits *b, struct dd_structure *s)
{
	*s = (struct dd_structure){.first_id = (uint8_t)bits_read(b, 6)};
	s->n_targets = (uint8_t)(bits_read(b, 5) + 1);
	read_template_layers(b, s);
	for (unsigned i = 0; i < s->n_templates; i++)
		s->templates[i].dtis = read_dtis(b, s->n_targets);
	for (unsigned i = 0; i < s->n_templates; i++)
		read_template_refs(b, &s->templates[i]);
	skip_chains(b, s);
	find_target_layers(s);
	if (bits_flag(b))
		for (unsigned i = 0; i < s->n_spatial; i++) {
			s->width[i] = (uint16_t)(bits_read(b, 16) + 1);
			s->height[i] = (uint16_t)(bits_read(b, 16) + 1);
		}
	s->active = all_targets(s->n_targets);
	s->known = !b->failed;
}

/* ---- the frame */

/* Sizes of the next distance in nibbles, 0 at the end */
static void read_custom_refs(struct bits *b, struct sl_dd *dd)
{
	unsigned nibbles;

	dd->n_refs = 0;
	while (!b->failed && (nibbles = bits_read(b, 2)) > 0)
		add_ref(dd->refs, &dd->n_refs, bits_read(b, 4 * nibbles) + 1);
}

static struct flags read_flags(struct bits *b)
{
	struct flags f;

	f.structure = bits_flag(b);
	f.mask = bits_flag(b);
	f.dtis = bits_flag(b);
	f.refs = bits_flag(b);
	f.chains = bits_flag(b);
	return f;
}

static void use_template(const struct dd_structure *s, unsigned id, struct sl_frame_info *info)
{
	const struct dd_template *t = &s->templates[(id + 64 - s->first_id) % 64];
	struct sl_dd *dd = &info->dd;

	info->spatial = t->layers >> 4;
	info->temporal = t->layers & 15;
	dd->dtis = t->dtis;
	dd->n_refs = t->n_refs;
	memcpy(dd->refs, t->refs, sizeof dd->refs);
	dd->n_targets = s->n_targets;
	dd->active = s->active;
	memcpy(dd->targets, s->targets, sizeof dd->targets);
}

static bool discardable_for_all(const struct sl_dd *dd)
{
	for (unsigned i = 0; i < dd->n_targets; i++)
		if (sl_dd_dti(dd, i) > SL_DTI_DISCARDABLE)
			return false;
	return true;
}

/* Layers that targets being made have */
static uint8_t count_spatial(const struct sl_dd *dd)
{
	unsigned n = 0;

	for (unsigned i = 0; i < dd->n_targets; i++)
		if ((dd->active >> i & 1) && dd->targets[i] >> 4 >= (int)n)
			n = (dd->targets[i] >> 4) + 1u;
	return (uint8_t)n;
}

static void conclude(struct dd_structure *s, struct sl_frame_info *info)
{
	struct sl_dd *dd = &info->dd;

	dd->more_refs = dd->n_refs > SL_DD_MAX_REFS;
	dd->n_refs = dd->more_refs ? SL_DD_MAX_REFS : dd->n_refs;
	if (dd->structure) {
		s->key_frame = dd->frame_number;
		s->has_key_frame = true;
	} else if ((uint16_t)(dd->frame_number - s->key_frame - MANY_FRAMES) < MANY_FRAMES) {
		s->has_key_frame = false; /* its number comes again, and is another's */
	}
	info->key = s->has_key_frame && dd->frame_number == s->key_frame;
	info->n_spatial = count_spatial(dd);
	info->independent = dd->n_refs == 0;
	info->discardable = discardable_for_all(dd);
	info->switch_up = info->switch_above = info->inter_layer = false; /* the targets tell */
	info->width = info->key ? s->width[info->spatial] : 0;
	info->height = info->key ? s->height[info->spatial] : 0;
	dd->present = true;
}

/* What the descriptor says goes before what the payload has said. Without the structure, which a
 * lost packet may have brought, nothing can be said: 0, and dd.present is false. */
int dd_read(struct dd_structure *s, struct sl_str value, struct sl_frame_info *info)
{
	struct bits b = bits_of(value.p, value.len);
	struct flags f = {false, false, false, false, false};
	struct sl_dd *dd = &info->dd;
	unsigned template_id;

	info->begins = bits_flag(&b);
	info->ends = bits_flag(&b);
	template_id = bits_read(&b, 6);
	dd->frame_number = (uint16_t)bits_read(&b, 16);
	if (b.at < b.end)
		f = read_flags(&b);
	if (f.structure)
		read_structure(&b, s);
	dd->structure = f.structure;
	dd->has_mask = f.mask;
	dd->mask_at =
		(uint16_t)(b.at < MANDATORY_BITS + FLAGS_BITS ? MANDATORY_BITS + FLAGS_BITS : b.at);
	if (b.failed)
		return -SL_EPARSE;
	if (!s->known || (template_id + 64u - s->first_id) % 64 >= s->n_templates)
		return 0;
	if (f.mask)
		s->active = bits_read(&b, s->n_targets);
	use_template(s, template_id, info);
	if (f.dtis)
		dd->dtis = read_dtis(&b, s->n_targets);
	if (f.refs)
		read_custom_refs(&b, dd);
	if (b.failed)
		return -SL_EPARSE;
	conclude(s, info);
	return 0;
}

/* ---- written anew */

static void put_bits(uint8_t *dst, size_t at, unsigned n, uint32_t v)
{
	for (unsigned i = 0; i < n; i++, at++) {
		uint8_t bit = (uint8_t)(0x80 >> at % 8);

		if (v >> (n - 1 - i) & 1)
			dst[at / 8] |= bit;
		else
			dst[at / 8] &= (uint8_t)~bit;
	}
}

/* The descriptor with a mask of n bits put in at `at`; what followed moves up. */
static size_t insert_mask(const struct sl_rtp_out *out, struct sl_str in, uint8_t *dst)
{
	struct bits rest = bits_of(in.p, in.len);
	size_t at = out->dd_mask_at, bytes = at / 8;
	size_t total = (at > rest.end ? at : rest.end) + out->dd_n_targets;

	memset(dst, 0, (total + 7) / 8);
	memcpy(dst, in.p, in.len < bytes ? in.len : bytes);
	if (at < rest.end) {
		rest.at = 8 * bytes;
		put_bits(dst, 8 * bytes, at % 8, bits_read(&rest, at % 8));
	}
	put_bits(dst, MASK_FLAG_AT, 1, 1);
	put_bits(dst, at, out->dd_n_targets, out->dd_mask);
	for (at += out->dd_n_targets; rest.at < rest.end; at += 8) {
		unsigned n = rest.end - rest.at < 8 ? (unsigned)(rest.end - rest.at) : 8;

		put_bits(dst, at, n, bits_read(&rest, n));
	}
	return (total + 7) / 8;
}

static bool mask_fits(const struct sl_rtp_out *out, struct sl_str in)
{
	size_t end = 8 * in.len > out->dd_mask_at ? 8 * in.len : out->dd_mask_at;

	if (out->dd_n_targets == 0)
		return false;
	if (out->dd_has_mask)
		return out->dd_mask_at + (size_t)out->dd_n_targets <= 8 * in.len;
	return end + out->dd_n_targets <= (size_t)8 * SL_RTP_MAX_DD;
}

size_t sl_rtp_out_dd(const struct sl_rtp_out *out, uint8_t dst[SL_RTP_MAX_DD])
{
	struct sl_str in = out->src ? sl_rtp_ext_value(out->src, SL_RTP_EXT_DEPENDENCY_DESCRIPTOR)
				    : SL_STR_NULL;
	size_t len = in.len;

	if (!in.p || len > SL_RTP_MAX_DD)
		return 0;
	if (out->dd_rewrite && !out->dd_has_mask && mask_fits(out, in))
		len = insert_mask(out, in, dst);
	else if (len > 0)
		memcpy(dst, in.p, len);
	if (!out->dd_rewrite || len < 3)
		return len;
	if (out->dd_has_mask && mask_fits(out, in))
		put_bits(dst, out->dd_mask_at, out->dd_n_targets, out->dd_mask);
	sl_put16(dst + 1, out->dd_frame);
	return len;
}
