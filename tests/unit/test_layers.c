/*
 * A subscriber's stream, case by case: when it begins and waits for key frames, what takes no
 * number, whose place is filled, and how timestamps of encodings line up. The long run over random
 * targets is sim/test_layers_world.
 */
#include <sluice/layers.h>
#include "lib/test.h"

#define MS UINT64_C(1000000)

static struct sl_layers *l;
static struct sl_rtp rtp;
static struct sl_rtp_out out;
static uint8_t bytes[64];
static uint64_t now_ns;

static void begin(unsigned encoding, unsigned temporal)
{
	sl_layers_free(l);
	sl_assert(sl_layers_new(&l, 90000) == 0);
	sl_layers_set_target(l, &(struct sl_layers_target){.encoding = (uint8_t)encoding, .temporal = (uint8_t)temporal});
	now_ns = 5000 * MS;
}

struct in {
	unsigned encoding, temporal;
	uint64_t seq;
	uint32_t ts;
	uint16_t picture;
	uint8_t tl0, codec;
	bool key, sync, padding;
};

static int take(struct in in)
{
	struct sl_frame_info info = {
		.begins = true, .ends = true, .picture_ends = true, .key = in.key, .independent = in.key,
		.temporal = (uint8_t)in.temporal, .switch_up = in.sync, .picture_bits = 15, .picture_id = in.picture,
		.has_tl0 = true, .tl0_picture = in.tl0, .head_len = 6};
	struct sl_layers_packet p = {.rtp = &rtp, .info = &info, .seq = 65536 + in.seq, .encoding = (uint8_t)in.encoding,
				     .codec = in.codec ? in.codec : SL_CODEC_VP8, .now_ns = now_ns};

	memset(bytes, 0, sizeof bytes);
	bytes[0] = 0x80;
	sl_put16(bytes + 2, (uint16_t)in.seq);
	sl_put32(bytes + 4, in.ts);
	memcpy(bytes + 12, "\x90\xe0", 2);
	rtp = (struct sl_rtp){0};
	sl_assert(sl_rtp_parse(&rtp, bytes, in.padding ? 12 : 20) == 0);
	if (in.padding)
		info = (struct sl_frame_info){0};
	return sl_layers_take(l, &p, &out);
}

static uint16_t picture_out(void)
{
	return sl_get16(out.patch + 2) & 0x7fff;
}

TEST(nothing_goes_out_before_a_key_frame)
{
	unsigned encoding = 9;
	struct sl_layers_target t;

	begin(1, 2);
	CHECK_INT(take((struct in){.encoding = 1, .seq = 1}), SL_DROP);
	CHECK_INT(take((struct in){.encoding = 0, .seq = 1, .key = true}), SL_DROP);
	CHECK(sl_layers_wants_key(l, &encoding));
	CHECK_INT(encoding, 1);
	sl_layers_current(l, &t);
	CHECK(t.paused);
	CHECK_INT(take((struct in){.encoding = 1, .seq = 2, .key = true}), SL_OK);
	CHECK(!sl_layers_wants_key(l, &encoding));
	sl_layers_current(l, &t);
	CHECK(!t.paused && t.encoding == 1);
}

TEST(a_key_frame_that_was_overtaken_is_not_begun_with)
{
	unsigned encoding;

	begin(0, 0);
	CHECK_INT(take((struct in){.seq = 11}), SL_DROP);
	CHECK_INT(take((struct in){.seq = 10, .key = true}), SL_DROP);
	CHECK(sl_layers_wants_key(l, &encoding));
}

TEST(dropped_layers_take_neither_numbers_nor_picture_ids)
{
	begin(0, 0);
	CHECK_INT(take((struct in){.seq = 100, .ts = 1, .picture = 32767, .key = true}), SL_OK);
	CHECK_INT(out.seq, 100);
	CHECK_INT(picture_out(), 32767);
	CHECK_INT(take((struct in){.seq = 101, .ts = 2, .picture = 0, .temporal = 1, .sync = true}), SL_DROP);
	CHECK_INT(take((struct in){.seq = 102, .ts = 3, .padding = true}), SL_DROP);
	CHECK_INT(take((struct in){.seq = 103, .ts = 4, .picture = 1, .tl0 = 1}), SL_OK);
	CHECK_INT(out.seq, 101);
	CHECK_INT(picture_out(), 0);
	CHECK_INT(out.patch[4], 1);
}

