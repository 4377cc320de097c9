/*
 * session/rtc_send.c: RTP to the peer: what leaves when, and what is kept by reference for
 * retransmission. rtc_seal.c writes the packets.
 *
 * History and pacer hold references to the plain packet that all receivers share, so that nothing
 * is copied twice, and a retransmission is sealed anew like a first packet.
 */
#include "session/rtc_impl.h"

#include <stdlib.h>

enum {
	MIN_REPEAT_MS = 10, /* a packet is not repeated more often, whatever is asked */
	TELL_ESTIMATE_MS = 200,
};

/* ---- on the wire */

/* Media belongs to the cluster that it leaves with: it would be half as fast again otherwise. */
static void count_cluster(struct sl_rtc *c, uint32_t bytes)
{
	if (c->probe == 0)
		return;
	c->probe_left = c->probe_left > bytes ? c->probe_left - bytes : 0;
	c->probe_next_ns += (uint64_t)bytes * 8 * SL_NS_PER_S / (c->probe_bps + 1);
}

/* Bytes that left; 0: nothing did. */
static uint32_t emit(struct sl_rtc_media *m, const struct sl_rtp_out *out,
		     const struct rtc_shape *shape)
{
	struct sl_rtc *c = m->c;
	struct sl_packet *p = rtc_seal(m, out, shape);
	uint32_t len;

	if (!p) {
		rtc_count(c, RTC_no_packet);
		return 0;
	}
	rtc_path_send(c, p);
	len = p->len;
	sl_packet_unref(p);
	if (m->j->ext_out.id[SL_RTP_EXT_TWCC]) {
		bwe_sent(c->bwe, c->twcc_seq++, len + SL_RTC_OVERHEAD, c->probe, rtc_now_ns(c));
		count_cluster(c, len + SL_RTC_OVERHEAD);
	}
	m->out.pt = out->pt;
	m->out.packets++;
	m->out.bytes += len;
	c->session->stats->packets_out++;
	c->session->stats->bytes_out += len;
	sl_count(&c->host->meters[RTC_rtp_out]);
	sl_count_n(&c->host->meters[RTC_rtp_out_bytes], len);
	return len;
}

/* ---- history */

static struct rtc_sent *new_history(void)
{
	const size_t bytes = RTC_HISTORY * sizeof(struct rtc_sent);
	void *history = aligned_alloc(RTC_CACHE_LINE, bytes);

	return history ? memset(history, 0, bytes) : NULL;
}

static struct rtc_sent *place_of(const struct sl_rtc_media *m, uint16_t seq)
{
	return &m->out.history[seq & (RTC_HISTORY - 1)];
}

static void remember(struct sl_rtc_media *m, const struct sl_rtp_out *out)
{
	struct rtc_sent *s;

	if (m->j->kind != SL_MEDIA_VIDEO || !out->src->packet)
		return;
	if (!m->out.history)
		m->out.history = new_history();
	if (!m->out.history)
		return; /* does without */
	s = place_of(m, out->seq);
	sl_packet_ref(out->src->packet);
	if (s->out.src)
		sl_packet_unref(s->out.src->packet);
	s->out = *out;
	s->sent_ns = rtc_now_ns(m->c);
}

void rtc_send_free(struct sl_rtc_media *m)
{
	for (unsigned i = 0; m->out.history && i < RTC_HISTORY; i++)
		if (m->out.history[i].out.src)
			sl_packet_unref(m->out.history[i].out.src->packet);
	free(m->out.history);
	m->out.history = NULL;
}

/* ---- first time, again */

static uint8_t rtx_pt_of(const struct sl_rtc_media *m, uint8_t pt)
{
	unsigned i = m->codec_of_pt[pt & 127];

	return i > 0 && m->j->ours.rtx ? m->j->codecs[i - 1].rtx_pt : 0;
}

/*
 * Each number only once: a second packet under it would be sealed with the same key stream. What is
 * too old to know counts as used.
 */
