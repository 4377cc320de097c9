/*
 * Payload formats: what each says of frames, layers, key frames and sizes; with the dependency
 * descriptor alone; and the descriptor written anew.
 */
#include <sluice/codec.h>
#include "lib/test.h"

static struct sl_codec_state *state;
static uint8_t packet[1500];
static struct sl_rtp rtp;

static void begin(void)
{
	sl_codec_state_free(state);
	sl_assert(sl_codec_state_new(&state) == 0);
}

/* A payload and, unless empty, a descriptor, both in hex */
static int inspect(enum sl_codec_id codec, uint32_t ts, bool marker, const char *payload, const char *dd,
		   struct sl_frame_info *ret_info)
{
	size_t n = 0, dd_len = 0, at = 12;
	uint8_t descriptor[256];

	memset(packet, 0, sizeof packet);
	sl_assert(sl_hex_decode(descriptor, sizeof descriptor, sl_str_c(dd), &dd_len) == 0);
	packet[0] = dd_len ? 0x90 : 0x80;
	packet[1] = marker ? 0x80 | 96 : 96;
	sl_put32(packet + 4, ts);
	if (dd_len) {
		struct sl_rtp_ext_writer w;
		int bytes;

		sl_rtp_ext_begin(&w, packet + 12, 400);
		sl_rtp_ext_put(&w, 5, descriptor, dd_len);
		bytes = sl_rtp_ext_end(&w);
		sl_assert(bytes > 0);
		at += (size_t)bytes;
	}
	sl_assert(sl_hex_decode(packet + at, sizeof packet - at, sl_str_c(payload), &n) == 0);
	rtp = (struct sl_rtp){0};
	sl_assert(sl_rtp_parse(&rtp, packet, at + n) == 0);
	sl_rtp_ext_index(&rtp, &(struct sl_rtp_ext_map){{[SL_RTP_EXT_DEPENDENCY_DESCRIPTOR] = 5}});
	return sl_codec_inspect(state, codec, &rtp, ret_info);
}

/* ---- VP8 */

TEST(a_vp8_key_frame_tells_its_size_and_all_its_packets_are_key)
{
	struct sl_frame_info i;

	begin();
	CHECK_INT(inspect(SL_CODEC_VP8, 1, false, "90e092340720" "10000" "09d012a80026801" "ffff", "", &i), 0);
	CHECK(i.begins && i.key && !i.ends && i.independent);
	CHECK_INT(i.width, 640);
	CHECK_INT(i.height, 360);
	CHECK_INT(i.picture_bits, 15);
	CHECK_INT(i.picture_id, 0x1234);
	CHECK_INT(i.tl0_picture, 7);
	CHECK_INT(i.head_len, 6);
	CHECK_INT(inspect(SL_CODEC_VP8, 1, true, "80e09234072011", "", &i), 0);
	CHECK(!i.begins && i.key && i.ends && i.picture_ends);
	CHECK_INT(inspect(SL_CODEC_VP8, 2, true, "90e09235072011", "", &i), 0);
	CHECK(i.begins && !i.key);
}

TEST(vp8_layers_and_switching_points_are_read)
{
	struct sl_frame_info i;

	begin();
	CHECK_INT(inspect(SL_CODEC_VP8, 1, true, "b0f0" "05" "09" "a3" "01", "", &i), 0);
	CHECK_INT(i.temporal, 2);
	CHECK(i.switch_up && i.discardable && i.has_key_index);
	CHECK_INT(i.key_index, 3);
	CHECK_INT(i.picture_bits, 7);
	CHECK_INT(i.picture_id, 5);
}

TEST(a_vp8_descriptor_that_is_cut_off_is_malformed)
{
	static const char whole[] = "90f0923407a3";
	struct sl_frame_info i;

	begin();
	for (size_t n = 2; n < sizeof whole; n += 2) {
		char part[16];

		sl_str_copy(part, n + 1, sl_str_c(whole));
		CHECK_INT(inspect(SL_CODEC_VP8, 1, true, part, "", &i), -SL_EPARSE);
	}
}