TEST(a_temporal_layer_is_joined_at_its_switching_point_and_left_at_once)
{
	begin(0, 0);
	CHECK_INT(take((struct in){.seq = 1, .ts = 1, .picture = 1, .key = true}), SL_OK);
	sl_layers_set_target(l, &(struct sl_layers_target){.temporal = 2});
	CHECK_INT(take((struct in){.seq = 2, .ts = 2, .picture = 2, .temporal = 2, .sync = true}), SL_DROP);
	CHECK_INT(take((struct in){.seq = 3, .ts = 3, .picture = 3, .temporal = 1}), SL_DROP);
	CHECK_INT(take((struct in){.seq = 4, .ts = 4, .picture = 4, .temporal = 1, .sync = true}), SL_OK);
	CHECK_INT(take((struct in){.seq = 5, .ts = 5, .picture = 5, .temporal = 2}), SL_DROP);
	CHECK_INT(take((struct in){.seq = 6, .ts = 6, .picture = 6, .temporal = 2, .sync = true}), SL_OK);
	CHECK_INT(out.seq, 3);
	CHECK_INT(picture_out(), 3);
	sl_layers_set_target(l, &(struct sl_layers_target){.temporal = 0});
	CHECK_INT(take((struct in){.seq = 7, .ts = 7, .picture = 7, .temporal = 1}), SL_DROP);
}

TEST(a_late_packet_gets_the_number_that_was_kept)
{
	begin(0, 2);
	CHECK_INT(take((struct in){.seq = 1, .ts = 1, .picture = 1, .key = true}), SL_OK);
	CHECK_INT(take((struct in){.seq = 4, .ts = 4, .picture = 4}), SL_OK);
	CHECK_INT(out.seq, 4);
	CHECK_INT(take((struct in){.seq = 2, .ts = 2, .picture = 2}), SL_OK);
	CHECK_INT(out.seq, 2);
	CHECK_INT(picture_out(), 2);
	CHECK_INT(take((struct in){.seq = 2, .ts = 2, .picture = 2}), SL_DROP); /* again */
}

TEST(a_number_kept_in_vain_is_filled_with_padding)
{
	begin(0, 0);
	CHECK_INT(take((struct in){.seq = 1, .ts = 1, .picture = 1, .key = true}), SL_OK);
	CHECK_INT(take((struct in){.seq = 3, .ts = 3, .picture = 3}), SL_OK);
	CHECK_INT(take((struct in){.seq = 2, .ts = 2, .picture = 2, .temporal = 1}), SL_DONE);
	CHECK_INT(out.seq, 2);
	CHECK(!out.src);
}

TEST(another_encoding_goes_on_where_the_first_ended)
{
	begin(0, 2);
	CHECK_INT(take((struct in){.seq = 1, .ts = 1000, .picture = 10, .tl0 = 5, .key = true}), SL_OK);
	sl_layers_set_target(l, &(struct sl_layers_target){.encoding = 2, .temporal = 2});
	now_ns += 100 * MS;
	CHECK_INT(take((struct in){.seq = 2, .ts = 10000, .picture = 11, .tl0 = 6}), SL_OK); /* until then */
	CHECK_INT(take((struct in){.encoding = 2, .seq = 500, .ts = 777, .picture = 900, .tl0 = 200, .key = true}), SL_OK);
	CHECK_INT(out.seq, 3);
	CHECK_INT(picture_out(), 12);
	CHECK_INT(out.patch[4], 7);
	CHECK(sl_ts_after(out.ts, 10000));
	CHECK_INT(take((struct in){.seq = 3, .ts = 12000, .picture = 12}), SL_DROP);
	now_ns += 100 * MS;
	CHECK_INT(take((struct in){.encoding = 2, .seq = 501, .ts = 9777, .picture = 901, .tl0 = 201}), SL_OK);
	CHECK_INT(picture_out(), 13);
}

