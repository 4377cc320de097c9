/*
 * proto/rtc_caps.c: the codecs and header extensions of the WebRTC endpoint.
 *
 * In order of preference for own offers; of a peer's offer the peer's order counts. Numbers are
 * those that browsers use too, so that a packet dump reads itself. No FEC formats (ulpfec,
 * flexfec): what the node repairs, it repairs by retransmission.
 */
#include "proto/rtc_caps.h"

#define VIDEO_FB                                                                                   \
	(JSEP_FB_NACK | JSEP_FB_PLI | JSEP_FB_FIR | JSEP_FB_REMB | JSEP_FB_TWCC | JSEP_FB_TMMBR)
#define VIDEO(id_, pt_, ...)                                                                       \
	{                                                                                          \
		.id = SL_CODEC_##id_, .pt = pt_, .rtx_pt = (pt_) + 1, .channels = 1,               \
		.feedback = VIDEO_FB, .clock_hz = 90000, .params = "" __VA_ARGS__                  \
	}
#define H264(profile, mode)                                                                        \
	"level-asymmetry-allowed=1;packetization-mode=" mode ";profile-level-id=" profile

#define PHONE(id_, pt_)                                                                            \
	{                                                                                          \
		.id = SL_CODEC_##id_, .pt = pt_, .channels = 1, .feedback = JSEP_FB_TWCC,          \
		.clock_hz = 8000,                                                                  \
	}
#define DIGITS(pt_, clock)                                                                         \
	{                                                                                          \
		.id = SL_CODEC_DTMF, .pt = pt_, .channels = 1, .clock_hz = clock, .params = "0-15" \
	}
#define OPUS                                                                                       \
	{                                                                                          \
		.id = SL_CODEC_OPUS, .pt = 111, .channels = 2,                                     \
		.feedback = JSEP_FB_TWCC | JSEP_FB_NACK, .clock_hz = 48000,                        \
		.params = "minptime=10;useinbandfec=1"                                             \
	}

static const struct jsep_codec audio[] = {
	OPUS,
	{.id = SL_CODEC_RED, .pt = 63, .channels = 2, .feedback = JSEP_FB_TWCC, .clock_hz = 48000},
	PHONE(G722, 9),
	PHONE(PCMU, 0),
	PHONE(PCMA, 8),
};

/* Here it is decoded: digits are read, redundancy is not. */
static const struct jsep_codec audio_of_calls[] = {
	OPUS, PHONE(G722, 9), PHONE(PCMU, 0), PHONE(PCMA, 8), DIGITS(110, 48000), DIGITS(126, 8000),
};

static const struct jsep_codec video[] = {
	VIDEO(VP8, 96),
	VIDEO(VP9, 98, "profile-id=0"),
	VIDEO(VP9, 100, "profile-id=2"),
	VIDEO(H264, 102, H264("42e01f", "1")),
	VIDEO(H264, 104, H264("42e01f", "0")),
	VIDEO(H264, 106, H264("640c1f", "1")),
	VIDEO(H264, 108, H264("64001f", "1")),
	VIDEO(H264, 112, H264("42001f", "1")),
	VIDEO(H264, 114, H264("4d001f", "1")),
	VIDEO(AV1, 45, "level-idx=5;profile=0;tier=0"),
	VIDEO(H265, 116, "level-id=180;profile-id=1;tier-flag=0;tx-mode=SRST"),
	VIDEO(H265, 118, "level-id=180;profile-id=2;tier-flag=0;tx-mode=SRST"),
};

static const uint8_t audio_ext[] = {
	SL_RTP_EXT_MID,		  SL_RTP_EXT_AUDIO_LEVEL,      SL_RTP_EXT_TWCC,
	SL_RTP_EXT_ABS_SEND_TIME, SL_RTP_EXT_ABS_CAPTURE_TIME, SL_RTP_EXT_CSRC_AUDIO_LEVEL,
};

/* Telephones know neither layers nor orientation: who sends turns its pictures itself. */
static const uint8_t video_ext_of_calls[] = {
	SL_RTP_EXT_MID,
	SL_RTP_EXT_TWCC,
	SL_RTP_EXT_ABS_SEND_TIME,
};

static const uint8_t video_ext[] = {
	SL_RTP_EXT_MID,
	SL_RTP_EXT_RID,
	SL_RTP_EXT_REPAIRED_RID,
	SL_RTP_EXT_TWCC,
	SL_RTP_EXT_ABS_SEND_TIME,
	SL_RTP_EXT_ABS_CAPTURE_TIME,
	SL_RTP_EXT_VIDEO_ORIENTATION,
	SL_RTP_EXT_PLAYOUT_DELAY,
	SL_RTP_EXT_DEPENDENCY_DESCRIPTOR,
	SL_RTP_EXT_VIDEO_LAYERS_ALLOCATION,
};

#define CAPS                                                                                       \
	.audio = audio, .n_audio = SL_ARRAY_LEN(audio), .video = video,                            \
	.n_video = SL_ARRAY_LEN(video), .audio_ext = audio_ext,                                    \
	.n_audio_ext = SL_ARRAY_LEN(audio_ext), .video_ext = video_ext,                            \
	.n_video_ext = SL_ARRAY_LEN(video_ext)

const struct jsep_caps rtc_caps = {CAPS, .data = true, .max_message = RTC_MAX_MESSAGE};
const struct jsep_caps rtc_caps_without_data = {CAPS};
const struct jsep_caps rtc_caps_of_calls = {.audio = audio_of_calls,
					    .n_audio = SL_ARRAY_LEN(audio_of_calls),
					    .video = video,
					    .n_video = SL_ARRAY_LEN(video),
					    .audio_ext = audio_ext,
					    .n_audio_ext = SL_ARRAY_LEN(audio_ext),
					    .video_ext = video_ext_of_calls,
					    .n_video_ext = SL_ARRAY_LEN(video_ext_of_calls)};
