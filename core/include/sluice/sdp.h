/*
 * sluice/sdp.h: session descriptions (RFC 8866) as trees of views, and a writer.
 *
 * Sans-I/O. A description is parsed into a pool; its strings borrow the text, which must outlive
 * it. Any kind is taken: WebRTC, and plain RTP as telephones speak it. Attributes stay attributes,
 * known or not; lines of other kinds that nobody here needs are skipped. Size, lines, sections and
 * formats are bounded.
 */
#ifndef SLUICE_SDP_H
#define SLUICE_SDP_H

#include <sluice/buf.h>
#include <sluice/pool.h>
#include <sluice/rtp.h>

enum {
	SL_SDP_MAX_BYTES = 256 * 1024,
	SL_SDP_MAX_LINES = 16 * 1024,
	SL_SDP_MAX_MEDIA = 256,
	SL_SDP_MAX_FORMATS = 128, /* as many as there are payload types */
};

/* Seen from who wrote the description; sl_sdp_turn sees it from the other side. */
enum sl_sdp_direction {
	SL_SDP_INACTIVE = 0,
	SL_SDP_SENDONLY = 1,
	SL_SDP_RECVONLY = 2,
	SL_SDP_SENDRECV = 3,
};

struct sl_sdp_attr { /* a=name:value */
	struct sl_str name, value;
	unsigned line; /* from 1 */
};
struct sl_sdp_media {
	struct sl_str type;  /* "audio", "video", "application" */
	uint16_t port;	     /* 0: rejected, unless bundle-only */
	struct sl_str proto; /* "UDP/TLS/RTP/SAVPF" */
	const struct sl_str *formats;
	unsigned n_formats; /* at least 1 */
	struct sl_addr
		connection; /* of c=, or the session's, with the port; unset: a name, or none */
	uint64_t limit_bps; /* b=TIAS, else b=AS; 0: none */
	const struct sl_sdp_attr *attrs;
	unsigned n_attrs;
	unsigned line; /* of m= */
};
struct sl_sdp {
	struct sl_str origin_id, origin_version, name;
	struct sl_addr connection; /* without port */
	uint64_t limit_bps;
	const struct sl_sdp_attr *attrs;
	unsigned n_attrs;
	const struct sl_sdp_media *media;
	unsigned n_media;
};
struct sl_sdp_error {  /* for the peer's author */
	unsigned line; /* from 1; 0: the whole */
	char text[128];
};
/* -SL_EPARSE, or -SL_ELIMIT over a bound, with *ret_error filled; -SL_ENOMEM */
SL_API SL_MUST_CHECK int sl_sdp_parse(struct sl_sdp *ret_sdp, struct sl_pool *pool,
				      struct sl_str text, struct sl_sdp_error *ret_error);
/* First attribute of the section (media NULL: session); false: not there. Value may be empty. */
SL_API bool sl_sdp_attr(const struct sl_sdp *s, const struct sl_sdp_media *m, const char *name,
			struct sl_str *ret_value);
/* The same, and the session's where the section has none */
SL_API bool sl_sdp_attr_or_session(const struct sl_sdp *s, const struct sl_sdp_media *m,
				   const char *name, struct sl_str *ret_value);
/* i-th of several */
SL_API bool sl_sdp_attr_at(const struct sl_sdp_media *m, const char *name, unsigned i,
			   struct sl_str *ret_value);
/* The section's, else the session's, else sendrecv (RFC 8866 section 6.7) */
SL_API enum sl_sdp_direction sl_sdp_get_direction(const struct sl_sdp *s,
						  const struct sl_sdp_media *m);
static inline enum sl_sdp_direction sl_sdp_turn(enum sl_sdp_direction d)
{
	return (enum sl_sdp_direction)((d & 1) << 1 | d >> 1);
}
/* "sendrecv" */
SL_API const char *sl_sdp_direction_name(enum sl_sdp_direction d);

/* ---- RTP sections */
struct sl_sdp_format { /* one number of an m-line with its rtpmap and fmtp */
	uint8_t pt;
	uint8_t channels;     /* 1 where nothing is said */
	uint32_t clock_hz;    /* 0: no rtpmap, and RFC 3551 does not know it either */
	struct sl_str name;   /* "opus" */
	struct sl_str params; /* of the first fmtp; may be empty */
};
/* In the m-line's order, each payload type once; what is no payload type is left out. At most
 * SL_SDP_MAX_FORMATS; returns how many. */
SL_API unsigned sl_sdp_formats(const struct sl_sdp_media *m,
			       struct sl_sdp_format ret_formats[SL_SDP_MAX_FORMATS]);
/* Are they one and the same codec, by the rules of its format (profiles of H.264, H.265, VP9, AV1)?
 * Numbers and levels do not matter. */
SL_API bool sl_sdp_same_codec(const struct sl_sdp_format *a, const struct sl_sdp_format *b);
/* The parameter of a list "a=1;b=2", names in any case; false: not there. */
SL_API bool sl_sdp_param(struct sl_str params, const char *name, struct sl_str *ret_value);
/* Steps through such a list: false at its end. Empty ones are skipped; no "=": value p is NULL. */
SL_API bool sl_sdp_param_next(struct sl_str *params, struct sl_str *ret_name,
			      struct sl_str *ret_value);
/* Who can use no more of Opus than a telephone of that rate carries says so (RFC 7587 section 6.1):
 * its parameters, in dst. The bitrate is what browsers send anyway: it is spent on less. */
enum { SL_SDP_OPUS_LIMIT = 64 };
SL_API struct sl_str sl_sdp_opus_limit(char dst[SL_SDP_OPUS_LIMIT], uint32_t hz);

/* ---- writing; into a buffer that remembers failure. Values must not hold line ends. */
/* v=, o=, s=, t=; and c= when addr is set. addr unset: "IN IP4 0.0.0.0" in o= */
SL_API void sl_sdp_begin(struct sl_buf *b, uint64_t id, uint64_t version,
			 const struct sl_addr *addr);
/* a=name */
SL_API void sl_sdp_put(struct sl_buf *b, const char *name);
/* a=name:value */
SL_API void sl_sdp_putf(struct sl_buf *b, const char *name, const char *fmt, ...) SL_PRINTF(3, 4);
/* m=, without line end: formats follow, by sl_sdp_put_format or as text, then sl_sdp_end_media. */
SL_API void sl_sdp_begin_media(struct sl_buf *b, struct sl_str type, uint16_t port,
			       struct sl_str proto);
SL_API void sl_sdp_put_format(struct sl_buf *b, unsigned pt);
/* The line end, and c= */
SL_API void sl_sdp_end_media(struct sl_buf *b, const struct sl_addr *connection);

#endif
