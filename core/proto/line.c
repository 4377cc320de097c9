/*
 * proto/line.c: plain RTP with one party: the way of a packet in and out.
 *
 * In: looked at, then opened by the keys, then its source is checked (an authenticated packet is
 * its own proof), then counted. What is heard before a source has proven itself is passed on all
 * the same, so that the first word is not lost. Out: one SSRC for the line's life.
 */
#include "proto/line_impl.h"

#include <sluice/clock.h>
#include <sluice/crypto.h>

#include <stdlib.h>

enum { RTCP_FIRST = 64, RTCP_LAST = 95 };

int sl_line_new(struct sl_line **ret_line, const struct sl_line_opts *o)
{
	struct sl_line *l = calloc(1, sizeof *l);

	if (!l)
		return -SL_ENOMEM;
	l->o = *o;
	(void)sl_str_copy(l->cname, sizeof l->cname, o->cname); /* cut */
	*ret_line = l;
	return 0;
}

static void drop_keys(struct sl_line *l)
{
	srtp_in_free(l->in);
	srtp_out_free(l->out);
	l->in = NULL;
	l->out = NULL;
	sl_wipe(&l->local, sizeof l->local);
	sl_wipe(&l->remote, sizeof l->remote);
}

void sl_line_free(struct sl_line *l)
{
	if (!l)
		return;
	drop_keys(l);
	rtp_recv_free(l->recv);
	free(l);
}

/* ---- what was described */

void sl_line_set_remote(struct sl_line *l, const struct sl_line_remote *r)
{
	latch_describe(&l->latch, &r->rtp, r->strict);
	if (!sl_addr_eq(&l->rtcp_described, &r->rtcp))
		l->rtcp_heard = (struct sl_addr){0};
	l->rtcp_described = r->rtcp;
	l->mux = r->mux;
}

void sl_line_set_format(struct sl_line *l, uint8_t pt, uint32_t clock_hz)
{
	if (pt < LINE_N_PTS)
		l->clock_of[pt] = clock_hz;
}

void sl_line_clear_formats(struct sl_line *l)
{
	memset(l->clock_of, 0, sizeof l->clock_of);
}

static void key_of(struct srtp_key *dst, const struct sl_sdes *k)
{
	memcpy(dst->key, k->key, sizeof dst->key);
	memcpy(dst->salt, k->salt, sizeof dst->salt);
}

static bool same_key(const struct sl_sdes *a, const struct sl_sdes *b)
{
	return a->profile == b->profile && sl_mem_eq(a->key, b->key, sizeof a->key) &&
	       sl_mem_eq(a->salt, b->salt, sizeof a->salt);
}

static int set_remote_key(struct sl_line *l, const struct sl_sdes *k)
{
	struct srtp_key key;
	struct srtp_in *in;
	int err;

	if (l->in && same_key(&l->remote, k))
		return 0;
	key_of(&key, k);
	err = srtp_in_new(&in, k->profile, &key);
	sl_wipe(&key, sizeof key);
	if (err < 0)
		return err;
	srtp_in_free(l->in);
	l->in = in;
	l->remote = *k;
	return 0;
}

/* The stream's roll-over counter begins anew with a key (RFC 3711 section 3.3.1). */
static int set_local_key(struct sl_line *l, const struct sl_sdes *k)
{
	struct srtp_key key;
	struct srtp_out *out;
	int err;

	if (l->out && same_key(&l->local, k))
		return 0;
	key_of(&key, k);
	err = srtp_out_new(&out, k->profile, &key);
	sl_wipe(&key, sizeof key);
	if (err < 0)
		return err;
	srtp_out_free(l->out);
	l->out = out;
	l->local = *k;
	l->out_stream = (struct srtp_out_stream){0};
	return 0;
}

