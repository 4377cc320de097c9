/*
 * proto/line_feedback.c: what both ends of a line ask of one another by RTCP: key frames (PLI,
 * FIR), packets once more (NACK, RFC 4585), no more than a rate (TMMBR, RFC 5104; REMB).
 *
 * What was not agreed on is not listened to: RTCP without keys is anybody's who knows the address.
 * Key frames are the exception, which telephones ask for unannounced.
 */
#include "proto/line_impl.h"

enum {
	OVERHEAD = 28,	/* of a packet below RTP: UDP over IPv4 (RFC 5104 section 4.2.1.2) */
	MAX_NACKS = 24, /* asked for at once: the worst of them fit beside a report */
};

void sl_line_set_feedback(struct sl_line *l, unsigned feedback)
{
	bool nack = feedback & SL_PLAIN_NACK;

	if (l->recv && nack != (bool)(l->feedback & SL_PLAIN_NACK))
		rtp_recv_set_nack(l->recv, nack);
	l->feedback = feedback;
}

/* ---- theirs */

/* A FIR that is repeated asks for the same frame. */
static bool is_new_fir(struct sl_line *l, const struct sl_rtcp_block *b)
{
	uint32_t ssrc;
	uint8_t seq;

	for (unsigned i = 0; sl_rtcp_read_fir(b, i, &ssrc, &seq) == 0; i++) {
		if (ssrc != l->o.ssrc || (l->fir_heard && seq == l->fir_in))
			continue;
		l->fir_heard = true;
		l->fir_in = seq;
		return true;
	}
	return false;
}

static void read_payload_feedback(struct sl_line *l, const struct sl_rtcp_block *b,
				  struct sl_line_in *in)
{
	uint32_t sender, media;
	bool asks;

	if (sl_rtcp_read_feedback(b, &sender, &media) < 0)
		return;
	asks = (b->count == SL_RTCP_PLI && media == l->o.ssrc) ||
	       (b->count == SL_RTCP_FIR && is_new_fir(l, b));
	in->key_frame |= asks;
	l->stats.key_frames_asked_in += asks;
	if ((l->feedback & SL_PLAIN_REMB) && sl_rtcp_read_remb(b, &in->limit_bps) == 0)
		in->limited = true;
}

static void read_tmmbr(struct sl_line *l, const struct sl_rtcp_block *b, uint32_t sender,
		       struct sl_line_in *in)
{
	uint32_t ssrc;
	uint64_t bps;

	for (unsigned i = 0; sl_rtcp_read_tmmb(b, i, &ssrc, &bps) == 0; i++) {
		if (ssrc != l->o.ssrc)
			continue;
		l->tmmbr_from = sender;
		l->tmmbr_bps = bps;
		in->limited = true;
		in->limit_bps = bps;
	}
}

static void read_transport_feedback(struct sl_line *l, const struct sl_rtcp_block *b,
				    struct sl_line_in *in)
{
	uint32_t sender, media;

	if (sl_rtcp_read_feedback(b, &sender, &media) < 0)
		return;
	if (b->count == SL_RTCP_TMMBR && (l->feedback & SL_PLAIN_TMMBR))
		read_tmmbr(l, b, sender, in);
	if (b->count != SL_RTCP_NACK || media != l->o.ssrc || !(l->feedback & SL_PLAIN_NACK))
		return;
	in->n_missed += sl_rtcp_read_nack(b, in->missed + in->n_missed,
					  SL_LINE_MISSED - in->n_missed);
	l->stats.packets_asked_in += in->n_missed;
}

void line_read_feedback(struct sl_line *l, const struct sl_rtcp_block *b, struct sl_line_in *in)
{
	if (b->type == SL_RTCP_PSFB)
		read_payload_feedback(l, b, in);
	if (b->type == SL_RTCP_RTPFB)
		read_transport_feedback(l, b, in);
}

/* ---- ours */

int sl_line_ask_key_frame(struct sl_line *l, bool fir, uint64_t now_ns, uint8_t *dst)
{
	struct sl_rtcp_writer w;

	if (!l->recv)
		return -SL_ENOENT;
	line_begin_report(l, &w, now_ns, dst);
	if (fir)
		sl_rtcp_put_fir(&w, l->o.ssrc, l->heard_ssrc, l->fir_out++);
	else
		sl_rtcp_put_pli(&w, l->o.ssrc, l->heard_ssrc);
	l->stats.key_frames_asked_out++;
	return line_end_report(l, &w, dst);
}

int sl_line_ask_again(struct sl_line *l, uint64_t now_ns, uint8_t *dst, bool *ret_gave_up)
{
	uint16_t seqs[MAX_NACKS];
	struct sl_rtcp_writer w;
	unsigned n;

	*ret_gave_up = false;
	n = l->recv ? rtp_recv_nacks(l->recv, now_ns, l->stats.rtt_us, seqs, MAX_NACKS, ret_gave_up)
		    : 0;
	if (n == 0)
		return 0;
	line_begin_report(l, &w, now_ns, dst);
	sl_rtcp_put_nack(&w, l->o.ssrc, l->heard_ssrc, seqs, n);
	l->stats.packets_asked_out += n;
	return line_end_report(l, &w, dst);
}

uint64_t sl_line_next_ns(const struct sl_line *l)
{
	return l->recv ? rtp_recv_next_ns(l->recv) : UINT64_MAX;
}

int sl_line_limit(struct sl_line *l, uint64_t bps, uint64_t now_ns, uint8_t *dst)
{
	struct sl_rtcp_writer w;

	if (!(l->feedback & (SL_PLAIN_REMB | SL_PLAIN_TMMBR)))
		return -SL_EUNSUPP;
	if (!l->recv)
		return -SL_ENOENT;
	line_begin_report(l, &w, now_ns, dst);
	if (l->feedback & SL_PLAIN_TMMBR)
		sl_rtcp_put_tmmb(&w, SL_RTCP_TMMBR, l->o.ssrc, l->heard_ssrc, bps, OVERHEAD);
	else
		sl_rtcp_put_remb(&w, l->o.ssrc, bps, &l->heard_ssrc, 1);
	return line_end_report(l, &w, dst);
}

int sl_line_notify_limit(struct sl_line *l, uint64_t now_ns, uint8_t *dst)
{
	struct sl_rtcp_writer w;

	if (l->tmmbr_from == 0)
		return -SL_ENOENT;
	line_begin_report(l, &w, now_ns, dst);
	sl_rtcp_put_tmmb(&w, SL_RTCP_TMMBN, l->o.ssrc, l->tmmbr_from, l->tmmbr_bps, OVERHEAD);
	return line_end_report(l, &w, dst);
}
