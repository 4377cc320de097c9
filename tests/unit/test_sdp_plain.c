/*
 * Telephones' offers: read, agreed upon and answered, without WebRTC.
 */
#include <sluice/sdp_plain.h>
#include "lib/test.h"

static struct sl_pool *pool;
static struct sl_sdp sdp;
static struct sl_plain section;

static int read_first(const char *body)
{
	struct sl_sdp_error error;
	char text[2048];

	sl_pool_destroy(pool);
	pool = sl_pool_new(0);
	snprintf(text, sizeof text,
		 "v=0\r\no=- 1 1 IN IP4 192.0.2.4\r\ns=-\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\n%s",
		 body);
	sl_assert(sl_sdp_parse(&sdp, pool, sl_pool_str(pool, sl_str_c(text)), &error) == 0);
	return sl_plain_read(&section, &sdp, 0);
}

static struct sl_str addr(const struct sl_addr *a)
{
	static char text[SL_ADDR_STRLEN];

	return sl_str_c(sl_addr_format(text, a));
}

#define DESK_PHONE                                                                                 \
	"m=audio 11780 RTP/AVP 9 8 0 18 101 13\r\na=rtpmap:9 G722/8000\r\na=rtpmap:18 "            \
	"G729/8000\r\n"                                                                            \
	"a=fmtp:18 annexb=no\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"          \
	"a=ptime:20\r\na=maxptime:150\r\n"

static const struct sl_sdp_format own[] = {
	{.name = SL_STR_INIT("opus"), .clock_hz = 48000, .channels = 2},
	{.name = SL_STR_INIT("PCMU"), .clock_hz = 8000, .channels = 1},
	{.name = SL_STR_INIT("PCMA"), .clock_hz = 8000, .channels = 1},
	{.name = SL_STR_INIT("telephone-event"), .clock_hz = 8000, .channels = 1},
	{.name = SL_STR_INIT("telephone-event"), .clock_hz = 48000, .channels = 1},
};

TEST(a_desk_phones_section_is_read)
{
	CHECK_INT(read_first(DESK_PHONE), 0);
	CHECK_INT(section.kind, SL_MEDIA_AUDIO);
	CHECK_STR(addr(&section.rtp), "192.0.2.4:11780");
	CHECK_STR(addr(&section.rtcp), "192.0.2.4:11781");
	CHECK_INT(section.direction, SL_SDP_SENDRECV);
	CHECK_INT(section.n_formats, 6);
	CHECK_STR(section.formats[2].name, "PCMU");
	CHECK_INT(section.ptime_ms, 20);
	CHECK_INT(section.maxptime_ms, 150);
	CHECK(!sl_plain_is_secure(&section) && !section.mux && !section.rejected);
}

TEST(rtcp_may_be_elsewhere_or_on_the_same_port)
{
	CHECK_INT(read_first("m=audio 4000 RTP/AVP 0\r\na=rtcp:4005\r\n"), 0);
	CHECK_STR(addr(&section.rtcp), "192.0.2.4:4005");
	CHECK_INT(
		read_first(
			"m=audio 4000 RTP/AVP 0\r\na=rtcp:9 IN IP6 2001:db8::1\r\na=rtcp-mux\r\n"),
		0);
	CHECK_STR(addr(&section.rtcp), "[2001:db8::1]:9");
	CHECK(section.mux);
	CHECK_INT(read_first("m=audio 4000 RTP/AVP 0\r\na=rtcp:0\r\n"), 0);
	CHECK_STR(addr(&section.rtcp), "192.0.2.4:4001");
}

TEST(hold_is_understood_in_both_ways)
{
	CHECK_INT(read_first("m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n"), 0);
	CHECK_INT(section.direction, SL_SDP_SENDONLY);
	CHECK_INT(read_first("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n"), 0);
	CHECK_INT(section.direction, SL_SDP_SENDONLY);
	CHECK_INT(read_first("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=recvonly\r\n"), 0);
	CHECK_INT(section.direction, SL_SDP_INACTIVE);
	CHECK_INT(read_first("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n"),
		  0);
	CHECK_INT(section.direction, SL_SDP_SENDRECV);
}

TEST(sections_of_other_kinds_are_left_to_be_rejected)
{
	struct sl_buf b;

	CHECK_INT(read_first("m=image 5000 udptl t38\r\n"), -SL_EUNSUPP);
	CHECK_INT(read_first("m=audio 5000 RTP/XAVP 0 8\r\n"), -SL_EUNSUPP);
	sl_buf_init(&b, 0);
	sl_plain_reject(&b, &sdp.media[0]);
	CHECK_STR(sl_buf_view(&b), "m=audio 0 RTP/XAVP 0\r\n");
	sl_buf_free(&b);
	CHECK_INT(read_first("m=audio 0 RTP/AVP 0\r\n"), 0);
	CHECK(section.rejected);
}

TEST(both_can_what_stands_in_both_lists)
{
	struct sl_sdp_format both[SL_PLAIN_MAX_FORMATS];

	CHECK_INT(read_first(DESK_PHONE), 0);
	CHECK_INT(sl_plain_agree(both, &section, own, SL_ARRAY_LEN(own)), 3);
	CHECK_INT(both[0].pt, 8);
	CHECK_INT(both[1].pt, 0);
	CHECK_INT(both[2].pt, 101);
	CHECK_STR(both[2].params, "0-15");
}

