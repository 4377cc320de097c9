/*
 * bench/load/publish.c: synthetic sound and pictures: VP8 descriptors and frame headers that a
 * server can read, payloads that end with the time when they were sent.
 */
#include "bench/load/load.h"

#include <stdio.h>
#include <string.h>
#include "proto/rtc_caps.h"

enum { AUDIO_BYTES = 160, VIDEO_BYTES = 1200 };
static const char *const rids[] = {"f", "h", "q"};

/* ---- tracks */

static void add_layer(struct connection *c, const struct jsep_media *m, unsigned index)
{
	struct layer *l = &c->layers[c->n_layers++];

	*l = (struct layer){.ssrc = (uint32_t)roll() | 1,
			    .m = m,
			    .index = index,
			    .video = m->kind == SL_MEDIA_VIDEO,
			    .key_wanted = true};
	if (opts.packets > 0)
		l->n_packets = opts.packets >> 2 * index ? opts.packets >> 2 * index : 1;
}

static struct jsep_media *add_track(struct connection *c, enum sl_media_kind kind)
{
	const bool video = kind == SL_MEDIA_VIDEO;
	struct jsep_media *m;

	must(jsep_add(c->jsep, kind, JSEP_SEND, &m), "track");
	must(jsep_prefer(c->jsep, m, video ? rtc_caps.video : rtc_caps.audio, 1), "codec");
	(void)snprintf(m->stream, sizeof m->stream, "s");
	(void)snprintf(m->track, sizeof m->track, "t%d", (int)kind);
	(void)snprintf(m->cname, sizeof m->cname, "load");
	for (unsigned i = 0; i < (video ? opts.layers : 1); i++)
		add_layer(c, m, i);
	if (!video || opts.layers == 1) /* else the rids say which is which */
		m->ours.media = c->layers[c->n_layers - 1].ssrc;
	return m;
}

/* The engine is a server's and offers to receive encodings only; video is the last section. */
static void offer_encodings(struct sl_buf *b)
{
	for (unsigned i = 0; i < opts.layers; i++)
		sl_buf_printf(b, "a=rid:%s send\r\n", rids[i]);
	sl_buf_printf(b, "a=simulcast:send f;h%s\r\n", opts.layers > 2 ? ";q" : "");
}

void publish_offer(struct connection *c, struct sl_buf *b, struct jsep_media *tracks[2])
{
	const struct jsep_transport own = connection_describe(c);

	tracks[0] = opts.audio ? add_track(c, SL_MEDIA_AUDIO) : NULL;
	tracks[1] = opts.layers > 0 ? add_track(c, SL_MEDIA_VIDEO) : NULL;
	must(jsep_offer(c->jsep, &own, b), "offer");
	if (opts.layers > 1)
		offer_encodings(b);
}

/* ---- packets */

static size_t put_header(const struct connection *c, const struct layer *l, bool marker,
			 uint8_t *dst)
{
	const struct sl_rtp_ext_map *map = &l->m->ext_out;
	struct sl_rtp_ext_writer w;
	uint8_t seq[2], level = 0x80 | 20;
	int len;

	dst[0] = 0x90;
	dst[1] = (uint8_t)((marker ? 0x80 : 0) | l->m->codecs[0].pt);
	sl_put16(dst + 2, l->seq);
	sl_put32(dst + 4, l->ts);
	sl_put32(dst + 8, l->ssrc);
	sl_rtp_ext_begin(&w, dst + SL_RTP_HEADER, 64);
	sl_put16(seq, c->twcc_seq);
	sl_rtp_ext_put(&w, map->id[SL_RTP_EXT_MID], l->m->mid, strlen(l->m->mid));
	if (map->id[SL_RTP_EXT_TWCC])
		sl_rtp_ext_put(&w, map->id[SL_RTP_EXT_TWCC], seq, sizeof seq);
	if (l->video && opts.layers > 1 && map->id[SL_RTP_EXT_RID])
		sl_rtp_ext_put(&w, map->id[SL_RTP_EXT_RID], rids[l->index], 1);
	if (!l->video && map->id[SL_RTP_EXT_AUDIO_LEVEL])
		sl_rtp_ext_put(&w, map->id[SL_RTP_EXT_AUDIO_LEVEL], &level, 1);
	len = sl_rtp_ext_end(&w);
	must(len, "extensions");
	return SL_RTP_HEADER + (size_t)len;
}

