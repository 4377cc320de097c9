/*
 * Frames out of packets: fragments, aggregates, layers, redundancy; and what is left out when
 * something is missing.
 */
#include "lib/test.h"
#include "modules/recorder/codec_name.h"
#include "modules/recorder/depacket.h"
#include "modules/recorder/keyask.h"

static struct depacket d;
static char seen[4096]; /* frames as hex: "K:0102 d:03", K a key frame */
static unsigned n_seen;
static struct frame last;

static void on_frame(void *arg, const struct frame *f)
{
	size_t n = strlen(seen);

	(void)arg;
	n += (size_t)snprintf(seen + n, sizeof seen - n, "%s%c:", n ? " " : "", f->key ? 'K' : 'd');
	if (n + 2 * f->data.len < sizeof seen)
		sl_hex_encode(seen + n, f->data.p, f->data.len);
	last = *f;
	n_seen++;
}

static void begin(void)
{
	depacket_free(&d);
	sl_assert(depacket_init(&d, on_frame, NULL) == 0);
	seen[0] = '\0';
	n_seen = 0;
}

static void put_lost(enum sl_codec_id codec, uint32_t ts, bool marker, const char *hex,
		     uint64_t lost)
{
	uint8_t packet[1500] = {0x80, marker ? 0xe0 : 0x60};
	struct sl_rtp rtp;
	size_t n;

	sl_put32(packet + 4, ts);
	sl_assert(sl_hex_decode(packet + 12, sizeof packet - 12, sl_str_c(hex), &n) == 0);
	sl_assert(sl_rtp_parse(&rtp, packet, 12 + n) == 0);
	depacket_put(&d, codec, &rtp, ts, lost);
}
static void put(enum sl_codec_id codec, uint32_t ts, bool marker, const char *hex)
{
	put_lost(codec, ts, marker, hex, 0);
}
#define SEEN(want)                                                                                 \
	do {                                                                                       \
		if (strcmp(seen, want) != 0)                                                       \
			TEST_FAIL("seen \"%s\", not \"%s\"", seen, want);                          \
	} while (0)

#define VP8_KEY                                                                                    \
	"10"                                                                                       \
	"0000009d012a80026801"

TEST(vp8_frames_lose_their_descriptors)
{
	begin();
	put(SL_CODEC_VP8, 1, false, VP8_KEY "aa");
	put(SL_CODEC_VP8, 1, true,
	    "00"
	    "bb");
	put(SL_CODEC_VP8, 2, true,
	    "90800501"
	    "cc");
	SEEN("K:0000009d012a80026801aabb d:01cc");
	CHECK_INT(d.n_broken, 0);
}

TEST(nothing_comes_before_a_key_frame)
{
	begin();
	put(SL_CODEC_VP8, 1, true,
	    "10"
	    "01");
	put(SL_CODEC_VP8, 2, true,
	    "10"
	    "01");
	SEEN("");
	CHECK(d.wants_key);
	put(SL_CODEC_VP8, 3, true, VP8_KEY);
	CHECK_INT(last.width, 640);
	CHECK_INT(last.height, 360);
	CHECK(!d.wants_key);
}

TEST(a_frame_with_a_hole_is_none_and_video_waits_for_a_key_frame)
{
	begin();
	put(SL_CODEC_VP8, 1, true, VP8_KEY);
	put(SL_CODEC_VP8, 2, false,
	    "10"
	    "01aa");
	put_lost(SL_CODEC_VP8, 2, true,
		 "00"
		 "bb",
		 1);
	put(SL_CODEC_VP8, 3, true,
	    "10"
	    "01cc");
	CHECK_INT(n_seen, 1);
	CHECK(d.wants_key);
	put(SL_CODEC_VP8, 4, true, VP8_KEY);
	put(SL_CODEC_VP8, 5, true,
	    "10"
	    "01dd");
	CHECK_INT(n_seen, 3);
}

TEST(a_frame_without_a_marker_ends_where_the_next_begins)
{
	begin();
	put(SL_CODEC_VP8, 1, false, VP8_KEY);
	put(SL_CODEC_VP8, 2, false,
	    "10"
	    "01aa");
	CHECK_INT(n_seen, 1);
	depacket_end(&d);
	CHECK_INT(n_seen, 2);
}

