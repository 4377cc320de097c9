/*
 * Signature Version 4 by the vectors of AWS' test suite (those that S3 signs alike: no dots
 * resolved), and by the examples for S3 in its documentation.
 */
#include <sluice/crypto.h>
#include "lib/test.h"
#include "modules/recorder/sigv4.h"

#define P(n, v)                                                                                    \
	{                                                                                          \
		SL_STR_INIT(n), SL_STR_INIT(v)                                                     \
	}
#define UNRESERVED "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define HOST P("host", "example.amazonaws.com"), P("x-amz-date", "20150830T123600Z")
#define STS_TOKEN                                                                                  \
	"AQoDYXdzEPT//////////"                                                                    \
	"wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxf"                     \
	"pSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/"                                                 \
	"kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPk"                                        \
	"yQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+"                                  \
	"xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBA"                                                       \
	"z+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

static const struct vector {
	const char *name, *method, *path, *body, *signature;
	struct sigv4_pair query[2], headers[5];
} suite[] = {
	{"get-vanilla",
	 "GET",
	 "/",
	 "",
	 "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
	 {P("", "")},
	 {HOST}},
	{"get-header-key-duplicate",
	 "GET",
	 "/",
	 "",
	 "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
	 {P("", "")},
	 {HOST, P("my-header1", "value2"), P("my-header1", "value2"), P("my-header1", "value1")}},
	{"get-header-value-order",
	 "GET",
	 "/",
	 "",
	 "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
	 {P("", "")},
	 {HOST, P("my-header1", "value4,value1"), P("my-header1", "value3"),
	  P("my-header1", "value2")}},
	{"get-header-value-trim",
	 "GET",
	 "/",
	 "",
	 "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
	 {P("", "")},
	 {HOST, P("my-header1", "  value1 "), P("my-header2", " \"a   b   c\"")}},
	{"get-unreserved",
	 "GET",
	 "/" UNRESERVED,
	 "",
	 "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
	 {P("", "")},
	 {HOST}},
	{"get-utf8",
	 "GET",
	 "/\u1234",
	 "",
	 "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
	 {P("", "")},
	 {HOST}},
	{"get-vanilla-empty-query-key",
	 "GET",
	 "/",
	 "",
	 "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
	 {P("Param1", "value1")},
	 {HOST}},
	{"get-vanilla-query-order-key-case",
	 "GET",
	 "/",
	 "",
	 "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
	 {P("Param2", "value2"), P("Param1", "value1")},
	 {HOST}},
	{"get-vanilla-query-unreserved",
	 "GET",
	 "/",
	 "",
	 "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
	 {P(UNRESERVED, UNRESERVED)},
	 {HOST}},
	{"get-vanilla-utf8-query",
	 "GET",
	 "/",
	 "",
	 "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
	 {P("\u1234", "bar")},
	 {HOST}},
	{"post-vanilla",
	 "POST",
	 "/",
	 "",
	 "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
	 {P("", "")},
	 {HOST}},
	{"post-header-key-sort",
	 "POST",
	 "/",
	 "",
	 "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
	 {P("", "")},
	 {HOST, P("my-header1", "value1")}},
	{"post-header-value-case",
	 "POST",
	 "/",
	 "",
	 "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
	 {P("", "")},
	 {HOST, P("my-header1", "VALUE1")}},
	{"post-sts-header-before",
	 "POST",
	 "/",
	 "",
	 "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
	 {P("", "")},
	 {HOST, P("x-amz-security-token", STS_TOKEN)}},
	{"post-vanilla-query",
	 "POST",
	 "/",
	 "",
	 "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
	 {P("Param1", "value1")},
	 {HOST}},
	{"post-vanilla-query-nonunreserved",
	 "POST",
	 "/",
	 "",
	 "66c82657c86e26fb25238d0e69f011edc4c6df5ae71119d7cb98ed9b87393c1e",
	 {P("@#$%^", ""), P("+", "/,?><`\";:\\|][{}")},
	 {HOST}},
	{"post-vanilla-query-space",
	 "POST",
	 "/",
	 "",
	 "e71688addb58a26418614085fb730ba3faa623b461c17f48f2fbdb9361b94a9b",
	 {P("p", "")},
	 {HOST}},
	{"post-x-www-form-urlencoded",
	 "POST",
	 "/",
	 "Param1=value1",
	 "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
	 {P("", "")},
	 {HOST, P("content-type", "application/x-www-form-urlencoded")}},
	{"post-x-www-form-urlencoded-parameters",
	 "POST",
	 "/",
	 "Param1=value1",
	 "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
	 {P("", "")},
	 {HOST, P("content-type", "application/x-www-form-urlencoded; charset=utf8")}},
};

static unsigned count(const struct sigv4_pair *p, unsigned max)
{
	unsigned n = 0;

	while (n < max && p[n].name.len > 0)
		n++;
	return n;
}

/* What stands behind "Signature=" */
static struct sl_str signature_of(const struct sigv4_key *k, const struct sigv4_request *r)
{
	static struct sl_buf out;

	sl_buf_free(&out);
	sl_buf_init(&out, 0);
	if (sigv4_authorize(k, r, &out) < 0 || out.len < 64)
		return SL_STR("(failed)");
	return (struct sl_str){(const char *)out.p + out.len - 64, 64};
}

