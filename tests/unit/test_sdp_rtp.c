/*
 * Payload types and what they mean: said by rtpmap, or known for thirty years.
 */
#include <sluice/sdp.h>
#include "lib/test.h"

static struct sl_pool *pool;
static struct sl_sdp_format formats[SL_SDP_MAX_FORMATS];

static unsigned read(const char *section)
{
	struct sl_sdp sdp;
	struct sl_sdp_error error;
	char text[1024];

	sl_pool_destroy(pool);
	pool = sl_pool_new(0);
	/* The views live as long as the text: it goes into the pool too. */
	snprintf(text, sizeof text, "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n%s", section);
	sl_assert(sl_sdp_parse(&sdp, pool, sl_pool_str(pool, sl_str_c(text)), &error) == 0);
	return sl_sdp_formats(&sdp.media[0], formats);
}

TEST(formats_are_what_rtpmap_and_fmtp_say)
{
	CHECK_INT(read("m=audio 9 RTP/AVP 111 63\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n"
		       "a=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 "
		       "111/111\r\n"),
		  2);
	CHECK_INT(formats[0].pt, 111);
	CHECK_STR(formats[0].name, "opus");
	CHECK_INT(formats[0].clock_hz, 48000);
	CHECK_INT(formats[0].channels, 2);
	CHECK_STR(formats[0].params, "minptime=10;useinbandfec=1");
	CHECK_STR(formats[1].params, "111/111");
}

TEST(static_payload_types_need_no_rtpmap)
{
	CHECK_INT(read("m=audio 9 RTP/AVP 9 0 8 10 96\r\n"), 5);
	CHECK_STR(formats[0].name, "G722");
	CHECK_INT(formats[0].clock_hz, 8000);
	CHECK_STR(formats[1].name, "PCMU");
	CHECK_STR(formats[2].name, "PCMA");
	CHECK_INT(formats[3].channels, 2);
	CHECK_INT(formats[4].clock_hz, 0);
	CHECK_INT(formats[4].name.len, 0);
}

TEST(an_rtpmap_goes_before_what_is_known)
{
	CHECK_INT(read("m=audio 9 RTP/AVP 0\r\na=rtpmap:0 mine/16000\r\n"), 1);
	CHECK_STR(formats[0].name, "mine");
	CHECK_INT(formats[0].clock_hz, 16000);
	CHECK_INT(formats[0].channels, 1);
}

TEST(the_first_of_several_counts_and_nonsense_does_not)
{
	CHECK_INT(read("m=audio 9 RTP/AVP 96 96 128 x 97\r\na=rtpmap:96 a/0\r\na=rtpmap:96 b/x\r\n"
		       "a=rtpmap:96 c/8000/0\r\na=rtpmap:96 d/8000\r\na=rtpmap:96 e/8000\r\n"
		       "a=rtpmap:99 f/8000\r\na=rtpmap:\r\na=fmtp\r\na=rtpmap:97 /8000\r\n"),
		  2);
	CHECK_STR(formats[0].name, "d");
	CHECK_INT(formats[1].pt, 97);
	CHECK_INT(formats[1].clock_hz, 0);
}

TEST(parameters_are_found_by_name_in_any_case)
{
	struct sl_str params = SL_STR(" a=1; Profile-ID=2 ;;flag;b= x=y ");
	struct sl_str v;

	CHECK(sl_sdp_param(params, "profile-id", &v));
	CHECK_STR(v, "2");
	CHECK(sl_sdp_param(params, "flag", &v));
	CHECK(!v.p);
	CHECK(sl_sdp_param(params, "b", &v));
	CHECK_STR(v, "x=y");
	CHECK(!sl_sdp_param(params, "prof", &v));
	CHECK(!sl_sdp_param(SL_STR_NULL, "a", &v));
}

TEST_MAIN()
