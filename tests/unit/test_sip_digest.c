/*
 * Digests: the example of RFC 7616 section 3.9.1 for both algorithms, challenges answered by our
 * own client.
 */
#include "lib/test.h"

#include "modules/sip-gateway/digest.h"

#define RFC_COMMON                                                                                 \
	"username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", "          \
	"nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, "                    \
	"cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, "

static struct digest d;

TEST(the_examples_of_rfc_7616_hold)
{
	CHECK_INT(
		digest_parse(
			&d, SL_STR("Digest " RFC_COMMON
				   "response=\"8ca523f5e9506fed4657c9700eebdbec\", algorithm=MD5")),
		0);
	CHECK(digest_matches(&d, SL_STR("Circle of Life"), SL_STR("GET")));
	CHECK(!digest_matches(&d, SL_STR("Circle of Lite"), SL_STR("GET")));
	CHECK(!digest_matches(&d, SL_STR("Circle of Life"), SL_STR("PUT")));
	CHECK_INT(digest_parse(&d, SL_STR("digest " RFC_COMMON
					  "response=\"753927fa0e85d155564e2e272a28d1802ca10daf449"
					  "6794697cf8db5856cb6c1\", algorithm=SHA-256")),
		  0);
	CHECK(digest_matches(&d, SL_STR("Circle of Life"), SL_STR("GET")));
}

TEST(what_is_no_digest_is_refused)
{
	enum sip_algorithm a;

	CHECK_INT(digest_parse(&d, SL_STR("Basic abc")), -SL_EPARSE);
	CHECK_INT(digest_parse(&d, SL_STR("Digest realm=\"x\"")), -SL_EPARSE);
	CHECK_INT(digest_parse(&d, SL_STR("Digest realm=\"x\", nonce=\"y\", algorithm=token")), 0);
	CHECK_INT(digest_algorithm(&d, &a), -SL_EUNSUPP);
}

/* *b has what a client says to a challenge of ours. */
static int exchange(struct sl_buf *b, enum sip_algorithm a, const char *nonce)
{
	const struct digest_answer by = {.username = SL_STR("1001"),
					 .password = SL_STR("secret"),
					 .method = SL_STR("REGISTER"),
					 .uri = SL_STR("sip:sluice"),
					 .n = 1};
	struct sl_buf challenge;
	int rc;

	sl_buf_init(&challenge, 0);
	digest_challenge(&challenge, SL_STR("sluice"), nonce, a, false);
	rc = digest_parse(&d, sl_buf_view(&challenge));
	if (rc == 0)
		rc = digest_answer(b, &d, &by);
	sl_buf_free(&challenge);
	return rc;
}

TEST(our_client_satisfies_our_server)
{
	static const char *const nonce = "0123456789abcdef";
	struct sl_buf b;

	for (unsigned a = 0; a < SIP_N_ALGORITHMS; a++) {
		sl_buf_init(&b, 0);
		CHECK_INT(exchange(&b, (enum sip_algorithm)a, nonce), 0);
		CHECK_INT(digest_parse(&d, sl_buf_view(&b)), 0);
		CHECK(digest_matches(&d, SL_STR("secret"), SL_STR("REGISTER")));
		CHECK_STR(d.nonce, nonce);
		sl_buf_free(&b);
	}
}

TEST_MAIN()
