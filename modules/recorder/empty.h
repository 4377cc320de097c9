/*
 * recorder/empty.h: streams that a file's head names and of which nothing came.
 *
 * The file of a room names a picture that was there when it began; that may end, or pause, before
 * the key frame with which it could begin. Players that wait for such a stream do not play the
 * rest: ffmpeg gives up, browsers stall. Since the head stands before all else, and of a sealed
 * file cannot be written again, it is made so afterwards: what describes the stream becomes padding
 * of the same length (ISO/IEC 14496-12 section 8.1.2: "free"; RFC 8794 section 11.3.2: Void), and
 * no byte moves. Sans-I/O.
 */
#ifndef RECORDER_EMPTY_H
#define RECORDER_EMPTY_H

#include "container.h"

/* These bytes are to stand at that place of the file. */
typedef void empty_patch_fn(void *arg, uint64_t at, const uint8_t *bytes, size_t len);
/* Calls patch for each change that hides the streams without a packet in p, a file of c that is
 * whole, or cut to what plays. Done again, or half done before, it comes to the same. Returns which
 * those are, or were: bit 1 << n for the n-th that the head named to begin with; 0 also of
 * containers of one stream. */
uint64_t empty_hide(const struct container *c, const uint8_t *p, size_t len, empty_patch_fn *patch,
		    void *arg);

#endif