TEST(vp9_layers_of_a_picture_become_a_superframe)
{
	begin();
	/* I L F B E; layers 0 and 1 of one key picture, flexible */
	put(SL_CODEC_VP9, 1, false,
	    "bc"
	    "01"
	    "00"
	    "82aa");
	put(SL_CODEC_VP9, 1, true,
	    "bc"
	    "01"
	    "03"
	    "86bbcc");
	SEEN("K:82aa86bbccd90200000003000000d9");
	put(SL_CODEC_VP9, 2, true,
	    "8c"
	    "02"
	    "86dd");
	CHECK(strlen(seen) > 0 && n_seen == 2 && last.data.len == 2);
}

TEST(vp9_descriptors_are_skipped_whole)
{
	begin();
	/* I P F B E V: references, and a structure with sizes and a group of pictures */
	put(SL_CODEC_VP9, 1, true,
	    "8e"
	    "01"
	    "18"
	    "02800168"
	    "01"
	    "04"
	    "02"
	    "86aa");
	SEEN("K:86aa");
	put(SL_CODEC_VP9, 2, true,
	    "dc"
	    "02"
	    "03"
	    "04"
	    "86bb");
	SEEN("K:86aa d:86bb");
}

TEST(h264_is_put_together_with_start_codes)
{
	begin();
	put(SL_CODEC_H264, 1, false,
	    "18"
	    "0004"
	    "6742c01e"
	    "0002"
	    "68ce");
	put(SL_CODEC_H264, 1, false,
	    "7c85"
	    "88aa");
	put(SL_CODEC_H264, 1, false,
	    "7c05"
	    "bb");
	put(SL_CODEC_H264, 1, true,
	    "7c45"
	    "cc");
	put(SL_CODEC_H264, 2, true, "419a00");
	SEEN("K:000000016742c01e0000000168ce000000016588aabbcc d:00000001419a00");
}

TEST(h264_parameter_sets_with_a_marker_of_their_own_belong_to_the_picture_behind_them)
{
	begin();
	put(SL_CODEC_H264, 1, true, "6742c00bda");
	put(SL_CODEC_H264, 1, true, "68ce3c80");
	SEEN("");
	put(SL_CODEC_H264, 2, true, "658880");
	SEEN("K:000000016742c00bda0000000168ce3c8000000001658880");
	CHECK_INT(d.n_broken, 0);
	put(SL_CODEC_H264, 3, true, "419a00");
	CHECK_INT(n_seen, 2);
	CHECK(!last.key);
	/* Behind a loss nobody knows which picture they were for. */
	put(SL_CODEC_H264, 4, true, "6742c00bda");
	put_lost(SL_CODEC_H264, 5, true, "419a00", 1);
	CHECK_INT(n_seen, 2);
}

TEST(parameter_sets_tell_the_size_also_outside_the_stream)
{
	/* x264: 160x120, Constrained Baseline; its sets as a description has them */
	struct sl_buf b;
	uint16_t width = 0, height = 0;

	sl_buf_init(&b, 0);
	sdp_parameters(SL_CODEC_H264,
		       SL_STR("sprop-parameter-sets=Z0LACtkChH5cBEAAAAMAQAAABQPEiZI=,aMuDyyA="), &b);
	CHECK(sets_size(SL_CODEC_H264, sl_buf_view(&b), &width, &height));
	CHECK_INT(width, 160);
	CHECK_INT(height, 120);
	CHECK(!sets_size(SL_CODEC_H264, SL_STR("nonsense"), &width, &height));
	CHECK(!sets_size(SL_CODEC_VP8, sl_buf_view(&b), &width, &height));
	sl_buf_free(&b);
}

TEST(who_does_not_answer_is_asked_ever_more_rarely)
{
	struct keyask k = {0};
	unsigned n = 0;
	uint64_t last_ms = 0, longest = 0;

	for (uint64_t now = 1000; now < 121000; now += 20)
		if (keyask_due(&k, now)) {
			longest = n && now - last_ms > longest ? now - last_ms : longest;
			last_ms = now;
			n++;
		}
	CHECK_INT(longest, KEYASK_MOST_MS);
	CHECK(n > 15 && n < 22);
}

