/*
 * recorder/hls.c: see hls.h.
 *
 * One muxer goes on from segment to segment, on the time of the recording; its head is a file of
 * its own, and what it made between two cuts is a segment, which a playlist names once the disk has
 * it. A change of codec, size or parameter sets begins another head, behind a discontinuity; so
 * does a hole in the times. Playlists only grow (EVENT), and end with the track.
 *
 * A master playlist names streams to choose from: one for each picture with its sound, as players
 * take a new choice for the same film in another quality; and one of everybody, for people who
 * choose.
 */
#include "hls.h"

#include "codec_name.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PLAYLIST = 16 << 20, MAX_CODEC = 48 };
#define MS ((int64_t)SL_NS_PER_MS)
#define HOLE_NS (500 * MS)
#define SEQUENCE "#EXT-X-MEDIA-SEQUENCE:"
#define BREAK "#EXT-X-DISCONTINUITY"
#define BREAKS "#EXT-X-DISCONTINUITY-SEQUENCE:"
#define MASTER_NAME "index.m3u8"
#define MASTER_SUFFIX "-" MASTER_NAME /* of one picture */
static const struct sl_str endlist = SL_STR_INIT("#EXT-X-ENDLIST\n");

struct hls {
	struct hls *next;
	struct recording *rec;
	struct wtrack *track; /* NULL: it has ended */
	char label[MAX_LABEL], name[MAX_LABEL + 16], group[20], person[130], codec_name[MAX_CODEC];
	bool video, mixed, key_due, listed, told; /* listed: it has a segment; told: in masters */
	/* The stream: */
	struct mux *mux;
	uint8_t codec;
	uint16_t width, height;
	struct sl_buf parameters, bytes; /* bytes: from the muxer, since the last cut */
	/* The open segment: */
	int64_t begin_ns, end_ns;
	unsigned n_frames;
	bool discontinuity, new_head;
	bool begun, over;   /* begun: there was a segment; over: with the track */
	unsigned n_pending; /* files at the disk */
	char head[MAX_LABEL + 32];
	struct sl_buf head_bytes;		   /* what is in it */
	uint64_t bandwidth;			   /* highest of a segment, bits per second */
	uint64_t told_bandwidth, bits, us, frames; /* of all segments */
	struct sl_buf playlist;
};

/* ---- playlists */

