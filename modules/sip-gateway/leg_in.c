/*
 * sip-gateway/leg_in.c: what a leg's party says: speech goes on as it is, or to be decoded; digits
 * are told, and passed on.
 */
#include "conf.h"
#include "leg_impl.h"

enum {
	EAR_HZ = 8000,
	MOST_DIGITS = 30, /* in a second: twice as many as machines dial */
};

const struct leg_format *leg_format_by_pt(const struct leg_formats *f, unsigned pt)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->list[i].pt == pt)
			return &f->list[i];
	return NULL;
}

const struct leg_format *leg_format_of(const struct leg_formats *f, enum sl_codec_id codec,
				       uint32_t clock_hz)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->list[i].codec == codec && f->list[i].clock_hz == clock_hz)
			return &f->list[i];
	return NULL;
}

const struct leg_format *leg_format_first(const struct leg_formats *f)
{
	for (unsigned i = 0; i < f->n; i++)
		if (sl_audio_codec_hz(f->list[i].codec, f->list[i].clock_hz) > 0)
			return &f->list[i];
	return NULL;
}

/* ---- decoding */

static void on_release(void *arg, void *packet)
{
	(void)arg;
	sl_packet_unref(packet);
}

void leg_drop_source(struct leg *l)
{
	sl_audio_source_free(l->source);
	l->source = NULL;
}

bool leg_need_source(struct leg *l, unsigned hz)
{
	const struct sl_audio_source_opts o = {
		.hz = hz,
		.max_delay_ms = (uint32_t)l->all->conf->delay_max,
		.release = on_release,
	};

	if (l->source && l->source_hz == hz)
		return true;
	leg_drop_source(l);
	if (sl_audio_source_new(&l->source, &o) < 0)
		return false;
	l->source_hz = hz;
	return true;
}

void leg_decode(struct leg *l, const struct sl_rtp *rtp, const struct leg_format *f)
{
	const struct sl_audio_packet p = {
		.codec = f->codec,
		.clock_hz = f->clock_hz,
		.ts = rtp->ts,
		.seq = rtp->seq,
		.payload = {(const char *)sl_rtp_payload(rtp), rtp->payload_len},
		.packet = rtp->packet,
		.untimed =
			l->all->n_ticking > 0 && sl_pace_is_stalled(&l->all->pace, leg_now_ns(l))};

	sl_packet_ref(rtp->packet);
	if (sl_audio_source_put(l->source, &p, rtp->packet->time_ns) < 0)
		return; /* released all the same */
}

/* ---- digits */

static unsigned ms_of(uint32_t units, uint32_t clock_hz)
{
	return (unsigned)((uint64_t)units * 1000 / (clock_hz ? clock_hz : 8000));
}

/* Each digit is a message to signalling, which all calls share. */
static bool is_storm(struct leg *l)
{
	uint64_t now_ns = leg_now_ns(l);

	if (now_ns - l->digits_ns >= SL_NS_PER_S) {
		l->digits_ns = now_ns;
		l->n_digits = 0;
	}
	if (l->n_digits < MOST_DIGITS) {
		l->n_digits++;
		return false;
	}
	if (l->all->m) /* not there where another module has legs */
		sl_count(&l->all->m[M_DIGITS_DROPPED]);
	return true;
}

void leg_heard_digit(struct leg *l, char digit, unsigned ms)
{
	if (is_storm(l))
		return;
	if (l->peer && l->peer != l && leg_send_dtmf(l->peer, (struct sl_str){&digit, 1}, ms) < 0)
		return; /* a storm: more wait than anybody dials */
	leg_room_digit(l, digit);
	if (leg_handler_of(l)->dtmf)
		leg_handler_of(l)->dtmf(l->o.arg, l, digit, ms);
}

static uintptr_t feed_of(const struct leg *l)
{
	return (uintptr_t)l + l->stream;
}

static void hear_event(struct leg *l, const struct sl_rtp *rtp, uint64_t seq,
		       const struct leg_format *f)
{
	struct sl_event_payload e;
	uint32_t duration;
	char digit;

	if (l->peer)
		leg_relay_skip(l->peer, feed_of(l), seq);
	if (l->source)
		sl_audio_source_note(l->source, rtp->seq);
	if (sl_event_read(&e,
			  (struct sl_str){(const char *)sl_rtp_payload(rtp), rtp->payload_len}) < 0)
		return;
	l->event_clock_hz = f->clock_hz;
	if (sl_event_hear(&l->event, &e, rtp->ts, leg_now_ns(l), &digit, &duration))
		leg_heard_digit(l, digit, ms_of(duration, f->clock_hz));
}

void leg_hear_time(struct leg *l)
{
	uint32_t duration;
	char digit;

	if (sl_event_time(&l->event, leg_now_ns(l), &digit, &duration))
		leg_heard_digit(l, digit, ms_of(duration, l->event_clock_hz));
}

static bool takes_events(const struct leg *l)
{
	for (unsigned i = 0; i < l->out_formats.n; i++)
		if (l->out_formats.list[i].codec == SL_CODEC_DTMF)
			return true;
	return false;
}

