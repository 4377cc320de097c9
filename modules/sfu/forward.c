/*
 * sfu/forward.c: packets of a track to its subscribers.
 *
 * What arrives in a tick is collected per track, by reference, and forwarded when the tick ends:
 * receiver by receiver, each the whole batch, so that its packets are sealed one after the other
 * and leave as one segmented send. Where many receive a video track, and the next packet of it is
 * likely to be near, a batch is held until the clock's next millisecond: sent one by one a packet
 * costs about twice as much. Video goes through the subscriber's layers; audio keeps its numbers
 * but for gaps that we made ourselves.
 */
#include "sfu.h"

enum {
	NO_PT = 0xff,
	KEY_REPEAT_MS = 200,
	JUMP = 1000, /* packets of audio that nobody would wait for: its publisher counts anew */
	HOLD_SUBS = 8,	   /* receivers from which on it is worth waiting for more packets, */
	HOLD_ENOUGH = 16,  /* up to so many, */
	HOLD_NS = 1000000, /* and for so long, as long as packets are not farther apart */
};

/* ---- in */

/* Other workers choose by the sizes what they fetch. */
static void tell_size(struct track *t, bool resized)
{
	if (resized && t->publisher->here)
		trunk_track(t);
}

/* What its publisher says that it makes: sizes, also of pictures that are encrypted end to end;
 * what an encoding will take that has not come so far; which has been given up, before it is
 * missed. */
static void note_layers(struct track *t, struct sl_str value)
{
	struct sl_vla v;

	if (!value.p || sl_vla_read(value, &v) < 0)
		return;
	for (unsigned e = 0; e < t->n_encodings; e++)
		tell_size(t, encoding_told(&t->rate[e], &v, e));
}

/* RFC 6464: one byte, V and the level in -dBov. */
static void hear(struct track *t, const struct sl_rtp *rtp)
{
	struct sl_str level = sl_rtp_ext_value(rtp, SL_RTP_EXT_AUDIO_LEVEL);

	if (level.len >= 1)
		steward_heard(t, (uint8_t)level.p[0] & 0x7f, (uint8_t)level.p[0] & 0x80);
}

/* Learns how near packets are to the one before them, apart for those that end a picture. */
static bool is_next_near(struct track *t, bool marker)
{
	const uint64_t now_ns = sl_loop_ns(t->room->sfu->w->loop);

	if (t->newest_ns != 0)
		t->near[t->newest_marker] = now_ns - t->newest_ns < HOLD_NS;
	t->newest_ns = now_ns;
	t->newest_marker = marker;
	return t->near[marker];
}

static bool is_held(struct track *t, const struct pending *k)
{
	return t->kind == SL_MEDIA_VIDEO && t->n_subs >= HOLD_SUBS &&
	       is_next_near(t, sl_packet_rtp(k->packet)->marker) && t->n_pending < HOLD_ENOUGH;
}

/* The post forwards all tracks, also those that would be held: they are not worth another round. */
static void enlist(struct track *t, bool held)
{
	struct sfu *s = t->room->sfu;

	if (!t->dirty) {
		t->dirty = true;
		t->next_dirty = s->first_dirty;
		s->first_dirty = t;
	}
	if (!held)
		sl_post(s->w->loop, &s->post);
	else if (!sl_timer_pending(&s->held))
		sl_timer_set(s->w->loop, &s->held, 0);
}

static void forward_track(struct track *t);

void forward_packet(struct track *t, const struct sl_rtp *rtp, uint64_t seq, unsigned encoding,
		    unsigned codec)
{
	struct sfu *s = t->room->sfu;
	struct pending *k;

	if (encoding >= SL_RTC_MAX_ENCODINGS)
		return;
	steward_wake(t->room);
	k = &t->pending[t->n_pending];
	*k = (struct pending){.packet = rtp->packet,
			      .seq = seq,
			      .encoding = (uint8_t)encoding,
			      .codec = (uint8_t)codec,
			      .info = {.unknown = true}};
	if (t->kind == SL_MEDIA_AUDIO) {
		hear(t, rtp);
	} else if (sl_codec_inspect(t->state[encoding], codec, rtp, &k->info) < 0) {
		sfu_count(s, M_malformed);
		return;
	}
	tell_size(t, encoding_count(&t->rate[encoding], &k->info, rtp->len + SL_RTC_OVERHEAD,
				    sfu_now_ms(s)));
	if (t->kind == SL_MEDIA_VIDEO) {
		note_layers(t, sl_rtp_ext_value(rtp, SL_RTP_EXT_VIDEO_LAYERS_ALLOCATION));
		cache_packet(t, k);
	}
	if (!t->subs && !t->links)
		return;
	sl_packet_ref(k->packet);
	t->n_pending++;
	enlist(t, is_held(t, k));
	if (t->n_pending == MAX_PENDING)
		forward_track(t);
}