TEST(what_was_missing_when_an_encoding_ended_still_finds_its_place)
{
	begin(0, 2);
	CHECK_INT(take((struct in){.seq = 1, .ts = 1, .picture = 1, .key = true}), SL_OK);
	CHECK_INT(take((struct in){.seq = 3, .ts = 3000, .picture = 3}), SL_OK);
	sl_layers_set_target(l, &(struct sl_layers_target){.encoding = 1, .temporal = 2});
	CHECK_INT(take((struct in){.encoding = 1, .seq = 70, .ts = 9, .picture = 90, .key = true}), SL_OK);
	CHECK_INT(out.seq, 4);
	CHECK_INT(take((struct in){.seq = 2, .ts = 2, .picture = 2}), SL_OK);
	CHECK_INT(out.seq, 2);
}

TEST(senders_reports_line_up_the_encodings)
{
	const struct sl_rtc_clock a = {.ntp = UINT64_C(100) << 32, .ts = 50000};
	const struct sl_rtc_clock b = {.ntp = UINT64_C(101) << 32, .ts = 7000000};
	struct sl_rtc_clock moment;

	begin(0, 2);
	sl_layers_clock(l, 0, &a);
	sl_layers_clock(l, 1, &b);
	CHECK_INT(take((struct in){.seq = 1, .ts = 50000 + 45000, .key = true}), SL_OK);
	CHECK_INT(out.ts, 95000);
	sl_layers_set_target(l, &(struct sl_layers_target){.encoding = 1});
	now_ns += 700 * MS; /* it came late, but was taken 600 ms after */
	CHECK_INT(take((struct in){.encoding = 1, .seq = 1, .ts = 7000000 + 9000, .key = true}), SL_OK);
	CHECK_INT(out.ts, 50000 + 90000 + 9000);
	CHECK_INT(sl_layers_clock_out(l, 1, &b, &moment), 0);
	CHECK_INT(moment.ts, 50000 + 90000);
	CHECK_INT(sl_layers_clock_out(l, 0, &a, &moment), -SL_ENOENT);
}

TEST(a_report_that_makes_no_sense_gives_way_to_arrival)
{
	const struct sl_rtc_clock a = {.ntp = UINT64_C(100) << 32, .ts = 50000};
	const struct sl_rtc_clock b = {.ntp = UINT64_C(9999) << 32, .ts = 7000000};

	begin(0, 2);
	sl_layers_clock(l, 0, &a);
	sl_layers_clock(l, 1, &b);
	CHECK_INT(take((struct in){.seq = 1, .ts = 95000, .key = true}), SL_OK);
	sl_layers_set_target(l, &(struct sl_layers_target){.encoding = 1});
	now_ns += 500 * MS;
	CHECK_INT(take((struct in){.encoding = 1, .seq = 1, .ts = 7000000, .key = true}), SL_OK);
	CHECK_INT(out.ts, 95000 + 45000);
}

TEST(a_pause_ends_at_a_key_frame_without_a_gap)
{
	unsigned encoding;

	begin(0, 2);
	CHECK_INT(take((struct in){.seq = 1, .ts = 1, .picture = 1, .key = true}), SL_OK);
	sl_layers_set_target(l, &(struct sl_layers_target){.paused = true});
	CHECK(!sl_layers_wants_key(l, &encoding));
	CHECK_INT(take((struct in){.seq = 2, .ts = 2, .picture = 2}), SL_DROP);
	sl_layers_set_target(l, &(struct sl_layers_target){.temporal = 2});
	CHECK(sl_layers_wants_key(l, &encoding));
	CHECK_INT(take((struct in){.seq = 900, .ts = 3, .picture = 3}), SL_DROP);
	CHECK_INT(take((struct in){.seq = 901, .ts = 4, .picture = 4, .key = true}), SL_OK);
	CHECK_INT(out.seq, 2);
	CHECK_INT(picture_out(), 2);
}

