/*
 * The pre-parser of SIP: fields, frames, and the torture messages of RFC 4475, which lie in the
 * fuzz corpus as files: good_* are well-formed, bad_* are not, odd_* may be taken or left.
 */
#include <dirent.h>
#include <time.h>

#include "lib/test.h"
#include "modules/sip-gateway/preparse.h"

#define HEAD                                                                                       \
	"Via: SIP/2.0/UDP host:5060;branch=z9hG4bKabc;rport\r\n"                                   \
	"From: \"A, \\\"B\\\" <x>\" <sip:alice:pw@example.org;user=phone>;tag=one\r\n"             \
	"To: sip:bob@example.org;tag=two\r\n"                                                      \
	"Call-ID: id@host\r\n"                                                                     \
	"CSeq: 7 INVITE\r\n"
#define INVITE "INVITE sip:bob@example.org SIP/2.0\r\n" HEAD

static struct sip_peek m;

static struct sl_str file(const char *dir, const char *name)
{
	static char text[128 * 1024];
	char path[1024];
	FILE *f;
	size_t n;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "rb");
	if (!f)
		return SL_STR_NULL;
	n = fread(text, 1, sizeof text, f);
	fclose(f);
	return (struct sl_str){text, n};
}

TEST(the_fields_of_a_request_are_found)
{
	CHECK_INT(sip_peek(&m, SL_STR(INVITE "User-Agent: phone\r\nm: <sip:a@h>;q=1\r\n\r\nbody")),
		  0);
	CHECK_STR(m.method, "INVITE");
	CHECK_STR(m.uri, "sip:bob@example.org");
	CHECK_STR(m.branch, "z9hG4bKabc");
	CHECK_STR(m.from_user, "alice");
	CHECK_STR(m.from_tag, "one");
	CHECK_STR(m.to_user, "bob");
	CHECK_STR(m.to_tag, "two");
	CHECK_STR(m.call_id, "id@host");
	CHECK_STR(m.contact, "<sip:a@h>;q=1");
	CHECK_STR(m.user_agent, "phone");
	CHECK_INT(m.cseq, 7);
	CHECK_INT(m.status, 0);
	CHECK_INT(m.body_len, 4);
}

TEST(the_fields_of_a_response_are_found)
{
	CHECK_INT(sip_peek(&m, SL_STR("SIP/2.0 183 Session Progress\r\n" HEAD "\r\n")), 0);
	CHECK_INT(m.status, 183);
	CHECK_STR(m.method, "INVITE");
	CHECK_INT(m.uri.len, 0);
}

TEST(lines_may_be_folded_and_names_compact)
{
	CHECK_INT(sip_peek(&m, SL_STR("BYE sip:x@y SIP/2.0\r\nv: SIP/2.0/TCP h\r\n "
				      ";branch=\r\n\tz9hG4bKq\r\n"
				      "f: <sip:a@b>\r\n ;tag=1\r\nt: <sip:c@d>\r\ni: z\r\nCSeq: "
				      "1\r\n BYE\r\n\r\n")),
		  0);
	CHECK_STR(m.from_tag, "1");
	CHECK_STR(m.call_id, "z");
	CHECK_STR(m.branch, "z9hG4bKq");
}

TEST(what_would_be_read_in_two_ways_is_refused)
{
	CHECK_INT(sip_peek(&m, SL_STR(INVITE "Call-ID: other\r\n\r\n")), -SL_EPARSE);
	CHECK_INT(sip_peek(&m, SL_STR(INVITE "l: 0\r\nContent-Length: 1\r\n\r\nx")), -SL_EPARSE);
	CHECK_INT(sip_peek(&m, SL_STR(INVITE "Content-Length: 5\r\n\r\nx")), -SL_EPARSE);
	CHECK_INT(sip_peek(&m, SL_STR("BYE sip:bob@example.org SIP/2.0\r\n" HEAD "\r\n")),
		  -SL_EPARSE);
	CHECK_INT(sip_peek(&m, SL_STR(INVITE)), -SL_EPARSE); /* no end */
	CHECK_INT(sip_peek(&m, SL_STR(INVITE "X: a\rTo: <sip:else@h>\r\n\r\n")), -SL_EPARSE);
	CHECK_INT(sip_peek(&m, SL_STR(INVITE "X: a\r\r\n\r\n")), -SL_EPARSE);
	CHECK_INT(sip_peek(&m, SL_STR(INVITE "X: a\0b\r\n\r\n")), -SL_EPARSE);
	CHECK_INT(sip_peek(&m, SL_STR(INVITE "X: a\x1b[2J\r\n\r\n")), -SL_EPARSE);
	CHECK_INT(sip_peek(&m, SL_STR(INVITE "X: a\n\tb\r\n c \303\266\r\n\r\n")), 0);
}

TEST(the_torture_messages_are_told_apart)
{
	const char *src = getenv("SLUICE_SRC");
	char dir[512];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(dir, sizeof dir, "%s/tests/fuzz/corpus/sip_edge", src ? src : ".");
	d = opendir(dir);
	CHECK(d != NULL);
	while ((e = readdir(d))) {
		struct sl_str text;
		int rc;

		if (e->d_name[0] == '.')
			continue;
		text = file(dir, e->d_name);
		rc = sip_peek(&m, text);
		n++;
		if (strncmp(e->d_name, "good_", 5) == 0 && rc != 0)
			TEST_FAIL("%s is refused", e->d_name);
		if (strncmp(e->d_name, "bad_", 4) == 0 && rc == 0)
			TEST_FAIL("%s is taken", e->d_name);
	}
	closedir(d);
	CHECK(n >= 50);
}

