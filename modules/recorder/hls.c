/*
 * recorder/hls.c: see hls.h.
 *
 * One muxer goes on from segment to segment, on the time of the recording; its head is a file of
 * its own, and what it made between two cuts is a segment, which a playlist names once the disk has
 * it. A change of codec, size or parameter sets begins another head, behind a discontinuity; so
 * does a hole in the times. Playlists only grow (EVENT), and end with the track.
 */
#include "hls_impl.h"

#include "codec_name.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PLAYLIST = 16 << 20 };
#define MS ((int64_t)SL_NS_PER_MS)
#define HOLE_NS (500 * MS)

/* ---- files */

struct written { /* a file on its way */
	struct hls *hls;
	struct sl_buf entry; /* of the playlist; none: a head */
	char name[MAX_LABEL + 32];
	int64_t begin_ns, end_ns;
};

/* A peak that players were told too low, or something new */
static void tell_masters(struct hls *h)
{
	if (h->told && h->bandwidth <= h->told_bandwidth + h->told_bandwidth / 10)
		return;
	h->told = h->listed = true;
	h->told_bandwidth = h->bandwidth;
	playlist_put_masters(h->rec);
}

static void note_file(const struct written *f, const struct disk_result *r)
{
	struct recording *rec = f->hls->rec;
	struct sl_buf b;
	char hash[65];

	sl_hex_encode(hash, r->sha256, sizeof r->sha256);
	sl_buf_init(&b, 0);
	sl_buf_printf(&b,
		      "\"type\":\"hls\",\"file\":\"%s\",\"start_ms\":%lld,\"end_ms\":%lld,"
		      "\"bytes\":%llu,\"sha256\":\"%s\"",
		      f->name, (long long)(f->begin_ns / MS), (long long)(f->end_ns / MS),
		      (unsigned long long)r->bytes, hash);
	recording_note(rec, &b);
	rec->bytes += r->bytes;
	notify_upload(rec->writer, rec->dir);
}

static void list_file(struct written *f)
{
	struct hls *h = f->hls;

	if (f->entry.len == 0 || sl_buf_ok(&f->entry) < 0)
		return;
	sl_buf_str(&h->playlist, sl_buf_view(&f->entry));
	h->listed = true;
	playlist_put(h, false);
	tell_masters(h);
}

static void put_last(struct hls *h)
{
	if (!h->over || h->n_pending > 0 || !h->listed)
		return;
	playlist_put(h, true);
	playlist_put_masters(h->rec); /* with the figures of all of it */
}

static void on_done(void *arg, const struct disk_result *r)
{
	struct written *f = arg;
	struct hls *h = f->hls;
	struct recording *rec = h->rec;

	if (r->renamed) {
		note_file(f, r);
		list_file(f);
	}
	h->n_pending--;
	put_last(h);
	if (r->error)
		recording_fail(rec, f->name, r->error);
	sl_buf_free(&f->entry);
	free(f);
	rec->n_pending--;
	if (rec->state == REC_ENDING)
		recording_tick(rec); /* with the last file it is finished, and gone */
}

/* Takes entry. */
static bool write_file(struct hls *h, const char *name, int64_t end_ns, struct sl_buf *entry)
{
	struct written *f = calloc(1, sizeof *f);
	struct disk_file *file = NULL;

	if (f && sl_buf_ok(&h->bytes) == 0)
		file = disk_file_begin(h->rec->writer->disk, h->rec->dir, name, on_done, NULL, f);
	if (!file) {
		free(f);
		sl_buf_free(entry);
		sl_buf_reset(&h->bytes);
		return false;
	}
	f->hls = h;
	f->entry = *entry;
	f->begin_ns = h->begin_ns;
	f->end_ns = end_ns;
	(void)sl_str_copy(f->name, sizeof f->name, sl_str_c(name));
	h->rec->n_pending++;
	h->n_pending++;
	disk_file_write(file, 0, sl_buf_view(&h->bytes));
	disk_file_end(file);
	sl_buf_reset(&h->bytes);
	return true;
}

static void on_bytes(void *arg, uint64_t at, struct sl_str bytes)
{
	struct hls *h = arg;

	(void)at; /* nothing is written over */
	sl_buf_str(&h->bytes, bytes);
}

/* ---- segments */

