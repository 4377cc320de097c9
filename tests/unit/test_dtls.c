/*
 * tests/unit/test_dtls.c: DTLS sessions between two engines: the handshake, data, the end, what is
 * refused.
 */
#include "lib/test.h"

#include "lib/dtls_pair.h"

static const struct sl_dtls_counters *counters(const struct dtls_pair *p, unsigned who)
{
	return sl_dtls_counters(p->ends[who].ctx);
}

TEST(two_ends_shake_hands_and_exchange_data)
{
	static struct dtls_pair p;

	pair_open(&p, 1);
	pair_shake(&p);
	CHECK(pair_is_open(&p));
	CHECK_INT(sl_dtls_write(p.ends[ACTIVE].s, "hello", 5), 0);
	CHECK_INT(sl_dtls_write(p.ends[PASSIVE].s, "welcome", 7), 0);
	pair_settle(&p);
	CHECK_INT(p.ends[PASSIVE].text_len, 5);
	CHECK(memcmp(p.ends[PASSIVE].text, "hello", 5) == 0);
	CHECK(memcmp(p.ends[ACTIVE].text, "welcome", 7) == 0);
	CHECK_INT(counters(&p, PASSIVE)->handshakes, 1);
	CHECK_INT(counters(&p, ACTIVE)->retransmissions, 0);
	pair_close(&p);
}

TEST(no_datagram_of_a_handshake_is_longer_than_the_mtu)
{
	static struct dtls_pair p;

	pair_open(&p, 1);
	pair_shake(&p);
	CHECK(p.ends[ACTIVE].longest <= SL_DTLS_MTU);
	CHECK(p.ends[PASSIVE].longest <= SL_DTLS_MTU);
	CHECK(p.ends[PASSIVE].longest > 400); /* flights travel joined, not record by record */
	pair_close(&p);
}

TEST(both_ends_have_the_same_srtp_keys_the_other_way_round)
{
	static struct dtls_pair p;
	struct sl_srtp_keys a, b;

	pair_open(&p, 1);
	pair_shake(&p);
	CHECK_INT(sl_dtls_srtp_keys(p.ends[ACTIVE].s, &a), 0);
	CHECK_INT(sl_dtls_srtp_keys(p.ends[PASSIVE].s, &b), 0);
	CHECK_INT(a.profile, SL_SRTP_AEAD_AES_128_GCM);
	CHECK_INT(b.profile, SL_SRTP_AEAD_AES_128_GCM);
	CHECK_INT(a.key_len, 16);
	CHECK_INT(a.salt_len, 12);
	CHECK(memcmp(a.local_key, b.remote_key, 32) == 0);
	CHECK(memcmp(a.remote_key, b.local_key, 32) == 0);
	CHECK(memcmp(a.local_salt, b.remote_salt, 14) == 0);
	CHECK(memcmp(a.remote_salt, b.local_salt, 14) == 0);
	CHECK(memcmp(a.local_key, a.remote_key, 16) != 0);
	pair_close(&p);
}

TEST(a_certificate_that_was_not_announced_is_refused_with_its_reason)
{
	static struct dtls_pair p;
	struct sl_dtls_opts o;

	pair_open(&p, 1);
	sl_dtls_free(p.ends[PASSIVE].s);
	o = pair_opts(&p, PASSIVE);
	o.fingerprint = sl_str_c(sl_dtls_fingerprint(p.ends[PASSIVE].ctx));
	CHECK_INT(sl_dtls_new(p.ends[PASSIVE].ctx, &o, p.now_ms, &p.ends[PASSIVE].s), 0);
	pair_shake(&p);
	CHECK_INT(pair_state(&p, PASSIVE), SL_DTLS_FAILED);
	CHECK(strstr(sl_dtls_reason(p.ends[PASSIVE].s), "announced"));
	CHECK_INT(counters(&p, PASSIVE)->fingerprint_mismatches, 1);
	CHECK_INT(counters(&p, PASSIVE)->failures, 1);
	CHECK_INT(pair_state(&p, ACTIVE), SL_DTLS_FAILED); /* by our alert, not by its time-out */
	CHECK(p.now_ms < 2000);
	pair_close(&p);
}

