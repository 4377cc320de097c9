/*
 * proto/audio_source.c: what a listener hears of a stream of packets, a piece at a time, by the
 * listener's clock.
 *
 * Between decoder and listener stands less than one packet. Of what was played 30 ms are kept,
 * since the voice's period, which is taken out or put in when the delay is to change, is longer
 * than what a packet of 20 ms shows.
 */
#include "proto/audio_impl.h"

#include <sluice/clock.h>
#include <sluice/jitter.h>

#include <stdlib.h>

enum {
	PAST_MS = 30,
	PULL_MS = 60,
	GROW_MS = 15,
	BRIDGE_MS = 10,
	PIECES_MAX = 64,
	N_DECODERS = 3, /* of as many codecs as a talker changes between */
};

struct decoder {
	struct sl_audio_decoder *d;
	enum sl_codec_id codec;
	uint32_t clock_hz;
};

struct sl_audio_source {
	struct sl_audio_source_opts o;
	struct sl_jitter *jitter;
	uint32_t clock_hz; /* of the stream */
	struct decoder decoders[N_DECODERS];
	struct decoder *now; /* played last; NULL: none yet */
	unsigned next_decoder;
	struct sl_resampler *resampler;
	unsigned resampler_hz; /* it converts from */
	struct sl_noise noise;
	bool noisy;	  /* the talker is silent and has said what it sounds like there */
	int16_t *buf;	  /* past, then what waits to be played */
	size_t n_past, n; /* n: both */
	size_t bridged;	  /* samples of the silence that is not explained yet */
	int16_t scratch[SL_AUDIO_MAX_SAMPLES];
	struct sl_audio_source_stats stats;
};

static size_t buf_samples(unsigned hz)
{
	return hz / 1000 * (PAST_MS + PULL_MS + SL_AUDIO_MAX_MS + GROW_MS);
}

int sl_audio_source_new(struct sl_audio_source **ret_source, const struct sl_audio_source_opts *o)
{
	struct sl_audio_source *s;

	if (o->hz != 8000 && o->hz != 16000 && o->hz != 48000)
		return -SL_EINVAL;
	s = calloc(1, sizeof *s);
	if (!s)
		return -SL_ENOMEM;
	s->o = *o;
	s->buf = calloc(buf_samples(o->hz), sizeof *s->buf);
	if (!s->buf) {
		free(s);
		return -SL_ENOMEM;
	}
	*ret_source = s;
	return 0;
}

void sl_audio_source_free(struct sl_audio_source *s)
{
	if (!s)
		return;
	sl_jitter_free(s->jitter);
	for (unsigned i = 0; i < N_DECODERS; i++)
		sl_audio_decoder_free(s->decoders[i].d);
	sl_resampler_free(s->resampler);
	free(s->buf);
	free(s);
}

/* ---- in */

static int use_clock(struct sl_audio_source *s, uint32_t clock_hz)
{
	const struct sl_jitter_opts o = {.clock_hz = clock_hz,
					 .max_ms = s->o.max_delay_ms,
					 .release = s->o.release,
					 .arg = s->o.arg};
	int err = 0;

	if (!s->jitter)
		err = sl_jitter_new(&s->jitter, &o);
	else if (clock_hz != s->clock_hz)
		sl_jitter_restart(s->jitter, clock_hz);
	if (err == 0)
		s->clock_hz = clock_hz;
	return err;
}

static struct decoder *decoder_of(struct sl_audio_source *s, enum sl_codec_id codec)
{
	struct decoder *d;

	for (unsigned i = 0; i < N_DECODERS; i++)
		if (s->decoders[i].d && s->decoders[i].codec == codec &&
		    s->decoders[i].clock_hz == s->clock_hz)
			return &s->decoders[i];
	d = &s->decoders[s->next_decoder];
	s->next_decoder = (s->next_decoder + 1) % N_DECODERS;
	if (s->now == d)
		s->now = NULL;
	sl_audio_decoder_free(d->d);
	d->d = NULL;
	if (sl_audio_decoder_new(&d->d, codec, s->clock_hz, s->o.hz) < 0)
		return NULL;
	d->codec = codec;
	d->clock_hz = s->clock_hz;
	return d;
}