/* ---- VP9 */

TEST(a_vp9_key_picture_brings_sizes_for_its_layers)
{
	struct sl_frame_info i;

	begin();
	/* I L B E V, picture 1; no temporal layer, spatial 0; two layers with sizes */
	CHECK_INT(inspect(SL_CODEC_VP9, 1, false, "ae" "8001" "00" "00" "30" "014000b4" "02800168" "ff", "", &i), 0);
	CHECK(i.key && i.begins && i.ends && !i.picture_ends && i.independent);
	CHECK_INT(i.width, 320);
	CHECK_INT(i.head_len, 5);
	/* the layer above: spatial 1 with D */
	CHECK_INT(inspect(SL_CODEC_VP9, 1, true, "ac" "8001" "03" "00" "ff", "", &i), 0);
	CHECK(i.key && i.inter_layer && i.picture_ends);
	CHECK_INT(i.spatial, 1);
	CHECK_INT(i.width, 640);
	/* a later picture: P, temporal 1, U */
	CHECK_INT(inspect(SL_CODEC_VP9, 2, false, "ec" "8002" "30" "01" "ff", "", &i), 0);
	CHECK(!i.key && i.switch_up && !i.independent);
	CHECK_INT(i.temporal, 1);
	CHECK_INT(i.tl0_picture, 1);
}

TEST(flexible_vp9_has_references_and_no_tl0)
{
	struct sl_frame_info i;

	begin();
	CHECK_INT(inspect(SL_CODEC_VP9, 2, false, "f8" "05" "40" "0302" "ff", "", &i), 0);
	CHECK_INT(i.temporal, 2);
	CHECK(!i.has_tl0 && i.refs_told);
	CHECK_INT(i.n_refs, 2);
	CHECK(i.refs[0] == 1 && i.refs[1] == 1);
	CHECK_INT(i.picture_bits, 7);
	CHECK_INT(inspect(SL_CODEC_VP9, 2, false, "f8" "05" "40" "030505", "", &i), -SL_EPARSE);
}

/* ---- H.264, H.265 */

TEST(h264_decoding_begins_at_parameter_sets_where_there_are_any)
{
	struct sl_frame_info i;

	begin();
	CHECK_INT(inspect(SL_CODEC_H264, 1, true, "65b80000", "", &i), 0);
	CHECK(i.key && i.begins);
	/* STAP-A of SPS (640 x 360, cropped) and PPS; then the IDR slice of the same picture */
	CHECK_INT(inspect(SL_CODEC_H264, 2, false, "78" "000b" "6742c01e95a0280bfe5880" "0004" "68ce3c80", "", &i), 0);
	CHECK(i.key && i.begins);
	CHECK_INT(i.width, 640);
	CHECK_INT(i.height, 360);
	CHECK_INT(inspect(SL_CODEC_H264, 2, false, "68ce3c80", "", &i), 0);
	CHECK(i.key && !i.begins); /* not the first, whatever came of the first */
	CHECK_INT(inspect(SL_CODEC_H264, 2, true, "7c85b80000", "", &i), 0);
	CHECK(i.key && !i.begins);
	CHECK_INT(inspect(SL_CODEC_H264, 3, true, "65b80000", "", &i), 0); /* without its sets */
	CHECK(!i.key);
	CHECK_INT(inspect(SL_CODEC_H264, 4, true, "01a80000", "", &i), 0);
	CHECK(!i.key && i.begins && i.discardable);
	CHECK_INT(inspect(SL_CODEC_H264, 4, true, "7801ff00", "", &i), -SL_EPARSE);
}

TEST(h264_prefix_units_tell_the_temporal_layer)
{
	struct sl_frame_info i;

	begin();
	CHECK_INT(inspect(SL_CODEC_H264, 1, true, "78" "0004" "6e80804f" "0003" "61a800", "", &i), 0);
	CHECK_INT(i.temporal, 2);
	CHECK(i.discardable == false);
}