TEST(the_active_side_checks_the_fingerprint_too)
{
	static struct dtls_pair p;
	struct sl_dtls_opts o;

	sl_assert(sl_dtls_ctx_new(SL_DTLS_SRTP, &p.ends[ACTIVE].ctx) == 0);
	o = (struct sl_dtls_opts){
		.role = SL_DTLS_ACTIVE,
		.io = &pair_io,
		.arg = &p.ends[ACTIVE],
		.hash = SL_STR("sha-256"),
		.fingerprint = sl_str_c(sl_dtls_fingerprint(p.ends[ACTIVE].ctx)),
	};
	CHECK_INT(sl_dtls_new(p.ends[ACTIVE].ctx, &o, 1000, &p.ends[ACTIVE].s), 0);
	pair_open(&p, 1);
	pair_shake(&p);
	CHECK_INT(pair_state(&p, ACTIVE), SL_DTLS_FAILED);
	CHECK_INT(counters(&p, ACTIVE)->fingerprint_mismatches, 1);
	pair_close(&p);
}

TEST(fingerprints_are_read_as_sdp_writes_them_and_weak_hashes_are_refused)
{
	static const struct {
		const char *hash;
		unsigned n;
		int rc;
	} cases[] = {
		{"sha-256", 32, 0},	      {"SHA-256", 32, 0},
		{"sha-384", 48, 0},	      {"sha-512", 64, 0},
		{"sha-256", 31, -SL_EINVAL},  {"sha-256", 33, -SL_EINVAL},
		{"sha-1", 20, -SL_EUNSUPP},   {"md5", 16, -SL_EUNSUPP},
		{"sha-224", 28, -SL_EUNSUPP}, {"", 32, -SL_EINVAL},
		{"sha-256", 0, -SL_EINVAL},
	};
	struct sl_dtls_ctx *ctx;

	CHECK_INT(sl_dtls_ctx_new(SL_DTLS_SRTP, &ctx), 0);
	for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
		struct sl_dtls *s = NULL;
		char text[256] = "";
		struct sl_dtls_opts o = {.io = &pair_io, .hash = sl_str_c(cases[i].hash)};

		for (unsigned n = 0; n < cases[i].n; n++)
			snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s",
				 n ? ":" : "", n % 2 ? "aB" : "09");
		o.fingerprint = sl_str_c(text);
		if (sl_dtls_new(ctx, &o, 0, &s) != cases[i].rc)
			TEST_FAIL("%s of %u", cases[i].hash, cases[i].n);
		sl_dtls_free(s);
	}
	sl_dtls_ctx_free(ctx);
}

TEST(a_fingerprint_has_the_form_of_sdp)
{
	struct sl_dtls_ctx *a, *b;

	CHECK_INT(sl_dtls_ctx_new(SL_DTLS_SRTP, &a), 0);
	CHECK_INT(sl_dtls_ctx_new(SL_DTLS_SRTP, &b), 0);
	CHECK_INT(strlen(sl_dtls_fingerprint(a)), 95);
	for (unsigned i = 0; i < 95; i++)
		CHECK(strchr(i % 3 == 2 ? ":" : "0123456789ABCDEF", sl_dtls_fingerprint(a)[i]));
	CHECK(strcmp(sl_dtls_fingerprint(a), sl_dtls_fingerprint(b)) != 0);
	sl_dtls_ctx_free(a);
	sl_dtls_ctx_free(b);
}

/* ---- time and loss */

static bool lose_first(struct dtls_pair *p, unsigned to, const uint8_t *data, size_t len)
{
	(void)to;
	(void)data;
	(void)len;
	return p->n_filtered++ == 0;
}

