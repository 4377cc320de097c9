/*
 * proto/rtp_recv.c: what a receiver knows of one RTP stream (RFC 3550 appendices A.1, A.3, A.8).
 *
 * The place of a packet is its distance to the highest number so far. Behind it lies a window in
 * which each number is known as seen or not; far from it a packet is stray, unless the next one
 * follows it: then the sender has begun anew. Reports tell what the network loses: what came as a
 * retransmission in a stream of its own was lost once and does not count as received.
 */
#include "proto/rtp_recv.h"

#include <stdlib.h>
#include "proto/nack.h"

_Static_assert((int)RTP_RECV_NACKS == NACK_MAX && (int)RTP_RECV_NACK_TRIES == NACK_TRIES,
	       "two names of one limit");

enum {
	MAX_DROPOUT = 3000, /* A.1: a gap that is only a gap */
	WINDOW_WORDS = RTP_RECV_WINDOW / 64,
	MAX_TRANSIT_S = 5, /* a step of the sender's clock is not jitter */
	BROKEN_PACKETS = 16, /* missing at once after such a silence: the way itself was gone */
};

static const uint64_t broken_ns = UINT64_C(200000000);

struct rtp_recv {
	uint32_t ssrc, clock_hz;
	bool nack, started;
	uint64_t base, highest;	     /* unwrapped; base: of the first packet since a start */
	uint64_t newest_ns;	     /* when highest came */
	uint64_t seen[WINDOW_WORDS]; /* bit seq % RTP_RECV_WINDOW, of the window up to highest */
	bool has_stray;		     /* a packet from afar has come */
	uint16_t after_stray;	     /* and this number would confirm it */
	uint64_t received;	     /* since base, without recovered */
	uint64_t expected_before, received_before; /* at the last report */
	uint64_t lost_before_jumps;
	bool has_transit;
	uint32_t transit;   /* arrival minus timestamp, in units of the clock */
	uint32_t jitter_16; /* 16 times */
	bool has_sr;
	struct sl_rtcp_sr sr;
	uint64_t sr_ns;
	struct rtp_recv_stats stats;
	struct nack_list nacks;
};

int rtp_recv_new(struct rtp_recv **ret_r, uint32_t ssrc, uint32_t clock_hz, bool nack)
{
	struct rtp_recv *r = calloc(1, sizeof *r);

	if (!r)
		return -SL_ENOMEM;
	r->ssrc = ssrc;
	r->clock_hz = clock_hz > 0 ? clock_hz : 90000;
	r->nack = nack;
	*ret_r = r;
	return 0;
}

void rtp_recv_free(struct rtp_recv *r)
{
	free(r);
}

void rtp_recv_set_nack(struct rtp_recv *r, bool nack)
{
	r->nack = nack;
	if (!nack)
		nack_skip_below(&r->nacks, UINT64_MAX);
}

/* ---- the window */

static bool is_seen(const struct rtp_recv *r, uint64_t seq)
{
	return r->seen[seq % RTP_RECV_WINDOW / 64] >> seq % 64 & 1;
}

static void mark_seen(struct rtp_recv *r, uint64_t seq)
{
	r->seen[seq % RTP_RECV_WINDOW / 64] |= UINT64_C(1) << seq % 64;
}

static void mark_unseen(struct rtp_recv *r, uint64_t seq)
{
	r->seen[seq % RTP_RECV_WINDOW / 64] &= ~(UINT64_C(1) << seq % 64);
}

static void move_window(struct rtp_recv *r, uint64_t highest)
{
	if (highest - r->highest >= RTP_RECV_WINDOW)
		memset(r->seen, 0, sizeof r->seen);
	else
		for (uint64_t seq = r->highest + 1; seq <= highest; seq++)
			mark_unseen(r, seq);
	r->highest = highest;
}

/* Numbers below the window would come too late to be taken. */
static uint64_t window_begin(const struct rtp_recv *r)
{
	return r->highest - RTP_RECV_WINDOW + 1;
}

/* ---- packets */

static uint64_t expected(const struct rtp_recv *r)
{
	return r->started ? r->highest - r->base + 1 : 0;
}

