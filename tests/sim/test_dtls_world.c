/*
 * tests/sim/test_dtls_world.c: DTLS handshakes over networks that lose, delay, reorder and repeat,
 * in virtual time, from many seeds.
 */
#include "lib/test.h"

#include "lib/dtls_pair.h"

enum { SEEDS = 60 };

/* A certificate each for all of them: making one costs as much as a handshake. */
static struct sl_dtls_ctx *contexts[2];

static void open_world(struct dtls_pair *p, uint64_t seed)
{
	memset(p, 0, sizeof *p);
	for (unsigned i = 0; i < 2; i++) {
		if (!contexts[i])
			sl_assert(sl_dtls_ctx_new(SL_DTLS_SRTP, &contexts[i]) == 0);
		p->ends[i].ctx = contexts[i];
	}
	p->loss_percent = 15;
	p->twice_percent = 10;
	p->jitter_ms = 60;
	pair_open(p, seed);
}

static void close_world(struct dtls_pair *p)
{
	for (unsigned i = 0; i < 2; i++)
		sl_dtls_free(p->ends[i].s);
}

TEST(lost_and_reordered_datagrams_stop_no_handshake)
{
	static struct dtls_pair p;
	uint64_t slowest = 0, total = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct sl_srtp_keys a, b;

		open_world(&p, seed);
		pair_shake(&p);
		if (!pair_is_open(&p))
			TEST_FAIL("seed %" PRIu64 ": %s, %s", seed, sl_dtls_reason(p.ends[0].s),
				  sl_dtls_reason(p.ends[1].s));
		CHECK_INT(sl_dtls_srtp_keys(p.ends[0].s, &a), 0);
		CHECK_INT(sl_dtls_srtp_keys(p.ends[1].s, &b), 0);
		CHECK(memcmp(a.local_key, b.remote_key, sizeof a.local_key) == 0);
		total += p.now_ms - 1000;
		slowest = p.now_ms - 1000 > slowest ? p.now_ms - 1000 : slowest;
		close_world(&p);
	}
	printf("# ms per handshake: mean %" PRIu64 ", slowest %" PRIu64 "\n", total / SEEDS,
	       slowest);
	CHECK(slowest < 30000);
}

/* The passive side drops OpenSSL's memory the moment it is open, while its last flight may be
 * lost. */
TEST(a_side_that_slims_at_once_leaves_nobody_behind)
{
	static struct dtls_pair p;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		open_world(&p, seed);
		while (pair_state(&p, PASSIVE) == SL_DTLS_SHAKING && pair_step(&p))
			;
		CHECK_INT(pair_state(&p, PASSIVE), SL_DTLS_OPEN);
		CHECK_INT(sl_dtls_slim(p.ends[PASSIVE].s), 0);
		pair_shake(&p);
		if (!pair_is_open(&p))
			TEST_FAIL("seed %" PRIu64 ": %s", seed, sl_dtls_reason(p.ends[ACTIVE].s));
		p.loss_percent = 0;
		sl_dtls_close(p.ends[PASSIVE].s);
		pair_settle(&p);
		CHECK_INT(pair_state(&p, ACTIVE), SL_DTLS_CLOSED);
		close_world(&p);
	}
}

/* Bits turned over on the way are a loss, whatever they hit. */
static bool turn_bits(struct dtls_pair *p, unsigned to, const uint8_t *data, size_t len)
{
	uint8_t bad[2048];

	if (pair_random(p, 100) >= 15)
		return false;
	memcpy(bad, data, len);
	bad[pair_random(p, (unsigned)len)] ^= (uint8_t)(1 << pair_random(p, 8));
	pair_post(p, to, bad, len);
	return true;
}

TEST(data_arrives_as_it_was_sent_or_not_at_all)
{
	static struct dtls_pair p;
	unsigned arrived = 0;

	open_world(&p, 7);
	pair_shake(&p);
	CHECK(pair_is_open(&p));
	p.filter = turn_bits;
	for (unsigned i = 0; i < 2000; i++) {
		char text[32];
		unsigned before = p.ends[PASSIVE].n_records;

		snprintf(text, sizeof text, "message %u", i);
		p.jitter_ms = 0;
		CHECK_INT(sl_dtls_write(p.ends[ACTIVE].s, text, strlen(text)), 0);
		pair_settle(&p);
		CHECK(p.ends[PASSIVE].n_records <= before + 1); /* repeated ones are not */
		if (p.ends[PASSIVE].n_records == before)
			continue;
		arrived++;
		CHECK_INT(p.ends[PASSIVE].text_len, strlen(text));
		CHECK(memcmp(p.ends[PASSIVE].text, text, strlen(text)) == 0);
	}
	CHECK(arrived > 1000 && arrived < 1600);
	CHECK(pair_is_open(&p));
	close_world(&p);
	for (unsigned i = 0; i < 2; i++)
		sl_dtls_ctx_free(contexts[i]);
}

TEST_MAIN()