TEST(a_lost_hello_is_repeated_by_the_callers_clock)
{
	static struct dtls_pair p;

	p.filter = lose_first;
	pair_open(&p, 1);
	CHECK_INT(sl_dtls_timeout_ms(p.ends[ACTIVE].s), 1400);
	CHECK_INT(sl_dtls_tick(p.ends[ACTIVE].s, 1399), SL_DTLS_SHAKING);
	CHECK_INT(p.ends[ACTIVE].n_sent, 1);
	pair_shake(&p);
	CHECK(pair_is_open(&p));
	CHECK_INT(counters(&p, ACTIVE)->retransmissions, 1);
	CHECK_INT(p.now_ms, 1400 + 4 * DELAY_MS);
	CHECK_INT(sl_dtls_timeout_ms(p.ends[ACTIVE].s), UINT64_MAX);
	pair_close(&p);
}

static bool lose_all(struct dtls_pair *p, unsigned to, const uint8_t *data, size_t len)
{
	(void)p;
	(void)to;
	(void)data;
	(void)len;
	return true;
}

TEST(waits_are_doubled_and_a_silent_peer_is_given_up)
{
	static struct dtls_pair p;

	p.filter = lose_all;
	pair_open(&p, 1);
	pair_shake(&p);
	CHECK_INT(pair_state(&p, ACTIVE), SL_DTLS_FAILED);
	CHECK_INT(pair_state(&p, PASSIVE), SL_DTLS_FAILED);
	CHECK_INT(p.now_ms, 31000);
	CHECK_INT(p.ends[ACTIVE].n_sent, 10); /* 0, 0.4, 1.2, 2.8, 6 s, then every 4 s */
	CHECK_INT(counters(&p, ACTIVE)->timeouts, 1);
	CHECK_INT(counters(&p, PASSIVE)->timeouts, 1);
	CHECK_INT(sl_dtls_timeout_ms(p.ends[ACTIVE].s), UINT64_MAX);
	pair_close(&p);
}

/* The passive side's last flight: what it says after the peer's Finished. */
static bool lose_last_flight(struct dtls_pair *p, unsigned to, const uint8_t *data, size_t len)
{
	(void)len;
	if (to != ACTIVE || data[0] != 20 || p->n_filtered >= 2)
		return false;
	p->n_filtered++;
	return true;
}

TEST(the_last_flight_is_repeated_when_the_peer_repeats_its_own)
{
	static struct dtls_pair p;

	p.filter = lose_last_flight;
	pair_open(&p, 1);
	pair_shake(&p);
	CHECK_INT(p.n_filtered, 2);
	CHECK(pair_is_open(&p));
	pair_close(&p);
}

/* ---- two datagrams of a hello */

/* The second half of the message in w as a fragment of its own; w keeps the first. Its record has a
 * number that the sender will not use again soon. */
static struct dtls_wire cut(struct dtls_wire *w)
{
	enum { HEADERS = 25, NUMBER = 10, LENGTH = 11, OFFSET = 20, FRAGMENT = 23 };
	size_t body = w->len - HEADERS, half = body / 2;
	struct dtls_wire rest = *w;

	rest.data[NUMBER] = 40;
	sl_put16(rest.data + LENGTH, (uint16_t)(HEADERS - 13 + body - half));
	sl_put16(rest.data + OFFSET, (uint16_t)half);
	sl_put16(rest.data + FRAGMENT, (uint16_t)(body - half));
	memmove(rest.data + HEADERS, rest.data + HEADERS + half, body - half);
	rest.len = HEADERS + body - half;
	sl_put16(w->data + LENGTH, (uint16_t)(HEADERS - 13 + half));
	sl_put16(w->data + FRAGMENT, (uint16_t)half);
	w->len = HEADERS + half;
	return rest;
}

