/*
 * Descriptions as text: what is read, where it is found, and what is said about text that is none.
 */
#include <sluice/sdp.h>
#include "lib/test.h"

static struct sl_pool *pool;
static struct sl_sdp sdp;
static struct sl_sdp_error error;

static int parse(struct sl_str text)
{
	sl_pool_destroy(pool);
	pool = sl_pool_new(0);
	sl_assert(pool);
	return sl_sdp_parse(&sdp, pool, text, &error);
}

#define HEAD "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"

static const char phone[] =
	"v=0\no=bob 2890844526 2890844527 IN IP4 192.0.2.4\ns=A call\n"
	"c=IN IP4 192.0.2.4/127\nb=AS:64\nt=0 0\na=sendonly\n"
	"m=audio 49170/2 RTP/AVP 0 8  101\na=rtpmap:101 telephone-event/8000\n"
	"m=video 51372 RTP/SAVP 31\nc=IN IP6 2001:db8::9\nb=TIAS:256000\nb=AS:1\n"
	"a=recvonly\na=crypto:1 x\na=crypto:2 y\na=crypto\n"
	"m=image 0 udptl t38\nc=IN IP4 phone.example.org\n";

TEST(a_telephones_description_is_read)
{
	CHECK_INT(parse(sl_str_c(phone)), 0);
	CHECK_STR(sdp.origin_id, "2890844526");
	CHECK_STR(sdp.origin_version, "2890844527");
	CHECK_STR(sdp.name, "A call");
	CHECK_INT(sdp.limit_bps, 64000);
	CHECK_INT(sdp.n_media, 3);
	CHECK_STR(sdp.media[0].type, "audio");
	CHECK_STR(sdp.media[0].proto, "RTP/AVP");
	CHECK_INT(sdp.media[0].n_formats, 3);
	CHECK_STR(sdp.media[0].formats[2], "101");
	CHECK_INT(sdp.media[0].line, 8);
	CHECK_INT(sdp.media[2].port, 0);
	CHECK_STR(sdp.media[2].formats[0], "t38");
}

TEST(the_sections_address_is_its_own_or_the_sessions)
{
	char text[SL_ADDR_STRLEN];

	CHECK_INT(parse(sl_str_c(phone)), 0);
	CHECK_STR(sl_str_c(sl_addr_format(text, &sdp.media[0].connection)), "192.0.2.4:49170");
	CHECK_STR(sl_str_c(sl_addr_format(text, &sdp.media[1].connection)), "[2001:db8::9]:51372");
	CHECK_INT(sdp.media[2].connection.family, 0);
	CHECK_STR(sl_str_c(sl_addr_format(text, &sdp.connection)), "192.0.2.4");
}

TEST(attributes_are_found_in_their_section_only)
{
	struct sl_str v;

	CHECK_INT(parse(sl_str_c(phone)), 0);
	CHECK(sl_sdp_attr(&sdp, &sdp.media[1], "crypto", &v));
	CHECK_STR(v, "1 x");
	CHECK(sl_sdp_attr_at(&sdp.media[1], "crypto", 1, &v));
	CHECK_STR(v, "2 y");
	CHECK(sl_sdp_attr_at(&sdp.media[1], "crypto", 2, &v));
	CHECK(v.len == 0 && !v.p);
	CHECK(!sl_sdp_attr_at(&sdp.media[1], "crypto", 3, &v));
	CHECK(!sl_sdp_attr(&sdp, &sdp.media[0], "crypto", &v));
	CHECK(!sl_sdp_attr(&sdp, NULL, "crypto", &v));
	CHECK_INT(sdp.media[1].attrs[0].line, 14);
}

TEST(a_direction_of_the_session_holds_where_a_section_has_none)
{
	CHECK_INT(parse(sl_str_c(phone)), 0);
	CHECK_INT(sl_sdp_get_direction(&sdp, &sdp.media[0]), SL_SDP_SENDONLY);
	CHECK_INT(sl_sdp_get_direction(&sdp, &sdp.media[1]), SL_SDP_RECVONLY);
	CHECK_INT(sl_sdp_turn(SL_SDP_RECVONLY), SL_SDP_SENDONLY);
	CHECK_INT(sl_sdp_turn(SL_SDP_SENDRECV), SL_SDP_SENDRECV);
	CHECK_INT(parse(SL_STR(HEAD "m=audio 9 RTP/AVP 0\r\n")), 0);
	CHECK_INT(sl_sdp_get_direction(&sdp, &sdp.media[0]), SL_SDP_SENDRECV);
}

