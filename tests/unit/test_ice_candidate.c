/*
 * Candidates as text: what browsers and servers write, what RFC 8839 and RFC 6544 show, and what is none of it.
 */
#include "lib/test.h"
#include "proto/ice_impl.h"

static struct ice_candidate c;

static int parse(const char *text)
{
	memset(&c, 0x5a, sizeof c);
	return ice_candidate_parse(&c, sl_str_c(text));
}

static bool addr_is(const struct sl_addr *a, const char *want)
{
	char text[SL_ADDR_STRLEN];

	if (strcmp(sl_addr_format(text, a), want) == 0)
		return true;
	printf("# %s, not %s\n", text, want);
	return false;
}

TEST(a_host_candidate_is_read)
{
	CHECK_INT(parse("candidate:1 1 UDP 2130706431 203.0.113.141 8998 typ host"), 0);
	CHECK_STR(sl_str_c(c.foundation), "1");
	CHECK_INT(c.component, 1);
	CHECK_INT(c.transport, ICE_UDP);
	CHECK_INT(c.priority, 2130706431);
	CHECK_INT(c.type, ICE_HOST);
	CHECK(addr_is(&c.addr, "203.0.113.141:8998"));
	CHECK_INT(c.related.family, 0);
	CHECK(c.name[0] == '\0' && c.ufrag[0] == '\0');
}

TEST(what_chromium_writes_is_read)
{
	CHECK_INT(parse("candidate:842163049 1 udp 1677729535 198.51.100.7 46154 typ srflx raddr 10.0.1.9 rport 46155 "
			"generation 0 ufrag EsAw network-id 1 network-cost 10"),
		  0);
	CHECK_INT(c.type, ICE_SRFLX);
	CHECK(addr_is(&c.addr, "198.51.100.7:46154"));
	CHECK(addr_is(&c.related, "10.0.1.9:46155"));
	CHECK_STR(sl_str_c(c.ufrag), "EsAw");
	CHECK_INT(parse("a=candidate:2999745851 1 tcp 1518280447 192.0.2.3 9 typ host tcptype active generation 0"), 0);
	CHECK_INT(c.transport, ICE_TCP_ACTIVE);
	CHECK(addr_is(&c.addr, "192.0.2.3:9"));
	CHECK_INT(parse("candidate:1 1 udp 41885439 2001:db8::5 60769 typ relay raddr :: rport 0 generation 0"), 0);
	CHECK_INT(c.type, ICE_RELAY);
	CHECK(addr_is(&c.addr, "[2001:db8::5]:60769"));
}

TEST(what_firefox_writes_is_read)
{
	CHECK_INT(parse("candidate:0 1 UDP 2122252543 3a4e6c04-5b3b-4a4a-9b39-2d1c9e0b6f0c.local 51472 typ host"), 0);
	CHECK_STR(sl_str_c(c.name), "3a4e6c04-5b3b-4a4a-9b39-2d1c9e0b6f0c.local");
	CHECK_INT(c.addr.family, 0);
	CHECK_INT(c.addr.port, 51472);
	CHECK_INT(parse("candidate:2 1 TCP 2105524479 192.0.2.3 9 typ host tcptype active"), 0);
	CHECK_INT(c.transport, ICE_TCP_ACTIVE);
}

TEST(what_means_nothing_to_us_is_skipped)
{
	CHECK_INT(parse("  1 1 udp 7 192.0.2.1 1 typ prflx foo bar   raddr something.local rport 0 x y odd"), 0);
	CHECK_INT(c.type, ICE_PRFLX);
	CHECK_INT(c.related.family, 0);
	CHECK_INT(c.related.port, 0);
	CHECK_INT(parse("1 1 udp 7 192.0.2.1 1 typ host ufrag not%valid tcptype passive"), 0);
	CHECK_STR(sl_str_c(c.ufrag), "");
	CHECK_INT(c.transport, ICE_UDP);
	CHECK_INT(parse("1 1 udp 7 fe80::1%eth0 1 typ host"), 0);
	CHECK(addr_is(&c.addr, "[fe80::1]:1"));
}

TEST(an_ipv4_mapped_address_is_ipv4)
{
	CHECK_INT(parse("1 1 udp 7 ::ffff:192.0.2.9 5 typ host"), 0);
	CHECK(addr_is(&c.addr, "192.0.2.9:5"));
}

