/*
 * Descriptions of the peer: which sections are accepted, whose transport counts, and what is said
 * about those that cannot be; and offers of real programs.
 */
#include "lib/jsep.h"

static struct jsep_side a;
static enum jsep_direction wish;
static bool refuse;

static void open_side(void)
{
	jsep_side_free(&a);
	a = jsep_side("aaaa", &rtc_caps);
	wish = JSEP_RECV;
	refuse = false;
}

static enum jsep_direction want(void *ctx, struct jsep_media *m)
{
	m->user = ctx;
	if (refuse)
		jsep_stop(a.j, m);
	return wish;
}

static int hear(const char *offer)
{
	return jsep_remote_offer(a.j, sl_str_c(offer), want, &wish, &a.remote, &a.error);
}

static const struct jsep_media *at(unsigned i)
{
	return jsep_at(a.j, i);
}

TEST(a_section_outside_of_the_group_is_rejected)
{
	open_side();
	CHECK_INT(hear(JSEP_HEAD "a=group:BUNDLE x z\r\na=group:BUNDLE y\r\n" JSEP_OPUS("x")
			       JSEP_TRANSPORT JSEP_VP8("y") JSEP_TRANSPORT JSEP_VP8("z")),
		  0);
	CHECK(!at(0)->rejected && at(1)->rejected && !at(2)->rejected);
	CHECK_INT(jsep_side_answer(&a), 0);
	CHECK(strstr(jsep_text(&a), "a=group:BUNDLE x z\r\n"));
	CHECK(strstr(jsep_text(&a), "m=video 0 UDP/TLS/RTP/SAVPF 96\r\n"));
}

TEST(without_a_group_the_first_section_has_the_transport)
{
	open_side();
	CHECK_INT(hear(JSEP_HEAD JSEP_OPUS("x") JSEP_TRANSPORT JSEP_VP8("y") JSEP_TRANSPORT), 0);
	CHECK(!at(0)->rejected && at(1)->rejected);
	CHECK_INT(jsep_side_answer(&a), 0);
	CHECK(!strstr(jsep_text(&a), "BUNDLE"));
}

TEST(without_rtcp_mux_a_section_is_rejected)
{
	open_side();
	CHECK_INT(hear(JSEP_HEAD "a=group:BUNDLE x y\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
				 "a=mid:x\r\n" JSEP_VP8("y") JSEP_TRANSPORT),
		  0);
	CHECK(at(0)->rejected && !at(1)->rejected);
	CHECK_STR(sl_str_c(a.remote.ufrag), "abcd");
}

TEST(the_transport_is_that_of_the_first_accepted_section_in_the_groups_order)
{
	open_side();
	CHECK_INT(hear(JSEP_HEAD "a=group:BUNDLE y x\r\n" JSEP_OPUS("x") JSEP_TRANSPORT JSEP_VP8(
			  "y") "a=ice-ufrag:other\r\na=ice-pwd:p\r\n"
			       "a=fingerprint:sha-256 CC\r\na=setup:passive\r\n"),
		  0);
	CHECK_STR(sl_str_c(a.remote.ufrag), "other");
	a.local.n_candidates = 1;
	snprintf(a.local.candidates[0], sizeof a.local.candidates[0], "C");
	CHECK_INT(jsep_side_answer(&a), 0);
	CHECK(strstr(jsep_text(&a), "a=group:BUNDLE y x\r\n"));
	CHECK(strstr(jsep_text(&a), "a=setup:active\r\n"));
	CHECK(strstr(jsep_text(&a), "a=candidate:C\r\n") > strstr(jsep_text(&a), "m=video"));
}

TEST(a_bundle_only_section_with_port_0_is_accepted)
{
	open_side();
	CHECK_INT(hear(JSEP_HEAD "a=group:BUNDLE x y\r\n" JSEP_OPUS("x") JSEP_TRANSPORT
		       "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=bundle-only\r\na=mid:y\r\n"
		       "a=rtcp-mux\r\n"),
		  0);
	CHECK(!at(1)->rejected);
	CHECK_INT(at(1)->codecs[0].id, SL_CODEC_PCMU);
}

