/*
 * voice-agent/voice.c: an agent's sound, both ways.
 *
 * An agent says a sentence faster than anybody can hear it, or a little late; the room hears it by
 * this clock: every 20 ms a packet, from PREBUFFER_MS after the first byte until nothing waits. One
 * that goes on soon after nothing waited was too slow: an underrun. What the room says goes out as
 * it comes; while nobody is heard, silence does, so that an agent's detector of pauses has
 * something to detect them in.
 */
#include "agent.h"

#include <sluice/pace.h>
#include <stdlib.h>

enum {
	TURN_MS = 20,
	PREBUFFER_MS = 40,
	SOON_MS = 500,	 /* a longer pause was meant */
	QUIET_TURNS = 5, /* without sound from the room */
	OPUS_BYTES_MS = 16,
	MAX_HZ_MS = SL_AUDIO_MAX_HZ / 1000,
};

struct voice {
	struct agents *m;
	struct agent *agent;
	struct format f;
	struct speech speech;
	struct sl_timer timer;
	struct sl_resampler *up, *down; /* to and from the mixer; NULL: equal rates */
	struct sl_pace pace;
	uint64_t turns, heard_turn;
	uint64_t first_ms, dry_ms; /* when what waits began to; when nothing more did */
	int ahead_ms;		   /* given to the room beyond this turn */
	bool flows;
	uint64_t ts; /* of the mixer's clock */
	uint16_t seq;
	struct voice_stats stats;
	unsigned opus_ms; /* waiting */
};

/* ---- to the room */

static unsigned waiting_ms(const struct voice *v)
{
	return v->f.bytes_per_ms ? (unsigned)(v->speech.held / v->f.bytes_per_ms) : v->opus_ms;
}

static void swap_bytes(uint8_t *p, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2) {
		uint8_t low = p[i];

		p[i] = p[i + 1];
		p[i + 1] = low;
	}
}

/* L16 is in network order (RFC 3551 section 4.5.11), PCM on the socket is not. n: bytes */
static size_t to_l16(struct voice *v, uint8_t *p, size_t n)
{
	int16_t in[TURN_MS * MAX_HZ_MS], out[TURN_MS * MAX_HZ_MS];

	if (v->up) {
		memcpy(in, p, n);
		n = 2 * sl_resample(v->up, in, n / 2, out, SL_ARRAY_LEN(out));
		memcpy(p, out, n);
	}
	swap_bytes(p, n);
	return n;
}

/* What is shorter than a turn is filled up with silence. */
static size_t take_pcm(struct voice *v, uint8_t *dst)
{
	const size_t n = (size_t)v->f.bytes_per_ms * TURN_MS;
	size_t got = speech_take(&v->speech, dst, n);

	if (got == 0)
		return 0;
	memset(dst + got, v->f.silence, n - got);
	return v->f.codec == SL_CODEC_L16 ? to_l16(v, dst, n) : n;
}

static size_t take(struct voice *v, uint8_t *dst, unsigned *ret_ms)
{
	size_t n;

	*ret_ms = TURN_MS;
	if (v->f.bytes_per_ms)
		return take_pcm(v, dst);
	n = speech_take_piece(&v->speech, dst, SL_PACKET_MAX);
	if (n > 0) {
		*ret_ms = format_opus_ms(dst, n);
		v->opus_ms -= *ret_ms;
	}
	return n;
}

static void tell_marks(struct voice *v)
{
	char name[SPEECH_MARK_MAX + 1];

	while (speech_reached(&v->speech, name))
		agent_tell_mark(v->agent, name);
}

static unsigned clock_of(const struct voice *v)
{
	return v->f.mixer_hz / 1000;
}

/* Returns how long it is; 0: nothing waits. */
static unsigned say_one(struct voice *v, uint64_t now_ns)
{
	struct sl_packet *p = sl_packet_new(v->m->w);
	struct sl_audio_packet out;
	unsigned ms = 0;
	size_t n;

	if (!p)
		return TURN_MS; /* the next one may find room */
	n = take(v, p->data, &ms);
	if (n > 0) {
		p->len = (uint32_t)n;
		out = (struct sl_audio_packet){.codec = v->f.codec,
					       .clock_hz = v->f.mixer_hz,
					       .ts = (uint32_t)v->ts,
					       .seq = v->seq++,
					       .payload = {(const char *)p->data, n},
					       .packet = p};
		agent_hear(v->agent, &out, now_ns);
		v->ts += (uint64_t)ms * clock_of(v);
		v->stats.spoken_ms += ms;
		sl_count_n(&v->m->m[M_spoken_ms], ms);
	}
	sl_packet_unref(p);
	tell_marks(v);
	return n > 0 ? ms : 0;
}

static void begin_to_flow(struct voice *v, uint64_t now_ms)
{
	const uint64_t ts = v->turns * TURN_MS * clock_of(v);

	v->flows = true;
	v->ahead_ms = 0;
	v->ts = ts > v->ts ? ts : v->ts; /* the pause takes its time */
	if (v->dry_ms && now_ms - v->dry_ms < SOON_MS) {
		v->stats.underruns++;
		sl_count(&v->m->m[M_underruns]);
	}
}

static void say_turn(struct voice *v, uint64_t now_ms)
{
	const uint64_t now_ns = sl_loop_ns(v->m->w->loop);

	if (!v->flows && v->speech.held > 0 &&
	    (now_ms - v->first_ms >= PREBUFFER_MS || waiting_ms(v) >= PREBUFFER_MS))
		begin_to_flow(v, now_ms);
	if (!v->flows)
		return;
	while (v->ahead_ms < TURN_MS) {
		const unsigned ms = say_one(v, now_ns);

		if (ms == 0)
			break;
		v->ahead_ms += (int)ms;
	}
	if (v->ahead_ms >= TURN_MS || v->speech.held > 0) {
		v->ahead_ms -= TURN_MS;
		return;
	}
	v->flows = false;
	v->dry_ms = now_ms;
}