TEST(h264_fragments_without_beginning_are_no_frame)
{
	begin();
	put(SL_CODEC_H264, 1, true,
	    "7c45"
	    "cc");
	SEEN("");
	CHECK_INT(d.n_broken, 1);
	begin();
	put(SL_CODEC_H264, 1, false, "67420000");
	put(SL_CODEC_H264, 1, true,
	    "7c85"
	    "88aa"); /* never ends */
	SEEN("");
}

TEST(h265_is_put_together)
{
	begin();
	put(SL_CODEC_H265, 1, false,
	    "6001"
	    "0004"
	    "40010c01"
	    "0004"
	    "42010101"
	    "0004"
	    "4401c172");
	put(SL_CODEC_H265, 1, false,
	    "6201"
	    "93"
	    "aabb");
	put(SL_CODEC_H265, 1, true,
	    "6201"
	    "53"
	    "cc");
	SEEN("K:0000000140010c010000000142010101000000014401c172000000012601aabbcc");
}

TEST(av1_obus_get_sizes_and_delimiters_go)
{
	begin();
	/* N, W=2: a delimiter, then a sequence header; Y: a frame begins in W=1 */
	put(SL_CODEC_AV1, 1, false,
	    "28"
	    "01"
	    "10"
	    "08aabbcc");
	put(SL_CODEC_AV1, 1, false,
	    "50"
	    "30dd");
	put(SL_CODEC_AV1, 1, true,
	    "90"
	    "eeff");
	SEEN("K:0a03aabbcc3203ddeeff");
	put(SL_CODEC_AV1, 2, true,
	    "90"
	    "ee"); /* goes on with nothing */
	CHECK_INT(n_seen, 1);
}

TEST(linear_samples_are_turned_round)
{
	begin();
	put(SL_CODEC_L16, 960, false, "0102fffe");
	SEEN("K:0201feff");
	put(SL_CODEC_L16, 962, false, "030405"); /* half a sample is none */
	SEEN("K:0201feff K:0403");
}

TEST(redundancy_gives_back_what_was_lost)
{
	begin();
	put(SL_CODEC_OPUS, 960, false, "78aa");
	put_lost(SL_CODEC_RED, 2880, false,
		 "ef"
		 "1e0002" /* 1920 before */ "ef"
		 "0f0002"
		 "6f"
		 "78aa"
		 "78bb"
		 "78cc",
		 1);
	SEEN("K:78aa K:78bb K:78cc");
	put(SL_CODEC_RED, 3840, false,
	    "ef"
	    "0f0002"
	    "6f"
	    "78cc"
	    "78dd");
	SEEN("K:78aa K:78bb K:78cc K:78dd");
	put(SL_CODEC_RED, 4800, false,
	    "ef"
	    "0f0042"
	    "6f"
	    "78");
	CHECK_INT(d.n_malformed, 1);
}

TEST(telephone_events_and_comfort_noise_are_no_sound)
{
	begin();
	put(SL_CODEC_DTMF, 160, true, "010a00a0");
	put(SL_CODEC_CN, 320, false, "40");
	put(SL_CODEC_PCMU, 480, false, "ffff");
	SEEN("K:ffff");
}

TEST(another_codec_begins_with_a_key_frame)
{
	begin();
	put(SL_CODEC_VP8, 1, true, VP8_KEY);
	put(SL_CODEC_H264, 2, true, "419a00");
	CHECK_INT(n_seen, 1);
	put(SL_CODEC_H264, 3, true, "6588aa");
	CHECK_INT(n_seen, 2);
	CHECK_INT(last.codec, SL_CODEC_H264);
}

TEST(parameters_are_found_in_key_frames_and_descriptions)
{
	const struct frame h264 = {
		.codec = SL_CODEC_H264,
		.data = SL_STR_INIT("\0\0\0\1\x67\x42\xc0\0\0\0\1\x68\xce\0\0\0\1\x65\x88")};
	const struct frame av1 = {.codec = SL_CODEC_AV1, .data = SL_STR_INIT("\x0a\x02zz\x32\1x")};
	struct sl_buf b;

	sl_buf_init(&b, 0);
	CHECK(frame_parameters(&h264, &b));
	CHECK_INT(b.len, 13);
	CHECK(memcmp(b.p, h264.data.p, 13) == 0);
	sl_buf_reset(&b);
	CHECK(frame_parameters(&av1, &b));
	CHECK(b.len == 4 && memcmp(b.p, "\x0a\x02zz", 4) == 0);
	sl_buf_reset(&b);
	sdp_parameters(SL_CODEC_H264, SL_STR("packetization-mode=1;sprop-parameter-sets=Z0LA,aM4="),
		       &b);
	CHECK(b.len == 13 && memcmp(b.p, "\0\0\0\1gB\xc0\0\0\0\1h\xce", 13) == 0);
	sl_buf_free(&b);
}

