/*
 * recorder/recording.h: what the files of a recording share among themselves: recording.c its life,
 * recording_begin.c, recording_frames.c, recording_manifest.c. What others may ask of it stands in
 * writer.h.
 */
#ifndef RECORDER_RECORDING_H
#define RECORDER_RECORDING_H

#include "writer.h"

/* As journals and manifests count: ms since its beginning */
static inline long long recording_ms(int64_t ns)
{
	return (long long)(ns / (int64_t)SL_NS_PER_MS);
}

/* ---- recording.c */
/* Begins the members of a line; recording_note takes them. */
void recording_begin_note(struct sl_buf *b, const char *type, int64_t at_ns);

void recording_free(struct recording *rec); /* its files are finished, or it never began */

/* ---- recording_manifest.c */
/* A JSON object */
void recording_describe_track(const struct wtrack *t, struct sl_buf *b);
/* At once: who is told that it has begun may ask for it. A disk that does not take this takes no
 * recording either. 0 or errno */
SL_MUST_CHECK int recording_first_manifest(struct recording *rec);

/* ---- recording_frames.c */
/* Frames for the room's file whose time is not later, in order; INT64_MAX: all */
void recording_release(struct recording *rec, int64_t until_ns);

#endif
