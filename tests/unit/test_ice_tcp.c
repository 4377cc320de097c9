/*
 * Frames of ICE over TCP: whole ones and parts, lengths that cannot be, and a first check among the other protocols of a
 * shared port.
 */
#include "lib/test.h"
#include "proto/ice_tcp.h"

#include <sluice/buf.h>

static uint8_t wire[64 + SL_PACKET_MAX];

/* A framed Binding request with so many bytes of attributes; returns its length. */
static size_t put_check(size_t attributes)
{
	static const uint8_t cookie[] = {0x21, 0x12, 0xa4, 0x42};

	memset(wire, 0, sizeof wire);
	sl_put16(wire, (uint16_t)(SL_STUN_HEADER + attributes));
	sl_put16(wire + 2, SL_STUN_BINDING);
	sl_put16(wire + 4, (uint16_t)attributes);
	memcpy(wire + 6, cookie, sizeof cookie);
	return ICE_TCP_HEADER + SL_STUN_HEADER + attributes;
}

static bool begins_like_a_check(const void *bytes, size_t len)
{
	return ice_tcp_may_be_check(bytes, len);
}

TEST(a_frame_is_whole_with_its_last_byte)
{
	size_t len = put_check(8);

	for (size_t n = 0; n < len; n++)
		CHECK_INT(ice_tcp_frame(wire, n), 0);
	CHECK_INT(ice_tcp_frame(wire, len), len);
	CHECK_INT(ice_tcp_frame(wire, len + 5), len); /* the next one follows */
}

TEST(an_empty_frame_is_one)
{
	static const uint8_t empty[] = {0, 0, 9};

	CHECK_INT(ice_tcp_frame(empty, 1), 0);
	CHECK_INT(ice_tcp_frame(empty, 2), 2);
	CHECK_INT(ice_tcp_frame(empty, 3), 2);
}

TEST(what_no_packet_can_hold_is_known_by_its_header)
{
	uint8_t header[2];

	sl_put16(header, SL_PACKET_MAX);
	CHECK(!ice_tcp_too_long(header, 2));
	sl_put16(header, SL_PACKET_MAX + 1);
	CHECK(ice_tcp_too_long(header, 2));
	CHECK(!ice_tcp_too_long(header, 1));
	CHECK(!begins_like_a_check(header, 2));
}

TEST(every_beginning_of_a_check_may_become_one)
{
	size_t len = put_check(72);

	for (size_t n = 1; n <= len; n++)
		CHECK(ice_tcp_may_be_check(wire, n));
}

TEST(one_wrong_byte_before_the_transaction_tells_it_apart)
{
	size_t len = put_check(72);

	for (size_t i = 0; i < ICE_TCP_COOKIE_END; i++) {
		wire[i] ^= 0x80;
		CHECK(!ice_tcp_may_be_check(wire, len));
		wire[i] ^= 0x80;
	}
	CHECK(ice_tcp_may_be_check(wire, len));
}

TEST(other_protocols_of_the_port_are_none)
{
	static const uint8_t tls[] = {0x16, 3, 1, 2, 0}, turn[] = {0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42},
			     stun[] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, channel[] = {0x40, 0, 0, 4};

	CHECK(!begins_like_a_check("GET / HTTP/1.1", 14));
	CHECK(!begins_like_a_check("PROXY TCP4", 10));
	CHECK(!begins_like_a_check(tls, sizeof tls));
	CHECK(!begins_like_a_check(turn, sizeof turn));
	CHECK(!begins_like_a_check(stun, sizeof stun));
	CHECK(!begins_like_a_check(channel, sizeof channel));
}

TEST_MAIN()