static void write_time(const struct recording *rec, int64_t at_ns, struct sl_buf *b)
{
	uint64_t ms = rec->unix_ms + (uint64_t)(at_ns / MS);
	time_t seconds = (time_t)(ms / 1000);
	char text[40] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		(void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	sl_buf_printf(b, "#EXT-X-PROGRAM-DATE-TIME:%s.%03uZ\n", text, (unsigned)(ms % 1000));
}

static void put_playlist(struct hls *h, bool over)
{
	struct sl_buf text;

	sl_buf_init(&text, 0);
	sl_buf_str(&text, sl_buf_view(&h->playlist));
	sl_buf_str(&text, over ? endlist : SL_STR(""));
	if (sl_buf_ok(&text) == 0)
		disk_put(h->rec->writer->disk, h->rec->dir, h->name, sl_buf_view(&text));
	sl_buf_free(&text);
}

/* What is heard with a picture: the room as it is mixed, else its participant */
static const struct hls *sound_of(const struct recording *rec, const char *group)
{
	const struct hls *own = NULL;

	for (const struct hls *h = rec->hls; h; h = h->next) {
		if (h->video || !h->told)
			continue;
		if (h->mixed)
			return h;
		if (!own && strcmp(h->group, group) == 0)
			own = h;
	}
	return own;
}

static bool has_picture(const struct recording *rec, const char *group)
{
	for (const struct hls *h = rec->hls; h; h = h->next)
		if (h->video && h->told && strcmp(h->group, group) == 0)
			return true;
	return false;
}

/* A name for people, in quotes */
static void write_name(struct sl_buf *b, const char *name)
{
	sl_buf_u8(b, '"');
	for (const char *p = name; *p; p++)
		sl_buf_u8(b, *p == '"' || (unsigned char)*p < ' ' ? '_' : (uint8_t)*p);
	sl_buf_u8(b, '"');
}

/* The one sound of its group */
static void write_rendition(const struct hls *h, struct sl_buf *b)
{
	sl_buf_printf(b,
		      "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"%s\",DEFAULT=YES,AUTOSELECT=YES,"
		      "CHANNELS=\"2\",URI=\"%s\",NAME=",
		      h->group, h->name);
	write_name(b, h->mixed ? "everybody" : h->person[0] ? h->person : "sound");
	sl_buf_str(b, SL_STR("\n"));
}

static uint64_t average(const struct hls *h)
{
	return h->us ? h->bits * 1000000 / h->us : 0;
}

static void write_variant(const struct hls *h, struct sl_buf *b)
{
	const struct hls *sound = h->video ? sound_of(h->rec, h->group) : NULL;

	sl_buf_printf(b, "#EXT-X-STREAM-INF:BANDWIDTH=%llu,AVERAGE-BANDWIDTH=%llu,CODECS=\"%s%s\"",
		      (unsigned long long)(h->bandwidth + (sound ? sound->bandwidth : 0)),
		      (unsigned long long)(average(h) + (sound ? average(sound) : 0)),
		      h->codec_name, sound ? ",Opus" : "");
	if (h->width)
		sl_buf_printf(b, ",RESOLUTION=%ux%u", h->width, h->height);
	if (h->video && h->us)
		sl_buf_printf(b, ",FRAME-RATE=%.3f", (double)h->frames * 1e6 / (double)h->us);
	if (sound)
		sl_buf_printf(b, ",AUDIO=\"%s\"", sound->group);
	sl_buf_str(b, SL_STR(",NAME="));
	write_name(b, h->mixed ? "everybody" : h->person);
	sl_buf_printf(b, "\n%s\n", h->name);
}

static void put_text(const struct recording *rec, const char *name, struct sl_buf *text)
{
	if (sl_buf_ok(text) == 0)
		disk_put(rec->writer->disk, rec->dir, name, sl_buf_view(text));
	sl_buf_free(text);
}

static void begin_master(struct sl_buf *b)
{
	sl_buf_init(b, 0);
	sl_buf_str(b, SL_STR("#EXTM3U\n#EXT-X-VERSION:7\n"));
}

/* Of one picture */
static void put_own_master(const struct hls *h)
{
	const struct hls *sound = sound_of(h->rec, h->group);
	char name[MAX_LABEL + 24];
	struct sl_buf b;

	begin_master(&b);
	if (sound)
		write_rendition(sound, &b);
	write_variant(h, &b);
	(void)snprintf(name, sizeof name, "%s%s", h->label, MASTER_SUFFIX);
	put_text(h->rec, name, &b);
}

static bool is_heard_with_a_picture(const struct hls *sound)
{
	for (const struct hls *h = sound->rec->hls; h; h = h->next)
		if (h->video && h->told && sound_of(h->rec, h->group) == sound)
			return true;
	return false;
}

/* Of everybody: a variant for each picture, with the sound that belongs to it; and for each sound
 * without one */
static void put_masters(const struct recording *rec)
{
	struct sl_buf b;

	begin_master(&b);
	for (const struct hls *h = rec->hls; h; h = h->next)
		if (!h->video && h->told && is_heard_with_a_picture(h))
			write_rendition(h, &b);
	for (const struct hls *h = rec->hls; h; h = h->next) {
		if (!h->told || (!h->video && !h->mixed && has_picture(rec, h->group)))
			continue;
		write_variant(h, &b);
		if (h->video)
			put_own_master(h);
	}
	put_text(rec, MASTER_NAME, &b);
}

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
	put_masters(h->rec);
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
	put_playlist(h, false);
	tell_masters(h);
}