TEST(a_hello_in_two_datagrams_may_come_in_any_order)
{
	for (unsigned reversed = 0; reversed < 2; reversed++) {
		static struct dtls_pair p;
		struct dtls_wire rest;

		memset(&p, 0, sizeof p);
		pair_open(&p, 1);
		CHECK_INT(p.n_wire, 1);
		rest = cut(&p.wire[0]);
		p.n_wire = 2;
		p.wire[1] = reversed ? p.wire[0] : rest;
		if (reversed)
			p.wire[0] = rest;
		pair_shake(&p);
		CHECK(pair_is_open(&p));
		CHECK_INT(counters(&p, ACTIVE)->retransmissions, 0);
		pair_close(&p);
	}
}

/* ---- the end */

TEST(a_goodbye_reaches_the_peer)
{
	static struct dtls_pair p;

	pair_open(&p, 1);
	pair_shake(&p);
	sl_dtls_close(p.ends[ACTIVE].s);
	CHECK_INT(pair_state(&p, ACTIVE), SL_DTLS_CLOSED);
	CHECK_INT(sl_dtls_write(p.ends[ACTIVE].s, "x", 1), -SL_ECLOSED);
	pair_settle(&p);
	CHECK_INT(pair_state(&p, PASSIVE), SL_DTLS_CLOSED);
	CHECK(strcmp(sl_dtls_reason(p.ends[PASSIVE].s), "closed by the peer") == 0);
	pair_close(&p);
}

TEST(data_before_the_handshake_and_data_too_long_are_told)
{
	static struct dtls_pair p;
	static char text[2048];

	pair_open(&p, 1);
	CHECK_INT(sl_dtls_write(p.ends[ACTIVE].s, "x", 1), -SL_EAGAIN);
	pair_shake(&p);
	CHECK_INT(sl_dtls_write(p.ends[ACTIVE].s, text, sizeof text), -SL_ELIMIT);
	CHECK_INT(sl_dtls_write(p.ends[ACTIVE].s, text, 1920), 0);
	pair_settle(&p);
	CHECK_INT(p.ends[PASSIVE].text_len, 1920);
	pair_close(&p);
}

TEST(what_cannot_be_read_is_dropped_in_silence)
{
	static struct dtls_pair p;
	static const uint8_t garbage[64] = {22, 0xfe, 0xfd};
	uint8_t forged[64] = {23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 1, 0, 0, 40};
	unsigned sent;

	pair_open(&p, 1);
	CHECK_INT(sl_dtls_input(p.ends[PASSIVE].s, garbage, sizeof garbage, p.now_ms),
		  SL_DTLS_SHAKING);
	CHECK_INT(sl_dtls_input(p.ends[PASSIVE].s, garbage, 5, p.now_ms), SL_DTLS_SHAKING);
	pair_shake(&p);
	CHECK(pair_is_open(&p));
	sent = p.ends[PASSIVE].n_sent;
	for (unsigned i = 0; i < 20; i++)
		CHECK_INT(sl_dtls_input(p.ends[PASSIVE].s, forged, sizeof forged, p.now_ms),
			  SL_DTLS_OPEN);
	CHECK_INT(sl_dtls_input(p.ends[PASSIVE].s, garbage, sizeof garbage, p.now_ms),
		  SL_DTLS_OPEN);
	CHECK_INT(p.ends[PASSIVE].n_sent, sent);
	CHECK_INT(p.ends[PASSIVE].n_records, 0);
	pair_close(&p);
}

TEST(a_trimmed_session_goes_on)
{
	static struct dtls_pair p;

	pair_open(&p, 1);
	pair_shake(&p);
	sl_dtls_trim(p.ends[PASSIVE].s);
	sl_dtls_trim(p.ends[ACTIVE].s);
	CHECK_INT(sl_dtls_write(p.ends[PASSIVE].s, "still here", 10), 0);
	pair_settle(&p);
	CHECK_INT(p.ends[ACTIVE].text_len, 10);
	pair_close(&p);
}

TEST_MAIN()