/* Tones count where the party was offered events and did not take them. */
bool leg_wants_ear(const struct leg *l)
{
	return l->o.detect_in_band && l->agreed_ns && !takes_events(l);
}

static void on_tone(void *arg, char digit, unsigned ms)
{
	leg_heard_digit(arg, digit, ms);
}

static bool rate_for_ear(struct leg *l, unsigned hz)
{
	if (l->ear_rate && l->ear_rate_hz == hz)
		return true;
	sl_resampler_free(l->ear_rate);
	l->ear_rate = NULL;
	l->ear_rate_hz = hz;
	return sl_resampler_new(&l->ear_rate, hz, EAR_HZ) == 0;
}

/* Keys are all below 1700 Hz: of wide speech the rest is left out. */
void leg_listen(struct leg *l, const int16_t *pcm, size_t n, unsigned hz)
{
	int16_t narrow[SL_AUDIO_MAX_SAMPLES];

	if (!leg_wants_ear(l))
		return;
	if (!l->ear && sl_dtmf_ear_new(&l->ear, on_tone, l) < 0)
		return;
	if (hz != EAR_HZ) {
		if (!rate_for_ear(l, hz))
			return;
		n = sl_resample(l->ear_rate, pcm, n, narrow, SL_ARRAY_LEN(narrow));
		pcm = narrow;
	}
	sl_dtmf_hear(l->ear, pcm, n);
}

/* ---- speech */

/*
 * G.722 is a difference to what was decoded before. Keys that are put as tones into what somebody
 * else has encoded come out as noise, and so does what follows them: who may have to hear such gets
 * all of its sound from one encoder, from the beginning.
 */
static bool needs_one_encoder(const struct leg *to, const struct leg_format *f)
{
	return f->codec == SL_CODEC_G722 && !takes_events(to);
}

static bool can_relay(const struct leg *l, const struct leg *to, const struct leg_format *f)
{
	if (leg_wants_ear(l) || to->playing || to->sound || needs_one_encoder(to, f))
		return false;
	if (f->codec == SL_CODEC_CN)
		return !to->transcodes && leg_format_of(&to->out_formats, f->codec, f->clock_hz) &&
		       to->out.clock_hz == f->clock_hz;
	return leg_format_of(&to->out_formats, f->codec, f->clock_hz) != NULL;
}

static unsigned lesser(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* The rate at which it is decoded: what both ends carry. */
static unsigned rate_between(const struct leg *to, const struct leg_format *f)
{
	const struct leg_format *out = leg_format_first(&to->out_formats);
	unsigned in_hz = sl_audio_codec_hz(f->codec, f->clock_hz);
	unsigned out_hz = out ? sl_audio_codec_hz(out->codec, out->clock_hz) : 0;

	if (in_hz == 0 || out_hz == 0)
		return 8000;
	return lesser(in_hz, out_hz);
}

static void transcode(struct leg *l, struct leg *to, const struct sl_rtp *rtp,
		      const struct leg_format *f)
{
	unsigned hz = f->codec == SL_CODEC_CN && l->source ? l->source_hz : rate_between(to, f);

	if (!leg_need_source(l, hz))
		return;
	leg_decode(l, rtp, f);
	to->transcodes = true;
	leg_tick_on(to);
}

static void relay(struct leg *l, struct leg *to, const struct sl_rtp *rtp, uint64_t seq,
		  const struct leg_format *f)
{
	const struct leg_format *out = leg_format_of(&to->out_formats, f->codec, f->clock_hz);

	if (to->transcodes) {
		to->transcodes = false;
		leg_drop_source(l);
	}
	if (to->digits.step == DIGIT_NONE)
		leg_relay(to, feed_of(l), out, rtp, seq);
}

static void mark_heard(struct leg *l)
{
	l->heard_ns = leg_now_ns(l);
	if (l->o.profile != LEG_WEBRTC && l->state != LEG_CONNECTED)
		leg_tell_state(l, LEG_CONNECTED, "");
}

void leg_hear(struct leg *l, const struct sl_rtp *rtp, uint64_t seq, const struct leg_format *f)
{
	struct leg *to = l->peer;

	mark_heard(l);
	if (l->closed || !(l->direction & SL_SDP_RECVONLY) ||
	    leg_track_media(l, rtp, seq, f) == SL_DROP)
		return;
	if (l->copies)
		leg_copy_hear(l, feed_of(l), rtp, seq, f);
	if (f->codec == SL_CODEC_DTMF) {
		hear_event(l, rtp, seq, f);
		return;
	}
	if (f->codec != SL_CODEC_CN)
		l->codec_in = f->codec;
	leg_sync_sound(l, rtp, f);
	leg_room_hear(l, rtp, f);
	if (!to || to->closed)
		return;
	if (can_relay(l, to, f))
		relay(l, to, rtp, seq, f);
	else
		transcode(l, to, rtp, f);
}

void leg_hear_restart(struct leg *l)
{
	l->stream++;
	strand_restart(&l->strand);
	l->event = (struct sl_event_in){0};
	if (l->source)
		sl_audio_source_restart(l->source);
	leg_copy_restart(l);
	leg_room_restart(l);
}
