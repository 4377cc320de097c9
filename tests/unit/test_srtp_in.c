/*
 * Opening: what our own sealing makes comes back, replays and forgeries do not, and a peer cannot
 * grow the table of streams.
 */
#include <sluice/buf.h>
#include "lib/test.h"
#include "proto/srtp.h"

enum { ROOM = 1600 };

static const enum sl_srtp_profile profiles[] = {SL_SRTP_AES128_CM_SHA1_80, SL_SRTP_AES128_CM_SHA1_32,
						SL_SRTP_AEAD_AES_128_GCM, SL_SRTP_AEAD_AES_256_GCM};
static const uint8_t text[] = "what is said";

struct way { /* from a sealing end to an opening one */
	struct srtp_out *out;
	struct srtp_in *in;
	struct srtp_out_stream stream;
	uint8_t p[ROOM];
	size_t len;
};

static void way_open(struct way *w, enum sl_srtp_profile profile)
{
	struct srtp_key key;

	*w = (struct way){0};
	for (size_t i = 0; i < sizeof key; i++)
		((uint8_t *)&key)[i] = (uint8_t)(i * 7 + profile);
	sl_assert(srtp_out_new(&w->out, profile, &key) == 0);
	sl_assert(srtp_in_new(&w->in, profile, &key) == 0);
}

static void way_close(struct way *w)
{
	srtp_out_free(w->out);
	srtp_in_free(w->in);
}

static void seal_rtp(struct way *w, uint32_t ssrc, uint16_t seq)
{
	int n;

	memset(w->p, 0, 12);
	w->p[0] = 0x80;
	sl_put16(w->p + 2, seq);
	sl_put32(w->p + 8, ssrc);
	n = srtp_seal_rtp(w->out, &w->stream, w->p, 12, text, sizeof text);
	sl_assert(n > 0);
	w->len = (size_t)n;
}

static void seal_rtcp(struct way *w, uint32_t ssrc)
{
	static const uint8_t rr[] = {0x80, 201, 0, 1};
	int n;

	memcpy(w->p, rr, sizeof rr);
	sl_put32(w->p + 4, ssrc);
	n = srtp_seal_rtcp(w->out, w->p, 8);
	sl_assert(n > 0);
	w->len = (size_t)n;
}

TEST(what_was_sealed_is_opened_over_a_roll_over)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(profiles); i++) {
		struct way w;

		way_open(&w, profiles[i]);
		for (uint32_t seq = 65000; seq < 67000; seq++) {
			seal_rtp(&w, 5, (uint16_t)seq);
			CHECK_INT(srtp_open_rtp(w.in, w.p, &w.len), 0);
			CHECK_INT(w.len, 12 + sizeof text);
			CHECK_MEM(w.p + 12, text, sizeof text);
			seal_rtcp(&w, 5);
			CHECK_INT(srtp_open_rtcp(w.in, w.p, &w.len), 0);
			CHECK_INT(w.len, 8);
		}
		way_close(&w);
	}
}

TEST(a_replay_is_told_from_a_forgery)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(profiles); i++) {
		uint8_t copy[ROOM];
		struct way w;
		size_t len;

		way_open(&w, profiles[i]);
		seal_rtp(&w, 5, 1);
		len = w.len;
		memcpy(copy, w.p, len);
		CHECK_INT(srtp_open_rtp(w.in, w.p, &w.len), 0);
		CHECK_INT(srtp_open_rtp(w.in, copy, &len), -SL_EEXIST);
		seal_rtp(&w, 5, 2);
		w.p[12] ^= 1;
		CHECK_INT(srtp_open_rtp(w.in, w.p, &w.len), -SL_EAUTH);
		way_close(&w);
	}
}

TEST(a_replayed_rtcp_packet_is_refused)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(profiles); i++) {
		uint8_t copy[ROOM];
		struct way w;
		size_t len;

		way_open(&w, profiles[i]);
		seal_rtcp(&w, 5);
		len = w.len;
		memcpy(copy, w.p, len);
		CHECK_INT(srtp_open_rtcp(w.in, w.p, &w.len), 0);
		CHECK_INT(srtp_open_rtcp(w.in, copy, &len), -SL_EEXIST);
		seal_rtcp(&w, 5);
		w.p[3] ^= 2; /* the header is covered, too */
		CHECK_INT(srtp_open_rtcp(w.in, w.p, &w.len), -SL_EAUTH);
		way_close(&w);
	}
}

