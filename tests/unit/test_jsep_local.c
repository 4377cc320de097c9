/*
 * Our own offers: one number for one thing in the whole group, and names that end no line.
 */
#include "lib/jsep.h"

static struct jsep_side a, b;

static void open_sides(void)
{
	jsep_side_free(&a);
	jsep_side_free(&b);
	a = jsep_side("aaaa", &rtc_caps);
	b = jsep_side("bbbb", &rtc_caps);
}

TEST(a_codec_has_one_number_in_all_sections)
{
	struct jsep_media *m, *n;

	open_sides();
	m = jsep_side_add(&a, SL_MEDIA_VIDEO, JSEP_SEND);
	n = jsep_side_add(&a, SL_MEDIA_VIDEO, JSEP_SEND);
	CHECK_INT(jsep_side_offer(&a), 0);
	CHECK_INT(m->n_codecs, n->n_codecs);
	for (unsigned i = 0; i < m->n_codecs; i++) {
		CHECK_INT(m->codecs[i].pt, n->codecs[i].pt);
		CHECK_INT(m->codecs[i].rtx_pt, n->codecs[i].rtx_pt);
	}
	CHECK_MEM(&m->ext, &n->ext, sizeof m->ext);
}

TEST(the_peers_numbers_are_used_on)
{
	const struct jsep_codec *c;
	struct jsep_media *m;

	open_sides();
	CHECK_INT(jsep_side_hear(&a,
				 SL_STR(JSEP_HEAD
					"a=group:BUNDLE 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 98 99\r\n"
					"a=mid:0\r\na=rtcp-mux\r\na=rtpmap:98 VP8/90000\r\n"
					"a=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=98\r\n"
					"a=extmap:7 "
					"urn:ietf:params:rtp-hdrext:sdes:mid\r\n" JSEP_TRANSPORT)),
		  0);
	CHECK_INT(jsep_side_answer(&a), 0);
	m = jsep_side_add(&a, SL_MEDIA_VIDEO, JSEP_SEND);
	CHECK_INT(jsep_side_offer(&a), 0);
	c = jsep_codec_of(m, SL_CODEC_VP8);
	CHECK(c && c->pt == 98 && c->rtx_pt == 99);
	/* The table's number for VP9 is taken. */
	c = jsep_codec_of(m, SL_CODEC_VP9);
	CHECK(c && c->pt != 98 && c->pt != 99);
	CHECK_INT(m->ext.id[SL_RTP_EXT_MID], 7);
	for (unsigned i = 0; i < m->n_codecs; i++)
		for (unsigned k = 0; k < m->n_codecs; k++)
			CHECK(m->codecs[i].pt != m->codecs[k].rtx_pt);
}

TEST(an_extension_never_gets_an_id_that_meant_something_else_to_the_peer)
{
	struct jsep_media *m;

	open_sides();
	CHECK_INT(jsep_side_hear(&a, SL_STR(JSEP_HEAD JSEP_VP8("0") JSEP_TRANSPORT
					    "a=extmap:1 urn:theirs\r\na=extmap:2 "
					    "urn:3gpp:video-orientation\r\n")),
		  0);
	jsep_rollback(a.j);
	m = jsep_side_add(&a, SL_MEDIA_VIDEO, JSEP_SEND);
	CHECK_INT(jsep_side_offer(&a), 0);
	CHECK_INT(m->ext.id[SL_RTP_EXT_VIDEO_ORIENTATION], 2);
	for (unsigned ext = 0; ext < SL_N_RTP_EXT; ext++)
		CHECK(m->ext.id[ext] != 1);
}

TEST(what_the_peer_calls_by_the_name_of_another_gets_a_name_of_its_own)
{
	struct jsep_media *m;

	open_sides();
	CHECK_INT(jsep_side_hear(
			  &a, SL_STR(JSEP_HEAD "a=group:BUNDLE 0 1\r\n" JSEP_OPUS("0")
				     "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:2 "
				     "urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n" JSEP_TRANSPORT
				     JSEP_VP8("1") "a=extmap:2 "
				     "urn:ietf:params:rtp-hdrext:sdes:mid\r\n" JSEP_TRANSPORT)),
		  0);
	CHECK_INT(jsep_side_answer(&a), 0);
	m = jsep_side_add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	CHECK_INT(jsep_side_offer(&a), 0);
	CHECK_INT(m->ext.id[SL_RTP_EXT_MID], 1);
	CHECK(m->ext.id[SL_RTP_EXT_AUDIO_LEVEL] > 2);
}

TEST(an_extensions_id_stays_when_nobody_uses_it_any_more)
{
	struct jsep_media *m, *n;
	uint8_t level;

	open_sides();
	m = jsep_side_add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	jsep_side_add(&a, SL_MEDIA_DATA, JSEP_SENDRECV);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	level = m->ext.id[SL_RTP_EXT_AUDIO_LEVEL];
	jsep_stop(a.j, m);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	n = jsep_side_add(&a, SL_MEDIA_VIDEO, JSEP_SEND);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	for (unsigned ext = 0; ext < SL_N_RTP_EXT; ext++)
		CHECK(n->ext.id[ext] != level);
	m = jsep_side_add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK_INT(m->ext.id[SL_RTP_EXT_AUDIO_LEVEL], level);
}

