/*
 * tests/unit/test_sip_hep.c: packets of HEP version 3, byte by byte, by its specification;
 * and reports of media as collectors read them.
 */
#include "lib/test.h"

#include "modules/sip-gateway/hep.h"

static struct sl_buf out;

static const uint8_t *chunk(unsigned type, size_t len)
{
	for (size_t at = 6; at + 6 <= out.len; at += sl_get16(out.p + at + 4)) {
		if (sl_get16(out.p + at) == 0 && sl_get16(out.p + at + 2) == type)
			return sl_get16(out.p + at + 4) == len + 6 ? out.p + at + 6 : NULL;
		if (sl_get16(out.p + at + 4) < 6)
			return NULL;
	}
	return NULL;
}

static struct hep_packet message(const char *from, const char *to)
{
	struct hep_packet p = {.kind = HEP_SIP,
			       .unix_ns = 1700000000123456789,
			       .agent = 7,
			       .correlation = SL_STR("id@x"),
			       .payload = SL_STR("OPTIONS sip:x SIP/2.0\r\n\r\n")};

	if (sl_addr_parse(&p.from, sl_str_c(from)) < 0 || sl_addr_parse(&p.to, sl_str_c(to)) < 0)
		p.payload = SL_STR("no address"); /* which no test expects */
	return p;
}

static bool has(unsigned type, const void *bytes, size_t len)
{
	const uint8_t *c = chunk(type, len);

	return c && memcmp(c, bytes, len) == 0;
}

TEST(a_packet_says_who_sent_what_to_whom_and_when)
{
	struct hep_packet p = message("192.0.2.1:5060", "192.0.2.2:5070");

	sl_buf_init(&out, 65535);
	p.key = SL_STR("secret");
	CHECK_INT(hep_write(&out, &p), 0);
	CHECK(memcmp(out.p, "HEP3", 4) == 0);
	CHECK_INT(sl_get16(out.p + 4), out.len);
	CHECK(has(1, "\x02", 1) && has(2, "\x11", 1) && has(11, "\x01", 1));
	CHECK(has(3, "\xc0\x00\x02\x01", 4) && has(4, "\xc0\x00\x02\x02", 4));
	CHECK(has(7, "\x13\xc4", 2) && has(8, "\x13\xce", 2));
	CHECK(has(9, "\x65\x53\xf1\x00", 4) && has(10, "\x00\x01\xe2\x40", 4));
	CHECK(has(12, "\0\0\0\x07", 4) && has(14, "secret", 6) && has(17, "id@x", 4));
	CHECK(has(15, "OPTIONS sip:x SIP/2.0\r\n\r\n", 25));
	sl_buf_free(&out);
}

TEST(addresses_of_version_six_and_streams_are_told_as_such)
{
	struct hep_packet p = message("[2001:db8::1]:5060", "[2001:db8::2]:5061");

	sl_buf_init(&out, 65535);
	p.stream = true;
	CHECK_INT(hep_write(&out, &p), 0);
	CHECK(has(1, "\x0a", 1) && has(2, "\x06", 1) && !chunk(3, 4) && !chunk(14, 0));
	CHECK(has(5, p.from.ip, 16) && has(6, p.to.ip, 16));
	sl_buf_free(&out);
}

TEST(what_no_datagram_can_hold_is_refused)
{
	static char much[65400];
	struct hep_packet p = message("192.0.2.1:5060", "192.0.2.2:5070");

	sl_buf_init(&out, 65535);
	p.payload = (struct sl_str){much, sizeof much};
	CHECK_INT(hep_write(&out, &p), -SL_ELIMIT);
	sl_buf_free(&out);
}

/* ---- reports */

static uint8_t wire[1500];
static struct sl_rtcp_writer w;

static struct sl_str compound(void)
{
	int len = sl_rtcp_end(&w);

	return (struct sl_str){(const char *)wire, len > 0 ? (size_t)len : 0};
}

static bool json_is(const char *expected)
{
	struct sl_str got = sl_buf_view(&out);

	if (sl_str_eq(got, sl_str_c(expected)))
		return true;
	printf("# %.*s\n", SL_FMT(got));
	return false;
}

TEST(each_report_of_a_compound_is_an_object_and_names_are_left_out)
{
	const struct sl_rtcp_sr sr = {7, UINT64_C(0xe8f1c2d3c0000000), 160, 3, 480};
	const struct sl_rtcp_report r[] = {{9, 25, -2, 65540, 80, 1, 2}, {10, 0, 4, 5, 6, 7, 8}};
	struct sl_rtcp_block at = {0};

	sl_buf_init(&out, 4096);
	sl_rtcp_begin(&w, wire, sizeof wire);
	sl_rtcp_put_report(&w, 7, &sr, r, 1);
	sl_rtcp_put_cname(&w, 7, SL_STR("n@me"));
	sl_rtcp_put_pli(&w, 7, 9);
	sl_rtcp_put_report(&w, 8, NULL, r, 2);
	CHECK(hep_rtcp_next(&out, compound(), &at));
	CHECK(json_is("{\"sender_information\":{\"ntp_timestamp_sec\":3908158163,"
		      "\"ntp_timestamp_usec\":750000,\"rtp_timestamp\":160,\"packets\":3,"
		      "\"octets\":480},\"ssrc\":7,\"type\":200,\"report_blocks\":[{"
		      "\"source_ssrc\":9,\"fraction_lost\":25,\"packets_lost\":0,"
		      "\"highest_seq_no\":65540,\"ia_jitter\":80,\"lsr\":1,\"dlsr\":2}],"
		      "\"report_count\":1}"));
	CHECK(hep_rtcp_next(&out, compound(), &at));
	CHECK(json_is("{\"ssrc\":8,\"type\":201,\"report_blocks\":[{"
		      "\"source_ssrc\":9,\"fraction_lost\":25,\"packets_lost\":0,"
		      "\"highest_seq_no\":65540,\"ia_jitter\":80,\"lsr\":1,\"dlsr\":2},{"
		      "\"source_ssrc\":10,\"fraction_lost\":0,\"packets_lost\":4,"
		      "\"highest_seq_no\":5,\"ia_jitter\":6,\"lsr\":7,\"dlsr\":8}],"
		      "\"report_count\":2}"));
	CHECK(!hep_rtcp_next(&out, compound(), &at));
	sl_buf_free(&out);
}

/* A header that promises what is not there: what is there counts. */
TEST(a_report_that_is_cut_short_is_told_as_far_as_it_goes_or_not_at_all)
{
	static const char empty[] = "\x80\xc9\0\0", no_sender[] = "\x80\xc8\0\x01\0\0\0\x07",
			  no_blocks[] = "\x9f\xc9\0\x01\0\0\0\x08";
	struct sl_rtcp_block at = {0};

	sl_buf_init(&out, 4096);
	CHECK(!hep_rtcp_next(&out, (struct sl_str){empty, 4}, &at));
	at = (struct sl_rtcp_block){0};
	CHECK(!hep_rtcp_next(&out, (struct sl_str){no_sender, 8}, &at));
	at = (struct sl_rtcp_block){0};
	CHECK(hep_rtcp_next(&out, (struct sl_str){no_blocks, 8}, &at));
	CHECK(json_is("{\"ssrc\":8,\"type\":201,\"report_blocks\":[],\"report_count\":0}"));
	sl_buf_free(&out);
}

TEST_MAIN()
