/*
 * recorder/codec_name.h: how players are told of a stream: the name of RFC 6381, as the head of its
 * MP4 file has it.
 */
#ifndef RECORDER_CODEC_NAME_H
#define RECORDER_CODEC_NAME_H

#include <sluice/buf.h>
#include <sluice/codec.h>

/* head: an MP4 file with one stream of this codec. Appends to out: "avc1.42e01f"; where the head
 * does not say it, what is usual. */
void codec_name(enum sl_codec_id codec, struct sl_str head, struct sl_buf *out);

#endif
