/*
 * sip-gateway/leg_make.c: what is encoded here, 20 ms at a time: the other side's speech, tones,
 * files, digits.
 */
#include "leg_impl.h"

#include "sound.h"

enum {
	MAX_FRAME = SL_AUDIO_MAX_HZ / 1000 * FRAME_MS,
	TONE_DBOV = -18,
	MUSIC_DBOV = -26,
	DIGIT_DBOV = -12,  /* of each tone; Q.24 wants -5 to -27 dBm0 */
	EVENT_VOLUME = 10, /* -dBm0 */
	DIGIT_MIN_MS = 60,
	DIGIT_MAX_MS = 8000,
	DIGIT_GAP_MS = 60,
	END_REPEATS = 3, /* RFC 4733 section 2.5.1.4 */
	MADE_FEED = 1,	 /* of whoever is encoded here; legs' addresses are others */
};

#define NOTE(a, b)                                                                                 \
	{{(a), (b)}, 380},                                                                         \
	{                                                                                          \
		{0, 0}, 20                                                                         \
	}
static const struct sl_tone_step silence[] = {{{0, 0}, 1000}, {{0, 0}, 0}};
static const struct sl_tone_step ringback[] = {{{425, 0}, 1000}, {{0, 0}, 4000}, {{0, 0}, 0}};
static const struct sl_tone_step busy[] = {{{425, 0}, 500}, {{0, 0}, 500}, {{0, 0}, 0}};
static const struct sl_tone_step dial[] = {{{425, 0}, 1000}, {{0, 0}, 0}};
static const struct sl_tone_step beep[] = {{{1000, 0}, 300}, {{0, 0}, 0}};
static const struct sl_tone_step sine[] = {{{1000, 0}, 1000}, {{0, 0}, 0}};
/* Broken chords of C, a, F, G */
static const struct sl_tone_step music[] = {
	NOTE(262, 330), NOTE(330, 392), NOTE(392, 523), NOTE(330, 392), NOTE(220, 262),
	NOTE(262, 330), NOTE(330, 440), NOTE(262, 330), NOTE(175, 220), NOTE(220, 262),
	NOTE(262, 349), NOTE(220, 262), NOTE(196, 247), NOTE(247, 294), NOTE(294, 392),
	NOTE(247, 294), {{0, 0}, 0}};

static const struct {
	const struct sl_tone_step *steps;
	bool once;
	int dbov;
} tones[LEG_N_TONES] = {
	[LEG_TONE_SILENCE] = {silence, false, TONE_DBOV},
	[LEG_TONE_RINGBACK] = {ringback, false, TONE_DBOV},
	[LEG_TONE_BUSY] = {busy, false, TONE_DBOV},
	[LEG_TONE_DIAL] = {dial, false, TONE_DBOV},
	[LEG_TONE_BEEP] = {beep, true, TONE_DBOV},
	[LEG_TONE_MUSIC] = {music, false, MUSIC_DBOV},
	[LEG_TONE_SINE] = {sine, false, TONE_DBOV},
};

/* ---- the encoder */

void leg_drop_sink(struct leg *l)
{
	sl_audio_sink_free(l->sink);
	l->sink = NULL;
}

unsigned leg_ptime(const struct leg *l, enum sl_codec_id codec)
{
	unsigned ms = l->ptime_ms ? l->ptime_ms : FRAME_MS;

	return codec == SL_CODEC_OPUS && (ms == 30 || ms == 50) ? ms - 10 : ms;
}