TEST(h265_units_tell_layer_and_switching_points)
{
	struct sl_frame_info i;

	begin();
	CHECK_INT(inspect(SL_CODEC_H265, 1, true, "2601af00", "", &i), 0); /* IDR */
	CHECK(i.key && i.begins);
	CHECK_INT(inspect(SL_CODEC_H265, 2, true, "0402a000", "", &i), 0); /* TSA_N, temporal 1 */
	CHECK(!i.key && i.switch_up && i.switch_above && i.discardable);
	CHECK_INT(i.temporal, 1);
	CHECK_INT(inspect(SL_CODEC_H265, 3, true, "6201" "93" "af00", "", &i), 0); /* fragment of an IDR */
	CHECK(i.key && i.begins);
	CHECK_INT(inspect(SL_CODEC_H265, 3, true, "0400", "", &i), -SL_EPARSE);
	CHECK_INT(inspect(SL_CODEC_H265, 4, false, "40010c01ffff", "", &i), 0); /* VPS */
	CHECK(i.key && i.begins);
	CHECK_INT(inspect(SL_CODEC_H265, 4, false, "4201010160", "", &i), 0); /* SPS, cut off */
	CHECK(i.key && !i.begins && i.width == 0);
	CHECK_INT(inspect(SL_CODEC_H265, 5, true, "2601af00", "", &i), 0); /* IDR without its sets */
	CHECK(!i.key);
}

/* ---- headers with all that may stand before the size */

static struct {
	uint8_t bytes[128];
	unsigned n; /* bits */
} made;

static void put(uint32_t v, unsigned n)
{
	for (unsigned i = n; i-- > 0; made.n++)
		if (v >> i & 1)
			made.bytes[made.n / 8] |= (uint8_t)(0x80 >> made.n % 8);
}

/* ue(v) of H.264 section 9.1, uvlc() of AV1 section 4.10.3 */
static void put_golomb(uint32_t v)
{
	unsigned bits = 0;

	while ((v + 1) >> bits > 1)
		bits++;
	put(0, bits);
	put(v + 1, bits + 1);
}

/* Of a sequence or parameter set whose bits lie in `made`, behind what begins the payload. Zeros that would look like a
 * start code get their emulation prevention byte where the codec has such. */
static int inspect_made(enum sl_codec_id codec, const char *begin, struct sl_frame_info *ret_info)
{
	char hex[600];
	size_t at = (size_t)snprintf(hex, sizeof hex, "%s", begin);
	unsigned zeros = 0;

	put(0x80, 8);
	for (unsigned i = 0; i <= made.n / 8; i++) {
		uint8_t byte = made.bytes[i];

		if (codec != SL_CODEC_AV1 && zeros >= 2 && byte <= 3) {
			at += (size_t)snprintf(hex + at, sizeof hex - at, "03");
			zeros = 0;
		}
		zeros = byte == 0 ? zeros + 1 : 0;
		at += (size_t)snprintf(hex + at, sizeof hex - at, "%02x", byte);
	}
	memset(&made, 0, sizeof made);
	return inspect(codec, 1, true, hex, "", ret_info);
}

static void put_av1_size(uint32_t width, uint32_t height)
{
	put(11, 4); /* bits of the width, less one */
	put(10, 4);
	put(width - 1, 12);
	put(height - 1, 11);
}

/* AV1 specification sections 5.5.1 to 5.5.5 */
TEST(av1_timing_and_decoder_models_are_skipped)
{
	struct sl_frame_info i;

	begin();
	put(0, 5);	   /* profile, still picture, reduced */
	put(1, 1);	   /* timing: */
	put(1, 32), put(30, 32);
	put(1, 1), put_golomb(4); /* equal intervals */
	put(1, 1);	   /* decoder model: delays of 8 bits */
	put(7, 5), put(90000, 32), put(0x155, 10);
	put(1, 1);	   /* display delays */
	put(1, 5);	   /* two operating points: */
	put(0x103, 12), put(8, 5), put(1, 1); /* a level that has a tier, */
	put(1, 1), put(0xaa, 8), put(0x55, 8), put(1, 1);
	put(1, 1), put(9, 4);
	put(0x100, 12), put(5, 5); /* and one that has none, */
	put(0, 1), put(0, 1);	   /* nor a model, nor a delay */
	put_av1_size(1920, 1080);
	CHECK_INT(inspect_made(SL_CODEC_AV1, "18" "08", &i), 0);
	CHECK_INT(i.width, 1920);
	CHECK_INT(i.height, 1080);
}