TEST(a_publisher_that_jumps_or_changes_its_codec_needs_a_key_frame)
{
	unsigned encoding;

	begin(0, 2);
	CHECK_INT(take((struct in){.seq = 1, .ts = 1, .picture = 1, .key = true}), SL_OK);
	CHECK_INT(take((struct in){.seq = 200000, .ts = 2, .picture = 2}), SL_DROP);
	CHECK(sl_layers_wants_key(l, &encoding));
	CHECK_INT(take((struct in){.seq = 200001, .ts = 3, .picture = 7, .key = true}), SL_OK);
	CHECK_INT(out.seq, 2);
	CHECK_INT(take((struct in){.seq = 200002, .ts = 4, .codec = SL_CODEC_H264}), SL_DROP);
	CHECK(sl_layers_wants_key(l, &encoding));
	CHECK_INT(take((struct in){.seq = 200003, .ts = 5, .codec = SL_CODEC_H264, .key = true}), SL_OK);
	CHECK_INT(out.seq, 3);
	CHECK_INT(out.cut, 0);
}

/* Two spatial layers, of which the upper one refers to the lower at the key frame alone (L2T1_KEY). Numbers count frames. */
static int take_ksvc(uint16_t number, unsigned spatial, bool key)
{
	struct sl_frame_info info = {.begins = true, .ends = true, .key = key && spatial == 0, .spatial = (uint8_t)spatial,
				     .n_spatial = 2,
				     .dd = {.present = true, .structure = key && spatial == 0, .n_targets = 2, .active = 3,
					    .frame_number = number, .targets = {0x00, 0x10}}};
	struct sl_layers_packet p = {.rtp = &rtp, .info = &info, .seq = 65536 + number, .codec = SL_CODEC_AV1, .now_ns = now_ns};

	info.dd.dtis = spatial == 0 ? SL_DTI_SWITCH | (uint64_t)(key ? SL_DTI_SWITCH : SL_DTI_NOT_PRESENT) << 2
				    : (uint64_t)SL_DTI_SWITCH << 2;
	info.dd.n_refs = key && spatial == 0 ? 0 : 1;
	info.dd.refs[0] = key ? 1 : 2;
	memset(bytes, 0, sizeof bytes);
	bytes[0] = 0x80;
	sl_put16(bytes + 2, number);
	sl_put32(bytes + 4, 3000u * (number / 2)); /* both layers of a picture */
	rtp = (struct sl_rtp){0};
	sl_assert(sl_rtp_parse(&rtp, bytes, 20) == 0);
	return sl_layers_take(l, &p, &out);
}

/* VP9 in flexible mode, two spatial layers, one packet to a frame; back: distances of pictures, 0 for none */
static int take_referring(uint16_t picture, unsigned spatial, unsigned temporal, unsigned back)
{
	bool key = spatial == 0 && back == 0;
	struct sl_frame_info info = {.begins = true, .ends = true, .picture_ends = spatial == 1, .key = key,
				     .independent = back == 0, .inter_layer = spatial == 1, .n_spatial = 2,
				     .spatial = (uint8_t)spatial, .temporal = (uint8_t)temporal, .refs_told = true,
				     .n_refs = back > 0, .refs = {(uint8_t)back}, .picture_bits = 15, .picture_id = picture,
				     .head_len = 4};
	struct sl_layers_packet p = {.rtp = &rtp, .info = &info, .seq = 65536u + picture * 2u + spatial,
				     .codec = SL_CODEC_VP9, .now_ns = now_ns};

	memset(bytes, 0, sizeof bytes);
	bytes[0] = 0x80;
	bytes[1] = spatial == 1 ? 0x80 : 0;
	sl_put16(bytes + 2, (uint16_t)p.seq);
	sl_put32(bytes + 4, 3000u * picture);
	bytes[12] = 0xb0;
	rtp = (struct sl_rtp){0};
	sl_assert(sl_rtp_parse(&rtp, bytes, 20) == 0);
	return sl_layers_take(l, &p, &out);
}

