/*
 * Pure parts of the mixer: sums, the limiter, the loudest few, redundant audio.
 */
#include <math.h>
#include "lib/test.h"
#include "modules/mixer/loudest.h"
#include "modules/mixer/mix.h"
#include "modules/mixer/red.h"

enum { N = 48 * MIX_MS };

static void tone(int16_t *pcm, double hz, double amplitude, unsigned frame)
{
	for (unsigned i = 0; i < N; i++)
		pcm[i] = (int16_t)(amplitude * sin(6.283185307 * hz * (frame * N + i) / 48000));
}

static int peak_of(const int16_t *pcm)
{
	int peak = 0;

	for (unsigned i = 0; i < N; i++)
		peak = abs(pcm[i]) > peak ? abs(pcm[i]) : peak;
	return peak;
}

TEST(everybody_without_one_is_the_others)
{
	int16_t a[N], b[N], c[N], out[N];
	int32_t sum[N] = {0}, without[N];
	struct limiter l = {0};

	tone(a, 440, 5000, 0);
	tone(b, 1000, 5000, 0);
	tone(c, 1800, 5000, 0);
	mix_add(sum, a, N);
	mix_add(sum, b, N);
	mix_add(sum, c, N);
	mix_without(without, sum, b, N);
	limiter_run(&l, without, out, N);
	for (unsigned i = 0; i < N; i++)
		CHECK_INT(out[i], a[i] + c[i]);
}

TEST(what_is_not_too_loud_is_not_touched)
{
	struct limiter l = {0};
	int32_t sum[N];
	int16_t out[N];

	for (unsigned i = 0; i < N; i++)
		sum[i] = (int)(i % 2 ? MIX_CEILING : -MIX_CEILING);
	limiter_run(&l, sum, out, N);
	for (unsigned i = 0; i < N; i++)
		CHECK_INT(out[i], sum[i]);
}

/* Ten voices at full scale, at all three rates: nothing clips, nothing wraps. */
TEST(the_loudest_sum_stays_below_the_ceiling)
{
	for (unsigned khz = 8; khz <= 48; khz *= khz == 8 ? 2 : 3) {
		struct limiter l = {0};
		size_t n = khz * MIX_MS;

		for (unsigned frame = 0; frame < 50; frame++) {
			int32_t sum[N];
			int16_t out[N] = {0};

			for (size_t i = 0; i < n; i++)
				sum[i] = (int32_t)(frame % 7 < 3 ? 327670 : 3000) *
					 (i / 7 % 2 ? 1 : -1);
			limiter_run(&l, sum, out, n);
			CHECK(peak_of(out) <= MIX_CEILING);
		}
	}
}

/* A limiter changes the size of a tone and not its shape: its harmonics stay small. */
TEST(a_tone_that_is_too_loud_stays_a_tone)
{
	struct limiter l = {0};
	double at[4] = {0};
	int16_t one[N], out[N];

	for (unsigned frame = 0; frame < 20; frame++) {
		int32_t sum[N] = {0};

		tone(one, 500, 30000, frame);
		for (unsigned k = 0; k < 3; k++)
			mix_add(sum, one, N);
		limiter_run(&l, sum, out, N);
	}
	for (unsigned h = 1; h < 4; h++) {
		double re = 0, im = 0;

		for (unsigned i = 0; i < N; i++) {
			re += out[i] * cos(6.283185307 * 500 * h * i / 48000);
			im += out[i] * sin(6.283185307 * 500 * h * i / 48000);
		}
		at[h] = sqrt(re * re + im * im);
	}
	CHECK(at[1] > 100 * at[2]);
	CHECK(at[1] > 100 * at[3]);
}

TEST(the_gain_comes_back_slowly)
{
	struct limiter l = {0};
	int32_t loud[N], soft[N];
	int16_t out[N];

	for (unsigned i = 0; i < N; i++) {
		loud[i] = 120000;
		soft[i] = 10000;
	}
	limiter_run(&l, loud, out, N);
	CHECK(out[N - 1] <= MIX_CEILING && out[N - 1] > MIX_CEILING - 1000);
	limiter_run(&l, soft, out, N);
	CHECK(out[0] < 3000);
	for (unsigned frame = 0; frame < 20; frame++)
		limiter_run(&l, soft, out, N);
	CHECK_INT(out[N - 1], 10000);
}

/* ---- the loudest */

TEST(whoever_speaks_is_in_while_there_is_room)
{
	struct loudest l = {.max = 3};
	struct voice v[4] = {0};

	for (unsigned i = 0; i < 3; i++)
		CHECK(loudest_heard(&l, &v[i], -30, 10000));
	CHECK(!loudest_heard(&l, &v[3], -29, 10000));
	CHECK_INT(l.n, 3);
}