/* H.264 section 7.3.2.1.1: profile 100, a scaling list that ends early, order of type 1, fields, cropping */
TEST(an_h264_high_profile_tells_its_size_behind_scaling_lists)
{
	struct sl_frame_info i;

	begin();
	put(100, 8), put(0, 8), put(40, 8);
	put_golomb(0);
	put_golomb(1), put_golomb(0), put_golomb(0), put(0, 1);
	put(1, 1); /* scaling lists: the first by differences, which end it, all others absent */
	put(1, 1), put_golomb(1), put_golomb(16 + 2); /* +1, then -9: 8 + 1 - 9 is 0 */
	put(0, 7);
	put_golomb(0);
	put_golomb(1), put(0, 1), put_golomb(0), put_golomb(0); /* order of type 1, a cycle of two */
	put_golomb(2), put_golomb(3), put_golomb(4);
	put_golomb(4), put(0, 1);
	put_golomb(119), put_golomb(33); /* 1920 wide, 34 pairs of rows in fields */
	put(0, 1), put(0, 1), put(1, 1);
	put(1, 1), put_golomb(0), put_golomb(0), put_golomb(0), put_golomb(2); /* 8 lines off */
	CHECK_INT(inspect_made(SL_CODEC_H264, "67", &i), 0);
	CHECK(i.key);
	CHECK_INT(i.width, 1920);
	CHECK_INT(i.height, 1080);
}

/* H.265 section 7.3.3: two sub-layers below the highest, one with a profile, one with a level; and a window */
TEST(an_h265_set_tells_its_size_behind_its_sub_layers)
{
	struct sl_frame_info i;

	begin();
	put(0, 4), put(2, 3), put(1, 1);
	for (unsigned k = 0; k < 12; k++)
		put(0x11 * k, 8);
	put(2, 2), put(1, 2), put(0, 12);
	for (unsigned k = 0; k < 12; k++)
		put(0xff - k, 8);
	put_golomb(0), put_golomb(1);
	put_golomb(1920), put_golomb(1088);
	put(1, 1), put_golomb(0), put_golomb(0), put_golomb(0), put_golomb(4); /* 8 lines off */
	CHECK_INT(inspect_made(SL_CODEC_H265, "4201", &i), 0);
	CHECK_INT(i.width, 1920);
	CHECK_INT(i.height, 1080);
}

/* ---- AV1 and the descriptor */

TEST(av1_sequences_begin_with_n)
{
	struct sl_frame_info i;

	begin();
	/* N, one OBU: a sequence header, reduced, of 640 x 360 */
	CHECK_INT(inspect(SL_CODEC_AV1, 1, false, "18" "08" "19127cff59c0", "", &i), 0);
	CHECK(i.key && i.begins);
	CHECK_INT(inspect(SL_CODEC_AV1, 2, true, "10" "34" "48" "00", "", &i), 0); /* frame with extension */
	CHECK(!i.key && i.ends);
	CHECK_INT(i.temporal, 2);
	CHECK_INT(i.spatial, 1);
	CHECK_INT(inspect(SL_CODEC_AV1, 2, true, "00" "7f" "30", "", &i), -SL_EPARSE);
}

/*
 * Two temporal layers, two decode targets, no chains, one size (1280 x 720). Templates: T0 of a key
 * frame, T0 after two frames, T1 after one.
 *
 *   key frame 1: start, end, template 0, number 1; structure; offset 0, targets 2-1,
 *   layers: 00 (same) 01 (next temporal) 11 (end)
 *   targets' dtis: SS, SS, -S; references: 0; 1 0001 0; 1 0000 0; chains ns(3)=0; sizes
 */

