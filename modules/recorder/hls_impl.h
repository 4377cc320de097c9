/*
 * recorder/hls_impl.h: what the files of a stream for watching share: hls.c frames into segments,
 * hls_playlist.c what players are told of these.
 */
#ifndef RECORDER_HLS_IMPL_H
#define RECORDER_HLS_IMPL_H

#include "hls.h"

enum { HLS_MAX_CODEC = 48 };

struct hls {
	struct hls *next;
	struct recording *rec;
	struct wtrack *track; /* NULL: it has ended */
	char label[MAX_LABEL], name[MAX_LABEL + 16], group[20], person[130],
		codec_name[HLS_MAX_CODEC];
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

/* ---- hls_playlist.c */
/* Of a track that is new, or what a predecessor has left of it */
void playlist_begin(struct hls *h);
void playlist_put(struct hls *h, bool over);
/* It names nothing any more. */
void playlist_drop(struct hls *h);
/* The time of day, as a tag */
void playlist_time(const struct recording *rec, int64_t at_ns, struct sl_buf *b);
/* Of everybody, and of each picture */
void playlist_put_masters(const struct recording *rec);

#endif
