/*
 * What both sides can: codecs, header extensions, rids and SSRCs of an offered section.
 */
#include "lib/jsep.h"

static struct jsep_side a;
static const struct jsep_codec *prefs;
static unsigned n_prefs;

static enum jsep_direction want(void *ctx, struct jsep_media *m)
{
	(void)ctx;
	if (prefs)
		sl_assert(jsep_prefer(a.j, m, prefs, n_prefs) == 0);
	return JSEP_RECV;
}

#define VIDEO "m=video 9 UDP/TLS/RTP/SAVPF "
#define AUDIO "m=audio 9 UDP/TLS/RTP/SAVPF "

/* One section: its m-line, then the rest */
static const struct jsep_media *hear(const char *m_line, const char *rest)
{
	char text[4096];

	jsep_side_free(&a);
	a = jsep_side("aaaa", &rtc_caps);
	snprintf(text, sizeof text, JSEP_HEAD "%s\r\na=mid:0\r\na=rtcp-mux\r\n%s" JSEP_TRANSPORT,
		 m_line, rest);
	if (jsep_remote_offer(a.j, sl_str_c(text), want, NULL, &a.remote, &a.error) < 0) {
		printf("# line %u: %s\n", a.error.line, a.error.text);
		sl_assert(false);
	}
	return jsep_at(a.j, 0);
}

static const char *answer(void)
{
	sl_assert(jsep_side_answer(&a) == 0);
	return jsep_text(&a);
}

TEST(codecs_keep_the_offers_order_and_numbers)
{
	const struct jsep_media *m =
		hear(VIDEO "35 36 99 100", "a=rtpmap:35 AV1/90000\r\na=rtpmap:36 rtx/90000\r\n"
					   "a=fmtp:36 apt=35\r\na=rtpmap:99 vp8/90000\r\n"
					   "a=rtpmap:100 theora/90000\r\n");

	CHECK_INT(m->n_codecs, 2);
	CHECK_INT(m->codecs[0].id, SL_CODEC_AV1);
	CHECK_INT(m->codecs[0].pt, 35);
	CHECK_INT(m->codecs[0].rtx_pt, 36);
	CHECK_INT(m->codecs[1].pt, 99);
	CHECK_INT(m->codecs[1].rtx_pt, 0);
	CHECK(strstr(answer(), "m=video 9 UDP/TLS/RTP/SAVPF 35 36 99\r\n"));
	CHECK(!strstr(jsep_text(&a), "theora"));
}

TEST(preferred_codecs_come_in_the_callers_order_and_alone)
{
	const struct jsep_codec wish[] = {rtc_caps.video[1], rtc_caps.video[0]};
	const struct jsep_media *m;

	prefs = wish;
	n_prefs = 2;
	m = hear(VIDEO "96 97 98", "a=rtpmap:96 VP8/90000\r\na=rtpmap:97 H264/90000\r\n"
				   "a=rtpmap:98 VP9/90000\r\n");
	prefs = NULL;
	CHECK_INT(m->n_codecs, 2);
	CHECK_INT(m->codecs[0].pt, 98);
	CHECK_INT(m->codecs[1].pt, 96);
}

TEST(each_of_our_codecs_is_agreed_once)
{
	const struct jsep_media *m = hear(
		VIDEO "96 97", "a=rtpmap:96 H264/90000\r\na=fmtp:96 profile-level-id=42e01f\r\n"
			       "a=rtpmap:97 H264/90000\r\na=fmtp:97 profile-level-id=42e034\r\n");

	CHECK_INT(m->n_codecs, 1);
	CHECK_INT(m->codecs[0].pt, 96);
	CHECK_STR(sl_str_c(m->codecs[0].params), "profile-level-id=42e01f");
}

TEST(red_is_agreed_when_it_holds_opus)
{
	const char *opus = "a=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\n";
	char rest[256];

	snprintf(rest, sizeof rest, "%sa=fmtp:63 111/111\r\n", opus);
	CHECK(jsep_codec_of(hear(AUDIO "63 111", rest), SL_CODEC_RED));
	CHECK(strstr(answer(), "a=fmtp:63 111/111\r\n"));
	snprintf(rest, sizeof rest, "%sa=fmtp:63 112/112\r\n", opus);
	CHECK(!jsep_codec_of(hear(AUDIO "63 111", rest), SL_CODEC_RED));
	CHECK(!jsep_codec_of(hear(AUDIO "63 111", opus), SL_CODEC_RED));
	/* red alone is nothing. */
	CHECK(hear(AUDIO "63", "a=rtpmap:63 red/48000/2\r\na=fmtp:63 63/63\r\n")->rejected);
}

