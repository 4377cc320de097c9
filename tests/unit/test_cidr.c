/*
 * test_cidr.c: address blocks, and the classes of addresses with both edges of each block.
 */
#include "../lib/test.h"

#include <sluice/addr.h>

TEST(blocks_read_and_print)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"10.0.0.0/8", "10.0.0.0/8"},
		{"192.0.2.1", "192.0.2.1/32"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"192.0.2.128/25", "192.0.2.128/25"},
		{"::/0", "::/0"},
		{"::1", "::1/128"},
		{"2001:db8::/33", "2001:db8::/33"},
		{"::ffff:10.0.0.0/104", "10.0.0.0/8"},
		{"::ffff:10.0.0.1", "10.0.0.1/32"},
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
		char text[SL_ADDR_STRLEN];
		struct sl_cidr c;

		CHECK_INT(sl_cidr_parse(&c, sl_str_c(rows[i].in)), 0);
		CHECK_STR(sl_str_c(sl_cidr_format(text, &c)), rows[i].out);
	}
}

TEST(what_is_no_block_is_refused)
{
	static const char *const bad[] = {
		"",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/-1",
		"10.0.0.0/0008",
		"10.0.0.0/8/8",
		"10.0.0.1/8", /* host bits */
		"192.0.2.129/25",
		"10.0.0.0:80/8",
		"10.0.0.0:0/8",
		"[::]/0",
		"::/129",
		"2001:db8::1/64",
		"fe80::%1/64",
		"::ffff:10.0.0.0/8", /* would be all of IPv6 that begins with eight zeros */
		"::ffff:10.0.0.0/129",
		"net/8",
	};
	struct sl_cidr c;

	for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++)
		if (sl_cidr_parse(&c, sl_str_c(bad[i])) != -SL_EPARSE)
			TEST_FAIL("\"%s\" was taken", bad[i]);
}