static bool take_number(struct rtc_out *o, uint16_t seq)
{
	uint16_t ahead = (uint16_t)(seq - o->top_seq), back = (uint16_t)(o->top_seq - seq);

	if (o->used == 0 || (ahead > 0 && ahead < 0x8000)) {
		o->used = o->used && ahead < 64 ? o->used << ahead | 1 : 1;
		o->top_seq = seq;
		return true;
	}
	if (back >= 64 || (o->used & UINT64_C(1) << back))
		return false;
	o->used |= UINT64_C(1) << back;
	return true;
}

static void send_first(struct sl_rtc_media *m, const struct sl_rtp_out *out)
{
	const struct rtc_shape shape = {.ssrc = m->j->ours.media, .seq = out->seq, .pt = out->pt};

	if (!take_number(&m->out, out->seq)) {
		rtc_count(m->c, RTC_numbers_reused);
		return;
	}
	if (emit(m, out, &shape) > 0 && out->src)
		remember(m, out);
}

/* As RTX only: the same number again, with another send time in its header, would be sealed with
 * the key stream of the first. */
static void send_repeat(struct sl_rtc_media *m, const struct sl_rtp_out *out)
{
	const struct rtc_shape rtx = {.ssrc = m->j->ours.rtx,
				      .seq = m->out.rtx_seq,
				      .pt = rtx_pt_of(m, out->pt),
				      .rtx = true};

	if (!rtx.pt)
		return;
	m->out.rtx_seq++;
	if (emit(m, out, &rtx) == 0)
		return;
	m->out.retransmitted++;
	rtc_count(m->c, RTC_retransmitted);
}

static void send_now(struct sl_rtc_media *m, const struct sl_rtp_out *out, bool again)
{
	if (again)
		send_repeat(m, out);
	else
		send_first(m, out);
}

/* ---- pacing */

static uint32_t wire_bytes(const struct sl_rtp_out *out)
{
	return (out->src ? out->src->payload_len : RTC_PADDING_BYTES) + SL_RTP_HEADER +
	       SL_RTC_OVERHEAD + 20; /* extensions, roughly */
}

static void free_paced(struct sl_rtc *c, struct rtc_paced *w)
{
	if (w->packet)
		sl_packet_unref(w->packet);
	sl_slab_put(c->host->paced, w);
}

static void drain(struct sl_rtc *c)
{
	struct pacer_item *item;

	while ((item = pacer_pop(&c->pacer, rtc_now_ns(c)))) {
		struct rtc_paced *w = SL_CONTAINER(item, struct rtc_paced, item);

		send_now(w->media, &w->out, w->retransmission);
		free_paced(c, w);
	}
}

static int enqueue(struct sl_rtc_media *m, const struct sl_rtp_out *out, bool again)
{
	struct sl_rtc *c = m->c;
	struct rtc_paced *w = sl_slab_get(c->host->paced);

	if (!w)
		return -SL_EFULL;
	*w = (struct rtc_paced){
		.item = {.bytes = wire_bytes(out),
			 .class_ = again ? PACER_RETRANSMISSION : PACER_VIDEO},
		.media = m,
		.packet = out->src ? out->src->packet : NULL,
		.out = *out,
		.retransmission = again,
	};
	if (w->packet)
		sl_packet_ref(w->packet);
	pacer_push(&c->pacer, &w->item, rtc_now_ns(c));
	return 0;
}

/* Most packets find nothing in front of them: they are not queued, and make nothing due earlier. */
static int pace(struct sl_rtc_media *m, const struct sl_rtp_out *out, bool again)
{
	struct sl_rtc *c = m->c;
	int rc;

	if (pacer_pass(&c->pacer, wire_bytes(out), rtc_now_ns(c))) {
		send_now(m, out, again);
		return 0;
	}
	if (!again && pacer_queue_ms(&c->pacer) > RTC_PACER_MS) {
		rtc_count(c, RTC_pacer_dropped);
		return -SL_EFULL;
	}
	rc = enqueue(m, out, again);
	if (rc < 0)
		return rc;
	drain(c);
	rtc_touch(c);
	return 0;
}

