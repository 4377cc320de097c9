/*
 * sluice/sdp.h: session descriptions (RFC 8866) as trees of views, and a writer.
 *
 * Sans-I/O. A description is parsed into a pool; its strings borrow the text, which must outlive
 * it. Unknown lines and attributes are kept as attributes. Size, lines and m-sections are bounded.
 */
#ifndef SLUICE_SDP_H
#define SLUICE_SDP_H

#include <sluice/pool.h>
#include <sluice/rtp.h>

enum { SL_SDP_MAX_BYTES = 256 * 1024, SL_SDP_MAX_MEDIA = 256, SL_SDP_MAX_FORMATS = 64 };

struct sl_sdp_attr { /* a=name:value */
	struct sl_str name, value;
};
struct sl_sdp_media {
	struct sl_str type;  /* "audio", "video", "application" */
	uint16_t port;	     /* 0: rejected, unless bundle-only */
	struct sl_str proto; /* "UDP/TLS/RTP/SAVPF" */
	struct sl_str formats[SL_SDP_MAX_FORMATS];
	unsigned n_formats;
	struct sl_addr connection; /* of c=, or the session's; may be unset */
	struct sl_sdp_attr *attrs;
	unsigned n_attrs;
};
struct sl_sdp {
	struct sl_str origin_id, origin_version, name;
	struct sl_addr connection;
	struct sl_sdp_attr *attrs;
	unsigned n_attrs;
	struct sl_sdp_media *media;
	unsigned n_media;
};
struct sl_sdp_error { /* for the peer's author */
	unsigned line; /* from 1; 0: the whole */
	char text[128];
};
/* -SL_EPARSE with *ret_error filled; -SL_ELIMIT */
SL_API SL_MUST_CHECK int sl_sdp_parse(struct sl_sdp *ret_sdp, struct sl_pool *pool,
				      struct sl_str text, struct sl_sdp_error *ret_error);
/* First attribute of the section (media NULL: session); false: not there. Value may be empty. */
SL_API bool sl_sdp_attr(const struct sl_sdp *s, const struct sl_sdp_media *m, const char *name,
			struct sl_str *ret_value);
/* i-th of several */
SL_API bool sl_sdp_attr_at(const struct sl_sdp_media *m, const char *name, unsigned i,
			   struct sl_str *ret_value);

#endif