TEST(a_block_has_its_addresses_and_no_others)
{
	static const struct {
		const char *block, *addr;
		bool in;
	} rows[] = {
		{"10.0.0.0/8", "10.255.255.255:99", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"192.0.2.128/25", "192.0.2.128", true},
		{"192.0.2.128/25", "192.0.2.127", false},
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.0", false},
		{"0.0.0.0/0", "203.0.113.1", true},
		{"0.0.0.0/0", "::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "10.0.0.1", false},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
		{"fe80::/10", "fe80::1%3", true},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
		struct sl_cidr c;
		struct sl_addr a;

		CHECK_INT(sl_cidr_parse(&c, sl_str_c(rows[i].block)), 0);
		CHECK_INT(sl_addr_parse(&a, sl_str_c(rows[i].addr)), 0);
		if (sl_cidr_has(&c, &a) != rows[i].in)
			TEST_FAIL("%s in %s", rows[i].addr, rows[i].block);
	}
}

TEST(an_unset_block_has_nothing)
{
	struct sl_cidr c = {.bits = 0};
	struct sl_addr unset = {.family = 0};

	CHECK(!sl_cidr_has(&c, &unset));
}

TEST(each_class_reaches_from_edge_to_edge)
{
	static const struct {
		const char *addr;
		enum sl_addr_class class;
	} rows[] = {
		{"0.0.0.0", SL_ADDR_UNSPECIFIED},
		{"0.255.255.255", SL_ADDR_UNSPECIFIED},
		{"1.0.0.0", SL_ADDR_GLOBAL},
		{"9.255.255.255", SL_ADDR_GLOBAL},
		{"10.0.0.0", SL_ADDR_PRIVATE},
		{"10.255.255.255", SL_ADDR_PRIVATE},
		{"100.63.255.255", SL_ADDR_GLOBAL},
		{"100.64.0.0", SL_ADDR_PRIVATE},
		{"100.127.255.255", SL_ADDR_PRIVATE},
		{"100.128.0.0", SL_ADDR_GLOBAL},
		{"127.0.0.1", SL_ADDR_LOOPBACK},
		{"127.255.255.255", SL_ADDR_LOOPBACK},
		{"169.254.169.254", SL_ADDR_LINK_LOCAL},
		{"172.15.255.255", SL_ADDR_GLOBAL},
		{"172.16.0.0", SL_ADDR_PRIVATE},
		{"172.31.255.255", SL_ADDR_PRIVATE},
		{"172.32.0.0", SL_ADDR_GLOBAL},
		{"192.0.0.1", SL_ADDR_RESERVED},
		{"192.0.2.1", SL_ADDR_DOCUMENTATION},
		{"192.167.255.255", SL_ADDR_GLOBAL},
		{"192.168.0.0", SL_ADDR_PRIVATE},
		{"198.17.255.255", SL_ADDR_GLOBAL},
		{"198.18.0.0", SL_ADDR_RESERVED},
		{"198.19.255.255", SL_ADDR_RESERVED},
		{"198.51.100.1", SL_ADDR_DOCUMENTATION},
		{"203.0.113.255", SL_ADDR_DOCUMENTATION},
		{"223.255.255.255", SL_ADDR_GLOBAL},
		{"224.0.0.0", SL_ADDR_MULTICAST},
		{"239.255.255.255", SL_ADDR_MULTICAST},
		{"240.0.0.0", SL_ADDR_RESERVED},
		{"255.255.255.254", SL_ADDR_RESERVED},
		{"255.255.255.255", SL_ADDR_BROADCAST},
		{"::", SL_ADDR_UNSPECIFIED},
		{"::1", SL_ADDR_LOOPBACK},
		{"::2", SL_ADDR_RESERVED},
		{"::127.0.0.1", SL_ADDR_RESERVED},
		{"::ffff:127.0.0.1", SL_ADDR_LOOPBACK},
		{"64:ff9b::8.8.8.8", SL_ADDR_GLOBAL},
		{"64:ff9b::127.0.0.1", SL_ADDR_LOOPBACK},
		{"64:ff9b::10.0.0.1", SL_ADDR_PRIVATE},
		{"64:ff9b:1::1", SL_ADDR_PRIVATE},
		{"100::1", SL_ADDR_RESERVED},
		{"2001::1", SL_ADDR_RESERVED},
		{"2001:1ff::1", SL_ADDR_RESERVED},
		{"2001:200::1", SL_ADDR_GLOBAL},
		{"2001:db8::1", SL_ADDR_DOCUMENTATION},
		{"2001:db9::1", SL_ADDR_GLOBAL},
		{"2002:0808:0808::1", SL_ADDR_GLOBAL},
		{"2002:7f00:0001::1", SL_ADDR_LOOPBACK},
		{"2002:c0a8:0101::1", SL_ADDR_PRIVATE},
		{"2a00::1", SL_ADDR_GLOBAL},
		{"3fff::1", SL_ADDR_DOCUMENTATION},
		{"3fff:fff:ffff::1", SL_ADDR_DOCUMENTATION},
		{"3fff:1000::1", SL_ADDR_GLOBAL},
		{"4000::1", SL_ADDR_RESERVED},
		{"fbff::1", SL_ADDR_RESERVED},
		{"fc00::1", SL_ADDR_PRIVATE},
		{"fdff::1", SL_ADDR_PRIVATE},
		{"fe80::1", SL_ADDR_LINK_LOCAL},
		{"febf::1", SL_ADDR_LINK_LOCAL},
		{"fec0::1", SL_ADDR_PRIVATE},
		{"ff02::1", SL_ADDR_MULTICAST},
	};
	struct sl_addr unset = {.family = 0};

	for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
		struct sl_addr a;

		CHECK_INT(sl_addr_parse(&a, sl_str_c(rows[i].addr)), 0);
		if (sl_addr_classify(&a) != rows[i].class)
			TEST_FAIL("%s is %d", rows[i].addr, sl_addr_classify(&a));
	}
	CHECK_INT(sl_addr_classify(&unset), SL_ADDR_UNSPECIFIED);
}

TEST_MAIN()
