/*
 * RTCP: what the writer says the readers read; compounds that lie are refused or read no further
 * than they reach.
 */
#include <sluice/rtcp.h>
#include "lib/test.h"

static uint8_t buffer[2048];
static struct sl_rtcp_writer w;

static void begin(void)
{
	memset(buffer, 0, sizeof buffer);
	sl_rtcp_begin(&w, buffer, sizeof buffer);
}

/* The i-th packet of what was written */
static struct sl_rtcp_block block(unsigned i)
{
	struct sl_rtcp_block b = {0};
	int len = sl_rtcp_end(&w);

	sl_assert(len > 0 && sl_rtcp_check(buffer, (size_t)len) == 0);
	for (i++; i > 0; i--)
		sl_assert(sl_rtcp_next(buffer, (size_t)len, &b));
	return b;
}

TEST(a_sender_report_with_reports_comes_back_whole)
{
	const struct sl_rtcp_sr sr = {1, UINT64_C(0x0123456789abcdef), 3, 4, 5};
	const struct sl_rtcp_report reports[2] = {{7, 128, 100, 0x10042, 9, 10, 11}, {8, 0, -3, 1, 0, 0, 0}};
	struct sl_rtcp_report r;
	struct sl_rtcp_block b;
	struct sl_rtcp_sr got;

	begin();
	sl_rtcp_put_report(&w, 1, &sr, reports, 2);
	b = block(0);
	CHECK_INT(b.type, SL_RTCP_SR);
	CHECK_INT(sl_rtcp_read_sr(&b, &got), 0);
	CHECK_MEM(&got, &sr, sizeof got);
	CHECK_INT(sl_rtcp_read_report(&b, 0, &r), 0);
	CHECK_MEM(&r, &reports[0], sizeof r);
	CHECK_INT(sl_rtcp_read_report(&b, 1, &r), 0);
	CHECK_INT(r.lost, -3);
	CHECK_INT(sl_rtcp_read_report(&b, 2, &r), -SL_ENOENT);
}

TEST(a_receiver_report_may_be_empty)
{
	struct sl_rtcp_report r;
	struct sl_rtcp_block b;

	begin();
	sl_rtcp_put_report(&w, 9, NULL, NULL, 0);
	b = block(0);
	CHECK_INT(b.type, SL_RTCP_RR);
	CHECK_INT(b.len, 8);
	CHECK_INT(sl_rtcp_read_report(&b, 0, &r), -SL_ENOENT);
}

TEST(cumulative_loss_saturates)
{
	const struct sl_rtcp_report reports[2] = {{.lost = 0x1000000}, {.lost = -0x1000000}};
	struct sl_rtcp_report r;
	struct sl_rtcp_block b;

	begin();
	sl_rtcp_put_report(&w, 1, NULL, reports, 2);
	b = block(0);
	CHECK_INT(sl_rtcp_read_report(&b, 0, &r), 0);
	CHECK_INT(r.lost, 0x7fffff);
	CHECK_INT(sl_rtcp_read_report(&b, 1, &r), 0);
	CHECK_INT(r.lost, -0x800000);
}

TEST(a_compound_is_walked_packet_by_packet)
{
	const struct sl_rtcp_sr sr = {.ssrc = 1};
	const uint32_t left[2] = {1, 2};
	uint32_t ssrc;
	struct sl_rtcp_block b;

	begin();
	sl_rtcp_put_report(&w, 1, &sr, NULL, 0);
	sl_rtcp_put_cname(&w, 1, SL_STR("x"));
	sl_rtcp_put_bye(&w, left, 2);
	CHECK_INT(block(0).type, SL_RTCP_SR);
	CHECK_INT(block(1).type, SL_RTCP_SDES);
	b = block(2);
	CHECK_INT(sl_rtcp_read_bye(&b, 1, &ssrc), 0);
	CHECK_INT(ssrc, 2);
	CHECK_INT(sl_rtcp_read_bye(&b, 2, &ssrc), -SL_ENOENT);
	CHECK(!sl_rtcp_next(buffer, w.len, &b));
}

