/*
 * Written descriptions: their form, and that ours are read by us.
 */
#include <sluice/sdp.h>
#include "lib/test.h"

TEST(what_is_written_is_read_again)
{
	const struct sl_addr addr = {.family = 4, .port = 7, .ip = {192, 0, 2, 1}};
	struct sl_pool *pool = sl_pool_new(0);
	struct sl_sdp_error error;
	struct sl_sdp sdp;
	struct sl_str v;
	struct sl_buf b;

	sl_buf_init(&b, 0);
	sl_sdp_begin(&b, UINT64_MAX, 3, &addr);
	sl_sdp_put(&b, "ice-lite");
	sl_sdp_begin_media(&b, SL_STR("audio"), 4000, SL_STR("RTP/AVP"));
	sl_sdp_put_format(&b, 0);
	sl_sdp_put_format(&b, 101);
	sl_sdp_end_media(&b, NULL);
	sl_sdp_putf(&b, "rtpmap", "%u %s", 101, "telephone-event/8000");
	CHECK_INT(sl_buf_ok(&b), 0);
	CHECK_STR(sl_buf_view(&b), "v=0\r\no=- 18446744073709551615 3 IN IP4 192.0.2.1\r\ns=-\r\n"
				   "c=IN IP4 192.0.2.1\r\nt=0 0\r\na=ice-lite\r\n"
				   "m=audio 4000 RTP/AVP 0 101\r\nc=IN IP4 0.0.0.0\r\n"
				   "a=rtpmap:101 telephone-event/8000\r\n");
	CHECK_INT(sl_sdp_parse(&sdp, pool, sl_buf_view(&b), &error), 0);
	CHECK(sl_sdp_attr(&sdp, NULL, "ice-lite", &v));
	CHECK_INT(sdp.media[0].n_formats, 2);
	CHECK_STR(sl_str_c(sl_sdp_direction_name(SL_SDP_RECVONLY)), "recvonly");
	sl_buf_free(&b);
	sl_pool_destroy(pool);
}

TEST(a_value_that_does_not_fit_is_a_failure_not_a_cut)
{
	char value[2000];
	struct sl_buf b;

	memset(value, 'x', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	sl_buf_init(&b, 0);
	sl_sdp_putf(&b, "candidate", "%s", value);
	CHECK(sl_buf_ok(&b) < 0);
	sl_buf_free(&b);
}

TEST_MAIN()