TEST(silence_is_no_speech)
{
	struct loudest l = {.max = 3};
	struct voice v = {0};

	CHECK(!loudest_heard(&l, &v, -127, 10000));
	CHECK(!loudest_heard(&l, &v, VOICE_SPEECH_DBOV, 10000));
	CHECK_INT(l.n, 0);
}

TEST(a_clearly_louder_voice_takes_the_place_of_the_softest)
{
	struct loudest l = {.max = 2};
	struct voice v[3] = {0};

	CHECK(loudest_heard(&l, &v[0], -25, 10000));
	CHECK(loudest_heard(&l, &v[1], -40, 10000));
	CHECK(!loudest_heard(&l, &v[2], -37, 10000));
	for (unsigned i = 1; i < 30; i++)
		(void)loudest_heard(&l, &v[2], -20, 10000 + i);
	CHECK(v[2].in && v[0].in && !v[1].in);
}

TEST(who_pauses_makes_room_and_who_is_silent_goes)
{
	struct loudest l = {.max = 1};
	struct voice v[2] = {0};

	CHECK(loudest_heard(&l, &v[0], -20, 10000));
	CHECK(!loudest_heard(&l, &v[1], -30, 10100));
	CHECK(loudest_heard(&l, &v[1], -30, 10000 + VOICE_PAUSE_MS + 1));
	CHECK(!v[0].in);
	loudest_time(&l, 10000 + VOICE_PAUSE_MS + VOICE_HOLD_MS);
	CHECK(v[1].in);
	loudest_time(&l, 10000 + VOICE_PAUSE_MS + VOICE_HOLD_MS + 2);
	CHECK(!v[1].in);
	CHECK_INT(l.n, 0);
	CHECK(!l.first);
}

/* However they come and go, the list is what it says. */
/* A packet is here before the frame that it will be in, whose time is earlier. */
TEST(a_frame_made_for_a_moment_before_a_packet_takes_nobody_out)
{
	struct loudest l = {.max = 1};
	struct voice v[2] = {0};

	CHECK(loudest_heard(&l, &v[0], -20, 10015));
	loudest_time(&l, 10000);
	CHECK(v[0].in);
	CHECK(!loudest_heard(&l, &v[1], -22, 10000));
	CHECK(v[0].in);
}

TEST(at_random_never_more_than_the_limit_are_in)
{
	struct loudest l = {.max = 4};
	struct voice v[20] = {0};
	uint32_t random = 12345;

	for (unsigned i = 0; i < 20000; i++) {
		struct voice *one = &v[(random = random * 1664525 + 1013904223) >> 16 & 15];
		unsigned n = 0, linked = 0;

		(void)loudest_heard(&l, one, -(int)(random >> 24 & 127), 10000 + i * 5);
		if (random % 50 == 0)
			loudest_remove(&l, one);
		if (i % 3 == 0)
			loudest_time(&l, 10000 + i * 5);
		for (unsigned k = 0; k < 20; k++)
			n += v[k].in;
		for (struct voice *at = l.first; at; at = at->next)
			linked++;
		CHECK(n == l.n && linked == n && n <= 4);
	}
}

/* ---- redundancy */

TEST(redundant_blocks_come_oldest_first)
{
	static const uint8_t packet[] = {0xef, 0x07, 0x80, 0x02, 0x6f, 'a', 'b', 'c', 'd', 'e'};
	struct red_block b[RED_BLOCKS];

	CHECK_INT(red_read((struct sl_str){(const char *)packet, sizeof packet}, b), 2);
	CHECK_INT(b[0].age, 480);
	CHECK(sl_str_eq(b[0].data, SL_STR("ab")));
	CHECK_INT(b[1].age, 0);
	CHECK(sl_str_eq(b[1].data, SL_STR("cde")));
}

TEST(a_block_longer_than_the_packet_is_refused)
{
	static const uint8_t packet[] = {0xef, 0x07, 0x80, 0x09, 0x6f, 'a', 'b'};
	struct red_block b[RED_BLOCKS];

	CHECK_INT(red_read((struct sl_str){(const char *)packet, sizeof packet}, b), -SL_EPARSE);
	CHECK_INT(red_read((struct sl_str){(const char *)packet, 3}, b), -SL_EPARSE);
	CHECK_INT(red_read(SL_STR_NULL, b), -SL_EPARSE);
}

TEST_MAIN()
