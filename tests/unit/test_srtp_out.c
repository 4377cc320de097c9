/*
 * Sealing: the vectors of RFC 3711 appendix B and RFC 7714 sections 16 and 17, and every packet
 * beside libsrtp2's under all profiles, over roll-overs and out of order.
 */
#include <malloc.h>
#include <srtp2/srtp.h>
#include <sluice/buf.h>
#include <sluice/crypto.h>
#include "lib/test.h"
#include "proto/srtp.h"

enum { ROOM = 1600 };

static const enum sl_srtp_profile profiles[] = {SL_SRTP_AES128_CM_SHA1_80, SL_SRTP_AES128_CM_SHA1_32,
						SL_SRTP_AEAD_AES_128_GCM, SL_SRTP_AEAD_AES_256_GCM};

static size_t unhex(uint8_t *dst, const char *hex)
{
	size_t n;

	sl_assert(sl_hex_decode(dst, ROOM, sl_str_c(hex), &n) == 0);
	return n;
}

static bool is_hex(const uint8_t *got, const char *hex)
{
	uint8_t want[ROOM];
	size_t n = unhex(want, hex);

	return memcmp(got, want, n) == 0;
}

/* ---- vectors */

TEST(rfc_3711_key_derivation)
{
	struct srtp_session_keys keys;
	struct srtp_key master;

	unhex(master.key, "E1F97A0D3E018BE0D64FA32C06DE4139");
	unhex(master.salt, "0EC675AD498AFEEBB6960B3AABE6");
	CHECK_INT(srtp_derive(SL_SRTP_AES128_CM_SHA1_80, &master, &keys), 0);
	CHECK(is_hex(keys.rtp.key, "C61E7A93744F39EE10734AFE3FF7A087"));
	CHECK(is_hex(keys.rtp.salt, "30CBBC08863D8C85D49DB34A9AE1"));
	CHECK(is_hex(keys.rtp.auth, "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
}

/* Section B.2: the key stream under an SSRC, an index and zeros as payload */
TEST(rfc_3711_counter_mode_key_stream)
{
	struct srtp_session_keys keys = {0};
	struct srtp_out_stream stream = {0};
	uint8_t p[ROOM] = {0x80};
	static const uint8_t zeros[48];
	struct srtp_out *out;

	unhex(keys.rtp.key, "2B7E151628AED2A6ABF7158809CF4F3C");
	unhex(keys.rtp.salt, "F0F1F2F3F4F5F6F7F8F9FAFBFCFD");
	CHECK_INT(srtp_out_new_derived(&out, SL_SRTP_AES128_CM_SHA1_80, &keys), 0);
	CHECK_INT(srtp_seal_rtp(out, &stream, p, 12, zeros, sizeof zeros), 12 + 48 + 10);
	CHECK(is_hex(p + 12, "E03EAD0935C95E80E166B16DD92B4EB4"
			     "D23513162B02D0F72A43A2FE4A5F97AB"
			     "41E95B3BB0A2E8DD477901E4FCA894C0"));
	srtp_out_free(out);
}

static void check_gcm(enum sl_srtp_profile profile, const char *want)
{
	struct srtp_session_keys keys = {0};
	struct srtp_out_stream stream = {0};
	uint8_t p[ROOM];
	size_t n = unhex(p, "8040f17b8041f8d35501a0b2");
	struct srtp_out *out;
	int len;

	for (uint8_t i = 0; i < 32; i++)
		keys.rtp.key[i] = i;
	memcpy(keys.rtp.salt, "Quid pro quo", 12);
	CHECK_INT(srtp_out_new_derived(&out, profile, &keys), 0);
	len = srtp_seal_rtp(out, &stream, p, n, (const uint8_t *)"Gallia est omnis divisa in partes tres", 38);
	CHECK_INT(len, 12 + 38 + 16);
	CHECK(is_hex(p, want));
	srtp_out_free(out);
}

TEST(rfc_7714_rtp_under_aes_128_gcm)
{
	check_gcm(SL_SRTP_AEAD_AES_128_GCM,
		  "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833"
		  "899d7f27beb16a9152cf765ee4390cce");
}

TEST(rfc_7714_rtp_under_aes_256_gcm)
{
	check_gcm(SL_SRTP_AEAD_AES_256_GCM,
		  "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b"
		  "7aa3db36dfffd6b0f9bb7878d7a76c13");
}

TEST(rfc_7714_rtcp_under_aes_128_gcm)
{
	static const char plain[] = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61"
				    "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
	struct srtp_session_keys keys = {0};
	struct srtp_out *out;
	uint8_t p[ROOM];

	for (uint8_t i = 0; i < 16; i++)
		keys.rtcp.key[i] = i;
	memcpy(keys.rtcp.salt, "Quid pro quo", 12);
	CHECK_INT(srtp_out_new_derived(&out, SL_SRTP_AEAD_AES_128_GCM, &keys), 0);
	for (unsigned index = 0; index <= 0x5d4; index++)
		CHECK_INT(srtp_seal_rtcp(out, p, unhex(p, plain)), 52 + 16 + 4);
	CHECK(is_hex(p, "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b468630"
			"3ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4"));
	srtp_out_free(out);
}

/* ---- beside libsrtp2 */

static bool library_started;
static uint64_t chance;

static unsigned pick(unsigned n)
{
	chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(chance >> 33) % n;
}

static void fill(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)pick(256);
}

struct pair { /* ours and theirs, under one master key */
	struct srtp_out *out;
	struct srtp_out_stream stream;
	srtp_t theirs;
};

static void pair_open(struct pair *pair, enum sl_srtp_profile profile)
{
	srtp_policy_t policy = {.ssrc.type = ssrc_any_outbound, .window_size = 1024, .allow_repeat_tx = 1};
	uint8_t joined[SRTP_MAX_KEY + SRTP_MAX_SALT];
	struct srtp_key key;

	if (!library_started) /* a second start fails */
		sl_assert(srtp_init() == srtp_err_status_ok);
	library_started = true;
	*pair = (struct pair){0};
	fill((uint8_t *)&key, sizeof key);
	memcpy(joined, key.key, srtp_key_bytes(profile));
	memcpy(joined + srtp_key_bytes(profile), key.salt, srtp_salt_bytes(profile));
	policy.key = joined;
	sl_assert(srtp_crypto_policy_set_from_profile_for_rtp(&policy.rtp, (srtp_profile_t)profile) == 0);
	sl_assert(srtp_crypto_policy_set_from_profile_for_rtcp(&policy.rtcp, (srtp_profile_t)profile) == 0);
	sl_assert(srtp_create(&pair->theirs, &policy) == srtp_err_status_ok);
	sl_assert(srtp_out_new(&pair->out, profile, &key) == 0);
}

static void pair_close(struct pair *pair)
{
	srtp_out_free(pair->out);
	srtp_dealloc(pair->theirs);
}

/* A packet of random shape: CSRCs, an extension block, an empty payload now and then */
static size_t random_header(uint8_t *p, uint16_t seq, uint32_t ssrc)
{
	size_t csrcs = pick(3), words = pick(4), len = 12 + 4 * csrcs;

	fill(p, 12 + 4 * csrcs);
	p[0] = (uint8_t)(0x80 | csrcs);
	sl_put16(p + 2, seq);
	sl_put32(p + 8, ssrc);
	if (words > 0) {
		p[0] |= 0x10;
		sl_put16(p + len, 0xbede);
		sl_put16(p + len + 2, (uint16_t)words);
		fill(p + len + 4, 4 * words);
		len += 4 + 4 * words;
	}
	return len;
}

static bool seals_alike(struct pair *pair, uint16_t seq)
{
	uint8_t ours[ROOM], theirs[ROOM + SRTP_MAX_TRAILER_LEN], payload[1200];
	size_t header = random_header(ours, seq, 0x11223344), len = pick(8) ? pick(1200) : 0;
	int n, their_len = (int)(header + len);

	fill(payload, len);
	memcpy(theirs, ours, header);
	memcpy(theirs + header, payload, len);
	n = srtp_seal_rtp(pair->out, &pair->stream, ours, header, payload, len);
	if (srtp_protect(pair->theirs, theirs, &their_len) != srtp_err_status_ok)
		return false;
	return n == their_len && memcmp(ours, theirs, (size_t)n) == 0;
}

TEST(every_packet_is_what_libsrtp2_makes_of_it_over_three_roll_overs)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(profiles); i++) {
		struct pair pair;
		uint32_t at = 65000;

		chance = 1 + i;
		pair_open(&pair, profiles[i]);
		while (at < 4 * 65536) {
			CHECK(seals_alike(&pair, (uint16_t)at));
			if (pick(4) == 0 && at > 65100) /* sent again, late, over the wrap as well */
				CHECK(seals_alike(&pair, (uint16_t)(at - 1 - pick(90))));
			at += at % 65536 > 200 && at % 65536 < 65200 ? 1000 : 1;
		}
		CHECK_INT(pair.stream.roc, 3);
		pair_close(&pair);
	}
}

