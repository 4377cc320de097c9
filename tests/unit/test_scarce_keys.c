/*
 * tests/unit/test_scarce_keys.c: SRTP, lines and DTLS without memory. Beside what every maker owes (an error, nothing kept), two
 * things must hold here: no packet leaves or comes in unprotected because a context could not be had, and a handshake in which an
 * allocation failed either ends open, since datagrams are repeated, or fails; it never hangs.
 */
#include "lib/scarce.h"
#include "lib/dtls_pair.h"
#include "proto/srtp.h"

#include <sluice/clock.h>
#include <sluice/line.h>
#include <openssl/err.h>

static const enum sl_srtp_profile profiles[] = {SL_SRTP_AES128_CM_SHA1_80, SL_SRTP_AES128_CM_SHA1_32,
						SL_SRTP_AEAD_AES_128_GCM, SL_SRTP_AEAD_AES_256_GCM};
static int mark;

/* One packet through both ends; an end that cannot be made is the error. */
static int seal_and_open(enum sl_srtp_profile profile)
{
	static const struct srtp_key key = {.key = {1, 2, 3}, .salt = {4, 5}};
	static const char text[] = "what is said";
	struct srtp_out_stream stream = {0};
	struct srtp_out *out = (void *)&mark;
	struct srtp_in *in = (void *)&mark;
	uint8_t p[200] = {0x80, 0, 0, 9, [11] = 7};
	size_t len;
	int err = srtp_out_new(&out, profile, &key);

	if (err < 0)
		return out == (void *)&mark ? err : -SL_EBUG;
	err = srtp_in_new(&in, profile, &key);
	if (err < 0) {
		srtp_out_free(out);
		return in == (void *)&mark ? err : -SL_EBUG;
	}
	err = srtp_seal_rtp(out, &stream, p, 12, (const uint8_t *)text, sizeof text);
	len = err > 0 ? (size_t)err : 0;
	if (err > 0)
		err = srtp_open_rtp(in, p, &len);
	if (err == 0 && memcmp(p + 12, text, sizeof text) != 0)
		err = -SL_EBUG;
	srtp_out_free(out);
	srtp_in_free(in);
	return err;
}

static int seal_and_open_all(void)
{
	int err = 0;

	for (size_t i = 0; i < SL_ARRAY_LEN(profiles) && err == 0; i++)
		err = seal_and_open(profiles[i]);
	return err;
}

/* Whose contexts are OpenSSL's on both sides. libsrtp2 itself falls over when its list of streams cannot be had, so that
 * libraries are not tried under the profiles that it opens. */
static int seal_and_open_gcm(void)
{
	int err = seal_and_open(SL_SRTP_AEAD_AES_128_GCM);

	ERR_clear_error();
	return err;
}

TEST(srtp_that_cannot_be_made_seals_and_opens_nothing)
{
	CHECK_SCARCE(seal_and_open_all);
	CHECK_SCARCE_LIBRARIES(seal_and_open_gcm, 1);
}

/* A line with keys that it could not take must not fall back to plain RTP. */
static int speak_on_a_line(void)
{
	const struct sl_line_opts o = {.ssrc = 1, .cname = SL_STR("x@y")};
	const struct sl_line_out said = {.pt = 8, .payload = SL_STR("secret")};
	struct sl_line *l = (void *)&mark;
	struct sl_sdes local, remote;
	uint8_t wire[200];
	int len, err = sl_line_new(&l, &o);

	if (err < 0)
		return l == (void *)&mark ? err : -SL_EBUG;
	err = sl_sdes_draw(&local, 1, SL_SRTP_AEAD_AES_128_GCM);
	if (err == 0)
		err = sl_sdes_draw(&remote, 1, SL_SRTP_AEAD_AES_128_GCM);
	if (err == 0)
		err = sl_line_set_keys(l, &local, &remote);
	if (err == 0) {
		sl_line_set_format(l, 8, 8000);
		len = sl_line_send(l, &said, SL_NS_PER_S, wire);
		if (len > 0 && memmem(wire, (size_t)len, said.payload.p, said.payload.len))
			err = -SL_EBUG;
		else if (len < 0)
			err = len;
	}
	sl_line_free(l);
	return err;
}

TEST(a_line_says_nothing_in_the_clear_when_it_got_no_keys)
{
	CHECK_SCARCE(speak_on_a_line);
	CHECK_SCARCE_LIBRARIES(speak_on_a_line, 1);
}

static int make_contexts(void)
{
	struct sl_dtls_ctx *ctx = (void *)&mark;
	int err = sl_dtls_ctx_new(SL_DTLS_SRTP, &ctx);

	ERR_clear_error();
	if (err < 0)
		return ctx == (void *)&mark ? err : -SL_EBUG;
	sl_dtls_ctx_free(ctx);
	return 0;
}

TEST(a_dtls_context_is_made_whole_or_not_at_all)
{
	CHECK_SCARCE(make_contexts);
	CHECK_SCARCE_LIBRARIES(make_contexts, 23); /* each draws a key and signs */
}

static struct dtls_pair pair;

/* Both ends of a pair; the contexts are there. */
static int make_ends(void)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct sl_dtls_opts o = pair_opts(&pair, i);
		struct sl_dtls *s = NULL;
		int err = sl_dtls_new(pair.ends[i].ctx, &o, pair.now_ms, &s);

		if (err < 0)
			return s ? -SL_EBUG : err;
		pair.ends[i].s = s;
	}
	return 0;
}

/* What an open pair is for: keys, a record each way, and then to hold little, or as much as before without memory. */
static int use_ends(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct sl_srtp_keys keys;
		int err = sl_dtls_srtp_keys(pair.ends[i].s, &keys);

		if (err == 0)
			err = sl_dtls_write(pair.ends[i].s, "ping", 4);
		if (err < 0)
			return err;
	}
	pair_settle(&pair);
	for (unsigned i = 0; i < 2; i++) {
		int err = sl_dtls_slim(pair.ends[i].s);

		if (pair.ends[i].text_len != 4 || (err < 0 && sl_dtls_write(pair.ends[i].s, "still", 5) < 0))
			return -SL_EBUG;
	}
	return pair_is_open(&pair) ? 0 : -SL_EBUG;
}

static int shake_hands(void)
{
	bool was = scarce_set(false);
	int err;

	pair = (struct dtls_pair){.now_ms = 1000, .random = 7};
	for (unsigned i = 0; i < 2; i++) {
		pair.ends[i].pair = &pair;
		pair.ends[i].me = i;
		sl_assert(sl_dtls_ctx_new(SL_DTLS_SRTP, &pair.ends[i].ctx) == 0);
	}
	scarce_set(was);
	err = make_ends();
	if (err == 0) {
		sl_dtls_start(pair.ends[ACTIVE].s, pair.now_ms);
		pair_shake(&pair);
		err = pair_is_open(&pair) ? use_ends() : -SL_ECLOSED;
	}
	scarce_set(false);
	pair_close(&pair);
	ERR_clear_error();
	scarce_set(was);
	return err;
}

TEST(a_handshake_without_memory_opens_late_or_fails)
{
	CHECK_SCARCE(shake_hands);
}

TEST_MAIN()