int sl_audio_source_put(struct sl_audio_source *s, const struct sl_audio_packet *p, uint64_t now_ns)
{
	const struct sl_jitter_packet packet = {.packet = p->packet,
						.payload = p->payload,
						.ts = p->ts,
						.seq = p->seq,
						.codec = (uint8_t)p->codec,
						.redundant = p->codec == SL_CODEC_OPUS &&
							     audio_opus_is_redundant(p->payload),
						.untimed = p->untimed};
	int err = 0;

	if (p->codec != SL_CODEC_CN && sl_audio_codec_hz(p->codec, p->clock_hz) == 0)
		err = -SL_EUNSUPP;
	else if (p->codec != SL_CODEC_CN || !s->jitter) /* CN has the clock of its surroundings */
		err = use_clock(s, p->clock_hz);
	if (err == 0)
		(void)sl_jitter_put(s->jitter, &packet, now_ns); /* it counts for itself */
	else if (p->packet)
		s->o.release(s->o.arg, p->packet);
	return err;
}

void sl_audio_source_note(struct sl_audio_source *s, uint16_t seq)
{
	if (s->jitter)
		sl_jitter_note(s->jitter, seq);
}

void sl_audio_source_restart(struct sl_audio_source *s)
{
	if (s->jitter)
		sl_jitter_restart(s->jitter, s->clock_hz);
}

/* ---- out */

static size_t samples_of(const struct sl_audio_source *s, unsigned hz, uint64_t units)
{
	uint64_t n = units * hz / s->clock_hz;
	uint64_t max = (uint64_t)hz / 1000 * SL_AUDIO_MAX_MS;

	return (size_t)(n < max ? n : max);
}

static unsigned ms_of(const struct sl_audio_source *s, size_t n)
{
	return (unsigned)(n * 1000 / s->o.hz);
}

/* The converter from the decoder's rate; a talker seldom changes. */
static struct sl_resampler *resampler_from(struct sl_audio_source *s, unsigned hz)
{
	if (s->resampler && s->resampler_hz == hz)
		return s->resampler;
	sl_resampler_free(s->resampler);
	s->resampler = NULL;
	if (sl_resampler_new(&s->resampler, hz, s->o.hz) < 0)
		return NULL;
	s->resampler_hz = hz;
	return s->resampler;
}

/* Appends what a decoder made in scratch; returns how many at our rate. */
static size_t append(struct sl_audio_source *s, unsigned hz, size_t n)
{
	size_t room = buf_samples(s->o.hz) - s->o.hz / 1000 * GROW_MS - s->n;
	struct sl_resampler *r;

	if (hz == s->o.hz) {
		n = n < room ? n : room;
		memcpy(s->buf + s->n, s->scratch, n * sizeof *s->buf);
	} else {
		r = resampler_from(s, hz);
		n = r ? sl_resample(r, s->scratch, n, s->buf + s->n, room) : 0;
	}
	s->n += n;
	return n;
}

static void append_quiet(struct sl_audio_source *s, size_t n)
{
	size_t room = buf_samples(s->o.hz) - s->o.hz / 1000 * GROW_MS - s->n;

	n = n < room ? n : room;
	if (s->noisy)
		sl_noise_make(&s->noise, s->buf + s->n, n);
	else
		memset(s->buf + s->n, 0, n * sizeof *s->buf);
	s->n += n;
}

static size_t conceal(struct sl_audio_source *s, struct sl_str next, size_t n_ours)
{
	unsigned hz;

	if (!s->now || s->noisy || n_ours == 0) {
		append_quiet(s, n_ours);
		return n_ours;
	}
	hz = sl_audio_decoder_hz(s->now->d);
	return append(s, hz,
		      (size_t)sl_audio_conceal(s->now->d, next, s->scratch, n_ours * hz / s->o.hz));
}

static void stretch(struct sl_audio_source *s, size_t added, int adjust)
{
	size_t before = s->n - added, n = s->n;

	if (adjust < 0)
		s->n = sl_audio_shrink(s->buf, before, n, s->o.hz);
	else if (adjust > 0)
		s->n = sl_audio_grow(s->buf, before, n, s->o.hz);
	if (s->n < n)
		s->stats.shortened_ms += ms_of(s, n - s->n);
	else
		s->stats.lengthened_ms += ms_of(s, s->n - n);
}