TEST(what_is_no_candidate_is_refused)
{
	static const char *const wrong[] = {
		"",
		"candidate:",
		"candidate:1 1 udp",
		"1 1 udp 7 192.0.2.1 1",
		"1 1 udp 7 192.0.2.1 1 typ",
		"1 1 udp 7 192.0.2.1 1 typ visitor",
		"1 1 udp 7 192.0.2.1 1 kind host",
		"1 0 udp 7 192.0.2.1 1 typ host",
		"1 256 udp 7 192.0.2.1 1 typ host",
		"1 -1 udp 7 192.0.2.1 1 typ host",
		"1 1 sctp 7 192.0.2.1 1 typ host",
		"1 1 udp 4294967296 192.0.2.1 1 typ host",
		"1 1 udp 99999999999999999999 192.0.2.1 1 typ host",
		"1 1 udp 7 192.0.2.1 65536 typ host",
		"1 1 udp 7 192.0.2.1 x typ host",
		"1 1 udp 7 192.0.2.300 1 typ host",
		"1 1 udp 7 192.0.2.1:5 1 typ host",
		"1 1 udp 7 [2001:db8::1] 1 typ host",
		"1 1 udp 7 a<b 1 typ host",
		"1 1 udp 7 .local 1 typ host",
		"with-dash 1 udp 7 192.0.2.1 1 typ host",
		"123456789012345678901234567890123 1 udp 7 192.0.2.1 1 typ host",
		"1 1 tcp 7 192.0.2.1 1 typ host tcptype sideways",
		"1 1 udp 7 192.0.2.1 1 typ host rport 65536",
		"1 1 udp 7 a1234567890123456789012345678901234567890123456789012345678.local 1 typ host",
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(wrong); i++) {
		if (parse(wrong[i]) == -SL_EPARSE)
			continue;
		printf("# taken: %s\n", wrong[i]);
		CHECK(false);
	}
}

TEST(what_is_written_is_read_again)
{
	static const char *const texts[] = {
		"A 1 udp 2130706431 203.0.113.141 8998 typ host",
		"B 1 tcp 1518280447 2001:db8::1 443 typ host tcptype passive",
		"842163049 1 udp 1677729535 198.51.100.7 46154 typ srflx raddr 10.0.1.9 rport 46155 ufrag EsAw",
		"0 1 udp 2122252543 3a4e6c04-5b3b-4a4a-9b39-2d1c9e0b6f0c.local 51472 typ host",
		"12345678901234567890123456789012 255 tcp 4294967295 2001:db8:1111:2222:3333:4444:5555:6666 65535 typ relay "
		"raddr 2001:db8:1111:2222:3333:4444:5555:7777 rport 65535 tcptype passive ufrag "
		"12345678901234567890123456789012",
	};
	char out[ICE_CANDIDATE_TEXT];
	size_t len;

	for (size_t i = 0; i < SL_ARRAY_LEN(texts); i++) {
		CHECK_INT(parse(texts[i]), 0);
		len = ice_candidate_format(out, &c);
		CHECK_STR(sl_str_c(out), texts[i]);
		CHECK_INT(len, strlen(texts[i]));
	}
}

TEST(udp_is_preferred_to_tcp_and_earlier_bases_to_later)
{
	CHECK(ice_host_priority(0, ICE_UDP) == (126u << 24 | 65535u << 8 | 255));
	CHECK(ice_host_priority(0, ICE_UDP) > ice_host_priority(1, ICE_UDP));
	CHECK(ice_host_priority(ICE_MAX_LOCAL - 1, ICE_UDP) > ice_host_priority(0, ICE_TCP_PASSIVE));
	CHECK(ice_host_priority(0, ICE_TCP_PASSIVE) > ice_host_priority(ICE_MAX_LOCAL - 1, ICE_TCP_PASSIVE));
	CHECK(ice_host_priority(ICE_MAX_LOCAL - 1, ICE_TCP_PASSIVE) > 90u << 24);
	CHECK(ice_prflx_priority(ice_host_priority(0, ICE_UDP)) == (110u << 24 | 65535u << 8 | 255));
}

TEST_MAIN()
