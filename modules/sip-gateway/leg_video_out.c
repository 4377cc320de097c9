/*
 * sip-gateway/leg_video_out.c: video that goes to a leg's party: one stream of numbers and times,
 * whoever feeds it: the other party, or one after another of a room.
 *
 * Gaps and order of what feeds it stay, so that the listener knows what was lost. A browser asks
 * again for what it has lost, and is answered from what was sent to it; what was lost before it
 * came here is a gap for it, too, and ends in a request for a key frame.
 */
#include "leg_impl.h"

enum {
	CLOCK_HZ = 90000,
	FRAME_TICKS = CLOCK_HZ / 30, /* what passes at least when another stream takes over */
};

/* ---- on the wire */

/* Where nothing is written anew the payload is sealed from where it stands. -SL_EFULL */
static int put_payload(const struct sl_rtp_out *out, uint8_t *dst, struct sl_str *ret_payload)
{
	int len;

	if (out->cut == 0 && out->patch_len == 0) {
		*ret_payload = (struct sl_str){(const char *)sl_rtp_payload(out->src),
					       out->src->payload_len};
		return out->src->payload_len + SL_LINE_OVERHEAD > SL_PACKET_MAX ? -SL_EFULL : 0;
	}
	len = sl_rtp_out_payload(out, dst, SL_PACKET_MAX - SL_LINE_OVERHEAD);
	if (len < 0)
		return len;
	*ret_payload = (struct sl_str){(const char *)dst, (size_t)len};
	return 0;
}

static void send_plain(struct leg *l, const struct sl_rtp_out *out)
{
	struct sl_line_out to = {
		.seq = out->seq, .pt = out->pt, .marker = out->marker, .ts = out->ts};
	struct sl_packet *p = sl_packet_new(l->all->w);
	int len;

	if (!p)
		return;
	len = put_payload(out, p->data + SL_RTP_HEADER, &to.payload);
	if (len == 0)
		len = sl_line_send(l->video->line, &to, leg_now_ns(l), p->data);
	if (len > 0) {
		p->len = (uint32_t)len;
		leg_port_send_video(l, p, false);
		leg_video_keep(l, p, to.seq);
	}
	sl_packet_unref(p);
}

static void emit(struct leg *l, const struct sl_rtp_out *out)
{
	struct leg_video *v = l->video;

	v->out_stream.ts = out->ts;
	v->out_stream.sent_ns = leg_now_ns(l);
	v->out_stream.bytes += out->src->payload_len;
	if (v->line)
		send_plain(l, out);
	else if (v->media && sl_rtc_send(v->media, out) < 0)
		return; /* not connected yet */
}

/* ---- one stream, whoever feeds it */

static uint32_t time_now(const struct leg *l)
{
	const struct leg_video_out *o = &l->video->out_stream;
	uint64_t since_us = (leg_now_ns(l) - o->sent_ns) / 1000;
	uint32_t passed = (uint32_t)(since_us * CLOCK_HZ / 1000000);

	if (o->sent_ns == 0)
		return o->ts;
	return o->ts + (passed < FRAME_TICKS ? FRAME_TICKS : passed);
}

static void take_over(struct leg *l, uintptr_t feed, uint32_t ts, uint64_t seq)
{
	struct leg_video_out *o = &l->video->out_stream;

	o->ts_offset = time_now(l) - ts;
	o->seq_offset = o->next_seq - seq;
	o->first_seq = seq;
	o->feed = feed;
}

/* Padding, which probes the way, is nothing for the other side. */
static void skip(struct leg_video_out *o, uint64_t seq)
{
	if (seq < o->first_seq)
		return;
	o->seq_offset--;
	o->first_seq = seq + 1;
}

static void pass_on(struct leg *l, const struct sl_rtp_out *in, uint64_t seq)
{
	struct leg_video_out *o = &l->video->out_stream;
	struct sl_rtp_out out = *in;

	if (in->src->payload_len == 0)
		skip(o, seq);
	if (seq < o->first_seq) /* its number has been used */
		return;
	out.seq = (uint16_t)(seq + o->seq_offset);
	out.ts = in->ts + o->ts_offset;
	if (out.seq == o->next_seq || sl_seq_after(out.seq, o->next_seq))
		o->next_seq = (uint16_t)(out.seq + 1);
	emit(l, &out);
}

void leg_video_relay(struct leg *from, struct leg *to, const struct sl_rtp *rtp, uint64_t seq,
		     uint8_t pt)
{
	const struct sl_rtp_out out = {
		.src = rtp, .ts = rtp->ts, .pt = pt, .marker = rtp->marker};
	uintptr_t feed = (uintptr_t)from->video + from->video->stream;

	if (to->video->out_stream.feed != feed) {
		take_over(to, feed, rtp->ts, seq);
		leg_video_ask(from); /* decoding can begin nowhere else */
	}
	to->video->out_stream.codec = from->video->codec_in;
	pass_on(to, &out, seq);
}

/* Its numbers come with 16 bits; those of each track go on from its key frame. */
void leg_video_play(struct leg *l, const struct sl_room_picture *picture, uint8_t pt)
{
	struct leg_video_out *o = &l->video->out_stream;
	struct sl_rtp_out out = *picture->out;
	uint64_t seq;

	if (!out.src) /* a number that the phone takes for lost, as it is */
		return;
	if (o->feed != (uintptr_t)picture->track)
		o->room_seq = (struct sl_unwrap){0};
	seq = sl_unwrap16(&o->room_seq, out.seq);
	if (o->feed != (uintptr_t)picture->track)
		take_over(l, (uintptr_t)picture->track, out.ts, seq);
	out.pt = pt;
	o->codec = picture->codec;
	pass_on(l, &out, seq);
}
