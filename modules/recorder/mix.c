/*
 * recorder/mix.c: see mix.h.
 *
 * The mixer plays the room to us as it does to a phone that keeps silent; nobody sees us there. It
 * plays nothing while nobody speaks, so that a silent room costs nothing: the pause is one in the
 * track's times. Those count from when the track began, by our clock; within one of the mixer's
 * streams its own times are kept, as they are exact, unless it had to leave time out.
 */
#include "mix.h"

#include <sluice/crypto.h>
#include <sluice/mixer.h>
#include <stdlib.h>

enum {
	CLOCK_HZ = 48000,
	OPUS_MS = 20,
	L16_MS = 10,			/* more does not go into a packet */
	MAX_OFF = CLOCK_HZ / 1000 * 80, /* between the mixer's times and the clock */
};

struct mixes {
	struct sl_worker *w;
	struct tap *tap;
	enum sl_codec_id codec;
	const struct sl_mixer_iface *mixer; /* NULL: not asked for so far */
	void *mixer_self;
	struct mix *all;
	bool told, draining; /* told: that there is no mixer */
};

struct mix { /* of one room */
	struct mix *next;
	struct mixes *owner;
	struct sl_mixer_phone *ear; /* NULL: not in the room: pause, or it was closed */
	struct sl_track track;
	uint64_t since_ns, seq;
	uintptr_t feed;
	uint32_t shift; /* of the feed's times */
	size_t name_len;
	char name[];
};

/* ---- packets */

static uint32_t clock_now(const struct mix *x)
{
	uint64_t us = (sl_loop_ns(x->owner->w->loop) - x->since_ns) / 1000;

	return (uint32_t)(us * (CLOCK_HZ / 1000) / 1000);
}

static uint32_t time_of(struct mix *x, const struct sl_mixer_out *out)
{
	uint32_t now = clock_now(x);
	int32_t off = (int32_t)(out->ts + x->shift - now);

	if (out->feed != x->feed || off > MAX_OFF || off < -MAX_OFF)
		x->shift = now - out->ts;
	x->feed = out->feed;
	return out->ts + x->shift;
}

static void on_play(void *arg, const struct sl_mixer_out *out)
{
	struct mix *x = arg;
	uint8_t packet[SL_RTP_HEADER + SL_AUDIO_MAX_BYTES] = {0x80};
	struct sl_rtp rtp = {.data = packet};
	const struct sl_media media = {.track = &x->track,
				       .rtp = &rtp,
				       .seq = ++x->seq,
				       .codec = (uint8_t)x->owner->codec};

	if (out->rtp->payload_len > SL_AUDIO_MAX_BYTES)
		return;
	sl_put16(packet + 2, (uint16_t)x->seq);
	sl_put32(packet + 4, time_of(x, out));
	memcpy(packet + SL_RTP_HEADER, sl_rtp_payload(out->rtp), out->rtp->payload_len);
	rtp.len = SL_RTP_HEADER + out->rtp->payload_len;
	tap_media(x->owner->tap, &media);
}

static void let_go(struct mix *x)
{
	if (x->ear)
		x->owner->mixer->leave(x->ear);
	x->ear = NULL;
}

/* It is tried again when the writer speaks of the room next. */
static void on_ended(void *arg, enum sl_mixer_end end, const char *why)
{
	struct mix *x = arg;

	sl_log(SL_LOG_INFO, "recorder", "room \"%s\" is not mixed for now: %s (%d)", x->name, why,
	       (int)end);
	let_go(x);
}

static const struct sl_mixer_handler handler = {.play = on_play, .ended = on_ended};

/* ---- one room */

static struct mix *find(const struct mixes *m, struct sl_str room)
{
	struct mix *x = m->all;

	while (x && !sl_str_eq((struct sl_str){x->name, x->name_len}, room))
		x = x->next;
	return x;
}

/* Looked up when it is needed: that module may start after this one. */
static bool has_mixer(struct mixes *m)
{
	if (!m->mixer)
		m->mixer = sl_iface_get(m->w, SL_MIXER_IFACE, 1, &m->mixer_self);
	if (!m->mixer && !m->told)
		sl_log(SL_LOG_ERROR, "recorder",
		       "recorder.mix needs the module mixer, which is not there: nothing is mixed");
	m->told = !m->mixer;
	return m->mixer != NULL;
}

static struct mix *begin(struct mixes *m, struct sl_str room)
{
	struct mix *x = calloc(1, sizeof *x + room.len + 1);

	if (!x)
		return NULL;
	x->owner = m;
	x->since_ns = sl_loop_ns(m->w->loop);
	x->name_len = room.len;
	memcpy(x->name, room.p, room.len);
	x->track = (struct sl_track){.worker = m->w,
				     .room = {x->name, x->name_len},
				     .source = "mix",
				     .kind = SL_MEDIA_AUDIO,
				     .codec = (uint8_t)m->codec,
				     .clock_hz = CLOCK_HZ};
	if (sl_random(&x->track.id, sizeof x->track.id) < 0) {
		free(x);
		return NULL;
	}
	x->next = m->all;
	m->all = x;
	tap_bring(m->tap, &x->track);
	return x;
}

static void enter(struct mix *x)
{
	const struct mixes *m = x->owner;
	const struct sl_mixer_format format = {m->codec, CLOCK_HZ,
					       m->codec == SL_CODEC_OPUS ? OPUS_MS : L16_MS};
	const struct sl_mixer_opts o = {.room = x->track.room, .handler = &handler, .arg = x};

	if (m->mixer->listen(m->mixer_self, &o, &x->ear) < 0)
		x->ear = NULL; /* out of memory; tried again */
	else
		m->mixer->set_format(x->ear, &format);
}

static void end(struct mix *x)
{
	struct mix **link = &x->owner->all;

	let_go(x);
	tap_take_away(x->owner->tap, &x->track);
	while (*link != x)
		link = &(*link)->next;
	*link = x->next;
	free(x);
}

/* The first of the workers that new work goes to */
static bool is_mine(const struct mixes *m)
{
	uint32_t owners[256];
	unsigned n = sl_worker_current(m->w, owners, SL_ARRAY_LEN(owners));

	return !m->draining && n > 0 && owners[0] == sl_worker_owner(m->w);
}

void mix_follow(struct mixes *m, struct sl_str room, enum record_state state)
{
	struct mix *x = m ? find(m, room) : NULL;

	if (!m)
		return;
	if (state == STATE_OFF || !is_mine(m)) {
		if (x)
			end(x);
		return;
	}
	if (!has_mixer(m))
		return;
	if (state == STATE_PAUSED) {
		if (x)
			let_go(x);
		return;
	}
	if (!x)
		x = begin(m, room);
	if (x && !x->ear)
		enter(x);
}

/* ---- life */

void mix_drain(struct mixes *m)
{
	if (!m)
		return;
	m->draining = true;
	while (m->all)
		end(m->all);
}

int mix_open(struct sl_worker *w, const struct recorder_conf *conf, struct tap *tap,
	     struct mixes **ret_mixes)
{
	struct mixes *m;

	*ret_mixes = NULL;
	if (conf->mix == MIX_OFF)
		return 0;
	m = calloc(1, sizeof *m);
	if (!m)
		return -SL_ENOMEM;
	m->w = w;
	m->tap = tap;
	m->codec = conf->mix == MIX_WAV ? SL_CODEC_L16 : SL_CODEC_OPUS;
	*ret_mixes = m;
	return 0;
}

void mix_close(struct mixes *m)
{
	mix_drain(m);
	free(m);
}
