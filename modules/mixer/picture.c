/*
 * mixer/picture.c: the pictures of a phone: its camera, as a track of the room beside its voice;
 * and whose picture it is shown, which the room's module chooses. Nothing is decoded here.
 *
 * A camera's packets are copied into plain ones: without the sender's header extensions, which
 * nobody in the room has agreed to, and under numbers that go on when the phone's own begin anew.
 */
#include "mixer.h"

#include <stdlib.h>

enum {
	CLOCK_HZ = 90000,
	FRAME_TICKS = CLOCK_HZ / 30, /* what passes at least where numbers begin anew */
	MAX_FORMATS = 12,
};

struct picture {
	/* what it can be shown */
	struct sl_room_watch watch;
	struct sl_room_format formats[MAX_FORMATS];
	char params[MAX_FORMATS][160];
	/* its camera */
	struct sl_room_source *camera; /* NULL: there is none */
	enum sl_codec_id codec;	       /* of the camera's track */
	bool covered;
	uintptr_t stream;
	uint64_t seq_offset, first_seq, next_seq;
	uint32_t ts, ts_offset;
	uint64_t sent_ns; /* 0: nothing yet */
};

static struct picture *need(struct phone *p)
{
	if (!p->picture)
		p->picture = calloc(1, sizeof *p->picture);
	return p->picture;
}

void picture_free(struct phone *p)
{
	free(p->picture);
	p->picture = NULL;
}

/* ---- what it is shown */

static void keep(struct picture *x, const struct sl_room_watch *w)
{
	unsigned n = w->n_formats < MAX_FORMATS ? w->n_formats : MAX_FORMATS;

	x->watch = *w;
	x->watch.formats = x->formats;
	x->watch.n_formats = n;
	for (unsigned i = 0; i < n; i++) {
		(void)sl_str_copy(x->params[i], sizeof x->params[i], w->formats[i].params);
		x->formats[i] = (struct sl_room_format){w->formats[i].codec,
							sl_str_c(x->params[i])};
	}
}

int phone_watch(struct sl_mixer_phone *self, const struct sl_room_watch *w)
{
	struct phone *p = (struct phone *)self;

	if (!p->picture && w->n_formats == 0)
		return 0;
	if (!need(p))
		return -SL_ENOMEM;
	keep(p->picture, w);
	return p->member ? p->mixer->rooms->watch(p->member, &p->picture->watch) : 0;
}

void picture_enter(struct phone *p)
{
	if (!p->picture || p->picture->watch.n_formats == 0)
		return;
	if (p->mixer->rooms->watch(p->member, &p->picture->watch) < 0)
		sl_log(SL_LOG_WARN, "mixer", "out of memory: %s is shown nothing", p->name);
}

void picture_play(struct phone *p, const struct sl_room_picture *picture)
{
	if (p->handler->picture)
		p->handler->picture(p->arg, picture);
}

void phone_ask_picture(struct sl_mixer_phone *self)
{
	const struct phone *p = (const struct phone *)self;

	if (p->member)
		p->mixer->rooms->ask_picture(p->member);
}

unsigned phone_cameras(void *self, struct sl_str room, enum sl_codec_id *ret_codecs, unsigned max)
{
	const struct mixer *m = self;

	return m->rooms->cameras(m->rooms_self, room, ret_codecs, max);
}

/* ---- its camera */

void picture_leave(struct phone *p)
{
	if (p->picture)
		p->picture->camera = NULL;
}

void picture_ask(struct phone *p, struct sl_room_source *source)
{
	if (p->picture && source == p->picture->camera && p->handler->key_frame)
		p->handler->key_frame(p->arg);
}

struct sl_room_source *picture_camera(const struct phone *p, uint32_t *io_ts)
{
	const struct picture *x = p->picture;

	if (!x || !x->camera || x->sent_ns == 0)
		return NULL;
	*io_ts += x->ts_offset;
	return x->camera;
}

static void close_camera(struct phone *p)
{
	struct picture *x = p->picture;

	if (!x || !x->camera)
		return;
	p->mixer->rooms->unpublish(x->camera);
	x->camera = NULL;
}