/* A VP8 descriptor with a picture id of 15 bits; the frame's header before the first packet. */
static void put_picture(const struct layer *l, unsigned part, bool key, uint8_t *dst)
{
	const uint16_t width = (uint16_t)(1280 >> l->index), height = (uint16_t)(720 >> l->index);
	const uint8_t head[] = {0x10,
				0,
				0,
				0x9d,
				0x01,
				0x2a,
				(uint8_t)width,
				(uint8_t)(width >> 8),
				(uint8_t)height,
				(uint8_t)(height >> 8)};

	dst[0] = part == 0 ? 0x90 : 0x80;
	dst[1] = 0x80;
	sl_put16(dst + 2, 0x8000 | l->picture);
	if (part > 0)
		return;
	memcpy(dst + 4, head, sizeof head);
	if (!key)
		dst[4] |= 1;
}

static void send_packet(struct connection *c, struct layer *l, unsigned part, bool marker, bool key)
{
	uint8_t packet[MTU], payload[VIDEO_BYTES] = {0};
	size_t len = l->video ? VIDEO_BYTES : AUDIO_BYTES;
	int whole;

	if (l->video)
		put_picture(l, part, key, payload);
	sl_put32(payload + len - STAMP, LOAD_MARK);
	sl_put64(payload + len - STAMP + 4, now_ns());
	whole = srtp_seal_rtp(c->out, &l->seal, packet, put_header(c, l, marker, packet), payload,
			      len);
	must(whole, "sealing");
	send_bytes(c, &c->path.remote, packet, (size_t)whole);
	c->twcc_seq++;
	l->seq++;
	l->packets++;
	l->bytes += (uint32_t)len;
	if (load.measuring)
		load.sent++;
}

static void send_frame(struct connection *c, struct layer *l)
{
	bool key = l->key_wanted;

	l->key_wanted = false;
	load.key_frames += key;
	for (unsigned i = 0; i < l->n_packets; i++)
		send_packet(c, l, i, i + 1 == l->n_packets, key);
	l->picture = (l->picture + 1) & 0x7fff;
	l->ts += 90000 / opts.fps;
}

static void send_sound(struct connection *c, struct layer *l)
{
	send_packet(c, l, 0, false, false);
	l->ts += 960;
}

/* What is due by now; after a long pause what was missed is left out. */
static void publish(struct party *p, uint64_t now)
{
	struct connection *c = p->pub;

	if (!c || !c->secured || !c->has_path)
		return;
	if (now > p->audio_ns + UINT64_C(200000000))
		p->audio_ns = p->video_ns = now;
	for (; p->audio_ns <= now; p->audio_ns += 20000000)
		for (unsigned i = 0; i < c->n_layers; i++)
			if (!c->layers[i].video)
				send_sound(c, &c->layers[i]);
	for (; opts.fps > 0 && p->video_ns <= now; p->video_ns += 1000000000 / opts.fps)
		for (unsigned i = 0; i < c->n_layers; i++)
			if (c->layers[i].video)
				send_frame(c, &c->layers[i]);
}

uint64_t publish_all(void)
{
	uint64_t now = now_ns(), next = now + TICK_NS;

	for (unsigned i = 0; i < load.begun; i++) {
		const struct party *p = &load.parties[i];

		if (!p->publishes)
			continue;
		publish(&load.parties[i], now);
		if (p->pub && p->pub->secured && p->audio_ns < next)
			next = p->audio_ns;
		if (p->pub && p->pub->secured && opts.fps > 0 && p->video_ns < next)
			next = p->video_ns;
	}
	return next;
}