TEST(kinds_and_protocols_that_nobody_has_here_are_rejected)
{
	open_side();
	CHECK_INT(hear(JSEP_HEAD "a=group:BUNDLE 0 1 2 3 4\r\n" JSEP_OPUS("0") JSEP_TRANSPORT
		       "m=text 9 UDP/TLS/RTP/SAVPF 98\r\na=mid:1\r\na=rtcp-mux\r\n"
		       "m=audio 9 RTP/AVP 0\r\na=mid:2\r\na=rtcp-mux\r\n"
		       "m=application 9 UDP/BFCP *\r\na=mid:3\r\n"
		       "m=audio 9 UDP/TLS/RTP/SAVPF 99\r\na=mid:4\r\na=rtcp-mux\r\n"
		       "a=rtpmap:99 SILK/8000\r\n"),
		  0);
	CHECK_INT(jsep_count(a.j), 5);
	for (unsigned i = 1; i < 5; i++)
		CHECK(at(i)->rejected);
	CHECK_INT(jsep_side_answer(&a), 0);
	CHECK(strstr(jsep_text(&a), "m=text 0 UDP/TLS/RTP/SAVPF 98\r\n"));
	CHECK(strstr(jsep_text(&a), "m=application 0 UDP/BFCP *\r\n"));
	/* What we never understood stays in our offers too, refused. */
	CHECK_INT(jsep_side_offer(&a), 0);
	CHECK(strstr(jsep_text(&a), "m=text 0 "));
}

TEST(the_caller_says_what_it_wants_of_a_new_section)
{
	open_side();
	wish = JSEP_SENDRECV;
	CHECK_INT(hear(JSEP_HEAD JSEP_OPUS("x") JSEP_TRANSPORT), 0);
	CHECK_INT(at(0)->direction, JSEP_SENDRECV);
	CHECK(at(0)->user == &wish);
	jsep_at(a.j, 0)->wanted = JSEP_SEND; /* it may change its mind until the answer */
	CHECK_INT(jsep_side_answer(&a), 0);
	CHECK_INT(at(0)->direction, JSEP_SEND);
	CHECK(strstr(jsep_text(&a), "a=sendonly\r\n"));
}

TEST(the_caller_may_refuse_a_new_section)
{
	open_side();
	refuse = true;
	CHECK_INT(hear(JSEP_HEAD JSEP_OPUS("x") JSEP_TRANSPORT), 0);
	CHECK(at(0)->rejected);
	CHECK_INT(a.remote.ufrag[0], 0);
	CHECK_INT(jsep_side_answer(&a), 0);
	CHECK(strstr(jsep_text(&a), "m=audio 0 "));
	/* The next offer may use the place. */
	refuse = false;
	CHECK_INT(hear(JSEP_HEAD JSEP_VP8("y") JSEP_TRANSPORT), 0);
	CHECK(!at(0)->rejected);
	CHECK_INT(at(0)->kind, SL_MEDIA_VIDEO);
	jsep_rollback(a.j);
	CHECK(at(0)->rejected);
	CHECK_INT(at(0)->kind, SL_MEDIA_AUDIO);
}

TEST(a_section_that_is_stopped_is_rejected_in_the_answer)
{
	open_side();
	CHECK_INT(hear(JSEP_HEAD "a=group:BUNDLE x\r\n" JSEP_OPUS("x") JSEP_TRANSPORT), 0);
	jsep_stop(a.j, jsep_at(a.j, 0)); /* too late for this one */
	CHECK_INT(jsep_side_answer(&a), 0);
	CHECK(strstr(jsep_text(&a), "a=inactive\r\n") && !at(0)->rejected);
	CHECK_INT(hear(JSEP_HEAD "a=group:BUNDLE x\r\n" JSEP_OPUS("x") JSEP_TRANSPORT), 0);
	CHECK(at(0)->rejected);
}

#define GROUP "a=group:BUNDLE x y\r\n"
static const struct {
	const char *offer;
	unsigned line;
	const char *part;
} wrong[] = {
	{JSEP_HEAD JSEP_OPUS("x") "a=ice-pwd:p\r\na=fingerprint:sha-256 A\r\na=setup:active\r\n", 5,
	 "no a=ice-ufrag"},
	{JSEP_HEAD JSEP_OPUS("x") "a=ice-ufrag:u\r\na=fingerprint:sha-256 A\r\na=setup:active\r\n",
	 5, "no a=ice-pwd"},
	{JSEP_HEAD JSEP_OPUS("x") "a=ice-ufrag:u\r\na=ice-pwd:p\r\na=setup:active\r\n", 5,
	 "SHA-256 or better"},
	{JSEP_HEAD JSEP_OPUS("x") "a=ice-ufrag:u\r\na=ice-pwd:p\r\na=setup:active\r\n"
				  "a=fingerprint:sha-1 A\r\n",
	 5, "SHA-256 or better"},
	{JSEP_HEAD JSEP_OPUS("x") "a=ice-ufrag:u\r\na=ice-pwd:p\r\na=setup:holdcon\r\n"
				  "a=fingerprint:sha-256 A\r\n",
	 5, "actpass, active or passive"},
	{JSEP_HEAD JSEP_OPUS("x") "a=ice-ufrag:u\r\na=ice-pwd:p\r\na=setup:holdconnection\r\n"
				  "a=fingerprint:sha-256 A\r\n",
	 5, "longer than"},
	{JSEP_HEAD GROUP JSEP_OPUS("x") JSEP_TRANSPORT JSEP_VP8("x"), 16, "two sections"},
	{JSEP_HEAD JSEP_OPUS("01234567890123456"), 5, "1 to 16"},
	{JSEP_HEAD JSEP_OPUS(""), 5, "1 to 16"},
	{JSEP_HEAD JSEP_OPUS("a b"), 5, "1 to 16"},
	{JSEP_HEAD "m=audio 9 RTP/SAVPFRTP/SAVPFRTP/SAVPF 0\r\n", 5, "nobody knows"},
	{"hello", 1, "v=0"},
};