TEST(opus_is_asked_for_repair_and_mirrors_the_rest)
{
	hear(AUDIO "111",
	     "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 stereo=1;usedtx=1;sprop-stereo=1\r\n");
	CHECK(strstr(answer(), "a=fmtp:111 stereo=1;usedtx=1;minptime=10;useinbandfec=1\r\n"));
	hear(AUDIO "111", "a=rtpmap:111 opus/48000/2\r\n");
	CHECK(strstr(answer(), "a=fmtp:111 minptime=10;useinbandfec=1\r\n"));
	hear(AUDIO "111", "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=0;minptime=20\r\n");
	CHECK(strstr(answer(), "a=fmtp:111 useinbandfec=0;minptime=20\r\n"));
}

TEST(opus_says_how_much_of_it_can_be_used_whatever_the_peer_says_of_itself)
{
	hear(AUDIO "109", "a=rtpmap:109 opus/48000/2\r\n"
			  "a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1\r\n");
	jsep_limit_sound(a.j, 16000);
	CHECK(strstr(answer(), "a=fmtp:109 stereo=1;useinbandfec=1;minptime=10;"
			       "maxplaybackrate=16000;maxaveragebitrate=32000\r\n"));
	hear(AUDIO "0", "");
	jsep_limit_sound(a.j, 8000);
	CHECK(!strstr(answer(), "maxplaybackrate"));
}

TEST(feedback_is_what_both_can)
{
	const struct jsep_media *m =
		hear(VIDEO "96 97", "a=rtpmap:96 VP8/90000\r\na=rtpmap:97 VP9/90000\r\n"
				    "a=rtcp-fb:* nack\r\na=rtcp-fb:96 nack pli\r\n"
				    "a=rtcp-fb:97 ccm fir\r\na=rtcp-fb:97 nack rpsi\r\n");

	CHECK_INT(m->codecs[0].feedback, JSEP_FB_NACK | JSEP_FB_PLI);
	CHECK_INT(m->codecs[1].feedback, JSEP_FB_NACK | JSEP_FB_FIR);
	CHECK(!strstr(answer(), "rpsi"));
}

TEST(who_is_bounded_by_tmmbr_alone_is_agreed_with_and_nobody_is_offered_it)
{
	const struct jsep_media *m =
		hear(VIDEO "96", "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 ccm tmmbr\r\n");
	struct jsep_side b = jsep_side("bbbb", &rtc_caps);

	CHECK_INT(m->codecs[0].feedback, JSEP_FB_TMMBR);
	CHECK(strstr(answer(), "a=rtcp-fb:96 ccm tmmbr\r\n"));
	jsep_side_add(&b, SL_MEDIA_VIDEO, JSEP_SEND);
	CHECK_INT(jsep_side_offer(&b), 0);
	CHECK(strstr(jsep_text(&b), "goog-remb") && !strstr(jsep_text(&b), "tmmbr"));
	jsep_side_free(&b);
}

#define EXT_VIDEO "a=rtpmap:96 VP8/90000\r\n"
#define MID_URI "urn:ietf:params:rtp-hdrext:sdes:mid"
#define ORIENTATION "urn:3gpp:video-orientation"

TEST(extensions_that_are_known_are_agreed_with_their_ways)
{
	const struct jsep_media *m =
		hear(VIDEO "96", EXT_VIDEO
		     "a=extmap:3 " MID_URI "\r\na=extmap:4/recvonly " ORIENTATION
		     " with parameters\r\na=extmap:5 urn:unknown\r\n"
		     "a=extmap:6 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
		     "a=extmap:7/inactive urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n");

	CHECK_INT(m->ext.id[SL_RTP_EXT_MID], 3);
	CHECK_INT(m->ext_out.id[SL_RTP_EXT_MID], 3);
	CHECK_INT(m->ext.id[SL_RTP_EXT_VIDEO_ORIENTATION], 0);
	CHECK_INT(m->ext_out.id[SL_RTP_EXT_VIDEO_ORIENTATION], 4);
	CHECK_INT(m->ext.id[SL_RTP_EXT_AUDIO_LEVEL], 0); /* not of video */
	CHECK_INT(m->ext.id[SL_RTP_EXT_RID], 0);
	CHECK(strstr(answer(), "a=extmap:4/sendonly " ORIENTATION "\r\n"));
	CHECK(!strstr(jsep_text(&a), "urn:unknown"));
}

