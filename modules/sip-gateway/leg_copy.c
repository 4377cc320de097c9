/*
 * sip-gateway/leg_copy.c: a leg that gets a copy of what another leg's party says or hears, for a
 * recorder (RFC 7866). One more receiver of the same packet, and nothing that waits for it.
 *
 * Packets are copied as they are where the recorder has agreed to their codec; else the copy
 * decodes by itself and encodes what it sends, so that the call's own way is the same with and
 * without it.
 */
#include "leg_impl.h"

static struct leg **list_of(struct leg *from, bool heard)
{
	return heard ? &from->heard_copies : &from->copies;
}

static void let_go(struct leg *l)
{
	struct leg **at = list_of(l->copy_of, l->copies_heard);

	while (*at != l)
		at = &(*at)->copy_next;
	*at = l->copy_next;
	l->copy_of = l->copy_next = NULL;
	l->transcodes = false;
	leg_drop_source(l);
}

void leg_copy_end(struct leg *l)
{
	if (l->copy_of)
		let_go(l);
	while (l->copies)
		let_go(l->copies);
	while (l->heard_copies)
		let_go(l->heard_copies);
}

/* Best is what there is to copy anyhow: `now`, where that is known. */
static void prefer_its_codecs(struct leg *l, const struct leg *from, enum sl_codec_id now)
{
	enum sl_codec_id codecs[LEG_MAX_CODECS], all[2 * LEG_MAX_CODECS];
	unsigned n = 0, n_from = leg_codecs(from, codecs), n_own;

	if (now != SL_CODEC_NONE)
		all[n++] = now;
	for (unsigned i = 0; i < n_from; i++)
		if (n == 0 || codecs[i] != all[0])
			all[n++] = codecs[i];
	n_from = n;
	n_own = leg_wanted_codecs(l, codecs);
	for (unsigned i = 0; i < n_own; i++) {
		bool known = false;

		for (unsigned k = 0; k < n_from; k++)
			known |= all[k] == codecs[i];
		if (!known)
			all[n++] = codecs[i];
	}
	leg_set_codecs(l, all, n);
}

static int begin(struct leg *l, struct leg *from, bool heard)
{
	struct leg **list = list_of(from, heard);

	if (l->copy_of == from && l->copies_heard == heard)
		return 0;
	if (l->copy_of)
		let_go(l);
	l->copy_of = from;
	l->was_copy = true;
	l->copies_heard = heard;
	l->copy_next = *list;
	*list = l;
	return 0;
}

static bool may_copy(const struct leg *l, const struct leg *from)
{
	return !(l == from || l->all != from->all || l->closed || from->closed || l->peer ||
		 from->copy_of);
}

int leg_copy(struct leg *l, struct leg *from, bool its_codecs)
{
	if (!may_copy(l, from))
		return -SL_EINVAL;
	if (its_codecs && !l->agreed_ns)
		prefer_its_codecs(l, from, from->codec_in);
	return begin(l, from, false);
}

int leg_copy_heard(struct leg *l, struct leg *from, bool its_codecs)
{
	if (!may_copy(l, from))
		return -SL_EINVAL;
	if (its_codecs && !l->agreed_ns)
		prefer_its_codecs(l, from, from->out.codec);
	return begin(l, from, true);
}

/* ---- packets */

static void transcode(struct leg *l, const struct sl_rtp *rtp, const struct leg_format *f)
{
	const struct leg_format *out = leg_format_first(&l->out_formats);
	unsigned in_hz = sl_audio_codec_hz(f->codec, f->clock_hz);
	unsigned out_hz = out ? sl_audio_codec_hz(out->codec, out->clock_hz) : 0;

	if (f->codec == SL_CODEC_CN && l->source)
		in_hz = l->source_hz;
	if (in_hz == 0 || out_hz == 0 || !leg_need_source(l, in_hz < out_hz ? in_hz : out_hz))
		return;
	leg_decode(l, rtp, f);
	l->transcodes = true;
	leg_tick_on(l);
}

static void copy_one(struct leg *l, uintptr_t feed, const struct sl_rtp *rtp, uint64_t seq,
		     const struct leg_format *f)
{
	const struct leg_format *out = leg_format_of(&l->out_formats, f->codec, f->clock_hz);

	if (!leg_may_send(l))
		return;
	if (f->codec == SL_CODEC_DTMF || f->codec == SL_CODEC_CN) {
		if (l->transcodes && f->codec == SL_CODEC_CN)
			transcode(l, rtp, f);
		else if (out && !l->transcodes && l->out.clock_hz == f->clock_hz)
			leg_relay(l, feed, out, rtp, seq);
		else if (!l->transcodes)
			leg_relay_skip(l, feed, seq);
		else if (l->source)
			sl_audio_source_note(l->source, rtp->seq);
		return;
	}
	if (!out) {
		transcode(l, rtp, f);
		return;
	}
	if (l->transcodes) {
		l->transcodes = false;
		leg_drop_source(l);
	}
	leg_relay(l, feed, out, rtp, seq);
}

void leg_copy_hear(struct leg *from, uintptr_t feed, const struct sl_rtp *rtp, uint64_t seq,
		   const struct leg_format *f)
{
	for (struct leg *l = from->copies; l; l = l->copy_next)
		copy_one(l, feed, rtp, seq, f);
}

void leg_copy_restart(struct leg *from)
{
	for (struct leg *l = from->copies; l; l = l->copy_next)
		if (l->source)
			sl_audio_source_restart(l->source);
}

/* The packet that goes out is sealed in its place, or is somebody else's: a copy may have to wait
 * in a jitter buffer, so it gets a packet of its own, which came now. */
void leg_copy_sent(struct leg *from, const struct sl_rtp *rtp, const struct leg_format *f)
{
	struct leg_out *o = &from->out;
	struct sl_packet *p = sl_packet_new(from->all->w);
	struct sl_rtp own = *rtp;

	o->told_seq += (uint64_t)(int64_t)(int16_t)(rtp->seq - (uint16_t)o->told_seq);
	if (!p || SL_RTP_HEADER + rtp->payload_len > SL_PACKET_MAX) {
		sl_packet_unref(p);
		return;
	}
	memcpy(p->data + SL_RTP_HEADER, sl_rtp_payload(rtp), rtp->payload_len);
	p->len = SL_RTP_HEADER + rtp->payload_len;
	p->time_ns = leg_now_ns(from);
	own.packet = p;
	own.data = p->data;
	own.len = p->len;
	own.payload_at = SL_RTP_HEADER;
	own.ext_at = 0;
	own.padding = 0;
	for (struct leg *l = from->heard_copies; l; l = l->copy_next)
		copy_one(l, (uintptr_t)o, &own, o->told_seq, f);
	sl_packet_unref(p);
}

/* Of one whose signalling has died, nobody else finds out that there is nothing left to copy. */
void leg_copy_second(struct leg *l)
{
	if (l->was_copy && !l->copy_of)
		leg_tell_state(l, LEG_SILENT, "there is nothing to copy");
}