TEST(what_cannot_be_answered_is_refused_with_line_and_reason)
{
	open_side();
	for (unsigned i = 0; i < SL_ARRAY_LEN(wrong); i++) {
		CHECK_INT(hear(wrong[i].offer), -SL_EPARSE);
		if (a.error.line != wrong[i].line || !strstr(a.error.text, wrong[i].part))
			TEST_FAIL("%u: line %u: \"%s\"", i, a.error.line, a.error.text);
		CHECK_INT(jsep_count(a.j), 0);
		CHECK_INT(jsep_get_state(a.j), JSEP_STABLE);
	}
}

TEST(a_thousand_sections_are_refused)
{
	struct sl_buf b;

	open_side();
	sl_buf_init(&b, 0);
	sl_buf_printf(&b, JSEP_HEAD);
	for (int i = 0; i < 1000; i++)
		sl_buf_printf(&b, "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:%d\r\na=rtcp-mux\r\n", i);
	CHECK_INT(jsep_side_hear(&a, sl_buf_view(&b)), -SL_ELIMIT);
	CHECK_STR(sl_str_c(a.error.text), "the description has more than 256 media sections");
	sl_buf_free(&b);
}

TEST(a_later_offer_may_not_drop_or_change_sections)
{
	open_side();
	CHECK_INT(hear(JSEP_HEAD GROUP JSEP_OPUS("x") JSEP_TRANSPORT JSEP_VP8("y")), 0);
	CHECK_INT(jsep_side_answer(&a), 0);
	CHECK_INT(hear(JSEP_HEAD GROUP JSEP_OPUS("x") JSEP_TRANSPORT), -SL_EPARSE);
	CHECK_STR(sl_str_c(a.error.text), "the offer has 1 sections, the session has 2");
	CHECK_INT(hear(JSEP_HEAD GROUP JSEP_OPUS("z") JSEP_TRANSPORT JSEP_VP8("y")), -SL_EPARSE);
	CHECK_STR(sl_str_c(a.error.text), "section 0 was \"x\" and is \"z\" now");
	CHECK_INT(hear(JSEP_HEAD GROUP JSEP_OPUS("x") JSEP_TRANSPORT JSEP_OPUS("y")), -SL_EPARSE);
	CHECK_STR(sl_str_c(a.error.text), "section 1 was video and is audio now");
	CHECK_INT(jsep_count(a.j), 2);
	CHECK(!at(0)->rejected);
	CHECK_INT(at(0)->direction, JSEP_RECV);
}

TEST(a_section_without_mid_gets_one_when_we_offer)
{
	open_side();
	CHECK_INT(hear(JSEP_HEAD "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=rtcp-mux\r\n" JSEP_TRANSPORT),
		  0);
	CHECK_INT(jsep_side_answer(&a), 0);
	CHECK(!strstr(jsep_text(&a), "a=mid"));
	CHECK_INT(jsep_side_offer(&a), 0);
	CHECK(strstr(jsep_text(&a), "a=mid:0\r\n"));
}

/* ---- answers */

#define ANSWER_TAIL                                                                                \
	"a=ice-ufrag:abcd\r\na=ice-pwd:p\r\na=fingerprint:sha-256 AA\r\na=setup:active\r\n"
