/*
 * sluice/sdp_plain.h: sections of plain RTP, as telephones offer and answer them (RFC 3264), on top
 * of <sluice/sdp.h>: one address per section, payload types that may be static, hold, RTCP on a
 * port of its own, keys in the description (RFC 4568) or by DTLS.
 *
 * Sans-I/O and without state: read what a section says, agree, write. All views borrow the
 * description's text. WebRTC's rules (bundles, ICE) are not here.
 */
#ifndef SLUICE_SDP_PLAIN_H
#define SLUICE_SDP_PLAIN_H

#include <sluice/dtls.h>
#include <sluice/sdp.h>

enum {
	SL_PLAIN_MAX_FORMATS = 16, /* more are left out */
	SL_PLAIN_MAX_KEYS = 4,
	SL_SDES_STRLEN = 128, /* what sl_sdes_format needs at most */
};

/* One way to protect a direction, with its key: what its writer sends with. Secret: wipe it. */
struct sl_sdes {
	uint32_t tag; /* an answer repeats the offer's */
	enum sl_srtp_profile profile;
	uint8_t key_len, salt_len;
	uint8_t key[32], salt[14];
};
/* The value of a=crypto. -SL_EPARSE; -SL_EUNSUPP: a suite or session parameter that is not ours, or
 * an MKI */
SL_API SL_MUST_CHECK int sl_sdes_parse(struct sl_sdes *ret_key, struct sl_str value);
/* The value, NUL-terminated; returns its length. */
SL_API size_t sl_sdes_format(char dst[SL_SDES_STRLEN], const struct sl_sdes *key);
/* A fresh key for the profile. -SL_EUNSUPP: none of SRTP's; -SL_ESYS: no random numbers */
SL_API SL_MUST_CHECK int sl_sdes_draw(struct sl_sdes *ret_key, uint32_t tag,
				      enum sl_srtp_profile profile);

/* RTCP feedback of video (RFC 4585, 5104). Telephones say it beside RTP/AVP, too. */
enum sl_plain_feedback {
	SL_PLAIN_NACK = 1,
	SL_PLAIN_PLI = 2,
	SL_PLAIN_FIR = 4,
	SL_PLAIN_TMMBR = 8,
	SL_PLAIN_REMB = 16,
};

/* One section, as its writer says it. */
struct sl_plain {
	enum sl_media_kind kind; /* audio or video */
	struct sl_str proto;	 /* "RTP/AVP" */
	struct sl_addr
		rtp; /* where its writer wants to get media; family 0: only the port is known */
	struct sl_addr rtcp; /* and RTCP: a=rtcp, else the next port */
	bool mux;	     /* RTCP on the media's port: offered, or agreed */
	bool rejected;	     /* port 0 */
	/* Of its writer. Hold in the old way (c=0.0.0.0, RFC 3264 section 8.4) is read as not
	 * receiving. */
	enum sl_sdp_direction direction;
	struct sl_sdp_format formats[SL_PLAIN_MAX_FORMATS];
	unsigned n_formats;
	unsigned ptime_ms, maxptime_ms; /* 0: not said */
	uint64_t limit_bps;
	struct sl_sdes keys[SL_PLAIN_MAX_KEYS]; /* that we can use, in its writer's order */
	unsigned n_keys;
	struct sl_str fingerprint, setup; /* DTLS; empty: none */
	uint8_t feedback; /* enum sl_plain_feedback: what it understands, of any of its formats */
};
/* Section i of a description. -SL_EUNSUPP: no audio or video over RTP; answer it with
 * sl_plain_reject. */
SL_API SL_MUST_CHECK int sl_plain_read(struct sl_plain *ret_section, const struct sl_sdp *sdp,
				       unsigned i);
/* Is media to be encrypted? By the protocol, or by keys beside a protocol that does not say so, as
 * some telephones offer it. */
SL_API bool sl_plain_is_secure(const struct sl_plain *section);

/*
 * The formats of theirs that are ours too: under their numbers, which are those that they want to
 * get, in their order, each of ours once. telephone-event (RFC 4733) and comfort noise stay when a
 * codec of their clock does. Of an offer, it is what an answer says; of an answer, what may be
 * sent. Returns how many; 0: nothing to talk in.
 */
SL_API unsigned sl_plain_agree(struct sl_sdp_format ret_formats[SL_PLAIN_MAX_FORMATS],
			       const struct sl_plain *theirs, const struct sl_sdp_format *own,
			       unsigned n_own);
/* Writes a section, as its fields say; what is 0 or empty is left out, and without formats it is
 * rejected. An answer's direction is
 * sl_sdp_turn of the offer's, and what is wanted. */
SL_API void sl_plain_write(struct sl_buf *b, const struct sl_plain *section);
/* The answer to a section that is not wanted: as offered, with port 0. */
SL_API void sl_plain_reject(struct sl_buf *b, const struct sl_sdp_media *offered);

#endif
