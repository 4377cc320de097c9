/*
 * tests/unit/test_audio.c: speech through codecs, rates, concealment, tones and digits.
 */
#include <math.h>
#include "lib/test.h"
#include "proto/audio_impl.h"

#include <sluice/clock.h>

enum { SECOND = 8000 };

static void make_sine(int16_t *pcm, size_t n, unsigned hz, unsigned frequency, double amplitude)
{
	for (size_t i = 0; i < n; i++)
		pcm[i] = (int16_t)(amplitude * sin(2 * M_PI * frequency * (double)i / hz));
}

/* How much of the power is at a frequency: 0 .. 1 */
static double share_at(const int16_t *pcm, size_t n, unsigned hz, unsigned frequency)
{
	double re = 0, im = 0, all = 0;

	for (size_t i = 0; i < n; i++) {
		double angle = 2 * M_PI * frequency * (double)i / hz;

		re += pcm[i] * cos(angle);
		im += pcm[i] * sin(angle);
		all += (double)pcm[i] * pcm[i];
	}
	return all == 0 ? 0 : 2 * (re * re + im * im) / ((double)n * all);
}

TEST(g711_codes_are_those_of_the_standard)
{
	CHECK_INT(audio_to_ulaw(0), 0xff);
	CHECK_INT(audio_to_ulaw(-1), 0x7f);
	CHECK_INT(audio_to_ulaw(32767), 0x80);
	CHECK_INT(audio_to_ulaw(-32768), 0x00);
	CHECK_INT(audio_from_ulaw(0x80), 32124);
	CHECK_INT(audio_from_ulaw(0x00), -32124);
	CHECK_INT(audio_from_ulaw(0xff), 0);
	CHECK_INT(audio_to_alaw(0), 0xd5);
	CHECK_INT(audio_to_alaw(-1), 0x55);
	CHECK_INT(audio_to_alaw(32767), 0xaa);
	CHECK_INT(audio_to_alaw(-32768), 0x2a);
	CHECK_INT(audio_from_alaw(0xaa), 32256);
	CHECK_INT(audio_from_alaw(0xd5), 8);
	CHECK_INT(audio_from_alaw(0x55), -8);
}

TEST(every_g711_code_decodes_to_what_encodes_to_it)
{
	for (unsigned code = 0; code < 256; code++) {
		CHECK_INT(audio_to_alaw(audio_from_alaw((uint8_t)code)), code);
		if (code != 0x7f) /* minus zero */
			CHECK_INT(audio_to_ulaw(audio_from_ulaw((uint8_t)code)), code);
	}
}

static const struct {
	enum sl_codec_id codec;
	unsigned clock_hz, hz;
} all[] = {
	{SL_CODEC_PCMU, 8000, 8000},  {SL_CODEC_PCMA, 8000, 8000},   {SL_CODEC_G722, 8000, 16000},
	{SL_CODEC_L16, 8000, 8000},   {SL_CODEC_L16, 16000, 16000},  {SL_CODEC_L16, 48000, 48000},
	{SL_CODEC_OPUS, 48000, 8000}, {SL_CODEC_OPUS, 48000, 16000}, {SL_CODEC_OPUS, 48000, 48000},
};

/* A second of a tone, coded and decoded by 20 ms; n: samples of pcm */
static double share_after(unsigned i, int16_t *pcm)
{
	const struct sl_audio_encoder_opts o = {.codec = all[i].codec,
						.clock_hz = all[i].clock_hz,
						.hz = all[i].hz,
						.complexity = 5};
	size_t frame = all[i].hz / 50, n = all[i].hz;
	struct sl_audio_encoder *e = NULL;
	struct sl_audio_decoder *d = NULL;
	static int16_t out[SL_AUDIO_MAX_HZ + SL_AUDIO_MAX_SAMPLES];
	uint8_t bytes[2000];
	double share = 0;

	make_sine(pcm, n, all[i].hz, 700, 8000);
	if (sl_audio_encoder_new(&e, &o) == 0 &&
	    sl_audio_decoder_new(&d, o.codec, o.clock_hz, o.hz) == 0) {
		for (size_t at = 0; at < n; at += frame) {
			int len = sl_audio_encode(e, pcm + at, frame, bytes, sizeof bytes);
			struct sl_str payload = {(char *)bytes, (size_t)(len > 0 ? len : 0)};

			if (sl_audio_decode(d, payload, out + at) != (int)frame)
				goto out;
		}
		share = share_at(out + n / 2, n / 2, all[i].hz, 700);
	}
out:
	sl_audio_encoder_free(e);
	sl_audio_decoder_free(d);
	return share;
}