/* Another codec is another track: who sees it has agreed to the one before. */
static bool need_camera(struct phone *p, const struct sl_mixer_shot *shot)
{
	const struct sl_room_source_opts o = {.kind = SL_MEDIA_VIDEO,
					      .codec = shot->codec,
					      .clock_hz = CLOCK_HZ,
					      .params = shot->params};
	struct picture *x = need(p);

	if (!x)
		return false;
	if (x->camera && x->codec == shot->codec)
		return true;
	close_camera(p);
	x->codec = shot->codec;
	if (p->mixer->rooms->publish(p->member, &o, &x->camera) < 0)
		return false;
	if (x->covered)
		p->mixer->rooms->set_muted(x->camera, true);
	return true;
}

static void begin_anew(struct picture *x, const struct sl_mixer_shot *shot, uint64_t now_ns)
{
	uint64_t since_us = x->sent_ns ? (now_ns - x->sent_ns) / 1000 : 0;
	uint32_t passed = (uint32_t)(since_us * CLOCK_HZ / 1000000);

	x->stream = shot->stream;
	x->first_seq = shot->seq;
	x->seq_offset = x->next_seq - shot->seq;
	x->ts_offset = x->ts + (passed < FRAME_TICKS ? FRAME_TICKS : passed) - shot->rtp->ts;
}

static void put_header(struct picture *x, const struct sl_mixer_shot *shot, uint8_t *dst)
{
	uint64_t seq = shot->seq + x->seq_offset;

	x->ts = shot->rtp->ts + x->ts_offset;
	if (seq >= x->next_seq)
		x->next_seq = seq + 1;
	memset(dst, 0, SL_RTP_HEADER);
	dst[0] = 0x80;
	dst[1] = shot->rtp->marker ? 0x80 : 0;
	sl_put16(dst + 2, (uint16_t)seq);
	sl_put32(dst + 4, x->ts);
}

static void send(struct phone *p, const struct sl_mixer_shot *shot)
{
	struct picture *x = p->picture;
	struct sl_packet *packet;

	if (shot->rtp->payload_len > SL_PACKET_MAX - SL_RTP_HEADER)
		return;
	packet = sl_packet_new(p->mixer->w);
	if (!packet)
		return;
	put_header(x, shot, packet->data);
	memcpy(packet->data + SL_RTP_HEADER, sl_rtp_payload(shot->rtp), shot->rtp->payload_len);
	packet->len = SL_RTP_HEADER + shot->rtp->payload_len;
	if (p->mixer->rooms->send(x->camera, packet, SL_ROOM_SILENT) < 0)
		sl_log(SL_LOG_DEBUG, "mixer", "a picture of %s was not taken", p->name);
	sl_packet_unref(packet);
}

void phone_show(struct sl_mixer_phone *self, const struct sl_mixer_shot *shot)
{
	struct phone *p = (struct phone *)self;
	uint64_t now_ns;

	if (!shot) {
		close_camera(p);
		return;
	}
	if (p->state != PHONE_IN || !p->member || !need_camera(p, shot))
		return;
	now_ns = sl_loop_ns(p->mixer->w->loop);
	if (p->picture->stream != shot->stream || p->picture->sent_ns == 0)
		begin_anew(p->picture, shot, now_ns);
	if (shot->seq < p->picture->first_seq) /* its number is another packet's by now */
		return;
	if (shot->rtp->payload_len == 0) { /* it probes its way: nothing for others */
		p->picture->seq_offset--;
		p->picture->first_seq = shot->seq + 1;
		return;
	}
	p->picture->sent_ns = now_ns;
	send(p, shot);
}

void phone_cover(struct sl_mixer_phone *self, bool covered)
{
	struct phone *p = (struct phone *)self;
	struct picture *x = p->picture;

	if (!x || x->covered == covered)
		return;
	x->covered = covered;
	if (x->camera)
		p->mixer->rooms->set_muted(x->camera, covered);
}