static uint64_t lost(const struct rtp_recv *r)
{
	uint64_t e = expected(r);

	return e > r->received ? e - r->received : 0;
}

/* The unwrapped numbers after a jump lie above all before it, so that nothing else is taken for
 * them. */
static void start(struct rtp_recv *r, uint16_t seq)
{
	uint64_t cycles = r->started ? (r->highest >> 16) + 2 : 1;

	r->lost_before_jumps += lost(r);
	nack_skip_below(&r->nacks, UINT64_MAX);
	memset(r->seen, 0, sizeof r->seen);
	r->base = r->highest = (cycles << 16) + seq;
	r->received = r->expected_before = r->received_before = 0;
	r->started = true;
	r->has_stray = r->has_transit = false;
}

/* A.1 takes a sender for restarted when two packets in a row come from elsewhere. Retransmissions
 * prove nothing. */
static enum rtp_recv_verdict stray(struct rtp_recv *r, uint16_t seq, bool recovered)
{
	if (recovered)
		return RTP_TOO_OLD;
	if (!r->has_stray || seq != r->after_stray) {
		r->has_stray = true;
		r->after_stray = (uint16_t)(seq + 1);
		return RTP_TOO_OLD;
	}
	start(r, seq);
	r->stats.jumps++;
	r->nacks.gave_up = r->nack;
	return RTP_JUMPED;
}

/* A peer that has changed its network: what it sent meanwhile is old by now, and repeating it would
 * only delay the key frame that is needed anyhow. */
static void give_up_to(struct rtp_recv *r, uint64_t seq)
{
	nack_skip_below(&r->nacks, seq);
	r->nacks.gave_up = true;
}

static void advance(struct rtp_recv *r, uint64_t seq, uint64_t now_ns)
{
	if (r->nack && seq > r->highest + BROKEN_PACKETS && now_ns - r->newest_ns > broken_ns)
		give_up_to(r, seq);
	else if (r->nack && seq > r->highest + 1)
		nack_missing(&r->nacks, r->highest + 1, seq, now_ns);
	move_window(r, seq);
	nack_give_up_below(&r->nacks, window_begin(r));
}

/* Where the packet belongs; what is accepted is marked. */
static enum rtp_recv_verdict place(struct rtp_recv *r, uint16_t seq, bool recovered,
				   uint64_t now_ns, uint64_t *ret_seq)
{
	int distance = (int16_t)(uint16_t)(seq - (uint16_t)r->highest);
	enum rtp_recv_verdict verdict = RTP_NEW;
	uint64_t at = r->highest + (uint64_t)(int64_t)distance;

	if (!r->started) {
		start(r, seq);
		at = r->base;
	} else if (distance > MAX_DROPOUT || distance <= -RTP_RECV_WINDOW) {
		verdict = stray(r, seq, recovered);
		if (verdict != RTP_JUMPED)
			return verdict;
		at = r->base;
	} else if (distance > 0) {
		advance(r, at, now_ns);
	} else if (is_seen(r, at)) {
		return RTP_DUPLICATE;
	}
	mark_seen(r, at);
	if (at == r->highest)
		r->newest_ns = now_ns;
	nack_arrived(&r->nacks, at);
	if (at < r->base) /* overtaken by the first packet that came */
		r->base = at;
	*ret_seq = at;
	return verdict;
}

static uint32_t in_clock_units(const struct rtp_recv *r, uint64_t ns)
{
	return (uint32_t)(ns / 1000000000 * r->clock_hz +
			  ns % 1000000000 * r->clock_hz / 1000000000);
}

/* A.8. Packets that came late by being repeated would look like jitter: only the newest count. */
static void measure_jitter(struct rtp_recv *r, uint32_t ts, uint64_t now_ns)
{
	uint32_t transit = in_clock_units(r, now_ns) - ts;
	int32_t d = (int32_t)(transit - r->transit);

	if (r->has_transit) {
		uint32_t distance = d < 0 ? -(uint32_t)d : (uint32_t)d;

		if (distance < MAX_TRANSIT_S * r->clock_hz)
			r->jitter_16 += distance - ((r->jitter_16 + 8) >> 4);
	}
	r->transit = transit;
	r->has_transit = true;
}