/* Where the upper layer is made all the time, a picture has been ended before its upper frame comes. */
TEST(a_spatial_layer_that_tells_its_references_is_joined_when_it_begins_on_what_was_sent)
{
	unsigned encoding;

	begin(0, 0);
	CHECK_INT(take_referring(0, 0, 0, 0), SL_OK);
	sl_layers_set_target(l, &(struct sl_layers_target){.spatial = 1});
	CHECK_INT(take_referring(1, 0, 0, 1), SL_OK);
	CHECK_INT(take_referring(1, 1, 0, 1), SL_DROP); /* to what was not sent */
	CHECK_INT(take_referring(2, 0, 0, 1), SL_OK);
	CHECK_INT(take_referring(3, 0, 0, 1), SL_OK);
	CHECK_INT(take_referring(4, 0, 0, 1), SL_OK);
	CHECK_INT(take_referring(4, 1, 0, 0), SL_OK); /* to the layer below alone */
	CHECK_INT(take_referring(5, 0, 0, 1), SL_OK);
	CHECK_INT(take_referring(5, 1, 0, 1), SL_OK);
	CHECK(!sl_layers_wants_key(l, &encoding));
	CHECK_INT(take_referring(6, 0, 0, 1), SL_OK);
	CHECK_INT(take_referring(6, 1, 0, 5), SL_DROP); /* there is nothing to go on with */
	CHECK(sl_layers_wants_key(l, &encoding));
}

TEST(a_temporal_layer_that_tells_its_references_is_joined_and_left_by_them)
{
	unsigned encoding;

	begin(0, 0);
	CHECK_INT(take_referring(0, 0, 0, 0), SL_OK);
	CHECK_INT(take_referring(1, 0, 1, 1), SL_DROP);
	sl_layers_set_target(l, &(struct sl_layers_target){.temporal = 1});
	CHECK_INT(take_referring(2, 0, 0, 2), SL_OK);
	CHECK_INT(take_referring(3, 0, 1, 2), SL_DROP); /* to the one that was left out */
	CHECK_INT(take_referring(4, 0, 0, 2), SL_OK);
	CHECK_INT(take_referring(5, 0, 1, 1), SL_OK); /* without a mark that says so */
	CHECK_INT(take_referring(6, 0, 0, 2), SL_OK);
	CHECK_INT(take_referring(7, 0, 1, 4), SL_DROP); /* again to one that was left out */
	CHECK_INT(take_referring(8, 0, 0, 2), SL_OK);
	CHECK_INT(take_referring(9, 0, 1, 1), SL_OK);
	CHECK(!sl_layers_wants_key(l, &encoding));
}

static int take_described(unsigned encoding, uint16_t number, bool key)
{
	struct sl_frame_info info = {.begins = true, .ends = true, .key = key,
				     .dd = {.present = true, .structure = key, .n_targets = 1, .active = 1, .frame_number = number,
					    .n_refs = !key, .refs = {1}, .dtis = encoding == 0 ? SL_DTI_SWITCH : SL_DTI_NOT_PRESENT}};
	struct sl_layers_packet p = {.rtp = &rtp, .info = &info, .seq = 65536 + number, .encoding = (uint8_t)encoding,
				     .codec = SL_CODEC_AV1, .now_ns = now_ns};

	memset(bytes, 0, sizeof bytes);
	bytes[0] = 0x80;
	sl_put16(bytes + 2, number);
	sl_put32(bytes + 4, 3000u * number);
	rtp = (struct sl_rtp){0};
	sl_assert(sl_rtp_parse(&rtp, bytes, 20) == 0);
	return sl_layers_take(l, &p, &out);
}

/* Encodings count their frames alike. */
TEST(what_comes_of_another_encoding_decides_nothing)
{
	begin(0, 0);
	CHECK_INT(take_described(0, 0, true), SL_OK);
	for (uint16_t number = 1; number < 100; number++) {
		CHECK_INT(take_described(1, number, number == 1), SL_DROP);
		CHECK_INT(take_described(0, number, false), SL_OK);
		CHECK_INT(out.seq, number);
	}
}

