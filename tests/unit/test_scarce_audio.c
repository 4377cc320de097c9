/*
 * tests/unit/test_scarce_audio.c: speech without memory: whatever cannot be had while an object is made, its maker says so,
 * keeps nothing, and leaves the caller's pointer alone. Nothing is allocated for a packet, which is why making is all there is.
 */
#include "lib/scarce.h"

#include <sluice/audio.h>
#include <sluice/clock.h>
#include <sluice/jitter.h>

static const enum sl_codec_id codecs[] = {SL_CODEC_OPUS, SL_CODEC_PCMU, SL_CODEC_PCMA,
					  SL_CODEC_G722, SL_CODEC_L16};
static int mark; /* what no maker may leave a pointer to, or touch */

/* -SL_EBUG: the maker failed and wrote its result nevertheless */
static int outcome(int err, const void *made)
{
	if (err < 0 && made != &mark)
		return -SL_EBUG;
	return err;
}

static int make_decoders(void)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(codecs); i++) {
		struct sl_audio_decoder *d = (void *)&mark;
		int err = sl_audio_decoder_new(&d, codecs[i], 16000, 48000);

		if (err < 0)
			return outcome(err, d);
		sl_audio_decoder_free(d);
	}
	return 0;
}

static int make_sinks(void)
{
	for (size_t i = 0; i < SL_ARRAY_LEN(codecs); i++) {
		const struct sl_audio_sink_opts o = {
			.encoder = {.codec = codecs[i], .clock_hz = 16000},
			.hz = 16000,
			.ptime_ms = 20,
		};
		struct sl_audio_sink *s = (void *)&mark;
		int err = sl_audio_sink_new(&s, &o);

		if (err < 0)
			return outcome(err, s);
		sl_audio_sink_free(s);
	}
	return 0;
}

static void release(void *arg, void *packet)
{
	(*(unsigned *)arg)++;
	(void)packet;
}

/* A source makes its decoders with the first packet of each codec, and resamplers with the first rate. Who gets no decoder
 * hears what a lost packet sounds like, and the packet is released in any case. */
static int play(void)
{
	static const char silence[160];
	unsigned n_released = 0, n_put = 0;
	const struct sl_audio_source_opts o = {.hz = 48000, .release = release, .arg = &n_released};
	struct sl_audio_source *s = (void *)&mark;
	int16_t pcm[48000 / 50];
	int err = sl_audio_source_new(&s, &o);

	if (err < 0)
		return outcome(err, s);
	for (unsigned i = 0; i < 20; i++) {
		const enum sl_codec_id codec = i < 10 ? SL_CODEC_PCMA : SL_CODEC_G722;
		const struct sl_audio_packet p = {.codec = codec,
						  .clock_hz = 8000,
						  .ts = 160 * i,
						  .seq = (uint16_t)i,
						  .payload = {silence, sizeof silence},
						  .packet = &mark};
		int put = sl_audio_source_put(s, &p, (1000 + 20 * i) * SL_NS_PER_MS);

		err = put < 0 ? put : err;
		n_put++;
		(void)sl_audio_source_pull(s, (1005 + 20 * i) * SL_NS_PER_MS, pcm, SL_ARRAY_LEN(pcm));
	}
	sl_audio_source_free(s);
	return n_released == n_put ? err : -SL_EBUG;
}

static int make_small_things(void)
{
	struct sl_resampler *r = (void *)&mark;
	struct sl_concealer *c = (void *)&mark;
	struct sl_dtmf_ear *e = (void *)&mark;
	struct sl_jitter *j = (void *)&mark;
	const struct sl_jitter_opts o = {.clock_hz = 8000, .release = release, .arg = &mark};
	int err;

	if ((err = sl_resampler_new(&r, 8000, 48000)) < 0)
		return outcome(err, r);
	sl_resampler_free(r);
	if ((err = sl_concealer_new(&c, 16000)) < 0)
		return outcome(err, c);
	sl_concealer_free(c);
	if ((err = sl_dtmf_ear_new(&e, NULL, NULL)) < 0)
		return outcome(err, e);
	sl_dtmf_ear_free(e);
	if ((err = sl_jitter_new(&j, &o)) < 0)
		return outcome(err, j);
	sl_jitter_free(j);
	return 0;
}

TEST(a_decoder_is_made_whole_or_not_at_all)
{
	CHECK_SCARCE(make_decoders);
	CHECK_SCARCE_LIBRARIES(make_decoders, 1);
}

TEST(a_sink_and_its_encoder_are_made_whole_or_not_at_all)
{
	CHECK_SCARCE(make_sinks);
	CHECK_SCARCE_LIBRARIES(make_sinks, 1);
}

TEST(a_source_without_a_decoder_releases_its_packets)
{
	CHECK_SCARCE(play);
	CHECK_SCARCE_LIBRARIES(play, 1);
}

TEST(what_is_around_them_is_made_whole_or_not_at_all)
{
	CHECK_SCARCE(make_small_things);
	CHECK_SCARCE_LIBRARIES(make_small_things, 1);
}

TEST_MAIN()