static void write_entry(struct hls *h, const char *name, int64_t end_ns, struct sl_buf *b)
{
	int64_t us = (end_ns - h->begin_ns) / 1000;

	if (h->discontinuity)
		sl_buf_str(b, SL_STR("#EXT-X-DISCONTINUITY\n"));
	if (h->new_head)
		sl_buf_printf(b, "#EXT-X-MAP:URI=\"%s\"\n", h->head);
	playlist_time(h->rec, h->begin_ns, b);
	sl_buf_printf(b, "#EXTINF:%lld.%06lld,\n%s\n", (long long)(us / 1000000),
		      (long long)(us % 1000000), name);
	h->discontinuity = h->new_head = false;
	h->begun = true;
}

/* What was muxed up to end_ns becomes a file. */
static void end_segment(struct hls *h, int64_t end_ns)
{
	char name[MAX_LABEL + 32];
	uint64_t bits, us, peak;
	struct sl_buf entry;

	if (!h->mux || h->n_frames == 0)
		return;
	mux_flush(h->mux);
	bits = (uint64_t)h->bytes.len * 8;
	us = (uint64_t)(end_ns - h->begin_ns) / 1000 + 1;
	peak = bits * 1000000 / us;
	h->bandwidth = peak > h->bandwidth ? peak : h->bandwidth;
	h->bits += bits;
	h->us += us;
	h->frames += h->n_frames;
	(void)snprintf(name, sizeof name, "%06u-%s.m4s", ++h->rec->n_labels, h->label);
	sl_buf_init(&entry, 0);
	write_entry(h, name, end_ns, &entry);
	if (!write_file(h, name, end_ns, &entry))
		h->discontinuity = true;
	h->n_frames = 0;
}

static void learn_name(struct hls *h)
{
	struct sl_buf b;

	sl_buf_init(&b, HLS_MAX_CODEC);
	codec_name(h->codec, sl_buf_view(&h->bytes), &b);
	(void)sl_str_copy(h->codec_name, sizeof h->codec_name, sl_buf_view(&b));
	sl_buf_free(&b);
}

static bool begin_stream(struct hls *h, int64_t at_ns)
{
	const struct mux_stream stream = {.codec = h->codec,
					  .hz = 48000,
					  .channels = 2,
					  .width = h->width,
					  .height = h->height,
					  .parameters = sl_buf_view(&h->parameters),
					  .title = sl_str_c(h->label)};
	const struct mux_opts o = {.container = &containers[CONTAINER_MP4],
				   .streams = &stream,
				   .n_streams = 1,
				   .title = h->rec->room_name,
				   .unix_ms = h->rec->unix_ms,
				   .continues = true,
				   .sink = on_bytes,
				   .arg = h};
	struct sl_buf none;

	h->begin_ns = at_ns;
	if (mux_open(&o, &h->mux) < 0)
		return false;
	(void)snprintf(h->head, sizeof h->head, "%06u-%s-head.mp4", ++h->rec->n_labels, h->label);
	h->discontinuity = h->discontinuity || h->begun;
	learn_name(h);
	sl_buf_reset(&h->head_bytes);
	sl_buf_str(&h->head_bytes, sl_buf_view(&h->bytes));
	sl_buf_init(&none, 0);
	h->new_head = write_file(h, h->head, at_ns, &none);
	return h->new_head;
}

static void end_stream(struct hls *h)
{
	hls_cut(h);
	mux_close(h->mux);
	h->mux = NULL;
	sl_buf_reset(&h->bytes);
}

/* ---- what comes */

/* true: it is not what it was */
static bool learn(struct hls *h, const struct frame *f)
{
	uint16_t width = f->width, height = f->height;
	bool changed = h->codec != f->codec;

	if (h->video && !f->key)
		return false;
	if (h->video) {
		if (f->codec == SL_CODEC_VP9)
			(void)vp9_frame_size(f->data, &width, &height);
		changed = changed || (width && (width != h->width || height != h->height));
		h->width = width ? width : h->width;
		h->height = width ? height : h->height;
		changed = parameters_learn(f, sl_str_c(h->track ? h->track->params : ""),
					   &h->parameters) ||
			  changed;
	}
	h->codec = f->codec;
	if (changed)
		h->told = h->told && !h->video; /* masters name codec and size */
	return changed;
}

static bool is_due(struct hls *h, const struct frame *f, int64_t at_ns)
{
	int64_t length = (int64_t)h->rec->writer->conf->hls_segment * MS, now = at_ns - h->begin_ns;

	if (h->n_frames == 0 || now < length)
		return false;
	if (!h->video || f->key || now + 200 * MS >= 2 * length) /* the target duration */
		return true;
	if (h->track)
		intake_ask_key(h->track);
	return false;
}