TEST(events_go_with_a_codec_of_their_clock)
{
	struct sl_sdp_format both[SL_PLAIN_MAX_FORMATS];

	CHECK_INT(read_first("m=audio 4000 RTP/AVP 100 101 96 8\r\na=rtpmap:100 "
			     "telephone-event/48000\r\n"
			     "a=rtpmap:101 telephone-event/8000\r\na=rtpmap:96 opus/48000/2\r\n"
			     "a=rtpmap:8 FOREIGN/8000\r\n"),
		  0);
	CHECK_INT(sl_plain_agree(both, &section, own, SL_ARRAY_LEN(own)), 2);
	CHECK_INT(both[0].pt, 100);
	CHECK_INT(both[1].pt, 96);
	CHECK_INT(read_first("m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n"),
		  0);
	CHECK_INT(sl_plain_agree(both, &section, own, SL_ARRAY_LEN(own)), 0);
}

#define CRYPTO "AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"

TEST(keys_make_a_section_secure)
{
	CHECK_INT(
		read_first("m=audio 4000 RTP/SAVP 0\r\na=crypto:1 F8 inline:x\r\na=crypto:2 " CRYPTO
			   "\r\n"),
		0);
	CHECK(sl_plain_is_secure(&section));
	CHECK_INT(section.n_keys, 1);
	CHECK_INT(section.keys[0].tag, 2);
	CHECK_INT(read_first("m=audio 4000 RTP/AVP 0\r\na=crypto:1 " CRYPTO "\r\n"), 0);
	CHECK(sl_plain_is_secure(&section));
	CHECK_INT(read_first("a=fingerprint:sha-256 AA\r\na=setup:actpass\r\n"
			     "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\n"),
		  0);
	CHECK(sl_plain_is_secure(&section));
	CHECK_STR(section.fingerprint, "sha-256 AA");
	CHECK_STR(section.setup, "actpass");
	CHECK_INT(section.n_keys, 0);
}

TEST(feedback_is_that_of_any_format)
{
	struct sl_plain ours;
	struct sl_buf b;

	CHECK_INT(read_first("m=video 4002 RTP/AVP 97\r\nc=IN IP4 192.0.2.7\r\n"
			     "a=rtpmap:97 H264/90000\r\na=rtcp-fb:97 nack pli\r\n"
			     "a=rtcp-fb:* ccm fir\r\na=rtcp-fb:97 nack rpsi\r\n"),
		  0);
	CHECK_INT(section.kind, SL_MEDIA_VIDEO);
	CHECK_INT(section.feedback, SL_PLAIN_PLI | SL_PLAIN_FIR);
	ours = section;
	ours.feedback |= SL_PLAIN_NACK | SL_PLAIN_TMMBR | SL_PLAIN_REMB;
	sl_buf_init(&b, 0);
	sl_plain_write(&b, &ours);
	sl_buf_u8(&b, 0);
	CHECK_INT(read_first((const char *)b.p), 0);
	CHECK_INT(section.feedback, SL_PLAIN_PLI | SL_PLAIN_FIR | SL_PLAIN_NACK | SL_PLAIN_TMMBR |
					    SL_PLAIN_REMB);
	sl_buf_free(&b);
}

TEST(an_answer_is_written_and_read_again)
{
	struct sl_plain ours = {0};
	struct sl_buf b;

	CHECK_INT(read_first(DESK_PHONE "a=sendonly\r\na=crypto:3 " CRYPTO "\r\n"), 0);
	ours = section;
	ours.rtp = (struct sl_addr){.family = 4, .port = 9000, .ip = {198, 51, 100, 1}};
	ours.rtcp = ours.rtp;
	ours.rtcp.port = 9002;
	ours.direction = sl_sdp_turn(section.direction);
	ours.limit_bps = 64000;
	ours.n_formats = sl_plain_agree(ours.formats, &section, own, SL_ARRAY_LEN(own));
	sl_buf_init(&b, 0);
	sl_plain_write(&b, &ours);
	CHECK_STR(sl_buf_view(&b), "m=audio 9000 RTP/AVP 8 0 101\r\nc=IN IP4 198.51.100.1\r\n"
				   "b=AS:64\r\nb=TIAS:64000\r\n"
				   "a=crypto:3 " CRYPTO "\r\n"
				   "a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
				   "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
				   "a=ptime:20\r\na=maxptime:150\r\na=recvonly\r\na=rtcp:9002\r\n");
	sl_buf_u8(&b, 0);
	CHECK_INT(read_first((const char *)b.p), 0);
	CHECK_STR(addr(&section.rtcp), "198.51.100.1:9002");
	CHECK_INT(section.direction, SL_SDP_RECVONLY);
	sl_buf_free(&b);
}

TEST(a_telephone_with_more_formats_than_anybody_has_is_cut)
{
	char text[512] = "m=audio 4000 RTP/AVP 0 3 4 8 9 10 11 13 15 18 26 31 34\r\n";

	CHECK_INT(read_first(text), 0);
	CHECK_INT(section.n_formats, 13);
	snprintf(text, sizeof text, "m=audio 4000 RTP/AVP");
	for (int pt = 100; pt < 125; pt++)
		snprintf(text + strlen(text), sizeof text - strlen(text), " %d", pt);
	for (int pt = 100; pt < 110; pt++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "\r\na=rtpmap:%d x/8000",
			 pt);
	CHECK_INT(read_first(text), 0);
	CHECK_INT(section.n_formats, 10);
}

TEST_MAIN()