int sl_line_set_keys(struct sl_line *l, const struct sl_sdes *local, const struct sl_sdes *remote)
{
	int err;

	if (!local || !remote) {
		drop_keys(l);
		return 0;
	}
	err = set_remote_key(l, remote);
	return err < 0 ? err : set_local_key(l, local);
}

/* ---- RTCP in */

static void read_reports(struct sl_line *l, const struct sl_rtcp_block *b, uint32_t ntp_mid)
{
	struct sl_rtcp_report r;

	for (unsigned i = 0; sl_rtcp_read_report(b, i, &r) == 0; i++) {
		uint32_t rtt = ntp_mid - r.lsr - r.dlsr;

		if (r.ssrc != l->o.ssrc)
			continue;
		l->stats.reported = true;
		l->stats.fraction_lost_out = r.fraction_lost;
		l->stats.lost_out = r.lost > 0 ? (uint32_t)r.lost : 0;
		if (l->out_clock)
			l->stats.jitter_out_us =
				(uint32_t)((uint64_t)r.jitter * 1000000 / l->out_clock);
		if (r.lsr && rtt < 10 << 16) /* more than 10 s is a clock that was set */
			l->stats.rtt_us = (uint32_t)(((uint64_t)rtt * 1000000) >> 16);
	}
}

static void read_sr(struct sl_line *l, const struct sl_rtcp_block *b, uint64_t now_ns)
{
	struct sl_rtcp_sr sr;

	if (sl_rtcp_read_sr(b, &sr) < 0 || !l->recv || sr.ssrc != l->heard_ssrc)
		return;
	rtp_recv_sr(l->recv, &sr, now_ns);
	l->sr_ntp = sr.ntp;
	l->sr_ts = sr.ts;
}

/* ---- our NTP clock, which runs as now_ns does: see sl_line_report */

static uint32_t mid_ntp(uint64_t ntp)
{
	return (uint32_t)(ntp >> 16);
}

static enum sl_line_verdict drop(uint64_t *count)
{
	++*count;
	return SL_LINE_DROP;
}

static enum sl_line_verdict receive_rtcp(struct sl_line *l, struct sl_line_in *in, uint8_t *data,
					 size_t len, const struct sl_addr *from, uint64_t now_ns)
{
	struct sl_rtcp_block b = {0};
	const struct sl_addr *media = latch_to(&l->latch);

	if (l->in && srtp_open_rtcp(l->in, data, &len) < 0)
		return drop(&l->stats.malformed);
	if (!l->in && !sl_addr_same_ip(media, from) && !sl_addr_eq(&l->rtcp_described, from))
		return drop(&l->stats.strangers);
	if (sl_rtcp_check(data, len) < 0)
		return drop(&l->stats.malformed);
	if (!l->mux)
		l->rtcp_heard = *from;
	while (sl_rtcp_next(data, len, &b)) {
		if (b.type == SL_RTCP_SR)
			read_sr(l, &b, now_ns);
		if (b.type == SL_RTCP_SR || b.type == SL_RTCP_RR)
			read_reports(l, &b, mid_ntp(sl_ntp_of_ns(now_ns)));
		line_read_feedback(l, &b, in);
	}
	in->rtcp = (struct sl_str){(const char *)data, len};
	return SL_LINE_RTCP;
}

/* ---- RTP in */

static void forget_stream(struct sl_line *l)
{
	struct rtp_recv_stats s;

	if (!l->recv)
		return;
	rtp_recv_get_stats(l->recv, &s);
	l->lost_before += s.lost;
	rtp_recv_free(l->recv);
	l->recv = NULL;
	if (l->in)
		srtp_in_forget(l->in, l->heard_ssrc);
	l->sr_ntp = 0;
}

