/*
 * tests/unit/test_tls_hello.c: what a ClientHello says, whole, cut, split and broken.
 */
#include "lib/test.h"

#include "lib/hello.h"
#include "net/tls.h"

static uint8_t hello[4096], split[65536];

TEST(name_and_protocols_are_read)
{
	size_t len = hello_bytes(hello, sizeof hello, "turn.example.org",
				 "\x02h2\x08http/1.1\x09stun.turn");
	struct sl_client_hello h;

	CHECK_INT(tls_read_hello(hello, len, &h), 0);
	CHECK(h.complete);
	CHECK_STR(h.server_name, "turn.example.org");
	CHECK(sl_client_hello_offers(&h, SL_STR("h2")));
	CHECK(sl_client_hello_offers(&h, SL_STR("stun.turn")));
	CHECK(!sl_client_hello_offers(&h, SL_STR("stun.tur")));
	CHECK(!sl_client_hello_offers(&h, SL_STR("webrtc")));
}

TEST(a_client_need_not_say_either)
{
	size_t len = hello_bytes(hello, sizeof hello, NULL, NULL);
	struct sl_client_hello h;

	CHECK_INT(tls_read_hello(hello, len, &h), 0);
	CHECK(h.complete);
	CHECK_INT(h.server_name.len, 0);
	CHECK(!sl_client_hello_offers(&h, SL_STR("http/1.1")));
}

TEST(every_prefix_is_incomplete)
{
	size_t len = hello_bytes(hello, sizeof hello, "a.example", "\x08http/1.1");

	for (size_t cut = 0; cut < len; cut++) {
		struct sl_client_hello h = {.complete = true};

		CHECK_INT(tls_read_hello(hello, cut, &h), 0);
		CHECK(!h.complete);
	}
}

TEST(records_of_any_size_say_the_same)
{
	size_t len = hello_bytes(hello, sizeof hello, "split.example", "\x09stun.turn");

	for (size_t piece = 1; piece < len; piece++) {
		size_t n = hello_split(split, hello, len, piece);
		struct sl_client_hello h;

		CHECK_INT(tls_read_hello(split, n, &h), 0);
		CHECK(h.complete);
		CHECK_STR(h.server_name, "split.example");
		CHECK(sl_client_hello_offers(&h, SL_STR("stun.turn")));
		CHECK_INT(tls_read_hello(split, n - 1, &h), 0);
		CHECK(!h.complete);
	}
}

TEST(what_follows_the_hello_does_not_matter)
{
	size_t len = hello_bytes(hello, sizeof hello, "a.example", NULL);
	struct sl_client_hello h;

	memset(hello + len, 0xee, 100);
	CHECK_INT(tls_read_hello(hello, len + 100, &h), 0);
	CHECK_STR(h.server_name, "a.example");
}

TEST(other_protocols_are_not_hellos)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
		{"GET / HTTP/1.1\r\n", 16},
		{"\x00\x01\x00\x00\x21\x12\xa4\x42", 8},
		{"\x16\x03", 2},			     /* may become one */
		{"\x16\x04\x01\x00\x10", 5},		     /* no such version */
		{"\x16\x03\x01\x00\x00", 5},		     /* an empty record */
		{"\x16\x03\x01\xff\xff", 5},		     /* too long */
		{"\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9}, /* a ServerHello */
		{"\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9}, /* sixteen megabytes */
		{"\x16\x03\x01\x00\x04\x01\x00\x00\x00", 9}, /* an empty hello */
		{"\x17\x03\x03\x00\x10", 5},		     /* data */
	};

	for (unsigned i = 0; i < SL_ARRAY_LEN(cases); i++) {
		struct sl_client_hello h;
		int rc = tls_read_hello((const uint8_t *)cases[i].bytes, cases[i].len, &h);

		CHECK_INT(rc, i == 2 ? 0 : -SL_EPARSE);
	}
}

TEST(a_second_record_that_is_no_handshake_is_refused)
{
	size_t len = hello_bytes(hello, sizeof hello, "a.example", NULL);
	size_t n = hello_split(split, hello, len, 100);
	struct sl_client_hello h;

	split[105] = 0x17;
	CHECK_INT(tls_read_hello(split, n, &h), -SL_EPARSE);
}

TEST(lying_lengths_are_refused_or_harmless)
{
	size_t len = hello_bytes(hello, sizeof hello, "a.example", "\x08http/1.1");

	for (size_t at = 9; at < len; at++) {
		struct sl_client_hello h;
		uint8_t was = hello[at];

		hello[at] ^= 0xff;
		if (tls_read_hello(hello, len, &h) == 0)
			(void)sl_client_hello_offers(&h, SL_STR("http/1.1"));
		hello[at] = was;
	}
}

TEST_MAIN()
