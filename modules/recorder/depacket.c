/*
 * recorder/depacket.c: where frames begin and end, and what is left out; see depacket.h.
 *
 * A frame ends with its marker, or when the next one's time begins. Numbers that are missing within
 * it break it; between frames nobody knows what was lost, so that video begins again with a key
 * frame there, too.
 */
#include "depacket.h"

enum { MAX_PREFACE = 64 << 10 }; /* more than that is none */

int depacket_init(struct depacket *d, frame_fn *emit, void *arg)
{
	*d = (struct depacket){.emit = emit, .arg = arg, .wants_key = true};
	sl_buf_init(&d->data, DEPACKET_MAX_FRAME);
	return sl_codec_state_new(&d->state);
}

void depacket_free(struct depacket *d)
{
	sl_codec_state_free(d->state);
	d->state = NULL;
	sl_buf_free(&d->data);
}

static void reset(struct depacket *d)
{
	sl_buf_reset(&d->data);
	d->data.failed = false;
	d->open = d->broken = d->in_unit = d->has_preface = false;
	d->n_layers = 0;
}

/* ---- audio */

static void emit_audio(struct depacket *d, enum sl_codec_id codec, uint32_t ts, struct sl_str data,
		       uint64_t arrival_ns)
{
	const struct frame f = {.data = data,
				.codec = (uint8_t)codec,
				.ts = ts,
				.arrival_ns = arrival_ns,
				.encoding = d->encoding,
				.ssrc = d->ssrc,
				.seq = d->seq,
				.key = true};

	if (data.len == 0)
		return;
	d->has_audio = true;
	d->audio_ts = ts;
	d->n_frames++;
	d->emit(d->arg, &f);
}

struct red_block {
	uint32_t offset; /* of its time, before the packet's */
	size_t len;
};
enum { RED_MAX_BLOCKS = 8 };

/* RFC 2198 section 3; the last block is the packet's own and has no length. */
static int read_red_heads(struct sl_reader *r, struct red_block blocks[RED_MAX_BLOCKS])
{
	for (int n = 0; n < RED_MAX_BLOCKS; n++) {
		uint8_t first = sl_read_u8(r);
		uint32_t rest;

		if (!(first & 0x80))
			return r->failed ? -SL_EPARSE : n;
		rest = (uint32_t)sl_read_u16(r) << 8;
		rest |= sl_read_u8(r);
		blocks[n] = (struct red_block){rest >> 10, rest & 0x3ff};
	}
	return -SL_EPARSE;
}

static void put_red(struct depacket *d, const struct sl_rtp *rtp, uint64_t arrival_ns)
{
	struct sl_reader r = sl_reader(sl_rtp_payload(rtp), rtp->payload_len);
	struct red_block blocks[RED_MAX_BLOCKS];
	int n = read_red_heads(&r, blocks);

	for (int i = 0; i < n; i++) {
		struct sl_str data = sl_read_bytes(&r, blocks[i].len);
		uint32_t ts = rtp->ts - blocks[i].offset;

		/* Only what has not gone out, and not what was before the first packet. */
		if (!r.failed && d->has_audio && sl_ts_after(ts, d->audio_ts))
			emit_audio(d, SL_CODEC_OPUS, ts, data, arrival_ns);
	}
	if (n < 0 || r.failed) {
		d->n_malformed++;
		return;
	}
	emit_audio(d, SL_CODEC_OPUS, rtp->ts, sl_read_bytes(&r, (size_t)(r.end - r.p)), arrival_ns);
}

/* In packets big-endian (RFC 3551 section 4.5.11), in files not */
static struct sl_str swapped(struct depacket *d, struct sl_str samples)
{
	sl_buf_reset(&d->data);
	for (size_t i = 0; i + 1 < samples.len; i += 2) {
		sl_buf_u8(&d->data, (uint8_t)samples.p[i + 1]);
		sl_buf_u8(&d->data, (uint8_t)samples.p[i]);
	}
	return sl_buf_ok(&d->data) == 0 ? sl_buf_view(&d->data) : SL_STR_NULL;
}

static void put_audio(struct depacket *d, enum sl_codec_id codec, const struct sl_rtp *rtp,
		      uint64_t arrival_ns)
{
	struct sl_str payload = {(const char *)sl_rtp_payload(rtp), rtp->payload_len};

	if (codec == SL_CODEC_L16)
		payload = swapped(d, payload);
	if (codec == SL_CODEC_RED)
		put_red(d, rtp, arrival_ns);
	else if (codec != SL_CODEC_DTMF && codec != SL_CODEC_CN) /* they describe, or say nothing */
		emit_audio(d, codec, rtp->ts, payload, arrival_ns);
}

