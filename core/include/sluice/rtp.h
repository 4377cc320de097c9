/*
 * sluice/rtp.h: RTP packets (RFC 3550, RFC 8285): a view over received bytes, header extensions,
 * sequence numbers, and what is to be sent.
 *
 * Sans-I/O. The view borrows the packet. Parsing checks header, CSRCs, extension block and padding
 * once, so that later walks cannot run out of the packet.
 */
#ifndef SLUICE_RTP_H
#define SLUICE_RTP_H

#include <sluice/clock.h>
#include <sluice/packet.h>

#define SL_RTP_HEADER 12
#define SL_RTP_MAX_PATCH 24 /* bytes of a payload descriptor that forwarding may write anew */
#define SL_RTP_MAX_DD 255   /* bytes of a dependency descriptor: what an extension can hold */

enum sl_media_kind { SL_MEDIA_AUDIO, SL_MEDIA_VIDEO, SL_MEDIA_DATA };

/* X(ID, "rtpmap name", kind) */
#define SL_CODECS(X)                                                                               \
	X(OPUS, "opus", AUDIO)                                                                     \
	X(PCMU, "PCMU", AUDIO)                                                                     \
	X(PCMA, "PCMA", AUDIO)                                                                     \
	X(G722, "G722", AUDIO)                                                                     \
	X(L16, "L16", AUDIO)                                                                       \
	X(CN, "CN", AUDIO)                                                                         \
	X(DTMF, "telephone-event", AUDIO)                                                          \
	X(RED, "red", AUDIO)                                                                       \
	X(VP8, "VP8", VIDEO)                                                                       \
	X(VP9, "VP9", VIDEO)                                                                       \
	X(H264, "H264", VIDEO)                                                                     \
	X(H265, "H265", VIDEO)                                                                     \
	X(AV1, "AV1", VIDEO)                                                                       \
	X(RTX, "rtx", VIDEO)

enum sl_codec_id {
	SL_CODEC_NONE,
#define X(id, name, kind) SL_CODEC_##id,
	SL_CODECS(X)
#undef X
		SL_N_CODECS
};
SL_API const char *sl_codec_name(unsigned id);
/* By rtpmap name, in any case; SL_CODEC_NONE: unknown */
SL_API enum sl_codec_id sl_codec_by_name(struct sl_str name);
/* SL_MEDIA_DATA: no codec of ours */
SL_API enum sl_media_kind sl_codec_kind(unsigned id);

/* Header extensions that this node understands. X(ID, uri) */
#define SL_RTP_EXTENSIONS(X)                                                                       \
	X(MID, "urn:ietf:params:rtp-hdrext:sdes:mid")                                              \
	X(RID, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id")                                    \
	X(REPAIRED_RID, "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id")                  \
	X(TWCC, "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01")       \
	X(ABS_SEND_TIME, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time")             \
	X(ABS_CAPTURE_TIME, "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time")       \
	X(AUDIO_LEVEL, "urn:ietf:params:rtp-hdrext:ssrc-audio-level")                              \
	X(CSRC_AUDIO_LEVEL, "urn:ietf:params:rtp-hdrext:csrc-audio-level")                         \
	X(VIDEO_ORIENTATION, "urn:3gpp:video-orientation")                                         \
	X(PLAYOUT_DELAY, "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay")             \
	X(DEPENDENCY_DESCRIPTOR,                                                                   \
	  "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-"         \
	  "extension")                                                                             \
	X(VIDEO_LAYERS_ALLOCATION,                                                                 \
	  "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00")

enum sl_rtp_ext {
#define X(id, uri) SL_RTP_EXT_##id,
	SL_RTP_EXTENSIONS(X)
#undef X
		SL_N_RTP_EXT
};
SL_API const char *sl_rtp_ext_uri(unsigned ext);
/* SL_N_RTP_EXT: unknown */
SL_API unsigned sl_rtp_ext_by_uri(struct sl_str uri);

/* The ids of one BUNDLE group, as negotiated; 0: not in use. */
struct sl_rtp_ext_map {
	uint8_t id[SL_N_RTP_EXT];
};

/* Where a known extension's value stands in the packet; at 0: not there. */
struct sl_rtp_ext_ref {
	uint16_t at, len; /* offset from data; bytes */
};

/* A plain RTP packet. data .. data + len is the whole of it. */
struct sl_rtp {
	struct sl_packet *packet; /* borrowed; what a keeper references. NULL in tests */
	const uint8_t *data;
	uint32_t len;
	uint32_t ssrc, ts;
	uint16_t seq;
	uint8_t pt;
	bool marker;
	uint8_t n_csrcs;
	uint8_t padding;     /* bytes at the end, their count included */
	uint16_t ext_at;     /* offset of the extension elements; 0: none */
	uint16_t ext_len;    /* bytes of them */
	bool ext_two_byte;   /* RFC 8285 section 4.3 */
	uint16_t payload_at; /* offset */
	uint16_t payload_len;
	struct sl_rtp_ext_ref ext[SL_N_RTP_EXT]; /* W: sl_rtp_ext_index */
};