TEST(a_late_packet_within_the_window_is_opened)
{
	uint8_t late[ROOM];
	size_t late_len;
	struct way w;

	way_open(&w, SL_SRTP_AEAD_AES_128_GCM);
	seal_rtp(&w, 5, 100);
	late_len = w.len;
	memcpy(late, w.p, w.len);
	for (uint16_t seq = 101; seq < 1100; seq++) {
		seal_rtp(&w, 5, seq);
		CHECK_INT(srtp_open_rtp(w.in, w.p, &w.len), 0);
	}
	CHECK_INT(srtp_open_rtp(w.in, late, &late_len), 0);
	way_close(&w);
}

TEST(packets_too_short_to_be_sealed_are_refused)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(profiles); i++) {
		struct way w;

		way_open(&w, profiles[i]);
		memset(w.p, 0x80, 64);
		for (size_t len = 0; len < 12 + 4; len++) {
			size_t l = len;

			CHECK_INT(srtp_open_rtp(w.in, w.p, &l), -SL_EPARSE);
			CHECK_INT(srtp_open_rtcp(w.in, w.p, &l), -SL_EPARSE);
		}
		way_close(&w);
	}
}

TEST(streams_are_bounded_and_forged_ones_take_no_place)
{
	struct way w;

	way_open(&w, SL_SRTP_AEAD_AES_128_GCM);
	for (uint32_t ssrc = 0; ssrc < 1000; ssrc++) {
		w.stream = (struct srtp_out_stream){0};
		seal_rtp(&w, 5000 + ssrc, 1);
		w.p[20] ^= 1;
		CHECK_INT(srtp_open_rtp(w.in, w.p, &w.len), -SL_EAUTH);
	}
	for (uint32_t ssrc = 0; ssrc < SRTP_IN_MAX_STREAMS; ssrc++) {
		w.stream = (struct srtp_out_stream){0};
		seal_rtp(&w, ssrc, 1);
		CHECK_INT(srtp_open_rtp(w.in, w.p, &w.len), 0);
	}
	w.stream = (struct srtp_out_stream){0};
	seal_rtp(&w, 9999, 1);
	CHECK_INT(srtp_open_rtp(w.in, w.p, &w.len), -SL_ELIMIT);
	seal_rtcp(&w, 9999);
	CHECK_INT(srtp_open_rtcp(w.in, w.p, &w.len), -SL_ELIMIT);
	seal_rtcp(&w, 7); /* RTCP of a known one */
	CHECK_INT(srtp_open_rtcp(w.in, w.p, &w.len), 0);
	way_close(&w);
}

TEST(a_forgotten_stream_makes_room_and_its_state_is_gone)
{
	struct way w;

	way_open(&w, SL_SRTP_AES128_CM_SHA1_80);
	for (uint32_t ssrc = 0; ssrc < SRTP_IN_MAX_STREAMS; ssrc++) {
		w.stream = (struct srtp_out_stream){0};
		seal_rtp(&w, ssrc + 256, 1);
		CHECK_INT(srtp_open_rtp(w.in, w.p, &w.len), 0);
	}
	srtp_in_forget(w.in, 12345);
	srtp_in_forget(w.in, 300);
	w.stream = (struct srtp_out_stream){0};
	seal_rtp(&w, 9999, 1);
	CHECK_INT(srtp_open_rtp(w.in, w.p, &w.len), 0);
	srtp_in_forget(w.in, 9999);
	w.stream = (struct srtp_out_stream){0};
	seal_rtp(&w, 300, 1); /* a replay, were its window still there */
	CHECK_INT(srtp_open_rtp(w.in, w.p, &w.len), 0);
	way_close(&w);
}

TEST(unknown_profiles_are_refused)
{
	struct srtp_key key = {{0}, {0}};
	struct srtp_in *in;

	CHECK_INT(srtp_in_new(&in, SL_SRTP_NONE, &key), -SL_EUNSUPP);
	CHECK_INT(srtp_in_new(&in, (enum sl_srtp_profile)6, &key), -SL_EUNSUPP);
	srtp_in_free(NULL);
}

TEST_MAIN()
