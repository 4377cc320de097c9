/*
 * recorder/hls.h: a track for those who watch while it is recorded: HTTP Live Streaming (RFC 8216)
 * with fragmented MP4. A playlist for each track, and one that names them all, beside the files of
 * the recording.
 */
#ifndef RECORDER_HLS_H
#define RECORDER_HLS_H

#include "writer.h"

struct hls;
/* Belongs to the recording, and ends with it. NULL: out of memory */
struct hls *hls_new(struct recording *rec, struct wtrack *t);
void hls_frame(struct hls *h, const struct frame *f, int64_t at_ns);
/* The track is over, or pauses: what there is becomes a segment. */
void hls_cut(struct hls *h);
void hls_end(struct hls *h);
/* All files are gone: playlists name those that follow. */
void hls_vanished(struct recording *rec);
void hls_tick(struct hls *h, int64_t now_ns);
void hls_free_all(struct recording *rec);
/* After a crash: no playlist is waited for any more. Blocks */
void hls_close_left(const char *dir);

#endif
