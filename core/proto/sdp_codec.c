/*
 * proto/sdp_codec.c: when are two formats one and the same codec?
 *
 * Name, clock and channels must be equal, and those parameters that change what a decoder must be
 * able to do: H.264 profile and packetization mode (RFC 6184 section 8.2.2), H.265 profile, tier
 * and mode (RFC 7798 section 7.2.2), VP9 profile (RFC 9628 section 7.2), AV1 profile. Levels are
 * left alone: this node decodes nothing, and receivers say theirs.
 */
#include <sluice/sdp.h>

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

bool sl_sdp_same_codec(const struct sl_sdp_format *a, const struct sl_sdp_format *b)
{
	return a->clock_hz == b->clock_hz && a->channels == b->channels &&
	       sl_str_eq_nocase(a->name, b->name) &&
	       same_params(sl_codec_by_name(a->name), a->params, b->params);
}
