/*
 * mixer/choir.c: what phones hear. Who does not talk hears the same as all others who do not: it is
 * encoded once for each format. Who talks hears everybody else, and has an encoder of its own.
 *
 * A phone that changes between the two changes between two streams of times; its leg joins them.
 */
#include "mixer.h"

#include <stdlib.h>

/* ---- a stream */

void stream_free(struct stream *s)
{
	sl_audio_sink_free(s->sink);
	*s = (struct stream){0};
}

void stream_adapt(struct stream *s, unsigned complexity, unsigned loss)
{
	struct sl_audio_encoder *e = s->sink ? sl_audio_sink_encoder(s->sink) : NULL;

	if (!e)
		return;
	sl_audio_encoder_set_complexity(e, complexity);
	sl_audio_encoder_set_loss(e, loss);
}

static unsigned ptime_for(const struct sl_mixer_format *f)
{
	unsigned ms = f->ptime_ms >= 10 && f->ptime_ms <= 60 ? f->ptime_ms / 10 * 10 : MIX_MS;

	return f->codec == SL_CODEC_OPUS && (ms == 30 || ms == 50) ? ms - 10 : ms;
}

static bool same_format(const struct sl_mixer_format *a, const struct sl_mixer_format *b)
{
	return a->codec == b->codec && a->clock_hz == b->clock_hz && a->ptime_ms == b->ptime_ms;
}

static bool stream_need(struct stream *s, struct mixer *m, const struct sl_mixer_format *f,
			unsigned hz)
{
	const struct sl_audio_sink_opts o = {
		.encoder = {.codec = f->codec,
			    .clock_hz = f->clock_hz,
			    .complexity = m->complexity},
		.hz = hz,
		.ptime_ms = ptime_for(f),
	};

	if (s->sink && !s->broken && s->hz == hz && same_format(&s->format, f))
		return true;
	stream_free(s);
	if (sl_audio_sink_new(&s->sink, &o) < 0)
		return false;
	s->hz = hz;
	s->format = *f;
	s->feed = mixer_new_feed(m);
	return true;
}

/* The view that senders read */
static const struct sl_rtp *view(struct sl_packet *p, size_t len)
{
	struct sl_rtp *rtp = sl_packet_rtp(p);

	p->len = (uint32_t)(SL_RTP_HEADER + len);
	*rtp = (struct sl_rtp){.packet = p,
			       .data = p->data,
			       .len = p->len,
			       .payload_at = SL_RTP_HEADER,
			       .payload_len = (uint16_t)len};
	return rtp;
}

/* The next packet that is due; NULL: none yet. The caller's reference */
static struct sl_packet *stream_next(struct stream *s, struct mixer *m,
				     struct sl_mixer_out *ret_out)
{
	struct sl_packet *p = sl_packet_new(m->w);
	struct sl_audio_out out;

	while (p &&
	       sl_audio_sink_next(s->sink, p->data + SL_RTP_HEADER, SL_AUDIO_MAX_BYTES, &out)) {
		if (out.len == 0)
			continue; /* not worth a packet */
		*ret_out = (struct sl_mixer_out){.rtp = view(p, out.len),
						 .format = s->format,
						 .feed = s->feed,
						 .ts = out.ts,
						 .marker = out.marker};
		return p;
	}
	if (p)
		sl_packet_unref(p);
	return NULL;
}

static void give(const struct phone *p, const struct sl_mixer_out *out)
{
	mixer_count(p->mixer, M_sent);
	if (p->state != PHONE_OVER && p->handler->play)
		p->handler->play(p->arg, out);
}

/* ---- alone */