void rtc_send_forget(struct sl_rtc *c, const struct sl_rtc_media *m)
{
	struct pacer_item *keep = NULL, **tail = &keep, *item;

	while ((item = pacer_take(&c->pacer))) {
		struct rtc_paced *w = SL_CONTAINER(item, struct rtc_paced, item);

		if (!m || w->media == m) {
			free_paced(c, w);
			continue;
		}
		item->next = NULL;
		*tail = item;
		tail = &item->next;
	}
	while ((item = keep)) {
		keep = item->next;
		pacer_push(&c->pacer, item, rtc_now_ns(c));
	}
}

/* c and m may not have come yet; all that hangs on them is asked for at once. */
void sl_rtc_send_soon(const struct sl_rtc_media *m)
{
	const struct sl_rtc *c = m->c;

	__builtin_prefetch((const uint8_t *)c + RTC_CACHE_LINE);
	__builtin_prefetch((const uint8_t *)c + 2 * RTC_CACHE_LINE);
	if (m->out.history)
		__builtin_prefetch(place_of(m, (uint16_t)(m->out.top_seq + 1)), 1);
	__builtin_prefetch(&m->j->ext_out);
	if (c->out)
		srtp_seal_soon(c->out);
	if (c->selected)
		__builtin_prefetch(c->selected->flow);
	__builtin_prefetch(c->session->stats, 1);
}

int sl_rtc_send(struct sl_rtc_media *m, const struct sl_rtp_out *out)
{
	struct sl_rtc *c = m->c;

	if (!c->out || !c->selected || c->closing)
		return -SL_EAGAIN;
	if (m->j->kind == SL_MEDIA_VIDEO)
		return pace(m, out, false);
	send_first(m, out);
	pacer_spent(&c->pacer, wire_bytes(out));
	return 0;
}

/*
 * What is repeated has to fit into the pace together with all else. A path that is full loses most
 * of what comes, and to repeat all that would keep it full; what is held back is asked for again.
 */
static bool may_repeat(const struct sl_rtc *c)
{
	struct bwe_state s;

	bwe_state(c->bwe, &s);
	return s.sent_bps < s.pace_bps && pacer_queue_ms(&c->pacer) < RTC_PACER_MS;
}

void rtc_send_again(struct sl_rtc_media *m, uint16_t seq)
{
	struct sl_rtc *c = m->c;
	uint64_t now = rtc_now_ns(c), pause = (uint64_t)c->rtt_us * 1000;
	struct rtc_sent *s;

	if (!m->out.history || !c->out || !c->selected)
		return;
	s = place_of(m, seq);
	if (pause < (uint64_t)MIN_REPEAT_MS * SL_NS_PER_MS)
		pause = (uint64_t)MIN_REPEAT_MS * SL_NS_PER_MS;
	if (!s->out.src || s->out.seq != seq || now - s->sent_ns < pause)
		return;
	if (!may_repeat(c)) {
		rtc_count(c, RTC_repeats_held);
		return;
	}
	s->sent_ns = now;
	(void)pace(m, &s->out, true); /* lost again, asked again */
}

/* ---- rate and probes */

/* Padding goes where retransmissions go: it disturbs no decoder's sequence. */
static struct sl_rtc_media *padding_section(const struct sl_rtc *c)
{
	for (unsigned i = 0; i < c->n_media; i++) {
		struct sl_rtc_media *m = c->media[i];

		if (m->ours && m->j->kind == SL_MEDIA_VIDEO && m->j->ours.rtx &&
		    m->out.packets > 0 && m->j->n_codecs > 0 && m->j->codecs[0].rtx_pt &&
		    m->j->ext_out.id[SL_RTP_EXT_TWCC])
			return m;
	}
	return NULL;
}

/* Bytes sent; 0: there was no room */
static uint32_t send_padding(struct sl_rtc_media *m)
{
	const struct sl_rtp_out out = {.ts = m->out.clock.ts};
	const struct rtc_shape shape = {.ssrc = m->j->ours.rtx,
					.seq = m->out.rtx_seq++,
					.pt = m->j->codecs[0].rtx_pt,
					.rtx = true};

	return emit(m, &out, &shape);
}

