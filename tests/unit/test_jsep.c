/*
 * Transceivers through offers, answers and rollbacks: two engines negotiate with each other.
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

static struct jsep_media *add(struct jsep_side *s, enum sl_media_kind kind,
			      enum jsep_direction wanted)
{
	struct jsep_media *m = jsep_side_add(s, kind, wanted);

	m->ours = (struct jsep_ssrc){1000, 2000};
	snprintf(m->stream, sizeof m->stream, "stream");
	snprintf(m->track, sizeof m->track, "track%d", kind);
	return m;
}

TEST(an_offer_is_answered_and_both_sides_agree)
{
	struct jsep_media *m, *n;

	open_sides();
	m = add(&a, SL_MEDIA_VIDEO, JSEP_SEND);
	CHECK(jsep_needs_offer(a.j));
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK_INT(jsep_get_state(a.j), JSEP_STABLE);
	CHECK_INT(jsep_get_state(b.j), JSEP_STABLE);
	CHECK_INT(jsep_count(b.j), 1);
	n = jsep_at(b.j, 0);
	CHECK_INT(m->direction, JSEP_SEND);
	CHECK_INT(n->direction, JSEP_RECV);
	CHECK_STR(sl_str_c(n->mid), m->mid);
	CHECK_STR(sl_str_c(n->their_stream), "stream");
	CHECK_STR(sl_str_c(n->their_track), "track1");
	CHECK_INT(n->n_theirs, 1);
	CHECK_INT(n->theirs[0].media, 1000);
	CHECK_INT(n->theirs[0].rtx, 2000);
	CHECK_STR(sl_str_c(b.remote.ufrag), "aaaa");
	CHECK_STR(sl_str_c(a.remote.ufrag), "bbbb");
	CHECK_STR(sl_str_c(b.remote.setup), "actpass");
	CHECK_STR(sl_str_c(a.remote.setup), "passive");
	CHECK(!jsep_needs_offer(a.j) && !jsep_needs_offer(b.j));
}

TEST(both_sides_know_the_same_numbers)
{
	struct jsep_media *m, *n;

	open_sides();
	m = add(&a, SL_MEDIA_AUDIO, JSEP_SENDRECV);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	n = jsep_at(b.j, 0);
	CHECK(m->n_codecs == n->n_codecs && m->n_codecs == rtc_caps.n_audio);
	for (unsigned i = 0; i < m->n_codecs; i++) {
		CHECK_INT(m->codecs[i].pt, n->codecs[i].pt);
		CHECK_INT(m->codecs[i].id, n->codecs[i].id);
	}
	CHECK_MEM(&m->ext, &n->ext, sizeof m->ext);
	CHECK(m->ext.id[SL_RTP_EXT_TWCC] != 0);
	CHECK_MEM(&m->ext, &m->ext_out, sizeof m->ext);
}

TEST(a_renegotiation_adds_and_keeps_what_there_is)
{
	struct jsep_media *first, *second;
	char mid[JSEP_MAX_MID + 1];

	open_sides();
	first = add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	memcpy(mid, first->mid, sizeof mid);
	second = add(&a, SL_MEDIA_VIDEO, JSEP_SEND);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK_STR(sl_str_c(first->mid), mid);
	CHECK(strcmp(second->mid, mid) != 0);
	CHECK(jsep_at(a.j, 1) == second);
	CHECK_INT(jsep_count(b.j), 2);
	/* And the other side adds one. */
	add(&b, SL_MEDIA_AUDIO, JSEP_SEND);
	CHECK_INT(jsep_exchange(&b, &a), 0);
	CHECK_INT(jsep_count(a.j), 3);
	CHECK_INT(jsep_at(a.j, 2)->direction, JSEP_RECV);
	CHECK(strcmp(jsep_at(a.j, 2)->mid, second->mid) != 0);
}