TEST(a_tone_stays_a_tone_through_every_codec)
{
	static int16_t pcm[SL_AUDIO_MAX_HZ];

	for (unsigned i = 0; i < SL_ARRAY_LEN(all); i++) {
		double share = share_after(i, pcm);

		if (share < 0.95)
			TEST_FAIL("codec %s at %u: %.3f", sl_codec_name(all[i].codec), all[i].hz,
				  share);
	}
}

TEST(a_payload_that_is_no_speech_is_refused)
{
	struct sl_audio_decoder *d;
	int16_t pcm[SL_AUDIO_MAX_SAMPLES];

	CHECK_INT(sl_audio_decoder_new(&d, SL_CODEC_VP8, 90000, 8000), -SL_EUNSUPP);
	CHECK_INT(sl_audio_decoder_new(&d, SL_CODEC_L16, 44100, 8000), -SL_EUNSUPP);
	CHECK_INT(sl_audio_decoder_new(&d, SL_CODEC_OPUS, 48000, 8000), 0);
	CHECK_INT(sl_audio_decode(d, SL_STR_NULL, pcm), -SL_EPARSE);
	CHECK_INT(sl_audio_decode(d, SL_STR("\xff\xff\xff\xff"), pcm), -SL_EPARSE);
	sl_audio_decoder_free(d);
}

/* Like a voice: harmonics of a pitch */
static void make_voice(int16_t *pcm, size_t n, size_t from, unsigned hz, unsigned pitch)
{
	for (size_t i = 0; i < n; i++) {
		double v = 0;

		for (unsigned k = 1; k < 12; k++)
			v += sin(2 * M_PI * pitch * k * (double)(from + i) / hz) / k;
		pcm[i] = (int16_t)(4000 * v);
	}
}

/* The voice falls to a lower pitch in the very frame that is lost: only the next packet knows. */
TEST(opus_brings_a_lost_frame_back_from_the_next)
{
	const struct sl_audio_encoder_opts o = {
		.codec = SL_CODEC_OPUS, .hz = 16000, .max_bps = 32000, .complexity = 5};
	int16_t pcm[320], out[SL_AUDIO_MAX_SAMPLES];
	double share[2];

	for (unsigned with = 0; with < 2; with++) {
		struct sl_audio_encoder *e;
		struct sl_audio_decoder *d;
		struct sl_str payload = {0};
		unsigned n_redundant = 0;
		char bytes[500];

		CHECK_INT(sl_audio_encoder_new(&e, &o), 0);
		CHECK_INT(sl_audio_decoder_new(&d, SL_CODEC_OPUS, 48000, 16000), 0);
		make_voice(pcm, 320, 0, 16000, 200);
		payload.len = (size_t)sl_audio_encode(e, pcm, 320, (uint8_t *)bytes, 500);
		CHECK(!audio_opus_is_redundant((struct sl_str){bytes, payload.len}));
		sl_audio_encoder_set_loss(e, 20);
		for (unsigned i = 0; i < 30; i++) {
			make_voice(pcm, 320, i * 320, 16000, i < 28 ? 200 : 150);
			payload.len = (size_t)sl_audio_encode(e, pcm, 320, (uint8_t *)bytes, 500);
			payload.p = bytes;
			n_redundant += audio_opus_is_redundant(payload);
			if (i < 28)
				CHECK_INT(sl_audio_decode(d, payload, out), 320);
		}
		CHECK(n_redundant > 15);
		CHECK_INT(sl_audio_conceal(d, with ? payload : SL_STR_NULL, out, 320), 320);
		share[with] = share_at(out + 107, 213, 16000, 150); /* two periods */
		sl_audio_encoder_free(e);
		sl_audio_decoder_free(d);
	}
	if (share[1] < 0.4 || share[0] > 0.5 * share[1])
		TEST_FAIL("share of the pitch: %.2f with the next packet, %.2f without", share[1],
			  share[0]);
}

/* The configuration number of a packet (RFC 6716 section 3.1): 16 and more are CELT. */
static bool is_celt_at(struct sl_audio_encoder *e, unsigned hz, unsigned ms)
{
	static int16_t pcm[SL_AUDIO_MAX_SAMPLES];
	uint8_t bytes[1000] = {0};

	make_voice(pcm, hz / 1000 * ms, 0, hz, 150);
	return sl_audio_encode(e, pcm, hz / 1000 * ms, bytes, sizeof bytes) > 0 &&
	       bytes[0] >> 3 >= 16;
}