static bool need_sink(struct leg *l, unsigned hz)
{
	const struct leg_format *f = leg_format_first(&l->out_formats);
	struct sl_audio_sink_opts o = {.hz = hz};

	if (!f)
		return false;
	o.ptime_ms = leg_ptime(l, f->codec);
	if (l->sink && l->sink_hz == hz && l->sink_ptime_ms == o.ptime_ms &&
	    l->sink_format.codec == f->codec && l->sink_format.clock_hz == f->clock_hz &&
	    l->sink_format.max_bps == f->max_bps) {
		l->sink_format.pt = f->pt;
		return true;
	}
	leg_drop_sink(l);
	o.encoder = (struct sl_audio_encoder_opts){.codec = f->codec,
						   .clock_hz = f->clock_hz,
						   .max_bps = f->max_bps,
						   .complexity = l->all->complexity};
	if (sl_audio_sink_new(&l->sink, &o) < 0)
		return false;
	l->out.feed = 0; /* its times begin at 0 */
	l->sink_hz = hz;
	l->sink_ptime_ms = o.ptime_ms;
	l->sink_format = *f;
	return true;
}

unsigned leg_max_bps(struct sl_str params)
{
	struct sl_str value;
	uint64_t bps;

	return sl_sdp_param(params, "maxaveragebitrate", &value) && sl_str_u64(value, &bps) == 0 &&
			       bps >= 6000 && bps <= 510000
		       ? (unsigned)bps
		       : 0;
}

/* What receivers lose is told by their reports. */
unsigned leg_loss_percent(const struct leg *l)
{
	struct sl_rtc_stream_stats rtc;
	struct sl_line_stats line;

	if (l->line) {
		sl_line_get_stats(l->line, &line);
		return line.fraction_lost_out * 100u / 256;
	}
	if (!l->media)
		return 0;
	sl_rtc_out_stats(l->media, &rtc);
	return rtc.fraction_lost * 100u / 256;
}

/* Redundancy is three times the work. A worker without CPU for it would itself lose what it is made
 * against. */
void leg_adapt(struct leg *l)
{
	struct sl_audio_encoder *e = l->sink ? sl_audio_sink_encoder(l->sink) : NULL;
	bool overloaded = l->all->adaptive && l->all->complexity == 0;

	if (!e)
		return;
	sl_audio_encoder_set_loss(e, overloaded ? 0 : leg_loss_percent(l));
	sl_audio_encoder_set_complexity(e, l->all->complexity);
}

static void send_ready(struct leg *l)
{
	struct sl_audio_out out;
	struct sl_packet *p;

	for (;;) {
		p = sl_packet_new(l->all->w);
		if (!p)
			return;
		if (!sl_audio_sink_next(l->sink, p->data + SL_RTP_HEADER, SL_AUDIO_MAX_BYTES, &out))
			break;
		if (out.len > 0)
			leg_send_made(l, MADE_FEED, p,
				      &(struct leg_made){.format = &l->sink_format,
							 .ts = out.ts,
							 .len = (uint32_t)out.len,
							 .marker = out.marker});
		sl_packet_unref(p);
	}
	sl_packet_unref(p);
}

static void push(struct leg *l, const int16_t *pcm, size_t n)
{
	if (!l->sink)
		return;
	sl_audio_sink_push(l->sink, pcm, n);
	send_ready(l);
}

/* Where nothing is said for long, NATs and PBXs forget (RFC 6263). */
void leg_keep_alive(struct leg *l)
{
	const int16_t quiet[8 * FRAME_MS] = {0};

	if (leg_may_send(l) && need_sink(l, 8000))
		push(l, quiet, SL_ARRAY_LEN(quiet));
}

/* ---- what is played */

void leg_stop_playing(struct leg *l)
{
	l->playing = false;
	l->sound = NULL;
}

static int play_file(struct leg *l, const struct sound *s, bool repeats)
{
	leg_unbridge(l);
	l->sound = s;
	l->sound_at = 0;
	l->repeats = repeats;
	leg_tick_on(l);
	return 0;
}

int leg_play(struct leg *l, enum leg_tone tone)
{
	if ((unsigned)tone >= LEG_N_TONES || l->closed)
		return -SL_EINVAL;
	if (tone == LEG_TONE_MUSIC && l->all->music)
		return play_file(l, l->all->music, true);
	leg_unbridge(l);
	sl_tone_begin(&l->tone, tones[tone].steps, tones[tone].once, 16000, tones[tone].dbov);
	l->playing = true;
	leg_tick_on(l);
	return 0;
}

