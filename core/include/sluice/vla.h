/*
 * sluice/vla.h: what a publisher says that it makes of a picture: the header extension "video
 * layers allocation" (webrtc.org/experiments/rtp-hdrext/video-layers-allocation00).
 *
 * For every simulcast stream and each of its spatial layers the rate it aims at and, mostly with
 * key frames, its size. A forwarder learns from it what no payload shows when frames are encrypted
 * end to end, and that a layer has been given up before it is missed.
 */
#ifndef SLUICE_VLA_H
#define SLUICE_VLA_H

#include <sluice/str.h>

enum { SL_VLA_STREAMS = 4, SL_VLA_SPATIAL = 4 };

struct sl_vla_layer {
	uint32_t width, height; /* 1 .. 65536; 0 when not `sized`, as is fps */
	uint8_t fps;		/* at most */
	uint8_t n_temporal;
	uint32_t kbps; /* of all its temporal layers, without the spatial ones below */
};

struct sl_vla {
	uint8_t own;			 /* the stream that this packet is of */
	uint8_t n_streams;		 /* 0: nothing is made for now */
	uint8_t spatial[SL_VLA_STREAMS]; /* bit s: spatial layer s is made */
	bool sized;
	struct sl_vla_layer layers[SL_VLA_STREAMS][SL_VLA_SPATIAL];
};

/* v: the extension's value. -SL_EPARSE */
SL_API SL_MUST_CHECK int sl_vla_read(struct sl_str v, struct sl_vla *ret_vla);

#endif
