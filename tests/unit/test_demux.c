/* The classifier over all first bytes (RFC 7983, RFC 9443), and its refusal of what is too short.
 */
#include <sluice/buf.h>
#include <sluice/stun.h>
#include "lib/test.h"

static enum sl_demux classify(uint8_t first, uint8_t second, size_t len)
{
	uint8_t p[64] = {first, second};

	sl_put32(p + 4, SL_STUN_COOKIE);
	return sl_demux(p, len);
}

TEST(every_first_byte_has_its_protocol)
{
	for (unsigned b = 0; b < 256; b++) {
		enum sl_demux want = b < 4     ? SL_DEMUX_STUN
				     : b < 16  ? SL_DEMUX_UNKNOWN
				     : b < 20  ? SL_DEMUX_ZRTP
				     : b < 64  ? SL_DEMUX_DTLS
				     : b < 80  ? SL_DEMUX_CHANNEL
				     : b < 128 ? SL_DEMUX_QUIC
				     : b < 192 ? SL_DEMUX_RTP
					       : SL_DEMUX_QUIC;

		CHECK_INT(classify((uint8_t)b, 0, 64), want);
	}
}

TEST(rtcp_is_told_from_rtp_by_its_packet_type)
{
	for (unsigned b = 0; b < 256; b++)
		CHECK_INT(classify(0x80, (uint8_t)b, 64),
			  b >= 192 && b <= 223 ? SL_DEMUX_RTCP : SL_DEMUX_RTP);
}

TEST(too_short_is_unknown)
{
	static const struct {
		uint8_t first, second;
		size_t header;
	} kinds[] = {{0, 1, 20}, {16, 0, 12},	{22, 0, 13},
		     {64, 0, 4}, {0x80, 0, 12}, {0x80, 200, 8}};

	CHECK_INT(sl_demux(NULL, 0), SL_DEMUX_UNKNOWN);
	for (size_t i = 0; i < SL_ARRAY_LEN(kinds); i++) {
		CHECK(classify(kinds[i].first, kinds[i].second, kinds[i].header) !=
		      SL_DEMUX_UNKNOWN);
		for (size_t len = 0; len < kinds[i].header; len++)
			CHECK_INT(classify(kinds[i].first, kinds[i].second, len), SL_DEMUX_UNKNOWN);
	}
}

TEST(stun_needs_its_magic_cookie)
{
	uint8_t p[20] = {0, 1};

	CHECK_INT(sl_demux(p, sizeof p), SL_DEMUX_UNKNOWN);
	sl_put32(p + 4, SL_STUN_COOKIE);
	CHECK_INT(sl_demux(p, sizeof p), SL_DEMUX_STUN);
}

TEST_MAIN()
