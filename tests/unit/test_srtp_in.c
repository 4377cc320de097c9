/*
 * Opening: what our own sealing makes comes back, replays and forgeries do not, and a peer cannot
 * grow the table of streams. Under the AEAD profiles, whose opening is our own, the verdict about
 * each packet is held against libsrtp2's, over roll-overs, loss, doubles and jumps.
 */
#include <malloc.h>
#include <srtp2/srtp.h>
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

static bool awaits(struct way *w, bool rtcp)
{
	return srtp_in_awaits(w->in, w->p, w->len, rtcp);
}

/* What might be the next of a stream is told without opening it; forgeries are not told from it. */
TEST(what_is_newer_by_little_is_awaited)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(profiles); i++) {
		bool aead = profiles[i] == SL_SRTP_AEAD_AES_128_GCM || profiles[i] == SL_SRTP_AEAD_AES_256_GCM;
		struct way w;

		way_open(&w, profiles[i]);
		seal_rtp(&w, 5, 65000);
		CHECK(!awaits(&w, false)); /* nothing is known of it */
		CHECK_INT(srtp_open_rtp(w.in, w.p, &w.len), 0);
		seal_rtp(&w, 5, 64999);
		CHECK_INT(awaits(&w, false), !aead);
		seal_rtp(&w, 5, 65001);
		CHECK(awaits(&w, false));
		w.p[w.len - 1] ^= 1;
		CHECK(awaits(&w, false));
		seal_rtp(&w, 5, (uint16_t)(65000 + 4096));
		CHECK(awaits(&w, false));
		seal_rtp(&w, 5, (uint16_t)(65000 + 4097));
		CHECK_INT(awaits(&w, false), !aead);
		seal_rtp(&w, 6, 65001);
		CHECK(!awaits(&w, false));
		seal_rtcp(&w, 7);
		CHECK(!awaits(&w, true));
		CHECK_INT(srtp_open_rtcp(w.in, w.p, &w.len), 0);
		for (unsigned n = 1; n <= 257; n++) {
			seal_rtcp(&w, 7);
			CHECK_INT(awaits(&w, true), n <= 256 || !aead);
		}
		w.len = 12;
		CHECK(!awaits(&w, true) && !awaits(&w, false));
		way_close(&w);
	}
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

/* ---- beside libsrtp2 */

static uint64_t chance;

static unsigned pick(unsigned n)
{
	chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(chance >> 33) % n;
}

struct judges { /* one seals, two open */
	srtp_t seals, theirs;
	struct srtp_in *ours;
};

static srtp_t library_session(enum sl_srtp_profile profile, const struct srtp_key *key, bool in)
{
	srtp_policy_t policy = {.window_size = 1024, .allow_repeat_tx = 1};
	uint8_t joined[SRTP_MAX_KEY + SRTP_MAX_SALT];
	srtp_t session;

	policy.ssrc.type = in ? ssrc_any_inbound : ssrc_any_outbound;
	memcpy(joined, key->key, srtp_key_bytes(profile));
	memcpy(joined + srtp_key_bytes(profile), key->salt, srtp_salt_bytes(profile));
	policy.key = joined;
	sl_assert(srtp_crypto_policy_set_from_profile_for_rtp(&policy.rtp, (srtp_profile_t)profile) == 0);
	sl_assert(srtp_crypto_policy_set_from_profile_for_rtcp(&policy.rtcp, (srtp_profile_t)profile) == 0);
	sl_assert(srtp_create(&session, &policy) == srtp_err_status_ok);
	return session;
}

static void judges_open(struct judges *j, enum sl_srtp_profile profile)
{
	struct srtp_key key;

	for (size_t i = 0; i < sizeof key; i++)
		((uint8_t *)&key)[i] = (uint8_t)pick(256);
	(void)srtp_init(); /* may have been started before */
	j->seals = library_session(profile, &key, false);
	j->theirs = library_session(profile, &key, true);
	sl_assert(srtp_in_new(&j->ours, profile, &key) == 0);
}

static void judges_close(struct judges *j)
{
	srtp_in_free(j->ours);
	srtp_dealloc(j->seals);
	srtp_dealloc(j->theirs);
}

/* Of random shape, now and then bent */
static int packet_of_theirs(struct judges *j, uint8_t *p, uint16_t seq, uint32_t ssrc)
{
	size_t csrcs = pick(3), words = pick(4), len = 12 + 4 * csrcs;
	int n;

	for (size_t i = 0; i < ROOM; i++)
		p[i] = (uint8_t)pick(256);
	p[0] = (uint8_t)(0x80 | csrcs | (words ? 0x10 : 0));
	sl_put16(p + 2, seq);
	sl_put32(p + 8, ssrc);
	if (words > 0) {
		sl_put16(p + len + 2, (uint16_t)words);
		len += 4 + 4 * words;
	}
	n = (int)(len + pick(1200));
	if (srtp_protect(j->seals, p, &n) != srtp_err_status_ok)
		return 0;
	if (pick(20) == 0)
		p[pick((unsigned)n)] ^= (uint8_t)(1 << pick(8));
	return n;
}

