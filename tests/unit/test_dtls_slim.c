/*
 * tests/unit/test_dtls_slim.c: sessions that have given their handshake's memory back: they still
 * repeat their last flight, say goodbye and hear it; and how much they hold.
 */
#include "lib/test.h"

#include "lib/dtls_pair.h"

#include <malloc.h>

TEST(a_slim_session_hears_goodbye)
{
	static struct dtls_pair p;

	pair_open(&p, 1);
	pair_shake(&p);
	CHECK_INT(sl_dtls_slim(p.ends[PASSIVE].s), 0);
	CHECK_INT(sl_dtls_slim(p.ends[PASSIVE].s), 0);
	CHECK_INT(sl_dtls_write(p.ends[PASSIVE].s, "x", 1), -SL_EUNSUPP);
	CHECK_INT(sl_dtls_timeout_ms(p.ends[PASSIVE].s), UINT64_MAX);
	sl_dtls_close(p.ends[ACTIVE].s);
	pair_settle(&p);
	CHECK_INT(pair_state(&p, PASSIVE), SL_DTLS_CLOSED);
	pair_close(&p);
}

TEST(a_slim_session_of_either_role_says_goodbye_to_a_whole_one)
{
	for (unsigned who = 0; who < 2; who++) {
		static struct dtls_pair p;

		memset(&p, 0, sizeof p);
		pair_open(&p, 1);
		pair_shake(&p);
		CHECK_INT(sl_dtls_slim(p.ends[who].s), 0);
		sl_dtls_close(p.ends[who].s);
		CHECK_INT(pair_state(&p, who), SL_DTLS_CLOSED);
		pair_settle(&p);
		CHECK_INT(pair_state(&p, !who), SL_DTLS_CLOSED);
		pair_close(&p);
	}
}

static bool lose_last_flight(struct dtls_pair *p, unsigned to, const uint8_t *data, size_t len)
{
	(void)len;
	if (to != ACTIVE || data[0] != 20 || p->n_filtered >= 2)
		return false;
	p->n_filtered++;
	return true;
}

/* OpenSSL on the other side judges whether the records are right. */
TEST(a_slim_session_repeats_its_last_flight)
{
	static struct dtls_pair p;

	p.filter = lose_last_flight;
	pair_open(&p, 1);
	while (pair_state(&p, PASSIVE) == SL_DTLS_SHAKING && pair_step(&p))
		;
	CHECK_INT(sl_dtls_slim(p.ends[PASSIVE].s), 0);
	pair_shake(&p);
	CHECK_INT(p.n_filtered, 2);
	CHECK(pair_is_open(&p));
	sl_dtls_close(p.ends[PASSIVE].s);
	pair_settle(&p);
	CHECK_INT(pair_state(&p, ACTIVE), SL_DTLS_CLOSED);
	pair_close(&p);
}

TEST(repeats_are_few_however_often_they_are_asked_for)
{
	static struct dtls_pair p;
	static const uint8_t handshake[40] = {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 9, 9, 0, 27};
	unsigned sent;

	pair_open(&p, 1);
	pair_shake(&p);
	CHECK_INT(sl_dtls_slim(p.ends[PASSIVE].s), 0);
	sent = p.ends[PASSIVE].n_sent;
	for (unsigned i = 0; i < 1000; i++)
		CHECK_INT(
			sl_dtls_input(p.ends[PASSIVE].s, handshake, sizeof handshake, p.now_ms + i),
			SL_DTLS_OPEN);
	CHECK_INT(p.ends[PASSIVE].n_sent - sent, 5);
	pair_close(&p);
}

TEST(a_forged_goodbye_is_not_heard)
{
	static struct dtls_pair p;
	uint8_t forged[39] = {21, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 26};

	pair_open(&p, 1);
	pair_shake(&p);
	CHECK_INT(sl_dtls_slim(p.ends[PASSIVE].s), 0);
	CHECK_INT(sl_dtls_input(p.ends[PASSIVE].s, forged, sizeof forged, p.now_ms), SL_DTLS_OPEN);
	forged[12] = 3;
	CHECK_INT(sl_dtls_input(p.ends[PASSIVE].s, forged, 16, p.now_ms), SL_DTLS_OPEN);
	forged[3] = 1; /* another epoch */
	CHECK_INT(sl_dtls_input(p.ends[PASSIVE].s, forged, sizeof forged, p.now_ms), SL_DTLS_OPEN);
	pair_close(&p);
}

/* ---- memory */

static size_t held(void)
{
	return mallinfo2().uordblks;
}

/* Bytes of a session at one end, mean of a few. */
static size_t held_by_session(void (*then)(struct sl_dtls *))
{
	enum { N = 8 };
	static struct dtls_pair p[N];
	size_t before, after;

	memset(p, 0, sizeof p);
	for (unsigned i = 0; i < N; i++) {
		pair_open(&p[i], i);
		pair_shake(&p[i]);
		sl_dtls_free(p[i].ends[ACTIVE].s);
		p[i].ends[ACTIVE].s = NULL;
		if (then)
			then(p[i].ends[PASSIVE].s);
	}
	before = held();
	for (unsigned i = 0; i < N; i++) {
		sl_dtls_free(p[i].ends[PASSIVE].s);
		p[i].ends[PASSIVE].s = NULL;
	}
	after = held();
	for (unsigned i = 0; i < N; i++)
		pair_close(&p[i]);
	return (before - after) / N;
}

static void slim(struct sl_dtls *s)
{
	sl_assert(sl_dtls_slim(s) == 0);
}

TEST(a_session_holds_no_more_than_it_needs)
{
	size_t whole, trimmed, slimmed;

#ifdef __SANITIZE_ADDRESS__
	return; /* its own allocator tells nothing */
#endif
	whole = held_by_session(NULL);
	trimmed = held_by_session(sl_dtls_trim);
	slimmed = held_by_session(slim);
	printf("# bytes of a session: whole %zu, trimmed %zu, slim %zu\n", whole, trimmed, slimmed);
	CHECK(trimmed < 44000);
	CHECK(slimmed < 1024);
}

TEST_MAIN()
