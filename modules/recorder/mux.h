/*
 * recorder/mux.h: frames into the bytes of a file, by libavformat, whose seam this is; nothing is
 * decoded or encoded.
 *
 * What a muxer has handed to its sink at a flush is, with all before it, a file that plays.
 */
#ifndef RECORDER_MUX_H
#define RECORDER_MUX_H

#include "container.h"

enum { MUX_MAX_STREAMS = 64 };

struct mux_stream {
	uint8_t codec; /* enum sl_codec_id */
	uint32_t hz;   /* audio */
	uint8_t channels;
	uint16_t width, height;
	struct sl_str parameters; /* as frame_parameters makes them; borrowed for the call */
	struct sl_str title;
};
/* A run of bytes at its place in the file */
typedef void mux_sink_fn(void *arg, uint64_t at, struct sl_str bytes);

struct mux_opts {
	const struct container *container;
	bool webm;
	bool seekable; /* what was written may be written over: sizes and an index, at the end */
	const struct mux_stream *streams;
	unsigned n_streams;
	bool continues; /* MP4: times are kept as they are, from the first frame on */
	struct sl_str title;
	uint64_t unix_ms; /* of time 0 */
	mux_sink_fn *sink;
	void *arg;
};
struct mux;
/* -SL_EUNSUPP: these streams do not go into such a file; -SL_ENOMEM */
SL_MUST_CHECK int mux_open(const struct mux_opts *o, struct mux **ret_mux);
/* Times of one stream grow; one that does not is moved behind the one before. */
SL_MUST_CHECK int mux_frame(struct mux *m, unsigned stream, struct sl_str data, int64_t at_ns,
			    int64_t duration_ns, bool key);
void mux_flush(struct mux *m);
/* Ends the file and frees m. Accepts NULL */
void mux_close(struct mux *m);

#endif