TEST(a_stream_is_cut_into_messages_however_it_comes)
{
	static const char text[] =
		"\r\n\r\n" INVITE "Content-Length: 4\r\n\r\nbody\r\n" INVITE "l: 0\r\n\r\n";
	unsigned messages = 0, pings = 0;
	size_t from = 0, n;
	enum sip_frame_kind kind;

	for (size_t have = 1; have <= sizeof text - 1; have++) {
		for (;;) {
			CHECK_INT(sip_frame((struct sl_str){text + from, have - from}, &kind, &n),
				  0);
			if (kind == SIP_FRAME_NEED_MORE)
				break;
			messages += kind == SIP_FRAME_MESSAGE;
			pings += kind == SIP_FRAME_PING;
			from += n;
		}
	}
	CHECK_INT(from, sizeof text - 1);
	CHECK_INT(messages, 2);
	CHECK_INT(pings, 1);
}

TEST(a_stream_that_is_no_sip_ends)
{
	enum sip_frame_kind kind;
	size_t n;

	CHECK_INT(sip_frame(SL_STR("GET / HTTP/1.1\r\n\r\n"), &kind, &n), -SL_EPARSE);
	CHECK_INT(sip_frame(SL_STR(INVITE "Content-Length: 70000\r\n\r\n"), &kind, &n), -SL_ELIMIT);
	CHECK_INT(sip_frame(SL_STR(INVITE "Content-Length: x\r\n\r\n"), &kind, &n), -SL_EPARSE);
}

TEST(first_bytes_are_judged)
{
	CHECK_INT(sip_judge(SL_STR("REGISTER sip:x SIP/2.0")), 1);
	CHECK_INT(sip_judge(SL_STR("SIP/2.0 200 OK")), 1);
	CHECK_INT(sip_judge(SL_STR("OPTIONS sips:")), 1);
	CHECK_INT(sip_judge(SL_STR("OPTIONS si")), 0);
	CHECK_INT(sip_judge(SL_STR("INV")), 0);
	CHECK_INT(sip_judge(SL_STR("OPTIONS * HTTP/1.1")), -1);
	CHECK_INT(sip_judge(SL_STR("GET /x HTTP/1.1")), -1);
	CHECK_INT(sip_judge(SL_STR("\x16\x03\x01")), -1);
	CHECK_INT(sip_judge(SL_STR("SSH-2.0-x")), 0);
}

static uint64_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* By CPU time, which the machine's load does not change: each was more than a second. */
TEST(what_repeats_a_sign_is_read_once)
{
	static char much[SIP_MAX_MESSAGE];
	struct sl_str rest = {much, sizeof much}, item;
	uint64_t begun = cpu_ms();
	enum sip_frame_kind kind;
	unsigned n_frames = 0;
	size_t n;

	memset(much, '\n', sizeof much);
	for (; rest.len > 0 && sip_frame(rest, &kind, &n) == 0 && n > 0; n_frames++) {
		rest.p += n;
		rest.len -= n;
	}
	CHECK_INT(n_frames, sizeof much);
	memset(much, ',', sizeof much);
	rest = (struct sl_str){much, sizeof much};
	CHECK(!sip_list_next(&rest, &item));
	CHECK(cpu_ms() - begun < 300);
}

TEST(a_list_has_its_commas_outside_of_brackets_and_quotes)
{
	struct sl_str rest = SL_STR("\"a,<b\" <sip:x@y;p=1,2>;q=1, , sip:z@w,<sip:v@u>"), item;

	CHECK(sip_list_next(&rest, &item));
	CHECK_STR(item, "\"a,<b\" <sip:x@y;p=1,2>;q=1");
	CHECK(sip_list_next(&rest, &item));
	CHECK_STR(item, "sip:z@w");
	CHECK(sip_list_next(&rest, &item));
	CHECK_STR(item, "<sip:v@u>");
	CHECK(!sip_list_next(&rest, &item));
}

TEST(values_are_taken_apart)
{
	struct sl_str v = SL_STR_NULL, list = SL_STR("<sip:a,b@c>;x=\",\", \"q,\" <sip:d@e> ,, *"),
		      item;

	CHECK(sip_param(SL_STR("<sip:a@b;lr>;Tag=\"x;y\";z"), "tag", &v));
	CHECK_STR(v, "\"x;y\"");
	CHECK(!sip_param(SL_STR("<sip:a@b;tag=no>"), "tag", &v));
	CHECK_STR(sip_user_of(SL_STR("tel:+49123;phone-context=x")), "+49123");
	CHECK_STR(sip_hostport_of(SL_STR("sip:a@[::1]:5070;transport=tcp?x=y")), "[::1]:5070");
	CHECK(sip_list_next(&list, &item));
	CHECK_STR(item, "<sip:a,b@c>;x=\",\"");
	CHECK(sip_list_next(&list, &item));
	CHECK_STR(item, "\"q,\" <sip:d@e>");
	CHECK(sip_list_next(&list, &item));
	CHECK_STR(item, "*");
	CHECK(!sip_list_next(&list, &item));
}

TEST_MAIN()