int leg_play_sound(struct leg *l, const struct sound *s)
{
	return l->closed ? -SL_EINVAL : play_file(l, s, false);
}

static void told_played(struct leg *l)
{
	if (leg_handler_of(l)->played)
		leg_handler_of(l)->played(l->o.arg, l);
}

static void next_of_sound(struct leg *l, int16_t *pcm, size_t n)
{
	size_t left = l->sound->n - l->sound_at, take = left < n ? left : n;

	memcpy(pcm, l->sound->pcm + l->sound_at, take * sizeof *pcm);
	memset(pcm + take, 0, (n - take) * sizeof *pcm);
	l->sound_at += take;
	if (l->sound_at < l->sound->n)
		return;
	l->sound_at = 0;
	if (l->repeats)
		return;
	leg_stop_playing(l);
	told_played(l);
}

static void next_of_tone(struct leg *l, int16_t *pcm, size_t n)
{
	if (sl_tone_make(&l->tone, pcm, n))
		return;
	l->playing = false;
	told_played(l);
}

/* ---- digits */

int leg_send_dtmf(struct leg *l, struct sl_str digits, unsigned ms)
{
	struct leg_digits *d = &l->digits;

	ms = ms < DIGIT_MIN_MS ? DIGIT_MIN_MS : ms > DIGIT_MAX_MS ? DIGIT_MAX_MS : ms;
	for (size_t i = 0; i < digits.len; i++)
		if (sl_event_of_digit(digits.p[i]) < 0)
			return -SL_EINVAL;
	if (digits.len > LEG_DIGITS - d->n)
		return -SL_EFULL;
	for (size_t i = 0; i < digits.len; i++) {
		d->waiting[d->n] = digits.p[i];
		d->ms[d->n++] = (uint16_t)ms;
	}
	if (d->n > 0)
		leg_tick_on(l);
	return 0;
}

/* The clock of what is talked in, as RFC 4733 section 2.1 has it; else any. */
static const struct leg_format *event_format(const struct leg *l)
{
	const struct leg_format *speech = leg_format_first(&l->out_formats), *any = NULL;
	uint32_t clock_hz = l->out.clock_hz ? l->out.clock_hz : speech ? speech->clock_hz : 0;

	for (unsigned i = 0; i < l->out_formats.n; i++) {
		if (l->out_formats.list[i].codec != SL_CODEC_DTMF)
			continue;
		if (l->out_formats.list[i].clock_hz == clock_hz)
			return &l->out_formats.list[i];
		if (!any)
			any = &l->out_formats.list[i];
	}
	return any;
}

static void begin_digit(struct leg *l)
{
	struct leg_digits *d = &l->digits;
	const struct leg_format *f = event_format(l);

	d->step = DIGIT_HELD;
	d->elapsed_ms = d->ends = 0;
	d->as_tone = !f;
	if (f) {
		d->format = *f;
		d->ts = leg_out_ts(l, f->clock_hz);
		return;
	}
	d->steps[0] = (struct sl_tone_step){.ms = d->ms[0]};
	d->steps[1] = (struct sl_tone_step){.ms = 0};
	(void)sl_dtmf_tone(d->waiting[0], d->steps[0].hz); /* checked when it was queued */
	/* Another rate would be another encoder, whose first frames of G.722 nobody understands. */
	d->tone_hz = l->sink ? l->sink_hz : 8000;
	sl_tone_begin(&d->tone, d->steps, true, d->tone_hz, DIGIT_DBOV);
}

static void say_event(struct leg *l, bool end)
{
	struct leg_digits *d = &l->digits;
	uint64_t units = (uint64_t)d->elapsed_ms * d->format.clock_hz / 1000;
	const struct sl_event_payload e = {
		.event = (uint8_t)sl_event_of_digit(d->waiting[0]),
		.end = end,
		.volume = EVENT_VOLUME,
		.duration = (uint16_t)(units < UINT16_MAX ? units : UINT16_MAX)};
	uint8_t payload[4];

	sl_event_write(payload, &e);
	leg_send_event(l, &d->format, d->ts, d->elapsed_ms <= FRAME_MS, payload);
}

