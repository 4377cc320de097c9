/*
 * tests/unit/test_sip_hep.c: packets of HEP version 3, byte by byte, by its specification.
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

TEST_MAIN()
