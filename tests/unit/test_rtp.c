/*
 * RTP packets: what the parser takes and what it refuses, names of codecs, and unwrapped numbers.
 */
#include <sluice/rtp.h>
#include "lib/test.h"

/* Version 2, marker, payload type 96, number 0x1234 */
static const uint8_t plain[] = {0x80, 0xe0, 0x12, 0x34, 0, 0, 0x03, 0xe8, 0xde, 0xad, 0xbe, 0xef, 'a', 'b', 'c'};

static int parse(struct sl_rtp *r, const void *data, size_t len)
{
	memset(r, 0, sizeof *r);
	return sl_rtp_parse(r, data, len);
}

TEST(a_plain_packet_shows_its_header_and_payload)
{
	struct sl_rtp r;

	CHECK_INT(parse(&r, plain, sizeof plain), 0);
	CHECK_INT(r.ssrc, 0xdeadbeef);
	CHECK_INT(r.ts, 1000);
	CHECK_INT(r.seq, 0x1234);
	CHECK_INT(r.pt, 96);
	CHECK(r.marker);
	CHECK_INT(r.payload_len, 3);
	CHECK_MEM(sl_rtp_payload(&r), "abc", 3);
	CHECK_INT(r.ext_at, 0);
}

TEST(the_packet_that_it_is_seen_in_stays_named)
{
	struct sl_packet packet = {0};
	struct sl_rtp r = {.packet = &packet};

	CHECK_INT(sl_rtp_parse(&r, plain, sizeof plain), 0);
	CHECK(r.packet == &packet);
}

TEST(csrcs_extension_and_padding_are_left_out_of_the_payload)
{
	static const uint8_t p[] = {0xb2, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, /* P, X, 2 CSRCs */
				    0, 0, 0, 4, 0, 0, 0, 5,
				    0xbe, 0xde, 0, 1, 0x10, 0xaa, 0, 0,
				    'x', 'y', 0, 0, 3};
	struct sl_rtp r;

	CHECK_INT(parse(&r, p, sizeof p), 0);
	CHECK_INT(r.n_csrcs, 2);
	CHECK_INT(r.ext_at, 24);
	CHECK_INT(r.ext_len, 4);
	CHECK_INT(r.payload_at, 28);
	CHECK_INT(r.payload_len, 2);
	CHECK_INT(r.padding, 3);
}

TEST(a_packet_may_be_all_padding)
{
	uint8_t p[12 + 200] = {0xa0, 96};
	struct sl_rtp r;

	p[sizeof p - 1] = 200;
	CHECK_INT(parse(&r, p, sizeof p), 0);
	CHECK_INT(r.payload_len, 0);
	CHECK_INT(r.padding, 200);
}

TEST(every_shortened_packet_is_refused)
{
	static const uint8_t p[] = {0x92, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5,
				    0xbe, 0xde, 0, 1, 0x10, 0xaa, 0, 0};
	struct sl_rtp r;

	for (size_t len = 0; len < sizeof p; len++)
		CHECK_INT(parse(&r, p, len), -SL_EPARSE);
	CHECK_INT(parse(&r, p, sizeof p), 0);
}

TEST(padding_that_lies_is_refused)
{
	uint8_t p[16] = {0xa0, 96};
	struct sl_rtp r;

	CHECK_INT(parse(&r, p, sizeof p), -SL_EPARSE); /* counts 0 */
	p[15] = 5;
	CHECK_INT(parse(&r, p, sizeof p), -SL_EPARSE);
	p[15] = 4;
	CHECK_INT(parse(&r, p, sizeof p), 0);
	CHECK_INT(parse(&r, p, 12), -SL_EPARSE); /* the bit, and no byte */
}

TEST(other_versions_are_refused)
{
	uint8_t p[12] = {0x40};
	struct sl_rtp r;

	CHECK_INT(parse(&r, p, sizeof p), -SL_EPARSE);
}

