/*
 * Names of static files: nothing outside, nothing hidden; media types; entity tags as RFC 9110
 * compares them.
 */
#include "../../modules/http/resource.c"
#include "lib/test.h"

static struct sl_str name_of(const char *path)
{
	static char name[64];
	int rc = resource_name(name, sizeof name, sl_str_c(path), SL_STR("index.html"));

	return rc == 0		   ? sl_str_c(name)
	       : rc == -SL_EDENIED ? SL_STR("(denied)")
				   : SL_STR("(limit)");
}

TEST(paths_become_names_below_the_root)
{
	CHECK_STR(name_of("/"), "index.html");
	CHECK_STR(name_of("/a.txt"), "a.txt");
	CHECK_STR(name_of("/a/b/"), "a/b/index.html");
	CHECK_STR(name_of("/with space/ü"), "with space/ü");
	CHECK_STR(name_of("/a..b/c."), "a..b/c.");
	CHECK_STR(name_of("/.well-known/x"), ".well-known/x");
}

TEST(hidden_and_foreign_names_are_denied)
{
	static const char *const bad[] = {"",
					  "a",
					  "/..",
					  "/../a",
					  "/a/../b",
					  "/.",
					  "/.git/config",
					  "/a/.env",
					  "/a/.well-known/x",
					  "/a\\..\\b",
					  "/a\nb",
					  "/\x7f"};

	for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++)
		CHECK_STR(name_of(bad[i]), "(denied)");
}

TEST(long_names_do_not_fit)
{
	char path[80] = "/";

	memset(path + 1, 'a', 78);
	CHECK_STR(name_of(path), "(limit)");
	path[40] = '\0';
	CHECK_STR(name_of(path), path + 1);
}

TEST(types_come_from_the_extension)
{
	CHECK_STR(sl_str_c(resource_type(SL_STR("a/index.HTML"))), "text/html; charset=utf-8");
	CHECK_STR(sl_str_c(resource_type(SL_STR("sluice.js"))), "text/javascript; charset=utf-8");
	CHECK_STR(sl_str_c(resource_type(SL_STR("noext"))), "application/octet-stream");
	CHECK_STR(sl_str_c(resource_type(SL_STR("a.b/c"))), "application/octet-stream");
	CHECK_STR(sl_str_c(resource_type(SL_STR("x."))), "application/octet-stream");
}

TEST(tags_match_weakly_and_in_lists)
{
	const struct sl_str tag = SL_STR("\"abc\"");

	CHECK(resource_tag_matches(SL_STR("\"abc\""), tag));
	CHECK(resource_tag_matches(SL_STR("W/\"abc\""), tag));
	CHECK(resource_tag_matches(SL_STR("\"x\", \"y,z\" , \"abc\""), tag));
	CHECK(resource_tag_matches(SL_STR("*"), tag));
	CHECK(!resource_tag_matches(SL_STR("\"ab\""), tag));
	CHECK(!resource_tag_matches(SL_STR("abc"), tag));
	CHECK(!resource_tag_matches(SL_STR(""), tag));
	CHECK(!resource_tag_matches(SL_STR_NULL, tag));
}

TEST_MAIN()