TEST(an_exact_limit_beats_a_rough_one)
{
	CHECK_INT(parse(sl_str_c(phone)), 0);
	CHECK_INT(sdp.media[1].limit_bps, 256000);
	CHECK_INT(sdp.media[0].limit_bps, 0);
}

TEST(lines_that_nobody_knows_are_skipped)
{
	CHECK_INT(
		parse(SL_STR(HEAD "x=what\r\n\r\nm=audio 9 RTP/AVP 0\r\ni=title\r\nk=clear:x\r\n")),
		0);
	CHECK_INT(sdp.n_media, 1);
	CHECK_INT(sdp.media[0].n_attrs, 0);
}

static const struct {
	const char *text;
	unsigned line;
	const char *part; /* of the sentence */
} wrong[] = {
	{"", 1, "begins with v=0"},
	{"o=- 1 2 IN IP4 0.0.0.0\r\n", 1, "begins with v=0"},
	{"v=1\r\n", 1, "begins with v=0"},
	{"v=0\r\ns=-\r\n", 0, "has no o="},
	{"v=0\r\no=- 1\r\n", 2, "o= is not"},
	{HEAD "hello", 5, "is not \"letter=value\""},
	{HEAD "a=\r\n", 5, "has no name"},
	{HEAD "a=:x\r\n", 5, "has no name"},
	{HEAD "b=AS\r\n", 5, "no \":\""},
	{HEAD "b=AS:lots\r\n", 5, "does not end in a number"},
	{HEAD "b=TIAS:18446744073709551615\r\n", 5, "does not end in a number"},
	{HEAD "c=IN IP5 1.2.3.4\r\n", 5, "c= is not"},
	{HEAD "c=IN IP4\r\n", 5, "c= is not"},
	{HEAD "m=audio\r\n", 5, "m= is not"},
	{HEAD "m=audio x RTP/AVP 0\r\n", 5, "port from 0 to 65535"},
	{HEAD "m=audio 65536 RTP/AVP 0\r\n", 5, "port from 0 to 65535"},
	{HEAD "m=audio 9 RTP/AVP\r\n", 5, "names no format"},
	{HEAD "m=audio 9 RTP/AVP \r\n", 5, "names no format"},
};

TEST(text_that_is_none_is_refused_with_line_and_reason)
{
	for (unsigned i = 0; i < SL_ARRAY_LEN(wrong); i++) {
		CHECK_INT(parse(sl_str_c(wrong[i].text)), -SL_EPARSE);
		CHECK_INT(error.line, wrong[i].line);
		if (!strstr(error.text, wrong[i].part))
			TEST_FAIL("\"%s\" does not tell \"%s\"", error.text, wrong[i].part);
	}
}

static int parse_repeated(const char *head, const char *part, unsigned n)
{
	struct sl_buf b;
	int err;

	sl_buf_init(&b, 0);
	sl_buf_printf(&b, "%s", head);
	for (unsigned i = 0; i < n; i++)
		sl_buf_printf(&b, "%s", part);
	err = parse(sl_buf_view(&b));
	sl_buf_free(&b);
	return err;
}

TEST(a_thousand_sections_are_refused_in_a_sentence)
{
	CHECK_INT(parse_repeated(HEAD, "m=audio 9 RTP/AVP 0\r\n", SL_SDP_MAX_MEDIA), 0);
	CHECK_INT(parse_repeated(HEAD, "m=audio 9 RTP/AVP 0\r\n", 1000), -SL_ELIMIT);
	CHECK_STR(sl_str_c(error.text), "the description has more than 256 media sections");
}

TEST(lines_bytes_and_formats_are_bounded)
{
	CHECK_INT(parse_repeated(HEAD, "a=x\r\n", SL_SDP_MAX_LINES - 5), 0);
	CHECK_INT(parse_repeated(HEAD, "a=x\r\n", SL_SDP_MAX_LINES), -SL_ELIMIT);
	CHECK(strstr(error.text, "lines"));
	CHECK_INT(parse_repeated(HEAD "s=", "xxxxxxxxxxxxxxxx", SL_SDP_MAX_BYTES / 16), -SL_ELIMIT);
	CHECK(strstr(error.text, "bytes"));
	CHECK_INT(parse_repeated(HEAD "m=audio 9 RTP/AVP", " 0", SL_SDP_MAX_FORMATS), 0);
	CHECK_INT(parse_repeated(HEAD "m=audio 9 RTP/AVP", " 0", SL_SDP_MAX_FORMATS + 1),
		  -SL_ELIMIT);
	CHECK_INT(error.line, 5);
}

TEST_MAIN()
