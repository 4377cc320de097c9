/*
 * Signatures of events: the example of the Standard Webhooks specification's first implementation,
 * and secrets of other shapes. Names of events against patterns.
 */
#include "lib/test.h"
#include "modules/webhooks/webhooks.h"

TEST(the_published_example_is_signed_as_published)
{
	char signature[SIGN_MAX];

	sign_body(SL_STR("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
		  SL_STR("msg_p5jXN8AQM9LWM0D4loKWxJek"), 1614265330,
		  SL_STR("{\"test\": 2432232314}"), signature);
	CHECK_STR(sl_str_c(signature), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(a_secret_that_is_no_base64_is_taken_as_it_is)
{
	char plain[SIGN_MAX], coded[SIGN_MAX], odd[SIGN_MAX];

	sign_body(SL_STR("secret"), SL_STR("a"), 1, SL_STR("{}"), plain);
	sign_body(SL_STR("whsec_c2VjcmV0"), SL_STR("a"), 1, SL_STR("{}"), coded);
	sign_body(SL_STR("whsec_!"), SL_STR("a"), 1, SL_STR("{}"), odd);
	CHECK_STR(sl_str_c(plain), coded);
	CHECK(strcmp(plain, odd) != 0);
	sign_body(SL_STR("secret"), SL_STR("a"), 2, SL_STR("{}"), odd);
	CHECK(strcmp(plain, odd) != 0);
}

TEST(patterns_are_names_or_their_beginnings)
{
	struct sl_str some[] = {SL_STR("recorder.*"), SL_STR("turn.allocated")},
		      all[] = {SL_STR("*")};
	struct hook_conf h = {.events = {some, 2}};

	CHECK(hook_wants(&h, SL_STR("recorder.started")));
	CHECK(hook_wants(&h, SL_STR("recorder.")));
	CHECK(hook_wants(&h, SL_STR("turn.allocated")));
	CHECK(!hook_wants(&h, SL_STR("turn.allocated.more")));
	CHECK(!hook_wants(&h, SL_STR("recorder")));
	CHECK(!hook_wants(&h, SL_STR("")));
	h.events = (struct sl_list){all, 1};
	CHECK(hook_wants(&h, SL_STR("anything")));
}

TEST_MAIN()
