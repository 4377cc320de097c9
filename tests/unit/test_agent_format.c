/*
 * unit/test_agent_format.c: what an agent may ask for, and how long a packet of Opus is.
 */
#include "lib/test.h"
#include "modules/voice-agent/agent.h"

static int read_format(struct format *f, const char *codec, const char *rate)
{
	struct sl_str why = SL_STR_NULL;
	int rc = format_read(f, sl_str_c(codec), sl_str_c(rate), &why);

	return (rc < 0) == (why.len > 0) ? rc : 1; /* a refusal has a sentence */
}

TEST(pcm_has_four_rates_and_one_is_another_in_the_mixer)
{
	struct format f;

	CHECK_INT(read_format(&f, "", ""), 0);
	CHECK(f.codec == SL_CODEC_L16 && f.hz == 16000 && f.mixer_hz == 16000 && f.ptime_ms == 20);
	CHECK_INT(read_format(&f, "pcm", "24000"), 0);
	CHECK(f.hz == 24000 && f.mixer_hz == 48000 && f.ptime_ms == 10 && f.bytes_per_ms == 48);
	CHECK_INT(read_format(&f, "pcm", "44100"), -SL_EINVAL);
	CHECK_INT(read_format(&f, "pcm", "fast"), -SL_EINVAL);
	CHECK_INT(read_format(&f, "pcm", "-8000"), -SL_EINVAL);
}

TEST(other_codecs_have_one)
{
	struct format f;

	CHECK_INT(read_format(&f, "opus", "8000"), 0);
	CHECK(f.codec == SL_CODEC_OPUS && f.hz == 48000 && f.bytes_per_ms == 0);
	CHECK_INT(read_format(&f, "pcma", ""), 0);
	CHECK(f.codec == SL_CODEC_PCMA && f.hz == 8000 && f.bytes_per_ms == 8);
	CHECK_INT(read_format(&f, "mp3", ""), -SL_EINVAL);
	CHECK_INT(read_format(&f, "PCM", ""), -SL_EINVAL);
}

static unsigned opus_ms(unsigned config, unsigned code, unsigned count)
{
	const uint8_t packet[] = {(uint8_t)(config << 3 | code), (uint8_t)count, 0};

	return format_opus_ms(packet, sizeof packet);
}

/* RFC 6716 table 2 and section 3.2 */
TEST(a_packet_of_opus_says_how_long_it_is)
{
	const uint8_t toc = 3;

	CHECK_INT(opus_ms(0, 0, 0), 10);
	CHECK_INT(opus_ms(3, 0, 0), 60);
	CHECK_INT(opus_ms(11, 1, 0), 120);
	CHECK_INT(opus_ms(12, 0, 0), 10);
	CHECK_INT(opus_ms(13, 0, 0), 20);
	CHECK_INT(opus_ms(16, 0, 0), 3); /* 2.5 */
	CHECK_INT(opus_ms(19, 0, 0), 20);
	CHECK_INT(opus_ms(31, 2, 0), 40);
	CHECK_INT(opus_ms(31, 3, 3), 60);
	CHECK_INT(opus_ms(31, 3, 6), 120);
	CHECK_INT(opus_ms(31, 3, 7), 0); /* longer than a packet may be */
	CHECK_INT(opus_ms(31, 3, 0), 0);
	CHECK_INT(format_opus_ms(&toc, 1), 0);
	CHECK_INT(format_opus_ms(&toc, 0), 0);
}

TEST_MAIN()