static int64_t duration_of(const struct frame *f)
{
	return f->codec == SL_CODEC_OPUS
		       ? (int64_t)opus_samples(f->data) * (int64_t)SL_NS_PER_S / 48000
		       : 0;
}

static void put_frame(struct hls *h, const struct frame *f, int64_t at_ns)
{
	if (h->n_frames == 0)
		h->begin_ns = at_ns;
	if (mux_frame(h->mux, 0, f->data, at_ns, duration_of(f), f->key) < 0)
		return;
	h->n_frames++;
	h->end_ns = at_ns + duration_of(f);
	h->key_due = false;
}

void hls_frame(struct hls *h, const struct frame *f, int64_t at_ns)
{
	bool changed;

	if (!container_takes(&containers[CONTAINER_MP4], f->codec))
		return;
	changed = learn(h, f);
	if (h->mux && changed)
		end_stream(h);
	if (h->n_frames > 0 && at_ns > h->end_ns + HOLE_NS) {
		hls_cut(h);
		h->discontinuity = true;
		h->key_due = h->video;
	}
	if (h->video && (h->key_due || !h->mux) && !f->key) {
		if (h->track)
			intake_ask_key(h->track);
		return;
	}
	if (!h->mux && !begin_stream(h, at_ns))
		return;
	if (is_due(h, f, at_ns))
		end_segment(h, at_ns);
	put_frame(h, f, at_ns);
}

void hls_cut(struct hls *h)
{
	end_segment(h, h->end_ns > h->begin_ns ? h->end_ns : h->begin_ns + 20 * MS);
}

void hls_tick(struct hls *h, int64_t now_ns)
{
	int64_t length = (int64_t)h->rec->writer->conf->hls_segment * MS;

	/* Silent: who watches gets what there is. */
	if (h->n_frames > 0 && now_ns > h->end_ns + 2 * length) {
		hls_cut(h);
		h->discontinuity = true;
		h->key_due = h->video;
	}
}

/* What the muxer has made since the last cut is still here, but not its head, which is written
 * again. */
static void begin_again(struct hls *h)
{
	struct sl_buf none, open = h->bytes;

	playlist_drop(h);
	if (!h->mux)
		return;
	sl_buf_init(&h->bytes, 0);
	sl_buf_str(&h->bytes, sl_buf_view(&h->head_bytes));
	(void)snprintf(h->head, sizeof h->head, "%06u-%s-head.mp4", ++h->rec->n_labels, h->label);
	sl_buf_init(&none, 0);
	(void)write_file(h, h->head, h->begin_ns, &none); /* fails: so does all that follows */
	sl_buf_free(&h->bytes);
	h->bytes = open;
	sl_buf_printf(&h->playlist, "#EXT-X-MAP:URI=\"%s\"\n", h->head);
}

void hls_vanished(struct recording *rec)
{
	for (struct hls *h = rec->hls; h; h = h->next) {
		if (h->track)
			begin_again(h);
		else
			h->told = h->listed = false;
	}
}

void hls_end(struct hls *h)
{
	if (!h->track)
		return;
	end_stream(h);
	h->track = NULL;
	h->over = true;
	put_last(h);
}

/* ---- life */

struct hls *hls_new(struct recording *rec, struct wtrack *t)
{
	struct hls *h = calloc(1, sizeof *h), **link = &rec->hls;

	if (!h)
		return NULL;
	h->rec = rec;
	h->track = t;
	h->video = t->kind == SL_MEDIA_VIDEO;
	h->mixed = t->mixed;
	(void)sl_str_copy(h->label, sizeof h->label, sl_str_c(t->label));
	(void)sl_str_copy(h->person, sizeof h->person, sl_str_c(t->peer->name));
	(void)snprintf(h->name, sizeof h->name, "%s.m3u8", h->label);
	(void)snprintf(h->group, sizeof h->group, "%016llx", (unsigned long long)t->peer->id);
	sl_buf_init(&h->parameters, 0);
	sl_buf_init(&h->bytes, 0);
	sl_buf_init(&h->head_bytes, 0);
	sl_buf_init(&h->playlist, MAX_PLAYLIST);
	playlist_begin(h);
	while (*link)
		link = &(*link)->next;
	*link = h;
	return h;
}

void hls_free_all(struct recording *rec)
{
	while (rec->hls) {
		struct hls *h = rec->hls;

		rec->hls = h->next;
		mux_close(h->mux);
		sl_buf_free(&h->parameters);
		sl_buf_free(&h->bytes);
		sl_buf_free(&h->head_bytes);
		sl_buf_free(&h->playlist);
		free(h);
	}
}