static void explain_bridge(struct sl_audio_source *s)
{
	s->stats.concealed_ms += ms_of(s, s->bridged);
	s->bridged = 0;
}

static bool play(struct sl_audio_source *s, const struct sl_jitter_out *out)
{
	enum sl_codec_id codec = out->packet.codec;
	struct decoder *d;
	int n;

	if (codec == SL_CODEC_CN) {
		sl_noise_read(&s->noise, out->packet.payload);
		s->noisy = true;
		s->bridged = 0;
		append_quiet(s, s->o.hz / 100);
		return false;
	}
	explain_bridge(s);
	s->noisy = false;
	d = decoder_of(s, codec);
	n = d ? sl_audio_decode(d->d, out->packet.payload, s->scratch) : -SL_EPARSE;
	if (n < 0) {
		s->stats.malformed++;
		(void)conceal(s, SL_STR_NULL, s->o.hz / 50);
		return false;
	}
	s->now = d;
	stretch(s, append(s, sl_audio_decoder_hz(d->d), (size_t)n), out->adjust);
	return true;
}

static void bridge(struct sl_audio_source *s)
{
	size_t n = s->o.hz / 1000 * BRIDGE_MS;

	s->bridged += conceal(s, SL_STR_NULL, n);
	sl_jitter_waited(s->jitter, s->clock_hz / 1000 * BRIDGE_MS);
}

/* One piece; false: it is no sound. */
static bool next_piece(struct sl_audio_source *s, uint64_t now_ns, size_t wanted)
{
	size_t pending = s->n - s->n_past;
	struct sl_jitter_out out;
	size_t n;

	sl_jitter_get(s->jitter, now_ns, pending * SL_NS_PER_S / s->o.hz, &out);
	switch (out.what) {
	case SL_JITTER_PLAY:
		return play(s, &out);
	case SL_JITTER_LOST:
		explain_bridge(s);
		n = samples_of(s, s->o.hz, out.duration);
		s->stats.concealed_ms += ms_of(s, conceal(s, out.packet.payload, n));
		return true;
	case SL_JITTER_WAIT:
		bridge(s);
		return true;
	case SL_JITTER_SILENCE:
		break;
	}
	s->bridged = 0;
	n = samples_of(s, s->o.hz, out.duration);
	append_quiet(s, n > 0 && n < wanted ? n : wanted);
	return false;
}

bool sl_audio_source_pull(struct sl_audio_source *s, uint64_t now_ns, int16_t *pcm, size_t n)
{
	size_t past = s->o.hz / 1000 * PAST_MS, keep_from;
	bool sound = false;

	if (!s->jitter || n > s->o.hz / 1000 * PULL_MS) {
		memset(pcm, 0, n * sizeof *pcm);
		return false;
	}
	for (unsigned i = 0; s->n - s->n_past < n && i < PIECES_MAX; i++)
		sound |= next_piece(s, now_ns, n - (s->n - s->n_past));
	if (s->n - s->n_past < n) /* without memory for a converter nothing is added */
		append_quiet(s, n - (s->n - s->n_past));
	memcpy(pcm, s->buf + s->n_past, n * sizeof *pcm);
	s->n_past += n;
	keep_from = s->n_past > past ? s->n_past - past : 0;
	memmove(s->buf, s->buf + keep_from, (s->n - keep_from) * sizeof *s->buf);
	s->n_past -= keep_from;
	s->n -= keep_from;
	return sound;
}

void sl_audio_source_get_stats(const struct sl_audio_source *s,
			       struct sl_audio_source_stats *ret_stats)
{
	struct sl_jitter_stats j;

	*ret_stats = s->stats;
	if (!s->jitter)
		return;
	sl_jitter_get_stats(s->jitter, &j);
	ret_stats->played = j.played;
	ret_stats->late = j.late + j.dropped;
	ret_stats->lost = j.lost;
	ret_stats->duplicates = j.duplicates;
	ret_stats->target_ms = j.target_ms;
	ret_stats->delay_ms = j.delay_ms;
}
