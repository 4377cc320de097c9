/*
 * Codecs as JSEP keeps them: which parameters stay, and how many fit.
 */
#include "lib/jsep.h"
#include "proto/jsep_impl.h"

TEST(parameters_for_one_direction_are_not_kept)
{
	struct jsep_codec c;

	codec_set_params(&c, SL_STR("sprop-stereo=1; stereo=1;max-fs=12;flag;usedtx=1"));
	CHECK_STR(sl_str_c(c.params), "stereo=1;flag;usedtx=1");
	codec_set_params(&c, SL_STR_NULL);
	CHECK_STR(sl_str_c(c.params), "");
}

TEST(a_parameter_that_does_not_fit_is_left_out_whole)
{
	char text[400];
	struct jsep_codec c;

	memset(text, 'x', sizeof text);
	memcpy(text + sizeof text - 5, ";b=12", 5);
	codec_set_params(&c, (struct sl_str){text, sizeof text});
	CHECK_STR(sl_str_c(c.params), "b=12");
	/* To the last byte */
	codec_set_params(&c, (struct sl_str){text, JSEP_MAX_PARAMS - 1});
	CHECK_INT(strlen(c.params), JSEP_MAX_PARAMS - 1);
	codec_set_params(&c, (struct sl_str){text, JSEP_MAX_PARAMS});
	CHECK_INT(strlen(c.params), 0);
}

TEST_MAIN()
