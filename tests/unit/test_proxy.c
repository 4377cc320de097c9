/*
 * tests/unit/test_proxy.c: the header of the PROXY protocol, both versions, in any number of
 * pieces.
 */
#include "lib/test.h"

#include "proto/proxy.h"

static char text[2][SL_ADDR_STRLEN];

static bool is(const struct proxy_header *h, const char *source, const char *destination)
{
	return strcmp(sl_addr_format(text[0], &h->source), source) == 0 &&
	       strcmp(sl_addr_format(text[1], &h->destination), destination) == 0;
}

static int read_text(const char *line, struct proxy_header *h)
{
	return proxy_read(line, strlen(line), h);
}

TEST(version_1_names_both_ends)
{
	struct proxy_header h;

	CHECK_INT(read_text("PROXY TCP4 192.0.2.1 198.51.100.2 40000 443\r\nGET /", &h), 0);
	CHECK_INT(h.len, 45);
	CHECK(is(&h, "192.0.2.1:40000", "198.51.100.2:443"));
	CHECK_INT(read_text("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", &h), 0);
	CHECK(is(&h, "[2001:db8::1]:1", "[2001:db8::2]:65535"));
	CHECK_INT(read_text("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 7 8\r\n", &h), 0);
	CHECK(is(&h, "192.0.2.1:7", "192.0.2.2:8"));
}

TEST(an_unknown_connection_of_version_1_keeps_its_addresses)
{
	struct proxy_header h;

	CHECK_INT(read_text("PROXY UNKNOWN\r\n", &h), 0);
	CHECK_INT(h.source.family, 0);
	CHECK_INT(h.len, 15);
	CHECK_INT(read_text("PROXY UNKNOWN ffff::1 whatever 65536\r\n", &h), 0);
	CHECK_INT(h.source.family, 0);
}

TEST(lines_that_are_not_version_1_are_refused)
{
	static const char *const lines[] = {
		"GET / HTTP/1.1\r\n\r\n",
		"PROXY\r\n",
		"PROXY \r\n",
		"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n",
		"PROXY TCP4 192.0.2.1:9 192.0.2.2 1 2\r\n",
		"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
		"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
		"PROXY TCP6 [2001:db8::1] 2001:db8::2 1 2\r\n",
		"PROXY TCP6 fe80::1%1 2001:db8::2 1 2\r\n",
		"PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
		"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
		"\r\n\r\n\0\r\nQUIX",
		"\x16\x03\x01",
	};
	struct proxy_header h;

	for (size_t i = 0; i < SL_ARRAY_LEN(lines); i++)
		if (read_text(lines[i], &h) != -SL_EPARSE && i != 18)
			TEST_FAIL("%s", lines[i]);
	CHECK_INT(proxy_read("\r\n\r\n\0\r\nQUIX\n1111", 16, &h), -SL_EPARSE);
}

TEST(a_line_that_never_ends_is_refused_at_its_limit)
{
	char line[200];
	struct proxy_header h;

	memset(line, 'x', sizeof line);
	memcpy(line, "PROXY UNKNOWN ", 14);
	CHECK_INT(proxy_read(line, 106, &h), -SL_EAGAIN);
	CHECK_INT(proxy_read(line, 107, &h), -SL_EPARSE);
	line[105] = '\r';
	line[106] = '\n';
	CHECK_INT(proxy_read(line, 200, &h), 0);
	CHECK_INT(h.len, 107);
}

/* ---- version 2 */

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static size_t v2(uint8_t dst[64], uint8_t command, uint8_t family, const char *body, size_t len)
{
	memcpy(dst, SIGNATURE, 12);
	dst[12] = command;
	dst[13] = family;
	dst[14] = 0;
	dst[15] = (uint8_t)len;
	memcpy(dst + 16, body, len);
	return 16 + len;
}

#define TCP4 "\xc0\0\2\1\xc6\x33\x64\2\x9c\x40\1\xbb"

TEST(version_2_names_both_ends_and_its_further_values_are_skipped)
{
	uint8_t p[64];
	struct proxy_header h;
	size_t len = v2(p, 0x21, 0x11, TCP4 "\x04\0\3abc", 18);

	CHECK_INT(proxy_read(p, len, &h), 0);
	CHECK_INT(h.len, 34);
	CHECK(is(&h, "192.0.2.1:40000", "198.51.100.2:443"));
	len = v2(p, 0x21, 0x21,
		 "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
		 "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\7\0\1\0\2",
		 36);
	CHECK_INT(proxy_read(p, len, &h), 0);
	CHECK(is(&h, "[2001:db8::1]:1", "192.0.2.7:2"));
}

TEST(a_health_check_and_families_without_addresses_keep_the_connections_own)
{
	uint8_t p[64];
	struct proxy_header h;

	CHECK_INT(proxy_read(p, v2(p, 0x20, 0x00, "", 0), &h), 0);
	CHECK_INT(h.source.family, 0);
	CHECK_INT(h.len, 16);
	CHECK_INT(proxy_read(p, v2(p, 0x20, 0x11, TCP4, 12), &h), 0);
	CHECK_INT(h.source.family, 0);
	CHECK_INT(proxy_read(p, v2(p, 0x21, 0x00, "xyz", 3), &h), 0);
	CHECK_INT(h.len, 19);
	CHECK_INT(proxy_read(p, v2(p, 0x21, 0x31, "", 0), &h), 0);
	CHECK_INT(h.source.family, 0);
}

TEST(what_version_2_does_not_know_is_refused)
{
	uint8_t p[64];
	struct proxy_header h;

	CHECK_INT(proxy_read(p, v2(p, 0x22, 0x11, TCP4, 12), &h), -SL_EPARSE); /* command */
	CHECK_INT(proxy_read(p, v2(p, 0x11, 0x11, TCP4, 12), &h), -SL_EPARSE); /* version */
	CHECK_INT(proxy_read(p, v2(p, 0x21, 0x12, TCP4, 12), &h), -SL_EPARSE); /* UDP */
	CHECK_INT(proxy_read(p, v2(p, 0x21, 0x11, TCP4, 11), &h), -SL_EPARSE); /* too short */
	CHECK_INT(proxy_read(p, v2(p, 0x21, 0x21, TCP4, 12), &h), -SL_EPARSE);
	(void)v2(p, 0x21, 0x11, TCP4, 12);
	p[14] = 0x10; /* 4 KiB of values */
	CHECK_INT(proxy_read(p, 28, &h), -SL_ELIMIT);
}

TEST(a_header_may_come_byte_by_byte)
{
	static const char line[] = "PROXY TCP4 192.0.2.1 198.51.100.2 40000 443\r\n";
	uint8_t p[64];
	size_t len = v2(p, 0x21, 0x11, TCP4, 12);
	struct proxy_header h;

	for (size_t n = 0; n < len; n++)
		CHECK_INT(proxy_read(p, n, &h), -SL_EAGAIN);
	CHECK_INT(proxy_read(p, len, &h), 0);
	for (size_t n = 0; n < sizeof line - 1; n++)
		CHECK_INT(proxy_read(line, n, &h), -SL_EAGAIN);
	CHECK_INT(proxy_read(line, sizeof line - 1, &h), 0);
}

TEST_MAIN()