static void end_digit(struct leg *l)
{
	struct leg_digits *d = &l->digits;

	d->step = DIGIT_NONE;
	d->n--;
	memmove(d->waiting, d->waiting + 1, d->n);
	memmove(d->ms, d->ms + 1, d->n * sizeof *d->ms);
	if (d->n == 0)
		told_played(l);
}

static void hold_digit(struct leg *l)
{
	struct leg_digits *d = &l->digits;
	bool over;

	d->elapsed_ms += FRAME_MS;
	over = d->elapsed_ms >= d->ms[0];
	if (!d->as_tone)
		say_event(l, over);
	if (!over)
		return;
	d->step = d->as_tone ? DIGIT_GAP : DIGIT_ENDING;
	d->ends = 1;
}

bool leg_digits_step(struct leg *l, int16_t *pcm, unsigned *ret_hz)
{
	struct leg_digits *d = &l->digits;

	*ret_hz = 0;
	if (d->n == 0)
		return false;
	if (d->step == DIGIT_NONE)
		begin_digit(l);
	if (d->as_tone) {
		*ret_hz = d->tone_hz;
		(void)sl_tone_make(&d->tone, pcm, *ret_hz / 1000 * FRAME_MS); /* or silence */
	}
	if (d->step == DIGIT_HELD) {
		hold_digit(l);
	} else if (d->step == DIGIT_ENDING) {
		say_event(l, true);
		if (++d->ends == END_REPEATS)
			d->step = DIGIT_GAP;
	} else {
		d->ends++;
		if (d->ends * FRAME_MS >= DIGIT_GAP_MS)
			end_digit(l);
	}
	return true;
}

/* ---- a frame */

/* A copy decodes by itself. */
static struct leg *talker_of(const struct leg *l)
{
	return l->copy_of ? (struct leg *)l : l->peer;
}

bool leg_is_made(const struct leg *l)
{
	const struct leg *talker = talker_of(l);

	if (l->closed)
		return false;
	return l->playing || l->sound || l->digits.n > 0 || l->transcodes ||
	       (talker && talker->source);
}

/* What the other side says, whether it goes out or not: its ear hears it. */
static size_t pull(struct leg *l, uint64_t now_ns, int16_t *pcm)
{
	struct leg *talker = talker_of(l);
	size_t n;

	if (!talker || !talker->source)
		return 0;
	n = talker->source_hz / 1000 * FRAME_MS;
	(void)sl_audio_source_pull(talker->source, now_ns, pcm, n); /* silence is sent as well */
	leg_listen(talker, pcm, n, talker->source_hz);
	return n;
}

static void make_digit(struct leg *l, int16_t *pcm, unsigned hz)
{
	if (hz > 0 && need_sink(l, hz))
		push(l, pcm, hz / 1000 * FRAME_MS);
}

void leg_make(struct leg *l, uint64_t now_ns)
{
	int16_t pcm[MAX_FRAME], digit[MAX_FRAME];
	unsigned hz = 0, digit_hz;
	size_t n = pull(l, now_ns, pcm);

	if (leg_digits_step(l, digit, &digit_hz)) {
		make_digit(l, digit, digit_hz);
		return;
	}
	if (l->sound || l->playing) {
		hz = l->sound ? l->sound->hz : 16000;
		n = hz / 1000 * FRAME_MS;
		if (l->sound)
			next_of_sound(l, pcm, n);
		else
			next_of_tone(l, pcm, n);
	} else if (n > 0 && l->transcodes) {
		hz = talker_of(l)->source_hz;
	}
	if (hz > 0 && leg_may_send(l) && need_sink(l, hz))
		push(l, pcm, n);
}
