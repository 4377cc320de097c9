/*
 * sip-gateway/leg_out.c: what goes out is one stream of numbers and times, whoever feeds it.
 *
 * A feed has times of its own; when it takes over, its first packet gets the time that has passed
 * on the stream's clock, and a marker. A relayed stream keeps its gaps and its order, so that the
 * listener knows what was lost.
 */
#include "leg_impl.h"

bool leg_may_send(const struct leg *l)
{
	return !l->closed && l->agreed_ns && (l->direction & SL_SDP_SENDONLY) &&
	       l->out_formats.n > 0;
}

uint32_t leg_out_ts(const struct leg *l, uint32_t clock_hz)
{
	uint64_t since_us = (leg_now_ns(l) - l->out.sent_ns) / 1000;

	if (l->out.sent_ns == 0)
		return l->out.ts;
	return l->out.ts + (uint32_t)(since_us * clock_hz / 1000000);
}

static bool is_other_feed(const struct leg_out *o, uintptr_t feed, uint32_t clock_hz)
{
	return o->sent_ns == 0 || o->feed != feed || o->clock_hz != clock_hz;
}

static void take_over(struct leg *l, uintptr_t feed, uint32_t clock_hz, uint32_t ts)
{
	struct leg_out *o = &l->out;

	uint32_t next = leg_out_ts(l, clock_hz);

	if (o->sent_ns && next - o->ts < clock_hz / 50) /* a packet is not shorter, mostly */
		next = o->ts + clock_hz / 50;
	o->ts_offset = next - ts;
	o->feed = feed;
	o->clock_hz = clock_hz;
}

/* ---- on the wire */

struct wire {
	const struct leg_format *format;
	uint16_t seq;
	uint32_t ts;
	bool marker;
	const struct sl_rtp *rtp; /* whose payload it is */
};

static void send_line(struct leg *l, const struct wire *w, struct sl_packet *p)
{
	const struct sl_line_out out = {
		.seq = w->seq,
		.pt = w->format->pt,
		.marker = w->marker,
		.ts = w->ts,
		.payload = {(const char *)sl_rtp_payload(w->rtp), w->rtp->payload_len}};
	int len = sl_line_send(l->line, &out, leg_now_ns(l), p->data);

	if (len < 0)
		return;
	p->len = (uint32_t)len;
	leg_port_send(l, p, false);
}

/* p: ours to seal in; NULL: a new one for what another leg's packet says */
static void send_plain(struct leg *l, const struct wire *w, struct sl_packet *p)
{
	struct sl_packet *fresh = p ? NULL : sl_packet_new(l->all->w);

	if (!p && !fresh)
		return;
	if (w->rtp->payload_len + SL_LINE_OVERHEAD <= SL_PACKET_MAX)
		send_line(l, w, p ? p : fresh);
	if (fresh)
		sl_packet_unref(fresh);
}

static void send_rtc(struct leg *l, const struct wire *w)
{
	const struct sl_rtp_out out = {.src = w->rtp,
				       .ts = w->ts,
				       .seq = w->seq,
				       .pt = w->format->pt,
				       .marker = w->marker};

	if (l->media && sl_rtc_send(l->media, &out) < 0)
		return; /* not connected yet */
}

static void tell_copies(struct leg *l, const struct wire *w)
{
	struct sl_rtp rtp = *w->rtp;

	rtp.seq = w->seq;
	rtp.ts = w->ts;
	rtp.marker = w->marker;
	leg_copy_sent(l, &rtp, w->format);
}

static void emit(struct leg *l, const struct wire *w, struct sl_packet *p)
{
	l->out.ts = w->ts;
	l->out.sent_ns = leg_now_ns(l);
	if (w->format->codec != SL_CODEC_DTMF && w->format->codec != SL_CODEC_CN)
		l->out.codec = w->format->codec;
	if (l->heard_copies)
		tell_copies(l, w);
	if (l->line)
		send_plain(l, w, p);
	else
		send_rtc(l, w);
}

/* ---- feeds */

static void count_seq(struct leg_out *o, uint16_t seq)
{
	if (seq == o->next_seq || sl_seq_after(seq, o->next_seq))
		o->next_seq = (uint16_t)(seq + 1);
}

void leg_relay(struct leg *l, uintptr_t feed, const struct leg_format *format,
	       const struct sl_rtp *rtp, uint64_t seq)
{
	struct leg_out *o = &l->out;
	struct wire w = {.format = format, .marker = rtp->marker, .rtp = rtp};

	if (!leg_may_send(l))
		return;
	if (is_other_feed(o, feed, format->clock_hz)) {
		take_over(l, feed, format->clock_hz, rtp->ts);
		o->seq_offset = o->next_seq - seq;
		o->first_seq = seq;
		w.marker = true;
	}
	if (seq < o->first_seq) /* its number has been used */
		return;
	w.seq = (uint16_t)(seq + o->seq_offset);
	w.ts = rtp->ts + o->ts_offset;
	count_seq(o, w.seq);
	o->encoded = false;
	emit(l, &w, NULL);
}

void leg_relay_skip(struct leg *l, uintptr_t feed, uint64_t seq)
{
	struct leg_out *o = &l->out;

	if (o->feed != feed || seq < o->first_seq)
		return;
	o->seq_offset--;
	o->first_seq = seq + 1;
}

/* The view that sending reads; the header's bytes are written by who seals. */
static struct sl_rtp *view(struct sl_packet *p, uint32_t len)
{
	struct sl_rtp *rtp = sl_packet_rtp(p);

	p->len = SL_RTP_HEADER + len;
	*rtp = (struct sl_rtp){.packet = p,
			       .data = p->data,
			       .len = p->len,
			       .payload_at = SL_RTP_HEADER,
			       .payload_len = (uint16_t)len};
	return rtp;
}

static void send_own(struct leg *l, uintptr_t feed, struct wire *w, const struct leg_made *m,
		     struct sl_packet *p)
{
	struct leg_out *o = &l->out;

	if (!leg_may_send(l))
		return;
	if (is_other_feed(o, feed, m->format->clock_hz)) {
		take_over(l, feed, m->format->clock_hz, m->ts);
		w->marker = true;
	}
	w->seq = o->next_seq++;
	w->ts = m->ts + o->ts_offset;
	o->encoded = true;
	emit(l, w, p);
}

void leg_send_made(struct leg *l, uintptr_t feed, struct sl_packet *p, const struct leg_made *m)
{
	struct wire w = {.format = m->format, .marker = m->marker, .rtp = view(p, m->len)};

	send_own(l, feed, &w, m, p);
}

void leg_send_shared(struct leg *l, uintptr_t feed, const struct sl_rtp *rtp,
		     const struct leg_made *m)
{
	struct wire w = {.format = m->format, .marker = m->marker, .rtp = rtp};

	send_own(l, feed, &w, m, NULL);
}

void leg_send_event(struct leg *l, const struct leg_format *format, uint32_t ts, bool marker,
		    const uint8_t payload[4])
{
	struct wire w = {.format = format, .ts = ts, .marker = marker};
	uint32_t now_ts = leg_out_ts(l, format->clock_hz);
	struct sl_packet *p;

	if (!leg_may_send(l))
		return;
	p = sl_packet_new(l->all->w);
	if (!p)
		return;
	memcpy(p->data + SL_RTP_HEADER, payload, 4);
	w.rtp = view(p, 4);
	w.seq = l->out.next_seq++;
	l->out.feed = 0; /* whoever goes on afterwards begins anew */
	emit(l, &w, p);
	l->out.ts = now_ts; /* time goes on, while an event's stands still */
	sl_packet_unref(p);
}
