/*
 * test_signal_jwt.c: tokens: what opens a door, and everything that must not. Tokens are signed
 * here by the library itself.
 */
#include "lib/test.h"

#include <jwt.h> /* lint: somebody has to sign what is verified */
#include <sluice/crypto.h>
#include "modules/signaling-ws/jwt.h"

#define NOW 1700000000

static const char rsa_private[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCyEUwa7hWukCjB\n"
	"KTSWhSf7Ot3rzzisKbNrHcM6akjKgLeonrFZ7O8XGzXzX+MrH5dqSeoCMV0NgnaA\n"
	"UML8NOx+PlXEQKI1QQeuu+bUEQuIMK6qxUFjcTphTQZrHnaKPoOAJnj0t+a/5nSN\n"
	"7QUoEujOkjI3TyevCyDO/7f8CzBC27D+WcbK2xlqpLyq0l8xKjThx06lLEMhCAa+\n"
	"4+JanhZxxutE/rEgXMLaFdLW2S269kC1NFDAvPvhbI7Wi4I/6ZjDLYnC1l+2OtqR\n"
	"65GVktMvqQQa5Np0v7E7iJn1jzgL0hFvzwDlPl+hQROVMnmEG8NAyXANYCY5CB7C\n"
	"1XpfDeVPAgMBAAECggEACKoozuKo8W6YXRXZNj3SfToXFGNn+ZCp51tyZYRIeHoc\n"
	"9bqLHLoXxEMRs/8FedK2tnhUR7kJMyAXDhVf94/HtjjoSX1vpzG74vfHuqf9rKnZ\n"
	"xfuFPAaFdbieyFWaJQ33riOxHQ9ZzhqzrzhKWPHanDqm8OQMJUtgVFJDLKOKvKYJ\n"
	"RN49Oim6zXAu2smXmpM8uaUicsYP/8RDXqlIdmhwkRZQD1fobDyDBKFOXAF17rvw\n"
	"ab1PrjUqHsXq3h/jFlTp9kv9SXBg8E/8O+H4PjXOoviqzCo7+qg6iGtondfI5uC7\n"
	"QNIYXv4VPceMCet39Wn4GwwbvzHunhMg8x+zbxes+QKBgQDaxkVoG2MmEZHF3ghZ\n"
	"9QELWoJVGQGb+UVaZ002zfgfc/5viRkYFOhSH0sVYQHGzGLjlKvVtpJiw/BgVG7X\n"
	"LIby0Nw04eG2hg8LOsuGqb1nJqpkNvbd3b+UZPd2RkXnxQNdNAgUZpRmSD+ZjDsg\n"
	"Il1XzgZR+8f3Tj4/oi3X5/g8fQKBgQDQXdlHdBFcVd08Zs2FbBkpx1dFLMH9yWpH\n"
	"R+Hg9SzpJD63ztg15HIsFRONG/JhN3n8GWkjqGcZj8uF7OYQSUAbIezcB29KzvaL\n"
	"CT28E2fbjmOMzFNxpBGY+Rcd9wVXIIuVM+HNBQJrWb7IL7LiLnQK4AAkyZzatQYo\n"
	"KIzHFmxuuwKBgQCACF0CKlUCKHIZTHGyw7HSxStVRgctEtrFp4MGuc+mCKo0+BUZ\n"
	"hNLZjLrSTi1N/Ls62P0fW3OcHXOFzKP5hXOMkzLsN+1ydk5DkiseKiRQQ86gS5J6\n"
	"EZZW8CfqrgGnPCNV3meEGOxsV4fxAqJvkezyv/3u6N0EHGRNtUoC+xzJuQKBgExS\n"
	"9DIOPAW8lgt4BLRowlbhZAA8wtp5mup9VCoY5NiJpEekBuLGyWOIXN8Fa6Vcstw7\n"
	"Wp3rI8jjOUPXYPZ6Pncx2BdIyeV3JiwLuIdZ/GMaJzD971rjJGcKZwNc5qHhk/+V\n"
	"P5Lf0OENwKqHflkHdw48uxC+oSwjvxuaruaGOjXdAoGBAIjAt4QdwV8M0sPMUZrE\n"
	"TFvXTWqVdBytWSXZH30QQQBw3aczVkNSmA0WATHREKyu88XPqWc5o+73J0kUR1qg\n"
	"1cHwDzJaY5rUBHmvgfYnp13ZQRUoKcKIDNkPRh8RZYGv00Y+YceUD+u0U3pZkjKP\n"
	"XmkORKeHE8AM9eTkLDF2Kz83\n"
	"-----END PRIVATE KEY-----\n";
static const char rsa_public[] =
	"-----BEGIN PUBLIC KEY-----\n"
	"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAshFMGu4VrpAowSk0loUn\n"
	"+zrd6884rCmzax3DOmpIyoC3qJ6xWezvFxs181/jKx+XaknqAjFdDYJ2gFDC/DTs\n"
	"fj5VxECiNUEHrrvm1BELiDCuqsVBY3E6YU0Gax52ij6DgCZ49Lfmv+Z0je0FKBLo\n"
	"zpIyN08nrwsgzv+3/AswQtuw/lnGytsZaqS8qtJfMSo04cdOpSxDIQgGvuPiWp4W\n"
	"ccbrRP6xIFzC2hXS1tktuvZAtTRQwLz74WyO1ouCP+mYwy2JwtZftjrakeuRlZLT\n"
	"L6kEGuTadL+xO4iZ9Y84C9IRb88A5T5foUETlTJ5hBvDQMlwDWAmOQgewtV6Xw3l\n"
	"TwIDAQAB\n"
	"-----END PUBLIC KEY-----\n";
static const char ec_private[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZq3DMKU3E3DS274E\n"
	"4v0/2YydPo8018lFh03GnHN8lpOhRANCAARZ6eQ6HUxhxn7dAd7UrceSLL5yZVjz\n"
	"iTd2skS5jVFM41535Z28LCBVscEVO5Tx4ki5Jb15HFah/+i2FHjh/qDJ\n"
	"-----END PRIVATE KEY-----\n";
static const char ec_public[] = "-----BEGIN PUBLIC KEY-----\n"
				"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEWenkOh1MYcZ+3QHe1K3Hkiy+cmVY\n"
				"84k3drJEuY1RTONed+WdvCwgVbHBFTuU8eJIuSW9eRxWof/othR44f6gyQ==\n"
				"-----END PUBLIC KEY-----\n";
static const char secret[] = "a secret of thirty-two bytes or so";

static const struct token_key keys[] = {
	{SL_STR_INIT("hs"), TOKEN_HS256, SL_STR_INIT("a secret of thirty-two bytes or so")},
	{SL_STR_INIT("rs"), TOKEN_RS256, {rsa_public, sizeof rsa_public - 1}},
	{SL_STR_INIT("es"), TOKEN_ES256, {ec_public, sizeof ec_public - 1}},
};
static const struct token_rules rules = {.keys = keys, .n_keys = 3, .leeway_s = 30};

static struct claims claims;
static const char *why;

/* A token of this payload; key NULL: not signed. */
static char *token(const char *kid, jwt_alg_t alg, const char *key, const char *payload)
{
	char *text, *copy;
	jwt_t *jwt;

	if (jwt_new(&jwt) != 0 || jwt_add_grants_json(jwt, payload) != 0)
		abort();
	if (kid)
		jwt_add_header(jwt, "kid", kid);
	if (key && jwt_set_alg(jwt, alg, (const unsigned char *)key, (int)strlen(key)) != 0)
		abort();
	text = jwt_encode_str(jwt);
	if (!text)
		abort();
	copy = strdup(text);
	free(text);
	jwt_free(jwt);
	return copy;
}

static int verify_with(const struct token_rules *r, char *text)
{
	int rc = token_verify(r, sl_str_c(text), NOW, &claims, &why);

	free(text);
	return rc;
}

static int verify(char *text)
{
	return verify_with(&rules, text);
}

#define GOOD "{\"exp\":1700000100,\"sub\":\"ada\"}"

TEST(each_algorithm_opens_with_its_key)
{
	CHECK_INT(verify(token("hs", JWT_ALG_HS256, secret, GOOD)), 0);
	CHECK_INT(verify(token("rs", JWT_ALG_RS256, rsa_private, GOOD)), 0);
	CHECK_INT(verify(token("es", JWT_ALG_ES256, ec_private, GOOD)), 0);
	CHECK_INT(claims.may, MAY_ALL);
	CHECK(claims_permit_room(&claims, SL_STR("any")));
}

TEST(a_key_is_used_with_its_own_algorithm_only)
{
	CHECK_INT(verify(token("rs", JWT_ALG_HS256, rsa_public, GOOD)),
		  -SL_EAUTH); /* the public key as a secret */
	CHECK_STR(sl_str_c(why), "the algorithm is not the one of the key");
	CHECK_INT(verify(token("es", JWT_ALG_HS256, ec_public, GOOD)), -SL_EAUTH);
	CHECK_INT(verify(token("hs", JWT_ALG_HS512, secret, GOOD)), -SL_EAUTH);
	CHECK_INT(verify(token("rs", JWT_ALG_RS512, rsa_private, GOOD)), -SL_EAUTH);
	CHECK_INT(verify(token("es", JWT_ALG_RS256, rsa_private, GOOD)), -SL_EAUTH);
	CHECK_INT(verify(token("hs", JWT_ALG_NONE, NULL, GOOD)), -SL_EAUTH);
}

TEST(the_kid_must_be_known_unless_there_is_one_key)
{
	const struct token_rules one = {.keys = keys, .n_keys = 1};

	CHECK_INT(verify(token("other", JWT_ALG_HS256, secret, GOOD)), -SL_EAUTH);
	CHECK_STR(sl_str_c(why), "no key of this kid is configured");
	CHECK_INT(verify(token(NULL, JWT_ALG_HS256, secret, GOOD)), -SL_EAUTH);
	CHECK_INT(verify_with(&one, token(NULL, JWT_ALG_HS256, secret, GOOD)), 0);
	CHECK_INT(verify_with(&one, token("other", JWT_ALG_HS256, secret, GOOD)), -SL_EAUTH);
}

TEST(a_changed_token_is_refused)
{
	char *text = token("hs", JWT_ALG_HS256, secret, GOOD);
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++) {
		char was = text[i];

		text[i] = was == 'A' ? 'B' : 'A';
		if (i + 1 < len) /* the last character has spare bits */
			CHECK(token_verify(&rules, sl_str_c(text), NOW, &claims, &why) < 0);
		text[i] = was;
		CHECK(token_verify(&rules, (struct sl_str){text, i}, NOW, &claims, &why) < 0);
	}
	CHECK_INT(verify(text), 0);
	CHECK_INT(verify(token("hs", JWT_ALG_HS256, "another secret of thirty-two bytes", GOOD)),
		  -SL_EAUTH);
}

TEST(times_are_compared_with_leeway)
{
	CHECK_INT(verify(token("hs", JWT_ALG_HS256, secret, "{\"exp\":1699999971}")), 0);
	CHECK_INT(verify(token("hs", JWT_ALG_HS256, secret, "{\"exp\":1699999970}")), -SL_EAUTH);
	CHECK_STR(sl_str_c(why), "the token has expired");
	CHECK_INT(verify(token("hs", JWT_ALG_HS256, secret, "{\"sub\":\"x\"}")), -SL_EAUTH);
	CHECK_STR(sl_str_c(why), "the token has no exp");
	CHECK_INT(verify(token("hs", JWT_ALG_HS256, secret, "{\"exp\":\"1700000100\"}")),
		  -SL_EAUTH);
	CHECK_INT(verify(token("hs", JWT_ALG_HS256, secret,
			       "{\"exp\":1700000100,\"nbf\":1700000030}")),
		  0);
	CHECK_INT(verify(token("hs", JWT_ALG_HS256, secret,
			       "{\"exp\":1700000100,\"nbf\":1700000031}")),
		  -SL_EAUTH);
	CHECK_INT(verify(token("hs", JWT_ALG_HS256, secret, "{\"exp\":1700000100,\"nbf\":{}}")),
		  -SL_EAUTH);
}

TEST(issuer_and_audience_are_compared_when_configured)
{
	struct token_rules r = rules;

	r.issuer = SL_STR("idp");
	r.audience = SL_STR("sluice");
	CHECK_INT(verify_with(&r, token("hs", JWT_ALG_HS256, secret,
					"{\"exp\":1700000100,\"iss\":\"idp\",\"aud\":\"sluice\"}")),
		  0);
	CHECK_INT(verify_with(
			  &r,
			  token("hs", JWT_ALG_HS256, secret,
				"{\"exp\":1700000100,\"iss\":\"idp\",\"aud\":[\"x\",\"sluice\"]}")),
		  0);
	CHECK_INT(verify_with(&r, token("hs", JWT_ALG_HS256, secret,
					"{\"exp\":1700000100,\"iss\":\"idp\",\"aud\":[\"x\"]}")),
		  -SL_EAUTH);
	CHECK_INT(verify_with(&r, token("hs", JWT_ALG_HS256, secret,
					"{\"exp\":1700000100,\"iss\":\"x\",\"aud\":\"sluice\"}")),
		  -SL_EAUTH);
}

TEST(claims_are_read_and_malformed_ones_permit_nothing)
{
	CHECK_INT(verify(token("hs", JWT_ALG_HS256, secret,
			       "{\"exp\":1700000100,\"room\":[\"lobby\",\"team-*\"],"
			       "\"permissions\":[\"signal\",\"broadcast\",\"dance\"]}")),
		  0);
	CHECK(claims_permit_room(&claims, SL_STR("lobby")) &&
	      claims_permit_room(&claims, SL_STR("team-9")));
	CHECK(!claims_permit_room(&claims, SL_STR("lobby2")));
	CHECK_INT(claims.may, MAY_SIGNAL | MAY_BROADCAST);
	claims_free(&claims);
	CHECK_INT(verify(token("hs", JWT_ALG_HS256, secret,
			       "{\"exp\":1700000100,\"room\":\"tea\",\"permissions\":[]}")),
		  0);
	CHECK(claims_permit_room(&claims, SL_STR("tea")) &&
	      !claims_permit_room(&claims, SL_STR("te")));
	CHECK_INT(claims.may, 0);
	claims_free(&claims);
	CHECK_INT(verify(token("hs", JWT_ALG_HS256, secret, "{\"exp\":1700000100,\"room\":[]}")),
		  0);
	CHECK(!claims_permit_room(&claims, SL_STR("tea")));
	claims_free(&claims);
	CHECK_INT(verify(token("hs", JWT_ALG_HS256, secret, "{\"exp\":1700000100,\"room\":7}")),
		  -SL_EAUTH);
	CHECK_INT(verify(token("hs", JWT_ALG_HS256, secret,
			       "{\"exp\":1700000100,\"room\":[\"a\",7]}")),
		  -SL_EAUTH);
	CHECK_INT(verify(token("hs", JWT_ALG_HS256, secret,
			       "{\"exp\":1700000100,\"room\":\"a\\n*\"}")),
		  -SL_EAUTH);
}

TEST(what_a_token_says_of_telephones_is_kept_as_it_is)
{
	CHECK_INT(verify(token("hs", JWT_ALG_HS256, secret,
			       "{\"exp\":1700000100,\"phone\":{\"user\":\"1001\"}}")),
		  0);
	CHECK_STR(sl_str_c(claims.phone), "{\"user\":\"1001\"}");
	claims_free(&claims);
	CHECK_INT(verify(token("hs", JWT_ALG_HS256, secret, GOOD)), 0);
	CHECK(!claims.phone);
	claims_free(&claims);
	CHECK_INT(verify(token("hs", JWT_ALG_HS256, secret,
			       "{\"exp\":1700000100,\"phone\":\"1001\"}")),
		  -SL_EAUTH);
}

TEST(nonsense_is_refused)
{
	static const char *const bad[] = {"",	   ".",	       "..",
					  "a.b.c", "e30.e30.", "eyJhbGciOiJub25lIn0.e30."};

	for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++)
		CHECK_INT(token_verify(&rules, sl_str_c(bad[i]), NOW, &claims, &why), -SL_EAUTH);
}

TEST_MAIN()