/* A cluster leaves at its own rate, a few packets a millisecond; it ends early where the section
 * that carries it goes in the middle of it. */
static void probe(struct sl_rtc *c, const struct bwe_state *s)
{
	struct sl_rtc_media *m = padding_section(c);
	uint64_t now = rtc_now_ns(c);

	if (s->probe != 0 && s->probe != c->probe) {
		c->probe = s->probe;
		c->probe_bps = s->probe_bps;
		c->probe_left = s->probe_bytes;
		c->probe_next_ns = now;
	}
	if (!m)
		c->probe_left = 0;
	while (c->probe != 0 && c->probe_left > 0 && c->probe_next_ns <= now)
		if (send_padding(m) == 0)
			c->probe_left = 0; /* its result will be too little, and not be used */
	if (c->probe_left == 0)
		c->probe = 0;
}

static bool changed_much(uint64_t a, uint64_t b)
{
	uint64_t d = a > b ? a - b : b - a;

	return d * 32 > b;
}

void rtc_tell_estimate(struct sl_rtc *c)
{
	uint64_t now = rtc_now_ns(c);
	struct bwe_state s;

	bwe_state(c->bwe, &s);
	if (s.rtt_us)
		c->rtt_us = s.rtt_us;
	pacer_set_rate(&c->pacer, s.pace_bps, now);
	if (!changed_much(s.target_bps, c->estimate.target_bps) &&
	    now - c->estimate_told_ns < (uint64_t)TELL_ESTIMATE_MS * SL_NS_PER_MS)
		return;
	c->estimate = (struct sl_rtc_estimate){.target_bps = s.target_bps,
					       .rtt_us = c->rtt_us,
					       .loss_permille = s.loss_permille,
					       .queue_us = s.queue_us};
	c->estimate_told_ns = now;
	c->session->stats->rtt_us = c->rtt_us;
	if (c->handler->estimate && c->state == SL_RTC_CONNECTED)
		c->handler->estimate(c->arg, c, &c->estimate);
}

/* All that is wanted goes out as it comes: how little that is says nothing about the way. */
static bool is_app_limited(const struct sl_rtc *c)
{
	struct bwe_state s;

	bwe_state(c->bwe, &s);
	return c->wanted_bps < s.target_bps && pacer_queue_ms(&c->pacer) == 0;
}

void rtc_send_tick(struct sl_rtc *c)
{
	struct bwe_state s;

	if (!c->out || !c->selected)
		return;
	bwe_set_app_limited(c->bwe, is_app_limited(c), rtc_now_ns(c));
	c->bwe_next_ns = bwe_tick(c->bwe, rtc_now_ns(c));
	drain(c);
	bwe_state(c->bwe, &s);
	probe(c, &s);
	rtc_tell_estimate(c);
}

uint64_t rtc_send_next_ns(const struct sl_rtc *c)
{
	uint64_t due = pacer_next_ns(&c->pacer);

	if (!c->out || !c->selected)
		return UINT64_MAX;
	if (c->bwe_next_ns < due)
		due = c->bwe_next_ns;
	if (c->probe_left > 0 && c->probe_next_ns < due)
		due = c->probe_next_ns;
	return due;
}

/* ---- what callers say and ask */

void sl_rtc_set_wanted(struct sl_rtc *c, uint64_t bps)
{
	c->wanted_bps = bps;
	bwe_set_wanted(c->bwe, bps);
}

void sl_rtc_get_estimate(const struct sl_rtc *c, struct sl_rtc_estimate *ret_estimate)
{
	*ret_estimate = c->estimate;
}

void sl_rtc_set_clock(struct sl_rtc_media *m, const struct sl_rtc_clock *clock)
{
	m->out.clock = *clock;
	m->out.clock_ns = rtc_now_ns(m->c);
}