void choir_solo(struct phone *p, const int16_t *pcm, unsigned hz)
{
	struct mixer *m = p->mixer;
	struct sl_mixer_out out;
	struct sl_packet *packet;

	if (p->format.codec == SL_CODEC_NONE)
		return;
	p->solo.broken = p->solo.broken || !p->alone;
	p->alone = true;
	if (!stream_need(&p->solo, m, &p->format, hz))
		return;
	sl_audio_sink_push(p->solo.sink, pcm, hz / 1000 * MIX_MS);
	while ((packet = stream_next(&p->solo, m, &out))) {
		mixer_count(m, M_encoded_own);
		give(p, &out);
		sl_packet_unref(packet);
	}
}

/* What a phone of the room hears for itself; false: what all hear */
static bool sing_solo(struct room *r, struct phone *p)
{
	struct mixer *m = r->mixer;
	size_t n = r->hz / 1000 * MIX_MS;

	if (phone_tone(p, m->pcm, n)) {
		choir_solo(p, m->pcm, r->hz);
		return true;
	}
	if (!p->source.voice.in)
		return false;
	if (p->own_at < 0) { /* it pauses, and goes on soon */
		choir_solo(p, m->shared, r->hz);
		return true;
	}
	mix_without(m->without, m->sum, m->own[p->own_at], n);
	limiter_run(&p->limiter, m->without, m->pcm, n);
	choir_solo(p, m->pcm, r->hz);
	return true;
}

/* ---- together */

static struct choir *find(const struct room *r, const struct sl_mixer_format *f)
{
	struct choir *c = r->choirs;

	while (c && !same_format(&c->stream.format, f))
		c = c->next;
	return c;
}

static void leave(struct phone *p)
{
	struct choir *c = p->choir, **link = &p->room->choirs;

	p->choir = NULL;
	if (!c || --c->n_phones > 0)
		return;
	while (*link != c)
		link = &(*link)->next;
	*link = c->next;
	stream_free(&c->stream);
	free(c);
}

void choir_assign(struct phone *p, const struct sl_mixer_format *f)
{
	struct room *r = p->room;
	struct choir *c;

	leave(p);
	if (f->codec == SL_CODEC_NONE)
		return;
	c = find(r, f);
	if (!c) {
		c = calloc(1, sizeof *c);
		if (!c)
			return; /* it hears nothing, and the next format may do */
		c->stream.format = *f;
		c->stream.broken = true;
		c->next = r->choirs;
		r->choirs = c;
	}
	c->n_phones++;
	p->choir = c;
}

static void sing(struct room *r, struct choir *c)
{
	struct mixer *m = r->mixer;
	const struct sl_mixer_format format = c->stream.format;
	struct sl_mixer_out out;
	struct sl_packet *packet;

	if (!stream_need(&c->stream, m, &format, r->hz)) {
		c->stream.format = format;
		return;
	}
	sl_audio_sink_push(c->stream.sink, m->shared, r->hz / 1000 * MIX_MS);
	while ((packet = stream_next(&c->stream, m, &out))) {
		mixer_count(m, M_encoded_shared);
		for (struct phone *p = r->phones; p; p = p->next_in_room)
			if (p->choir == c && !p->alone)
				give(p, &out);
		sl_packet_unref(packet);
	}
}

void choirs_sing(struct room *r)
{
	for (struct choir *c = r->choirs; c; c = c->next) {
		c->n_listening = 0;
		c->loss = 0;
	}
	for (struct phone *p = r->phones; p; p = p->next_in_room) {
		if (!p->choir || sing_solo(r, p))
			continue;
		p->alone = false;
		p->choir->n_listening++;
		p->choir->loss = p->loss > p->choir->loss ? p->loss : p->choir->loss;
	}
	for (struct choir *c = r->choirs; c; c = c->next) {
		if (c->n_listening > 0)
			sing(r, c);
		else
			c->stream.broken = true;
	}
}

void choirs_pause(struct room *r)
{
	for (struct choir *c = r->choirs; c; c = c->next)
		c->stream.broken = true;
	for (struct phone *p = r->phones; p; p = p->next_in_room)
		p->solo.broken = true;
}