TEST(a_vp9_key_frame_says_its_size)
{
	uint8_t head[16] = {0x82, 0x49, 0x83, 0x42, 0x20, 0x27, 0xf0, 0x16, 0x70};
	uint16_t w = 0, h = 0;

	CHECK(vp9_frame_size((struct sl_str){(char *)head, sizeof head}, &w, &h));
	CHECK_INT(w, 640);
	CHECK_INT(h, 360);
	head[0] = 0x86; /* no key frame */
	CHECK(!vp9_frame_size((struct sl_str){(char *)head, sizeof head}, &w, &h));
	CHECK(!vp9_frame_size((struct sl_str){(char *)head, 3}, &w, &h));
}

TEST(opus_packets_say_how_long_they_are)
{
	CHECK_INT(opus_samples(SL_STR("\x78x")), 960);
	CHECK_INT(opus_samples(SL_STR("\x79xx")), 1920);
	CHECK_INT(opus_samples(SL_STR("\x7b\x03xxx")), 2880);
	CHECK_INT(opus_samples(SL_STR("\x08")), 960);
	CHECK_INT(opus_samples(SL_STR("\xe0")), 120);
	CHECK_INT(opus_samples(SL_STR("")), 0);
}

/* A head as far as names look at it */
static struct sl_str name_of(enum sl_codec_id codec, const char *hex)
{
	static char text[64];
	uint8_t head[128];
	size_t n = 0;
	struct sl_buf b;

	(void)!sl_hex_decode(head, sizeof head, sl_str_c(hex), &n); /* else the name is wrong */
	sl_buf_init(&b, 0);
	codec_name(codec, (struct sl_str){(const char *)head, n}, &b);
	(void)sl_str_copy(text, sizeof text, sl_buf_view(&b));
	sl_buf_free(&b);
	return sl_str_c(text);
}

TEST(players_are_told_what_the_head_says)
{
	CHECK_STR(name_of(SL_CODEC_H264, "0000000c61766343"
					 "0164001f"),
		  "avc1.64001f");
	CHECK_STR(name_of(SL_CODEC_H265, "0000001668766343"
					 "01"
					 "0160000000b000000000005d00"),
		  "hvc1.1.6.L93.B0");
	CHECK_STR(name_of(SL_CODEC_H265, "0000001568766343"
					 "01"
					 "6240000000"
					 "000000000000"
					 "99"),
		  "hvc1.A2.2.H153");
	CHECK_STR(name_of(SL_CODEC_VP9, "0000000f76706343"
					"01000000"
					"021fa2"),
		  "vp09.02.31.10");
	CHECK_STR(name_of(SL_CODEC_AV1, "0000000c61763143"
					"810dc000"),
		  "av01.0.13H.10");
	CHECK_STR(name_of(SL_CODEC_OPUS, ""), "Opus");
	/* Cut off, or another stream's: what is usual */
	CHECK_STR(name_of(SL_CODEC_H264, "0000000c617663430164"), "avc1.42e01f");
	CHECK_STR(name_of(SL_CODEC_AV1, "61763143810d4c00"), "av01.0.05M.08");
}

TEST(parameter_sets_are_left_out_where_the_head_has_them)
{
	static const char frame[] = "\0\0\0\1\x67\x42\0\0\0\1\x68\xce\0\0\0\1\x65\xaa\xbb";
	struct sl_buf b;

	sl_buf_init(&b, 0);
	without_sets(SL_CODEC_H264, (struct sl_str){frame, sizeof frame - 1}, &b);
	CHECK(b.len == 7 && memcmp(b.p, "\0\0\0\1\x65\xaa\xbb", 7) == 0);
	sl_buf_free(&b);
}

TEST_MAIN()
