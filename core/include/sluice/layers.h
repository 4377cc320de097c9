/*
 * sluice/layers.h: one subscriber's stream of one video track: which encoding and layers it gets,
 * and packets made to look like one stream (sequence numbers, timestamps, picture ids, dependency
 * descriptors).
 *
 * Sans-I/O. The target may change at any time; the switch happens where it cannot be seen: to
 * another encoding at its key frame, up to a temporal layer at a switching point, down at once or at
 * the next frame's beginning. Numbers going out have gaps only where packets are missing for real.
 */
#ifndef SLUICE_LAYERS_H
#define SLUICE_LAYERS_H

#include <sluice/codec.h>
#include <sluice/rtc.h>

struct sl_layers_target {
	bool paused;	  /* nothing */
	uint8_t encoding; /* simulcast: index as the publisher listed them */
	uint8_t spatial, temporal; /* of SVC and temporal scalability: up to these */
};

struct sl_layers_packet {
	const struct sl_rtp *rtp;
	const struct sl_frame_info *info;
	uint64_t seq; /* unwrapped, of its encoding */
	uint8_t encoding, codec;
	uint64_t now_ns;
};

struct sl_layers;
SL_API SL_MUST_CHECK int sl_layers_new(struct sl_layers **ret_l, uint32_t clock_hz);
SL_API void sl_layers_free(struct sl_layers *l); /* accepts NULL */
SL_API void sl_layers_set_target(struct sl_layers *l, const struct sl_layers_target *t);
/* As it is now; paused until the first packet has passed. */
SL_API void sl_layers_current(const struct sl_layers *l, struct sl_layers_target *ret_current);
/*
 * SL_OK: send *ret_out (pt is the caller's). SL_DROP: not for this subscriber. SL_DONE: it had been
 * missing, a number was kept for it, and now it is not for this subscriber: *ret_out is padding
 * (src NULL) that fills the place; a caller who does not send it leaves a gap that a receiver will
 * ask about.
 */
SL_API int sl_layers_take(struct sl_layers *l, const struct sl_layers_packet *p,
			  struct sl_rtp_out *ret_out);
/* Only for speed, as sl_rtc_send_soon */
SL_API void sl_layers_take_soon(const struct sl_layers *l);
/*
 * A packet of a whole key frame of before, for a subscriber that nothing flows to: what is sent of
 * it stands still until a newer key frame comes, which is waited for. Packets of the frame in
 * order, SL_OK or SL_DROP.
 */
SL_API int sl_layers_still(struct sl_layers *l, const struct sl_layers_packet *p,
			   struct sl_rtp_out *ret_out);
/* A key frame of *ret_encoding is waited for; ask its publisher, as often as its limit lets. */
SL_API bool sl_layers_wants_key(const struct sl_layers *l, unsigned *ret_encoding);
/* The publisher's clock of an encoding, for lining up timestamps when encodings change, */
SL_API void sl_layers_clock(struct sl_layers *l, unsigned encoding,
			    const struct sl_rtc_clock *clock);
/* and the same moment as it is in what goes out. -SL_ENOENT: not known, or not the current one */
SL_API SL_MUST_CHECK int sl_layers_clock_out(const struct sl_layers *l, unsigned encoding,
					     const struct sl_rtc_clock *clock,
					     struct sl_rtc_clock *ret_out);

#endif