enum rtp_recv_verdict rtp_recv_packet(struct rtp_recv *r, const struct sl_rtp *rtp, bool recovered,
				      uint64_t now_ns, uint64_t *ret_seq)
{
	enum rtp_recv_verdict verdict = place(r, rtp->seq, recovered, now_ns, ret_seq);

	r->stats.duplicates += verdict == RTP_DUPLICATE;
	if (verdict != RTP_NEW && verdict != RTP_JUMPED)
		return verdict;
	r->stats.packets++;
	r->stats.bytes += rtp->len;
	if (recovered) {
		r->stats.recovered++;
		return verdict;
	}
	r->received++;
	if (*ret_seq == r->highest)
		measure_jitter(r, rtp->ts, now_ns);
	return verdict;
}

/* ---- reports */

void rtp_recv_sr(struct rtp_recv *r, const struct sl_rtcp_sr *sr, uint64_t now_ns)
{
	r->sr = *sr;
	r->sr_ns = now_ns;
	r->has_sr = true;
}

/* Of 256; the whole of it does not fit and is said as 255. */
static uint8_t fraction_lost(uint64_t expected_now, uint64_t received_now)
{
	uint64_t fraction;

	if (expected_now <= received_now)
		return 0;
	fraction = (expected_now - received_now) * 256 / expected_now;
	return fraction > 255 ? 255 : (uint8_t)fraction;
}

/* A number of the first cycle is its own extended number (section 6.4.1). */
static uint32_t extended(const struct rtp_recv *r)
{
	return (uint32_t)(r->highest - (r->base >> 16 << 16));
}

void rtp_recv_report(struct rtp_recv *r, uint64_t now_ns, struct sl_rtcp_report *ret_report)
{
	uint64_t e = expected(r), all_lost = lost(r) + r->lost_before_jumps;
	uint64_t since_sr = (now_ns - r->sr_ns) / 1000 * 65536 / 1000000;

	*ret_report = (struct sl_rtcp_report){
		.ssrc = r->ssrc,
		.fraction_lost =
			fraction_lost(e - r->expected_before, r->received - r->received_before),
		.lost = all_lost > 0x7fffff ? 0x7fffff : (int32_t)all_lost,
		.highest_seq = r->started ? extended(r) : 0,
		.jitter = r->jitter_16 >> 4,
		.lsr = r->has_sr ? (uint32_t)(r->sr.ntp >> 16) : 0,
		.dlsr = r->has_sr ? (uint32_t)since_sr : 0,
	};
	r->expected_before = e;
	r->received_before = r->received;
}

/* An NTP time of zero says that the sender has no clock (section 6.4.1). */
int rtp_recv_ntp(const struct rtp_recv *r, uint32_t ts, uint64_t *ret_ntp)
{
	int64_t distance = (int32_t)(ts - r->sr.ts);

	if (!r->has_sr || r->sr.ntp == 0)
		return -SL_ENOENT;
	*ret_ntp = r->sr.ntp + (uint64_t)(distance * (INT64_C(1) << 32) / r->clock_hz);
	return 0;
}

/* ---- asking again */

unsigned rtp_recv_nacks(struct rtp_recv *r, uint64_t now_ns, uint32_t rtt_us, uint16_t *ret_seqs,
			unsigned max, bool *ret_gave_up)
{
	unsigned n = nack_take(&r->nacks, now_ns, rtt_us, ret_seqs, max);

	*ret_gave_up = r->nacks.gave_up;
	r->nacks.gave_up = false;
	r->stats.nacks_sent += n;
	return n;
}

uint64_t rtp_recv_next_ns(const struct rtp_recv *r)
{
	return nack_next_ns(&r->nacks);
}

void rtp_recv_skip(struct rtp_recv *r, uint64_t seq)
{
	nack_skip_below(&r->nacks, seq);
}

void rtp_recv_get_stats(const struct rtp_recv *r, struct rtp_recv_stats *ret_stats)
{
	*ret_stats = r->stats;
	ret_stats->lost = lost(r) + r->lost_before_jumps;
	ret_stats->jitter_us = (uint32_t)((r->jitter_16 >> 4) * UINT64_C(1000000) / r->clock_hz);
}