static void hash(char hex[65], const char *body)
{
	uint8_t digest[32];

	sl_sha256(digest, body, strlen(body));
	sl_hex_encode(hex, digest, sizeof digest);
}

TEST(the_published_suite_is_signed_as_published)
{
	static const struct sigv4_key key = {
		SL_STR_INIT("AKIDEXAMPLE"), SL_STR_INIT("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
		SL_STR_INIT("us-east-1"), SL_STR_INIT("service")};

	for (size_t i = 0; i < SL_ARRAY_LEN(suite); i++) {
		const struct vector *v = &suite[i];
		char hex[65];
		struct sigv4_request r = {.method = sl_str_c(v->method),
					  .path = sl_str_c(v->path),
					  .query = v->query,
					  .n_query = count(v->query, 2),
					  .headers = v->headers,
					  .n_headers = count(v->headers, 5),
					  .date = SL_STR("20150830T123600Z")};

		hash(hex, v->body);
		r.payload_hash = sl_str_c(hex);
		printf("# %s\n", v->name);
		CHECK_STR(signature_of(&key, &r), v->signature);
	}
}

/* From "Signature Calculations for the Authorization Header" of the documentation of S3 */
TEST(the_examples_for_s3_are_signed_as_published)
{
	static const struct sigv4_key key = {
		SL_STR_INIT("AKIAIOSFODNN7EXAMPLE"),
		SL_STR_INIT("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), SL_STR_INIT("us-east-1"),
		SL_STR_INIT("s3")};
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define BODY "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
	static const struct sigv4_pair get[] = {P("host", "examplebucket.s3.amazonaws.com"),
						P("range", "bytes=0-9"),
						P("x-amz-content-sha256", EMPTY),
						P("x-amz-date", "20130524T000000Z")},
				       put[] = {P("date", "Fri, 24 May 2013 00:00:00 GMT"),
						P("host", "examplebucket.s3.amazonaws.com"),
						P("x-amz-content-sha256", BODY),
						P("x-amz-date", "20130524T000000Z"),
						P("x-amz-storage-class", "REDUCED_REDUNDANCY")},
				       list[] = {P("host", "examplebucket.s3.amazonaws.com"),
						 P("x-amz-content-sha256", EMPTY),
						 P("x-amz-date", "20130524T000000Z")},
				       lifecycle[] = {P("lifecycle", "")},
				       query[] = {P("prefix", "J"), P("max-keys", "2")};
	struct sigv4_request r = {.method = SL_STR("GET"),
				  .path = SL_STR("/test.txt"),
				  .headers = get,
				  .n_headers = 4,
				  .payload_hash = SL_STR(EMPTY),
				  .date = SL_STR("20130524T000000Z")};

	CHECK_STR(signature_of(&key, &r),
		  "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
	r.method = SL_STR("PUT");
	r.path = SL_STR("/test$file.text");
	r.headers = put;
	r.n_headers = 5;
	r.payload_hash = SL_STR(BODY);
	CHECK_STR(signature_of(&key, &r),
		  "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
	r = (struct sigv4_request){.method = SL_STR("GET"),
				   .path = SL_STR("/"),
				   .query = lifecycle,
				   .n_query = 1,
				   .headers = list,
				   .n_headers = 3,
				   .payload_hash = SL_STR(EMPTY),
				   .date = SL_STR("20130524T000000Z")};
	CHECK_STR(signature_of(&key, &r),
		  "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	r.query = query;
	r.n_query = 2;
	CHECK_STR(signature_of(&key, &r),
		  "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/* From "Authenticating Requests: Using Query Parameters" */
TEST(the_example_of_a_url_is_signed_as_published)
{
	static const struct sigv4_key key = {
		SL_STR_INIT("AKIAIOSFODNN7EXAMPLE"),
		SL_STR_INIT("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), SL_STR_INIT("us-east-1"),
		SL_STR_INIT("s3")};
	static const struct sigv4_pair host[] = {P("host", "examplebucket.s3.amazonaws.com")};
	const struct sigv4_request r = {.method = SL_STR("GET"),
					.path = SL_STR("/test.txt"),
					.headers = host,
					.n_headers = 1,
					.date = SL_STR("20130524T000000Z")};
	struct sl_buf out;

	sl_buf_init(&out, 0);
	CHECK_INT(sigv4_presign(&key, &r, 86400, &out), 0);
	CHECK_STR(
		sl_buf_view(&out),
		"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524"
		"%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
		"X-Amz-SignedHeaders=host&X-Amz-Signature="
		"aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
	sl_buf_free(&out);
}

TEST(what_is_too_much_is_refused)
{
	static const struct sigv4_pair many[SIGV4_MAX_PAIRS + 1];
	struct sigv4_request r = {.headers = many, .n_headers = SIGV4_MAX_PAIRS + 1};
	struct sigv4_key k = {0};
	struct sl_buf out;

	sl_buf_init(&out, 0);
	CHECK_INT(sigv4_authorize(&k, &r, &out), -SL_ELIMIT);
	CHECK_INT(sigv4_encode_query(&out, many, SIGV4_MAX_PAIRS + 1), -SL_ELIMIT);
	CHECK_INT(out.len, 0);
	sl_buf_free(&out);
}

TEST_MAIN()
