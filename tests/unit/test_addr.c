/*
 * test_addr.c: transport addresses as text and as sockaddr.
 */
#include "../lib/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sluice/addr.h>
#include <sys/socket.h>

TEST(every_spelling_reads_and_prints_as_rfc_5952_says)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"192.0.2.1", "192.0.2.1"},
		{"192.0.2.1:3478", "192.0.2.1:3478"},
		{"192.0.2.1:0", "192.0.2.1"},
		{"0.0.0.0:65535", "0.0.0.0:65535"},
		{"255.255.255.255", "255.255.255.255"},
		{"::", "::"},
		{"::1", "::1"},
		{"[::1]", "::1"},
		{"[::1]:80", "[::1]:80"},
		{"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"[2001:db8::0.0.0.1]:5", "[2001:db8::1]:5"},
		{"fe80::1%7", "fe80::1%7"},
		{"[fe80::1%4294967295]:9", "[fe80::1%4294967295]:9"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"::ffff:192.0.2.1", "192.0.2.1"}, /* mapped is IPv4 */
		{"[::ffff:c000:201]:80", "192.0.2.1:80"},
	};

	for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
		char text[SL_ADDR_STRLEN];
		struct sl_addr a, b;

		CHECK_INT(sl_addr_parse(&a, sl_str_c(rows[i].in)), 0);
		CHECK_STR(sl_str_c(sl_addr_format(text, &a)), rows[i].out);
		CHECK_INT(sl_addr_parse(&b, sl_str_c(text)), 0);
		CHECK(sl_addr_eq(&a, &b));
	}
}

TEST(what_is_no_address_is_refused_and_nothing_written)
{
	static const char *const bad[] = {
		"",
		" ",
		"localhost",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"01.2.3.4",
		"0x1.2.3.4",
		"1.2.3.4 ",
		"1.2.3.4:",
		"1.2.3.4:65536",
		"1.2.3.4:+1",
		"1.2.3.4:000080",
		"1.2.3.4:80:90",
		"1.2.3.4%1",
		":80",
		":",
		":::",
		"::1::2",
		"1:2:3:4:5:6:7",
		"12345::",
		"[::1",
		"[::1]80",
		"[::1]:",
		"[::1]:x",
		"[::1]]:80",
		"[]",
		"[]:80",
		"[",
		"[1.2.3.4]:80",
		"[1.2.3.4]",
		"::1]:80",
		"fe80::1%",
		"fe80::1%eth0",
		"fe80::1%4294967296",
		"2001:db8::1%2",
		"::ffff:1.2.3.4%1",
		"[fe80::1]%1",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff0000000000000000",
	};
	struct sl_addr a, before;

	memset(&a, 0x5a, sizeof a);
	before = a;
	for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++)
		if (sl_addr_parse(&a, sl_str_c(bad[i])) != -SL_EPARSE)
			TEST_FAIL("\"%s\" was taken", bad[i]);
	CHECK_INT(sl_addr_parse(&a, SL_STR("1.2.3.4\0")), -SL_EPARSE);
	CHECK_INT(sl_addr_parse(&a, SL_STR("1.2\0.3.4")), -SL_EPARSE);
	CHECK_INT(sl_addr_parse(&a, SL_STR_NULL), -SL_EPARSE);
	CHECK_MEM(&a, &before, sizeof a);
}

TEST(sockaddrs_come_back)
{
	static const char *const texts[] = {"192.0.2.7:5000", "[2001:db8::7]:5001",
					    "[fe80::7%3]:5002", "0.0.0.0"};

	for (size_t i = 0; i < SL_ARRAY_LEN(texts); i++) {
		struct sockaddr_storage sa;
		struct sl_addr a, b;

		CHECK_INT(sl_addr_parse(&a, sl_str_c(texts[i])), 0);
		CHECK_INT(sl_addr_to_sockaddr(&sa, &a),
			  a.family == 4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		CHECK_INT(sl_addr_from_sockaddr(&b, (struct sockaddr *)&sa), 0);
		CHECK(sl_addr_eq(&a, &b));
	}
}

TEST(a_mapped_sockaddr_is_ipv4)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(99)};
	struct sl_addr a, want;

	CHECK_INT(inet_pton(AF_INET6, "::ffff:192.0.2.9", &in6.sin6_addr), 1);
	CHECK_INT(sl_addr_from_sockaddr(&a, (struct sockaddr *)&in6), 0);
	CHECK_INT(sl_addr_parse(&want, SL_STR("192.0.2.9:99")), 0);
	CHECK(sl_addr_eq(&a, &want));
}

TEST(a_zone_counts_on_link_local_addresses_only)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_scope_id = 5};
	struct sl_addr a;

	CHECK_INT(inet_pton(AF_INET6, "2001:db8::1", &in6.sin6_addr), 1);
	CHECK_INT(sl_addr_from_sockaddr(&a, (struct sockaddr *)&in6), 0);
	CHECK_INT(a.scope, 0);
	CHECK_INT(inet_pton(AF_INET6, "fe80::1", &in6.sin6_addr), 1);
	CHECK_INT(sl_addr_from_sockaddr(&a, (struct sockaddr *)&in6), 0);
	CHECK_INT(a.scope, 5);
}

TEST(other_families_and_unset_addresses_are_told)
{
	struct sockaddr sa = {.sa_family = AF_UNIX};
	struct sl_addr a, unset = {.family = 0};
	struct sockaddr_storage ss;
	char text[SL_ADDR_STRLEN];

	CHECK_INT(sl_addr_from_sockaddr(&a, &sa), -SL_EUNSUPP);
	CHECK_INT(sl_addr_to_sockaddr(&ss, &unset), 0);
	CHECK_STR(sl_str_c(sl_addr_format(text, &unset)), "-");
	CHECK_STR(sl_str_c(sl_addr_format_ip(text, &unset)), "-");
}

TEST(equality_and_hash_take_the_port_and_same_ip_does_not)
{
	struct sl_addr a, b;

	CHECK_INT(sl_addr_parse(&a, SL_STR("192.0.2.1:1")), 0);
	CHECK_INT(sl_addr_parse(&b, SL_STR("192.0.2.1:2")), 0);
	CHECK(!sl_addr_eq(&a, &b));
	CHECK(sl_addr_hash(&a) != sl_addr_hash(&b));
	CHECK(sl_addr_same_ip(&a, &b));
	b.port = 1;
	CHECK(sl_addr_hash(&a) == sl_addr_hash(&b));
}

TEST_MAIN()