TEST(a_cname_ends_with_a_zero_and_fills_words)
{
	for (size_t len = 0; len < 9; len++) {
		struct sl_rtcp_block b;

		begin();
		sl_rtcp_put_cname(&w, 5, (struct sl_str){"abcdefgh", len});
		b = block(0);
		CHECK_INT(b.len % 4, 0);
		CHECK_INT(b.data[9], len);
		CHECK_INT(b.data[10 + len], 0);
		CHECK(b.len - (10 + len) >= 1 && b.len - (10 + len) <= 4);
	}
}

TEST(nacks_are_folded_and_unfolded)
{
	static const uint16_t seqs[] = {65530, 65535, 0, 10, 11, 11, 27, 28, 500};
	static const uint16_t want[] = {65530, 65535, 0, 10, 11, 27, 28, 500};
	uint32_t sender, media;
	struct sl_rtcp_block b;
	uint16_t got[32];

	begin();
	sl_rtcp_put_nack(&w, 1, 2, seqs, SL_ARRAY_LEN(seqs));
	b = block(0);
	CHECK_INT(b.len, 12 + 4 * 4);
	CHECK_INT(sl_rtcp_read_feedback(&b, &sender, &media), 0);
	CHECK_INT(sender, 1);
	CHECK_INT(media, 2);
	CHECK_INT(sl_rtcp_read_nack(&b, got, SL_ARRAY_LEN(got)), SL_ARRAY_LEN(want));
	CHECK_MEM(got, want, sizeof want);
	CHECK_INT(sl_rtcp_read_nack(&b, got, 3), 3);
}

TEST(no_numbers_are_no_nack)
{
	begin();
	sl_rtcp_put_nack(&w, 1, 2, NULL, 0);
	CHECK_INT(sl_rtcp_end(&w), 0);
}

TEST(key_frames_are_asked_for_in_both_ways)
{
	uint32_t sender, media;
	struct sl_rtcp_block b;
	uint8_t seq;

	begin();
	sl_rtcp_put_pli(&w, 1, 2);
	sl_rtcp_put_fir(&w, 1, 3, 200);
	b = block(0);
	CHECK_INT(b.count, SL_RTCP_PLI);
	CHECK_INT(sl_rtcp_read_feedback(&b, &sender, &media), 0);
	CHECK_INT(media, 2);
	CHECK_INT(sl_rtcp_read_fir(&b, 0, &media, &seq), -SL_EPARSE);
	b = block(1);
	CHECK_INT(sl_rtcp_read_fir(&b, 0, &media, &seq), 0);
	CHECK_INT(media, 3);
	CHECK_INT(seq, 200);
	CHECK_INT(sl_rtcp_read_fir(&b, 1, &media, &seq), -SL_ENOENT);
}

TEST(remb_keeps_eighteen_bits_and_never_promises_more)
{
	static const uint64_t rates[] = {0, 1, 0x3ffff, 1000001, 2500000000, UINT64_MAX};
	const uint32_t ssrcs[2] = {7, 8};

	for (size_t i = 0; i < SL_ARRAY_LEN(rates); i++) {
		struct sl_rtcp_block b;
		uint64_t bps;

		begin();
		sl_rtcp_put_remb(&w, 1, rates[i], ssrcs, 2);
		b = block(0);
		CHECK_INT(sl_rtcp_read_remb(&b, &bps), 0);
		CHECK(bps <= rates[i] && bps >= rates[i] - rates[i] / 0x20000);
	}
}