TEST(many_streams_under_one_key_keep_their_own_roll_overs)
{
	struct srtp_out_stream a = {0}, b = {0};
	uint8_t p[ROOM] = {0x80}, q[ROOM];
	struct pair pair;

	pair_open(&pair, SL_SRTP_AEAD_AES_128_GCM);
	sl_put16(p + 2, 65535);
	CHECK_INT(srtp_seal_rtp(pair.out, &a, p, 12, p, 0), 28);
	sl_put16(p + 2, 0);
	CHECK_INT(srtp_seal_rtp(pair.out, &a, p, 12, p, 0), 28);
	memcpy(q, p, 12);
	CHECK_INT(srtp_seal_rtp(pair.out, &b, q, 12, q, 0), 28);
	CHECK_INT(a.roc, 1);
	CHECK_INT(b.roc, 0);
	CHECK(memcmp(p, q, 28) != 0);
	pair_close(&pair);
}

TEST(a_number_before_the_beginning_is_refused)
{
	uint8_t p[ROOM] = {0x80};
	struct pair pair;

	pair_open(&pair, SL_SRTP_AEAD_AES_128_GCM);
	sl_put16(p + 2, 3);
	CHECK_INT(srtp_seal_rtp(pair.out, &pair.stream, p, 12, p, 0), 28);
	sl_put16(p + 2, 65530);
	CHECK_INT(srtp_seal_rtp(pair.out, &pair.stream, p, 12, p, 0), -SL_EINVAL);
	CHECK_INT(pair.stream.highest_seq, 3);
	pair_close(&pair);
}

