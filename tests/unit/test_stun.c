/*
 * STUN messages: all vectors of RFC 5769, the bounds of the parser, what integrity covers, and the
 * writer.
 */
#include <sluice/buf.h>
#include <sluice/crypto.h>
#include <sluice/stun.h>
#include "lib/test.h"

static const struct sl_str short_key = SL_STR_INIT("VOkJxbRl1RmTxUk/WvJxBt");
static const uint8_t txid[12] = {0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
				 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};

/* RFC 5769 section 2.1: request with short-term credentials; padding is spaces. */
static const uint8_t request[] = {
	0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
	0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e,
	0x20, 0x74, 0x65, 0x73, 0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24,
	0x00, 0x04, 0x6e, 0x00, 0x01, 0xff, 0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1,
	0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68,
	0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c,
	0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49, 0xc1, 0xb5,
	0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
};

/* Section 2.2: IPv4 response. */
static const uint8_t response4[] = {
	0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
	0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74,
	0x20, 0x76, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01,
	0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43, 0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99,
	0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9, 0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b,
	0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96,
};

/* Section 2.3: IPv6 response. */
static const uint8_t response6[] = {
	0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
	0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74,
	0x20, 0x76, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x14, 0x00, 0x02,
	0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5,
	0xbe, 0xd2, 0xb9, 0xd9, 0x00, 0x08, 0x00, 0x14, 0xa3, 0x82, 0x95, 0x4e, 0x4b, 0xe6,
	0x7b, 0xf1, 0x17, 0x84, 0xc9, 0x7c, 0x82, 0x92, 0xc2, 0x75, 0xbf, 0xe3, 0xed, 0x41,
	0x80, 0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b, 0x4c,
};

/* Section 2.4: request with long-term credentials. */
static const uint8_t long_term[] = {
	0x00, 0x01, 0x00, 0x60, 0x21, 0x12, 0xa4, 0x42, 0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72,
	0xc0, 0x29, 0xda, 0x41, 0x2e, 0x00, 0x06, 0x00, 0x12, 0xe3, 0x83, 0x9e, 0xe3, 0x83, 0x88,
	0xe3, 0x83, 0xaa, 0xe3, 0x83, 0x83, 0xe3, 0x82, 0xaf, 0xe3, 0x82, 0xb9, 0x00, 0x00, 0x00,
	0x15, 0x00, 0x1c, 0x66, 0x2f, 0x2f, 0x34, 0x39, 0x39, 0x6b, 0x39, 0x35, 0x34, 0x64, 0x36,
	0x4f, 0x4c, 0x33, 0x34, 0x6f, 0x4c, 0x39, 0x46, 0x53, 0x54, 0x76, 0x79, 0x36, 0x34, 0x73,
	0x41, 0x00, 0x14, 0x00, 0x0b, 0x65, 0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0x2e, 0x6f, 0x72,
	0x67, 0x00, 0x00, 0x08, 0x00, 0x14, 0xf6, 0x70, 0x24, 0x65, 0x6d, 0xd6, 0x4a, 0x3e, 0x02,
	0xb8, 0xe0, 0x71, 0x2e, 0x85, 0xc9, 0xa2, 0x8c, 0xa8, 0x96, 0x66,
};