static const struct {
	const char *answer, *part;
} wrong_answers[] = {
	{JSEP_HEAD, "the answer has 0 sections, the offer has 2"},
	{JSEP_HEAD "a=group:BUNDLE 0 1\r\n" JSEP_VP8("0") ANSWER_TAIL JSEP_OPUS("1"),
	 "section 0 is audio in the offer"},
	{JSEP_HEAD "a=group:BUNDLE 1 0\r\n" JSEP_OPUS("1") ANSWER_TAIL JSEP_VP8("0"),
	 "section 0 is \"0\" in the offer"},
	{JSEP_HEAD "a=group:BUNDLE 0\r\n" JSEP_OPUS("0") ANSWER_TAIL JSEP_VP8("1"),
	 "section 1 is not in the BUNDLE group"},
	{JSEP_HEAD JSEP_OPUS("0") ANSWER_TAIL JSEP_VP8("1"),
	 "section 1 is not in the BUNDLE group"},
	{JSEP_HEAD
	 "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n" ANSWER_TAIL JSEP_VP8(
		 "1"),
	 "section 0 has no a=rtcp-mux"},
	{JSEP_HEAD "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 5\r\na=mid:0\r\n"
		   "a=rtcp-mux\r\n" ANSWER_TAIL JSEP_VP8("1"),
	 "section 0 has no format of the offer"},
	{JSEP_HEAD
	 "a=group:BUNDLE 0 1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n" ANSWER_TAIL JSEP_VP8("1"),
	 "section 0 has another protocol"},
	{JSEP_HEAD "a=group:BUNDLE 0 1\r\n" JSEP_OPUS("0") JSEP_TRANSPORT JSEP_VP8("1"),
	 "active or passive"},
};

TEST(an_answer_that_does_not_fit_the_offer_is_refused)
{
	open_side();
	jsep_side_add(&a, SL_MEDIA_AUDIO, JSEP_SENDRECV);
	jsep_side_add(&a, SL_MEDIA_VIDEO, JSEP_SENDRECV);
	CHECK_INT(jsep_side_offer(&a), 0);
	for (unsigned i = 0; i < SL_ARRAY_LEN(wrong_answers); i++) {
		CHECK_INT(jsep_remote_answer(a.j, sl_str_c(wrong_answers[i].answer), &a.remote,
					     &a.error),
			  -SL_EPARSE);
		if (!strstr(a.error.text, wrong_answers[i].part))
			TEST_FAIL("%u: \"%s\"", i, a.error.text);
		CHECK_INT(jsep_get_state(a.j), JSEP_HAVE_LOCAL_OFFER);
	}
	CHECK_INT(jsep_remote_answer(a.j,
				     SL_STR(JSEP_HEAD "a=group:BUNDLE 0\r\n" JSEP_OPUS("0")
						    ANSWER_TAIL
					    "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n"),
				     &a.remote, &a.error),
		  0);
	CHECK_INT(at(0)->direction, JSEP_SENDRECV);
	CHECK(at(1)->rejected);
}

/* ---- what programs really say; the files are inputs of the fuzz target too */

static struct sl_str read_file(const char *name)
{
	static char text[32 * 1024];
	const char *src = getenv("SLUICE_SRC");
	char path[512];
	FILE *f;
	size_t n;

	snprintf(path, sizeof path, "%s/tests/fuzz/corpus/jsep/%s", src ? src : ".", name);
	f = fopen(path, "r");
	sl_assert(f);
	n = fread(text, 1, sizeof text, f);
	fclose(f);
	return (struct sl_str){text, n};
}

static int hear_file(const char *name)
{
	open_side();
	return jsep_side_hear(&a, read_file(name));
}

static bool has_rids_l_m_h(const struct jsep_media *m)
{
	return m->n_rids == 3 && strcmp(m->rids[0], "l") == 0 && strcmp(m->rids[1], "m") == 0 &&
	       strcmp(m->rids[2], "h") == 0;
}

TEST(chromiums_offer_is_understood)
{
	const struct jsep_codec *c;

	CHECK_INT(hear_file("chromium-publish"), 0);
	CHECK_INT(jsep_count(a.j), 3);
	CHECK_INT(at(0)->codecs[0].id, SL_CODEC_OPUS);
	CHECK(jsep_codec_of(at(0), SL_CODEC_RED));
	CHECK(at(0)->rtcp_rsize && at(0)->rtcp_xr && at(0)->ext_mixed);
	CHECK_INT(at(0)->ext.id[SL_RTP_EXT_AUDIO_LEVEL], 1);
	CHECK_INT(at(0)->n_theirs, 1);
	CHECK(has_rids_l_m_h(at(1)));
	CHECK_INT(at(1)->ext.id[SL_RTP_EXT_DEPENDENCY_DESCRIPTOR], 12);
	c = jsep_codec_of(at(1), SL_CODEC_VP8);
	CHECK(c && c->pt == 96 && c->rtx_pt == 97);
	CHECK_INT(c->feedback,
		  JSEP_FB_NACK | JSEP_FB_PLI | JSEP_FB_FIR | JSEP_FB_REMB | JSEP_FB_TWCC);
	CHECK_INT(a.remote.sctp_port, 5000);
	CHECK_INT(a.remote.max_message, 262144);
	CHECK(a.remote.trickle);
}