TEST(a_remb_beyond_all_rates_is_the_largest_rate)
{
	static const uint8_t p[] = {0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 'R', 'E', 'M', 'B', 0, 0xff, 0xff, 0xff};
	struct sl_rtcp_block b = {0};
	uint64_t bps;

	CHECK(sl_rtcp_next(p, sizeof p, &b));
	CHECK_INT(sl_rtcp_read_remb(&b, &bps), 0);
	CHECK(bps == UINT64_MAX);
}

TEST(a_bound_names_its_stream_and_never_promises_more)
{
	uint8_t wire[64];
	struct sl_rtcp_block b = {0};
	struct sl_rtcp_writer w;
	uint32_t ssrc;
	uint64_t bps;

	sl_rtcp_begin(&w, wire, sizeof wire);
	sl_rtcp_put_tmmb(&w, SL_RTCP_TMMBR, 1, 2, 300001, 28);
	sl_rtcp_put_tmmb(&w, SL_RTCP_TMMBN, 1, 0, 0, 0);
	CHECK_INT(sl_rtcp_end(&w), 20 + 12);
	CHECK(sl_rtcp_next(wire, w.len, &b) && b.count == SL_RTCP_TMMBR);
	CHECK_INT(sl_get32(b.data + 8), 0); /* RFC 5104 section 4.2.1.2 */
	CHECK_INT(sl_rtcp_read_tmmb(&b, 0, &ssrc, &bps), 0);
	CHECK_INT(ssrc, 2);
	CHECK(bps <= 300001 && bps > 300001 - 4); /* 17 bits of 19 */
	CHECK_INT(sl_get32(b.data + 16) & 0x1ff, 28);
	CHECK_INT(sl_rtcp_read_tmmb(&b, 1, &ssrc, &bps), -SL_ENOENT);
	CHECK(sl_rtcp_next(wire, w.len, &b) && b.count == SL_RTCP_TMMBN);
	CHECK_INT(sl_rtcp_read_tmmb(&b, 0, &ssrc, &bps), -SL_ENOENT);
	sl_put32(wire + 16, 0xffffffff);
	b = (struct sl_rtcp_block){0};
	CHECK(sl_rtcp_next(wire, w.len, &b));
	CHECK_INT(sl_rtcp_read_tmmb(&b, 0, &ssrc, &bps), 0);
	CHECK(bps == UINT64_MAX);
	b.count = SL_RTCP_NACK;
	CHECK_INT(sl_rtcp_read_tmmb(&b, 0, &ssrc, &bps), -SL_EPARSE);
}

TEST(a_remb_that_lies_about_its_streams_is_refused)
{
	static const uint8_t p[] = {0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 'R', 'E', 'M', 'B', 1, 0, 0, 9};
	struct sl_rtcp_block b = {0};
	uint64_t bps;

	CHECK(sl_rtcp_next(p, sizeof p, &b));
	CHECK_INT(sl_rtcp_read_remb(&b, &bps), -SL_EPARSE);
	begin();
	sl_rtcp_put_pli(&w, 1, 2);
	b = block(0);
	CHECK_INT(sl_rtcp_read_remb(&b, &bps), -SL_ENOENT);
}

TEST(extended_reports_ask_and_answer)
{
	const struct sl_rtcp_dlrr items[2] = {{7, 8, 9}, {10, 11, 12}};
	uint32_t ssrc, lrr, dlrr;
	struct sl_rtcp_block b;
	uint64_t ntp;

	begin();
	sl_rtcp_put_xr_rrtr(&w, 3, UINT64_C(0xaabbccdd00112233));
	sl_rtcp_put_xr_dlrr(&w, 4, items, 2);
	b = block(0);
	CHECK_INT(sl_rtcp_read_xr_rrtr(&b, &ssrc, &ntp), 0);
	CHECK_INT(ssrc, 3);
	CHECK(ntp == UINT64_C(0xaabbccdd00112233));
	CHECK_INT(sl_rtcp_read_xr_dlrr(&b, 10, &lrr, &dlrr), -SL_ENOENT);
	b = block(1);
	CHECK_INT(sl_rtcp_read_xr_dlrr(&b, 10, &lrr, &dlrr), 0);
	CHECK_INT(lrr, 11);
	CHECK_INT(dlrr, 12);
	CHECK_INT(sl_rtcp_read_xr_dlrr(&b, 1, &lrr, &dlrr), -SL_ENOENT);
}

