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

enum { SL_MAX_SPATIAL = 4, SL_MAX_TEMPORAL = 8, SL_DD_MAX_TARGETS = 32, SL_DD_MAX_REFS = 8 };

/* What a frame is for a decode target. */
enum sl_dti { SL_DTI_NOT_PRESENT, SL_DTI_DISCARDABLE, SL_DTI_SWITCH, SL_DTI_REQUIRED };

/* Of the dependency descriptor (AV1 RTP specification, appendix A), templates resolved */
struct sl_dd {
	bool present;	  /* and readable: its structure is known */
	bool structure;	  /* attached: a key frame's first packet */
	bool has_mask;	  /* of active decode targets */
	bool more_refs;	  /* than are listed */
	uint8_t n_targets, n_refs;
	uint16_t mask_at; /* where the mask stands or would stand, in bits */
	uint16_t frame_number;
	uint16_t refs[SL_DD_MAX_REFS];	    /* frames it depends on: so many before it */
	uint32_t active;		    /* decode targets that are being made */
	uint64_t dtis;			    /* enum sl_dti, two bits each, the first target lowest */
	uint8_t targets[SL_DD_MAX_TARGETS]; /* spatial << 4 | temporal of each */
};
static inline enum sl_dti sl_dd_dti(const struct sl_dd *dd, unsigned target)
{
	return (enum sl_dti)(dd->dtis >> 2 * target & 3);
}

struct sl_frame_info {
	uint8_t spatial, temporal;
	bool begins, ends; /* first and last packet of a layer's frame */
	bool picture_ends; /* last packet of all layers of this moment */
	bool key;	   /* of a key frame: decoding can begin with its first packet */
	bool switch_up;	   /* of a frame with which a receiver may begin to take this temporal layer */
	bool switch_above; /* and after it all that are higher */
	bool inter_layer;  /* needs the spatial layer below, of the same picture */
	bool independent;  /* needs no earlier picture */
	bool discardable;  /* nothing refers to it */
	bool unknown;	   /* the payload says nothing: audio, or a codec without such bits */
	bool has_tl0, has_key_index;
	bool refs_told; /* VP9: refs are all that its spatial layer refers to */
	uint8_t n_refs, refs[3]; /* by how much their picture ids are lower */
	uint8_t tl0_picture, key_index;
	uint8_t picture_bits; /* 7 or 15; 0: no picture id */
	uint8_t n_spatial;    /* layers that its encoding has; 0: not told */
	uint8_t head_len;     /* bytes of the payload descriptor that hold these ids */
	uint16_t picture_id;
	uint16_t width, height; /* told by a key frame; 0: not told */
	struct sl_dd dd;
};

/* What must be kept of one encoding between packets (the descriptor's templates). */
struct sl_codec_state;
SL_API SL_MUST_CHECK int sl_codec_state_new(struct sl_codec_state **ret_state);
SL_API void sl_codec_state_free(struct sl_codec_state *s); /* accepts NULL */
/* -SL_EPARSE: malformed (count and drop). rtp->ext has been indexed. A packet without payload is
 * padding: all is zero. */
SL_API SL_MUST_CHECK int sl_codec_inspect(struct sl_codec_state *s, enum sl_codec_id codec,
					  const struct sl_rtp *rtp, struct sl_frame_info *ret_info);

#endif
