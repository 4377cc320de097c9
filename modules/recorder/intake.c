/*
 * recorder/intake.c: packets of a track into frames at their times.
 *
 * A track's packets come in batches from its worker, nearly in order; they wait in the track's
 * reorder buffer for what is missing, which ends by its coming or by the bound. What never came is
 * a gap; video goes on with a key frame, which is asked for.
 */
#include "writer.h"

#include <stdlib.h>

enum {
	PAUSE_MS = 2000,       /* without a packet: what comes then begins anew */
	STANDSTILL_MS = 10000, /* with packets, but without a frame in a file: is told */
};
#define STOOD_NS (300 * (int64_t)SL_NS_PER_MS) /* a picture, for longer: is a gap */

void intake_ask_key(struct wtrack *t)
{
	struct writer *w = t->room->writer;
	struct sl_buf b;

	if (t->kind != SL_MEDIA_VIDEO || !keyask_due(&t->ask, sl_loop_ms(w->w->loop)))
		return;
	sl_buf_init(&b, 0);
	sl_buf_u64(&b, t->id);
	sl_buf_u8(&b, t->encoding);
	if (record_post(w->channel, t->owner, MSG_KEY, &b))
		sl_count(&w->m[M_key_frames]);
}

/* What RTP times count in (RFC 3551, RFC 7587); told: by the worker, where no codec says it */
static uint32_t clock_of(unsigned codec, uint32_t told)
{
	switch (codec) {
	case SL_CODEC_OPUS:
		return 48000;
	case SL_CODEC_PCMU:
	case SL_CODEC_PCMA:
	case SL_CODEC_G722:
		return 8000;
	default:
		return told;
	}
}

/* A sender may go on in another codec with each packet, and with another clock. */
static void follow_clock(struct wtrack *t, unsigned codec)
{
	uint32_t hz = clock_of(codec, t->hz);

	if (hz == t->hz)
		return;
	t->hz = hz;
	for (unsigned i = 0; i < SL_RTC_MAX_ENCODINGS; i++)
		timeline_set_clock(&t->line[i], hz);
}

/* Behind a crash workers send again what was not confirmed, some of which has its place in a file.
 * It may have come late, all at once, which says nothing of the sender's clock: were it heeded,
 * what follows would be as late. */
static int64_t time_of(struct wtrack *t, const struct frame *f, bool *ret_restarted)
{
	const struct saved *last = track_saved_last(&t->before);
	struct timeline *line = &t->line[t->encoding];

	*ret_restarted = false;
	if (!t->resumed || !saved_has(last, t, f->seq, f->arrival_ns))
		return timeline_map(line, &t->peer->clock, f->ts, f->arrival_ns, ret_restarted);
	return last->encoding == t->encoding && last->ssrc == t->ssrc ? timeline_past(line, f->ts)
								      : (int64_t)f->arrival_ns;
}

/* The encoding that was recorded has stalled, and its last picture stood until another's key frame
 * came. Where pictures are rare, that is no longer than between any two. */
static bool has_stood(const struct recording *rec, const struct wtrack *t, const struct frame *f,
		      int64_t at_ns)
{
	int64_t stood = at_ns - (int64_t)rec->t0_ns - t->last_ns;

	return t->kind == SL_MEDIA_VIDEO && f->encoding != t->last_encoding && stood > STOOD_NS &&
	       stood > 2 * t->interval_ns;
}

static void on_frame(void *arg, const struct frame *f)
{
	struct wtrack *t = arg;
	struct recording *rec = t->room->recording;
	bool restarted;
	int64_t at;

	follow_clock(t, f->codec);
	at = time_of(t, f, &restarted);
	if (!rec)
		return;
	if (t->lost_now > 0 || restarted || has_stood(rec, t, f, at))
		recording_gap(rec, t, at, t->lost_now);
	t->lost_now = 0;
	t->codec = f->codec;
	if (f->key)
		t->ask = (struct keyask){0};
	recording_frame(rec, t, f, at);
}

/* ---- standstill */