TEST(other_parameters_are_another_number_where_the_caller_wants_them)
{
	struct jsep_codec stereo = rtc_caps.audio[0];
	struct jsep_media *m, *n;

	open_sides();
	m = jsep_side_add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	n = jsep_side_add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	snprintf(stereo.params, sizeof stereo.params, "minptime=10;stereo=1;useinbandfec=1");
	CHECK_INT(jsep_prefer(a.j, n, &stereo, 1), 0);
	CHECK_INT(jsep_side_offer(&a), 0);
	CHECK_INT(jsep_codec_of(m, SL_CODEC_OPUS)->pt, 111);
	CHECK_INT(n->n_codecs, 1);
	CHECK(n->codecs[0].pt != 111 && n->codecs[0].pt >= 96);
	CHECK_INT(jsep_prefer(a.j, n, &stereo, 0), -SL_EINVAL);
	CHECK_INT(jsep_prefer(a.j, n, &stereo, JSEP_MAX_CODECS + 1), -SL_EINVAL);
}

TEST(red_names_the_number_of_its_opus)
{
	const struct jsep_codec *red;
	struct jsep_media *m;

	open_sides();
	CHECK_INT(
		jsep_side_hear(&a, SL_STR(JSEP_HEAD
					  "a=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 109\r\n"
					  "a=mid:0\r\na=rtcp-mux\r\na=rtpmap:109 opus/48000/2\r\n"
					  "a=fmtp:109 minptime=10\r\n" JSEP_TRANSPORT)),
		0);
	CHECK_INT(jsep_side_answer(&a), 0);
	m = jsep_side_add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	CHECK_INT(jsep_side_offer(&a), 0);
	red = jsep_codec_of(m, SL_CODEC_RED);
	CHECK(red);
	CHECK_STR(sl_str_c(red->params), "109/109");
	CHECK(strstr(jsep_text(&a), "red/48000/2\r\n"));
	/* Without Opus there is nothing for it to hold. */
	jsep_rollback(a.j);
	CHECK_INT(jsep_prefer(a.j, m, rtc_caps.audio + 1, 2), 0);
	CHECK_INT(jsep_side_offer(&a), 0);
	CHECK_INT(m->n_codecs, 1);
	CHECK_INT(m->codecs[0].id, SL_CODEC_G722);
}

TEST(hundreds_of_variants_run_out_of_numbers_not_of_order)
{
	open_sides();
	for (int i = 0; i < 100; i++) {
		struct jsep_codec c = rtc_caps.video[0];

		snprintf(c.params, sizeof c.params, "x=%d", i);
		CHECK_INT(jsep_prefer(a.j, jsep_side_add(&a, SL_MEDIA_VIDEO, JSEP_SEND), &c, 1), 0);
	}
	CHECK_INT(jsep_side_offer(&a), 0);
	CHECK_INT(jsep_at(a.j, 0)->n_codecs, 1);
	CHECK(!jsep_at(a.j, 0)->rejected && jsep_at(a.j, 99)->rejected);
	for (int i = 0; i < 100; i++)
		for (unsigned k = 0; k < jsep_at(a.j, i)->n_codecs; k++) {
			uint8_t pt = jsep_at(a.j, i)->codecs[k].pt;

			CHECK((pt >= 35 && pt < 64) || pt >= 96);
		}
}

TEST(names_of_the_caller_end_no_word_and_no_line)
{
	struct jsep_media *m;

	open_sides();
	m = jsep_side_add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	snprintf(m->stream, sizeof m->stream, "a b\r\na=x");
	snprintf(m->track, sizeof m->track, "t\xc3\xa4");
	snprintf(m->cname, sizeof m->cname, "c\nd");
	m->ours.media = 5;
	CHECK_INT(jsep_side_offer(&a), 0);
	CHECK(strstr(jsep_text(&a), "a=msid:a_b__a=x t__\r\n"));
	CHECK(strstr(jsep_text(&a), "a=ssrc:5 cname:c_d\r\n"));
}

TEST(rids_are_offered_to_be_received)
{
	struct jsep_media *m;

	open_sides();
	m = jsep_side_add(&a, SL_MEDIA_VIDEO, JSEP_RECV);
	m->n_rids = 2;
	snprintf(m->rids[0], sizeof m->rids[0], "l");
	snprintf(m->rids[1], sizeof m->rids[1], "h");
	CHECK_INT(jsep_side_offer(&a), 0);
	CHECK(strstr(jsep_text(&a), "a=rid:l recv\r\na=rid:h recv\r\na=simulcast:recv l;h\r\n"));
}

TEST(the_version_grows_and_the_number_stays)
{
	struct sl_pool *pool = sl_pool_new(0);
	struct sl_sdp first, second;

	open_sides();
	jsep_side_add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK_INT(sl_sdp_parse(&first, pool, sl_pool_str(pool, sl_buf_view(&a.text)), &a.error), 0);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK_INT(sl_sdp_parse(&second, pool, sl_buf_view(&a.text), &a.error), 0);
	CHECK(sl_str_eq(first.origin_id, second.origin_id));
	CHECK_STR(first.origin_version, "1");
	CHECK_STR(second.origin_version, "2");
	sl_pool_destroy(pool);
}

TEST_MAIN()