void forward_kept(struct track *t, const struct sl_rtp *rtp, uint64_t seq, unsigned encoding,
		  unsigned codec)
{
	struct pending k = {.packet = rtp->packet,
			    .seq = seq,
			    .encoding = (uint8_t)encoding,
			    .codec = (uint8_t)codec};

	if (t->kind == SL_MEDIA_VIDEO && encoding < SL_RTC_MAX_ENCODINGS &&
	    sl_codec_inspect(t->state[encoding], codec, rtp, &k.info) == 0)
		cache_packet(t, &k);
}

/* ---- out */

static uint8_t payload_type(struct sub *sub, unsigned codec)
{
	uint8_t *known = &sub->pts[codec < SL_N_CODECS ? codec : 0];

	if (*known == 0) {
		uint8_t pt = sl_rtc_media_pt(sub->out, codec, sl_str_c(sub->track->params));

		*known = pt ? pt : NO_PT;
	}
	return *known == NO_PT ? 0 : *known;
}

/* A subscriber that has not agreed to the codec gets nothing of it. */
static void send(struct sub *sub, struct sl_rtp_out *out, unsigned codec)
{
	struct sfu *s = sub->track->room->sfu;

	if (sub->participant->member) {
		watch_see(sub, out, codec);
		return;
	}
	out->pt = payload_type(sub, codec);
	if (out->pt == 0)
		return;
	if (sl_rtc_send(sub->out, out) < 0) {
		sfu_count(s, M_not_sent);
		return;
	}
	sub->participant->idle_since_ms = 0;
	sfu_count(s, M_packets_out);
}

/* Passed on, a jump would be loss to the subscriber, and its estimate would fall for everybody's
 * media. */
static bool has_jumped(const struct sub *sub, uint64_t seq)
{
	return seq > sub->seq_in ? seq - sub->seq_in > JUMP : sub->seq_in - seq > JUMP;
}

static void forward_audio(struct sub *sub, const struct pending *k)
{
	const struct sl_rtp *rtp = sl_packet_rtp(k->packet);
	struct sl_rtp_out out = {.src = rtp, .ts = rtp->ts, .marker = rtp->marker};

	if (!sub->track->audible || sub->stopped) {
		sub->flowing = false;
		return;
	}
	if (!sub->flowing || has_jumped(sub, k->seq)) { /* goes on as a new talk spurt */
		sub->seq_offset = (uint16_t)(sub->seq_last + 1 - rtp->seq);
		sub->flowing = true;
		out.marker = true;
	}
	sub->seq_in = k->seq;
	out.seq = (uint16_t)(rtp->seq + sub->seq_offset);
	if (sl_seq_after(out.seq, sub->seq_last))
		sub->seq_last = out.seq;
	send(sub, &out, k->codec);
}

/* A run that began before anything could be sent would go on without its key frame. */
bool forward_is_ready(struct sub *sub)
{
	if (sub->participant->member)
		return watch_takes(sub->participant, sub->track);
	return sl_rtc_get_state(sl_rtc_media_rtc(sub->out)) >= SL_RTC_CONNECTED &&
	       payload_type(sub, sub->track->codec) != 0;
}

static struct sl_layers_packet as_layers_packet(const struct pending *k, uint64_t now_ns)
{
	return (struct sl_layers_packet){
		.rtp = sl_packet_rtp(k->packet),
		.info = &k->info,
		.seq = k->seq,
		.encoding = k->encoding,
		.codec = k->codec,
		.now_ns = now_ns,
	};
}

