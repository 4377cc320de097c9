/*
 * tests/unit/test_siprec_body.c: what is said to a recorder: descriptions joined and taken apart,
 * parts of a body found, metadata with names of any kind.
 */
#include "lib/test.h"

#include "modules/sip-gateway/siprec_body.h"

#define ONE                                                                                        \
	"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 1000 RTP/AVP "                 \
	"8\r\na=sendonly\r\n"
#define TWO                                                                                        \
	"v=0\r\no=- 2 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 2000 RTP/AVP "                 \
	"0\r\na=sendonly\r\n"

static struct sl_buf out;

static bool is(const char *text)
{
	bool same = sl_str_eq(sl_buf_view(&out), sl_str_c(text));

	if (!same)
		printf("# %.*s\n", SL_FMT(sl_buf_view(&out)));
	sl_buf_free(&out);
	return same;
}

TEST(two_descriptions_become_one_with_labels_and_come_apart_again)
{
	const struct sl_str both[] = {SL_STR(ONE), SL_STR(TWO)};
	struct sl_buf joined;

	sl_buf_init(&joined, 4096);
	CHECK_INT(siprec_join(&joined, both), 0);
	sl_buf_init(&out, 4096);
	CHECK_INT(siprec_part(&out, sl_buf_view(&joined), 0), 0);
	CHECK(is(ONE "a=label:1\r\n"));
	sl_buf_init(&out, 4096);
	CHECK_INT(siprec_part(&out, sl_buf_view(&joined), 1), 0);
	CHECK(is("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 2000 RTP/AVP 0\r\n"
		 "a=sendonly\r\na=label:2\r\n"));
	sl_buf_init(&out, 4096);
	CHECK_INT(siprec_part(&out, sl_buf_view(&joined), 2), -SL_ENOENT);
	CHECK_INT(siprec_part(&out, SL_STR_NULL, 0), -SL_ENOENT);
	sl_buf_free(&out);
	sl_buf_free(&joined);
}

TEST(a_description_without_a_section_cannot_be_joined)
{
	const struct sl_str both[] = {SL_STR(ONE), SL_STR("v=0\r\n")};

	sl_buf_init(&out, 4096);
	CHECK_INT(siprec_join(&out, both), -SL_EPARSE);
	sl_buf_free(&out);
}

TEST(what_was_written_into_one_body_is_found_in_it)
{
	struct sl_buf type;

	sl_buf_init(&out, 4096);
	sl_buf_init(&type, 256);
	siprec_write_type(&type, SL_STR("abc"));
	siprec_write_body(&out, SL_STR("abc"), SL_STR(ONE), SL_STR("<recording/>"));
	CHECK(sl_str_eq(siprec_find_sdp(sl_buf_view(&type), sl_buf_view(&out)),
			SL_STR(ONE "\r\n")));
	CHECK(!siprec_asks(sl_buf_view(&type), sl_buf_view(&out)));
	sl_buf_free(&out);
	sl_buf_free(&type);
}

TEST(a_request_for_the_metadata_is_a_body_or_a_part_of_one)
{
	const struct sl_str body =
		SL_STR("x\r\n--q\r\nContent-Disposition: session\r\ncontent-type: "
		       "Application/RS-metadata-request\r\n\r\nwhy\r\n--q--\r\n");

	CHECK(siprec_asks(SL_STR("application/rs-metadata-request"), SL_STR("why")));
	CHECK(siprec_asks(SL_STR("multipart/mixed; x=y; Boundary=\"q\""), body));
	CHECK(!siprec_asks(SL_STR("multipart/mixed;boundary=z"), body));
	CHECK(!siprec_asks(SL_STR("multipart/mixed"), body));
	CHECK(!siprec_asks(SL_STR("multipart/mixed;boundary=q"), SL_STR_NULL));
	CHECK_INT(siprec_find_sdp(SL_STR("multipart/mixed;boundary=q"), body).len, 0);
	CHECK_INT(siprec_find_sdp(SL_STR("application/sdp"), SL_STR("v=0")).len, 3);
}

static bool says(const struct siprec_view *v, const char *text)
{
	struct sl_buf b;
	bool found;

	sl_buf_init(&b, 65536);
	siprec_write_metadata(&b, v);
	sl_buf_u8(&b, 0);
	found = strstr((const char *)b.p, text) != NULL;
	sl_buf_free(&b);
	return found;
}

TEST(metadata_tells_who_says_what_and_escapes_their_names)
{
	struct siprec_view v = {
		.session = "s", .stream = {"one", "two"}, .from_ms = 1795903047714, .n_people = 1};

	v.people[0] = (struct siprec_person){.id = "p",
					     .aor = "sip:a&b@x",
					     .name = "\"<A>\"\x01 & B",
					     .stream = 1,
					     .from_ms = 1};
	CHECK(says(&v,
		   "aor=\"sip:a&amp;b@x\"><name xml:lang=\"und\">&quot;&lt;A&gt;&quot; &amp; B<"));
	CHECK(says(&v, "<start-time>2026-11-28T21:57:27.714Z</start-time>"));
	CHECK(says(&v, "<send>two</send><recv>one</recv>"));
	v.held = true;
	CHECK(!says(&v, "<send>"));
	v.people[0].name[0] = '\xff'; /* no UTF-8: XML could not be read at all */
	CHECK(!says(&v, "<name "));
}

TEST_MAIN()