/* The counters of the stream that is heard; another SSRC or clock is another stream. */
static int follow(struct sl_line *l, const struct sl_rtp *rtp, bool *ret_restarted)
{
	uint32_t clock_hz = l->clock_of[rtp->pt];
	int err;

	*ret_restarted = false;
	if (l->recv && l->heard_ssrc == rtp->ssrc)
		return 0;
	forget_stream(l);
	err = rtp_recv_new(&l->recv, rtp->ssrc, clock_hz, l->feedback & SL_PLAIN_NACK);
	if (err < 0)
		return err;
	l->heard_ssrc = rtp->ssrc;
	l->heard_clock = clock_hz;
	*ret_restarted = true;
	return 0;
}

static enum sl_line_verdict take(struct sl_line *l, struct sl_line_in *in, uint64_t now_ns)
{
	enum rtp_recv_verdict verdict;

	if (follow(l, &in->rtp, &in->restarted) < 0)
		return drop(&l->stats.malformed);
	verdict = rtp_recv_packet(l->recv, &in->rtp, false, now_ns, &in->seq);
	if (verdict == RTP_DUPLICATE || verdict == RTP_TOO_OLD)
		return drop(&l->stats.duplicates);
	in->restarted |= verdict == RTP_JUMPED;
	l->stats.packets_in++;
	l->stats.bytes_in += in->rtp.len;
	l->stats.last_in_ns = now_ns;
	return SL_LINE_RTP;
}

static enum sl_line_verdict receive_rtp(struct sl_line *l, struct sl_line_in *in, uint8_t *data,
					size_t len, const struct sl_addr *from, uint64_t now_ns)
{
	struct latch_packet p = {.from = from, .authentic = l->in != NULL};
	enum latch_verdict verdict;

	if (l->in && srtp_open_rtp(l->in, data, &len) < 0)
		return drop(&l->stats.malformed);
	if (sl_rtp_parse(&in->rtp, data, len) < 0 || l->clock_of[in->rtp.pt] == 0)
		return drop(&l->stats.malformed);
	p.ssrc = in->rtp.ssrc;
	p.seq = in->rtp.seq;
	verdict = latch_packet(&l->latch, &p, now_ns);
	if (verdict == LATCH_STRANGER)
		return drop(&l->stats.strangers);
	in->latched = verdict == LATCH_MOVED;
	return take(l, in, now_ns);
}

enum sl_line_verdict sl_line_receive(struct sl_line *l, struct sl_line_in *ret_in, uint8_t *data,
				     size_t len, const struct sl_addr *from, bool on_rtcp_port,
				     uint64_t now_ns)
{
	unsigned pt;

	*ret_in = (struct sl_line_in){0};
	if (len < 8 || data[0] >> 6 != 2)
		return drop(&l->stats.malformed);
	pt = data[1] & 127; /* RFC 5761 section 4 */
	if (on_rtcp_port || (pt >= RTCP_FIRST && pt <= RTCP_LAST))
		return receive_rtcp(l, ret_in, data, len, from, now_ns);
	return receive_rtp(l, ret_in, data, len, from, now_ns);
}

/* ---- out */

const struct sl_addr *sl_line_rtp_to(const struct sl_line *l)
{
	return latch_to(&l->latch);
}

const struct sl_addr *sl_line_rtcp_to(const struct sl_line *l)
{
	if (l->mux)
		return latch_to(&l->latch);
	return l->rtcp_heard.family ? &l->rtcp_heard : &l->rtcp_described;
}

bool sl_line_is_mux(const struct sl_line *l)
{
	return l->mux;
}

int sl_line_send(struct sl_line *l, const struct sl_line_out *out, uint64_t now_ns, uint8_t *dst)
{
	const uint8_t *payload = (const uint8_t *)out->payload.p;
	int len = (int)(SL_RTP_HEADER + out->payload.len);

	dst[0] = 0x80;
	dst[1] = (uint8_t)((out->marker ? 0x80 : 0) | (out->pt & 127));
	sl_put16(dst + 2, out->seq);
	sl_put32(dst + 4, out->ts);
	sl_put32(dst + 8, l->o.ssrc);
	if (l->out)
		len = srtp_seal_rtp(l->out, &l->out_stream, dst, SL_RTP_HEADER, payload,
				    out->payload.len);
	else if (payload != dst + SL_RTP_HEADER)
		memmove(dst + SL_RTP_HEADER, payload, out->payload.len);
	if (len < 0)
		return len;
	if (l->clock_of[out->pt & 127])
		l->out_clock = l->clock_of[out->pt & 127];
	l->out_ts = out->ts;
	l->out_ns = now_ns;
	l->stats.packets_out++;
	l->stats.bytes_out += out->payload.len;
	return len;
}

