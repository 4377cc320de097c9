/*
 * proto/jsep_codec.c: when are two formats one and the same codec?
 *
 * Name, clock and channels must be equal, and those parameters that change what a decoder must be
 * able to do: H.264 profile and packetization mode (RFC 6184 section 8.2.2), H.265 profile, tier
 * and mode (RFC 7798 section 7.2.2), VP9 profile (RFC 9628 section 7.2), AV1 profile. Levels are
 * left alone: this node decodes nothing, and receivers say theirs.
 */
#include "proto/jsep_impl.h"

/* RFC 6184 table 5: profile_idc, the bits of profile_iop that count, and what they are */
enum h264_profile {
	H264_OTHER, /* compared by its bytes */
	H264_CONSTRAINED_BASELINE,
	H264_BASELINE,
	H264_MAIN,
	H264_EXTENDED,
	H264_HIGH,
	H264_CONSTRAINED_HIGH,
};
static const struct {
	uint8_t idc, mask, bits, profile;
} h264_profiles[] = {
	{0x42, 0x4f, 0x40, H264_CONSTRAINED_BASELINE},
	{0x4d, 0x8f, 0x80, H264_CONSTRAINED_BASELINE},
	{0x58, 0xcf, 0xc0, H264_CONSTRAINED_BASELINE},
	{0x42, 0x4f, 0x00, H264_BASELINE},
	{0x58, 0xcf, 0x80, H264_BASELINE},
	{0x4d, 0xaf, 0x00, H264_MAIN},
	{0x58, 0xcf, 0x00, H264_EXTENDED},
	{0x64, 0xff, 0x00, H264_HIGH},
	{0x64, 0xff, 0x0c, H264_CONSTRAINED_HIGH},
};

/* Profile in the high byte, for H264_OTHER with the bytes themselves below; negative: nonsense.
 * Who says nothing means what everybody can, as browsers read it. */
static int h264_profile(struct sl_str params)
{
	struct sl_str text = SL_STR("42e01f");
	uint8_t id[3];
	size_t len;

	(void)sl_sdp_param(params, "profile-level-id", &text); /* else the default */
	if (sl_hex_decode(id, sizeof id, text, &len) < 0 || len != sizeof id)
		return -1;
	for (unsigned i = 0; i < SL_ARRAY_LEN(h264_profiles); i++)
		if (h264_profiles[i].idc == id[0] &&
		    (id[1] & h264_profiles[i].mask) == h264_profiles[i].bits)
			return h264_profiles[i].profile << 16;
	return id[0] << 8 | id[1];
}

static bool same_h264_profile(struct sl_str a, struct sl_str b)
{
	int profile = h264_profile(a);

	return profile >= 0 && profile == h264_profile(b);
}

/* Equal values, or one says nothing and the other the default */
static bool same_param(struct sl_str a, struct sl_str b, const char *name, const char *dflt)
{
	struct sl_str va = sl_str_c(dflt), vb = sl_str_c(dflt);

	(void)sl_sdp_param(a, name, &va); /* else the default */
	(void)sl_sdp_param(b, name, &vb);
	return sl_str_eq_nocase(va, vb);
}

static bool same_params(enum sl_codec_id id, struct sl_str a, struct sl_str b)
{
	switch (id) {
	case SL_CODEC_H264:
		return same_h264_profile(a, b) && same_param(a, b, "packetization-mode", "0");
	case SL_CODEC_H265:
		return same_param(a, b, "profile-id", "1") && same_param(a, b, "tier-flag", "0") &&
		       same_param(a, b, "profile-space", "0") &&
		       same_param(a, b, "tx-mode", "SRST");
	case SL_CODEC_VP9:
		return same_param(a, b, "profile-id", "0");
	case SL_CODEC_AV1:
		return same_param(a, b, "profile", "0");
	default:
		return true;
	}
}

bool codec_matches(const struct jsep_codec *own, const struct sl_sdp_format *f)
{
	return own->clock_hz == f->clock_hz && own->channels == f->channels &&
	       sl_str_eq_nocase(sl_str_c(sl_codec_name(own->id)), f->name) &&
	       same_params(own->id, sl_str_c(own->params), f->params);
}

bool codec_is_same(const struct jsep_codec *a, const struct jsep_codec *b)
{
	return a->id == b->id && a->clock_hz == b->clock_hz && a->channels == b->channels &&
	       same_params(a->id, sl_str_c(a->params), sl_str_c(b->params));
}

/* sprop-...: what the peer happens to send; max-...: what it can decode. This node sends and
 * decodes nothing of its own, and must not promise or ask such things in the peer's place. */
static bool is_one_sided(struct sl_str name)
{
	return sl_str_starts(name, SL_STR("sprop-")) || sl_str_starts(name, SL_STR("max-"));
}

/* What is longer than anybody's is left out whole: half a parameter would be another one. */
void codec_set_params(struct jsep_codec *c, struct sl_str params)
{
	struct sl_str name, value;
	size_t at = 0;

	memset(c->params, 0, sizeof c->params);
	while (sl_sdp_param_next(&params, &name, &value)) {
		size_t need = name.len + (value.p ? 1 + value.len : 0) + (at > 0);

		if (is_one_sided(name) || need >= sizeof c->params - at)
			continue;
		if (at > 0)
			c->params[at++] = ';';
		at += sl_str_copy(c->params + at, sizeof c->params - at, name);
		if (!value.p)
			continue;
		c->params[at++] = '=';
		at += sl_str_copy(c->params + at, sizeof c->params - at, value);
	}
}