TEST(a_stopped_section_is_rejected_and_its_place_is_used_anew)
{
	struct jsep_media *m, *next;
	char mid[JSEP_MAX_MID + 1];

	open_sides();
	add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	m = add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	memcpy(mid, m->mid, sizeof mid);
	jsep_stop(a.j, m);
	CHECK(jsep_needs_offer(a.j));
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK(!jsep_needs_offer(a.j));
	CHECK(jsep_at(a.j, 1)->rejected && jsep_at(b.j, 1)->rejected);
	CHECK(strstr(jsep_text(&a), "m=audio 0 "));
	CHECK_INT(jsep_at(b.j, 1)->direction, JSEP_INACTIVE);
	next = add(&a, SL_MEDIA_VIDEO, JSEP_SEND);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK(jsep_at(a.j, 1) == next);
	CHECK_INT(jsep_count(a.j), 2);
	CHECK_INT(jsep_count(b.j), 2);
	CHECK_INT(jsep_at(b.j, 1)->kind, SL_MEDIA_VIDEO);
	CHECK(strcmp(next->mid, mid) != 0);
	CHECK_INT(jsep_at(b.j, 1)->direction, JSEP_RECV);
}

TEST(the_first_section_keeps_the_transport_when_it_is_stopped)
{
	struct jsep_media *m, *next;

	open_sides();
	m = add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	jsep_stop(a.j, m);
	CHECK(jsep_needs_offer(a.j));
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK(!jsep_needs_offer(a.j));
	CHECK(!m->rejected);
	CHECK_INT(m->direction, JSEP_INACTIVE);
	CHECK(strstr(jsep_text(&a), "a=group:BUNDLE "));
	next = add(&a, SL_MEDIA_VIDEO, JSEP_SEND);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK(jsep_at(a.j, 1) == next && jsep_at(b.j, 1)->direction == JSEP_RECV);
	CHECK(!jsep_at(a.j, 0)->rejected);
	CHECK(!jsep_needs_offer(a.j));
}

TEST(what_was_never_offered_is_forgotten_at_once)
{
	open_sides();
	jsep_stop(a.j, add(&a, SL_MEDIA_AUDIO, JSEP_SEND));
	CHECK_INT(jsep_count(a.j), 0);
	CHECK(!jsep_needs_offer(a.j));
}

TEST(a_rolled_back_offer_waits_for_the_next_one)
{
	struct jsep_media *m;

	open_sides();
	m = add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	CHECK_INT(jsep_side_offer(&a), 0);
	CHECK_INT(jsep_get_state(a.j), JSEP_HAVE_LOCAL_OFFER);
	jsep_rollback(a.j);
	CHECK_INT(jsep_get_state(a.j), JSEP_STABLE);
	CHECK(jsep_needs_offer(a.j));
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK_INT(m->direction, JSEP_SEND);
}

TEST(in_a_glare_the_polite_sides_new_section_moves_behind)
{
	struct jsep_media *ours;

	open_sides();
	add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	ours = add(&b, SL_MEDIA_VIDEO, JSEP_SEND);
	add(&a, SL_MEDIA_VIDEO, JSEP_SEND);
	CHECK_INT(jsep_side_offer(&b), 0);
	CHECK_INT(jsep_side_offer(&a), 0);
	CHECK_INT(jsep_side_hear(&b, sl_buf_view(&a.text)), -SL_EAGAIN);
	jsep_rollback(b.j);
	CHECK_INT(jsep_side_hear(&b, sl_buf_view(&a.text)), 0);
	CHECK_INT(jsep_side_answer(&b), 0);
	CHECK_INT(jsep_remote_answer(a.j, sl_buf_view(&b.text), &a.remote, &a.error), 0);
	CHECK_INT(jsep_count(b.j), 3);
	CHECK(jsep_at(b.j, 2) == ours);
	CHECK(jsep_needs_offer(b.j));
	CHECK_INT(jsep_exchange(&b, &a), 0);
	CHECK_INT(ours->direction, JSEP_SEND);
	CHECK_INT(jsep_count(a.j), 3);
	CHECK(!jsep_needs_offer(a.j) && !jsep_needs_offer(b.j));
}