TEST(firefoxs_offer_is_understood)
{
	const struct jsep_codec *c;

	CHECK_INT(hear_file("firefox-publish"), 0);
	CHECK(has_rids_l_m_h(at(1)));
	c = jsep_codec_of(at(0), SL_CODEC_OPUS);
	CHECK(c && c->pt == 109);
	CHECK_STR(sl_str_c(c->params), "maxplaybackrate=48000;stereo=1;useinbandfec=1");
	CHECK(jsep_codec_of(at(0), SL_CODEC_G722)); /* with a channel count that others leave out */
	/* rid only comes, csrc-audio-level only goes */
	CHECK_INT(at(1)->ext.id[SL_RTP_EXT_RID], 9);
	CHECK_INT(at(1)->ext_out.id[SL_RTP_EXT_RID], 0);
	CHECK_INT(at(0)->ext.id[SL_RTP_EXT_CSRC_AUDIO_LEVEL], 0);
	CHECK_INT(at(0)->ext_out.id[SL_RTP_EXT_CSRC_AUDIO_LEVEL], 2);
	CHECK_INT(jsep_side_answer(&a), 0);
	CHECK(strstr(jsep_text(&a),
		     "a=extmap:9/recvonly urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"));
	CHECK(strstr(jsep_text(&a),
		     "a=extmap:2/sendonly urn:ietf:params:rtp-hdrext:csrc-audio-level"));
	CHECK(strstr(jsep_text(&a), "a=simulcast:recv l;m;h\r\n"));
	CHECK(strstr(jsep_text(&a), "useinbandfec=1;minptime=10\r\n"));
	CHECK(!strstr(jsep_text(&a), "max-fs"));
}

TEST(aiortcs_offer_is_answered_in_its_old_form)
{
	CHECK_INT(hear_file("aiortc-publish"), 0);
	CHECK_INT(a.remote.sctp_port, 5000);
	CHECK_INT(at(1)->theirs[0].rtx, 2562788158);
	/* It calls two extensions 2, in two sections of one group. */
	CHECK_INT(at(0)->ext.id[SL_RTP_EXT_AUDIO_LEVEL], 2);
	CHECK_INT(at(1)->ext.id[SL_RTP_EXT_ABS_SEND_TIME], 2);
	CHECK_INT(at(1)->ext_out.id[SL_RTP_EXT_ABS_SEND_TIME], 0);
	CHECK_INT(jsep_side_answer(&a), 0);
	CHECK(strstr(jsep_text(&a), "m=application 9 DTLS/SCTP 5000\r\n"));
	CHECK(strstr(jsep_text(&a), "a=sctpmap:5000 webrtc-datachannel 1024\r\n"));
}

TEST(werifts_offer_is_understood)
{
	CHECK_INT(hear_file("werift-publish"), 0);
	CHECK_INT(at(0)->ext.id[SL_RTP_EXT_MID], 1);
	CHECK_INT(at(1)->ext.id[SL_RTP_EXT_MID], 2);
	CHECK_INT(a.remote.max_message, 65536);
	CHECK(a.remote.end_of_candidates);
}

TEST(an_offer_as_it_was_ten_years_ago_is_understood)
{
	CHECK_INT(hear_file("old"), 0);
	CHECK(a.remote.lite && a.remote.trickle);
	CHECK_STR(sl_str_c(a.remote.fingerprint), "sha-256 AA:BB");
	CHECK(at(0)->rejected && !at(1)->rejected && !at(2)->rejected && at(3)->rejected &&
	      at(4)->rejected);
	CHECK_INT(at(1)->n_theirs, 3);
	CHECK_INT(at(1)->theirs[0].rtx, 11);
	CHECK_INT(at(1)->theirs[1].rtx, 0);
	CHECK_INT(at(1)->theirs[2].rtx, 13);
	CHECK_INT(at(1)->their_limit_bps, 500000);
	CHECK_INT(jsep_side_answer(&a), 0);
	CHECK(strstr(jsep_text(&a), "a=setup:passive\r\n"));
	CHECK(strstr(jsep_text(&a), "a=x-google-flag:conference\r\n"));
}

TEST_MAIN()