/* ---- video */

static int close_frame(struct depacket *d)
{
	if (d->head.codec == SL_CODEC_AV1)
		return depacket_av1_close(d);
	if (d->head.codec == SL_CODEC_VP9)
		return depacket_vp9_close(d);
	return d->in_unit ? -SL_EPARSE : 0;
}

static void finish(struct depacket *d)
{
	bool whole = d->open && !d->broken && close_frame(d) == 0 && sl_buf_ok(&d->data) == 0;

	if (whole && d->data.len > 0 &&
	    depacket_is_preface((enum sl_codec_id)d->head.codec, sl_buf_view(&d->data))) {
		d->open = false;
		d->has_preface = true;
		return;
	}
	if (d->open && !whole) {
		d->n_broken++;
		d->wants_key = true;
	} else if (d->open && d->data.len > 0 && (d->head.key || !d->wants_key)) {
		d->wants_key = false;
		d->head.data = sl_buf_view(&d->data);
		d->n_frames++;
		d->emit(d->arg, &d->head);
	}
	reset(d);
}

static int append(struct depacket *d, enum sl_codec_id codec, struct sl_str payload,
		  const struct sl_frame_info *info)
{
	switch (codec) {
	case SL_CODEC_VP8:
		return depacket_vp8(d, payload, info);
	case SL_CODEC_VP9:
		return depacket_vp9(d, payload, info);
	case SL_CODEC_H264:
		return depacket_h264(d, payload);
	case SL_CODEC_H265:
		return depacket_h265(d, payload);
	case SL_CODEC_AV1:
		return depacket_av1(d, payload);
	default:
		return -SL_EPARSE;
	}
}

/* Some senders give parameter sets a marker, or a time, of their own: they belong to the picture
 * behind them. */
static void begin(struct depacket *d, enum sl_codec_id codec, const struct sl_rtp *rtp,
		  uint64_t arrival_ns)
{
	struct frame preface = d->has_preface ? d->head : (struct frame){0};

	if (!d->has_preface || preface.codec != codec || d->data.len > MAX_PREFACE)
		reset(d);
	if (!d->has_preface)
		preface = (struct frame){0};
	d->has_preface = false;
	d->open = true;
	d->head = (struct frame){.codec = (uint8_t)codec,
				 .encoding = d->encoding,
				 .ssrc = d->ssrc,
				 .ts = rtp->ts,
				 .arrival_ns = arrival_ns,
				 .key = preface.key,
				 .width = preface.width,
				 .height = preface.height};
}

static void learn(struct depacket *d, const struct sl_frame_info *info)
{
	d->head.key = d->head.key || info->key;
	if (info->width >= d->head.width && info->height) { /* the highest of several layers */
		d->head.width = info->width;
		d->head.height = info->height;
	}
}

static void put_video(struct depacket *d, enum sl_codec_id codec, const struct sl_rtp *rtp,
		      uint64_t arrival_ns, uint64_t lost)
{
	struct sl_str payload = {(const char *)sl_rtp_payload(rtp), rtp->payload_len};
	struct sl_frame_info info;

	if (lost > 0) {
		if (d->has_preface) /* nobody knows whose it was */
			reset(d);
		d->broken = d->broken || d->open;
		d->wants_key = true;
	}
	if (payload.len == 0)
		return;
	if (d->open && d->head.ts != rtp->ts)
		finish(d);
	if (sl_codec_inspect(d->state, codec, rtp, &info) < 0) {
		d->n_malformed++;
		d->broken = d->broken || d->open;
		d->wants_key = true;
		return;
	}
	if (!d->open) {
		begin(d, codec, rtp, arrival_ns);
		d->broken = !info.begins && d->wants_key && d->data.len == 0; /* no preface */
	}
	d->head.seq = d->seq;
	learn(d, &info);
	if (!d->broken && append(d, codec, payload, &info) < 0) {
		d->n_malformed++;
		d->broken = true;
	}
	if (rtp->marker)
		finish(d);
}

/* ---- both */

void depacket_put(struct depacket *d, enum sl_codec_id codec, const struct sl_rtp *rtp,
		  uint64_t arrival_ns, uint64_t lost)
{
	if (codec != d->codec && sl_codec_kind(codec) == SL_MEDIA_VIDEO) {
		finish(d);
		d->wants_key = true;
		d->codec = (uint8_t)codec;
	}
	if (sl_codec_kind(codec) == SL_MEDIA_AUDIO)
		put_audio(d, codec, rtp, arrival_ns);
	else
		put_video(d, codec, rtp, arrival_ns, lost);
}

void depacket_end(struct depacket *d)
{
	finish(d);
}
