/*
 * Header extensions of RTP: both forms read, the walk that ends where elements lie, and the writer
 * that widens itself.
 */
#include <sluice/rtp.h>
#include "lib/test.h"

enum { HEADER = 12 };

static uint8_t packet[512];

/* A packet with this block of elements */
static struct sl_rtp with_block(uint16_t profile, const void *elements, size_t words)
{
	struct sl_rtp r = {0};

	memset(packet, 0, sizeof packet);
	packet[0] = 0x90;
	sl_put16(packet + 12, profile);
	sl_put16(packet + 14, (uint16_t)words);
	memcpy(packet + 16, elements, 4 * words);
	sl_assert(sl_rtp_parse(&r, packet, 16 + 4 * words) == 0);
	return r;
}

/* A packet whose block was written by w */
static struct sl_rtp written(struct sl_rtp_ext_writer *w)
{
	struct sl_rtp r = {0};
	int bytes = sl_rtp_ext_end(w);

	sl_assert(bytes >= 0);
	packet[0] = bytes > 0 ? 0x90 : 0x80;
	sl_assert(sl_rtp_parse(&r, packet, HEADER + (size_t)bytes) == 0);
	return r;
}

static void begin(struct sl_rtp_ext_writer *w)
{
	memset(packet, 0xee, sizeof packet);
	memset(packet, 0, HEADER);
	sl_rtp_ext_begin(w, packet + HEADER, sizeof packet - HEADER);
}

TEST(one_byte_elements_are_found_past_padding)
{
	static const uint8_t e[] = {0x31, 'h', 'i', 0, 0, 0x10, 'x', 0};
	struct sl_rtp r = with_block(0xbede, e, 2);

	CHECK_STR(sl_rtp_ext_find(&r, 3), "hi");
	CHECK_STR(sl_rtp_ext_find(&r, 1), "x");
	CHECK(!sl_rtp_ext_find(&r, 2).p);
	CHECK(!sl_rtp_ext_find(&r, 0).p);
}

TEST(two_byte_elements_may_be_empty_or_long)
{
	static const uint8_t e[28] = {200, 0, 0, 0, 7, 20, 'a', 'b'};
	struct sl_rtp r = with_block(0x1005, e, 7);

	CHECK(r.ext_two_byte);
	CHECK(sl_rtp_ext_find(&r, 200).p && sl_rtp_ext_find(&r, 200).len == 0);
	CHECK_INT(sl_rtp_ext_find(&r, 7).len, 20);
}

TEST(id_15_ends_a_one_byte_block)
{
	static const uint8_t e[] = {0xf0, 'x', 0x10, 'y'};
	struct sl_rtp r = with_block(0xbede, e, 1);

	CHECK(!sl_rtp_ext_find(&r, 1).p);
	CHECK(!sl_rtp_ext_find(&r, 15).p);
}

TEST(an_element_that_runs_out_of_its_block_is_not_there)
{
	static const uint8_t e[] = {0x10, 'x', 0x2f, 'y'};
	static const uint8_t e2[] = {1, 1, 'x', 9};
	struct sl_rtp r = with_block(0xbede, e, 1);

	CHECK_STR(sl_rtp_ext_find(&r, 1), "x");
	CHECK(!sl_rtp_ext_find(&r, 2).p);
	r = with_block(0x1000, e2, 1);
	CHECK_STR(sl_rtp_ext_find(&r, 1), "x");
	CHECK(!sl_rtp_ext_find(&r, 9).p);
}

TEST(one_walk_indexes_what_the_map_names)
{
	static const uint8_t e[] = {0x31, 'h', 'i', 0x40, 'u', 0x10, 0x80, 0x10};
	struct sl_rtp_ext_map map = {{[SL_RTP_EXT_MID] = 3, [SL_RTP_EXT_AUDIO_LEVEL] = 1}};
	struct sl_rtp r = with_block(0xbede, e, 2);

	sl_rtp_ext_index(&r, &map);
	CHECK_STR(sl_rtp_ext_value(&r, SL_RTP_EXT_MID), "hi");
	CHECK_STR(sl_rtp_ext_value(&r, SL_RTP_EXT_AUDIO_LEVEL), "\x80");
	CHECK(!sl_rtp_ext_value(&r, SL_RTP_EXT_RID).p);
	CHECK(!sl_rtp_ext_value(&r, SL_RTP_EXT_TWCC).p);
}

TEST(the_writer_begins_with_the_small_form)
{
	struct sl_rtp_ext_writer w;
	struct sl_rtp r;

	begin(&w);
	sl_rtp_ext_put(&w, 4, "0123456789abcdef", 16);
	sl_rtp_ext_put(&w, 0, "not negotiated", 14);
	sl_rtp_ext_put(&w, 14, "z", 1);
	r = written(&w);
	CHECK(!r.ext_two_byte);
	CHECK_INT(r.ext_len, 20);
	CHECK_STR(sl_rtp_ext_find(&r, 4), "0123456789abcdef");
	CHECK_STR(sl_rtp_ext_find(&r, 14), "z");
}

static void check_widened(unsigned id, size_t len)
{
	static const uint8_t value[64] = "wide";
	struct sl_rtp_ext_writer w;
	struct sl_rtp r;

	begin(&w);
	sl_rtp_ext_put(&w, 1, "one", 3);
	sl_rtp_ext_put(&w, 2, "0123456789abcdef", 16);
	sl_rtp_ext_put(&w, id, value, len);
	sl_rtp_ext_put(&w, 3, "three", 5);
	r = written(&w);
	CHECK(r.ext_two_byte);
	CHECK_STR(sl_rtp_ext_find(&r, 1), "one");
	CHECK_STR(sl_rtp_ext_find(&r, 2), "0123456789abcdef");
	CHECK_STR(sl_rtp_ext_find(&r, 3), "three");
	CHECK_INT(sl_rtp_ext_find(&r, id).len, len);
}

TEST(a_high_id_a_long_value_or_an_empty_one_widens_what_is_written)
{
	check_widened(15, 4);
	check_widened(5, 17);
	check_widened(5, 0);
}

TEST(nothing_put_is_no_block)
{
	struct sl_rtp_ext_writer w;

	begin(&w);
	CHECK_INT(sl_rtp_ext_end(&w), 0);
	CHECK_INT(packet[HEADER], 0xee);
}

TEST(a_writer_never_passes_its_end)
{
	struct sl_rtp_ext_writer w;

	for (size_t cap = 0; cap < 48; cap++) {
		memset(packet, 0xee, sizeof packet);
		sl_rtp_ext_begin(&w, packet, cap);
		sl_rtp_ext_put(&w, 1, "0123456789", 10);
		sl_rtp_ext_put(&w, 2, "0123456789", 10);
		sl_rtp_ext_put(&w, 99, "01234", 5);
		if (cap < 4 + 12 + 12 + 7 + 1)
			CHECK_INT(sl_rtp_ext_end(&w), -SL_EFULL);
		else
			CHECK_INT(sl_rtp_ext_end(&w), 36);
		for (size_t i = cap; i < 64; i++)
			CHECK_INT(packet[i], 0xee);
	}
}

TEST(extensions_are_known_by_uri)
{
	for (unsigned i = 0; i < SL_N_RTP_EXT; i++)
		CHECK_INT(sl_rtp_ext_by_uri(sl_str_c(sl_rtp_ext_uri(i))), i);
	CHECK_INT(sl_rtp_ext_by_uri(SL_STR("urn:example:none")), SL_N_RTP_EXT);
}

TEST_MAIN()