/* -SL_EPARSE. Sets all but packet; ext is empty. */
SL_API SL_MUST_CHECK int sl_rtp_parse(struct sl_rtp *ret_rtp, const void *data, size_t len);
static inline const uint8_t *sl_rtp_payload(const struct sl_rtp *r)
{
	return r->data + r->payload_at;
}
/* The element with this id; p NULL: not there */
SL_API struct sl_str sl_rtp_ext_find(const struct sl_rtp *r, unsigned id);
/* Fills r->ext with every known extension in one walk, so that later readers need no map. */
SL_API void sl_rtp_ext_index(struct sl_rtp *r, const struct sl_rtp_ext_map *map);
/* p NULL: not there */
static inline struct sl_str sl_rtp_ext_value(const struct sl_rtp *r, enum sl_rtp_ext ext)
{
	const struct sl_rtp_ext_ref *ref = &r->ext[ext];

	return ref->at ? (struct sl_str){(const char *)r->data + ref->at, ref->len} : SL_STR_NULL;
}

/* Writes an extension block element by element; begins with the one-byte form and widens itself to
 * the two-byte form when a value needs it. Never writes past cap. */
struct sl_rtp_ext_writer {
	uint8_t *p;
	size_t len, cap;
	bool two_byte, failed;
};
/* Over a header whose 12 bytes and CSRCs are written: dst is behind them. */
SL_API void sl_rtp_ext_begin(struct sl_rtp_ext_writer *w, void *dst, size_t cap);
SL_API void sl_rtp_ext_put(struct sl_rtp_ext_writer *w, unsigned id, const void *value, size_t len);
/* Pads; bytes of the whole block with its header of four, 0 when nothing was put. -SL_EFULL */
SL_API SL_MUST_CHECK int sl_rtp_ext_end(struct sl_rtp_ext_writer *w);

/* ---- sequence numbers and timestamps, RFC 1982 */
static inline bool sl_seq_after(uint16_t a, uint16_t b)
{
	return a != b && (uint16_t)(a - b) < 0x8000;
}
static inline bool sl_ts_after(uint32_t a, uint32_t b)
{
	return a != b && a - b < UINT32_C(0x80000000);
}
/* Unwraps: the 64-bit number nearest to *last with these low bits; *last moves forward only. A
 * zeroed state takes the first number as 65536 + seq, so that what came before fits. */
/* A time as reports have it (RFC 3550 section 4): 32.32, of whatever clock ns are */
static inline uint64_t sl_ntp_of_ns(uint64_t ns)
{
	return ns / SL_NS_PER_S << 32 | ((ns % SL_NS_PER_S) << 32) / SL_NS_PER_S;
}

struct sl_unwrap {
	uint64_t last;
	bool started;
};
SL_API uint64_t sl_unwrap16(struct sl_unwrap *u, uint16_t v);
SL_API uint64_t sl_unwrap32(struct sl_unwrap *u, uint32_t v);

/*
 * A packet to send: the payload of `src` behind a new header. patch replaces the first cut bytes of
 * the payload (a payload descriptor written anew). Extensions that describe the media (audio level,
 * orientation, capture time ...) are those of src; the dependency descriptor is what sl_rtp_out_dd
 * makes of that of src, and may alone be longer than a hundred bytes with a key frame. The
 * endpoint adds mid, transport-wide sequence number and send time of its own.
 */
struct sl_rtp_out {
	const struct sl_rtp *src; /* plain; NULL: padding only */
	uint32_t ts;
	uint16_t seq;
	uint8_t pt;
	bool marker;
	uint8_t cut, patch_len;
	uint8_t patch[SL_RTP_MAX_PATCH];
	bool dd_rewrite;      /* the descriptor gets dd_frame as its number, and the mask, if any */
	bool dd_has_mask;     /* it has one already */
	uint8_t dd_n_targets; /* bits of the mask of active decode targets; 0: leave it */
	uint16_t dd_frame, dd_mask_at; /* dd_mask_at: its place, in bits */
	uint32_t dd_mask;
};
/* The payload to send with the packet, for who seals it without an endpoint; returns bytes, 0 where
 * src is NULL. -SL_EFULL: longer than size, or cut is longer than what there is */
SL_API SL_MUST_CHECK int sl_rtp_out_payload(const struct sl_rtp_out *out, uint8_t *dst, size_t size);
/* The descriptor to send with the packet; bytes of it, 0: none */
SL_API size_t sl_rtp_out_dd(const struct sl_rtp_out *out, uint8_t dst[SL_RTP_MAX_DD]);

#endif
