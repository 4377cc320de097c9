/*
 * recorder/export.c: a recording as one file: the packets of its tracks' segments, each at its
 * time, merged by time; nothing is decoded or encoded.
 *
 * Segments whose names have the same label are one series and are read one after another. Where
 * tracks have files of their own these are taken, else the room's.
 */
#include "library.h"

#include <libavformat/avformat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_SERIES = 512, MAX_STREAMS = 512, MAX_LABEL = 128, MAX_PER_FILE = 64 };

struct out_stream {
	char track[20];
	enum AVCodecID codec;
	int64_t last_dts, end; /* end: of the newest sound */
};

struct source { /* a series */
	char label[MAX_LABEL];
	size_t next; /* index into the segments */
	AVFormatContext *in;
	int fd;
	int64_t start_us;
	AVPacket *packet; /* read, not written yet */
	int map[MAX_PER_FILE];
	bool ended;
	int64_t at_us; /* of packet */
};

struct export
{
	const struct recorded *r;
	const struct envelope_key *key;
	AVFormatContext *out;
	struct out_stream streams[MAX_STREAMS];
	struct source *sources;
	unsigned n_streams, n_sources, n_bad;
	bool begun;
};

static const AVRational microseconds = {1, 1000000};

/* "000012-ada-camera-1f2e.webm.sealed" → "ada-camera-1f2e"; false: none of ours */
static bool label_of(const json_t *segment, char dst[MAX_LABEL])
{
	struct sl_str name = sl_json_get_str(segment, "file");
	const char *dash = name.p ? strchr(name.p, '-') : NULL, *dot;

	if (!dash || sl_str_eq(sl_json_get_str(segment, "container"), SL_STR("pcapng")))
		return false;
	dot = strchr(dash, '.');
	(void)sl_str_copy(
		dst, MAX_LABEL,
		(struct sl_str){dash + 1, dot ? (size_t)(dot - dash - 1) : strlen(dash + 1)});
	return true;
}

static bool is_room(const char *label)
{
	return strcmp(label, "room") == 0;
}

static int add_sources(struct export *e)
{
	char label[MAX_LABEL];
	bool own = false;
	size_t i;
	json_t *s;

	e->sources = calloc(MAX_SERIES, sizeof *e->sources);
	if (!e->sources)
		return -SL_ENOMEM;
	json_array_foreach(e->r->segments, i, s) own =
		own || (label_of(s, label) && !is_room(label));
	json_array_foreach(e->r->segments, i, s)
	{
		unsigned k = 0;

		if (!label_of(s, label) || (own && is_room(label)))
			continue;
		while (k < e->n_sources && strcmp(e->sources[k].label, label) != 0)
			k++;
		if (k < e->n_sources || k == MAX_SERIES)
			continue;
		(void)sl_str_copy(e->sources[k].label, MAX_LABEL, sl_str_c(label));
		e->sources[k].fd = -1;
		e->n_sources++;
	}
	return 0;
}

/* ---- reading */

