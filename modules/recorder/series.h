/*
 * recorder/series.h: what the files that write series of files share: segment.c frames into files,
 * member.c what is known of a stream, finished.c files on their way to their names.
 */
#ifndef RECORDER_SERIES_H
#define RECORDER_SERIES_H

#include "writer.h"

/* What a file says of itself, which its lines in the journal say again */
struct file_head {
	char name[200];
	const char *container;
	bool sealed;
	int64_t begin_ns; /* in the recording */
	unsigned n_streams;
	struct {
		uint64_t track;
		uint8_t codec;
		uint16_t width, height; /* 0: sound */
	} streams[MUX_MAX_STREAMS];	/* in the order of the file */
};

struct member { /* a stream of the series */
	struct wtrack *track;
	uint8_t codec, channels;
	uint32_t hz;
	uint16_t width, height;
	struct sl_buf parameters;
	int stream;	/* in the open file; -1: not in it */
	bool needs_key; /* the open file has none of it yet */
	bool fresh;	/* known before its first frame is written: the next file has it */
	int64_t end_ns;
	uint64_t n_frames;		      /* in all files, of a killed writer's too */
	struct saved second, newest, flushed; /* of its packets in files */
};

struct series {
	struct recording *rec;
	char label[MAX_LABEL];
	enum container_id wanted;
	const struct container *container; /* of the open file */
	struct member members[MUX_MAX_STREAMS];
	unsigned n_members;
	/* The open segment: */
	struct mux *mux; /* NULL with a file: packets */
	struct disk_file *file;
	struct file_head head;
	int64_t end_ns;
	uint64_t at, flushed_at, n_frames;
	struct saved newest, flushed; /* packets */
	const struct member *held;    /* whose newest frame libavformat's Matroska keeps back */
	unsigned n_silent;	      /* ticks without a frame */
	bool webm, dead;	      /* dead: no file can hold these streams; until they change */
};

/* ---- member.c */
/* Learns from a frame; true: the stream is not what it was, and a file's head would be wrong. */
bool member_learn(struct member *m, const struct frame *f);
/* A file's head can describe it. */
bool member_is_known(const struct member *m);
struct mux_stream member_describe(const struct member *m);
/* In ns; 0: not told by the frame itself */
int64_t member_duration(const struct member *m, const struct frame *f);

/* ---- finished.c */
/* Begins a file of the recording, named by the head. NULL: out of memory */
struct disk_file *finished_begin(struct recording *rec, const struct file_head *head);
/* Its last bytes have been given: it gets its name, and then its line in the journal. */
void finished_end(struct disk_file *file, const struct series *s);
/* Members of a line: the file, its container, its streams but for those that nothing came of */
void head_write(const struct file_head *h, uint64_t hidden, struct sl_buf *b);

#endif