TEST(opus_is_made_the_cheap_way_until_something_is_lost_and_again_after_a_while)
{
	static const unsigned rates[] = {8000, 16000, 48000}, ptimes[] = {10, 20, 40, 60};

	for (unsigned i = 0; i < SL_ARRAY_LEN(rates) * SL_ARRAY_LEN(ptimes); i++) {
		unsigned hz = rates[i % 3], ms = ptimes[i / 3];
		const struct sl_audio_encoder_opts o = {
			.codec = SL_CODEC_OPUS, .hz = hz, .complexity = 3};
		struct sl_audio_encoder *e;

		CHECK_INT(sl_audio_encoder_new(&e, &o), 0);
		CHECK(is_celt_at(e, hz, ms));
		sl_audio_encoder_set_loss(e, 2);
		(void)is_celt_at(e, hz, ms); /* one leads over */
		CHECK(!is_celt_at(e, hz, ms));
		for (unsigned calm = 1; calm < 20; calm++)
			sl_audio_encoder_set_loss(e, 0);
		CHECK(!is_celt_at(e, hz, ms));
		sl_audio_encoder_set_loss(e, 0);
		(void)is_celt_at(e, hz, ms);
		CHECK(is_celt_at(e, hz, ms));
		sl_audio_encoder_free(e);
	}
}

TEST(opus_keeps_to_a_low_rate)
{
	const struct sl_audio_encoder_opts o = {
		.codec = SL_CODEC_OPUS, .hz = 8000, .complexity = 3, .max_bps = 12000};
	static int16_t pcm[160];
	struct sl_audio_encoder *e;
	uint8_t bytes[1000];
	int sum = 0;

	CHECK_INT(sl_audio_encoder_new(&e, &o), 0);
	CHECK(!is_celt_at(e, 8000, 20));
	for (unsigned i = 0; i < 50; i++) {
		make_voice(pcm, 160, (size_t)i * 160, 8000, 150);
		sum += sl_audio_encode(e, pcm, 160, bytes, sizeof bytes);
	}
	CHECK(sum > 500 && sum < 12000 / 8 * 5 / 4);
	sl_audio_encoder_free(e);
}

TEST(what_is_made_up_for_a_lost_packet_sounds_on_and_then_fades)
{
	struct sl_concealer *c;
	int16_t pcm[SECOND], made[480];

	make_sine(pcm, SECOND, 8000, 200, 8000);
	CHECK_INT(sl_concealer_new(&c, 8000), 0);
	for (unsigned i = 0; i + 160 <= SECOND; i += 160)
		sl_concealer_good(c, pcm + i, 160);
	sl_concealer_make(c, made, 160);
	CHECK(share_at(made, 160, 8000, 200) > 0.95);
	CHECK(sl_audio_level(made, 80) > -16);
	sl_concealer_make(c, made, 480);
	CHECK_INT(sl_audio_level(made + 400, 80), SL_AUDIO_SILENT);
	sl_concealer_free(c);
}

TEST(a_voice_made_shorter_or_longer_keeps_its_pitch)
{
	int16_t pcm[600];
	size_t n;

	make_sine(pcm, 400, 8000, 200, 8000);
	n = sl_audio_shrink(pcm, 240, 400, 8000);
	CHECK_INT(400 - n, 40); /* a period of 5 ms, or the double */
	CHECK(share_at(pcm, n, 8000, 200) > 0.97);
	make_sine(pcm, 400, 8000, 200, 8000);
	n = sl_audio_grow(pcm, 240, 400, 8000);
	CHECK_INT(n - 400, 40);
	CHECK(share_at(pcm, n, 8000, 200) > 0.97);
}

TEST(noise_without_a_period_is_left_as_it_is)
{
	struct sl_noise noise = {.level = -20, .random = 77};
	int16_t pcm[520];

	sl_noise_make(&noise, pcm, 400);
	CHECK_INT(sl_audio_shrink(pcm, 240, 400, 8000), 400);
	CHECK_INT(sl_audio_grow(pcm, 240, 400, 8000), 400);
}

TEST(comfort_noise_has_the_level_that_was_said)
{
	struct sl_noise noise = {0};
	int16_t pcm[SECOND];

	sl_noise_read(&noise, SL_STR("\x28"));
	sl_noise_make(&noise, pcm, SECOND);
	CHECK(abs(sl_audio_level(pcm, SECOND) + 40) <= 1);
	sl_noise_read(&noise, SL_STR("\x28\xc0\x60\x90"));
	CHECK_INT(noise.n_coefs, 3);
	sl_noise_make(&noise, pcm, SECOND);
	CHECK(abs(sl_audio_level(pcm, SECOND) + 40) <= 3);
	sl_noise_read(&noise, SL_STR("\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"));
	sl_noise_make(&noise, pcm, SECOND); /* a filter at the edge of stability */
	sl_noise_read(&noise, SL_STR_NULL);
	sl_noise_make(&noise, pcm, SECOND);
	CHECK_INT(sl_audio_level(pcm, SECOND), SL_AUDIO_SILENT);
}