static void note_payload(struct wtrack *t)
{
	uint64_t now = sl_loop_ms(t->room->writer->w->loop);

	if (now > t->came_ms + PAUSE_MS)
		t->written_ms = now;
	t->came_ms = now;
}

void intake_watch(struct wtrack *t)
{
	struct recording *rec = t->room->recording;
	uint64_t now = sl_loop_ms(t->room->writer->w->loop);

	if (t->kind != SL_MEDIA_VIDEO || t->stands_still || !rec || rec->state != REC_ON ||
	    (!t->own && !t->room->writer->conf->room) || disk_is_full(t->room->writer->disk))
		return;
	if (now > t->came_ms + PAUSE_MS || now < t->written_ms + STANDSTILL_MS)
		return;
	t->stands_still = true;
	recording_standstill(rec, t,
			     t->frames.wants_key
				     ? "its sender makes no key frame that comes whole"
				     : "its parameter sets are missing, or fit in no file");
}

/* ---- streams */

/* One encoding's numbers, frames and time have nothing to do with another's. */
static int begin_stream(struct wtrack *t)
{
	int rc;

	reorder_init(&t->order, t->room->writer->conf->wait * SL_NS_PER_MS);
	rc = depacket_init(&t->frames, on_frame, t);
	t->frames.ssrc = t->ssrc;
	t->frames.encoding = t->encoding;
	return rc;
}

static void end_stream(struct wtrack *t)
{
	intake_drain(t);
	depacket_end(&t->frames);
	depacket_free(&t->frames);
	reorder_free(&t->order);
}

int intake_open(struct wtrack *t)
{
	for (unsigned i = 0; i < SL_RTC_MAX_ENCODINGS; i++)
		timeline_init(&t->line[i], t->hz);
	return begin_stream(t);
}

void intake_close(struct wtrack *t)
{
	end_stream(t);
}

static void take(struct wtrack *t, struct rpacket *p, uint64_t lost)
{
	struct writer *w = t->room->writer;
	uint64_t malformed = t->frames.n_malformed;
	struct sl_rtp rtp = {0};

	if (lost > 0) {
		t->lost_now += lost;
		t->n_lost += lost;
		sl_count_n(&w->m[M_lost], lost);
	}
	/* Those that a killed writer had heard are counted; some of them come again. */
	if (!saved_has(&t->before.heard, t, p->seq, p->arrival_ns))
		t->n_packets++;
	if (t->raw && t->room->recording)
		recording_packet(t->room->recording, t, p);
	t->frames.seq = p->seq;
	if (sl_rtp_parse(&rtp, p->data, p->len) < 0)
		t->frames.n_malformed++;
	else
		depacket_put(&t->frames, p->codec, &rtp, p->arrival_ns, lost);
	if (rtp.payload_len > 0)
		note_payload(t);
	sl_count_n(&w->m[M_malformed], t->frames.n_malformed - malformed);
	if (t->frames.wants_key)
		intake_ask_key(t);
	free(p);
}

void intake_tick(struct wtrack *t, uint64_t now_ns)
{
	struct rpacket *p;
	uint64_t lost;

	while ((p = reorder_take(&t->order, now_ns, &lost)))
		take(t, p, lost);
}

void intake_drain(struct wtrack *t)
{
	struct rpacket *p;
	uint64_t lost;

	while ((p = reorder_flush(&t->order, &lost)))
		take(t, p, lost);
}

void intake_pause(struct wtrack *t)
{
	intake_drain(t);
	reorder_pause(&t->order);
}

/* A sender that takes another SSRC counts numbers and time from anywhere. What of the stream before
 * is still on its way is late. */
static bool is_of_past(const struct wtrack *t, const struct rpacket *head, uint32_t ssrc)
{
	return head->encoding == t->encoding && ssrc != t->ssrc && ssrc == t->past_ssrc &&
	       head->arrival_ns < t->changed_ns + t->order.wait_ns;
}