static void close_segment(struct source *s)
{
	avformat_close_input(&s->in);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static int find_stream(struct export *e, const char *track, const AVStream *in)
{
	AVStream *out;
	unsigned k = 0;

	while (k < e->n_streams && (strcmp(e->streams[k].track, track) != 0 ||
				    e->streams[k].codec != in->codecpar->codec_id))
		k++;
	if (k < e->n_streams)
		return (int)k;
	if (e->begun || k == MAX_STREAMS || !(out = avformat_new_stream(e->out, NULL)))
		return -1;
	if (avcodec_parameters_copy(out->codecpar, in->codecpar) < 0)
		return -1;
	out->codecpar->codec_tag = 0;
	out->time_base = microseconds;
	(void)av_dict_copy(&out->metadata, in->metadata, 0);
	(void)sl_str_copy(e->streams[k].track, sizeof e->streams[k].track, sl_str_c(track));
	e->streams[k].codec = in->codecpar->codec_id;
	e->streams[k].last_dts = e->streams[k].end = INT64_MIN;
	e->n_streams++;
	return (int)k;
}

static int open_input(struct export *e, struct source *s, const json_t *segment)
{
	char path[40];
	bool whole;

	s->fd = recorded_file(e->r, segment, e->key, &whole);
	if (s->fd < 0)
		return s->fd;
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", s->fd);
	if (avformat_open_input(&s->in, path, NULL, NULL) < 0)
		return -SL_EPARSE;
	if (avformat_find_stream_info(s->in, NULL) < 0 || s->in->nb_streams > MAX_PER_FILE)
		return -SL_EPARSE;
	s->start_us = json_integer_value(json_object_get(segment, "start_ms")) * 1000;
	for (unsigned i = 0; i < s->in->nb_streams; i++) {
		const json_t *track = json_array_get(json_object_get(segment, "tracks"), i);
		struct sl_str id = sl_json_get_str(track, "id");

		s->map[i] = id.p ? find_stream(e, id.p, s->in->streams[i]) : -1;
	}
	return 0;
}

/* The next segment of the series; false: there is none. Those that cannot be read are told. */
static bool open_segment(struct export *e, struct source *s)
{
	char label[MAX_LABEL];

	close_segment(s);
	for (; s->next < json_array_size(e->r->segments); s->next++) {
		const json_t *segment = json_array_get(e->r->segments, s->next);
		int rc;

		if (!label_of(segment, label) || strcmp(label, s->label) != 0)
			continue;
		rc = open_input(e, s, segment);
		if (rc == 0) {
			s->next++;
			return true;
		}
		close_segment(s);
		e->n_bad++;
		fprintf(stderr, "sluice: %s/%s: %s\n", e->r->path,
			sl_json_get_str(segment, "file").p, sl_strerror(rc));
	}
	return false;
}

/* Reads the series' next packet of a stream that goes out. */
static void advance(struct export *e, struct source *s)
{
	while (!s->ended) {
		AVPacket *p = s->packet;

		if (s->in && av_read_frame(s->in, p) >= 0) {
			AVStream *in = s->in->streams[p->stream_index];

			if (p->stream_index < MAX_PER_FILE && s->map[p->stream_index] >= 0 &&
			    p->pts != AV_NOPTS_VALUE) {
				p->pts = av_rescale_q(p->pts, in->time_base, microseconds) +
					 s->start_us;
				p->duration =
					av_rescale_q(p->duration, in->time_base, microseconds);
				p->dts = s->at_us = p->pts;
				return;
			}
			av_packet_unref(p);
		} else if (!open_segment(e, s)) {
			s->ended = true;
		}
	}
}

/* ---- writing */

static struct source *earliest(struct export *e)
{
	struct source *best = NULL;

	for (unsigned i = 0; i < e->n_sources; i++)
		if (!e->sources[i].ended && (!best || e->sources[i].at_us < best->at_us))
			best = &e->sources[i];
	return best;
}

static int write_packet(struct export *e, struct source *s)
{
	unsigned k = (unsigned)s->map[s->packet->stream_index];
	struct out_stream *o = &e->streams[k];
	AVPacket *p = s->packet;
	int rc;

	p->stream_index = (int)k;
	av_packet_rescale_ts(p, microseconds, e->out->streams[k]->time_base);
	if (p->dts <= o->last_dts)
		p->dts = p->pts = o->last_dts + 1;
	if (e->out->streams[k]->codecpar->codec_type == AVMEDIA_TYPE_AUDIO) {
		if (p->dts < o->end) /* of the file before: its times were set right meanwhile */
			p->dts = p->pts = o->end;
		o->end = p->dts + p->duration;
	}
	o->last_dts = p->dts;
	p->pos = -1;
	rc = av_write_frame(e->out, p);
	av_packet_unref(p);
	return rc;
}

/* A file's head names all its streams: those that come later, too. */
static void find_all_streams(struct export *e)
{
	for (unsigned i = 0; i < e->n_sources; i++) {
		struct source *s = &e->sources[i];

		while (open_segment(e, s))
			;
		s->next = 0;
	}
	e->n_bad = 0;
}

static int copy(struct export *e)
{
	struct source *s;
	int rc = avformat_write_header(e->out, NULL);

	e->begun = rc >= 0;
	for (unsigned i = 0; rc >= 0 && i < e->n_sources; i++) {
		e->sources[i].packet = av_packet_alloc();
		if (!e->sources[i].packet)
			return -SL_ENOMEM;
		advance(e, &e->sources[i]);
	}
	while (rc >= 0 && (s = earliest(e))) {
		rc = write_packet(e, s);
		advance(e, s);
	}
	if (e->begun && av_write_trailer(e->out) < 0)
		rc = -1;
	return rc < 0 ? -SL_EPARSE : 0;
}

static int open_output(struct export *e, const char *to)
{
	struct stat st;

	if (stat(to, &st) == 0) {
		fprintf(stderr, "sluice: %s is there already\n", to);
		return -SL_EEXIST;
	}
	if (avformat_alloc_output_context2(&e->out, NULL, NULL, to) < 0 ||
	    avio_open(&e->out->pb, to, AVIO_FLAG_WRITE) < 0) {
		fprintf(stderr,
			"sluice: %s cannot be written, or is no kind of file that is known\n", to);
		return -SL_ESYS;
	}
	(void)av_dict_set(&e->out->metadata, "title", sl_json_get_str(e->r->manifest, "room").p, 0);
	(void)av_dict_set(&e->out->metadata, "creation_time",
			  sl_json_get_str(e->r->manifest, "started").p, 0);
	return 0;
}

static void close_all(struct export *e)
{
	for (unsigned i = 0; e->sources && i < e->n_sources; i++) {
		av_packet_free(&e->sources[i].packet);
		close_segment(&e->sources[i]);
	}
	if (e->out)
		avio_closep(&e->out->pb);
	avformat_free_context(e->out);
	free(e->sources);
}

int export_recording(const struct recorded *r, const struct envelope_key *key, const char *to)
{
	struct export *e = calloc(1, sizeof *e);
	int rc = e ? 0 : -SL_ENOMEM;

	if (rc < 0)
		return 1;
	av_log_set_level(AV_LOG_QUIET);
	e->r = r;
	e->key = key;
	rc = add_sources(e);
	if (rc == 0)
		rc = open_output(e, to);
	if (rc == 0) {
		find_all_streams(e);
		rc = e->n_streams > 0 ? copy(e) : -SL_ENOENT;
		if (rc < 0)
			fprintf(stderr, "sluice: %s: %s\n", to,
				rc == -SL_ENOENT
					? "no segment of it can be read"
					: "such a file cannot hold these codecs; try .mkv");
	}
	rc = rc < 0 || e->n_bad > 0;
	close_all(e);
	free(e);
	return rc;
}