void forward_still(struct sub *sub, const struct pending *k)
{
	const struct sl_layers_packet p =
		as_layers_packet(k, sl_loop_ns(sub->track->room->sfu->w->loop));
	struct sl_rtp_out out;

	if (sl_layers_still(sub->layers, &p, &out) == SL_OK)
		send(sub, &out, k->codec);
}

static void forward_video(struct sub *sub, const struct pending *k, uint64_t now_ns)
{
	const struct sl_layers_packet p = as_layers_packet(k, now_ns);
	struct sl_rtp_out out;
	int rc;

	/* SL_DONE: padding, for a number that was kept for a packet which is of no use now. */
	rc = sl_layers_take(sub->layers, &p, &out);
	if (rc != SL_OK && rc != SL_DONE)
		return;
	sub->has_seen = true;
	send(sub, &out, k->codec);
}

/* Every subscriber that waits for a key frame would ask with every batch, over the trunk too. What
 * is held back here is asked for with a later batch, if it is still wanted. */
static void repeat_key_request(struct track *t, unsigned encoding, uint64_t now_ms)
{
	if (encoding >= SL_RTC_MAX_ENCODINGS || now_ms < t->key_repeat_ms[encoding])
		return;
	t->key_repeat_ms[encoding] = now_ms + KEY_REPEAT_MS;
	track_ask_key(t, encoding);
}

static void forward_to(struct sub *sub, const struct track *t)
{
	uint64_t now_ns = sl_loop_ns(t->room->sfu->w->loop);
	unsigned encoding;

	if (sub->layers && !forward_is_ready(sub))
		return;
	for (unsigned i = 0; i < t->n_pending; i++)
		if (sub->layers)
			forward_video(sub, &t->pending[i], now_ns);
		else if (sub->participant->member)
			member_hear(sub, &t->pending[i]);
		else
			forward_audio(sub, &t->pending[i]);
	if (sub->layers && sl_layers_wants_key(sub->layers, &encoding))
		repeat_key_request(sub->track, encoding, now_ns / SL_NS_PER_MS);
}

static void drop_pending(struct track *t)
{
	for (unsigned i = 0; i < t->n_pending; i++)
		sl_packet_unref(t->pending[i].packet);
	t->n_pending = 0;
}

/* The one behind the next: its pointers are needed when it is the next. */
static void fetch(const struct sub *next)
{
	__builtin_prefetch(next->next_of_track);
	if (next->out)
		sl_rtc_send_soon(next->out);
	if (next->layers)
		sl_layers_take_soon(next->layers);
}

static void forward_track(struct track *t)
{
	if (t->links)
		trunk_packets(t);
	for (struct sub *sub = t->subs; sub; sub = sub->next_of_track) {
		if (sub->next_of_track)
			fetch(sub->next_of_track);
		forward_to(sub, t);
	}
	drop_pending(t);
}

static void forward_all(struct sfu *s)
{
	struct track *t;

	sl_timer_cancel(s->w->loop, &s->held);
	while ((t = s->first_dirty)) {
		s->first_dirty = t->next_dirty;
		t->dirty = false;
		forward_track(t);
	}
}

void forward_pending(struct sl_post *post)
{
	forward_all(post->arg);
}

void forward_held(struct sl_timer *timer)
{
	forward_all(timer->arg);
}

void forward_forget(struct track *t)
{
	struct track **link = &t->room->sfu->first_dirty;

	drop_pending(t);
	if (!t->dirty)
		return;
	while (*link != t)
		link = &(*link)->next_dirty;
	*link = t->next_dirty;
	t->dirty = false;
}

/* ---- clocks */

void forward_clock(struct track *t, unsigned encoding, const struct sl_rtc_clock *clock)
{
	struct sl_rtc_clock out;

	for (struct sub *sub = t->subs; sub; sub = sub->next_of_track) {
		if (!sub->layers) {
			if (sub->out)
				sl_rtc_set_clock(sub->out, clock);
			continue;
		}
		sl_layers_clock(sub->layers, encoding, clock);
		if (sub->out && sl_layers_clock_out(sub->layers, encoding, clock, &out) == 0)
			sl_rtc_set_clock(sub->out, &out);
	}
}
