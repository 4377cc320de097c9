/*
 * recorder/recording_frames.c: frames of a recording's tracks into its files: a track's own at
 * once, a room's by time, behind those of others that may still come. What a killed writer had
 * written is left out, and while the disk is too slow, or has failed, frames are counted and
 * dropped.
 */
#include "hls.h"
#include "recording.h"

#include <stdlib.h>

#define MS ((int64_t)SL_NS_PER_MS)
#define CRASH_GAP_NS (100 * MS) /* a longer one is told */

struct held {
	struct held *next;
	struct wtrack *track;
	struct frame frame;
	int64_t at_ns;
	char data[];
};

static void hold(struct recording *rec, struct wtrack *t, const struct frame *f, int64_t at_ns)
{
	struct held *h = malloc(sizeof *h + f->data.len), **link = &rec->held;

	if (!h)
		return;
	*h = (struct held){.track = t, .frame = *f, .at_ns = at_ns};
	memcpy(h->data, f->data.p, f->data.len);
	h->frame.data.p = h->data;
	series_expect(rec->room_series, t, f);
	while (*link && (*link)->at_ns <= at_ns)
		link = &(*link)->next;
	h->next = *link;
	*link = h;
}

void recording_release(struct recording *rec, int64_t until_ns)
{
	while (rec->held && rec->held->at_ns <= until_ns) {
		struct held *h = rec->held;

		rec->held = h->next;
		series_frame(rec->room_series, h->track, &h->frame, h->at_ns);
		free(h);
	}
}

static bool has_room_series(struct recording *rec)
{
	if (!rec->room_series && rec->writer->conf->room)
		rec->room_series = series_new(rec, "room",
					      rec->writer->conf->container ? CONTAINER_MP4
									   : CONTAINER_MATROSKA);
	return rec->room_series != NULL;
}

static bool is_stuck(struct recording *rec)
{
	struct writer *w = rec->writer;

	if (!rec->failed && !disk_is_full(w->disk))
		return false;
	sl_count(&w->m[M_frames_dropped]);
	return true;
}

static void place(struct wtrack *t, const struct frame *f, int64_t at)
{
	t->interval_ns = t->last_ns > 0 ? at - t->last_ns : 0;
	t->last_encoding = f->encoding;
	t->last_ns = t->last_end_ns = at;
	if (f->codec == SL_CODEC_OPUS)
		t->last_end_ns += (int64_t)opus_samples(f->data) * (int64_t)SL_NS_PER_S / 48000;
}

/* Frames that a killed writer had written are left out; the room's file was later than others. */
static bool was_written(struct recording *rec, struct wtrack *t, const struct frame *f, int64_t at)
{
	const struct track_saved *before = &t->before;
	bool in_room = saved_has(&before->room, t, f->seq, f->arrival_ns);

	if (!before->own.known)
		return in_room;
	if (!saved_has(&before->own, t, f->seq, f->arrival_ns))
		return false;
	if (!in_room && !t->mixed && has_room_series(rec))
		hold(rec, t, f, at);
	return true;
}

static void note_crash(struct recording *rec, struct wtrack *t, int64_t at)
{
	if (t->resumed && at > t->last_end_ns + CRASH_GAP_NS)
		recording_gap(rec, t, at + (int64_t)rec->t0_ns, 0);
	t->resumed = false;
}

void recording_frame(struct recording *rec, struct wtrack *t, const struct frame *f, int64_t at_ns)
{
	int64_t at = at_ns - (int64_t)rec->t0_ns;

	if (rec->state != REC_ON || !t->joined || at < 0 || f->data.len == 0)
		return;
	if (is_stuck(rec)) {
		if (t->kind == SL_MEDIA_VIDEO)
			t->frames.wants_key = true;
		return;
	}
	if (was_written(rec, t, f, at))
		return;
	note_crash(rec, t, at);
	if (t->first_ns < 0)
		t->first_ns = at;
	if (at < t->last_ns + MS && t->last_ns > 0) /* a clock that was set right never runs back */
		at = t->last_ns + MS;
	place(t, f, at);
	rec->last_media_ms = sl_loop_ms(rec->writer->w->loop);
	if (t->own)
		series_frame(t->own, t, f, at);
	if (t->hls)
		hls_frame(t->hls, f, at);
	if (!t->own && !rec->writer->conf->room) /* for watching alone */
		t->n_frames++;
	if (!t->mixed && has_room_series(rec))
		hold(rec, t, f, at);
}

void recording_packet(struct recording *rec, struct wtrack *t, const struct rpacket *p)
{
	if (rec->state == REC_ON && t->joined && !is_stuck(rec) &&
	    !saved_has(&t->before.raw, t, p->seq, p->arrival_ns))
		series_packet(t->raw, t, p, (int64_t)(p->arrival_ns - rec->t0_ns));
}