TEST(down_to_a_layer_that_was_left_out_leads_a_key_frame)
{
	struct sl_layers_target t = {.spatial = 1};
	unsigned encoding;

	begin(0, 0);
	sl_layers_set_target(l, &t);
	CHECK_INT(take_ksvc(0, 0, true), SL_OK);
	CHECK_INT(take_ksvc(1, 1, true), SL_OK);
	CHECK_INT(take_ksvc(2, 0, false), SL_DROP); /* of no use to the upper layer */
	CHECK_INT(take_ksvc(3, 1, false), SL_OK);
	CHECK(!sl_layers_wants_key(l, &encoding));
	t.spatial = 0;
	sl_layers_set_target(l, &t);
	CHECK_INT(take_ksvc(4, 0, false), SL_DROP); /* it refers to what was not sent */
	CHECK_INT(take_ksvc(5, 1, false), SL_OK);   /* the picture goes on meanwhile */
	CHECK(sl_layers_wants_key(l, &encoding));
	CHECK_INT(take_ksvc(6, 0, true), SL_OK);
	CHECK_INT(take_ksvc(7, 1, true), SL_DROP);
	CHECK_INT(take_ksvc(8, 0, false), SL_OK);
	CHECK(!sl_layers_wants_key(l, &encoding));
}

/* As take(), of a frame that is kept */
static int still(struct in in)
{
	struct sl_layers *live = l;
	struct sl_frame_info info = {.begins = in.key, .ends = true, .picture_ends = true, .key = true, .picture_bits = 15,
				     .picture_id = in.picture, .has_tl0 = true, .tl0_picture = in.tl0, .head_len = 6};
	struct sl_layers_packet p = {.rtp = &rtp, .info = &info, .seq = 65536 + in.seq, .encoding = (uint8_t)in.encoding,
				     .codec = SL_CODEC_VP8, .now_ns = now_ns};

	l = NULL; /* only for its parsing */
	begin(0, 0);
	(void)take(in);
	sl_layers_free(l);
	l = live;
	return sl_layers_still(l, &p, &out);
}

TEST(a_kept_key_frame_stands_until_a_new_one_comes)
{
	unsigned encoding = 9;
	uint64_t start;

	begin(0, 2);
	start = now_ns;
	CHECK_INT(still((struct in){.seq = 10, .ts = 1000, .picture = 4, .key = true}), SL_OK);
	CHECK_INT(out.seq, 10);
	CHECK_INT(still((struct in){.seq = 11, .ts = 1000, .picture = 4}), SL_OK);
	CHECK_INT(out.seq, 11);
	CHECK(sl_layers_wants_key(l, &encoding));
	CHECK_INT(encoding, 0);
	/* Half a minute later in the publisher's time, a moment later in ours */
	CHECK_INT(take((struct in){.seq = 900, .ts = 1000 + 30 * 90000, .picture = 500}), SL_DROP);
	now_ns = start + 100 * MS;
	CHECK_INT(take((struct in){.seq = 901, .ts = 1000 + 30 * 90000 + 3000, .picture = 501, .key = true}), SL_OK);
	CHECK_INT(out.seq, 12);
	CHECK_INT(out.ts, 1000 + 9000);
	CHECK_INT(picture_out(), 5);
	CHECK(!sl_layers_wants_key(l, &encoding));
	CHECK_INT(still((struct in){.seq = 10, .ts = 1000, .picture = 4, .key = true}), SL_DROP); /* it flows */
	CHECK_INT(take((struct in){.seq = 902, .ts = 1000 + 30 * 90000 + 6000, .picture = 502}), SL_OK);
	CHECK_INT(out.seq, 13);
}

TEST(lost_pictures_leave_their_gap_for_the_decoder)
{
	begin(0, 2);
	CHECK_INT(take((struct in){.seq = 1, .ts = 1, .picture = 1, .key = true}), SL_OK);
	CHECK_INT(take((struct in){.seq = 5, .ts = 5, .picture = 3}), SL_OK);
	CHECK_INT(out.seq, 5);
	CHECK_INT(picture_out(), 3);
}

TEST_MAIN()
