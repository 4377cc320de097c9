/*
 * bench/load/report.c: RTCP of one connection: reports, transport-wide feedback, key frames asked
 * for, and what is lost asked for again.
 */
#include "bench/load/load.h"

enum { FEEDBACK_MS = 50, REPORT_MS = 1000 };

static void ask_key_frame(struct connection *c, const struct sl_rtcp_block *b)
{
	uint32_t sender, ssrc;
	uint8_t number;

	if (sl_rtcp_read_feedback(b, &sender, &ssrc) < 0)
		return;
	if (b->count == SL_RTCP_FIR && sl_rtcp_read_fir(b, 0, &ssrc, &number) < 0)
		return;
	if (b->count != SL_RTCP_FIR && b->count != SL_RTCP_PLI)
		return;
	for (unsigned i = 0; i < c->n_layers; i++)
		if (c->layers[i].ssrc == ssrc)
			c->layers[i].key_wanted = true;
}

void report_input(struct connection *c, uint8_t *data, size_t len)
{
	struct sl_rtcp_block b = {0};
	struct sl_rtcp_sr sr;
	struct stream *s;

	if (srtp_open_rtcp(c->in, data, &len) < 0 || sl_rtcp_check(data, len) < 0)
		return;
	while (sl_rtcp_next(data, len, &b))
		if (b.type == SL_RTCP_PSFB)
			ask_key_frame(c, &b);
		else if (b.type == SL_RTCP_SR && sl_rtcp_read_sr(&b, &sr) == 0 &&
			 (s = receive_stream(c, sr.ssrc)))
			rtp_recv_sr(s->recv, &sr, now_ns());
}

static void send_rtcp(struct connection *c, uint8_t *data, size_t len)
{
	int whole = srtp_seal_rtcp(c->out, data, len);

	if (whole > 0 && c->has_path)
		send_bytes(c, &c->path.remote, data, (size_t)whole);
}

/* Once per round trip and packet; loopback has none to speak of. */
static void ask_again(struct connection *c, const struct stream *s)
{
	struct sl_rtcp_writer w;
	uint8_t data[MTU];
	uint16_t seqs[64];
	bool gave_up;
	unsigned n = rtp_recv_nacks(s->recv, now_ns(), TICK_NS / 1000, seqs, 64, &gave_up);

	if (n == 0)
		return;
	sl_rtcp_begin(&w, data, sizeof data - SRTP_MAX_OVERHEAD);
	sl_rtcp_put_nack(&w, c->ssrc, s->ssrc, seqs, n);
	send_rtcp(c, data, w.len);
	load.asked += n;
}

static void send_feedback(struct connection *c)
{
	uint8_t data[MTU];
	size_t len;

	while ((len = twcc_recv_feedback(c->twcc, c->ssrc, c->n_streams ? c->streams[0].ssrc : 0,
					 data, MTU - 100, now_ns())) > 0)
		send_rtcp(c, data, len);
}

static uint64_t ntp_now(void)
{
	uint64_t now = now_ns();

	return (now / 1000000000) << 32 | (now % 1000000000 << 32) / 1000000000;
}

static void send_sender_reports(struct connection *c)
{
	for (unsigned i = 0; i < c->n_layers; i++) {
		const struct layer *l = &c->layers[i];
		const struct sl_rtcp_sr sr = {l->ssrc, ntp_now(), l->ts, l->packets, l->bytes};
		struct sl_rtcp_writer w;
		uint8_t data[256];

		sl_rtcp_begin(&w, data, sizeof data - SRTP_MAX_OVERHEAD);
		sl_rtcp_put_report(&w, l->ssrc, &sr, NULL, 0);
		sl_rtcp_put_cname(&w, l->ssrc, SL_STR("load"));
		send_rtcp(c, data, w.len);
	}
}

static void send_receiver_report(struct connection *c)
{
	struct sl_rtcp_report reports[31];
	struct sl_rtcp_writer w;
	uint8_t data[MTU];
	unsigned n = 0;

	for (; n < c->n_streams && n < SL_ARRAY_LEN(reports); n++)
		rtp_recv_report(c->streams[n].recv, now_ns(), &reports[n]);
	sl_rtcp_begin(&w, data, sizeof data - SRTP_MAX_OVERHEAD);
	sl_rtcp_put_report(&w, c->ssrc, NULL, reports, n);
	sl_rtcp_put_cname(&w, c->ssrc, SL_STR("load"));
	send_rtcp(c, data, w.len);
}

void report_tick(struct connection *c, uint64_t now)
{
	if (!c->secured)
		return;
	for (unsigned i = 0; i < c->n_streams; i++)
		if (c->streams[i].rtx)
			ask_again(c, &c->streams[i]);
	if (now >= c->feedback_ms) {
		c->feedback_ms = now + FEEDBACK_MS;
		send_feedback(c);
	}
	if (now < c->report_ms)
		return;
	c->report_ms = now + REPORT_MS;
	if (c->publishes)
		send_sender_reports(c);
	else
		send_receiver_report(c);
}
