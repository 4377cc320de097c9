/*
 * voice-agent/format.c: what an agent speaks and hears: asked for in the URL by `codec` and `rate`.
 *
 * PCM is little-endian on the socket, as those who make and read speech have it. 24 kHz, which some
 * of them insist on, is 48 kHz in the mixer.
 */
#include "agent.h"

enum { OPUS_HZ = 48000 };

static int read_rate(struct sl_str text, unsigned *ret_hz)
{
	static const unsigned rates[] = {8000, 16000, 24000, 48000};
	int64_t hz = 16000;

	if (text.len > 0 && sl_str_i64(text, &hz) < 0)
		return -SL_EINVAL;
	for (size_t i = 0; i < SL_ARRAY_LEN(rates); i++)
		if (rates[i] == hz) {
			*ret_hz = rates[i];
			return 0;
		}
	return -SL_EINVAL;
}

/* A packet of the mixer's holds 1 400 bytes: 48 kHz go by 10 ms. */
static int pcm_format(struct format *f, struct sl_str rate, struct sl_str *ret_why)
{
	unsigned hz;

	if (read_rate(rate, &hz) < 0) {
		*ret_why = SL_STR("rate: 8000, 16000, 24000 or 48000");
		return -SL_EINVAL;
	}
	*f = (struct format){.name = "pcm",
			     .codec = SL_CODEC_L16,
			     .hz = hz,
			     .mixer_hz = hz == 24000 ? 48000 : hz,
			     .ptime_ms = hz > 16000 ? 10 : 20,
			     .bytes_per_ms = hz / 1000 * 2};
	return 0;
}

int format_read(struct format *f, struct sl_str codec, struct sl_str rate, struct sl_str *ret_why)
{
	static const struct format others[] = {
		{"opus", SL_CODEC_OPUS, OPUS_HZ, OPUS_HZ, 20, 0, 0},
		{"pcmu", SL_CODEC_PCMU, 8000, 8000, 20, 8, 0xff},
		{"pcma", SL_CODEC_PCMA, 8000, 8000, 20, 8, 0xd5},
	};

	if (codec.len == 0 || sl_str_eq(codec, SL_STR("pcm")))
		return pcm_format(f, rate, ret_why);
	for (size_t i = 0; i < SL_ARRAY_LEN(others); i++)
		if (sl_str_eq(codec, sl_str_c(others[i].name))) {
			*f = others[i];
			return 0;
		}
	*ret_why = SL_STR("codec: pcm, opus, pcmu or pcma");
	return -SL_EINVAL;
}

/* In units of 2.5 ms, by the configuration number (table 2) */
static unsigned frame_units(uint8_t toc)
{
	static const uint8_t silk[] = {4, 8, 16, 24};
	const unsigned config = toc >> 3;

	if (config < 12)
		return silk[config & 3];
	if (config < 16)
		return 4u << (config & 1);
	return 1u << (config & 3);
}

unsigned format_opus_ms(const uint8_t *packet, size_t len)
{
	unsigned n = 2;

	if (len == 0)
		return 0;
	if ((packet[0] & 3) == 0)
		n = 1;
	else if ((packet[0] & 3) == 3)
		n = len > 1 ? packet[1] & 63 : 0;
	n *= frame_units(packet[0]);
	return n > SL_AUDIO_MAX_MS * 2 / 5 ? 0 : (n * 5 + 1) / 2;
}
