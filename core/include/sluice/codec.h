/*
 * sluice/codec.h: what a forwarder has to know of a packet's payload: where frames begin and end,
 * their layers, and where decoding can begin (VP8 RFC 7741, VP9 RFC 9628, H.264 RFC 6184, H.265
 * RFC 7798, AV1 and the dependency descriptor of its RTP specification).
 *
 * Sans-I/O; nothing is decoded. The dependency descriptor, where a packet has one, says all of it
 * for any codec, also when the payload is encrypted end to end.
 */
#ifndef SLUICE_CODEC_H
#define SLUICE_CODEC_H

#include <sluice/rtp.h>

enum { SL_MAX_SPATIAL = 4, SL_MAX_TEMPORAL = 8 };

struct sl_frame_info {
	uint8_t spatial, temporal;
	bool begins, ends;  /* first and last packet of a layer's frame */
	bool picture_ends;  /* last packet of all layers of this moment */
	bool key;	    /* of a key frame: decoding can begin with its first packet */
	bool switch_up;	    /* of a frame with which a receiver may begin to take this temporal layer */
	bool inter_layer;   /* needs the spatial layer below, of the same picture */
	bool discardable;   /* nothing refers to it */
	bool unknown;	    /* the payload says nothing: audio, or a codec without such bits */
	uint16_t width, height; /* told by a key frame; 0: not told */
	uint16_t picture_id, picture_bits; /* 7 or 15 bits; 0: none */
	uint8_t tl0_picture, key_index;
	bool has_tl0, has_key_index;
	uint16_t frame_number; /* of the dependency descriptor */
	bool has_descriptor;
};

/* What must be kept of one encoding between packets (the descriptor's templates). */
struct sl_codec_state;
SL_API SL_MUST_CHECK int sl_codec_state_new(struct sl_codec_state **ret_state);
SL_API void sl_codec_state_free(struct sl_codec_state *s); /* accepts NULL */
/* -SL_EPARSE: malformed (count and drop). rtp->ext has been indexed. */
SL_API SL_MUST_CHECK int sl_codec_inspect(struct sl_codec_state *s, enum sl_codec_id codec,
					  const struct sl_rtp *rtp, struct sl_frame_info *ret_info);

#endif
