/*
 * tests/sim/bwe_world.c: senders with estimators over one bottleneck, in virtual time.
 */
#include "sim/bwe_world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MTU = 1200, FPS = 30, PADDING = 250 + BW_OVERHEAD, AUDIO_MS = 20 };

double bw_random(struct bw_world *w)
{
	uint64_t z = w->chance += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

unsigned bw_seeds(void)
{
	return getenv("SLUICE_ASAN") ? 4 : 20;
}

struct bw_world *bw_new(uint64_t seed, struct bw_path path, unsigned n_flows)
{
	struct bw_world *w = calloc(1, sizeof *w);

	sl_assert(w && n_flows <= BW_FLOWS);
	w->path = path;
	w->n_flows = n_flows;
	w->chance = seed * UINT64_C(1000003);
	for (unsigned i = 0; i < n_flows; i++)
		w->flows[i].audio_bps = 40000;
	return w;
}

void bw_free(struct bw_world *w)
{
	for (unsigned i = 0; i < w->n_flows; i++) {
		bwe_free(w->flows[i].bwe);
		twcc_recv_free(w->flows[i].recv);
		remb_free(w->flows[i].remb);
	}
	free(w);
}

void bw_start(struct bw_world *w)
{
	for (unsigned i = 0; i < w->n_flows; i++) {
		struct bw_flow *f = &w->flows[i];

		f->window = 4;
		if (f->tcp)
			continue;
		sl_assert(bwe_new(&f->bwe, &(struct bwe_opts){0}, f->starts_us * 1000) == 0);
		sl_assert(twcc_recv_new(&f->recv) == 0 && remb_new(&f->remb) == 0);
		pacer_init(&f->pacer, 300000, 250, f->starts_us * 1000);
		if (f->wanted_bps > 0)
			bwe_set_wanted(f->bwe, (uint64_t)f->wanted_bps);
		f->seq = (uint16_t)(65000 + 100 * i); /* wraps soon */
		f->next_frame_us = f->next_audio_us =
			f->starts_us + (uint64_t)(bw_random(w) * 33000);
		f->tick_us = f->starts_us;
	}
}

/* ---- the path */

static double backlog_ms(const struct bw_world *w)
{
	double us = w->free_us - (double)w->now_us;

	return us > 0 ? us / 1000 : 0;
}

static bool enqueue(struct bw_world *w, uint32_t bytes)
{
	double take_us = 8e6 * bytes / w->path.rate_bps;

	if (backlog_ms(w) > w->path.queue_ms)
		return false;
	w->free_us = fmax(w->free_us, (double)w->now_us) + take_us;
	return true;
}

static double next_lump(struct bw_world *w, double at_us)
{
	while (w->lump_us < at_us) {
		bool stall = bw_random(w) < w->path.stall;

		w->lump_us += stall ? 50000 + 100000 * bw_random(w)
				    : -log(1 - bw_random(w)) * w->path.lump_ms * 1000;
	}
	return w->lump_us;
}

static void transmit(struct bw_world *w, unsigned flow, uint16_t seq, uint32_t bytes)
{
	struct bw_packet *p = &w->under_way[w->last % BW_RING];
	double at_us;

	w->flows[flow].n_sent++;
	if (!enqueue(w, bytes) || bw_random(w) < w->path.loss + w->flows[flow].extra_loss)
		return;
	at_us = w->free_us + 1000 * (w->path.delay_ms + w->path.jitter_ms * bw_random(w));
	if (w->path.lump_ms > 0)
		at_us = next_lump(w, at_us) + 100 * bw_random(w);
	if ((uint64_t)at_us > w->last_us)
		w->last_us = (uint64_t)at_us;
	*p = (struct bw_packet){w->last_us, w->now_us, bytes, seq, (uint16_t)flow};
	sl_assert(++w->last - w->first < BW_RING);
}

static struct bw_packet *push_back(struct bw_world *w, struct bw_flow *f, uint64_t now_us)
{
	struct bw_packet *p = &f->back[f->back_last++ % BW_RING];

	sl_assert(f->back_last - f->back_first < BW_RING);
	*p = (struct bw_packet){.at_us = now_us + (uint64_t)(w->path.delay_ms * 1000)};
	return p;
}

/* By a clock that began elsewhere and goes at its own speed, so that the 24 bits come round. */
static void deliver_timed(struct bw_flow *f, const struct bw_packet *p)
{
	double sent_s = ((double)p->sent_us / 1e6 + 50) * (1 + f->clock_ppm / 1e6);
	const struct remb_packet packet = {
		.send_time = (uint32_t)(uint64_t)(sent_s * (1 << 18)) & 0xffffff,
		.bytes = p->bytes,
		.payload_bytes = p->bytes > BW_OVERHEAD ? p->bytes - BW_OVERHEAD : 0,
	};

	remb_packet(f->remb, &packet, p->at_us * 1000 + 777777777777);
}

static void deliver(struct bw_world *w)
{
	for (; w->first != w->last; w->first++) {
		const struct bw_packet *p = &w->under_way[w->first % BW_RING];
		struct bw_flow *f = &w->flows[p->flow];

		if (p->at_us > w->now_us)
			break;
		f->seconds[p->at_us / 1000000].bytes += p->bytes;
		f->n_got++;
		if (f->tcp)
			push_back(w, f, p->at_us)->seq = p->seq;
		else if (f->by_remb)
			deliver_timed(f, p);
		else if (!f->by_reports)
			twcc_recv_packet(f->recv, p->seq, p->at_us * 1000 + 777777777777);
	}
}

/* ---- a TCP, roughly: one more packet a round, half at a loss, at most one loss a round */

static void tcp_step(struct bw_world *w, unsigned i)
{
	struct bw_flow *f = &w->flows[i];
	uint64_t round_us = (uint64_t)(2 * w->path.delay_ms * 1000 + backlog_ms(w) * 1000);

	for (; f->back_first != f->back_last; f->back_first++) {
		const struct bw_packet *p = &f->back[f->back_first % BW_RING];
		uint16_t lost = (uint16_t)(p->seq - (uint16_t)f->next_expected);

		if (p->at_us > w->now_us)
			break;
		f->acked_us = w->now_us;
		f->flying -= 1 + lost;
		f->next_expected += 1 + lost;
		f->window += 1 / f->window;
		if (lost == 0 || w->now_us < f->halved_us + round_us)
			continue;
		f->window = fmax(f->window / 2, 2);
		f->halved_us = w->now_us;
	}
	if (w->now_us > f->acked_us + 1000000) { /* all of a window was lost */
		f->acked_us = w->now_us;
		f->flying = 0;
		f->window = 2;
		f->next_expected = f->seq;
	}
	while (f->flying + 1 <= f->window) {
		f->flying++;
		transmit(w, i, f->seq++, 1500);
	}
}

/* ---- a sender */

static void queue_packet(struct bw_flow *f, unsigned class_, uint32_t bytes, uint64_t now_us)
{
	struct pacer_item *item = &f->items[f->n_items++ % BW_RING];

	item->bytes = bytes;
	item->class_ = (uint8_t)class_;
	pacer_push(&f->pacer, item, now_us * 1000);
}

static double video_bps(const struct bw_flow *f, uint64_t now_us)
{
	double bps = (double)f->state.target_bps;

	if (f->source)
		return f->source(f->source_arg, &f->state, now_us);
	if (f->wanted_bps > 0 && f->wanted_bps < bps)
		bps = f->wanted_bps;
	return fmax(bps - f->audio_bps, 0);
}

static void make_frame(struct bw_world *w, struct bw_flow *f)
{
	double size = f->frame_debt;

	f->video_bps = video_bps(f, w->now_us);
	size += f->video_bps / 8 / FPS * (0.7 + 0.6 * bw_random(w));
	f->next_frame_us += 1000000 / FPS;
	f->frame_debt = 0;
	if (pacer_queue_ms(&f->pacer) > 150) /* an encoder that sees its buffer skips a frame */
		return;
	while (size > MTU) {
		queue_packet(f, PACER_VIDEO, MTU, w->now_us);
		size -= MTU;
	}
	if (size >= 200)
		queue_packet(f, PACER_VIDEO, (uint32_t)size, w->now_us);
	else
		f->frame_debt = size;
}

static void make_media(struct bw_world *w, struct bw_flow *f)
{
	for (; f->next_audio_us <= w->now_us; f->next_audio_us += AUDIO_MS * 1000)
		if (f->audio_bps > 0)
			queue_packet(f, PACER_AUDIO, (uint32_t)(f->audio_bps / 8 * AUDIO_MS / 1000),
				     w->now_us);
	while (f->next_frame_us <= w->now_us)
		make_frame(w, f);
}

static void send_one(struct bw_world *w, unsigned i, uint32_t bytes)
{
	struct bw_flow *f = &w->flows[i];

	if (!f->by_remb)
		bwe_sent(f->bwe, f->seq, bytes, f->state.probe, w->now_us * 1000);
	transmit(w, i, f->seq++, bytes);
	if (!f->by_remb)
		bwe_state(f->bwe, &f->state);
}

static void send_padding(struct bw_world *w, unsigned i)
{
	struct bw_flow *f = &w->flows[i];
	uint32_t room;

	while (f->state.probe && !f->no_padding) {
		room = pacer_padding(&f->pacer, f->state.probe_bytes, w->now_us * 1000);
		if (room == 0)
			break;
		pacer_spent(&f->pacer, PADDING);
		send_one(w, i, PADDING);
	}
}

static void set_pace(struct bw_world *w, struct bw_flow *f)
{
	pacer_set_rate(&f->pacer, f->state.pace_bps, w->now_us * 1000);
}

static bool is_limited(const struct bw_flow *f)
{
	double target = (double)f->state.target_bps;

	if (f->source)
		return f->video_bps + f->audio_bps < 0.95 * target;
	return f->wanted_bps > 0 && f->wanted_bps < target;
}

/* An encoder of the simple kind: it makes what it is told, and no estimate of its own. */
static void obey(struct bw_flow *f)
{
	double bps = f->remb_bps > 0 ? f->remb_bps : 300e3;

	f->state = (struct bwe_state){.target_bps = (uint64_t)bps, .pace_bps = (uint64_t)(2 * bps)};
}

static void sender_step(struct bw_world *w, unsigned i)
{
	struct bw_flow *f = &w->flows[i];
	struct pacer_item *item;

	if (w->now_us >= f->tick_us)
		f->tick_us = bwe_tick(f->bwe, w->now_us * 1000) / 1000;
	bwe_state(f->bwe, &f->state);
	if (f->by_remb)
		obey(f);
	make_media(w, f);
	bwe_set_app_limited(f->bwe, is_limited(f), w->now_us * 1000);
	set_pace(w, f);
	while ((item = pacer_pop(&f->pacer, w->now_us * 1000)))
		send_one(w, i, item->bytes);
	send_padding(w, i);
}

static void feedback_back(struct bw_world *w, struct bw_flow *f)
{
	uint64_t now_ns = w->now_us * 1000 + 777777777777;
	uint8_t *dst = f->feedback[f->n_feedback % 256];
	size_t len = twcc_recv_feedback(f->recv, 1, 2, dst, 1200, now_ns);

	if (len == 0)
		return;
	sl_assert(len <= 1200 && len % 4 == 0);
	if (bw_random(w) < w->path.feedback_loss)
		return;
	push_back(w, f, w->now_us)->bytes = (uint32_t)len;
	f->back[(f->back_last - 1) % BW_RING].seq = (uint16_t)(f->n_feedback++ % 256);
}

static void feedback_in(struct bw_world *w, struct bw_flow *f)
{
	for (; f->back_first != f->back_last; f->back_first++) {
		const struct bw_packet *p = &f->back[f->back_first % BW_RING];
		const uint8_t *data = f->feedback[p->seq];
		struct sl_rtcp_block block = {.type = data[1], .count = data[0] & 31, .data = data};

		if (p->at_us > w->now_us)
			break;
		block.len = p->bytes - (data[0] & 0x20 ? data[p->bytes - 1] : 0);
		sl_assert(bwe_feedback(f->bwe, &block, w->now_us * 1000) == 0);
	}
}

static void remb_back(struct bw_world *w, struct bw_flow *f)
{
	uint64_t now_ns = w->now_us * 1000 + 777777777777;
	struct remb_say say;

	if (remb_tick(f->remb, (uint32_t)(2000 * w->path.delay_ms), now_ns, &say) &&
	    bw_random(w) >= w->path.feedback_loss)
		push_back(w, f, w->now_us)->bytes = (uint32_t)say.bps;
}

static void remb_in(struct bw_world *w, struct bw_flow *f)
{
	for (; f->back_first != f->back_last; f->back_first++) {
		const struct bw_packet *p = &f->back[f->back_first % BW_RING];

		if (p->at_us > w->now_us)
			break;
		f->remb_bps = p->bytes;
	}
}

static void report(struct bw_world *w, struct bw_flow *f)
{
	uint64_t lost = f->n_sent > f->n_got ? f->n_sent - f->n_got : 0;
	double rtt_ms = 2 * w->path.delay_ms + backlog_ms(w);

	if (w->now_us < f->report_us)
		return;
	if (f->n_sent > 0)
		bwe_report(f->bwe, (uint8_t)(255 * lost / f->n_sent), (uint32_t)(rtt_ms * 1000),
			   w->now_us * 1000);
	f->n_sent = f->n_got = 0;
	f->report_us = w->now_us + 1000000;
}

static void flow_step(struct bw_world *w, unsigned i)
{
	struct bw_flow *f = &w->flows[i];

	if (f->tcp) {
		if (w->now_us >= f->starts_us && (f->stops_us == 0 || w->now_us < f->stops_us))
			tcp_step(w, i);
		return;
	}
	if (f->by_remb) {
		remb_back(w, f);
		remb_in(w, f);
	} else {
		feedback_back(w, f);
		feedback_in(w, f);
	}
	if (f->by_reports)
		report(w, f);
	if (w->now_us >= f->starts_us && (f->stops_us == 0 || w->now_us < f->stops_us))
		sender_step(w, i);
	f->seconds[w->now_us / 1000000].target_bps += (double)f->state.target_bps / 1000;
}

static void cross_step(struct bw_world *w)
{
	w->cross_debt += w->path.cross_bps / 8 * BW_STEP_US / 1e6;
	for (; w->cross_debt >= 1000; w->cross_debt -= 1000)
		(void)enqueue(w, 1000); /* what does not fit is its loss */
}

void bw_run(struct bw_world *w, double seconds)
{
	uint64_t end_us = w->now_us + (uint64_t)(seconds * 1e6);

	for (; w->now_us < end_us; w->now_us += BW_STEP_US) {
		deliver(w);
		cross_step(w);
		for (unsigned i = 0; i < w->n_flows; i++)
			flow_step(w, i);
		w->queue_ms[w->n_queue++] = backlog_ms(w);
	}
}

/* ---- what came of it */

double bw_got(const struct bw_world *w, unsigned i, unsigned from_s, unsigned to_s)
{
	double bytes = 0;

	for (unsigned s = from_s; s < to_s; s++)
		bytes += w->flows[i].seconds[s].bytes;
	return 8 * bytes / (to_s - from_s);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(double *values, size_t n, double share)
{
	double found;

	qsort(values, n, sizeof *values, by_size);
	found = values[(size_t)(share * (double)(n - 1))];
	free(values);
	return found;
}

double bw_queue_ms(const struct bw_world *w, double share, unsigned from_s, unsigned to_s)
{
	size_t n = (to_s - from_s) * 1000;
	double *values = calloc(n, sizeof *values);

	sl_assert(values && to_s * 1000 <= w->n_queue);
	memcpy(values, w->queue_ms + from_s * 1000, n * sizeof *values);
	return quantile(values, n, share);
}

double bw_standing_ms(const struct bw_world *w, double share, unsigned from_s, unsigned to_s)
{
	unsigned rtt_ms = 2 * (unsigned)w->path.delay_ms, n = (to_s - from_s) * 1000 / rtt_ms;
	double *values = calloc(n, sizeof *values);

	sl_assert(values && to_s * 1000 <= w->n_queue);
	for (unsigned i = 0; i < n; i++) {
		const double *from = w->queue_ms + from_s * 1000 + i * rtt_ms;

		values[i] = from[0];
		for (unsigned k = 1; k < rtt_ms; k++)
			values[i] = fmin(values[i], from[k]);
	}
	return quantile(values, n, share);
}

int bw_reached(const struct bw_world *w, unsigned i, double bps, unsigned from_s)
{
	for (unsigned s = from_s; s + 3 < w->now_us / 1000000; s++)
		if (bw_got(w, i, s, s + 3) >= bps)
			return (int)s;
	return -1;
}
