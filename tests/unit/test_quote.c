/*
 * tests/unit/test_quote.c: text as scalars of YAML; that they read back to the same is test_dump's.
 */
#include "../lib/test.h"

#include "config/quote.h"

static const char *quoted(void (*quote)(struct sl_buf *, struct sl_str), const char *text, size_t len)
{
	static char kept[256];
	struct sl_buf out;

	sl_buf_init(&out, 0);
	quote(&out, (struct sl_str){text, len});
	(void)sl_str_copy(kept, sizeof kept, sl_buf_view(&out));
	sl_buf_free(&out);
	return kept;
}

#define PLAIN(text) sl_str_c(quoted(quote_yaml, text, sizeof text - 1))
#define TEXT(text) sl_str_c(quoted(quote_yaml_text, text, sizeof text - 1))

TEST(words_need_no_quotes)
{
	CHECK_STR(PLAIN("example.org"), "example.org");
	CHECK_STR(PLAIN("/var/log/x"), "/var/log/x");
	CHECK_STR(PLAIN("-3"), "-3");
}

TEST(what_yaml_could_read_otherwise_has_quotes)
{
	CHECK_STR(PLAIN(""), "\"\"");
	CHECK_STR(PLAIN("a: b"), "\"a: b\"");
	CHECK_STR(PLAIN("::1"), "\"::1\"");
	CHECK_STR(PLAIN("-x"), "\"-x\"");
	CHECK_STR(PLAIN("*:3478"), "\"*:3478\"");
	CHECK_STR(PLAIN("a #b"), "\"a #b\"");
}

TEST(a_text_always_has_quotes)
{
	CHECK_STR(TEXT("007"), "\"007\"");
	CHECK_STR(TEXT("null"), "\"null\"");
	CHECK_STR(TEXT("off"), "\"off\"");
	CHECK_STR(TEXT("!file x"), "\"!file x\"");
}

TEST(nothing_ends_the_quotes_or_the_line)
{
	CHECK_STR(TEXT("a\"b\\c"), "\"a\\\"b\\\\c\"");
	CHECK_STR(TEXT("a\nb\r\t\x1b[0m"), "\"a\\nb\\r\\t\\u001b[0m\"");
	CHECK_STR(TEXT("a\xc2\x85z"), "\"a\\u0085z\"");
	CHECK_STR(TEXT("a\xe2\x80\xa8z\xe2\x80\xa9"), "\"a\\u2028z\\u2029\"");
	CHECK_STR(TEXT("\xef\xbb\xbfx"), "\"\\ufeffx\"");
	CHECK_STR(TEXT("\xc3\xa9"), "\"\xc3\xa9\"");
}

TEST_MAIN()