TEST(a_rollback_gives_a_used_place_back)
{
	struct jsep_media *m, *old;

	open_sides();
	add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	old = add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	jsep_stop(a.j, old);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	m = add(&a, SL_MEDIA_VIDEO, JSEP_SEND);
	CHECK_INT(jsep_side_offer(&a), 0);
	CHECK(jsep_at(a.j, 1) == m);
	for (int i = 0; i < 3; i++)
		add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	jsep_rollback(a.j);
	CHECK_INT(jsep_count(a.j), 6);
	CHECK(jsep_at(a.j, 1) == old && old->rejected);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK_INT(jsep_count(a.j), 5);
	CHECK_INT(m->direction, JSEP_SEND);
}

TEST(what_is_stopped_in_an_open_offer_stays_until_the_next_agreement)
{
	struct jsep_media *m, *other;

	open_sides();
	m = add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	other = add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	jsep_side_add(&a, SL_MEDIA_DATA, JSEP_SENDRECV);
	CHECK_INT(jsep_side_offer(&a), 0);
	jsep_stop(a.j, m);
	jsep_stop(a.j, jsep_at(a.j, 2));
	jsep_rollback(a.j);
	CHECK(jsep_at(a.j, 0) == m);
	m->user = &a; /* its memory is still there */
	CHECK(jsep_needs_offer(a.j));
	jsep_side_add(&a, SL_MEDIA_DATA, JSEP_SENDRECV);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK_INT(jsep_count(a.j), 2);
	CHECK(jsep_at(a.j, 0) == other);
	CHECK_INT(jsep_at(a.j, 1)->kind, SL_MEDIA_DATA);
	CHECK_INT(jsep_count(b.j), 2);
}

TEST(what_is_stopped_in_an_open_offer_is_rejected_after_the_answer)
{
	struct jsep_media *m;

	open_sides();
	add(&a, SL_MEDIA_VIDEO, JSEP_SEND);
	m = add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	CHECK_INT(jsep_side_offer(&a), 0);
	jsep_stop(a.j, m);
	CHECK_INT(jsep_side_hear(&b, sl_buf_view(&a.text)), 0);
	CHECK_INT(jsep_side_answer(&b), 0);
	CHECK_INT(jsep_remote_answer(a.j, sl_buf_view(&b.text), &a.remote, &a.error), 0);
	CHECK(jsep_needs_offer(a.j) && !m->rejected);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK(jsep_at(a.j, 1) == m);
	CHECK(m->rejected);
	CHECK(jsep_at(b.j, 1)->rejected);
	CHECK(!jsep_needs_offer(a.j));
}

TEST(a_rolled_back_offer_of_theirs_leaves_no_trace)
{
	struct jsep_media *m;

	open_sides();
	m = add(&a, SL_MEDIA_AUDIO, JSEP_SENDRECV);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	jsep_at(b.j, 0)->wanted = JSEP_INACTIVE;
	add(&b, SL_MEDIA_VIDEO, JSEP_SEND);
	CHECK_INT(jsep_side_offer(&b), 0);
	CHECK_INT(jsep_side_hear(&a, sl_buf_view(&b.text)), 0);
	CHECK_INT(jsep_count(a.j), 2);
	CHECK_INT(m->direction, JSEP_INACTIVE);
	jsep_rollback(a.j);
	CHECK_INT(jsep_count(a.j), 1);
	CHECK(jsep_at(a.j, 0) == m);
	CHECK_INT(m->direction, JSEP_SEND);
	CHECK_INT(jsep_get_state(a.j), JSEP_STABLE);
}

TEST(a_changed_wish_needs_an_offer)
{
	struct jsep_media *m;

	open_sides();
	m = add(&a, SL_MEDIA_AUDIO, JSEP_SENDRECV);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	/* They only receive, so that ours to receive changes nothing. */
	CHECK_INT(m->direction, JSEP_SEND);
	CHECK(!jsep_needs_offer(a.j));
	m->wanted = JSEP_SEND;
	CHECK(!jsep_needs_offer(a.j));
	m->wanted = JSEP_INACTIVE;
	CHECK(jsep_needs_offer(a.j));
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK_INT(m->direction, JSEP_INACTIVE);
	m->wanted = JSEP_SEND;
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK(!jsep_needs_offer(a.j));
	snprintf(m->track, sizeof m->track, "another");
	CHECK(jsep_needs_offer(a.j));
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK_STR(sl_str_c(jsep_at(b.j, 0)->their_track), "another");
}