static char *bits_to_hex(const char *bits)
{
	static char hex[200];
	uint8_t bytes[100] = {0};
	size_t n = 0;

	for (; *bits; bits++)
		if (*bits != ' ') {
			bytes[n / 8] |= (uint8_t)((*bits - '0') << (7 - n % 8));
			n++;
		}
	sl_hex_encode(hex, bytes, (n + 7) / 8);
	return hex;
}

static const char key_bits[] = "1 1 000000 0000000000000001  1 0 0 0 0  000000 00001  00 01 11"
			       " 10 10 10 10 00 10  0 1 0001 0 1 0000 0  0  1 0000010011111111 0000001011001111";

static char key_hex[200];

static void begin_with_key(void)
{
	struct sl_frame_info i;

	begin();
	strncpy(key_hex, bits_to_hex(key_bits), sizeof key_hex - 1);
	sl_assert(inspect(SL_CODEC_VP8, 1, true, "10ffff", key_hex, &i) == 0);
	sl_assert(i.dd.present && i.dd.structure && i.key && i.begins && i.ends);
	sl_assert(i.width == 1280 && i.height == 720);
	sl_assert(i.dd.n_targets == 2 && i.dd.active == 3);
	sl_assert(i.dd.targets[0] == 0 && i.dd.targets[1] == 1);
}

TEST(the_descriptor_alone_tells_layers_of_encrypted_frames)
{
	struct sl_frame_info i;

	begin_with_key();
	CHECK_INT(inspect(SL_CODEC_VP8, 2, true, "10fffe", "c20002", &i), 0); /* template 2 */
	CHECK(i.dd.present && !i.key && i.begins);
	CHECK_INT(i.temporal, 1);
	CHECK_INT(sl_dd_dti(&i.dd, 0), SL_DTI_NOT_PRESENT);
	CHECK_INT(sl_dd_dti(&i.dd, 1), SL_DTI_SWITCH);
	CHECK_INT(i.dd.n_refs, 1);
	CHECK_INT(i.dd.refs[0], 1);
	CHECK_INT(inspect(SL_CODEC_VP8, 3, true, "10fffe", "c10003", &i), 0);
	CHECK_INT(i.temporal, 0);
	CHECK_INT(i.dd.refs[0], 2);
}

TEST(without_its_structure_a_descriptor_says_nothing_and_no_payload_stands_in)
{
	struct sl_frame_info i;

	begin();
	CHECK_INT(inspect(SL_CODEC_VP8, 2, true, "10fffe", "c20002", &i), 0);
	CHECK(!i.dd.present && !i.key);
	CHECK_INT(inspect(SL_CODEC_AV1, 2, true, "18ff", "c2000200", &i), 0);
	CHECK(!i.dd.present && !i.key);
}

TEST(a_frame_may_differ_from_its_template)
{
	struct sl_frame_info i;

	begin_with_key();
	/* own dtis: R D; own references: 5 in one nibble, 300 in three */
	CHECK_INT(inspect(SL_CODEC_AV1, 2, true, "10ff",
			  bits_to_hex("1 1 000001 0000000000000101  0 1 1 1 0  01  11 01  01 0100 11 000100101011 00"), &i), 0);
	CHECK_INT(i.dd.active, 1); /* the mask's last bit is the first target's */
	CHECK_INT(sl_dd_dti(&i.dd, 0), SL_DTI_REQUIRED);
	CHECK_INT(sl_dd_dti(&i.dd, 1), SL_DTI_DISCARDABLE);
	CHECK_INT(i.dd.n_refs, 2);
	CHECK_INT(i.dd.refs[0], 5);
	CHECK_INT(i.dd.refs[1], 300);
}