/* ---- from the room */

static void send_pcm(struct voice *v, struct sl_str l16)
{
	int16_t in[TURN_MS * MAX_HZ_MS * 3], out[TURN_MS * MAX_HZ_MS * 3]; /* up to 60 ms */
	size_t n = l16.len / 2 * 2;

	if (n > sizeof in)
		return;
	memcpy(in, l16.p, n);
	swap_bytes((uint8_t *)in, n);
	if (!v->down) {
		agent_send_sound(v->agent, (struct sl_str){(const char *)in, n});
		return;
	}
	n = 2 * sl_resample(v->down, in, n / 2, out, SL_ARRAY_LEN(out));
	agent_send_sound(v->agent, (struct sl_str){(const char *)out, n});
}

void voice_play(struct voice *v, const struct sl_mixer_out *out)
{
	const struct sl_rtp *rtp = out->rtp;
	const struct sl_str payload = {(const char *)rtp->data + rtp->payload_at, rtp->payload_len};

	if (out->format.codec != v->f.codec)
		return; /* of the format before */
	v->heard_turn = v->turns;
	v->stats.heard_ms += v->f.ptime_ms;
	if (v->f.codec == SL_CODEC_L16)
		send_pcm(v, payload);
	else
		agent_send_sound(v->agent, payload);
}

static void send_silence(struct voice *v)
{
	uint8_t silence[TURN_MS * MAX_HZ_MS * 2];
	const size_t n = (size_t)v->f.bytes_per_ms * TURN_MS;

	if (n == 0 || v->turns - v->heard_turn < QUIET_TURNS)
		return;
	memset(silence, v->f.silence, n);
	agent_send_sound(v->agent, (struct sl_str){(const char *)silence, n});
}

/* ---- the clock */

static void on_turn(struct sl_timer *t)
{
	struct voice *v = t->arg;
	struct sl_loop *loop = v->m->w->loop;
	const uint64_t now = sl_loop_ns(loop);

	sl_count_n(&v->m->m[M_late_turns], sl_pace_is_late(&v->pace, now));
	(void)sl_pace_skip(&v->pace, now); /* the agent has said it; it is heard later */
	sl_pace_step(&v->pace);
	v->turns++;
	sl_timer_set(loop, &v->timer, sl_pace_wait_ms(&v->pace, now));
	say_turn(v, now / SL_NS_PER_MS);
	send_silence(v);
}

void voice_start(struct voice *v)
{
	sl_pace_begin(&v->pace, TURN_MS, sl_loop_ns(v->m->w->loop));
	sl_timer_set(v->m->w->loop, &v->timer, TURN_MS);
}

/* ---- life, and what the agent asks */

struct voice *voice_new(struct agents *m, struct agent *a, const struct format *f)
{
	const uint64_t per_ms = f->bytes_per_ms ? f->bytes_per_ms : OPUS_BYTES_MS;
	struct voice *v = calloc(1, sizeof *v);

	if (!v)
		return NULL;
	v->m = m;
	v->agent = a;
	v->f = *f;
	v->timer = (struct sl_timer){.fn = on_turn, .arg = v};
	speech_init(&v->speech, m->conf->max_speech * per_ms);
	if (f->hz != f->mixer_hz && (sl_resampler_new(&v->up, f->hz, f->mixer_hz) < 0 ||
				     sl_resampler_new(&v->down, f->mixer_hz, f->hz) < 0)) {
		voice_free(v);
		return NULL;
	}
	return v;
}

void voice_free(struct voice *v)
{
	if (!v)
		return;
	sl_timer_cancel(v->m->w->loop, &v->timer);
	sl_resampler_free(v->up);
	sl_resampler_free(v->down);
	speech_free(&v->speech);
	free(v);
}

/* Whole samples; of Opus one whole packet */
static bool is_well_formed(const struct voice *v, struct sl_str bytes, unsigned *ret_opus_ms)
{
	*ret_opus_ms = 0;
	if (v->f.codec == SL_CODEC_L16)
		return bytes.len % 2 == 0;
	if (v->f.codec != SL_CODEC_OPUS)
		return true;
	*ret_opus_ms = format_opus_ms((const uint8_t *)bytes.p, bytes.len);
	return *ret_opus_ms > 0 && bytes.len <= SL_AUDIO_MAX_BYTES;
}

int voice_say(struct voice *v, struct sl_str bytes)
{
	const bool waited = v->speech.held > 0;
	unsigned opus_ms;
	int err;

	if (!is_well_formed(v, bytes, &opus_ms))
		return -SL_EPARSE;
	err = speech_put(&v->speech, bytes);
	if (err < 0) {
		v->stats.overruns++;
		sl_count(&v->m->m[M_overruns]);
		return err;
	}
	v->opus_ms += opus_ms;
	if (!waited)
		v->first_ms = sl_loop_ms(v->m->w->loop);
	return 0;
}

int voice_mark(struct voice *v, struct sl_str name)
{
	int err = speech_mark(&v->speech, name);

	if (err == 0 && v->speech.held == 0)
		tell_marks(v);
	return err;
}

unsigned voice_clear(struct voice *v)
{
	const unsigned ms = waiting_ms(v);

	(void)speech_clear(&v->speech);
	v->opus_ms = 0;
	v->flows = false;
	v->dry_ms = 0; /* meant */
	tell_marks(v);
	return ms;
}

void voice_stats(const struct voice *v, struct voice_stats *ret_stats)
{
	*ret_stats = v->stats;
	ret_stats->waiting_ms = waiting_ms(v);
}
