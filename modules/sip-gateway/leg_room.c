/*
 * sip-gateway/leg_room.c: a leg's place in a room: what its party says goes to the mixer as it
 * came, and the mixer's packets go out as they are. Digits are the mixer's to understand.
 */
#include <sluice/bus.h>
#include "leg_impl.h"

enum { KEEP_ALIVE_MS = 10000 };

/* ---- from the mixer */

static void on_play(void *arg, const struct sl_mixer_out *out)
{
	struct leg *l = arg;
	const struct leg_made m = {
		.format = leg_format_of(&l->out_formats, out->format.codec, out->format.clock_hz),
		.ts = out->ts,
		.marker = out->marker};

	if (m.format && l->digits.n == 0)
		leg_send_shared(l, out->feed, out->rtp, &m);
}

static void on_ended(void *arg, enum sl_mixer_end end, const char *why)
{
	struct leg *l = arg;

	if (leg_handler_of(l)->room_ended)
		leg_handler_of(l)->room_ended(l->o.arg, l, end, why);
	leg_room_leave(l); /* `why` goes with it */
}

static void on_text(void *arg, struct sl_str name, struct sl_str text)
{
	struct leg *l = arg;

	if (leg_handler_of(l)->room_text)
		leg_handler_of(l)->room_text(l->o.arg, l, name, text);
}

static void on_picture(void *arg, const struct sl_room_picture *picture)
{
	leg_video_room_play(arg, picture);
}

static void on_key_frame(void *arg)
{
	leg_video_ask(arg);
}

static const struct sl_mixer_handler handler = {.play = on_play,
						.ended = on_ended,
						.text = on_text,
						.picture = on_picture,
						.key_frame = on_key_frame};

/* ---- life */

const struct sl_mixer_iface *leg_room_mixer(struct legs *all)
{
	if (!all->mixer) /* modules have started long ago */
		all->mixer = sl_iface_get(all->w, SL_MIXER_IFACE, 1, &all->mixer_self);
	return all->mixer;
}

int leg_enter(struct leg *l, struct sl_str room, struct sl_str name)
{
	struct legs *all = l->all;
	const struct sl_mixer_opts o = {.room = room, .name = name, .handler = &handler, .arg = l};
	int rc;

	if (!leg_room_mixer(all) || l->closed)
		return -SL_EUNSUPP;
	leg_unbridge(l);
	rc = all->mixer->join(all->mixer_self, &o, &l->phone);
	if (rc < 0)
		return rc;
	leg_room_format(l);
	leg_video_room_sync(l);
	leg_heard_sync(l);
	return 0;
}

int leg_say(struct leg *l, struct sl_str text)
{
	return l->phone ? l->all->mixer->say(l->phone, text) : -SL_ENOENT;
}

uint64_t leg_room_peer(const struct leg *l)
{
	return l->phone ? l->all->mixer->peer(l->phone) : 0;
}

void leg_room_leave(struct leg *l)
{
	struct sl_mixer_phone *phone = l->phone;

	if (!phone)
		return;
	l->phone = NULL;
	l->all->mixer->leave(phone);
}

void leg_room_format(struct leg *l)
{
	const struct leg_format *f = leg_format_first(&l->out_formats);
	struct sl_mixer_format format = {.codec = SL_CODEC_NONE};

	if (!l->phone)
		return;
	if (f && leg_may_send(l))
		format = (struct sl_mixer_format){f->codec, f->clock_hz, leg_ptime(l, f->codec)};
	l->all->mixer->set_format(l->phone, &format);
}

/* ---- to the mixer */

/* Tones are digits where telephone-event was not agreed. */
static void listen_for_tones(struct leg *l, const struct sl_audio_packet *p)
{
	int16_t pcm[SL_AUDIO_MAX_SAMPLES];
	int n;

	if (!leg_wants_ear(l))
		return;
	if (l->ear_codec != p->codec) {
		sl_audio_decoder_free(l->ear_decoder);
		l->ear_decoder = NULL;
		l->ear_codec = p->codec;
		if (sl_audio_decoder_new(&l->ear_decoder, p->codec, p->clock_hz, 8000) < 0)
			return;
	}
	if (!l->ear_decoder)
		return;
	n = sl_audio_decode(l->ear_decoder, p->payload, pcm);
	if (n > 0)
		leg_listen(l, pcm, (size_t)n, sl_audio_decoder_hz(l->ear_decoder));
}

void leg_room_hear(struct leg *l, const struct sl_rtp *rtp, const struct leg_format *f)
{
	const struct sl_audio_packet p = {
		.codec = f->codec,
		.clock_hz = f->clock_hz,
		.ts = rtp->ts,
		.seq = rtp->seq,
		.payload = {(const char *)sl_rtp_payload(rtp), rtp->payload_len},
		.packet = rtp->packet};

	if (!l->phone)
		return;
	listen_for_tones(l, &p);
	if (l->phone && !leg_is_held(l)) /* music of a PBX on hold is not for the room */
		l->all->mixer->hear(l->phone, &p, leg_now_ns(l));
}

void leg_room_restart(struct leg *l)
{
	if (l->phone)
		l->all->mixer->restart(l->phone);
}

void leg_room_digit(struct leg *l, char digit)
{
	if (l->phone)
		l->all->mixer->digit(l->phone, digit);
}

void leg_take_digit(struct leg *l, char digit, unsigned ms)
{
	leg_heard_digit(l, digit, ms);
}

void leg_room_second(struct leg *l)
{
	uint64_t quiet_ns = leg_now_ns(l) - l->out.sent_ns;

	if (!l->phone)
		return;
	l->all->mixer->set_loss(l->phone, leg_loss_percent(l));
	if (quiet_ns > (uint64_t)KEEP_ALIVE_MS * SL_NS_PER_MS)
		leg_keep_alive(l);
}
