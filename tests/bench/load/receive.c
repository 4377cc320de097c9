/*
 * bench/load/receive.c: RTP that arrives: counted and told in feedback by its plain header; every
 * n-th packet of a stream is opened, for its time and to know that it can be. Repeats of what was lost
 * (RFC 4588) are opened all, since they say inside what they repeat; where nothing gets lost
 * (loss=0) they are padding that probes the way, and only counted in feedback.
 */
#include "bench/load/load.h"

struct stream *receive_stream(struct connection *c, uint32_t ssrc)
{
	for (unsigned i = 0; i < c->n_streams; i++)
		if (c->streams[i].ssrc == ssrc)
			return &c->streams[i];
	return NULL;
}

static void add_stream(struct connection *c, const struct jsep_ssrc *ssrc, enum sl_media_kind kind)
{
	struct stream *s = &c->streams[c->n_streams];
	bool repeated = opts.loss > 0 && ssrc->rtx;

	if (!ssrc->media || c->n_streams == MAX_STREAMS || receive_stream(c, ssrc->media))
		return;
	s->ssrc = ssrc->media;
	s->rtx = repeated ? ssrc->rtx : 0;
	must(rtp_recv_new(&s->recv, s->ssrc, kind == SL_MEDIA_AUDIO ? 48000 : 90000, repeated),
	     "stream");
	c->n_streams++;
}

void receive_streams(struct connection *c)
{
	for (unsigned i = 0; i < jsep_count(c->jsep); i++) {
		const struct jsep_media *m = jsep_at(c->jsep, i);

		if (m->rejected || m->n_theirs == 0)
			continue;
		c->ext = m->ext;
		add_stream(c, &m->theirs[0], m->kind);
	}
}

/* The sender's clock is ours. */
static void open_packet(struct connection *c, uint8_t *data, size_t len)
{
	uint64_t now = now_ns();

	if (srtp_open_rtp(c->in, data, &len) < 0) {
		load.not_opened++;
		return;
	}
	load.opened++;
	if (len < STAMP || sl_get32(data + len - STAMP) != LOAD_MARK || load.n_delays == MAX_DELAYS)
		return;
	load.delays[load.n_delays++] = (uint32_t)((now - sl_get64(data + len - STAMP + 4)) / 1000);
}

static struct stream *repeated_by(struct connection *c, uint32_t ssrc)
{
	for (unsigned i = 0; i < c->n_streams; i++)
		if (c->streams[i].rtx == ssrc)
			return &c->streams[i];
	return NULL;
}

/* Padding repeats nothing. */
static void take_repeat(struct connection *c, uint8_t *data, size_t len)
{
	struct stream *s;
	struct sl_rtp rtp;
	uint64_t number;

	if (srtp_open_rtp(c->in, data, &len) < 0) {
		load.not_opened++;
		return;
	}
	if (sl_rtp_parse(&rtp, data, len) < 0 || rtp.payload_len < 2)
		return;
	s = repeated_by(c, rtp.ssrc);
	if (!s)
		return;
	rtp.ssrc = s->ssrc;
	rtp.seq = sl_get16(sl_rtp_payload(&rtp));
	(void)rtp_recv_packet(s->recv, &rtp, true, now_ns(), &number);
}

/* Headers are plain. The last byte, which would tell how much padding there is, is not. */
void receive_rtp(struct connection *c, uint8_t *data, size_t len)
{
	bool padded = data[0] & 0x20;
	uint8_t first = data[0];
	struct stream *s;
	struct sl_rtp rtp;
	struct sl_str seq;
	uint64_t number;

	data[0] &= (uint8_t)~0x20;
	if (sl_rtp_parse(&rtp, data, len) < 0)
		return;
	sl_rtp_ext_index(&rtp, &c->ext);
	seq = sl_rtp_ext_value(&rtp, SL_RTP_EXT_TWCC);
	if (seq.len == 2)
		twcc_recv_packet(c->twcc, sl_get16(seq.p), now_ns());
	s = receive_stream(c, rtp.ssrc);
	data[0] = first;
	if (!s) {
		if (opts.loss > 0)
			take_repeat(c, data, len);
		return;
	}
	(void)rtp_recv_packet(s->recv, &rtp, false, now_ns(), &number);
	if (!load.measuring)
		return;
	load.received++;
	load.bytes += len;
	if (!padded && s->n++ % opts.open == 0)
		open_packet(c, data, len);
}