/* RFC 8489 appendix B.1, with the MAC of erratum 6268: request with USERHASH and SHA-256. */
static const uint8_t userhash_request[] = {
	0x00, 0x01, 0x00, 0x9c, 0x21, 0x12, 0xa4, 0x42, 0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72,
	0xc0, 0x29, 0xda, 0x41, 0x2e, 0x00, 0x1e, 0x00, 0x20, 0x4a, 0x3c, 0xf3, 0x8f, 0xef, 0x69,
	0x92, 0xbd, 0xa9, 0x52, 0xc6, 0x78, 0x04, 0x17, 0xda, 0x0f, 0x24, 0x81, 0x94, 0x15, 0x56,
	0x9e, 0x60, 0xb2, 0x05, 0xc4, 0x6e, 0x41, 0x40, 0x7f, 0x17, 0x04, 0x00, 0x15, 0x00, 0x29,
	0x6f, 0x62, 0x4d, 0x61, 0x74, 0x4a, 0x6f, 0x73, 0x32, 0x41, 0x41, 0x41, 0x43, 0x66, 0x2f,
	0x2f, 0x34, 0x39, 0x39, 0x6b, 0x39, 0x35, 0x34, 0x64, 0x36, 0x4f, 0x4c, 0x33, 0x34, 0x6f,
	0x4c, 0x39, 0x46, 0x53, 0x54, 0x76, 0x79, 0x36, 0x34, 0x73, 0x41, 0x00, 0x00, 0x00, 0x00,
	0x14, 0x00, 0x0b, 0x65, 0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0x2e, 0x6f, 0x72, 0x67, 0x00,
	0x00, 0x1c, 0x00, 0x20, 0xe4, 0x68, 0x6c, 0x8f, 0x0e, 0xde, 0xb5, 0x90, 0x13, 0xe0, 0x70,
	0x90, 0x01, 0x0a, 0x93, 0xef, 0xcc, 0xbc, 0xcc, 0x54, 0x4c, 0x0a, 0x45, 0xd9, 0xf8, 0x30,
	0xaa, 0x6d, 0x6f, 0x73, 0x5a, 0x01,
};

static struct sl_addr addr(const char *text)
{
	struct sl_addr a = {0};

	sl_assert(sl_addr_parse(&a, sl_str_c(text)) == 0);
	return a;
}

TEST(rfc_5769_request)
{
	struct sl_stun_msg m;
	struct sl_stun_attr a;
	uint32_t priority;

	CHECK_INT(sl_stun_parse(&m, request, sizeof request), 0);
	CHECK_INT(m.method, SL_STUN_BINDING);
	CHECK_INT(m.class_, SL_STUN_REQUEST);
	CHECK_MEM(m.txid, txid, 12);
	CHECK_STR(sl_stun_find_str(&m, SL_STUN_SOFTWARE), "STUN test client");
	CHECK_STR(sl_stun_find_str(&m, SL_STUN_USERNAME), "evtj:h6vY");
	CHECK(sl_stun_find(&m, SL_STUN_PRIORITY, &a));
	CHECK_INT(sl_stun_get_u32(&a, &priority), 0);
	CHECK_INT(priority, 0x6e0001ff);
	CHECK(sl_stun_find(&m, SL_STUN_ICE_CONTROLLED, &a));
	CHECK(sl_get64(a.data) == UINT64_C(0x932ff9b151263b36));
	CHECK_INT(sl_stun_check_integrity(&m, short_key), 0);
	CHECK_INT(sl_stun_check_fingerprint(&m), 0);
	CHECK_INT(sl_stun_check_integrity(&m, SL_STR("wrong")), -SL_EAUTH);
}

static void check_response(const uint8_t *data, size_t len, const char *want)
{
	struct sl_addr mapped, expected = addr(want);
	struct sl_stun_msg m;
	struct sl_stun_attr a;

	CHECK_INT(sl_stun_parse(&m, data, len), 0);
	CHECK_INT(m.class_, SL_STUN_SUCCESS);
	CHECK_STR(sl_stun_find_str(&m, SL_STUN_SOFTWARE), "test vector");
	CHECK(sl_stun_find(&m, SL_STUN_XOR_MAPPED_ADDRESS, &a));
	CHECK_INT(sl_stun_get_xor_addr(&m, &a, &mapped), 0);
	CHECK(sl_addr_eq(&mapped, &expected));
	CHECK_INT(sl_stun_check_integrity(&m, short_key), 0);
	CHECK_INT(sl_stun_check_fingerprint(&m), 0);
}

TEST(rfc_5769_ipv4_response)
{
	check_response(response4, sizeof response4, "192.0.2.1:32853");
}

