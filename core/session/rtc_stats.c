/*
 * session/rtc_stats.c: what became of packets: of one stream, and of all on the way from the peer
 * and to it. Only reads.
 */
#include "session/rtc_impl.h"

/* By reports about what we send, else by the answers to our checks: a connection that only receives
 * has no reports. */
uint32_t rtc_rtt_us(const struct sl_rtc *c)
{
	return c->rtt_us ? c->rtt_us : ice_rtt_us(c->ice);
}

static uint32_t jitter_us(const struct sl_rtc_media *m)
{
	uint32_t hz = m->j->n_codecs > 0 ? m->j->codecs[0].clock_hz : 0;

	return hz ? (uint32_t)(m->out.jitter * UINT64_C(1000000) / hz) : 0;
}

/* ---- one section */


void sl_rtc_in_stats(const struct sl_rtc_media *m, unsigned encoding,
		     struct sl_rtc_stream_stats *ret_stats)
{
	const struct sl_rtc *c = m->c;
	struct rtp_recv_stats have;

	*ret_stats = (struct sl_rtc_stream_stats){0};
	for (unsigned i = 0; i < c->n_streams; i++) {
		const struct rtc_stream *s = c->streams[i];

		if (!s->recv || s->media != m || s->encoding != encoding)
			continue;
		rtp_recv_get_stats(s->recv, &have);
		ret_stats->packets += have.packets;
		ret_stats->bytes += have.bytes;
		ret_stats->lost += have.lost;
		ret_stats->retransmitted += have.recovered;
		ret_stats->jitter_us = have.jitter_us;
		ret_stats->n_plis += s->n_plis;
		ret_stats->n_nacks += (uint32_t)have.nacks_sent;
	}
}

void sl_rtc_out_stats(const struct sl_rtc_media *m, struct sl_rtc_stream_stats *ret_stats)
{
	*ret_stats = (struct sl_rtc_stream_stats){
		.packets = m->out.packets,
		.bytes = m->out.bytes,
		.lost = m->out.lost,
		.retransmitted = m->out.retransmitted,
		.jitter_us = jitter_us(m),
		.fraction_lost = m->out.fraction_lost,
		.n_plis = m->out.n_plis,
		.n_nacks = m->out.n_nacks,
	};
}

/* ---- all of them */

/* A frame's packets leave together, which looks like jitter: sound says more about the way. */
struct jitters {
	uint32_t of[SL_MEDIA_DATA + 1]; /* by enum sl_media_kind */
};

static void add_jitter(struct jitters *j, const struct sl_rtc_media *m, uint32_t us)
{
	if (us > j->of[m->j->kind])
		j->of[m->j->kind] = us;
}

static uint32_t jitter_of_way(const struct jitters *j)
{
	return j->of[SL_MEDIA_AUDIO] ? j->of[SL_MEDIA_AUDIO] : j->of[SL_MEDIA_VIDEO];
}

void sl_rtc_way_in(const struct sl_rtc *c, struct sl_rtc_way *ret_way)
{
	struct sl_rtc_way way = {.rtt_us = rtc_rtt_us(c)};
	struct jitters jitters = {{0}};

	for (unsigned i = 0; i < c->n_streams; i++) {
		const struct rtc_stream *s = c->streams[i];
		struct rtp_recv_stats have;

		if (!s->recv)
			continue;
		rtp_recv_get_stats(s->recv, &have);
		way.packets += have.packets - have.recovered + have.lost;
		way.lost += have.lost;
		add_jitter(&jitters, s->media, have.jitter_us);
	}
	way.jitter_us = jitter_of_way(&jitters);
	*ret_way = way;
}

void sl_rtc_way_out(const struct sl_rtc *c, struct sl_rtc_way *ret_way)
{
	struct sl_rtc_way way = {.rtt_us = rtc_rtt_us(c)};
	struct jitters jitters = {{0}};
	struct bwe_state s;

	for (unsigned i = 0; i < c->n_media; i++) {
		const struct sl_rtc_media *m = c->media[i];

		if (!m->ours)
			continue;
		way.packets += m->out.packets;
		way.lost += m->out.lost;
		add_jitter(&jitters, m, jitter_us(m));
	}
	bwe_state(c->bwe, &s);
	if (s.n_told > 0) {
		way.packets = s.n_told;
		way.lost = s.n_missing;
	}
	way.jitter_us = jitter_of_way(&jitters);
	*ret_way = way;
}