TEST(the_payload_may_lie_where_it_is_sealed)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(profiles); i++) {
		struct srtp_out_stream stream = {0};
		uint8_t apart[ROOM], in_place[ROOM], payload[500];
		struct pair pair;
		int n;

		pair_open(&pair, profiles[i]);
		fill(payload, sizeof payload);
		random_header(apart, 7, 9);
		apart[0] = 0x80;
		memcpy(in_place, apart, 12);
		memcpy(in_place + 12, payload, sizeof payload);
		n = srtp_seal_rtp(pair.out, &pair.stream, apart, 12, payload, sizeof payload);
		CHECK_INT(srtp_seal_rtp(pair.out, &stream, in_place, 12, in_place + 12, sizeof payload), n);
		CHECK_MEM(apart, in_place, n);
		pair_close(&pair);
	}
}

TEST(rtcp_is_what_libsrtp2_makes_of_it)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(profiles); i++) {
		struct pair pair;

		chance = 77 + i;
		pair_open(&pair, profiles[i]);
		/* libsrtp2 counts from 1; an index may be left out */
		CHECK_INT(srtp_seal_rtcp(pair.out, (uint8_t[ROOM]){0x80, 201, 0, 1}, 8) > 0, 1);
		for (unsigned k = 0; k < 300; k++) {
			uint8_t ours[ROOM], theirs[ROOM + SRTP_MAX_TRAILER_LEN];
			size_t len = 8 + 4 * pick(60);
			int n, their_len = (int)len;

			fill(ours, len);
			ours[0] = 0x81;
			ours[1] = 200;
			sl_put32(ours + 4, 5); /* libsrtp2 counts for each SSRC, we for the peer */
			memcpy(theirs, ours, len);
			n = srtp_seal_rtcp(pair.out, ours, len);
			CHECK(srtp_protect_rtcp(pair.theirs, theirs, &their_len) == srtp_err_status_ok);
			CHECK_INT(n, their_len);
			CHECK_MEM(ours, theirs, n);
		}
		pair_close(&pair);
	}
}

TEST(sealing_allocates_nothing)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(profiles); i++) {
		uint8_t p[ROOM] = {0x80}, rtcp[ROOM] = {0x80, 201, 0, 1};
		struct mallinfo2 before, after;
		struct pair pair;

		pair_open(&pair, profiles[i]);
		(void)srtp_seal_rtp(pair.out, &pair.stream, p, 12, p, 100); /* digests are fetched once */
		before = mallinfo2();
		for (uint16_t k = 1; k < 200; k++) {
			sl_put16(p + 2, k);
			CHECK(srtp_seal_rtp(pair.out, &pair.stream, p, 12, p + 12, 1000) > 0);
			CHECK(srtp_seal_rtcp(pair.out, rtcp, 8) > 0);
		}
		after = mallinfo2();
		CHECK_INT(after.uordblks, before.uordblks);
		pair_close(&pair);
	}
}

TEST(unknown_profiles_are_refused)
{
	struct srtp_key key = {{0}, {0}};
	struct srtp_out *out;

	CHECK_INT(srtp_out_new(&out, SL_SRTP_NONE, &key), -SL_EUNSUPP);
	CHECK_INT(srtp_out_new(&out, (enum sl_srtp_profile)5, &key), -SL_EUNSUPP);
	CHECK_INT(srtp_key_bytes((enum sl_srtp_profile)99), 0);
	srtp_out_free(NULL);
}

TEST_MAIN()