/* Both open it to the same bytes, or neither does. */
static bool agree(struct judges *j, const uint8_t *sealed, int n, unsigned *opened)
{
	uint8_t ours[ROOM], theirs[ROOM];
	size_t len = (size_t)n;
	int rc, their_rc, their_len = n;

	memcpy(ours, sealed, len);
	memcpy(theirs, sealed, len);
	rc = srtp_open_rtp(j->ours, ours, &len);
	their_rc = srtp_unprotect(j->theirs, theirs, &their_len);
	if ((rc == 0) != (their_rc == srtp_err_status_ok))
		return false;
	*opened += rc == 0;
	return rc < 0 || (len == (size_t)their_len && memcmp(ours, theirs, len) == 0);
}

/* Lost, doubled, overtaken, bent; numbers jump and roll over. */
static void check_verdicts(enum sl_srtp_profile profile)
{
	static uint8_t p[8][ROOM];
	int n[8] = {0};
	uint16_t seq = (uint16_t)pick(65536);
	unsigned opened = 0;
	struct judges j;

	judges_open(&j, profile);
	for (unsigned i = 0; i < 30000; i++, seq++) {
		unsigned slot = i % 8;

		if (pick(2000) == 0)
			seq = (uint16_t)(seq + pick(30000));
		n[slot] = packet_of_theirs(&j, p[slot], seq, 7 + i % 2);
		if (n[slot] > 0 && pick(10) > 0)
			CHECK(agree(&j, p[slot], n[slot], &opened));
		slot = pick(8);
		if (n[slot] > 0 && pick(4) == 0)
			CHECK(agree(&j, p[slot], n[slot], &opened));
	}
	CHECK(opened > 20000);
	judges_close(&j);
}

TEST(every_verdict_is_the_librarys_over_roll_overs_loss_and_doubles)
{
	for (chance = 1; chance < 4; chance++) {
		uint64_t seed = chance;

		check_verdicts(SL_SRTP_AEAD_AES_128_GCM);
		check_verdicts(SL_SRTP_AEAD_AES_256_GCM);
		chance = seed;
	}
}

TEST(rtcp_of_the_library_is_opened_once_and_only_sealed)
{
	for (unsigned i = 0; i < 2; i++) {
		enum sl_srtp_profile profile = i ? SL_SRTP_AEAD_AES_256_GCM : SL_SRTP_AEAD_AES_128_GCM;
		struct judges j;

		judges_open(&j, profile);
		for (unsigned k = 0; k < 300; k++) {
			uint8_t p[ROOM] = {0x80, 201, 0, 1, 0, 0, 0, 9}, again[ROOM];
			size_t len, len_again;
			int n = 8 + 4 * (int)pick(100);

			CHECK_INT(srtp_protect_rtcp(j.seals, p, &n), srtp_err_status_ok);
			len = len_again = (size_t)n;
			memcpy(again, p, len);
			again[n - 4] ^= 0x80; /* it says that it can be read by everybody */
			CHECK_INT(srtp_open_rtcp(j.ours, again, &len_again), -SL_EPARSE);
			again[n - 4] ^= 0x80;
			CHECK_INT(srtp_open_rtcp(j.ours, p, &len), 0);
			CHECK_INT(len, n - 20);
			len_again = (size_t)n;
			CHECK_INT(srtp_open_rtcp(j.ours, again, &len_again), -SL_EEXIST);
		}
		judges_close(&j);
	}
}

TEST(a_header_longer_than_its_packet_is_refused)
{
	struct way w;

	way_open(&w, SL_SRTP_AEAD_AES_128_GCM);
	seal_rtp(&w, 5, 1);
	w.p[0] |= 15; /* CSRCs */
	CHECK_INT(srtp_open_rtp(w.in, w.p, &w.len), -SL_EPARSE);
	seal_rtp(&w, 5, 2);
	w.p[0] |= 0x10; /* an extension, of as many words as the payload begins with */
	sl_put16(w.p + 14, 0xffff);
	CHECK_INT(srtp_open_rtp(w.in, w.p, &w.len), -SL_EPARSE);
	w.len = 12 + 16 + 3; /* not even its own header */
	CHECK_INT(srtp_open_rtp(w.in, w.p, &w.len), -SL_EPARSE);
	way_close(&w);
}

TEST(nothing_is_allocated_for_a_packet_under_gcm)
{
	struct mallinfo2 before, after;
	struct way w;

	way_open(&w, SL_SRTP_AEAD_AES_128_GCM);
	seal_rtp(&w, 5, 1);
	CHECK_INT(srtp_open_rtp(w.in, w.p, &w.len), 0); /* makes the stream */
	before = mallinfo2();
	for (uint16_t seq = 2; seq < 200; seq++) {
		seal_rtp(&w, 5, seq);
		CHECK_INT(srtp_open_rtp(w.in, w.p, &w.len), 0);
		seal_rtcp(&w, 5);
		CHECK_INT(srtp_open_rtcp(w.in, w.p, &w.len), 0);
	}
	after = mallinfo2();
	CHECK_INT(after.uordblks, before.uordblks);
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