TEST(there_is_one_data_section)
{
	struct jsep_media *m;

	open_sides();
	jsep_side_add(&a, SL_MEDIA_DATA, JSEP_SENDRECV);
	CHECK_INT(jsep_add(a.j, SL_MEDIA_DATA, JSEP_SENDRECV, &m), -SL_EEXIST);
	a.local.sctp_port = 5001;
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK_INT(b.remote.sctp_port, 5001);
	CHECK_INT(a.remote.sctp_port, 5000);
	CHECK_INT(a.remote.max_message, RTC_MAX_MESSAGE);
	CHECK_INT(jsep_exchange(&b, &a), 0);
	CHECK(!jsep_at(a.j, 0)->rejected);
}

TEST(without_data_channels_their_section_is_rejected)
{
	struct jsep_media *m;

	open_sides();
	jsep_side_free(&b);
	b = jsep_side("bbbb", &rtc_caps_without_data);
	CHECK_INT(jsep_add(b.j, SL_MEDIA_DATA, JSEP_SENDRECV, &m), -SL_EUNSUPP);
	add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	jsep_side_add(&a, SL_MEDIA_DATA, JSEP_SENDRECV);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK(jsep_at(a.j, 1)->rejected);
	CHECK_INT(a.remote.sctp_port, 0);
	CHECK(strstr(jsep_text(&b), "m=application 0 UDP/DTLS/SCTP webrtc-datachannel"));
}

TEST(preferred_codecs_are_all_that_is_offered)
{
	const struct jsep_codec *vp9 = &rtc_caps.video[1];
	struct jsep_media *m;

	open_sides();
	m = add(&a, SL_MEDIA_VIDEO, JSEP_SEND);
	CHECK_INT(jsep_prefer(a.j, m, vp9, 1), 0);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK_INT(m->n_codecs, 1);
	CHECK_INT(m->codecs[0].id, SL_CODEC_VP9);
	CHECK(!strstr(jsep_text(&b), "VP8"));
	/* Another wish is news, and survives a rollback. */
	CHECK_INT(jsep_prefer(a.j, m, rtc_caps.video, 1), 0);
	CHECK(jsep_needs_offer(a.j));
	CHECK_INT(jsep_side_offer(&a), 0);
	CHECK_INT(m->codecs[0].id, SL_CODEC_VP8);
	jsep_rollback(a.j);
	CHECK_INT(m->codecs[0].id, SL_CODEC_VP9);
	CHECK(jsep_needs_offer(a.j));
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK_INT(jsep_at(b.j, 0)->codecs[0].id, SL_CODEC_VP8);
}

TEST(there_are_not_more_sections_than_a_description_may_have)
{
	struct jsep_media *m;

	open_sides();
	for (int i = 0; i < SL_SDP_MAX_MEDIA; i++)
		jsep_side_add(&a, SL_MEDIA_AUDIO, JSEP_RECV);
	CHECK_INT(jsep_add(a.j, SL_MEDIA_AUDIO, JSEP_RECV, &m), -SL_ELIMIT);
	CHECK_INT(jsep_exchange(&a, &b), 0);
	CHECK_INT(jsep_count(b.j), SL_SDP_MAX_MEDIA);
}

TEST(calls_out_of_turn_change_nothing)
{
	struct sl_sdp_error e;
	struct jsep_transport t;

	open_sides();
	CHECK_INT(jsep_side_answer(&a), -SL_EAGAIN);
	CHECK_INT(jsep_remote_answer(a.j, SL_STR(JSEP_HEAD), &t, &e), -SL_EAGAIN);
	add(&a, SL_MEDIA_AUDIO, JSEP_SEND);
	CHECK_INT(jsep_side_offer(&a), 0);
	CHECK_INT(jsep_side_offer(&a), -SL_EAGAIN);
	jsep_rollback(a.j);
	jsep_rollback(a.j);
	jsep_free(NULL);
}

TEST_MAIN()