TEST(padding_is_left_out_of_a_block)
{
	static const uint8_t p[] = {0xa0, 201, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8};
	struct sl_rtcp_block b = {0};

	CHECK_INT(sl_rtcp_check(p, sizeof p), 0);
	CHECK(sl_rtcp_next(p, sizeof p, &b));
	CHECK_INT(b.len, 8);
	CHECK(!sl_rtcp_next(p, sizeof p, &b));
}

TEST(browsers_pad_feedback_by_two_bytes)
{
	static const uint8_t p[] = {0xaf, 205, 0, 6, 0x73, 0x81, 0xe1, 0x79, 0xf2, 0xef,
				    0x3d, 0x41, 0, 0, 0, 3, 0, 0x10, 0x6a, 0,
				    0xe5, 0, 1, 0, 0x14, 1, 0, 2};
	struct sl_rtcp_block b = {0};

	CHECK_INT(sl_rtcp_check(p, sizeof p), 0);
	CHECK(sl_rtcp_next(p, sizeof p, &b));
	CHECK_INT(b.len, sizeof p - 2);
}

TEST(compounds_that_lie_about_lengths_are_refused)
{
	uint8_t p[] = {0x80, 201, 0, 1, 0, 0, 0, 1};

	CHECK_INT(sl_rtcp_check(p, 0), -SL_EPARSE);
	for (size_t len = 1; len < sizeof p; len++)
		CHECK_INT(sl_rtcp_check(p, len), -SL_EPARSE);
	CHECK_INT(sl_rtcp_check(p, sizeof p), 0);
	p[3] = 2;
	CHECK_INT(sl_rtcp_check(p, sizeof p), -SL_EPARSE);
	p[3] = 1;
	p[0] = 0xc0;
	CHECK_INT(sl_rtcp_check(p, sizeof p), -SL_EPARSE);
	p[0] = 0xa0; /* padding: none, more than there is */
	p[7] = 0;
	CHECK_INT(sl_rtcp_check(p, sizeof p), -SL_EPARSE);
	p[7] = 8;
	CHECK_INT(sl_rtcp_check(p, sizeof p), -SL_EPARSE);
}

TEST(a_report_count_that_lies_is_told)
{
	static const uint8_t p[] = {0x9f, 201, 0, 1, 0, 0, 0, 1};
	struct sl_rtcp_report r;
	struct sl_rtcp_block b = {0};

	CHECK(sl_rtcp_next(p, sizeof p, &b));
	CHECK_INT(sl_rtcp_read_report(&b, 0, &r), -SL_EPARSE);
}

TEST(a_writer_without_room_says_so_and_keeps_its_bounds)
{
	for (size_t cap = 0; cap < 44; cap++) {
		memset(buffer, 0xee, sizeof buffer);
		sl_rtcp_begin(&w, buffer, cap);
		sl_rtcp_put_report(&w, 1, NULL, NULL, 0);
		sl_rtcp_put_cname(&w, 1, SL_STR("name"));
		sl_rtcp_put_remb(&w, 1, 1000, NULL, 0);
		CHECK_INT(sl_rtcp_end(&w), -SL_EFULL);
		for (size_t i = cap; i < 64; i++)
			CHECK_INT(buffer[i], 0xee);
	}
}

TEST(what_cannot_be_counted_is_not_written)
{
	static const struct sl_rtcp_report reports[32];

	begin();
	sl_rtcp_put_report(&w, 1, NULL, reports, 32);
	CHECK_INT(sl_rtcp_end(&w), -SL_EFULL);
}

TEST_MAIN()