TEST(rfc_5769_ipv6_response)
{
	check_response(response6, sizeof response6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
}

TEST(rfc_5769_long_term_request)
{
	uint8_t key[16];
	struct sl_stun_msg m;

	CHECK_INT(sl_stun_parse(&m, long_term, sizeof long_term), 0);
	CHECK_STR(sl_stun_find_str(&m, SL_STUN_NONCE), "f//499k954d6OL34oL9FSTvy64sA");
	CHECK_STR(sl_stun_find_str(&m, SL_STUN_REALM), "example.org");
	sl_stun_long_term_key(key, sl_stun_find_str(&m, SL_STUN_USERNAME), SL_STR("example.org"),
			      SL_STR("TheMatrIX"));
	CHECK_INT(sl_stun_check_integrity(&m, (struct sl_str){(char *)key, 16}), 0);
	CHECK_INT(sl_stun_check_fingerprint(&m), -SL_ENOENT);
}

/*
 * The vector's length field counts the header too, and its MAC is made over that: no parser takes
 * it, but its values are checked one by one.
 */
TEST(rfc_8489_userhash_and_sha256)
{
	static const uint8_t *const p = userhash_request;
	const struct sl_str user = SL_STR("\xe3\x83\x9e\xe3\x83\x88\xe3\x83\xaa"
					  "\xe3\x83\x83\xe3\x82\xaf\xe3\x82\xb9");
	const struct sl_str realm = SL_STR("example.org");
	uint8_t hash[32], key[32], mac[32];
	struct sl_stun_msg m;

	CHECK_INT(sl_stun_parse(&m, p, sizeof userhash_request), -SL_EPARSE);
	sl_stun_userhash(hash, user, realm);
	CHECK_MEM(hash, p + 24, 32);
	sl_stun_long_term_key_sha256(key, user, realm, SL_STR("TheMatrIX"));
	sl_hmac_sha256(mac, (struct sl_str){(char *)key, 32}, p, sizeof userhash_request - 36);
	CHECK_MEM(mac, p + sizeof userhash_request - 32, 32);
}

TEST(sha256_integrity_stands_alone_or_behind_the_other)
{
	const struct sl_str key = SL_STR("key"), other = SL_STR("other");

	for (int both = 0; both < 2; both++) {
		uint8_t p[256];
		struct sl_stun_writer w;
		struct sl_stun_msg m;
		size_t len;

		sl_stun_begin(&w, p, sizeof p, SL_STUN_REQUEST, SL_STUN_BINDING, txid);
		sl_stun_put_str(&w, SL_STUN_USERNAME, SL_STR("name"));
		if (both)
			sl_stun_put_integrity(&w, other);
		sl_stun_put_integrity_sha256(&w, key);
		sl_stun_put_fingerprint(&w);
		CHECK_INT(sl_stun_finish(&w, &len), 0);
		CHECK_INT(sl_stun_parse(&m, p, len), 0);
		CHECK(sl_stun_is_signed(&m));
		CHECK_INT(sl_stun_check_integrity_sha256(&m, key), 0);
		CHECK_INT(sl_stun_check_integrity_sha256(&m, other), -SL_EAUTH);
		CHECK_INT(sl_stun_check_integrity(&m, other), both ? 0 : -SL_ENOENT);
		CHECK_INT(sl_stun_check_fingerprint(&m), 0);
		p[24] ^= 1;
		CHECK_INT(sl_stun_check_integrity_sha256(&m, key), -SL_EAUTH);
	}
}

TEST(a_shortened_sha256_is_refused)
{
	uint8_t p[128], mac[32];
	struct sl_stun_writer w;
	struct sl_stun_msg m;
	size_t len;

	sl_stun_begin(&w, p, sizeof p, SL_STUN_REQUEST, SL_STUN_BINDING, txid);
	sl_put16(p + 2, 20);
	sl_hmac_sha256(mac, SL_STR("key"), p, SL_STUN_HEADER);
	sl_stun_put(&w, SL_STUN_MESSAGE_INTEGRITY_SHA256, mac, 16);
	CHECK_INT(sl_stun_finish(&w, &len), 0);
	CHECK_INT(sl_stun_parse(&m, p, len), 0);
	CHECK_INT(sl_stun_check_integrity_sha256(&m, SL_STR("key")), -SL_EAUTH);
}

TEST(one_flipped_bit_breaks_integrity_and_fingerprint)
{
	uint8_t copy[sizeof request];
	struct sl_stun_msg m;

	for (size_t bit = 160; bit < 8 * (sizeof request - 32); bit++) {
		memcpy(copy, request, sizeof copy);
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (sl_stun_parse(&m, copy, sizeof copy) < 0)
			continue;
		CHECK(sl_stun_check_integrity(&m, short_key) != 0);
		CHECK(sl_stun_check_fingerprint(&m) != 0);
	}
}

TEST(every_truncation_and_extension_is_refused)
{
	uint8_t longer[sizeof request + 4] = {0};
	struct sl_stun_msg m;

	for (size_t n = 0; n < sizeof request; n++)
		CHECK_INT(sl_stun_parse(&m, request, n), -SL_EPARSE);
	memcpy(longer, request, sizeof request);
	CHECK_INT(sl_stun_parse(&m, longer, sizeof longer), -SL_EPARSE);
}

TEST(an_attribute_that_leaves_the_message_is_refused)
{
	uint8_t p[32] = {0x00, 0x01, 0x00, 0x0c};
	struct sl_stun_msg m;

	sl_put32(p + 4, SL_STUN_COOKIE);
	sl_put16(p + 20, SL_STUN_SOFTWARE);
	for (uint16_t len = 0; len < 64; len++) {
		sl_put16(p + 22, len);
		CHECK_INT(sl_stun_parse(&m, p, sizeof p), len <= 8 ? 0 : -SL_EPARSE);
	}
	sl_put16(p + 22, 0xffff);
	CHECK_INT(sl_stun_parse(&m, p, sizeof p), -SL_EPARSE);
}

TEST(what_is_not_stun_is_refused)
{
	uint8_t p[20] = {0x00, 0x01};
	struct sl_stun_msg m;

	CHECK_INT(sl_stun_parse(&m, p, sizeof p), -SL_EPARSE); /* no cookie */
	sl_put32(p + 4, SL_STUN_COOKIE);
	CHECK_INT(sl_stun_parse(&m, p, sizeof p), 0);
	p[0] = 0x40;
	CHECK_INT(sl_stun_parse(&m, p, sizeof p), -SL_EPARSE); /* leading bits */
}

TEST(method_and_class_survive_the_round_trip)
{
	uint8_t p[20];
	struct sl_stun_writer w;
	struct sl_stun_msg m;
	size_t len;

	for (uint16_t method = 0; method < 0x1000; method++)
		for (unsigned c = 0; c < 4; c++) {
			sl_stun_begin(&w, p, sizeof p, c, method, txid);
			CHECK_INT(sl_stun_finish(&w, &len), 0);
			CHECK_INT(sl_stun_parse(&m, p, len), 0);
			CHECK_INT(m.method, method);
			CHECK_INT(m.class_, c);
		}
}

TEST(the_writer_makes_the_message_of_rfc_5769)
{
	const struct sl_addr mapped = addr("192.0.2.1:32853");
	uint8_t p[128];
	struct sl_stun_writer w;
	struct sl_stun_msg m;
	size_t len;

	sl_stun_begin(&w, p, sizeof p, SL_STUN_SUCCESS, SL_STUN_BINDING, txid);
	sl_stun_put_str(&w, SL_STUN_SOFTWARE, SL_STR("test vector"));
	sl_stun_put_xor_addr(&w, SL_STUN_XOR_MAPPED_ADDRESS, &mapped);
	p[35] = ' '; /* the vector pads with a space */
	sl_stun_put_integrity(&w, short_key);
	sl_stun_put_fingerprint(&w);
	CHECK_INT(sl_stun_finish(&w, &len), 0);
	CHECK_INT(len, sizeof response4);
	CHECK_MEM(p, response4, len);
	CHECK_INT(sl_stun_parse(&m, p, len), 0);
}

TEST(addresses_survive_the_round_trip_in_both_forms)
{
	static const char *const texts[] = {"192.0.2.1:1", "255.255.255.255:65535", "[::]:0",
					    "[2001:db8::1]:3478"};
	struct sl_stun_attr plain, xored;
	struct sl_addr got;
	struct sl_stun_writer w;
	struct sl_stun_msg m;
	uint8_t p[128];
	size_t len;

	for (size_t i = 0; i < SL_ARRAY_LEN(texts); i++) {
		const struct sl_addr want = addr(texts[i]);

		sl_stun_begin(&w, p, sizeof p, SL_STUN_SUCCESS, SL_STUN_BINDING, txid);
		sl_stun_put_addr(&w, SL_STUN_MAPPED_ADDRESS, &want);
		sl_stun_put_xor_addr(&w, SL_STUN_XOR_MAPPED_ADDRESS, &want);
		CHECK_INT(sl_stun_finish(&w, &len), 0);
		CHECK_INT(sl_stun_parse(&m, p, len), 0);
		CHECK(sl_stun_find(&m, SL_STUN_MAPPED_ADDRESS, &plain));
		CHECK(sl_stun_find(&m, SL_STUN_XOR_MAPPED_ADDRESS, &xored));
		CHECK_INT(sl_stun_get_addr(&m, &plain, &got), 0);
		CHECK(sl_addr_eq(&got, &want));
		CHECK_INT(sl_stun_get_xor_addr(&m, &xored, &got), 0);
		CHECK(sl_addr_eq(&got, &want));
	}
}

TEST(a_mapped_ipv4_address_comes_out_as_ipv4)
{
	struct sl_addr mapped = {.family = 6, .port = 9}, want = addr("127.0.0.1:9"), got;
	struct sl_stun_attr a;
	struct sl_stun_writer w;
	struct sl_stun_msg m;
	uint8_t p[64];
	size_t len;

	memcpy(mapped.ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
	sl_stun_begin(&w, p, sizeof p, SL_STUN_REQUEST, SL_TURN_CREATE_PERMISSION, txid);
	sl_stun_put_xor_addr(&w, SL_TURN_XOR_PEER_ADDRESS, &mapped);
	CHECK_INT(sl_stun_finish(&w, &len), 0);
	CHECK_INT(sl_stun_parse(&m, p, len), 0);
	CHECK(sl_stun_find(&m, SL_TURN_XOR_PEER_ADDRESS, &a));
	CHECK_INT(sl_stun_get_xor_addr(&m, &a, &got), 0);
	CHECK(sl_addr_eq(&got, &want));
}

TEST(an_address_of_wrong_family_or_length_is_refused)
{
	uint8_t value[20] = {0, 1, 0, 1};
	struct sl_stun_attr a = {.type = SL_STUN_MAPPED_ADDRESS, .data = value};
	struct sl_stun_msg m;
	struct sl_addr got;

	CHECK_INT(sl_stun_parse(&m, request, sizeof request), 0);
	for (uint16_t len = 0; len <= 20; len++) {
		a.len = len;
		value[1] = 1;
		CHECK_INT(sl_stun_get_addr(&m, &a, &got), len == 8 ? 0 : -SL_EPARSE);
		value[1] = 2;
		CHECK_INT(sl_stun_get_addr(&m, &a, &got), len == 20 ? 0 : -SL_EPARSE);
		value[1] = 3;
		CHECK_INT(sl_stun_get_addr(&m, &a, &got), -SL_EPARSE);
	}
}

TEST(what_follows_integrity_is_not_believed)
{
	struct sl_stun_attr a;
	struct sl_stun_writer w;
	struct sl_stun_msg m;
	uint8_t p[128];
	size_t len;

	sl_stun_begin(&w, p, sizeof p, SL_STUN_REQUEST, SL_STUN_BINDING, txid);
	sl_stun_put_str(&w, SL_STUN_USERNAME, SL_STR("a:b"));
	sl_stun_put_integrity(&w, short_key);
	sl_stun_put(&w, SL_STUN_USE_CANDIDATE, NULL, 0);
	sl_stun_put_fingerprint(&w);
	CHECK_INT(sl_stun_finish(&w, &len), 0);
	CHECK_INT(sl_stun_parse(&m, p, len), 0);
	CHECK_INT(sl_stun_check_integrity(&m, short_key), 0);
	CHECK_INT(sl_stun_check_fingerprint(&m), 0);
	CHECK(!sl_stun_find(&m, SL_STUN_USE_CANDIDATE, &a));
	CHECK(sl_stun_find(&m, SL_STUN_USERNAME, &a));
}

TEST(a_fingerprint_that_is_not_last_is_wrong)
{
	struct sl_stun_writer w;
	struct sl_stun_msg m;
	uint8_t p[64];
	size_t len;

	sl_stun_begin(&w, p, sizeof p, SL_STUN_REQUEST, SL_STUN_BINDING, txid);
	sl_stun_put_fingerprint(&w);
	sl_stun_put_u32(&w, SL_STUN_PRIORITY, 1);
	CHECK_INT(sl_stun_finish(&w, &len), 0);
	CHECK_INT(sl_stun_parse(&m, p, len), 0);
	CHECK_INT(sl_stun_check_fingerprint(&m), -SL_EAUTH);
}

TEST(unknown_attributes_are_told_once_each)
{
	static const uint16_t known[] = {SL_STUN_USERNAME};
	struct sl_stun_writer w;
	struct sl_stun_msg m;
	uint16_t types[4];
	uint8_t p[256];
	size_t len;

	sl_stun_begin(&w, p, sizeof p, SL_STUN_REQUEST, SL_STUN_BINDING, txid);
	sl_stun_put_str(&w, SL_STUN_USERNAME, SL_STR("u"));
	sl_stun_put_u32(&w, 0x7001, 0);
	sl_stun_put_u32(&w, 0x7001, 0);
	sl_stun_put_u32(&w, 0x9001, 0); /* comprehension-optional */
	sl_stun_put_u32(&w, 0x7002, 0);
	CHECK_INT(sl_stun_finish(&w, &len), 0);
	CHECK_INT(sl_stun_parse(&m, p, len), 0);
	CHECK_INT(sl_stun_unknown(&m, known, 1, types, 4), 2);
	CHECK_INT(types[0], 0x7001);
	CHECK_INT(types[1], 0x7002);
	CHECK_INT(sl_stun_unknown(&m, known, 1, types, 1), 1);
}

TEST(the_writer_never_passes_its_buffer)
{
	uint8_t p[136];
	const struct sl_addr a = addr("[2001:db8::1]:1");

	for (size_t cap = 0; cap <= 128; cap++) {
		struct sl_stun_writer w;
		size_t len = 0;
		int err;

		memset(p, 0xee, sizeof p);
		sl_stun_begin(&w, p, cap, SL_STUN_ERROR, SL_STUN_BINDING, txid);
		sl_stun_put_error(&w, 420, SL_STR("Unknown Attribute"));
		sl_stun_put_xor_addr(&w, SL_STUN_XOR_MAPPED_ADDRESS, &a);
		sl_stun_put_str(&w, SL_STUN_SOFTWARE, SL_STR("x"));
		sl_stun_put_integrity(&w, short_key);
		sl_stun_put_fingerprint(&w);
		err = sl_stun_finish(&w, &len);
		CHECK_INT(err, cap >= 20 + 28 + 24 + 8 + 24 + 8 ? 0 : -SL_EFULL);
		for (size_t i = cap; i < sizeof p; i++)
			CHECK_INT(p[i], 0xee);
	}
}

TEST(an_error_code_is_class_and_number)
{
	struct sl_stun_attr a;
	struct sl_stun_writer w;
	struct sl_stun_msg m;
	uint8_t p[64];
	size_t len;

	sl_stun_begin(&w, p, sizeof p, SL_STUN_ERROR, SL_STUN_BINDING, txid);
	sl_stun_put_error(&w, 438, sl_str_c(sl_stun_reason(438)));
	CHECK_INT(sl_stun_finish(&w, &len), 0);
	CHECK_INT(sl_stun_parse(&m, p, len), 0);
	CHECK(sl_stun_find(&m, SL_STUN_ERROR_CODE, &a));
	CHECK_INT(a.data[2], 4);
	CHECK_INT(a.data[3], 38);
	CHECK_MEM(a.data + 4, "Stale Nonce", 11);
	CHECK(sl_stun_reason(999)[0] == 0);
}

TEST_MAIN()
