/*
 * The table of capabilities is consistent: no number twice, all parameters meet themselves.
 */
#include "lib/jsep.h"
#include "proto/jsep_impl.h"

static void take(bool used[128], unsigned pt)
{
	sl_assert(pt < 128 && !used[pt]);
	used[pt] = true;
}

TEST(no_number_stands_for_two_things)
{
	bool used[128] = {false};

	for (unsigned i = 0; i < rtc_caps.n_audio; i++)
		take(used, rtc_caps.audio[i].pt);
	for (unsigned i = 0; i < rtc_caps.n_video; i++) {
		take(used, rtc_caps.video[i].pt);
		take(used, rtc_caps.video[i].rtx_pt);
	}
	for (unsigned pt = 64; pt < 96; pt++)
		CHECK(!used[pt]); /* they look like RTCP */
}

TEST(each_video_format_is_the_same_as_itself_only)
{
	for (unsigned i = 0; i < rtc_caps.n_video; i++)
		for (unsigned k = 0; k < rtc_caps.n_video; k++)
			CHECK(codec_is_same(&rtc_caps.video[i], &rtc_caps.video[k]) == (i == k));
}

TEST(there_is_room_for_all_of_it)
{
	CHECK(rtc_caps.n_audio <= JSEP_MAX_CODECS && rtc_caps.n_video <= JSEP_MAX_CODECS);
	CHECK(rtc_caps.data && !rtc_caps_without_data.data);
	CHECK_INT(rtc_caps.max_message, 256 * 1024);
}

TEST_MAIN()
