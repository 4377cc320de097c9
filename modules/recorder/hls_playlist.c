/*
 * recorder/hls_playlist.c: what players are told: a playlist of each track's segments, which is
 * written by a rename whenever the disk has one more.
 *
 * A master playlist names streams to choose from: one for each picture with its sound, as players
 * take a new choice for the same film in another quality; and one of everybody, for people who
 * choose.
 */
#include "hls_impl.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MS ((int64_t)SL_NS_PER_MS)
#define SEQUENCE "#EXT-X-MEDIA-SEQUENCE:"
#define BREAK "#EXT-X-DISCONTINUITY"
#define BREAKS "#EXT-X-DISCONTINUITY-SEQUENCE:"
#define MASTER_NAME "index.m3u8"
#define MASTER_SUFFIX "-" MASTER_NAME /* of one picture */
static const struct sl_str endlist = SL_STR_INIT("#EXT-X-ENDLIST\n");

/* ---- of a track */

void playlist_time(const struct recording *rec, int64_t at_ns, struct sl_buf *b)
{
	sl_buf_str(b, SL_STR("#EXT-X-PROGRAM-DATE-TIME:"));
	write_time_of_day(rec->unix_ms + (uint64_t)(at_ns / MS), b);
	sl_buf_str(b, SL_STR("\n"));
}

void playlist_put(struct hls *h, bool over)
{
	struct sl_buf text;

	sl_buf_init(&text, 0);
	sl_buf_str(&text, sl_buf_view(&h->playlist));
	sl_buf_str(&text, over ? endlist : SL_STR(""));
	if (sl_buf_ok(&text) == 0)
		disk_put(h->rec->writer->disk, h->rec->dir, h->name, sl_buf_view(&text));
	sl_buf_free(&text);
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

/* After a crash the same track goes on in the same playlist. */
static void read_left(struct hls *h)
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

void playlist_begin(struct hls *h)
{
	read_left(h);
	if (h->playlist.len > 0)
		return;
	begin_playlist(h);
	sl_buf_str(&h->playlist, SL_STR(SEQUENCE "0\n#EXT-X-PLAYLIST-TYPE:EVENT\n"));
}

/* What a playlist does not name any more is counted (RFC 8216 sections 4.3.3.2 and .3), and one
 * that has let go of something is no EVENT. */
void playlist_drop(struct hls *h)
{
	uint64_t n = count(h, "#EXTINF:", SEQUENCE), n_breaks = count(h, BREAK, BREAKS);

	sl_buf_reset(&h->playlist);
	begin_playlist(h);
	sl_buf_printf(&h->playlist, SEQUENCE "%llu\n" BREAKS "%llu\n", (unsigned long long)n,
		      (unsigned long long)n_breaks);
}

/* ---- masters */

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
void playlist_put_masters(const struct recording *rec)
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

/* ---- left by a crash */

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
