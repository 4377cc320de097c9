/*
 * recorder/depacket.h: whole frames out of RTP packets that come in order: VP8 (RFC 7741), VP9
 * (RFC 9628), H.264 (RFC 6184), H.265 (RFC 7798), AV1 (its RTP specification), and audio, one frame
 * a packet; redundant audio (RFC 2198) gives back what was lost.
 *
 * Frames are as files want them: H.264 and H.265 with start codes, AV1 as OBUs with sizes, VP9's
 * spatial layers as one superframe. A frame of which something is missing is not one; after it
 * nothing is until the next key frame. Sans-I/O.
 */
#ifndef RECORDER_DEPACKET_H
#define RECORDER_DEPACKET_H

#include <sluice/buf.h>
#include <sluice/codec.h>

enum { DEPACKET_MAX_FRAME = 8 << 20, DEPACKET_MAX_LAYERS = 8 };

struct frame {
	struct sl_str data; /* borrowed for the call */
	uint8_t codec;	    /* enum sl_codec_id */
	uint8_t encoding;
	uint32_t ssrc, ts;
	uint64_t arrival_ns; /* of its first packet */
	uint64_t seq;	     /* of its last packet */
	bool key;
	uint16_t width, height; /* of a key frame; 0: not told */
};
typedef void frame_fn(void *arg, const struct frame *f);

struct depacket {
	frame_fn *emit;
	void *arg;
	/* Of the packet that is put; W: caller */
	uint64_t seq;
	uint32_t ssrc;
	uint8_t encoding;
	uint8_t codec;
	struct sl_codec_state *state;
	struct sl_buf data; /* of the frame that is being put together */
	struct frame head;
	bool open, broken, wants_key; /* wants_key: until one comes, frames are left out */
	bool has_preface;	      /* data begins with the next frame's parameter sets */
	bool in_unit;		      /* a fragment goes on, or an OBU */
	size_t unit_at;		      /* where it began; AV1 */
	uint8_t n_layers;	      /* VP9: frames of this picture */
	size_t layer_at[DEPACKET_MAX_LAYERS];
	uint64_t n_frames, n_broken, n_malformed;
	/* Redundancy: what has gone out already */
	bool has_audio;
	uint32_t audio_ts;
};
SL_MUST_CHECK int depacket_init(struct depacket *d, frame_fn *emit, void *arg);
void depacket_free(struct depacket *d); /* accepts a zeroed one */
/* lost: packets that are missing before this one. Malformed ones are counted and left out. */
void depacket_put(struct depacket *d, enum sl_codec_id codec, const struct sl_rtp *rtp,
		  uint64_t arrival_ns, uint64_t lost);
/* The end of the stream: what is open is emitted if it is whole. */
void depacket_end(struct depacket *d);

/* ---- depacket_nal.c, depacket_av1.c, depacket_vp.c: append one packet's payload to d->data;
 * -SL_EPARSE */
int depacket_h264(struct depacket *d, struct sl_str payload);
int depacket_h265(struct depacket *d, struct sl_str payload);
int depacket_av1(struct depacket *d, struct sl_str payload);
int depacket_vp8(struct depacket *d, struct sl_str payload, const struct sl_frame_info *info);
int depacket_vp9(struct depacket *d, struct sl_str payload, const struct sl_frame_info *info);
/* Parameter sets and the like, but no slice of a picture: H.264, H.265 */
bool depacket_is_preface(enum sl_codec_id codec, struct sl_str data);
/* The last words of a frame: AV1's open OBU, VP9's index of layers */
int depacket_av1_close(struct depacket *d);
int depacket_vp9_close(struct depacket *d);

/* ---- parameters.c: what a decoder must be told beforehand, out of a key frame */
/* H.264, H.265: parameter sets with start codes; AV1: the sequence header OBU; VP9: a byte, its
 * profile. Appends to out; false: the frame has none. */
bool frame_parameters(const struct frame *f, struct sl_buf *out);
/* Appends a frame of H.264 or H.265 but for its parameter sets. */
void without_sets(enum sl_codec_id codec, struct sl_str data, struct sl_buf *out);
/* sprop-parameter-sets of H.264, sprop-vps, -sps, -pps of H.265, with start codes */
void sdp_parameters(enum sl_codec_id codec, struct sl_str params, struct sl_buf *out);
/* What a key frame says, or else its description: true: it is not what was known, and is now */
bool parameters_learn(const struct frame *f, struct sl_str described, struct sl_buf *known);
/* The size that such parameter sets of H.264 or H.265 tell; false: none */
bool sets_size(enum sl_codec_id codec, struct sl_str sets, uint16_t *ret_width,
	       uint16_t *ret_height);
/* The size in a VP9 key frame's own header; false: it is none */
bool vp9_frame_size(struct sl_str frame, uint16_t *ret_width, uint16_t *ret_height);
/* Length of an Opus packet in samples of 48 kHz (RFC 6716 section 3.1); 0: it is none */
unsigned opus_samples(struct sl_str packet);

#endif