static uint32_t ts_at(const struct sl_line *l, uint64_t now_ns)
{
	uint64_t since_us = (now_ns - l->out_ns) / 1000;

	return l->out_ts + (uint32_t)(since_us * l->out_clock / 1000000);
}

/*
 * The NTP time in our reports is that of now_ns, not of the wall: what a peer sends back of it is
 * only ever subtracted from it (section 6.4.1 allows any such clock). The wall's would jump when it
 * is set.
 */
void line_begin_report(struct sl_line *l, struct sl_rtcp_writer *w, uint64_t now_ns, uint8_t *dst)
{
	struct sl_rtcp_sr sr = {.ssrc = l->o.ssrc,
				.ntp = sl_ntp_of_ns(now_ns),
				.ts = ts_at(l, now_ns + l->lag_ns),
				.packets = (uint32_t)l->stats.packets_out,
				.bytes = (uint32_t)l->stats.bytes_out};
	struct sl_rtcp_report report;

	if (l->recv)
		rtp_recv_report(l->recv, now_ns, &report);
	sl_rtcp_begin(w, dst, SL_LINE_RTCP_MAX - SL_LINE_OVERHEAD);
	sl_rtcp_put_report(w, l->o.ssrc, l->stats.packets_out > 0 ? &sr : NULL, &report,
			   l->recv ? 1 : 0);
	sl_rtcp_put_cname(w, l->o.ssrc, sl_str_c(l->cname));
}

int line_end_report(struct sl_line *l, struct sl_rtcp_writer *w, uint8_t *dst)
{
	int len = sl_rtcp_end(w);

	return len > 0 ? sl_line_seal_report(l, dst, (size_t)len) : len;
}

int sl_line_draft_report(struct sl_line *l, uint64_t now_ns, bool bye, uint8_t *dst)
{
	struct sl_rtcp_writer w;

	line_begin_report(l, &w, now_ns, dst);
	if (bye)
		sl_rtcp_put_bye(&w, &l->o.ssrc, 1);
	return sl_rtcp_end(&w);
}

int sl_line_seal_report(struct sl_line *l, uint8_t *dst, size_t len)
{
	return l->out ? srtp_seal_rtcp(l->out, dst, len) : (int)len;
}

int sl_line_report(struct sl_line *l, uint64_t now_ns, bool bye, uint8_t *dst)
{
	int len = sl_line_draft_report(l, now_ns, bye, dst);

	return len > 0 ? sl_line_seal_report(l, dst, (size_t)len) : len;
}

/* ---- statistics */

void sl_line_get_stats(const struct sl_line *l, struct sl_line_stats *ret_stats)
{
	struct rtp_recv_stats s;

	*ret_stats = l->stats;
	ret_stats->lost_in = l->lost_before;
	if (!l->recv)
		return;
	rtp_recv_get_stats(l->recv, &s);
	ret_stats->lost_in += s.lost;
	ret_stats->jitter_in_us = s.jitter_us;
}

struct sl_str sl_line_cname(const struct sl_line *l)
{
	return sl_str_c(l->cname);
}

void sl_line_set_lag(struct sl_line *l, uint64_t ns)
{
	l->lag_ns = ns;
}

void sl_line_clock(const struct sl_line *l, uint64_t *ret_ntp, uint32_t *ret_ts)
{
	*ret_ntp = l->sr_ntp;
	*ret_ts = l->sr_ts;
}