static void put_last(struct hls *h)
{
	if (!h->over || h->n_pending > 0 || !h->listed)
		return;
	put_playlist(h, true);
	put_masters(h->rec); /* with the figures of all of it */
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
		sl_buf_str(b, SL_STR(BREAK "\n"));
	if (h->new_head)
		sl_buf_printf(b, "#EXT-X-MAP:URI=\"%s\"\n", h->head);
	write_time(h->rec, h->begin_ns, b);
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

	sl_buf_init(&b, MAX_CODEC);
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

static bool set_parameters(struct hls *h, const struct frame *f)
{
	struct sl_buf now;
	bool changed;

	sl_buf_init(&now, 0);
	if (!frame_parameters(f, &now) && h->track)
		sdp_parameters(f->codec, sl_str_c(h->track->params), &now);
	changed = now.len > 0 && !sl_str_eq(sl_buf_view(&now), sl_buf_view(&h->parameters));
	if (changed) {
		sl_buf_free(&h->parameters);
		h->parameters = now;
	} else {
		sl_buf_free(&now);
	}
	return changed;
}

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
		changed = set_parameters(h, f) || changed;
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

/* How many segments the playlist has named, and discontinuities before them */
static uint64_t count(const struct hls *h, const char *tag, const char *before)
{
	struct sl_str text = sl_buf_view(&h->playlist), line;
	size_t n = strlen(before);
	uint64_t sum = 0, told;

	while (text.len > 0) {
		line = sl_str_split(&text, '\n');
		if (line.len > n && memcmp(line.p, before, n) == 0 &&
		    sl_str_u64((struct sl_str){line.p + n, line.len - n}, &told) == 0)
			sum += told;
		else
			sum += sl_str_starts(line, sl_str_c(tag));
	}
	return sum;
}

static void begin_playlist(struct hls *h)
{
	sl_buf_printf(&h->playlist, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%llu\n",
		      (unsigned long long)((2 * h->rec->writer->conf->hls_segment + 999) / 1000));
}

/* What a playlist does not name any more is counted (RFC 8216 sections 4.3.3.2 and .3), and one
 * that has let go of something is no EVENT. What the muxer has made since the last cut is still
 * here, but not its head, which is written again. */
static void begin_again(struct hls *h)
{
	uint64_t n = count(h, "#EXTINF:", SEQUENCE), n_breaks = count(h, BREAK, BREAKS);
	struct sl_buf none, open = h->bytes;

	sl_buf_reset(&h->playlist);
	begin_playlist(h);
	sl_buf_printf(&h->playlist, SEQUENCE "%llu\n" BREAKS "%llu\n", (unsigned long long)n,
		      (unsigned long long)n_breaks);
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

/* After a crash the same track goes on in the same playlist. */
static void read_playlist(struct hls *h)
{
	char path[MAX_PATH_LEN + MAX_LABEL + 32];
	uint8_t *p;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s", h->rec->dir, h->name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	while ((p = sl_buf_reserve(&h->playlist, 4096)) && (n = read(fd, p, 4096)) > 0)
		h->playlist.len += (size_t)n;
	close(fd);
	if (h->playlist.len >= endlist.len &&
	    memcmp(h->playlist.p + h->playlist.len - endlist.len, endlist.p, endlist.len) == 0)
		h->playlist.len -= endlist.len;
	h->discontinuity = h->begun = h->listed = h->playlist.len > 0;
}

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
	read_playlist(h);
	if (h->playlist.len == 0) {
		begin_playlist(h);
		sl_buf_str(&h->playlist, SL_STR(SEQUENCE "0\n#EXT-X-PLAYLIST-TYPE:EVENT\n"));
	}
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

static void close_one(int dir, const char *name)
{
	char tail[32] = "";
	int fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	off_t len = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);

	if (len > (off_t)endlist.len)
		(void)!pread(fd, tail, endlist.len, len - (off_t)endlist.len);
	if (len > 0 && memcmp(tail, endlist.p, endlist.len) != 0)
		(void)!pwrite(fd, endlist.p, endlist.len,
			      len); /* players wait; they are stopped by hand */
	if (fd >= 0)
		close(fd);
}

static bool is_master(const char *name)
{
	size_t len = strlen(name), n = strlen(MASTER_SUFFIX);

	return strcmp(name, MASTER_NAME) == 0 ||
	       (len > n && strcmp(name + len - n, MASTER_SUFFIX) == 0);
}

void hls_close_left(const char *dir)
{
	DIR *d = opendir(dir);

	for (struct dirent *e; d && (e = readdir(d));) {
		size_t len = strlen(e->d_name);

		if (len > 5 && strcmp(e->d_name + len - 5, ".m3u8") == 0 && !is_master(e->d_name))
			close_one(dirfd(d), e->d_name);
	}
	if (d)
		closedir(d);
}
