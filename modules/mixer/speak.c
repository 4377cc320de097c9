/*
 * mixer/speak.c: what a phone says, as a track of its room: Opus goes on as it came, everything
 * else is decoded and encoded while there is speech. In between nothing is sent, and times go on.
 */
#include "mixer.h"

enum { CLOCK_HZ = 48000 };

int speak_open(struct phone *p)
{
	const struct sl_room_source_opts o = {.kind = SL_MEDIA_AUDIO,
					      .codec = SL_CODEC_OPUS,
					      .clock_hz = CLOCK_HZ,
					      .params = SL_STR("minptime=10;useinbandfec=1"),
					      .name = SL_STR("phone")};

	p->voice_pauses = true;
	return p->mixer->rooms->publish(p->member, &o, &p->track);
}

void speak_close(struct phone *p)
{
	p->track = NULL; /* goes with the member */
	stream_free(&p->voice);
}

static void put_header(uint8_t *dst, uint16_t seq, uint32_t ts, bool marker)
{
	memset(dst, 0, SL_RTP_HEADER);
	dst[0] = 0x80;
	dst[1] = marker ? 0x80 : 0;
	sl_put16(dst + 2, seq);
	sl_put32(dst + 4, ts);
}

static unsigned level_of(const struct phone *p)
{
	int level = -p->source.level;

	return level >= 0 && level < SL_ROOM_SILENT ? (unsigned)level : SL_ROOM_SILENT;
}

static void send(struct phone *p, struct sl_packet *packet, size_t payload_len)
{
	packet->len = (uint32_t)(SL_RTP_HEADER + payload_len);
	if (p->mixer->rooms->send(p->track, packet, level_of(p)) < 0)
		sl_log(SL_LOG_DEBUG, "mixer", "a packet of %s was not taken", p->name);
}

void speak_relay(struct phone *p, const struct sl_audio_packet *in)
{
	struct sl_packet *packet;

	if (!p->track || in->payload.len == 0 || in->payload.len > SL_AUDIO_MAX_BYTES)
		return;
	packet = sl_packet_new(p->mixer->w);
	if (!packet)
		return;
	put_header(packet->data, in->seq, in->ts, false);
	memcpy(packet->data + SL_RTP_HEADER, in->payload.p, in->payload.len);
	send(p, packet, in->payload.len);
	sl_packet_unref(packet);
}

static bool need_voice(struct phone *p, unsigned hz)
{
	const struct sl_audio_sink_opts o = {
		.encoder = {.codec = SL_CODEC_OPUS, .complexity = p->mixer->complexity},
		.hz = hz,
		.ptime_ms = MIX_MS,
	};

	if (p->voice.sink && p->voice.hz == hz)
		return true;
	stream_free(&p->voice);
	if (sl_audio_sink_new(&p->voice.sink, &o) < 0)
		return false;
	p->voice.hz = hz;
	return true;
}

/* A pause is as long in the track as it was. */
static void pass_time(struct phone *p, uint64_t now_ns)
{
	uint64_t since_us = p->voice_ns ? (now_ns - p->voice_ns) / 1000 : 0;

	p->voice_ts += (uint32_t)(since_us * (CLOCK_HZ / 1000) / 1000);
	p->voice_ns = now_ns;
}

void speak_frame(struct phone *p, const int16_t *pcm, unsigned hz, uint64_t now_ns)
{
	struct sl_audio_out out;
	struct sl_packet *packet;

	pass_time(p, now_ns);
	if (!p->track || !need_voice(p, hz))
		return;
	sl_audio_sink_push(p->voice.sink, pcm, hz / 1000 * MIX_MS);
	packet = sl_packet_new(p->mixer->w);
	if (!packet)
		return;
	if (sl_audio_sink_next(p->voice.sink, packet->data + SL_RTP_HEADER, SL_AUDIO_MAX_BYTES,
			       &out) &&
	    out.len > 0) {
		put_header(packet->data, ++p->voice_seq, p->voice_ts, p->voice_pauses);
		p->voice_pauses = false;
		mixer_count(p->mixer, M_encoded_voice);
		send(p, packet, out.len);
	}
	sl_packet_unref(packet);
}