TEST(rates_change_and_tones_stay)
{
	static const unsigned rates[] = {8000, 16000, 48000};
	static int16_t in[48000], out[48000];

	for (unsigned a = 0; a < 3; a++) {
		for (unsigned b = 0; b < 3; b++) {
			struct sl_resampler *r;
			size_t n = 0;

			CHECK_INT(sl_resampler_new(&r, rates[a], rates[b]), 0);
			make_sine(in, rates[a], rates[a], 1000, 8000);
			for (unsigned i = 0; i < 50; i++)
				n += sl_resample(r, in + i * rates[a] / 50, rates[a] / 50, out + n,
						 SL_ARRAY_LEN(out) - n);
			sl_resampler_free(r);
			CHECK(n + rates[b] / 50 > rates[b] && n <= rates[b]);
			CHECK(share_at(out + n / 4, n / 2, rates[b], 1000) > 0.99);
		}
	}
}

TEST(a_tone_follows_its_pattern_and_ends)
{
	static const struct sl_tone_step steps[] = {{{440, 0}, 100}, {{0, 0}, 100}, {{0, 0}, 0}};
	struct sl_tone t;
	int16_t pcm[2400];

	sl_tone_begin(&t, steps, false, 8000, -10);
	CHECK(sl_tone_make(&t, pcm, 2400));
	CHECK(share_at(pcm, 800, 8000, 440) > 0.99);
	CHECK(abs(sl_audio_level(pcm, 800) + 10) <= 1);
	CHECK_INT(sl_audio_level(pcm + 800, 800), SL_AUDIO_SILENT);
	CHECK(sl_audio_level(pcm + 1600, 800) > -12);
	sl_tone_begin(&t, steps, true, 8000, -10);
	CHECK(!sl_tone_make(&t, pcm, 2400));
	CHECK_INT(sl_audio_level(pcm + 1600, 800), SL_AUDIO_SILENT);
}

struct heard {
	char digits[32];
	unsigned n, ms;
};

static void on_digit(void *arg, char digit, unsigned ms)
{
	struct heard *h = arg;

	h->digits[h->n++ % 31] = digit;
	h->ms = ms;
}

TEST(digits_that_are_generated_are_heard)
{
	static const char keys[] = "1234567890*#ABCD";
	struct heard h = {0};
	struct sl_dtmf_ear *ear;
	int16_t pcm[1600];

	CHECK_INT(sl_dtmf_ear_new(&ear, on_digit, &h), 0);
	for (unsigned i = 0; keys[i]; i++) {
		struct sl_tone_step steps[] = {{{0, 0}, 100}, {{0, 0}, 100}, {{0, 0}, 0}};
		struct sl_tone t;

		CHECK(sl_dtmf_tone(keys[i], steps[0].hz));
		sl_tone_begin(&t, steps, true, 8000, -12);
		(void)sl_tone_make(&t, pcm, 1600);
		for (unsigned at = 0; at < 1600; at += 160)
			sl_dtmf_hear(ear, pcm + at, 160);
	}
	CHECK(strcmp(h.digits, keys) == 0);
	CHECK(h.ms >= 60 && h.ms <= 140);
	CHECK(!sl_dtmf_tone('E', (uint16_t[2]){0}) && !sl_dtmf_tone(0, (uint16_t[2]){0}));
	sl_dtmf_ear_free(ear);
}

TEST(a_sink_makes_packets_of_its_time_from_any_pieces)
{
	const struct sl_audio_sink_opts o = {
		.encoder = {.codec = SL_CODEC_PCMA}, .hz = 16000, .ptime_ms = 30};
	struct sl_audio_sink *s;
	struct sl_audio_out out;
	int16_t pcm[160];
	uint8_t bytes[400];
	unsigned n = 0;

	CHECK_INT(sl_audio_sink_new(&s, &o), 0);
	for (unsigned i = 0; i < 100; i++) { /* 10 ms at 16 kHz */
		make_sine(pcm, 160, 16000, 500, 4000);
		sl_audio_sink_push(s, pcm, 160);
		while (sl_audio_sink_next(s, bytes, sizeof bytes, &out)) {
			CHECK_INT(out.len, 240);
			CHECK_INT(out.ts, n * 240);
			CHECK_INT(out.marker, n == 0);
			n++;
		}
	}
	CHECK(n == 33 || n == 32);
	sl_audio_sink_free(s);
}

TEST(opus_has_no_packets_of_30_ms)
{
	const struct sl_audio_sink_opts o = {
		.encoder = {.codec = SL_CODEC_OPUS}, .hz = 16000, .ptime_ms = 30};
	struct sl_audio_sink *s;

	CHECK_INT(sl_audio_sink_new(&s, &o), -SL_EINVAL);
}

TEST_MAIN()
