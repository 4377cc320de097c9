/*
 * tests/fuzz/fuzz_audio.c: a stream of speech as an attacker would send it: any codec, numbers and
 * payloads, played in between; and digits as events.
 *
 * Input: records of codec, steps of sequence and time, milliseconds until then, length, payload.
 */
#include <stdlib.h>
#include <sluice/audio.h>
#include <sluice/clock.h>

static const struct {
	enum sl_codec_id codec;
	uint32_t clock_hz;
} codecs[] = {
	{SL_CODEC_PCMU, 8000}, {SL_CODEC_PCMA, 8000},  {SL_CODEC_G722, 8000}, {SL_CODEC_L16, 48000},
	{SL_CODEC_L16, 8000},  {SL_CODEC_OPUS, 48000}, {SL_CODEC_CN, 8000},   {SL_CODEC_DTMF, 8000},
};

static unsigned n_taken, n_released;

static void on_release(void *arg, void *packet)
{
	(void)arg;
	free(packet);
	n_released++;
}

static void put(struct sl_audio_source *s, struct sl_reader *r, struct sl_audio_packet *p,
		uint64_t now_ns)
{
	unsigned i = sl_read_u8(r) % SL_ARRAY_LEN(codecs);
	struct sl_str bytes;
	char *copy;

	p->seq = (uint16_t)(p->seq + sl_read_u16(r));
	p->ts += sl_read_u32(r);
	bytes = sl_read_bytes(r, sl_read_u8(r));
	copy = malloc(bytes.len + 1);
	if (!copy)
		abort();
	if (bytes.len > 0)
		memcpy(copy, bytes.p, bytes.len);
	p->codec = codecs[i].codec;
	p->clock_hz = codecs[i].clock_hz;
	p->payload = (struct sl_str){copy, bytes.len};
	p->packet = copy;
	n_taken++;
	if (p->codec == SL_CODEC_DTMF)
		sl_audio_source_note(s, p->seq);
	if (sl_audio_source_put(s, p, now_ns) < 0)
		return; /* no codec of ours; released all the same */
}

static void hear_event(struct sl_event_in *in, struct sl_str bytes, uint32_t ts, uint64_t now_ns)
{
	struct sl_event_payload e;
	uint32_t duration;
	char digit;

	if (sl_event_read(&e, bytes) == 0 && sl_event_hear(in, &e, ts, now_ns, &digit, &duration) &&
	    sl_event_of_digit(digit) < 0)
		abort();
	(void)sl_event_time(in, now_ns + SL_NS_PER_S / 5, &digit, &duration);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned rates[] = {8000, 16000, 48000};
	struct sl_audio_source_opts o = {.release = on_release};
	struct sl_audio_packet p = {0};
	struct sl_event_in in = {0};
	struct sl_reader r = sl_reader(data, size);
	struct sl_audio_source *s;
	uint64_t now_ns = SL_NS_PER_S;
	int16_t pcm[960];

	o.hz = rates[sl_read_u8(&r) % 3];
	n_taken = n_released = 0;
	if (sl_audio_source_new(&s, &o) < 0)
		return 0;
	for (unsigned i = 0; i < 200 && r.p < r.end; i++) {
		unsigned ms = sl_read_u8(&r);

		put(s, &r, &p, now_ns);
		hear_event(&in, (struct sl_str){(const char *)r.p, (size_t)(r.end - r.p)}, p.ts,
			   now_ns);
		for (; ms >= 20; ms -= 20) {
			now_ns += 20 * SL_NS_PER_MS;
			(void)sl_audio_source_pull(s, now_ns, pcm, o.hz / 50);
		}
	}
	sl_audio_source_free(s);
	if (n_taken != n_released)
		abort();
	return 0;
}