TEST(every_cut_of_a_structure_is_malformed)
{
	struct sl_frame_info i;

	begin_with_key();
	for (size_t n = 8; n < strlen(key_hex) - 2; n += 2) {
		char part[200];

		begin();
		sl_str_copy(part, n + 1, sl_str_c(key_hex));
		CHECK_INT(inspect(SL_CODEC_AV1, 1, true, "18ff", part, &i), -SL_EPARSE);
	}
}

/* A rewritten descriptor, put back into a packet */
static int reread(const struct sl_rtp_out *out, struct sl_frame_info *ret_info)
{
	uint8_t dd[SL_RTP_MAX_DD];
	size_t n = sl_rtp_out_dd(out, dd);
	char hex[2 * SL_RTP_MAX_DD + 1];

	sl_hex_encode(hex, dd, n);
	return inspect(SL_CODEC_AV1, 1, true, "18ff", hex, ret_info);
}

TEST(a_mask_is_put_into_a_descriptor_and_all_else_stays)
{
	struct sl_frame_info before, after;
	struct sl_rtp_out out;

	begin_with_key();
	CHECK_INT(inspect(SL_CODEC_AV1, 1, true, "18ff", key_hex, &before), 0);
	out = (struct sl_rtp_out){.src = &rtp, .dd_rewrite = true, .dd_frame = 777, .dd_n_targets = 2,
				  .dd_mask = 1, .dd_mask_at = before.dd.mask_at};
	CHECK_INT(reread(&out, &after), 0);
	CHECK_INT(after.dd.frame_number, 777);
	CHECK_INT(after.dd.active, 1);
	CHECK(after.dd.has_mask && after.key);
	CHECK_INT(after.width, 1280);
	CHECK_MEM(after.dd.targets, before.dd.targets, 2);
	CHECK(after.dd.dtis == before.dd.dtis);
	/* over a mask that is there */
	out = (struct sl_rtp_out){.src = &rtp, .dd_rewrite = true, .dd_has_mask = true, .dd_frame = 778,
				  .dd_n_targets = 2, .dd_mask = 3, .dd_mask_at = after.dd.mask_at};
	CHECK_INT(reread(&out, &after), 0);
	CHECK_INT(after.dd.active, 3);
	CHECK_INT(after.dd.frame_number, 778);
}

TEST(a_mask_goes_before_what_a_frame_says_of_its_own)
{
	struct sl_frame_info before, after;
	struct sl_rtp_out out;

	begin_with_key();
	CHECK_INT(inspect(SL_CODEC_AV1, 2, true, "10ff",
			  bits_to_hex("1 1 000001 0000000000000101  0 0 1 1 0  11 01  01 0100 11 000100101011 00"), &before), 0);
	out = (struct sl_rtp_out){.src = &rtp, .dd_rewrite = true, .dd_frame = 9, .dd_n_targets = 2,
				  .dd_mask = 1, .dd_mask_at = before.dd.mask_at};
	CHECK_INT(reread(&out, &after), 0);
	CHECK_INT(after.dd.active, 1);
	CHECK(after.dd.dtis == before.dd.dtis);
	CHECK_INT(after.dd.n_refs, 2);
	CHECK_INT(after.dd.refs[1], 300);
	/* and behind the three bytes of the shortest */
	CHECK_INT(inspect(SL_CODEC_AV1, 2, true, "10ff", "c10006", &before), 0);
	out.dd_mask_at = before.dd.mask_at;
	CHECK_INT(reread(&out, &after), 0);
	CHECK_INT(after.dd.active, 1);
	CHECK_INT(after.dd.frame_number, 9);
	CHECK_INT(after.dd.refs[0], 2);
}

TEST(padding_and_audio_say_nothing)
{
	struct sl_frame_info i;

	begin();
	CHECK_INT(inspect(SL_CODEC_VP8, 1, true, "", "", &i), 0);
	CHECK(!i.begins && !i.unknown);
	CHECK_INT(inspect(SL_CODEC_OPUS, 1, true, "ff", "", &i), 0);
	CHECK(i.unknown);
}

TEST_MAIN()