TEST(of_extensions_said_twice_the_first_counts)
{
	const struct jsep_media *m =
		hear(VIDEO "96", EXT_VIDEO "a=extmap:3 " MID_URI "\r\na=extmap:9 " MID_URI "\r\n"
					   "a=extmap:3 " ORIENTATION "\r\n");

	CHECK_INT(m->ext.id[SL_RTP_EXT_MID], 3);
	CHECK_INT(m->ext.id[SL_RTP_EXT_VIDEO_ORIENTATION], 0);
}

#define SEND_TIME "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"

TEST(what_two_sections_call_alike_is_understood_in_each_and_sent_in_the_first_only)
{
	const struct jsep_media *sound, *picture;

	jsep_side_free(&a);
	a = jsep_side("aaaa", &rtc_caps);
	CHECK_INT(jsep_side_hear(&a, SL_STR(JSEP_HEAD "a=group:BUNDLE 0 1\r\n" JSEP_OPUS("0")
					    "a=extmap:1 " MID_URI "\r\na=extmap:2 "
					    "urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
					    JSEP_TRANSPORT JSEP_VP8("1") "a=extmap:1 " MID_URI
					    "\r\na=extmap:2 " SEND_TIME "\r\n" JSEP_TRANSPORT)),
		  0);
	sound = jsep_at(a.j, 0);
	picture = jsep_at(a.j, 1);
	CHECK_INT(sound->ext.id[SL_RTP_EXT_AUDIO_LEVEL], 2);
	CHECK_INT(sound->ext_out.id[SL_RTP_EXT_AUDIO_LEVEL], 2);
	CHECK_INT(picture->ext.id[SL_RTP_EXT_ABS_SEND_TIME], 2);
	CHECK_INT(picture->ext_out.id[SL_RTP_EXT_ABS_SEND_TIME], 0);
	CHECK_INT(picture->ext_out.id[SL_RTP_EXT_MID], 1);
	CHECK(strstr(answer(), "a=extmap:2/recvonly " SEND_TIME "\r\n"));
}

TEST(large_ids_need_the_permission_for_two_byte_headers)
{
	const char *large = "a=extmap:16 " MID_URI "\r\na=extmap:15 " ORIENTATION "\r\n";
	char rest[512];

	snprintf(rest, sizeof rest, EXT_VIDEO "%s", large);
	CHECK_INT(hear(VIDEO "96", rest)->ext.id[SL_RTP_EXT_MID], 0);
	snprintf(rest, sizeof rest, EXT_VIDEO "%sa=extmap-allow-mixed\r\n", large);
	CHECK_INT(hear(VIDEO "96", rest)->ext.id[SL_RTP_EXT_MID], 16);
	CHECK_INT(jsep_at(a.j, 0)->ext.id[SL_RTP_EXT_VIDEO_ORIENTATION], 0);
	CHECK(jsep_at(a.j, 0)->ext_mixed);
	CHECK(strstr(answer(), "a=extmap-allow-mixed\r\n"));
}

static const struct jsep_media *hear_rids(const char *rest)
{
	char text[512];

	snprintf(text, sizeof text,
		 EXT_VIDEO "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n%s", rest);
	return hear(VIDEO "96", text);
}

TEST(rids_come_in_the_order_of_the_simulcast_line)
{
	const struct jsep_media *m =
		hear_rids("a=rid:a send\r\na=rid:b send max-width=640\r\na=rid:c send\r\n"
			  "a=simulcast:recv x send c;~b;a\r\n");

	CHECK_INT(m->n_rids, 3);
	CHECK_STR(sl_str_c(m->rids[0]), "c");
	CHECK_STR(sl_str_c(m->rids[1]), "b");
	CHECK(!m->rid_paused[0] && m->rid_paused[1] && !m->rid_paused[2]);
	CHECK(strstr(answer(), "a=rid:b recv max-width=640\r\n"));
	CHECK(strstr(jsep_text(&a), "a=simulcast:recv c;b;a\r\n"));
}

