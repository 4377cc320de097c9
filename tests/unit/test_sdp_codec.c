/*
 * Which formats are one and the same codec: the rules of each format, case by case.
 */
#include <sluice/sdp.h>
#include "lib/test.h"

static const struct {
	enum sl_codec_id id;
	const char *own, *theirs;
	bool same;
} rules[] = {
	/* H.264: constrained baseline has several spellings, and levels do not matter. */
	{SL_CODEC_H264, "packetization-mode=1;profile-level-id=42e01f",
	 "profile-level-id=42C00B;packetization-mode=1", true},
	{SL_CODEC_H264, "packetization-mode=1;profile-level-id=42e01f",
	 "packetization-mode=1;profile-level-id=4d8028", true},
	{SL_CODEC_H264, "packetization-mode=1;profile-level-id=42e01f",
	 "packetization-mode=1;profile-level-id=42001f", false},
	{SL_CODEC_H264, "packetization-mode=1;profile-level-id=42e01f",
	 "packetization-mode=0;profile-level-id=42e01f", false},
	{SL_CODEC_H264, "packetization-mode=0;profile-level-id=42e01f", "profile-level-id=42e01f",
	 true},
	{SL_CODEC_H264, "profile-level-id=42e01f", "", true},
	{SL_CODEC_H264, "profile-level-id=640c1f", "profile-level-id=640c28", true},
	{SL_CODEC_H264, "profile-level-id=640c1f", "profile-level-id=64001f", false},
	{SL_CODEC_H264, "profile-level-id=64001f", "profile-level-id=640032", true},
	{SL_CODEC_H264, "profile-level-id=4d001f", "profile-level-id=4d0028", true},
	{SL_CODEC_H264, "profile-level-id=f4001f", "profile-level-id=f4001f", true},
	{SL_CODEC_H264, "profile-level-id=f4001f", "profile-level-id=6e001f", false},
	{SL_CODEC_H264, "profile-level-id=42e01f", "profile-level-id=42e0", false},
	{SL_CODEC_H264, "profile-level-id=zz", "profile-level-id=zz", false},
	{SL_CODEC_VP9, "profile-id=0", "", true},
	{SL_CODEC_VP9, "profile-id=0", "profile-id=2", false},
	{SL_CODEC_VP9, "profile-id=2", "Profile-Id=2;x=y", true},
	{SL_CODEC_AV1, "level-idx=5;profile=0;tier=0", "profile=0;level-idx=8", true},
	{SL_CODEC_AV1, "profile=0", "profile=1", false},
	{SL_CODEC_H265, "level-id=180;profile-id=1;tier-flag=0;tx-mode=SRST", "level-id=93", true},
	{SL_CODEC_H265, "profile-id=1", "profile-id=2", false},
	{SL_CODEC_H265, "profile-id=1", "tier-flag=1", false},
	{SL_CODEC_VP8, "", "max-fs=12288;max-fr=60", true},
};

TEST(parameters_decide_by_the_rules_of_their_format)
{
	for (unsigned i = 0; i < SL_ARRAY_LEN(rules); i++) {
		struct sl_sdp_format own = {.clock_hz = 90000,
					    .channels = 1,
					    .name = sl_str_c(sl_codec_name(rules[i].id)),
					    .params = sl_str_c(rules[i].own)};
		struct sl_sdp_format f = own;

		f.params = sl_str_c(rules[i].theirs);
		if (sl_sdp_same_codec(&own, &f) != rules[i].same)
			TEST_FAIL("rule %u: \"%s\" and \"%s\"", i, rules[i].own, rules[i].theirs);
	}
}

TEST(name_clock_and_channels_must_be_equal)
{
	const struct sl_sdp_format opus = {
		.clock_hz = 48000, .channels = 2, .name = SL_STR_INIT("opus")};
	struct sl_sdp_format f = opus;

	f.name = SL_STR("OPUS");
	CHECK(sl_sdp_same_codec(&opus, &f));
	f.channels = 1;
	CHECK(!sl_sdp_same_codec(&opus, &f));
	f.channels = 2;
	f.clock_hz = 16000;
	CHECK(!sl_sdp_same_codec(&opus, &f));
	f.clock_hz = 48000;
	f.name = SL_STR("opu");
	CHECK(!sl_sdp_same_codec(&opus, &f));
}

TEST_MAIN()