/* What a killed writer had not heard, and its worker does not send again, is missing. */
static void resume_stream(struct wtrack *t, const struct rpacket *head)
{
	const struct saved *heard = &t->before.heard;

	if (heard->known && heard->encoding == t->encoding && heard->ssrc == t->ssrc &&
	    head->seq > heard->seq + 1)
		reorder_resume(&t->order, heard->seq + 1);
}

/* The stream that a killed writer was at: its time goes on, whatever was before it. */
static bool is_resumed(const struct wtrack *t)
{
	const struct saved *last = track_saved_last(&t->before);

	return t->resumed && last->encoding == t->encoding && last->ssrc == t->ssrc;
}

static void change_stream(struct wtrack *t, const struct rpacket *head, uint32_t ssrc)
{
	bool again = t->has_stream && head->encoding == t->encoding, first = !t->has_stream;

	end_stream(t);
	t->past_ssrc = again ? t->ssrc : ssrc;
	t->changed_ns = head->arrival_ns;
	t->encoding = head->encoding;
	t->ssrc = ssrc;
	t->has_stream = true;
	if (begin_stream(t) < 0)
		sl_log(SL_LOG_ERROR, "recorder", "out of memory");
	if (first)
		resume_stream(t, head);
	if (again && !is_resumed(t))
		timeline_restart(&t->line[t->encoding]);
}

static void put(struct wtrack *t, const struct rpacket *head, const void *data)
{
	struct writer *w = t->room->writer;
	uint32_t ssrc;

	if (head->encoding >= SL_RTC_MAX_ENCODINGS || head->len < SL_RTP_HEADER)
		return;
	ssrc = sl_get32((const uint8_t *)data + 8);
	if (is_of_past(t, head, ssrc))
		return;
	if (!t->has_stream || head->encoding != t->encoding || ssrc != t->ssrc)
		change_stream(t, head, ssrc);
	sl_count(&w->m[M_received]);
	if (reorder_put(&t->order, head, data) == 0)
		intake_tick(t, sl_loop_ns(w->w->loop));
}

/* Nothing is waited for: what it did not repeat by now, it will not. */
static void sender_paused(struct wtrack *t)
{
	intake_pause(t);
	if (t->room->recording)
		recording_track_paused(t->room->recording, t);
}

/* The worker had to drop: nobody knows of which tracks. Video has noticed by its numbers; so will
 * audio, with the next packet. */
static void note_dropped(uint32_t n)
{
	if (n > 0)
		sl_log(SL_LOG_WARN, "recorder",
		       "%u packets found no room on their way from a worker", n);
}

void intake_media(struct writer *w, uint32_t from, struct sl_reader *r)
{
	uint64_t number = sl_read_u64(r);

	note_dropped(sl_read_u32(r));
	while (r->p < r->end && !r->failed) {
		struct wtrack *t = wtrack_find(w, sl_read_u64(r));
		struct rpacket head = {.arrival_ns = sl_read_u64(r)};
		struct sl_str data;

		head.seq = sl_read_u64(r);
		head.encoding = sl_read_u8(r);
		head.codec = sl_read_u8(r);
		data = sl_read_bytes(r, sl_read_u16(r));
		head.len = (uint32_t)data.len;
		if (head.encoding == PACKET_GONE && !r->failed) {
			if (t && t->owner == from)
				wtrack_end(t);
			continue;
		}
		if (head.encoding == PACKET_PAUSE && !r->failed) {
			if (t && t->owner == from)
				sender_paused(t);
			continue;
		}
		if (!r->failed && t && t->room->recording && t->room->recording->state == REC_ON)
			put(t, &head, data.p);
	}
	if (!r->failed)
		saved_taken(w, from, number);
}

void intake_clock(struct writer *w, struct sl_reader *r)
{
	struct wtrack *t = wtrack_find(w, sl_read_u64(r));
	unsigned encoding = sl_read_u8(r);
	struct sl_rtc_clock clock = {.ntp = sl_read_u64(r)};

	clock.ts = sl_read_u32(r);
	if (t && !r->failed && encoding < SL_RTC_MAX_ENCODINGS)
		timeline_report(&t->line[encoding], &clock);
}