TEST(extensions_of_an_unknown_profile_are_skipped)
{
	static const uint8_t p[] = {0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0xab, 0xcd, 0, 1, 1, 2, 3, 4, 'z'};
	struct sl_rtp r;

	CHECK_INT(parse(&r, p, sizeof p), 0);
	CHECK_INT(r.ext_at, 0);
	CHECK_INT(r.payload_len, 1);
}

TEST(codecs_are_known_by_name_in_any_case)
{
	CHECK_INT(sl_codec_by_name(SL_STR("OPUS")), SL_CODEC_OPUS);
	CHECK_INT(sl_codec_by_name(SL_STR("vp8")), SL_CODEC_VP8);
	CHECK_INT(sl_codec_by_name(SL_STR("theora")), SL_CODEC_NONE);
	CHECK_INT(sl_codec_by_name(SL_STR_NULL), SL_CODEC_NONE);
	for (unsigned i = 1; i < SL_N_CODECS; i++)
		CHECK_INT(sl_codec_by_name(sl_str_c(sl_codec_name(i))), i);
	CHECK_STR(sl_str_c(sl_codec_name(999)), "unknown");
	CHECK_INT(sl_codec_kind(SL_CODEC_G722), SL_MEDIA_AUDIO);
	CHECK_INT(sl_codec_kind(SL_CODEC_AV1), SL_MEDIA_VIDEO);
}

TEST(numbers_are_ordered_over_their_wrap)
{
	CHECK(sl_seq_after(1, 65535));
	CHECK(!sl_seq_after(65535, 1));
	CHECK(!sl_seq_after(7, 7));
	CHECK(sl_ts_after(5, 0xfffffff0));
	CHECK(!sl_ts_after(0xfffffff0, 5));
}

TEST(unwrapping_leaves_room_for_what_came_before_the_first)
{
	struct sl_unwrap u = {0};

	CHECK_INT(sl_unwrap16(&u, 5), 65536 + 5);
	CHECK_INT(sl_unwrap16(&u, 65530), 65530);
	CHECK_INT(sl_unwrap16(&u, 6), 65536 + 6);
}

TEST(unwrapping_goes_on_over_many_wraps_with_reordering)
{
	struct sl_unwrap u = {0};
	uint64_t base = sl_unwrap16(&u, 65000) - 65000;

	for (uint64_t i = 65001; i < 300000; i++) {
		CHECK_INT(sl_unwrap16(&u, (uint16_t)i), base + i);
		if (i % 7 == 0)
			CHECK_INT(sl_unwrap16(&u, (uint16_t)(i - 100)), base + i - 100);
	}
}

TEST(timestamps_unwrap_too)
{
	struct sl_unwrap u = {0};
	uint64_t first = sl_unwrap32(&u, 0xffffff00);

	CHECK_INT(sl_unwrap32(&u, 0x100) - first, 0x200);
	CHECK_INT(sl_unwrap32(&u, 0xffffffff) - first, 0xff);
}

TEST(what_goes_out_is_the_patch_and_the_rest_of_the_payload)
{
	uint8_t data[SL_RTP_HEADER + 4] = {0x80}, dst[8];
	struct sl_rtp rtp;
	struct sl_rtp_out out = {.src = &rtp, .cut = 1, .patch_len = 2, .patch = {0xaa, 0xbb}};

	memcpy(data + SL_RTP_HEADER, "\x01\x02\x03\x04", 4);
	CHECK_INT(sl_rtp_parse(&rtp, data, sizeof data), 0);
	CHECK_INT(sl_rtp_out_payload(&out, dst, sizeof dst), 5);
	CHECK(memcmp(dst, "\xaa\xbb\x02\x03\x04", 5) == 0);
	CHECK_INT(sl_rtp_out_payload(&out, dst, 5), 5);
	CHECK_INT(sl_rtp_out_payload(&out, dst, 4), -SL_EFULL);
	out.cut = 5; /* longer than the payload */
	CHECK_INT(sl_rtp_out_payload(&out, dst, sizeof dst), -SL_EFULL);
	out.src = NULL;
	CHECK_INT(sl_rtp_out_payload(&out, dst, sizeof dst), 0);
}

TEST_MAIN()
