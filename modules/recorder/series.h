/*
 * recorder/series.h: what the files that write series of files share: series.c which file a frame
 * goes to, segment.c one file, member.c what is known of a stream, finished.c files on their way to
 * their names.
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
		int64_t first_ns; /* of its first frame; 0: none has come, or it began with the file
				   */
		uint8_t codec;
		uint16_t width, height; /* 0: sound */
	} streams[MUX_MAX_STREAMS];	/* in the order of the file */
};

struct segment {	      /* a file that is being written */
	struct segment *next; /* of those that are late */
	struct series *series;
	const struct container *container;
	struct mux *mux; /* NULL: packets */
	struct disk_file *file;
	struct file_head head;
	int64_t end_ns, late_ns; /* late: since when another is the series' */
	uint64_t at, flushed_at, n_frames;
	bool webm;
};

struct member { /* a stream of the series */
	struct wtrack *track;
	uint8_t codec, channels;
	uint32_t hz;
	uint16_t width, height;
	struct sl_buf parameters;
	struct segment *file; /* its frames go there; NULL: to none yet */
	int stream;	      /* in that */
	int next;   /* in the series' file, to which it has not come: with its next frame that can
		     * begin there; -1: it has, or is not named there */
	bool fresh; /* known before its first frame is written: the next file has it */
	int64_t end_ns;
	uint64_t n_frames;	      /* in all files, of a killed writer's too */
	struct saved newest, flushed; /* of its packets in files */
};

struct series {
	struct recording *rec;
	char label[MAX_LABEL];
	enum container_id wanted;
	const struct container *container; /* of the next file */
	struct member members[MUX_MAX_STREAMS];
	unsigned n_members;
	struct segment *now;	      /* where streams go, and begin; NULL: none is open */
	struct segment *late;	      /* those before it, of pictures that wait for key frames */
	struct saved newest, flushed; /* packets */
	unsigned n_silent;	      /* ticks without a frame */
	bool dead;		      /* no file can hold these streams; until they change */
};

/* ---- segment.c: one file */
/* Of the members that are known, whose next stream is in it. NULL: none is, or out of memory, or no
 * file can hold them, and the series is dead */
struct segment *segment_open(struct series *s, int64_t at_ns);
struct segment *segment_open_packets(struct series *s, int64_t at_ns);
/* A frame of a member whose file it is; false: it is not in it. */
bool segment_frame(struct segment *g, struct member *m, const struct frame *f, int64_t at_ns);
void segment_bytes(struct segment *g, struct sl_str bytes);
/* No frames come any more: all its bytes are on their way to the disk. */
void segment_close(struct segment *g);
/* Then it gets its name. Frees g. */
void segment_end(struct segment *g);

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
void finished_end(const struct segment *g);
/* Members of a line: the file, its container, its streams but for those that nothing came of */
void head_write(const struct file_head *h, uint64_t hidden, struct sl_buf *b);

#endif