TEST(of_alternatives_the_first_useful_one_is_taken)
{
	const struct jsep_media *m =
		hear_rids("a=rid:a send pt=97\r\na=rid:b send pt=97,96\r\na=rid:c recv\r\n"
			  "a=rid:d send\r\na=simulcast:send a,b;c;nobody,~d,d;b\r\n");

	CHECK_INT(m->n_rids, 2);
	CHECK_STR(sl_str_c(m->rids[0]), "b");
	CHECK_STR(sl_str_c(m->rids[1]), "d");
	CHECK(m->rid_paused[1]);
}

TEST(rids_without_the_extension_that_carries_them_are_of_no_use)
{
	const struct jsep_media *m = hear(VIDEO "96", EXT_VIDEO
					  "a=rid:a send\r\na=rid:b send\r\na=simulcast:send a;b\r\n"
					  "a=ssrc:7 cname:x\r\n");

	CHECK_INT(m->n_rids, 0);
	CHECK_INT(m->theirs[0].media, 7);
	CHECK(!strstr(answer(), "simulcast"));
	/* Where there are rids, they tell streams apart, not SSRCs. */
	m = hear_rids(
		"a=rid:a send\r\na=rid:b send\r\na=simulcast:send a;b\r\na=ssrc:7 cname:x\r\n");
	CHECK_INT(m->n_rids, 2);
	CHECK_INT(m->n_theirs, 0);
}

TEST(a_rid_without_simulcast_is_a_name_and_no_more)
{
	CHECK_INT(hear_rids("a=rid:a send\r\n")->n_rids, 1);
	CHECK(strstr(answer(), "a=rid:a recv\r\n"));
	CHECK(!strstr(jsep_text(&a), "simulcast"));
}

TEST(no_more_rids_are_taken_than_there_is_room_for)
{
	const struct jsep_media *m =
		hear_rids("a=rid:1 send\r\na=rid:2 send\r\na=rid:3 send\r\na=rid:4 send\r\n"
			  "a=rid:5 send\r\na=rid:6 send\r\na=simulcast:send 1;2;3;4;5;6\r\n");

	CHECK_INT(m->n_rids, JSEP_MAX_RIDS);
	CHECK(strstr(answer(), "a=simulcast:recv 1;2;3;4\r\n"));
	m = hear_rids("a=rid:bad.name send\r\na=rid:12345678901234567 send\r\n"
		      "a=simulcast:send bad.name;12345678901234567\r\n");
	CHECK_INT(m->n_rids, 0);
}

TEST(ssrcs_are_grouped_as_the_offer_says)
{
	const struct jsep_media *m = hear_rids("a=ssrc:7 cname:x\r\na=ssrc:8 cname:x\r\n");

	CHECK_INT(m->n_theirs, 1);
	CHECK_INT(m->theirs[0].media, 7);
	CHECK_INT(m->theirs[0].rtx, 0);
	m = hear_rids("a=ssrc-group:FID 7 8\r\na=ssrc:7 cname:x\r\n");
	CHECK_INT(m->theirs[0].rtx, 8);
	m = hear_rids(
		"a=ssrc-group:FID 3 13\r\na=ssrc-group:SIM 1 2 3\r\na=ssrc-group:FID 1 11\r\n");
	CHECK_INT(m->n_theirs, 3);
	CHECK_INT(m->theirs[0].media, 1);
	CHECK_INT(m->theirs[0].rtx, 11);
	CHECK_INT(m->theirs[1].rtx, 0);
	CHECK_INT(m->theirs[2].rtx, 13);
	m = hear_rids("a=ssrc:4294967296 cname:x\r\na=ssrc-group:FID 0 1\r\na=ssrc-group:SIM\r\n");
	CHECK_INT(m->n_theirs, 0);
}

TEST(names_and_limits_are_the_peers)
{
	const struct jsep_media *m =
		hear(VIDEO "96\r\nb=TIAS:300000", EXT_VIDEO "a=msid:- track\r\n");

	CHECK_STR(sl_str_c(m->their_stream), "");
	CHECK_STR(sl_str_c(m->their_track), "track");
	CHECK_INT(m->their_limit_bps, 300000);
	jsep_at(a.j, 0)->limit_bps = 1500500;
	CHECK(strstr(answer(), "c=IN IP4 0.0.0.0\r\nb=AS:1501\r\nb=TIAS:1500500\r\n"));
	m = hear(VIDEO "96", EXT_VIDEO "a=msid:{one} {two}\r\na=msid:three four\r\n");
	CHECK_STR(sl_str_c(m->their_stream), "{one}");
	CHECK_STR(sl_str_c(m->their_track), "{two}");
}

TEST_MAIN()
