/*
 * What storage answers, read: elements of XML, entity tags, dates.
 */
#include "lib/test.h"
#include "modules/recorder/s3_reply.h"

static const char *element(const char *xml, const char *name)
{
	static char text[24];

	return s3_element(sl_str_c(xml), sl_str_c(name), text, sizeof text) ? text : NULL;
}

TEST(elements_are_found_by_name_and_their_entities_undone)
{
	CHECK_STR(sl_str_c(element("<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>",
				   "Code")),
		  "NoSuchKey");
	CHECK_STR(sl_str_c(element(
			  "<R xmlns=\"x\"><Key>a</Key><UploadId a=\"b\">1/2+&amp;=</UploadId></R>",
			  "UploadId")),
		  "1/2+&=");
	CHECK_STR(sl_str_c(element("<ETag>&quot;ab&quot;</ETag>", "ETag")), "\"ab\"");
	CHECK_STR(sl_str_c(element("<Code></Code>", "Code")), "");
	CHECK_STR(sl_str_c(element("<Codex>no</Codex><Code>yes</Code>", "Code")), "yes");
	CHECK_STR(sl_str_c(element("<M>a &unknown; b</M>", "M")), "a &unknown; b");
	CHECK_STR(sl_str_c(element("<M>0123456789012345678901234567890</M>", "M")),
		  "01234567890123456789012");
}

TEST(what_is_no_text_is_none)
{
	CHECK(!element("", "Code"));
	CHECK(!element("<Code>", "Code"));
	CHECK(!element("<Code>x", "Code"));
	CHECK(!element("<Code/>", "Code"));
	CHECK(!element("<Code a=\"1\"/>", "Code"));
	CHECK(!element("<Code><b>x</b></Code>", "Code"));
	CHECK(!element("Code>x</Code>", "Code"));
	CHECK(!element("<html><body>502</body></html>", "Code"));
}

static struct sl_str tag(const char *header)
{
	static char text[16];

	s3_tag(sl_str_c(header), text, sizeof text);
	return sl_str_c(text);
}

TEST(tags_lose_their_quotes)
{
	CHECK_STR(tag("\"abc\""), "abc");
	CHECK_STR(tag(" W/\"abc-2\" "), "abc-2");
	CHECK_STR(tag("abc"), "abc");
	CHECK_STR(tag("\""), "\"");
	CHECK_STR(tag(""), "");
	CHECK_STR(tag("\"0123456789abcdef0123\""), "0123456789abcde");
}

TEST(dates_are_those_of_http)
{
	int64_t s = -1;

	CHECK_INT(s3_date(SL_STR("Sun, 06 Nov 1994 08:49:37 GMT"), &s), 0);
	CHECK_INT(s, 784111777);
	CHECK_INT(s3_date(SL_STR("Thu, 01 Jan 1970 00:00:00 GMT"), &s), 0);
	CHECK_INT(s, 0);
	CHECK_INT(s3_date(SL_STR("1994-11-06"), &s), -SL_EPARSE);
	CHECK_INT(s3_date(SL_STR("Sun, 06 Nov 1994 08:49:37 GMT and more"), &s), -SL_EPARSE);
	CHECK_INT(s3_date(SL_STR(""), &s), -SL_EPARSE);
	CHECK_INT(s3_date(SL_STR_NULL, &s), -SL_EPARSE);
}

TEST_MAIN()
